//! What the program prints: results on standard output, talk on standard error, exit codes.

use std::process::Stdio;

use regex::Regex;

use crate::support::Work;

const CONFIG: &str = "CREATE EXTERNAL TABLE snapshot.orders STORED AS CSV LOCATION 'export/orders/';
CREATE EXTERNAL TABLE snapshot.days STORED AS CSV LOCATION 'export/days.csv';
CREATE TABLE lake.orders WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id'], file_group_size = 1) AS
SELECT o.id, o.day, d.name FROM snapshot.orders AS o LEFT JOIN snapshot.days AS d ON d.day = o.day;
CREATE TABLE lake.none AS SELECT day FROM snapshot.days WHERE day = 'never';
";

fn shop() -> Work {
    Work::config(CONFIG)
        .file("export/orders/a.csv", "id,day\n1,mon\n2,tue\n")
        .file("export/orders/b.csv", "id,day\n3,mon\n4,\n")
        .file("export/days.csv", "day,name\nmon,Monday\n")
}

/// What the program did, without what differs from run to run: times, seconds, sizes of Parquet, fingerprints.
fn shown(project: &Work, arguments: &[&str]) -> String {
    let outcome = project.run(arguments);
    let exit = if outcome.code == 0 { String::new() } else { format!("exit {}\n", outcome.code) };
    let talk =
        if outcome.stderr.is_empty() { String::new() } else { format!("--- standard error\n{}", outcome.stderr) };
    let text = format!("{exit}{}{talk}", outcome.stdout);
    let masks = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "[time]"),
        (r"-> +[0-9.]+ (B|[KM]iB)", "-> [bytes]"),
        (r"(?m)[0-9]+\.[0-9]$", "[s]"),
        (r"(publish .* files?), [0-9.]+ (B|[KM]iB)", "$1, [bytes]"),
        (r#""seconds": [0-9.e-]+"#, r#""seconds": [s]"#),
        (r"(\S) {2,}", "$1  "),
        (r"((yes|no|\[bytes\])  \d+)  [0-9.]+ (B|[KM]iB)", "$1  [bytes]"),
        (r"(\[bytes\]  \d+)  [0-9.]+ (B|[KM]iB)", "$1  [bytes]"),
        ("[0-9a-f]{32}", "[fingerprint]"),
        (r#""bytes": [0-9]{3,}"#, r#""bytes": [bytes]"#),
    ];
    masks.iter().fold(text, |text, (pattern, mask)| Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned())
}

