"""Sentence retrieval: exact nearest neighbours by cosine, computed in blocks on whatever devices jax runs on.

Mining parallel sentences from these neighbours (BUCC 2018) is in `mining`.

Exactness: scores are float32 inner products at the highest precision of the backend (no bf16 or TF32), every
pair is compared, and of equal scores the lowest index wins, whatever the block sizes.

Devices: each searches blocks of queries of its own in the whole database, so nothing is exchanged between them.
A block has the same shape on one device as on many: the same kernels run, and the scores are the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.classification import accuracy


class Neighbours(NamedTuple):
    """The k nearest rows of the database to each query, nearest first."""

    index: np.ndarray  # int32[queries, k]
    score: np.ndarray  # float32[queries, k], inner products


class Pooled(NamedTuple):
    """One way to make a sentence's vector."""

    layer: int  # hidden state, 0 = embeddings
    pooling: str  # how its tokens become one vector: mean | cls


POOLINGS = ("mean", "cls")


def default_layer(num_layers: int) -> int:
    """The hidden state (0 = embeddings) to pool, of an encoder with `num_layers` layers: 14 of 24, to scale.

    Layer 14 of XLM-R Large with mean pooling is what XTREME and X-STILTs use for both retrieval tasks; it
    gives 7 for 12 layers.
    """
    return round(14 * num_layers / 24)


