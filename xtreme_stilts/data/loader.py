"""Cached rows to batches, through grain: shuffle, shard, mask, pack, prefetch. No TensorFlow.

Terms. A *ticket* is epoch * rows + row number: it names a row and the time it is used, and is all that the
shuffling and packing stages pass around (with the row's length). `assemble` then gathers the tokens of a
whole batch at once. Masks are a function of (seed, ticket), hence the same packed or not, on one process or
many, before or after a restart.

Several processes: each of them packs the whole stream, which looks at lengths only, and assembles its own rows of
every batch. So a batch is the same however many processes share it.

Training is an endless stream of examples; packing may put the end of one epoch and the start of the next into
one row. Evaluation is finite, in order, and shows every row once; its last batch is filled up with empty
rows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import grain
import numpy as np

from xtreme_stilts.data.cache import Cache, Joined
from xtreme_stilts.data.features import ranges
from xtreme_stilts.data.packing import WINDOW, best_fit
from xtreme_stilts.errors import UserError

Batch = dict[str, np.ndarray]

PREFETCH = 2  # batches made ahead, in a thread
TOKENS_PER_SEGMENT = 8  # decides the slots of a packed row; if segments are shorter, its end stays empty
EMPTY = -1  # ticket of an empty slot


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """The static shape of a batch, over all processes.

    Raises:
        UserError: a size below one.
    """

    rows: int  # B
    length: int  # L, tokens a row
    slots: int = 1  # S, examples a row at most; 1 = not packed
    masked: int = 0  # M, masked tokens a row at most (mlm)

    def __post_init__(self) -> None:
        if min(self.rows, self.length, self.slots) < 1 or self.masked < 0:
            raise UserError(f"found {self}; valid: rows, length and slots of at least 1, masked of at least 0.")

    @classmethod
    def packed(cls, rows: int, *, length: int, choices: int = 1, mask_rate: float = 0.0) -> Shape:
        """Several examples a row; `choices` segments an example."""
        slots = max(1, length // (TOKENS_PER_SEGMENT * choices))
        return cls(rows=rows, length=length, slots=slots, masked=masked_bound(length, mask_rate=mask_rate))

    @classmethod
    def unpacked(cls, rows: int, *, length: int, mask_rate: float = 0.0) -> Shape:
        """One example a row."""
        return cls(rows=rows, length=length, masked=masked_bound(length, mask_rate=mask_rate))


def masked_bound(length: int, *, mask_rate: float) -> int:
    """Room for the masks of a row: mean plus three standard deviations of their number.

    About one full row in a thousand then has a mask or two fewer than drawn; room for all would cost every row a
    third more of the vocabulary's logits.
    """
    mean = length * mask_rate
    return min(length, math.ceil(mean + 3 * math.sqrt(mean * (1 - mask_rate))))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Masking:
    """BERT's masking: 80 % of the chosen tokens become the mask, 10 % a random id of the vocabulary."""

    seed: int
    rate: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise UserError(f"mask_rate is {self.rate}; it must lie between 0 and 1.")


def training_batches(
    cache: Cache | Joined,
    *,
    shape: Shape,
    seed: int,
    mask_rate: float = 0.15,
    local: Sequence[int] | None = None,
) -> grain.DatasetIterator:
    """An endless stream of batches, shuffled anew every epoch.

    `get_state` gives a JSON-able dict; a stream `set_state` to it goes on exactly as the one it came from.
    `close` ends the prefetching thread.

    Args:
        shape: of the whole batch.
        seed: of shuffling and masking.
        mask_rate: mlm only.
        local: the batch rows that this process assembles, in order; None = all.

    Raises:
        UserError: rows longer than `shape.length`, or unlabelled rows.
    """
    _check(cache, shape)
    unlabelled = cache.meta["counts"].get("unlabelled", 0)
    if unlabelled:
        raise UserError(f"{_name(cache)}: {unlabelled} examples have no label; training needs one for each.")
    tickets = _tickets(cache, seed=seed)
    packed = _pack(tickets, cache=cache, shape=shape, seed=seed)
    masking = Masking(seed=seed, rate=mask_rate) if cache.kind == "mlm" else None
    rows = slice(None) if local is None else list(local)
    batches = packed.batch(shape.rows).map(lambda t: assemble(cache, t[rows], shape=shape, masking=masking))
    return iter(grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=PREFETCH))


