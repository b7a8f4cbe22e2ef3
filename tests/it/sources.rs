//! Which files are no source: other names of files that are read, what this config writes itself, what others of snaplake
//! wrote and is no complete lake, and what arrived after planning.

use std::fs;

use serde_json::Value;

use crate::support::{Work, ok};

const LAKE: &str = "CREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n";

fn config(location: &str, options: &str) -> String {
    format!("CREATE EXTERNAL TABLE snapshot.t (a INT) STORED AS CSV LOCATION {location} {options};\n{LAKE}")
}

#[track_caller]
fn refused(project: &Work, words: &[&str]) {
    let outcome = project.run(&["run", "config.sql"]);
    assert_ne!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    for word in ["config.sql:5:", "help:"].iter().chain(words) {
        assert!(outcome.stderr.contains(word), "no '{word}' in: {}", outcome.stderr);
    }
}

fn json(project: &Work, command: &str) -> Value {
    serde_json::from_str(&ok(project, &[command, "config.sql", "--format", "json"]).stdout).unwrap()
}

#[track_caller]
fn sum(project: &Work) -> String {
    ok(project, &["run", "config.sql", "--quiet"]);
    ok(project, &["query", "config.sql", "--format", "csv", "-c", "SELECT count(*) AS n, sum(a) AS s FROM lake.t"])
        .stdout
}

