#!/usr/bin/env python3
"""Do the checks of the benchmark fail when they should?

    python tests/bench/test_checks.py

Writes a small table as a right lake, which must pass, and then spoils copies of it, one way each: every spoiled copy must be
reported, in the words expected. The same for footers, goals and the measuring of a process. Exit code 1 when one is missed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import checks
import footers
import report
from cases import CASES, Case, Entry, Goal, Settings
from data import Data
from measure import Failed, Run, helper, run
from programs import Job, Program
from stores import Folders

ROWS = 20_000


class Lake:
    """A folder with the source, and a lake of it that can be spoiled."""

    def __init__(self, folder: Path):
        self.source = folder / "source.parquet"
        self.root = folder / "lake"
        duckdb.execute(
            f"""COPY (
                SELECT id, CAST(id % 7 AS INTEGER) AS n, CAST(id / 100 AS DECIMAL(15, 2)) AS price,
                       CASE WHEN id % 5 <> 0 THEN 'text ' || id END AS note,
                       CASE WHEN id % 11 <> 0 THEN id % 3 END AS zero,
                       DATE '1996-01-11' + CAST(id % 89 AS INTEGER) AS l_shipdate
                FROM range({ROWS}) AS numbers(id) ORDER BY hash(id)
            ) TO '{self.source}' (FORMAT parquet)"""
        )
        rows = duckdb.sql(
            f"SELECT *, year(l_shipdate) AS y, month(l_shipdate) AS m FROM '{self.source}' ORDER BY id"
        ).to_arrow_table()
        for year, month in sorted(set(zip(rows["y"].to_pylist(), rows["m"].to_pylist()))):
            path = self.root / f"y={year}" / f"m={month}" / "data.parquet"
            path.parent.mkdir(parents=True)
            mine = pc.and_(pc.equal(rows["y"], year), pc.equal(rows["m"], month))
            self.write(path, rows.filter(mine).drop_columns(["y", "m"]))
        (self.root / "_SUCCESS").touch()

    @staticmethod
    def write(path: Path, rows: pa.Table, **options) -> None:
        order = [pq.SortingColumn(rows.column_names.index("id"))] if "id" in rows.column_names else None
        pq.write_table(rows, path, **{"write_page_index": True, "sorting_columns": order, **options})

    @property
    def first(self) -> Path:
        return sorted(self.root.rglob("*.parquet"))[0]

    @property
    def second(self) -> Path:
        return sorted(self.root.rglob("*.parquet"))[1]

    def rewrite(self, change) -> None:
        """The first file holds what `change` makes of its rows, a list of dicts."""
        rows = pq.ParquetFile(self.first).read()
        self.write(self.first, pa.Table.from_pylist(change(rows.to_pylist()), schema=rows.schema))

    def problems(self) -> list[str]:
        told = {"source": str(self.source), "computed": {"y": "year", "m": "month"}, "partitioned_by": ["y", "m"]}
        return checks.run({**told, "sorted_by": "id", "root": str(self.root), "marker": "_SUCCESS"})["problems"]

    def footer_problems(self, target: int) -> list[str]:
        return footers.run({"root": str(self.root), "sorted_by": "id", "target_file_size": target})["problems"]


# --- ways to spoil a lake ---------------------------------------------------------------------------------------------


def set_value(column: str, value, row: int = 5):
    def change(rows: list[dict]) -> list[dict]:
        rows[row] = {**rows[row], column: value}
        return rows

    return lambda lake: lake.rewrite(change)


def swap_column(column: str):
    """All values are still there, and in the same partition; two rows are wrong."""

    def change(rows: list[dict]) -> list[dict]:
        rows[5][column], rows[6][column] = rows[6][column], rows[5][column]
        return rows

    return lambda lake: lake.rewrite(change)


def swap_rows(rows: list[dict]) -> list[dict]:
    return [*rows[:5], rows[6], rows[5], *rows[7:]]


def null_to(column: str, value):
    def change(rows: list[dict]) -> list[dict]:
        row = next(row for row in rows if row[column] is None)
        row[column] = value
        return rows

    return lambda lake: lake.rewrite(change)


def move_row(lake: Lake) -> None:
    kept = []
    lake.rewrite(lambda rows: kept.append(rows[5]) or rows[:5] + rows[6:])
    other = pq.ParquetFile(lake.second).read()
    rows = sorted([*other.to_pylist(), *kept], key=lambda row: row["id"])
    lake.write(lake.second, pa.Table.from_pylist(rows, schema=other.schema))


def retype(column: str, kind: pa.DataType):
    def change(lake: Lake) -> None:
        for path in lake.root.rglob("*.parquet"):
            rows = pq.ParquetFile(path).read()
            at = rows.column_names.index(column)
            lake.write(path, rows.set_column(at, column, rows[column].cast(kind)))

    return change


def each_file(change):
    return lambda lake: [lake.write(path, change(pq.ParquetFile(path).read())) for path in lake.root.rglob("*.parquet")]


def change_rows(change):
    return lambda lake: lake.rewrite(change)


def dearer(rows: list[dict]) -> list[dict]:
    return [{**rows[0], "price": rows[0]["price"] + Decimal("0.01")}, *rows[1:]]


def rename_partition(lake: Lake) -> None:
    lake.first.parent.rename(lake.first.parent.with_name("m=7"))


def remove_all(lake: Lake) -> None:
    for path in lake.root.rglob("*.parquet"):
        path.unlink()


SPOILED = {
    "a row is gone": (change_rows(lambda rows: rows[1:]), "rows, not"),
    "a row is there twice": (change_rows(lambda rows: rows[:1] + rows), "rows, not"),
    "a row is gone, one there twice": (change_rows(lambda rows: rows[:1] + rows[:1] + rows[2:]), "column id "),
    "a file is there twice": (lambda lake: shutil.copy(lake.first, lake.first.with_name("again.parquet")), "rows, not"),
    "a file is gone": (lambda lake: lake.first.unlink(), "partition y=1996/m=1 has 0 rows"),
    "no file is there": (remove_all, "no Parquet file"),
    "a file cannot be read": (lambda lake: lake.first.write_bytes(b"PAR1 no PAR1"), "cannot"),
    "a number is another": (set_value("n", 99), "column n "),
    "a price is a cent higher": (change_rows(dearer), "column price "),
    "a text is another": (set_value("note", "texT 5"), "column note "),
    "two values changed places": (swap_column("note"), "in other rows"),
    "NULL became an empty text": (null_to("note", ""), "column note "),
    "NULL became zero": (null_to("zero", 0), "column zero "),
    "a row is in another partition": (move_row, "partition y=1996/m=1 has"),
    "a partition has another name": (rename_partition, "partition y=1996/m=7 has"),
    "two rows changed places": (change_rows(swap_rows), "not sorted by id"),
    "a file begins with its last row": (change_rows(lambda rows: rows[-1:] + rows[:-1]), "not sorted by id"),
    "a column has another type": (retype("n", pa.int64()), "column n has type BIGINT"),
    "a decimal became a double": (retype("price", pa.float64()), "column price has type DOUBLE"),
    "a column is gone": (each_file(lambda rows: rows.drop_columns(["note"])), "no column note"),
    "a column is new": (each_file(lambda rows: rows.append_column("extra", rows["n"])), "a column extra"),
    "the marker is gone": (lambda lake: (lake.root / "_SUCCESS").unlink(), "_SUCCESS"),
    "a file is left over": (lambda lake: (lake.root / "y=1996" / "part.tmp").touch(), "part.tmp"),
}


def rewrite_with(**options):
    return lambda lake: Lake.write(lake.first, pq.ParquetFile(lake.first).read(), **options)


def split_first(lake: Lake) -> None:
    Lake.write(lake.first.with_name("more.parquet"), pq.ParquetFile(lake.first).read())


LARGE = 100_000_000
MISSHAPEN = {
    "no sorting_columns": (rewrite_with(sorting_columns=None), LARGE, "sorting_columns"),
    "other sorting_columns": (rewrite_with(sorting_columns=[pq.SortingColumn(1)]), LARGE, "sorting_columns"),
    "no page index": (rewrite_with(write_page_index=False), LARGE, "page index"),
    "no statistics": (rewrite_with(write_statistics=False, write_page_index=False), LARGE, "lack statistics"),
    "small row groups": (rewrite_with(row_group_size=100), LARGE, "row groups"),
    "two small files in a partition": (split_first, LARGE, "wrong size"),
    "files far too large": (lambda lake: None, 5_000, "wrong size"),
    "one small file beside large ones": (split_first, 600, "wrong size"),
}


def measured_apart(folder: Path, command: list[str]) -> Run:
    """As the benchmark measures: from a process without any large package, which this one is not."""
    program = (
        "import json, pathlib, sys; sys.path.insert(0, sys.argv[1]); import measure; "
        "print(json.dumps(measure.run(sys.argv[3:], pathlib.Path(sys.argv[2])).as_dict()))"
    )
    told = [sys.executable, "-c", program, str(Path(__file__).parent), str(folder / "log"), *command]
    return Run(**json.loads(subprocess.run(told, capture_output=True, check=True).stdout))


def told_of_processes(folder: Path) -> list[tuple[str, bool]]:
    """Measured are the child's own memory, CPU and end, not those of this (large) process."""
    child = [sys.executable, "-c", "data = bytearray(300_000_000); sum(range(10_000_000)); print(len(data))"]
    large, small = measured_apart(folder, child), measured_apart(folder, ["sleep", "0.3"])
    failed = late = unheard = False
    try:
        run([sys.executable, "-c", "import sys; sys.exit('too bad')"], folder / "log")
    except Failed as said:
        failed = "too bad" in str(said) and "ended with 1" in str(said)
    try:
        run(["sleep", "30"], folder / "log", timeout=0.2)
    except Failed as said:
        late = "took more than" in str(said)
    try:
        helper("checks.py", "no json")
    except Failed:
        unheard = True
    return [
        ("memory of a child is seen", 300e6 < large.rss < 400e6),
        ("memory of the parent is not", small.rss < 60e6),
        ("CPU of a child is seen", 0.05 < large.cpu <= large.wall * 1.5),
        ("waiting is no CPU", small.wall >= 0.3 and small.cpu < 0.2),
        ("a program that fails is told", failed),
        ("a program that hangs is ended", late),
        ("a check that breaks is no check passed", unheard),
    ]


