"""Statistics of studies, against hand-worked cases, scipy's exact tests, the metrics themselves and simulation."""

from __future__ import annotations

import hashlib
import json
import math
import pathlib

import numpy as np
import pytest
from scipy import stats

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.report import results, statistics, table
from xtreme_stilts.report.outcomes import MEAN, Outcomes, outcomes
from xtreme_stilts.report.results import Result
from xtreme_stilts.report.statistics import paired_bootstrap, paired_randomisation, significance

# --------------------------------------------------------------------------------------------------
# Seeds, effect sizes, power


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


# --------------------------------------------------------------------------------------------------
# Corrections


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


# --------------------------------------------------------------------------------------------------
# Two rows


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
    pair = statistics._Pair(
        scores={row: np.array(values) for row, values in scores.items()},
        drawn=np.zeros(2), by_size={9: -2.0}, examples=9, differing=4,
    )  # fmt: skip
    # Row means 2 4 1, seed means 1 2 4, all 7/3: what is left is 1/3 six times and -2/3 three times, squares 2;
    # with (3 - 1)(3 - 1) degrees of freedom 1/2; twice that by 3 seeds.
    assert statistics._error_of_seeds(pair) == pytest.approx((math.sqrt(1 / 3), 4))
    assert pair.difference == -2


def test_the_mean_over_test_sets_adds_their_variances():
    pairs = [discordant(*counts, both=both) for counts, both in (((30, 10), 60), ((25, 20), 355))]
    drawn = statistics._resampled(pairs, resamples=4000, seed=0)
    parts = [statistics._pair(pair, draws, {"a": [0], "b": [1]}) for pair, draws in zip(pairs, drawn, strict=True)]
    found = statistics._by_bootstrap(statistics._mean_of(parts))
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


LABELS = ["entailment", "neutral"]


def tags(random: np.random.Generator) -> list[str]:
    return random.choice(["B-PER", "I-PER", "B-LOC", "I-LOC", "O"], 6).tolist()


# --------------------------------------------------------------------------------------------------
# A study on disk


