"""Mining parallel sentences by margin (BUCC 2018), and the threshold that turns candidates into pairs.

The *margin* of a pair is its cosine divided by the mean of two averages: the source sentence's cosine with
its k nearest target sentences, and the target sentence's with its k nearest source sentences ("ratio" margin,
k = 4; Artetxe and Schwenk 2019, as in LASER and XTREME). Candidates are the best target of every source and
the best source of every target; they are taken greedily by descending margin, each sentence once. The
threshold on the margin is fitted on dev and applied unchanged to test.

Sentences with the same text are mined as one. Its pairs then stand for several ids, in one of two ways
(DUPLICATES): "jiant" expands a pair to all combinations of ids; "xtreme" drops every pair with a repeated
text, as XTREME's script does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation.retrieval import nearest, normalize

NEIGHBOURS = 4  # k; LASER, XTREME and jiant
DUPLICATES = ("jiant", "xtreme")


@dataclass(frozen=True)
class Corpus:
    """One side of a comparable corpus: aligned ids and texts, and embeddings float[sentences, width]."""

    ids: Sequence[str]
    texts: Sequence[str]
    embeddings: np.ndarray

    def __post_init__(self):
        if not len(self.ids) == len(self.texts) == len(self.embeddings):
            raise UserError(
                f"corpus: found {len(self.ids)} ids, {len(self.texts)} texts and {len(self.embeddings)} "
                "embeddings; there must be one of each per sentence"
            )
        if not len(self.ids):
            raise UserError("corpus: found no sentences; mining needs at least one on either side")


class Pair(NamedTuple):
    source: str  # id
    target: str  # id


@dataclass(frozen=True)
class MinedPairs:
    """Candidate pairs by descending margin; scores float64[pairs]."""

    pairs: tuple[Pair, ...]
    scores: np.ndarray

    def at_least(self, threshold: float) -> list[Pair]:
        """The pairs whose margin is not below the threshold."""
        return list(self.pairs[: int(np.count_nonzero(self.scores >= threshold))])


class Threshold(NamedTuple):
    value: float  # keep pairs with at least this margin
    f1: float  # percent, on the pairs it was fitted to


class Links(NamedTuple):
    """One-to-one links between rows of two matrices, by descending score."""

    source: np.ndarray  # int[links]
    target: np.ndarray  # int[links]
    score: np.ndarray  # float64[links]


def margin_links(
    source: np.ndarray, target: np.ndarray, *, neighbours: int = NEIGHBOURS, mesh: Mesh | None = None
) -> Links:
    """Greedy one-to-one links by ratio margin; of equal margins the earlier candidate, sources first.

    A link whose margin is not positive takes its two sentences but is not returned. A side with fewer
    sentences than `neighbours` averages over those it has.

    Args:
        source: float[m, width]. target: float[n, width]; any length, they are normalised here.
        mesh: the devices that share the search; None = one device.
    """
    x, y = normalize(source), normalize(target)
    forward, backward = nearest(x, y, k=neighbours, mesh=mesh), nearest(y, x, k=neighbours, mesh=mesh)
    x_mean, y_mean = (side.score.mean(axis=1, dtype=np.float64) for side in (forward, backward))
    x_score = _ratio(forward.score, (x_mean[:, None] + y_mean[forward.index]) / 2)  # [m, k]
    y_score = _ratio(backward.score, (y_mean[:, None] + x_mean[backward.index]) / 2)  # [n, k]
    x_best, y_best = x_score.argmax(axis=1), y_score.argmax(axis=1)
    x_rows, y_rows = np.arange(len(x)), np.arange(len(y))
    candidates = Links(
        source=np.concatenate([x_rows, backward.index[y_rows, y_best]]),
        target=np.concatenate([forward.index[x_rows, x_best], y_rows]),
        score=np.concatenate([x_score[x_rows, x_best], y_score[y_rows, y_best]]),
    )
    return _one_to_one(candidates)


def _ratio(cosine: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """cosine / mean, 0 where the mean is 0 (an all-zero embedding)."""
    return np.divide(cosine, mean, out=np.zeros(cosine.shape, np.float64), where=mean != 0)


def _one_to_one(candidates: Links) -> Links:
    order = np.argsort(-candidates.score, kind="stable")
    used_source, used_target, kept = set(), set(), []
    for i, x, y in zip(
        order.tolist(), candidates.source[order].tolist(), candidates.target[order].tolist(), strict=True
    ):
        if x not in used_source and y not in used_target:
            used_source.add(x)
            used_target.add(y)
            if candidates.score[i] > 0:
                kept.append(i)
    return Links(*(column[kept] for column in candidates))


def mine_pairs(
    source: Corpus,
    target: Corpus,
    *,
    neighbours: int = NEIGHBOURS,
    duplicates: str = "jiant",
    mesh: Mesh | None = None,
) -> MinedPairs:
    """Candidate pairs of ids by descending margin; those of one link follow in order of source, then target.

    Args:
        source: the other language's side. target: the English side.
        duplicates: one of DUPLICATES; what becomes of sentences with the same text (white space at the ends
            aside).
        mesh: the devices that share the search; None = one device.

    Raises:
        UserError: an unknown `duplicates`, or embeddings that do not fit.
    """
    if duplicates not in DUPLICATES:
        raise UserError(f"duplicates: found {duplicates!r}; {did_you_mean(duplicates, DUPLICATES)}")
    sources, targets = _rows_by_text(source), _rows_by_text(target)
    links = margin_links(
        source.embeddings[[rows[0] for rows in sources]],
        target.embeddings[[rows[0] for rows in targets]],
        neighbours=neighbours,
        mesh=mesh,
    )
    pairs, scores = [], []
    for x, y, score in zip(*(column.tolist() for column in links), strict=True):
        if duplicates == "xtreme" and len(sources[x]) * len(targets[y]) > 1:
            continue
        for i, j in itertools.product(sources[x], targets[y]):
            pairs.append(Pair(source.ids[i], target.ids[j]))
            scores.append(score)
    return MinedPairs(tuple(pairs), np.asarray(scores, np.float64))


def _rows_by_text(corpus: Corpus) -> list[list[int]]:
    """The rows that share each text, in order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(corpus.texts):
        rows.setdefault(text.strip(), []).append(row)
    return list(rows.values())


def fit_threshold(mined: MinedPairs, gold: Iterable[tuple[str, str]]) -> Threshold:
    """The margin that maximises F1 against the gold pairs; of equal F1 the highest margin.

    Midway between the last pair kept and the first left out; the last pair's own margin if all are kept. Cuts
    inside a run of equal margins are not considered: a threshold cannot make them (XTREME's script considers
    them, and then extracts the whole run). If no mined pair is right the threshold is 0, which keeps all.

    Raises:
        UserError: there are no gold pairs.
    """
    wanted = {tuple(pair) for pair in gold}
    if not wanted:
        raise UserError("gold: found no pairs; fitting the mining threshold needs at least one")
    correct = np.cumsum([pair in wanted for pair in mined.pairs])
    if not len(correct) or not correct[-1]:
        return Threshold(0.0, 0.0)
    scores = mined.scores
    f1 = 2 * correct / (np.arange(1, len(scores) + 1) + len(wanted))
    separable = np.append(scores[1:] < scores[:-1], True)
    last = int(np.argmax(np.where(separable, f1, -1.0)))
    value = float(scores[last])
    if last + 1 < len(scores):
        middle = (value + float(scores[last + 1])) / 2
        value = middle if middle > scores[last + 1] else value  # neighbouring floats have no middle
    return Threshold(value, 100.0 * float(f1[last]))
