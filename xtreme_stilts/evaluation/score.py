"""From a head's outputs to predictions people can read, and from these to scores.

One prediction per example of the split, in the split's order: a label string, a number, a choice's number, one
tag per word, an answer text. Targets are the text the task gave, never its tokenised form, so that what
tokenisation cuts cannot make a task easier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from xtreme_stilts.data.cache import Cache
from xtreme_stilts.data.features import Example
from xtreme_stilts.evaluation import metrics, spans
from xtreme_stilts.evaluation.predict import Outputs
from xtreme_stilts.tasks import Family


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """Predictions and scores of one split."""

    examples: list[Example]  # those with a target
    predictions: list[Any]
    targets: list[Any]
    scores: dict[str, float]  # percent


def score(family: Family, outputs: Outputs, *, cache: Cache, language: str, rows: int | None = None) -> Scored:
    """Predictions and scores of a cached split, or of the examples that its first `rows` rows hold whole.

    Args:
        family: decides the head kind, the labels and the metric.
        outputs: from `predict`, for the same rows.
        cache: the split.
        language: for metrics with rules by language.
    """
    number = cache.columns["example"][:rows]
    count = cache.num_examples if rows is None else int(number[-1]) + 1
    examples = [example for example, _ in zip(cache.examples(), range(count), strict=False)]
    predictions = _DECODERS[family.kind](family, outputs, cache, examples)
    labelled = [i for i, example in enumerate(examples) if example.targets or family.kind == "span"]
    targets = [_target(family, examples[i]) for i in labelled]
    predictions = [predictions[i] for i in labelled]
    plain = [p.text if isinstance(p, spans.Prediction) else p for p in predictions]
    scores = metrics.metric(family.metric)(
        predictions if family.metric == "squad_v2" else plain, targets, language=language
    )
    return Scored(examples=[examples[i] for i in labelled], predictions=plain, targets=targets, scores=scores)


def rows_of_examples(cache: Cache, *, examples: int) -> int | None:
    """How many rows hold the first `examples` examples; None for 0 = all."""
    if not examples or examples >= cache.num_examples:
        return None
    return int(np.searchsorted(cache.columns["example"], examples))


def _target(family: Family, example: Example) -> Any:
    if family.kind in ("tagging", "span"):
        return list(example.targets)
    return float(example.targets[0]) if family.kind == "regression" else example.targets[0]


def _classification(family: Family, outputs: Outputs, cache: Cache, examples: Sequence[Example]) -> list[str]:
    return [family.labels[int(np.argmax(logits))] for logits in outputs["logits"]]


def _regression(family: Family, outputs: Outputs, cache: Cache, examples: Sequence[Example]) -> list[float]:
    return [float(value) for value in outputs["value"]]


def _choice(family: Family, outputs: Outputs, cache: Cache, examples: Sequence[Example]) -> list[str]:
    return [str(int(np.argmax(logits))) for logits in outputs["logits"]]


def _tagging(family: Family, outputs: Outputs, cache: Cache, examples: Sequence[Example]) -> list[list[str]]:
    """One tag per word: from the word's first subword, in whichever piece of the sentence it lies."""
    tags: list[list[str]] = [[""] * len(example.inputs) for example in examples]
    for row, predicted in enumerate(outputs["tags"]):
        words = cache.columns["word"][cache.offsets[row] : cache.offsets[row + 1]]
        sentence = tags[cache.columns["example"][row]]
        for word, tag in zip(words[words >= 0], predicted[words >= 0], strict=True):
            sentence[word] = family.labels[tag]
    return tags


def _span(family: Family, outputs: Outputs, cache: Cache, examples: Sequence[Example]) -> list[spans.Prediction]:
    count = len(outputs["start_logits"])
    end = cache.offsets[count]
    windows = spans.SpanWindows(
        example=np.asarray(cache.columns["example"][:count]),
        offsets=np.asarray(cache.offsets[: count + 1]),
        start_logits=np.concatenate(outputs["start_logits"]),
        end_logits=np.concatenate(outputs["end_logits"]),
        **{name: np.asarray(cache.columns[name][:end]) for name in ("char_start", "char_end", "max_context")},
    )
    return spans.best_spans(
        windows,
        [example.inputs[1] for example in examples],
        null_threshold=0.0 if family.metric == "squad_v2" else None,
    )


_DECODERS = {
    "classification": _classification,
    "regression": _regression,
    "choice": _choice,
    "tagging": _tagging,
    "span": _span,
}
