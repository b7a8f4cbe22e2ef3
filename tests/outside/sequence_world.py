"""One folder with an export, configs, staging and lakes in it; what people do to these, and the processes that work there.

Each thing that is done is a method of `World` that takes whole numbers; what they mean depends on what is there (number 7
of 3 files is the second). So a step still has a meaning when others before it are left out, and any step may do nothing.
"""

import dataclasses
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from sequence_commands import COMMANDS, LONG, LONGEST, Command, Slot, Stop
from sequence_export import Export
from sequence_model import EDITED, EDITS, TIMES, Config


class World(Export):
    def __init__(self, binary: str, root: Path, verbs: dict[str, str]):
        super().__init__(root)
        self.binary, self.verbs = binary, verbs
        self.slots = [Slot("c.sql", [Config()])]
        self.stopped: list[Command] = []
        self.started = 0
        # Ways in which the sequence itself has made it impossible to go on in the same place.
        self.taints: set[str] = set()
        # Who checks is told of these.
        self.on_moved = lambda old, new, is_copy=False: None
        self.on_removed = lambda folder: None
        self.on_ended = lambda commands: None
        self.write(self.slots[0])

    # --- configs ---

    def location(self) -> str:
        return self.slots[0].now.location

    def slot(self, number: int) -> Slot:
        """The first one mostly."""
        return self.slots[1] if len(self.slots) > 1 and number % 3 == 0 else self.slots[0]

    def write(self, slot: Slot) -> None:
        path = self.root / f".{slot.name}"
        path.write_text(slot.now.text())
        os.rename(path, self.root / slot.name)

    def change(self, slot: Slot, config: Config) -> None:
        slot.versions.append(config)
        self.write(slot)
        for command in self.stopped:
            if command.slot is slot:
                command.configs.append(config)

    def edit(self, which: int, key: int, value: int) -> None:
        slot, key = self.slot(which), EDITED[key % len(EDITED)]
        values = [other for other in EDITS[key] if other != getattr(slot.now, key)]
        config = dataclasses.replace(slot.now, **{key: values[value % len(values)]})
        self.say(f"edit {slot.name}: {slot.now.difference(config)}")
        self.change(slot, config)

    def edit_back(self, which: int) -> None:
        slot = self.slot(which)
        if len(slot.versions) < 2:
            return self.say("(nothing)")
        config = slot.versions[-2]
        self.say(f"edit {slot.name} back: {slot.now.difference(config)}")
        self.change(slot, config)

    def second_config(self, variant: int, select: int) -> None:
        """A config whose folders are the first one's, or lie in them, or hold them."""
        first = self.slots[0].now
        other = dataclasses.replace(first, table="u", location="snapshot-b/", external_location=None, select=("all", "third")[select % 2])
        lake, time = first.lake(), first.snapshot_time
        staged = f"{first.staging}/d/t/snapshot={time}/datalake/d/{first.schema}/t"
        variants = [
            ("its lake is the first's", {"external_location": lake}),
            ("its lake is in the first's", {"external_location": f"{lake}/sub"}),
            ("its lake is in a partition of the first's", {"external_location": f"{lake}/k=k1"}),
            ("its lake holds the first's", {"external_location": lake.rsplit("/", 1)[0]}),
            ("another time, the same lake", {"table": "t", "external_location": lake, "snapshot_time": TIMES[first.snapshot_time == TIMES[0]]}),
            ("the same table from another staging folder", {"table": "t", "external_location": lake, "staging": "staging-2"}),
            ("its staging folder is in the first's lake", {"staging": f"{lake}/staging", "datalake": "lake-2"}),
            ("its lake is in the first's staging folder", {"datalake": first.staging}),
            ("the same table, another lake", {"table": "t", "datalake": "lake-2"}),
            ("its lake is the first's staging files", {"external_location": staged}),
            ("another table beside the first", {}),
            ("the first's staging folder and lake through links", {"table": "t", "staging": "link-s", "external_location": "link-l"}),
        ]  # fmt: skip
        said, changes = variants[variant % len(variants)]
        config = dataclasses.replace(other, **changes)
        if config.staging == "link-s":
            for link, target in (("link-s", first.staging), ("link-l", lake)):
                if not os.path.lexists(self.root / link):
                    os.symlink(target, self.root / link)
        self.taints.add("overlap")
        if len(self.slots) == 1:
            self.slots.append(Slot("c2.sql", [config]))
            self.write(self.slots[1])
        else:
            self.change(self.slots[1], config)
        self.say(f"second config c2.sql: {said}: {first.difference(config)}")

    # --- folders ---

    def folder_moved(self, which: int, how: int) -> None:
        """Away, and the config follows, or a link is left behind, or nothing."""
        slot, key = self.slots[0], ("staging", "datalake")[which % 2]
        old = getattr(slot.now, key)
        new = f"moved-{len(self.done)}"
        if not (self.root / old).is_dir() or (self.root / old).is_symlink():
            return self.say("(nothing)")
        how = ("the config follows", "a link is left behind", "the config does not follow")[how % 3]
        self.say(f"{old} moved to {new}: {how}")
        os.rename(self.root / old, self.root / new)
        self.on_moved(old, new)
        self.taints.add("moved")
        for command in self.stopped:
            command.is_disturbed = True
        if how == "the config follows":
            self.change(slot, dataclasses.replace(slot.now, **{key: new}))
        elif how == "a link is left behind":
            (self.root / old).symlink_to(os.path.relpath(self.root / new, (self.root / old).parent))

    def folder_copied(self, which: int, how: int) -> None:
        slot, key = self.slots[0], ("staging", "datalake")[which % 2]
        old = getattr(slot.now, key)
        new = f"copy-{len(self.done)}"
        if not (self.root / old).is_dir():
            return self.say("(nothing)")
        self.say(f"{old} copied to {new}: the config {'follows' if how % 2 else 'does not follow'}")
        shutil.copytree(self.root / old, self.root / new, symlinks=True)
        self.on_moved(old, new, is_copy=True)
        self.taints.add("copied")
        if how % 2:
            self.change(slot, dataclasses.replace(slot.now, **{key: new}))

    # --- damage ---

    def staging_files(self, are_data: bool) -> list[Path]:
        """Of the first config. Its staging folder may hold the lake of another, which nothing of the first can mend."""
        others = [self.root / slot.now.lake() for slot in self.slots[1:]]
        found = (path for path in sorted((self.root / self.slots[0].now.staging).rglob("*")) if path.is_file())
        found = (path for path in found if not any(other in path.parents for other in others))
        return [path for path in found if ("datalake" in path.parts and path.suffix == ".parquet") == are_data]

    def staging_bit(self, number: int, place: int) -> None:
        files = self.staging_files(True)
        if not files:
            return self.say("(nothing)")
        path = files[number % len(files)]
        content, stat = bytearray(path.read_bytes()), path.stat()
        # In the pages mostly, not in the footer.
        place %= (len(content) if place % 4 == 0 else len(content) - 8 - int.from_bytes(content[-8:-4], "little")) * 8
        self.say(f"bit {place} of {path.relative_to(self.root)} flipped")
        content[place // 8] ^= 1 << (place % 8)
        with open(path, "r+b") as out:
            out.write(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.taints.add("damage")

    def staging_swapped(self, number: int, other: int) -> None:
        files = self.staging_files(True)
        if len(files) < 2:
            return self.say("(nothing)")
        a = files.pop(number % len(files))
        b = files[other % len(files)]
        self.say(f"{a.relative_to(self.root)} and {b.relative_to(self.root)} swapped")
        spare = self.root / ".spare"
        os.rename(a, spare), os.rename(b, a), os.rename(spare, b)
        self.taints.add("damage")

    def manifest_cut(self, number: int, to: int) -> None:
        files = [path for path in self.staging_files(False) if path.stat().st_size]
        if not files:
            return self.say("(nothing)")
        path = files[number % len(files)]
        size = 0 if to % 2 else path.stat().st_size * (1 + to % 7) // 8
        self.say(f"{path.relative_to(self.root)}: cut to {size} of {path.stat().st_size} bytes")
        os.truncate(path, size)
        self.taints.add("damage")

    # --- processes ---

    def start(self, slot: Slot, words: list[str], group: int = 0) -> Command:
        words = list(words)
        if words[-1] == "--group":
            words += [str(1 + group % 3), "--table", slot.now.table]
        if "--yes" in self.verbs.get(words[0], ""):
            words.append("--yes")
        arguments = [words[0], slot.name, *words[1:]]
        if words[0] == "query":
            words = ["query", ("lake", "staging")[group % 2]]
            arguments = ["query", slot.name, "-c", f"SELECT * FROM {words[1]}.{slot.now.table}", "--format", "ndjson"]
        elif words[0] != "repair":
            arguments += ["--format", "json"]
        self.started += 1
        out = self.root / f".out-{self.started}"
        with open(out, "w") as stdout, open(f"{out}.err", "w") as stderr:
            process = subprocess.Popen([self.binary, *arguments], cwd=self.root, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        return Command(slot, words, [slot.now], process, out, was_alone=not self.stopped)

    def ended(self, *commands: Command) -> None:
        for command in commands:
            try:
                code = command.process.wait(LONGEST)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait()
                raise Stop("hangs", f"{command} after {LONGEST} s") from None
            command.code = None if command.is_killed else code
            command.stdout, command.stderr = command.out.read_text(), Path(f"{command.out}.err").read_text()
            self.say(str(command))
        self.on_ended(commands)

    def command(self, which: int, number: int, group: int) -> None:
        self.ended(self.start(self.slot(which), COMMANDS[number % len(COMMANDS)], group))

    def two_at_once(self, which: int, one: int, other: int, group: int) -> None:
        self.say("at once:")
        commands = [
            self.start(self.slots[0], COMMANDS[one % len(COMMANDS)], group),
            self.start(self.slot(which), COMMANDS[other % len(COMMANDS)], group + 1),
        ]
        for command in commands:
            command.was_alone = False
        self.ended(*commands)

    def written(self) -> int:
        return sum(len(names) for _, _, names in os.walk(self.root))

    def wait_until(self, command: Command, files: int) -> None:
        """Until it has written so many files, or has ended."""
        before = self.written()
        while command.process.poll() is None and self.written() < before + files:
            time.sleep(0.0002)

    def killed(self, which: int, number: int, files: int, group: int) -> None:
        command = self.start(self.slot(which), LONG[number % len(LONG)], group)
        self.wait_until(command, files % 45)
        command.process.kill()
        command.is_killed = command.process.wait() == -signal.SIGKILL
        self.ended(command)

    def stop(self, which: int, number: int, files: int, group: int) -> None:
        if len(self.stopped) == 2:
            return self.say("(nothing)")
        command = self.start(self.slot(which), LONG[number % len(LONG)], group)
        self.wait_until(command, files % 45)
        command.process.send_signal(signal.SIGSTOP)  # none if it has ended
        if command.process.returncode is None:
            _, status = os.waitpid(command.process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                command.process.returncode = os.waitstatus_to_exitcode(status)
        if command.process.returncode is not None:
            return self.ended(command)
        self.say(f"{command}, stopped")
        self.stopped.append(command)

    def go_on(self, number: int) -> None:
        if not self.stopped:
            return self.say("(nothing)")
        command = self.stopped.pop(number % len(self.stopped))
        command.was_alone = False
        command.process.send_signal(signal.SIGCONT)
        self.say("goes on:")
        self.ended(command)

    def end(self) -> None:
        """Leaves no process behind."""
        for command in self.stopped:
            command.process.kill()
            command.process.wait()
