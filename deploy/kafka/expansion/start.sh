#!/usr/bin/env bash
# Starts Beam's expansion service with KafkaIO, which also runs the Java steps of a pipeline
# (environment LOOPBACK), and waits until it answers.
#   EXPANSION_LIBS  the folder of the jars   (.cache/kafka/expansion)
#   EXPANSION_DATA  log and process id       (.cache/kafka/expansion-data)
#   EXPANSION_PORT  where it listens         (8097)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../../.cache/kafka
libs=${EXPANSION_LIBS:-$cache/expansion}
data=${EXPANSION_DATA:-$cache/expansion-data}
port=${EXPANSION_PORT:-8097}
log=$data/expansion.log

fail() { echo "kafka-expansion: $1" >&2; exit 1; }

command -v java >/dev/null || fail "java is missing; Java 11 to 17 is needed"
compgen -G "$libs/beam-sdks-java-io-kafka-*.jar" >/dev/null \
  || fail "no jars in $libs; run: make kafka-expansion"
mkdir -p "$data"
pid=$(cat "$data/expansion.pid" 2>/dev/null || true)
if [ -n "$pid" ] && ps -ww -p "$pid" -o args= | grep ExpansionService >/dev/null; then
  echo "kafka-expansion: running already, process $pid"
  exit 0
fi
# What the harness looks into, newer Javas keep closed.
opens=()
for package in java.io java.lang java.lang.invoke java.lang.ref java.lang.reflect java.math \
  java.net java.nio java.nio.charset java.security java.text java.time java.util \
  java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks \
  java.util.function java.util.regex java.util.stream jdk.internal.loader jdk.internal.math \
  jdk.internal.module jdk.internal.platform jdk.internal.ref jdk.internal.reflect \
  jdk.internal.util jdk.internal.util.jar jdk.internal.vm sun.net.util sun.nio.ch \
  sun.security.util; do
  opens+=(--add-opens "java.base/$package=ALL-UNNAMED")
done
$(command -v setsid || true) java -Xmx1g "${opens[@]}" -javaagent:"$(echo "$libs"/jamm-*.jar)" \
  -cp "$libs/*" org.apache.beam.sdk.expansion.service.ExpansionService "$port" \
  --javaClassLookupAllowlistFile='*' --alsoStartLoopbackWorker > "$log" 2>&1 < /dev/null &
pid=$!
echo "$pid" > "$data/expansion.pid"
for _ in $(seq 600); do
  kill -0 "$pid" 2>/dev/null || { tail -n 5 "$log" >&2; fail "it has ended; see $log"; }
  if (echo > "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "kafka-expansion: listening on 127.0.0.1:$port, process $pid"
    exit 0
  fi
  sleep 0.1
done
kill -9 "$pid"
fail "it did not answer within a minute; see $log"
