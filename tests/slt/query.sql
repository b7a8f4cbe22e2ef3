-- Two lake tables of one snapshot table: partitioned by a date and a text, and not at all. The settings stand in
-- tests/it/project.rs.

CREATE EXTERNAL TABLE snapshot.sales STORED AS PARQUET LOCATION 'export/';

CREATE TABLE lake.sales WITH (partitioned_by = ARRAY['day', 'shop'], empty_partition = 'keep', sorted_by = ARRAY['id'], file_group_size = 1) AS
SELECT id, day, shop, price, at, weight FROM snapshot.sales;

CREATE TABLE lake.plain WITH (file_group_size = 'all') AS SELECT id, price FROM snapshot.sales WHERE id > 1;
