//! Indices into a dictionary, as Parquet stores them: runs of one value, and groups of eight bit-packed values
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Run Length Encoding / Bit-Packing Hybrid").
//!
//! ```text
//! width 2    varint 10 = 5 << 1       value        five times the value
//!            varint  3 = 1 << 1 | 1   two bytes    eight values of two bits
//! ```
//!
//! Eight values of up to 16 bits are packed and unpacked as one number. Values that fill up the last group are kept: a
//! page says itself how many of its values count.

use datafusion::parquet::errors::{ParquetError, Result};

/// Values per bit-packed group; a run of one value is at least as long.
const GROUP: usize = 8;

/// Appends all values of `data` to `values`, of which there are at most so many and what fills up a group.
///
/// # Errors
/// When `data` ends within a run, has more values or `width` is over 32.
pub(crate) fn decode(mut data: &[u8], width: u8, most: u32, values: &mut Vec<u32>) -> Result<()> {
    let width = usize::from(width);
    if width > 32 {
        return Err(ParquetError::General(format!("indices of {width} bits")));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(GROUP - 1);
    let before = values.len();
    while !data.is_empty() {
        let header = varint(&mut data)?;
        let is_packed = header & 1 == 1;
        let count = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        let of_run = count.saturating_mul(if is_packed { GROUP } else { 1 });
        // A damaged page must not ask for all memory.
        if of_run > most - (values.len() - before) {
            return Err(cut());
        }
        if is_packed && width > 0 {
            for group in take(&mut data, count * width)?.chunks_exact(width) {
                unpack(group, width, values);
            }
        } else {
            let mut bytes = [0; 4];
            let length = if is_packed { 0 } else { width.div_ceil(8) };
            bytes[..length].copy_from_slice(take(&mut data, length)?);
            values.resize(values.len() + of_run, u32::from_le_bytes(bytes));
        }
    }
    Ok(())
}

/// Appends `values`, none of which needs more than `width` bits, to `data`.
pub(crate) fn encode(values: &[u32], width: u8, data: &mut Vec<u8>) {
    let width = usize::from(width);
    let (mut packed, mut next) = (0, 0);
    while next < values.len() {
        let value = values[next];
        let repeats = |from: usize| values[from..].iter().take_while(|other| **other == value).count();
        let in_group = &values[next..values.len().min(next + GROUP)];
        if in_group.len() == GROUP && in_group.iter().all(|other| *other == value) {
            pack_groups(&values[packed..next], width, data);
            let run = repeats(next);
            write_varint((run as u64) << 1, data);
            data.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8)]);
            next += run;
            packed = next;
        } else {
            next += GROUP;
        }
    }
    pack_groups(&values[packed..], width, data);
}

/// Bits that the indices of so many entries need.
pub(crate) fn width_of(entries: usize) -> u8 {
    let highest = entries.saturating_sub(1);
    // At most 64.
    u8::try_from(usize::BITS - highest.leading_zeros()).unwrap_or(u8::MAX)
}

fn pack_groups(values: &[u32], width: usize, data: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    write_varint((values.len().div_ceil(GROUP) as u64) << 1 | 1, data);
    for group in values.chunks(GROUP) {
        let mut bits = [0u8; 32];
        if width <= 8 {
            let all = group.iter().rev().fold(0u64, |all, value| all << width | u64::from(*value));
            bits[..8].copy_from_slice(&all.to_le_bytes());
        } else if width <= 16 {
            let all = group.iter().rev().fold(0u128, |all, value| all << width | u128::from(*value));
            bits[..16].copy_from_slice(&all.to_le_bytes());
        } else {
            for (index, value) in group.iter().enumerate() {
                let place = index * width;
                let shifted = u64::from(*value) << (place % 8);
                for (byte, part) in bits[place / 8..].iter_mut().zip(shifted.to_le_bytes()) {
                    *byte |= part;
                }
            }
        }
        data.extend_from_slice(&bits[..width]);
    }
}

