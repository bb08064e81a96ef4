#!/usr/bin/env bash
# Runs a program on this machine's CPU: launch/cpu.sh [--threads=N] [--dry-run] -- PROGRAM ARGUMENT...
#
# XLA takes its temporary memory anew in every step; with huge pages that costs far fewer page faults.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"
setting=${TRANSPARENT_HUGEPAGE:-/sys/kernel/mm/transparent_hugepage/enabled}

parse "--threads" "--dry-run" "$@"
needs_program
is_count --threads
[[ ${option[--threads]:-1} -gt 0 ]] || die "--threads is 0, but XLA needs one at least"
environment=(JAX_PLATFORMS=cpu)
# The size of XLA's thread pools; without it, the number of CPUs this process may use (xla/pjrt/utils.cc).
[[ -z ${option[--threads]:-} ]] || environment+=("NPROC=${option[--threads]}")
if [[ -r $setting ]]; then
  case $(<"$setting") in
    *'[madvise]'*) environment+=("GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}") ;;
    *'[never]'*) say "hint: huge pages are off here; once, as root: echo madvise > $setting" ;;
  esac
fi
show env "${environment[@]}" "${program[@]}"
[[ -n ${option[--dry-run]:-} ]] || exec env "${environment[@]}" "${program[@]}"
