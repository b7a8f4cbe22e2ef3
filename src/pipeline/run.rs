//! The steps in order: plan, stage, audit, publish, validate; concurrency, resume and nothing else.
//!
//! All tables are planned and checked before the first file is written. Then all tables' tasks run, as many at once
//! as threads and memory allow; small ones that wait for a remote store count as a part of one. Nothing is published
//! before all audits have run, and nothing of a table that a failed one holds back. What is done is read from the
//! manifests, so a second run does what is missing. When a task fails, no further one is started, those under way are
//! finished (and committed), and the error of the first of them in order is returned.
//!
//! What is asked of every table (its plan, what of it is done, its proof) is asked of many tables at once, and reported
//! in the order of the config.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::event::{Event, Reporter};
use super::runner::TaskRunner;
use super::table_report::TableReport;
use super::under_way::Attempts;
use super::warning::Warning;
use crate::compaction::prepare::StagedGroup;
use crate::config::{LakeTable, Project};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::{FileEntry, TaskDetails};
use crate::session::Engine;
use crate::staging::plan::StagePlan;

/// A project, an engine to run it, and somebody to tell.
pub struct Pipeline {
    pub(crate) project: Project,
    pub(crate) engine: Arc<Engine>,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) attempts: Attempts,
    /// Where tasks run, if not in this process.
    pub(super) runner: Option<Arc<dyn TaskRunner>>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("project", &self.project).finish_non_exhaustive()
    }
}

/// Staging files per group of the tasks that this process ran.
pub(super) type Known = HashMap<usize, StagedGroup>;

/// A planned table and what this process staged of it.
pub(super) struct Table {
    pub(super) plan: Arc<StagePlan>,
    /// What is reported at the end, so that it is not lost above all else.
    pub(super) late: Vec<Warning>,
    pub(super) known: Known,
    pub(super) tasks: usize,
}

impl Pipeline {
    /// Puts the parts together; nothing is read yet.
    #[must_use]
    pub fn new(project: Project, engine: impl Into<Arc<Engine>>, reporter: Arc<dyn Reporter>) -> Arc<Self> {
        let engine = engine.into();
        Arc::new(Self { project, engine, reporter, attempts: Attempts::default(), runner: None })
    }

    /// The same, with tasks that run elsewhere.
    #[must_use]
    pub fn with_runner(
        project: Project,
        engine: impl Into<Arc<Engine>>,
        reporter: Arc<dyn Reporter>,
        runner: Arc<dyn TaskRunner>,
    ) -> Arc<Self> {
        let engine = engine.into();
        Arc::new(Self { project, engine, reporter, attempts: Attempts::default(), runner: Some(runner) })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Both steps of all tables with the audits between them, then validation.
    ///
    /// # Errors
    /// As [`Pipeline::stage`] and [`Pipeline::publish`].
    pub async fn run(self: &Arc<Self>) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let mut tables = self.stage_tables().await?;
        let late: Vec<_> =
            tables.iter_mut().map(|table| (Arc::clone(&table.plan), std::mem::take(&mut table.late))).collect();
        let published = self.publish_tables(tables, started).await;
        if matches!(&published, Err(error) if !matches!(error, Error::AuditsFailed { .. })) {
            return published;
        }
        late.iter().for_each(|(plan, late)| self.warn(&plan.lake.name, late));
        published
    }

    pub(super) fn warn<'a>(&self, table: &str, warnings: impl IntoIterator<Item = &'a Warning>) {
        for Warning { problem, advice, .. } in warnings {
            self.reporter.on(&Event::Warned { table, problem, advice });
        }
    }

    /// Tells the reporter.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.reporter.on(event);
    }

    pub(crate) fn lake(&self, name: &str) -> Result<&LakeTable> {
        self.project.lakes.iter().find(|lake| lake.name == name).ok_or_else(|| not_planned(name))
    }

    /// Reports a task that was committed.
    pub(super) fn report_task(
        &self,
        step: Step,
        lake: &LakeTable,
        group: usize,
        files: &[FileEntry],
        TaskDetails { rows_written, seconds, .. }: &TaskDetails,
    ) {
        let bytes = files.iter().map(|file| file.size).sum();
        let (rows, seconds) = (*rows_written, *seconds);
        tracing::info!(
            table = lake.name,
            step = step.task().name(),
            group,
            files = files.len(),
            bytes,
            rows,
            seconds,
            "task committed"
        );
        self.reporter.on(&Event::Task { table: &lake.name, step, group, files: files.len(), bytes, rows, seconds });
    }
}

