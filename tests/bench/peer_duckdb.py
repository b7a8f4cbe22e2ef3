"""The job done by DuckDB, as well as it can: one fresh process per run.

    peer_duckdb.py JOB_JSON        what programs.Job says, as JSON

Choices, each tried against the others with DuckDB 2.0.0 on lineitem:
* COPY with ORDER_BY (new in 2.0) sorts each file. SELECT ... ORDER BY does not: with several threads, PARTITION_BY loses
  the order inside of files (84 of 84 were unsorted), and SET threads = 1, the usual way out, leaves the other cores idle.
* The default memory limit (80 % of the machine). With 4 GB it spills at scale factor 5 and takes more than twice as long.
* preserve_insertion_order = false: the source's own order means nothing here, and DuckDB is faster without it.
* ROW_GROUP_SIZE 524,288 rows: row groups as large as the others write (64 MB and more uncompressed); it costs no time.
* FILE_SIZE_BYTES is the target size of the other programs; without it a partition's file grows without bound.
"""

import json
import sys

import duckdb

ROW_GROUP_ROWS = 524_288


def main() -> None:
    job = json.loads(sys.argv[1])
    con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    con.execute("SET preserve_insertion_order = false")
    if job["format"] == "csv":
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in job["columns"].items())
        source = f"read_csv('{job['files']}', header = true, delim = ',', quote = '\"', columns = {{{columns}}})"
    else:
        source = f"read_parquet('{job['files']}')"
    computed = "".join(f", CAST({part}(l_shipdate) AS INT) AS {name}" for name, part in job["computed"].items())
    options = [
        "FORMAT parquet",
        f"PARTITION_BY ({', '.join(job['partitioned_by'])})",
        "COMPRESSION zstd",
        "COMPRESSION_LEVEL 3",
        f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}",
        f"FILE_SIZE_BYTES {job['target_file_size']}",
    ]
    if job["sorted_by"]:
        options.append(f"ORDER_BY ({job['sorted_by']})")
    con.execute(f"COPY (SELECT *{computed} FROM {source}) TO '{job['out']}' ({', '.join(options)})")


if __name__ == "__main__":
    main()
