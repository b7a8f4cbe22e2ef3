//! Any bytes are a file of COPY BINARY or an error: one column of each type, by the length of the input, or all of them.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::DecodedFile;

const TYPES: [&str; 13] = [
    "BOOLEAN",
    "SMALLINT",
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "VARCHAR",
    "BYTEA",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "DECIMAL(20, 3)",
];

static TABLES: LazyLock<Vec<DecodedFile>> = LazyLock::new(|| {
    let column = |(number, data_type): (usize, &&str)| format!("c{number} {data_type}");
    let all = TYPES.iter().enumerate().map(column).collect::<Vec<_>>().join(", ");
    let each = TYPES.iter().enumerate().map(column).chain([all]);
    each.map(|columns| DecodedFile::new("f.bin", &format!("({columns})"), "PG_BINARY LOCATION")).collect()
});

fuzz_target!(|bytes: &[u8]| {
    // The first row's number of columns.
    let has_one = bytes.get(19..21) == Some(&[0, 1]);
    TABLES[if has_one { bytes.len() % TYPES.len() } else { TYPES.len() }].read(bytes);
});
