//! What will cost time or trouble, and what to do about it.

use std::borrow::Cow;

/// Something that will cost time or trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name.
    pub code: &'static str,
    /// What it is, with numbers.
    pub problem: String,
    /// What to do.
    pub advice: Cow<'static, str>,
}
