//! Result of one listing: groups of files that may be a table, within bounds. Pure.
//!
//! A listing may have millions of files. Of each group are kept a few sums, what all of its names have in common, and
//! [`SAMPLE`] files; which ones depends on their names alone, so the order of the listing does not matter.
//!
//! ```text
//! orders/1/part-0001.parquet   orders/1/part-0002.parquet   orders/2/part-0001.parquet   README.md
//! '------------------- group: folder orders, ending .parquet, stem "" -------------'     ignored
//! ```
//!
//! A group is made by names alone; what is in the files is looked at later.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hasher;

use chrono::{DateTime, NaiveDateTime, Utc};
use twox_hash::XxHash64;

use super::dates::date_of;
use crate::config::{CsvOptions, FileFormat, JsonOptions};
use crate::init::names::{is_volatile, split_ending, stem};
use crate::layout::partition;
use crate::snapshot::LeftOutReason;
use crate::snapshot::exports::dms::load_file;
use crate::snapshot::files::cover::{Meant, by_name};
use crate::snapshot::files::folders::FolderType;
use crate::snapshot::files::table_format::{TableFormat, table_of};

/// Files kept of each group.
pub(crate) const SAMPLE: usize = 64;

/// Stems that one folder may have; beyond, its names are taken as arbitrary and the folder as one group.
const STEMS: usize = 64;

/// Groups that a location may have.
pub(crate) const GROUPS: usize = 20_000;

/// Files that a folder would mean though they belong to no table: folder and ending of each.
pub(crate) type Strays = BTreeSet<(String, String)>;

/// Dates of exports of one table.
const DATES: usize = 400;

/// Metadata files kept.
const CONTROL: usize = 1_000;

/// Partition keys kept of a group.
const KEYS: usize = 8;

/// A file below the location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedFile {
    /// From the location on, without a leading slash; empty if the location is the file.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Without quotes; empty when the store has none.
    pub(crate) etag: String,
}

/// What makes files one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Folder from the location on, without those that only count or partition.
    pub(crate) folder: String,
    /// In lower case with its dot.
    pub(crate) ending: String,
    /// See [`stem`].
    pub(crate) stem: String,
    /// That of a folder named by it, which `folder` ends with or holds then, or of the file's name.
    pub(crate) date: Option<NaiveDateTime>,
}

impl Key {
    /// Whether the files are those of a full load of AWS DMS.
    pub(crate) fn is_load(&self) -> bool {
        self.stem == LOAD
    }

    /// Of a folder of its own.
    pub(crate) fn of_folder(folder: &str) -> Self {
        Self { folder: folder.to_owned(), ending: String::new(), stem: String::new(), date: None }
    }

    /// The same, whatever the date is.
    pub(crate) fn undated(&self) -> Self {
        Self { folder: table_folder(&self.folder).to_owned(), date: None, ..self.clone() }
    }
}

/// Files that may be a table, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files of no bytes, not counted in `files`.
    pub(crate) empty: u64,
    pub(crate) newest: DateTime<Utc>,
    /// Whether a file lies in a folder below.
    pub(crate) is_nested: bool,
    /// Names in `key=value` folders, with their place in the path and what their values are.
    pub(crate) keys: BTreeMap<String, (usize, FolderType)>,
    /// What all file names begin and end with.
    pub(crate) prefix: String,
    pub(crate) suffix: String,
    /// At most [`SAMPLE`] files, by a hash of their path.
    sample: BTreeMap<(u64, String), ListedFile>,
}

impl Group {
    /// No files.
    pub(crate) fn none(newest: DateTime<Utc>) -> Self {
        Self::new("", newest)
    }

    /// These files, whatever they are called.
    pub(crate) fn of(files: Vec<ListedFile>, newest: DateTime<Utc>) -> Self {
        let mut group = Self::none(newest);
        for file in files.into_iter().filter(|file| file.size > 0) {
            group.files += 1;
            group.bytes += file.size;
            group.keep(file);
        }
        group
    }

    fn new(name: &str, newest: DateTime<Utc>) -> Self {
        Self {
            files: 0,
            bytes: 0,
            empty: 0,
            newest,
            is_nested: false,
            keys: BTreeMap::new(),
            prefix: name.to_owned(),
            suffix: name.to_owned(),
            sample: BTreeMap::new(),
        }
    }

