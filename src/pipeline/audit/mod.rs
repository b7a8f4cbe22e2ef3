//! Audits: queries over what is staged that must return no rows, or nothing is published.
//!
//! ```text
//! stage --> staging.* --> audits --no rows--> audits.json --> publish
//!                           '-----rows------> counted, the first ones kept as Parquet; nothing is published
//! ```
//!
//! An audit is a `CREATE VIEW audit.name`, or a property of a lake table such as `not_null` ([`Rule`]). It holds back
//! (gates) the tables whose `staging` it reads; one that reads no staging table holds back all. It may join `snapshot`
//! tables, helper views, and `lake` tables that are published already. All audits run, small ones of a remote store
//! several at once, before the first failure is reported. Those that passed are remembered (`record`) for as long as
//! nothing changes that they read; audits do not change what is published, and are no part of a plan: a config may get
//! new ones while its tables are staged.

pub(crate) mod check;
pub(crate) mod inputs;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod tables;

pub(crate) use self::check::check;
pub(crate) use self::record::gate;
pub(crate) use self::run::run;
pub use self::status::{AuditState, AuditStatus, AuditView};
pub(crate) use self::status::{AuditSummary, known, statuses, views};
pub(crate) use self::tables::register_audits;

use crate::config::{LakeTable, Project, Rule, View};
use crate::error::{ConfigError, Result};
use crate::staging::plan::{Relations, relations};

/// One audit and what it reads.
#[derive(Debug)]
struct Audit<'a> {
    name: String,
    query: AuditQuery<'a>,
    reads: Relations,
    /// The chosen lake tables that it holds back, in the order of the config; at least one.
    gates: Vec<&'a LakeTable>,
}

#[derive(Debug)]
enum AuditQuery<'a> {
    View(&'a View),
    Rule(&'a LakeTable, &'a Rule),
}

/// Schemas of what audits read besides snapshots.
const SCHEMAS: [&str; 2] = ["staging", "lake"];

impl Audit<'_> {
    /// Whether it reads `schema.name`, where `schema` is `staging` or `lake`.
    fn reads(&self, schema: &str, name: &str) -> bool {
        let names = if schema == "staging" { &self.reads.staging } else { &self.reads.lakes };
        names.iter().any(|read| read == name)
    }

    /// Schema and table of what it reads besides snapshots.
    fn inputs<'a>(&self, project: &'a Project) -> impl Iterator<Item = (&'static str, &'a LakeTable)> {
        let all = project.all_lakes().flat_map(|lake| SCHEMAS.map(|schema| (schema, lake)));
        all.filter(|(schema, lake)| self.reads(schema, &lake.name))
    }

    /// Names of the chosen tables that it holds back.
    fn tables(&self) -> Vec<String> {
        self.gates.iter().map(|lake| lake.name.clone()).collect()
    }
}

/// The audits that hold back a chosen table: those in WITH first, then views, in the order of the config.
fn audits(project: &Project) -> Result<Vec<Audit<'_>>> {
    let mut audits = Vec::new();
    for lake in &project.lakes {
        for rule in &lake.rules {
            let reads = Relations { staging: vec![lake.name.clone()], ..Relations::default() };
            let query = AuditQuery::Rule(lake, rule);
            audits.push(Audit { name: rule.name(&lake.name), query, reads, gates: vec![lake] });
        }
    }
    for view in project.views.iter().filter(|view| view.schema.is_some()) {
        let reads = relations(project, &view.query)?;
        let reads_staging = project.all_lakes().any(|lake| reads.staging.contains(&lake.name));
        let is_gated = |lake: &&LakeTable| !reads_staging || reads.staging.contains(&lake.name);
        if let Some(lake) = project.all_lakes().filter(is_gated).find(|lake| reads.lakes.contains(&lake.name)) {
            let (audit, table) = (view.name.clone(), lake.name.clone());
            return Err(ConfigError::AuditOfPublished { audit, table }.at(&view.query_at));
        }
        let gates: Vec<&LakeTable> = project.lakes.iter().filter(is_gated).collect();
        if !gates.is_empty() {
            audits.push(Audit { name: view.full_name(), query: AuditQuery::View(view), reads, gates });
        }
    }
    Ok(audits)
}
