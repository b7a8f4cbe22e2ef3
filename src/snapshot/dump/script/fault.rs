//! Says why a dump cannot be scanned, always with the line; does not try to go on after a fault.

/// Longest statement outside of data, in bytes.
pub(super) const LIMIT: usize = 16 << 20;

/// Reason why a dump is not usable as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DumpFault {
    /// Cut dump: the end comes inside of something.
    #[error("line {line}: the {what} that begins here never ends, the dump is cut")]
    NotEnded {
        /// `statement`, `quote`, `comment`, `dollar quote` or `COPY block`.
        what: &'static str,
        /// Line where it begins.
        line: u64,
    },
    /// INSERT whose rows are not in the text.
    #[error("line {line}: this INSERT has no list of VALUES, its rows are not in the dump")]
    NoValues {
        /// Line of the INSERT.
        line: u64,
    },
    /// INSERT that does more, or other things, than list values.
    #[error("line {line}: this INSERT cannot be read: {why}")]
    OddInsert {
        /// Line of the place that is odd.
        line: u64,
        /// What is odd there.
        why: &'static str,
    },
    /// COPY that is not `COPY table [(columns)] FROM stdin;`.
    #[error("line {line}: this COPY cannot be read: {why}")]
    OddCopy {
        /// Line of the COPY.
        line: u64,
        /// What is odd there.
        why: &'static str,
    },
    /// Statement or psql command that changes rows or takes them from elsewhere.
    #[error("line {line}: `{what}` changes or loads rows outside of this text")]
    RowsElsewhere {
        /// Line of the statement.
        line: u64,
        /// First word of it.
        what: String,
    },
    /// Statement that empties, removes or renames a table whose rows are above it.
    #[error("line {line}: `{what}` of table {table}, whose rows are before it")]
    RowsRemoved {
        /// Line of the statement.
        line: u64,
        /// First word of it.
        what: &'static str,
        /// The table.
        table: String,
    },
    /// Statement that is no DDL of a real dump; the limit keeps memory bounded.
    #[error("line {line}: this statement is longer than {} MB", LIMIT >> 20)]
    TooLong {
        /// Line where it begins.
        line: u64,
    },
    /// Names and DDL are handed out as text and must not change on the way.
    #[error("line {line}: this statement is not UTF-8, dump again with UTF-8 as client encoding")]
    NotUtf8 {
        /// Line where the statement begins.
        line: u64,
    },
    /// In such a charset a byte that looks like a backslash can be the second half of a letter.
    #[error("line {line}: in the charset {charset} quotes cannot be told from letters, dump again with UTF-8")]
    Charset {
        /// Line of the SET.
        line: u64,
        /// Name as the dump has it.
        charset: String,
    },
    /// A backslash in a quote means different things in the two families.
    #[error("line {line}: a backslash in a quote, and nothing says whether the dump is of PostgreSQL or MySQL")]
    UnknownFamily {
        /// Line of the backslash.
        line: u64,
    },
    /// Body of a trigger or routine that is not set off by DELIMITER, as mydumper writes it in files of its own.
    #[error("line {line}: a trigger or routine without DELIMITER, it cannot be told from rows")]
    BareRoutine {
        /// Line of the CREATE.
        line: u64,
    },
    /// `DELIMITER` without a delimiter or with a too long one.
    #[error("line {line}: this DELIMITER line names no usable delimiter")]
    OddDelimiter {
        /// Line of the command.
        line: u64,
    },
}
