-- Flights by month of their scheduled departure in UTC, each with the name of its airline.
-- year and month are taken from time_hour. The source's own date is New York time (a flight of the last evening of 2013
-- is one of 2014 in UTC), so it keeps its values under the names local_year, local_month and local_day.

CREATE TABLE lake.flights
WITH (
  format         = 'PARQUET',
  partitioned_by = ARRAY['year', 'month'],
  sorted_by      = ARRAY['time_hour', 'carrier', 'flight'],
  unique_key     = ARRAY['time_hour', 'carrier', 'flight']
) AS
SELECT
  CAST(year(f.time_hour) AS INT)  AS year,
  CAST(month(f.time_hour) AS INT) AS month,
  f.time_hour,
  f.carrier,
  a.name                          AS airline,
  f.flight,
  f.tailnum,
  f.origin,
  f.dest,
  f.distance,
  f.year                          AS local_year,
  f.month                         AS local_month,
  f.day                           AS local_day,
  f.hour,
  f.minute,
  f.sched_dep_time,
  f.dep_time,
  f.dep_delay,
  f.sched_arr_time,
  f.arr_time,
  f.arr_delay,
  f.air_time
FROM snapshot.flights AS f
LEFT JOIN snapshot.airlines AS a ON a.carrier = f.carrier;

-- Must return no rows, or nothing is published: carriers that snapshot.airlines does not know.
CREATE VIEW audit.flights_have_an_airline AS
SELECT carrier, count(*) AS flights
FROM staging.flights
WHERE airline IS NULL
GROUP BY carrier;
