//! Whether a SELECT gives the same rows when it runs once per file group of one table: the driving table.
//!
//! A row of the driving table must decide on its own which rows come out of it. That holds along a path of projections,
//! filters, unnests and joins that keep its side; it ends at everything that looks at several rows at once. The other
//! tables are read whole by every task, so whatever is done to them is right. The plan must be the planner's own: the
//! optimizer moves limits and sorts into scans, where they are easily missed.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, NullEquality};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, LogicalPlan, TableScan, Window};

use crate::error::ConfigError;

/// Schema of the tables that tasks read in groups.
const SNAPSHOT: &str = "snapshot";
const ORDER_BY: &str = "ORDER BY (use sorted_by instead)";

/// Which table gives a task its rows, and which it reads whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) driving: String,
    pub(super) whole: Vec<String>,
}

/// One scan of a snapshot table, and the clause that keeps it from driving.
struct SnapshotScan {
    table: String,
    blocked: Option<String>,
}

/// Chooses the driving table of lake table `lake`: the snapshot table of the same name if it may drive, else the
/// leftmost that may. With `all`, where one task reads everything, each may.
pub(super) fn reads(plan: &LogicalPlan, lake: &str, all: bool) -> Result<Reads, ConfigError> {
    let mut scans = Vec::new();
    walk(plan, &mut scans);
    let everywhere = tables(plan, lake)?;
    let twice = |table: &str| everywhere.iter().filter(|other| *other == table).count() > 1;
    let may_drive = |scan: &&SnapshotScan| all || (scan.blocked.is_none() && !twice(&scan.table));

    let named = scans.iter().find(|scan| scan.table == lake && may_drive(scan));
    let driving = match named.or_else(|| scans.iter().find(may_drive)) {
        Some(scan) => scan.table.clone(),
        None if all && !everywhere.is_empty() => everywhere[0].clone(),
        None => {
            let table = lake.to_owned();
            // The table that the user most likely means gives the reason.
            let Some(scan) = scans.iter().find(|scan| scan.table == lake).or(scans.first()) else {
                return Err(ConfigError::NoDrivingTable { table });
            };
            let free = scans.iter().any(|other| other.table == scan.table && other.blocked.is_none());
            let twice = || format!("{SNAPSHOT}.{} is read twice", scan.table);
            let clause = scan.blocked.clone().filter(|_| !free).unwrap_or_else(twice);
            return Err(ConfigError::NotRowWise { table, clause });
        }
    };
    let mut whole: Vec<String> = everywhere.into_iter().filter(|table| *table != driving).collect();
    whole.sort();
    whole.dedup();
    Ok(Reads { driving, whole })
}

/// All scans of snapshot tables, also in subqueries, in the plan's order.
fn tables(plan: &LogicalPlan, lake: &str) -> Result<Vec<String>, ConfigError> {
    let mut tables = Vec::new();
    let mut foreign = None;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(TableScan { table_name, .. }) = node {
            match table_name.schema() {
                Some(SNAPSHOT) => tables.push(table_name.table().to_owned()),
                Some(_) => foreign = Some(table_name.to_string()),
                // The working table of a recursive query, or a table function.
                None => {}
            }
        }
        Ok::<_, DataFusionError>(TreeNodeRecursion::Continue)
    });
    match (foreign, walked) {
        (Some(name), _) => Err(ConfigError::ForeignTable { table: lake.to_owned(), name }),
        (None, Err(error)) => Err(ConfigError::Plan { message: error.strip_backtrace() }),
        (None, Ok(_)) => Ok(tables),
    }
}

