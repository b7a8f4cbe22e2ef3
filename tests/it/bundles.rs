//! Small partitions that share staging files: nothing of it is to be seen in the lake or in queries.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::support::{Work, content_tag};

/// Partitions of the rows below; one of them is NULL.
const PARTITIONS: usize = 700;

/// Their values have characters that separate partitions in a manifest.
const TABLES: &str = "
    CREATE EXTERNAL TABLE snapshot.events (id BIGINT, k INT, note VARCHAR)
    STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
    CREATE TABLE lake.sorted WITH (
      partitioned_by = ARRAY['part'], sorted_by = ARRAY['note DESC'], file_group_size = 'GROUP',
      unique_key = ARRAY['id']
    ) AS SELECT id, CASE WHEN k <> 7 THEN concat('a/', k, '*5,=') END AS part, note FROM snapshot.events;
    CREATE TABLE lake.plain WITH (partitioned_by = ARRAY['k', 'odd'], file_group_size = 'GROUP') AS
    SELECT id, note, nullif(k, 7) AS k, k % 2 = 1 AS odd FROM snapshot.events;
";

/// CSV of so many rows of each partition: one after another, or in turns.
fn rows(first: usize, partitions: usize, each: usize, in_turns: bool) -> String {
    let mut text = "id,k,note\n".to_owned();
    for row in 0..partitions * each {
        let k = if in_turns { row % partitions } else { row / each };
        let id = (first + row) as u64;
        let note = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        writeln!(text, "{id},{k},{note:016x}{:016x}", note.rotate_left(31) ^ id).unwrap();
    }
    text
}

/// One task of all partitions, whose rows share files, and one of some, which do not; one partition has many rows.
fn mixed() -> Work {
    let work = Work::new(&TABLES.replace("GROUP", "300KB"));
    work.write("export/many.csv", &rows(0, PARTITIONS, 20, true));
    work.write("export/some.csv", &rows(1_000_000, 40, 30, true));
    work.write("export/large.csv", &rows(2_000_000, 1, 5_000, true));
    work
}

fn staging_files(work: &Work, out: &str, table: &str) -> (usize, usize) {
    let of_table = format!("/{table}/");
    let files = work.files(&format!("{out}/staging")).into_keys();
    let data =
        files.filter(|path| path.contains(&of_table) && path.contains("/datalake/") && path.ends_with(".parquet"));
    let (shared, alone): (Vec<String>, Vec<String>) = data.partition(|path| path.contains("/bundle-"));
    (shared.len(), alone.len())
}

fn answer(work: &Work, sql: &str) -> String {
    work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout
}

#[test]
fn lake_is_the_same_byte_for_byte_whether_partitions_share_staging_files_or_not() {
    let work = Work::new(&TABLES.replace("GROUP", "96MB"));
    // Little memory makes runs of fewer partitions than share files.
    work.write("export/all.csv", &rows(0, PARTITIONS, 1_000, false));
    work.snaplake(&["run", "--var", "out=poor", "--memory-limit", "64MB", "--threads", "1"]).ok();
    work.snaplake(&["run", "--memory-limit", "256MB", "--threads", "2"]).ok();
    assert_eq!(staging_files(&work, "poor", "sorted").0, 0);
    let (shared, alone) = staging_files(&work, "out", "sorted");
    assert!(shared > 100 && shared + alone < PARTITIONS / 2, "{shared} {alone}");
    let lakes = ["poor/lake", "out/lake"].map(|lake| {
        let files = work.files(lake).into_iter().filter(|(path, _)| path.contains("/sorted/"));
        files.collect::<Vec<_>>()
    });
    assert_eq!(lakes[0].len(), PARTITIONS + 1);
    assert!(lakes[0] == lakes[1], "the lakes differ");
}

