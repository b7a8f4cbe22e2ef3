//! Writes Avro object container files: the header, one block after the other, each packed with `deflate`. Pure.
//!
//! No writer in the tree sets the header keys that Iceberg asks for (`schema`, `partition-spec`, ...). Source: the
//! Avro 1.11 specification, "Object Container Files". The same rows give the same bytes: the marker between the blocks
//! is a hash of the header.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use md5::{Digest, Md5};

/// Bytes of a block before it is packed, about.
const BLOCK: usize = 256 << 10;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct AvroWriter {
    written: Vec<u8>,
    marker: [u8; 16],
    block: AvroRow,
    rows: i64,
}

/// Encoded values of rows.
#[derive(Debug, Default)]
pub(super) struct AvroRow(Vec<u8>);

impl AvroWriter {
    /// A file of rows of `schema`, with keys of its header.
    pub(super) fn new(schema: &str, keys: &[(&str, &str)]) -> Self {
        let mut header = AvroRow(b"Obj\x01".to_vec());
        let all = [("avro.schema", schema), ("avro.codec", "deflate")];
        let all = all.iter().chain(keys);
        header.long(i64::try_from(keys.len() + 2).unwrap_or(i64::MAX));
        for (key, value) in all {
            header.bytes(key.as_bytes());
            header.bytes(value.as_bytes());
        }
        header.long(0);
        let marker: [u8; 16] = Md5::digest(&header.0).into();
        header.0.extend_from_slice(&marker);
        Self { written: header.0, marker, block: AvroRow::default(), rows: 0 }
    }

    /// Adds a row, whose values `write` gives in the order of the schema.
    pub(super) fn row(&mut self, write: impl FnOnce(&mut AvroRow)) {
        write(&mut self.block);
        self.rows += 1;
        if self.block.0.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.rows == 0 {
            return;
        }
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        // Writing into memory does not fail.
        let packed = packed.write_all(&self.block.0).and_then(|()| packed.finish()).unwrap_or_default();
        let mut block = AvroRow::default();
        block.long(self.rows);
        block.bytes(&packed);
        self.written.append(&mut block.0);
        self.written.extend_from_slice(&self.marker);
        (self.block, self.rows) = (AvroRow::default(), 0);
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Bytes {
        self.flush();
        self.written.into()
    }
}

impl AvroRow {
    /// An int or long: zigzag, seven bits a byte.
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the encoding takes bits")]
    pub(super) fn long(&mut self, value: i64) {
        let mut bits = ((value << 1) ^ (value >> 63)) as u64;
        while bits >= 0x80 {
            self.0.push((bits as u8) | 0x80);
            bits >>= 7;
        }
        self.0.push(bits as u8);
    }

    /// A count, which is a long.
    pub(super) fn count(&mut self, value: u64) {
        self.long(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Bytes or a string.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len() as u64);
        self.fixed(value);
    }

    /// Bytes whose length the schema says.
    pub(super) fn fixed(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(value.into());
    }

    /// A union of null, first, and something.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.long(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// An array.
    pub(super) fn array<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !values.is_empty() {
            self.count(values.len() as u64);
            values.iter().for_each(|value| write(self, value));
        }
        self.long(0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow_avro::reader::ReaderBuilder;
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn rows_are_read_back_by_another_reader_across_blocks() {
        let schema = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"},
            {"name":"b","type":["null","string"]},{"name":"c","type":{"type":"array","items":"long"}}]}"#;
        let mut file = AvroWriter::new(schema, &[("key", "value")]);
        let numbers = [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN];
        let rows: Vec<i64> = numbers.into_iter().chain(0..60_000).collect();
        for number in &rows {
            file.row(|row| {
                row.long(*number);
                row.optional((number % 2 == 0).then_some("text"), |row, text| row.bytes(text.as_bytes()));
                row.array(&[*number, 1], |row, item| row.long(*item));
            });
        }
        let bytes = file.finish();
        let reader = ReaderBuilder::new().build(Cursor::new(bytes)).unwrap();
        let (mut read, mut nulls) = (Vec::new(), 0);
        for batch in reader {
            let batch = batch.unwrap();
            read.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
            nulls += batch.column(1).null_count();
            assert_eq!(batch.column(2).as_list::<i32>().value(0).len(), 2);
        }
        assert_eq!(read, rows);
        assert_eq!(nulls, rows.iter().filter(|number| *number % 2 != 0).count());
    }
}
