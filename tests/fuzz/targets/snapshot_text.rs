//! Any bytes are a CSV or NDJSON file of a snapshot or an error; its schema as found, or declared.
//!
//! The length of the input says how it is read, so that any file is an input as it is.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::SnapshotFile;

const DECLARED: &str = "(id BIGINT, day DATE, note VARCHAR, total DECIMAL(9, 2), at TIMESTAMP, x DOUBLE, b BOOLEAN)";

static TABLES: LazyLock<[SnapshotFile; 6]> = LazyLock::new(|| {
    let csv = "CSV LOCATION OPTIONS ('format.has_header' 'true', 'format.null_regex' '^NA$')";
    let other = "CSV LOCATION OPTIONS ('format.has_header' 'false', 'format.delimiter' '|', 'format.quote' '''', \
                 'format.escape' '\\', 'format.comment' '#')";
    [
        SnapshotFile::new("f.csv", "", csv),
        SnapshotFile::new("f.csv", DECLARED, csv),
        SnapshotFile::new("f.csv", "", other),
        SnapshotFile::new("f.csv", DECLARED, other),
        SnapshotFile::new("f.json", "", "JSON LOCATION"),
        SnapshotFile::new("f.json", DECLARED, "JSON LOCATION"),
    ]
});

fuzz_target!(|bytes: &[u8]| TABLES[bytes.len() % 6].read(bytes));
