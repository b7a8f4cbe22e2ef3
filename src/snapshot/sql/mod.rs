//! Rows of SQL statements as columns of a table's types.

pub(crate) mod body;
