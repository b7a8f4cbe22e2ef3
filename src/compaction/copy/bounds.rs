//! Smallest and largest value of a column chunk that is made of several, from what each of them says.
//!
//! Values are compared in the order of their Parquet type (<https://github.com/apache/parquet-format>, `ColumnOrder`).
//! For types without one (INT96, intervals), and where a part says nothing of its values, nothing is known about the
//! whole.

use std::cmp::Ordering;

use datafusion::parquet::basic::{LogicalType, SortOrder, Type};
use datafusion::parquet::data_type::{ByteArray, FixedLenByteArray};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
use datafusion::parquet::schema::types::ColumnDescriptor;

/// Compares two values, stored PLAIN but for the length of texts; `None` where there is no order.
pub(crate) fn compare(column: &ColumnDescriptor, one: &[u8], other: &[u8]) -> Option<Ordering> {
    let signed = match column.sort_order() {
        SortOrder::SIGNED => true,
        SortOrder::UNSIGNED => false,
        _ => return None,
    };
    match column.physical_type() {
        Type::BOOLEAN => Some(one.first()?.cmp(other.first()?)),
        Type::INT32 if signed => Some(i32::from_le_bytes(*exact(one)?).cmp(&i32::from_le_bytes(*exact(other)?))),
        Type::INT32 => Some(u32::from_le_bytes(*exact(one)?).cmp(&u32::from_le_bytes(*exact(other)?))),
        Type::INT64 if signed => Some(i64::from_le_bytes(*exact(one)?).cmp(&i64::from_le_bytes(*exact(other)?))),
        Type::INT64 => Some(u64::from_le_bytes(*exact(one)?).cmp(&u64::from_le_bytes(*exact(other)?))),
        Type::FLOAT => f32::from_le_bytes(*exact(one)?).partial_cmp(&f32::from_le_bytes(*exact(other)?)),
        Type::DOUBLE => f64::from_le_bytes(*exact(one)?).partial_cmp(&f64::from_le_bytes(*exact(other)?)),
        Type::INT96 => None,
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => match column.logical_type_ref() {
            Some(LogicalType::Float16) => None,
            _ if signed && one.len() != other.len() => None,
            // Decimals: big endian, the first bit is the sign.
            _ if signed => {
                let negative = |value: &[u8]| value.first().is_some_and(|byte| byte & 0x80 != 0);
                Some(negative(other).cmp(&negative(one)).then_with(|| one.cmp(other)))
            }
            _ => Some(one.cmp(other)),
        },
    }
}

fn exact<const N: usize>(value: &[u8]) -> Option<&[u8; N]> {
    value.try_into().ok()
}

/// What is known of a chunk's values so far.
#[derive(Debug)]
pub(crate) struct ChunkBounds {
    /// Smallest and largest value, and whether each is a value and not only a bound.
    range: Option<(ValueBound, ValueBound)>,
    nulls: Option<u64>,
    /// Whether each part had a range or no value.
    known: bool,
}

#[derive(Debug, Clone)]
struct ValueBound {
    value: Vec<u8>,
    exact: bool,
}

impl ChunkBounds {
    pub(crate) fn new() -> Self {
        Self { range: None, nulls: Some(0), known: true }
    }

