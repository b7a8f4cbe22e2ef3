//! DataFusion's planning errors as mistakes at a place in the user's file.
//!
//! A diagnostic of the planner says where; an error without one is put at the start of the query. Unknown columns,
//! tables and functions get the nearest known name; everything else is reworded in SQL terms.

use std::sync::Arc;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;

use crate::config::resolve::Project;
use crate::config::text::parse::lower_first;
use crate::error::wording::reworded;
use crate::error::{ConfigError, Error, Position, nearest};

/// The mistake in a query that starts at `query_at` which made planning fail.
pub(super) fn explain(error: &DataFusionError, project: &Project, query_at: &Position) -> Error {
    let diagnostic = error.diagnostic();
    let at = diagnostic.and_then(|diagnostic| diagnostic.span).map_or_else(
        || query_at.clone(),
        |span| Position { file: Arc::clone(&query_at.file), line: span.start.line, column: span.start.column },
    );
    let root = error.find_root();
    if let DataFusionError::SchemaError(problem, _) = root
        && let SchemaError::FieldNotFound { field, valid_fields } = problem.as_ref()
    {
        return unknown_column(field, valid_fields).at(&at);
    }
    let message = diagnostic.map(|diagnostic| diagnostic.message.as_str());
    let quoted = |before, after| message.and_then(|message| message.strip_prefix(before)?.strip_suffix(after));
    if let Some(name) = quoted("table '", "' not found")
        && root.message().ends_with("not found")
    {
        return unknown_table(name, project).at(&at);
    }
    if let Some(name) = quoted("Invalid function '", "'") {
        let note = diagnostic.and_then(|diagnostic| diagnostic.notes.first());
        let possible = note.and_then(|note| note.message.strip_prefix("Possible function '")?.strip_suffix('\''));
        let nearest = nearest(name, possible);
        return ConfigError::NotFound { kind: "function", name: name.to_owned(), nearest }.at(&at);
    }
    // A diagnostic without a place is the analyzer's, which says less than its error.
    // So is one that does not name the types.
    let says_less = |message: &str| message.starts_with("expressions have incompatible types");
    let placed = diagnostic.filter(|diagnostic| diagnostic.span.is_some() && !says_less(&diagnostic.message));
    let message = placed.map_or_else(|| root.message().into_owned(), |diagnostic| diagnostic.message.clone());
    let helps = diagnostic.into_iter().flat_map(|diagnostic| &diagnostic.helps).map(|help| help.message.as_str());
    let message = [message.as_str()].into_iter().chain(helps).map(plain).collect::<Vec<_>>().join("; ");
    ConfigError::Plan { message }.at(&at)
}

/// One line in our style.
fn plain(message: &str) -> String {
    let message = reworded(message);
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ").replace("Error during planning: ", "");
    lower_first(line.trim_end_matches('.'))
}

/// A name as it must be written: upper case needs quotes.
pub(super) fn written(name: &str) -> String {
    if name == name.to_lowercase() { name.to_owned() } else { format!("\"{name}\"") }
}

/// A column that a query names and nothing has, with the nearest name.
pub(crate) fn unknown_column(field: &Column, valid: &[Column]) -> ConfigError {
    let same_table: Vec<&Column> = valid.iter().filter(|other| other.relation == field.relation).collect();
    let in_scope = if field.relation.is_none() || same_table.is_empty() { valid.iter().collect() } else { same_table };
    let nearest = nearest(&field.name, in_scope.into_iter().map(|column| column.name.as_str()));
    let qualified = |name: &str| match &field.relation {
        Some(table) => format!("{table}.{name}"),
        None => name.to_owned(),
    };
    let nearest = nearest.map(|name| qualified(&written(&name)));
    ConfigError::NotFound { kind: "column", name: qualified(&field.name), nearest }
}

fn unknown_table(name: &str, project: &Project) -> ConfigError {
    let bare = name.rsplit('.').next().unwrap_or(name);
    // Only audits read these schemas, so the message needs no other details.
    for schema in ["staging.", "lake."] {
        if name.contains(schema) {
            let nearest = nearest(bare, project.all_lakes().map(|lake| lake.name.as_str()));
            let nearest = nearest.map(|found| format!("{schema}{}", written(&found)));
            return ConfigError::NotFound { kind: "table", name: name.to_owned(), nearest };
        }
    }
    let snapshots = project.snapshots.iter().map(|table| ("snapshot.", table.name.as_str()));
    let helpers = project.views.iter().filter(|view| view.schema.is_none()).map(|view| ("", view.name.as_str()));
    let known: Vec<(&str, &str)> = snapshots.chain(helpers).collect();
    let found = nearest(bare, known.iter().map(|(_, name)| *name));
    let nearest = found.and_then(|found| {
        known.iter().find(|(_, name)| *name == found).map(|(schema, name)| format!("{schema}{}", written(name)))
    });
    ConfigError::NotFound { kind: "table", name: name.to_owned(), nearest }
}
