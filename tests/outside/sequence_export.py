"""The export: two folders of snapshot files, and what happens to these. What stands in them is known without reading."""

import dataclasses
import os
from pathlib import Path

from sequence_model import Content, State


class Export:
    def __init__(self, root: Path):
        self.root = root
        self.done: list[str] = []
        # Folder -> name of a file -> what it is: [content], shared by all hard links of a file, or the file that a link names.
        self.export: dict[str, dict[str, list | str]] = {"snapshot": {}, "snapshot-b": {}}
        self.generation, self.numbers = 0, 3
        for folder, generation in (("snapshot", 0), ("snapshot-b", 500)):
            (root / folder).mkdir()
            for number in range(3):
                self.put(folder, f"f{number}.parquet", Content(number, generation))

    def say(self, text: str) -> None:
        self.done.append(text)

    def location(self) -> str:
        """That of the first config."""
        raise NotImplementedError

    def put(self, folder: str, name: str, content: Content) -> None:
        """A new file, in the place of an old one if there is one."""
        path = self.root / folder / f".{name}"
        path.write_bytes(content.encoded())
        os.rename(path, self.root / folder / name)
        self.export[folder][name] = [content]

    def state(self, location: str) -> State:
        folder = location.split("/")[0]
        files, seen = self.export[folder], {}
        for name in files:
            file = files.get(files[name]) if isinstance(files[name], str) else files[name]
            if file is not None:
                seen[id(file)] = file[0]
        return tuple(sorted(seen.values(), key=repr))

    def file(self, number: int) -> tuple[str, str]:
        folder = self.location().split("/")[0]
        names = sorted(name for name, file in self.export[folder].items() if not isinstance(file, str))
        return folder, names[number % len(names)]

    def snapshot_in_place(self, number: int, form: int) -> None:
        """Same inode, size and time; other values, or fewer rows."""
        folder, name = self.file(number)
        file, path = self.export[folder][name], self.root / folder / name
        if file[0].form == "cut":
            return self.say("(nothing)")
        self.generation += 1
        content = Content(file[0].number, self.generation, "fewer" if form % 3 == 0 else "whole")
        fewer = " with 4 rows less" if content.form == "fewer" else ""
        self.say(f"{folder}/{name}: generation {self.generation}{fewer}, in place, same size and time")
        stat = path.stat()
        with open(path, "r+b") as out:
            out.write(content.encoded())
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert path.stat().st_size == stat.st_size
        file[0] = content

    def snapshot_replaced(self, number: int) -> None:
        folder, name = self.file(number)
        self.generation += 1
        self.say(f"{folder}/{name}: replaced by generation {self.generation}")
        self.put(folder, name, Content(self.export[folder][name][0].number, self.generation))

    def snapshot_added(self) -> None:
        folder, _ = self.file(0)
        self.generation += 1
        name = f"f{self.numbers}.parquet"
        self.say(f"{folder}/{name}: added")
        self.put(folder, name, Content(self.numbers, self.generation))
        self.numbers += 1

    def snapshot_removed(self, number: int) -> None:
        folder, name = self.file(number)
        if len(self.state(folder)) < 2:
            return self.say("(nothing)")
        self.say(f"{folder}/{name}: removed")
        for other in [other for other, file in self.export[folder].items() if file == name] + [name]:
            os.unlink(self.root / folder / other)
            del self.export[folder][other]

    def snapshot_truncated(self, number: int) -> None:
        folder, name = self.file(number)
        file = self.export[folder][name]
        self.say(f"{folder}/{name}: cut in half")
        file[0] = dataclasses.replace(file[0], form="cut")
        with open(self.root / folder / name, "r+b") as out:
            out.truncate(len(file[0].encoded()))

    def snapshot_linked(self, number: int, is_hard: int) -> None:
        folder, name = self.file(number)
        second = f"l{len(self.export[folder])}-{name}"
        if second in self.export[folder]:
            return self.say("(nothing)")
        self.say(f"{folder}/{second}: a {'hard link' if is_hard % 2 else 'symbolic link'} to {name}")
        if is_hard % 2:
            os.link(self.root / folder / name, self.root / folder / second)
            self.export[folder][second] = self.export[folder][name]
        else:
            os.symlink(name, self.root / folder / second)
            self.export[folder][second] = name
