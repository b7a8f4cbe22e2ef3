//! The tasks that this process is running, for the signs of life that it gives ([`super::attempt`]).

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::layout::{Location, Step};
use crate::manifest::Ledger;

/// A task as its traces name it.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) ledger: Ledger,
    pub(super) table: String,
    /// Id of the plan.
    pub(super) plan: String,
    pub(super) step: Step,
    pub(super) group: usize,
    /// Whether an earlier run left word that it failed.
    pub(super) has_failed: bool,
}

/// Tasks that this process is running, by the number of the attempt.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub(super) running: Mutex<BTreeMap<u64, Arc<TaskUnderWay>>>,
    pub(super) begun: AtomicU64,
    /// Signs of life that stand in a store.
    pub(super) reported: Mutex<Vec<(Ledger, Location)>>,
}

#[derive(Debug)]
pub(super) struct TaskUnderWay {
    pub(super) job: Job,
    pub(super) began: DateTime<Utc>,
    pub(super) rows: AtomicU64,
}

impl Attempts {
    pub(super) fn remember(&self, ledger: &Ledger, place: Location) {
        let mut reported = lock(&self.reported);
        if !reported.iter().any(|(_, known)| *known == place) {
            reported.push((ledger.clone(), place));
        }
    }
}

pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
