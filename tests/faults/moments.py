"""Scenarios that end the program: at random moments, before each kind of change, twice, by being told to."""

from __future__ import annotations

import collections
import functools
import pathlib
import random
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tests.faults.bench import (
    DONE,
    KILLED,
    STOPPED,
    STORAGE,
    Bench,
    Failed,
    Verdict,
    newest_change,
    one_sentence,
)

SLOW = 0.03  # seconds a change takes longer on a slow disk
LATE = "did not finish in time"  # what the program says of a save whose time-out a jump of the clock has reached
MOST_STARTS = 4  # with a clock that jumps, within so many starts a study must end

# name -> the change before which the program is killed. What a study goes through, in order.
BARRIERS = {
    "the config is written": "rename config.json",
    "the plan is written": "rename plan.json",
    "a phase is claimed": "link phases/*/claim-1.json",
    "a phase is described": "rename phases/*/phase.json",
    "the first checkpoint begins": "mkdir phases/*/latest/*",
    "a checkpoint is complete": "rename phases/both*/latest/20",
    "a checkpoint is sealed": "rename phases/both*/latest/20.seal.json",
    "an older checkpoint is removed": "rmtree phases/both*/latest/10",
    "the best is complete": "rename phases/both*/best/20",
    "an older best is removed": "rmtree phases/*/best/*",
    "training is recorded": "rename phases/both*/done.json",
    "latest is removed": "rmtree phases/both*/latest",
    "latest is half removed": "remove .../commit_success.txt@5",
    "predictions are written": "rename phases/*/evaluations/*/en.jsonl",
    "scores are written": "rename phases/*/evaluations/*/scores.json",
    "a second language's scores are written": "rename phases/mini_panx*/evaluations/*/scores.json@2",
    "thresholds are written": "rename phases/*/evaluations/*/thresholds.json",
    "results.csv is made": "rename results.csv",
    "results.csv is added to": "rename results.csv@2",
    "a claim is given up": "rename phases/*/claim-1.json",
    "the page is written": "write report/*",
}

# The same of a phase that is trained again because it did not learn.
ATTEMPTS = {
    "the attempt is noted": "rename phases/*/attempts.json",
    "its checkpoints are removed": "rmtree phases/*/best",
    "its log is set aside": "rename phases/*/metrics-attempt0.jsonl",
    "it is cleared away": "rename phases/*/attempts.json@2",
    "the next one begins": "mkdir phases/*/latest*@2",
    "the next one saves": "rename phases/*/latest/20@2",
    "the next one is recorded": "rename phases/*/done.json",
}


def _end(bench: Bench, workdir: pathlib.Path, statuses: list[int], *, where: str, **then) -> str:
    """Starts the program until it ends, and compares; a few words on it."""
    runs = bench.finish(workdir, **then)
    bench.compare(workdir)
    return f"ended with {' '.join(map(str, statuses + [run.process.returncode for run in runs]))}, at {where}"


_VALID = {signal.SIGKILL: (DONE, KILLED), signal.SIGTERM: (DONE, STOPPED, -signal.SIGTERM)}


def _interrupted(
    bench: Bench,
    workdir: pathlib.Path,
    *,
    number: int,
    after: list[float],
    then: Mapping[str, Any] = MappingProxyType({}),
    also: tuple[int, ...] = (),
    **fields,
) -> str:
    """Signals at these moments, each in a start of its own with `fields`, then to the end as `then` says.

    It may end with the statuses of `also`, too.
    """
    statuses, places = [], []
    for seconds in after:
        run = bench.start(workdir, **fields)
        statuses.append(run.interrupt(number, after=seconds))
        places.append(f"{seconds:.1f} s of the processor ({newest_change(workdir)})")
        if statuses[-1] not in (*_VALID[number], *also):
            raise Failed(
                f"ended with {statuses[-1]} when told to stop after {seconds:.1f} processor seconds: {run.log[-400:]}"
            )
        if statuses[-1] == STORAGE:
            one_sentence(run, words=[LATE])
    return _end(bench, workdir, statuses, where=", ".join(places), **then)


def kill(bench: Bench, chance: random.Random, workdir: pathlib.Path) -> str:
    """kill -9 at a random moment."""
    return _interrupted(bench, workdir, number=signal.SIGKILL, after=[_moment(bench, chance)])


def two_kills(bench: Bench, chance: random.Random, workdir: pathlib.Path) -> str:
    """kill -9 at a random moment, and again while the next start goes on."""
    after = [_moment(bench, chance), _moment(bench, chance)]
    return _interrupted(bench, workdir, number=signal.SIGKILL, after=after)


