//! What is remembered of audits, per lake table: `audits.json` beside its manifests.
//!
//! A record says which audits passed over what. It is written whole by each run of the table's audits, and never
//! decides anything by itself: an audit counts as passed only while its text, the plan and the staged tasks are those
//! of the record. One that cannot be read ends what decides by it (a run, a publish task), and is nothing remembered to
//! those who look.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::inputs::{fingerprint, inputs};
use super::{Audit, audits};
use crate::concurrency::{read_tables, write_tables};
use crate::config::{LakeTable, Project};
use crate::error::Verdict;
use crate::error::{Error, Result};
use crate::manifest::Ledger;
use crate::manifest::version::{WRITER, check_version};
use crate::session::Engine;
use crate::staging::plan::ledger;

/// Form of `audits.json`.
const VERSION: u32 = 2;

/// The content of `audits.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Format of this record.
    version: u32,
    /// The program that wrote it.
    written_by: String,
    /// Name of the lake table, without `lake.`.
    table: String,
    /// Results of its audits.
    audits: Vec<Entry>,
}

/// Result of one audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its name.
    pub(super) audit: String,
    /// Hash of its text and of all that it read.
    pub(super) fingerprint: String,
    /// Rows that it found.
    pub(super) rows: u64,
    /// Wall time.
    pub(super) seconds: f64,
    /// Bytes that sorting and grouping put on disk.
    pub(super) bytes_spilled: u64,
    /// When it ran, RFC 3339.
    pub(super) audited_at: String,
    /// File with the first rows that it found.
    pub(super) rows_at: Option<String>,
}

/// The records of all chosen tables.
#[derive(Debug, Default)]
pub(super) struct Records(HashMap<String, (Ledger, Vec<Entry>)>);

impl Records {
    /// Those of the tables that the audits hold back; a table without one has an empty one.
    ///
    /// # Errors
    /// Those of the ledger; [`Error::DecodeManifest`].
    pub(super) async fn read(engine: &Engine, project: &Project, audits: &[Audit<'_>]) -> Result<Self> {
        Self::read_or(engine, project, audits, Err).await
    }

    /// As [`Records::read`], but what cannot be read is warned of, and is nothing remembered.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(super) async fn readable(engine: &Engine, project: &Project, audits: &[Audit<'_>]) -> Result<Self> {
        let or = |error| {
            let Error::DecodeManifest { .. } = error else { return Err(error) };
            tracing::warn!(%error, "left out what is remembered of audits");
            Ok(Vec::new())
        };
        Self::read_or(engine, project, audits, or).await
    }

    async fn read_or(
        engine: &Engine,
        project: &Project,
        audits: &[Audit<'_>],
        or: impl Fn(Error) -> Result<Vec<Entry>>,
    ) -> Result<Self> {
        let is_held =
            |lake: &&LakeTable| audits.iter().any(|audit| audit.gates.iter().any(|held| held.name == lake.name));
        let records = project.lakes.iter().filter(is_held).map(|lake| {
            let or = &or;
            async move {
                let ledger = ledger(engine, project, lake).await?;
                let entries = read(&ledger).await.or_else(or)?;
                Ok((lake.name.clone(), (ledger, entries)))
            }
        });
        Ok(Self(read_tables(records).await?.into_iter().collect()))
    }

    /// Whether nothing is remembered of any audit.
    pub(super) fn is_empty(&self) -> bool {
        self.0.values().all(|(_, entries)| entries.is_empty())
    }

    /// Result of the audit when it ran last, by the record of a table.
    pub(super) fn of(&self, audit: &Audit<'_>, table: &LakeTable) -> Option<&Entry> {
        let (_, entries) = self.0.get(&table.name)?;
        entries.iter().find(|entry| entry.audit == audit.name)
    }

    /// Result of the audit over the same, by the record of a table.
    fn find(&self, audit: &Audit<'_>, table: &LakeTable, fingerprint: &str) -> Option<&Entry> {
        self.of(audit, table).filter(|entry| entry.fingerprint == fingerprint)
    }

    /// When the audit passed over the same, by the records of all tables that it holds back.
    pub(super) fn passed(&self, audit: &Audit<'_>, fingerprint: &str) -> Option<&Entry> {
        let mut found = audit.gates.iter().map(|table| self.find(audit, table, fingerprint));
        let first = found.next().flatten()?;
        (first.rows == 0 && found.all(|entry| entry.is_some_and(|entry| entry.rows == 0))).then_some(first)
    }

    /// Whether rows of the audit were kept by an earlier run.
    pub(super) fn has_rows(&self, audit: &Audit<'_>) -> bool {
        let mut entries = self.0.values().flat_map(|(_, entries)| entries);
        entries.any(|entry| entry.audit == audit.name && entry.rows_at.is_some())
    }

    /// Where the rows of an audit are to be kept: in the folder of the first table that it holds back.
    pub(super) fn ledger(&self, audit: &Audit<'_>) -> Option<&Ledger> {
        self.0.get(&audit.gates.first()?.name).map(|(ledger, _)| ledger)
    }

    /// Writes the records of all tables anew.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn write(&self, entries: &[(&Audit<'_>, Entry)]) -> Result<()> {
        let writes = self.0.iter().map(|(table, (ledger, _))| async move {
            let of_table = entries.iter().filter(|(audit, _)| audit.gates.iter().any(|lake| lake.name == *table));
            let audits = of_table.map(|(_, entry)| entry.clone()).collect();
            let at = ledger.layout().audits();
            let text = serde_json::to_vec_pretty(&Record {
                version: VERSION,
                written_by: WRITER.to_owned(),
                table: table.clone(),
                audits,
            })
            .map_err(|source| Error::DecodeManifest { uri: at.to_string(), source: source.into() })?;
            ledger.write_file(&at, text.into()).await
        });
        write_tables(writes).await.map(drop)
    }
}

