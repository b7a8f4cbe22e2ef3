//! The two steps of a run. Errors, task specs and reports name one of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a task does: its word in messages, JSON and file names is `stage` or `publish`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStep {
    /// Snapshot files become staging files.
    #[default]
    Stage,
    /// Staging files become lake files.
    Publish,
}

impl TaskStep {
    /// `stage` or `publish`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for TaskStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
