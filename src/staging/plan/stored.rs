//! The function around each column of a SELECT whose type or values are not stored as they are.
//!
//! It makes the type that files have ([`lake_type`](crate::types::lake)), and of texts that partition the table it sees
//! to those that no folder can hold apart: the empty one, as `empty_partition` says, and Hive's word for NULL. What
//! cannot be stored is an error that names table, column and value. Since it is a part of the SELECT, a task that fails
//! over it finds the file.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, StringViewArray};
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::config::EmptyPartition;
use crate::error::Error;
use crate::layout::partition::NULL_SEGMENT;
use crate::types::store;
use crate::types::type_name;

/// Scalar function that converts a column to its stored type and checks its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StoreColumn {
    /// Name of the lake table, for errors.
    table: String,
    column: String,
    to: DataType,
    /// What becomes of empty texts; `None` for what is no text or no partition column.
    empty: Option<EmptyPartition>,
    signature: Signature,
}

impl StoreColumn {
    pub(super) fn new(table: &str, column: &str, to: DataType, empty: Option<EmptyPartition>) -> Self {
        let (table, column) = (table.to_owned(), column.to_owned());
        Self { table, column, to, empty, signature: Signature::any(1, Volatility::Immutable) }
    }

    /// The column as it is stored.
    pub(super) fn call(self, column: Expr) -> Expr {
        ScalarUDF::from(self).call(vec![column])
    }

    fn store(&self, values: &ArrayRef) -> Result<ArrayRef, Error> {
        let stored = store(values, &self.to).map_err(|misfit| Error::Unstorable {
            table: self.table.clone(),
            column: format!("{}{}", self.column, misfit.place),
            value: misfit.value,
            data_type: type_name(&misfit.data_type),
        })?;
        match self.empty {
            Some(empty) => self.folders(stored, empty),
            None => Ok(stored),
        }
    }

    /// Texts that have a folder of their own each.
    fn folders(&self, texts: ArrayRef, empty: EmptyPartition) -> Result<ArrayRef, Error> {
        let found = |text| equal(&texts, text).map(|found| found.true_count() > 0);
        let refused = |value: &'static str| Error::PartitionText {
            table: self.table.clone(),
            column: self.column.clone(),
            value,
        };
        if found(NULL_SEGMENT)? {
            return Err(refused(NULL_SEGMENT));
        }
        match empty {
            EmptyPartition::Keep => Ok(texts),
            _ if !found("")? => Ok(texts),
            EmptyPartition::Error => Err(refused("")),
            EmptyPartition::Null => Ok(nullif(&texts, &equal(&texts, "")?).map_err(DataFusionError::from)?),
        }
    }
}

/// Which of the texts are `text`.
fn equal(texts: &ArrayRef, text: &str) -> Result<BooleanArray, DataFusionError> {
    Ok(match texts.data_type() {
        DataType::Utf8View => eq(texts.as_string_view(), &StringViewArray::new_scalar(text))?,
        DataType::LargeUtf8 => {
            eq(texts.as_string::<i64>(), &datafusion::arrow::array::LargeStringArray::new_scalar(text))?
        }
        _ => eq(texts.as_string::<i32>(), &StringArray::new_scalar(text))?,
    })
}

impl ScalarUDFImpl for StoreColumn {
    fn name(&self) -> &'static str {
        "stored"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let column = call.arg_fields.first();
        let nullable = column.is_none_or(|column| column.is_nullable()) || self.empty == Some(EmptyPartition::Null);
        let metadata = column.map(|column| column.metadata().clone()).unwrap_or_default();
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let failed = |error| DataFusionError::External(Box::new(error));
        match call.args.first() {
            Some(ColumnarValue::Array(values)) => Ok(ColumnarValue::Array(self.store(values).map_err(failed)?)),
            Some(ColumnarValue::Scalar(value)) => {
                let stored = self.store(&value.to_array()?).map_err(failed)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&stored, 0)?))
            }
            None => Err(DataFusionError::Internal("a column without values".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(values: &[Option<&str>], empty: EmptyPartition) -> Result<ArrayRef, String> {
        let column = StoreColumn::new("t", "k", DataType::Utf8View, Some(empty));
        let values: ArrayRef = Arc::new(StringViewArray::from(values.to_vec()));
        column.store(&values).map_err(|error| error.to_string())
    }

    #[test]
    fn empty_texts_are_refused_or_null_or_kept() {
        let values = [Some("a"), Some(""), None, Some(" ")];
        let refused = stored(&values, EmptyPartition::Error).unwrap_err();
        assert!(refused.starts_with("lake.t: partition column 'k' has an empty text"), "{refused}");
        let kept = stored(&values, EmptyPartition::Keep).unwrap();
        assert_eq!(kept.as_string_view().iter().collect::<Vec<_>>(), values);
        let nulls = stored(&values, EmptyPartition::Null).unwrap();
        assert_eq!(nulls.as_string_view().iter().collect::<Vec<_>>(), [Some("a"), None, None, Some(" ")]);
        assert!(stored(&[Some("a"), None], EmptyPartition::Error).is_ok());
    }

    #[test]
    fn text_that_is_the_word_for_null_is_refused_whatever_empty_texts_are() {
        for empty in [EmptyPartition::Error, EmptyPartition::Null, EmptyPartition::Keep] {
            let refused = stored(&[Some("a"), Some(NULL_SEGMENT)], empty).unwrap_err();
            assert!(refused.contains("query engines read as NULL"), "{refused}");
        }
    }
}
