//! Where everything lies: the only module that joins storage paths.
//!
//! ```text
//! {staging}/{D}/{T}/snapshot={TIME}/
//!     manifests/manifest-summary.json, manifest-data.parquet
//!     manifests/snapshot-file-groups/{manifest-summary,manifest-data}/...
//!     manifests/staging-file-groups/ partition-file-groups/ datalake-file-groups/
//!         manifest-summary/{manifest-summary-N.json, failed-N.json, running-*.json}
//!     manifests/validation.json, audits.json
//!     audits/<audit>.parquet                  the first rows of an audit that failed
//!     datalake/{D}/{S}/{T}/{k1}={v1}/.../<file>.parquet
//! {datalake}/{D}/{T}/snapshot={TIME}/{D}/{S}/{T}/{k1}={v1}/.../<file>.parquet
//! ```
//!
//! A [`Location`] is a store and a raw key: the key is never percent-encoded here, so a `%2F` that a partition value
//! brought along stays as it is. Nothing here touches a store.

use std::fmt;
use std::path::Path;

use md5::{Digest, Md5};
use object_store::path::Path as Key;

use crate::error::{Error, Result};
use crate::partition;

/// A place in a store: `s3://bucket` or `file://` plus a raw key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    store: String,
    key: String,
}

/// URL schemes that [`Location::parse`] takes.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "abfs", "abfss", "file"];

/// Whether a URL carries its permission in its query, as those of the AWS, Google and Azure consoles do.
fn is_signed(url: &str) -> bool {
    let names = ["sig=", "Signature=", "X-Amz-", "X-Goog-"];
    url.split_once('?')
        .is_some_and(|(_, query)| query.split('&').any(|part| names.iter().any(|name| part.starts_with(name))))
}

impl Location {
    /// Reads a URL or a path; a relative path starts at `base`, the folder of the file that holds the text.
    ///
    /// # Errors
    /// [`Error::Location`] for an unknown scheme, a URL without a bucket, or text that no key can hold.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let refuse = |reason| Error::Location { location: text.to_owned(), reason };
        if text.trim().is_empty() {
            return Err(refuse("it is empty"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::local(text, base);
        };
        if !SCHEMES.contains(&scheme) {
            return Err(refuse("its scheme is not one of s3://, gs://, az://, file://"));
        }
        if scheme == "file" {
            return Self::local(rest, Path::new("/"));
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let user = bucket.rsplit_once('@').map(|(user, _)| user);
        let is_container = scheme.starts_with("abfs") && !bucket.contains(':');
        if bucket.contains(':') || user.is_some() && !is_container || is_signed(rest) {
            return Err(refuse("write credentials into the environment, not into a URL"));
        }
        if bucket.is_empty() {
            return Err(refuse("it names no bucket"));
        }
        let scheme = if scheme == "s3a" { "s3" } else { scheme };
        Ok(Self { store: format!("{scheme}://{bucket}"), key: squeeze(key) })
    }

    fn local(text: &str, base: &Path) -> Result<Self> {
        let joined = base.join(text);
        let absolute = std::path::absolute(&joined)
            .map_err(|source| Error::Io { action: format!("resolving path {text}"), source })?;
        let mut parts: Vec<String> = Vec::new();
        for part in absolute.components() {
            match part {
                std::path::Component::Normal(part) => {
                    let part = part
                        .to_str()
                        .ok_or(Error::Location { location: text.to_owned(), reason: "it is not UTF-8" })?;
                    parts.push(part.to_owned());
                }
                std::path::Component::ParentDir => {
                    parts.pop();
                }
                _ => {}
            }
        }
        let mut key = parts.join("/");
        if (text.ends_with('/') || text.ends_with("/.") || text == ".") && !key.is_empty() {
            key.push('/');
        }
        Ok(Self { store: "file://".to_owned(), key })
    }

    /// A location read back from a manifest `uri`.
    ///
    /// # Errors
    /// As [`Location::parse`]; a path without scheme is not a uri.
    pub fn from_uri(uri: &str) -> Result<Self> {
        if !uri.contains("://") {
            return Err(Error::Location { location: uri.to_owned(), reason: "it has no scheme" });
        }
        if let Some(rest) = uri.strip_prefix("file:///") {
            return Ok(Self { store: "file://".to_owned(), key: rest.to_owned() });
        }
        Self::parse(uri, Path::new("/"))
    }

    /// The same store with another raw key, as a listing gives it.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { store: self.store.clone(), key: key.to_owned() }
    }

    /// Scheme and bucket, such as `s3://bucket`; `file://` for local files.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The raw key below the store, without a leading slash.
    #[must_use]
    pub fn raw_key(&self) -> &str {
        &self.key
    }

    /// Store URL plus raw key: the `uri` of a manifest row.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{}/{}", self.store, self.key)
    }

