"""The results table of a study: one row per score, in long form, in one CSV file.

Every table and plot of this package is made from this file, and so are users' own notebooks. Terms:

- **score**: one metric of one target in one language on one split, for one seed of one row of the study.
- **intermediate**: the row of the study the score belongs to (`none`, `mnli`, `multi`, ...).
- **target**: the family evaluated (`xnli`, `tatoeba`, ...), **language** its ISO code.
- **key**: everything that says *which* score it is, that is all columns but `value`, `examples` and `steps`.
  A file holds at most one row per key.

Values are percentages (accuracy .5 is 50.0), written in full so that they read back bit for bit.

`layer` and `pooling` are empty except for retrieval, where they say which hidden states were compared (0 =
embeddings). The metrics `accuracy`, `f1`, ... of retrieval have one row per score there, too: the layer and pooling
that is reported. Under `accuracy_by_layer`, `f1_by_layer`, ... there is a row for every layer and pooling evaluated,
the reported one included. `accuracy_reverse` of Tatoeba is the direction that XTREME does not score, from the
language's own sentences to English.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import operator
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd
from etils import epath

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.files import write_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One score.

    Raises:
        UserError: a name is empty, a count is negative or no whole number, or the value is not finite.
    """

    model: str  # name of the encoder
    intermediate: str  # row of the study; "none" = straight from the encoder to the target
    target: str  # family
    language: str  # ISO code
    split: str
    metric: str  # accuracy, f1, exact_match, token_accuracy, ...
    value: float  # percent
    examples: int  # scored
    seed: int
    layer: int | None = None  # hidden state compared (retrieval only)
    pooling: str = ""  # how its tokens became one vector (retrieval only)
    steps: int = 0  # optimizer steps of the phase behind the score
    fingerprint: str = ""  # of the phase behind the score

    def __post_init__(self):
        for name in ("model", "intermediate", "target", "language", "split", "metric"):
            if not getattr(self, name):
                raise UserError(f"{name} is empty; every score must name its {name}")
        # Scores arrive as NumPy scalars too; plain numbers make equal scores equal text.
        object.__setattr__(self, "value", float(self.value))
        for name in ("examples", "seed", "layer", "steps"):
            if name == "layer" and self.layer is None:
                continue
            try:
                object.__setattr__(self, name, operator.index(getattr(self, name)))
            except TypeError:
                raise UserError(f"{name} is {getattr(self, name)!r}; it must be a whole number") from None
        if not math.isfinite(self.value):
            raise UserError(f"value is {self.value}; a score must be a finite number")
        for name in ("examples", "layer", "steps"):
            if (getattr(self, name) or 0) < 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must not be negative")

    @property
    def key(self) -> tuple:
        """Which score this is: sorts the file, and no two rows of a file share it."""
        layer = -1 if self.layer is None else self.layer
        return (
            self.model,
            self.intermediate,
            self.target,
            self.language,
            self.split,
            self.metric,
            self.seed,
            layer,
            self.pooling,
            self.fingerprint,
        )


class Damaged(UserError):
    """A results file that was cut off, or holds a line that is no score; `repair` keeps what is whole before it."""


COLUMNS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Result))
BY_LAYER = "_by_layer"  # ends the names of metrics that have a row for every layer and pooling
_DTYPES = {"value": "float64", "examples": "int64", "seed": "int64", "layer": "Int64", "steps": "int64"}


def to_frame(results: Iterable[Result]) -> pd.DataFrame:
    """The same scores as a table, columns `COLUMNS`: `layer` nullable Int64, the other counts int64."""
    frame = pd.DataFrame([dataclasses.astuple(result) for result in results], columns=list(COLUMNS))
    return frame.astype({name: _DTYPES.get(name, "str") for name in COLUMNS})


def write(path: str | os.PathLike, results: Iterable[Result]) -> None:
    """Replaces the file by these scores, sorted by key; of several with one key the last given is kept.

    The same scores in any order give the same bytes. A reader sees the old file or the new one, never a part.
    """
    by_key = {result.key: result for result in results}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for key in sorted(by_key):
        rows.writerow([_cell(value) for value in dataclasses.astuple(by_key[key])])
    write_text(path, text.getvalue())


def add(path: str | os.PathLike, results: Iterable[Result]) -> None:
    """Adds scores to a file, which need not exist yet.

    A target's scores in one language after one phase are replaced together: of an earlier evaluation, perhaps of
    another layer, nothing stays.

    Raises:
        UserError: the file there is damaged (it is left as it is).
    """
    results = list(results)
    replaced = {_evaluation(result) for result in results}
    there = scores(path) if epath.Path(path).exists() else ()
    write(path, [*(result for result in there if _evaluation(result) not in replaced), *results])


