//! `snaplake query`: which files it opens, what it sees of a run that is going on, where its rows go, what it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::support::{Run, Work};

/// Three days of three groups; ids of a group lie together, and a day has a file per group.
fn events() -> Work {
    let rows = |from: u32| {
        let row = |id: u32| match id % 4 {
            0 => format!("{id},,\n"),
            day => format!("{id},2026-01-0{day},note {id:03}\n"),
        };
        (from..from + 12).map(row).fold("id,day,note\n".to_owned(), |text, row| text + &row)
    };
    let config = "CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day DATE, note VARCHAR)
        STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true', 'format.null_regex' '^$');
        CREATE TABLE lake.events WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id'], file_group_size = 1) AS
        SELECT id, day, note FROM snapshot.events;";
    let project = Work::config(config);
    [1, 101, 201].into_iter().fold(project, |project, from| project.file(&format!("export/{from}.csv"), rows(from)))
}

fn run(project: &Work, sql: &str) -> Run {
    project.run(&["query", "config.sql", "--format", "csv", "-c", sql])
}

#[track_caller]
fn answer(project: &Work, sql: &str) -> String {
    let outcome = run(project, sql);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{sql}");
    outcome.stdout
}

/// Removes data files whose path does not hold `kept`: who opens one of them fails.
fn remove_data(project: &Work, folder: &str, kept: &str) -> usize {
    let files = project.paths(folder).into_iter().filter(|file| file.contains("/day=") && !file.contains(kept));
    files.map(|file| std::fs::remove_file(project.path(&file)).unwrap()).count()
}

/// The line of EXPLAIN that says how many files are read.
fn files_read(project: &Work, sql: &str) -> String {
    let plan = answer(project, &format!("EXPLAIN {sql}"));
    let line = plan.lines().find(|line| line.contains("ManifestScanExec"));
    line.map_or("none".to_owned(), |line| line.trim().replace("ManifestScanExec: ", "").replace('"', ""))
}

#[test]
fn filter_of_a_partition_opens_its_files_alone() {
    let project = events();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    for (schema, files) in [("staging", "3 of 12"), ("lake", "1 of 4")] {
        assert!(remove_data(&project, schema, "day=2026-01-02") > 0);
        let of_day = format!("SELECT count(*) AS n, sum(id) AS sum FROM {schema}.events WHERE day = DATE '2026-01-02'");
        assert_eq!(answer(&project, &of_day), "n,sum\n9,954\n");
        assert_eq!(files_read(&project, &of_day), format!("{schema}.events, files={files}"));
        let all = run(&project, &format!("SELECT sum(id) FROM {schema}.events"));
        assert_eq!((all.code, all.stdout.as_str()), (1, ""));
        assert!(all.stderr.contains("not found"), "{}", all.stderr);
    }
}

#[test]
fn filter_of_null_partitions_opens_their_files_alone() {
    let project = events();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    remove_data(&project, "lake", "day=__HIVE_DEFAULT_PARTITION__");
    assert_eq!(answer(&project, "SELECT min(id) AS id FROM lake.events WHERE day IS NULL AND id > 100"), "id\n104\n");
    assert_eq!(run(&project, "SELECT sum(id) FROM lake.events WHERE day IS NOT NULL").code, 1);
}

#[test]
fn filter_of_a_column_passes_over_files_whose_range_has_none() {
    let project = events();
    assert_eq!(project.run(&["stage", "config.sql", "--quiet"]).code, 0);
    let sql = "SELECT id, note FROM staging.events WHERE id BETWEEN 100 AND 101 AND note > 'note 100'";
    assert_eq!(files_read(&project, sql), "staging.events, files=1 of 12");
    assert_eq!(answer(&project, sql), "id,note\n101,note 101\n");
    assert_eq!(files_read(&project, "SELECT * FROM staging.events WHERE id > 300"), "staging.events, files=0 of 12");
    assert_eq!(answer(&project, "SELECT count(*) AS n FROM staging.events WHERE id > 300"), "n\n0\n");
}

#[test]
fn count_min_and_max_open_no_file() {
    let project = events();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    for schema in ["staging", "lake"] {
        assert!(remove_data(&project, schema, "no such file") >= 4);
        let sql = format!(
            "SELECT count(*) AS n, count(note) AS notes, min(id) AS a, max(id) AS z, min(day) AS first, max(note) AS last
             FROM {schema}.events"
        );
        let expected = "n,notes,a,z,first,last\n36,27,1,212,2026-01-01,note 211\n";
        assert_eq!(answer(&project, &sql), expected);
        assert_eq!(
            answer(&project, &format!("{sql} WHERE day = DATE '2026-01-03'")),
            "n,notes,a,z,first,last\n9,9,3,211,2026-01-03,note 211\n"
        );
        assert_eq!(files_read(&project, &sql), "none");
        assert_eq!(run(&project, &format!("SELECT sum(id) FROM {schema}.events")).code, 1);
    }
}

