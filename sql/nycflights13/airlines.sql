-- The two-letter codes of airlines and their names: one small file, no partitions.

CREATE TABLE lake.airlines
WITH (
  format    = 'PARQUET',
  sorted_by = ARRAY['carrier']
) AS
SELECT
  carrier,
  name
FROM snapshot.airlines;
