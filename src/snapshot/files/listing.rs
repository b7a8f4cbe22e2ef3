//! Which files a LOCATION names, and which below it are left out.
//!
//! ```text
//! a file, a manifest   what it names is read, whatever it is called
//! a glob               what it matches is read, but for hidden names that it does not spell out
//! a folder             files whose name says that they are data, or whose content does if the name says nothing
//! ```
//!
//! One LIST per folder. A file without a known ending costs one request more, for its first bytes; others cost none.
//! What may hold rows or not is an error that names it ([`Error::UncertainFiles`]); all else that is not read is
//! counted with its reason.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::{ObjectStore, ObjectStoreExt};

use super::cover::{Meant, by_name, hidden, is_hidden};
use super::folders::FolderKeys;
use super::found::{Doubtful, FoundBelow, MeantBelow};
use super::left_out::{LeftOutReason, LeftOutTally};
use super::named::{NamedFiles, entry, glob_of, named};
use super::own::Own;
use super::table_format::{table_above, table_of};
use super::unlisted::walked;
use super::verdict::{ContentVerdict, contents};
use crate::config::{Compression, FileFormat, SnapshotTable};
use crate::error::{Error, Position, Result};
use crate::layout::split::split_of;
use crate::layout::store_error;
use crate::layout::{Location, store_of};
use crate::manifest::FileEntry;
use crate::session::Stores;
use crate::snapshot::text::bytes::compression_of;

/// The files of a table's locations.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<FileEntry>,
    pub(crate) left_out: LeftOutTally,
    pub(crate) keys: FolderKeys,
    /// Whether a manifest lists some of them.
    pub(crate) is_listed: bool,
    /// How files are packed whose content was looked at, and how many there are.
    packed: Vec<(Compression, u64)>,
    /// One of them whose name says another compression.
    misnamed: Option<(Compression, String)>,
}

/// What one location holds, while it is listed.
pub(crate) struct Below<'a> {
    pub(crate) own: &'a Arc<Own>,
    pub(crate) table: &'a SnapshotTable,
    pub(crate) location: &'a Location,
    pub(crate) at: &'a Position,
    pub(crate) store: &'a Arc<dyn ObjectStore>,
}

impl Listing {
    /// Lists a location.
    ///
    /// # Errors
    /// [`Error::NoFiles`], [`Error::UncertainFiles`], [`Error::TableFormat`], [`Error::NoSource`], [`Error::Manifest`],
    /// [`Error::Store`].
    pub(crate) async fn add(
        &mut self,
        stores: &Stores,
        own: &Arc<Own>,
        table: &SnapshotTable,
        location: &Location,
        at: &Position,
    ) -> Result<()> {
        let store = stores.open(location).await?;
        let below = Below { own, table, location, at, store: &store };
        if glob_of(location)?.is_none() {
            below.no_source(own.refused(location, None, &table.exclude))?;
        }
        match named(stores, &store, location).await? {
            NamedFiles::Manifest(files) => {
                below.no_source(below.of_manifest(&files).await)?;
                for file in files {
                    // What is left out as empty must be so by the manifest, too.
                    if let (0, Some(stated @ 1..)) = (file.size, file.n_record) {
                        let (of, uri) = (format!("snapshot.{}", table.name), file.uri.to_string());
                        let statement = "the snapshot's manifest";
                        return Err(Error::RowsDiffer { of, uri, statement, stated, read: 0 });
                    }
                    self.take_listed(table, file);
                }
                Ok(())
            }
            NamedFiles::File(file) => {
                below.no_source(below.found_above().await)?;
                self.take_named(table, file);
                Ok(())
            }
            NamedFiles::Folder(folder, pattern) => self.add_folder(&below, &folder, pattern.as_ref()).await,
        }
    }

