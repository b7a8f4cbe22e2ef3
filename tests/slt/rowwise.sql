-- What a SELECT may do per file group, and what it may do over all files at once. Each file is a group of its own.
-- The settings stand in tests/it/project.rs.

SET snaplake.file_group_size = 1;

CREATE EXTERNAL TABLE snapshot.sales STORED AS PARQUET LOCATION 'export/sales/';

CREATE EXTERNAL TABLE snapshot.shops (shop INT, city VARCHAR) STORED AS JSON LOCATION 'export/shops.ndjson';

CREATE VIEW open_shops AS SELECT shop, city FROM snapshot.shops WHERE city IS NOT NULL;

CREATE TABLE lake.inner_join AS
SELECT s.id, o.city FROM snapshot.sales AS s JOIN open_shops AS o ON o.shop = s.shop;

CREATE TABLE lake.left_join AS
SELECT s.id, o.city FROM snapshot.sales AS s LEFT JOIN open_shops AS o ON o.shop = s.shop;

CREATE TABLE lake.semi_join AS
SELECT id FROM snapshot.sales WHERE shop IN (SELECT shop FROM open_shops);

CREATE TABLE lake.anti_join AS
SELECT id FROM snapshot.sales AS s WHERE NOT EXISTS (SELECT 1 FROM open_shops AS o WHERE o.shop = s.shop);

CREATE TABLE lake.items AS
SELECT id, unnest(items) AS item FROM snapshot.sales;

CREATE TABLE lake.filtered WITH (partitioned_by = ARRAY['shop']) AS
SELECT * EXCEPT (items) FROM snapshot.sales WHERE id % 2 = 0;

CREATE TABLE lake.per_shop WITH (file_group_size = 'all', sorted_by = ARRAY['shop']) AS
SELECT shop, count(*) AS sales, sum(id) AS total FROM snapshot.sales GROUP BY shop;

CREATE TABLE lake.latest WITH (file_group_size = 'all') AS
SELECT id, shop FROM (SELECT id, shop, row_number() OVER (PARTITION BY shop ORDER BY id DESC) AS n FROM snapshot.sales)
WHERE n = 1;

CREATE TABLE lake.dated AS
SELECT id, now() AS loaded_at, year(TIMESTAMP '2024-05-06T07:08:09') AS y FROM snapshot.sales;
