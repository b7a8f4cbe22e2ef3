"""What the checks share: a local folder or an s3:// prefix as a tree of files, three readers, one comparison."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlparse

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs


class Report:
    """Prints a line per thing checked; the exit code says whether all of them held."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, holds: bool, said: str, else_said: str = "") -> bool:
        if holds:
            self.passed += 1
            print(said, flush=True)
        else:
            self.failed += 1
            print(f"FAILED {else_said or said}", flush=True)
        return holds

    def fail(self, said: str) -> None:
        self.check(False, said)

    def finish(self) -> None:
        if self.passed + self.failed == 0:
            self.fail("nothing was checked")
        print(f"{self.passed} held, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def give_up(said: str) -> None:
    print(f"FAILED {said}", flush=True)
    sys.exit(1)


class Tree:
    """A folder or an s3:// prefix. S3 is found through the usual AWS_* variables."""

    def __init__(self, root: str):
        self.remote = root.startswith("s3://")
        if self.remote:
            url = urlparse(root)
            self.root = (url.netloc + url.path).rstrip("/")
            self.fs = fs.S3FileSystem(**s3_options())
        else:
            self.root = str(Path(root).resolve())
            self.fs = fs.LocalFileSystem()
            if not os.path.isdir(self.root):
                give_up(f"{root}: no such folder")

    def files(self, under: str = "") -> dict[str, int]:
        """Path below `under` -> bytes, in order."""
        base = "/".join(part for part in (self.root, under) if part)
        found = self.fs.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
        return {f.path[len(base) + 1 :]: f.size for f in sorted(found, key=lambda f: f.path) if f.is_file}

    def below(self, under: str) -> "Tree":
        tree = object.__new__(Tree)
        tree.remote, tree.fs, tree.root = self.remote, self.fs, f"{self.root}/{under}"
        return tree

    def open(self, path: str):
        return self.fs.open_input_file(f"{self.root}/{path}")

    def copy(self) -> str:
        """A local folder with the same files (the folder itself when it is local)."""
        if not self.remote:
            return self.root
        target = tempfile.mkdtemp(prefix="snaplake-check-")
        atexit.register(shutil.rmtree, target, ignore_errors=True)
        for path in self.files():
            local = Path(target) / path
            local.parent.mkdir(parents=True, exist_ok=True)
            with self.open(path) as data:
                local.write_bytes(data.read())
        return target


def s3_endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def s3_region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def s3_options() -> dict:
    endpoint = s3_endpoint()
    if endpoint is None:
        return {"region": s3_region()}
    url = urlparse(endpoint)
    return {"region": s3_region(), "endpoint_override": url.netloc, "scheme": url.scheme}


def s3_client():
    import boto3

    return boto3.client("s3", region_name=s3_region(), endpoint_url=s3_endpoint())


def connect() -> duckdb.DuckDBPyConnection:
    """DuckDB as it was installed: it must not fetch extensions."""
    return duckdb.connect(config={"autoinstall_known_extensions": "false"})


def hive_columns(path: str) -> list[str]:
    """The partition columns that the folders of a path name."""
    return [part.split("=", 1)[0] for part in path.split("/")[:-1] if "=" in part]


# --- readers: the lake as someone else's program sees it, with that program's own idea of Hive partitions -------------


def read_duckdb(tree: Tree) -> pa.Table:
    root = tree.copy().replace("'", "''")
    query = f"SELECT * FROM read_parquet('{root}/**/*.parquet', hive_partitioning = true)"
    return connect().sql(query).to_arrow_table()


def read_pyarrow(tree: Tree) -> pa.Table:
    return ds.dataset(tree.root, filesystem=tree.fs, format="parquet", partitioning="hive").to_table()


def read_polars(tree: Tree) -> pa.Table:
    if not tree.remote:
        return pl.scan_parquet(tree.root, hive_partitioning=True).collect().to_arrow()
    options = {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": s3_region(),
    }
    if endpoint := s3_endpoint():
        options |= {"aws_endpoint_url": endpoint, "aws_allow_http": "true"}
    return pl.scan_parquet(f"s3://{tree.root}/", hive_partitioning=True, storage_options=options).collect().to_arrow()


READERS = {"duckdb": read_duckdb, "pyarrow": read_pyarrow, "polars": read_polars}


# --- comparison ------------------------------------------------------------------------------------------------------


def compare(report: Report, con, name: str, reader: str, expected: str, actual: pa.Table) -> None:
    """Holds `actual` against the DuckDB table `expected`: columns, NULLs per column, and all rows with their multiplicity.

    Values are cast to the types of `expected`; a reader may see a partition column as a wider integer than it is.
    """
    columns = dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE {expected})").fetchall())
    missing = [column for column in columns if column not in actual.column_names]
    if missing:
        report.fail(f"{name}: the lake has no column {', '.join(missing)} ({reader})")
        return
    # Folders above the table are partitions for DuckDB: `snapshot` is one of them, a column of the table is not.
    surplus = [column for column in actual.column_names if column not in columns and column != "snapshot"]
    if surplus:
        report.fail(f"{name}: the lake has a column too many: {', '.join(surplus)} ({reader})")

    con.register("lake_rows", actual)
    cast = ", ".join(f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind in columns.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE actual AS SELECT {cast} FROM lake_rows")
    con.unregister("lake_rows")

    want_count = con.execute(f"SELECT count(*) FROM {expected}").fetchone()[0]
    have_count = con.execute("SELECT count(*) FROM actual").fetchone()[0]
    lost = con.execute(f"SELECT * FROM {expected} EXCEPT ALL SELECT * FROM actual").fetchall()
    gained = con.execute(f"SELECT * FROM actual EXCEPT ALL SELECT * FROM {expected}").fetchall()
    report.check(
        want_count == have_count and not lost and not gained,
        f"{name}: {have_count} rows equal ({reader})",
        f"{name}: {have_count} rows in the lake, {want_count} in the source; "
        f"{len(lost)} rows only in the source, e.g. {lost[:2]}; "
        f"{len(gained)} rows only in the lake, e.g. {gained[:2]} ({reader})",
    )

    nulls = ", ".join(f'count(*) - count("{column}")' for column in columns)
    want = dict(zip(columns, con.execute(f"SELECT {nulls} FROM {expected}").fetchone()))
    have = dict(zip(columns, con.execute(f"SELECT {nulls} FROM actual").fetchone()))
    wrong = [f"{column} has {have[column]} NULLs, not {want[column]}" for column in columns if want[column] != have[column]]
    report.check(
        not wrong,
        f"{name}: NULL counts equal in {len(columns)} columns, {sum(want.values())} NULLs in all ({reader})",
        f"{name}: {'; '.join(wrong)} ({reader})",
    )


def read_and_compare(report: Report, con, name: str, expected: str, tree: Tree) -> None:
    for reader, read in READERS.items():
        try:
            actual = read(tree)
        except Exception as error:  # a reader that cannot read is a finding, whatever it raises
            report.fail(f"{name}: {reader} cannot read the lake: {type(error).__name__}: {error}")
            continue
        try:
            compare(report, con, name, reader, expected, actual)
        except duckdb.Error as error:
            report.fail(f"{name}: values do not compare: {error} ({reader})")
