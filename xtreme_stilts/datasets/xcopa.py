"""XCOPA (Ponti et al. 2020), https://github.com/cambridgeltl/xcopa: COPA translated by hand.

One JSON object a line, with the field names of SuperGLUE's COPA.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs, one_of, text
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import formats

LANGUAGES = ("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh")
_URL = "https://raw.githubusercontent.com/cambridgeltl/xcopa/e2e9d7f105a758ee869cd13e0fe251ef93a29840/data"
_TEXTS = ("premise", "choice1", "choice2")


class Xcopa(ReleaseBuilder):
    """XCOPA: which of two choices is the cause or the effect of the premise; `label` is 0 or 1.

    Source: https://github.com/cambridgeltl/xcopa, commit e2e9d7f. Licence: CC BY 4.0.
    """

    name = "xcopa"
    HOMEPAGE = "https://github.com/cambridgeltl/xcopa"
    LICENSE = "CC BY 4.0"
    ID = "idx"
    BUILDER_CONFIGS = configs(LANGUAGES)

    def features(self) -> dict[str, Any]:
        texts = {name: tfds.features.Text() for name in (*_TEXTS, "question")}
        return texts | {"label": np.int32, "idx": np.int32}

    def files(self) -> dict[str, dict[str, File]]:
        language = self.builder_config.name
        found = {}
        for split, part in (("validation", "val"), ("test", "test")):
            name = f"{part}.{language}.jsonl"
            path = f"{language}/{name}"
            found[split] = {"rows": File(names=(path, f"data/{path}", name), url=f"{_URL}/{path}")}
        return found

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        for record in formats.jsonl(paths["rows"]):
            place = record.place
            values = {name: text(record, name) for name in _TEXTS}
            values["question"] = one_of(text(record, "question"), ("cause", "effect"), name="question", place=place)
            values["label"] = one_of(
                formats.member(record.fields, "label", str(place)), (0, 1), name="label", place=place
            )
            values["idx"] = formats.member(record.fields, "idx", str(place))
            if type(values["idx"]) is not int:
                raise UserError(f"{place} has idx {values['idx']!r}; it must be a whole number")
            yield Row(place, values)