def told_of_goals() -> list[tuple[str, bool]]:
    def result(label: str, kind: str, wall: float) -> report.Result:
        entry = Entry(Program(label, kind), Job(Data("lineitem", 1), ("y",)))
        return report.Result(case, entry, [Run(wall, 1, 0, 700_000_000, 0, 0, 0, 0, 0, 100, 1)], {})

    case = Case("case", "", [])
    results = [result("snaplake", "snaplake", 10), result("polars", "polars", 5), result("duckdb", "duckdb", 20)]

    def hit(*goal) -> bool | None:
        return report.judge(Goal("snaplake", *goal), results).hit

    return [
        ("the fastest peer is what counts", hit("wall", 1.9, "peers") is False and hit("wall", 2.0, "peers") is True),
        ("a named base is what counts", hit("wall", 0.4, "duckdb") is False and hit("wall", 0.5, "duckdb") is True),
        ("an absolute goal", hit("rss", 512e6, None) is False and hit("rss", 700e6, None) is True),
        ("a goal without its base is neither", hit("wall", 1, "other") is None),
        ("ratios refer to the fastest peer", report.base_of(case, results).label == "polars"),
    ]


def told_of_outputs(folder: Path) -> list[tuple[str, bool]]:
    """Outputs stay until room is needed; then all go."""

    def three(name: str, min_free: int) -> tuple[list[Path], bool]:
        folders = Folders(folder, folder / name, min_free)
        places = [Path(folders.empty("case/program")) for _ in range(3)]
        empty = not any(place.exists() for place in places)
        for place in places:
            place.mkdir()
        return places, empty and folders.make_room() and not folders.make_room()

    kept, removed_kept = three("kept", 0)
    gone, removed_gone = three("gone", 1 << 62)
    return [
        ("no run writes where another one wrote", len(set(kept)) == 3),
        ("outputs are kept while there is room", not removed_kept and all(place.exists() for place in kept)),
        ("outputs make room, once", removed_gone and not any(place.exists() for place in gone)),
    ]


