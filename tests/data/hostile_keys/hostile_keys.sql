-- Partition values that break naive code: NULL, the empty text, slashes, equals signs, percent signs, dots, other alphabets.
-- Each of the values is in three rows of keys.ndjson.

SET snaplake.database      = 'hostile';
SET snaplake.snapshot_time = '2024-01-01T00:00:00Z';
SET snaplake.staging       = '${staging:-../../../target/hostile/staging}';
SET snaplake.datalake      = '${datalake:-../../../target/hostile/datalake}';
SET snaplake.models        = 'models/*.sql';

CREATE EXTERNAL TABLE snapshot.keys (
  id BIGINT,
  k  VARCHAR
)
STORED AS JSON
LOCATION '${snapshot:-.}/keys.ndjson';
