//! Counts the lines of a COPY block and finds its `\.` line; decodes nothing.
//!
//! A line ends at `\n`; a `\r` before it belongs to the line. `\.` as data is written `\\.`, so a line that is
//! just `\.` is always the end. It cannot fail by itself: a block without an end is seen by the caller at the end.
//!
//! ```text
//! 1\tx\n2\ty\n\.\n
//! ^^^^^^^^^^^^     data, 2 rows
//! ```

use memchr::memchr;

/// What the block did with the bytes it was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CopyStep {
    /// All bytes are taken, the block goes on.
    More,
    /// A row ends at this index, and the piece has reached its size.
    Cut(usize),
    /// The `\.` line: the data ends at `data_end` (offset in the text), the line ends before index `next`.
    End { data_end: u64, next: usize },
}

/// State inside of one COPY block.
#[derive(Debug)]
pub(super) struct CopyScan {
    piece_start: u64,
    line_start: u64,
    rows: u64,
    head: [u8; 3],
    head_len: usize,
}

impl CopyScan {
    /// Starts a block whose first data byte is at `offset`.
    pub(super) fn new(offset: u64) -> Self {
        Self { piece_start: offset, line_start: offset, rows: 0, head: [0; 3], head_len: 0 }
    }

    /// Reads on from `chunk[from..]`; `base` is the offset of `chunk[0]` in the text.
    pub(super) fn scan(&mut self, chunk: &[u8], from: usize, base: u64, split: u64) -> CopyStep {
        let mut at = from;
        while let Some(len) = chunk.get(at..).and_then(|rest| memchr(b'\n', rest)) {
            let next = at + len + 1;
            let last = if self.head_len == 0 && self.line_start == base + at as u64 {
                let line = &chunk[at..at + len];
                line.first() == Some(&b'\\') && is_end(line)
            } else {
                self.keep_head(&chunk[at..at + len]);
                is_end(self.line_head(base + (at + len) as u64))
            };
            let data_end = self.line_start;
            self.line_start = base + next as u64;
            self.head_len = 0;
            if last {
                return CopyStep::End { data_end, next };
            }
            self.rows += 1;
            if self.line_start - self.piece_start >= split {
                return CopyStep::Cut(next);
            }
            at = next;
        }
        self.keep_head(chunk.get(at..).unwrap_or_default());
        CopyStep::More
    }

    /// Offset where the data ends if the text ends at `offset` with a `\.` that has no line end.
    pub(super) fn end_of_text(&self, offset: u64) -> Option<u64> {
        is_end(self.line_head(offset)).then_some(self.line_start)
    }

    /// Takes the rows counted since the last call, and the offset where they start; the next piece starts at `end`.
    pub(super) fn take(&mut self, end: u64) -> (u64, u64) {
        (std::mem::replace(&mut self.piece_start, end), std::mem::take(&mut self.rows))
    }

    fn keep_head(&mut self, bytes: &[u8]) {
        for &b in bytes.iter().take(self.head.len() - self.head_len) {
            self.head[self.head_len] = b;
            self.head_len += 1;
        }
    }

    /// The line that ends at `offset`, if it is short enough to be the end; a longer one gives an empty slice.
    fn line_head(&self, offset: u64) -> &[u8] {
        let whole = offset - self.line_start == self.head_len as u64;
        if whole { &self.head[..self.head_len] } else { &[] }
    }
}

fn is_end(line: &[u8]) -> bool {
    line == b"\\." || line == b"\\.\r"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &[u8], step: usize, split: u64) -> (Vec<(u64, u64, u64)>, Option<usize>) {
        let mut scan = CopyScan::new(100);
        let mut pieces = Vec::new();
        for (n, chunk) in text.chunks(step).enumerate() {
            let base = 100 + (n * step) as u64;
            let mut at = 0;
            loop {
                match scan.scan(chunk, at, base, split) {
                    CopyStep::More => break,
                    CopyStep::Cut(next) => {
                        let end = base + next as u64;
                        let (start, rows) = scan.take(end);
                        pieces.push((start - 100, end - 100, rows));
                        at = next;
                    }
                    CopyStep::End { data_end, next } => {
                        let (start, rows) = scan.take(data_end);
                        pieces.push((start - 100, data_end - 100, rows));
                        return (pieces, Some(n * step + next));
                    }
                }
            }
        }
        (pieces, None)
    }

    #[test]
    fn end_line_is_found_in_any_chunks() {
        for step in 1..30 {
            assert_eq!(run(b"1\tx\n\\.y\n\\\\.\n\\.\nrest", step, 99), (vec![(0, 12, 3)], Some(15)), "{step}");
            assert_eq!(run(b"1\r\n\\.\r\n", step, 99), (vec![(0, 3, 1)], Some(7)), "{step}");
            assert_eq!(run(b"\\.\n", step, 99), (vec![(0, 0, 0)], Some(3)), "{step}");
        }
    }

    #[test]
    fn empty_lines_are_rows() {
        assert_eq!(run(b"\n\n\\.\n", 1, 99).0, vec![(0, 2, 2)]);
    }

    #[test]
    fn pieces_are_cut_at_line_ends() {
        for step in 1..12 {
            assert_eq!(run(b"12\n3\n45\n\\.\n", step, 4).0, vec![(0, 5, 2), (5, 8, 1)], "{step}");
        }
    }

    #[test]
    fn a_block_without_end_has_no_end() {
        assert_eq!(run(b"1\n2\n.\\\n x\\.\n", 4, 99).1, None);
    }
}
