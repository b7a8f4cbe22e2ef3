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

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::bytes::compression_of;
use super::content::{Content, TextKind, text_kind};
use super::cover::{Meant, by_name, ending, hidden, is_hidden};
use super::folders::FolderKeys;
use super::left_out::{LeftOutReason, LeftOutTally};
use super::peek::{HEAD, Peeked, peek};
use super::table_format::{table_above, table_of};
use super::unlisted::{is_reserved, unlisted};
use crate::config::{Compression, CsvOptions, FileFormat, SnapshotTable};
use crate::error::{Error, Position, Result};
use crate::layout::{Location, store_of};
use crate::manifest::codec::{decode_files, decode_foreign_summary};
use crate::manifest::ledger::store_error;
use crate::manifest::{FileEntry, bare_etag};
use crate::session::Stores;
use crate::spread::{spread, turn};

/// Files that are looked into at once: small requests, so more than there are cores.
const AT_ONCE: usize = 32;

/// First bytes that distinguish Parquet from all else.
const MAGIC: u64 = 4 << 10;

/// Kinds of endings that an error lists when no file is read.
const ENDINGS: usize = 20;

/// The files of a table's locations.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<FileEntry>,
    pub(super) left_out: LeftOutTally,
    pub(super) keys: FolderKeys,
    /// How files are packed whose content was looked at, and how many there are.
    packed: Vec<(Compression, u64)>,
    /// One of them whose name says another compression.
    misnamed: Option<(Compression, String)>,
}

/// What one location holds, while it is listed.
struct Below<'a> {
    table: &'a SnapshotTable,
    location: &'a Location,
    at: &'a Position,
    store: &'a Arc<dyn ObjectStore>,
}

