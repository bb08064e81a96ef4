"""The report's figures, of one study or several.

Only what the data allow is drawn: a study with one target has no figure over targets, one without logs no learning
curves. Every caption says of how many languages, rows and seeds a figure is, and what it lacks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from xtreme_stilts.report import table as tables
from xtreme_stilts.report.fertility import Fertility, fertility
from xtreme_stilts.report.figures import gains, languages, retrieval, training
from xtreme_stilts.report.figures.figure import Figure
from xtreme_stilts.report.figures.gains import Part
from xtreme_stilts.report.phases import phases_of
from xtreme_stilts.report.studies import Study

__all__ = ["SECTIONS", "Figure", "figures"]

# In the order of a report.
SECTIONS = (gains.BY_LANGUAGE, gains.BY_SIZE, languages.SECTION, training.CURVES, retrieval.SECTION, training.COST)


def figures(studies: Sequence[Study], *, baseline: str = tables.BASELINE) -> list[Figure]:
    """All figures that these studies give, in the order of `SECTIONS`.

    What is read of a study's folder beside its results (logs, predictions, run cards, caches) may be missing or
    damaged: then it is left out, and the caption says so. Subword fertility is remembered in the study's report folder.

    Args:
        studies: as `studies.open_study` reads them.
        baseline: the row that gains are measured from.

    Raises:
        UserError: results that cannot be tabulated; see `table.primary_scores`.
    """
    phases = [phases_of(study) for study in studies]
    parts = [
        (Part(study=study, model=model, label=label, baseline=baseline), of_study)
        for study, of_study, labels in zip(studies, phases, _labels(studies), strict=True)
        for model, label in labels.items()
    ]
    found = [
        *(each for part, _ in parts for each in gains.heat_maps(part)),
        *gains.by_size([part for part, _ in parts]),
        *(each for part, _ in parts for each in languages.by_fact(part, measured=_fertility)),
        *(each for part, of_study in parts for each in training.learning_curves(part, of_study)),
        *(each for part, _ in parts for each in retrieval.by_layer(part)),
        *(each for part, of_study in parts for each in retrieval.mining(part, of_study)),
        *(each for part, of_study in parts for each in training.cost(part, of_study)),
    ]
    return _with_own_names(found)


def _labels(studies: Sequence[Study]) -> list[Mapping[str, str]]:
    """For each study, model -> what tells it from all others; nothing where there is only one."""
    names = [study.name for study in studies]
    if len(set(names)) < len(names):
        names = [f"{study.name} in {study.directory}" for study in studies]
    if len(studies) == 1:
        names = [""]
    return [
        {model: ", ".join(filter(None, [name, model if len(study.models) > 1 else ""])) for model in study.models}
        for name, study in zip(names, studies, strict=True)
    ]


def _fertility(part: Part) -> Mapping[str, Fertility]:
    """Of a part's languages, measured on its study's caches; nothing where they are not on this machine."""
    directory = part.study.directory
    named = part.study.config.get("cache_dir")
    if not named and "://" in os.fspath(directory):
        named = os.path.expanduser("~/.cache/xtreme_stilts")  # where studies in buckets keep them
    return fertility(
        named or directory / "cache",
        languages=set(part.frame["language"]),
        remembered=directory / "report" / "fertility.json",
    )


def _with_own_names(found: Sequence[Figure]) -> list[Figure]:
    """The same figures with no name twice: labels may differ in letters that file names lack."""
    taken: set[str] = set()
    named = []
    for figure in found:
        name, number = figure.name, 2
        while name in taken:
            name, number = f"{figure.name}-{number}", number + 1
        taken.add(name)
        named.append(figure if name == figure.name else figure.renamed(name))
    return named
