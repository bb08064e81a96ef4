"""Rows of files: records of any format -> the features of the text schema, each checked with its place.

One function for each kind turns a record into `inputs`, `targets` and, for answers, `starts`; which columns it
reads is said by a `FileTask` (`files.py`). A row is used as it is or refused, with file and line (SQuAD: with
the question's id and place). No TensorFlow here.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks import formats
from xtreme_stilts.tasks.registry import ENGLISH_SIDE

if TYPE_CHECKING:
    from xtreme_stilts.tasks.files import FileTask

READER_VERSION = 1  # raised when the same files give other rows

Paths = Mapping[str, Mapping[str, str]]  # split -> language -> path, of files that are there


@functools.lru_cache(maxsize=4096)
def _sha256(path: str, size: int, changed_ns: int) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def content_version(path: str | os.PathLike) -> str:
    """Sha256 of a file's content, so that a copy is not mistaken for another file; computed anew only once its size or
    time of change differs."""
    status = os.stat(path)
    return _sha256(os.path.abspath(path), status.st_size, status.st_mtime_ns)


class _Row(NamedTuple):
    """What a record says, and where it stands."""

    where: str
    values: dict[str, Any]  # id, inputs, targets, starts


class _Item(NamedTuple):
    """A record of any format."""

    where: str  # file and line, or file and question, for messages
    line: int
    fields: Mapping[str, Any]


def _items(task: FileTask, path: str) -> Iterator[_Item]:
    return (_Item(str(record.place), record.place.line, record.fields) for record in _records(task, path))


_DIALECTS = {
    "tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
    "quoted_tsv": {"delimiter": "\t", "quoting": csv.QUOTE_MINIMAL},
    "csv": {"delimiter": ",", "quoting": csv.QUOTE_MINIMAL},
}


def _records(task: FileTask, path: str) -> Iterator[formats.Record]:
    form = task.format_of(path)
    if form == "conll":
        word, tag = int(task.inputs[0] if task.inputs else "0"), int(task.target or "-1")
        for sentence in formats.conll(path, word=word, tag=tag):
            fields = {task.text_columns[0]: list(sentence.words), task.target_column: list(sentence.tags)}
            yield formats.Record(sentence.place, fields)
    elif form == "text":
        yield from formats.plain(path)
    elif form == "jsonl":
        yield from formats.jsonl(path)
    else:
        yield from formats.table(path, names=task.columns, **_DIALECTS[form])


def _text(item: _Item, column: str) -> str:
    return _checked_text(formats.member(item.fields, column, item.where), f"{item.where}: {column}")


def _checked_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{what} is {value!r}; it must be text")
    if not value.strip():
        raise UserError(f"{what} is blank; it must hold some text")
    if _SURROGATE.search(value):
        raise UserError(f"{what} holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    return value


_SURROGATE = re.compile("[\ud800-\udfff]")


def _texts(item: _Item, column: str) -> list[str]:
    found = formats.member(item.fields, column, item.where)
    if not isinstance(found, (list, tuple)) or not found:
        raise UserError(f"{item.where}: {column} is {found!r}; it must be a list of texts")
    return [_checked_text(each, f"{item.where}: {column}[{i}]") for i, each in enumerate(found)]


def _label(item: _Item, column: str) -> str:
    """The label as text, "" where there is none (an empty cell, null)."""
    value = formats.member(item.fields, column, item.where)
    return "" if value is None or value == "" else _checked_label(value, f"{item.where}: {column}")


def _checked_label(value: Any, what: str) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _checked_text(value, what)
    raise UserError(f"{what} is {value!r}; it must be text or a whole number")


def _check_label(label: str, labels: Iterable[str], what: str) -> None:
    if labels and label not in labels:
        raise UserError(f"{what} is {label!r}, which is not one of the labels; {did_you_mean(label, labels)}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reader:
    """The rows of a task's files.

    Attributes:
        task: which columns are read.
        paths: where the files are.
        labels: those that are accepted; empty = any. choice: what stands for the first, second, ... choice.
        num_choices: choices of every row; 0 = any number.
    """

    task: FileTask
    paths: Paths
    labels: tuple[str, ...] = ()
    num_choices: int = 0

    def read(self, language: str, split: str) -> Iterator[dict[str, Any]]:
        """`sources.Rows.read`. The whole file is checked before its first row is given, since TensorFlow, which takes
        the rows, would wrap an error in its own."""
        path = self.paths[split][language.removesuffix(ENGLISH_SIDE)]
        check(self, split, path, content_version(path))
        rows = (row.values for row in self.rows(split, path))
        return rows if self.task.kind != "embedding" else (_side(row, language) for row in rows)

    def rows(self, split: str, path: str) -> Iterator[_Row]:
        """The rows of a file as they are read."""
        convert = KINDS[self.task.kind].convert
        if self.task.kind == "span":
            items = (_Item(f"{q.where} ({q.at})", 0, q._asdict()) for q in formats.squad(path))
        else:
            items = _items(self.task, path)
        named = None
        for item in items:
            if named is None:
                named = self.task.id or ("id" if "id" in item.fields else "")
            name = _label(item, named) if named else str(item.line)
            if not name:
                raise UserError(f"{item.where}: {named} is blank; every row needs an id of its own")
            values = {"id": name, **convert(self, item)}
            if split == "train" and not values["targets"] and self.task.kind not in ("mlm", "span", "embedding"):
                raise UserError(
                    f"{item.where} has no {self.task.target_column}; every row of a training file needs one"
                )
            yield _Row(item.where, values)

    def version(self, language: str) -> str:
        """`sources.Rows.version`: sha256 over the contents of the language's files, and all fields but their paths."""
        fields = dataclasses.asdict(dataclasses.replace(self.task, files={}, languages=()))
        asked = [READER_VERSION, fields, self.labels, self.num_choices]
        contents = {split: content_version(paths[language]) for split, paths in self.paths.items() if language in paths}
        return "files:" + hashlib.sha256(json.dumps([asked, contents], sort_keys=True).encode()).hexdigest()


