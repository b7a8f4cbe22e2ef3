//! Folders that were moved, linked, shared or damaged between two commands: nothing goes wrong silently, and what a message
//! names leads to the right lake.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{EVENTS, Run, Work};

const LAKE: &str = "lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events";
const ROOT: &str = "staging/shop/events/snapshot=2026-01-31T00:00:00Z";

/// A config with its own places, beside the export of [`Work::events`].
fn config(work: &Work, staging: &str, lake: &str) {
    config_with(work, staging, lake, "");
}

fn config_with(work: &Work, staging: &str, lake: &str, more: &str) {
    let settings = format!(
        "SET snaplake.database = 'shop';
         SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
         SET snaplake.staging = '{staging}';
         SET snaplake.datalake = '{lake}';
         {more}"
    );
    work.write("job.sql", &format!("{settings}{EVENTS}"));
}

fn placed(files: usize) -> Work {
    let work = Work::events(files, 40);
    config(&work, "staging", "lake");
    work
}

/// Removes garbage of any age without a question.
fn clean(work: &Work, more: &[&str]) -> Run {
    work.snaplake(&[&["clean", "--remove", "--yes", "--older-than", "0s"], more].concat())
}

/// The lake that the export makes, with its mark.
fn expected(work: &Work) -> BTreeMap<String, Vec<u8>> {
    config(work, "expected/staging", "expected/lake");
    work.snaplake(&["run"]).ok();
    config(work, "staging", "lake");
    work.files(&format!("expected/{LAKE}"))
}

#[test]
fn other_lake_location_is_refused_with_the_difference_and_gets_no_mark() {
    let work = placed(4);
    work.snaplake(&["run"]).ok();
    let before = work.files("lake");
    config(&work, "staging", "prod");
    for arguments in [&["run"][..], &["publish"], &["validate"], &["publish", "--table", "events", "--group", "1"]] {
        work.snaplake(arguments).failed(1, &["with another lake location: ", "/lake/shop/", " -> ", "/prod/shop/"]);
    }
    let status = work.snaplake(&["status"]).ok();
    assert!(status.stdout.contains("another lake location"), "{}", status.stdout);
    let warned = clean(&work, &["--staging"]).ok();
    assert!(warned.stderr.contains("no file of the table is listed as garbage"), "{}", warned.stderr);
    assert!(work.files("prod").is_empty() && work.files("lake") == before);
    config(&work, "staging", "lake");
    assert!(work.snaplake(&["run"]).ok().stdout.contains("nothing to do"));
}

#[test]
fn half_published_lake_is_not_finished_at_another_place() {
    let work = placed(4);
    work.snaplake(&["stage"]).ok();
    work.snaplake(&["publish", "--table", "events", "--group", "1"]).ok();
    config(&work, "staging", "prod");
    work.snaplake(&["publish"]).failed(1, &["another lake location"]);
    assert!(work.files("prod").is_empty());
    config(&work, "staging", "lake");
    work.snaplake(&["publish"]).ok();
    assert_eq!(work.files(LAKE), expected(&work));
}

#[test]
fn staging_and_lake_that_were_moved_or_copied_whole_go_on() {
    let work = placed(4);
    work.snaplake(&["stage"]).ok();
    work.snaplake(&["publish", "--table", "events", "--group", "1"]).ok();
    let expected = expected(&work);
    fs::create_dir(work.path("disk")).unwrap();
    for folder in ["staging", "lake"] {
        fs::rename(work.path(folder), work.path(&format!("disk/{folder}"))).unwrap();
    }
    config(&work, "disk/staging", "disk/lake");
    work.snaplake(&["run"]).ok();
    assert_eq!(work.files(&format!("disk/{LAKE}")), expected);
    fs::rename(work.path("disk/lake"), work.path("lake2")).unwrap();
    config(&work, "disk/staging", "lake2");
    assert!(work.snaplake(&["run"]).ok().stdout.contains("nothing to do"));
    work.snaplake(&["validate"]).ok();
    let read = work.snaplake(&["query", "--format", "csv", "-c", "SELECT count(*) FROM lake.events"]).ok();
    assert!(read.stdout.contains("160"), "{}", read.stdout);
    assert_eq!(clean(&work, &[]).ok().stdout, "no files to remove\n");
    assert_eq!(work.files(&format!("lake2/{}", &LAKE[5..])), expected);
}

