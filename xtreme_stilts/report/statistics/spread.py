"""Scores over seeds, and how large a difference is beside their spread. Terms as in the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from xtreme_stilts.errors import UserError

RESAMPLES = 10_000
LEVEL = 0.95  # of all intervals


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
