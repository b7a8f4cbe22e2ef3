//! Hostile input: configs, manifests and snapshot files that chance has spoiled. Each becomes rows or an error with a place,
//! and nothing half is published. Where a decoder panics, as that of Parquet does over some bytes, it is an error too.
//!
//! Each property is searched twice: from a seed that is always the same, and from one of this run, which is written to standard
//! output and, with a failure, into its message. `SNAPLAKE_TEST_SEED=7 cargo test --release hostile` searches from that one alone,
//! `PROPTEST_CASES=100000 cargo test --release hostile` longer.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use futures::FutureExt;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use snaplake::config::{S3Settings, Variables, load};
use snaplake::layout::FilePartition;
use snaplake::manifest::codec::{decode_files, decode_foreign_summary, encode_files};
use snaplake::manifest::{FileEntry, Manifest, Roots};
use snaplake::session::Stores;

use crate::support::faulty::Faulty;
use crate::support::seed::{say, seeds};
use crate::support::{EVENTS, SETTINGS, Work, events};

/// What chance does to bytes.
#[derive(Debug, Clone)]
enum Spoil {
    Flip { at: usize, bit: u8 },
    Set { at: usize, to: u8 },
    Cut { at: usize },
    Drop { at: usize, length: usize },
    Repeat { at: usize, length: usize },
    Insert { at: usize, word: &'static str },
}

/// Words that mean something to one of the parsers.
const WORDS: [&str; 24] = [
    "'",
    "\"",
    "(",
    ")",
    ";",
    ",",
    "--",
    "/*",
    "${",
    "}",
    "$${",
    "SET ",
    "CREATE TABLE lake.x ",
    "WITH (",
    "ARRAY[",
    "]",
    "AS SELECT ",
    " FROM snapshot.events ",
    "\0",
    "\u{feff}",
    "é",
    "9999999999999999999999",
    "-1",
    "null",
];

fn spoils() -> impl Strategy<Value = Vec<Spoil>> {
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(usize::MAX));
    let spoil =
        (0..6u8, at, any::<u8>(), 0..WORDS.len(), 1..40usize).prop_map(|(kind, at, byte, word, length)| match kind {
            0 => Spoil::Flip { at, bit: byte % 8 },
            1 => Spoil::Set { at, to: byte },
            2 => Spoil::Cut { at },
            3 => Spoil::Drop { at, length },
            4 => Spoil::Repeat { at, length },
            _ => Spoil::Insert { at, word: WORDS[word] },
        });
    prop::collection::vec(spoil, 1..4)
}

fn spoil(bytes: &[u8], spoils: &[Spoil]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for spoil in spoils {
        let place = |at: usize| at % bytes.len().max(1);
        match *spoil {
            _ if bytes.is_empty() => {}
            Spoil::Flip { at, bit } => {
                let at = place(at);
                bytes[at] ^= 1 << bit;
            }
            Spoil::Set { at, to } => {
                let at = place(at);
                bytes[at] = to;
            }
            Spoil::Cut { at } => bytes.truncate(place(at)),
            Spoil::Drop { at, length } => {
                let at = place(at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Spoil::Repeat { at, length } => {
                let at = place(at);
                let part = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Spoil::Insert { at, word } => {
                let at = place(at);
                bytes.splice(at..at, word.bytes());
            }
        }
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A file with pages of several kinds: dictionary, plain, nested; two row groups.
fn parquet(compression: Compression) -> Vec<u8> {
    let rows = 400;
    let texts = (0..rows).map(|row| (row % 7 != 0).then(|| format!("2026-01-0{}", row % 3 + 1)));
    let lists = (0..rows).map(|row| (row % 5 != 0).then(|| (0..row % 4).map(Some).collect::<Vec<_>>()));
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new((0..rows).map(|row| Some(i64::from(row) * 7919)).collect::<Int64Array>())),
        ("day", Arc::new(texts.collect::<StringArray>())),
        ("note", Arc::new((0..rows).map(|row| Some(format!("{:x}", row * row * 31))).collect::<StringArray>())),
        ("x", Arc::new((0..rows).map(|row| (row % 3 != 0).then(|| f64::from(row) / 3.0)).collect::<Float64Array>())),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(250));
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

static PARQUET: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())].map(parquet)
});

