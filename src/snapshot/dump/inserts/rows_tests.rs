//! What the tests of several files need: all rows of an input, by chunks and batches of any size.

use crate::snapshot::dump::SqlFamily;
use crate::snapshot::dump::inserts::fault::InsertFault;
use crate::snapshot::dump::inserts::records::InsertField;
use crate::snapshot::dump::inserts::splitter::InsertSplitter;

/// A field that outlives its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owned {
    Null,
    Bare(String),
    Quoted(String),
    Bytes(String),
    Raw(String),
}

impl From<InsertField<'_>> for Owned {
    fn from(field: InsertField<'_>) -> Self {
        match field {
            InsertField::Null => Self::Null,
            InsertField::Bare(text) => Self::Bare(text.to_owned()),
            InsertField::Quoted(text) => Self::Quoted(text.to_owned()),
            InsertField::Bytes(text) => Self::Bytes(text.to_owned()),
            InsertField::Raw(text) => Self::Raw(text.to_owned()),
        }
    }
}

pub(crate) type TestRows = Vec<Vec<Owned>>;

/// The rows of an input, in chunks of these sizes again and again, with how it ended.
pub(crate) fn rows_of(
    splitter: &mut InsertSplitter,
    input: &[u8],
    sizes: &[usize],
    batch: usize,
) -> (TestRows, Result<(), InsertFault>) {
    let (mut rows, mut at, mut sizes) = (Vec::new(), 0, sizes.iter().cycle());
    let ended = loop {
        let end = input.len().min(at + sizes.next().unwrap());
        let chunk = &input[at..end];
        match splitter.push(chunk, batch) {
            Ok(taken) => {
                assert!(taken == chunk.len() || splitter.is_full(batch));
                at += taken;
            }
            Err(fault) => break Err(fault),
        }
        // Between batches, and now and then within one.
        if splitter.is_full(batch) || at % 7 == 0 {
            take(splitter, batch, &mut rows);
        }
        if at == input.len() {
            break splitter.end();
        }
    };
    take(splitter, batch, &mut rows);
    (rows, ended)
}

fn take(splitter: &mut InsertSplitter, batch: usize, rows: &mut TestRows) {
    let columns = splitter.columns();
    let records = splitter.records().unwrap();
    assert!(records.rows() <= batch.max(1));
    let from = rows.len();
    rows.resize(from + records.rows(), Vec::new());
    for column in 0..if records.rows() > 0 { columns } else { 0 } {
        assert_eq!(records.column(column).len(), records.rows());
        for (row, field) in records.column(column).enumerate() {
            rows[from + row].push(Owned::from(field));
        }
    }
    splitter.clear();
    assert_eq!(splitter.rows(), 0);
}

/// All rows, or what is wrong.
pub(crate) fn read(dialect: SqlFamily, columns: usize, input: &[u8]) -> Result<TestRows, InsertFault> {
    let (rows, ended) = rows_of(&mut InsertSplitter::new(dialect, columns, 1 << 20), input, &[usize::MAX >> 1], 1000);
    ended.map(|()| rows)
}
