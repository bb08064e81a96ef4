"""Two rows on the same examples: their difference, its two sources of chance, the tests. Terms as in the package."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from xtreme_stilts.errors import UserError
from xtreme_stilts.report.outcomes import Outcomes
from xtreme_stilts.report.statistics.spread import LEVEL, RESAMPLES

_BLOCK = 4_000_000  # numbers drawn at a time


class Comparison(NamedTuple):
    """Whether one row's score differs from another's."""

    difference: float  # points, mean over seeds
    low: float  # of the 95 % interval
    high: float
    p: float  # two-sided; 1 where no example tells the rows apart
    error_examples: float  # standard error, points: examples
    error_seeds: float  # the same: seeds; 0 for one seed
    seeds: int
    examples: int
    test: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Two rows' difference on one test set, or its mean over several: drawn anew, and under the null hypothesis."""

    scores: Mapping[str, np.ndarray]  # row -> float64[seeds], percent: the two rows, then others with these seeds
    drawn: np.ndarray  # float64[resamples]: examples drawn anew, mean over seeds
    by_size: Mapping[int, float]  # examples of a test set -> what sets of this size add to the difference
    examples: int  # of all test sets
    differing: int  # examples whose outcomes differ in any seed
    swapped: np.ndarray | None = None  # float64[resamples]: rows exchanged at random; None where not asked for
    seeds: tuple[int, ...] = ()  # their names, in the order of the scores

    @property
    def difference(self) -> float:
        """Points, mean over seeds."""
        first, second, *_ = self.scores.values()
        return float((first - second).mean())


