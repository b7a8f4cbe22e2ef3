-- Planes by tail number. year is the year of manufacture; 70 planes have none.

CREATE TABLE lake.planes
WITH (
  format    = 'PARQUET',
  sorted_by = ARRAY['tailnum']
) AS
SELECT
  tailnum,
  year,
  type,
  manufacturer,
  model,
  engines,
  seats,
  speed,
  engine
FROM snapshot.planes;
