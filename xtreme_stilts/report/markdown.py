"""The report in GitHub's Markdown. Every text that comes from data passes through `escape`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xtreme_stilts.report import cells, sheets
from xtreme_stilts.report.cells import Cell
from xtreme_stilts.report.sections import Drawing, Folded, Maps, Notes, Picture, Plain, Report, Sentence
from xtreme_stilts.report.sheets import Listing, Sheet

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {character: f"\\{character}" for character in "\\|*_`[]$#~"}
)


def escape(text: str) -> str:
    """Text as text: no markup, no link, no formula, one line."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).translate(_ESCAPES)


def render(report: Report, *, images: Mapping[str, str]) -> str:
    """The report as text. `images`: address of each figure's picture, by the figure's name."""
    parts = [f"# {escape(report.title)}", escape(report.subtitle)]
    for section in report.sections:
        parts += [f"## {escape(section.heading)}", *_blocks(section.blocks, images)]
    if report.failures:
        parts += ["## Left out", _notes(report.failures)]
    parts.append(f"Made from {escape(report.source)} by `python -m xtreme_stilts.report`.")
    return "\n\n".join(filter(None, parts)) + "\n"


def _blocks(blocks: Sequence[Any], images: Mapping[str, str]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Sentence():
                yield f"**{escape(block.text)}**" if block.lead else escape(block.text)
            case Notes():
                yield _notes(block.lines)
            case Folded():
                yield f"<details><summary>{escape(block.summary)}</summary>"
                yield from _blocks(block.blocks, images)
                yield "</details>"
            case Picture() if block.figure.name in images:
                yield f"![{escape(block.figure.title)}]({images[block.figure.name]})"
                yield f"{escape(block.figure.title)}: {escape(block.figure.caption)}"
            case Sheet() | Maps() | Plain():
                sheet = block if isinstance(block, Sheet) else block.sheet
                yield f"**{escape(sheet.title)}**" + (f" – {escape(sheet.explained)}" if sheet.explained else "")
                yield to_markdown(sheet)
            case Listing():
                yield f"**{escape(block.title)}**"
                yield to_markdown(block)
            case Drawing():  # says what the table beside it does
                pass


def to_markdown(made: Sheet | Listing) -> str:
    """A table, its notes below as a list; best scores in bold, lines that are no rows of the study in italics."""
    if isinstance(made, Listing):
        columns, rows = made.columns, [[escape(text) for text in row] for row in made.rows]
        rules = ["---"] * len(columns)
    else:
        columns = ("intermediate", *made.columns)
        rows = [
            [_heading(line), *(_cell(cell, named=line.kind == sheets.CHOICE) for cell in line.cells)]
            for line in made.lines
        ]
        rules = ["---", *["---:"] * len(made.columns)]
    lines = [_line(map(escape, columns)), _line(rules), *map(_line, rows)]
    return "\n".join(lines) + ("\n\n" + _notes(made.notes) if made.notes else "")


def _heading(line: sheets.Line) -> str:
    return escape(line.heading) if line.kind == sheets.ROW else f"*{escape(line.heading)}*"


def _cell(cell: Cell, *, named: bool) -> str:
    text = cells.text(cell)
    score = f"**{text.score}**" if text.best else text.score + escape(text.mark)
    name = escape(cell.name) if named else ""
    return " ".join(filter(None, [score, text.spread, text.delta and f"({text.delta})", name]))


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _notes(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)