    /// The key as the store's clients take it; a `%` in it is not encoded again.
    ///
    /// # Errors
    /// [`Error::Location`] for keys with empty, `.` or `..` segments.
    pub fn key(&self) -> Result<Key> {
        Key::parse(&self.key)
            .map_err(|_| Error::Location { location: self.uri(), reason: "its key has empty, '.' or '..' parts" })
    }

    /// Whether the text ends with `/`, which marks a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// This folder, then `parts` (raw, already encoded where that is needed).
    #[must_use]
    pub fn join(&self, parts: &str) -> Self {
        let folder = self.key.trim_end_matches('/');
        let key = match (folder.is_empty(), parts.is_empty()) {
            (true, _) => parts.to_owned(),
            (_, true) => folder.to_owned(),
            _ => format!("{folder}/{parts}"),
        };
        Self { store: self.store.clone(), key }
    }

    /// The same folder, and a dot before the name: what readers of data folders pass over.
    #[must_use]
    pub fn hidden(&self) -> Self {
        let (folder, name) = self.key.rsplit_once('/').map_or(("", &*self.key), |(folder, name)| (folder, name));
        self.with_key(folder).join(&format!(".{name}"))
    }

    /// Whether `other` lies below this folder.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        let rest = other.key.strip_prefix(self.key.trim_end_matches('/'));
        self.store == other.store && rest.is_some_and(|rest| self.key.is_empty() || rest.starts_with('/'))
    }

    /// Whether one of the two is the other or holds it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) =
            (format!("{}/", self.uri().trim_end_matches('/')), format!("{}/", other.uri().trim_end_matches('/')));
        a.starts_with(&b) || b.starts_with(&a)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.store == "file://" { write!(f, "/{}", self.key) } else { f.write_str(&self.uri()) }
    }
}

/// Scheme and bucket of a manifest `uri`, as they stand there; `file://` for local files.
#[must_use]
pub fn store_of(uri: &str) -> &str {
    let start = uri.find("://").map_or(0, |at| at + 3);
    uri[start..].find('/').map_or(uri, |end| &uri[..start + end])
}

/// A relative path or a part of a glob below another one, of which either may be empty.
#[must_use]
pub fn below(folder: &str, rest: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.is_empty() => rest.to_owned(),
        folder => format!("{folder}/{rest}"),
    }
}

/// How to write `to` from `folder` on: a relative path where both are local and share a folder that is not the root, with
/// at most `up` steps up; otherwise its absolute form. Without a slash at the end.
#[must_use]
pub fn written_from(folder: &Location, to: &Location, up: usize) -> String {
    let absolute = || to.to_string().trim_end_matches('/').to_owned();
    if folder.store != "file://" || to.store != folder.store {
        return absolute();
    }
    let parts = |key: &'_ str| key.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (parts(&folder.key), parts(&to.key));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let steps = from.len() - shared;
    if shared == 0 || steps > up {
        return absolute();
    }
    let mut path = vec![".."; steps];
    path.extend(to[shared..].iter().map(String::as_str));
    if path.is_empty() { ".".to_owned() } else { path.join("/") }
}

