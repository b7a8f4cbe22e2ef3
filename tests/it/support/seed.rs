//! Where searches by chance begin, so that what was found can be found again.

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::sync::LazyLock;

/// The same each time.
const FIXED: u64 = 4;

/// One for all searches of this run.
static OF_RUN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(FIXED));

/// What says from which seed alone to search.
const VARIABLE: &str = "SNAPLAKE_TEST_SEED";

/// A seed that is always the same and one of this run, or the one that the environment says.
pub(crate) fn seeds() -> Vec<u64> {
    match std::env::var(VARIABLE) {
        Ok(seed) => vec![seed.parse().unwrap_or_else(|_| panic!("{VARIABLE} is '{seed}' and must be a number"))],
        Err(_) => vec![FIXED, *OF_RUN],
    }
}

/// Writes a line to standard output, also of tests that pass.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
}
