//! What the config says, as text: a plan keeps it, and is only gone on with while the config still says the same. Where
//! it does not, the difference is shown.

use datafusion::arrow::datatypes::FieldRef;
use datafusion::sql::sqlparser::ast;

use super::relations::relations;
use crate::config::{Held, LakeKind, LakeTable, OnInvalid, Project, Undeclared};
use crate::error::{Error, Result};
use crate::types::type_name;

/// The CREATE EXTERNAL TABLE of a snapshot table in one form, which plans keep: locations, format with all its options,
/// declared columns, what is left out.
///
/// # Errors
/// [`Error::DecodeManifest`] if the format has no JSON.
pub(crate) fn declared_text(project: &Project, name: &str) -> Result<String> {
    let Some(table) = project.snapshot(name) else { return Ok(String::new()) };
    let mut words: Vec<String> = table.locations.iter().map(|(location, _)| location.uri()).collect();
    let format = serde_json::to_string(&table.format);
    let format = format.map_err(|source| Error::DecodeManifest { uri: name.to_owned(), source: source.into() })?;
    words.push(format!("stored as {format}"));
    if let Some(export) = &table.export {
        words.push(format!("export {} {}", export.kind.name(), export.table.as_deref().unwrap_or(&table.name)));
    }
    if let Some(declared) = &table.declared {
        words.push(format!("columns ({})", columns_text(declared.fields())));
    }
    if !table.partitioned_by.is_empty() {
        words.push(format!("partitioned by ({})", columns_text(&table.partitioned_by)));
    }
    let exclude = table.exclude.text();
    if !exclude.is_empty() {
        words.push(format!("exclude {exclude}"));
    }
    if table.ignore_table_format {
        words.push("ignore_table_format".to_owned());
    }
    if table.undeclared == Undeclared::Error {
        words.push("undeclared columns are an error".to_owned());
    }
    if table.on_invalid != OnInvalid::default() {
        let on_invalid = serde_json::to_string(&table.on_invalid);
        let on_invalid =
            on_invalid.map_err(|source| Error::DecodeManifest { uri: name.to_owned(), source: source.into() })?;
        words.push(format!("on_invalid {on_invalid}"));
    }
    Ok(words.join(" "))
}

fn columns_text(columns: &[FieldRef]) -> String {
    let columns = columns.iter().map(|field| {
        let nulls = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("{} {}{nulls}", field.name(), type_name(field.data_type()))
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// One query of a SELECT: the text before it in the text of all queries, with `${env:NAME}` and with the values, and
/// these.
type QueryPart<'a> = (String, &'a ast::Query, &'a ast::Query, &'a [Held]);

/// The SELECT, then the helper views that it reads.
fn parts<'a>(project: &'a Project, lake: &'a LakeTable) -> Result<Vec<QueryPart<'a>>> {
    let mut parts: Vec<QueryPart<'a>> = vec![(String::new(), &lake.shown, &lake.query, &lake.held)];
    for name in relations(project, &lake.query)?.views {
        if let Some(view) = project.views.iter().find(|view| view.schema.is_none() && view.name == name) {
            parts.push((format!("; {name}: "), &view.shown, &view.query, &view.held));
        }
    }
    Ok(parts)
}

/// The SELECT and the helper views that it reads, as they are kept: with `${env:NAME}` in place of its value.
pub(super) fn select_text(project: &Project, lake: &LakeTable) -> Result<String> {
    Ok(parts(project, lake)?.iter().map(|(before, shown, _, _)| format!("{before}{shown}")).collect())
}

/// The same with the values, as plans of earlier versions keep it.
pub(super) fn plain_text(project: &Project, lake: &LakeTable) -> Result<String> {
    Ok(parts(project, lake)?.iter().map(|(before, _, plain, _)| format!("{before}{plain}")).collect())
}

/// The values that [`select_text`] leaves out, each once, in its order.
pub(super) fn held<'a>(project: &'a Project, lake: &'a LakeTable) -> Result<Vec<&'a Held>> {
    let mut all: Vec<&Held> = Vec::new();
    for held in parts(project, lake)?.into_iter().flat_map(|(.., held)| held) {
        if !all.contains(&held) {
            all.push(held);
        }
    }
    Ok(all)
}

/// The text before the part of [`ordering_text`] about empty texts.
pub(super) const EMPTY_PARTITION: &str = " empty_partition ";

/// The text in [`ordering_text`] of a table whose files have ids of columns.
pub(super) const ICEBERG: &str = " format ICEBERG";

/// What decides, besides the SELECT, which rows a partition has, in which order.
pub(super) fn ordering_text(lake: &LakeTable) -> String {
    let partitions: Vec<&str> = lake.partitioned_by.iter().map(|(name, _)| name.as_str()).collect();
    let keys: Vec<String> = lake
        .sorted_by
        .iter()
        .map(|(key, _)| {
            let direction = if key.descending { "DESC" } else { "ASC" };
            let nulls = if key.nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
            format!("{} {direction} {nulls}", key.column)
        })
        .collect();
    let format = match lake.kind {
        LakeKind::Parquet => "",
        LakeKind::Iceberg => ICEBERG,
    };
    let text = format!("partitioned_by [{}] sorted_by [{}]{format}", partitions.join(", "), keys.join(", "));
    if partitions.is_empty() { text } else { format!("{text}{EMPTY_PARTITION}{}", lake.empty_partition.word()) }
}
