//! Streams and files of `arrow-ipc`'s writers: any chunks, any cut, any flipped byte.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Int64Array, ListArray,
    RecordBatch, RunArray, StringArray, StringViewArray, StructArray, UnionArray,
};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Schema, UnionFields};
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions, StreamWriter};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::ahead::dictionaries;
use super::decoder::{IpcDecoder, IpcOptions};
use super::fault::IpcFault;
use crate::snapshot::batches::PartAhead;

fn batch(from: i64, rows: usize) -> RecordBatch {
    let numbers = || (from..).take(rows);
    let text = |n: i64| (n % 3 != 0).then(|| format!("text ü {n} that is longer than a view"));
    let strings: StringArray = numbers().map(text).collect();
    let union_fields: UnionFields =
        [(3i8, Arc::new(Field::new("a", DataType::Int64, true))), (5, Arc::new(Field::new("b", DataType::Utf8, true)))]
            .into_iter()
            .collect();
    let ids: ScalarBuffer<i8> = numbers().map(|n| if n % 2 == 0 { 3 } else { 5 }).collect();
    let parts: Vec<ArrayRef> = vec![Arc::new(numbers().collect::<Int64Array>()), Arc::new(strings.clone())];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("long", Arc::new(numbers().map(|n| (n % 5 != 0).then_some(n)).collect::<Int64Array>())),
        ("flag", Arc::new(numbers().map(|n| Some(n % 2 == 0)).collect::<BooleanArray>())),
        ("text", Arc::new(strings.clone())),
        ("view", Arc::new(numbers().map(text).collect::<StringViewArray>())),
        (
            "kind",
            Arc::new(
                numbers()
                    .map(|n| text(n % 7))
                    .collect::<Vec<_>>()
                    .iter()
                    .map(|t| t.as_deref())
                    .collect::<DictionaryArray<Int8Type>>(),
            ),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                numbers().map(|n| (n % 4 != 0).then(|| vec![Some(n as i32), None])),
            )),
        ),
        (
            "struct",
            Arc::new(StructArray::from(vec![(Arc::new(Field::new("s", DataType::Utf8, true)), Arc::clone(&parts[1]))])),
        ),
        (
            "price",
            Arc::new(
                numbers()
                    .map(Into::<i128>::into)
                    .map(Some)
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        ("fixed", Arc::new(FixedSizeBinaryArray::try_from_iter(numbers().map(|n| [n as u8; 3])).unwrap())),
        ("union", Arc::new(UnionArray::try_new(union_fields, ids, None, parts).unwrap())),
        ("runs", Arc::new(numbers().map(|n| Some(if n % 9 < 5 { "x" } else { "y" })).collect::<RunArray<Int32Type>>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn options(packing: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(packing).unwrap()
}

fn stream(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut to = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| to.write(batch).unwrap());
    to.into_inner().unwrap()
}

fn file(batches: &[RecordBatch]) -> Vec<u8> {
    let options = options(None).with_dictionary_handling(DictionaryHandling::Delta);
    let mut to = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| to.write(batch).unwrap());
    to.into_inner().unwrap()
}

/// As Polars writes it: the first message is its metadata alone.
fn bare_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = file(batches);
    let at = message_at(&bytes, 0);
    let len = i32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
    bytes.copy_within(at + 8..at + 8 + len, at);
    bytes[at + len..at + len + 8].fill(0);
    assert!(bytes[at] <= 32 && bytes[at + 1..at + 4] == [0; 3], "the offset of its root");
    bytes
}

/// Where the next message is, from a place on.
fn message_at(bytes: &[u8], from: usize) -> usize {
    from + 8 * bytes[from..].chunks(8).position(|part| part.starts_with(&[0xff; 4])).unwrap()
}

/// Two parts of one batch, so that they share a dictionary: a file has one only.
fn parts(rows: usize, first: usize) -> [RecordBatch; 2] {
    let whole = batch(0, rows);
    [whole.slice(0, first), whole.slice(first, rows - first)]
}

fn read_with(options: IpcOptions, bytes: &[u8], chunk: usize, rows: usize) -> Result<Vec<RecordBatch>, IpcFault> {
    let mut decoder = IpcDecoder::new(options);
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
    decoder.end()?;
    Ok(batches)
}

fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, IpcFault> {
    read_with(IpcOptions::default(), bytes, 1000, usize::MAX)
}

#[test]
fn batches_come_out_of_a_stream_as_they_went_in() {
    let batches = [batch(0, 20), batch(20, 1), batch(40, 70)];
    for packing in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for handling in [DictionaryHandling::Resend, DictionaryHandling::Delta] {
            let bytes = stream(&batches, options(packing).with_dictionary_handling(handling));
            for chunk in [1, 7, 64, 100_000] {
                let read = read_with(IpcOptions::default(), &bytes, chunk, usize::MAX).unwrap();
                assert_eq!(read, batches, "{packing:?} {chunk}");
            }
            let read = read_with(IpcOptions::default(), &bytes, 100, 33).unwrap();
            assert_eq!(read.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [20, 1, 33, 33, 4]);
            let columns = Some(vec!["runs".to_string(), "text".to_string()]);
            let read = read_with(IpcOptions { columns, ..IpcOptions::default() }, &bytes, 100, 1000).unwrap();
            assert_eq!(read[2].column(1), batches[2].column_by_name("text").unwrap());
        }
    }
}

