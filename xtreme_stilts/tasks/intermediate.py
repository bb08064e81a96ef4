"""English tasks to train on before the target: those of X-STILTs (Phang et al. 2020), GLUE and SuperGLUE.

Inputs and label orders follow jiant's tasks of the same names.
"""

from __future__ import annotations

import dataclasses
import functools

from xtreme_stilts.tasks import choices, pairs, spans, tagging
from xtreme_stilts.tasks.preprocessors import labelled
from xtreme_stilts.tasks.registry import Family, LabelsOf, Mixture
from xtreme_stilts.tasks.sources import Tfds
from xtreme_stilts.tasks.xtreme import NLI_CLASSES, NLI_LABELS

_WITHOUT_TEST = {"train": "train", "validation": "validation"}
_HIDDEN_TEST = ("test",)  # its labels are with the benchmark's authors


def _pair_family(
    name: str,
    source: str,
    *,
    texts: tuple[str, ...],
    labels: tuple[str, ...],
    classes: tuple[str, ...] = (),
    **fields,
) -> Family:
    """A classification family; `classes` are the labels in the data set's order, if that is another."""
    convert = functools.partial(pairs.classification, texts=texts, names=classes or labels)
    return Family(
        **{
            "name": name,
            "kind": "classification",
            "metric": "accuracy",
            "labels": labels,
            "source": Tfds(name=source),
            "convert": convert,
        }
        | fields
    )


def _nli(name: str, source: str, *, premise: str = "premise", **fields) -> Family:
    # One head for all of them: ANLI+ is their mixture, and XNLI is trained on MNLI.
    return _pair_family(
        name,
        source,
        texts=(premise, "hypothesis"),
        labels=NLI_LABELS,
        classes=NLI_CLASSES,
        head_name="nli",
        keep=labelled,
        **fields,
    )


MNLI = _nli(
    "mnli",
    "multi_nli:1.1.0",
    splits={"train": "train", "validation": "validation_matched", "mismatched": "validation_mismatched"},
)
SNLI = _nli("snli", "snli:1.1.0")
ANLI = tuple(_nli(f"anli_{part}", f"anli/{part}:0.1.0", premise="context") for part in ("r1", "r2", "r3"))

QQP = _pair_family(
    "qqp",
    "glue/qqp:2.0.0",
    texts=("question1", "question2"),
    labels=("0", "1"),
    metric="accuracy_f1",
    unlabelled=_HIDDEN_TEST,
)

SQUAD_V1 = Family(
    name="squad_v1",
    kind="span",
    metric="squad_v1",
    max_length=384,
    source=Tfds(name="squad/v1.1:3.0.0"),
    splits=_WITHOUT_TEST,
    convert=spans.squad,
)
SQUAD_V2 = Family(
    name="squad_v2",
    kind="span",
    metric="squad_v2",
    max_length=384,
    source=Tfds(name="squad/v2.0:3.0.0"),
    splits=_WITHOUT_TEST,
    convert=spans.squad,
)

HELLASWAG = Family(
    name="hellaswag",
    kind="choice",
    metric="accuracy",
    num_choices=4,
    unlabelled=_HIDDEN_TEST,
    source=Tfds(name="hellaswag:1.1.0"),
    convert=choices.hellaswag,
)
COSMOSQA = Family(
    name="cosmosqa",
    kind="choice",
    metric="accuracy",
    num_choices=4,
    unlabelled=_HIDDEN_TEST,
    source=Tfds(name="cosmos_qa:1.0.0"),
    convert=choices.cosmos_qa,
)

_ENTAILMENT = ("entailment", "not_entailment")

