//! Where an export is kept: one manifest, and a folder for each try.
//!
//! ```text
//! {folder}/live-export.json                               the export, created only if there is none
//! {folder}/try-18f2c1a9b3d4e5f6/{schema}/{table}/range-00001.parquet
//! {folder}/try-18f2c1a9b3d4e5f6/{schema}/{table}/range-00001_00002.parquet      the second file of a range
//! ```
//!
//! Names of schemas and tables are percent-encoded, each by itself, so that two tables never share a folder. Files of a
//! try that has failed stay: no manifest names their folder, and a new try has another.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::fault::{LiveFault, WriteFault};
use crate::layout::below;
use crate::session::Stores;
use crate::snapshot::exports::live_manifest::{LiveManifest, VERSION};

/// As values of partitions: letters and digits stay, as do `_`, `-` and all that is not ASCII; not the dot here.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// A folder of a store.
#[derive(Debug, Clone)]
pub(crate) struct LivePlace {
    /// The staging root's.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Below it.
    pub(crate) folder: Path,
}

impl LivePlace {
    /// The manifest's path.
    pub(crate) fn manifest(&self) -> Path {
        self.folder.clone().join("live-export.json")
    }

    /// The path of a file of the export, by its name in the manifest.
    ///
    /// # Errors
    /// [`object_store::Error`] for a name that is no path.
    pub(crate) fn file(&self, folder: &str, name: &str) -> object_store::Result<Path> {
        Ok(Path::parse(below(&below(self.folder.as_ref(), folder), name))?)
    }

    /// The export that is there, if any.
    ///
    /// # Errors
    /// [`LiveFault::Manifest`].
    pub(crate) async fn read(&self) -> Result<Option<LiveManifest>, LiveFault> {
        let path = self.manifest();
        let fault = |source| LiveFault::Manifest { path: path.to_string(), source };
        let bytes = match self.store.get(&path).await {
            Ok(found) => found.bytes().await.map_err(|error| fault(error.into()))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(fault(error.into())),
        };
        let manifest: LiveManifest = serde_json::from_slice(&bytes).map_err(|error| fault(error.into()))?;
        if manifest.version != VERSION {
            let error = serde::de::Error::custom(format_args!("version {} is not {VERSION}", manifest.version));
            return Err(fault(WriteFault::Json(error)));
        }
        Ok(Some(manifest))
    }

    /// Makes an export of what a try has written, when that is on disk.
    ///
    /// # Errors
    /// [`LiveFault::Lost`] when another export was first, [`LiveFault::Write`].
    pub(crate) async fn commit(&self, manifest: &LiveManifest, stores: &Stores) -> Result<(), LiveFault> {
        let path = self.manifest();
        let fault = |source: WriteFault| LiveFault::Write { path: path.to_string(), source };
        stores.settle().await.map_err(|error| fault(Box::new(error).into()))?;
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| fault(error.into()))?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path, PutPayload::from(text), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => Err(LiveFault::Lost { path: path.to_string() }),
            Err(error) => Err(fault(error.into())),
        }
    }
}

/// A folder name that no other try has.
pub(crate) fn new_try() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Seeded by the operating system, anew in each process.
    format!("try-{:016x}", RandomState::new().hash_one((since, std::process::id())))
}

/// The name of a range's file, below the folder of the try. Ranges and the files of each count from 1.
pub(crate) fn file_name(schema: &str, table: &str, range: usize, file: usize) -> String {
    let more = if file > 1 { format!("_{file:05}") } else { String::new() };
    below(&below(&encoded(schema), &encoded(table)), &format!("range-{range:05}{more}.parquet"))
}

fn encoded(name: &str) -> String {
    let escape = |letter: char| {
        let mut bytes = [0; 4];
        let text = letter.encode_utf8(&mut bytes);
        if letter.is_ascii() { percent_encode(text.as_bytes(), ESCAPED).to_string() } else { text.to_owned() }
    };
    name.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tables_never_share_a_file() {
        assert_eq!(file_name("public", "Mixed Case", 3, 1), "public/Mixed%20Case/range-00003.parquet");
        assert_eq!(file_name("a.b", "c/ü..", 1, 2), "a%2Eb/c%2Fü%2E%2E/range-00001_00002.parquet");
        assert_ne!(new_try(), new_try());
    }
}
