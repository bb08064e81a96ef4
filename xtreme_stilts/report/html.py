"""The report as one page that needs nothing but itself, so it can be mailed, printed or kept.

`write_report` makes it from a study directory as a run does at its end; `outputs.write_all` from several, with the
same tables in other formats beside it. No scripts, nothing fetched. Every text that comes from data passes through
`element`, which escapes it; only `Html` is taken as markup.
"""

from __future__ import annotations

import html
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from xtreme_stilts.files import write_text
from xtreme_stilts.report import cells, sheets
from xtreme_stilts.report.cells import Cell
from xtreme_stilts.report.judged import Options
from xtreme_stilts.report.sections import Drawing, Folded, Maps, Notes, Picture, Plain, Report, Sentence, build
from xtreme_stilts.report.sheets import Line, Listing, Sheet
from xtreme_stilts.report.studies import open_study
from xtreme_stilts.report.style import CSS

PAGE = "index.html"
_LEAST_LIMIT = 2.0  # points at full colour, at least: differences of a few tenths must not look like findings
_MANY = 20  # columns; wider tables are set smaller on paper
_NUMBER = re.compile(r"[-+<> ]*\d|–?$")  # begins what is set to the right
_QUICK = 2000  # resamples of a page that a run waits for


class Html(str):
    """Markup that is known to be safe; any other string is text and gets escaped."""


