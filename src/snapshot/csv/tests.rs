//! The proof that CSV records are read as the rules say: a reference that goes character by character, in as few words
//! as possible, gives the same fields, or fails at the same place.
//!
//! Text is generated: values in usual and unusual spellings, quoted in all ways, with and without mistakes, in chunks
//! and batches of any size. Values are those of arrow's casts wherever they are read at all.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, RecordBatch};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, parse_decimal, string_to_timestamp_nanos};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat_batches};
use datafusion::arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, SchemaRef, TimeUnit, i256};
use datafusion::error::DataFusionError;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::body::CsvBody;
use super::columns::decimal;
use crate::config::{ColumnSet, CsvOptions, FileFormat};
use crate::snapshot::scan::decode::target;
use crate::snapshot::scan::decode::tests::schema;
use crate::snapshot::text::place::Malformed;
use crate::snapshot::values::quick;

/// Line and column, if the syntax is wrong.
type Wrong = Option<(u64, u64)>;

/// All rows, or where they are wrong and how that reads.
fn read(
    (options, table): (&CsvOptions, &SchemaRef),
    text: &[u8],
    (chunk, rows): (usize, usize),
) -> Result<RecordBatch, (Wrong, String)> {
    let target = target(FileFormat::Csv(options.clone()), Arc::clone(table), None).unwrap();
    let mut body = CsvBody::new(&target, crate::snapshot::text::bytes::RecordLimit::default()).unwrap();
    let mut batches = Vec::new();
    let flush = |body: &mut CsvBody, batches: &mut Vec<RecordBatch>| {
        if let Some((columns, rows)) = body.flush(&target)? {
            batches.push(target.assemble(&columns, rows, body.slots())?);
        }
        Ok::<_, DataFusionError>(())
    };
    let mut all = || {
        for chunk in text.chunks(chunk) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let used = body.decode(&target, rest, rows)?;
                rest = &rest[used..];
                if body.is_full(rows) {
                    flush(&mut body, &mut batches)?;
                }
            }
        }
        body.end(&target)?;
        flush(&mut body, &mut batches)
    };
    let done = all().map_err(|error| {
        let DataFusionError::External(error) = error else { return (None, error.to_string()) };
        let place = error.downcast_ref::<Malformed>().map(|malformed| (malformed.line, malformed.column));
        (place, error.to_string())
    });
    done.map(|()| concat_batches(target.output(), &batches).unwrap())
}

/// The rows of a file without header by the rules of `super::fields` and `super::escapes`.
struct Reference<'a> {
    options: &'a CsvOptions,
    text: Vec<char>,
    columns: usize,
}

/// One field as written and as read.
#[derive(Default)]
struct Read {
    raw: String,
    value: String,
    is_quoted: bool,
    bad_escape: Option<usize>,
}

