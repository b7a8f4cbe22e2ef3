//! Batches of a table out of the bytes of one file, pushed in chunks of any size.
//!
//! [`FileDecoder`] hands the bytes to the format's decoder and cuts its rows into batches, which are bounded in rows
//! and bytes. A column that the file does not have is NULL. It does no I/O. Errors name column, row and value, or line
//! and column of the text; the caller adds the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use super::typed::TypedBody;
use crate::config::FileFormat;
use crate::snapshot::avro::file::AvroFile;
use crate::snapshot::batches::{BatchDecoder, PartAhead};
use crate::snapshot::csv::body::CsvBody;
use crate::snapshot::csv::columns::can_hold;
use crate::snapshot::ipc::file::ArrowFile;
use crate::snapshot::json::body::{JsonBody, unheld};
use crate::snapshot::json::tree::Presence;
use crate::snapshot::pg_binary::body::{PgBinaryBody, unsent};
use crate::snapshot::sql::body::InsertBody;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::target::{BATCH_BYTES, Target};
use crate::types::type_name;

/// Rows of the first batch, of which nobody knows yet how wide they are.
const FIRST_ROWS: usize = 256;

/// What the files of a scan are decoded to, checked.
///
/// # Errors
/// When the format cannot hold a column's type, or an option is wrong.
pub(crate) fn target(format: FileFormat, table: SchemaRef, projection: Option<&Vec<usize>>) -> Result<Target> {
    let target = Target::new(format, table, projection)?;
    let unheld = match target.format() {
        FileFormat::Csv(_) | FileFormat::Inserts(_) => {
            target.output().fields().iter().find(|field| !can_hold(field.data_type()))
        }
        FileFormat::Json(_) => unheld(&target),
        FileFormat::PgBinary(_) => unsent(&target),
        FileFormat::Parquet | FileFormat::Avro | FileFormat::Arrow => None,
    };
    let Some(field) = unheld else { return Ok(target) };
    let (name, data_type) = (field.name(), type_name(field.data_type()));
    let format = target.format().name();
    Err(DataFusionError::Plan(format!("column '{name}' has type {data_type}, which {format} cannot hold")))
}

/// Rows per batch, learnt from the width of the rows so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    rows: usize,
    limit: usize,
    /// Of the length of a record.
    records: RecordLimit,
}

impl Pace {
    /// `limit` is the session's batch size.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { rows: FIRST_ROWS.min(limit), limit, records: RecordLimit::default() }
    }

    /// With another limit of a record's length.
    pub(crate) fn with_records(self, records: RecordLimit) -> Self {
        Self { records, ..self }
    }

    /// Takes in a batch and says whether the next one should have another size.
    fn learn(&mut self, rows: usize, bytes: usize) -> bool {
        let width = bytes / rows.max(1) + 1;
        let next = (BATCH_BYTES / width).clamp(1, self.limit);
        let is_other = next < self.rows || next >= 2 * self.rows || (next == self.limit && self.rows < next);
        if is_other {
            self.rows = next;
        }
        is_other
    }
}

/// Decodes one file.
pub(crate) struct FileDecoder {
    target: Arc<Target>,
    body: Body,
    pace: Pace,
    /// Bytes since the last batch.
    bytes: usize,
}

enum Body {
    Csv(Box<CsvBody>),
    Json(Box<JsonBody>),
    Inserts(Box<InsertBody>),
    PgBinary(Box<PgBinaryBody>),
    Typed(Box<TypedBody>),
}

/// The decoder of a format whose files have a schema of their own; None: it has none, or is Parquet.
pub(crate) fn batch_decoder(format: &FileFormat) -> Option<Box<dyn BatchDecoder>> {
    match format {
        FileFormat::Avro => Some(Box::new(AvroFile::new())),
        FileFormat::Arrow => Some(Box::new(ArrowFile::new())),
        _ => None,
    }
}

impl FileDecoder {
    pub(crate) fn new(target: Arc<Target>, pace: Pace) -> Result<Self> {
        let body = match &target.format() {
            FileFormat::Csv(_) => Body::Csv(Box::new(CsvBody::new(&target, pace.records)?)),
            FileFormat::Inserts(_) => Body::Inserts(Box::new(InsertBody::new(&target, pace.records)?)),
            FileFormat::PgBinary(_) => Body::PgBinary(Box::new(PgBinaryBody::new(&target, pace.records)?)),
            format => match batch_decoder(format) {
                Some(decoder) => Body::Typed(Box::new(TypedBody::new(decoder, &target))),
                None => Body::Json(Box::new(JsonBody::new(&target, pace.rows, pace.records)?)),
            },
        };
        Ok(Self { target, body, pace, bytes: 0 })
    }

