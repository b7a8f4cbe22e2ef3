//! Hive partition values: how they are written into a path and read back, the only module that writes `key=value`.
//!
//! | value | segment |
//! | --- | --- |
//! | `7`, `true`, `2013-01-31`, `1.50` | `k=7`, `k=true`, `k=2013-01-31`, `k=1.50` |
//! | `a/b`, `x=y`, `100%`, `é`, `..` | `k=a%2Fb`, `k=x%3Dy`, `k=100%25`, `k=é`, `k=..` |
//! | NULL | `k=__HIVE_DEFAULT_PARTITION__` |
//! | empty text, where `empty_partition = 'keep'` | `k=` |
//!
//! Every ASCII byte but `A-Z a-z 0-9 _ . -` is percent-encoded. Other characters stay as they are, since Spark decodes
//! `%C3%A9` to two characters; all readers take UTF-8. Encoded like ASCII are the characters that the XML of a listing
//! of S3 cannot hold or turns into line ends: U+0080 to U+009F, U+2028, U+2029, U+FFFE and U+FFFF. Texts that differ in
//! case or normal form only have folders of their own, which stores and Linux keep apart; the usual file systems of
//! macOS and Windows do not. The text `__HIVE_DEFAULT_PARTITION__` itself is refused: pyarrow and Polars decode a path
//! before they compare it with that word, so no escaped form of it stays apart from NULL. Types that print in several
//! ways (floats, binary, nested) are refused while planning, see [`is_allowed`].

use std::borrow::Cow;
use std::ops::Range;
use std::str::Utf8Error;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options, partition};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Hive's word for NULL in a path.
pub const NULL_SEGMENT: &str = "__HIVE_DEFAULT_PARTITION__";

/// Longest `key=value` in bytes: what local file systems allow for one name, and well below the 1,024 bytes of an S3
/// key.
pub const SEGMENT_LIMIT: usize = 255;

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-');

/// Whether a character beyond ASCII is encoded too.
fn is_changed_by_xml(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Hive writes timestamps with a space; fractions only where there are any.
const FORMAT: FormatOptions<'static> = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));

/// One partition: the text of each partition column, `None` for NULL.
pub type Values = Vec<Option<String>>;

/// Percent-encodes text for use as one path segment or part of one.
#[must_use]
pub fn encode(text: &str) -> String {
    if text.is_ascii() {
        return utf8_percent_encode(text, ENCODED).to_string();
    }
    let mut encoded = String::with_capacity(text.len());
    for part in text.split_inclusive(|c: char| !c.is_ascii()) {
        let ascii = part.trim_end_matches(|c: char| !c.is_ascii());
        encoded.extend(utf8_percent_encode(ascii, ENCODED));
        let other = &part[ascii.len()..];
        if other.contains(is_changed_by_xml) {
            encoded.extend(utf8_percent_encode(other, ENCODED));
        } else {
            encoded.push_str(other);
        }
    }
    encoded
}

/// `name=value`, encoded.
#[must_use]
pub fn segment(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{}={}", encode(name), encode(value)),
        None => format!("{}={NULL_SEGMENT}", encode(name)),
    }
}

/// `k1=v1/k2=v2`; empty without partition columns.
#[must_use]
pub fn path<'a>(names: impl IntoIterator<Item = &'a str>, values: &[Option<String>]) -> String {
    names.into_iter().zip(values).map(|(name, value)| segment(name, value.as_deref())).collect::<Vec<_>>().join("/")
}

/// The values in a path made by [`path`], in its order; `None` if a segment has no `=`.
#[must_use]
pub fn parse_path(path: &str) -> Option<Values> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| Some(parse_value(segment.split_once('=')?.1)))
        .collect()
}

