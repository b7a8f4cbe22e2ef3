-- A lake table of every type, for tests/it/lake_types.rs and tests/outside/check_types.py.

SET snaplake.database      = 'types';
SET snaplake.snapshot_time = '2024-01-01T00:00:00Z';
SET snaplake.staging       = '${staging:-../../../target/types/staging}';
SET snaplake.datalake      = '${datalake:-../../../target/types/datalake}';
SET snaplake.models        = 'models/*.sql';

CREATE EXTERNAL TABLE snapshot.ids (id INT) STORED AS CSV LOCATION 'ids.csv';
