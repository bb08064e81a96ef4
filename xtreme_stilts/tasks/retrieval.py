"""Sentence retrieval: every sentence is one example with `inputs` [text].

A language has two tasks, its own sentences (`tatoeba.fi`, `bucc2018.de`) and the English ones
(`tatoeba.fi_en`, `bucc2018.de_en`). The gold pairs are in the first: `targets` of a sentence are the ids of
its English counterparts, [] where it has none (BUCC's distractors). `targets` of the English sentences are
empty.

- Tatoeba: up to 1,000 pairs, each sentence has one counterpart. XTREME takes the English sentence as the
  query and the language's own sentences as the database. The only split is `test`.
- BUCC 2018: `validation` is the release's sample set ("dev"), whose threshold is used for `test`, its
  training set, as in XTREME. TFDS and others have only the gold pairs without the distractors, which cannot
  be scored as BUCC, so the release's files are read: `{lang}-en.{dev|test}.{lang|en}` with `id<TAB>sentence`
  and `{lang}-en.{dev|test}.gold` with `lang-id<TAB>en-id`.
"""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import sources
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


_BUCC_PARTS = {"validation": "dev", "test": "test"}


def _bucc_file(language: str, split: str, ending: str) -> pathlib.Path:
    folder = sources.folder("bucc_dir", needed_by="bucc2018")
    path = sources.find(folder, f"{language}-en.{_BUCC_PARTS[split]}", f".{ending}")
    if path is None:
        raise UserError(f"bucc_dir {folder!r} has no file {language}-en.{_BUCC_PARTS[split]}.{ending}")
    return path


def bucc_rows(language: str, split: str) -> list[dict[str, Any]]:
    """Rows of one side of BUCC 2018 from the release's files: `id`, `text`, `counterparts`.

    Args:
        language: `de` for the German side, `de_en` for the English one.
        split: `validation` or `test`.

    Raises:
        UserError: a file is missing, a line has not two fields, or the gold file names an id that is not
            there.
    """
    own = language.removesuffix(ENGLISH_SIDE)
    texts = {lang: dict(sources.columns(_bucc_file(own, split, lang), count=2)) for lang in (own, "en")}
    gold = collections.defaultdict(list)
    path = _bucc_file(own, split, "gold")
    for number, pair in enumerate(sources.columns(path, count=2), 1):
        for name, lang in zip(pair, (own, "en"), strict=True):
            if name not in texts[lang]:
                where = _bucc_file(own, split, lang).name
                raise UserError(f"{path} line {number} names {name!r}, which is not in {where}")
        gold[pair[0]].append(pair[1])
    side = texts["en" if language.endswith(ENGLISH_SIDE) else own]
    return [{"id": name, "text": text, "counterparts": gold.get(name, [])} for name, text in side.items()]


def bucc_version(language: str) -> str:
    """Sizes and times of the files of one language pair."""
    folder = sources.folder("bucc_dir", needed_by="bucc2018")
    return " ".join(map(sources.file_version, sorted(pathlib.Path(folder).glob(f"{language}-en.*"))))
