"""The best row of each target, chosen honestly or by an oracle."""

from __future__ import annotations

import math

import pytest

from tests.report.statistics.made_up import Study, mined
from xtreme_stilts.errors import UserError
from xtreme_stilts.report import statistics, table


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