#[cfg(unix)]
#[test]
fn clean_by_another_path_to_the_same_folders_removes_nothing_of_the_lake() {
    let work = placed(4);
    config(&work, "disk/staging", "disk/lake");
    work.snaplake(&["run"]).ok();
    let before = work.files("disk/lake");
    std::os::unix::fs::symlink(work.path("disk"), work.path("mnt")).unwrap();
    config(&work, "mnt/staging", "mnt/lake");
    work.snaplake(&["run"]).ok();
    assert_eq!(clean(&work, &[]).ok().stdout, "no files to remove\n");
    clean(&work, &["--staging"]).ok();
    assert!(work.files("disk/lake") == before);
    work.snaplake(&["validate"]).ok();
}

#[cfg(unix)]
#[test]
fn clean_removes_nothing_behind_a_link_in_its_folders() {
    let work = placed(4);
    work.snaplake(&["run"]).ok();
    let file = work.files(LAKE).into_keys().find(|file| file.ends_with(".parquet")).unwrap();
    let name = file.rsplit('/').next().unwrap().replace("-0000.", "-0007.");
    work.write(&format!("theirs/{name}"), "x");
    std::os::unix::fs::symlink(work.path("theirs"), work.path(&format!("{LAKE}/day=2026-01-09"))).unwrap();
    clean(&work, &[]).ok();
    assert!(work.path(&format!("theirs/{name}")).exists());
}

#[test]
fn clean_without_a_terminal_lists_and_needs_yes() {
    let work = placed(4);
    work.snaplake(&["run"]).ok();
    let garbage = format!("{ROOT}/manifests/staging-file-groups/manifest-data/manifest-data-99.parquet");
    work.write(&garbage, "x");
    let asked = work.snaplake(&["clean", "--remove", "--older-than", "0s"]).failed(1, &["not a terminal", "--yes"]);
    assert!(asked.stdout.contains("manifest-data-99.parquet") && work.path(&garbage).exists());
    clean(&work, &[]).ok();
    assert!(!work.path(&garbage).exists());
}

#[test]
fn lake_stays_whose_staging_folder_was_moved_away() {
    let work = placed(4);
    work.snaplake(&["run"]).ok();
    let before = work.files("lake");
    fs::rename(work.path("staging"), work.path("moved")).unwrap();
    clean(&work, &[]).ok();
    assert!(work.files("lake") == before);
    // The same files are published again.
    work.snaplake(&["run"]).ok();
    assert!(work.files("lake") == before);
}

#[test]
fn folder_of_another_table_snapshot_or_around_one_is_refused() {
    let work = placed(2);
    work.snaplake(&["run"]).ok();
    let before = work.files("lake");
    let refused = |external: &str, words: &[&str]| {
        let tables = EVENTS.replace("partitioned_by", &format!("external_location = '{external}', partitioned_by"));
        config(&work, "staging2", "lake2");
        let text = fs::read_to_string(work.path("job.sql")).unwrap().replace(EVENTS, &tables);
        work.write("job.sql", &text.replace("= '2026-01-31T00:00:00Z'", "= '2026-02-01T00:00:00Z'"));
        work.snaplake(&["run"]).failed(1, words);
        fs::remove_dir_all(work.path("staging2")).unwrap();
    };
    let owner = "the folder of shop.public.events of snapshot 2026-01-31T00:00:00Z";
    refused(LAKE, &["did not write"]);
    let inner = format!("{LAKE}/inner");
    refused(&inner, &["it is in", "a complete lake"]);
    let outer = LAKE.rsplit_once('/').unwrap().0;
    refused(outer, &["it contains", "a complete lake"]);
    let staged = format!("{ROOT}/datalake/shop/public/events");
    refused(&staged, &["it is in", owner]);
    assert!(work.files("lake") == before);
}

/// Another snapshot, published by another config into a folder of the first one's choice.
fn other_snapshot(work: &Work, folder: &str) {
    let tables = EVENTS.replace("partitioned_by", &format!("external_location = '{folder}', partitioned_by"));
    config(work, "staging2", "lake2");
    let text = fs::read_to_string(work.path("job.sql")).unwrap().replace(EVENTS, &tables);
    work.write("job.sql", &text.replace("= '2026-01-31T00:00:00Z'", "= '2026-02-01T00:00:00Z'"));
    work.snaplake(&["run"]).ok();
    config(work, "staging", "lake");
}

/// All that may remove something, while a lake of another config lies in the folder or in it.
fn nothing_of_it_is_touched(work: &Work, word: &str) {
    let theirs = work.files("lake");
    assert!(theirs.keys().any(|file| file.ends_with("_SUCCESS")));
    for arguments in [&["run"][..], &["publish"], &["run", "--replan"], &["run", "--replan", "--withdraw"]] {
        work.snaplake(arguments).failed(1, &[word]);
        clean(work, &["--staging"]).ok();
        work.snaplake(&["repair"]).ok();
        assert!(work.files("lake") == theirs, "{arguments:?}");
    }
}

