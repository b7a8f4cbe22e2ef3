#!/usr/bin/env python3
"""Random sequences of what people do to a snapshot, a config and folders, beside commands that are stopped, killed or doubled.

    sequences.py --snaplake PATH [--sequences 200] [--first SEED] [--workers 2] [--seconds N] [--work DIR]
    sequences.py --snaplake PATH --seed N [--shrink 0] [--keep]

Each sequence works on 120 rows in three files. After each step a model of what was planned says which rows may stand under
`_SUCCESS` (sequence_checks.py); at the end some command must lead to a right lake. A sequence that fails is shrunk: steps
are left out while it fails in the same way. --seed N runs one sequence and shows all that it does. Exit code 1: one failed.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from sequence_checks import Checks
from sequence_commands import COMMANDS, LONG, Stop
from sequence_model import EDITED, Content
from sequence_world import World

# Step -> how often it is tried, and how many numbers it takes.
STEPS = {
    "command": (16, 3),
    "edit": (6, 3),
    "edit_back": (2, 1),
    "two_at_once": (2, 4),
    "killed": (3, 4),
    "stop": (3, 4),
    "go_on": (3, 1),
    "snapshot_in_place": (1, 2),
    "snapshot_replaced": (1, 1),
    "snapshot_added": (1, 0),
    "snapshot_removed": (1, 1),
    "snapshot_truncated": (0.5, 1),
    "snapshot_linked": (1, 2),
    "second_config": (2, 2),
    "folder_moved": (1.5, 2),
    "folder_copied": (1, 2),
    "staging_bit": (1, 2),
    "staging_swapped": (1, 2),
    "manifest_cut": (1, 2),
}
Step = tuple[str, tuple[int, ...]]

# What goes wrong together; "c2: " is done with the second config.
STORIES = [
    ["stop", "edit", "run --replan --withdraw", "go_on"],
    ["stop", "edit", "stage", "go_on", "publish"],
    ["stop", "snapshot_replaced", "run --replan", "go_on"],
    ["stop", "edit", "run", "go_on", "validate"],
    ["stop", "clean --remove --older-than 0s", "go_on"],
    ["stage", "staging_bit", "publish"],
    ["stage", "staging_swapped", "publish", "validate --deep"],
    ["stage --group", "snapshot_in_place", "run"],
    ["stage", "publish --group", "edit", "publish"],
    ["run", "edit", "snapshot_replaced", "run"],
    ["run", "edit", "run --replan --withdraw", "edit_back", "run"],
    ["run", "folder_moved", "clean --remove --staging --older-than 0s", "run"],
    ["run", "folder_copied", "edit", "run --replan --withdraw"],
    ["run", "second_config", "c2: run", "c2: clean --remove --staging --older-than 0s"],
    ["second_config", "c2: run", "run", "c2: run --replan --withdraw"],
    ["second_config", "stage", "c2: stage", "publish", "c2: publish"],
    ["two_at_once", "edit", "two_at_once"],
    ["killed", "edit", "killed", "edit_back", "run"],
    ["manifest_cut", "stage", "manifest_cut", "publish"],
]

# Runs of a shrunk sequence that are tried before a step is taken to be needed: a race does not show each time.
TRIES = 2


@dataclasses.dataclass
class Outcome:
    seed: int
    kind: str | None
    said: str
    done: list[str]
    steps: list[Step]  # those that did something
    way_out: str | None
    commands: int


def name(step: Step) -> str:
    """What a step is, without what it is done to."""
    kind, numbers = step
    words = {"command": COMMANDS, "killed": LONG, "stop": LONG}.get(kind)
    if words:
        return f"{'' if kind == 'command' else kind + ' '}{' '.join(words[numbers[1] % len(words)])}"
    if kind == "two_at_once":
        return "at once " + " and ".join(" ".join(COMMANDS[number % len(COMMANDS)]) for number in numbers[1:3])
    if kind == "edit":
        return f"edit {EDITED[numbers[1] % len(EDITED)]}"
    return f"second_config {numbers[0] % 12}" if kind == "second_config" else kind


def sequence(seed: int, without: list[str]) -> list[Step]:
    """Each sequence has only half of the kinds of steps and commands, so that frequent ones do not cover what others do.

    Every second one has a story in it, in order, with other steps between.
    """
    chance = random.Random(seed)
    kinds = {kind: weight for kind, (weight, _) in STEPS.items() if chance.random() < 0.5 or kind == "command"}
    kinds = {kind: weight for kind, weight in kinds.items() if kind not in without}
    few = {id(words): chance.sample(range(len(words)), len(words) // 2) for words in (COMMANDS, LONG)}

    def step(kind: str) -> Step:
        words = kind.removeprefix("c2: ").split()
        if kind in STEPS:
            numbers = [chance.randrange(1 << 16) for _ in range(STEPS[kind][1])]
            if kind in ("command", "killed", "stop", "two_at_once"):
                numbers[1] = chance.choice(few[id(LONG if kind in ("killed", "stop") else COMMANDS)])
            return kind, tuple(numbers)
        return "command", (0 if kind.startswith("c2: ") else 1, COMMANDS.index(words), chance.randrange(1 << 16))

    steps = [step(kind) for kind in chance.choices(list(kinds), kinds.values(), k=chance.randint(4, 14))]
    story = chance.choice(STORIES) if chance.random() < 0.5 else []
    if not set(story) & set(without):
        steps = steps[: max(2, 14 - len(story))]
        for kind, at in zip(reversed(story), sorted((chance.randint(0, len(steps)) for _ in story), reverse=True)):
            steps.insert(at, step(kind))
    return steps


# --- the way out ------------------------------------------------------------------------------------------------------


def mend(world: World) -> None:
    """What no command can do: stopped processes go on, files that were cut are exported again, outputs leave the LOCATION."""
    while world.stopped:
        world.go_on(0)
    # What killed processes told of their tasks counts for half a minute; this is that half minute.
    for mark in world.root.rglob("running-*"):
        mark.unlink()
    for folder, files in world.export.items():
        for name, file in list(files.items()):
            if not isinstance(file, str) and file[0].form == "cut":
                world.generation += 1
                world.say(f"{folder}/{name}: exported again")
                world.put(folder, name, Content(file[0].number, world.generation))
    slot, export = world.slots[0], world.slots[0].now.location.split("/")[0]
    inside = {key: "own-" + key for key in ("staging", "datalake") if getattr(slot.now, key).startswith(f"{export}/")}
    if inside:
        world.say(f"edit {slot.name}: outputs leave the LOCATION")
        world.change(slot, dataclasses.replace(slot.now, **inside))
    for path in (world.root / export).iterdir():
        if path.is_dir():
            world.say(f"{export}/{path.name}: removed by hand")
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
            world.on_removed(f"{export}/{path.name}")
            world.taints.add("removed")


class WayOut:
    """Tries what messages name, the least first, until the first config has a right lake that proves itself."""

    def __init__(self, world: World):
        self.world, self.slot, self.told = world, world.slots[0], ""

    def works(self, *words: str) -> bool:
        command = self.world.start(self.slot, list(words))
        self.world.ended(command)
        self.told += command.stderr
        # Advice to do what has just been done in vain. Without a process beside it nothing changes by itself.
        help = command.stderr.partition("help:")[2]
        named = {"repair": "snaplake repair", "--withdraw": "--withdraw"}.get(words[-1])
        if command.code != 0 and named and named in help:
            raise Stop("the named command fails", str(command))
        return command.code == 0

    def leads(self, *words: str) -> bool:
        """A command that has proven the lake at its end must be of one mind with the next ones."""
        return self.works(*words) and self.works("validate")

    def change_undone(self) -> bool:
        now = self.slot.now
        for config in dict.fromkeys(reversed(self.slot.versions)):
            export = config.location.split("/")[0]
            if config == now or export in {config.staging.split("/")[0], config.datalake.split("/")[0]}:
                continue
            self.world.say(f"edit {self.slot.name} back: {self.slot.now.difference(config)}")
            self.world.change(self.slot, config)
            if self.leads("run") or self.leads("run", "--replan", "--withdraw"):
                return True
        self.world.change(self.slot, now)
        return False

    def elsewhere(self, **changes) -> bool:
        config = dataclasses.replace(self.slot.now, **changes)
        self.world.say(f"edit {self.slot.name}: {self.slot.now.difference(config)}")
        self.world.change(self.slot, config)
        return self.leads("run")

    def find(self) -> str:
        world = self.world
        # What is done, and which word of a message has named it.
        ways = [
            ("run", "", lambda: self.leads("run")),
            ("repair", "repair", lambda: "repair" in world.verbs and self.works("repair") and self.leads("run")),
            ("run --replan", "--replan", lambda: self.leads("run", "--replan")),
            ("run --replan --withdraw", "--withdraw", lambda: self.leads("run", "--replan", "--withdraw")),
            ("the change undone", "undo|old config|restore the old|empty location|set another", self.change_undone),
            ("another staging folder", "", lambda: self.elsewhere(staging="fresh-staging")),
            ("all in other folders", "", lambda: self.elsewhere(staging="fresh-staging-2", external_location="fresh-lake")),
        ]
        way, word = next(((way, word) for way, word, leads in ways if leads()), (None, ""))
        if way is None:
            raise Stop("no way out", "no command led to a right lake, not even in empty folders")
        if way in {"another staging folder", "all in other folders"} and not world.taints - {"damage"}:
            raise Stop("no way out", f"only {way}")
        # Any that a message names will do, also one that was not tried because a lesser one led there.
        if word and not any(re.search(named, self.told) for _, named, _ in ways if named):
            raise Stop("no message names a way out", way)
        if len(world.slots) > 1:
            world.ended(world.start(world.slots[1], ["run"]))
        if not (self.works("clean", "--remove", "--older-than", "0s") and self.leads("run")):
            raise Stop("a right lake is refused", f"after {way}")
        return way


# --- what this snaplake knows ----------------------------------------------------------------------------------------


def verbs(binary: str) -> dict[str, str]:
    """Its commands, each with its help; "" is the whole program's."""
    help = lambda *words: subprocess.run([binary, *words, "--help"], capture_output=True, text=True).stdout
    whole = help()
    return {"": whole} | {verb: help(verb) for verb in ("clean", "repair") if re.search(rf"^  {verb} ", whole, re.MULTILINE)}


