"""An export read, or written as Parquet, by one of the peers, as well as it can: one fresh process per run.

    peer_exports.py duckdb|polars|clickhouse|postgres JOB_JSON      {"kind", "source", "columns", "out", "job", "largest"}

`clickhouse` is chdb, its library for Python. `postgres` loads a table that is not logged and has no index, in a server of its own
that is started here; it has no other way to read its formats, and writes no Parquet.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROW_GROUP_ROWS = 524_288


def duckdb(job: dict) -> None:
    import duckdb

    con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    con.execute("SET preserve_insertion_order = false; SET threads = 1")
    of_csv = ", ".join(f"'{name}': '{kind}'" for name, kind in job["columns"].items())
    rows = "*"
    match job["kind"]:
        case "copy_csv":
            source = f"read_csv('{job['source']}', header = true, columns = {{{of_csv}}})"
        case "copy_text":
            source = f"read_csv('{job['source']}', delim = '\t', quote = '', escape = '', nullstr = '\\N', columns = {{{of_csv}}})"
        case "dynamodb":
            number = {"BIGINT", "INT", "DECIMAL(15,2)"}
            item = ", ".join(f"{name} STRUCT({'N' if kind in number else 'S'} VARCHAR)" for name, kind in job["columns"].items())
            rows = ", ".join(
                f"CAST(Item.{name}.{'N' if kind in number else 'S'} AS {kind}) AS {name}" for name, kind in job["columns"].items()
            )
            files = f"{job['source']}/data/*.json.gz"
            source = f"read_json('{files}', format = 'newline_delimited', columns = {{Item: 'STRUCT({item})'}})"
        case other:
            raise ValueError(other)
    if job["job"] == "read":
        print(con.execute(f"SELECT {job['largest']} FROM (SELECT {rows} FROM {source})").fetchall())
        return
    con.execute(
        f"COPY (SELECT {rows} FROM {source}) TO '{job['out']}/lineitem.parquet' "
        f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )


def polars(job: dict) -> None:
    import polars as pl
    from peer_polars import TYPES

    schema = {name: TYPES[kind] for name, kind in job["columns"].items()}
    match job["kind"]:
        case "copy_csv":
            rows = pl.scan_csv(job["source"], schema=schema)
        case "copy_text":
            rows = pl.scan_csv(job["source"], schema=schema, has_header=False, separator="\t", quote_char=None, null_values="\\N")
        case "dynamodb":
            of = {name: "N" if kind not in ("VARCHAR", "DATE") else "S" for name, kind in job["columns"].items()}
            item = pl.Struct({name: pl.Struct({of[name]: pl.String}) for name in schema})
            texts = {name: pl.col("Item").struct.field(name).struct.field(of[name]) for name in schema}
            values = [
                (text.str.to_date("%Y-%m-%d") if schema[name] == pl.Date else text.cast(schema[name])).alias(name)
                for name, text in texts.items()
            ]
            rows = pl.scan_ndjson(f"{job['source']}/data/*.json.gz", schema={"Item": item}).select(values)
        case "avro":
            rows = pl.read_avro(job["source"]).lazy()
        case other:
            raise ValueError(other)
    if job["job"] == "read":
        print(rows.select(pl.len(), pl.all().max()).collect(engine="streaming"))
        return
    rows.sink_parquet(
        f"{job['out']}/lineitem.parquet", compression="zstd", compression_level=3, statistics="full",
        row_group_size=ROW_GROUP_ROWS, maintain_order=False, engine="streaming",
    )  # fmt: skip


def clickhouse(job: dict) -> None:
    import chdb

    of = {"BIGINT": "Int64", "INT": "Int32", "DECIMAL(15,2)": "Decimal(15,2)", "VARCHAR": "String", "DATE": "Date32"}
    structure = ", ".join(f"{name} Nullable({of[kind]})" for name, kind in job["columns"].items())
    format = {"copy_csv": "CSVWithNames", "copy_text": "TSV", "mysqldump": "MySQLDump", "avro": "Avro"}[job["kind"]]
    source = f"file('{job['source']}', '{format}'{'' if job['kind'] == 'avro' else f', {chr(39)}{structure}{chr(39)}'})"
    settings = (
        "max_threads = 1, output_format_parquet_compression_method = 'zstd', output_format_compression_level = 3, "
        f"output_format_parquet_row_group_size = {ROW_GROUP_ROWS}, engine_file_truncate_on_insert = 1"
    )
    if job["job"] == "read":
        print(chdb.query(f"SELECT {job['largest']} FROM {source} SETTINGS max_threads = 1"))
        return
    target = f"file('{job['out']}/lineitem.parquet', 'Parquet')"
    chdb.query(f"INSERT INTO FUNCTION {target} SELECT * FROM {source} SETTINGS {settings}")


def postgres(job: dict) -> None:
    sys.path.append(str(Path(__file__).parents[1] / "outside"))
    from export_files import psql, server
    from export_servers import Postgres

    os.environ["TMPDIR"] = tempfile.gettempdir()
    with server(Postgres) as running:
        if job["kind"] == "pg_dump":
            running.ask("DROP TABLE lineitem", "bench")
        before = time.perf_counter()
        if job["kind"] == "pg_dump":
            running.run([running.tool("pg_restore"), "--no-owner", "--dbname=bench", job["source"]])
        else:
            running.ask("ALTER TABLE lineitem SET UNLOGGED", "bench")
            psql(running, rf"\copy lineitem FROM '{job['source']}' (FORMAT binary)")
        took = time.perf_counter() - before
    Path(job["out"], "seconds").write_text(str(took))


if __name__ == "__main__":
    {"duckdb": duckdb, "polars": polars, "clickhouse": clickhouse, "postgres": postgres}[sys.argv[1]](json.loads(sys.argv[2]))
