//! From files to a [`Project`]: reads the config and its model files, resolves each statement, compares them.
//!
//! What one statement means on its own is in `settings`, `tables` and `external`. This module alone reads config
//! files, and alone sees that a name is taken twice or that two tables would write to one place. The first mistake ends
//! it, as an [`Error::Config`] at its place.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::external;
use super::keys::bad_value;
use super::settings::Settings;
use super::tables::{self, LakeTable, SnapshotTable, View};
use super::text::parse;
use super::texts::{ConfigText, ConfigTexts};
use super::wildcard::{EVERY, ListedExport, expand};
use super::written::WrittenSettings;
use crate::config::text::statement::{PlacedText, Statement, StatementKind};
use crate::config::text::variables::Variables;
use crate::error::redact::REDACTOR;
use crate::error::{ConfigError, Error, Position, Result, nearest};
use crate::layout::{Location, TableLayout};

/// A config with everything resolved: defaults applied, paths absolute, names folded.
#[derive(Debug, Clone)]
pub struct Project {
    /// SET snaplake.*
    pub settings: Settings,
    /// CREATE EXTERNAL TABLE snapshot.*, in the order of the files.
    pub snapshots: Vec<SnapshotTable>,
    /// CREATE TABLE lake.* AS SELECT, in the order of the files; at least one.
    pub lakes: Vec<LakeTable>,
    /// Lake tables that [`Project::select_tables`] left out: audits of the others may read what is staged of them.
    pub unselected: Vec<LakeTable>,
    /// CREATE VIEW: audits (schema `audit`) and helpers (no schema), in the order of the files.
    pub views: Vec<View>,
    /// The first statement: where mistakes without a place of their own are reported.
    pub(crate) start: Position,
    /// What all this was read from.
    pub(crate) texts: Arc<ConfigTexts>,
}

/// One file of SQL, parsed.
struct SqlSource {
    base: PathBuf,
    statements: Vec<Statement>,
}

/// Reads a config file and the model files it names. Values of the environment in their queries are secrets from then
/// on (`crate::error::redact`).
///
/// # Errors
/// [`Error::ReadConfig`] and [`Error::NotUtf8`] for a file; [`Error::Config`] for everything that is wrong in one;
/// [`Error::UnusedVariable`] for a value that no file asks for.
pub fn load(path: &Path, variables: &Variables) -> Result<Project> {
    let name: Arc<str> = path.display().to_string().into();
    let mut used = BTreeSet::new();
    let mut texts = ConfigTexts { variables: variables.named.clone(), ..ConfigTexts::default() };
    let mut read = |path: &Path, name: &Arc<str>| {
        let text = read(path, name)?;
        let base = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let statements = parse::parse(&text.text, name, variables, &mut used)?;
        texts.files.push(text);
        Ok::<_, Error>(SqlSource { base, statements })
    };
    let mut sources = vec![read(path, &name)?];
    if let Some(models) = models(&sources[0]) {
        for model in model_files(models, &sources[0].base, path)? {
            let name: Arc<str> = tidy(&model).display().to_string().into();
            sources.push(read(&model, &name)?);
        }
    }
    learn_secrets(&sources);
    if let Some((name, nearest)) = variables.unused(&used) {
        return Err(Error::UnusedVariable { name: name.to_owned(), config: path.display().to_string(), nearest });
    }
    resolve(sources, Position { file: name, line: 1, column: 1 }, texts.into())
}

/// Reads a project from texts that [`load`] has read elsewhere; values of the environment are those of this process.
///
/// # Errors
/// [`Error::Config`] for everything that is wrong in one.
pub fn load_texts(texts: &Arc<ConfigTexts>) -> Result<Project> {
    let variables = Variables { named: texts.variables.clone(), ..Variables::default() };
    let mut used = BTreeSet::new();
    let read = |file: &ConfigText| {
        let name: Arc<str> = file.name.as_str().into();
        let statements = parse::parse(&file.text, &name, &variables, &mut used)?;
        Ok(SqlSource { base: file.folder.clone(), statements })
    };
    let sources = texts.files.iter().map(read).collect::<Result<Vec<_>>>()?;
    learn_secrets(&sources);
    let file = texts.files.first().map_or("", |file| file.name.as_str()).into();
    resolve(sources, Position { file, line: 1, column: 1 }, Arc::clone(texts))
}

/// Whatever goes wrong from here on may quote values of the environment.
fn learn_secrets(sources: &[SqlSource]) {
    for statement in sources.iter().flat_map(|source| &source.statements) {
        match &statement.kind {
            StatementKind::CreateLakeTable(table) => REDACTOR.learn(&table.query.secrets),
            StatementKind::CreateView(view) => REDACTOR.learn(&view.query.secrets),
            _ => {}
        }
    }
}

