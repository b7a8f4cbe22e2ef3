//! The schema of one CSV or NDJSON file, found by reading it.
//!
//! The whole file is read as a stream, unless `infer_records` bounds it, so that an attribute that appears in the last
//! line only is in the schema. Memory does not grow with the file. Declared columns need none of this, and
//! Parquet files say their schema themselves.
//!
//! CSV: see `crate::snapshot::csv::guess`; records are split and NULL is reported as when the file is read
//! (`crate::snapshot::csv::fields`, `crate::snapshot::csv::columns`).
//!
//! NDJSON: see `crate::snapshot::json::infer`.

use std::io::BufRead;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::Count;
use object_store::ObjectStore;
use object_store::path::Path;

use super::decode::batch_decoder;
use crate::config::{Compression, CsvOptions, FileFormat};
use crate::error::Result;
use crate::snapshot::batches::BatchDecoder;
use crate::snapshot::csv::columns::Nulls;
use crate::snapshot::csv::fields::Splitter;
use crate::snapshot::csv::guess::Guess;
use crate::snapshot::csv::head::{distinct, first_record};
use crate::snapshot::json::dialect::PlainJson;
use crate::snapshot::json::infer::infer_json;
use crate::snapshot::schema::inferred::Inferred;
use crate::snapshot::text::bytes::{ChunkReader, Chunks, Origin, RecordLimit, Request};
use crate::snapshot::text::place::Malformed;
use crate::snapshot::text::target::null_regex;

/// Reads a CSV or NDJSON file and finds its schema.
///
/// # Errors
/// `Error::Store` when the store fails, `Error::ReadSnapshotFile` and `Error::Malformed` when it is
/// not text of the format, and `Error::SchemaConflict` when a column of an NDJSON file has two types.
pub(crate) async fn infer(
    store: Arc<dyn ObjectStore>,
    location: &Path,
    uri: &str,
    table: &str,
    format: &FileFormat,
) -> Result<Inferred> {
    let origin = Origin { table: table.into(), uri: uri.into() };
    let text = format.text().cloned().unwrap_or_default();
    let request = Request {
        location,
        e_tag: None,
        size: None,
        compression: if format.has_schema() { Some(Compression::None) } else { text.compression },
        split: None,
        charset: text.charset.as_deref(),
        is_raw: !format.is_text(),
    };
    let chunks = Chunks::open(store.as_ref(), request, origin.clone(), Count::new()).await?;
    let limit = text.infer_records;
    if let Some(decoder) = batch_decoder(format) {
        let schema = schema_of(chunks, decoder, &origin).await?;
        return Ok(Inferred { schema: schema.as_ref().clone(), rows: 0, exact_rows: false });
    }
    match format {
        FileFormat::Csv(options) => {
            let null_regex =
                options.null_regex.as_deref().map(null_regex).transpose().map_err(|e| origin.unreadable(e))?;
            let mut columns = CsvInference::new(options.clone(), null_regex, limit);
            chunks.read_with(move |reader| columns.infer(reader, &origin)).await?
        }
        _ => {
            let plain = PlainJson::new(format, RecordLimit::default());
            chunks.read_with(move |reader| infer_json(reader, plain, limit, &origin)).await?
        }
    }
}

/// The schema that a file has itself, of which its head is read.
async fn schema_of(mut chunks: Chunks, mut decoder: Box<dyn BatchDecoder>, origin: &Origin) -> Result<SchemaRef> {
    while let Some(chunk) = chunks.next().await? {
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            if let Some(schema) = decoder.schema() {
                return Ok(schema);
            }
            let used = decoder.push(rest).map_err(|error| origin.unreadable(error))?;
            rest = &rest[used..];
        }
    }
    if let Some(schema) = decoder.schema() {
        return Ok(schema);
    }
    let end = decoder.end().map_err(|error| origin.unreadable(error));
    end.and_then(|()| Err(origin.unreadable(DataFusionError::Execution("it ends before its schema".to_owned()))))
}

/// Records that are looked at together.
const ROWS: usize = 1024;

/// The columns of one CSV file.
struct CsvInference {
    options: CsvOptions,
    null_regex: Option<regex::Regex>,
    /// Records that may be read.
    limit: usize,
    splitter: Splitter,
    /// Name, whether `force_null` holds, and what its values are; None before the first record.
    found: Option<Vec<(String, bool, Guess)>>,
    rows: usize,
}

