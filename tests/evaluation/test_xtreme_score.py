"""Averages recomputed by hand; what is shown and what is not when something is missing."""

import dataclasses
import json
import random

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.xtreme_score import (
    GROUPS,
    MINI,
    TASK_LANGUAGES,
    TASK_METRICS,
    XTREME,
    XTREME_R,
    aggregate,
    suite,
)

COUNTS = {
    "xnli": 15, "pawsx": 7, "udpos": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tydiqa": 9, "bucc2018": 4,
    "tatoeba": 36,
}  # fmt: skip


def random_scores(suite):
    rng = random.Random(0)
    return {
        task: {metric: {lang: rng.uniform(20, 90) for lang in languages} for metric in TASK_METRICS[task]}
        for task, languages in suite.languages.items()
    }


@pytest.fixture
def scores():
    return random_scores(XTREME)


def test_the_tables_are_complete():
    assert {task: len(set(languages)) for task, languages in TASK_LANGUAGES.items()} == COUNTS
    assert {task: len(languages) for task, languages in TASK_LANGUAGES.items()} == COUNTS
    assert sorted(task for tasks in GROUPS.values() for task in tasks) == sorted(COUNTS)
    assert TASK_METRICS.keys() == COUNTS.keys() | {"xcopa"}


def test_task_group_and_overall(scores):
    scores["udpos"]["accuracy"] = dict.fromkeys(TASK_LANGUAGES["udpos"], 99.0)  # reported, not part of the score
    result = aggregate(scores)

    def mean(values):
        values = list(values)
        return sum(values) / len(values)

    expected = {task: mean(mean(scores[task][metric].values()) for metric in TASK_METRICS[task]) for task in COUNTS}
    assert {task: average.value for task, average in result.tasks.items()} == pytest.approx(expected)
    assert result.groups["qa"] == pytest.approx((expected["xquad"] + expected["mlqa"] + expected["tydiqa"]) / 3)
    assert result.groups["retrieval"] == pytest.approx((expected["bucc2018"] + expected["tatoeba"]) / 2)
    assert result.overall == pytest.approx(sum(expected.values()) / 9)
    assert result.overall != pytest.approx(sum(result.groups.values()) / 4)
    assert result.tasks["udpos"].averages["accuracy"] == pytest.approx(99.0)


def test_question_answering_is_the_mean_of_both():
    languages = TASK_LANGUAGES["mlqa"]
    result = aggregate({"mlqa": {"exact_match": dict.fromkeys(languages, 40.0), "f1": dict.fromkeys(languages, 60.0)}})
    assert result.tasks["mlqa"].value == 50.0
    assert result.groups == {}
    assert result.overall is None


def test_a_missing_language_is_named_and_keeps_its_group_and_the_overall_out(scores):
    del scores["xnli"]["accuracy"]["sw"]
    result = aggregate(scores)
    assert result.tasks["xnli"].missing == ("sw",)
    assert set(result.groups) == {"tagging", "qa", "retrieval"}
    assert result.overall is None
    assert result.as_dict()["tasks"]["xnli"]["missing_languages"] == ["sw"]


def test_a_missing_task(scores):
    del scores["tatoeba"]
    result = aggregate(scores)
    assert set(result.groups) == {"classification", "tagging", "qa"}
    assert result.overall is None
    assert result.absent == ("tatoeba",)


# XTREME-R's languages are as many as its `evaluate.py` lists.
XTREME_R_COUNTS = {
    "xnli": 15, "xcopa": 11, "udpos": 38, "panx": 48, "xquad": 12, "mlqa": 7, "tydiqa": 9, "tatoeba": 41,
}  # fmt: skip


def test_xtreme_r_has_more_languages_other_groups_and_never_an_overall():
    assert {task: len(set(languages)) for task, languages in XTREME_R.languages.items()} == XTREME_R_COUNTS
    assert all(len(set(languages)) == len(languages) for languages in XTREME_R.languages.values())
    result = aggregate(random_scores(XTREME_R), suite=XTREME_R)
    value = {task: average.value for task, average in result.tasks.items()}
    assert set(result.groups) == {"classification", "tagging", "qa", "multi_choice"}  # retrieval needs Mewsli-X
    assert result.groups["classification"] == pytest.approx((value["xnli"] + value["xcopa"]) / 2)
    assert result.groups["multi_choice"] == pytest.approx(value["xcopa"])
    assert result.overall is None
    assert result.absent == ("mewslix", "lareqa")


def test_the_miniature_is_complete_in_its_own_languages():
    result = aggregate(random_scores(MINI), suite=MINI)
    assert result.overall == pytest.approx(sum(average.value for average in result.tasks.values()) / 9)
    assert result.absent == ()


def test_suites_by_name():
    assert suite("xtreme_r") is XTREME_R
    with pytest.raises(UserError, match=r"'xtreme-r'; did you mean 'xtreme_r'\?"):
        suite("xtreme-r")


def test_own_languages_decide_what_is_complete():
    own = dataclasses.replace(XTREME, languages={"xnli": ("xx",), "pawsx": ("xx",)})
    result = aggregate({"xnli": {"accuracy": {"xx": 50.0}}, "pawsx": {"accuracy": {"xx": 70.0}}}, suite=own)
    assert result.groups == {"classification": 60.0}


def test_json_has_the_layout_of_the_reference(scores):
    shown = json.loads(json.dumps(aggregate(scores).as_dict()))
    assert set(shown) == {"overall", "groups", "tasks"}
    assert set(shown["tasks"]["mlqa"]) == {"exact_match", "f1", "avg_exact_match", "avg_f1", "avg_metric"}
    assert shown["tasks"]["mlqa"]["f1"]["vi"] == scores["mlqa"]["f1"]["vi"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"xnlii": {}}, "did you mean 'xnli'"),
        ({"xnli": {"acc": {"en": 1.0}}}, "xnli needs values of 'accuracy'"),
        ({"bucc2018": {"f1": {"en": 1.0}}}, "no language 'en'"),
        ({"bucc2018": {"f1": {"de": float("nan")}}}, "de is nan"),
    ],
)
def test_bad_scores(bad, message):
    with pytest.raises(UserError, match=message):
        aggregate(bad)
