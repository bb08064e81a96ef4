"""Active-vocabulary training: the word table's rows that a phase's data use, trained as a table of their own.

Of XLM-R's 250,002 words an English task uses some tens of thousands. The others get no gradient, so their moments
stay 0, and all that AdamW does to them is to multiply them by 1 - rate * decay in each step. A *compact* table of
the rows in use, the same steps on it, and that product for the rest therefore give what training the whole table
gives, up to the rounding of the product, for a fraction of the memory and of the time a small step takes.

It does not hold for masked language modelling, whose softmax gives every row a gradient. Evaluation always takes the
whole table, since other languages use other rows.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import numpy as np

from xtreme_stilts.models import EncoderConfig
from xtreme_stilts.training.optimizer import Schedule

Tree = Any

# Rows of the smallest compact table; others have twice as many, or four times, ..., so that phases with similar data
# share one compiled step.
SMALLEST = 4096


class Tokens(Protocol):
    """What is read of a cache: its column of token ids, and the vocabulary it was made with."""

    columns: dict[str, np.ndarray]
    vocabulary: Any


@dataclasses.dataclass(frozen=True)
class ActiveVocabulary:
    """The rows of a word table that are in use.

    Attributes:
        ids: int32[n], ascending; row i of the compact table is row ids[i] of the whole one.
        vocab_rows: rows of the whole table.
    """

    ids: np.ndarray
    vocab_rows: int

    @classmethod
    def of(cls, caches: Sequence[Tokens], *, vocab_rows: int) -> ActiveVocabulary:
        """The ids that occur in tokenised data, and the padding's."""
        used = np.zeros(vocab_rows, bool)
        for cache in caches:
            used[cache.vocabulary.pad_id] = True
            tokens = cache.columns["tokens"]
            for first in range(0, len(tokens), 2**24):  # a memory-mapped column, part by part
                used |= np.bincount(tokens[first : first + 2**24], minlength=vocab_rows) > 0
        return cls(np.flatnonzero(used).astype(np.int32), vocab_rows)

    @property
    def rows(self) -> int:
        """Rows of the compact table: those in use, rounded up to a power of two with rows nobody looks up."""
        return min(max(SMALLEST, 1 << (len(self.ids) - 1).bit_length()), self.vocab_rows)

    @functools.cached_property
    def lookup(self) -> np.ndarray:
        """int32[vocab_rows], id -> row of the compact table; ids not in use point behind it and give NaN."""
        table = np.full(self.vocab_rows, self.rows, np.int32)
        table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
        return table

    def config(self, encoder: EncoderConfig) -> EncoderConfig:
        """The encoder with the compact table."""
        return dataclasses.replace(encoder, vocab_size=self.rows, vocab_multiple=1)

    def compact(self, params: Tree) -> Tree:
        """Parameters with the compact table in place of the whole one; rows added by rounding are 0."""

        def gather(table: jax.Array) -> jax.Array:
            padding = ((0, self.rows - len(self.ids)), (0, 0))
            return jax.numpy.pad(table[self.ids], padding)

        return _with_table(params, jax.jit(gather, out_shardings=_table(params).sharding)(_table(params)))

    def whole(self, params: Tree, *, start: jax.Array, factor: float) -> Tree:
        """Parameters with the whole table again.

        Args:
            params: with the compact table.
            start: float32[vocab_rows, width], the whole table the phase began with.
            factor: what decay has left of the rows not in use (`decayed`).
        """

        def scatter(table: jax.Array, begun: jax.Array, factor) -> jax.Array:
            return (begun * factor).at[self.ids].set(table[: len(self.ids)])

        scattered = jax.jit(scatter, out_shardings=_table(params).sharding)
        return _with_table(params, scattered(_table(params), start, np.float32(factor)))


class Renumbered:
    """A stream of batches with its tokens as rows of a compact table."""

    def __init__(self, batches, vocabulary: ActiveVocabulary):
        self._batches, self._lookup = batches, vocabulary.lookup

    def __next__(self) -> dict[str, np.ndarray]:
        batch = next(self._batches)
        return {**batch, "tokens": self._lookup[batch["tokens"]]}

    def get_state(self) -> Any:
        return self._batches.get_state()

    def set_state(self, state: Any) -> None:
        self._batches.set_state(state)

    def close(self) -> None:
        self._batches.close()


def decayed(schedule: Schedule, *, steps: int, weight_decay: float) -> float:
    """What is left of a parameter without gradient after so many steps: the product of 1 - rate * decay."""
    rates = np.asarray(schedule(jax.numpy.arange(steps)), np.float64)
    return float(np.prod(1.0 - rates * weight_decay))


def _table(params: Tree) -> jax.Array:
    return params["encoder"]["embeddings"]["word"]["table"]


def _with_table(params: Tree, table: jax.Array) -> Tree:
    encoder = params["encoder"]
    embeddings = {**encoder["embeddings"], "word": {"table": table}}
    return {**params, "encoder": {**encoder, "embeddings": embeddings}}
