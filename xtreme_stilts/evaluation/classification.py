"""Scores of one label or number per example: accuracy, F1 of the positive class, Matthews, Pearson, Spearman.

`predictions` and `targets` are aligned lists; every value is in percent (correlations x 100, as the GLUE
leaderboard shows them). Labels are compared as strings, so an index may be written `3` or `"3"`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.common import check_aligned

# scikit-learn and scipy.stats take about a second to import, so the functions that need them import them.

POSITIVE = ("1", "equivalent", "duplicate")  # MRPC and QQP, as label strings or as class numbers
NEGATIVE = ("0", "not_equivalent", "not_duplicate")


def accuracy(predictions: Sequence, targets: Sequence, *, language: str | None = None) -> dict[str, float]:
    """{"accuracy"}: the share of examples whose label is predicted exactly."""
    check_aligned(predictions, targets)
    correct = sum(str(p) == str(t) for p, t in zip(predictions, targets, strict=True))
    return {"accuracy": 100.0 * correct / len(targets)}


def accuracy_f1(predictions: Sequence, targets: Sequence, *, language: str | None = None) -> dict[str, float]:
    """{"accuracy", "f1", "mean"}: F1 is that of paraphrases; `mean` is GLUE's score (MRPC, QQP).

    Raises:
        UserError: a label is in neither POSITIVE nor NEGATIVE.
    """
    from sklearn.metrics import f1_score

    scores = accuracy(predictions, targets)
    positive = [[_is_positive(label) for label in labels] for labels in (targets, predictions)]
    f1 = 100.0 * float(f1_score(*positive, zero_division=0.0))
    return scores | {"f1": f1, "mean": (scores["accuracy"] + f1) / 2}


def _is_positive(label) -> bool:
    if str(label) not in POSITIVE + NEGATIVE:
        raise UserError(f"label: found {label!r}; a paraphrase label is one of {POSITIVE + NEGATIVE}")
    return str(label) in POSITIVE


def matthews(predictions: Sequence, targets: Sequence, *, language: str | None = None) -> dict[str, float]:
    """{"matthews", "accuracy"}: Matthews correlation (CoLA); 0 when either side holds one class only."""
    from sklearn.metrics import matthews_corrcoef

    scores = accuracy(predictions, targets)
    value = matthews_corrcoef([str(t) for t in targets], [str(p) for p in predictions])
    return {"matthews": 100.0 * float(value)} | scores


def pearson_spearman(predictions: Sequence, targets: Sequence, *, language: str | None = None) -> dict[str, float]:
    """{"pearson", "spearman", "mean"} of numbers (STS-B); `mean` is GLUE's score.

    A constant side has no correlation (0/0); it counts as 0, so that a collapsed model is ranked last and not
    lost.

    Raises:
        UserError: a value is not a finite number.
    """
    from scipy import stats

    check_aligned(predictions, targets)
    x, y = _numbers(predictions, "predictions"), _numbers(targets, "targets")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        pearson = spearman = 0.0
    else:
        pearson, spearman = (100.0 * float(f(x, y).statistic) for f in (stats.pearsonr, stats.spearmanr))
    return {"pearson": pearson, "spearman": spearman, "mean": (pearson + spearman) / 2}


def _numbers(values: Sequence, field: str) -> np.ndarray:
    """float64[examples]"""
    for i, value in enumerate(values):
        try:
            finite = math.isfinite(float(value))
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise UserError(f"{field}: example {i} is {value!r}; a finite number is needed")
    return np.asarray([float(value) for value in values])
