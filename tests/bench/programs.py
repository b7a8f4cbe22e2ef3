"""The programs under comparison: how each is told to do a job. Knows command lines and snaplake's config; runs nothing."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from data import LINEITEM, Data

HERE = Path(__file__).parent
TARGET_FILE_SIZE = 128_000_000


@dataclass(frozen=True)
class Job:
    """What every program has to do: read all rows, write them partitioned (and each file sorted), zstd level 3."""

    data: Data
    partitioned_by: tuple[str, ...]
    sorted_by: str | None = None
    computed: dict[str, str] = field(default_factory=dict)  # partition column -> part of l_shipdate it is

    @property
    def table(self) -> str:
        return "wide" if self.data.kind == "partitions" else "lineitem"


YEAR_MONTH = {"y": "year", "m": "month"}


def year_month(data: Data, sorted_by: str | None) -> Job:
    return Job(data, tuple(YEAR_MONTH), sorted_by, YEAR_MONTH)


def by_day(data: Data, sorted_by: str | None) -> Job:
    return Job(data, ("l_shipdate",), sorted_by)


@dataclass(frozen=True)
class Place:
    """Where a program reads and writes: local folders, or prefixes s3://bucket/..."""

    source: str  # folder of the snapshot files
    out: str

    def lake(self, program: "Program") -> str:
        """What holds the published files (somewhere below)."""
        return f"{self.out}/lake" if program.kind == "snaplake" else self.out


@dataclass(frozen=True)
class Program:
    """One row of the report."""

    label: str
    kind: str  # snaplake, polars or duckdb
    flags: tuple[str, ...] = ()  # more arguments of snaplake
    target_file_size: int = TARGET_FILE_SIZE
    on_s3: bool = False

    def command(self, job: Job, place: Place, snaplake: Path, config: Path) -> list[str]:
        """Writes snaplake's config, if it is snaplake, and returns what to run."""
        if self.kind == "snaplake":
            config.write_text(snaplake_config(job, place, self.target_file_size))
            return [str(snaplake), "run", str(config), "--format", "json", *self.flags]
        pattern = "*.csv.gz" if job.data.format == "csv" else "*.parquet"
        told = {
            "format": job.data.format,
            "files": f"{place.source}/{pattern}",
            "columns": LINEITEM,
            "computed": job.computed,
            "partitioned_by": job.partitioned_by,
            "sorted_by": job.sorted_by,
            "target_file_size": self.target_file_size,
            "out": place.out,
        }
        return [sys.executable, str(HERE / f"peer_{self.kind}.py"), json.dumps(told)]


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def snaplake_config(job: Job, place: Place, target_file_size: int) -> str:
    """Defaults everywhere, but for what the job demands. Staging is always written: that is what snaplake does."""
    computed = "".join(f", CAST({part}(l_shipdate) AS INT) AS {name}" for name, part in job.computed.items())
    columns = ", ".join(f"{name} {kind}" for name, kind in LINEITEM.items())
    declared = f" ({columns})" if job.data.format == "csv" else ""
    options = " OPTIONS ('format.has_header' 'true')" if job.data.format == "csv" else ""
    parts = ", ".join(text(name) for name in job.partitioned_by)
    partitioned = f"partitioned_by = ARRAY[{parts}]," if parts else ""
    order = f"sorted_by = ARRAY[{text(job.sorted_by)}]," if job.sorted_by else ""
    return f"""SET snaplake.database      = 'bench';
SET snaplake.snapshot_time = '2026-01-01T00:00:00Z';
SET snaplake.staging       = {text(place.out + "/staging")};
SET snaplake.datalake      = {text(place.out + "/lake")};

CREATE EXTERNAL TABLE snapshot.{job.table}{declared}
STORED AS {job.data.format.upper()} LOCATION {text(place.source + "/")}{options};

CREATE TABLE lake.{job.table}
WITH (
  {partitioned}
  {order}
  write_compression = 'zstd',
  compression_level = 3,
  target_file_size  = {target_file_size}
) AS
SELECT *{computed} FROM snapshot.{job.table};
"""
