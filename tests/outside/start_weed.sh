#!/usr/bin/env bash
# One SeaweedFS S3 server on loopback, for tests only: key test, secret testtest, or the keys of tests/it/secrets.rs.
#
#     start_weed.sh DIR S3PORT BASEPORT [WEED]
#
# BASEPORT and the six ports above it are taken too. Returns when the server answers; its pid is in DIR/weed.pid.
# Stop it with kill -9 (it takes half a minute over a plain kill), then remove DIR.
set -euo pipefail
dir=$1 port=$2 base=$3 weed=${4:-weed}
mkdir -p "$dir/data"
cat > "$dir/s3.json" <<JSON
{"identities": [{"name": "test", "credentials": [
                    {"accessKey": "test", "secretKey": "testtest"},
                    {"accessKey": "SNAPKEYZULU0123456789",
                     "secretKey": "snapsecretalpha/snapsecretbravo+snapsecretcharlie/"}],
                 "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}
JSON
setsid nohup "$weed" server -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
    -master.port="$base" -master.port.grpc=$((base + 1)) -volume.port=$((base + 2)) -volume.port.grpc=$((base + 3)) \
    -filer.port=$((base + 4)) -filer.port.grpc=$((base + 5)) -master.volumeSizeLimitMB=256 -volume.max=0 \
    -s3 -s3.port="$port" -s3.port.grpc=$((base + 6)) -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam=false \
    -s3.localSocket="$dir/s3.sock" -s3.config="$dir/s3.json" > "$dir/weed.log" 2>&1 < /dev/null &
pid=$!
echo "$pid" > "$dir/weed.pid"
for _ in $(seq 120); do
    # Any answer will do: without a signature the server says 403.
    if (exec 3<> "/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && grep -q '^HTTP/' <&3) 2> /dev/null; then
        exit 0
    fi
    if ! kill -0 "$pid" 2> /dev/null; then
        break
    fi
    sleep 0.5
done
echo "the S3 server did not start; the end of its log:" >&2
tail -n 20 "$dir/weed.log" >&2
kill -9 "$pid" 2> /dev/null || true
exit 1