def told_of_resuming() -> list[tuple[str, bool]]:
    """A second call has the runs of the first one, and tries again what failed."""
    machine = report.Machine(2, "cpu", 1 << 30, "Linux", 0.0, {"snaplake": "1"})
    settings = Settings(5, 3, ("polars",))

    def runs(number: int) -> list[Run]:
        return [Run(wall, 1, 0, 1, 0, 0, 0, 0, 0, 100, 1) for wall in range(1, number + 1)]

    first = report.Report(machine, settings)
    mine, peer = first.of(CASES["ym_sorted"](settings))
    mine.runs += runs(2)
    first.problems = ["ym_sorted, snaplake: wrong rows", "ym_sorted, polars: out of memory"]
    told = json.loads(json.dumps(first.as_json()))
    second = report.Report(machine, settings)
    second.resume(told)
    second.of(CASES["day_sorted"](settings))
    shown = [(result.case.name, result.label, result.runs) for result in second.results]
    refused = False
    try:
        report.Report(machine, Settings(1, 3, ("polars",))).resume(told)
    except ValueError as said:
        refused = "scale" in str(said)
    return [
        ("earlier runs stand in the table, before new ones", shown == [
            ("ym_sorted", "snaplake", mine.runs), ("ym_sorted", "polars", []),
            ("day_sorted", "snaplake", []), ("day_sorted", "polars", []),
        ]),
        ("a case that goes on has its runs", second.of(CASES["ym_sorted"](settings))[0].runs == runs(2)),
        ("what failed is tried again, what was wrong stays", second.problems == first.problems[:1]),
        ("runs of another scale are refused", refused),
    ]


