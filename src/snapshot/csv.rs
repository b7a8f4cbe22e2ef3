//! The records of one CSV file as columns: which of them it has, and where an error stands.
//!
//! Columns are matched by the names of the header ([`super::head`]), else by position. Quoted fields may hold line
//! ends. Rows of unequal length and two columns of one name are errors.
//!
//! Records are split by [`Splitter`] and read by [`super::columns`]. What these do not read goes to arrow's decoder,
//! which so decides what is an error and how it is worded: one batch if it is a value, else the rest of the file.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Decoder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use regex::{Captures, Regex};

use super::columns::column;
use super::convert::csv_type;
use super::decode::{Target, shortened};
use super::fields::{Split, Splitter};
use super::schema::duplicate;
use crate::config::FileFormat;

/// The records of one file.
pub(super) struct CsvBody {
    reader: Reader,
    /// Records per batch.
    rows: usize,
    /// All columns of the file, with the types to decode those that are asked for to.
    schema: SchemaRef,
    /// The columns to decode, in order of output.
    wanted: Vec<usize>,
    /// Their types in the table.
    types: Vec<DataType>,
    /// For each column of the output its position among the decoded ones.
    pub(super) slots: Vec<Option<usize>>,
    /// Rows before this batch or, with arrow's decoder, before the decoder was made: it counts from zero.
    since: u64,
}

enum Reader {
    Own(Box<Splitter>),
    Arrow(Box<Decoder>),
}

/// Columns as they are decoded, and their rows.
pub(super) type Decoded = (Vec<ArrayRef>, usize);

