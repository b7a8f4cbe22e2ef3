//! Publishing by copying staged pages: when it is done, and that the lake holds the same rows, in order, either way.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;

use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use crate::support::Work;

/// Rows of a file: enough for pages that are worth copying, in each of two partitions.
const ROWS: usize = 20_000;

/// Two partitions, sorted by id; a group holds one file.
fn job() -> Work {
    Work::new(
        "CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, kind VARCHAR, price DOUBLE, note VARCHAR)
         STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true', 'format.null_regex' '^$');
         SET snaplake.write_compression = '${codec:-zstd}';
         SET snaplake.verify = '${verify:-count}';
         CREATE TABLE lake.events WITH (
           partitioned_by = ARRAY['day'], sorted_by = ARRAY['id${direction:-}'], file_group_size = 1
         ) AS SELECT id, day, kind, price, note FROM snapshot.events;",
    )
}

/// Rows with these ids; kinds repeat, differently in each file, and some are NULL.
fn rows(ids: impl Iterator<Item = usize>, file: usize) -> String {
    ids.fold("id,day,kind,price,note\n".to_owned(), |mut text, id| {
        let kind = if id % 11 == 0 { String::new() } else { format!("kind {}", id % (3 + file)) };
        let note = (id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        writeln!(text, "{id},2026-01-0{},{kind},{},{note:016x}", id % 2 + 1, id as f64 / 4.0).unwrap();
        text
    })
}

/// Operators of all publish tasks.
fn operators(work: &Work) -> BTreeSet<String> {
    let files = work.files("out/staging").into_iter();
    let summaries = files.filter(|(path, _)| path.contains("datalake-file-groups/manifest-summary/"));
    let named = |bytes: Vec<u8>| {
        let summary: Value = serde_json::from_slice(&bytes).unwrap();
        let operators = summary["details"]["operators"].as_array().unwrap().clone();
        operators.into_iter().map(|operator| operator["operator"].as_str().unwrap().to_owned())
    };
    summaries.flat_map(|(_, bytes)| named(bytes)).collect()
}

/// Every row is in the lake as often as in the source, and each file is in order.
fn assert_same_rows_in_order(work: &Work, descending: bool) {
    for (one, other) in [("snapshot", "lake"), ("lake", "snapshot")] {
        let columns = "id, day, kind, price, note";
        let only = format!("SELECT {columns} FROM {one}.events EXCEPT ALL SELECT {columns} FROM {other}.events");
        let sql = format!("SELECT count(*) AS rows FROM ({only})");
        let direction = if descending { "direction= DESC" } else { "direction=" };
        let counted = work.snaplake(&["query", "-c", &sql, "--format", "csv", "-q", "--var", direction]).ok();
        assert_eq!(counted.stdout, "rows\n0\n", "only in {one}");
    }
    let lake = work.files("out/lake").into_keys().filter(|path| path.ends_with(".parquet"));
    for path in lake {
        let reader = SerializedFileReader::new(File::open(work.path("out/lake").join(&path)).unwrap()).unwrap();
        let ids =
            reader.get_row_iter(None).unwrap().map(|row| row.unwrap().get_column_iter().next().unwrap().1.to_string());
        let ids: Vec<i64> = ids.map(|id| id.parse().unwrap()).collect();
        assert!(if descending { ids.is_sorted_by(|a, b| a >= b) } else { ids.is_sorted() }, "{path}");
        let sorted = reader.metadata().row_group(0).sorting_columns().unwrap();
        assert_eq!((sorted[0].column_idx, sorted[0].descending), (0, descending));
    }
}

#[test]
fn export_in_key_order_is_copied_and_every_row_arrives_whatever_the_names_of_its_files() {
    let work = job();
    // By number, not by letter: 9 comes before 10.
    for file in 7..12 {
        work.write(&format!("export/part-{file}.csv"), &rows(file * ROWS..(file + 1) * ROWS, file));
    }
    // Few rows: encoded once more, and still in their place.
    work.write("export/part-12.csv", &rows(12 * ROWS..12 * ROWS + 100, 12));
    work.snaplake(&["run"]).ok();
    assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
    assert_same_rows_in_order(&work, false);
    let lake = work.files("out/lake");
    work.snaplake(&["validate"]).ok();
    // Published anew, the bytes are the same.
    let published = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups";
    std::fs::remove_dir_all(work.path(published)).unwrap();
    work.snaplake(&["run"]).ok();
    assert!(work.files("out/lake") == lake, "the lakes differ");
}

#[test]
fn runs_too_large_to_be_kept_are_read_again_and_copied_in_the_order_of_their_keys() {
    let work = job();
    for file in 0..3usize {
        let mut text = "id,day,kind,price,note\n".to_owned();
        for id in (2 - file) * ROWS..(3 - file) * ROWS {
            let words = (0..40u64).map(|word| (id as u64 * 40 + word).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let note = words.fold(String::new(), |note, word| note + &format!("{:016x}", word ^ (word >> 29)));
            writeln!(text, "{id},2026-01-01,a,1.5,{note}").unwrap();
        }
        work.write(&format!("export/part-{file}.csv"), &text);
    }
    work.snaplake(&["run"]).ok();
    let staged =
        work.files("out/staging").into_iter().filter(|(path, _)| path.contains("day=") && path.ends_with(".parquet"));
    let bytes: usize = staged.map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes > 16 << 20, "{bytes} bytes are small enough to be kept");
    assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
    assert_same_rows_in_order(&work, false);
}

#[test]
fn files_in_falling_order_are_copied_for_a_descending_lake() {
    let work = job();
    for file in 0..3 {
        let ids = (3 - file) * ROWS..(4 - file) * ROWS;
        work.write(&format!("export/part-{file}.csv"), &rows(ids.rev(), file));
    }
    work.snaplake(&["run", "--var", "direction= DESC"]).ok();
    assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
    assert_same_rows_in_order(&work, true);
}

#[test]
fn files_that_overlap_are_merged() {
    let work = job();
    for file in 0..3 {
        let ids = (0..ROWS).map(|row| row * 3 / 2 * 2 + row % 2 + 2 * file * ROWS);
        work.write(&format!("export/part-{file}.csv"), &rows(ids, file));
    }
    work.snaplake(&["run"]).ok();
    assert!(operators(&work).contains("MergeRunsExec"));
    assert_same_rows_in_order(&work, false);
}

#[test]
fn codec_changed_after_staging_holds_for_every_page() {
    let work = job();
    for file in 0..2 {
        work.write(&format!("export/part-{file}.csv"), &rows(file * ROWS..(file + 1) * ROWS, file));
    }
    for codec in ["snappy", "lz4", "gzip", "uncompressed"] {
        let _ = std::fs::remove_dir_all(work.path("out"));
        let stage = if codec == "gzip" { codec } else { "zstd" };
        work.snaplake(&["stage", "--var", &format!("codec={stage}")]).ok();
        work.snaplake(&["publish", "--var", &format!("codec={codec}")]).ok();
        assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
        assert_same_rows_in_order(&work, false);
        let lake = work.files("out/lake").into_keys().find(|path| path.ends_with(".parquet")).unwrap();
        let reader = SerializedFileReader::new(File::open(work.path("out/lake").join(lake)).unwrap()).unwrap();
        for column in reader.metadata().row_group(0).columns() {
            let is_codec = match (codec, column.compression()) {
                ("snappy", Compression::SNAPPY) | ("lz4", Compression::LZ4_RAW) => true,
                ("gzip", Compression::GZIP(_)) | ("uncompressed", Compression::UNCOMPRESSED) => true,
                (_, _) => false,
            };
            assert!(is_codec, "{codec}: {:?} of {}", column.compression(), column.column_path());
        }
    }
}

#[test]
fn checksums_of_copied_pages_are_those_of_the_select() {
    let work = job();
    for file in 0..2 {
        work.write(&format!("export/part-{file}.csv"), &rows(file * ROWS..(file + 1) * ROWS, file));
    }
    work.snaplake(&["run", "--var", "verify=checksum"]).ok();
    assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
    work.snaplake(&["validate", "--deep", "--var", "verify=checksum"]).ok();
}

#[test]
fn manifest_of_copied_files_has_the_ranges_of_the_staged_ones() {
    let work = job();
    for file in 0..2 {
        work.write(&format!("export/part-{file}.csv"), &rows(file * ROWS..(file + 1) * ROWS, file));
    }
    work.snaplake(&["run"]).ok();
    assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
    let query = |sql: &str| work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout;
    // A footer says -0 for zero.
    for files in ["staging_files", "lake_files"] {
        let ranges = query(&format!(
            "SELECT column_name, sum(nulls) AS nulls, min(CAST(min_value AS DOUBLE)) + 0 AS a, max(CAST(max_value AS DOUBLE)) AS z
             FROM manifest.column_statistics JOIN manifest.{files} USING (uri) WHERE column_name IN ('id', 'price')
             GROUP BY 1 ORDER BY 1"
        ));
        assert_eq!(ranges, "column_name,nulls,a,z\nid,0,0.0,39999.0\nprice,0,0.0,9999.75\n", "{files}");
    }
    let exact =
        "SELECT column_name, bool_and(is_exact) AS exact FROM manifest.column_statistics JOIN manifest.lake_files
        USING (uri) GROUP BY 1 ORDER BY 1";
    assert_eq!(query(exact), "column_name,exact\nid,true\nkind,true\nnote,true\nprice,true\n");
    let plan = query("EXPLAIN SELECT * FROM lake.events WHERE id = 39999");
    assert!(plan.contains("ManifestScanExec: lake.events, files=1 of 2"), "{plan}");
    let extremes =
        "SELECT count(*) AS n, min(id) AS i, max(kind) AS k, min(price) AS a, max(price) AS z FROM lake.events";
    let plan = query(&format!("EXPLAIN {extremes}"));
    assert!(!plan.contains("ManifestScanExec"), "{plan}");
    assert_eq!(query(extremes), "n,i,k,a,z\n40000,0,kind 3,0.0,9999.75\n");
}

/// Nobody looks at copied pages, and their footers do not tell NaN, nor one zero from the other.
#[test]
fn range_of_copied_floats_counts_only_where_none_is_nan_or_a_negative_zero() {
    for odd in ["NaN", "-0.0"] {
        let work = job();
        for file in 0..5 {
            work.write(&format!("export/part-{file}.csv"), &rows(file * ROWS..(file + 1) * ROWS, file));
        }
        // Few rows, which are encoded once more; the price of the first one is 25000.
        let few = rows(5 * ROWS..5 * ROWS + 10, 5).replacen(",25000,", &format!(",{odd},"), 1);
        // A text that looks like it is none.
        let few = few.replacen(",kind 4,", ",-0.0,", 1);
        work.write("export/part-5.csv", &few);
        work.snaplake(&["run"]).ok();
        assert_eq!(operators(&work), BTreeSet::from(["CopyPages".to_owned()]));
        let query = |sql: &str| work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout;
        // The other day has floats of its own alone: below 0 there is none.
        let plan = query("EXPLAIN SELECT * FROM lake.events WHERE price < -1");
        assert!(plan.contains("ManifestScanExec: lake.events, files=1 of 2"), "{odd}: {plan}");
        let (nan, smallest) = if odd == "NaN" { (1, "0.0") } else { (0, "-0.0") };
        assert_eq!(query("SELECT count(*) AS n FROM lake.events WHERE isnan(price)"), format!("n\n{nan}\n"), "{odd}");
        assert_eq!(query("SELECT min(price) AS a FROM lake.events"), format!("a\n{smallest}\n"));
        assert_eq!(query("SELECT min(kind) AS a FROM lake.events"), "a\n-0.0\n");
        assert_eq!(query("SELECT count(*) AS n FROM lake.events WHERE kind = '-0.0'"), "n\n1\n");
    }
}
