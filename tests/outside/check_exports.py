#!/usr/bin/env python3
"""Compares lakes of real database exports with the databases, value by value, and shows it broken exports.

    check_exports.py --snaplake PATH [--prove]

Starts PostgreSQL and MariaDB, makes a database in each, and dumps with pg_dump, mysqldump (also --tab) and mydumper in each of
their forms. For each dump, and for the running servers, the lake must have what the server itself says. Then dumps that are cut,
damaged or incomplete, and trees as RDS and DynamoDB export them, must be refused: exit code, nothing published, and a message
that names the file. Some things cannot be seen by anyone, and are left out: a file of mydumper cut after a `;` or of --tab after
a row, and a tar cut within the zeros at its end.
`--prove` changes, removes and adds a row after the dump, which must be all that the comparison finds.
Exit code 1: something differs.
"""

import argparse
import concurrent.futures
import datetime
import gzip
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import export_data as data
from common import Report, give_up
from export_servers import MariaDb, NoServer, Postgres, Server

# Seconds that one run of the program may take; all take a second or two.
LONGEST = 180
TIME = "2026-01-01T00:00:00Z"
SHOWN = 5  # differences of a table
WORKERS = 2
# Damage to these is damage to one of the others.
SAME_DAMAGE = [
    "pg_dump --column-inserts", "pg_dump --rows-per-insert", "pg_dump --load-via-partition-root", "pg_dump --data-only", "pg_dump -Fc -Z0",
    "mysqldump --hex-blob", "mysqldump --skip-extended-insert",
]  # fmt: skip

# Table of the lake -> name in the export; no name: its own.
Tables = dict[str, str | None]
# Schema and table of the server -> names of its columns without generated ones, generated ones, rows by key.
Expected = dict[tuple[str, str], tuple[list[str], set[str], dict[bytes, list]]]


def lake_name(schema: str, table: str) -> str:
    return f"{schema}_{''.join(letter if letter.isalnum() else '_' for letter in table)}".lower()


class Lake:
    """One run of the program on one export."""

    def __init__(
        self, snaplake: Path, work: Path, kind: str, location: Path | str | list[Path], tables: Tables,
        on_invalid: dict[str, str] | None = None, environment: dict[str, str] | None = None,
    ):  # fmt: skip
        work.mkdir(parents=True)
        self.root = work / "lake"
        places = location if isinstance(location, list) else [location]
        written = [f"'{place}{'/' if isinstance(place, Path) and place.is_dir() else ''}'" for place in places]
        of = written[0] if len(written) == 1 else f"({', '.join(written)})"
        config = [
            f"SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '{TIME}';",
            f"SET snaplake.staging = '{work}/staging'; SET snaplake.datalake = '{work}/lake';",
        ]
        for name, of_export in tables.items():
            options = {"table": of_export, "on_invalid": (on_invalid or {}).get(name)}
            options = ", ".join(f"'{option}' '{value.replace(chr(39), chr(39) * 2)}'" for option, value in options.items() if value)
            option = f" OPTIONS ({options})" if options else ""
            config.append(f"CREATE EXTERNAL TABLE snapshot.{name} STORED AS {kind} LOCATION {of}{option};")
            # Wider than other programs read; the program asks for a cast.
            every = "* REPLACE (CAST(n65 AS VARCHAR) AS n65)" if name.endswith("numbers") else "*"
            config.append(f"CREATE TABLE lake.{name} AS SELECT {every} FROM snapshot.{name};")
        (work / "config.sql").write_text("\n".join(config))
        command = [snaplake, "run", "config.sql", "--quiet"]
        done = subprocess.run(
            command, cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LONGEST,
            env=os.environ | (environment or {}),
        )  # fmt: skip
        self.code, self.said = done.returncode, (done.stdout + done.stderr).strip()

    def published(self) -> list[Path]:
        return sorted(self.root.rglob("*.parquet")) + sorted(self.root.rglob("_SUCCESS"))

    def read(self, name: str) -> pa.Table:
        files = sorted((self.root / "shop" / name).rglob("*.parquet"))
        return pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])


# --- values: each as the bytes of the server's own text -----------------------------------------------------------------


def time_text(kind: pa.DataType, value: int) -> str:
    """A number of microseconds as both servers write it, without zeros at the end."""
    if pa.types.is_time(kind):
        return (datetime.datetime.min + datetime.timedelta(microseconds=value)).strftime("%H:%M:%S.%f").rstrip("0").rstrip(".")
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=value)
    except OverflowError:
        return f"{value} us"
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return moment.replace(microsecond=0).isoformat(" ") + fraction


def lake_values(column: pa.ChunkedArray, server: Server, server_type: str) -> list[bytes | None]:
    kind, is_postgres = column.type, isinstance(server, Postgres)
    if pa.types.is_string(kind):
        return column.cast(pa.binary()).to_pylist()
    if pa.types.is_binary(kind):
        of = (lambda value: b"\\x" + value.hex().encode()) if is_postgres else bytes
    elif pa.types.is_boolean(kind):
        of = (lambda value: b"t" if value else b"f") if is_postgres else (lambda value: b"%d" % value)
    elif pa.types.is_integer(kind):
        of = lambda value: b"%d" % value
    elif pa.types.is_decimal(kind):
        of = lambda value: format(value, "f").encode()
    elif pa.types.is_floating(kind):
        return [None if value is None else number(kind, value) for value in column.to_pylist()]
    elif pa.types.is_date(kind):
        column, of = column.cast(pa.int32()), lambda value: time_text(pa.timestamp("us"), value * 86_400_000_000)[:10].encode()
    elif pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        unit = pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us", getattr(kind, "tz", None))
        zone = "+00" if is_postgres and getattr(kind, "tz", None) else ""
        column, of = column.cast(unit).cast(pa.int64()), lambda value: (time_text(kind, value) + zone).encode()
    else:
        raise TypeError(f"{server_type} is {kind} in the lake")
    return [None if value is None else of(value) for value in column.to_pylist()]