impl Reference<'_> {
    fn rows(&self) -> Result<Vec<Vec<Option<String>>>, Wrong> {
        let (mut at, mut rows, mut blank) = (0, Vec::new(), 0);
        let mut width = (self.columns == 1).then_some(1);
        while let Some(first) = self.text.get(at) {
            if self.is(self.options.comment, at) {
                while at < self.text.len() && !self.is_end(at) {
                    at += 1;
                }
                at = self.after_end(at);
            } else if self.is_end(at) && width == Some(1) {
                rows.push(vec![self.null_or(Read::default())?]);
                at = self.after_end(at);
            } else if self.is_end(at) {
                blank += usize::from(width.is_none());
                at = self.after_end(at);
            } else {
                let _ = first;
                let (start, mut fields) = (at, Vec::new());
                loop {
                    let (field, next) = self.field(at)?;
                    fields.push(field);
                    at = next;
                    if !self.is(Some(self.options.delimiter), at) {
                        break;
                    }
                    at += 1;
                }
                at = self.after_end(at);
                if width.is_some_and(|width| width != fields.len()) {
                    return Err(self.place(start));
                }
                if fields.len() > self.columns {
                    return Err(None);
                }
                if width.is_none() && fields.len() == 1 {
                    for _ in 0..blank {
                        rows.push(vec![self.null_or(Read::default())?]);
                    }
                }
                width = Some(fields.len());
                let row: Result<Vec<_>, _> = fields.into_iter().map(|field| self.null_or(field)).collect();
                rows.push(row?);
            }
        }
        rows.iter_mut().for_each(|row: &mut Vec<Option<String>>| row.resize(self.columns, None));
        Ok(rows)
    }

    /// The field that begins at `start`, and where it ends.
    fn field(&self, start: usize) -> Result<(Read, usize), Wrong> {
        let is_quoted = self.is(self.options.quote, start);
        let mut field = Read { is_quoted, ..Read::default() };
        let mut at = start + usize::from(is_quoted);
        loop {
            let Some(c) = self.text.get(at).copied() else {
                return if is_quoted { Err(self.place(start)) } else { Ok((field, at)) };
            };
            if self.is(self.options.escape, at) && (is_quoted || self.options.escape_sequences) {
                let Some(next) = self.text.get(at + 1).copied() else {
                    return Err(self.place(if is_quoted { start } else { at }));
                };
                let meant = match next {
                    _ if !self.options.escape_sequences => None,
                    'b' => Some('\u{8}'),
                    'f' => Some('\u{c}'),
                    'n' => Some('\n'),
                    'r' => Some('\r'),
                    't' => Some('\t'),
                    'v' => Some('\u{b}'),
                    '0' => Some('\0'),
                    'Z' => Some('\u{1a}'),
                    next if next.is_ascii() && !next.is_ascii_alphanumeric() => Some(next),
                    _ => {
                        field.bad_escape = field.bad_escape.or(Some(at));
                        None
                    }
                };
                let is_double = self.is(self.options.quote, at + 1) || self.is(self.options.escape, at + 1);
                match meant {
                    Some(meant) => field.value.push(meant),
                    None if is_double => field.value.push(next),
                    None => field.value.extend([c, next]),
                }
                field.raw.extend([c, next]);
                at += 2;
                continue;
            }
            let ends =
                |at: usize| at == self.text.len() || self.is(Some(self.options.delimiter), at) || self.is_end(at);
            if !is_quoted && ends(at) {
                return Ok((field, at));
            }
            if self.is(self.options.quote, at) {
                match is_quoted {
                    true if self.is(self.options.quote, at + 1) => at += 1,
                    true if ends(at + 1) => return Ok((field, at + 1)),
                    _ if self.options.lax_quotes => {}
                    true => return Err(self.place(at + 1)),
                    false => return Err(self.place(at)),
                }
            }
            field.value.push(c);
            field.raw.push(c);
            at += 1;
        }
    }

    fn null_or(&self, field: Read) -> Result<Option<String>, Wrong> {
        let is_null = |text: &str| match &self.options.null_regex {
            None => text.is_empty(),
            Some(regex) => regex::Regex::new(regex).unwrap().is_match(text),
        };
        let force = self.options.force_null != ColumnSet::None;
        if (!field.is_quoted && is_null(&field.raw)) || (field.is_quoted && force && is_null(&field.value)) {
            return Ok(None);
        }
        field.bad_escape.map_or(Ok(Some(field.value)), |at| Err(self.place(at)))
    }

    fn is(&self, byte: Option<u8>, at: usize) -> bool {
        byte.is_some_and(|byte| self.text.get(at) == Some(&char::from(byte)))
    }

    fn is_end(&self, at: usize) -> bool {
        match self.options.terminator {
            None => self.is(Some(b'\n'), at) || self.is(Some(b'\r'), at),
            terminator => self.is(terminator, at),
        }
    }

    fn after_end(&self, at: usize) -> usize {
        let is_double = self.options.terminator.is_none() && self.is(Some(b'\r'), at) && self.is(Some(b'\n'), at + 1);
        at + if is_double { 2 } else { 1 }
    }

    fn place(&self, place: usize) -> Wrong {
        let (mut line, mut start, mut at) = (1, 0, 0);
        while at < place {
            let is_end = self.is_end(at);
            at = if is_end { self.after_end(at) } else { at + 1 };
            if is_end {
                (line, start) = (line + 1, at);
            }
        }
        Some((line, place.saturating_sub(start) as u64 + 1))
    }
}

