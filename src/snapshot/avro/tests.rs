//! Whole files against a reference encoder: any values, any chunks, any cut, any flipped byte.

use std::io::Write;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use proptest::prelude::*;

use super::decoder::{AvroDecoder, AvroOptions};
use super::fault::AvroFault;

const SCHEMA: &str = r#"{"type":"record","name":"n.R","fields":[
 {"name":"id","type":"long","default":7},
 {"name":"nothing","type":"null"},
 {"name":"text","type":["null","string"],"default":null},
 {"name":"real","type":["double","null"]},
 {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":4}},
 {"name":"list","type":{"type":"array","items":["null","int"]}},
 {"name":"kind","type":["null",{"type":"enum","name":"K","symbols":["A","B","C"],"default":"A"}]},
 {"name":"map","type":{"type":"map","values":"n.K"}},
 {"name":"flag","type":"boolean"}]}"#;

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    text: Option<String>,
    real: Option<f64>,
    price: i128,
    list: Vec<Option<i32>>,
    kind: Option<u8>,
    map: Vec<(String, u8)>,
    flag: bool,
    /// Whether arrays and maps are written with byte lengths, and in how many blocks.
    style: (bool, usize),
}

fn long(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    long(out, bytes.len() as i64);
    out.extend(bytes);
}

fn blocks(out: &mut Vec<u8>, items: &[Vec<u8>], style: (bool, usize)) {
    for part in items.chunks(style.1.max(1)) {
        let bytes = part.concat();
        if style.0 {
            long(out, -(part.len() as i64));
            long(out, bytes.len() as i64);
        } else {
            long(out, part.len() as i64);
        }
        out.extend(bytes);
    }
    long(out, 0);
}

fn encode(row: &Row, out: &mut Vec<u8>) {
    long(out, row.id);
    match &row.text {
        None => long(out, 0),
        Some(text) => {
            long(out, 1);
            sized(out, text.as_bytes());
        }
    }
    match row.real {
        None => long(out, 1),
        Some(real) => {
            long(out, 0);
            out.extend(real.to_le_bytes());
        }
    }
    sized(out, &row.price.to_be_bytes()[if row.style.0 { 0 } else { 6 }..]);
    let item = |item: &Option<i32>| {
        let mut out = Vec::new();
        long(&mut out, i64::from(item.is_some()));
        if let Some(item) = item {
            long(&mut out, i64::from(*item));
        }
        out
    };
    blocks(out, &row.list.iter().map(item).collect::<Vec<_>>(), row.style);
    match row.kind {
        None => long(out, 0),
        Some(kind) => {
            long(out, 1);
            long(out, i64::from(kind));
        }
    }
    let entry = |(key, value): &(String, u8)| {
        let mut out = Vec::new();
        sized(&mut out, key.as_bytes());
        long(&mut out, i64::from(*value));
        out
    };
    blocks(out, &row.map.iter().map(entry).collect::<Vec<_>>(), row.style);
    out.push(u8::from(row.flag));
}