    /// The files that were kept, by path; all of them if there are no more than [`SAMPLE`].
    pub(crate) fn sample(&self) -> Vec<&ListedFile> {
        let mut files: Vec<_> = self.sample.values().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    fn keep(&mut self, file: ListedFile) {
        let mut hasher = XxHash64::with_seed(0);
        hasher.write(file.path.as_bytes());
        self.sample.insert((hasher.finish(), file.path.clone()), file);
        if self.sample.len() > SAMPLE {
            self.sample.pop_last();
        }
    }

    /// Leaves of prefix and suffix what others begin and end with, too.
    fn shorten(&mut self, prefix: &str, suffix: &str) {
        let same = |(a, b): &(char, char)| a == b;
        let length = |shared: &mut dyn Iterator<Item = (char, char)>| shared.map(|(c, _)| c.len_utf8()).sum::<usize>();
        let start = length(&mut self.prefix.chars().zip(prefix.chars()).take_while(same));
        self.prefix.truncate(start);
        let end = length(&mut self.suffix.chars().rev().zip(suffix.chars().rev()).take_while(same));
        self.suffix.drain(..self.suffix.len() - end);
    }

    /// Takes in another group of the same folder.
    pub(crate) fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.empty += other.empty;
        self.newest = self.newest.max(other.newest);
        self.is_nested |= other.is_nested;
        for (key, (place, seen)) in other.keys {
            let of_key = self.keys.entry(key).or_insert((place, seen));
            of_key.0 = place.min(of_key.0);
            of_key.1.merge(seen);
        }
        self.shorten(&other.prefix, &other.suffix);
        other.sample.into_values().for_each(|file| self.keep(file));
    }
}

/// Files that belong to no table, by why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// The first of them by path.
    pub(crate) example: String,
    /// Whether rows may be in them that the config does not read.
    pub(crate) may_have_rows: bool,
}

/// What was listed so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) groups: BTreeMap<Key, Group>,
    pub(crate) ignored: BTreeMap<String, Ignored>,
    /// Metadata of exports and manifests, to be read.
    pub(crate) control: Vec<ListedFile>,
    /// Files that may be dumps of a database, by their names.
    pub(crate) dumps: Vec<ListedFile>,
    /// Paths of `.txt` files without this ending: beside a `.sql` they are rows of a table.
    pub(crate) texts: HashSet<String>,
    /// Where files lie that belong to no table and might be taken for a table's.
    pub(crate) strays: Strays,
    /// Folders of tables that have a log.
    pub(crate) table_formats: BTreeMap<String, TableFormat>,
    /// Folders that `_SUCCESS` ends, without those that only count.
    pub(crate) finished: BTreeSet<String>,
    /// Stems per folder and ending; None: too many to tell.
    stems: BTreeMap<(String, String), Option<usize>>,
    /// Dates per group that has none; None: too many for exports.
    dates: BTreeMap<Key, Option<usize>>,
    /// Groups that are no tables, since a later export has their rows, too.
    pub(crate) older: BTreeSet<Key>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) newest: Option<DateTime<Utc>>,
}

/// The folder that counts for a file: the text before the folders at the end that only count.
fn table_folder(folder: &str) -> &str {
    let mut kept = folder;
    while !kept.is_empty() {
        let (before, last) = kept.rsplit_once('/').unwrap_or(("", kept));
        if !is_volatile(last) {
            break;
        }
        kept = before;
    }
    kept
}

/// The key of a file's group.
pub(crate) fn key_of(path: &str) -> Key {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (before, ending) = split_ending(name);
    if is_load(name) {
        // All files of a load are one group, whatever hexadecimal digits their numbers have.
        return Key { folder: folder.to_owned(), stem: LOAD.to_owned(), ending, date: None };
    }
    let dated = date_of(path);
    let of_date = dated.map_or("", |(_, folder)| folder);
    let of_table = table_folder(folder);
    let of_table = if of_table.len() < of_date.len() { of_date } else { of_table };
    Key { folder: of_table.to_owned(), stem: stem(before), ending, date: dated.map(|(date, _)| date) }
}

/// Stem of the files of a full load of AWS DMS.
const LOAD: &str = "LOAD";

