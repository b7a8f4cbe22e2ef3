//! Dumps of databases, found by `init`, read and published; and those that are refused, with nothing published.
//!
//! The dumps are small texts in the form of pg_dump and mysqldump; tests/outside/check_exports.py compares real ones with
//! their servers.

use crate::support::{Run, Work};

const POSTGRES: &str = r"-- PostgreSQL database dump

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

CREATE TABLE public.notes (
    id bigint NOT NULL,
    total numeric(12,2),
    note text,
    raw bytea,
    at timestamp with time zone,
    ok boolean
);

COPY public.notes (id, total, note, raw, at, ok) FROM stdin;
1	10.50	plain	\\x00ff	2024-01-01 00:00:00+00	t
2	\N		\N	\N	f
3	-0.01	\\N	\\x	2024-02-29 12:34:56.789+02	\N
4	0.00	tab\there\nline	\\x5c	infinity	\N
\.


CREATE TABLE public.nothing (
    id integer
);

COPY public.nothing (id) FROM stdin;
\.


--
-- PostgreSQL database dump complete
--
";

const MYSQL: &str = r#"-- MySQL dump 10.13  Distrib 8.0.36
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;
CREATE TABLE `notes` (
  `id` bigint unsigned NOT NULL,
  `total` decimal(12,2) DEFAULT NULL,
  `note` text,
  `raw` varbinary(20) DEFAULT NULL,
  `flag` bit(8) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `notes` VALUES (18446744073709551615,10.50,'it\'s; (odd), ok',_binary '\0\\x',b'101'),(2,NULL,'',0x00ff,'1'),(3,-0.01,'\\N',NULL,NULL);
INSERT INTO `notes` VALUES (4,0.00,'-- Dump completed',x'',_binary '1');
-- Dump completed on 2026-01-31  0:00:00
"#;

fn found(file: &str, text: &str) -> Work {
    let work = Work::config("").file(file, text);
    work.run(&["init", "in/", "-o", "configs/x.sql"]).ok();
    work.run(&["run", "configs/x.sql"]).ok();
    work
}

fn rows(work: &Work, sql: &str) -> String {
    work.run(&["query", "configs/x.sql", "--format", "csv", "-c", sql]).ok().stdout
}

fn refused(file: &str, text: &str, kind: &str, words: &[&str]) {
    let tables = format!(
        "CREATE EXTERNAL TABLE snapshot.notes STORED AS {kind} LOCATION '{file}';
         CREATE TABLE lake.notes AS SELECT * FROM snapshot.notes;"
    );
    let work = Work::config(&tables).file(file, text);
    let run: Run = work.run(&["run", "config.sql"]);
    assert!(run.code != 0, "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "no {word} in {}", run.stderr);
    }
    assert_eq!(work.paths("out/lake"), Vec::<String>::new());
}

#[test]
fn every_value_of_a_pg_dump_is_published_and_one_that_no_type_holds_is_text() {
    let work = found("in/shop.sql", POSTGRES);
    let sql = "SELECT id, total, note, encode(raw, 'hex') AS raw, at, ok FROM lake.notes ORDER BY id";
    insta::assert_snapshot!("pg_dump_notes", rows(&work, sql));
    assert_eq!(rows(&work, "SELECT count(*) AS n, count(note) AS notes FROM lake.notes"), "n,notes\n4,4\n");
    assert_eq!(rows(&work, "SELECT count(*) AS n FROM lake.nothing"), "n\n0\n");
}

#[test]
fn every_value_of_a_mysqldump_is_published() {
    let work = found("in/shop.sql", MYSQL);
    let sql = "SELECT id, total, note, encode(raw, 'hex') AS raw, flag FROM lake.notes ORDER BY id";
    insta::assert_snapshot!("mysqldump_notes", rows(&work, sql));
    assert_eq!(rows(&work, "SELECT count(*) AS n, count(note) AS notes FROM lake.notes"), "n,notes\n4,4\n");
}

#[test]
fn byte_order_mark_before_a_dump_moves_no_row() {
    for (text, last) in [(POSTGRES, "4"), (MYSQL, "18446744073709551615")] {
        let work = found("in/shop.sql", &["\u{feff}", text].concat());
        let sql = "SELECT count(*) AS n, max(id) AS last FROM lake.notes";
        assert_eq!(rows(&work, sql), format!("n,last\n4,{last}\n"));
    }
}

#[test]
fn zone_and_names_of_other_parts_of_a_mysqldump_do_not_count_for_its_rows() {
    let event = "DELIMITER ;;\n/*!50003 SET time_zone = 'SYSTEM' */ ;;\n/*!50106 CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO \
                 SELECT 1 */ ;;\n/*!50003 SET time_zone = @saved_time_zone */ ;;\nDELIMITER ;\n";
    let other = "USE `other`;\nCREATE TABLE `notes` (`id` int, `at` timestamp NULL) DEFAULT CHARSET=latin1;\n\
                 INSERT INTO `notes` VALUES (7,'2024-01-01 00:00:00');\n-- Dump completed";
    let text = MYSQL.replace("CREATE TABLE", "USE `shop`;\nCREATE TABLE");
    let text = text.replace("-- Dump completed on", &[event, other, " on"].concat());
    let work = Work::config("").file("in/all.sql", text);
    work.run(&["init", "in/", "-o", "configs/x.sql"]).ok();
    work.run(&["run", "configs/x.sql"]).ok();
    let sql = "SELECT at FROM lake.other_notes";
    assert_eq!(rows(&work, sql), "at\n2024-01-01T00:00:00Z\n");
    assert_eq!(rows(&work, "SELECT count(*) AS n FROM lake.shop_notes"), "n\n4\n");
}

#[test]
fn dump_without_data_is_no_table_without_rows() {
    let from = POSTGRES.find("COPY public.notes").unwrap();
    let to = POSTGRES.find("CREATE TABLE public.nothing").unwrap();
    let end = POSTGRES.find("COPY public.nothing").unwrap();
    let schema = [&POSTGRES[..from], &POSTGRES[to..end], "-- PostgreSQL database dump complete\n"].concat();
    refused("in/s.sql", &schema, "PG_DUMP", &["public.notes: the dump has no data of it"]);
}

#[test]
fn dump_that_is_cut_anywhere_is_refused_and_nothing_is_published() {
    for (text, kind) in [(POSTGRES, "PG_DUMP"), (MYSQL, "MYSQL_DUMP")] {
        let end = text.rfind("omplete").unwrap();
        for at in (60..end).step_by(97) {
            refused("in/shop.sql", &text[..at], kind, &["shop.sql", "help:"]);
        }
    }
}

#[test]
fn what_a_dump_says_of_itself_that_would_change_its_values_is_refused() {
    let with = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        text.replace(from, to)
    };
    let pg = |from: &str, to: &str, words: &[&str]| refused("in/s.sql", &with(POSTGRES, from, to), "PG_DUMP", words);
    pg("client_encoding = 'UTF8'", "client_encoding = 'LATIN1'", &["encoding 'LATIN1'"]);
    pg("\n", "\r\n", &["CR LF"]);
    pg("COPY public.notes", "COPY public.other", &["no data of it"]);
    pg("\\N\t\\N\tf", "\\N\tf", &["5 fields"]);
    refused("in/s.sql", POSTGRES, "MYSQL_DUMP", &["a dump of pg_dump", "STORED AS PG_DUMP"]);
    refused("in/s.sql", MYSQL, "PG_DUMP", &["a dump of mysqldump", "STORED AS MYSQL_DUMP"]);
    let twice = [POSTGRES, POSTGRES].concat();
    refused("in/s.sql", &twice, "PG_DUMP", &["another dump follows"]);
    let my = |from: &str, to: &str, words: &[&str]| refused("in/s.sql", &with(MYSQL, from, to), "MYSQL_DUMP", words);
    my("NAMES utf8mb4", "NAMES latin1", &["character set 'latin1'"]);
    my("TIME_ZONE='+00:00'", "TIME_ZONE='+05:00'", &["not in UTC"]);
    my("/*!40103", "/*!40101 SET SQL_MODE='NO_BACKSLASH_ESCAPES' */;\n/*!40103", &["NO_BACKSLASH_ESCAPES"]);
    my("(4,0.00,", "(4,", &["4 values"]);
    let more = |statement: &str, words: &[&str]| {
        my("-- Dump completed on", &format!("{statement};\n-- Dump completed on"), words)
    };
    more("CREATE TABLE `copied` SELECT 1 AS a", &["copied", "made by a query"]);
    more("TRUNCATE TABLE `notes`", &["`TRUNCATE` of table notes"]);
    more("CALL fill()", &["`CALL` changes or loads rows"]);
}

