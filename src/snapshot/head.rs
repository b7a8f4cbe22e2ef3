//! The first record of a CSV file, whatever the size of the chunks that it comes in: the header, or the number of columns.

use bytes::{Buf, Bytes, BytesMut};
use csv_core::ReadRecordResult;
use datafusion::error::{DataFusionError, Result};

use super::bytes::MAX_RECORD;
use crate::config::CsvOptions;

/// The first record of a file.
pub(super) struct Head {
    parser: csv_core::Reader,
    text: Vec<u8>,
    text_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    /// What was read, if the first record is data.
    replay: Option<BytesMut>,
}

impl Head {
    pub(super) fn new(options: &CsvOptions) -> Self {
        let mut parser = csv_core::ReaderBuilder::new();
        parser.delimiter(options.delimiter).quote(options.quote).escape(options.escape).comment(options.comment);
        if let Some(terminator) = options.terminator {
            parser.terminator(csv_core::Terminator::Any(terminator));
        }
        Self {
            parser: parser.build(),
            text: vec![0; 1024],
            text_len: 0,
            ends: vec![0; 64],
            ends_len: 0,
            replay: (!options.has_header).then(BytesMut::new),
        }
    }

    /// Takes the first record off the chunk. When it is complete, gives its fields and leaves the data in the chunk.
    pub(super) fn push(&mut self, chunk: &mut Bytes) -> Result<Option<Vec<String>>> {
        while !chunk.is_empty() {
            let (result, used) = self.step(chunk)?;
            if let Some(replay) = &mut self.replay {
                replay.extend_from_slice(&chunk[..used]);
            }
            chunk.advance(used);
            if let ReadRecordResult::Record = result {
                if let Some(mut replay) = self.replay.take() {
                    replay.extend_from_slice(chunk);
                    *chunk = replay.freeze();
                }
                return self.fields().map(Some);
            }
        }
        Ok(None)
    }

    /// The first record of a file that has no line end, with its bytes if it is data; None if the file is empty.
    pub(super) fn finish(&mut self) -> Result<Option<(Vec<String>, Bytes)>> {
        loop {
            match self.step(&[])? {
                (ReadRecordResult::Record, _) => {
                    let replay = self.replay.take().unwrap_or_default();
                    return Ok(Some((self.fields()?, replay.freeze())));
                }
                (ReadRecordResult::End, _) => return Ok(None),
                _ => {}
            }
        }
    }

    /// One step of the parser, and the bytes that it took; makes room where it has none.
    fn step(&mut self, input: &[u8]) -> Result<(ReadRecordResult, usize)> {
        let (result, used, written, ends) =
            self.parser.read_record(input, &mut self.text[self.text_len..], &mut self.ends[self.ends_len..]);
        self.text_len += written;
        self.ends_len += ends;
        match result {
            ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            _ => {}
        }
        if self.text_len > MAX_RECORD {
            let reason = format!("the first line does not end within {MAX_RECORD} bytes");
            return Err(DataFusionError::Execution(reason));
        }
        Ok((result, used))
    }

    fn fields(&self) -> Result<Vec<String>> {
        let mut start = 0;
        let fields = self.ends[..self.ends_len].iter().map(|end| {
            let field = std::str::from_utf8(&self.text[start..*end]);
            start = *end;
            field
                .map(str::to_owned)
                .map_err(|_| DataFusionError::Execution("the first line is not UTF-8 text".to_owned()))
        });
        fields.collect()
    }
}