def _tickets(cache: Cache | Joined, *, seed: int) -> grain.MapDataset:
    """Endless tickets: each part in a new order every epoch of its own, mixed by rate."""
    streams = []
    for number, part in enumerate(cache.parts):
        places = grain.MapDataset.range(len(part.cache))
        order = _Order(
            rows=len(part.cache),
            first_ticket=part.first_row,
            tickets_per_epoch=len(cache),
            seed=(seed % 2**64, number),
        )
        streams.append(places.repeat().map_with_index(order.ticket))
    if len(streams) == 1:
        return streams[0]
    return grain.MapDataset.mix(streams, weights=[part.rate for part in cache.parts])


@dataclasses.dataclass(kw_only=True)
class _Order:
    """A random order of rows for every epoch, the same on all processes.

    A permutation, not grain's index shuffle, which takes milliseconds an index where there are few: 4 bytes
    a row, one epoch at a time, since a stream asks for them in turn.
    """

    rows: int
    first_ticket: int
    tickets_per_epoch: int
    seed: tuple[int, ...]
    _epoch: int = -1
    _permutation: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))

    def ticket(self, index: int, place: int) -> int:
        """The ticket at `place` of the epoch that the endless stream's `index` is in."""
        epoch = index // self.rows
        if epoch != self._epoch:
            random = np.random.default_rng((*self.seed, epoch))
            self._permutation = random.permutation(np.arange(self.rows, dtype=np.int32))
            self._epoch = epoch
        return epoch * self.tickets_per_epoch + self.first_ticket + int(self._permutation[place])


class Evaluation:
    """Batches that show every row once. `len` is their number.

    Masks of an mlm cache are those of `seed` at epoch 0, always the same.

    Args:
        rows: show only the first so many rows of the cache.
        local: the batch rows that this process assembles, in order; None = all.

    Raises:
        UserError: rows longer than `shape.length`.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        shape: Shape,
        seed: int = 0,
        mask_rate: float = 0.15,
        rows: int | None = None,
        local: Sequence[int] | None = None,
    ) -> None:
        _check(cache, shape)
        self.cache, self.shape = cache, shape
        self._masking = Masking(seed=seed, rate=mask_rate) if cache.kind == "mlm" else None
        shown = grain.MapDataset.range(len(cache) if rows is None else min(rows, len(cache)))
        packed = list(_pack(shown, cache=cache, shape=shape, seed=None))
        self._batches = math.ceil(len(packed) / shape.rows)
        tickets = np.full((self._batches, shape.rows, shape.slots), EMPTY, np.int64)
        tickets.reshape(-1, shape.slots)[: len(packed)] = packed
        self._tickets = tickets if local is None else tickets[:, list(local)]

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        batches = grain.MapDataset.range(self._batches).map(
            lambda i: assemble(self.cache, self._tickets[i], shape=self.shape, masking=self._masking)
        )
        yield from batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=PREFETCH))


class Packing(NamedTuple):
    """How a stream of examples fills its rows."""

    fill: float  # real tokens / capacity
    examples_per_row: float


def packing(cache: Cache | Joined, *, shape: Shape, seed: int = 0, rows: int = WINDOW) -> Packing:
    """Measured on the first `rows` rows of a training stream; looks at lengths only."""
    _check(cache, shape)
    tickets = _tickets(cache, seed=seed)
    stream = iter(_pack(tickets, cache=cache, shape=shape, seed=seed))
    shown = np.stack([next(stream) for _ in range(rows)])
    used = shown[shown != EMPTY] % len(cache)
    return Packing(float(cache.sizes[used].sum() / (rows * shape.length)), len(used) / rows)


def fill(batch: Batch) -> float:
    """Share of a batch's tokens that are not padding."""
    return float(np.count_nonzero(batch["segment_ids"]) / batch["segment_ids"].size)


def _name(cache: Cache) -> str:
    return f"task {cache.meta['task']!r}, split {cache.meta['split']!r}"


def _check(cache: Cache, shape: Shape) -> None:
    if cache.longest > shape.length:
        choices = f" ({cache.num_choices} choices together)" if cache.num_choices > 1 else ""
        found = f"its longest row has {cache.longest} tokens{choices}"
        raise UserError(f"{_name(cache)}: {found}; a row of the batch holds {shape.length}, which must be as many.")
    if cache.kind == "mlm" and not shape.masked:
        raise UserError(f"{_name(cache)}: the batch shape has masked = 0; give a mask rate when making the shape.")
    if cache.kind == "mlm" and cache.vocabulary.mask_id is None:
        raise UserError(f"{_name(cache)}: the tokenizer has no mask token; masked language modelling needs one.")


