//! All keys of a config, with defaults and docs, as data.
//!
//! Help texts and "did you mean" answers come from these tables, so a key cannot exist without being documented. The
//! types of the values come from `values`, which says what they mean.

pub use super::values::{
    ByteSize, Compression, CsvOptions, EmptyPartition, FileFormat, ForceNull, GroupSize, SortKey, TextOptions,
    WriteCompression,
};

/// One key: its name, what holds when it is not written, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDoc {
    /// As the user writes it.
    pub name: &'static str,
    /// What holds otherwise; `required` when there is no default.
    pub default: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

const fn key(name: &'static str, default: &'static str, doc: &'static str) -> OptionDoc {
    OptionDoc { name, default, doc }
}

/// What stands in front of every key of [`SETTINGS`].
pub const PREFIX: &str = "snaplake.";

/// `SET key = value;`
pub const SETTINGS: &[OptionDoc] = &[
    key("snaplake.database", "required", "Name of the database that was exported; part of every path."),
    key("snaplake.schema", "public", "Its schema; part of every path."),
    key("snaplake.snapshot_time", "required", "Time of the snapshot, RFC 3339, such as '2013-12-31T23:59:59Z'."),
    key(
        "snaplake.snapshot_folder",
        "snapshot=%Y-%m-%dT%H:%M:%SZ",
        "Name of a snapshot's folder in staging and datalake: the time in the letters of strftime. \
         'snapshot=%Y%m%dT%H%M%SZ' has no colon, for Windows and for globs in Spark and Hadoop.",
    ),
    key("snaplake.staging", "required", "Folder or URL for manifests and staging files."),
    key("snaplake.datalake", "required", "Folder or URL below which the lake tables are published."),
    key("snaplake.models", "none", "Glob of more SQL files, relative to this one, such as '../sql/*.sql'."),
    key("snaplake.target_file_size", "128MB", "Default of the table property target_file_size."),
    key("snaplake.min_file_size", "75 % of target_file_size", "Default of the table property min_file_size."),
    key("snaplake.max_file_size", "180 % of target_file_size", "Default of the table property max_file_size."),
    key("snaplake.file_group_size", "96MB", "Default of the table property file_group_size."),
    key("snaplake.write_compression", "zstd", "Default of the table property write_compression."),
    key("snaplake.compression_level", "that of the codec", "Default of the table property compression_level."),
    key("snaplake.empty_partition", "error", "Default of the table property empty_partition."),
    key(
        "snaplake.verify",
        "count",
        "What proves a lake: 'count' compares rows; 'checksum' also compares every value, and reads the lake once \
         more.",
    ),
    key(
        "snaplake.task_timeout",
        "none",
        "Time that one task may take, such as '2h': one that takes longer ends the run, and the next run does it \
         again.",
    ),
    key(
        "snaplake.single_writer",
        "false",
        "Whether stores without conditional PUT may be written to: no two runs of one table at once then.",
    ),
    key(
        "snaplake.durability",
        "fsync",
        "What a power cut may take of local files: 'fsync' puts manifests and lake files on disk before anything is \
         called complete, 'none' leaves that to the system.",
    ),
    key("snaplake.s3_endpoint", "AWS", "URL of an S3 endpoint that is not AWS, such as 'https://minio.example.com'."),
    key("snaplake.s3_region", "from the environment", "Region of the buckets, such as 'us-east-1'."),
    key("snaplake.s3_allow_http", "false", "Whether the endpoint may be reached without TLS."),
];

/// `CREATE TABLE lake.t WITH (key = value) AS SELECT ...`
pub const PROPERTIES: &[OptionDoc] = &[
    key("format", "PARQUET", "Format of the published files; PARQUET is the only one."),
    key("external_location", "below snaplake.datalake", "Folder or URL that the table is published to."),
    key("partitioned_by", "none", "Partition columns in path order, such as ARRAY['year', 'month']."),
    key(
        "empty_partition",
        "error",
        "Rows whose partition column is the empty text, for which Spark cannot read a folder: 'error' refuses them, \
         'null' stores NULL, 'keep' writes the folder 'k='.",
    ),
    key("sorted_by", "none", "Order of the rows of a partition, such as ARRAY['time_hour DESC NULLS LAST', 'id']."),
    key("write_compression", "zstd", "Codec of the published files: zstd, snappy, gzip, lz4 or uncompressed."),
    key("compression_level", "3 for zstd, 6 for gzip", "Level of the codec: 1 to 22 for zstd, 0 to 9 for gzip."),
    key("target_file_size", "128MB", "Size that published files should have."),
    key("min_file_size", "75 % of target_file_size", "A published file is only smaller when its partition is."),
    key("max_file_size", "180 % of target_file_size", "No published file is larger, unless one row group is."),
    key(
        "file_group_size",
        "96MB",
        "Snapshot bytes that one stage task reads; 'all' runs the SELECT once over all files.",
    ),
    key("not_null", "none", "Audit: columns that must not have a NULL, such as ARRAY['id', 'day']."),
    key(
        "unique_key",
        "none",
        "Audit: columns whose values must together be unique, such as ARRAY['id']; rows with a NULL in one of them \
         are left out.",
    ),
    key(
        "accepted_values",
        "none",
        "Audit: all values that a column may have, as text, such as MAP {'origin': ['EWR', 'JFK', 'LGA']}; NULL may \
         always stand.",
    ),
    key("row_count_min", "none", "Audit: rows that the table must have, such as 1."),
    key(
        "max_filtered_fraction",
        "none",
        "Audit: share of the rows read that the SELECT may leave out, from 0 to 1, such as 0.1.",
    ),
];

