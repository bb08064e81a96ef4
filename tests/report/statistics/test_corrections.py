"""Corrected p values, by hand."""

from __future__ import annotations

import math

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import statistics


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04, times 4 3 2 1: .04 .06 .06 .04, then never below the one before.
    assert statistics.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert statistics.holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])


def test_benjamini_hochberg_by_hand():
    # Sorted .01 .02 .03 .5, times 4/1 4/2 4/3 4/4: .04 .04 .04 .5
    assert statistics.benjamini_hochberg([0.5, 0.01, 0.02, 0.03]) == pytest.approx([0.5, 0.04, 0.04, 0.04])


@pytest.mark.parametrize("correct", [statistics.holm, statistics.benjamini_hochberg])
def test_what_was_not_tested_does_not_count(correct):
    found = correct([math.nan, 0.04, 0.01])
    assert math.isnan(found[0]) and found[1:] == pytest.approx(correct([0.04, 0.01]))
    assert len(correct([])) == 0
    with pytest.raises(UserError, match="outside 0 to 1"):
        correct([1.5])