#[test]
fn texts_that_are_cut_in_the_manifest_are_not_answered_from_it() {
    let long = "é".repeat(50);
    let config = "CREATE EXTERNAL TABLE snapshot.t (id INT, text VARCHAR) STORED AS CSV LOCATION 'export/t.csv';
        CREATE TABLE lake.t AS SELECT id, text FROM snapshot.t;";
    let project = Work::config(config).file("export/t.csv", format!("id,text\n1,{long}a\n2,{long}b\n3,x\n"));
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    for schema in ["staging", "lake"] {
        let sql = |text: &str| format!("SELECT {text} AS text FROM {schema}.t");
        assert_eq!(answer(&project, &sql("max(text)")), format!("text\n{long}b\n"));
        assert_eq!(answer(&project, &sql("max(id)")), "text\n3\n");
        assert_eq!(answer(&project, &format!("{} WHERE text > '{long}a'", sql("text"))), format!("text\n{long}b\n"));
    }
}

// A table that is being staged: one task has committed, a file of another one lies about.
#[test]
fn files_that_no_task_has_committed_are_not_seen() {
    let project = events();
    let stage = |group: &str| project.run(&["stage", "config.sql", "--table", "events", "--group", group]).code;
    assert_eq!(project.run(&["stage", "config.sql", "--quiet"]).code, 0);
    let summary = project
        .paths("staging")
        .into_iter()
        .find(|file| file.contains("staging-file-groups/manifest-summary/manifest-summary-2"))
        .unwrap();
    std::fs::remove_file(project.path(&summary)).unwrap();
    let seen = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM staging.events";
    assert_eq!(answer(&project, seen), "n,ids\n24,24\n");
    let tasks = "SELECT group_number, state, files_written FROM manifest.tasks WHERE step = 'stage' ORDER BY 1";
    assert_eq!(answer(&project, tasks), "group_number,state,files_written\n1,done,4\n2,open,\n3,done,4\n");
    assert_eq!(stage("2"), 0);
    assert_eq!(answer(&project, seen), "n,ids\n36,36\n");
}

// Footers say nothing of NaN, which is larger than all: the engine must not pass over row groups by them.
#[test]
fn nan_is_found_in_every_step_by_a_range_and_by_order() {
    let config = "CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 'export/';
        CREATE TABLE lake.t WITH (sorted_by = ARRAY['id']) AS SELECT id, x, y FROM snapshot.t;";
    let rows = "SELECT value AS id, CASE WHEN value = 7 THEN 'NaN'::DOUBLE ELSE value / 2.0 END AS x, value / 2.0 AS y
        FROM generate_series(1, 9)";
    let project = Work::config(config).copy(&format!("COPY ({rows}) TO 'export/a.parquet'"));
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    for schema in ["snapshot", "staging", "lake"] {
        let found = answer(&project, &format!("SELECT id, x AS \"X\" FROM {schema}.t WHERE x > 100"));
        assert_eq!(found, "id,X\n7,NaN\n", "{schema}");
        let largest = answer(&project, &format!("SELECT id, x AS y FROM {schema}.t ORDER BY x DESC LIMIT 1"));
        assert_eq!(largest, "id,y\n7,NaN\n", "{schema}");
        assert_eq!(answer(&project, &format!("SELECT id FROM {schema}.t WHERE y > 4.4")), "id\n9\n", "{schema}");
    }
}

// Footers pass over NaN: an engine that trusts them loses the row of a filter in the SELECT, and of an audit.
#[test]
fn nan_is_found_by_the_filter_of_a_select_and_of_an_audit() {
    let config = "CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 'export/';
        CREATE TABLE lake.t WITH (sorted_by = ARRAY['id']) AS SELECT id, x FROM snapshot.t WHERE x > 100000;
        CREATE TABLE lake.all_rows WITH (sorted_by = ARRAY['id'], file_group_size = 1) AS SELECT id, x FROM snapshot.t;
        CREATE VIEW audit.too_large AS SELECT id FROM staging.all_rows WHERE x > 100000;";
    let rows = "SELECT value AS id, CASE WHEN value = 7 THEN 'NaN'::DOUBLE ELSE value / 2.0 END AS x
        FROM generate_series(1, 60000)";
    let project = Work::config(config).copy(&format!("COPY ({rows}) TO 'export/a.parquet'"));
    assert_eq!(project.run(&["run", "config.sql", "--quiet", "--table", "t"]).code, 0);
    assert_eq!(answer(&project, "SELECT id FROM lake.t ORDER BY id"), "id\n7\n");
    let run = project.run(&["run", "config.sql", "--quiet", "--table", "all_rows"]);
    assert!(run.code == 4 && run.stderr.contains("too_large found 1 row"), "{} {}", run.code, run.stderr);
}

