"""PostgreSQL and MariaDB for check_exports.py: started on 127.0.0.1 with data in a folder of their own, asked, stopped."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

PLACES = "/usr/local/sbin:/usr/sbin:/sbin"
PATIENCE = 60  # seconds for a server to start or stop


class NoServer(Exception):
    pass


def find(*names: str, folder: Path | None = None) -> str:
    """The first of these programs that there is, in a folder or in PATH."""
    path = str(folder) if folder else os.pathsep.join((os.environ.get("PATH", os.defpath), PLACES))
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise NoServer(f"no {' or '.join(names)}: install the packages postgresql, mariadb-server and mydumper")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(command: list[str], data: bytes | None = None, **more) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True, **more)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise NoServer(f"{Path(command[0]).name} ended with {done.returncode}: {said[-2000:]}")
    return done.stdout


class Server:
    """A server process of ours, with `folder` for all it writes. Not as root, if we are that."""

    account = ""

    def __init__(self, folder: Path):
        self.folder, self.process, self.port = folder, None, 0
        folder.mkdir()
        self.user = {}
        if os.geteuid() == 0:
            try:
                entry = pwd.getpwnam(self.account)
            except KeyError:
                raise NoServer(f"no account {self.account}, which its package makes") from None
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        # No settings of whoever runs this.
        self.environment = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        self.environment |= {"HOME": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def start(self) -> None:
        """Its folder must be one that its account can get at."""
        self.install()
        for attempt in range(3):
            self.port = free_port()
            log = self.folder / f"server-{attempt}.log"
            with log.open("wb") as out:
                self.process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder,
                    env=self.environment, start_new_session=True, **self.user,
                )  # fmt: skip
            end = time.monotonic() + PATIENCE
            while self.process.poll() is None and time.monotonic() < end:
                try:
                    self.ask("SELECT 1")
                    return
                except NoServer:
                    time.sleep(0.1)
            # Somebody else may have taken the port in between.
            self.stop()
        raise NoServer(f"{type(self).__name__} does not start: {log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def run(self, command: list[str], data: bytes | None = None) -> bytes:
        return call(command, data, env=self.environment | self.client_environment())

    def dump_folder(self, command: list[str], folder: Path) -> None:
        """Runs mydumper into `folder`. Version 0.10 now and then waits for its own threads for ever, so it is tried again."""
        for attempt in range(3):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                call([*command, f"--outputdir={folder}"], env=self.environment | self.client_environment(), timeout=30)
                return
            except subprocess.TimeoutExpired:
                print(f"mydumper did not end in 30 s, attempt {attempt + 1}")
        raise NoServer("mydumper did not end in three attempts")

    def client_environment(self) -> dict[str, str]:
        return {}


class Postgres(Server):
    account = "postgres"
    stop_signal = 2  # SIGINT: fast shutdown

    def __init__(self, folder: Path):
        installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
        # Debian's wrappers in PATH choose a version themselves.
        self.bin = newest.parent if newest else Path(find("postgres")).resolve().parent
        super().__init__(folder)

    def tool(self, name: str) -> str:
        return find(name, folder=self.bin)

    def install(self) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        call([self.tool("initdb"), "-D", str(self.folder / "data"), *options], cwd=self.folder, env=self.environment, **self.user)

    def command(self) -> list[str]:
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=64MB", "timezone=UTC"]
        options = [part for setting in settings for part in ("-c", setting)]
        return [self.tool("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *options]

    def client_environment(self) -> dict[str, str]:
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGTZ": "UTC"}

    def ask(self, sql: str, database: str = "postgres") -> list[list[str]]:
        """Rows of text without tabs and newlines."""
        out = self.run([self.tool("psql"), "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"], sql.encode())
        return [line.split("\t") for line in out.decode().splitlines()]

    def columns(self, database: str, schema: str, table: str) -> list[tuple[str, str, bool]]:
        """Name, type, and whether it is generated."""
        return [(bytes.fromhex(name).decode(), kind, generated == "t") for name, kind, generated in self.ask(f"""
            SELECT encode(convert_to(attname, 'UTF8'), 'hex'), atttypid::regtype, attgenerated <> '' FROM pg_attribute
            WHERE attrelid = format('%I.%I', {quoted(schema)}, {quoted(table)})::regclass AND attnum > 0 AND NOT attisdropped
            ORDER BY attnum""", database)]  # fmt: skip

    def rows(self, database: str, schema: str, table: str) -> list[list[bytes | None]]:
        """All rows, each value as the bytes of the server's own text of it."""
        # format() calls the type's output function, as COPY does. A row of NULLs IS NULL, but is none.
        def text(name: str) -> str:
            column = identifier(name)
            return rf"CASE WHEN num_nulls({column}) = 0 THEN encode(convert_to(format('%s', {column}), 'UTF8'), 'hex') ELSE 'N' END"

        names = [name for name, _, _ in self.columns(database, schema, table)]
        table_itself = f"oid = format('%I.%I', {quoted(schema)}, {quoted(table)})::regclass AND relkind = 'r'"
        # A partitioned table has no rows but those of its partitions, one that others inherit from has its own.
        only = "ONLY" if self.ask(f"SELECT 1 FROM pg_class WHERE {table_itself}", database) else ""
        query = f"SELECT {', '.join(map(text, names))} FROM {only} {identifier(schema)}.{identifier(table)}"
        return [[unhex(value) for value in row] for row in self.ask(query, database)]