/// Reads texts in both ways.
fn check(options: &CsvOptions, columns: usize, text: &str, sizes: (usize, usize)) -> Result<(), TestCaseError> {
    let names = ["a", "b", "c", "d"].map(|name| (name, DataType::Utf8));
    let own = read((options, &schema(&names[..columns])), text.as_bytes(), sizes);
    let own = own.map(|batch| {
        let row = |row| batch.columns().iter().map(|column| text_at(column, row)).collect::<Vec<_>>();
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    });
    let reference = Reference { options, text: text.chars().collect(), columns }.rows();
    prop_assert_eq!(own.map_err(|(place, _)| place), reference, "{:?} {:?}", text, options);
    Ok(())
}

fn text_at(column: &ArrayRef, row: usize) -> Option<String> {
    let texts = column.as_string::<i32>();
    texts.is_valid(row).then(|| texts.value(row).to_owned())
}

/// What is read is what arrow casts the texts to, whatever the size of chunks and batches.
fn check_values(options: &CsvOptions, text: &str, sizes: (usize, usize)) -> Result<(), TestCaseError> {
    let table = table();
    let whole = read((options, &table), text.as_bytes(), (usize::MAX, 8192));
    let parts = read((options, &table), text.as_bytes(), sizes);
    prop_assert_eq!(whole.is_ok(), parts.is_ok(), "{:?} {:?} {:?}", text, &whole, &parts);
    let (Ok(whole), Ok(parts)) = (whole, parts) else { return Ok(()) };
    prop_assert_eq!(&whole, &parts, "{:?}", text);
    let texts = schema(&table.fields().iter().map(|field| (field.name().as_str(), DataType::Utf8)).collect::<Vec<_>>());
    let texts = read((options, &texts), text.as_bytes(), sizes).unwrap();
    for (column, (texts, field)) in whole.columns().iter().zip(texts.columns().iter().zip(table.fields())) {
        let expected = match field.data_type() {
            // The cast of arrow takes no exponent; its parser does.
            DataType::Decimal128(precision, scale) => {
                let values = texts.as_string::<i32>().iter().map(|text| of_arrow(text?, *precision, *scale));
                let values: Decimal128Array = values.collect();
                Arc::new(values.with_precision_and_scale(*precision, *scale).unwrap())
            }
            other => {
                let options = CastOptions { safe: true, ..CastOptions::default() };
                cast_with_options(texts, other, &options).unwrap()
            }
        };
        prop_assert_eq!(column, &expected, "{:?} {}", text, field);
    }
    Ok(())
}

fn dialects() -> impl Strategy<Value = CsvOptions> {
    let comma = CsvOptions { has_header: false, ..CsvOptions::default() };
    let sequences = CsvOptions { escape: Some(b'\\'), escape_sequences: true, ..comma.clone() };
    select(vec![
        comma.clone(),
        CsvOptions { escape: Some(b'\\'), ..comma.clone() },
        CsvOptions { null_regex: Some(r"^\\N$".to_owned()), ..sequences.clone() },
        CsvOptions { quote: None, delimiter: b'\t', null_regex: Some(r"^\\N$".to_owned()), ..sequences.clone() },
        CsvOptions { lax_quotes: true, ..sequences },
        CsvOptions { delimiter: b'\t', quote: Some(b'\''), ..comma.clone() },
        CsvOptions { terminator: Some(b'\n'), ..comma.clone() },
        CsvOptions { terminator: Some(b'~'), escape: Some(b'\\'), ..comma.clone() },
        CsvOptions { null_regex: Some(r"^(NA|\\N)$".to_owned()), ..comma.clone() },
        CsvOptions { null_regex: Some(r"^(NA)?$".to_owned()), force_null: ColumnSet::All, ..comma.clone() },
        CsvOptions { comment: Some(b'#'), ..comma.clone() },
        CsvOptions { quote: None, ..comma.clone() },
        CsvOptions { lax_quotes: true, ..comma },
    ])
}

