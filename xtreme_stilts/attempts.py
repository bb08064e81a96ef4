"""Training a phase again from another seed where it did not learn (`Recipe.restarts`).

A phase is tried with its own seed first (attempt 0), then with seeds that follow from it. `attempts.json` in its folder
has the attempts that failed, and says whether what the last of them left there has been removed. It is written before
anything is removed, so a run that is killed at any moment goes on in the attempt it was in, or begins the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xtreme_stilts import processes
from xtreme_stilts.files import read_object, write_json

FILE = "attempts.json"
_LEFT_BEHIND = ("latest", "best", "tensorboard")


class Attempt(NamedTuple):
    """One of a phase's attempts.

    Attributes:
        number: from 0.
        seed: of data order, dropout and fresh heads.
        failed: the attempts before it, as `end` was told of them.
    """

    number: int
    seed: int
    failed: tuple[Mapping[str, Any], ...]

    def describe(self) -> dict[str, Any]:
        """For records; empty for a first attempt, which is the phase as it was asked for."""
        return {"attempt": self.number, "seed": self.seed, "failed": list(self.failed)} if self.number else {}


def seed_of(seed: int, *, attempt: int) -> int:
    """The seed of an attempt: the phase's own, then numpy's SeedSequence of it and the number, in [0, 2**31)."""
    if attempt == 0:
        return seed
    return int(np.random.SeedSequence((seed, attempt)).generate_state(1)[0] >> 1)


def begin(folder: epath.Path, *, seed: int) -> Attempt:
    """The attempt that a phase's folder is in, with what the one before left there removed.

    Args:
        folder: the phase's.
        seed: the phase's.
    """
    failed = processes.decided(lambda: _cleared(folder))
    return Attempt(len(failed), seed_of(seed, attempt=len(failed)), tuple(failed))


def end(folder: epath.Path, attempt: Attempt, *, record: Mapping[str, Any]) -> None:
    """Notes that an attempt failed: `begin` gives the next one from now on.

    Args:
        folder: the phase's.
        attempt: the one that failed.
        record: how it ended, JSON-serialisable.
    """
    if processes.is_first():
        write_json(folder / FILE, {"failed": [*attempt.failed, {"seed": attempt.seed, **record}], "cleared": False})
    processes.barrier(f"attempt {attempt.number} at {folder.name} has failed")


def _cleared(folder: epath.Path) -> list[Mapping[str, Any]]:
    state = read_object(folder / FILE)
    if not state:
        return []
    if not state["cleared"]:
        for name in _LEFT_BEHIND:
            (folder / name).rmtree(missing_ok=True)
        metrics = folder / "metrics.jsonl"
        if metrics.exists():
            metrics.rename(folder / f"metrics-attempt{len(state['failed']) - 1}.jsonl")
        write_json(folder / FILE, {**state, "cleared": True})
    return state["failed"]