def _side(row: dict[str, Any], language: str) -> dict[str, Any]:
    """One side of a translation pair; `targets` of a sentence is the id of its English counterpart, the pair's own."""
    own, english = row["inputs"]
    if language.endswith(ENGLISH_SIDE):
        return row | {"inputs": [english], "targets": []}
    return row | {"inputs": [own], "targets": [row["id"]]}


@functools.lru_cache(maxsize=1024)
def check(reader: Reader, split: str, path: str, version: str) -> None:
    """Reads a file through. `version` is that of its content: a changed file is checked again."""
    seen: dict[str, str] = {}
    where = None
    labelled = reader.task.kind in ("mlm", "span", "embedding")
    for where, values in reader.rows(split, path):
        name = values["id"]
        if reader.task.kind == "mlm":
            continue  # a corpus has too many lines to remember, and nothing refers to them
        if name in seen:
            raise UserError(f"{where} has the id {name!r}, which {seen[name]} has; ids must differ within a file")
        seen[name] = where
        labelled = labelled or bool(values["targets"])
    if where is None:
        raise UserError(f"{path} holds no rows; it must hold at least one")
    if not labelled:
        raise UserError(
            f"{path} has no {reader.task.target_column} in any row; without labels there is nothing to score"
        )


def _classification(reader: Reader, item: _Item) -> dict[str, Any]:
    label = _label(item, reader.task.target_column)
    if label:
        _check_label(label, reader.labels, f"{item.where}: {reader.task.target_column}")
    return {"inputs": [_text(item, column) for column in reader.task.text_columns], "targets": [label] if label else []}


def _regression(reader: Reader, item: _Item) -> dict[str, Any]:
    value = formats.member(item.fields, reader.task.target_column, item.where)
    targets = []
    if value not in (None, ""):
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"{item.where}: {reader.task.target_column} is {value!r}; it must be a finite number")
        targets = [repr(number)]
    return {"inputs": [_text(item, column) for column in reader.task.text_columns], "targets": targets}


