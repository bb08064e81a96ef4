"""Run by test_sharded_model.py in a process with 8 virtual devices: one device and a mesh must agree.

Prints the loss (of two heads together) and the greatest differences to it and its gradient, as JSON.
"""

from __future__ import annotations

import json

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from xtreme_stilts.models import Head, Model, placement, preset

RULES = {"vocab": "tensor", "embed": "fsdp", "heads": "tensor", "mlp": "tensor"}
RULES |= {"batch": ("data", "fsdp"), "rows": "data"}
HEADS = {"label": Head("classification", num_labels=4), "mask": Head("mlm")}


def make_batch(rng, rows: int, length: int) -> dict:
    """Two packed segments a row and some padding."""
    cut, end = length // 2, length - 3
    segment_ids = np.zeros((rows, length), np.int32)
    segment_ids[:, :cut], segment_ids[:, cut:end] = 1, 2
    positions = np.where(segment_ids == 2, np.arange(length) - cut, np.arange(length)) * (segment_ids > 0)
    return {
        "tokens": rng.integers(4, 90, (rows, length)).astype(np.int32),
        "segment_ids": segment_ids,
        "positions": positions.astype(np.int32),
        "first": np.tile(np.array([0, cut], np.int32), (rows, 1)),
        "weight": np.ones((rows, 2), np.float32),
        "label": rng.integers(0, 4, (rows, 2)).astype(np.int32),
        "masked_index": rng.integers(0, end, (rows, 4)).astype(np.int32),
        "masked_label": rng.integers(0, 90, (rows, 4)).astype(np.int32),
        "masked_weight": np.ones((rows, 4), np.float32),
    }


def main() -> None:
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 64}
    model = Model(preset("mini", vocab_size=90, vocab_multiple=8, **sizes), HEADS)
    params = jax.jit(model.init)(jax.random.key(0))
    batch = make_batch(np.random.default_rng(0), rows=8, length=16)
    key = jax.random.key(1)
    mesh = jax.make_mesh((2, 2, 2), ("data", "fsdp", "tensor"), axis_types=(jax.sharding.AxisType.Auto,) * 3)

    def sharding(axes) -> NamedSharding:
        return NamedSharding(mesh, PartitionSpec(*(RULES.get(name) for name in axes)))

    def constraint(x, axes):
        return jax.lax.with_sharding_constraint(x, sharding(axes))

    def plain(params, batch):
        sums = [model.loss(params, batch, head=head, dropout_key=key) for head in HEADS]
        return sum(one.loss / one.weight for one in sums)

    def on_mesh(params, batch):
        with placement(constraint, mesh=mesh):
            return plain(params, batch)

    is_axes = lambda leaf: isinstance(leaf, tuple)  # noqa: E731
    shardings = jax.tree.map(sharding, model.logical_axes(), is_leaf=is_axes)
    spread = jax.device_put(params, shardings)
    split = jax.device_put(batch, sharding(("batch",)))
    assert spread["encoder"]["embeddings"]["word"]["table"].sharding.shard_shape((96, 32)) == (48, 16)
    loss, gradient = jax.jit(jax.value_and_grad(plain))(params, batch)
    # The gradient's place is pinned to the parameter's, as a training step does.
    pinned = jax.jit(jax.value_and_grad(on_mesh), out_shardings=(None, shardings))
    mesh_loss, mesh_gradient = pinned(spread, split)
    differences = jax.tree.map(lambda a, b: greatest(np.asarray(a) - np.asarray(b)), gradient, mesh_gradient)
    report = {
        "loss": float(loss),
        "loss_difference": abs(float(loss) - float(mesh_loss)),
        "greatest_gradient": max(greatest(leaf) for leaf in jax.tree.leaves(gradient)),
        "gradient_difference": max(jax.tree.leaves(differences)),
    }
    print(json.dumps(report))


def greatest(x) -> float:
    return float(np.abs(np.asarray(x)).max())


if __name__ == "__main__":
    main()
