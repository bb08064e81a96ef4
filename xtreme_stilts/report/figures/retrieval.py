"""Retrieval: where in the encoder languages meet, and how mining trades precision for recall."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.figure
import numpy as np
import pandas as pd
from etils import epath

from xtreme_stilts.report import plots
from xtreme_stilts.report import table as tables
from xtreme_stilts.report.figures import figure as figure_lib
from xtreme_stilts.report.figures.figure import Figure
from xtreme_stilts.report.figures.gains import Part
from xtreme_stilts.report.phases import Phases
from xtreme_stilts.report.results import BY_LAYER

SECTION = "Retrieval and mining"
_POINTS = 200  # a longer curve is drawn through this many of its points
_MOST_LANGUAGES = 12  # panels of a figure


# --------------------------------------------------------------------------------------------------
# Layers


def by_layer(part: Part) -> Iterator[Figure]:
    """Scores by hidden state, a panel for each pooling, a line per row; targets scored in one layer have none."""
    for target in tables.order_targets(part.frame["target"]):
        scores = tables.layer_scores(part.frame, target, model=part.model)
        if scores["layer"].nunique() < 2:
            continue
        of_target = part.frame[(part.frame["target"] == target) & part.frame["metric"].str.endswith(BY_LAYER)]
        languages = (part.frame[part.frame["target"] == target] if of_target.empty else of_target)["language"].nunique()
        metrics = " and ".join(tables.primary_metrics(target, part.frame["metric"]))
        caption = (
            f"{_capital(metrics)} in percent by hidden state (0: embeddings), mean over "
            f"{figure_lib.count(languages, 'language')} and {part.seeds(target)}. Layers that lack a language are left "
            "out. The tables show one layer, chosen without these scores."
        )
        title = f"{tables.title(target)} by layer"
        style = plots.styles(part.rows, plain=[part.baseline])
        yield Figure(
            name=part.name("layers", target),
            section=SECTION,
            title=part.title(title),
            caption=caption,
            draw=functools.partial(_draw_layers, scores, style=style, metric=metrics),
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:].replace("_", " ")


def _draw_layers(scores: pd.DataFrame, *, style: Mapping[str, plots.Style], metric: str) -> matplotlib.figure.Figure:
    poolings = sorted(scores["pooling"].unique(), key=lambda name: (name != "mean", name))
    drawing = figure_lib.canvas(height=2.3)
    every = drawing.subplots(1, len(poolings), sharey=True, squeeze=False)[0]
    for axes, pooling in zip(every, poolings, strict=True):
        for row, line in scores[scores["pooling"] == pooling].groupby("intermediate"):
            look = style[row]
            axes.plot(
                line["layer"].to_numpy(np.float64),
                line["value"].to_numpy(),
                color=plots.drawn(look.colour),
                linestyle=look.dash,
                linewidth=1.2,
                marker="o",
                markersize=2.5,
                alpha=0.85,
            )
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(f"layer, {pooling} pooling" if pooling else "layer", parse_math=False)
    every[0].set_ylabel(metric.replace("_", " "), parse_math=False)
    figure_lib.key(drawing, style, scores["intermediate"])
    return drawing


# --------------------------------------------------------------------------------------------------
# Mining


class Trade(NamedTuple):
    """Precision and recall of one set of mined pairs, percent, by falling threshold; its last point is what is scored.

    Below the threshold nothing is recorded.
    """

    precision: np.ndarray  # float64[points]
    recall: np.ndarray  # float64[points]


def trade(lines: Sequence[Mapping[str, Any]]) -> Trade | None:
    """From the predictions of a mining family; None where they name no gold pair, or no pair was mined.

    Pairs of equal margins enter together: no threshold parts them. Where margins are not recorded there is one point.
    """
    gold = sum(bool(line["gold"]) for line in lines)
    mined = [line for line in lines if line["mined"]]
    if not gold or not mined:
        return None
    margins = np.array([line.get("margin", np.nan) for line in mined], np.float64)
    order = np.argsort(-margins, kind="stable")
    right = np.cumsum([bool(mined[number]["gold"]) for number in order])
    # NaN equals nothing, so without margins every cut would be taken for one that a threshold can make.
    last = (
        np.append(np.diff(margins[order]) != 0, True)
        if np.isfinite(margins).all()
        else np.arange(len(mined)) + 1 == len(mined)
    )
    found = np.arange(1, len(mined) + 1)[last]
    return Trade(precision=100.0 * right[last] / found, recall=100.0 * right[last] / gold)


class _Mined(NamedTuple):
    row: str
    language: str
    trade: Trade


def mining(part: Part, phases: Phases) -> Iterator[Figure]:
    """Precision against recall as the threshold falls: a panel per language, a line per row and seed."""
    for target in tables.order_targets(part.frame["target"]):
        mined, unreadable = _mined(part, phases, target)
        languages = tables.order_languages(each.language for each in mined)
        if not languages:
            continue
        shown = languages[:_MOST_LANGUAGES]
        whole = any(len(each.trade.recall) > 1 for each in mined)
        caption = (
            f"Mined pairs of the test set, in percent, {part.seeds(target)}. "
            + ("Lines: as the threshold on the margin falls; " if whole else "Margins are not recorded; ")
            + "dots: at the threshold fitted on validation data, which is what is scored. Nothing is recorded below it."
        )
        rows = {each.row for each in mined}
        if lacking := [row for row in part.rows if row not in rows]:
            caption += f" Without mined pairs: {figure_lib.listed(lacking)}."
        if unreadable:
            caption += f" {figure_lib.count(unreadable, 'unreadable line')} of predictions left out."
        if len(languages) > len(shown):
            caption += f" Not drawn: {figure_lib.listed(languages[_MOST_LANGUAGES:])}."
        title = f"{tables.title(target)}: precision and recall"
        style = plots.styles(part.rows, plain=[part.baseline])
        yield Figure(
            name=part.name("mining", target),
            section=SECTION,
            title=part.title(title),
            caption=caption,
            draw=functools.partial(_draw_mining, mined, languages=shown, style=style),
        )


def _mined(part: Part, phases: Phases, target: str) -> tuple[list[_Mined], int]:
    found, unreadable = [], 0
    for row, phase in phases.of(model=part.model, target=target):
        for path in sorted((phase.folder / "evaluations" / target).glob("*.jsonl")):
            lines, broken = _read(path)
            unreadable += broken
            if lines and (traded := trade(lines)) is not None:
                found.append(_Mined(row=row, language=path.name.removesuffix(".jsonl"), trade=traded))
    return found, unreadable


def _read(path: epath.Path) -> tuple[list[dict[str, Any]], int]:
    """Lines of mined pairs, and how many lines cannot be read; none of either for other predictions."""
    lines, broken = [], 0
    for text in path.read_bytes().decode("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            broken += 1
            continue
        if not isinstance(line, dict) or not {"mined", "gold"} <= set(line):
            if not lines:
                return [], 0  # another kind of predictions
            broken += 1
            continue
        lines.append(line)
    return lines, broken


def _draw_mining(
    mined: Sequence[_Mined], *, languages: Sequence[str], style: Mapping[str, plots.Style]
) -> matplotlib.figure.Figure:
    columns = min(2, len(languages))
    rows = -(-len(languages) // columns)
    drawing = figure_lib.canvas(height=0.45 + 1.45 * rows)
    grid = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, language in zip(grid.flat, languages, strict=False):
        for each in mined:
            if each.language == language:
                look, points = style[each.row], _thinned(each.trade)
                colour = plots.drawn(look.colour)
                axes.plot(points.recall, points.precision, color=colour, linestyle=look.dash, linewidth=1.1, alpha=0.85)
                axes.plot(points.recall[-1:], points.precision[-1:], color=colour, marker="o", markersize=3.5)
        figure_lib.heading(axes, language)
    for axes in grid.flat[len(languages) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("precision")
    for column in range(columns):
        lowest = [axes for axes in grid[:, column] if axes.get_visible()][-1]
        lowest.set_xlabel("recall")
        lowest.tick_params(labelbottom=True)
    figure_lib.key(drawing, style, [each.row for each in mined])
    return drawing


def _thinned(traded: Trade) -> Trade:
    if len(traded.recall) <= _POINTS:
        return traded
    kept = np.unique(np.linspace(0, len(traded.recall) - 1, _POINTS).round().astype(int))
    return Trade(precision=traded.precision[kept], recall=traded.recall[kept])
