//! The folder of a mongodump as tables: which files are whose, and what is missing.
//!
//! ```text
//! dump/prelude.json                 versions of server and tool, from 100.12 on; with --db it is in the database's folder
//! dump/oplog.bson                   what was written during the dump, of all collections: no table
//! dump/DB/NAME.bson                 documents
//! dump/DB/NAME.metadata.json        options, indexes, uuid, and since 2019 the collection's name and type
//! dump/DB/system.buckets.NAME.bson  documents of the time series NAME, whose own file is its metadata only
//! ```
//!
//! All may end in `.gz`. Names are written as in a URL; a long one is cut and has a digest, and then only the metadata
//! has the whole name. Metadata are written before documents, so metadata alone are a dump that did not end, but for
//! views and time series. Nothing says how many documents there are, nor that the dump has ended: a file that was cut
//! between two documents is not noticed. Pure; what the files contain is the business of others.
//!
//! Source: mongodump/prepare.go and mongorestore/filepath.go of <https://github.com/mongodb/mongo-tools>.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use thiserror::Error;

/// Length of a name that was cut, and the mark before its digest.
const CUT_NAME: usize = 238;
const CUT_MARK: &str = "%24";

const BUCKETS: &str = "system.buckets.";

/// A file of the folder, by its path from there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DumpFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) size: u64,
}

/// What the documents of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MongoContent {
    Documents,
    /// The result of a view (`--viewsAsCollections`).
    View,
    /// Buckets of a time series: a document has many measurements, in a form of the server's own.
    Buckets,
}

/// A collection that has documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MongoTable {
    /// Empty: the folder is that of one database, and its name is not in it.
    pub(crate) database: String,
    pub(crate) collection: String,
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) is_compressed: bool,
    pub(crate) content: MongoContent,
    pub(crate) uuid: Option<String>,
    /// The server's own: databases admin, config and local, and collections that begin with `system.` or `$`.
    pub(crate) is_internal: bool,
}

/// What is wrong with a folder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum MongodumpFault {
    #[error(
        "{0} is an archive of mongodump, which is not read; make a folder of it with mongorestore and mongodump --out"
    )]
    Archive(String),
    #[error("{0} has no documents beside it: the dump did not end, or files are missing")]
    NoDocuments(String),
    #[error("{0} has no metadata beside it, which other files of its database have")]
    NoMetadata(String),
    #[error("{0} and {1} are the same collection")]
    Twice(String, String),
    #[error("{path} is no metadata of mongodump: {reason}")]
    MongoMetadata { path: String, reason: String },
    #[error("{0} has a name that is cut, and no metadata that have the whole name")]
    CutName(String),
    #[error("{0} has a name that is not written as mongodump does it")]
    Name(String),
}

/// What a folder has.
#[derive(Debug, Default)]
pub(crate) struct Mongodump {
    /// Sorted by database and collection.
    pub(crate) tables: Vec<MongoTable>,
    /// With any of these the folder is not complete.
    pub(crate) faults: Vec<MongodumpFault>,
    /// What people should know, in sentences.
    pub(crate) notes: Vec<String>,
    /// Versions of the server and of mongodump.
    pub(crate) server: Option<String>,
    pub(crate) tool: Option<String>,
}

/// The files of one collection, by the name that they have.
#[derive(Debug, Default)]
struct CollectionFiles<'a> {
    documents: Option<DumpFile<'a>>,
    metadata: Option<&'a str>,
}

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MongoFileKind {
    Documents,
    MongoMetadata,
    Prelude,
    Oplog,
    Archive,
    Other,
}

/// The parts of metadata that matter here.
#[derive(Debug, Default)]
struct MongoMetadata {
    collection: Option<String>,
    uuid: Option<String>,
    is_view: bool,
    is_time_series: bool,
}

