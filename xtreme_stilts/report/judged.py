"""One model of one study with its tables and what the statistics say of them; what several must have in common.

Terms as in `table`, `statistics` and `sheets`. A **failure** is a part of the report that cannot be made: the report
says so in a sentence, and is written without it.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import pandas as pd

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.report import sheets, statistics, table
from xtreme_stilts.report.studies import Study

T = TypeVar("T")
# With fewer a test's p says nothing of rows: with one seed the bootstrap test does not know the seeds' part.
SEEDS_NEEDED: Mapping[str, int] = {"bootstrap": 2, "randomisation": 1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How studies are reported on.

    Raises:
        UserError: no such test or correction.
    """

    split: str | None = None  # shown; None = what `table.choose_variant` picks for each target
    model: str | None = None  # only this one; None = all
    correction: str = "holm"  # a name of statistics.CORRECTIONS
    test: str = "bootstrap"  # a name of statistics.TESTS
    resamples: int = statistics.RESAMPLES
    published: pd.DataFrame | None = None  # scores to set beside the studies' own

    def __post_init__(self):
        for name, valid in (("correction", statistics.CORRECTIONS), ("test", statistics.TESTS)):
            if getattr(self, name) not in valid:
                raise UserError(f"{name} is {getattr(self, name)!r}; {did_you_mean(getattr(self, name), valid)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """One model of one study."""

    study: Study
    model: str
    label: str  # tells it from the others of a report
    frame: pd.DataFrame  # its results
    everywhere: table.Table  # the paper's table
    zero_shot: table.Table  # the same without English
    found: pd.DataFrame  # as `statistics.significance`; no rows where it failed
    choices: Mapping[str, pd.DataFrame]  # by rule; lacks what failed
    plans: Sequence[sheets.Plan]  # power of the paper's table, column by column; none where it failed

    def average_lines(self) -> pd.DataFrame:
        """The significance of the paper's table."""
        return self.found[self.found["language"] == table.AVERAGE]

    def language_lines(self) -> pd.DataFrame:
        """The significance of the tables by language."""
        return self.found[self.found["language"] != table.AVERAGE]


def attempt(what: str, make: Callable[[], T], *, otherwise: T, failures: list[str]) -> T:
    """What `make` returns; where it fails, `otherwise`, and a sentence more in `failures`."""
    try:
        return make()
    except UserError as error:
        failures.append(f"{what}: {error}")
    except Exception as error:  # a report must not fail a finished study
        failures.append(f"{what}: {type(error).__name__}: {error}")
    return otherwise


def judge(studies: Sequence[Study], options: Options, *, failures: list[str]) -> list[Judged]:
    """Every model of every study, in order.

    Args:
        studies: at least one.
        options: how.
        failures: gets a sentence for each statistic that cannot be computed.

    Raises:
        UserError: no such scores or model, one directory twice, or two runs' scores in one place.
    """
    labels = _labels(studies)
    made = []
    for study in studies:
        models = study.models if options.model is None else [table.only_model(study.frame, options.model)]
        for model in models:
            label = _label(labels[str(study.directory)], model, alone=len(studies) == 1, several=len(study.models) > 1)
            made.append(_judge(study, model, label=label, options=options, failures=failures))
    return made


def _labels(studies: Sequence[Study]) -> dict[str, str]:
    """A name for each directory that no other one has."""
    folders = [os.path.abspath(study.directory) for study in studies]
    for folder, times in Counter(folders).items():
        if times > 1:
            raise UserError(f"{folder} is named {times} times; name each study once")
    names = Counter(study.name for study in studies)
    short = Counter(os.path.basename(folder) for folder in folders)
    labels = {}
    for study, folder in zip(studies, folders, strict=True):
        base = os.path.basename(folder)
        unique = study.name if names[study.name] == 1 else base if short[base] == 1 else folder
        labels[str(study.directory)] = unique
    return labels


def _label(study: str, model: str, *, alone: bool, several: bool) -> str:
    if alone:
        return model
    return f"{study}/{model}" if several else study


def _judge(study: Study, model: str, *, label: str, options: Options, failures: list[str]) -> Judged:
    frame = study.frame[study.frame["model"] == model]
    shared = {"model": model, "split": options.split, "chance": study.chance}
    none = pd.DataFrame(columns=list(statistics.COLUMNS))
    if table.BASELINE in set(frame["intermediate"]) and frame["intermediate"].nunique() > 1:
        found = attempt(
            f"{label}, significance", lambda: _significance(study, model, options), otherwise=none, failures=failures
        )
    else:
        found = none
    choices = {}
    if options.split is None and frame["intermediate"].nunique() > 2:  # of one row there is nothing to choose
        for rule in statistics.RULES:
            chosen = attempt(
                f"{label}, best row per target",
                lambda rule=rule: statistics.best_intermediates(study.directory, rule=rule, model=model),
                otherwise=None,
                failures=failures,
            )
            choices |= {} if chosen is None else {rule: chosen}
    everywhere = table.paper_table(frame, **shared)
    plans = attempt(f"{label}, power", lambda: sheets.planned(everywhere), otherwise=[], failures=failures)
    return Judged(
        study=study,
        model=model,
        label=label,
        frame=frame,
        everywhere=everywhere,
        zero_shot=table.paper_table(frame, exclude=(table.SOURCE,), **shared),
        found=found,
        choices=choices,
        plans=plans,
    )


def _significance(study: Study, model: str, options: Options) -> pd.DataFrame:
    """Of the differences shown, those with fewer seeds than the test needs and those of another split untested."""
    found = statistics.significance(
        study.directory, model=model, test=options.test, correction="none", resamples=options.resamples
    )
    tested = ~found["test"].str.startswith(statistics.UNAVAILABLE)
    needed = SEEDS_NEEDED[options.test]
    for seeds in sorted(found.loc[tested, "seeds"].unique()):
        if seeds < needed:
            _untest(found, tested & (found["seeds"] == seeds), _few_seeds(options.test, seeds))
    reported, shown = (
        table.primary_scores(study.frame, split=split).variants for split in (None, options.split)
    )  # predictions on disk are of the split that is reported
    other = [target for name, target in reported if name == model and _split(reported, shown, name, target)]
    _untest(found, found["target"].isin(other), "predictions are of another split")
    return statistics.corrected(found, options.correction)


def _split(reported: Mapping, shown: Mapping, model: str, target: str) -> bool:
    """Whether another split is shown than the reported one."""
    there = shown.get((model, target))
    return there is not None and there.split != reported[model, target].split


def _few_seeds(test: str, seeds: int) -> str:
    others = [name for name, needed in SEEDS_NEEDED.items() if needed <= seeds]
    instead = f" ({' and '.join(others)}, of the trained models alone, needs no more)" if others else ""
    return f"the {test} test needs at least {SEEDS_NEEDED[test]} seeds and there is {seeds}{instead}"


def _untest(found: pd.DataFrame, where: pd.Series, reason: str) -> None:
    found.loc[where, ["low", "high", "p"]] = float("nan")
    found.loc[where, "test"] = statistics.UNAVAILABLE + reason


# --------------------------------------------------------------------------------------------------
# Side by side


class Scored(Protocol):
    """The results of one model of one study, and a name for them."""

    frame: pd.DataFrame
    label: str


def disagreements(judged: Sequence[Scored], *, split: str | None = None) -> dict[str, str]:
    """Targets whose scores are not comparable, each with a sentence: which, where, what.

    Compared are metric, split and, by language, the number of examples. Layer and pooling of retrieval may differ:
    they go with the encoder's depth.
    """
    first: dict[str, tuple[str, _Evaluation]] = {}
    found: dict[str, str] = {}
    for each in judged:
        for target, evaluation in _evaluations(each, split=split):
            label, other = first.setdefault(target, (each.label, evaluation))
            if target in found or evaluation == other:
                continue
            found[target] = (
                f"{table.title(target)} is left out of the joint table: in {label} its scores are "
                f"{other.words(unlike=evaluation)}, in {each.label} {evaluation.words(unlike=other)}."
            )
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """What scores of a target are of."""

    metrics: tuple[str, ...]
    split: str
    examples: Mapping[str, tuple[int, ...]]  # by language

    def words(self, *, unlike: _Evaluation) -> str:
        """What is different here."""
        if self.metrics != unlike.metrics:
            return "/".join(self.metrics).replace("_", " ")
        if self.split != unlike.split:
            return f"of split {self.split!r}"
        codes = table.order_languages({**self.examples, **unlike.examples})
        code = next(code for code in codes if self.examples.get(code) != unlike.examples.get(code))
        if code not in self.examples:
            return f"not of language {code!r}"
        return f"of {' or '.join(f'{count:,}' for count in self.examples[code])} examples in {code!r}"


def _evaluations(judged: Scored, *, split: str | None) -> Iterator[tuple[str, _Evaluation]]:
    for (_, target), variant in table.primary_scores(judged.frame, split=split).variants.items():
        rows = judged.frame[judged.frame["target"] == target]
        metrics = table.primary_metrics(target, rows["metric"])
        rows = rows[rows["metric"].isin(metrics) & (rows["split"] == variant.split)]
        counts = {code: tuple(sorted(part.unique())) for code, part in rows.groupby("language")["examples"]}
        yield target, _Evaluation(metrics=metrics, split=variant.split, examples=counts)
