"""Scenarios of a disk that is full or read-only: a small file system of the study's own, in a private mount namespace.

Needs Linux, `unshare` and `nsenter` (util-linux), and a kernel that lets this user make namespaces.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from tests.faults.bench import DONE, KILLED, ROOT, STORAGE, Bench, Failed, Run, Verdict, one_sentence
from tests.faults.child import BALLAST

SIZE = "256m"  # of the small file system: more than any of the studies needs

# name -> the change before which the disk becomes full. Those of `cache/` and `compiled/` need a start without any.
FULL = {
    "a checkpoint begins": "mkdir phases/*/latest/20*",
    "a checkpoint is sealed": "write phases/*/latest/.10.seal.json*",
    "the best is written": "mkdir phases/*/best/20*",
    "a phase is claimed": "write phases/*/.claim-1.json*",
    "metrics are logged": "write phases/*/metrics.jsonl@3",
    "predictions are written": "write phases/*/evaluations/*/.tr.jsonl*",
    "results.csv is made": "write .results.csv*",
    "results.csv is added to": "write .results.csv*@2",
    "the page is written": "write report/*",
    "the cache is built": "write cache/*/*.npy",
    "a compiled function is kept": "write compiled/*",
}
_IN_CACHES = ("write cache/*", "write compiled/*")
WORDS = ("No space left", "are free on its disk", "Read-only file system")


class Place(NamedTuple):
    """A folder that only programs started by `within` see as it is there."""

    within: tuple[str, ...]
    seen: pathlib.Path  # where others find the same files


@contextlib.contextmanager
def mounted(folder: pathlib.Path, script: str) -> Iterator[Place]:
    """A mount namespace, made by a shell script that finds the folder as `$0`.

    Raises:
        Failed: it cannot be made here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f"{script} && echo made && exec cat"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    keeper = subprocess.Popen([*command, str(folder)], cwd=ROOT, text=True, **pipes)
    try:
        if "made" not in (said := keeper.stdout.readline()):
            raise Failed(f"no namespace could be made: {said.strip()}")
        enter = ("nsenter", f"--target={keeper.pid}", "--user", "--mount", "--preserve-credentials", "--wd", "--")
        yield Place(enter, pathlib.Path(f"/proc/{keeper.pid}/root{folder}"))
    finally:
        keeper.stdin.close()
        keeper.wait()


def why_not() -> str:
    """Why there can be no namespaces here; "" = there can."""
    try:
        with mounted(pathlib.Path("/tmp/xtreme_stilts_faults"), 'mount -t tmpfs -o size=64k none "$0"') as place:
            subprocess.run([*place.within, "true"], check=True, capture_output=True)
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        return f"no mount namespaces here: {error}"
    return ""


def _told(run: Run, *, workdir: str) -> None:
    """It ended with the status of a failing disk and said so in a sentence."""
    if (status := run.wait()) != STORAGE:
        raise Failed(f"ended with {status} on the {workdir}, not with {STORAGE}: {run.log[-600:]}")
    one_sentence(run, words=WORDS)


def _filled(bench: Bench, change: str, workdir: pathlib.Path) -> str:
    empty = change.startswith(_IN_CACHES)
    fields = {"empty": empty}
    with mounted(workdir, f'mount -t tmpfs -o size={SIZE} none "$0"') as place:
        run = bench.start(workdir, faults=[f"--fill={change}"], within=place.within, **fields)
        status = run.wait()
        if not (place.seen / BALLAST).exists():
            raise Failed(f"ended with {status}, and the change {change!r} was none of it: {run.log[-600:]}")
        said = "went on without it"
        if status != DONE or not change.startswith(("write report", "write compiled")):  # neither is the study's result
            _told(run, workdir="full disk")
            said = f"{status}: {run.log.strip().splitlines()[-1]}"
            again = bench.start(workdir, within=place.within, **fields)  # nobody has looked: still full
            _told(again, workdir="full disk, again")
        (place.seen / BALLAST).unlink()
        bench.finish(workdir, within=place.within, **fields)
        bench.compare(place.seen)
    return said


def disk_full(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """No byte is left from a moment on: status 74 and a sentence, also when started again; then space is made."""
    if reason := why_not():
        print(f"skipped: {reason}")
        return
    _ = bench.whole
    for name, change in list(FULL.items())[:times]:
        yield bench.case(f"full when {name}", functools.partial(_filled, bench, change))


def _read_only(bench: Bench, change: str, workdir: pathlib.Path) -> str:
    if (status := bench.start(workdir, faults=[f"--kill={change}"]).wait()) != KILLED:
        raise Failed(f"ended with {status}, and the change {change!r} was none of it")
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
    with mounted(workdir, script) as place:
        run = bench.start(workdir, within=place.within)
        _told(run, workdir="read-only disk")
    bench.finish(workdir)
    bench.compare(workdir)
    return f"{STORAGE}: {run.log.strip().splitlines()[-1]}"


def read_only(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """The disk cannot be written any more when a killed study is started again; later it can."""
    if reason := why_not():
        print(f"skipped: {reason}")
        return
    for change in ("mkdir phases/*/latest/20*", "rename results.csv")[:times]:
        yield bench.case(f"read-only after {change}", functools.partial(_read_only, bench, change))
