#!/usr/bin/env python3
"""Is the lake of configs/nycflights13.sql what the snapshot says, for readers that know nothing of snaplake?

    check_nycflights13.py STAGING_DIR LAKE_DIR        each a folder or s3://bucket/prefix

For each of the five tables: DuckDB, pyarrow and Polars read it with Hive partitions, and what each of them sees equals the
snapshot files in tests/data, row by row. Then the files themselves: types, order of columns, order of rows, one file per
partition, and exactly the files that the manifests list, with their sizes and rows.
"""

import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common import Report, Tree, connect, give_up, hive_columns, read_and_compare

DATA = Path(__file__).resolve().parent.parent / "data" / "nycflights13"
DATABASE = "nycflights13"


class Table:
    def __init__(self, rows: int, files: int, sorted_by: list[str], partitioned_by: list[str], select: str):
        self.rows, self.files = rows, files
        self.sorted_by, self.partitioned_by, self.select = sorted_by, partitioned_by, select


def read_csv(pattern: str) -> str:
    """All columns as text, NA as NULL; the SELECT around it casts."""
    return f"read_csv('{DATA}/{pattern}', header = true, all_varchar = true, nullstr = 'NA')"


TABLES = {
    "flights": Table(
        rows=336776,
        files=13,
        sorted_by=["time_hour", "carrier", "flight"],
        partitioned_by=["year", "month"],
        select=f"""
            SELECT
              CAST(date_part('year', CAST(f.time_hour AS TIMESTAMP)) AS INTEGER)  AS year,
              CAST(date_part('month', CAST(f.time_hour AS TIMESTAMP)) AS INTEGER) AS month,
              CAST(f.time_hour AS TIMESTAMP)    AS time_hour,
              f.carrier,
              a.name                            AS airline,
              CAST(f.flight AS INTEGER)         AS flight,
              f.tailnum,
              f.origin,
              f.dest,
              CAST(f.distance AS INTEGER)       AS distance,
              CAST(f.year AS INTEGER)           AS local_year,
              CAST(f.month AS INTEGER)          AS local_month,
              CAST(f.day AS INTEGER)            AS local_day,
              CAST(f.hour AS INTEGER)           AS hour,
              CAST(f.minute AS INTEGER)         AS minute,
              CAST(f.sched_dep_time AS INTEGER) AS sched_dep_time,
              CAST(f.dep_time AS INTEGER)       AS dep_time,
              CAST(f.dep_delay AS INTEGER)      AS dep_delay,
              CAST(f.sched_arr_time AS INTEGER) AS sched_arr_time,
              CAST(f.arr_time AS INTEGER)       AS arr_time,
              CAST(f.arr_delay AS INTEGER)      AS arr_delay,
              CAST(f.air_time AS INTEGER)       AS air_time
            FROM {read_csv("flights/*.csv.gz")} AS f
            LEFT JOIN read_parquet('{DATA}/airlines.parquet') AS a ON a.carrier = f.carrier""",
    ),
    "airlines": Table(
        rows=16,
        files=1,
        sorted_by=["carrier"],
        partitioned_by=[],
        select=f"SELECT carrier, name FROM read_parquet('{DATA}/airlines.parquet')",
    ),
    "airports": Table(
        rows=1458,
        files=10,
        sorted_by=["faa"],
        partitioned_by=["tzone"],
        select=f"""
            SELECT faa, name, lat, lon, alt, tz, dst, tzone
            FROM read_json('{DATA}/airports/*.ndjson.gz', format = 'newline_delimited', columns = {{
              faa: 'VARCHAR', name: 'VARCHAR', lat: 'DOUBLE', lon: 'DOUBLE', alt: 'INTEGER', tz: 'INTEGER',
              dst: 'VARCHAR', tzone: 'VARCHAR'}})""",
    ),
    "planes": Table(
        rows=3322,
        files=1,
        sorted_by=["tailnum"],
        partitioned_by=[],
        select=f"""
            SELECT
              tailnum,
              CAST(year AS INTEGER)    AS year,
              type,
              manufacturer,
              model,
              CAST(engines AS INTEGER) AS engines,
              CAST(seats AS INTEGER)   AS seats,
              CAST(speed AS INTEGER)   AS speed,
              engine
            FROM {read_csv("planes/*.csv.zst")}""",
    ),
    "weather": Table(
        rows=26115,
        files=12,
        sorted_by=["origin", "time_hour"],
        partitioned_by=["month"],
        select=f"""
            SELECT origin, time_hour, year, month, day, hour, temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip,
                   pressure, visib
            FROM read_parquet('{DATA}/weather/*.parquet')""",
    ),
}

IS_TYPE = {
    "INTEGER": lambda t: t == pa.int32(),
    "DOUBLE": lambda t: t == pa.float64(),
    "VARCHAR": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t),
    "TIMESTAMP": lambda t: pa.types.is_timestamp(t) and t.tz is None,
}


def one_snapshot(tree: Tree, files: dict[str, int], name: str) -> str:
    """{database}/{table}/snapshot={time}, with whatever time it has."""
    prefix = f"{DATABASE}/{name}/"
    found = {path[len(prefix) :].split("/", 1)[0] for path in files if path.startswith(prefix)}
    found = sorted(folder for folder in found if folder.startswith("snapshot="))
    if len(found) != 1:
        give_up(f"{name}: {len(found)} folders {tree.root}/{prefix}snapshot=*, not one: {found}")
    return prefix + found[0]


