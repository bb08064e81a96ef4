"""Sentence retrieval: every sentence is one example with `inputs` [text].

A language has two tasks, its own sentences (`tatoeba.fi`, `bucc2018.de`) and the English ones
(`tatoeba.fi_en`, `bucc2018.de_en`). The gold pairs are in the first: `targets` of a sentence are the ids of
its English counterparts, [] where it has none (BUCC's distractors). `targets` of the English sentences are
empty.

- Tatoeba: up to 1,000 pairs, each sentence has one counterpart. XTREME takes the English sentence as the
  query and the language's own sentences as the database. The only split is `test`.
- BUCC 2018: `validation` is the release's sample set ("dev"), whose threshold is used for `test`, its
  training set, as in XTREME. TFDS's own `bucc` and others have only the gold pairs without the distractors,
  which cannot be scored as BUCC, so a builder of ours reads the release's files (`datasets/bucc2018.py`); its
  splits ending in `_en` are the English sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from xtreme_stilts.tasks.registry import ENGLISH_SIDE


class Pair(NamedTuple):
    """Ids of two sentences that translate each other."""

    source: str  # the language's own
    target: str  # the English one


def gold_pairs(examples: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """The gold pairs, from the examples (text schema, e.g. lines of the cache's `examples.jsonl`) of a
    language's own side."""
    return [Pair(str(example["id"]), str(target)) for example in examples for target in example["targets"]]


def _no_strings():
    import tensorflow as tf

    return tf.zeros([0], tf.string)


def tatoeba(row, language):
    """One side of a Tatoeba pair; a pair's number in the file is the id of both sentences.

    Args:
        row: `id`; `source_sentence` (the language's own), `target_sentence` (English), string[] that end in a
            newline.
        language: ends in `_en` for the English side.
    """
    import tensorflow as tf

    english = language.endswith(ENGLISH_SIDE)
    text = row["target_sentence" if english else "source_sentence"]
    return {
        "inputs": tf.strings.strip([text]),
        "targets": _no_strings() if english else row["id"][tf.newaxis],
    }


def sentence(row, language):
    """A sentence with the ids of its counterparts: `text` string[], `counterparts` string[n] (only read on
    the own side)."""
    english = language.endswith(ENGLISH_SIDE)
    return {"inputs": row["text"][None], "targets": _no_strings() if english else row["counterparts"]}
