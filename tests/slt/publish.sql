-- One table per shape of lake: partitioned and sorted, not partitioned, empty.
-- The settings stand in tests/it/project.rs.

CREATE EXTERNAL TABLE snapshot.events STORED AS PARQUET LOCATION 'export/events/';

CREATE TABLE lake.by_day
WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['score DESC', 'id'], file_group_size = 1) AS
SELECT id, score, kind, CAST(at AS DATE) AS day FROM snapshot.events;

CREATE TABLE lake.plain WITH (sorted_by = ARRAY['id DESC NULLS LAST'], file_group_size = 1) AS
SELECT * FROM snapshot.events;

CREATE TABLE lake.nothing WITH (partitioned_by = ARRAY['kind']) AS
SELECT id, kind FROM snapshot.events WHERE id < 0;
