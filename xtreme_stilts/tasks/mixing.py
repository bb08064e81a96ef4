"""How tasks are trained together: the fields of a mixture, the rates that follow from them, and what can be wrong.

Terms and assumptions:

- A task's *rate* is its share of the optimizer steps, before normalising (heads `mixed`: of the micro-batches). The
  samplers are jiant's (`task_sampler.py`, `TimeDependentProbMultiTaskSampler` included), whose formulas are stated at
  the fields.
- *Progress* is the part of a phase's optimizer steps that is done, from 0 to 1.
- *Rows* of a task are what it has to train on, after a budget.
- Language modelling *beside* the tasks (`mlm`) is told apart from the tasks themselves: it has a share of the steps
  of its own, and counts neither towards epochs nor towards the choice of the best checkpoint.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from xtreme_stilts.errors import did_you_mean

SAMPLINGS = ("proportional", "uniform", "temperature", "specified", "scheduled")
HEADS = ("one", "mixed")


def mapping(default: Mapping) -> Any:
    """A dataclass field that holds a mapping; it is no part of the hash."""
    return dataclasses.field(default_factory=lambda: dict(default), hash=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixtureConfig:
    """Tasks trained together, as a config names them: families, tasks or other mixtures.

    Keys of `rates`, `schedule`, `loss_weights` and `budgets` are such names, too; one that stands for several tasks
    gives each of them its value.
    """

    tasks: tuple[str, ...] = ()
    sampling: str = "proportional"  # rate of a task with n rows: n | uniform: 1 | the next fields'
    temperature: float = 1.0  # temperature: n ** (1 / temperature)
    cap: int = 0  # proportional, temperature: min(n, cap) for n, in epochs, too; all rows stay; 0 = no cap
    rates: Mapping[str, float] = mapping({})  # specified: the rate of every task
    schedule: Mapping[str, tuple[tuple[float, ...], ...]] = mapping({})  # scheduled: (progress, rate), straight between
    loss_weights: Mapping[str, float] = mapping({})  # what a task's loss is multiplied by; others: 1
    budget: int = 0  # examples in all, evenly from the tasks; 0 = all there are
    budgets: Mapping[str, int] = mapping({})  # examples of a task, that is of a language; others: all there are
    mlm: tuple[str, ...] = ()  # language modelling beside the tasks: MLM tasks or mixtures of them
    mlm_rate: float = 0.0  # its share of the steps
    mlm_smoothing: float = 0.3  # a language's share of it is n ** mlm_smoothing (Conneau & Lample 2019, section 3.1)
    heads: str = "one"  # one: all micro-batches of an optimizer step are of one task, as in jiant | mixed: of several

    def rate(self, task: str, *, rows: int, progress: float = 0.0) -> float:
        """Rate of one of the tasks, language modelling beside them left out of account.

        Args:
            task: one of the tasks.
            rows: of its training set.
            progress: 0 to 1; matters for `scheduled` only.
        """
        if self.sampling == "uniform":
            return 1.0
        if self.sampling == "specified":
            return float(self.rates[task])
        if self.sampling == "scheduled":
            at, rates = zip(*self.schedule[task], strict=True)
            return float(np.interp(progress, at, rates))
        return float(self.counted(rows)) ** (1 / self.temperature)

    def counted(self, rows: int) -> int:
        """How many of a task's rows count, for its rate and for epochs."""
        return min(rows, self.cap or rows)


# --------------------------------------------------------------------------------------------------
# What can be wrong without knowing any task

_CHOICES = {"sampling": SAMPLINGS, "heads": HEADS}
_COUNTS_WITH = {  # fields that say something only under some samplings
    "temperature": ("temperature",),
    "cap": ("proportional", "temperature"),
    "rates": ("specified",),
    "schedule": ("scheduled",),
}


def mixing_problems(mixing: MixtureConfig, *, where: str) -> list[str]:
    """One sentence for each field out of range and each two that exclude each other.

    Args:
        where: what a field's name is preceded by in them, such as "config.mixtures.both.".
    """
    problems = []
    for name, valid in _CHOICES.items():
        value = getattr(mixing, name)
        if value not in valid:
            problems.append(f"{where}{name} is {value!r}; {did_you_mean(value, valid)}")
    for name, samplings in _COUNTS_WITH.items():
        value = getattr(mixing, name)
        if value != getattr(_DEFAULT, name) and mixing.sampling in SAMPLINGS and mixing.sampling not in samplings:
            problems.append(
                f"{where}{name} is given, but sampling is {mixing.sampling!r}; it counts only with sampling "
                + " or ".join(map(repr, samplings))
            )
    if not mixing.temperature > 0:
        problems.append(f"{where}temperature is {mixing.temperature}; it must be positive")
    problems += [
        f"{where}{name} is {getattr(mixing, name)}; it must not be negative"
        for name in ("cap", "budget")
        if getattr(mixing, name) < 0
    ]
    for name in ("rates", "loss_weights", "budgets"):
        for task, value in getattr(mixing, name).items():
            if not 0 < value < math.inf:
                problems.append(f"{where}{name}.{task} is {value}; it must be positive and finite")
    if mixing.budget and mixing.budgets:
        problems.append(f"{where}budget is given, and budgets, too; name one of them")
    return problems + _schedule_problems(mixing.schedule, where=where) + _mlm_problems(mixing, where=where)


def _schedule_problems(schedule: Mapping[str, tuple[tuple[float, ...], ...]], *, where: str) -> list[str]:
    problems = []
    for task, points in schedule.items():
        valid = "it must be pairs of a progress from 0 to 1, rising, and a rate that is not negative"
        pairs = bool(points) and all(len(point) == 2 for point in points)
        at, rates = zip(*points, strict=True) if pairs else ((), ())
        inside = all(0 <= each <= 1 for each in at)
        rising = all(before < after for before, after in itertools.pairwise(at))
        if not (pairs and inside and rising) or not all(0 <= rate < math.inf for rate in rates):
            problems.append(f"{where}schedule.{task} is {points!r}; {valid}")
    if problems or not schedule:
        return problems
    # Between two corners of any of them the sum is a straight line, so only at corners can it touch 0.
    for corner in sorted({0.0, 1.0, *(float(at) for points in schedule.values() for at, _ in points)}):
        if not any(np.interp(corner, *zip(*points, strict=True)) > 0 for points in schedule.values()):
            return [f"{where}schedule gives every task the rate 0 at progress {corner:g}; one must be positive"]
    return []


def _mlm_problems(mixing: MixtureConfig, *, where: str) -> list[str]:
    problems = []
    if mixing.mlm and not 0 < mixing.mlm_rate < 1:
        problems.append(f"{where}mlm_rate is {mixing.mlm_rate}; with mlm it must lie between 0 and 1")
    if not mixing.mlm and mixing.mlm_rate:
        problems.append(f"{where}mlm_rate is {mixing.mlm_rate}, but mlm is empty; name the tasks it is the share of")
    if not 0 <= mixing.mlm_smoothing <= 1:
        problems.append(f"{where}mlm_smoothing is {mixing.mlm_smoothing}; it must lie between 0 and 1")
    return problems


_DEFAULT = MixtureConfig()
