//! Tests of the whole way from text to a checked plan; those of single values are in their files.

mod configs;
mod selects;
