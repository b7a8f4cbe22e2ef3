//! Manifests of an Iceberg table: which files a snapshot has, and what is known of them. Pure.
//!
//! Source: the Iceberg table specification, format version 2, "Manifests" and "Manifest Lists".

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::ScalarValue;
use serde_json::{Value, json};

use super::avro::{AvroRow, AvroWriter};
use super::types::{avro_type, bound, write_partition};
use crate::layout::partition;
use crate::manifest::statistics::{ColumnRange, ColumnRanges};

/// What all manifests of a snapshot say of the table.
#[derive(Debug, Clone)]
pub(super) struct ManifestHead {
    pub(super) schema: Value,
    pub(super) spec: Value,
    /// The partition columns, with the ids of their fields in the spec.
    pub(super) partition: Vec<(FieldRef, i64)>,
    /// The other columns of the first level, with their ids.
    pub(super) columns: Vec<(FieldRef, i64)>,
    pub(super) sort_order: i64,
    pub(super) snapshot: i64,
}

/// One published file.
#[derive(Debug)]
pub(super) struct PublishedFile<'a> {
    pub(super) uri: &'a str,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// In the order of the partition columns.
    pub(super) partition: Vec<ScalarValue>,
    pub(super) ranges: &'a ColumnRanges,
}

/// A manifest that is being written.
#[derive(Debug)]
pub(super) struct ManifestWriter {
    head: Arc<ManifestHead>,
    file: AvroWriter,
    files: u64,
    rows: u64,
    bytes: u64,
    partitions: Vec<PartitionRange>,
}

/// Values of one partition column in a manifest.
#[derive(Debug, Clone, Default)]
struct PartitionRange {
    has_null: bool,
    range: Option<(ScalarValue, ScalarValue)>,
}

/// A manifest that is written.
#[derive(Debug)]
pub(super) struct WrittenManifest {
    pub(super) uri: String,
    pub(super) length: u64,
    pub(super) files: u64,
    pub(super) rows: u64,
    /// Bytes of its data files.
    pub(super) bytes: u64,
    partitions: Vec<PartitionRange>,
}

impl ManifestWriter {
    pub(super) fn new(head: &Arc<ManifestHead>) -> Self {
        let fields = head.spec["fields"].to_string();
        let (schema, spec) = (head.schema.to_string(), head.spec["spec-id"].to_string());
        let keys = [
            ("schema", schema.as_str()),
            ("schema-id", &head.schema["schema-id"].to_string()),
            ("partition-spec", &fields),
            ("partition-spec-id", &spec),
            ("format-version", "2"),
            ("content", "data"),
        ];
        Self {
            head: Arc::clone(head),
            file: AvroWriter::new(&entry_schema(&head.partition).to_string(), &keys),
            files: 0,
            rows: 0,
            bytes: 0,
            partitions: vec![PartitionRange::default(); head.partition.len()],
        }
    }

