"""The whole report of one or several studies, in files:

index.html        one page that needs nothing but itself
report.md         the same in Markdown
tables/*.tex      each table in LaTeX (booktabs)
tables/*.csv      its numbers in full: one line per cell of a sheet, one per row of a listing
figures/*         each figure as PNG and PDF
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import os
from collections.abc import Sequence

from etils import epath

from xtreme_stilts.files import write_text
from xtreme_stilts.report import html, latex, markdown
from xtreme_stilts.report.cells import Cell
from xtreme_stilts.report.judged import Options, attempt
from xtreme_stilts.report.sections import Picture, Report, build, sheet_of
from xtreme_stilts.report.sheets import Listing, Sheet
from xtreme_stilts.report.studies import open_study

MARKDOWN = "report.md"
TABLES, FIGURES = "tables", "figures"


def write_all(
    directories: Sequence[str | os.PathLike], *, out: str | os.PathLike | None = None, options: Options | None = None
) -> epath.Path:
    """Writes the report of studies side by side.

    Args:
        directories: each holds results.csv.
        out: folder to write to; by default `report` in the first directory.
        options: what to show and how to test.

    Returns:
        The page. What could not be made is named on it and on standard error.

    Raises:
        UserError: no such study, split, model, test or correction; a damaged results.csv or config.json.
    """
    studies = [open_study(directory) for directory in directories]
    report = build(studies, options or Options())
    out = studies[0].directory / "report" if out is None else epath.Path(out)
    failures = list(report.failures)
    images = _write_figures(report, out / FIGURES, failures=failures)
    report = dataclasses.replace(report, failures=tuple(failures))
    tables = [made for made in map(sheet_of, report.blocks()) if made is not None]
    for made in tables:
        write_text(out / TABLES / f"{made.name}.tex", latex.to_latex(made))
        write_text(out / TABLES / f"{made.name}.csv", to_csv(made))
    write_text(out / MARKDOWN, markdown.render(report, images=images))
    path = out / html.PAGE
    write_text(path, html.render(report, files=(MARKDOWN,)))
    report.tell_failures()
    return path


def to_csv(made: Sheet | Listing) -> str:
    """A table's numbers: of a sheet one line per cell (row, its kind, column, then the fields of `Cell`, empty where
    they are not known), of a listing its rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if isinstance(made, Listing):
        writer.writerows([made.columns, *made.rows] if any(made.columns) else [("name", "value"), *made.rows])
        return text.getvalue()
    fields = [field.name for field in dataclasses.fields(Cell)]
    writer.writerow(["row", "kind", "column", *fields])
    for line in made.lines:
        for column, cell in zip(made.columns, line.cells, strict=True):
            values = [getattr(cell, name) for name in fields]
            writer.writerow([line.heading, line.kind, column, *("" if value != value else value for value in values)])
    return text.getvalue()


def _write_figures(report: Report, folder: epath.Path, *, failures: list[str]) -> dict[str, str]:
    """Writes the figures' files; the address of each one's PNG by its name."""
    images = {}
    for block in report.blocks():
        if isinstance(block, Picture):
            name = block.figure.name
            save = functools.partial(block.figure.save, folder)
            paths = attempt(f"Files of figure {name}", save, otherwise=[], failures=failures)
            for path in paths:
                if path.suffix == ".png":
                    images[name] = f"{FIGURES}/{path.name}"
    return images
