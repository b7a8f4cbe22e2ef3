//! Every document that outlives a program, as a file in `tests/data/golden` that an earlier build wrote: this build reads it,
//! writes the same again, and still writes documents of the same form. A field that is renamed, added or left out fails here;
//! it needs a new version of the form, and `UPDATE_GOLDEN=1 cargo test --release golden` for new files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snaplake::compaction::plan::PartitionDetails;
use snaplake::manifest::trace::{Failure, RunningTasks};
use snaplake::manifest::{Manifest, TaskDetails};
use snaplake::pipeline::validate::Validation;
use snaplake::pipeline::{TaskReport, TaskSpec};
use snaplake::staging::plan::{GroupDetails, PlanDetails};
use snaplake::staging::run::StageDetails;

use crate::support::Work;

const ROOT: &str = "out/staging/shop/events/snapshot=20260131T000000Z";

/// Document, and where it lies in the staging folder.
const DOCUMENTS: [(&str, &str); 9] = [
    ("plan", "manifests/manifest-summary.json"),
    ("snapshot-group", "manifests/snapshot-file-groups/manifest-summary/manifest-summary-1.json"),
    ("stage-task", "manifests/staging-file-groups/manifest-summary/manifest-summary-1.json"),
    ("partition-group", "manifests/partition-file-groups/manifest-summary/manifest-summary-1.json"),
    ("publish-task", "manifests/datalake-file-groups/manifest-summary/manifest-summary-1.json"),
    ("validation", "manifests/validation.json"),
    ("audits", "manifests/audits.json"),
    ("staging-owner", "_snaplake.json"),
    ("failed-task", "failed.json"),
];

/// Not written by a run that goes well and fast.
const RUNNING: &str = r#"{
  "version": 1,
  "plan": "4e0c4fbb02f1c6e9c9a4f1b1d3f4a5b6",
  "at": "2026-01-31T00:00:10.000Z",
  "process": {"machine": "0123456789ab", "pid": 7, "began": 1234},
  "tasks": [{"group": 3, "started_at": "2026-01-31T00:00:00.000Z", "rows": 10}]
}"#;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden").join(format!("{name}.json"))
}

fn read(name: &str) -> String {
    fs::read_to_string(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}; see this file's head"))
}

/// What a build writes today: a config with all that documents tell.
fn written() -> Vec<(&'static str, String)> {
    let work = Work::new(
        "SET snaplake.snapshot_folder = 'snapshot=%Y%m%dT%H%M%SZ';
         SET snaplake.verify = 'checksum';
         CREATE EXTERNAL TABLE snapshot.events (id BIGINT NOT NULL, day VARCHAR, note VARCHAR, extra STRUCT<a INT>)
         STORED AS JSON LOCATION 'export/' OPTIONS ('exclude' 'left/');
         CREATE TABLE lake.events WITH (
           partitioned_by = ARRAY['day'], sorted_by = ARRAY['id DESC'], file_group_size = '100', unique_key = ARRAY['id']
         ) AS SELECT id, day, note, extra, '${env:PATH}' <> '' AS has_path FROM snapshot.events;",
    );
    let row = |id: u32| format!("{{\"id\":{id},\"day\":\"2026-01-0{}\",\"note\":\"n{id}\"}}\n", id % 3 + 1);
    work.write("export/a.json", "{\"id\":\"no number\"}\n");
    work.write("export/b.json", &(0..9).map(|id| row(id).replace('}', ",\"extra\":{\"a\":1}}")).collect::<String>());
    work.write("export/left/c.json", &row(99));
    work.snaplake(&["run"]).failed(1, &["no number"]);
    let failed = work.path(&format!("{ROOT}/manifests/staging-file-groups/manifest-summary/failed-1.json"));
    let failed = fs::read_to_string(failed).unwrap();
    work.write("export/a.json", &(10..14).map(row).collect::<String>());
    work.snaplake(&["run", "--replan"]).ok();
    let text = |place: &str| fs::read_to_string(work.path(&format!("{ROOT}/{place}"))).unwrap();
    let places = DOCUMENTS.iter().filter(|(name, _)| *name != "failed-task");
    let all = places.map(|(name, place)| (*name, text(place))).chain([("failed-task", failed)]);
    let folder = work.path("").display().to_string();
    all.map(|(name, text)| (name, moved(&text, folder.trim_end_matches('/')))).collect()
}

/// The same document of a job in `/job`, with the check that it has there.
fn moved(text: &str, folder: &str) -> String {
    const CHECK: &str = ",\n    \"check\": \"";
    let text = text.replace(folder, "/job");
    let Some((before, _)) = text.rsplit_once(CHECK) else { return text };
    let check = twox_hash::XxHash64::oneshot(0, before.as_bytes());
    format!("{before}{CHECK}xxh64-{check:016x}\"\n  }}\n}}\n")
}

