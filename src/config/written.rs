//! All `SET snaplake.*` of a project as written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::keys::known_key;
use super::options::{PREFIX, SETTINGS};
use crate::config::text::statement::{PlacedText, Property};
use crate::error::{ConfigError, Position, Result};

/// All settings as written, each with the folder of its file.
#[derive(Debug, Default)]
pub(super) struct WrittenSettings(BTreeMap<&'static str, (Property<PlacedText>, PathBuf)>);

impl WrittenSettings {
    /// Takes one SET of a file in folder `base`.
    pub(super) fn add(&mut self, set: Property<PlacedText>, base: &Path) -> Result<()> {
        let key = known_key("setting", SETTINGS, PREFIX, &set.key)?;
        if !set.key.text.starts_with(PREFIX) {
            let nearest = Some(key.name.to_owned());
            return Err(ConfigError::UnknownKey { kind: "setting", name: set.key.text, nearest }.at(&set.key.at));
        }
        if let Some((first, _)) = self.0.get(key.name) {
            let (name, first) = (key.name.to_owned(), first.key.at.clone());
            return Err(ConfigError::Duplicate { kind: "setting", name, first }.at(&set.key.at));
        }
        self.0.insert(key.name, (set, base.to_owned()));
        Ok(())
    }

    /// The value of a key, if it is set.
    pub(super) fn get(&self, key: &str) -> Option<&PlacedText> {
        self.0.get(key).map(|(set, _)| &set.value)
    }

    /// The value of a key that must be set, and the folder of its file.
    pub(super) fn required(
        &self,
        key: &'static str,
        example: &'static str,
        start: &Position,
    ) -> Result<(&PlacedText, &Path)> {
        let found = self.0.get(key).map(|(set, base)| (&set.value, base.as_path()));
        found.ok_or_else(|| ConfigError::Missing { key, example }.at(start))
    }
}
