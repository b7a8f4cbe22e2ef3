#!/usr/bin/env python3
"""Compares lakes of Avro and Arrow files that other programs wrote with what these programs say, value by value.

    check_formats.py --snaplake PATH

fastavro writes each type of Avro in each codec, pyarrow each type of Arrow as file, stream and Feather, packed and not, polars
Avro and Arrow files. The lake is read by pyarrow. A file that is cut must be refused. At the end one value is changed, which must be all that
the comparison finds. Exit code 1: something differs.
"""

import argparse
import datetime
import decimal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from pyarrow import ipc

from common import Report

LONGEST = 180  # seconds of one run
SHOWN = 3
UTC = datetime.timezone.utc


def nullable(kind) -> list:
    return ["null", kind]


def logical(base: str, meaning: str, **more) -> dict:
    return {"type": base, "logicalType": meaning, **more}


SCHEMA = {
    "type": "record", "name": "row", "fields": [{"name": name, "type": kind} for name, kind in {
        "id": "long", "i": nullable("int"), "b": ["boolean", "null"], "f": nullable("float"), "d": nullable("double"),
        "s": nullable("string"), "by": nullable("bytes"), "dec": nullable(logical("bytes", "decimal", precision=20, scale=3)),
        "fixed": nullable(logical("fixed", "decimal", name="nine", size=9, precision=18, scale=2)),
        "day": nullable(logical("int", "date")), "tm": nullable(logical("long", "time-micros")),
        "ts": nullable(logical("long", "timestamp-micros")), "local": nullable(logical("long", "local-timestamp-millis")),
        "u": nullable(logical("string", "uuid")), "e": nullable({"type": "enum", "name": "letter", "symbols": ["A", "B", "C"]}),
        "arr": {"type": "array", "items": ["null", "long"]},
        "rec": nullable({"type": "record", "name": "inner", "fields": [{"name": "x", "type": nullable("string")}, {"name": "y", "type": "double"}]}),
    }.items()],
}  # fmt: skip


def avro_row(n: int) -> dict:
    """Values at the ends of each type; every fifth is NULL, in each column another one."""
    of = lambda values: values[n % len(values)]  # noqa: E731
    values = {
        "i": of([0, 2**31 - 1, -(2**31), n]), "b": n % 2 == 0, "f": of([0.5, -1.25, 3.0]), "d": of([1e300, -0.0, 0.1, float(n)]),
        "s": of(["", "é日本😀", 'a"b\n', "x" * 300]), "by": of([b"", b"\x00\xff", bytes(range(256))]),
        "dec": decimal.Decimal(of([0, 1, -1, 10**19 - 1, 1 - 10**19, n])) / 1000,
        "fixed": decimal.Decimal(of([0, -1, 10**17 - 1, 1 - 10**17, n])) / 100,
        "day": datetime.date(of([1, 1969, 1970, 2024, 9999]), 2, 28), "tm": of([datetime.time(23, 59, 59, 999999), datetime.time(0, 0)]),
        "ts": datetime.datetime(of([1, 1969, 2024, 9999]), 12, 31, 23, 59, 59, of([0, 1, 999999]), tzinfo=UTC),
        "local": datetime.datetime(2024, 2, 29, 1, 2, 3, 4000), "u": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "e": of("ABC"),
        "arr": [n, None, -1][: n % 4], "rec": {"x": of(["q", None, ""]), "y": 2.5},
    }  # fmt: skip
    nulls = {name for at, name in enumerate(values) if (n + at) % 5 == 0 and name != "arr"}
    return {"id": n} | {name: None if name in nulls else value for name, value in values.items()}


AVRO_ROWS = [avro_row(n) for n in range(20_000)]


