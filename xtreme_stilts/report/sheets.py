"""The report's tables before they are written: what stands in which cell, and what is said below.

A **sheet** is a table of scores, a **listing** one of plain text. Both are written by `html`, `markdown`, `latex` and
`tabular`, which escape every text. Terms as in `table` and `statistics`; besides:

- **judged**: one model of one study with its tables and what the statistics say of them (`judged.py`).
- **effect size**: Cohen's h for scores that are shares of examples (accuracy); Cohen's d of the seeds' differences for
  all others, and for averages over targets.
- **choice**: the best intermediate task of each target, honest (by English validation data) or oracle (by the very
  scores that are reported: an upper bound, no zero-shot result).
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import cells, statistics, table
from xtreme_stilts.report import published as published_scores
from xtreme_stilts.report.cells import Cell

ALPHA, POWER = 0.05, 0.8  # of the plans of `planned`
SEEDS_NEEDED = 2  # for a spread over seeds, and so for all that is made of one
ROW, CHOICE, CHANCE, PUBLISHED = "row", "choice", "chance", "published"  # kinds of lines
CHOICES: Mapping[str, str] = {
    statistics.HONEST: "best per target (English validation)",
    statistics.ORACLE: "best per target (oracle, not zero-shot)",
}


class Line(NamedTuple):
    """One row of a sheet."""

    heading: str
    cells: Sequence[Cell]  # one per column
    kind: str = ROW


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of scores."""

    name: str  # of its files, and of nothing else in a report
    title: str
    explained: str = ""  # half a sentence beside the title
    columns: tuple[str, ...]
    groups: tuple[str, ...]  # over the columns; equal neighbours are one; "" for none
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()  # sentences below

    def column(self, number: int) -> list[Cell]:
        """Its cells in the study's own rows."""
        return [line.cells[number] for line in self.lines if line.kind == ROW]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """A table of text; the first cell of a row is its heading."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------------
# Sheets of scores


def paper_sheet(
    shown: table.Table,
    *,
    name: str,
    title: str,
    explained: str,
    found: pd.DataFrame | None = None,
    choices: Mapping[str, pd.DataFrame] | None = None,
    published: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
    resamples: int = statistics.RESAMPLES,
) -> Sheet:
    """The paper's table: intermediates x targets, then the best of each target, chance and published scores.

    Args:
        shown: the table's numbers.
        name, title, explained: as in `Sheet`.
        found: of `statistics.significance`, by (row, column) in its index; of these rows and columns only.
        choices: of `statistics.best_intermediates`, by rule.
        published: of `published.published`; targets that the table lacks are left out.
        notes: further sentences below.
        resamples: draws of a bootstrap interval.
    """
    columns = list(shown.mean.columns)
    drawn = [_column(shown, column, found=found, effect=effect_of(column), resamples=resamples) for column in columns]
    lines = [Line(row, line) for row, line in zip(shown.mean.index, zip(*drawn, strict=True), strict=True)]
    for rule, chosen in (choices or {}).items():
        lines += _choice_lines(CHOICES[rule], chosen, columns)
    if shown.chance:
        lines.append(Line("chance", [Cell(score=shown.chance.get(column, math.nan)) for column in columns], CHANCE))
    below = [*table.legend(shown), *notes]
    if published is not None and (rows := _published_lines(published, columns)):
        lines += rows
        below += _sources(published, columns)
    return Sheet(
        name=name,
        title=title,
        explained=explained,
        columns=tuple(map(table.heading, columns)),
        groups=tuple("" if column == table.AVERAGE else table.group(column) for column in columns),
        lines=tuple(lines),
        notes=tuple(below),
    )


def language_sheet(
    by_language: table.Table,
    *,
    target: str,
    means: Mapping[str, table.Table],
    name: str,
    title: str,
    explained: str,
    found: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
    resamples: int = statistics.RESAMPLES,
) -> Sheet:
    """One target: intermediates x languages, means over languages first.

    Args:
        by_language: of `table.language_table`.
        target: the family.
        means: columns that are means over languages: heading -> a table that has the target as a column. The first one
            is the mean over all languages, which `found` has under `table.AVERAGE`.
        name, title, explained, notes, resamples: as in `paper_sheet`.
        found: as in `paper_sheet`, with languages for columns.
    """
    languages = [column for column in by_language.mean.columns if column != table.AVERAGE]
    shared = {"effect": effect_of(target), "resamples": resamples}
    drawn = [
        _column(each, target, found=found if number == 0 else None, place=table.AVERAGE, **shared)
        for number, each in enumerate(means.values())
    ]
    drawn += [_column(by_language, code, found=found, **shared) for code in languages]
    lines = [Line(row, line) for row, line in zip(by_language.mean.index, zip(*drawn, strict=True), strict=True)]
    return Sheet(
        name=name,
        title=title,
        explained=explained,
        columns=(*means, *languages),
        groups=("",) * (len(means) + len(languages)),
        lines=tuple(lines),
        notes=tuple(notes),
    )


def _column(
    shown: table.Table,
    column: str,
    *,
    effect: Callable[[pd.Series, pd.Series], float],
    resamples: int,
    found: pd.DataFrame | None = None,
    place: str | None = None,
) -> list[Cell]:
    """A column's cells with intervals, effect sizes and significance; `place`: its name in `found`."""
    by_seed = shown.by_seed(column)
    made = []
    for row in shown.mean.index:
        cell = table.cell(shown, row, column)
        own = by_seed.loc[row].dropna().to_numpy()
        if own.size > 1 and not cell.partial:
            spread = interval(own, resamples=resamples)
            cell = dataclasses.replace(cell, low=spread.low, high=spread.high)
        if not math.isnan(cell.delta):
            size = effect(by_seed.loc[row], by_seed.loc[shown.baselines[row]])
            cell = dataclasses.replace(cell, effect=size if math.isfinite(size) else math.nan)
            cell = _tested(cell, found, (row, column if place is None else place))
        made.append(cell)
    return made


