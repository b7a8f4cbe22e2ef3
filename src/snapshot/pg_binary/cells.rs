//! The values of a block of rows, as places in its bytes, seen column by column.

/// A value's place; a NULL is no place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellSpan {
    start: u32,
    /// [`CellSpan::NULL`] for NULL.
    length: u32,
}

impl CellSpan {
    const NULL_LENGTH: u32 = u32::MAX;

    pub(crate) const NULL: Self = Self { start: 0, length: Self::NULL_LENGTH };

    /// Blocks are shorter than 4 GiB, since a record is.
    pub(crate) fn new(start: usize, length: usize) -> Self {
        Self { start: start as u32, length: length as u32 }
    }

    /// The bytes before `by` are gone.
    pub(crate) fn move_down(&mut self, by: usize) {
        self.start = self.start.saturating_sub(by as u32);
    }
}

/// One column of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PgCells<'a> {
    pub(crate) bytes: &'a [u8],
    /// Of all columns, row by row; complete rows only.
    pub(crate) spans: &'a [CellSpan],
    pub(crate) columns: usize,
    pub(crate) column: usize,
}

impl<'a> PgCells<'a> {
    #[inline]
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        let Self { bytes, spans, columns, column } = self;
        spans.chunks_exact(columns.max(1)).map(move |row| {
            let span = row.get(column)?;
            if span.length == CellSpan::NULL_LENGTH {
                return None;
            }
            let start = span.start as usize;
            bytes.get(start..start + span.length as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_every_nth_value() {
        let spans = [CellSpan::new(0, 1), CellSpan::NULL, CellSpan::new(1, 2), CellSpan::new(3, 0)];
        let cells = PgCells { bytes: b"abc", spans: &spans, columns: 2, column: 0 };
        assert_eq!(cells.iter().collect::<Vec<_>>(), [Some(b"a".as_slice()), Some(b"bc")]);
        let cells = PgCells { column: 1, ..cells };
        assert_eq!(cells.iter().collect::<Vec<_>>(), [None, Some(b"".as_slice())]);
    }
}
