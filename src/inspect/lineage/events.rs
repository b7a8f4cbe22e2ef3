//! OpenLineage events (spec 2-0-2) of what is known: pure, the same for the same manifests, so a repeat says the same
//! again.
//!
//! ```text
//! plan committed          START     of the run whose id is made from the plan's id; job {database}.{schema}.{table}
//! lake published, proven  COMPLETE  with what was read and written
//! a task failed           FAIL      with its error; a later COMPLETE of the same run takes its place
//! otherwise               RUNNING   with what is there so far
//! ```
//!
//! Inputs are the locations of the snapshot tables, the output is the lake table. Column lineage is not reported: what
//! a column is made from is not known from manifests. Estimates are not reported either: consumers take numbers for
//! counts. A table that is not planned has no events.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::model::{Lineage, LineageColumn, LineageSource, LineageTask, TableLineage};
use crate::inspect::snapshots::SnapshotState;
use crate::layout::Location;

/// What wrote the events.
const PRODUCER: &str = concat!("urn:snaplake:", env!("CARGO_PKG_VERSION"));

const SPEC: &str = "https://openlineage.io/spec/";

/// RFC 4122's namespace of names that are URLs or URNs.
const URL_NAMESPACE: [u8; 16] =
    [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

/// The events of all tables, in their order.
pub(crate) fn events(lineage: &Lineage) -> Vec<Value> {
    lineage.tables.iter().flat_map(|table| of_table(lineage, table)).collect()
}

fn of_table(lineage: &Lineage, table: &TableLineage) -> Vec<Value> {
    let Some(planned_at) = &table.planned_at else { return Vec::new() };
    let failed = last_failure(&table.tasks);
    let (last, last_at) = match failed {
        _ if table.state == SnapshotState::Complete => ("COMPLETE", table.tasks.iter().filter_map(ended).max()),
        Some(task) => ("FAIL", ended(task)),
        None => ("RUNNING", table.tasks.iter().filter_map(ended).max()),
    };
    let last_at = last_at.map(|end| end.to_rfc3339_opts(SecondsFormat::Millis, true));
    let last_at = last_at.unwrap_or_else(|| planned_at.clone());
    let error = failed.filter(|_| last == "FAIL").and_then(|task| task.error.as_deref());
    let event = |kind: &str, at: &str, error: Option<&str>| {
        json!({
            "eventType": kind,
            "eventTime": at,
            "producer": PRODUCER,
            "schemaURL": format!("{SPEC}2-0-2/OpenLineage.json#/$defs/RunEvent"),
            "run": { "runId": run_id(&table.plan), "facets": run_facets(lineage, error) },
            "job": job(lineage, table),
            "inputs": table.sources.iter().flat_map(input).collect::<Vec<_>>(),
            "outputs": [output(table, kind != "START")],
        })
    };
    vec![event("START", planned_at, None), event(last, &last_at, error)]
}

/// A UUID of version 3 (RFC 4122) from the name of the plan.
fn run_id(plan: &str) -> String {
    let mut bytes: [u8; 16] =
        Md5::new().chain_update(URL_NAMESPACE).chain_update(format!("urn:snaplake:plan:{plan}")).finalize().into();
    bytes[6] = bytes[6] & 0x0f | 0x30;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// When the task ended, as far as it says.
fn ended(task: &LineageTask) -> Option<DateTime<Utc>> {
    let began = DateTime::parse_from_rfc3339(task.started_at.as_deref()?).ok()?.with_timezone(&Utc);
    let lasted = std::time::Duration::try_from_secs_f64(task.seconds?).ok()?;
    began.checked_add_signed(TimeDelta::from_std(lasted).ok()?)
}

/// The failure that came last, whatever the number of its task.
fn last_failure(tasks: &[LineageTask]) -> Option<&LineageTask> {
    tasks.iter().filter(|task| task.state == "failed").max_by_key(|task| ended(task))
}

fn facet(name: &str, content: Value) -> Value {
    let definition = name.rsplit('/').next().unwrap_or(name);
    let url = [SPEC, "facets/", name, ".json#/$defs/", definition].concat();
    let mut facet = Map::from_iter([("_producer".to_owned(), json!(PRODUCER)), ("_schemaURL".to_owned(), json!(url))]);
    if let Value::Object(content) = content {
        facet.extend(content.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(facet)
}

fn run_facets(lineage: &Lineage, error: Option<&str>) -> Value {
    let mut facets = json!({
        "nominalTime": facet("1-0-1/NominalTimeRunFacet", json!({ "nominalStartTime": lineage.snapshot_time })),
        "processing_engine": facet(
            "1-1-1/ProcessingEngineRunFacet",
            json!({ "name": "snaplake", "version": lineage.snaplake }),
        ),
    });
    if let Some(error) = error {
        let content = json!({ "message": error, "programmingLanguage": "RUST" });
        facets["errorMessage"] = facet("1-0-1/ErrorMessageRunFacet", content);
    }
    facets
}

fn job(lineage: &Lineage, table: &TableLineage) -> Value {
    let name = [lineage.database.as_str(), &lineage.schema, &table.table].join(".");
    json!({
        "namespace": "snaplake",
        "name": name,
        "facets": {
            "jobType": facet(
                "2-0-4/JobTypeJobFacet",
                json!({ "processingType": "BATCH", "integration": "SNAPLAKE", "jobType": "JOB" }),
            ),
            "sql": facet("1-1-0/SQLJobFacet", json!({ "query": table.select, "dialect": "datafusion" })),
        },
    })
}

/// A snapshot table; one dataset per location that the config names.
fn input(source: &LineageSource) -> Vec<Value> {
    let statistics = json!({ "rowCount": source.rows, "size": source.bytes, "fileCount": source.files });
    let statistics = facet("1-0-0/InputStatisticsInputDatasetFacet", statistics);
    // What was counted is of all locations together.
    let is_one = source.locations.len() == 1;
    let datasets = source.locations.iter().map(|location| {
        let (namespace, name) = dataset(location);
        json!({
            "namespace": namespace,
            "name": name,
            "facets": { "schema": schema(source.columns.iter().map(|column| (column.name.as_str(), column.r#type.as_str()))) },
            "inputFacets": if is_one { json!({ "inputStatistics": statistics }) } else { json!({}) },
        })
    });
    datasets.collect()
}

fn output(table: &TableLineage, is_counted: bool) -> Value {
    let (namespace, name) = dataset(&table.location);
    let columns = table.columns.iter().map(|column| (column.name.as_str(), column.r#type.as_str()));
    let mut dataset = json!({ "namespace": namespace, "name": name, "facets": { "schema": schema(columns) } });
    let lake = table.hops.lake;
    if is_counted && lake.files > 0 {
        let counts = json!({ "rowCount": lake.rows, "size": lake.bytes, "fileCount": lake.files });
        dataset["outputFacets"] =
            json!({ "outputStatistics": facet("1-0-2/OutputStatisticsOutputDatasetFacet", counts) });
    }
    // The columns' numbers are those of the whole lake only when it is whole.
    if is_counted && matches!(table.state, SnapshotState::Published | SnapshotState::Complete) {
        let metrics = table.columns.iter().map(|column| (column.name.clone(), metrics(column)));
        let content = json!({
            "rowCount": lake.rows, "bytes": lake.bytes, "fileCount": lake.files,
            "columnMetrics": metrics.collect::<Map<_, _>>(),
        });
        dataset["facets"]["dataQualityMetrics"] = facet("1-0-1/DataQualityMetricsDatasetFacet", content);
    }
    dataset
}

/// Of a column: its NULLs, and its extremes where they are numbers and values of it.
fn metrics(column: &LineageColumn) -> Value {
    let mut metrics = Map::new();
    if let Some(nulls) = column.nulls {
        metrics.insert("nullCount".to_owned(), json!(nulls));
    }
    let is_number = ["Int", "UInt", "Float", "Decimal"].iter().any(|kind| column.r#type.starts_with(kind));
    for (name, value) in [("min", &column.min), ("max", &column.max)] {
        let text = value.as_deref().filter(|_| is_number && column.is_exact);
        if let Some(value) = text.and_then(number) {
            metrics.insert(name.to_owned(), json!(value));
        }
    }
    Value::Object(metrics)
}

/// The number in the form that the spec has for it; none where this form has no room for its whole part, as for most
/// above 2^53.
fn number(text: &str) -> Option<f64> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    // Floats with an exponent come from this form.
    let whole = text.split('.').next().filter(|_| !text.contains(['e', 'E'])).and_then(|whole| whole.parse().ok());
    whole.is_none_or(|whole: i128| number as i128 == whole).then_some(number)
}

fn schema<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let fields: Vec<Value> = columns.map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    facet("1-2-0/SchemaDatasetFacet", json!({ "fields": fields }))
}

/// Namespace and name of a folder as OpenLineage names datasets: of `s3://bucket/a/b/` the bucket's URL, and `a/b`. Of
/// a pattern it is the folder above.
fn dataset(location: &str) -> (String, String) {
    let Ok(place) = Location::parse(location, Path::new("/")) else {
        return ("file".to_owned(), location.to_owned());
    };
    let key = place.raw_key();
    let folder = match key.find(['*', '?', '[']) {
        Some(pattern) => key[..pattern].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => key,
    };
    let folder = folder.trim_matches('/');
    match place.store() {
        "file://" => ("file".to_owned(), place.with_key(folder).to_string()),
        store if folder.is_empty() => (store.to_owned(), "/".to_owned()),
        store => (store.to_owned(), folder.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_id_is_a_uuid_of_the_plan() {
        // str(uuid.uuid3(uuid.NAMESPACE_URL, "urn:snaplake:plan:4b92f5bb46dddb96")), computed with Python.
        assert_eq!(run_id("4b92f5bb46dddb96"), "12a2b765-4237-3645-9d73-b73d7dbd13a0");
        assert_ne!(run_id("a"), run_id("b"));
    }

    #[test]
    fn failure_that_came_last_is_reported_also_when_another_task_stands_before_it() {
        let task = |group, state, started_at: Option<&str>, seconds| LineageTask {
            group,
            state,
            started_at: started_at.map(str::to_owned),
            seconds,
            ..LineageTask::default()
        };
        let at = |minute: &str| format!("2026-01-31T00:{minute}:00Z");
        let tasks = [
            task(1, "failed", Some(&at("02")), Some(30.0)),
            task(2, "failed", Some(&at("01")), Some(120.0)),
            task(3, "failed", None, None),
            task(4, "done", Some(&at("09")), Some(1.0)),
        ];
        assert_eq!(last_failure(&tasks).map(|task| task.group), Some(2));
        assert_eq!(last_failure(&tasks[2..]).map(|task| task.group), Some(3));
        assert!(last_failure(&tasks[3..]).is_none());
    }

    #[test]
    fn whole_numbers_that_would_be_rounded_are_left_out() {
        for (text, expected) in [
            ("9007199254740992", Some(9_007_199_254_740_992.0)),
            ("9007199254740993", None),
            ("-9007199254740993", None),
            ("9223372036854775807", None),
            ("-9223372036854775808", Some(-9_223_372_036_854_775_808.0)),
            ("18446744073709551615", None),
            ("9007199254740993.00", None),
            ("-0.50", Some(-0.5)),
            ("1.5e300", Some(1.5e300)),
            ("NaN", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn datasets_are_named_as_the_spec_says() {
        for (location, namespace, name) in [
            ("s3://bucket/a/b/", "s3://bucket", "a/b"),
            ("s3://bucket/a/*/c.csv", "s3://bucket", "a"),
            ("s3://bucket/part-*.csv", "s3://bucket", "/"),
            ("gs://bucket/a=1/", "gs://bucket", "a=1"),
            ("/data/x y/", "file", "/data/x y"),
            ("/data/t.csv", "file", "/data/t.csv"),
        ] {
            assert_eq!(dataset(location), (namespace.to_owned(), name.to_owned()), "{location}");
        }
    }
}
