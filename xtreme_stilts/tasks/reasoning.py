"""Commonsense reasoning across languages: XCOPA and XStoryCloze, two choices each.

XCOPA (Ponti et al. 2020) has no English and no training data; its best transfer is the chain SIQA -> COPA ->
XCOPA, which is the row `("siqa",)` of a study here, since the target XCOPA trains on English COPA. XStoryCloze
(Lin et al. 2022) is the Story Cloze Test of spring 2016 and its translations; its small English training part is
the training set.
"""

from __future__ import annotations

import functools

from xtreme_stilts.tasks import choices
from xtreme_stilts.tasks.languages import codes
from xtreme_stilts.tasks.preprocessors import labelled
from xtreme_stilts.tasks.registry import Family
from xtreme_stilts.tasks.sources import Tfds

XCOPA_LANGUAGES = codes("et ht id it qu sw ta th tr vi zh")
STORYCLOZE_LANGUAGES = codes("en ar es eu hi id my ru sw te zh")

XCOPA = Family(
    name="xcopa",
    kind="choice",
    metric="accuracy",
    num_choices=2,
    languages=XCOPA_LANGUAGES,
    train="copa.en",
    splits={"validation": "validation", "test": "test"},
    source=Tfds(name="xcopa/{config}:1.0.0"),
    convert=choices.copa,
    keep=functools.partial(labelled, label="label"),
)

XSTORYCLOZE = Family(
    name="xstorycloze",
    kind="choice",
    metric="accuracy",
    num_choices=2,
    languages=STORYCLOZE_LANGUAGES,
    # Of the 360 stories for training the last ones stop English training early.
    splits={"train": "train[:80%]", "validation": "train[80%:]", "test": "test"},
    source=Tfds(name="xstory_cloze/{config}:1.0.0"),
    convert=choices.story_cloze,
)

FAMILIES = (XCOPA, XSTORYCLOZE)
SUITE = ("siqa", "commonsenseqa", "cosmosqa", "hellaswag", "copa", "xcopa", "xstorycloze")
