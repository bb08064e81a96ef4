"""Made-up rows in the exact features of published TensorFlow data sets, prepared on disk as TFDS itself would.

The builder's own `_info` decides the features; only the rows are ours: short English sentences, every label in turn,
answers that stand in their contexts. So whatever reads a prepared data set can be tried without having one.
"""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from xtreme_stilts import datasets, tasks
from xtreme_stilts.tasks.registry import ENGLISH_SIDE

ROWS = 10
_WORDS = [
    *("the", "old", "cat", "sees", "a", "small", "house", "and", "two", "birds"),
    *("near", "green", "water", "while", "people", "read", "long", "books"),
]

# What a feature must hold, where its type does not say it.
_VALUES = {
    ("hellaswag", "label"): (0, 1, 2, 3),
    ("xcopa", "question"): ("cause", "effect"),
    ("xcopa", "label"): (0, 1),
    ("super_glue/copa", "question"): ("cause", "effect"),
    ("siqa", "label"): ("1", "2", "3"),
    ("sib200", "category"): tasks.family("sib200").labels,
    ("xstory_cloze", "label"): (0, 1),
}
_TAGS = {"ccgbank": ("N", "NP/N", "(S\\NP)/NP"), "jnlpba": ("B-DNA", "I-DNA", "O", "B-cell_type")}


def sentence(number: int, length: int = 6) -> str:
    """Words that differ from number to number."""
    return " ".join(_WORDS[(number * 3 + i * (number % 5 + 1)) % len(_WORDS)] for i in range(length)) + f" {number}"


def prepare(name: str, splits: set[str], *, data_dir) -> None:
    """Prepares `data set[/config]:version` with ROWS rows in each split."""
    path, _, version = name.partition(":")
    base, _, config = path.partition("/")
    known = datasets.builder_class(base) if base in datasets.BUILDERS else tfds.builder_cls(base)
    with tfds.core.registered.skip_registration():

        class MadeUp(known):
            name = known.name
            MANUAL_DOWNLOAD_INSTRUCTIONS = None

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples(split) for split in sorted(splits)}

            def _generate_examples(self, split):
                for number in range(ROWS):
                    yield number, _row(self.info.features, path, split, number)

    builder = MadeUp(data_dir=str(data_dir), **({"config": config} if config else {}))
    assert str(builder.version) == version, f"{name}: the builder is at version {builder.version}"
    builder.download_and_prepare()


def _row(features, path: str, split: str, number: int) -> dict:
    base = path.partition("/")[0]
    row = {name: _value(each, name, path, number) for name, each in features.items()}
    if "answers" in row:
        words = row["context"].split()
        answer = words[number % 4 + 1]
        start = row["context"].index(f" {answer} ") + 1
        row["answers"] = {"text": [answer], "answer_start": [start]}
        if path == "squad/v2.0" and number % 3 == 0:
            row["answers"] = {"text": [], "answer_start": []}
            row["is_impossible"] = True
    if "id" in row:
        row["id"] = f"{split}-{number}" if base != "tydi_qa" else f"{_tydi_name(split)}-{number}"
    if base == "bucc2018":
        own = not split.endswith(ENGLISH_SIDE)
        row["id"] = f"{path[-2:] if own else 'en'}-{number:09d}"
        row["counterparts"] = [f"en-{number:09d}"] if own and number % 2 else []
    if base in _TAGS:
        row["tags"] = [_TAGS[base][(number + i) % len(_TAGS[base])] for i in range(len(row["tokens"]))]
    if base == "commonsense_qa":
        letters = "ABCDE"[: 3 if path.endswith("v1.0") else 5]
        row["choices"] = {"label": list(letters), "text": [sentence(number + i, 2) for i in range(len(letters))]}
        row["answerKey"] = letters[number % len(letters)]
    if base == "hellaswag":
        row["endings"] = [sentence(number + i, 4) for i in range(4)]
    return row


def _tydi_name(split: str) -> str:
    return tasks.languages.language(split.partition("-")[2] or "en").name.lower()


def _value(feature, name: str, path: str, number: int):
    """A value of this feature; its type decides, unless `_VALUES` does."""
    for key in ((path, name), (path.partition("/")[0], name)):
        if key in _VALUES:
            return _VALUES[key][number % len(_VALUES[key])]
    if isinstance(feature, tfds.features.TranslationVariableLanguages):
        return {code: sentence(number + i, 4) for i, code in enumerate(sorted(feature.languages))}
    if isinstance(feature, tfds.features.ClassLabel):
        return number % feature.num_classes
    if isinstance(feature, tfds.features.Sequence):
        inner = feature.feature
        if isinstance(inner, tfds.features.ClassLabel):
            return [(number + i) % min(inner.num_classes, 17) for i in range(6)]
        return [] if isinstance(inner, tfds.features.FeaturesDict) else sentence(number, 5).split()
    if isinstance(feature, tfds.features.FeaturesDict):  # a Translation, too
        return {key: _value(each, key, path, number + i) for i, (key, each) in enumerate(sorted(feature.items()))}
    if isinstance(feature, tfds.features.Text) or feature.np_dtype in (np.str_, np.object_, np.bytes_):
        return sentence(number + len(name), 12 if name in ("context", "passage") else 6)
    if feature.np_dtype == np.bool_:
        return False
    return number % 5 + 0.5 if np.issubdtype(feature.np_dtype, np.floating) else number


def sources_of(family: tasks.Family, languages: tuple[str, ...]) -> dict[str, set[str]]:
    """TFDS name -> the splits that some languages of a family read of it."""
    found: dict[str, set[str]] = {}
    for language in languages:
        for name in dict.fromkeys((language, language + ENGLISH_SIDE * (family.kind == "embedding"))):
            splits = (
                tasks.source_split(f"{family.name}.{name}", split) for split in family.splits if family.has(split, name)
            )
            parts = {part.partition("[")[0] for split in splits for part in split.split("+")}
            found.setdefault(family.source.describe(language), set()).update(parts)
    return found