fn table() -> SchemaRef {
    let timestamp = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
    schema(&[
        ("i", DataType::Int64),
        ("u", DataType::UInt8),
        ("d", DataType::Decimal128(9, 2)),
        ("v", DataType::Utf8View),
        ("s", DataType::Utf8),
        ("day", DataType::Date32),
        ("t", timestamp(TimeUnit::Nanosecond, None)),
        ("z", timestamp(TimeUnit::Microsecond, Some("America/New_York"))),
        ("f", DataType::Float64),
        ("b", DataType::Boolean),
    ])
}

/// For each column of [`table`] values, the last of which are none of its type.
const VALUES: [&[&str]; 10] = [
    &["1", "-20", "007", "+3", " 4", "-0", "9223372036854775807", "", "NA", "1.0", "--1", "9223372036854775808"],
    &["1", "255", "0", "007", "", "256", "-1", "-0"],
    &["1.5", "-0.25", "7", "1e2", "+1.50", "0.050", "1234567.89", "5.", ".5", "1.230", "", "1.239", "12345678.9", "."],
    &["", "x", "twelve bytes", "thirteen bytes", "é, \"quoted\" and 'so'\nin two lines", "\\N", "NA", "a\\b", "#"],
    &["", "x", "a \"b\"", "'", "~", "\t", "日本語", "line\r\nend"],
    &["2013-01-31", "1969-12-31", "2000-02-29", "0000-01-01", "2013-1-2", "20130102", "+12013-01-01", "", "1900-02-29"],
    &[
        "2013-01-31",
        "2013-01-31 05:00:00",
        "2013-01-31T05:00:00.25Z",
        "2013-01-31 05:00:00+05:00",
        "1677-09-21 00:12:44",
    ],
    &["2013-01-31", "2013-07-31 05:00:00.123456789", "2013-01-31T05:00:00Z", "", "2013-03-10 02:30:00"],
    &["1.5", "-0", "1e300", "NaN", "inf", "0.1", "", "x"],
    &["true", "f", "yes", "0", "", "maybe"],
];

/// A value with quotes around it, or as it is.
fn written(options: &CsvOptions, value: &str, style: u8) -> String {
    let quote = char::from(options.quote.unwrap_or(b'"'));
    let inner = match options.escape.map(char::from) {
        Some(escape) if style.is_multiple_of(2) => {
            value.replace(escape, &format!("{escape}{escape}")).replace(quote, &format!("{escape}{quote}"))
        }
        _ => value.replace(quote, &format!("{quote}{quote}")),
    };
    match style {
        0..3 => value.to_owned(),
        3..7 => format!("{quote}{inner}{quote}"),
        7 => format!("{quote}{inner}{quote}tail"),
        _ => format!("{quote}{value}{quote}"),
    }
}

/// Rows of [`table`]: `fine` has the first values of each column and proper quotes, except for one field, so that most
/// texts are read whole.
fn rows(options: CsvOptions, fine: bool) -> impl Strategy<Value = (CsvOptions, String)> {
    let row = vec((any::<prop::sample::Index>(), 0_u8..9), VALUES.len());
    let end = match options.terminator {
        Some(end) => vec![char::from(end).to_string()],
        None => ["\n", "\r\n", "\n\n", "\r"].map(str::to_owned).to_vec(),
    };
    let any_value = any::<prop::sample::Index>();
    (vec((row, select(end)), 0..12), any_value).prop_map(move |(rows, any_value)| {
        let any_value = any_value.index(rows.len().max(1) * VALUES.len());
        let mut text = String::new();
        for (number, (row, end)) in rows.into_iter().enumerate() {
            let fields = row.iter().zip(VALUES).enumerate().map(|(column, ((index, style), values))| {
                let is_fine = fine && number * VALUES.len() + column != any_value;
                let values = if is_fine { &values[..3] } else { values };
                let style = if is_fine { 3 } else { *style };
                written(&options, index.get::<&str>(values), style)
            });
            text += &fields.collect::<Vec<_>>().join(&char::from(options.delimiter).to_string());
            text += &end;
        }
        (options.clone(), text)
    })
}

