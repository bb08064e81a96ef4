"""The metrics by name: what a task's `metric` field refers to.

Every metric is called as `METRICS[name](predictions, targets, language=...)` on aligned lists and returns
{value name: value}, in percent (accuracy 81.2, not 0.812; correlations x 100), as XTREME's evaluation prints
them. One of the values, or the mean of two, is the metric's *primary* value: what checkpoints are selected
by.

| name | a prediction and a target | values; primary |
|---|---|---|
| accuracy | label string | accuracy |
| accuracy_f1 | label string (MRPC, QQP) | accuracy, f1 of the positive class, their mean; mean |
| matthews | label string (CoLA) | matthews, accuracy; matthews |
| pearson_spearman | number (STS-B) | pearson, spearman, their mean; mean |
| chunk_f1 | list of tags (PANX, UDPOS) | f1, precision, recall over chunks, accuracy over words; f1 |
| token_accuracy | list of tags (CCG) | accuracy |
| squad_v1 | text; list of accepted texts | exact_match, f1; mean of both |
| squad_v2 | text or spans.Prediction; list of texts, [] = none | also best_exact_match, best_f1; their mean |
| mlqa | as squad_v1; rules by language | exact_match, f1; mean of both |
| retrieval_accuracy | index of the nearest sentence; of the right one (Tatoeba) | accuracy |
| mining_f1 | (source id, target id); two sets, not aligned (BUCC) | f1, precision, recall; f1 |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import chunks, classification, qa_metrics
from xtreme_stilts.evaluation.common import precision_recall_f1


@dataclass(frozen=True)
class Metric:
    """A scoring function and the names of the values whose mean is its primary value."""

    function: Callable[..., dict[str, float]]
    primary: tuple[str, ...]

    def __call__(self, predictions: Sequence, targets: Sequence, *, language: str | None = None) -> dict[str, float]:
        """{value name: percent}; raises UserError for lists that are empty, not aligned, or wrong."""
        return self.function(predictions, targets, language=language)


def mining_f1(
    predictions: Iterable[tuple[str, str]], targets: Iterable[tuple[str, str]], *, language: str | None = None
) -> dict[str, float]:
    """{"f1", "precision", "recall"} of mined (source id, target id) pairs against the gold pairs (BUCC 2018).

    No prediction at all is a score of 0; no gold pair at all is a UserError.
    """
    predicted, gold = ({tuple(pair) for pair in pairs} for pairs in (predictions, targets))
    if not gold:
        raise UserError("targets: found no gold pairs; mining F1 needs at least one")
    return precision_recall_f1(predicted, gold)


METRICS: dict[str, Metric] = {
    "accuracy": Metric(classification.accuracy, ("accuracy",)),
    "accuracy_f1": Metric(classification.accuracy_f1, ("mean",)),
    "matthews": Metric(classification.matthews, ("matthews",)),
    "pearson_spearman": Metric(classification.pearson_spearman, ("mean",)),
    "chunk_f1": Metric(chunks.chunk_f1, ("f1",)),
    "token_accuracy": Metric(chunks.token_accuracy, ("accuracy",)),
    "squad_v1": Metric(qa_metrics.squad_v1, ("exact_match", "f1")),
    "squad_v2": Metric(qa_metrics.squad_v2, ("best_exact_match", "best_f1")),
    "mlqa": Metric(qa_metrics.mlqa, ("exact_match", "f1")),
    "retrieval_accuracy": Metric(classification.accuracy, ("accuracy",)),
    "mining_f1": Metric(mining_f1, ("f1",)),
}


def metric(name: str) -> Metric:
    """The metric of that name; raises UserError with the nearest name if there is none."""
    if name not in METRICS:
        raise UserError(f"metric: no metric is called {name!r}; {did_you_mean(name, METRICS)}")
    return METRICS[name]


def primary(name: str) -> tuple[str, ...]:
    """The values whose mean is the primary value of metric `name`: ("exact_match", "f1") for squad_v1."""
    return metric(name).primary


def primary_value(name: str, scores: Mapping[str, float]) -> float:
    """The one number, in percent, that metric `name` is selected by, from what it returned."""
    names = primary(name)
    return sum(scores[value] for value in names) / len(names)
