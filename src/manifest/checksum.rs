//! Sums over the values of columns that do not depend on the order of the rows.
//!
//! ```text
//! column a     hash      column b     hash
//! 1            h(1)      'x'          h('x')
//! NULL         h(NULL)   ''           h('')
//! sum mod 2^64 = A       sum mod 2^64 = B         checksum = [A, B]
//! ```
//!
//! Two sets of rows with the same checksum have, but for a chance of 2^-64 per column, the same values in each column,
//! each as often. Every bit of a value counts: NULL, an empty text, `-0.0` and the payload of a NaN are distinguished.
//! How an array holds its values (views, dictionaries, slices) does not count. Not seen: values that changed places
//! between rows of one column. The hash is fast and not cryptographic.
//!
//! Pure. Fails for types that Parquet cannot hold, which are refused before.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::array::{
    Array, AsArray, GenericByteViewArray, GenericListArray, MAX_INLINE_VIEW_LEN, OffsetSizeTrait, RecordBatch,
};
use datafusion::arrow::datatypes::{ByteViewType, DataType, Schema};
use datafusion::arrow::error::ArrowError;
use serde::{Deserialize, Serialize};

type ArrowResult<T> = Result<T, ArrowError>;

/// Odd constants without structure: the first digits of pi, as in wyhash and its kin.
const K: [u64; 3] = [0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7345, 0xA409_3822_299F_31D1];