def _pack(tickets: grain.MapDataset, *, cache: Cache | Joined, shape: Shape, seed: int | None) -> grain.IterDataset:
    """Tickets to rows of tickets, int64[S], EMPTY where there is none; packed rows shuffled by a seed."""
    if shape.slots == 1:
        stream = tickets.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        return stream.map(lambda ticket: np.array([ticket], np.int64))
    return _Packed(tickets, sizes=cache.sizes, shape=shape, seed=seed)


class _Packed(grain.IterDataset):
    """Packed rows, a window of tickets after the other. A window is at most an epoch, so that rows of a small set
    are not drawn from many."""

    def __init__(self, tickets: grain.MapDataset, *, sizes: np.ndarray, shape: Shape, seed: int | None):
        super().__init__()
        self.tickets, self.sizes, self.shape, self.seed = tickets, sizes, shape, seed
        self.window = min(WINDOW, len(sizes))

    def rows_of(self, number: int) -> np.ndarray:
        """int64[rows, S], the rows of one window; none behind the end."""
        begin = number * self.window
        tickets = np.array(
            [self.tickets[i] for i in range(begin, min(begin + self.window, len(self.tickets)))], np.int64
        )
        sizes = self.sizes[tickets % len(self.sizes)]
        packed = best_fit(sizes, length=self.shape.length, slots=self.shape.slots)
        rows = np.full((len(packed), self.shape.slots), EMPTY, np.int64)
        for row, places in enumerate(packed):
            rows[row, : len(places)] = tickets[places]
        return rows if self.seed is None else np.random.default_rng((self.seed % 2**64, number)).permutation(rows)

    def __iter__(self) -> _PackedIterator:
        return _PackedIterator(self)


class _PackedIterator(grain.DatasetIterator):
    """Where a stream of packed rows is: its state is the window and the row in it."""

    def __init__(self, packed: _Packed):
        super().__init__()
        self._packed, self._window, self._row = packed, 0, 0
        self._rows: np.ndarray | None = None  # of the window

    def __next__(self) -> np.ndarray:
        if self._rows is None:
            self._rows = self._packed.rows_of(self._window)
        if not len(self._rows):
            raise StopIteration
        row = self._rows[self._row]
        self._row += 1
        if self._row == len(self._rows):
            self._window, self._row, self._rows = self._window + 1, 0, None
        return row

    def get_state(self) -> dict[str, int]:
        return {"window": self._window, "row": self._row}

    def set_state(self, state: dict[str, int]) -> None:
        self._window, self._row, self._rows = state["window"], state["row"], None


def assemble(cache: Cache, tickets: np.ndarray, *, shape: Shape, masking: Masking | None = None) -> Batch:
    """The batch of these tickets.

    Args:
        tickets: int64[B, S], of some or all rows of a batch; the rows of one batch row fit into it and stand before
            its empty slots.

    Returns:
        int32[B, L]: tokens, segment_ids (0 = padding, else 1, 2, ... in a row), positions (from 0 in every
        segment), token_types (BERT only), tags (tagging; -1 = none). int32[B, S*C]: first, where in its row a
        segment begins. [B, S]: weight float32 (1 example, 0 empty slot), row int32 (of the cache, -1 empty),
        label int32 (classification, choice) or float32 (regression), start and end int32 (span; index in the
        row). [B, M]: masked_index, masked_label int32, masked_weight float32 (mlm). An unlabelled example,
        which only evaluation takes, has label 0 here: its predictions are good, the loss means nothing.
    """
    choices = cache.num_choices
    batch_row, slot = np.nonzero(tickets != EMPTY)
    ticket = tickets[batch_row, slot]
    row = ticket % len(cache)
    sizes = cache.sizes[row]
    begin = _begin_in_row(sizes, batch_row)  # of each example in its batch row
    place = ranges(batch_row * shape.length + begin, sizes)  # of each token in the flattened [B, L]
    source = ranges(cache.offsets[row], sizes)

    def scattered(values: np.ndarray, *, empty: int) -> np.ndarray:
        out = np.full(len(tickets) * shape.length, empty, np.int32)
        out[place] = values
        return out.reshape(len(tickets), shape.length)

    lengths = cache.columns["lengths"][row].astype(np.int64)  # [examples, C]
    within = np.cumsum(lengths, 1) - lengths
    first = np.zeros((len(tickets), shape.slots, choices), np.int32)
    first[batch_row, slot] = begin[:, None] + within
    segment = slot[:, None] * choices + np.arange(1, choices + 1)
    tokens = cache.columns["tokens"][source]
    batch = {
        "tokens": scattered(tokens, empty=cache.vocabulary.pad_id),
        "segment_ids": scattered(np.repeat(segment.ravel(), lengths.ravel()), empty=0),
        "positions": scattered(ranges(np.zeros(lengths.size, np.int64), lengths.ravel()), empty=0),
        "first": first.reshape(len(tickets), shape.slots * choices),
        "weight": (tickets != EMPTY).astype(np.float32),
        "row": np.where(tickets != EMPTY, tickets % len(cache), EMPTY).astype(np.int32),
    }
    if "token_types" in cache.columns:
        batch["token_types"] = scattered(cache.columns["token_types"][source], empty=0)
    if "label" in cache.columns:
        label = cache.columns["label"][row]
        unlabelled = np.isnan(label) if cache.kind == "regression" else label < 0
        batch["label"] = np.zeros(tickets.shape, label.dtype)
        batch["label"][batch_row, slot] = np.where(unlabelled, 0, label)
    for name in ("start", "end") if cache.kind == "span" else ():
        batch[name] = np.zeros(tickets.shape, np.int32)
        batch[name][batch_row, slot] = cache.columns[name][row] + begin
    if cache.kind == "tagging":
        batch["tags"] = scattered(cache.columns["tags"][source], empty=-1)
    if cache.kind == "mlm":
        batch |= _mask(batch["tokens"], place, ticket=ticket, sizes=sizes, cache=cache, shape=shape, masking=masking)
    return batch