def arrow_table() -> pa.Table:
    ids = range(5000)
    some = lambda kind, of, none: pa.array([None if n % none == 0 else of(n) for n in ids], kind)  # noqa: E731
    return pa.table({
        "id": pa.array(ids, pa.int64()), "i8": some(pa.int8(), lambda n: n % 100 - 50, 5), "u64": some(pa.uint64(), lambda n: 2**63 + n, 2),
        "f32": some(pa.float32(), lambda n: n / 4, 7), "s": some(pa.string(), lambda n: "" if n % 2 else f"é{n}" * 5, 3),
        "large": some(pa.large_string(), str, 4), "view": some(pa.string_view(), lambda n: f"longer than twelve bytes {n}", 4),
        "by": some(pa.binary(), lambda n: bytes([n % 256]) * (n % 5), 6), "dec": some(pa.decimal128(12, 2), lambda n: decimal.Decimal(n) / 100, 2),
        "day": some(pa.date32(), lambda n: datetime.date(2024, 1, 1 + n % 28), 5),
        "ts": some(pa.timestamp("us"), lambda n: datetime.datetime(2024, 1, 1, 0, 0, n % 60, n), 5),
        "tz": some(pa.timestamp("ms", "UTC"), lambda n: datetime.datetime(2024, 1, 1, 0, 0, n % 60, tzinfo=UTC), 5),
        "dict": pa.array(["a", "b", None, "c"] * (len(ids) // 4)).dictionary_encode(), "bo": some(pa.bool_(), lambda n: n % 2 == 0, 3),
        "list": some(pa.list_(pa.int64()), lambda n: [n, None][: n % 3], 7),
        "st": some(pa.struct([("x", pa.int64()), ("y", pa.string())]), lambda n: {"x": n, "y": None if n % 2 else "y"}, 9),
    })  # fmt: skip


def comparable(value):
    """So that 0.0 and -0.0 differ, and NaN is itself."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {name: comparable(part) for name, part in value.items()}
    return [comparable(part) for part in value] if isinstance(value, list) else value


class Check:
    def __init__(self, snaplake: Path, work: Path, report: Report):
        self.snaplake, self.work, self.report, self.count = snaplake, work, report, 0

    def lake(self, stored: str, write: Callable[[Path], None]) -> tuple[Path, subprocess.CompletedProcess]:
        self.count += 1
        work = self.work / str(self.count)
        (work / "in").mkdir(parents=True)
        write(work / "in")
        (work / "config.sql").write_text(f"""
            SET snaplake.database = 'x'; SET snaplake.snapshot_time = '2024-01-01T00:00:00Z';
            SET snaplake.staging = 'staging'; SET snaplake.datalake = 'lake';
            CREATE EXTERNAL TABLE snapshot.t STORED AS {stored} LOCATION 'in/';
            CREATE TABLE lake.t WITH (sorted_by = ARRAY['id']) AS SELECT * FROM snapshot.t;""")
        command = [self.snaplake, "run", "config.sql", "--quiet"]
        return work, subprocess.run(command, cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST)

    def differences(self, stored: str, write: Callable[[Path], None], want: list[dict]) -> list[str]:
        work, run = self.lake(stored, write)
        if run.returncode != 0:
            return [f"exit code {run.returncode}: {run.stderr.strip()}"]
        have = pa.concat_tables([pq.read_table(file, partitioning=None) for file in sorted((work / "lake").rglob("*.parquet"))]).to_pylist()
        have, want = (sorted(rows, key=lambda row: row["id"]) for rows in (have, want))
        if len(have) != len(want):
            return [f"{len(have)} rows, not {len(want)}"]
        pairs = ((name, one[name], other.get(name)) for one, other in zip(want, have) for name in one)
        return [f"{name}: {one!r} became {other!r}" for name, one, other in pairs if comparable(one) != comparable(other)]

    def equal(self, title: str, stored: str, write: Callable[[Path], None], want: list[dict]) -> None:
        wrong = self.differences(stored, write, want)
        self.report.check(not wrong, f"{title}: {len(want)} rows equal", f"{title}: {'; '.join(wrong[:SHOWN])} ({len(wrong)} in all)")

    def refused(self, title: str, stored: str, write: Callable[[Path], None]) -> None:
        work, run = self.lake(stored, write)
        holds = run.returncode == 1 and "in/" in run.stderr and not any((work / "lake").rglob("_SUCCESS"))
        self.report.check(holds, f"{title}: refused", f"{title}: exit code {run.returncode}: {run.stderr}")


def avro_writer(codec: str, interval: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with (folder / "a.avro").open("wb") as file:
            fastavro.writer(file, SCHEMA, AVRO_ROWS, codec=codec, sync_interval=interval)

    return write


def arrow_writer(table: pa.Table, packing: str | None, is_stream: bool) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        new, name = (ipc.new_stream, "a.arrows") if is_stream else (ipc.new_file, "a.arrow")
        with new(folder / name, table.schema, options=ipc.IpcWriteOptions(compression=packing)) as writer:
            for batch in table.to_batches(max_chunksize=777):
                writer.write_batch(batch)

    return write


def polars_writer(table: pa.Table, packing: str, batch: int | None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        pl.from_arrow(table).write_ipc(folder / "a.arrow", compression=packing, record_batch_size=batch)

    return write


def cut(write: Callable[[Path], None], less: int) -> Callable[[Path], None]:
    def written(folder: Path) -> None:
        write(folder)
        (file,) = folder.iterdir()
        file.write_bytes(file.read_bytes()[:-less])

    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True, type=Path)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="snaplake-formats-") as folder:
        check = Check(parser.parse_args().snaplake.resolve(), Path(folder), report)
        for codec, interval in (("null", 100), ("deflate", 16_000), ("deflate", 1_000_000)):
            check.equal(f"Avro of fastavro, {codec}, blocks of {interval}", "AVRO", avro_writer(codec, interval), AVRO_ROWS)
        table = arrow_table()
        for packing in (None, "lz4", "zstd"):
            for is_stream in (False, True):
                title = f"Arrow of pyarrow, {'stream' if is_stream else 'file'}, {packing or 'not packed'}"
                check.equal(title, "ARROW", arrow_writer(table, packing, is_stream), table.to_pylist())
        check.equal("Feather of pyarrow", "ARROW", lambda folder: feather.write_feather(table, folder / "a.feather"), table.to_pylist())
        # No list: neither polars nor fastavro can read the ones that this version of polars writes.
        some = table.select(["id", "s", "day", "bo"])
        check.equal("Avro of polars", "AVRO", lambda folder: pl.from_arrow(some).write_avro(folder / "a.avro", "deflate"), some.to_pylist())
        stream = lambda folder: pl.from_arrow(table).write_ipc_stream(folder / "a.arrows")  # noqa: E731
        check.equal("Arrow stream of polars", "ARROW", stream, table.to_pylist())
        for packing in ("uncompressed", "lz4", "zstd"):
            for batch in (None, 777):
                title = f"Arrow file of polars, {packing}, {batch or 'all'} rows a batch"
                check.equal(title, "ARROW", polars_writer(table, packing, batch), table.to_pylist())
        none = table.slice(0, 0)
        check.equal("Arrow file of polars without rows", "ARROW", polars_writer(none, "zstd", None), [])
        for less in (1, 1000):
            check.refused(f"Arrow file of polars cut by {less} bytes", "ARROW", cut(polars_writer(table, "lz4", 777), less))
            check.refused(f"Avro cut by {less} bytes", "AVRO", cut(avro_writer("null", 16_000), less))
            for is_stream in (False, True):
                check.refused(f"Arrow cut by {less} bytes, {is_stream=}", "ARROW", cut(arrow_writer(table, None, is_stream), less))
        changed = [row | {"s": "other"} if row["id"] == 7 else row for row in AVRO_ROWS]
        found = check.differences("AVRO", avro_writer("null", 16_000), changed)
        report.check(len(found) == 1 and found[0].startswith("s: 'other'"), "one value changed: found", f"one value changed: {found[:SHOWN]}")
    report.finish()


if __name__ == "__main__":
    main()