    /// How many files it has.
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    /// Adds a file that is new in the snapshot.
    pub(super) fn add(&mut self, file: &PublishedFile<'_>) {
        let head = Arc::clone(&self.head);
        for (seen, value) in self.partitions.iter_mut().zip(&file.partition) {
            seen.add(value);
        }
        (self.files, self.rows, self.bytes) = (self.files + 1, self.rows + file.rows, self.bytes + file.bytes);
        let known: Vec<(&FieldRef, i64, &ColumnRange)> = head
            .columns
            .iter()
            .filter_map(|(column, id)| Some((column, *id, file.ranges.get(column.name())?)))
            .collect();
        let counts: Vec<(i64, u64)> = known.iter().map(|(_, id, _)| (*id, file.rows)).collect();
        let nulls: Vec<(i64, u64)> = known.iter().map(|(_, id, range)| (*id, range.nulls)).collect();
        let bounds = |of: fn(&ColumnRange) -> Option<&String>, zero: &'static str| {
            let bounds = known.iter().filter_map(|(column, id, range)| {
                // Inexact ranges of floats bound nothing: there may be NaN.
                let is_sound = range.is_exact || !column.data_type().is_floating();
                let text = of(range).filter(|_| is_sound)?;
                // A zero of either sign lies between -0.0 and 0.0, which readers may tell apart.
                let text = match (column.data_type().is_floating(), text.as_str()) {
                    (true, "0.0" | "-0.0") => zero,
                    _ => text,
                };
                Some((*id, bound(&partition::typed(Some(text), column.data_type()).ok()?)?))
            });
            bounds.collect::<Vec<(i64, Vec<u8>)>>()
        };
        let (lower, upper) = (bounds(|range| range.min.as_ref(), "-0.0"), bounds(|range| range.max.as_ref(), "0.0"));
        let of_count = |row: &mut AvroRow, (id, count): &(i64, u64)| {
            row.long(*id);
            row.count(*count);
        };
        let of_bound = |row: &mut AvroRow, (id, bound): &(i64, Vec<u8>)| {
            row.long(*id);
            row.bytes(bound);
        };
        self.file.row(|row| {
            row.long(1); // added
            row.optional(Some(head.snapshot), |row, id| row.long(id));
            // The numbers are those of the snapshot that the manifest is committed with.
            row.optional(None::<i64>, |row, number| row.long(number));
            row.optional(None::<i64>, |row, number| row.long(number));
            row.long(0); // rows, not deletes
            row.bytes(file.uri.as_bytes());
            row.bytes(b"PARQUET");
            file.partition.iter().for_each(|value| write_partition(row, value));
            row.count(file.rows);
            row.count(file.bytes);
            row.optional(Some(counts), |row, counts| row.array(&counts, of_count));
            row.optional(Some(nulls), |row, nulls| row.array(&nulls, of_count));
            row.optional(Some(lower), |row, bounds| row.array(&bounds, of_bound));
            row.optional(Some(upper), |row, bounds| row.array(&bounds, of_bound));
            row.optional(Some(head.sort_order), |row, order| row.long(order));
        });
    }

    /// The bytes, and what the manifest list says of them at `uri`.
    pub(super) fn finish(self, uri: String) -> (Bytes, WrittenManifest) {
        let Self { file, files, rows, bytes: data, partitions, .. } = self;
        let bytes = file.finish();
        let written = WrittenManifest { uri, length: bytes.len() as u64, files, rows, bytes: data, partitions };
        (bytes, written)
    }
}

impl PartitionRange {
    fn add(&mut self, value: &ScalarValue) {
        if value.is_null() {
            self.has_null = true;
            return;
        }
        let range = self.range.get_or_insert_with(|| (value.clone(), value.clone()));
        if value.partial_cmp(&range.0) == Some(Ordering::Less) {
            range.0 = value.clone();
        }
        if value.partial_cmp(&range.1) == Some(Ordering::Greater) {
            range.1 = value.clone();
        }
    }
}

/// The manifest list of a snapshot all of whose files are new.
pub(super) fn manifest_list(
    manifests: &[WrittenManifest],
    spec: i64,
    snapshot: i64,
    parent: Option<i64>,
    sequence: i64,
) -> Bytes {
    let parent = parent.map_or("null".to_owned(), |parent| parent.to_string());
    let keys = [
        ("snapshot-id", snapshot.to_string()),
        ("parent-snapshot-id", parent),
        ("sequence-number", sequence.to_string()),
        ("format-version", "2".to_owned()),
    ];
    let keys = keys.each_ref().map(|(key, value)| (*key, value.as_str()));
    let mut file = AvroWriter::new(&list_schema().to_string(), &keys);
    for manifest in manifests {
        file.row(|row| {
            row.bytes(manifest.uri.as_bytes());
            row.count(manifest.length);
            row.long(spec);
            row.long(0); // rows, not deletes
            row.long(sequence);
            row.long(sequence);
            row.long(snapshot);
            row.count(manifest.files);
            row.long(0); // existing files
            row.long(0); // deleted files
            row.count(manifest.rows);
            row.long(0);
            row.long(0);
            row.optional(Some(&manifest.partitions), |row, partitions| {
                row.array(partitions, |row, PartitionRange { has_null, range }| {
                    row.boolean(*has_null);
                    row.optional(Some(false), AvroRow::boolean);
                    let ends = range.as_ref().map(|(lower, upper)| (bound(lower), bound(upper)));
                    let (lower, upper) = ends.unwrap_or_default();
                    row.optional(lower, |row, bound| row.bytes(&bound));
                    row.optional(upper, |row, bound| row.bytes(&bound));
                });
            });
        });
    }
    file.finish()
}