    /// Hands in parts of an Arrow file that are needed before their turn, before any byte is pushed.
    pub(crate) fn take_ahead(&mut self, ahead: Vec<PartAhead>) {
        if let Body::Typed(body) = &mut self.body {
            body.take_ahead(ahead);
        }
    }

    /// Columns of the output that the file does not have; None as long as it is not known, and at the end if it never
    /// was: the file is empty, or of a format whose records have their own columns.
    pub(crate) fn absent(&self) -> Option<&[usize]> {
        match &self.body {
            Body::Csv(body) => body.absent(),
            Body::Typed(body) => body.absent(),
            Body::Json(_) | Body::Inserts(_) | Body::PgBinary(_) => None,
        }
    }

    /// The declared columns and nested fields of a file whose records have their own columns, as dotted paths, and
    /// whether it has them, as far as it was read. None: see [`Self::absent`].
    pub(crate) fn presence(&self) -> Option<Vec<(String, Presence)>> {
        match &self.body {
            Body::Json(body) => Some(body.presence()),
            _ => None,
        }
    }

    /// Line where a quoted field of suspiciously many lines begins, once per file.
    pub(crate) fn take_long_field(&mut self) -> Option<u64> {
        match &mut self.body {
            Body::Csv(body) => body.take_long_field(),
            _ => None,
        }
    }

    /// How many values of each column are NULL because its type cannot hold them.
    pub(crate) fn set_to_null(&self) -> Vec<(&str, u64)> {
        fn of_map(map: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
            map.iter().map(|(name, count)| (name.as_str(), *count)).collect()
        }
        match &self.body {
            Body::Csv(body) => of_map(&body.set_to_null),
            Body::Json(body) => body.set_to_null().collect(),
            Body::Inserts(body) => of_map(&body.set_to_null),
            Body::Typed(body) => of_map(&body.set_to_null),
            Body::PgBinary(_) => Vec::new(),
        }
    }

