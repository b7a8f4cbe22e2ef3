//! Staging and lake folders that were moved or copied whole since their manifests were written.
//!
//! ```text
//! manifest    roots.staging = file:///disk/staging/d/t/snapshot=..      uri = file:///disk/staging/d/t/snapshot=../datalake/..
//! config now                  file:///mnt/staging/d/t/snapshot=..       uri = file:///mnt/staging/d/t/snapshot=../datalake/..
//! ```
//!
//! A manifest says below which two folders our own files lay when it was written. Who reads it looks for them below the
//! folders of the config: a folder that was moved, copied, mounted elsewhere or reached through a link is the same.
//! Files elsewhere, such as those of the snapshot, stay where they are. Whether the folder of the config is the one
//! that was meant is not decided here, but by what is in it ([`super::owner`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::FileEntry;
use crate::layout::TableLayout;

/// Folders of one table of one snapshot, as URIs without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// All of the staging folder.
    pub staging: Arc<str>,
    /// The lake's folder.
    pub lake: Arc<str>,
}

impl Roots {
    pub(crate) fn of(layout: &TableLayout) -> Self {
        let root = |uri: String| uri.trim_end_matches('/').into();
        Self { staging: root(layout.root().uri()), lake: root(layout.lake().uri()) }
    }

    /// Names the files of a manifest with these roots by the places where they lie below `now`, in the order of their
    /// URIs.
    pub(crate) fn moved_to(&self, now: &Self, files: &mut [FileEntry]) {
        if self == now {
            return;
        }
        for file in files.iter_mut() {
            if let Some(uri) = self.place(now, &file.uri) {
                file.uri = uri.into();
            }
        }
    }

    /// Where a file is now; `None` if it lay below neither folder.
    fn place(&self, now: &Self, uri: &str) -> Option<String> {
        let below = |root: &str| uri.strip_prefix(root).filter(|rest| rest.starts_with('/'));
        // One may lie in the other: the inner one decides.
        let mut pairs = [(&self.staging, &now.staging), (&self.lake, &now.lake)];
        pairs.sort_by_key(|(root, _)| std::cmp::Reverse(root.len()));
        pairs.into_iter().find_map(|(root, now)| below(root).map(|rest| format!("{now}{rest}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(staging: &str, lake: &str) -> Roots {
        Roots { staging: staging.into(), lake: lake.into() }
    }

    #[test]
    fn files_below_either_folder_move_with_it_and_all_others_stay() {
        let (then, now) = (roots("file:///a/st", "file:///a/st/lake"), roots("s3://b/st", "s3://b/lake"));
        for (uri, moved) in [
            ("file:///a/st/x.parquet", Some("s3://b/st/x.parquet")),
            ("file:///a/st/lake/k=1/x.parquet", Some("s3://b/lake/k=1/x.parquet")),
            ("file:///a/stx/x.parquet", None),
            ("file:///export/x.parquet", None),
        ] {
            assert_eq!(then.place(&now, uri).as_deref(), moved, "{uri}");
        }
    }
}
