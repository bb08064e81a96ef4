"""Power of the paired t test over seeds: what so many seeds can show, and how many it takes."""

from __future__ import annotations

import functools

import numpy as np
from scipy import optimize, stats

from xtreme_stilts.errors import UserError


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