impl CsvInference {
    fn new(options: CsvOptions, null_regex: Option<regex::Regex>, limit: Option<usize>) -> Self {
        let splitter = Splitter::new(&options, None);
        Self { options, null_regex, limit: limit.unwrap_or(usize::MAX), splitter, found: None, rows: 0 }
    }

    fn infer(&mut self, reader: &mut ChunkReader, origin: &Origin) -> Result<Inferred> {
        loop {
            let chunk = reader.fill_buf().map_err(|error| origin.unreadable(DataFusionError::IoError(error)))?;
            let used = chunk.len();
            let done = if chunk.is_empty() { self.end() } else { self.push(chunk) };
            let done = done.map_err(|malformed| origin.malformed(malformed))?;
            reader.consume(used);
            if done {
                break;
            }
        }
        let found = self.found.take().unwrap_or_default();
        let fields: Vec<_> =
            found.into_iter().map(|(name, _, guess)| Field::new(name, guess.data_type(), true)).collect();
        let (schema, exact_rows) = (Schema::new(fields), self.rows < self.limit);
        Ok(Inferred { schema, rows: self.rows as u64, exact_rows })
    }

    /// Takes in a chunk; true if enough records were read.
    fn push(&mut self, mut chunk: &[u8]) -> Result<bool, Malformed> {
        while !chunk.is_empty() && self.rows < self.limit {
            let rows = ROWS.min(self.limit - self.rows);
            let used = self.splitter.push(chunk, rows)?;
            chunk = &chunk[used..];
            self.learn_names()?;
            if self.splitter.is_full(rows) {
                self.look()?;
            }
        }
        Ok(self.rows >= self.limit)
    }

    fn end(&mut self) -> Result<bool, Malformed> {
        self.splitter.end()?;
        self.learn_names()?;
        self.look()?;
        Ok(true)
    }

    fn learn_names(&mut self) -> Result<(), Malformed> {
        if self.found.is_some() || self.splitter.rows() == 0 {
            return Ok(());
        }
        let names = if self.options.has_header {
            let names = distinct(first_record(&mut self.splitter)?);
            self.splitter.clear();
            names
        } else {
            (1..=self.splitter.columns()).map(|number| format!("column_{number}")).collect()
        };
        let column = |name: String| {
            let force = self.options.force_null.holds(&name);
            (name, force, Guess::default())
        };
        self.found = Some(names.into_iter().map(column).collect());
        Ok(())
    }