/// Whether a file is one of a full load of AWS DMS, as the export takes it: `LOAD0000000A.csv.gz`.
fn is_load(name: &str) -> bool {
    load_file(name).is_some()
}

/// What the name of a file says against it.
struct NoData {
    reason: &'static str,
    /// Whether a LOCATION of its folder leaves it out, too.
    is_left_out: bool,
    may_have_rows: bool,
}

/// Why a file is no table's, as its name says.
fn reason(path: &str, name: &str, ending: &str) -> Option<NoData> {
    let doubtful = |reason| Some(NoData { reason, is_left_out: false, may_have_rows: true });
    // Whatever the format is: other data is distinguished by its ending, and a copy of data is one for its own format.
    let meant = match by_name(&FileFormat::Parquet, path) {
        Meant::Left(LeftOutReason::OtherFormat) if !name.ends_with(".log") => {
            match by_name(&FileFormat::Csv(CsvOptions::default()), path) {
                Meant::Left(LeftOutReason::OtherFormat) => by_name(&FileFormat::Json(JsonOptions::default()), path),
                meant => meant,
            }
        }
        meant => meant,
    };
    match meant {
        Meant::Left(LeftOutReason::OtherFormat) | Meant::Data | Meant::Unknown => {}
        Meant::Left(reason) => {
            let may_have_rows = reason.may_have_rows();
            return Some(NoData { reason: reason.words(), is_left_out: true, may_have_rows });
        }
        Meant::Doubtful(_) if [".zip", ".tar", ".tgz", ".7z", ".rar"].iter().any(|end| ending.starts_with(end)) => {
            return doubtful("an archive; unpack it");
        }
        Meant::Doubtful(_) => return doubtful("a temporary file"),
    }
    if ending == ".log" || name.ends_with(".log") {
        return Some(NoData { reason: "a document", is_left_out: false, may_have_rows: false });
    }
    None
}

/// Whether a file describes an export or lists its files.
fn is_control(name: &str) -> bool {
    let starts = ["export_info_", "export_tables_info_", "manifest-summary"].iter().any(|word| name.starts_with(word));
    // UNLOAD of Redshift names its manifest so.
    (name.ends_with(".json") && (starts || name == "manifest-files.json")) || name.ends_with("manifest")
}

/// Whether mongodump gives its notes on a collection, or on the dump, such a name.
pub(crate) fn is_mongo_metadata(name: &str) -> bool {
    let bare = name.strip_suffix(".gz").unwrap_or(name);
    bare.ends_with(".metadata.json") || bare == "prelude.json"
}

/// Whether a file may be a dump, or a part of one that tells.
fn is_dump_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let bare = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let endings = [".sql", ".dump", ".pgdump", ".dmp", ".backup", ".tar", ".custom"];
    endings.iter().any(|ending| bare.ends_with(ending))
        || is_mongo_metadata(&name)
        || ["toc.dat", "metadata", "metadata.partial", "@.json"].contains(&name.as_str())
}

impl Tally {
    /// Leaves out changes that AWS DMS wrote after a full load.
    pub(crate) fn ignore_changes(&mut self) {
        let loads: BTreeSet<String> =
            self.groups.keys().filter(|key| key.is_load()).map(|key| key.folder.clone()).collect();
        let is_of_load = |key: &Key| {
            let above = key.folder.match_indices('/').map(|(end, _)| &key.folder[..end]);
            above.chain([key.folder.as_str()]).any(|folder| loads.contains(folder))
        };
        let changes: Vec<Key> = self.groups.keys().filter(|key| !key.is_load() && is_of_load(key)).cloned().collect();
        for key in changes {
            let Some(group) = self.groups.remove(&key) else { continue };
            let example = group.sample().first().map(|file| file.path.clone()).unwrap_or_default();
            self.ignore_all("changes after a full load of DMS", group.files, group.bytes, &example);
        }
    }

