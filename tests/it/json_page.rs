//! docs/json.md lists exactly the keys that `plan`, `status` and `report` print as JSON.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::support::{Work, ok};

/// The rows of the tables below a heading: the keys of the first cell, and the text of the second one.
fn rows<'a>(page: &'a str, heading: &str, first: &str) -> Vec<(Vec<String>, &'a str)> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let (_, table) = section.split_once(&format!("| {first} | meaning |\n| --- | --- |\n")).unwrap();
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let (keys, meaning) = line.trim_matches('|').split_once(" | ").unwrap();
            (words(keys), meaning)
        })
        .collect()
}

/// The words in backticks.
fn words(text: &str) -> Vec<String> {
    Regex::new("`([^`]+)`").unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// Keys that are printed but not documented, or the reverse; of values that are objects, also the keys inside.
fn differences(documented: &[(Vec<String>, &str)], printed: &Value) -> Vec<String> {
    let known: BTreeSet<String> = documented.iter().flat_map(|(keys, _)| keys.clone()).collect();
    let printed_keys = keys(printed);
    let mut found: Vec<String> =
        printed_keys.difference(&known).map(|key| format!("{key} is not documented")).collect();
    found.extend(known.difference(&printed_keys).map(|key| format!("{key} is not printed")));
    for (keys_of_row, meaning) in documented.iter().filter(|(_, meaning)| !is_described_elsewhere(meaning)) {
        let inner = words(meaning);
        for key in keys_of_row {
            let value = &printed[key];
            let value = value.get(0).unwrap_or(value);
            let nested = value.as_object().into_iter().flat_map(|object| object.keys());
            found.extend(
                nested
                    .filter(|nested| !inner.contains(nested))
                    .map(|nested| format!("{key}.{nested} is not documented")),
            );
        }
    }
    found
}

/// Whether a row refers to another table, or to a value that the page does not describe.
fn is_described_elsewhere(meaning: &str) -> bool {
    let elsewhere = ["see below", "the result of the last validation", "read and written"];
    meaning.starts_with("as in ") || elsewhere.iter().any(|words| meaning.contains(words))
}

#[test]
fn json_page_has_the_keys_that_are_printed() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let project = Work::config(
        "CREATE EXTERNAL TABLE snapshot.t (id BIGINT, day VARCHAR) STORED AS CSV LOCATION 'export/';\n\
         CREATE TABLE lake.t WITH (partitioned_by = ARRAY['day'], not_null = ARRAY['id']) AS\n\
         SELECT id, day FROM snapshot.t;\n",
    )
    .file("export/a.csv", "id,day\n1,mon\n2,tue\n")
    .file("export/README.md", "read me\n");
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&ok(&project, &[arguments, &["config.sql", "--format", "json"]].concat()).stdout).unwrap()
    };
    json(&["run"]);
    let (plan, status, report) = (json(&["plan"]), json(&["status"]), json(&["report"]));
    let mut head = report.clone();
    head.as_object_mut().unwrap().remove("version");
    let cases = [
        ("`plan`", "key of a table", &plan["tables"][0]),
        ("`status`", "key of a table", &status["tables"][0]),
        ("`status`", "key of `stage` and `publish`", &status["tables"][0]["stage"]),
        ("`report`", "key", &head),
        ("`report`", "key of a table", &report["tables"][0]),
    ];
    let of_case = |(heading, first, printed): (&str, &str, &Value)| {
        let found = differences(&rows(&page, heading, first), printed);
        found.into_iter().map(|difference| format!("{heading}, {first}: {difference}")).collect::<Vec<_>>()
    };
    let found: Vec<String> = cases.into_iter().flat_map(of_case).collect();
    assert!(found.is_empty(), "docs/json.md:\n{}", found.join("\n"));
}

#[test]
fn key_that_is_missing_on_either_side_is_found() {
    let page = "# x\n\n## a\n\n| key | meaning |\n| --- | --- |\n| `b`, `c` | `d` |\n\n| other |\n";
    let documented = rows(page, "a", "key");
    assert_eq!(differences(&documented, &serde_json::json!({ "b": 1, "c": [{ "d": 1 }] })), [""; 0]);
    let printed = serde_json::json!({ "b": { "e": 1 }, "f": 1 });
    assert_eq!(
        differences(&documented, &printed),
        ["f is not documented", "c is not printed", "b.e is not documented"]
    );
}
