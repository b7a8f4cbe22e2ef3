//! Reads the columns of Parquet files as the table declares them: exactly, or not at all.
//!
//! The engine's own adapter puts a cast around a column of another type, and casts cut. This one puts [`ReadAs`] there.
//! A column that a file lacks is NULL. The error names file, row, column, value and type. The file's schema metadata
//! holds its uri and the first row that is read (`guard`), and the batches of a file come in order.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use datafusion::physical_plan::PhysicalExpr;

use super::exact::{CastFailure, Loss, check_types, exactly, or_null};
use super::guard::{FIRST_ROW, PLAIN_BYTES, URI};
use super::scalar::{NOT_UTF8, not_text};
use crate::config::ColumnSet;
use crate::error::{Error, InvalidValue};
use crate::snapshot::presence::PresenceCounter;
use crate::types::type_name;

/// For the files of one table.
#[derive(Debug)]
pub(crate) struct ExactReading {
    pub(crate) table: Arc<str>,
    /// Columns whose values are NULL where their type cannot hold them.
    pub(crate) null_invalid: ColumnSet,
    /// Counts these values.
    pub(crate) presence: PresenceCounter,
}

impl PhysicalExprAdapterFactory for ExactReading {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let message = |key: &str| file.metadata().get(key).map(String::as_str);
        let place = RowOrigin {
            table: Arc::clone(&self.table),
            uri: message(URI).unwrap_or_default().into(),
            first_row: message(FIRST_ROW).and_then(|row| row.parse().ok()).unwrap_or(0),
        };
        let (null_invalid, presence) = (self.null_invalid.clone(), self.presence.clone());
        Ok(Arc::new(FileReading { place, table, file, null_invalid, presence }))
    }
}

/// Where the rows of a file are from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RowOrigin {
    table: Arc<str>,
    uri: Arc<str>,
    first_row: u64,
}

#[derive(Debug)]
struct FileReading {
    place: RowOrigin,
    table: SchemaRef,
    file: SchemaRef,
    null_invalid: ColumnSet,
    presence: PresenceCounter,
}

impl PhysicalExprAdapter for FileReading {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform_up(|expr| match expr.downcast_ref::<Column>() {
            Some(column) => self.column(column.name()).map(Transformed::yes),
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}

impl FileReading {
    fn column(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let wanted = Arc::new(self.table.field_with_name(name)?.clone());
        let Ok(index) = self.file.index_of(name) else {
            return Ok(Arc::new(Literal::new(ScalarValue::try_from(wanted.data_type())?)));
        };
        let column = Arc::new(Column::new(name, index));
        let from = self.file.field(index).data_type();
        let is_plain = self.file.metadata().contains_key(&format!("{PLAIN_BYTES}{name}"));
        if from == wanted.data_type() && !is_plain {
            return Ok(column);
        }
        check_types(from, wanted.data_type()).map_err(|misread| {
            let RowOrigin { table, uri, .. } = &self.place;
            external(Error::Misread {
                table: table.to_string(),
                uri: uri.to_string(),
                column: format!("{name}{}", misread.path),
                found: type_name(&misread.from),
                wanted: type_name(&misread.to),
            })
        })?;
        let nulls = self.null_invalid.holds(name).then(|| self.presence.clone());
        Ok(Arc::new(ReadAs { column, wanted, place: self.place.clone(), is_plain, nulls, rows: Arc::default() }))
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A column as the table's type.
#[derive(Debug)]
struct ReadAs {
    column: Arc<dyn PhysicalExpr>,
    wanted: FieldRef,
    place: RowOrigin,
    /// Whether it holds texts of which nobody looked whether they are.
    is_plain: bool,
    /// Where values that do not fit are NULL: counts them.
    nulls: Option<PresenceCounter>,
    /// Rows of the batches so far.
    rows: Arc<AtomicU64>,
}

impl ReadAs {
    /// The values in the wanted type.
    fn read(&self, array: &ArrayRef) -> Result<ArrayRef, CastFailure> {
        let wrong = if self.is_plain { not_text(array) } else { None };
        match wrong {
            Some((row, value)) => {
                let (to, reason) = (self.wanted.data_type().clone(), Some(NOT_UTF8));
                Err(CastFailure::Loss(Loss { row, path: String::new(), value, to, reason }))
            }
            None => exactly(array, self.wanted.data_type()),
        }
    }
}

impl PartialEq for ReadAs {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.wanted == other.wanted && self.place == other.place
    }
}

impl Eq for ReadAs {}

impl Hash for ReadAs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.wanted.hash(state);
        self.place.hash(state);
    }
}

impl fmt::Display for ReadAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read as {}", self.column, self.wanted.data_type())
    }
}

impl PhysicalExpr for ReadAs {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.wanted.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.wanted.is_nullable())
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.wanted))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let before = self.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        match self.read(&array) {
            Ok(array) => Ok(ColumnarValue::Array(array)),
            Err(CastFailure::Arrow(error)) => Err(error.into()),
            Err(CastFailure::Loss(_)) if let Some(counter) = &self.nulls => {
                let (array, invalid) = or_null(&array, |array| self.read(array))?;
                counter.add_set_to_null(self.wanted.name(), invalid);
                Ok(ColumnarValue::Array(array))
            }
            Err(CastFailure::Loss(loss)) => {
                let value = InvalidValue {
                    row: self.place.first_row + before + loss.row as u64 + 1,
                    column: format!("{}{}", self.wanted.name(), loss.path),
                    value: loss.value,
                    data_type: type_name(&loss.to),
                    reason: loss.reason,
                };
                let (table, uri) = (self.place.table.to_string(), self.place.uri.to_string());
                Err(external(Error::InvalidValue { table, uri, value: Box::new(value) }))
            }
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let (wanted, place, rows) = (Arc::clone(&self.wanted), self.place.clone(), Arc::clone(&self.rows));
        let (column, nulls) = (children.swap_remove(0), self.nulls.clone());
        Ok(Arc::new(Self { column, wanted, place, is_plain: self.is_plain, nulls, rows }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
