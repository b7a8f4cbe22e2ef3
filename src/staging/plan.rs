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

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::catalog::view::ViewTable;
use datafusion::common::TableReference;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::prelude::{Expr, SessionContext};
use datafusion::sql::parser::Statement as DFStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::groups::Groups;
use crate::config::{FileFormat, LakeTable, Project, Select, freeze_now, plan_select, plan_view};
use crate::error::{Error, Result};
use crate::group::by_name;
use crate::layout::Step;
use crate::manifest::codec::fingerprint;
use crate::manifest::{Commit, FileEntry, Ledger, Manifest};
use crate::session::Engine;
use crate::snapshot::{FileListTable, Size, TableFiles, discover, register};
use crate::write::LakeColumns;

/// What the snapshot manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDetails {
    /// Hash of all that follows and of the files: what tasks of this plan say that they belong to.
    pub id: String,
    /// Hash of what decides the rows of the lake and their order: unlike `id` the same for the same snapshot and config,
    /// whoever planned it.
    pub result: String,
    /// Most bytes of a sorted run, in memory.
    pub run_bytes: u64,
    /// Database, schema and table.
    pub database: String,
    /// Schema in the path.
    pub schema: String,
    /// Lake table.
    pub table: String,
    /// Time of the snapshot.
    pub snapshot_time: String,
    /// When this was planned: what `now()` is in the SELECT, for every task and retry.
    pub planned_at: String,
    /// The SELECT, printed, with the helper views that it reads.
    pub select: String,
    /// `partitioned_by` and `sorted_by`.
    pub ordering: String,
    /// Bytes per group, or `all`.
    pub file_group_size: String,
    /// Number of file groups.
    pub groups: usize,
    /// Which way of packing files into groups made them: see [`PACKING`].
    #[serde(default)]
    pub packing: u32,
    /// Columns of the lake table with their types, for people.
    pub columns: Vec<(String, String)>,
    /// Columns of the lake table, exactly.
    pub output_schema: SchemaText,
    /// Snapshot table whose files the groups hold.
    pub driving: Source,
    /// Snapshot tables that every task reads whole, with their files.
    pub whole: Vec<(Source, Vec<FileEntry>)>,
}

/// Number of the way in which [`Groups`] packs files. A plan's groups are packed again by whoever works on it, so a change of
/// that way is a new number: files must not be staged twice, nor be left out.
pub const PACKING: u32 = 1;

/// A snapshot table as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Bare name.
    pub table: String,
    /// How files are decoded.
    pub format: FileFormat,
    /// Merged or declared schema.
    pub schema: SchemaText,
    /// What the config said: locations and declared columns.
    pub declared: String,
}

impl Source {
    /// The table over some of its files.
    fn table_files(&self, files: &[FileEntry]) -> Result<TableFiles> {
        let (name, format) = (self.table.clone(), self.format.clone());
        Ok(TableFiles { name, format, schema: self.schema.decode()?, files: files.to_vec() })
    }
}

/// An Arrow schema as base64 of an IPC stream without batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaText(String);

impl SchemaText {
    fn encode(schema: &Schema) -> Result<Self> {
        let mut bytes = Vec::new();
        let written = StreamWriter::try_new(&mut bytes, schema).and_then(|mut writer| writer.finish());
        written.map_err(|error| Error::Engine(error.into()))?;
        Ok(Self(BASE64_STANDARD.encode(bytes)))
    }

    /// The schema.
    ///
    /// # Errors
    /// [`Error::Manifest`] when the text is not such a schema.
    pub fn decode(&self) -> Result<SchemaRef> {
        let wrong = |reason: String| Error::Manifest { uri: "details.schema".to_owned(), reason };
        let bytes = BASE64_STANDARD.decode(&self.0).map_err(|error| wrong(error.to_string()))?;
        let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(|error| wrong(error.to_string()))?;
        Ok(reader.schema())
    }
}

/// What a snapshot file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupDetails {
    /// Lake table.
    pub table: String,
    /// Number of this group, from 1.
    pub group: usize,
    /// [`PlanDetails::id`] of the plan that it is a part of.
    pub plan: String,
}

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
}

