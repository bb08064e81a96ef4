"""Machine-translated training data of XTREME's baselines, for multilingual against English-only training.

Families hold the English training set under `en`, from the very rows that were translated where there is a choice,
so that a mixture can spread a fixed number of examples over languages:

    eight = ("xnli_translated.en", "xnli_translated.de", ...)
    config.mixtures = {"nli_8": {"tasks": eight, "budget": 100_000}}      # 12,500 in each of the eight languages

Translated XNLI rows are the same pairs in every language, under the same ids, so such a mixture never holds one
pair in two languages, and has the pairs that its budget would draw from English alone.
"""

from __future__ import annotations

import dataclasses
import functools

from xtreme_stilts.tasks import pairs
from xtreme_stilts.tasks.registry import Family
from xtreme_stilts.tasks.sources import Tfds
from xtreme_stilts.tasks.xtreme import NLI_CLASSES, PAWSX, XNLI, XNLI_LANGUAGES, XQUAD

XNLI_TRANSLATED = dataclasses.replace(
    XNLI,
    name="xnli_translated",
    group="",
    languages=XNLI_LANGUAGES,
    train="xnli_translated.en",
    validation="mnli.en",
    splits={"train": "train"},
    source=Tfds(name="xtreme_xnli:1.1.0"),
    convert=functools.partial(pairs.xnli, names=NLI_CLASSES),
)

_PAWSX_LANGUAGES = tuple(code for code in PAWSX.languages if code != "en")
PAWSX_TRANSLATED = dataclasses.replace(
    PAWSX,
    name="pawsx_translated",
    group="",
    languages=_PAWSX_LANGUAGES,
    train=f"pawsx_translated.{_PAWSX_LANGUAGES[0]}",
    validation="pawsx.en",
    head_name="pawsx",
    splits={"train": "train"},
    source=Tfds(name="xtreme_pawsx/{config}:1.0.0"),
)

_SQUAD_LANGUAGES = tuple(code for code in XQUAD.languages if code != "en")
SQUAD_TRANSLATED = dataclasses.replace(
    XQUAD,
    name="squad_translated",
    group="",
    languages=_SQUAD_LANGUAGES,
    train=f"squad_translated.{_SQUAD_LANGUAGES[0]}",
    validation="squad_v1.en",
    head_name="squad_v1",
    splits={"train": "translate-train"},
)

FAMILIES: tuple[Family, ...] = (XNLI_TRANSLATED, PAWSX_TRANSLATED, SQUAD_TRANSLATED)
