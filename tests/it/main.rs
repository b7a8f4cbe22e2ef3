//! The integration tests: one binary, since each links all of DataFusion.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod architecture;
mod bad_input;
mod cli;
mod project;
mod readme;
mod requests;
mod s3;
mod sizes;
mod slt;
mod steps;
mod stores;
mod support;
