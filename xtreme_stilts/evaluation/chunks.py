"""Scores of one tag per word: chunk F1 (PANX, UDPOS) and token accuracy (CCG).

A tag's *prefix* is its first character and its *type* the part after its last "-" (the whole tag if it has
none). A *chunk* is (type, first word, last word) found by the CoNLL-2000 rules (B, I, E, S, O prefixes; a
change of type begins a new chunk) as seqeval 0.0.12 applies them, which is the version behind XTREME's
published numbers. Consequences for part-of-speech tags, which have no prefix of their own: neighbouring words
with the same tag merge into one chunk, except where the tag happens to begin with "S" (SYM, SCONJ: always
single); a run counts only if both its ends are right. Later versions of seqeval drop such tags or score them
differently.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.common import check_aligned, precision_recall_f1


class Chunk(NamedTuple):
    """Words first..last (inclusive, counted over all sentences with one separator after each) of one type."""

    type: str
    first: int
    last: int


class _Boundary(NamedTuple):
    """What happens between two neighbouring words."""

    ends: bool  # a chunk ends with the first
    starts: bool  # a chunk starts with the second


@functools.lru_cache(maxsize=1 << 16)  # few tags, many words
def _boundary(previous: str, tag: str) -> _Boundary:
    """The CoNLL-2000 rules for two neighbouring tags."""
    before, after = previous[0], tag[0]
    changed = previous.rsplit("-", 1)[-1] != tag.rsplit("-", 1)[-1]
    return _Boundary(
        ends=before in "ES" or (before in "BI" and after in "BSO") or (before not in "O." and changed),
        starts=after in "BS" or (before in "ESO" and after in "EI") or (after not in "O." and changed),
    )


def find_chunks(sentences: Sequence[Sequence[str]]) -> set[Chunk]:
    """The chunks of all sentences; a chunk never crosses a sentence end."""
    chunks: set[Chunk] = set()
    previous, first, position = "O", 0, 0
    for sentence in sentences:
        for tag in (*sentence, "O"):
            boundary = _boundary(previous, tag)
            if boundary.ends:
                chunks.add(Chunk(previous.rsplit("-", 1)[-1], first, position - 1))
            if boundary.starts:
                first = position
            previous = tag
            position += 1
    return chunks


def token_accuracy(
    predictions: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], *, language: str | None = None
) -> dict[str, float]:
    """{"accuracy"}: the share of words, over all sentences, whose tag is right.

    Raises:
        UserError: a sentence with a different number of tags and words, an empty tag, or no word at all.
    """
    check_aligned(predictions, targets)
    correct = words = 0
    for i, (predicted, gold) in enumerate(zip(predictions, targets, strict=True)):
        if len(predicted) != len(gold):
            raise UserError(f"predictions: sentence {i} has {len(predicted)} tags for {len(gold)} words; give one each")
        if not (all(predicted) and all(gold)):
            raise UserError(f"tags: sentence {i} has an empty tag; a tag is a non-empty string")
        correct += sum(p == g for p, g in zip(predicted, gold, strict=True))
        words += len(gold)
    if not words:
        raise UserError("targets: found no words; a score needs at least one")
    return {"accuracy": 100.0 * correct / words}


def chunk_f1(
    predictions: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], *, language: str | None = None
) -> dict[str, float]:
    """{"f1", "precision", "recall", "accuracy"}: micro-averaged over chunks; the accuracy is over words.

    Raises:
        UserError: as token_accuracy.
    """
    accuracy = token_accuracy(predictions, targets)
    return precision_recall_f1(find_chunks(predictions), find_chunks(targets)) | accuracy
