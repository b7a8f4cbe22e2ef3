//! The staging and lake tables that audits read, as they are in the store now: which plan, which of its tasks are done.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use md5::{Digest, Md5};

use super::tables::AuditTable;
use super::{Audit, AuditQuery, SCHEMAS};
use crate::compaction::plan::PartitionDetails;
use crate::concurrency::read_tables;
use crate::config::digest;
use crate::config::{Held, LakeTable, Project, StagedCounts};
use crate::error::{Error, Result};
use crate::lake::LakeColumns;
use crate::layout::Step;
use crate::manifest::{FileEntry, Ledger, TaskDetails};
use crate::session::Engine;
use crate::staging::plan::{PlanDetails, Planner, committed_head, declared_text, ledger};

/// A complete staging or lake table.
#[derive(Debug)]
pub(super) struct AuditInput<'a> {
    schema: &'static str,
    lake: &'a LakeTable,
    ledger: Ledger,
    plan: PlanDetails,
    step: Step,
    /// Its committed tasks, with what changes when one is done anew.
    summaries: BTreeMap<usize, String>,
}

/// All that the audits read, each complete.
///
/// # Errors
/// [`Error::NotPlanned`], [`Error::NotStaged`], [`Error::NotPublished`], [`Error::PlanChanged`]; those of the ledger.
pub(super) async fn inputs<'a>(
    engine: &Engine,
    project: &'a Project,
    audits: &[Audit<'_>],
) -> Result<Vec<AuditInput<'a>>> {
    let inputs = read(project, audits).into_iter();
    read_tables(inputs.map(|(schema, lake)| AuditInput::open(engine, project, lake, schema))).await
}

