//! The integration tests: one binary, since each links all of DataFusion.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod architecture;
mod bad_input;
mod clean;
mod cli;
mod copy;
mod crash;
mod diff;
mod faults;
mod hostile;
mod limits;
mod project;
mod proof;
mod readme;
mod requests;
mod s3;
mod secrets;
mod sizes;
mod slt;
mod steps;
mod stores;
mod support;
mod watch;