    /// Takes in the records of a batch.
    fn look(&mut self) -> Result<(), Malformed> {
        let rows = self.splitter.rows().min(self.limit - self.rows);
        if let Some(found) = self.found.as_mut().filter(|_| rows > 0) {
            let regex = self.null_regex.as_ref();
            let records = self.splitter.records(regex)?;
            for (number, (_, force, guess)) in found.iter_mut().enumerate() {
                let nulls = Nulls { regex, force: *force };
                let values = records.column(number).take(rows).filter(|field| !nulls.is_null(*field));
                values.for_each(|field| guess.add(field.text));
            }
            self.rows += rows;
            self.splitter.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;
    use crate::config::{ColumnSet, JsonOptions, TextOptions};
    use crate::snapshot::text::bytes::{tests::PACKED, tests::pack};

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
        infer_text(text, &FileFormat::Json(JsonOptions::default())).await.map(|inferred| columns(&inferred.schema))
    }

    #[tokio::test]
    async fn csv_types_come_from_all_rows_and_times_are_microseconds() {
        let text = "i,f,b,d,t,n,s,z\n\
                    1,1,true,2013-01-01,2013-01-01 05:00:00,2013-01-01 05:00:00.1234567,1,\n\
                    2,2.5,false,2013-01-02,2013-01-01T05:00:00.5,2013-01-01 05:00:00,x,\n";
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
    async fn csv_that_is_no_table_is_an_error_that_names_the_file_and_the_line() {
        for (text, reason) in [
            ("a,b\n1\n", "line 2, column 1: the record has 1 field, expected are 2"),
            ("a,b\n1,\"x\ny\n", "line 2, column 3: a quoted field begins here that never ends"),
            ("a,\"b\"c\n1,x\n", "line 1, column 6: text follows the closing quote of a field"),
            ("a,b\n1,x\"\n", "line 2, column 4: a quote inside an unquoted field"),
        ] {
            let error = infer_text(text, &FileFormat::Csv(CsvOptions::default())).await.unwrap_err();
            assert!(error.to_string().starts_with(&format!("s3://b/f, {reason}")), "{error}");
        }
    }

    #[tokio::test]
    async fn csv_names_that_are_empty_or_repeated_are_names() {
        let inferred = infer_text(",a,a\n0,1,x\n", &FileFormat::Csv(CsvOptions::default())).await.unwrap();
        assert_eq!(columns(&inferred.schema), " Int64, a Int64, a_1 Utf8");
    }

    #[tokio::test]
    async fn csv_blank_line_is_a_row_of_a_file_of_one_column_only() {
        let rows = async |text: &str| infer_text(text, &FileFormat::Csv(CsvOptions::default())).await.unwrap().rows;
        assert_eq!((rows("a\n1\n\n3\n").await, rows("a,b\n1,2\n\n3,4\n").await), (3, 2));
    }

    #[tokio::test]
    async fn csv_quotes_say_nothing_of_a_type_but_that_an_empty_field_is_text() {
        let text = "a,b,c\n\"1\",\"\",\"\"\n\"2\",\"3\",\"4\"\n";
        let force_null = ColumnSet::Columns(vec!["c".into()]);
        let options = CsvOptions { force_null, ..CsvOptions::default() };
        let inferred = infer_text(text, &FileFormat::Csv(options)).await.unwrap();
        assert_eq!(columns(&inferred.schema), "a Int64, b Utf8, c Int64");
    }

    #[tokio::test]
    async fn every_compression_and_empty_files_of_both_formats() {
        let formats = [
            (FileFormat::Csv(CsvOptions::default()), "a,b\n1,x\n2,y\n"),
            (FileFormat::Json(JsonOptions::default()), "{\"a\":1,\"b\":\"x\"}\n\n{\"a\":2}"),
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
        let inferred = infer_text(&text, &FileFormat::Json(JsonOptions::default())).await.unwrap();
        let late = inferred.schema.field(1);
        assert_eq!((late.name().as_str(), inferred.rows), ("late", 200_001));
        let DataType::Struct(fields) = late.data_type() else { panic!("{late}") };
        assert_eq!(fields[0].data_type(), &DataType::new_list(DataType::Float64, true));
    }

    #[tokio::test]
    async fn json_numbers_are_of_a_type_that_holds_every_digit() {
        for (numbers, data_type) in [
            ("1, -2.5", "Float64"),
            ("1, 18446744073709551615", "UInt64"),
            ("null, -1, 7", "Int64"),
            ("-1, 18446744073709551615", "Utf8"),
            ("18446744073709551616, 18446744073709551617", "Utf8"),
            ("1, 123456789012345678901234567890", "Utf8"),
            ("9007199254740993, 1.5", "Utf8"),
            ("1.5, 9007199254740993", "Utf8"),
            ("9007199254740992, 1.5", "Float64"),
            ("0.1, 0.10000000000000001, 1e300", "Float64"),
            ("3.14159265358979323846", "Utf8"),
            ("1, 1e400", "Utf8"),
            ("1e2, 3", "Float64"),
            ("-0", "Int64"),
        ] {
            let text: String = numbers.split(", ").map(|number| format!("{{\"a\":{number}}} ")).collect();
            assert_eq!(json(&text).await.unwrap(), format!("a {data_type}"), "{numbers}");
            let nested: String = numbers.split(", ").map(|number| format!("{{\"o\":[{number}]}}\n")).collect();
            assert!(json(&nested).await.unwrap().contains(data_type), "{numbers}");
        }
        assert!(json("{\"a\":18446744073709551616}\n{\"a\":\"x\"}").await.is_err());
    }

    #[tokio::test]
    async fn json_files_agree_on_numbers_in_any_order() {
        for (files, expected) in [
            (["9007199254740993", "1.5"], DataType::Utf8),
            (["9007199254740992", "1.5"], DataType::Float64),
            (["18446744073709551616", "1"], DataType::Utf8),
            (["18446744073709551615", "-1"], DataType::Utf8),
            (["1", "2"], DataType::Int64),
        ] {
            for files in [files, [files[1], files[0]]] {
                let mut merger = crate::snapshot::SchemaMerger::new("t");
                for number in files {
                    let text = format!("{{\"a\":{number},\"l\":[{number}],\"o\":{{\"x\":{number}}}}}");
                    let format = FileFormat::Json(JsonOptions::default());
                    merger.add(number, &infer_text(&text, &format).await.unwrap().schema).unwrap();
                }
                let merged = merger.finish();
                assert_eq!(merged.field(0).data_type(), &expected, "{files:?}");
                assert_eq!(merged.field(1).data_type(), &DataType::new_list(expected.clone(), true), "{files:?}");
                let DataType::Struct(fields) = merged.field(2).data_type() else { panic!("{merged}") };
                assert_eq!(fields[0].as_ref(), &Field::new("x", expected.clone(), true), "{files:?}");
            }
        }
    }

    #[tokio::test]
    async fn json_objects_have_each_name_once_and_nest_128_deep() {
        for text in ["{\"a\":1,\"a\":2}", "{\"o\":[{\"x\":1},{\"x\":1,\"y\":2,\"\\u0078\":2}]}"] {
            let error = json(text).await.unwrap_err().to_string();
            assert!(error.contains("occurs twice in one object"), "{error}");
        }
        assert_eq!(json("{\"a\":1,\"A\":\"x\"}").await.unwrap(), "a Int64, A Utf8");
        let nested = |depth| format!("{{\"deep\":{}1{}}}\n", "[".repeat(depth), "]".repeat(depth));
        assert!(json(&nested(127)).await.is_ok());
        let error = json(&nested(128)).await.unwrap_err().to_string();
        assert!(error.contains("column 'deep' nests more than 128 deep; declare it as VARCHAR"), "{error}");
        let objects = format!("{}1{}", "{\"x\":".repeat(128), "}".repeat(128));
        assert!(json(&objects).await.is_ok());
        let error = json(&format!("{{\"deep\":{objects}}}")).await.unwrap_err().to_string();
        assert!(error.contains("column 'deep' nests more than 128 deep"), "{error}");
    }

    #[tokio::test]
    async fn json_kinds_that_differ_are_a_conflict_with_both_lines() {
        let error = json("\n{\"o\":{\"x\":[1]}}\n{\"o\":{\"x\":[null,\"y\"]}}").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "column 'o.x[]' of snapshot.t is BIGINT in s3://b/f line 2 but VARCHAR in s3://b/f line 3"
        );
        for text in ["{\"a\":1}\n{\"a\":[1]}", "{\"a\":{}}\n{\"a\":true}", "{\"a\":false}\n{\"a\":0}"] {
            assert!(matches!(json(text).await, Err(crate::error::Error::SchemaConflict { .. })), "{text}");
        }
    }

    #[tokio::test]
    async fn json_that_is_none_is_an_error_with_file_line_and_column() {
        for (text, reason) in [
            ("{\"a\":1}\n[{\"a\":1}]\n", "line 2, column 1: a record must be an object, this is a list"),
            ("{\"a\":1}\n{\"a\":", "line 2, column 6: the file ends within a record"),
            ("{\"a\":1\n,\n\"é\":2,}", "line 3, column 7: expected a name in double quotes, found '}'"),
            ("a,b\n", "line 1, column 1: a record must be an object"),
            ("{\"a\":\"x\ny\"}\n", "line 1, column 8: a line ends within a string; its quote is not closed"),
            ("{\"a\":NaN}\n", "line 1, column 6: NaN and Infinity are not JSON"),
            ("{\"a\":1} x\n", "line 1, column 9: a record must be an object"),
        ] {
            let error = json(text).await.unwrap_err();
            assert!(matches!(error, crate::error::Error::Malformed { .. }), "{error:?}");
            assert!(error.to_string().starts_with(&format!("s3://b/f, {reason}")), "{error}");
        }
    }

    #[tokio::test]
    async fn json_records_may_run_over_lines() {
        assert_eq!(json("{\"a\":1}\n{\n\"a\":2,\n\"b\":[\n\"x\"]}{\"c\":1}").await.unwrap(), {
            let list = DataType::new_list(DataType::Utf8, true);
            format!("a Int64, b {list}, c Int64")
        });
    }
}