#[test]
fn complete_lake_of_another_config_in_our_folder_is_left_as_it_is() {
    for folder in [LAKE.to_owned(), format!("{LAKE}/sub"), format!("{LAKE}/day=2026-01-01")] {
        let work = placed(3);
        other_snapshot(&work, &folder);
        let word = if folder == LAKE { "did not write" } else { "it contains" };
        work.snaplake(&["stage"]).ok();
        nothing_of_it_is_touched(&work, word);
    }
}

#[test]
fn lake_that_took_the_place_of_a_removed_one_is_left_as_it_is() {
    let work = placed(3);
    work.snaplake(&["run"]).ok();
    fs::remove_dir_all(work.path(LAKE)).unwrap();
    other_snapshot(&work, LAKE);
    let theirs = work.files("lake");
    for arguments in [&["run", "--replan", "--withdraw"][..], &["publish"], &["run"]] {
        work.snaplake(arguments);
        clean(&work, &["--staging"]).ok();
        assert!(work.files("lake") == theirs, "{arguments:?}");
    }
}

#[test]
fn stray_file_of_a_replaced_plan_goes_only_where_the_folder_is_surely_ours() {
    let work = placed(3);
    work.snaplake(&["run"]).ok();
    let before = work.files(LAKE);
    let stray = format!("{LAKE}/day=2026-01-01/000009-0123456789ab-0000.parquet");
    let ours = work.path(LAKE).join(before.keys().find(|file| file.ends_with(".parquet")).unwrap());
    work.write(&stray, "x");
    fs::rename(&ours, work.path("kept")).unwrap();
    clean(&work, &[]).ok();
    assert!(work.path(&stray).exists(), "not all files that were published are there");
    fs::rename(work.path("kept"), &ours).unwrap();
    work.snaplake(&["validate"]).failed(3, &["000009-0123456789ab", "`snaplake clean --remove`"]);
    clean(&work, &[]).ok();
    work.snaplake(&["run"]).ok();
    assert!(work.files(LAKE) == before);
}

#[test]
fn every_manifest_that_is_emptied_is_named_and_made_again() {
    let work = placed(3);
    let expected = expected(&work);
    for commands in [&["stage"][..], &["run"]] {
        let fresh = || {
            for folder in ["staging", "lake"] {
                let _ = fs::remove_dir_all(work.path(folder));
            }
            work.snaplake(commands).ok();
        };
        fresh();
        let manifests: Vec<String> = work.files(&format!("{ROOT}/manifests")).into_keys().collect();
        let manifests =
            manifests.into_iter().filter(|file| file.contains("manifest-summary") || file.contains("-data"));
        for file in manifests {
            fresh();
            work.write(&format!("{ROOT}/manifests/{file}"), "");
            let is_plan = !file.contains('/');
            for beside in [&["status"][..], &["clean", "--older-than", "0s"]] {
                work.snaplake(beside).ok();
            }
            let repair = work.snaplake(&["repair"]).ok();
            assert!(repair.stdout.contains(&file) || repair.stdout.contains("manifest"), "{file}: {}", repair.stdout);
            if is_plan && commands == ["run"] {
                assert!(repair.stdout.contains("--replan --withdraw"), "{}", repair.stdout);
                work.snaplake(&["run", "--replan", "--withdraw"]).ok();
            } else {
                work.snaplake(&["run"]).ok();
            }
            work.snaplake(&["validate"]).ok();
            assert!(work.files(LAKE) == expected, "{commands:?} {file}: another lake");
            assert_eq!(work.snaplake(&["repair"]).ok().stdout, "nothing is damaged\n", "{file}");
        }
    }
}

#[test]
fn published_table_is_taken_back_whole_though_the_plan_of_its_publish_tasks_was_damaged() {
    let work = placed(3);
    let of_half = || {
        let text = fs::read_to_string(work.path("job.sql")).unwrap();
        assert!(text.contains("FROM snapshot.events"));
        work.write("job.sql", &text.replace("FROM snapshot.events", "FROM snapshot.events WHERE id % 2 = 0"));
    };
    config(&work, "half/staging", "half/lake");
    of_half();
    work.snaplake(&["run"]).ok();
    let expected = work.files(&format!("half/{LAKE}"));
    let damaged = [
        &["partition-file-groups/manifest-summary/manifest-summary-2.json"][..],
        &["partition-file-groups/manifest-summary/manifest-summary-1.json"],
        &[
            "staging-file-groups/manifest-data/manifest-data-3.parquet",
            "datalake-file-groups/manifest-data/manifest-data-1.parquet",
        ],
    ];
    for (repairs, damaged) in damaged.iter().flat_map(|damaged| [(true, damaged), (false, damaged)]) {
        for folder in ["staging", "lake"] {
            let _ = fs::remove_dir_all(work.path(folder));
        }
        config(&work, "staging", "lake");
        work.snaplake(&["run"]).ok();
        damaged.iter().for_each(|file| work.write(&format!("{ROOT}/manifests/{file}"), ""));
        if repairs {
            work.snaplake(&["repair"]).ok();
        }
        of_half();
        work.snaplake(&["run", "--replan", "--withdraw"]).ok();
        assert!(work.files(LAKE) == expected, "{damaged:?}, after a repair: {repairs}");
    }
}