    /// Lists a location to see what is there now: nothing is opened, and nothing is refused. What its name says nothing
    /// of is left in the answer.
    ///
    /// # Errors
    /// [`Error::Manifest`], [`Error::Store`], [`Error::Location`].
    pub(crate) async fn look(
        &mut self,
        stores: &Stores,
        table: &SnapshotTable,
        (location, at): (&Location, &Position),
    ) -> Result<FoundBelow> {
        let (store, own) = (stores.open(location).await?, Arc::default());
        let below = Below { own: &own, table, location, at, store: &store };
        match named(stores, &store, location).await? {
            NamedFiles::Manifest(files) => {
                self.is_listed = true;
                files.into_iter().for_each(|file| self.take_listed(table, file));
            }
            NamedFiles::File(file) => self.take_named(table, file),
            NamedFiles::Folder(folder, pattern) => {
                let mut found = FoundBelow::default();
                let mut listing = store.list(Some(&location.with_key(&folder).key()?));
                while let Some(meta) = listing.next().await {
                    let meta = meta.map_err(|source| store_error("list", location, source))?;
                    let path = path_below(&folder, meta.location.as_ref());
                    self.sort(&below, &mut found, path, entry(location, &meta), pattern.as_ref());
                }
                return Ok(found);
            }
        }
        Ok(FoundBelow::default())
    }

    fn take_listed(&mut self, table: &SnapshotTable, file: FileEntry) {
        self.take(table, Arc::clone(&file.uri).trim_start_matches(store_of(&file.uri)), file);
    }

    fn take_named(&mut self, table: &SnapshotTable, file: FileEntry) {
        let uri = Arc::clone(&file.uri);
        self.take(table, uri.rsplit('/').next().unwrap_or_default(), file);
    }

    /// A file that is named, or known to be data; it may still be empty or excluded.
    fn take(&mut self, table: &SnapshotTable, path: &str, file: FileEntry) {
        if table.exclude.has(path.trim_start_matches('/')) {
            self.left_out.add(LeftOutReason::Excluded, &file.uri, file.size);
        } else if file.size == 0 {
            self.left_out.add(LeftOutReason::Empty, &file.uri, 0);
        } else {
            self.keys.add(path);
            self.files.push(file);
        }
    }

