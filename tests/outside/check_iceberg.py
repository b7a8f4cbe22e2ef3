#!/usr/bin/env python3
"""Do readers that we did not write see the rows of Iceberg tables that snaplake publishes, and only whole snapshots?

    check_iceberg.py SNAPLAKE DOCS_LAKE_FORMATS_MD [--prove]

Three nights are published, the oldest last; after each, every reader must see the newest night by default, and each night by
its tag. Then Spark changes the table, snaplake publishes on top of it, and drops a night. The table of docs/lake-formats.md
must say what is found; with UPDATE_READERS=1 it is written anew. With --prove a value of the source is changed first,
and the check must fail.
"""

import datetime as dt
import glob
import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import daft
import duckdb
import duckdb_extension_avro
import duckdb_extension_iceberg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import snowpark_connect_deps_iceberg
from pyiceberg.expressions import EqualTo, IsNull
from pyiceberg.table import StaticTable
from pyspark.sql import SparkSession

START, END = "<!-- readers -->\n", "<!-- /readers -->"
NIGHTS = ["2026-01-29T00:00:00Z", "2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z"]
ROWS = {NIGHTS[0]: 500, NIGHTS[1]: 700, NIGHTS[2]: 600}
UTC = dt.timezone.utc

# Name, type in the snapshot, value of row i.
COLUMNS = [
    ("id", pa.int64(), lambda i: i),
    ("tiny", pa.int8(), lambda i: i % 256 - 128),
    ("unsigned", pa.uint64(), lambda i: 2**64 - 1 - i),
    ("real", pa.float32(), lambda i: i / 4),
    ("double", pa.float64(), lambda i: float("nan") if i == 3 else i / 7),
    ("dec", pa.decimal128(12, 2), lambda i: Decimal(f"{i}.{i % 100:02d}") * (-1) ** i),
    ("text", pa.string(), lambda i: None if i % 5 == 0 else "" if i % 5 == 1 else f"é{i}" * (1 + i % 30)),
    ("bytes", pa.binary(), lambda i: bytes([i % 256, 0])),
    ("flag", pa.bool_(), lambda i: None if i % 7 == 0 else i % 2 == 0),
    ("day", pa.date32(), lambda i: dt.date(1, 1, 1) if i == 4 else dt.date(2024, 1, 1) + dt.timedelta(days=i % 9)),
    ("at", pa.timestamp("us"), lambda i: dt.datetime(1969, 12, 31, 23, 59, 59, 999999) + dt.timedelta(hours=i)),
    ("instant", pa.timestamp("ms", "UTC"), lambda i: dt.datetime(2024, 1, 1, tzinfo=UTC) + dt.timedelta(minutes=i)),
    ("list", pa.list_(pa.int32()), lambda i: [i, None] if i % 3 else None),
    ("struct", pa.struct([("x", pa.int64()), ("y", pa.string())]), lambda i: {"x": i, "y": None if i % 2 else f"y{i}"}),
    ("map", pa.map_(pa.string(), pa.int64()), lambda i: [("k", i)]),
]

# Columns that partition a table of their own.
PARTITIONS = [
    ("by_text", pa.string(), lambda i: None if i % 11 == 0 else ["DE", "a b/ü%2F", "x=y", "100%", "é:é"][i % 5]),
    ("by_int", pa.int32(), lambda i: None if i % 6 == 0 else i % 6 - 3),
    ("by_long", pa.int64(), lambda i: i % 3 - 2**62),
    ("by_flag", pa.bool_(), lambda i: None if i % 7 == 0 else i % 2 == 0),
    ("by_day", pa.date32(), lambda i: dt.date(1969, 12, 30) + dt.timedelta(days=i % 4)),
    ("by_dec", pa.decimal128(9, 2), lambda i: Decimal(i % 5 - 2) / 4),
    ("by_time", pa.timestamp("us"), lambda i: dt.datetime(2024, 1, 1, 12, 30, i % 3, 5)),
]
ALL = COLUMNS + PARTITIONS


