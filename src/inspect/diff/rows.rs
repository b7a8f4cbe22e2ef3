//! Compares rows of two snapshots by their key, in the engine.
//!
//! ```text
//! counting          by kind and partition, some rows kept as samples
//!   filter          a side is missing, or a column IS DISTINCT FROM the other's
//!     full join     sort-merge by the key, NULL equal to NULL
//!       before, after
//! ```
//!
//! Both sides are sorted by the key, spilling, and stream through the join: memory does not grow with rows. The key
//! must name at most one row of each snapshot; that is checked first, and a key that does not is an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int8Type, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use serde_json::Value;

use super::changes::{Change, RowChanges, RowSample};
use crate::config::{ColumnSet, FileFormat};
use crate::error::{Error, Result};
use crate::lake::LakeColumns;
use crate::layout::partition;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{FileListTable, ScanSize, TableFiles, register};

/// What is compared.
pub(super) struct Comparison<'a> {
    pub(super) engine: &'a Engine,
    /// Columns and files of each snapshot.
    pub(super) before: (&'a LakeColumns, Vec<FileEntry>),
    pub(super) after: (&'a LakeColumns, Vec<FileEntry>),
    pub(super) key: &'a [String],
    /// Rows of each kind that are kept.
    pub(super) samples: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// By Hive path; partitions without changes are missing.
    pub(super) partitions: BTreeMap<String, RowChanges>,
    pub(super) samples: Vec<RowSample>,
}

/// Kinds of rows as the query numbers them.
const KINDS: [Change; 3] = [Change::Added, Change::Removed, Change::Changed];

impl Comparison<'_> {
    /// # Errors
    /// `no_diff` when the key is not unique; those of the engine.
    pub(super) async fn compare(self, no_diff: &impl Fn(String) -> Error) -> Result<Compared> {
        let session = self.engine.task_session(self.before.1.iter().chain(&self.after.1)).await?;
        // A hash join would hold one side in memory.
        session.sql("SET datafusion.optimizer.prefer_hash_join = false").await?.collect().await?;
        for (name, (columns, files)) in [("before", &self.before), ("after", &self.after)] {
            let table = TableFiles {
                name: name.to_owned(),
                format: FileFormat::Parquet,
                schema: Arc::clone(&columns.file),
                partition: columns.partition.clone(),
                null_invalid: ColumnSet::None,
                files: files.clone(),
            };
            register(&session, "lake", name, FileListTable::new(table, ScanSize::AsListed))?;
        }
        for (name, snapshot) in [("before", "other"), ("after", "config's")] {
            let doubled = doubled(&session, name, self.key).await?;
            if doubled > 0 {
                return Err(no_diff(format!(
                    "the key ({}) is not unique in the {snapshot} snapshot, where {doubled} of its values name more than \
                     one row; name more columns with --key",
                    self.key.join(", ")
                )));
            }
        }
        let mut counting = RowCounter::new(&self);
        let mut batches = session.sql(&self.query()).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            counting.add(&batch).map_err(|error| Error::Engine(error.into()))?;
        }
        Ok(counting.end())
    }

    /// Columns of both sides, the key first.
    fn common(&self) -> Vec<&str> {
        let names = |columns: &'_ LakeColumns| -> Vec<String> {
            let file = columns.file.fields().iter();
            file.chain(&columns.partition).map(|field| field.name().clone()).collect()
        };
        let before = names(self.before.0);
        let after = self.after.0.file.fields().iter().chain(&self.after.0.partition).map(|field| field.name().as_str());
        let others = after.filter(|name| before.iter().any(|other| other == name) && !self.is_key(name));
        self.key.iter().map(String::as_str).chain(others).collect()
    }

    fn is_key(&self, name: &str) -> bool {
        self.key.iter().any(|key| key == name)
    }

    fn partition_names(&self) -> Vec<&str> {
        self.after.0.partition.iter().map(|field| field.name().as_str()).collect()
    }

    /// Kind, partition columns, then all common columns before and after.
    fn query(&self) -> String {
        let common = self.common();
        let equal = |name: &&str| format!("(b.{0} IS NOT DISTINCT FROM a.{0})", quoted(name));
        let on: Vec<String> = common.iter().take(self.key.len()).map(equal).collect();
        let mut differs = vec!["b._here IS NULL".to_owned(), "a._here IS NULL".to_owned()];
        differs.extend(
            common.iter().skip(self.key.len()).map(|name| format!("(b.{0} IS DISTINCT FROM a.{0})", quoted(name))),
        );
        let mut columns = vec![
            "CAST(CASE WHEN b._here IS NULL THEN 0 WHEN a._here IS NULL THEN 1 ELSE 2 END AS TINYINT) AS kind"
                .to_owned(),
        ];
        columns.extend(self.partition_names().iter().enumerate().map(|(index, name)| {
            format!("CASE WHEN a._here IS NULL THEN b.{0} ELSE a.{0} END AS p{index}", quoted(name))
        }));
        let each = |side: &'static str| {
            common.iter().enumerate().map(move |(index, name)| format!("{side}.{} AS {side}{index}", quoted(name)))
        };
        columns.extend(each("b").chain(each("a")));
        format!(
            "SELECT {} FROM (SELECT *, true AS _here FROM lake.before) AS b \
             FULL JOIN (SELECT *, true AS _here FROM lake.after) AS a ON {} WHERE {}",
            columns.join(", "),
            on.join(" AND "),
            differs.join(" OR ")
        )
    }
}

