#!/usr/bin/env python3
"""Kills snaplake at random moments, runs it again, and compares the lake with that of an undisturbed run.

    soak.py --snaplake PATH [--config FILE] [--rounds 200] [--kills 4] [--seed N] [--at-once 1] [--work DIR] [--bucket NAME]

A round: an empty folder; runs that are sent SIGKILL at a random moment, until one ends by itself or --kills of them were
killed; then one that is left alone. With --at-once N, N processes work on the same folder, each killed at its own moment.
What readers see of the lake must then be what the undisturbed run made, byte for byte; `snaplake clean` must leave the lake's
folder and the staging folder with the files of the undisturbed run and no others. With --bucket, staging and lake are in that
bucket of the S3 server that the environment names (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...). Exit code 1: something differs.
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


def is_result(name: str) -> bool:
    """What a killed process wrote about its running tasks is nobody's result."""
    return not Path(name).name.startswith("running-")


def compared(name: str, content: str) -> str:
    """Of manifests the path only: they contain times."""
    return "" if name.startswith("manifests/") or "/manifests/" in name else content


class Disk:
    """Folders below `root`."""

    def __init__(self, root: Path):
        self.root = root

    def place(self, name: str) -> str:
        return str(self.root / name)

    def tree(self, name: str) -> dict[str, str]:
        """Relative path and hash of every file."""
        files = [path for path in sorted((self.root / name).rglob("*")) if path.is_file() and is_result(path.name)]
        names = [str(path.relative_to(self.root / name)) for path in files]
        return {name: compared(name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in zip(names, files)}

    def remove(self, name: str) -> None:
        shutil.rmtree(self.root / name, ignore_errors=True)


class Bucket:
    """Keys below a prefix of its own in a bucket."""

    def __init__(self, bucket: str):
        import boto3

        self.s3, self.bucket, self.prefix = boto3.client("s3"), bucket, f"soak-{os.getpid()}-{time.time_ns():x}"

    def place(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}/{name}"

    def objects(self, name: str) -> list[dict]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/{name}/")
        return [found for page in pages for found in page.get("Contents", [])]

    def tree(self, name: str) -> dict[str, str]:
        """Key and etag of every object; the server computes it from the content."""
        start = f"{self.prefix}/{name}/"
        found = {found["Key"].removeprefix(start): found["ETag"] for found in self.objects(name)}
        return {key: compared(key, etag) for key, etag in sorted(found.items()) if is_result(key)}

    def remove(self, name: str) -> None:
        for found in self.objects(name):
            self.s3.delete_object(Bucket=self.bucket, Key=found["Key"])


def visible(files: dict[str, str]) -> dict[str, str]:
    """What readers of data folders take for data, and the mark."""
    return {path: hash for path, hash in files.items() if not Path(path).name.startswith((".", "_")) or path.endswith("/_SUCCESS")}


class Soak:
    def __init__(self, told: argparse.Namespace, store: Disk | Bucket):
        self.told, self.store = told, store
        self.random = random.Random(told.seed)
        self.kills = self.runs = 0

    def command(self, verb: str, out: str, *more: str) -> list[str]:
        places = [f"--var=staging={self.store.place(f'{out}/staging')}", f"--var=datalake={self.store.place(f'{out}/lake')}"]
        return [self.told.snaplake, verb, self.told.config, *places, *more]

    def start(self, out: str) -> subprocess.Popen:
        return subprocess.Popen(self.command("run", out, "--quiet"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def ended(self, process: subprocess.Popen) -> None:
        _, said = process.communicate()
        if process.returncode != 0:
            sys.exit(f"a run failed with exit code {process.returncode}: {said.decode()}")

    def undisturbed(self) -> float:
        started = time.monotonic()
        self.ended(self.start("reference"))
        self.reference = {part: self.store.tree(f"reference/{part}") for part in ("lake", "staging")}
        if not self.reference["lake"]:
            sys.exit("the undisturbed run made no lake")
        return time.monotonic() - started

    def disturbed(self, out: str, seconds: float) -> int:
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

    def differences(self, out: str) -> list[str]:
        found = self.store.tree(f"{out}/lake")
        wrong = compare("lake", visible(found), visible(self.reference["lake"]))
        subprocess.run(self.command("clean", out, "--remove", "--yes", "--older-than=0s", "--quiet"), check=True, stdout=subprocess.DEVNULL)
        for part, reference in self.reference.items():
            wrong += compare(f"{part} after clean", self.store.tree(f"{out}/{part}"), reference)
        return wrong

    def run(self) -> int:
        seconds = self.undisturbed()
        print(f"undisturbed: {seconds:.2f} s, {len(self.reference['lake'])} lake files; seed {self.told.seed}", flush=True)
        for number in range(1, self.told.rounds + 1):
            out = "round"
            self.store.remove(out)
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
    parser.add_argument("--bucket")
    told = parser.parse_args()
    if told.bucket:
        return Soak(told, Bucket(told.bucket)).run()
    work = Path(tempfile.mkdtemp(prefix="soak-", dir=told.work))
    try:
        return Soak(told, Disk(work)).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
