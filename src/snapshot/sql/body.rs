//! The rows of INSERT statements of one table as columns of its types.
//!
//! Values are split by [`InsertSplitter`] and read as those of CSV are ([`crate::snapshot::csv::columns`]), but for
//! what SQL writes in its own way: bytes as `0x00FF` or `_binary '..'`, BIT values as their bytes, DEFAULT for a
//! generated column. The first value that a column cannot hold is an [`InvalidValue`] with its row, counted in the
//! statements of the entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};

use crate::config::{ColumnSet, FileFormat, InsertOptions, SqlFamily};
use crate::error::InvalidValue;
use crate::snapshot::csv::columns::{Misread, Nulls, column, column_of, keep_first};
use crate::snapshot::csv::fields::CsvField;
use crate::snapshot::dump::inserts::records::InsertField;
use crate::snapshot::dump::inserts::splitter::InsertSplitter;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::target::Target;
use crate::snapshot::values::octets;

/// The rows of one entry.
pub(crate) struct InsertBody {
    splitter: InsertSplitter,
    family: SqlFamily,
    /// The columns that are asked for, with their places in a row, and whether they are of type BIT.
    wanted: Vec<(usize, FieldRef, bool)>,
    slots: Vec<Option<usize>>,
    /// Rows before this batch.
    rows: u64,
    null_invalid: ColumnSet,
    /// Values that are NULL because their column cannot hold them.
    pub(crate) set_to_null: BTreeMap<String, u64>,
}

/// Columns as they are decoded, and their rows.
type InsertedColumns = (Vec<ArrayRef>, usize);

impl InsertBody {
    /// # Errors
    /// When a column that is asked for is in no row.
    pub(crate) fn new(target: &Target, limit: RecordLimit) -> Result<Self> {
        let FileFormat::Inserts(InsertOptions { family, columns, bits, .. }) = target.format() else {
            return Err(DataFusionError::Internal("the format is not INSERT statements".to_owned()));
        };
        let mut wanted = Vec::new();
        for field in target.output().fields() {
            let at = columns.iter().position(|name| name == field.name());
            let at = at.ok_or_else(|| DataFusionError::Internal(format!("no row has the column {}", field.name())))?;
            wanted.push((at, FieldRef::clone(field), bits.contains(field.name())));
        }
        let slots = (0..wanted.len()).map(Some).collect();
        let splitter = InsertSplitter::new(*family, columns.len(), limit.bytes);
        let (null_invalid, set_to_null) = (target.null_invalid().clone(), BTreeMap::new());
        Ok(Self { splitter, family: *family, wanted, slots, rows: 0, null_invalid, set_to_null })
    }

    /// Takes in bytes and says how many; fewer than all when a batch of `rows` is full.
    pub(crate) fn decode(&mut self, bytes: &[u8], rows: usize) -> Result<usize> {
        match self.splitter.push(bytes, rows) {
            Ok(used) => Ok(used),
            Err(fault) => Err(self.first_error(external(fault))),
        }
    }

    /// Ends the statements: the last one must have its semicolon.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.splitter.end() {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.first_error(external(fault))),
        }
    }

    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.splitter.is_full(rows)
    }

    /// For each column of the output its position among those of [`InsertBody::flush`].
    pub(crate) fn slots(&self) -> &[Option<usize>] {
        &self.slots
    }

    /// The rows so far, if any.
    pub(crate) fn flush(&mut self) -> Result<Option<InsertedColumns>> {
        let rows = self.splitter.rows();
        if rows == 0 {
            return Ok(None);
        }
        let columns = self.columns()?;
        self.splitter.clear();
        self.rows += rows as u64;
        Ok(Some((columns, rows)))
    }

    fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        let records = self.splitter.records().map_err(external)?;
        let mut columns = Vec::with_capacity(self.wanted.len());
        let mut first: Option<InvalidValue> = None;
        for (at, field, is_bit) in &self.wanted {
            let (column, data_type) = (|| records.column(*at), field.data_type());
            let mut found = match records.has_odd_values || *is_bit || *data_type == DataType::Binary {
                true => read(column(), data_type, self.family, *is_bit),
                false => read_plain(column(), data_type),
            };
            if found.is_err() && self.null_invalid.holds(field.name()) {
                found = read_or_null(column(), data_type, self.family, *is_bit).map(|(column, invalid)| {
                    *self.set_to_null.entry(field.name().clone()).or_default() += invalid;
                    column
                });
            }
            match found {
                Ok(column) => columns.push(column),
                Err(misread) => keep_first(&mut first, field, misread, self.rows),
            }
        }
        first.map_or(Ok(columns), |value| Err(external(value)))
    }

    /// What is wrong with the rows before the fault, else the fault.
    fn first_error(&mut self, fault: DataFusionError) -> DataFusionError {
        if self.splitter.rows() == 0 {
            return fault;
        }
        self.columns().err().unwrap_or(fault)
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// One column, with NULL where its type cannot hold the value; and how many these are.
#[cold]
fn read_or_null<'a>(
    fields: impl ExactSizeIterator<Item = InsertField<'a>>,
    data_type: &DataType,
    family: SqlFamily,
    is_bit: bool,
) -> Result<(ArrayRef, u64), Misread> {
    let mut invalid = 0;
    let one = |field: InsertField<'a>| read([field].iter().copied(), data_type, family, is_bit).is_ok();
    let kept = fields.map(|field| {
        let is_valid = one(field);
        invalid += u64::from(!is_valid);
        if is_valid { field } else { InsertField::Null }
    });
    let kept: Vec<_> = kept.collect();
    Ok((read(kept.iter().copied(), data_type, family, is_bit)?, invalid))
}

