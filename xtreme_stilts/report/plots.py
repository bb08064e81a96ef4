"""Figures as inline SVG: they take the page's text colour (so light, dark and paper all work) and its font.

Colours are Okabe and Ito's, told apart under the common colour-vision deficiencies; with more series than
colours the line style changes too. Nothing is drawn through pyplot, so no window system or global state is
touched.
"""

from __future__ import annotations

import dataclasses
import html
import io
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from etils import epath
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1")
DASHES = ("-", "--", ":", "-.")
INK = "currentColor"  # the page's text colour
DRAWN_INK = "#010203"  # stands for it until the SVG is written: matplotlib wants to know every colour
_POINTS = 60  # a long curve is drawn as this many means; more is noise at its size


class Style(NamedTuple):
    """How one series is drawn, everywhere on the page."""

    colour: str
    dash: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a panel."""

    label: str
    x: np.ndarray  # float64[points]
    y: np.ndarray  # float64[points]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bar:
    """One horizontal bar: a difference, and its spread where there are several seeds (NaN: none)."""

    label: str
    value: float
    spread: float
    text: str  # the value, as it is written at the bar's end


class Log(NamedTuple):
    """What a phase wrote while it trained: per number its steps and values, later lines of a step winning."""

    series: Mapping[str, Curve]
    unreadable: int  # lines that are not JSON objects: a run killed while writing leaves one


def styles(labels: Iterable[str], *, plain: Iterable[str] = ()) -> dict[str, Style]:
    """A style for every label, the same for the same labels; those in `plain` take the text's colour."""
    plain = dict.fromkeys(plain, Style(INK, DASHES[0]))
    others = {
        label: Style(COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)])
        for i, label in enumerate(label for label in dict.fromkeys(labels) if label not in plain)
    }
    return plain | others


def thinned(curve: Curve) -> Curve:
    """The curve as 60 means over neighbouring points; curves of up to 120 points stay as they are."""
    if len(curve.x) <= 2 * _POINTS:
        return curve
    parts = zip(np.array_split(curve.x, _POINTS), np.array_split(curve.y, _POINTS), strict=True)
    means = np.array([(x.mean(), y.mean()) for x, y in parts])
    return Curve(label=curve.label, x=means[:, 0], y=means[:, 1])


def read_log(path: str | os.PathLike) -> Log:
    """Reads a phase's metrics.jsonl: objects with `step` and numbers, those not finite left out."""
    values: dict[str, dict[int, float]] = {}
    unreadable = 0
    for line in epath.Path(path).read_bytes().decode("utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            step = int(entry.pop("step"))
        except (ValueError, TypeError, KeyError, AttributeError):
            unreadable += 1
            continue
        for name, value in entry.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                values.setdefault(name, {})[step] = float(value)
    series = {}
    for name, by_step in values.items():
        steps = np.array(sorted(by_step), np.float64)
        series[name] = Curve(label=name, x=steps, y=np.array([by_step[step] for step in steps]))
    return Log(series=series, unreadable=unreadable)


def delta_bars(bars: Sequence[Bar], *, x_label: str, description: str) -> str:
    """Differences to the baseline as horizontal bars, gains in blue and losses in orange as in the tables."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": description}):
        figure = Figure(figsize=(5.6, 0.6 + 0.3 * len(bars)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(bars))[::-1]
        values = np.array([bar.value for bar in bars])
        colours = [COLOURS[0] if value >= 0 else COLOURS[1] for value in values]
        axes.barh(places, values, color=colours, height=0.6, alpha=0.85)
        for place, bar in zip(places, bars, strict=True):
            if not math.isnan(bar.spread):
                axes.errorbar(bar.value, place, xerr=bar.spread, color=DRAWN_INK, linewidth=1, capsize=2.5)
            away = 0.0 if math.isnan(bar.spread) else bar.spread
            side = 1 if bar.value >= 0 else -1
            axes.annotate(
                bar.text,
                (bar.value + side * away, place),
                xytext=(4 * side, 0),
                textcoords="offset points",
                va="center",
                ha="left" if side > 0 else "right",
                fontsize=9,
            )
        axes.axvline(0, color=DRAWN_INK, linewidth=0.8)
        axes.set_yticks(places, [bar.label for bar in bars], parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.12)
        axes.set_xlabel(x_label)
        return to_svg(figure, description)


STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be selected, and takes the page's font
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "grid.color": DRAWN_INK,
    "text.color": DRAWN_INK,
    "axes.edgecolor": DRAWN_INK,
    "axes.labelcolor": DRAWN_INK,
    "axes.titlecolor": DRAWN_INK,
    "xtick.color": DRAWN_INK,
    "ytick.color": DRAWN_INK,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
}


def drawn(colour: str) -> str:
    """The colour to draw with for one of a `Style`."""
    return DRAWN_INK if colour == INK else colour


def to_svg(figure: Figure, description: str) -> str:
    """A figure as an `<svg>` element with this text for readers who cannot see it; its ink is currentColor."""
    # The salt set by the callers makes ids, and so the page, the same from run to run.
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    opening, rest = svg.split(">", 1)
    width, box = (re.search(rf'\b{name}="([^"]+)"', opening).group(1) for name in ("width", "viewBox"))
    # Ids that name parts of a figure repeat from figure to figure, and nothing refers to them.
    rest = re.sub(r' id="[A-Za-z][A-Za-z0-9.]*_\d+"', "", rest)
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}" '
        f'role="img" aria-label="{html.escape(description)}" style="width: {width}"'
    )
    return f"{opening}>{rest}".replace(DRAWN_INK, INK).strip()
