//! `SELECT * FROM one_table [WHERE ...]` of a wide table, planned without the engine's way of handling each column.
//!
//! The engine's SQL planner and optimizer compare each column with every other, several times: 5,000 columns take ten
//! seconds, for every task. Here the engine plans the query for one column, and then all columns replace that one. The
//! result is the plan that the engine would make. A query that is only the table skips the optimizer, which has nothing
//! to do.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, TableScan};
use datafusion::sql::sqlparser::ast;

use crate::types::width::is_wide;

/// The query with one column instead of all, if it is of this form.
pub(super) fn narrowed(query: &ast::Query) -> Option<ast::Query> {
    let ast::SetExpr::Select(select) = query.body.as_ref() else { return None };
    let ([ast::SelectItem::Wildcard(_)], [from]) = (&select.projection[..], &select.from[..]) else { return None };
    let filter = select.selection.as_ref().map_or_else(String::new, |filter| format!(" WHERE {filter}"));
    // Comparing the printed query overlooks no other clause.
    if !from.joins.is_empty() || query.to_string() != format!("SELECT * FROM {from}{filter}") {
        return None;
    }
    let mut select = select.clone();
    select.projection = vec![ast::SelectItem::UnnamedExpr(ast::Expr::value(ast::Value::Null))];
    Some(ast::Query { body: Box::new(ast::SetExpr::Select(select)), ..query.clone() })
}

/// The plan of a narrowed query with all columns; `None` if the table is not wide, or the plan is another one than
/// expected.
pub(super) fn widened(plan: LogicalPlan) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Projection(Projection { input, .. }) = plan else { return Ok(None) };
    if !is_wide(input.schema().as_arrow()) {
        return Ok(None);
    }
    let schema = Arc::clone(input.schema());
    let columns = schema.columns().into_iter().map(Expr::Column).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new_with_schema(columns, input, schema)?)))
}

/// The scan of a wide table, if the plan is all of its columns in their order and nothing else.
pub(crate) fn whole_scan(plan: &LogicalPlan) -> Option<&TableScan> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let scan = match projection.input.as_ref() {
        LogicalPlan::TableScan(scan) => scan,
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::TableScan(scan) => scan,
            _ => return None,
        },
        _ => return None,
    };
    let fields = projection.input.schema().fields();
    let same = projection.expr.len() == fields.len()
        && projection.expr.iter().zip(fields).all(|(expr, field)| match expr {
            Expr::Column(column) => column.name == *field.name(),
            _ => false,
        });
    let is_table = scan.projection.is_none() && scan.filters.is_empty() && scan.fetch.is_none();
    (same && is_table && is_wide(projection.schema.as_arrow())).then_some(scan)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::RecordBatch;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::SessionContext;
    use datafusion::sql::parser::Statement;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn query(sql: &str) -> ast::Query {
        match Parser::parse_sql(&GenericDialect {}, sql).unwrap().swap_remove(0) {
            ast::Statement::Query(query) => *query,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn star_of_one_table_is_narrowed_and_nothing_else() {
        for sql in ["SELECT * FROM t", "SELECT * FROM a.t AS x WHERE x.c1 > 3", "SELECT * FROM (SELECT 1) AS s"] {
            assert!(narrowed(&query(sql)).unwrap().to_string().starts_with("SELECT NULL FROM "), "{sql}");
        }
        for sql in [
            "SELECT a FROM t",
            "SELECT *, 1 FROM t",
            "SELECT t.* FROM t",
            "SELECT DISTINCT * FROM t",
            "SELECT * FROM t, u",
            "SELECT * FROM t JOIN u USING (a)",
            "SELECT * EXCEPT (a) FROM t",
            "SELECT * FROM t ORDER BY a",
            "SELECT * FROM t LIMIT 1",
            "WITH u AS (SELECT 1) SELECT * FROM t",
            "SELECT * FROM t GROUP BY ALL",
        ] {
            assert!(narrowed(&query(sql)).is_none(), "{sql}");
        }
    }

    #[tokio::test]
    async fn plan_is_the_one_that_the_engine_makes() {
        let fields: Vec<_> = (0..200).map(|n| Field::new(format!("c{n}"), DataType::Int64, true)).collect();
        let session = SessionContext::new();
        session.register_batch("t", RecordBatch::new_empty(Arc::new(Schema::new(fields)))).unwrap();
        session.register_batch("n", RecordBatch::new_empty(Arc::new(Schema::empty()))).unwrap();
        let planned = async |query: ast::Query| {
            let statement = Statement::Statement(Box::new(ast::Statement::Query(Box::new(query))));
            session.state().statement_to_plan(statement).await.unwrap()
        };
        for (sql, is_scan) in
            [("SELECT * FROM t", true), ("SELECT * FROM t AS x", true), ("SELECT * FROM t WHERE c7 = 3", false)]
        {
            let expected = planned(query(sql)).await;
            let narrow = planned(narrowed(&query(sql)).unwrap()).await;
            let found = widened(narrow).unwrap().unwrap();
            assert_eq!(found, expected, "{sql}");
            assert_eq!(found.schema(), expected.schema(), "{sql}");
            assert_eq!(whole_scan(&found).is_some(), is_scan, "{sql}");
        }
        let swapped = planned(query("SELECT c1, c0 FROM t")).await;
        assert!(whole_scan(&swapped).is_none());
        let narrow = planned(narrowed(&query("SELECT * FROM n")).unwrap()).await;
        assert!(widened(narrow).unwrap().is_none());
    }
}
