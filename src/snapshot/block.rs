//! Which of 64 bytes mean something, as one bit each: what splitters of records look at, instead of one byte after
//! the other. It knows no format.
//!
//! ```text
//! bytes   1,'a,b',2
//! ','     .x...x.x..    marks(block, &[b','])
//! '\''    ..x....x..
//! inside  ..xxxxx...    inside(quotes): from an opening quote up to the byte before the closing one
//! ```

/// Bytes that are looked at together.
pub(crate) const BLOCK: usize = 64;

/// One bit for each byte of the block that is one of the marks.
#[inline(always)]
pub(crate) fn marks<const MARKS: usize>(block: &[u8; BLOCK], marks: &[u8; MARKS]) -> u64 {
    bits(block, |byte| marks.iter().fold(false, |found, mark| found | (byte == *mark)))
}

/// One bit for each byte of the block that `is` says yes to. The first loop is a few vector instructions if `is` is
/// comparisons; the multiplication gathers the lowest bits of eight bytes.
#[inline(always)]
pub(crate) fn bits(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let mut found = [0_u8; BLOCK];
    for (found, byte) in found.iter_mut().zip(block) {
        *found = u8::from(is(*byte));
    }
    let (words, _) = found.as_chunks::<8>();
    words.iter().enumerate().fold(0, |bits, (number, word)| {
        let gathered = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits | (gathered << (8 * number))
    })
}

/// Bytes inside of quotes, with the opening and without the closing ones. If the block begins inside of quotes, it is
/// the complement.
#[inline(always)]
pub(crate) fn inside(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].iter().fold(quotes, |inside, shift| inside ^ (inside << shift))
}

/// Bytes that a backslash takes with it. `is_first_escaped` is of the first byte, and then of the byte after the block.
/// In a run of backslashes each second one is taken by the one before (simdjson's `find_escaped`).
#[inline(always)]
pub(crate) fn escaped(backslashes: u64, is_first_escaped: &mut bool) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let first = u64::from(*is_first_escaped);
    let backslashes = backslashes & !first;
    let follows = backslashes << 1 | first;
    // A carry runs through each run of backslashes that starts at an odd place, and comes out after it.
    let (ends, runs_over) = (backslashes & !EVEN & !follows).overflowing_add(backslashes);
    *is_first_escaped = runs_over;
    (EVEN ^ (ends << 1)) & follows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_those_of_a_walk_byte_by_byte(
            text in prop::collection::vec(prop_oneof![Just(b'\''), Just(b'\\'), any::<u8>()], 4 * BLOCK),
        ) {
            let (mut is_inside, mut takes, mut is_escaped) = (false, false, false);
            for block in text.as_chunks::<BLOCK>().0 {
                let quotes = inside(marks(block, b"'")) ^ if is_inside { u64::MAX } else { 0 };
                let (both, taken) = (marks(block, b"'\\"), escaped(marks(block, b"\\"), &mut is_escaped));
                for (at, byte) in block.iter().enumerate() {
                    is_inside ^= *byte == b'\'';
                    prop_assert_eq!(both >> at & 1 == 1, matches!(byte, b'\'' | b'\\'));
                    prop_assert_eq!(quotes >> at & 1 == 1, is_inside);
                    prop_assert_eq!(taken >> at & 1 == 1, takes);
                    takes = *byte == b'\\' && !takes;
                }
                prop_assert_eq!(is_escaped, takes);
            }
        }
    }
}
