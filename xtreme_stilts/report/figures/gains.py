"""Gains: points that a row with intermediate training is above the row without, language by language.

A gain is the difference of two means over seeds of a target's primary metric in one language, as in the tables.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.colors
import matplotlib.figure
import numpy as np
import pandas as pd

from xtreme_stilts.report import cells, plots
from xtreme_stilts.report import table as tables
from xtreme_stilts.report.figures import figure as figure_lib
from xtreme_stilts.report.figures.figure import Figure
from xtreme_stilts.report.judged import disagreements
from xtreme_stilts.report.studies import Study

BY_LANGUAGE, BY_SIZE = "Gain by language", "Gain by model size"
_LEAST_LIMIT = 2.0  # points at full colour, at least: differences of a few tenths must not look like findings
_MOST_TEXT = 11  # columns: of more, cells are too narrow for numbers
_MOST = 0.55  # opacity at full colour, as in the page's tables: text on it stays readable


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One encoder of one study: rows can be compared within it."""

    study: Study
    model: str
    label: str  # tells it from other parts, in titles and names of files; "" where it is the only one
    baseline: str  # the row without intermediate training

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """Its results."""
        return self.study.frame[self.study.frame["model"] == self.model]

    @functools.cached_property
    def scores(self) -> pd.DataFrame:
        """Primary scores: columns intermediate, target, language, seed, value (percent)."""
        return tables.primary_scores(self.frame).frame

    @functools.cached_property
    def gains(self) -> pd.DataFrame:
        """float64[(target, language), intermediate]: points above the baseline, NaN where a side is missing; in the
        tables' order, without the baseline itself. Empty where there is no baseline."""
        means = self.scores.groupby(["target", "language", "intermediate"])["value"].mean().unstack("intermediate")
        if self.baseline not in means:
            return means.iloc[:0, :0]
        gains = means.drop(columns=self.baseline).sub(means[self.baseline], axis=0)
        names = [name for name in tables.order_intermediates(gains.columns) if gains[name].notna().any()]
        languages = tables.order_languages(gains.index.get_level_values("language"))
        order = [
            (target, language)
            for target in tables.order_targets(gains.index.get_level_values("target"))
            for language in languages
        ]
        return gains.reindex(index=[place for place in order if place in gains.index], columns=names).dropna(how="all")

    @functools.cached_property
    def rows(self) -> list[str]:
        """Its intermediates, the baseline first."""
        return sorted(set(self.frame["intermediate"]), key=lambda name: (name != self.baseline, name))

    def title(self, text: str) -> str:
        """A title that says of which part."""
        return f"{text} – {self.label}" if self.label else text

    def name(self, *words: str) -> str:
        """A file's name that says of which part."""
        return figure_lib.file_name(*words, self.label)

    def seeds(self, target: str | None = None) -> str:
        """How many seeds scores are means over, in words."""
        scores = self.scores if target is None else self.scores[self.scores["target"] == target]
        counts = scores.groupby(["intermediate", "target"])["seed"].nunique()
        low, high = int(counts.min()), int(counts.max())
        return figure_lib.count(high, "seed") if low == high else f"{low} to {high} seeds"


# --------------------------------------------------------------------------------------------------
# Heat maps


def heat_maps(part: Part) -> Iterator[Figure]:
    """Languages x intermediates: the mean over targets, then each target."""
    gains = part.gains
    if gains.empty:
        return
    targets = list(dict.fromkeys(gains.index.get_level_values("target")))
    if len(targets) > 1:
        yield from _average_map(part)
    for target in targets:
        table = gains.xs(target, level="target")
        lacking = int(table.isna().to_numpy().sum())
        caption = (
            f"Points above {part.baseline!r} in each of {figure_lib.count(len(table), 'language')}, mean over "
            f"{part.seeds(target)}."
        ) + _lacking(lacking)
        yield _heat_map(part, table, title=f"{tables.title(target)}: gain by language", name=target, caption=caption)


