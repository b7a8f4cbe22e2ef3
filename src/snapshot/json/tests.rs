//! NDJSON as a whole: bytes in, batches or an error out; and at random against a plain reference.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Fields, Float32Type, Float64Type, Int8Type, Int32Type, Int64Type,
    SchemaRef, TimeUnit, TimestampMillisecondType, UInt64Type,
};
use proptest::prelude::*;

use super::tree::Presence;
use crate::snapshot::scan::decode::{FileDecoder, Pace, target};
use crate::snapshot::scan::decode::{
    tests::decode, tests::decode_in, tests::json_format, tests::lines, tests::reported, tests::schema,
};

fn read(schema: &SchemaRef, text: &str) -> Result<RecordBatch, String> {
    decode(&json_format(), schema, None, text).map_err(reported)
}

fn of(data_type: &DataType, value: &str) -> Result<String, String> {
    let batch = read(&schema(&[("a", data_type.clone())]), &format!("{{\"a\":{value}}}\n"))?;
    Ok(lines(&batch).remove(0))
}

fn object(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect())
}

#[test]
fn missing_and_null_attributes_are_null_and_unknown_ones_ignored() {
    let schema = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let text = "{\"a\":1,\"x\":[{}],\"x\":1}\n\n{\"b\":\"é\\n\",\"a\":null}\n  {\"b\":\"\"}";
    let batch = read(&schema, text).unwrap();
    assert_eq!(batch.column(0).null_count(), 2);
    assert!(batch.column(1).is_null(0) && batch.column(1).is_valid(2));
}

#[test]
fn what_is_no_text_is_the_text_that_is_written_where_text_is_declared() {
    for text_type in [DataType::Utf8, DataType::Utf8View, DataType::LargeUtf8] {
        let schema = schema(&[("a", text_type)]);
        let text =
            "{\"a\":1.50}{\"a\":true}{\"a\":\"x\"}{\"a\":12345678901234567890}{\"a\": {\"x\" :[1, 2.0]} }{\"a\":[]}";
        let expected = ["1.50", "true", "x", "12345678901234567890", "{\"x\" :[1, 2.0]}", "[]"];
        assert_eq!(lines(&read(&schema, text).unwrap()), expected);
    }
}

#[test]
fn nested_values_and_times_are_read() {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let point = object(&[("x", DataType::Float64)]);
    let schema = schema(&[("l", DataType::new_list(point, true)), ("t", zoned)]);
    let text =
        r#"{"l":[{"x":1},{"x":null,"y":2},null],"t":"2013-01-01 05:00:00"} {"l":[],"t":"2013-01-01T05:00:00+05:00"}"#;
    assert_eq!(
        lines(&read(&schema, text).unwrap()),
        ["[{x: 1.0}, {x: }, ]|2013-01-01T05:00:00Z", "[]|2013-01-01T00:00:00Z"]
    );
}

