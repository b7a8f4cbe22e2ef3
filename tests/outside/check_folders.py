#!/usr/bin/env python3
"""Reads lakes whose snapshot folders have both forms of a name: with the time as people write it, and without colons.

    check_folders.py --snaplake PATH [--work DIR] [--spark]

Makes one table in each form, and compares the rows that DuckDB, Polars, pyarrow, and with --spark Apache Spark (pyspark and
Java) read from its folder. Exit code 1: something differs.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset

TIME = "2021-01-01T08:30:00Z"
FORMS = {"": f"snapshot={TIME}", "snapshot=%Y%m%dT%H%M%SZ": "snapshot=20210101T083000Z"}
ROWS = [(number, f"2021-01-0{number % 3 + 1}") for number in range(9)]


def config(form: str) -> str:
    folder = f"SET snaplake.snapshot_folder = '{form}';" if form else ""
    return f"""
        SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '{TIME}'; {folder}
        SET snaplake.staging = 'staging'; SET snaplake.datalake = 'lake';
        CREATE EXTERNAL TABLE snapshot.t (id BIGINT, day DATE) STORED AS CSV LOCATION 'export/';
        CREATE TABLE lake.t WITH (partitioned_by = ARRAY['day']) AS SELECT id, day FROM snapshot.t;
    """


def readers(spark: bool) -> dict:
    """Name -> what gives the rows (id, day as text) of a table's folder."""

    def of_duckdb(table: Path) -> list:
        query = f"SELECT id, CAST(day AS VARCHAR) FROM read_parquet('{table}/**/*.parquet', hive_partitioning = true)"
        return duckdb.sql(query).fetchall()

    def of_polars(table: Path) -> list:
        frame = polars.read_parquet(table, hive_partitioning=True)
        return frame.select("id", polars.col("day").cast(polars.String)).rows()

    def of_pyarrow(table: Path) -> list:
        rows = pyarrow.dataset.dataset(table, partitioning="hive").to_table().to_pylist()
        return [(row["id"], str(row["day"])) for row in rows]

    found = {"duckdb": of_duckdb, "polars": of_polars, "pyarrow": of_pyarrow}
    if spark:
        from pyspark.sql import SparkSession

        settings = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        builder = SparkSession.builder.master("local[1]").config(map=settings | {"spark.ui.showConsoleProgress": "false"})
        session = builder.getOrCreate()

        def of_spark(table: Path) -> list:
            rows = session.read.parquet(f"file://{table}").selectExpr("id", "CAST(day AS STRING) AS day").collect()
            return [(row.id, row.day) for row in rows]

        found["spark"] = of_spark
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--spark", action="store_true")
    arguments = parser.parse_args()
    held = failed = 0
    all_readers = readers(arguments.spark)
    for form, folder in FORMS.items():
        with tempfile.TemporaryDirectory(dir=arguments.work) as work:
            work = Path(work)
            (work / "export").mkdir()
            lines = "".join(f"{number},{day}\n" for number, day in ROWS)
            (work / "export/a.csv").write_text("id,day\n" + lines)
            (work / "config.sql").write_text(config(form))
            subprocess.run([arguments.snaplake, "run", "config.sql", "--quiet"], cwd=work, check=True)
            for part in ("staging", "lake"):
                if not (work / part / "shop/t" / folder).is_dir():
                    print(f"no folder {folder} in {part}")
                    failed += 1
            table = work / "lake/shop/t" / folder / "shop/public/t"
            for name, read in all_readers.items():
                rows = sorted(read(table))
                if rows == sorted(ROWS):
                    print(f"{folder}: {len(rows)} rows equal ({name})")
                    held += 1
                else:
                    print(f"{folder}: {name} reads {rows}")
                    failed += 1
    print(f"{held} held, {failed} failed")
    return 1 if failed or not held else 0


if __name__ == "__main__":
    sys.exit(main())
