-- All flights that left New York City in 2013, with the airlines, airports, planes and weather they met.
--
--     snaplake run configs/nycflights13.sql
--
-- To read or write elsewhere:
--     --var snapshot=s3://bucket/export  --var staging=s3://bucket/staging  --var datalake=s3://bucket/lake

SET snaplake.database      = 'nycflights13';
SET snaplake.snapshot_time = '2013-12-31T23:59:59Z';
SET snaplake.staging       = '${staging:-../target/demo/staging}';
SET snaplake.datalake      = '${datalake:-../target/demo/datalake}';
SET snaplake.models        = '../sql/nycflights13/*.sql';

-- 13 CSV.gz parts; NULL is written NA. The year, month, day, hour and minute columns are New York time; time_hour is UTC.
CREATE EXTERNAL TABLE snapshot.flights (
  year           INT,
  month          INT,
  day            INT,
  dep_time       INT,
  sched_dep_time INT,
  dep_delay      INT,
  arr_time       INT,
  sched_arr_time INT,
  arr_delay      INT,
  carrier        VARCHAR,
  flight         INT,
  tailnum        VARCHAR,
  origin         VARCHAR,
  dest           VARCHAR,
  air_time       INT,
  distance       INT,
  hour           INT,
  minute         INT,
  time_hour      TIMESTAMP(6)
)
STORED AS CSV
LOCATION '${snapshot:-../tests/data/nycflights13}/flights/'
OPTIONS ('format.has_header' 'true', 'format.null_regex' '^NA$');

CREATE EXTERNAL TABLE snapshot.airlines
STORED AS PARQUET
LOCATION '${snapshot:-../tests/data/nycflights13}/airlines.parquet';

-- NDJSON.gz
CREATE EXTERNAL TABLE snapshot.airports (
  faa   VARCHAR,
  name  VARCHAR,
  lat   DOUBLE,
  lon   DOUBLE,
  alt   INT,
  tz    INT,
  dst   VARCHAR,
  tzone VARCHAR
)
STORED AS JSON
LOCATION '${snapshot:-../tests/data/nycflights13}/airports/';

-- 2 CSV.zst parts
CREATE EXTERNAL TABLE snapshot.planes (
  tailnum      VARCHAR,
  year         INT,
  type         VARCHAR,
  manufacturer VARCHAR,
  model        VARCHAR,
  engines      INT,
  seats        INT,
  speed        INT,
  engine       VARCHAR
)
STORED AS CSV
LOCATION '${snapshot:-../tests/data/nycflights13}/planes/'
OPTIONS ('format.has_header' 'true', 'format.null_regex' '^NA$');

-- 3 Parquet files; columns and types come from them.
CREATE EXTERNAL TABLE snapshot.weather
STORED AS PARQUET
LOCATION '${snapshot:-../tests/data/nycflights13}/weather/';
