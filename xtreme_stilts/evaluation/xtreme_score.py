"""XTREME's averages: per task, per group, and overall, from scores per language.

As `evaluate.py` of google-research/xtreme: a task's value is the mean over its languages (English included)
of its metric, for question answering the mean of exact match and F1; a group is the mean of its tasks, shown
if all are there; the overall score is the plain mean of all tasks (not of the groups), shown if all are
there. A mean over fewer languages than the suite has is not comparable: it is reported with the languages
that are missing, and counts as absent for the rest.

Suites:

- `xtreme`: the nine tasks of XTREME (Hu et al. 2020).
- `xtreme_r`: XTREME-R (Ruder et al. 2021) has neither PAWS-X nor BUCC, but XCOPA, and more languages in UDPOS,
  PANX, Tatoeba and XQuAD. Its Mewsli-X and LAReQA cannot be scored here, so its retrieval group and its overall
  score are never given.
- `mini`: the nine tasks of the miniature, in the miniature's languages.

Tasks, languages and groups are those of the tables in `evaluate.py` (commit 838c13b), where XCOPA is in two
groups, `classification` and `multi_choice`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks import registry

GROUPS = {
    "classification": ("pawsx", "xnli"),
    "tagging": ("udpos", "panx"),
    "qa": ("xquad", "mlqa", "tydiqa"),
    "retrieval": ("bucc2018", "tatoeba"),
}
# The values whose mean is a task's score.
TASK_METRICS = {
    "xnli": ("accuracy",),
    "pawsx": ("accuracy",),
    "udpos": ("f1",),
    "panx": ("f1",),
    "xquad": ("exact_match", "f1"),
    "mlqa": ("exact_match", "f1"),
    "tydiqa": ("exact_match", "f1"),
    "bucc2018": ("f1",),
    "tatoeba": ("accuracy",),
    "xcopa": ("accuracy",),  # XTREME-R
}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What is averaged.

    Attributes:
        name: for messages.
        languages: task -> the languages it must have to be complete, in the order of tables.
        groups: group -> its tasks.
        unsupported: tasks that belong to the suite and cannot be scored here.
        prefix: `<prefix><task>` is the task's family.
    """

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: GROUPS)
    unsupported: tuple[str, ...] = ()
    prefix: str = ""


TASK_LANGUAGES = {family.name: family.languages for family in registry.suite("xtreme")}
XTREME = Suite(name="xtreme", languages=TASK_LANGUAGES)
MINI = Suite(
    name="mini",
    languages={task: registry.family(f"mini_{task}").languages for task in TASK_LANGUAGES},
    prefix="mini_",
)

_XTREME_R_ADDS = {
    "udpos": "lt pl uk wo ro",
    "panx": "qu pl uk az lt pa gu ro",
    "xquad": "ro",
    "tatoeba": "az lt pl uk ro",
}
XTREME_R = Suite(
    name="xtreme_r",
    languages={
        task: (*languages, *_XTREME_R_ADDS.get(task, "").split())
        for task, languages in TASK_LANGUAGES.items()
        if task not in ("pawsx", "bucc2018")
    }
    | {"xcopa": ("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh")},
    groups={
        "classification": ("xnli", "xcopa"),
        "tagging": GROUPS["tagging"],
        "qa": GROUPS["qa"],
        "retrieval": ("tatoeba", "mewslix"),
        "multi_choice": ("xcopa",),
    },
    unsupported=("mewslix", "lareqa"),
)
SUITES = {each.name: each for each in (XTREME, XTREME_R, MINI)}


def suite(name: str) -> Suite:
    """The suite of this name; raises UserError with the nearest name if there is none."""
    if name not in SUITES:
        raise UserError(f"suite: there is none called {name!r}; {did_you_mean(name, SUITES)}")
    return SUITES[name]


TaskScores = Mapping[str, Mapping[str, float]]  # {metric: {language: percent}}


@dataclass(frozen=True)
class TaskAverage:
    """A task's scores and means, in percent.

    Attributes:
        scores: {metric: {language: value}}, as given.
        averages: {metric: mean over the given languages}.
        value: the task's score: the mean of its metrics' averages.
        missing: the suite's languages for which there is no score.
    """

    scores: TaskScores
    averages: Mapping[str, float]
    value: float
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class XtremeScore:
    """All averages; groups and overall only where all they need is complete.

    Attributes:
        tasks, groups: by name; groups in percent.
        overall: percent; None unless every task of the suite is complete.
        absent: the suite's tasks that are not complete: no score at all, or languages missing.
    """

    tasks: Mapping[str, TaskAverage]
    groups: Mapping[str, float] = field(default_factory=dict)
    overall: float | None = None
    absent: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON: "overall", "groups" {group: value} and "tasks" {task: averages}.

        A task's averages are {metric: {language: value}, "avg_<metric>": value, "avg_metric": value}.

        A task with missing languages has "missing_languages" too; "overall" is null unless all tasks are
        complete.
        """
        tasks = {}
        for name, task in self.tasks.items():
            tasks[name] = {metric: dict(values) for metric, values in task.scores.items()}
            tasks[name] |= {f"avg_{metric}": value for metric, value in task.averages.items()}
            tasks[name]["avg_metric"] = task.value
            if task.missing:
                tasks[name]["missing_languages"] = list(task.missing)
        return {"overall": self.overall, "groups": dict(self.groups), "tasks": tasks}


def aggregate(scores: Mapping[str, TaskScores], *, suite: Suite = XTREME) -> XtremeScore:
    """All averages of {task: {metric: {language: percent}}}.

    Args:
        scores: any of the suite's tasks, each with at least the metrics of TASK_METRICS; others are averaged
            too.
        suite: decides what is complete.

    Raises:
        UserError: a task or language the suite does not have, a metric without scores, or a score that is not
            finite.
    """
    for task in scores:
        if task not in suite.languages:
            near = did_you_mean(task, suite.languages)
            raise UserError(f"scores: the suite {suite.name!r} has no task {task!r} that can be scored; {near}")
    tasks = {
        task: _average(task, scores[task], languages) for task, languages in suite.languages.items() if task in scores
    }
    complete = {name: task.value for name, task in tasks.items() if not task.missing}
    groups = {
        group: _mean(complete[name] for name in names)
        for group, names in suite.groups.items()
        if complete.keys() >= set(names)
    }
    absent = tuple(name for name in (*suite.languages, *suite.unsupported) if name not in complete)
    overall = None if absent else _mean(complete.values())
    return XtremeScore(tasks, groups, overall, absent)


def _average(task: str, scores: TaskScores, languages: Sequence[str]) -> TaskAverage:
    for metric in TASK_METRICS[task]:
        if not scores.get(metric):
            raise UserError(f"scores: {task} needs values of {metric!r}; found {sorted(scores)}")
    for metric, values in scores.items():
        for language, value in values.items():
            if language not in languages:
                raise UserError(f"scores: {task} has no language {language!r}; {did_you_mean(language, languages)}")
            if not math.isfinite(value):
                raise UserError(f"scores: {task}, {metric}, {language} is {value}; a finite number is needed")
    averages = {metric: _mean(values.values()) for metric, values in scores.items() if values}
    value = _mean(averages[metric] for metric in TASK_METRICS[task])
    missing = tuple(lang for lang in languages if any(lang not in scores[metric] for metric in TASK_METRICS[task]))
    return TaskAverage(scores, averages, value, missing)


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)