# --- one sequence -----------------------------------------------------------------------------------------------------


class Runner:
    def __init__(self, told: argparse.Namespace):
        self.binary, self.work = str(Path(told.snaplake).resolve()), told.work
        self.verbs, self.is_kept = verbs(self.binary), told.keep

    def run(self, seed: int, steps: list[Step]) -> Outcome:
        root = Path(tempfile.mkdtemp(prefix=f"sequence-{seed}-", dir=self.work))
        world = World(self.binary, root, self.verbs)
        checks, kind, said, way, done = Checks(world), None, "", None, []
        try:
            for step in steps:
                before = len(world.done)
                done.append(step)
                getattr(world, step[0])(*step[1])
                if world.done[before:] == ["(nothing)"]:
                    done.pop(), world.done.pop()
                checks.remember()
                checks.look([])
            world.say("the way out:")
            mend(world)
            way = WayOut(world).find()
        except Stop as stop:
            kind, said = stop.kind, stop.said
        finally:
            world.end()
            if self.is_kept:
                world.say(f"kept: {root}")
            else:
                shutil.rmtree(root, ignore_errors=True)
        return Outcome(seed, kind, said, world.done, done, way, world.started)

    def shrunk(self, failed: Outcome, seconds: float) -> Outcome:
        """The same failure with steps left out, the last ones first, until none can be missed or the time is over."""
        until, size = time.monotonic() + seconds, max(1, len(failed.steps) // 2)
        while True:
            at, has_shrunk = len(failed.steps) - size, False
            while at >= 0 and time.monotonic() < until:
                steps = failed.steps[:at] + failed.steps[at + size :]
                for _ in range(TRIES):
                    outcome = self.run(failed.seed, steps)
                    if outcome.kind == failed.kind:
                        failed, has_shrunk = outcome, True
                        break
                at -= 1 if size == 1 else size
            if time.monotonic() >= until or (size == 1 and not has_shrunk):
                return failed
            size = max(1, size // 2)


def work(told: argparse.Namespace, seed: int) -> Outcome:
    runner = Runner(told)
    outcome = runner.run(seed, sequence(seed, told.without))
    if outcome.kind and told.shrink:
        return runner.shrunk(outcome, told.shrink)
    return outcome


def show(outcome: Outcome) -> str:
    steps = "\n".join(f"    {line}" for line in outcome.done)
    return f"FAILED seed {outcome.seed}: {outcome.kind}: {outcome.said}\n{steps}"


def many(told: argparse.Namespace) -> int:
    print(f"seeds {told.first} to {told.first + told.sequences - 1}, {told.workers} at once", flush=True)
    started, done, kinds, ways, commands = time.monotonic(), 0, Counter(), Counter(), 0
    alike: dict[str, list[int]] = {}
    with concurrent.futures.ProcessPoolExecutor(told.workers) as pool:
        seeds = iter(range(told.first, told.first + told.sequences))
        under_way = {pool.submit(work, told, seed) for seed in [next(seeds) for _ in range(min(told.workers, told.sequences))]}
        while under_way:
            ended, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                outcome = future.result()
                done, commands = done + 1, commands + outcome.commands
                if outcome.kind:
                    kinds[outcome.kind] += 1
                    alike.setdefault(f"{outcome.kind}: {', '.join(map(name, outcome.steps)) or 'no step'}", []).append(outcome.seed)
                    print(show(outcome), flush=True)
                else:
                    ways[outcome.way_out] += 1
                if time.monotonic() < started + told.seconds and kinds.total() < told.failures and (seed := next(seeds, None)) is not None:
                    under_way.add(pool.submit(work, told, seed))
            if done % 100 == 0:
                print(f"{done} sequences, {kinds.total()} failed, {time.monotonic() - started:.0f} s", flush=True)
    print(f"{done} sequences, {commands} commands, {time.monotonic() - started:.0f} s; {kinds.total()} failed {dict(kinds)}")
    for steps, found in sorted(alike.items(), key=lambda item: -len(item[1])):
        print(f"{len(found):4} x {steps} (seed {found[0]})")
    print("led to a right lake: " + ", ".join(f"{way} {times}" for way, times in ways.most_common()))
    if done < told.sequences:
        print(f"ended after {done} of {told.sequences} sequences: {'too many failed' if kinds.total() >= told.failures else 'the time was over'}")
    return 1 if kinds or done == 0 else 0


def one(told: argparse.Namespace) -> int:
    outcome = work(told, told.seed)
    print(show(outcome) if outcome.kind else "\n".join(outcome.done))
    return 1 if outcome.kind else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--first", type=int, default=int.from_bytes(os.urandom(4)), metavar="SEED")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no new sequence after this time")
    parser.add_argument("--failures", type=float, default=float("inf"), help="start no new sequence after so many failures")
    parser.add_argument("--shrink", type=float, default=20, metavar="SECONDS", help="time to shrink a failure; 0: not at all")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--keep", action="store_true", help="with --seed and --shrink 0: leave the folder in place")
    parser.add_argument("--without", action="append", default=[], choices=STEPS, help="leave out this kind of step; may be repeated")
    parser.add_argument("--work", type=Path, default=Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None)
    told = parser.parse_args()
    return many(told) if told.seed is None else one(told)


if __name__ == "__main__":
    sys.exit(main())
