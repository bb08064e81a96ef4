#!/usr/bin/env bash
# Runs a program on a Cloud TPU VM or on all hosts of a pod slice. Every command is printed before it is run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"

usage() {
  cat <<'EOF_USAGE'
usage: launch/tpu_vm.sh COMMAND --name=NAME --zone=ZONE [OPTION...] [-- PROGRAM ARGUMENT...]

  create    asks for the TPU (needs --type) and waits until it is there
  copy      copies this checkout to every host, without .git, caches and runs
  install   installs it there, with JAX for TPUs
  run       starts PROGRAM on every host, in the background, and streams the log of worker 0
  logs      streams that log again; ends with the program's exit status
  stop      asks the program to save and stop (it exits with status 75)
  fetch     copies the log and the study directory (--from, or the program's --workdir) to --to
  delete    gives the TPU back, which ends its costs
  all       create, copy, install, run, fetch, delete

  --type=TYPE             v6e-8, v5litepod-16, v4-32, ...    --spot             cheaper, can be taken away at any time
  --runtime-version=V     default: the one for TYPE          --direct           no queue: now or not at all
  --project=P --network=N --subnetwork=S --service-account=A go to gcloud as they are
  --restart=N             run, all: runs the program again after exit status 75 or a preemption, N times at most
  --worker=N              logs: the worker to listen to; default 0
  --from=DIR --to=DIR     fetch: gs://... or a folder on worker 0; default for --to: runs/NAME
  --dry-run               prints the commands and runs nothing
EOF_USAGE
}

GCLOUD=${GCLOUD:-gcloud}
POLL_SECONDS=${POLL_SECONDS:-30}  # between two looks at a queued TPU
readonly COMMANDS=(create copy install run logs stop fetch delete all)
VALUES="--name --zone --type --runtime-version --project --network --subnetwork --service-account"
VALUES+=" --restart --worker --from --to"
readonly SWITCHES="--spot --direct --dry-run"
readonly CODE=xtreme_stilts  # the checkout's folder on the hosts, in the home directory

# given FLAG...: those of the flags that were given, as --flag=value, in the array `flags`.
given() {
  local flag
  flags=()
  for flag in "$@"; do
    [[ -z ${option[$flag]:-} ]] || flags+=("$flag=${option[$flag]}")
  done
}

# tpus WORD...: one gcloud command on TPUs.
tpus() {
  local flags
  given --zone --project
  run "$GCLOUD" compute tpus "$@" "${flags[@]}"
}

# on_worker WORKER WORD...: one command on a host, or on "all" of them. ssh hands the other side one string for its
# shell; %q makes every word arrive as it is.
on_worker() {
  local worker=$1 command
  shift
  command=$(printf '%q ' "$@")
  tpus tpu-vm ssh "$name" "--worker=$worker" "--command=${command% }"
}

on_workers() { on_worker all "$@"; }

check_type() {
  local known="v2-8 v3-8 v4-8 v5litepod-8 v5p-8 v6e-8"
  [[ $1 =~ ^(v2|v3|v4|v5litepod|v5p|v6e)-[1-9][0-9]*$ ]] ||
    die "--type '$1' is no accelerator type; they are written VERSION-SIZE, as in ${known// /, }"
}

# runtime_version TYPE: the image to run JAX on (https://cloud.google.com/tpu/docs/runtimes, "PyTorch and JAX").
runtime_version() {
  case $1 in
    v6e-*) echo v2-alpha-tpuv6e ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    *) echo tpu-ubuntu2204-base ;;
  esac
}

create() {
  local type=${option[--type]} version flags
  version=${option[--runtime-version]:-$(runtime_version "$type")}
  given --network --subnetwork --service-account
  [[ -z ${option[--spot]:-} ]] || flags+=(--spot)
  say "From now on this TPU costs money, until: $ending"
  if [[ -n ${option[--direct]:-} ]]; then
    tpus tpu-vm create "$name" "--accelerator-type=$type" "--version=$version" "${flags[@]}"
  else
    tpus queued-resources create "$name" "--node-id=$name" "--accelerator-type=$type" \
      "--runtime-version=$version" "${flags[@]}" && wait_until_active
  fi
}

# state: prints the state of the TPU in one word; fails where it cannot be told.
state() {
  if [[ -n ${option[--direct]:-} ]]; then
    tpus tpu-vm describe "$name" "--format=value(state)"
  else
    tpus queued-resources describe "$name" "--format=value(state.state)"
  fi
}

wait_until_active() {
  local now before=""
  while :; do
    now=$(state) || return
    case $now in
      ACTIVE) return ;;
      FAILED | SUSPENDING | SUSPENDED | DELETING)
        say "error: the request for '$name' has ended as $now; delete it and ask again, elsewhere or for another size"
        return 1
        ;;
    esac
    [[ -z ${option[--dry-run]:-} ]] || return 0
    [[ $now == "$before" ]] || say "$name: $now; next look in $POLL_SECONDS s"
    before=$now
    sleep "$POLL_SECONDS"
  done
}

copy() {
  local archive
  temporary=$(mktemp -d)
  archive=$temporary/$CODE.tar.gz
  # The package on the hosts goes first, lest a module that is gone here lives on there.
  run tar -czf "$archive" --exclude=./.git --exclude=./runs --exclude=./.venv --exclude=__pycache__ \
    --exclude='*.egg-info' --exclude='.*_cache' -C "$here/.." . &&
    tpus tpu-vm scp "$archive" "$name:$CODE.tar.gz" --worker=all &&
    on_workers bash -c "mkdir -p $CODE && rm -rf $CODE/xtreme_stilts && tar -xzf $CODE.tar.gz -C $CODE"
}

