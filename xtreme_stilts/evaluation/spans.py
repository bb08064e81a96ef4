"""From start and end logits of overlapping windows to one answer text per question.

Terms. A long context is cut into overlapping *windows*, each tokenised as `<s> question </s></s> context
piece </s>`. A token is *inside* when it belongs to the context. A token that occurs in several windows may
begin an answer only in the one where it has most context around it (`max_context`). The *null score* of a
window is start[0] + end[0], what the model gives "no answer here" (<s>, window index 0).

Selection (the procedure of the BERT and XTREME SQuAD code): in each window the 20 tokens of highest start
logit are paired with the 20 of highest end logit; a pair is dropped if either token is outside the context,
the start is not the token's max-context occurrence, the end precedes the start, or it holds more than 30
tokens. Pairs of all windows of a question are ranked by start + end logit; equal scores keep the order
window, start rank, end rank. Pairs with the same final text count once, the best. Padding never takes a place
among the 20 (in the reference it can).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xtreme_stilts.errors import UserError

TextRule = Callable[[str, int, int], str]

# Zero-width space, joiners, direction marks, byte order mark: what XLM-R's normalisation deletes.
_ZERO_WIDTH = re.compile("[\u200b-\u200f\ufeff]*")

_BLOCK = 2048  # windows handled at once: 2048 x 20 x 20 scores are a few MB


class Span(NamedTuple):
    """A candidate answer, its score (start + end logit), and its code points [start, end) in the context."""

    text: str
    score: float
    start: int
    end: int


@dataclass(frozen=True)
class Prediction:
    """The answer to one question.

    Attributes:
        text: the answer; "" means the question has none (SQuAD 2.0); a fixed word where there was no
            candidate at all.
        score: start + end logit of the best span; -inf without candidates.
        null_odds: null score (the lowest of all windows) minus `score`; +inf without candidates.
        spans: the best candidates with different texts, best first.
    """

    text: str
    score: float
    null_odds: float
    spans: tuple[Span, ...] = ()

    @property
    def best_text(self) -> str:
        """The best non-empty candidate, whatever the null odds; "" without candidates."""
        return self.spans[0].text if self.spans else ""


@dataclass(frozen=True)
class SpanWindows:
    """Columns of W windows holding T tokens in all, window after window (as the cache stores ragged columns).

    Attributes:
        example: int[W], the question's number (its place in `contexts`). Windows of one question stand in
            context order; otherwise any order.
        offsets: int[W + 1]; window w owns tokens offsets[w]:offsets[w + 1], the first being <s>.
        start_logits, end_logits: float[T].
        char_start, char_end: int[T], code points [char_start, char_end) of the context; -1 outside the
            context.
        max_context: bool[T].
    """

    example: np.ndarray
    offsets: np.ndarray
    start_logits: np.ndarray
    end_logits: np.ndarray
    char_start: np.ndarray
    char_end: np.ndarray
    max_context: np.ndarray

    @classmethod
    def from_rows(cls, *, example: Sequence[int], **columns: Sequence[np.ndarray]) -> SpanWindows:
        """From one array per window for each of the token columns (same names as the attributes)."""
        lengths = [len(row) for row in columns["start_logits"]]
        flat = {name: np.concatenate(rows) for name, rows in columns.items()}
        return cls(example=np.asarray(example), offsets=np.concatenate([[0], np.cumsum(lengths)]), **flat)

    def take(self, windows: np.ndarray) -> SpanWindows:
        """The windows with these numbers, in this order."""
        lengths = np.diff(self.offsets)[windows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        tokens = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][windows] - offsets[:-1], lengths)
        names = ("start_logits", "end_logits", "char_start", "char_end", "max_context")
        return SpanWindows(self.example[windows], offsets, **{name: getattr(self, name)[tokens] for name in names})


def exact_slice(context: str, start: int, end: int) -> str:
    """context[start:end] without white space at its ends: the default rule from code points to final text.

    The reference joins the predicted tokens into a text, aligns that with the words they came from to recover
    the original spelling, answers with the whole words when the alignment fails, and skips all of this for
    Chinese, where the "word" is a whole sentence. Code point offsets give what the alignment looks for,
    without its failures: the original characters of exactly the predicted tokens, in every language. Zero-width
    characters belong to no token (SentencePiece drops them) and go with the token before them: so do answers in
    MLQA and TyDiQA that end in one, which metrics do not ignore.
    """
    return context[start:end].strip() and context[start : _ZERO_WIDTH.match(context, end).end()].strip()


def best_spans(
    windows: SpanWindows,
    contexts: Sequence[str],
    *,
    n_best: int = 20,
    max_answer_tokens: int = 30,
    null_threshold: float | None = None,
    no_candidate: str = "empty",
    text_rule: TextRule = exact_slice,
    keep: int = 20,
) -> list[Prediction]:
    """The answer to every question, in the order of `contexts`.

    Args:
        windows: at least one for every question.
        contexts: the context text of each question.
        n_best: start and end tokens considered per window.
        max_answer_tokens: the longest span, in tokens.
        null_threshold: answer "" if the null odds exceed it (SQuAD 2.0: 0.0). None: every question has an
            answer (SQuAD 1.1), and without candidates the text is `no_candidate`.
        text_rule: (context, start, end) -> final text; a candidate whose text is empty is passed over.
        keep: how many different texts a prediction keeps in `spans`; at least 1.

    Raises:
        UserError: a logit is not finite, or a question has no window.
    """
    _check(windows, len(contexts))
    predictions = []
    for block in _blocks(windows):
        found = _candidates(block, n_best=n_best, max_answer_tokens=max_answer_tokens)
        for example, null, rows in found.per_example():
            spans = _distinct(contexts[example], found, rows, text_rule=text_rule, keep=keep)
            score = spans[0].score if spans else -np.inf
            odds = null - score
            if null_threshold is None:
                text = spans[0].text if spans else no_candidate
            else:
                text = "" if not spans or odds > null_threshold else spans[0].text
            predictions.append(Prediction(text, score, odds, spans))
    return predictions


@dataclass(frozen=True)
class _Candidates:
    """Valid (start, end) pairs of some questions, by question, then best first: one array entry per pair."""

    example: np.ndarray
    score: np.ndarray
    char_start: np.ndarray
    char_end: np.ndarray
    questions: np.ndarray  # int[questions]: all questions of the block, also those without a pair
    null: np.ndarray  # float64[questions]

    def per_example(self) -> Iterator[tuple[int, float, range]]:
        """(question, its null score, its rows)"""
        first = np.searchsorted(self.example, self.questions, "left")
        last = np.searchsorted(self.example, self.questions, "right")
        for question, null, a, b in zip(
            self.questions.tolist(), self.null.tolist(), first.tolist(), last.tolist(), strict=True
        ):
            yield question, null, range(a, b)


def _candidates(windows: SpanWindows, *, n_best: int, max_answer_tokens: int) -> _Candidates:
    lengths = np.diff(windows.offsets)
    real = np.arange(lengths.max()) < lengths[:, None]  # [windows, longest]
    start, start_logit = _top(windows.start_logits, real, n_best)  # [windows, n]
    end, end_logit = _top(windows.end_logits, real, n_best)
    inside = windows.char_start >= 0
    base = windows.offsets[:-1, None]
    may_start = np.isfinite(start_logit) & (inside & windows.max_context)[base + start]
    may_end = np.isfinite(end_logit) & inside[base + end]
    extra = end[:, None, :] - start[:, :, None]  # tokens after the first: [windows, n starts, n ends]
    valid = may_start[:, :, None] & may_end[:, None, :] & (extra >= 0) & (extra < max_answer_tokens)
    window, i, j = np.nonzero(valid)  # in the order window, start rank, end rank
    score = start_logit[window, i] + end_logit[window, j]
    example = windows.example[window]
    order = np.lexsort((-score, example))  # stable
    questions, first = np.unique(windows.example, return_index=True)
    cls = windows.offsets[:-1]
    null = windows.start_logits[cls].astype(np.float64) + windows.end_logits[cls]
    return _Candidates(
        example=example[order],
        score=score[order],
        char_start=windows.char_start[cls[window] + start[window, i]][order],
        char_end=windows.char_end[cls[window] + end[window, j]][order],
        questions=questions,
        null=np.minimum.reduceat(null, first),
    )


class _Top(NamedTuple):
    token: np.ndarray  # int[windows, n], place in the window
    logit: np.ndarray  # float64[windows, n], -inf where the window has fewer than n tokens


def _top(logits: np.ndarray, real: np.ndarray, n: int) -> _Top:
    """The n highest logits of each window, best first; of equal ones the first token.

    Args:
        logits: float[T]. real: bool[windows, longest], true for the T tokens.
    """
    padded = np.full(real.shape, -np.inf)
    padded[real] = logits
    token = np.argsort(-padded, axis=1, kind="stable")[:, :n]
    logit = np.take_along_axis(padded, token, axis=1)
    return _Top(np.where(np.isfinite(logit), token, 0), logit)


def _distinct(context: str, found: _Candidates, rows: range, *, text_rule: TextRule, keep: int) -> tuple[Span, ...]:
    """The first `keep` candidates with different, non-empty texts."""
    spans: dict[str, Span] = {}
    for row in rows:
        start, end = int(found.char_start[row]), int(found.char_end[row])
        text = text_rule(context, start, end)
        if text and text not in spans:
            spans[text] = Span(text, float(found.score[row]), start, end)
            if len(spans) == keep:
                break
    return tuple(spans.values())


def _check(windows: SpanWindows, questions: int) -> None:
    finite = np.isfinite(windows.start_logits) & np.isfinite(windows.end_logits)
    if not finite.all():
        window = int(np.searchsorted(windows.offsets, np.argmin(finite), "right")) - 1
        raise UserError(
            f"logits: question {int(windows.example[window])} has one that is not finite; the model's output is broken"
        )
    present = np.unique(windows.example)
    if not np.array_equal(present, np.arange(questions)):
        missing = sorted(set(range(questions)) ^ set(present.tolist()))
        raise UserError(f"windows: question {missing[0]} has no window or no context; every question needs both")


def _blocks(windows: SpanWindows) -> Iterator[SpanWindows]:
    """Whole questions, in order, about _BLOCK windows at a time."""
    order = np.argsort(windows.example, kind="stable")
    question = windows.example[order]
    first = 0
    while first < len(order):
        last = np.searchsorted(question, question[min(first + _BLOCK, len(order)) - 1], "right")
        yield windows.take(order[first:last])
        first = last
