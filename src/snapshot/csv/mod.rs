//! CSV: where fields begin and end (fields, escapes, coded), typed columns out of them (columns, quick, octets), and
//! the records of one file (body).

pub(crate) mod body;
mod coded;
pub(crate) mod columns;
pub(crate) mod escapes;
pub(crate) mod fields;
pub(crate) mod guess;
pub(crate) mod head;
#[cfg(test)]
pub(crate) mod tests;
