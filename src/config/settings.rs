//! `SET snaplake.*`: what applies to all tables.
//!
//! A key is global whichever file holds it, so the order of statements does not matter. Defaults of table properties
//! are kept as written, for `properties` to read; they are checked here, so that a wrong one is never silent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;

use super::export::DatabaseUrl;
use super::keys::{CODEC, EMPTY, GROUP, SIZE, bad_value, location, path_name};
use super::properties::Properties;
use super::values::{ByteSize, EmptyPartition, GroupSize, WriteCompression, boolean, duration};
use super::written::WrittenSettings;
use crate::config::text::statement::PlacedText;
use crate::error::{Position, Result};
use crate::layout::{Location, SnapshotFolder, database_export, merged_export, snapshot_time};

/// What applies to all tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of the exported database.
    pub database: String,
    /// Its schema; `public` when not set.
    pub schema: String,
    /// Time of the snapshot: RFC 3339, UTC, `Z`, with a fraction only when it is not zero.
    pub snapshot_time: String,
    /// Names the folders of snapshots.
    pub snapshot_folder: SnapshotFolder,
    /// Root of manifests and staging files.
    pub staging: Location,
    /// Root of the published lakes.
    pub datalake: Location,
    /// What proves a lake.
    pub verify: Verify,
    /// Time after which a task is given up; `None`: never.
    pub task_timeout: Option<Duration>,
    /// Whether the user sees to it that no two runs write one table at once.
    pub single_writer: bool,
    /// Whether a failed audit keeps every table from being published, not only those that it holds back.
    pub fail_fast: bool,
    /// Whether what is written survives a power cut.
    pub durability: Durability,
    /// How to reach S3; credentials come from the environment.
    pub s3: S3Settings,
}

impl Settings {
    /// Folder of the export of a running database.
    pub(crate) fn database_export(&self, database: &DatabaseUrl) -> Location {
        let time = (&self.snapshot_folder, self.snapshot_time.as_str());
        database_export(&self.staging, &self.database, time, &database.folder_name())
    }

    /// Folder of the merge of the exports of a snapshot table.
    pub(crate) fn merged_export(&self, table: &str) -> Location {
        let time = (&self.snapshot_folder, self.snapshot_time.as_str());
        merged_export(&self.staging, &self.database, time, table)
    }
}

const SNAPSHOT_FOLDER: &str = "one folder name that holds the whole time, in the letters of strftime, such as \
                               'snapshot=%Y%m%dT%H%M%SZ'";

/// What is compared before a lake is called complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Rows.
    #[default]
    Count,
    /// Rows, and every value by a checksum.
    Checksum,
}

/// What happens to local files before something is called complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Manifests and lake files are put on disk.
    #[default]
    Fsync,
    /// The system writes them when it likes.
    None,
}

/// S3 access that is not a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// Endpoint URL of a store that is not AWS.
    pub endpoint: Option<String>,
    /// Region; `None`: from the environment.
    pub region: Option<String>,
    /// Whether an `http://` endpoint may be used.
    pub allow_http: bool,
}

impl WrittenSettings {
    /// Checks all values; `start` is where a missing one is reported.
    pub(super) fn resolve(&self, start: &Position) -> Result<Settings> {
        let name = |written: &PlacedText| path_name(&written.text, &written.at);
        let (database, _) = self.required("snaplake.database", "'shop'", start)?;
        let (time, _) = self.required("snaplake.snapshot_time", "'2013-12-31T23:59:59Z'", start)?;
        let (staging, staging_base) = self.required("snaplake.staging", "'s3://bucket/staging'", start)?;
        let (datalake, datalake_base) = self.required("snaplake.datalake", "'s3://bucket/datalake'", start)?;
        let snapshot_time = normalised(&time.text).ok_or_else(|| {
            bad_value("snaplake.snapshot_time", time, "RFC 3339 with a zone, such as '2013-12-31T23:59:59Z'")
        })?;
        let snapshot_folder = match self.get("snaplake.snapshot_folder") {
            None => SnapshotFolder::default(),
            Some(form) => snapshot_time
                .parse()
                .ok()
                .and_then(|time| SnapshotFolder::parse(&form.text, time))
                .ok_or_else(|| bad_value("snaplake.snapshot_folder", form, SNAPSHOT_FOLDER))?,
        };
        self.check_table_defaults()?;
        Ok(Settings {
            database: name(database)?,
            schema: self.get("snaplake.schema").map_or_else(|| Ok("public".to_owned()), name)?,
            snapshot_time,
            snapshot_folder,
            staging: location(staging, staging_base)?,
            datalake: location(datalake, datalake_base)?,
            verify: match self.get("snaplake.verify") {
                None => Verify::Count,
                Some(value) => match value.text.to_lowercase().as_str() {
                    "count" => Verify::Count,
                    "checksum" => Verify::Checksum,
                    _ => return Err(bad_value("snaplake.verify", value, "'count' or 'checksum'")),
                },
            },
            task_timeout: self.task_timeout()?,
            single_writer: self.boolean("snaplake.single_writer")?,
            fail_fast: self.boolean("snaplake.fail_fast")?,
            durability: match self.get("snaplake.durability") {
                None => Durability::default(),
                Some(value) => match value.text.to_lowercase().as_str() {
                    "fsync" => Durability::Fsync,
                    "none" => Durability::None,
                    _ => return Err(bad_value("snaplake.durability", value, "'fsync' or 'none'")),
                },
            },
            s3: self.s3()?,
        })
    }

