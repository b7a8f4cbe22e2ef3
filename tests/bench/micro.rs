//! Micro benches of the hot parts, on rows like those of TPC-H lineitem: the median time of each, and rows per second.
//!
//! ```text
//! cargo bench --features bench                    all, about a minute
//! cargo bench --features bench -- order merge     those whose names contain one of these words
//! ```
//!
//! A plain loop over `Instant`: criterion and divan switch on features of `serde` and `clap`, and `cargo run` and `cargo
//! test` would no longer share one build of the dependencies. Data are made before the clock starts and are the same each
//! time. All but the merges use one thread; a merge reads its runs and merges on two, as a task does.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray, UInt32Array,
};
use datafusion::arrow::compute::{SortOptions, take_record_batch};
use datafusion::arrow::csv::{QuoteStyle, WriterBuilder};
use datafusion::datasource::memory::MemorySourceConfig;
use futures::StreamExt;
use snaplake::bench::pack;
use snaplake::bench::{EncodedFiles, SortKeys, decode_csv, encode, merge_runs, order_run, ranges};
use snaplake::layout::partition::split;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROWS: usize = 1_000_000;
const BATCH_ROWS: usize = 8192;
const DAYS: u64 = 2526;

/// Columns of [`lineitem`].
const ORDERKEY: usize = 0;
const SHIPDATE: usize = 4;
const YEAR: usize = 5;
const MONTH: usize = 6;

/// A bench is repeated this long, and at least so often.
const LONG_ENOUGH: Duration = Duration::from_secs(3);
const AT_LEAST: usize = 5;

