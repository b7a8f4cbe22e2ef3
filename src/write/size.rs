//! What rows need in memory, counted so that it depends on their values alone.

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
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, StringArray, StringViewArray};

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
}
