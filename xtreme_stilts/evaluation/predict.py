"""Runs a model over a cached split and puts the outputs back into the order of the cache.

Packing has no influence on what comes out: every output is carried by the cache row it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from xtreme_stilts.data.cache import Cache
from xtreme_stilts.data.loader import Evaluation, Shape
from xtreme_stilts.models import Model
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.sharding import put_batch

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
    """Yields each batch's outputs on the host, one batch behind the device."""
    run = steps_lib.predict_step(model, head, mesh)
    batches = Evaluation(
        cache, shape=shape, rows=rows, process_index=jax.process_index(), process_count=jax.process_count()
    )
    waiting = None
    for batch in batches:
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