/// Rows of text fields that are written properly, but for a piece somewhere.
fn rows_of_text(options: CsvOptions) -> impl Strategy<Value = (CsvOptions, usize, String)> {
    let fields = vec((select(VALUES.concat()), 3_u8..5), 1..20);
    let piece = select(vec!["", "", "\"", "'", ",", "\t", "\n", "\\", "~", "\r", "\n\n"]);
    (1_usize..4, fields, piece, any::<prop::sample::Index>()).prop_map(move |(columns, fields, piece, index)| {
        let delimiter = char::from(options.delimiter).to_string();
        let end = char::from(options.terminator.unwrap_or(b'\n')).to_string();
        let fields: Vec<_> = fields.iter().map(|(value, style)| written(&options, value, *style)).collect();
        let rows = fields.chunks_exact(columns).map(|row| row.join(&delimiter) + &end);
        let mut text: String = rows.collect();
        let at = text.floor_char_boundary(index.index(text.len() + 1));
        text.insert_str(at, piece);
        (options.clone(), columns, text)
    })
}

fn sizes() -> impl Strategy<Value = (usize, usize)> {
    (select(vec![1, 3, 64, 65, 100_000]), select(vec![1, 2, 5, 8192]))
}

/// The decimal that arrow's parser reads, if it needs no more places than the type has; a text without a digit, which
/// is 0 there, is none.
fn of_arrow(text: &str, precision: u8, scale: i8) -> Option<i128> {
    if !text.contains(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let value = parse_decimal::<Decimal128Type>(text, precision, scale).ok()?;
    let fraction = text.find('.').map_or("", |point| text[point + 1..].trim_end_matches('0'));
    (fraction.len() <= scale as usize).then_some(value)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn values_in_any_spelling_are_those_of_arrow_or_refused(
        (options, text) in (dialects(), any::<bool>()).prop_flat_map(|(options, fine)| rows(options, fine)),
        cut in 0_usize..8,
        sizes in sizes(),
    ) {
        let end = text.floor_char_boundary(text.len().saturating_sub(cut.saturating_sub(4)));
        check_values(&options, &text[..end], sizes)?;
    }

    #[test]
    fn any_text_is_split_as_by_the_reference(
        options in dialects(),
        pieces in vec(select(vec!["\"", "'", ",", "\t", "\n", "\r", "\\", "~", "#", "NA", "a", "é", "some more text", "\\N", "\r\n"]), 0..40),
        columns in 1_usize..4,
        sizes in sizes(),
    ) {
        check(&options, columns, &pieces.concat(), sizes)?;
    }

    #[test]
    fn rows_of_few_mistakes_are_split_as_by_the_reference(
        (options, columns, text) in dialects().prop_flat_map(rows_of_text),
        sizes in sizes(),
    ) {
        check(&options, columns, &text, sizes)?;
    }

    #[test]
    fn long_texts_are_split_as_by_the_reference(
        fields in vec("[a-z\"\n]{0,150}", 1..30),
        sizes in sizes(),
    ) {
        let options = CsvOptions { has_header: false, ..CsvOptions::default() };
        let text: String = fields.iter().map(|field| written(&options, field, 3) + ",x\n").collect();
        check(&options, 2, &text, sizes)?;
    }

    #[test]
    fn integers_are_those_of_arrow(text in "[-+]{0,2}[0-9]{0,20}[ .]?") {
        let quick = quick::integer(text.as_bytes());
        prop_assert!(quick.is_none() || quick == Int64Type::parse(&text), "{quick:?}");
    }

    #[test]
    fn decimals_are_those_of_arrow(
        text in "[-+]{0,2}0{0,3}[0-9]{0,17}\\.?[0-9]{0,6}[e.]?",
        precision in 1_u8..=38,
        scale in 0_i8..=20,
    ) {
        let scale = scale.min(precision.cast_signed());
        let quick = quick::decimal(text.as_bytes(), precision, scale).map(i128::from);
        let exact = decimal(&text, precision, scale);
        prop_assert!(quick.is_none() || quick == exact, "{quick:?}");
        prop_assert_eq!(exact, of_arrow(&text, precision, scale), "{}", text);
    }

    #[test]
    fn dates_are_those_of_arrow(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]|[0-9]{4}.[0-9]{2}.[0-9]{1,3}") {
        let quick = quick::date(text.as_bytes());
        prop_assert!(quick.is_none() || quick == Date32Type::parse(&text), "{quick:?}");
    }

    #[test]
    fn times_are_those_of_arrow(
        text in "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]([ Tt]?[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|z|\\+01:00)?)?",
    ) {
        let quick = quick::timestamp(text.as_bytes()).map(|(seconds, nanos)| seconds * 1_000_000_000 + i64::from(nanos));
        prop_assert!(quick.is_none() || quick == string_to_timestamp_nanos(&text).ok(), "{quick:?}");
    }
}

