#!/usr/bin/env python3
"""Does the Python package s3manifesto read every manifest below a staging root, and compute what the summary says?

    check_manifests.py ROOT        a folder or s3://bucket/prefix

For each summary: ManifestFile.read of the package reads it and its data file; fingerprint, size and n_record computed by
the package from the data file equal those of the summary; each listed file exists with its size (and, on S3, its etag).
The package speaks S3 only. For a local root it gets a client that answers from files; the rest is its own code.
"""

import io
import json
import os
import re
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from s3manifesto.api import ManifestFile

from common import Report, Tree, s3_client

STEPS = {"snapshot", "snapshot-file-groups", "staging-file-groups", "partition-file-groups", "datalake-file-groups"}
SUMMARY_KEYS = {"manifest", "size", "n_record", "fingerprint", "details"}
DATA_COLUMNS = ["uri", "etag", "size", "n_record"]
PATH = re.compile(
    r"(?P<table>.+)/snapshot=[^/]+/manifests/"
    r"(manifest-summary\.json|(?P<step>[^/]+)/manifest-summary/manifest-summary-(?P<number>[1-9][0-9]*)\.json)"
)


class LocalClient:
    """The one call of an S3 client that reading takes; `file:///a/b` is bucket '' and key 'a/b' to s3manifesto."""

    def get_object(self, Bucket: str, Key: str) -> dict:
        if Bucket:
            raise ValueError(f"not a file:// URL: {Bucket}/{Key}")
        return {"Body": io.BytesIO(Path("/" + Key).read_bytes())}


def stat(client, uri: str) -> tuple[int, str | None]:
    """Size and, where the store's etags mean something outside of it, etag of a listed file."""
    if uri.startswith("file:///"):
        return os.stat(uri.removeprefix("file://")).st_size, None
    if uri.startswith("s3://"):
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        head = (s3_client() if isinstance(client, LocalClient) else client).head_object(Bucket=bucket, Key=key)
        return head["ContentLength"], head["ETag"].strip('"')
    raise ValueError("neither file:/// nor s3://")


def wrong_in(client, uri_summary: str, raw: dict) -> list[str]:
    wrong = []
    if set(raw) != SUMMARY_KEYS:
        wrong.append(f"keys {sorted(raw)}, not {sorted(SUMMARY_KEYS)}")
    if not isinstance(raw.get("details"), dict) or raw["details"].get("version") != 2:
        wrong.append('no "version": 2 in details')
    said = ManifestFile.read(uri_summary, client)
    wanted = uri_summary.replace("manifest-summary", "manifest-data").removesuffix("json") + "parquet"
    if said.uri != wanted:
        wrong.append(f"manifest is {said.uri}, not {wanted}")

    files = said.data_file_list
    for file in files:
        if list(file)[:4] != DATA_COLUMNS:
            return wrong + [f"columns begin with {list(file)[:4]}, not {DATA_COLUMNS}"]
    if len({file["uri"] for file in files}) != len(files):
        wrong.append("a uri is listed twice")

    # The package adds up; it leaves a sum out when there is no file, or a file whose number is not known.
    computed = ManifestFile.new(said.uri, uri_summary, data_file_list=files)
    for key in ("size", "n_record"):
        want = getattr(computed, key) if files else 0
        if getattr(said, key) != want:
            wrong.append(f"{key} is {getattr(said, key)}, computed {want}")
    if said.fingerprint != computed.fingerprint:
        wrong.append(f"fingerprint is {said.fingerprint}, computed {computed.fingerprint}")

    for file in files:
        try:
            size, etag = stat(client, file["uri"])
        except Exception as error:
            wrong.append(f"{file['uri']}: {type(error).__name__}: {error}")
            continue
        if size != file["size"]:
            wrong.append(f"{file['uri']} has {size} bytes, listed with {file['size']}")
        if etag is not None and etag != file["etag"]:
            wrong.append(f"{file['uri']} has etag {etag}, listed with {file['etag']}")
    return wrong


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tree = Tree(sys.argv[1])
    client = s3_client() if tree.remote else LocalClient()
    scheme = "s3://" if tree.remote else "file://"
    report = Report()
    groups = defaultdict(list)  # (table, step) -> [(number, path)]
    for path in tree.files():
        is_trace = path.rsplit("/", 1)[-1].startswith(("failed-", "running-"))
        if "/manifests/" in path and path.endswith(".json") and "manifest-summary" in path and not is_trace:
            match = PATH.fullmatch(path)
            if match is None:
                report.fail(f"{path}: not where a manifest summary belongs")
                continue
            groups[match["table"], match["step"] or "snapshot"].append((int(match["number"] or 1), path))

    for (table, step), manifests in sorted(groups.items()):
        manifests.sort()
        wrong = [] if step in STEPS else [f"no such step: {step}"]
        if [number for number, _ in manifests] != list(range(1, len(manifests) + 1)):
            wrong.append(f"numbers {[number for number, _ in manifests]} do not run from 1")
        n_file = 0
        for _, path in manifests:
            try:
                with tree.open(path) as source:
                    raw = json.loads(source.read())
                wrong += [f"{path}: {what}" for what in wrong_in(client, f"{scheme}{tree.root}/{path}", raw)]
                n_file += len(ManifestFile.read(f"{scheme}{tree.root}/{path}", client).data_file_list)
            except Exception as error:
                wrong.append(f"{path}: cannot be read: {type(error).__name__}: {error}")
        report.check(
            not wrong,
            f"{table} {step}: {len(manifests)} manifests, {n_file} files equal (s3manifesto {version('s3manifesto')})",
            f"{table} {step}: " + "; ".join(wrong[:5]) + (f"; {len(wrong)} in all" if len(wrong) > 5 else ""),
        )
    for table in sorted({table for table, _ in groups}):
        missing = STEPS - {step for found, step in groups if found == table}
        if missing:
            report.fail(f"{table}: no manifest of {', '.join(sorted(missing))}")
    report.finish()


if __name__ == "__main__":
    main()