/// How many values of the key are in more than one row.
async fn doubled(session: &SessionContext, table: &str, key: &[String]) -> Result<u64> {
    let key: Vec<String> = key.iter().map(|name| quoted(name)).collect();
    let keys = key.join(", ");
    let sql = format!(
        "SELECT CAST(count(*) AS BIGINT UNSIGNED) FROM (SELECT {keys} FROM lake.{table} GROUP BY {keys} HAVING count(*) > 1)"
    );
    let batches = session.sql(&sql).await?.collect().await?;
    let count = batches
        .first()
        .filter(|batch| batch.num_rows() > 0)
        .map(|batch| batch.column(0).as_primitive::<UInt64Type>().value(0));
    Ok(count.unwrap_or(0))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Counts rows by kind and partition, and keeps some.
struct RowCounter {
    /// Columns of both sides, the key first.
    names: Vec<String>,
    key: usize,
    partition_names: Vec<String>,
    /// Made for the types of the first batch.
    converter: Option<RowConverter>,
    /// By the bytes of the partition columns.
    partitions: HashMap<Box<[u8]>, (String, RowChanges)>,
    samples: [Vec<RowSample>; 3],
    most: usize,
}

impl RowCounter {
    fn new(rows: &Comparison<'_>) -> Self {
        Self {
            names: rows.common().into_iter().map(str::to_owned).collect(),
            key: rows.key.len(),
            partition_names: rows.partition_names().into_iter().map(str::to_owned).collect(),
            converter: None,
            partitions: HashMap::new(),
            samples: Default::default(),
            most: rows.samples,
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let kinds = batch.column(0).as_primitive::<Int8Type>().values();
        let columns = &batch.columns()[1..=self.partition_names.len()];
        let encoded = self.encoded(columns)?;
        for (row, &kind) in kinds.iter().enumerate() {
            let bytes = encoded.as_ref().map_or(&[][..], |rows| rows.row(row).data());
            if !self.partitions.contains_key(bytes) {
                let values = partition::values_at(columns, row)?;
                let path = partition::path(self.partition_names.iter().map(String::as_str), &values);
                self.partitions.insert(bytes.into(), (path, RowChanges::default()));
            }
            if let Some((_, changes)) = self.partitions.get_mut(bytes) {
                match kind {
                    0 => changes.added += 1,
                    1 => changes.removed += 1,
                    _ => changes.changed += 1,
                }
            }
            let kind = usize::try_from(kind).unwrap_or(0).min(2);
            if self.samples[kind].len() < self.most {
                let sample = self.sample(KINDS[kind], batch, row)?;
                self.samples[kind].push(sample);
            }
        }
        Ok(())
    }

    /// `None` for an unpartitioned table.
    fn encoded(&mut self, columns: &[ArrayRef]) -> Result<Option<Rows>, ArrowError> {
        if columns.is_empty() {
            return Ok(None);
        }
        if self.converter.is_none() {
            let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
            self.converter = Some(RowConverter::new(fields.collect())?);
        }
        self.converter.as_ref().map(|converter| converter.convert_columns(columns)).transpose()
    }

    fn sample(&self, change: Change, batch: &RecordBatch, row: usize) -> Result<RowSample, ArrowError> {
        let first = 1 + self.partition_names.len();
        let (before, after) = (first, first + self.names.len());
        let text = |column: usize| -> Result<Value, ArrowError> {
            let column = batch.column(column);
            if column.is_null(row) {
                return Ok(Value::Null);
            }
            Ok(ArrayFormatter::try_new(column.as_ref(), &FormatOptions::new())?.value(row).try_to_string()?.into())
        };
        let mut sample = RowSample { change, key: BTreeMap::new(), before: BTreeMap::new(), after: BTreeMap::new() };
        for (index, name) in self.names.iter().enumerate() {
            let (old, new) = (text(before + index)?, text(after + index)?);
            if index < self.key {
                sample.key.insert(name.clone(), if change == Change::Removed { old } else { new });
                continue;
            }
            if change != Change::Added && (change == Change::Removed || old != new) {
                sample.before.insert(name.clone(), old.clone());
            }
            if change != Change::Removed && (change == Change::Added || old != new) {
                sample.after.insert(name.clone(), new);
            }
        }
        Ok(sample)
    }

    fn end(self) -> Compared {
        Compared { partitions: self.partitions.into_values().collect(), samples: self.samples.concat() }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::zip;

    use datafusion::arrow::array::{Int8Array, Int64Array, StringArray};

    use super::*;

    /// Key `id`, one more column `v`, partitioned by `k`.
    fn counting(most: usize) -> RowCounter {
        let names = ["id", "v", "k"].map(str::to_owned).to_vec();
        let (converter, partitions, samples) = (None, HashMap::new(), Default::default());
        RowCounter { names, key: 1, partition_names: vec!["k".to_owned()], converter, partitions, samples, most }
    }

    /// `id`, `v` and `k`; `None` where a side has no such row.
    type Row<'a> = Option<(i64, Option<&'a str>, &'a str)>;

    fn side<'a>(rows: impl Iterator<Item = Row<'a>> + Clone) -> [ArrayRef; 3] {
        [
            Arc::new(rows.clone().map(|row| row.map(|(id, ..)| id)).collect::<Int64Array>()),
            Arc::new(rows.clone().map(|row| row.and_then(|(_, v, _)| v)).collect::<StringArray>()),
            Arc::new(rows.map(|row| row.map(|(.., k)| k)).collect::<StringArray>()),
        ]
    }

    /// As the query gives rows before and after: kind, partition, then all columns before and after.
    fn batch(rows: &[(Row<'_>, Row<'_>)]) -> RecordBatch {
        let kind = |&(before, after): &(Row<'_>, Row<'_>)| match (before, after) {
            (None, _) => 0,
            (_, None) => 1,
            _ => 2,
        };
        let [.., partition] = side(rows.iter().map(|(before, after)| after.or(*before)));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int8Array::from_iter_values(rows.iter().map(kind))), partition];
        columns.extend(side(rows.iter().map(|(before, _)| *before)));
        columns.extend(side(rows.iter().map(|(_, after)| *after)));
        let names = ["kind", "p0", "b0", "b1", "b2", "a0", "a1", "a2"];
        RecordBatch::try_from_iter_with_nullable(zip(names, columns).map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    fn values(of: &BTreeMap<String, Value>) -> String {
        of.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rows_are_counted_by_kind_where_they_are_now_over_all_batches() {
        let mut counting = counting(0);
        let (a, b) = (Some((1, Some("x"), "a")), Some((2, None, "b")));
        counting.add(&batch(&[(None, a), (b, None), (a, b)])).unwrap();
        counting.add(&batch(&[(None, a), (b, a)])).unwrap();
        let compared = counting.end();
        let changes = |added, removed, changed| RowChanges { added, removed, changed };
        let expected = [("k=a".to_owned(), changes(2, 0, 1)), ("k=b".to_owned(), changes(0, 1, 1))];
        assert_eq!(compared.partitions, BTreeMap::from(expected));
        assert_eq!(compared.samples, []);
    }

    #[test]
    fn so_many_samples_of_each_kind_are_kept_and_each_says_only_what_is_new() {
        let mut counting = counting(1);
        let row = |id, v, k| Some((id, v, k));
        let rows = [
            (row(1, Some("x"), "a"), row(1, None, "a")),
            (None, row(2, Some("y"), "b")),
            (row(3, None, "c"), None),
            (row(4, None, "a"), row(4, Some("z"), "b")),
            (None, row(5, None, "b")),
        ];
        counting.add(&batch(&rows)).unwrap();
        let samples = counting.end().samples;
        let reported = samples.iter().map(|of| (of.change, values(&of.key), values(&of.before), values(&of.after)));
        let text = str::to_owned;
        assert_eq!(
            reported.collect::<Vec<_>>(),
            [
                (Change::Added, text("id=\"2\""), text(""), text("k=\"b\" v=\"y\"")),
                (Change::Removed, text("id=\"3\""), text("k=\"c\" v=null"), text("")),
                (Change::Changed, text("id=\"1\""), text("v=\"x\""), text("v=null")),
            ]
        );
    }

    #[test]
    fn table_without_partitions_is_one_partition_without_a_name() {
        let names = ["id", "v", "k"].map(str::to_owned).to_vec();
        let mut counting = RowCounter { names, partition_names: Vec::new(), ..counting(1) };
        let rows = batch(&[(None, Some((1, None, "a"))), (Some((2, None, "b")), None)]);
        let without = rows.project(&[0, 2, 3, 4, 5, 6, 7]).unwrap();
        counting.add(&without).unwrap();
        let compared = counting.end();
        let changes = RowChanges { added: 1, removed: 1, changed: 0 };
        assert_eq!(compared.partitions, BTreeMap::from([(String::new(), changes)]));
        assert_eq!(values(&compared.samples[0].key), "id=\"1\"");
    }

    #[test]
    fn quote_in_a_name_does_not_end_it() {
        assert_eq!([quoted("a b"), quoted("a\"b")], ["\"a b\"", "\"a\"\"b\""]);
    }
}
