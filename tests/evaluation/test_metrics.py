"""The registry, and the metrics of one value per example against definitions written out."""

import math
import random

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.metrics import METRICS, metric, primary, primary_value
from xtreme_stilts.evaluation.spans import Prediction, Span

GOLD = {
    "accuracy": ["entailment", "neutral", "contradiction"],
    "accuracy_f1": ["1", "0", "1"],
    "matthews": ["1", "0", "1"],
    "pearson_spearman": ["0.0", "3.8", "5.0"],
    "chunk_f1": [["B-PER", "I-PER", "O"], ["B-LOC"]],
    "token_accuracy": [["N/N", "N"], ["S\\NP"]],
    "retrieval_accuracy": [2, 0, 1],
    "mining_f1": [("de-1", "en-7"), ("de-2", "en-3")],
}
ANSWERS = {"squad_v1": [["Paris"], ["the end"]], "mlqa": [["París"], ["el fin"]], "squad_v2": [["Paris"], []]}


@pytest.mark.parametrize("name", sorted(METRICS))
def test_gold_against_gold_is_100(name):
    targets = ANSWERS[name] if name in ANSWERS else GOLD[name]
    predictions = [answers[0] if answers else "" for answers in targets] if name in ANSWERS else targets
    scores = METRICS[name](predictions, targets, language="es")
    assert scores == dict.fromkeys(scores, pytest.approx(100.0))
    assert primary_value(name, scores) == pytest.approx(100.0)
    assert set(primary(name)) <= set(scores)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"mining_f1"}))
def test_empty_or_unequal_lists_are_errors(name):
    with pytest.raises(UserError, match="found no examples"):
        METRICS[name]([], [], language="en")
    with pytest.raises(UserError, match="found 1 for 2 targets"):
        METRICS[name](["1"], ["1", "1"], language="en")


def test_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'squad_v2'"):
        metric("squadv2")


def test_primary_of_spans_is_the_mean_of_exact_match_and_f1():
    assert primary_value("squad_v1", {"exact_match": 40.0, "f1": 60.0}) == 50.0


def test_accuracy_compares_labels_as_strings():
    assert METRICS["accuracy"](["a", "b", "b", 3], ["a", "b", "c", "3"]) == {"accuracy": 75.0}


def test_f1_and_matthews_against_counts():
    rng = random.Random(0)
    targets = [rng.choice("01") for _ in range(200)]
    predictions = [t if rng.random() < 0.7 else rng.choice("01") for t in targets]
    tp, fp, fn, tn = (
        sum((p, t) == pair for p, t in zip(predictions, targets, strict=True))
        for pair in [("1", "1"), ("1", "0"), ("0", "1"), ("0", "0")]
    )
    scores = METRICS["accuracy_f1"](predictions, targets)
    assert scores["f1"] == pytest.approx(100 * 2 * tp / (2 * tp + fp + fn))
    assert scores["accuracy"] == pytest.approx((tp + tn) / 2)
    assert scores["mean"] == pytest.approx((scores["f1"] + scores["accuracy"]) / 2)
    matthews = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert METRICS["matthews"](predictions, targets)["matthews"] == pytest.approx(100 * matthews)


def test_f1_of_words_and_of_no_positive_at_all():
    assert METRICS["accuracy_f1"](["equivalent"], ["not_equivalent"])["f1"] == 0
    assert METRICS["accuracy_f1"](["0", "0"], ["0", "0"]) == {"accuracy": 100.0, "f1": 0.0, "mean": 50.0}
    with pytest.raises(UserError, match="'entailment'"):
        METRICS["accuracy_f1"](["entailment"], ["1"])


def test_constant_predictions_have_no_correlation():
    assert METRICS["matthews"](["1"] * 4, ["1", "0", "1", "1"])["matthews"] == 0
    assert METRICS["pearson_spearman"]([2.0] * 3, [1.0, 2.0, 3.0]) == {"pearson": 0, "spearman": 0, "mean": 0}