async fn read(ledger: &Ledger) -> Result<Vec<Entry>> {
    let at = ledger.layout().audits();
    let Some(bytes) = ledger.read_file(&at).await? else { return Ok(Vec::new()) };
    check_version(&bytes, &at.to_string(), VERSION)?;
    let record: Record = serde_json::from_slice(&bytes)
        .map_err(|source| Error::DecodeManifest { uri: at.to_string(), source: source.into() })?;
    Ok(record.audits)
}

/// Lets a single publish task of `lake` pass if all audits that hold it back have passed over what is staged now. It
/// reads no data.
///
/// # Errors
/// [`Error::AuditsFailed`] with those that are known to fail; [`Error::NotAudited`] with those that did not run; those
/// of the ledger.
pub(crate) async fn gate(engine: &Engine, project: &Project, lake: &LakeTable) -> Result<()> {
    let mut audits = audits(project)?;
    audits.retain(|audit| audit.gates.iter().any(|gated| gated.name == lake.name));
    if audits.is_empty() {
        return Ok(());
    }
    let inputs = inputs(engine, project, &audits).await?;
    let records = Records::read(engine, project, &audits).await?;
    let (mut verdicts, mut missing) = (Vec::new(), Vec::new());
    for audit in &audits {
        match records.find(audit, lake, &fingerprint(project, audit, &inputs)?) {
            None => missing.push(audit.name.clone()),
            Some(entry) => verdicts.push(entry.verdict(audit)),
        }
    }
    if verdicts.iter().any(|verdict| !verdict.passed()) {
        return Err(Error::AuditsFailed { verdicts, published: Vec::new() });
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::NotAudited { table: lake.name.clone(), audits: missing }) }
}

