//! Ids of columns in the files of an Iceberg table. Pure.
//!
//! The id of a column is a hash of its name, because it is in the files: they are written before the table's next
//! version is known, and perhaps beside those of another snapshot. So a column has one id for ever, also if it is gone
//! for a while.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use twox_hash::XxHash64;

use crate::error::IcebergFault;

/// Ids are below this: those above are for columns that other writers add.
const IDS: u64 = 2_000_000_000;

/// Columns with their ids, as the writer of Parquet files takes them, at every depth.
///
/// # Errors
/// [`IcebergFault::SameId`], about once in a million tables of 50 columns.
pub(crate) fn with_ids(columns: &[FieldRef]) -> Result<Vec<FieldRef>, IcebergFault> {
    let mut taken = HashMap::new();
    columns.iter().map(|column| identified(column, column.name(), "", &mut taken)).collect()
}

fn identified(
    column: &FieldRef,
    name: &str,
    above: &str,
    taken: &mut HashMap<u64, String>,
) -> Result<FieldRef, IcebergFault> {
    // No name of a column holds NUL.
    let path = if above.is_empty() { name.to_owned() } else { format!("{above}\0{name}") };
    let id = XxHash64::oneshot(0, path.as_bytes()) % IDS + 1;
    let shown = || path.replace('\0', ".");
    if let Some(column) = taken.insert(id, shown()) {
        return Err(IcebergFault::SameId { column, other: shown() });
    }
    let mut below = |fields: &[(&FieldRef, &str)]| -> Result<Vec<FieldRef>, IcebergFault> {
        fields.iter().map(|(field, name)| identified(field, name, &path, taken)).collect()
    };
    let data_type = match column.data_type() {
        DataType::Struct(fields) => {
            let named: Vec<_> = fields.iter().map(|field| (field, field.name().as_str())).collect();
            DataType::Struct(below(&named)?.into())
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return Ok(Arc::clone(column)) };
            let named: Vec<_> = pair.iter().zip(["key", "value"]).collect();
            let pair = DataType::Struct(Fields::from(below(&named)?));
            DataType::Map(Arc::new(Field::clone(entries).with_data_type(pair)), *sorted)
        }
        DataType::List(item) => DataType::List(below(&[(item, "element")])?.remove(0)),
        DataType::LargeList(item) => DataType::LargeList(below(&[(item, "element")])?.remove(0)),
        other => other.clone(),
    };
    let mut metadata = column.metadata().clone();
    metadata.insert(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
    Ok(Arc::new(Field::clone(column).with_data_type(data_type).with_metadata(metadata)))
}

/// The id of a column that [`with_ids`] gave.
pub(super) fn id_of(column: &Field) -> i64 {
    column.metadata().get(PARQUET_FIELD_ID_META_KEY).and_then(|id| id.parse().ok()).unwrap_or_default()
}