/// Collects the scans below `plan`, subquery expressions left out: what those read is read whole.
fn walk(plan: &LogicalPlan, scans: &mut Vec<SnapshotScan>) {
    let start = scans.len();
    match plan {
        LogicalPlan::TableScan(scan) => {
            if scan.table_name.schema() == Some(SNAPSHOT) {
                scans.push(SnapshotScan { table: scan.table_name.table().to_owned(), blocked: None });
            }
        }
        LogicalPlan::Join(join) => walk_join(join, scans),
        other => {
            other.inputs().into_iter().for_each(|input| walk(input, scans));
            if let Some(clause) = clause(other) {
                let limit = matches!(other, LogicalPlan::Limit(_));
                for scan in &mut scans[start..] {
                    // ORDER BY serves LIMIT: without the one, the other has no sense.
                    if scan.blocked.is_none() || (limit && scan.blocked.as_deref() == Some(ORDER_BY)) {
                        scan.blocked = Some(clause.clone());
                    }
                }
            }
        }
    }
}

/// The clause that a node represents, if it looks at several rows at once.
fn clause(plan: &LogicalPlan) -> Option<String> {
    Some(match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Repartition(_) => return None,
        LogicalPlan::Sort(_) => ORDER_BY.to_owned(),
        LogicalPlan::Limit(limit) if limit.fetch.is_none() => "OFFSET".to_owned(),
        LogicalPlan::Limit(_) => "LIMIT".to_owned(),
        LogicalPlan::Distinct(Distinct::All(_)) => "DISTINCT".to_owned(),
        LogicalPlan::Distinct(Distinct::On(_)) => "DISTINCT ON".to_owned(),
        LogicalPlan::Aggregate(aggregate) => aggregate_clause(aggregate),
        LogicalPlan::Window(window) => window_clause(window),
        LogicalPlan::Union(_) => "UNION".to_owned(),
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE".to_owned(),
        LogicalPlan::Subquery(_) => "LATERAL".to_owned(),
        other => other.display().to_string().split(':').next().unwrap_or_default().to_owned(),
    })
}

fn aggregate_clause(aggregate: &Aggregate) -> String {
    let name = aggregate.aggr_expr.iter().find_map(|expr| match expr.clone().unalias() {
        Expr::AggregateFunction(function) => Some(function.func.name().to_owned()),
        _ => None,
    });
    match name {
        Some(name) if aggregate.group_expr.is_empty() => format!("aggregate function {name}()"),
        _ => "GROUP BY".to_owned(),
    }
}

fn window_clause(window: &Window) -> String {
    let name = window.window_expr.iter().find_map(|expr| match expr.clone().unalias() {
        Expr::WindowFunction(function) => Some(function.fun.name().to_owned()),
        _ => None,
    });
    name.map_or_else(|| "a window function".to_owned(), |name| format!("window function {name}()"))
}

fn walk_join(join: &Join, scans: &mut Vec<SnapshotScan>) {
    let start = scans.len();
    walk(&join.left, scans);
    let middle = scans.len();
    walk(&join.right, scans);
    let set_operation = join.null_equality == NullEquality::NullEqualsNull;
    // For each side, the clause that keeps its tables from driving.
    let (left, right) = match join.join_type {
        JoinType::LeftSemi if set_operation => (Some("INTERSECT"), Some("INTERSECT")),
        JoinType::LeftAnti if set_operation => (Some("EXCEPT"), Some("EXCEPT")),
        JoinType::Inner => (None, None),
        JoinType::Left => (None, Some("it is on the right side of a LEFT JOIN")),
        JoinType::Right => (Some("it is on the left side of a RIGHT JOIN"), None),
        JoinType::Full => (Some("FULL JOIN"), Some("FULL JOIN")),
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            (None, Some("it is on the right side of a LEFT SEMI or ANTI JOIN"))
        }
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            (Some("it is on the left side of a RIGHT SEMI or ANTI JOIN"), None)
        }
    };
    for (index, scan) in scans.iter_mut().enumerate().skip(start) {
        let Some(clause) = (if index < middle { left } else { right }) else {
            continue;
        };
        // INTERSECT and EXCEPT are planned with a DISTINCT that nobody wrote.
        if scan.blocked.is_none() || (set_operation && scan.blocked.as_deref() == Some("DISTINCT")) {
            scan.blocked = Some(clause.replace("it is", &format!("{SNAPSHOT}.{} is", scan.table)));
        }
    }
}