/// Hash of NULL, of any type.
const NULL: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Sum per column, by its name; 16 hexadecimal digits in JSON, whose numbers are shorter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnSums(BTreeMap<String, Sum>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Sum(u64);

impl TryFrom<String> for Sum {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

impl From<Sum> for String {
    fn from(sum: Sum) -> Self {
        format!("{:016x}", sum.0)
    }
}

impl ColumnSums {
    /// Adds the sums of other rows.
    pub(crate) fn add(&mut self, other: &Self) {
        for (name, sum) in &other.0 {
            let own = self.0.entry(name.clone()).or_default();
            own.0 = own.0.wrapping_add(sum.0);
        }
    }

    /// Columns of which the two differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

/// Sums of some columns over all rows of a task, added to by whoever sees a batch.
#[derive(Debug)]
pub(crate) struct Checksum {
    /// Index in the batches, and name.
    columns: Vec<(usize, String)>,
    sums: Mutex<Vec<u64>>,
}

impl Checksum {
    /// Of these columns of the batches that will come.
    pub(crate) fn new(columns: Vec<(usize, String)>) -> Self {
        let sums = vec![0; columns.len()];
        Self { columns, sums: Mutex::new(sums) }
    }

    /// Of all columns of batches of this schema.
    pub(crate) fn of_all(schema: &Schema) -> Self {
        Self::new(schema.fields().iter().map(|field| field.name().clone()).enumerate().collect())
    }

    /// Adds all rows of a batch.
    ///
    /// # Errors
    /// For types without a hash.
    pub(crate) fn add(&self, batch: &RecordBatch) -> ArrowResult<()> {
        for (index, (column, _)) in self.columns.iter().enumerate() {
            let sum = column_sum(batch.column(*column))?;
            let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
            sums[index] = sums[index].wrapping_add(sum);
        }
        Ok(())
    }

    /// The sums so far.
    pub(crate) fn sums(&self) -> ColumnSums {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        ColumnSums(self.columns.iter().zip(sums.iter()).map(|((_, name), sum)| (name.clone(), Sum(*sum))).collect())
    }
}

fn column_sum(array: &dyn Array) -> ArrowResult<u64> {
    let mut hashes = Vec::with_capacity(array.len());
    hash(array, &mut hashes)?;
    Ok(hashes.iter().fold(0, |sum: u64, hash| sum.wrapping_add(*hash)))
}

/// Mixes two numbers: the halves of their product, folded.
#[expect(clippy::cast_possible_truncation, reason = "the low half")]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ K[0]) * u128::from(b ^ K[1]);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Of up to 12 bytes that a view holds itself, as [`hash_bytes`] has it. After its length a view has the bytes, then
/// zeros (Arrow's columnar format, "Variable-size Binary View Layout").
#[expect(clippy::cast_possible_truncation, reason = "parts of a view")]
fn hash_inline(view: u128) -> u64 {
    let length = view as u32;
    let mut hash = mix(length.into(), K[2]);
    if length > 0 {
        hash = mix(hash, (view >> 32) as u64);
    }
    if length > 8 {
        hash = mix(hash, (view >> 96) as u64);
    }
    hash
}

#[expect(clippy::cast_possible_truncation, reason = "the length")]
fn hash_views<T: ByteViewType>(array: &GenericByteViewArray<T>, hashes: &mut Vec<u64>) {
    let views = array.views().iter().enumerate();
    hashes.extend(views.map(|(row, view)| {
        if *view as u32 <= MAX_INLINE_VIEW_LEN { hash_inline(*view) } else { hash_bytes(array.value(row).as_ref()) }
    }));
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = mix(bytes.len() as u64, K[2]);
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        hash = mix(hash, u64::from_le_bytes(*chunk));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = mix(hash, u64::from_le_bytes(last));
    }
    hash
}

/// Appends a hash per row.
fn hash(array: &dyn Array, hashes: &mut Vec<u64>) -> ArrowResult<()> {
    let start = hashes.len();
    match array.data_type() {
        DataType::Null => hashes.extend(std::iter::repeat_n(NULL, array.len())),
        DataType::Boolean => hashes.extend(array.as_boolean().values().iter().map(|value| mix(value.into(), K[2]))),
        DataType::Utf8 => hashes.extend((0..array.len()).map(|row| hash_bytes(text::<i32>(array, row)))),
        DataType::LargeUtf8 => hashes.extend((0..array.len()).map(|row| hash_bytes(text::<i64>(array, row)))),
        DataType::Utf8View => hash_views(array.as_string_view(), hashes),
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            hashes.extend((0..array.len()).map(|row| hash_bytes(values.value(row))));
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            hashes.extend((0..array.len()).map(|row| hash_bytes(values.value(row))));
        }
        DataType::BinaryView => hash_views(array.as_binary_view(), hashes),
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            hashes.extend((0..array.len()).map(|row| hash_bytes(values.value(row))));
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let mut values = Vec::with_capacity(dictionary.values().len());
            hash(dictionary.values().as_ref(), &mut values)?;
            if values.is_empty() {
                hashes.extend(std::iter::repeat_n(NULL, array.len()));
            } else {
                // The key of a NULL may be any number.
                let of_key = |key: usize| values.get(key).copied().unwrap_or(NULL);
                hashes.extend(dictionary.normalized_keys().into_iter().map(of_key));
            }
        }
        DataType::List(_) => hash_list(array.as_list::<i32>(), hashes)?,
        DataType::LargeList(_) => hash_list(array.as_list::<i64>(), hashes)?,
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            let mut items = Vec::new();
            let list = array.as_fixed_size_list();
            // The values of a slice are all values; its first row's stand where it says.
            let from = usize::try_from(list.value_offset(0)).unwrap_or(0);
            hash(&list.values().slice(from, length * list.len()), &mut items)?;
            hashes.extend((0..list.len()).map(|row| fold(&items[row * length..(row + 1) * length])));
        }
        DataType::Map(..) => {
            let map = array.as_map();
            hash_ranges(map.entries(), map.value_offsets(), hashes)?;
        }
        DataType::Struct(_) => {
            let mut rows = vec![K[2]; array.len()];
            let mut children = Vec::with_capacity(array.len());
            for child in array.as_struct().columns() {
                children.clear();
                hash(child, &mut children)?;
                rows.iter_mut().zip(&children).for_each(|(row, child)| *row = mix(*row, *child));
            }
            hashes.append(&mut rows);
        }
        other => match other.primitive_width() {
            Some(width) => hash_fixed(array, width, hashes),
            None => return Err(ArrowError::NotYetImplemented(format!("a checksum of {other}"))),
        },
    }
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (hash, is_valid) in hashes[start..].iter_mut().zip(nulls) {
            *hash = if is_valid { *hash } else { NULL };
        }
    }
    Ok(())
}

fn text<O: OffsetSizeTrait>(array: &dyn Array, row: usize) -> &[u8] {
    array.as_string::<O>().value(row).as_bytes()
}

