"""Builders for data sets that TensorFlow Datasets lacks; they read the files of the official releases.

| name | configs | content |
|---|---|---|
| bucc2018 | de fr ru zh | sentences of both sides with gold pairs, distractors included |
| ccgbank | | words with CCG supertags |
| commonsense_qa | v1.11 (5 choices), v1.0 (3) | multiple choice |
| jnlpba | | biomedical named entities |
| mlqa_pairs | {context}_{question}, 49 | MLQA with context and question in any two languages |
| sib200 | FLORES-200 codes, 205 | topics of sentences |
| siqa | | multiple choice about social situations |
| tweet_sentiment | ar en fr de hi it pt es | sentiment of tweets (UMSAB) |
| xcopa | et ht id it qu sw ta th tr vi zh | causes and effects, two choices |
| xstory_cloze | en ru zh es ar hi id te sw eu my | endings of stories, two choices |

A builder takes the files from the download manager's `manual_dir`, where they may lie in a folder of the builder's
name or right in it; if they are not there, it downloads them. To prepare one:

    import tensorflow_datasets as tfds
    from xtreme_stilts import datasets

    datasets.load_builders()  # makes them known to TFDS; TensorFlow is not imported before
    config = tfds.download.DownloadConfig(manual_dir="where/the/files/are", try_download_gcs=False)
    tfds.builder("xcopa/et", data_dir="where/it/goes").download_and_prepare(download_config=config)

What is prepared can be read without this package.

TFDS itself has machine-translated SQuAD: `xquad/{ar de el es hi ru th tr vi zh}` holds the splits
`translate-train`, `translate-dev` and `translate-test` besides `test`, so there is no builder for it here.
"""

from __future__ import annotations

import importlib
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean

# name -> where its class is
BUILDERS: dict[str, str] = {
    "bucc2018": "xtreme_stilts.datasets.bucc2018.Bucc2018",
    "ccgbank": "xtreme_stilts.datasets.ccgbank.Ccgbank",
    "commonsense_qa": "xtreme_stilts.datasets.commonsense_qa.CommonsenseQa",
    "jnlpba": "xtreme_stilts.datasets.jnlpba.Jnlpba",
    "mlqa_pairs": "xtreme_stilts.datasets.mlqa_pairs.MlqaPairs",
    "sib200": "xtreme_stilts.datasets.sib200.Sib200",
    "siqa": "xtreme_stilts.datasets.siqa.Siqa",
    "tweet_sentiment": "xtreme_stilts.datasets.tweet_sentiment.TweetSentiment",
    "xcopa": "xtreme_stilts.datasets.xcopa.Xcopa",
    "xstory_cloze": "xtreme_stilts.datasets.xstory_cloze.XstoryCloze",
}

_WHERE: dict[str, str] = {
    "bucc2018": "bucc2018-{lang}-en.{sample,training}-gold.tar.bz2 from https://comparable.limsi.fr/bucc2018/",
    "ccgbank": "the folder data/AUTO of CCGbank 1.1, https://catalog.ldc.upenn.edu/LDC2005T13 (needs an LDC licence)",
    "commonsense_qa": "{train,dev}_rand_split.jsonl and test_rand_split_no_answers.jsonl from "
    "https://www.tau-nlp.org/commonsenseqa (v1.11) or data/v1.0/ of https://github.com/salesforce/cos-e (v1.0)",
    "jnlpba": "Genia4ERtraining.tar.gz and Genia4ERtest.tar.gz from "
    "http://www.nactem.ac.uk/GENIA/current/Shared-tasks/JNLPBA/",
    "mlqa_pairs": "https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip",
    "sib200": "the folders of data/annotated/ of https://github.com/dadelani/sib-200",
    "siqa": "https://storage.googleapis.com/ai2-mosaic/public/socialiqa/socialiqa-train-dev.zip",
    "tweet_sentiment": "the folders of data/sentiment/ of https://github.com/cardiffnlp/xlm-t",
    "xcopa": "the folders of data/ of https://github.com/cambridgeltl/xcopa",
    "xstory_cloze": "spring2016.val.{lang}.tsv.split_20_80_{train,eval}.tsv from "
    "https://huggingface.co/datasets/juletxara/xstory_cloze; for English, spring2016.val.tsv from "
    "https://cs.rochester.edu/nlp/rocstories/ (after registration), cut into its first 360 and last 1,511 stories",
}


def builder_class(name: str) -> type[Any]:
    """The builder of a data set, a `tfds.core.GeneratorBasedBuilder`; importing it registers it with TFDS.

    Raises:
        UserError: there is no builder of that name here.
    """
    module, _, attribute = BUILDERS[_checked(name)].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def load_builders() -> dict[str, type[Any]]:
    """Registers all builders with TFDS; name -> builder."""
    return {name: builder_class(name) for name in BUILDERS}


def where_to_get(name: str) -> str:
    """One sentence, for messages, that says which official files a data set is made from and where they go.

    Raises:
        UserError: there is no builder of that name here.
    """
    return f"get {_WHERE[_checked(name)]} and put it, unpacked, in <manual_dir>/{name}/"


def _checked(name: str) -> str:
    if name not in BUILDERS:
        raise UserError(f"there is no builder {name!r} in xtreme_stilts.datasets; {did_you_mean(name, BUILDERS)}")
    return name
