//! Servers whose etags are odd: the lake is the same, nothing is taken for changed that is not, and what changed is found.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::support::s3_server::{Etags, Server};
use crate::support::{Run, Work, events};

/// Staging and lake files of several parts, and small ones.
const TABLES: &str = "
    CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
    STORED AS CSV LOCATION '${export}/' OPTIONS ('format.has_header' 'true');
    CREATE TABLE lake.events WITH (sorted_by = ARRAY['id'], file_group_size = '11MB') AS
    SELECT id, note FROM snapshot.events;
    CREATE TABLE lake.days WITH (partitioned_by = ARRAY['day'], file_group_size = '11MB') AS
    SELECT id, day FROM snapshot.events WHERE id % 1000 = 0;
";

const ALL: [Etags; 6] =
    [Etags::Strong, Etags::EmptyAfterParts, Etags::NoneAfterParts, Etags::Weak, Etags::RefusesItsOwn, Etags::NotListed];

struct Job {
    server: Server,
    work: Work,
}

impl Job {
    async fn new(etags: Etags) -> Self {
        let job = Self { server: Server::of_process(etags), work: Work::new(TABLES) };
        for file in 0..2 {
            job.put(file, file * 300_000, 300_000).await;
        }
        job
    }

    async fn put(&self, file: usize, from: usize, rows: usize) {
        let path = Path::from(format!("export/part-{file}.csv"));
        self.server.store().put(&path, PutPayload::from(events(from, rows))).await.unwrap();
    }

    fn snaplake(&self, arguments: &[&str]) -> Run {
        let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", self.server.url()));
        let mut command = self.work.command(arguments);
        self.server.configure(command.args(["--var", &export, "--var", &out]));
        command.output().unwrap().into()
    }

    async fn lake(&self) -> BTreeMap<String, Bytes> {
        let store = self.server.store();
        let mut found = BTreeMap::new();
        for meta in store.list(Some(&Path::from("out/lake"))).try_collect::<Vec<_>>().await.unwrap() {
            // Names follow the etags of the snapshot files, which `NotListed` does not have.
            let name = crate::support::mask(meta.location.as_ref());
            found.insert(name, store.get(&meta.location).await.unwrap().bytes().await.unwrap());
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lake_is_the_same_whatever_a_server_does_with_etags() {
    let mut expected = None;
    for etags in ALL {
        let job = Job::new(etags).await;
        let run = job.snaplake(&["run"]).ok();
        assert!(
            run.stderr.contains("events: 600000 rows in and out agree") || run.stdout.contains("600,000"),
            "{run:?}"
        );
        job.snaplake(&["validate"]).ok();
        assert!(job.snaplake(&["run"]).ok().stdout.contains("nothing to do"), "{etags:?}");
        let lake = job.lake().await;
        let largest = lake.values().map(Bytes::len).max().unwrap();
        assert!(largest > 9 << 20, "no file of several parts: {largest}");
        assert!(*expected.get_or_insert(lake.clone()) == lake, "{etags:?}: another lake");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_file_is_found_whatever_a_server_does_with_etags() {
    for etags in ALL {
        let job = Job::new(etags).await;
        job.snaplake(&["stage", "--table", "days", "--group", "1"]).ok();
        // Without a listed etag, size is all that is known.
        let rows = if etags == Etags::NotListed { 300_001 } else { 300_000 };
        for file in 0..2 {
            job.put(file, 500_000 + file * rows, rows).await;
        }
        let url = format!("{}/export/part-", job.server.url());
        job.snaplake(&["stage", "--table", "days", "--group", "2"]).failed(1, &[&url, "changed after it was planned"]);
    }
}
