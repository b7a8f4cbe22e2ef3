//! What the listing of a local folder does not show: links that lead to nothing, what is no file, names that end with
//! `#` and digits, which the store keeps for files that it is writing; and where links and mounts lead to.
//!
//! A second walk, by names alone, after a listing that went well, so that no link leads in a circle: it reads no file,
//! and what it cannot open it leaves to the listing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::own::Own;
use super::same_file::file_id;
use crate::layout::{Location, below};

/// What a walk has met; paths count from the folder on.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Names that are not listed, and what they are, in words.
    pub(crate) unlisted: Vec<(String, &'static str)>,
    /// Folders that links lead to, or to files in them, with these links.
    pub(crate) linked: BTreeMap<PathBuf, Vec<String>>,
    /// Folders that are or hold a place of [`Own`], its number, and whether they are that itself.
    pub(crate) own: Vec<(String, usize, bool)>,
}

/// Path from `folder` on and what it is, in words; nothing for a store that is not local.
pub(crate) async fn unlisted(location: &Location, folder: &str) -> Vec<(String, &'static str)> {
    walked(location, folder, None).await.unlisted
}

/// All that a walk meets; where links lead only if there are places to compare with.
pub(crate) async fn walked(location: &Location, folder: &str, own: Option<&Arc<Own>>) -> Walked {
    if !location.is_local() {
        return Walked::default();
    }
    let (root, own) = (Path::new("/").join(folder), own.map(Arc::clone));
    tokio::task::spawn_blocking(move || walk(&root, own.as_deref())).await.unwrap_or_default()
}

fn walk(root: &Path, own: Option<&Own>) -> Walked {
    let mut walked = Walked::default();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, path)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = if path.is_empty() { name.to_owned() } else { below(&path, name) };
            let kind = kind(&entry, name);
            if let Some(own) = own {
                walked.look_at(&entry, &path, matches!(kind, UnlistedKind::Folder(_)), own);
            }
            match kind {
                UnlistedKind::Folder(folder) => folders.push((folder, path)),
                UnlistedKind::Listed => {}
                UnlistedKind::Unlisted(what) => walked.unlisted.push((path, what)),
            }
        }
    }
    walked
}

impl Walked {
    fn look_at(&mut self, entry: &std::fs::DirEntry, path: &str, is_folder: bool, own: &Own) {
        let full = entry.path();
        if is_folder && let Some((place, is_itself)) = file_id(&full).and_then(|id| own.at(&id)) {
            self.own.push((path.to_owned(), place, is_itself));
        }
        if entry.file_type().is_ok_and(|of_link| of_link.is_symlink())
            && let Ok(target) = std::fs::canonicalize(&full)
        {
            let folder = if is_folder { Some(target.as_path()) } else { target.parent() };
            if let Some(folder) = folder {
                self.linked.entry(folder.to_owned()).or_default().push(path.to_owned());
            }
        }
    }
}

enum UnlistedKind {
    Folder(PathBuf),
    Listed,
    Unlisted(&'static str),
}

fn kind(entry: &std::fs::DirEntry, name: &str) -> UnlistedKind {
    let file_type = match entry.file_type() {
        Ok(of_link) if of_link.is_symlink() => std::fs::metadata(entry.path()).map(|target| target.file_type()),
        other => other,
    };
    match file_type {
        Ok(file_type) if file_type.is_dir() => UnlistedKind::Folder(entry.path()),
        Ok(file_type) if !file_type.is_file() => UnlistedKind::Unlisted("a pipe, a socket or a device"),
        Ok(_) if is_reserved(name) => {
            UnlistedKind::Unlisted("a file whose name ends with # and digits, which cannot be read; rename it")
        }
        Ok(_) => UnlistedKind::Listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            UnlistedKind::Unlisted("a link that leads to nothing")
        }
        Err(_) => UnlistedKind::Listed,
    }
}

pub(crate) fn is_reserved(name: &str) -> bool {
    let digits = name.split_once('#').map_or("", |(_, digits)| digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use object_store::ObjectStore;
    use object_store::local::LocalFileSystem;

    use super::*;

    /// Together with the listing each name is met once.
    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_listing_passes_over_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("in");
        std::fs::create_dir_all(root.join("x#3")).unwrap();
        for name in ["a.csv", "b.csv#1", "#2", "c#5.csv", "d#", "e#1#2", "x#3/f.csv", "x#3/g#0", "h %.csv"] {
            std::fs::write(root.join(name), "a").unwrap();
        }
        std::fs::create_dir(folder.path().join("other")).unwrap();
        std::fs::write(folder.path().join("other/far#1"), "a").unwrap();
        for (target, name) in
            [("nowhere", "gone.csv"), ("a.csv", "link.csv"), ("../other", "there"), ("nowhere", "x#3/no")]
        {
            std::os::unix::fs::symlink(target, root.join(name)).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let location = Location::parse(root.to_str().unwrap(), Path::new("/")).unwrap();
        let mut found = unlisted(&location, location.raw_key()).await;
        found.sort_unstable();
        let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["#2", "b.csv#1", "gone.csv", "socket", "there/far#1", "x#3/g#0", "x#3/no"]);
        assert_eq!(found[2].1, "a link that leads to nothing");
        let listed = LocalFileSystem::new_with_prefix(&root).unwrap().list(None).count().await;
        assert_eq!(listed, 7, "the others");
        assert_eq!(unlisted(&Location::parse("s3://b/x", Path::new("/")).unwrap(), "x").await, []);
    }
}