fn pack(codec: &str, bytes: &[u8]) -> Vec<u8> {
    match codec {
        "null" => bytes.to_vec(),
        "deflate" => {
            let mut to = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        "zstandard" => zstd::encode_all(bytes, 1).unwrap(),
        "bzip2" => {
            let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        "xz" => {
            let mut to = liblzma::write::XzEncoder::new(Vec::new(), 1);
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        _ => {
            let mut packed = snap::raw::Encoder::new().compress_vec(bytes).unwrap();
            let mut sum = flate2::Crc::new();
            sum.update(bytes);
            packed.extend(sum.sum().to_be_bytes());
            packed
        }
    }
}

const SYNC: [u8; 16] = *b"0123456789abcdef";

fn file(schema: &str, codec: &str, with_bytes: bool, blocks: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"Obj\x01".to_vec();
    let mut entries = Vec::new();
    for (key, value) in [("avro.schema", schema), ("avro.codec", codec), ("x", "")] {
        sized(&mut entries, key.as_bytes());
        sized(&mut entries, value.as_bytes());
    }
    long(&mut out, if with_bytes { -3 } else { 3 });
    if with_bytes {
        long(&mut out, entries.len() as i64);
    }
    out.extend(entries);
    long(&mut out, 0);
    out.extend(SYNC);
    for (rows, bytes) in blocks {
        long(&mut out, *rows);
        sized(&mut out, &pack(codec, bytes));
        out.extend(SYNC);
    }
    out
}

fn read_with(options: AvroOptions, bytes: &[u8], chunk: usize, rows: usize) -> Result<Vec<RecordBatch>, AvroFault> {
    let mut decoder = AvroDecoder::new(options);
    let mut batches = Vec::new();
    for mut part in bytes.chunks(chunk) {
        loop {
            let used = decoder.push(part, rows)?;
            part = &part[used..];
            if decoder.is_full(rows) {
                batches.extend(decoder.flush()?);
            } else if part.is_empty() {
                break;
            }
        }
    }
    batches.extend(decoder.flush()?);
    decoder.end()?;
    Ok(batches)
}

fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, AvroFault> {
    read_with(AvroOptions::default(), bytes, 1000, 100)
}

fn rows() -> impl Strategy<Value = Row> {
    let number = prop_oneof![any::<i64>(), -70i64..70, Just(i64::MIN), Just(i64::MAX)];
    let most = 10i128.pow(20) - 1;
    let price = prop_oneof![-most..=most, Just(most), Just(-most), Just(0)];
    (
        number,
        proptest::option::of(any::<String>()),
        proptest::option::of(any::<f64>()),
        price,
        proptest::collection::vec(any::<Option<i32>>(), 0..5),
        proptest::option::of(0u8..3),
        proptest::collection::vec((any::<String>(), 0u8..3), 0..4),
        any::<bool>(),
        (any::<bool>(), 1usize..4),
    )
        .prop_map(|(id, text, real, price, list, kind, map, flag, style)| Row {
            id,
            text,
            real,
            price,
            list,
            kind,
            map,
            flag,
            style,
        })
}

fn block_of(rows: &[Row]) -> (i64, Vec<u8>) {
    let mut out = Vec::new();
    rows.iter().for_each(|row| encode(row, &mut out));
    (rows.len() as i64, out)
}

fn assert_rows(batch: &RecordBatch, rows: &[Row]) {
    assert_eq!(batch.num_rows(), rows.len());
    let symbols = ["A", "B", "C"];
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(at), row.id);
        let text = batch.column(2).as_string::<i32>();
        assert_eq!(text.is_valid(at).then(|| text.value(at)), row.text.as_deref());
        let real = batch.column(3).as_primitive::<Float64Type>();
        assert_eq!(real.is_valid(at).then(|| real.value(at).to_bits()), row.real.map(f64::to_bits));
        assert_eq!(batch.column(4).as_primitive::<Decimal128Type>().value(at), row.price);
        let list = batch.column(5).as_list::<i32>().value(at);
        assert_eq!(list.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), row.list);
        let kind = batch
            .column(6)
            .as_dictionary::<Int32Type>()
            .downcast_dict::<datafusion::arrow::array::StringArray>()
            .unwrap();
        let kinds = kind.into_iter().nth(at).unwrap();
        assert_eq!(kinds, row.kind.map(|kind| symbols[usize::from(kind)]));
        let map = batch.column(7).as_map().value(at);
        let keys: Vec<_> = map.column(0).as_string::<i32>().iter().map(|key| key.unwrap().to_string()).collect();
        assert_eq!(keys, row.map.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
        let values = map.column(1).as_dictionary::<Int32Type>();
        let values = values.downcast_dict::<datafusion::arrow::array::StringArray>().unwrap().into_iter();
        let expected: Vec<_> = row.map.iter().map(|(_, value)| Some(symbols[usize::from(*value)])).collect();
        assert_eq!(values.collect::<Vec<_>>(), expected);
        assert_eq!(batch.column(8).as_boolean().value(at), row.flag);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rows_come_out_as_they_went_in(
        rows in proptest::collection::vec(rows(), 0..30), per_block in 1usize..12, chunk in 1usize..300,
        batch in 1usize..20, with_bytes: bool,
        codec in proptest::sample::select(vec!["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]),
    ) {
        let blocks: Vec<_> = rows.chunks(per_block).map(block_of).collect();
        let bytes = file(SCHEMA, codec, with_bytes, &blocks);
        let batches = read_with(AvroOptions::default(), &bytes, chunk, batch).unwrap();
        prop_assert!(batches.iter().all(|b| b.num_rows() <= batch));
        prop_assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows.len());
        if let Some(first) = batches.first() {
            assert_rows(&concat_batches(&first.schema(), &batches).unwrap(), &rows);
        }
    }

    #[test]
    fn a_projection_has_the_same_values(
        rows in proptest::collection::vec(rows(), 1..20), chunk in 1usize..300,
        names in proptest::sample::subsequence(vec!["flag", "map", "nothing", "list", "price", "id", "text"], 0..7),
    ) {
        let bytes = file(SCHEMA, "null", false, &[block_of(&rows)]);
        let whole = read_with(AvroOptions::default(), &bytes, chunk, 100).unwrap();
        let columns = Some(names.iter().map(ToString::to_string).collect());
        let some = read_with(AvroOptions { columns, ..AvroOptions::default() }, &bytes, chunk, 100).unwrap();
        prop_assert_eq!(some[0].num_rows(), rows.len());
        for (place, name) in names.iter().enumerate() {
            prop_assert_eq!(some[0].column(place), whole[0].column_by_name(name).unwrap());
        }
    }

    #[test]
    fn a_cut_is_an_error_unless_it_is_between_blocks(rows in proptest::collection::vec(rows(), 2..8)) {
        let blocks: Vec<_> = rows.chunks(2).map(block_of).collect();
        let whole = file(SCHEMA, "deflate", false, &blocks);
        let ends: Vec<usize> =
            (0..=blocks.len()).map(|count| file(SCHEMA, "deflate", false, &blocks[..count]).len()).collect();
        for cut in 0..whole.len() {
            prop_assert_eq!(read(&whole[..cut]).is_ok(), ends.contains(&cut), "{}", cut);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(
        rows in proptest::collection::vec(rows(), 1..6), codec in proptest::sample::select(vec!["null", "snappy"]),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 1u8..), 1..60),
    ) {
        let whole = file(SCHEMA, codec, true, &[block_of(&rows)]);
        for (place, with) in flips {
            let mut bytes = whole.clone();
            *place.get_mut(&mut bytes) ^= with;
            let _ = read(&bytes);
        }
    }
}

fn of_type(json: &str, rows: i64, bytes: &[u8]) -> Result<Vec<RecordBatch>, AvroFault> {
    let schema = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{json}}}]}}"#);
    read(&file(&schema, "null", false, &[(rows, bytes.to_vec())]))
}

