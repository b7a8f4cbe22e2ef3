//! Plans the first step of one table: which files, which schema, which SELECT, which groups.
//!
//! ```text
//! planned before?  yes: the snapshot manifest says everything; the config must still say the same
//!                  no:  discover files -> resolve schemas -> check the SELECT -> pack groups
//!                       -> write group manifests -> commit the snapshot manifest (that is the plan)
//! ```
//!
//! Two planners at once: the one that loses at the commit takes over the winner's plan. A plan never changes once it is
//! committed; a config that no longer fits it is an error, not a new plan, unless nothing is staged or the user asks for one
//! (`replan`).

mod details;
mod relations;
mod said;
mod select;
mod stored;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use datafusion::arrow::datatypes::Schema;

pub use self::details::{GroupDetails, PACKING, PlanDetails, SchemaText, Source};
use self::details::{plan_id, result_id};
pub(crate) use self::relations::{Relations, register_helpers, register_views, relations};
pub(crate) use self::said::declared_text;
use self::said::{EMPTY_PARTITION, ordering_text, select_text};
use self::select::output_schema;
pub(crate) use self::select::{bind, physical_plan};
use super::groups::Groups;
use crate::bundle::BUNDLES;
use crate::config::{LakeTable, Project, StoredColumn, plan_select};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::codec::fingerprint;
use crate::manifest::{Commit, FileEntry, Ledger, Manifest};
use crate::session::Engine;
use crate::snapshot::{Coverage, Discovered, FileListTable, Own, Size, TableFiles, discover, register};
use crate::write::LakeColumns;

/// The planned first step of one table.
#[derive(Debug, Clone)]
pub struct StagePlan {
    /// As configured.
    pub lake: LakeTable,
    /// Its manifests.
    pub ledger: Ledger,
    /// What was or would be committed.
    pub details: PlanDetails,
    /// Files per group; group `n` is at `n - 1`.
    pub groups: Groups,
    /// Whether the plan is in the store.
    pub committed: bool,
    /// Whether another plan is in the store whose place this one takes; nothing may be staged of it then.
    pub replaces: bool,
}

impl StagePlan {
    /// Bytes of all snapshot files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.groups.files().iter().map(|file| file.size).sum()
    }

    /// Number of snapshot files.
    #[must_use]
    pub fn files(&self) -> usize {
        self.groups.files().len()
    }

    /// Columns of the lake table: those in the files, and those in the path.
    ///
    /// # Errors
    /// As [`SchemaText::decode`].
    pub fn columns(&self) -> Result<LakeColumns> {
        LakeColumns::new(self.details.output_schema.decode()?.as_ref(), &self.lake)
    }

    /// A snapshot table as it was planned, with its files; `None` if the SELECT does not read it.
    ///
    /// # Errors
    /// As [`SchemaText::decode`].
    pub fn source(&self, name: &str) -> Result<Option<TableFiles>> {
        let whole = self.details.whole.iter().map(|(source, files)| (source, files.as_slice()));
        let mut all = whole.chain([(&self.details.driving, self.groups.files())]);
        all.find(|(source, _)| source.table == name).map(|(source, files)| source.table_files(files)).transpose()
    }
}

/// Plans tables of one project; looks at each snapshot table once.
#[derive(Debug)]
pub struct Planner<'a> {
    engine: &'a Engine,
    project: &'a Project,
    found: HashMap<String, TableFiles>,
    covered: HashMap<String, Coverage>,
    /// The folders that the config writes to, once they were looked up.
    own: Option<Arc<Own>>,
}

impl<'a> Planner<'a> {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(engine: &'a Engine, project: &'a Project) -> Self {
        Self { engine, project, found: HashMap::new(), covered: HashMap::new(), own: None }
    }

