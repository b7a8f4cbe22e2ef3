//! The columns of a SELECT that takes a table as it is, and what may be better types for them.

use datafusion::arrow::datatypes::{DataType, Schema};

use super::exports::{RdsColumn, better};
use super::found_table::Item;
use super::profile::Profile;
use crate::types::ident;

/// A SELECT of all columns.
pub(crate) fn columns_as_they_are(schema: &Schema) -> Vec<Item> {
    let item = |name: &str, data_type: &DataType| Item {
        name: name.to_owned(),
        expr: ident(name),
        data_type: data_type.clone(),
        ..Item::default()
    };
    schema.fields().iter().map(|field| item(field.name(), field.data_type())).collect()
}

/// Adds what may be a better type.
pub(crate) fn improve(item: &mut Item, rds: Option<&[RdsColumn]>) {
    let is_text = matches!(item.data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let is_bytes = matches!(item.data_type, DataType::Binary | DataType::BinaryView | DataType::LargeBinary);
    let original = rds.into_iter().flatten().find(|column| column.name == item.name);
    if let Some(original) = original.filter(|_| is_text || is_bytes) {
        if let Some((cast, why)) = better(&original.original, is_text) {
            item.alternative = Some((cast.replace("{}", &item.expr), why.to_owned()));
        }
        if !["text", "character varying", "varchar"].contains(&original.original.to_lowercase().as_str()) {
            item.note = item.note.take().or_else(|| Some(format!("{} in the database", original.original)));
        }
    }
    let Profile { dates, .. } = &item.profile;
    if item.alternative.is_none() && is_text && dates.as_ref().is_some_and(|dates| dates.is_text) {
        let cast = format!("try_cast({} AS TIMESTAMP)", item.expr);
        item.alternative = Some((cast, "all sampled values are times; others become NULL".to_owned()));
    }
    if item.alternative.is_none() && is_bytes {
        let cast = format!("CAST({} AS VARCHAR)", item.expr);
        item.alternative = Some((cast, "if the bytes are text, as those of CHAR in an export of MySQL".to_owned()));
    }
}
