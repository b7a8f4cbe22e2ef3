//! Writes the config and its models: all of them or none.
//!
//! Each file is written whole under a temporary name first, and read as a config before anything gets its name. A file
//! that exists is replaced only when that is asked for.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::config::{Variables, load};
use crate::error::{Error, Result};

/// Where the files of one config go.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// As the user named it.
    pub(super) config: PathBuf,
    /// Folder of the models, beside or near the config.
    pub(super) models: PathBuf,
}

impl Output {
    /// Models of `configs/shop.sql` go to `sql/shop`, those of `shop.sql` to `sql/shop` beside it.
    ///
    /// # Errors
    /// [`Error::OutputFile`] when the path names no file.
    pub(super) fn new(config: &Path, stem: &str) -> Result<Self> {
        let has_name = config.extension().is_some_and(|extension| extension == "sql") && !config.is_dir();
        if !has_name {
            return Err(Error::OutputFile { path: config.display().to_string() });
        }
        let models = project(config).join("sql").join(stem);
        Ok(Self { config: config.to_owned(), models })
    }

    /// Refuses to replace files, or to write beside models that the config would take in.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::ForeignModel`].
    pub(super) fn check(&self, force: bool) -> Result<()> {
        if self.config.exists() && !force {
            return Err(Error::OutputExists { path: self.config.display().to_string() });
        }
        if !force && let Some(found) = self.existing().into_iter().next() {
            return Err(Error::OutputExists { path: found.display().to_string() });
        }
        Ok(())
    }

    /// The models that are there.
    fn existing(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.models).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "sql")).collect();
        found.sort();
        found
    }

    /// Writes the config and the models, by file name.
    ///
    /// # Errors
    /// [`Error::ForeignModel`], [`Error::OutputExists`], [`Error::Io`], and those of [`load`].
    pub(super) fn write(&self, config: &str, models: &[(String, String)], force: bool) -> Result<Vec<PathBuf>> {
        let is_ours =
            |path: &PathBuf| models.iter().any(|(name, _)| path.file_name().is_some_and(|found| *found == **name));
        if let Some(foreign) = self.existing().into_iter().find(|path| !is_ours(path)) {
            return Err(Error::ForeignModel { path: foreign.display().to_string() });
        }
        self.check(force)?;
        try_out(config, models)?;
        let home = folder(&self.config);
        let mut pending: Vec<(NamedTempFile, PathBuf)> = Vec::new();
        let mut created = Vec::new();
        for path in [self.models.as_path(), home] {
            create(path, &mut created)?;
        }
        let files = models.iter().map(|(name, text)| (self.models.join(name), text.as_str()));
        for (path, text) in files.chain([(self.config.clone(), config)]) {
            let written = temporary(folder(&path), text);
            match written {
                Ok(file) => pending.push((file, path)),
                Err(source) => {
                    drop(pending);
                    remove_empty(&created);
                    return Err(Error::Io { action: format!("writing {}", path.display()), source });
                }
            }
        }
        let mut done: Vec<PathBuf> = Vec::new();
        for (file, path) in pending {
            let placed = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
            if let Err(error) = placed {
                // What is new goes again; what was replaced cannot come back.
                done.iter().filter(|_| !force).for_each(|path| drop(std::fs::remove_file(path)));
                remove_empty(&created);
                return Err(match error.error.kind() {
                    std::io::ErrorKind::AlreadyExists => Error::OutputExists { path: path.display().to_string() },
                    _ => Error::Io { action: format!("writing {}", path.display()), source: error.error },
                });
            }
            done.push(path);
        }
        Ok(done)
    }
}

/// The folder of a file; the current one for a bare name.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder that a config works in: above `configs`, else its own.
pub(super) fn project(config: &Path) -> PathBuf {
    let home = folder(config);
    let above = home.file_name().is_some_and(|name| name == "configs").then(|| folder(home));
    above.unwrap_or(home).to_owned()
}

