"""Significance of a whole study from its files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.report.statistics.made_up import Study, mined
from xtreme_stilts.errors import UserError
from xtreme_stilts.report import results, statistics, table
from xtreme_stilts.report.statistics import significance


def tags(random: np.random.Generator) -> list[str]:
    return random.choice(["B-PER", "I-PER", "B-LOC", "I-LOC", "O"], 6).tolist()


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
