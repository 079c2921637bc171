#!/usr/bin/env bash
# SLURM. Run: 22.05 on one machine, two tasks on CPUs, preempted and requeued. NOT run: GPUs, several nodes.
#     sbatch --nodes=4 --gres=gpu:8 --time=24:00:00 launch/slurm.sh train --config ... --corpus DATA --run-dir RUN
# One task a node, which takes all of the node's GPUs; the corpus and the run folder are on a file system that every node
# sees. PYTHON names the interpreter. Asked to stop (preemption, scancel --signal=TERM, three minutes before the time is
# up), the run saves, leaves with code 75 and is queued again under the same job number; it goes on where it was saved.
# A lost node or process has it queued again too, from the last checkpoint; see launch/logs.sh. What the tasks print is in
# RUN/logs/slurm-JOB.RESTARTS/task_N.log.
#SBATCH --job-name=copycat
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@180
set -uo pipefail
# SLURM runs a copy: where this script lies is what the job was given.
script="$(scontrol show job "$SLURM_JOB_ID" | sed -n 's/^ *Command=\([^ ]*\).*/\1/p')"
here="$(cd "$(dirname "$script")" && pwd)"
. "$here/logs.sh"
restarts="${SLURM_RESTART_COUNT:-0}"
logs="$(logs_of "slurm-$SLURM_JOB_ID.$restarts" "$@")" || exit 2
echo "$(date '+%F %T') job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, restart $restarts, logs in $logs"

# Whoever ends first, the others have a minute to save or to find out.
code=0
srun --kill-on-bad-exit=0 --wait=60 --output="$logs/task_%t.log" bash "$here/local.sh" "$@" || code=$?
echo "$(date '+%F %T') ended with code $code"
if again "$code" "$restarts"; then
  scontrol requeue "$SLURM_JOB_ID"
  sleep 60 # until SLURM ends this attempt
fi
exit "$code"
