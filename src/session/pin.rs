//! What a planned file must still be when it is read.

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// What a file must still be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Without quotes; empty when unknown.
    pub(crate) etag: Arc<str>,
    /// Bytes; None where it is not known, as of a file of which only a part was planned.
    pub(crate) size: Option<u64>,
}

/// Whether a local file is hashed before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentCheck {
    /// Its size must do.
    Never,
    /// If it changed after this time, at which it was as its manifest says.
    IfChangedAfter(DateTime<Utc>),
    /// In any case.
    Always,
}
