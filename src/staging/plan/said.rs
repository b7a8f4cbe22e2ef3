//! What the config says, as text: a plan keeps it, and is only gone on with while the config still says the same. Where it
//! does not, the difference is shown.

use datafusion::sql::sqlparser::ast;

use super::relations::relations;
use crate::config::{Held, LakeTable, Project, type_name};
use crate::error::Result;

/// What the config says of a snapshot table: locations, what is left out of them, and declared columns.
pub(crate) fn declared_text(project: &Project, name: &str) -> String {
    project.snapshot(name).map_or_else(String::new, |table| {
        let locations: Vec<String> = table.locations.iter().map(|(location, _)| location.uri()).collect();
        let mut text = format!("{} {:?} {:?}", locations.join(" "), table.format, table.declared);
        if !table.partitioned_by.is_empty() {
            let columns = table.partitioned_by.iter();
            let columns = columns.map(|field| [field.name().as_str(), &type_name(field.data_type())].join(" "));
            text.push_str(&format!(" partitioned by {}", columns.collect::<Vec<_>>().join(", ")));
        }
        let exclude = table.exclude.text();
        if !exclude.is_empty() {
            text.push_str(&format!(" exclude {exclude}"));
        }
        if table.ignore_table_format {
            text.push_str(" ignore_table_format");
        }
        text
    })
}

/// A query of a SELECT: what stands before it in a text of all, with `${env:NAME}` and with the values, and these.
type Part<'a> = (String, &'a ast::Query, &'a ast::Query, &'a [Held]);

/// The SELECT, then the helper views that it reads.
fn parts<'a>(project: &'a Project, lake: &'a LakeTable) -> Result<Vec<Part<'a>>> {
    let mut parts: Vec<Part<'a>> = vec![(String::new(), &lake.shown, &lake.query, &lake.held)];
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

/// What stands before the part of [`ordering_text`] about empty texts.
pub(super) const EMPTY_PARTITION: &str = " empty_partition ";

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
    let text = format!("partitioned_by [{}] sorted_by [{}]", partitions.join(", "), keys.join(", "));
    if partitions.is_empty() { text } else { format!("{text}{EMPTY_PARTITION}{}", lake.empty_partition.word()) }
}
