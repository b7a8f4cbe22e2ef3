//! All keys of a config, with defaults and docs, as data.
//!
//! Help texts and "did you mean" suggestions use these tables, so every key is documented. The module `values` has the
//! types of the values.

pub use super::values::{
    ByteSize, BytesCode, CodedColumn, ColumnSet, Compression, CsvOptions, EmptyPartition, FileFormat, GroupSize,
    JsonDialect, JsonOptions, SortKey, TextOptions, Undeclared, WriteCompression,
};

/// One key: its name, its default and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDoc {
    /// As the user writes it.
    pub name: &'static str,
    /// Default value; `required` when there is none.
    pub default: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

const fn key(name: &'static str, default: &'static str, doc: &'static str) -> OptionDoc {
    OptionDoc { name, default, doc }
}

/// Prefix of every key of [`SETTINGS`].
pub const PREFIX: &str = "snaplake.";

/// `SET key = value;`
pub const SETTINGS: &[OptionDoc] = &[
    key("snaplake.database", "required", "Name of the database that was exported; part of every path."),
    key("snaplake.schema", "public", "Name of the database schema; part of every path."),
    key("snaplake.snapshot_time", "required", "Time of the snapshot, RFC 3339, such as '2013-12-31T23:59:59Z'."),
    key(
        "snaplake.snapshot_folder",
        "snapshot=%Y-%m-%dT%H:%M:%SZ",
        "Name of a snapshot's folder in staging and datalake, as a strftime format of its time. \
         'snapshot=%Y%m%dT%H%M%SZ' has no colon, which Windows and globs in Spark and Hadoop require.",
    ),
    key("snaplake.staging", "required", "Folder or URL for manifests and staging files."),
    key("snaplake.datalake", "required", "Folder or URL for the published lake tables."),
    key("snaplake.models", "none", "Glob of more SQL files, relative to the config, such as '../sql/*.sql'."),
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
        "How a lake is proven: 'count' compares row counts; 'checksum' also compares every value, and reads the lake \
         once more.",
    ),
    key(
        "snaplake.task_timeout",
        "none",
        "Time limit of one task, such as '2h'. A task that exceeds it ends the run; the next run does the task again.",
    ),
    key(
        "snaplake.single_writer",
        "false",
        "Whether to allow stores without conditional PUT. Then only one run may write a table at a time.",
    ),
    key(
        "snaplake.fail_fast",
        "false",
        "Whether a failed audit keeps all tables of a run from being published, not only those that it blocks.",
    ),
    key(
        "snaplake.durability",
        "fsync",
        "Protection of local files against power loss: 'fsync' flushes manifests and lake files to disk before a \
         commit, 'none' leaves that to the operating system.",
    ),
    key("snaplake.s3_endpoint", "AWS", "URL of an S3 endpoint that is not AWS, such as 'https://minio.example.com'."),
    key("snaplake.s3_region", "from the environment", "Region of the buckets, such as 'us-east-1'."),
    key("snaplake.s3_allow_http", "false", "Whether to allow an endpoint without TLS."),
];

/// `CREATE TABLE lake.t WITH (key = value) AS SELECT ...`
pub const PROPERTIES: &[OptionDoc] = &[
    key(
        "format",
        "PARQUET",
        "PARQUET: a folder of Parquet files per snapshot. ICEBERG: the same, and an Iceberg table of which each snapshot \
         is a version.",
    ),
    key("external_location", "below snaplake.datalake", "Folder or URL of the published table."),
    key("partitioned_by", "none", "Partition columns in path order, such as ARRAY['year', 'month']."),
    key(
        "empty_partition",
        "error",
        "What to do with an empty text in a partition column, because Spark cannot read its folder: 'error' refuses it, \
         'null' stores NULL, 'keep' writes the folder 'k='.",
    ),
    key(
        "sorted_by",
        "none",
        "Sort order of the rows in a partition, such as ARRAY['time_hour DESC NULLS LAST', 'id'].",
    ),
    key("write_compression", "zstd", "Codec of the published files: zstd, snappy, gzip, lz4 or uncompressed."),
    key("compression_level", "3 for zstd, 6 for gzip", "Level of the codec: 1 to 22 for zstd, 0 to 9 for gzip."),
    key("target_file_size", "128MB", "Intended size of published files."),
    key(
        "min_file_size",
        "75 % of target_file_size",
        "Minimum size of published files, except for a smaller partition.",
    ),
    key(
        "max_file_size",
        "180 % of target_file_size",
        "Maximum size of published files, except for a single larger row group.",
    ),
    key("file_group_size", "96MB", "Snapshot bytes per stage task; 'all' runs the SELECT once over all files."),
    key("not_null", "none", "Audit: columns without NULL, such as ARRAY['id', 'day']."),
    key(
        "unique_key",
        "none",
        "Audit: columns that together are unique, such as ARRAY['id']; rows with a NULL in one of them are ignored.",
    ),
    key(
        "accepted_values",
        "none",
        "Audit: the accepted values of a column, as text, such as MAP {'origin': ['EWR', 'JFK', 'LGA']}; NULL is \
         always accepted.",
    ),
    key("row_count_min", "none", "Audit: minimum number of rows of the table, such as 1."),
    key(
        "max_filtered_fraction",
        "none",
        "Audit: maximum share of the rows that the SELECT filters, from 0 to 1, such as 0.1.",
    ),
];