#[test]
fn table_of_a_dump_is_named_as_the_dump_names_it() {
    let other = POSTGRES.replace("public.nothing", "audit.notes").replace("id integer", "id bigint");
    refused("in/s.sql", &other, "PG_DUMP", &["several tables notes: public.notes, audit.notes", "OPTIONS ('table'"]);
    refused("in/s.sql", &POSTGRES.replace("notes", "nites"), "PG_DUMP", &["no table notes", "public.nites"]);
}

/// A dump with `public.orders`, `audit.orders`, `public.log` and the partitioned `public.events`.
fn schemas() -> String {
    let table = |name: &str, rows: &str| {
        format!(
            "CREATE TABLE {name} (\n    id bigint,\n    note text\n);\n\nCOPY {name} (id, note) FROM stdin;\n{rows}\\.\n\n"
        )
    };
    let head =
        "-- PostgreSQL database dump\n\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n\n";
    let events = "CREATE TABLE public.events (\n    id bigint,\n    note text\n)\nPARTITION BY RANGE (id);\n\n";
    let attach = "ALTER TABLE ONLY public.events ATTACH PARTITION public.events_1 FOR VALUES FROM (0) TO (9);\n\n";
    let tables = [
        head,
        events,
        &table("public.events_1", "1\te\n2\t\\N\n"),
        attach,
        &table("public.orders", "1\ta\n2\tb\n3\t\n"),
        &table("audit.orders", "7\tx\n"),
        &table("public.log", "1\tl\n"),
        "--\n-- PostgreSQL database dump complete\n--\n",
    ];
    tables.concat()
}

