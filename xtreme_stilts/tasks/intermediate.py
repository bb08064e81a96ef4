"""English tasks to train on before the target: those of X-STILTs (Phang et al. 2020), GLUE and SuperGLUE.

Inputs and label orders follow jiant's tasks of the same names.
"""

from __future__ import annotations

import functools

from xtreme_stilts.tasks import choices, pairs, spans
from xtreme_stilts.tasks.preprocessors import labelled
from xtreme_stilts.tasks.registry import Family, Mixture
from xtreme_stilts.tasks.sources import Tfds
from xtreme_stilts.tasks.xtreme import NLI_CLASSES, NLI_LABELS


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

QQP = _pair_family("qqp", "glue/qqp:2.0.0", texts=("question1", "question2"), labels=("0", "1"), metric="accuracy_f1")

SQUAD_V1 = Family(
    name="squad_v1",
    kind="span",
    metric="squad_v1",
    max_length=384,
    source=Tfds(name="squad/v1.1:3.0.0"),
    splits={"train": "train", "validation": "validation"},
    convert=spans.squad,
)
SQUAD_V2 = Family(
    name="squad_v2",
    kind="span",
    metric="squad_v2",
    max_length=384,
    source=Tfds(name="squad/v2.0:3.0.0"),
    splits={"train": "train", "validation": "validation"},
    convert=spans.squad,
)

HELLASWAG = Family(
    name="hellaswag",
    kind="choice",
    metric="accuracy",
    num_choices=4,
    source=Tfds(name="hellaswag:1.1.0"),
    convert=choices.hellaswag,
)
COSMOSQA = Family(
    name="cosmosqa",
    kind="choice",
    metric="accuracy",
    num_choices=4,
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
    ),
    _pair_family("sst2", "glue/sst2:2.0.0", texts=("sentence",), labels=("negative", "positive")),
    _pair_family(
        "mrpc",
        "glue/mrpc:2.0.0",
        texts=("sentence1", "sentence2"),
        labels=("not_equivalent", "equivalent"),
        metric="accuracy_f1",
    ),
    Family(
        name="stsb",
        kind="regression",
        metric="pearson_spearman",
        source=Tfds(name="glue/stsb:2.0.0"),
        convert=functools.partial(pairs.regression, texts=("sentence1", "sentence2")),
    ),
    _pair_family("qnli", "glue/qnli:2.0.0", texts=("question", "sentence"), labels=_ENTAILMENT),
    _pair_family("rte", "glue/rte:2.0.0", texts=("sentence1", "sentence2"), labels=_ENTAILMENT),
)

SUPERGLUE = (
    _pair_family("boolq", "super_glue/boolq:1.0.2", texts=("passage", "question"), labels=("False", "True")),
    Family(
        name="wic",
        kind="classification",
        metric="accuracy",
        labels=("False", "True"),
        source=Tfds(name="super_glue/wic:1.0.2"),
        convert=functools.partial(pairs.word_in_context, names=("False", "True")),
    ),
    Family(
        name="copa",
        kind="choice",
        metric="accuracy",
        num_choices=2,
        source=Tfds(name="super_glue/copa:1.0.2"),
        convert=choices.copa,
    ),
)

# TFDS has no builder for these; only their miniatures are registered.
COMMONSENSEQA = Family(
    name="commonsenseqa", kind="choice", metric="accuracy", num_choices=5, convert=choices.commonsense_qa
)
SIQA = Family(name="siqa", kind="choice", metric="accuracy", num_choices=3, convert=choices.social_iqa)

FAMILIES = (MNLI, SNLI, *ANLI, QQP, SQUAD_V1, SQUAD_V2, HELLASWAG, COSMOSQA, *GLUE, *SUPERGLUE)

ANLI_PLUS = Mixture(name="anli_plus", tasks=("mnli.en", "snli.en", "anli_r1.en", "anli_r2.en", "anli_r3.en"))
# Multi-task intermediate training on all of X-STILTs' tasks that are here, in proportion to their sizes.
STILTS = Mixture(
    name="stilts",
    tasks=(*ANLI_PLUS.tasks, "qqp.en", "squad_v1.en", "squad_v2.en", "hellaswag.en", "cosmosqa.en"),
)
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
    "cosmosqa",
)