    /// Takes in one file.
    pub(crate) fn add(&mut self, file: ListedFile, modified: DateTime<Utc>) {
        self.files += 1;
        self.bytes += file.size;
        self.newest = self.newest.max(Some(modified));
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let (of_table, name) = (table_folder(folder).to_owned(), name.to_owned());
        if name == "_SUCCESS" {
            self.finished.insert(of_table);
            return self.ignore("a mark of a finished export", &file.path, file.size);
        }
        if is_control(&name) && self.control.len() < CONTROL {
            self.control.push(file);
            return;
        }
        if let Some((format, length)) = table_of(&file.path) {
            let root = file.path[..length].to_owned();
            if self.table_formats.len() < CONTROL {
                self.table_formats.insert(root, format);
            }
        }
        if let Some(stem) = file.path.strip_suffix(".txt").filter(|_| self.texts.len() < CONTROL) {
            self.texts.insert(stem.to_owned());
        }
        if is_dump_name(&name) && self.dumps.len() < CONTROL {
            self.dumps.push(file);
            return;
        }
        self.add_to_group(file, modified);
    }

    /// Takes in a file that may be data, once it is known that it is nothing else.
    pub(crate) fn add_data(&mut self, file: ListedFile) {
        let modified = self.newest.unwrap_or_default();
        self.add_to_group(file, modified);
    }

    fn add_to_group(&mut self, file: ListedFile, modified: DateTime<Utc>) {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let (_, ending) = split_ending(&name);
        if let Some(what) = reason(&file.path, &name, &ending) {
            return self.no_data(&what, &file, folder, ending);
        }
        let mut key = key_of(&file.path);
        self.fold_stems(&mut key);
        self.fold_dates(&mut key);
        let of_key = key.folder.clone();
        let group = self.groups.entry(key).or_insert_with_key(|_| Group::new(&name, modified));
        group.newest = group.newest.max(modified);
        group.shorten(&name, &name);
        if file.size == 0 {
            group.empty += 1;
            return;
        }
        let below = folder.get(of_key.len()..).unwrap_or_default();
        group.files += 1;
        group.bytes += file.size;
        group.is_nested |= !below.is_empty();
        let folders = below.split('/').filter(|part| !part.is_empty()).enumerate();
        for (place, folder) in folders {
            let Some(Ok((key, value))) = partition::key_value(folder) else { continue };
            if group.keys.len() >= KEYS && !group.keys.contains_key(&*key) {
                continue;
            }
            let of_key = group.keys.entry(key.to_string()).or_insert_with(|| (place, FolderType::default()));
            of_key.0 = place.min(of_key.0);
            if let Some(value) = value {
                of_key.1.add(&key, &value);
            }
        }
        group.keep(file);
    }

    /// Takes the files out that belong to tables of Delta, Iceberg or Hudi: which of their rows are valid only a log
    /// says.
    pub(crate) fn refuse_table_formats(&mut self) {
        for (root, format) in std::mem::take(&mut self.table_formats) {
            let is_of = |key: &Key| {
                root.is_empty() || key.folder.strip_prefix(&root).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            };
            let keys: Vec<Key> = self.groups.keys().filter(|key| is_of(key)).cloned().collect();
            let reason = format!("files of {}, deleted rows included; export the valid ones", format.name());
            for key in keys {
                let Some(group) = self.groups.remove(&key) else { continue };
                let example = group.sample().first().map_or_else(|| key.folder.clone(), |file| file.path.clone());
                self.not_read(&reason, group.files + group.empty, group.bytes, &example);
            }
        }
    }

    /// Counts a file that is no dump after all, as its name says.
    pub(crate) fn no_dump(&mut self, file: &ListedFile) {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let (_, ending) = split_ending(name);
        let unknown = NoData { reason: "a file of no known format", is_left_out: false, may_have_rows: true };
        let what = reason(&file.path, name, &ending).unwrap_or(unknown);
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.no_data(&what, file, folder.to_owned(), ending);
    }

    fn no_data(&mut self, what: &NoData, file: &ListedFile, folder: String, ending: String) {
        if !what.is_left_out && self.strays.len() < CONTROL {
            self.strays.insert((folder, ending));
        }
        self.count(what.reason, 1, file.size, &file.path, what.may_have_rows);
    }

    /// Counts a file that has no rows.
    pub(crate) fn ignore(&mut self, reason: &str, path: &str, bytes: u64) {
        self.count(reason, 1, bytes, path, false);
    }

    /// Counts files whose rows, if they have any, are of no table on purpose.
    pub(crate) fn ignore_all(&mut self, reason: &str, files: u64, bytes: u64, path: &str) {
        self.count(reason, files, bytes, path, false);
    }

