"""Tests of two rows, against scipy's exact tests and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import statistics
from xtreme_stilts.report.outcomes import MEAN, Outcomes, outcomes
from xtreme_stilts.report.statistics import paired, paired_bootstrap, paired_randomisation


def right(pattern: np.ndarray) -> Outcomes:
    """Of models that are right (1) or wrong (0): [models, examples]."""
    return outcomes("accuracy", [["y" if hit else "n" for hit in model] for model in pattern], ["y"] * pattern.shape[1])


def discordant(only_first: int, only_second: int, *, both: int) -> Outcomes:
    first = [1] * only_first + [0] * only_second + [1] * both
    second = [0] * only_first + [1] * only_second + [1] * both
    return right(np.array([first, second]))


@pytest.mark.parametrize(("only_first", "only_second"), [(5, 0), (9, 2), (30, 18), (7, 7)])
def test_randomisation_of_accuracy_is_mcnemars_exact_test(only_first, only_second):
    found = discordant(only_first, only_second, both=60)
    exact = stats.binomtest(only_first, only_first + only_second).pvalue
    p = paired_randomisation(found, first=[0], second=[1])
    assert p == pytest.approx(exact, abs=5 * math.sqrt(0.25 / statistics.RESAMPLES))


@pytest.mark.parametrize(("only_first", "only_second"), [(60, 40), (130, 90), (300, 320)])
def test_bootstrap_of_accuracy_agrees_with_mcnemars_test(only_first, only_second):
    found = paired_bootstrap(discordant(only_first, only_second, both=1000), first=[0], second=[1])
    statistic = (only_first - only_second) / math.sqrt(only_first + only_second)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(statistic)), rel=0.1)
    examples = only_first + only_second + 1000
    assert found.difference == pytest.approx(100 * (only_first - only_second) / examples)
    assert found.error_examples == pytest.approx(100 * math.sqrt(only_first + only_second) / examples, rel=0.03)
    assert found.low < found.difference < found.high and found.error_seeds == 0 and found.examples == examples


def test_few_examples_that_differ_show_little_though_they_agree():
    for count in (1, 3, 5):
        found = paired_bootstrap(discordant(count, 0, both=100), first=[0], second=[1])
        assert found.p >= stats.binomtest(count, count).pvalue * 0.4 and found.p > 0.05
    assert paired_bootstrap(discordant(12, 0, both=100), first=[0], second=[1]).p < 0.05
    assert 0.05 < paired_bootstrap(discordant(4, 0, both=0), first=[0], second=[1]).p < 0.2  # exact: 2 / 2^4


def test_rows_that_no_example_tells_apart_do_not_differ():
    found = paired_bootstrap(discordant(0, 0, both=10), first=[0], second=[1], resamples=50)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert paired_randomisation(discordant(0, 0, both=10), first=[0], second=[1], resamples=50) == 1


def test_p_and_interval_say_the_same_and_rows_can_change_places():
    found = discordant(60, 40, both=50)
    one, other = (paired_bootstrap(found, first=[a], second=[b]) for a, b in ((0, 1), (1, 0)))
    assert (other.difference, other.low, other.high, other.p) == pytest.approx(
        (-one.difference, -one.high, -one.low, one.p)
    )
    assert (one.p < 0.05) == (one.low > 0)


def test_with_all_noise_from_seeds_the_test_is_the_paired_t_test():
    # 10,000 examples, rows that differ from seed to seed by whole points: examples hardly count.
    pattern = np.zeros((6, 10_000))
    for model, share in enumerate((0.80, 0.76, 0.87, 0.78, 0.75, 0.79)):
        pattern[model, : int(10_000 * share)] = 1
    found = paired_bootstrap(right(pattern), first=[0, 1, 2], second=[3, 4, 5], resamples=1000)
    exact = stats.ttest_rel([80, 76, 87], [78, 75, 79])
    assert found.difference == pytest.approx(11 / 3) and found.seeds == 3
    assert found.error_seeds == pytest.approx(11 / 3 / exact.statistic)
    assert found.p == pytest.approx(exact.pvalue, rel=0.15)


def test_the_error_of_seeds_is_pooled_over_rows_by_hand():
    scores = {"a": [1.0, 2, 3], "b": [2.0, 4, 6], "c": [0.0, 0, 3]}
    pair = paired.Pair(
        scores={row: np.array(values) for row, values in scores.items()},
        drawn=np.zeros(2), by_size={9: -2.0}, examples=9, differing=4,
    )  # fmt: skip
    # Row means 2 4 1, seed means 1 2 4, all 7/3: what is left is 1/3 six times and -2/3 three times, squares 2;
    # with (3 - 1)(3 - 1) degrees of freedom 1/2; twice that by 3 seeds.
    assert paired.error_of_seeds(pair) == pytest.approx((math.sqrt(1 / 3), 4))
    assert pair.difference == -2


def test_the_mean_over_test_sets_adds_their_variances():
    pairs = [discordant(*counts, both=both) for counts, both in (((30, 10), 60), ((25, 20), 355))]
    drawn = paired.resampled(pairs, resamples=4000, seed=0)
    parts = [paired.pair_of(pair, draws, {"a": [0], "b": [1]}) for pair, draws in zip(pairs, drawn, strict=True)]
    found = paired.by_bootstrap(paired.mean_of(parts))
    # Accuracy of one seed: variance 100^2 (b + c) / N^2 each, and of their mean a quarter of the sum.
    expected = 100 * math.sqrt(40 / 100**2 + 45 / 400**2) / 2
    assert found.error_examples == pytest.approx(expected, rel=0.05)
    assert found.difference == pytest.approx((20 + 5 / 4) / 2) and found.examples == 500


def simulated(random: np.random.Generator, *, seeds: int, gain: float, examples: int = 300) -> Outcomes:
    """Two rows with their own seeds: examples differ in difficulty, models in strength; the first is better by `gain`
    (logits)."""
    difficulty = random.normal(0, 1.5, examples)
    strength = random.normal(1, 0.25, (2 * seeds, 1)) + np.repeat([gain, 0], seeds)[:, None]
    hits = random.random((2 * seeds, examples)) < 1 / (1 + np.exp(difficulty - strength))
    return Outcomes(values=100.0 * hits[..., None], score=MEAN)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_rows_that_do_not_differ_are_found_to_in_one_case_of_twenty_at_most(seeds):
    random = np.random.default_rng(seeds)
    p = [
        paired_bootstrap(
            simulated(random, seeds=seeds, gain=0), first=range(seeds), second=range(seeds, 2 * seeds), resamples=200
        ).p
        for _ in range(200)
    ]
    assert stats.binomtest(int(np.sum(np.array(p) < 0.05)), 200, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("test", ["bootstrap", "randomisation"])
def test_two_models_of_one_strength_are_told_apart_in_one_case_of_twenty(test):
    random = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        difficulty = random.normal(0, 1.5, 300)
        hits = random.random((2, 300)) < 1 / (1 + np.exp(difficulty - 1))
        pair = Outcomes(values=100.0 * hits[..., None], score=MEAN)
        arguments = {"first": [0], "second": [1], "resamples": 300}
        p = paired_bootstrap(pair, **arguments).p if test == "bootstrap" else paired_randomisation(pair, **arguments)
        found += p < 0.05
    assert stats.binomtest(found, 300, 0.05).pvalue > 0.001


def test_a_real_difference_is_found():
    random = np.random.default_rng(2)
    found = [
        paired_bootstrap(simulated(random, seeds=5, gain=1.0), first=range(5), second=range(5, 10), resamples=200).p
        for _ in range(40)
    ]
    assert np.mean(np.array(found) < 0.05) > 0.8


def test_the_interval_holds_the_true_difference_in_nineteen_cases_of_twenty():
    random, held = np.random.default_rng(3), 0
    for _ in range(200):
        hits = random.random((2, 400)) < [[0.8], [0.7]]
        pair = Outcomes(values=100.0 * hits[..., None], score=MEAN)
        found = paired_bootstrap(pair, first=[0], second=[1], resamples=300)
        held += found.low <= 10 <= found.high
    assert stats.binomtest(held, 200, 0.95).pvalue > 0.001


def test_rows_need_the_same_number_of_seeds():
    for first, second in (([0], [0, 1]), ([], [])):
        with pytest.raises(UserError, match="one for each seed"):
            paired_bootstrap(discordant(1, 1, both=3), first=first, second=second)
