#!/usr/bin/env python3
"""Do other readers see the types and values that docs/types.md says?

    check_types.py LAKE_DIR DOCS_TYPES_MD

LAKE_DIR is the lake of tests/data/types/types.sql. With UPDATE_TYPES=1 the readers' columns of the table are written anew.
"""

import datetime
import os
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from common import Report, Tree

START, END = "<!-- types -->\n", "<!-- /types -->"
READERS = ["DuckDB", "pyarrow", "Polars"]


def ticks(text: str, unit: str) -> int:
    """Ticks since 1970 of a time as ISO 8601 writes it, which may have nine digits; of a time without date, since midnight."""
    text, _, fraction = text.partition(".")
    if "-" not in text:
        text = f"1970-01-01T{text}"
    seconds = (datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1)
    digits = {"ms": 3, "us": 6, "ns": 9}[unit]
    return seconds * 10**digits + int(fraction.ljust(digits, "0")[:digits] or 0)


# The first two rows of each column; the third is NULL. Times are (unit, text, text), to be compared as ticks.
EXPECTED = {
    "BOOLEAN": (True, False),
    "TINYINT": (127, -128),
    "SMALLINT": (32767, -32768),
    "INT": (2147483647, -2147483648),
    "BIGINT": (9223372036854775807, -9223372036854775808),
    "TINYINT UNSIGNED": (255, 0),
    "SMALLINT UNSIGNED": (65535, 0),
    "INT UNSIGNED": (4294967295, 0),
    "BIGINT UNSIGNED": (18446744073709551615, 0),
    "REAL": (1.5, -0.25),
    "DOUBLE": (0.1, -1e300),
    "DECIMAL(9,2)": (Decimal("1234567.89"), Decimal("-0.01")),
    "DECIMAL(18,4)": (Decimal("12345678901234.5678"), Decimal("-0.0001")),
    "DECIMAL(38,10)": (Decimal("9999999999999999999999999999.9999999999"), Decimal("-0.0000000001")),
    "VARCHAR": ("é日本", ""),
    "BYTEA": (b"\x00\xff", b""),
    "DATE": (datetime.date(9999, 12, 31), datetime.date(1, 1, 1)),
    "TIME(0)": ("ms", "23:59:59", "00:00:00"),
    "TIME(3)": ("ms", "23:59:59.999", "00:00:00.001"),
    "TIME": ("us", "23:59:59.999999", "00:00:00.000001"),
    "TIME(9)": ("ns", "23:59:59.999999999", "00:00:00.000000001"),
    "TIMESTAMP(0)": ("ms", "9999-12-31T23:59:59", "0001-01-01T00:00:00"),
    "TIMESTAMP(3)": ("ms", "9999-12-31T23:59:59.999", "0001-01-01T00:00:00.001"),
    "TIMESTAMP": ("us", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00.000001"),
    "TIMESTAMP(9)": ("ns", "2024-02-29T23:59:59.999999999", "1969-12-31T23:59:59.999999999"),
    "TIMESTAMP(0) WITH TIME ZONE": ("ms", "2023-12-31T22:00:00", "1969-12-31T23:59:59"),
    "TIMESTAMP(3) WITH TIME ZONE": ("ms", "2023-12-31T22:00:00.123", "1969-12-31T23:59:59.999"),
    "TIMESTAMP WITH TIME ZONE": ("us", "2023-12-31T22:00:00.123456", "1969-12-31T23:59:59.999999"),
    "TIMESTAMP(9) WITH TIME ZONE": ("ns", "2023-12-31T22:00:00.123456789", "1969-12-31T23:59:59.999999999"),
    "INT[]": ([1, None, 3], []),
    "TIMESTAMP(0)[]": ([datetime.datetime(2024, 1, 1)], []),
    "STRUCT<a INT, b VARCHAR>": ({"a": 1, "b": "x"}, {"a": None, "b": ""}),
    "MAP(VARCHAR, INT)": ({"k": 1, "l": None}, {"m": 2}),
    "Arrow Float16": (1.5, -0.25),
    "Arrow Date64": (datetime.date(9999, 12, 31), datetime.date(1, 1, 1)),
    "Arrow Decimal32(9, 2)": (Decimal("1234567.89"), Decimal("-0.01")),
    "Arrow Decimal256(38, 2)": (Decimal("1234567.89"), Decimal("-0.01")),
    "Arrow LargeUtf8": ("é日本", ""),
    "Arrow LargeBinary": (b"\x00\xff", b""),
    "Arrow Dictionary(Int32, Utf8)": ("é日本", ""),
    "Arrow FixedSizeBinary(2)": (b"\x00\xff", b"\xff\x00"),
    "Arrow FixedSizeList(2 x Int64)": ([1, 2], [3, 4]),
    'Arrow Timestamp(µs, "Europe/Berlin")': ("us", "2023-12-31T23:00:00", "1969-12-31T22:59:59"),
    "to_timestamp(...)": ("us", "2024-01-01T00:00:00.123456", "1969-12-31T23:59:59"),
    "NULL": (None, None),
}

# What a reader does not show as it is stored: (reader, column) -> reason.
OTHERWISE = {}


def is_time(value) -> bool:
    return isinstance(value, tuple) and len(value) == 3


def expected(name: str) -> list:
    value = EXPECTED[name]
    if is_time(value):
        return [ticks(text, value[0]) for text in value[1:]] + [None]
    return [*value, None]


def as_map(name: str, values: list) -> list:
    if not name.startswith("MAP"):
        return values
    pairs = lambda value: [(item["key"], item["value"]) if isinstance(item, dict) else item for item in value]
    return [value if value is None or isinstance(value, dict) else dict(pairs(value)) for value in values]


def of_duckdb(file: str) -> dict:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    source = "read_parquet('" + file.replace("'", "''") + "')"
    types = {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    found = {}
    for name in EXPECTED:
        column = '"' + name.replace('"', '""') + '"'
        value = EXPECTED[name]
        if is_time(value):
            # As text, which has all digits that DuckDB keeps.
            column = f"CAST({column} AS VARCHAR)"
            rows = [row[0] for row in con.execute(f"SELECT {column} FROM {source} ORDER BY id").fetchall()]
            plain = [row and row.replace(" ", "T").removesuffix("+00") for row in rows]
            rows = [row and ticks(row, value[0]) for row in plain]
        else:
            rows = [row[0] for row in con.execute(f"SELECT {column} FROM {source} ORDER BY id").fetchall()]
        found[name] = (types[name], rows)
    return found


def of_pyarrow(file: str) -> dict:
    table = pq.ParquetFile(file).read().sort_by("id")
    found = {}
    for name in EXPECTED:
        column = table.column(name)
        rows = column
        if is_time(EXPECTED[name]):
            rows = column.combine_chunks()
            rows = rows.cast(pa.int32() if rows.type.bit_width == 32 else pa.int64())
        found[name] = (str(column.type), rows.to_pylist())
    return found


def of_polars(file: str) -> dict:
    table = pl.read_parquet(file).sort("id")
    found = {}
    for name in EXPECTED:
        column = table[name]
        value = EXPECTED[name]
        rows = column
        if is_time(value):
            rows = column.to_physical()
            # Times of day are nanoseconds in Polars.
            if column.dtype == pl.Time and value[0] != "ns":
                rows = rows // {"ms": 1_000_000, "us": 1_000}[value[0]]
        found[name] = (str(column.dtype), rows.to_list())
    return found


def cells(line: str) -> list:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split(" | ")]


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tree = Tree(sys.argv[1])
    files = [path for path in tree.files() if path.endswith(".parquet")]
    report = Report()
    report.check(len(files) == 1, "one file", f"{len(files)} files in {sys.argv[1]}")
    file = f"{tree.copy()}/{files[0]}"
    docs = Path(sys.argv[2])
    before, _, rest = docs.read_text().partition(START)
    table, _, after = rest.partition(END)
    head, rule, *lines = table.splitlines()
    rows = [cells(line) for line in lines]
    report.check(
        {row[0] for row in rows} == set(EXPECTED),
        f"{len(rows)} types",
        f"docs and this script differ in types: {sorted({row[0] for row in rows} ^ set(EXPECTED))}",
    )
    at = [cells(head).index(reader) for reader in READERS]
    for reader, column, found in zip(READERS, at, [of_duckdb(file), of_pyarrow(file), of_polars(file)]):
        for row in rows:
            name = row[0]
            shown, values = found[name]
            values, wanted = as_map(name, values), expected(name)
            otherwise = OTHERWISE.get((reader, name))
            if otherwise is None:
                report.check(values == wanted, f"{reader}, {name}: values", f"{reader}, {name}: {values}, not {wanted}")
            else:
                report.check(values == otherwise, f"{reader}, {name}: as known", f"{reader}, {name}: {values} now")
                shown += " (inexact)"
            if os.environ.get("UPDATE_TYPES"):
                row[column] = shown
            report.check(row[column] == shown, f"{reader}, {name}: {shown}", f"{reader}, {name}: {shown}, docs: {row[column]}")
    if os.environ.get("UPDATE_TYPES"):
        quoted = ["| " + " | ".join(cell if cell == "?" else f"`{cell}`" for cell in row) + " |" for row in rows]
        docs.write_text(before + START + "\n".join([head, rule, *quoted]) + "\n" + END + after)
    report.finish()


if __name__ == "__main__":
    main()
