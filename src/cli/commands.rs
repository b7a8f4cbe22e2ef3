//! One short function per subcommand: arguments become options, the library does the work, the report shows what came
//! of it.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{
    Command, EngineArguments, ExpireArguments, InitArguments, QueryArguments, Removal, ReportArguments, SpecArguments,
    TaskArguments,
};
use super::print::{PageOptions, Report, RowFormat, RowOptions};
use crate::config::{Project, Variables, load};
use crate::error::unwrap_engine;
use crate::error::{Error, Result, TaskStep};
use crate::init::{InitOptions, init};
use crate::inspect::StatusReader;
use crate::inspect::diff::{DiffOptions, diff};
use crate::inspect::lineage::{Options, gather};
use crate::inspect::query::QuerySession;
use crate::inspect::snapshots::snapshots;
use crate::pipeline::clean::{self, CleanOptions};
use crate::pipeline::expire::{self, ExpireRule};
use crate::pipeline::repair::repair;
use crate::pipeline::replan::{PublishedTables, replan};
use crate::pipeline::{Pipeline, TableReport, TaskSpec};
use crate::session::{Engine, EngineOptions, Stores};
use crate::snapshot::exports::every_table::with_every_table;

/// How often a watch looks.
const WATCH_TIME: Duration = Duration::from_secs(2);

/// Runs a subcommand; its result goes to the report.
pub(super) async fn run(command: &Command, report: &Arc<Report>) -> Result<()> {
    match command {
        Command::Init(arguments) => return init_config(arguments, report).await,
        Command::Task(arguments) => return specs(arguments, report).await,
        _ => {}
    }
    let Some(options) = command.options() else { return Ok(()) };
    let variables = Variables { named: options.variables.iter().cloned().collect(), ..Variables::default() };
    let mut project = load(&options.config, &variables)?;
    let engine = engine(&project, &options.engine);
    project = with_every_table(project, engine.stores()).await?;
    if !options.tables.is_empty() {
        project.select_tables(&options.tables)?;
    }
    if matches!(command, Command::Publish { fail_fast: true, .. } | Command::Run { fail_fast: true, .. }) {
        project.settings.fail_fast = true;
    }
    let pipeline = Pipeline::new(project, engine, Arc::clone(report) as _);
    let requests = || pipeline.engine().stores().requests();
    match command {
        Command::Plan { explain, .. } => plan(&pipeline, report, &options.config, *explain).await,
        Command::Stage { task: TaskArguments { print_tasks: true, .. }, .. } => {
            report.specs(&pipeline.stage_specs().await?)
        }
        Command::Publish { task: TaskArguments { print_tasks: true, .. }, .. } => {
            report.specs(&pipeline.publish_specs().await?)
        }
        Command::Stage { task: TaskArguments { group: Some(group), .. }, .. } => {
            one_task(&pipeline, report, TaskStep::Stage, *group).await
        }
        Command::Publish { task: TaskArguments { group: Some(group), .. }, .. } => {
            one_task(&pipeline, report, TaskStep::Publish, *group).await
        }
        Command::Stage { .. } => {
            pipeline.stage().await?;
            report.statuses(&pipeline.status().await?);
            Ok(())
        }
        Command::Audit { .. } => pipeline.audit().await.map(|verdicts| report.audits(&verdicts)),
        Command::Publish { .. } => {
            let tables = pipeline.publish().await?;
            report.tables(&tables, &requests());
            all_was_read(&tables)
        }
        Command::Run { replan: is_new, withdraw, .. } => {
            if *is_new {
                replan(&pipeline, if *withdraw { PublishedTables::Withdraw } else { PublishedTables::Keep }).await?;
            }
            let tables = pipeline.run().await?;
            report.tables(&tables, &requests());
            all_was_read(&tables)
        }
        Command::Status { watch, .. } => status(&pipeline, report, *watch).await,
        Command::Snapshots { .. } => snapshots(&pipeline).await.map(|views| report.snapshots(&views)),
        Command::Diff { against, key, samples, .. } => {
            let options = DiffOptions { against: against.clone(), key: key.clone(), samples: *samples };
            Box::pin(diff(&pipeline, &options)).await.map(|diffs| report.diffs(&diffs, against))
        }
        Command::Validate { deep, .. } => {
            pipeline.validate(*deep).await.map(|tables| report.validations(&tables, &requests()))
        }
        Command::Drop { snapshot, removal, .. } => {
            drop_snapshots(&pipeline, report, &ExpireRule::Named(snapshot.clone()), *removal).await
        }
        Command::Expire { rule: ExpireArguments { keep, older_than }, removal, .. } => {
            let rule = match (keep, older_than) {
                (_, Some(age)) => ExpireRule::OlderThan(*age),
                (keep, None) => ExpireRule::Keep(keep.unwrap_or(usize::MAX)),
            };
            drop_snapshots(&pipeline, report, &rule, *removal).await
        }
        Command::Clean { removal, staging, older_than, .. } => {
            let options = CleanOptions { staging: *staging, older_than: *older_than };
            remove_garbage(&pipeline, report, options, *removal).await
        }
        Command::Repair { .. } => repair(&pipeline).await.map(|repairs| report.repairs(&repairs)),
        Command::Query { query: options, .. } => query(&pipeline, report, options).await,
        Command::Report { page: options, .. } => page(&pipeline, report, options).await,
        Command::Init(_) | Command::Task(_) | Command::Completions { .. } => Ok(()),
    }
}

