#!/usr/bin/env python3
"""The checks of the random sequences can fail: each rule, on a lake that is written here by hand. No snaplake is needed."""

import json
import shutil
import tempfile
from pathlib import Path

from sequence_checks import Checks
from sequence_commands import Command, Stop
from sequence_model import Config, Content, multiset
from sequence_world import World

HELP = {"": "Exit codes: 0 done, 1 failed, 2 usage or config, 3 validation failed, 4 an audit failed, 130 interrupted"}


class Case:
    def __init__(self, root: Path):
        self.world = World("snaplake", root, HELP)
        self.checks = Checks(self.world)
        self.config = self.world.slots[0].now
        self.lake = root / self.config.lake()
        self.lake.mkdir(parents=True)

    def command(self, *words: str, code: int = 0, stdout: str = "", stderr: str = "error: no") -> Command:
        return Command(self.world.slots[0], list(words), [self.config], None, Path(), code=code, stdout=stdout, stderr=stderr)

    def publish(self, *contents: Content) -> None:
        """As snaplake would, but without partitions."""
        for file in self.lake.glob("*.parquet"):
            file.unlink()
        for at, content in enumerate(contents):
            (self.lake / f"{at}.parquet").write_bytes(content.encoded())
        (self.lake / "_SUCCESS").touch()

    def run(self, rows_read: int = 120, rows: int = 120) -> None:
        told = {"tables": [{"validation": {"rows_read": rows_read, "footer_rows": rows}}]}
        self.checks.ended([self.command("run", stdout=json.dumps(told))])

    def query(self, rows: list[dict]) -> None:
        self.checks.ended([self.command("query", "lake", stdout="\n".join(map(json.dumps, rows)))])


OLD = [Content(number, 0) for number in range(3)]


def right(case: Case) -> None:
    case.publish(*OLD)
    case.run()
    case.query([row for content in OLD for row in content.rows()])
    assert case.checks.read(case.lake) == multiset(row for content in OLD for row in content.rows())


def doubled(case: Case) -> None:
    case.publish(*OLD, OLD[0])
    case.run(160, 160)


def torn(case: Case) -> None:
    """One file as it was, the other as it is: no state of the snapshot."""
    case.checks.remember([case.command("stage")])
    case.world.snapshot_replaced(0)
    case.checks.remember([case.command("stage")])
    case.world.snapshot_replaced(1)
    case.publish(OLD[0], Content(1, 2), OLD[2])
    case.run()


def nobodys(case: Case) -> None:
    other = case.lake.parent / "other"
    other.mkdir()
    (other / "_SUCCESS").touch()
    case.checks.look([])


def removed(case: Case) -> None:
    right(case)
    (case.lake / "1.parquet").unlink(), (case.lake / "_SUCCESS").unlink()
    case.checks.look([])


def replaced(case: Case) -> None:
    right(case)
    case.world.snapshot_added()
    case.publish(*OLD, Content(3, 1))
    case.run(160, 160)


def unmarked(case: Case) -> None:
    right(case)
    (case.lake / "_SUCCESS").unlink()
    case.checks.ended([case.command("validate", code=3)])


def lied(case: Case) -> None:
    case.run()


def miscounted(case: Case) -> None:
    case.publish(*OLD)
    case.run(rows_read=119)


def of_another_select(case: Case) -> None:
    case.publish(*OLD)
    case.run()
    case.config = Config(select="swap")
    case.run()


def queried_twice(case: Case) -> None:
    right(case)
    case.query([row for content in [*OLD, OLD[0]] for row in content.rows()])


FAILURES = {
    right: None,
    doubled: "wrong lake",
    torn: "wrong lake",
    nobodys: "wrong lake",
    removed: "published rows are gone",
    replaced: "published rows were replaced",
    unmarked: "a mark is gone",
    lied: "exit 0 is not true",
    miscounted: "exit 0 is not true",
    of_another_select: "exit 0 is not true",
    queried_twice: "query",
    lambda case: case.checks.ended([case.command("run", code=101)]): "exit code",
    lambda case: case.checks.ended([case.command("run", code=1, stderr="thread 'main' panicked at x")]): "panic",
    lambda case: case.checks.ended([case.command("run", code=1, stderr="")]): "no reason",
}


def main() -> None:
    for case, expected in FAILURES.items():
        root = Path(tempfile.mkdtemp())
        try:
            case(Case(root))
            kind = None
        except Stop as stop:
            kind = stop.kind
        finally:
            shutil.rmtree(root)
        assert kind == expected, f"{case.__name__}: {kind}, not {expected}"
    print(f"{len(FAILURES)} cases held")


if __name__ == "__main__":
    main()
