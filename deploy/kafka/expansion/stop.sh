#!/usr/bin/env bash
# Stops the expansion service that start.sh has started in the same EXPANSION_DATA.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../stop_process.sh"
data=${EXPANSION_DATA:-$here/../../../.cache/kafka/expansion-data}
stop_process kafka-expansion "$data/expansion.pid" ExpansionService
