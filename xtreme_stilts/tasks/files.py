"""Any file as a task: a few fields say where the rows are and which column is what.

`config.tasks = {"my_nli": {"kind": "classification", "files": {...}, ...}}` and `add_task("my_nli",
kind="classification", files={...}, ...)` take the same fields, those of `FileTask`, and register the same
family: a seqio task `my_nli.<language>` for each language, trained in one and evaluated in all.

| kind | formats | columns (`inputs`; `target`) and their defaults |
|---|---|---|
| classification | jsonl tsv csv | one text or two, `text`; a label, `label` |
| regression | jsonl tsv csv | one text or two, `text`; a finite number, `label` |
| choice | jsonl tsv csv | a context and a column with all choices, or one for each, `context choices`; `label` |
| tagging | conll jsonl | a list of words, `words`; a list of tags, `tags`. CoNLL: column numbers, `0`; `-1` |
| span | squad | those of SQuAD's JSON |
| mlm | text jsonl tsv csv | a text, `text`, or two that translate each other |
| embedding | tsv csv jsonl | a sentence and its English translation, `own english` |

Terms and assumptions: a file belongs to one split and one language. The *scored* split is `test`, or `validation`
of a task without test files; every language has a file for it. The *training language* is English if it has a
training file, else the first that has one. Every row is used or refused, with file and line; nothing is
trimmed, guessed or left out here. What is cut to length later is counted (`data/features.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import logging
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks import registry
from xtreme_stilts.tasks.file_rows import KINDS, Kind, Paths, Reader, check, content_version
from xtreme_stilts.tasks.registry import ENGLISH_SIDE, SPLITS, Family
from xtreme_stilts.tasks.sources import Rows

logger = logging.getLogger(__name__)

LANGUAGE = "{language}"  # stands for the language in a file's path

SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".tsv": "tsv", ".csv": "csv", ".json": "squad", ".txt": "text",
    ".conll": "conll", ".iob": "conll", ".iob2": "conll", ".bio": "conll",
}  # fmt: skip


# --------------------------------------------------------------------------------------------------
# What a user says


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileTask:
    """A task made of files. The same fields in `config.tasks` and in `add_task`.

    Attributes:
        kind: one of `registry.KINDS`, see the table above.
        files: split (train, validation, test) -> path with `{language}` in it, or language -> path. Packed files
            (.gz, .xz) are read as they are.
        languages: codes; empty = those for which there is a file.
        inputs: columns the texts are in, in order; empty = the kind's own.
        target: column the label, number or tags are in; empty = the kind's own.
        labels: classification, tagging: the label strings, in the order of the head's outputs; empty = those of
            the training files, sorted. choice: what the label of the first, second, ... choice is, such as
            A B C D; empty = the choice's number, counted from 0.
        metric: of `evaluation/metrics.py`; empty = the kind's own.
        format: jsonl, tsv (a quote is a character like any other), quoted_tsv and csv (fields may stand in quotes),
            conll, squad or text; empty = by the file's suffix.
        columns: names of a table's columns, where its first line does not name them.
        id: column with the examples' ids; empty = `id` if there is one, else the line's number.
        num_choices: choices of every row; 0 = as many as the first row has.
        max_length: longest example in tokens, specials included.
        train: another task's name, such as `mnli.en`: the task is only evaluated, with the head trained there.
    """

    kind: str = ""
    files: Mapping[str, str | Mapping[str, str]] = dataclasses.field(default_factory=dict, hash=False)
    languages: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    target: str = ""
    labels: tuple[str, ...] = ()
    metric: str = ""
    format: str = ""
    columns: tuple[str, ...] = ()
    id: str = ""
    num_choices: int = 0
    max_length: int = 256
    train: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> FileTask:
        """From fields by name, checked as far as is possible without looking at the files.

        Raises:
            UserError: one line for each problem, each beginning with the field's name.
        """
        problems = list(_type_problems(fields))
        task = cls() if problems else cls(**{name: _frozen(value) for name, value in fields.items()})
        problems = problems or list(_problems(task))
        if problems:
            raise UserError("\n".join(problems))
        return task

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns the texts are in."""
        return self.inputs or KINDS[self.kind].inputs

    @property
    def target_column(self) -> str:
        """The column the target is in; "" for a kind without one."""
        return self.target or KINDS[self.kind].target

    def format_of(self, path: str) -> str:
        """How a file is read: as `format` says, else its suffix; "" if neither does."""
        return self.format or SUFFIXES.get(_suffix(path), "")

    @property
    def scored(self) -> str:
        """The split every language must have a file for: the one that is scored (MLM: trained on)."""
        return "train" if self.kind == "mlm" else "test" if "test" in self.files else "validation"


