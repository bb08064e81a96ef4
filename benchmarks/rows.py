"""Token rows for the benchmarks, and batches of them. numpy only, unless real text is read.

Terms. *Rows* are tokenised examples, one after another. With `--data` they are real: XNLI's English validation set
(pairs), the windows of SQuAD's validation set, UDPOS's English training set, in XLM-R's tokens. Without it, lengths are
drawn from the histograms of those sets and token ids at random. A *packed* batch puts several rows into one row of the
batch; a *padded* one gives each its own.

Batches have the arrays that `xtreme_stilts.models.heads` describes for classification, with one more leading axis, the
micro-batches. All sets are timed under the same three-class head: heads take a thousandth of a step.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

import numpy as np

from benchmarks import common
from xtreme_stilts.data import packing
from xtreme_stilts.errors import UserError

BIN = 8  # tokens a bin of the histograms
TOKENS_PER_SLOT = 8  # a packed batch row has a slot for every so many tokens, as in data/loader.py
LABELS = 3


class RowSet(NamedTuple):
    """A set of rows: where real ones come from, how long they are, and the shapes they are trained in."""

    task: str  # of xtreme_stilts.tasks
    split: str
    kind: str
    width: int  # longest row, and what padding to a fixed width pads to (XTREME's scripts)
    packed_length: int  # tokens of a packed batch row; on CPU short rows are faster, attention being quadratic
    examples: int  # of an optimizer step on CPU
    active: int  # ids in use in a training set, for the compact word table
    histogram: tuple[int, ...]  # rows of [0, 8), [8, 16), ... tokens; the last bin ends at `width`


# fmt: off
SQUAD_HISTOGRAM = (
    0, 0, 0, 0, 0, 5, 50, 77, 46, 68, 136, 93, 158, 152, 138, 187, 371, 495, 667, 749, 662, 607, 584, 523, 521, 387,
    418, 399, 376, 279, 286, 263, 261, 204, 158, 184, 108, 138, 147, 119, 104, 80, 80, 75, 70, 34, 43, 60, 445,
)
# fmt: on

# Histograms and `active` are counts made with XLM-R's tokenizer: lengths of the split named, ids of the training set.
# For XNLI 32,768 is assumed, since its training set, MNLI, was not at hand; SQuAD's has 33,037. SQuAD takes 8 windows a
# step, to keep a run to minutes.
SETS = {
    "xnli": RowSet(
        "xnli.en", "validation", "classification", 128, 128, 32, 32768, (0, 3, 183, 415, 527, 519, 432, 267, 116, 26, 2)
    ),
    "squad": RowSet(
        "squad_v1.en",
        "validation",
        "span",
        384,
        384,
        8,
        33037,
        SQUAD_HISTOGRAM,
    ),
    "udpos": RowSet(
        "udpos.en",
        "train",
        "tagging",
        128,
        128,
        32,
        13655,
        (1522, 3117, 2864, 2143, 1300, 699, 410, 214, 123, 57, 40, 29, 11, 7, 2, 13),
    ),
}


class Rows(NamedTuple):
    """Row i is `tokens[offsets[i] : offsets[i + 1]]`."""

    tokens: np.ndarray  # int32[total]
    offsets: np.ndarray  # int64[N + 1]

    @property
    def sizes(self) -> np.ndarray:
        """int64[N]."""
        return np.diff(self.offsets)


class Batch(NamedTuple):
    """One optimizer step's input, and what is in it."""

    arrays: dict[str, np.ndarray]  # each [micro_batches, rows, ...]
    sizes: np.ndarray  # int64[examples], real tokens

    @property
    def tokens(self) -> int:
        """Real tokens."""
        return int(self.sizes.sum())

    @property
    def computed(self) -> int:
        """Tokens with padding."""
        return self.arrays["tokens"].size


# --- rows ---------------------------------------------------------------------------------------------------


def drawn(name: str, *, count: int, vocab_size: int, seed: int = 0) -> Rows:
    """Rows with lengths from a set's histogram, 2 tokens at least, and ids uniform over its active number of ids."""
    found, random = SETS[name], np.random.default_rng(seed)
    weights = np.asarray(found.histogram, np.float64)
    sizes = random.choice(len(weights), count, p=weights / weights.sum()) * BIN + random.integers(0, BIN, count)
    sizes = np.clip(sizes, 2, found.width)
    ids = random.permutation(np.arange(4, vocab_size, dtype=np.int32))[: found.active]
    tokens = random.choice(ids, int(sizes.sum()))
    return Rows(tokens, np.concatenate([[0], np.cumsum(sizes)]))


def real(name: str, *, data: str) -> Rows:
    """A set's rows from prepared data sets, read in a process of its own, since TensorFlow does it.

    Raises:
        UserError: the data set or the tokenizer is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.npz"
        command = [sys.executable, "-m", "benchmarks.rows", name, data, str(path)]
        run = subprocess.run(command, env=common.environment(), capture_output=True, text=True, check=False)
        if run.returncode:
            raise UserError(f"--data {data}: {(run.stderr.strip().splitlines() or ['no rows'])[-1]}")
        return load(path)


def rows_of(name: str, *, data: str, count: int, vocab_size: int) -> Rows:
    """Real rows where `data` names a folder, else drawn ones."""
    return real(name, data=data) if data else drawn(name, count=count, vocab_size=vocab_size)


def save(rows: Rows, path: pathlib.Path) -> None:
    """Writes what `load` reads."""
    np.savez(path, **rows._asdict())


def load(path: str | pathlib.Path) -> Rows:
    """Rows written by `save`."""
    with np.load(path, allow_pickle=False) as columns:
        return Rows(**columns)


def examples_of(name: str, *, data: str) -> list[Any]:
    """The text of a set, as `xtreme_stilts.data.features.Example`s. Imports TensorFlow."""
    from xtreme_stilts import tasks
    from xtreme_stilts.data.cache import read_seqio

    tasks.configure(data_dir=str(pathlib.Path(data) / "tfds"))
    return list(read_seqio(SETS[name].task, SETS[name].split))


def recipe_of(name: str) -> Any:
    """How a set's text becomes rows."""
    from xtreme_stilts import tasks
    from xtreme_stilts.data.features import Limits, Recipe

    family = tasks.task(SETS[name].task).family
    return Recipe(kind=family.kind, labels=tuple(family.labels), limits=Limits(max_length=SETS[name].width))


