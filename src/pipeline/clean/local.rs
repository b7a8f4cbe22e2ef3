//! What only a local file system knows: half files, links, and files with several names.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::layout::Location;

/// Files that a killed process was writing: the store's client hides them from listings.
pub(in crate::pipeline) fn half_files(folder: &Path, take: &mut impl FnMut(&Path, &std::fs::Metadata)) -> Result<()> {
    let failed = |source| Error::Io { action: format!("reading the folder {}", folder.display()), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Links are not followed: what lies behind them is not ours.
        let meta = entry.metadata().map_err(failed)?;
        if meta.is_dir() {
            half_files(&entry.path(), take)?;
        } else if entry
            .file_name()
            .to_str()
            .and_then(|name| name.rsplit_once('#'))
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        {
            take(&entry.path(), &meta);
        }
    }
    Ok(())
}

/// Whether the way from a folder to a file below it leads through a link, or ends with one: what lies behind it is not
/// ours to remove. Folders are looked at once.
pub(in crate::pipeline) fn is_behind_link(folder: &Path, file: &Path, seen: &mut HashMap<PathBuf, bool>) -> bool {
    let is_link = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if is_link(file) {
        return true;
    }
    let mut parent = file.parent();
    while let Some(path) = parent.filter(|path| path.starts_with(folder) && *path != folder) {
        let link = *seen.entry(path.to_path_buf()).or_insert_with(|| is_link(path));
        if link {
            return true;
        }
        parent = path.parent();
    }
    false
}

/// Devices and inodes of files that are there.
#[cfg(unix)]
pub(super) fn identities<'a>(uris: impl Iterator<Item = &'a str>) -> HashSet<(u64, u64)> {
    uris.filter_map(|uri| Location::from_uri(uri).ok())
        .filter_map(|file| identity(Path::new(&file.to_string())))
        .collect()
}

/// Device and inode of a file.
#[cfg(unix)]
pub(super) fn identity(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Nothing is known of them here.
#[cfg(not(unix))]
pub(super) fn identities<'a>(_: impl Iterator<Item = &'a str>) -> HashSet<(u64, u64)> {
    HashSet::new()
}

/// Nothing is known of it here.
#[cfg(not(unix))]
pub(super) fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn file_behind_a_link_is_seen_and_a_linked_root_is_none() {
        use std::os::unix::fs::symlink;

        use super::*;

        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        std::fs::create_dir_all(root.join("k=1")).unwrap();
        std::fs::create_dir_all(folder.path().join("other")).unwrap();
        for file in ["lake/k=1/a", "other/b"] {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        symlink(folder.path().join("other"), root.join("k=2")).unwrap();
        symlink(root.join("k=1/a"), root.join("k=1/c")).unwrap();
        symlink(&root, folder.path().join("link")).unwrap();
        let mut seen = HashMap::new();
        for (root, file, is_behind) in
            [("lake", "k=1/a", false), ("lake", "k=2/b", true), ("lake", "k=1/c", true), ("link", "k=1/a", false)]
        {
            let root = folder.path().join(root);
            assert_eq!(is_behind_link(&root, &root.join(file), &mut seen), is_behind, "{file}");
        }
        let same = [root.join("k=1/a"), root.join("k=1/c"), folder.path().join("link/k=1/a")];
        let same: HashSet<_> = same.iter().map(|file| identity(file).unwrap()).collect();
        assert_eq!(same.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn half_files_end_in_a_number_at_any_depth_and_not_behind_links() {
        use std::os::unix::fs::symlink;

        use super::*;

        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        std::fs::create_dir_all(root.join("k=1/l=2")).unwrap();
        std::fs::create_dir_all(folder.path().join("other")).unwrap();
        for file in
            ["lake/a#1", "lake/k=1/l=2/b.parquet#23", "lake/c#", "lake/d#x1", "lake/e", "lake/f#1x", "other/g#1"]
        {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        symlink(folder.path().join("other"), root.join("k=2")).unwrap();
        let mut found = Vec::new();
        half_files(&root, &mut |path, _| found.push(path.strip_prefix(&root).unwrap().to_owned())).unwrap();
        found.sort();
        assert_eq!(found, [Path::new("a#1"), Path::new("k=1/l=2/b.parquet#23")]);
        half_files(&folder.path().join("none"), &mut |_, _| panic!("there is none")).unwrap();
    }
}
