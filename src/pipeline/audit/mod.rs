//! Audits: queries over what is staged that must return no rows, or the tables that they read are not published.
//!
//! ```text
//! stage --> staging.* --> audits --no rows--> audits.json --> publish
//!                           '-----rows------> counted, the first ones kept as Parquet; its tables are not published
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pipeline::in_memory::Job;

    /// Two lake tables and audits of each kind.
    pub(super) const AUDITED: &str = "
        CREATE EXTERNAL TABLE snapshot.t (id INT, k VARCHAR, v VARCHAR)
        STORED AS CSV LOCATION 's3://b/export/' OPTIONS ('format.has_header' 'true');
        CREATE TABLE lake.t WITH (partitioned_by = ARRAY['k'], file_group_size = '1', not_null = ARRAY['id']) AS
        SELECT id, k, v FROM snapshot.t;
        CREATE TABLE lake.u AS SELECT id, v FROM snapshot.t;
        CREATE VIEW negative AS SELECT id FROM staging.u WHERE id < 0;
        CREATE VIEW audit.source AS SELECT * FROM snapshot.t WHERE id < 0;
        CREATE VIEW audit.of_u AS SELECT id FROM negative;
        CREATE VIEW audit.both AS SELECT t.id FROM staging.t JOIN staging.u ON t.id = u.id AND t.v <> u.v;";

    /// That job with an export of two files, staged.
    pub(super) async fn staged(tables: &str) -> Job {
        let job = Job::new(tables);
        job.put("export/1.csv", "id,k,v\n1,a,x\n2,b,y\n").await;
        job.put("export/2.csv", "id,k,v\n3,a,z\n").await;
        job.pipeline.stage().await.unwrap();
        job
    }

    /// Names of the audits, each with the tables that it holds back.
    fn gates(project: &Project) -> Vec<(String, String)> {
        audits(project).unwrap().iter().map(|audit| (audit.name.clone(), audit.tables().join(" "))).collect()
    }

    #[test]
    fn audit_holds_back_the_tables_whose_staging_it_reads_or_else_all() {
        let job = Job::new(AUDITED);
        let mut project = job.pipeline.project().clone();
        let expected = [("t.not_null(id)", "t"), ("audit.source", "t u"), ("audit.of_u", "u"), ("audit.both", "t u")];
        assert_eq!(gates(&project), expected.map(|(audit, tables)| (audit.to_owned(), tables.to_owned())));
        // What another table's audit finds is no matter of the chosen one.
        project.select_tables(&["u".to_owned()]).unwrap();
        let expected = [("audit.source", "u"), ("audit.of_u", "u"), ("audit.both", "u")];
        assert_eq!(gates(&project), expected.map(|(audit, tables)| (audit.to_owned(), tables.to_owned())));
    }

    #[test]
    fn audit_that_reads_the_lake_that_it_holds_back_is_refused_and_of_another_one_is_not() {
        for (query, refused) in [
            ("SELECT s.id FROM staging.t AS s JOIN lake.t AS l ON s.id = l.id", Some("t")),
            ("SELECT s.id FROM staging.t AS s JOIN lake.u AS l ON s.id = l.id", None),
            ("SELECT id FROM lake.u", Some("u")),
        ] {
            let job = Job::new(&format!("{AUDITED} CREATE VIEW audit.x AS {query};"));
            match (audits(job.pipeline.project()), refused) {
                (Ok(_), None) => {}
                (Err(crate::Error::Config { problem, .. }), Some(table)) => {
                    let text = problem.to_string();
                    assert!(text.contains("audit.x") && text.contains(&format!("lake.{table}")), "{text}");
                }
                (other, _) => panic!("{query}: {other:?}"),
            }
        }
    }
}
