"""Social IQa (Sap et al. 2019), https://leaderboard.allenai.org/socialiqa: the released train and dev parts.

Questions are one JSON object a line; their labels, "1" to "3", are one a line in a second file.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, labelled, one_of, text
from xtreme_stilts.tasks import formats

_URL = "https://storage.googleapis.com/ai2-mosaic/public/socialiqa/socialiqa-train-dev.zip"
_FOLDER = "socialiqa-train-dev"
_TEXTS = ("context", "question", "answerA", "answerB", "answerC")


def _file(name: str) -> File:
    return File(names=(name, f"{_FOLDER}/{name}"), url=_URL, member=f"{_FOLDER}/{name}")


class Siqa(ReleaseBuilder):
    """Social IQa: a situation, a question about it and three answers; `label` is "1", "2" or "3".

    Source: https://leaderboard.allenai.org/socialiqa. Licence: none stated.
    """

    name = "siqa"
    HOMEPAGE = "https://leaderboard.allenai.org/socialiqa"
    ID = ""

    def features(self) -> dict[str, Any]:
        return {name: tfds.features.Text() for name in (*_TEXTS, "label")}

    def files(self) -> dict[str, dict[str, File]]:
        return {
            split: {"rows": _file(f"{part}.jsonl"), "labels": _file(f"{part}-labels.lst")}
            for split, part in (("train", "train"), ("validation", "dev"))
        }

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        for record, label, place in labelled(formats.jsonl(paths["rows"]), texts=paths["rows"], labels=paths["labels"]):
            one_of(label, ("1", "2", "3"), name="label", place=place)
            yield Row(record.place, {name: text(record, name) for name in _TEXTS} | {"label": label})
