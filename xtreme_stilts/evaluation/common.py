"""What metrics share: the check that predictions and targets are aligned, and the F1 of two sets.

All metrics of this package return percent (a perfect score is 100.0), as XTREME prints them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet

from xtreme_stilts.errors import UserError


def check_aligned(predictions: Sequence, targets: Sequence) -> None:
    """Raises UserError unless there is one prediction per target and at least one of them.

    A score over nothing is an error, not nan: a nan would pass silently through means and tables.
    """
    if len(predictions) != len(targets):
        raise UserError(
            f"predictions: found {len(predictions)} for {len(targets)} targets; "
            "there must be one per target, in the same order"
        )
    if not len(targets):
        raise UserError("targets: found no examples; a score needs at least one")


def precision_recall_f1(predicted: AbstractSet[Hashable], gold: AbstractSet[Hashable]) -> dict[str, float]:
    """Scores of a predicted set against a gold set, in percent; 0 where a denominator is 0."""
    correct = len(predicted & gold)
    precision = correct / len(predicted) if predicted else 0.0
    recall = correct / len(gold) if gold else 0.0
    f1 = 2 * correct / (len(predicted) + len(gold)) if correct else 0.0
    return {"f1": 100.0 * f1, "precision": 100.0 * precision, "recall": 100.0 * recall}
