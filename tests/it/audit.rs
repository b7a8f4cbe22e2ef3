//! Audits: what holds back which table, what a failure leaves, what is remembered, and what is refused.

use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::Work;

const ORDERS: &str = "CREATE EXTERNAL TABLE snapshot.orders (id BIGINT, customer BIGINT, day VARCHAR, state VARCHAR)
STORED AS CSV LOCATION 'export/orders/';
";
const CUSTOMERS: &str = "CREATE EXTERNAL TABLE snapshot.customers (id BIGINT, name VARCHAR)
STORED AS CSV LOCATION 'export/customers.csv';
CREATE TABLE lake.customers AS SELECT * FROM snapshot.customers;
";
const KNOWN_CUSTOMER: &str = "CREATE VIEW audit.orders_have_a_known_customer AS
SELECT o.id, o.customer FROM staging.orders AS o LEFT JOIN staging.customers AS c ON c.id = o.customer
WHERE c.id IS NULL ORDER BY o.id;
";

/// Orders by day in three file groups, with these properties: one has no customer, one an unknown state, two the same id.
fn orders(properties: &str, more: &str) -> Work {
    Work::config(&config(properties, more))
        .file("export/orders/a.csv", "id,customer,day,state\n1,10,mon,new\n2,20,tue,paid\n")
        .file("export/orders/b.csv", "id,customer,day,state\n3,,mon,paid\n4,10,,\n")
        .file("export/orders/c.csv", "id,customer,day,state\n2,20,wed,lost\n,30,wed,new\n")
        .file("export/customers.csv", "id,name\n10,Ann\n20,Bob\n")
}

fn config(properties: &str, more: &str) -> String {
    let properties = if properties.is_empty() { String::new() } else { format!(", {properties}") };
    format!(
        "{ORDERS}CREATE TABLE lake.orders WITH (partitioned_by = ARRAY['day'], file_group_size = 1{properties}) AS
SELECT id, customer, day, state FROM snapshot.orders;
{more}"
    )
}

/// The same project with another config.
fn changed(project: Work, properties: &str, more: &str) -> Work {
    let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
    let head = text.split("CREATE").next().unwrap().to_owned();
    project.file("config.sql", head + &config(properties, more))
}

/// Files of the lake's folder.
fn published(project: &Work) -> usize {
    project.paths("lake").len()
}

/// Runs a command; exit code, standard output and standard error without times.
fn shown(project: &Work, arguments: &[&str]) -> String {
    let outcome = project.run(arguments);
    let text = format!("exit {}\n{}--- standard error\n{}", outcome.code, outcome.stdout, outcome.stderr);
    let masks = [
        (r"(?m) +[0-9]+\.[0-9]$", "  [s]"),
        (r#""seconds": [0-9.e-]+"#, r#""seconds": [s]"#),
        (r"snapshot=\S+Z/", "[snapshot]/"),
        (r"[0-9.]+ KiB", "[bytes]"),
    ];
    masks.iter().fold(text, |text, (pattern, mask)| Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned())
}

/// The names of audits that ran, and whether they passed, from JSON.
fn ran(project: &Work, arguments: &[&str]) -> Vec<(String, bool)> {
    let outcome = project.run(&[arguments, &["--format", "json", "--quiet"]].concat());
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    let audits = document["audits"].as_array().unwrap().iter().filter(|audit| audit["ran"] == true);
    audits.map(|audit| (audit["audit"].as_str().unwrap().to_owned(), audit["passed"] == true)).collect()
}

/// How the audits of a table stand, by `status`: name, state, and rows found.
fn states(project: &Work, table: &str) -> Vec<String> {
    let outcome = project.run(&["status", "config.sql", "--format", "json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    let tables = document["tables"].as_array().unwrap();
    let audits = tables.iter().find(|found| found["table"] == table).unwrap()["audits"].as_array().unwrap();
    audits
        .iter()
        .map(|audit| {
            assert_eq!(audit["rows"].is_null(), audit["audited_at"].is_null(), "{audit}");
            let text = |key: &str| audit[key].as_str().unwrap().to_owned();
            format!("{} {} {} {}", text("audit"), text("kind"), text("state"), audit["rows"])
        })
        .collect()
}

/// How the audits stand by `report`: name, the tables that they hold back, state, and rows found.
fn reported(project: &Work, arguments: &[&str]) -> Vec<String> {
    let outcome = project.run(&[&["report", "config.sql", "--format", "json"], arguments].concat());
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    let audits = document["audits"].as_array().unwrap().iter();
    let text = |value: &Value| value.to_string().replace(['"', '[', ']'], "");
    audits.map(|audit| ["audit", "tables", "state", "rows"].map(|key| text(&audit[key])).join(" ")).collect()
}

/// What is in a Parquet file.
fn read(path: &Path) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file = path.to_str().unwrap();
        let rows = SessionContext::new().read_parquet(file, ParquetReadOptions::default()).await.unwrap();
        pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string()
    })
}

fn kept_rows(project: &Work) -> Vec<String> {
    project.paths("staging").into_iter().filter(|file| file.contains("Z/audits/")).collect()
}

