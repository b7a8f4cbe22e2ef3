//! Snapshots that are dropped from a local lake: what is shown, what is removed, what is refused.

use std::path::Path;

use crate::support::{Run, Work};

const CONFIG: &str = "
    SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '${time}';
    SET snaplake.staging = 'out/staging'; SET snaplake.datalake = 'out/lake';
    CREATE EXTERNAL TABLE snapshot.orders (id INT, day VARCHAR) STORED AS CSV LOCATION 'export/'
    OPTIONS ('format.has_header' 'true');
    CREATE TABLE lake.orders WITH (partitioned_by = ARRAY['day']) AS SELECT * FROM snapshot.orders;
";

/// Three nights, published.
fn nights() -> Work {
    let work = Work::new("");
    work.write("job.sql", CONFIG);
    work.write("export/a.csv", "id,day\n1,mon\n2,tue\n");
    for day in ["29", "30", "31"] {
        work.snaplake(&["run", "--quiet", "--var", &format!("time=2026-01-{day}T00:00:00Z")]).ok();
    }
    work
}

fn snaplake(work: &Work, arguments: &[&str]) -> Run {
    work.snaplake(&[arguments, &["--var", "time=2026-01-31T00:00:00Z"]].concat())
}

/// All files and folders of one night.
fn of_night(work: &Work, day: &str) -> Vec<String> {
    fn add(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.to_str().unwrap().to_owned());
            if path.is_dir() && !path.is_symlink() {
                add(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    add(&work.path("out"), &mut found);
    found.retain(|path| path.contains(&format!("snapshot=2026-01-{day}T")));
    found.sort();
    found
}

#[test]
fn old_snapshots_are_listed_first_and_removed_with_their_folders_only_when_it_is_confirmed() {
    let work = nights();
    let nights = ["29", "30", "31"].map(|day| of_night(&work, day));
    let listed = snaplake(&work, &["expire", "--keep", "2"]).ok();
    assert!(listed.stdout.contains("2026-01-29T00:00:00Z  complete"), "{listed:?}");
    assert!(!listed.stdout.contains("2026-01-30"), "{listed:?}");
    assert!(listed.stderr.contains("nothing removed; add --remove to remove them"), "{listed:?}");
    let unconfirmed = snaplake(&work, &["expire", "--keep", "2", "--remove"]);
    assert!(unconfirmed.code == 1 && unconfirmed.stderr.contains("--yes"), "{unconfirmed:?}");
    assert_eq!(["29", "30", "31"].map(|day| of_night(&work, day)), nights);
    let removed = snaplake(&work, &["expire", "--keep", "2", "--remove", "--yes"]).ok();
    assert!(removed.stderr.contains("1 snapshot, ") && removed.stderr.contains(": removed"), "{removed:?}");
    assert_eq!([of_night(&work, "29"), of_night(&work, "30")], [Vec::new(), nights[1].clone()]);
    let again = snaplake(&work, &["expire", "--keep", "2", "--remove", "--yes"]).ok();
    assert_eq!(again.stdout, "no snapshots to drop\n");
    snaplake(&work, &["validate", "--quiet"]).ok();
    // It can be made again.
    work.snaplake(&["run", "--quiet", "--var", "time=2026-01-29T00:00:00Z"]).ok();
    assert_eq!(of_night(&work, "29").len(), nights[0].len());
}

#[test]
fn newest_snapshot_and_names_of_none_are_refused_with_what_to_do() {
    let work = nights();
    let before = of_night(&work, "31");
    for (time, expected) in [
        (
            "2026-01-31T00:00:00Z",
            "is the newest complete one, and is not dropped\n  help: publish a newer snapshot first",
        ),
        ("2026-02-01T00:00:00Z", "no table has a snapshot 2026-02-01T00:00:00Z\n  help: list them with"),
    ] {
        let refused = snaplake(&work, &["drop", "--snapshot", time, "--remove", "--yes"]);
        assert!(refused.code == 1 && refused.stderr.contains(expected), "{refused:?}");
    }
    assert_eq!(of_night(&work, "31"), before);
}

#[cfg(unix)]
#[test]
fn folder_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
    let work = nights();
    let old = work.path("out/lake/shop/orders/snapshot=2026-01-29T00:00:00Z");
    std::fs::remove_dir_all(&old).unwrap();
    std::os::unix::fs::symlink(work.path("out/lake/shop/orders/snapshot=2026-01-30T00:00:00Z"), &old).unwrap();
    let before = of_night(&work, "30");
    let refused = snaplake(&work, &["expire", "--keep", "1", "--remove", "--yes"]);
    assert!(refused.code == 1 && refused.stderr.contains("is a link or lies behind one"), "{refused:?}");
    assert_eq!(of_night(&work, "30"), before);
}
