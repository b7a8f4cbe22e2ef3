//! The schema of one CSV or NDJSON file, found by reading it.
//!
//! The whole file is read as a stream, unless `infer_records` bounds it, so that an attribute that appears in the last
//! line only is in the schema. Memory does not grow with the file. Declared columns need none of this, and
//! Parquet files say their schema themselves.
//!
//! CSV: types are those of arrow-csv (Boolean, Int64, Float64, Date32, timestamps, else text), with `null_regex`
//! honoured; integers beyond 64 bits are text. Timestamps are microseconds, or nanoseconds where a value has more than
//! six digits, whatever the shortest value shows: parts of one export must not differ because one has whole seconds
//! only. A value with an offset is taken as the instant in UTC. Blank lines are skipped, also in a file of one column.
//!
//! NDJSON: see `super::json`.

use std::sync::Arc;

use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::Count;
use object_store::ObjectStore;
use object_store::path::Path;

use super::bytes::{ChunkReader, Chunks, Origin, Request};
use super::json::infer_json;
use super::schema::{duplicate, duplicate_column};
use crate::config::{CsvOptions, FileFormat};
use crate::error::Result;

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inferred {
    /// Columns in order of appearance, nullable. A column of no value is Null.
    pub(crate) schema: Schema,
    /// Records that were read.
    pub(crate) rows: u64,
    /// Whether these are all records of the file.
    pub(crate) exact_rows: bool,
}

/// Reads a CSV or NDJSON file and finds its schema.
///
/// # Errors
/// `Error::Store` when the store fails, `Error::ReadSnapshotFile` when it is
/// not text of the format, and `Error::SchemaConflict` when a column of an NDJSON file has two types.
pub(crate) async fn infer(
    store: Arc<dyn ObjectStore>,
    location: &Path,
    uri: &str,
    table: &str,
    format: &FileFormat,
) -> Result<Inferred> {
    let origin = Origin { table: table.into(), uri: uri.into() };
    let text = match format {
        FileFormat::Csv(options) => &options.text,
        FileFormat::Json(options) => options,
        FileFormat::Parquet => {
            let reason = "a parquet file is not inferred".to_owned();
            return Err(origin.unreadable(DataFusionError::Internal(reason)));
        }
    };
    let request = Request { location, e_tag: None, size: None, compression: text.compression };
    let chunks = Chunks::open(store.as_ref(), request, origin.clone(), Count::new()).await?;
    let limit = text.infer_records;
    match format {
        FileFormat::Csv(options) => {
            let format = csv_format(options).map_err(|e| origin.unreadable(e))?;
            chunks.read_with(move |reader| infer_csv(reader, &format, limit, &origin)).await?
        }
        _ => chunks.read_with(move |reader| infer_json(reader, limit, &origin)).await?,
    }
}

fn csv_format(options: &CsvOptions) -> Result<Format, DataFusionError> {
    let mut format =
        Format::default().with_header(options.has_header).with_delimiter(options.delimiter).with_quote(options.quote);
    if let Some(escape) = options.escape {
        format = format.with_escape(escape);
    }
    if let Some(terminator) = options.terminator {
        format = format.with_terminator(terminator);
    }
    if let Some(comment) = options.comment {
        format = format.with_comment(comment);
    }
    if let Some(pattern) = &options.null_regex {
        format = format.with_null_regex(null_regex(pattern)?);
    }
    Ok(format)
}

/// The compiled `null_regex` option.
pub(super) fn null_regex(pattern: &str) -> Result<regex::Regex, DataFusionError> {
    regex::Regex::new(pattern).map_err(|e| DataFusionError::Configuration(format!("null_regex '{pattern}': {e}")))
}

fn infer_csv(reader: &mut ChunkReader, format: &Format, limit: Option<usize>, origin: &Origin) -> Result<Inferred> {
    let (schema, rows) = format
        .infer_schema(reader, limit)
        .map_err(|e| origin.unreadable(DataFusionError::ArrowError(Box::new(e), None)))?;
    if let Some(name) = duplicate(schema.fields().iter().map(|field| field.name().as_str())) {
        return Err(duplicate_column(&origin.table, &origin.uri, name));
    }
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), at_least_microseconds(field.data_type()), true))
        .collect();
    let exact_rows = limit.is_none_or(|limit| rows < limit);
    Ok(Inferred { schema: Schema::new(fields), rows: rows as u64, exact_rows })
}

