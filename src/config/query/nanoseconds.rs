//! Where the nanoseconds of a column come from. Spark and Athena do not read them, and most columns have them only
//! because DataFusion's functions return them.
//!
//! A column is followed through the plan to the expression that makes it. A CAST to nanoseconds, or a column declared
//! with them, means that the config asks for them. A column of a file with nanoseconds means that the file has them.
//! Otherwise a function returned them.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema};
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, TryCast};

use crate::config::resolve::Project;
use crate::types::lake::has_nanoseconds;

/// Where nanoseconds come from; of several, the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NanosecondOrigin {
    /// A function, such as `to_timestamp`.
    Function,
    /// The type of a column in snapshot files.
    File,
    /// `TIMESTAMP(9)` or `TIME(9)` in the config.
    Config,
}

/// The origin of the nanoseconds of an output column.
pub(super) fn origin(plan: &LogicalPlan, column: &Column, project: &Project) -> NanosecondOrigin {
    match plan {
        LogicalPlan::Projection(node) => {
            let expr = node.schema.maybe_index_of_column(column).and_then(|index| node.expr.get(index));
            expr.map_or(NanosecondOrigin::File, |expr| of_expr(expr, &node.input, project))
        }
        LogicalPlan::SubqueryAlias(node) => {
            let index = node.schema.maybe_index_of_column(column);
            let below = index.and_then(|index| node.input.schema().columns().get(index).cloned());
            below.map_or(NanosecondOrigin::File, |below| origin(&node.input, &below, project))
        }
        LogicalPlan::Aggregate(node) => {
            let exprs = node.group_expr.iter().chain(&node.aggr_expr);
            let index = node.schema.maybe_index_of_column(column);
            let expr = index.and_then(|index| exprs.clone().nth(index));
            expr.map_or(NanosecondOrigin::File, |expr| of_expr(expr, &node.input, project))
        }
        LogicalPlan::TableScan(scan) => match scan.source.get_logical_plan() {
            Some(view) => {
                let below = view.schema().columns().into_iter().find(|below| below.name == column.name);
                below.map_or(NanosecondOrigin::File, |below| origin(&view, &below, project))
            }
            None if project.snapshot(scan.table_name.table()).is_some_and(|table| table.declared.is_some()) => {
                NanosecondOrigin::Config
            }
            None => NanosecondOrigin::File,
        },
        other => {
            let inputs = other.inputs();
            match inputs.iter().find(|input| input.schema().has_column(column)) {
                Some(input) => origin(input, column, project),
                // Made here, as by a window function: from any of the columns.
                None => {
                    let all = inputs.iter().flat_map(|input| {
                        let columns = input.schema().columns().into_iter().zip(input.schema().fields());
                        let fine = columns.filter(|(_, field)| has_nanoseconds(field.data_type()));
                        fine.map(|(column, _)| origin(input, &column, project))
                    });
                    all.max().unwrap_or(NanosecondOrigin::Function)
                }
            }
        }
    }
}

fn of_expr(expr: &Expr, input: &LogicalPlan, project: &Project) -> NanosecondOrigin {
    let mut found = NanosecondOrigin::Function;
    let walked = expr.apply(|expr| {
        match expr {
            Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. })
                if has_nanoseconds(field.data_type()) =>
            {
                found = NanosecondOrigin::Config;
            }
            Expr::Column(column) => {
                let field = input.schema().field_from_column(column);
                if field.is_ok_and(|field| has_nanoseconds(field.data_type())) {
                    found = found.max(origin(input, column, project));
                }
            }
            Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(_, _) => found = found.max(NanosecondOrigin::File),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // The closure above never fails.
    walked.map_or(found, |_| found)
}
