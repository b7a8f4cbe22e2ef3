"""What must hold after each step of a sequence, whatever the step was.

1. Where `_SUCCESS` stands, the data files of the folder hold exactly the rows that the SELECT of a config that could publish
   there makes of one state of the snapshot that a planning command could see.
2. The rows of a published folder stay there until `--withdraw` takes them back; its mark stays with them.
3. A command that ends with 0 tells the truth: the lake of its config is complete, with the rows of its SELECT, and counted.
4. No panic, no hang, no exit code that is not documented, no failure without a word.

A refusal is always allowed here: whether one was in order is seen at the end of a sequence, when a way out must be found.
"""

import json
import os
import re
from pathlib import Path

from sequence_commands import Command, Stop
from sequence_model import Config, Reader, State, count, differences, is_part, multiset, rows_of
from sequence_world import World

PLANNING = {"stage", "publish", "run", "repair"}
CRASHES = ("panicked at", "RUST_BACKTRACE", "internal error", "this is a bug in snaplake")

# What may be published: the SELECT, the folder of the export, and what stood there.
Planned = tuple[str, str, State]


class Checks:
    def __init__(self, world: World):
        self.world, self.reader = world, Reader()
        # Lake folder -> SELECT, folder of the export, and table of each config that could publish there.
        self.targets: dict[Path, set[tuple]] = {}
        # Folder of the export and table -> the states that its planning commands could see.
        self.seen: dict[tuple, set[State]] = {}
        # What was planned, wherever its lake lies by now.
        self.planned: set[tuple] = set()
        # Folders that were moved away, or copied: another plan may take their place.
        self.left: set[str] = set()
        self.published: dict[Path, frozenset] = {}
        self.marked: set[Path] = set()
        # Those of signals are left out: no command gets one that is not killed.
        told = world.verbs[""].partition("Exit codes:")[2]
        self.exit_codes = {int(code) for code in re.findall(r"\b\d+\b", told)} - {130, 143}
        world.on_moved, world.on_removed, world.on_ended = self.moved, self.removed, self.ended

    def folder(self, config: Config) -> Path:
        return Path(os.path.realpath(self.world.root / config.lake()))

    # --- what is legitimate ---

    def remember(self, commands=()) -> None:
        """What the processes that are under way may plan now."""
        for command in (*self.world.stopped, *commands):
            if command.verb in PLANNING:
                for config in command.configs:
                    export, table = config.location.split("/")[0], (config.table, config.snapshot_time)
                    self.targets.setdefault(self.folder(config), set()).add((config.select, export, table))
                    self.planned.add((config.select, export, table))
                    self.seen.setdefault((export, table), set()).add(self.world.state(config.location))

    def moved(self, old: str, new: str, is_copy: bool = False) -> None:
        self.left.add(old)
        root = Path(os.path.realpath(self.world.root))
        # What was copied may be there through a link; what was moved is there no more.
        old, new = Path(os.path.realpath(root / old)) if is_copy else root / old, Path(os.path.realpath(root / new))
        for known in (self.targets, self.published):
            for folder in [folder for folder in known if folder.is_relative_to(old)]:
                value = known[folder] if is_copy else known.pop(folder)
                known[new / folder.relative_to(old)] = set(value) if isinstance(value, set) else value
        self.marked = {folder for folder in self.marked if is_copy or not folder.is_relative_to(old)}

    def removed(self, folder: str) -> None:
        gone = Path(os.path.realpath(self.world.root)) / folder
        self.published = {folder: rows for folder, rows in self.published.items() if not folder.is_relative_to(gone)}
        self.marked = {folder for folder in self.marked if not folder.is_relative_to(gone)}

    def rows(self, folder: Path, select: str | None = None) -> dict[frozenset, list[Planned]]:
        """The rows that the folder may have, and what they are made from."""
        return self.rows_of(self.targets.get(folder, ()), select)

    def rows_of(self, targets, select: str | None = None) -> dict[frozenset, list[Planned]]:
        found: dict[frozenset, list[Planned]] = {}
        for own, export, table in targets:
            for state in self.seen[export, table]:
                rows = rows_of(own, state)
                if rows is not None and select in (None, own):
                    found.setdefault(rows, []).append((own, export, state))
        return found

    def taken_back(self, commands: list[Command]) -> None:
        """Forgets what a --withdraw may remove."""
        for command in (*self.world.stopped, *commands):
            if "--withdraw" not in command.words:
                continue
            for other in (*self.world.stopped, *commands):
                if other is not command and any(a.is_same_table(b) for a in other.configs for b in command.configs):
                    other.is_disturbed = True
            versions = [config for slot in self.world.slots for config in slot.versions]
            for config in versions:
                if any(config.is_same_table(own) for own in command.configs):
                    self.published.pop(self.folder(config), None)
                    self.marked.discard(self.folder(config))

    # --- what is there ---

    def read(self, folder: Path) -> frozenset:
        try:
            return self.reader.rows(folder)
        except Exception as error:  # a lake that cannot be read is wrong, whatever the reader raises
            raise Stop("wrong lake", f"{self.short(folder)} cannot be read: {error}") from None

    def short(self, folder: Path) -> str:
        return os.path.relpath(folder, os.path.realpath(self.world.root))

    def look(self, commands: list[Command]) -> None:
        """Rules 1 and 2."""
        self.taken_back(commands)
        marked = set()
        for base, _, names in os.walk(os.path.realpath(self.world.root)):
            if "_SUCCESS" in names:
                folder = Path(base)
                marked.add(folder)
                rows = self.read(folder)
                allowed = self.rows(folder)
                if rows not in allowed:
                    nearest = min(allowed, key=lambda other: len(other ^ rows), default=frozenset())
                    raise Stop("wrong lake", f"_SUCCESS stands in {self.short(folder)}: {differences(rows, nearest)}")
        for folder, rows in self.published.items():
            found = self.read(folder) if folder.is_dir() else frozenset()
            if not is_part(rows, found):
                raise Stop("published rows are gone", f"{self.short(folder)}: {differences(found, rows)}")
            if folder in marked and found != rows:
                raise Stop("published rows were replaced", f"{self.short(folder)}: {differences(found, rows)}")
        lost = self.marked - marked
        # A process that publishes the same again takes the mark away first, and may be interrupted; and so may one that mends.
        may_publish = any(command.verb in PLANNING for command in (*self.world.stopped, *commands))
        if lost and not (may_publish and (self.world.taints - {"overlap"} or self.world.stopped or any(command.is_killed for command in commands))):
            raise Stop("a mark is gone", f"{', '.join(self.short(folder) for folder in lost)} still has its rows, but no _SUCCESS")
        self.marked = marked
        self.published |= {folder: self.read(folder) for folder in marked}

    def ended(self, commands: list[Command]) -> None:
        self.remember(commands)
        for command in commands:
            if not command.is_killed:
                self.ended_well(command)
        self.look(list(commands))
        for command in commands:
            if command.code == 0 and not command.is_disturbed:
                self.told_the_truth(command)

    def ended_well(self, command: Command) -> None:
        """Rule 4."""
        said = command.stdout + command.stderr
        if command.code not in self.exit_codes:
            raise Stop("exit code", f"{command.code}: {command}")
        for crash in CRASHES:
            if crash in said:
                raise Stop("panic", f"{command}: {next(line for line in said.splitlines() if crash in line)}")
        if command.code != 0 and "error" not in command.stderr:
            raise Stop("no reason", f"{command}: {said[:500]}")

    def told_the_truth(self, command: Command) -> None:
        """Rule 3."""
        if command.verb == "query":
            return self.queried(command)
        if command.verb == "repair" or "--group" in command.words or command.verb not in {"run", "publish", "validate", "status", "plan"}:
            return
        told = json.loads(command.stdout)["tables"][0]
        if command.verb in {"status", "plan"} and not told["complete"]:
            return
        problems = []
        for config in command.configs:
            problem = self.complete(command, config, told)
            if problem is None:
                return
            problems.append(problem)
        raise Stop("exit 0 is not true", f"{command}: {problems[-1]}")

    def complete(self, command: Command, config: Config, told: dict) -> str | None:
        """What is wrong with the lake of the config that was told to be complete."""
        folder = self.folder(config)
        if not (folder / "_SUCCESS").exists():
            return f"no _SUCCESS in {self.short(folder)}"
        rows = self.read(folder)
        # What these two look at is the lake, whatever the config says of the SELECT by now.
        is_own = command.verb in {"run", "publish"}
        allowed = self.rows(folder, config.select if is_own else None)
        if "--replan" in command.words and command.was_alone:
            now = self.world.state(config.location)
            allowed = {rows: planned for rows, planned in allowed.items() if any(state == now for _, _, state in planned)}
        if is_own:
            same = lambda planned: planned[1] == config.location.split("/")[0]
            allowed = {rows: planned for rows, planned in allowed.items() if any(map(same, planned))}
        if rows not in allowed:
            nearest = min(allowed, key=lambda other: len(other ^ rows), default=frozenset())
            return f"{self.short(folder)}: {differences(rows, nearest)}"
        if "validation" not in told:
            return None
        counted = told["validation"]
        snapshot = {sum(len(content.rows()) for content in state) for _, _, state in allowed[rows]}
        if counted["rows_read"] not in snapshot or counted["footer_rows"] != count(rows):
            return f"rows in {counted['rows_read']}, out {counted['footer_rows']}; these are {snapshot} and {count(rows)}"
        return None

    def queried(self, command: Command) -> None:
        found = multiset(json.loads(line) for line in command.stdout.splitlines())
        own = [config for slot in self.world.slots for config in slot.versions if config.is_same_table(command.configs[-1])]
        folders = {self.folder(config) for config in own}
        allowed = [rows for folder in folders for rows in self.rows(folder)]
        if command.words[1] == "staging":
            # Its lake may have been moved away since.
            tables = {(config.table, config.snapshot_time) for config in own}
            allowed += self.rows_of(target for target in self.planned if target[2] in tables)
        if found and not any(is_part(found, rows) for rows in allowed):
            nearest = min(allowed, key=lambda other: len(other ^ found), default=frozenset())
            raise Stop("query", f"{command} shows rows that are no part of a planned table: {differences(found, nearest)}")
        # Of one plan and one place the whole is shown; where there are more, which of them is not decided here.
        folder, stagings = self.folder(command.configs[-1]), {config.staging for config in own}
        is_one = command.was_alone and folders == {folder} and len(stagings) == 1
        # Another snapshot's lake may lie there.
        last = command.configs[-1]
        is_one &= not any(staging == left or staging.startswith(f"{left}/") for staging in stagings for left in self.left)
        is_one &= {target[2] for target in self.targets.get(folder, ())} == {(last.table, last.snapshot_time)}
        if command.words[1] == "lake" and is_one and folder in self.marked and found != self.read(folder):
            raise Stop("query", f"{command} shows another lake than _SUCCESS stands over: {differences(found, self.read(folder))}")
