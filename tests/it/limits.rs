//! Hard limits of the machine: disks that are full or read-only, few open files, little memory, nothing to read, very wide
//! rows, a signal. Each ends in a lake that is right, or in an error that names the place and says what to do; then nothing is
//! published, and the same command ends well once the limit is gone.
//!
//! Disks of a few megabytes are `tmpfs` in a mount namespace of the test's own, so these tests need Linux.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{EVENTS, Run, SETTINGS, Work};

/// Runs a shell script in a mount namespace of its own; `$job` is the config, `$snaplake` the program.
fn in_namespace(work: &Work, script: &str) -> Run {
    for folder in ["out/staging", "out/lake", "tmp"] {
        std::fs::create_dir_all(work.path(folder)).unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).stdin(Stdio::null()).current_dir(work.path("."));
    command.env("snaplake", env!("CARGO_BIN_EXE_snaplake")).env("job", work.path("job.sql"));
    command.output().expect("this test needs unshare of util-linux").into()
}

/// One task over all files, which has to keep all rows until the last one is read.
fn one_task(work: Work) -> Work {
    let select = "SELECT id, day, max(note) AS note FROM snapshot.events GROUP BY id, day";
    let tables = EVENTS.replace("SELECT id, day, note FROM snapshot.events", select);
    work.write("job.sql", &format!("{SETTINGS}{}", tables.replace("${group:-2000}", "all")));
    work
}

/// With `disk` mounted so, the run fails with these words and publishes nothing; then, mounted well, it ends.
#[track_caller]
fn fails_then_ends(disk: &str, options: &str, before: &str, after: &str, words: &[&str]) {
    let work = if options.is_empty() { Work::events(4, 20_000) } else { one_task(Work::events(4, 150_000)) };
    work.command(&["run", "--var", "out=expected"])
        .args(options.split_whitespace())
        .output()
        .map(Run::from)
        .unwrap()
        .ok();
    let script = format!(
        "set -e; export TMPDIR=$PWD/tmp; mount -t tmpfs -o {before} disk {disk}
         code=0; $snaplake run $job {options} || code=$?
         test -z \"$(find out -name _SUCCESS)\"
         mount -o remount,{after} {disk}
         $snaplake run $job {options} --quiet
         cp -r out kept; exit $code"
    );
    in_namespace(&work, &script).failed(1, words);
    assert!(work.files("kept/lake") == work.files("expected/lake"));
}

#[test]
fn full_disk_while_staging_is_named_and_a_rerun_ends() {
    let words = ["stage of lake.events group", "No space left on device", "out/staging", "help: free disk space there"];
    fails_then_ends("out/staging", "", "size=1m", "size=64m", &words);
}

#[test]
fn full_disk_while_publishing_is_named_and_a_rerun_ends() {
    let words = ["publish of lake.events group", "No space left on device", "out/lake", "help: free disk space there"];
    fails_then_ends("out/lake", "", "size=1m", "size=64m", &words);
}

#[test]
fn full_disk_while_spilling_is_named_and_a_rerun_ends() {
    let words = ["stage of lake.events group", "No space left on device", "$TMPDIR"];
    fails_then_ends("tmp", "--memory-limit 64MB --threads 1", "size=16k", "size=64m", &words);
}

#[test]
fn read_only_staging_is_named_and_a_rerun_ends() {
    let words = ["Read-only file system", "out/staging", "help: make it writable"];
    fails_then_ends("out/staging", "", "size=64m,ro", "rw,size=64m", &words);
}

#[test]
fn read_only_lake_is_named_and_a_rerun_ends() {
    let words = ["_snaplake.json failed", "Read-only file system", "out/lake", "help: make it writable"];
    fails_then_ends("out/lake", "", "size=64m,ro", "rw,size=64m", &words);
}