class Study:
    """Writes a study directory as a run leaves it."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.rows, self.random = folder, [], np.random.default_rng(0)

    def phase(self, row: str, target: str, seed: int, *, best_value: float | None = None) -> str:
        """Its fingerprint."""
        fingerprint = hashlib.sha256(f"{row} {target} {seed}".encode()).hexdigest()
        folder = self.folder / "phases" / f"{target}-seed{seed}-{fingerprint[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        if best_value is not None:
            (folder / "done.json").write_text(json.dumps({"steps": 5, "best_step": 5, "best_value": best_value}))
        return fingerprint

    def result(self, row: str, target: str, language: str, values: dict[str, float], seed: int, **changes) -> None:
        fields = {"model": "mini", "split": "test", "examples": 10, "seed": seed} | changes
        self.rows += [
            Result(intermediate=row, target=target, language=language, metric=name, value=value, **fields)
            for name, value in values.items()
        ]

    def scored(self, row: str, target: str, language: str, lines: list[dict], metric: str, seed: int = 0) -> None:
        fingerprint = self.phase(row, target, seed)
        predictions, targets = ([line[name] for line in lines] for name in ("prediction", "target"))
        values = metrics.metric(metric)(predictions, targets, language=language)
        self.result(row, target, language, values, seed, examples=len(lines), fingerprint=fingerprint)
        self.write(target, language, fingerprint, lines)

    def write(self, target: str, language: str, fingerprint: str, lines: list[dict]) -> pathlib.Path:
        (folder,) = (self.folder / "phases").glob(f"*-{fingerprint[:12]}")
        path = folder / "evaluations" / target / f"{language}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return path

    def nli(self, row: str, *, language: str, accuracy: float, seed: int = 0, examples: int = 400) -> None:
        hits = self.random.random(examples) < accuracy
        lines = [
            {"id": str(i), "prediction": LABELS[0] if hit else LABELS[1], "target": LABELS[0]}
            for i, hit in enumerate(hits)
        ]
        self.scored(row, "mini_xnli", language, lines, "accuracy", seed)

    def done(self) -> pathlib.Path:
        results.write(self.folder / "results.csv", self.rows)
        return self.folder


@pytest.fixture
def study(tmp_path) -> Study:
    """Three rows, three seeds, accuracy in two languages and chunks in one; "better" is better, "same" is not."""
    made = Study(tmp_path)
    for seed in (0, 1, 2):
        for row, gain in (("none", 0.0), ("better", 0.25), ("same", 0.0)):
            for language in ("en", "sw"):
                made.nli(row, language=language, accuracy=0.6 + gain, seed=seed)
            lines = [
                {"id": f"s{i}", "prediction": tags(made.random), "target": ["B-PER", "I-PER", "O", "B-LOC", "O", "O"]}
                for i in range(30)
            ]
            made.scored(row, "mini_panx", "de", lines, "chunk_f1", seed)
    return made


def test_significance_of_a_study(study):
    found = significance(study.done(), resamples=500)
    assert found.columns.tolist() == list(statistics.COLUMNS)
    places = list(found[["target", "language", "row"]].itertuples(index=False, name=None))
    assert places == [
        *[("mini_xnli", code, row) for row in ("better", "same") for code in ("en", "sw", "average")],
        *[("mini_panx", code, row) for row in ("better", "same") for code in ("de", "average")],
    ]
    by_place = found.set_index(["target", "language", "row"])
    shown = table.paper_table(results.read(study.folder / "results.csv"))
    for target in ("mini_xnli", "mini_panx"):
        for row in ("better", "same"):
            line = by_place.loc[(target, table.AVERAGE, row)]
            assert line["difference"] == pytest.approx(shown.delta.loc[row, target])
            assert line["low"] < line["difference"] < line["high"] and line["seeds"] == 3
    better = by_place.loc["mini_xnli"].xs("better", level="row")
    assert better["mark"].isin(["†", "‡"]).all() and better.loc[table.AVERAGE, "mark"] == "‡"
    assert (by_place.xs("same", level="row")["mark"] == "").all()
    # One language: its average is itself.
    panx = by_place.loc["mini_panx"].drop(columns=["p_corrected", "mark"])
    assert panx.loc[("de", "same")].equals(panx.loc[(table.AVERAGE, "same")])


def test_averages_and_languages_are_corrected_apart(study):
    found = significance(study.done(), resamples=300, correction="holm")
    average = found["language"] == table.AVERAGE
    assert average.sum() == 4 and (~average).sum() == 6
    for part in (found[average], found[~average]):
        assert part["p_corrected"].to_numpy() == pytest.approx(statistics.holm(part["p"]))
    plain = significance(study.folder, resamples=300, correction="none")
    assert (plain["p_corrected"] == plain["p"]).all() and plain["p"].equals(found["p"])


def test_the_same_seed_gives_the_same_table(study):
    one, again, other = (significance(study.done(), resamples=200, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again) and not one["p"].equals(other["p"])


def test_another_baseline_turns_differences_around(study):
    found = significance(study.done(), resamples=300, baseline="better").set_index(["target", "language", "row"])
    plain = significance(study.folder, resamples=300).set_index(["target", "language", "row"])
    place = ("mini_xnli", "sw")
    assert found.loc[(*place, "none"), "difference"] == pytest.approx(-plain.loc[(*place, "better"), "difference"])
    assert found.loc[(*place, "none"), "p"] == pytest.approx(plain.loc[(*place, "better"), "p"])


def test_the_randomisation_test_of_a_study(study):
    found = significance(study.done(), resamples=300, test="randomisation")
    assert set(found["test"]) == {"randomisation"} and found["p"].min() == pytest.approx(1 / 301)
    assert found[found["row"] == "same"]["p"].min() > 0.01


def test_only_seeds_of_both_rows_are_compared(study):
    for language in ("en", "sw"):
        study.nli("better", language=language, accuracy=0.1, seed=3)
    found = significance(study.done(), resamples=100)
    xnli = found[(found["target"] == "mini_xnli") & (found["row"] == "better")]
    assert (xnli["seeds"] == 3).all() and (xnli["difference"] > 10).all()


def test_translated_examples_are_drawn_together(tmp_path):
    made = Study(tmp_path)
    made.nli("none", language="en", accuracy=0.6)
    made.nli("better", language="en", accuracy=0.65)
    for row in ("none", "better"):  # the same outcomes in Swahili add nothing
        fingerprint = made.phase(row, "mini_xnli", 0)
        (path,) = (tmp_path / "phases").glob(f"*-{fingerprint[:12]}/evaluations/mini_xnli/en.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        made.scored(row, "mini_xnli", "sw", lines, "accuracy")
    found = significance(made.done(), resamples=300).set_index("language")
    assert found.loc["average", "low"] == pytest.approx(found.loc["en", "low"], abs=0.1)
    assert found.loc["average", "high"] == pytest.approx(found.loc["en", "high"], abs=0.1)


def test_what_cannot_be_tested_says_why(study):
    study.result("none", "own_task", "en", {"accuracy": 50.0}, 0)
    study.result("better", "own_task", "en", {"accuracy": 60.0}, 0)
    study.nli("late", language="en", accuracy=0.5, seed=7)
    found = significance(study.done(), resamples=50).set_index(["target", "language", "row"])
    assert "registry does not know" in found.loc[("own_task", "en", "better"), "test"]
    assert "no seed in common" in found.loc[("mini_xnli", "en", "late"), "test"]
    assert "not all languages" in found.loc[("mini_xnli", "average", "late"), "test"]
    untested = found[found["test"].str.startswith(statistics.UNAVAILABLE)]
    numbers = untested[["difference", "low", "high", "p", "p_corrected"]]
    assert numbers.isna().all(axis=None) and (untested["mark"] == "").all()
    named = significance(study.folder, resamples=50, metric_of={"own_task": "accuracy"}).set_index(
        ["target", "language", "row"]
    )
    assert "not on disk" in named.loc[("own_task", "en", "better"), "test"]


MINED = {
    "none": [("s1", "t1", True, True), ("s2", "t9", True, False), ("s2", "t2", False, True), ("s3", "t3", False, True)],
    "better": [("s1", "t1", True, True), ("s2", "t2", True, True), ("s3", "t3", True, True)],
}


def mined(made: Study, *, with_gold: bool) -> None:
    for row, pairs in MINED.items():
        f1 = 100 * 2 * 1 / (2 + 3) if row == "none" else 100.0
        fingerprint = made.phase(row, "mini_bucc2018", 0)
        place = {"fingerprint": fingerprint, "layer": 1, "pooling": "mean"}
        made.result(row, "mini_bucc2018", "de", {"f1": f1}, 0, **place)
        made.result(row, "mini_bucc2018", "de", {"f1_by_layer": f1}, 0, **place)
        own = {"f1_by_layer": 10.0 if row == "none" else 30.0}
        made.result(row, "mini_bucc2018", "de", own, 0, split="validation", **place)
        made.result(row, "mini_bucc2018", "de", {"f1": own["f1_by_layer"]}, 0, split="validation", **place)
        other = place | {"layer": 0}
        made.result(row, "mini_bucc2018", "de", {"f1_by_layer": 99.0}, 0, split="validation", **other)
        lines = [
            {"source": source, "target": target} | ({"mined": found, "gold": gold} if with_gold else {})
            for source, target, found, gold in pairs
            if found or with_gold
        ]
        made.write("mini_bucc2018", "de", fingerprint, lines)


def test_mining_is_tested_where_gold_pairs_are_recorded(tmp_path):
    made = Study(tmp_path)
    mined(made, with_gold=True)
    found = significance(made.done(), resamples=200).iloc[0]
    assert found["difference"] == pytest.approx(60) and found["examples"] == 3 and found["test"] == "bootstrap"
    mined(made, with_gold=False)
    assert "which pairs are gold" in significance(made.folder, resamples=200).iloc[0]["test"]


def test_damage_and_disagreement_are_named(study):
    folder = study.done()
    for arguments, message in (
        ({"correction": "holmes"}, "correction is 'holmes'; did you mean 'holm'"),
        ({"test": "boot"}, "test is 'boot'"),
        ({"baseline": "non"}, "baseline: the study has no row 'non'; did you mean 'none'"),
        ({"model": "big"}, "no results of model 'big'"),
    ):
        with pytest.raises(UserError, match=message):
            significance(folder, **arguments)
    path = next(folder.glob("phases/*/evaluations/mini_xnli/sw.jsonl"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "{\n", *lines[2:]]))
    with pytest.raises(UserError, match=r"sw.jsonl line 2: not a prediction"):
        significance(folder)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match="same examples only"):
        significance(folder)
    wrong = [json.dumps(json.loads(line) | {"prediction": "?"}) + "\n" for line in lines]
    path.write_text("".join(wrong))
    with pytest.raises(UserError, match=r"these predictions give 0.0000, results.csv has"):
        significance(folder)


# --------------------------------------------------------------------------------------------------
# The best row of each target


@pytest.fixture
def choices(tmp_path) -> Study:
    """Validation prefers b, the test set a."""
    made = Study(tmp_path)
    for row, validation, test in (("none", 90.0, 50.0), ("a", 70.0, 80.0), ("b", 75.0, 60.0)):
        for seed in (0, 1):
            fingerprint = made.phase(row, "xnli", seed, best_value=validation + seed)
            made.result(row, "xnli", "en", {"accuracy": test + seed}, seed, fingerprint=fingerprint)
            made.result(row, "xnli", "de", {"accuracy": test - 10}, seed, fingerprint=fingerprint)
            fingerprint = made.phase(row, "tatoeba", seed)
            place = {"fingerprint": fingerprint, "layer": 1, "pooling": "mean"}
            made.result(row, "tatoeba", "de", {"accuracy": test}, seed, **place)
    return made


def test_the_honest_choice_is_made_on_validation_data(choices):
    found = statistics.best_intermediates(choices.done()).set_index("target")
    line = found.loc["xnli"]
    assert (line["intermediate"], line["rule"], line["criterion"]) == ("b", "honest", 75.5)
    assert line["score"] == pytest.approx((60.5 + 50) / 2) and line["difference"] == pytest.approx(10)
    assert found.loc["tatoeba", "intermediate"] == "" and math.isnan(found.loc["tatoeba", "score"])
    average = found.loc[table.AVERAGE]
    assert average["score"] == line["score"] and average["note"] == "without tatoeba"


def test_the_oracle_chooses_by_what_it_reports(choices):
    found = statistics.best_intermediates(choices.done(), rule="oracle").set_index("target")
    assert found["intermediate"].tolist() == ["a", "a", ""] and set(found["rule"]) == {"oracle"}
    assert found.loc["xnli", "criterion"] == found.loc["xnli", "score"] == pytest.approx((80.5 + 70) / 2)
    assert found.loc[table.AVERAGE, "difference"] == pytest.approx(30)


def test_candidates_are_named(choices):
    found = statistics.best_intermediates(choices.done(), candidates=("none", "a")).set_index("target")
    assert found.loc["xnli", "intermediate"] == "none"
    with pytest.raises(UserError, match="candidates: the study has no row 'c'"):
        statistics.best_intermediates(choices.folder, candidates=("c",))
    with pytest.raises(UserError, match="rule is 'honnest'; did you mean 'honest'"):
        statistics.best_intermediates(choices.folder, rule="honnest")


def test_mining_is_chosen_on_its_validation_set_at_the_reported_layer(tmp_path):
    made = Study(tmp_path)
    mined(made, with_gold=False)
    line = statistics.best_intermediates(made.done(), candidates=("none", "better")).iloc[0]
    assert (line["intermediate"], line["criterion"]) == ("better", 30.0)


def test_without_validation_there_is_no_honest_choice(choices):
    choices.rows = [row for row in choices.rows if row.target == "tatoeba"]
    found = statistics.best_intermediates(choices.done())
    assert found["intermediate"].tolist() == ["", ""] and found["score"].isna().all()


def test_a_row_that_lacks_a_seed_is_not_chosen(choices):
    choices.rows = [row for row in choices.rows if not (row.intermediate == "b" and row.seed == 1)]
    assert statistics.best_intermediates(choices.done()).iloc[0]["intermediate"] == "a"


def test_a_damaged_record_is_named(choices):
    path = next(choices.done().glob("phases/xnli-*/done.json"))
    path.write_text('{"steps": 5}')
    with pytest.raises(UserError, match=r"done.json: no number `best_value`"):
        statistics.best_intermediates(choices.folder)