def _tested(cell: Cell, found: pd.DataFrame | None, key: tuple[str, str]) -> Cell:
    if found is None or key not in found.index:
        return cell
    line = found.loc[key]
    return dataclasses.replace(
        cell,
        delta_low=float(line["low"]),
        delta_high=float(line["high"]),
        p=float(line["p"]),
        p_corrected=float(line["p_corrected"]),
        mark=line["mark"],
        examples=int(line["examples"]),
    )


def effect_of(target: str) -> Callable[[pd.Series, pd.Series], float]:
    """The effect size that suits a target's scores, of a row's and of its baseline's, percent, by seed."""
    known = table.TARGETS.get(target.removeprefix("mini_"))
    return _effect_of_shares if known is not None and known.metrics == ("accuracy",) else _effect_of_seeds


def _effect_of_shares(own: pd.Series, baseline: pd.Series) -> float:
    return statistics.cohens_h(float(own.mean()), float(baseline.mean()))


def _effect_of_seeds(own: pd.Series, baseline: pd.Series) -> float:
    return statistics.cohens_d((own - baseline).dropna())


def interval(values: np.ndarray, *, resamples: int) -> statistics.Spread:
    """`statistics.over_seeds`, without scipy's warnings where few seeds leave no interval: then it is NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return statistics.over_seeds(values, resamples=resamples)


def _choice_lines(heading: str, chosen: pd.DataFrame, columns: Sequence[str]) -> list[Line]:
    by_target = chosen.set_index("target")
    whole = int((by_target.drop(index=table.AVERAGE)["note"] == "").sum())
    names = by_target["intermediate"].astype(str).to_dict()
    names[table.AVERAGE] = "" if whole == len(columns) - 1 else f"{whole} of {len(columns) - 1} targets"
    line = [
        Cell(score=float(found["score"]), delta=float(found["difference"]), name=names[column])
        for column, found in ((column, by_target.loc[column]) for column in columns)
    ]
    return [] if all(math.isnan(each.score) for each in line) else [Line(heading, line, CHOICE)]


def _published_lines(published: pd.DataFrame, columns: Sequence[str]) -> list[Line]:
    lines = []
    for (model, intermediate, split), rows in published.groupby(["model", "intermediate", "split"], sort=False):
        line = [_published_cell(rows[rows["target"] == column], column, columns) for column in columns]
        if not all(math.isnan(each.score) and math.isnan(each.delta) for each in line):
            lines.append(Line(f"{model}, {intermediate} ({split})", line, PUBLISHED))
    return lines


def _published_cell(rows: pd.DataFrame, column: str, columns: Sequence[str]) -> Cell:
    by_metric = rows.set_index("metric")["value"]
    if column == table.AVERAGE:  # a mean over all of XTREME's targets stands beside nothing less
        whole = set(table.TARGETS) <= set(columns)
        return Cell(delta=float(by_metric.get(published_scores.DIFFERENCE, math.nan)) if whole else math.nan)
    metrics = table.primary_metrics(column, by_metric.index)
    if not metrics or not set(metrics) <= set(by_metric.index):
        return Cell()
    layers = sorted({f"layer {layer}, {pooling}" for layer, pooling in _layers(rows)})
    return Cell(score=float(by_metric[list(metrics)].mean()), name="; ".join(layers))


def _layers(rows: pd.DataFrame) -> Iterable[tuple[int, str]]:
    some = rows[rows["layer"].notna()]
    return zip(some["layer"], some["pooling"], strict=True)


def _sources(published: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Where the published lines come from."""
    named = []
    for source, rows in published.groupby("source", sort=False):
        if _published_lines(rows, columns):
            who = dict.fromkeys(f"{row.model}, {row.intermediate}" for row in rows.itertuples())
            named.append(f"{'; '.join(who)}: {source}")
    return [
        "Published scores (in brackets their source's own word for the split): " + ". ".join(named) + ".",
        "Published question answering shows the mean of exact match and F1, where both are published.",
    ]


