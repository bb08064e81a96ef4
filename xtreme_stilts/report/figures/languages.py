"""Gains beside what is known of the languages: family, script, pretraining text, subword fertility.

English is left out throughout: targets are trained in it. A language's gain is the mean over intermediate tasks, and
over the targets that have the language; because languages differ in these, correlations are also given target by
target. Ranks are correlated (Spearman), with a permutation test, exact for up to seven languages, since the usual
approximation of p asks for hundreds of observations (scipy.stats.spearmanr, notes).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd
import scipy.stats

from xtreme_stilts.report import plots
from xtreme_stilts.report import table as tables
from xtreme_stilts.report.fertility import Fertility
from xtreme_stilts.report.figures import figure as figure_lib
from xtreme_stilts.report.figures.figure import Figure
from xtreme_stilts.report.figures.gains import Part
from xtreme_stilts.report.language_facts import CORPORA, corpus_of, facts, pretraining_sizes

SECTION = "Gain and language"
FEWEST = 5  # languages: of four, no order has a probability below 0.05 (2 / 4!)
_RESAMPLES = 9999


class Correlation(NamedTuple):
    """Of ranks."""

    rho: float  # Spearman's; NaN of fewer than two values, or where one side is constant
    p: float  # two-sided, by permutation; NaN of fewer than FEWEST values
    n: int

    def __str__(self) -> str:
        if math.isnan(self.rho):
            return f"n = {self.n}: no correlation"
        found = f"ρ = {self.rho:+.2f}, n = {self.n}".replace("-", "−")
        if math.isnan(self.p):
            return f"{found}: too few to test"
        return f"{found}, p {'< 0.001' if self.p < 0.001 else f'= {self.p:.3f}'}"


def rank_correlation(x: np.ndarray, y: np.ndarray) -> Correlation:
    """Spearman's correlation of two aligned vectors without NaN.

    p is the share of all orders of one side (above seven values, of 9999 drawn with a fixed seed, and the one found)
    whose correlation is at least as far from 0, two-sided.
    """
    n = len(x)
    if n < 2 or len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return Correlation(rho=math.nan, p=math.nan, n=n)
    rho = float(scipy.stats.spearmanr(x, y).statistic)
    if n < FEWEST:
        return Correlation(rho=rho, p=math.nan, n=n)
    ranks = scipy.stats.rankdata(y)
    centred = ranks - ranks.mean()
    tested = scipy.stats.permutation_test(
        (scipy.stats.rankdata(x),),
        lambda shuffled, axis=-1: np.sum(shuffled * centred, axis=axis),  # rho, but for a constant factor
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return Correlation(rho=rho, p=float(tested.pvalue), n=n)


def mean_gains(part: Part) -> pd.Series:
    """float64 by (target, language): points, mean over the intermediates that have a gain in all of a target's
    languages; without English."""
    gains = part.gains
    if gains.empty:
        return pd.Series(dtype="float64")
    kept = gains[gains.index.get_level_values("language") != tables.SOURCE]
    parts = [rows.dropna(axis=1).mean(axis=1) for _, rows in kept.groupby("target", sort=False)]
    return pd.concat(parts).dropna() if parts else pd.Series(dtype="float64")


def by_fact(part: Part, *, measured: Callable[[Part], Mapping[str, Fertility]]) -> Iterator[Figure]:
    """Gains by family, by script, against pretraining text and against fertility, each where the data allow it.

    Args:
        part: the encoder and its results.
        measured: gives the fertility of a part's languages.
    """
    gains = mean_gains(part)
    languages = set(gains.index.get_level_values("language")) if len(gains) else set()
    if len(languages) < 2:
        return
    known = {language: facts(language) for language in languages}
    for name in ("family", "script"):
        of_language = {language: value for language in languages if (value := getattr(known[language], name))}
        yield from _by_group(part, gains, of_language, name=name)
    corpus = corpus_of(part.model, part.study.config)
    if corpus is not None:
        sizes = {language: size for language, size in pretraining_sizes(corpus).items() if language in languages}
        yield from _against(
            part, gains, sizes, name="pretraining text", x_label=CORPORA[corpus], note="Sources: language_facts.csv."
        )
    fertilities = measured(part)
    per_word = {language: each.value for language, each in fertilities.items() if not each.per_character}
    others = {language: f"{each.value:.2f}" for language, each in fertilities.items() if each.per_character}
    note = "Measured on the study's own test sets with its tokenizer."
    if others:
        told = ", ".join(map(" ".join, others.items()))
        note += f" Written without spaces, thus measured per character and not drawn: {told}."
    shown = gains[~gains.index.get_level_values("language").isin(list(others))]
    yield from _against(part, shown, per_word, name="subword fertility", x_label="subwords per word", note=note)


# --------------------------------------------------------------------------------------------------
# Groups


def _by_group(part: Part, gains: pd.Series, groups: Mapping[str, str], *, name: str) -> Iterator[Figure]:
    by_language = gains.groupby("language").mean()
    points = pd.DataFrame({"gain": by_language, "group": pd.Series(groups, dtype="str")}).dropna()
    sizes = points["group"].value_counts()
    if len(sizes) < 2 or sizes.max() < 2:
        return  # one group, or as many as languages
    caption = (
        f"Points above {part.baseline!r} by {name}: dots are languages ({len(points)}, English left out), bars the "
        f"means of groups. {_of_what(part, gains)} Not tested: {(sizes == 1).sum()} of {len(sizes)} groups have one "
        "language only."
    )
    caption += _unknown(by_language.index, points.index, what=name)
    title = f"Gain by {name}"
    yield Figure(
        name=part.name("gain by", name),
        section=SECTION,
        title=part.title(title),
        caption=caption,
        draw=functools.partial(_draw_groups, points, baseline=part.baseline),
    )


def _draw_groups(points: pd.DataFrame, *, baseline: str) -> matplotlib.figure.Figure:
    means = points.groupby("group")["gain"].mean().sort_values(ascending=False, kind="stable")
    drawing = figure_lib.canvas(height=0.75 + 0.27 * len(means))
    axes = drawing.subplots()
    labels = []
    for place, (group, mean) in enumerate(means.items()):
        rows = points[points["group"] == group]
        axes.plot([mean, mean], [place - 0.32, place + 0.32], color=plots.DRAWN_INK, linewidth=1.5)
        axes.plot(
            rows["gain"], np.full(len(rows), float(place)), "o", markersize=4, alpha=0.6, color=plots.COLOURS[0], mew=0
        )
        codes = sorted(rows.index)
        labels.append(f"{group} ({' '.join(codes) if len(codes) <= 4 else len(codes)})")
    axes.axvline(0, color=plots.DRAWN_INK, linewidth=0.8)
    axes.set_yticks(np.arange(len(means)), labels, fontsize=7, parse_math=False)
    axes.set_ylim(len(means) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"points above {baseline}", parse_math=False)
    return drawing


# --------------------------------------------------------------------------------------------------
# Numbers


def _against(
    part: Part, gains: pd.Series, values: Mapping[str, float], *, name: str, x_label: str, note: str
) -> Iterator[Figure]:
    """Scatter of one number per language, and its correlation with the gains of every target."""
    by_language = gains.groupby("language").mean()
    points = pd.DataFrame({"gain": by_language, "x": pd.Series(values, dtype="float64")}).dropna()
    if len(points) < 3 or points["x"].nunique() < 2:
        return
    overall = rank_correlation(points["x"].to_numpy(), points["gain"].to_numpy())
    correlations = {}
    for target, rows in gains.groupby("target", sort=False):
        of_target = rows.droplevel("target")
        shared = [language for language in of_target.index if language in points.index]
        found = rank_correlation(points.loc[shared, "x"].to_numpy(), of_target[shared].to_numpy())
        if not math.isnan(found.rho):
            correlations[tables.title(str(target))] = found
    tests = sum(not math.isnan(each.p) for each in (overall, *correlations.values()))
    caption = (
        f"Points above {part.baseline!r} against {name}, one dot per language (English left out): {overall}. "
        f"{_of_what(part, gains)} {note}"
    )
    if tests > 1:
        caption += f" p of {tests} tests, not corrected."
    caption += _unknown(by_language.index, points.index, what=name)
    title = f"Gain against {name}"
    yield Figure(
        name=part.name("gain against", name),
        section=SECTION,
        title=part.title(title),
        caption=caption,
        draw=functools.partial(
            _draw_against,
            points,
            correlations if len(correlations) > 1 else {},
            overall=overall,
            x_label=x_label,
            baseline=part.baseline,
        ),
    )


def _draw_against(
    points: pd.DataFrame,
    correlations: Mapping[str, Correlation],
    *,
    overall: Correlation,
    x_label: str,
    baseline: str,
) -> matplotlib.figure.Figure:
    below = 0.55 + 0.19 * len(correlations) if correlations else 0.0
    drawing = figure_lib.canvas(height=2.9 + below)
    if correlations:
        axes, bars = drawing.subplots(2, height_ratios=(2.9, below))
        _draw_correlations(bars, correlations)
    else:
        axes = drawing.subplots()
    axes.plot(points["x"], points["gain"], "o", markersize=3.5, alpha=0.7, color=plots.COLOURS[0], mew=0)
    if points["x"].max() > 20 * points["x"].min() > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.axhline(0, color=plots.DRAWN_INK, linewidth=0.8)
    axes.margins(0.08)
    axes.set_xlabel(x_label)
    axes.set_ylabel(f"points above {baseline}", parse_math=False)
    figure_lib.heading(axes, str(overall))
    _name_points(drawing, axes, points)
    return drawing


def _draw_correlations(axes: matplotlib.axes.Axes, correlations: Mapping[str, Correlation]) -> None:
    places = np.arange(len(correlations))[::-1]
    values = [each.rho for each in correlations.values()]
    axes.barh(places, values, height=0.3, color=[plots.COLOURS[0 if value >= 0 else 1] for value in values], alpha=0.85)
    axes.axvline(0, color=plots.DRAWN_INK, linewidth=0.8)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    labels = [f"{name}, n = {each.n}" for name, each in correlations.items()]
    axes.set_yticks(places, labels, fontsize=7, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for place, each in zip(places, correlations.values(), strict=True):
        told = "too few" if math.isnan(each.p) else "p < 0.001" if each.p < 0.001 else f"p = {each.p:.3f}"
        inward = 0.97 if each.rho < 0 else -0.97
        axes.text(inward, place, told, fontsize=6.5, va="center", ha="right" if each.rho < 0 else "left")
    axes.set_xlabel("rank correlation by target")


def _name_points(drawing: matplotlib.figure.Figure, axes: matplotlib.axes.Axes, points: pd.DataFrame) -> None:
    """Writes each language's code beside its dot, where it covers no other dot or code if there is such a place."""
    drawing.draw_without_rendering()  # settles where the axes are
    size = figure_lib.SMALL
    scale = drawing.dpi / 72
    dots = axes.transData.transform(points[["x", "gain"]].to_numpy())
    taken = [(x - 2.5 * scale, y - 2.5 * scale, x + 2.5 * scale, y + 2.5 * scale) for x, y in dots]
    for language, (x, y) in zip(points.index, dots, strict=True):
        width, height = 0.62 * size * scale * len(str(language)), 0.9 * size * scale
        places = []
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            left = x + dx * 4 * scale + (dx - 1) * width / 2
            bottom = y + dy * 4 * scale + (dy - 1) * height / 2
            box = (left, bottom, left + width, bottom + height)
            places.append((sum(_overlap(box, other) for other in taken), len(places), box))
        box = min(places)[2]
        taken.append(box)
        offset = ((box[0] - x) / scale, (box[1] - y) / scale)
        at = tuple(points.loc[language, ["x", "gain"]])
        axes.annotate(str(language), at, xytext=offset, textcoords="offset points", fontsize=size, parse_math=False)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Area that two boxes (left, bottom, right, top) share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)


def _of_what(part: Part, gains: pd.Series) -> str:
    targets = gains.index.get_level_values("target").nunique()
    rows = figure_lib.count(part.gains.shape[1], "intermediate task")
    over = f"those of {figure_lib.count(targets, 'target')} that have the language" if targets > 1 else "one target"
    return f"Mean over {rows}, {over} and {part.seeds()}."


def _unknown(languages: pd.Index, known: pd.Index, *, what: str) -> str:
    lacking = sorted(set(languages) - set(known))
    return f" {what.capitalize()} not known: {figure_lib.listed(lacking, most=12)}." if lacking else ""