fn squeeze(key: &str) -> String {
    let folder = key.ends_with('/');
    let mut key = key.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if folder && !key.is_empty() {
        key.push('/');
    }
    key
}

/// The four places where tasks commit; the folder below `manifests/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Which snapshot files a stage task reads.
    SnapshotFileGroups,
    /// Which staging files a stage task wrote.
    StagingFileGroups,
    /// Which staging files a compaction task reads.
    PartitionFileGroups,
    /// Which lake files a compaction task wrote.
    DatalakeFileGroups,
}

impl Step {
    /// Folder name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::SnapshotFileGroups => "snapshot-file-groups",
            Self::StagingFileGroups => "staging-file-groups",
            Self::PartitionFileGroups => "partition-file-groups",
            Self::DatalakeFileGroups => "datalake-file-groups",
        }
    }

    /// What the tasks are called that read or write these: `stage` or `publish`.
    #[must_use]
    pub fn task_name(self) -> &'static str {
        match self {
            Self::SnapshotFileGroups | Self::StagingFileGroups => "stage",
            Self::PartitionFileGroups | Self::DatalakeFileGroups => "publish",
        }
    }
}

/// Most bytes of an audit's name in a file name.
const AUDIT_NAME: usize = 200;

/// All paths of one table of one snapshot.
#[derive(Debug, Clone)]
pub struct TableLayout {
    snapshots: Location,
    root: Location,
    staging_data: Location,
    lake: Location,
}

/// A manifest's two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFiles {
    /// `manifest-summary*.json`: its existence is the commit.
    pub summary: Location,
    /// `manifest-data*.parquet`.
    pub data: Location,
}

impl TableLayout {
    /// Paths of `table` in `database`.`schema` at `time` (RFC 3339); `external` replaces the lake's path.
    #[must_use]
    pub fn new(
        staging: &Location,
        datalake: &Location,
        (database, schema, table): (&str, &str, &str),
        time: &str,
        external: Option<&Location>,
    ) -> Self {
        let (database, schema, table) =
            (partition::encode(database), partition::encode(schema), partition::encode(table));
        let time = partition::segment("snapshot", Some(time));
        let snapshot = format!("{database}/{table}/{time}");
        let data = format!("{database}/{schema}/{table}");
        let root = staging.join(&snapshot);
        Self {
            snapshots: staging.join(&format!("{database}/{table}")),
            staging_data: root.join("datalake").join(&data),
            lake: external.cloned().unwrap_or_else(|| datalake.join(&snapshot).join(&data)),
            root,
        }
    }

    /// `{staging}/{D}/{T}`: the table's snapshots.
    #[must_use]
    pub fn snapshots(&self) -> &Location {
        &self.snapshots
    }

    /// `{staging}/{D}/{T}/snapshot={TIME}`.
    #[must_use]
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// Folder of all manifests.
    #[must_use]
    pub fn manifests(&self) -> Location {
        self.root.join("manifests")
    }

    /// Folder of the Hive-partitioned staging files.
    #[must_use]
    pub fn staging_data(&self) -> &Location {
        &self.staging_data
    }

    /// Folder of the Hive-partitioned lake files.
    #[must_use]
    pub fn lake(&self) -> &Location {
        &self.lake
    }

    /// The snapshot manifest; its summary is the commit of the plan.
    #[must_use]
    pub fn snapshot_manifest(&self) -> ManifestFiles {
        let folder = self.manifests();
        ManifestFiles { summary: folder.join("manifest-summary.json"), data: folder.join("manifest-data.parquet") }
    }

    /// Manifest `number` (from 1) of a step.
    #[must_use]
    pub fn manifest(&self, step: Step, number: usize) -> ManifestFiles {
        let folder = self.manifests().join(step.folder());
        ManifestFiles {
            summary: folder.join(&format!("manifest-summary/manifest-summary-{number}.json")),
            data: folder.join(&format!("manifest-data/manifest-data-{number}.parquet")),
        }
    }

