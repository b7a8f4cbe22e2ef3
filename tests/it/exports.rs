//! Exports of one file per table or more: `mysqldump --tab`, MySQL Shell, UNLOAD of Redshift, full loads of DMS. Each is
//! found by `init`, read and published; one of which something is missing is refused, with nothing published.
//!
//! The trees are made here, as the programs document them. tests/outside/check_exports.py compares those of a real
//! `mariadb-dump --tab` with the server.

use std::fs;

use crate::support::{Run, Work};

fn rows(work: &Work, sql: &str) -> String {
    work.run(&["query", "configs/x.sql", "--format", "csv", "-c", sql]).ok().stdout
}

/// Found by `init` in `in/`, and published.
fn found(work: Work) -> Work {
    work.run(&["init", "in/", "-o", "configs/x.sql"]).ok();
    work.run(&["run", "configs/x.sql"]).ok();
    work
}

/// The config `stored` for `snapshot.notes` is refused by these words, and nothing is published.
fn refused(work: &Work, columns: &str, stored: &str, words: &[&str]) -> Run {
    let text = format!(
        "SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
         SET snaplake.staging = 'out/staging'; SET snaplake.datalake = 'out/lake';
         CREATE EXTERNAL TABLE snapshot.notes {columns} {stored};
         CREATE TABLE lake.notes AS SELECT * FROM snapshot.notes;"
    );
    fs::write(work.path("refused.sql"), text).unwrap();
    let run = work.run(&["run", "refused.sql"]);
    assert!(run.code == 1 || run.code == 2, "{}", run.stderr);
    for word in words.iter().chain(&["help:"]) {
        assert!(run.stderr.contains(word), "no '{word}' in {}", run.stderr);
    }
    assert_eq!(work.paths("out/lake"), Vec::<String>::new());
    run
}

const TAB: &str = "STORED AS MYSQL_DUMP LOCATION 'in/' OPTIONS ('table' 'notes')";