#[test]
fn a_cut_stream_or_file_is_an_error() {
    let batches = parts(8, 3);
    for bytes in [stream(&batches, options(None)), file(&batches), bare_file(&batches)] {
        assert_eq!(read(&bytes).unwrap().len(), 2);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(read(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn a_file_whose_schema_has_no_length_is_read_and_held_against_its_footer() {
    let batches = parts(20, 9);
    let bytes = bare_file(&batches);
    for chunk in [1, 3, 64, 100_000] {
        assert_eq!(read_with(IpcOptions::default(), &bytes, chunk, usize::MAX).unwrap(), batches, "{chunk}");
    }
    // The first batch is taken for a part of the schema: it is in the footer and nowhere else.
    let first = message_at(&bytes, 8);
    let mut without = bytes.clone();
    without[first..first + 4].fill(0);
    assert!(read(&without).is_err());
    let other = file(&[batch(0, 20).project(&[0, 1]).unwrap()]);
    let footer = |bytes: &[u8]| {
        let len = i32::from_le_bytes(bytes[bytes.len() - 10..bytes.len() - 6].try_into().unwrap()) as usize;
        bytes.len() - 10 - len
    };
    let mixed = [&bytes[..footer(&bytes)], &other[footer(&other)..]].concat();
    assert!(matches!(read(&mixed), Err(IpcFault::Footer { .. })), "{:?}", read(&mixed));
}

/// A file whose dictionary lies behind its batch, as Polars writes it: both messages are swapped.
fn swapped_file() -> (Vec<u8>, RecordBatch) {
    let kinds: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().map(Some).collect();
    let batch = RecordBatch::try_from_iter([("kind", Arc::new(kinds) as ArrayRef)]).unwrap();
    let whole = file(std::slice::from_ref(&batch));
    let len = i32::from_le_bytes(whole[whole.len() - 10..whole.len() - 6].try_into().unwrap()) as usize;
    let footer_at = whole.len() - 10 - len;
    let footer = datafusion::arrow::buffer::Buffer::from(&whole[footer_at..footer_at + len]);
    let footer = arrow_ipc::root_as_footer(&footer).unwrap();
    let block = |block: &arrow_ipc::Block| {
        (block.offset() as usize, block.metaDataLength() as usize + block.bodyLength() as usize)
    };
    let dictionary = block(footer.dictionaries().unwrap().get(0));
    let of_batch = block(footer.recordBatches().unwrap().get(0));
    assert_eq!(dictionary.0 + dictionary.1, of_batch.0);
    let mut bytes = whole.clone();
    let (first, second) = (&whole[dictionary.0..of_batch.0], &whole[of_batch.0..of_batch.0 + of_batch.1]);
    bytes.splice(dictionary.0..of_batch.0 + of_batch.1, second.iter().chain(first).copied());
    let moved = |at: usize, to: usize| {
        let place = whole[footer_at..].windows(8).position(|part| part == (at as u64).to_le_bytes()).unwrap();
        (footer_at + place, (to as u64).to_le_bytes())
    };
    for (place, to) in [moved(of_batch.0, dictionary.0), moved(dictionary.0, dictionary.0 + of_batch.1)] {
        bytes[place..place + 8].copy_from_slice(&to);
    }
    (bytes, batch)
}

async fn ahead(bytes: &[u8]) -> Vec<PartAhead> {
    let (store, key) = (InMemory::new(), object_store::path::Path::from("f"));
    store.put(&key, bytes.to_vec().into()).await.unwrap();
    dictionaries(&store, &key, bytes.len() as u64).await.unwrap()
}

#[tokio::test]
async fn a_dictionary_behind_its_batch_is_taken_ahead() {
    let (bytes, batch) = swapped_file();
    assert!(read(&bytes).is_err());
    let found = ahead(&bytes).await;
    assert_eq!(found.iter().map(|ahead| ahead.number).collect::<Vec<_>>(), [3]);
    for chunk in [1, 100_000] {
        let mut decoder = IpcDecoder::new(IpcOptions::default()).with_ahead(found.clone());
        let mut batches = Vec::new();
        for mut part in bytes.chunks(chunk) {
            while !part.is_empty() {
                part = &part[decoder.push(part, 10).unwrap()..];
                batches.extend(decoder.flush().unwrap());
            }
        }
        decoder.end().unwrap();
        assert_eq!(batches, std::slice::from_ref(&batch), "{chunk}");
    }
    // Nothing lies behind its batches in the files of others, and a damaged footer is left to the decoder.
    assert!(ahead(&file(&parts(8, 3))).await.is_empty());
    for cut in 0..bytes.len() {
        assert!(ahead(&bytes[..cut]).await.is_empty());
    }
}

#[test]
fn a_stream_without_its_end_marker_is_read_only_if_allowed() {
    let bytes = stream(&[batch(0, 3)], options(None));
    let bytes = &bytes[..bytes.len() - 8];
    assert!(matches!(read(bytes), Err(IpcFault::Cut { .. })));
    let options = IpcOptions { needs_end_marker: false, ..IpcOptions::default() };
    assert_eq!(read_with(options, bytes, 10, 10).unwrap().len(), 1);
}

#[test]
fn other_formats_are_refused_by_name() {
    assert!(matches!(read(b"FEA1...."), Err(IpcFault::Feather)));
    assert!(matches!(read(b"id,name\n1,a"), Err(IpcFault::Start { .. })));
    assert!(matches!(read(b"PAR1"), Err(IpcFault::Start { .. })));
    assert!(read(b"").is_err());
}

#[test]
fn a_message_that_claims_more_than_the_limit_is_refused_before_its_bytes() {
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 100_000]));
    let batch = RecordBatch::try_from_iter([("x", zeros)]).unwrap();
    for packing in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let limited = IpcOptions { message_bytes: 10_000, ..IpcOptions::default() };
        let error = read_with(limited, &stream(std::slice::from_ref(&batch), options(packing)), 100, 10).unwrap_err();
        assert!(matches!(error, IpcFault::TooLong { message: 2, .. }), "{error}");
    }
}

#[test]
fn no_columns_and_no_rows_are_kept() {
    let schema = Arc::new(Schema::empty());
    let rows = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(5));
    let empty = RecordBatch::try_new_with_options(schema, vec![], &rows).unwrap();
    assert_eq!(read(&stream(&[empty], options(None))).unwrap()[0].num_rows(), 5);
    assert!(read(&stream(&[batch(0, 1).slice(0, 0).project(&[0, 1, 2]).unwrap()], options(None))).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_flipped_byte_never_panics(
        form in 0..4, flips in proptest::collection::vec((any::<proptest::sample::Index>(), 1u8..), 1..40),
    ) {
        let batches = parts(13, 9);
        let whole = match form {
            0 => stream(&batches, options(None)),
            1 => stream(&batches, options(Some(CompressionType::ZSTD))),
            2 => file(&batches),
            _ => bare_file(&batches),
        };
        for (place, with) in flips {
            let mut bytes = whole.clone();
            *place.get_mut(&mut bytes) ^= with;
            // What is let through must be whole arrays: looking at each value must not panic.
            for batch in read(&bytes).unwrap_or_default() {
                for column in batch.columns() {
                    column.to_data().validate_full().unwrap();
                    let _ = format!("{column:?}");
                }
            }
        }
    }
}