install() { on_workers "$CODE/launch/worker.sh" install; }
start() { on_workers "$CODE/launch/worker.sh" start -- "${program[@]}"; }
logs() { on_worker "${option[--worker]:-0}" "$CODE/launch/worker.sh" follow; }
stop() { on_workers "$CODE/launch/worker.sh" stop; }

# preempted: whether the TPU has been taken away. Not being able to tell (no network here, say) is no reason to say so.
preempted() {
  local now
  now=$(state) || return 1
  [[ $now == @(PREEMPTED|TERMINATED|STOPPED|SUSPENDING|SUSPENDED|FAILED) ]]
}

# run_program: starts, follows, and does so again while the program asks for it and --restart allows it. Returns the
# exit status of the program on worker 0; 75 where the TPU was taken away and no restart is left.
run_program() {
  local left=${option[--restart]:-0} status lost
  while :; do
    status=0 lost=""
    { start && logs; } || status=$?
    ((status != 0 && status != 2)) || return "$status"
    # The notice of a preemption comes half a minute before the end: look when that is over.
    ((status != RUN_ME_AGAIN)) || run sleep "$((2 * POLL_SECONDS))"
    ! preempted || { lost=yes status=$RUN_ME_AGAIN; }
    ((status == RUN_ME_AGAIN && left > 0)) || return "$status"
    left=$((left - 1))
    say "The program was stopped before its end; running it again (restarts left after this one: $left)."
    [[ -z $lost ]] || recreate || return
  done
}

recreate() {
  if [[ -z ${option[--type]:-} ]]; then
    say "error: the TPU '$name' was taken away; with --type it would have been asked for anew"
    return "$RUN_ME_AGAIN"
  fi
  give_back && create && copy && install
}

fetch() {
  local from=${option[--from]:-$(workdir)} to=${option[--to]:-runs/$name}
  from=${from%/}
  run mkdir -p "$to/${from##*/}"
  tpus tpu-vm scp "$name:${CODE}_logs/log" "$to/worker-0.log" --worker=0 ||
    warn "the log of worker 0 could not be fetched"  # the study in a bucket can, even where the TPU is gone
  if [[ $from == gs://* ]]; then
    run "$GCLOUD" storage rsync --recursive "$from" "$to/${from##*/}"
  else
    [[ $from == /* ]] || from=$CODE/$from
    tpus tpu-vm scp "$name:$from" "$to" --recurse --worker=0
  fi
}

give_back() {
  if [[ -n ${option[--direct]:-} ]]; then
    tpus tpu-vm delete "$name" --quiet
  else
    tpus queued-resources delete "$name" --force --quiet
  fi
}

delete() {
  give_back
  say "TPUs that are left in this zone, and cost money:"
  tpus tpu-vm list
}

# all: the TPU is deleted once the results are here, or where the program refused its input; otherwise it stays, and
# the last line says how to end its costs.
all() {
  local status=0
  reminder="error: the TPU may still be there, and cost money, until: $ending"
  create
  copy
  install
  run_program || status=$?
  ((status == 2)) || fetch
  delete
  reminder=""
  return "$status"
}

clean_up() {
  [[ -z $temporary ]] || rm -rf "$temporary"
  [[ -z $reminder ]] || say "$reminder"
}

warn_of_local_workdir() {
  local folder
  folder=$(workdir)
  # Up to 8 cores (v2 to v4, v5p) or chips (v5e, v6e) are one host.
  [[ $folder == gs://* ]] || { [[ ${option[--type]:-} == *-[1-8] ]] && [[ -z ${option[--spot]:-} ]]; } ||
    warn "the study directory is '${folder:-runs/...}', no gs:// folder: hosts cannot share it; it is lost with the TPU"
}

main() {
  [[ ${1:-} != @(|-h|--help) ]] || { usage; [[ -n ${1:-} ]] || exit 2; exit 0; }
  local command=$1
  [[ " ${COMMANDS[*]} " == *" $command "* ]] || die "unknown command '$command'; $(nearest "$command" "${COMMANDS[@]}")"
  parse "$VALUES" "$SWITCHES" "${@:2}"
  needs --name "the name of the TPU VM"
  needs --zone "the TPU VM's zone, as in us-central1-a"
  is_count --restart
  is_count --worker
  name=${option[--name]}
  [[ $name =~ ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$ ]] ||
    die "--name '$name' is no name of a TPU; use a-z, 0-9 and -, from a letter on"
  [[ ${option[--zone]} =~ ^[a-z]+-[a-z]+[0-9]+-[a-z0-9]+$ ]] ||
    die "--zone '${option[--zone]}' is no zone; they are written as in us-central1-a"
  [[ -z ${option[--type]:-} ]] || check_type "${option[--type]}"
  [[ $command != @(create|all) ]] || needs --type "the accelerator type, as in v6e-8"
  if [[ $command == @(run|all) ]]; then
    needs_program
    warn_of_local_workdir
  fi
  if [[ $command == @(fetch|all) && -z ${option[--from]:-}$(workdir) ]]; then
    die "--from is missing: the study directory to fetch, gs://... or a folder on worker 0"
  fi
  ending="launch/tpu_vm.sh delete --name=$name --zone=${option[--zone]}${option[--direct]:+ --direct}"
  temporary="" reminder=""
  trap clean_up EXIT
  [[ $command != run ]] || command=run_program
  "$command"
}

main "$@"