    /// Folder of a step's summaries: listing it tells what is done.
    #[must_use]
    pub fn summaries(&self, step: Step) -> Location {
        self.manifests().join(step.folder()).join("manifest-summary")
    }

    /// What is told of a task that failed. It lies beside the summaries, so that the listing that tells what is done tells
    /// what failed, too.
    #[must_use]
    pub fn failed(&self, step: Step, number: usize) -> Location {
        self.summaries(step).join(&format!("failed-{number}.json"))
    }

    /// What a process tells of the tasks that it is running.
    #[must_use]
    pub fn running(&self, step: Step, process: &str) -> Location {
        self.summaries(step).join(&format!("running-{process}.json"))
    }

    /// The partition plan: commit of how staging files were grouped.
    #[must_use]
    pub fn partition_plan(&self) -> Location {
        self.manifests().join(Step::PartitionFileGroups.folder()).join("manifest-summary.json")
    }

    /// Result of the last validation.
    #[must_use]
    pub fn validation(&self) -> Location {
        self.root.join("manifests/validation.json")
    }

    /// Which audits passed, over what.
    #[must_use]
    pub fn audits(&self) -> Location {
        self.root.join("manifests/audits.json")
    }

    /// The first rows that an audit found.
    #[must_use]
    pub fn audit_rows(&self, audit: &str) -> Location {
        let mut name = partition::encode(audit);
        if name.len() > AUDIT_NAME {
            // Encoded names are ASCII, so they can be cut anywhere.
            let hash = Md5::digest(&name).iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
            name = format!("{}-{hash}", &name[..AUDIT_NAME]);
        }
        self.root.join("audits").join(&format!("{name}.parquet"))
    }

    /// Marks the lake as complete.
    #[must_use]
    pub fn success(&self) -> Location {
        self.lake.join("_SUCCESS")
    }
}

/// The number in `manifest-summary-12.json`.
#[must_use]
pub fn manifest_number(file_name: &str) -> Option<usize> {
    file_name.strip_prefix("manifest-summary-")?.strip_suffix(".json")?.parse().ok()
}

/// The number in `failed-12.json`.
#[must_use]
pub fn failed_number(file_name: &str) -> Option<usize> {
    file_name.strip_prefix("failed-")?.strip_suffix(".json")?.parse().ok()
}

