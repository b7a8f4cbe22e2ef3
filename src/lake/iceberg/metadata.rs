//! The metadata of an Iceberg table: from one version to the next. Pure.
//!
//! ```text
//! snapshot 01-30  <- tag 2026-01-30T00:00:00Z
//! snapshot 01-31  <- tag 2026-01-31T00:00:00Z, main           readers without a wish read main
//! ```
//!
//! What others wrote into it stays as it is. `main` never moves to an older snapshot time. Source: the Iceberg table
//! specification, format version 2, "Table Metadata".

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::FieldRef;
use serde_json::{Map, Value, json};

use super::types::KnownTypes;
use crate::config::SortKey;
use crate::error::IcebergFault;
use crate::lake::field_ids::id_of;

/// Keys of a snapshot's summary.
const PLAN: &str = "snaplake.plan";
const TIME: &str = "snaplake.snapshot-time";

/// Earlier metadata files that are listed.
const LOGGED: usize = 100;

/// The metadata of one version.
#[derive(Debug, Clone)]
pub(super) struct TableMetadata(Map<String, Value>);

/// What a published snapshot of a table is, but for its files.
#[derive(Debug, Clone)]
pub(super) struct TableForm<'a> {
    /// All columns, those of the path last.
    pub(super) columns: &'a [FieldRef],
    /// Names of the partition columns.
    pub(super) partition: Vec<&'a str>,
    pub(super) sorted_by: Vec<&'a SortKey>,
}

/// The ids that a version gives to a table's form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FormIds {
    pub(super) schema: Value,
    pub(super) spec: Value,
    pub(super) sort_order: i64,
}

