"""Prints a task and its first examples, from the data set's row to the tokens the encoder sees.

An example is shown four times: the row as the data set has it, the text schema (`xtreme_stilts.tasks`), the tokens
with their ids, and what the head is to predict, decoded from the tokenised row itself, so that a shifted answer or tag
would be seen.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import logging
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.nested import flat
from xtreme_stilts.tasks import catalogue
from xtreme_stilts.tasks.sizes import rows as rows_of

if TYPE_CHECKING:
    from xtreme_stilts.data.features import Example, Rows
    from xtreme_stilts.data.tokenizer import Tokenizer

_VALUE = 300  # characters of a value that are shown
_HEAD, _TAIL, _AROUND = 40, 6, 10  # tokens shown at the start and the end of a long row, and around an answer
_UNKNOWN = 0.2  # share of unknown tokens from which a tokenizer cannot be the right one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What to show of a task."""

    split: str = ""  # "" = the scored one, or the first that is here
    examples: int = 2
    tokenizer: str = "mini"  # see `load_tokenizer`
    max_length: int = 0  # tokens of an example; 0 = the family's own


def print_task(task: tasks.Task, *, asked: Asked, console: Console) -> None:
    """Prints what a task is, its splits with sizes, and examples.

    Raises:
        UserError: no such split, its data or the tokenizer are not there, or a negative number of examples.
    """
    if asked.examples < 0:
        raise UserError(f"examples is {asked.examples}; it must be 0 or more")
    split = _split(task, asked.split)
    _print_heading(task, console=console)
    if not asked.examples:
        return
    examples = _examples(task, split, count=asked.examples)
    from xtreme_stilts.data.features import Example, Limits, Recipe, encode
    from xtreme_stilts.data.tokenizer import load_tokenizer

    family = task.family
    tokenizer = load_tokenizer(asked.tokenizer)
    recipe = Recipe(
        kind=family.kind,
        labels=tuple(family.labels),
        num_choices=family.num_choices,
        limits=Limits(max_length=asked.max_length or family.max_length),
    )
    for number, (row, text) in enumerate(examples, 1):
        console.rule(f"{task.name} {split}, example {number}", align="left", characters="─", style="dim")
        _print_values("row of the data set", row, console=console)
        _print_values("text schema", text, console=console)
        example = Example.of(text)
        encoded = encode([example], recipe=recipe, tokenizer=tokenizer, where=f"task {task.name!r}, split {split!r}")
        _print_tokens(_Encoded(family, example, encoded, tokenizer), console=console)


def _split(task: tasks.Task, asked: str) -> str:
    if asked or not task.splits:
        tasks.source_split(task.name, asked)
        return asked
    preferred = dict.fromkeys([task.family.scored_split(task.language), *task.splits])
    candidates = [split for split in preferred if split in task.splits]
    return next((split for split in candidates if rows_of(task.name, split)), candidates[0])


def _print_heading(task: tasks.Task, *, console: Console) -> None:
    family = task.family
    labels = catalogue.labels_of(family)
    sizes = {split: rows_of(task.name, split) for split in task.splits}
    said = {
        "head": family.kind + (f" with {family.num_choices} choices" if family.kind == "choice" else ""),
        "labels": "decided by the data, which are not here" if labels is None else " ".join(labels) or "none",
        "metric": family.metric,
        "from": tasks.source_version(task.name),
        "rows": ", ".join(f"{split} {'-' if size is None else f'{size:,}'}" for split, size in sizes.items()),
        "trained on": family.train or "nothing",
    }
    catalogue.print_members(f"task {task.name}", said, console=console)


# --------------------------------------------------------------------------------------------------
# Reading


class _Pair(NamedTuple):
    """An example as the data set has it and in the text schema."""

    row: Mapping[str, Any]
    text: Mapping[str, Any]


