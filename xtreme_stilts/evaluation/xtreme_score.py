"""XTREME's averages: per task, per group, and overall, from scores per language.

As `evaluate.py` of google-research/xtreme: a task's value is the mean over its languages (English included)
of its metric, for question answering the mean of exact match and F1; a group is the mean of its tasks, shown
if all are there; the overall score is the plain mean of the nine tasks (not of the groups), shown if all nine
are there. A mean over fewer languages than XTREME has is not comparable: it is reported with the languages
that are missing, and counts as absent for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks import family

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
}
TASK_LANGUAGES = {task: family(task).languages for task in TASK_METRICS}

TaskScores = Mapping[str, Mapping[str, float]]  # {metric: {language: percent}}


@dataclass(frozen=True)
class TaskAverage:
    """A task's scores and means, in percent.

    Attributes:
        scores: {metric: {language: value}}, as given.
        averages: {metric: mean over the given languages}.
        value: the task's score: the mean of its metrics' averages.
        missing: XTREME's languages for which there is no score.
    """

    scores: TaskScores
    averages: Mapping[str, float]
    value: float
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class XtremeScore:
    """All averages; groups and overall only where all they need is complete."""

    tasks: Mapping[str, TaskAverage]
    groups: Mapping[str, float] = field(default_factory=dict)
    overall: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: "overall", "groups" {group: value} and "tasks" {task: averages}.

        A task's averages are {metric: {language: value}, "avg_<metric>": value, "avg_metric": value}.

        A task with missing languages has "missing_languages" too; "overall" is null unless all nine tasks are
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


def aggregate(
    scores: Mapping[str, TaskScores], *, languages: Mapping[str, Sequence[str]] = TASK_LANGUAGES
) -> XtremeScore:
    """All averages of {task: {metric: {language: percent}}}.

    Args:
        scores: any of XTREME's nine tasks, each with at least the metrics of TASK_METRICS; others are
            averaged too.
        languages: the languages each task must have to be complete.

    Raises:
        UserError: a task or language XTREME does not have, a metric without scores, or a score that is not
            finite.
    """
    tasks = {}
    for task in scores:
        if task not in TASK_METRICS:
            raise UserError(f"scores: XTREME has no task {task!r}; {did_you_mean(task, TASK_METRICS)}")
    for task in (name for name in TASK_METRICS if name in scores):
        tasks[task] = _average(task, scores[task], languages[task])
    complete = {name: task.value for name, task in tasks.items() if not task.missing}
    groups = {
        group: _mean(complete[name] for name in names)
        for group, names in GROUPS.items()
        if complete.keys() >= set(names)
    }
    overall = _mean(complete.values()) if complete.keys() == TASK_METRICS.keys() else None
    return XtremeScore(tasks, groups, overall)


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