#[test]
fn staging_file_with_one_bit_changed_is_named_and_never_published() {
    let work = placed(3);
    let expected = expected(&work);
    work.snaplake(&["stage"]).ok();
    let data = format!("{ROOT}/datalake/shop/public/events");
    for (file, bytes) in work.files(&data) {
        for folder in ["staging", "lake"] {
            let _ = fs::remove_dir_all(work.path(folder));
        }
        work.snaplake(&["stage"]).ok();
        flip_a_bit(&work, &format!("{data}/{file}"));
        let look = work.snaplake(&["query", "-c", "SELECT * FROM staging.events"]);
        look.failed(1, &["changed after it was written", &file, "`snaplake repair CONFIG`"]);
        work.snaplake(&["publish"]).failed(1, &["changed after it was written", &file, "`snaplake repair CONFIG`"]);
        assert!(!work.path(&format!("{LAKE}/_SUCCESS")).exists());
        let repair = work.snaplake(&["repair"]).ok();
        assert!(repair.stdout.contains(&file) && repair.stdout.contains("stage group"), "{}", repair.stdout);
        work.snaplake(&["stage"]).ok();
        assert!(fs::read(work.path(&data).join(&file)).unwrap() == bytes, "{file}");
        work.snaplake(&["run"]).ok();
        assert!(work.files(LAKE) == expected, "{file}");
    }
}

#[test]
fn lake_whose_staging_is_lost_is_not_published_over_with_other_file_sizes() {
    let work = placed(3);
    work.snaplake(&["run"]).ok();
    let before = work.files(LAKE);
    fs::remove_dir_all(work.path("staging")).unwrap();
    config_with(&work, "staging", "lake", "SET snaplake.target_file_size = '1MB';");
    work.snaplake(&["stage"]).ok();
    for arguments in [&["publish", "--table", "events", "--group", "1"][..], &["publish"], &["run"]] {
        work.snaplake(arguments).failed(1, &["did not write", "publish lake.events to an empty location"]);
        assert!(work.files(LAKE) == before, "{arguments:?}");
    }
    config(&work, "staging", "lake");
    fs::remove_dir_all(work.path("staging")).unwrap();
    work.snaplake(&["run"]).ok();
    assert!(work.files(LAKE) == before);
}

