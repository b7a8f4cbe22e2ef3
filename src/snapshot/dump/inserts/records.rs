//! The rows of a batch as columns of fields: places in the bytes as they came, or in what was written anew.
//!
//! Both are UTF-8 when they are read here ([`crate::snapshot::dump::inserts::anew`]); nothing can fail any more.

pub(crate) const POSITION: u32 = (1 << 30) - 1;
pub(crate) const ANEW: u32 = 1 << 31;

/// How a field is to be taken, in the upper bits of [`InsertSpan::end`].
pub(crate) const BARE: u32 = 0;
pub(crate) const QUOTED: u32 = 1 << 30;
pub(crate) const BYTES: u32 = 2 << 30;
pub(crate) const RAW: u32 = 3 << 30;

/// A value as a column reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InsertField<'a> {
    /// The word, not the text.
    Null,
    /// A number, TRUE, FALSE or DEFAULT as written; MySQL's `b'0101'` as a decimal number.
    Bare(&'a str),
    /// The text of a quoted value; in a binary column it stands for its bytes.
    Quoted(&'a str),
    /// What was written as bytes (`0x00FF`, `_binary '..'`), as `\x00ff`.
    Bytes(&'a str),
    /// A quoted value that is not UTF-8, as `\x00ff`: right in a binary column, a fault in any other.
    Raw(&'a str),
}

/// A value's place, and how it was written. NULL is [`InsertSpan::NULL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InsertSpan {
    /// With [`ANEW`] in the buffer of what is written anew.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl InsertSpan {
    pub(crate) const NULL: Self = Self { start: u32::MAX, end: 0 };

    /// Of the bytes as they came. Both positions fit [`POSITION`].
    #[inline(always)]
    pub(crate) fn of(start: usize, end: usize, kind: u32) -> Self {
        Self { start: start as u32, end: end as u32 | kind }
    }

    pub(crate) fn kind(self) -> u32 {
        self.end & !POSITION
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        (self.start & POSITION) as usize..(self.end & POSITION) as usize
    }
}

/// The rows of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InsertRecords<'a> {
    pub(crate) text: &'a str,
    pub(crate) anew: &'a str,
    pub(crate) spans: &'a [InsertSpan],
    pub(crate) columns: usize,
    /// A value is bytes, or a word other than NULL.
    pub(crate) has_odd_values: bool,
}

impl<'a> InsertRecords<'a> {
    /// The values of a column, which the rows have to have.
    pub(crate) fn column(&self, column: usize) -> impl ExactSizeIterator<Item = InsertField<'a>> + Clone + use<'a> {
        let (text, anew) = (self.text, self.anew);
        let rows = self.spans.chunks_exact(self.columns.max(1));
        rows.map(move |row| read(text, anew, row[column]))
    }

    #[cfg(test)]
    /// How many there are.
    pub(crate) fn rows(&self) -> usize {
        self.spans.len() / self.columns.max(1)
    }
}

#[inline(always)]
fn read<'a>(text: &'a str, anew: &'a str, span: InsertSpan) -> InsertField<'a> {
    if span == InsertSpan::NULL {
        return InsertField::Null;
    }
    let text = &(if span.start & ANEW == 0 { text } else { anew })[span.range()];
    match span.kind() {
        BARE => InsertField::Bare(text),
        QUOTED => InsertField::Quoted(text),
        BYTES => InsertField::Bytes(text),
        _ => InsertField::Raw(text),
    }
}