# --------------------------------------------------------------------------------------------------
# Listings


def interval_listing(sheet: Sheet, *, name: str) -> Listing | None:
    """What a sheet's cells have no room for, one row a cell; None where no cell has more to say."""
    rows = []
    for line in sheet.lines:
        for heading, cell in zip(sheet.columns, line.cells, strict=True):
            if line.kind != ROW or (math.isnan(cell.low) and math.isnan(cell.p) and math.isnan(cell.effect)):
                continue
            written = cells.text(cell)
            difference = written.delta and f"{written.delta}{_range(cell.delta_low, cell.delta_high, sign=True)}"
            tested = ("", "") if math.isnan(cell.p) else (cells.p_text(cell.p), cells.p_text(cell.p_corrected))
            effect = "" if math.isnan(cell.effect) else f"{cell.effect:+.2f}"
            score = f"{written.score}{written.mark}{_range(cell.low, cell.high)}"
            rows.append((line.heading, heading, score, difference, effect, *tested, str(cell.seeds)))
    columns = ("row", "column", "score", "difference", "effect size", "p", "p corrected", "seeds")
    if not rows:
        return None
    return Listing(name=name, title=f"Intervals and effect sizes: {sheet.title}", columns=columns, rows=tuple(rows))


def _range(low: float, high: float, *, sign: bool = False) -> str:
    """An interval in brackets, or nothing."""
    if math.isnan(low):
        return ""
    return f" [{cells.signed(low)}, {cells.signed(high)}]" if sign else f" [{low:.1f}, {high:.1f}]"


class Plan(NamedTuple):
    """What a paired t test over seeds can see in one column."""

    column: str
    seeds: int  # that all rows have
    std: float  # points, over seeds, of the paired differences; NaN where it cannot be estimated
    detectable: float  # points
    needed: float  # seeds to see 1 point; infinite where 10,000 are too few, NaN where it cannot be told


def planned(shown: table.Table) -> list[Plan]:
    """Power of a table's comparisons, from its own spread.

    The spread is that of the rows' scores without the means of rows and seeds (randomised blocks, Fisher 1935), taken
    alike in all rows: for two rows the standard deviation of their paired differences.
    """
    plans = []
    for column in shown.mean.columns:
        scores = shown.by_seed(column).dropna(how="all").dropna(axis=1, how="any").to_numpy()
        rows, seeds = scores.shape
        if rows < 2:
            continue
        if seeds < 2:
            plans.append(Plan(table.heading(column), seeds, math.nan, math.nan, math.nan))
            continue
        left = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
        std = math.sqrt(2 * float((left**2).sum()) / ((rows - 1) * (seeds - 1)))
        plans.append(_plan(table.heading(column), seeds=seeds, std=std))
    return plans


def _plan(column: str, *, seeds: int, std: float) -> Plan:
    if std < 1e-9:  # rows that move together from seed to seed show any difference
        return Plan(column, seeds, 0.0, 0.0, 2)
    detectable = statistics.detectable_difference(seeds, std=std, alpha=ALPHA, wanted=POWER)
    try:
        needed = float(statistics.seeds_needed(1.0, std=std, alpha=ALPHA, wanted=POWER))
    except UserError:  # more than it counts to
        needed = math.inf
    return Plan(column, seeds, std, detectable, needed)