def _examples(task: tasks.Task, split: str, *, count: int) -> list[_Pair]:
    """The first examples of a split. Where each text is taken once, no row belongs to it, and none is given."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from xtreme_stilts.quiet import native_stderr

    with native_stderr():
        from xtreme_stilts.tasks import seqio_tasks
    logging.set_verbosity(logging.WARNING)  # TFDS notes every file it opens
    texts = list(itertools.islice(seqio_tasks.examples(task.name, split), count))
    raw = itertools.repeat({}) if task.family.distinct else _rows(task, split)
    return [_Pair(row, text) for text, row in zip(texts, raw, strict=False)]


def _rows(task: tasks.Task, split: str) -> Iterator[Mapping[str, Any]]:
    """The rows of the data set that examples are made of, in order."""
    import seqio

    from xtreme_stilts.tasks.preprocessors import with_id

    found = seqio.TaskRegistry.get(task.name).source.get_dataset(split=split, shuffle=False)
    if keep := task.family.keep:
        numbered = found.enumerate().filter(lambda number, row: keep(with_id(number, row), task.language))
        found = numbered.map(lambda number, row: row)
    return found.as_numpy_iterator()


# --------------------------------------------------------------------------------------------------
# Values


def _print_values(title: str, values: Mapping[str, Any], *, console: Console) -> None:
    if values:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for name, value in flat(values).items():
            table.add_row(Text(name), Text(_shortened(_written(value))))
        console.print(f"[bold]{title}[/bold]")
        console.print(Padding(table, (0, 0, 1, 2)))


def _written(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "replace"))
    if isinstance(value, str):
        return repr(value)
    if hasattr(value, "to_list"):  # a ragged tensor's value
        value = value.to_list()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _VALUE else f"{text[:_VALUE]} … {len(text) - _VALUE:,} more characters"


# --------------------------------------------------------------------------------------------------
# Tokens


class _Encoded(NamedTuple):
    """An example and its tokenised rows."""

    family: tasks.Family
    example: Example
    rows: Rows
    tokenizer: Tokenizer

    def sequences(self) -> list[range]:
        """Places in `rows.tokens` of every sequence, row after row, choice after choice."""
        ends = np.cumsum(self.rows.lengths.reshape(-1)).tolist()
        return [range(first, end) for first, end in itertools.pairwise([0, *ends])]

    def pieces(self, places: Sequence[int]) -> list[str]:
        return self.tokenizer.hf.convert_ids_to_tokens(self.rows.tokens[list(places)].tolist())

    def ids(self, places: Sequence[int]) -> list[str]:
        return [str(number) for number in self.rows.tokens[list(places)].tolist()]


def _print_tokens(encoded: _Encoded, *, console: Console) -> None:
    kind = encoded.family.kind
    counts = ", ".join(f"{name} {count}" for name, count in encoded.rows.counts.items() if count)
    console.print(f"[bold]tokens[/bold] ({encoded.tokenizer.name}{', ' + counts if counts else ''})")
    if np.mean(encoded.rows.tokens == encoded.tokenizer.unk_id) > _UNKNOWN:
        console.print("  this tokenizer does not know the language; name the encoder's own with --tokenizer")
    {"tagging": _print_tagging, "span": _print_span}.get(kind, _print_sequences)(encoded, console=console)
    console.print()


def _print_sequences(encoded: _Encoded, *, console: Console) -> None:
    """Classification, regression, choice, mlm, embedding: the sequences, then the label."""
    label = encoded.rows.per_row.get("label")
    for number, places in enumerate(encoded.sequences()):
        if encoded.family.kind == "choice":
            right = " (right)" if label is not None and label[0] == number else ""
            console.print(f"  choice {number}{right}, {len(places)} tokens")
        else:
            console.print(f"  {len(places)} tokens")
        _print_aligned(encoded, places, console=console)
    if label is not None:
        console.print(f"  label: {_label(encoded.family, label[0])}", markup=False)


def _label(family: tasks.Family, value: float) -> str:
    if np.isnan(value) or (family.kind != "regression" and value < 0):
        return "none: the example is not labelled"
    if family.kind == "classification":
        return f"{int(value)} = {family.labels[int(value)]}"
    return f"{value:g}"


def _print_tagging(encoded: _Encoded, *, console: Console) -> None:
    """One line a word: its tag as read back from the tokens, its pieces and their ids."""
    per_token, labels = encoded.rows.per_token, tuple(encoded.family.labels)
    sequences = encoded.sequences()
    for number, places in enumerate(sequences, 1):
        if len(sequences) > 1:
            console.print(f"  piece {number} of {len(sequences)}, {len(places)} tokens")
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for heading in ("word", "tag", "pieces", "ids"):
            table.add_column(heading, overflow="fold")
        for group in _words(places, per_token["word"]):
            word, tag = per_token["word"][group[0]], per_token["tags"][group[0]]
            table.add_row(
                Text("" if word < 0 else encoded.example.inputs[word]),
                "" if tag < 0 else labels[tag],
                Text(" ".join(encoded.pieces(group))),
                Text(" ".join(encoded.ids(group)), style="dim"),
            )
        console.print(Padding(table, (0, 0, 0, 2)))


def _words(places: Iterable[int], word: np.ndarray) -> list[list[int]]:
    """Tokens grouped by word; the special tokens at both ends are groups of their own."""
    places = list(places)
    groups: list[list[int]] = []
    for place in places:
        if word[place] >= 0 or place in (places[0], places[-1]) or not groups:
            groups.append([])
        groups[-1].append(place)
    return groups


def _print_span(encoded: _Encoded, *, console: Console) -> None:
    """The windows of a context; the answer is cut out of the context by the offsets of its tokens."""
    rows, context = encoded.rows, encoded.example.inputs[1]
    sequences = encoded.sequences()
    for number, places in enumerate(sequences):
        first, last = (places[0] + int(rows.per_row[side][number]) for side in ("start", "end"))
        console.print(f"  window {number + 1} of {len(sequences)}, {len(places)} tokens")
        answer = range(first, last + 1) if rows.per_token["char_start"][first] >= 0 else range(0)
        _print_aligned(encoded, places, marked=answer, console=console)
        if not answer:
            console.print("  answer: none in this window")
            continue
        begin, end = int(rows.per_token["char_start"][first]), int(rows.per_token["char_end"][last])
        where = f"tokens {first - places[0]} to {last - places[0]}, characters {begin} to {end}"
        before, after = context[max(0, begin - 30) : begin], context[end : end + 30]
        text = Text(f"  answer: {where}: …{' '.join(before.splitlines())}")
        text.append(f"⟦{context[begin:end]}⟧", style="bold")
        console.print(text.append(f"{' '.join(after.splitlines())}…"))


def _print_aligned(encoded: _Encoded, places: Sequence[int], *, marked: Sequence[int] = (), console: Console) -> None:
    """Pieces with their ids below them, in as many lines as needed; of long rows the start, the end and what is
    marked."""
    shown = [place for place in places if _is_shown(place, places, marked)]
    columns: list[_Column] = []
    for before, place, piece, number in zip(
        [places[0] - 1, *shown], shown, encoded.pieces(shown), encoded.ids(shown), strict=False
    ):
        if place > before + 1:
            columns.append(_Column(f"… {place - before - 1} more …", "", False))
        columns.append(_Column(piece, number, place in marked))
    for line in _lines(columns, width=console.width - 4):
        top, bottom = Text("    "), Text("    ")
        for column in line:
            top.append(column.piece, style="bold reverse" if column.marked else "")
            top.append(" " * (column.width - cell_len(column.piece)))
            bottom.append(column.id.ljust(column.width), style="dim")
        console.print(top, soft_wrap=True)
        console.print(bottom, soft_wrap=True)


def _is_shown(place: int, places: Sequence[int], marked: Sequence[int]) -> bool:
    if len(places) <= _HEAD + _TAIL + 2 * _AROUND:
        return True
    near = bool(marked) and marked[0] - _AROUND <= place <= marked[-1] + _AROUND
    return near or place - places[0] < _HEAD or places[-1] - place < _TAIL


class _Column(NamedTuple):
    """A token in two lines."""

    piece: str
    id: str
    marked: bool

    @property
    def width(self) -> int:
        return max(cell_len(self.piece), len(self.id)) + 1


def _lines(columns: Iterable[_Column], *, width: int) -> Iterator[list[_Column]]:
    """Columns in lines of at most `width` cells."""
    line: list[_Column] = []
    for column in columns:
        if line and sum(each.width for each in line) + column.width > width:
            yield line
            line = []
        line.append(column)
    if line:
        yield line
