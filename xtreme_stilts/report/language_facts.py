"""What is known of the languages themselves, to set gains beside: family, script, and text the encoder was made from.

Terms:

- **script**, **family**: as in `tasks.languages`. FLORES-200's varieties (`ace_Arab`) name their script themselves;
  their families are not known here.
- **corpus**: what a published encoder was pretrained on: `cc100` (XLM-R, all sizes) or `wikipedia` (mBERT). Sizes are
  GiB of text before tokenising. Each comes from `language_facts.csv`, where it stands with its source; a language
  without a line there has no size, be it that the corpus lacks it or that no source was at hand. Those of Wikipedia
  are of a later dump than mBERT's own, so they rank languages rather than weigh them.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks.languages import FLORES_CODES, LANGUAGES

CC100, WIKIPEDIA = "cc100", "wikipedia"
CORPORA: Mapping[str, str] = {
    CC100: "CC-100, GiB",
    WIKIPEDIA: "Wikipedia of October 2020, GiB",
}
# FLORES' name of a script -> ours, by the languages that both have.
_SCRIPTS = {flores.rpartition("_")[2]: LANGUAGES[code].script for code, flores in FLORES_CODES.items()}


class Facts(NamedTuple):
    """Of one language; None where it is not known."""

    script: str | None
    family: str | None


def facts(code: str) -> Facts:
    """Script and family of a language, by its code in results."""
    if code in LANGUAGES:
        return Facts(script=LANGUAGES[code].script, family=LANGUAGES[code].family)
    script = code.rpartition("_")[2]
    if re.fullmatch("[A-Z][a-z]{3}", script):
        return Facts(script=_SCRIPTS.get(script, script), family=None)
    return Facts(script=None, family=None)


def pretraining_table() -> pd.DataFrame:
    """All sizes: columns corpus, language, gib (float64), source."""
    with importlib.resources.files(__package__).joinpath("language_facts.csv").open(encoding="utf-8") as file:
        # Not every "na" is missing data: it could be a language's code.
        return pd.read_csv(file, dtype="str", keep_default_na=False).astype({"gib": "float64"})


def pretraining_sizes(corpus: str) -> dict[str, float]:
    """GiB of text by language.

    Raises:
        UserError: an unknown corpus.
    """
    if corpus not in CORPORA:
        raise UserError(f"corpus is {corpus!r}; {did_you_mean(corpus, CORPORA)}")
    table = pretraining_table()
    return table[table["corpus"] == corpus].set_index("language")["gib"].to_dict()


def corpus_of(model: str, config: Mapping[str, Any]) -> str | None:
    """The corpus an encoder was pretrained on; None where that is not known.

    Args:
        model: the encoder's name in the results.
        config: the study's config.json. Where it says that the encoder starts at random (`model.weights` is empty), no
            published corpus made it, whatever its name.
    """
    described = config.get("model")
    described = described if isinstance(described, Mapping) else {}
    if described.get("weights") == "":
        return None
    name = re.sub("[^a-z0-9]+", "", f"{model} {described.get('weights', '')}".lower())
    if "xlmr" in name:  # "XLM-R Large", "xlm-roberta-base"
        return CC100
    return WIKIPEDIA if "mbert" in name or "bertbasemultilingual" in name else None
