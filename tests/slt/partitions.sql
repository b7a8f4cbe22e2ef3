-- One table per type of partition column, each with NULL among its values. The settings stand in tests/it/project.rs.

CREATE EXTERNAL TABLE snapshot.typed STORED AS PARQUET LOCATION 'export/typed.parquet';

CREATE EXTERNAL TABLE snapshot.texts (id INT, k VARCHAR) STORED AS JSON LOCATION 'export/texts.ndjson';

CREATE TABLE lake.by_tiny WITH (partitioned_by = ARRAY['k']) AS SELECT id, CAST(n AS TINYINT) AS k FROM snapshot.typed;
CREATE TABLE lake.by_big WITH (partitioned_by = ARRAY['k']) AS SELECT id, big AS k FROM snapshot.typed;
CREATE TABLE lake.by_flag WITH (partitioned_by = ARRAY['k']) AS SELECT id, flag AS k FROM snapshot.typed;
CREATE TABLE lake.by_date WITH (partitioned_by = ARRAY['k']) AS SELECT id, d AS k FROM snapshot.typed;
CREATE TABLE lake.by_time WITH (partitioned_by = ARRAY['k']) AS SELECT id, t AS k FROM snapshot.typed;
CREATE TABLE lake.by_price WITH (partitioned_by = ARRAY['k']) AS SELECT id, p AS k FROM snapshot.typed;
CREATE TABLE lake.by_text WITH (partitioned_by = ARRAY['k'], empty_partition = 'keep') AS SELECT id, k FROM snapshot.texts;
CREATE TABLE lake.by_two WITH (partitioned_by = ARRAY['d', '"Weird Name"']) AS
SELECT flag AS "Weird Name", id, d FROM snapshot.typed;
