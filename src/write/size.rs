//! What rows need in memory, counted so that it depends on their values alone.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;

/// Bytes that the values of a batch need by themselves; what they share with other batches is not counted.
pub(crate) fn used_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(of_array).sum()
}

fn of_array(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => 16 * array.len() + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => 16 * array.len() + array.as_binary_view().total_buffer_bytes_used(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
            // Offsets of a list never fall.
            let (first, last) = (usize::try_from(first).unwrap_or(0), usize::try_from(last).unwrap_or(0));
            4 * list.len() + of_array(&list.values().slice(first, last - first))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, last) = (map.value_offsets()[0], map.value_offsets()[map.len()]);
            let (first, last) = (usize::try_from(first).unwrap_or(0), usize::try_from(last).unwrap_or(0));
            let entries: ArrayRef = Arc::new(map.entries().slice(first, last - first));
            4 * map.len() + of_array(&entries)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(of_array).sum(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StringViewArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn slice_counts_its_own_rows() {
        let long = "a text of more than twelve bytes";
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter_values(0..100))),
            ("t", Arc::new(StringArray::from(vec![long; 100]))),
            ("v", Arc::new(StringViewArray::from(vec![long; 100]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let ten = used_bytes(&batch.slice(50, 10));
        // Eight bytes; four of an offset and the text; sixteen of a view and the text.
        let expected = 10 * (8 + 4 + long.len() + 16 + long.len());
        assert!((expected..=expected + 8).contains(&ten), "{ten} {expected}");
    }

    #[test]
    fn slice_of_nested_values_counts_those_of_its_own_rows() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>((0..1000).map(|row| Some(vec![Some(row); 3])));
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for _ in 0..1000 {
            maps.keys().append_value("k");
            maps.values().append_value("value");
            maps.append(true).unwrap();
        }
        let columns: Vec<(&str, ArrayRef)> = vec![("l", Arc::new(lists)), ("m", Arc::new(maps.finish()))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let bytes = [0, 500, 990].map(|start| used_bytes(&batch.slice(start, 10)));
        assert_eq!(bytes, [bytes[0]; 3]);
        assert!((10 * (4 + 24 + 4 + 4 + 1 + 4 + 5)..500).contains(&bytes[0]), "{bytes:?}");
    }
}