static CSV: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let plain = events(0, 200).into_bytes();
    [gzip(&plain), plain]
});

const PARQUET_JOB: &str = "
    CREATE EXTERNAL TABLE snapshot.events STORED AS PARQUET LOCATION 's3://bucket/export/';
    CREATE TABLE lake.events WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id']) AS
    SELECT * FROM snapshot.events;
";

/// Runs a job over one good and one spoiled file; says whether it failed.
async fn run(tables: &str, name: &str, good: &[u8], bad: Vec<u8>) -> Result<(), String> {
    let work = Work::new(tables);
    let store = Faulty::default();
    store.set(&format!("export/a-{name}"), good.to_vec()).await;
    store.set(&format!("export/b-{name}"), bad).await;
    let stores = Stores::new(S3Settings::default());
    stores.insert("s3://bucket", Arc::new(store.clone()));
    let variables = [("out", "s3://bucket/out"), ("export", "s3://bucket/export")];
    let used = if tables.contains("${export") { 2 } else { 1 };
    let job = work.pipeline(stores, &variables[..used]);
    let outcome = AssertUnwindSafe(job.run()).catch_unwind().await.expect("the job panicked");
    let objects = store.objects("out").await;
    let is_marked = objects.keys().any(|key| key.ends_with("/_SUCCESS"));
    assert_eq!(outcome.is_ok(), is_marked, "the mark says something else than the run: {outcome:?}");
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}\n  because {error}");
                cause = error.source();
            }
            Err(text)
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// Searches for values of which a property does not hold: `few` from each seed, or as many as `PROPTEST_CASES` says.
fn holds<S: Strategy>(property: &str, few: u32, values: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    for seed in seeds() {
        say(&format!("{property}: SNAPLAKE_TEST_SEED={seed}"));
        let config = ProptestConfig::with_cases(asked.unwrap_or(few));
        let config = ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..config };
        if let Err(error) = TestRunner::new(config).run(values, &test) {
            panic!("with SNAPLAKE_TEST_SEED={seed}: {error}");
        }
    }
}

/// Any text is a config or an error with a position or a file.
#[test]
fn spoiled_config_is_an_error_or_a_config() {
    holds("configs", 400, &spoils(), |spoils| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.sql");
        std::fs::write(&path, spoil(format!("{SETTINGS}{EVENTS}").as_bytes(), &spoils)).unwrap();
        if let Err(error) = load(&path, &Variables::default()) {
            prop_assert!(error.to_string().contains("job.sql") || error.to_string().contains("lake"), "{}", error);
        }
        Ok(())
    });
}

/// Any bytes are a manifest or an error that names it.
#[test]
fn spoiled_manifest_is_an_error_or_a_manifest() {
    holds("manifests", 400, &(spoils(), 0usize..40), |(spoils, count)| {
        let entry = |number: usize| FileEntry {
            uri: format!("s3://b/{number:07}").into(),
            etag: "e".into(),
            size: 5,
            n_record: Some(1),
            partition: FilePartition::one(&format!("k={}", number / 4)),
        };
        let files: Vec<FileEntry> = (0..count).map(entry).collect();
        let data = encode_files(&files, "u").unwrap();
        if let Err(error) = decode_files(Bytes::from(spoil(&data, &spoils)), "s3://b/m") {
            prop_assert!(error.to_string().contains("s3://b/m"), "{}", error);
        }
        let manifest = Manifest::new(files, serde_json::json!({ "table": "t" }));
        let roots = Roots { staging: "s3://b/st".into(), lake: "s3://b/lake".into() };
        let summary = manifest.encode_summary("s3://b/d", &data, &manifest.fingerprint(), &roots).unwrap();
        let summary = spoil(&summary, &spoils);
        let ours = Manifest::<serde_json::Value>::decode_summary(&summary, "s3://b/m").err();
        for error in [ours, decode_foreign_summary(&summary, "s3://b/m").err()].into_iter().flatten() {
            prop_assert!(error.to_string().contains("s3://b/m"), "{}", error);
        }
        Ok(())
    });
}

