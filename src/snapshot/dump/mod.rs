//! SQL dumps and archives of databases: where the rows of each table are, and of what types its columns are. Pure.
//!
//! ```text
//! script    a dump as SQL text: its statements, and the byte ranges of COPY and INSERT data
//! archive   pg_dump -Fc, -Fd, -Ft: table of contents, data blocks
//! ddl       CREATE TABLE, TYPE and DOMAIN statements to columns with Arrow types
//! inserts   rows out of INSERT statements
//! ```

pub(crate) mod archive;
pub(crate) mod ddl;
pub(crate) mod head;
pub(crate) mod inserts;
pub(crate) mod script;

pub(crate) use crate::config::SqlFamily;
