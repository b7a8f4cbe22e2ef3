//! From the type that a column has in a file to the type that its table declares, exactly or not at all.
//!
//! Goes down into structs, lists and maps, and leaves values without parts to `scalar`. Fields of structs are found by
//! name, those that a file lacks are NULL. Types that do not go together are refused before a value is seen
//! ([`check_types`]). Pure.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray, make_array,
    new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::array_value_to_string;

use super::scalar::{Way, cast_exactly, safe_cast, way};
use crate::types::lake::list_item;
use crate::types::narrowed;

/// A value that would be lost or changed.
#[derive(Debug)]
pub(crate) struct Loss {
    /// Row of the array that was given.
    pub(crate) row: usize,
    /// Below the column: `.x`, `[]`.
    pub(crate) path: String,
    pub(crate) value: String,
    /// What it should have been.
    pub(crate) to: DataType,
    pub(crate) reason: Option<&'static str>,
}

/// What can go wrong in [`exactly`].
#[derive(Debug)]
pub(crate) enum CastFailure {
    Loss(Loss),
    /// The types do not go together.
    Arrow(ArrowError),
}

impl From<ArrowError> for CastFailure {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// Two types without common values, and their place below the column.
#[derive(Debug, PartialEq)]
pub(crate) struct TypeMismatch {
    pub(crate) path: String,
    pub(crate) from: DataType,
    pub(crate) to: DataType,
}

/// Whether values of the one type may be read as the other.
///
/// # Errors
/// The innermost types that do not go together.
pub(crate) fn check_types(from: &DataType, to: &DataType) -> Result<(), TypeMismatch> {
    let inner = |from: &DataType, to: &DataType, step: &str| {
        check_types(from, to).map_err(|misread| TypeMismatch { path: format!("{step}{}", misread.path), ..misread })
    };
    let refused = || TypeMismatch { path: String::new(), from: from.clone(), to: to.clone() };
    if from == to || *from == DataType::Null {
        return Ok(());
    }
    if let (Some(from), Some(to)) = (list_item(from), list_item(to)) {
        return inner(from.data_type(), to.data_type(), "[]");
    }
    match (from, to) {
        (DataType::Dictionary(_, from), to) => inner(from, to, ""),
        (from, DataType::Dictionary(_, to)) => inner(from, to, ""),
        (DataType::Struct(from), DataType::Struct(to)) => {
            // Fields that the file lacks are NULL; a field that no file has is refused by its name while planning.
            for field in to {
                match find(from, field.name()) {
                    Some((_, source)) => {
                        inner(source.data_type(), field.data_type(), &format!(".{}", field.name()))?;
                    }
                    None if field.is_nullable() => {}
                    None => return Err(refused()),
                }
            }
            Ok(())
        }
        (DataType::Map(from, _), DataType::Map(to, _)) => match (pair(from), pair(to)) {
            (Some(from), Some(to)) => {
                inner(from[0].data_type(), to[0].data_type(), ".key")?;
                inner(from[1].data_type(), to[1].data_type(), ".value")
            }
            _ => Err(refused()),
        },
        _ => way(from, to).map(|_| ()).ok_or_else(refused),
    }
}

/// The array as that type.
///
/// # Errors
/// The first value that the type cannot hold exactly.
pub(crate) fn exactly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, CastFailure> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(to, array.len()));
    }
    if let (Some(from), Some(field)) = (list_item(array.data_type()), list_item(to)) {
        return list(array, from, field, to);
    }
    match (array.data_type(), to) {
        (DataType::Dictionary(_, values), to) => exactly(&safe_cast(array, values)?, to),
        (_, DataType::Dictionary(_, values)) => Ok(safe_cast(&exactly(array, values)?, to)?),
        (DataType::Struct(from), DataType::Struct(fields)) => structs(array.as_struct(), from, fields),
        (DataType::Map(..), DataType::Map(entries, sorted)) => maps(array.as_map(), entries, *sorted),
        (from, to) => match way(from, to) {
            Some(way) => scalar(array, to, way),
            None => Err(ArrowError::CastError(format!("{from} is not {to}")).into()),
        },
    }
}

/// What `read` makes of an array, with NULL for each value that it refuses; and how many these are.
///
/// # Errors
/// When the types do not go together.
#[cold]
pub(crate) fn or_null(
    array: &ArrayRef,
    read: impl Fn(&ArrayRef) -> Result<ArrayRef, CastFailure>,
) -> Result<(ArrayRef, u64), ArrowError> {
    let is_refused = |row| matches!(read(&array.slice(row, 1)), Err(CastFailure::Loss(_)));
    let refused: BooleanArray = (0..array.len()).map(|row| Some(is_refused(row))).collect();
    match read(&nullif(array, &refused)?) {
        Ok(array) => Ok((array, refused.true_count() as u64)),
        Err(CastFailure::Arrow(error)) => Err(error),
        Err(CastFailure::Loss(loss)) => Err(ArrowError::CastError(format!("row {} was to be NULL", loss.row))),
    }
}