#[test]
fn every_day_of_ten_thousand_years_is_that_of_arrow() {
    for year in 0..10_000 {
        for (month, day) in [(1, 1), (2, 28), (2, 29), (3, 1), (6, 31), (12, 31)] {
            let text = format!("{year:04}-{month:02}-{day:02}");
            assert_eq!(quick::date(text.as_bytes()), Date32Type::parse(&text), "{text}");
        }
    }
}

#[test]
fn usual_spellings_need_no_second_parser() {
    assert_eq!(quick::integer(b"-12"), Some(-12));
    assert_eq!(quick::decimal(b"-3.5", 15, 2), Some(-350));
    assert_eq!(quick::decimal(b"12345678", 38, 10), Some(123_456_780_000_000_000));
    assert_eq!(quick::date(b"1970-01-02"), Some(1));
    assert_eq!(quick::timestamp(b"1970-01-02T00:00:01.5Z"), Some((86_401, 500_000_000)));
}

#[test]
fn characters_that_only_arise_without_delimiters_are_an_error() {
    let table = schema(&[("a", DataType::Utf8View), ("b", DataType::Utf8View)]);
    let options = CsvOptions { has_header: false, ..CsvOptions::default() };
    for (text, place) in [
        (&b"x,y\n\xc3,\xa9\n"[..], (2, 1)),
        (b"x,\xff\n", (1, 3)),
        ("é,\"\n\n\"\né,x".as_bytes().iter().chain(b"\xe9").copied().collect::<Vec<_>>().as_slice(), (4, 4)),
        (b"x,y\nx\xc3,\"\"\"\xa9\"\n", (2, 2)),
    ] {
        for sizes in [(1, 1), (3, 100), (100, 100)] {
            let (found, reason) = read((&options, &table), text, sizes).unwrap_err();
            assert_eq!(found, Some(place), "{reason}");
            assert!(reason.contains("is not UTF-8"), "{reason}");
        }
    }
}

#[test]
fn packed_file_without_the_ending_is_reported_with_its_option() {
    let table = schema(&[("a", DataType::Utf8View), ("b", DataType::Utf8View)]);
    let options = CsvOptions { has_header: false, ..CsvOptions::default() };
    for (text, advice) in [
        (&b"\x1f\x8b\x08\0,y\n"[..], "set the option 'compression' 'gzip'"),
        (b"\x28\xb5\x2f\xfd,y\n", "set the option 'compression' 'zstd'"),
        (b"x,y\n\x1f\x8b\x08\0,y\n", "save the file as UTF-8"),
    ] {
        for sizes in [(1, 1), (100, 1), (100, 100)] {
            let (_, reason) = read((&options, &table), text, sizes).unwrap_err();
            assert!(reason.contains(advice), "{reason}");
        }
    }
}

#[test]
fn exponents_of_any_length_are_no_other_number_of_a_decimal() {
    let decimals = |text: &str| (decimal::<i128>(text, 38, 2), decimal::<i256>(text, 76, 2));
    let both = |value: Option<i128>| (value, value.map(i256::from_i128));
    for (text, value) in [("1.5e1", Some(1500)), ("125e-2", Some(125)), ("1E+2", Some(10000)), ("100e-4", Some(1))] {
        assert_eq!(decimals(text), both(value), "{text}");
    }
    for text in ["1e65536", "1e65537", "12e65535", "1e-65536", "1e-99999999999999999999", "1e99999999999999999999"] {
        assert_eq!(decimals(text), both(None), "{text}");
    }
    for text in ["0e65537", "0e-99999999999999999999"] {
        assert_eq!(decimals(text), both(Some(0)), "{text}");
    }
}
