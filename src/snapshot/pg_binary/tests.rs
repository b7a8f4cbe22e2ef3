//! Properties of the whole decoder, against a reference encoder of rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use proptest::prelude::*;

use super::decoder::PgBinaryBatch;
use super::numeric::tests::numeric;
use super::{PgBinaryColumn, PgBinaryDecoder, PgBinaryFault, PgWire};

type Field5 = (Option<i64>, Option<String>, Option<(i64, u32)>, Option<i64>, Option<u64>);

fn header() -> Vec<u8> {
    b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec()
}

/// The reference: rows as a server sends them.
fn encode(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut bytes = header();
    for row in rows {
        bytes.extend((row.len() as i16).to_be_bytes());
        for field in row {
            bytes.extend(field.as_ref().map_or(-1, |field| field.len() as i32).to_be_bytes());
            bytes.extend(field.iter().flatten());
        }
    }
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

fn columns() -> Vec<PgBinaryColumn> {
    vec![
        PgBinaryColumn::new("i", DataType::Int64, PgWire::Int8),
        PgBinaryColumn::new("s", DataType::Utf8View, PgWire::Text),
        PgBinaryColumn::passed_over("p"),
        PgBinaryColumn::new("n", DataType::Decimal128(38, 4), PgWire::Numeric),
        PgBinaryColumn::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), PgWire::Timestamp),
        PgBinaryColumn::new("f", DataType::Float64, PgWire::Float8),
    ]
}

fn decimal(value: i64, scale: u32) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let point = if scale == 0 { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if value < 0 { "-" } else { "" })
}

fn row(fields: &Field5) -> Vec<Option<Vec<u8>>> {
    let (i, s, n, t, f) = fields;
    let integer = i.map(|i| match (i16::try_from(i), i32::try_from(i)) {
        (Ok(i), _) => i.to_be_bytes().to_vec(),
        (_, Ok(i)) => i.to_be_bytes().to_vec(),
        _ => i.to_be_bytes().to_vec(),
    });
    vec![
        integer,
        s.as_ref().map(|s| s.as_bytes().to_vec()),
        s.as_ref().map(|s| vec![0xff; s.len() % 3]),
        n.map(|(value, scale)| numeric(&decimal(value, scale))),
        t.map(|t| t.to_be_bytes().to_vec()),
        f.map(|f| f.to_be_bytes().to_vec()),
    ]
}

fn any_rows() -> impl Strategy<Value = Vec<Field5>> {
    let row = (
        any::<Option<i64>>(),
        proptest::option::of("\\PC{0,30}"),
        proptest::option::of((any::<i64>(), 0..5_u32)),
        proptest::option::of(-211_813_488_000_000_000..9_222_000_000_000_000_000_i64),
        any::<Option<u64>>(),
    );
    proptest::collection::vec(row, 0..40)
}

/// All batches, from chunks of the given lengths in turn.
fn decode(bytes: &[u8], chunks: &[usize], rows: usize) -> Result<Vec<PgBinaryBatch>, PgBinaryFault> {
    let mut decoder = PgBinaryDecoder::new(&columns(), 1 << 20).unwrap();
    let mut batches = Vec::new();
    let (mut at, mut turn) = (0, 0);
    while at < bytes.len() {
        let end = (at + chunks[turn % chunks.len()].max(1)).min(bytes.len());
        turn += 1;
        while at < end {
            let used = decoder.push(&bytes[at..end], rows)?;
            at += used;
            if decoder.is_full(rows) {
                batches.extend(decoder.flush()?);
            } else {
                assert!(used > 0);
            }
        }
    }
    decoder.end()?;
    batches.extend(decoder.flush()?);
    Ok(batches)
}

fn joined(batches: &[PgBinaryBatch], column: usize) -> ArrayRef {
    let parts: Vec<&dyn Array> = batches.iter().map(|(columns, _)| columns[column].as_ref()).collect();
    concat(&parts).unwrap()
}