    /// What was learnt, for the next file.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Takes bytes off the chunk until a batch is full, which is returned, or the chunk is empty.
    pub(crate) fn push(&mut self, chunk: &mut Bytes) -> Result<Option<RecordBatch>> {
        while !chunk.is_empty() {
            let used = match &mut self.body {
                Body::Csv(body) => body.decode(&self.target, chunk, self.pace.rows)?,
                Body::Json(body) => body.decode(chunk)?,
                Body::Inserts(body) => body.decode(chunk, self.pace.rows)?,
                Body::PgBinary(body) => body.decode(&self.target, chunk, self.pace.rows)?,
                Body::Typed(body) => body.decode(&self.target, chunk)?,
            };
            chunk.advance(used);
            self.bytes += used;
            let is_full = match &self.body {
                Body::Csv(body) => body.is_full(self.pace.rows),
                Body::Json(body) => body.is_full(),
                Body::Inserts(body) => body.is_full(self.pace.rows),
                Body::PgBinary(body) => body.is_full(self.pace.rows),
                Body::Typed(body) => body.is_full(),
            };
            if is_full && let Some(batch) = self.flush()? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// The rows that are left when all bytes were pushed; to be called until there are none.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        match &mut self.body {
            Body::Csv(body) => body.end(&self.target)?,
            Body::Json(body) => body.end()?,
            Body::Inserts(body) => body.end()?,
            Body::PgBinary(body) => body.end(&self.target)?,
            Body::Typed(body) => body.end(&self.target)?,
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>> {
        let batch = match &mut self.body {
            Body::Csv(body) => match body.flush(&self.target)? {
                None => None,
                Some((columns, rows)) => Some(self.target.assemble(&columns, rows, body.slots())?),
            },
            Body::Json(body) => body.flush(&self.target)?,
            Body::Inserts(body) => match body.flush()? {
                None => None,
                Some((columns, rows)) => Some(self.target.assemble(&columns, rows, body.slots())?),
            },
            Body::PgBinary(body) => match body.flush()? {
                None => None,
                Some((columns, rows)) => Some(self.target.assemble(&columns, rows, body.slots())?),
            },
            Body::Typed(body) => match body.flush(&self.target, self.pace.rows)? {
                None => None,
                Some((columns, rows)) => Some(self.target.assemble(&columns, rows, body.slots())?),
            },
        };
        let Some(batch) = batch else { return Ok(None) };
        if self.pace.learn(batch.num_rows(), self.bytes)
            && let Body::Json(body) = &mut self.body
        {
            body.restart(self.pace.rows);
        }
        self.bytes = 0;
        Ok(Some(batch))
    }
}

/// Decodes one whole file, for the micro benches; its rows.
#[cfg(feature = "bench")]
pub(crate) fn decode_file(format: &FileFormat, schema: &SchemaRef, chunks: &[Bytes]) -> Result<usize> {
    let target = Arc::new(Target::new(format.clone(), Arc::clone(schema), None)?);
    let mut decoder = FileDecoder::new(target, Pace::new(8192))?;
    let mut rows = 0;
    for chunk in chunks {
        let mut chunk = chunk.clone();
        while let Some(batch) = decoder.push(&mut chunk)? {
            rows += batch.num_rows();
        }
    }
    while let Some(batch) = decoder.finish()? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

#[cfg(test)]
pub(crate) mod tests {
    use datafusion::arrow::array::RecordBatchOptions;
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::util::pretty::pretty_format_batches;

    use super::*;
    use crate::config::JsonOptions;

    pub(crate) fn json_format() -> FileFormat {
        FileFormat::Json(JsonOptions::default())
    }

    pub(crate) fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(columns.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect::<Vec<_>>()))
    }

    /// What the caller makes of an error.
    pub(crate) fn reported(error: DataFusionError) -> String {
        crate::snapshot::text::bytes::Origin { table: "t".into(), uri: "f".into() }.unreadable(error).to_string()
    }

    /// All rows of a file that arrives in chunks of that size, in batches of at most `rows`.
    pub(crate) fn decode_in(
        format: &FileFormat,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        text: &str,
        (chunk, rows): (usize, usize),
    ) -> Result<RecordBatch> {
        let target = Arc::new(Target::new(format.clone(), Arc::clone(schema), projection)?);
        let mut decoder = FileDecoder::new(Arc::clone(&target), Pace::new(rows))?;
        let mut batches = Vec::new();
        for chunk in text.as_bytes().chunks(chunk) {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(batch) = decoder.push(&mut chunk)? {
                assert_eq!(batch.num_rows(), rows.min(FIRST_ROWS));
                batches.push(batch);
            }
            assert!(chunk.is_empty());
        }
        while let Some(batch) = decoder.finish()? {
            batches.push(batch);
        }
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        if target.output().fields().is_empty() {
            return Ok(RecordBatch::try_new_with_options(Arc::clone(target.output()), vec![], &options)?);
        }
        Ok(concat_batches(target.output(), &batches)?)
    }

    /// The rows, which must not depend on the size of chunks and batches.
    pub(crate) fn decode(
        format: &FileFormat,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        text: &str,
    ) -> Result<RecordBatch> {
        let whole = decode_in(format, schema, projection, text, (usize::MAX, 8192));
        for (chunk, rows) in [(1, 8192), (1, 1), (3, 2), (7, 8192), (usize::MAX, 1)] {
            match (&whole, decode_in(format, schema, projection, text, (chunk, rows))) {
                (Ok(whole), Ok(parts)) => assert_eq!(whole, &parts, "chunks of {chunk}, batches of {rows}"),
                (Err(_), Err(_)) => {}
                (whole, parts) => panic!("chunks of {chunk}, batches of {rows}: {whole:?} {parts:?}"),
            }
        }
        whole
    }

    /// The rows as text, columns apart by ` | `.
    pub(crate) fn lines(batch: &RecordBatch) -> Vec<String> {
        let table = pretty_format_batches(std::slice::from_ref(batch)).unwrap().to_string();
        let rows = table.lines().skip(3).filter(|line| line.starts_with('|'));
        rows.map(|line| line[1..line.len() - 1].split('|').map(str::trim).collect::<Vec<_>>().join("|")).collect()
    }

    #[test]
    fn pace_follows_the_width_of_the_rows() {
        let mut pace = Pace::new(8192);
        assert_eq!(pace.rows, FIRST_ROWS);
        assert!(pace.learn(256, 256 * 100));
        assert_eq!(pace.rows, 8192);
        assert!(!pace.learn(8192, 8192 * 100));
        assert!(pace.learn(8192, 8192 * 1_000_000));
        assert_eq!(pace.rows, 16);
        assert!(pace.learn(1, usize::MAX / 2));
        assert_eq!(pace.rows, 1);
        assert_eq!(Pace::new(0).rows, 1);
    }
}
