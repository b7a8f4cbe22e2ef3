#!/usr/bin/env python3
"""Exports a large table of a running PostgreSQL while others write to it, and compares the lake with the exported snapshot.

    python tests/bench/live.py [--rows 10000000] [--rounds 1] [--writers 2] [--snaplake PATH] [--work DIR]

The snapshot is compared by the server: a second session imports the one that snaplake exported (SET TRANSACTION SNAPSHOT), and
computes count, sums and a sum of hashes over whole rows in it. DuckDB computes the same of the lake. The seconds of the export are
compared with `psql` running COPY ... TO STDOUT, as text and as binary, with the same writers. Needs PostgreSQL and duckdb.
Exit code 1: something differs. Times never fail a run.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb

sys.path.append(str(Path(__file__).parents[1] / "outside"))
from export_servers import NoServer, Postgres  # noqa: E402

COLUMNS = "id bigint, customer integer, total numeric(12,2), placed timestamp with time zone, paid boolean, note text"
ROWS = """SELECT n, (n * 7919) % 100003, ((n * 104729) % 10000000)::numeric / 100, '2026-01-01'::timestamptz + n * interval '1 second',
    CASE WHEN n % 3 = 0 THEN NULL ELSE n % 2 = 0 END, CASE WHEN n % 10 = 0 THEN NULL WHEN n % 11 = 0 THEN '' ELSE 'note of ' || n END
    FROM generate_series(1::bigint, {rows}) AS n"""
# One text per row, spelled alike by both programs.
TEXT = """concat_ws('|', id, customer, total, CAST(floor(extract(epoch FROM placed)) AS bigint),
    CASE WHEN paid IS NULL THEN '~' WHEN paid THEN 't' ELSE 'f' END, coalesce(note, '~'))"""
SUMS = "count(*), sum(id), sum(total), count(note)"
WRITES = """UPDATE orders SET total = total + 1, note = 'changed' WHERE id = (SELECT 1 + (random() * {rows})::bigint);
DELETE FROM orders WHERE id = (SELECT 1 + (random() * {rows})::bigint);
INSERT INTO orders SELECT {rows} + (random() * 1e9)::bigint, 1, 1, now(), true, 'new';
"""


class Writers:
    """Sessions that change rows until they are stopped."""

    def __init__(self, server: Postgres, rows: int, count: int):
        self.server, self.stop, self.written = server, threading.Event(), 0
        self.text = WRITES.format(rows=rows) * 10
        self.threads = [threading.Thread(target=self.write) for _ in range(count)]

    def write(self) -> None:
        while not self.stop.is_set():
            self.server.ask(self.text, "shop")
            self.written += 30

    def __enter__(self) -> "Writers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Witness:
    """A session that imports the snapshot which a program exports, and is asked about it later."""

    def __init__(self, server: Postgres):
        self.folder = server.folder / "data" / "pg_snapshots"
        self.psql = subprocess.Popen(
            [server.tool("psql"), "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", "shop"], text=True,
            env=server.environment | server.client_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.has_imported = False

    def ask(self, sql: str) -> list[str]:
        self.psql.stdin.write(sql + ";\n")
        self.psql.stdin.flush()
        return self.psql.stdout.readline().rstrip("\n").split("\t")

    def look(self) -> None:
        """Imports the snapshot if there is one."""
        if self.has_imported or not (names := sorted(path.name for path in self.folder.iterdir() if path.suffix != ".tmp")):
            return
        self.ask(f"BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{names[0]}'; SELECT 1")
        self.has_imported = True

    def sums(self) -> list[str]:
        """What the server says of the snapshot."""
        query = f"SELECT {SUMS}, sum(('x' || substr(md5({TEXT}), 1, 8))::bit(32)::bigint) FROM orders"
        found = self.ask(query.replace("\n", " ")) if self.has_imported else ["no snapshot was seen"]
        self.psql.communicate("ROLLBACK;\n")
        return found


def lake_sums(lake: Path) -> list[str]:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    query = f"SELECT {SUMS}, sum(CAST('0x' || substr(md5({TEXT}), 1, 8) AS BIGINT)) FROM read_parquet('{lake}/**/*.parquet')"
    return [str(value) for value in con.execute(query).fetchone()]


def copy(server: Postgres, form: str) -> float:
    command = [server.tool("psql"), "-XqAt", "-d", "shop", "-c", f"COPY orders TO STDOUT (FORMAT {form})"]
    before = time.perf_counter()
    subprocess.run(command, env=server.environment | server.client_environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - before


def export(server: Postgres, snaplake: Path, work: Path) -> tuple[float, float, int, Witness]:
    """Seconds of the export and of the whole run, the peak of memory in bytes, and who has seen the snapshot."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "config.sql").write_text(f"""SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '2026-01-01T00:00:00Z';
SET snaplake.staging = '{work}/staging'; SET snaplake.datalake = '{work}/lake';
CREATE EXTERNAL TABLE snapshot.orders STORED AS POSTGRES LOCATION 'postgres://postgres@127.0.0.1:{server.port}/shop';
CREATE TABLE lake.orders AS SELECT * FROM snapshot.orders;
""")
    witness = Witness(server)
    before = time.perf_counter()
    with (work / "log").open("wb") as log:
        process = subprocess.Popen([snaplake, "run", str(work / "config.sql")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    exported = None
    while True:
        witness.look()
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if exported is None and list(work.glob("staging/**/live-export.json")):
            exported = time.perf_counter() - before
        if ended:
            break
        time.sleep(0.005)
    whole = time.perf_counter() - before
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or exported is None:
        sys.exit(f"snaplake ended with {process.returncode}: {(work / 'log').read_text()[-2000:]}")
    return exported, whole, used.ru_maxrss * 1024, witness


def main() -> None:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[2] / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the table [10000000]")
    parser.add_argument("--rounds", type=int, default=1, help="exports [1]")
    parser.add_argument("--writers", type=int, default=2, help="sessions that change rows meanwhile [2]")
    parser.add_argument("--snaplake", type=Path, default=target / "release" / "snaplake", help="the program to measure")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where the database and the lake are")
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="snaplake-live-", dir=told.work))
    folder.chmod(0o755)
    server, wrong = Postgres(folder / "server"), 0
    try:
        server.start()
        server.ask("CREATE DATABASE shop")
        server.ask(f"CREATE TABLE orders ({COLUMNS}); INSERT INTO orders {ROWS.format(rows=told.rows)}; CREATE INDEX ON orders (id); VACUUM ANALYZE orders;", "shop")
        for round_ in range(told.rounds):
            with Writers(server, told.rows, told.writers) as writers:
                text, binary = copy(server, "text"), copy(server, "binary")
                before = writers.written
                exported, whole, rss, witness = export(server, told.snaplake.resolve(), folder / "run")
                during = writers.written - before
            lake, snapshot = lake_sums(folder / "run" / "lake"), witness.sums()
            is_same = lake == snapshot
            wrong += not is_same
            rate = int(lake[0]) / exported
            print(
                f"round {round_ + 1}: {int(lake[0]):,} rows, {during:,} statements of writers during the run\n"
                f"  snapshot of the server: {snapshot}\n  lake:                   {lake}\n"
                f"  {'equal' if is_same else 'DIFFERENT'}\n"
                f"  export {exported:.1f} s ({rate:,.0f} rows/s), whole run {whole:.1f} s, peak {rss / 1e6:.0f} MB\n"
                f"  psql COPY TO STDOUT: text {text:.1f} s ({int(lake[0]) / text:,.0f} rows/s), binary {binary:.1f} s"
            )
    except NoServer as error:
        sys.exit(str(error))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
