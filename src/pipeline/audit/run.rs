//! Runs audits, one after the other, each on all threads, or several small ones of a remote store: counts what they
//! find, and keeps the first rows of it.
//!
//! First only the count is asked for, so that an audit that passes reads just the columns that it needs; the rows of
//! one that fails take a second look. The engine sorts and groups what does not fit into memory on disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::{concat_batches, sum};
use datafusion::arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::LogicalPlan;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;

use super::check::snapshots;
use super::inputs::{AuditInput, fingerprint, inputs};
use super::record::{Entry, Records};
use super::tables::session;
use super::{Audit, audits};
use crate::concurrency::{in_order, read_tables};
use crate::config::{Project, StagedCounts};
use crate::error::Verdict;
use crate::error::unwrap_engine;
use crate::error::{Error, Result, caught};
use crate::layout::Location;
use crate::session::{Engine, PARTS};
use crate::session::{bytes_spilled, operators};
use crate::staging::plan::{Planner, StagePlan};

/// Most rows of an audit that are kept.
const ROWS_KEPT: usize = 1000;

/// Most rows of an audit that are shown.
const ROWS_TOLD: usize = 10;

/// Called for each audit: its name, and its result; `None` when it begins.
pub(crate) type OnAudit<'a> = &'a (dyn Fn(&str, Option<&Verdict>) + Send + Sync);

