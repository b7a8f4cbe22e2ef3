//! One task, complete by itself: with a spec, this program and the stores, any machine can run it.
//!
//! ```json
//! {"version":1,"written_by":"snaplake 0.1.0","table":"orders","step":"stage","group":3,
//!  "config":{"files":[{"name":"shop.sql","folder":"/jobs","text":"SET snaplake.database = ..."}],"variables":{}}}
//! ```
//!
//! The texts hold `${env:NAME}` as it is written: secrets come from the environment of the process that runs the
//! task, as the credentials of the stores do. What the task reads and writes comes from the committed plan, which the
//! texts lead to; a plan that no longer fits the texts is an error.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{ConfigTexts, Project, load_texts};
use crate::error::{Error, Result, TaskStep};
use crate::manifest::version::{WRITER, check_version};

/// Form of the JSON.
const VERSION: u32 = 1;

/// A task of a project, which any process can run from this alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    version: u32,
    written_by: Cow<'static, str>,
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Of the task.
    pub step: TaskStep,
    /// Group number, from 1.
    pub group: usize,
    /// The project that it belongs to.
    #[serde(with = "shared")]
    pub config: Arc<ConfigTexts>,
}

impl TaskSpec {
    /// A task of a project.
    #[must_use]
    pub fn new(project: &Project, table: &str, step: TaskStep, group: usize) -> Self {
        let config = Arc::clone(&project.texts);
        Self { version: VERSION, written_by: WRITER.into(), table: table.to_owned(), step, group, config }
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// [`Error::TaskSpec`] when the path of a config is not UTF-8.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|source| Error::TaskSpec { source })
    }

    /// Reads what [`TaskSpec::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::OtherVersion`], [`Error::TaskSpec`].
    pub fn from_json(text: &str) -> Result<Self> {
        check_version(text.as_bytes(), "task", VERSION)?;
        serde_json::from_str(text).map_err(|source| Error::TaskSpec { source })
    }

    /// Reads the project.
    ///
    /// # Errors
    /// Those of [`load_texts`].
    pub fn project(&self) -> Result<Project> {
        load_texts(&self.config)
    }
}

/// What many tasks share in memory is written out in each.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::config::ConfigTexts;

    pub(super) fn serialize<S: Serializer>(texts: &Arc<ConfigTexts>, serializer: S) -> Result<S::Ok, S::Error> {
        texts.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<ConfigTexts>, D::Error> {
        ConfigTexts::deserialize(deserializer).map(Arc::new)
    }
}
