//! Adds the nearest known name to errors about unknown tables and columns of a query, and the place to those of clauses
//! that are refused. All other errors stay as they are.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use crate::config::{placed, unknown_column};
use crate::error::{ConfigError, Error, nearest};

/// Where a table is looked for that is named without its schema, the likeliest first.
const SCHEMAS: [&str; 5] = ["lake", "staging", "snapshot", "audit", "manifest"];

/// The error that replaces `error`.
pub(super) fn explained(error: DataFusionError, session: &SessionContext) -> DataFusionError {
    if let Some(message) = placed(&error) {
        return DataFusionError::External(Box::new(Error::Query { problem: Box::new(ConfigError::Plan { message }) }));
    }
    let problem = match error.find_root() {
        DataFusionError::SchemaError(problem, _) => match problem.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => Some(unknown_column(field, valid_fields)),
            _ => None,
        },
        DataFusionError::Plan(message) => {
            let name = message.strip_prefix("table '").and_then(|message| message.strip_suffix("' not found"));
            name.map(|name| unknown_table(name, session))
        }
        _ => None,
    };
    problem.map_or(error, |problem| DataFusionError::External(Box::new(Error::Query { problem: Box::new(problem) })))
}

fn unknown_table(resolved: &str, session: &SessionContext) -> ConfigError {
    // The engine names the catalog, and the schema where there was none.
    let name = resolved.split_once('.').map_or(resolved, |(_, rest)| rest);
    let name = name.strip_prefix("public.").unwrap_or(name);
    let tables = tables(session);
    let same = SCHEMAS.iter().map(|schema| format!("{schema}.{name}")).find(|full| tables.contains(full));
    let bare = |full: &str| full.rsplit('.').next().unwrap_or_default().to_owned();
    let near = || match name.split_once('.') {
        Some(_) => nearest(name, tables.iter().map(String::as_str)),
        None => {
            let found = nearest(name, tables.iter().map(|full| full.rsplit('.').next().unwrap_or_default()))?;
            tables.iter().find(|full| bare(full) == found).cloned()
        }
    };
    ConfigError::NotFound { kind: "table", name: name.to_owned(), nearest: same.or_else(near) }
}

/// `schema.table` of all tables, those first that are likeliest to be meant.
fn tables(session: &SessionContext) -> Vec<String> {
    let mut all = Vec::new();
    for catalog in session.catalog_names().iter().filter_map(|name| session.catalog(name)) {
        let mut schemas = catalog.schema_names();
        schemas.retain(|schema| schema != "information_schema");
        schemas.sort_by_key(|schema| SCHEMAS.iter().position(|known| known == schema).unwrap_or(SCHEMAS.len()));
        for schema in schemas {
            let mut names = catalog.schema(&schema).map(|found| found.table_names()).unwrap_or_default();
            names.sort_unstable();
            let full = |name: String| if schema == "public" { name } else { format!("{schema}.{name}") };
            all.extend(names.into_iter().map(full));
        }
    }
    all
}