def element(tag: str, *children: Any, **attributes: Any) -> Html:
    """An HTML element. Children that are not `Html` are escaped; attributes that are None are left out.

    Attribute names are written with `_` for `-` and a trailing `_` where Python has the word (`class_`).
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def join(children: Iterable[Any]) -> Html:
    """Several children as one; those that are not `Html` are escaped."""
    return Html("".join(child if isinstance(child, Html) else html.escape(str(child)) for child in children))


def write_report(
    study_dir: str | os.PathLike, *, split: str | None = None, chance: Mapping[str, float] | None = None
) -> epath.Path:
    """Writes `report/index.html` into a study directory, quickly (statistics with 2,000 resamples), and returns its
    path. A part that cannot be made is left out, and named on the page and on standard error.

    Args:
        study_dir: holds results.csv.
        split: the split to show; by default what `table.choose_variant` picks for each target.
        chance: percent a target's primary metric reaches by guessing, by target; by default as results.csv has it.

    Raises:
        UserError: results.csv is missing, damaged or holds no scores (yet), or config.json is damaged.
    """
    study = open_study(study_dir, chance=chance)
    report = build([study], Options(split=split, resamples=_QUICK))
    path = study.directory / "report" / PAGE
    write_text(path, render(report))
    report.tell_failures()
    return path


def try_report(study_dir: str | os.PathLike, *, chance: Mapping[str, float] | None = None) -> None:
    """`write_report` at the end of a run: its scores are safe, and no fault of a page may fail it. What goes wrong is
    told on standard error."""
    try:
        write_report(study_dir, chance=chance)
    except Exception as error:
        print(f"report: no page was written: {error}; try python -m xtreme_stilts.report {study_dir}", file=sys.stderr)


def render(report: Report, *, files: Sequence[str] = ()) -> Html:
    """The page as text. `files`: addresses of what is written beside it, linked at the end."""
    contents = [(f"s{number}", section.heading) for number, section in enumerate(report.sections)]
    body = [
        element("section", element("h2", heading, id=anchor), *_blocks(section.blocks))
        for (anchor, heading), section in zip(contents, report.sections, strict=True)
    ]
    if report.failures:
        heading = element("h2", "Left out", id="left-out")
        contents.append(("left-out", "Left out"))
        body.append(element("section", heading, _notes(report.failures)))
    links = element("nav", *(element("a", text, href=f"#{anchor}") for anchor, text in contents), aria_label="Contents")
    title = element("header", element("h1", report.title), element("p", report.subtitle, class_="soft"))
    made = f"Made from {report.source} by python -m xtreme_stilts.report."
    beside = [" ", *(part for name in files for part in (element("a", name, href=name), " "))] if files else []
    head = join(
        [
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", f"{report.title} – results"),
            Html(f"<style>{CSS}</style>"),
        ]
    )
    content = join([title, links, element("main", *body), element("footer", made, *beside)])
    return Html(f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{content}</body></html>\n')


def _blocks(blocks: Sequence[Any]) -> Iterator[Html]:
    """Markup of blocks; figures that stand together share a grid."""
    pictures: list[Html] = []
    for block in [*blocks, None]:
        if isinstance(block, Picture):
            pictures.append(_picture(block))
            continue
        if pictures:
            yield element("div", *pictures, class_="pictures")
            pictures = []
        if block is not None:
            yield _block(block)


def _block(block: Any) -> Html:
    match block:
        case Sentence():
            return element("p", block.text, class_="lead" if block.lead else "soft")
        case Notes():
            return _notes(block.lines)
        case Drawing():
            return element("figure", Html(block.svg))
        case Sheet():
            return _score_table(block)
        case Maps():
            return _maps(block.sheet)
        case Plain():
            return _plain_table(block.sheet)
        case Listing():
            return _listing(block)
        case Folded():
            return element("details", element("summary", block.summary), *_blocks(block.blocks))
    raise TypeError(f"no markup for {type(block).__name__}")


def _picture(block: Picture) -> Html:
    words = element("figcaption", element("strong", block.figure.title), " ", block.figure.caption)
    return element("figure", _scroll(Html(block.svg), label=block.figure.title), words)


# --------------------------------------------------------------------------------------------------
# The paper's table


def _score_table(sheet: Sheet) -> Html:
    columns = range(len(sheet.columns))
    starts = [i for i in columns if i == 0 or sheet.groups[i] != sheet.groups[i - 1]]
    group_row = []
    for at, end in zip(starts, [*starts[1:], len(columns)], strict=True):
        tag, scope = ("th", "colgroup") if sheet.groups[at] else ("td", None)
        group_row.append(element(tag, _capital(sheet.groups[at]), colspan=end - at, scope=scope, class_="start"))
    headings = [
        element("th", name, scope="col", class_="start" if i in starts else None)
        for i, name in enumerate(sheet.columns)
    ]
    limits = [_limit(cell.delta for cell in sheet.column(i)) for i in columns]
    rows = [_score_row(line, limits, starts) for line in sheet.lines]
    head = element(
        "thead",
        element("tr", element("td", ""), *group_row, class_="groups"),
        element("tr", element("th", "intermediate", scope="col"), *headings),
    )
    words = element("caption", element("span", sheet.title, element("span", f" – {sheet.explained}", class_="soft")))
    drawn = _scroll(element("table", words, head, element("tbody", *rows)), label=sheet.title)
    ramp = _ramp(
        "delta",
        f"cell colour: difference to the row compared with, full at the column's largest "
        f"(at least {_LEAST_LIMIT:.0f} points)",
    )
    coloured = any(not math.isnan(cell.delta) for line in sheet.lines for cell in line.cells)
    return join([drawn, ramp if coloured else "", _notes(sheet.notes)])


_CLASSES = {sheets.ROW: None, sheets.CHOICE: "choice", sheets.CHANCE: "chance", sheets.PUBLISHED: "published"}


def _score_row(line: Line, limits: Sequence[float], starts: Sequence[int]) -> Html:
    if line.kind == sheets.PUBLISHED:  # others' scores stay pale
        limits = [math.inf] * len(limits)
    drawn = [
        _score_cell(cell, limits[i], start=i in starts, named=line.kind == sheets.CHOICE)
        for i, cell in enumerate(line.cells)
    ]
    return _row(line.heading, drawn, class_=_CLASSES[line.kind])


def _score_cell(cell: Cell, limit: float, *, start: bool, named: bool) -> Html:
    text = cells.text(cell)
    classes = ["start"] if start else []
    if text.score == cells.MISSING and not text.delta:
        return element("td", text.score, class_=" ".join([*classes, "missing"]))
    children = [element("span", text.score + text.mark, class_="score")]
    if text.spread:
        children += [" ", element("span", text.spread, class_="spread")]
    kind, share = _colour(cell.delta, limit)
    if text.delta:
        direction = {"gain": "up", "loss": "down"}.get(kind, "even")
        classes += [kind] if kind else []
        children.append(element("span", text.delta.replace("-", "−"), class_=f"delta {direction}"))
    if named and cell.name:
        children.append(element("span", cell.name, class_="name"))
    if text.best:
        classes.append("best")
    told = cells.details(cell) or None
    return element("td", *children, class_=" ".join(classes) or None, style=share, title=told)


def _colour(delta: float, limit: float) -> tuple[str | None, str | None]:
    """Class and style of a difference: none where it rounds to nothing."""
    kind = None if math.isnan(delta) else {"+": "gain", "-": "loss"}.get(cells.signed(delta)[0])
    return kind, f"--t:{min(abs(delta) / limit, 1):.2f}" if kind else None


# --------------------------------------------------------------------------------------------------
# Maps by language


def _maps(sheet: Sheet) -> Html:
    parts = [_value_map(sheet)]
    if any(not math.isnan(cell.delta) for line in sheet.lines for cell in line.cells):
        parts.append(_delta_map(sheet))
    return join([*parts, _notes(sheet.notes)])


def _value_map(sheet: Sheet) -> Html:
    low, high = _range(cell.score for line in sheet.lines for cell in line.cells)
    rows = []
    for line in sheet.lines:
        drawn = []
        for cell in line.cells:
            if math.isnan(cell.score):
                drawn.append(_missing())
                continue
            text = cells.text(cell)
            share = (cell.score - low) / ((high - low) or 1)
            told = cells.details(cell) or None
            drawn.append(element("td", text.score + text.mark, class_="value", style=f"--t:{share:.2f}", title=told))
        rows.append(_row(line.heading, drawn))
    return join(
        [_heat(sheet.columns, rows, caption="Score", class_="heat means"), _ramp("value", f"{low:.1f} to {high:.1f}")]
    )


def _delta_map(sheet: Sheet) -> Html:
    lines = [line for line in sheet.lines if any(not math.isnan(cell.delta) for cell in line.cells)]
    limit = _limit(cell.delta for line in lines for cell in line.cells)
    rows = []
    for line in lines:
        drawn = []
        for cell in line.cells:
            kind, share = _colour(cell.delta, limit)
            text = cells.text(cell).delta.replace("-", "−")
            told = cells.details(cell) or None
            drawn.append(element("td", text, class_=kind, style=share, title=told) if text else _missing())
        rows.append(_row(line.heading, drawn))
    caption = "Difference to 'none'"
    limits = f"−{limit:.1f} to +{limit:.1f} points"
    return join([_heat(sheet.columns, rows, caption=caption, class_="heat means"), _ramp("delta", limits)])


def _heat(columns: Iterable[str], rows: Sequence[Html], *, caption: str, class_: str = "heat") -> Html:
    columns = list(columns)
    class_ += " many" if len(columns) > _MANY else ""
    headings = [element("th", name, scope="col") for name in columns]
    head = element("thead", element("tr", element("td", ""), *headings))
    words = element("caption", element("span", caption))
    return _scroll(element("table", words, head, element("tbody", *rows), class_=class_), label=caption)


def _plain_table(sheet: Sheet) -> Html:
    rows = []
    for line in sheet.lines:
        drawn = []
        for cell in line.cells:
            text = cells.text(cell)
            spread = [" ", element("span", text.spread, class_="spread")] if text.spread else []
            score = element("span", text.score + text.mark, class_="score")
            drawn.append(element("td", score, *spread, class_="best" if text.best else None))
        rows.append(_row(line.heading, drawn))
    return _heat(sheet.columns, rows, caption=sheet.title)


# --------------------------------------------------------------------------------------------------
# Text


def _listing(listing: Listing) -> Html:
    rows = [
        _row(heading, [element("td", text, class_=None if _NUMBER.match(text) else "words") for text in rest])
        for heading, *rest in listing.rows
    ]
    body = element("tbody", *rows)
    words = element("caption", element("span", listing.title))
    if not any(listing.columns):  # pairs of a name and what it is
        return join([element("table", words, body, class_="facts"), _notes(listing.notes)])
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in listing.columns)))
    drawn = element("table", words, head, body, class_="listing")
    return join([_scroll(drawn, label=listing.title), _notes(listing.notes)])


def _row(heading: str, drawn: Iterable[Html], *, class_: str | None = None) -> Html:
    return element("tr", element("th", heading, scope="row", title=heading), *drawn, class_=class_)


def _missing() -> Html:
    return element("td", cells.MISSING, class_="missing")


def _scroll(content: Html, *, label: str) -> Html:
    # A region that scrolls must be reachable by keyboard.
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def _ramp(kind: str, text: str) -> Html:
    return element("p", element("span", element("span", "", class_=f"ramp {kind}"), text), class_="key soft")


def _notes(lines: Sequence[str]) -> Html:
    return element("ul", *(element("li", line) for line in lines), class_="notes") if lines else Html("")


def _limit(deltas: Iterable[float]) -> float:
    """Points at which a delta has full colour."""
    return max(_LEAST_LIMIT, max(map(abs, _range(deltas))))


def _range(values: Iterable[float]) -> tuple[float, float]:
    finite = np.fromiter(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
