"""Tokenised rows on disk, made once from a task's text and read memory-mapped ever after.

A cache is a folder: one `.npy` file a column, `examples.jsonl` with the text of the examples, `meta.json`
with counts, fingerprints and the sha256 of every other file. Columns per token are flat, row after row;
`offsets.npy` says where a row begins. A folder is written under a temporary name and renamed, so it is
complete or absent; it is verified when opened. Its
name ends in the key: sha256 of everything that decides its contents.

The text comes from an iterable or from a seqio task; only `read_seqio` imports TensorFlow.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import json
import logging
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xtreme_stilts.data.features import CODE_VERSION, Example, Limits, Recipe, Rows, encode
from xtreme_stilts.data.tokenizer import Tokenizer
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.quiet import native_stderr

logger = logging.getLogger(__name__)

CHUNK = 2048  # examples tokenised at once; bounds the memory of a build
LIMITS = Limits()
META, EXAMPLES = "meta.json", "examples.jsonl"

# Counts of a build that a user is told of, in words.
TOLD = {
    "truncated": "texts cut to length",
    "split": "pieces more than sentences",
    "questions_cut": "questions cut to length",
    "unknown_words": "words unknown to the tokenizer",
    "misplaced": "answers that are not where they claim to be",
    "unlabelled": "without a label",
    "blank": "blank and left out",
}


class Damaged(Exception):
    """A cache folder that is not what its meta.json says."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What training needs to know of the tokenizer, kept in the cache so that no tokenizer is loaded then."""

    fingerprint: str
    vocab_size: int
    pad_id: int
    mask_id: int | None
    unmaskable_ids: tuple[int, ...]  # never chosen for masking: all special tokens but unknown
    uses_token_types: bool

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Vocabulary:
        return cls(
            fingerprint=tokenizer.fingerprint,
            vocab_size=tokenizer.vocab_size,
            pad_id=tokenizer.pad_id,
            mask_id=tokenizer.mask_id,
            unmaskable_ids=tuple(i for i in tokenizer.special_ids if i != tokenizer.unk_id),
            uses_token_types=tokenizer.uses_token_types,
        )


class Cache:
    """The rows of one task and split, read-only. `len` is the number of rows.

    Attributes:
        path: its folder.
        meta: the parsed meta.json; `meta["counts"]` tells what was cut, split or skipped.
        kind, labels, num_choices: of the recipe.
        columns: name -> memory-mapped array; per token [total] for `tokens` and those in `per_token`, else
            per row [N].
        offsets: int64[N + 1], row i is [offsets[i], offsets[i + 1]) of the columns per token.
        sizes: int64[N], tokens of each row.
        per_token, per_row: names of the columns.
        vocabulary: of the tokenizer.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens and verifies a folder.

        Raises:
            Damaged: a file is missing, or is not the one that was written.
        """
        self.path = pathlib.Path(path)
        self.meta = _verified_meta(self.path)
        self.kind: str = self.meta["kind"]
        self.labels = tuple(self.meta["labels"])
        self.num_choices: int = self.meta["num_choices"]
        vocabulary = self.meta["vocabulary"]
        self.vocabulary = Vocabulary(**vocabulary | {"unmaskable_ids": tuple(vocabulary["unmaskable_ids"])})
        self.per_token = tuple(self.meta["per_token"])
        self.per_row = tuple(self.meta["per_row"])
        self.columns = {name: self._open(name) for name in self.per_token + self.per_row}
        self.offsets = self._open("offsets")
        self.sizes = np.diff(self.offsets)

    def _open(self, name: str) -> np.ndarray:
        # A plain view of the mapping: slicing np.memmap itself costs microseconds a row.
        return np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        name = f"{self.meta['task']!r}, {self.meta['split']!r}"
        return f"Cache({name}, {self.kind}, {len(self)} rows, {self.num_tokens} tokens)"

    @property
    def parts(self) -> tuple[Part, ...]:
        """Itself, as the only part; see `Joined`."""
        return (Part(self, 0, 1.0),)

    @property
    def fingerprint(self) -> str:
        """Sha256 of the contents of all columns and examples: equal if and only if the data are."""
        return hashlib.sha256(json.dumps(self.meta["files"], sort_keys=True).encode()).hexdigest()

    @property
    def num_tokens(self) -> int:
        return int(self.offsets[-1])

    @property
    def num_examples(self) -> int:
        return self.meta["counts"]["examples"]

    @property
    def mean_length(self) -> float:
        """Tokens a row, all choices together."""
        return self.num_tokens / len(self)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.sizes.max())

    def row(self, i: int) -> dict[str, np.ndarray]:
        """Row i: columns per token as [n], the others as scalars or [C]. Read-only views."""
        part = slice(self.offsets[i], self.offsets[i + 1])
        return {name: column[part] if name in self.per_token else column[i] for name, column in self.columns.items()}

    def example(self, i: int) -> Example:
        """The text of example i (a row's `example` column), read from disk."""
        with open(self.path / EXAMPLES, "rb") as file:
            file.seek(self._lines[i])
            return _parse(file.readline())

    def examples(self) -> Iterator[Example]:
        """All examples, in the order of their numbers."""
        with open(self.path / EXAMPLES, "rb") as file:
            yield from map(_parse, file)

    @functools.cached_property
    def _lines(self) -> np.ndarray:
        return self._open("lines")