#[test]
fn few_open_files_are_named_and_a_rerun_ends() {
    let work = Work::events(4, 2_000);
    let run = in_namespace(&work, "ulimit -n 10; exec $snaplake run $job");
    // A config that cannot be read is exit code 2; which file is one too many depends on the moment.
    let code = if run.stderr.contains("config file") { 2 } else { 1 };
    run.failed(code, &["Too many open files", "help: raise the limit of open files (ulimit -n)"]);
    work.snaplake(&["run"]).ok();
}

#[test]
fn memory_limit_below_one_row_group_costs_passes_and_not_rows() {
    let work = Work::events(4, 20_000);
    work.snaplake(&["run", "--var", "out=expected", "--var", "group=1GB"]).ok();
    work.snaplake(&["run", "--var", "group=1GB", "--memory-limit", "1MB"]).ok();
    let rows = |out: &str| {
        let query = "SELECT * FROM lake.events ORDER BY id";
        let out = format!("out={out}");
        work.snaplake(&["query", "--var", &out, "--var", "group=1GB", "--format", "csv", "-c", query]).ok().stdout
    };
    assert_eq!(rows("expected").lines().count(), 80_001);
    assert!(rows("expected") == rows("out"));
}

#[test]
fn table_without_rows_and_select_that_filters_all_are_published_empty() {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.t (id BIGINT) STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
         CREATE TABLE lake.t AS SELECT id FROM snapshot.t;
         CREATE TABLE lake.filtered AS SELECT id FROM snapshot.t WHERE id > 7;",
    );
    work.write("export/a.csv", "id\n");
    work.write("export/b.csv", "id\n");
    let run = work.snaplake(&["run"]).ok();
    assert!(run.stderr.contains("valid   t: 0 rows in and out agree, _SUCCESS written"), "{}", run.stderr);
    let count = work.snaplake(&["query", "--format", "csv", "-c", "SELECT count(*) AS n FROM lake.filtered"]).ok();
    assert_eq!(count.stdout, "n\n0\n");
}

#[test]
fn folder_without_files_is_named_with_what_to_check() {
    let work = Work::events(0, 0);
    std::fs::create_dir(work.path("export")).unwrap();
    work.snaplake(&["run"])
        .failed(1, &["job.sql:8:28: ", "export/ has no CSV file for snapshot.events", "nothing is there"]);
}

#[test]
fn partition_value_longer_than_a_key_allows_is_named() {
    let work = Work::events(1, 3);
    work.write("export/long.csv", &format!("id,day,note\n9,{},x\n", "d".repeat(300)));
    work.snaplake(&["run"]).failed(1, &["'day' has 304 bytes", "at most 255", "choose another"]);
    assert!(work.files("out/lake").is_empty());
}

#[test]
fn five_thousand_columns_arrive() {
    let (mut head, mut row) = ("day".to_owned(), "2026-01-01".to_owned());
    for column in 0..5_000 {
        write!(head, ",c{column}").unwrap();
        write!(row, ",{column}").unwrap();
    }
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.wide STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
         CREATE TABLE lake.wide WITH (partitioned_by = ARRAY['day']) AS SELECT * FROM snapshot.wide;",
    );
    work.write("export/a.csv", &format!("{head}\n{row}\n{row}\n"));
    work.snaplake(&["run"]).ok();
    let query = "SELECT sum(c0) AS a, sum(c4999) AS z FROM lake.wide";
    assert_eq!(work.snaplake(&["query", "--format", "csv", "-c", query]).ok().stdout, "a,z\n0,9998\n");
}

/// Runs the config, and gives the most memory that the program had, in bytes.
#[track_caller]
fn peak_memory(work: &Work, options: &[&str]) -> u64 {
    let mut command = work.command(&["run", "--quiet"]);
    let mut child = command.args(options).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        // The kernel's own mark, so that nothing between two looks is missed but what comes after the last one.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = mark.and_then(|mark| mark.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0).max(peak);
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        std::thread::yield_now();
    };
    assert!(code.success());
    peak << 10
}

