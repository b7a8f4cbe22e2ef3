//! Any bytes are a packed CSV file of a snapshot or an error: gzip, and by their first bytes zstd, bzip2 or xz.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::SnapshotFile;

static TABLES: LazyLock<[SnapshotFile; 4]> = LazyLock::new(|| {
    let csv = "CSV LOCATION OPTIONS ('format.has_header' 'true')";
    ["gz", "zst", "bz2", "xz"].map(|packed| SnapshotFile::new(&format!("f.csv.{packed}"), "", csv))
});

fuzz_target!(|bytes: &[u8]| {
    let table = match bytes {
        [0x28, 0xb5, ..] => 1,
        [b'B', b'Z', ..] => 2,
        [0xfd, b'7', ..] => 3,
        _ => 0,
    };
    TABLES[table].read(bytes);
});