def _average_map(part: Part) -> Iterator[Figure]:
    whole = part.gains.dropna()  # a mean over other targets in every column would compare nothing
    if whole.empty:
        return
    by_language = whole.groupby("language")
    table = by_language.mean().reindex(tables.order_languages(whole.index.get_level_values("language")))
    numbers = by_language.size()
    labels = [f"{language} ({numbers[language]})" for language in table.index]
    left_out = len(part.gains) - len(whole)
    caption = (
        f"Points above {part.baseline!r}, mean over the targets that have the language (how many: in brackets) and "
        f"over {part.seeds()}. Languages with different targets do not compare across rows of the figure."
    )
    if left_out:
        caption += f" {figure_lib.count(left_out, 'pair')} of target and language that not every row has left out."
    title = "Mean over targets: gain by language"
    yield _heat_map(part, table.set_axis(labels), title=title, name="mean", caption=caption)


def _lacking(cells: int) -> str:
    return f" Without a score on either side: {figure_lib.count(cells, 'cell')}." if cells else ""


def _heat_map(part: Part, table: pd.DataFrame, *, title: str, name: str, caption: str) -> Figure:
    return Figure(
        name=part.name("gain", name),
        section=BY_LANGUAGE,
        title=part.title(title),
        caption=caption,
        draw=functools.partial(_draw_heat_map, table),
    )