fn main() -> Result<()> {
    let table = Table::new();
    let names: Vec<String> = (0..ROWS).map(|file| format!("export/lineitem/part-{file:07}.parquet")).collect();
    let files: Vec<(&str, u64)> =
        names.iter().zip(0..).map(|(name, file)| (name.as_str(), 1_000 + noise(file) % 4_000_000)).collect();
    table.add("group: files of many sizes", ROWS, || Ok(black_box(pack(&files, 256_000_000)).len()))?;

    let in_order = lineitem()?;
    for (kind, style) in [("plain", QuoteStyle::Necessary), ("quoted", QuoteStyle::Always)] {
        let mut text = Vec::new();
        WriterBuilder::new().with_quote_style(style).build(&mut text).write(&in_order)?;
        let chunks: Vec<Bytes> = text.chunks(256 << 10).map(Bytes::copy_from_slice).collect();
        table.add(&format!("decode: CSV, {kind}"), ROWS, || Ok(decode_csv(&in_order.schema(), &chunks)?))?;
    }
    let shuffled = shuffle(&in_order)?;
    let keys: SortKeys = vec![(ORDERKEY, SortOptions::default())];
    for (partitions, columns) in [("84", &[YEAR, MONTH][..]), ("2,526", &[SHIPDATE])] {
        for (kind, run) in [("in order", &in_order), ("shuffled", &shuffled)] {
            let name = format!("order: {partitions} partitions, keys {kind}");
            table.add(&name, ROWS, || Ok(order_run(run, columns, &keys)?))?;
        }
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let lake_row = in_order
        .project(&(0..in_order.num_columns()).filter(|column| ![YEAR, MONTH].contains(column)).collect::<Vec<_>>())?;
    for (kind, runs) in [("one after the other", cut(&lake_row, 32)), ("interleaved", deal(&lake_row, 32)?)] {
        let name = format!("merge: 32 runs {kind}");
        let runs: Vec<Vec<RecordBatch>> = runs.iter().map(batches).collect();
        let plan = merge_runs(MemorySourceConfig::try_new_exec(&runs, lake_row.schema(), None)?, keys.clone());
        table.add(&name, ROWS, || {
            runtime.block_on(async {
                let mut merged = plan.execute(0, Arc::default())?;
                let mut rows = 0;
                while let Some(batch) = merged.next().await {
                    rows += black_box(batch?).num_rows();
                }
                assert_eq!(rows, ROWS);
                Ok(rows)
            })
        })?;
    }

    // About what one run and one of 84 partitions of scale factor 5 have.
    for (kind, files, rows) in
        [("staging", EncodedFiles::Staging, 50_000), ("lake, zstd 3", EncodedFiles::Lake, 350_000)]
    {
        let name = format!("encode: {kind}");
        let batches = batches(&lake_row.slice(0, rows));
        table.add(&name, rows, || Ok(encode(files, &batches)?))?;
    }

    let staged = batches(&lake_row.slice(0, 50_000));
    table.add("ranges: staging", 50_000, || Ok(ranges(&staged)?))?;

    for (partitions, columns) in [("84", &[YEAR, MONTH][..]), ("2,526", &[SHIPDATE])] {
        let name = format!("split: {partitions} partitions");
        let by_day = sorted_by(&in_order, SHIPDATE)?.project(columns)?;
        let batches = batches(&by_day);
        table.add(&name, ROWS, || {
            let mut parts = 0;
            for batch in &batches {
                parts += black_box(split(batch.columns(), batch.num_rows())?).len();
            }
            Ok(parts)
        })?;
    }
    Ok(())
}

/// What is printed: a line per bench that was asked for.
struct Table {
    words: Vec<String>,
}

impl Table {
    fn new() -> Self {
        println!("| bench | rows | median ms | min-max ms | M rows/s |\n| --- | ---: | ---: | ---: | ---: |");
        // Cargo adds `--bench`.
        Self { words: std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect() }
    }

    /// Runs a part once for nothing, then for a while.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 rows")]
    fn add<T>(&self, name: &str, rows: usize, mut part: impl FnMut() -> Result<T>) -> Result<()> {
        if !self.words.is_empty() && !self.words.iter().any(|word| name.contains(word.as_str())) {
            return Ok(());
        }
        black_box(part()?);
        let (began, mut seconds) = (Instant::now(), Vec::new());
        while seconds.len() < AT_LEAST || began.elapsed() < LONG_ENOUGH {
            let start = Instant::now();
            black_box(part()?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        let (least, most) = (seconds[0] * 1e3, seconds[seconds.len() - 1] * 1e3);
        let speed = rows as f64 / median / 1e6;
        println!("| {name} | {rows} | {:.2} | {least:.2}-{most:.2} | {speed:.1} |", median * 1e3);
        Ok(())
    }
}

/// A number that looks like chance, always the same for the same input (the finalizer of SplitMix64).
fn noise(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Rows in the order of their key, of partitions in no order: as exports have them.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "all numbers are small")]
fn lineitem() -> Result<RecordBatch> {
    const WORDS: [&str; 16] = [
        "carefully",
        "final",
        "deposits",
        "sleep",
        "furiously",
        "regular",
        "packages",
        "among",
        "the",
        "ironic",
        "accounts",
        "blithely",
        "express",
        "requests",
        "haggle",
        "quickly",
    ];
    const MODES: [&str; 7] = ["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"];
    let chance = |row: u64, column: u64, values: u64| noise(row * 16 + column) % values;
    let rows = 0..ROWS as u64;
    let day = |row: u64| chance(row, 1, DAYS);
    // Twelve months of 30 days serve as well, and give 84 of them.
    let month = |row: u64| day(row) * 84 / DAYS;
    let comment = |row: u64| {
        let words = 2 + chance(row, 8, 5);
        (0..words).map(|word| WORDS[chance(row, 9 + word, 16) as usize]).collect::<Vec<_>>().join(" ")
    };
    let decimal = |column: u64, values: u64| -> Result<ArrayRef> {
        let values = rows.clone().map(|row| i128::from(chance(row, column, values)));
        Ok(Arc::new(Decimal128Array::from_iter_values(values).with_precision_and_scale(15, 2)?))
    };
    let columns: [(&str, ArrayRef); 10] = [
        ("l_orderkey", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64 / 4)))),
        ("l_partkey", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| chance(row, 0, 1_000_000) as i64)))),
        ("l_quantity", decimal(2, 50)?),
        ("l_extendedprice", decimal(3, 10_000_000)?),
        ("l_shipdate", Arc::new(Date32Array::from_iter_values(rows.clone().map(|row| 8036 + day(row) as i32)))),
        ("y", Arc::new(Int32Array::from_iter_values(rows.clone().map(|row| 1992 + (month(row) / 12) as i32)))),
        ("m", Arc::new(Int32Array::from_iter_values(rows.clone().map(|row| 1 + (month(row) % 12) as i32)))),
        (
            "l_shipmode",
            Arc::new(StringViewArray::from_iter_values(rows.clone().map(|row| MODES[chance(row, 4, 7) as usize]))),
        ),
        ("l_linenumber", Arc::new(Int32Array::from_iter_values(rows.clone().map(|row| 1 + (row % 4) as i32)))),
        ("l_comment", Arc::new(StringViewArray::from_iter_values(rows.clone().map(comment)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn shuffle(rows: &RecordBatch) -> Result<RecordBatch> {
    let mut order: Vec<u32> = numbers(rows).collect();
    order.sort_by_key(|&row| noise(row.into()));
    Ok(take_record_batch(rows, &UInt32Array::from(order))?)
}

/// In the order of a column of days.
fn sorted_by(rows: &RecordBatch, column: usize) -> Result<RecordBatch> {
    let order = datafusion::arrow::compute::sort_to_indices(rows.column(column), None, None)?;
    Ok(take_record_batch(rows, &order)?)
}

/// Runs of rows that follow each other.
fn cut(rows: &RecordBatch, runs: usize) -> Vec<RecordBatch> {
    let each = rows.num_rows() / runs;
    (0..runs).map(|run| rows.slice(run * each, each)).collect()
}

/// Runs that get a row each in turn.
fn deal(rows: &RecordBatch, runs: usize) -> Result<Vec<RecordBatch>> {
    (0..runs)
        .map(|run| Ok(take_record_batch(rows, &numbers(rows).skip(run).step_by(runs).collect::<UInt32Array>())?))
        .collect()
}

fn numbers(rows: &RecordBatch) -> impl Iterator<Item = u32> {
    (0u32..).take(rows.num_rows())
}

fn batches(rows: &RecordBatch) -> Vec<RecordBatch> {
    let starts = (0..rows.num_rows()).step_by(BATCH_ROWS);
    starts.map(|start| rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start))).collect()
}