def cold(bench: Bench, chance: random.Random, workdir: pathlib.Path) -> str:
    """kill -9 at a random moment of a study with nothing cached, be it data or compiled functions."""
    after = [_moment(bench, chance)]
    return _interrupted(bench, workdir, number=signal.SIGKILL, after=after, then={"empty": True}, empty=True)


def sigterm(bench: Bench, chance: random.Random, workdir: pathlib.Path) -> str:
    """SIGTERM at a random moment: status 75 with all saved, then on."""
    return _interrupted(bench, workdir, number=signal.SIGTERM, after=[_moment(bench, chance)])


def slow_disk(bench: Bench, chance: random.Random, workdir: pathlib.Path) -> str:
    """kill -9 at a random moment while every change to the disk takes its time."""
    slow = [f"--slow={SLOW}"]
    return _interrupted(bench, workdir, number=signal.SIGKILL, after=[_moment(bench, chance)], faults=slow)


def clock(bench: Bench, chance: random.Random, workdir: pathlib.Path) -> str:
    """The clock jumps by hours and years within a run that is killed, and otherwise in those that go on.

    Libraries measure their time-outs by it, so a save can end with the status of a failing disk.
    """
    first, second = ([f"--clock={chance.randint(1, 10**6)}"] for _ in range(2))
    after, then = [_moment(bench, chance)], {"faults": second, "starts": MOST_STARTS}
    kill_it = {"number": signal.SIGKILL, "after": after, "also": (STORAGE,)}
    return _interrupted(bench, workdir, then=then, faults=first, **kill_it)


RANDOM = {each.__name__: each for each in (kill, two_kills, sigterm, cold, slow_disk, clock)}
_SHARES = {"kill": 8, "two_kills": 4, "sigterm": 3, "cold": 2, "slow_disk": 2, "clock": 1}


def _moment(bench: Bench, chance: random.Random) -> float:
    """Processor seconds after a start; the first tenth of a run, which only imports, is left out."""
    return bench.seconds * chance.uniform(0.1, 1.0)


def at_random(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """So many faults, of any of these kinds."""
    chance = random.Random(seed)
    for number in range(times):
        name = chance.choices(list(_SHARES), list(_SHARES.values()))[0]
        yield bench.case(f"{number + 1}-{name}", functools.partial(RANDOM[name], bench, chance))


def repeatedly(name: str) -> Callable[..., Iterator[Verdict]]:
    """The scenario of one of these kinds alone."""

    def scenario(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
        chance = random.Random(seed)
        for number in range(times):
            yield bench.case(f"{name}-{number + 1}", functools.partial(RANDOM[name], bench, chance))

    return scenario


def _killed_at(bench: Bench, change: str, workdir: pathlib.Path, *, linger: float = 0.0) -> str:
    run = bench.start(workdir, faults=[f"--kill={change}", f"--linger={linger}"])
    if (status := run.wait()) != KILLED:
        raise Failed(f"ended with {status}, and the change {change!r} was none of it: {run.log[-400:]}")
    return _end(bench, workdir, [status], where=change)


def barriers(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """kill -9 just before each of the steps that a study goes through."""
    for name, change in list(BARRIERS.items())[:times]:
        yield bench.case(f"before {name}", functools.partial(_killed_at, bench, change))


def attempts(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """kill -9 just before each of the steps from one attempt at a phase to the next."""
    for name, change in list(ATTEMPTS.items())[:times]:
        yield bench.case(f"before {name}", functools.partial(_killed_at, bench, change))


def overtaken(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """kill -9 while a checkpoint's last step waits and all else goes on: nothing later may rely on it."""
    changes = ("rename phases/both*/best/20", "rename phases/mini_panx*/best/20", "rename phases/both*/latest/20")
    for change in changes[:times]:
        yield bench.case(f"late {change}", functools.partial(_killed_at, bench, change, linger=5.0))


def every_change(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """kill -9 just before a change, one of each kind there is, drawn among those of its kind."""
    chance = random.Random(seed)
    kinds = collections.Counter(_NAMES.sub("*", change) for change in bench.changes)
    for kind in chance.sample(sorted(kinds), min(times, len(kinds))):
        # The later half is left out: how often a claim shows signs of life depends on the time a run takes.
        change = f"{kind}@{chance.randint(1, (kinds[kind] + 1) // 2)}"
        yield bench.case(f"before {change}", functools.partial(_killed_at, bench, change))


_NAMES = re.compile(r"[0-9a-f]{6,}|\d+")  # fingerprints, steps and the like: what differs within a kind of change