class Part(NamedTuple):
    """A cache as a part of several that are read as one."""

    cache: Cache
    first_row: int  # number of its first row among all
    rate: float  # its share of a training stream, before normalising


class Joined:
    """Several caches of one kind read as one, to mix tasks within a batch of training; nothing is copied.

    It has those attributes of `Cache` that the loader reads.

    Args:
        caches: of the same kind, columns and tokenizer.
        rates: share of each in a training stream, before normalising.

    Raises:
        UserError: the caches differ in kind, labels or columns.
    """

    def __init__(self, caches: Sequence[Cache], *, rates: Sequence[float]) -> None:
        one = caches[0]
        for other in caches[1:]:
            if (other.kind, other.labels, set(other.columns)) != (one.kind, one.labels, set(one.columns)):
                names = f"{one.meta['task']!r} ({one.kind}) and {other.meta['task']!r} ({other.kind})"
                raise UserError(f"tasks {names} cannot share a batch; they differ in kind, labels or columns")
        rows = np.cumsum([0, *map(len, caches)])
        tokens = np.cumsum([0, *(cache.num_tokens for cache in caches)])
        first = rows[:-1].tolist()
        self.parts = tuple(Part(*part) for part in zip(caches, first, map(float, rates), strict=True))
        self.kind, self.num_choices, self.vocabulary = one.kind, one.num_choices, one.vocabulary
        self.columns = {
            name: _JoinedColumn([cache.columns[name] for cache in caches], tokens if name in one.per_token else rows)
            for name in one.columns
        }
        self.sizes = np.concatenate([cache.sizes for cache in caches])
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        self.longest = max(cache.longest for cache in caches)
        self.num_tokens = int(tokens[-1])
        counts: collections.Counter = collections.Counter()
        for cache in caches:
            counts.update(cache.meta["counts"])
        names = "+".join(cache.meta["task"] for cache in caches)
        self.meta = {"task": names, "split": one.meta["split"], "counts": dict(counts)}

    def __len__(self) -> int:
        return len(self.sizes)


class _JoinedColumn:
    """Columns end to end, read by arrays of indices."""

    def __init__(self, columns: Sequence[np.ndarray], bounds: np.ndarray) -> None:
        self._columns, self._bounds, self.dtype = columns, bounds, columns[0].dtype

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        part = np.searchsorted(self._bounds, index, side="right") - 1
        out = np.empty((*index.shape, *self._columns[0].shape[1:]), self.dtype)
        for number in np.unique(part):
            here = part == number
            out[here] = self._columns[number][index[here] - self._bounds[number]]
        return out


def _parse(line: bytes) -> Example:
    return Example.of(json.loads(line))