#[test]
fn failed_audits_are_all_reported_and_nothing_is_published() {
    let properties =
        "not_null = ARRAY['id', 'day'], accepted_values = MAP {'state': ['new', 'paid']}, row_count_min = 6";
    let project = orders(properties, &format!("{CUSTOMERS}{KNOWN_CUSTOMER}"));
    assert_snapshot!(shown(&project, &["run", "config.sql"]), @r"
    exit 4
    audit                                      holds back  rows  outcome  seconds
    orders.not_null(id)                            orders     1   failed  [s]
    orders.not_null(day)                           orders     1   failed  [s]
    orders.accepted_values(state)                  orders     1   failed  [s]
    orders.row_count_min                           orders     0   passed  [s]
    audit.orders_have_a_known_customer  orders, customers     2   failed  [s]
    --- standard error
    stage   orders: 3 of 3 tasks; 3 files, 138 B
    stage   customers: 1 of 1 task; 1 file, 22 B
    audit   orders.not_null(id): failed, 1 row found
    audit   orders.not_null(day): failed, 1 row found
    audit   orders.accepted_values(state): failed, 1 row found
    audit   orders.row_count_min: passed
    audit   audit.orders_have_a_known_customer: failed, 2 rows found
    orders.not_null(id) found 1 row
    +----+----------+-------+-----+
    | id | customer | state | day |
    +----+----------+-------+-----+
    |    | 30       | new   | wed |
    +----+----------+-------+-----+
    in [dir]/staging/shop/orders/[snapshot]/audits/orders.not_null%28id%29.parquet
    orders.not_null(day) found 1 row
    +----+----------+-------+-----+
    | id | customer | state | day |
    +----+----------+-------+-----+
    | 4  | 10       |       |     |
    +----+----------+-------+-----+
    in [dir]/staging/shop/orders/[snapshot]/audits/orders.not_null%28day%29.parquet
    orders.accepted_values(state) found 1 row
    +----+----------+-------+-----+
    | id | customer | state | day |
    +----+----------+-------+-----+
    | 2  | 20       | lost  | wed |
    +----+----------+-------+-----+
    in [dir]/staging/shop/orders/[snapshot]/audits/orders.accepted_values%28state%29.parquet
    audit.orders_have_a_known_customer found 2 rows
    +----+----------+
    | id | customer |
    +----+----------+
    | 3  |          |
    |    | 30       |
    +----+----------+
    in [dir]/staging/shop/orders/[snapshot]/audits/audit.orders_have_a_known_customer.parquet
    error: 4 of 5 audits failed, so nothing was published: orders.not_null(id) found 1 row, orders.not_null(day) found 1 row, orders.accepted_values(state) found 1 row, audit.orders_have_a_known_customer found 2 rows
    ");
    assert_eq!(published(&project), 0);
    let kept = kept_rows(&project);
    assert_snapshot!(kept.join("\n"), @r"
    staging/shop/orders/snapshot=2026-01-31T00:00:00Z/audits/audit.orders_have_a_known_customer.parquet
    staging/shop/orders/snapshot=2026-01-31T00:00:00Z/audits/orders.accepted_values%28state%29.parquet
    staging/shop/orders/snapshot=2026-01-31T00:00:00Z/audits/orders.not_null%28day%29.parquet
    staging/shop/orders/snapshot=2026-01-31T00:00:00Z/audits/orders.not_null%28id%29.parquet
    ");
    assert_snapshot!(read(&project.path(&kept[0])), @r"
    +----+----------+
    | id | customer |
    +----+----------+
    | 3  |          |
    |    | 30       |
    +----+----------+
    ");
    // A second run finds the same without staging anything.
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 4);
    assert_snapshot!("audit_json", shown(&project, &["audit", "config.sql", "--format", "json", "--quiet"]));
    assert_eq!(published(&project), 0);
}

#[test]
fn mended_table_is_published_and_the_rows_that_were_kept_are_gone() {
    let project = orders("not_null = ARRAY['customer']", CUSTOMERS);
    assert_eq!(project.run(&["run", "config.sql"]).code, 4);
    // The table of the customers and its mark.
    assert_eq!((published(&project), kept_rows(&project).len()), (2, 1));
    let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
    let mended = text.replace("FROM snapshot.orders;", "FROM snapshot.orders WHERE customer IS NOT NULL;");
    let project = project.file("config.sql", mended);
    let refused = project.run(&["run", "config.sql"]);
    assert!(refused.code == 1 && refused.stderr.contains("another SELECT"), "{refused:?}");
    std::fs::remove_dir_all(project.path("staging")).unwrap();
    assert_eq!(project.run(&["run", "config.sql"]).code, 0);
    assert_eq!(kept_rows(&project), [""; 0]);
    assert!(project.paths("lake").iter().any(|file| file.ends_with("orders/_SUCCESS")));
}

#[test]
fn audit_whose_text_is_mended_runs_again_without_staging_anew_and_the_others_do_not() {
    let audit = |test: &str| format!("CREATE VIEW audit.states AS SELECT * FROM staging.orders WHERE {test};");
    let project = orders("not_null = ARRAY['state', 'id'], row_count_min = 1", &audit("state = 'lost'"));
    let all = ["orders.not_null(state)", "orders.not_null(id)", "orders.row_count_min", "audit.states"];
    let came_to = [false, false, true, false];
    let expected: Vec<(String, bool)> = all.map(str::to_owned).into_iter().zip(came_to).collect();
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    assert_eq!(ran(&project, &["audit", "config.sql"]), expected);
    let failed: Vec<(String, bool)> = expected.iter().filter(|(_, passed)| !passed).cloned().collect();
    assert_eq!(ran(&project, &["audit", "config.sql"]), failed);
    let project = changed(project, "row_count_min = 1", &audit("state = 'stolen'"));
    assert_eq!(ran(&project, &["audit", "config.sql"]), [("audit.states".to_owned(), true)]);
    assert_eq!(kept_rows(&project).len(), 2, "those of audits that are no more stay");
    let run = project.run(&["run", "config.sql"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("audit   audit.states: passed earlier"), "{run:?}");
    assert!(run.stderr.contains("stage   orders: 0 of 3 tasks"), "{run:?}");
    assert_eq!(ran(&project, &["audit", "config.sql"]), []);
}

#[test]
fn audit_runs_again_when_a_helper_view_that_it_reads_is_mended() {
    let audit = |state: &str| {
        format!(
            "CREATE VIEW chosen AS SELECT * FROM staging.orders WHERE state = '{state}';
CREATE VIEW audit.none_is_chosen AS SELECT * FROM chosen;\n"
        )
    };
    let project = orders("", &audit("stolen"));
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    assert_eq!(ran(&project, &["audit", "config.sql"]), [("audit.none_is_chosen".to_owned(), true)]);
    assert_eq!(ran(&project, &["audit", "config.sql"]), []);
    let project = changed(project, "", &audit("lost"));
    assert_eq!(ran(&project, &["audit", "config.sql"]), [("audit.none_is_chosen".to_owned(), false)]);
}

#[test]
fn audit_of_two_tables_that_passed_for_one_of_them_runs_again_for_both() {
    let audit = "CREATE VIEW audit.customers_are_known AS SELECT o.id FROM staging.orders AS o
JOIN staging.customers AS c ON c.id = o.customer WHERE c.name IS NULL;\n";
    let project = orders("", &format!("{CUSTOMERS}{audit}"));
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    let once = [("audit.customers_are_known".to_owned(), true)];
    assert_eq!(ran(&project, &["audit", "config.sql", "--table", "orders"]), once);
    assert_eq!(states(&project, "customers"), ["audit.customers_are_known view not_run null"]);
    assert_eq!(ran(&project, &["audit", "config.sql"]), once);
    assert_eq!(states(&project, "customers"), ["audit.customers_are_known view passed 0"]);
    assert_eq!(ran(&project, &["audit", "config.sql"]), []);
}

#[test]
fn audit_of_a_published_table_that_is_changed_fails_and_leaves_the_lake_alone() {
    let project = orders("", "");
    assert_eq!(project.run(&["run", "config.sql"]).code, 0);
    let lake = project.paths("lake");
    let project = changed(project, "not_null = ARRAY['id']", "");
    assert_eq!(project.run(&["run", "config.sql"]).code, 4);
    assert_eq!(project.paths("lake"), lake);
}

#[test]
fn status_says_of_each_audit_whether_it_ran_passed_or_failed_and_whether_that_still_holds() {
    let audit = |test: &str| {
        format!("{CUSTOMERS}{KNOWN_CUSTOMER}CREATE VIEW audit.states AS SELECT * FROM staging.orders WHERE {test};")
    };
    let project = orders("not_null = ARRAY['id'], row_count_min = 6", &audit("state = 'lost'"));
    let not_run = [
        "orders.not_null(id) not_null not_run null",
        "orders.row_count_min row_count_min not_run null",
        "audit.orders_have_a_known_customer view not_run null",
        "audit.states view not_run null",
    ];
    assert_eq!(states(&project, "orders"), not_run, "before anything is planned");
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    assert_eq!(states(&project, "orders"), not_run, "staged");
    assert_eq!(project.run(&["audit", "config.sql"]).code, 4);
    let ran = [
        "orders.not_null(id) not_null failed 1",
        "orders.row_count_min row_count_min passed 0",
        "audit.orders_have_a_known_customer view failed 2",
        "audit.states view failed 1",
    ];
    assert_eq!(states(&project, "orders"), ran);
    // Each table tells of what holds it back.
    assert_eq!(states(&project, "customers"), ran[2..3]);
    assert_snapshot!(shown(&project, &["status", "config.sql", "--table", "orders"]), @"
    exit 0
    table   staged  published  running  failed  complete              audits  rows staged     bytes  rows published  bytes
    orders  3 of 3          -        0       0        no  3 failed, 1 passed            6  [bytes]               -      -
    orders: not published, because orders.not_null(id) failed: 1 row found
    orders: not published, because audit.orders_have_a_known_customer failed: 2 rows found
    orders: not published, because audit.states failed: 1 row found
    --- standard error
    ");
    // Another text, and one that is new.
    let project = changed(project, "not_null = ARRAY['day', 'id'], row_count_min = 6", &audit("state = 'stolen'"));
    assert_eq!(
        states(&project, "orders"),
        ["orders.not_null(day) not_null not_run null", ran[0], ran[1], ran[2], "audit.states view stale 1"]
    );
    // A task that is not done, and one that is done anew.
    let files = project.paths("staging");
    let is_summary = |file: &&String| {
        file.contains("/orders/") && file.contains("staging-file-groups") && file.ends_with("summary-2.json")
    };
    let summary = files.iter().find(is_summary).unwrap();
    let stale = [
        "orders.not_null(day) not_null not_run null",
        "orders.not_null(id) not_null stale 1",
        "orders.row_count_min row_count_min stale 0",
        "audit.orders_have_a_known_customer view stale 2",
        "audit.states view stale 1",
    ];
    std::fs::remove_file(project.path(summary)).unwrap();
    assert_eq!(states(&project, "orders"), stale);
    assert_eq!(states(&project, "customers"), stale[3..4]);
    assert_eq!(project.run(&["stage", "config.sql", "--quiet"]).code, 0);
    assert_eq!(states(&project, "orders"), stale);
    // A config that no longer fits the plan.
    let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
    let project = project.file("config.sql", text.replace("customer, day", "customer, upper(day) AS day"));
    assert_eq!(states(&project, "orders"), stale);
    let project = project.file("config.sql", text);
    let project = changed(project, "row_count_min = 6", "");
    assert_eq!(project.run(&["run", "config.sql", "--quiet"]).code, 0);
    assert_eq!(states(&project, "orders"), ran[1..2], "published");
}

#[test]
fn report_says_of_audits_what_status_says_also_when_tables_differ() {
    let customers = CUSTOMERS.replace("lake.customers AS", "lake.customers WITH (not_null = ARRAY['name']) AS");
    let known = |name: &str| {
        format!(
            "CREATE VIEW audit.customers_are_known AS SELECT o.id FROM staging.orders AS o
JOIN staging.customers AS c ON c.id = o.customer WHERE c.name = '{name}';\n"
        )
    };
    let project = orders("row_count_min = 6", &customers);
    for step in ["stage", "audit"] {
        assert_eq!(project.run(&[step, "config.sql", "--table", "orders"]).code, 0);
    }
    let passed = "orders.row_count_min orders passed 0";
    assert_eq!(
        reported(&project, &[]),
        [passed, "customers.not_null(name) customers not_run null"],
        "one table is not planned"
    );
    // An audit of two tables, with a record of one of them, of both, and of both but of another text.
    let project = changed(project, "row_count_min = 6", &format!("{customers}{}", known("Eve")));
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    let of_both = |project: &Work| reported(project, &[]).pop().unwrap();
    assert_eq!(project.run(&["audit", "config.sql", "--table", "orders"]).code, 0);
    assert_eq!(of_both(&project), "audit.customers_are_known orders,customers not_run null");
    assert_eq!(reported(&project, &["--table", "orders"]), [passed, "audit.customers_are_known orders passed 0"]);
    assert_eq!(project.run(&["audit", "config.sql"]).code, 0);
    assert_eq!(of_both(&project), "audit.customers_are_known orders,customers passed 0");
    let project = changed(project, "row_count_min = 6", &format!("{customers}{}", known("Ann")));
    assert_eq!(project.run(&["audit", "config.sql", "--table", "orders"]).code, 4);
    assert_eq!(of_both(&project), "audit.customers_are_known orders,customers failed 2");
    let project = changed(project, "row_count_min = 6", &format!("{customers}{}", known("Mia")));
    assert_eq!(project.run(&["audit", "config.sql", "--table", "customers"]).code, 0);
    assert_eq!(of_both(&project), "audit.customers_are_known orders,customers stale 2");
    assert_eq!(project.run(&["audit", "config.sql"]).code, 0);
    assert_eq!(of_both(&project), "audit.customers_are_known orders,customers passed 0");
    // The other table's config no longer fits its plan.
    let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
    let project = project.file("config.sql", text.replace("SELECT * FROM", "SELECT id, name FROM"));
    assert_eq!(reported(&project, &["--table", "orders"]), [passed, "audit.customers_are_known orders stale 0"]);
}

#[test]
fn record_that_cannot_be_read_is_nothing_remembered_to_those_who_look_and_an_error_to_those_who_publish() {
    let project = orders("row_count_min = 6", &CUSTOMERS.replace(" AS SELECT", " WITH (row_count_min = 1) AS SELECT"));
    for step in ["stage", "audit"] {
        assert_eq!(project.run(&[step, "config.sql", "-q"]).code, 0);
    }
    let record = "staging/shop/orders/snapshot=2026-01-31T00:00:00Z/manifests/audits.json";
    assert!(project.paths("staging").contains(&record.to_owned()), "{:?}", project.paths("staging"));
    let project = project.file(record, "{");
    assert_eq!(states(&project, "orders"), ["orders.row_count_min row_count_min not_run null"]);
    assert_eq!(states(&project, "customers"), ["customers.row_count_min row_count_min passed 0"]);
    assert_eq!(
        reported(&project, &[]),
        ["orders.row_count_min orders not_run null", "customers.row_count_min customers passed 0"]
    );
    let reported = project.run(&["status", "config.sql"]);
    assert!(reported.code == 0 && reported.stderr.contains("audits.json"), "{reported:?}");
    for refused in [&["publish", "config.sql", "--table", "orders", "--group", "1"][..], &["run", "config.sql"]] {
        let outcome = project.run(refused);
        assert!(outcome.code == 1 && outcome.stderr.contains("audits.json"), "{outcome:?}");
    }
    assert_eq!(published(&project), 0);
}

#[test]
fn plan_names_the_audits_that_hold_back_each_table() {
    let nothing = "CREATE VIEW audit.of_nothing AS SELECT 1 AS a WHERE false;\n";
    let project =
        orders("unique_key = ARRAY['id'], row_count_min = 1", &format!("{CUSTOMERS}{KNOWN_CUSTOMER}{nothing}"));
    let outcome = project.run(&["plan", "config.sql", "--format", "json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    let audits = |table: usize| document["tables"][table]["audits"].to_string();
    let view = |name: &str| format!(r#"{{"audit":"audit.{name}","kind":"view"}}"#);
    let views = format!("{},{}", view("orders_have_a_known_customer"), view("of_nothing"));
    let rules = r#"{"audit":"orders.unique_key(id)","kind":"unique_key"},{"audit":"orders.row_count_min","kind":"row_count_min"}"#;
    assert_eq!(document["version"], 1);
    assert_eq!(audits(0), format!("[{rules},{views}]"));
    assert_eq!(audits(1), format!("[{views}]"));
}

#[test]
fn task_that_is_staged_anew_is_audited_anew() {
    let project = orders("row_count_min = 1", "");
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    assert_eq!(ran(&project, &["audit", "config.sql"]).len(), 1);
    assert_eq!(ran(&project, &["audit", "config.sql"]).len(), 0);
    let summary = project
        .paths("staging")
        .into_iter()
        .find(|file| file.ends_with("manifest-summary-2.json") && file.contains("staging-file-groups"));
    std::fs::remove_file(project.path(&summary.unwrap())).unwrap();
    let early = project.run(&["audit", "config.sql"]);
    assert!(early.code == 1 && early.stderr.contains("1 of 3 stage groups are missing"), "{early:?}");
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    assert_eq!(ran(&project, &["audit", "config.sql"]).len(), 1);
}

#[test]
fn table_that_no_failed_audit_blocks_is_published_and_the_run_still_fails() {
    let project = orders("not_null = ARRAY['id']", CUSTOMERS);
    assert_snapshot!(shown(&project, &["run", "config.sql"]), @r"
    exit 4
    audit                holds back  rows  outcome  seconds
    orders.not_null(id)      orders     1   failed  [s]
    --- standard error
    stage   orders: 3 of 3 tasks; 3 files, 138 B
    stage   customers: 1 of 1 task; 1 file, 22 B
    audit   orders.not_null(id): failed, 1 row found
    publish customers: 1 of 1 task; 1 file, 714 B
    valid   customers: 2 rows in and out agree, _SUCCESS written
    orders.not_null(id) found 1 row
    +----+----------+-------+-----+
    | id | customer | state | day |
    +----+----------+-------+-----+
    |    | 30       | new   | wed |
    +----+----------+-------+-----+
    in [dir]/staging/shop/orders/[snapshot]/audits/orders.not_null%28id%29.parquet
    error: 1 of 1 audit failed, so lake.orders was not published: orders.not_null(id) found 1 row; lake.customers was published
    ");
    let lake =
        |project: &Work| project.paths("lake").into_iter().filter(|file| !file.contains("/_")).collect::<Vec<_>>();
    let first = lake(&project);
    assert!(first.iter().all(|file| file.contains("/customers/")) && !first.is_empty(), "{first:?}");
    let status = project.run(&["status", "config.sql"]).stdout;
    assert!(status.contains("orders: not published, because orders.not_null(id) failed: 1 row found"), "{status}");
    // Again: what is published stays as it is, and the reason is said again.
    let again = project.run(&["publish", "config.sql", "--format", "json"]);
    assert_eq!((again.code, lake(&project)), (4, first));
    let told: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&told["published"], &told["audits"][0]["passed"]), (&json!(["customers"]), &json!(false)));
    // With a correct model the blocked table follows.
    let project = changed(project, "", CUSTOMERS);
    assert_eq!(project.run(&["run", "config.sql"]).code, 0);
    assert!(lake(&project).iter().any(|file| file.contains("/orders/")));
}

#[test]
fn fail_fast_publishes_nothing_when_an_audit_of_another_table_fails() {
    for (arguments, setting) in [(&["--fail-fast"][..], ""), (&[], "SET snaplake.fail_fast = true;\n")] {
        let project = orders("not_null = ARRAY['id']", CUSTOMERS);
        let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
        let project = project.file("config.sql", format!("{setting}{text}"));
        for command in ["run", "publish"] {
            let ran = project.run(&[&[command, "config.sql"], arguments].concat());
            assert_eq!(ran.code, 4, "{ran:?}");
            assert!(ran.stderr.contains("error: 1 of 1 audit failed, so nothing was published"), "{ran:?}");
            assert_eq!(published(&project), 0);
        }
    }
}

#[test]
fn publish_task_needs_audits_that_passed_over_what_is_staged() {
    let project = orders("unique_key = ARRAY['id']", "");
    let publish = |project: &Work| project.run(&["publish", "config.sql", "--group", "1"]);
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    let early = publish(&project);
    assert_eq!(early.code, 1);
    assert_snapshot!(early.stderr, @"
    error: lake.orders is not audited: orders.unique_key(id) has not run over the current staging lake
      help: run `snaplake audit` first
    ");
    assert_eq!(project.run(&["audit", "config.sql"]).code, 4);
    assert_snapshot!(shown(&project, &["publish", "config.sql", "--group", "1"]), @"
    exit 4
    audit                  holds back  rows  outcome  seconds
    orders.unique_key(id)      orders     1   failed  [s]
    --- standard error
    orders.unique_key(id) found 1 row
    in [dir]/staging/shop/orders/[snapshot]/audits/orders.unique_key%28id%29.parquet
    error: 1 of 1 audit failed, so nothing was published: orders.unique_key(id) found 1 row
    ");
    assert_eq!(published(&project), 0);
    let project = changed(project, "unique_key = ARRAY['id', 'day']", "");
    assert_eq!(publish(&project).code, 1);
    assert_eq!(project.run(&["audit", "config.sql"]).code, 0);
    for group in ["1", "2", "3", "4"] {
        assert_eq!(project.run(&["publish", "config.sql", "--group", group]).code, 0);
    }
    // And whose the folder is.
    assert_eq!(published(&project), 5);
    let end = project.run(&["publish", "config.sql"]);
    assert!(end.code == 0 && end.stderr.contains("passed earlier"), "{end:?}");
    assert_eq!(published(&project), 5);
}

#[test]
fn key_is_unique_over_all_groups_and_null_is_like_nothing_else() {
    // 2 stands in two groups; two rows have no id, of which each is alone.
    let project = orders("unique_key = ARRAY['id']", "");
    let project = project.file("export/orders/d.csv", "id,customer,day,state\n,1,mon,new\n");
    assert_eq!(project.run(&["run", "config.sql"]).code, 4);
    assert_snapshot!(read(&project.path(&kept_rows(&project)[0])), @r"
    +----+----------+
    | id | count(*) |
    +----+----------+
    | 2  | 2        |
    +----+----------+
    ");
    // Of a key of several columns, one NULL is enough.
    let project = orders("unique_key = ARRAY['customer', 'day']", "");
    let project = project.file("export/orders/d.csv", "id,customer,day,state\n7,,mon,new\n8,10,,new\n");
    assert_eq!(project.run(&["run", "config.sql"]).code, 0);
}

#[test]
fn accepted_values_are_texts_of_any_type_and_null_may_stand() {
    let states = |values: &str| format!("accepted_values = MAP {{'state': {values}, 'id': ['1', '2', '3', '4']}}");
    assert_eq!(orders(&states("['new', 'paid', 'lost']"), "").run(&["run", "config.sql"]).code, 0);
    let project = orders(&states("['new', 'paid']"), "");
    assert_eq!(project.run(&["run", "config.sql"]).code, 4);
    assert_snapshot!(read(&project.path(&kept_rows(&project)[0])), @r"
    +----+----------+-------+-----+
    | id | customer | state | day |
    +----+----------+-------+-----+
    | 2  | 20       | lost  | wed |
    +----+----------+-------+-----+
    ");
}

#[test]
fn counts_of_rows_are_those_of_the_stage_tasks() {
    let run = |properties: &str, filter: &str| {
        let project = orders(properties, "");
        let text = std::fs::read_to_string(project.path("config.sql")).unwrap();
        let project =
            project.file("config.sql", text.replace("snapshot.orders;", &format!("snapshot.orders {filter};")));
        let outcome = project.run(&["run", "config.sql", "--quiet"]);
        (outcome.code, outcome.stderr)
    };
    assert_eq!(run("row_count_min = 6, max_filtered_fraction = 0", "").0, 0);
    assert_eq!(run("max_filtered_fraction = 0.5", "WHERE id > 2 OR customer = 30").0, 0);
    let (code, reported) = run("row_count_min = 4, max_filtered_fraction = 0.4", "WHERE id > 2 OR customer = 30");
    assert_eq!(code, 4);
    assert_snapshot!(reported.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n"), @r"
    | rows | row_count_min |
    | 3    | 4             |
    | rows_read | rows_filtered | max_filtered_fraction |
    | 6         | 3             | 0.4                   |
    ");
}

#[test]
fn audits_of_other_tables_do_not_hold_back_the_chosen_one() {
    let audits = "CREATE VIEW audit.of_customers AS SELECT * FROM staging.customers;
CREATE VIEW audit.of_nothing AS SELECT 1 AS a WHERE false;\n";
    let project = orders("row_count_min = 1", &format!("{CUSTOMERS}{KNOWN_CUSTOMER}{audits}"));
    assert_eq!(project.run(&["stage", "config.sql", "--table", "customers"]).code, 0);
    let names = |table: &str| {
        let audits = ran(&project, &["audit", "config.sql", "--table", table]);
        audits.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    // An audit of two tables needs both of them.
    let early = project.run(&["audit", "config.sql", "--table", "customers"]);
    assert!(early.code == 1 && early.stderr.contains("lake.orders is not planned yet"), "{early:?}");
    assert_eq!(project.run(&["stage", "config.sql", "--table", "orders"]).code, 0);
    assert_eq!(names("customers"), ["audit.orders_have_a_known_customer", "audit.of_customers", "audit.of_nothing"]);
    assert_eq!(names("orders"), ["orders.row_count_min", "audit.orders_have_a_known_customer", "audit.of_nothing"]);
}

#[test]
fn audit_may_read_a_snapshot_a_helper_and_a_lake_that_is_published() {
    let audit = "CREATE VIEW paid AS SELECT * FROM staging.orders WHERE state = 'paid';
CREATE VIEW audit.as_many AS SELECT p.id FROM paid AS p JOIN lake.customers AS c ON c.id = p.customer
WHERE p.id NOT IN (SELECT id FROM snapshot.orders WHERE id IS NOT NULL) OR c.name = 'Ann';\n";
    let project = orders("", &format!("{CUSTOMERS}{audit}"));
    let early = project.run(&["run", "config.sql"]);
    assert!(early.code == 1 && early.stderr.contains("lake.customers is not published"), "{early:?}");
    assert_eq!(published(&project), 0);
    assert_eq!(project.run(&["run", "config.sql", "--table", "customers"]).code, 0);
    let run = project.run(&["run", "config.sql"]);
    assert!(run.code == 0 && run.stderr.contains("audit   audit.as_many: passed\n"), "{run:?}");
}

#[test]
fn mistakes_are_reported_at_their_place_before_anything_is_written() {
    let view = |text: &str| ("", format!("{CUSTOMERS}CREATE VIEW audit.a AS\n{text};\n"));
    let reported = [
        view("SELECT id FROM staging.orders WHERE cutsomer IS NULL"),
        view("SELECT id FROM staging.order"),
        view("SELECT id FROM staging.orders WHERE custmers = 1"),
        view("SELECT idd FROM lake.customers, staging.orders"),
        view("SELECT sqroot(id) FROM staging.orders"),
        view("SELECT id FROM staging.orders WHERE id = [1]"),
        view("SELECT o.id FROM staging.orders AS o JOIN lake.orders AS l ON l.id = o.id"),
        view("SELECT l.id FROM lake.orders AS l, snapshot.orders"),
        view("INSERT INTO staging.orders VALUES (1)"),
        view("SELECT 1; DELETE FROM staging.orders"),
        view("SELECT 1; CREATE VIEW audit.a AS SELECT 2"),
        view("SELECT INTERVAL '1 month' AS i FROM staging.orders"),
        view("SELECT * FROM audit.b"),
        view("SELECT * FROM manifest.tasks"),
        ("not_null = ARRAY['id', 'custommer']", String::new()),
        ("unique_key = ARRAY['nothing_like_it']", String::new()),
        ("accepted_values = MAP {'State': ['x'], '\"State\"': ['y']}", String::new()),
        ("accepted_values = ARRAY['x']", String::new()),
    ]
    .map(|(properties, more)| {
        let project = orders(properties, &more);
        let outcome = project.run(&["run", "config.sql"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{properties} {more} {}", outcome.stderr);
        assert_eq!(project.paths("staging").len() + published(&project), 0);
        outcome.stderr
    });
    assert_snapshot!(reported.concat(), @"
    error: config.sql:13:37: column 'cutsomer' does not exist; did you mean 'customer'?
    error: config.sql:13:16: table 'staging.order' does not exist; did you mean 'staging.orders'?
    error: config.sql:13:37: column 'custmers' does not exist; did you mean 'customer'?
    error: config.sql:13:8: column 'idd' does not exist; did you mean 'id'?
    error: config.sql:13:8: function 'sqroot' does not exist; did you mean 'sqrt'?
    error: config.sql:13:1: these types cannot be combined: BIGINT = BIGINT[]
    error: config.sql:13:1: audit.a reads lake.orders, which is published only after this audit has run
      help: read staging.orders
    error: config.sql:13:1: audit.a reads lake.orders, which is published only after this audit has run
      help: read staging.orders
    error: config.sql:13:1: a statement that writes is not supported here: an audit is a SELECT that must return no rows
    error: config.sql:13:11: DELETE FROM is not a statement of a snaplake config
      help: use SET, CREATE EXTERNAL TABLE snapshot.t, CREATE TABLE lake.t WITH (...) AS SELECT, or CREATE VIEW
    error: config.sql:13:11: view 'audit.a' is defined twice; the first is at config.sql:12:1
    error: config.sql:13:1: column 'i' is of type INTERVAL
      help: what an audit finds is written as Parquet, so CAST it or leave it out
    error: config.sql:13:15: table 'audit.b' does not exist
    error: config.sql:13:15: table 'manifest.tasks' does not exist
    error: config.sql:7:107: not_null column 'custommer' is not in the SELECT of lake.orders; did you mean 'customer'?
    error: config.sql:7:103: unique_key column 'nothing_like_it' is not in the SELECT of lake.orders
    error: config.sql:7:123: accepted_values column 'State' is not in the SELECT of lake.orders; did you mean 'state'?
    error: config.sql:7:84: accepted_values takes a map, such as MAP {'column': ['a', 'b']}
    ");
}

#[test]
fn audit_with_a_mistake_is_found_when_its_table_was_staged_before() {
    let project = orders("", "");
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    let project = changed(project, "not_null = ARRAY['staet']", "");
    for command in ["audit", "publish", "run", "stage"] {
        let outcome = project.run(&[command, "config.sql"]);
        assert!(outcome.code == 2 && outcome.stderr.contains("did you mean 'state'?"), "{command} {outcome:?}");
    }
}

#[test]
fn audit_that_breaks_while_it_runs_is_named_after_the_others_ran() {
    let audits = "CREATE VIEW audit.breaks AS SELECT * FROM staging.orders WHERE CAST(state AS BIGINT) > 1;
CREATE VIEW audit.fine AS SELECT * FROM staging.orders WHERE id > 100;\n";
    let project = orders("", audits);
    let run = project.run(&["run", "config.sql"]);
    assert_eq!((run.code, published(&project)), (1, 0));
    assert!(run.stderr.contains("audit   audit.fine: passed"), "{run:?}");
    assert!(run.stderr.contains("error: audit.breaks could not run, so nothing was published\n  because"), "{run:?}");
}

#[test]
fn query_shows_what_an_audit_finds() {
    let project = orders("", &format!("{CUSTOMERS}{KNOWN_CUSTOMER}"));
    let sql = "SELECT * FROM audit.orders_have_a_known_customer";
    let query = |project: &Work| project.run(&["query", "config.sql", "--format", "csv", "-c", sql]);
    assert!(query(&project).stderr.contains("orders_have_a_known_customer' does not exist"), "{:?}", query(&project));
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    let outcome = query(&project);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "id,customer\n3,\n,30\n"), "{outcome:?}");
}

#[test]
fn config_without_audits_says_so_and_keeps_no_record() {
    let project = orders("", "");
    assert_eq!(project.run(&["stage", "config.sql"]).code, 0);
    assert_snapshot!(shown(&project, &["audit", "config.sql"]), @"
    exit 0
    these tables have no audits
    --- standard error
    ");
    assert!(!project.paths("staging").iter().any(|file| file.ends_with("audits.json")));
}

#[test]
fn no_more_than_a_thousand_rows_are_kept() {
    let rows: String = (0..3000).map(|id| format!("{id},,mon,new\n")).collect();
    let project = orders("not_null = ARRAY['customer']", "");
    let project = project.file("export/orders/d.csv", format!("id,customer,day,state\n{rows}"));
    let outcome = project.run(&["run", "config.sql", "--quiet"]);
    assert!(
        outcome.code == 4 && outcome.stderr.contains("orders.not_null(customer) found 3,001 rows, such as"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stderr.lines().filter(|line| line.starts_with('|')).count(), 1 + 10);
    assert_eq!(read(&project.path(&kept_rows(&project)[0])).lines().count(), 1000 + 4);
}

// Four million keys of 16 bytes need several times the memory that there is.
#[test]
fn unique_key_of_many_rows_spills_and_finds_the_one_that_stands_twice() {
    let config = "CREATE EXTERNAL TABLE snapshot.keys STORED AS PARQUET LOCATION 'export/';
CREATE TABLE lake.keys WITH (unique_key = ARRAY['a', 'b']) AS SELECT a, b FROM snapshot.keys;\n";
    let keys = "SELECT (value * 7919) % 4000037 AS a, value AS b FROM generate_series(1, 4000000)";
    let project = Work::config(config).copy(&format!("COPY ({keys}) TO 'export/a.parquet'"));
    let audit = |project: &Work| {
        let little = ["--memory-limit", "64MB", "--threads", "2"];
        assert_eq!(project.run(&[&["stage", "config.sql"], &little[..]].concat()).code, 0);
        let outcome = project.run(&[&["audit", "config.sql"], &little[..]].concat());
        let record = project.paths("staging").into_iter().find(|file| file.ends_with("audits.json")).unwrap();
        let record: Value = serde_json::from_slice(&std::fs::read(project.path(&record)).unwrap()).unwrap();
        let entry = &record["audits"][0];
        assert!(entry["bytes_spilled"].as_u64().unwrap() > 50_000_000, "{record}");
        (outcome.code, entry["rows"].as_u64().unwrap())
    };
    assert_eq!(audit(&project), (0, 0));
    std::fs::remove_dir_all(project.path("staging")).unwrap();
    let project = project.copy(&format!("COPY ({keys} WHERE value = 3654321) TO 'export/b.parquet'"));
    assert_eq!(audit(&project), (4, 1));
    assert_snapshot!(read(&project.path(&kept_rows(&project)[0])), @r"
    +---------+---------+----------+
    | a       | b       | count(*) |
    +---------+---------+----------+
    | 2300341 | 3654321 | 2        |
    +---------+---------+----------+
    ");
}
