-- One table per format of snapshot files. The settings stand in tests/it/project.rs.

CREATE EXTERNAL TABLE snapshot.packed STORED AS CSV LOCATION 'export/packed/';

CREATE EXTERNAL TABLE snapshot.odd (id INT, note VARCHAR, price DECIMAL(10, 2))
STORED AS CSV LOCATION 'export/odd.txt'
OPTIONS (has_header false, delimiter '|', null_regex '^(NA|-)$');

CREATE EXTERNAL TABLE snapshot.late STORED AS JSON LOCATION 'export/late/';

CREATE EXTERNAL TABLE snapshot.evolved STORED AS PARQUET LOCATION 'export/evolved/';

CREATE EXTERNAL TABLE snapshot.places STORED AS CSV LOCATION ('export/one.csv', 'export/some/', 'export/many/*-keep.csv');

CREATE EXTERNAL TABLE snapshot.listed STORED AS PARQUET
LOCATION 'listed/manifest-summary.json';

CREATE TABLE lake.packed WITH (file_group_size = 1) AS SELECT * FROM snapshot.packed;
CREATE TABLE lake.odd AS SELECT * FROM snapshot.odd;
CREATE TABLE lake.late WITH (file_group_size = 1) AS SELECT * FROM snapshot.late;
CREATE TABLE lake.evolved WITH (file_group_size = 1) AS SELECT * FROM snapshot.evolved;
CREATE TABLE lake.places AS SELECT * FROM snapshot.places;
CREATE TABLE lake.listed AS SELECT id, total FROM snapshot.listed;
