"""Runs one command as a fresh child process and says what it cost: time, CPU, memory, page faults.

It measures only; what is run, in which order, and what the numbers mean is decided elsewhere.

Linux hands a parent's peak memory on to its children's ru_maxrss (the old address space counts until exec). So the process
that measures must stay small: no DuckDB, pyarrow or Polars in it. Everything large runs in child processes, checks too.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Run:
    """One process, from fork to exit."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    system: float  # seconds of these in the kernel
    rss: int  # bytes, peak
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int
    code: int  # exit code; minus the signal that ended it
    output_bytes: int = 0
    output_files: int = 0
    server_cpu: float = 0.0  # seconds of CPU that an S3 server used meanwhile; not part of cpu

    def as_dict(self) -> dict:
        return asdict(self)


class Failed(Exception):
    """A program did not do its job: it ended with an error, or took too long."""


def run(command: list[str], log: Path, env: dict[str, str] | None = None, timeout: float = 3600) -> Run:
    """The cost of `command`; its output goes to `log`. Raises Failed with the end of the log when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
        late = threading.Event()
        timer = threading.Timer(timeout, lambda: (late.set(), os.kill(child.pid, signal.SIGKILL)))
        timer.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            timer.cancel()
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)

    result = Run(
        wall=wall,
        cpu=used.ru_utime + used.ru_stime,
        system=used.ru_stime,
        rss=used.ru_maxrss * 1024,
        minor_faults=used.ru_minflt,
        major_faults=used.ru_majflt,
        voluntary_switches=used.ru_nvcsw,
        involuntary_switches=used.ru_nivcsw,
        code=child.returncode,
    )
    if result.code != 0:
        said = log.read_text(errors="replace")[-2000:].strip()
        why = f"took more than {timeout:.0f} s" if late.is_set() else f"ended with {result.code}"
        raise Failed(f"{Path(command[0]).name} {why}; the end of its output:\n{said}")
    return result


def helper(script: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Standard output of one of the scripts beside this one, run as a child; its standard error passes through."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    if done.returncode != 0:
        raise Failed(f"{script} {arguments[0] if arguments else ''} ended with {done.returncode}")
    return done.stdout


def own_peak() -> int:
    """Bytes that the measuring process itself used at most: the floor of every peak that it reports."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def size_of(root: Path) -> tuple[int, int]:
    """Bytes and number of the Parquet files below a folder."""
    sizes = [path.stat().st_size for path in root.rglob("*.parquet")]
    return sum(sizes), len(sizes)


def remove(root: Path) -> None:
    if root.exists():
        shutil.rmtree(root)


def settle() -> None:
    """What earlier runs wrote is on disk afterwards: it does not slow down the next one."""
    os.sync()


def warm(root: Path) -> None:
    """Reads all files once, so that no program is the first to fetch them from disk."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            with open(path, "rb", buffering=0) as file:
                while file.read(8 << 20):
                    pass
