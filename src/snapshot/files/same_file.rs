//! Which names mean one file or folder of this machine: hard links, symlinks, folders that are mounted twice, names in
//! other letters where a disk does not tell these apart.
//!
//! Device and inode decide; where a system has none, the canonical path does. Only local files of equal size are asked,
//! for a file has one size under all its names. In a store a name is a file. What cannot be asked has no second name:
//! its reader reports the reason.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::layout::Location;
use crate::manifest::FileEntry;

/// What a file or folder is, whatever it is called.
#[cfg(unix)]
pub(crate) type FileId = (u64, u64);
#[cfg(not(unix))]
pub(crate) type FileId = PathBuf;

/// What `path` leads to.
#[cfg(unix)]
pub(crate) fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn file_id(path: &Path) -> Option<FileId> {
    std::fs::canonicalize(path).ok()
}

/// The path of a local file or folder.
pub(crate) fn local_path(location: &Location) -> Option<PathBuf> {
    location.is_local().then(|| Path::new("/").join(location.raw_key()))
}

/// For each file that comes under another name, too: its index, and that of the name to read it by. This is the name
/// that leads over no link, or else the first of `files`.
pub(crate) async fn other_names(files: &[FileEntry]) -> Vec<(usize, usize)> {
    let mut sizes: HashMap<u64, usize> = HashMap::new();
    let local = |file: &FileEntry| file.uri.strip_prefix("file://").map(PathBuf::from);
    files.iter().filter(|file| local(file).is_some()).for_each(|file| *sizes.entry(file.size).or_default() += 1);
    let is_candidate = |file: &FileEntry| sizes.get(&file.size).is_some_and(|alike| *alike > 1);
    let candidates = files.iter().enumerate().filter(|(_, file)| is_candidate(file));
    let candidates: Vec<_> = candidates.filter_map(|(index, file)| Some((index, local(file)?))).collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    tokio::task::spawn_blocking(move || pairs(&candidates)).await.unwrap_or_default()
}

fn pairs(candidates: &[(usize, PathBuf)]) -> Vec<(usize, usize)> {
    let mut names: HashMap<FileId, Vec<&(usize, PathBuf)>> = HashMap::new();
    for candidate in candidates {
        if let Some(id) = file_id(&candidate.1) {
            names.entry(id).or_default().push(candidate);
        }
    }
    let mut pairs = Vec::new();
    for names in names.into_values().filter(|names| names.len() > 1) {
        let is_own = |path: &Path| std::fs::canonicalize(path).is_ok_and(|canonical| canonical == path);
        let kept = names.iter().find(|(_, path)| is_own(path)).unwrap_or(&names[0]).0;
        pairs.extend(names.iter().map(|(index, _)| *index).filter(|index| *index != kept).map(|index| (index, kept)));
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FilePartition;

    #[cfg(unix)]
    #[tokio::test]
    async fn names_of_one_file_are_found_and_the_one_without_a_link_is_kept() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("z")).unwrap();
        for name in ["z/a", "b", "c"] {
            std::fs::write(root.join(name), "same").unwrap();
        }
        std::fs::hard_link(root.join("b"), root.join("d")).unwrap();
        symlink("z", root.join("link")).unwrap();
        symlink("b", root.join("a")).unwrap();
        let entry = |uri: String| FileEntry {
            uri: uri.into(),
            etag: "".into(),
            size: 4,
            n_record: None,
            partition: FilePartition::None,
        };
        let names = ["a", "b", "c", "d", "gone", "link/a", "z/a"];
        let files: Vec<FileEntry> =
            names.iter().map(|name| entry(format!("file://{}", root.join(name).display()))).collect();
        assert_eq!(other_names(&files).await, [(0, 1), (3, 1), (5, 6)]);
        let stored: Vec<FileEntry> = names.iter().map(|name| entry(format!("s3://b/{name}"))).collect();
        assert_eq!(other_names(&stored).await, []);
    }
}