/// Refuses to call it a success that files which may have rows were not read.
fn all_was_read(tables: &[TableReport]) -> Result<()> {
    let files = tables.iter().map(|table| table.files_left_out).sum();
    let example = tables.iter().find_map(|table| table.left_out.clone());
    example.map_or(Ok(()), |example| Err(Error::FilesLeftOut { files, example }))
}

async fn init_config(arguments: &InitArguments, report: &Arc<Report>) -> Result<()> {
    let engine = Arc::new(Engine::new(Stores::default(), EngineOptions::default()));
    let options = InitOptions {
        location: arguments.location.clone(),
        output: arguments.output.clone(),
        database: arguments.database.clone(),
        schema: arguments.schema.clone(),
        snapshot_time: arguments.snapshot_time.clone(),
        force: arguments.force,
    };
    let found = Box::pin(init(&engine, &options)).await?;
    report.initialized(&found, &engine.stores().requests());
    let not_read = || found.ignored.iter().filter(|ignored| ignored.may_have_rows);
    let files = not_read().map(|ignored| ignored.files).sum();
    let example = not_read().map(|ignored| ignored.example.clone()).next();
    example.map_or(Ok(()), |example| Err(Error::FilesOfNoTable { files, example }))
}

async fn plan(pipeline: &Arc<Pipeline>, report: &Report, config: &Path, explain: bool) -> Result<()> {
    let plans = pipeline.plan().await?;
    let views = pipeline.plan_views(&plans, explain).await?;
    report.plans(&views, config);
    Ok(())
}

async fn status(pipeline: &Arc<Pipeline>, report: &Report, watch: bool) -> Result<()> {
    let mut reader = StatusReader::new(pipeline);
    if !watch {
        report.statuses(&reader.read().await?);
        return Ok(());
    }
    let mut watch = report.watch();
    loop {
        let statuses = reader.read().await?;
        if !report.watched(&mut watch, &statuses) || statuses.iter().all(|status| status.complete) {
            return Ok(());
        }
        tokio::time::sleep(WATCH_TIME).await;
    }
}

async fn remove_garbage(
    pipeline: &Arc<Pipeline>,
    report: &Report,
    options: CleanOptions,
    Removal { remove, yes }: Removal,
) -> Result<()> {
    let found = clean::find(pipeline, options).await?;
    if !remove || found.is_empty() {
        report.garbage(&found, false);
        return Ok(());
    }
    if !yes {
        report.garbage(&found, false);
        if !is_confirmed(report, "remove these files?")? {
            return Ok(());
        }
    }
    let removed = clean::remove(pipeline, options, &found).await?;
    if yes {
        report.garbage(&removed, true);
    } else {
        report.removed(&removed);
    }
    Ok(())
}

fn is_confirmed(report: &Report, question: &str) -> Result<bool> {
    if std::io::stdin().is_terminal() { Ok(report.confirm(question)) } else { Err(Error::NotConfirmed) }
}

