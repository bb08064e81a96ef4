"""MLQA (Lewis et al. 2020), https://github.com/facebookresearch/MLQA: all 49 pairs of context and question language.

`MLQA_V1/{dev,test}/{dev,test}-context-xx-question-yy.json`, in the layout of SQuAD 1.1. TFDS's `mlqa` has the 7
pairs of a language with itself.
"""

from __future__ import annotations

import itertools
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs
from xtreme_stilts.tasks import formats, sources

LANGUAGES = ("ar", "de", "en", "es", "hi", "vi", "zh")
_URL = "https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip"


class MlqaPairs(ReleaseBuilder):
    """MLQA with the context in one language and the question in another; the config is `{context}_{question}`.

    Source: https://github.com/facebookresearch/MLQA. Licence: CC BY-SA 3.0.
    """

    name = "mlqa_pairs"
    HOMEPAGE = "https://github.com/facebookresearch/MLQA"
    LICENSE = "CC BY-SA 3.0"
    BUILDER_CONFIGS = configs("_".join(pair) for pair in itertools.product(LANGUAGES, repeat=2))

    def features(self) -> dict[str, Any]:
        texts = {name: tfds.features.Text() for name in ("id", "title", "context", "question")}
        answers = tfds.features.Sequence({"text": tfds.features.Text(), "answer_start": np.int32})
        return texts | {"answers": answers}

    def files(self) -> dict[str, dict[str, File]]:
        context, question = self.builder_config.name.split("_")
        found = {}
        for split, part in (("validation", "dev"), ("test", "test")):
            path = f"{part}/{part}-context-{context}-question-{question}.json"
            names = (f"MLQA_V1/{path}", path, path.partition("/")[2])
            found[split] = {"rows": File(names=names, url=_URL, member=names[0])}
        return found

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        questions = list(formats.squad(paths["rows"]))
        titles = _titles(paths["rows"])
        for asked in questions:
            values = {
                "id": asked.id,
                "title": titles[asked.id],
                "context": asked.context,
                "question": asked.question,
                "answers": {"text": asked.answers, "answer_start": asked.starts},
            }
            yield Row(asked.where, values)


def _titles(path: pathlib.Path) -> dict[str, str]:
    """Id of a question -> title of its article, of a file that `formats.squad` accepts."""
    articles = json.loads("\n".join(sources.lines(path)))["data"]
    return {
        str(asked["id"]): article.get("title", "")
        for article in articles
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    }