    /// Counts files that may have rows and that no table reads.
    pub(crate) fn not_read(&mut self, reason: &str, files: u64, bytes: u64, path: &str) {
        self.count(reason, files, bytes, path, true);
    }

    /// Counts files that no table reads; `may_have_rows` says whether rows are lost with them.
    pub(crate) fn count(&mut self, reason: &str, files: u64, bytes: u64, path: &str, may_have_rows: bool) {
        let ignored = self.ignored.entry(reason.to_owned()).or_insert_with(|| Ignored {
            files: 0,
            bytes: 0,
            example: path.to_owned(),
            may_have_rows,
        });
        ignored.may_have_rows |= may_have_rows;
        ignored.files += files;
        ignored.bytes += bytes;
        if path < ignored.example.as_str() {
            path.clone_into(&mut ignored.example);
        }
    }

    /// Dates of the same files beyond a bound are those of parts.
    fn fold_dates(&mut self, key: &mut Key) {
        if key.date.is_none() {
            return;
        }
        let undated = key.undated();
        if !self.groups.contains_key(key) && self.dates.get(&undated).is_none_or(Option::is_some) {
            let dates = self.dates.entry(undated.clone()).or_insert(Some(0));
            *dates = dates.map(|dates| dates + 1).filter(|dates| *dates <= DATES);
            if dates.is_none() {
                self.merge_dates(&undated);
            }
        }
        if self.dates.get(&undated) == Some(&None) {
            *key = undated;
        }
    }

    /// Makes the groups of all dates, which are one when these are left out, one group.
    pub(crate) fn merge_dates(&mut self, undated: &Key) {
        let is_one = |key: &&Key| key.date.is_some() && key.undated() == *undated;
        let dated: Vec<Key> = self.groups.keys().filter(is_one).cloned().collect();
        for key in dated {
            let Some(mut group) = self.groups.remove(&key) else { continue };
            group.is_nested |= key.folder != undated.folder;
            match self.groups.entry(undated.clone()) {
                Entry::Occupied(mut known) => known.get_mut().merge(group),
                Entry::Vacant(free) => drop(free.insert(group)),
            }
        }
    }