fn assert_refused(json: &str, bytes: &[u8], cause: &str) {
    let error = of_type(json, 1, bytes).unwrap_err().to_string();
    assert!(error.contains(cause) && error.contains("'x'"), "{json}: {error}");
}

#[test]
fn values_that_are_wrong_are_refused_with_row_and_column() {
    assert_refused(r#"["null","long"]"#, &[4], "branch 2 of a union of 2");
    assert_refused(r#"["null","long"]"#, &[1], "branch -1 of a union of 2");
    assert_refused(r#"["int","string"]"#, &[8, 0], "branch 4 of a union of 2");
    assert_refused(r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[2], "symbol 1 of an enum of 1");
    assert_refused(r#"["null",{"type":"enum","name":"E","symbols":["A"]}]"#, &[2, 1], "symbol -1");
    assert_refused(r#""boolean""#, &[2], "a boolean of 2");
    assert_refused(r#""string""#, &[4, 0xc3, 0x28], "not utf-8");
    assert_refused(r#""string""#, &[3, 0], "a length of -2");
    assert_refused(r#""int""#, &[0x80, 0x80, 0x80, 0x80, 0x10], "more than 32 bits");
    assert_refused(r#""long""#, &[0xff; 12], "more than 64 bits");
    assert_refused(r#"{"type":"int","logicalType":"time-millis"}"#, &[0x80, 0xf0, 0xb2, 0x52], "outside of a day");
    assert_refused(r#"{"type":"bytes","logicalType":"decimal","precision":2}"#, &[2, 100], "more than 2 digits");
    let duration = r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#;
    assert_refused(duration, &[0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], "2147483648 months");
    assert_refused(r#"{"type":"array","items":"int"}"#, &[1, 4, 2, 0], "bytes of items");
    assert_refused(r#"{"type":"array","items":"int"}"#, &[0xfe, 0xff, 0xff, 0xff, 0xf, 2, 0], "claims");
}

#[test]
fn types_without_an_exact_arrow_type_are_refused_by_column() {
    for (json, reason) in [
        (r#"["null","R"]"#, "contains itself"),
        (r#"{"type":"record","name":"E","fields":[]}"#, "without fields"),
        (r#"{"type":"array","items":"null"}"#, "null alone"),
        (r#"{"type":"bytes","logicalType":"decimal","precision":77}"#, "76 digits"),
        (r#"{"type":"fixed","name":"F","size":33,"logicalType":"decimal","precision":50}"#, "32 bytes"),
    ] {
        let error = of_type(json, 0, &[]).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("'x'"), "{json}: {error}");
    }
}

#[test]
fn a_block_whose_count_lies_is_refused() {
    let row = [2u8];
    assert_eq!(of_type(r#""int""#, 3, &[2, 4, 6]).unwrap()[0].num_rows(), 3);
    assert!(matches!(of_type(r#""int""#, 2, &[2, 4, 6]), Err(AvroFault::Left { left: 1, .. })));
    assert!(matches!(of_type(r#""int""#, 4, &[2, 4, 6]), Err(AvroFault::Block { .. })));
    assert!(matches!(of_type(r#"["null","int"]"#, 2, &[0, 2]), Err(AvroFault::Value { row: 2, .. })));
    assert!(matches!(of_type(r#""int""#, 0, &row), Err(AvroFault::Left { .. })));
    assert!(matches!(of_type(r#""int""#, -1, &row), Err(AvroFault::Block { .. })));
}

#[test]
fn rows_without_bytes_are_counted() {
    let schema = r#"{"type":"record","name":"R","fields":[]}"#;
    let batches = read(&file(schema, "null", false, &[(250, vec![]), (0, vec![])])).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [100, 100, 50]);
    assert!(read(&file(schema, "null", false, &[(i64::MAX, vec![])])).is_err());
    assert_eq!(of_type(r#""null""#, 3, &[]).unwrap()[0].column(0).len(), 3);
}

#[test]
fn a_union_of_several_types_goes_on_in_the_next_batch() {
    let bytes: Vec<u8> = (0..250u8).flat_map(|at| if at % 2 == 0 { vec![0, 4] } else { vec![2, 2, b'a'] }).collect();
    let batches = of_type(r#"["int","string"]"#, 250, &bytes).unwrap();
    assert_eq!(batches.len(), 3);
    assert_eq!(batches[2].column(0).as_union().value(1).as_string::<i32>().value(0), "a");
}

#[test]
fn names_within_a_column_bear_no_notes() {
    let json = r#"{"type":"array","items":{"type":"record","name":"a.S","doc":"d","fields":[
        {"name":"u","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
        {"name":"e","type":["null",{"type":"enum","name":"E","symbols":["A"]}]}]}}"#;
    let mut bytes = vec![2];
    bytes.extend([7; 16]);
    bytes.extend([2, 0, 0]);
    let batches = of_type(json, 1, &bytes).unwrap();
    assert!(!format!("{:?}", batches[0].schema()).contains("avro."));
}

#[test]
fn a_wrong_sync_marker_is_refused_with_its_block() {
    let mut bytes = file(SCHEMA, "null", false, &[(0, vec![]), (0, vec![])]);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(read(&bytes), Err(AvroFault::Block { block: 2, .. })));
    bytes.push(0);
    assert!(read(&bytes).is_err());
}

#[test]
fn a_block_longer_than_the_limit_is_refused() {
    let block = vec![(1, [vec![0x80, 0x08], vec![b'a'; 512]].concat())];
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"string"}]}"#;
    for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"] {
        let options = AvroOptions { block_bytes: 300, ..AvroOptions::default() };
        let error = read_with(options, &file(schema, codec, false, &block), 7, 10).unwrap_err();
        assert!(matches!(error, AvroFault::TooLong { block: 1, limit: 300, .. }), "{codec}: {error}");
    }
}
