"""Runs the study a config file describes: flags, process log, one call.

    python -m xtreme_stilts.main --config=configs/quickstart.py
    python -m xtreme_stilts.main --config=FILE[:ARG] --config.recipes.target.steps=200 --workdir=DIR --dry_run

It is short so that everything it does can also be done from a notebook: `study.run(config.parse(...))`.
Exit status: 0 done, 1 another process of the same run stopped, 2 bad input (one sentence on standard error), 74 the
disk is full or fails, 75 told to stop (SIGTERM, Ctrl-C) and all is saved: run it again, 130 told twice. Whichever it
is, the same command goes on from what is saved.

Several processes (a TPU pod, several GPU machines) run the same command. SLURM, Open MPI, GKE and Cloud TPU are
recognised; elsewhere say who is who: `--coordinator=HOST:PORT --processes=2 --process=0`.
"""

from __future__ import annotations

import functools
import logging
import os
import pathlib
import sys
from typing import NoReturn

from absl import app, flags

from xtreme_stilts import flags as flags_lib
from xtreme_stilts.errors import EXIT_STATUS, STORAGE_STATUS, Stopped, StorageError, UserError
from xtreme_stilts.files import storage_fault

# Before TensorFlow or JAX is imported: their C++ start-up notes are not for users.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

_CONFIG = flags_lib.define_config()
flags.declare_key_flag("config")  # --help shows it
_WORKDIR = flags.DEFINE_string("workdir", None, "Study directory, local or gs://; default ./runs/<config name>.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the phases to run and to reuse and what they cost, and stop.")
_TOPOLOGY = flags.DEFINE_multi_string("topology", [], "Chips that --dry_run tells hours for, such as h200:1.")
_MFU = flags.DEFINE_float("mfu", 0.4, "Share of the chips' peak that --dry_run assumes.", 0.01, 1)
_COORDINATOR = flags.DEFINE_string("coordinator", "", "Several processes: HOST:PORT of process 0.")
_PROCESSES = flags.DEFINE_integer("processes", 0, "Several processes: how many there are.")
_PROCESS = flags.DEFINE_integer("process", -1, "Several processes: the number of this one, from 0.")

_GO_ON = "once that is mended, the same command goes on from what is saved"

# What the runtime says when a process it talks to is gone (gloo, the coordination service, NCCL).
_GONE = (
    "gloo",
    "connection reset",
    "connection closed",
    "socket closed",
    "heartbeat",
    "coordination",
    "unavailable",
    "nccl",
)


def main(argv: list[str]) -> None:
    """One call. Raises UserError on bad input."""
    flags_lib.no_more(argv)
    if _CONFIG.value is None:
        raise UserError("no config was given; try --config=configs/quickstart.py")
    if _DRY_RUN.value:
        _plan()
        return
    from xtreme_stilts import processes, study  # heavy imports only once the flags are right

    processes.join(coordinator=_COORDINATOR.value, count=_PROCESSES.value, index=_PROCESS.value)
    parsed = flags_lib.study_of(_CONFIG.value, also=study.problems_of)
    workdir = _workdir(parsed)
    try:
        study.run(parsed, workdir=workdir)
    except Exception as error:
        fault = storage_fault(error)
        if not fault:
            raise
        raise StorageError(fault if "/" in fault else f"--workdir {workdir}: {fault}") from error


def _plan() -> None:
    from xtreme_stilts import planner

    parsed = flags_lib.study_of(_CONFIG.value)
    planner.show(parsed, workdir=_workdir(parsed), topologies=_TOPOLOGY.value, mfu=_MFU.value)


def _workdir(parsed) -> str:
    return _WORKDIR.value or str(pathlib.Path("runs") / parsed.name)


def run(argv: list[str] | None = None) -> int:
    """Parses flags and runs `main`; returns the exit status."""
    for noisy in ("absl", "jax._src.xla_bridge"):  # notes on saves and on backends that are not there
        logging.getLogger(noisy).setLevel(logging.WARNING)
    ours = logging.getLogger("xtreme_stilts")  # what it says is for people: no time, no line numbers
    if not ours.handlers:
        ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    ours.propagate = False
    try:
        app.run(main, argv=argv, flags_parser=functools.partial(flags_lib.parse, flags.FLAGS))
    except UserError as error:
        flags_lib.tell(error)
        return _leave(2)
    except Stopped as stop:
        print(f"stopped: {stop}; all is saved, the same command goes on from there", file=sys.stderr)
        return _leave(EXIT_STATUS)
    except KeyboardInterrupt:  # the second signal, or the first where nothing was being trained yet
        print("stopped at once; the same command goes on from what is saved", file=sys.stderr)
        return _leave(130)
    except StorageError as error:
        print(f"error: {error}; {_GO_ON}", file=sys.stderr)
        _end(STORAGE_STATUS)  # a proper end would write what is left to the same disk, and fail at length
    except Exception as error:
        if not _another_stopped(error):
            raise
        said = str(error).strip().splitlines()
        print(
            f"error: another process of this run stopped, and so does this one ({said[0] if said else 'no reason'}); "
            "what is saved stays: look at the other's output and start all of them again",
            file=sys.stderr,
        )
        return _leave(1)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _another_stopped(error: Exception) -> bool:
    """Whether an error (JaxRuntimeError, among others) is the runtime's word that a process is gone."""
    jax = sys.modules.get("jax")
    several = bool(jax) and jax.process_count() > 1
    return several and isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _GONE)


def _leave(status: int) -> int:
    """The exit status; of several processes this one ends at once, since a proper end would wait for the others."""
    jax = sys.modules.get("jax")
    if jax and jax.distributed.is_initialized() and jax.process_count() > 1:
        _end(status)
    return status


def _end(status: int) -> NoReturn:
    """Ends the program at once."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _with_huge_pages() -> None:
    """Starts this program again with huge pages for malloc, where Linux offers them.

    XLA's CPU backend takes its temporary memory anew in every step; with small pages the page faults cost up to
    a third of it. glibc reads the setting before the program runs, so it cannot be made from within.
    """
    setting = "glibc.malloc.hugetlb=1"
    if sys.platform.startswith("linux") and "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "GLIBC_TUNABLES": setting})


if __name__ == "__main__":
    _with_huge_pages()
    sys.exit(run(sys.argv))