def normalize(embeddings: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; zero rows stay zero. embeddings: float[sentences, width].

    Raises:
        UserError: not a matrix, or a value is not finite.
    """
    embeddings = np.asarray(embeddings, np.float32)
    if embeddings.ndim != 2:
        raise UserError(f"embeddings: found shape {embeddings.shape}; [sentences, width] is needed")
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(
            f"embeddings: sentence {int(np.argmin(finite))} has a value that is not finite; "
            "the model's output is broken"
        )
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(length == 0, 1, length)


def nearest(
    queries: np.ndarray,
    database: np.ndarray,
    *,
    k: int,
    mesh: Mesh | None = None,
    query_block: int = 2048,
    block: int = 4096,
    memory_bytes: int = 2**31,
) -> Neighbours:
    """The k rows of the database with the largest inner product with each query (normalise first for cosine).

    Args:
        queries: float32[queries, width]. database: float32[sentences, width].
        k: a database with fewer rows gives as many neighbours as it has.
        mesh: the devices that share the queries, all axes alike; None = one device.
        query_block, block: the scores of query_block x block pairs exist at once on a device. Smaller inputs use
            smaller blocks.
        memory_bytes: how much of the database is on each device at once.

    Raises:
        UserError: no queries, no database, or widths that differ.
    """
    _check_matrices(queries, database)
    mesh = Mesh(np.asarray(jax.local_devices()[:1]), ("rows",)) if mesh is None else mesh
    k = min(k, len(database))
    block, query_block = _block_size(len(database), max(block, k)), _block_size(len(queries), query_block)
    resident = block * max(1, min(memory_bytes // (4 * block * database.shape[1]), -(-len(database) // block)))
    together = query_block * mesh.size
    search = _search_on(mesh, k)
    index = np.zeros((len(queries), k), np.int32)
    score = np.full((len(queries), k), -np.inf, np.float32)
    for part in _slices(len(database), resident):
        blocks = _put(_padded(database[part], resident).reshape(-1, block, database.shape[1]), mesh, PartitionSpec())
        count = np.int32(part.stop - part.start)
        for rows in _slices(len(queries), together):
            found = search(_put(_padded(queries[rows], together), mesh, _over_all(mesh)), blocks, count)
            # Earlier parts come first, so that among equal scores their (lower) indices stay ahead.
            real = rows.stop - rows.start
            both_score = np.concatenate([score[rows], np.asarray(found.score)[:real]], axis=1)
            both_index = np.concatenate([index[rows], np.asarray(found.index)[:real] + part.start], axis=1)
            best = np.argsort(-both_score, axis=1, kind="stable")[:, :k]
            score[rows] = np.take_along_axis(both_score, best, axis=1)
            index[rows] = np.take_along_axis(both_index, best, axis=1)
    return Neighbours(index, score)


def _over_all(mesh: Mesh) -> PartitionSpec:
    """Rows spread over all devices."""
    return PartitionSpec(mesh.axis_names)


def _put(rows: np.ndarray, mesh: Mesh, spec: PartitionSpec) -> jax.Array:
    """A host array that every process holds whole, as one array on the mesh."""
    return jax.make_array_from_callback(rows.shape, NamedSharding(mesh, spec), lambda index: rows[index])


@functools.lru_cache(maxsize=64)
def _search_on(mesh: Mesh, k: int):
    """Jitted `_search`, each device with its own rows of the queries; the result is whole on every device."""
    rows, whole = _over_all(mesh), PartitionSpec()
    local = functools.partial(_search, k=k)
    spread = jax.shard_map(local, mesh=mesh, in_specs=(rows, whole, whole), out_specs=rows, check_vma=False)
    return jax.jit(spread, out_shardings=NamedSharding(mesh, whole))


def _search(queries: jax.Array, blocks: jax.Array, count: jax.Array, *, k: int) -> Neighbours:
    """Running top-k over the blocks that hold the first `count` rows; -inf where there are fewer than k.

    Args:
        queries: float32[queries, width]. blocks: float32[n, block, width]. count: int32[], real rows in all.
    """
    size = blocks.shape[1]

    def step(i, best: Neighbours) -> Neighbours:
        scores = jnp.einsum("qd,bd->qb", queries, blocks[i], precision=lax.Precision.HIGHEST)
        index = i * size + jnp.arange(size, dtype=jnp.int32)
        scores = jnp.where(index < count, scores, -jnp.inf)  # padding
        top, place = lax.top_k(scores, k)
        # top_k prefers the lower place among equals: earlier blocks stand first, and each list is in index
        # order among equals.
        both = jnp.concatenate([best.score, top], axis=1)
        both_index = jnp.concatenate([best.index, index[place]], axis=1)
        score, place = lax.top_k(both, k)
        return Neighbours(jnp.take_along_axis(both_index, place, axis=1), score)

    nothing = Neighbours(jnp.zeros((len(queries), k), jnp.int32), jnp.full((len(queries), k), -jnp.inf, jnp.float32))
    return lax.fori_loop(0, (count + size - 1) // size, step, nothing)


def retrieve(queries: np.ndarray, database: np.ndarray, *, mesh: Mesh | None = None) -> np.ndarray:
    """int32[queries]: the database row nearest to each query by cosine; both float[sentences, width]."""
    return nearest(normalize(queries), normalize(database), k=1, mesh=mesh).index[:, 0]


def tatoeba_accuracy(queries: np.ndarray, database: np.ndarray, *, gold: np.ndarray | None = None) -> float:
    """Top-1 accuracy in percent: how many queries have their own translation as nearest sentence.

    Args:
        queries: float[sentences, width]; in XTREME the English side. database: the other language's side.
        gold: int[queries], the right row of the database; None: the two sides are in the same order.
    """
    found = retrieve(queries, database)
    gold = np.arange(len(found)) if gold is None else np.asarray(gold)
    return accuracy(found.tolist(), gold.tolist())["accuracy"]


def _check_matrices(queries: np.ndarray, database: np.ndarray) -> None:
    if not len(queries) or not len(database):
        raise UserError(
            f"embeddings: found {len(queries)} queries and {len(database)} sentences to search; "
            "each side needs at least one"
        )
    if queries.shape[1] != database.shape[1]:
        raise UserError(
            f"embeddings: queries have width {queries.shape[1]} and the sentences to search "
            f"{database.shape[1]}; both must come from the same encoder"
        )


def _block_size(rows: int, largest: int) -> int:
    """The block for that many rows: a power of two where they fit in one, so that few shapes are compiled."""
    return min(largest, max(128, 1 << (rows - 1).bit_length()))


def _slices(rows: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, rows)) for first in range(0, rows, size))


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    """float32[size, width]: zeros after the rows."""
    rows = np.asarray(rows, np.float32)
    return rows if len(rows) == size else np.pad(rows, ((0, size - len(rows)), (0, 0)))
