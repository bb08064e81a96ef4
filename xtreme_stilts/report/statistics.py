"""What a study's differences are worth: seeds, paired tests, corrections, power, and the choice of a row.

Terms and assumptions, on top of those of `results` and `table`:

- **row**: an intermediate task of the study; **baseline**: the row it is compared with. Both are judged by the
  target's primary metric, in percent, on the same examples and the same seeds.
- **outcomes**: what a score is computed from, as numbers for each example (`outcomes.py`).
- **two sources of chance**. *Examples*: the test set is a sample. It is drawn anew (bootstrap, with replacement) and
  the metric computed anew, for both rows on the same draws. *Seeds*: another seed gives another model. Three to five
  seeds are too few to be drawn anew (the draws would show too little spread), so their part is the standard error of
  the mean of the seeds' differences, and the t distribution answers for how little is known of it. With one seed that
  part is unknown, and a test speaks of the trained models at hand only.
- Seeds are paired: the difference is taken within each. In a study's table the spread over seeds is taken to be alike
  in all rows of a target, and is estimated from all of them.
- The two parts are added, which counts the noise that seeds and examples have in common twice, and combined as Behrens
  and Fisher do: both err on the careful side.
- Languages with equally many examples share their draws, so that translations of one test set (XNLI, XQuAD) are not
  taken for independent evidence in a mean over languages.

Limits: a test says nothing of other data, encoders or recipes. With few examples that differ, or two seeds, little
can be shown.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from etils import epath
from scipy import optimize, special, stats

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.report import results, table
from xtreme_stilts.report.outcomes import Outcomes, mining_counts, mining_outcomes, outcomes

RESAMPLES = 10_000
LEVEL = 0.95  # of all intervals
MARKS = ((0.01, "‡"), (0.05, "†"))  # by corrected p, strictest first; "*" is the table's mark of partial means
_BLOCK = 4_000_000  # numbers drawn at a time


# --------------------------------------------------------------------------------------------------
# Seeds


class Spread(NamedTuple):
    """Scores over seeds: mean and sample standard deviation (NaN for one seed), interval of the mean (NaN for one)."""

    mean: float
    std: float
    low: float
    high: float
    seeds: int


def over_seeds(values: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Spread:
    """Mean, sample standard deviation and 95 % bootstrap interval of one score over seeds.

    The interval is scipy's BCa (bias-corrected and accelerated). Below about eight seeds it is too narrow, as every
    bootstrap interval is: take it as a picture of the spread, and `significance` for a test.

    Raises:
        UserError: no value, or one that is not a finite number.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise UserError(f"values: found {values.tolist()}; one finite score per seed is needed")
    mean = float(values.mean())
    if values.size == 1:
        return Spread(mean, np.nan, np.nan, np.nan, seeds=1)
    if np.ptp(values) == 0:  # no bootstrap distribution; scipy would warn and give NaN
        return Spread(mean, 0.0, mean, mean, seeds=values.size)
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, confidence_level=LEVEL, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Spread(mean, float(values.std(ddof=1)), float(found.low), float(found.high), seeds=values.size)


def cohens_h(first: float, second: float) -> float:
    """Cohen's h of two shares in percent (accuracy, exact match): 2 asin sqrt(p) - 2 asin sqrt(q).

    For scores that are shares of examples, since 95 -> 97 halves nearly as many errors as 50 -> 70: points alone do
    not say so. 0.2 is small, 0.5 medium, 0.8 large (Cohen 1988, Statistical Power Analysis, chapter 6).
    """
    if not (0 <= first <= 100 and 0 <= second <= 100):
        raise UserError(f"shares are {first} and {second}; they must be from 0 to 100 percent")
    return float(np.diff(2 * np.arcsin(np.sqrt(np.array([second, first]) / 100)))[0])


def cohens_d(differences: Sequence[float]) -> float:
    """Mean of the seeds' paired differences by their sample standard deviation (Cohen's d_z); NaN for one seed.

    For scores of any kind, and what `seeds_needed` plans with: how large a difference is beside the noise of seeds.
    """
    differences = np.asarray(differences, np.float64)
    if differences.size < 2:
        return np.nan
    with np.errstate(divide="ignore", invalid="ignore"):  # seeds that agree to the last digit: infinite, or 0/0
        return float(differences.mean() / differences.std(ddof=1))


