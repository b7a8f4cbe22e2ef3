#!/usr/bin/env python3
"""Do other readers see the partition values that were written, when these are as awkward as they get?

    check_hostile_keys.py LAKE_DIR EXPECTED_NDJSON

LAKE_DIR is the folder of a lake that holds one table with columns id BIGINT and k, text, its partition column (or any
folder above that table). EXPECTED_NDJSON holds the same rows, one {"id": ..., "k": ...} per line.
"""

import sys
from urllib.parse import quote

from common import Report, Tree, connect, give_up, read_and_compare


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tree = Tree(sys.argv[1])
    files = [path for path in tree.files() if path.endswith(".parquet")]
    roots = set()
    for path in files:
        above, _, below = f"/{path}".partition("/k=")
        if below:
            roots.add(above.removeprefix("/"))
    if len(roots) != 1:
        give_up(f"{sys.argv[1]}: {len(roots)} tables with folders k=..., not one: {sorted(roots)}")
    root = roots.pop()
    lake = tree.below(root) if root else tree

    report = Report()
    con = connect()
    source = sys.argv[2].replace("'", "''")
    con.execute(
        f"CREATE TABLE expected AS SELECT id, k FROM read_json('{source}', format = 'newline_delimited', "
        "columns = {id: 'BIGINT', k: 'VARCHAR'})"
    )
    read_and_compare(report, con, "hostile keys", "expected", lake)

    values = con.execute("SELECT count(*) FROM (SELECT DISTINCT k FROM expected)").fetchone()[0]
    folders = {path.rpartition("/")[0] for path in lake.files() if path.endswith(".parquet")}
    report.check(
        len(folders) == values,
        f"hostile keys: {values} values, {values} folders",
        f"hostile keys: {values} values, {len(folders)} folders: {sorted(folders)}",
    )
    # Spark takes each byte of %C3%A9 for a character; all others read UTF-8 too. What the XML of S3 would change has to be encoded.
    changed = [*map(chr, range(0x80, 0xA0)), "\u2028", "\u2029", "\ufffe", "\uffff"]

    def rest(folder: str) -> str:
        for character in changed:
            folder = folder.replace(quote(character), "")
        return folder

    encoded = sorted(folder for folder in folders if any(f"%{byte:02X}" in rest(folder) for byte in range(0x80, 0x100)))
    report.check(not encoded, "hostile keys: UTF-8 in folders is not encoded", f"hostile keys: encoded UTF-8 in {encoded}")
    report.finish()


if __name__ == "__main__":
    main()
