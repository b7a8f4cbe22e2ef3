//! Examples and notes at the end of `--help`.

pub(super) const PROGRAM: &str = "\
Examples:
  snaplake init s3://bucket/export -o configs/shop.sql   inspect an export and write a config
  snaplake plan configs/shop.sql                     show the plan; writes nothing
  snaplake run configs/shop.sql                      stage, audit, publish, validate; a rerun does the rest
  snaplake run configs/shop.sql --table orders --memory-limit 2GB
  snaplake stage configs/shop.sql                    only the first step; then query it:
  snaplake query configs/shop.sql -c 'SELECT count(*) FROM staging.orders'
  snaplake audit configs/shop.sql                    only the audits; run and publish also run them
  snaplake publish configs/shop.sql                  only the second step
  snaplake report configs/shop.sql -o report.html    write a report as a web page
  snaplake plan configs/shop.sql --format json       list the tasks for an outside scheduler; a worker runs
  snaplake stage configs/shop.sql --table orders --group 7

Options can also precede the command: snaplake --memory-limit 2GB run configs/shop.sql

Exit codes: 0 success, 1 failure, 2 usage or config, 3 validation failed, 4 an audit failed, 5 files not read,
            130 interrupted (143 by SIGTERM)";

pub(super) const TASK: &str = "\
Examples:
  snaplake stage configs/shop.sql --print-tasks | snaplake task
  snaplake stage configs/shop.sql --print-tasks | split -l 1 --filter='ssh worker snaplake task'
  snaplake publish configs/shop.sql --print-tasks > tasks.ndjson     after all stage tasks are done
  snaplake task tasks.ndjson

A task holds the texts of the config and its models, and the values of --var. Values of ${env:NAME} and credentials
come from the environment of the process that runs it. A task that was done before does nothing.
After the last publish task, `snaplake publish CONFIG` validates the lake and marks it with _SUCCESS.";

pub(super) const AUDIT: &str = "\
Examples:
  snaplake audit configs/shop.sql
  snaplake audit configs/shop.sql --table orders          only the audits of this table
  snaplake query configs/shop.sql -c 'SELECT * FROM audit.orders_have_a_customer'

An audit is CREATE VIEW audit.name AS SELECT ..., or a property in WITH, such as not_null = ARRAY['id'].
The first 1,000 rows of a failed audit are kept as a Parquet file in the staging folder. A passed audit runs
again only when its query or the staging lake has changed.";

pub(super) const DROP: &str = "\
Examples:
  snaplake drop configs/shop.sql --snapshot 2026-01-30T00:00:00Z            list what would be removed
  snaplake drop configs/shop.sql --snapshot 2026-01-30T00:00:00Z --remove

The newest complete snapshot is refused: publish a newer one first, or withdraw it with run --replan --withdraw.";

pub(super) const EXPIRE: &str = "\
Examples:
  snaplake expire configs/shop.sql --keep 7                    list what would be removed
  snaplake expire configs/shop.sql --keep 7 --remove --yes
  snaplake expire configs/shop.sql --older-than 30d --remove

Only complete snapshots count for --keep. Snapshots newer than the newest complete one are always kept.";

pub(super) const INIT: &str = "\
Examples:
  snaplake init export -o configs/shop.sql                prints the tables and the next commands
  snaplake init s3://bucket/exports/shop/ -o configs/shop.sql --database shop
  snaplake init gs://bucket/export -o configs/shop.sql --snapshot-time 2026-01-31T00:00:00Z --force

The models are written to sql/shop/ next to the folder configs, else next to the config. init reads file
names, Parquet footers and a sample of the files (a few hundred MB at most), and runs each SELECT over the
sample. It detects Parquet, CSV and NDJSON, plain or compressed, exports of RDS, Aurora and DynamoDB, and
s3manifesto manifests. The config is a proposal: review and change it.";

pub(super) const QUERY: &str = "\
Examples:
  snaplake query configs/shop.sql                           a shell: \\d lists the tables, \\? the commands
  snaplake query configs/shop.sql -c 'SELECT day, count(*) FROM staging.orders GROUP BY day' --format csv
  snaplake query configs/shop.sql -f report.sql -o report.parquet --format parquet
  echo 'SELECT * FROM lake.orders' | snaplake query configs/shop.sql --format ndjson | head
  snaplake query configs/shop.sql -c 'SELECT table_name, partition, n_record, size FROM manifest.lake_files'
  snaplake query configs/shop.sql -c \"SELECT * FROM manifest.tasks WHERE state = 'open'\"
  snaplake query configs/shop.sql -c 'EXPLAIN SELECT * FROM lake.orders WHERE day = 3'

Tables of manifest: snapshot_files, snapshot_file_groups, staging_files, partition_file_groups,
lake_files, tasks, column_statistics. EXPLAIN shows how many files of a table are read.";

pub(super) const STATUS: &str = "\
Examples:
  snaplake status configs/shop.sql
  snaplake status configs/shop.sql --watch                    during a run in another terminal
  snaplake status configs/shop.sql --watch --format json      one JSON document per line, at each change

Finished tasks are those with a manifest. Running and failed tasks have small files next to the manifests:
a run writes them every 10 seconds, and when a task fails.";

pub(super) const DIFF: &str = "\
Examples:
  snaplake diff configs/shop.sql --against 2026-01-30T00:00:00Z                 changed partitions
  snaplake diff configs/shop.sql --against 2026-01-30T00:00:00Z --table orders --key id

Partitions with identical files are not read.";

pub(super) const CLEAN: &str = "\
Examples:
  snaplake clean configs/shop.sql                         list the files of killed runs
  snaplake clean configs/shop.sql --remove                list them, ask, and remove them
  snaplake clean configs/shop.sql --remove --yes --older-than 0s  remove them at once; no other run may be active
  snaplake clean configs/shop.sql --remove --yes --staging  free the staging files of published tables

Unfinished multipart uploads to S3 are also listed and aborted, if the credentials may list them.";

pub(super) const REPAIR: &str = "\
Example:
  snaplake repair configs/shop.sql && snaplake run configs/shop.sql

repair checks all manifests, all lake files, and the staging files that publish tasks still need. It compares
local files by content and objects in a store by etag. It revokes the manifests of damaged files, so that the
next run makes the same files again from the snapshot or from the staging lake.";

pub(super) const REPORT: &str = "\
Examples:
  snaplake report configs/shop.sql -o report.html            open it in a browser; it needs no network
  snaplake report configs/shop.sql --table orders --format json | jq .tables[0].hops
  snaplake report configs/shop.sql --openlineage http://127.0.0.1:5000/api/v1/lineage
  snaplake report configs/shop.sql --openlineage events.ndjson

A report can be written at any time: before, during and after a run. A page has at most 100,000 files, 50,000
partitions and 5,000 tasks (about 20 MB) and shows what it leaves out; --format json has everything. If
OPENLINEAGE_API_KEY is set, it is sent to the URL as a bearer token.";