def number(kind: pa.DataType, text: bytes | float) -> bytes:
    return repr(pa.scalar(float(text), pa.float64()).cast(kind, safe=False).as_py()).encode()


def server_values(values: list[bytes | None], kind: pa.DataType, server_type: str) -> list[bytes | None]:
    """The server's texts, in the one form that a type of the lake can have."""
    if pa.types.is_floating(kind):
        return [None if value is None else number(kind, value) for value in values]
    if pa.types.is_temporal(kind) and not server_type.endswith("with time zone"):
        return [value.rstrip(b"0").rstrip(b".") if value and b"." in value else value for value in values]
    if pa.types.is_decimal(kind):
        # There is no negative zero.
        return [value.lstrip(b"-") if value and not value.strip(b"-0.") else value for value in values]
    if pa.types.is_integer(kind):
        return [None if value is None else b"%d" % int(value) for value in values]
    return values


def shown(value: bytes | None) -> str:
    return "NULL" if value is None else repr(value if len(value) <= 80 else value[:77] + b"...")[1:]


class Database:
    """What a server says about its tables."""

    def __init__(self, server: Server, database: str, tables: list[tuple[str, str]]):
        self.server, self.tables = server, tables
        # Whether the lake must have generated columns, too.
        self.keeps_all = False
        self.columns = {of: server.columns(database, *of) for of in tables}
        self.rows = {of: list(map(list, zip(*server.rows(database, *of)))) for of in tables}

    def differences(self, of: tuple[str, str], lake: pa.Table) -> tuple[list[str], int]:
        """What is missing, extra or different in a table of the lake, and how many rows it has."""
        columns, has = self.columns[of], lake.column_names
        # pg_dump writes no generated column, nor do the others as they like.
        lost = [name for name, _, is_generated in columns if name not in has and (self.keeps_all or not is_generated)]
        surplus = [name for name in has if name not in [name for name, _, _ in columns]]
        if lost or surplus or len(set(has)) != len(has):
            return [f"columns missing: {lost}; columns too many: {surplus}; columns: {has}"], 0
        want, have, names = [], [], []
        for at, (name, kind, _) in enumerate(columns):
            if name in has:
                column = lake.column(name)
                values = self.rows[of][at] if self.rows[of] else []
                want.append(server_values(values, column.type, kind))
                have.append(lake_values(column, self.server, kind))
                names.append(name)
        # All tables have a key of one column called id, but for measures with two, whose id alone is one.
        key = next(at for at, name in enumerate(names) if name.lower() == "id")
        wanted, found, wrong = dict(zip(want[key], zip(*want))), dict(zip(have[key], zip(*have))), []
        if len(found) != lake.num_rows:
            wrong.append(f"{lake.num_rows} rows in the lake have {len(found)} keys")
        if len(wanted) != len(want[key]):
            give_up(f"{of}: the key is none")
        for value, row in wanted.items():
            if value not in found:
                wrong.append(f"row missing: key {shown(value)}")
            elif row != found[value]:
                for name, one, other in zip(names, row, found[value]):
                    if one != other:
                        wrong.append(f"key {shown(value)}, column {name}: {shown(one)} in the database, {shown(other)} in the lake")
        wrong += [f"row too many: key {shown(value)}" for value in found if value not in wanted]
        return wrong, len(found)


# --- dumps ------------------------------------------------------------------------------------------------------------


def to_file(server: Server, command: list[str], target: Path) -> None:
    out = server.run(command)
    target.write_bytes(gzip.compress(out, 1, mtime=0) if target.suffix == ".gz" else out)


def postgres_dumps(server: Postgres) -> dict:
    """What people call it -> how to make it in a folder; returns the LOCATION."""
    base = [server.tool("pg_dump"), "-d", "shop"]

    def piped(name: str, *options: str):
        def make(folder: Path) -> Path:
            to_file(server, [*base, *options], folder / name)
            return folder / name

        return make

    def written(name: str, *options: str):
        def make(folder: Path) -> Path:
            server.run([*base, *options, "-f", str(folder / name)])
            return folder / name

        return make

    return {
        "pg_dump": piped("shop.sql"),
        "pg_dump, gzip": piped("shop.sql.gz"),
        "pg_dump --inserts": piped("shop.sql", "--inserts"),
        "pg_dump --column-inserts": piped("shop.sql", "--column-inserts"),
        "pg_dump --rows-per-insert": piped("shop.sql", "--rows-per-insert=100", "--on-conflict-do-nothing"),
        "pg_dump --data-only": piped("shop.sql", "--data-only"),
        "pg_dump --load-via-partition-root": piped("shop.sql", "--load-via-partition-root"),
        "pg_dump -Fc": written("shop.dump", "-Fc"),
        "pg_dump -Fc | cat": piped("shop.dump", "-Fc"),
        "pg_dump -Fc -Z0": written("shop.dump", "-Fc", "-Z0"),
        "pg_dump -Fd": written("shop", "-Fd"),
        "pg_dump -Fd -Z0": written("shop", "-Fd", "-Z0"),
        "pg_dump -Ft": written("shop.tar", "-Ft"),
    }