async fn drop_snapshots(
    pipeline: &Arc<Pipeline>,
    report: &Report,
    rule: &ExpireRule,
    Removal { remove, yes }: Removal,
) -> Result<()> {
    let found = expire::find(pipeline, rule).await?;
    if !yes || found.is_empty() {
        report.expired(&found, false);
    }
    if !remove || found.is_empty() || (!yes && !is_confirmed(report, "drop these snapshots?")?) {
        return Ok(());
    }
    let removed = expire::remove(pipeline, rule, &found).await?;
    if yes {
        report.expired(&removed, true);
    } else {
        report.dropped(&removed);
    }
    Ok(())
}

async fn one_task(pipeline: &Arc<Pipeline>, report: &Report, step: TaskStep, group: usize) -> Result<()> {
    let [lake] = pipeline.project().lakes.as_slice() else {
        return Err(Error::GroupNeedsTable { count: pipeline.project().lakes.len() });
    };
    let spec = TaskSpec::new(pipeline.project(), &lake.name, step, group);
    report.task(&pipeline.run_task(&spec).await?);
    Ok(())
}

/// Runs tasks that `--print-tasks` printed, one after the other.
async fn specs(arguments: &SpecArguments, report: &Arc<Report>) -> Result<()> {
    let text = match arguments.file.as_os_str() == "-" {
        true => read_text("standard input", || std::io::read_to_string(std::io::stdin()))?,
        false => read_text(&arguments.file.display().to_string(), || std::fs::read_to_string(&arguments.file))?,
    };
    let specs = text.lines().filter(|line| !line.trim().is_empty()).map(TaskSpec::from_json);
    let specs = specs.collect::<Result<Vec<_>>>()?;
    // Tasks of one project, which most are, share its stores.
    for of_project in specs.chunk_by(|a, b| a.config == b.config) {
        let project = of_project[0].project()?;
        let engine = engine(&project, &arguments.engine);
        let pipeline = Pipeline::new(project, engine, Arc::clone(report) as _);
        for spec in of_project {
            report.task(&pipeline.run_task(spec).await?);
        }
    }
    Ok(())
}

fn engine(project: &Project, options: &EngineArguments) -> Engine {
    let stores = Stores::new(project.settings.s3.clone()).with_durability(project.settings.durability);
    let threads = options.threads.map(usize::from);
    Engine::new(stores, EngineOptions { memory_limit: options.memory_limit, threads })
}

async fn query(pipeline: &Arc<Pipeline>, report: &Report, query: &QueryArguments) -> Result<()> {
    let by_ending = || query.output.as_deref().and_then(RowFormat::of_file).unwrap_or(RowFormat::Table);
    let format = query.format.unwrap_or_else(by_ending);
    let options = RowOptions { format, output: query.output.clone(), max_rows: query.maxrows };
    let is_input = query.file.as_ref().is_some_and(|file| file.as_os_str() == "-");
    let sql = match &query.file {
        _ if !query.commands.is_empty() => Some(query.commands.join(";\n")),
        Some(file) if !is_input => Some(read_text(&file.display().to_string(), || std::fs::read_to_string(file))?),
        None if std::io::stdin().is_terminal() => None,
        _ => Some(read_text("standard input", || std::io::read_to_string(std::io::stdin()))?),
    };
    let Some(sql) = sql else {
        let session = QuerySession::open(pipeline).await?;
        return report.shell(&session, &options).await;
    };
    // Mistakes are reported before anything is looked up.
    let statements = QuerySession::parse(&sql).map_err(unwrap_engine)?;
    let session = QuerySession::open(pipeline).await?;
    report.query(&session, statements, &options).await
}

async fn page(pipeline: &Arc<Pipeline>, report: &Report, page: &ReportArguments) -> Result<()> {
    let options =
        PageOptions { format: page.format, output: page.output.clone(), openlineage: page.openlineage.clone() };
    options.check()?;
    // No event has the estimates.
    let is_shown = options.output.is_some() || options.openlineage.is_none();
    let lineage = Box::pin(gather(pipeline, Options { distinct: is_shown && !page.no_distinct })).await?;
    report.lineage(&lineage, &options).await
}

fn read_text(name: &str, read: impl FnOnce() -> std::io::Result<String>) -> Result<String> {
    read().map_err(|source| Error::Io { action: format!("reading {name}"), source })
}
