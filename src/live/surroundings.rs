//! Environment variables and the home folder, as one value: tests bring their own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What a process finds around it.
#[derive(Clone, Default)]
pub(crate) struct Surroundings {
    vars: HashMap<String, String>,
    home: Option<PathBuf>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values may be passwords.
        f.debug_struct("Surroundings").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Those of this process. Only variables of PostgreSQL and MySQL clients are kept.
    pub(crate) fn of_process() -> Self {
        let is_ours = |name: &str| name.starts_with("PG") || name.starts_with("MYSQL_");
        let vars = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| is_ours(name))?;
            Some((name, value.into_string().ok()?))
        });
        Self { vars: vars.collect(), home: std::env::home_dir() }
    }

    /// Made up ones.
    #[cfg(test)]
    pub(crate) fn of(vars: &[(&str, &str)], home: Option<&Path>) -> Self {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { vars: vars.collect(), home: home.map(Path::to_owned) }
    }

    /// A variable that is set and not empty.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).filter(|value| !value.is_empty()).cloned()
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }
}