def mariadb_dumps(server: MariaDb) -> dict:
    """What people call it -> how to make it in a folder; returns the LOCATION."""
    base = [server.dump, *server.where(), "--single-transaction", "--max-allowed-packet=64M"]

    def piped(name: str, *options: str):
        def make(folder: Path) -> Path:
            to_file(server, [*base, *options], folder / name)
            return folder / name

        return make

    def tab(folder: Path) -> Path:
        # The server writes the rows, the program the rest.
        folder.parent.chmod(0o711)
        folder.chmod(0o777)
        (folder / "shop").mkdir()
        (folder / "shop").chmod(0o777)
        server.run([*base, f"--tab={folder / 'shop'}", "shop"])
        return folder / "shop"

    def mydumper(*options: str):
        def make(folder: Path) -> Path:
            where = ["--host=127.0.0.1", f"--port={server.port}", "--user=root"]
            what = ["--regex=^(shop|audit)[.]", "--threads=2", "--rows=9000"]
            server.dump_folder([server.mydumper, *where, *what, *options], folder / "shop")
            return folder / "shop"

        return make

    return {
        "mysqldump": piped("shop.sql", "shop"),
        "mysqldump, gzip": piped("shop.sql.gz", "shop"),
        "mysqldump --hex-blob": piped("shop.sql", "--hex-blob", "shop"),
        "mysqldump --skip-extended-insert": piped("shop.sql", "--skip-extended-insert", "shop"),
        "mysqldump --complete-insert --databases": piped("shop.sql", "--complete-insert", "--databases", "shop", "audit"),
        "mysqldump --tab": tab,
        "mydumper": mydumper(),
        "mydumper --compress": mydumper("--compress"),
    }


def tables_of(dump: str, database: Database) -> dict[tuple[str, str], tuple[str, str]]:
    """Table of the server -> its name in the lake, and in the dump."""
    one_database = dump.startswith("mysqldump") and "--databases" not in dump
    # Both write latin1 as it is stored (see `odd`); the server writes BIT(64) without escapes with --tab.
    left = {"latin"} if dump.startswith("mydumper") else {"latin", "numbers"} if "--tab" in dump else set()
    names = {}
    for schema, table in database.tables:
        if one_database:
            if schema == "shop" and table not in left:
                names[schema, table] = (lake_name(schema, table), table)
        # The whole of a partitioned table is told by its CREATE TABLE.
        elif not (dump == "pg_dump --data-only" and table == "measures") and table not in left:
            names[schema, table] = (lake_name(schema, table), f"{schema}.{table}")
    return names


# --- broken ones --------------------------------------------------------------------------------------------------------


def cut(file: Path, size: int):
    def damage() -> None:
        with file.open("r+b") as opened:
            opened.truncate(size)

    return damage


def unpacked(content: bytes) -> bytes | None:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None


def flip(file: Path, at: int):
    """Changes a bit. Of a gzip file one that counts: some say where a text was before, and it may have been there too."""

    def damage() -> None:
        whole = file.read_bytes()
        for place in range(at, len(whole)):
            changed = whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]
            if file.suffix != ".gz" or unpacked(changed) != unpacked(whole):
                file.write_bytes(changed)
                return
        raise AssertionError(f"no bit of {file} counts")

    return damage


def edit(file: Path, old: str, new: str):
    def damage() -> None:
        text = file.read_text()
        assert old in text, f"{file} has no {old}"
        file.write_text(text.replace(old, new, 1))

    return damage


