//! TestRows out of INSERT statements: where each value begins and ends, and how it was written.
//!
//! ```text
//! INSERT INTO `t` VALUES (1,'a\\'b',NULL),(2,0x00FF,'')    row 1: Bare 1, Quoted a'b, Null
//!                                                         row 2: Bare 2, Bytes \x00ff, Quoted ''
//! ```
//!
//! It knows no types: a column reads the fields in its own type. What is no literal is a fault with its row.

mod anew;
pub(crate) mod fault;
mod heads;
pub(crate) mod records;
mod rewrite;
pub(crate) mod settings;
pub(crate) mod splitter;
pub(super) mod values;

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod rows_tests;
