"""Chunk rules by hand, and against the CoNLL-2000 rule table read off entry by entry."""

import itertools
import random
import string

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.chunks import Chunk, chunk_f1, find_chunks, token_accuracy

UPOS = [
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
]


@pytest.mark.parametrize(
    ("tags", "chunks"),
    [
        ("B-PER I-PER O B-LOC", [("PER", 0, 1), ("LOC", 3, 3)]),
        ("B-PER B-PER", [("PER", 0, 0), ("PER", 1, 1)]),
        ("I-PER I-PER O I-PER", [("PER", 0, 1), ("PER", 3, 3)]),  # IOB1: a run may begin with I
        ("B-PER I-LOC", [("PER", 0, 0), ("LOC", 1, 1)]),
        ("O O", []),
        ("S-PER S-PER", [("PER", 0, 0), ("PER", 1, 1)]),
        ("B-PER I-PER E-PER I-PER", [("PER", 0, 2), ("PER", 3, 3)]),
        ("B-PER-X I-ORG-X", [("X", 0, 1)]),  # the type is what follows the last hyphen
        ("NOUN NOUN VERB", [("NOUN", 0, 1), ("VERB", 2, 2)]),  # equal neighbours merge
        ("SYM SYM", [("SYM", 0, 0), ("SYM", 1, 1)]),  # "S" prefix: always single
        ("SCONJ SYM NOUN", [("SCONJ", 0, 0), ("SYM", 1, 1), ("NOUN", 2, 2)]),
        ("INTJ INTJ", [("INTJ", 0, 1)]),  # "I" prefix
        ("PUNCT SYM", [("PUNCT", 0, 0), ("SYM", 1, 1)]),
        ("INTJ SYM INTJ", [("INTJ", 0, 0), ("SYM", 1, 1), ("INTJ", 2, 2)]),
        ("X", [("X", 0, 0)]),
    ],
)
def test_chunks_by_hand(tags, chunks):
    assert find_chunks([tags.split()]) == {Chunk(*chunk) for chunk in chunks}


def test_a_chunk_ends_with_its_sentence():
    assert find_chunks([["NOUN"], ["NOUN", "NOUN"]]) == {Chunk("NOUN", 0, 0), Chunk("NOUN", 2, 3)}
    assert find_chunks([["B-PER"], ["I-PER"]]) == {Chunk("PER", 0, 0), Chunk("PER", 2, 2)}


# The published rule as a table of (prefix before, prefix after); a change of type is apart.
PREFIXES = string.ascii_uppercase + "."
ENDS = set(itertools.product("ES", PREFIXES)) | set(itertools.product("BI", "BSO"))
STARTS = set(itertools.product(PREFIXES, "BS")) | set(itertools.product("ESO", "EI"))


def table_chunks(sentences):
    flat = [tag for sentence in sentences for tag in [*sentence, "O"]] + ["O"]
    found, begin = [], 0
    before, before_type = "O", ""
    for i, tag in enumerate(flat):
        after, after_type = tag[0], tag.split("-")[-1]
        changed = before_type != after_type
        if (before, after) in ENDS or (before not in {"O", "."} and changed):
            found.append((before_type, begin, i - 1))
        if (before, after) in STARTS or (after not in {"O", "."} and changed):
            begin = i
        before, before_type = after, after_type
    return set(found)


@pytest.mark.parametrize(
    "tags",
    [
        UPOS,
        ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
        ["O", ".", "A", "A-x", *(f"{p}-{t}" for p in "BIES" for t in "xyO"), "E", "S"],
    ],
)
def test_random_tags_against_the_rule_table(tags):
    rng = random.Random(0)
    for _ in range(300):
        sentences = [rng.choices(tags, k=rng.randint(1, 8)) for _ in range(3)]
        assert find_chunks(sentences) == table_chunks(sentences)


def test_part_of_speech_f1_differs_from_accuracy_as_counted_by_hand():
    gold = [["DET", "NOUN", "NOUN", "VERB", "SYM", "SYM"]]  # DET | NOUN NOUN | VERB | SYM | SYM
    predicted = [["DET", "NOUN", "ADJ", "VERB", "SYM", "PUNCT"]]  # DET | NOUN | ADJ | VERB | SYM | PUNCT
    scores = chunk_f1(predicted, gold)
    assert scores["precision"] == pytest.approx(100 * 3 / 6)
    assert scores["recall"] == pytest.approx(100 * 3 / 5)
    assert scores["f1"] == pytest.approx(100 * 6 / 11)
    assert scores["accuracy"] == pytest.approx(100 * 4 / 6)


def test_all_outside_has_no_chunks_and_scores_zero():
    assert chunk_f1([["O", "O"]], [["O", "O"]]) == {"f1": 0, "precision": 0, "recall": 0, "accuracy": 100}


def test_token_accuracy_is_over_words_not_sentences():
    assert token_accuracy([["a", "b", "c"], ["a"]], [["a", "b", "x"], ["x"]]) == {"accuracy": 50.0}


@pytest.mark.parametrize("score", [chunk_f1, token_accuracy])
@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ([["O"], ["O"]], [["O"], ["O", "O"]], "sentence 1 has 1 tags for 2 words"),
        ([["O"], [""]], [["O"], ["O"]], "sentence 1 has an empty tag"),
        ([[]], [[]], "found no words"),
    ],
)
def test_bad_input(score, predicted, gold, message):
    with pytest.raises(UserError, match=message):
        score(predicted, gold)