/// Reads a listing; `texts` has the text of each file of metadata and of the prelude, by its path, uncompressed.
pub(crate) fn read_mongodump(files: &[DumpFile<'_>], texts: &HashMap<&str, &str>) -> Mongodump {
    let mut dump = Mongodump::default();
    let mut collections: BTreeMap<(&str, &str), CollectionFiles<'_>> = BTreeMap::new();
    for file in files {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", file.path));
        let (kind, stem) = kind_of(name);
        match kind {
            MongoFileKind::Prelude => dump.read_prelude(texts.get(file.path).copied().unwrap_or_default()),
            MongoFileKind::Oplog => dump.notes.push(format!(
                "{} has what was written while the dump was made; it is not applied, so collections may be of different moments",
                file.path
            )),
            MongoFileKind::Archive => dump.faults.push(MongodumpFault::Archive(file.path.to_owned())),
            _ if folder.contains('/') => dump.notes.push(format!("{} is not read, since it lies too deep", file.path)),
            MongoFileKind::Other => dump.notes.push(format!("{} is not read", file.path)),
            MongoFileKind::Documents | MongoFileKind::MongoMetadata => {
                let found = collections.entry((folder, stem)).or_default();
                let other = match kind {
                    MongoFileKind::Documents => found.documents.replace(*file).map(|other| other.path),
                    _ => found.metadata.replace(file.path),
                };
                if let Some(other) = other {
                    dump.faults.push(MongodumpFault::Twice(other.to_owned(), file.path.to_owned()));
                }
            }
        }
    }
    for ((folder, stem), found) in &collections {
        let has_buckets =
            || collections.get(&(*folder, &*format!("{BUCKETS}{stem}"))).is_some_and(|b| b.documents.is_some());
        let others = || collections.range((*folder, "")..).take_while(|((other, _), _)| other == folder);
        let has_metadata = || others().any(|(_, files)| files.metadata.is_some());
        let series = stem.strip_prefix(BUCKETS).and_then(|name| collections.get(&(*folder, name)));
        let series = series.and_then(|files| files.metadata);
        dump.read_collection(folder, stem, found, series, texts, &has_buckets, &has_metadata);
    }
    dump.tables.sort_by(|a, b| (&a.database, &a.collection).cmp(&(&b.database, &b.collection)));
    dump
}

impl Mongodump {
    #[allow(clippy::too_many_arguments)]
    fn read_collection(
        &mut self,
        folder: &str,
        stem: &str,
        files: &CollectionFiles<'_>,
        series: Option<&str>,
        texts: &HashMap<&str, &str>,
        has_buckets: &dyn Fn() -> bool,
        has_metadata: &dyn Fn() -> bool,
    ) {
        let place = files.metadata.or(series);
        let metadata = match place.map(|path| (path, metadata_of(texts.get(path).copied().unwrap_or_default()))) {
            None => MongoMetadata::default(),
            Some((_, Ok(metadata))) => metadata,
            Some((path, Err(reason))) => {
                self.faults.push(MongodumpFault::MongoMetadata { path: path.to_owned(), reason });
                return;
            }
        };
        let Some(documents) = files.documents else {
            let path = files.metadata.unwrap_or_default().to_owned();
            if metadata.is_view {
                self.notes.push(format!("{path} is a view, of which the dump has no documents"));
            } else if !(metadata.is_time_series && has_buckets()) {
                self.faults.push(MongodumpFault::NoDocuments(path));
            }
            return;
        };
        let path = documents.path.to_owned();
        let is_cut = stem.len() == CUT_NAME && stem.contains(CUT_MARK);
        let name = match (&metadata.collection, is_cut) {
            (Some(name), true) => Some(name.clone()),
            (None, true) => {
                self.faults.push(MongodumpFault::CutName(path));
                return;
            }
            _ => decoded(stem),
        };
        let Some(collection) = name else {
            self.faults.push(MongodumpFault::Name(path));
            return;
        };
        let is_internal = matches!(folder, "admin" | "config" | "local")
            || (collection.starts_with("system.") && !collection.starts_with(BUCKETS))
            || collection.starts_with('$');
        // Old servers' own collections never had metadata.
        if place.is_none() && !is_internal && has_metadata() {
            self.faults.push(MongodumpFault::NoMetadata(path.clone()));
        }
        let content = match () {
            () if metadata.is_time_series || collection.starts_with(BUCKETS) => MongoContent::Buckets,
            () if metadata.is_view => MongoContent::View,
            () => MongoContent::Documents,
        };
        if content == MongoContent::Buckets {
            self.notes.push(format!("{path} has the buckets of a time series, not its measurements"));
        }
        if let Some(stated) = metadata.collection.filter(|stated| *stated != collection && series.is_none()) {
            self.notes.push(format!("{path} was renamed: its metadata are those of {stated}"));
        }
        self.tables.push(MongoTable {
            database: folder.to_owned(),
            collection,
            size: documents.size,
            is_compressed: is_gzip(&path),
            path,
            content,
            uuid: metadata.uuid,
            is_internal,
        });
    }

    fn read_prelude(&mut self, text: &str) {
        let prelude: Value = serde_json::from_str(text).unwrap_or_default();
        let part = |name: &str| prelude.get(name).and_then(Value::as_str).map(str::to_owned);
        (self.server, self.tool) = (part("ServerVersion"), part("ToolVersion"));
    }
}

fn is_gzip(path: &str) -> bool {
    path.len() > 3 && path.get(path.len() - 3..) == Some(".gz")
}

/// What a file is, and its name without what says so.
fn kind_of(name: &str) -> (MongoFileKind, &str) {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    match plain {
        "prelude.json" => (MongoFileKind::Prelude, plain),
        "oplog.bson" => (MongoFileKind::Oplog, plain),
        "archive" => (MongoFileKind::Archive, plain),
        _ => {
            let kinds = [
                (".metadata.json", MongoFileKind::MongoMetadata),
                (".bson", MongoFileKind::Documents),
                (".archive", MongoFileKind::Archive),
            ];
            let found = kinds.iter().find_map(|(end, kind)| Some((*kind, plain.strip_suffix(end)?)));
            found.unwrap_or((MongoFileKind::Other, name))
        }
    }
}

fn metadata_of(text: &str) -> Result<MongoMetadata, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(members) = value else { return Err("it is no object".to_owned()) };
    if !members.contains_key("indexes") && !members.contains_key("options") {
        return Err("it has neither indexes nor options".to_owned());
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let has_option = |name: &str| members.get("options").is_some_and(|options| options.get(name).is_some());
    Ok(MongoMetadata {
        collection: text("collectionName").map(str::to_owned),
        uuid: text("uuid").map(str::to_owned),
        is_view: text("type") == Some("view") || has_option("viewOn"),
        is_time_series: text("type") == Some("timeseries") || has_option("timeseries"),
    })
}

/// A name as it was before it was written as in the query of a URL.
fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((byte, others)) = rest.split_first() {
        rest = others;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, others) = others.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = others;
            }
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],"uuid":"8ca3cf00f65d45be","collectionName":"orders","type":"collection"}"#;
    const VIEW: &str =
        r#"{"options":{"viewOn":"orders","pipeline":[]},"indexes":[],"uuid":"","collectionName":"v","type":"view"}"#;
    const SERIES: &str =
        r#"{"options":{"timeseries":{"timeField":"t"}},"indexes":[],"collectionName":"ts","type":"timeseries"}"#;

    fn read(files: &[&str], texts: &[(&'static str, &'static str)]) -> Mongodump {
        let files: Vec<_> = files.iter().map(|path| DumpFile { path, size: 7 }).collect();
        read_mongodump(&files, &texts.iter().copied().collect())
    }

    fn names(dump: &Mongodump) -> Vec<String> {
        dump.tables.iter().map(|table| format!("{}.{} {:?}", table.database, table.collection, table.content)).collect()
    }

    #[test]
    fn a_complete_folder_gives_tables_and_no_faults() {
        let dump = read(
            &[
                "prelude.json",
                "oplog.bson",
                "shop/orders.bson.gz",
                "shop/orders.metadata.json.gz",
                "shop/v.metadata.json",
                "shop/ts.metadata.json",
                "shop/system.buckets.ts.bson",
                "admin/system.version.bson",
            ],
            &[
                ("prelude.json", r#"{"ServerVersion":"8.0.1","ToolVersion":"100.12.0"}"#),
                ("shop/orders.metadata.json.gz", PLAIN),
                ("shop/v.metadata.json", VIEW),
                ("shop/ts.metadata.json", SERIES),
            ],
        );
        assert_eq!(dump.faults, []);
        let expected = ["admin.system.version Documents", "shop.orders Documents", "shop.system.buckets.ts Buckets"];
        assert_eq!(names(&dump), expected);
        assert_eq!((dump.server.as_deref(), dump.tool.as_deref()), (Some("8.0.1"), Some("100.12.0")));
        assert!(dump.tables[0].is_internal && dump.tables[1].is_compressed && !dump.tables[2].is_internal);
        assert_eq!(dump.notes.len(), 3);
    }

    #[test]
    fn what_is_missing_or_twice_is_a_fault() {
        let dump = read(&["d/a.metadata.json", "d/b.bson"], &[("d/a.metadata.json", PLAIN)]);
        let expected =
            [MongodumpFault::NoDocuments("d/a.metadata.json".into()), MongodumpFault::NoMetadata("d/b.bson".into())];
        assert_eq!(dump.faults, expected);
        assert_eq!(read(&["d/b.bson"], &[]).faults, []);
        let twice = read(&["d/b.bson", "d/b.bson.gz"], &[]);
        assert_eq!(twice.faults, [MongodumpFault::Twice("d/b.bson".into(), "d/b.bson.gz".into())]);
        let series = read(&["d/ts.metadata.json"], &[("d/ts.metadata.json", SERIES)]);
        assert_eq!(series.faults, [MongodumpFault::NoDocuments("d/ts.metadata.json".into())]);
        assert!(matches!(read(&["x.archive.gz"], &[]).faults[..], [MongodumpFault::Archive(_)]));
        let bad = read(&["d/a.bson", "d/a.metadata.json"], &[("d/a.metadata.json", "[]")]);
        assert!(matches!(bad.faults[..], [MongodumpFault::MongoMetadata { .. }]) && bad.tables.is_empty());
    }

    #[test]
    fn names_are_decoded_and_cut_ones_come_from_the_metadata() {
        let dump = read(&["d/a%2Fb+c%C3%A9.bson"], &[]);
        assert_eq!(dump.tables[0].collection, "a/b cé");
        assert!(matches!(read(&["d/a%2.bson"], &[]).faults[..], [MongodumpFault::Name(_)]));
        let cut: &'static str = format!("d/{}%24{}", "x".repeat(208), "y".repeat(27)).leak();
        let (documents, metadata): (&str, &'static str) =
            (&format!("{cut}.bson"), format!("{cut}.metadata.json").leak());
        assert_eq!(read(&[documents, metadata], &[(metadata, PLAIN)]).tables[0].collection, "orders");
        assert!(matches!(read(&[documents], &[]).faults[..], [MongodumpFault::CutName(_)]));
    }
}
