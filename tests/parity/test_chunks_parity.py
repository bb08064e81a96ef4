"""Chunk F1 against definitions that share no code or shape with it.

- Any tags: a span is a chunk if and only if boundaries say so, decided for every span (O(n^2)), without state.
- Part-of-speech tags: runs of equal tags, except that SYM and SCONJ are always single (their first letter S reads
  as the "single" prefix in seqeval 0.0.12, the version of XTREME's numbers).
- BIO tags: the textbook reading, which that rule agrees with, also where an entity begins with I-.
"""

from __future__ import annotations

import itertools
import random

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.evaluation.chunks import Chunk, chunk_f1, find_chunks

UPOS = tasks.family("udpos").labels
PANX = tasks.family("panx").labels
IOBES = ("O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("PER", "X-LOC", "S")), "E", "S", "B", ".")


def sentences_of(tags, *, seed: int, count: int) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.choices(tags, k=rng.randint(1, 9)) for _ in range(count)]


def noisy(sentences, tags, *, seed: int) -> list[list[str]]:
    """A prediction: three tags in ten drawn anew."""
    rng = random.Random(seed)
    return [[rng.choice(tags) if rng.random() < 0.3 else tag for tag in sentence] for sentence in sentences]


def kind(tag: str) -> str:
    return tag.split("-")[-1]


def ends_before(before: str, after: str) -> bool:
    """Whether a chunk ends between two tags: always after E and S; before O, B and S; where the type changes."""
    p, q = before[0], after[0]
    if p in {"E", "S"} or (p in {"B", "I"} and q in {"B", "S", "O"}):
        return True
    return p not in {"O", "."} and kind(before) != kind(after)


def starts_at(before: str, after: str) -> bool:
    """Whether a chunk starts at the second tag: at B and S; at E and I after a closed one; where the type changes."""
    p, q = before[0], after[0]
    if q in {"B", "S"} or (p in {"E", "S", "O"} and q in {"E", "I"}):
        return True
    return q not in {"O", "."} and kind(before) != kind(after)


def spans_by_definition(sentence: list[str]) -> set[tuple[str, int, int]]:
    """(type, first, last) of each span that ends at an end and begins at the last start up to there."""
    tags = ["O", *sentence, "O"]  # tags[i + 1] is word i
    starts = [i for i in range(len(sentence)) if starts_at(tags[i], tags[i + 1])]
    found = set()
    for first, last in itertools.combinations_with_replacement(range(len(sentence)), 2):
        is_end = ends_before(tags[last + 1], tags[last + 2])
        if is_end and first in starts and not any(first < start <= last for start in starts):
            found.add((kind(sentence[last]), first, last))
    return found


def runs_of_equal_tags(sentence: list[str]) -> set[tuple[str, int, int]]:
    found, at = set(), 0
    for tag, group in itertools.groupby(sentence):
        size = len(list(group))
        if tag in {"SYM", "SCONJ"}:
            found |= {(tag, i, i) for i in range(at, at + size)}
        else:
            found.add((tag, at, at + size - 1))
        at += size
    return found


def textbook_entities(sentence: list[str]) -> set[tuple[str, int, int]]:
    """B- begins an entity, I- of the same type continues it, and begins one where there is none to continue."""
    entities: list[list] = []
    for i, tag in enumerate(sentence):
        if tag == "O":
            continue
        prefix, name = tag.split("-")
        if prefix == "I" and entities and entities[-1][0] == name and entities[-1][2] == i - 1:
            entities[-1][2] = i
        else:
            entities.append([name, i, i])
    return {tuple(entity) for entity in entities}


def shifted(sentences, rule) -> set[Chunk]:
    """The chunks of all sentences with words counted on, one separator after each sentence."""
    found, at = set(), 0
    for sentence in sentences:
        found |= {Chunk(name, at + first, at + last) for name, first, last in rule(sentence)}
        at += len(sentence) + 1
    return found