def literal(value) -> str:
    """A value in SQL."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value}'"
    if isinstance(value, dt.date):
        return f"DATE '{value}'"
    return f"'{value}'" if isinstance(value, str) else str(value)


def python_literal(value, kind):
    if isinstance(value, Decimal):
        return value.quantize(Decimal(1).scaleb(-kind.scale))
    return value.isoformat() if isinstance(value, (dt.datetime, dt.date)) else value


def rows_of(night: str) -> list[dict]:
    """Each night has other values, so that rows of two nights cannot be mistaken."""
    shift = 1000 * NIGHTS.index(night)
    return [{name: value(i + shift) for name, _, value in ALL} for i in range(ROWS[night])]


def plain(name: str, value):
    """A value as all readers can be brought to give it."""
    if hasattr(value, "asDict"):
        value = value.asDict()
    if name == "map" and value is not None:
        pairs = value.items() if isinstance(value, dict) else value
        return [(pair["key"], pair["value"]) if isinstance(pair, dict) else tuple(pair) for pair in pairs]
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    if name == "unsigned" and value is not None:
        return int(value)
    return value


def differences(found: list[dict], expected: list[dict]) -> list[str]:
    found = sorted(found, key=lambda row: row["id"])
    wrong = [] if len(found) == len(expected) else [f"{len(found)} rows, not {len(expected)}"]
    for name in expected[0]:
        pairs = [(plain(name, a.get(name)), plain(name, b[name])) for a, b in zip(found, expected)]
        bad = [pair for pair in pairs if pair[0] != pair[1]]
        if bad:
            wrong.append(f"{name}: {bad[0][0]!r}, not {bad[0][1]!r}")
    return wrong


class Readers:
    """Programs that read a table whole, by default and by a tag."""

    def __init__(self, lake: Path):
        self.lake = lake
        self.duckdb = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        self.duckdb.execute("SET TimeZone = 'UTC'")
        for module in (duckdb_extension_avro, duckdb_extension_iceberg):
            found = glob.glob(f"{Path(module.__file__).parent}/**/*.duckdb_extension", recursive=True)
            self.duckdb.execute(f"LOAD '{found[0]}'")
        jars = glob.glob(f"{Path(snowpark_connect_deps_iceberg.__file__).parent}/**/*.jar", recursive=True)
        jar = next(jar for jar in jars if "iceberg-spark-runtime-3.5_2.12" in jar)
        builder = SparkSession.builder.master("local[2]").config("spark.jars", jar)
        for key, value in {
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
            "spark.sql.catalog.lake.type": "hadoop",
            "spark.sql.catalog.lake.warehouse": str(lake),
            "spark.sql.session.timeZone": "UTC",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }.items():
            builder = builder.config(key, value)
        self.spark = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("ERROR")

    def metadata(self, table: str) -> str:
        folder = self.lake / "shop" / table / "metadata"
        return str(folder / f"v{(folder / 'version-hint.text').read_text()}.metadata.json")

    def static(self, table: str) -> StaticTable:
        return StaticTable.from_metadata(f"file://{self.metadata(table)}")

    def rows(self, reader: str, table: str, tag: str | None) -> list[dict]:
        static = self.static(table)
        snapshot = static.snapshot_by_name(tag).snapshot_id if tag else None
        root = self.lake / "shop" / table
        if reader == "pyiceberg":
            return static.scan(snapshot_id=snapshot).to_arrow().to_pylist()
        if reader == "DuckDB":
            # Through a view of its own: the extension keeps what it has read of a path.
            at = f", snapshot_from_id = {snapshot}::UBIGINT" if tag else ""
            read = self.duckdb.execute(f"SELECT * FROM iceberg_scan('{self.metadata(table)}'{at})")
            return read.to_arrow_table().to_pylist()
        if reader == "Polars":
            scan = pl.scan_iceberg(self.metadata(table), reader_override="native", snapshot_id=snapshot)
            return scan.collect().to_arrow().to_pylist()
        if reader == "Daft":
            return daft.read_iceberg(static, snapshot_id=snapshot).to_arrow().to_pylist()
        self.spark.catalog.clearCache()
        self.spark.sql(f"REFRESH TABLE lake.shop.{table}")
        at = f"VERSION AS OF '{tag}'" if tag else ""
        assert root.is_dir()
        return [row.asDict(recursive=True) for row in self.spark.sql(f"SELECT * FROM lake.shop.{table} {at}").collect()]


READERS = ["pyiceberg", "DuckDB", "Polars", "Spark 3.5", "Daft"]


class Check:
    def __init__(self, snaplake: str, work: Path, prove: bool):
        self.snaplake, self.work, self.prove = snaplake, work, prove
        self.passed, self.failed, self.changed, self.cells = 0, 0, 0, {}
        tables = [("flat", [])] + [(name, [name]) for name, _, _ in PARTITIONS]
        models = [
            f"CREATE TABLE lake.{table} WITH (format = 'ICEBERG', sorted_by = ARRAY['id DESC']"
            + "".join(f", partitioned_by = ARRAY['{name}']" for name in by)
            + ") AS SELECT * FROM snapshot.t;"
            for table, by in tables
        ]
        config = [
            "SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '${time}';",
            "SET snaplake.staging = 'staging'; SET snaplake.datalake = 'lake';",
            "CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 'in/${time}/';",
        ]
        self.tables = [table for table, _ in tables]
        (work / "job.sql").write_text("\n".join(config + models))
        self.expected = {night: rows_of(night) for night in NIGHTS}
        for night, rows in self.expected.items():
            folder = work / "in" / night
            folder.mkdir(parents=True)
            schema = pa.schema([(name, kind) for name, kind, _ in ALL])
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "a.parquet")
        if prove:
            self.expected[NIGHTS[2]][7]["text"] = "another"

    def run(self, night: str, *words: str) -> None:
        command = [self.snaplake, *words, "job.sql", "--var", f"time={night}", "--quiet"]
        done = subprocess.run(command, cwd=self.work, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.check(done.returncode == 0, f"{' '.join(words)} {night}", done.stderr)

    def check(self, holds: bool, said: str, why: str = "") -> bool:
        self.passed, self.failed = self.passed + holds, self.failed + (not holds)
        print(said if holds else f"FAILED {said}: {why}", flush=True)
        return holds

    def filters(self, readers: Readers, table: str, night: str) -> None:
        """Readers skip files by the bounds in the manifests: for each value of some rows, all rows with it are found."""
        expected, static = self.expected[night], readers.static(table)
        for name, kind, _ in COLUMNS + PARTITIONS:
            if pa.types.is_nested(kind) or kind == pa.uint64() or kind == pa.binary():
                continue
            wrong = []
            for row in (expected[4], expected[8], expected[-1]):
                value = row[name]
                wanted = sum(1 for other in expected if other[name] == value)
                condition = "IS NULL" if value is None else f"= {literal(value)}"
                found = readers.spark.sql(f"SELECT 1 FROM lake.shop.{table} WHERE `{name}` {condition}")
                counts = {"Spark 3.5": found.count()}
                scan = f"iceberg_scan('{readers.metadata(table)}')"
                read = readers.duckdb.execute(f'SELECT count(*) FROM {scan} WHERE "{name}" {condition}')
                counts["DuckDB"] = read.fetchone()[0]
                filtered = IsNull(name) if value is None else EqualTo(name, python_literal(value, kind))
                counts["pyiceberg"] = static.scan(row_filter=filtered).to_arrow().num_rows
                wrong += [f"{reader}: {found} rows, not {wanted}" for reader, found in counts.items() if found != wanted]
            self.check(not wrong, f"{table}: filters of {name}", "; ".join(wrong))

    def plain_columns(self, readers: Readers, table: str, night: str) -> None:
        """Spark reads columns without nested ones with other code, a batch at a time."""
        names = [name for name, kind, _ in ALL if not pa.types.is_nested(kind)]
        rows = readers.spark.sql(f"SELECT {', '.join(f'`{name}`' for name in names)} FROM lake.shop.{table}").collect()
        expected = [{name: row[name] for name in names} for row in self.expected[night]]
        wrong = differences([row.asDict() for row in rows], expected)
        self.check(not wrong, f"Spark 3.5: {table}, columns that are not nested", "; ".join(wrong[:3]))

    def compare(self, readers: Readers, table: str, tag: str | None, night: str, what: str) -> None:
        for reader in READERS:
            try:
                wrong = differences(readers.rows(reader, table, tag), self.expected[night])
            except Exception as error:  # noqa: BLE001 - whatever a reader raises is an answer
                wrong = [f"{type(error).__name__}: {str(error)[:300]}"]
            self.changed += len(wrong) == 1 and wrong[0].endswith("not 'another'")
            self.check(not wrong, f"{reader}: {table}, {what}", "; ".join(wrong[:3]))
            row = "by a tag" if tag else "columns of all types" if table == "flat" else f"partitions: {table[3:]}"
            cell = self.cells.setdefault(row, {})
            cell[reader] = "right" if not wrong and cell.get(reader, "right") == "right" else "wrong"


def table_of(cells: dict) -> str:
    names = {"text": "VARCHAR", "int": "INT", "long": "BIGINT", "flag": "BOOLEAN", "day": "DATE", "dec": "DECIMAL"}
    lines = ["| | " + " | ".join(READERS) + " |", "| --- |" + " --- |" * len(READERS)]
    for row, cell in cells.items():
        kind = row.removeprefix("partitions: ")
        title = row if kind == row else f"partitions: {names.get(kind, 'TIMESTAMP')}"
        lines.append(f"| {title} | " + " | ".join(cell[reader] for reader in READERS) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    snaplake, docs = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2])
    prove = "--prove" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        check = Check(snaplake, Path(folder), prove)
        readers = Readers(Path(folder) / "lake")
        published = []
        for night in (NIGHTS[1], NIGHTS[2], NIGHTS[0]):
            check.run(night, "run")
            published.append(night)
            check.compare(readers, "flat", None, max(published), f"newest after {night}")
        for table in check.tables:
            check.compare(readers, table, None, NIGHTS[2], "newest")
            if table in ("flat", "by_text"):
                for night in NIGHTS:
                    check.compare(readers, table, night, night, f"by the tag {night}")
        if not prove:
            for table in ("flat", "by_int"):
                check.filters(readers, table, NIGHTS[2])
                check.plain_columns(readers, table, NIGHTS[2])
        if prove:
            is_seen = check.failed > 0 and check.failed == check.changed
            print(f"{check.failed} failed, {check.changed} because of the value that was changed")
            sys.exit(0 if is_seen else 1)
        # Somebody deletes rows, and the next run of snaplake has all of them again.
        readers.spark.sql("DELETE FROM lake.shop.flat WHERE id % 2 = 0").collect()
        check.run(NIGHTS[2], "run", "--replan", "--withdraw")
        check.compare(readers, "flat", None, NIGHTS[2], "published again over a change of Spark")
        check.compare(readers, "flat", NIGHTS[1], NIGHTS[1], "the night before by its tag, after that")
        check.run(NIGHTS[2], "drop", "--snapshot", NIGHTS[0], "--remove", "--yes")
        for table in ("flat", "by_text"):
            gone = readers.static(table).snapshot_by_name(NIGHTS[0]) is None
            check.check(gone, f"{table}: {NIGHTS[0]} is dropped", "it has a tag")
            check.compare(readers, table, None, NIGHTS[2], "newest after the drop")
        text = docs.read_text()
        before, rest = text.split(START)
        _, after = rest.split(END)
        wanted = f"{before}{START}{table_of(check.cells)}{END}{after}"
        if os.environ.get("UPDATE_READERS"):
            docs.write_text(wanted)
        check.check(text == wanted or bool(os.environ.get("UPDATE_READERS")), f"{docs.name} says so", table_of(check.cells))
        print(f"{check.passed} held, {check.failed} failed")
        sys.exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