/// Runs all audits that hold back the project's tables and did not pass before over the same; remembers the results.
///
/// # Errors
/// [`Error::Audit`] of the first that cannot run, after all others ran; those of [`inputs`] when it is too early.
pub(crate) async fn run(
    engine: &Engine,
    project: &Project,
    plans: &[&StagePlan],
    on_audit: OnAudit<'_>,
) -> Result<Vec<Verdict>> {
    let audits = audits(project)?;
    if audits.is_empty() {
        return Ok(Vec::new());
    }
    let inputs = inputs(engine, project, &audits).await?;
    let records = Records::read(engine, project, &audits).await?;
    let (mut entries, mut todo) = (Vec::new(), Vec::new());
    for audit in &audits {
        let fingerprint = fingerprint(project, audit, &inputs)?;
        match records.passed(audit, &fingerprint) {
            Some(entry) => entries.push((audit, entry.clone(), entry.verdict(audit))),
            None => todo.push((audit, fingerprint)),
        }
    }
    for (_, _, verdict) in &entries {
        on_audit(&verdict.audit, Some(verdict));
    }
    let mut first_error = None;
    if !todo.is_empty() {
        let ran: Vec<&Audit<'_>> = todo.iter().map(|(audit, _)| *audit).collect();
        let work = Work::new(engine, project, plans, &inputs, &ran).await?;
        let (work, records) = (&work, &records);
        let jobs = todo.into_iter().map(|(audit, fingerprint)| {
            let parts = work.parts.get(&audit.name).copied().unwrap_or(PARTS);
            (parts, async move {
                on_audit(&audit.name, None);
                // One that cannot run keeps no other from running.
                Ok((audit, fingerprint, caught(Box::pin(work.audit(audit, records))).await))
            })
        });
        in_order(jobs, PARTS, |(audit, fingerprint, ran)| match ran {
            Ok((verdict, bytes_spilled)) => {
                on_audit(&audit.name, Some(&verdict));
                entries.push((audit, entry(&verdict, fingerprint, bytes_spilled), verdict));
            }
            Err(source) => {
                first_error.get_or_insert(Error::Audit { audit: audit.name.clone(), source: Box::new(source) });
            }
        })
        .await?;
        let written: Vec<(&Audit<'_>, Entry)> =
            entries.iter().map(|(audit, entry, _)| (*audit, entry.clone())).collect();
        records.write(&written).await?;
    }
    // In the order of the config, whatever ran when.
    let place = |name: &str| audits.iter().position(|audit| audit.name == name);
    let mut verdicts: Vec<Verdict> = entries.into_iter().map(|(_, _, verdict)| verdict).collect();
    verdicts.sort_by_key(|verdict| place(&verdict.audit));
    first_error.map_or(Ok(verdicts), Err)
}

fn entry(verdict: &Verdict, fingerprint: String, bytes_spilled: u64) -> Entry {
    Entry {
        audit: verdict.audit.clone(),
        fingerprint,
        rows: verdict.rows,
        seconds: verdict.seconds,
        bytes_spilled,
        audited_at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        rows_at: verdict.rows_at.clone(),
    }
}

/// A session with all tables, and the plans of all audits: whatever can be wrong with them is known before the first
/// runs.
struct Work {
    session: SessionContext,
    plans: HashMap<String, LogicalPlan>,
    /// How much of what the engine can do at once each is.
    parts: HashMap<String, usize>,
}

impl Work {
    async fn new(
        engine: &Engine,
        project: &Project,
        plans: &[&StagePlan],
        inputs: &[AuditInput<'_>],
        audits: &[&Audit<'_>],
    ) -> Result<Self> {
        let mut tables = snapshots(&Planner::new(engine, project), plans, audits).await?;
        let mut counts: HashMap<&str, StagedCounts> = HashMap::new();
        let read = || inputs.iter().filter(|input| audits.iter().any(|audit| input.is_read_by(audit)));
        for (input, (table, counted)) in read().zip(read_tables(read().map(AuditInput::table)).await?) {
            tables.push(table);
            if let Some(name) = input.staged() {
                counts.insert(name, counted);
            }
        }
        let parts = audits.iter().map(|audit| {
            let is_remote = audit.gates.iter().all(|lake| project.layout(lake).is_remote());
            let files = tables.iter().flat_map(|table| table.files_for(audit));
            (audit.name.clone(), engine.task_parts(is_remote, 1, files))
        });
        let parts = parts.collect();
        let session = session(engine, project, tables, audits).await?;
        let mut plans = HashMap::new();
        for audit in audits {
            let counts = audit.reads.staging.first().and_then(|name| counts.get(name.as_str()));
            let plan = audit.plan(&session, project, counts.copied().unwrap_or_default()).await?;
            plans.insert(audit.name.clone(), plan);
        }
        Ok(Self { session, plans, parts })
    }

    /// Runs one audit; also gives the bytes that it put on disk for want of memory.
    async fn audit(&self, audit: &Audit<'_>, records: &Records) -> Result<(Verdict, u64)> {
        let started = Instant::now();
        let nothing = || Error::NotPlanned { table: audit.name.clone() };
        let (plan, ledger) =
            (self.plans.get(&audit.name).ok_or_else(nothing)?, records.ledger(audit).ok_or_else(nothing)?);
        let query = DataFrame::new(self.session.state(), plan.clone());
        let (rows, spilled) = self.count(query.clone()).await.map_err(unwrap_engine)?;
        let at = ledger.layout().audit_rows(&audit.name);
        let (mut sample, mut rows_at) = (Vec::new(), None);
        if rows == 0 {
            if records.has_rows(audit) {
                ledger.remove_file(&at).await?;
            }
        } else {
            let first = query.limit(0, Some(ROWS_KEPT)).map_err(unwrap_engine)?;
            let schema = Arc::clone(first.schema().inner());
            let found = first.collect().await.map_err(unwrap_engine)?;
            let found = concat_batches(found.first().map_or(&schema, RecordBatch::schema_ref), &found);
            let found = found
                .and_then(|found| RecordBatch::try_new(distinct_names(found.schema_ref()), found.columns().to_vec()));
            let found = found.map_err(|error| Error::Engine(error.into()))?;
            ledger.write_file(&at, parquet(&found, &at)?.into()).await?;
            sample.push(found.slice(0, ROWS_TOLD.min(found.num_rows())));
            rows_at = Some(at.to_string());
        }
        let seconds = started.elapsed().as_secs_f64();
        let (audit, tables) = (audit.name.clone(), audit.tables());
        Ok((Verdict { audit, tables, rows, seconds, ran: true, sample, rows_at }, spilled))
    }

    /// Rows of a query, and bytes that counting them put on disk.
    async fn count(&self, query: DataFrame) -> Result<(u64, u64), DataFusionError> {
        let counted = query.aggregate(Vec::new(), vec![count_all()])?.create_physical_plan().await?;
        let counts = collect(Arc::clone(&counted), self.session.task_ctx()).await?;
        let rows = counts.iter().filter_map(|counts| sum(counts.column(0).as_primitive::<Int64Type>())).sum::<i64>();
        Ok((rows.unsigned_abs(), bytes_spilled(&operators(&counted))))
    }
}

/// A file has no qualifiers: of two columns `id`, as a join gives them, the second is called `id_2`.
fn distinct_names(schema: &Schema) -> SchemaRef {
    let mut names: Vec<String> = Vec::new();
    let fields = schema.fields().iter().map(|field| {
        let mut name = field.name().clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        names.push(name.clone());
        field.as_ref().clone().with_name(name).with_nullable(true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn parquet(rows: &RecordBatch, at: &Location) -> Result<Vec<u8>> {
    let failed = |source| Error::Parquet { uri: at.to_string(), source };
    // Readers that do not know the engine's own forms of text see text.
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, rows.schema(), options).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn columns_of_one_name_are_numbered_past_those_that_have_the_number() {
        let field = |name: &&str| Field::new(*name, DataType::Int64, false);
        let schema = Schema::new(["id", "id", "id_2", "id"].iter().map(field).collect::<Vec<_>>());
        let names: Vec<String> = distinct_names(&schema).fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["id", "id_2", "id_2_2", "id_3"]);
    }
}
