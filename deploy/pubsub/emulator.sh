#!/bin/sh
# Google's own Pub/Sub emulator, in the foreground: deploy/pubsub/emulator.sh [PORT]
# It keeps everything in memory: what was published is gone when it stops.
set -eu
port=${1:-8085}
root=${CLOUDSDK_ROOT:-$(dirname "$(dirname "$(readlink -f "$(command -v gcloud || echo /usr/lib/google-cloud-sdk/bin/gcloud)")")")}
jar=${PUBSUB_EMULATOR_JAR:-$(ls "$root"/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*.jar \
	/usr/lib/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*.jar 2>/dev/null | head -n 1)}
if [ -z "$jar" ]; then
	echo "the Pub/Sub emulator is not installed: apt-get install google-cloud-cli-pubsub-emulator, or gcloud components install pubsub-emulator" >&2
	exit 1
fi
if ! command -v java >/dev/null; then
	echo "the Pub/Sub emulator needs Java: apt-get install default-jre-headless" >&2
	exit 1
fi
echo "export PUBSUB_EMULATOR_HOST=127.0.0.1:$port"
exec java -Xmx256m -jar "$jar" --host=127.0.0.1 --port="$port"