/// Numbers, dates, times, decimals, intervals: their bits.
#[expect(clippy::cast_possible_truncation, reason = "the low half")]
fn hash_fixed(array: &dyn Array, width: usize, hashes: &mut Vec<u64>) {
    let data = array.to_data();
    let bytes = data.buffers().first().map_or(&[][..], |buffer| buffer.as_slice());
    let bytes = &bytes[data.offset() * width..(data.offset() + data.len()) * width];
    macro_rules! of {
        ($width:literal, $number:ty) => {
            hashes.extend(
                bytes.as_chunks::<$width>().0.iter().map(|value| mix(<$number>::from_le_bytes(*value).into(), K[2])),
            )
        };
    }
    match width {
        1 => of!(1, u8),
        2 => of!(2, u16),
        4 => of!(4, u32),
        8 => of!(8, u64),
        16 => {
            let start = mix(16, K[2]);
            hashes.extend(bytes.as_chunks::<16>().0.iter().map(|value| {
                let value = u128::from_le_bytes(*value);
                mix(mix(start, value as u64), (value >> 64) as u64)
            }));
        }
        _ => hashes.extend(bytes.chunks_exact(width).map(hash_bytes)),
    }
}

fn hash_list<O: OffsetSizeTrait>(list: &GenericListArray<O>, hashes: &mut Vec<u64>) -> ArrowResult<()> {
    hash_ranges(list.values().as_ref(), list.value_offsets(), hashes)
}

/// Lists whose items are in `values`, each from one offset to the next.
fn hash_ranges<O: OffsetSizeTrait>(values: &dyn Array, offsets: &[O], hashes: &mut Vec<u64>) -> ArrowResult<()> {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return Ok(()) };
    let (first, last) = (first.as_usize(), last.as_usize());
    let mut items = Vec::with_capacity(last - first);
    hash(&values.slice(first, last - first), &mut items)?;
    hashes.extend(offsets.windows(2).map(|ends| fold(&items[ends[0].as_usize() - first..ends[1].as_usize() - first])));
    Ok(())
}

