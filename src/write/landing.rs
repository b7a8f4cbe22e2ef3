//! Files that were ended, on their way into a store, while the next is encoded: small files on a distant store would be
//! mostly waiting. They land in the order in which they were ended; what is held for that is bounded.

use std::collections::VecDeque;

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};

use super::upload::{Stored, Upload};
use crate::error::Error;
use crate::layout::FilePartition;
use crate::layout::Location;

/// Bytes of ended files in memory; a larger file is waited for.
const LANDING_BYTES: usize = 8 << 20;

/// Ended files of one stream on their way at once.
const LANDING_FILES: usize = 8;

/// A file that was ended.
pub(crate) struct Landing {
    pub(crate) location: Location,
    pub(crate) partition: FilePartition,
    pub(crate) rows: u64,
    /// What its manifest says of its columns.
    pub(crate) statistics: String,
}

/// A file that is stored.
pub(crate) struct Landed {
    pub(crate) location: Location,
    pub(crate) partition: FilePartition,
    pub(crate) rows: u64,
    /// What its manifest says of its columns.
    pub(crate) statistics: String,
    pub(crate) stored: Stored,
}

struct OnItsWay {
    file: Landing,
    held_bytes: usize,
    upload: SpawnedTask<object_store::Result<Stored>>,
}

/// Ended files that are still being uploaded, in the order in which they ended.
#[derive(Default)]
pub(crate) struct Landings(VecDeque<OnItsWay>);

impl Landings {
    /// Sends a file off.
    pub(crate) fn add(&mut self, file: Landing, upload: Upload) {
        let held_bytes = upload.held_bytes();
        let upload = SpawnedTask::spawn(upload.land());
        self.0.push_back(OnItsWay { file, held_bytes, upload });
    }

    /// Waits for the oldest file, if more are on their way than may be.
    ///
    /// # Errors
    /// [`Error::Store`] of that file.
    pub(crate) async fn next_if_many(&mut self) -> Result<Option<Landed>> {
        let held: usize = self.0.iter().map(|landing| landing.held_bytes).sum();
        if self.0.len() > LANDING_FILES || held > LANDING_BYTES { self.next().await } else { Ok(None) }
    }

    /// Waits for the oldest file; `None` when all have landed.
    ///
    /// # Errors
    /// [`Error::Store`] of that file.
    pub(crate) async fn next(&mut self) -> Result<Option<Landed>> {
        let Some(OnItsWay { file, upload, .. }) = self.0.pop_front() else { return Ok(None) };
        let stored = upload.join_unwind().await.map_err(|error| DataFusionError::External(error.into()))?;
        let Landing { location, partition, rows, statistics } = file;
        let failed = |source| Error::Store { action: "write", uri: location.to_string(), source };
        let stored = stored.map_err(|source| DataFusionError::External(Box::new(failed(source))))?;
        Ok(Some(Landed { location, partition, rows, statistics, stored }))
    }

    /// Waits until each has landed or aborted itself: another error is the one to tell.
    pub(crate) async fn wait(&mut self) {
        for landing in self.0.drain(..) {
            let _ = landing.upload.join().await;
        }
    }
}
