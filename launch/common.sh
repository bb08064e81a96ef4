# Shared by the scripts of this folder. Sourced, never run.
#
# Terms: a script's own options come first, `--` ends them, and what follows is the *program* to run, kept as an array
# from the command line to the machine that runs it. Exit statuses are those of the program; 2 is bad input here, too.
# shellcheck shell=bash

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "error: bash $BASH_VERSION is too old, 4.4 is needed" >&2
  exit 2
fi

# EX_TEMPFAIL of sysexits.h: the program was told to stop, has saved, and wants to be run again.
# shellcheck disable=SC2034  # used by the scripts that source this file
readonly RUN_ME_AGAIN=75

declare -A option=()  # --name -> value; switches have the value "yes"
program=()            # what follows --

say() { printf '%s\n' "$*" >&2; }
warn() { say "warning: $*"; }
die() { say "error: $*"; exit 2; }

# show WORD...: prints a command as it could be typed.
show() { { printf '+'; printf ' %q' "$@"; printf '\n'; } >&2; }

# run WORD...: prints a command and, unless --dry-run was given, runs it.
run() {
  show "$@"
  [[ -n ${option[--dry-run]:-} ]] || "$@"
}

# nearest NAME VALID...: the clause that ends a sentence about an unknown name.
nearest() {
  python3 - "$@" <<'PYTHON' 2>/dev/null || { shift; echo "valid: $*"; }
import difflib, sys
name, *valid = sys.argv[1:]
near = difflib.get_close_matches(name, valid, n=1)
print(f"did you mean {near[0]!r}?" if near else "valid: " + ", ".join(valid))
PYTHON
}

# parse VALUES SWITCHES WORD...: fills `option` and `program` from the words of a command line. VALUES and SWITCHES are
# lists of options, separated by spaces, that need a value (--a=b or --a b) or take none.
parse() {
  local values switches flag
  read -ra values <<<"$1"
  read -ra switches <<<"$2"
  shift 2
  while (($#)); do
    flag=${1%%=*}
    if [[ $1 == -- ]]; then
      program=("${@:2}")
      return
    elif [[ " ${switches[*]} " == *" $flag "* ]]; then
      [[ $1 == "$flag" ]] || die "$flag takes no value, found '$1'"
      option[$flag]=yes
      shift
    elif [[ " ${values[*]} " == *" $flag "* ]]; then
      [[ $1 == *=* ]] || { (($# > 1)) && [[ $2 != --* ]] && set -- "$1=$2" "${@:3}"; } || die "$flag needs a value"
      option[$flag]=${1#*=}
      shift
    else
      die "unknown option '$1'; $(nearest "$flag" "${values[@]}" "${switches[@]}")"
    fi
  done
}

# needs OPTION MEANING: ends the script where an option is missing.
needs() { [[ -n ${option[$1]:-} ]] || die "$1 is missing: $2"; }

needs_program() {
  ((${#program[@]})) || die "no program was given; write it after --: -- python -m xtreme_stilts.main --config=FILE"
}

# is_count OPTION: ends the script where an option that was given is no whole number.
is_count() { [[ ${option[$1]:-0} =~ ^[0-9]+$ ]] || die "$1 is '${option[$1]}', which is no whole number"; }

# workdir: the program's --workdir; nothing where it has none.
workdir() {
  local index
  for index in "${!program[@]}"; do
    case ${program[index]} in
      --workdir=*) echo "${program[index]#*=}" ;;
      --workdir) echo "${program[index + 1]:-}" ;;
    esac
  done
}
