//! The texts of a project, so that another process reads the same config without its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::wildcard::ListedExport;

/// The config and its models as they are written, `${env:NAME}` included, with the values of `${name}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTexts {
    /// The config first, then its models by name.
    pub files: Vec<ConfigText>,
    /// Values given with `--var name=value`.
    pub variables: BTreeMap<String, String>,
    /// The tables of exports that `snapshot."*"` means, once they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<ListedExport>,
}

/// One file of SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigText {
    /// As messages name it.
    pub name: String,
    /// Absolute folder that relative paths in it start from.
    pub folder: PathBuf,
    /// Its text.
    pub text: String,
}

impl ConfigText {
    /// The text of the file at `path`.
    pub(super) fn new(name: &str, path: &Path, text: String) -> std::io::Result<Self> {
        let folder = std::path::absolute(path)?.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        Ok(Self { name: name.to_owned(), folder, text })
    }
}
