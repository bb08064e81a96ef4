"""Packing against brute force."""

import itertools

import numpy as np
import pytest

from xtreme_stilts.data.packing import best_fit


@pytest.mark.parametrize("slots", [2, 3, 100])
@pytest.mark.parametrize("seed", range(5))
def test_every_example_is_in_one_row_that_holds_it(seed, slots):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 65, 300)
    rows = best_fit(sizes, length=64, slots=slots)
    assert sorted(itertools.chain(*rows)) == list(range(300))
    assert max(sum(sizes[row]) for row in rows) <= 64
    assert max(map(len, rows)) <= slots


def test_by_hand():
    # Longest first: 6 opens a row; 5 another; 4 fits best beside 6; 3 beside 5; 2 fits there, too.
    assert best_fit([3, 6, 2, 5, 4], length=10, slots=9) == [[1, 4], [3, 0, 2]]
    assert best_fit([3, 6, 2, 5, 4], length=10, slots=2) == [[1, 4], [3, 0], [2]]
    assert best_fit([], length=10, slots=2) == []


def brute_force(sizes, *, length):
    """The fewest rows, trying every assignment."""
    for count in range(1, len(sizes) + 1):
        for rows in itertools.product(range(count), repeat=len(sizes)):
            if np.bincount(rows, weights=sizes, minlength=count).max() <= length:
                return count
    raise AssertionError


@pytest.mark.parametrize("seed", range(8))
def test_close_to_the_fewest_rows_there_can_be(seed):
    sizes = np.random.default_rng(seed).integers(2, 11, 7)
    fewest = brute_force(sizes, length=12)
    # Best fit decreasing needs at most 11/9 of the optimum plus four rows; of so few examples, one more (Johnson 1974).
    assert fewest <= len(best_fit(sizes, length=12, slots=9)) <= fewest + 1


def test_long_windows_fill_rows_to_95_percent():
    """Lengths like those of SQuAD's windows: around 200 tokens, a tail up to the row's own 384."""
    sizes = np.clip(np.random.default_rng(0).lognormal(np.log(185), 0.4, 1024).astype(int), 60, 384)
    rows = best_fit(sizes, length=384, slots=48)
    assert sizes.sum() / (len(rows) * 384) > 0.92
