//! The records of one CSV file as columns: which of them it has, and where an error is.
//!
//! Columns are matched by the names of the header ([`super::head`]), else by position. Records are split by
//! [`Splitter`] and read by [`super::columns`]. The first thing that is wrong is the error: [`Malformed`] with line and
//! column, or
//! [`InvalidValue`] with the row, counted from 1 without the header.

use std::collections::BTreeMap;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::error::{DataFusionError, Result};

use super::columns::{Nulls, column, column_or_null, keep_first};
use super::fields::Splitter;
use super::head::{check_header, distinct, first_record, names_by_position};
use crate::config::{CsvOptions, FileFormat, Undeclared};
use crate::error::InvalidValue;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::place::Malformed;
use crate::snapshot::text::target::Target;

/// The records of one file.
pub(crate) struct CsvBody {
    splitter: Splitter,
    has_header: bool,
    /// None before the first record is complete.
    found: Option<FileColumns>,
    /// Rows before this batch.
    rows: u64,
    /// Values that are NULL because their column cannot hold them.
    pub(crate) set_to_null: BTreeMap<String, u64>,
}

/// The columns of one file.
struct FileColumns {
    wanted: Vec<CsvColumn>,
    /// For each column of the output its position among the wanted ones.
    slots: Vec<Option<usize>>,
    /// Columns of the output that the file does not have.
    absent: Vec<usize>,
}

/// A column to decode.
struct CsvColumn {
    /// In the file.
    at: usize,
    field: FieldRef,
    /// A quoted field may be NULL too.
    force_null: bool,
}

/// Columns as they are decoded, and their rows.
pub(crate) type Decoded = (Vec<ArrayRef>, usize);

impl CsvBody {
    pub(crate) fn new(target: &Target, limit: RecordLimit) -> Result<Self> {
        let options = options(target)?;
        // All columns of a file without header are declared: a table of one column has files of one.
        let count = if options.columns.is_empty() { target.table().fields().len() } else { options.columns.len() };
        let columns = (!options.has_header && count == 1).then_some(1);
        let splitter = Splitter::new(options, columns).with_limit(limit);
        let set_to_null = BTreeMap::new();
        let mut body = Self { splitter, has_header: options.has_header, found: None, rows: 0, set_to_null };
        if columns.is_some() {
            let names = &options.columns;
            let names = if names.is_empty() { names_by_position(target, 1)? } else { names.clone() };
            body.found = Some(FileColumns::new(target, names)?);
        }
        Ok(body)
    }

    /// Takes in bytes and says how many; fewer than all when a batch of `rows` is full.
    pub(crate) fn decode(&mut self, target: &Target, bytes: &[u8], rows: usize) -> Result<usize> {
        match self.splitter.push(bytes, rows) {
            Ok(used) => {
                self.learn_columns(target)?;
                Ok(used)
            }
            Err(malformed) => Err(self.first_error(target, malformed)),
        }
    }

