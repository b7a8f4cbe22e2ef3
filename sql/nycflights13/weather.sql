-- Hourly weather at the three airports of New York City, by month. year, month, day and hour are New York time, as in the
-- source; time_hour is UTC.

CREATE TABLE lake.weather
WITH (
  format         = 'PARQUET',
  partitioned_by = ARRAY['month'],
  sorted_by      = ARRAY['origin', 'time_hour']
) AS
SELECT
  origin,
  time_hour,
  year,
  month,
  day,
  hour,
  temp,
  dewp,
  humid,
  wind_dir,
  wind_speed,
  wind_gust,
  precip,
  pressure,
  visib
FROM snapshot.weather;
