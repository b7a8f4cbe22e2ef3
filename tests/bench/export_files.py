"""Makes one large export of each kind, by the program whose kind it is where that can be installed.

    export_files.py KIND FOLDER SCALE      below FOLDER; a folder KIND that is there is complete

lineitem is the source, as Parquet by tpchgen-cli. PostgreSQL writes copy_csv, copy_text, copy_binary and pg_dump, MariaDB
mysqldump, Polars avro. dynamodb is written here, in the layout that AWS documents. Run as a child of the benchmark: it loads
DuckDB and Polars, and starts servers on loopback.
"""

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from data import LINEITEM, tpchgen

sys.path.append(str(Path(__file__).parents[1] / "outside"))
from export_servers import MariaDb, Postgres, find  # noqa: E402

PARTS = 8  # files of the source, and of the export of DynamoDB
COLUMNS = ", ".join(f"{name} {kind}" for name, kind in LINEITEM.items()).replace("VARCHAR", "VARCHAR(44)")
POSTGRES = {
    "copy_csv": ("lineitem.csv", "FORMAT csv, HEADER"),
    "copy_text": ("lineitem.txt", "FORMAT text"),
    "copy_binary": ("lineitem.bin", "FORMAT binary"),
}


@contextmanager
def server(kind: type):
    """A running server with table lineitem, empty, in database bench."""
    folder = Path(tempfile.mkdtemp(prefix="snaplake-bench-"))
    folder.chmod(0o755)
    running = kind(folder / "server")
    try:
        running.start()
        running.ask("CREATE DATABASE bench")
        running.ask(f"CREATE TABLE lineitem ({COLUMNS})", "bench")
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)


def rows_as_csv(source: Path, target: Path, delimiter: str = ",") -> None:
    import duckdb

    duckdb.connect().execute(
        f"COPY (SELECT * FROM read_parquet('{source}/*.parquet')) TO '{target}' (FORMAT csv, HEADER false, DELIMITER '{delimiter}')"
    )


def load(postgres: Postgres, source: Path, folder: Path) -> None:
    plain = folder / "rows.csv"
    rows_as_csv(source, plain)
    psql(postgres, rf"\copy lineitem FROM '{plain}' (FORMAT csv)")
    plain.unlink()


def psql(postgres: Postgres, command: str) -> None:
    postgres.run([postgres.tool("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", "bench", "-c", command])


def of_postgres(kind: str, source: Path, folder: Path) -> None:
    with server(Postgres) as postgres:
        load(postgres, source, folder)
        if kind == "pg_dump":
            postgres.run([postgres.tool("pg_dump"), "-Fc", "-f", str(folder / "lineitem.dump"), "bench"])
        else:
            file, options = POSTGRES[kind]
            psql(postgres, rf"\copy lineitem TO '{folder / file}' ({options})")


def of_mariadb(source: Path, folder: Path) -> None:
    with server(MariaDb) as mariadb:
        plain = folder / "rows.csv"
        rows_as_csv(source, plain, "\t")
        statement = f"LOAD DATA LOCAL INFILE '{plain}' INTO TABLE lineitem"
        mariadb.run([mariadb.client, *mariadb.where(), "--local-infile", "bench", "-e", statement])
        plain.unlink()
        dump = folder / "lineitem.sql"
        mariadb.run([find("mariadb-dump", "mysqldump"), *mariadb.where(), "--single-transaction", f"--result-file={dump}", "bench"])


def of_polars(source: Path, folder: Path) -> None:
    import polars as pl

    # Polars has no decimals in Avro.
    rows = pl.scan_parquet(f"{source}/*.parquet").with_columns(pl.col(pl.Decimal).cast(pl.Float64))
    doubles = source.with_name("lineitem_doubles")
    doubles.mkdir(exist_ok=True)
    rows.sink_parquet(doubles / "lineitem.parquet")
    rows.collect(engine="streaming").write_avro(folder / "lineitem.avro", compression="snappy", name="lineitem")


def of_dynamodb(source: Path, folder: Path) -> None:
    import duckdb

    name = "01693685827463-2d8752fd"
    root = folder / "AWSDynamoDB" / name
    (root / "data").mkdir(parents=True)
    of = {"BIGINT": "N", "INT": "N", "DECIMAL(15,2)": "N"}
    fields = ", ".join(f"{column} := struct_pack({of.get(kind, 'S')} := CAST({column} AS VARCHAR))" for column, kind in LINEITEM.items())
    files = []
    for part, parquet in enumerate(sorted(source.glob("*.parquet"))):
        plain = root / "data" / f"{part}.json"
        query = f"SELECT to_json(struct_pack(Item := struct_pack({fields}))) AS line FROM read_parquet('{parquet}')"
        # No character is the delimiter or a quote: the lines are written as they are.
        duckdb.connect().execute(f"COPY ({query}) TO '{plain}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')")
        data = plain.read_bytes()
        plain.unlink()
        packed = gzip.compress(data, 6, mtime=0)
        key = f"AWSDynamoDB/{name}/data/{hashlib.md5(str(part).encode()).hexdigest()[:26]}.json.gz"
        (folder / key).write_bytes(packed)
        digest = hashlib.md5(packed)
        files.append({
            "itemCount": data.count(b"\n"), "md5Checksum": base64.b64encode(digest.digest()).decode(),
            "etag": f"{digest.hexdigest()}-1", "dataFileS3Key": key,
        })  # fmt: skip
    summary = {
        "version": "2020-06-30", "exportArn": f"arn:aws:dynamodb:us-east-1:123456789012:table/lineitem/export/{name}",
        "startTime": "2026-03-31T06:00:00.000Z", "endTime": "2026-03-31T06:10:00.000Z",
        "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/lineitem", "tableId": "1", "exportTime": "2026-03-31T05:59:00.000Z",
        "s3Bucket": "bucket", "s3Prefix": None, "s3SseAlgorithm": "AES256", "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"AWSDynamoDB/{name}/manifest-files.json", "billedSizeBytes": 1,
        "itemCount": sum(file["itemCount"] for file in files), "outputFormat": "DYNAMODB_JSON", "exportType": "FULL_EXPORT",
    }  # fmt: skip
    for file, content in (("manifest-files", "".join(json.dumps(file) + "\n" for file in files)), ("manifest-summary", json.dumps(summary))):
        (root / f"{file}.json").write_text(content)
        (root / f"{file}.md5").write_text(base64.b64encode(hashlib.md5(content.encode()).digest()).decode())


def main() -> None:
    kind, place, scale = sys.argv[1:]
    data = Path(place)
    source, made = data / "lineitem", data / f"{kind}.making"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    print(f"making {kind}", file=sys.stderr, flush=True)
    if kind == "lineitem":
        tpchgen(made, scale, PARTS)
        (made / "lineitem").rename(source)
        made.rmdir()
        return
    if kind in POSTGRES or kind == "pg_dump":
        of_postgres(kind, source, made)
    else:
        {"mysqldump": of_mariadb, "avro": of_polars, "dynamodb": of_dynamodb}[kind](source, made)
    made.rename(data / kind)


if __name__ == "__main__":
    main()