fn unpack(group: &[u8], width: usize, values: &mut Vec<u32>) {
    let mask = (1u64 << width) - 1;
    // Within the mask, which has at most 32 bits.
    let value = |bits: u64| u32::try_from(bits & mask).unwrap_or(u32::MAX);
    if width <= 8 {
        let mut bytes = [0; 8];
        bytes[..group.len()].copy_from_slice(group);
        let bits = u64::from_le_bytes(bytes);
        values.extend((0..GROUP).map(|index| value(bits >> (index * width))));
    } else if width <= 16 {
        let mut bytes = [0; 16];
        bytes[..group.len()].copy_from_slice(group);
        let bits = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the mask is applied to the low bits")]
        values.extend((0..GROUP).map(|index| value((bits >> (index * width)) as u64)));
    } else {
        values.extend((0..GROUP).map(|index| {
            let place = index * width;
            let mut bytes = [0; 8];
            let part = &group[place / 8..group.len().min(place / 8 + 8)];
            bytes[..part.len()].copy_from_slice(part);
            value(u64::from_le_bytes(bytes) >> (place % 8))
        }));
    }
}

fn cut() -> ParquetError {
    ParquetError::EOF("indices end within a run".to_owned())
}

fn take<'a>(data: &mut &'a [u8], bytes: usize) -> Result<&'a [u8]> {
    let (taken, rest) = data.split_at_checked(bytes).ok_or_else(cut)?;
    *data = rest;
    Ok(taken)
}

fn varint(data: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(data, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(cut())
}

fn write_varint(mut number: u64, data: &mut Vec<u8>) {
    while number >= 0x80 {
        data.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    data.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_and_groups_are_written_as_drawn_above() {
        let mut data = Vec::new();
        encode(&[3; 9], 2, &mut data);
        encode(&[0, 1, 2, 3, 0, 1, 2, 3], 2, &mut data);
        assert_eq!(data, [18, 3, 3, 0b1110_0100, 0b1110_0100]);
        let mut values = Vec::new();
        decode(&data, 2, 17, &mut values).unwrap();
        assert_eq!(values, [vec![3; 9], vec![0, 1, 2, 3, 0, 1, 2, 3]].concat());
    }

    #[test]
    fn width_is_that_of_the_highest_index() {
        assert_eq!([0, 1, 2, 3, 256, 257].map(width_of), [0, 0, 1, 2, 8, 9]);
    }

    #[test]
    fn data_that_end_within_a_run_are_an_error() {
        for data in [&[3u8, 1][..], &[4], &[0x80], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert!(decode(data, 9, 1000, &mut Vec::new()).is_err(), "{data:?}");
        }
        assert!(decode(&[2, 0, 0, 0, 0, 0], 33, 1000, &mut Vec::new()).is_err());
        assert!(decode(&[40, 1], 8, 12, &mut Vec::new()).is_err());
    }

    proptest! {
        /// What was encoded is decoded, with at most seven more values at the end.
        #[test]
        fn values_come_back(
            width in 0u8..=32,
            runs in prop::collection::vec((any::<u32>(), prop_oneof![1usize..3, 1usize..40]), 0..60),
        ) {
            let mask = u32::try_from((1u64 << width) - 1).unwrap();
            let values: Vec<u32> = runs.iter().flat_map(|&(value, times)| vec![value & mask; times]).collect();
            let (mut data, mut decoded) = (Vec::new(), Vec::new());
            encode(&values, width, &mut data);
            decode(&data, width, u32::try_from(values.len()).unwrap(), &mut decoded).unwrap();
            prop_assert!(decoded.len() - values.len() < GROUP);
            prop_assert!(decoded[values.len()..].iter().all(|value| *value == 0));
            prop_assert_eq!(&decoded[..values.len()], values);
        }

        /// No data make it panic.
        #[test]
        fn any_data_are_decoded_or_refused(width in 0u8..40, data in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = decode(&data, width, 1000, &mut Vec::new());
        }
    }
}
