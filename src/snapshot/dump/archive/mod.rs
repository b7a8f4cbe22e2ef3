//! Reader of pg_dump archives: custom (`-Fc`), directory (`-Fd`) and tar (`-Ft`).
//!
//! ```text
//! toc       header and table of contents: entries with their statements, and where their data is
//! offsets   where each data block of a custom archive is, also where the archive was written to a pipe
//! blocks    the bytes of one data block, unpacked
//! tar       the members of a tar archive
//! ```
//!
//! Everything is pushed in pieces: nothing here does I/O or holds an archive. Form: pg_backup_archiver.c and
//! pg_backup_custom.c of PostgreSQL, archive versions 1.12 to 1.16.

pub(crate) mod blocks;
mod codec;
mod cursor;
pub(crate) mod entry;
pub(crate) mod fault;
pub(crate) mod format;
mod lz4;
pub(crate) mod offsets;
pub(crate) mod tar;
pub(crate) mod toc;
mod walk;

#[cfg(test)]
mod made_tests;