/// A decoded key and value; no value is NULL.
pub type KeyValue<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// Key and value of a folder's name, whoever wrote it; `None` for a name without `=`.
///
/// # Errors
/// [`Utf8Error`] when percent-encoded bytes are not UTF-8.
#[must_use]
pub fn key_value(folder: &str) -> Option<Result<KeyValue<'_>, Utf8Error>> {
    let (key, value) = folder.split_once('=')?;
    let decode = |text| percent_decode_str(text).decode_utf8();
    let both = || Ok((decode(key)?, (value != NULL_SEGMENT).then(|| decode(value)).transpose()?));
    (!key.is_empty()).then(both)
}

fn parse_value(encoded: &str) -> Option<String> {
    (encoded != NULL_SEGMENT).then(|| percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

/// Whether every value of this type prints in exactly one way.
#[must_use]
pub fn is_allowed(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_allowed(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => true,
        DataType::Decimal32(_, _) | DataType::Decimal64(_, _) => true,
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => true,
        other => other.is_integer(),
    }
}

/// The partitions of so many rows, which are sorted by these columns: where each begins and ends, and its values.
///
/// # Errors
/// As [`values_at`].
pub fn split(columns: &[ArrayRef], rows: usize) -> Result<Vec<(Range<usize>, Values)>, ArrowError> {
    let whole = 0..rows;
    let ranges = if columns.is_empty() { Vec::from([whole]) } else { partition(columns)?.ranges() };
    ranges.into_iter().map(|range| Ok((range.clone(), values_at(columns, range.start)?))).collect()
}

/// The partition of one row.
///
/// # Errors
/// [`ArrowError`] for a type that cannot be printed, or a text that is Hive's word for NULL.
pub fn values_at(columns: &[ArrayRef], row: usize) -> Result<Values, ArrowError> {
    columns
        .iter()
        .map(|column| {
            let text = text(column, row)?;
            if text.as_deref() == Some(NULL_SEGMENT) {
                return Err(ArrowError::ComputeError(format!(
                    "the text {NULL_SEGMENT} cannot be a partition value: readers take it for NULL; replace it in the SELECT"
                )));
            }
            Ok(text)
        })
        .collect()
}

/// One value as text that [`typed`] reads back; `None` for NULL.
///
/// # Errors
/// [`ArrowError`] for a type that cannot be printed.
pub fn text(column: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    ArrayFormatter::try_new(column.as_ref(), &FORMAT)?.value(row).try_to_string().map(Some)
}

/// A partition value with its real type; NULL stays NULL.
///
/// # Errors
/// [`DataFusionError`] when the text is not one of that type.
pub fn typed(value: Option<&str>, data_type: &DataType) -> Result<ScalarValue, DataFusionError> {
    match (value, data_type) {
        (None, _) => ScalarValue::try_from(data_type),
        (Some(text), DataType::Dictionary(key, values)) => {
            Ok(ScalarValue::Dictionary(key.clone(), Box::new(typed(Some(text), values)?)))
        }
        (Some(text), _) => ScalarValue::try_from_array(&typed_column(&StringArray::from(vec![text]), data_type)?, 0),
    }
}

/// Partition values of many files with their real type, as [`typed`] gives them.
///
/// # Errors
/// [`DataFusionError`] when a text is not one of that type.
pub fn typed_column(values: &StringArray, data_type: &DataType) -> Result<ArrayRef, DataFusionError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(values, data_type, &strict)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_texts_are_encoded_and_null_is_not_empty() {
        let shown = ["a/b", "x=y", "100%", "é", "..", "", "a b", "x:y"].map(|text| segment("k", Some(text)));
        assert_eq!(
            shown,
            ["k=a%2Fb", "k=x%3Dy", "k=100%25", "k=é", "k=..", "k=", "k=a%20b", "k=x%3Ay"].map(str::to_owned)
        );
        assert_eq!(segment("k", None), "k=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(parse_path("a=__HIVE_DEFAULT_PARTITION__/b="), Some(vec![None, Some(String::new())]));
        assert_eq!(parse_path("nothing"), None);
    }

    #[test]
    fn characters_beyond_ascii_stay_but_those_that_xml_lacks() {
        let texts = [
            "日本/x",
            "e\u{301}é",
            "\u{85}\u{2028}",
            "\u{202E}a",
            "\u{1F468}\u{200D}\u{1F4BB}",
            "\u{FFFE}\u{FFFF}\u{FFFD}",
        ];
        let encoded = ["日本%2Fx", "e\u{301}é", "%C2%85%E2%80%A8", "\u{202E}a", "\u{1F468}\u{200D}\u{1F4BB}"];
        for (text, expected) in texts.iter().zip(encoded) {
            assert_eq!(encode(text), expected);
        }
        assert_eq!(encode(texts[5]), "%EF%BF%BE%EF%BF%BF\u{FFFD}");
        for text in texts {
            assert_eq!(parse_path(&segment("k", Some(text))), Some(vec![Some(text.to_owned())]));
        }
    }

    #[test]
    fn rows_are_cut_where_the_partition_changes() {
        let column: ArrayRef =
            Arc::new(datafusion::arrow::array::Int32Array::from(vec![None, Some(1), Some(1), Some(2)]));
        let one = |text: &str| vec![Some(text.to_owned())];
        assert_eq!(split(&[column], 4).unwrap(), [(0..1, vec![None]), (1..3, one("1")), (3..4, one("2"))]);
        assert_eq!(split(&[], 4).unwrap(), [(0..4, vec![])]);
    }

    #[test]
    fn text_that_looks_like_null_is_refused() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![NULL_SEGMENT]));
        assert!(values_at(&[column], 0).unwrap_err().to_string().contains("readers take it for NULL"));
    }

    #[test]
    fn floats_and_nested_types_are_refused() {
        assert!(!is_allowed(&DataType::Float64));
        assert!(!is_allowed(&DataType::Binary));
        assert!(is_allowed(&DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))));
    }

    fn any_value() -> impl Strategy<Value = ScalarValue> {
        prop_oneof![
            ".*".prop_map(|text| ScalarValue::Utf8(Some(text))),
            ".*".prop_map(|text| ScalarValue::Utf8View(Some(text))),
            any::<i64>().prop_map(|v| ScalarValue::Int64(Some(v))),
            any::<u64>().prop_map(|v| ScalarValue::UInt64(Some(v))),
            any::<i8>().prop_map(|v| ScalarValue::Int8(Some(v))),
            any::<bool>().prop_map(|v| ScalarValue::Boolean(Some(v))),
            (-700_000i32..2_900_000).prop_map(|v| ScalarValue::Date32(Some(v))),
            (-60_000_000_000_000_000i64..250_000_000_000_000_000)
                .prop_map(|v| ScalarValue::TimestampMicrosecond(Some(v), None)),
            (0i64..4_000_000_000).prop_map(|v| ScalarValue::TimestampSecond(Some(v), Some("+00:00".into()))),
            any::<i64>().prop_map(|v| ScalarValue::Decimal128(Some(i128::from(v)), 38, 5)),
            Just(ScalarValue::TimestampNanosecond(None, None)),
            Just(ScalarValue::Int32(None)),
        ]
    }

    proptest! {
        /// Any value of an allowed type, written into a path and read back, is the same value of the same type.
        #[test]
        fn any_value_round_trips_through_a_path(value in any_value(), name in "[a-z=/% ]{1,8}") {
            let column = value.to_array().unwrap();
            prop_assume!(value != ScalarValue::Utf8(Some(NULL_SEGMENT.into())));
            let texts = values_at(&[column], 0).unwrap();
            let path = path([name.as_str()], &texts);
            prop_assert!(!path.contains('/'));
            prop_assert!(object_store::path::Path::parse(&path).is_ok());
            let back = parse_path(&path).unwrap();
            prop_assert_eq!(&back, &texts);
            prop_assert_eq!(typed(back[0].as_deref(), &value.data_type()).unwrap(), value);
        }
    }
}
