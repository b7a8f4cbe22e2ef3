"""Many small tables on a store that is far away: seconds and requests of each command.

    many_tables.py BINARY [--tables 300] [--milliseconds 20] [--commands plan,run,...] [--audited] [--memory-limit 64MB]

Each table has two Parquet files and three partitions. What a command costs is then what it asks of the store, one request
after the other or many at once. The store is tests/bench/slow_store.py.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from slow_store import SlowStore

COMMANDS = {
    "plan": ["plan"],
    "run": ["run"],
    "again": ["run"],
    "status": ["status"],
    "validate": ["validate"],
    "clean": ["clean"],
    "query": ["query", "-c", "SELECT count(*) FROM manifest.tasks"],
    "report": ["report", "--no-distinct", "--format", "json", "--output", "report.json"],
    "replan": ["run", "--replan", "--withdraw"],
}


def rows(first: int) -> bytes:
    """A file with rows of three days."""
    ids = list(range(first, first + 30))
    days = [f"2026-01-{1 + number % 3:02}" for number in ids]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "day": days, "note": [f"note {number}" for number in ids]}), buffer)
    return buffer.getvalue()


def config(tables: int, properties: str) -> str:
    settings = """
        SET snaplake.database = 'shop';
        SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
        SET snaplake.staging = 's3://bench/staging';
        SET snaplake.datalake = 's3://bench/lake';
    """
    table = """
        CREATE EXTERNAL TABLE snapshot.{name} STORED AS PARQUET LOCATION 's3://bench/export/{name}/';
        CREATE TABLE lake.{name} WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id']{properties}) AS
        SELECT id, day, note FROM snapshot.{name};
    """
    names = (f"t{number:03}" for number in range(tables))
    return settings + "".join(table.format(name=name, properties=properties) for name in names)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--milliseconds", type=float, default=20)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--memory-limit", help="of the program; its own by default")
    parser.add_argument("--audited", action="store_true", help="one audit per table")
    options = parser.parse_args()
    store = SlowStore(options.milliseconds / 1000)
    files = [rows(0), rows(30)]
    for table in range(options.tables):
        for number, content in enumerate(files):
            store.put(f"export/t{table:03}/part-{number}.parquet", content)
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}", "AWS_ALLOW_HTTP": "true"}
    env |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    env |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.sql"
        path.write_text(config(options.tables, ", not_null = ARRAY['id']" if options.audited else ""))
        for name in options.commands.split(","):
            verb, *rest = COMMANDS[name]
            store.start_counting()
            started = time.monotonic()
            limit = ["--memory-limit", options.memory_limit] if options.memory_limit else []
            command = [str(Path(options.binary).resolve()), verb, str(path), *limit, *rest]
            with open(Path(folder) / "said", "w") as said:
                child = subprocess.Popen(command, env=env, cwd=folder, stdout=said, stderr=said)
                _, status, usage = os.wait4(child.pid, 0)
            seconds, requests = time.monotonic() - started, sum(store.counts.values())
            counts = ", ".join(f"{method} {count}" for method, count in sorted(store.counts.items()))
            print(
                f"{name:9} {seconds:7.1f} s  {requests:6} requests  {requests / options.tables:6.2f} per table  "
                f"at most {store.most:3} at once  ({counts})  cpu {usage.ru_utime + usage.ru_stime:.1f} s  "
                f"peak {usage.ru_maxrss >> 10} MB",
                flush=True,
            )
            if status != 0:
                sys.exit((Path(folder) / "said").read_text()[-2000:])


if __name__ == "__main__":
    main()