    /// Adds a part of so many values, NULLs counted.
    pub(crate) fn add(&mut self, column: &ColumnDescriptor, part: Option<&Statistics>, values: i64) {
        let nulls = part.and_then(Statistics::null_count_opt);
        self.nulls = self.nulls.zip(nulls).map(|(all, part)| all + part);
        if nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(values)) {
            return;
        }
        let range = part.and_then(|part| {
            let bound = |value: &[u8], exact| ValueBound { value: value.to_vec(), exact };
            Some((bound(part.min_bytes_opt()?, part.min_is_exact()), bound(part.max_bytes_opt()?, part.max_is_exact())))
        });
        let merged = range.and_then(|(low, high)| match self.range.take() {
            None => Some((low, high)),
            Some((min, max)) => {
                let low = if compare(column, &low.value, &min.value)?.is_lt() { low } else { min };
                let high = if compare(column, &high.value, &max.value)?.is_gt() { high } else { max };
                Some((low, high))
            }
        });
        self.known &= merged.is_some();
        self.range = merged;
    }

    /// For the footer.
    pub(crate) fn into_statistics(self, column: &ColumnDescriptor) -> Option<Statistics> {
        let range = self.range.filter(|_| self.known);
        let (min, max) = range.map_or((None, None), |(min, max)| (Some(min), Some(max)));
        if min.is_none() && self.nulls.is_none() {
            return None;
        }
        let nulls = self.nulls;
        let signed = column.sort_order() == SortOrder::SIGNED;
        Some(match column.physical_type() {
            Type::BOOLEAN => of(min, max, nulls, signed, |value| Some(*value.first()? != 0)).into(),
            Type::INT32 => of(min, max, nulls, signed, |value| Some(i32::from_le_bytes(*exact(value)?))).into(),
            Type::INT64 => of(min, max, nulls, signed, |value| Some(i64::from_le_bytes(*exact(value)?))).into(),
            Type::FLOAT => of(min, max, nulls, signed, |value| Some(f32::from_le_bytes(*exact(value)?))).into(),
            Type::DOUBLE => of(min, max, nulls, signed, |value| Some(f64::from_le_bytes(*exact(value)?))).into(),
            Type::INT96 => return None,
            Type::BYTE_ARRAY => of(min, max, nulls, signed, |value| Some(ByteArray::from(value.to_vec()))).into(),
            Type::FIXED_LEN_BYTE_ARRAY => {
                let value = |value: &[u8]| Some(FixedLenByteArray::from(ByteArray::from(value.to_vec())));
                of(min, max, nulls, signed, value).into()
            }
        })
    }
}

fn of<T>(
    min: Option<ValueBound>,
    max: Option<ValueBound>,
    nulls: Option<u64>,
    signed: bool,
    value: impl Fn(&[u8]) -> Option<T>,
) -> ValueStatistics<T> {
    let exact = |bound: &Option<ValueBound>| bound.as_ref().is_some_and(|bound| bound.exact);
    let (min_is_exact, max_is_exact) = (exact(&min), exact(&max));
    let value = |bound: Option<ValueBound>| bound.and_then(|bound| value(&bound.value));
    ValueStatistics::new(value(min), value(max), None, nulls, false)
        .with_min_is_exact(min_is_exact)
        .with_max_is_exact(max_is_exact)
        .with_backwards_compatible_min_max(signed)
}

/// What a column index says of one page: smallest and largest value, if it has values, and the number of NULLs.
pub(crate) type PageBounds = (Option<(Vec<u8>, Vec<u8>)>, i64);

/// What the column index says of each page; `None` when it says nothing of one.
pub(crate) fn of_pages(index: &ColumnIndexMetaData) -> Option<Vec<PageBounds>> {
    if matches!(index, ColumnIndexMetaData::NONE) {
        return None;
    }
    let pages = usize::try_from(index.num_pages()).ok()?;
    let range = |page: usize| -> Option<(Vec<u8>, Vec<u8>)> {
        macro_rules! bytes {
            ($index:expr, $bytes:expr) => {
                ($bytes($index.min_value(page)?), $bytes($index.max_value(page)?))
            };
        }
        Some(match index {
            ColumnIndexMetaData::BOOLEAN(index) => bytes!(index, |value: &bool| vec![u8::from(*value)]),
            ColumnIndexMetaData::INT32(index) => bytes!(index, |value: &i32| value.to_le_bytes().to_vec()),
            ColumnIndexMetaData::INT64(index) => bytes!(index, |value: &i64| value.to_le_bytes().to_vec()),
            ColumnIndexMetaData::FLOAT(index) => bytes!(index, |value: &f32| value.to_le_bytes().to_vec()),
            ColumnIndexMetaData::DOUBLE(index) => bytes!(index, |value: &f64| value.to_le_bytes().to_vec()),
            ColumnIndexMetaData::BYTE_ARRAY(index) | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index) => {
                bytes!(index, |value: &[u8]| value.to_vec())
            }
            _ => return None,
        })
    };
    (0..pages)
        .map(|page| {
            let range = if index.is_null_page(page) { None } else { Some(range(page)?) };
            Some((range, index.null_count(page)?))
        })
        .collect()
}
