//! What `validate` finds in lakes that were spoiled after they were published, and what it takes to mend them.

use std::path::PathBuf;

use crate::support::{Run, Work, events};

const TABLE: &str = "out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events";
const PUBLISHED: &str = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups";

/// Two partitions and an unpartitioned table, values as they are in the files.
fn job(verify: &str) -> Work {
    let work = Work::new(&format!(
        "SET snaplake.verify = '{verify}';
         SET snaplake.write_compression = 'uncompressed';
         CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
         STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
         CREATE TABLE lake.events WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id']) AS
         SELECT id, day, note FROM snapshot.events;
         CREATE TABLE lake.notes AS SELECT note FROM snapshot.events;"
    ));
    for file in 0..3 {
        work.write(&format!("export/part-{file}.csv"), &events(file * 20, 20));
    }
    work.snaplake(&["run"]).ok();
    work
}

/// The lake file of a partition.
fn lake_file(work: &Work, partition: &str) -> PathBuf {
    let files = work.files(&format!("{TABLE}/{partition}"));
    assert_eq!(files.len(), 1);
    work.path(TABLE).join(partition).join(files.keys().next().unwrap())
}

/// Turns one letter of the `note` of a row into another, so that nothing else of the file changes.
fn change_a_note(work: &Work, partition: &str) {
    let note = events(0, 20).lines().find(|line| line.contains("2026-01-02")).unwrap()[..]
        .rsplit(',')
        .next()
        .unwrap()
        .to_owned();
    let path = lake_file(work, partition);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(note.len()).position(|window| window == note.as_bytes()).unwrap();
    bytes[at + 7] = if bytes[at + 7] == b'0' { b'1' } else { b'0' };
    std::fs::write(&path, bytes).unwrap();
}

fn is_marked(work: &Work) -> bool {
    work.path(TABLE).join("_SUCCESS").exists()
}

/// The advice for a damaged table: removing its lake manifests and running again mends it.
fn mend(work: &Work) {
    std::fs::remove_dir_all(work.path(PUBLISHED)).unwrap();
    work.snaplake(&["run"]).ok();
    work.snaplake(&["validate"]).ok();
    assert!(is_marked(work));
}

#[test]
fn deep_validation_names_column_and_partition_of_one_changed_value() {
    let work = job("checksum");
    let whole = work.files("out/lake");
    work.snaplake(&["validate", "--deep"]).ok();
    change_a_note(&work, "day=2026-01-02");
    for _ in 0..2 {
        work.snaplake(&["validate"]).failed(3, &["day=2026-01-02", "changed after it was written"]);
    }
    let run =
        work.snaplake(&["validate", "--deep"]).failed(3, &["lake.events", "partition day=2026-01-02", "column 'note'"]);
    assert!(!run.stderr.contains("2026-01-01") && !run.stderr.contains("column 'id'"), "{}", run.stderr);
    assert!(!is_marked(&work));
    mend(&work);
    assert!(work.files("out/lake") == whole);
}

#[test]
fn deleted_and_truncated_files_are_found_by_name_and_take_the_mark_away() {
    let work = job("count");
    let file = lake_file(&work, "day=2026-01-03");
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let bytes = std::fs::read(&file).unwrap();
    let found = |run: Run| assert!(!is_marked(&work) && run.code == 3 && run.stderr.contains(&name), "{run:?}");
    std::fs::remove_file(&file).unwrap();
    found(work.snaplake(&["validate"]));
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    found(work.snaplake(&["validate"]));
    std::fs::write(&file, &bytes).unwrap();
    work.snaplake(&["validate"]).ok();
    assert!(is_marked(&work));
    std::fs::remove_file(&file).unwrap();
    mend(&work);
}

#[test]
fn deep_validation_without_checksums_says_how_to_get_them() {
    let work = job("count");
    work.snaplake(&["validate", "--deep"]).failed(1, &["lake.events", "snaplake.verify = 'checksum'"]);
}

#[test]
fn checksums_do_not_depend_on_groups_runs_and_sizes() {
    let sums = |group: &str, target: &str| {
        let work = Work::new(&format!(
            "SET snaplake.verify = 'checksum';
             CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
             STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
             CREATE TABLE lake.events WITH (sorted_by = ARRAY['id'], file_group_size = '{group}',
                target_file_size = '{target}') AS
             SELECT id, CASE WHEN id % 3 = 0 THEN NULL ELSE note END AS note FROM snapshot.events;"
        ));
        (0..6).for_each(|file| work.write(&format!("export/part-{file}.csv"), &events(file * 500, 500)));
        work.snaplake(&["run"]).ok();
        let manifests = work.files("out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests");
        let summary =
            manifests.iter().find(|(path, _)| path.contains("datalake") && path.ends_with("-1.json")).unwrap().1;
        let summary: serde_json::Value = serde_json::from_slice(summary).unwrap();
        summary["details"]["checksums"].clone()
    };
    let (one, other) = (sums("100kB", "1MB"), sums("1GB", "20kB"));
    assert!(one["note"].as_str().is_some_and(|sum| sum.len() == 16), "{one}");
    assert_eq!(one, other);
}

#[test]
fn file_that_no_manifest_lists_is_a_difference_until_clean_removes_it() {
    let work = job("count");
    // Left by a task that wrote more files, of staging files that are gone.
    let file = lake_file(&work, "day=2026-01-02");
    let left = file.to_str().unwrap().replace("-0000.parquet", "-0001.parquet");
    std::fs::copy(&file, &left).unwrap();
    work.snaplake(&["validate"]).failed(3, &["1 file in the lake is in no manifest", "clean --remove"]);
    assert!(!is_marked(&work));
    work.snaplake(&["clean", "--remove", "--yes", "--older-than", "0s"]).ok();
    work.snaplake(&["validate"]).ok();
    assert!(is_marked(&work));
    assert!(file.exists());
}