def _verified_meta(path: pathlib.Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / META).read_text("utf-8"))
        for name, expected in meta["files"].items():
            if _sha256(path / name) != expected:
                raise Damaged(f"{path / name} is not the file that was written")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{path}: {error}") from error
    return meta


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_key(task: str, split: str, *, recipe: Recipe, tokenizer: Tokenizer, data_version: str = "") -> str:
    """Sha256 of everything that decides the contents of a cache."""
    parts = {
        "task": task,
        "split": split,
        "data_version": data_version,
        "recipe": dataclasses.asdict(recipe),
        "tokenizer": tokenizer.fingerprint,
        "code_version": CODE_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def build(
    task: str,
    split: str,
    *,
    kind: str,
    tokenizer: Tokenizer,
    cache_dir: str | os.PathLike[str],
    labels: Iterable[str] = (),
    num_choices: int = 1,
    limits: Limits = LIMITS,
    data_version: str = "",
    misplaced: str | None = None,
    examples: Iterable[Example | Mapping[str, Any]] | None = None,
) -> Cache:
    """The cache of one task and split: opened if `cache_dir` has it, else made.

    Args:
        task: name of a seqio task or mixture; with `examples`, any name.
        split: of the task.
        kind, labels, num_choices, limits: see `features.Recipe`.
        data_version: version of the data set, part of the key.
        misplaced: span only, what becomes of an example whose answer is not where it claims to be: "skip"
            (default for a split named train...) or "keep" (default for the others, which are scored as they
            are).
        examples: the text; None reads the seqio task, and only if the cache must be made.

    Raises:
        UserError: an unknown task or split, no examples, or an example that does not fit.
    """
    if misplaced is None:
        misplaced = "skip" if kind == "span" and split.startswith("train") else "keep"
    recipe = Recipe(kind=kind, labels=tuple(labels), num_choices=num_choices, limits=limits, misplaced=misplaced)
    key = cache_key(task, split, recipe=recipe, tokenizer=tokenizer, data_version=data_version)
    path = pathlib.Path(cache_dir) / f"{re.sub('[^A-Za-z0-9._-]+', '_', f'{task}-{split}')[:80]}-{key[:16]}"
    if path.exists():
        try:
            return Cache(path)
        except Damaged as damage:
            logger.warning("the cache of task %r, split %r is damaged (%s) and is made again", task, split, damage)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        source = read_seqio(task, split) if examples is None else map(Example.of, examples)
        head = {
            "task": task,
            "split": split,
            "data_version": data_version,
            "key": key,
            "code_version": CODE_VERSION,
        }
        _write(temporary, source, recipe=recipe, tokenizer=tokenizer, head=head)
        cache = _publish(temporary, path)
        _tell(cache)
        return cache
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _tell(cache: Cache) -> None:
    """One line on what of the text did not become rows as it stands; none if all did."""
    counts = cache.meta["counts"]
    told = [f"{counts[name]} {words}" for name, words in TOLD.items() if counts.get(name)]
    if told:
        where = f"task {cache.meta['task']!r}, split {cache.meta['split']!r}"
        logger.warning("%s, %d examples: %s", where, counts["examples"], ", ".join(told))


def _publish(temporary: pathlib.Path, path: pathlib.Path) -> Cache:
    """Renames a complete folder to its name; if another process was faster, its folder is used."""
    try:
        os.rename(temporary, path)
    except OSError:  # there is one already
        try:
            return Cache(path)
        except Damaged:
            damaged = tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
            os.rename(path, pathlib.Path(damaged) / "damaged")
            os.rename(temporary, path)
            shutil.rmtree(damaged, ignore_errors=True)
    return Cache(path)


class _Column:
    """An .npy file that grows: numpy leaves room in a header to write another first dimension later."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = open(path, "w+b")  # noqa: SIM115
        self._header: dict[str, Any] | None = None
        self._count = 0

    def append(self, array: np.ndarray) -> None:
        array = np.ascontiguousarray(array)
        if self._header is None:
            descr = np.lib.format.dtype_to_descr(array.dtype)
            self._header = {"descr": descr, "fortran_order": False, "shape": (0, *array.shape[1:])}
            np.lib.format.write_array_header_1_0(self._file, self._header)
        self._count += len(array)
        self._file.write(array.data)

    def close(self) -> None:
        if self._header is not None:
            self._file.seek(0)
            shape = (self._count, *self._header["shape"][1:])
            np.lib.format.write_array_header_1_0(self._file, self._header | {"shape": shape})
        self._file.close()


class _Columns(collections.defaultdict):
    """Growing columns by name, made when first named."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> _Column:
        self[name] = _Column(self._folder / f"{name}.npy")
        return self[name]

    def close(self) -> None:
        for column in self.values():
            column.close()


class _Names(NamedTuple):
    per_token: list[str]
    per_row: list[str]


def _write(
    folder: pathlib.Path,
    examples: Iterable[Example],
    *,
    recipe: Recipe,
    tokenizer: Tokenizer,
    head: Mapping[str, Any],
) -> None:
    """Writes all files of a cache, `meta.json` last."""
    where = f"task {head['task']!r}, split {head['split']!r}"
    columns, counts = _Columns(folder), collections.Counter(examples=0, rows=0, tokens=0)
    names, line = _Names([], []), 0
    try:
        columns["offsets"].append(np.zeros(1, np.int64))
        with open(folder / EXAMPLES, "wb") as text:
            for chunk in _chunks(examples):
                rows = encode(chunk, recipe=recipe, tokenizer=tokenizer, where=where)
                if len(rows.example):
                    names = _append(columns, rows, counts=counts)
                counts.update(rows.counts)
                counts["examples"] += len(chunk)
                encoded = [(example.to_json() + "\n").encode() for example in chunk]
                lengths = np.array([len(e) for e in encoded], np.int64)
                columns["lines"].append(line + np.cumsum(lengths) - lengths)
                line += int(lengths.sum())
                text.writelines(encoded)
    finally:
        columns.close()
    if not counts["rows"]:
        found = f"{counts['examples']} examples, none of which gives a row" if counts["examples"] else "no examples"
        raise UserError(f"{where}: found {found}; a split needs at least one.")
    meta = {
        **head,
        "kind": recipe.kind,
        "labels": list(recipe.labels),
        "num_choices": recipe.num_choices,
        "misplaced": recipe.misplaced,
        "limits": dataclasses.asdict(recipe.limits),
        "vocabulary": dataclasses.asdict(Vocabulary.of(tokenizer)),
        "counts": dict(counts),
        "per_token": names.per_token,
        "per_row": names.per_row,
        "files": {file.name: _sha256(file) for file in sorted(folder.iterdir())},
    }
    (folder / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False), "utf-8")


