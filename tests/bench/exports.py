#!/usr/bin/env python3
"""Reads one large export of each kind into Parquet, by snaplake and by the programs that read that kind, on one core.

    python tests/bench/exports.py [--sf 1.4] [--rounds 3] [--kinds a,b] [--snaplake PATH] [--work DIR] [--markdown FILE]

The export has one table, TPC-H lineitem. There are two jobs: to read it (the largest value of each column), and to write it as
Parquet (zstd 3). snaplake does the second as it always does: staging, then the lake. PostgreSQL has no Parquet: the job of `psql`
and `pg_restore` is to load the table (no index), and stands for both. Every program is pinned to the same core, a server too. The
programs take turns; what they wrote in the first round is compared with the source. Needs the packages of tests/bench/requirements.txt, chdb where ClickHouse is to be measured, and the servers of
tests/outside/export_servers.py. Exit code 1: a program failed or wrote something else. Times never fail a run.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from data import LINEITEM
from measure import Failed, Run, helper, run, settle, warm
from programs import text

HERE = Path(__file__).parent
CORE = "0"
JOB = {"computed": {}, "partitioned_by": [], "sorted_by": None}
JOBS = ("read", "write")
LARGEST = ", ".join(["count(*)", *(f"max({name})" for name in LINEITEM)])


@dataclass(frozen=True)
class Kind:
    """One kind of export: what snaplake says of it, and who else reads it."""

    name: str
    stored_as: str
    declared: bool  # the columns are in the statement, not in the export
    options: dict[str, str]
    peers: tuple[str, ...]


KINDS = [
    Kind("copy_csv", "CSV", True, {"format.has_header": "true", "dialect": "postgres"}, ("duckdb", "polars", "clickhouse")),
    Kind("copy_text", "CSV", True, {"dialect": "postgres_text"}, ("duckdb", "polars", "clickhouse")),
    Kind("copy_binary", "PG_BINARY", True, {}, ("postgres",)),
    Kind("pg_dump", "PG_DUMP", False, {"table": "lineitem"}, ("postgres",)),
    Kind("mysqldump", "MYSQL_DUMP", False, {"table": "lineitem"}, ("clickhouse",)),
    Kind("dynamodb", "DYNAMODB_EXPORT", True, {}, ("duckdb", "polars")),
    Kind("avro", "AVRO", False, {}, ("polars", "clickhouse")),
]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def config(kind: Kind, source: Path, out: Path) -> str:
    columns = ", ".join(f"{name} {of}" for name, of in LINEITEM.items())
    options = ", ".join(f"{text(key)} {text(value)}" for key, value in kind.options.items())
    return f"""SET snaplake.database = 'bench'; SET snaplake.snapshot_time = '2026-01-01T00:00:00Z';
