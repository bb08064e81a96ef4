"""Runs a model over a cached split and puts the outputs back into the order of the cache.

Packing has no influence on what comes out: every output is carried by the cache row it belongs to.
"""

from __future__ import annotations

import math
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from xtreme_stilts import stopping
from xtreme_stilts.data.cache import Cache
from xtreme_stilts.data.loader import Evaluation, Shape
from xtreme_stilts.errors import Stopped
from xtreme_stilts.evaluation.retrieval import Pooled
from xtreme_stilts.files import free_bytes, require_space
from xtreme_stilts.models import Model
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.sharding import local_rows, put_batch

# Outputs with one value per token [B, L, ...]; all others have one per example slot [B, S, ...].
TOKEN_OUTPUTS = ("tags", "start_logits", "end_logits")

Outputs = dict[str, list[np.ndarray]]


def predict(
    model: Model, params: Any, *, cache: Cache, head: str, shape: Shape, mesh: Mesh, rows: int | None = None
) -> Outputs:
    """Predictions for cached rows.

    Args:
        model: the encoder and heads.
        params: its parameters.
        cache: the tokenised split.
        head: which head to read; not an mlm head (see `mlm_loss`).
        shape: of one process's batches; one shape = one compilation for all languages.
        mesh: the devices.
        rows: only the first so many rows of the cache.

    Returns:
        For each of the head's outputs a list with one array per cached row, in order; per-token outputs are
        cut to the row's own tokens.
    """
    outputs: Outputs = {}
    for computed in _run(model, params, cache=cache, head=head, shape=shape, mesh=mesh, rows=rows):
        _collect(
            computed,
            outputs=outputs,
            sizes=cache.sizes,
            count=len(cache) if rows is None else min(rows, len(cache)),
        )
    return outputs


def embed(
    model: Model,
    params: Any,
    *,
    cache: Cache,
    head: str,
    shape: Shape,
    mesh: Mesh,
    pooled: Sequence[Pooled],
    scratch: pathlib.Path,
    rows: int | None = None,
) -> np.memmap:
    """Vectors of cached sentences in every way asked for, from one pass of the encoder.

    They are written to a nameless file that vanishes with the array, even if the process is killed. In memory is
    one batch of outputs at a time: float32[shape.rows, shape.slots, states, width], twice (cls and mean).

    Args:
        model, params, cache, shape, mesh, rows: as in `predict`.
        head: of kind "embedding"; its hidden states hold the layers of `pooled`.
        pooled: hidden states and poolings.
        scratch: the folder of that file, on a disk of this machine.

    Returns:
        float32[pooled, sentences, width]; each [sentences, width] is contiguous.

    Raises:
        StorageError: the disk has not enough room.
    """
    count = len(cache) if rows is None else min(rows, len(cache))
    states = model.heads[head].layers or tuple(range(model.config.num_layers + 1))
    vectors = _scratch(scratch, shape=(len(pooled), count, model.config.hidden_size))
    for computed in _run(model, params, cache=cache, head=head, shape=shape, mesh=mesh, rows=rows):
        batch_row, slot = np.nonzero(computed["row"] >= 0)
        sentence = computed["row"][batch_row, slot]
        for place, (layer, pooling) in enumerate(pooled):
            vectors[place, sentence] = computed[pooling][batch_row, slot, states.index(layer)]
    return vectors


def _scratch(folder: pathlib.Path, *, shape: tuple[int, int, int]) -> np.memmap:
    """A float32 array in a file without a name."""
    folder.mkdir(parents=True, exist_ok=True)
    # A memory-mapped file that the disk cannot hold would kill the process later, without a word.
    what = f"a scratch file of {shape[1]:,} sentences in {shape[0]} layers and poolings (config.evaluation.layers)"
    require_space(folder, 4 * math.prod(shape), free=free_bytes(folder), what=what)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.float32, mode="w+", shape=shape)


def mlm_loss(
    model: Model, params: Any, *, cache: Cache, head: str, shape: Shape, mesh: Mesh, rows: int | None = None
) -> float:
    """Mean cross-entropy (nats) of the masked tokens of cached rows, under masks that are always the same."""
    total, weight = 0.0, 0.0
    for computed in _run(model, params, cache=cache, head=head, shape=shape, mesh=mesh, rows=rows):
        total += float(computed["loss"].sum(dtype=np.float64))
        weight += float(computed["masked_weight"].sum(dtype=np.float64))
    return total / max(weight, 1.0)


def _run(model, params, *, cache, head, shape, mesh, rows):
    """Yields each batch's outputs on the host, one batch behind the device.

    Raises:
        Stopped: the run was told to stop.
    """
    run = steps_lib.predict_step(model, head, mesh)
    batches = Evaluation(cache, shape=shape, rows=rows, local=local_rows(shape.rows, mesh=mesh))
    waiting = None
    for batch in batches:
        if stopping.requested():
            raise Stopped(f"while task {cache.meta['task']!r}, split {cache.meta['split']!r} was read")
        computed = run(params, put_batch(batch, mesh=mesh))
        if waiting is not None:
            yield jax.device_get(waiting)
        waiting = computed
    if waiting is not None:
        yield jax.device_get(waiting)


def _collect(computed: Mapping[str, np.ndarray], *, outputs: Outputs, sizes: np.ndarray, count: int) -> None:
    """Files one batch's outputs under their cache rows."""
    row, first = computed["row"], computed["first"]
    choices = first.shape[1] // row.shape[1]
    values = {name: value for name, value in computed.items() if name not in steps_lib.PASSED_THROUGH}
    for name in values:
        outputs.setdefault(name, [None] * count)
    for batch_row, slot in zip(*np.nonzero(row >= 0), strict=True):
        number = row[batch_row, slot]
        begin = first[batch_row, slot * choices]
        for name, value in values.items():
            place = slice(begin, begin + sizes[number]) if name in TOKEN_OUTPUTS else slot
            outputs[name][number] = value[batch_row, place]