def _append(columns: _Columns, rows: Rows, *, counts: collections.Counter) -> _Names:
    """Appends rows; `counts` holds the rows, tokens and examples written so far."""
    per_token = {"tokens": rows.tokens, **rows.per_token}
    per_row = {
        "lengths": rows.lengths,
        "example": rows.example + np.int32(counts["examples"]),
        **rows.per_row,
    }
    for name, column in (per_token | per_row).items():
        columns[name].append(column)
    columns["offsets"].append(counts["tokens"] + np.cumsum(rows.lengths.sum(1, dtype=np.int64)))
    counts["rows"] += len(rows.example)
    counts["tokens"] += len(rows.tokens)
    return _Names(list(per_token), list(per_row))


def _chunks(examples: Iterable[Example]) -> Iterator[list[Example]]:
    source = iter(examples)
    while chunk := list(itertools.islice(source, CHUNK)):
        yield chunk


def read_seqio(task: str, split: str) -> Iterator[Example]:
    """The examples of a registered seqio task or mixture, once each, in the order of its source.

    The only way to TensorFlow: imported here, and kept off every accelerator.

    Raises:
        UserError: no such task, or no such split.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with native_stderr():
        import seqio
        import tensorflow as tf

        import xtreme_stilts.tasks.seqio_tasks as seqio_tasks

    for device in ("GPU", "TPU"):
        tf.config.set_visible_devices([], device)
    seqio_tasks.register()  # what was declared since the import

    names = [*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()]
    if task not in names:
        raise UserError(f"task {task!r} is not registered with seqio; {did_you_mean(task, names)}")
    provider = seqio.get_mixture_or_task(task)
    if split not in provider.splits:
        raise UserError(f"task {task!r} has no split {split!r}; {did_you_mean(split, provider.splits)}")
    dataset = provider.get_dataset(sequence_length=None, split=split, shuffle=False, num_epochs=1)
    yield from map(Example.of, dataset.as_numpy_iterator())
