"""UMSAB (Barbieri et al. 2022, XLM-T), https://github.com/cardiffnlp/xlm-t: sentiment of tweets in 8 languages.

`{language}/{train,val,test}_text.txt` has one tweet a line, `..._labels.txt` its label: 0, 1 or 2.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs, labelled, one_of
from xtreme_stilts.tasks import sources

# Language -> its folder.
LANGUAGES = {
    "ar": "arabic",
    "en": "english",
    "fr": "french",
    "de": "german",
    "hi": "hindi",
    "it": "italian",
    "pt": "portuguese",
    "es": "spanish",
}
LABELS = ("negative", "neutral", "positive")
_URL = "https://raw.githubusercontent.com/cardiffnlp/xlm-t/main"


class TweetSentiment(ReleaseBuilder):
    """UMSAB: tweets that are negative, neutral or positive; `id` is the number of the line, from 1.

    Source: https://github.com/cardiffnlp/xlm-t, data/sentiment. Licence: that of the data set of each language, see
    there.
    """

    name = "tweet_sentiment"
    HOMEPAGE = "https://github.com/cardiffnlp/xlm-t"
    BUILDER_CONFIGS = configs(LANGUAGES)

    def features(self) -> dict[str, Any]:
        return {
            "id": tfds.features.Text(),
            "text": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=LABELS),
        }

    def files(self) -> dict[str, dict[str, File]]:
        folder = LANGUAGES[self.builder_config.name]
        return {
            split: {role: _file(f"{folder}/{part}_{role}.txt") for role in ("text", "labels")}
            for split, part in (("train", "train"), ("validation", "val"), ("test", "test"))
        }

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        tweets = sources.lines(paths["text"])
        for tweet, label, place in labelled(tweets, texts=paths["text"], labels=paths["labels"]):
            number = one_of(label.strip(), ("0", "1", "2"), name="label", place=place)
            yield Row(place, {"id": str(place.line), "text": tweet, "label": int(number)})


def _file(path: str) -> File:
    return File(names=(path, f"data/sentiment/{path}"), url=f"{_URL}/data/sentiment/{path}")
