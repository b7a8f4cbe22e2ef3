//! Plans the first step of one table: which files, which schema, which SELECT, which groups.
//!
//! ```text
//! planned before?  yes: the snapshot manifest says everything; the config must still say the same
//!                  no:  discover files -> resolve schemas -> check the SELECT -> pack groups
//!                       -> write group manifests -> commit the snapshot manifest (that is the plan)
//! ```
//!
//! Two planners at once: the one that loses at the commit takes over the winner's plan. A plan never changes once it is
//! committed; a config that no longer fits it is an error, not a new plan, unless nothing is staged or the user asks
//! for one (`replan`).

mod details;
mod frozen;
pub mod grouping;
pub mod groups;
mod identity;
mod relations;
mod select;
mod stored;

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{SecondsFormat, Utc};
use datafusion::arrow::datatypes::Schema;
use tokio::sync::OnceCell;

pub use self::details::{Environment, GroupDetails, PACKING, PlanDetails, PlannedSource, SchemaText};
use self::details::{plan_id, result_id};
use self::groups::Groups;
pub(crate) use self::identity::declared_text;
use self::identity::{EMPTY_PARTITION, ICEBERG, held, ordering_text, plain_text, select_text};
pub(crate) use self::relations::{Relations, register_helpers, register_views, relations};
use self::select::output_schema;
pub(crate) use self::select::{bind, physical_plan};
use crate::config::{ColumnSet, LakeTable, Project, Settings, StoredColumn, plan_select};
use crate::error::{Error, Result, difference};
use crate::lake::LakeColumns;
use crate::layout::Step;
use crate::layout::bundle::BUNDLES;
use crate::manifest::fingerprint;
use crate::manifest::owner::FolderOwner;
use crate::manifest::{Commit, FileEntry, Ledger, Manifest, trace};
use crate::session::Engine;
use crate::snapshot::{Discovered, FileListTable, Own, PeekSlots, ScanSize, TableFiles, discover, register};

/// What the tasks of one table have in common.
#[derive(Debug, Clone)]
pub struct PlanHead {
    /// As configured.
    pub lake: LakeTable,
    /// Its manifests.
    pub ledger: Ledger,
    /// What was or would be committed, without the files.
    pub details: PlanDetails,
}

impl PlanHead {
    /// Columns of the lake table: those in the files, and those in the path.
    ///
    /// # Errors
    /// As [`SchemaText::decode`].
    pub fn columns(&self) -> Result<LakeColumns> {
        LakeColumns::new(self.details.output_schema.decode()?.as_ref(), &self.lake)
    }
}

/// The planned first step of one table, with the files of all groups.
#[derive(Debug, Clone)]
pub struct StagePlan {
    /// Also for tasks that outlive this.
    pub head: Arc<PlanHead>,
    /// Files per group; group `n` is at `n - 1`.
    pub groups: Groups,
    /// Whether the plan is in the store.
    pub committed: bool,
    /// Whether another plan is in the store whose place this one takes; nothing may be staged of it then.
    pub replaces: bool,
    /// Stamp of the plan that stood when this one was made.
    pub(crate) stamp: Option<String>,
    /// Whose its staging folder is.
    pub(crate) owner: FolderOwner,
}

impl Deref for StagePlan {
    type Target = PlanHead;

    fn deref(&self) -> &PlanHead {
        &self.head
    }
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

/// Plans tables of one project, several at once if asked to; looks at each snapshot table once.
#[derive(Debug)]
pub struct Planner<'a> {
    engine: &'a Engine,
    project: &'a Project,
    looks: PeekSlots,
    /// The folders that the config writes to, once they were looked up.
    own: OnceLock<Arc<Own>>,
    found: Mutex<HashMap<String, Arc<OnceCell<Arc<Discovered>>>>>,
    /// Lake tables by the snapshot tables that they read.
    readers: OnceLock<HashMap<String, Vec<&'a str>>>,
    /// Lake tables that need no snapshot files any more.
    planned: Mutex<HashSet<String>>,
}

