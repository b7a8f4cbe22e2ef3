//! Which tables and helper views a query reads, and the views in a session.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DFStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast;

use crate::config::{Project, plan_view};
use crate::error::Result;

/// Names that a query reads.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    pub(crate) snapshots: Vec<String>,
    pub(crate) staging: Vec<String>,
    pub(crate) lakes: Vec<String>,
    pub(crate) views: Vec<String>,
}

impl Relations {
    /// Whether a session has all of them but the views.
    pub(crate) fn are_in(&self, session: &SessionContext) -> Result<bool> {
        let schemas = [("snapshot", &self.snapshots), ("staging", &self.staging), ("lake", &self.lakes)];
        for (schema, names) in schemas {
            for name in names {
                if !session.table_exist(TableReference::partial(schema, name.as_str()))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The tables and helper views that a query reads, through views too; tables are sorted.
pub(crate) fn relations(project: &Project, query: &ast::Query) -> Result<Relations> {
    let mut all = Relations::default();
    let mut queue = vec![query.clone()];
    while let Some(query) = queue.pop() {
        let statement = DFStatement::Statement(Box::new(ast::Statement::Query(Box::new(query))));
        for relation in resolve_table_references(&statement, true)?.0 {
            let name = relation.table().to_owned();
            let of_schema = match relation.schema() {
                Some("snapshot") => Some(&mut all.snapshots),
                Some("staging") => Some(&mut all.staging),
                Some("lake") => Some(&mut all.lakes),
                _ => None,
            };
            if let Some(names) = of_schema {
                if !names.contains(&name) {
                    names.push(name);
                }
            } else if relation.schema().is_none()
                && !all.views.contains(&name)
                && let Some(view) = project.views.iter().find(|view| view.schema.is_none() && view.name == name)
            {
                queue.push(view.query.as_ref().clone());
                all.views.push(name);
            }
        }
    }
    for names in [&mut all.snapshots, &mut all.staging, &mut all.lakes] {
        names.sort_unstable();
    }
    Ok(all)
}

/// Registers the named helper views, in the order of the config, so that one may read those before it.
pub(crate) async fn register_views(session: &SessionContext, project: &Project, names: &[String]) -> Result<()> {
    for view in project.views.iter().filter(|view| view.schema.is_none() && names.contains(&view.name)) {
        let plan = plan_view(&session.state(), project, view).await?;
        let table = ViewTable::new(plan, Some(view.shown.to_string()));
        session.register_table(TableReference::bare(view.name.as_str()), Arc::new(table))?;
    }
    Ok(())
}

/// Registers all helper views whose tables the session has: those over a table that is not staged yet are left out.
pub(crate) async fn register_helpers(session: &SessionContext, project: &Project) -> Result<()> {
    let mut names = Vec::new();
    for view in project.views.iter().filter(|view| view.schema.is_none()) {
        if relations(project, &view.query)?.are_in(session)? {
            names.push(view.name.clone());
        }
    }
    register_views(session, project, &names).await
}
