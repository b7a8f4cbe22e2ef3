//! Sizes: published files of the wanted size, memory that is kept to, and the same bytes whatever the resources.

use std::fs::File;

use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use datafusion::parquet::file::statistics::Statistics;

use crate::support::{Work, events};

/// Rows that are too many to be sorted within the smallest memory limit.
const MANY: usize = 700_000;

fn config(tables: &str) -> String {
    format!(
        "CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
         STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
         {tables}"
    )
}

/// Sorted runs that staging wrote: each is one file per partition.
fn runs(work: &Work, out: &str) -> usize {
    let files = work.files(&format!("{out}/staging"));
    files.iter().filter(|(path, _)| path.contains("/datalake/") && path.ends_with(".parquet")).count()
}

#[test]
fn threads_and_memory_do_not_change_a_byte_and_little_memory_makes_more_runs() {
    let work = Work::new(&config(
        "CREATE TABLE lake.events WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['note'], file_group_size = '1MB') AS
         SELECT id, day, note FROM snapshot.events;
         CREATE TABLE lake.whole WITH (sorted_by = ARRAY['note'], file_group_size = '1MB') AS
         SELECT id, day, note FROM snapshot.events;",
    ));
    // One group that is too much for little memory, and some that are done meanwhile.
    work.write("export/part-0.csv", &events(0, MANY));
    for file in 1..6 {
        work.write(&format!("export/part-{file}.csv"), &events(file * MANY, 5_000 * file));
    }
    work.snaplake(&["run", "--var", "out=rich", "--memory-limit", "2GB", "--threads", "2"]).ok();
    work.snaplake(&["run", "--var", "out=poor", "--memory-limit", "64MB", "--threads", "1"]).ok();
    assert!(runs(&work, "poor") > runs(&work, "rich"), "{} {}", runs(&work, "poor"), runs(&work, "rich"));
    assert!(work.files("rich/lake") == work.files("poor/lake"), "the lakes differ");
}

#[test]
fn partition_of_more_runs_than_little_memory_holds_is_merged_in_passes_to_the_same_bytes() {
    let work = Work::new(&config(
        // Nearly all keys are equal: such rows stay in the order of their runs.
        "CREATE TABLE lake.events WITH (sorted_by = ARRAY['day DESC'], file_group_size = 1) AS
         SELECT id, day, note FROM snapshot.events;",
    ));
    for file in 0..64 {
        work.write(&format!("export/part-{file:02}.csv"), &events(file * 3_000, 20_000));
    }
    work.snaplake(&["run", "--var", "out=rich", "--memory-limit", "2GB"]).ok();
    work.snaplake(&["run", "--var", "out=poor", "--memory-limit", "64MB"]).ok();
    assert_eq!((runs(&work, "rich"), runs(&work, "poor")), (64, 64));
    assert_eq!(spilled(&work, "rich"), 0);
    assert!(spilled(&work, "poor") > 1_000_000, "{}", spilled(&work, "poor"));
    assert!(work.files("rich/lake") == work.files("poor/lake"), "the lakes differ");
}

/// Bytes that the only publish task wrote to merge in passes.
fn spilled(work: &Work, out: &str) -> u64 {
    let files = work.files(&format!("{out}/staging"));
    let summary =
        files.iter().find(|(path, _)| path.ends_with("datalake-file-groups/manifest-summary/manifest-summary-1.json"));
    let summary: serde_json::Value = serde_json::from_slice(summary.unwrap().1).unwrap();
    summary["details"]["bytes_spilled"].as_u64().unwrap()
}

#[test]
fn large_partitions_are_cut_into_files_near_the_target_and_sorted_files_do_not_overlap() {
    let target = 500_000;
    let work = Work::new(&config(&format!(
        "SET snaplake.target_file_size = {target};
         SET snaplake.file_group_size = '6MB';
         CREATE TABLE lake.sorted WITH (sorted_by = ARRAY['id']) AS SELECT id, note FROM snapshot.events;
         CREATE TABLE lake.unsorted AS SELECT id, note FROM snapshot.events;"
    )));
    for file in 0..8 {
        work.write(&format!("export/part-{file}.csv"), &events(file * MANY / 16, MANY / 16));
    }
    work.snaplake(&["run"]).ok();
    for table in ["sorted", "unsorted"] {
        let folder = format!("out/lake/shop/{table}");
        let files = work.files(&folder).into_iter().filter(|(path, _)| path.ends_with(".parquet"));
        let files: Vec<(String, usize)> = files.map(|(path, bytes)| (path, bytes.len())).collect();
        assert!(files.len() > 10, "{files:?}");
        for (path, size) in &files {
            assert!((target * 75 / 100..=target * 180 / 100).contains(size), "{path} has {size} bytes");
        }
        if table == "sorted" {
            let ranges = files.iter().map(|(path, _)| ids(&work, &format!("{folder}/{path}"))).collect::<Vec<_>>();
            assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
        }
    }
}

/// Smallest and largest id by a file's statistics.
fn ids(work: &Work, path: &str) -> (i64, i64) {
    let reader = SerializedFileReader::new(File::open(work.path(path)).unwrap()).unwrap();
    let ranges = reader.metadata().row_groups().iter().map(|group| match group.column(0).statistics() {
        Some(Statistics::Int64(ids)) => (*ids.min_opt().unwrap(), *ids.max_opt().unwrap()),
        other => panic!("{path}: {other:?}"),
    });
    ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap()
}
