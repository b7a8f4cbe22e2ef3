#!/usr/bin/env python3
"""Processes that do the same at the same moment on a real S3 server, and one lake.

    two_at_once.py --snaplake PATH --bucket NAME [--config FILE] [--rounds 20] [--at-once 2]

The server and its keys come from the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...). A round, below a prefix of its own:
the same stage task, the audits and the same publish task in all processes, then whole runs in all. All must end well, and the lake must
be that of an undisturbed run, byte for byte, with one file per name. Exit code 1: something differs.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import boto3

REPOSITORY = Path(__file__).resolve().parents[2]
TASKS = [
    ["stage", "--table", "flights", "--group", "1"],
    ["stage"],
    ["audit"],
    ["publish", "--table", "flights", "--group", "3"],
    ["run"],
]


class Rounds:
    def __init__(self, told: argparse.Namespace):
        self.told, self.s3 = told, boto3.client("s3")
        self.prefix = f"two-at-once-{os.getpid()}-{time.time_ns():x}"
        self.processes = 0

    def command(self, out: str, arguments: list[str]) -> list[str]:
        places = [f"--var={name}=s3://{self.told.bucket}/{self.prefix}/{out}/{name}" for name in ("staging", "datalake")]
        return [self.told.snaplake, arguments[0], self.told.config, *arguments[1:], *places, "--quiet"]

    def at_once(self, out: str, arguments: list[str], count: int) -> None:
        command = self.command(out, arguments)
        started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(count)]
        self.processes += count
        for process in started:
            _, said = process.communicate()
            if process.returncode != 0:
                sys.exit(f"{' '.join(arguments)} ended with exit code {process.returncode}: {said.decode()}")

    def lake(self, out: str) -> dict[str, str]:
        """Keys of the lake and the etags that the server has computed from their content."""
        start = f"{self.prefix}/{out}/datalake/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.told.bucket, Prefix=start)
        return {found["Key"].removeprefix(start): found["ETag"] for page in pages for found in page.get("Contents", [])}

    def run(self) -> int:
        self.at_once("reference", ["run"], 1)
        reference = self.lake("reference")
        if not reference:
            sys.exit("the undisturbed run made no lake")
        started = time.monotonic()
        for number in range(1, self.told.rounds + 1):
            out = f"round-{number}"
            for arguments in TASKS:
                self.at_once(out, arguments, self.told.at_once)
            lake = self.lake(out)
            if lake != reference:
                odd = sorted(key for key in lake.keys() | reference.keys() if lake.get(key) != reference.get(key))
                print(f"round {number}: another lake: {odd}")
                return 1
            print(f"round {number}: one lake of {len(lake)} files, equal; {self.processes} processes so far", flush=True)
        print(f"{self.told.rounds} rounds in {time.monotonic() - started:.0f} s, {self.told.at_once} at once")
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--config", default=str(REPOSITORY / "configs/nycflights13.sql"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=2)
    return Rounds(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