    /// A folder with too many stems has none.
    fn fold_stems(&mut self, key: &mut Key) {
        let of_folder = (key.folder.clone(), key.ending.clone());
        let is_new = !self.groups.contains_key(key);
        let count = self.stems.entry(of_folder).or_insert(Some(0));
        match count {
            Some(stems) if is_new && *stems >= STEMS => *count = None,
            Some(stems) => {
                *stems += usize::from(is_new);
                return;
            }
            None => {}
        }
        key.stem.clear();
        let of_folder = |other: &Key| other.folder == key.folder && other.ending == key.ending;
        let start = Key { stem: String::new(), date: None, ..key.clone() };
        let others: Vec<Key> =
            self.groups.range(start..).map(|(key, _)| key.clone()).take_while(|other| of_folder(other)).collect();
        if others.len() < 2 && others.first().is_none_or(|other| other.stem.is_empty()) {
            return;
        }
        let mut all: Option<Group> = None;
        for group in others.iter().filter_map(|other| self.groups.remove(other)) {
            match &mut all {
                Some(all) => all.merge(group),
                None => all = Some(group),
            }
        }
        if let Some(all) = all {
            self.groups.insert(key.clone(), all);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally<'a>(paths: impl IntoIterator<Item = &'a str>) -> Tally {
        let mut tally = Tally::default();
        for path in paths {
            let size = if path.ends_with('0') { 0 } else { path.len() as u64 };
            tally.add(ListedFile { path: path.to_owned(), size, etag: String::new() }, DateTime::UNIX_EPOCH);
        }
        tally
    }

    /// `folder|ending|stem files` of each group.
    fn groups(tally: &Tally) -> Vec<String> {
        let shown =
            |(key, group): (&Key, &Group)| format!("{}|{}|{} {}", key.folder, key.ending, key.stem, group.files);
        tally.groups.iter().map(shown).collect()
    }

    #[test]
    fn batch_and_partition_folders_belong_to_the_table_above() {
        let tally = tally([
            "shop/public.orders/1/part-00000-a.gz.parquet",
            "shop/public.orders/2/part-00000-b.gz.parquet",
            "shop/public.orders/1/_SUCCESS",
            "logs/dt=2024-01-01/hour=05/a.json",
            "logs/dt=2024-01-02/hour=06/a.json",
        ]);
        assert_eq!(
            groups(&tally),
            ["logs|.json|a 2", "shop/public.orders|.gz.parquet|a 1", "shop/public.orders|.gz.parquet|b 1"]
        );
        let logs = tally.groups.values().next().unwrap();
        assert_eq!(
            (logs.is_nested, logs.keys.keys().map(String::as_str).collect::<Vec<_>>()),
            (true, vec!["dt", "hour"])
        );
        assert!(tally.finished.contains("shop/public.orders"));
    }

    #[test]
    fn files_of_a_load_of_dms_are_named_as_the_export_takes_them() {
        for name in ["LOAD0000000A.csv", "LOAD00001.csv.gz", "LOAD00000010.parquet", "LOAD00000010.parquet.gz"] {
            assert!(is_load(name), "{name}");
        }
        for name in
            ["LOADED.csv", "LOAD0001.csv", "LOAD00000001", "LOAD00000001.txt", "LOAD+0000001.csv", "LOAD_1_0001.csv"]
        {
            assert!(!is_load(name), "{name}");
        }
    }

    #[test]
    fn names_that_say_what_they_are_are_ignored_with_the_reason() {
        let tally = tally(["README.md", "a/_temporary/x.csv", "a/x.csv.crc", "make.py", "a/x.csv", "a/notices.csv"]);
        assert_eq!(groups(&tally), ["a|.csv|notices 1", "a|.csv|x 1"]);
        let mut ignored: Vec<_> = tally.ignored.values().map(|ignored| ignored.example.as_str()).collect();
        ignored.sort_unstable();
        assert_eq!(ignored, ["README.md", "a/_temporary/x.csv", "a/x.csv.crc", "make.py"]);
    }

    #[test]
    fn a_million_names_of_one_folder_stay_within_bounds() {
        let names: Vec<String> = (0..200_000).map(|n| format!("x/{}.csv", word(n))).collect();
        let tally = tally(names.iter().map(String::as_str));
        assert_eq!(groups(&tally), ["x|.csv| 200000"]);
        assert_eq!(tally.groups.values().next().unwrap().sample().len(), SAMPLE);
    }

    fn word(mut number: usize) -> String {
        let mut word = String::new();
        while word.len() < 8 {
            word.push(char::from(b'g' + (number % 20) as u8));
            number /= 20;
        }
        word
    }

    #[test]
    fn dated_folders_and_names_are_groups_of_their_own_until_they_are_merged() {
        let mut tally =
            tally(["2026-01-30/o.csv", "2026-01-31/o.csv", "p_20260130.csv", "p_20260131.csv", "q/dt=20260131/a.csv"]);
        let all = ["|.csv|p 1", "|.csv|p 1", "2026-01-30|.csv|o 1", "2026-01-31|.csv|o 1", "q|.csv|a 1"];
        assert_eq!(groups(&tally), all);
        for key in tally.groups.keys().cloned().collect::<Vec<_>>() {
            tally.merge_dates(&key.undated());
        }
        assert_eq!(groups(&tally), ["|.csv|o 2", "|.csv|p 2", "q|.csv|a 1"]);
        assert!(tally.groups.values().next().unwrap().is_nested);
    }

    #[test]
    fn a_thousand_dates_are_parts() {
        let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + chrono::TimeDelta::days(n);
        let paths: Vec<String> = (0..1000).map(|n| format!("x/{}/a.csv", day(n))).collect();
        assert_eq!(groups(&tally(paths.iter().map(String::as_str))), ["x|.csv|a 1000"]);
    }

    proptest! {
        /// Groups, sums, samples and common parts of names do not depend on the order of the listing.
        #[test]
        fn the_order_of_a_listing_does_not_matter(
            (paths, shuffled) in prop::collection::hash_set("(a|b/[0-9]|c/dt=[12])/[gh]{1,3}[0-9]?\\.(csv|json)", 0..150)
                .prop_map(|paths| paths.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|paths| (Just(paths.clone()), Just(paths).prop_shuffle()))
        ) {
            let (one, other) = (tally(paths.iter().map(String::as_str)), tally(shuffled.iter().map(String::as_str)));
            prop_assert_eq!(one.groups, other.groups);
        }
    }
}