pub(crate) fn not_planned(table: &str) -> Error {
    Error::NotPlanned { table: table.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A small job for the tests of what works on published tables: export, staging and lake in one store in memory.

    use std::sync::Mutex;

    use object_store::memory::InMemory;
    use object_store::path::Path as Key;
    use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
    use tempfile::TempDir;

    use super::*;
    use crate::config::{S3Settings, Variables, load};
    use crate::manifest::Ledger;
    use crate::session::{EngineOptions, Stores};
    use crate::staging::plan;

    /// One table with partitions, whose stage tasks read a file each.
    pub(crate) const TABLE: &str = "
        SET snaplake.verify = 'checksum';
        CREATE EXTERNAL TABLE snapshot.t (id INT, k VARCHAR, v VARCHAR)
        STORED AS CSV LOCATION 's3://b/export/' OPTIONS ('format.has_header' 'true');
        CREATE TABLE lake.t WITH (partitioned_by = ARRAY['k'], file_group_size = '1') AS
        SELECT id, k, v FROM snapshot.t;";

    /// Keeps the warnings.
    #[derive(Default)]
    struct Warnings(Mutex<Vec<String>>);

    impl Reporter for Warnings {
        fn on(&self, event: &Event<'_>) {
            if let Event::Warned { problem, .. } = event {
                self.0.lock().unwrap().push((*problem).to_owned());
            }
        }
    }

    pub(crate) struct Job {
        pub(crate) pipeline: Arc<Pipeline>,
        pub(crate) store: Arc<dyn ObjectStore>,
        warnings: Arc<Warnings>,
        _folder: TempDir,
    }

    impl Job {
        /// `tables` is the config without its settings; nothing is exported.
        pub(crate) fn new(tables: &str) -> Self {
            Self::over(Arc::new(InMemory::new()), tables, "2026-01-31T00:00:00Z")
        }

        /// [`TABLE`] over two files, published.
        pub(crate) async fn published() -> Self {
            let job = Self::new(TABLE);
            job.put("export/1.csv", "id,k,v\n1,a,x\n2,b,y\n").await;
            job.put("export/2.csv", "id,k,v\n3,a,z\n").await;
            job.pipeline.run().await.unwrap();
            job
        }

        /// Another config over what this job has written.
        pub(crate) fn again(&self, tables: &str, time: &str) -> Self {
            Self::over(Arc::clone(&self.store), tables, time)
        }

        fn over(store: Arc<dyn ObjectStore>, tables: &str, time: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let settings = format!(
                "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '{time}';
                 SET snaplake.staging = 's3://b/staging'; SET snaplake.datalake = 's3://b/lake';"
            );
            std::fs::write(folder.path().join("job.sql"), settings + tables).unwrap();
            let project = load(&folder.path().join("job.sql"), &Variables::default()).unwrap();
            let stores = Stores::new(S3Settings::default());
            stores.insert("s3://b", Arc::clone(&store));
            let engine = Engine::new(stores, EngineOptions { threads: Some(2), ..EngineOptions::default() });
            let warnings = Arc::new(Warnings::default());
            let reporter = Arc::clone(&warnings);
            Self { pipeline: Pipeline::new(project, engine, reporter), store, warnings, _folder: folder }
        }

        pub(crate) async fn put(&self, key: &str, content: impl Into<PutPayload>) {
            self.store.put(&Key::from(key), content.into()).await.unwrap();
        }

        pub(crate) async fn bytes(&self, key: &str) -> bytes::Bytes {
            self.store.get(&Key::from(key)).await.unwrap().bytes().await.unwrap()
        }

        pub(crate) async fn delete(&self, key: &str) {
            self.store.delete(&Key::from(key)).await.unwrap();
        }

        /// Keys that hold this text, in order.
        pub(crate) async fn keys(&self, text: &str) -> Vec<String> {
            use futures::TryStreamExt;
            let all: Vec<_> = self.store.list(None).try_collect().await.unwrap();
            let mut keys: Vec<String> = all.into_iter().map(|meta| meta.location.to_string()).collect();
            keys.retain(|key| key.contains(text));
            keys.sort_unstable();
            keys
        }

        /// Data files of the lake.
        pub(crate) async fn lake_files(&self) -> Vec<String> {
            let mut keys = self.keys("lake/d/").await;
            keys.retain(|key| key.starts_with("lake/") && key.ends_with(".parquet"));
            keys
        }

        pub(crate) fn lake(&self) -> &LakeTable {
            &self.pipeline.project.lakes[0]
        }

        /// That of the first table.
        pub(crate) async fn ledger(&self) -> Ledger {
            plan::ledger(&self.pipeline.engine, &self.pipeline.project, self.lake()).await.unwrap()
        }

        pub(crate) fn warnings(&self) -> Vec<String> {
            self.warnings.0.lock().unwrap().clone()
        }
    }
}
