"""Where arrays live: the device mesh, and one table from logical axis names to mesh axes.

Mesh axes: `data` (rows differ, parameters are copied), `fsdp` (rows differ, parameters are sharded), `tensor`
(heads and MLP columns are split). The optimizer's moments are sharded like their parameters.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.models.encoder import placement

if TYPE_CHECKING:  # the steps run without ml_collections
    from xtreme_stilts.config import MeshConfig

MESH_AXES = ("data", "fsdp", "tensor")
ROW_AXES = ("data", "fsdp")  # a batch's rows are spread over both

# Logical axis -> mesh axes, for parameters and for activations (batch, rows, length). Width is sharded by fsdp, heads
# and MLP columns by tensor, so that every matrix has one sharded side on each axis. An array whose width is split has
# its `rows` split by data alone. The vocabulary is not split: 250,002 rows are divisible by 2 only, and a lookup in a
# table split that way makes XLA gather it whole.
RULES: dict[str, tuple[str, ...]] = {
    "batch": ROW_AXES,
    "rows": ("data",),
    "length": (),
    "vocab": (),
    "position": (),
    "type": (),
    "layers": (),
    "embed": ("fsdp",),
    "heads": ("tensor",),
    "kv": (),
    "mlp": ("tensor",),
    "label": (),
}


def make_mesh(config: MeshConfig, *, devices=None) -> Mesh:
    """The device mesh of a study.

    Args:
        config: sizes of the axes, at most one of them -1 (what is left over).
        devices: defaults to all devices of all processes.

    Raises:
        UserError: the product of the sizes is not the number of devices.
    """
    devices = np.asarray(jax.devices() if devices is None else devices)
    sizes = [getattr(config, axis) for axis in MESH_AXES]
    if -1 in sizes:
        fixed = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = max(1, devices.size // fixed)
    if math.prod(sizes) != devices.size:
        given = ", ".join(f"{axis}={getattr(config, axis)}" for axis in MESH_AXES)
        raise UserError(f"config.mesh is {given}; the product must be the number of devices, {devices.size}")
    return Mesh(devices.reshape(sizes), MESH_AXES)


def spec(axes: tuple[str | None, ...], *, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """The partition of one array, from its logical axis names; None = a dimension that is not split.

    A mesh axis is used once in an array, for its first dimension that asks for it. A dimension that the mesh
    axes do not divide stays whole on every device, so that odd label counts need no padding.

    Raises:
        UserError: a logical axis has no rule.
    """
    used, partition = set(), []
    for axis, size in zip(axes, shape, strict=True):
        if axis is not None and axis not in RULES:
            raise UserError(f"logical axis {axis!r} has no rule in training/sharding.py; {did_you_mean(axis, RULES)}")
        target = RULES[axis] if axis else ()
        fits = not used & set(target) and size % math.prod(mesh.shape[name] for name in target) == 0
        partition.append(target if target and fits else None)
        used |= set(target) if fits else set()
    return PartitionSpec(*partition)


@functools.lru_cache(maxsize=64)
def param_shardings(model, mesh: Mesh):
    """A NamedSharding for every parameter of `model`, in the tree of its parameters."""
    is_axes = lambda leaf: isinstance(leaf, tuple)  # noqa: E731
    return jax.tree.map(
        lambda axes, leaf: NamedSharding(mesh, spec(axes, shape=leaf.shape, mesh=mesh)),
        model.logical_axes(),
        model.abstract_params(),
        is_leaf=is_axes,
    )


def placed(shapes, shardings):
    """A tree of ShapeDtypeStruct with the shardings of another tree: what a checkpoint is restored into."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, shardings
    )


def constraints(mesh: Mesh):
    """A context for tracing a model: activations and tables are placed by the same table of rules.

    Without it XLA places the word table's lookup by itself, which costs memory and, on some meshes, right gradients.
    """

    def apply(x: jax.Array, axes: tuple[str | None, ...]) -> jax.Array:
        return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec(axes, shape=x.shape, mesh=mesh)))

    return placement(apply, mesh=mesh)


def replicated(mesh: Mesh) -> NamedSharding:
    """Whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def check_rows(rows: int, *, mesh: Mesh, field: str) -> int:
    """`rows` of a global batch, if they can be spread evenly over the mesh's data and fsdp axes.

    Raises:
        UserError: they cannot.
    """
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    if rows % shards:
        raise UserError(f"{field} is {rows}; it must be divisible by data x fsdp = {shards} of the mesh")
    return rows


def local_rows(rows: int, *, mesh: Mesh) -> np.ndarray:
    """int[n], ascending: the rows of a global batch that this process's devices hold."""
    shards = mesh.devices.reshape(-1, mesh.shape["tensor"])  # [data x fsdp, tensor]
    mine = [any(device.process_index == jax.process_index() for device in shard) for shard in shards]
    return np.flatnonzero(np.repeat(mine, rows // len(shards)))


def abstract_batch(batch: dict[str, np.ndarray], *, mesh: Mesh, leading: tuple[int, ...] = ()) -> dict:
    """What `put_batch` gives of a global batch, as shapes; `leading` are the sizes of unsharded axes put before it."""
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * len(leading), ROW_AXES))
    return {
        name: jax.ShapeDtypeStruct((*leading, *value.shape), value.dtype, sharding=sharding)
        for name, value in batch.items()
    }


def put_batch(batch: dict[str, np.ndarray], *, mesh: Mesh, leading: int = 0) -> dict[str, jax.Array]:
    """Assembles the global batch from every process's rows.

    Args:
        batch: this process's rows (`local_rows`); the row axis comes after `leading` unsharded axes.
        mesh: the device mesh.
        leading: 0 for evaluation, 1 where the first axis counts micro-batches.
    """
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * leading, ROW_AXES))
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    shards = mesh.shape["data"] * mesh.shape["fsdp"]
    held = len(local_rows(shards, mesh=mesh))
    some = next(iter(batch.values()))
    rows = some.shape[leading] // held * shards
    first = local_rows(rows, mesh=mesh)

    def put(value: np.ndarray) -> jax.Array:
        def part(index: tuple[slice, ...]) -> np.ndarray:
            begin, end, _ = index[leading].indices(rows)
            here = int(np.searchsorted(first, begin))
            return value[(*index[:leading], slice(here, here + end - begin))]

        shape = (*value.shape[:leading], rows, *value.shape[leading + 1 :])
        return jax.make_array_from_callback(shape, sharding, part)

    return {name: put(value) for name, value in batch.items()}