    async fn add_folder(&mut self, below: &Below<'_>, folder: &str, pattern: Option<&Pattern>) -> Result<()> {
        let Below { table, location, store, own, .. } = *below;
        if let Some(pattern) = pattern {
            below.no_source(own.refused(location, Some((folder, pattern)), &table.exclude))?;
        }
        let prefix = location.with_key(folder).key()?;
        let before = self.files.len();
        let mut found = FoundBelow::default();
        let mut listing = store.list(Some(&prefix));
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|source| store_error("list", location, source))?;
            let key = meta.location.as_ref();
            let path = path_below(folder, key);
            if !table.ignore_table_format
                && let Some((format, length)) = table_of(path)
            {
                let root = location.with_key(folder).join(&path[..length]).to_string();
                return Err(below.refused(root, format.name(), path.to_owned()));
            }
            found.outputs.note(key);
            self.sort(below, &mut found, path, entry(location, &meta), pattern);
        }
        if !table.ignore_table_format
            && let Some((format, evidence)) = table_above(store, location, folder).await?
        {
            let evidence = location.with_key(&evidence).to_string();
            return Err(below.refused(location.to_string(), format.name(), evidence));
        }
        let walked = walked(location, folder, Some(own)).await;
        let read = self.files[before..].iter().chain(&found.unknown);
        let read = read.map(|file| path_below(folder, key_of(file, location)));
        let meant = MeantBelow::new(&table.exclude, pattern.map(|_| read.collect()));
        let outputs = std::mem::take(&mut found.outputs);
        below.no_source(below.found_below(folder, &meant, &walked, outputs).await?)?;
        for (path, what) in walked.unlisted {
            self.pass_over(below, &mut found, (location.with_key(folder).join(&path), path), what, pattern);
        }
        if let Some(doubtful) = found.doubtful.take() {
            return Err(below.uncertain(doubtful, &self.files));
        }
        self.look_into(below, folder, std::mem::take(&mut found.unknown)).await?;
        // An export of an empty table leaves its mark and no file; without declared columns there is no schema to go
        // by.
        let may_be_empty = table.declared.is_some() && (found.finished || found.empty > 0);
        if self.files.len() == before && !may_be_empty {
            let spelled = if pattern.is_some() { below.as_it_is_spelled().await } else { None };
            return Err(below.none(&found, spelled));
        }
        Ok(())
    }

    /// Decides by the name what becomes of a file; `path` counts from the folder on.
    fn sort(
        &mut self,
        below: &Below<'_>,
        found: &mut FoundBelow,
        path: &str,
        file: FileEntry,
        pattern: Option<&Pattern>,
    ) {
        let Below { table, location, .. } = *below;
        if let Some(marked) = found.last_empty.take().filter(|(empty, _)| is_in(path, empty)) {
            self.left_out.is_mark_after_all(&marked.1);
            found.empty = found.empty.saturating_sub(1);
        }
        let meant = match pattern {
            Some(pattern) => {
                let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
                if !pattern.matches_with(key_of(&file, location), options) {
                    found.note(path);
                    return;
                }
                if is_hidden_from(path, pattern) { Meant::Left(hidden(&table.format, path)) } else { Meant::Data }
            }
            None => by_name(&table.format, path),
        };
        found.note(path);
        if split_of(&file.uri).is_some() {
            return Doubtful::add(&mut found.doubtful, &file.uri, "its name ends like a part of a dump; rename it");
        }
        found.finished |= path.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("_SUCCESS"));
        if table.exclude.has(path) {
            return self.left_out.add(LeftOutReason::Excluded, &file.uri, file.size);
        }
        if file.size == 0 && !matches!(meant, Meant::Left(_)) {
            found.empty += 1;
            found.last_empty = Some((path.to_owned(), file.uri.to_string()));
            return self.left_out.add(LeftOutReason::Empty, &file.uri, 0);
        }
        match meant {
            Meant::Data => self.take(table, path, file),
            Meant::Left(LeftOutReason::HiddenData) if file.size == 0 => {
                self.left_out.add(LeftOutReason::Hidden, &file.uri, 0);
            }
            Meant::Left(reason) => self.left_out.add(reason, &file.uri, file.size),
            Meant::Doubtful(reason) => Doubtful::add(&mut found.doubtful, &file.uri, reason),
            Meant::Unknown => found.unknown.push(file),
        }
    }

    /// Decides what becomes of a name that is in the folder and is no file that can be read.
    fn pass_over(
        &mut self,
        below: &Below<'_>,
        found: &mut FoundBelow,
        (uri, path): (Location, String),
        what: &str,
        pattern: Option<&Pattern>,
    ) {
        let table = below.table;
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        if pattern.is_some_and(|pattern| !pattern.matches_with(uri.raw_key(), options)) {
            return;
        }
        let uri = uri.uri();
        match by_name(&table.format, &path) {
            _ if table.exclude.has(&path) => self.left_out.add(LeftOutReason::Excluded, &uri, 0),
            Meant::Left(reason) => self.left_out.add(reason, &uri, 0),
            _ => Doubtful::add(&mut found.doubtful, &uri, &format!("it is {what}")),
        }
    }

    /// Decides by their content what becomes of files whose names say nothing.
    async fn look_into(&mut self, below: &Below<'_>, folder: &str, files: Vec<FileEntry>) -> Result<()> {
        let table = below.table;
        let mut reported = std::pin::pin!(contents(below.store, &table.format, &files));
        let mut uncertain: Option<Doubtful> = None;
        for file in &files {
            let Some(reported) = reported.try_next().await? else { break };
            let key = key_of(file, below.location);
            let path = path_below(folder, key);
            match reported {
                ContentVerdict::Data(compression) => {
                    self.note_compression(compression, file, compression_of(&below.location.with_key(key).key()?));
                    self.take(table, path, file.clone());
                }
                ContentVerdict::OtherFormat => self.left_out.add(LeftOutReason::OtherFormat, &file.uri, file.size),
                ContentVerdict::Document => self.left_out.add(LeftOutReason::Document, &file.uri, file.size),
                ContentVerdict::Uncertain(reason) => Doubtful::add(&mut uncertain, &file.uri, &reason),
            }
        }
        uncertain.map_or(Ok(()), |uncertain| Err(below.uncertain(uncertain, &self.files)))
    }

    fn note_compression(&mut self, packed: Compression, file: &FileEntry, named: Compression) {
        match self.packed.iter_mut().find(|(other, _)| *other == packed) {
            Some((_, files)) => *files += 1,
            None => self.packed.push((packed, 1)),
        }
        if packed != named && self.misnamed.is_none() {
            self.misnamed = Some((packed, file.uri.to_string()));
        }
    }

    /// The format of all files: with their compression, where no name says it.
    ///
    /// # Errors
    /// [`Error::UncertainFiles`] when a name says another compression than the content, and not all files are alike.
    pub(crate) fn format(&self, table: &SnapshotTable) -> Result<FileFormat> {
        let mut format = table.format.clone();
        let Some(text) = format.text_mut() else { return Ok(format) };
        let Some((packed, example)) = self.misnamed.as_ref().filter(|_| text.compression.is_none()) else {
            return Ok(format);
        };
        if self.packed == [(*packed, self.files.len() as u64)] {
            text.compression = Some(*packed);
            return Ok(format);
        }
        let at = table.locations.first().map_or_else(|| table.at.clone(), |(_, at)| at.clone());
        let reason = "its name does not say how it is compressed, and other files are not alike; rename it".to_owned();
        let exclude = Doubtful::glob(example, &self.files);
        let (table, example) = (table.name.clone(), example.clone());
        Err(Error::UncertainFiles { at, table, example, more: 0, reason, exclude })
    }
}

