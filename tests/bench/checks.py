"""Is an output the source, whole and unchanged, in the partitions and the order that were asked for?

    checks.py CHECK_JSON      {"source", "computed", "partitioned_by", "sorted_by", "root", "marker", "cache"}

Prints a JSON object {"problems": [...], "rows": N}. DuckDB reads the output as any user would, with Hive partitioning.
Per partition it compares the number of rows, a sum of hashes over whole rows (order does not matter; multiplicity and which
values stand together do), and such a sum per column, which tells the column to blame. Column names and types must be those
of the source. Every file (of many thousands, evenly spaced ones) must be sorted. It does not look at how files are encoded:
footers.py does. Run as a child of the benchmark: it loads DuckDB and pyarrow.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SHOWN = 3  # differences that a message shows
SORT_SAMPLE = 5_000  # files that are read to see whether they are sorted


def connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    con.execute("SET memory_limit = '6GB'; SET preserve_insertion_order = false")
    return con


def name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def summary(columns: dict[str, str], keys: list[str], rows: str) -> str:
    """A query: per partition the number of rows, the sum of row hashes, the sum of hashes of each column."""
    cast = {column: f"CAST({name(column)} AS {kind})" for column, kind in columns.items()}
    sums = [f"sum(hash({value})) AS {name('c:' + column)}" for column, value in cast.items()]
    return (
        f"SELECT {''.join(f'{cast[key]} AS {name(key)}, ' for key in keys)}count(*) AS n, "
        f"sum(hash({', '.join(cast.values())})) AS whole, {', '.join(sums)} FROM {rows} GROUP BY ALL"
    )


def described(con, rows: str) -> dict[str, str]:
    return {column: kind for column, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}


def expected_view(check: dict) -> str:
    computed = "".join(f", CAST({part}(l_shipdate) AS INT) AS {name(key)}" for key, part in check["computed"].items())
    return f"(SELECT *{computed} FROM read_parquet('{check['source']}'))"


def expect(con, check: dict) -> dict[str, str]:
    """Table `expected`: the summary of the source, kept in a file for the next program. Returns its columns."""
    source = expected_view(check)
    columns = described(con, source)
    kept = Path(check["cache"]) if check.get("cache") else None
    if kept is None or not kept.exists():
        con.execute(f"CREATE TABLE expected AS {summary(columns, check['partitioned_by'], source)}")
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            con.execute(f"COPY expected TO '{kept}' (FORMAT parquet)")
    else:
        con.execute(f"CREATE TABLE expected AS SELECT * FROM read_parquet('{kept}', hive_partitioning = false)")
    return columns


def wrong_columns(columns: dict[str, str], actual: dict[str, str], keys: list[str]) -> list[str]:
    # A folder above the table is a partition for DuckDB too; the types of partition columns are DuckDB's guess.
    surplus = [column for column in actual if column not in columns and column != "snapshot"]
    problems = [f"no column {column}" for column in columns if column not in actual]
    problems += [f"a column {column} that the source lacks" for column in surplus]
    problems += [
        f"column {column} has type {actual[column]}, not {kind}"
        for column, kind in columns.items()
        if column in actual and column not in keys and actual[column] != kind
    ]
    return problems


def wrong_rows(con, columns: dict[str, str], keys: list[str], rows: str) -> list[str]:
    con.execute(f"CREATE TABLE actual AS {summary(columns, keys, rows)}")
    want, have = (con.execute(f"SELECT coalesce(sum(n), 0) FROM {table}").fetchone()[0] for table in ("expected", "actual"))
    problems = [] if want == have else [f"{have:,} rows, not {want:,}"]

    same = " AND ".join(f"e.{name(key)} IS NOT DISTINCT FROM a.{name(key)}" for key in keys) or "true"
    joined = f"FROM expected AS e FULL JOIN actual AS a ON {same}"
    which = "".join(f"coalesce(e.{name(key)}, a.{name(key)}), " for key in keys)
    counts = con.execute(f"SELECT {which}e.n, a.n {joined} WHERE e.n IS DISTINCT FROM a.n ORDER BY ALL").fetchall()
    for *values, e, a in counts[:SHOWN]:
        partition = "/".join(f"{key}={value}" for key, value in zip(keys, values))
        problems.append(f"partition {partition} has {a or 0:,} rows, not {e or 0:,}")
    if len(counts) > SHOWN:
        problems.append(f"so have {len(counts) - SHOWN:,} more partitions")

    for column in columns:
        sums = f"e.{name('c:' + column)} IS DISTINCT FROM a.{name('c:' + column)}"
        differ = con.execute(f"SELECT count(*) {joined} WHERE {sums}").fetchone()[0]
        if differ:
            problems.append(f"values of column {column} differ in {differ:,} partitions")
    whole = con.execute(f"SELECT count(*) {joined} WHERE e.whole IS DISTINCT FROM a.whole").fetchone()[0]
    if whole and not problems:
        problems.append(f"values are there, but in other rows, in {whole:,} partitions")
    return problems


def sorted_file(path: str, column: str) -> bool:
    """NULL is nowhere allowed: no data set has one in the column that it is sorted by."""
    last = None
    for batch in pq.ParquetFile(path).iter_batches(batch_size=1 << 20, columns=[column]):
        values = batch.column(0)
        if values.null_count:
            return False
        if len(values) == 0:
            continue
        if last is not None and values[0].as_py() < last:
            return False
        if len(values) > 1 and pc.any(pc.less(values.slice(1), values.slice(0, len(values) - 1))).as_py():
            return False
        last = values[len(values) - 1].as_py()
    return True


def unsorted_files(files: list[Path], column: str) -> list[str]:
    step = max(1, len(files) // SORT_SAMPLE)
    bad = [path for path in files[::step] if not sorted_file(str(path), column)]
    if not bad:
        return []
    return [f"{len(bad):,} of {len(files[::step]):,} files are not sorted by {column}, such as {'/'.join(bad[0].parts[-3:])}"]


def run(check: dict) -> dict:
    root, keys = Path(check["root"]), list(check["partitioned_by"])
    files = sorted(root.rglob("*.parquet"))
    if not files:
        return {"problems": ["no Parquet file at all"], "rows": 0}
    problems = []
    others = sorted(path.name for path in root.rglob("*") if path.is_file() and path.suffix != ".parquet")
    if check["marker"] and others != [check["marker"]]:
        problems.append(f"files besides the data are {others[:SHOWN]}, not one {check['marker']}")

    con = connect()
    columns = expect(con, check)
    rows = f"read_parquet('{root}/**/*.parquet', hive_partitioning = true)"
    try:
        wrong = wrong_columns(columns, described(con, rows), keys)
        missing = [said for said in wrong if said.startswith("no column")]
        problems += wrong + ([] if missing else wrong_rows(con, columns, keys, rows))
    except duckdb.Error as error:
        problems.append(f"DuckDB cannot read it: {error}")
    if check["sorted_by"]:
        try:
            problems += unsorted_files(files, check["sorted_by"])
        except (pa.ArrowException, KeyError) as error:
            problems.append(f"pyarrow cannot read it: {error}")
    total = con.execute("SELECT sum(n) FROM expected").fetchone()[0]
    return {"problems": problems, "rows": int(total)}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