# --------------------------------------------------------------------------------------------------
# Power of the paired t test over seeds


def power(difference: float, *, std: float, seeds: int, alpha: float = 0.05) -> float:
    """Probability that a two-sided paired t test over seeds finds a true difference (Cohen 1988, chapter 2).

    Args:
        difference: points.
        std: standard deviation over seeds of the paired differences, points. Of two rows whose seeds have nothing in
            common and standard deviation s each it is s * sqrt(2).
        seeds: of each row, at least two.
        alpha: probability of finding a difference where there is none.

    Raises:
        UserError: a value out of its range.
    """
    _check_plan(std=std, alpha=alpha)
    if seeds < 2:
        raise UserError(f"seeds is {seeds}; a test over seeds needs at least 2")
    freedom, shift = seeds - 1, abs(difference) / std * np.sqrt(seeds)
    critical = stats.t.isf(alpha / 2, freedom)
    other_side = np.nan_to_num(stats.nct.cdf(-critical, freedom, shift))  # scipy has NaN where it is all but 0
    return float(stats.nct.sf(critical, freedom, shift) + other_side)


def seeds_needed(difference: float, *, std: float, alpha: float = 0.05, wanted: float = 0.8, most: int = 10_000) -> int:
    """The fewest seeds with which `power` is at least `wanted`.

    Raises:
        UserError: a value out of its range; a difference that `most` seeds do not show.
    """
    _check_plan(std=std, alpha=alpha, wanted=wanted)
    reached = functools.partial(power, difference, std=std, alpha=alpha)
    if not difference or reached(seeds=most) < wanted:
        raise UserError(f"difference is {difference}: {most} seeds would not show it beside a deviation of {std}")
    low, high = 1, most  # power grows with seeds: too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(seeds=middle) >= wanted else (middle, high)
    return high


