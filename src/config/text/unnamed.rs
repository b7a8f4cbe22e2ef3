//! A column without AS is named after its expression. No column may be named by a value of the environment, which is
//! never kept.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, SelectItem, SetExpr, Spanned};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::variables::Held;
use super::walk::{SyntaxPart, walk};
use crate::error::{ConfigError, Position, Result};

/// Refuses a column that is named after an expression with a value of the environment.
///
/// # Errors
/// [`ConfigError::NamedByValue`] at the expression.
pub(crate) fn unnamed(shown: &ast::Query, held: &[Held], at: &Position) -> Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    let mut found = None;
    walk(shown, &mut |part| match part {
        SyntaxPart::Query(query) => {
            found = unnamed_in(&query.body, held);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        SyntaxPart::Relation(_) | SyntaxPart::Expr(_) => ControlFlow::Continue(()),
    });
    let Some((variable, start)) = found else { return Ok(()) };
    let (line, column) = if start.line > 0 { (start.line, start.column) } else { (at.line, at.column) };
    Err(ConfigError::NamedByValue { variable }.at(&Position { file: Arc::clone(&at.file), line, column }))
}

/// The variable that names a column of this SELECT, and where.
fn unnamed_in(body: &SetExpr, held: &[Held]) -> Option<(String, Location)> {
    match body {
        SetExpr::Select(select) => select.projection.iter().find_map(|item| {
            let SelectItem::UnnamedExpr(expr) = item else { return None };
            let text = expr.to_string();
            let held = held.iter().find(|held| text.contains(&held.variable.replace('\'', "''")))?;
            Some((held.variable.clone(), expr.span().start))
        }),
        SetExpr::SetOperation { left, right, .. } => unnamed_in(left, held).or_else(|| unnamed_in(right, held)),
        _ => None,
    }
}
