//! `clean`: what it takes for garbage, and what it leaves alone.

use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use crate::support::s3_server::Server;
use crate::support::{Run, Work, events};

const LAKE: &str = "out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events/day=2026-01-02";
const ROOT: &str = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z";

fn listed(work: &Work, arguments: &[&str]) -> Vec<String> {
    let run = work.snaplake(&[&["clean", "--older-than", "0s"], arguments].concat()).ok();
    let lines = run.stdout.lines().filter(|line| *line != "no files to remove");
    let mut names: Vec<String> = lines.map(|line| line.rsplit('/').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn complete_table_has_no_garbage() {
    let work = Work::events(4, 40);
    work.snaplake(&["run"]).ok();
    assert_eq!(listed(&work, &[]), [] as [String; 0]);
}

#[test]
fn only_what_no_manifest_lists_is_found_and_removed() {
    let work = Work::events(4, 40);
    work.snaplake(&["run"]).ok();
    let before = work.files("out");
    let lake_file = work.files(LAKE).into_keys().next().unwrap();
    let garbage = [
        format!("{LAKE}/.{lake_file}"),
        format!("{LAKE}/.{lake_file}#1"),
        format!("{LAKE}/{}", lake_file.replace("-0000.", "-0007.")),
        format!("{ROOT}/datalake/shop/public/events/day=2026-01-01/000009-0123456789ab-000000.parquet"),
        format!("{ROOT}/manifests/staging-file-groups/manifest-data/manifest-data-99.parquet"),
        format!("{ROOT}/manifests/staging-file-groups/manifest-summary/manifest-summary-1.json#2"),
        format!("{ROOT}/manifests/staging-file-groups/manifest-summary/failed-1.json"),
        format!("{ROOT}/manifests/datalake-file-groups/manifest-summary/failed-99.json"),
        format!("{ROOT}/manifests/datalake-file-groups/manifest-summary/running-0123456789ab.json"),
    ];
    let strangers = [format!("{LAKE}/theirs.parquet"), format!("{LAKE}/theirs.parquet#1"), format!("{ROOT}/notes.txt")];
    garbage.iter().chain(&strangers).for_each(|path| work.write(path, "x"));
    let mut names: Vec<&str> = garbage.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    names.sort_unstable();

    let young = work.snaplake(&["clean"]).ok();
    assert_eq!(young.stdout, "no files to remove\n");
    assert_eq!(listed(&work, &[]), names);
    assert_eq!(work.files("out").len(), before.len() + garbage.len() + strangers.len());
    assert_eq!(listed(&work, &["--remove", "--yes"]), names);
    strangers.iter().for_each(|path| std::fs::remove_file(work.path(path)).unwrap());
    assert!(work.files("out") == before);
}

#[test]
fn word_of_a_failure_stays_as_long_as_the_task_is_not_done() {
    let work = Work::events(1, 40);
    work.write("export/part-00001.csv", "id,day,note\nnone,2026-01-01,x\n");
    work.snaplake(&["stage"]).failed(1, &["part-00001.csv"]);
    let failed = |work: &Work| work.files(ROOT).into_keys().filter(|path| path.contains("/failed-")).count();
    assert_eq!(failed(&work), 1);
    assert_eq!(listed(&work, &["--remove", "--yes"]).iter().filter(|name| name.starts_with("failed-")).count(), 0);
    assert_eq!(failed(&work), 1);
}

#[test]
fn staging_files_of_a_complete_table_go_if_asked_for_and_a_rerun_has_nothing_to_do() {
    let work = Work::events(4, 40);
    work.snaplake(&["stage"]).ok();
    assert_eq!(listed(&work, &["--staging"]), [] as [String; 0]);
    work.snaplake(&["publish"]).ok();
    let staged = work.files(&format!("{ROOT}/datalake")).len();
    assert!(staged > 0);
    assert_eq!(listed(&work, &["--staging", "--remove", "--yes"]).len(), staged);
    assert!(work.files(&format!("{ROOT}/datalake")).is_empty());
    let again = work.snaplake(&["run"]).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    work.snaplake(&["validate"]).ok();
}

#[test]
fn table_that_was_never_planned_has_no_garbage() {
    let work = Work::events(1, 1);
    assert_eq!(listed(&work, &["--staging"]), [] as [String; 0]);
}

#[test]
fn tries_of_an_export_that_no_manifest_names_go_as_a_whole_once_they_are_old() {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.users STORED AS DYNAMODB_EXPORT LOCATION ('in/full/', 'in/later/');
         CREATE TABLE lake.users AS SELECT * FROM snapshot.users;",
    );
    // Of an earlier snapshot.
    let folder = "out/staging/shop/_merged/snapshot=2026-01-30T00:00:00Z/users";
    let manifest = format!("{folder}/merged-export.json");
    work.write(&manifest, r#"{"version": 1, "folder": "try-0000000000000001"}"#);
    work.write(&format!("{folder}/try-0000000000000001/items-1"), "x");
    work.write(&format!("{folder}/notes/items-1"), "x");
    let before = work.files("out");
    let names = ["items-1", "items-2", "items-3#1"];
    let garbage = names.map(|name| format!("{folder}/try-0000000000000002/{name}"));
    let write = || garbage.iter().for_each(|path| work.write(path, "x"));
    let age = |path: &String| {
        let file = std::fs::File::options().write(true).open(work.path(path)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(7_200)).unwrap();
    };
    write();
    garbage[..2].iter().for_each(age);
    assert_eq!(work.snaplake(&["clean"]).ok().stdout, "no files to remove\n", "the last one is being written");
    age(&garbage[2]);
    assert_eq!(work.snaplake(&["clean"]).ok().stdout.lines().count(), names.len());
    assert_eq!(listed(&work, &["--remove", "--yes"]), names);
    assert!(work.files("out") == before);
    write();
    work.write(&manifest, "{");
    let run = work.snaplake(&["clean", "--older-than", "0s"]).ok();
    assert_eq!(run.stdout, "no files to remove\n");
    assert!(run.stderr.contains("merged-export.json cannot be read"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_uploads_that_nobody_ended_are_listed_and_aborted() {
    let (server, work) = (Server::of_test("uploads"), Work::new(crate::support::EVENTS));
    let store = server.store();
    for file in 0..4 {
        let path = object_store::path::Path::from(format!("export/part-{file}.csv"));
        store.put(&path, events(file * 40, 40).into()).await.unwrap();
    }
    let snaplake = |arguments: &[&str]| {
        let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", server.url()));
        let mut command = work.command(arguments);
        server.configure(command.args(["--var", &export, "--var", &out]));
        Run::from(command.output().unwrap()).ok()
    };
    snaplake(&["run"]);
    let lake = format!("{LAKE}/");
    let listed = store.list(None).try_collect::<Vec<_>>().await.unwrap();
    let published = listed.iter().map(|meta| meta.location.as_ref()).find(|key| key.starts_with(&lake)).unwrap();
    let ours = [
        published.to_owned(),
        published.replace("-0000.", "-0001."),
        format!("{ROOT}/datalake/a"),
        format!("{ROOT}/b"),
    ];
    let strangers = [format!("{LAKE}/theirs.parquet"), "elsewhere/f".to_owned()];
    for key in ours.iter().chain(&strangers) {
        let mut upload = store.put_multipart(&object_store::path::Path::parse(key).unwrap()).await.unwrap();
        upload.put_part(vec![0; 100].into()).await.unwrap();
    }
    let young = snaplake(&["clean"]);
    assert_eq!(young.stdout, "no files to remove\n");
    let found = snaplake(&["clean", "--older-than", "0s"]).stdout;
    for key in &ours {
        let uri = format!("{}/{key} (upload ", server.url());
        assert!(found.lines().any(|line| line.starts_with("unfinished") && line.contains(&uri)), "{key}: {found}");
    }
    assert_eq!(found.lines().count(), ours.len(), "{found}");
    assert_eq!(snaplake(&["clean", "--older-than", "0s", "--remove", "--yes"]).stdout, found);
    assert_eq!(snaplake(&["clean", "--older-than", "0s"]).stdout, "no files to remove\n");
    // A file that is listed stays, though another upload to it was aborted.
    snaplake(&["validate"]);
}