/// The keys of a document, with the kinds of their values: `details.groups: number`. Values in lists, and those that columns
/// and operators name, are alike.
fn form(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(items) => {
            items.iter().for_each(|item| form(&format!("{at}[]"), item, found));
            "list"
        }
        Value::Object(fields) => {
            let is_named = at.ends_with("checksums") || at.ends_with("absent") || at.contains("operators");
            for (key, value) in fields {
                let key = if is_named { "*" } else { key };
                form(&format!("{at}.{key}"), value, found);
            }
            "object"
        }
    };
    found.insert(format!("{at}: {kind}"));
}

fn form_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    form("", &serde_json::from_str(text).unwrap(), &mut found);
    found
}

#[test]
fn documents_are_written_in_the_form_of_the_golden_files() {
    let written = written();
    for (name, text) in &written {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(golden(name), text).unwrap();
            fs::write(golden("running-tasks"), RUNNING).unwrap();
        }
        assert_eq!(form_of(text), form_of(&read(name)), "{name}: its form needs a new version, and a new golden file");
    }
    assert_eq!(written.len(), DOCUMENTS.len());
}

/// Reads the details of a golden manifest as `D` and writes them again.
fn manifest_reads_back<D: Serialize + DeserializeOwned>(name: &str) {
    let text = read(name);
    let (head, details) = Manifest::<D>::decode_summary(text.as_bytes(), name).unwrap();
    let again = Manifest::new(Vec::new(), details);
    let again = again.encode_summary("u", b"", "f", &head.roots.unwrap()).unwrap();
    let details = |text: &[u8]| {
        let Value::Object(mut details) = serde_json::from_slice::<Value>(text).unwrap()["details"].take() else {
            panic!("{name} has no details");
        };
        // Of the data file, of the bytes before it, and of the program.
        ["data", "check", "written_by"].iter().for_each(|key| drop(details.remove(*key)));
        details
    };
    assert_eq!(details(&again), details(text.as_bytes()), "{name}");
}

/// The same for a document that is no manifest; `outside` are keys that its type does not have.
fn document_reads_back<D: Serialize + for<'a> Deserialize<'a>>(name: &str, outside: &[&str]) {
    let mut text: Value = serde_json::from_str(&read(name)).unwrap();
    let document: D = serde_json::from_value(text.clone()).unwrap();
    for key in outside {
        assert!(text.as_object_mut().unwrap().remove(*key).is_some(), "{name} has no {key}");
    }
    assert_eq!(serde_json::to_value(document).unwrap(), text, "{name}");
}

#[test]
fn golden_documents_are_read_and_written_again_as_they_are() {
    manifest_reads_back::<PlanDetails>("plan");
    manifest_reads_back::<GroupDetails>("snapshot-group");
    manifest_reads_back::<StageDetails>("stage-task");
    manifest_reads_back::<PartitionDetails>("partition-group");
    manifest_reads_back::<TaskDetails>("publish-task");
    document_reads_back::<Validation>("validation", &["content"]);
    document_reads_back::<Failure>("failed-task", &["version"]);
    document_reads_back::<RunningTasks>("running-tasks", &["version"]);
}

#[test]
fn golden_task_is_read_and_written_again_and_is_what_a_config_gives_today() {
    let text = read("task");
    let spec = TaskSpec::from_json(&text).unwrap();
    let again: Value = serde_json::from_str(&spec.to_json().unwrap()).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(&text).unwrap());
    let work = Work::events(1, 6);
    let printed = work.snaplake(&["stage", "--print-tasks", "--var", "out=out"]).ok().stdout;
    assert_eq!(form_of(printed.trim()), form_of(&text), "the form of tasks needs a new version, and a new golden file");
    let report = r#"{"table":"t","step":"stage","group":3,"ran":true,"rows":5,"seconds":0.5}"#;
    let read: TaskReport = serde_json::from_str(report).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), report);
}

#[test]
fn document_of_another_version_is_an_error_that_names_its_writer_and_what_to_do() {
    let work = Work::events(2, 20);
    work.snaplake(&["run"]).ok();
    let root = work.path("out/staging/shop/events").read_dir().unwrap().next().unwrap().unwrap().path();
    let plan = root.join("manifests/manifest-summary.json");
    let text = fs::read_to_string(&plan).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["details"]["version"] = json!(99);
    other["details"]["written_by"] = json!("snaplake 9.9.9");
    other["details"].as_object_mut().unwrap().remove("check");
    fs::write(&plan, serde_json::to_string_pretty(&other).unwrap()).unwrap();
    for command in ["run", "status", "query", "publish", "validate", "clean", "repair"] {
        let more: &[&str] = if command == "query" { &["-c", "SELECT 1"] } else { &[] };
        let run = work.snaplake(&[&[command], more].concat());
        assert_eq!(run.code, 1, "{command}: {run:?}");
        for word in ["was written by snaplake 9.9.9 in version 99", "reads version 2", "help: use the version"] {
            assert!(run.stderr.contains(word), "{command}: no '{word}' in {}", run.stderr);
        }
    }
    fs::write(&plan, text).unwrap();
    work.snaplake(&["run"]).ok();
}
