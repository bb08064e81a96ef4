"""Steps on several tasks: against gradients added by hand, against the step of one head, and through the loop."""

from __future__ import annotations

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
from etils import epath

from tests.training.conftest import LENGTH, ROWS, VOCAB, Stream, make_batch
from xtreme_stilts.config import Recipe
from xtreme_stilts.errors import UserError
from xtreme_stilts.models import Head, Model
from xtreme_stilts.models.heads import LossSums
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.checkpoints import Checkpoints
from xtreme_stilts.training.loop import TaskStream, Trainer, pick_task, pick_tasks, stack_micro_batches
from xtreme_stilts.training.mixed import Draws, Layout, mixed_gradients, mixed_step
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import put_batch

HEADS = {
    "nli": Head("classification", num_labels=3),
    "same": Head("classification", num_labels=3),
    "value": Head("regression"),
    "tags": Head("tagging", num_labels=4),
    "choice": Head("choice", num_choices=2),
    "mlm": Head("mlm"),
}
THREE = ("nli", "tags", "mlm")
RECIPE = Recipe(learning_rate=1e-2)


def task_batch(kind: str, seed: int) -> dict[str, np.ndarray]:
    """A batch for one of HEADS: the packed rows of `make_batch` with its targets, other numbers of them in each."""
    batch, random = make_batch(seed), np.random.default_rng(seed)
    label = batch.pop("label")
    if kind in ("nli", "same"):
        return batch | {"label": label}
    if kind == "value":
        return batch | {"label": random.normal(size=label.shape).astype(np.float32)}
    if kind == "tags":
        first = (batch["positions"] % 2 == 0) & (batch["segment_ids"] > 0)
        tags = random.integers(0, 4, (ROWS, LENGTH))
        return batch | {"tags": np.where(first, tags, -1).astype(np.int32)}
    if kind == "choice":  # the first two segments of a row are the choices of its only example
        two = {"weight": np.ones((ROWS, 1), np.float32), "row": batch["row"][:, :1], "label": label[:, :1] % 2}
        return batch | two | {"first": batch["first"][:, :2]}
    masked = random.integers(0, 2, (ROWS, 5)).astype(np.float32)
    places, words = (random.integers(low, high, (ROWS, 5)).astype(np.int32) for low, high in ((0, 4), (4, VOCAB)))
    return batch | {"masked_index": places, "masked_label": words, "masked_weight": masked}