/// One snapshot to be added.
#[derive(Debug, Clone)]
pub(super) struct NewSnapshot<'a> {
    pub(super) id: i64,
    pub(super) plan: &'a str,
    /// RFC 3339, UTC.
    pub(super) time: &'a str,
    pub(super) manifest_list: &'a str,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    pub(super) files: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl TableMetadata {
    /// An empty table.
    pub(super) fn new(location: &str, uuid: &str) -> Self {
        let empty = json!({
            "format-version": 2, "table-uuid": uuid, "location": location, "last-sequence-number": 0,
            "last-updated-ms": 0, "last-column-id": 0, "current-schema-id": 0, "schemas": [],
            "default-spec-id": 0, "partition-specs": [], "last-partition-id": 999, "default-sort-order-id": 0,
            // Who removes files that no snapshot lists would remove what snaplake keeps beside them.
            "sort-orders": [{ "order-id": 0, "fields": [] }], "properties": { "gc.enabled": "false" },
            "current-snapshot-id": -1, "refs": {}, "snapshots": [], "snapshot-log": [], "metadata-log": [],
        });
        match empty {
            Value::Object(table) => Self(table),
            _ => Self(Map::new()),
        }
    }

    /// Reads the metadata of a version.
    ///
    /// # Errors
    /// Why it is none that this can go on with, in words.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let table: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match table.get("format-version").and_then(Value::as_i64) {
            Some(2) => Ok(Self(table)),
            Some(version) => Err(format!("its format version is {version}, not 2")),
            None => Err("it has no format version".to_owned()),
        }
    }

    /// The JSON text.
    pub(super) fn text(&self) -> Vec<u8> {
        // Texts and numbers under names of text: this always has a JSON form.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    fn number(&self, key: &str) -> i64 {
        self.0.get(key).and_then(Value::as_i64).unwrap_or_default()
    }

    fn edit(&mut self, list: &str, edit: impl FnOnce(&mut Vec<Value>)) {
        if let Some(list) = self.0.entry(list).or_insert_with(|| json!([])).as_array_mut() {
            edit(list);
        }
    }

    fn of_list(&self, key: &str) -> &[Value] {
        self.0.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn reference(&self, name: &str) -> Option<i64> {
        self.0.get("refs")?.get(name)?.get("snapshot-id")?.as_i64()
    }

    fn snapshot(&self, id: i64) -> Option<&Value> {
        self.of_list("snapshots").iter().find(|snapshot| snapshot["snapshot-id"].as_i64() == Some(id))
    }

    /// Whether a snapshot of this time and plan is in the table.
    pub(super) fn has(&self, time: &str, plan: &str) -> bool {
        let snapshot = self.reference(time).and_then(|id| self.snapshot(id));
        snapshot.is_some_and(|snapshot| snapshot["summary"][PLAN] == plan)
    }

    /// The manifest list of the snapshot of this time and plan.
    pub(super) fn manifest_list(&self, time: &str, plan: &str) -> Option<&str> {
        let snapshot = self.reference(time).and_then(|id| self.snapshot(id))?;
        snapshot["manifest-list"].as_str().filter(|_| snapshot["summary"][PLAN] == plan)
    }

    /// The snapshot times in the table, with the sequence numbers of their snapshots.
    pub(super) fn times(&self) -> BTreeMap<String, i64> {
        let all = self.of_list("snapshots").iter().filter_map(|snapshot| {
            let time = snapshot["summary"][TIME].as_str()?;
            let is_tagged = self.reference(time) == snapshot["snapshot-id"].as_i64();
            Some((time.to_owned(), snapshot["sequence-number"].as_i64()?)).filter(|_| is_tagged)
        });
        all.collect()
    }

    /// The number of the next snapshot.
    pub(super) fn next_sequence(&self) -> i64 {
        self.number("last-sequence-number") + 1
    }

    /// The snapshot that readers see.
    pub(super) fn current(&self) -> Option<i64> {
        self.reference("main").or_else(|| Some(self.number("current-snapshot-id")).filter(|id| *id > 0))
    }

    /// The snapshot time of what readers see: of it, or of the nearest before it that snaplake wrote.
    fn current_time(&self) -> Option<&str> {
        let mut next = self.current();
        for _ in 0..self.of_list("snapshots").len() {
            let snapshot = self.snapshot(next?)?;
            if let Some(time) = snapshot["summary"][TIME].as_str() {
                return Some(time);
            }
            next = snapshot["parent-snapshot-id"].as_i64();
        }
        None
    }

    /// Gives ids to a form, and makes it the table's.
    ///
    /// # Errors
    /// [`IcebergFault::TypeChanged`].
    pub(super) fn take_form(&mut self, form: &TableForm<'_>) -> Result<FormIds, IcebergFault> {
        let fields = KnownTypes::of(self.of_list("schemas")).fields(form.columns)?;
        let schema = self.taken("schemas", "schema-id", json!({ "type": "struct", "fields": fields }));
        let column = |name: &str| form.columns.iter().find(|column| column.name() == name).map(|column| id_of(column));
        let mut parts = Vec::new();
        for name in &form.partition {
            let source = json!(column(name));
            let known = self.of_list("partition-specs").iter().flat_map(|spec| spec["fields"].as_array());
            let known = known.flatten().find(|part| part["source-id"] == source && part["transform"] == "identity");
            let id = known.map(|part| part["field-id"].clone()).unwrap_or_else(|| {
                let id = self.number("last-partition-id") + 1;
                json!(id)
            });
            let last = self.number("last-partition-id").max(id.as_i64().unwrap_or_default());
            self.0.insert("last-partition-id".to_owned(), json!(last));
            parts.push(json!({ "source-id": source, "field-id": id, "name": name, "transform": "identity" }));
        }
        let spec = self.taken("partition-specs", "spec-id", json!({ "fields": parts }));
        let keys = form.sorted_by.iter().filter_map(|key| {
            let order = if key.descending { "desc" } else { "asc" };
            let nulls = if key.nulls_first { "nulls-first" } else { "nulls-last" };
            let source = column(&key.column)?;
            Some(json!({ "transform": "identity", "source-id": source, "direction": order, "null-order": nulls }))
        });
        let order = self.taken("sort-orders", "order-id", json!({ "fields": keys.collect::<Vec<_>>() }));
        let last = fields.iter().map(highest_id).max().unwrap_or_default().max(self.number("last-column-id"));
        for (key, value) in [
            ("last-column-id", json!(last)),
            ("current-schema-id", schema["schema-id"].clone()),
            ("default-spec-id", spec["spec-id"].clone()),
            ("default-sort-order-id", order["order-id"].clone()),
        ] {
            self.0.insert(key.to_owned(), value);
        }
        Ok(FormIds { schema, spec, sort_order: order["order-id"].as_i64().unwrap_or_default() })
    }

    /// The one of a list that is like `wanted` but for its id; it is added if there is none.
    fn taken(&mut self, list: &str, id: &str, wanted: Value) -> Value {
        let is_it = |known: &&Value| known["fields"] == wanted["fields"];
        if let Some(known) = self.of_list(list).iter().find(is_it) {
            return known.clone();
        }
        let next = self.of_list(list).iter().filter_map(|known| known[id].as_i64()).max().map_or(0, |last| last + 1);
        let mut new = wanted;
        new[id] = json!(next);
        self.edit(list, |list| list.push(new.clone()));
        new
    }

    /// Adds a snapshot, under a tag of its time; readers see it unless they see a newer one.
    pub(super) fn add(&mut self, new: &NewSnapshot<'_>, ids: &FormIds) {
        self.forget(new.time);
        let sequence = self.next_sequence();
        let parent = self.current();
        let is_newest = self.current_time().is_none_or(|current| instant(current) <= instant(new.time));
        let now = new.now.max(self.number("last-updated-ms"));
        let operation = if parent.is_some() { "overwrite" } else { "append" };
        let mut snapshot = json!({
            "snapshot-id": new.id, "sequence-number": sequence, "timestamp-ms": now,
            "manifest-list": new.manifest_list, "schema-id": ids.schema["schema-id"],
            "summary": {
                "operation": operation, TIME: new.time, PLAN: new.plan,
                "added-data-files": new.files.to_string(), "added-records": new.rows.to_string(),
                "added-files-size": new.bytes.to_string(), "total-data-files": new.files.to_string(),
                "total-records": new.rows.to_string(), "total-files-size": new.bytes.to_string(),
                "total-delete-files": "0", "total-position-deletes": "0", "total-equality-deletes": "0",
            },
        });
        if let Some(parent) = parent {
            snapshot["parent-snapshot-id"] = json!(parent);
        }
        self.edit("snapshots", |snapshots| snapshots.push(snapshot));
        self.refer(new.time, "tag", new.id);
        if is_newest {
            self.make_current(new.id, now);
        }
        self.0.insert("last-sequence-number".to_owned(), json!(sequence));
        self.0.insert("last-updated-ms".to_owned(), json!(now));
    }

    fn refer(&mut self, name: &str, kind: &str, id: i64) {
        if let Some(refs) = self.0.entry("refs").or_insert_with(|| json!({})).as_object_mut() {
            refs.insert(name.to_owned(), json!({ "snapshot-id": id, "type": kind }));
        }
    }

    fn make_current(&mut self, id: i64, now: i64) {
        self.refer("main", "branch", id);
        self.0.insert("current-snapshot-id".to_owned(), json!(id));
        self.edit("snapshot-log", |log| log.push(json!({ "timestamp-ms": now, "snapshot-id": id })));
    }

    /// Removes the snapshot of a time, if it is there; readers that saw it see the newest of the others.
    pub(super) fn forget(&mut self, time: &str) -> bool {
        let Some(id) = self.reference(time) else { return false };
        let is_it = |of: &Value| of["snapshot-id"].as_i64() == Some(id);
        let was_current = self.current() == Some(id);
        self.edit("snapshots", |snapshots| snapshots.retain(|snapshot| !is_it(snapshot)));
        self.edit("snapshot-log", |log| log.retain(|entry| !is_it(entry)));
        if let Some(refs) = self.0.get_mut("refs").and_then(Value::as_object_mut) {
            refs.retain(|_, reference| !is_it(reference));
        }
        if was_current {
            let known = self.of_list("snapshots").iter();
            let newest = known.max_by_key(|snapshot| snapshot["summary"][TIME].as_str().and_then(instant));
            match newest.and_then(|snapshot| snapshot["snapshot-id"].as_i64()) {
                Some(id) => self.make_current(id, self.number("last-updated-ms")),
                None => drop(self.0.insert("current-snapshot-id".to_owned(), json!(-1))),
            }
        }
        true
    }

    /// Notes that this follows the version in `file`.
    pub(super) fn follows(&mut self, file: &str, since: i64) {
        self.edit("metadata-log", |log| {
            log.push(json!({ "timestamp-ms": since, "metadata-file": file }));
            let start = log.len().saturating_sub(LOGGED);
            log.drain(..start);
        });
    }

    /// When the version was written, milliseconds since 1970.
    pub(super) fn updated(&self) -> i64 {
        self.number("last-updated-ms")
    }
}