def blank(cache: Cache | Joined, *, shape: Shape) -> Batch:
    """A batch of this shape without any examples: what its arrays look like."""
    masking = Masking(seed=0) if cache.kind == "mlm" else None
    return assemble(cache, np.full((shape.rows, shape.slots), EMPTY, np.int64), shape=shape, masking=masking)


def _begin_in_row(sizes: np.ndarray, batch_row: np.ndarray) -> np.ndarray:
    """Exclusive running sum of sizes within each batch row (`batch_row` ascends)."""
    before = np.cumsum(sizes) - sizes
    _, first, inverse = np.unique(batch_row, return_index=True, return_inverse=True)
    return before - before[first][inverse]


def _mask(
    tokens: np.ndarray,
    place: np.ndarray,
    *,
    ticket: np.ndarray,
    sizes: np.ndarray,
    cache: Cache,
    shape: Shape,
    masking: Masking,
) -> Batch:
    """Masked tokens and the masked_* arrays. Masks beyond `shape.masked` of a row are not made."""
    vocabulary = cache.vocabulary
    draws = [_draw(masking.seed, int(t), n, vocabulary.vocab_size) for t, n in zip(ticket, sizes, strict=True)]
    choose, action, random_id = (
        (np.concatenate(column) for column in zip(*draws, strict=True)) if draws else (np.zeros(0),) * 3
    )
    original = tokens.ravel()[place]
    chosen = np.flatnonzero((choose < masking.rate) & ~np.isin(original, vocabulary.unmaskable_ids))
    batch_row = place[chosen] // shape.length
    rank = _begin_in_row(np.ones(len(chosen), np.int64), batch_row)  # number of the mask in its batch row
    kept = rank < shape.masked
    chosen, batch_row, rank = chosen[kept], batch_row[kept], rank[kept]
    replacement = np.where(
        action[chosen] < 0.8,
        vocabulary.mask_id,
        np.where(action[chosen] < 0.9, random_id[chosen], original[chosen]),
    )
    masked = tokens.copy()
    masked.ravel()[place[chosen]] = replacement
    out = {"tokens": masked}
    values = {
        "masked_index": place[chosen] % shape.length,
        "masked_label": original[chosen],
        "masked_weight": 1.0,
    }
    for name, value in values.items():
        out[name] = np.zeros((len(tokens), shape.masked), np.float32 if name == "masked_weight" else np.int32)
        out[name][batch_row, rank] = value
    return out


class _Draws(NamedTuple):
    """Random numbers for each token of one example."""

    choose: np.ndarray  # float64[n] in [0, 1)
    action: np.ndarray  # float64[n] in [0, 1)
    random_id: np.ndarray  # int64[n], of the whole vocabulary


def _draw(seed: int, ticket: int, count: int, vocab_size: int) -> _Draws:
    """A stream of its own for each (seed, ticket): Philox is a function of its key."""
    random = np.random.Generator(np.random.Philox(key=[seed % 2**64, ticket]))
    return _Draws(random.random(count), random.random(count), random.integers(0, vocab_size, count))


__all__ = [
    "Batch",
    "Evaluation",
    "Masking",
    "Packing",
    "Shape",
    "assemble",
    "blank",
    "fill",
    "masked_bound",
    "packing",
    "training_batches",
]
