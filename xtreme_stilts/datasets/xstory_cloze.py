"""XStoryCloze (Lin et al. 2022, XGLM): the StoryCloze validation set of spring 2016 in 11 languages.

The files `spring2016.val.{lang}.tsv.split_20_80_{train,eval}.tsv` have a header and 8 columns: id, four sentences, two
endings, and which ending is right, 1 or 2. Columns are taken by position, since copies name them differently
(InputStoryid ... AnswerRightEnding in the release). Fields may be quoted as in csv. English is not part of the
release, which says how to cut it from the original file.
"""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs, one_of
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import formats

LANGUAGES = ("en", "ru", "zh", "es", "ar", "hi", "id", "te", "sw", "eu", "my")
# A copy of the release; the address of the original archive is not published any more.
_URL = "https://huggingface.co/datasets/juletxara/xstory_cloze/resolve/4af00b2dfb1770884d0e3b208998179a85aa2ef8"
_TEXTS = ("id", "sentence1", "sentence2", "sentence3", "sentence4", "ending1", "ending2")


class XstoryCloze(ReleaseBuilder):
    """XStoryCloze: which of two endings fits four sentences; `label` is 0 for the first, 1 for the second.

    Source: https://github.com/facebookresearch/fairseq/blob/main/examples/xglm/XStoryCloze.md; English:
    https://cs.rochester.edu/nlp/rocstories/, after registration. Licence: CC BY-SA 4.0.
    """

    name = "xstory_cloze"
    HOMEPAGE = "https://github.com/facebookresearch/fairseq/blob/main/examples/xglm/XStoryCloze.md"
    LICENSE = "CC BY-SA 4.0"
    BUILDER_CONFIGS = configs(LANGUAGES)

    def features(self) -> dict[str, Any]:
        return {name: tfds.features.Text() for name in _TEXTS} | {"label": np.int32}

    def files(self) -> dict[str, dict[str, File]]:
        language = self.builder_config.name
        found = {}
        for split, part in (("train", "train"), ("test", "eval")):
            name = f"spring2016.val.{language}.tsv.split_20_80_{part}.tsv"
            found[split] = {"rows": File(names=(name,), url="" if language == "en" else f"{_URL}/{name}")}
        return found

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        for place, fields in formats.table(paths["rows"], quoting=csv.QUOTE_MINIMAL):
            if len(fields) != len(_TEXTS) + 1:
                raise UserError(
                    f"{paths['rows']} has {len(fields)} columns; it must have {len(_TEXTS) + 1}: "
                    f"{', '.join(_TEXTS)} and the number of the right ending"
                )
            *texts, right = (field.strip() for field in fields.values())
            one_of(right, ("1", "2"), name="the right ending", place=place)
            yield Row(place, dict(zip(_TEXTS, texts, strict=True)) | {"label": int(right) - 1})
