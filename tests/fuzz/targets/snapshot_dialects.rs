//! Any bytes are CSV as a program writes it, in an encoding, or an error: COPY's text, MySQL's escapes and others.
//!
//! The length of the input says how it is read.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::DecodedFile;

const DIALECTS: [&str; 6] = ["postgres_text", "mysql", "mysql_batch", "dms", "snowflake", "redshift"];
const ENCODINGS: [&str; 4] = ["utf-8", "latin1", "utf-16le", "shift_jis"];
const DECLARED: &str = "(id BIGINT, s VARCHAR, d DECIMAL(12, 2), at TIMESTAMP, b BYTEA, flag BOOLEAN, t VARCHAR)";

static TABLES: LazyLock<Vec<DecodedFile>> = LazyLock::new(|| {
    let mut tables = Vec::new();
    for dialect in DIALECTS {
        for encoding in ENCODINGS {
            let stored_as = format!("CSV LOCATION OPTIONS ('dialect' '{dialect}', 'encoding' '{encoding}')");
            tables.extend(["", DECLARED].map(|columns| DecodedFile::new("f.txt", columns, &stored_as)));
        }
    }
    tables
});

fuzz_target!(|bytes: &[u8]| TABLES[bytes.len() % TABLES.len()].read(bytes));