/// Those of [`SNAPSHOT_OPTIONS`] about the text of a file, which JSON files have as CSV files do.
pub(super) const JSON_OPTIONS: [&str; 3] = ["format.compression", "format.encoding", "format.schema_infer_max_rec"];

/// `CREATE EXTERNAL TABLE snapshot.t ... OPTIONS (key value)`; the prefix `format.`, of keys about decoding, may be
/// left out.
pub const SNAPSHOT_OPTIONS: &[OptionDoc] = &[
    key("format.has_header", "true", "CSV: whether the first line of each file has the column names."),
    key("format.delimiter", ",", "CSV: character between fields; '\\t' is a tab."),
    key(
        "format.quote",
        "\"",
        "CSV: quote character of fields with delimiters or line ends; doubled inside a field. '' turns quoting off.",
    ),
    key(
        "format.lax_quotes",
        "false",
        "CSV: whether misplaced quotes are text: all quotes in an unquoted field, and in a quoted field those not \
         followed by a delimiter, a line end or another quote. Otherwise they are an error.",
    ),
    key(
        "format.escape",
        "none",
        "CSV: escape character before a quote in a quoted field; without one a quote is doubled.",
    ),
    key(
        "format.escape_sequences",
        "true if escape is '\\'",
        "CSV: whether escape sequences also work outside quotes ('\\t', '\\n', '\\0', ..., and any character that is \
         not a letter or digit), as in MySQL and PostgreSQL's text format. Otherwise the escape works only in quoted \
         fields, before a quote or itself, as in PostgreSQL's CSV and Spark.",
    ),
    key("format.terminator", "LF, CR or CRLF", "CSV: line terminator."),
    key("format.comment", "none", "CSV: character at the start of comment lines, which are skipped."),
    key(
        "format.null_regex",
        "the empty field",
        "CSV: regular expression for NULL, such as '^(NA)?$'. An unquoted field that matches is NULL; no other field is.",
    ),
    key(
        "format.force_null",
        "false",
        "CSV: whether quoted fields can also be NULL: 'true', or the names of such columns.",
    ),
    key(
        "format.compression",
        "by file name",
        "CSV and JSON: compression of the files: gzip, zstd, bzip2, xz, uncompressed or auto.",
    ),
    key(
        "format.encoding",
        "UTF-8, or UTF-16 with a byte order mark",
        "CSV and JSON: character set of the files, such as latin1, windows-1252, shift_jis or utf-16le. A byte order mark \
         at the beginning of a file wins.",
    ),
    key("format.schema_infer_max_rec", "all", "CSV and JSON: number of records per table for schema inference."),
    key(
        "format.dialect",
        "none",
        "CSV: how a program writes CSV, as defaults of the other options: postgres, postgres_text, mysql, \
         mysql_batch, redshift, redshift_csv, snowflake, bigquery or dms. JSON: dynamodb or mongodb takes the types \
         off that these write around values.",
    ),
    key("format.newlines_in_values", "true", "CSV: accepted for compatibility; always on."),
    key(
        "exclude",
        "none",
        "All formats: globs of files in LOCATION to leave out, such as '*.bak, old/'; can be repeated.",
    ),
    key(
        "table",
        "name of the snapshot table",
        "All formats of exports: the table in the export, such as 'public.orders'; for '*', a glob of tables.",
    ),
    key(
        "on_invalid",
        "error",
        "All formats but PG_BINARY: what becomes of a value that the type of its column cannot hold: 'error', 'null' \
         (counted in the report), or an answer per column, such as 'day = null, note = text'; text makes the column \
         VARCHAR.",
    ),
    key(
        "undeclared",
        "ignore",
        "All formats: what a column of a file is that the table does not declare: 'ignore' lists it in the plan, 'error' \
         refuses it.",
    ),
    key(
        "ignore_table_format",
        "false",
        "All formats: whether to read the files of a Delta, Iceberg or Hudi table as plain files, including deleted rows.",
    ),
];

/// Optional prefix of the keys of [`SNAPSHOT_OPTIONS`].
pub const FORMAT_PREFIX: &str = "format.";

/// Default size of a published file.
pub const TARGET_FILE_SIZE: u64 = 128_000_000;

/// Default number of snapshot bytes per stage task.
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
