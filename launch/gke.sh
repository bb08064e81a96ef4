#!/usr/bin/env bash
# Runs a program on a TPU v5e or v6e slice of a GKE cluster: fills gke_jobset.yaml, prints it and applies it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"

usage() {
  cat <<'EOF_USAGE'
usage: launch/gke.sh --name=NAME --image=IMAGE --type=v5e|v6e --topology=4x4 [OPTION...] -- PROGRAM ARGUMENT...

  --restart=N           runs the program again after any end but success and bad input, N times at most; default 10
  --chips-per-host=N    default: up to 2x4 all; in larger topologies 4 (ct5lp-hightpu-4t, ct6e-standard-4t)
  --namespace=NAME      default: the current one
  --dry-run             prints the manifest and the command and runs nothing

IMAGE has this checkout installed: docker build --file=launch/Dockerfile --tag=IMAGE .
EOF_USAGE
}

KUBECTL=${KUBECTL:-kubectl}
readonly VALUES="--name --image --type --topology --restart --chips-per-host --namespace"
readonly TOPOLOGIES="1x1 2x2 2x4 4x4 4x8 8x8 8x16 16x16"  # of both types

check() {
  needs --name "the name of the JobSet"
  needs --image "the container image with this checkout installed"
  needs --type "v5e or v6e"
  needs --topology "the shape of the slice, one of ${TOPOLOGIES// /, }"
  needs_program
  is_count --restart
  is_count --chips-per-host
  [[ ${option[--name]} =~ ^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$ ]] ||
    die "--name '${option[--name]}' is no name of a JobSet; use a-z, 0-9 and -, from a letter on, 40 at most"
  [[ ${option[--type]} == @(v5e|v6e) ]] || die "unknown --type '${option[--type]}'; valid: v5e, v6e"
  [[ " $TOPOLOGIES " == *" ${option[--topology]} "* ]] ||
    die "unknown --topology '${option[--topology]}'; valid: ${TOPOLOGIES// /, }"
}

main() {
  local -A accelerators=([v5e]=tpu-v5-lite-podslice [v6e]=tpu-v6e-slice)
  local topology chips per_host hosts manifest kubectl
  [[ ${1:-} != @(|-h|--help) ]] || { usage; [[ -n ${1:-} ]] || exit 2; exit 0; }
  parse "$VALUES" "--dry-run" "$@"
  check
  topology=${option[--topology]}
  chips=$((${topology/x/*}))
  per_host=${option[--chips-per-host]:-$((chips <= 8 ? chips : 4))}
  ((per_host > 0 && chips % per_host == 0)) ||
    die "--chips-per-host is $per_host, which does not divide the $chips chips of $topology"
  hosts=$((chips / per_host))
  [[ $(workdir) == gs://* ]] ||
    warn "the study directory is '$(workdir)', no gs:// folder: hosts cannot share it, and it is lost with the pods"
  manifest=$(python3 "$here/fill.py" "$here/gke_jobset.yaml" "name=${option[--name]}" "image=${option[--image]}" \
    "accelerator=${accelerators[${option[--type]}]}" "topology=$topology" "hosts=$hosts" "chips_per_host=$per_host" \
    "restarts=${option[--restart]:-10}" -- "${program[@]}")
  kubectl=("$KUBECTL" ${option[--namespace]:+"--namespace=${option[--namespace]}"})
  printf '%s\n' "$manifest"
  run "${kubectl[@]}" apply --filename=- <<<"$manifest"
  say "Logs of all hosts, and the end of it:"
  show "${kubectl[@]}" logs --follow --prefix --selector="jobset.sigs.k8s.io/jobset-name=${option[--name]}"
  show "${kubectl[@]}" delete jobset "${option[--name]}"
}

main "$@"