impl<'a> Planner<'a> {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(engine: &'a Engine, project: &'a Project) -> Self {
        Self {
            engine,
            project,
            looks: PeekSlots::new(engine.parallel_tasks()),
            own: OnceLock::new(),
            found: Mutex::default(),
            readers: OnceLock::new(),
            planned: Mutex::default(),
        }
    }

    /// The committed plan of `lake`, or a new one that is not committed: there is none, or the config has changed since
    /// and nothing is staged yet.
    ///
    /// # Errors
    /// All mistakes of config and snapshot; [`Error::PlanChanged`] when the committed plan is of another config.
    pub async fn plan(&self, lake: &LakeTable) -> Result<StagePlan> {
        let changed = match self.committed(lake).await {
            Ok(Some(plan)) => {
                lock(&self.planned).insert(lake.name.clone());
                return Ok(plan);
            }
            Ok(None) => None,
            Err(error @ Error::PlanChanged { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        let ledger = ledger(self.engine, self.project, lake).await?;
        let stamp = if changed.is_some() { ledger.plan_stamp().await? } else { None };
        if let Some(error) = changed
            && !ledger.done(Step::StagingFileGroups).await?.is_empty()
        {
            return Err(error);
        }
        let new = self.new_plan(lake).await?;
        Ok(self.not_committed(lake, ledger, new, stamp))
    }

    /// A new plan of `lake`, whatever was planned before. What was staged of that has to be given up before this one is
    /// committed.
    ///
    /// # Errors
    /// All mistakes of config and snapshot.
    pub async fn plan_anew(&self, lake: &LakeTable) -> Result<StagePlan> {
        let ledger = ledger(self.engine, self.project, lake).await?;
        let stamp = ledger.plan_stamp().await?;
        let new = self.new_plan(lake).await?;
        Ok(self.not_committed(lake, ledger, new, stamp))
    }

    fn not_committed(
        &self,
        lake: &LakeTable,
        ledger: Ledger,
        (details, groups): (PlanDetails, Groups),
        stamp: Option<String>,
    ) -> StagePlan {
        let (replaces, owner) = (stamp.is_some(), owner_of_staging(self.project, lake));
        let head = PlanHead { lake: lake.clone(), ledger, details }.into();
        StagePlan { head, groups, committed: false, replaces, stamp, owner }
    }

    /// The committed plan of `lake`, if there is one and the config still says the same.
    ///
    /// # Errors
    /// [`Error::PlanChanged`]; those of the ledger.
    pub async fn committed(&self, lake: &LakeTable) -> Result<Option<StagePlan>> {
        let ledger = ledger(self.engine, self.project, lake).await?;
        let manifest = ledger.read::<PlanDetails>(&ledger.layout().snapshot_manifest()).await?;
        let Some(manifest) = manifest else { return Ok(None) };
        self.check_still(&ledger, &manifest.details, lake).await?;
        of_manifest(self.project, lake, ledger, manifest).map(Some)
    }

    /// Refuses a config that no longer says what the committed plan was made from; the error says what is published.
    ///
    /// # Errors
    /// [`Error::PlanChanged`]; those of the ledger.
    pub(crate) async fn check_still(&self, ledger: &Ledger, details: &PlanDetails, lake: &LakeTable) -> Result<()> {
        let checked = self.check_unchanged(details, lake);
        if let Err(Error::PlanChanged { table, planned_at, what, change, .. }) = checked {
            let published = ledger.done(Step::DatalakeFileGroups).await?.len();
            return Err(Error::PlanChanged { table, planned_at, what, change, published });
        }
        checked
    }

    async fn new_plan(&self, lake: &LakeTable) -> Result<(PlanDetails, Groups)> {
        let settings = &self.project.settings;
        let relations = relations(self.project, &lake.query)?;
        let mut all = HashMap::new();
        for name in &relations.snapshots {
            if let Some(found) = self.look_up(name).await? {
                all.insert(name.as_str(), found);
            }
        }
        let session = self.engine.task_session([]).await?;
        for (name, found) in &all {
            let empty = TableFiles {
                name: found.table.name.clone(),
                format: found.table.format.clone(),
                schema: Arc::clone(&found.table.schema),
                partition: found.table.partition.clone(),
                null_invalid: ColumnSet::None,
                files: Vec::new(),
            };
            register(&session, "snapshot", name, FileListTable::of_export(empty, ScanSize::AsListed))?;
        }
        register_views(&session, self.project, &relations.views).await?;
        let select = plan_select(&session.state(), self.project, lake).await?;
        let planned_at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let output = output_schema(&select, lake, &planned_at)?;
        let missing = |name: &str| Error::NotPlanned { table: name.to_owned() };
        let mut whole = Vec::new();
        for name in &select.reads_whole {
            let found = all.get(name.as_str()).ok_or_else(|| missing(name))?;
            whole.push((self.source(found)?, found.table.files.clone()));
        }
        let driving = all.remove(select.driving.as_str()).ok_or_else(|| missing(&select.driving))?;
        let (source, files) = (self.source(&driving)?, fingerprint(&driving.table.files));
        let groups = Groups::pack(self.take_files(lake, driving), lake.file_group_size);
        let held = held(self.project, lake)?;
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
            snapshot_folder: settings.snapshot_folder.form().map(str::to_owned),
            planned_at,
            select: select_text(self.project, lake)?,
            environment: Environment::of(&held)?,
            ordering: ordering_text(lake),
            file_group_size: lake.file_group_size.to_string(),
            groups: groups.len(),
            columns: output.fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect(),
            output_schema: SchemaText::encode(&output)?,
            nanoseconds: unasked_nanoseconds(&output, &select.columns),
            driving: source,
            whole,
        };
        details.result = result_id(&details, &files, select.plan, &held)?;
        details.id = plan_id(&details, &files)?;
        Ok((details, groups))
    }

    /// The files of a lake table's driving table, which are kept only for lake tables that are planned later: a list of
    /// a million is not in memory twice without need.
    fn take_files(&self, lake: &LakeTable, driving: Arc<Discovered>) -> Vec<FileEntry> {
        let name = driving.table.name.as_str();
        let readers = self.readers.get_or_init(|| self.readers()).get(name);
        let mut planned = lock(&self.planned);
        planned.insert(lake.name.clone());
        if readers.is_none_or(|readers| readers.iter().all(|other| planned.contains(*other))) {
            lock(&self.found).remove(name);
        }
        Arc::try_unwrap(driving).map_or_else(|shared| shared.table.files.clone(), |found| found.table.files)
    }

    fn readers(&self) -> HashMap<String, Vec<&'a str>> {
        let mut readers: HashMap<String, Vec<&str>> = HashMap::new();
        for lake in &self.project.lakes {
            // What is wrong with a SELECT is reported when its table is planned.
            for name in relations(self.project, &lake.query).unwrap_or_default().snapshots {
                readers.entry(name).or_default().push(&lake.name);
            }
        }
        readers
    }

    /// The files of a snapshot table, looked up once.
    ///
    /// # Errors
    /// Those of discovery.
    pub async fn find(&self, name: &str) -> Result<Option<TableFiles>> {
        Ok(self.look_up(name).await?.map(|found| found.table.clone()))
    }

    async fn look_up(&self, name: &str) -> Result<Option<Arc<Discovered>>> {
        let Some(table) = self.project.snapshot(name) else { return Ok(None) };
        let cell = Arc::clone(lock(&self.found).entry(name.to_owned()).or_default());
        let found = cell.get_or_try_init(|| async {
            let own = self.own.get_or_init(|| Arc::new(Own::of(self.project)));
            let found = discover(self.engine.stores(), own, table, &self.looks).await?;
            if found.table.schema.fields().is_empty() && found.table.partition.is_empty() {
                return Err(Error::EmptyFiles { table: name.to_owned() });
            }
            tracing::debug!(table = name, files = found.table.files.len(), "looked up snapshot files");
            Ok(Arc::new(found))
        });
        found.await.map(|found| Some(Arc::clone(found)))
    }

    fn source(&self, Discovered { table, coverage }: &Discovered) -> Result<PlannedSource> {
        Ok(PlannedSource {
            table: table.name.clone(),
            format: table.format.clone(),
            schema: SchemaText::encode(&table.schema)?,
            partition: if table.partition.is_empty() {
                None
            } else {
                Some(SchemaText::encode(&Schema::new(table.partition.clone()))?)
            },
            null_invalid: table.null_invalid.clone(),
            declared: declared_text(self.project, &table.name)?,
            coverage: coverage.clone(),
        })
    }

    /// Refuses a plan of another table or snapshot: a staging folder may be a copy of another one.
    ///
    /// # Errors
    /// [`Error::PlanChanged`].
    pub(crate) fn check_identity(&self, details: &PlanDetails, lake: &LakeTable) -> Result<()> {
        let settings = &self.project.settings;
        let all = [
            ("database", &details.database, &settings.database),
            ("schema", &details.schema, &settings.schema),
            ("table", &details.table, &lake.name),
            ("snapshot_time", &details.snapshot_time, &settings.snapshot_time),
        ];
        let differing = all.into_iter().find(|(_, before, after)| before != after);
        differing.map_or(Ok(()), |(what, before, after)| Err(changed(details, what, before, after)))
    }

    /// Refuses a config that no longer says what the committed plan was made from; what is published is not looked up.
    ///
    /// # Errors
    /// [`Error::PlanChanged`].
    pub fn check_unchanged(&self, details: &PlanDetails, lake: &LakeTable) -> Result<()> {
        // What is in an environment variable is not shown.
        let unshown = |what| changed(details, what, "", "");
        let changed = |what, before: &str, after: &str| changed(details, what, before, after);
        self.check_identity(details, lake)?;
        let held = held(self.project, lake)?;
        match &details.environment {
            // An earlier version kept the values.
            None if !held.is_empty() => {
                if details.select != plain_text(self.project, lake)? {
                    return Err(unshown("SELECT"));
                }
                let variables: Vec<&str> = held.iter().map(|held| held.variable.as_str()).collect();
                let variables = variables.join(", ");
                tracing::warn!(
                    table = lake.name,
                    "an earlier version wrote the value of {variables} into the plan; --replan takes it out"
                );
            }
            environment => {
                let select = select_text(self.project, lake)?;
                if details.select != select {
                    return Err(changed("SELECT", &details.select, &select));
                }
                if environment.as_ref().is_some_and(|environment| !environment.is_of(&held)) {
                    return Err(unshown("SELECT"));
                }
                if environment.as_ref().and_then(|environment| environment.changed(&held)).is_some() {
                    return Err(unshown("value of an environment variable that the SELECT reads"));
                }
            }
        }
        let ordering = ordering_text(lake);
        if details.ordering != ordering {
            let (without, _) = details.ordering.split_once(EMPTY_PARTITION).unwrap_or((&details.ordering, ""));
            let same = ordering.split(EMPTY_PARTITION).next() == Some(without);
            let is_format = || details.ordering.contains(ICEBERG) != ordering.contains(ICEBERG);
            let what = match same {
                true => "empty_partition",
                false if is_format() => "format",
                false => "partitioned_by or sorted_by",
            };
            return Err(changed(what, &details.ordering, &ordering));
        }
        let size = lake.file_group_size.to_string();
        if details.file_group_size != size {
            return Err(changed("file_group_size", &details.file_group_size, &size));
        }
        if details.packing != PACKING {
            let what = "version of snaplake, which has another way of packing files into groups";
            return Err(changed(what, &details.packing.to_string(), &PACKING.to_string()));
        }
        let sources = details.whole.iter().map(|(source, _)| source).chain([&details.driving]);
        for source in sources {
            let declared = declared_text(self.project, &source.table)?;
            if source.declared != declared {
                return Err(changed("CREATE EXTERNAL TABLE", &source.declared, &declared));
            }
        }
        Ok(())
    }
}

fn changed(details: &PlanDetails, what: &'static str, before: &str, after: &str) -> Error {
    Error::PlanChanged {
        table: details.table.clone(),
        planned_at: details.planned_at.clone(),
        what,
        change: difference(before, after),
        published: 0,
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
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
    let lake = engine.stores().open(layout.lake()).await?;
    Ok(Ledger::new(store, layout).with_lake_store(lake).with_single_writer(project.settings.single_writer))
}

/// What the file at the root of its staging folder says.
pub(crate) fn owner_of_staging(project: &Project, lake: &LakeTable) -> FolderOwner {
    let Settings { database, schema, snapshot_time, .. } = &project.settings;
    FolderOwner::of_staging((database, schema, &lake.name), snapshot_time, &project.start.file)
}

/// What the file at the root of the lake of a plan says.
pub(crate) fn owner_of_lake(
    project: &Project,
    lake: &LakeTable,
    plan: &PlanDetails,
    properties: String,
) -> FolderOwner {
    owner_of_staging(project, lake).of_lake(&plan.result, properties)
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
    plan.ledger.claim(&plan.owner).await?;
    if plan.replaces {
        trace::refuse_running(&plan.ledger, &plan.lake.name).await?;
        plan.ledger.check_stamp(&plan.lake.name, &plan.stamp).await?;
        // First, since a summary beside the data of another plan would be neither.
        plan.ledger.revoke(&target).await?;
    }
    write_groups(&plan).await?;
    let manifest = Manifest { files: plan.groups.take_files(), statistics: Vec::new(), details: plan.details.clone() };
    let committed = plan.ledger.commit_first(&target, &manifest).await;
    plan.groups.put_back(manifest.files);
    match committed {
        Ok(Commit::New) => Ok(StagePlan { committed: true, replaces: false, stamp: None, ..plan }),
        Ok(Commit::Already) | Err(Error::CommitConflict { .. }) => {
            tracing::warn!(table = plan.lake.name, "another run committed its plan first; going on with that plan");
            let theirs = plan.ledger.read::<PlanDetails>(&target).await?;
            let theirs = theirs.ok_or_else(|| Error::NotPlanned { table: plan.lake.name.clone() })?;
            let theirs = committed_plan(&plan.lake, plan.ledger.clone(), plan.owner.clone(), theirs)?;
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

/// The plan of a committed manifest, whatever the config says now.
///
/// # Errors
/// [`Error::Damaged`] when its files do not make its groups.
pub(crate) fn of_manifest(
    project: &Project,
    lake: &LakeTable,
    ledger: Ledger,
    manifest: Manifest<PlanDetails>,
) -> Result<StagePlan> {
    committed_plan(lake, ledger, owner_of_staging(project, lake), manifest)
}

fn committed_plan(
    lake: &LakeTable,
    ledger: Ledger,
    owner: FolderOwner,
    manifest: Manifest<PlanDetails>,
) -> Result<StagePlan> {
    let groups = Groups::pack(manifest.files, lake.file_group_size);
    if groups.len() != manifest.details.groups {
        return Err(Error::Manifest {
            uri: ledger.layout().snapshot_manifest().data.to_string(),
            reason: format!("its files make {} groups, its summary says {}", groups.len(), manifest.details.groups),
        });
    }
    let details = manifest.details;
    let lake = lake.clone();
    let head = PlanHead { lake, ledger, details }.into();
    Ok(StagePlan { head, groups, committed: true, replaces: false, stamp: None, owner })
}