def main() -> None:
    missed = 0

    def tell(name: str, holds: bool, seen: object = "") -> None:
        nonlocal missed
        missed += not holds
        print(f"{'ok' if holds else 'MISSED'}  {name}" + ("" if holds else f": {seen}"), flush=True)

    with tempfile.TemporaryDirectory(prefix="snaplake-bench-test-") as scratch:
        sound = Lake(Path(scratch))
        tell("a right lake passes", sound.problems() == [], sound.problems())
        tell("right footers pass", sound.footer_problems(LARGE) == [], sound.footer_problems(LARGE))

        def copy() -> Lake:
            lake = object.__new__(Lake)
            folder = Path(tempfile.mkdtemp(dir=scratch))
            lake.source, lake.root = sound.source, folder / "lake"
            shutil.copytree(sound.root, lake.root)
            return lake

        for name, (spoil, expected) in SPOILED.items():
            lake = copy()
            spoil(lake)
            problems = lake.problems()
            tell(name, any(expected in problem for problem in problems), problems)
        for name, (spoil, target, expected) in MISSHAPEN.items():
            lake = copy()
            spoil(lake)
            problems = lake.footer_problems(target)
            tell(name, any(expected in problem for problem in problems), problems)
        for name, holds in told_of_processes(Path(scratch)) + told_of_goals() + told_of_outputs(Path(scratch)) + told_of_resuming():
            tell(name, holds)
    print(f"{missed} missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