#[test]
fn help_of_the_program_and_of_every_subcommand() {
    let project = Work::config("");
    for command in [
        "",
        "init",
        "plan",
        "stage",
        "audit",
        "publish",
        "run",
        "task",
        "status",
        "snapshots",
        "drop",
        "expire",
        "diff",
        "validate",
        "clean",
        "repair",
        "query",
        "report",
        "completions",
    ] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let outcome = project.run(&arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command}");
        let name = if command.is_empty() { "help".to_owned() } else { format!("help_{command}") };
        insta::assert_snapshot!(name, outcome.stdout);
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_say_why() {
    let project = shop();
    let reported = [
        vec![],
        vec!["run"],
        vec!["rnu", "config.sql"],
        vec!["run", "config.sql", "--tabel", "orders"],
        vec!["run", "config.sql", "--var", "x"],
        vec!["run", "config.sql", "--memory-limit", "much"],
        vec!["run", "config.sql", "--threads", "0"],
        vec!["stage", "config.sql", "--group", "1"],
        vec!["query", "config.sql", "-c", "SELECT 1", "--format", "xml"],
    ];
    for arguments in &reported {
        let outcome = project.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{arguments:?}");
    }
    let first = |arguments: &[&str]| project.run(arguments).stderr.lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(reported[1..].iter().map(|arguments| first(arguments)).collect::<Vec<_>>().join("\n"), @"
    error: the following required arguments were not provided:
    error: unrecognized subcommand 'rnu'
    error: unexpected argument '--tabel' found
    error: invalid value 'x' for '--var <NAME=VALUE>': write NAME=VALUE
    error: invalid value 'much' for '--memory-limit <SIZE>': write a size such as 512MB, 4GiB or 1000000
    error: invalid value '0' for '--threads <N>': 0 is not in 1..=65535
    error: --group runs one task of one table, but the config has 2 tables
    error: invalid value 'xml' for '--format <FORMAT>'
    ");
    assert_eq!(project.paths("staging"), [""; 0]);
}

#[test]
fn plan_shows_what_would_be_done_and_writes_nothing() {
    let project = shop();
    insta::assert_snapshot!(shown(&project, &["plan", "config.sql"]), @"
    table  from  files  bytes  rows  stage tasks  publish tasks  partitions  time left
    orders  orders  2  35 B  4  2 (0 done)  not yet known  ?  ?
    none  days  1  20 B  1  1 (0 done)  not yet known  -  ?
    lake.orders -> [dir]/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders (new)
    lake.none -> [dir]/lake/shop/none/snapshot=2026-01-31T00:00:00Z/shop/public/none (new)
    warning: lake.orders: 2 snapshot files are larger than file_group_size (1 B), up to 19 B; export smaller files, or raise file_group_size: one task reads a whole file and takes longer than the others
    ");
    insta::assert_snapshot!("plan_json", shown(&project, &["plan", "config.sql", "--format", "json"]));
    insta::assert_snapshot!("plan_explain", shown(&project, &["plan", "config.sql", "--table", "orders", "--explain"]));
    assert_eq!(project.paths("staging").len() + project.paths("lake").len(), 0);
}

#[test]
fn stage_and_publish_are_the_two_halves_and_status_tells_how_far_they_are() {
    let project = shop();
    insta::assert_snapshot!(shown(&project, &["status", "config.sql"]), @"
    table  staged  published  running  failed  complete
    orders  not planned  -  0  0  no
    none  not planned  -  0  0  no
    ");
    insta::assert_snapshot!(shown(&project, &["stage", "config.sql", "--table", "orders", "--group", "2"]), @r"
    lake.orders stage group 2: done
    ");
    insta::assert_snapshot!(shown(&project, &["stage", "config.sql"]), @"
    table  staged  published  running  failed  complete
    orders  2 of 2  -  0  0  no
    none  1 of 1  -  0  0  no
    --- standard error
    stage  orders: 1 of 2 tasks, 1 done before; 1 file, 19 B
    stage  none: 1 of 1 task; 1 file, 20 B
    ");
    insta::assert_snapshot!(shown(&project, &["plan", "config.sql", "--quiet"]), @"
    table  from  files  bytes  rows  stage tasks  publish tasks  partitions  time left
    orders  orders  2  35 B  4  2 (2 done)  3 (0 done)  3  ?
    none  days  1  20 B  1  1 (1 done)  1 (0 done)  -  ?
    lake.orders -> [dir]/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders (planned [time]; staged, 0 of 3 groups published)
    lake.none -> [dir]/lake/shop/none/snapshot=2026-01-31T00:00:00Z/shop/public/none (planned [time]; staged, 0 of 1 group published)
    warning: lake.orders: 2 snapshot files are larger than file_group_size (1 B), up to 19 B; export smaller files, or raise file_group_size: one task reads a whole file and takes longer than the others
    ");
    insta::assert_snapshot!(shown(&project, &["publish", "config.sql"]), @r"
    table  rows in  rows out  files  bytes  partitions  seconds
    orders  4  4  2 -> 3  35 B -> [bytes]  3  [s]
    none  1  0  1 -> 1  20 B -> [bytes]  1  [s]
    lake.none is empty: its snapshot or its SELECT has no rows
    --- standard error
    publish orders: 3 of 3 tasks; 4 files, [bytes]
    publish none: 1 of 1 task; 0 files, [bytes]
    valid  orders: 4 rows in and out agree, _SUCCESS written
    valid  none: 0 rows in and out agree, _SUCCESS written
    ");
    insta::assert_snapshot!(shown(&project, &["status", "config.sql"]), @"
    table  staged  published  running  failed  complete  rows staged  bytes  rows published  bytes
    orders  2 of 2  3 of 3  0  0  yes  4  [bytes]  4  [bytes]
    none  1 of 1  1 of 1  0  0  yes  0  [bytes]  0  [bytes]
    ");
}

#[test]
fn run_prints_one_table_and_a_rerun_has_nothing_to_do() {
    let project = shop();
    insta::assert_snapshot!(shown(&project, &["run", "config.sql"]), @r"
    table  rows in  rows out  files  bytes  partitions  seconds
    orders  4  4  2 -> 3  35 B -> [bytes]  3  [s]
    none  1  0  1 -> 1  20 B -> [bytes]  1  [s]
    lake.none is empty: its snapshot or its SELECT has no rows
    --- standard error
    stage  orders: 2 of 2 tasks; 2 files, 35 B
    stage  none: 1 of 1 task; 1 file, 20 B
    publish orders: 3 of 3 tasks; 4 files, [bytes]
    publish none: 1 of 1 task; 0 files, [bytes]
    valid  orders: 4 rows in and out agree, _SUCCESS written
    valid  none: 0 rows in and out agree, _SUCCESS written
    ");
    let files = project.paths("");
    insta::assert_snapshot!(shown(&project, &["run", "config.sql"]), @r"
    table  rows in  rows out  files  bytes  partitions  seconds
    orders  4  4  2 -> 3  35 B -> [bytes]  3  [s]
    none  1  0  1 -> 1  20 B -> [bytes]  1  [s]
    lake.none is empty: its snapshot or its SELECT has no rows
    nothing to do: all tables are complete
    --- standard error
    stage  orders: 0 of 2 tasks, 2 done before; 0 files, 0 B
    stage  none: 0 of 1 task, 1 done before; 0 files, 0 B
    publish orders: 0 of 3 tasks, 3 done before; 0 files, [bytes]
    publish none: 0 of 1 task, 1 done before; 0 files, [bytes]
    ");
    assert_eq!(project.paths(""), files);
    insta::assert_snapshot!(shown(&project, &["run", "config.sql", "--quiet", "--table", "orders"]), @r"
    table  rows in  rows out  files  bytes  partitions  seconds
    orders  4  4  2 -> 3  35 B -> [bytes]  3  [s]
    nothing to do: all tables are complete
    ");
    insta::assert_snapshot!(shown(&project, &["validate", "config.sql", "--quiet"]), @r"
    table  rows in  rows out  files  bytes  partitions  seconds
    orders  4  4  2 -> 3  35 B -> [bytes]  3  [s]
    none  1  0  1 -> 1  20 B -> [bytes]  1  [s]
    lake.none is empty: its snapshot or its SELECT has no rows
    ");
    insta::assert_snapshot!("run_json", shown(&project, &["run", "config.sql", "--format", "json"]));
}

#[test]
fn validate_fails_with_3_when_a_published_file_is_gone() {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql"]).code, 0);
    let file = project.paths("lake").into_iter().find(|file| file.contains("day=tue")).unwrap();
    std::fs::remove_file(project.path(&file)).unwrap();
    insta::assert_snapshot!(hidden(&shown(&project, &["validate", "config.sql", "--table", "orders"])), @"
    exit 3
    --- standard error
    error: validation of lake.orders failed: [dir]/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders/day=tue/[name].parquet is gone, changed or unreadable: Object Store error: Object at location [dir]/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders/day=tue/[name].parquet not found: No such file or directory (os error 2); rows of lake files: 4, rows in their footers: 3
      help: use `snaplake repair CONFIG` to find missing and changed files, so that the next run makes them again; use `snaplake clean CONFIG` to list files that no manifest lists
    ");
}

/// Data files have names that a fingerprint decides.
fn hidden(text: &str) -> String {
    Regex::new(r"\d{6}-[0-9a-f]{12}-\d{4}").unwrap().replace_all(text, "[name]").into_owned()
}

#[test]
fn query_prints_rows_in_every_format_and_nothing_else() {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    let sql = "SELECT id, day, name FROM lake.orders ORDER BY id";
    for format in ["table", "csv", "tsv", "json", "nd-json"] {
        let outcome = project.run(&["query", "config.sql", "-c", sql, "--format", format]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        insta::assert_snapshot!(format!("query_{}", format.replace('-', "")), outcome.stdout);
    }
    let two = project.run(&["query", "config.sql", "-c", "SELECT 1 AS a", "-c", "SELECT 2 AS b", "--format", "csv"]);
    assert_eq!(two.stdout, "a\n1\nb\n2\n");
}

#[test]
fn query_refuses_statements_that_write() {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    let before = project.paths("");
    let reported = [
        "INSERT INTO lake.orders VALUES (9, 'x', 'sun')",
        "CREATE TABLE lake.x AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 'export/days.csv'",
        "COPY lake.orders TO 'out.parquet'",
        "DROP TABLE lake.orders",
        "DELETE FROM lake.orders",
        "UPDATE lake.orders SET id = 1",
        "EXPLAIN ANALYZE INSERT INTO lake.orders VALUES (9, 'x', 'sun')",
    ]
    .map(|sql| project.run(&["query", "config.sql", "-c", sql]))
    .map(|outcome| {
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
        outcome.stderr
    });
    let refusal = "error: query is read-only: statements that create, write or drop are refused\n";
    assert_eq!(reported, [refusal; 9]);
    assert_eq!(project.paths(""), before);
}

#[test]
fn completions_name_every_subcommand() {
    let outcome = Work::config("").run(&["completions", "bash"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    for command in ["init", "plan", "stage", "audit", "publish", "run", "status", "diff", "validate", "clean", "query"]
    {
        assert!(outcome.stdout.contains(&format!("snaplake__subcmd__{command}")), "{command}");
    }
}

#[test]
fn log_lines_go_to_standard_error_as_json_and_leave_the_result_alone() {
    let outcome = shop().run(&["run", "config.sql", "-v", "--log-format", "json", "--format", "json"]);
    assert_eq!(outcome.code, 0);
    serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap();
    let logs: Vec<&str> = outcome.stderr.lines().collect();
    for line in &logs {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(logs.iter().any(|line| line.contains("task committed")), "{}", outcome.stderr);
}

// The reader is gone before the first byte: what `snaplake ... | head -0` does.
#[test]
fn closed_pipe_is_neither_a_panic_nor_an_error() {
    let project = shop();
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    let everything = "SELECT a.value FROM generate_series(1, 1000) AS a, generate_series(1, 1000)";
    let outcomes = [
        vec!["--help"],
        vec!["completions", "bash"],
        vec!["plan", "config.sql"],
        vec!["status", "config.sql", "--format", "json"],
        vec!["run", "config.sql"],
        vec!["query", "config.sql", "--format", "csv", "-c", everything],
    ]
    .map(|arguments| {
        let mut command = project.here(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        project.masked(&child.wait_with_output().unwrap())
    });
    let quiet = outcomes
        .iter()
        .all(|outcome| outcome.code == 0 && !outcome.stderr.contains("panicked") && !outcome.stderr.contains("error"));
    assert!(quiet, "{outcomes:#?}");
}

#[test]
#[cfg(unix)]
fn allocator_keeps_freed_memory_for_ten_seconds_or_as_the_user_says() {
    let purge_delay = |given: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snaplake"));
        command.arg("--version").env("MIMALLOC_VERBOSE", "1").env_remove("MIMALLOC_PURGE_DELAY");
        command.envs(given.map(|given| ("MIMALLOC_PURGE_DELAY", given)));
        let output = command.output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("snaplake "));
        let talk = String::from_utf8(output.stderr).unwrap();
        // The last start is the one that does the work.
        talk.lines()
            .filter_map(|line| line.strip_prefix("option 'purge_delay': "))
            .next_back()
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(purge_delay(None), "10000");
    assert_eq!(purge_delay(Some("7")), "7");
}

#[test]
fn options_before_the_command_are_those_of_the_command() {
    let project = shop();
    let outcome = project.run(&["--memory-limit", "512MB", "--threads=1", "-q", "-t", "orders", "run", "config.sql"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("orders") && !outcome.stdout.contains("none"), "{}", outcome.stdout);
    let query = ["--format", "csv", "-c", "SELECT count(*) AS n FROM lake.orders", "query", "config.sql"];
    assert_eq!(project.run(&query).stdout, "n\n4\n");
    for wrong in [&["--memory-limit", "much", "run", "config.sql"][..], &["--threads", "2", "init", "export"]] {
        let outcome = project.run(wrong);
        assert_eq!(outcome.code, 2);
        assert!(outcome.stderr.contains(wrong[0]), "{}", outcome.stderr);
    }
}
