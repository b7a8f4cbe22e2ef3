//! All paths of one table of one snapshot.

use md5::{Digest, Md5};

use super::partition;
use super::{IcebergLayout, Location, OWNER, SUCCESS, SnapshotFolder, Step};

/// Most bytes of an audit's name in a file name.
const AUDIT_NAME: usize = 200;

/// All paths of one table of one snapshot.
#[derive(Debug, Clone)]
pub struct TableLayout {
    snapshots: Location,
    naming: SnapshotFolder,
    root: Location,
    staging_data: Location,
    lake: Location,
    table: Location,
}

/// Folder of the export of a running database, which all tables of a snapshot share:
/// `{staging}/{D}/_live/snapshot=TIME/{name}`.
pub(crate) fn database_export(
    staging: &Location,
    database: &str,
    (naming, time): (&SnapshotFolder, &str),
    name: &str,
) -> Location {
    staging.join(&format!("{}/_live/{}/{name}", partition::encode(database), naming.name(time)))
}

/// Folder of the merge of the exports of a snapshot table: `{staging}/{D}/_merged/snapshot=TIME/{table}`.
pub(crate) fn merged_export(
    staging: &Location,
    database: &str,
    (naming, time): (&SnapshotFolder, &str),
    table: &str,
) -> Location {
    let table = partition::encode(table);
    staging.join(&format!("{}/_merged/{}/{table}", partition::encode(database), naming.name(time)))
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
    /// Paths of `table` in `database`.`schema` at `time` (RFC 3339), whose folder `naming` names; `external` replaces
    /// the lake's path.
    #[must_use]
    pub fn new(
        staging: &Location,
        datalake: &Location,
        (database, schema, table): (&str, &str, &str),
        (naming, time): (&SnapshotFolder, &str),
        external: Option<&Location>,
    ) -> Self {
        let (database, schema, table) =
            (partition::encode(database), partition::encode(schema), partition::encode(table));
        let snapshot = format!("{database}/{table}/{}", naming.name(time));
        let data = format!("{database}/{schema}/{table}");
        let root = staging.join(&snapshot);
        Self {
            snapshots: staging.join(&format!("{database}/{table}")),
            naming: naming.clone(),
            staging_data: root.join("datalake").join(&data),
            lake: external.cloned().unwrap_or_else(|| datalake.join(&snapshot).join(&data)),
            root,
            table: datalake.join(&format!("{database}/{table}")),
        }
    }

    /// `{staging}/{D}/{T}`: the table's snapshots.
    #[must_use]
    pub fn snapshots(&self) -> &Location {
        &self.snapshots
    }

    /// The time of a folder in [`TableLayout::snapshots`], RFC 3339; `None` for a folder that is no snapshot's.
    #[must_use]
    pub fn time_of(&self, folder: &str) -> Option<String> {
        self.naming.time(folder)
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

    /// Folder of the staging files, by partition or bundle.
    #[must_use]
    pub fn staging_data(&self) -> &Location {
        &self.staging_data
    }

    /// Whether files are read or written over a network.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        !(self.staging_data().is_local() && self.lake().is_local())
    }

    /// The table that all published snapshots are versions of: `{datalake}/{D}/{T}`.
    pub(crate) fn iceberg(&self) -> IcebergLayout {
        IcebergLayout::new(self.table.clone())
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

    /// Folder of a step's summaries: its listing shows the finished tasks.
    #[must_use]
    pub fn summaries(&self, step: Step) -> Location {
        self.manifests().join(step.folder()).join("manifest-summary")
    }

    /// Record of a failed task. It is next to the summaries, so that the listing of finished tasks also shows
    /// failed ones.
    #[must_use]
    pub fn failed(&self, step: Step, number: usize) -> Location {
        self.summaries(step).join(&format!("failed-{number}.json"))
    }

    /// Running tasks of a process.
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

    /// Says whose the staging folder is.
    #[must_use]
    pub fn staging_owner(&self) -> Location {
        self.root.join(OWNER)
    }

    /// Says whose the lake's folder is.
    #[must_use]
    pub fn lake_owner(&self) -> Location {
        self.lake.join(OWNER)
    }

    /// Marks the lake as complete.
    #[must_use]
    pub fn success(&self) -> Location {
        self.lake.join(SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{failed_number, is_running, manifest_number};
    use super::*;

    #[test]
    fn table_layout_follows_the_design() {
        let staging = Location::parse("/st", Path::new("/")).unwrap();
        let lake = Location::parse("s3://b/lake", Path::new("/")).unwrap();
        let paths = TableLayout::new(
            &staging,
            &lake,
            ("d", "public", "t"),
            (&SnapshotFolder::default(), "2013-12-31T23:59:59Z"),
            None,
        );
        assert_eq!(paths.root().uri(), "file:///st/d/t/snapshot=2013-12-31T23:59:59Z");
        assert_eq!(paths.staging_data().uri(), "file:///st/d/t/snapshot=2013-12-31T23:59:59Z/datalake/d/public/t");
        assert_eq!(paths.success().uri(), "s3://b/lake/d/t/snapshot=2013-12-31T23:59:59Z/d/public/t/_SUCCESS");
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
        let paths = TableLayout::new(
            &at,
            &at,
            ("d", "public", "t"),
            (&SnapshotFolder::default(), "2013-12-31T23:59:59Z"),
            None,
        );
        let [a, b] = ["a", "b"].map(|end| paths.audit_rows(&format!("{}{end}", "(é".repeat(90))));
        assert_ne!(a, b);
        assert!(a.raw_key().rsplit('/').next().unwrap().len() <= 255);
    }
}