#[test]
fn fixed_lists_maps_and_rare_types_are_read() {
    let pair = DataType::new_fixed_size_list(DataType::Int64, 2, true);
    assert_eq!(of(&pair, "[1,null]").unwrap(), "[1, ]");
    assert_eq!(of(&pair, "null").unwrap(), "");
    assert!(of(&pair, "[1]").unwrap_err().contains("'[1]' cannot be read as BIGINT[]"));
    let entries = object(&[("key", DataType::Utf8), ("value", DataType::Int64)]);
    let DataType::Struct(entries) = entries else { panic!() };
    let fields = vec![entries[0].as_ref().clone().with_nullable(false), entries[1].as_ref().clone()];
    let entries = Field::new("entries", DataType::Struct(fields.into()), false);
    let map = DataType::Map(Arc::new(entries), false);
    assert_eq!(of(&map, r#"{"x":1,"y":null}"#).unwrap(), "{x: 1, y: }");
    assert!(of(&map, r#"{"x":1,"x":2}"#).unwrap_err().contains("'x' occurs twice"));
    assert!(of(&map, r#"{"x":1.5}"#).unwrap_err().contains("column 'a.value': '1.5' cannot be read as BIGINT"));
    let interval = DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::MonthDayNano);
    assert_eq!(of(&interval, "\"1 day\"").unwrap(), "1 days");
    assert!(of(&interval, "\"one day\"").unwrap_err().contains("'one day' cannot be read as INTERVAL"));
}

#[test]
fn a_value_is_exactly_what_it_is_or_an_error() {
    use DataType::*;
    let micros = Timestamp(TimeUnit::Microsecond, None);
    for (data_type, value, expected) in [
        (Int64, "1.0", "1"),
        (Int64, "\"7\"", "7"),
        (Int64, "-0", "0"),
        (Int64, "9223372036854775807", "9223372036854775807"),
        (UInt8, "2e2", "200"),
        (Decimal128(5, 2), "1.5", "1.50"),
        (Decimal256(60, 2), "\"-0.250\"", "-0.25"),
        (Float64, "0.1", "0.1"),
        (Float64, "\"-Infinity\"", "-inf"),
        (Float32, "\"NaN\"", "NaN"),
        (Boolean, "\"no\"", "false"),
        (Date32, "\"2024-02-29\"", "2024-02-29"),
        (micros.clone(), "\"2024-01-01T00:00:00.1234560Z\"", "2024-01-01T00:00:00.123456"),
        (Time64(TimeUnit::Nanosecond), "\"01:02:03\"", "01:02:03"),
        (Binary, "\"\\\\x6869\"", "6869"),
        (BinaryView, "\"6869\"", "6869"),
        (FixedSizeBinary(2), "\"6869\"", "6869"),
        (Utf8, "\"\\ud83d\\ude00\"", "😀"),
    ] {
        assert_eq!(of(&data_type, value).unwrap(), expected, "{data_type} {value}");
    }
    for (data_type, value, reported) in [
        (Int64, "1.5", "'1.5' cannot be read as BIGINT"),
        (Int64, "1.00000000000000000001", "as BIGINT"),
        (Int64, "9223372036854775808", "as BIGINT"),
        (UInt8, "-1", "'-1' cannot be read as TINYINT UNSIGNED"),
        (Int64, "true", "'true' cannot be read as BIGINT"),
        (Int64, "\"\"", "'' cannot be read as BIGINT"),
        (Int64, "{\"x\": 1}", "'{\"x\": 1}' cannot be read as BIGINT"),
        (Decimal128(10, 2), "1.239", "'1.239' cannot be read as DECIMAL(10,2)"),
        (Decimal128(5, 2), "1000", "as DECIMAL(5,2)"),
        (Float64, "9007199254740993", "as DOUBLE: it has more digits than the type keeps"),
        (Float64, "1e400", "as DOUBLE: it is beyond the range of the type"),
        (Float64, "\"many\"", "'many' cannot be read as DOUBLE"),
        (Float32, "16777217", "'16777217' cannot be read as REAL"),
        (Boolean, "1", "'1' cannot be read as BOOLEAN"),
        (Date32, "1704067200", "'1704067200' cannot be read as DATE: it is a number, not a text"),
        (Date32, "\"2024-01-01 05:00:00\"", "as DATE: it has a time of day"),
        (micros.clone(), "1704067200", "as TIMESTAMP(6): it is a number"),
        (micros, "\"2024-01-01T00:00:00.1234567\"", "as TIMESTAMP(6): it has more digits of a second than the type"),
        (Time64(TimeUnit::Nanosecond), "3600", "it is a number, not a text"),
        (Time64(TimeUnit::Nanosecond), "\"3600\"", "as TIME"),
        (Binary, "\"686\"", "as BYTEA: its last byte has one hexadecimal digit"),
        (Binary, "\"hi\"", "as BYTEA: it is not hexadecimal"),
        (Binary, "6869", "as BYTEA: it is a number, not a text"),
        (DataType::new_list(Int64, true), "7", "'7' cannot be read as BIGINT[]"),
        (object(&[("x", Int64)]), "[1]", "'[1]' cannot be read as STRUCT<x BIGINT>"),
        (Null, "0", "'0'"),
    ] {
        let error = of(&data_type, value).unwrap_err();
        assert!(
            error.starts_with("f, row 1, column 'a': ") && error.contains(reported),
            "{data_type} {value}: {error}"
        );
    }
}

#[test]
fn an_error_names_row_path_value_and_type_at_every_depth() {
    let price = object(&[("p", DataType::Decimal128(10, 2))]);
    let schema = schema(&[("o", price.clone()), ("l", DataType::new_list(price, true))]);
    let fine = "{\"o\":{\"p\":1.2},\"l\":[{\"p\":1}]}\n".repeat(300);
    for (bad, path) in [("{\"o\":{\"p\":1.239}}", "o.p"), ("{\"l\":[{},{\"p\":1.239}]}", "l[].p")] {
        assert_eq!(
            read(&schema, &format!("{fine}{bad}\n{fine}")).unwrap_err(),
            format!("f, row 301, column '{path}': '1.239' cannot be read as DECIMAL(10,2)")
        );
    }
}

#[test]
fn broken_text_is_an_error_with_line_and_column_however_it_arrives() {
    let schema = schema(&[("a", DataType::Int64)]);
    for (text, words) in [
        ("{\"a\":1}\n{\"a\":", "f, line 2, column 6: the file ends within a record"),
        (
            "[{\"a\":1}]",
            "f, line 1, column 1: a record must be an object, this is a list; NDJSON has one object per line",
        ),
        ("{\"a\":1}\n\n{\"a\":1,\"a\":2}\n", "f, line 3, column 8: 'a' occurs twice in one object"),
        ("{\"x\":{\"é\":01}}\n", "f, line 1, column 12: expected the digits of a number, found '1'"),
        ("{\"a\":1}, {\"a\":2}\n", "f, line 1, column 8: a record must be an object"),
        ("{\"x\":\"a\u{1}b\"}\n", "f, line 1, column 8: a control character in a string"),
        ("{\"x\":\"a\nb\"}\n", "f, line 1, column 8: a line ends within a string"),
        ("{\"x\":\"\\ud800\"}\n", "f, line 1, column 7: half of a surrogate pair"),
        ("{\"a\":1}}\n", "f, line 1, column 8: a record must be an object"),
        ("{\"a\":1]\n", "f, line 1, column 7: expected ',' or '}', found ']'"),
    ] {
        for (chunk, rows) in [(usize::MAX, 8192), (1, 8192), (3, 1), (7, 8192)] {
            let error = decode_in(&json_format(), &schema, None, text, (chunk, rows)).map_err(reported);
            let error = error.unwrap_err();
            assert!(error.starts_with(words), "{text:?} in chunks of {chunk}: {error}");
        }
    }
}

#[test]
fn bytes_that_are_no_utf8_are_an_error_with_their_place() {
    let schema = schema(&[("a", DataType::Utf8)]);
    let target = Arc::new(target(json_format(), schema, None).unwrap());
    for tail in [&b"{\"a\":\"\xff\"}\n"[..], b"{\"a\":\"\xc3", b"{\"\xff\":1}\n", b"\xff"] {
        let bytes = [b"{\"a\":\"\xc3\xa9\"}\n", tail].concat();
        for size in [1, 5, 1000] {
            let mut decoder = FileDecoder::new(Arc::clone(&target), Pace::new(100)).unwrap();
            let pushed = bytes.chunks(size).try_for_each(|chunk| {
                let mut chunk = bytes::Bytes::copy_from_slice(chunk);
                decoder.push(&mut chunk).map(|_| ())
            });
            let error = reported(pushed.and_then(|()| decoder.finish().map(|_| ())).unwrap_err());
            assert!(error.starts_with("f, line 2, column "), "{error}");
            assert!(error.contains("UTF-8") || tail == b"\xff" || tail.ends_with(b"\xc3"), "{tail:?} {error}");
        }
    }
}

#[test]
fn records_over_lines_without_line_ends_and_of_any_length_are_read() {
    let schema = schema(&[("a", DataType::Int64), ("l", DataType::new_list(DataType::Utf8View, true))]);
    let pretty: String =
        (0..50).map(|a| format!("{{\n  \"a\": {a},\r\n  \"l\": [\n\"}}{{\\\"\",\n null]\n}}\n")).collect();
    let mixed = format!("{{\"a\":-1}}\n{pretty}{{\"a\":50}}\n{{\"a\":51}}");
    let batch = read(&schema, &mixed).unwrap();
    assert_eq!(batch.num_rows(), 53);
    assert!(batch.column(0).as_primitive::<Int64Type>().values().iter().copied().eq(-1..52));
    assert_eq!(lines(&batch)[3], "2|[}{\", ]");
    let joined: String = (0..5000).map(|a| format!("{{\"a\":{a}}}")).collect();
    assert_eq!(read(&schema, &joined).unwrap().num_rows(), 5000);
}

#[test]
fn without_columns_rows_are_counted_and_syntax_is_checked() {
    let schema = schema(&[("a", DataType::Int64)]);
    let none = Some(vec![]);
    let batch = decode(&json_format(), &schema, none.as_ref(), "{\"a\":\"no number\"}\n{}\n\n").unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (2, 0));
    assert!(decode(&json_format(), &schema, none.as_ref(), "{\"a\":01}\n").is_err());
    assert!(decode(&json_format(), &schema, none.as_ref(), "{\"a\":1,\"a\":1}\n").is_err());
    assert_eq!(read(&schema, "\n").unwrap().num_rows(), 0);
}

#[test]
fn a_column_in_other_letters_only_is_an_error_and_beside_its_own_it_is_not() {
    let nested = schema(&[("id", DataType::Int64), ("o", object(&[("x", DataType::Int64)]))]);
    for (text, words) in [
        (
            "{\"Id\":1}\n{\"Id\":2}\n",
            "column 'id' is declared for snapshot.t, but f has 'Id': names are case-sensitive",
        ),
        (
            "{\"id\":1,\"o\":{\"X\":1}}\n",
            "column 'o.x' is declared for snapshot.t, but f has 'X': names are case-sensitive",
        ),
    ] {
        let error = read(&nested, text).unwrap_err();
        assert!(error.starts_with(words), "{error}");
    }
    assert_eq!(lines(&read(&nested, "{\"Id\":7,\"id\":1}\n{\"ID\":8}\n{\"id\":2}").unwrap()), ["1|", "|", "2|"]);
    let both = schema(&[("id", DataType::Int64), ("Id", DataType::Utf8)]);
    assert_eq!(lines(&read(&both, "{\"Id\":\"x\"}\n").unwrap()), ["|x"]);
    let error = decode(&json_format(), &nested, Some(&vec![1]), "{\"Id\":1}\n").map_err(reported);
    assert!(error.unwrap_err().contains("but f has 'Id'"));
}

#[test]
fn presence_tells_missing_from_null_and_from_what_could_not_be_there() {
    let schema = schema(&[
        ("a", DataType::Int64),
        ("b", DataType::Int64),
        ("o", object(&[("x", DataType::Int64), ("y", DataType::Int64)])),
        ("l", DataType::new_list(object(&[("z", DataType::Int64)]), true)),
    ]);
    let presence = |text: &str, projection: Option<Vec<usize>>| {
        let target = Arc::new(target(json_format(), Arc::clone(&schema), projection.as_ref()).unwrap());
        let mut decoder = FileDecoder::new(target, Pace::new(100)).unwrap();
        decoder.push(&mut bytes::Bytes::copy_from_slice(text.as_bytes())).unwrap();
        decoder.finish().unwrap();
        let mut found = decoder.presence().unwrap();
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let word = |presence| match presence {
            Presence::Unknown => "?",
            Presence::Absent => "-",
            Presence::Present => "+",
        };
        found.into_iter().map(|(path, found)| format!("{path}{}", word(found))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(presence("", None), "a? b? l? l[].z? o? o.x? o.y?");
    assert_eq!(presence("{}", None), "a- b- l- l[].z? o- o.x? o.y?");
    assert_eq!(presence("{\"a\":null,\"o\":{\"y\":1},\"l\":[]}", None), "a+ b- l+ l[].z? o+ o.x- o.y+");
    assert_eq!(presence("{\"b\":1,\"l\":[{}]}", None), "a- b+ l+ l[].z- o- o.x? o.y?");
    assert_eq!(presence("{\"b\":\"x\"}", Some(vec![0])), "a- b+ l- o-");
}

/// A JSON value with its numbers as they are written.
#[derive(Debug, Clone)]
enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Small and good enough: a value is made of one number, so that a type and its values come from one seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }

    fn data_type(&mut self, depth: u32) -> DataType {
        use DataType::*;
        match self.roll(if depth == 0 { 8 } else { 12 }) {
            8 | 9 => DataType::new_list(self.data_type(depth - 1), true),
            10 | 11 => Struct(self.fields(depth - 1)),
            _ => self.pick(&[
                Int8,
                Int32,
                Int64,
                UInt64,
                Decimal128(5, 2),
                Decimal128(38, 10),
                Float64,
                Float32,
                Boolean,
                Utf8,
                Utf8View,
                Date32,
                Timestamp(TimeUnit::Millisecond, None),
                Binary,
            ]),
        }
    }

    fn fields(&mut self, depth: u32) -> Fields {
        let names = ["a", "b", "A", "a\"é"];
        let count = 1 + self.roll(4) as usize;
        names[..count].iter().map(|name| Field::new(*name, self.data_type(depth), true)).collect()
    }

    fn number(&mut self) -> String {
        let digits: String =
            (0..=self.pick(&[0, 0, 1, 2, 6, 14, 17, 24])).map(|_| self.pick(&["0", "1", "5", "9"])).collect();
        let digits = digits.trim_start_matches('0');
        let whole = if digits.is_empty() { "0" } else { digits };
        let sign = self.pick(&["", "", "-"]);
        let fraction = self.pick(&["", "", "", ".0", ".5", ".25", ".239", ".000000000000000000001", ".1000000"]);
        let exponent = self.pick(&["", "", "", "", "e0", "e2", "E-2", "e+10", "e-400", "e400"]);
        format!("{sign}{whole}{fraction}{exponent}")
    }

    fn text(&mut self) -> String {
        let texts = [
            "",
            "x",
            "é\"\\\n\u{1}😀",
            "true",
            "12",
            " 7 ",
            "1.5",
            "007",
            "2024-02-29",
            "2023-02-29",
            "2024-01-01 01:02:03.5",
            "2024-01-01T01:02:03.0005",
            "1970-01-01T00:00:00Z",
            "6869",
            "\\xff",
            "686",
            "NaN",
        ];
        self.pick(&texts).to_owned()
    }

    fn value(&mut self, data_type: &DataType) -> Json {
        if self.roll(8) == 0 {
            return Json::Null;
        }
        if self.roll(60) == 0 {
            return self.pick(&[
                Json::Bool(true),
                Json::Number("7".into()),
                Json::Text("8".into()),
                Json::List(vec![Json::Null]),
                Json::Object(vec![("b".into(), Json::Bool(false))]),
            ]);
        }
        match data_type {
            DataType::List(item) => Json::List((0..self.roll(4)).map(|_| self.value(item.data_type())).collect()),
            DataType::Struct(fields) => Json::Object(self.members(fields)),
            DataType::Boolean => Json::Bool(self.roll(2) == 0),
            number if number.is_numeric() && self.roll(50) > 0 => Json::Number(self.small_number(number)),
            number if number.is_numeric() => Json::Number(self.number()),
            DataType::Date32 if self.roll(20) > 0 => Json::Text("2024-02-29".into()),
            DataType::Timestamp(_, _) if self.roll(20) > 0 => Json::Text("2024-01-01 01:02:03.5".into()),
            DataType::Binary if self.roll(20) > 0 => Json::Text("6869".into()),
            _ => Json::Text(self.text()),
        }
    }

    fn small_number(&mut self, data_type: &DataType) -> String {
        let whole = self.roll(100).to_string();
        let spelling = if data_type.is_integer() { ["", ".0", ".00", "e0"] } else { [".5", ".25", "", "e-1"] };
        whole + self.pick(&spelling)
    }

    fn members(&mut self, fields: &Fields) -> Vec<(String, Json)> {
        let mut members: Vec<_> = Vec::new();
        for field in fields {
            if self.roll(10) > 0 {
                members.push((field.name().clone(), self.value(field.data_type())));
            }
        }
        if self.roll(4) == 0 {
            members.push(("other".into(), self.value(&DataType::Utf8)));
        }
        let turn = self.roll(1 + members.len() as u64) as usize;
        members.rotate_left(turn);
        members
    }

    /// The value as text, with one of these spaces here and there.
    fn write(&mut self, value: &Json, spaces: &[&str], to: &mut String) {
        to.push_str(self.pick(spaces));
        match value {
            Json::Null => to.push_str("null"),
            Json::Bool(value) => to.push_str(&value.to_string()),
            Json::Number(number) => to.push_str(number),
            Json::Text(text) => to.push_str(&serde_json::to_string(text).unwrap()),
            Json::List(items) => {
                to.push('[');
                for (index, item) in items.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    self.write(item, spaces, to);
                }
                to.push(']');
            }
            Json::Object(members) => {
                to.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    to.push_str(&serde_json::to_string(name).unwrap());
                    to.push(':');
                    self.write(value, spaces, to);
                }
                to.push('}');
            }
        }
        to.push_str(self.pick(spaces));
    }
}

/// The digits of a number without zeros around them, and the exponent of the last one.
fn digits_of(number: &str) -> (bool, String, i64) {
    let (sign, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    let exponent = exponent.parse::<i64>().unwrap() - fraction.len() as i64 + (digits.len() - kept.len()) as i64;
    (sign, kept.to_owned(), if kept.is_empty() { 0 } else { exponent })
}

/// A number times ten to a power, if it is an integer.
fn scaled(number: &str, power: i64) -> Option<i128> {
    let (sign, digits, exponent) = digits_of(number);
    if digits.is_empty() {
        return Some(0);
    }
    let zeros = usize::try_from(exponent + power).ok().filter(|zeros| *zeros < 50)?;
    format!("{}{digits}{}", if sign { "-" } else { "" }, "0".repeat(zeros)).parse().ok()
}

/// What a column should hold, as text; None if it cannot.
fn expected(value: &Json, data_type: &DataType) -> Option<String> {
    let number = match value {
        Json::Null => return Some("null".into()),
        Json::Number(number) => Some(number.clone()),
        Json::Text(text) => {
            let text = text.trim();
            let zeros = text.trim_start_matches('0');
            text.parse::<f64>().ok().filter(|value| value.is_finite()).map(|_| zeros.to_owned())
        }
        _ => None,
    };
    let within = |low: i128, high: i128| {
        let value = scaled(number.as_ref()?, 0)?;
        (low..=high).contains(&value).then(|| value.to_string())
    };
    let float = |value: f64| {
        let (_, digits, exponent) = digits_of(number.as_ref()?);
        let shown = format!("{:.*e}", digits.len().saturating_sub(1), value);
        let (_, written, power) = digits_of(&shown);
        (value.is_finite() && written == digits && (power == exponent || digits.is_empty())).then_some(())
    };
    match (data_type, value) {
        (DataType::Int8, _) => within(i8::MIN.into(), i8::MAX.into()),
        (DataType::Int32, _) => within(i32::MIN.into(), i32::MAX.into()),
        (DataType::Int64, _) => within(i64::MIN.into(), i64::MAX.into()),
        (DataType::UInt64, _) => within(0, u64::MAX.into()),
        (DataType::Decimal128(precision, scale), _) => {
            let value = scaled(number.as_ref()?, (*scale).into())?;
            (value.abs() < 10_i128.pow((*precision).into())).then(|| value.to_string())
        }
        (DataType::Float64 | DataType::Float32, Json::Text(text)) if text == "NaN" => Some("NaN".into()),
        (DataType::Float64, _) => {
            let value: f64 = number.as_ref()?.parse().ok()?;
            float(value).map(|()| format!("{value:?}"))
        }
        (DataType::Float32, _) => {
            let value: f32 = number.as_ref()?.parse().ok()?;
            float(value.into()).map(|()| format!("{value:?}"))
        }
        (DataType::Boolean, Json::Bool(value)) => Some(value.to_string()),
        (DataType::Boolean, Json::Text(text)) if text == "true" => Some("true".into()),
        (DataType::Utf8 | DataType::Utf8View, Json::Text(text)) => Some(format!("{text:?}")),
        (DataType::Date32, Json::Text(text)) => match text.as_str() {
            "2024-02-29" => Some("19782".into()),
            "1970-01-01T00:00:00Z" => Some("0".into()),
            _ => None,
        },
        (DataType::Timestamp(_, _), Json::Text(text)) => match text.as_str() {
            "2024-02-29" => Some("1709164800000".into()),
            "2024-01-01 01:02:03.5" => Some("1704070923500".into()),
            "1970-01-01T00:00:00Z" => Some("0".into()),
            _ => None,
        },
        (DataType::Binary, Json::Text(text)) => match text.as_str() {
            "" => Some("[]".into()),
            "12" => Some("[18]".into()),
            "6869" => Some("[104, 105]".into()),
            "\\xff" => Some("[255]".into()),
            _ => None,
        },
        _ => None,
    }
}

/// The same with nested values; Err is the path of the first value that does not fit.
fn reference(value: &Json, data_type: &DataType, text_of: &dyn Fn(&Json) -> String) -> Result<String, String> {
    match (data_type, value) {
        (DataType::List(item), Json::List(items)) => {
            let items = items.iter().map(|value| reference(value, item.data_type(), text_of));
            let items = items.collect::<Result<Vec<_>, _>>().map_err(|path| format!("[]{path}"))?;
            Ok(format!("[{}]", items.join(",")))
        }
        (DataType::Struct(fields), Json::Object(members)) => {
            let mut found = vec!["null".to_owned(); fields.len()];
            for (name, value) in members {
                if let Some((index, field)) = fields.find(name) {
                    let shown = reference(value, field.data_type(), text_of);
                    found[index] = shown.map_err(|path| format!(".{name}{path}"))?;
                }
            }
            Ok(format!("{{{}}}", found.join(",")))
        }
        (DataType::Utf8 | DataType::Utf8View, other) if !matches!(other, Json::Text(_) | Json::Null) => {
            Ok(format!("{:?}", text_of(other)))
        }
        _ => expected(value, data_type).ok_or_else(String::new),
    }
}

fn shown(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".into();
    }
    match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        DataType::Utf8View => format!("{:?}", array.as_string_view().value(row)),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Timestamp(_, _) => array.as_primitive::<TimestampMillisecondType>().value(row).to_string(),
        DataType::Binary => format!("{:?}", array.as_binary::<i32>().value(row)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            format!("[{}]", (0..items.len()).map(|row| shown(&items, row)).collect::<Vec<_>>().join(","))
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns().iter().map(|column| shown(column, row));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        other => panic!("{other}"),
    }
}

/// Names that differ only in case must not hide one another, so a file always has all of them.
fn with_all_names(mut members: Vec<(String, Json)>, fields: &Fields) -> Vec<(String, Json)> {
    for field in fields {
        if !members.iter().any(|(name, _)| name == field.name()) {
            members.push((field.name().clone(), Json::Null));
        }
    }
    members
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn records_of_any_type_are_what_the_reference_says(seed in any::<u64>(), chunk in 1_usize..300, rows in 1_usize..20) {
        let mut dice = Dice(seed);
        let fields = dice.fields(3);
        let columns: Vec<(&str, DataType)> =
            fields.iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
        let schema = schema(&columns);
        let root = DataType::Struct(fields.clone());
        let (mut text, mut outcome) = (String::new(), Ok(Vec::new()));
        for row in 0..dice.roll(30) {
            let mut members = dice.members(&fields);
            if row == 0 {
                members = with_all_names(members, &fields);
            }
            let record = Json::Object(members);
            // The text of a nested value, where text is declared, is that of the record, so it is written only once.
            let mut parts = Dice(dice.0);
            let text_of = |value: &Json| {
                let mut text = String::new();
                Dice(0).write(value, &[""], &mut text);
                text
            };
            let mut written = String::new();
            parts.write(&record, &[""], &mut written);
            let is_plain = has_text_of_nested(&record, &root);
            if !is_plain {
                written.clear();
                dice.write(&record, &["", "", "", " ", "\t"], &mut written);
            }
            text.push_str(&written);
            text.push_str(dice.pick(&["\n", "\n", "\r\n", "\n\n", " ", ""]));
            if let Ok(shown) = &mut outcome {
                match reference(&record, &root, &text_of) {
                    Ok(record) => shown.push(record),
                    Err(path) => outcome = Err(format!("row {}, column '{}'", row + 1, &path[1..])),
                }
            }
        }
        let found = decode_in(&json_format(), &schema, None, &text, (chunk, rows)).map_err(reported);
        match (outcome, found) {
            (Ok(outcome), Ok(batch)) => {
                let found: Vec<String> = (0..batch.num_rows())
                    .map(|row| {
                        let columns = batch.columns().iter().map(|column| shown(column, row));
                        format!("{{{}}}", columns.collect::<Vec<_>>().join(","))
                    })
                    .collect();
                prop_assert_eq!(found, outcome, "{}", text);
            }
            (Err(outcome), Err(found)) => prop_assert!(found.contains(&outcome), "{} {}\n{}", found, outcome, text),
            (outcome, found) => prop_assert!(false, "{outcome:?} {found:?}\n{text}"),
        }
    }
}

/// Whether a value has an object or a list where text is declared.
fn has_text_of_nested(value: &Json, data_type: &DataType) -> bool {
    match (data_type, value) {
        (DataType::List(item), Json::List(items)) => items.iter().any(|v| has_text_of_nested(v, item.data_type())),
        (DataType::Struct(fields), Json::Object(members)) => members.iter().any(|(name, value)| {
            fields.find(name).is_some_and(|(_, field)| has_text_of_nested(value, field.data_type()))
        }),
        (DataType::Utf8 | DataType::Utf8View, Json::List(_) | Json::Object(_)) => true,
        _ => false,
    }
}
