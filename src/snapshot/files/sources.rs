//! Why what a LOCATION covers is no source, put together: what this config writes ([`Own`](super::own::Own)), what
//! others of snaplake wrote ([`Outputs`]), and where links lead.

use std::path::Path;

use super::found::MeantBelow;
use super::listing::Below;
use super::outputs::{NoSource, Outputs, refused_above};
use super::same_file::local_path;
use super::unlisted::Walked;
use crate::error::{Error, Result};
use crate::layout::Location;
use crate::manifest::FileEntry;

impl Below<'_> {
    /// Of a folder that was listed: what is in it, is led to from it, or is around it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn found_below(
        &self,
        folder: &str,
        meant: &MeantBelow<'_>,
        walked: &Walked,
        outputs: Outputs,
    ) -> Result<Option<NoSource>> {
        // Of a folder that holds a place, a glob may mean other files.
        let mut own = walked.own.iter().filter(|(_, _, is_itself)| *is_itself || !meant.is_of_glob());
        if let Some((path, place, _)) = own.find(|(path, ..)| meant.has(path)) {
            return Ok(Some(self.own.refused_below(path, *place)));
        }
        for (target, paths) in &walked.linked {
            if let Some(path) = paths.iter().find(|path| meant.has(path))
                && let Some(found) = self.linked(target, path).await
            {
                return Ok(Some(found));
            }
        }
        let is_meant = |key: &str| meant.has(key.get(folder.len()..).unwrap_or_default().trim_start_matches('/'));
        if let Some(found) = outputs.refused(self.store, self.location, is_meant).await? {
            return Ok(Some(found));
        }
        Ok(refused_above(self.store, &self.as_stored(folder), false).await)
    }

    /// Of a file that is named.
    pub(crate) async fn found_above(&self) -> Option<NoSource> {
        refused_above(self.store, &self.as_stored(self.location.raw_key()), false).await
    }

    /// Refuses the location for what was found.
    ///
    /// # Errors
    /// [`Error::NoSource`].
    pub(crate) fn no_source(&self, found: Option<NoSource>) -> Result<()> {
        let (at, table, location) = (self.at.clone(), self.table.name.clone(), self.location.to_string());
        found.map_or(Ok(()), |NoSource { problem, help }| Err(Error::NoSource { at, table, location, problem, help }))
    }

    /// A folder as the disk knows it, without links; in a store as it is.
    fn as_stored(&self, folder: &str) -> Location {
        let written = self.location.with_key(folder);
        let canonical = local_path(&written).and_then(|path| std::fs::canonicalize(path).ok());
        let canonical = canonical.and_then(|path| Location::parse(path.to_str()?, Path::new("/")).ok());
        canonical.unwrap_or(written)
    }

    /// Why the files of a manifest are none: one lies in a place of this config, or the first or last of their folders
    /// in the output of another.
    pub(crate) async fn of_manifest(&self, files: &[FileEntry]) -> Option<NoSource> {
        let mut folders: Vec<&str> = files.iter().filter_map(|file| Some(file.uri.rsplit_once('/')?.0)).collect();
        folders.sort_unstable();
        folders.dedup();
        let folders: Vec<Location> = folders.into_iter().filter_map(|uri| Location::from_uri(uri).ok()).collect();
        if let Some((folder, place)) = folders.iter().find_map(|folder| Some((folder, self.own.holding(folder)?))) {
            return Some(self.own.refused_below(&folder.to_string(), place));
        }
        let last = folders.last().filter(|last| folders.first() != Some(last));
        let of_this_store = |folder: &&Location| folder.store() == self.location.store();
        for folder in folders.first().into_iter().chain(last).filter(of_this_store) {
            if let Some(NoSource { problem, help }) = refused_above(self.store, folder, true).await {
                return Some(NoSource { problem: format!("lists files in {folder}, which {problem}"), help });
            }
        }
        None
    }

    /// Why a folder that a link leads to is no source.
    async fn linked(&self, target: &Path, path: &str) -> Option<NoSource> {
        if let Some(place) = self.own.inside(target) {
            return Some(self.own.refused_below(path, place));
        }
        let folder = Location::parse(target.to_str()?, Path::new("/")).ok()?;
        let NoSource { problem, help } = refused_above(self.store, &folder, true).await?;
        Some(NoSource { problem: format!("leads by {path} to {folder}, which {problem}"), help })
    }
}
