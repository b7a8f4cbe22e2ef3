//! Whatever the partition values are: they are read back from the path as they were, and no file leaves its folder.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use snaplake::layout::partition::{NULL_SEGMENT, encode, parse_path, path};
use snaplake::layout::{Location, SnapshotFolder, TableLayout};

#[derive(Debug, Arbitrary)]
struct Input {
    database: String,
    table: String,
    columns: Vec<(String, Option<String>)>,
    raw: String,
}

fuzz_target!(|input: Input| {
    let names: Vec<&str> = input.columns.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<Option<String>> = input.columns.iter().map(|(_, value)| value.clone()).collect();
    let joined = path(names.iter().copied(), &values);
    // That text is refused before it gets here.
    if !values.iter().flatten().any(|value| value == NULL_SEGMENT) {
        assert_eq!(parse_path(&joined), Some(values), "{joined}");
    }
    drop(parse_path(&input.raw));

    let folders = ["/staging", "s3://bucket/lake"].map(|text| Location::parse(text, "/".as_ref()).expect("a folder"));
    for name in [&input.database, &input.table] {
        // Configs refuse these names.
        if name.is_empty() || name == "." || name == ".." {
            return;
        }
    }
    let (names, time) = ((&*input.database, "public", &*input.table), "2026-01-31T00:00:00Z");
    let paths = TableLayout::new(&folders[0], &folders[1], names, (&SnapshotFolder::default(), time), None);
    for (folder, inside) in [(&folders[0], paths.staging_data()), (&folders[1], paths.lake())] {
        for file in [inside.join(&joined).join("0001.parquet"), paths.success().with_key(inside.raw_key())] {
            assert!(folder.holds(&file) || !folder.store().eq(file.store()), "{file} left {folder}");
        }
        let file = inside.join(&joined).join("0001.parquet");
        assert!(inside.holds(&file), "{file} left {inside}");
        let parts = file.raw_key().split('/').collect::<Vec<_>>();
        assert!(parts.iter().all(|part| !part.is_empty() && *part != "." && *part != ".."), "{file}");
        assert_eq!(parts.len(), inside.raw_key().split('/').count() + input.columns.len() + 1, "{file}");
        assert!(file.key().is_ok_and(|key| key.as_ref() == file.raw_key()), "{file}");
        assert_eq!(Location::from_uri(&file.uri()).ok().as_ref(), Some(&file));
    }
    assert!(!encode(&input.raw).contains(['/', '\\', '\0', '=', '%']) || encode(&input.raw).contains('%'));
});
