# Sourced by the launch scripts: where what an attempt prints goes.

# logs_of NAME ARGUMENTS...: makes and prints RUN/logs/NAME, RUN being what follows --run-dir among the arguments. The
# processes themselves write RUN/logs/ATTEMPT/process_N.log; what the C++ side and the scheduler say is only here.
logs_of() {
  local name="$1" run="" previous=""
  shift
  for argument in "$@"; do
    [ "$previous" = --run-dir ] && run="$argument"
    case "$argument" in --run-dir=*) run="${argument#--run-dir=}" ;; esac
    previous="$argument"
  done
  if [ -z "$run" ]; then
    echo "$0: no --run-dir RUN among the arguments" >&2
    return 2
  fi
  mkdir -p "$run/logs/$name" && echo "$run/logs/$name"
}

# again CODE RESTARTS: whether a run that ended with CODE, after so many restarts, should be started again: always after a
# preemption (75), at most RESTARTS_AT_MOST times (10) after a lost or killed process (70, or a signal); see
# copycat_jax/train/outcomes.py. A mistake (2) or a fault (1) stays the same however often it is tried.
again() {
  [ "$1" -eq 75 ] && return 0
  { [ "$1" -eq 70 ] || [ "$1" -gt 128 ]; } && [ "$2" -lt "${RESTARTS_AT_MOST:-10}" ]
}