fn pair(entries: &Field) -> Option<&Fields> {
    match entries.data_type() {
        DataType::Struct(pair) if pair.len() == 2 => Some(pair),
        _ => None,
    }
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<(usize, &'a FieldRef)> {
    fields.iter().enumerate().find(|(_, field)| field.name() == name)
}

fn scalar(array: &ArrayRef, to: &DataType, way: Way) -> Result<ArrayRef, CastFailure> {
    cast_exactly(array, to, way)?.map_err(|(row, reason)| {
        let value = array_value_to_string(array, row).unwrap_or_default();
        CastFailure::Loss(Loss { row, path: String::new(), value, to: to.clone(), reason })
    })
}

fn structs(array: &StructArray, from: &Fields, to: &Fields) -> Result<ArrayRef, CastFailure> {
    let columns = to.iter().map(|field| {
        let Some((index, _)) = find(from, field.name()) else {
            return Ok(new_null_array(field.data_type(), array.len()));
        };
        let column = below(array.column(index), array.nulls())?;
        exactly(&column, field.data_type()).map_err(|failure| under(&format!(".{}", field.name()), failure, |row| row))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let array = StructArray::try_new_with_length(to.clone(), columns, array.nulls().cloned(), array.len())?;
    Ok(Arc::new(array))
}

/// A field's values, NULL where the struct is NULL: a value there has no meaning.
fn below(column: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok(Arc::clone(column)) };
    if matches!(column.data_type(), DataType::Null | DataType::Union(..) | DataType::RunEndEncoded(..)) {
        return Ok(Arc::clone(column));
    }
    let nulls = NullBuffer::union(column.nulls(), Some(nulls));
    Ok(make_array(column.to_data().into_builder().nulls(nulls).build()?))
}

fn list(array: &ArrayRef, from: &FieldRef, field: &FieldRef, to: &DataType) -> Result<ArrayRef, CastFailure> {
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(_)) => items(array.as_list::<i32>(), field),
        (DataType::LargeList(_), DataType::LargeList(_)) => items(array.as_list::<i64>(), field),
        (DataType::List(_), _) => {
            let lists = safe_cast(&items(array.as_list::<i32>(), field)?, to)?;
            // Lists of another length than all must have.
            if lists.null_count() != array.null_count() {
                return Err(ArrowError::CastError(format!("not all lists are {to}")).into());
            }
            Ok(lists)
        }
        // Another layout, of the same items.
        _ => exactly(&safe_cast(array, &DataType::List(Arc::clone(from)))?, to),
    }
}

fn items<O: OffsetSizeTrait>(array: &GenericListArray<O>, field: &FieldRef) -> Result<ArrayRef, CastFailure> {
    let (values, offsets) = within(array.values(), array.offsets());
    let values =
        exactly(&values, field.data_type()).map_err(|failure| under("[]", failure, |row| owner(&offsets, row)))?;
    Ok(Arc::new(GenericListArray::try_new(Arc::clone(field), offsets, values, array.nulls().cloned())?))
}

fn maps(array: &MapArray, entries: &FieldRef, sorted: bool) -> Result<ArrayRef, CastFailure> {
    let all: ArrayRef = Arc::new(array.entries().clone());
    let (values, offsets) = within(&all, array.offsets());
    let Some(pair) = pair(entries) else {
        return Err(ArrowError::CastError("a map has keys and values".to_owned()).into());
    };
    let columns =
        values.as_struct().columns().iter().zip(pair).zip([".key", ".value"]).map(|((column, field), step)| {
            exactly(column, field.data_type()).map_err(|failure| under(step, failure, |row| owner(&offsets, row)))
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let values = StructArray::try_new(pair.clone(), columns, None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, values, array.nulls().cloned(), sorted)?))
}

/// The values that lists have, without those before and after.
fn within<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &OffsetBuffer<O>) -> (ArrayRef, OffsetBuffer<O>) {
    let (offsets, from, length) = narrowed(offsets);
    (values.slice(from, length), offsets)
}

/// The list that an item is in.
fn owner<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, item: usize) -> usize {
    offsets.partition_point(|offset| offset.as_usize() <= item).saturating_sub(1)
}

