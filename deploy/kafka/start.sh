#!/usr/bin/env bash
# Starts a Kafka broker of one node on this machine and waits until it answers.
#   KAFKA_LIBS             the folder of the jars            (.cache/kafka/libs)
#   KAFKA_DATA             topics, log and process id        (.cache/kafka/data)
#   KAFKA_PORT             where clients connect             (9092)
#   KAFKA_CONTROLLER_PORT  where the node talks to itself    (KAFKA_PORT + 1)
#   KAFKA_PROPERTIES       a file of further or other settings
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache/kafka
libs=${KAFKA_LIBS:-$cache/libs}
data=${KAFKA_DATA:-$cache/data}
port=${KAFKA_PORT:-9092}
controller=${KAFKA_CONTROLLER_PORT:-$((port + 1))}
log=$data/broker.log

fail() { echo "kafka: $1" >&2; exit 1; }

command -v java >/dev/null || fail "java is missing; Kafka needs Java 17 or newer"
compgen -G "$libs/kafka_*.jar" >/dev/null || fail "no jars in $libs; run: make kafka"
mkdir -p "$data"
data=$(cd "$data" && pwd)
pid=$(cat "$data/broker.pid" 2>/dev/null || true)
if [ -n "$pid" ] && ps -ww -p "$pid" -o args= | grep kafka.Kafka >/dev/null; then
  echo "kafka: running already, process $pid"
  exit 0
fi

sed -e "s|@PORT@|$port|g" -e "s|@CONTROLLER_PORT@|$controller|g" -e "s|@DATA@|$data|g" \
  "$here/server.properties" > "$data/server.properties"
# Of a setting that stands there twice, the last counts.
if [ -n "${KAFKA_PROPERTIES:-}" ]; then cat "$KAFKA_PROPERTIES" >> "$data/server.properties"; fi
if [ ! -f "$data/log/meta.properties" ]; then
  cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c 1-22)
  java -Xmx128m -cp "$libs/*" -Dlog4j2.configurationFile="$here/log4j2.properties" \
    kafka.tools.StorageTool format -t "$cluster" -c "$data/server.properties" \
    > "$log" 2>&1 || { tail -n 5 "$log" >&2; fail "the folder $data cannot be prepared"; }
fi
# In a session of its own, an interrupt of the terminal does not reach it.
$(command -v setsid || true) java -Xmx512m -Xms128m -XX:+UseSerialGC -cp "$libs/*" \
  -Dlog4j2.configurationFile="$here/log4j2.properties" \
  kafka.Kafka "$data/server.properties" > "$log" 2>&1 < /dev/null &
pid=$!
echo "$pid" > "$data/broker.pid"
for _ in $(seq 600); do
  kill -0 "$pid" 2>/dev/null || { tail -n 5 "$log" >&2; fail "the broker has ended; see $log"; }
  if grep -q "Kafka Server started" "$log" && (echo > "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "kafka: listening on 127.0.0.1:$port, process $pid, data in $data"
    exit 0
  fi
  sleep 0.1
done
kill -9 "$pid"
fail "the broker did not answer within a minute; see $log"
