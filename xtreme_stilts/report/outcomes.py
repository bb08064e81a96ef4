"""What a score is made of, as numbers for each example, so that it can be computed anew on any draw of the examples.

Every metric of `metrics` has its outcomes here. Most scores depend on sums over examples only (right or wrong, chunks
found, ...): then any number of draws is one product of a matrix of weights with one of outcomes. A weight says how
often a draw has the example. Scores are percent and equal the metric's own on the repeated examples.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.evaluation.chunks import find_chunks, token_accuracy
from xtreme_stilts.evaluation.classification import POSITIVE
from xtreme_stilts.evaluation.common import check_aligned


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcomes:
    """One row's outcomes on one test set.

    Attributes:
        values: float64[models, examples, numbers], what the metric needs of each example, for each model (seed).
        score: values, weights float64[draws, examples] -> percent, float64[draws, models]. Weights say how often an
            example counts.
    """

    values: np.ndarray
    score: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def examples(self) -> int:
        """How many there are."""
        return self.values.shape[1]

    def scores(self) -> np.ndarray:
        """float64[models], percent: the metric's own value on the test set as it is."""
        return self.score(self.values, np.ones((1, self.examples)))[0]


def outcomes(
    metric: str, predictions: Sequence[Sequence], targets: Sequence, *, language: str | None = None
) -> Outcomes:
    """Several models' outcomes on one test set; `scores()` of them are the metric's primary values.

    The primary value of squad_v2 is here the mean of exact match and F1 of the answers as given: its best threshold
    needs null odds, which predictions on disk do not have.

    Args:
        metric: a name of `metrics.METRICS` but mining_f1, whose units are sentences: see `mining_outcomes`.
        predictions: one list for each model, aligned with `targets`; of these the metric's own types.
        targets: one for each example.
        language: for metrics with rules by language.

    Raises:
        UserError: no such metric, or what the metric itself refuses.
    """
    function = metrics.metric(metric)
    if metric not in _OUTCOMES:
        raise UserError(f"metric: {metric} is no metric of aligned examples; {did_you_mean(metric, _OUTCOMES)}")
    if not predictions:
        raise UserError("predictions: found those of no model; give one list for each model")
    for each in predictions:
        check_aligned(each, targets)
    values, score = _OUTCOMES[metric]
    found = values(predictions, targets, function=function, language=language)
    return Outcomes(values=np.asarray(found, np.float64), score=score)


Counts = Mapping[str, tuple[int, int]]  # source id -> (pairs found that are right, pairs found + gold pairs)


def mining_counts(predicted: set[tuple[str, str]], gold: set[tuple[str, str]]) -> Counts:
    """Per source sentence what mining F1 (BUCC 2018) is made of; sentences in no pair of either set are left out."""
    right = Counter(source for source, _ in predicted & gold)
    either = Counter(source for pairs in (predicted, gold) for source, _ in pairs)
    return {source: (right[source], number) for source, number in either.items()}


def mining_outcomes(counts: Sequence[Counts]) -> Outcomes:
    """Outcomes of several models, each by `mining_counts`, on the sentences that are in a pair of any of them.

    Sentences that no model and no gold pair names would add nothing but zeros.
    """
    sentences = sorted(set().union(*counts))
    values = [[each.get(sentence, (0, 0)) for sentence in sentences] for each in counts]
    return Outcomes(values=np.asarray(values, np.float64), score=_F1)


