//! Files that have a schema of their own, such as Avro: their batches as the table's columns, exactly or not at all.
//!
//! ```text
//! bytes -> BatchDecoder -> batches in the file's schema -> FileFit -> the columns that are asked for
//! ```
//!
//! Columns are found by name, in any order; a column that the file lacks is NULL. A value that the table's type cannot
//! hold is an [`InvalidValue`] with its row, or NULL where `on_invalid` says so. Rows are given as the file has them,
//! in batches of at most as many rows as are asked for.

use std::collections::{BTreeMap, VecDeque};

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::{DataFusionError, Result};

use crate::config::ColumnSet;
use crate::error::InvalidValue;
use crate::snapshot::batches::{BatchDecoder, PartAhead};
use crate::snapshot::names::{NameTree, lacked};
use crate::snapshot::parquet::exact::{CastFailure, Loss, check_types, exactly, or_null};
use crate::snapshot::text::target::Target;
use crate::types::type_name;

/// One file.
pub(crate) struct TypedBody {
    decoder: Box<dyn BatchDecoder>,
    fit: Option<FileFit>,
    /// Batches of the file that were not given yet.
    ready: VecDeque<RecordBatch>,
    has_ended: bool,
    /// Rows that were given.
    rows: u64,
    null_invalid: ColumnSet,
    /// Values that are NULL because their column cannot hold them.
    pub(crate) set_to_null: BTreeMap<String, u64>,
}

/// Where the columns that are asked for are in the file.
struct FileFit {
    /// Those that the file has, in the order of the output: so they are in each batch.
    columns: Vec<String>,
    /// For each column of the output its position among these.
    slots: Vec<Option<usize>>,
    absent: Vec<usize>,
}

impl TypedBody {
    pub(crate) fn new(decoder: Box<dyn BatchDecoder>, target: &Target) -> Self {
        let (ready, null_invalid) = (VecDeque::new(), target.null_invalid().clone());
        Self { decoder, fit: None, ready, has_ended: false, rows: 0, null_invalid, set_to_null: BTreeMap::new() }
    }

    /// Hands in parts of the file that are needed before their turn.
    pub(crate) fn take_ahead(&mut self, ahead: Vec<PartAhead>) {
        self.decoder.take_ahead(ahead);
    }

    /// Takes in bytes and says how many; none where a batch is there already.
    pub(crate) fn decode(&mut self, target: &Target, bytes: &[u8]) -> Result<usize> {
        if self.is_full() {
            return Ok(0);
        }
        let used = self.decoder.push(bytes)?;
        let is_new = self.choose(target)?;
        self.take(false)?;
        if used == 0 && !self.is_full() && !is_new {
            return Err(DataFusionError::Internal("a decoder takes no bytes and gives no rows".to_owned()));
        }
        Ok(used)
    }

    /// To be called when all bytes were decoded, until there is no batch.
    pub(crate) fn end(&mut self, target: &Target) -> Result<()> {
        self.choose(target)?;
        self.take(true)?;
        if !self.is_full() && !std::mem::replace(&mut self.has_ended, true) {
            self.decoder.end()?;
        }
        Ok(())
    }

    /// Chooses the columns once the file's schema is known; whether it was now.
    fn choose(&mut self, target: &Target) -> Result<bool> {
        let Some(schema) = self.decoder.schema().filter(|_| self.fit.is_none()) else { return Ok(false) };
        let fit = FileFit::new(&schema, target)?;
        self.decoder.choose(fit.columns.clone())?;
        self.fit = Some(fit);
        Ok(true)
    }

    fn take(&mut self, is_last: bool) -> Result<()> {
        while self.ready.is_empty() && self.fit.is_some() {
            match self.decoder.next(is_last)? {
                None => break,
                Some(batch) if batch.num_rows() > 0 => self.ready.push_back(batch),
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Columns of the output that the file does not have; None before its head was read.
    pub(crate) fn absent(&self) -> Option<&[usize]> {
        self.fit.as_ref().map(|fit| fit.absent.as_slice())
    }

    /// For each column of the output its position among those of [`Self::flush`].
    pub(crate) fn slots(&self) -> &[Option<usize>] {
        self.fit.as_ref().map_or(&[], |fit| &fit.slots)
    }

    /// At most so many rows, if there are any.
    pub(crate) fn flush(&mut self, target: &Target, rows: usize) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let (Some(batch), Some(fit)) = (self.ready.pop_front(), &self.fit) else { return Ok(None) };
        let batch = if batch.num_rows() > rows {
            self.ready.push_front(batch.slice(rows, batch.num_rows() - rows));
            batch.slice(0, rows)
        } else {
            batch
        };
        let mut columns = Vec::with_capacity(fit.columns.len());
        let mut first: Option<InvalidValue> = None;
        for (name, array) in fit.columns.iter().zip(batch.columns()) {
            let field = target.output().field_with_name(name)?;
            match exactly(array, field.data_type()) {
                Ok(array) => columns.push(array),
                Err(CastFailure::Loss(_)) if self.null_invalid.holds(field.name()) => {
                    let (array, invalid) = or_null(array, |array| exactly(array, field.data_type()))?;
                    *self.set_to_null.entry(field.name().clone()).or_default() += invalid;
                    columns.push(array);
                }
                Err(CastFailure::Arrow(error)) => return Err(error.into()),
                Err(CastFailure::Loss(loss)) => {
                    let found = invalid(field.name(), loss, self.rows);
                    if first.as_ref().is_none_or(|first| found.row < first.row) {
                        first = Some(found);
                    }
                }
            }
        }
        if let Some(value) = first {
            return Err(external(value));
        }
        self.rows += batch.num_rows() as u64;
        Ok(Some((columns, batch.num_rows())))
    }
}

impl FileFit {
    fn new(file: &Schema, target: &Target) -> Result<Self> {
        lacked(target.output().fields(), &NameTree::of_fields(file.fields())).map_err(external)?;
        let (mut columns, mut slots, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (index, field) in target.output().fields().iter().enumerate() {
            let Ok(position) = file.index_of(field.name()) else {
                slots.push(None);
                absent.push(index);
                continue;
            };
            check_types(file.field(position).data_type(), field.data_type()).map_err(|misread| {
                let (from, to) = (type_name(&misread.from), type_name(&misread.to));
                DataFusionError::Plan(format!("column '{}{}' is {from}, not {to}", field.name(), misread.path))
            })?;
            slots.push(Some(columns.len()));
            columns.push(field.name().clone());
        }
        Ok(Self { columns, slots, absent })
    }
}

fn invalid(column: &str, loss: Loss, rows_before: u64) -> InvalidValue {
    InvalidValue {
        row: rows_before + loss.row as u64 + 1,
        column: format!("{column}{}", loss.path),
        value: loss.value,
        data_type: type_name(&loss.to),
        reason: loss.reason,
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
