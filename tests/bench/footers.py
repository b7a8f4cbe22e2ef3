"""Are published files of the shape that readers want? Reads footers only; whether the rows are right is checks.py's.

    footers.py CHECK_JSON      {"root", "sorted_by", "target_file_size"}

Prints {"problems": [...], "facts": {...}}. Asked for are
* file sizes between 75 % and 180 % of the target, in each partition that is large enough for one such file; one file in
  the others;
* row groups of 64 MB uncompressed or more (of 75 % of the target, where that is smaller), but for the last of a file;
* sorting_columns that name the order, a page index, and statistics with minimum, maximum and NULL count in every chunk.
Run as a child of the benchmark: it loads pyarrow.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

SMALLEST, LARGEST = 0.75, 1.80  # of the target size
ROW_GROUP_BYTES = 64_000_000


def wrong_sizes(sizes: dict[str, list[int]], target: int) -> list[str]:
    """`sizes`: partition -> bytes of its files."""
    problems = []
    for partition, files in sizes.items():
        if sum(files) < SMALLEST * target:
            if len(files) > 1:
                problems.append(f"{partition}: {len(files)} files, of {sum(files):,} bytes together")
        else:
            odd = [size for size in files if not SMALLEST * target <= size <= LARGEST * target]
            if odd:
                problems.append(f"{partition}: files of {', '.join(f'{size:,}' for size in odd[:3])} bytes; target {target:,}")
    return summed(problems, "partitions have files of the wrong size")


def summed(problems: list[str], what: str) -> list[str]:
    return [f"{len(problems):,} {what}, such as {problems[0]}"] if problems else []


def has_statistics(chunk) -> bool:
    found = chunk.statistics
    if found is None or not found.has_null_count:
        return False
    return found.has_min_max or found.null_count == chunk.num_values


def order_of(group, names: list[str]) -> list[str]:
    return [names[column.column_index] for column in group.sorting_columns]


def run(check: dict) -> dict:
    root, wanted = Path(check["root"]), check["sorted_by"]
    floor = min(ROW_GROUP_BYTES, SMALLEST * check["target_file_size"])
    sizes, groups, small = defaultdict(list), [], []
    unordered, unindexed, unknown = [], [], []
    for path in sorted(root.rglob("*.parquet")):
        shown = "/".join(path.relative_to(root).parts[-3:])
        sizes["/".join(path.parent.relative_to(root).parts[-2:])].append(path.stat().st_size)
        footer = pq.read_metadata(path)
        names = [footer.schema.column(index).path for index in range(footer.num_columns)]
        rows = [footer.row_group(index) for index in range(footer.num_row_groups)]
        groups += [group.total_byte_size for group in rows]
        if any(group.total_byte_size < floor for group in rows[:-1]):
            small.append(shown)
        if wanted and any(order_of(group, names)[:1] != [wanted] for group in rows):
            unordered.append(shown)
        chunks = [group.column(index) for group in rows for index in range(group.num_columns)]
        if not all(chunk.has_offset_index and chunk.has_column_index for chunk in chunks):
            unindexed.append(shown)
        if not all(has_statistics(chunk) for chunk in chunks):
            unknown.append(shown)

    files = [size for partition in sizes.values() for size in partition]
    if not files:
        return {"problems": ["no Parquet file at all"], "facts": {}}
    problems = wrong_sizes(sizes, check["target_file_size"])
    problems += summed(small, f"files have row groups of less than {floor / 1e6:g} MB before the last")
    problems += summed(unordered, f"files do not say in sorting_columns that they are sorted by {wanted}")
    problems += summed(unindexed, "files have no page index")
    problems += summed(unknown, "files lack statistics")

    def share(bad: list[str]) -> str:
        return "all" if not bad else "none" if len(bad) == len(files) else f"all but {len(bad):,}"

    facts = {
        "files": f"{len(files):,}",
        "file MB": f"{min(files) / 1e6:.1f}-{max(files) / 1e6:.1f}",
        "row groups": f"{len(groups):,}",
        "row group MB": f"{min(groups) / 1e6:.1f}-{max(groups) / 1e6:.1f}",
        "sorting_columns": share(unordered) if wanted else "",
        "page index": share(unindexed),
        "statistics": share(unknown),
    }
    return {"problems": problems, "facts": facts}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
