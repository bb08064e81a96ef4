"""Two starts of one study at the same moment: one works where the other does not, and nothing is done twice."""

from __future__ import annotations

import collections
import functools
import pathlib
import random
import re
import time
from collections.abc import Iterator

from tests.faults.bench import DONE, Bench, Failed, Verdict

_ENDED = re.compile(r"^(\[\d+/\d+\]) .*: (\d+)/\2, ", re.MULTILINE)  # the last line of a phase that was trained
_EVALUATED = re.compile(r"^(\[\d+/\d+\] evaluated \S+) in", re.MULTILINE)
_WAITING = re.compile(r"process \d+ on \S+")


def _two(bench: Bench, delay: float, workdir: pathlib.Path) -> str:
    first = bench.start(workdir)
    time.sleep(delay)
    runs = [first, bench.start(workdir)]
    statuses = [run.wait() for run in runs]
    logs = "\n".join(run.log for run in runs)
    if statuses != [DONE, DONE]:
        raise Failed(f"ended with {statuses}: {logs[-800:]}")
    for pattern in (_ENDED, _EVALUATED):
        done = collections.Counter(match[1] for match in pattern.finditer(logs))
        if not done or max(done.values()) > 1:
            raise Failed(f"done by both, or by none: {dict(done)}")
    if "taken over" in logs:
        raise Failed(f"one took the other for dead: {logs[-800:]}")
    bench.compare(workdir)
    shares = [len(_ENDED.findall(run.log)) + len(_EVALUATED.findall(run.log)) for run in runs]
    waited = sum(bool(_WAITING.search(run.log)) for run in runs)
    return f"{shares[0]} and {shares[1]} pieces of work, {waited} waited for the other"


def two_starts(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """The same command twice at the same moment, or up to half a second apart."""
    _ = bench.whole
    chance = random.Random(seed)
    for number in range(times):
        delay = chance.choice([0.0, 0.0, chance.uniform(0, 0.5)])
        yield bench.case(f"two starts {number + 1}", functools.partial(_two, bench, delay))