def add_task(name: str, **fields: Any) -> Family:
    """Makes files a task, or replaces the one made of files under this name.

        tasks.add_task("my_nli", kind="classification", files={"train": "data/train.{language}.jsonl", ...},
                       inputs=("premise", "hypothesis"), labels=("no", "maybe", "yes"))

    Args:
        name: of the family; its tasks are `<name>.<language>`.
        fields: see `FileTask`.

    Raises:
        UserError: one line for each problem: unknown fields, files that are not there, rows that do not fit.
    """
    try:
        return _register(name, FileTask.of(fields))
    except UserError as error:
        raise _prefixed(error, f"task {name!r}: ") from None


def register_file_tasks(tasks: Mapping[str, FileTask], *, where: str) -> None:
    """Makes tasks of files, in this order.

    Args:
        where: what to put before the names in messages, such as `config.tasks`.

    Raises:
        UserError: one line for each problem of any of them.
    """
    problems = []
    for name, task in tasks.items():
        try:
            _register(name, task)
        except UserError as error:
            problems.append(str(_prefixed(error, f"{where}.{name}.")))
    if problems:
        raise UserError("\n".join(problems))


def _prefixed(error: UserError, prefix: str) -> UserError:
    return UserError("\n".join(prefix + line for line in str(error).splitlines()))


# --------------------------------------------------------------------------------------------------
# Checks that need the fields only


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _type_problems(fields: Mapping[str, Any]) -> Iterator[str]:
    types = {field.name: field.type for field in dataclasses.fields(FileTask)}
    for name, value in fields.items():
        if name not in types:
            yield f"{name} is not a field of a task of files; {did_you_mean(name, types)}"
        elif types[name] == "str" and not isinstance(value, str):
            yield f"{name} is {value!r}; it must be text"
        elif types[name] == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            yield f"{name} is {value!r}; it must be a whole number"
        elif types[name] == "tuple[str, ...]" and not _is_texts(value):
            yield f"{name} is {value!r}; it must be a tuple of texts, such as ({str(value)!r},)"
        elif name == "files":
            yield from _files_problems(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(each, str) and each for each in value)


def _files_problems(files: Any) -> Iterator[str]:
    if not isinstance(files, Mapping):
        yield f"files is {files!r}; it must be a dict such as {{'train': 'data/train.{LANGUAGE}.jsonl'}}"
        return
    for split, given in files.items():
        if split not in SPLITS:
            yield f"files.{split} is no split; {did_you_mean(split, SPLITS)}"
        paths = given.values() if isinstance(given, Mapping) else [given]
        for path in paths:
            if not isinstance(path, str) or not path:
                yield f"files.{split} is {given!r}; it must be a path, or a dict of language -> path"
            elif isinstance(given, str) and (other := re.search(r"\{(?!language\})[^}]*\}", path)):
                yield f"files.{split} has {other.group()!r} in {path!r}; only {LANGUAGE} is replaced"