impl<'a> Planner<'a> {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(engine: &'a Engine, project: &'a Project) -> Self {
        Self { engine, project, found: HashMap::new() }
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
        self.check_unchanged(&manifest.details, lake)?;
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
                    files: Vec::new(),
                };
                register(&session, "snapshot", name, FileListTable::new(empty, Vec::new(), Size::AsListed))?;
            }
        }
        register_views(&session, self.project, &relations.views).await?;
        let select = plan_select(&session.state(), self.project, lake).await?;
        let planned_at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let output = output_plan(select.plan.clone(), &planned_at, false)?.schema().as_arrow().clone();
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
            let files = discover(self.engine.stores(), table, self.engine.parallel_tasks()).await?;
            tracing::debug!(table = name, files = files.files.len(), "looked up snapshot files");
            self.found.insert(name.to_owned(), files);
        }
        Ok(self.found.get(name))
    }

    fn source(&self, table: &TableFiles) -> Result<Source> {
        Ok(Source {
            table: table.name.clone(),
            format: table.format.clone(),
            schema: SchemaText::encode(&table.schema)?,
            declared: declared_text(self.project, &table.name),
        })
    }

    /// Refuses a config that no longer says what the committed plan was made from.
    ///
    /// # Errors
    /// [`Error::PlanChanged`].
    pub fn check_unchanged(&self, details: &PlanDetails, lake: &LakeTable) -> Result<()> {
        let (table, planned_at) = (&lake.name, &details.planned_at);
        let changed = |what| Error::PlanChanged { table: table.clone(), planned_at: planned_at.clone(), what };
        if details.select != select_text(self.project, lake)? {
            return Err(changed("SELECT"));
        }
        if details.ordering != ordering_text(lake) {
            return Err(changed("partitioned_by or sorted_by"));
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

fn result_id(details: &PlanDetails, files: &str, select: LogicalPlan) -> Result<String> {
    // What was planned when makes a difference only where the SELECT says now().
    let fixed = |at: &str| Ok::<_, Error>(freeze(select.clone(), at)?.display_indent().to_string());
    let says_now = fixed("2000-01-01T00:00:00Z")? != fixed("2001-02-03T04:05:06Z")?;
    let planned_at = if says_now { details.planned_at.clone() } else { String::new() };
    plan_id(&PlanDetails { run_bytes: 0, planned_at, ..details.clone() }, files)
}

fn plan_id(details: &PlanDetails, files: &str) -> Result<String> {
    let text = serde_json::to_vec(details)
        .map_err(|source| Error::DecodeManifest { uri: "details".to_owned(), source: source.into() })?;
    let hash = Md5::new().chain_update(files).chain_update(text).finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

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
        let table = ViewTable::new(plan, Some(view.query.to_string()));
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

/// The SELECT with `now()` fixed.
fn freeze(plan: LogicalPlan, planned_at: &str) -> Result<LogicalPlan> {
    let at = DateTime::parse_from_rfc3339(planned_at)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| Error::Manifest { uri: "details.planned_at".to_owned(), reason: error.to_string() })?;
    freeze_now(plan, at)
}

/// The SELECT with `now()` fixed and its columns in types that every Parquet reader knows. With `views` text may stay in the
/// engine's own form, which the Parquet writer takes for text.
pub(crate) fn output_plan(plan: LogicalPlan, planned_at: &str, views: bool) -> Result<LogicalPlan> {
    let plan = freeze(plan, planned_at)?;
    let columns: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .zip(plan.schema().fields())
        .map(|(column, field)| {
            let name = field.name().clone();
            let is_view = matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView);
            match stored_type(field.data_type()) {
                Some(stored) if !(views && is_view) => cast(Expr::Column(column), stored).alias(name),
                _ => Expr::Column(column).alias(name),
            }
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// The type to store instead, if there is one that more readers know.
fn stored_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Utf8View | DataType::Null => Some(DataType::Utf8),
        DataType::BinaryView => Some(DataType::Binary),
        DataType::Dictionary(_, values) => Some(stored_type(values).unwrap_or_else(|| values.as_ref().clone())),
        _ => None,
    }
}

/// What the config says of a snapshot table: locations and declared columns.
pub(crate) fn declared_text(project: &Project, name: &str) -> String {
    project.snapshot(name).map_or_else(String::new, |table| {
        let locations: Vec<String> = table.locations.iter().map(|(location, _)| location.uri()).collect();
        format!("{} {:?} {:?}", locations.join(" "), table.format, table.declared)
    })
}

fn select_text(project: &Project, lake: &LakeTable) -> Result<String> {
    let mut text = lake.query_text.clone();
    for name in relations(project, &lake.query)?.views {
        if let Some(view) = project.views.iter().find(|view| view.schema.is_none() && view.name == name) {
            text.push_str(&format!("; {name}: {}", view.query));
        }
    }
    Ok(text)
}

fn ordering_text(lake: &LakeTable) -> String {
    let partitions: Vec<&str> = lake.partitioned_by.iter().map(|(name, _)| name.as_str()).collect();
    let keys: Vec<String> = lake
        .sorted_by
        .iter()
        .map(|(key, _)| {
            let direction = if key.descending { "DESC" } else { "ASC" };
            let nulls = if key.nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
            format!("{} {direction} {nulls}", key.column)
        })
        .collect();
    format!("partitioned_by [{}] sorted_by [{}]", partitions.join(", "), keys.join(", "))
}

/// Binds a committed plan's tables in a session: the driving one to `files`, the others whole.
///
/// # Errors
/// Those of sessions and of planning the SELECT.
pub(crate) async fn bind(
    engine: &Engine,
    project: &Project,
    lake: &LakeTable,
    details: &PlanDetails,
    files: &[FileEntry],
) -> Result<(SessionContext, Select)> {
    let whole = details.whole.iter().flat_map(|(_, files)| files);
    let session = engine.task_session(files.iter().chain(whole)).await?;
    let mut driving = details.driving.table_files(files)?;
    // Rows mostly stand in the order in which an export numbered its files.
    driving.files.sort_by(|one, other| by_name(&one.uri, &other.uri));
    let driving = FileListTable::new(driving, Vec::new(), Size::Driving);
    register(&session, "snapshot", &details.driving.table, driving)?;
    for (source, files) in &details.whole {
        let whole = FileListTable::new(source.table_files(files)?, Vec::new(), Size::AsListed);
        register(&session, "snapshot", &source.table, whole)?;
    }
    register_views(&session, project, &relations(project, &lake.query)?.views).await?;
    let mut select = plan_select(&session.state(), project, lake).await?;
    select.plan = output_plan(select.plan, &details.planned_at, true)?;
    Ok((session, select))
}
