//! A column without AS is named after its expression. No column may be named by a value of the environment, which is
//! never kept.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, SelectItem, SetExpr, Spanned, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::variables::Held;
use crate::error::{ConfigError, Position, Result};

/// Refuses a column that is named after an expression with a value of the environment.
///
/// # Errors
/// [`ConfigError::NamedByValue`] at the expression.
pub(crate) fn unnamed(shown: &ast::Query, held: &[Held], at: &Position) -> Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    let mut columns = UnnamedColumns { held };
    let ControlFlow::Break((variable, start)) = shown.visit(&mut columns) else { return Ok(()) };
    let (line, column) = if start.line > 0 { (start.line, start.column) } else { (at.line, at.column) };
    Err(ConfigError::NamedByValue { variable }.at(&Position { file: Arc::clone(&at.file), line, column }))
}

struct UnnamedColumns<'a> {
    held: &'a [Held],
}

impl UnnamedColumns<'_> {
    fn find(&self, body: &SetExpr) -> ControlFlow<(String, Location)> {
        match body {
            SetExpr::Select(select) => {
                for item in &select.projection {
                    let SelectItem::UnnamedExpr(expr) = item else { continue };
                    let text = expr.to_string();
                    let written = |held: &&Held| text.contains(&held.variable.replace('\'', "''"));
                    if let Some(held) = self.held.iter().find(written) {
                        return ControlFlow::Break((held.variable.clone(), expr.span().start));
                    }
                }
                ControlFlow::Continue(())
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.find(left)?;
                self.find(right)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for UnnamedColumns<'_> {
    type Break = (String, Location);

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<Self::Break> {
        self.find(&query.body)
    }
}
