#!/usr/bin/env bash
# Fills images.lock with the digests that its references have now. Needs docker (with buildx) and
# curl, and the registries. What changes is to be read and committed like a lock file.
#   deploy/dataflow/pin.sh [LOCK]
set -euo pipefail
lock=${1:-$(cd "$(dirname "$0")" && pwd)/images.lock}

fail() { echo "pin: $1" >&2; exit 1; }

digest_of() {
  case $1 in
  https://*)
    curl --silent --show-error --fail --location --max-time 600 "$1" | sha256sum | cut -d ' ' -f 1
    ;;
  *)
    docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}' | sed 's/^sha256://'
    ;;
  esac
}

[ -f "$lock" ] || fail "there is no $lock"
pinned=$(mktemp "$lock.XXXXXX")
trap 'rm -f "$pinned"' EXIT
while read -r line; do
  case $line in
  '' | '#'*) echo "$line" >>"$pinned" && continue ;;
  esac
  read -r name reference _ <<<"$line"
  digest=$(digest_of "$reference") || fail "$reference cannot be looked up"
  [[ $digest =~ ^[0-9a-f]{64}$ ]] || fail "$reference has no digest: $digest"
  echo "$name $reference $digest" >>"$pinned"
  echo "$name $digest"
done <"$lock"
chmod 644 "$pinned"
mv "$pinned" "$lock"
trap - EXIT
