#!/usr/bin/env python3
"""Kills snaplake at random moments, runs it again, and compares the lake with that of an undisturbed run.

    soak.py --snaplake PATH [--config FILE] [--rounds 200] [--kills 4] [--seed N] [--at-once 1] [--work DIR]

A round: an empty folder; runs that are sent SIGKILL at a random moment, until one ends by itself or --kills of them were
killed; then one that is left alone. With --at-once N, N processes work on the same folder, each killed at its own moment.
What readers see of the lake must then be what the undisturbed run made, byte for byte; `snaplake clean` must leave the lake's
folder and the staging folder with the files of the undisturbed run and no others. Exit code 1: something differs.
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def tree(folder: Path) -> dict[str, str]:
    """Relative path and hash of every file; of manifests the path only, for they tell times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        # What a killed process told of its running tasks is nobody's result.
        if path.is_file() and not path.name.startswith("running-"):
            name = str(path.relative_to(folder))
            found[name] = "" if "/manifests/" in name else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def visible(files: dict[str, str]) -> dict[str, str]:
    """What readers of data folders take for data, and the mark."""
    return {path: hash for path, hash in files.items() if not Path(path).name.startswith((".", "_")) or path.endswith("/_SUCCESS")}


class Soak:
    def __init__(self, told: argparse.Namespace, work: Path):
        self.told, self.work = told, work
        self.random = random.Random(told.seed)
        self.kills = self.runs = 0

    def command(self, verb: str, out: Path, *more: str) -> list[str]:
        places = [f"--var=staging={out / 'staging'}", f"--var=datalake={out / 'lake'}"]
        return [self.told.snaplake, verb, self.told.config, *places, *more]

    def start(self, out: Path) -> subprocess.Popen:
        return subprocess.Popen(self.command("run", out, "--quiet"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def ended(self, process: subprocess.Popen) -> None:
        _, said = process.communicate()
        if process.returncode != 0:
            sys.exit(f"a run failed with exit code {process.returncode}: {said.decode()}")

    def undisturbed(self) -> float:
        started = time.monotonic()
        self.ended(self.start(self.work / "reference"))
        self.reference = {part: tree(self.work / "reference" / part) for part in ("lake", "staging")}
        if not self.reference["lake"]:
            sys.exit("the undisturbed run made no lake")
        return time.monotonic() - started

    def disturbed(self, out: Path, seconds: float) -> int:
        """Runs until one ends by itself; how many were killed."""
        killed = 0
        while killed < self.told.kills:
            processes = [self.start(out) for _ in range(self.told.at_once)]
            self.runs += len(processes)
            began, survivors = time.monotonic(), 0
            moments = sorted((self.random.uniform(0, seconds * 1.1), process) for process in processes)
            for moment, process in moments:
                try:
                    process.wait(max(0, began + moment - time.monotonic()))
                    self.ended(process)
                    survivors += 1
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    killed += 1
            if survivors:
                return killed
        last = [self.start(out) for _ in range(self.told.at_once)]
        self.runs += len(last)
        for process in last:
            self.ended(process)
        return killed

    def differences(self, out: Path) -> list[str]:
        found = tree(out / "lake")
        wrong = compare("lake", visible(found), visible(self.reference["lake"]))
        subprocess.run(self.command("clean", out, "--remove", "--yes", "--older-than=0s", "--quiet"), check=True, stdout=subprocess.DEVNULL)
        for part, reference in self.reference.items():
            wrong += compare(f"{part} after clean", tree(out / part), reference)
        return wrong

    def run(self) -> int:
        seconds = self.undisturbed()
        print(f"undisturbed: {seconds:.2f} s, {len(self.reference['lake'])} lake files; seed {self.told.seed}", flush=True)
        for number in range(1, self.told.rounds + 1):
            out = self.work / "round"
            shutil.rmtree(out, ignore_errors=True)
            killed = self.disturbed(out, seconds)
            self.kills += killed
            wrong = self.differences(out)
            if wrong:
                print(f"round {number}: {killed} killed; " + "\n  ".join(wrong), flush=True)
                return 1
            if number % 10 == 0 or number == self.told.rounds:
                print(f"round {number}: all lakes equal; {self.runs} runs so far, {self.kills} killed", flush=True)
        if self.kills == 0:
            print("no run was killed: nothing was tried")
            return 1
        return 0


def compare(what: str, found: dict[str, str], expected: dict[str, str]) -> list[str]:
    wrong = [f"{what}: {path} is too much" for path in found.keys() - expected.keys()]
    wrong += [f"{what}: {path} is missing" for path in expected.keys() - found.keys()]
    return wrong + [f"{what}: {path} differs" for path in found.keys() & expected.keys() if found[path] != expected[path]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True)
    parser.add_argument("--config", default=str(REPOSITORY / "configs/nycflights13.sql"))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--work", type=Path)
    told = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="soak-", dir=told.work))
    try:
        return Soak(told, work).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
