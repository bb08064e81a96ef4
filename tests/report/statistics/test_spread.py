"""Spread over seeds and effect sizes, against hand-worked cases."""

from __future__ import annotations

import math

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import statistics


def test_mean_deviation_and_interval_over_seeds():
    spread = statistics.over_seeds([70.0, 71.0, 75.0])
    assert spread.mean == pytest.approx(72) and spread.std == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert 70 <= spread.low < 72 < spread.high <= 75 and spread.seeds == 3
    again = statistics.over_seeds([170.0, 171.0, 175.0])
    assert (again.low, again.high) == pytest.approx((spread.low + 100, spread.high + 100))


def test_one_seed_has_no_interval_and_equal_seeds_have_no_spread():
    one = statistics.over_seeds([70.0])
    assert one.mean == 70 and all(map(math.isnan, (one.std, one.low, one.high)))
    assert statistics.over_seeds([3.0, 3.0])[:4] == (3, 0, 3, 3)
    for wrong in ([], [1.0, math.nan]):
        with pytest.raises(UserError, match="one finite score per seed"):
            statistics.over_seeds(wrong)


def test_effect_sizes():
    assert statistics.cohens_h(100.0, 0.0) == pytest.approx(math.pi)
    assert statistics.cohens_h(75.0, 25.0) == pytest.approx(2 * math.pi / 3 - math.pi / 3)  # asin sqrt: 60, 30 degrees
    assert statistics.cohens_h(25.0, 75.0) == pytest.approx(-math.pi / 3)
    assert statistics.cohens_d([1.0, 2.0, 3.0]) == pytest.approx(2.0)
    assert math.isnan(statistics.cohens_d([1.0]))
    with pytest.raises(UserError, match="from 0 to 100"):
        statistics.cohens_h(101.0, 0.0)
