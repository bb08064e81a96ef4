"""Which micro-batches fit, asked of the compiler; and the sentence for those that do not."""

from __future__ import annotations

import jax
import pytest
from etils import epath

from tests.training.conftest import ROWS, Stream, make_batch
from xtreme_stilts.config import Recipe
from xtreme_stilts.errors import UserError
from xtreme_stilts.training import memory
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.loop import TaskStream, Trainer
from xtreme_stilts.training.optimizer import AdamW


def needed(model, mesh, rows):
    batch = {name: value.repeat(-(-rows // ROWS), 0)[:rows] for name, value in make_batch(0).items()}
    return memory.needs(lambda: memory.lower(model, head="head", optimizer=AdamW(), mesh=mesh, batch=batch))


def test_more_rows_need_more_and_parameters_are_counted(model, mesh):
    small, large = (needed(model, mesh, rows) for rows in (4, 64))
    state = steps_lib.abstract_state(model, optimizer=AdamW(), mesh=mesh)
    parameters = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    assert parameters < small.arguments < parameters + 10_000
    assert large.temporaries > 4 * small.temporaries


@pytest.mark.slow
def test_the_largest_micro_batch_that_divides_the_step_and_fits(model, mesh):
    sizes = {rows: needed(model, mesh, rows).total for rows in (1, 2, 3, 4, 6, 12)}
    between = (sizes[4] + sizes[6]) // 2

    def fitting(bound):
        return memory.rows_that_fit(
            12, length=24, mesh=mesh, needed=lambda rows: needed(model, mesh, rows), at_most=bound
        )

    assert fitting(between) == 4
    assert fitting(10**12) == 12
    assert fitting(1000) == 0


def test_a_cpu_takes_about_a_thousand_tokens(mesh):
    fitting = lambda rows, length: memory.rows_that_fit(rows, length=length, mesh=mesh, needed=None)  # noqa: E731
    assert fitting(32, 128) == 8
    assert fitting(30, 128) == 6  # 7 and 8 do not divide it
    assert fitting(4, 2048) == 1
    assert memory.evaluation_rows(128, mesh=mesh) == 8


def test_a_step_too_large_for_the_device_is_answered_with_what_fits(model, mesh, tmp_path, monkeypatch):
    def refuse(*args):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes")

    monkeypatch.setattr(steps_lib, "train_step", lambda *args: refuse)
    trainer = Trainer(model, folder=epath.Path(tmp_path), recipe=Recipe(), steps=2, seed=0, mesh=mesh, title="phase x")
    stream = TaskStream(name="task", head="head", rate=1.0, batches=Stream())
    with pytest.raises(UserError, match="phase x: rows=2 fits"):
        trainer.fit(
            lambda: model.init(jax.random.key(0)), streams=[stream], validate=None, too_large=lambda: "rows=2 fits"
        )


def test_a_profile_is_left_behind(model, mesh, tmp_path):
    trainer = Trainer(
        model,
        folder=epath.Path(tmp_path),
        recipe=Recipe(log_every=100),
        steps=14,
        seed=0,
        mesh=mesh,
        title="",
        profile_steps=2,
    )
    stream = TaskStream(name="task", head="head", rate=1.0, batches=Stream())
    trainer.fit(lambda: model.init(jax.random.key(0)), streams=[stream], validate=None)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
