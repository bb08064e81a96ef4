"""The model as a whole: its identity, its parameter trees, its presets, what importing it costs."""

from __future__ import annotations

import math
import subprocess
import sys

import jax
import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.models import KINDS, PRESETS, Head, Model, preset


def test_equal_models_are_one_key(kit):
    one, other = (Model(kit.config(), {"b": Head("span"), "a": Head("mlm")}) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other, Model(kit.config(), {"a": Head("mlm")})}) == 2
    assert one != Model(kit.config(hidden_dropout=0.2), one.heads)
    traces = []

    @jax.jit
    def count(x):
        return x

    def program(model, x):
        traces.append(model)
        return count(x)

    jitted = jax.jit(program, static_argnums=0)
    jitted(one, 1.0)
    jitted(other, 2.0)
    assert len(traces) == 1


@pytest.mark.parametrize("model_type", ["xlm-roberta", "xlm-roberta-xl", "bert"])
def test_every_parameter_names_its_dimensions(kit, model_type):
    model = Model(kit.config(model_type), kit.heads)
    assert {head.kind for head in model.heads.values()} == set(KINDS)
    shapes, axes = model.abstract_params(), model.logical_axes()
    valid = {"vocab", "position", "type", "embed", "heads", "kv", "mlp", "layers", "label"}

    def check(shape, names):
        assert len(names) == len(shape.shape)
        assert set(names) <= valid
        assert len(set(names)) == len(names)  # or one mesh axis would be used twice
        return names

    jax.tree.map(check, shapes, axes)  # raises where the trees differ
    sizes = {"layers": model.config.num_layers, "heads": 4, "vocab": model.config.vocab_size}
    for shape, names in zip(
        jax.tree.leaves(shapes), jax.tree.leaves(axes, is_leaf=lambda x: isinstance(x, tuple)), strict=True
    ):
        assert all(size == sizes.get(name, size) for size, name in zip(shape.shape, names, strict=True))


def test_init_is_decided_by_key_and_name(kit):
    small = Model(kit.config(), {"a": Head("tagging", num_labels=4)})
    large = Model(kit.config(), {"a": Head("tagging", num_labels=4), "b": Head("tagging", num_labels=4)})
    one, other = small.init(jax.random.key(0)), large.init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, one["encoder"], other["encoder"])
    jax.tree.map(np.testing.assert_array_equal, one["heads"]["a"], other["heads"]["a"])
    a, b = (other["heads"][name]["out"]["kernel"] for name in ("a", "b"))
    assert not np.allclose(a, b)
    assert not np.allclose(a, small.init(jax.random.key(1))["heads"]["a"]["out"]["kernel"])

    described = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), other)
    assert described == large.abstract_params()
    kernel = one["encoder"]["layers"]["mlp"]["up"]["kernel"]
    assert abs(float(kernel.std()) / small.config.initializer_range - 1) < 0.1
    assert not np.allclose(kernel[0], kernel[1])  # layers differ
    norm = one["encoder"]["layers"]["mlp_norm"]
    assert (norm["scale"] == 1).all()
    assert (norm["bias"] == 0).all()


def test_names_that_do_not_exist_are_answered(kit):
    model = Model(kit.config(), {"mnli": Head("classification", num_labels=3)})
    with pytest.raises(UserError, match="no head 'mnil': did you mean 'mnli'"):
        model.loss(model.abstract_params(), {}, head="mnil")
    with pytest.raises(UserError, match="did you mean 'classification'"):
        Head("clasification")
    with pytest.raises(UserError, match="only a head of kind 'choice'"):
        Head("span", num_choices=4)
    with pytest.raises(UserError, match=r"hidden state 3: the encoder has 0 \(embeddings\) to 2"):
        Model(kit.config(), {"e": Head("embedding", layers=(3,))})
    with pytest.raises(UserError, match="did you mean 'large'"):
        preset("larg")
    with pytest.raises(UserError, match="did you mean 'num_layers'"):
        preset("base", num_layer=3)


# Millions of parameters of the whole encoder with its pooler, counted from the published shapes.
@pytest.mark.parametrize(
    ("name", "millions"),
    [("base", 278), ("large", 560), ("xl", 3482), ("xxl", 10700), ("mbert", 178)],
)
def test_presets_have_the_published_sizes(name, millions):
    shapes = Model(PRESETS[name], {}).abstract_params()
    total = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    assert abs(total / 1e6 / millions - 1) < 0.005


def test_presets_are_found_by_their_published_names():
    assert preset("FacebookAI/xlm-roberta-large") == PRESETS["large"]
    assert preset("google-bert/bert-base-multilingual-cased") == preset("mbert")
    assert preset("facebook/xlm-roberta-xxl", dtype="bfloat16").dtype == "bfloat16"
    assert preset("mini", vocab_size=700).vocab_size == 700


def test_importing_models_imports_no_tensorflow():
    program = "import sys, xtreme_stilts.models, xtreme_stilts.models.hf; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "xtreme_stilts.models.hf" in modules
    assert not {"tensorflow", "seqio", "torch", "transformers"} & set(modules)
