#!/usr/bin/env bash
# Builds the image of the Flex Template, pushes it, and writes the two template files.
#   deploy/dataflow/build.sh --image REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME --templates gs://BUCKET/FOLDER
#     --tag TAG         of the image                         (the commit; -dirty where files are changed)
#     --builder NAME    docker: here; cloud: by Cloud Build  (docker)
#     --run_as USER     who runs in the image                (pipeline)
#     --context FOLDER  only makes the folder that the image is built from
#     --dry_run         only prints the commands
#   PYTHON              a Python with pip and setuptools     (.venv/bin/python, or python3)
#   LOCK                what the image is made of            (deploy/dataflow/images.lock)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lock=${LOCK:-$here/images.lock}
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || python=python3

fail() { echo "build: $1" >&2; exit 2; }

run() {
  if [ -n "$dry_run" ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

image='' templates='' tag='' builder=docker run_as=pipeline context='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
  --dry_run) dry_run=1 && shift && continue ;;
  --image | --templates | --tag | --builder | --run_as | --context) ;;
  *) fail "unknown option $1" ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value"
  case $1 in
  --image) image=$2 ;;
  --templates) templates=${2%/} ;;
  --tag) tag=$2 ;;
  --builder) builder=$2 ;;
  --run_as) run_as=$2 ;;
  --context) context=$2 ;;
  esac
  shift 2
done

# What is locked, by name: references with digests, and files with checksums.
arguments=() jars=()
while read -r name reference digest; do
  case $name in
  '' | '#'*) continue ;;
  esac
  [[ $digest =~ ^[0-9a-f]{64}$ ]] || fail "$name in $lock has no digest: run deploy/dataflow/pin.sh"
  case $name in
  *_JAR) jars+=("$reference $digest") ;;
  *) arguments+=(--build-arg "$name=$reference@sha256:$digest") ;;
  esac
done <"$lock"
arguments+=(--build-arg "RUN_AS=$run_as")

fetch() {
  local file=$context/jars/${1##*/}
  curl --silent --show-error --fail --location --max-time 900 --output "$file" "$1"
  echo "$2  $file" | sha256sum --check --quiet || fail "$1 is not the file that is locked"
}

make_context() {
  mkdir -p "$context/jars" "$context/wheel"
  cp "$here/Dockerfile" "$here/main.py" "$root/requirements.txt" "$context"
  # From a copy: what earlier builds have left behind would get into the wheel.
  mkdir "$context/source"
  git -C "$root" ls-files -z --cached --others --exclude-standard |
    tar -C "$root" --ignore-failed-read --null --files-from - -cf - 2>/dev/null | tar -C "$context/source" -xf -
  "$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$context/wheel" "$context/source"
  rm -r "$context/source"
  for jar in "${jars[@]}"; do
    read -r address digest <<<"$jar"
    fetch "$address" "$digest"
  done
}

if [ -n "$context" ]; then
  make_context
  exit 0
fi
[ -n "$image" ] || fail "--image is missing: REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"
[[ $templates == gs://*/* ]] || fail "--templates is missing: gs://BUCKET/FOLDER"
[ -n "$tag" ] || tag=$(git -C "$root" describe --always --dirty --abbrev=12 --exclude "*")

if [ -n "$dry_run" ]; then
  context=CONTEXT
  run "$0" --context "$context"
else
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  make_context
fi

case $builder in
docker)
  run docker buildx build --platform linux/amd64 --provenance false --push --tag "$image:$tag" "${arguments[@]}" "$context"
  ;;
cloud)
  # Cloud Build takes its steps from a file.
  steps=$("$python" -c '
import json, sys
image, *arguments = sys.argv[1:]
build = ["buildx", "build", "--platform", "linux/amd64", "--load", "--tag", image, *arguments, "."]
step = {"name": "gcr.io/cloud-builders/docker", "args": build}
print(json.dumps({"steps": [step], "images": [image], "timeout": "3600s"}))
' "$image:$tag" "${arguments[@]}")
  [ -n "$dry_run" ] && echo "$steps" || echo "$steps" >"$context/cloudbuild.json"
  run gcloud builds submit "$context" --config "$context/cloudbuild.json"
  ;;
*) fail "--builder is docker or cloud, not $builder" ;;
esac

if [ -n "$dry_run" ]; then
  digest=sha256:DIGEST
  run gcloud artifacts docker images describe "$image:$tag" --format 'value(image_summary.digest)'
else
  digest=$(gcloud artifacts docker images describe "$image:$tag" --format 'value(image_summary.digest)')
fi
for kind in streaming batch; do
  metadata=$here/metadata.json
  [ "$kind" = streaming ] || metadata=$here/metadata_batch.json
  run gcloud dataflow flex-template build "$templates/regional-means-$kind.json" --image "$image@$digest" --sdk-language PYTHON --metadata-file "$metadata"
done
echo "image: $image@$digest"