/// An owner file as it stands at the root of what a run writes.
fn owner(place: &str, table: &str, snapshot: &str) -> String {
    format!(
        r#"{{"version":1,"place":"{place}","database":"d","schema":"public","table":"{table}","snapshot":"{snapshot}"}}"#
    )
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_read_once_however_many_names_it_has() {
        let project = Work::config(&config("('in/', 'in/b/*.csv', 'other')", ""))
            .file("in/a.csv", "a\n1\n")
            .file("in/b/b.csv", "a\n2\n")
            .file("far/c.csv", "a\n4\n");
        fs::hard_link(project.path("in/a.csv"), project.path("in/hard.csv")).unwrap();
        symlink("a.csv", project.path("in/0.csv")).unwrap();
        symlink("b", project.path("in/current")).unwrap();
        symlink("../far", project.path("in/far")).unwrap();
        symlink("in/b", project.path("other")).unwrap();
        assert_eq!(sum(&project), "n,s\n3,7\n");
        let left = &json(&project, "plan")["tables"][0]["left_out"][0];
        assert_eq!((left["reason"].as_str(), left["files"].as_u64()), (Some("other_name"), Some(4)), "{left}");
        assert!(left["read_as"].as_str().unwrap().ends_with("/in/a.csv"), "{left}");
        let reported = "warning: lake.t: 4 files in the LOCATION of snapshot.t are not read (4 files (0.csv, ...): other \
                    names of files that are read, such as [dir]/in/a.csv)";
        let plan = ok(&project, &["plan", "config.sql"]).stdout;
        assert!(plan.contains(reported), "{plan}");
    }

    #[test]
    fn names_whose_folders_give_other_values_are_an_error_until_one_is_excluded() {
        let made = |options: &str| {
            let table = "CREATE EXTERNAL TABLE snapshot.t (a INT) PARTITIONED BY (day INT) STORED AS CSV";
            let project = Work::config(&format!("{table} LOCATION 'in/' {options};\n{LAKE}"))
                .file("in/day=1/a.csv", "a\n1\n")
                .file("in/day=2/b.csv", "a\n2\n");
            fs::hard_link(project.path("in/day=1/a.csv"), project.path("in/day=2/a.csv")).unwrap();
            project
        };
        let outcome = made("").run(&["run", "config.sql"]);
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        for word in ["is not clear", "in/day=2/a.csv", "another name of", "in/day=1/a.csv", "PARTITIONED BY"] {
            assert!(outcome.stderr.contains(word), "no '{word}' in {}", outcome.stderr);
        }
        assert_eq!(sum(&made("OPTIONS ('exclude' 'day=2/a.csv')")), "n,s\n2,3\n");
    }

    #[test]
    fn links_in_a_circle_are_an_error_that_names_them() {
        for (target, name) in [(".", "self"), ("b", "a"), ("../other", "out")] {
            let project = Work::config(&config("'in/'", "")).file("in/x.csv", "a\n1\n").file("other/y.csv", "a\n1\n");
            symlink(target, project.path("in").join(name)).unwrap();
            symlink("a", project.path("in/b")).unwrap();
            symlink("../in", project.path("other/in")).unwrap();
            let outcome = project.run(&["run", "config.sql"]);
            assert_eq!((outcome.code, project.paths("lake").len()), (1, 0), "{}", outcome.stderr);
            let is_named = ["in/self", "in/a", "in/b", "in/out"].iter().any(|path| outcome.stderr.contains(path));
            assert!(is_named && outcome.stderr.contains("help: remove the symbolic link"), "{}", outcome.stderr);
        }
    }

    #[test]
    fn location_that_leads_to_what_this_config_writes_is_refused_before_and_after_that_exists() {
        let staging = "[dir]/staging/shop/t/snapshot=2026-01-31T00:00:00Z, where this config stages lake.t";
        for (location, words) in [
            ("link/", ["LOCATION [dir]/link/ of snapshot.t is or holds", staging]),
            ("link/**", ["LOCATION [dir]/link/** of snapshot.t matches files in", staging]),
            ("**/*.parquet", ["matches files in", staging]),
            ("lake/**", ["matches files in", "where this config publishes lake.t"]),
        ] {
            let project = Work::config(&config(&format!("'{location}'"), "")).file("in/x.csv", "a\n1\n");
            symlink(".", project.path("link")).unwrap();
            refused(&project, &words);
            assert_eq!(project.paths("staging"), [""; 0]);
        }
        let project = Work::config(&config("'in/'", "")).file("in/x.csv", "a\n1\n");
        assert_eq!(sum(&project), "n,s\n1,1\n");
        symlink("../staging/shop", project.path("in/up")).unwrap();
        let replan = project.run(&["run", "config.sql", "--replan", "--withdraw"]);
        for word in ["config.sql:5:", "leads by up to", staging, "help: move the snapshot's files"] {
            assert!(replan.code != 0 && replan.stderr.contains(word), "no '{word}' in {}", replan.stderr);
        }
        // A glob that meets none of it is as good as any, also from above.
        for (location, options) in [("*/x.csv", ""), ("**", "OPTIONS ('exclude' 'staging/, lake/, *.sql')")] {
            let project = Work::config(&config(&format!("'{location}'"), options)).file("in/x.csv", "a\n1\n");
            assert_eq!(sum(&project), "n,s\n1,1\n", "{location}");
            ok(&project, &["run", "config.sql", "--replan", "--withdraw"]);
        }
    }

    #[test]
    fn link_into_a_staging_folder_is_refused_until_it_is_excluded() {
        let made = |options: &str| {
            let project = Work::config(&config("'in/'", options))
                .file("in/x.csv", "a\n1\n")
                .file("far/d/t/snapshot=1/_snaplake.json", owner("staging", "t", "1"))
                .file("far/d/t/snapshot=1/datalake/d/public/t/y.csv", "a\n2\n");
            symlink("../far/d/t/snapshot=1/datalake/d/public/t", project.path("in/more")).unwrap();
            symlink("../far/d/t/snapshot=1/datalake/d/public/t/y.csv", project.path("in/y.csv")).unwrap();
            project
        };
        refused(
            &made(""),
            &["leads by more to", "lies in [dir]/far/d/t/snapshot=1, a staging folder of snaplake of d.t"],
        );
        refused(&made("OPTIONS ('exclude' 'more/')"), &["leads by y.csv to"]);
        assert_eq!(sum(&made("OPTIONS ('exclude' 'more/, y.csv')")), "n,s\n1,1\n");
    }
}

