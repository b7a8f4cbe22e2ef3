//! The text of a JSON dialect as plain JSON, for readers that know only that.
//!
//! [`PlainJson`] takes the bytes of a file as they come and holds what they became until it is read. Plain JSON passes
//! through without a copy. Lines are those of the file as far as a dialect has lines; errors of a dialect have its own
//! place.

use datafusion::error::{DataFusionError, Result};

use super::dynamo::DynamoToPlain;
use crate::config::{FileFormat, JsonDialect};
use crate::snapshot::mongo::bson::BsonToJson;
use crate::snapshot::mongo::extended::{ExtendedJsonFault, ExtendedJsonToJson};
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::place::Malformed;

/// The dialect of the files; None: of plain JSON, or of files that are no JSON.
pub(crate) fn dialect_of(format: &FileFormat) -> Option<JsonDialect> {
    match format {
        FileFormat::Json(options) if options.dialect != JsonDialect::Plain => Some(options.dialect),
        _ => None,
    }
}

/// What turns one dialect into plain JSON.
enum ToPlain {
    DynamoDb(DynamoToPlain),
    MongoDb(Box<ExtendedJsonToJson>),
    Bson(BsonToJson),
}

/// One file of a dialect.
pub(crate) struct PlainJson {
    of: ToPlain,
    limit: RecordLimit,
    plain: Vec<u8>,
    /// Bytes of `plain` that were read.
    at: usize,
    has_ended: bool,
}

impl PlainJson {
    /// None: the dialect is plain JSON already.
    pub(crate) fn new(format: &FileFormat, limit: RecordLimit) -> Option<Self> {
        let of = match dialect_of(format)? {
            JsonDialect::Plain => return None,
            JsonDialect::DynamoDb => ToPlain::DynamoDb(DynamoToPlain::default()),
            JsonDialect::MongoDb => ToPlain::MongoDb(Box::new(ExtendedJsonToJson::new(limit.bytes))),
            JsonDialect::Bson => ToPlain::Bson(BsonToJson::default()),
        };
        Some(Self { of, limit, plain: Vec::new(), at: 0, has_ended: false })
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.plain[self.at..]
    }

    /// So many bytes of the rest were read.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Takes in bytes of the file, once there is no rest.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.plain.clear();
        self.at = 0;
        let (pushed, held) = match &mut self.of {
            ToPlain::DynamoDb(of) => (of.push(bytes, &mut self.plain).map_err(external), of.held()),
            // These bound what they hold.
            ToPlain::MongoDb(of) => (of.push(bytes, &mut self.plain).map_err(misplaced), 0),
            ToPlain::Bson(of) => (of.push(bytes, &mut self.plain).map_err(external), 0),
        };
        pushed?;
        let RecordLimit { bytes: most, advice } = self.limit;
        if held > most {
            return Err(DataFusionError::Execution(format!(
                "it has a record that does not end within {most} bytes, {advice}"
            )));
        }
        Ok(())
    }

    /// All bytes were pushed: gives the last rest, once there is no other.
    pub(crate) fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(());
        }
        self.plain.clear();
        self.at = 0;
        match &mut self.of {
            ToPlain::DynamoDb(of) => of.end(&mut self.plain).map_err(external),
            ToPlain::MongoDb(of) => of.end(&mut self.plain).map_err(misplaced),
            ToPlain::Bson(of) => of.end().map_err(external),
        }
    }
}

fn misplaced(fault: ExtendedJsonFault) -> DataFusionError {
    let ExtendedJsonFault { line, column, reason } = fault;
    external(Malformed { line, column, reason })
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
