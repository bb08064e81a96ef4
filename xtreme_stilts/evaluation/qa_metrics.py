"""Exact match and token F1 of answer texts: SQuAD 1.1 (XQuAD, TyDiQA), SQuAD 2.0 and MLQA.

`predictions`: one per question, aligned with `targets`: a text, a `spans.Prediction`, or None for a question
that was not answered (scores 0). `targets`: for each question the list of accepted answers, [] where SQuAD
2.0 has no answer. The score of a question is the best over its accepted answers; a result is the mean over
questions, in percent.

Sources: the evaluation scripts released with SQuAD 1.1, SQuAD 2.0 and MLQA (mlqa_evaluation_v1).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation.common import check_aligned
from xtreme_stilts.evaluation.spans import Prediction

Answer = str | Prediction | None

_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ENGLISH_ARTICLES = re.compile(r"\b(a|an|the)\b")
# A pattern of None: the language has no articles to delete. Arabic is MLQA's own pattern, as released: "^"
# after "\s" can never match, so what it deletes is every "ال", also inside a word.
_MLQA_ARTICLES = {
    "en": _ENGLISH_ARTICLES,
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(của|là|cái|chiếc|những)\b"),
    "de": re.compile(r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "ar": re.compile(r"\sال^|ال"),
    "hi": None,
    "zh": None,
}
_HAN = re.compile(r"([\u4e00-\u9fa5])")


class ExactF1(NamedTuple):
    """Scores of one question, or sums over several: each 0..1 per question."""

    exact: float
    f1: float


def squad_tokens(text: str) -> list[str]:
    """Lower case; ASCII punctuation and the words a, an, the deleted; split on white space."""
    return _ENGLISH_ARTICLES.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split()


def mlqa_tokens(text: str, language: str) -> list[str]:
    """As squad_tokens, with all Unicode punctuation and articles by language; zh: a Han character is a token.

    Raises:
        UserError: `language` is not one of MLQA's seven.
    """
    if language not in _MLQA_ARTICLES:
        raise UserError(f"language: MLQA has no rules for {language!r}; {did_you_mean(str(language), _MLQA_ARTICLES)}")
    text = "".join(c for c in text.lower() if c not in string.punctuation and unicodedata.category(c)[0] != "P")
    if (articles := _MLQA_ARTICLES[language]) is not None:
        text = articles.sub(" ", text)
    return (_HAN.sub(r" \1 ", text) if language == "zh" else text).split()


def squad_v1(
    predictions: Sequence[Answer], targets: Sequence[Sequence[str]], *, language: str | None = None
) -> dict[str, float]:
    """{"exact_match", "f1"} by the rules of SQuAD 1.1, in any language (XQuAD, TyDiQA).

    Raises:
        UserError: lists not aligned, or a question without an accepted answer.
    """
    return _mean_scores(predictions, targets, squad_tokens)


def mlqa(predictions: Sequence[Answer], targets: Sequence[Sequence[str]], *, language: str | None) -> dict[str, float]:
    """{"exact_match", "f1"} by the rules of MLQA for the language of the answers.

    Args:
        language: of context and question, or `<context>_<question>` where they differ; answers are in the context's.

    Raises:
        UserError: as squad_v1, or the language is not one of MLQA's seven.
    """
    of_answers = str(language).partition("_")[0]
    return _mean_scores(predictions, targets, lambda text: mlqa_tokens(text, of_answers))


def squad_v2(
    predictions: Sequence[Answer], targets: Sequence[Sequence[str]], *, language: str | None = None
) -> dict[str, float]:
    """Scores of SQuAD 2.0: as given, and at the best threshold on the null odds.

    A question has no answer if its targets are empty (or nothing but articles and punctuation); then "" alone
    is right.

    Args:
        predictions: texts ("" = no answer), or `spans.Prediction`s, which carry null odds and the best
            non-empty text.

    Returns:
        exact_match and f1 of the texts as given; best_exact_match and best_f1, the most that a threshold on
        the null odds could give (what jiant selects by), with best_exact_match_threshold and
        best_f1_threshold, in logits, not percent. For plain texts, without odds, best_* equal the scores as
        given and there is no threshold.

    Raises:
        UserError: lists not aligned, or predictions with and without null odds are mixed.
    """
    check_aligned(predictions, targets)
    golds = [[tokens for tokens in map(squad_tokens, answers) if tokens] for answers in targets]
    given = [_score_v2(_text(p), gold) for p, gold in zip(predictions, golds, strict=True)]
    scores = _percent(given)
    with_odds = [isinstance(p, Prediction) for p in predictions]
    if not any(with_odds):
        return scores | {f"best_{name}": value for name, value in scores.items()}
    if not all(with_odds):
        raise UserError("predictions: some carry null odds and some do not; give all as Prediction or all as text")
    spans = [_score_v2(p.best_text, gold) for p, gold in zip(predictions, golds, strict=True)]
    answerable = np.asarray([bool(gold) for gold in golds])
    odds = np.asarray([p.null_odds for p in predictions], np.float64)
    for name, column in zip(("exact_match", "f1"), np.asarray(spans).T, strict=True):
        best = best_null_threshold(column, answerable, odds)
        scores |= {f"best_{name}": best.score, f"best_{name}_threshold": best.threshold}
    return scores


class NullThreshold(NamedTuple):
    """Answer "" where null odds exceed `threshold` (logits); `score` is the mean score then, in percent."""

    threshold: float
    score: float


def best_null_threshold(span_scores: np.ndarray, answerable: np.ndarray, null_odds: np.ndarray) -> NullThreshold:
    """The threshold on the null odds with the highest mean score (SQuAD 2.0 script, best_exact and best_f1).

    A question whose odds exceed the threshold is answered "", right if it is unanswerable. Only thresholds
    that separate different odds are considered (equal odds cannot be told apart). Where "" for all is best,
    it lies just below the lowest odds.

    Args:
        span_scores: float[questions], 0..1, the score of each question's best non-empty text (0 if
            unanswerable).
        answerable: bool[questions]. null_odds: float[questions], +inf where there is no non-empty text.
    """
    order = np.argsort(null_odds, kind="stable")
    odds = null_odds[order]
    # As the threshold rises past a question's odds, its answer changes from "" to its span.
    change = np.where(answerable, span_scores, -1.0)[order]
    totals = np.concatenate([[0.0], np.cumsum(change)]) + np.count_nonzero(~answerable)
    cut = np.concatenate([[True], odds[1:] != odds[:-1], [True]])
    best = int(np.argmax(np.where(cut, totals, -np.inf)))
    threshold = odds[best - 1] if best else np.nextafter(odds[0], -np.inf)
    return NullThreshold(float(threshold), 100.0 * float(totals[best]) / len(odds))


def _text(prediction: Answer) -> str | None:
    return prediction.text if isinstance(prediction, Prediction) else prediction


def _mean_scores(
    predictions: Sequence[Answer], targets: Sequence[Sequence[str]], tokens: Callable[[str], list[str]]
) -> dict[str, float]:
    check_aligned(predictions, targets)
    scores = []
    for i, (prediction, answers) in enumerate(zip(predictions, targets, strict=True)):
        if not len(answers):
            raise UserError(f"targets: question {i} has no accepted answer; this metric needs one (squad_v2 does not)")
        scores.append(_score(_text(prediction), [tokens(answer) for answer in answers], tokens))
    return _percent(scores)


def _score(prediction: str | None, golds: Sequence[list[str]], tokens: Callable[[str], list[str]]) -> ExactF1:
    """The best exact match and the best F1 of one text over the accepted answers, given as tokens.

    No common token is F1 0, even if both sides are empty, as in the SQuAD 1.1 and MLQA scripts.
    """
    if prediction is None:
        return ExactF1(0.0, 0.0)
    predicted = tokens(prediction)
    return ExactF1(float(any(predicted == gold for gold in golds)), max(_token_f1(predicted, gold) for gold in golds))


def _score_v2(prediction: str | None, golds: Sequence[list[str]]) -> ExactF1:
    """As _score; without accepted answers, a text of no tokens is right and all else wrong."""
    if golds or prediction is None:
        return _score(prediction, golds, squad_tokens)
    right = float(not squad_tokens(prediction))
    return ExactF1(right, right)


def _token_f1(predicted: list[str], gold: list[str]) -> float:
    same = sum((Counter(predicted) & Counter(gold)).values())
    return 2 * same / (len(predicted) + len(gold)) if same else 0.0


def _percent(scores: Sequence[ExactF1]) -> dict[str, float]:
    exact, f1 = (100.0 * sum(column) / len(scores) for column in zip(*scores, strict=True))
    return {"exact_match": exact, "f1": f1}
