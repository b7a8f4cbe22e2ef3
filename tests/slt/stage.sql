-- Two partition columns, of which one is text; a file group per file; a small table that every task reads whole.
-- The settings stand in tests/it/project.rs.

CREATE EXTERNAL TABLE snapshot.orders (id BIGINT, region VARCHAR, priority INT, total DOUBLE, ordered_at TIMESTAMP)
STORED AS JSON LOCATION 'export/orders/';

CREATE EXTERNAL TABLE snapshot.regions STORED AS CSV LOCATION 'export/regions.csv';

CREATE TABLE lake.orders
WITH (partitioned_by = ARRAY['region', 'priority'], empty_partition = 'keep', sorted_by = ARRAY['id DESC'], file_group_size = 1) AS
SELECT o.region, o.id, o.total, o.priority, o.ordered_at, r.name AS region_name
FROM snapshot.orders AS o LEFT JOIN snapshot.regions AS r ON r.region = o.region
WHERE o.id > 0;
