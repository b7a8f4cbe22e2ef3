"""What the sequences know: snapshot files and their rows, configs, and the rows that a config makes of a state of them.

A row is a tuple of (column, value) pairs in the order of the names; rows of a table are a frozenset of (row, how often), so
that two tables are equal only with every row as often.
"""

import dataclasses
import functools
import io
import os
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_FILE = 40
TIMES = ("2026-01-02T03:04:05Z", "2026-02-03T04:05:06Z")

# Name of a SELECT -> its list and filter, and what becomes of a snapshot row.
SELECTS = {
    "all": ("id, k, j, v, w FROM snapshot.t", lambda row: row),
    "swap": ("id, k, j, w AS v, v AS w FROM snapshot.t", lambda row: row | {"v": row["w"], "w": row["v"]}),
    "third": ("id, k, j, v, w FROM snapshot.t WHERE id % 3 = 0", lambda row: row if row["id"] % 3 == 0 else None),
    "more": ("id, k, j, v, w, v - w AS x FROM snapshot.t", lambda row: row | {"x": row["v"] - row["w"]}),
    "plus": ("id, k, j, v + 1 AS v, w FROM snapshot.t", lambda row: row | {"v": row["v"] + 1}),
}


# --- snapshot files ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Content:
    """What stands in a snapshot file: the ids of `number`, with values of one generation."""

    number: int
    generation: int
    form: str = "whole"  # fewer: of the same size, with four rows less; cut: the first half of the bytes

    def rows(self) -> list[dict]:
        count = ROWS_A_FILE - 4 if self.form == "fewer" else ROWS_A_FILE
        ids = range(self.number * ROWS_A_FILE, self.number * ROWS_A_FILE + count)
        return [
            {"id": i, "k": f"k{i % 3}", "j": i % 2, "v": i * 1000 + self.generation, "w": -i * 1000 - self.generation}
            for i in ids
        ]

    @functools.lru_cache(maxsize=4096)
    def encoded(self) -> bytes:
        """Plain pages: contents of the same number of rows have the same size."""
        rows = self.rows()
        types = {"id": pa.int64(), "k": pa.string(), "j": pa.int64(), "v": pa.int64(), "w": pa.int64()}
        table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()})
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="none", use_dictionary=False)
        encoded = sink.getvalue()
        if self.form == "cut":
            return encoded[: len(encoded) // 2]
        if self.form == "fewer":
            # The room between the last page and the footer is nobody's.
            footer = len(encoded) - 8 - int.from_bytes(encoded[-8:-4], "little")
            size = len(dataclasses.replace(self, form="whole").encoded())
            return encoded[:footer] + b"\0" * (size - len(encoded)) + encoded[footer:]
        return encoded


# A state of a snapshot table: the contents of its files, each file once however many names it has.
State = tuple[Content, ...]


@functools.lru_cache(maxsize=8192)
def rows_of(select: str, state: State) -> frozenset | None:
    """The rows that a SELECT makes of a state; none if a file of it cannot be read."""
    if not state or any(content.form == "cut" for content in state):
        return None
    change = SELECTS[select][1]
    rows = (change(row) for content in state for row in content.rows())
    return multiset(row for row in rows if row is not None)


def multiset(rows) -> frozenset:
    return frozenset(Counter(tuple(sorted(row.items())) for row in rows).items())


def is_part(part: frozenset, whole: frozenset) -> bool:
    of_whole = dict(whole)
    return all(of_whole.get(row, 0) >= count for row, count in part)


def count(rows: frozenset) -> int:
    return sum(times for _, times in rows)


def differences(found: frozenset, expected: frozenset) -> str:
    """In which rows they differ, for a message."""
    have, want = Counter(dict(found)), Counter(dict(expected))
    extra, lost = have - want, want - have
    said = f"{have.total()} rows, not {want.total()}: {extra.total()} too much, {lost.total()} missing"
    for what, rows in (("too much", extra), ("missing", lost)):
        if rows:
            said += f"; {what} {dict(min(rows, key=repr))}"
    return said


# --- configs ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one config; folders are relative to the folder of the config."""

    datalake: str = "lake"
    staging: str = "staging"
    schema: str = "public"
    snapshot_time: str = TIMES[0]
    verify: str = "count"
    table: str = "t"
    location: str = "snapshot/"
    select: str = "all"
    external_location: str | None = None
    file_group_size: str | None = "1kB"
    target_file_size: str | None = None
    partitioned_by: tuple = ("k",)
    sorted_by: tuple = ("id",)
    write_compression: str | None = None

    def text(self) -> str:
        names = lambda columns: f"ARRAY[{', '.join(repr(column) for column in columns)}]"
        properties = [f"{key} = {names(getattr(self, key))}" for key in ("partitioned_by", "sorted_by") if getattr(self, key)]
        for key in ("external_location", "file_group_size", "target_file_size", "write_compression"):
            if getattr(self, key) is not None:
                properties.append(f"{key} = '{getattr(self, key)}'")
        settings = ["schema", "snapshot_time", "staging", "datalake", "verify"]
        lines = ["SET snaplake.database = 'd';"] + [f"SET snaplake.{key} = '{getattr(self, key)}';" for key in settings]
        lines.append(f"CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION '{self.location}';")
        clause = f" WITH ({', '.join(properties)})" if properties else ""
        lines.append(f"CREATE TABLE lake.{self.table}{clause} AS SELECT {SELECTS[self.select][0]};")
        return "\n".join(lines) + "\n"

    def lake(self) -> str:
        """Where the table is published."""
        if self.external_location is not None:
            return self.external_location
        time = self.snapshot_time
        return f"{self.datalake}/d/{self.table}/snapshot={time}/d/{self.schema}/{self.table}"

    def is_same_table(self, other: "Config") -> bool:
        return (self.table, self.snapshot_time) == (other.table, other.snapshot_time)

    def difference(self, other: "Config") -> str:
        pairs = [(field.name, getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self)]
        return ", ".join(f"{name}: {old} -> {new}" for name, old, new in pairs if old != new)


# Setting -> the values that it may be given.
EDITS = {
    "datalake": ("lake", "lake-b", "lake", "lake-b", "snapshot/lake"),
    "staging": ("staging", "staging-b", "staging", "staging-b", "snapshot/staging"),
    "schema": ("public", "other"),
    "external_location": (None, "external", "lake/external"),
    "target_file_size": (None, "1kB"),
    "file_group_size": ("1kB", "all", None),
    "partitioned_by": (("k",), (), ("j",), ("k", "j")),
    "sorted_by": (("id",), (), ("v DESC",)),
    "select": tuple(SELECTS),
    "write_compression": (None, "snappy"),
    "location": ("snapshot/", "snapshot-b/", "snapshot/*.parquet"),
    "verify": ("count", "checksum"),
    "snapshot_time": TIMES,
}

# Those that change rows come more often.
EDITED = [*EDITS, "select", "select", "location"]


# --- what stands in a folder ------------------------------------------------------------------------------------------


def data_files(folder: Path):
    """The files that readers of a folder take for data."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (Path(base) / name for name in sorted(names) if name.endswith(".parquet") and not name.startswith((".", "_")))


class Reader:
    """Reads published folders; a file that has not changed is read once."""

    def __init__(self):
        self.files: dict[tuple, list[dict]] = {}

    def rows(self, folder: Path) -> frozenset:
        found = []
        for path in data_files(folder):
            values = dict(part.split("=", 1) for part in path.relative_to(folder).parts[:-1] if "=" in part)
            values = {key: int(value) if key == "j" else unquote(value) for key, value in values.items()}
            found += [row | values for row in self.file(path)]
        return multiset(found)

    def file(self, path: Path) -> list[dict]:
        stat = path.stat()
        key = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in self.files:
            self.files[key] = pq.ParquetFile(path).read().to_pylist()
        return self.files[key]