impl Below<'_> {
    /// What to write for a glob that is the very name of a file or folder.
    async fn as_it_is_spelled(&self) -> Option<String> {
        let key = self.location.key().ok()?;
        let is_file = self.store.head(&key).await.is_ok();
        if !is_file && !matches!(self.store.list(Some(&key)).next().await, Some(Ok(_))) {
            return None;
        }
        let end = if is_file { "" } else { "/**" };
        Some([Pattern::escape(self.location.to_string().trim_end_matches('/')).as_str(), end].concat())
    }

    fn none(&self, found: &FoundBelow, spelled: Option<String>) -> Error {
        let message = match (found.empty, spelled) {
            (_, Some(spelled)) => {
                format!("its '*', '?' or '[' makes it a glob; for what has this very name write '{spelled}'")
            }
            (0, None) => found.there(),
            _ => format!("{}, and those of the format are empty; declare the columns of an empty table", found.there()),
        };
        Error::NoFiles {
            at: self.at.clone(),
            table: self.table.name.clone(),
            location: self.location.to_string(),
            format: self.table.format.name(),
            found: message,
        }
    }

    fn uncertain(&self, Doubtful { uri, reason, more }: Doubtful, read: &[FileEntry]) -> Error {
        let exclude = Doubtful::glob(&uri, read);
        let (at, table) = (self.at.clone(), self.table.name.clone());
        Error::UncertainFiles { at, table, example: uri, more, reason, exclude }
    }

    fn refused(&self, location: String, format: &'static str, evidence: String) -> Error {
        Error::TableFormat { at: self.at.clone(), location, format, evidence }
    }
}

/// Whether `path` is in a folder of this path.
fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a path has a hidden part that the glob does not spell out: `*` does not mean `_SUCCESS`, `_part-*` means
/// `_part-1`.
fn is_hidden_from(path: &str, pattern: &Pattern) -> bool {
    let is_spelled = |part: &str| {
        pattern.as_str().split('/').any(|of_pattern| {
            of_pattern.starts_with(['_', '.']) && Pattern::new(of_pattern).is_ok_and(|pattern| pattern.matches(part))
        })
    };
    path.split('/').any(|part| is_hidden(part) && !is_spelled(part))
}

fn key_of<'a>(file: &'a FileEntry, location: &Location) -> &'a str {
    file.uri[location.store().len()..].trim_start_matches('/')
}

/// What follows of a key after a folder of it.
fn path_below<'a>(folder: &str, key: &'a str) -> &'a str {
    key.get(folder.len()..).unwrap_or_default().trim_start_matches('/')
}