class MariaDb(Server):
    account = "mysql"
    stop_signal = 15

    def __init__(self, folder: Path):
        self.client, self.dump = find("mariadb", "mysql"), find("mariadb-dump", "mysqldump")
        self.server, self.installer = find("mariadbd", "mysqld"), find("mariadb-install-db", "mysql_install_db")
        self.mydumper = find("mydumper")
        super().__init__(folder)

    def install(self) -> None:
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        command = [self.installer, "--no-defaults", f"--datadir={self.folder / 'data'}", *options]
        call(command, cwd=self.folder, env=self.environment, **self.user)

    def command(self) -> list[str]:
        return [
            self.server, "--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}", "--bind-address=127.0.0.1",
            f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}", "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=64M",
            "--default-time-zone=+00:00", "--skip-name-resolve", "--skip-log-bin",
        ]  # fmt: skip

    def where(self) -> list[str]:
        return ["--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=root"]

    def ask(self, sql: str, database: str = "mysql") -> list[list[str]]:
        """Rows of text without tabs and newlines."""
        options = ["--default-character-set=utf8mb4", "--init-command=SET time_zone = '+00:00'", "--batch", "--raw", "--skip-column-names", "--max-allowed-packet=64M"]
        out = self.run([self.client, *self.where(), *options, database], sql.encode())
        return [line.split("\t") for line in out.decode().splitlines()]

    def columns(self, database: str, schema: str, table: str) -> list[tuple[str, str, bool]]:
        """Name, type, and whether it is generated."""
        return [(bytes.fromhex(name).decode(), kind, generated == "1") for name, kind, generated in self.ask(f"""
            SELECT hex(column_name), data_type, is_generated = 'ALWAYS' FROM information_schema.columns
            WHERE table_schema = {quoted(schema)} AND table_name = {quoted(table)} ORDER BY ordinal_position""")]  # fmt: skip

    def rows(self, database: str, schema: str, table: str) -> list[list[bytes | None]]:
        """All rows, each value as the bytes of the server's own text of it; binary ones as they are."""
        binary = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point"}

        def text(name: str, kind: str) -> str:
            column = tick(name)
            # A FLOAT prints six digits; as a DOUBLE it has all.
            number = f"{column} + 0" if kind == "bit" else f"CAST({column} AS DOUBLE)" if kind == "float" else column
            value = column if kind in binary else number
            value = value if kind in binary else f"CAST({value} AS CHAR CHARACTER SET utf8mb4)"
            return f"IF({column} IS NULL, 'N', HEX({value}))"

        columns = ", ".join(text(name, kind) for name, kind, _ in self.columns(database, schema, table))
        return [[unhex(value) for value in row] for row in self.ask(f"SELECT {columns} FROM {tick(schema)}.{tick(table)}")]


def unhex(text: str) -> bytes | None:
    return None if text == "N" else bytes.fromhex(text)


def quoted(text: str) -> str:
    """A literal of plain text."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def tick(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
