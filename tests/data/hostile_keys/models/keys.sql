-- Every row as it is; the text column is the partition.

CREATE TABLE lake.keys
WITH (
  format          = 'PARQUET',
  partitioned_by  = ARRAY['k'],
  empty_partition = 'keep',
  sorted_by       = ARRAY['id']
) AS
SELECT
  id,
  k
FROM snapshot.keys;
