"""What a training step needs of a device's memory, and the largest micro-batch that fits: by compiling, not crashing.

Terms: a *micro-batch* is what one forward and backward pass sees; the rows of an optimizer step are spread over as
many of them as needed, so that how many rows fit decides the speed and not the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from xtreme_stilts.models import Model
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.mixed import Draws, Layout, mixed_step
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import abstract_batch, replicated

# A CPU's caches, not its memory, decide: larger micro-batches are slower (measured: 32 x 128 tokens at once reach 126
# GFLOP/s where a thousand tokens reach 165).
CPU_TOKENS = 1024
ACCELERATOR_TOKENS = 16_384  # of an evaluation batch, on one device: enough to keep its matrix units busy
USABLE = 0.92  # of a device's memory; the rest is the runtime's and fragmentation's


class Needs(NamedTuple):
    """Bytes on one device."""

    arguments: int  # parameters, moments, the batch
    temporaries: int  # activations, gradients

    @property
    def total(self) -> int:
        return self.arguments + self.temporaries


def lower(
    model: Model, *, head: str, optimizer: AdamW, mesh: Mesh, batch: Mapping[str, np.ndarray], accumulate: int = 1
) -> jax.stages.Lowered:
    """The jitted training step, traced for shapes that are placed as a run places its arrays.

    Args:
        batch: arrays of a global micro-batch; only their shapes and types are looked at.
        accumulate: micro-batches of a step.
    """
    step = steps_lib.train_step(model, head, optimizer, mesh)
    return _lowered(step, model, optimizer=optimizer, mesh=mesh, batch=batch, accumulate=accumulate)


def lower_mixed(
    model: Model,
    *,
    heads: Sequence[str],
    optimizer: AdamW,
    mesh: Mesh,
    batches: Sequence[Mapping[str, np.ndarray]],
    accumulate: int,
) -> jax.stages.Lowered:
    """As `lower`, a step whose micro-batches are of several tasks (`mixed.py`).

    Args:
        heads, batches: of each task, its head and arrays of a global micro-batch.
        accumulate: micro-batches of a step, of whichever tasks.
    """
    layout = Layout.of(model, heads=heads, like=batches)
    rows = len(batches[0]["tokens"])
    batch = {name: np.zeros((rows, width), dtype) for name, width, dtype in layout.arrays}
    whole = replicated(mesh)
    draws = Draws(
        jax.ShapeDtypeStruct((accumulate,), np.int32, sharding=whole),
        jax.ShapeDtypeStruct((len(heads),), np.float32, sharding=whole),
    )
    step = mixed_step(model, layout, optimizer, mesh)
    return _lowered(step, model, draws, optimizer=optimizer, mesh=mesh, batch=batch, accumulate=accumulate)


def _lowered(
    step, model: Model, *weighing, optimizer: AdamW, mesh: Mesh, batch: Mapping[str, np.ndarray], accumulate: int
) -> jax.stages.Lowered:
    scalar = jax.ShapeDtypeStruct((), np.float32, sharding=replicated(mesh))
    return step.lower(
        steps_lib.abstract_state(model, optimizer=optimizer, mesh=mesh),
        abstract_batch(batch, mesh=mesh, leading=(accumulate,)),
        Schedule(scalar, scalar, scalar),
        jax.ShapeDtypeStruct((), np.uint32, sharding=replicated(mesh)),
        *weighing,
    )


def needs(lowered: Callable[[], jax.stages.Lowered]) -> Needs | None:
    """Memory of one optimizer step; None if the compiler refuses it for lack of memory.

    Args:
        lowered: makes `lower` or `lower_mixed` of it.
    """
    try:
        found = lowered().compile().memory_analysis()
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            return None
        raise
    returned = found.output_size_in_bytes - found.alias_size_in_bytes  # beside what overwrites the arguments
    return Needs(found.argument_size_in_bytes, found.temp_size_in_bytes + returned)


def limit(mesh: Mesh) -> int | None:
    """Bytes of memory that one device lets us use; None where the runtime does not say (CPU)."""
    stats = mesh.local_devices[0].memory_stats() or {}
    return int(stats["bytes_limit"] * USABLE) if "bytes_limit" in stats else None


def evaluation_rows(length: int, *, mesh: Mesh) -> int:
    """Rows of an evaluation batch, over all devices, where the config leaves them open."""
    tokens = CPU_TOKENS if mesh.devices.flat[0].platform == "cpu" else ACCELERATOR_TOKENS
    return max(1, tokens // length) * mesh.shape["data"] * mesh.shape["fsdp"]


def rows_that_fit(
    rows_per_step: int, *, length: int, mesh: Mesh, needed: Callable[[int], Needs | None], at_most: int | None = None
) -> int:
    """Rows of the largest micro-batch that divides an optimizer step and fits into a device's memory.

    Args:
        rows_per_step: rows of one optimizer step, over all devices.
        length: tokens of a row.
        needed: rows of a micro-batch -> what it needs.
        at_most: bytes of memory; default: `limit`. On a CPU, which says nothing, about CPU_TOKENS a device.

    Returns: 0 if not even the smallest fits.
    """
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    sizes = [rows for rows in range(shards, rows_per_step + 1, shards) if rows_per_step % rows == 0]
    bound = limit(mesh) if at_most is None else at_most
    if bound is None:
        return max((rows for rows in sizes if rows // shards * length <= CPU_TOKENS), default=sizes[0])
    largest = 0
    for rows in sizes:  # ascending: a compilation that does not fit is the slow one
        found = needed(rows)
        if found is None or found.total > bound:
            break
        largest = rows
    return largest