CASES = [
    pytest.param(UPOS, spans_by_definition, id="upos-spans"),
    pytest.param(UPOS, runs_of_equal_tags, id="upos-runs"),
    pytest.param(PANX, spans_by_definition, id="panx-spans"),
    pytest.param(PANX, textbook_entities, id="panx-textbook"),
]


@pytest.mark.parametrize(("tags", "rule"), CASES)
def test_chunks_of_random_sentences(tags, rule):
    for seed in range(40):
        sentences = sentences_of(tags, seed=seed, count=50)
        assert find_chunks(sentences) == shifted(sentences, rule)


def test_chunks_of_all_prefixes_that_close_what_they_open():
    """Among arbitrary IOBES tags a type may end that never started; on those that pair up, spans are the rule."""
    compared = 0
    for sentence in sentences_of(IOBES, seed=1, count=4000):
        tags = ["O", *sentence, "O"]
        starts = sum(starts_at(a, b) for a, b in itertools.pairwise(tags))
        ends = sum(ends_before(a, b) for a, b in itertools.pairwise(tags))
        if starts == ends:
            compared += 1
            assert find_chunks([sentence]) == shifted([sentence], spans_by_definition)
    assert compared > 500


@pytest.mark.parametrize(("tags", "rule"), CASES)
def test_scores_of_random_predictions(tags, rule):
    for seed in range(20):
        gold = sentences_of(tags, seed=seed, count=60)
        predicted = noisy(gold, tags, seed=seed + 1)
        right = sum(len(rule(g) & rule(p)) for g, p in zip(gold, predicted, strict=True))
        wanted, found = (sum(len(rule(s)) for s in sentences) for sentences in (gold, predicted))
        words = [g == p for a, b in zip(gold, predicted, strict=True) for g, p in zip(a, b, strict=True)]
        scores = chunk_f1(predicted, gold)
        precision, recall = right / found, right / wanted
        assert scores["precision"] == pytest.approx(100 * precision)
        assert scores["recall"] == pytest.approx(100 * recall)
        assert scores["f1"] == pytest.approx(100 * 2 * precision * recall / (precision + recall))
        assert scores["accuracy"] == pytest.approx(100 * sum(words) / len(words))


def test_part_of_speech_f1_is_below_accuracy_by_hand():
    """One wrong word of eight breaks a run of three into three: 5 of 6 gold chunks are found, with 8 predicted."""
    gold = [["DET", "NOUN", "NOUN", "NOUN", "VERB"], ["PRON", "VERB", "PUNCT"]]
    predicted = [["DET", "NOUN", "ADJ", "NOUN", "VERB"], ["PRON", "VERB", "PUNCT"]]
    # gold: DET, NOUN x 3, VERB, PRON, VERB, PUNCT; predicted: DET, NOUN, ADJ, NOUN, VERB, PRON, VERB, PUNCT
    scores = chunk_f1(predicted, gold)
    assert scores["accuracy"] == pytest.approx(100 * 7 / 8)
    assert scores["precision"] == pytest.approx(100 * 5 / 8)
    assert scores["recall"] == pytest.approx(100 * 5 / 6)
    assert scores["f1"] == pytest.approx(100 * 10 / 14)


def test_entities_by_hand():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "B-ORG", "I-ORG"]]
    predicted = [["B-PER", "I-PER", "O", "I-LOC"], ["B-ORG", "I-ORG", "I-ORG"]]
    # right: PER 0-1, LOC 3 (I- begins it); wrong: ORG 0-2 for ORG 0 and ORG 1-2
    assert chunk_f1(predicted, gold) == {
        "precision": pytest.approx(100 * 2 / 3),
        "recall": pytest.approx(100 * 2 / 4),
        "f1": pytest.approx(100 * 4 / 7),
        "accuracy": pytest.approx(100 * 5 / 7),
    }
