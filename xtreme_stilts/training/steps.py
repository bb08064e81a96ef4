"""The jitted functions: initial parameters, one optimizer step, one prediction.

Each factory is cached over what is compiled in (model, head, optimizer, mesh), so that all phases, seeds and
languages with the same shapes share one compilation. Sums and counts cross micro-batches and devices, never
means: padding, packing and accumulation cannot change a number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from xtreme_stilts.models import Model
from xtreme_stilts.training.optimizer import AdamW, Schedule, Split
from xtreme_stilts.training.sharding import constraints, param_shardings, placed, replicated

Tree = Any

# Batch arrays that `predict_step` returns beside the predictions.
PASSED_THROUGH = ("row", "first", "masked_weight")


class TrainState(NamedTuple):
    """What a training step changes."""

    params: Tree
    opt_state: Tree
    step: jax.Array  # int32[], optimizer steps done


class StepMetrics(NamedTuple):
    """What a training step reports, on device until somebody asks."""

    loss: jax.Array  # float32[], mean over the step's examples (tagging, MLM: tokens)
    grad_norm: jax.Array  # float32[], before clipping
    learning_rate: jax.Array  # float32[]
    tokens: jax.Array  # int32[], real tokens, padding not counted
    examples: jax.Array  # float32[], real examples
    task_losses: jax.Array | None = None  # float32[tasks] where a step holds several tasks (`mixed.py`)


def state_shardings(model: Model, *, optimizer: AdamW, mesh: Mesh) -> TrainState:
    """Shardings of a TrainState: moments like their parameters, the rest whole on every device."""
    params = param_shardings(model, mesh)
    transformation = optimizer.transformation()
    abstract = jax.eval_shape(transformation.init, optimizer.split(model.abstract_params()).trained)
    moments = optax.tree_map_params(
        transformation,
        lambda _, sharding: sharding,
        abstract,
        optimizer.split(params).trained,
        transform_non_params=lambda _: replicated(mesh),
    )
    return TrainState(params, moments, replicated(mesh))


def abstract_state(model: Model, *, optimizer: AdamW, mesh: Mesh) -> TrainState:
    """Shapes, dtypes and shardings of a TrainState, for restoring one."""
    params = model.abstract_params()
    moments = jax.eval_shape(optimizer.transformation().init, optimizer.split(params).trained)
    shapes = TrainState(params, moments, jax.ShapeDtypeStruct((), jnp.int32))
    return placed(shapes, state_shardings(model, optimizer=optimizer, mesh=mesh))


@functools.lru_cache(maxsize=64)
def init_heads(model: Model, mesh: Mesh):
    """Jitted key -> fresh head parameters (the encoder's are not computed)."""
    return jax.jit(lambda key: model.init(key)["heads"], out_shardings=param_shardings(model, mesh)["heads"])


@functools.lru_cache(maxsize=64)
def init_encoder(model: Model, mesh: Mesh):
    """Jitted key -> fresh encoder parameters."""
    return jax.jit(lambda key: model.init(key)["encoder"], out_shardings=param_shardings(model, mesh)["encoder"])


@functools.lru_cache(maxsize=64)
def init_optimizer(model: Model, optimizer: AdamW, mesh: Mesh):
    """Jitted params -> TrainState at step 0."""
    transformation = optimizer.transformation()
    return jax.jit(
        lambda params: TrainState(params, transformation.init(optimizer.split(params).trained), jnp.int32(0)),
        out_shardings=state_shardings(model, optimizer=optimizer, mesh=mesh),
    )


class Gradients(NamedTuple):
    """What the micro-batches of one optimizer step say."""

    grads: Tree  # of the trained parameters
    loss: jax.Array  # float32[], mean, before any loss weights
    task_losses: jax.Array | None = None  # float32[tasks], each one's own mean; 0 where it has no micro-batch


def optimizer_step(gradients: Callable[..., Gradients], *, model: Model, optimizer: AdamW, mesh: Mesh):
    """Jitted (state, batch, schedule, seed, weighing=1) -> (state, StepMetrics); the old state's buffers are reused.

    `batch` has the arrays of the batch contract with one more leading axis: the micro-batches whose gradients
    are added up. `seed` is a uint32 scalar; the dropout key is folded from it and the step, so that a resumed
    run draws what the uninterrupted one would have drawn.

    Args:
        gradients: (trained parameters, fixed ones, batch, key, weighing) -> Gradients.
        model, optimizer, mesh: what is trained, how, and where.
    """
    transformation = optimizer.transformation()

    def step(state: TrainState, batch, schedule: Schedule, seed, weighing=1.0):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        trained, fixed = optimizer.split(state.params)
        found = gradients(trained, fixed, batch, key, weighing)
        rate = schedule(state.step)
        with jax.named_scope("optimizer"):
            updates, opt_state = transformation.update(found.grads, state.opt_state, trained)
            params = Split(jax.tree.map(lambda p, u: p - rate * u, trained, updates), fixed).whole()
        metrics = StepMetrics(
            loss=found.loss,
            grad_norm=optax.global_norm(found.grads),
            learning_rate=rate,
            tokens=jnp.sum(batch["segment_ids"] > 0),
            examples=jnp.sum(batch["weight"]),
            task_losses=found.task_losses,
        )
        return TrainState(params, opt_state, state.step + 1), metrics

    shardings = state_shardings(model, optimizer=optimizer, mesh=mesh)
    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, replicated(mesh)))


@functools.lru_cache(maxsize=256)
def train_step(model: Model, head: str, optimizer: AdamW, mesh: Mesh):
    """The `optimizer_step` of micro-batches under one head; its `weighing` is a float32 scalar, the loss's weight."""

    def micro_loss(trained, fixed, batch, key):
        with constraints(mesh):
            sums = model.loss(Split(trained, fixed).whole(), batch, head=head, dropout_key=key)
        return sums.loss, sums.weight

    def gradients(trained, fixed, batch, key, loss_weight) -> Gradients:
        micro_batches = batch["tokens"].shape[0]

        def sums(number, micro):
            gradient = jax.value_and_grad(micro_loss, has_aux=True)
            (loss, weight), grads = gradient(trained, fixed, micro, jax.random.fold_in(key, number))
            return grads, loss, weight

        if micro_batches == 1:  # nothing to add up: a loop would hold the gradients twice
            grads, loss, weight = sums(0, jax.tree.map(lambda x: x[0], batch))
        else:
            zeros = (jax.tree.map(jnp.zeros_like, trained), jnp.float32(0), jnp.float32(0))
            add = lambda carry, each: (jax.tree.map(jnp.add, carry, sums(*each)), None)  # noqa: E731
            (grads, loss, weight), _ = jax.lax.scan(add, zeros, (jnp.arange(micro_batches), batch))
        weight = jnp.maximum(weight, 1.0)
        divisor = weight / loss_weight
        return Gradients(jax.tree.map(lambda g: g / divisor, grads), loss / weight)

    return optimizer_step(gradients, model=model, optimizer=optimizer, mesh=mesh)


@functools.lru_cache(maxsize=256)
def predict_step(model: Model, head: str, mesh: Mesh):
    """Jitted (params, batch) -> dict of arrays, whole on every device (so every process can read them).

    The parts of the batch that predictions are filed by come back beside them: with several processes each
    one has only its own rows of the batch on the host.
    """

    def predict(params, batch):
        with constraints(mesh):
            outputs = model.predict(params, batch, head=head)
        return {**outputs, **{name: batch[name] for name in PASSED_THROUGH if name in batch}}

    return jax.jit(predict, out_shardings=replicated(mesh))
