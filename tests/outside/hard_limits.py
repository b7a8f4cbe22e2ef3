#!/usr/bin/env python3
"""Limits that take minutes and gigabytes: a text value of two gigabytes, a million files. On demand, not part of .ci/run.

    hard_limits.py --snaplake PATH [--work DIR] [--case NAME]... [--files 1000000] [--value-bytes 2000000000]

Each case ends in a lake that is right, or in exit code 1 with an error that names the file, and then nothing is published. A
panic, another exit code, or a lake that is wrong fails. Prints seconds and peak memory of each. Needs pyarrow.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CONFIG = """
SET snaplake.database = 'limits';
SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
SET snaplake.staging = 'out/staging';
SET snaplake.datalake = 'out/lake';
CREATE EXTERNAL TABLE snapshot.t {columns} STORED AS {format} LOCATION 'export/'{options};
CREATE TABLE lake.t WITH (sorted_by = ARRAY['id']) AS SELECT * FROM snapshot.t;
"""
HEADER = " OPTIONS ('format.has_header' 'true')"
MEGABYTE = b"x" * 1_000_000


def value(told, before: bytes, after: bytes, path: Path) -> None:
    with path.open("wb") as file:
        file.write(before)
        for _ in range(told.value_bytes // len(MEGABYTE)):
            file.write(MEGABYTE)
        file.write(after)


def csv_value(told, export: Path) -> str:
    value(told, b"id,v\n1,", b"\n2,short\n", export / "a.csv")
    return CONFIG.format(columns="(id BIGINT, v VARCHAR)", format="CSV", options=HEADER)


def csv_value_undeclared(told, export: Path) -> str:
    value(told, b"id,v\n1,", b"\n2,short\n", export / "a.csv")
    return CONFIG.format(columns="", format="CSV", options=HEADER)


def json_value(told, export: Path) -> str:
    value(told, b'{"id": 1, "v": "', b'"}\n{"id": 2, "v": "short"}\n', export / "a.json")
    return CONFIG.format(columns="(id BIGINT, v VARCHAR)", format="JSON", options="")


def parquet_value(told, export: Path) -> str:
    values = pa.array([MEGABYTE.decode() * (told.value_bytes // len(MEGABYTE)), "short"], pa.large_string())
    table = pa.table({"id": pa.array([1, 2], pa.int64()), "v": values})
    pq.write_table(table, export / "a.parquet", compression="none", use_dictionary=False, write_statistics=False)
    return CONFIG.format(columns="", format="PARQUET", options="")


def million_files(told, export: Path) -> str:
    for number in range(told.files):
        folder = export / f"{number // 1000:04}"
        if number % 1000 == 0:
            folder.mkdir()
        (folder / f"{number}.csv").write_bytes(b"id,v\n%d,row\n" % number)
    return CONFIG.format(columns="(id BIGINT, v VARCHAR)", format="CSV", options=HEADER)


VALUES = [csv_value, csv_value_undeclared, json_value, parquet_value]


def expected(told, case) -> tuple[int, int]:
    """Rows, and characters in them."""
    return (told.files, 3 * told.files) if case is million_files else (2, told.value_bytes // len(MEGABYTE) * len(MEGABYTE) + 5)


def found(work: Path) -> tuple[int, int]:
    rows = characters = 0
    for path in (work / "out/lake").rglob("*.parquet"):
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(batch_size=10_000, columns=["v"]):
            column = batch.column(0).cast(pa.large_string())
            rows += len(column)
            characters += sum(len(text) for text in column.to_pylist())
    return rows, characters


def run(told, case, work: Path) -> bool:
    (work / "export").mkdir()
    (work / "job.sql").write_text(case(told, work / "export"))
    started = time.monotonic()
    ended = subprocess.run([told.snaplake, "run", work / "job.sql", "--quiet"], capture_output=True, text=True)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    marked = any((work / "out").rglob("_SUCCESS"))
    said = ended.stderr.strip()
    if ended.returncode == 0:
        got = found(work)
        well, what = marked and got == expected(told, case), f"a lake of {got[0]} rows and {got[1]} characters"
    else:
        named = "export/" in said or case is million_files
        well, what = ended.returncode == 1 and not marked and named and "panicked at" not in said, f"refused: {said}"
    print(f"{'well ' if well else 'WRONG'} {case.__name__}: {what} ({seconds:.0f} s, at most {peak:.0f} MB so far)", flush=True)
    return well


def main() -> int:
    cases = {case.__name__: case for case in [*VALUES, million_files]}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True, type=os.path.abspath)
    parser.add_argument("--case", action="append", choices=cases)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=2_000_000_000)
    parser.add_argument("--work", type=Path)
    told = parser.parse_args()
    wrong = 0
    for name in told.case or cases:
        work = Path(tempfile.mkdtemp(prefix="limits-", dir=told.work))
        try:
            wrong += not run(told, cases[name], work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