    /// Ends a last record that has no line end.
    pub(crate) fn end(&mut self, target: &Target) -> Result<()> {
        match self.splitter.end() {
            Ok(()) => self.learn_columns(target),
            Err(malformed) => Err(self.first_error(target, malformed)),
        }
    }

    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.found.is_some() && self.splitter.is_full(rows)
    }

    /// For each column of the output its position among those of [`CsvBody::flush`].
    pub(crate) fn slots(&self) -> &[Option<usize>] {
        self.found.as_ref().map(|found| found.slots.as_slice()).unwrap_or_default()
    }

    /// Columns of the output that the file does not have; None if it has no first record, or not yet.
    pub(crate) fn absent(&self) -> Option<&[usize]> {
        self.found.as_ref().map(|found| found.absent.as_slice())
    }

    /// Line where a quoted field of suspiciously many lines begins, once.
    pub(crate) fn take_long_field(&mut self) -> Option<u64> {
        self.splitter.take_long_field()
    }

    /// The records so far, if any.
    pub(crate) fn flush(&mut self, target: &Target) -> Result<Option<Decoded>> {
        let rows = self.splitter.rows();
        if rows == 0 || self.found.is_none() {
            return Ok(None);
        }
        let columns = self.columns(target)?;
        self.splitter.clear();
        self.rows += rows as u64;
        Ok(Some((columns, rows)))
    }

    fn learn_columns(&mut self, target: &Target) -> Result<()> {
        if self.found.is_some() || self.splitter.rows() == 0 {
            return Ok(());
        }
        let names = if self.has_header {
            let names = distinct(first_record(&mut self.splitter).map_err(external)?);
            check_header(target.table(), &names)?;
            check_undeclared(target, &names)?;
            self.splitter.clear();
            names
        } else {
            let columns = self.splitter.columns();
            let names = &options(target)?.columns;
            if !names.is_empty() && names.len() != columns {
                let reason = format!("its rows have {columns} values, but there are {} columns", names.len());
                return Err(DataFusionError::Execution(reason));
            }
            if names.is_empty() { names_by_position(target, columns)? } else { names.clone() }
        };
        self.found = Some(FileColumns::new(target, names)?);
        Ok(())
    }

    fn columns(&mut self, target: &Target) -> Result<Vec<ArrayRef>> {
        let records = self.splitter.records(target.null_regex()).map_err(external)?;
        let Some(found) = &self.found else { return Ok(Vec::new()) };
        let mut columns = Vec::with_capacity(found.wanted.len());
        let mut first: Option<InvalidValue> = None;
        for wanted in &found.wanted {
            let nulls = Nulls { regex: target.null_regex(), force: wanted.force_null };
            let (fields, data_type) = (|| records.column(wanted.at), wanted.field.data_type());
            let mut read = column(fields(), data_type, nulls);
            if read.is_err() && target.is_null_invalid(wanted.field.name()) {
                read = column_or_null(fields(), data_type, nulls).map(|(column, invalid)| {
                    *self.set_to_null.entry(wanted.field.name().clone()).or_default() += invalid;
                    column
                });
            }
            match read {
                Ok(column) => columns.push(column),
                Err(misread) => keep_first(&mut first, &wanted.field, misread, self.rows),
            }
        }
        first.map_or(Ok(columns), |value| Err(external(value)))
    }

    /// What is wrong with the records before the malformed one, else with that.
    fn first_error(&mut self, target: &Target, malformed: Malformed) -> DataFusionError {
        match self.learn_columns(target).and_then(|()| self.columns(target)) {
            Ok(_) => external(malformed),
            Err(error) => error,
        }
    }
}

