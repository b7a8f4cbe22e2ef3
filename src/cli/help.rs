//! Examples and notes at the foot of `--help`.

pub(super) const PROGRAM: &str = "\
Examples:
  snaplake init s3://bucket/export -o configs/shop.sql   look at an export and write a config for it
  snaplake plan configs/shop.sql                     what would be done; writes nothing
  snaplake run configs/shop.sql                      stage, publish, validate; again: only what is missing
  snaplake run configs/shop.sql --table orders --memory-limit 2GB
  snaplake stage configs/shop.sql                    the first half; then look at it:
  snaplake query configs/shop.sql -c 'SELECT count(*) FROM staging.orders'
  snaplake audit configs/shop.sql                    what must return no rows; publish and run do it too
  snaplake publish configs/shop.sql                  the second half
  snaplake report configs/shop.sql -o report.html    what was done, as a page
  snaplake plan configs/shop.sql --format json       the task list for an outside scheduler; its workers run
  snaplake stage configs/shop.sql --table orders --group 7

Options may stand before the command, too: snaplake --memory-limit 2GB run configs/shop.sql

Exit codes: 0 done, 1 failed, 2 usage or config, 3 validation failed, 4 an audit failed,
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
  snaplake audit configs/shop.sql --table orders          only the audits that hold back this table
  snaplake query configs/shop.sql -c 'SELECT * FROM audit.orders_have_a_customer'

An audit is CREATE VIEW audit.name AS SELECT ..., or a property in WITH, such as not_null = ARRAY['id'].
The first 1,000 rows that one finds are kept as a Parquet file in the staging folder. One that passed does
not run again until what is staged or its text has changed.";

pub(super) const INIT: &str = "\
Examples:
  snaplake init export -o configs/shop.sql                what it found, and what to type next
  snaplake init s3://bucket/exports/shop/ -o configs/shop.sql --database shop
  snaplake init gs://bucket/export -o configs/shop.sql --snapshot-time 2026-01-31T00:00:00Z --force

The models go to sql/shop/ beside the folder configs, else beside the config. It reads file names, Parquet
footers, and a bounded part of the files, some hundred MB at most, and tries each SELECT on that. It knows
Parquet, CSV and NDJSON by content, plain or compressed, exports of RDS, Aurora and DynamoDB, and manifests of
s3manifesto. Everything in the files is a proposal: change it.";

pub(super) const QUERY: &str = "\
Examples:
  snaplake query configs/shop.sql                           a shell: \\d lists the tables, \\? all commands
  snaplake query configs/shop.sql -c 'SELECT day, count(*) FROM staging.orders GROUP BY day' --format csv
  snaplake query configs/shop.sql -f report.sql -o report.parquet --format parquet
  echo 'SELECT * FROM lake.orders' | snaplake query configs/shop.sql --format ndjson | head
  snaplake query configs/shop.sql -c 'SELECT table_name, partition, n_record, size FROM manifest.lake_files'
  snaplake query configs/shop.sql -c \"SELECT * FROM manifest.tasks WHERE state = 'open'\"
  snaplake query configs/shop.sql -c 'EXPLAIN SELECT * FROM lake.orders WHERE day = 3'

Tables of manifest: snapshot_files, snapshot_file_groups, staging_files, partition_file_groups,
lake_files, tasks, column_statistics. EXPLAIN says how many files of a table are read.";

pub(super) const STATUS: &str = "\
Examples:
  snaplake status configs/shop.sql
  snaplake status configs/shop.sql --watch                    beside a run in another terminal
  snaplake status configs/shop.sql --watch --format json      one JSON document a line, at each change

What is done is what manifests say. Running and failed tasks are known from small files beside them, which
their processes write: every 10 seconds while tasks run, and when one fails.";

pub(super) const DIFF: &str = "\
Examples:
  snaplake diff configs/shop.sql --against 2026-01-30T00:00:00Z                 partitions whose files differ
  snaplake diff configs/shop.sql --against 2026-01-30T00:00:00Z --table orders --key id

Partitions whose files are the same, byte for byte, are not read.";

pub(super) const CLEAN: &str = "\
Examples:
  snaplake clean configs/shop.sql                         what a killed run left behind
  snaplake clean configs/shop.sql --remove                list it, ask, and remove it
  snaplake clean configs/shop.sql --remove --yes --older-than 0s  remove it at once: nothing else is running
  snaplake clean configs/shop.sql --remove --yes --staging  free the staging files of published tables

Multipart uploads to S3 that a killed run began are listed and aborted, too, if the credentials may list them.";

pub(super) const REPAIR: &str = "\
Example:
  snaplake repair configs/shop.sql && snaplake run configs/shop.sql

Manifests are read with their checks; lake files, and staging files that publish tasks still need, are
compared with what was written: by content on a local disk, by etag in a store. What cannot be used is
revoked, so that the next run makes it again, the same: from the snapshot or from the staging files.";

pub(super) const REPORT: &str = "\
Examples:
  snaplake report configs/shop.sql -o report.html            open it in a browser; it needs no network
  snaplake report configs/shop.sql --table orders --format json | jq .tables[0].hops
  snaplake report configs/shop.sql --openlineage http://127.0.0.1:5000/api/v1/lineage
  snaplake report configs/shop.sql --openlineage events.ndjson

It can be written at any time: before anything is staged, half-way, after a failure, and when all is published.
A page holds at most 100,000 files, 50,000 partitions and 5,000 tasks, some 20 MB; it says what it leaves out,
and --format json has everything. OPENLINEAGE_API_KEY, if set, is sent to the URL as a bearer token.";