/// A field of a record, with its id.
fn field(id: i64, name: &str, of: Value) -> Value {
    json!({ "name": name, "type": of, "field-id": id })
}

/// The same, which may be null.
fn optional(id: i64, name: &str, of: Value) -> Value {
    json!({ "name": name, "type": ["null", of], "default": null, "field-id": id })
}

/// A map of ids of columns to something, which Avro has as pairs.
fn by_id(key: i64, value: i64, of: &str) -> Value {
    let pair = json!({
        "type": "record", "name": format!("k{key}_v{value}"),
        "fields": [field(key, "key", json!("int")), field(value, "value", json!(of))],
    });
    json!({ "type": "array", "logicalType": "map", "items": pair })
}

fn entry_schema(partition: &[(FieldRef, i64)]) -> Value {
    let partition: Vec<Value> =
        partition.iter().map(|(column, id)| optional(*id, &avro_name(column.name()), avro_type(column))).collect();
    let data_file = json!({ "type": "record", "name": "r2", "fields": [
        field(134, "content", json!("int")),
        field(100, "file_path", json!("string")),
        field(101, "file_format", json!("string")),
        field(102, "partition", json!({ "type": "record", "name": "r102", "fields": partition })),
        field(103, "record_count", json!("long")),
        field(104, "file_size_in_bytes", json!("long")),
        optional(109, "value_counts", by_id(119, 120, "long")),
        optional(110, "null_value_counts", by_id(121, 122, "long")),
        optional(125, "lower_bounds", by_id(126, 127, "bytes")),
        optional(128, "upper_bounds", by_id(129, 130, "bytes")),
        optional(140, "sort_order_id", json!("int")),
    ] });
    json!({ "type": "record", "name": "manifest_entry", "fields": [
        field(0, "status", json!("int")),
        optional(1, "snapshot_id", json!("long")),
        optional(3, "sequence_number", json!("long")),
        optional(4, "file_sequence_number", json!("long")),
        field(2, "data_file", data_file),
    ] })
}

fn list_schema() -> Value {
    let summary = json!({ "type": "record", "name": "r508", "fields": [
        field(509, "contains_null", json!("boolean")),
        optional(518, "contains_nan", json!("boolean")),
        optional(510, "lower_bound", json!("bytes")),
        optional(511, "upper_bound", json!("bytes")),
    ] });
    json!({ "type": "record", "name": "manifest_file", "fields": [
        field(500, "manifest_path", json!("string")),
        field(501, "manifest_length", json!("long")),
        field(502, "partition_spec_id", json!("int")),
        field(517, "content", json!("int")),
        field(515, "sequence_number", json!("long")),
        field(516, "min_sequence_number", json!("long")),
        field(503, "added_snapshot_id", json!("long")),
        field(504, "added_files_count", json!("int")),
        field(505, "existing_files_count", json!("int")),
        field(506, "deleted_files_count", json!("int")),
        field(512, "added_rows_count", json!("long")),
        field(513, "existing_rows_count", json!("long")),
        field(514, "deleted_rows_count", json!("long")),
        optional(507, "partitions", json!({ "type": "array", "items": summary, "element-id": 508 })),
    ] })
}

/// The name of a column as Avro takes it: other characters as `_x` and their number, as Iceberg's library does.
fn avro_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for (at, char) in name.chars().enumerate() {
        match char {
            'a'..='z' | 'A'..='Z' | '_' => plain.push(char),
            '0'..='9' if at > 0 => plain.push(char),
            '0'..='9' => plain.extend(['_', char]),
            _ => plain.push_str(&format!("_x{:X}", u32::from(char))),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_avro_does_not_take_are_written_as_icebergs_library_does() {
        assert_eq!(["day", "9a", "a b", "é"].map(avro_name), ["day", "_9a", "a_x20b", "_xE9"]);
    }
}
