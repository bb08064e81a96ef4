"""Power of the paired t test, against the usual tables and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import statistics


@pytest.mark.parametrize(("size", "expected"), [(0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_needed_are_those_of_the_usual_power_tables(size, expected):
    assert statistics.seeds_needed(2 * size, std=2.0) == expected
    assert statistics.power(size, std=1.0, seeds=expected) >= 0.8 > statistics.power(size, std=1.0, seeds=expected - 1)


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_the_detectable_difference_is_detected_four_times_in_five(seeds):
    difference = statistics.detectable_difference(seeds, std=1.5)
    draws = np.random.default_rng(seeds).normal(difference, 1.5, (20_000, seeds))
    found = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 20_000))


def test_power_without_a_difference_is_alpha_and_impossible_plans_are_refused():
    assert statistics.power(0.0, std=1.0, seeds=5, alpha=0.03) == pytest.approx(0.03)
    for plan, message in (
        (lambda: statistics.power(1.0, std=0.0, seeds=3), "std is 0.0"),
        (lambda: statistics.power(1.0, std=1.0, seeds=1), "at least 2"),
        (lambda: statistics.seeds_needed(0.0, std=1.0), "would not show it"),
        (lambda: statistics.seeds_needed(1.0, std=1.0, alpha=0.9), "alpha < power"),
    ):
        with pytest.raises(UserError, match=message):
            plan()
