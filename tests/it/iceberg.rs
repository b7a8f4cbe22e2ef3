//! Iceberg tables of the program: their versions when snapshots are published, published again and dropped, on disk and
//! on S3; what is refused.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::Value;

use crate::support::s3_server::Server;
use crate::support::{Run, Work};

const CONFIG: &str = "
    SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '2026-01-${night}T00:00:00Z';
    SET snaplake.staging = '${out:-out}/staging'; SET snaplake.datalake = '${out:-out}/lake';
    CREATE EXTERNAL TABLE snapshot.orders (id INT, day VARCHAR) STORED AS CSV LOCATION '${export:-export}/'
    OPTIONS ('format.has_header' 'true');
    CREATE TABLE lake.orders WITH (format = 'ICEBERG', partitioned_by = ARRAY['day']) AS
    SELECT id, day FROM snapshot.orders;
";

const ROWS: &str = "id,day\n1,mon\n2,tue\n";

fn at(work: &Work, night: &str, arguments: &[&str]) -> Run {
    work.snaplake(&[arguments, &["--var", &format!("night={night}")]].concat())
}

/// Some nights, published.
fn nights(nights: &[&str]) -> Work {
    let work = Work::new("");
    work.write("job.sql", CONFIG);
    work.write("export/a.csv", ROWS);
    for night in nights {
        at(&work, night, &["run", "--quiet"]).ok();
    }
    work
}

/// The newest version: its number, the snapshot times of its tags, and the time that readers see.
fn newest(work: &Work) -> (u64, Vec<String>, Option<String>) {
    let folder = work.path("out/lake/shop/orders/metadata");
    let number = std::fs::read_to_string(folder.join("version-hint.text")).unwrap().parse().unwrap();
    let table = std::fs::read(folder.join(format!("v{number}.metadata.json"))).unwrap();
    let table: Value = serde_json::from_slice(&table).unwrap();
    let refs = table["refs"].as_object().unwrap();
    let tags: Vec<String> = refs.keys().filter(|name| *name != "main").cloned().collect();
    let main = refs.get("main").map(|main| &main["snapshot-id"]);
    assert_eq!(main.map_or(-1, |id| id.as_i64().unwrap()), table["current-snapshot-id"].as_i64().unwrap());
    let seen = tags.iter().find(|tag| Some(&refs[*tag]["snapshot-id"]) == main).cloned();
    (number, tags, seen)
}

fn time(night: &str) -> String {
    format!("2026-01-{night}T00:00:00Z")
}

#[test]
fn dropped_snapshot_is_no_version_any_more_and_readers_see_the_same() {
    let work = nights(&["29", "30", "31"]);
    assert_eq!(newest(&work), (3, ["29", "30", "31"].map(time).to_vec(), Some(time("31"))));
    at(&work, "31", &["drop", "--snapshot", &time("30"), "--remove", "--yes"]).ok();
    assert_eq!(newest(&work), (4, ["29", "31"].map(time).to_vec(), Some(time("31"))));
    at(&work, "31", &["expire", "--keep", "1", "--remove", "--yes"]).ok();
    assert_eq!(newest(&work), (5, vec![time("31")], Some(time("31"))));
}

#[test]
fn readers_see_the_night_before_while_one_is_published_again() {
    let work = nights(&["30", "31"]);
    let changed = CONFIG.replace("SELECT id, day", "SELECT id + CAST(1 AS INT) AS id, day");
    work.write("job.sql", &changed.replace("'ICEBERG',", "'ICEBERG', row_count_min = 3,"));
    let held_back = at(&work, "31", &["run", "--replan", "--withdraw"]);
    assert_eq!(held_back.code, 4, "{}", held_back.stderr);
    assert_eq!(newest(&work), (3, vec![time("30")], Some(time("30"))));
    work.write("job.sql", &changed);
    at(&work, "31", &["run", "--quiet"]).ok();
    assert_eq!(newest(&work), (4, vec![time("30"), time("31")], Some(time("31"))));
}

#[test]
fn files_of_the_table_have_the_ids_of_their_columns() {
    let work = nights(&["31"]);
    let folder = work.path("out/lake/shop/orders/snapshot=2026-01-31T00:00:00Z/shop/public/orders/day=mon");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let reader =
        datafusion::parquet::file::reader::SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let metadata = datafusion::parquet::file::reader::FileReader::metadata(&reader);
    let info = metadata.file_metadata().schema_descr().column(0).self_type().get_basic_info().clone();
    assert!(info.has_id() && info.id() > 0, "{info:?}");
}

#[test]
fn what_an_iceberg_table_cannot_have_is_refused_at_its_place() {
    for (config, words) in [
        (CONFIG.replace("'ICEBERG',", "'ICEBERG', external_location = 'x/',"), ["job.sql:6:", "left out"]),
        (
            CONFIG.replace("SELECT id,", "SELECT id, CAST(day AS TIMESTAMP(9)) AS at,"),
            ["TIMESTAMP in nanoseconds", "CAST(at AS TIMESTAMP(6))"],
        ),
    ] {
        let work = nights(&[]);
        work.write("job.sql", &config);
        let run = at(&work, "31", &["run"]);
        assert!(run.code == 2 && words.iter().all(|word| run.stderr.contains(word)), "{}", run.stderr);
    }
}

#[test]
fn column_of_another_type_than_in_the_table_is_refused_with_what_to_do() {
    let work = nights(&["30"]);
    work.write("job.sql", &CONFIG.replace("SELECT id,", "SELECT CAST(id AS VARCHAR) AS id,"));
    let run = at(&work, "31", &["run"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("column id is int in the table, and string in the SELECT"), "{}", run.stderr);
    assert!(run.stderr.contains("help: cast it to the type of before"), "{}", run.stderr);
    assert!(!work.path("out/lake/shop/orders/snapshot=2026-01-31T00:00:00Z").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nights_that_are_published_to_s3_at_once_are_all_versions() {
    let (server, work) = (Server::of_test("iceberg"), Work::new(""));
    work.write("job.sql", CONFIG);
    let store = server.store();
    store.put(&Path::from("export/a.csv"), PutPayload::from(ROWS)).await.unwrap();
    let runs = ["29", "30", "31"].map(|night| {
        let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", server.url()));
        let night = format!("night={night}");
        let mut command = work.command(&["run", "--quiet"]);
        server.configure(command.args(["--var", &export, "--var", &out, "--var", &night]));
        command.spawn().unwrap()
    });
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let folder = "out/lake/shop/orders/metadata";
    let table = store.get(&Path::from(format!("{folder}/v3.metadata.json"))).await.unwrap().bytes().await.unwrap();
    let table: Value = serde_json::from_slice(&table).unwrap();
    assert_eq!(table["snapshots"].as_array().unwrap().len(), 3);
    let refs = &table["refs"];
    assert_eq!(refs["main"]["snapshot-id"], refs[time("31")]["snapshot-id"]);
    assert!(table["location"].as_str().unwrap().starts_with("s3://"), "{}", table["location"]);
}