def power_listing(plans: Sequence[Plan], *, name: str) -> Listing | None:
    """What the study's spread and seeds can show; None where no column has two rows and two seeds."""
    plans = [plan for plan in plans if not math.isnan(plan.std)]
    if not plans:
        return None

    rows = [
        (plan.column, str(plan.seeds), f"{plan.std:.1f}", f"{plan.detectable:.1f}", _seeds(plan.needed))
        for plan in plans
    ]
    return Listing(
        name=name,
        title="What this study can show",
        columns=(
            "column",
            "seeds",
            "deviation of paired differences, points",
            "smallest difference seen, points",
            "seeds to see 1 point",
        ),
        rows=tuple(rows),
    )


def _seeds(number: float) -> str:
    return "> 10,000" if math.isinf(number) else f"{number:,.0f}"


def power_note(plans: Sequence[Plan]) -> str:
    """The listing in a few sentences: what could be seen, and in which columns seeds are too few to tell."""
    how = f"two-sided paired t test over seeds, level {100 * ALPHA:.0f} %, power {100 * POWER:.0f} %"
    known = [plan for plan in plans if not math.isnan(plan.std)]
    lacking = [plan for plan in plans if math.isnan(plan.std)]
    said = []
    if known:
        low, high = (pick(known, key=lambda plan: plan.detectable) for pick in (min, max))
        between, seeds = f"{low.detectable:.1f} points ({low.column})", _seeds(low.needed)
        if high is not low:
            between += f" to {high.detectable:.1f} points ({high.column})"
            seeds += "" if high.needed == low.needed else f" to {_seeds(high.needed)}"
        said.append(
            f"With this spread and these seeds, differences below {between} cannot be seen; to see 1 point takes "
            f"{seeds} seeds ({how}). The spread is itself an estimate from these seeds."
        )
    for shared in sorted({plan.seeds for plan in lacking}):
        columns = ", ".join(plan.column for plan in lacking if plan.seeds == shared)
        said.append(
            f"{columns}: no interval and no test over seeds, and no telling which differences could be seen: that "
            f"takes at least {SEEDS_NEEDED} seeds that all rows have, and there {_is(shared)}."
        )
    return " ".join(said)


def _is(seeds: int) -> str:
    return "is 1" if seeds == 1 else f"are {seeds or 'none'}"


# --------------------------------------------------------------------------------------------------
# What is said of the tests


TESTS: Mapping[str, str] = {
    "bootstrap": "paired bootstrap over examples and t distribution over seeds",
    "randomisation": "paired randomisation test of the trained models at hand",
}
CORRECTIONS: Mapping[str, str] = {
    "holm": "Holm's method, which bounds the chance of any false mark",
    "bh": "Benjamini and Hochberg's method, which bounds the expected share of false marks",
    "none": "none",
}


def notes_of_tests(
    shown: pd.DataFrame, *, together: pd.DataFrame, test: str, correction: str, resamples: int
) -> list[str]:
    """Sentences below a sheet about its marks.

    Args:
        shown: the lines of `statistics.significance` that the sheet shows.
        together: those whose p values were corrected together, the shown ones included.
        test, correction, resamples: as they were asked for.
    """
    refused = shown["test"].str.startswith(statistics.UNAVAILABLE)
    notes = []
    if not refused.all():
        seeds = sorted(shown.loc[~refused, "seeds"].unique())
        number = "1 seed" if seeds == [1] else f"{' or '.join(map(str, seeds))} seeds"
        marks = ", ".join(f"{mark}: p < {level:g}" for level, mark in reversed(statistics.MARKS))
        count = int(together["p"].notna().sum())
        notes.append(
            f"{marks}; two-sided, {TESTS[test]} ({resamples:,} resamples, {number}); correction over "
            f"{count} {'comparison' if count == 1 else 'comparisons'}: {CORRECTIONS[correction]}."
        )
    reasons = shown.loc[refused, "test"].str.removeprefix(statistics.UNAVAILABLE).value_counts()
    notes += [f"No mark for {count} of {len(shown)} differences: {reason}." for reason, count in reasons.items()]
    return notes
