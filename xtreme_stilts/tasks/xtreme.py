"""The nine task families of XTREME (Hu et al. 2020), with jiant's training tasks and lengths.

Language lists, training tasks and splits follow `evaluate.py` of google-research/xtreme and jiant's guide
`xstilts.md`.
"""

from __future__ import annotations

import dataclasses
import functools

from xtreme_stilts.tasks import pairs, retrieval, spans, tagging
from xtreme_stilts.tasks.languages import codes
from xtreme_stilts.tasks.registry import Family, Mixture
from xtreme_stilts.tasks.sources import Tfds

# Heads' outputs in alphabetical order, as jiant has them; the data sets number their classes otherwise.
NLI_LABELS = ("contradiction", "entailment", "neutral")
NLI_CLASSES = ("entailment", "neutral", "contradiction")  # TFDS: MNLI, SNLI, ANLI and XNLI alike

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT",
    "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip
UPOS_CLASSES = (*UPOS, "")  # TFDS's 18th class is "_": a fused form, whose parts follow, or an elided word
ENTITY_LABELS = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")
ENTITY_CLASSES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")  # TFDS wikiann

XNLI_LANGUAGES = codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
PAWSX_LANGUAGES = codes("de en es fr ja ko zh")
UDPOS_LANGUAGES = codes(
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
)
PANX_LANGUAGES = codes(
    "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw yo my zh"
    " kk tr et fi hu"
)
XQUAD_LANGUAGES = codes("en es de el ru tr ar vi th zh hi")
MLQA_LANGUAGES = codes("en es de ar hi vi zh")
BUCC_LANGUAGES = codes("de fr ru zh")
TATOEBA_LANGUAGES = codes(
    "ar he vi id jv tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw zh kk tr et fi hu"
)
TYDIQA_LANGUAGES = codes("en ar bn fi id ko ru sw te")

# MLQA between languages: `ar_de` asks German questions about Arabic contexts; answers are in the context's language.
MLQA_PAIRS = tuple(f"{context}_{question}" for context in MLQA_LANGUAGES for question in MLQA_LANGUAGES)

# Treebanks of Universal Dependencies, one a language, for `udpos_ud`.
TREEBANKS = {
    code: f"{code}_{treebank}"
    for code, treebank in {
        "af": "afribooms", "ar": "pud", "bg": "btb", "de": "gsd", "el": "gdt", "en": "ewt", "es": "gsd",
        "et": "ewt", "eu": "bdt", "fa": "seraji", "fi": "pud", "fr": "sequoia", "he": "htb", "hi": "pud",
        "hu": "szeged", "id": "gsd", "it": "isdt", "ja": "gsd", "kk": "ktb", "ko": "gsd", "mr": "ufal",
        "nl": "lassysmall", "pt": "gsd", "ru": "gsd", "ta": "ttb", "te": "mtg", "th": "pud", "tl": "trg",
        "tr": "imst", "ur": "udtb", "vi": "vtb", "yo": "ytb", "zh": "gsd",
    }.items()
}  # fmt: skip

_TAG = functools.partial(tagging.tagging, tags="upos", names=UPOS_CLASSES)
_UD_SPLITS = {"train": "train", "validation": "dev", "test": "test"}
_UD_LACKS = {"train": ("th", "tl", "yo"), "validation": ("kk", "th", "tl", "yo")}

XNLI = Family(
    name="xnli",
    kind="classification",
    group="classification",
    metric="accuracy",
    labels=NLI_LABELS,
    languages=XNLI_LANGUAGES,
    train="mnli.en",
    head_name="nli",
    splits={"validation": "validation", "test": "test"},
    source=Tfds(name="xnli:1.1.0"),
    convert=functools.partial(pairs.xnli, names=NLI_CLASSES),
    keep=pairs.in_xnli_row,
)

PAWSX = Family(
    name="pawsx",
    kind="classification",
    group="classification",
    metric="accuracy",
    labels=("0", "1"),
    languages=PAWSX_LANGUAGES,
    source=Tfds(name="paws_x_wiki/{config}:1.0.0"),
    convert=functools.partial(pairs.classification, texts=("sentence1", "sentence2"), names=("0", "1")),
)