GLUE = (
    _pair_family(
        "cola",
        "glue/cola:2.0.0",
        texts=("sentence",),
        labels=("unacceptable", "acceptable"),
        metric="matthews",
        unlabelled=_HIDDEN_TEST,
    ),
    _pair_family(
        "sst2", "glue/sst2:2.0.0", texts=("sentence",), labels=("negative", "positive"), unlabelled=_HIDDEN_TEST
    ),
    _pair_family(
        "mrpc",
        "glue/mrpc:2.0.0",
        texts=("sentence1", "sentence2"),
        labels=("not_equivalent", "equivalent"),
        metric="accuracy_f1",
        unlabelled=_HIDDEN_TEST,
    ),
    Family(
        name="stsb",
        kind="regression",
        metric="pearson_spearman",
        unlabelled=_HIDDEN_TEST,
        source=Tfds(name="glue/stsb:2.0.0"),
        convert=functools.partial(pairs.regression, texts=("sentence1", "sentence2")),
    ),
    _pair_family(
        "qnli", "glue/qnli:2.0.0", texts=("question", "sentence"), labels=_ENTAILMENT, unlabelled=_HIDDEN_TEST
    ),
    _pair_family(
        "rte", "glue/rte:2.0.0", texts=("sentence1", "sentence2"), labels=_ENTAILMENT, unlabelled=_HIDDEN_TEST
    ),
)

SUPERGLUE = (
    _pair_family(
        "boolq",
        "super_glue/boolq:1.0.2",
        texts=("passage", "question"),
        labels=("False", "True"),
        unlabelled=_HIDDEN_TEST,
    ),
    Family(
        name="wic",
        kind="classification",
        metric="accuracy",
        labels=("False", "True"),
        unlabelled=_HIDDEN_TEST,
        source=Tfds(name="super_glue/wic:1.0.2"),
        convert=functools.partial(pairs.word_in_context, names=("False", "True")),
    ),
    Family(
        name="copa",
        kind="choice",
        metric="accuracy",
        num_choices=2,
        unlabelled=_HIDDEN_TEST,
        source=Tfds(name="super_glue/copa:1.0.2"),
        convert=choices.copa,
    ),
)

# Their own builders are in `xtreme_stilts/datasets`.
COMMONSENSEQA = Family(
    name="commonsenseqa",
    kind="choice",
    metric="accuracy",
    num_choices=5,
    unlabelled=("test",),
    source=Tfds(name="commonsense_qa/v1.11:1.0.0"),
    convert=choices.commonsense_qa,
)
# The first release, with three choices; the paper has five.
COMMONSENSEQA_V1 = dataclasses.replace(
    COMMONSENSEQA,
    name="commonsenseqa_v1",
    num_choices=3,
    train="",
    validation="",
    head_name="",
    source=Tfds(name="commonsense_qa/v1.0:1.0.0"),
)
SIQA = Family(
    name="siqa",
    kind="choice",
    metric="accuracy",
    num_choices=3,
    splits=_WITHOUT_TEST,
    source=Tfds(name="siqa:1.0.0"),
    convert=choices.social_iqa,
)
# One supertag a word; CCGbank is licensed by the LDC. The label set is all supertags of its three splits, as in jiant.
CCG = Family(
    name="ccg",
    kind="tagging",
    metric="token_accuracy",
    labels=LabelsOf(functools.partial(tagging.tags_of, "ccg.en"), expected=1363),  # jiant: tags_to_id.json
    source=Tfds(name="ccgbank:1.0.0"),
    convert=functools.partial(tagging.tagging, tags="tags", names=()),
    keep=tagging.has_words,
)

FAMILIES = (
    MNLI,
    SNLI,
    *ANLI,
    QQP,
    SQUAD_V1,
    SQUAD_V2,
    HELLASWAG,
    CCG,
    COSMOSQA,
    COMMONSENSEQA,
    COMMONSENSEQA_V1,
    SIQA,
    *GLUE,
    *SUPERGLUE,
)

ANLI_PLUS = Mixture(name="anli_plus", tasks=("mnli.en", "snli.en", "anli_r1.en", "anli_r2.en", "anli_r3.en"))
SUITE = (
    "mnli",
    "snli",
    "anli_r1",
    "anli_r2",
    "anli_r3",
    "qqp",
    "squad_v1",
    "squad_v2",
    "hellaswag",
    "ccg",
    "cosmosqa",
    "commonsenseqa",
)
# Multi-task intermediate training on all of X-STILTs' tasks, in proportion to their sizes; for those without
# CCGbank's licence, also without it.
STILTS = Mixture(name="stilts", tasks=tuple(f"{name}.en" for name in SUITE))
STILTS_OPEN = Mixture(name="stilts_open", tasks=tuple(task for task in STILTS.tasks if task != "ccg.en"))