def _choice(reader: Reader, item: _Item) -> dict[str, Any]:
    context, *columns = reader.task.text_columns
    choices = _texts(item, columns[0]) if len(columns) == 1 else [_text(item, column) for column in columns]
    if reader.num_choices and len(choices) != reader.num_choices:
        raise UserError(f"{item.where} has {len(choices)} choices; every row must have {reader.num_choices}")
    label = _label(item, reader.task.target_column)
    if label:
        names = reader.labels or [str(number) for number in range(len(choices))]
        _check_label(label, names, f"{item.where}: {reader.task.target_column}")
        label = str(names.index(label))
    return {"inputs": [_text(item, context), *choices], "targets": [label] if label else []}


def _tagging(reader: Reader, item: _Item) -> dict[str, Any]:
    (words_column,), tags_column = reader.task.text_columns, reader.task.target_column
    words, tags = _texts(item, words_column), formats.member(item.fields, tags_column, item.where)
    if tags is None:
        return {"inputs": words, "targets": []}
    if not isinstance(tags, list) or len(tags) != len(words):
        found = f"{len(tags)} {tags_column}" if isinstance(tags, list) else f"{tags_column} {tags!r}"
        raise UserError(f"{item.where} has {len(words)} {words_column} and {found}; every word needs a tag")
    targets = []
    for number, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
        what = f"{item.where}, word {number} ({word!r}): tag"
        targets.append(_checked_label(tag, what))
        _check_label(targets[-1], reader.labels, what)
    return {"inputs": words, "targets": targets}


def _span(reader: Reader, item: _Item) -> dict[str, Any]:
    asked = item.fields
    question, context = (_checked_text(asked[name], f"{item.where}: {name}") for name in ("question", "context"))
    if not asked["answers"] and reader.task.metric != "squad_v2":
        raise UserError(f"{item.where} has no answer; where that is right, set metric to 'squad_v2'")
    for answer, start in zip(asked["answers"], asked["starts"], strict=True):
        _checked_text(answer, f"{item.where}: an answer's text")
        there = context[start : start + len(answer)] if start >= 0 else ""
        if there != answer:
            place = context.find(answer)
            near = f"it stands at {place}" if place >= 0 else "it stands nowhere in the context"
            raise UserError(
                f"{item.where}: the answer {answer!r} is not at answer_start {start}, where the context has {there!r}; "
                f"{near} (code points)"
            )
    # As text, for a list without elements has no type that TensorFlow could tell.
    return {
        "inputs": [question, context],
        "targets": list(asked["answers"]),
        "starts": [str(start) for start in asked["starts"]],
    }


def _mlm(reader: Reader, item: _Item) -> dict[str, Any]:
    """Blank lines are left out later, and counted there."""
    found = {name: formats.member(item.fields, name, item.where) for name in reader.task.text_columns}
    for name, text in found.items():
        if not isinstance(text, str) or text.strip():
            _checked_text(text, f"{item.where}: {name}")
    return {"inputs": list(found.values()), "targets": []}


def _embedding(reader: Reader, item: _Item) -> dict[str, Any]:
    return {"inputs": [_text(item, column) for column in reader.task.text_columns], "targets": []}


class Kind(NamedTuple):
    """What files of a kind may look like."""

    formats: tuple[str, ...]
    inputs: tuple[str, ...]  # columns of texts, by default
    texts: tuple[int, int]  # fewest and most columns of texts
    target: str  # column, by default; "" = none
    metrics: tuple[str, ...]  # the first is the default
    convert: Callable[[Reader, _Item], dict[str, Any]]


_TABLES = ("jsonl", *_DIALECTS)
KINDS = {
    "classification": Kind(
        _TABLES, ("text",), (1, 2), "label", ("accuracy", "accuracy_f1", "matthews"), _classification
    ),
    "regression": Kind(_TABLES, ("text",), (1, 2), "label", ("pearson_spearman",), _regression),
    "choice": Kind(_TABLES, ("context", "choices"), (2, 99), "label", ("accuracy",), _choice),
    "tagging": Kind(("conll", "jsonl"), ("words",), (1, 1), "tags", ("chunk_f1", "token_accuracy"), _tagging),
    "span": Kind(("squad",), (), (0, 0), "", ("squad_v1", "squad_v2", "mlqa"), _span),
    "mlm": Kind(("text", *_TABLES), ("text",), (1, 2), "", ("perplexity",), _mlm),
    "embedding": Kind(_TABLES, ("own", "english"), (2, 2), "", ("retrieval_accuracy",), _embedding),
}