/// A spoiled Parquet file becomes rows or an error; nothing is published without the mark.
#[test]
fn spoiled_parquet_is_an_error_or_rows() {
    holds("Parquet files", 150, &(spoils(), 0usize..3), |(spoils, kind)| {
        let good = &PARQUET[kind];
        if let Err(text) = block_on(run(PARQUET_JOB, "file.parquet", good, spoil(good, &spoils))) {
            prop_assert!(text.contains("b-file.parquet") || text.contains("lake.events"), "{}", text);
        }
        Ok(())
    });
}

/// The same of CSV, packed or not.
#[test]
fn spoiled_csv_is_an_error_or_rows() {
    holds("CSV files", 150, &(spoils(), 0usize..2), |(spoils, kind)| {
        let (good, name) = (&CSV[kind], ["file.csv.gz", "file.csv"][kind]);
        if let Err(text) = block_on(run(EVENTS, name, good, spoil(good, &spoils))) {
            prop_assert!(text.contains("b-file.csv") || text.contains("lake.events"), "{}", text);
        }
        Ok(())
    });
}

#[test]
#[should_panic(expected = "with SNAPLAKE_TEST_SEED=")]
fn property_that_does_not_hold_is_reported_with_its_seed() {
    holds("nothing", 50, &spoils(), |spoils| {
        prop_assert!(spoils.len() < 3);
        Ok(())
    });
}

/// A file of which a fuzzer found that Parquet's decoder panics: its footer is right, a page says more bits than a value has.
#[test]
fn file_on_which_the_decoder_panics_is_an_error_that_names_it_and_nothing_is_published() {
    let work = Work::new(&PARQUET_JOB.replace("s3://bucket/export/", "export/"));
    std::fs::create_dir(work.path("export")).unwrap();
    let damaged = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/damaged/decoder_panics.parquet");
    std::fs::copy(damaged, work.path("export/b.parquet")).unwrap();
    std::fs::write(work.path("export/a.parquet"), &PARQUET[0]).unwrap();
    let words = ["stage of lake.events group 1 failed", "export/b.parquet", "a decoder or encoder panicked"];
    let run = work.snaplake(&["run"]).failed(1, &words);
    assert!(!run.stderr.contains("panicked at") && !run.stderr.contains("RUST_BACKTRACE"), "{}", run.stderr);
    assert!(work.files("out/lake").is_empty());
    std::fs::remove_file(work.path("export/b.parquet")).unwrap();
    work.snaplake(&["run", "--replan"]).ok();
}

#[test]
fn panic_while_planning_is_an_error_that_names_the_file() {
    let work = Work::new(PARQUET_JOB);
    let store = Faulty::default();
    block_on(async {
        store.set("export/a.parquet", PARQUET[0].clone()).await;
        store.set("export/b.parquet", PARQUET[0].clone()).await;
        store.panic_reading("export/b.parquet");
        let stores = Stores::new(S3Settings::default());
        stores.insert("s3://bucket", Arc::new(store.clone()));
        let job = work.pipeline(stores, &[("out", "s3://bucket/out")]);
        let error = job.run().await.unwrap_err().to_string();
        assert!(error.contains("cannot read s3://bucket/export/b.parquet of snapshot.events"), "{error}");
        assert!(store.objects("out").await.is_empty());
    });
}
