"""Whether a training learned anything, by its own loss.

Large encoders on small sets sometimes do not: the loss stays at, or goes back to, that of an answer that looks at
nothing, and every score is at chance. The *guess* of a task is the mean loss of the best such answer, from its
training rows alone:

- classification, choice, tagging: the entropy of the labels (nats), the loss of always giving their distribution;
- regression: the variance of the labels, the loss of always giving their mean;
- span: the mean logarithm of a row's tokens, the loss of finding all of them equally likely.

The rule. A task *did not learn* if its mean loss over its last steps is at least KEPT of its guess. Last steps are the
last tenth of those it had, and at least FEWEST; they are looked at where training ended and where its best parameters
were found, and the lower loss counts. Not judged are a task of fewer than JUDGED steps, a language model, whose head
need not begin fresh, labels that are all the same, and labels that were shuffled to see that nothing is learned.

KEPT leaves room for the noise of a mean over few steps. In runs of the miniature benchmark and of real rows the tasks
that learned ended between 0.01 and 0.89 of their guess, those at chance between 0.995 and 1.02.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

KEPT = 0.98  # share of the guess's loss that a task must get below to count as learned
FEWEST = 10  # steps that a mean loss is taken over
JUDGED = 50  # steps that a task needs to be judged
PARTS = 100  # a course has the mean loss of each hundredth of the planned steps
_CHUNK = 2**20  # numbers of a memory-mapped column read at once


class Rows(Protocol):
    """What is read of a cache."""

    kind: str
    columns: Mapping[str, np.ndarray]
    sizes: np.ndarray


def guess(rows: Rows) -> float:
    """The loss of the best answer that looks at nothing; nan where there is none to compare with (language models)."""
    match rows.kind:
        case "classification" | "choice":
            return _entropy(rows.columns["label"])
        case "tagging":
            return _entropy(rows.columns["tags"])
        case "regression":
            return float(np.nanvar(np.asarray(rows.columns["label"], np.float64)))
        case "span":
            return float(np.log(rows.sizes).mean())
    return math.nan


def _entropy(labels: np.ndarray) -> float:
    """In nats; labels below 0 are none."""
    counts = np.zeros(1, np.int64)
    for first in range(0, len(labels), _CHUNK):
        part = np.asarray(labels[first : first + _CHUNK])
        found = np.bincount(part[part >= 0])
        size = max(len(counts), len(found))
        counts = np.pad(counts, (0, size - len(counts))) + np.pad(found, (0, size - len(found)))
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum())


class Unlearned(NamedTuple):
    """The losses of a task that did not learn: means over its first and last steps, and its guess's."""

    beginning: float
    end: float
    guess: float


@dataclasses.dataclass
class Course:
    """How the losses of a phase's tasks went: sum and number of steps in each hundredth of those planned.

    It is part of every checkpoint, so that a run that was cut off is judged like one that was not.

    Attributes:
        steps: optimizer steps planned.
        losses, counts: task -> a list of PARTS numbers.
    """

    steps: int
    losses: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    counts: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    @classmethod
    def resumed(cls, record: Mapping[str, Any] | None, *, steps: int) -> Course:
        """From what `dataclasses.asdict` gave; None (of a checkpoint that lacks it) begins anew."""
        return cls(**record) if record else cls(steps)

    def add(self, task: str, loss: float, *, step: int) -> None:
        """Notes the mean loss of optimizer step 1, 2, ..."""
        part = self._part(step)
        self.losses.setdefault(task, [0.0] * PARTS)[part] += loss
        self.counts.setdefault(task, [0] * PARTS)[part] += 1

    def unlearned(self, guesses: Mapping[str, float], *, best_step: int) -> dict[str, Unlearned]:
        """The tasks that did not learn, by the rule above.

        Args:
            guesses: task -> loss of its guess; nan = not judged.
            best_step: the step whose parameters are kept.
        """
        found = {}
        for task, guessed in guesses.items():
            if not guessed > 0 or sum(self.counts.get(task, ())) < JUDGED:  # nan, too
                continue
            parts = list(zip(self.losses[task], self.counts[task], strict=True))
            end, best = _mean(reversed(parts)), _mean(reversed(parts[: self._part(best_step) + 1]))
            if min(end, best) >= KEPT * guessed:
                found[task] = Unlearned(_mean(parts), end, guessed)
        return found

    def _part(self, step: int) -> int:
        return min(max(step - 1, 0) * PARTS // self.steps, PARTS - 1)


def _mean(parts: Iterable[tuple[float, int]]) -> float:
    """The mean loss of the first tenth of the steps, and at least FEWEST, of (sum of losses, steps) in order."""
    parts = list(parts)
    needed = max(FEWEST, sum(count for _, count in parts) / 10)
    loss, steps = 0.0, 0
    for part, count in parts:
        loss, steps = loss + part, steps + count
        if steps >= needed:
            break
    return loss / steps if steps else math.inf