@pytest.fixture(scope="module", autouse=True)
def _quick_compilation():
    """Everything here runs for moments; to compile it well would take a minute."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def mixed_model(model) -> Model:
    """All heads; no dropout, which would take most of the time to compile (and see the test of its keys)."""
    return Model(dataclasses.replace(model.config, num_layers=1, hidden_dropout=0.0, attention_dropout=0.0), HEADS)


@pytest.fixture(scope="module")
def three(mixed_model) -> Model:
    return Model(mixed_model.config, {name: HEADS[name] for name in THREE})


@pytest.fixture(scope="module")
def layout(mixed_model) -> Layout:
    return Layout.of(mixed_model, heads=list(HEADS), like=[task_batch(name, 0) for name in HEADS])


@pytest.fixture(scope="module")
def mean_gradient(mixed_model):
    """(params, head, batches) -> the mean loss of one task and its gradient, from one batch and head at a time."""

    @functools.partial(jax.jit, static_argnums=2)
    def of_batch(params, batch, head):
        def loss(params):
            sums = mixed_model.loss(params, batch, head=head)
            return sums.loss, sums.weight

        return jax.value_and_grad(loss, has_aux=True)(params)

    def mean(params, head, batches):
        found = [jax.device_get(of_batch(params, batch, head)) for batch in batches]
        weight = sum(weight for (_, weight), _ in found)
        gradient = jax.tree.map(lambda *parts: sum(parts) / weight, *(grads for _, grads in found))
        return sum(loss for (loss, _), _ in found) / weight, gradient

    return mean


def place(layout, batches, mesh):
    return put_batch(layout.stack(batches), mesh=mesh, leading=1)


def test_equal_shapes_share_a_branch_and_what_is_cut_out_is_what_was_put_in(layout):
    assert [branch.heads for branch in layout.branches] == [
        ("nli", "same"),
        ("value",),
        ("tags",),
        ("choice",),
        ("mlm",),
    ]
    assert layout.places == ((0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (4, 0))
    stacked = layout.stack([task_batch(name, 1) for name in HEADS])
    for number, name in enumerate(HEADS):
        own = task_batch(name, 1)
        branch = layout.branches[layout.places[number][0]]
        assert {array.name for array in branch.arrays} == set(own)
        for array in branch.arrays:
            found = stacked[array.name][number][:, : array.width].astype(array.dtype)
            np.testing.assert_array_equal(found, own[array.name], strict=True)


@pytest.fixture(scope="module")
def gradients(mixed_model, layout, mesh):
    return jax.jit(mixed_gradients(mixed_model, layout, mesh))


# Two heads; every head once; some several times, loss weights that differ.
@pytest.mark.parametrize(
    ("drawn", "weights"),
    [
        (("nli", "mlm", "mlm", "nli", "nli", "mlm"), {}),
        (("nli", "same", "value", "tags", "choice", "mlm"), {"tags": 3.0, "mlm": 0.25}),
        (("same", "mlm", "same", "tags", "same", "mlm"), {"same": 2.0}),
    ],
)
def test_a_mixed_step_is_the_gradients_of_single_heads_added_by_hand(
    mixed_model, layout, mesh, gradients, mean_gradient, drawn, weights
):
    params = mixed_model.init(jax.random.key(1))
    batches = [task_batch(name, 10 + number) for number, name in enumerate(drawn)]
    expected, loss = jax.tree.map(np.zeros_like, jax.device_get(params)), 0.0
    for name in set(drawn):
        own = [batch for batch, other in zip(batches, drawn, strict=True) if other == name]
        share = len(own) / len(drawn)
        value, gradient = mean_gradient(params, name, own)
        factor = share * weights.get(name, 1.0)
        expected = jax.tree.map(lambda total, g, f=factor: total + f * np.asarray(g), expected, gradient)
        loss += share * float(value)
    names = list(HEADS)
    draws = Draws(np.int32([names.index(name) for name in drawn]), np.float32([weights.get(n, 1.0) for n in names]))
    found = gradients(params, {}, place(layout, batches, mesh), jax.random.key(0), draws)
    assert float(found.loss) == pytest.approx(loss, abs=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), jax.device_get(found.grads), expected)
    assert all((found.task_losses[names.index(name)] != 0) == (name in drawn) for name in names)


def test_micro_batches_of_one_task_give_the_step_of_its_head(three, mesh):
    layout = Layout.of(three, heads=THREE, like=[task_batch(name, 0) for name in THREE])
    batches = [task_batch("nli", seed) for seed in range(3)]
    optimizer, schedule = AdamW.of(RECIPE), Schedule.of(RECIPE, steps=10)
    init = lambda: steps_lib.init_optimizer(three, optimizer, mesh)(three.init(jax.random.key(0)))  # noqa: E731
    one = steps_lib.train_step(three, "nli", optimizer, mesh)
    together = put_batch(stack_micro_batches(batches), mesh=mesh, leading=1)
    expected, said = one(init(), together, schedule, np.uint32(7), np.float32(0.5))
    mixed = mixed_step(three, layout, optimizer, mesh)
    draws = Draws(np.int32([0, 0, 0]), np.float32([0.5, 1.0, 1.0]))
    found, metrics = mixed(init(), place(layout, batches, mesh), schedule, np.uint32(7), draws)
    assert float(metrics.loss) == pytest.approx(float(said.loss), rel=1e-6)
    assert float(metrics.grad_norm) == pytest.approx(float(said.grad_norm), rel=1e-5)
    assert (int(metrics.tokens), float(metrics.examples)) == (int(said.tokens), float(said.examples))
    # Adam divides by the gradient's own size, so where it is all but zero rounding is all there is.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found.params, expected.params)
    # The weight is in the gradient, not in the loss that is told.
    _, plain = one(init(), together, schedule, np.uint32(7), np.float32(1.0))
    assert float(plain.loss) == pytest.approx(float(said.loss), rel=1e-6)
    assert float(plain.grad_norm) == pytest.approx(2 * float(said.grad_norm), rel=1e-5)
    # What is drawn and how it weighs are arguments: nothing is compiled again.
    other = Draws(np.int32([2, 0, 1]), np.float32([1.0, 3.0, 1.0]))
    batches = [task_batch(name, 5) for name in ("mlm", "nli", "tags")]
    mixed(found, place(layout, batches, mesh), schedule, np.uint32(8), other)
    assert mixed._cache_size() == 1


class Noisy:
    """A model of one parameter, with a loss that shows the dropout key it was given."""

    heads = dict.fromkeys(("a", "b"), "the same")

    def loss(self, params, batch, *, head, dropout_key):
        noise = 1.0 if dropout_key is None else jax.random.uniform(dropout_key)
        return LossSums(noise * params["heads"][head] * batch["tokens"].sum(), batch["weight"].sum())


def test_every_micro_batch_has_the_dropout_key_it_has_in_a_step_of_one_head(mesh):
    batches = [{"tokens": np.full((2, 3), n, np.int32), "weight": np.full((2, 1), n, np.float32)} for n in (1, 2, 3)]
    layout = Layout.of(Noisy(), heads=["a", "b"], like=[batches[0]] * 2)
    params, key = {"encoder": {}, "heads": {"a": np.float32(5), "b": np.float32(7)}}, jax.random.key(3)
    draws = Draws(np.int32([0, 1, 0]), np.float32([1, 1]))
    found = jax.jit(mixed_gradients(Noisy(), layout, mesh))(params, {}, layout.stack(batches), key, draws)
    noise = [float(jax.random.uniform(jax.random.fold_in(key, number))) for number in range(3)]
    of_a, of_b = (noise[0] * 6 * 1 + noise[2] * 6 * 3) / (2 * 1 + 2 * 3), noise[1] * 6 * 2 / (2 * 2)
    assert float(found.grads["heads"]["a"]) == pytest.approx(2 / 3 * of_a)
    assert float(found.grads["heads"]["b"]) == pytest.approx(1 / 3 * of_b)
    assert found.task_losses.tolist() == pytest.approx([5 * of_a, 7 * of_b])


# --------------------------------------------------------------------------------------------------
# Sampling


def test_picks_are_those_of_before_and_of_the_same_stream():
    rates = [900.0, 90.0, 10.0]
    shares = np.array(rates) / 1000
    for step in range(300):
        before = int(np.random.default_rng((3, step)).choice(3, p=shares))
        assert pick_task(rates, seed=3, step=step) == before
        assert pick_tasks(rates, seed=3, step=step, count=4)[0] == before


def test_frequencies_follow_the_rates():
    rates, steps = [4.0, 1.0, 0.0, 5.0], 20_000
    picked = np.bincount([pick_task(rates, seed=0, step=step) for step in range(steps)], minlength=4)
    drawn = np.concatenate([pick_tasks(rates, seed=1, step=step, count=4) for step in range(steps // 4)])
    for counts in (picked, np.bincount(drawn, minlength=4)):
        for count, share in zip(counts, (0.4, 0.1, 0.0, 0.5), strict=True):
            assert abs(count - steps * share) <= 4 * np.sqrt(steps * share * (1 - share))


# --------------------------------------------------------------------------------------------------
# Through the loop


class TaskBatches(Stream):
    """Batches of one of HEADS."""

    def __init__(self, kind: str, broken_at: int | None = None):
        super().__init__(broken_at)
        self.kind = kind

    def __next__(self):
        super().__next__()
        return task_batch(self.kind, self.next - 1)


def streams(broken_at=None, rates=(2.0, 1.0, 1.0)):
    return [
        TaskStream(
            name=f"the_{kind}", head=kind, rate=rate, batches=TaskBatches(kind, broken_at), like=task_batch(kind, 0)
        )
        for kind, rate in zip(THREE, rates, strict=True)
    ]


def fit(model, mesh, folder, *, heads, steps=8, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(learning_rate=1e-2, log_every=1, checkpoint_every=2, accumulate=3)
    trainer = Trainer(model, folder=epath.Path(folder), recipe=recipe, steps=steps, seed=5, mesh=mesh, title="test")
    start = lambda: model.init(jax.random.key(0))  # noqa: E731
    trainer.fit(start, streams=streams(**changes), validate=None, heads=heads)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def best_params(model, folder):
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), model.abstract_params())
    with Checkpoints(epath.Path(folder) / "best") as best:
        return jax.device_get(best.restore(best.steps()[0], abstract=abstract))


def test_a_run_cut_off_ends_as_the_whole_one(three, mesh, tmp_path):
    whole = fit(three, mesh, tmp_path / "whole", heads="mixed")
    with pytest.raises(KeyboardInterrupt):
        fit(three, mesh, tmp_path / "cut", heads="mixed", broken_at=6)
    cut = fit(three, mesh, tmp_path / "cut", heads="mixed")
    jax.tree.map(
        np.testing.assert_array_equal, best_params(three, tmp_path / "whole"), best_params(three, tmp_path / "cut")
    )
    kept = [name for name in whole[-1] if name not in ("time", "tokens_per_second")]
    assert {name: whole[-1][name] for name in kept} == {name: cut[-1][name] for name in kept}


def test_each_tasks_loss_is_told(three, mesh, tmp_path):
    for line in fit(three, mesh, tmp_path / "mixed", heads="mixed"):
        drawn = pick_tasks([2.0, 1.0, 1.0], seed=5, step=line["step"] - 1, count=3)
        names = [("the_nli", "the_tags", "the_mlm")[task] for task in drawn]
        assert sorted(line["task"].split("+")) == sorted(set(names))
        told = {name.removeprefix("loss/"): value for name, value in line.items() if name.startswith("loss/")}
        assert set(told) == set(names)
        assert line["loss"] == pytest.approx(sum(told[name] for name in names) / 3, rel=1e-5)
    lines = fit(three, mesh, tmp_path / "one", heads="one", rates=(1.0, 1.0, 0.0))
    assert {line["task"] for line in lines} == {"the_nli", "the_tags"}
    assert all(line[f"loss/{line['task']}"] == line["loss"] for line in lines)


def test_rates_follow_the_progress(three, mesh, tmp_path):
    rates = (lambda progress: float(progress < 0.5), lambda progress: float(progress >= 0.5), 0.0)
    told = [line["task"] for line in fit(three, mesh, tmp_path, heads="one", rates=rates)]
    assert told == ["the_nli"] * 4 + ["the_tags"] * 4


def test_a_loss_that_is_not_finite_names_the_task_it_is_of(three, mesh, tmp_path):
    def start():
        params = three.init(jax.random.key(0))
        bias = params["heads"]["tags"]["out"]["bias"]
        params["heads"]["tags"]["out"]["bias"] = bias.at[0].set(np.nan)
        return params

    recipe = Recipe(learning_rate=1e-2, log_every=1, accumulate=3)
    trainer = Trainer(three, folder=epath.Path(tmp_path), recipe=recipe, steps=3, seed=5, mesh=mesh, title="test")
    with pytest.raises(UserError, match=r"loss of step 1 is nan .* on task 'the_tags', cached rows \[0, "):
        trainer.fit(start, streams=streams(), validate=None, heads="mixed")
