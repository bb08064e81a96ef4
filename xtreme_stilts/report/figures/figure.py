"""One figure of the report: for the page as inline SVG, for papers as PNG and PDF.

Figures are as wide as a phone's screen, so that the page never has to shrink their text. They are drawn with the
styles of `plots`; all text from data is set as it is, never as mathematics.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib
import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
from etils import epath

from xtreme_stilts.report import plots

WIDTH = 3.7  # inches: 355 pixels of a page
SMALL = 7  # points: labels within axes
_DPI = 200
_LETTER = 0.0072  # inches that a letter of one point takes on average


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """What it shows, and how to draw it.

    Nothing is drawn before it is asked for, and then once.
    """

    name: str  # of its files, without ending; no other figure of the report has it
    section: str  # heading it belongs under
    title: str  # one line
    caption: str  # what it shows, of how many, and what is missing
    draw: Callable[[], matplotlib.figure.Figure] = dataclasses.field(repr=False, compare=False)

    @functools.cached_property
    def drawn(self) -> matplotlib.figure.Figure:
        """The figure, laid out."""
        with self._style():
            drawing = self.draw()
            drawing.draw_without_rendering()
        drawing.set_layout_engine("none")  # it stays as it is: every format would lay it out anew
        return drawing

    def svg(self) -> str:
        """An `<svg>` element: text in currentColor, transparent ground, the title as its description."""
        with self._style():
            return plots.to_svg(self.drawn, self.title)

    def save(self, folder: str | os.PathLike) -> list[pathlib.Path]:
        """Writes NAME.png (200 dots per inch) and NAME.pdf on white ground; the same bytes every time.

        Returns:
            Their paths; `epath` ones where the folder is remote.
        """
        folder = epath.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Title": self.title}}
        paths = []
        with self._style():
            for kind, described in metadata.items():
                data = io.BytesIO()
                self.drawn.savefig(data, format=kind, dpi=_DPI, facecolor="white", metadata=described)
                paths.append(folder / f"{self.name}.{kind}")
                paths[-1].write_bytes(data.getvalue())
        return paths

    def renamed(self, name: str) -> Figure:
        """The same figure under another name."""
        return dataclasses.replace(self, name=name)

    def _style(self):
        own = {"svg.hashsalt": self.name, "font.size": 8, "axes.titlesize": 8, "axes.axisbelow": True}
        # TrueType in PDF: journals refuse matplotlib's default, Type 3. A second weight would double the time it takes.
        fonts = {"pdf.fonttype": 42, "axes.titleweight": "normal"}
        return matplotlib.rc_context(plots.STYLE | own | fonts)


def canvas(*, height: float, width: float = WIDTH) -> matplotlib.figure.Figure:
    """An empty figure; sizes in inches."""
    return matplotlib.figure.Figure(figsize=(width, height), layout="constrained")


def file_name(*parts: str) -> str:
    """Parts of a figure's name as one that every file system takes."""
    return re.sub("[^a-z0-9]+", "-", "-".join(filter(None, parts)).lower()).strip("-")


def key(
    figure: matplotlib.figure.Figure, style: Mapping[str, plots.Style], labels: Iterable[str], *, dots: bool = False
) -> float:
    """Puts a legend under the axes and makes the figure taller by its height, which is returned (inches).

    Args:
        figure: to put it in.
        style: of each label.
        labels: those drawn; the legend has them in the order of `style`. Of one only there is no legend.
        dots: show points instead of lines.
    """
    drawn = set(labels)
    labels = [label for label in style if label in drawn]
    if len(labels) < 2:
        return 0.0
    handles = [
        matplotlib.lines.Line2D(
            [],
            [],
            color=plots.drawn(style[label].colour),
            linestyle="none" if dots else style[label].dash,
            marker="o" if dots else None,
            markersize=3.5,
            linewidth=1.3,
        )
        for label in labels
    ]
    # Width of an entry: its line, the gaps, and the longest label.
    entry = 0.42 + _LETTER * SMALL * max(map(len, labels))
    columns = max(1, min(len(labels), int(figure.get_figwidth() / entry)))
    legend = figure.legend(
        handles,
        [f"label {number}" for number in range(len(labels))],  # a label that begins with "_" would be left out
        loc="outside lower center",
        ncols=columns,
        fontsize=SMALL,
        frameon=False,
        handlelength=2.2,
        columnspacing=1.0,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
    height = 0.15 + 0.14 * -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + height)
    return height


def heading(axes: matplotlib.axes.Axes, text: str) -> None:
    """A panel's title."""
    axes.set_title(text, parse_math=False, loc="left")


def listed(names: Sequence[str], *, most: int = 8) -> str:
    """Names in a sentence; of many the first, and how many more."""
    names = list(names)
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def count(number: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