def _of_sums(ratio: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A score that depends on sums over examples only: `ratio(sums [numbers, draws, models], examples [draws, 1])`."""

    def score(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        models, examples, numbers = values.shape
        sums = weights @ np.moveaxis(values, 1, 0).reshape(examples, models * numbers)
        sums = np.moveaxis(sums.reshape(len(weights), models, numbers), -1, 0)
        return ratio(sums, weights.sum(1)[:, None])

    return score


def _f1(right: np.ndarray, either: np.ndarray) -> np.ndarray:
    """Percent; `either`: number predicted + number of gold ones. 0 where there is neither."""
    return 200.0 * right / np.maximum(either, 1)


def _matthews(sums: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Matthews correlation of any number of classes (Gorodkin 2004): sums are right, predicted and gold by class."""
    classes = (len(sums) - 1) // 2
    right, predicted, gold = sums[0], sums[1 : 1 + classes], sums[1 + classes :]
    covariance = right * examples - (predicted * gold).sum(0)
    variances = (examples**2 - (predicted**2).sum(0)) * (examples**2 - (gold**2).sum(0))
    # One class only on either side: no correlation, counted as 0, as the metric does.
    return np.where(variances > 0, 100.0 * covariance / np.sqrt(np.maximum(variances, 1e-12)), 0.0)


def _correlations(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of Pearson and Spearman; ranks are those within each draw, so they are taken anew."""

    def one(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        pearson = _correlation(*np.broadcast_arrays(x, y, weights))
        return (pearson + _correlation(_ranks(x, weights), _ranks(y, weights), weights)) / 2

    return np.stack([one(*model.T) for model in values], axis=1)


def _correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Percent, float64[draws]; all arguments [draws, examples]. A constant side counts as 0, as the metric does."""
    examples = weights.sum(1, keepdims=True)
    x, y = (each - (each * weights).sum(1, keepdims=True) / examples for each in (x, y))
    covariance, *variances = ((weights * a * b).sum(1) for a, b in ((x, y), (x, x), (y, y)))
    scale = np.sqrt(variances[0] * variances[1])
    return np.where(scale > 1e-12, 100.0 * covariance / np.maximum(scale, 1e-12), 0.0)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mid-ranks in each draw, float64[draws, examples]: equal values share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    group = np.unique(values, return_inverse=True)[1]
    return (tied.cumsum(1) - (tied - 1) / 2)[:, group]


# From predictions to values, [models][examples][numbers]. `function` is the metric itself.


def _own_scores(
    predictions: Sequence[Sequence], targets: Sequence, *, function: metrics.Metric, language: str | None
) -> list:
    """Of a metric that is a mean over examples: its value on each of them alone."""
    names = [name.removeprefix("best_") for name in function.primary]

    def one(predicted: Any, target: Any) -> list[float]:
        scores = function([predicted], [target], language=language)
        return [sum(scores[name] for name in names) / len(names)]

    # Models often agree: what two of them answer to one question is scored once.
    columns = [
        _once(functools.partial(one, target=target), models)
        for target, *models in zip(targets, *predictions, strict=True)
    ]
    return list(zip(*columns, strict=True))


def _once(score: Callable[[Any], Any], predictions: Sequence) -> list:
    """`score` of each, called once for equal strings, whole numbers and tuples; anything else is not compared."""
    known: dict[tuple, Any] = {}
    scored = []
    for number, predicted in enumerate(predictions):
        key = (type(predicted), predicted) if type(predicted) in (str, int, tuple) else (number,)
        if key not in known:
            known[key] = score(predicted)
        scored.append(known[key])
    return scored


def _chunk_counts(predictions: Sequence[Sequence], targets: Sequence, **_) -> list:
    for model in predictions:
        token_accuracy(model, targets)  # refuses what has no tag for each word

    def one(tags: tuple[str, ...], gold: set) -> tuple[int, int]:
        found = find_chunks([tags])
        return len(found & gold), len(found) + len(gold)

    columns = [
        _once(functools.partial(one, gold=find_chunks([gold])), list(map(tuple, models)))
        for gold, *models in zip(targets, *predictions, strict=True)
    ]
    return list(zip(*columns, strict=True))


def _word_counts(predictions: Sequence[Sequence], targets: Sequence, **_) -> list:
    for model in predictions:
        token_accuracy(model, targets)
    return [
        [(sum(map(operator.eq, tags, gold)), len(gold)) for tags, gold in zip(model, targets, strict=True)]
        for model in predictions
    ]


def _paraphrases(predictions: Sequence[Sequence], targets: Sequence, *, function: metrics.Metric, **_) -> np.ndarray:
    """Right; paraphrase in both; paraphrase in one + in the other."""
    for model in predictions:
        function(model, targets)  # refuses unknown labels
    predicted, gold = (np.isin(np.array(labels, str), POSITIVE) for labels in (predictions, [targets]))
    return np.stack(np.broadcast_arrays(predicted == gold, predicted & gold, predicted.astype(int) + gold), axis=-1)


def _classes(predictions: Sequence[Sequence], targets: Sequence, **_) -> np.ndarray:
    """Right; predicted, class by class; gold, class by class."""
    predicted, gold = np.array(predictions, str), np.array([targets], str)
    of_class = np.union1d(predicted, gold)
    golds = np.broadcast_to(gold[..., None] == of_class, (*predicted.shape, len(of_class)))
    return np.concatenate([(predicted == gold)[..., None], predicted[..., None] == of_class, golds], axis=-1)


def _numbers(predictions: Sequence[Sequence], targets: Sequence, *, function: metrics.Metric, **_) -> np.ndarray:
    for model in predictions:
        function(model, targets)  # refuses what is no number
    return np.stack([np.column_stack([model, targets]).astype(np.float64) for model in predictions])


MEAN = _of_sums(lambda sums, examples: sums[0] / examples)
_F1 = _of_sums(lambda sums, examples: _f1(sums[0], sums[1]))
_OUTCOMES: Mapping[str, tuple[Callable, Callable]] = {
    **dict.fromkeys(("accuracy", "retrieval_accuracy", "squad_v1", "squad_v2", "mlqa"), (_own_scores, MEAN)),
    "chunk_f1": (_chunk_counts, _F1),
    "token_accuracy": (_word_counts, _of_sums(lambda sums, examples: 100.0 * sums[0] / np.maximum(sums[1], 1))),
    "accuracy_f1": (
        _paraphrases,
        _of_sums(lambda sums, examples: (100.0 * sums[0] / examples + _f1(sums[1], sums[2])) / 2),
    ),
    "matthews": (_classes, _of_sums(_matthews)),
    "pearson_spearman": (_numbers, _correlations),
}
