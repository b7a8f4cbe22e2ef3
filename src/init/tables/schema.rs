//! The columns of sampled text, found by the code that plans a snapshot, on the sample in memory.
//!
//! Where that refuses a table because two values do not go together, the column becomes text, as a person would declare
//! it. What text cannot hold is left out, with the reason.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;

use crate::config::{CsvOptions, FileFormat, JsonOptions, TextOptions};
use crate::error::Error;
use crate::init::survey::sample::SampledText;
use crate::snapshot::json::dialect::PlainJson;
use crate::snapshot::scan::infer::infer;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::{BYTE_ORDER_MARK, Inferred};
use crate::types::sql_type;

/// Columns as they are to be declared.
#[derive(Debug, Default)]
pub(crate) struct ProposedColumns {
    pub(crate) fields: Vec<Field>,
    /// Columns with a word about their type.
    pub(crate) notes: Vec<(String, String)>,
}

async fn inferred(bytes: &[u8], format: &FileFormat) -> Result<Inferred, Error> {
    let (store, location) = (Arc::new(InMemory::new()), Path::from("sample"));
    // Memory does not fail, and if it did the file would be missing.
    let _ = store.put(&location, bytes.to_vec().into()).await;
    infer(store as Arc<dyn ObjectStore>, &location, "the sample", "the table", format).await
}

/// What is at the bottom of an error, in its own words.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The columns of CSV texts, by name in order of appearance; `codes` are text whatever they look like.
pub(crate) async fn csv(
    texts: &[SampledText],
    options: &CsvOptions,
    codes: &[String],
) -> Result<ProposedColumns, String> {
    let text = TextOptions::default();
    let format = FileFormat::Csv(CsvOptions { text, ..options.clone() });
    let mut types: Vec<(String, Vec<DataType>)> = Vec::new();
    for text in texts {
        let found = inferred(&text.bytes, &format).await.map_err(|error| root_cause(&error))?;
        for field in found.schema.fields() {
            let index = types.iter().position(|(name, _)| name == field.name()).unwrap_or_else(|| {
                types.push((field.name().clone(), Vec::new()));
                types.len() - 1
            });
            if !matches!(field.data_type(), DataType::Null) && !types[index].1.contains(field.data_type()) {
                types[index].1.push(field.data_type().clone());
            }
        }
    }
    let mut columns = ProposedColumns::default();
    for (name, types) in types {
        let is_code = codes.contains(&name);
        let data_type = match types.as_slice() {
            _ if is_code => {
                columns.notes.push((name.clone(), "text, because values have leading zeros".to_owned()));
                DataType::Utf8
            }
            [] => DataType::Utf8,
            [one] if sql_type(one).is_some() => one.clone(),
            [DataType::Int64, DataType::Float64] | [DataType::Float64, DataType::Int64] => DataType::Float64,
            _ => DataType::Utf8,
        };
        columns.fields.push(Field::new(name, data_type, true));
    }
    Ok(columns)
}

/// The columns of texts of JSON in any dialect.
pub(crate) async fn json(texts: &[SampledText], written: &FileFormat) -> Result<ProposedColumns, String> {
    let mut all = Vec::new();
    for text in texts {
        let bytes = text.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text.bytes);
        match PlainJson::new(written, RecordLimit::default()) {
            None => all.extend_from_slice(bytes),
            Some(mut plain) => {
                plain.push(bytes).map_err(|error| root_cause(&error))?;
                all.extend_from_slice(plain.rest());
                plain.end().map_err(|error| root_cause(&error))?;
                all.extend_from_slice(plain.rest());
            }
        }
        all.push(b'\n');
    }
    let format = FileFormat::Json(JsonOptions::default());
    let mut columns = ProposedColumns::default();
    let mut mixed: Vec<(String, bool)> = Vec::new();
    let schema = loop {
        let error = match inferred(&all, &format).await {
            Ok(found) => break found.schema,
            Err(error) => error,
        };
        let Error::SchemaConflict { column, .. } = &error else { return Err(root_cause(&error)) };
        let Some((name, is_scalar, rest)) = without(&all, column) else { return Err(error.to_string()) };
        mixed.push((name, is_scalar));
        all = rest;
    };
    for field in schema.fields() {
        let data_type = declared(field.data_type());
        match data_type.as_ref().and_then(sql_type) {
            Some(_) => columns.fields.extend(data_type.map(|t| Field::new(field.name(), t, true))),
            None => {
                columns.notes.push((field.name().clone(), "JSON of values without a field".to_owned()));
                columns.fields.push(Field::new(field.name(), DataType::Utf8, true));
            }
        }
    }
    for (name, is_scalar) in mixed {
        if is_scalar {
            columns.notes.push((name.clone(), "text, because values have several types".to_owned()));
            columns.fields.push(Field::new(name, DataType::Utf8, true));
        } else {
            columns.notes.push((
                name.clone(),
                "text, because values are of several kinds; lists and objects are JSON".to_owned(),
            ));
            columns.fields.push(Field::new(name, DataType::Utf8, true));
        }
    }
    Ok(columns)
}