#[test]
fn rows_and_partitions_of_tasks_that_share_files_and_of_others_come_together() {
    let work = mixed();
    work.snaplake(&["run"]).ok();
    for (table, part) in [
        ("sorted", "CASE WHEN k <> 7 THEN concat('a/', k, '*5,=') END AS part"),
        ("plain", "nullif(k, 7) AS k, k % 2 = 1 AS odd"),
    ] {
        let (shared, alone) = staging_files(&work, "out", table);
        assert!(shared > 100 && alone > 40, "{table}: {shared} {alone}");
        let columns = if table == "sorted" { "part" } else { "k, odd" };
        let expected = answer(&work, &format!("SELECT id, note, {part} FROM snapshot.events ORDER BY id"));
        for schema in ["staging", "lake"] {
            let sql = format!("SELECT id, note, {columns} FROM {schema}.{table} ORDER BY id");
            assert!(answer(&work, &sql) == expected, "{schema}.{table} has other rows");
        }
        assert_eq!(expected.lines().count(), 1 + PARTITIONS * 20 + 40 * 30 + 5_000);
    }
    // One file a partition, and its rows in their order.
    let lake =
        work.files("out/lake").into_keys().filter(|path| path.contains("/sorted/") && path.ends_with(".parquet"));
    let folders: BTreeSet<String> = lake.map(|path| path.rsplit_once('/').unwrap().0.to_owned()).collect();
    assert_eq!(folders.len(), PARTITIONS);
    let out_of_order = "SELECT count(*) AS n FROM (SELECT note, lag(note) OVER (PARTITION BY part) AS before
                        FROM lake.sorted WHERE part = 'a/0*5,=') WHERE note > before";
    assert_eq!(answer(&work, out_of_order), "n\n0\n");
    assert_eq!(answer(&work, "SELECT count(*) AS n FROM lake.sorted WHERE part = 'a/0*5,='"), "n\n5050\n");
    work.snaplake(&["validate"]).ok();
}

#[test]
fn queries_of_staged_partitions_that_share_files_answer_as_the_lake_does() {
    let work = mixed();
    work.snaplake(&["run"]).ok();
    let filters = [
        "part = 'a/3*5,='",
        "part IS NULL",
        "part IS NULL OR id = 77",
        "part IN ('a/1*5,=', 'a/699*5,=') AND id % 2 = 0",
        "part > 'a/5' AND note < '8'",
        "NOT part = 'a/3*5,=' AND id < 3000",
        "part = 'nowhere'",
    ];
    for filter in filters {
        let of = |schema: &str| {
            let columns = "count(*), count(part), min(part), max(part), sum(id), min(note)";
            answer(&work, &format!("SELECT {columns} FROM {schema}.sorted AS t WHERE {filter}"))
        };
        assert_eq!(of("staging"), of("lake"), "{filter}");
    }
    for sql in ["count(*)", "min(k), max(k), count(k), count(odd)", "count(DISTINCT part)"] {
        let table = if sql.contains("part") { "sorted" } else { "plain" };
        let of = |schema: &str| answer(&work, &format!("SELECT {sql} FROM {schema}.{table} AS t"));
        assert_eq!(of("staging"), of("lake"), "{sql}");
    }
    // Only files with a row of it are opened.
    let plan = answer(&work, "EXPLAIN SELECT * FROM staging.sorted WHERE part = 'a/699*5,='");
    assert!(plan.contains("staging.sorted, files=1 of "), "{plan}");
    let reported =
        "SELECT sum(n_record) AS rows FROM manifest.staging_files WHERE partition LIKE '%*%' AND table_name = 'plain'";
    // Two partitions are alone in their bundles.
    assert_eq!(answer(&work, reported), format!("rows\n{}\n", (PARTITIONS - 2) * 20));
}

#[test]
fn manifest_whose_partitions_do_not_add_up_is_refused_with_the_file() {
    let work = Work::new(&TABLES.replace("GROUP", "96MB"));
    work.write("export/many.csv", &rows(0, PARTITIONS, 20, true));
    work.snaplake(&["stage"]).ok();
    let name = "manifests/staging-file-groups/manifest-data/manifest-data-1.parquet";
    let files = work.files("out/staging");
    let (path, bytes) = files.iter().find(|(path, _)| path.contains("/sorted/") && path.ends_with(name)).unwrap();
    // Stored plain: the rows of the first partition of a file become others.
    let at = bytes.windows(3).position(|three| three == b"*20").unwrap();
    let mut spoiled = bytes.clone();
    spoiled[at + 1] = b'3';
    let (before, after) = (content_tag(bytes), content_tag(&spoiled));
    std::fs::write(work.path("out/staging").join(path), spoiled).unwrap();
    let summary = path.replace("manifest-data/manifest-data-1.parquet", "manifest-summary/manifest-summary-1.json");
    work.edit_summary(&format!("out/staging/{summary}"), |text| text.replace(&before, &after));
    work.snaplake(&["publish"]).failed(1, &["manifest-data-1.parquet", "the rows of the partitions of", "/bundle-"]);
}
