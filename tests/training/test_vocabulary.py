"""Training the rows in use is training the whole table."""

from __future__ import annotations

import dataclasses
import types

import jax
import numpy as np
import pytest
from etils import epath

from tests.training.conftest import Stream, make_batch
from tests.training.test_loop import best_params
from xtreme_stilts.config import Recipe
from xtreme_stilts.models import Model
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training import vocabulary as vocabulary_lib
from xtreme_stilts.training.loop import TaskStream, Trainer
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import put_batch
from xtreme_stilts.training.vocabulary import ActiveVocabulary, Renumbered, decayed

WORDS = 200  # of which the batches use less than fifty
STEPS = 50
RECIPE = Recipe(learning_rate=1e-2, weight_decay=0.1, warmup=0.2, log_every=1)


@pytest.fixture
def large(model):
    """The model with a table most of which no batch uses, and dropout on."""
    return Model(dataclasses.replace(model.config, vocab_size=WORDS), model.heads)


@pytest.fixture
def vocabulary(monkeypatch):
    monkeypatch.setattr(vocabulary_lib, "SMALLEST", 8)
    tokens = np.concatenate([make_batch(i)["tokens"].ravel() for i in range(STEPS)])
    cache = types.SimpleNamespace(columns={"tokens": tokens}, vocabulary=types.SimpleNamespace(pad_id=1))
    return ActiveVocabulary.of([cache], vocab_rows=WORDS)


def _fit(model, mesh, folder, *, params, vocabulary=None, stream=None):
    """Trains STEPS steps; with a vocabulary its rows only."""
    recipe, schedule = RECIPE, Schedule.of(RECIPE, steps=STEPS)
    batches, start, whole = stream or Stream(), lambda: params, lambda now, step: now
    if vocabulary is not None:
        table = params["encoder"]["embeddings"]["word"]["table"]
        batches, start = Renumbered(batches, vocabulary), lambda: vocabulary.compact(params)

        def whole(now, step):
            factor = decayed(schedule, steps=step, weight_decay=recipe.weight_decay)
            return vocabulary.whole(now, start=table, factor=factor)

        model = Model(vocabulary.config(model.config), model.heads)
    folder = epath.Path(folder)
    folder.mkdir(exist_ok=True)
    trainer = Trainer(model, folder=folder, recipe=recipe, steps=STEPS, seed=5, mesh=mesh, title="test")
    stream = TaskStream(name="task", head="head", rate=1.0, batches=batches)
    return trainer.fit(start, streams=[stream], validate=None, whole=whole)


def test_the_rows_in_use(vocabulary):
    assert 1 in vocabulary.ids and 150 not in vocabulary.ids
    assert vocabulary.rows == 64 and 32 < len(vocabulary.ids) <= 64
    assert (vocabulary.lookup[vocabulary.ids] == np.arange(len(vocabulary.ids))).all()
    assert vocabulary.lookup[150] == vocabulary.rows  # outside the table: NaN, never another word


def test_active_equals_dense(large, mesh, tmp_path, vocabulary):
    """Losses, all parameters and the predictions of words that training never saw, after fifty steps with warm-up,
    clipping, decay and dropout."""
    fresh = lambda: large.init(jax.random.key(0))  # noqa: E731  (a start is donated)
    _fit(large, mesh, tmp_path / "dense", params=fresh())
    _fit(large, mesh, tmp_path / "active", params=fresh(), vocabulary=vocabulary)
    dense, active = (best_params(large, tmp_path / name) for name in ("dense", "active"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6, rtol=0), dense, active)

    table = dense["encoder"]["embeddings"]["word"]["table"]
    first = np.asarray(fresh()["encoder"]["embeddings"]["word"]["table"])
    assert np.abs(table[150] / first[150] - 1).max() > 1e-2  # decay has moved what training never saw
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("dense", "active")]
    losses = [[float(line.split('"loss": ')[1].split(",")[0]) for line in lines] for lines in logs]
    assert len(losses[0]) == STEPS
    np.testing.assert_allclose(*losses, atol=1e-6, rtol=0)

    unseen = make_batch(99)
    unseen["tokens"] = np.where(unseen["segment_ids"] > 0, unseen["tokens"] + 140, 1)
    run = steps_lib.predict_step(large, "head", mesh)
    logits = [np.asarray(run(params, put_batch(unseen, mesh=mesh))["logits"]) for params in (dense, active)]
    np.testing.assert_allclose(*logits, atol=1e-5, rtol=0)


def test_an_interrupted_run_ends_with_the_same_table(large, mesh, tmp_path, vocabulary, monkeypatch):
    monkeypatch.setattr("xtreme_stilts.training.loop.CHECKPOINT_EVERY", 7)
    start = lambda: large.init(jax.random.key(0))  # noqa: E731
    _fit(large, mesh, tmp_path / "whole", params=start(), vocabulary=vocabulary)
    with pytest.raises(KeyboardInterrupt):
        _fit(large, mesh, tmp_path / "cut", params=start(), vocabulary=vocabulary, stream=Stream(broken_at=20))
    _fit(large, mesh, tmp_path / "cut", params=start(), vocabulary=vocabulary)
    jax.tree.map(np.testing.assert_array_equal, *(best_params(large, tmp_path / name) for name in ("whole", "cut")))


def test_frozen_embeddings_stay_and_have_no_moments(model, mesh):
    optimizer = AdamW(embeddings="frozen")
    params = model.init(jax.random.key(0))
    before = jax.tree.map(np.array, params)
    state = steps_lib.init_optimizer(model, optimizer, mesh)(params)
    sizes = [leaf.size for leaf in jax.tree.leaves(state.opt_state)]
    trained = sum(leaf.size for leaf in jax.tree.leaves({**params["encoder"], "embeddings": {}})) + sum(
        leaf.size for leaf in jax.tree.leaves(params["heads"])
    )
    assert sum(sizes) == 2 * trained + 1  # two moments and a count
    step = steps_lib.train_step(model, "head", optimizer, mesh)
    batch = {name: value[None] for name, value in make_batch(0).items()}
    state, _ = step(state, put_batch(batch, mesh=mesh, leading=1), Schedule(0.01, 0.0, 10.0), np.uint32(1))
    after = jax.tree.map(np.array, state.params)
    jax.tree.map(np.testing.assert_array_equal, before["encoder"]["embeddings"], after["encoder"]["embeddings"])
    assert np.abs(before["encoder"]["pooler"]["kernel"] - after["encoder"]["pooler"]["kernel"]).max() > 0


def test_a_first_moment_in_bfloat16(model, mesh):
    state = steps_lib.init_optimizer(model, AdamW(moment="bfloat16"), mesh)(model.init(jax.random.key(0)))
    types_ = {str(leaf.dtype) for leaf in jax.tree.leaves(state.opt_state)}
    assert types_ == {"bfloat16", "float32", "int32"}
