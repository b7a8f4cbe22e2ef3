//! What the SQL types of times mean, in declared columns, CAST and literals alike.
//!
//! | SQL | Arrow |
//! | --- | --- |
//! | `TIMESTAMP` | `Timestamp(µs)`: Spark and Athena do not read nanoseconds |
//! | `TIMESTAMP(0)`, `(1)` to `(3)`, `(4)` to `(6)`, `(7)` to `(9)` | seconds, milliseconds, microseconds, nanoseconds |
//! | `TIMESTAMP(n) WITH TIME ZONE`, `TIMESTAMPTZ(n)` | the same, with zone UTC |
//! | `TIME`, `TIME(n)` | the same without a date |
//!
//! `CAST(n AS TIMESTAMP)` of an integer takes seconds since 1970, as in DataFusion, DuckDB and Spark; with digits it
//! takes ticks of that unit. The engine recognizes seconds by its own default unit, which is not ours. So the type
//! carries a mark, and [`count_seconds`] replaces it by a cast by way of seconds.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{self, TimezoneInfo};

/// Field name that marks a type whose integers are seconds. The name is never visible.
const SECONDS: &str = "seconds";

/// The types of times; all others are the engine's.
#[derive(Debug)]
pub(crate) struct TimeTypes;

impl TypePlanner for TimeTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let unit = |digits: Option<u64>| match digits {
            None | Some(4..=6) => Ok(TimeUnit::Microsecond),
            Some(0) => Ok(TimeUnit::Second),
            Some(1..=3) => Ok(TimeUnit::Millisecond),
            Some(7..=9) => Ok(TimeUnit::Nanosecond),
            Some(_) => Err(DataFusionError::Plan(format!("{sql_type} has more than 9 digits"))),
        };
        let has_zone = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
        Ok(match sql_type {
            ast::DataType::Timestamp(digits, zone) => {
                let utc = has_zone(zone).then(|| Arc::from("UTC"));
                let name = if digits.is_none() { SECONDS } else { "" };
                Some(Arc::new(Field::new(name, DataType::Timestamp(unit(*digits)?, utc), true)))
            }
            ast::DataType::Time(_, zone) if has_zone(zone) => {
                let message = format!("{sql_type} is not supported: a time of day has no zone; use TIME or TIMESTAMP");
                return Err(DataFusionError::Plan(message));
            }
            ast::DataType::Time(digits, _) => {
                let of = match unit(*digits)? {
                    unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                    unit => DataType::Time64(unit),
                };
                Some(Arc::new(Field::new("", of, true)))
            }
            _ => None,
        })
    }
}

/// [`count_seconds`] in every session, before types are coerced.
#[derive(Debug)]
pub(crate) struct CountSeconds;

impl AnalyzerRule for CountSeconds {
    fn name(&self) -> &'static str {
        "count_seconds"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        count_seconds(plan)
    }
}

/// Replaces marked types: integers go by way of seconds.
fn count_seconds(plan: LogicalPlan) -> Result<LogicalPlan> {
    let counted = plan.transform_up_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        if let LogicalPlan::TableScan(scan) = &node {
            schema.merge(&scan.projected_schema);
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|expr| unmarked(expr, &schema))?.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(counted?.data)
}

fn unmarked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (of, field, is_try) = match expr {
        Expr::Cast(Cast { expr, field }) if field.name() == SECONDS => (expr, field, false),
        Expr::TryCast(TryCast { expr, field }) if field.name() == SECONDS => (expr, field, true),
        other => return Ok(Transformed::no(other)),
    };
    let cast = |of: Box<Expr>, to: DataType| match is_try {
        true => Expr::TryCast(TryCast::new(of, to)),
        false => Expr::Cast(Cast::new(of, to)),
    };
    let is_integer = of.get_type(schema).is_ok_and(|of| of.is_integer());
    let of = match field.data_type() {
        DataType::Timestamp(_, zone) if is_integer => {
            Box::new(cast(of, DataType::Timestamp(TimeUnit::Second, zone.clone())))
        }
        _ => of,
    };
    Ok(Transformed::yes(cast(of, field.data_type().clone())))
}
