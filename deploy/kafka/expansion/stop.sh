#!/usr/bin/env bash
# Stops the expansion service that start.sh has started in the same EXPANSION_DATA.
set -euo pipefail
data=${EXPANSION_DATA:-$(cd "$(dirname "$0")" && pwd)/../../../.cache/kafka/expansion-data}
pid=$(cat "$data/expansion.pid" 2>/dev/null || true)
if [ -z "$pid" ] || ! ps -ww -p "$pid" -o args= | grep ExpansionService >/dev/null; then
  rm -f "$data/expansion.pid"
  echo "kafka-expansion: not running"
  exit 0
fi
kill "$pid" 2>/dev/null || true
for _ in $(seq 200); do
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
kill -9 "$pid" 2>/dev/null || true
rm -f "$data/expansion.pid"
echo "kafka-expansion: stopped"
