"""Tasks: what is trained on and evaluated, by name.

Every task yields the same features, the *text schema*, so that any of them can share a `seqio.Mixture`:

| kind | inputs | targets | starts |
|---|---|---|---|
| classification | text, or two | label string | |
| regression | text, or two | number as a string, "3.8" | |
| choice | context, choice 1, ..., choice C | 0-based number of the right choice, "2" | |
| tagging | words | one tag for each word | |
| span | question, context | answer texts; none = unanswerable | code point where each answer begins |
| mlm | text; or two, a translation pair | | |
| embedding | text | own side: ids of its English counterparts (`retrieval.py`) | |

plus `id`. `id` is a string scalar, `inputs` and `targets` are string vectors, `starts` an int32 vector.
Targets of an unlabelled row are empty.

`registry` says what there is without loading TensorFlow; `seqio_tasks` registers it all with seqio and reads
it.
"""

from __future__ import annotations

import sys

from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import cross_domain, intermediate, mini, reasoning, sources, text, translated, xtreme
from xtreme_stilts.tasks.files import add_task
from xtreme_stilts.tasks.mixing import MixtureConfig
from xtreme_stilts.tasks.registry import (
    Family,
    LabelsOf,
    Mixture,
    Share,
    Task,
    declare,
    english_side,
    families,
    family,
    mixture,
    mixture_of,
    mixtures,
    register_family,
    register_mixture,
    register_suite,
    source_split,
    source_version,
    suite,
    suites,
    task,
)
from xtreme_stilts.tasks.sources import Settings, settings

__all__ = [
    "Family", "LabelsOf", "Mixture", "MixtureConfig", "Settings", "Share", "Task", "add_task", "configure", "declare",
    "english_side", "families", "family", "mixture", "mixture_of", "mixtures", "register_family", "register_mixture",
    "register_suite", "settings", "source_split", "source_version", "suite", "suites", "task",
]  # fmt: skip


def configure(*, data_dir: str = "", download: bool = False, text_dir: str = "", manual_dir: str = "") -> Settings:
    """Says where data is on this machine; replaces what was said before.

    Args:
        data_dir: prepared TFDS data sets; empty = TFDS's own default.
        download: let TFDS download and prepare what is not there. Otherwise nothing is ever fetched.
        text_dir: folder of the `text_file` and `parallel_file` tasks (`text.py`); their languages are those
            found in it.
        manual_dir: folder with release files that the builders of `xtreme_stilts.datasets` read; a data set whose
            files are there is prepared in `data_dir` when it is first needed.

    Raises:
        UserError: `text_dir` is given and holds no corpora.
    """
    before = settings()
    sources.use(Settings(data_dir=data_dir, download=download, text_dir=text_dir, manual_dir=manual_dir))
    try:
        text.register_files()
    except UserError:
        sources.use(before)
        raise
    # Reading through seqio_tasks brings seqio's registries up to date by itself; this is for other readers.
    if seqio_tasks := sys.modules.get("xtreme_stilts.tasks.seqio_tasks"):
        seqio_tasks.register()
    return settings()


def _register_built_in() -> None:
    beyond = (*reasoning.FAMILIES, *cross_domain.FAMILIES, *translated.FAMILIES)
    for each in (*xtreme.FAMILIES, xtreme.UDPOS_UD, xtreme.MLQA_CROSS, *intermediate.FAMILIES, *beyond, *mini.FAMILIES):
        register_family(each)
    for each in text.text_of_families():
        register_family(each)
    text.register_files()
    register_suite("xtreme", (each.name for each in xtreme.FAMILIES))
    register_suite("xtreme_r", xtreme.XTREME_R)
    register_suite("glue", ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte"))
    register_suite("superglue", (each.name for each in intermediate.SUPERGLUE))
    register_suite("stilts", intermediate.SUITE)
    register_suite("reasoning", reasoning.SUITE)
    register_suite("cross_domain", cross_domain.SUITE)
    register_suite("mini", (each.name for each in mini.TARGETS))
    register_suite("mini_stilts", (each.name for each in mini.INTERMEDIATE))
    built_in = (
        intermediate.ANLI_PLUS,
        intermediate.STILTS,
        intermediate.STILTS_OPEN,
        xtreme.TRAIN,
        text.REAL_SMALL_TEXT,
    )
    for each in (*built_in, *mini.MIXTURES):
        register_mixture(each)


_register_built_in()
