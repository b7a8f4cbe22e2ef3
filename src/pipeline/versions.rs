//! Versions of lake tables: each complete snapshot is one, in formats that have versions.
//!
//! A version is written after the proof, so readers of the table never see a snapshot that is not complete. It is taken
//! out before files of its snapshot go.

use super::run::Pipeline;
use crate::config::{LakeKind, LakeTable};
use crate::error::Result;
use crate::lake::{CompleteSnapshot, IcebergTable, LakeColumns};
use crate::layout::TableLayout;
use crate::manifest::Ledger;
use crate::staging::plan::{StagePlan, committed_head};

impl Pipeline {
    /// The table whose versions the snapshots are, if the format has one.
    ///
    /// # Errors
    /// Those of opening its store.
    pub(crate) async fn versions<'a>(
        &self,
        lake: &'a LakeTable,
        layout: &TableLayout,
    ) -> Result<Option<IcebergTable<'a>>> {
        match lake.kind {
            LakeKind::Parquet => Ok(None),
            LakeKind::Iceberg => {
                let (layout, single_writer) = (layout.iceberg(), self.project.settings.single_writer);
                IcebergTable::open(self.engine.stores(), layout, lake, single_writer).await.map(Some)
            }
        }
    }

    /// Refuses a plan whose columns cannot be those of the next version.
    ///
    /// # Errors
    /// [`Error::Iceberg`](crate::Error::Iceberg); those of its store.
    pub(super) async fn check_version(&self, plan: &StagePlan) -> Result<()> {
        match self.versions(&plan.lake, plan.ledger.layout()).await? {
            Some(table) => table.check(&plan.columns()?).await,
            None => Ok(()),
        }
    }

    /// Compares the version of a complete snapshot with its files, where the format has versions.
    ///
    /// # Errors
    /// [`Error::Iceberg`](crate::Error::Iceberg) when they differ; those of its store and of the ledger.
    pub(super) async fn validate_version(&self, lake: &LakeTable, ledger: &Ledger) -> Result<()> {
        let Some(table) = self.versions(lake, ledger.layout()).await? else { return Ok(()) };
        let head = committed_head(ledger, &lake.name).await?;
        let columns = LakeColumns::new(head.output_schema.decode()?.as_ref(), lake)?;
        let (plan, time) = (&head.id, &head.snapshot_time);
        table.check_files(&CompleteSnapshot { ledger, columns: &columns, plan, time }).await
    }

    /// Makes a complete snapshot a version of its table; says whether it was none.
    ///
    /// # Errors
    /// [`Error::Iceberg`](crate::Error::Iceberg); those of its store and of the ledger.
    pub(super) async fn add_version(&self, plan: &StagePlan) -> Result<bool> {
        let Some(table) = self.versions(&plan.lake, plan.ledger.layout()).await? else { return Ok(false) };
        let (columns, time) = (plan.columns()?, &plan.details.snapshot_time);
        let snapshot = CompleteSnapshot { ledger: &plan.ledger, columns: &columns, plan: &plan.details.id, time };
        table.publish(snapshot).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Cursor;

    use arrow_avro::reader::ReaderBuilder;
    use datafusion::arrow::array::{Array, AsArray, RecordBatch};
    use serde_json::Value;

    use crate::error::{Error, IcebergFault};
    use crate::pipeline::in_memory::Job;

    const ROOT: &str = "lake/d/t/metadata";

    const TABLE: &str = "
        CREATE EXTERNAL TABLE snapshot.t (id INT, k VARCHAR, v VARCHAR)
        STORED AS CSV LOCATION 's3://b/export/' OPTIONS ('format.has_header' 'true');
        CREATE TABLE lake.t WITH (format = 'ICEBERG', partitioned_by = ARRAY['k'], sorted_by = ARRAY['id DESC']) AS
        SELECT id, k, v FROM snapshot.t;";

    const NIGHTS: [&str; 3] = ["2026-01-29T00:00:00Z", "2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z"];

    /// A job with an export, of which nothing is published.
    async fn exported() -> Job {
        let job = Job::new(TABLE);
        job.put("export/a.csv", "id,k,v\n1,a,x\n2,b,\n3,,z\n").await;
        job
    }

    async fn table(job: &Job, version: usize) -> Value {
        serde_json::from_slice(&job.bytes(&format!("{ROOT}/v{version}.metadata.json")).await).unwrap()
    }

    async fn rows(job: &Job, uri: &str) -> RecordBatch {
        let bytes = job.bytes(uri.strip_prefix("s3://b/").unwrap()).await;
        ReaderBuilder::new().build(Cursor::new(bytes)).unwrap().next().unwrap().unwrap()
    }

    /// The data files of a snapshot of the table, as the manifests of its version list them.
    async fn files(job: &Job, version: usize, reference: &str) -> BTreeSet<String> {
        let table = table(job, version).await;
        let id = &table["refs"][reference]["snapshot-id"];
        let mut snapshots = table["snapshots"].as_array().unwrap().iter();
        let snapshot = snapshots.find(|snapshot| snapshot["snapshot-id"] == *id).unwrap();
        let list = rows(job, snapshot["manifest-list"].as_str().unwrap()).await;
        let mut files = BTreeSet::new();
        for manifest in list.column_by_name("manifest_path").unwrap().as_string::<i32>().iter().flatten() {
            let entries = rows(job, manifest).await;
            let data = entries.column_by_name("data_file").unwrap().as_struct();
            let paths = data.column_by_name("file_path").unwrap().as_string::<i32>();
            files.extend(paths.iter().flatten().map(|path| path.strip_prefix("s3://b/").unwrap().to_owned()));
            assert_eq!(data.column_by_name("partition").unwrap().as_struct().column(0).null_count(), 1);
        }
        files
    }

    /// The files that lie in a snapshot's folder.
    async fn of_night(job: &Job, night: &str) -> BTreeSet<String> {
        let keys = job.keys("lake/").await.into_iter();
        keys.filter(|key| key.starts_with("lake/") && key.contains(night) && key.ends_with(".parquet")).collect()
    }

    #[tokio::test]
    async fn each_snapshot_is_a_version_and_readers_see_the_newest_one_whatever_is_published_last() {
        let job = exported().await;
        for night in [NIGHTS[1], NIGHTS[2], NIGHTS[0]] {
            job.again(TABLE, night).pipeline.run().await.unwrap();
        }
        for night in NIGHTS {
            let published = of_night(&job, night).await;
            assert!(published.len() == 3 && files(&job, 3, night).await == published, "{night}");
        }
        assert_eq!(files(&job, 3, "main").await, of_night(&job, NIGHTS[2]).await);
        let order = &table(&job, 3).await["sort-orders"][1]["fields"][0];
        assert_eq!((&order["direction"], &order["null-order"]), (&"desc".into(), &"nulls-first".into()));
    }

    #[tokio::test]
    async fn rerun_writes_no_version_and_one_after_a_crash_before_the_commit_the_same() {
        let job = exported().await;
        let job = job.again(TABLE, NIGHTS[0]);
        job.pipeline.run().await.unwrap();
        let before = job.keys(ROOT).await;
        job.pipeline.run().await.unwrap();
        assert_eq!(job.keys(ROOT).await, before);
        // Before the metadata, and before the hint.
        for lost in [&["v1.metadata.json", "version-hint.text"][..], &["version-hint.text"]] {
            for name in lost {
                job.delete(&format!("{ROOT}/{name}")).await;
            }
            job.pipeline.run().await.unwrap();
            assert_eq!(files(&job, 1, "main").await, of_night(&job, NIGHTS[0]).await, "{lost:?}");
            assert!(!job.keys(ROOT).await.iter().any(|key| key.contains("/v2.")), "{lost:?}");
            assert_eq!(job.bytes(&format!("{ROOT}/version-hint.text")).await, "1", "{lost:?}");
        }
    }

    #[tokio::test]
    async fn versions_that_others_wrote_meanwhile_are_followed_and_what_they_say_stays() {
        let job = exported().await;
        job.again(TABLE, NIGHTS[0]).pipeline.run().await.unwrap();
        // The hint is behind.
        let mut theirs = table(&job, 1).await;
        theirs["properties"]["owner"] = "them".into();
        job.put(&format!("{ROOT}/v2.metadata.json"), theirs.to_string()).await;
        job.again(TABLE, NIGHTS[1]).pipeline.run().await.unwrap();
        let ours = table(&job, 3).await;
        assert_eq!((&ours["properties"]["owner"], ours["snapshots"].as_array().unwrap().len()), (&"them".into(), 2));
        assert_eq!(ours["metadata-log"][0]["metadata-file"], "s3://b/lake/d/t/metadata/v2.metadata.json");
    }

    #[tokio::test]
    async fn runs_of_several_snapshots_at_once_lose_no_version() {
        let job = exported().await;
        let jobs = NIGHTS.map(|night| job.again(TABLE, night));
        let [a, b, c] = jobs.each_ref().map(|job| job.pipeline.run());
        let (a, b, c) = futures::join!(a, b, c);
        a.and(b).and(c).unwrap();
        for night in NIGHTS {
            assert_eq!(files(&job, 3, night).await, of_night(&job, night).await, "{night}");
        }
        assert_eq!(files(&job, 3, "main").await, of_night(&job, NIGHTS[2]).await);
    }

    #[tokio::test]
    async fn column_of_another_type_is_refused_before_anything_is_staged_and_a_wider_one_is_taken() {
        let job = exported().await;
        job.again(TABLE, NIGHTS[0]).pipeline.run().await.unwrap();
        let of = |expr: &str| TABLE.replace("SELECT id,", &format!("SELECT {expr} AS id,"));
        let text = job.again(&of("CAST(id AS VARCHAR)"), NIGHTS[1]);
        let error = text.pipeline.run().await.unwrap_err();
        let is_changed =
            |fault: &IcebergFault| matches!(fault, IcebergFault::TypeChanged { column, .. } if column == "id");
        assert!(matches!(&error, Error::Iceberg { fault, .. } if is_changed(fault)), "{error:?}");
        assert!(
            of_night(&job, NIGHTS[1]).await.is_empty()
                && job.keys("staging/").await.iter().all(|key| !key.contains(NIGHTS[1]))
        );
        job.again(&of("CAST(id AS BIGINT)"), NIGHTS[1]).pipeline.run().await.unwrap();
        assert_eq!(table(&job, 2).await["schemas"].as_array().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn validation_sees_a_version_that_is_missing_or_lists_other_files() {
        let job = exported().await;
        let job = job.again(TABLE, NIGHTS[0]);
        job.pipeline.run().await.unwrap();
        job.pipeline.validate(false).await.unwrap();
        let fault = async || match job.pipeline.validate(false).await.unwrap_err() {
            Error::Iceberg { fault, .. } => fault,
            other => panic!("{other:?}"),
        };
        let good = table(&job, 1).await;
        let mut empty = good.clone();
        empty["refs"] = serde_json::json!({});
        job.put(&format!("{ROOT}/v1.metadata.json"), empty.to_string()).await;
        assert_eq!(fault().await, IcebergFault::NoVersion);
        // The manifests of another night under the name of this one.
        job.again(TABLE, NIGHTS[1]).pipeline.run().await.unwrap();
        let other = &table(&job, 2).await["snapshots"][1]["manifest-list"];
        let mut mixed = good;
        mixed["snapshots"][0]["manifest-list"] = other.clone();
        job.put(&format!("{ROOT}/v3.metadata.json"), mixed.to_string()).await;
        assert_eq!(fault().await, IcebergFault::OtherFiles { listed: 3, published: 3 });
    }

    #[tokio::test]
    async fn table_that_a_catalog_has_taken_over_and_metadata_that_is_cut_are_refused() {
        let job = exported().await;
        for (name, content) in [("00001-ab.metadata.json", "{}"), ("v1.metadata.json", "{\"format-version\":")] {
            let job = job.again(TABLE, NIGHTS[0]);
            job.put(&format!("{ROOT}/{name}"), content).await;
            let error = job.pipeline.run().await.unwrap_err();
            assert!(matches!(&error, Error::Iceberg { .. }) && error.to_string().contains(name), "{error}");
            job.delete(&format!("{ROOT}/{name}")).await;
        }
    }

    #[tokio::test]
    async fn table_that_was_planned_in_another_format_is_refused_by_name() {
        let job = exported().await;
        let job = job.again(&TABLE.replace("format = 'ICEBERG', ", ""), NIGHTS[0]);
        job.pipeline.stage().await.unwrap();
        let error = job.again(TABLE, NIGHTS[0]).pipeline.run().await.unwrap_err();
        assert!(matches!(&error, Error::PlanChanged { what: "format", .. }), "{error:?}");
    }
}