/// Of all that the audits read, what is complete and still what the config says.
///
/// # Errors
/// Those of the ledger.
pub(super) async fn complete<'a>(
    engine: &Engine,
    project: &'a Project,
    audits: &[Audit<'_>],
) -> Result<Vec<AuditInput<'a>>> {
    let inputs = read(project, audits).into_iter().map(|(schema, lake)| async move {
        match AuditInput::open(engine, project, lake, schema).await {
            Ok(input) => Ok(Some(input)),
            Err(
                Error::NotPlanned { .. }
                | Error::NotStaged { .. }
                | Error::NotPublished { .. }
                | Error::Damaged { .. }
                | Error::PlanChanged { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    });
    Ok(read_tables(inputs).await?.into_iter().flatten().collect())
}

/// Schema and table of all that the audits read, each once.
fn read<'a>(project: &'a Project, audits: &[Audit<'_>]) -> Vec<(&'static str, &'a LakeTable)> {
    let all = project.all_lakes().flat_map(|lake| SCHEMAS.map(|schema| (schema, lake)));
    all.filter(|(schema, lake)| audits.iter().any(|audit| audit.reads(schema, &lake.name))).collect()
}

impl<'a> AuditInput<'a> {
    async fn open(engine: &Engine, project: &Project, lake: &'a LakeTable, schema: &'static str) -> Result<Self> {
        let is_staging = schema == "staging";
        let step = if is_staging { Step::StagingFileGroups } else { Step::DatalakeFileGroups };
        let ledger = ledger(engine, project, lake).await?;
        let plan = committed_head(&ledger, &lake.name).await?;
        Planner::new(engine, project).check_unchanged(&plan, lake)?;
        let total = if is_staging {
            plan.groups
        } else {
            let first = ledger.layout().manifest(Step::PartitionFileGroups, 1);
            ledger.head::<PartitionDetails>(&first).await?.map_or(0, |(_, first)| first.groups)
        };
        let mut summaries = ledger.summaries(step).await?;
        summaries.retain(|number, _| *number <= total);
        let (table, done) = (lake.name.clone(), summaries.len());
        if is_staging && done < total {
            return Err(Error::NotStaged { table, missing: total - done, total });
        }
        // A published table has at least one group.
        if !is_staging && (total == 0 || done < total) {
            return Err(Error::NotPublished { table, done, total });
        }
        Ok(Self { schema, lake, ledger, plan, step, summaries })
    }

    /// Whether it is this one.
    pub(super) fn is(&self, schema: &str, lake: &LakeTable) -> bool {
        self.schema == schema && self.lake.name == lake.name
    }

    /// Whether the audit reads it.
    pub(super) fn is_read_by(&self, audit: &Audit<'_>) -> bool {
        audit.reads(self.schema, &self.lake.name)
    }

    /// The table over the files of its tasks, and the rows that these counted.
    pub(super) async fn table(&self) -> Result<(AuditTable, StagedCounts)> {
        let (mut files, mut counts): (Vec<FileEntry>, _) = (Vec::new(), StagedCounts::default());
        let mut manifests = self.ledger.read_all::<TaskDetails>(self.step, self.summaries.keys().copied());
        while let Some((number, manifest)) = manifests.try_next().await? {
            let manifest = manifest
                .filter(|manifest| manifest.details.plan == self.plan.id)
                .ok_or_else(|| self.ledger.of_another_plan(self.step, number))?;
            counts.read += manifest.details.rows_read;
            counts.written += manifest.details.rows_written;
            files.extend(manifest.files);
        }
        let columns = LakeColumns::new(self.plan.output_schema.decode()?.as_ref(), self.lake)?;
        Ok((AuditTable::of_lake(self.schema, &self.lake.name, columns, files), counts))
    }

    /// Whose staged rows it has; `None` for a lake.
    pub(super) fn staged(&self) -> Option<&str> {
        (self.step == Step::StagingFileGroups).then_some(self.lake.name.as_str())
    }
}

/// Hash of an audit's text and of all that it reads: where it is the same, so is what the audit finds. Values of the
/// environment count by a slow hash ([`crate::config::digest`]), which all the rest salts.
///
/// # Errors
/// Those of [`declared_text`].
pub(super) fn fingerprint<'a>(project: &'a Project, audit: &'a Audit<'_>, inputs: &[AuditInput<'_>]) -> Result<String> {
    let mut hash = Md5::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    let mut held: Vec<(&str, &str)> = Vec::new();
    let values = |of: &'a [Held]| of.iter().map(|held| (held.variable.as_str(), held.value.as_str()));
    let rule;
    match audit.query {
        AuditQuery::View(view) => {
            add(&view.shown.to_string());
            held.extend(values(&view.held));
        }
        AuditQuery::Rule(lake, of) => {
            rule = of.query(&lake.name, StagedCounts::default());
            match lake.with_held {
                true => held.push((of.check.property(), &rule)),
                false => add(&rule),
            }
        }
    }
    for view in project.views.iter().filter(|view| view.schema.is_none() && audit.reads.views.contains(&view.name)) {
        add(&view.name);
        add(&view.shown.to_string());
        held.extend(values(&view.held));
    }
    for name in &audit.reads.snapshots {
        add(&declared_text(project, name)?);
    }
    for input in inputs.iter().filter(|input| input.is_read_by(audit)) {
        add(input.schema);
        add(&input.lake.name);
        add(&input.plan.id);
        input.summaries.values().for_each(|summary| add(summary));
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(if held.is_empty() { hash } else { digest::slow(held, &hash, digest::ROUNDS) })
}

#[cfg(test)]
mod tests {
    use super::super::audits;
    use super::super::tests::{AUDITED, staged};
    use super::*;
    use crate::pipeline::in_memory::Job;

    /// Hashes of all audits over what is in the store now, by name.
    async fn fingerprints(job: &Job) -> BTreeMap<String, String> {
        let project = job.pipeline.project();
        let audits = audits(project).unwrap();
        let inputs = inputs(job.pipeline.engine(), project, &audits).await.unwrap();
        let of = |audit: &Audit<'_>| (audit.name.clone(), fingerprint(project, audit, &inputs).unwrap());
        audits.iter().map(of).collect()
    }

    /// Names of those that differ, or are of one side.
    fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let mut names: Vec<String> = names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn fingerprint_changes_with_the_text_of_the_audit_and_of_the_helper_that_it_reads() {
        let job = staged(AUDITED).await;
        let before = fingerprints(&job).await;
        assert_eq!(fingerprints(&job).await, before);
        for (from, to, expected) in [
            ("t.v <> u.v", "t.v  <>\nu.v -- as before", &[][..]),
            ("t.v <> u.v", "t.v > u.v", &["audit.both"]),
            ("staging.u WHERE id < 0", "staging.u WHERE id < 1", &["audit.of_u"]),
            ("snapshot.t WHERE id < 0", "snapshot.t WHERE id < 1", &["audit.source"]),
            ("not_null = ARRAY['id']", "not_null = ARRAY['v']", &["t.not_null(id)", "t.not_null(v)"]),
        ] {
            let again = job.again(&AUDITED.replace(from, to), "2026-01-31T00:00:00Z");
            assert_eq!(changed(&before, &fingerprints(&again).await), expected, "{to}");
        }
    }

    #[tokio::test]
    async fn fingerprint_changes_when_a_task_of_what_it_reads_is_done_anew() {
        let job = staged(AUDITED).await;
        let before = fingerprints(&job).await;
        let ledger = job.ledger().await;
        let summary = ledger.layout().manifest(Step::StagingFileGroups, 2).summary;
        let text = ledger.read_file(&summary).await.unwrap().unwrap();
        job.put(summary.raw_key(), text).await;
        assert_eq!(changed(&before, &fingerprints(&job).await), ["audit.both", "t.not_null(id)"]);
        // One that the plan does not have says nothing.
        let before = fingerprints(&job).await;
        let text = ledger.read_file(&summary).await.unwrap().unwrap();
        job.put(ledger.layout().manifest(Step::StagingFileGroups, 3).summary.raw_key(), text).await;
        assert_eq!(changed(&before, &fingerprints(&job).await), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn table_that_is_not_complete_is_an_error_to_who_audits_and_left_out_for_who_looks() {
        let text = format!(
            "{AUDITED} CREATE VIEW audit.x AS SELECT s.id FROM staging.u AS s JOIN lake.t AS l ON s.id = l.id;"
        );
        let job = staged(&text).await;
        let project = job.pipeline.project();
        let audits = audits(project).unwrap();
        let engine = job.pipeline.engine();
        let error = async || inputs(engine, project, &audits).await.unwrap_err();
        let looked = async || {
            let inputs = complete(engine, project, &audits).await.unwrap();
            inputs.iter().map(|input| format!("{}.{}", input.schema, input.lake.name)).collect::<Vec<_>>().join(" ")
        };
        assert!(matches!(error().await, Error::NotPublished { table, total: 0, .. } if table == "t"));
        assert_eq!(looked().await, "staging.t staging.u");
        let ledger = job.ledger().await;
        ledger.revoke(&ledger.layout().manifest(Step::StagingFileGroups, 1)).await.unwrap();
        assert!(matches!(error().await, Error::NotStaged { table, missing: 1, total: 2 } if table == "t"));
        assert_eq!(looked().await, "staging.u");
        ledger.revoke(&ledger.layout().snapshot_manifest()).await.unwrap();
        assert!(matches!(error().await, Error::NotPlanned { table } if table == "t"));
    }
}