def _problems(task: FileTask) -> Iterator[str]:
    if task.kind not in KINDS:
        yield f"kind is {task.kind!r}; {did_you_mean(task.kind, KINDS)}"
        return
    kind = KINDS[task.kind]
    if task.metric and task.metric not in kind.metrics:
        yield f"metric is {task.metric!r}; for kind {task.kind!r} {did_you_mean(task.metric, kind.metrics)}"
    yield from _format_problems(task, kind)
    few, many = kind.texts
    if task.inputs and not few <= len(task.inputs) <= many:
        amount = f"{few}" if few == many else f"{few} to {many}" if many < 99 else f"{few} or more"
        yield f"inputs is {task.inputs}; kind {task.kind!r} reads {amount} columns"
    if task.target and not kind.target:
        yield f"target is {task.target!r}; kind {task.kind!r} has none"
    if task.labels and task.kind not in ("classification", "tagging", "choice"):
        yield f"labels is {task.labels}; kind {task.kind!r} has none"
    elif task.labels and len(set(task.labels)) < max(2, len(task.labels)):
        yield f"labels is {task.labels}; there must be two or more, all different"
    if task.labels and task.num_choices not in (0, len(task.labels)) and task.kind == "choice":
        yield f"num_choices is {task.num_choices}, but labels has {len(task.labels)}: one for each choice"
    if task.num_choices and task.kind != "choice":
        yield f"num_choices is {task.num_choices}; kind {task.kind!r} has none"
    if task.max_length < 8:
        yield f"max_length is {task.max_length}; an example needs at least 8 tokens"
    yield from _language_problems(task.languages)
    if not task.files:
        yield f"files is empty; it must name a file for a split, one of {', '.join(SPLITS)}"
    elif task.scored not in task.files:
        needs = "a 'train' file" if task.kind == "mlm" else "a 'test' or a 'validation' file"
        yield f"files has only {', '.join(task.files)}; kind {task.kind!r} needs {needs}"
    yield from _training_problems(task)


def _language_problems(languages: Iterable[str]) -> Iterator[str]:
    for language in languages:
        if not _LANGUAGE_CODE.fullmatch(str(language)) or language.endswith(ENGLISH_SIDE):
            yield f"languages has {language!r}; a code is letters, digits and _, and does not end in {ENGLISH_SIDE!r}"


def _format_problems(task: FileTask, kind: Kind) -> Iterator[str]:
    if task.format:
        if task.format not in kind.formats:
            yield f"format is {task.format!r}; for kind {task.kind!r} {did_you_mean(task.format, kind.formats)}"
    else:
        for split, path in _all_paths(task.files):
            found = SUFFIXES.get(_suffix(path), "")
            if found not in kind.formats:
                says = f"stands for {found!r}" if found else "tells no format"
                yield (
                    f"files.{split}: the suffix of {path!r} {says}; kind {task.kind!r} reads "
                    f"{', '.join(kind.formats)}: set format to one of them"
                )
    if "conll" in kind.formats and any(task.format_of(path) == "conll" for _, path in _all_paths(task.files)):
        for field, column in [("inputs", each) for each in task.inputs] + [("target", task.target or "-1")]:
            if not re.fullmatch(r"-?\d+", column):
                yield f"{field} has {column!r}; columns of a CoNLL file go by number, '0' the first, '-1' the last"


def _training_problems(task: FileTask) -> Iterator[str]:
    if task.kind in ("mlm", "embedding"):
        if task.train:
            yield f"train is {task.train!r}; kind {task.kind!r} is not evaluated with a trained head"
        if task.kind == "embedding" and set(task.files) - {"test"}:
            yield f"files has {', '.join(task.files)}; kind 'embedding' is only evaluated, on 'test'"
    elif task.train and "train" in task.files:
        yield f"train is {task.train!r}, but files has a 'train' file, too; give one of the two"
    elif task.files and not task.train and "train" not in task.files:
        yield "files has no 'train' file; add it, or set train to the task whose head is evaluated, such as 'mnli.en'"


_LANGUAGE_CODE = re.compile("[A-Za-z0-9_]+")


