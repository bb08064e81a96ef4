"""Reports which evaluation examples of a study occur in its training data.

    python -m xtreme_stilts.contamination --config=configs/xtreme.py --config.data_dir=DIR [--json=OUT]
    python -m xtreme_stilts.contamination --train=squad_v1.en:validation --evaluate=xquad.en:test --data_dir=DIR

With a config, the training data are the training splits of all tasks of all its phases and, apart from them, the
validation splits that stop training; the evaluation data are the scored splits of all its targets and retrieval
families in the languages it asks for. `--train` (a task or mixture) and `--evaluate` (a task or family) name any
other pair and may be repeated; without `:SPLIT` they mean the training and the scored split.

What counts as overlap is said in `data/contamination.py`. A data set that is not prepared here is reported and does
not hide the others. Exit status: 0 done, whatever was found; 2 bad input (one sentence on standard error).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import rich.console
import rich.padding
import rich.table
import rich.text
from absl import flags, logging

from xtreme_stilts import flags as flags_lib
from xtreme_stilts import tasks
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.data import contamination
from xtreme_stilts.data.contamination import Overlap, Report, Source
from xtreme_stilts.errors import UserError
from xtreme_stilts.files import write_json

# Before TensorFlow is imported: its C++ start-up notes are not for users.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# For people; the JSON report has all.
_SHOWN_PAIRS = 30
_SHOWN_EXAMPLES = 10  # pairs
_SHOWN_IDS = 2  # of each pair


class Sources(NamedTuple):
    """What is compared."""

    train: list[Source]
    selection: list[Source]  # validation sets that stop training
    evaluation: list[Source]


# --------------------------------------------------------------------------------------------------
# Which sources


def study_sources(study: StudyConfig) -> Sources:
    """The training (and selection) data and the evaluation data of a study.

    Raises:
        UserError: a module, mixture, family or language of the config does not exist.
    """
    from xtreme_stilts.evaluation.zero_shot import languages_of  # imports JAX
    from xtreme_stilts.graph import check_names
    from xtreme_stilts.study import register

    register(study)
    check_names(study)
    chains = [mixture for chain in study.intermediates.values() for mixture in chain]
    targets = [tasks.family(name) for name in study.targets]
    mixtures = [*study.pretrain, *chains, *(family.train for family in targets)]
    trained = list(dict.fromkeys(task for mixture in mixtures for task in tasks.mixture(mixture).tasks))
    selected = [tasks.task(task).family.validation for task in trained]
    return Sources(
        train=[Source(task, "train") for task in trained],
        selection=[Source(task, "validation") for task in dict.fromkeys(selected) if task],
        evaluation=[
            source
            for family in (*targets, *map(tasks.family, study.retrieval))
            for language in languages_of(family, study=study)
            for source in _scored(family, language)
        ],
    )


def _scored(family: tasks.Family, language: str) -> list[Source]:
    """What is read to score a family in one language: for retrieval both sides."""
    own = family.task_name(language)
    names = [own, tasks.english_side(own)] if family.kind == "embedding" else [own]
    return [_task_source(tasks.task(name)) for name in names]


def named_sources(train: Iterable[str], evaluation: Iterable[str]) -> Sources:
    """The sources that `NAME[:SPLIT]` names.

    Args:
        train: tasks, mixtures, or families for the tasks they are trained on.
        evaluation: tasks, or families for all their languages.

    Raises:
        UserError: an unknown name or split.
    """
    trained, scored = [], []
    for text in train:
        name, _, split = text.partition(":")
        trained += [_checked(task, split or "train") for task in tasks.mixture(name).tasks]
    for text in evaluation:
        name, _, split = text.partition(":")
        found = _family_sources(name) or [_task_source(tasks.task(name))]
        scored += [_checked(source.task, split or source.split) for source in found]
    return Sources(trained, [], scored)


def _family_sources(name: str) -> list[Source]:
    """All that is scored of a family; nothing if `name` is none."""
    try:
        family = tasks.family(name)
    except UserError:
        return []
    return [source for language in family.languages for source in _scored(family, language)]


def _task_source(task: tasks.Task) -> Source:
    return Source(task.name, task.family.scored_split(task.language))


def _checked(task: str, split: str) -> Source:
    if tasks.task(task).family.source is not None:
        tasks.source_split(task, split)
    return Source(task, split)


# --------------------------------------------------------------------------------------------------
# For people


def print_report(report: Report, *, selection: Collection[Source] = (), console: rich.console.Console) -> None:
    """The pairs that overlap as tables, the others and what is not available as sentences.

    Args:
        selection: those of the training sets that are not trained on but stop training.
    """
    say = functools.partial(console.print, markup=False, soft_wrap=True)
    for heading, chosen in _ROLES.items():
        overlaps = [each for each in report.overlaps if (each.train in selection) == chosen]
        if overlaps:
            console.print(f"[bold]{heading}[/bold]")
            _print_pairs(overlaps, console=console)
            say()
    if report.found:
        console.print(_LEGEND)
    if short := _short(report):
        said = ", ".join(f"{name} {count:,}" for name, count in short.items())
        console.print(f"\nExamples too short to tell (under {contamination.SHORT} words): {said}.")
    if report.unavailable:
        say("\nNot available, so nothing is known of them:")
        for line in _missing(report):
            say(f"  {line}")
    if not report.overlaps:
        say("\nNothing was compared: training data, evaluation data or both are not available.")


_ROLES = {"Training data": False, "Selection data: validation sets that stop training": True}
_LEGEND = (
    "texts: distinct ones that were compared; exact: a training text is equal but for case, punctuation and spaces;"
    f" near: not exact, but {contamination.GRAM} words in a row are shared; covered: share of all words in shared runs"
    " and exact texts; affected: examples with an exact or near text."
)


def _print_pairs(overlaps: Sequence[Overlap], *, console: rich.console.Console) -> None:
    found = [overlap for overlap in overlaps if overlap.affected]
    found.sort(key=lambda overlap: -overlap.affected / overlap.examples)
    if found:
        console.print(_table(found[:_SHOWN_PAIRS]))
        if len(found) > _SHOWN_PAIRS:
            console.print(f"and {len(found) - _SHOWN_PAIRS} more pairs with smaller shares; --json=OUT has them all")
        console.print("such as, most covered first:")
        for overlap in found[:_SHOWN_EXAMPLES]:
            ids = " ".join(overlap.ids[:_SHOWN_IDS])
            console.print(f"  {overlap.train} {overlap.evaluation}: {ids}", markup=False, soft_wrap=True)
    clean = _clean(overlaps)
    if clean:
        console.print("no overlap:")
        for where, trains in clean.items():
            text = rich.text.Text(f"{', '.join(trains)}: {where}")
            console.print(rich.padding.Padding(text, (0, 0, 0, 2)))


def _table(found: Sequence[Overlap]) -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("found in", "evaluation data", "part"):
        table.add_column(heading, overflow="fold")
    for heading in ("texts", "exact", "near", "covered", "affected"):
        table.add_column(heading, justify="right", no_wrap=True)
    for overlap in found:
        heading = (str(overlap.train), str(overlap.evaluation))
        affected = f"{overlap.affected:,} of {overlap.examples:,}"
        for part in (each for each in overlap.parts if each.exact or each.near):
            numbers = (f"{part.texts:,}", f"{part.exact:,}", f"{part.near:,}", f"{part.covered:.1f} %")
            table.add_row(*heading, part.part, *numbers, affected)
            heading, affected = ("", ""), ""
    return table


def _clean(overlaps: Sequence[Overlap]) -> dict[str, list[str]]:
    """Evaluation sets (families, with languages if only some) -> the training sets that have nothing of them."""
    said: dict[str, list[str]] = {}
    for train in dict.fromkeys(overlap.train for overlap in overlaps):
        groups: dict[str, dict[str, bool]] = {}  # family and split -> language -> affected
        for overlap in overlaps:
            if overlap.train == train:
                found = tasks.task(overlap.evaluation.task)
                group = groups.setdefault(f"{found.family.name}:{overlap.evaluation.split}", {})
                group[found.language] = overlap.affected > 0
        parts = []
        for name, languages in groups.items():
            free = [language for language, affected in languages.items() if not affected]
            parts += [name if len(free) == len(languages) > 1 else f"{name} ({' '.join(free)})"] if free else []
        if parts:
            said.setdefault(", ".join(parts), []).append(str(train))
    return said


def _short(report: Report) -> dict[str, int]:
    """Family and split -> examples that were too short, over its languages."""
    by_set = {overlap.evaluation: overlap.short for overlap in report.overlaps if overlap.short}
    sums: collections.Counter[str] = collections.Counter()
    for source, count in by_set.items():
        sums[f"{tasks.task(source.task).family.name}:{source.split}"] += count
    return dict(sums)


def _missing(report: Report) -> list[str]:
    """One line for a family and split, with the languages and the first one's reason."""
    groups: dict[tuple[str, str], list[contamination.Unavailable]] = {}
    for each in report.unavailable:
        groups.setdefault((tasks.task(each.source.task).family.name, each.source.split), []).append(each)
    return [
        f"{family}:{split} ({' '.join(tasks.task(each.source.task).language for each in group)}): {group[0].reason}"
        for (family, split), group in groups.items()
    ]


