//! Values as dump programs write most of them, found 64 bytes at a time: plain numbers, NULL, and quoted text without
//! escapes. What is anything else, longer than a block or at the end of the bytes is left to
//! [`InsertSplitter`]'s walk through one value, which also says what is wrong.
//!
//! ```text
//! 17,'it''s',NULL),(18,'x','y'),
//! ^^ plain   ^^^^   ^^ ^^^ ^^^
//!    ^^^^^^^ left to the walk
//! ```

use super::{InsertSplitter, MAX_BATCH, SplitterState};
use crate::snapshot::block::{BLOCK, bits, marks};
use crate::snapshot::dump::inserts::fault::InsertHalt;
use crate::snapshot::dump::inserts::records::{BARE, InsertSpan, QUOTED};

/// What is at a place in a block.
enum Plain {
    /// A value, and where its comma or parenthesis is.
    Value(InsertSpan, usize),
    /// A value that the block cuts.
    Cut,
    /// Anything else.
    Odd,
}

impl InsertSplitter {
    /// Takes plain values from `at` on, and whole rows up to `rows`. Whether it stopped after a row.
    pub(super) fn plain_values<const MYSQL: bool>(&mut self, rows: usize) -> Result<bool, InsertHalt> {
        while let Some(block) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            let (block, base) = (*block, self.at);
            let specials = marks(&block, b"',)\\");
            let others = bits(&block, |byte| byte.wrapping_sub(b'0') > 9);
            let (mut at, mut most) = (0, self.most_spans());
            while at < BLOCK {
                at += usize::from(block[at] == b' ');
                let found = plain::<MYSQL>(&block, base, at, specials, others);
                self.at = base + at;
                let (span, end) = match found {
                    Plain::Value(span, end) if self.spans.len() < most => (span, end),
                    Plain::Cut if at > 0 => break,
                    _ => return Ok(false),
                };
                self.spans.push(span);
                if block[end] == b',' {
                    at = end + 1;
                    self.at = base + at;
                    continue;
                }
                self.at = base + end;
                self.complete_row()?;
                if self.rows >= rows || self.at >= MAX_BATCH || block.get(end + 1..end + 3) != Some(b",(") {
                    return Ok(true);
                }
                (at, most) = (end + 3, self.most_spans());
                self.at = base + at;
                self.state = SplitterState::Values;
            }
        }
        Ok(false)
    }
}

/// The value at a place of the block. `specials` are quotes, commas, closing parentheses and backslashes, `others` are
/// bytes that are no digits.
#[inline(always)]
fn plain<const MYSQL: bool>(block: &[u8; BLOCK], base: usize, start: usize, specials: u64, others: u64) -> Plain {
    if start >= BLOCK {
        return Plain::Cut;
    }
    let from = u64::MAX << start;
    if block[start] == b'\'' {
        let mut found = specials & from & !(1 << start);
        while found != 0 {
            let at = found.trailing_zeros() as usize % BLOCK;
            match block[at] {
                b'\'' => {
                    return match block.get(at + 1) {
                        Some(b',' | b')') => Plain::Value(InsertSpan::of(base + start + 1, base + at, QUOTED), at + 1),
                        Some(_) => Plain::Odd,
                        None => Plain::Cut,
                    };
                }
                b'\\' if MYSQL => return Plain::Odd,
                _ => found &= found - 1,
            }
        }
        return Plain::Cut;
    }
    let found = specials & from;
    if found == 0 {
        return Plain::Cut;
    }
    let end = found.trailing_zeros() as usize % BLOCK;
    let first = start + usize::from(block[start] == b'-');
    // What is no digit between the sign and the end: nothing, or a point.
    let odd = others & (u64::MAX << start << (first - start)) & !(u64::MAX << end);
    let is_number = if odd == 0 {
        end > first
    } else {
        odd & (odd - 1) == 0 && end > first + 1 && block[odd.trailing_zeros() as usize % BLOCK] == b'.'
    };
    match block[end] {
        b',' | b')' if is_number => Plain::Value(InsertSpan::of(base + start, base + end, BARE), end),
        b',' | b')' if block[start..end] == *b"NULL" => Plain::Value(InsertSpan::NULL, end),
        _ => Plain::Odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::dump::SqlFamily;
    use crate::snapshot::dump::inserts::fault::InsertFault;
    use crate::snapshot::dump::inserts::rows_tests::rows_of;

    /// Each value at each place of a block gives what the walk gives, which reads the bytes one at a time.
    #[test]
    fn values_at_any_place_of_a_block_are_those_of_the_walk() {
        let values = [
            "0",
            "-5",
            "+5",
            "1.25",
            "-.5",
            "-1.",
            "-",
            ".",
            "1-2",
            "1.2.3",
            "1e5",
            "NULL",
            "null",
            "NULLS",
            "",
            "TRUE",
            "''",
            "'a'",
            "'a),(b'",
            "'it''s'",
            r"'it\'s'",
            r"'C:\'",
            "'a' 'b'",
            "'a'b",
            "'é'",
            "\"a'\"",
            "0xff",
            "x'00'",
            "E'a\\''",
            " 7",
            "'a' ",
            "now()",
            "'0123456789012345678901234567890123456789012345678901234567890123456789'",
        ];
        for family in [SqlFamily::MySql, SqlFamily::Postgres] {
            for value in values {
                for before in 0..70 {
                    let text = format!(
                        "INSERT INTO t VALUES ('{}',{value},1),({value},'x',-2.50),(NULL,{value},{value});\n-- {}\n",
                        "b".repeat(before),
                        "c".repeat(70)
                    );
                    // A fault shows the bytes that are there; its place is enough.
                    let read = |size| {
                        let (rows, end) =
                            rows_of(&mut InsertSplitter::new(family, 3, 1000), text.as_bytes(), &[size], 100);
                        let place = |fault: InsertFault| fault.to_string().split(": ").next().map(str::to_owned);
                        (rows, end.map_err(place))
                    };
                    assert_eq!(read(text.len()), read(1), "{text}");
                }
            }
        }
    }
}
