"""docs/errors.md: every case with the sentences that came back."""

from __future__ import annotations

import functools
import pathlib
import re
import tempfile

from tests.errors.cases import (
    command_lines,
    configs,
    data_files,
    launch_scripts,
    names,
    other_commands,
    studies,
    submissions,
    weights,
)
from tests.errors.harness import ROOT, Answer, Case, answer

FILE = ROOT / "docs" / "errors.md"
REWRITE = "python -m tests.errors"
AREAS = (
    command_lines,
    configs,
    names,
    data_files,
    weights,
    studies,
    submissions,
    other_commands,
    launch_scripts,
)
CASES: tuple[Case, ...] = tuple(case for area in AREAS for case in area.CASES)

_HEAD = f"""# What comes back for bad input

Every bad input is answered by a sentence (or one for each mistake) on standard error that says which field, file or
line is meant, what was found and what is valid, with the nearest valid name where a name is wrong. The exit status is
2, nothing was trained, and nothing written before is lost. These are {len(CASES)} bad inputs and the sentences that
came back; `tests/errors` gives each to the real command and makes this file (`{REWRITE}`). `tiny.py` is a config of
one small target, `my.py` one with a mistake in it; "…" stands for words of a library that differ between its versions.
"""

_FOLDERS = tempfile.TemporaryDirectory(prefix="errors-")  # removed when the process ends


@functools.cache
def answered(case_number: int) -> Answer:
    """What came back for `CASES[case_number]`; each case is run once."""
    folder = pathlib.Path(_FOLDERS.name) / str(case_number)
    folder.mkdir()
    return answer(CASES[case_number], folder)


def sentences(case: Case, found: Answer) -> list[str]:
    """The error sentences as they stand in the table."""
    return [re.sub(case.varies, "…", sentence) if case.varies else sentence for sentence in found.errors]


def table() -> str:
    """The whole file."""
    parts, number = [_HEAD], 0
    for area in AREAS:
        parts.append(f"\n## {area.TITLE}\n\n| given | command | what comes back |\n|---|---|---|\n")
        for case in area.CASES:
            told = "<br>".join(map(_cell, sentences(case, answered(number))))
            parts.append(f"| {_cell(case.given)} | `{_cell(case.command)}` | {told} |\n")
            number += 1
    return "".join(parts)


def _cell(text: str) -> str:
    """Text that means nothing to Markdown, but for code in backquotes."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return re.sub(r"__(\w+)__", r"\\_\\_\1\\_\\_", escaped)