SET snaplake.staging = {text(f"{out}/staging")}; SET snaplake.datalake = {text(f"{out}/lake")};
CREATE EXTERNAL TABLE snapshot.lineitem{f" ({columns})" if kind.declared else ""}
STORED AS {kind.stored_as} LOCATION {text(str(source))}{f" OPTIONS ({options})" if options else ""};
CREATE TABLE lake.lineitem WITH (write_compression = 'zstd', compression_level = 3) AS SELECT * FROM snapshot.lineitem;
"""


class Bench:
    def __init__(self, snaplake: Path, data: Path, work: Path, jobs: list[str]):
        self.snaplake, self.data, self.work, self.jobs = snaplake, data, work, jobs
        self.problems: list[str] = []

    def source(self, kind: Kind) -> Path:
        """The one file of the kind, or the folder of the export."""
        if kind.name == "dynamodb":
            return next(self.data.glob("dynamodb/AWSDynamoDB/*"))
        return next((self.data / kind.name).iterdir())

    def command(self, kind: Kind, program: str, out: Path, job: str) -> list[str]:
        source = self.source(kind)
        if program == "snaplake":
            place = f"{source}/" if source.is_dir() else source
            (out / "config.sql").write_text(config(kind, place, out))
            options = [str(out / "config.sql"), "--quiet", "--threads", "1"]
            query = f"SELECT {LARGEST} FROM snapshot.lineitem"
            return [str(self.snaplake), "run", *options] if job == "write" else [str(self.snaplake), "query", *options, "-c", query]
        told = {"kind": kind.name, "source": str(source), "columns": LINEITEM, "out": str(out / "lake"), "job": job, "largest": LARGEST}
        return [sys.executable, str(HERE / "peer_exports.py"), program, json.dumps(told)]

    def once(self, kind: Kind, program: str, job: str, check: bool) -> Run:
        out = self.work / f"{kind.name}-{program}"
        shutil.rmtree(out, ignore_errors=True)
        (out / "lake").mkdir(parents=True)
        warm(self.data / kind.name)
        settle()
        ran = run(["taskset", "-c", CORE, *self.command(kind, program, out, job)], out / "log")
        if program == "postgres":  # without the start of its server, whose memory is not seen either
            ran.wall, ran.rss = float((out / "lake" / "seconds").read_text()), 0
        if check and job == "write" and program != "postgres":
            lake = out / "lake"
            marker = "_SUCCESS" if program == "snaplake" else None
            truth = "lineitem_doubles" if kind.name == "avro" else "lineitem"
            told = JOB | {"source": f"{self.data}/{truth}/*.parquet", "root": str(lake), "marker": marker}
            found = json.loads(helper("checks.py", json.dumps(told)))
            self.problems += [f"{kind.name}, {program}: {problem}" for problem in found["problems"]]
            say(f"    {found['rows']:,} rows compared, {len(found['problems'])} problems")
        shutil.rmtree(out)
        return ran

    def kind(self, kind: Kind, rounds: int) -> list[str]:
        """Lines of the table."""
        programs = ["snaplake", *(peer for peer in kind.peers if peer != "clickhouse" or importlib.util.find_spec("chdb"))]
        turns = [(program, job) for program in programs for job in self.jobs if (program, job) != ("postgres", "read")]
        runs: dict[tuple[str, str], list[Run]] = {turn: [] for turn in turns}
        failed: set[tuple[str, str]] = set()
        for round_ in range(rounds):
            start = round_ % len(turns)
            for turn in turns[start:] + turns[:start]:
                if turn in failed:
                    continue
                try:
                    runs[turn].append(self.once(kind, *turn, round_ == 0))
                except Failed as said:
                    self.problems.append(f"{kind.name}, {', '.join(turn)}: {said}")
                    runs[turn].clear()
                    failed.add(turn)
                    continue
                last = runs[turn][-1]
                say(f"  {kind.name}, {', '.join(turn)}: {last.wall:.1f} s, {last.cpu:.1f} s CPU, {last.rss / 1e6:.0f} MB")
        return [self.line(kind, program, runs) for program in programs]

    def line(self, kind: Kind, program: str, runs: dict[tuple[str, str], list[Run]]) -> str:
        cells, peak = [], 0
        for job in JOBS:
            # Loading stands for both.
            of = runs.get((program, job), runs.get((program, "write"), []))
            own = runs.get(("snaplake", job), [])
            peak = max([peak, *(ran.rss for ran in of)])
            wall = statistics.median([ran.wall for ran in of]) if of else None
            times = wall / statistics.median([ran.wall for ran in own]) if wall and own and program != "snaplake" else None
            cells += ["" if wall is None else f"{wall:.1f}", "" if times is None else f"{times:.2f}"]
        return f"| {kind.name} | {program} | {' | '.join(cells)} | {f'{peak / 1e6:,.0f}' if peak else ''} |"


def main() -> None:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parents[1] / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sf", type=float, default=1.4, help="TPC-H scale factor; 1.4 is 1 GB of CSV [1.4]")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program [3]")
    parser.add_argument("--kinds", default=",".join(kind.name for kind in KINDS), help="some of them, comma-separated [all]")
    parser.add_argument("--jobs", default=",".join(JOBS), help="read, write, or both [both]")
    parser.add_argument("--snaplake", type=Path, default=target / "release" / "snaplake", help="the program to measure")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "snaplake-bench", help="data and outputs")
    parser.add_argument("--markdown", type=Path, help="write the table there too")
    told = parser.parse_args()
    names = told.kinds.split(",")
    if unknown := set(names) - {kind.name for kind in KINDS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; kinds are {', '.join(kind.name for kind in KINDS)}")
    data = told.work.resolve() / f"exports-sf{told.sf:g}"
    # Servers of the makers have accounts of their own, which must get at what they read and write.
    told.work.mkdir(parents=True, exist_ok=True)
    for name in ["lineitem", *names]:
        if not (data / name).exists():
            helper("export_files.py", name, str(data), f"{told.sf:g}")
    work = Path(tempfile.mkdtemp(prefix="exports-", dir=told.work))
    bench = Bench(told.snaplake.resolve(), data, work, [job for job in JOBS if job in told.jobs.split(",")])
    lines = [
        "| export | program | read, s | of snaplake | to Parquet, s | of snaplake | peak MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    try:
        for kind in KINDS:
            if kind.name in names:
                size = sum(file.stat().st_size for file in (data / kind.name).rglob("*") if file.is_file())
                say(f"{kind.name}: {size / 1e6:,.0f} MB")
                lines += bench.kind(kind, told.rounds)
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    lines += ["", *(f"* {problem}" for problem in bench.problems)]
    print("\n".join(lines))
    if told.markdown:
        told.markdown.write_text("\n".join(lines) + "\n")
    sys.exit(1 if bench.problems else 0)


if __name__ == "__main__":
    main()