fn under(step: &str, failure: CastFailure, row: impl Fn(usize) -> usize) -> CastFailure {
    match failure {
        CastFailure::Loss(loss) => {
            CastFailure::Loss(Loss { row: row(loss.row), path: format!("{step}{}", loss.path), ..loss })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryArray, Float64Array, Int32Array, Int64Array, ListArray, MapBuilder, StringArray, StringBuilder,
    };
    use datafusion::arrow::array::{Int32Builder, Int64Builder, ListBuilder};
    use datafusion::arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn lost(array: &ArrayRef, to: &DataType) -> (usize, String, String) {
        match exactly(array, to) {
            Err(CastFailure::Loss(loss)) => (loss.row, loss.path, loss.value),
            other => panic!("{other:?}"),
        }
    }

    fn structs_of(column: (&str, ArrayRef), nulls: Option<Vec<bool>>) -> ArrayRef {
        let fields = Fields::from(vec![Field::new(column.0, column.1.data_type().clone(), true)]);
        Arc::new(StructArray::new(fields, vec![column.1], nulls.map(NullBuffer::from)))
    }

    #[test]
    fn field_of_a_struct_is_found_by_name_and_one_that_is_lacking_is_null() {
        let array = structs_of(("x", Arc::new(Int64Array::from(vec![1, 2]))), None);
        let to = Fields::from(vec![Field::new("y", DataType::Utf8, true), Field::new("x", DataType::Int32, true)]);
        let found = exactly(&array, &DataType::Struct(to)).unwrap();
        assert_eq!(found.as_struct().column(0).null_count(), 2);
        assert_eq!(found.as_struct().column(1).as_primitive::<Int32Type>(), &Int32Array::from(vec![1, 2]));
        let to = DataType::Struct(Fields::from(vec![Field::new("z", DataType::Int64, true)]));
        check_types(array.data_type(), &to).unwrap();
        assert_eq!(exactly(&array, &to).unwrap().as_struct().column(0).null_count(), 2);
    }

    #[test]
    fn value_below_a_null_struct_is_nobodys() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "7"]));
        let array = structs_of(("x", texts), Some(vec![false, true]));
        let to = DataType::Struct(Fields::from(vec![Field::new("x", DataType::Int64, true)]));
        let found = exactly(&array, &to).unwrap();
        assert_eq!(found.as_struct().column(0).as_primitive::<Int64Type>(), &Int64Array::from(vec![None, Some(7)]));
    }

    #[test]
    fn item_that_does_not_fit_is_found_in_its_row_also_in_a_part_of_an_array() {
        let mut lists = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
        for row in [vec![vec![1], vec![2, 3]], vec![], vec![vec![], vec![4, 1 << 40]], vec![vec![5]]] {
            for inner in row {
                lists.values().values().append_slice(&inner);
                lists.values().append(true);
            }
            lists.append(true);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let to = DataType::new_list(DataType::new_list(DataType::Int32, true), true);
        assert_eq!(lost(&lists, &to), (2, "[][]".to_owned(), (1i64 << 40).to_string()));
        assert_eq!(lost(&lists.slice(1, 3), &to).0, 1);
        assert_eq!(exactly(&lists.slice(3, 1), &to).unwrap().len(), 1);
        let large = DataType::LargeList(Arc::new(Field::new("item", DataType::new_list(DataType::Int32, true), true)));
        assert_eq!(exactly(&lists.slice(0, 2), &large).unwrap().data_type(), &large);
    }

    #[test]
    fn keys_and_values_of_maps_are_read_as_declared() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for value in [1, 1 << 40] {
            maps.keys().append_value("k");
            maps.values().append_value(value);
            maps.append(true).unwrap();
        }
        let maps: ArrayRef = Arc::new(maps.finish());
        let to = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new()).finish().data_type().clone();
        assert_eq!(lost(&maps, &to), (1, ".value".to_owned(), (1i64 << 40).to_string()));
        assert_eq!(exactly(&maps.slice(0, 1), &to).unwrap().data_type(), &to);
    }

    #[test]
    fn types_that_mean_other_things_do_not_go_together() {
        let refused =
            check_types(&DataType::new_list(DataType::Int64, true), &DataType::new_list(DataType::Date32, true));
        assert_eq!(refused.unwrap_err().path, "[]");
        for (from, to) in [
            (DataType::Utf8, DataType::new_list(DataType::Utf8, true)),
            (DataType::new_list(DataType::Utf8, true), DataType::Utf8),
            (DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None), DataType::Int64),
            (DataType::Binary, DataType::Int64),
        ] {
            assert!(check_types(&from, &to).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn dictionary_is_read_as_its_values() {
        let of = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", "x"]));
        let array = exactly(&texts, &of).unwrap();
        assert_eq!(array.data_type(), &of);
        assert_eq!(lost(&array, &DataType::Int64), (1, String::new(), "x".to_owned()));
        assert_eq!(exactly(&array, &DataType::Utf8).unwrap().as_string::<i32>(), texts.as_string::<i32>());
    }

    #[test]
    fn column_of_nulls_is_of_any_type() {
        let nulls = new_null_array(&DataType::Null, 2);
        for to in [DataType::Int64, DataType::new_list(DataType::Utf8, true)] {
            assert_eq!(check_types(&DataType::Null, &to), Ok(()));
            assert_eq!(exactly(&nulls, &to).unwrap().null_count(), 2);
        }
    }

    #[test]
    fn list_of_one_type_is_kept_as_it_is() {
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)]), None]));
        assert!(Arc::ptr_eq(&exactly(&lists, lists.data_type()).unwrap(), &lists));
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        assert_eq!(lost(&floats, &DataType::Int64).2, "1.5");
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&[0xff][..]]));
        assert_eq!(lost(&bytes, &DataType::Utf8).0, 0);
    }
}
