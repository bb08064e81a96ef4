"""Readers of the file formats tasks come in: JSON lines, tab-separated, CoNLL columns, SQuAD JSON.

Each yields one *record* at a time with the *place* it was read from, so that whatever is wrong with it can be
said with file and line. Files are UTF-8, packed (`.xz`, `.gz`) or not. Nothing is skipped silently: blank lines
are allowed where the format has them (between CoNLL sentences, at the end), anything else that is not a
record raises `UserError`. No TensorFlow here.
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
        UserError: no header, or a row with another number of fields.
    """
    reader = csv.reader((f"{line}\n" for line in sources.lines(path)), delimiter=delimiter, quoting=quoting)
    header, first = tuple(names), 1
    try:
        for row in reader:
            place, first = Place(str(path), first), reader.line_num + 1
            if not header:
                header = tuple(row)
            elif row and len(row) != len(header):
                raise UserError(f"{place} has {len(row)} fields; it must have {len(header)}: {', '.join(header)}")
            elif row:
                yield Record(place, dict(zip(header, row, strict=True)))
    except csv.Error as error:
        raise UserError(f"{Place(str(path), first)} cannot be read as a table: {error}") from None
    if not header:
        raise UserError(f"{path} is empty; its first line must name the columns")


def conll(
    path: str | os.PathLike, *, word: int = 0, tag: int = -1, separator: str | None = None, comment: str = ""
) -> Iterator[Sentence]:
    """Sentences of a file with one word a line and blank lines between sentences.

    `-DOCSTART-` lines, which CoNLL 2003 puts between documents, are left out.

    Args:
        word, tag: columns, counted from 0, or from the end if negative.
        separator: between columns; None = any white space.
        comment: lines that begin with it are left out; "" = none do.

    Raises:
        UserError: a line lacks the word or its tag.
    """
    place, words, tags = Place(str(path), 1), [], []
    needed = max(word + 1 if word >= 0 else -word, tag + 1 if tag >= 0 else -tag, 2)
    for number, line in enumerate(sources.lines(path), 1):
        if comment and line.startswith(comment):
            continue
        if not line.strip() or line.startswith("-DOCSTART-"):
            if words:
                yield Sentence(place, tuple(words), tuple(tags))
            words, tags = [], []
            continue
        columns = line.split(separator)
        if len(columns) < needed or not columns[word].strip() or not columns[tag].strip():
            raise UserError(
                f"{Place(str(path), number)} is {line!r}; a line must hold at least {needed} columns, "
                "a word and its tag among them"
            )
        if not words:
            place = Place(str(path), number)
        words.append(columns[word])
        tags.append(columns[tag])
    if words:
        yield Sentence(place, tuple(words), tuple(tags))


class Question(NamedTuple):
    """One question of a SQuAD file."""

    where: str  # the file and the question's id, for messages
    id: str
    question: str
    context: str
    answers: tuple[str, ...]  # none = unanswerable
    starts: tuple[int, ...]  # code points


def squad(path: str | os.PathLike) -> Iterator[Question]:
    """The questions of a file in the layout of SQuAD 1.1 or 2.0 (also XQuAD, MLQA, TyDiQA-GoldP).

    Raises:
        UserError: the file is not JSON, or a part lacks a field.
    """
    try:
        document = json.loads("\n".join(sources.lines(path)))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    for a, article in enumerate(member(document, "data", str(path))):
        where = f"{path} data[{a}]"
        for p, paragraph in enumerate(member(article, "paragraphs", where)):
            context = member(paragraph, "context", f"{where}.paragraphs[{p}]")
            for q, asked in enumerate(member(paragraph, "qas", f"{where}.paragraphs[{p}]")):
                here = f"{where}.paragraphs[{p}].qas[{q}]"
                answers = asked.get("answers") or [] if isinstance(asked, Mapping) else []
                yield Question(
                    where=f"{path}, question {member(asked, 'id', here)!r}",
                    id=str(asked["id"]),
                    question=member(asked, "question", here),
                    context=context,
                    answers=tuple(member(answer, "text", f"{here}.answers") for answer in answers),
                    starts=tuple(int(member(answer, "answer_start", f"{here}.answers")) for answer in answers),
                )


def member(value: Any, name: str, where: str) -> Any:
    """`value[name]`; raises UserError, naming `where`, if there is none."""
    if not isinstance(value, Mapping) or name not in value:
        has = f"has {', '.join(map(str, value))}" if isinstance(value, Mapping) else f"is a {type(value).__name__}"
        near = did_you_mean(name, value) if isinstance(value, Mapping) and value else ""
        raise UserError(f"{where} lacks {name!r}; it {has}" + (f"; {near}" if near else ""))
    return value[name]
