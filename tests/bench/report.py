"""From runs to a report: medians, ratios, goals hit and missed, the machine. Measures nothing, hides nothing.

A ratio is a program's median time over that of the fastest peer, or of the program that its case names.
"""

import hashlib
import os
import platform
import shlex
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from cases import CASES, Case, Entry, Goal, Settings
from measure import Run


@dataclass
class Result:
    """All runs of one program in one case; none when it failed."""

    case: Case
    entry: Entry
    runs: list[Run]
    footers: dict[str, str]  # what footers.py saw, in cases that ask for it

    @property
    def label(self) -> str:
        return self.entry.program.label

    def median(self, value: str) -> float:
        return statistics.median(getattr(run, value) for run in self.runs)

    def worst(self, value: str) -> float:
        return max(getattr(run, value) for run in self.runs)

    def number(self, value: str) -> float:
        """What a goal speaks of: the median, but of peaks the highest."""
        return self.worst(value) if value == "rss" else self.median(value)


@dataclass
class Machine:
    cores: int
    cpu: str
    memory: int
    system: str
    load: float  # before the first run
    versions: dict[str, str]

    @classmethod
    def here(cls, snaplake: Path, packages: tuple[str, ...]) -> "Machine":
        said = subprocess.run([str(snaplake), "--version"], capture_output=True, text=True, check=True).stdout
        with open(snaplake, "rb") as program:
            build = hashlib.file_digest(program, "sha256").hexdigest()[:8]
        about = Path("/proc/cpuinfo").read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in about if line.startswith("model name")]
        return cls(
            cores=len(os.sched_getaffinity(0)),
            cpu=models[0] if models else platform.machine(),
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            system=f"{platform.system()} {platform.release()}",
            load=os.getloadavg()[0],
            versions={"snaplake": f"{said.split()[-1]} (build {build})", **{name: version(name) for name in packages}},
        )

    def said(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cores} cores ({self.cpu}), {self.memory / 2**30:.0f} GiB of memory, {self.system}; "
            f"load {self.load:.1f} before the first run. {versions}."
        )


def results_of(results: list[Result], case: Case) -> list[Result]:
    return [result for result in results if result.case.name == case.name and result.runs]


def peers_of(results: list[Result]) -> list[Result]:
    return [result for result in results if result.entry.program.kind != "snaplake"]


def base_of(case: Case, results: list[Result]) -> Result | None:
    """What the ratios of a case refer to; `results` are those of its programs that did not fail."""
    if case.base is not None:
        return next((result for result in results if result.label == case.base), None)
    peers = peers_of(results)
    return min(peers, key=lambda result: result.median("wall")) if peers else None


@dataclass
class Verdict:
    case: str
    goal: str
    found: str
    hit: bool | None  # None: could not be seen


def judge(goal: Goal, results: list[Result]) -> Verdict:
    name = results[0].case.name if results else ""
    mine = next((result for result in results if result.label == goal.of), None)
    if goal.base == "peers":
        rivals = peers_of(results)
    else:
        rivals = [result for result in results if result.label == goal.base]
    if mine is None or (goal.base is not None and not rivals):
        return Verdict(name, goal.said(), "not measured", None)
    value = mine.number(goal.value)
    if goal.base is None:
        return Verdict(name, goal.said(), f"{value / 1e6:.0f} MB", value <= goal.most)
    base = min(result.number(goal.value) for result in rivals)
    return Verdict(name, goal.said(), f"{value / base:.2f} x", value <= goal.most * base)


def verdicts(results: list[Result]) -> list[Verdict]:
    cases = {result.case.name: result.case for result in results}
    return [judge(goal, results_of(results, case)) for case in cases.values() for goal in case.goals]


def row(result: Result, base: Result | None) -> list[str]:
    name, label = result.case.name, result.label
    if not result.runs:
        return [name, label, "failed", *[""] * (len(HEAD) - 3)]
    walls = [run.wall for run in result.runs]
    spread = f"{min(walls):.1f}-{max(walls):.1f}" if len(walls) > 1 else ""
    return [
        name,
        label,
        f"{result.median('wall'):.1f}",
        spread,
        f"{result.median('wall') / base.median('wall'):.2f}" if base else "",
        f"{result.median('cpu'):.1f}",
        f"{result.median('rss') / 1e6:,.0f}",
        f"{result.worst('rss') / 1e6:,.0f}",
        f"{result.median('output_bytes') / 1e6:,.1f}",
        f"{result.median('output_files'):,.0f}",
    ]


HEAD = ["case", "program", "median s", "min-max s", "ratio", "CPU s", "peak MB", "highest", "output MB", "files"]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def said_of(case: Case, label: str, text: str) -> str:
    return f"{case.name}, {label}: {text}"


