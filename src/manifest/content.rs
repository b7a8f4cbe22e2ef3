//! Which data files a lake's folder holds, in a form that does not grow with their number.

use std::hash::Hasher;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::FileEntry;
use crate::error::Result;
use crate::layout::Location;
use crate::layout::store_error;

/// A set of files by their paths below the folder and their sizes: equal for the same set in any order, and wherever
/// the folder lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LakeContent {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Sum over hashes of path and size.
    hash: u64,
}

impl LakeContent {
    /// Files of manifests; `None` if one does not lie below the folder.
    pub(crate) fn of<'a>(lake: &Location, files: impl IntoIterator<Item = &'a FileEntry>) -> Option<Self> {
        let root = lake.uri();
        let root = root.trim_end_matches('/');
        let mut content = Self::default();
        for file in files {
            content.add(file.uri.strip_prefix(root)?.strip_prefix('/')?, file.size);
        }
        Some(content)
    }

    /// What a folder holds now: one LIST. Files whose names begin with a dot or `_` are none of the lake's.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub(crate) async fn of_folder(store: &Arc<dyn ObjectStore>, folder: &Location) -> Result<Self> {
        let (key, mut content) = (folder.key()?, Self::default());
        let mut listing = store.list(Some(&key));
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", folder, source))? {
            let path = meta.location.as_ref().strip_prefix(key.as_ref()).unwrap_or_default().trim_start_matches('/');
            if !meta.location.filename().unwrap_or_default().starts_with(['.', '_']) {
                content.add(path, meta.size);
            }
        }
        Ok(content)
    }

    /// Adds one file.
    pub(crate) fn add(&mut self, path: &str, bytes: u64) {
        let mut hash = XxHash64::with_seed(0);
        hash.write(path.as_bytes());
        hash.write(&bytes.to_le_bytes());
        self.files += 1;
        self.bytes = self.bytes.wrapping_add(bytes);
        self.hash = self.hash.wrapping_add(hash.finish());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layout::FilePartition;

    #[test]
    fn same_files_are_equal_in_any_order_and_place_and_others_are_not() {
        let content = |root: &str, files: &[(&str, u64)]| {
            let entry = |(path, size): &(&str, u64)| FileEntry {
                uri: format!("{root}/{path}").into(),
                etag: "".into(),
                size: *size,
                n_record: None,
                partition: FilePartition::None,
            };
            let files: Vec<FileEntry> = files.iter().map(entry).collect();
            LakeContent::of(&Location::parse("s3://b/lake/", Path::new("/")).unwrap(), &files)
        };
        let here = "s3://b/lake";
        let one = content(here, &[("k=1/a", 1), ("k=2/b", 2)]).unwrap();
        assert_eq!(content(here, &[("k=2/b", 2), ("k=1/a", 1)]), Some(one));
        for other in [&[("k=1/a", 2), ("k=2/b", 1)][..], &[("k=1/b", 1), ("k=2/a", 2)], &[("k=1/a", 3)], &[]] {
            assert_ne!(content(here, other), Some(one));
        }
        assert_eq!(content("s3://b/lakes", &[("a", 1)]), None);
    }
}