/// Whether this is the name of what a process tells of its running tasks.
#[must_use]
pub fn is_running(file_name: &str) -> bool {
    file_name.starts_with("running-") && file_name.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_path_starts_at_the_folder_of_the_file_and_dots_are_resolved() {
        let here = Location::parse("../target/./demo/", Path::new("/repo/configs")).unwrap();
        assert_eq!(here.uri(), "file:///repo/target/demo/");
        assert_eq!(here.to_string(), "/repo/target/demo/");
    }

    #[test]
    fn url_keeps_raw_key_and_uri_round_trips() {
        let here = Location::parse("s3a://bucket//a/b%2Fc/", Path::new("/")).unwrap();
        assert_eq!(here.uri(), "s3://bucket/a/b%2Fc/");
        assert_eq!(Location::from_uri(&here.uri()).unwrap(), here);
        let local = Location::parse("/x/k=a%2Fb/f.parquet", Path::new("/")).unwrap();
        assert_eq!(Location::from_uri(&local.uri()).unwrap(), local);
        assert_eq!(local.key().unwrap().as_ref(), "x/k=a%2Fb/f.parquet");
    }

    #[test]
    fn store_of_a_uri_is_that_of_its_location() {
        for uri in ["s3://bucket/a/b", "s3://bucket", "file:///a/b", "abfss://c@account.dfs.core.windows.net/k=a%2Fb"] {
            assert_eq!(store_of(uri), Location::from_uri(uri).unwrap().store(), "{uri}");
        }
    }

    #[test]
    fn unknown_scheme_empty_bucket_and_credentials_are_refused() {
        for bad in ["ftp://x/y", "s3:///y", "", "s3://key:secret@bucket/y"] {
            assert!(Location::parse(bad, Path::new("/")).is_err(), "{bad}");
        }
    }

    #[test]
    fn table_layout_follows_the_design() {
        let staging = Location::parse("/st", Path::new("/")).unwrap();
        let lake = Location::parse("s3://b/lake", Path::new("/")).unwrap();
        let paths = TableLayout::new(&staging, &lake, ("d", "public", "t"), "2013-12-31T23:59:59Z", None);
        assert_eq!(paths.root().uri(), "file:///st/d/t/snapshot=2013-12-31T23%3A59%3A59Z");
        assert_eq!(paths.staging_data().uri(), "file:///st/d/t/snapshot=2013-12-31T23%3A59%3A59Z/datalake/d/public/t");
        assert_eq!(paths.success().uri(), "s3://b/lake/d/t/snapshot=2013-12-31T23%3A59%3A59Z/d/public/t/_SUCCESS");
        let manifest = paths.manifest(Step::StagingFileGroups, 7);
        assert!(
            manifest.summary.uri().ends_with("/manifests/staging-file-groups/manifest-summary/manifest-summary-7.json")
        );
        assert_eq!(manifest_number("manifest-summary-7.json"), Some(7));
        let failed = paths.failed(Step::StagingFileGroups, 7).uri();
        assert_eq!(failed, format!("{}/failed-7.json", paths.summaries(Step::StagingFileGroups).uri()));
        assert_eq!([failed_number("failed-7.json"), manifest_number("failed-7.json")], [Some(7), None]);
        let running = paths.running(Step::StagingFileGroups, "ab").uri();
        assert!(running.rsplit('/').next().is_some_and(is_running), "{running}");
        assert!(paths.audit_rows("t.not_null(a b)").uri().ends_with("Z/audits/t.not_null%28a%20b%29.parquet"));
    }

    #[test]
    fn audits_with_long_names_have_files_of_their_own_that_a_disk_can_hold() {
        let at = Location::parse("/st", Path::new("/")).unwrap();
        let paths = TableLayout::new(&at, &at, ("d", "public", "t"), "2013-12-31T23:59:59Z", None);
        let [a, b] = ["a", "b"].map(|end| paths.audit_rows(&format!("{}{end}", "(é".repeat(90))));
        assert_ne!(a, b);
        assert!(a.raw_key().rsplit('/').next().unwrap().len() <= 255);
    }

    #[test]
    fn a_path_is_written_relative_to_a_folder_near_it() {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let written = |to| written_from(&at("/w/configs"), &at(to), 2);
        assert_eq!(written("/w/data/x/"), "../data/x");
        assert_eq!(written("/w/configs/"), ".");
        assert_eq!(written("/other/x"), "/other/x");
        assert_eq!(written("s3://b/x/"), "s3://b/x");
        assert_eq!(written_from(&at("/w/a/b/c"), &at("/w/x"), 2), "/w/x");
        assert_eq!((below("a/", "b"), below("", "b"), below("a", "")), ("a/b".into(), "b".into(), "a/".into()));
    }

    #[test]
    fn hidden_file_and_what_a_folder_holds() {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        assert_eq!(at("s3://b/k=1/f.parquet").hidden(), at("s3://b/k=1/.f.parquet"));
        assert_eq!(at("s3://b/f").hidden(), at("s3://b/.f"));
        assert!(at("/a/b/").holds(&at("/a/b/c")) && at("s3://b").holds(&at("s3://b/c")));
        for other in ["/a/bc", "/a/b", "s3://a/b/c"] {
            assert!(!at("/a/b").holds(&at(other)), "{other}");
        }
    }

    #[test]
    fn overlap_is_seen_at_folder_borders_only() {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        assert!(at("/a/b").overlaps(&at("/a/b/c/")));
        assert!(!at("/a/b").overlaps(&at("/a/bc")));
    }
}
