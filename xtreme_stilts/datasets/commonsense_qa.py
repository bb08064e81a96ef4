"""CommonsenseQA (Talmor et al. 2019), https://www.tau-nlp.org/commonsenseqa: the random split.

One JSON object a line: `{"answerKey": "B", "id": ..., "question": {"stem": ..., "choices": [{"label": "A", "text":
...}, ...]}}`; the test file has no answers.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs, one_of, text
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import formats

_PLACES = {
    "v1.11": "https://s3.amazonaws.com/commensenseqa",  # so spelt
    # The authors' site no longer has the first version; it is in the repository of CoS-E (Rajani et al. 2019).
    "v1.0": "https://raw.githubusercontent.com/salesforce/cos-e/c8aae4061182d2bb696cf23e8bb899c447a0ea6e/data/v1.0",
}
_CHOICES = {"v1.11": 5, "v1.0": 3}
_FILES = {
    "train": "train_rand_split.jsonl",
    "validation": "dev_rand_split.jsonl",
    "test": "test_rand_split_no_answers.jsonl",
}


class CommonsenseQa(ReleaseBuilder):
    """CommonsenseQA: questions with 5 (v1.11) or 3 (v1.0) choices; `answerKey` is "" in the test split.

    Source: https://www.tau-nlp.org/commonsenseqa. Licence: MIT (the authors'
    card https://huggingface.co/datasets/tau/commonsense_qa); the repository that v1.0 is from: BSD-3-Clause.
    """

    name = "commonsense_qa"
    HOMEPAGE = "https://www.tau-nlp.org/commonsenseqa"
    LICENSE = "MIT"
    BUILDER_CONFIGS = configs(_CHOICES)

    def features(self) -> dict[str, Any]:
        return {
            "id": tfds.features.Text(),
            "question": tfds.features.Text(),
            "choices": tfds.features.Sequence({"label": tfds.features.Text(), "text": tfds.features.Text()}),
            "answerKey": tfds.features.Text(),
        }

    def files(self) -> dict[str, dict[str, File]]:
        release = self.builder_config.name
        return {
            split: {"rows": File(names=(f"{release}/{name}", name), url=f"{_PLACES[release]}/{name}")}
            for split, name in _FILES.items()
        }

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        for record in formats.jsonl(paths["rows"]):
            question = formats.Record(record.place, formats.member(record.fields, "question", str(record.place)))
            choices = self._choices(question)
            answer = ""
            if split != "test":
                answer = one_of(text(record, "answerKey"), choices["label"], name="answerKey", place=record.place)
            values = {"id": text(record, "id"), "question": text(question, "stem"), "choices": choices}
            yield Row(record.place, values | {"answerKey": answer})

    def _choices(self, question: formats.Record) -> dict[str, list[str]]:
        choices = formats.member(question.fields, "choices", str(question.place))
        release = self.builder_config.name
        if not isinstance(choices, list) or len(choices) != _CHOICES[release]:
            found = len(choices) if isinstance(choices, list) else "no list of"
            raise UserError(f"{question.place} has {found} choices; {release} has {_CHOICES[release]} per question")
        records = [formats.Record(question.place, choice) for choice in choices]
        return {name: [text(record, name) for record in records] for name in ("label", "text")}