proptest! {
    #[test]
    fn any_rows_come_out_as_they_were_with_any_chunks(
        rows in any_rows(),
        chunks in proptest::collection::vec(1..200_usize, 1..10),
        size in 1..20_usize,
    ) {
        let bytes = encode(&rows.iter().map(row).collect::<Vec<_>>());
        let batches = decode(&bytes, &chunks, size).unwrap();
        prop_assert_eq!(batches.iter().map(|(_, rows)| rows).sum::<usize>(), rows.len());
        prop_assert!(batches.iter().all(|(_, rows)| *rows <= size));
        if rows.is_empty() {
            return Ok(());
        }
        let (integers, texts, decimals) = (joined(&batches, 0), joined(&batches, 1), joined(&batches, 2));
        let (times, floats) = (joined(&batches, 3), joined(&batches, 4));
        for (at, (i, s, n, t, f)) in rows.iter().enumerate() {
            let is = |array: &ArrayRef| array.is_valid(at).then_some(at);
            prop_assert_eq!(is(&integers).map(|at| integers.as_primitive::<Int64Type>().value(at)), *i);
            prop_assert_eq!(is(&texts).map(|at| texts.as_string_view().value(at)), s.as_deref());
            let wanted = n.map(|(value, scale)| i128::from(value) * 10_i128.pow(4 - scale));
            prop_assert_eq!(is(&decimals).map(|at| decimals.as_primitive::<Decimal128Type>().value(at)), wanted);
            let wanted = t.map(|t| t + 946_684_800_000_000);
            prop_assert_eq!(is(&times).map(|at| times.as_primitive::<TimestampMicrosecondType>().value(at)), wanted);
            let bits = is(&floats).map(|at| floats.as_primitive::<Float64Type>().value(at).to_bits());
            prop_assert_eq!(bits, *f);
        }
    }

    #[test]
    fn any_cut_is_an_error(rows in any_rows(), cut in any::<prop::sample::Index>(), chunk in 1..100_usize) {
        let bytes = encode(&rows.iter().map(row).collect::<Vec<_>>());
        prop_assert!(decode(&bytes[..cut.index(bytes.len())], &[chunk], 7).is_err());
    }

    #[test]
    fn any_flipped_bytes_never_panic_and_do_not_depend_on_chunks(
        rows in any_rows(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        chunk in 1..100_usize,
    ) {
        let mut bytes = encode(&rows.iter().map(row).collect::<Vec<_>>());
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        let whole = decode(&bytes, &[usize::MAX / 2], 7);
        prop_assert_eq!(decode(&bytes, &[chunk], 7), whole);
    }

    #[test]
    fn any_bytes_as_any_type_never_panic(
        bytes in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff), any::<u8>()], 0..60),
    ) {
        let data = encode(&[vec![Some(bytes)]]);
        for (wire, wanted) in pairs() {
            let mut decoder = PgBinaryDecoder::new(&[PgBinaryColumn::new("c", wanted, wire)], 1 << 20).unwrap();
            if decoder.push(&data, 10).is_ok() {
                decoder.end().unwrap();
                prop_assert_eq!(decoder.flush().unwrap().unwrap().1, 1);
            }
        }
    }

    #[test]
    fn any_numeric_prints_as_it_was_written(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?") {
        let is_zero = text.bytes().all(|byte| !matches!(byte, b'1'..=b'9'));
        let printed = one(PgWire::Numeric, DataType::Utf8, &numeric(&text)).unwrap();
        let wanted = if is_zero { text.trim_start_matches('-') } else { &text };
        prop_assert_eq!(printed.as_string::<i32>().value(0), wanted);
    }
}

fn scalars() -> Vec<PgWire> {
    use PgWire as W;
    vec![
        W::Bool,
        W::Int2,
        W::Int4,
        W::Int8,
        W::Float4,
        W::Float8,
        W::Numeric,
        W::Text,
        W::Untyped,
        W::Char,
        W::Jsonb,
        W::Bytea,
        W::Date,
        W::Time,
        W::TimeTz,
        W::Timestamp,
        W::TimestampTz,
        W::Interval,
        W::Uuid,
        W::Oid,
        W::Inet,
        W::Cidr,
        W::MacAddr,
        W::Bit,
    ]
}

/// Every pair that is not refused.
fn pairs() -> Vec<(PgWire, DataType)> {
    use datafusion::arrow::datatypes::IntervalUnit;
    let mut wanted = vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(20, 3),
        DataType::Decimal256(60, -2),
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(16),
        DataType::Date32,
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Time32(TimeUnit::Second),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Interval(IntervalUnit::MonthDayNano),
    ];
    let lists: Vec<_> =
        wanted.iter().map(|of| DataType::List(Arc::new(Field::new_list_field(of.clone(), true)))).collect();
    wanted.extend(lists);
    let mut wires = scalars();
    wires.extend(scalars().into_iter().map(|of| PgWire::Array(Box::new(of))));
    let pairs = wires.iter().flat_map(|wire| wanted.iter().map(|wanted| (wire.clone(), wanted.clone())));
    pairs
        .filter(|(wire, wanted)| {
            PgBinaryDecoder::new(&[PgBinaryColumn::new("c", wanted.clone(), wire.clone())], 1 << 20).is_ok()
        })
        .collect()
}

/// One value.
fn one(wire: PgWire, wanted: DataType, bytes: &[u8]) -> Result<ArrayRef, PgBinaryFault> {
    let mut decoder = PgBinaryDecoder::new(&[PgBinaryColumn::new("c", wanted, wire)], 1 << 20)?;
    decoder.push(&encode(&[vec![Some(bytes.to_vec())]]), 10)?;
    decoder.end()?;
    Ok(decoder.flush()?.unwrap().0.remove(0))
}