// A planner writes the first group last, so that it is the commit of all.
#[test]
fn publish_groups_of_a_planner_that_died_are_not_seen() {
    let project = events();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    let counts = "SELECT (SELECT count(*) FROM manifest.partition_file_groups) AS files,
        (SELECT count(*) FROM manifest.tasks WHERE step = 'publish') AS tasks";
    assert_eq!(answer(&project, counts), "files,tasks\n12,4\n");
    let is_first = |file: &String| file.contains("partition-file-groups/") && file.ends_with("summary-1.json");
    let is_published = |file: &String| file.contains("datalake-file-groups/manifest-summary/");
    for file in project.paths("staging").iter().filter(|file| is_first(file) || is_published(file)) {
        std::fs::remove_file(project.path(file)).unwrap();
    }
    assert_eq!(answer(&project, counts), "files,tasks\n0,0\n");
}

#[test]
fn query_beside_a_stage_sees_whole_tasks_and_no_row_twice() {
    let work = Work::events(60, 400);
    let mut stage = work.command(&["stage", "--quiet", "--threads", "1"]).stderr(Stdio::null()).spawn().unwrap();
    let sql =
        "SELECT (SELECT count(*) FROM staging.events) AS seen, (SELECT count(DISTINCT id) FROM staging.events) AS ids,
        (SELECT sum(rows_written) FROM manifest.tasks WHERE step = 'stage' AND state = 'done') AS committed";
    let mut seen = Vec::new();
    loop {
        let is_over = stage.try_wait().unwrap().is_some();
        let run = work.snaplake(&["query", "--format", "csv", "-c", sql]);
        // Before the plan is committed there is no such table.
        if run.stderr.contains("table 'staging.events' does not exist") && !is_over {
            continue;
        }
        let row = run.ok().stdout.lines().nth(1).unwrap().to_owned();
        let numbers: Vec<u64> = row.split(',').map(|number| number.parse().unwrap_or(0)).collect();
        assert!(numbers[0] == numbers[1] && numbers[1] == numbers[2], "{row}");
        seen.push(numbers[0]);
        if is_over {
            break;
        }
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&24_000));
}

#[test]
fn sort_beyond_the_memory_spills_and_its_rows_stream() {
    let work = Work::events(1, 1);
    let sql = "SELECT value, repeat(CAST(value * 7919 % 1000003 AS VARCHAR), 30) AS text
        FROM generate_series(1, 3000000) ORDER BY text";
    let arguments = ["query", "--memory-limit", "64MB", "--format", "ndjson", "-c", sql];
    let mut child = work.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    // All rows are sorted now, and most of them wait for the pipe.
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak: u64 = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(lines.lines().map(Result::unwrap).count(), 2_999_999);
    assert!(child.wait().unwrap().success());
    assert!(peak < 330_000, "{peak} KiB for 560 MB of rows");
}

#[test]
fn rows_go_into_a_file_when_they_are_whole() {
    let project = events();
    let sql = "SELECT id, day FROM snapshot.events WHERE id < 4 ORDER BY id";
    let into = |format: &str, file: &str, sql: &str| {
        project.run(&["query", "config.sql", "--format", format, "-o", file, "-c", sql])
    };
    for (format, expected) in [
        ("csv", "id,day\n1,2026-01-01\n2,2026-01-02\n3,2026-01-03\n"),
        ("tsv", "id\tday\n1\t2026-01-01\n2\t2026-01-02\n3\t2026-01-03\n"),
        (
            "ndjson",
            "{\"id\":1,\"day\":\"2026-01-01\"}\n{\"id\":2,\"day\":\"2026-01-02\"}\n{\"id\":3,\"day\":\"2026-01-03\"}\n",
        ),
    ] {
        let outcome = into(format, "rows", sql);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""));
        assert_eq!(std::fs::read_to_string(project.path("rows")).unwrap(), expected);
    }
    // A failure leaves what was there before, and nothing else.
    let failed = into("csv", "rows", "SELECT 1 / (id - 2) FROM snapshot.events ORDER BY id");
    assert_eq!(failed.code, 1);
    assert!(std::fs::read_to_string(project.path("rows")).unwrap().starts_with("{\"id\":1,"));
    assert!(!project.paths("").iter().any(|file| file.contains(".snaplake-")));
    let nowhere = into("csv", "no/such/folder/rows", sql);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("opening no/such/folder/rows failed"), "{}", nowhere.stderr);
}