    fn task_timeout(&self) -> Result<Option<Duration>> {
        const KEY: &str = "snaplake.task_timeout";
        let Some(value) = self.get(KEY) else { return Ok(None) };
        match duration(&value.text) {
            Some(limit) if !limit.is_zero() => Ok(Some(limit)),
            _ => Err(bad_value(KEY, value, "a time such as '90s', '30m', '2h' or '1d'")),
        }
    }

    /// False when it is not set.
    fn boolean(&self, key: &'static str) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(false) };
        boolean(&value.text).ok_or_else(|| bad_value(key, value, "true or false"))
    }

    fn s3(&self) -> Result<S3Settings> {
        let allow_http = self.boolean("snaplake.s3_allow_http")?;
        let endpoint = self.get("snaplake.s3_endpoint");
        if let Some(url) = endpoint
            && !(url.text.starts_with("https://") || (allow_http && url.text.starts_with("http://")))
        {
            let expected = "an https:// URL, or an http:// URL together with SET snaplake.s3_allow_http = true";
            return Err(bad_value("snaplake.s3_endpoint", url, expected));
        }
        if let Some(url) = endpoint
            && !Url::parse(&url.text)
                .is_ok_and(|url| url.username().is_empty() && url.query().is_none() && !url.as_str().contains("%"))
        {
            let expected = "a URL without credentials, which come from the environment";
            return Err(bad_value("snaplake.s3_endpoint", url, expected));
        }
        Ok(S3Settings {
            endpoint: endpoint.map(|url| url.text.clone()),
            region: self.get("snaplake.s3_region").map(|region| region.text.clone()),
            allow_http,
        })
    }

    fn check_table_defaults(&self) -> Result<()> {
        type Fits = fn(&str) -> bool;
        let checks: [(&str, Fits, &'static str); 6] = [
            ("snaplake.target_file_size", |text| ByteSize::parse(text).is_some(), SIZE),
            ("snaplake.min_file_size", |text| ByteSize::parse(text).is_some(), SIZE),
            ("snaplake.max_file_size", |text| ByteSize::parse(text).is_some(), SIZE),
            ("snaplake.file_group_size", |text| GroupSize::parse(text).is_some(), GROUP),
            ("snaplake.empty_partition", |text| EmptyPartition::parse(text).is_some(), EMPTY),
            ("snaplake.write_compression", |text| WriteCompression::parse(text).is_some(), CODEC),
        ];
        for (key, fits, expected) in checks {
            if let Some(value) = self.get(key).filter(|value| !fits(&value.text)) {
                return Err(bad_value(key, value, expected));
            }
        }
        Properties::new(&[], self)?.compression().map(drop)
    }
}

impl Settings {
    /// The snapshot time as a point in time.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        // The text was written by `normalised`; the epoch replaces an invalid time that a caller has set.
        self.snapshot_time.parse().unwrap_or_default()
    }
}

/// RFC 3339 in UTC, with `Z`, and a fraction only when it is not zero.
pub(crate) fn normalised(text: &str) -> Option<String> {
    snapshot_time(DateTime::parse_from_rfc3339(text.trim()).ok()?.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_utc_with_z_and_keep_a_fraction() {
        for (text, expected) in [
            ("2013-12-31T23:59:59Z", "2013-12-31T23:59:59Z"),
            ("2014-01-01T00:59:59+01:00", "2013-12-31T23:59:59Z"),
            ("2013-12-31T23:59:59.000Z", "2013-12-31T23:59:59Z"),
            ("2013-12-31T23:59:59.120Z", "2013-12-31T23:59:59.12Z"),
        ] {
            assert_eq!(normalised(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["2013-12-31", "2013-12-31T23:59:59", "yesterday", "", "2016-12-31T23:59:60Z"] {
            assert_eq!(normalised(text), None, "{text}");
        }
    }
}
