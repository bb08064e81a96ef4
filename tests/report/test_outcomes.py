"""Outcomes give the metrics' own scores, on the examples as they are and on any draw of them."""

from __future__ import annotations

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.report.outcomes import mining_counts, mining_outcomes, outcomes

LABELS = ["entailment", "neutral", "contradiction"]
WORDS = ["the", "cat", "sat", "on", "a", "Mat", "der", "die", "猫", "."]


def text(random: np.random.Generator) -> str:
    return " ".join(random.choice(WORDS, random.integers(1, 5)))


def tags(random: np.random.Generator) -> list[str]:
    return random.choice(["B-PER", "I-PER", "B-LOC", "I-LOC", "O", "S"], 6).tolist()


CASES = {
    "accuracy": (lambda random: str(random.choice(LABELS)),) * 2,
    "retrieval_accuracy": (lambda random: int(random.integers(3)),) * 2,
    "accuracy_f1": (lambda random: str(random.integers(2)),) * 2,
    "matthews": (lambda random: str(random.integers(3)),) * 2,
    "pearson_spearman": (lambda random: float(random.integers(6)) / 2,) * 2,
    "chunk_f1": (tags,) * 2,
    "token_accuracy": (tags,) * 2,
    "squad_v1": (text, lambda random: [text(random), text(random)]),
    "squad_v2": (text, lambda random: [text(random)] * int(random.integers(2))),
    "mlqa": (text, lambda random: [text(random)]),
}


def own_value(metric: str, predictions: list, targets: list) -> float:
    return metrics.primary_value(metric, metrics.metric(metric)(predictions, targets, language="de"))


@pytest.mark.parametrize("metric", CASES)
def test_resampled_scores_are_the_metrics_own_on_the_repeated_examples(metric):
    random = np.random.default_rng(7)
    predict, gold = CASES[metric]
    targets = [gold(random) for _ in range(40)]
    models = [
        [target if predict is gold and random.random() < share else predict(random) for target in targets]
        for share in (0.2, 0.6, 0.6)
    ]
    found = outcomes(metric, models, targets, language="de")
    assert found.scores() == pytest.approx([own_value(metric, model, targets) for model in models])
    weights = random.multinomial(40, np.full(40, 1 / 40), size=3)
    scores = found.score(found.values, weights.astype(float))
    for number, repeats in enumerate(weights):
        rows = np.repeat(np.arange(40), repeats)
        expected = [own_value(metric, [model[i] for i in rows], [targets[i] for i in rows]) for model in models]
        assert scores[number] == pytest.approx(expected)


def test_every_metric_has_outcomes():
    assert {*CASES, "mining_f1"} == set(metrics.METRICS)


@pytest.mark.parametrize(
    ("metric", "predictions", "targets", "expected"),
    [
        ("chunk_f1", [["O", "O"]], [["O", "O"]], 0.0),
        ("matthews", ["1", "1"], ["0", "1"], 0.0),
        ("pearson_spearman", [1.0, 1.0], [0.0, 1.0], 0.0),
        ("accuracy_f1", ["0", "0"], ["0", "0"], 50.0),
    ],
)
def test_collapsed_models_score_as_the_metric_says(metric, predictions, targets, expected):
    assert outcomes(metric, [predictions], targets).scores().tolist() == [expected]
    assert own_value(metric, predictions, targets) == expected


def test_outcomes_of_mining_by_source_sentence():
    gold = {("s1", "t1"), ("s2", "t2"), ("s3", "t3")}
    first, second = {("s1", "t1"), ("s2", "t9"), ("s8", "t8")}, {("s1", "t1"), ("s3", "t3")}
    found = mining_outcomes([mining_counts(each, gold) for each in (first, second)])
    assert found.scores() == pytest.approx([metrics.mining_f1(each, gold)["f1"] for each in (first, second)])
    assert found.values[0].tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]  # s1 s2 s3 s8


def test_outcomes_refuse_what_the_metrics_refuse():
    with pytest.raises(UserError, match="one per target"):
        outcomes("accuracy", [["a"]], ["a", "b"])
    with pytest.raises(UserError, match="2 tags for 1 words"):
        outcomes("chunk_f1", [[["O", "O"]]], [["O"]])
    with pytest.raises(UserError, match="aligned examples"):
        outcomes("mining_f1", [["a"]], ["a"])
    with pytest.raises(UserError, match="did you mean 'accuracy'"):
        outcomes("acuracy", [["a"]], ["a"])
    with pytest.raises(UserError, match="no model"):
        outcomes("accuracy", [], ["a"])