def detectable_difference(seeds: int, *, std: float, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The smallest true difference, in points, that `power` finds with probability `wanted`; arguments as there."""
    _check_plan(std=std, alpha=alpha, wanted=wanted)

    def missing(size: float) -> float:  # in standard deviations, so that the search has one scale
        return power(size, std=1.0, seeds=seeds, alpha=alpha) - wanted

    enough = 1.0
    while missing(enough) < 0:
        enough *= 2
    return float(optimize.brentq(missing, 0.0, enough)) * std


def _check_plan(*, std: float, alpha: float, wanted: float = 0.8) -> None:
    if not std > 0:
        raise UserError(f"std is {std}; it must be above 0 points")
    if not 0 < alpha < wanted < 1:
        raise UserError(f"alpha is {alpha} and the wanted power {wanted}; expected 0 < alpha < power < 1")


# --------------------------------------------------------------------------------------------------
# Many tests at once


def holm(p: Sequence[float]) -> np.ndarray:
    """p values corrected so that the chance of *any* false finding among them is bounded (Holm 1979).

    The k-th smallest of m is multiplied by m - k + 1; no corrected value is below that of a smaller p, or above 1.
    NaN stays NaN and does not count.
    """
    return _of_finite(p, _holm)


def benjamini_hochberg(p: Sequence[float]) -> np.ndarray:
    """p values corrected so that the expected *share* of false findings is bounded (Benjamini and Hochberg 1995).

    Rows and languages are positively dependent, which the method allows. NaN stays NaN and does not count.
    """
    return _of_finite(p, functools.partial(stats.false_discovery_control, method="bh"))


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def _of_finite(p: Sequence[float], correct: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    corrected = np.array(p, np.float64)
    there = np.isfinite(corrected)
    if ((corrected[there] < 0) | (corrected[there] > 1)).any():
        raise UserError("p: found a value outside 0 to 1")
    if there.any():
        corrected[there] = correct(corrected[there])
    return corrected


CORRECTIONS: Mapping[str, Callable[[Sequence[float]], np.ndarray]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": lambda p: np.array(p, np.float64),
}


# --------------------------------------------------------------------------------------------------
# Two rows on the same examples


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
class _Pair:
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
    (drawn,) = _resampled([found], resamples=resamples, seed=seed)
    return _by_bootstrap(_pair(found, drawn, {"first": first, "second": second}))


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
    swapped = _swapped(found, first=first, second=second, resamples=resamples, seed=seed)
    return _share_beyond(float(by_seed.mean()), swapped)


def _check_rows(first: Sequence[int], second: Sequence[int]) -> None:
    if len(first) != len(second) or not len(first):
        raise UserError(f"rows have {len(first)} and {len(second)} models; give one for each seed, the same seeds")


def _pair(found: Outcomes, drawn: np.ndarray, rows: Mapping[str, Sequence[int]]) -> _Pair:
    """Of the first row and the second.

    Args:
        drawn: float64[resamples, models], percent, of draws of the examples.
        rows: numbers of their models, seed by seed; behind the two other rows with the same seeds.
    """
    first, second = map(list, list(rows.values())[:2])
    scores = found.scores()
    return _Pair(
        scores={row: scores[list(models)] for row, models in rows.items()},
        by_size={found.examples: float((scores[first] - scores[second]).mean())},
        drawn=(drawn[:, first] - drawn[:, second]).mean(1),
        examples=found.examples,
        differing=int((found.values[first] != found.values[second]).any((0, 2)).sum()),
    )


def _mean_of(pairs: Sequence[_Pair]) -> _Pair:
    """Of several test sets that were drawn by the same seed."""
    by_size: Counter = Counter()
    for pair in pairs:
        for size, difference in pair.by_size.items():
            by_size[size] += difference / len(pairs)
    rows = [row for row in pairs[0].scores if all(row in pair.scores for pair in pairs)]
    return _Pair(
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


def _error_of_examples(pair: _Pair) -> _Error:
    # Test sets of one size share their draws and count as one; those of other sizes are independent of them.
    around_none = sum(difference**2 / size for size, difference in pair.by_size.items())
    variance = float(pair.drawn.var(ddof=1)) + around_none
    return _Error(math.sqrt(variance), max(pair.differing - 1, 1))


def _error_of_seeds(pair: _Pair) -> _Error:
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


def _by_bootstrap(pair: _Pair) -> Comparison:
    examples, seeds = _error_of_examples(pair), _error_of_seeds(pair)
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


def _by_randomisation(pair: _Pair) -> Comparison:
    """The interval stays the bootstrap's: a randomisation test has none."""
    found = _by_bootstrap(pair)
    return found._replace(p=_share_beyond(found.difference, pair.swapped), test="randomisation")


def _share_beyond(difference: float, swapped: np.ndarray) -> float:
    # Sums of the same numbers in another order differ in the last digits: those are ties.
    return float((1 + (np.abs(swapped) >= abs(difference) - 1e-9).sum()) / (1 + len(swapped)))


TESTS: Mapping[str, Callable[[_Pair], Comparison]] = {"bootstrap": _by_bootstrap, "randomisation": _by_randomisation}


def _blocks(resamples: int, *, examples: int) -> Iterator[int]:
    """Draws at a time, so that memory stays bounded."""
    block = max(1, _BLOCK // examples)
    for begin in range(0, resamples, block):
        yield min(block, resamples - begin)


def _resampled(found: Sequence[Outcomes], *, resamples: int, seed: int) -> list[np.ndarray]:
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


def _swapped(found: Outcomes, *, first: Sequence[int], second: Sequence[int], resamples: int, seed: int) -> np.ndarray:
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


# --------------------------------------------------------------------------------------------------
# A whole study

RESULTS = "results.csv"
UNAVAILABLE = "unavailable: "  # begins `test` where a difference could not be tested; the reason follows
COLUMNS = (
    *("target", "language", "row", "difference", "low", "high", "p", "p_corrected", "mark", "test"),
    *("seeds", "examples"),
)


class _Untested(Exception):
    """Why a target cannot be tested; what is missing is nobody's mistake."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Study:
    """What is asked, and where the predictions lie."""

    folders: Mapping[str, epath.Path]  # first 12 characters of a phase's fingerprint -> its folder
    baseline: str
    test: str
    resamples: int
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scored:
    """All models of one target in one language."""

    outcomes: Outcomes
    models: Mapping[tuple[str, int], int]  # (row, seed) -> number of the model; seeds without a phase share one


def significance(
    study_dir: str | os.PathLike,
    *,
    baseline: str = table.BASELINE,
    correction: str = "holm",
    test: str = "bootstrap",
    model: str | None = None,
    metric_of: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Every row against the baseline, by target and language, from the predictions on disk.

    Compared are the seeds that both rows have. Beside the languages there is `table.AVERAGE`, the difference of the
    paper's table, for rows that have every language. The p values of averages are corrected together, those of
    languages together: they are two tables.

    Args:
        study_dir: holds results.csv, and phases/ with the predictions.
        baseline: the row compared with.
        correction: a name of `CORRECTIONS`: holm, bh, none.
        test: a name of `TESTS`: bootstrap (`paired_bootstrap`) or randomisation (`paired_randomisation`, which is of
            the models at hand; the interval stays the bootstrap's).
        model: which model; may be left out where there is only one.
        metric_of: target -> name of its metric, for targets that the registry does not know.
        resamples: draws of the examples.
        seed: of the draws; the same seed gives the same table.

    Returns:
        Columns `COLUMNS`: difference, low and high in points (row minus baseline), p, p_corrected, `mark` by `MARKS`
        or "", `test`, numbers of seeds and examples (of an average: in all languages). Where a difference cannot be
        tested, `test` says why, the numbers are NaN and the counts 0.

    Raises:
        UserError: an unknown name, results.csv or predictions that are damaged, rows evaluated on different examples,
            or predictions that do not give the score in results.csv.
    """
    for name, value, valid in (("correction", correction, CORRECTIONS), ("test", test, TESTS)):
        if value not in valid:
            raise UserError(f"{name} is {value!r}; {did_you_mean(value, valid)}")
    study_dir = epath.Path(study_dir)
    frame = _of_model(results.read(study_dir / RESULTS), model)
    rows = table.order_intermediates(frame["intermediate"])
    if baseline not in rows:
        raise UserError(f"baseline: the study has no row {baseline!r}; {did_you_mean(baseline, rows)}")
    study = _Study(
        folders={path.name[-12:]: path for path in (study_dir / "phases").glob("*-*")},
        baseline=baseline,
        test=test,
        resamples=resamples,
        seed=seed,
    )
    lines = [
        line
        for target in table.order_targets(frame["target"])
        for line in _target_lines(_reported(frame, target), target, study=study, metric_of=metric_of or {})
    ]
    return corrected(pd.DataFrame(lines, columns=[name for name in COLUMNS if name != "p_corrected"]), correction)


def _of_model(frame: pd.DataFrame, model: str | None) -> pd.DataFrame:
    if frame.empty:
        raise UserError("there are no scores yet; run the study (or a part of it) first")
    frame = frame[frame["model"] == table.only_model(frame, model)]
    table.primary_scores(frame)  # refuses two runs' scores in one place
    return frame


def _reported(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """A target's results on the split that tables show: predictions on disk are of that one. (Mining families record
    the scores of their validation sets under the same names.)"""
    rows = frame[frame["target"] == target]
    variant = table.choose_variant(rows[rows["metric"].isin(table.primary_metrics(target, rows["metric"]))])
    return rows if variant is None else rows[rows["split"] == variant.split]


def corrected(found: pd.DataFrame, correction: str) -> pd.DataFrame:
    """A table of `significance` with `p_corrected` and `mark` made (anew) from its p values; NaN counts for nothing."""
    found = found.copy()
    average = found["language"] == table.AVERAGE
    for part in (average, ~average):
        found.loc[part, "p_corrected"] = CORRECTIONS[correction](found.loc[part, "p"])
    found["mark"] = [next((mark for level, mark in MARKS if p < level), "") for p in found["p_corrected"]]
    return found[list(COLUMNS)]


def _target_lines(
    rows: pd.DataFrame, target: str, *, study: _Study, metric_of: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """All lines of one target's part of the table."""
    compared = [row for row in table.order_intermediates(rows["intermediate"]) if row != study.baseline]
    languages = table.order_languages(rows["language"])
    scored: dict[str, _Scored] = {}
    untested: dict[str, str] = {}  # language -> why
    for language in languages:
        try:
            scored[language] = _scored(
                rows[rows["language"] == language], target=target, metric_of=metric_of, study=study
            )
        except _Untested as reason:
            untested[language] = str(reason)
    drawn = _resampled([each.outcomes for each in scored.values()], resamples=study.resamples, seed=study.seed)
    pairs = {
        language: _language_pairs(scored[language], draws, compared, study=study)
        for language, draws in zip(scored, drawn, strict=True)
    }
    for row in compared:
        found = {language: pairs[language][row] for language in pairs if row in pairs[language]}
        for language in languages:
            reason = untested.get(language, "no seed in common")
            tested = TESTS[study.test](found[language]) if language in found else reason
            yield _line(target, language, row, tested)
        yield _line(target, table.AVERAGE, row, _average(found, languages, test=study.test))


def _average(found: Mapping[str, _Pair], languages: Sequence[str], *, test: str) -> Comparison | str:
    """Of one row, by language; or why there is none."""
    if len(found) < len(languages):
        return "not all languages are tested"
    if len({pair.seeds for pair in found.values()}) > 1:
        return "languages have different seeds"
    return TESTS[test](_mean_of(list(found.values())))


def _line(target: str, language: str, row: str, found: Comparison | str) -> dict[str, Any]:
    line: dict[str, Any] = {"target": target, "language": language, "row": row}
    if isinstance(found, str):
        return line | {"test": UNAVAILABLE + found, "seeds": 0, "examples": 0}
    return line | {name: value for name, value in found._asdict().items() if name in COLUMNS}


def _language_pairs(scored: _Scored, drawn: np.ndarray, compared: Sequence[str], *, study: _Study) -> dict[str, _Pair]:
    """By row, where it has a seed in common with the baseline; `drawn`: float64[resamples, models]."""
    pairs = {}
    for row in compared:
        seeds = sorted(seed for name, seed in scored.models if name == row and (study.baseline, seed) in scored.models)
        if not seeds:
            continue
        rows = {
            name: [scored.models[name, seed] for seed in seeds]
            for name in (row, study.baseline, *compared)
            if all((name, seed) in scored.models for seed in seeds)
        }
        pair = dataclasses.replace(_pair(scored.outcomes, drawn, rows), seeds=tuple(seeds))
        if study.test == "randomisation":
            swapped = _swapped(
                scored.outcomes,
                first=rows[row],
                second=rows[study.baseline],
                resamples=study.resamples,
                seed=study.seed,
            )
            pair = dataclasses.replace(pair, swapped=swapped)
        pairs[row] = pair
    return pairs


def _metric_name(target: str, metric_of: Mapping[str, str]) -> str:
    if target in metric_of:
        return metric_of[target]
    try:
        return tasks.family(target).metric
    except UserError:
        raise _Untested("the registry does not know this target's metric") from None


def _scored(rows: pd.DataFrame, *, target: str, metric_of: Mapping[str, str], study: _Study) -> _Scored:
    """The outcomes of all rows and seeds in one language, which all results in `rows` are of."""
    language = rows["language"].iloc[0]
    metric = _metric_name(target, metric_of)
    names = [name.removeprefix("best_") for name in metrics.primary(metric)]  # as `outcomes` scores
    recorded = rows[rows["metric"].isin(names)]
    if recorded.empty:
        raise _Untested(f"there are no {'/'.join(names)} scores")
    phases = recorded["fingerprint"].unique().tolist()
    paths = [_predictions_path(each, target=target, language=language, study=study) for each in phases]
    found = _read_mined(paths) if metric == "mining_f1" else _read_aligned(paths, metric=metric, language=language)
    scores, models = found.scores(), {}
    for (row, seed, phase), values in recorded.groupby(["intermediate", "seed", "fingerprint"])["value"]:
        models[row, int(seed)] = number = phases.index(phase)
        if abs(values.mean() - scores[number]) > 1e-6:
            raise UserError(
                f"{paths[number]}: these predictions give {scores[number]:.4f}, {RESULTS} has {values.mean():.4f} "
                f"({'/'.join(names)}); remove the folder they are in and run the study again"
            )
    return _Scored(outcomes=found, models=models)


def _predictions_path(fingerprint: str, *, target: str, language: str, study: _Study) -> epath.Path:
    folder = study.folders.get(fingerprint[:12])
    path = folder / "evaluations" / target / f"{language}.jsonl" if folder else None
    if path is None or not path.exists():
        raise _Untested("predictions are not on disk")
    return path


def _read_aligned(paths: Sequence[epath.Path], *, metric: str, language: str) -> Outcomes:
    first, *others = files = [_read_lines(path, ("id", "prediction", "target")) for path in paths]
    for path, lines in zip(paths[1:], others, strict=True):
        if [(line["id"], line["target"]) for line in lines] != [(line["id"], line["target"]) for line in first]:
            raise UserError(f"{path}: other examples than in {paths[0]}; rows compare on the same examples only")
    predictions = [[line["prediction"] for line in lines] for lines in files]
    return outcomes(metric, predictions, [line["target"] for line in first], language=language)


def _read_mined(paths: Sequence[epath.Path]) -> Outcomes:
    """From files that say of each mined pair whether it is `gold`, and list the gold pairs that were missed
    (`mined` false)."""
    counts = []
    for path in paths:
        lines = _read_lines(path, ("source", "target"))
        if not all("gold" in line and "mined" in line for line in lines) or not lines:
            raise _Untested("the predictions do not say which pairs are gold")
        mined, gold = ({(each["source"], each["target"]) for each in lines if each[name]} for name in ("mined", "gold"))
        counts.append(mining_counts(mined, gold))
    return mining_outcomes(counts)


def _read_lines(path: epath.Path, fields: Sequence[str]) -> list[dict[str, Any]]:
    texts = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:  # all at once is four times as fast as one by one; one by one tells which is damaged
        lines = json.loads(f"[{','.join(texts)}]")
    except ValueError:
        lines = []
    wanted = set(fields)
    if len(lines) == len(texts) and all(isinstance(line, dict) and wanted <= line.keys() for line in lines):
        return lines
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not set(fields) <= set(line):
            raise UserError(f"{path} line {number}: not a prediction; expected an object with {', '.join(fields)}")
        lines.append(line)
    return lines


# --------------------------------------------------------------------------------------------------
# The best row of each target

HONEST, ORACLE = "honest", "oracle"
RULES = (HONEST, ORACLE)
_CHOICE = ("target", "intermediate", "rule", "criterion", "score", "difference", "note")


def choose(criteria: pd.DataFrame, *, candidates: Sequence[str]) -> pd.Series:
    """The row with the highest criterion, mean over seeds, of each target; of equals the first of the candidates.

    A candidate that lacks a seed or language another one has is not chosen, since its mean is over other things.

    Args:
        criteria: columns intermediate, target, value; one row per seed (and language), NaN where there is none.
        candidates: rows to choose from.

    Returns:
        target -> name of the row; targets without any criterion are left out.
    """
    asked = criteria[criteria["intermediate"].isin(candidates)].dropna(subset="value")
    means = asked.groupby(["target", "intermediate"])["value"].agg(["mean", "count"])
    full = means[means["count"] == means.groupby("target")["count"].transform("max")]["mean"]
    by_target = full.unstack("intermediate").reindex(columns=list(candidates))
    return by_target.idxmax(axis=1)


def best_intermediates(
    study_dir: str | os.PathLike,
    *,
    rule: str = HONEST,
    candidates: Sequence[str] | None = None,
    model: str | None = None,
) -> pd.DataFrame:
    """The paper's row "best intermediate per target", by an honest rule or by an oracle.

    - `honest`: chosen by the value that selected the checkpoint, the target's primary metric on English validation
      data (done.json of the target's phase). A mining family has no such phase: it is chosen by the reported layer's
      F1 on its own validation set, which its threshold is fitted on anyway. Where there is neither (Tatoeba), there
      is no honest choice and no score.
    - `oracle`: chosen by the very scores that are reported. An upper bound, no result: whoever prints it says so.

    Args:
        study_dir: holds results.csv and phases/.
        rule: a name of `RULES`.
        candidates: rows to choose from; by default all but the one without intermediate task.
        model: which model; may be left out where there is only one.

    Returns:
        One line per target, and `table.AVERAGE` over those with a choice: target, intermediate (empty = no choice),
        rule, criterion (percent), score (percent, mean over languages and seeds), difference to the row "none"
        (points) and a note.

    Raises:
        UserError: an unknown name, a damaged file, or no scores.
    """
    if rule not in RULES:
        raise UserError(f"rule is {rule!r}; {did_you_mean(rule, RULES)}")
    study_dir = epath.Path(study_dir)
    frame = _of_model(results.read(study_dir / RESULTS), model)
    rows = table.order_intermediates(frame["intermediate"])
    candidates = [row for row in rows if row != table.BASELINE] if candidates is None else list(candidates)
    for name in candidates:
        if name not in rows:
            raise UserError(f"candidates: the study has no row {name!r}; {did_you_mean(name, rows)}")
    shown = table.paper_table(frame)
    criteria = _oracle_criteria(shown) if rule == ORACLE else _honest_criteria(frame, study_dir)
    chosen = choose(criteria, candidates=candidates)
    means = criteria.groupby(["target", "intermediate"])["value"].mean()
    lines = []
    for target in shown.mean.columns.drop(table.AVERAGE):
        name = chosen.get(target, "")
        line = {"target": target, "intermediate": name, "rule": rule, "criterion": means.get((target, name), np.nan)}
        if name:
            line |= {"score": shown.mean.at[name, target], "difference": shown.delta.at[name, target]}
        partial = bool(name) and shown.partial.at[name, target]
        lines.append(line | {"note": "no validation score" if not name else "some languages only" if partial else ""})
    found = pd.DataFrame(lines, columns=list(_CHOICE))
    return pd.concat([found, _average_choice(found, rule)], ignore_index=True)


def _average_choice(found: pd.DataFrame, rule: str) -> pd.DataFrame:
    whole = found[found["note"] == ""]
    left_out = ", ".join(found.loc[found["note"] != "", "target"])
    line = {"target": table.AVERAGE, "intermediate": "", "rule": rule, "note": left_out and f"without {left_out}"}
    line |= {name: whole[name].mean() for name in ("score", "difference")}
    return pd.DataFrame([line], columns=list(_CHOICE))


def _oracle_criteria(shown: table.Table) -> pd.DataFrame:
    scores = shown.mean.mask(shown.partial).drop(columns=table.AVERAGE).rename_axis(columns="target")
    return scores.stack().rename("value").rename_axis(["intermediate", "target"]).reset_index()


def _honest_criteria(frame: pd.DataFrame, study_dir: epath.Path) -> pd.DataFrame:
    """Columns intermediate, target, value: nothing in it was measured on a test set."""
    folders = {path.name[-12:]: path for path in (study_dir / "phases").glob("*-*")}
    phases = frame[["intermediate", "target", "seed", "fingerprint"]].drop_duplicates()
    values = [_selection_value(folders.get(fingerprint[:12])) for fingerprint in phases["fingerprint"]]
    return pd.concat([phases.assign(value=values).dropna(subset="value"), _mining_criteria(frame)], ignore_index=True)


def _selection_value(folder: epath.Path | None) -> float:
    """`best_value` of a phase; NaN for a phase that trained nothing, or without validation."""
    path = folder / "done.json" if folder else None
    if path is None or not path.exists():
        return np.nan
    try:
        return float(json.loads(path.read_text())["best_value"])
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}: no number `best_value` found; it says how training ended") from None


def _mining_criteria(frame: pd.DataFrame) -> pd.DataFrame:
    """Validation scores of retrieval families at the layer and pooling that are reported, by language and seed."""
    place = ["intermediate", "target", "language", "seed", "layer", "pooling", "fingerprint"]
    reported = frame[frame["layer"].notna() & ~frame["metric"].str.endswith(results.BY_LAYER)]
    every = frame[(frame["split"] == "validation") & (frame["metric"] == f"f1{results.BY_LAYER}")]
    return every.merge(reported[place].drop_duplicates(), on=place)[["intermediate", "target", "seed", "value"]]