impl FileColumns {
    fn new(target: &Target, names: Vec<String>) -> Result<Self> {
        let options = options(target)?;
        let (mut wanted, mut slots, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (index, field) in target.output().fields().iter().enumerate() {
            let at = names.iter().position(|name| name == field.name());
            slots.push(at.map(|_| wanted.len()));
            match at {
                Some(at) => {
                    let force_null = options.force_null.holds(field.name());
                    wanted.push(CsvColumn { at, field: FieldRef::clone(field), force_null });
                }
                None => absent.push(index),
            }
        }
        Ok(Self { wanted, slots, absent })
    }
}

/// A header has no column that the table does not declare, where that is asked for.
fn check_undeclared(target: &Target, names: &[String]) -> Result<()> {
    if target.undeclared() == Undeclared::Ignore {
        return Ok(());
    }
    let is_known = |name: &String| target.table().field_with_name(name).is_ok() || target.of_path().contains(name);
    let Some(name) = names.iter().find(|name| !is_known(name)) else { return Ok(()) };
    let reason = format!("the column '{name}' is not declared; declare it, or set the option 'undeclared' 'ignore'");
    Err(external(Malformed { line: 1, column: 1, reason }))
}

fn options(target: &Target) -> Result<&CsvOptions> {
    match target.format() {
        FileFormat::Csv(options) => Ok(options),
        _ => Err(DataFusionError::Internal("the format is not CSV".to_owned())),
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{Array, AsArray, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};

    use super::*;
    use crate::config::ColumnSet;
    use crate::snapshot::scan::decode::{FileDecoder, Pace, target};
    use crate::snapshot::scan::decode::{tests::decode, tests::decode_in, tests::lines, tests::schema};

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
        assert!(error.contains("the file has 'B', not 'b'"), "{error}");
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
        let dialect = CsvOptions {
            delimiter: b';',
            quote: Some(b'\''),
            escape: Some(b'\\'),
            terminator: Some(b'~'),
            ..options()
        };
        let batch = decode(&FileFormat::Csv(dialect), &table(), None, "a;b~1;'x;\\'y'~").unwrap();
        assert_eq!(lines(&batch), ["1|x;'y|"]);
        let dialect = CsvOptions { comment: Some(b'#'), ..options() };
        let batch = decode(&FileFormat::Csv(dialect), &table(), None, "# no row\na,b\n# none\n1,x#\n").unwrap();
        assert_eq!(lines(&batch), ["1|x#|"]);
    }

    fn nulls(batch: &RecordBatch) -> Vec<usize> {
        batch.columns().iter().map(|column| column.null_count()).collect()
    }

    fn fails(format: &FileFormat, table: &SchemaRef, text: &str) -> String {
        decode(format, table, None, text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_field_is_null_for_every_type_and_a_quoted_one_never() {
        let batch = decode(&csv(), &table(), None, "a,b,c\n,,\n1,\"\",2\n").unwrap();
        assert_eq!(nulls(&batch), [1, 1, 1]);
        assert_eq!(batch.column(1).as_string::<i32>().value(1), "");
        let error = fails(&csv(), &table(), "a,b,c\n1,x,2\n\"\",,3\n");
        assert!(error.contains("row 2, column 'a': '' cannot be read as BIGINT: it is empty but quoted"), "{error}");
        assert!(error.contains("the option 'force_null'"), "{error}");
    }

    #[test]
    fn force_null_takes_quoted_fields_as_null_in_all_columns_or_some() {
        let format = |force_null| FileFormat::Csv(CsvOptions { force_null, ..options() });
        let text = "a,b,c\n\"\",\"\",\"\"\n";
        assert_eq!(nulls(&decode(&format(ColumnSet::All), &table(), None, text).unwrap()), [1, 1, 1]);
        let some = format(ColumnSet::Columns(vec!["a".into(), "c".into()]));
        assert_eq!(nulls(&decode(&some, &table(), None, text).unwrap()), [1, 0, 1]);
        let error = fails(&format(ColumnSet::Columns(vec!["x".into()])), &table(), text);
        assert!(error.contains("force_null names the column 'x', which the table lacks"), "{error}");
    }

    #[test]
    fn null_regex_alone_says_what_is_null_and_only_of_unquoted_fields() {
        let regex = CsvOptions { null_regex: Some(r"^\\N$".into()), ..options() };
        let format = FileFormat::Csv(regex.clone());
        let text = "a,b,c\n\\N,,\\N\n1,\\N,2\n2,\\\\N,3\n3,\"\\N\",4\n";
        let batch = decode(&format, &table(), None, text).unwrap();
        let texts = batch.column(1).as_string::<i32>();
        assert_eq!(nulls(&batch), [1, 1, 1]);
        assert_eq!((texts.value(0), texts.is_null(1), texts.value(2), texts.value(3)), ("", true, "\\\\N", "\\N"));
        let error = fails(&format, &table(), "a,b,c\n,,\\N\n");
        assert!(
            error.contains("row 1, column 'a': '' cannot be read as BIGINT: it is empty, which null_regex"),
            "{error}"
        );
        let force = FileFormat::Csv(CsvOptions { force_null: ColumnSet::All, ..regex });
        assert_eq!(nulls(&decode(&force, &table(), None, text).unwrap()), [1, 2, 1]);
    }

    #[test]
    fn escapes_work_outside_of_quotes_and_a_marker_of_null_comes_before_them() {
        let options = CsvOptions {
            has_header: false,
            delimiter: b'\t',
            escape: Some(b'\\'),
            escape_sequences: true,
            null_regex: Some(r"^\\N$".into()),
            ..options()
        };
        let table = schema(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Utf8View)]);
        let text = "1\ta\\tb\t\\N\n2\tback\\\\slash\tx\n3\tline\\nbreak\ty\n4\t\\\\N\ta\\\tb\\\nc\n";
        for quote in [Some(b'"'), None] {
            let format = FileFormat::Csv(CsvOptions { quote, ..options.clone() });
            let batch = decode(&format, &table, None, text).unwrap();
            let texts = |column: usize| (0..4).map(move |row| (column, row));
            let value = |(column, row): (usize, usize)| match column {
                1 => batch.column(1).as_string::<i32>().value(row).to_owned(),
                _ => batch.column(2).as_string_view().value(row).to_owned(),
            };
            assert_eq!(texts(1).map(value).collect::<Vec<_>>(), ["a\tb", "back\\slash", "line\nbreak", "\\N"]);
            assert_eq!(texts(2).map(value).collect::<Vec<_>>()[1..], ["x", "y", "a\tb\nc"]);
            assert_eq!(nulls(&batch), [0, 0, 1]);
            let error = fails(&format, &table, "1\tC:\\new\tx\n2\tC:\\Users\tx\n");
            assert!(error.contains(r"line 2, column 5: '\U' is not an escape sequence"), "{error}");
        }
        let error = fails(&FileFormat::Csv(CsvOptions { null_regex: None, ..options }), &table, "1\t\\N\tx\n");
        assert!(error.contains(r"set the option 'null_regex' '^\\N$'"), "{error}");
    }

    #[test]
    fn quotes_that_break_the_rules_are_errors_with_line_and_column() {
        let long = format!("a,b,c\n1,\"{}\",2\n1,\"x,2\n", "y\n".repeat(3));
        for (text, expected) in [
            ("a,b\n1,x\n2,\"y\n3,z\n4,w\n", "line 3, column 3: a quoted field begins here that never ends"),
            ("a,b\n1,\"é\"x\n", "line 2, column 6: text follows the closing quote of a field"),
            ("a,b\n1,\"x\" \n", "line 2, column 6: text follows the closing quote"),
            ("a,b\n1,é\"x\"\n", "line 2, column 4: a quote inside an unquoted field"),
            ("a,b\"\n1,x\n", "line 1, column 4: a quote inside an unquoted field"),
            ("a,\"b\n1,x\n", "line 1, column 3: a quoted field begins here that never ends"),
            ("a,b\r\n1,\"x\r\ny\"\r\n2,\"\"\"", "line 4, column 3: a quoted field begins here that never ends"),
            ("a,b\n1,\"x\"y", "line 2, column 6: text follows the closing quote of a field"),
            (&long, "line 6, column 3: a quoted field begins here that never ends"),
        ] {
            let error = fails(&csv(), &table(), text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn quotes_are_text_without_quoting_and_where_they_break_the_rules_if_lax() {
        let text = "a,b\n1,\"\n2,\"!\"\n3,x \"y\"\n";
        let none = FileFormat::Csv(CsvOptions { quote: None, ..options() });
        let rows = ["1|\"|", "2|\"!\"|", "3|x \"y\"|"];
        assert_eq!(lines(&decode(&none, &table(), None, text).unwrap()), rows);
        let lax = FileFormat::Csv(CsvOptions { lax_quotes: true, ..options() });
        let text = "a,b\n1,5\" pipe\n2,\"5\" pipe\"\n3,\"a\"b,c\"\n4,\"a\"\"b\"\n";
        let rows = ["1|5\" pipe|", "2|5\" pipe|", "3|a\"b,c|", "4|a\"b|"];
        assert_eq!(lines(&decode(&lax, &table(), None, text).unwrap()), rows);
        let error = fails(&lax, &table(), "a,b\n1,\"x\"y\n");
        assert!(error.contains("line 2, column 3: a quoted field begins here that never ends"), "{error}");
    }

    #[test]
    fn a_blank_line_is_a_row_where_there_is_one_column() {
        let one = schema(&[("a", DataType::Int64)]);
        for (text, rows) in [
            ("a\n1\n\n3\n", 3),
            ("a\r\n1\r\n\r\n3", 3),
            ("a\r1\r\r3\r", 3),
            ("a\n\n\n", 2),
            ("a\n", 0),
            ("\n\na\n1", 1),
        ] {
            assert_eq!(decode(&csv(), &one, None, text).unwrap().num_rows(), rows, "{text:?}");
        }
        for (text, rows) in [("\n1\n", 2), ("1\n\n", 2), ("\n", 1), ("", 0)] {
            assert_eq!(decode(&headless(), &one, None, text).unwrap().num_rows(), rows, "{text:?}");
        }
        let blank = decode_in(&headless(), &table(), None, "\n\n1\n\n", (1, 8192)).unwrap();
        assert_eq!(lines(&blank), ["||", "||", "1||", "||"]);
        assert_eq!(decode(&csv(), &table(), None, "a,b\n1,x\n\n2,y\n").unwrap().num_rows(), 2);
    }

    #[test]
    fn bytes_are_those_that_postgresql_writes() {
        let table = schema(&[("x", DataType::Binary), ("v", DataType::BinaryView)]);
        let batch = decode(&csv(), &table, None, "x,v\n\\x6869,a\\\\b\nhi,\n").unwrap();
        assert_eq!(
            (batch.column(0).as_binary::<i32>().value(0), batch.column(0).as_binary::<i32>().value(1)),
            (&b"hi"[..], &b"hi"[..])
        );
        assert_eq!((batch.column(1).as_binary_view().value(0), batch.column(1).null_count()), (&b"a\\b"[..], 1));
        let error = fails(&csv(), &table, "x,v\n\\x686,\n");
        assert!(error.contains(r"row 1, column 'x': '\x686' cannot be read as BYTEA: after a backslash"), "{error}");
    }

    #[test]
    fn a_value_that_a_type_cannot_hold_is_an_error_with_the_type_as_declared() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (data_type, value, expected) in [
            (DataType::Decimal128(10, 2), "1.239", "cannot be read as DECIMAL(10,2)"),
            (DataType::Decimal128(4, 2), "123.45", "cannot be read as DECIMAL(4,2)"),
            (DataType::Int8, "128", "cannot be read as TINYINT: it is beyond the range of the type"),
            (DataType::Int64, "1.0", "cannot be read as BIGINT"),
            (DataType::Float64, "1e400", "cannot be read as DOUBLE: it is beyond the range of the type"),
            (DataType::Float64, "-1e-400", "cannot be read as DOUBLE: it is beyond the range of the type"),
            (DataType::Float32, "1e39", "cannot be read as REAL: it is beyond the range of the type"),
            (DataType::Float32, "16777217", "cannot be read as REAL: it has more digits than the type keeps"),
            (DataType::Float64, "9007199254740993", "cannot be read as DOUBLE: it has more digits than the type keeps"),
            (
                micros.clone(),
                "2024-01-01 00:00:00.1234567",
                "cannot be read as TIMESTAMP(6): it has more digits of a second",
            ),
            (micros.clone(), "2024-01-01 00:00:00+01:00", "cannot be read as TIMESTAMP(6): it has an offset"),
            (micros, "1704067200", "cannot be read as TIMESTAMP(6)"),
            (DataType::Date32, "2024-01-01 00:00:01", "cannot be read as DATE: it has a time of day"),
            (DataType::Time64(TimeUnit::Nanosecond), "3600", "cannot be read as TIME"),
            (DataType::Boolean, "maybe", "cannot be read as BOOLEAN"),
            (
                DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::MonthDayNano),
                "soon",
                "cannot be read as INTERVAL",
            ),
        ] {
            let table = schema(&[("n", DataType::Int64), ("x", data_type)]);
            let error = fails(&csv(), &table, &format!("x,n\n,1\n{value},2\n"));
            assert!(error.contains(&format!("row 2, column 'x': '{value}' {expected}")), "{error}");
        }
        let floats = schema(&[("x", DataType::Float64), ("y", DataType::Float32)]);
        let text = "x,y\n0e400,0\n-inf,NaN\n4e-320,16777216\n";
        assert!(decode(&csv(), &floats, None, text).is_ok());
    }

    #[test]
    fn columns_that_a_file_lacks_are_reported_once_its_header_is_known() {
        let target = Arc::new(target(csv(), table(), Some(&vec![2, 0])).unwrap());
        let absent = |text: &'static str| {
            let mut decoder = FileDecoder::new(Arc::clone(&target), Pace::new(10)).unwrap();
            assert_eq!(decoder.absent(), None);
            decoder.push(&mut Bytes::from_static(text.as_bytes())).unwrap();
            decoder.finish().unwrap();
            decoder.absent().map(<[usize]>::to_vec)
        };
        assert_eq!(absent("b,a\n1,2\n"), Some(vec![0]));
        assert_eq!(absent("c,b,a"), Some(vec![]));
        assert_eq!(absent(""), None);
    }

    #[test]
    fn a_long_quoted_field_is_reported_with_its_line_once() {
        let target = Arc::new(target(csv(), table(), None).unwrap());
        let mut decoder = FileDecoder::new(target, Pace::new(10)).unwrap();
        let text = format!("a,b\r\n1,\"x\ny\"\r\n\r\n2,\"{}\"\r\n3,\"{}\"\r\n", "x\r\n".repeat(101), "x\n".repeat(101));
        decoder.push(&mut text.into_bytes().into()).unwrap();
        assert_eq!((decoder.take_long_field(), decoder.take_long_field()), (Some(5), None));
    }

    #[test]
    fn the_first_wrong_row_is_reported_whatever_the_column_and_what_follows() {
        let text = "a,b,c\n1,x,2\n3,x,four\nfive,x,6\n7,\"x\n";
        let error = fails(&csv(), &table(), text);
        assert!(error.contains("row 2, column 'c': 'four' cannot be read as DOUBLE"), "{error}");
    }

    #[test]
    fn repeated_and_empty_names_are_columns() {
        let table = schema(&[("", DataType::Int64), ("a_1", DataType::Utf8), ("a", DataType::Int64)]);
        assert_eq!(lines(&decode(&csv(), &table, None, ",a,a\n0,1,x\n").unwrap()), ["0|x|1"]);
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
    fn errors_name_column_value_and_row_or_line_of_the_file() {
        let text = "b,a\n".to_owned() + &"x,1\n".repeat(1000) + "x,soon\n";
        let error = decode_in(&csv(), &table(), None, &text, (100, 8192)).unwrap_err().to_string();
        assert!(error.contains("row 1001, column 'a': 'soon' cannot be read as BIGINT"), "{error}");
        for (wrong, fields) in [("x\n", "1 field"), ("x,1,2\n", "3 fields")] {
            let text = "b,a\n".to_owned() + &"x,1\n".repeat(1000) + wrong + "x,1\n";
            let error = decode_in(&csv(), &table(), None, &text, (100, 8192)).unwrap_err().to_string();
            let expected = format!("line 1002, column 1: the record has {fields}, expected are 2");
            assert!(error.contains(&expected), "{error}");
        }
    }

    #[test]
    fn a_timestamp_that_is_none_names_column_value_and_row() {
        let schema = schema(&[("x", DataType::Utf8), ("t", DataType::Timestamp(TimeUnit::Second, None))]);
        let error = fails(&csv(), &schema, "x,t\n,2013-01-01\n,2013-13-01\n");
        assert!(error.contains("row 2, column 't': '2013-13-01' cannot be read as TIMESTAMP(0)"), "{error}");
    }

    #[test]
    fn a_type_that_csv_cannot_hold_is_refused_only_if_asked_for() {
        let schema = schema(&[("a", DataType::Int64), ("l", DataType::new_list(DataType::Int64, true))]);
        assert!(target(csv(), Arc::clone(&schema), Some(&vec![0])).is_ok());
        let error = target(csv(), schema, None).unwrap_err().to_string();
        assert!(error.contains("column 'l' has type BIGINT[], which CSV cannot hold"), "{error}");
    }
}