/// The type as it can be declared; None if nothing is left of it.
fn declared(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Null => Some(DataType::Utf8),
        DataType::List(item) => declared(item.data_type()).map(|item| DataType::new_list(item, true)),
        DataType::Struct(fields) => {
            let fields: Vec<Field> = fields
                .iter()
                .filter_map(|field| Some(Field::new(field.name(), declared(field.data_type())?, true)))
                .collect();
            (!fields.is_empty()).then(|| DataType::Struct(fields.into()))
        }
        other => Some(other.clone()),
    }
}

/// The records without the attribute that a conflict is about, its name, and whether all its values are plain.
fn without(records: &[u8], column: &str) -> Option<(String, bool, Vec<u8>)> {
    let records: Vec<Value> =
        serde_json::Deserializer::from_slice(records).into_iter().collect::<Result<_, _>>().ok()?;
    let is_about = |name: &str| {
        let rest = column.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let names = records.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys);
    let name = names.filter(|name| is_about(name)).max_by_key(|name| name.len())?.clone();
    let is_scalar =
        records.iter().filter_map(|record| record.get(&name)).all(|value| !value.is_object() && !value.is_array());
    let mut rest = Vec::new();
    for mut record in records {
        record.as_object_mut()?.shift_remove(&name);
        rest.extend(record.to_string().into_bytes());
        rest.push(b'\n');
    }
    Some((name, is_scalar, rest))
}

/// A schema of these columns.
pub(crate) fn schema(columns: &ProposedColumns) -> Schema {
    Schema::new(columns.fields.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<SampledText> {
        let text = |text: &&str| SampledText { path: String::new(), bytes: text.as_bytes().to_vec(), is_cut: false };
        texts.iter().map(text).collect()
    }

    fn shown(columns: &ProposedColumns) -> String {
        let fields = columns.fields.iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        fields.collect::<Vec<_>>().join(", ")
    }

    #[tokio::test]
    async fn csv_files_of_unlike_types_make_text_and_codes_stay_text() {
        let texts = texts(&["a,b,c,zip\n1,1,x,01\n", "zip,c,b,a,d\n2,2024-01-01,2.5,3,\n"]);
        let columns = csv(&texts, &CsvOptions::default(), &["zip".to_owned()]).await.unwrap();
        assert_eq!(shown(&columns), "a Int64, b Float64, c Utf8, zip Utf8, d Utf8");
        assert!(columns.notes[0].1.contains("leading zeros"));
    }

    #[tokio::test]
    async fn json_attributes_of_several_types_or_none_become_text() {
        let texts = texts(&[
            "{\"a\":1,\"o\":{\"x\":1},\"e\":{}}\n",
            "{\"a\":\"x\",\"o\":[1],\"n\":null,\"d.e\":{\"f\":true}}\n",
        ]);
        let columns = json(&texts, &FileFormat::Json(JsonOptions::default())).await.unwrap();
        let shown = shown(&columns);
        for column in ["e Utf8", "n Utf8", "d.e Struct", "a Utf8", "o Utf8"] {
            assert!(shown.contains(column), "{column}: {shown}");
        }
    }
}