/// Tables of 2,000 columns and few rows, read from CSV and from the Parquet file that comes of it: compressed with
/// Snappy, since the engine's reader holds a decompressor of some 150 KB for each column of a file with Zstandard.
#[test]
fn two_thousand_columns_stay_within_the_memory_limit() {
    const LIMIT: u64 = 256 << 20;
    let (mut head, mut rows) = ("day".to_owned(), String::new());
    (0..2_000).for_each(|column| write!(head, ",c{column}").unwrap());
    for row in 0..6 {
        write!(rows, "2026-01-0{}", 1 + row % 2).unwrap();
        for column in 0..2_000 {
            match column % 4 {
                0 => write!(rows, ",{}", row * 7_919 + column),
                1 => write!(rows, ",{row}.5"),
                2 => write!(rows, ",text {column} {row}"),
                _ => write!(rows, ","),
            }
            .unwrap();
        }
        rows.push('\n');
    }
    let lakes = "
        CREATE TABLE lake.plain WITH (write_compression = 'SNAPPY') AS SELECT * FROM snapshot.wide;
        CREATE TABLE lake.sorted WITH (sorted_by = ARRAY['c0 DESC']) AS SELECT * FROM snapshot.wide;
        CREATE TABLE lake.by_day WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['c4']) AS SELECT * FROM snapshot.wide;";
    let options = ["--memory-limit", "256MiB", "--threads", "2"];
    let work = Work::new(&format!(
        "CREATE EXTERNAL TABLE snapshot.wide STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');{lakes}"
    ));
    work.write("export/a.csv", &format!("{head}\n{rows}"));
    let of_csv = peak_memory(&work, &options);
    let again = Work::new(&format!("CREATE EXTERNAL TABLE snapshot.wide STORED AS PARQUET LOCATION 'export/';{lakes}"));
    let published = work.files("out/lake/shop/plain").into_iter().find(|(path, _)| path.ends_with(".parquet")).unwrap();
    std::fs::create_dir(again.path("export")).unwrap();
    std::fs::write(again.path("export/a.parquet"), published.1).unwrap();
    let of_parquet = peak_memory(&again, &options);
    for work in [&work, &again] {
        for table in ["plain", "sorted", "by_day"] {
            let query = format!("SELECT count(*) AS n, sum(c0) AS a, max(c1998) AS z FROM lake.{table}");
            let found = work.snaplake(&["query", "--format", "csv", "-c", &query]).ok().stdout;
            assert_eq!(found, "n,a,z\n6,118785,text 1998 5\n", "{table}");
        }
    }
    assert!(of_csv.max(of_parquet) < LIMIT, "{of_csv} of CSV and {of_parquet} of Parquet bytes");
}

/// Ends a run by a signal as soon as its first stage task is done; a rerun makes the same lake.
#[track_caller]
fn signal_ends_a_run(signal: &str, code: i32) {
    let work = Work::events(40, 2_000);
    work.snaplake(&["run", "--var", "out=expected"]).ok();
    let mut command = work.command(&["run", "--verbose"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut message = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = message.find(|line| line.contains("stage") && line.contains("group")).expect("a task is reported");
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success(), "{first}");
    let rest: Vec<String> = message.collect();
    assert_eq!(child.wait().unwrap().code(), Some(code), "{rest:#?}");
    assert!(
        rest.iter().any(
            |line| line.contains("to continue, run the same command again (finished tasks are kept): snaplake run")
        ),
        "{rest:#?}"
    );
    work.snaplake(&["run"]).ok();
    assert!(work.files("out/lake") == work.files("expected/lake"));
}

#[test]
fn interrupt_ends_with_130_and_a_rerun_makes_the_same_lake() {
    signal_ends_a_run("-INT", 130);
}

#[test]
fn terminate_ends_with_143_and_a_rerun_makes_the_same_lake() {
    signal_ends_a_run("-TERM", 143);
}
