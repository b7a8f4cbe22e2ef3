#!/usr/bin/env bash
# Fills tests/fuzz/corpus with small real files: the shipped configs and data, and what the main job makes of them.
#
#     cargo run --release -- run configs/nycflights13.sql && tests/fuzz/seed.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
corpus=tests/fuzz/corpus

# seed TARGET FILE...
seed() {
    local target=$1 number=0 file
    shift
    mkdir -p "$corpus/$target"
    for file in "$@"; do
        cp "$file" "$corpus/$target/seed-$((number += 1))-$(basename "$file")"
    done
    echo "$target: $number"
}

# smallest COUNT FOLDER PATTERN
smallest() {
    find "$2" -type f -name "$3" -printf '%s %p\n' | sort -n | head -n "$1" | cut -d ' ' -f 2-
}

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for file in tests/data/nycflights13/flights/part-00000.csv.gz tests/data/nycflights13/airports/airports.ndjson.gz; do
    gzip -dc "$file" > "$unpacked/whole"
    head -n 40 "$unpacked/whole" > "$unpacked/$(basename "$file" .gz)"
done
rm "$unpacked/whole"
gzip -k "$unpacked/part-00000.csv"
grep -v 'snaplake.models' configs/nycflights13.sql | cat - sql/nycflights13/*.sql > "$unpacked/whole.sql"

mapfile -t configs < <(find configs sql tests/slt tests/data -name '*.sql')
mapfile -t summaries < <(smallest 12 target/demo/staging 'manifest-summary*.json')
mapfile -t manifests < <(smallest 12 target/demo/staging 'manifest-data*.parquet')
mapfile -t staged < <(smallest 4 target/demo/staging '[0-9]*.parquet')
mapfile -t published < <(smallest 8 target/demo/datalake '*.parquet')
mapfile -t packed < <(smallest 4 tests/data/nycflights13 '*.csv.zst')
mkdir -p "$corpus/partition_path"
seed config "$unpacked/whole.sql" "${configs[@]}"
seed manifest_json "${summaries[@]}"
seed manifest_parquet "${manifests[@]}"
seed snapshot_parquet tests/data/nycflights13/airlines.parquet "${staged[@]}" "${published[@]}"
seed snapshot_text "$unpacked/part-00000.csv" "$unpacked/airports.ndjson"
python3 tests/fuzz/seed_exports.py "$unpacked"
for target in snapshot_typed snapshot_documents snapshot_pg_binary snapshot_dialects export_dump; do
    seed "$target" "$unpacked/$target"/*
done
seed snapshot_packed "$unpacked/part-00000.csv.gz" "${packed[@]}"
