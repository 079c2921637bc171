#!/usr/bin/env bash
# Cloud TPU VMs without Kubernetes. NOT run: there was no TPU. Its commands are tested against a gcloud that only writes
# them down, their flags against gcloud's documentation.
#     export TPU=copycat ZONE=us-east5-a TYPE=v5p-128 RUNTIME=v2-alpha-tpuv5   # SPOT=1: cheaper, and taken away at times
#     launch/tpu_vm.sh create                    # asks for the slice and waits until it is there
#     launch/tpu_vm.sh setup                     # this commit, installed on every host
#     launch/tpu_vm.sh train --config configs/copycat.py:base --corpus /data/corpus --run-dir /data/runs/copycat
#     launch/tpu_vm.sh logs /data/runs/copycat   # fetches RUN/logs of host 0 into the folder logs/
#     launch/tpu_vm.sh stop                      # SIGTERM: the run saves where it is
#     launch/tpu_vm.sh delete
# /data is what every host mounts: Filestore, for example. `train` runs on all hosts, prints what they print, each line
# with time and process, and goes on until the run is done: where the slice was taken away it asks for it again and
# starts again, from the last checkpoint.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/logs.sh"
: "${TPU:?name of the slice}" "${ZONE:?its zone}"
place="/tmp/copycat-jax" # on every host

on_hosts() { # WORKER COMMAND
  gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker="$1" --batch-size=all --command="$2"
}

state() { gcloud compute tpus queued-resources describe "$TPU" --zone="$ZONE" --format="value(state.state)"; }

create() {
  : "${TYPE:?such as v5p-128}" "${RUNTIME:?such as v2-alpha-tpuv5}"
  gcloud compute tpus queued-resources create "$TPU" --node-id="$TPU" --zone="$ZONE" --accelerator-type="$TYPE" \
    --runtime-version="$RUNTIME" ${SPOT:+--spot} || return
  until [ "$(state)" = ACTIVE ]; do
    case "$(state)" in FAILED | SUSPENDED) echo "$TPU: $(state)" >&2 && return 1 ;; esac
    sleep "${POLL_S:-30}"
  done
}

delete() { gcloud compute tpus queued-resources delete "$TPU" --zone="$ZONE" --force --quiet; }

setup() {
  local archive
  archive="$(mktemp -d)/copycat-jax.tar.gz"
  git -C "$here/.." archive --format=tar.gz -o "$archive" HEAD &&
    gcloud compute tpus tpu-vm scp "$archive" "$TPU:/tmp/copycat-jax.tar.gz" --zone="$ZONE" --worker=all &&
    on_hosts all "mkdir -p $place && tar -xzf /tmp/copycat-jax.tar.gz -C $place && python3 -m venv $place/.venv && \
$place/.venv/bin/pip install -q 'jax[tpu]' $place"
}

train() {
  local code restarts=0 words
  words="$(printf '%q ' "$@")"
  while true; do
    # The run's own code, which host 0 keeps; whether gcloud hands it on is not documented. No answer: the slice is gone.
    on_hosts all "cd $place && rm -f code; PYTHON=.venv/bin/python bash launch/local.sh train $words; echo \$? >code"
    code="$(on_hosts 0 "cat $place/code")" || code=255
    echo "$(date '+%F %T') ended with code $code, restart $restarts"
    again "$code" "$restarts" || return "$code"
    restarts=$((restarts + 1))
    if [ "$(state)" != ACTIVE ]; then
      delete
      create && setup || return
    fi
  done
}

case "${1:-}" in
  create | delete | setup) "$1" ;;
  train) shift && train "$@" ;;
  stop) on_hosts all "pkill -TERM -f '[c]opycat_jax.cli'" ;;
  logs)
    mkdir -p logs
    gcloud compute tpus tpu-vm scp --recurse "$TPU:${2:?the run folder}/logs" logs --zone="$ZONE" --worker=0
    ;;
  *) echo "usage: $0 create|setup|train ARGUMENTS|stop|logs RUN|delete" >&2 && exit 2 ;;
esac
