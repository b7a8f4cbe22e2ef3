//! How many distinct values each column has, about: HyperLogLog over a bounded part of the lake.
//!
//! ```text
//! lake files, sorted by uri   a b c d e f g h i j      what fits into SAMPLE_BYTES, spread evenly: a d g j
//! one file is larger          a(first rows)            so many of its rows as fit
//! ```
//!
//! No manifest holds distinct counts, and those of files cannot be added up. A lake that fits is read whole, and the
//! result is good to some percent. Of a larger one the result is that of the sample: a lower bound, which says so.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Schema, UInt64Type};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::approx_distinct::approx_distinct;
use datafusion::functions_aggregate::count::count_all;
use datafusion::prelude::{Column, Expr};

use super::model::LakeSample;
use crate::config::{ColumnSet, FileFormat};
use crate::error::Result;
use crate::error::unwrap_engine;
use crate::lake::LakeColumns;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{FileListTable, ScanSize, TableFiles};

/// Bytes of lake files that are read per table.
const SAMPLE_BYTES: u64 = 64 << 20;

/// The files of the sample, and how many rows of them are read.
fn sample(files: &[FileEntry], most_bytes: u64) -> (Vec<FileEntry>, u64) {
    let rows = |files: &[FileEntry]| files.iter().filter_map(|file| file.n_record).sum::<u64>();
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    if bytes <= most_bytes {
        return (files.to_vec(), rows(files));
    }
    // As many as fit if all were of one size, and then no more than fit.
    let count = usize::try_from(u128::from(most_bytes) * files.len() as u128 / u128::from(bytes)).unwrap_or(0).max(1);
    let spread = (0..count).map(|number| &files[number * files.len() / count]);
    let (mut left, mut chosen) = (most_bytes, Vec::new());
    for file in spread {
        if file.size > left {
            if chosen.is_empty() {
                let part = u128::from(file.n_record.unwrap_or(0)) * u128::from(most_bytes) / u128::from(file.size);
                return (vec![file.clone()], u64::try_from(part).unwrap_or(u64::MAX).max(1));
            }
            continue;
        }
        left -= file.size;
        chosen.push(file.clone());
    }
    let rows = rows(&chosen);
    (chosen, rows)
}

/// Whether the engine's estimate knows the type: no floats, whose equality is not that of their bits.
fn is_counted(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_decimal()
        || data_type.is_temporal()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
        )
}

/// Estimates by column, and what they were made from; `None` where there is nothing to read.
///
/// # Errors
/// Those of reading the lake.
pub(super) async fn estimate(
    engine: &Engine,
    columns: &LakeColumns,
    (table, files): (&str, &[FileEntry]),
) -> Result<(HashMap<String, u64>, Option<LakeSample>)> {
    let of_rows: u64 = files.iter().filter_map(|file| file.n_record).sum();
    let (chosen, rows) = sample(files, SAMPLE_BYTES);
    let fields = columns.file.fields().iter().chain(&columns.partition).cloned().collect::<Vec<_>>();
    let schema = Schema::new(fields);
    let names = schema.fields().iter().filter(|field| is_counted(field.data_type())).map(|field| field.name().clone());
    let names: Vec<String> = names.collect();
    if rows == 0 || names.is_empty() {
        return Ok((HashMap::new(), None));
    }
    let read = chosen.len() as u64;
    let session = engine.query_session(&chosen).await?;
    let files = TableFiles {
        name: table.to_owned(),
        format: FileFormat::Parquet,
        schema: Arc::clone(&columns.file),
        partition: columns.partition.clone(),
        null_invalid: ColumnSet::None,
        files: chosen,
    };
    let table = FileListTable::new(files, ScanSize::AsListed);
    let counted = async {
        let limit = usize::try_from(rows).unwrap_or(usize::MAX);
        let of = |name: &String| approx_distinct(Expr::Column(Column::from_name(name)));
        let counts = names.iter().map(of).chain([count_all()]).enumerate();
        let counts = counts.map(|(number, count)| count.alias(number.to_string())).collect();
        let rows = session.read_table(Arc::new(table))?.limit(0, Some(limit))?.aggregate(Vec::new(), counts)?;
        rows.collect().await
    };
    let batches = counted.await.map_err(unwrap_engine)?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok((HashMap::new(), None)) };
    let number = |column: usize| {
        let cast = datafusion::arrow::compute::cast(batch.column(column), &DataType::UInt64);
        cast.map(|array| array.as_primitive::<UInt64Type>().value(0)).map_err(DataFusionError::from)
    };
    let rows = number(names.len()).map_err(unwrap_engine)?;
    // An estimate above the number of rows is one of that many.
    let estimates = names.iter().enumerate().map(|(column, name)| Ok((name.clone(), number(column)?.min(rows))));
    let estimates = estimates.collect::<std::result::Result<_, DataFusionError>>().map_err(unwrap_engine)?;
    Ok((estimates, Some(LakeSample { rows, of_rows, files: read, is_whole: rows == of_rows })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::FilePartition;

    fn files(sizes: &[u64]) -> Vec<FileEntry> {
        let file = |(number, &size): (usize, &u64)| FileEntry {
            uri: format!("s3://b/{number}").into(),
            etag: "e".into(),
            size,
            n_record: Some(size * 2),
            partition: FilePartition::None,
        };
        sizes.iter().enumerate().map(file).collect()
    }

    fn chosen(sizes: &[u64], most: u64) -> (Vec<u64>, u64) {
        let (files, rows) = sample(&files(sizes), most);
        (files.iter().map(|file| file.uri[7..].parse().unwrap()).collect(), rows)
    }

    #[test]
    fn sample_is_all_that_fits_or_is_spread_over_the_files() {
        assert_eq!(chosen(&[5, 5, 5], 15), (vec![0, 1, 2], 30));
        assert_eq!(chosen(&[5; 10], 20), (vec![0, 2, 5, 7], 40));
        assert_eq!(chosen(&[1, 1, 1, 30, 1, 1], 12), (vec![0], 2), "one does not fit");
        assert_eq!(chosen(&[100, 100], 10), (vec![0], 20), "a part of a file");
        assert_eq!(chosen(&[], 10), (vec![], 0));
    }
    proptest! {
        /// No more is read than allowed, whatever the sizes; all of it if it fits; no file twice.
        #[test]
        fn sample_is_bounded(sizes in prop::collection::vec(1u64..1000, 0..40), most in 1u64..5000) {
            let (read, rows) = chosen(&sizes, most);
            let total: u64 = sizes.iter().sum();
            // A row has half a byte here; a part of a file has one row at least.
            prop_assert!(rows <= 2 * most && (rows > 0) == (total > 0));
            prop_assert_eq!(rows == 2 * total, total <= most);
            prop_assert!(read.is_sorted_by(|a, b| a < b));
        }
    }
}