def check_files(report: Report, con, name: str, table: Table, lake: Tree, files: dict[str, int]) -> dict[str, int]:
    """The Parquet files one by one; gives rows per file."""
    kinds = dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE expected_{name})").fetchall())
    inside = [column for column in kinds if column not in table.partitioned_by]
    wrong_schema, wrong_order, wrong_folder, rows = [], [], [], {}
    for path in files:
        try:
            with lake.open(path) as source:
                data = pq.ParquetFile(source).read()
        except (OSError, pa.ArrowException) as error:
            report.fail(f"{name}: {path} cannot be read: {error}")
            continue
        rows[path] = data.num_rows
        if hive_columns(path) != table.partitioned_by:
            wrong_folder.append(path)
        if data.column_names != inside:
            wrong_schema.append(f"{path} has columns {data.column_names}, not {inside}")
            continue
        for column in inside:
            if not IS_TYPE[kinds[column]](data.schema.field(column).type):
                wrong_schema.append(f"{path} has {column} as {data.schema.field(column).type}, not {kinds[column]}")
        # Python compares text by code point, which is the order of its UTF-8 bytes.
        keys = list(zip(*(data.column(column).to_pylist() for column in table.sorted_by)))
        if any(before > after for before, after in zip(keys, keys[1:])):
            wrong_order.append(path)
    by = ", ".join(table.partitioned_by) or "nothing"
    report.check(not wrong_folder, f"{name}: partitioned by {by}", f"{name}: not partitioned by {by}: {wrong_folder[:3]}")
    report.check(
        not wrong_schema,
        f"{name}: {len(inside)} columns in each file, in order, with their types",
        f"{name}: {'; '.join(wrong_schema[:3])}",
    )
    by = ", ".join(table.sorted_by)
    report.check(
        not wrong_order,
        f"{name}: each file sorted by {by}",
        f"{name}: {len(wrong_order)} files not sorted by {by}, e.g. {', '.join(wrong_order[:3])}",
    )
    folders = {path.rpartition("/")[0] for path in files}
    report.check(
        len(files) == len(folders) == table.files,
        f"{name}: {len(folders)} partitions, one file each",
        f"{name}: {len(files)} files in {len(folders)} partitions, not {table.files} in {table.files}",
    )
    return rows


def committed(staging: Tree, snapshot: str, step: str) -> list[dict]:
    """The data rows of all manifests of a step that have a summary."""
    folder = f"{snapshot}/manifests/{step}"
    rows = []
    for path in staging.files(f"{folder}/manifest-summary"):
        if path.startswith(("failed-", "running-")):  # traces for people
            continue
        number = path.removeprefix("manifest-summary-").removesuffix(".json")
        with staging.open(f"{folder}/manifest-summary/{path}") as source:
            json.loads(source.read())
        with staging.open(f"{folder}/manifest-data/manifest-data-{number}.parquet") as source:
            rows += pq.ParquetFile(io.BytesIO(source.read())).read(["uri", "size", "n_record"]).to_pylist()
    return rows


def check_manifests(
    report: Report, name: str, table: Table, staging: Tree, lake_files: dict[str, int], lake_rows: dict[str, int], root: str
) -> None:
    snapshot = one_snapshot(staging, staging.files(), name)
    for step in ("staging-file-groups", "datalake-file-groups"):
        total = sum(row["n_record"] for row in committed(staging, snapshot, step))
        report.check(
            total == table.rows,
            f"{name}: manifests of {step} hold {total} rows",
            f"{name}: manifests of {step} hold {total} rows, not {table.rows}",
        )
    listed = committed(staging, snapshot, "datalake-file-groups")
    outside = [row["uri"] for row in listed if f"/{root}/" not in row["uri"]]
    said = {row["uri"].rpartition(f"/{root}/")[2]: (row["size"], row["n_record"]) for row in listed}
    there = {path: (size, lake_rows.get(path)) for path, size in lake_files.items()}
    different = sorted(path for path in said.keys() | there.keys() if said.get(path) != there.get(path))
    report.check(
        not outside and not different and len(listed) == len(said),
        f"{name}: {len(said)} files are those of the manifests, with their sizes and rows",
        f"{name}: manifests and files differ: "
        + "; ".join(f"{path}: manifest {said.get(path)}, file {there.get(path)}" for path in different[:3])
        + "".join(f"; {uri} is not under {root}" for uri in outside[:3]),
    )


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    staging, datalake = Tree(sys.argv[1]), Tree(sys.argv[2])
    lake_files = datalake.files()
    report = Report()
    con = connect()
    for name, table in TABLES.items():
        con.execute(f"CREATE TABLE expected_{name} AS {table.select}")
        count = con.execute(f"SELECT count(*) FROM expected_{name}").fetchone()[0]
        if count != table.rows:
            give_up(f"{name}: tests/data holds {count} rows, not {table.rows}")

        root = f"{one_snapshot(datalake, lake_files, name)}/{DATABASE}/public/{name}"
        lake = datalake.below(root)
        below = {path.removeprefix(root + "/"): size for path, size in lake_files.items() if path.startswith(root + "/")}
        files = {path: size for path, size in below.items() if path.endswith(".parquet")}
        report.check("_SUCCESS" in below, f"{name}: _SUCCESS is there", f"{name}: no _SUCCESS in {root}")
        strange = sorted(below.keys() - files.keys() - {"_SUCCESS"})
        if strange:
            report.fail(f"{name}: files that are no data: {strange[:3]}")
        if not files:
            report.fail(f"{name}: no data file under {root}")
            continue
        rows = check_files(report, con, name, table, lake, files)
        check_manifests(report, name, table, staging, files, rows, root)
        read_and_compare(report, con, name, f"expected_{name}", lake)
    report.finish()


if __name__ == "__main__":
    main()
