"""The list of cases: data, job, programs, goals. Says what to run; running is bench.py's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from data import SMALL_FILES, Data
from programs import TARGET_FILE_SIZE, Job, Program, by_day, year_month

SNAPLAKE = Program("snaplake", "snaplake")


@dataclass(frozen=True)
class Settings:
    """What the command line says about all cases."""

    sf: float
    rounds: int
    peers: tuple[str, ...]
    quick: bool = False
    sf20: bool = False
    s3_server: str = "ministack"


@dataclass(frozen=True)
class Goal:
    """A number that was promised: `value` of the program labelled `of` is at most `most` times that of `base`.

    `base` is another program's label, "peers" for the best of the peers, or None: `most` is the number itself.
    """

    of: str
    value: str  # wall, rss or output_bytes
    most: float
    base: str | None

    def said(self) -> str:
        what = {"wall": "time", "rss": "peak memory", "output_bytes": "output bytes"}[self.value]
        if self.base is None:
            return f"{self.of}: {what} <= {self.most / 1e6:.0f} MB"
        base = "the best peer" if self.base == "peers" else self.base
        return f"{self.of}: {what} <= {self.most:g} x {base}"


@dataclass(frozen=True)
class Entry:
    """A program with its job: those of one case can differ in the data that they read."""

    program: Program
    job: Job


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    entries: list[Entry]
    goals: list[Goal] = field(default_factory=list)
    base: str | None = None  # what ratios refer to: a program's label, "" for none, or the fastest peer
    rounds: int | None = None  # None: as many as asked for
    footers: bool = False  # look at the files' footers too


def with_peers(settings: Settings, name: str, what: str, job: Job, most: float = 1.0) -> Case:
    programs = [SNAPLAKE, *(Program(peer, peer) for peer in settings.peers)]
    goals = [Goal("snaplake", "wall", most, "peers"), Goal("snaplake", "output_bytes", 1.05, "peers")] if settings.peers else []
    return Case(name, what, [Entry(program, job) for program in programs], goals)


def ym_sorted(settings: Settings) -> Case:
    job = year_month(Data("lineitem", settings.sf), "l_orderkey")
    return with_peers(settings, "ym_sorted", "84 partitions by computed year and month, files sorted", job, 0.85)


def ym_unsorted(settings: Settings) -> Case:
    job = year_month(Data("lineitem", settings.sf), None)
    return with_peers(settings, "ym_unsorted", "the same with no order asked for", job)


def day_sorted(settings: Settings) -> Case:
    job = by_day(Data("lineitem", settings.sf), "l_orderkey")
    return with_peers(settings, "day_sorted", "2,526 partitions by day, files sorted", job)


def csv_ym_sorted(settings: Settings) -> Case:
    job = year_month(Data("csv", settings.sf), "l_orderkey")
    return with_peers(settings, "csv_ym_sorted", "ym_sorted from 40 CSV.gz files", job)


def shuffled_ym_sorted(settings: Settings) -> Case:
    job = year_month(Data("shuffled", settings.sf), "l_orderkey")
    return with_peers(settings, "shuffled_ym_sorted", "ym_sorted from rows in random order over all files", job)


def s3_ym_sorted(settings: Settings) -> Case:
    """DuckDB is no peer here: its S3 support is an extension that is downloaded when it runs."""
    job = year_month(Data("lineitem", settings.sf), "l_orderkey")
    programs = [Program("snaplake local", "snaplake"), Program("snaplake S3", "snaplake", on_s3=True)]
    goals = [Goal("snaplake S3", "wall", 1.3, "snaplake local")]
    if "polars" in settings.peers:
        programs.append(Program("polars S3", "polars", on_s3=True))
        goals.append(Goal("snaplake S3", "wall", 1.0, "polars S3"))
    entries = [Entry(program, job) for program in programs]
    what = "ym_sorted with source, staging and lake on an S3 server on loopback"
    return Case("s3_ym_sorted", what, entries, goals, base="snaplake local")


def small_files(settings: Settings) -> Case:
    scale = 0.05 if settings.quick else min(1, settings.sf)
    many = round(SMALL_FILES * scale)
    entries = [
        Entry(Program("snaplake 40 files", "snaplake"), year_month(Data("lineitem", scale), "l_orderkey")),
        Entry(Program(f"snaplake {many} files", "snaplake"), year_month(Data("small", scale), "l_orderkey")),
    ]
    goals = [Goal(f"snaplake {many} files", "wall", 2.0, "snaplake 40 files")]
    what = f"the same {round(6e6 * scale):,} rows in {many:,} files of 20 KB, and in 40"
    return Case("small_files", what, entries, goals, base="snaplake 40 files")


LIMIT = "512MB"


def limited(settings: Settings, label: str, job: Job) -> tuple[list[Entry], list[Goal]]:
    """A job within a memory limit, and with none told."""
    within = Entry(Program(f"{label} {LIMIT}", "snaplake", flags=("--memory-limit", LIMIT)), job)
    free = Entry(Program(f"{label} default", "snaplake"), job)
    entries = [within] if settings.quick else [within, free]
    # A quick run has only the first of them.
    return entries, [Goal(entry.program.label, "rss", most, None) for entry, most in zip(entries, (800e6, 2e9))]


def many_partitions(settings: Settings) -> Case:
    rows, partitions = (100_000, 1_000) if settings.quick else (5_000_000, 50_000)
    data = Data("partitions", rows=rows, partitions=partitions)
    entries, goals = limited(settings, "snaplake", Job(data, ("part",), "id"))
    what = f"{partitions:,} partitions of {rows // partitions:,} rows, each in all of 20 files"
    return Case("many_partitions", what, entries, goals, base="", rounds=1)


def memory(settings: Settings) -> Case:
    """Peak memory within a limit, over growing data: it must not grow with them."""
    scales = sorted({min(1, settings.sf), settings.sf} | ({20} if settings.sf20 else set()))
    jobs = {"ym_sorted": year_month} if settings.quick else {"ym_sorted": year_month, "day_sorted": by_day}
    entries, goals = [], []
    for name, job_of in jobs.items():
        for scale in scales:
            more, promised = limited(settings, f"{name} SF{scale:g}", job_of(Data("lineitem", scale), "l_orderkey"))
            entries += more
            goals += promised
        if len(scales) > 1:
            first, last = (f"{name} SF{scale:g} {LIMIT}" for scale in (scales[0], scales[-1]))
            goals.append(Goal(last, "rss", 1.2, first))
    return Case("memory", f"snaplake within {LIMIT}, and by default", entries, goals, base="", rounds=1)


def output(settings: Settings) -> Case:
    """Small targets give several files a partition; no partitions give several files, or row groups, in any case."""
    data, small, middle = Data("lineitem", settings.sf), round(800_000 * settings.sf), round(40_000_000 * settings.sf)
    job = year_month(data, "l_orderkey")
    flat = Program("snaplake no partitions", "snaplake", target_file_size=min(TARGET_FILE_SIZE, middle))
    entries = [Entry(SNAPLAKE, job), Entry(flat, Job(data, (), "l_orderkey"))]
    goals = []
    if not settings.quick:  # a third of an average partition; of 0.2 that is less than a batch of rows
        entries.append(Entry(Program("snaplake small target", "snaplake", target_file_size=small), job))
        entries += [Entry(Program(peer, peer), job) for peer in settings.peers]
        goals += [Goal("snaplake", "output_bytes", 1.05, "peers")] if settings.peers else []
    return Case("output", "the shape of the published files of ym_sorted", entries, goals, base="", rounds=1, footers=True)


CASES: dict[str, Callable[[Settings], Case]] = {
    "ym_sorted": ym_sorted,
    "ym_unsorted": ym_unsorted,
    "day_sorted": day_sorted,
    "csv_ym_sorted": csv_ym_sorted,
    "shuffled_ym_sorted": shuffled_ym_sorted,
    "s3_ym_sorted": s3_ym_sorted,
    "small_files": small_files,
    "many_partitions": many_partitions,
    "memory": memory,
    "output": output,
}
