"""How phases learned, and what they cost."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import matplotlib.figure
import numpy as np
import pandas as pd

from xtreme_stilts.report import plots
from xtreme_stilts.report import table as tables
from xtreme_stilts.report.figures import figure as figure_lib
from xtreme_stilts.report.figures.figure import Figure
from xtreme_stilts.report.figures.gains import Part
from xtreme_stilts.report.phases import INTERMEDIATE, KINDS, PRETRAINING, TARGET, Phase, Phases

CURVES, COST = "Learning curves", "Cost"
_LOSS = "loss"
# Drawn below the loss: the number that chose the checkpoint, else these beginnings of names.
_SELECTION = "validation/selection"
_VALIDATION = ("validation", "eval", "dev")


# --------------------------------------------------------------------------------------------------
# Learning curves


class _Logged(NamedTuple):
    """Curves of one chart: panel -> curves, labelled by row."""

    panels: Mapping[str, Sequence[plots.Curve]]
    unreadable: int  # lines


def learning_curves(part: Part, phases: Phases) -> Iterator[Figure]:
    """One figure per target, a line per row and seed; then one of the phases that only hand their encoder on."""
    style = plots.styles(part.rows, plain=[part.baseline])
    for target in tables.order_targets(part.frame["target"]):
        logged = _logged(list(phases.of(model=part.model, target=target)))
        if not logged.panels:
            continue
        rows = {curve.label for curves in logged.panels.values() for curve in curves}
        lacking = [row for row in part.rows if row not in rows]
        caption = f"Training: one line per row and seed, {part.seeds(target)}. {_explained(logged)}"
        if lacking:
            caption += f" Without a log: {figure_lib.listed(lacking)}."
        yield _curves_figure(
            part, logged, style=style, title=f"{tables.title(target)}: learning curves", name=target, caption=caption
        )
    first = [(phase.mixture, phase) for phase in phases.unscored()]
    logged = _logged(first)
    if logged.panels:
        caption = (
            f"{figure_lib.count(len(first), 'phase')} of pretraining and intermediate training, by what they train on. "
            f"{_explained(logged)} Losses of different tasks do not compare."
        )
        style = plots.styles(sorted(mixture for mixture, _ in first))
        title = "Pretraining and intermediate tasks: learning curves"
        yield _curves_figure(part, logged, style=style, title=title, name="intermediate phases", caption=caption)


def _logged(phases: Sequence[tuple[str, Phase]]) -> _Logged:
    panels: dict[str, list[plots.Curve]] = {}
    unreadable = 0
    for label, phase in phases:
        path = phase.folder / "metrics.jsonl"
        if not path.exists():
            continue
        log = plots.read_log(path)
        unreadable += log.unreadable
        for name in _shown(log):
            curve = log.series[name]
            panels.setdefault(name, []).append(plots.Curve(label=label, x=curve.x, y=curve.y))
    # A number that was logged once a phase is no curve.
    shown = [name for name in sorted(panels, key=_place) if max(len(curve.x) for curve in panels[name]) > 1]
    return _Logged(panels={name: panels[name] for name in shown}, unreadable=unreadable)


def _place(name: str) -> tuple[bool, str]:
    return name != _LOSS, name


def _shown(log: plots.Log) -> list[str]:
    validation = [name for name in log.series if name.startswith(_VALIDATION)]
    if _SELECTION in validation:
        validation = [_SELECTION]
    return [name for name in (_LOSS, *sorted(validation)[:2]) if name in log.series]


def _explained(logged: _Logged) -> str:
    text = "Long curves are drawn as means over neighbouring steps."
    if _SELECTION in logged.panels:
        text += (
            " Selection: the English validation score that chose the checkpoint, in percent; for masked language "
            "modelling minus the loss."
        )
    if logged.unreadable:
        text += f" {figure_lib.count(logged.unreadable, 'unreadable line')} of logs left out."
    return text


def _curves_figure(
    part: Part, logged: _Logged, *, style: Mapping[str, plots.Style], title: str, name: str, caption: str
) -> Figure:
    return Figure(
        name=part.name("curves", name),
        section=CURVES,
        title=part.title(title),
        caption=caption,
        draw=functools.partial(_draw_curves, logged.panels, style=style),
    )


def _draw_curves(
    panels: Mapping[str, Sequence[plots.Curve]], *, style: Mapping[str, plots.Style]
) -> matplotlib.figure.Figure:
    drawing = figure_lib.canvas(height=0.35 + 1.6 * len(panels))
    every = drawing.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, (name, curves) in zip(every, panels.items(), strict=True):
        for curve in map(plots.thinned, curves):
            look = style[curve.label]
            axes.plot(
                curve.x,
                curve.y,
                color=plots.drawn(look.colour),
                linestyle=look.dash,
                linewidth=1.1,
                alpha=0.85,
                marker="o" if len(curve.x) <= 12 else None,
                markersize=2.5,
            )
        axes.set_ylabel(name.rpartition("/")[2].replace("_", " "), parse_math=False)
    every[-1].set_xlabel("step")
    figure_lib.key(drawing, style, [curve.label for curves in panels.values() for curve in curves])
    return drawing


# --------------------------------------------------------------------------------------------------
# Cost


ALL_ROWS = "before all rows"
_SHADES = {PRETRAINING: plots.COLOURS[2], INTERMEDIATE: plots.COLOURS[4], TARGET: plots.COLOURS[0]}


class Cost(NamedTuple):
    """What training took."""

    table: pd.DataFrame  # float64[row, kind]; every row as if it were alone
    total: float  # of all phases, each once
    unknown: int  # phases that did not record it


def cost(part: Part, phases: Phases) -> Iterator[Figure]:
    """Tokens and chip-hours by row and kind of phase; training time where the number of chips is not recorded."""
    costs = {"million tokens": costs_of(part, phases, {phase: phase.tokens / 1e6 for phase in phases})}
    hours = {phase: phase.chip_hours for phase in phases}
    unit = "chip-hours"
    if all(map(math.isnan, hours.values())):
        hours, unit = {phase: phase.seconds / 3600 for phase in phases}, "hours of training"
    costs[unit] = costs_of(part, phases, hours)
    costs = {unit: found for unit, found in costs.items() if found.total > 0}
    if not costs:
        return
    totals = " and ".join(f"{found.total:,.3g} {unit}" for unit, found in costs.items())
    unknown = max(found.unknown for found in costs.values())
    caption = (
        f"What training took, by row, over all its seeds. A phase that several rows share counts in each of them; all "
        f"phases once took {totals}. Evaluation is not counted."
    )
    if "hours of training" in costs:
        caption += " The number of chips is not recorded, so time is the wall time of training."
    if unknown:
        caption += f" {figure_lib.count(unknown, 'phase')} did not record it."
    title = "Cost of training by row"
    draw = functools.partial(_draw_cost, {unit: found.table for unit, found in costs.items()})
    yield Figure(name=part.name("cost"), section=COST, title=part.title(title), caption=caption, draw=draw)


def costs_of(part: Part, phases: Phases, amounts: Mapping[Phase, float]) -> Cost:
    """Amounts summed over each row's phases: its targets' own, and the chains these began from."""
    behind: dict[tuple[str, str], set[str]] = {}
    for target in part.frame["target"].unique():
        for row, phase in phases.of(model=part.model, target=target):
            behind.setdefault((row, TARGET), set()).add(phase.fingerprint)
            for earlier in phases.chain(phase):
                place = (ALL_ROWS, PRETRAINING) if phases.is_pretraining(earlier) else (row, INTERMEDIATE)
                behind.setdefault(place, set()).add(earlier.fingerprint)
    by_fingerprint = {phase.fingerprint: amount for phase, amount in amounts.items()}
    table = pd.DataFrame(0.0, index=[*part.rows, ALL_ROWS], columns=list(KINDS))
    for (row, kind), fingerprints in behind.items():
        table.at[row, kind] = np.nansum([by_fingerprint[each] for each in fingerprints])
    used = set().union(*behind.values())
    trained = [by_fingerprint[each] for each in used if _trained(phases.by_fingerprint[each])]
    return Cost(
        table=table[table.sum(axis=1) > 0],
        total=float(np.nansum(trained)) if trained else 0.0,
        unknown=int(np.isnan(trained).sum()) if trained else 0,
    )


def _trained(phase: Phase) -> bool:
    """Whether it trained at all: a retrieval family is only evaluated."""
    return bool(phase.parent)


def _draw_cost(tables_by_unit: Mapping[str, pd.DataFrame]) -> matplotlib.figure.Figure:
    rows = max(map(len, tables_by_unit.values()))
    drawing = figure_lib.canvas(height=0.35 + (0.4 + 0.2 * rows) * len(tables_by_unit))
    every = drawing.subplots(len(tables_by_unit), squeeze=False)[:, 0]
    for axes, (unit, table) in zip(every, tables_by_unit.items(), strict=True):
        places = np.arange(len(table))[::-1]
        left = np.zeros(len(table))
        for kind in KINDS:
            axes.barh(places, table[kind], left=left, color=_SHADES[kind], height=0.65, alpha=0.85)
            left += table[kind].to_numpy()
        for place, total in zip(places, left, strict=True):
            axes.annotate(
                f"{total:,.3g}", (total, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
            )
        axes.set_yticks(places, list(table.index), parse_math=False, fontsize=7)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.14)
        axes.set_xlabel(unit)
    kinds = [kind for kind in KINDS if any(table[kind].sum() > 0 for table in tables_by_unit.values())]
    figure_lib.key(drawing, {kind: plots.Style(_SHADES[kind], "-") for kind in KINDS}, kinds, dots=True)
    return drawing