def _draw_heat_map(table: pd.DataFrame) -> matplotlib.figure.Figure:
    rows, columns = table.shape
    longest = max(map(len, table.columns))
    width = min(figure_lib.WIDTH, 0.75 + 0.42 * columns)
    drawing = figure_lib.canvas(width=max(width, 2.4), height=0.55 + 0.045 * longest + 0.17 * rows)
    axes = drawing.subplots()
    values = table.to_numpy(np.float64)
    limit = max(_LEAST_LIMIT, float(np.nanmax(np.abs(values))))
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), cmap=_colours(), vmin=-limit, vmax=limit, linewidth=0)
    if columns <= _MOST_TEXT:
        size = 6.5 if columns <= 8 else 5.5
        for (row, column), value in np.ndenumerate(values):
            text = cells.MISSING if np.isnan(value) else cells.signed(value).replace("-", "−")
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size)
    else:
        bar = drawing.colorbar(mesh, ax=axes, orientation="horizontal", shrink=0.6, aspect=30, label="points")
        bar.outline.set_visible(False)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    turned = 90 if longest * columns > 36 else 0
    axes.set_xticks(np.arange(columns) + 0.5, list(table.columns), rotation=turned, fontsize=7, parse_math=False)
    axes.set_yticks(np.arange(rows) + 0.5, list(table.index), fontsize=7, parse_math=False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return drawing


def _colours() -> matplotlib.colors.Colormap:
    """Orange for losses over nothing to blue for gains, by opacity: it fits any ground."""
    loss, gain = (matplotlib.colors.to_rgb(plots.COLOURS[number]) for number in (1, 0))
    stops = [(0.0, (*loss, _MOST)), (0.5, (*loss, 0.0)), (0.5, (*gain, 0.0)), (1.0, (*gain, _MOST))]
    return matplotlib.colors.LinearSegmentedColormap.from_list("gains", stops)


# --------------------------------------------------------------------------------------------------
# Size


def by_size(parts: Sequence[Part]) -> Iterator[Figure]:
    """Average gain of every row against the encoder's parameters, where there are encoders of several sizes."""
    sizes = {number: size for number, part in enumerate(parts) if (size := parameters(part)) is not None}
    sized = [(parts[number], size) for number, size in sizes.items() if not parts[number].gains.empty]
    if len({size for _, size in sized}) < 2:
        return
    left_out = disagreements([part for part, _ in sized])
    shared = set.intersection(*({*part.gains.dropna().index} for part, _ in sized))
    shared = {(target, language) for target, language in shared if target not in left_out}
    if not shared:
        return
    points = pd.DataFrame(
        [
            (size, name, float(value))
            for part, size in sized
            for name, value in part.gains.loc[part.gains.index.isin(shared)].mean().items()
        ],
        columns=["parameters", "intermediate", "gain"],
    )
    targets = {target for target, _ in shared}
    encoders = ", ".join(f"{part.label or part.model} ({_rounded(size)})" for part, size in sized)
    lacking = [part.label or part.model for part in parts if part not in [known for known, _ in sized]]
    caption = (
        f"Points above {sized[0][0].baseline!r} against the encoder's parameters (heads not counted): {encoders}. Mean "
        f"over the {figure_lib.count(len(shared), 'pair')} of target and language that all of them have "
        f"({figure_lib.count(len(targets), 'target')})."
    )
    if lacking:
        caption += f" Parameters or gains not known: {figure_lib.listed(lacking)}."
    if left_out:
        caption += f" Not scored alike, left out: {figure_lib.listed(map(tables.title, left_out))}."
    title = "Gain against the encoder's size"
    draw = functools.partial(_draw_by_size, points, baseline=sized[0][0].baseline)
    yield Figure(name="gain-by-size", section=BY_SIZE, title=title, caption=caption, draw=draw)


def _draw_by_size(points: pd.DataFrame, *, baseline: str) -> matplotlib.figure.Figure:
    drawing = figure_lib.canvas(height=2.4)
    axes = drawing.subplots()
    style = plots.styles(tables.order_intermediates(points["intermediate"]))
    for name in style:
        line = points[points["intermediate"] == name].groupby("parameters")["gain"].mean()
        axes.plot(line.index, line, color=style[name].colour, linestyle=style[name].dash, marker="o", markersize=3)
    axes.axhline(0, color=plots.DRAWN_INK, linewidth=0.8)
    low, high = axes.get_ylim()
    if high - low < _LEAST_LIMIT:
        axes.set_ylim((low + high - _LEAST_LIMIT) / 2, (low + high + _LEAST_LIMIT) / 2)
    axes.set_xscale("log")
    sizes = sorted(points["parameters"].unique())
    axes.set_xticks(sizes, [_rounded(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("parameters")
    axes.set_ylabel(f"points above {baseline}", parse_math=False)
    figure_lib.key(drawing, style, style)
    return drawing


def parameters(part: Part) -> int | None:
    """Parameters of a part's encoder, pooler included; None where no run card of the study describes it.

    All phases of a study have the same encoder, so that with several models in its results it is not clear whose it is.
    """
    if len(part.study.models) > 1:
        return None
    for path in sorted((part.study.directory / "phases").glob("*/run_card.json")):
        try:
            return _parameters(json.loads(path.read_text(encoding="utf-8"))["encoder"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a card of another version
    return None


def _parameters(encoder: Mapping[str, Any]) -> int:
    """Counted from the fields of an `EncoderConfig`, whose module cannot be imported without JAX."""
    width, mlp, layers = (encoder[name] for name in ("hidden_size", "intermediate_size", "num_layers"))
    words = -(-encoder["vocab_size"] // encoder["vocab_multiple"]) * encoder["vocab_multiple"]
    tables = words + encoder["max_positions"] + encoder["position_offset"] + encoder["type_vocab_size"]
    attention, feed_forward, norm = 4 * (width + 1) * width, 2 * width * mlp + mlp + width, 2 * width
    pooler = (width + 1) * width
    # One norm beside the layers' two: after the embeddings, or (pre-norm) after the last layer.
    return width * tables + layers * (attention + feed_forward + 2 * norm) + norm + pooler


def _rounded(number: int) -> str:
    size, unit = next((size, unit) for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k"), (1, "")) if number >= size)
    return f"{number / size:.1f} {unit}" if unit == "B" else f"{number / size:.3g} {unit}".rstrip()