#[test]
fn parquet_rows_are_read_back_with_their_types() {
    let project = events();
    let sql = "SELECT id, day, note, CAST(id AS DECIMAL(9, 2)) AS price FROM snapshot.events ORDER BY id";
    let arguments = ["query", "config.sql", "--format", "parquet", "-o", "out.parquet", "-c", sql];
    assert_eq!(project.run(&arguments).code, 0);
    let piped = project.here(&["query", "config.sql", "--format", "parquet", "-c", sql]).output().unwrap();
    assert_eq!(std::fs::read(project.path("out.parquet")).unwrap(), piped.stdout);
    let back = Work::config(
        "CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 't.parquet';
         CREATE TABLE lake.t AS SELECT * FROM snapshot.t;",
    )
    .file("t.parquet", &piped.stdout);
    let types =
        "SELECT arrow_typeof(day) AS day, arrow_typeof(price) AS price, count(*) AS n FROM snapshot.t GROUP BY 1, 2";
    assert_eq!(answer(&back, types), "day,price,n\nDate32,\"Decimal128(9, 2)\",36\n");
    let two = project.run(&[arguments.as_slice(), &["-c", "SELECT 1"]].concat());
    assert_eq!(
        (two.code, two.stderr.as_str()),
        (2, "error: a Parquet file has the rows of one statement\n  help: give one statement\n")
    );
}

#[test]
fn result_without_rows_has_its_header() {
    let project = events();
    let of = |format: &str| {
        project
            .run(&["query", "config.sql", "--format", format, "-c", "SELECT id, day FROM snapshot.events WHERE id < 0"])
            .stdout
    };
    assert_eq!(["csv", "tsv", "json", "ndjson"].map(of), ["id,day\n", "id\tday\n", "[]\n", ""].map(str::to_owned));
    assert!(of("table").contains("| id | day |"));
}

#[test]
fn sql_comes_from_a_file_or_from_standard_input() {
    let project = events().file("report.sql", "-- two results\nSELECT 1 AS a;\nSELECT 2 AS b");
    let from_file = project.run(&["query", "config.sql", "--format", "csv", "-f", "report.sql"]);
    assert_eq!((from_file.code, from_file.stdout.as_str()), (0, "a\n1\nb\n2\n"));
    for arguments in
        [vec!["query", "config.sql", "--format", "csv"], vec!["query", "config.sql", "--format", "csv", "-f", "-"]]
    {
        let mut command = project.here(&arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"SELECT 3 AS c;\n\n").unwrap();
        let outcome = project.masked(&child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "c\n3\n", ""));
    }
    let none = project.run(&["query", "config.sql", "-f", "none.sql"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("reading none.sql failed"), "{}", none.stderr);
    // A mistake in the last statement is reported before the first one runs.
    let wrong = run(&project, "SELECT 1; SELEKT 2");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""));
    assert!(wrong.stderr.contains("line 1, column 11: expected an SQL statement, found SELEKT"), "{}", wrong.stderr);
}

#[test]
fn table_shows_no_more_rows_than_asked_for_and_says_that_there_are_more() {
    let project = events();
    let sql = "SELECT id FROM snapshot.events ORDER BY id";
    let shown = |rows: &str| project.run(&["query", "config.sql", "--maxrows", rows, "-c", sql]);
    let two = shown("2");
    assert_eq!(two.stdout, "+----+\n| id |\n+----+\n| 1  |\n| 2  |\n+----+\n");
    assert_eq!(two.stderr, "the first 2 rows; there are more: --maxrows inf shows all\n");
    for all in [shown("36"), shown("inf")] {
        assert_eq!((all.stdout.lines().count(), all.stderr.as_str()), (40, ""));
    }
    assert_eq!(shown("some").code, 2);
}