/// Hash of a list: its items in their order, and their number.
fn fold(items: &[u64]) -> u64 {
    items.iter().fold(mix(items.len() as u64, K[1]), |hash, item| mix(hash, *item))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
        ListArray, StringArray, StringViewArray, StructArray,
    };
    use datafusion::arrow::compute::{concat, take};
    use datafusion::arrow::datatypes::{Field, Int32Type, UInt32Type};
    use proptest::prelude::*;

    use super::*;

    fn sum(array: &dyn Array) -> u64 {
        column_sum(array).unwrap()
    }

    #[test]
    fn null_empty_zero_and_every_bit_of_a_float_are_kept_apart() {
        let texts =
            [Some(""), None, Some("\0"), Some("a"), Some("a\0")].map(|text| sum(&StringArray::from(vec![text])));
        let quiet = f64::from_bits(0x7FF8_0000_0000_0001);
        let floats = [Some(0.0), Some(-0.0), None, Some(f64::NAN), Some(quiet), Some(1.0)];
        let floats = floats.map(|number| sum(&Float64Array::from(vec![number])));
        for found in [&texts[..], &floats[..]] {
            let distinct: std::collections::BTreeSet<u64> = found.iter().copied().collect();
            assert_eq!(distinct.len(), found.len(), "{found:?}");
        }
    }

    #[test]
    fn the_way_in_which_texts_are_held_makes_no_difference() {
        let texts = vec![Some("a"), None, Some("a text that is longer than a view holds"), Some("")];
        let expected = sum(&StringArray::from(texts.clone()));
        assert_eq!(sum(&StringViewArray::from(texts.clone())), expected);
        for length in 0..20 {
            let text = [&"abcdefghijklmnopqrstuvwxyz"[..length]];
            let plain = sum(&StringArray::from(text.to_vec()));
            assert_eq!(sum(&StringViewArray::from(text.to_vec())), plain, "{length} bytes");
        }
        assert_eq!(sum(&texts.iter().copied().collect::<DictionaryArray<Int32Type>>()), expected);
        let bytes = BinaryArray::from(texts.iter().map(|text| text.map(str::as_bytes)).collect::<Vec<_>>());
        assert_eq!(sum(&bytes), expected);
    }

    fn lists(rows: &[Option<Vec<Option<i32>>>]) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows.iter().cloned()))
    }

    #[test]
    fn lists_differ_by_order_and_by_where_they_end() {
        let sums = [
            vec![Some(vec![Some(1), Some(2)]), Some(vec![])],
            vec![Some(vec![Some(2), Some(1)]), Some(vec![])],
            vec![Some(vec![Some(1)]), Some(vec![Some(2)])],
            vec![Some(vec![Some(1), Some(2)]), None],
            vec![Some(vec![Some(1), Some(2)]), Some(vec![None])],
        ]
        .map(|rows| sum(lists(&rows).as_ref()));
        let distinct: std::collections::BTreeSet<u64> = sums.iter().copied().collect();
        assert_eq!(distinct.len(), sums.len());
    }

    #[test]
    fn values_of_a_struct_belong_to_their_fields() {
        let of = |a: i32, b: i32| {
            let column = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
            let field = |name| Arc::new(Field::new(name, DataType::Int32, true));
            sum(&StructArray::from(vec![(field("a"), column(a)), (field("b"), column(b))]))
        };
        assert_ne!(of(1, 2), of(2, 1));
    }

    #[test]
    fn checksum_is_over_its_columns_alone_and_grows_with_batches() {
        let column = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        let batch = |a, b| RecordBatch::try_from_iter([("a", column(a)), ("b", column(b))]).unwrap();
        let checksum = Checksum::new(vec![(1, "b".to_owned())]);
        checksum.add(&batch(1, 2)).unwrap();
        checksum.add(&batch(3, 4)).unwrap();
        let of = |value| ColumnSums(BTreeMap::from([("b".to_owned(), Sum(sum(column(value).as_ref())))]));
        let mut expected = of(2);
        expected.add(&of(4));
        assert_eq!(checksum.sums(), expected);
        assert_eq!(expected.differing(&of(2)), ["b"]);
        assert_eq!(expected.differing(&ColumnSums::default()), ["b"]);
        assert_eq!(ColumnSums::default().differing(&expected), ["b"]);
        let text = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<ColumnSums>(&text).unwrap(), expected);
    }

    #[derive(Debug, Clone)]
    struct Row(Option<i64>, Option<String>, Option<bool>, Option<Vec<Option<i32>>>);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let list = prop::option::of(prop::collection::vec(prop::option::of(0i32..3), 0..4));
        let row =
            (prop::option::of(any::<i64>()), prop::option::of("[ab]{0,20}"), prop::option::of(any::<bool>()), list);
        prop::collection::vec(row.prop_map(|(a, b, c, d)| Row(a, b, c, d)), 1..40)
    }

    fn columns(rows: &[Row]) -> Vec<ArrayRef> {
        let numbers: Int64Array = rows.iter().map(|row| row.0).collect();
        let decimals: Decimal128Array = rows.iter().map(|row| row.0.map(i128::from)).collect();
        let structs = StructArray::from(vec![
            (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(numbers.clone()) as ArrayRef),
            (
                Arc::new(Field::new("l", lists(&[]).data_type().clone(), true)),
                lists(&rows.iter().map(|row| row.3.clone()).collect::<Vec<_>>()),
            ),
        ]);
        vec![
            Arc::new(numbers),
            Arc::new(decimals),
            Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<DictionaryArray<Int32Type>>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<BooleanArray>()),
            lists(&rows.iter().map(|row| row.3.clone()).collect::<Vec<_>>()),
            Arc::new(structs),
        ]
    }

    proptest! {
        /// Any order of the rows, cut anywhere, has the sum of the whole.
        #[test]
        fn order_and_cuts_make_no_difference(rows in rows(), seed: u64, at in 0.0f64..1.0) {
            let mut order: Vec<u32> = (0..rows.len() as u32).collect();
            order.sort_by_key(|&row| mix(seed, row.into()));
            for array in columns(&rows) {
                let indices: datafusion::arrow::array::PrimitiveArray<UInt32Type> = order.clone().into();
                let mixed = take(&array, &indices, None).unwrap();
                prop_assert_eq!(sum(&mixed), sum(&array));
                let cut = (at * rows.len() as f64) as usize;
                let (first, second) = (array.slice(0, cut), array.slice(cut, rows.len() - cut));
                prop_assert_eq!(sum(&first).wrapping_add(sum(&second)), sum(&array));
                prop_assert_eq!(sum(&concat(&[&second, &first]).unwrap()), sum(&array));
            }
        }

        /// Another value in one row gives another sum.
        #[test]
        fn one_changed_value_is_seen(rows in rows(), at in 0.0f64..1.0, number: i64, text in "[ab]{0,20}") {
            let row = (at * rows.len() as f64) as usize;
            let mut other = rows.clone();
            other[row].0 = Some(number);
            other[row].1 = Some(text);
            for (index, (before, after)) in columns(&rows).iter().zip(columns(&other)).enumerate() {
                prop_assert_eq!(sum(before) == sum(&after), before == &after, "column {}", index);
            }
        }
    }
}
