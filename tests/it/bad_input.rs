//! Bad input: each test shows exit code and message, and that nothing is half-published.

use std::fs;

use crate::support::Work;

const ORDERS: &str = "CREATE EXTERNAL TABLE snapshot.orders STORED AS CSV LOCATION 'export/';\n";
const LAKE: &str = "CREATE TABLE lake.orders AS SELECT * FROM snapshot.orders;\n";

/// One small CSV snapshot and one lake table with these properties and this SELECT.
fn shop(with: &str, select: &str) -> Work {
    let config = format!("{ORDERS}CREATE TABLE lake.orders {with} AS\n{select};\n");
    Work::config(&config).file("export/a.csv", "id,day\n1,mon\n2,tue\n")
}

/// Runs a command that must fail: its exit code and what it says.
fn refused(project: &Work, arguments: &[&str]) -> String {
    let outcome = project.run(arguments);
    assert_eq!(outcome.stdout, "", "an error leaves nothing on standard output");
    format!("exit {}: {}", outcome.code, outcome.stderr.trim_end())
}

/// A run that must fail before anything is planned: no file is written.
fn refused_at_planning(project: &Work) -> String {
    let message = refused(project, &["run", "config.sql", "--quiet"]);
    assert_eq!(project.paths("staging"), [""; 0], "planning failed, but wrote");
    assert_eq!(project.paths("lake"), [""; 0], "planning failed, but published");
    message
}

/// A run that must fail in a task: the plan is there, but no task is committed, and nothing is published.
fn refused_at_staging(project: &Work) -> String {
    let message = refused(project, &["run", "config.sql", "--quiet"]);
    let files = project.paths("staging").into_iter().filter(|file| file.contains("staging-file-groups"));
    let (reported, committed): (Vec<String>, Vec<String>) = files.partition(|file| file.contains("/failed-"));
    assert_eq!(committed, [""; 0], "a failed task has a manifest");
    assert!(!reported.is_empty(), "nobody is reported of the failure");
    assert_eq!(project.paths("lake"), [""; 0], "a failed run published");
    message
}

#[test]
fn missing_folder_is_named() {
    let project = Work::config(&format!("{ORDERS}{LAKE}"));
    insta::assert_snapshot!(refused_at_planning(&project), @"exit 1: error: config.sql:5:62: [dir]/export/ has no CSV file for snapshot.orders: nothing is there; check the path");
}

#[test]
fn missing_file_is_named() {
    let project = Work::config(&format!("{}{LAKE}", ORDERS.replace("export/", "export/orders.csv")));
    insta::assert_snapshot!(refused_at_planning(&project), @"exit 1: error: config.sql:5:62: [dir]/export/orders.csv has no CSV file for snapshot.orders: nothing is there; check the path");
}

#[test]
fn folder_without_a_file_of_the_format_is_named() {
    let project = Work::config(&format!("{ORDERS}{LAKE}")).file("export/a.parquet", "x").file("export/_b.csv", "x");
    insta::assert_snapshot!(refused_at_planning(&project), @"exit 1: error: config.sql:5:62: [dir]/export/ has no CSV file for snapshot.orders: 1 file *.parquet and 1 hidden file are there");
}

#[test]
fn glob_that_matches_nothing_is_named() {
    let project = Work::config(&format!("{}{LAKE}", ORDERS.replace("export/", "export/2024-*.csv")))
        .file("export/2023-01.csv", "id\n1\n");
    insta::assert_snapshot!(refused_at_planning(&project), @"exit 1: error: config.sql:5:62: [dir]/export/2024-*.csv has no CSV file for snapshot.orders: 1 file *.csv is there");
}

