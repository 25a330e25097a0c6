#!/usr/bin/env bash
# Starts a job from the Flex Template.
#   deploy/dataflow/run.sh streaming|batch --project P --region R --templates gs://BUCKET/FOLDER
#     --image IMAGE@sha256:DIGEST --temp gs://BUCKET/FOLDER [further options] [-- name=value ...]
#     --job NAME              (regional-means-streaming, or -batch with the time)
#     --service_account MAIL  whom workers act as
#     --subnetwork URL        of the workers; they have no public addresses
#     --machine_type TYPE     (n2-standard-2)
#     --workers N             at the start          (1)
#     --max_workers N         at most               (8)
#     --update                put it in the place of the running job of that name
#     --dry_run               only print the command
# What follows -- are the template's parameters: metadata.json and metadata_batch.json list them.
# Nothing secret belongs there: parameters are shown with the job.
set -euo pipefail

fail() { echo "run: $1" >&2; exit 2; }

kind=${1:-}
[ "$kind" = streaming ] || [ "$kind" = batch ] || fail "the first argument is streaming or batch"
shift
project='' region='' templates='' image='' temp='' job='' service_account='' subnetwork=''
machine_type=n2-standard-2 workers=1 max_workers=8 update='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
  --) shift && break ;;
  --update) update=1 && shift && continue ;;
  --dry_run) dry_run=1 && shift && continue ;;
  --project | --region | --templates | --image | --temp | --job) ;;
  --service_account | --subnetwork | --machine_type | --workers | --max_workers) ;;
  *) fail "unknown option $1; parameters of the template follow --" ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value"
  printf -v "${1#--}" '%s' "$2"
  shift 2
done
for name in project region templates image temp; do
  [ -n "${!name}" ] || fail "--$name is missing"
done
[[ $image =~ @sha256:[0-9a-f]{64}$ ]] || fail "--image is named with its digest: NAME@sha256:…"
[[ $templates == gs://*/* && $temp == gs://*/* ]] || fail "--templates and --temp are gs://BUCKET/FOLDER"
[ "$kind" = streaming ] || [ -z "$update" ] || fail "only a stream can be updated"
if [ -z "$job" ]; then
  job=regional-means-$kind
  [ "$kind" = streaming ] || job=$job-$(date -u +%Y%m%d-%H%M%S)
fi

command=(
  gcloud dataflow flex-template run "$job"
  --project "$project"
  --region "$region"
  --template-file-gcs-location "${templates%/}/regional-means-$kind.json"
  --staging-location "${temp%/}/staging"
  --temp-location "${temp%/}/temp"
  --worker-machine-type "$machine_type"
  --num-workers "$workers"
  --max-workers "$max_workers"
  --additional-experiments use_runner_v2
)
[ "$kind" = batch ] || command+=(--enable-streaming-engine)
[ -z "$service_account" ] || command+=(--service-account-email "$service_account")
[ -z "$subnetwork" ] || command+=(--subnetwork "$subnetwork" --disable-public-ips)
[ -z "$update" ] || command+=(--update)
for parameter in "sdk_container_image=$image" "$@"; do
  [[ $parameter =~ ^[a-z][a-z0-9_]*=. ]] || fail "$parameter is no parameter: write name=value"
  [[ $parameter != *';;'* ]] || fail "a parameter holds ;;, which divides them: $parameter"
  # gcloud would divide at commas.
  command+=(--parameters "^;;^$parameter")
done
if [ -n "$dry_run" ]; then
  printf '%q ' "${command[@]}"
  echo
else
  exec "${command[@]}"
fi
