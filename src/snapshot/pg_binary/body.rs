//! The rows of one file of `COPY ... (FORMAT binary)` as columns of the declared types.
//!
//! The file has neither names nor types: rows must have as many fields as columns are declared, in their order, and
//! each column is read as PostgreSQL sends its declared type ([`wire_of_arrow`]).

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::error::{DataFusionError, Result};

use super::decoder::{PgBinaryColumn, PgBinaryDecoder};
use super::fault::PgBinaryFault;
use super::wire::wire_of_arrow;
use crate::error::InvalidValue;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::target::Target;
use crate::types::type_name;

/// The rows of one file.
pub(crate) struct PgBinaryBody {
    decoder: PgBinaryDecoder,
    /// For each column of the output its position among those that are decoded.
    slots: Vec<Option<usize>>,
}

/// The first column of a type that PostgreSQL does not send.
pub(crate) fn unsent(target: &Target) -> Option<&FieldRef> {
    target.output().fields().iter().find(|field| wire_of_arrow(field.data_type()).is_none())
}

impl PgBinaryBody {
    /// # Errors
    /// When a column cannot be read as its type.
    pub(crate) fn new(target: &Target, limit: RecordLimit) -> Result<Self> {
        let mut decoded = Vec::new();
        let columns = target.table().fields().iter().map(|field| {
            let is_wanted = target.output().field_with_name(field.name()).is_ok();
            match wire_of_arrow(field.data_type()).filter(|_| is_wanted) {
                Some(wire) => {
                    decoded.push(field.name().as_str());
                    PgBinaryColumn::new(field.name(), field.data_type().clone(), wire)
                }
                None => PgBinaryColumn::passed_over(field.name()),
            }
        });
        let columns: Vec<_> = columns.collect();
        let position = |field: &FieldRef| decoded.iter().position(|name| *name == field.name());
        let slots = target.output().fields().iter().map(position).collect();
        let decoder = PgBinaryDecoder::new(&columns, limit.bytes).map_err(external)?;
        Ok(Self { decoder, slots })
    }

    /// Takes in bytes and says how many; fewer than all when a batch of `rows` is full.
    pub(crate) fn decode(&mut self, target: &Target, bytes: &[u8], rows: usize) -> Result<usize> {
        self.decoder.push(bytes, rows).map_err(|fault| placed(target, fault))
    }

    /// Ends the file, which must have its trailer.
    pub(crate) fn end(&mut self, target: &Target) -> Result<()> {
        self.decoder.end().map_err(|fault| placed(target, fault))
    }

    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.decoder.is_full(rows)
    }

    /// See the field.
    pub(crate) fn slots(&self) -> &[Option<usize>] {
        &self.slots
    }

    /// The rows so far, if any.
    pub(crate) fn flush(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        self.decoder.flush().map_err(external)
    }
}

/// A value with the type as it is declared.
fn placed(target: &Target, fault: PgBinaryFault) -> DataFusionError {
    let PgBinaryFault::Value(unfit) = fault else { return external(fault) };
    let declared = target.output().field_with_name(&unfit.column).map(|field| type_name(field.data_type()));
    external(InvalidValue {
        row: unfit.row,
        column: unfit.column,
        value: unfit.value,
        data_type: declared.unwrap_or(unfit.data_type),
        reason: Some(unfit.reason),
    })
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
