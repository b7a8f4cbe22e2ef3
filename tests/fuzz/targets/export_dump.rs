//! Any bytes are a dump or an error: pg_dump's archive as custom or tar file, plain SQL of PostgreSQL or of MySQL. The
//! catalogue is read, and the rows of all tables.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::read_export;

fuzz_target!(|bytes: &[u8]| {
    let head = &bytes[..bytes.len().min(64)];
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    let is_postgres = is_tar || head.starts_with(b"PGDMP") || head.windows(8).any(|word| word == b"PostgreS");
    read_export(if is_postgres { "PG_DUMP" } else { "MYSQL_DUMP" }, bytes);
});
