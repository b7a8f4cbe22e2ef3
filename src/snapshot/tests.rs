//! The proof that CSV records are read as arrow's decoder reads them: the same batches or the same error.
//!
//! Text is generated: values in usual and unusual spellings, quoted in all ways, with and without mistakes, in chunks
//! and batches of any size.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::kernels::cast_utils::{Parser, string_to_timestamp_nanos};
use datafusion::arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, SchemaRef, TimeUnit};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::convert::decimal;
use super::csv::CsvBody;
use super::decode::Target;
use super::decode::tests::schema;
use super::quick;
use crate::config::{CsvOptions, FileFormat};

/// All batches, or how the error reads.
fn read(
    make: fn(&Target, Vec<String>, usize) -> datafusion::error::Result<CsvBody>,
    (options, table): (&CsvOptions, &SchemaRef),
    text: &[u8],
    (chunk, rows): (usize, usize),
) -> Result<Vec<RecordBatch>, String> {
    let target = Target::new(FileFormat::Csv(options.clone()), Arc::clone(table), None).unwrap();
    let names = table.fields().iter().map(|field| field.name().clone()).collect();
    let mut body = make(&target, names, rows).unwrap();
    let (mut batches, mut before) = (Vec::new(), 0);
    let mut flush = |body: &mut CsvBody, batches: &mut Vec<RecordBatch>| {
        if let Some((columns, rows)) = body.flush(&target)? {
            batches.push(target.assemble(&columns, rows, before, &body.slots)?);
            before += rows as u64;
        }
        Ok::<_, datafusion::error::DataFusionError>(())
    };
    let mut all = || {
        for chunk in text.chunks(chunk) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let used = body.decode(&target, rest)?;
                rest = &rest[used..];
                if body.is_full() {
                    flush(&mut body, &mut batches)?;
                }
            }
        }
        body.end(&target)?;
        flush(&mut body, &mut batches)
    };
    let done = all().map_err(|error| error.to_string());
    // How many fields arrow has counted when it gives up depends on the chunks.
    done.map(|()| batches).map_err(|error| error.split(", expected").next().unwrap_or_default().to_owned())
}

fn check(options: &CsvOptions, table: &SchemaRef, text: &[u8], sizes: (usize, usize)) -> Result<(), TestCaseError> {
    let own = read(CsvBody::new, (options, table), text, sizes);
    let arrow = read(CsvBody::by_arrow_alone, (options, table), text, sizes);
    prop_assert_eq!(own, arrow, "{:?}", String::from_utf8_lossy(text));
    Ok(())
}

fn dialects() -> impl Strategy<Value = CsvOptions> {
    let comma = CsvOptions::default();
    select(vec![
        comma.clone(),
        CsvOptions { escape: Some(b'\\'), ..comma.clone() },
        CsvOptions { delimiter: b'\t', quote: b'\'', ..comma.clone() },
        CsvOptions { terminator: Some(b'\n'), ..comma.clone() },
        CsvOptions { terminator: Some(b'~'), escape: Some(b'\\'), ..comma.clone() },
        CsvOptions { null_regex: Some(r"^(NA|\\N)$".to_owned()), ..comma.clone() },
        CsvOptions { comment: Some(b'#'), ..comma.clone() },
        CsvOptions { quote: b',', ..comma.clone() },
        CsvOptions { delimiter: b'\n', ..comma },
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
    let quote = char::from(options.quote);
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

/// Rows of [`table`]: `fine` has only the first values of each column, and proper quotes.
fn rows(options: CsvOptions, fine: bool) -> impl Strategy<Value = (CsvOptions, String)> {
    let row = vec((any::<prop::sample::Index>(), 0_u8..9), VALUES.len());
    let end = match options.terminator {
        Some(end) => vec![char::from(end).to_string()],
        None => ["\n", "\r\n", "\n\n", "\r"].map(str::to_owned).to_vec(),
    };
    vec((row, select(end)), 0..12).prop_map(move |rows| {
        let mut text = String::new();
        for (row, end) in rows {
            let fields = row.iter().zip(VALUES).map(|((index, style), values)| {
                let values = if fine { &values[..3] } else { values };
                let style = if fine { 3 } else { *style };
                written(&options, index.get::<&str>(values), style)
            });
            text += &fields.collect::<Vec<_>>().join(&char::from(options.delimiter).to_string());
            text += &end;
        }
        (options.clone(), text)
    })
}

fn sizes() -> impl Strategy<Value = (usize, usize)> {
    (select(vec![1, 3, 64, 65, 100_000]), select(vec![1, 2, 5, 8192]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn rows_of_values_in_any_spelling_are_read_alike(
        (options, text) in (dialects(), any::<bool>()).prop_flat_map(|(options, fine)| rows(options, fine)),
        cut in 0_usize..8,
        sizes in sizes(),
    ) {
        let end = text.floor_char_boundary(text.len().saturating_sub(cut.saturating_sub(4)));
        check(&options, &table(), &text.as_bytes()[..end], sizes)?;
    }

    #[test]
    fn any_text_is_split_alike(
        options in dialects(),
        pieces in vec(select(vec!["\"", "'", ",", "\t", "\n", "\r", "\\", "~", "#", "NA", "a", "é", "some more text"]), 0..40),
        columns in 1_usize..4,
        sizes in sizes(),
    ) {
        let names = ["a", "b", "c"].map(|name| (name, DataType::Utf8View));
        check(&options, &schema(&names[..columns]), pieces.concat().as_bytes(), sizes)?;
    }

    #[test]
    fn long_texts_are_split_alike(
        fields in vec("[a-z\"\n]{0,150}", 1..30),
        sizes in sizes(),
    ) {
        let options = CsvOptions::default();
        let text: String = fields.iter().map(|field| written(&options, field, 3) + ",x\n").collect();
        check(&options, &schema(&[("a", DataType::Utf8View), ("b", DataType::Utf8)]), text.as_bytes(), sizes)?;
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
        prop_assert!(quick.is_none() || quick == decimal::<Decimal128Type>(&text, precision, scale), "{quick:?}");
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
    let error = read(CsvBody::new, (&CsvOptions::default(), &table), b"x,y\n\xc3,\xa9\n", (100, 100)).unwrap_err();
    assert!(error.contains("invalid UTF-8 data after row 0"), "{error}");
    for text in [&b"x,\xff\n"[..], b"x,y\nx\xc3,\"\"\"\xa9\"\n"] {
        assert!(read(CsvBody::new, (&CsvOptions::default(), &table), text, (3, 100)).is_err());
    }
}
