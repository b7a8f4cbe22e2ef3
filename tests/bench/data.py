"""Makes the data sets, each once: a folder that is there is complete and is used again.

    data.py lineitem|csv|shuffled|small FOLDER SCALE      TPC-H lineitem of that scale factor, by tpchgen-cli
    data.py partitions FOLDER ROWS PARTITIONS             a table of one's own with many partitions

A folder is made beside its place and moved there at the end. Everything is deterministic: no clock, no random numbers.
Run as a child of the benchmark (it loads DuckDB); only `Data` is for importing.
"""

import gzip
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PARTS = 40  # files of a snapshot table, as exports have dozens to thousands
SMALL_FILES = 10_000  # files of 20 KB that lineitem of scale factor 1 is cut into
GZIP_LEVEL = 6  # what gzip and most exports use

LINEITEM = {
    "l_orderkey": "BIGINT",
    "l_partkey": "BIGINT",
    "l_suppkey": "BIGINT",
    "l_linenumber": "INT",
    "l_quantity": "DECIMAL(15,2)",
    "l_extendedprice": "DECIMAL(15,2)",
    "l_discount": "DECIMAL(15,2)",
    "l_tax": "DECIMAL(15,2)",
    "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR",
    "l_shipdate": "DATE",
    "l_commitdate": "DATE",
    "l_receiptdate": "DATE",
    "l_shipinstruct": "VARCHAR",
    "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}


@dataclass(frozen=True)
class Data:
    """One data set: what `data.py` is told to make, and what a program has to know to read it."""

    kind: str
    scale: float = 0  # TPC-H scale factor
    rows: int = 0  # kind partitions
    partitions: int = 0

    @property
    def format(self) -> str:
        return "csv" if self.kind == "csv" else "parquet"

    @property
    def name(self) -> str:
        if self.kind == "partitions":
            return f"partitions-{self.rows}-{self.partitions}"
        return f"sf{self.scale:g}" if self.kind == "lineitem" else f"sf{self.scale:g}-{self.kind}"

    def folder(self, work: Path) -> Path:
        return work / self.name / ("wide" if self.kind == "partitions" else "lineitem")

    def files(self, work: Path) -> str:
        return str(self.folder(work) / ("*.csv.gz" if self.format == "csv" else "*.parquet"))

    def truth(self) -> "Data":
        """The data set that holds the same rows in the plainest form; what every output is compared with."""
        return Data("lineitem", self.scale) if self.kind in ("csv", "small") else self

    def made_from(self) -> "Data":
        return Data("lineitem", self.scale) if self.kind == "shuffled" else self

    def arguments(self, work: Path) -> list[str]:
        numbers = [self.rows, self.partitions] if self.kind == "partitions" else [self.scale]
        return [self.kind, str(self.folder(work)), *(f"{number:.12g}" for number in numbers)]


def tpchgen(folder: Path, scale: str, parts: int, format: str = "parquet", *more: str) -> None:
    """Writes below `folder`/lineitem."""
    beside = Path(sys.executable).with_name("tpchgen-cli")
    command = [str(beside) if beside.exists() else "tpchgen-cli", format, "-q", "-s", scale, "--tables=lineitem"]
    subprocess.run([*command, f"--parts={parts}", f"--output-dir={folder}", *more], check=True)


def make_lineitem(folder: Path, scale: str) -> None:
    tpchgen(folder.parent, scale, PARTS)


def make_small(folder: Path, scale: str) -> None:
    tpchgen(folder.parent, scale, max(1, round(SMALL_FILES * float(scale))))


def make_csv(folder: Path, scale: str) -> None:
    """With a header line in each file, as `format.has_header` is by default."""

    def one(part: int) -> None:
        tpchgen(folder.parent, scale, PARTS, "csv", f"--part={part}", "--num-threads=1")
        plain = folder / f"lineitem.{part}.csv"
        with open(plain, "rb") as source, open(f"{plain}.gz", "wb") as target:
            with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as packed:
                shutil.copyfileobj(source, packed, 1 << 20)
        plain.unlink()

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # zlib works outside of Python's lock
        list(pool.map(one, range(1, PARTS + 1)))


def make_shuffled(folder: Path, scale: str) -> None:
    """The rows of lineitem, each in a file that chance chose, at a place that chance chose: no order left to use."""
    import duckdb

    source = Data("shuffled", float(scale)).made_from()
    rows = f"read_parquet('{source.files(folder.parents[1])}')"
    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    folder.mkdir(parents=True)
    for part in range(PARTS):
        con.execute(
            f"COPY (SELECT * FROM {rows} WHERE hash(l_orderkey, l_linenumber) % {PARTS} = {part} "
            f"ORDER BY hash(l_linenumber, l_orderkey)) "
            f"TO '{folder}/lineitem.{part + 1}.parquet' (FORMAT parquet, COMPRESSION snappy)"
        )


def make_partitions(folder: Path, rows: str, partitions: str) -> None:
    """Table wide(id, part, amount, happened, note): each file has rows of nearly all partitions, in no order."""
    import duckdb

    con = duckdb.connect()
    folder.mkdir(parents=True)
    files = 20
    each = int(rows) // files
    for file in range(files):
        con.execute(
            f"""COPY (
                SELECT id, CAST(hash(id) % {partitions} AS INTEGER) AS part,
                       CAST(hash(id, 1) % 10000000 / 100 AS DECIMAL(12, 2)) AS amount,
                       TIMESTAMP '2026-01-01' - to_seconds(CAST(hash(id, 2) % 31536000 AS BIGINT)) AS happened,
                       CASE WHEN id % 10 <> 0 THEN md5(CAST(id AS VARCHAR)) END AS note
                FROM range({file * each}, {(file + 1) * each}) AS numbers(id)
            ) TO '{folder}/wide.{file + 1}.parquet' (FORMAT parquet, COMPRESSION snappy)"""
        )


MAKERS = {
    "lineitem": make_lineitem,
    "csv": make_csv,
    "shuffled": make_shuffled,
    "small": make_small,
    "partitions": make_partitions,
}


def main() -> None:
    kind, place, *numbers = sys.argv[1:]
    folder = Path(place)
    if folder.exists():
        return
    made = folder.parents[1] / f"{folder.parent.name}.making" / folder.name
    shutil.rmtree(made.parent, ignore_errors=True)
    made.parent.mkdir(parents=True)
    print(f"making {folder.parent.name}", file=sys.stderr, flush=True)
    MAKERS[kind](made, *numbers)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made.rename(folder)
    made.parent.rmdir()


if __name__ == "__main__":
    main()
