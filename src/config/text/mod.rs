//! SQL text into statements, with the position of each: variables, tokens, quotes.

pub(crate) mod parse;
pub(crate) mod quotes;
pub(crate) mod statement;
pub(crate) mod tokens;
pub(crate) mod unnamed;
pub(crate) mod variables;
pub(crate) mod walk;