UDPOS = Family(
    name="udpos",
    kind="tagging",
    group="tagging",
    metric="chunk_f1",
    labels=UPOS,
    languages=UDPOS_LANGUAGES,
    splits=_UD_SPLITS,
    lacks=_UD_LACKS,
    convert=_TAG,
    keep=tagging.has_words,
    # TFDS files Tamil under tl and Tagalog under ta.
    source=Tfds(name="xtreme_pos/xtreme_pos_{config}:1.0.0", swapped={"ta": "tl", "tl": "ta"}),
)

# The same from Universal Dependencies itself, one treebank a language; not part of XTREME.
UDPOS_UD = Family(
    name="udpos_ud",
    kind="tagging",
    metric="chunk_f1",
    labels=UPOS,
    languages=UDPOS_LANGUAGES,
    splits=_UD_SPLITS,
    lacks=_UD_LACKS,
    convert=_TAG,
    keep=tagging.has_words,
    source=Tfds(name="universal_dependencies/{config}:1.0.1", configs=TREEBANKS),
)

PANX = Family(
    name="panx",
    kind="tagging",
    group="tagging",
    metric="chunk_f1",
    labels=ENTITY_LABELS,
    languages=PANX_LANGUAGES,
    source=Tfds(name="wikiann/{config}:1.0.0"),
    convert=functools.partial(tagging.tagging, tags="tags", names=ENTITY_CLASSES),
    keep=tagging.has_words,
)

XQUAD = Family(
    name="xquad",
    kind="span",
    group="qa",
    metric="squad_v1",
    languages=XQUAD_LANGUAGES,
    max_length=384,
    train="squad_v1.en",
    splits={"test": "test"},
    source=Tfds(name="xquad/{config}:3.0.0"),
    convert=spans.squad,
)

MLQA = Family(
    name="mlqa",
    kind="span",
    group="qa",
    metric="mlqa",
    languages=MLQA_LANGUAGES,
    max_length=384,
    train="squad_v1.en",
    splits={"validation": "validation", "test": "test"},
    source=Tfds(name="mlqa/{config}:1.0.0"),
    convert=spans.squad,
)

# All 49 combinations of MLQA, those of one language included; not part of XTREME, which asks in one language.
MLQA_CROSS = dataclasses.replace(
    MLQA, name="mlqa_cross", group="", languages=MLQA_PAIRS, source=Tfds(name="mlqa_pairs/{config}:1.0.0")
)

# The gold-passage task. The official test set is not public, so the dev sets are XTREME's test sets. They
# also stop the English training early, as in jiant: English, and only English, is selected on what it is
# scored on.
TYDIQA = Family(
    name="tydiqa",
    kind="span",
    group="qa",
    metric="squad_v1",
    languages=TYDIQA_LANGUAGES,
    max_length=384,
    splits={"train": "train", "validation": "validation-{language}", "test": "validation-{language}"},
    lacks={"train": tuple(code for code in TYDIQA_LANGUAGES if code != "en")},
    source=Tfds(name="tydi_qa/goldp:3.0.0"),
    convert=spans.squad,
    keep=spans.of_language,
)

BUCC2018 = Family(
    name="bucc2018",
    kind="embedding",
    group="retrieval",
    metric="mining_f1",
    languages=BUCC_LANGUAGES,
    max_length=512,
    splits={"validation": "validation{side}", "test": "test{side}"},
    convert=retrieval.sentence,
    source=Tfds(name="bucc2018/{config}:1.0.0"),
)

TATOEBA = Family(
    name="tatoeba",
    kind="embedding",
    group="retrieval",
    metric="retrieval_accuracy",
    languages=TATOEBA_LANGUAGES,
    max_length=512,
    splits={"test": "train"},
    source=Tfds(name="tatoeba/tatoeba_{config}:1.0.0"),
    convert=retrieval.tatoeba,
)

FAMILIES = (XNLI, PAWSX, UDPOS, PANX, XQUAD, MLQA, TYDIQA, BUCC2018, TATOEBA)

# Everything the nine are trained on, at once.
TRAIN = Mixture(name="xtreme_train", tasks=("mnli.en", "pawsx.en", "udpos.en", "panx.en", "squad_v1.en", "tydiqa.en"))

# What of XTREME-R (Ruder et al. 2021) can be scored here. Its other two tasks, Mewsli-X and LAReQA, retrieve answers
# from collections that TFDS does not have.
XTREME_R = ("xnli", "xcopa", "udpos", "panx", "xquad", "mlqa", "tydiqa", "tatoeba")
