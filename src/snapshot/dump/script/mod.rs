//! Finds, in one pass over a plain SQL dump, where the rows of each table are, and hands out the DDL text.
//!
//! It reads what pg_dump, pg_dumpall, mysqldump and mydumper write. It does not decode a value, does not parse DDL
//! and does not keep data: a `Data` event names a range of bytes of the (uncompressed) text, and a reader of rows
//! takes it from there. A dump that is cut, or that moves rows in a way which is not understood, is a [`DumpFault`]
//! with its line, never fewer rows. mydumper writes no mark at its end, so a file of it that is cut after a `;`
//! looks whole here; its `metadata` file has to be asked, and its files of triggers and routines are not for here.
//! It does not follow `NO_BACKSLASH_ESCAPES` of MySQL, which no dump program sets for rows.
//!
//! ```text
//! -- PostgreSQL database dump
//! CREATE TABLE public.t (a int);         -> Statement { text: "CREATE TABLE public.t (a int)", line: 2 }
//! COPY public.t (a) FROM stdin;
//! 1                                      \  Data { table: public.t, columns: [a], form: Copy,
//! 2                                      /         bytes: 89..93, rows: 2 }
//! \.
//! -- PostgreSQL database dump complete   -> Complete
//! ```
//!
//! | file         | idea                                                                  |
//! |--------------|-----------------------------------------------------------------------|
//! | `scanner.rs` | the whole: which of the three scanners has the next byte, and events  |
//! | `text.rs`    | text outside of data: quotes, comments, where a statement ends        |
//! | `text/`      | the bytes of comments, and those of quotes                            |
//! | `quote.rs`   | what a backslash means in a quote of which family                     |
//! | `copy.rs`    | lines of a COPY block                                                 |
//! | `insert.rs`  | tuples after VALUES                                                   |
//! | `words.rs`   | words, names and column lists of a statement that is in memory        |
//! | `kinds.rs`   | which statements are handed out, skipped or refused                   |

mod copy;
mod fault;
mod insert;
mod kinds;
mod quote;
mod scanner;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use self::fault::DumpFault;
pub(crate) use self::scanner::DumpScanner;

/// Name of a table as the database knows it: without quotes, doubled quotes made single.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DumpName {
    /// Schema of PostgreSQL or database of MySQL; `None` where neither the name nor `USE` nor `search_path` says it.
    pub(crate) schema: Option<String>,
    /// Name inside of the schema.
    pub(crate) name: String,
}

/// One find in a dump. Events come in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DumpEvent {
    /// DDL or setting that a reader of the data needs, without its `;`: CREATE TABLE, TYPE, DOMAIN, VIEW, SCHEMA,
    /// ALTER TABLE .. ATTACH PARTITION, SET, USE, and psql's `\connect` line, after which the same table names may
    /// come again for another database. A statement that begins with `/*!` has these comments of it unwrapped.
    Statement {
        /// Whole text; comments inside of the statement are kept.
        text: String,
        /// Line of its first byte, from 1.
        line: u64,
    },
    /// Rows of one table, or a part of them where there are more than `split_bytes`.
    Data {
        /// Table that the text names.
        table: DumpName,
        /// Columns of the values, where the text lists them.
        columns: Option<Vec<String>>,
        /// How the rows are written.
        form: DataForm,
        /// Copy: whole lines, without the `COPY` and the `\.` line. Insert: whole statements with their `;`, only
        /// white space between them.
        bytes: std::ops::Range<u64>,
        /// Lines or value tuples in `bytes`.
        rows: u64,
    },
    /// The dump program says that what stands before is whole. It can come twice where two dumps were joined.
    Complete,
}

/// How the rows of a `Data` event are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataForm {
    /// Lines of `COPY .. FROM stdin` in text format.
    Copy,
    /// `INSERT INTO .. VALUES (..), (..);` or `REPLACE INTO`.
    Insert,
}