impl Listing {
    /// Lists a location.
    ///
    /// # Errors
    /// [`Error::NoFiles`], [`Error::UncertainFiles`], [`Error::TableFormat`], [`Error::Manifest`], [`Error::Store`].
    pub(super) async fn add(
        &mut self,
        stores: &Stores,
        table: &SnapshotTable,
        location: &Location,
        at: &Position,
    ) -> Result<()> {
        let store = stores.open(location).await?;
        let key = location.raw_key();
        if is_manifest(location) {
            let files = read_manifest(stores, &store, location).await?;
            for file in files {
                // What is left out as empty must be so by the manifest, too.
                if let (0, Some(stated @ 1..)) = (file.size, file.n_record) {
                    let (of, uri) = (format!("snapshot.{}", table.name), file.uri.to_string());
                    return Err(Error::RowsDiffer { of, uri, statement: "the snapshot's manifest", stated, read: 0 });
                }
                self.take(table, Arc::clone(&file.uri).trim_start_matches(store_of(&file.uri)), file);
            }
            return Ok(());
        }
        let below = Below { table, location, at, store: &store };
        if let Some(wildcard) = key.find(['*', '?', '[']) {
            let pattern = Pattern::new(key).map_err(|_| Error::Location {
                location: location.to_string(),
                reason: "it is not a glob; use *, **, ? and [abc]",
            })?;
            let folder = key[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder);
            return self.add_folder(&below, folder, Some(&pattern)).await;
        }
        if !location.is_folder() {
            if location.is_local() && is_reserved(key.rsplit('/').next().unwrap_or_default()) {
                let reason = "files whose names end with # and digits cannot be read; rename it";
                return Err(Error::Location { location: location.to_string(), reason });
            }
            match store.head(&location.key()?).await {
                Ok(meta) => {
                    let name = key.rsplit('/').next().unwrap_or_default();
                    self.take(table, name, entry(location, &meta));
                    return Ok(());
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(store_error("read", location, source)),
            }
        }
        self.add_folder(&below, key, None).await
    }

    /// A file that is named, or said to be data; it may still be empty or excluded.
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
        let Below { table, location, store, .. } = *below;
        let folder = folder.trim_end_matches('/');
        let prefix = location.with_key(folder).key()?;
        let before = self.files.len();
        let mut found = FoundBelow::default();
        let mut listing = store.list(Some(&prefix));
        while let Some(meta) = listing.next().await {
            let meta = meta.map_err(|source| store_error("list", location, source))?;
            let key = meta.location.as_ref();
            let path = key.get(folder.len()..).unwrap_or_default().trim_start_matches('/');
            if !table.ignore_table_format
                && let Some((format, length)) = table_of(path)
            {
                let root = location.with_key(folder).join(&path[..length]).to_string();
                return Err(below.refused(root, format.name(), path.to_owned()));
            }
            self.sort(below, &mut found, path, entry(location, &meta), pattern);
        }
        if !table.ignore_table_format
            && let Some((format, evidence)) = table_above(store, location, folder).await?
        {
            let evidence = location.with_key(&evidence).to_string();
            return Err(below.refused(location.to_string(), format.name(), evidence));
        }
        for (path, what) in unlisted(location, folder).await {
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

    /// Decides what becomes of a name that stands in the folder and is no file that can be read.
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
        let bytes = if matches!(table.format, FileFormat::Parquet) { MAGIC } else { HEAD };
        let jobs = files.iter().map(|file| {
            let (store, file, format) = (Arc::clone(below.store), file.clone(), table.format.clone());
            async move {
                let _turn = turn().await;
                Ok(told(&format, &peek(&store, &file, bytes).await?))
            }
        });
        let mut told = std::pin::pin!(spread(jobs, AT_ONCE));
        let mut uncertain: Option<Doubtful> = None;
        for file in &files {
            let Some(told) = told.try_next().await? else { break };
            let key = key_of(file, below.location);
            let path = key.get(folder.len()..).unwrap_or_default().trim_start_matches('/');
            match told {
                Told::Data(compression) => {
                    self.note_compression(compression, file, compression_of(&below.location.with_key(key).key()?));
                    self.take(table, path, file.clone());
                }
                Told::OtherFormat => self.left_out.add(LeftOutReason::OtherFormat, &file.uri, file.size),
                Told::Document => self.left_out.add(LeftOutReason::Document, &file.uri, file.size),
                Told::Uncertain(reason) => Doubtful::add(&mut uncertain, &file.uri, &reason),
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
    pub(super) fn format(&self, table: &SnapshotTable) -> Result<FileFormat> {
        let mut format = table.format.clone();
        let (FileFormat::Csv(CsvOptions { text, .. }) | FileFormat::Json(text)) = &mut format else {
            return Ok(format);
        };
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

/// What the content of a file says.
enum Told {
    /// Data of the table, so compressed.
    Data(Compression),
    OtherFormat,
    Document,
    /// Why it is not clear.
    Uncertain(String),
}

fn told(format: &FileFormat, peeked: &Peeked) -> Told {
    let packed = match peeked.content {
        Content::Packed(packed) => packed,
        _ => Compression::None,
    };
    let is_parquet = matches!(format, FileFormat::Parquet);
    let text = match (peeked.content, &peeked.text) {
        (Content::Parquet, _) if is_parquet => return Told::Data(packed),
        (Content::Packed(_), Err(reason)) => return Told::Uncertain(reason.clone()),
        (Content::Packed(_), Ok(_)) if is_parquet => return Told::OtherFormat,
        (Content::Other(what), _) if !is_parquet => return Told::Uncertain(what.to_owned()),
        (_, Ok(text)) if !is_parquet => String::from_utf8_lossy(text),
        _ => return Told::OtherFormat,
    };
    if text.trim().is_empty() {
        return Told::Data(packed);
    }
    let is_one_long_line = peeked.is_cut && !text.contains('\n');
    match (text_kind(&text, peeked.is_cut), format) {
        (TextKind::Document(_), _) => Told::Document,
        (TextKind::Lines, FileFormat::Csv(_)) | (TextKind::Ndjson, FileFormat::Json(_)) => Told::Data(packed),
        (TextKind::Other(_), FileFormat::Json(_)) if is_one_long_line && text.trim_start().starts_with('{') => {
            Told::Data(packed)
        }
        (TextKind::Other(what), _) => Told::Uncertain(what.to_owned()),
        _ => Told::OtherFormat,
    }
}

/// Files that may hold rows or not.
#[derive(Debug)]
struct Doubtful {
    uri: String,
    reason: String,
    more: u64,
}

impl Doubtful {
    /// Adds a file; the first by name is the example.
    fn add(all: &mut Option<Self>, uri: &str, reason: &str) {
        match all {
            None => *all = Some(Self { uri: uri.to_owned(), reason: reason.to_owned(), more: 0 }),
            Some(first) => {
                first.more += 1;
                if uri < first.uri.as_str() {
                    uri.clone_into(&mut first.uri);
                    reason.clone_into(&mut first.reason);
                }
            }
        }
    }

    /// A glob that means files of this kind, or this one where others of its ending are read; as an option takes it.
    fn glob(uri: &str, read: &[FileEntry]) -> String {
        let name = uri.rsplit('/').next().unwrap_or_default();
        let of_ending = name.rfind('.').map(|dot| &name[dot..]).filter(|ending| ending.len() > 1);
        let glob = match of_ending {
            Some(ending) if !read.iter().any(|file| file.uri.ends_with(ending)) => {
                format!("*{}", Pattern::escape(ending))
            }
            _ => Pattern::escape(name),
        };
        glob.replace(',', "?").replace('\'', "''")
    }
}

/// What was met below one folder besides what is read.
#[derive(Debug, Default)]
struct FoundBelow {
    unknown: Vec<FileEntry>,
    doubtful: Option<Doubtful>,
    finished: bool,
    empty: u64,
    /// The last empty file, path and uri: a store may list the mark of a folder before what is in it.
    last_empty: Option<(String, String)>,
    files: u64,
    hidden: u64,
    endings: BTreeMap<String, u64>,
}

impl FoundBelow {
    fn note(&mut self, path: &str) {
        self.files += 1;
        if path.split('/').any(is_hidden) {
            self.hidden += 1;
            return;
        }
        let ending = ending(path);
        if self.endings.len() < ENDINGS || self.endings.contains_key(&ending) {
            *self.endings.entry(ending).or_default() += 1;
        }
    }

    /// `16 files *.csv.gz and 1 hidden file are there`.
    fn there(&self) -> String {
        let mut endings: Vec<_> = self.endings.iter().collect();
        endings.sort_by_key(|(_, files)| std::cmp::Reverse(**files));
        let files = |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        let told = endings.iter().take(5).map(|(ending, count)| match ending.as_str() {
            "" => format!("{} without an ending", files(**count)),
            ending => format!("{} *{ending}", files(**count)),
        });
        let mut told: Vec<String> = told.collect();
        let hidden =
            if self.hidden == 1 { "1 hidden file".to_owned() } else { format!("{} hidden files", self.hidden) };
        told.extend((self.hidden > 0).then_some(hidden));
        let verb = if self.files == 1 { "is" } else { "are" };
        match told.pop() {
            None => "nothing is there; check the path".to_owned(),
            Some(last) if told.is_empty() => format!("{last} {verb} there"),
            Some(last) => format!("{} and {last} are there", told.join(", ")),
        }
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
        let said = match (found.empty, spelled) {
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
            found: said,
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

/// Whether a location names a summary in the form of `s3manifesto`.
fn is_manifest(location: &Location) -> bool {
    let name = location.raw_key().rsplit('/').next().unwrap_or_default();
    name.starts_with("manifest-summary") && name.ends_with(".json")
}

fn entry(location: &Location, meta: &ObjectMeta) -> FileEntry {
    FileEntry {
        uri: location.with_key(meta.location.as_ref()).uri().into(),
        etag: bare_etag(meta.e_tag.as_deref().unwrap_or_default()).into(),
        size: meta.size,
        n_record: None,
        partition: None,
    }
}

/// The files that a manifest lists, given the location of its summary.
///
/// # Errors
/// [`Error::Manifest`], [`Error::Store`], [`Error::Location`].
pub(crate) async fn read_manifest(
    stores: &Stores,
    store: &Arc<dyn ObjectStore>,
    location: &Location,
) -> Result<Vec<FileEntry>> {
    let get = async |store: &Arc<dyn ObjectStore>, location: &Location| {
        let failed = |source| store_error("read", location, source);
        store.get(&location.key()?).await.map_err(failed)?.bytes().await.map_err(failed)
    };
    let head = decode_foreign_summary(&get(store, location).await?, &location.to_string())?;
    let data = if head.manifest.contains("://") {
        Location::from_uri(&head.manifest)?
    } else {
        Location::parse(&head.manifest, std::path::Path::new("/"))?
    };
    let mut files = decode_files(get(&stores.open(&data).await?, &data).await?, &data.to_string())?;
    let rows = files.iter().map(|file| file.n_record).sum::<Option<u64>>();
    if let (Some(stated), Some(listed)) = (head.n_record, rows)
        && stated != listed
    {
        let reason = format!("its summary says {stated} rows, its files have {listed}");
        return Err(Error::Manifest { uri: data.to_string(), reason });
    }
    let size: u64 = files.iter().map(|file| file.size).sum();
    if size != head.size {
        let reason = format!("its summary says {} bytes, its files have {size}", head.size);
        return Err(Error::Manifest { uri: data.to_string(), reason });
    }
    // Each bucket, and each key with a query: what cannot be read, or holds a credential, gets into no manifest of
    // ours.
    for of_store in files.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
        Location::from_uri(&of_store[0].uri)?;
    }
    for file in files.iter().filter(|file| file.uri.contains('?')) {
        Location::from_uri(&file.uri)?;
    }
    files.iter_mut().for_each(|file| file.partition = None);
    Ok(files)
}
