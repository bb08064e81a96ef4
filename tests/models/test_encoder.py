"""The encoder's own contract: segments, dropout, precision, and options that must not change results."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.models import EncoderConfig, Head, Model
from xtreme_stilts.models.encoder import dropout

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def setup(kit):
    """A model with one head, parameters, and a batch of two packed rows with padding."""
    model = Model(kit.config(), {"h": Head("mlm")})
    examples = kit.examples(model.config, 4)
    batch = kit.lay_out([examples[:2], examples[2:]], slots=2, length=28, pad_id=model.config.pad_id)
    return model, kit.params(model), batch


def variant(model: Model, **fields) -> Model:
    return Model(dataclasses.replace(model.config, **fields), model.heads)


def test_segments_and_padding_do_not_mix(setup):
    model, params, batch = setup
    encode = jax.jit(model.encode)
    before = np.asarray(encode(params, batch).hidden)
    assert np.isfinite(before).all()
    for changed in (0, 2):  # what the padding holds, and what the second segment says
        where = batch["segment_ids"] == changed
        assert where.any()
        after = np.asarray(encode(params, batch | {"tokens": np.where(where, 50, batch["tokens"])}).hidden)
        others = (batch["segment_ids"] != changed) & (batch["segment_ids"] != 0)
        np.testing.assert_array_equal(after[others], before[others])
        assert not np.allclose(after[where], before[where])


def test_chosen_hidden_states_equal_those_of_all(setup):
    model, params, batch = setup
    every = jax.jit(lambda p, b: model.encode(p, b, states=(0, 1, 2)))(params, batch)
    some = jax.jit(lambda p, b: model.encode(p, b, states=(1, 0)))(params, batch)
    assert every.cls.shape == (2, 2, 3, model.config.hidden_size)
    for kind in ("cls", "mean"):
        found, expected = getattr(some, kind), getattr(every, kind)
        np.testing.assert_allclose(found, expected[:, :, jnp.array([1, 0])], atol=1e-6)
    first = np.asarray(every.hidden)[0, batch["first"][0, 1]]
    np.testing.assert_array_equal(every.cls[0, 1, 2], first)
    segment = batch["segment_ids"][0] == 2
    np.testing.assert_allclose(every.mean[0, 1, 2], np.asarray(every.hidden)[0, segment].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("norm", "variants"),
    [
        ("post", [{"remat": "dots"}, {"remat": "full", "scan_layers": False}]),
        ("pre", [{"scan_layers": False}]),
    ],
)
def test_remat_and_scan_change_nothing(kit, setup, norm, variants):
    base, _, batch = setup
    key = jax.random.key(5)
    results = []
    for fields in ({}, *variants):
        model = variant(base, norm=norm, **fields)

        def mean_loss(params, model=model):
            sums = model.loss(params, batch, head="h", dropout_key=key)
            return sums.loss / sums.weight

        results.append(jax.jit(jax.value_and_grad(mean_loss))(kit.params(model)))
    for loss, gradient in results[1:]:
        np.testing.assert_allclose(loss, results[0][0], rtol=1e-6)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-4), gradient, results[0][1])


def test_dropout_is_decided_by_its_key(setup):
    model, params, batch = setup

    @jax.jit
    def loss(key):
        return model.loss(params, batch, head="h", dropout_key=key).loss

    assert loss(jax.random.key(1)) == loss(jax.random.key(1))
    assert loss(jax.random.key(1)) != loss(jax.random.key(2))


@pytest.mark.parametrize("field", ["hidden_dropout", "attention_dropout"])
def test_each_dropout_rate_acts(setup, field):
    model, params, batch = setup
    rates = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    encode = jax.jit(lambda m, k: m.encode(params, batch, dropout_key=k).hidden, static_argnums=0)
    plain = jax.jit(model.encode)(params, batch).hidden
    key = jax.random.key(0)
    np.testing.assert_allclose(encode(variant(model, **rates), key), plain, atol=1e-5)  # rate 0 = evaluation
    assert not np.allclose(encode(variant(model, **rates | {field: 0.3}), key), plain, atol=0.1)


def test_dropout_keeps_the_mean_and_needs_a_key():
    x = jnp.ones((200, 200))
    dropped = dropout(x, 0.25, jax.random.key(0))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(float((dropped == 0).mean()) - 0.25) < 0.01
    assert dropout(x, 0.25, None) is x


@pytest.mark.parametrize("rate", [0.1, 0.5, 1e-9, 1 - 1e-9])
def test_elements_are_dropped_independently_of_their_neighbours(rate):
    width = 31  # odd: two share a random number, and one is left
    kept = np.asarray(dropout(jnp.ones((40, 250, width)), rate, jax.random.key(3))) > 0
    assert kept.shape == (40, 250, width)
    # 10,000 elements a column: both bounds are five standard deviations.
    assert np.abs(kept.mean((0, 1)) - (1 - rate)).max() <= 5 * 0.5 / 100
    for step in (1, 2, width // 2, width // 2 + 1):
        both = (~kept[..., step:] & ~kept[..., :-step]).mean()
        assert abs(both - rate**2) <= 5 * 0.5 / 400


def test_bfloat16_computes_close_and_keeps_float32_parameters(setup):
    model, params, batch = setup
    half = variant(model, dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(half.abstract_params())} == {jnp.dtype("float32")}
    exact, rough = (jax.jit(m.encode)(params, batch).hidden for m in (model, half))
    assert rough.dtype == jnp.bfloat16
    assert exact.dtype == jnp.float32
    difference = np.abs(np.asarray(exact) - np.asarray(rough, np.float32))
    assert 0 < difference.mean() < 0.02
    value_and_grad = jax.value_and_grad(lambda p: half.loss(p, batch, head="h").loss)
    assert {leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(value_and_grad, params))} == {jnp.dtype("float32")}


@pytest.mark.parametrize(("field", "value"), [("tokens", 99), ("positions", 40), ("token_types", 1)])
def test_an_id_outside_its_table_is_not_passed_over(setup, field, value):
    model, params, batch = setup
    ids = batch.get(field, np.zeros_like(batch["tokens"])).copy()
    ids[0, 0] = value
    hidden = np.asarray(jax.jit(model.encode)(params, batch | {field: ids}).hidden)
    assert np.isnan(hidden[0]).any()
    assert np.isfinite(hidden[1]).all()


def test_added_vocabulary_rows_change_nothing(setup):
    model, params, batch = setup
    wide = variant(model, vocab_multiple=16)
    shapes = wide.abstract_params()
    assert shapes["encoder"]["embeddings"]["word"]["table"].shape[0] == 112

    def widen(leaf, shape):  # the added rows hold what would stand out
        return np.concatenate([leaf, np.full((shape.shape[0] - leaf.shape[0], *leaf.shape[1:]), 9.0, np.float32)])

    found = wide.loss(jax.tree.map(widen, params, shapes), batch, head="h")
    expected = model.loss(params, batch, head="h")
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "bfloat61"}, "did you mean 'bfloat16'"),
        ({"remat": "all"}, "'remat' is 'all'"),
        ({"num_heads": 5}, "must divide hidden_size 32"),
        ({"hidden_dropout": 1.0}, "must be in"),
        ({"num_layers": 0}, "at least 1"),
    ],
)
def test_bad_configuration_is_refused(kit, fields, message):
    with pytest.raises(UserError, match=message):
        kit.config(**fields)


def test_config_survives_hugging_face(kit):
    for model_type in ("xlm-roberta", "xlm-roberta-xl", "bert"):
        config = kit.config(model_type)
        assert EncoderConfig.from_hf(config.to_hf()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "xlm-robertta"}, "did you mean 'xlm-roberta'"),
        ({"hidden_act": "relu"}, "only 'gelu' is supported"),
        ({"is_decoder": True}, "only False is supported"),
        ({"vocab_size": None}, "lacks the field 'vocab_size'"),
    ],
)
def test_an_unsupported_hugging_face_config_is_refused(kit, change, message):
    with pytest.raises(UserError, match=message):
        EncoderConfig.from_hf(kit.config().to_hf() | change)
