"""The list of cases: data, job, programs, goals. Says what to run; running is bench.py's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from data import Data
from programs import Job, Program, by_day, year_month

SNAPLAKE = Program("snaplake", "snaplake")


@dataclass(frozen=True)
class Settings:
    """What the command line says about the size of it all."""

    sf: float
    rounds: int
    peers: tuple[str, ...]
    quick: bool = False
    sf20: bool = False


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
    rounds: int | None = None  # None: as many as asked for
    needs_s3: bool = False


def with_peers(settings: Settings, name: str, what: str, job: Job) -> Case:
    programs = [SNAPLAKE, *(Program(peer, peer) for peer in settings.peers)]
    goals = [Goal("snaplake", "wall", 1.0, "peers"), Goal("snaplake", "output_bytes", 1.05, "peers")] if settings.peers else []
    return Case(name, what, [Entry(program, job) for program in programs], goals)


def ym_sorted(settings: Settings) -> Case:
    job = year_month(Data("lineitem", settings.sf), "l_orderkey")
    return with_peers(settings, "ym_sorted", "84 partitions by computed year and month, files sorted", job)


def ym_unsorted(settings: Settings) -> Case:
    job = year_month(Data("lineitem", settings.sf), None)
    return with_peers(settings, "ym_unsorted", "the same with no order asked for", job)


def day_sorted(settings: Settings) -> Case:
    job = by_day(Data("lineitem", settings.sf), "l_orderkey")
    return with_peers(settings, "day_sorted", "2,526 partitions by day, files sorted", job)


CASES: dict[str, Callable[[Settings], Case]] = {
    "ym_sorted": ym_sorted,
    "ym_unsorted": ym_unsorted,
    "day_sorted": day_sorted,
}