def paired_bootstrap(
    found: Outcomes, *, first: Sequence[int], second: Sequence[int], resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """First row minus second: bootstrap over examples, t distribution over seeds.

    - Examples: the variance of the difference over draws of examples, plus difference^2 / examples. The second term
      makes it the variance around *no* difference: for the accuracy of one seed difference / error is McNemar's
      (b - c) / sqrt(b + c), and cannot grow beyond all bounds where the few examples that differ agree. Its degrees of
      freedom are those of the examples that differ, as only they tell the rows apart.
    - Seeds: s^2 / n, s the standard deviation of the n seeds' differences, with n - 1 degrees of freedom.
    - Difference - truth is taken for the sum of two independent t variables, each times its error (the solution of
      Behrens 1929 and Fisher 1935): the paired t test where all noise is of seeds, and else at or below the nominal
      rate of false findings. (Satterthwaite's approximation has more than twice that rate for two seeds.)

    A p value is not counted among draws: 10,000 draws give none below 0.0002, and a table of 2,000 tests corrected
    by Holm's method would find nothing.

    Args:
        found: outcomes of all models of both rows.
        first, second: numbers of the models of each row, seed by seed.
        resamples: draws of the examples.
        seed: of the draws.

    Raises:
        UserError: rows with different numbers of seeds, or none.
    """
    _check_rows(first, second)
    (drawn,) = resampled([found], resamples=resamples, seed=seed)
    return by_bootstrap(pair_of(found, drawn, {"first": first, "second": second}))


def paired_randomisation(
    found: Outcomes, *, first: Sequence[int], second: Sequence[int], resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """Two-sided p value of the approximate randomisation test (Noreen 1989) of the models at hand.

    Under the null hypothesis an example's outcomes might as well be the other row's: rows are exchanged at random,
    example by example (all seeds of an example together), and p is the share of exchanges with a difference at least
    as large, the one that was found included. For accuracy and one seed this is McNemar's exact test. It needs no
    assumption on the distribution, but does not know the seeds' part, and has no p below 1 / (resamples + 1).

    Args, raises: as `paired_bootstrap`.
    """
    _check_rows(first, second)
    by_seed = found.scores()[list(first)] - found.scores()[list(second)]
    swapped = exchanged(found, first=first, second=second, resamples=resamples, seed=seed)
    return _share_beyond(float(by_seed.mean()), swapped)


def _check_rows(first: Sequence[int], second: Sequence[int]) -> None:
    if len(first) != len(second) or not len(first):
        raise UserError(f"rows have {len(first)} and {len(second)} models; give one for each seed, the same seeds")


def pair_of(found: Outcomes, drawn: np.ndarray, rows: Mapping[str, Sequence[int]]) -> Pair:
    """Of the first row and the second.

    Args:
        drawn: float64[resamples, models], percent, of draws of the examples.
        rows: numbers of their models, seed by seed; behind the two other rows with the same seeds.
    """
    first, second = map(list, list(rows.values())[:2])
    scores = found.scores()
    return Pair(
        scores={row: scores[list(models)] for row, models in rows.items()},
        by_size={found.examples: float((scores[first] - scores[second]).mean())},
        drawn=(drawn[:, first] - drawn[:, second]).mean(1),
        examples=found.examples,
        differing=int((found.values[first] != found.values[second]).any((0, 2)).sum()),
    )


def mean_of(pairs: Sequence[Pair]) -> Pair:
    """Of several test sets that were drawn by the same seed."""
    by_size: Counter = Counter()
    for pair in pairs:
        for size, difference in pair.by_size.items():
            by_size[size] += difference / len(pairs)
    rows = [row for row in pairs[0].scores if all(row in pair.scores for pair in pairs)]
    return Pair(
        scores={row: np.mean([pair.scores[row] for pair in pairs], 0) for row in rows},
        drawn=np.mean([pair.drawn for pair in pairs], 0),
        swapped=None if pairs[0].swapped is None else np.mean([pair.swapped for pair in pairs], 0),
        by_size=by_size,
        examples=sum(pair.examples for pair in pairs),
        differing=sum(pair.differing for pair in pairs),
        seeds=pairs[0].seeds,
    )


class _Error(NamedTuple):
    """Standard error of a difference, points, and how well it is known."""

    value: float
    freedom: int


def _error_of_examples(pair: Pair) -> _Error:
    # Test sets of one size share their draws and count as one; those of other sizes are independent of them.
    around_none = sum(difference**2 / size for size, difference in pair.by_size.items())
    variance = float(pair.drawn.var(ddof=1)) + around_none
    return _Error(math.sqrt(variance), max(pair.differing - 1, 1))


def error_of_seeds(pair: Pair) -> _Error:
    """From what is left of the scores without the rows' and the seeds' means (randomised blocks, Fisher 1935). For two
    rows that is s / sqrt(n) of their differences, with n - 1 degrees of freedom."""
    scores = np.array(list(pair.scores.values()))
    rows, seeds = scores.shape
    if seeds == 1:
        return _Error(0.0, 1)
    left = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
    freedom = (rows - 1) * (seeds - 1)
    return _Error(math.sqrt(2 * float((left**2).sum()) / freedom / seeds), freedom)


class _Sum:
    """The sum of two independent t variables, each times its error."""

    def __init__(self, first: _Error, second: _Error):
        self.first = first
        # Over the second one by the trapezoid rule in asinh t, which reaches far into heavy tails with few points.
        steps = np.linspace(-20, 20, 801)
        t = np.sinh(steps)
        weights = stats.t.pdf(t, second.freedom) * np.cosh(steps) * (steps[1] - steps[0])
        counts = weights > 1e-18  # of 801 such there is no trace in a probability
        self.shifts, self.weights = second.value * t[counts], weights[counts]
        self.scale = sum(error.value * stats.t.isf((1 - LEVEL) / 2, error.freedom) for error in (first, second))

    def beyond(self, size: float) -> float:
        """Probability of a sum below -size or above size."""
        above = special.stdtr(self.first.freedom, (self.shifts - abs(size)) / self.first.value)
        return min(1.0, 2 * float(self.weights @ above))

    def margin(self) -> float:
        """The size beyond which the sum is with probability 1 - LEVEL."""
        return float(optimize.brentq(lambda size: self.beyond(size) - (1 - LEVEL), 0.0, 2 * self.scale))


def by_bootstrap(pair: Pair) -> Comparison:
    examples, seeds = _error_of_examples(pair), error_of_seeds(pair)
    margin, p = 0.0, 1.0
    if examples.value > 0:  # some example tells the rows apart
        noise = _Sum(examples, seeds)
        margin, p = noise.margin(), noise.beyond(pair.difference)
    return Comparison(
        difference=pair.difference,
        low=pair.difference - margin,
        high=pair.difference + margin,
        p=p,
        error_examples=examples.value,
        error_seeds=seeds.value,
        seeds=len(next(iter(pair.scores.values()))),
        examples=pair.examples,
        test="bootstrap",
    )


def by_randomisation(pair: Pair) -> Comparison:
    """The interval stays the bootstrap's: a randomisation test has none."""
    found = by_bootstrap(pair)
    return found._replace(p=_share_beyond(found.difference, pair.swapped), test="randomisation")


def _share_beyond(difference: float, swapped: np.ndarray) -> float:
    # Sums of the same numbers in another order differ in the last digits: those are ties.
    return float((1 + (np.abs(swapped) >= abs(difference) - 1e-9).sum()) / (1 + len(swapped)))


TESTS: Mapping[str, Callable[[Pair], Comparison]] = {"bootstrap": by_bootstrap, "randomisation": by_randomisation}


def _blocks(resamples: int, *, examples: int) -> Iterator[int]:
    """Draws at a time, so that memory stays bounded."""
    block = max(1, _BLOCK // examples)
    for begin in range(0, resamples, block):
        yield min(block, resamples - begin)


def resampled(found: Sequence[Outcomes], *, resamples: int, seed: int) -> list[np.ndarray]:
    """For each test set float64[resamples, models], percent, of as many examples as it has, drawn with replacement.

    A draw is the same for all models and for all test sets of one size. It depends on that size and `seed` only.
    """
    scores: list[list[np.ndarray]] = [[] for _ in found]
    for count in {each.examples for each in found}:
        random = np.random.default_rng([seed, count])
        for size in _blocks(resamples, examples=count):
            weights = np.empty((size, count))
            for row, drawn in zip(weights, random.integers(count, size=(size, count), dtype=np.int32), strict=True):
                row[:] = np.bincount(drawn, minlength=count)
            for each, blocks in zip(found, scores, strict=True):
                if each.examples == count:
                    blocks.append(each.score(each.values, weights))
    return [np.concatenate(blocks) for blocks in scores]


def exchanged(found: Outcomes, *, first: Sequence[int], second: Sequence[int], resamples: int, seed: int) -> np.ndarray:
    """float64[resamples], points: the difference, mean over seeds, after exchanging the rows in half the examples."""
    count = found.examples
    random = np.random.default_rng([seed, count])
    # Both rows' examples end to end; weights pick one of each two.
    both = np.concatenate([found.values[list(first)], found.values[list(second)]], axis=1)
    differences = []
    for size in _blocks(resamples, examples=2 * count):
        picked = random.integers(2, size=(size, count)).astype(np.float64)
        one, other = np.hstack([picked, 1 - picked]), np.hstack([1 - picked, picked])
        differences.append((found.score(both, one) - found.score(both, other)).mean(1))
    return np.concatenate(differences)
