"""The real loop on a model that compiles in a second."""

from __future__ import annotations

import collections
import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from etils import epath

from tests.training.conftest import Stream, make_batch
from xtreme_stilts.config import Recipe
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.checkpoints import Checkpoints
from xtreme_stilts.training.loop import TaskStream, Trainer, pick_task, stack_micro_batches
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import put_batch

RECIPE = Recipe(learning_rate=1e-2, eval_every=4, log_every=2, checkpoint_every=3)


def fit(model, mesh, folder, *, stream=None, steps=10, recipe=RECIPE, validate=None, start=None, **fields):
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(model, folder=folder, recipe=recipe, steps=steps, seed=5, mesh=mesh, title="test")
    stream = TaskStream(name="task", head="head", rate=1.0, batches=stream or Stream(), **fields)
    return trainer.fit(start or (lambda: model.init(jax.random.key(0))), streams=[stream], validate=validate)


def best_params(model, folder):
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), model.abstract_params()
    )
    with Checkpoints(epath.Path(folder) / "best") as best:
        return jax.device_get(best.restore(best.steps()[0], abstract=abstract))


def assert_identical(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_learns(model, mesh, tmp_path):
    done = fit(model, mesh, tmp_path, steps=90, recipe=Recipe(learning_rate=2e-2, log_every=30))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [30, 60, 90]
    assert lines[0]["loss"] > 0.8
    assert lines[-1]["loss"] < 0.6  # guessing is ln 3 = 1.1
    assert done.steps == done.best_step == 90
    assert done.tokens == sum(int((make_batch(i)["segment_ids"] > 0).sum()) for i in range(90))
    assert lines[-1]["tokens"] == done.tokens


@pytest.mark.parametrize("broken_at", [2, 3, 4, 8, 9])
def test_interrupted_equals_uninterrupted(model, mesh, tmp_path, broken_at):
    def validate(params):
        return {"selection": -float(np.abs(np.asarray(params["heads"]["head"]["out"]["bias"])).sum())}

    fit(model, mesh, tmp_path / "whole", validate=validate)
    with pytest.raises(KeyboardInterrupt):
        fit(model, mesh, tmp_path / "cut", stream=Stream(broken_at=broken_at), validate=validate)
    resumed = fit(model, mesh, tmp_path / "cut", validate=validate)
    assert resumed.steps == 10
    assert_identical(best_params(model, tmp_path / "whole"), best_params(model, tmp_path / "cut"))

    def lines(folder):
        kept = ("step", "loss", "grad_norm", "tokens", "validation/selection")
        rows = [json.loads(line) for line in (tmp_path / folder / "metrics.jsonl").read_text().splitlines()]
        return {(row["step"], "loss" in row): {name: row[name] for name in kept if name in row} for row in rows}

    whole, cut = lines("whole"), lines("cut")
    # A checkpoint reads the losses that are waiting, so the lines after a resume may cover other intervals.
    assert {step for step, _ in whole} >= {2, 4, 10}
    assert whole[(10, False)] == cut[(10, False)]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(model, mesh, tmp_path, capsys, sealed):
    fit(model, mesh, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(model, mesh, tmp_path / "cut", stream=Stream(broken_at=8))
    newest = tmp_path / "cut" / "latest" / "6"
    assert newest.is_dir()
    for file in newest.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    if not sealed:
        newest.with_name("6.seal.json").unlink()
    fit(model, mesh, tmp_path / "cut")
    said = capsys.readouterr().err
    assert "latest/6 has 0 of the " in said if sealed else "latest/6 cannot be read" in said
    assert f"it is now {tmp_path}/cut/damaged/latest-6, which nothing needs; going on from the one before it" in said
    assert_identical(best_params(model, tmp_path / "whole"), best_params(model, tmp_path / "cut"))


@pytest.mark.parametrize("lost", ["best", "best and latest"])
def test_best_parameters_that_are_lost_are_made_again(model, mesh, tmp_path, capsys, lost):
    def validate(params):  # best at step 4, the first of the two validations before the cut
        return {"selection": -float(np.abs(np.asarray(params["heads"]["head"]["out"]["bias"])).sum())}

    whole = fit(model, mesh, tmp_path / "whole", validate=validate)
    with pytest.raises(KeyboardInterrupt):
        fit(model, mesh, tmp_path / "cut", stream=Stream(broken_at=8), validate=validate)
    (best,) = (path for path in (tmp_path / "cut" / "best").iterdir() if path.is_dir())
    file = next((best / "encoder" / "d").iterdir())
    file.write_bytes(file.read_bytes()[:-1])
    if lost == "best and latest":
        next((tmp_path / "cut" / "latest" / "3" / "optimizer" / "d").iterdir()).write_bytes(b"")
    cut = fit(model, mesh, tmp_path / "cut", validate=validate)
    said = capsys.readouterr().err
    assert f"latest/6 needs the best parameters, but {best} has " in said
    assert ("latest/3 has 0 of" in said) == (lost == "best and latest")
    assert (cut.best_step, cut.best_value) == (whole.best_step, whole.best_value)
    assert_identical(best_params(model, tmp_path / "whole"), best_params(model, tmp_path / "cut"))


def test_early_stopping_keeps_the_best(model, mesh, tmp_path):
    values = iter([1.0, 3.0, 3.0, 2.0, 9.0])
    seen = {}

    def validate(params):
        seen[len(seen)] = jax.device_get(params)
        return {"selection": next(values)}

    recipe = Recipe(learning_rate=1e-2, eval_every=2, patience=2)
    done = fit(model, mesh, tmp_path, steps=50, recipe=recipe, validate=validate)
    assert (done.steps, done.best_step, done.best_value) == (8, 4, 3.0)  # an equal value is no improvement
    assert_identical(best_params(model, tmp_path), seen[1])


def test_streams_are_closed(model, mesh, tmp_path):
    stream = Stream()
    fit(model, mesh, tmp_path, stream=stream, steps=1)
    assert stream.closed


def test_non_finite_loss_names_step_task_and_rows(model, mesh, tmp_path):
    def start():
        params = model.init(jax.random.key(0))
        params["heads"]["head"]["out"]["bias"] = params["heads"]["head"]["out"]["bias"].at[0].set(np.nan)
        return params

    with pytest.raises(
        UserError, match=r"loss of step 1 is nan .* on task 'task', cached rows \[0, .*good checkpoints: none"
    ):
        fit(model, mesh, tmp_path, start=start)


def test_a_rate_that_explodes_names_the_examples_of_the_step(model, mesh, tmp_path):
    recipe = Recipe(learning_rate=1e38, warmup=0.0, log_every=4, checkpoint_every=1, weight_decay=0.0)
    with pytest.raises(UserError) as caught:
        fit(model, mesh, tmp_path, recipe=recipe, ids=lambda rows: [f"example-{row}" for row in rows])
    said = str(caught.value)
    step = int(re.search(r"the loss of step (\d+) is (nan|inf)", said).group(1))
    assert step > 1  # the first one is of the initial parameters
    rows = make_batch(step - 1)["row"]
    named = [f"example-{row}" for row in rows[rows >= 0]]
    assert f"on task 'task', cached rows {rows[rows >= 0].tolist()} (examples {', '.join(map(repr, named))})" in said
    assert re.search(r"; good checkpoints: \d", said)


def stuck(model, mesh, folder, **fields):
    """A run that learns nothing: the rate is 0."""
    return fit(
        model, mesh, folder, steps=60, recipe=Recipe(learning_rate=0.0, log_every=7, checkpoint_every=20), **fields
    )


def test_a_run_that_did_not_learn_says_so(model, mesh, tmp_path):
    guess = float(np.log(3))
    found = stuck(model, mesh, tmp_path / "stuck", guess=guess).unlearned
    assert found["task"].guess == guess
    assert found["task"].end > 0.98 * guess
    learned = fit(model, mesh, tmp_path / "learned", steps=90, recipe=Recipe(learning_rate=2e-2), guess=guess)
    assert learned.unlearned == {}
    collapsed = fit(model, mesh, tmp_path / "collapsed", steps=60, recipe=Recipe(learning_rate=3.0), guess=guess)
    assert set(collapsed.unlearned) == {"task"}


def test_a_run_that_was_cut_off_is_judged_alike(model, mesh, tmp_path):
    whole = stuck(model, mesh, tmp_path / "whole", guess=1.0)
    with pytest.raises(KeyboardInterrupt):
        stuck(model, mesh, tmp_path / "cut", stream=Stream(broken_at=45), guess=1.0)
    assert stuck(model, mesh, tmp_path / "cut", guess=1.0).unlearned == whole.unlearned != {}


@pytest.mark.parametrize("told_at", [4, 8, 10])
def test_told_to_stop_while_validating(model, mesh, tmp_path, told_at):
    """The validation is done by the next run, and all ends as if nobody had told."""
    begun = []

    def validate(params):
        return {"selection": -float(np.abs(np.asarray(params["heads"]["head"]["out"]["bias"])).sum())}

    def told(params):
        begun.append(params)
        if 4 * len(begun) >= told_at:
            raise Stopped("while reading")
        return validate(params)

    whole = fit(model, mesh, tmp_path / "whole", validate=validate)
    with pytest.raises(Stopped, match=f"test in the validation after step {told_at} of 10"):
        fit(model, mesh, tmp_path / "cut", validate=told)
    resumed = fit(model, mesh, tmp_path / "cut", validate=validate)
    same = {"seconds": 0.0}
    assert dataclasses.replace(resumed, **same) == dataclasses.replace(whole, **same)
    assert_identical(best_params(model, tmp_path / "whole"), best_params(model, tmp_path / "cut"))
    validated = {}
    for folder in ("whole", "cut"):
        lines = [json.loads(line) for line in (tmp_path / folder / "metrics.jsonl").read_text().splitlines()]
        name = "validation/selection"
        validated[folder] = [(line["step"], line[name]) for line in lines if name in line]
    assert validated["cut"] == validated["whole"]
    assert [step for step, _ in validated["whole"]] == [4, 8, 10]


def run_steps(model, mesh, batches):
    optimizer = AdamW.of(RECIPE)
    state = steps_lib.init_optimizer(model, optimizer, mesh)(model.init(jax.random.key(0)))
    step = steps_lib.train_step(model, "head", optimizer, mesh)
    for batch in batches:
        state, metrics = step(
            state, put_batch(batch, mesh=mesh, leading=1), Schedule.of(RECIPE, steps=10), np.uint32(0)
        )
    return jax.device_get(state.params), jax.device_get(metrics)


def test_accumulated_equals_one_batch(model, mesh):
    from xtreme_stilts.models import Model

    still = Model(dataclasses.replace(model.config, hidden_dropout=0.0, attention_dropout=0.0), model.heads)
    parts = [make_batch(seed) for seed in range(3)]  # of different numbers of examples
    assert len({part["weight"].sum() for part in parts}) > 1
    together = {name: np.concatenate([part[name] for part in parts])[None] for name in parts[0]}
    for number in (1, 2):
        accumulated, metrics = run_steps(still, mesh, [stack_micro_batches(parts)] * number)
        at_once, expected = run_steps(still, mesh, [together] * number)
        assert metrics.examples == expected.examples == sum(part["weight"].sum() for part in parts)
        np.testing.assert_allclose(metrics.loss, expected.loss, rtol=1e-6)
        np.testing.assert_allclose(metrics.grad_norm, expected.grad_norm, rtol=1e-5)
        # Adam divides by the gradient's own size, so where it is all but zero rounding is all there is.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), accumulated, at_once)


def test_tasks_are_picked_by_rate_and_only_by_seed_and_step():
    picked = [pick_task([1.0, 3.0], seed=1, step=step) for step in range(2000)]
    assert picked == [pick_task([10.0, 30.0], seed=1, step=step) for step in range(2000)]
    assert picked != [pick_task([1.0, 3.0], seed=2, step=step) for step in range(2000)]
    share = collections.Counter(picked)[1] / 2000
    assert abs(share - 0.75) < 0.03