fn flip_a_bit(work: &Work, file: &str) {
    let mut bytes = fs::read(work.path(file)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(work.path(file), bytes).unwrap();
}

#[test]
fn lake_file_with_one_bit_changed_is_named_by_query_and_validate_and_made_again() {
    let work = placed(3);
    work.snaplake(&["run"]).ok();
    let expected = work.files(LAKE);
    let file = expected.keys().find(|file| file.ends_with(".parquet")).unwrap();
    let look = || work.snaplake(&["query", "-c", "SELECT * FROM lake.events"]);
    look().ok();
    flip_a_bit(&work, &format!("{LAKE}/{file}"));
    look().failed(1, &["changed after it was written", file, "`snaplake repair CONFIG`"]);
    work.snaplake(&["validate"]).failed(3, &["changed after it was written", file]);
    assert!(!work.path(&format!("{LAKE}/_SUCCESS")).exists());
    work.snaplake(&["repair"]).ok();
    work.snaplake(&["run"]).ok();
    look().ok();
    assert!(work.files(LAKE) == expected);
    // A staging file of a complete lake, whose mark is put again.
    let data = format!("{ROOT}/datalake/shop/public/events");
    let file = work.files(&data).into_keys().next().unwrap();
    flip_a_bit(&work, &format!("{data}/{file}"));
    work.snaplake(&["validate"]).ok();
    let look = work.snaplake(&["query", "-c", "SELECT * FROM staging.events"]);
    look.failed(1, &["changed after it was written", &file]);
}

#[test]
fn lake_file_that_is_gone_is_reported_by_status_and_run_and_made_again() {
    let work = placed(3);
    work.snaplake(&["run"]).ok();
    let expected = work.files(LAKE);
    let file = expected.keys().find(|file| file.ends_with(".parquet")).unwrap();
    for staging in [&[][..], &["--staging"]] {
        clean(&work, staging).ok();
        fs::remove_file(work.path(LAKE).join(file)).unwrap();
        let status = work.snaplake(&["status", "--format", "json"]).ok();
        assert!(status.stdout.contains("\"complete\": false") && status.stdout.contains("not the validated files"));
        work.snaplake(&["run"]).failed(3, &["gone", "`snaplake repair CONFIG`"]);
        assert!(!work.path(&format!("{LAKE}/_SUCCESS")).exists());
        let repair = work.snaplake(&["repair"]).ok();
        assert!(repair.stdout.contains("publish group"), "{}", repair.stdout);
        work.snaplake(&["run"]).ok();
        assert!(work.files(LAKE) == expected, "{staging:?}");
    }
}

#[test]
fn run_that_slept_while_its_plan_was_replaced_commits_nothing_more() {
    let work = placed(3);
    work.snaplake(&["stage", "--table", "events", "--group", "1"]).ok();
    // What a process that planned before has in memory is what the store had then.
    let plan = work.files(&format!("{ROOT}/manifests"));
    work.snaplake(&["run", "--replan"]).ok();
    let lake = work.files(LAKE);
    let stray = "staging-file-groups/manifest-summary/manifest-summary-1.json";
    fs::write(work.path(&format!("{ROOT}/manifests/{stray}")), &plan[stray]).unwrap();
    work.snaplake(&["validate"]).failed(1, &["belongs to another plan", "`snaplake repair CONFIG`"]);
    assert!(work.files(LAKE) == lake, "a stray manifest says nothing about the lake");
    work.snaplake(&["repair"]).ok();
    work.snaplake(&["run"]).ok();
    work.snaplake(&["validate"]).ok();
    assert!(work.files(LAKE) == lake);
}

#[test]
fn durability_is_a_choice_and_makes_no_other_lake() {
    let work = placed(3);
    let expected = expected(&work);
    for word in ["fsync", "none"] {
        config_with(&work, word, &format!("{word}-lake"), &format!("SET snaplake.durability = '{word}';"));
        work.snaplake(&["run"]).ok();
        assert!(work.files(&format!("{word}-{LAKE}")) == expected, "{word}");
    }
    config_with(&work, "staging", "lake", "SET snaplake.durability = 'often';");
    work.snaplake(&["run"]).failed(2, &["snaplake.durability", "'fsync' or 'none'"]);
}

#[test]
fn lake_is_taken_back_whole_also_when_both_manifests_that_name_a_file_are_damaged() {
    const MANIFESTS: &str = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests";
    for repaired in [false, true] {
        let work = Work::events(2, 60);
        work.snaplake(&["run"]).ok();
        for manifest in [
            "datalake-file-groups/manifest-data/manifest-data-2.parquet",
            "partition-file-groups/manifest-summary/manifest-summary-2.json",
        ] {
            fs::write(work.path(&format!("{MANIFESTS}/{manifest}")), "").unwrap();
        }
        if repaired {
            work.snaplake(&["repair"]).ok();
        }
        let config = fs::read_to_string(work.path("job.sql")).unwrap();
        work.write("job.sql", &config.replace("SELECT id, day, note", "SELECT id + 1 AS id, day, note"));
        work.snaplake(&["run", "--replan", "--withdraw"]).ok();
        work.snaplake(&["validate"]).ok();
    }
}

#[test]
fn file_that_somebody_put_into_a_lake_under_a_name_like_ours_is_not_removed_when_the_lake_is_taken_back() {
    for damaged in [None, Some("datalake-file-groups/manifest-data/manifest-data-2.parquet")] {
        let work = Work::events(2, 60);
        work.snaplake(&["run"]).ok();
        let lake = work.files("out/lake");
        let ours = lake.keys().find(|name| name.ends_with("-0000.parquet")).unwrap();
        let theirs = format!("out/lake/{}/000009-0123456789ab-0000.parquet", ours.rsplit_once('/').unwrap().0);
        fs::write(work.path(&theirs), &lake[ours]).unwrap();
        if let Some(manifest) = damaged {
            let root = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests";
            fs::write(work.path(&format!("{root}/{manifest}")), "").unwrap();
        }
        let refused = work.snaplake(&["run", "--replan", "--withdraw"]);
        refused.failed(1, &["did not write", "000009-0123456789ab-0000.parquet"]);
        assert!(work.path(&theirs).is_file());
    }
}
