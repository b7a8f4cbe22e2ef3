//! Whether files on a local disk still have the content that was written: by the hash that their manifest has.
//!
//! Object stores answer with an etag that follows the content, which every read is pinned to ([`super::pinned`]); a disk says
//! nothing of the kind. Each staging file is read by one task, so it is hashed once, right before; what was written lately is
//! still in memory then. A query hashes what it opens, unless it has not changed since the lake was proven. Files whose
//! manifest has no hash are passed over.

use std::fs::File;
use std::hash::Hasher;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use twox_hash::XxHash64;

use super::pinned::{ContentCheck, Pin};
use crate::error::{Error, Result};
use crate::layout::Location;
use crate::manifest::{CONTENT_TAG, FileEntry};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Reads local files whole and compares their content with what their manifests say.
///
/// # Errors
/// [`Error::ContentChanged`] for the first file that differs or is gone, [`Error::Io`].
pub(crate) async fn check_content(files: &[FileEntry]) -> Result<()> {
    let mut local = Vec::new();
    for file in files.iter().filter(|file| file.etag.starts_with(CONTENT_TAG)) {
        let location = Location::from_uri(&file.uri)?;
        if location.is_local() {
            local.push((location.to_string(), file.clone()));
        }
    }
    if local.is_empty() {
        return Ok(());
    }
    blocking(move || {
        let mut buffer = vec![0; CHUNK];
        local.iter().try_for_each(|(path, file)| compare(path, &file.etag, file.size, &mut buffer))
    })
    .await
}

/// Compares one file with what its manifest says, if it is local and the manifest has a hash.
///
/// # Errors
/// As [`check_content`].
pub(crate) async fn check_file(file: &FileEntry, check: ContentCheck) -> Result<()> {
    let location = Location::from_uri(&file.uri)?;
    if !location.is_local() || !file.etag.starts_with(CONTENT_TAG) || check == ContentCheck::Never {
        return Ok(());
    }
    check_local(PathBuf::from(location.to_string()), &Pin { etag: Arc::clone(&file.etag), size: file.size }, check)
        .await
}

/// Compares a local file with what its manifest says.
///
/// # Errors
/// As [`check_content`].
pub(super) async fn check_local(path: PathBuf, pin: &Pin, check: ContentCheck) -> Result<()> {
    let pin = pin.clone();
    blocking(move || {
        if let ContentCheck::IfChangedAfter(proven) = check
            && changed_at(&path).is_some_and(|changed| changed < proven)
        {
            return Ok(());
        }
        match path.exists() {
            true => compare(&path.display().to_string(), &pin.etag, pin.size, &mut vec![0; CHUNK]),
            // The read that follows says so.
            false => Ok(()),
        }
    })
    .await
}

/// When the file system last saw a change of a file's content or name.
#[cfg(unix)]
fn changed_at(path: &Path) -> Option<DateTime<Utc>> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    DateTime::from_timestamp(meta.ctime(), u32::try_from(meta.ctime_nsec()).ok()?)
}

/// Other systems do not say.
#[cfg(not(unix))]
fn changed_at(_: &Path) -> Option<DateTime<Utc>> {
    None
}

async fn blocking(check: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let checked = tokio::task::spawn_blocking(check).await;
    checked.unwrap_or_else(|error| Err(Error::Engine(datafusion::error::DataFusionError::External(error.into()))))
}

fn compare(path: &str, etag: &str, size: u64, buffer: &mut [u8]) -> Result<()> {
    let changed =
        |found: String| Error::ContentChanged { uri: path.to_owned(), found, written: format!("{size} bytes, {etag}") };
    let (bytes, hash) = match hash_of(Path::new(path), buffer) {
        Ok(found) => found,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Err(changed("no file".to_owned())),
        Err(source) => return Err(Error::Io { action: format!("reading {path}"), source }),
    };
    let tag = format!("{CONTENT_TAG}{hash:016x}");
    if bytes == size && tag == etag { Ok(()) } else { Err(changed(format!("{bytes} bytes, {tag}"))) }
}

fn hash_of(path: &Path, buffer: &mut [u8]) -> std::io::Result<(u64, u64)> {
    let (mut file, mut hash, mut bytes) = (File::open(path)?, XxHash64::with_seed(0), 0);
    loop {
        match file.read(buffer)? {
            0 => return Ok((bytes, hash.finish())),
            read => {
                hash.write(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::codec::content_tag;

    #[tokio::test]
    async fn changed_cut_swapped_and_missing_files_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let entry = |name: &str, bytes: &[u8]| FileEntry {
            uri: format!("file://{}", path(name).display()).into(),
            etag: content_tag(bytes).into(),
            size: bytes.len() as u64,
            n_record: None,
            partition: None,
        };
        let (a, b) = (vec![7; CHUNK + 5], vec![8; CHUNK + 5]);
        let files = [entry("a", &a), entry("b", &b)];
        let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).unwrap();
        write("a", &a);
        write("b", &b);
        check_content(&files).await.unwrap();
        let mut flipped = b.clone();
        flipped[CHUNK] ^= 1;
        for wrong in [&flipped[..], &b[..9], &a, &[]] {
            write("b", wrong);
            let said = check_content(&files).await.unwrap_err().to_string();
            assert!(said.contains("/b ") && said.contains(&files[1].etag[..]), "{said}");
        }
        std::fs::remove_file(path("b")).unwrap();
        assert!(check_content(&files).await.unwrap_err().to_string().contains("no file"));
        let unknown = FileEntry { etag: "".into(), ..files[1].clone() };
        check_content(&[unknown]).await.unwrap();
    }
}
