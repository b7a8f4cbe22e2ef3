//! Any bytes are an Avro or Arrow IPC file or an error: Avro by its first bytes; its schema as found, or declared.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::DecodedFile;

const DECLARED: &str = "(id BIGINT, s VARCHAR, total DECIMAL(12, 2), at TIMESTAMP, day DATE, x DOUBLE, b BYTEA)";

static TABLES: LazyLock<[DecodedFile; 4]> = LazyLock::new(|| {
    [
        ("f.avro", "", "AVRO LOCATION"),
        ("f.avro", DECLARED, "AVRO LOCATION"),
        ("f.arrow", "", "ARROW LOCATION"),
        ("f.arrow", DECLARED, "ARROW LOCATION"),
    ]
    .map(|(name, columns, stored_as)| DecodedFile::new(name, columns, stored_as))
});

fuzz_target!(|bytes: &[u8]| {
    let format = if bytes.starts_with(b"Obj") { 0 } else { 2 };
    TABLES[format + bytes.len() % 2].read(bytes);
});
