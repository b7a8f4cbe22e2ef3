//! Any bytes are a Parquet file of a snapshot or an error; its schema as found, or declared.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::SnapshotFile;

static TABLES: LazyLock<[SnapshotFile; 2]> = LazyLock::new(|| {
    let declared = "(id BIGINT, day DATE, note VARCHAR)";
    ["", declared].map(|columns| SnapshotFile::new("f.parquet", columns, "PARQUET LOCATION"))
});

fuzz_target!(|bytes: &[u8]| TABLES[bytes.len() % 2].read(bytes));
