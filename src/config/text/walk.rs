//! Walks the syntax tree of a query. There is one visitor for all who look for something in it: each visitor is
//! compiled with the whole syntax of SQL. It changes nothing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Visit, Visitor};

/// A part of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SyntaxPart<'a> {
    /// The query itself, or one inside of it.
    Query(&'a ast::Query),
    /// A table that it reads.
    Relation(&'a ast::ObjectName),
    /// An expression, before its parts.
    Expr(&'a ast::Expr),
}

/// What to do with each part; Break ends the walk.
type Look<'l> = &'l mut dyn FnMut(SyntaxPart<'_>) -> ControlFlow<()>;

/// Shows all parts to `look` until it breaks.
pub(crate) fn walk(query: &ast::Query, look: Look<'_>) {
    let _ = query.visit(&mut SyntaxWalk(look));
}

struct SyntaxWalk<'l>(Look<'l>);

impl Visitor for SyntaxWalk<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        (self.0)(SyntaxPart::Query(query))
    }

    fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
        (self.0)(SyntaxPart::Relation(relation))
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        (self.0)(SyntaxPart::Expr(expr))
    }
}
