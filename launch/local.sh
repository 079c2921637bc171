#!/usr/bin/env bash
# One machine. All its devices in one process:
#     launch/local.sh train --config configs/copycat.py:shipped --corpus DATA --run-dir RUN
# or N processes that find each other over the loopback interface, as hosts of a cluster would, each with D simulated
# CPU devices (to try multi-host code without a cluster):
#     PROCESSES=2 DEVICES=4 launch/local.sh train --config configs/copycat.py:tiny --synthetic --run-dir RUN
# Everything after the script's name goes to `copycat`.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/flags.sh"
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
python="${PYTHON:-python3}"
processes="${PROCESSES:-1}"

if [ "$processes" -eq 1 ]; then
  exec "$python" -m copycat_jax.cli "$@"
fi

export JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES="${DEVICES:-1}" JAX_NUM_PROCESSES="$processes"
port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export JAX_COORDINATOR_ADDRESS="127.0.0.1:$port"

pids=()
stop() { kill -TERM "${pids[@]}" 2>/dev/null || true; }
trap stop INT TERM
for ((index = 0; index < processes; index++)); do
  JAX_PROCESS_ID="$index" "$python" -m copycat_jax.cli "$@" &
  pids+=("$!")
done
code=0
for pid in "${pids[@]}"; do
  wait "$pid" || code=$?
done
exit "$code"
