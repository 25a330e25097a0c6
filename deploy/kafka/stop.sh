#!/usr/bin/env bash
# Stops the broker that start.sh has started in the same KAFKA_DATA. Its topics stay.
set -euo pipefail
data=${KAFKA_DATA:-$(cd "$(dirname "$0")" && pwd)/../../.cache/kafka/data}
pid=$(cat "$data/broker.pid" 2>/dev/null || true)
if [ -z "$pid" ] || ! ps -ww -p "$pid" -o args= | grep kafka.Kafka >/dev/null; then
  rm -f "$data/broker.pid"
  echo "kafka: not running"
  exit 0
fi
kill "$pid" 2>/dev/null || true
for _ in $(seq 200); do
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
if kill -9 "$pid" 2>/dev/null; then
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
fi
rm -f "$data/broker.pid"
echo "kafka: stopped"