def _evaluation(result: Result) -> tuple:
    return (result.model, result.intermediate, result.target, result.language, result.seed, result.fingerprint)


def read(path: str | os.PathLike) -> pd.DataFrame:
    """Reads a results file.

    Returns:
        One row per score, columns `COLUMNS`, as `to_frame` types them; no rows where nothing is scored yet.

    Raises:
        UserError: the file is missing or has other columns.
        Damaged: it is cut short, or a line of it cannot be read; the message names file and line.
    """
    try:
        return to_frame(scores(path))
    except Damaged as error:
        raise Damaged(f"{error}; run the study again, which keeps what is before it and fills in the rest") from None


class Repair(NamedTuple):
    """What was done to a damaged file."""

    found: str  # the damage, a sentence without its full stop
    kept: int  # scores
    damaged: epath.Path  # the file as it was

    def __str__(self) -> str:
        return f"{self.found}; the {self.kept:,} whole ones before it are kept, the file as it was is {self.damaged}"


def repair(path: str | os.PathLike) -> Repair | None:
    """Brings a damaged file back to its scores before the damage, and leaves it as it was beside it.

    For whoever can write again what is lost, as a study that goes on does; a reader must not choose for itself which
    scores count.

    Returns:
        None where there is no file, or nothing wrong with it.

    Raises:
        UserError: other columns; that file is of another version or of another program.
    """
    path = epath.Path(path)
    whole: list[Result] = []
    try:
        if path.exists():
            whole.extend(scores(path))
        return None
    except Damaged as error:
        beside = path.parent / f"{path.name}.damaged"
        path.copy(beside, overwrite=True)
        write(path, whole)
        return Repair(str(error), len(whole), beside)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def scores(path: str | os.PathLike) -> Iterator[Result]:
    """The scores of a file, one by one, those before a damage included; raises as `read` does."""
    text = _text(path)
    if not text:
        raise Damaged(f"{path} line 1: the file is empty; expected the columns {','.join(COLUMNS)}")
    last = len(io.StringIO(text, newline="").readlines())
    whole = last if text.endswith("\n") else last - 1
    if not whole:
        raise Damaged(f"{path} line 1: the file is cut short: it ends within the names of its columns")
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows)
    _check_header(f"{path} line 1", header)
    seen: dict[tuple, int] = {}
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:  # a quote that is never closed
            raise Damaged(f"{path} line {rows.line_num}: not a row of a CSV file ({error})") from None
        if row is None:
            return
        where = f"{path} line {rows.line_num}"
        if rows.line_num > whole:
            raise Damaged(f"{where}: the file is cut short: its last line has no end")
        result = _result(where, header, row)
        if result.key in seen:
            raise Damaged(f"{where}: the same score as in line {seen[result.key]}; expected one line per score")
        seen[result.key] = rows.line_num
        yield result


def _text(path: str | os.PathLike) -> str:
    """The file's text; where a character is cut in two at its end, without that."""
    try:
        found = epath.Path(path).read_bytes()
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        return found.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; a study writes it with its first score") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder was found where a results file was expected") from None
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return found[: error.start].decode("utf-8-sig")
        raise UserError(f"{path}: byte {error.start} is not UTF-8 text") from None


def _check_header(where: str, header: list[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise UserError(f"{where}: {name!r} is not a column of a results file; {did_you_mean(name, COLUMNS)}")
        if header.count(name) > 1:
            raise UserError(f"{where}: column {name!r} appears twice")
    for name in COLUMNS:
        if name not in header:
            raise UserError(
                f"{where}: column {name!r} is missing; expected {','.join(COLUMNS)}, as this version writes them"
            )


def _result(where: str, header: list[str], row: list[str]) -> Result:
    if len(row) != len(header):
        raise Damaged(f"{where}: {len(row)} cells found, {len(header)} expected")
    cells: dict[str, Any] = dict(zip(header, row, strict=True))
    for name in _DTYPES:
        kind, what = (float, "a number") if name == "value" else (int, "a whole number")
        if name == "layer" and not cells[name]:
            cells[name] = None
            continue
        try:
            cells[name] = kind(cells[name])
        except ValueError:
            raise Damaged(f"{where}: {name} is {cells[name]!r}; it must be {what}") from None
    try:
        return Result(**cells)
    except UserError as error:
        raise Damaged(f"{where}: {error}") from None
