-- Airports by time zone. The zone's name holds a slash (America/New_York), and three airports have none: their partition
-- is NULL.

CREATE TABLE lake.airports
WITH (
  format         = 'PARQUET',
  partitioned_by = ARRAY['tzone'],
  sorted_by      = ARRAY['faa']
) AS
SELECT
  faa,
  name,
  lat,
  lon,
  alt,
  tz,
  dst,
  tzone
FROM snapshot.airports;