def _tokenise(name: str, data: str) -> Rows:
    from xtreme_stilts.data.features import encode
    from xtreme_stilts.data.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(pathlib.Path(data) / "tokenizer" / "xlmr")
    encoded = encode(examples_of(name, data=data), recipe=recipe_of(name), tokenizer=tokenizer)
    return Rows(encoded.tokens, np.concatenate([[0], np.cumsum(encoded.lengths.sum(1, dtype=np.int64))]))


# --- batches ------------------------------------------------------------------------------------------------


def packed(
    rows: Rows, *, steps: int, micro_batches: int, micro_rows: int, length: int, seed: int = 0, pad_id: int = 1
) -> list[Batch]:
    """Batches of a shuffled, endless stream of rows, packed as training packs them.

    Args:
        rows: none longer than `length`.
        steps: batches to make, each [micro_batches, micro_rows, length].
    """
    shape = (micro_batches, micro_rows, length)
    bins = _best_fit(rows.sizes, bins=steps * micro_batches * micro_rows, length=length, seed=seed)
    width = micro_batches * micro_rows
    return [_batch(rows, bins[i * width : (i + 1) * width], shape=shape, pad_id=pad_id) for i in range(steps)]


def padded(
    rows: Rows, *, steps: int, micro_batches: int, examples: int, width: int, seed: int = 0, pad_id: int = 1
) -> list[Batch]:
    """Batches of `examples` shuffled rows, one to a batch row.

    Args:
        micro_batches: divides `examples`.
        width: tokens of a batch row; 0 = the longest row of the batch.
    """
    stream, batches = _stream(len(rows.sizes), seed=seed), []
    for _ in range(steps):
        chosen = [[next(stream)] for _ in range(examples)]
        length = width or int(rows.sizes[np.ravel(chosen)].max())
        batches.append(_batch(rows, chosen, shape=(micro_batches, examples // micro_batches, length), pad_id=pad_id))
    return batches


def make(rows: Rows, *, layout: str, **plan: Any) -> list[Batch]:
    """`packed` or `padded`, by name, so that every side makes the same batches from the same plan."""
    return {"packed": packed, "padded": padded}[layout](rows, **plan)


def _stream(count: int, *, seed: int):
    random = np.random.default_rng(seed)
    while True:
        yield from random.permutation(count).tolist()


def _best_fit(sizes: np.ndarray, *, bins: int, length: int, seed: int) -> list[list[int]]:
    """Row numbers of each batch row, packed a window at a time as the loader does."""
    random, stream = np.random.default_rng(seed), _stream(len(sizes), seed=seed)
    found: list[list[int]] = []
    while len(found) < bins:
        window = [next(stream) for _ in range(min(packing.WINDOW, len(sizes)))]
        packed = packing.best_fit(sizes[window], length=length, slots=length // TOKENS_PER_SLOT)
        found += [[window[place] for place in packed[i]] for i in random.permutation(len(packed))]
    return found[:bins]


def _batch(rows: Rows, held: list[list[int]], *, shape: tuple[int, int, int], pad_id: int) -> Batch:
    """[micro_batches, micro_rows, length] from the row numbers of each batch row."""
    length, slots = shape[-1], max(1, max(map(len, held)))
    if slots > 1:
        slots = length // TOKENS_PER_SLOT  # a shape that does not depend on the batch
    count = len(held)
    tokens = np.full((count, length), pad_id, np.int32)
    segment_ids, positions = np.zeros((2, count, length), np.int32)
    first, label = np.zeros((2, count, slots), np.int32)
    weight = np.zeros((count, slots), np.float32)
    for line, numbers in enumerate(held):
        begin = 0
        for slot, number in enumerate(numbers):
            row = rows.tokens[rows.offsets[number] : rows.offsets[number + 1]]
            place = slice(begin, begin + len(row))
            tokens[line, place], segment_ids[line, place] = row, slot + 1
            positions[line, place] = np.arange(len(row))
            first[line, slot], weight[line, slot], label[line, slot] = begin, 1, number % LABELS
            begin += len(row)
    arrays = {
        "tokens": tokens,
        "segment_ids": segment_ids,
        "positions": positions,
        "first": first,
        "weight": weight,
        "label": label,
        "row": np.where(weight > 0, 0, -1).astype(np.int32),
    }
    stacked = {name: array.reshape(*shape[:2], *array.shape[1:]) for name, array in arrays.items()}
    return Batch(stacked, rows.sizes[[number for numbers in held for number in numbers]])


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a set's real rows as .npz.")
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("data")
    parser.add_argument("out", type=pathlib.Path)
    given = parser.parse_args()
    save(_tokenise(given.name, given.data), given.out)


if __name__ == "__main__":
    with common.reported_errors():
        main()