impl CsvBody {
    /// `first` is the first record: the header, if there is one.
    pub(super) fn new(target: &Target, first: Vec<String>, rows: usize) -> Result<Self> {
        let FileFormat::Csv(options) = target.format() else {
            return Err(DataFusionError::Internal("the format is not CSV".to_owned()));
        };
        let names = if options.has_header { first } else { names_by_position(target, first.len())? };
        if let Some(name) = duplicate(names.iter().map(String::as_str)) {
            return Err(DataFusionError::Execution(format!("the file has two columns named '{name}'")));
        }
        check_header(target.table(), &names)?;
        let mut fields: Vec<_> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let (mut wanted, mut types, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        for field in target.output().fields() {
            let column = names.iter().position(|name| name == field.name());
            slots.push(column.map(|_| wanted.len()));
            if let Some(column) = column {
                fields[column] = Field::new(field.name(), csv_type(field.data_type()).unwrap_or(DataType::Utf8), true);
                wanted.push(column);
                types.push(field.data_type().clone());
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let reader = match Splitter::new(options, names.len()) {
            Some(splitter) => Reader::Own(Box::new(splitter)),
            None => Reader::Arrow(Box::new(decoder(target, &schema, &wanted, rows))),
        };
        Ok(Self { reader, rows, schema, wanted, types, slots, since: 0 })
    }

    /// The same records read by arrow alone: what is right.
    #[cfg(test)]
    pub(super) fn by_arrow_alone(target: &Target, first: Vec<String>, rows: usize) -> Result<Self> {
        let mut body = Self::new(target, first, rows)?;
        body.reader = Reader::Arrow(Box::new(decoder(target, &body.schema, &body.wanted, rows)));
        Ok(body)
    }

    /// Goes on with batches of another size, between two batches.
    pub(super) fn restart(&mut self, target: &Target, rows: usize, since: u64) {
        (self.rows, self.since) = (rows, since);
        if let Reader::Arrow(_) = self.reader {
            self.reader = Reader::Arrow(Box::new(decoder(target, &self.schema, &self.wanted, rows)));
        }
    }

    /// Takes in bytes and says how many; fewer than all when a batch is full.
    pub(super) fn decode(&mut self, target: &Target, bytes: &[u8]) -> Result<usize> {
        if let Reader::Own(splitter) = &mut self.reader {
            match splitter.push(bytes, self.rows) {
                Split::Taken(used) => return Ok(used),
                Split::Refused => self.hand_over(target)?,
            }
        }
        match &mut self.reader {
            Reader::Own(_) => Ok(0),
            Reader::Arrow(decoder) => decoder.decode(bytes).map_err(|error| self.located(error)),
        }
    }

    /// Ends a last record that has no line end.
    pub(super) fn end(&mut self, target: &Target) -> Result<()> {
        if let Reader::Own(splitter) = &mut self.reader
            && !splitter.end()
        {
            self.hand_over(target)?;
        }
        match &mut self.reader {
            Reader::Own(_) => Ok(()),
            Reader::Arrow(decoder) => decoder.decode(&[]).map(|_| ()).map_err(|error| self.located(error)),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        match &self.reader {
            Reader::Own(splitter) => splitter.rows() >= self.rows,
            Reader::Arrow(decoder) => decoder.capacity() == 0,
        }
    }

    /// The records so far, if any.
    pub(super) fn flush(&mut self, target: &Target) -> Result<Option<Decoded>> {
        let splitter = match &mut self.reader {
            Reader::Own(splitter) => splitter,
            Reader::Arrow(decoder) => {
                let batch = decoder.flush().map_err(|error| self.located(error))?;
                return Ok(batch.map(|batch| (batch.columns().to_vec(), batch.num_rows())));
            }
        };
        let rows = splitter.rows();
        if rows == 0 {
            return Ok(None);
        }
        let length = splitter.bytes().len();
        let columns = splitter.records().and_then(|records| {
            let columns = self.wanted.iter().zip(&self.types);
            columns.map(|(at, data_type)| column(records.column(*at), data_type, target.null_regex())).collect()
        });
        let decoded = match columns {
            Some(columns) => (columns, rows),
            None => {
                let batch = self.by_arrow(target, length)?;
                (batch.columns().to_vec(), batch.num_rows())
            }
        };
        if let Reader::Own(splitter) = &mut self.reader {
            splitter.clear();
        }
        self.since += rows as u64;
        Ok(Some(decoded))
    }

    /// Has arrow read the rest of the file, from the start of this batch.
    fn hand_over(&mut self, target: &Target) -> Result<()> {
        if let Reader::Own(splitter) = &self.reader {
            let decoder = self.fed(target, splitter.bytes())?;
            self.reader = Reader::Arrow(Box::new(decoder));
        }
        Ok(())
    }

    /// A batch of so many bytes that has a value which could not be read.
    fn by_arrow(&self, target: &Target, length: usize) -> Result<RecordBatch> {
        let bytes = match &self.reader {
            Reader::Own(splitter) => &splitter.bytes()[..length],
            Reader::Arrow(_) => &[],
        };
        let mut decoder = self.fed(target, bytes)?;
        decoder.decode(&[]).map_err(|error| self.located(error))?;
        let batch = decoder.flush().map_err(|error| self.located(error))?;
        // Arrow looks at the fields without what separates them, which may form characters that nobody wrote.
        match batch.filter(|_| std::str::from_utf8(bytes).is_ok()) {
            Some(batch) => Ok(batch),
            None => {
                let reason = format!("Encountered invalid UTF-8 data after row {}", self.since);
                Err(DataFusionError::ArrowError(Box::new(ArrowError::CsvError(reason)), None))
            }
        }
    }

    /// Arrow's decoder with the bytes of a batch that is not yet full, or just so.
    fn fed(&self, target: &Target, bytes: &[u8]) -> Result<Decoder> {
        let mut decoder = decoder(target, &self.schema, &self.wanted, self.rows);
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = decoder.decode(rest).map_err(|error| self.located(error))?;
            if used == 0 {
                break;
            }
            rest = &rest[used..];
        }
        Ok(decoder)
    }

    /// Arrow numbers columns and, from where its decoder began, rows; users know names, and rows of the file.
    fn located(&self, error: ArrowError) -> DataFusionError {
        let error = match error {
            ArrowError::ParseError(text) => ArrowError::ParseError(self.renumbered(&text)),
            ArrowError::CsvError(text) => ArrowError::CsvError(self.renumbered(&text)),
            other => other,
        };
        DataFusionError::ArrowError(Box::new(shortened(error)), None)
    }

    fn renumbered(&self, text: &str) -> String {
        let number = |found: &Captures<'_>, group: usize| found[group].parse::<u64>().unwrap_or_default();
        // Parse errors count rows from 0, errors of the record's form from 1.
        let replace = |text: &str, pattern: &str, by: &dyn Fn(&Captures<'_>) -> String| match Regex::new(pattern) {
            Ok(pattern) => pattern.replace(text, by).into_owned(),
            Err(_) => text.to_owned(),
        };
        let text = replace(text, r"column (\d+) at line (\d+)", &|found| {
            let name = usize::try_from(number(found, 1)).ok().and_then(|column| self.schema.fields().get(column));
            let name = name.map(|field| field.name().as_str()).unwrap_or_default();
            format!("column '{name}' in row {}", self.since + number(found, 2) + 1)
        });
        replace(&text, r"for line (\d+)", &|found| format!("in row {}", self.since + number(found, 1)))
    }
}

fn decoder(target: &Target, schema: &SchemaRef, wanted: &[usize], rows: usize) -> Decoder {
    let mut builder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows).with_projection(wanted.to_vec());
    if let Some(null_regex) = target.null_regex() {
        builder = builder.with_null_regex(null_regex.clone());
    }
    if let FileFormat::Csv(options) = target.format() {
        builder = builder.with_delimiter(options.delimiter).with_quote(options.quote);
        if let Some(escape) = options.escape {
            builder = builder.with_escape(escape);
        }
        if let Some(terminator) = options.terminator {
            builder = builder.with_terminator(terminator);
        }
        if let Some(comment) = options.comment {
            builder = builder.with_comment(comment);
        }
    }
    builder.build_decoder()
}

/// A header of other columns, or of the same in other letters, must not become a table full of NULL.
fn check_header(table: &Schema, names: &[String]) -> Result<()> {
    let is_column = |name: &String| table.fields().iter().any(|field| field.name() == name);
    for field in table.fields().iter().filter(|field| !names.contains(field.name())) {
        if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(field.name()) && !is_column(name)) {
            let reason = format!("the column is '{}' in the table but '{name}' in the header", field.name());
            return Err(DataFusionError::Execution(format!(
                "{reason}; write it in double quotes where it is declared"
            )));
        }
    }
    if !table.fields().is_empty() && !names.iter().any(is_column) {
        let header: String = names.join(", ").chars().take(200).collect();
        let reason = format!("the header has no column of the table: {header}");
        return Err(DataFusionError::Execution(format!("{reason}; check the options delimiter and has_header")));
    }
    Ok(())
}

/// The table's first columns; a file without a header may have fewer, not more.
fn names_by_position(target: &Target, columns: usize) -> Result<Vec<String>> {
    let fields = target.table().fields();
    if columns > fields.len() {
        let reason = format!("the file has {columns} columns, the table only {}", fields.len());
        return Err(DataFusionError::Execution(reason));
    }
    Ok(fields[..columns].iter().map(|field| field.name().clone()).collect())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::TimeUnit;

    use super::super::decode::tests::{decode, decode_in, lines, schema};
    use super::*;
    use crate::config::CsvOptions;

    fn options() -> CsvOptions {
        CsvOptions::default()
    }

    fn csv() -> FileFormat {
        FileFormat::Csv(options())
    }

    fn headless() -> FileFormat {
        FileFormat::Csv(CsvOptions { has_header: false, ..options() })
    }

    fn table() -> SchemaRef {
        schema(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Float64)])
    }

    #[test]
    fn columns_are_found_by_the_names_in_the_header() {
        let batch = decode(&csv(), &table(), None, "x,b,a\n0,one,1\n0,two,2").unwrap();
        assert_eq!(lines(&batch), ["1|one|", "2|two|"]);
        assert_eq!(batch.column(2).null_count(), 2);
        let batch = decode(&csv(), &table(), Some(&vec![2, 0]), "c,b,a\r\n1.5,one,1\r\n").unwrap();
        assert_eq!(lines(&batch), ["1.5|1"]);
    }

    #[test]
    fn a_header_of_other_columns_is_an_error_not_a_table_of_null() {
        let error = decode(&csv(), &table(), Some(&vec![]), "a;b;c\n1;2;3\n").unwrap_err().to_string();
        assert!(error.contains("the header has no column of the table: a;b;c"), "{error}");
        let error = decode(&csv(), &table(), None, "a,B\n1,2\n").unwrap_err().to_string();
        assert!(error.contains("the column is 'b' in the table but 'B' in the header"), "{error}");
        assert!(decode(&csv(), &table(), None, "a,b,B\n1,2,3\n").is_ok());
    }

    #[test]
    fn columns_without_header_are_matched_by_position() {
        assert_eq!(lines(&decode(&headless(), &table(), None, "1,x\n2,y\n").unwrap()), ["1|x|", "2|y|"]);
        assert_eq!(lines(&decode(&headless(), &table(), Some(&vec![1]), "1,x").unwrap()), ["x"]);
        let error = decode(&headless(), &table(), None, "1,x,2,3\n").unwrap_err().to_string();
        assert!(error.contains("the file has 4 columns, the table only 3"), "{error}");
    }

    #[test]
    fn empty_files_and_a_header_alone_have_no_rows() {
        for text in ["", "\n\n", "a,b", "a,b\n"] {
            assert_eq!(decode(&csv(), &table(), None, text).unwrap().num_rows(), 0, "{text:?}");
        }
        assert_eq!(decode(&headless(), &table(), None, "").unwrap().num_rows(), 0);
    }

    #[test]
    fn quoted_fields_hold_line_ends_quotes_and_delimiters() {
        let batch = decode(&csv(), &table(), None, "a,\"b\"\n1,\"x\r\n\"\"y\"\",\nz\"\n\n2,é\n").unwrap();
        let texts = batch.column(1).as_string::<i32>();
        assert_eq!((texts.value(0), texts.value(1)), ("x\r\n\"y\",\nz", "é"));
    }

    #[test]
    fn other_dialects_are_read() {
        let dialect =
            CsvOptions { delimiter: b';', quote: b'\'', escape: Some(b'\\'), terminator: Some(b'~'), ..options() };
        let batch = decode(&FileFormat::Csv(dialect), &table(), None, "a;b~1;'x;\\'y'~").unwrap();
        assert_eq!(lines(&batch), ["1|x;'y|"]);
        let dialect = CsvOptions { comment: Some(b'#'), ..options() };
        let batch = decode(&FileFormat::Csv(dialect), &table(), None, "# no row\na,b\n# none\n1,x#\n").unwrap();
        assert_eq!(lines(&batch), ["1|x#|"]);
    }

    #[test]
    fn empty_is_null_for_every_type_unless_null_regex_says_otherwise() {
        let batch = decode(&csv(), &table(), None, "a,b,c\n,,\n1,\"\",2\n").unwrap();
        assert_eq!(batch.columns().iter().map(|column| column.null_count()).collect::<Vec<_>>(), [1, 2, 1]);

        let regex = FileFormat::Csv(CsvOptions { null_regex: Some(r"^\\N$".into()), ..options() });
        let batch = decode(&regex, &table(), None, "a,b,c\n\\N,,\\N\n1,\\N,2\n2,\\\\N,3\n").unwrap();
        let texts = batch.column(1).as_string::<i32>();
        assert_eq!(batch.columns().iter().map(|column| column.null_count()).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!((texts.value(0), texts.is_null(1), texts.value(2)), ("", true, "\\\\N"));
        let error = decode(&regex, &table(), None, "a,b,c\n,,\\N\n").unwrap_err().to_string();
        assert!(error.contains("value '' as type 'Int64' for column 'a' in row 1"), "{error}");
    }

    #[test]
    fn null_regex_holds_for_types_that_are_converted() {
        let schema = schema(&[("d", DataType::Decimal128(9, 2)), ("b", DataType::Boolean), ("l", DataType::LargeUtf8)]);
        let regex = FileFormat::Csv(CsvOptions { null_regex: Some("^NA$".into()), ..options() });
        let batch = decode(&regex, &schema, None, "d,b,l\nNA,NA,NA\n1.5,t,\n").unwrap();
        assert_eq!(lines(&batch), ["||", "1.50|true|"]);
        assert!(batch.column(2).is_valid(1));
    }

    #[test]
    fn times_are_read_with_and_without_zone() {
        let timestamp = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into));
        let schema = schema(&[
            ("n", timestamp(None)),
            ("u", timestamp(Some("+00:00"))),
            ("z", timestamp(Some("America/New_York"))),
            ("d", DataType::Date32),
            ("t", DataType::Time64(TimeUnit::Nanosecond)),
        ]);
        let text = "n,u,z,d,t\n\
                    2013-01-01T05:00:00Z,2013-01-01T05:00:00Z,2013-01-01T05:00:00Z,2013-01-01,05:00:00\n\
                    2013-01-01 05:00:00,2013-01-01 05:00:00.5,2013-01-01 05:00:00,2013-01-01,05:00:00.25\n";
        assert_eq!(
            lines(&decode(&csv(), &schema, None, text).unwrap()),
            [
                "2013-01-01T05:00:00|2013-01-01T05:00:00Z|2013-01-01T00:00:00-05:00|2013-01-01|05:00:00",
                "2013-01-01T05:00:00|2013-01-01T05:00:00.500Z|2013-01-01T05:00:00-05:00|2013-01-01|05:00:00.250"
            ]
        );
    }

    #[test]
    fn without_columns_rows_are_counted() {
        let batch = decode(&csv(), &table(), Some(&vec![]), "a,b\nnot a number,\"x\ny\"\n2,y").unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (2, 0));
    }

    #[test]
    fn errors_name_column_value_and_row_of_the_file() {
        let text = "b,a\n".to_owned() + &"x,1\n".repeat(1000) + "x,soon\n";
        let error = decode_in(&csv(), &table(), None, &text, (100, 8192)).unwrap_err().to_string();
        assert!(error.contains("value 'soon' as type 'Int64' for column 'a' in row 1001"), "{error}");
        let text = "b,a\n".to_owned() + &"x,1\n".repeat(1000) + "x\n";
        let error = decode_in(&csv(), &table(), None, &text, (100, 8192)).unwrap_err().to_string();
        assert!(error.contains("incorrect number of fields in row 1001, expected 2 got 1"), "{error}");
        let error = decode(&csv(), &table(), None, "a,b,a\n1,2,3\n").unwrap_err().to_string();
        assert!(error.contains("two columns named 'a'"), "{error}");
    }

    #[test]
    fn a_timestamp_that_is_none_names_column_value_and_row() {
        let schema = schema(&[("x", DataType::Utf8), ("t", DataType::Timestamp(TimeUnit::Second, None))]);
        let error = decode(&csv(), &schema, None, "x,t\n,2013-01-01\n,2013-13-01\n").unwrap_err().to_string();
        assert!(error.contains("column 't' in row 2") && error.contains("'2013-13-01'"), "{error}");
    }

    #[test]
    fn a_type_that_csv_cannot_hold_is_refused_only_if_asked_for() {
        let schema = schema(&[("a", DataType::Int64), ("l", DataType::new_list(DataType::Int64, true))]);
        assert!(Target::new(csv(), Arc::clone(&schema), Some(&vec![0])).is_ok());
        let error = Target::new(csv(), schema, None).unwrap_err().to_string();
        assert!(error.contains("column 'l' has type List(Int64), which CSV cannot hold"), "{error}");
    }
}