fn create(path: &Path, created: &mut Vec<PathBuf>) -> Result<()> {
    let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    std::fs::create_dir_all(path).map_err(|source| {
        remove_empty(created);
        Error::Io { action: format!("making folder {}", path.display()), source }
    })?;
    created.splice(0..0, missing);
    Ok(())
}

/// Removes folders that were made for nothing, the innermost first.
fn remove_empty(folders: &[PathBuf]) {
    folders.iter().for_each(|folder| drop(std::fs::remove_dir(folder)));
}

fn temporary(folder: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".snaplake-init-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Reads the texts as a run would, in a folder of their own.
fn try_out(config: &str, models: &[(String, String)]) -> Result<()> {
    let failed = |source| Error::Io { action: "writing a temporary folder".to_owned(), source };
    let home = tempfile::tempdir().map_err(failed)?;
    let path = home.path().join("config.sql");
    let all = models.iter().map(|(_, text)| text.as_str());
    // One file reads as the many do: a statement knows nothing of its file but relative paths.
    let lines = config.lines().filter(|line| !line.starts_with("SET snaplake.models"));
    let text: Vec<&str> = lines.chain(all).collect();
    std::fs::write(&path, text.join("\n")).map_err(failed)?;
    load(&path, &Variables::default()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "SET snaplake.database = 'd';
SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
SET snaplake.staging = 's';
SET snaplake.datalake = 'l';
SET snaplake.models = '../sql/shop/*.sql';
CREATE EXTERNAL TABLE snapshot.t STORED AS CSV LOCATION 't/';
";

    fn models() -> Vec<(String, String)> {
        vec![("t.sql".to_owned(), "CREATE TABLE lake.t AS SELECT * FROM snapshot.t;".to_owned())]
    }

    fn output(home: &Path) -> Output {
        Output::new(&home.join("configs/shop.sql"), "shop").unwrap()
    }

    fn files(home: &Path) -> Vec<String> {
        let pattern = home.join("**/*");
        let found = glob::glob(pattern.to_str().unwrap()).unwrap().flatten();
        found.map(|path| path.strip_prefix(home).unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn all_files_are_written_and_replaced_only_by_force() {
        let home = tempfile::tempdir().unwrap();
        let output = output(home.path());
        output.write(CONFIG, &models(), false).unwrap();
        assert_eq!(files(home.path()), ["configs", "configs/shop.sql", "sql", "sql/shop", "sql/shop/t.sql"]);
        assert!(matches!(output.write(CONFIG, &models(), false), Err(Error::OutputExists { .. })));
        output.write(&format!("-- new\n{CONFIG}"), &models(), true).unwrap();
        assert!(std::fs::read_to_string(&output.config).unwrap().starts_with("-- new"));
    }

    #[test]
    fn nothing_is_left_when_something_fails() {
        let home = tempfile::tempdir().unwrap();
        let output = output(home.path());
        assert!(output.write("CREATE TABLE nonsense;", &models(), false).is_err());
        assert_eq!(files(home.path()), [""; 0]);
        let bad = vec![models().remove(0), ("no/such/folder.sql".to_owned(), String::new())];
        assert!(matches!(output.write(CONFIG, &bad, false), Err(Error::Io { .. })));
        assert_eq!(files(home.path()), [""; 0]);
    }

    #[test]
    fn a_model_of_somebody_else_is_not_taken_in() {
        let home = tempfile::tempdir().unwrap();
        let output = output(home.path());
        std::fs::create_dir_all(&output.models).unwrap();
        std::fs::write(output.models.join("other.sql"), "").unwrap();
        for force in [false, true] {
            let error = output.write(CONFIG, &models(), force).unwrap_err();
            assert!(matches!(error, Error::ForeignModel { .. }), "{error}");
        }
    }

    #[test]
    fn models_go_beside_the_configs_folder() {
        assert_eq!(project(Path::new("configs/a.sql")), Path::new("."));
        assert_eq!(project(Path::new("/x/configs/a.sql")), Path::new("/x"));
        assert_eq!(project(Path::new("a.sql")), Path::new("."));
        assert!(matches!(Output::new(Path::new("configs"), "x"), Err(Error::OutputFile { .. })));
    }
}