#[test]
fn truncated_parquet_is_named() {
    let config = format!("{}{LAKE}", ORDERS.replace("CSV", "PARQUET"));
    let project = Work::config(&config)
        .copy("COPY (SELECT value AS id FROM generate_series(1, 100)) TO 'export/a.parquet'")
        .copy("COPY (SELECT value AS id FROM generate_series(1, 100)) TO 'export/b.parquet'")
        .truncate("export/b.parquet");
    insta::assert_snapshot!(refused_at_planning(&project), @"
    exit 1: error: cannot read file://[dir]/export/b.parquet of snapshot.orders
      because Invalid Parquet file. Corrupt footer
      help: the file may be truncated or not of this format: export it again, or move it out of the LOCATION
    ");
}

#[test]
fn truncated_gzip_is_named_at_planning_without_declared_columns_and_at_staging_with_them() {
    let text = (0..1000).map(|id| format!("{id},{}\n", id * 7919 % 1000)).collect::<String>();
    let inferred = Work::config(&format!("{ORDERS}{LAKE}"))
        .gzip("export/a.csv.gz", format!("id,day\n{text}"))
        .gzip("export/b.csv.gz", format!("id,day\n{text}"))
        .truncate("export/b.csv.gz");
    insta::assert_snapshot!(refused_at_planning(&inferred), @"
    exit 1: error: cannot read file://[dir]/export/b.csv.gz of snapshot.orders
      because unexpected end of file
      help: the file may be truncated or not of this format: export it again, or move it out of the LOCATION
    ");
    let declared =
        Work::config(&format!("{}{LAKE}", ORDERS.replace("orders STORED", "orders (id INT, day INT) STORED")))
            .gzip("export/a.csv.gz", format!("id,day\n{text}"))
            .gzip("export/b.csv.gz", format!("id,day\n{text}"))
            .truncate("export/b.csv.gz");
    insta::assert_snapshot!(refused_at_staging(&declared), @"
    exit 1: error: stage of lake.orders group 1 failed
      because cannot read file://[dir]/export/b.csv.gz of snapshot.orders
      because unexpected end of file
      help: the file may be truncated or not of this format: export it again, or move it out of the LOCATION
    ");
}

#[test]
fn column_that_no_file_has_is_reported_with_the_nearest_one() {
    insta::assert_snapshot!(refused_at_planning(&shop("", "SELECT id, dya FROM snapshot.orders")), @"exit 2: error: config.sql:7:12: column 'dya' does not exist; did you mean 'day'?");
}

#[test]
fn declared_column_that_no_file_has_is_reported_with_the_nearest_one() {
    let sql = ORDERS.replace("orders STORED AS CSV", "orders (id INT, dya VARCHAR) STORED AS PARQUET");
    let project =
        Work::config(&format!("{sql}{LAKE}")).copy("COPY (SELECT 1 AS id, 'mon' AS day) TO 'export/a.parquet'");
    insta::assert_snapshot!(refused_at_planning(&project), @r#"
    exit 1: error: config.sql:5:1: column 'dya' is declared for snapshot.orders, but no file has it; did you mean 'day'?
      help: write "day", or leave the column out of CREATE EXTERNAL TABLE
    "#);
}

#[test]
fn value_that_cannot_be_cast_is_reported_with_its_file_among_several() {
    let config = format!(
        "{}CREATE TABLE lake.orders AS SELECT CAST(day AS INT) AS day FROM snapshot.orders;",
        ORDERS.replace("orders STORED", "orders (id INT, day VARCHAR) STORED")
    );
    let project = Work::config(&config)
        .file("export/a.csv", "id,day\n1,7\n")
        .file("export/b.csv", "id,day\n2,8\n3,n/a\n")
        .file("export/c.csv", "id,day\n4,9\n");
    insta::assert_snapshot!(refused_at_staging(&project), @"
    exit 1: error: stage of lake.orders group 1 failed at file://[dir]/export/b.csv
      because 'n/a' cannot be cast to INT
      help: correct the values, or use TRY_CAST to get NULL for values that cannot be cast
    ");
}

#[test]
fn text_that_is_not_of_its_declared_type_is_reported_with_its_line() {
    let config = format!("{}{LAKE}", ORDERS.replace("orders STORED", "orders (id INT, day DATE) STORED"));
    let project = Work::config(&config)
        .file("export/a.csv", "id,day\n1,2024-01-31\n")
        .file("export/b.csv", "id,day\n2,2024-02-28\n3,2024-02-31\n");
    insta::assert_snapshot!(refused_at_staging(&project), @"
    exit 1: error: stage of lake.orders group 1 failed
      because file://[dir]/export/b.csv, row 2, column 'day': '2024-02-31' cannot be read as DATE
      help: correct the value in its file, or declare a type that holds it and convert it in the SELECT; if it is a word for NULL in CSV, write OPTIONS ('null_regex' '^(NA)?$')
    ");
}

#[test]
fn types_that_do_not_merge_are_reported_with_both_files() {
    let project = Work::config(&format!("{}{LAKE}", ORDERS.replace("CSV", "PARQUET")))
        .copy("COPY (SELECT 1 AS id, 'x' AS day) TO 'export/a.parquet'")
        .copy("COPY (SELECT 1 AS id, true AS day) TO 'export/b.parquet'");
    insta::assert_snapshot!(refused_at_planning(&project), @"
    exit 1: error: column 'day' of snapshot.orders is VARCHAR in file://[dir]/export/a.parquet but BOOLEAN in file://[dir]/export/b.parquet
      help: declare the column in CREATE EXTERNAL TABLE to choose one type
    ");
}

#[test]
fn partition_value_that_no_key_can_hold_is_reported() {
    let select = "SELECT id, repeat(day, CASE day WHEN 'mon' THEN 100 ELSE 1 END) AS day FROM snapshot.orders";
    let project = shop("WITH (partitioned_by = ARRAY['day'])", select);
    insta::assert_snapshot!(refused_at_staging(&project), @"
    exit 1: error: stage of lake.orders group 1 failed
      because lake.orders: the folder name of partition column 'day' has 304 bytes (its value starts with 'monmonmonmonmonmonmonmonmonmonmonmonmonm'): file systems allow at most 255
      help: choose another partition column
    ");
}

#[test]
fn text_that_hive_takes_for_null_is_refused_as_a_partition_value() {
    let project = shop("WITH (partitioned_by = ARRAY['day'])", "SELECT id, day FROM snapshot.orders")
        .file("export/a.csv", "id,day\n1,__HIVE_DEFAULT_PARTITION__\n");
    insta::assert_snapshot!(refused_at_staging(&project), @"
    exit 1: error: stage of lake.orders group 1 failed at file://[dir]/export/a.csv
      because lake.orders: partition column 'day' has the text __HIVE_DEFAULT_PARTITION__, which query engines read as NULL
      help: write nullif(day, '__HIVE_DEFAULT_PARTITION__') in the SELECT to get NULL, or replace it with another text
    ");
}

#[test]
fn lake_with_files_of_somebody_else_is_refused_and_left_alone() {
    let project = shop("WITH (external_location = 'mine')", "SELECT * FROM snapshot.orders")
        .file("mine/other.parquet", "not ours");
    insta::assert_snapshot!(refused(&project, &["run", "config.sql", "--quiet"]), @"
    exit 1: error: [dir]/mine has 1 file that this snapshot did not write, such as other.parquet
      help: publish lake.orders to an empty location, or remove these files
    ");
    assert_eq!(project.paths("mine"), ["mine/other.parquet"]);
}

#[test]
fn two_tables_with_one_location_are_refused() {
    let project = Work::config(&format!(
        "{ORDERS}CREATE TABLE lake.a WITH (external_location = 'out') AS SELECT * FROM snapshot.orders;
CREATE TABLE lake.b WITH (external_location = 'out/b') AS SELECT * FROM snapshot.orders;"
    ));
    insta::assert_snapshot!(refused_at_planning(&project), @"
    exit 2: error: config.sql:7:1: lake.b would be published to [dir]/out/b, which overlaps the location of lake.a
      help: set another external_location for one of the two tables
    ");
}

// A file stands where a folder should be: permissions would not stop root.
#[test]
fn staging_folder_that_cannot_be_written_is_named() {
    let project = shop("", "SELECT * FROM snapshot.orders").file("staging", "a file");
    insta::assert_snapshot!(refused(&project, &["run", "config.sql", "--quiet"]), @"
    exit 1: error: read [dir]/staging/shop/orders/snapshot=2026-01-31T00:00:00Z/manifests/manifest-summary.json failed
      because Unable to open file [dir]/staging/shop/orders/snapshot=2026-01-31T00:00:00Z/manifests/manifest-summary.json: Not a directory (os error 20)
      help: to continue, run the same command again (finished tasks are kept): snaplake run config.sql --quiet
    ");
    assert_eq!(project.paths("lake"), [""; 0]);
}

#[test]
fn lake_folder_that_cannot_be_written_is_named_and_staging_is_kept() {
    let project = shop("", "SELECT * FROM snapshot.orders").file("lake", "a file");
    insta::assert_snapshot!(refused(&project, &["run", "config.sql", "--quiet"]), @"
    exit 1: error: read [dir]/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders/_snaplake.json failed
      because Unable to open file [dir]/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders/_snaplake.json: Not a directory (os error 20)
      help: to continue, run the same command again (finished tasks are kept): snaplake run config.sql --quiet
    ");
    fs::remove_file(project.path("lake")).unwrap();
    assert_eq!(project.run(&["run", "config.sql"]).code, 0, "a rerun goes on where the run stopped");
}

#[test]
fn config_that_is_missing_or_not_utf8_is_named() {
    let project = Work::config("").file("latin.sql", b"SET snaplake.database = 'caf\xe9';");
    insta::assert_snapshot!(refused(&project, &["run", "latin.sql"]), @"
    exit 2: error: latin.sql is not UTF-8 text (byte 28)
      help: save it as UTF-8
    ");
    insta::assert_snapshot!(refused(&project, &["run", "none.sql"]), @r"
    exit 2: error: cannot read config file none.sql
      because No such file or directory (os error 2)
    ");
}

#[test]
fn config_that_changed_after_staging_is_refused() {
    let project = shop("", "SELECT * FROM snapshot.orders");
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    let config = fs::read_to_string(project.path("config.sql")).unwrap();
    let project = project.file("config.sql", config.replace("SELECT *", "SELECT id"));
    insta::assert_snapshot!(masked(&refused(&project, &["publish", "config.sql"])), @"
    exit 1: error: lake.orders was planned [time] with another SELECT: * -> id
      help: undo the change, or use `snaplake run CONFIG --replan --table orders` to plan it again while nothing of it is published, or set a new snaplake.snapshot_time
    ");
    assert_eq!(project.paths("lake"), [""; 0]);
}

#[test]
fn snapshot_file_that_changed_after_planning_is_named() {
    let project =
        shop("WITH (file_group_size = 1)", "SELECT * FROM snapshot.orders").file("export/b.csv", "id,day\n3,wed\n");
    assert_eq!(project.run(&["stage", "config.sql", "--group", "1"]).code, 0);
    let project = project.file("export/a.csv", "id,day\n9,sun\n").file("export/b.csv", "id,day\n8,sat,sun\n");
    insta::assert_snapshot!(masked(&refused(&project, &["run", "config.sql", "--quiet"])), @"
    exit 1: error: stage of lake.orders group 2 failed
      because read [dir]/export/b.csv failed: it changed after it was planned
      because Request precondition failure for path [dir]/export/b.csv: it has 17 bytes, planned were 13
      help: use `snaplake run CONFIG --replan` to plan it again while nothing of it is published, or set a new snaplake.snapshot_time
    ");
    assert_eq!(project.paths("lake"), [""; 0]);
}

#[test]
fn unknown_table_and_group_out_of_range_are_usage_errors() {
    let project = shop("", "SELECT * FROM snapshot.orders");
    insta::assert_snapshot!(refused(&project, &["run", "config.sql", "--table", "order"]), @"exit 2: error: config.sql:1:1: the config has no table lake.order; did you mean 'orders'?");
    insta::assert_snapshot!(refused(&project, &["stage", "config.sql", "--group", "2", "--table", "orders"]), @"exit 2: error: lake.orders has no stage group 2: the plan has groups 1 to 1");
    insta::assert_snapshot!(refused(&project, &["stage", "config.sql", "--group", "0", "--table", "orders"]), @"exit 2: error: lake.orders has no stage group 0: the plan has groups 1 to 1");
    insta::assert_snapshot!(refused(&project, &["publish", "config.sql", "--quiet"]), @"
    exit 1: error: lake.orders is not staged: 1 of 1 stage groups are missing
      help: run `snaplake stage` first
    ");
    insta::assert_snapshot!(refused(&project, &["validate", "config.sql", "--quiet"]), @"
    exit 1: error: lake.orders is not staged: 1 of 1 stage groups are missing
      help: run `snaplake stage` first
    ");
}

#[test]
fn select_that_is_not_row_wise_or_not_repeatable_is_refused() {
    let reported = |select: &str| refused_at_planning(&shop("", select));
    insta::assert_snapshot!(reported("SELECT day, count(*) AS n FROM snapshot.orders GROUP BY day"), @"
    exit 2: error: config.sql:7:1: the SELECT of lake.orders is not row-wise: GROUP BY
      help: a row-wise SELECT runs once per file group; write WITH (file_group_size = 'all') to run it once over all files
    ");
    insta::assert_snapshot!(reported("SELECT id, random() AS r FROM snapshot.orders"), @"
    exit 2: error: config.sql:7:12: function random() returns a different value on each run, so a retry would write different rows
      help: compute the value from the data
    ");
    insta::assert_snapshot!(reported("SELECT DISTINCT day FROM snapshot.orders"), @"
    exit 2: error: config.sql:7:1: the SELECT of lake.orders is not row-wise: DISTINCT
      help: a row-wise SELECT runs once per file group; write WITH (file_group_size = 'all') to run it once over all files
    ");
}

#[test]
fn wrong_property_size_and_partition_column_are_reported_at_their_place() {
    let reported = |with: &str| refused_at_planning(&shop(with, "SELECT * FROM snapshot.orders"));
    insta::assert_snapshot!(reported("WITH (target_file_size = '12 parsecs')"), @"exit 2: error: config.sql:6:51: invalid value '12 parsecs' for target_file_size: expected a size such as '128MB', '128MiB' or a number of bytes");
    insta::assert_snapshot!(reported("WITH (sort_by = ARRAY['id'])"), @"exit 2: error: config.sql:6:32: unknown property 'sort_by'; did you mean 'sorted_by'?");
    insta::assert_snapshot!(reported("WITH (partitioned_by = ARRAY['dya'])"), @"exit 2: error: config.sql:6:55: partitioned_by column 'dya' is not in the SELECT of lake.orders; did you mean 'day'?");
    insta::assert_snapshot!(reported("WITH (sorted_by = ARRAY['idd'])"), @"exit 2: error: config.sql:6:50: sorted_by column 'idd' is not in the SELECT of lake.orders; did you mean 'id'?");
}

/// Times differ from run to run.
fn masked(text: &str) -> String {
    regex::Regex::new(r"planned [0-9T:.-]+Z").unwrap().replace_all(text, "planned [time]").into_owned()
}

#[test]
fn what_does_not_fit_into_the_memory_is_reported_with_file_row_size_and_the_setting() {
    let long = "y".repeat(10 << 20);
    let run = |project: &Work, memory: &str| project.run(&["run", "config.sql", "-q", "--memory-limit", memory]);
    let declared = "CREATE EXTERNAL TABLE snapshot.t (id BIGINT, v VARCHAR)";
    let lake = "CREATE TABLE lake.t AS SELECT * FROM snapshot.t;";
    for (format, name, text) in [
        ("CSV", "a.csv", format!("id,v\n1,a\n2,{long}\n")),
        ("CSV", "a.csv", format!("id,v\n1,a\n2,\"{long}\"\n")),
        ("JSON", "a.json", format!("{{\"id\": 1}}\n{{\"id\": 2, \"v\": \"{long}\"}}\n")),
    ] {
        let config = format!("{declared} STORED AS {format} LOCATION 'export/';\n{lake}");
        for project in [
            Work::config(&config).file(&format!("export/{name}"), &text),
            Work::config(&config).gzip(&format!("export/{name}.gz"), &text),
        ] {
            let outcome = run(&project, "128MB");
            assert_eq!(outcome.code, 1, "{}", outcome.stderr);
            for words in
                [format!("export/{name}"), "line ".to_owned(), "8388608".to_owned(), "--memory-limit".to_owned()]
            {
                assert!(outcome.stderr.contains(&words), "no {words} in {}", outcome.stderr);
            }
            assert!(project.paths("lake").is_empty());
            assert_eq!(run(&project, "512MB").code, 0);
        }
    }
    let config = format!("CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 'export/';\n{lake}");
    let copy =
        |select: &str| Work::config(&config).copy(&format!("COPY ({select}) TO 'export/a.parquet' STORED AS PARQUET"));
    let value = copy("SELECT 1 AS id, 'a' AS v UNION ALL SELECT 2, repeat('y', 10000000)");
    let batch = copy("SELECT value AS id, repeat('y', 6000) AS v FROM generate_series(1, 9000)");
    for (project, words) in [
        (
            value,
            ["column 'v': a value of 10000000 bytes", "--memory-limit allows 8388608", "help: raise --memory-limit"],
        ),
        (batch, ["column 'v': rows that are read together", "row 1,", "help: raise --memory-limit"]),
    ] {
        let outcome = run(&project, "128MB");
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        for words in words {
            assert!(outcome.stderr.contains(words), "no {words} in {}", outcome.stderr);
        }
        assert!(outcome.stderr.contains("export/a.parquet") && project.paths("lake").is_empty(), "{}", outcome.stderr);
        assert_eq!(run(&project, "512MB").code, 0);
    }
}
