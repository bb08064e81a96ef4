"""Readers of the file formats tasks come in: plain lines, JSON lines, tables, CoNLL columns, SQuAD JSON.

Each yields one *record* at a time with the *place* it was read from, so that whatever is wrong with it can be
said with file and line. Files are UTF-8, packed (`.xz`, `.gz`) or not. Nothing is skipped silently: a line
without any text is no record in JSON lines and tables, and ends a sentence in CoNLL files; anything else that
is not a record raises `UserError`. No TensorFlow here.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks import sources


class Place(NamedTuple):
    """Where a record was read from."""

    path: str
    line: int  # counted from 1; a record of several lines is at its first

    def __str__(self) -> str:
        return f"{self.path} line {self.line}"


class Record(NamedTuple):
    """One row of a file."""

    place: Place
    fields: Mapping[str, Any]


class Sentence(NamedTuple):
    """One sentence of a CoNLL file."""

    place: Place
    words: tuple[str, ...]
    tags: tuple[str, ...]


def plain(path: str | os.PathLike) -> Iterator[Record]:
    """Every line of a text file, blank ones too, as the field `text`."""
    for number, line in enumerate(sources.lines(path), 1):
        yield Record(Place(str(path), number), {"text": line})


def jsonl(path: str | os.PathLike) -> Iterator[Record]:
    """The objects of a file with one JSON object a line.

    Raises:
        UserError: a line is not a JSON object, or not UTF-8.
    """
    for number, line in enumerate(sources.lines(path), 1):
        place = Place(str(path), number)
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise UserError(f"{place} is not JSON ({error}); every line must hold one object") from None
        if not isinstance(fields, dict):
            raise UserError(f"{place} holds a {type(fields).__name__}; every line must hold one JSON object {{...}}")
        yield Record(place, fields)


def table(
    path: str | os.PathLike, *, names: Sequence[str] = (), delimiter: str = "\t", quoting: int = csv.QUOTE_NONE
) -> Iterator[Record]:
    """The rows of a delimited file.

    Args:
        names: the columns, for a file without a header line; empty = the first line names them.
        delimiter: one character.
        quoting: a constant of `csv`; `QUOTE_NONE` takes quotes as they are, `QUOTE_MINIMAL` lets a quoted field
            hold delimiters and line ends, as spreadsheets write them.

    Raises:
        UserError: no header, two columns of one name, a row with another number of fields, or a quote that is
            not closed.
    """
    # Strict, since a quote left open would otherwise swallow the rest of the file into one field.
    lines = (f"{line}\n" for line in sources.lines(path))
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    header, first = tuple(names), 1
    try:
        for row in reader:
            place, first = Place(str(path), first), reader.line_num + 1
            if not header:
                header = _header(row, place)
            elif row and len(row) != len(header):
                raise UserError(f"{place} has {len(row)} fields; it must have {len(header)}: {', '.join(header)}")
            elif row:
                yield Record(place, dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise UserError(f"{Place(str(path), first)} cannot be read as a table: {error}") from None
    if not header:
        raise UserError(f"{path} is empty; its first line must name the columns")


def _header(row: Sequence[str], place: Place) -> tuple[str, ...]:
    twice = [name for name in row if row.count(name) > 1]
    if twice:
        raise UserError(f"{place} names the column {twice[0]!r} twice; every column needs a name of its own")
    return tuple(row)


def conll(
    path: str | os.PathLike, *, word: int = 0, tag: int = -1, separator: str | None = None, comment: str = ""
) -> Iterator[Sentence]:
    """Sentences of a file with one word a line and blank lines between sentences.

    `-DOCSTART-` lines, which CoNLL 2003 puts between documents, are left out.

    Args:
        word, tag: columns, counted from 0, or from the end if negative.
        separator: between columns; None = tabs in a line that has one (its words may hold blanks), else blanks.
        comment: lines that begin with it are left out; "" = none do.

    Raises:
        UserError: a line lacks the word or its tag, or has another number of columns than the first.
    """
    place, words, tags, width = Place(str(path), 1), [], [], 0
    needed = max(word + 1 if word >= 0 else -word, tag + 1 if tag >= 0 else -tag, 2)
    for number, line in enumerate(sources.lines(path), 1):
        if comment and line.startswith(comment):
            continue
        if not line.strip() or line.startswith("-DOCSTART-"):
            if words:
                yield Sentence(place, tuple(words), tuple(tags))
            words, tags = [], []
            continue
        columns = _columns(line, separator)
        if len(columns) < needed or not columns[word].strip() or not columns[tag].strip():
            raise UserError(
                f"{Place(str(path), number)} is {line!r}; a line must hold at least {needed} columns, "
                "a word and its tag among them"
            )
        # A column too few or too many would let another column be taken for the word or the tag.
        width = width or len(columns)
        if len(columns) != width:
            raise UserError(
                f"{Place(str(path), number)} is {line!r}, {len(columns)} columns; the lines before it have {width}"
            )
        if not words:
            place = Place(str(path), number)
        words.append(columns[word])
        tags.append(columns[tag])
    if words:
        yield Sentence(place, tuple(words), tuple(tags))


def _columns(line: str, separator: str | None) -> list[str]:
    """Not `line.split()`: to Python a no-break space inside a word is a blank, too."""
    if separator is None and "\t" not in line:
        return [column for column in line.split(" ") if column]
    return line.split(separator or "\t")


class Question(NamedTuple):
    """One question of a SQuAD file."""

    where: str  # the file and the question's id, for messages
    id: str
    question: str
    context: str
    answers: tuple[str, ...]  # none = unanswerable
    starts: tuple[int, ...]  # code points
    at: str  # where in the file, such as data[0].paragraphs[2].qas[1]


def squad(path: str | os.PathLike) -> Iterator[Question]:
    """The questions of a file in the layout of SQuAD 1.1 or 2.0 (also XQuAD, MLQA, TyDiQA-GoldP).

    Raises:
        UserError: the file is not JSON, or a part lacks a field or holds something else in it.
    """
    try:
        document = json.loads("\n".join(sources.lines(path)))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    for a, article in enumerate(_list(document, "data", str(path))):
        where = f"{path} data[{a}]"
        for p, paragraph in enumerate(_list(article, "paragraphs", where)):
            here = f"{where}.paragraphs[{p}]"
            context = _string(paragraph, "context", here)
            for q, asked in enumerate(_list(paragraph, "qas", here)):
                yield _question(asked, context=context, path=str(path), at=f"{here}.qas[{q}]".removeprefix(f"{path} "))


def _question(asked: Any, *, context: str, path: str, at: str) -> Question:
    name = member(asked, "id", f"{path} {at}")
    where = f"{path}, question {name!r}"
    answers = _list(asked, "answers", where) if asked.get("answers") is not None else []
    return Question(
        where=where,
        id=str(name),
        question=_string(asked, "question", where),
        context=context,
        answers=tuple(_string(answer, "text", f"{where}, answers") for answer in answers),
        starts=tuple(_start(answer, f"{where}, answers") for answer in answers),
        at=at,
    )


def _string(value: Any, name: str, where: str) -> str:
    found = member(value, name, where)
    if not isinstance(found, str):
        raise UserError(f"{where}: {name} is {found!r}; it must be text")
    return found


def _list(value: Any, name: str, where: str) -> list:
    found = member(value, name, where)
    if not isinstance(found, list):
        raise UserError(f"{where}: {name} is a {type(found).__name__}; it must be a list")
    return found


def _start(answer: Any, where: str) -> int:
    found = member(answer, "answer_start", where)
    if not isinstance(found, int) or isinstance(found, bool):
        raise UserError(f"{where}: answer_start is {found!r}; it must be a whole number, counted in code points")
    return found


def member(value: Any, name: str, where: str) -> Any:
    """`value[name]`; raises UserError, naming `where`, if there is none."""
    if not isinstance(value, Mapping) or name not in value:
        has = f"has {', '.join(map(str, value))}" if isinstance(value, Mapping) else f"is a {type(value).__name__}"
        near = did_you_mean(name, value) if isinstance(value, Mapping) and value else ""
        raise UserError(f"{where} lacks {name!r}; it {has}" + (f"; {near}" if near else ""))
    return value[name]