def _all_paths(files: Mapping[str, str | Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Every split with every path given for it."""
    for split, given in files.items():
        for path in given.values() if isinstance(given, Mapping) else [given]:
            yield split, path


def _suffix(path: str) -> str:
    """The suffix that says the format, below that of the packing."""
    name = pathlib.PurePath(path)
    return (name.with_suffix("") if name.suffix in (".gz", ".xz") else name).suffix


# --------------------------------------------------------------------------------------------------
# Which files there are


def _languages(task: FileTask) -> tuple[str, ...]:
    """The languages named, else those of the paths given by language and those found on disk, sorted."""
    if task.languages:
        return task.languages
    found: set[str] = set()
    for given in task.files.values():
        found |= set(given) if isinstance(given, Mapping) else set(_matching(given))
    return tuple(sorted(found))


def _matching(pattern: str) -> Iterator[str]:
    """The languages for which the path `pattern` is a file."""
    head, *others = (re.escape(part) for part in pattern.split(LANGUAGE))
    if not others:
        return
    first, *later = others
    name = re.compile(
        head + f"(?P<language>{_LANGUAGE_CODE.pattern})" + first + "".join("(?P=language)" + o for o in later)
    )
    for path in glob.iglob("*".join(glob.escape(part) for part in pattern.split(LANGUAGE))):
        if (match := name.fullmatch(path)) and os.path.isfile(path):
            yield match["language"]


def _paths(task: FileTask, languages: tuple[str, ...], problems: list[str]) -> Paths:
    """The files, by split and language; what is missing is noted."""
    found: dict[str, dict[str, str]] = {}
    for split, given in task.files.items():
        if isinstance(given, str) and LANGUAGE not in given and len(languages) > 1:
            problems.append(
                f"files.{split} is {given!r} for {len(languages)} languages; put {LANGUAGE} into it, or say whose "
                f"it is: {{{languages[0]!r}: {given!r}}}"
            )
            continue
        candidates = (
            given if isinstance(given, Mapping) else {code: given.replace(LANGUAGE, code) for code in languages}
        )
        found[split] = {language: path for language, path in candidates.items() if os.path.isfile(path)}
        # A pattern may match nothing for some languages, except where each must have a file.
        needed = set(candidates) if isinstance(given, Mapping) or LANGUAGE not in given else set()
        needed |= set(languages) if split == task.scored else set()
        for language in sorted(needed - set(found[split])):
            problems.append(f"files.{split}: {_missing(language, candidates)}")
        if not found[split] and not needed:
            problems.append(f"files.{split}: there is none of the files {', '.join(candidates.values())}")
        for language in sorted(set(candidates) - set(languages)):
            problems.append(
                f"files.{split} names {language!r}, no language of the task; {did_you_mean(language, languages)}"
            )
    return found


def _missing(language: str, candidates: Mapping[str, str]) -> str:
    if language not in candidates:
        return f"no file is given for {language!r}; every language needs one in this split"
    path = pathlib.Path(candidates[language])
    if not path.parent.is_dir():
        return f"there is no file {str(path)!r}, and no folder {str(path.parent)!r} (looked for from {os.getcwd()})"
    near = did_you_mean(path.name, [each.name for each in path.parent.iterdir()])
    return f"there is no file {str(path)!r} (looked for from {os.getcwd()}); {near}"


# --------------------------------------------------------------------------------------------------
# Registering


class _FileFamily(Family):
    """A family made of files; only such a one is replaced by another of its name."""


def _register(name: str, task: FileTask) -> Family:
    """Registers the family; raises UserError with one line for each problem, each beginning with a field's name."""
    _check_name(name)
    languages = _languages(task)
    if not languages:
        raise UserError(
            f"languages is empty, and no file tells one: give languages, or paths with {LANGUAGE} that match a file "
            f"(looked for from {os.getcwd()}): {', '.join(path for _, path in _all_paths(task.files))}"
        )
    problems = list(_language_problems(languages))
    paths = _paths(task, languages, problems)
    if problems:
        raise UserError("\n".join(problems))
    reader = _with_head(Reader(task=task, paths=paths, labels=task.labels), name=name)
    _check_metric(task, labels=reader.labels, languages=languages)
    if task.kind != "mlm":  # a corpus may be large, and hardly anything can be wrong with it: checked when first read
        _check_files(reader)
    return registry.register_family(_family(name, reader, languages))


def _check_metric(task: FileTask, *, labels: tuple[str, ...], languages: tuple[str, ...]) -> None:
    """Metrics that know some labels or languages only; better now than after the training."""
    from xtreme_stilts.evaluation import classification, qa_metrics

    known = classification.POSITIVE + classification.NEGATIVE
    if task.metric == "accuracy_f1" and not set(labels) <= set(known):
        raise UserError(f"metric is 'accuracy_f1', whose labels are {', '.join(known)}; the task's are {labels}")
    if task.metric == "mlqa":
        for language in languages:
            try:
                qa_metrics.mlqa_tokens("", language)
            except UserError as error:
                raise UserError(f"metric is 'mlqa': {error}") from None


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UserError(f"name is {name!r}; it must be lower-case letters, digits and _, beginning with a letter")
    if any(each.name == name and not isinstance(each, _FileFamily) for each in registry.families()):
        raise UserError(f"name is {name!r}, which another family has; choose another")


def _with_head(reader: Reader, *, name: str) -> Reader:
    """The reader with the labels or the number of choices that the head has: given, or the training task's, or those of
    the training files."""
    task = reader.task
    if task.train:
        return _with_head_of(registry.task(task.train).family, reader)
    if task.kind == "choice":
        return dataclasses.replace(reader, num_choices=task.num_choices or len(task.labels) or _first_choices(reader))
    if task.labels or task.kind not in ("classification", "tagging"):
        return reader
    found: set[str] = set()
    for path in reader.paths["train"].values():
        with _naming("train"):
            found.update(target for row in reader.rows("train", path) for target in row.values["targets"])
    if len(found) < 2:
        raise UserError(f"labels is empty, and the training files have {sorted(found)}; there must be two or more")
    logger.info("task %r: labels are those of the training files: %s", name, ", ".join(sorted(found)))
    return dataclasses.replace(reader, labels=tuple(sorted(found)))


def _with_head_of(other: Family, reader: Reader) -> Reader:
    task = reader.task
    if other.kind != task.kind:
        raise UserError(f"train is {task.train!r}, a {other.kind} task; kind is {task.kind!r}")
    if task.kind == "choice":
        if len(task.labels) not in (0, other.num_choices):
            raise UserError(
                f"labels is {task.labels}, but rows of train, {task.train!r}, have {other.num_choices} choices"
            )
        return dataclasses.replace(reader, num_choices=other.num_choices)
    labels = task.labels or tuple(other.labels)
    if labels != tuple(other.labels):
        raise UserError(f"labels is {labels}, but those of train, {task.train!r}, are {tuple(other.labels)}")
    return dataclasses.replace(reader, labels=labels)


def _first_choices(reader: Reader) -> int:
    path = next(iter(reader.paths["train"].values()))
    with _naming("train"):
        first = next(reader.rows("train", path), None)
    if first is None:
        raise UserError(f"files.train: {path} holds no rows; it must hold at least one")
    return len(first.values["inputs"]) - 1


@contextlib.contextmanager
def _naming(split: str) -> Iterator[None]:
    """Puts the field in front of what is wrong with a file."""
    try:
        yield
    except UserError as error:
        raise _prefixed(error, f"files.{split}: ") from None


def _check_files(reader: Reader) -> None:
    """Reads all files through. Raises UserError with the first problem of each file."""
    problems = []
    for split, paths in reader.paths.items():
        for path in paths.values():
            try:
                with _naming(split):
                    check(reader, split, path, content_version(path))
            except UserError as error:
                problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))


def _family(name: str, reader: Reader, languages: tuple[str, ...]) -> Family:
    task, train = reader.task, reader.paths.get("train", {})
    head_name = registry.task(task.train).family.head_name if task.train else name
    own = f"{name}.{'en' if 'en' in train else next(code for code in languages if code in train)}" if train else "-"
    return _FileFamily(
        name=name,
        kind=task.kind,
        metric=task.metric or KINDS[task.kind].metrics[0],
        languages=languages,
        labels=() if task.kind == "choice" else reader.labels,
        num_choices=reader.num_choices or 1,
        max_length=task.max_length,
        train=task.train or ("-" if task.kind == "mlm" else own),
        head_name=head_name,
        splits={split: split for split in SPLITS if split in reader.paths},
        lacks={split: tuple(code for code in languages if code not in paths) for split, paths in reader.paths.items()},
        source=Rows(read=reader.read, version=reader.version),
        convert=_schema,
    )


def _schema(row, language):
    """In-graph: rows have the text schema's features already, but for the type of `starts`."""
    import tensorflow as tf

    starts = {"starts": tf.strings.to_number(row["starts"], tf.int32)} if "starts" in row else {}
    return {"inputs": row["inputs"], "targets": row["targets"], **starts}
