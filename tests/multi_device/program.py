"""Runs in a process with 8 virtual CPU devices: training and prediction on one mesh, or restoring on others.

python program.py train DATA,FSDP,TENSOR OUT      a step of each head, one of all, predictions; checkpoint under OUT
python program.py restore MESH[:MESH...] OUT      reads OUT's checkpoint on each mesh and compares with OUT's arrays
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np

from xtreme_stilts.config import MeshConfig, Recipe
from xtreme_stilts.models import EncoderConfig, Head, Model
from xtreme_stilts.training import steps
from xtreme_stilts.training.checkpoints import Checkpoints
from xtreme_stilts.training.mixed import Draws, Layout, mixed_step
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import make_mesh, param_shardings, put_batch

ROWS, LENGTH, SLOTS, VOCAB, MASKED = 16, 16, 2, 64, 3
CONFIG = EncoderConfig(
    vocab_size=VOCAB, hidden_size=32, num_layers=2, num_heads=4, intermediate_size=64, max_positions=16
)
MODEL = Model(CONFIG, {"class": Head("classification", num_labels=3), "span": Head("span"), "mlm": Head("mlm")})
# Compiling dropout's random numbers takes longest: one head is trained with it, the others are without.
WITHOUT_DROPOUT = Model(dataclasses.replace(CONFIG, hidden_dropout=0.0, attention_dropout=0.0), MODEL.heads)
RECIPE = Recipe(learning_rate=1e-3, warmup=0.0)


def batch(seed: int) -> dict[str, np.ndarray]:
    """Two segments of 5 and 7 tokens a row, targets for every head."""
    random = np.random.default_rng(seed)
    segment = np.repeat([1, 2, 0], [5, 7, 4]).astype(np.int32)
    position = np.concatenate([np.arange(5), np.arange(7), np.zeros(4)]).astype(np.int32)
    first = np.tile(np.int32([0, 5]), (ROWS, 1))
    draw = lambda low, high, shape: random.integers(low, high, shape).astype(np.int32)  # noqa: E731
    return {
        "tokens": np.where(segment > 0, draw(4, VOCAB, (ROWS, LENGTH)), 1).astype(np.int32),
        "segment_ids": np.tile(segment, (ROWS, 1)),
        "positions": np.tile(position, (ROWS, 1)),
        "first": first,
        "weight": np.ones((ROWS, SLOTS), np.float32),
        "row": draw(0, 9, (ROWS, SLOTS)),
        "label": draw(0, 3, (ROWS, SLOTS)),
        "start": first + draw(0, 5, (ROWS, SLOTS)),
        "end": first + draw(0, 5, (ROWS, SLOTS)),
        "masked_index": draw(0, 12, (ROWS, MASKED)),
        "masked_label": draw(4, VOCAB, (ROWS, MASKED)),
        "masked_weight": random.integers(0, 2, (ROWS, MASKED)).astype(np.float32),
    }


def train(mesh, out: pathlib.Path) -> None:
    optimizer = AdamW.of(RECIPE)
    key = jax.random.key(0)
    params = {"encoder": steps.init_encoder(MODEL, mesh)(key), "heads": steps.init_heads(MODEL, mesh)(key)}
    start = jax.device_get(params)
    state = steps.init_optimizer(MODEL, optimizer, mesh)(params)
    result = {}
    for number, head in enumerate(MODEL.heads):
        model = MODEL if head == "class" else WITHOUT_DROPOUT
        run = steps.train_step(model, head, optimizer, mesh)
        placed = put_batch({name: value[None] for name, value in batch(number).items()}, mesh=mesh, leading=1)
        state, metrics = run(state, placed, Schedule.of(RECIPE, steps=10), np.uint32(7))
        result |= {f"{head}/loss": metrics.loss, f"{head}/norm": metrics.grad_norm, f"{head}/tokens": metrics.tokens}
    layout = Layout.of(MODEL, heads=list(MODEL.heads), like=[batch(0)] * len(MODEL.heads))
    drawn = [0, 2, 1, 2]
    placed = put_batch(layout.stack([batch(10 + number) for number in range(len(drawn))]), mesh=mesh, leading=1)
    draws = Draws(np.int32(drawn), np.float32([1, 2, 0.5]))
    run = mixed_step(WITHOUT_DROPOUT, layout, optimizer, mesh)
    state, metrics = run(state, placed, Schedule.of(RECIPE, steps=10), np.uint32(7), draws)
    result |= {"mixed/losses": metrics.task_losses, "mixed/norm": metrics.grad_norm, "mixed/tokens": metrics.tokens}
    predicted = steps.predict_step(MODEL, "span", mesh)(state.params, put_batch(batch(9), mesh=mesh))
    logits = np.asarray(predicted["start_logits"])
    result |= {"start_logits": logits - logits.mean(), "row": predicted["row"]}
    result |= {f"start/{name}": leaf for name, leaf in flat(start)} | {
        f"end/{name}": leaf for name, leaf in flat(jax.device_get(state.params))
    }
    np.savez(out / "arrays.npz", **{name: np.asarray(value) for name, value in result.items()})
    with Checkpoints(out / "checkpoint") as checkpoints:
        checkpoints.save(3, trees=state.params, record={"mesh": str(mesh.shape)})


def restore(mesh, out: pathlib.Path) -> None:
    abstract = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        MODEL.abstract_params(),
        param_shardings(MODEL, mesh),
    )
    with Checkpoints(out / "checkpoint") as checkpoints:
        params = checkpoints.restore(3, abstract=abstract)
    wanted = np.load(out / "arrays.npz")
    for name, leaf in flat(params):
        np.testing.assert_array_equal(np.asarray(leaf), wanted[f"end/{name}"])
    placed = jax.tree.map(
        lambda leaf, sharding: leaf.sharding.is_equivalent_to(sharding, leaf.ndim), params, param_shardings(MODEL, mesh)
    )
    assert all(jax.tree.leaves(placed))
    print("restored", len(jax.tree.leaves(params)))


def flat(tree):
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


if __name__ == "__main__":
    verb, meshes, folder = sys.argv[1:]
    for sizes in meshes.split(":"):
        data, fsdp, tensor = map(int, sizes.split(","))
        mesh = make_mesh(MeshConfig(data=data, fsdp=fsdp, tensor=tensor), devices=jax.devices()[: data * fsdp * tensor])
        {"train": train, "restore": restore}[verb](mesh, pathlib.Path(folder))
