//! The integration tests: one binary, since each links all of DataFusion.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod architecture;
mod audit;
mod awoken;
mod bad_input;
mod bundles;
mod clean;
mod cli;
mod copy;
mod covered;
mod crash;
mod damage;
mod diff;
mod dumps;
mod etags;
mod faults;
mod foreign;
mod golden;
mod hostile;
mod init;
mod json_page;
mod lake_types;
mod limits;
mod mistakes;
mod places;
mod proof;
mod query;
mod readme;
mod replan;
mod report;
mod requests;
mod s3;
mod secrets;
mod sizes;
mod slt;
mod sources;
mod specs;
mod steps;
mod stores;
mod support;
mod types;
mod walkthrough;
mod watch;
mod withheld;