@dataclass
class Report:
    """What all runs gave, those of an earlier call too."""

    machine: Machine
    settings: Settings
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)  # cases in which outputs were removed between runs

    def of(self, case: Case) -> list[Result]:
        """The results of a case, in the order of its programs: new and empty, or those that are there."""
        there = {result.label: result for result in self.results if result.case.name == case.name}
        mine = [there.get(entry.program.label) or Result(case, entry, [], {}) for entry in case.entries]
        self.results += [result for result in mine if result.label not in there]
        return mine

    def what(self) -> dict:
        """What has to be equal for runs to stand in one table."""
        machine, settings = self.machine, self.settings
        return {
            "versions": machine.versions,
            "machine": [machine.cpu, machine.cores, machine.memory],
            "scale": [settings.sf, settings.quick, settings.sf20],
        }

    def resume(self, earlier: dict) -> None:
        """Takes over the runs of an earlier call; a program that failed then is tried again."""
        differ = [name for name, value in self.what().items() if earlier.get("what", {}).get(name) != value]
        if differ:
            raise ValueError(f"its runs cannot be compared with new ones: other {', '.join(differ)}")
        again = []
        for name in dict.fromkeys(told["case"] for told in earlier["results"]):
            case = CASES[name](self.settings)
            told_of = {told["program"]: told for told in earlier["results"] if told["case"] == name}
            for result in self.of(case):
                told = told_of.get(result.label, {"runs": [], "footers": {}})
                result.runs += [Run(**run) for run in told["runs"]]
                result.footers.update(told["footers"])
                if not result.runs:
                    again.append(said_of(case, result.label, ""))
        self.problems += [problem for problem in earlier["problems"] if not problem.startswith(tuple(again))]
        self.removals += earlier["removals"]

    def markdown(self, floor: int) -> str:
        results = self.results
        cases = {result.case.name: result.case for result in results}
        rows = []
        for case in cases.values():
            base = base_of(case, results_of(results, case))
            rows += [row(result, base) for result in results if result.case.name == case.name]
        judged = verdicts(results)
        goals = [[v.case, v.goal, v.found, {True: "hit", False: "MISSED", None: "?"}[v.hit]] for v in judged]
        rounds = max((len(result.runs) for result in results), default=0)
        parts = [
            f"TPC-H lineitem, scale factor {self.settings.sf:g}, {rounds} rounds. {self.machine.said()}",
            "Repeat with `" + shlex.join(["python", "tests/bench/bench.py", *shown_arguments(list(cases))]) + "`.",
            table(HEAD, rows),
            "Ratio: median time over that of the fastest peer (s3_ym_sorted, small_files: over the first program). CPU: median. "
            "Peak MB: the median and the highest of the rounds' largest resident sets "
            f"({floor / 1e6:.0f} MB of it can be the benchmark's own). Output: the published files, zstd level 3. MB are "
            "millions of bytes.",
        ]
        if self.removals:
            where = ", ".join(dict.fromkeys(self.removals))
            parts.append(
                f"Outputs were removed between runs, for want of space on the disk, in {where}: what creates many files was "
                "slower for some minutes."
            )
        if goals:
            parts.append(table(["case", "goal", "found", ""], goals))
        shaped = [result for result in results if result.footers]
        if shaped:
            head = list(shaped[0].footers)
            seen = [[result.case.name, result.label, *result.footers.values()] for result in shaped]
            parts.append(table(["case", "program", *head], seen))
        if self.problems:
            indented = [problem.replace("\n", "\n  ") for problem in self.problems]
            parts.append("Problems:\n\n" + "\n".join(f"* {problem}" for problem in indented))
        else:
            parts.append("Every output of the first round was compared with the source: no difference.")
        return "\n\n".join(parts)

    def as_json(self) -> dict:
        return {
            "machine": asdict(self.machine),
            "what": self.what(),
            "results": [
                {
                    "case": result.case.name,
                    "program": result.label,
                    "footers": result.footers,
                    "runs": [run.as_dict() for run in result.runs],
                }
                for result in self.results
            ],
            "goals": [asdict(verdict) for verdict in verdicts(self.results)],
            "problems": self.problems,
            "removals": self.removals,
        }


def shown_arguments(cases: list[str]) -> list[str]:
    """The arguments of a call that measures all of this; not where its files are."""
    shown, skip = [], False
    for argument in sys.argv[1:]:
        if skip:
            skip = False
            continue
        flag = argument.split("=", 1)[0]
        if flag in ("--cases", "--work", "--snaplake", "--min-free", "--markdown", "--json"):
            skip = "=" not in argument
            continue
        if flag != "--resume":
            shown.append(argument)
    return shown if set(cases) == set(CASES) else [*shown, "--cases", ",".join(cases)]