/// `CREATE EXTERNAL TABLE snapshot.t ... OPTIONS (key value)`; the prefix `format.`, of keys about decoding, may be
/// left out.
pub const SNAPSHOT_OPTIONS: &[OptionDoc] = &[
    key("format.has_header", "true", "CSV: whether the first line of each file holds the column names."),
    key("format.delimiter", ",", "CSV: character between fields; '\\t' is a tab."),
    key(
        "format.quote",
        "\"",
        "CSV: character around fields that hold delimiters or line ends, doubled inside of them; '' if no field is \
         quoted.",
    ),
    key(
        "format.lax_quotes",
        "false",
        "CSV: whether misplaced quotes are text: any in an unquoted field, and in a quoted field those that are not \
         followed by a delimiter, a line end or another quote. Otherwise they are an error.",
    ),
    key("format.escape", "none", "CSV: character before a quote inside a quoted field; otherwise a quote is doubled."),
    key(
        "format.escape_sequences",
        "true if escape is '\\'",
        "CSV: whether the escape also works outside quotes, as MySQL and PostgreSQL's text format write it: '\\t', \
         '\\n', '\\0', ..., and before any character that is not a letter or digit. Otherwise it works only in quoted \
         fields, before quotes and itself, as in PostgreSQL's CSV and Spark.",
    ),
    key("format.terminator", "LF, CR or CRLF", "CSV: character that ends a line."),
    key("format.comment", "none", "CSV: lines that start with this character are skipped."),
    key(
        "format.null_regex",
        "the empty field",
        "CSV: an unquoted field is NULL if its text as written matches this regular expression, such as '^(NA)?$'; no \
         other field is.",
    ),
    key(
        "format.force_null",
        "false",
        "CSV: whether quoted fields may be NULL too: 'true', or the names of the columns where they may.",
    ),
    key("format.compression", "by file name", "CSV and JSON: gzip, zstd, bzip2, xz, uncompressed or auto."),
    key("format.schema_infer_max_rec", "all", "CSV and JSON: records per table that schema inference reads."),
    key("format.newlines_in_values", "true", "CSV: accepted and always on."),
    key(
        "exclude",
        "none",
        "All formats: globs of files below LOCATION that are left out, such as '*.bak, old/'; may be written several \
         times.",
    ),
    key(
        "ignore_table_format",
        "false",
        "All formats: whether the files of a Delta, Iceberg or Hudi table are read as plain files, deleted rows \
         included.",
    ),
];

/// What stands in front of every key of [`SNAPSHOT_OPTIONS`] and may be left out.
pub const FORMAT_PREFIX: &str = "format.";

/// Size of a published file when nothing else is said.
pub const TARGET_FILE_SIZE: u64 = 128_000_000;

/// Snapshot bytes per stage task when nothing else is said.
pub const FILE_GROUP_SIZE: u64 = 96_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_unique_and_documented_in_a_sentence() {
        for table in [SETTINGS, PROPERTIES, SNAPSHOT_OPTIONS] {
            for (index, option) in table.iter().enumerate() {
                assert!(option.doc.ends_with('.') && !option.default.is_empty(), "{}", option.name);
                assert!(table.iter().skip(index + 1).all(|other| other.name != option.name), "{}", option.name);
            }
        }
        assert!(SETTINGS.iter().all(|option| option.name.starts_with(PREFIX)));
        let is_of_all = |option: &OptionDoc| option.doc.starts_with("All formats");
        assert!(SNAPSHOT_OPTIONS.iter().all(|option| option.name.starts_with(FORMAT_PREFIX) != is_of_all(option)));
    }

    #[test]
    fn table_defaults_are_the_same_keys_as_properties() {
        for setting in SETTINGS.iter().filter(|setting| setting.doc.starts_with("Default of the table property")) {
            let name = setting.name.trim_start_matches(PREFIX);
            let property = PROPERTIES.iter().find(|property| property.name == name).unwrap();
            assert!(setting.doc.ends_with(&format!(" {}.", property.name)));
        }
    }
}