// What `snaplake query ... | head -1` does.
#[test]
fn reader_that_has_enough_ends_the_query_quietly() {
    let project = events();
    let everything = "SELECT a.value FROM generate_series(1, 100000) AS a, generate_series(1, 100000)";
    for format in ["csv", "tsv", "json", "ndjson", "parquet"] {
        let mut command = project.here(&["query", "config.sql", "--format", format, "-c", everything]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 4];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let outcome = project.masked(&child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{format}");
    }
}

#[test]
fn settings_that_would_lift_the_limits_are_refused_and_others_are_not() {
    let project = events();
    let memory = run(&project, "SET datafusion.runtime.memory_limit = '100G'");
    let expected =
        "error: query is read-only: datafusion.runtime.memory_limit stays as it is; --memory-limit sets the memory\n";
    assert_eq!((memory.code, memory.stderr.as_str()), (1, expected));
    for sql in [
        "RESET datafusion.runtime.memory_limit",
        "SET datafusion.catalog.location = '/'",
        "PREPARE p AS INSERT INTO snapshot.events VALUES (1, NULL, 'x')",
        "SET datafusion.execution.batch_size = 7; COPY (SELECT 1) TO 'rows.csv'",
    ] {
        let outcome = run(&project, sql);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{sql}");
        assert!(outcome.stderr.contains("query is read-only: "), "{}", outcome.stderr);
    }
    assert_eq!(answer(&project, "SET datafusion.execution.time_zone = '+02:00'; SELECT 1 AS a"), "a\n1\n");
}

#[test]
fn partition_of_several_publish_tasks_is_seen_when_all_are_done() {
    let config = "CREATE EXTERNAL TABLE snapshot.t (id BIGINT, note VARCHAR) STORED AS CSV LOCATION 'export/';
        CREATE TABLE lake.t WITH (file_group_size = 1, target_file_size = 1000, min_file_size = 1, max_file_size = 10000) AS
        SELECT id, note FROM snapshot.t;";
    let rows = |from: usize| {
        (from..from + 100).fold("id,note\n".to_owned(), |text, id| text + &format!("{id},{:x}\n", id * 7_654_321))
    };
    let project = (0..40)
        .fold(Work::config(config), |project, file| project.file(&format!("export/{file:02}.csv"), rows(file * 100)));
    assert_eq!(project.run(&["stage", "config.sql", "-q"]).code, 0);
    let tasks = answer(&project, "SELECT count(*) AS n FROM manifest.tasks WHERE step = 'publish'");
    assert_eq!(tasks, "n\n0\n");
    let counts = "SELECT (SELECT count(*) FROM lake.t) AS n, (SELECT count(DISTINCT id) FROM lake.t) AS ids,
        (SELECT count(*) FROM staging.t) AS staged";
    let mut done = 0;
    loop {
        let group = (done + 1).to_string();
        let published = project.run(&["publish", "config.sql", "--table", "t", "--group", &group, "-q"]);
        if published.code != 0 {
            break;
        }
        done += 1;
        let tasks = answer(&project, "SELECT count(*) AS n FROM manifest.tasks WHERE step = 'publish'");
        let all = format!("n\n{done}\n") == tasks;
        let expected = if all { "4000,4000,4000" } else { "0,0,4000" };
        assert_eq!(answer(&project, counts), format!("n,ids,staged\n{expected}\n"), "after {done} of {tasks}");
    }
    assert!(done > 2, "one task has it all");
}

#[test]
fn clauses_that_the_engine_would_ignore_are_refused_at_their_table() {
    let project = events();
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 0);
    for (sql, words) in [
        ("SELECT count(*) FROM lake.events TABLESAMPLE (10 PERCENT)", "line 1, column 22: TABLESAMPLE"),
        (
            "SELECT 1 FROM lake.events AS e\nJOIN lake.events AS f TABLESAMPLE BERNOULLI (1) ON true",
            "line 2, column 6: TABLESAMPLE",
        ),
        ("SELECT 1 FROM (SELECT * FROM lake.events) AS x TABLESAMPLE (5 ROWS)", "TABLESAMPLE"),
        ("SELECT 1 FROM lake.events WHERE id IN (SELECT id FROM lake.events SAMPLE (1))", "column 55: TABLESAMPLE"),
        ("SELECT 1 FROM lake.events WITH (NOLOCK)", "hints"),
        ("SELECT 1 FROM lake.events PARTITION (p0)", "WHERE"),
    ] {
        let outcome = run(&project, sql);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{sql}");
        assert!(outcome.stderr.contains(words), "{sql}: {}", outcome.stderr);
    }
    let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
    let project =
        project.file("config.sql", text.replace("FROM snapshot.events;", "FROM snapshot.events TABLESAMPLE (10);"));
    let outcome = project.run(&["run", "config.sql", "--replan", "--withdraw"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("config.sql:8:35: TABLESAMPLE") && outcome.stderr.contains("WHERE"),
        "{}",
        outcome.stderr
    );
}
