#!/usr/bin/env bash
# A BigQuery and a Cloud Storage for development and tests, in the foreground. `make
# bigquery-emulator` installs them. What they hold is gone when they stop.
#   deploy/bigquery/emulator.sh            both; prints what clients need in their environment
#   deploy/bigquery/emulator.sh bigquery   one of them
#   deploy/bigquery/emulator.sh storage
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${BIGQUERY_EMULATOR:-$root/.cache/bigquery/venv}
rest=${BIGQUERY_PORT:-9050} grpc=${BIGQUERY_GRPC_PORT:-9060} storage=${STORAGE_PORT:-9023}
folder=${STORAGE_FOLDER:-}

if [ ! -x "$venv/bin/bqemulator" ]; then
	echo "the BigQuery emulator is not installed: run make bigquery-emulator" >&2
	exit 1
fi

bigquery() {
	# DuckDB takes its extensions from its home. Ours is beside the packages that bring them.
	export HOME=$venv/home
	mkdir -p "$HOME"
	"$venv/bin/python" -c '
from duckdb_extensions import import_extension
for name in ("spatial", "avro"):
    import_extension(name)'
	export BQEMU_GCS_LOCAL_ROOT=$folder
	exec "$venv/bin/bqemulator" start --rest-port "$rest" --grpc-port "$grpc" --ephemeral \
		--project "${BIGQUERY_PROJECT:-test-project}" --log-level warning --log-format console
}

storage() {
	export STORAGE_BASE=$folder STORAGE_DIR=.
	exec "$venv/bin/gcp-storage-emulator" start --host 127.0.0.1 --port "$storage" --quiet
}

case ${1:-both} in
bigquery) bigquery ;;
storage) storage ;;
both)
	own=$(mktemp -d)
	folder=${folder:-$own}
	trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$own"' EXIT
	trap 'exit 143' INT TERM
	(bigquery) &
	(storage) &
	echo "export BIGQUERY_EMULATOR_HOST=http://127.0.0.1:$rest"
	echo "export BIGQUERY_STORAGE_EMULATOR_HOST=127.0.0.1:$grpc"
	echo "export STORAGE_EMULATOR_HOST=http://127.0.0.1:$storage"
	wait -n
	;;
*)
	echo "usage: $0 [bigquery|storage]" >&2
	exit 2
	;;
esac