# --------------------------------------------------------------------------------------------------
# The command


def _flags(argv: Sequence[str]) -> flags.FlagValues:
    """This command's flags, parsed; they are no other command's."""
    values = flags.FlagValues()
    flags_lib.define_config(values, argv=argv)
    for name, meaning in (
        ("train", "NAME[:SPLIT], a task or mixture; may be repeated."),
        ("evaluate", "NAME[:SPLIT], a task or family; may be repeated."),
    ):
        flags.DEFINE_multi_string(name, [], meaning, flag_values=values)
    for name, meaning in (
        ("data_dir", "Prepared TFDS data sets; empty: the config's, or TFDS's own default."),
        ("text_dir", "Folder of the text_file and parallel_file tasks."),
        ("manual_dir", "Folder of release files that the package's own builders read."),
        ("json", "Write the whole report to this file."),
    ):
        flags.DEFINE_string(name, "", meaning, flag_values=values)
    flags.DEFINE_boolean("help", False, "Say this and stop.", flag_values=values)
    flags_lib.no_more(flags_lib.parse(values, argv))
    return values


def _study(values: flags.FlagValues) -> StudyConfig:
    """The config's study, or an empty one where only pairs are given."""
    study = flags_lib.study_of(values.config) if values.config is not None else StudyConfig()
    if values.config is None and not (values.train and values.evaluate):
        raise UserError("nothing to compare: give --config=FILE, or --train=NAME and --evaluate=NAME")
    return study


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0, or 2 for bad input.

    Args:
        argv: the command line, the program's name first.
    """
    return flags_lib.answered(_run, argv)


def _run(argv: Sequence[str]) -> int:
    values = _flags(argv)
    if values.help:
        print(f"{__doc__}\n{values.get_help()}")
        return 0
    sources = _sources(_study(values), values)
    report = _compare(sources)
    if values.json:
        write_json(values.json, contamination.to_json(report))
    console = rich.console.Console(highlight=False, emoji=False)  # else ":train:" is drawn
    print_report(report, selection=sources.selection, console=console)
    return 0


def _sources(study: StudyConfig, values: flags.FlagValues) -> Sources:
    """What the command line and the config name, with the data where they say."""
    places = {name: values[name].value or getattr(study, name) for name in ("data_dir", "text_dir", "manual_dir")}
    study = dataclasses.replace(study, **places)
    tasks.configure(download=study.download, **places)
    named = named_sources(values.train, values.evaluate)
    asked = study_sources(study) if values.config is not None else Sources([], [], [])
    return Sources(*(ours + theirs for ours, theirs in zip(named, asked, strict=True)))


def _compare(sources: Sources) -> Report:
    from xtreme_stilts.quiet import native_stderr

    with native_stderr():
        import xtreme_stilts.tasks.seqio_tasks  # noqa: F401
    logging.set_verbosity(logging.WARNING)  # TFDS notes every file it opens
    with rich.console.Console(stderr=True).status("") as status:
        return contamination.compare([*sources.train, *sources.selection], sources.evaluation, note=status.update)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
