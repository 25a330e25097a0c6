#!/usr/bin/env bash
# Starts a Flink cluster on this machine, a JobManager and a TaskManager, and waits for its slots.
#   FLINK_LIBS      the folder of the jars                     (.cache/flink/libs)
#   FLINK_DATA      checkpoints, logs and process ids          (.cache/flink/data)
#   FLINK_PORT      where jobs are submitted, and the web page (8081)
#   FLINK_RPC_PORT  where the JobManager is told things        (6123)
#   FLINK_METRICS_PORTS  from which each takes one for Prometheus (9249-9260)
#   FLINK_CONF      a file of further or other settings
#   FLINK_HA        zookeeper: starts a ZooKeeper, too, and jobs survive their JobManager
#   FLINK_ZOOKEEPER_PORT  where it is asked                    (2181)
# What runs already is left alone: after a crash it starts what is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache/flink
libs=${FLINK_LIBS:-$cache/libs}
data=${FLINK_DATA:-$cache/data}
port=${FLINK_PORT:-8081}
rpc=${FLINK_RPC_PORT:-6123}
metrics=${FLINK_METRICS_PORTS:-9249-9260}
ha=${FLINK_HA:-}
zookeeper_port=${FLINK_ZOOKEEPER_PORT:-2181}
zookeeper=org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer
jobmanager=org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint
taskmanager=org.apache.flink.runtime.taskexecutor.TaskManagerRunner

fail() { echo "flink: $1" >&2; exit 1; }

command -v java >/dev/null || fail "java is missing; Flink needs Java 11 or 17"
command -v curl >/dev/null || fail "curl is missing"
compgen -G "$libs/flink-runtime-1*.jar" >/dev/null || fail "no jars in $libs; run: make flink"
mkdir -p "$data/conf" "$data/tmp" "$data/checkpoints" "$data/savepoints"
data=$(cd "$data" && pwd)
fill() {
  sed -e "s|@REST_PORT@|$port|g" -e "s|@RPC_PORT@|$rpc|g" -e "s|@DATA@|$data|g" \
    -e "s|@METRICS_PORTS@|$metrics|g" -e "s|@ZOOKEEPER_PORT@|$zookeeper_port|g" "$here/cluster/$1"
}
fill flink-conf.yaml > "$data/conf/flink-conf.yaml"
parts=(jobmanager taskmanager)
case $ha in
  '') ;;
  zookeeper)
    parts=(zookeeper "${parts[@]}")
    mkdir -p "$data/ha"
    fill zoo.cfg > "$data/conf/zoo.cfg"
    fill high-availability.yaml >> "$data/conf/flink-conf.yaml" ;;
  *) fail "FLINK_HA can be zookeeper or nothing, not $ha" ;;
esac
# Of a setting that stands there twice, the last counts.
if [ -n "${FLINK_CONF:-}" ]; then cat "$FLINK_CONF" >> "$data/conf/flink-conf.yaml"; fi

opens=()
for package in java.net java.util java.lang java.lang.reflect java.lang.invoke java.io java.nio \
  java.text java.time java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks \
  sun.nio.ch sun.net.util; do
  opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done

start() {
  local name=$1 class=$2 pid
  shift 2
  pid=$(cat "$data/$name.pid" 2>/dev/null || true)
  if [ -n "$pid" ] && ps -ww -p "$pid" -o args= | grep "$class" >/dev/null; then
    echo "flink: $name is running already, process $pid"
    return
  fi
  # In a session of its own, an interrupt of the terminal does not reach it.
  $(command -v setsid || true) java "$@" "${opens[@]}" \
    -Djava.io.tmpdir="$data/tmp" -Dlog4j2.configurationFile="$here/cluster/log4j2.properties" -cp "$libs/*" \
    "$class" "${words[@]}" \
    >> "$data/$name.log" 2>&1 < /dev/null &
  echo "$!" > "$data/$name.pid"
}

if [ -n "$ha" ]; then
  words=(--zkConfigFile "$data/conf/zoo.cfg" --peerId 1)
  start zookeeper "$zookeeper" -Xmx128m
fi
words=(--configDir "$data/conf" --executionMode cluster)
start jobmanager "$jobmanager" -Xmx768m
words=(--configDir "$data/conf")
start taskmanager "$taskmanager" -Xmx768m -XX:MaxDirectMemorySize=512m -XX:MaxMetaspaceSize=512m

# With high availability what runs stays: jobs go on when the rest has been mended.
stop_all() { [ -n "$ha" ] || FLINK_DATA=$data "$here/stop.sh" >/dev/null || true; }

for _ in $(seq 600); do
  for name in "${parts[@]}"; do
    if ! kill -0 "$(cat "$data/$name.pid")" 2>/dev/null; then
      stop_all
      tail -n 5 "$data/$name.log" >&2
      fail "the $name has ended; see $data/$name.log"
    fi
  done
  found=$(curl -sf -m 2 "http://127.0.0.1:$port/overview" || true)
  case $found in
    *'"taskmanagers":0'*) ;;
    *'"taskmanagers":'*)
      echo "flink: http://127.0.0.1:$port, data in $data"
      exit 0 ;;
  esac
  sleep 0.1
done
stop_all
fail "the cluster did not answer within a minute; see $data/*.log"
