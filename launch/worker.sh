#!/usr/bin/env bash
# What tpu_vm.sh calls on each host of a TPU. Nothing here is TPU-specific but the extra that is installed.
#
#   worker.sh install              Python and this checkout, in .venv
#   worker.sh start -- PROGRAM...  in the background, from the checkout's root; output is appended to the log
#   worker.sh follow               prints the log of the last start until the program ends; exits with its status
#   worker.sh stop                 SIGTERM: the program saves and exits with status 75
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=common.sh
source "$root/launch/common.sh"
logs=$HOME/xtreme_stilts_logs  # log, its size at the last start, exit status, process ids of supervisor and program

# The images' own Python is older than this package supports, so uv brings one. Newer images let pip install
# for a user only when told to "break system packages".
install() {
  cd "$root"
  run env PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user --upgrade uv
  run python3 -m uv venv --quiet --allow-existing --python 3.11 .venv
  run python3 -m uv pip install --quiet --python .venv/bin/python -e '.[tpu]'
}

alive() { [[ -s $logs/supervisor ]] && kill -0 "$(<"$logs/supervisor")" 2>/dev/null; }

start() {
  needs_program
  ! alive || die "a program is already running here (process $(<"$logs/program")); stop it first"
  mkdir -p "$logs"
  touch "$logs/log"
  wc -c <"$logs/log" >"$logs/size"
  rm -f "$logs/status" "$logs/program"
  nohup "${BASH_SOURCE[0]}" supervise -- "${program[@]}" >>"$logs/log" 2>&1 </dev/null &
  echo $! >"$logs/supervisor"
  while alive && [[ ! -s $logs/program ]]; do sleep 0.1; done  # so that stop finds it
}

# supervise: what nohup keeps alive; the program's exit status must outlive the connection that started it.
supervise() {
  cd "$root"
  [[ ! -d .venv/bin ]] || PATH=$root/.venv/bin:$PATH
  show "${program[@]}"
  local status=0
  "${program[@]}" &
  echo $! >"$logs/program"
  wait $! || status=$?
  echo "$status" >"$logs/status.new"
  mv "$logs/status.new" "$logs/status"
}

follow() {
  [[ -s $logs/supervisor ]] || die "no program has been started here"
  tail -c "+$(($(<"$logs/size") + 1))" --follow --pid="$(<"$logs/supervisor")" "$logs/log"
  if [[ ! -s $logs/status ]]; then
    say "error: the program ended without an exit status; was it killed?"
    return 1
  fi
  return "$(<"$logs/status")"
}

stop() {
  alive || die "no program is running here"
  run kill -TERM "$(<"$logs/program")"
}

[[ ${1:-} == @(install|start|supervise|follow|stop) ]] ||
  die "unknown command '${1:-}'; valid: install, start, follow, stop"
parse "" "--dry-run" "${@:2}"
"$1"
