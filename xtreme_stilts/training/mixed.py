"""An optimizer step on micro-batches of several tasks (heads `mixed`): all gradients are added in one jitted function.

The rule. Each of a step's K micro-batches is of a task drawn by rate. Of task t there are k_t, whose losses sum to L_t
with weight W_t (examples; tagging, MLM: tokens) over all k_t; its loss weight is w_t. What is minimised is

    sum over t of  k_t / K * w_t * L_t / W_t

so each task has its own mean loss, in the share its micro-batches have; its expectation is that of one task a step.
If all K are of one task it is the step that `steps.train_step` makes of them, and if each of K tasks has one it is the
mean over tasks of the weighted means. Sums and counts cross micro-batches and devices, never means.

How. Micro-batches differ in what arrays they have and how wide these are (slots, choices, masked tokens). They travel
in one set of arrays wide enough for all; a branch of `lax.switch` cuts its own out. Gradients are taken within a
branch: differentiating through the switch would keep the activations of every branch. Tasks share a branch if their
batches and heads have the same shapes, so the number of compiled branches is that of shapes, not of tasks.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from xtreme_stilts.models import Model
from xtreme_stilts.training.optimizer import AdamW, Split
from xtreme_stilts.training.sharding import constraints
from xtreme_stilts.training.steps import Gradients, optimizer_step

Tree = Any


class Array(NamedTuple):
    """One array of a micro-batch, [rows, width]."""

    name: str
    width: int
    dtype: str


class Branch(NamedTuple):
    """Tasks whose micro-batches and heads have the same shapes."""

    heads: tuple[str, ...]
    arrays: tuple[Array, ...]


class Draws(NamedTuple):
    """What the micro-batches of a step are of, and what the tasks weigh."""

    task: np.ndarray  # int32[micro-batches], number of the task
    loss_weight: np.ndarray  # float32[tasks]


@dataclasses.dataclass(frozen=True)
class Layout:
    """The shapes of a mixture's micro-batches; compiled into the step."""

    branches: tuple[Branch, ...]
    places: tuple[tuple[int, int], ...]  # of each task: its branch, and its head's place in that

    @classmethod
    def of(cls, model: Model, *, heads: Sequence[str], like: Sequence[Mapping[str, np.ndarray]]) -> Layout:
        """The layout for tasks with these heads and with micro-batches like these (only shapes are looked at)."""
        shapes = []
        members: dict[tuple, dict[str, None]] = {}  # shapes -> heads that have them, in order
        for head, batch in zip(heads, like, strict=True):
            arrays = tuple(sorted(Array(name, x.shape[-1], str(x.dtype)) for name, x in batch.items()))
            shapes.append((model.heads[head], arrays))
            members.setdefault(shapes[-1], {})[head] = None
        branches = tuple(Branch(tuple(names), shape[1]) for shape, names in members.items())
        order = list(members)
        branch_of = [order.index(shape) for shape in shapes]
        places = ((number, branches[number].heads.index(head)) for number, head in zip(branch_of, heads, strict=True))
        return cls(branches, tuple(places))

    @functools.cached_property
    def arrays(self) -> tuple[Array, ...]:
        """Arrays wide enough for every branch; numbers of classes and real numbers share one of floats."""
        widest: dict[str, Array] = {}
        for array in (array for branch in self.branches for array in branch.arrays):
            other = widest.get(array.name, array)
            dtype = array.dtype if array.dtype == other.dtype else "float32"
            widest[array.name] = Array(array.name, max(array.width, other.width), dtype)
        return tuple(widest.values())

    def stack(self, batches: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Micro-batches of several tasks -> arrays [micro-batches, rows, width]; what a batch lacks is 0."""
        rows = len(batches[0]["tokens"])
        stacked = {name: np.zeros((len(batches), rows, width), dtype) for name, width, dtype in self.arrays}
        for number, batch in enumerate(batches):
            for name, value in batch.items():
                stacked[name][number, :, : value.shape[-1]] = value
        return stacked


def mixed_gradients(model: Model, layout: Layout, mesh: Mesh):
    """(trained, fixed, batch, key, Draws) -> Gradients, by the rule above; for `optimizer_step`.

    `batch` is from `Layout.stack`, placed on the mesh; `key` gives each micro-batch a dropout key as in `train_step`.
    """
    branch_of, head_of = (jnp.array(column, jnp.int32) for column in zip(*layout.places, strict=True))

    def sums_under(branch: Branch, params: Tree, micro, head, key):
        own = {name: micro[name][:, :width].astype(dtype) for name, width, dtype in branch.arrays}
        trees = [params["heads"][name] for name in branch.heads]
        chosen = trees[0] if len(trees) == 1 else jax.tree.map(lambda *x: jnp.stack(x)[head], *trees)
        name = branch.heads[0]  # stands for all of them, which have the same shapes
        with constraints(mesh):
            return model.loss({**params, "heads": {name: chosen}}, own, head=name, dropout_key=key)

    def switch(under, trained, fixed, micro, task, key):
        """`under(branch, ...)` for the branch of the task."""
        runs = [functools.partial(under, branch) for branch in layout.branches]
        return jax.lax.switch(branch_of[task], runs, trained, fixed, micro, head_of[task], key)

    def weight_under(branch, trained, fixed, micro, head, key):
        # Of the model only what the weight depends on, the labels, is left by the compiler.
        return sums_under(branch, Split(trained, fixed).whole(), micro, head, key).weight

    def gradient_under(branch, trained, fixed, micro, head, key):
        def loss(trained):
            sums = sums_under(branch, Split(trained, fixed).whole(), micro, head, key)
            return sums.loss, sums.loss

        return jax.grad(loss, has_aux=True)(trained)

    def gradients(trained, fixed, batch, key, draws: Draws) -> Gradients:
        micro_batches, tasks = draws.task.shape[0], len(layout.places)
        weights = jax.lax.map(lambda each: switch(weight_under, trained, fixed, *each, None), (batch, draws.task))
        of_task = jax.nn.one_hot(draws.task, tasks, dtype=jnp.float32)  # [micro-batches, tasks]
        weight = jnp.maximum(jnp.sum(of_task * weights[:, None], axis=0), 1.0)  # no matmul: its precision varies
        share = jnp.mean(of_task, axis=0)
        factor = share * draws.loss_weight / weight

        def add(carry, each):
            number, micro, task = each
            grads, loss = switch(gradient_under, trained, fixed, micro, task, jax.random.fold_in(key, number))
            added = jax.tree.map(lambda total, g: total + factor[task] * g, carry[0], grads)
            return (added, carry[1].at[task].add(loss)), None

        zeros = (jax.tree.map(jnp.zeros_like, trained), jnp.zeros(tasks, jnp.float32))
        (grads, losses), _ = jax.lax.scan(add, zeros, (jnp.arange(micro_batches), batch, draws.task))
        return Gradients(grads, jnp.sum(share * losses / weight), losses / weight)

    return gradients


@functools.lru_cache(maxsize=64)
def mixed_step(model: Model, layout: Layout, optimizer: AdamW, mesh: Mesh):
    """The `optimizer_step` of micro-batches of several tasks; its `weighing` is `Draws`."""
    return optimizer_step(mixed_gradients(model, layout, mesh), model=model, optimizer=optimizer, mesh=mesh)
