#!/usr/bin/env bash
# Submits slurm.sbatch: launch/slurm.sh [--dry-run] [OPTION OF SBATCH...] -- PROGRAM ARGUMENT...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"

options=()
while (($#)); do
  case $1 in
    --) program=("${@:2}"); break ;;
    --dry-run) option[--dry-run]=yes ;;
    *) options+=("$1") ;;
  esac
  shift
done
needs_program
run "${SBATCH:-sbatch}" "${options[@]}" "$here/slurm.sbatch" -- "${program[@]}"
