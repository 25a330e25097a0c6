#!/usr/bin/env bash
# Stops the broker that start.sh has started in the same KAFKA_DATA. Its topics stay.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/stop_process.sh"
stop_process kafka "${KAFKA_DATA:-$here/../../.cache/kafka/data}/broker.pid" kafka.Kafka