const EVERY: &str = r#"CREATE EXTERNAL TABLE snapshot."*" STORED AS PG_DUMP LOCATION 'in/shop.sql';
     CREATE TABLE lake."*" AS SELECT * FROM snapshot."*";"#;

#[test]
fn one_statement_publishes_every_table_of_a_dump_each_once() {
    let work = Work::config(EVERY).file("in/shop.sql", schemas());
    // A task is complete by itself: it has the list of tables.
    let tasks = work.run(&["stage", "config.sql", "--print-tasks", "--table", "log"]).ok().stdout;
    assert!(tasks.contains(r#"["audit","orders"]"#), "{tasks}");
    work.run(&["run", "config.sql"]).ok();
    let sql = "SELECT (SELECT count(*) FROM lake.events) AS events, (SELECT count(note) FROM lake.public_orders) AS orders, \
               (SELECT max(id) FROM lake.audit_orders) AS audit, (SELECT max(note) FROM lake.log) AS log";
    assert_eq!(query(&work, sql), "events,orders,audit,log\n2,3,7,l\n");
    let status = work.run(&["status", "config.sql"]).ok().stdout;
    assert!(!status.contains("events_1"), "{status}");
}

#[test]
fn table_with_its_own_statement_or_outside_the_globs_is_not_one_of_every_table() {
    let config = r#"CREATE EXTERNAL TABLE snapshot.log STORED AS PG_DUMP LOCATION 'in/shop.sql';
         CREATE EXTERNAL TABLE snapshot."*" STORED AS PG_DUMP LOCATION 'in/shop.sql'
         OPTIONS ('table' 'public.*', 'exclude' 'ev*');
         CREATE TABLE lake.log AS SELECT id + 10 AS id FROM snapshot.log;
         CREATE TABLE lake."*" AS SELECT id, coalesce(note, '?') AS note FROM snapshot."*";"#;
    let work = Work::config(config).file("in/shop.sql", schemas());
    work.run(&["run", "config.sql"]).ok();
    let sql = "SELECT (SELECT count(*) FROM lake.orders) AS orders, (SELECT max(id) FROM lake.log) AS log";
    assert_eq!(query(&work, sql), "orders,log\n3,11\n");
    let missing = work.run(&["query", "config.sql", "-c", "SELECT * FROM lake.events"]);
    assert!(missing.code != 0 && missing.stderr.contains("events"), "{}", missing.stderr);
}

#[test]
fn every_table_of_what_names_no_tables_is_refused_with_what_to_do() {
    for (config, words) in [
        (EVERY.replace("PG_DUMP", "CSV"), "means the tables of an export that names them"),
        (
            EVERY.replace("PG_DUMP", "POSTGRES").replace("in/shop.sql", "postgres://u@h/d"),
            "snaplake init postgres://... does so",
        ),
        (EVERY.replace("FROM snapshot.\"*\"", "FROM snapshot.a"), "must read snapshot.\"*\""),
        (EVERY.replace("snapshot.\"*\" STORED", "snapshot.a STORED"), "says which tables these are"),
        (EVERY.replace("'in/shop.sql'", "'in/shop.sql' OPTIONS ('table' 'nobody.*')"), "no lake table"),
    ] {
        let work = Work::config(&config).file("in/shop.sql", schemas());
        let run = work.run(&["run", "config.sql"]);
        assert!(run.code != 0 && run.stderr.contains(words), "{config}\n{}", run.stderr);
        assert_eq!(work.paths("out/lake"), Vec::<String>::new());
    }
}

fn query(work: &Work, sql: &str) -> String {
    work.run(&["query", "config.sql", "--format", "csv", "-c", sql]).ok().stdout
}