/// One column.
fn read<'a>(
    fields: impl ExactSizeIterator<Item = InsertField<'a>> + Clone,
    data_type: &DataType,
    family: SqlFamily,
    is_bit: bool,
) -> Result<ArrayRef, Misread> {
    if is_bit {
        return bits(fields, data_type);
    }
    let misread =
        |row: usize, value: &str, reason: Option<&'static str>| Misread { row, value: value.to_owned(), reason };
    if let Some(row) = fields.clone().position(|field| matches!(field, InsertField::Bare(text) if is_default(text))) {
        let reason = "DEFAULT is the value of a generated column, which the dump does not have";
        return Err(misread(row, "DEFAULT", Some(reason)));
    }
    match (data_type, family) {
        (DataType::Binary, SqlFamily::MySql) => binary(fields),
        _ => {
            if let Some((row, value)) = fields.clone().enumerate().find_map(|(row, field)| match field {
                InsertField::Raw(hex) => Some((row, hex)),
                InsertField::Bytes(hex) if family == SqlFamily::MySql => Some((row, hex)),
                _ => None,
            }) {
                return Err(misread(row, value, Some("it is bytes that are no UTF-8 text")));
            }
            read_plain(fields, data_type)
        }
    }
}

/// One column without words and bytes.
#[inline]
fn read_plain<'a>(
    fields: impl ExactSizeIterator<Item = InsertField<'a>> + Clone,
    data_type: &DataType,
) -> Result<ArrayRef, Misread> {
    let fields = fields.map(|field| match field {
        InsertField::Null => CsvField::bare(""),
        InsertField::Bare(text) => CsvField::bare(text),
        InsertField::Quoted(text) | InsertField::Bytes(text) | InsertField::Raw(text) => CsvField::quoted(text),
    });
    column(fields, data_type, Nulls { regex: None, force: false })
}

fn is_default(text: &str) -> bool {
    text.eq_ignore_ascii_case("DEFAULT")
}

/// Numbers of type BIT: those that are quoted are written as their bytes, the highest first.
fn bits<'a>(
    fields: impl ExactSizeIterator<Item = InsertField<'a>> + Clone,
    data_type: &DataType,
) -> Result<ArrayRef, Misread> {
    let mut numbers: Vec<Option<String>> = Vec::with_capacity(fields.len());
    let mut bytes = Vec::new();
    for (row, field) in fields.enumerate() {
        bytes.clear();
        match field {
            InsertField::Null => {
                numbers.push(None);
                continue;
            }
            InsertField::Bare(text) => {
                numbers.push(Some(text.to_owned()));
                continue;
            }
            InsertField::Quoted(text) => bytes.extend_from_slice(text.as_bytes()),
            InsertField::Bytes(hex) | InsertField::Raw(hex) => {
                octets::decode(hex.as_bytes(), &mut bytes);
            }
        }
        if bytes.len() > 8 {
            let value = String::from_utf8_lossy(&bytes).into_owned();
            return Err(Misread { row, value, reason: Some("it has more than the 64 bits of a BIT") });
        }
        numbers.push(Some(bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte)).to_string()));
    }
    let fields = numbers.iter().map(|number| number.as_deref().map_or(CsvField::bare(""), CsvField::bare));
    column_of(&fields.collect::<Vec<_>>(), data_type, Nulls { regex: None, force: false })
}

/// The bytes of values: of a quoted text its own, whatever it looks like.
fn binary<'a>(fields: impl ExactSizeIterator<Item = InsertField<'a>>) -> Result<ArrayRef, Misread> {
    let mut values = BinaryBuilder::with_capacity(fields.len(), 0);
    let mut bytes = Vec::new();
    for field in fields {
        match field {
            InsertField::Null => values.append_null(),
            InsertField::Bare(text) | InsertField::Quoted(text) => values.append_value(text),
            InsertField::Bytes(hex) | InsertField::Raw(hex) => {
                bytes.clear();
                octets::decode(hex.as_bytes(), &mut bytes);
                values.append_value(&bytes);
            }
        }
    }
    Ok(Arc::new(values.finish()))
}