fn read(path: &Path, name: &Arc<str>) -> Result<ConfigText> {
    let failed = |source| Error::ReadConfig { path: name.to_string(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::NotUtf8 { path: name.to_string(), offset: error.utf8_error().valid_up_to() })?;
    ConfigText::new(name, path, text).map_err(failed)
}

/// The glob of a config, if it has one.
fn models(config: &SqlSource) -> Option<&PlacedText> {
    config.statements.iter().find_map(|statement| match &statement.kind {
        StatementKind::SetVariable(set) if set.key.text == "snaplake.models" => Some(&set.value),
        _ => None,
    })
}

/// The files that a glob matches, by name, without the config itself.
fn model_files(models: &PlacedText, base: &Path, config: &Path) -> Result<Vec<PathBuf>> {
    let bad = || bad_value("snaplake.models", models, "a glob of local files, such as '../sql/*.sql'");
    if models.text.contains("://") {
        return Err(bad());
    }
    let pattern = match base.to_str() {
        Some("") => models.text.clone(),
        Some(_) if Path::new(&models.text).is_absolute() => models.text.clone(),
        Some(base) => format!("{}/{}", glob::Pattern::escape(base), models.text),
        None => return Err(bad()),
    };
    // Editors leave hidden copies next to a file.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let config = std::fs::canonicalize(config).ok();
    let mut files = Vec::new();
    for found in glob::glob_with(&pattern, options).map_err(|_| bad())? {
        let file = found
            .map_err(|error| Error::ReadConfig { path: error.path().display().to_string(), source: error.into() })?;
        if file.is_file() && std::fs::canonicalize(&file).ok() != config {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(ConfigError::NoModels { pattern: tidy(Path::new(&pattern)).display().to_string() }.at(&models.at));
    }
    files.sort();
    Ok(files)
}

/// A path without `a/..`, for messages only: where `a` is a link, it may name another file.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

fn resolve(sources: Vec<SqlSource>, top: Position, texts: Arc<ConfigTexts>) -> Result<Project> {
    let start = sources.iter().flat_map(|source| &source.statements).map(|statement| statement.at.clone()).next();
    let start = start.unwrap_or(top);
    let mut written = WrittenSettings::default();
    let mut rest = Vec::new();
    for SqlSource { base, statements } in sources {
        for Statement { at, kind } in statements {
            match kind {
                StatementKind::SetVariable(set) => written.add(set, &base)?,
                kind => rest.push((at, kind, base.clone())),
            }
        }
    }
    let settings = written.resolve(&start)?;
    let mut project = Project {
        settings,
        snapshots: Vec::new(),
        lakes: Vec::new(),
        unselected: Vec::new(),
        views: Vec::new(),
        start,
        texts: Arc::clone(&texts),
    };
    let mut names: Vec<(String, Position)> = Vec::new();
    for (at, kind, base) in expand(rest, &texts.exports)? {
        let (what, name) = match kind {
            StatementKind::CreateExternalTable(statement) => {
                let mut table = external::snapshot_table(&at, *statement, &base)?;
                if let Some(export) = &table.export {
                    if let Some(database) = &export.database {
                        table.locations = vec![(project.settings.database_export(database), at.clone())];
                    }
                    if let Some((_, first)) = export.merged.first() {
                        table.locations = vec![(project.settings.merged_export(&table.name), first.clone())];
                    }
                }
                let name = format!("snapshot.{}", table.name);
                project.snapshots.push(table);
                ("table", name)
            }
            StatementKind::CreateLakeTable(statement) => {
                let table = tables::lake_table(&at, *statement, &base, &written)?;
                let name = format!("lake.{}", table.name);
                project.lakes.push(table);
                ("table", name)
            }
            StatementKind::CreateView(statement) => {
                let view = tables::view(&at, *statement)?;
                let name = view.full_name();
                project.views.push(view);
                ("view", name)
            }
            // Settings were taken out above.
            StatementKind::SetVariable(_) => continue,
        };
        if let Some((_, first)) = names.iter().find(|(other, _)| *other == name) {
            return Err(ConfigError::Duplicate { kind: what, name, first: first.clone() }.at(&at));
        }
        names.push((name, at));
    }
    if project.lakes.is_empty() {
        return Err(ConfigError::NoLakeTables.at(&project.start));
    }
    project.check_locations()?;
    Ok(project)
}

impl Project {
    /// Keeps only the lake tables with these names, as `--table` gives them, with or without `lake.`.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchTable`] for a name that no lake table has.
    pub fn select_tables(&mut self, names: &[String]) -> Result<()> {
        let bare = |name: &String| name.strip_prefix("lake.").unwrap_or(name).to_owned();
        let names: Vec<String> = names.iter().map(bare).collect();
        for name in &names {
            if !self.lakes.iter().any(|lake| lake.name == *name) {
                let nearest = nearest(name, self.lakes.iter().map(|lake| lake.name.as_str()));
                return Err(ConfigError::NoSuchTable { name: name.clone(), nearest }.at(&self.start));
            }
        }
        let (selected, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.lakes).into_iter().partition(|lake| names.contains(&lake.name));
        self.lakes = selected;
        self.unselected.extend(others);
        Ok(())
    }

    /// The snapshot table of this bare name.
    #[must_use]
    pub fn snapshot(&self, name: &str) -> Option<&SnapshotTable> {
        self.snapshots.iter().find(|table| table.name == name)
    }

    /// All lake tables, whether selected or not.
    pub fn all_lakes(&self) -> impl Iterator<Item = &LakeTable> {
        self.lakes.iter().chain(&self.unselected)
    }

    /// The snapshot tables `snapshot."*"`, whose exports have to be listed.
    pub(crate) fn wildcards(&self) -> impl Iterator<Item = &SnapshotTable> {
        self.snapshots.iter().filter(|table| table.name == EVERY && table.export.is_some())
    }

    /// The same project with a table for each one of these exports, in place of `snapshot."*"` and `lake."*"`.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub(crate) fn with_exports(&self, exports: Vec<ListedExport>) -> Result<Self> {
        load_texts(&Arc::new(ConfigTexts { exports, ..ConfigTexts::clone(&self.texts) }))
    }

    /// The paths of one lake table.
    pub(crate) fn layout(&self, lake: &LakeTable) -> TableLayout {
        self.layout_at(lake, &self.settings.snapshot_time)
    }

    /// The paths of one lake table of another snapshot.
    pub(crate) fn layout_at(&self, lake: &LakeTable, snapshot_time: &str) -> TableLayout {
        let Settings { database, schema, staging, datalake, snapshot_folder, .. } = &self.settings;
        let external = lake.external_location.as_ref();
        let time = (snapshot_folder, snapshot_time);
        TableLayout::new(staging, datalake, (database, schema, &lake.name), time, external)
    }

    /// Whether each table writes to places of its own.
    fn check_locations(&self) -> Result<()> {
        let layouts: Vec<TableLayout> = self.lakes.iter().map(|lake| self.layout(lake)).collect();
        for (index, (lake, layout)) in self.lakes.iter().zip(&layouts).enumerate() {
            let others = self.lakes.iter().zip(&layouts).take(index);
            if let Some((other, _)) = others.clone().find(|(_, other)| other.lake().overlaps(layout.lake())) {
                let (table, other) = (lake.name.clone(), other.name.clone());
                let location = layout.lake().to_string();
                return Err(ConfigError::OverlappingLocation { table, location, other }.at(&lake.at));
            }
            let taken = |action, location: &Location, holder: String| {
                let (table, location) = (lake.name.clone(), location.to_string());
                ConfigError::LocationTaken { table, action, location, holder }.at(&lake.at)
            };
            // All roots lie below one folder: those of other tables may be met by the lake only.
            if let Some(root) = layouts.iter().map(TableLayout::root).find(|root| root.overlaps(layout.lake())) {
                return Err(taken("published to", layout.lake(), format!("the staging folder {root}")));
            }
            let is_running = |table: &&SnapshotTable| table.export.as_ref().is_some_and(|of| of.database.is_some());
            for snapshot in self.snapshots.iter().filter(|table| !is_running(table)) {
                // A glob says exactly which files it means; a folder means all that is ever put into it.
                let whole = |location: &&Location| !location.raw_key().contains(['*', '?', '[']);
                let merged = snapshot.export.as_ref().map(|export| &export.merged).filter(|merged| !merged.is_empty());
                let read = merged.unwrap_or(&snapshot.locations);
                for location in read.iter().map(|(location, _)| location).filter(whole) {
                    let holder = || format!("snapshot.{} at {location}", snapshot.name);
                    if location.overlaps(layout.lake()) {
                        return Err(taken("published to", layout.lake(), holder()));
                    }
                    if location.overlaps(layout.root()) {
                        return Err(taken("staged in", layout.root(), holder()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A project from one text, with `/repo/configs` as the folder of its file.
#[cfg(test)]
pub(super) fn from_text(text: &str) -> Result<Project> {
    let file: Arc<str> = "a.sql".into();
    let statements = parse::parse(text, &file, &Variables::default(), &mut BTreeSet::new())?;
    let sources = vec![SqlSource { base: "/repo/configs".into(), statements }];
    resolve(sources, Position { file, line: 1, column: 1 }, Arc::default())
}
