"""Subword fertility: into how many subwords a study's tokenizer cuts a language's words.

Measured on what the study evaluated on: the tokenised caches of its test sets. Terms:

- **fertility**: subwords per word, a word being what white space separates (Rust et al. 2021, "How Good is Your
  Tokenizer?"); per character in languages written without spaces between words, so their figures compare with no
  others.
- Special tokens are not counted. Rows that fill the length they may have are left out: they may be cut. So are
  question answering and multiple choice, whose rows repeat or cut their texts. Tagging sets punctuation apart as
  words of its own, so it is measured only where a study has no test set of running text at all.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xtreme_stilts.data.cache import META, Cache, Damaged
from xtreme_stilts.files import write_json
from xtreme_stilts.report.language_facts import facts

EXAMPLES = 500  # read of each test set, at most
# Kinds of which rows are whole texts, if not cut; of several, the first group that a study has.
_KINDS = (("classification", "regression", "embedding"), ("tagging",))

# Scripts that set no space between words: Han (Chinese, Japanese) and those of Unicode's line breaking class SA
# (UAX #14: Thai, Lao, Khmer, Myanmar), and Tibetan, whose dots part syllables.
_UNSPACED = frozenset({"cjk", "Hant", "thai", "Laoo", "Khmr", "myanmar", "Tibt"})


class Fertility(NamedTuple):
    """Of one language."""

    subwords: int
    units: int  # words, or characters where `per_character`
    per_character: bool

    @property
    def value(self) -> float:
        """Subwords per word (or character)."""
        return self.subwords / self.units


def fertility(
    cache_dir: str | os.PathLike, *, languages: Container[str], remembered: str | os.PathLike | None = None
) -> dict[str, Fertility]:
    """Fertility by language, pooled over the language's test sets.

    Args:
        cache_dir: folder of caches; may be missing.
        languages: codes asked for; a cache's language is what follows the point in its task's name.
        remembered: JSON file that keeps what was measured, by name of the cache; made if need be.

    Returns:
        Languages without a usable test set are left out. Nothing at all where the caches are of several tokenizers,
        as a folder shared by studies may be: it does not say which is whose.
    """
    folders = [path for path in sorted(pathlib.Path(cache_dir).glob("*-test-*")) if not path.name.startswith(".")]
    usable = {folder: meta for folder in folders if (meta := _meta(folder, languages=languages))}
    groups = ({folder: meta for folder, meta in usable.items() if meta["kind"] in kinds} for kinds in _KINDS)
    described = next(filter(None, groups), {})
    if len({meta["vocabulary"]["fingerprint"] for meta in described.values()}) > 1:
        return {}
    known = _read(remembered)
    counts: dict[str, np.ndarray] = {}
    for folder, meta in described.items():
        language = _language(meta)
        if folder.name not in known:
            known[folder.name] = _count(folder, per_character=_per_character(language))
        counts[language] = counts.get(language, np.zeros(2, np.int64)) + np.array(known[folder.name], np.int64)
    if remembered is not None and described:
        with contextlib.suppress(OSError):  # a study that can only be read is measured anew every time
            write_json(remembered, {folder.name: known[folder.name] for folder in described if any(known[folder.name])})
    return {
        language: Fertility(subwords=int(subwords), units=int(units), per_character=_per_character(language))
        for language, (subwords, units) in sorted(counts.items())
        if units
    }


def _per_character(language: str) -> bool:
    return facts(language).script in _UNSPACED


def _language(meta: Mapping[str, Any]) -> str:
    return meta["task"].partition(".")[2]


def _meta(folder: pathlib.Path, *, languages: Container[str]) -> dict[str, Any] | None:
    """What a usable cache says of itself; None for others."""
    try:
        meta = json.loads((folder / META).read_text("utf-8"))
        usable = meta["split"] == "test" and _language(meta) in languages
        return meta if usable and meta["kind"] and meta["vocabulary"]["fingerprint"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _read(path: str | os.PathLike | None) -> dict[str, list[int]]:
    """What was measured before; nothing where it cannot be read, since it can be measured again."""
    try:
        found = json.loads(epath.Path(path).read_text(encoding="utf-8")) if path is not None else {}
        return {str(name): [int(subwords), int(units)] for name, (subwords, units) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _count(folder: pathlib.Path, *, per_character: bool) -> list[int]:
    """Subwords and units of a cache's first examples, [0, 0] for a damaged one."""
    try:
        cache = Cache(folder)
    except Damaged:
        return [0, 0]
    examples = list(itertools.islice(cache.examples(), EXAMPLES))
    rows = int(np.searchsorted(cache.columns["example"], len(examples)))  # rows are in order of their examples
    ordinary = ~np.isin(cache.columns["tokens"][: cache.offsets[rows]], cache.vocabulary.unmaskable_ids)
    subwords = np.add.reduceat(ordinary, cache.offsets[:rows], dtype=np.int64) if rows else np.zeros(0, np.int64)
    of_example = cache.columns["example"][:rows]
    whole = np.ones(len(examples), bool)  # examples of which no row may be cut, and none is the English side
    whole[of_example[cache.sizes[:rows] >= cache.meta["limits"]["max_length"]]] = False
    if "side" in cache.columns:  # a pair of sentences gives two rows, the second English
        subwords = subwords * (cache.columns["side"][:rows] == 0)
    totals = np.bincount(of_example, weights=subwords, minlength=len(examples)).astype(np.int64)
    units = [
        sum(_units(text, per_character=per_character) for text in _texts(example.inputs, kind=cache.kind))
        for example in examples
    ]
    return [int(totals[whole].sum()), int(np.array(units, np.int64)[whole].sum())]


def _texts(inputs: tuple[str, ...], *, kind: str) -> tuple[str, ...]:
    return inputs[:1] if kind == "embedding" else inputs


def _units(text: str, *, per_character: bool) -> int:
    return sum(not character.isspace() for character in text) if per_character else len(text.split())
