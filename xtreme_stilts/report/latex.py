r"""The report's tables in LaTeX, for a paper: `\input{main.tex}` after `\usepackage{booktabs}`.

Files are ASCII, so that every engine reads them. Each text that comes from data passes through `escape`; a character
that has no command in plain LaTeX is written by its Unicode number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from xtreme_stilts.report import cells, sheets
from xtreme_stilts.report.cells import Cell
from xtreme_stilts.report.sheets import Line, Listing, Sheet

_COMMANDS = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    "\\": "\\textbackslash{}",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "'": "\\textquotesingle{}",
    "`": "\\textasciigrave{}",
    "-": "-{}",  # two would become a dash
    "[": "{[}",  # after a line's end it would be an argument
    "]": "{]}",
    "*": "{*}",
    "±": "$\\pm$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "†": "$^{\\dagger}$",
    "‡": "$^{\\ddagger}$",
    "·": "$\\cdot$",
    "×": "$\\times$",
    "…": "\\dots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "ß": "\\ss{}",
    "ø": "\\o{}",
    "Ø": "\\O{}",
    "ł": "\\l{}",
    "Ł": "\\L{}",
    "æ": "\\ae{}",
    "Æ": "\\AE{}",
    "œ": "\\oe{}",
    "ı": "\\i{}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}


def escape(text: str) -> str:
    """Text as text, in ASCII, on one line."""
    return "".join(map(_character, " ".join(text.split())))


def _character(character: str) -> str:
    if character in _COMMANDS:
        return _COMMANDS[character]
    if " " <= character <= "~":
        return character
    if unicodedata.category(character).startswith("C"):  # control characters
        return " "
    letter, *marks = unicodedata.normalize("NFD", character)
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{letter}}}"
    return f"\\texttt{{U+{ord(character):04X}}}"


def to_latex(made: Sheet | Listing) -> str:
    """A `tabular` in booktabs' style with its title and notes as comments; a sheet's best scores in bold."""
    head = [f"% {escape(made.title)}", "% needs \\usepackage{booktabs}"]
    notes = [f"% {escape(note)}" for note in made.notes]
    body = _listing(made) if isinstance(made, Listing) else _sheet(made)
    return "\n".join([*head, *body, *notes]) + "\n"


def _listing(listing: Listing) -> list[str]:
    heading = [_line(map(escape, listing.columns)), "\\midrule"] if any(listing.columns) else []
    return _tabular("l" * len(listing.columns), [*heading, *(_line(map(escape, row)) for row in listing.rows)])


def _sheet(sheet: Sheet) -> list[str]:
    lines = []
    if any(sheet.groups):
        lines += _group_lines(sheet.groups)
    lines += [_line(map(escape, ("intermediate", *sheet.columns))), "\\midrule"]
    for before, line in zip([None, *sheet.lines], sheet.lines, strict=False):
        if before is not None and before.kind != line.kind:
            lines.append("\\midrule")
        lines.append(_line([_heading(line), *(_cell(cell, line) for cell in line.cells)]))
    return _tabular("l" + "r" * len(sheet.columns), lines)


def _group_lines(groups: Sequence[str]) -> list[str]:
    starts = [i for i, name in enumerate(groups) if i == 0 or name != groups[i - 1]]
    spans, rules = [""], []
    for start, end in zip(starts, [*starts[1:], len(groups)], strict=True):
        spans.append(f"\\multicolumn{{{end - start}}}{{c}}{{{escape(groups[start])}}}")
        if groups[start]:
            rules.append(f"\\cmidrule(lr){{{start + 2}-{end + 1}}}")
    return [_line(spans), "".join(rules)]


def _heading(line: Line) -> str:
    return escape(line.heading) if line.kind == sheets.ROW else f"\\emph{{{escape(line.heading)}}}"


def _cell(cell: Cell, line: Line) -> str:
    text = cells.text(cell)
    score = escape(text.score + text.mark)
    score = f"\\textbf{{{score}}}" if text.best else score
    delta = text.delta and f"({escape(text.delta.replace('-', '−'))})"
    name = escape(cell.name) if line.kind == sheets.CHOICE else ""
    return " ".join(filter(None, [score, escape(text.spread), delta, name]))


def _tabular(columns: str, lines: Iterable[str]) -> list[str]:
    return [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", *lines, "\\bottomrule", "\\end{tabular}"]


def _line(texts: Iterable[str]) -> str:
    return " & ".join(texts) + " \\\\"