impl Entry {
    /// Result of the audit in an earlier run.
    pub(super) fn verdict(&self, audit: &Audit<'_>) -> Verdict {
        Verdict {
            audit: audit.name.clone(),
            tables: audit.tables(),
            rows: self.rows,
            seconds: self.seconds,
            ran: false,
            sample: Vec::new(),
            rows_at: self.rows_at.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{AUDITED, staged};
    use super::*;
    use crate::pipeline::in_memory::Job;

    fn entry(audit: &str, fingerprint: &str, rows: u64) -> Entry {
        Entry {
            audit: audit.to_owned(),
            fingerprint: fingerprint.to_owned(),
            rows,
            seconds: 0.5,
            bytes_spilled: 0,
            audited_at: "2026-02-01T00:00:00Z".to_owned(),
            rows_at: (rows > 0).then(|| "s3://b/rows".to_owned()),
        }
    }

    /// Records of the tables `t` and `u`.
    async fn records(job: &Job, t: Vec<Entry>, u: Vec<Entry>) -> Records {
        let ledger = job.ledger().await;
        Records(HashMap::from([("t".to_owned(), (ledger.clone(), t)), ("u".to_owned(), (ledger, u))]))
    }

    #[tokio::test]
    async fn audit_has_passed_if_all_tables_that_it_holds_back_say_so_of_the_same() {
        let job = Job::new(AUDITED);
        let audits = audits(job.pipeline.project()).unwrap();
        let both = audits.iter().find(|audit| audit.name == "audit.both").unwrap();
        let good = || vec![entry("audit.of_u", "other", 9), entry("audit.both", "f", 0)];
        for (t, u, has_passed) in [
            (good(), good(), true),
            (good(), vec![], false),
            (vec![], good(), false),
            (good(), vec![entry("audit.both", "old", 0)], false),
            (vec![entry("audit.both", "old", 0)], good(), false),
            (good(), vec![entry("audit.both", "f", 1)], false),
            (vec![entry("audit.both", "f", 1)], good(), false),
        ] {
            let records = records(&job, t.clone(), u.clone()).await;
            assert_eq!(records.passed(both, "f").is_some(), has_passed, "{t:?} {u:?}");
        }
    }

    #[tokio::test]
    async fn rows_of_an_earlier_run_are_known_by_any_record() {
        let job = Job::new(AUDITED);
        let audits = audits(job.pipeline.project()).unwrap();
        let [_, source, of_u, both] = &audits[..] else { panic!("{audits:?}") };
        let records = records(&job, vec![entry("audit.both", "f", 0)], vec![entry("audit.source", "f", 2)]).await;
        assert_eq!([source, of_u, both].map(|audit| records.has_rows(audit)), [true, false, false]);
        assert!(!records.is_empty() && self::records(&job, vec![], vec![]).await.is_empty());
    }

    #[tokio::test]
    async fn record_of_another_version_or_none_ends_what_decides_by_it_and_is_nothing_to_who_looks() {
        let job = staged(AUDITED).await;
        job.pipeline.audit().await.unwrap();
        let (engine, project) = (job.pipeline.engine(), job.pipeline.project());
        let audits = audits(project).unwrap();
        let ledger = job.ledger().await;
        let at = ledger.layout().audits();
        let count = |records: &Records, table: &str| records.0[table].1.len();
        let read = async || Records::read(engine, project, &audits).await;
        let text = String::from_utf8(ledger.read_file(&at).await.unwrap().unwrap().to_vec()).unwrap();
        assert_eq!([count(&read().await.unwrap(), "t"), count(&read().await.unwrap(), "u")], [3, 3]);
        job.put(at.raw_key(), text.replace("\"version\": 2", "\"version\": 3")).await;
        assert!(matches!(read().await, Err(Error::OtherVersion { version: 3, .. })));
        job.put(at.raw_key(), text[..text.len() / 2].to_owned()).await;
        assert!(matches!(read().await, Err(Error::DecodeManifest { .. })));
        let readable = Records::readable(engine, project, &audits).await.unwrap();
        assert_eq!([count(&readable, "t"), count(&readable, "u")], [0, 3]);
    }

    #[tokio::test]
    async fn publish_task_passes_only_if_all_audits_of_its_table_have_passed_over_what_is_staged() {
        let job = staged(AUDITED).await;
        let gate = async |job: &Job| gate(job.pipeline.engine(), job.pipeline.project(), job.lake()).await;
        let all = ["t.not_null(id)", "audit.source", "audit.both"];
        assert!(matches!(gate(&job).await, Err(Error::NotAudited { audits, .. }) if audits == all));
        job.pipeline.audit().await.unwrap();
        gate(&job).await.unwrap();
        // Another text of one of them.
        let (from, to) = ("t.v <> u.v", "t.v = u.v");
        let other = job.again(&AUDITED.replace(from, to), "2026-01-31T00:00:00Z");
        assert!(matches!(gate(&other).await, Err(Error::NotAudited { audits, .. }) if audits == ["audit.both"]));
        assert!(matches!(other.pipeline.audit().await, Err(Error::AuditsFailed { .. })));
        let Err(Error::AuditsFailed { verdicts, .. }) = gate(&other).await else { panic!("it has failed") };
        let rows: Vec<_> = verdicts.iter().map(|verdict| (verdict.audit.as_str(), verdict.rows, verdict.ran)).collect();
        assert_eq!(rows, [(all[0], 0, false), (all[1], 0, false), (all[2], 3, false)]);
    }
}
