#!/usr/bin/env bash
# Stops the cluster that start.sh has started with the same FLINK_DATA, and every job on it. What
# jobs have written to their stores stays. Checkpoints, savepoints and logs stay, too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../kafka/stop_process.sh"
data=${FLINK_DATA:-$here/../../.cache/flink/data}
stop_process taskmanager "$data/taskmanager.pid" runtime.taskexecutor.TaskManagerRunner
stop_process jobmanager "$data/jobmanager.pid" entrypoint.StandaloneSessionClusterEntrypoint
stop_process zookeeper "$data/zookeeper.pid" zookeeper.FlinkZooKeeperQuorumPeer
# With high availability, jobs would come back with the next start.
rm -rf "$data/tmp" "$data/ha" "$data/zookeeper"