#[test]
fn output_of_another_config_is_no_source_but_a_complete_lake_is() {
    let made = |location: &str, options: &str, files: &[(&str, String)]| {
        let project = Work::config(&config(&format!("'{location}'"), options)).file("in/x.csv", "a\n1\n");
        files.iter().fold(project, |project, (name, text)| project.file(name, text))
    };
    let (rows, done) = (|| "a\n2\n".to_owned(), String::new);
    let staging = [("in/s/_snaplake.json", owner("staging", "t", "1")), ("in/s/y/y.csv", rows())];
    for location in ["in/", "in/s/y/", "in/s/y/y.csv", "in/s/y/*", "in/**/*.csv"] {
        refused(&made(location, "", &staging), &["[dir]/in/s, a staging folder of snaplake of d.t, snapshot 1"]);
    }
    // What a glob does not match and what is excluded is not meant.
    assert_eq!(sum(&made("in/*.csv", "", &staging)), "n,s\n1,1\n");
    assert_eq!(sum(&made("in/", "OPTIONS ('exclude' 's/')", &staging)), "n,s\n1,1\n");

    let lake = [("in/l/_snaplake.json", owner("lake", "t", "1")), ("in/l/k=1/y.csv", rows())];
    let whole = [&lake[..], &[("in/l/_SUCCESS", done())]].concat();
    for location in ["in/", "in/l/k=1/", "in/l/k=1/y.csv"] {
        let words = ["[dir]/in/l, the lake of d.t, snapshot 1, which is not complete: it has no _SUCCESS"];
        refused(&made(location, "", &lake), &words);
        ok(&made(location, "", &whole), &["run", "config.sql"]);
    }
    let other = |table: &str| {
        let file = ("in/m/_snaplake.json", owner("lake", table, "2"));
        [&whole[..], &[file, ("in/m/_SUCCESS", done()), ("in/m/z.csv", rows())]].concat()
    };
    refused(&made("in/", "", &other("t")), &["holds the lake of d.t twice, at [dir]/in/l and [dir]/in/m"]);
    assert_eq!(sum(&made("in/", "OPTIONS ('exclude' 'm/')", &other("t"))), "n,s\n2,3\n");
    assert_eq!(sum(&made("in/", "", &other("u"))), "n,s\n3,5\n");
    refused(&made("in/", "", &[("in/_snaplake.json", "{".to_owned())]), &["[dir]/in/_snaplake.json", "cannot be read"]);
}

#[test]
fn files_that_arrive_after_planning_are_reported_by_run_and_status() {
    let project = Work::config(&config("'in/'", ""))
        .file("in/a.csv", "a\n1\n")
        .file("in/part-0", "a\n2\n")
        .file("in/page", "<html></html>")
        .file("in/empty.csv", "");
    let message =
        |project: &Work| [ok(project, &["run", "config.sql"]).stderr, ok(project, &["status", "config.sql"]).stdout];
    for text in message(&project) {
        assert!(!text.contains("after planning"), "{text}");
    }
    let project = project
        .file("in/late.csv", "a\n3\n")
        .file("in/part-1", "a\n4\n")
        .file("in/page-1", "<html></html>")
        .file("in/README.md", "x")
        .file("in/empty.csv", "a\n5\n");
    let reported = "3 files in the LOCATION of snapshot.t arrived after planning (empty.csv, late.csv, part-1) and are not \
                read; to read the current files, use `snaplake run CONFIG --replan --table t`";
    for text in message(&project) {
        assert!(text.contains(reported), "{text}");
    }
    let warnings = &json(&project, "status")["tables"][0]["warnings"];
    assert_eq!(warnings[0]["code"], "late_files", "{warnings}");
    // What was read may go.
    fs::remove_dir_all(project.path("in")).unwrap();
    for text in message(&project) {
        assert!(!text.contains("planning"), "{text}");
    }
    assert_eq!(sum(&project), "n,s\n2,3\n");
}

#[test]
fn planned_files_that_are_gone_or_replaced_are_reported_while_they_are_to_be_staged() {
    let project = Work::config(
        "CREATE EXTERNAL TABLE snapshot.t (a INT) STORED AS CSV LOCATION 'in/';\n\
         CREATE TABLE lake.t WITH (file_group_size = '1B') AS SELECT * FROM snapshot.t;\n",
    );
    let project = ["a", "b", "c", "d"]
        .iter()
        .fold(project, |project, name| project.file(&format!("in/{name}.csv"), format!("a\n{}\n", name.len())));
    ok(&project, &["stage", "config.sql", "--table", "t", "--group", "1"]);
    let project = project.file("in/b.csv", "a\n22\n");
    fs::remove_file(project.path("in/a.csv")).unwrap();
    fs::remove_file(project.path("in/c.csv")).unwrap();
    let reported = "2 files of snapshot.t are missing or replaced since planning and are not staged yet (b.csv, c.csv)";
    let status = ok(&project, &["status", "config.sql"]).stdout;
    assert!(status.contains(reported), "{status}");
    let run = project.run(&["run", "config.sql"]);
    assert!(run.code == 1 && run.stderr.contains(reported), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_new_name_of_a_planned_file_is_no_arrival() {
    let project = Work::config(&config("'in/'", "")).file("in/b.csv", "a\n1\n");
    ok(&project, &["run", "config.sql"]);
    fs::hard_link(project.path("in/b.csv"), project.path("in/a.csv")).unwrap();
    std::os::unix::fs::symlink("b.csv", project.path("in/c.csv")).unwrap();
    let status = ok(&project, &["status", "config.sql"]).stdout;
    assert!(!status.contains("planning"), "{status}");
}