/// The instant of a snapshot time. As texts, times with and without a fraction have another order.
fn instant(time: &str) -> Option<DateTime<Utc>> {
    time.parse().ok()
}

/// The highest id in a field or type.
fn highest_id(of: &Value) -> i64 {
    let ids = ["id", "element-id", "key-id", "value-id"].into_iter().filter_map(|key| of[key].as_i64());
    let below = ["type", "element", "key", "value"].into_iter().map(|key| &of[key]).filter(|of| of.is_object());
    let fields = of["fields"].as_array().into_iter().flatten();
    ids.chain(below.chain(fields).map(highest_id)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::lake::field_ids::with_ids;

    fn published(table: &mut TableMetadata, time: &str, id: i64) {
        let columns = [("a", DataType::Int64), ("day", DataType::Date32)];
        let columns = with_ids(&columns.map(|(name, of)| Arc::new(Field::new(name, of, true)))).unwrap();
        let form = TableForm { columns: &columns, partition: vec!["day"], sorted_by: Vec::new() };
        let ids = table.take_form(&form).unwrap();
        let plan = format!("plan-{id}");
        let of = NewSnapshot { id, plan: &plan, time, manifest_list: "l", now: id, files: 1, rows: 2, bytes: 3 };
        table.add(&of, &ids);
    }

    #[test]
    fn main_is_the_newest_snapshot_time_and_each_time_has_a_tag() {
        let mut table = TableMetadata::new("s3://b/t", "u");
        published(&mut table, "2026-01-30T00:00:00Z", 1);
        published(&mut table, "2026-02-01T00:00:00Z", 2);
        published(&mut table, "2026-01-31T00:00:00Z", 3);
        assert_eq!((table.current(), table.reference("2026-01-31T00:00:00Z")), (Some(2), Some(3)));
        assert!(table.has("2026-01-31T00:00:00Z", "plan-3") && !table.has("2026-01-31T00:00:00Z", "plan-2"));
        let text = table.text();
        assert_eq!(TableMetadata::parse(&text).unwrap().text(), text);
        assert_eq!((table.of_list("schemas").len(), table.of_list("partition-specs").len()), (1, 1));
        assert_eq!(table.next_sequence(), 4);
        published(&mut table, "2026-02-01T00:00:00.5Z", 4);
        assert_eq!(table.current(), Some(4));
    }

    #[test]
    fn metadata_of_the_first_version_is_as_it_was() {
        let mut table = TableMetadata::new("s3://b/t", "u");
        published(&mut table, "2026-01-30T00:00:00Z", 7);
        table.follows("s3://b/t/metadata/v1.metadata.json", 7);
        insta::assert_snapshot!(serde_json::to_string_pretty(&table.0).unwrap());
    }

    #[test]
    fn snapshot_that_is_published_again_takes_the_place_of_the_one_before() {
        let mut table = TableMetadata::new("s3://b/t", "u");
        published(&mut table, "2026-01-30T00:00:00Z", 1);
        published(&mut table, "2026-01-30T00:00:00Z", 2);
        assert_eq!((table.current(), table.of_list("snapshots").len()), (Some(2), 1));
    }

    #[test]
    fn readers_see_the_newest_of_the_others_when_theirs_is_gone() {
        let mut table = TableMetadata::new("s3://b/t", "u");
        for (id, time) in [(1, "2026-01-30T00:00:00Z"), (2, "2026-01-31T00:00:00Z")] {
            published(&mut table, time, id);
        }
        assert!(table.forget("2026-01-31T00:00:00Z") && !table.forget("2026-01-31T00:00:00Z"));
        assert_eq!(table.current(), Some(1));
        assert!(table.forget("2026-01-30T00:00:00Z"));
        assert_eq!((table.current(), &table.0["current-snapshot-id"]), (None, &json!(-1)));
    }

    #[test]
    fn other_format_versions_are_refused_by_number() {
        assert!(TableMetadata::parse(br#"{"format-version": 3}"#).unwrap_err().contains('3'));
        assert!(TableMetadata::parse(b"[]").is_err());
    }
}
