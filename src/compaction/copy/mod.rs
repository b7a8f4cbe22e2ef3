//! Sorted runs that do not interleave become lake files without decoding a value: which ones, in which order (runs),
//! and lake files made of their pages (assemble, chunk).

pub(crate) mod assemble;
pub(crate) mod bounds;
pub(crate) mod chunk;
pub(crate) mod codec;
pub(crate) mod dictionary;
pub(crate) mod indices;
pub(crate) mod runs;
pub(crate) mod texts;

pub(crate) use self::assemble::Assembler;
