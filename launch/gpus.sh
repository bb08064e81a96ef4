#!/usr/bin/env bash
# Runs a program on the GPUs of this machine: launch/gpus.sh [--gpus=N] [--dry-run] -- PROGRAM ARGUMENT...
#
# One process sees all GPUs, or the first N; no launcher is needed. XLA and NCCL are left as they are: their defaults
# suit one machine, and what the caller sets in the environment (XLA_FLAGS, NCCL_DEBUG, ...) goes through.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"

# visible: the GPUs that may be used, one per line: those of CUDA_VISIBLE_DEVICES, otherwise all.
visible() {
  if [[ -n ${CUDA_VISIBLE_DEVICES:-} ]]; then
    tr , '\n' <<<"$CUDA_VISIBLE_DEVICES"
  else
    "${NVIDIA_SMI:-nvidia-smi}" --query-gpu=index --format=csv,noheader ||
      die "nvidia-smi found no GPUs here; launch/cpu.sh runs without"
  fi
}

parse "--gpus" "--dry-run" "$@"
needs_program
is_count --gpus
if [[ -n ${option[--gpus]:-} ]]; then
  found=$(visible)
  mapfile -t devices <<<"$found"
  wanted=${option[--gpus]}
  ((wanted > 0)) || die "--gpus is 0; launch/cpu.sh runs without"
  ((wanted <= ${#devices[@]})) || die "--gpus is $wanted, but only ${#devices[@]} can be seen"
  CUDA_VISIBLE_DEVICES=$(IFS=,; echo "${devices[*]:0:wanted}")
  program=(env "CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES" "${program[@]}")
fi
show "${program[@]}"
[[ -n ${option[--dry-run]:-} ]] || exec "${program[@]}"
