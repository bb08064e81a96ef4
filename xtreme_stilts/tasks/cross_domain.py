"""Targets outside XTREME's domains: topics of news sentences, sentiment of tweets, entities of biomedical abstracts.

- SIB-200 (Adelani et al. 2024): the topic of FLORES sentences in 205 varieties.
- `tweet_sentiment`: UMSAB, the unified multilingual sentiment benchmark of XLM-T (Barbieri et al. 2022).
- JNLPBA (Kim et al. 2004): entities of MEDLINE abstracts, English only, without a development set: the last tenth
  of the training set stops training early.
"""

from __future__ import annotations

import functools

from xtreme_stilts.tasks import pairs, tagging
from xtreme_stilts.tasks.languages import FLORES, FLORES_CODES, codes
from xtreme_stilts.tasks.registry import Family
from xtreme_stilts.tasks.sources import Tfds

TOPICS = ("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel")
SENTIMENTS = ("negative", "neutral", "positive")
BIO_ENTITIES = ("DNA", "RNA", "cell_line", "cell_type", "protein")
BIO_LABELS = (*(f"B-{name}" for name in BIO_ENTITIES), *(f"I-{name}" for name in BIO_ENTITIES), "O")

SIB200 = Family(
    name="sib200",
    kind="classification",
    metric="accuracy",
    labels=TOPICS,
    languages=FLORES,
    source=Tfds(name="sib200/{config}:1.0.0", configs=FLORES_CODES),
    convert=functools.partial(pairs.classification, texts=("text",), names=(), label="category"),
)

TWEET_SENTIMENT = Family(
    name="tweet_sentiment",
    kind="classification",
    metric="accuracy",
    labels=SENTIMENTS,
    languages=codes("en ar de es fr hi it pt"),
    source=Tfds(name="tweet_sentiment/{config}:1.0.0"),
    convert=functools.partial(pairs.classification, texts=("text",), names=SENTIMENTS),
)

JNLPBA = Family(
    name="jnlpba",
    kind="tagging",
    metric="chunk_f1",
    labels=BIO_LABELS,
    splits={"train": "train[:90%]", "validation": "train[90%:]", "test": "test"},
    source=Tfds(name="jnlpba:1.0.0"),
    convert=functools.partial(tagging.tagging, tags="tags", names=()),
    keep=tagging.has_words,
)

FAMILIES = (SIB200, TWEET_SENTIMENT, JNLPBA)
SUITE = tuple(family.name for family in FAMILIES)