const NOTES_SQL: &str = "-- MySQL dump 10.13  Distrib 8.0.36
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;
CREATE TABLE `notes` (
  `raw` varbinary(20) DEFAULT NULL,
  `id` int NOT NULL,
  `note` text,
  `flag` bit(3) DEFAULT NULL,
  `twice` int GENERATED ALWAYS AS (`id` * 2) VIRTUAL,
  `at` timestamp NULL DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;
-- Dump completed on 2026-01-31  0:00:00
";

/// A first value like the mark of UTF-16, bytes that are no text, escapes, NULL, the empty text, and `N` and `\N` as texts.
const NOTES_TXT: &[u8] = b"\xff\xfe\\0\\\\\\\t\\\n\x80\t1\ta\\\tb\\\nc\\\\\t\0\t2024-01-01 00:00:00\n\
    \t2\t\t\x07\t\\N\n\\N\t3\t\\N\t\\N\t\\N\n\\\\x41\t4\tN\t\x01\t2024-02-29 12:00:00\nN\t5\t\\\\N\t\x02\t\\N\n";

const NOTES_ROWS: &str = "id,hex,note,flag,at\n1,fffe005c090a80,\"a\tb\nc\\\",0,2024-01-01T00:00:00Z\n2,,,7,\n3,null,null,,\n\
    4,5c783431,N,1,2024-02-29T12:00:00Z\n5,4e,\\N,2,\n";

fn tab() -> Work {
    let other = NOTES_SQL.replace("`notes`", "`nothing`");
    Work::config("")
        .file("in/notes.sql", NOTES_SQL)
        .file("in/notes.txt", NOTES_TXT)
        .file("in/nothing.txt", "")
        .file("in/nothing.sql", other)
        .file(
            "in/seen.sql",
            "-- MySQL dump 10.13\n/*!50001 CREATE VIEW `seen` AS SELECT 1 AS `a` */;\n-- Dump completed\n",
        )
}

#[test]
fn every_value_of_a_mysqldump_tab_is_published_bytes_as_they_are() {
    let work = found(tab());
    // Each NULL is a word: CSV has the empty text as nothing, too.
    let sql = "SELECT id, coalesce(encode(raw, 'hex'), 'null') AS hex, coalesce(note, 'null') AS note, flag, at FROM lake.notes \
               ORDER BY id";
    assert_eq!(rows(&work, sql), NOTES_ROWS);
    assert_eq!(rows(&work, "SELECT count(*) AS n FROM lake.nothing"), "n\n0\n");
    let plan = work.run(&["plan", "configs/x.sql"]).ok().stdout;
    for words in ["Generated columns are not in the dump: twice", "a file that was cut between two rows looks whole"] {
        assert!(plan.contains(words), "no '{words}' in {plan}");
    }
}

#[test]
fn generated_columns_are_read_where_the_rows_have_them() {
    let rows_of_mariadb = "x\t1\ta\t\\0\t2\t\\N\n";
    let work = found(tab().file("in/notes.txt", rows_of_mariadb));
    assert_eq!(rows(&work, "SELECT id, twice FROM lake.notes"), "id,twice\n1,2\n");
}

#[test]
fn mysqldump_tab_that_is_not_whole_or_of_other_options_is_refused() {
    let with_sql = |from: &str, to: &str| {
        assert!(NOTES_SQL.contains(from));
        tab().file("in/notes.sql", NOTES_SQL.replace(from, to))
    };
    let with_rows = |text: &[u8]| tab().file("in/notes.txt", text);
    for cut in [NOTES_TXT.len() - 1, 20, 3] {
        refused(&with_rows(&NOTES_TXT[..cut]), "", TAB, &["notes.txt", "within a row"]);
    }
    refused(&with_sql("-- Dump completed", "-- "), "", TAB, &["notes.sql", "'-- Dump completed'"]);
    refused(
        &with_sql("utf8mb4;\n/*!50003", "latin1;\n/*!50003"),
        "",
        TAB,
        &["notes: it has text in latin1", "without --tab"],
    );
    refused(&with_sql("NAMES utf8mb4", "NAMES latin1"), "", TAB, &["character set 'latin1'"]);
    refused(
        &with_sql("bit(3)", "bit(4)"),
        "",
        TAB,
        &["notes: the server writes flag, which is bit(4), without escapes"],
    );
    refused(&with_sql("TIME_ZONE='+00:00'", "X=1"), "", TAB, &["time zone", "declare the columns"]);
    refused(&with_rows(b"1,2,a,b,c\n"), "", TAB, &["notes.txt has 1 values", "--fields-"]);
    refused(&with_rows(b"x\t1\ta\t\\0\t\\N\r\n"), "", TAB, &["CR LF", "--lines-"]);
    refused(&with_rows(b"\"x\"\t1\t\"a\"\t\\0\t\\N\n"), "", TAB, &["texts are in quotes", "--fields-"]);
    refused(&with_rows(b"x\t1\ta\t\\0\t\"2024-01-01 00:00:00\"\n"), "", TAB, &["times are in quotes", "--fields-"]);
    refused(&with_rows(b"x\t1\tC:\\new\t\\0\t\\N\n"), "", TAB, &["a backslash is before n in notes.txt", "--fields-"]);
    refused(&with_rows(b"x\t1\ta\t\\0\t\\N\nx\t2\ta\t\\0\n"), "", TAB, &["notes.txt", "4 fields", "expected are 5"]);
    refused(&with_rows(b"x\t1\t\xff\t\\0\t\\N\n"), "", TAB, &["0xFF is not UTF-8"]);
    refused(&tab().file("in/more.txt", "1\n"), "", TAB, &["more.txt, which has no more.sql"]);
    refused(&tab().file("in/more.txt.gz", "1\n"), "", TAB, &["more.txt.gz, which is packed"]);
    let work = tab();
    fs::remove_file(work.path("in/notes.txt")).unwrap();
    refused(&work, "", TAB, &["notes: the dump has no data of it"]);
}

const SHELL: &str = "STORED AS MYSQL_DUMP LOCATION 'in/' OPTIONS ('table' 'shop.notes')";

/// The dump of a table in three chunks, packed or not, with `chunkFileBytes` as new versions write it or with `.idx`.
fn shell(ending: &str, has_index: bool) -> Work {
    let options = r#"{"schema": "shop", "table": "notes", "columns": ["id", "note", "raw", "flag"],
        "decodeColumns": {"raw": "FROM_BASE64", "flag": "FROM_BASE64"}, "defaultCharacterSet": "utf8mb4",
        "fieldsTerminatedBy": "\t", "fieldsEnclosedBy": "", "fieldsOptionallyEnclosed": false, "fieldsEscapedBy": "\\",
        "linesTerminatedBy": "\n"}"#;
    let table =
        format!(r#"{{"options": {options}, "includesData": true, "includesDdl": true, "extension": "tsv{ending}"}}"#);
    let sql = "-- MySQLShell dump 1.0.0\nCREATE TABLE IF NOT EXISTS `notes` (\n `id` bigint unsigned NOT NULL,\n `note` text,\n \
               `twice` int GENERATED ALWAYS AS (`id` * 2) VIRTUAL,\n `raw` blob,\n `flag` bit(1) DEFAULT NULL\n) DEFAULT CHARSET=latin1;\n";
    let mut work = Work::config("")
        .file(
            "in/@.json",
            r#"{"schemas": ["shop"], "basenames": {"shop": "shop"}, "defaultCharacterSet": "utf8mb4", "tzUtc": true}"#,
        )
        .file("in/shop.json", r#"{"tables": ["notes"], "basenames": {"notes": "shop@notes"}}"#)
        .file("in/shop@notes.json", table)
        .file("in/shop@notes.sql", sql);
    let chunks = [
        "1\t\u{feff}a\\tb\t//4A\tAQ==\n",
        "2\t\t\t\\N\n3\t\\N\t\\N\tAA==\n",
        "18446744073709551615\t\\\\N\tXHg0MQ==\tAQ==\n",
    ];
    let (mut sizes, mut all) = (Vec::new(), 0);
    for (number, text) in chunks.iter().enumerate() {
        let name = format!("shop@notes@{}{number}.tsv{ending}", if number == 2 { "@" } else { "" });
        let bytes =
            if ending == ".zst" { zstd::encode_all(text.as_bytes(), 1).unwrap() } else { text.as_bytes().to_vec() };
        work = work.file(&format!("in/{name}"), bytes);
        if has_index {
            work = work.file(&format!("in/{name}.idx"), (text.len() as u64).to_be_bytes());
        } else {
            sizes.push(format!("\"{name}\": {}", text.len()));
        }
        all += text.len();
    }
    let sizes = sizes.join(", ");
    let done = format!(r#"{{"tableDataBytes": {{"shop": {{"notes": {all}}}}}, "chunkFileBytes": {{{sizes}}}}}"#);
    work.file("in/@.done.json", done)
}

#[test]
fn every_value_of_a_dump_of_mysql_shell_is_published() {
    for (ending, has_index) in [(".zst", true), (".zst", false), ("", false)] {
        let work = found(shell(ending, has_index));
        let sql = "SELECT id, coalesce(note, 'null') AS note, coalesce(encode(raw, 'hex'), 'null') AS hex, flag FROM lake.notes \
                   ORDER BY id";
        let expected =
            "id,note,hex,flag\n1,\u{feff}a\tb,fffe00,1\n2,,,\n3,null,null,0\n18446744073709551615,\\N,5c783431,1\n";
        assert_eq!(rows(&work, sql), expected, "{ending} {has_index}");
    }
}

#[test]
fn dialects_of_mysql_shell_are_those_that_its_files_name() {
    let work = shell("", true);
    let table = fs::read_to_string(work.path("in/shop@notes.json")).unwrap();
    let table = table.replace(
        r#""fieldsTerminatedBy": "\t", "fieldsEnclosedBy": """#,
        r#""fieldsTerminatedBy": ",", "fieldsEnclosedBy": "\"""#,
    );
    let table = table.replace(r#""linesTerminatedBy": "\n""#, r#""linesTerminatedBy": "\r\n""#);
    let mut work = work.file("in/shop@notes.json", table);
    let chunks = [
        "1,\"a\\\"b\\r\\n,\",\"//4A\",\"AQ==\"\r\n",
        "2,\"\",\"\",\\N\r\n3,\\N,\\N,\"AA==\"\r\n",
        "4,\"\\\\N\",\"XHg0MQ==\",\"AQ==\"\r\n",
    ];
    for (number, text) in chunks.iter().enumerate() {
        let name = format!("in/shop@notes@{}{number}.tsv", if number == 2 { "@" } else { "" });
        work = work.file(&name, text).file(&format!("{name}.idx"), (text.len() as u64).to_be_bytes());
    }
    let all: usize = chunks.iter().map(|text| text.len()).sum();
    let work = found(work.file("in/@.done.json", format!(r#"{{"tableDataBytes": {{"shop": {{"notes": {all}}}}}}}"#)));
    let sql = "SELECT id, replace(replace(coalesce(note, 'null'), chr(13), 'r'), chr(10), 'n') AS note, \
               coalesce(encode(raw, 'hex'), 'null') AS hex, flag FROM lake.notes ORDER BY id";
    assert_eq!(rows(&work, sql), "id,note,hex,flag\n1,\"a\"\"brn,\",fffe00,1\n2,,,\n3,null,null,0\n4,\\N,5c783431,1\n");
}

#[test]
fn dump_of_mysql_shell_that_is_not_whole_is_refused() {
    let without = |name: &str| {
        let work = shell(".zst", false);
        fs::remove_file(work.path(&format!("in/{name}"))).unwrap();
        work
    };
    let with = |name: &str, from: &str, to: &str| {
        let work = shell("", false);
        let path = work.path(&format!("in/{name}"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
        work
    };
    refused(&without("@.done.json"), "", SHELL, &["@.done.json", "did not finish"]);
    refused(&without("shop.json"), "", SHELL, &["@.json lists shop.json"]);
    refused(&without("shop@notes.json"), "", SHELL, &["shop.json lists shop@notes.json"]);
    refused(&without("shop@notes.sql"), "", SHELL, &["shop@notes.json lists shop@notes.sql"]);
    refused(&without("shop@notes@1.tsv.zst"), "", SHELL, &["no chunk 1 of shop@notes"]);
    refused(&without("shop@notes@@2.tsv.zst"), "", SHELL, &["no chunk 2 of shop@notes"]);
    refused(&without("shop@notes@0.tsv.zst"), "", SHELL, &["shop@notes.json lists shop@notes.tsv.zst"]);
    refused(
        &shell(".zst", false).file("in/shop@notes@3.tsv.zst", "x"),
        "",
        SHELL,
        &["shop@notes@3.tsv.zst", "two dumps"],
    );
    refused(&shell("", false).file("in/shop@notes@1.tsv", "2\t\t\t\\N\n"), "", SHELL, &["shop@notes@1.tsv", "bytes"]);
    refused(&with("@.done.json", "\"notes\": ", "\"notes\": 1"), "", SHELL, &["shop.notes", "@.done.json"]);
    refused(&with("@.done.json", "\"notes\": ", "\"more\": 0, \"notes\": "), "", SHELL, &["shop.more"]);
    refused(&with("@.json", "utf8mb4", "latin1"), "", SHELL, &["character set latin1", "defaultCharacterSet"]);
    refused(&with("shop@notes.json", "FROM_BASE64", "UNCOMPRESS"), "", SHELL, &["UNCOMPRESS"]);
    refused(&with("shop@notes@0.tsv", "//4A", "//4"), "", SHELL, &["shop@notes@0.tsv"]);
    // Of the same length: only the size of what it unpacks to, or what is in it, tells.
    for (text, words) in [("2\t\t\t\\N\n", "it unpacks to 7 bytes"), ("2\t\t\t\\N\n3\t\\N\t!\tAA==\n3\n", "at least")] {
        let work = shell(".zst", true).file("in/shop@notes@1.tsv.zst", zstd::encode_all(text.as_bytes(), 1).unwrap());
        refused(&work, "", SHELL, &["shop@notes@1.tsv.zst", words]);
    }
    let text = "2\t\t\t\\N\n3\t\\N\t\\N\t!A==\n";
    let work = shell(".zst", true).file("in/shop@notes@1.tsv.zst", zstd::encode_all(text.as_bytes(), 1).unwrap());
    refused(&work, "", SHELL, &["shop@notes@1.tsv.zst", "line 2", "not base64"]);
}

const UNLOAD: &str = "STORED AS REDSHIFT_UNLOAD LOCATION 'in/u/notes_manifest' OPTIONS ('dialect' 'redshift')";

const PARTS: [&str; 2] = ["1|a\\|b\\\nc|10.50|t\n2||-0.01|f\n", "3|x\\\\y|1.00|\n"];

fn unload(is_verbose: bool) -> Work {
    let entry = |(number, text): (usize, &&str)| {
        let rows = if is_verbose { format!(", \"record_count\": {}", 2 - number) } else { String::new() };
        let size = text.len();
        format!(
            "{{\"url\": \"s3://elsewhere/x/y/notes_000{number}_part_00\", \"meta\": {{\"content_length\": {size}{rows}}}}}"
        )
    };
    let entries: Vec<String> = PARTS.iter().enumerate().map(entry).collect();
    let schema = r#""schema": {"elements": [{"name": "id", "type": {"base": "integer"}}, {"name": "note", "type": {"base":
        "character varying", "max_length": 25}}, {"name": "total", "type": {"base": "numeric", "precision": 18, "scale": 2}},
        {"name": "ok", "type": {"base": "boolean"}}]}, "meta": {"content_length": 42, "record_count": 3},"#;
    let schema = if is_verbose { schema } else { "" };
    let manifest =
        format!("{{\"entries\": [{}], {schema} \"author\": {{\"name\": \"Amazon Redshift\"}}}}", entries.join(","));
    Work::config("")
        .file("in/u/notes_manifest", manifest)
        .file("in/u/notes_0000_part_00", PARTS[0])
        .file("in/u/notes_0001_part_00", PARTS[1])
}

fn publish(work: &Work, columns: &str, stored: &str) -> String {
    let text = format!(
        "SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
         SET snaplake.staging = '../staging'; SET snaplake.datalake = '../lake';
         CREATE EXTERNAL TABLE snapshot.notes {columns} {};
         CREATE TABLE lake.notes AS SELECT * FROM snapshot.notes;",
        stored.replace("'in/", "'../in/")
    );
    fs::create_dir_all(work.path("configs")).unwrap();
    fs::write(work.path("configs/x.sql"), text).unwrap();
    work.run(&["run", "configs/x.sql"]).ok();
    rows(work, "SELECT * FROM lake.notes ORDER BY id")
}

const UNLOAD_ROWS: &str = "id,note,total,ok\n1,\"a|b\nc\",10.50,true\n2,,-0.01,false\n3,x\\y,1.00,\n";

#[test]
fn unload_of_redshift_is_read_by_its_manifest() {
    assert_eq!(publish(&unload(true), "", UNLOAD), UNLOAD_ROWS);
    let columns = "(id INT, note VARCHAR, total DECIMAL(18,2), ok BOOLEAN)";
    assert_eq!(publish(&unload(false), columns, UNLOAD), UNLOAD_ROWS);
    let work = found(unload(true));
    assert_eq!(rows(&work, "SELECT * FROM lake.notes ORDER BY id"), UNLOAD_ROWS);
    let config = fs::read_to_string(work.path("configs/x.sql")).unwrap();
    assert!(config.contains("'format.dialect' 'redshift'"), "{config}");
    let parquet = || {
        let work = Work::config("").copy("COPY (SELECT 1 AS id, 'a' AS note) TO 'in/orders/n_0000.parquet'");
        let size = fs::metadata(work.path("in/orders/n_0000.parquet")).unwrap().len();
        let meta = format!("{{\"content_length\": {size}, \"record_count\": 1}}");
        let entry = format!("{{\"url\": \"s3://b/n_0000.parquet\", \"meta\": {meta}}}");
        work.file("in/orders/n_manifest", format!("{{\"entries\": [{entry}]}}"))
    };
    assert_eq!(publish(&parquet(), "", "STORED AS REDSHIFT_UNLOAD LOCATION 'in/orders/n_manifest'"), "id,note\n1,a\n");
    let work = found(parquet());
    assert_eq!(rows(&work, "SELECT * FROM lake.orders"), "id,note\n1,a\n");
    let config = fs::read_to_string(work.path("configs/x.sql")).unwrap();
    assert!(config.contains("STORED AS REDSHIFT_UNLOAD"), "{config}");
}

#[test]
fn unload_of_redshift_that_is_not_as_its_manifest_says_is_refused() {
    let bare = "STORED AS REDSHIFT_UNLOAD LOCATION 'in/u/notes_manifest'";
    refused(&unload(true), "", bare, &["does not say how it is written", "OPTIONS ('dialect' 'redshift')"]);
    refused(&unload(false), "", UNLOAD, &["without names of columns", "declare all columns"]);
    refused(&unload(true), "", "STORED AS REDSHIFT_UNLOAD LOCATION 'in/u/'", &["no manifest"]);
    refused(
        &unload(true).file("in/u/notes_0001_part_00", ""),
        "",
        UNLOAD,
        &["notes_0001_part_00 has 0 bytes", "has 13"],
    );
    let work = unload(true);
    fs::remove_file(work.path("in/u/notes_0001_part_00")).unwrap();
    refused(&work, "", UNLOAD, &["notes_manifest lists s3://elsewhere/x/y/notes_0001_part_00, which is not there"]);
    // As many bytes, but not as many rows.
    refused(&unload(true).file("in/u/notes_0001_part_00", "3|||\n4|aaa||\n"), "", UNLOAD, &["notes_0001_part_00"]);
    let path = unload(true);
    let text = fs::read_to_string(path.path("in/u/notes_manifest")).unwrap();
    refused(
        &path.file("in/u/notes_manifest", text.replace("\"record_count\": 3", "\"record_count\": 4")),
        "",
        UNLOAD,
        &["3 rows", "has 4"],
    );
    refused(&unload(true).file("in/u/notes_manifest", &text[..90]), "", UNLOAD, &["notes_manifest"]);
}

const DMS: &str = "STORED AS DMS_EXPORT LOCATION 'in/' OPTIONS ('table' 'shop.notes')";

/// Seventeen files: their numbers are hexadecimal.
fn dms() -> Work {
    let mut work = Work::config("");
    for number in 1..=17 {
        let text = format!("{number},\"a \"\"{number}\"\"\"\n{},NULL\n", number + 100);
        work = work.file(&format!("in/shop/notes/LOAD{number:08X}.csv"), text);
    }
    work.file("in/shop/notes/20260131-134010000.csv", "U,1,b\n")
}

#[test]
fn full_load_of_dms_is_read_without_the_changes_after_it() {
    let columns = "(id INT, note VARCHAR)";
    let work = dms();
    let all = publish(&work, columns, DMS);
    assert!(all.starts_with("id,note\n1,\"a \"\"1\"\"\"\n2,") && all.lines().count() == 35, "{all}");
    assert_eq!(rows(&work, "SELECT count(note) AS n FROM lake.notes"), "n\n17\n");
    let plan = work.run(&["plan", "configs/x.sql"]).ok().stdout;
    assert!(plan.contains("1 file with changes after the load, such as 20260131-134010000.csv"), "{plan}");
    let header = Work::config("").file("in/shop/notes/LOAD00000001.csv", "Op,id,note\nI,1,a\n");
    let stored = DMS.replace("'shop.notes'", "'shop.notes', 'has_header' 'true'");
    assert_eq!(publish(&header, "(id INT, note VARCHAR)", &stored), "id,note\n1,a\n");
    let parquet = || Work::config("").copy("COPY (SELECT 1 AS id) TO 'in/shop/notes/LOAD00000001.parquet'");
    assert_eq!(publish(&parquet(), "", DMS), "id\n1\n");
    for work in [found(parquet()), found(dms())] {
        let config = fs::read_to_string(work.path("configs/x.sql")).unwrap();
        assert!(config.contains("STORED AS DMS_EXPORT") && config.contains("'table' 'shop.notes'"), "{config}");
    }
}

#[test]
fn init_loses_no_row_of_a_full_load_of_dms_and_no_empty_text() {
    let work = found(Work::config("").file("in/shop/countries/LOAD00000001.csv", "DE,Germany\nFR,France\n"));
    let all = rows(&work, "SELECT * FROM lake.countries ORDER BY column_1");
    assert_eq!(all, "column_1,column_2\nDE,Germany\nFR,France\n");
    let work = found(Work::config("").file("in/shop/notes/LOAD00000001.csv", "1,NULL,a\n2,5,\n"));
    let sql = "SELECT column_1, column_2, column_3 IS NULL AS n FROM lake.notes ORDER BY column_1";
    assert_eq!(rows(&work, sql), "column_1,column_2,n\n1,,false\n2,5,false\n");
    let named = ["id,note\n1,a\n", "id,note\n2,NULL\n"];
    let work = Work::config("").file("in/shop/notes/LOAD00000001.csv", named[0]);
    let work = found(work.file("in/shop/notes/LOAD00000002.csv", named[1]));
    assert_eq!(rows(&work, "SELECT id, note FROM lake.notes ORDER BY id"), "id,note\n1,a\n2,\n");
}

#[test]
fn full_load_of_dms_with_a_gap_or_other_files_is_refused() {
    let columns = "(id INT, note VARCHAR)";
    refused(&dms(), "", DMS, &["without names of columns"]);
    let gap = dms();
    fs::remove_file(gap.path("in/shop/notes/LOAD0000000A.csv")).unwrap();
    refused(&gap, columns, DMS, &["shop/notes has no LOAD0000000A.csv"]);
    refused(&dms().file("in/shop/notes/LOAD00000012.csv.gz", ""), columns, DMS, &["two kinds"]);
    refused(&dms().file("in/shop/notes/LOAD_1_0001.csv", ""), columns, DMS, &["LOAD_1_0001.csv is not read"]);
    refused(&dms(), columns, &DMS.replace("shop.notes", "shop.other"), &["no table shop.other", "shop.notes"]);
    refused(&Work::config("").file("in/shop/notes/a.csv", "1,a\n"), columns, DMS, &["LOAD*.csv"]);
}