def test_correlations_against_their_definitions():
    rng = random.Random(1)
    x = [rng.gauss(0, 1) for _ in range(50)]
    y = [round(a + rng.gauss(0, 1)) for a in x]  # rounding makes ties

    def pearson(a, b):
        ma, mb = sum(a) / len(a), sum(b) / len(b)
        cov = sum((i - ma) * (j - mb) for i, j in zip(a, b, strict=True))
        return cov / math.sqrt(sum((i - ma) ** 2 for i in a) * sum((j - mb) ** 2 for j in b))

    def ranks(a):  # mean rank among equals
        return [sum(v < i for v in a) + (sum(v == i for v in a) + 1) / 2 for i in a]

    scores = METRICS["pearson_spearman"]([str(v) for v in x], y)
    assert scores["pearson"] == pytest.approx(100 * pearson(x, y))
    assert scores["spearman"] == pytest.approx(100 * pearson(ranks(x), ranks(y)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, "high"])
def test_a_number_that_is_none_is_named(bad):
    with pytest.raises(UserError, match="predictions: example 1 is"):
        METRICS["pearson_spearman"]([1.0, bad], [1.0, 2.0])


def test_mining_counts_sets_of_pairs():
    gold = [(f"de-{i}", f"en-{i}") for i in range(10)]
    predicted = [*gold[:4], ("de-5", "en-6")]
    scores = METRICS["mining_f1"](predicted, gold)
    assert scores == {"f1": pytest.approx(100 * 8 / 15), "precision": 80.0, "recall": 40.0}
    assert METRICS["mining_f1"]([], gold) == {"f1": 0, "precision": 0, "recall": 0}
    with pytest.raises(UserError, match="no gold pairs"):
        METRICS["mining_f1"](gold, [])


def test_squad_v2_best_threshold_is_the_best_of_all():
    """Against trying every threshold, with the scores at each computed anew from texts."""
    rng = random.Random(2)
    vocabulary = ["red", "green", "blue"]
    for _ in range(30):
        predictions, targets = [], []
        for _ in range(12):
            text = " ".join(rng.choices(vocabulary, k=2))
            odds = rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, math.inf])
            spans = () if odds == math.inf else (Span(text, 1.0, 0, 1),)
            predictions.append(Prediction("" if odds > 0 else text, 1.0, odds, spans))
            targets.append([] if rng.random() < 0.4 else [" ".join(rng.choices(vocabulary, k=2))])
        scores = METRICS["squad_v2"](predictions, targets)
        tried = [
            METRICS["squad_v2"](["" if p.null_odds > t else p.best_text for p in predictions], targets)
            for t in (-9.0, -2.0, -1.0, -0.5, 0.5, 1.0)
        ]
        for name in ("exact_match", "f1"):
            assert scores[f"best_{name}"] == pytest.approx(max(t[name] for t in tried))
            threshold = scores[f"best_{name}_threshold"]
            chosen = ["" if p.null_odds > threshold else p.best_text for p in predictions]
            assert METRICS["squad_v2"](chosen, targets)[name] == pytest.approx(scores[f"best_{name}"])
            assert scores[name] <= scores[f"best_{name}"] + 1e-9


def test_squad_v2_refuses_a_mixture_of_texts_and_predictions():
    with pytest.raises(UserError, match="some carry null odds"):
        METRICS["squad_v2"](["a", Prediction("a", 1.0, 0.0)], [["a"], ["a"]])


@pytest.mark.parametrize(
    ("name", "predictions", "targets"),
    [("accuracy", ["a", "b"], ["a", "a"]), ("token_accuracy", [["N", "V"]], [["N", "N"]])],
)
def test_scores_are_percent(name, predictions, targets):
    assert METRICS[name](predictions, targets, language="en") == {"accuracy": 50.0}
