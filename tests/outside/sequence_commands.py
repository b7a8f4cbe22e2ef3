"""The commands that are tried, the configs that they read, and how they end."""

import dataclasses
import subprocess
from pathlib import Path

from sequence_model import Config

# How long a command on a hundred rows may take before it is taken to hang.
LONGEST = 60

# Verbs by how often they are tried. "run" and its kin may plan.
COMMANDS = [
    ["plan"], ["stage"], ["stage"], ["stage", "--group"], ["publish"], ["publish"], ["publish", "--group"], ["run"], ["run"], ["run"],
    ["run", "--replan"], ["run", "--replan", "--withdraw"], ["validate"], ["validate", "--deep"], ["status"], ["query"],
    ["clean", "--remove"], ["clean", "--remove", "--older-than", "0s"], ["clean", "--remove", "--staging", "--older-than", "0s"],
]  # fmt: skip
# Those that are stopped or killed.
LONG = [
    ["run"], ["run"], ["run", "--replan"], ["run", "--replan", "--withdraw"],
    ["stage"], ["stage", "--group"], ["publish"], ["publish", "--group"],
]  # fmt: skip


class Stop(Exception):
    """What makes a sequence a failure: its kind, and what was seen."""

    def __init__(self, kind: str, said: str):
        super().__init__(f"{kind}: {said}")
        self.kind, self.said = kind, said


@dataclasses.dataclass
class Slot:
    """One config file with all that stood in it, newest last."""

    name: str
    versions: list[Config]

    @property
    def now(self) -> Config:
        return self.versions[-1]


@dataclasses.dataclass
class Command:
    """A process of snaplake: what it was told, the configs it may have read, and how it ended."""

    slot: Slot
    words: list[str]
    configs: list[Config]
    process: subprocess.Popen
    out: Path
    is_killed: bool = False
    is_disturbed: bool = False  # its folders were moved, or its table was taken back, while it was under way
    was_alone: bool = True
    code: int | None = None
    stdout: str = ""
    stderr: str = ""

    @property
    def verb(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        end = "killed" if self.is_killed else "under way" if self.code is None else f"exit {self.code}"
        lines = self.stderr.splitlines()
        first = next((at for at, line in enumerate(lines) if line.startswith("error") or "panicked" in line), len(lines))
        return f"{' '.join(self.words)} {self.slot.name} -> {end}" + "".join(f"\n        {line.strip()[:400]}" for line in lines[first : first + 5])
