"""The real program with faults armed in it.

    python -m tests.faults.child --workdir=DIR [--kill=CHANGE] [--fill=CHANGE] [--slow=SECONDS] [--clock=SEED]
                                 [--trace=FILE] -- FLAGS OF xtreme_stilts.main

A *change* is what the program is about to do to a file or a folder below DIR, as Python's audit events tell of it
before it happens: `write PATH` (opened for writing), `rename NEW`, `link NEW`, `remove PATH`, `mkdir PATH`,
`rmdir PATH` or `rmtree PATH`, PATH below DIR. A fault's CHANGE is a pattern of the shell's kind, such as
`rename phases/*/best/*`, and `PATTERN@3` is the third of those. What libraries write without Python, array data above
all, is no change of its own.
"""

from __future__ import annotations

import argparse
import errno
import fnmatch
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence

BALLAST = "ballast"  # the file in DIR that a full disk is made with
_KINDS = {
    "open": "write",
    "os.rename": "rename",
    "os.link": "link",
    "os.remove": "remove",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "shutil.rmtree": "rmtree",
}
_JUMP_EVERY = 4  # seconds: some within a run, and most saves with none
_BACK_AND_FORTH = (0, 3600, -86400, 315360000, -1, -946080000, 61)  # seconds a clock is off: an hour, a day, 10 years


class When:
    """Counts the changes that match a pattern."""

    def __init__(self, text: str):
        pattern, _, number = text.rpartition("@") if "@" in text else (text, "", "1")
        self.pattern, self.left = pattern, int(number)

    def comes(self, change: str) -> bool:
        """Whether this change is the one."""
        if self.left and fnmatch.fnmatchcase(change, self.pattern):
            self.left -= 1
            return not self.left
        return False


class Faults:
    """An audit hook: is told every change before it is made."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.root = options, os.path.abspath(options.workdir) + os.sep
        self.kill, self.fill = (When(text) if text else None for text in (options.kill, options.fill))
        self.busy = threading.local()
        self.trace = open(options.trace, "w") if options.trace else None  # noqa: SIM115

    def __call__(self, event: str, args: tuple) -> None:
        if event in _KINDS and not getattr(self.busy, "now", False):
            change = self._change(event, args)
            if change:
                self.busy.now = True
                try:
                    self._told(change)
                finally:
                    self.busy.now = False

    def _change(self, event: str, args: tuple) -> str:
        path = args[1] if event in ("os.rename", "os.link") else args[0]
        if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
            return ""
        if not isinstance(path, str | bytes | os.PathLike):
            return ""
        path = os.fsdecode(path)
        if event in ("os.remove", "os.rmdir") and not os.path.isabs(path):
            return f"{_KINDS[event]} .../{path}"  # a whole tree is removed by names within open folders
        path = os.path.abspath(path)
        return f"{_KINDS[event]} {path.removeprefix(self.root)}" if path.startswith(self.root) else ""

    def _told(self, change: str) -> None:
        if self.trace:
            self.trace.write(change + "\n")
            self.trace.flush()
        if self.options.slow:
            time.sleep(self.options.slow)
        if self.kill and self.kill.comes(change):
            time.sleep(self.options.linger)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fill and self.fill.comes(change):
            _fill(os.path.join(self.root, BALLAST))


def _fill(path: str) -> None:
    """Writes a file until its disk has no byte left."""
    with open(path, "wb", buffering=0) as file:
        size = 2**20
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


def _step_the_clock(seed: int) -> None:
    """From now on the time of day jumps again and again, back and forth; `time.monotonic` does not, as in real life."""
    offsets = list(_BACK_AND_FORTH)
    random.Random(seed).shuffle(offsets)
    cycle, began, now = list(itertools.islice(itertools.cycle(offsets), 1000)), time.monotonic(), time.time

    def stepped() -> float:
        return now() + cycle[int((time.monotonic() - began) / _JUMP_EVERY) % len(cycle)]

    gmtime, localtime = time.gmtime, time.localtime
    time.time = stepped
    time.time_ns = lambda: int(stepped() * 1e9)
    time.gmtime = lambda seconds=None: gmtime(stepped() if seconds is None else seconds)
    time.localtime = lambda seconds=None: localtime(stepped() if seconds is None else seconds)


def _slow_fsync(seconds: float) -> None:
    fsync = os.fsync

    def slow(file) -> None:
        time.sleep(seconds)
        fsync(file)

    os.fsync = slow


def main(argv: Sequence[str]) -> int:
    """Arms the faults and runs the program; returns its exit status."""
    own, flags = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(prog="python -m tests.faults.child", description=__doc__)
    parser.add_argument("--workdir", required=True, help="changes below it count")
    parser.add_argument("--kill", default="", metavar="CHANGE", help="SIGKILL just before it")
    parser.add_argument("--linger", type=float, default=0.0, help="seconds by which that thread waits before the kill")
    parser.add_argument("--fill", default="", metavar="CHANGE", help="the disk is full from just before it on")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that every change and fsync takes longer")
    parser.add_argument("--clock", type=int, default=0, metavar="SEED", help="the time of day jumps; 0 = it does not")
    parser.add_argument("--trace", default="", metavar="FILE", help="writes the changes there, one a line")
    options = parser.parse_args(own)
    if options.clock:
        _step_the_clock(options.clock)
    if options.slow:
        _slow_fsync(options.slow)
    sys.addaudithook(Faults(options))

    from xtreme_stilts import main as program  # with the clock and the hook in place

    return program.run(["xtreme_stilts.main", *flags])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