fn message(wire: PgWire, wanted: DataType, bytes: &[u8]) -> String {
    one(wire, wanted, bytes).unwrap_err().to_string()
}

#[test]
fn what_a_type_cannot_hold_is_an_error_with_its_place_and_text() {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    assert_eq!(
        message(PgWire::Date, DataType::Date32, &i32::MAX.to_be_bytes()),
        "row 1, column 'c': 'infinity' cannot be read as Date32: the type has no infinity"
    );
    assert!(message(PgWire::Timestamp, micros.clone(), &i64::MIN.to_be_bytes()).contains("'-infinity'"));
    assert!(
        message(PgWire::Timestamp, micros, &9_223_000_000_000_000_000_i64.to_be_bytes()).contains("out of the type's")
    );
    assert!(
        message(PgWire::Timestamp, nanos, &9_000_000_000_000_000_000_i64.to_be_bytes()).contains("out of the type's")
    );
    let time = DataType::Time64(TimeUnit::Microsecond);
    assert!(message(PgWire::Time, time, &86_400_000_000_i64.to_be_bytes()).contains("'24:00:00'"));
    let nan = [0, 0, 0, 0, 0xc0, 0, 0, 0];
    assert!(message(PgWire::Numeric, DataType::Decimal128(10, 2), &nan).contains("'NaN'"));
    assert!(one(PgWire::Numeric, DataType::Float64, &nan).unwrap().as_primitive::<Float64Type>().value(0).is_nan());
    assert!(message(PgWire::Numeric, DataType::Decimal128(10, 2), &numeric("0.005")).contains("'0.005'"));
    assert!(message(PgWire::Numeric, DataType::Decimal128(3, 2), &numeric("10.00")).contains("more digits"));
    assert!(message(PgWire::Int8, DataType::Int16, &70_000_i32.to_be_bytes()).contains("'70000'"));
    assert!(message(PgWire::Bytea, DataType::FixedSizeBinary(2), &[1]).contains("'\\x01'"));
    assert!(message(PgWire::Text, DataType::Utf8, &[0xff]).contains("BYTEA"));
}

#[test]
fn what_has_no_known_form_is_refused_before_any_row() {
    let refused =
        |wire: PgWire, wanted| PgBinaryDecoder::new(&[PgBinaryColumn::new("c", wanted, wire)], 100).unwrap_err();
    let fault = refused(PgWire::Other("point".into()), DataType::Utf8).to_string();
    assert!(fault.contains("column 'c': point") && fault.contains("cast the column to text"), "{fault}");
    refused(PgWire::Money, DataType::Utf8);
    refused(PgWire::Array(Box::new(PgWire::Money)), DataType::Utf8);
    refused(PgWire::Bool, DataType::Date32);
}

#[test]
fn a_damaged_frame_is_an_error_with_its_place() {
    let fault = |bytes: &[u8]| decode(bytes, &[5], 100).unwrap_err().to_string();
    let mut bytes = encode(&[]);
    bytes.push(0);
    assert_eq!(fault(&bytes), "row 1 of COPY BINARY data, at byte 21: bytes follow the trailer");
    assert!(fault(&header()).contains("without its trailer"));
    assert!(fault(&encode(&[vec![None; 5]])).contains("the row has 5 fields, where 6 columns are"));
    let mut bytes = header();
    bytes.extend([0, 6, 0x7f, 0xff, 0xff, 0xff]);
    assert!(fault(&bytes).contains("longer than 1048576 bytes"));
    let mut bytes = header();
    bytes.extend([0, 6, 0xff, 0xff, 0xff, 0xfe]);
    assert!(fault(&bytes).contains("length -2"));
}

#[test]
fn a_wrong_value_is_reported_before_damage_behind_it() {
    let mut rows = vec![vec![None; 6]; 3];
    rows[1][0] = Some(vec![1]);
    rows.push(vec![None; 2]);
    let fault = decode(&encode(&rows), &[1000], 100).unwrap_err().to_string();
    assert!(fault.starts_with("row 2, column 'i'"), "{fault}");
}

#[test]
fn a_table_without_columns_has_its_rows() {
    let mut decoder = PgBinaryDecoder::new(&[], 100).unwrap();
    decoder.push(&encode(&[vec![], vec![]]), 10).unwrap();
    decoder.end().unwrap();
    assert_eq!(decoder.flush().unwrap(), Some((vec![], 2)));
}

#[test]
fn a_wide_record_in_single_bytes_is_read() {
    let mut rows = vec![vec![None; 6]; 2];
    rows[0][1] = Some(vec![b'x'; 300_000]);
    let bytes = encode(&rows);
    let batches = decode(&bytes, &[1], 100).unwrap();
    assert_eq!(batches[0].0[1].as_string_view().value(0).len(), 300_000);
}