    /// The committed plan of `lake`, or a new one that is not committed: there is none, or the config has changed since
    /// and nothing is staged yet.
    ///
    /// # Errors
    /// All mistakes of config and snapshot; [`Error::PlanChanged`] when the committed plan is of another config.
    pub async fn plan(&mut self, lake: &LakeTable) -> Result<StagePlan> {
        let changed = match self.committed(lake).await {
            Ok(Some(plan)) => return Ok(plan),
            Ok(None) => None,
            Err(error @ Error::PlanChanged { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        let ledger = ledger(self.engine, self.project, lake).await?;
        let replaces = match changed {
            Some(error) if !ledger.done(Step::StagingFileGroups).await?.is_empty() => return Err(error),
            changed => changed.is_some(),
        };
        let (details, groups) = self.new_plan(lake).await?;
        Ok(StagePlan { lake: lake.clone(), ledger, details, groups, committed: false, replaces })
    }

    /// A new plan of `lake`, whatever was planned before. What was staged of that has to be given up before this one is
    /// committed.
    ///
    /// # Errors
    /// All mistakes of config and snapshot.
    pub async fn plan_anew(&mut self, lake: &LakeTable) -> Result<StagePlan> {
        let ledger = ledger(self.engine, self.project, lake).await?;
        let replaces = ledger.is_committed(&ledger.layout().snapshot_manifest()).await?;
        let (details, groups) = self.new_plan(lake).await?;
        Ok(StagePlan { lake: lake.clone(), ledger, details, groups, committed: false, replaces })
    }

    /// The committed plan of `lake`, if there is one and the config still says the same.
    ///
    /// # Errors
    /// [`Error::PlanChanged`]; those of the ledger.
    pub async fn committed(&self, lake: &LakeTable) -> Result<Option<StagePlan>> {
        let ledger = ledger(self.engine, self.project, lake).await?;
        let manifest = ledger.read::<PlanDetails>(&ledger.layout().snapshot_manifest()).await?;
        let Some(manifest) = manifest else { return Ok(None) };
        if let Err(mut error) = self.check_unchanged(&manifest.details, lake) {
            if let Error::PlanChanged { published, .. } = &mut error {
                *published = ledger.done(Step::DatalakeFileGroups).await?.len();
            }
            return Err(error);
        }
        committed_plan(lake, ledger, manifest).map(Some)
    }

    async fn new_plan(&mut self, lake: &LakeTable) -> Result<(PlanDetails, Groups)> {
        let settings = &self.project.settings;
        let relations = relations(self.project, &lake.query)?;
        for name in &relations.snapshots {
            self.find(name).await?;
        }
        let session = self.engine.task_session([]).await?;
        for name in &relations.snapshots {
            if let Some(found) = self.found.get(name) {
                let empty = TableFiles {
                    name: found.name.clone(),
                    format: found.format.clone(),
                    schema: Arc::clone(&found.schema),
                    partition: found.partition.clone(),
                    files: Vec::new(),
                };
                register(&session, "snapshot", name, FileListTable::of_export(empty, Size::AsListed))?;
            }
        }
        register_views(&session, self.project, &relations.views).await?;
        let select = plan_select(&session.state(), self.project, lake).await?;
        let planned_at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let output = output_schema(&select, lake, &planned_at)?;
        let missing = |name: &str| Error::NotPlanned { table: name.to_owned() };
        let driving = self.found.get(&select.driving).ok_or_else(|| missing(&select.driving))?;
        let mut whole = Vec::new();
        for name in &select.reads_whole {
            let table = self.found.get(name).ok_or_else(|| missing(name))?;
            whole.push((self.source(table)?, table.files.clone()));
        }
        let (source, files) = (self.source(driving)?, fingerprint(&driving.files));
        let groups = Groups::pack(self.take_files(lake, &select.driving)?, lake.file_group_size);
        let mut details = PlanDetails {
            id: String::new(),
            result: String::new(),
            run_bytes: self.engine.run_bytes(),
            bundles: BUNDLES,
            packing: PACKING,
            database: settings.database.clone(),
            schema: settings.schema.clone(),
            table: lake.name.clone(),
            snapshot_time: settings.snapshot_time.clone(),
            planned_at,
            select: select_text(self.project, lake)?,
            ordering: ordering_text(lake),
            file_group_size: lake.file_group_size.to_string(),
            groups: groups.len(),
            columns: output.fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect(),
            output_schema: SchemaText::encode(&output)?,
            nanoseconds: unasked_nanoseconds(&output, &select.columns),
            driving: source,
            whole,
        };
        details.result = result_id(&details, &files, select.plan)?;
        details.id = plan_id(&details, &files)?;
        Ok((details, groups))
    }

    /// The files of a lake table's driving table, which are kept only for later lake tables: a list of a million is not
    /// in memory twice without need.
    fn take_files(&mut self, lake: &LakeTable, driving: &str) -> Result<Vec<FileEntry>> {
        for later in self.project.lakes.iter().skip_while(|other| other.name != lake.name).skip(1) {
            if relations(self.project, &later.query)?.snapshots.iter().any(|name| name == driving) {
                return Ok(self.found.get(driving).map_or_else(Vec::new, |table| table.files.clone()));
            }
        }
        Ok(self.found.remove(driving).map_or_else(Vec::new, |table| table.files))
    }

    /// The files of a snapshot table, looked up once.
    ///
    /// # Errors
    /// Those of discovery.
    pub async fn find(&mut self, name: &str) -> Result<Option<&TableFiles>> {
        let Some(table) = self.project.snapshot(name) else { return Ok(None) };
        if !self.found.contains_key(name) {
            let own = self.own.get_or_insert_with(|| Arc::new(Own::of(self.project)));
            let discovered = discover(self.engine.stores(), own, table, self.engine.parallel_tasks()).await?;
            let Discovered { table, coverage } = discovered;
            if table.schema.fields().is_empty() && table.partition.is_empty() {
                return Err(Error::EmptyFiles { table: name.to_owned() });
            }
            tracing::debug!(table = name, files = table.files.len(), "looked up snapshot files");
            self.found.insert(name.to_owned(), table);
            self.covered.insert(name.to_owned(), coverage);
        }
        Ok(self.found.get(name))
    }

    fn source(&self, table: &TableFiles) -> Result<Source> {
        Ok(Source {
            table: table.name.clone(),
            format: table.format.clone(),
            schema: SchemaText::encode(&table.schema)?,
            partition: if table.partition.is_empty() {
                None
            } else {
                Some(SchemaText::encode(&Schema::new(table.partition.clone()))?)
            },
            declared: declared_text(self.project, &table.name),
            coverage: self.covered.get(&table.name).cloned().unwrap_or_default(),
        })
    }

    /// Refuses a config that no longer says what the committed plan was made from; what is published is not looked up.
    ///
    /// # Errors
    /// [`Error::PlanChanged`].
    pub fn check_unchanged(&self, details: &PlanDetails, lake: &LakeTable) -> Result<()> {
        let (table, planned_at) = (&lake.name, &details.planned_at);
        let changed =
            |what| Error::PlanChanged { table: table.clone(), planned_at: planned_at.clone(), what, published: 0 };
        if details.select != select_text(self.project, lake)? {
            return Err(changed("SELECT"));
        }
        if details.ordering != ordering_text(lake) {
            let (without, _) = details.ordering.split_once(EMPTY_PARTITION).unwrap_or((&details.ordering, ""));
            let same = ordering_text(lake).split(EMPTY_PARTITION).next() == Some(without);
            return Err(changed(if same { "empty_partition" } else { "partitioned_by or sorted_by" }));
        }
        if details.file_group_size != lake.file_group_size.to_string() {
            return Err(changed("file_group_size"));
        }
        if details.packing != PACKING {
            return Err(changed("version of snaplake, which has another way of packing files into groups"));
        }
        let sources = details.whole.iter().map(|(source, _)| source).chain([&details.driving]);
        for source in sources {
            if source.declared != declared_text(self.project, &source.table) {
                return Err(changed("CREATE EXTERNAL TABLE"));
            }
        }
        Ok(())
    }
}

/// Names of the columns whose nanoseconds come from files.
fn unasked_nanoseconds(output: &Schema, columns: &[StoredColumn]) -> Vec<String> {
    let columns = output.fields().iter().zip(columns).filter(|(_, column)| column.unasked_nanoseconds);
    columns.map(|(field, _)| field.name().clone()).collect()
}

/// The manifests of a lake table.
///
/// # Errors
/// Those of opening the staging store.
pub async fn ledger(engine: &Engine, project: &Project, lake: &LakeTable) -> Result<Ledger> {
    let layout = project.layout(lake);
    let store = engine.stores().open(layout.root()).await?;
    Ok(Ledger::new(store, layout).with_single_writer(project.settings.single_writer))
}

/// The committed plan without its files, for a single task.
///
/// # Errors
/// [`Error::NotPlanned`]; those of [`Ledger::head`].
pub async fn committed_head(ledger: &Ledger, table: &str) -> Result<PlanDetails> {
    let head = ledger.head::<PlanDetails>(&ledger.layout().snapshot_manifest()).await?;
    head.map(|(_, details)| details).ok_or_else(|| Error::NotPlanned { table: table.to_owned() })
}

/// Writes group manifests, then commits the plan. If somebody else committed first, theirs is the plan.
///
/// # Errors
/// Those of the ledger.
pub async fn commit(mut plan: StagePlan) -> Result<StagePlan> {
    if plan.committed {
        return Ok(plan);
    }
    let target = plan.ledger.layout().snapshot_manifest();
    if plan.replaces {
        // First, since a summary beside the data of another plan would be neither.
        plan.ledger.revoke(&target).await?;
    }
    write_groups(&plan).await?;
    let manifest = Manifest { files: plan.groups.take_files(), statistics: Vec::new(), details: plan.details.clone() };
    let committed = plan.ledger.commit_first(&target, &manifest).await;
    plan.groups.put_back(manifest.files);
    match committed {
        Ok(Commit::New) => Ok(StagePlan { committed: true, replaces: false, ..plan }),
        Ok(Commit::Already) | Err(Error::CommitConflict { .. }) => {
            tracing::warn!(table = plan.lake.name, "another run committed its plan first; going on with that plan");
            let theirs = plan.ledger.read::<PlanDetails>(&target).await?;
            let theirs = theirs.ok_or_else(|| Error::NotPlanned { table: plan.lake.name.clone() })?;
            let theirs = committed_plan(&plan.lake, plan.ledger, theirs)?;
            write_groups(&theirs).await?;
            Ok(theirs)
        }
        Err(error) => Err(error),
    }
}

async fn write_groups(plan: &StagePlan) -> Result<()> {
    let manifests = (1..).zip(plan.groups.iter()).map(|(group, files)| {
        let details = GroupDetails { table: plan.lake.name.clone(), group, plan: plan.details.id.clone() };
        (group, Manifest::new(files.cloned().collect(), details))
    });
    plan.ledger.write_all(Step::SnapshotFileGroups, manifests).await
}

fn committed_plan(lake: &LakeTable, ledger: Ledger, manifest: Manifest<PlanDetails>) -> Result<StagePlan> {
    let groups = Groups::pack(manifest.files, lake.file_group_size);
    if groups.len() != manifest.details.groups {
        return Err(Error::Manifest {
            uri: ledger.layout().snapshot_manifest().data.to_string(),
            reason: format!("its files make {} groups, its summary says {}", groups.len(), manifest.details.groups),
        });
    }
    Ok(StagePlan { lake: lake.clone(), ledger, details: manifest.details, groups, committed: true, replaces: false })
}
