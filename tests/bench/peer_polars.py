"""The job done by Polars, as well as it can: one fresh process per run.

    peer_polars.py JOB_JSON        what programs.Job says, as JSON

Choices, each tried against the others with Polars 2.1.0 on lineitem:
* One lazy query into sink_parquet(PartitionBy(...)), on the streaming engine.
* Sorted: sort by the sort column alone, over everything, then partition with maintain_order = True, which keeps that order
  in each file. Sorting by partition columns and sort column is a third slower and gives the same files.
* Unsorted: maintain_order = False, which Polars says is faster.
* row_group_size 524,288 rows: row groups as large as the others write (64 MB and more uncompressed).
* statistics = "full" costs nothing that can be measured and gives the footers what the others' have.
* POLARS_MAX_OPEN_SINKS stays at its default: 3,000 of them for 2,526 partitions was not faster.
* Polars has no target file size in bytes on disk; approximate_bytes_per_file = "auto" gives a file per partition here.
"""

import json
import os
import sys

import polars as pl

ROW_GROUP_ROWS = 524_288
TYPES = {
    "BIGINT": pl.Int64,
    "INT": pl.Int32,
    "DATE": pl.Date,
    "VARCHAR": pl.String,
    "DECIMAL(15,2)": pl.Decimal(15, 2),
}


def storage_options(job: dict) -> dict | None:
    """What s3:// paths need; credentials come from the environment."""
    if not job["out"].startswith("s3://"):
        return None
    return {
        "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "aws_allow_http": "true",
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": os.environ["AWS_REGION"],
    }


def main() -> None:
    job = json.loads(sys.argv[1])
    options = storage_options(job)
    if job["format"] == "csv":
        schema = {name: TYPES[kind] for name, kind in job["columns"].items()}
        rows = pl.scan_csv(job["files"], schema=schema, storage_options=options)
    else:
        rows = pl.scan_parquet(job["files"], storage_options=options)
    for name, part in job["computed"].items():
        rows = rows.with_columns(getattr(pl.col("l_shipdate").dt, part)().cast(pl.Int32).alias(name))
    if job["sorted_by"]:
        rows = rows.sort(job["sorted_by"])
    rows.sink_parquet(
        pl.PartitionBy(job["out"], key=job["partitioned_by"], include_key=False),
        compression="zstd",
        compression_level=3,
        statistics="full",
        row_group_size=ROW_GROUP_ROWS,
        maintain_order=bool(job["sorted_by"]),
        engine="streaming",
        mkdir=options is None,
        storage_options=options,
    )


if __name__ == "__main__":
    main()