fn at_least_microseconds(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None) => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::super::bytes::tests::{PACKED, pack};
    use super::*;
    use crate::config::TextOptions;

    async fn infer_bytes(name: &str, bytes: Vec<u8>, format: &FileFormat) -> Result<Inferred> {
        let store = InMemory::new();
        let location = Path::from(name);
        store.put(&location, bytes.into()).await.unwrap();
        infer(Arc::new(store), &location, &format!("s3://b/{name}"), "t", format).await
    }

    async fn infer_text(text: &str, format: &FileFormat) -> Result<Inferred> {
        infer_bytes("f", text.into(), format).await
    }

    /// `name type, name type` of a schema.
    fn columns(schema: &Schema) -> String {
        let columns: Vec<_> =
            schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        columns.join(", ")
    }

    async fn json(text: &str) -> Result<String> {
        infer_text(text, &FileFormat::Json(TextOptions::default())).await.map(|inferred| columns(&inferred.schema))
    }

    #[tokio::test]
    async fn csv_types_come_from_all_rows_and_times_are_microseconds() {
        let text = "i,f,b,d,t,n,s,z\n\
                    1,1,true,2013-01-01,2013-01-01 05:00:00,2013-01-01 05:00:00.1234567,1,\n\
                    2,2.5,false,2013-01-02,2013-01-01T05:00:00Z,2013-01-01 05:00:00,x,\n";
        let inferred = infer_text(text, &FileFormat::Csv(CsvOptions::default())).await.unwrap();
        assert_eq!(
            columns(&inferred.schema),
            "i Int64, f Float64, b Boolean, d Date32, t Timestamp(µs), n Timestamp(ns), s Utf8, z Null"
        );
        assert_eq!((inferred.rows, inferred.exact_rows), (2, true));
    }

    #[tokio::test]
    async fn csv_null_regex_is_not_a_value_and_the_rest_is() {
        let options = CsvOptions { null_regex: Some("^NA$".into()), ..CsvOptions::default() };
        let inferred = infer_text("a,b\nNA,1\n5,\n", &FileFormat::Csv(options)).await.unwrap();
        assert_eq!(columns(&inferred.schema), "a Int64, b Utf8");
    }

    #[tokio::test]
    async fn csv_without_header_numbers_its_columns() {
        let options = CsvOptions { has_header: false, delimiter: b'|', ..CsvOptions::default() };
        let inferred = infer_text("1|x\n2|y\n", &FileFormat::Csv(options)).await.unwrap();
        assert_eq!(columns(&inferred.schema), "column_1 Int64, column_2 Utf8");
        assert_eq!(inferred.rows, 2);
    }

    #[tokio::test]
    async fn csv_infer_records_bounds_the_rows_and_says_so() {
        let options = CsvOptions {
            text: TextOptions { infer_records: Some(1), ..TextOptions::default() },
            ..CsvOptions::default()
        };
        let text = format!("a\n1\n{}", "x\n".repeat(500_000));
        let inferred = infer_text(&text, &FileFormat::Csv(options)).await.unwrap();
        assert_eq!((columns(&inferred.schema).as_str(), inferred.rows, inferred.exact_rows), ("a Int64", 1, false));
    }

    #[tokio::test]
    async fn csv_that_is_no_table_is_an_error_that_names_the_file() {
        for (text, reason) in [("a,b,a\n1,2,3\n", "two columns named 'a'"), ("a,b\n1\n", "unequal lengths")] {
            let error = infer_text(text, &FileFormat::Csv(CsvOptions::default())).await.unwrap_err();
            assert!(error.to_string().starts_with("cannot read s3://b/f of snapshot.t"), "{error}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(reason), "{source}");
        }
    }

    #[tokio::test]
    async fn every_compression_and_empty_files_of_both_formats() {
        let formats = [
            (FileFormat::Csv(CsvOptions::default()), "a,b\n1,x\n2,y\n"),
            (FileFormat::Json(TextOptions::default()), "{\"a\":1,\"b\":\"x\"}\n\n{\"a\":2}"),
        ];
        for (format, text) in formats {
            for (extension, compression) in PACKED {
                let name = format!("f{extension}");
                let inferred = infer_bytes(&name, pack(compression, text.as_bytes()).await, &format).await.unwrap();
                assert_eq!((columns(&inferred.schema).as_str(), inferred.rows), ("a Int64, b Utf8", 2), "{name}");
                for empty in [vec![], pack(compression, b"").await] {
                    let inferred = infer_bytes(&name, empty, &format).await.unwrap();
                    assert_eq!(inferred, Inferred { schema: Schema::empty(), rows: 0, exact_rows: true });
                }
            }
        }
    }

    #[tokio::test]
    async fn a_truncated_gzip_file_is_an_error_not_a_shorter_table() {
        let text = "a,b\n".to_owned() + &"1,2\n".repeat(100_000);
        let mut packed = pack(PACKED[1].1, text.as_bytes()).await;
        packed.truncate(packed.len() - 9);
        let error = infer_bytes("f.gz", packed, &FileFormat::Csv(CsvOptions::default())).await.unwrap_err();
        assert!(matches!(error, crate::error::Error::ReadSnapshotFile { .. }), "{error}");
    }

    #[tokio::test]
    async fn json_attribute_of_the_last_line_is_in_the_schema() {
        let text = "{\"a\":1}\n".repeat(200_000) + "{\"late\":{\"x\":[1,2.5]},\"a\":null}";
        let inferred = infer_text(&text, &FileFormat::Json(TextOptions::default())).await.unwrap();
        let late = inferred.schema.field(1);
        assert_eq!((late.name().as_str(), inferred.rows), ("late", 200_001));
        let DataType::Struct(fields) = late.data_type() else { panic!("{late}") };
        assert_eq!(fields[0].data_type(), &DataType::new_list(DataType::Float64, true));
    }

    #[tokio::test]
    async fn json_numbers_widen_and_large_ones_keep_their_digits() {
        assert_eq!(json("{\"a\":1}\n{\"a\":-2.5}").await.unwrap(), "a Float64");
        assert_eq!(json("{\"a\":1}\n{\"a\":18446744073709551615}").await.unwrap(), "a UInt64");
        assert_eq!(json("{\"a\":null} {\"a\":-1}{\"a\":7}\n").await.unwrap(), "a Int64");
        assert!(json("{\"a\":-1}\n{\"a\":18446744073709551615}").await.is_err());
    }

    #[tokio::test]
    async fn json_kinds_that_differ_are_a_conflict_with_both_lines() {
        let error = json("\n{\"o\":{\"x\":[1]}}\n{\"o\":{\"x\":[null,\"y\"]}}").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "column 'o.x[]' of snapshot.t is Int64 in s3://b/f line 2 but Utf8 in s3://b/f line 3; \
             declare the column in CREATE EXTERNAL TABLE to choose one type"
        );
        for text in ["{\"a\":1}\n{\"a\":[1]}", "{\"a\":{}}\n{\"a\":true}", "{\"a\":false}\n{\"a\":0}"] {
            assert!(matches!(json(text).await, Err(crate::error::Error::SchemaConflict { .. })), "{text}");
        }
    }

    #[tokio::test]
    async fn json_that_is_none_is_an_error_with_file_and_line() {
        for (text, reason) in [
            ("{\"a\":1}\n[{\"a\":1}]\n", "line 2: invalid type: sequence, expected one JSON object per line"),
            ("{\"a\":1}\n{\"a\":", "line 2: EOF while parsing a value"),
            ("{\"a\":1\n}", "line 1: EOF while parsing an object"),
            ("a,b\n", "line 1: expected value"),
        ] {
            let error = json(text).await.unwrap_err();
            assert!(error.to_string().starts_with("cannot read s3://b/f of snapshot.t"), "{error}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(reason), "{source}");
        }
    }
}
