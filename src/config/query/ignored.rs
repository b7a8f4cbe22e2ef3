//! Clauses after a table that the grammar takes and the engine does not look at: a query with one would quietly be
//! another query.
//!
//! Each is refused at its table, in SELECTs and views of configs and in `query`, with what to write instead.

use datafusion::common::{Diagnostic, Span};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{Spanned, TableFactor};

/// Refuses what [`ignored`] finds; leaves all else to the engine.
#[derive(Debug)]
pub(crate) struct IgnoredClauses;

impl RelationPlanner for IgnoredClauses {
    fn plan_relation(&self, relation: TableFactor, _: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let Some(message) = ignored(&relation) else { return Ok(RelationPlanning::Original(Box::new(relation))) };
        let span = Span::try_from_sqlparser_span(relation.span());
        let diagnostic = Diagnostic::new_error(message, span);
        Err(DataFusionError::Plan(message.to_owned()).with_diagnostic(diagnostic))
    }
}

/// What is wrong with a table, and what to write instead.
fn ignored(relation: &TableFactor) -> Option<&'static str> {
    match relation {
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => Some(
            "TABLESAMPLE is not supported, all rows would be read; name the rows in WHERE, such as WHERE id % 10 = 0, or \
             write LIMIT in a query",
        ),
        TableFactor::Table { version: Some(_), .. } => {
            Some("a version of a table is not supported; the config of another snapshot_time has its tables")
        }
        TableFactor::Table { partitions, .. } if !partitions.is_empty() => {
            Some("PARTITION (...) is not supported, all rows would be read; write WHERE column = value")
        }
        TableFactor::Table { with_hints, index_hints, .. } if !with_hints.is_empty() || !index_hints.is_empty() => {
            Some("hints after a table are not supported; leave them out")
        }
        TableFactor::Table { json_path: Some(_), .. } => {
            Some("a path into a table is not supported; select the field, such as column['field']")
        }
        _ => None,
    }
}

/// The mistake with its place in the text, if it is one of these.
pub(crate) fn placed(error: &DataFusionError) -> Option<String> {
    let diagnostic = error.diagnostic()?;
    let start = diagnostic.span?.start;
    let is_of_this_module =
        matches!(error.find_root(), DataFusionError::Plan(message) if *message == diagnostic.message);
    let (line, column, message) = (start.line, start.column, &diagnostic.message);
    is_of_this_module.then(|| format!("line {line}, column {column}: {message}"))
}
