//! Places of an Iceberg table that lies in a folder: `{datalake}/{D}/{T}/metadata/...`.
//!
//! ```text
//! metadata/v3.metadata.json             the table as of its third version; created once, never changed
//! metadata/version-hint.text            3: where readers begin to look
//! metadata/snap-<snapshot>-3.avro       the manifests of one snapshot
//! metadata/<snapshot>-m0.avro           files of one snapshot
//! ```

use super::Location;

/// All paths of one Iceberg table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IcebergLayout {
    root: Location,
}

/// Name of the metadata of one version, before and after its number.
const METADATA: (&str, &str) = ("v", ".metadata.json");

impl IcebergLayout {
    pub(super) fn new(root: Location) -> Self {
        Self { root }
    }

    /// The folder of the table.
    pub(crate) fn root(&self) -> &Location {
        &self.root
    }

    /// The folder of its metadata.
    pub(crate) fn folder(&self) -> Location {
        self.root.join("metadata")
    }

    /// The metadata of one version, from 1.
    pub(crate) fn metadata(&self, version: u64) -> Location {
        self.folder().join(&format!("{}{version}{}", METADATA.0, METADATA.1))
    }

    /// The version of a metadata file; an error with its name for one that a catalog has given another name.
    pub(crate) fn version_of(key: &str) -> Option<Result<u64, String>> {
        let name = key.rsplit('/').next().unwrap_or_default();
        let before = name.strip_suffix(METADATA.1)?;
        let version = before.strip_prefix(METADATA.0).and_then(|number| number.parse().ok());
        Some(version.ok_or_else(|| name.to_owned()))
    }

    /// The number of a version that exists, perhaps not the newest.
    pub(crate) fn version_hint(&self) -> Location {
        self.folder().join("version-hint.text")
    }

    /// The manifest list of a snapshot that version `version` adds.
    pub(crate) fn manifest_list(&self, snapshot: i64, version: u64) -> Location {
        self.folder().join(&format!("snap-{snapshot}-{version}.avro"))
    }

    /// Manifest `number`, from 0, of a snapshot whose columns have the ids of `schema`.
    pub(crate) fn manifest(&self, snapshot: i64, schema: u64, number: usize) -> Location {
        self.folder().join(&format!("{snapshot}-{schema}-m{number}.avro"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_a_name_that_we_give_and_names_of_catalogs_are_known() {
        let layout = IcebergLayout::new(Location::from_uri("s3://b/lake/d/t").unwrap());
        assert_eq!(layout.metadata(12).uri(), "s3://b/lake/d/t/metadata/v12.metadata.json");
        assert_eq!(IcebergLayout::version_of(layout.metadata(12).raw_key()), Some(Ok(12)));
        let of_catalog = "00001-4f4e.metadata.json";
        assert_eq!(IcebergLayout::version_of(&format!("t/{of_catalog}")), Some(Err(of_catalog.to_owned())));
        assert_eq!(IcebergLayout::version_of("t/snap-1-1.avro"), None);
    }
}