def cuts(file: Path, *more: tuple[str, int]) -> list[tuple[str, Path, object]]:
    size = file.stat().st_size
    places = [(f"cut at {percent} %", size * percent // 100) for percent in (0, 1, 50, 99)] + list(more)
    return [(f"{file.name} {what}", file, cut(file, at)) for what, at in places]


def broken(dump: str, location: Path) -> list[tuple[str, Path, object]]:
    """What is wrong, the file that the message must name, and how to do it."""
    if location.is_dir():
        biggest = max((file for file in location.iterdir()), key=lambda file: file.stat().st_size)
        size = biggest.stat().st_size
        if "--tab" in dump:
            rows, sql = location / "wide.txt", location / "wide.sql"
            content = rows.read_bytes()
            found = [("no wide.txt", rows, rows.unlink), ("no wide.sql", sql, sql.unlink)]
            found += [(f"wide.sql cut at {at}", sql, cut(sql, at)) for at in (0, sql.stat().st_size // 2, sql.stat().st_size - 60)]
            # Between two rows nobody can see it.
            places = (1, content.index(b",", len(content) // 2) if b"," in content[len(content) // 2 :] else len(content) // 2, len(content) - 1)
            return found + [(f"wide.txt cut at {at}", rows, cut(rows, at)) for at in places]
        if dump.startswith("mydumper"):
            found = [("no metadata", location / "metadata", (location / "metadata").unlink)]
            found.append(("metadata.partial", location / "metadata", lambda: (location / "metadata").rename(location / "metadata.partial")))
            in_text = size // 2 if "--compress" in dump else biggest.read_bytes().index(b"'", size // 2)
            return found + [(f"{biggest.name} cut at {at}", biggest, cut(biggest, at)) for at in (in_text, size - 3)]
        found = cuts(location / "toc.dat", ("before its last byte", (location / "toc.dat").stat().st_size - 1))
        found.append((f"no {biggest.name}", biggest.with_suffix("") if biggest.suffix == ".gz" else biggest, biggest.unlink))
        found.append(("no toc.dat", location / "toc.dat", (location / "toc.dat").unlink))
        found += cuts(biggest, ("before its last bytes", size - 5))
        if biggest.suffix == ".gz":
            found.append((f"{biggest.name}: one bit changed", biggest, flip(biggest, size // 2)))
        else:
            # Between two rows.
            line = biggest.read_bytes().index(b"\n", size // 2) + 1
            found.append((f"{biggest.name} cut after a line", biggest, cut(biggest, line)))
        return found
    size = location.stat().st_size
    if location.suffix == ".tar":
        content = location.read_bytes()
        return cuts(location, ("within its last member", len(content.rstrip(b"\0")) - 1))
    if location.suffix == ".dump":
        found = cuts(location, ("before its last byte", size - 1))
        # Without compression a changed byte is another value, and nobody can know.
        return found + ([] if "-Z0" in dump else [("one bit changed", location, flip(location, size // 2))])
    if location.suffix == ".gz":
        return cuts(location, ("before its last byte", size - 1)) + [("one bit changed", location, flip(location, size // 2))]
    content = location.read_bytes()
    mark = content.rindex(b"-- PostgreSQL database dump complete" if dump.startswith("pg_dump") else b"-- Dump completed")
    return cuts(location, ("before its last line", mark), ("within its last line", mark + 12))


class Check:
    def __init__(self, snaplake: Path, work: Path, report: Report):
        self.snaplake, self.work, self.report, self.numbers = snaplake, work, report, itertools.count()

    def folder(self) -> Path:
        return self.work / str(next(self.numbers))

    def refusal(self, kind: str, location: Path, tables: Tables, file: str) -> str:
        """What is wrong with how a broken export is refused."""
        work = self.folder()
        lake = Lake(self.snaplake, work, kind, location, tables)
        wrong = []
        if lake.code == 0:
            wrong.append("not refused")
        elif lake.code not in (1, 2):
            wrong.append(f"exit code {lake.code}")
        if published := lake.published():
            wrong.append(f"published {', '.join(str(path.relative_to(lake.root)) for path in published)}")
        if lake.code != 0 and file not in lake.said:
            wrong.append(f"the message does not name {file}: {lake.said}")
        shutil.rmtree(work)
        return "; ".join(wrong)

    def damaged(self, title: str, kind: str, location: Path, tables: Tables, cases) -> None:
        """Does each case to a copy of its own; `cases` makes them of a copy, whose files keep their names."""

        def one(number: int) -> tuple:
            copy = self.folder() / location.name
            copy.parent.mkdir()
            shutil.copytree(location, copy) if location.is_dir() else shutil.copyfile(location, copy)
            what, file, damage = list(cases(copy))[number]
            damage()
            outcome = self.refusal(kind, copy, tables, file if isinstance(file, str) else file.name)
            shutil.rmtree(copy.parent)
            return what, outcome

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for what, wrong in pool.map(one, range(len(list(cases(location))))):
                self.report.check(not wrong, f"{title}, {what}: refused", f"{title}, {what}: {wrong}")

    def running(self, postgres: Postgres, database: Database) -> None:
        """The server itself, with all columns that a SELECT shows."""
        names = {of: name for of, name in tables_of("running", database).items() if of != ("public", "parent")}
        url = f"postgres://postgres@127.0.0.1:{postgres.port}/shop"
        self.compare("running PostgreSQL", "POSTGRES", url, names, database)
        self.no_export("running PostgreSQL", "POSTGRES", url, "PGPASSWORD")
        postgres.ask("CREATE VIEW slow AS SELECT id, pg_sleep(0.02)::text AS slept FROM generate_series(1, 500) AS of (id)", "shop")
        for what, state in (("the holder", "idle in transaction"), ("a reader", "active")):
            ending = f"""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = 'shop' AND pid <> pg_backend_pid() AND state = '{state}'
                AND EXISTS (SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active')"""
            self.ended(f"running PostgreSQL, {what} ends", "POSTGRES", url, lambda: postgres.ask(ending, "shop") != [["0"]])
        self.proposed(url, names, database)

    def proposed(self, url: str, names: dict[tuple[str, str], tuple[str, str]], database: Database) -> None:
        """What `init` writes for the server runs as it is and gives its rows; the view is listed, and no table."""
        work = self.folder()
        work.mkdir()
        command = lambda *words: subprocess.run(  # noqa: E731
            [self.snaplake, *words], cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST
        )
        found, ran = command("init", url, "-o", "config.sql"), command("run", "config.sql", "--quiet")
        holds = found.returncode == 0 and ran.returncode == 0 and "ignored public.slow: a view" in found.stdout
        self.report.check(holds, "init of a running PostgreSQL: runs as it is", f"init: {found.stdout}{found.stderr}{ran.stderr}")
        if not holds:
            return
        config = (work / "config.sql").read_text()
        pattern = r"CREATE EXTERNAL TABLE snapshot\.(.+)\nSTORED AS POSTGRES\nLOCATION .*\nOPTIONS \('table' '(.*)'\);"
        proposed = {of.replace("''", "'"): name.strip('"') for name, of in re.findall(pattern, config)}
        for of in names:
            name = proposed.get(".".join(of))
            files = sorted((work / "out/shop/datalake").rglob(f"{name}/**/*.parquet")) if name else []
            wrong = ["it is not proposed"] if name is None else ["it has no file"]
            if files:
                wrong, _ = database.differences(of, pa.concat_tables([pq.read_table(file, partitioning=None) for file in files]))
            shown = "; ".join(wrong[:SHOWN])
            self.report.check(not wrong, f"init of a running PostgreSQL: {'.'.join(of)} equal", f"init: {'.'.join(of)}: {shown}")
        shutil.rmtree(work)

    def no_export(self, title: str, kind: str, url: str, password_place: str) -> None:
        """What cannot be exported is an error that says so, once and without secrets."""
        without_port = url.replace(url.split("@")[1].split("/")[0], "127.0.0.1:1")
        for what, location, code, words in (
            ("no such table", url, 1, ["no table", "help:"]),
            ("a password in the URL", url.replace("@", ":secret@"), 2, [password_place]),
            ("no server", without_port, 1, ["was not exported", "refused", "help:"]),
        ):
            lake = Lake(self.snaplake, self.folder(), kind, location, {"nothing": "nothing.at_all"})
            missing = [word for word in words if word not in lake.said]
            holds = lake.code == code and not missing and "secret" not in lake.said and not lake.published()
            holds = holds and lake.said.count("127.0.0.1:1/") == (1 if what == "no server" else 0)
            self.report.check(holds, f"{title}, {what}: refused", f"{title}, {what}: without {missing}: {lake.code}, {lake.said}")

    def ended(self, title: str, kind: str, url: str, end) -> None:
        """A connection that ends while rows are read: an error, nothing of it is used, and the next run is whole."""
        work = self.folder()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            run = pool.submit(Lake, self.snaplake, work, kind, url, {"slow": "slow"})
            while not run.done() and not end():
                time.sleep(0.2)
            lake = run.result()
        manifests = list((work / "staging").rglob("live-export.json"))
        holds = lake.code == 1 and "begin again" in lake.said and not lake.published() and not manifests
        done = subprocess.run([self.snaplake, "run", "config.sql", "--quiet"], cwd=work, capture_output=True, text=True, timeout=LONGEST)
        holds = holds and done.returncode == 0 and lake.read("slow").num_rows == 500
        self.report.check(holds, f"{title}: refused, and the next run is whole", f"{title}: {lake.said} {done.stderr}")

    def running_mariadb(self, mariadb: MariaDb) -> None:
        """The server itself: its values, one moment for all tables, and what it cannot give."""
        title = "running MariaDB"
        mariadb.ask(data.RUNNING_MARIADB)
        for schema, tables in (("shop", data.MARIADB_TABLES), ("running", data.RUNNING_TABLES)):
            database = Database(mariadb, schema, [of for of in tables if of[0] == schema])
            database.keeps_all = True
            self.compare(title, "MYSQL", f"mysql://root@127.0.0.1:{mariadb.port}/{schema}", tables_of("running", database), database)
        url = f"mysql://root@127.0.0.1:{mariadb.port}/running"
        self.no_export(title, "MYSQL", url, "MYSQL_PWD")
        self.zero_dates(title, url, mariadb)
        self.secret_user(title, mariadb)
        lake = Lake(self.snaplake, self.folder(), "MYSQL", url, {"plain": None})
        holds = lake.code == 1 and "running.plain" in lake.said and "MyISAM" in lake.said and not lake.published()
        self.report.check(holds, f"{title}, an engine without snapshots: refused", f"{title}, MyISAM: {lake.said}")
        self.one_moment(title, url, mariadb)
        reader = "SELECT id FROM information_schema.processlist WHERE info LIKE '%`slow`%' AND id <> connection_id()"

        def end() -> bool:
            found = mariadb.ask(reader)
            for (number,) in found:
                mariadb.ask(f"KILL CONNECTION {number}")
            return bool(found)

        self.ended(f"{title}, the reader is killed", "MYSQL", url, end)

    def zero_dates(self, title: str, url: str, mariadb: MariaDb) -> None:
        """A zero date is an error that names it; as text it is what the server prints."""
        lake = Lake(self.snaplake, self.folder(), "MYSQL", url, {"zero": None})
        missing = [word for word in ("running.zero", "'d'", "'0000-00-00'", "on_invalid", "d = text") if word not in lake.said]
        self.report.check(lake.code == 1 and not missing and not lake.published(), f"{title}, a zero date: refused", f"{title}, a zero date: {lake.said}")
        columns = "d = text, dt = text, ts = text"
        lake = Lake(self.snaplake, self.folder(), "MYSQL", url, {"zero": None}, {"zero": columns})
        wrong, rows = ([lake.said], 0) if lake.code else Database(mariadb, "running", [("running", "zero")]).differences(("running", "zero"), lake.read("zero"))
        self.report.check(not wrong, f"{title}, zero dates as text: {rows} rows equal", f"{title}, zero dates as text: {wrong[:SHOWN]}")

    def secret_user(self, title: str, mariadb: MariaDb) -> None:
        """A password from the option file or the environment; a wrong one is refused and not shown."""
        mariadb.ask("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'ge # heim'; GRANT SELECT ON running.* TO reader@'127.0.0.1'")
        url = f"mariadb://127.0.0.1:{mariadb.port}/running"
        for what, options, variables, code in (
            ("from ~/.my.cnf", "user = reader\npassword = 'ge # heim' # secret\n", {}, 0),
            ("from MYSQL_PWD", "user = reader\n", {"MYSQL_PWD": "ge # heim"}, 0),
            ("that is wrong", "user = reader\npassword = falsch\n", {}, 1),
        ):
            home = self.folder()
            home.mkdir()
            (home / ".my.cnf").write_text(f"[client]\n{options}")
            (home / ".my.cnf").chmod(0o600)
            work = self.folder()
            lake = Lake(self.snaplake, work, "MYSQL", url, {"hidden": None}, environment={"HOME": str(home), **variables})
            written = [file for file in work.rglob("*") if file.is_file() and b"ge # heim" in file.read_bytes()]
            holds = lake.code == code and not written and "heim" not in lake.said and "falsch" not in lake.said
            holds = holds and (code == 0 or ("Access denied" in lake.said and "help:" in lake.said and not lake.published()))
            self.report.check(holds, f"{title}, a password {what}: {'used' if code == 0 else 'refused'}", f"{title}, a password {what}: {lake.said}")

    def one_moment(self, title: str, url: str, mariadb: MariaDb) -> None:
        """Rows that are written together, all the time, are in both tables or in none; no table is altered meanwhile."""
        work = self.folder()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            run = pool.submit(Lake, self.snaplake, work, "MYSQL", url, {"first": None, "slow": None, "second": None})
            written, altered = 0, None
            while not run.done():
                mariadb.ask("BEGIN; INSERT INTO first VALUES (DEFAULT, 'x'); INSERT INTO second SELECT max(id), 'y' FROM first; COMMIT", "running")
                written += 1
                if altered is None and mariadb.ask("SELECT 1 FROM information_schema.processlist WHERE info LIKE '%`slow`%' AND id <> connection_id()"):
                    try:
                        mariadb.ask("SET lock_wait_timeout = 1; ALTER TABLE second ADD more int", "running")
                        altered = "the table was altered"
                    except NoServer as error:
                        altered = str(error)
            lake = run.result()
        ids = [] if lake.code else [sorted(lake.read(name).column("id").to_pylist()) for name in ("first", "second")]
        holds = lake.code == 0 and ids[0] == ids[1] and ids[0] == list(range(1, len(ids[0]) + 1)) and len(ids[0]) < written
        holds = holds and "Lock wait timeout" in (altered or "")
        self.report.check(
            holds, f"{title}: one moment for all tables while {written} rows are written, and no ALTER TABLE",
            f"{title}, one moment: {lake.said} {[len(found) for found in ids]} of {written} rows; ALTER TABLE: {altered}",
        )  # fmt: skip

    def dump(self, title: str, make, database: Database) -> None:
        kind = "PG_DUMP" if isinstance(database.server, Postgres) else "MYSQL_DUMP"
        folder = self.folder()
        folder.mkdir()
        location = make(folder)
        names = tables_of(title, database)
        self.compare(title, kind, location, names, database)
        wide = {name: named for of, (name, named) in names.items() if of[1] == "wide"}
        if title not in SAME_DAMAGE:
            self.damaged(title, kind, location, wide, lambda copy: broken(title, copy))
        shutil.rmtree(folder)

    def compare(self, title: str, kind: str, location: Path | str, names: dict[tuple[str, str], tuple[str, str]], database: Database) -> None:
        """Each table of a lake with that of the server."""
        work = self.folder()
        lake = Lake(self.snaplake, work, kind, location, dict(names.values()))
        if lake.code != 0:
            self.report.fail(f"{title}: {lake.said}")
        for of, (name, _) in names.items():
            if lake.code != 0 and not any((lake.root / "shop" / name).rglob("_SUCCESS")):
                continue
            wrong, rows = database.differences(of, lake.read(name))
            more = f"; {len(wrong)} in all" if len(wrong) > SHOWN else ""
            self.report.check(
                not wrong, f"{title}: {'.'.join(of)}: {rows} rows equal", f"{title}: {'.'.join(of)}: {'; '.join(wrong[:SHOWN])}{more}"
            )
        shutil.rmtree(work)

    def odd(self, postgres: Postgres, mariadb: MariaDb) -> None:
        """Dumps whose rows are easy to get wrong: the lake is right, or the dump is refused."""
        folder = self.folder()
        folder.mkdir()
        for sql, database in data.ODD_POSTGRES:
            postgres.ask(sql, database)
        mariadb.ask(data.ODD_MARIADB)
        dump = [postgres.tool("pg_dump"), "-d", "odd"]
        server_zone = [mariadb.dump, *mariadb.where(), "--skip-tz-utc", "odd"]
        latin1 = [mariadb.dump, *mariadb.where(), "--default-character-set=latin1", "odd"]
        to_file(postgres, dump, folder / "odd.sql")
        to_file(postgres, [*dump, "--inserts"], folder / "inserts.sql")
        to_file(postgres, [*dump, "-Fc"], folder / "odd.dump")
        to_file(postgres, [postgres.tool("pg_dumpall"), "--exclude-database=shop"], folder / "all.sql")
        to_file(mariadb, server_zone, folder / "zone.sql")
        to_file(mariadb, latin1, folder / "latin1.sql")
        where = ["--host=127.0.0.1", f"--port={mariadb.port}", "--user=root", "--database=odd"]
        mariadb.dump_folder([mariadb.mydumper, *where], folder / "mydumper")
        partitions = [("public", "reordered"), ("public", "middle"), ("public", "middle_1")]
        for server, schema, file, tables in (
            (postgres, "public", "odd.sql", partitions),
            (postgres, "public", "inserts.sql", partitions),
            (postgres, "public", "odd.dump", partitions),
            (postgres, "public", "all.sql", [("public", "twin")]),
            (mariadb, "odd", "zone.sql", [("odd", "zone")]),
            (mariadb, "odd", "latin1.sql", [("odd", "latin")]),
            (mariadb, "odd", "mydumper", [("odd", "latin")]),
        ):
            for of in tables:
                work = self.folder()
                kind = "PG_DUMP" if server is postgres else "MYSQL_DUMP"
                lake = Lake(self.snaplake, work, kind, folder / file, {of[1]: of[1]})
                title = f"odd: {file}: {of[1]}"
                if lake.code != 0:
                    self.report.check(not lake.published() and file in lake.said, f"{title}: refused", f"{title}: {lake.said}")
                else:
                    wrong, rows = Database(server, "odd", [of]).differences(of, lake.read(of[1]))
                    self.report.check(not wrong, f"{title}: {rows} rows equal", f"{title}: {'; '.join(wrong[:SHOWN])}")
                shutil.rmtree(work)
        shutil.rmtree(folder)

    def rds(self) -> None:
        root = self.folder() / "shop-1"
        data.write_rds(root)
        tables = {"orders": "public.orders", "customers": "public.customers"}
        work = self.folder()
        lake = Lake(self.snaplake, work, "RDS_EXPORT", root, tables)
        for name in tables:
            holds = lake.code == 0 and lake.read(name).sort_by("id").equals(data.RDS_ROWS)
            self.report.check(holds, f"RDS: {name}: {len(data.RDS_ROWS)} rows equal", f"RDS: {name}: differs: {lake.said}")
        orders, complete = "shop/public.orders", '"status": "COMPLETE"'
        second = "shop.public.orders" + '", ' + complete

        def cases(root: Path):
            info, first = root / data.RDS_INFO, root / data.RDS_FIRST
            part = root / orders / "2/part-00002-c000.gz.parquet"
            yield "status FAILED", info, edit(info, complete, '"status": "FAILED"')
            yield "status IN_PROGRESS", info, edit(info, complete, '"status": "IN_PROGRESS"')
            yield "a table's status FAILED", first, edit(first, second, second.replace("COMPLETE", "FAILED"))
            yield "no info", "export_info_", lambda: info.unlink()
            yield "no list", "export_tables_info_", lambda: [file.unlink() for file in root.glob("export_tables_info_*")]
            yield "a gap between the lists", "export_tables_info_", lambda: (root / data.RDS_SECOND).unlink()
            yield "no first list", "export_tables_info_", lambda: first.unlink()
            yield "a list cut", first, cut(first, 100)
            yield "a batch without _SUCCESS", f"{orders}/2", lambda: (root / orders / "2/_SUCCESS").unlink()
            yield "the first batch without _SUCCESS", f"{orders}/1", lambda: (root / orders / "1/_SUCCESS").unlink()
            yield "a batch missing", f"{orders}/1", lambda: shutil.rmtree(root / orders / "1")
            yield "a table's folder missing", orders, lambda: shutil.rmtree(root / orders)
            yield "a Parquet file cut", part, cut(part, 300)

        self.damaged("RDS", "RDS_EXPORT", root, {"orders": "public.orders"}, cases)
        shutil.rmtree(work)

    def dynamodb(self) -> None:
        bucket = self.folder()
        root = data.write_dynamodb(bucket)
        work = self.folder()
        lake = Lake(self.snaplake, work, "DYNAMODB_EXPORT", root, {"users": None})
        holds, said = False, lake.said
        if lake.code == 0:
            key = lambda item: item["pk"]  # noqa: E731
            found = sorted((without_nulls(item) for item in lake.read("users").to_pylist()), key=key)
            expected = [without_nulls({name: data.plain(value) for name, value in item.items()}) for item in data.DYNAMODB_ITEMS]
            holds = found == sorted(expected, key=key)
            said = f"{len(found)} items, e.g. {found[:1]}"
        self.report.check(holds, f"DynamoDB: {len(data.DYNAMODB_ITEMS)} items equal", f"DynamoDB: differs: {said}")
        manifests = {name: f"manifest-{name}.json" for name in ("files", "summary")}

        def cases(root: Path):
            files, summary = root / manifests["files"], root / manifests["summary"]
            parts = [root / f"data/{number}abcdefghijklmnopqrstuvwxy.json.gz" for number in range(3)]
            last = parts[2].read_bytes()
            other = gzip.compress(gzip.decompress(last).replace(b"user#200/", b"user#2000/", 1))
            yield "a data file missing", parts[2], lambda: parts[2].unlink()
            yield "the empty data file missing", parts[1], lambda: parts[1].unlink()
            yield "a data file changed", parts[2], lambda: parts[2].write_bytes(other)
            yield "a data file cut", parts[2], lambda: cut(parts[2], parts[2].stat().st_size // 2)()
            yield "two data files exchanged", parts[0], lambda: parts[0].write_bytes(last)
            yield "the empty data file with items", parts[1], lambda: parts[1].write_bytes(other)
            yield "no summary", summary, lambda: summary.unlink()
            yield "no list of files", files, lambda: files.unlink()
            yield "the summary changed, not its MD5", summary, edit(summary, '"itemCount": 500', '"itemCount": 501')
            yield "a wrong itemCount in the summary", summary, rewrite(summary, '"itemCount": 500', '"itemCount": 501')
            yield "a wrong itemCount in the list", files, rewrite(files, '"itemCount": 200', '"itemCount": 201')
            yield "wrong itemCounts in both", parts[0], both(
                rewrite(files, '"itemCount": 200', '"itemCount": 201'), rewrite(summary, '"itemCount": 500', '"itemCount": 501')
            )
            yield "the list of files cut", files, lambda: cut(files, files.stat().st_size // 2)()
            yield "the list without its last file", files, lambda: data.write_manifest(files, "".join(files.read_text().splitlines(True)[:2]))

        self.damaged("DynamoDB", "DYNAMODB_EXPORT", root, {"users": None}, cases)
        shutil.rmtree(work)

    def history(self) -> None:
        """Incremental exports of DynamoDB, merged onto a full one, against a dictionary."""
        for seed in range(4):
            bucket = self.folder()
            folders, expected = data.write_history(bucket, seed)
            lake = Lake(self.snaplake, self.folder(), "DYNAMODB_EXPORT", folders, {"users": None})
            holds, said = False, lake.said
            if lake.code == 0:
                found = {item["v"]: without_nulls(item) for item in lake.read("users").to_pylist()}
                wanted = [without_nulls({name: data.plain(value) for name, value in item.items()}) for item in expected.values()]
                wrong = [(item, found.get(item["v"])) for item in wanted if found.get(item["v"]) != item]
                holds, said = not wrong and len(found) == len(wanted), f"{len(found)} items of {len(wanted)}, wrong: {wrong[:1]}"
            title = f"DynamoDB, merged, seed {seed}"
            self.report.check(holds, f"{title}: {len(expected)} items equal", f"{title}: differs: {said}")
        part = next(folder for folder in folders if folder.name == "part2")
        for what, places, word, damage in [
            ("a hole", [folder for folder in folders if folder.name != "part3"], "T12:00:00.000Z", None),
            ("no full export", [folder for folder in folders if folder.name != "full"], "no export is a full one", None),
            ("a data file of changes missing", folders, "part21.json.gz", lambda: (bucket / "AWSDynamoDB/data/part21.json.gz").unlink()),
            ("a list of files cut", folders, "manifest-files", lambda: cut(part / "manifest-files.json", 100)()),
        ]:  # fmt: skip
            if damage:
                damage()
            lake = Lake(self.snaplake, self.folder(), "DYNAMODB_EXPORT", places, {"users": None})
            holds = lake.code == 1 and word in lake.said and not lake.published()
            self.report.check(holds, f"DynamoDB, merged, {what}: refused", f"DynamoDB, merged, {what}: {lake.said}")

    def prove(self, title: str, make, server: Server) -> None:
        """One value changed, one row removed and one added after the dump: each is found, and nothing else."""
        folder = self.folder()
        folder.mkdir()
        location = make(folder)
        table = ("public" if isinstance(server, Postgres) else "shop", "wide")
        work, kind = self.folder(), "PG_DUMP" if isinstance(server, Postgres) else "MYSQL_DUMP"
        lake = Lake(self.snaplake, work, kind, location, {"wide": "wide", "texts": "texts"})
        if lake.code != 0:
            self.report.fail(f"{title}: {lake.said}")
            return
        texts = (table[0], "texts")
        changes = [
            ("UPDATE wide SET t = '' WHERE id = 5", table, ["key '5', column t: '' in the database, NULL in the lake"]),
            ("UPDATE wide SET t = NULL WHERE id = 5", table, []),
            ("UPDATE wide SET n = n + 0.001 WHERE id = 7", table, ["key '7', column n: '1.001' in the database, '1.000' in the lake"]),
            ("UPDATE wide SET n = n - 0.001 WHERE id = 7", table, []),
            ("DELETE FROM texts WHERE id = 3", texts, ["row too many: key '3'"]),
            ("INSERT INTO texts (id, t) VALUES (2000, 'x')", texts, ["row missing: key '2000'", "row too many: key '3'"]),
        ]
        for sql, of, expected in changes:
            server.ask(sql, "shop")
            wrong, _ = Database(server, "shop", [of]).differences(of, lake.read(of[1]))
            self.report.check(wrong == expected, f"{title}: {sql}: finds {wrong}", f"{title}: {sql}: finds {wrong[:SHOWN]}, not {expected}")
        # What is whole and published must not count as refused.
        wrong = self.refusal(kind, location, {"wide": "wide"}, location.name)
        said = f"{title}: a whole dump that is said to be broken: finds {wrong}"
        self.report.check(wrong.startswith("not refused; published ") and "wide" in wrong, said)


def without_nulls(value):
    """JSON as it was: a column that not all items have is NULL in the others."""
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return value


def rewrite(file: Path, old: str, new: str):
    """Changes a manifest together with its MD5."""

    def damage() -> None:
        edit(file, old, new)()
        data.write_manifest(file, file.read_text())

    return damage


def both(*damages):
    return lambda: [damage() for damage in damages]


def start(servers: list[Server]) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for started in [pool.submit(server.start) for server in servers]:
            started.result()
    postgres, mariadb = servers
    postgres.ask("CREATE DATABASE shop")
    postgres.ask(data.postgres_sql(), "shop")
    mariadb.ask(data.mariadb_sql())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snaplake", required=True, type=Path)
    parser.add_argument("--prove", action="store_true", help="shows that the comparison can fail")
    parser.add_argument("--only", default="", help="only exports whose name has this in it")
    arguments = parser.parse_args()
    # So that servers stop when this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Nothing here waits for ever: a run that hangs is a failure.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not done after {5 * LONGEST} s"))
    signal.alarm(5 * LONGEST)
    report, servers = Report(), []
    folder = Path(tempfile.mkdtemp(prefix="snaplake-exports-"))
    # Servers that do not run as root have to get at their folders.
    folder.chmod(0o755)
    try:
        servers = [Postgres(folder / "postgres"), MariaDb(folder / "mariadb")]
        start(servers)
        postgres, mariadb = servers
        (folder / "work").mkdir(mode=0o700)
        check = Check(arguments.snaplake.resolve(), folder / "work", report)
        if arguments.prove:
            check.prove("pg_dump -Fc", postgres_dumps(postgres)["pg_dump -Fc"], postgres)
            check.prove("mysqldump", mariadb_dumps(mariadb)["mysqldump"], mariadb)
        else:
            for server, dumps, tables in (
                (postgres, postgres_dumps(postgres), data.POSTGRES_TABLES), (mariadb, mariadb_dumps(mariadb), data.MARIADB_TABLES)
            ):  # fmt: skip
                database = Database(server, "shop", tables)
                for title, make in dumps.items():
                    if arguments.only in title:
                        check.dump(title, make, database)
            if arguments.only in "running PostgreSQL":
                check.running(postgres, Database(postgres, "shop", data.POSTGRES_TABLES))
            if arguments.only in "running MariaDB":
                check.running_mariadb(mariadb)
            if arguments.only in "odd":
                check.odd(postgres, mariadb)
            for title, of_tree in (("RDS", check.rds), ("DynamoDB", check.dynamodb), ("DynamoDB, merged", check.history)):
                if arguments.only in title:
                    of_tree()
    except NoServer as error:
        report.fail(str(error))
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
