"""Packed rows, one example a row and one example alone give the same losses, gradients and predictions."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from xtreme_stilts.models import Model

EXAMPLES, SLOTS = 3, 2
PACKING = ((0, 1), (2,))  # examples of each row; the second row has an empty slot
KINDS = (
    "classification",
    "cls_classification",
    "regression",
    "choice",
    "tagging",
    "span",
    "mlm",
    "embedding",
)
pytestmark = pytest.mark.usefixtures("quick_compile")


def evaluate(model, name):
    """Loss sums and predictions in one compilation."""
    return jax.jit(
        lambda params, batch: (model.loss(params, batch, head=name), model.predict(params, batch, head=name))
    )


def gradient(model, name):
    return jax.jit(jax.value_and_grad(lambda params, batch: model.loss(params, batch, head=name).loss))


@pytest.fixture(scope="module")
def setup(kit):
    config = kit.config()
    model = Model(config, kit.heads)
    return config, model, kit.params(model)


def layouts(kit, config, kind):
    """The same examples packed, unpacked and alone."""
    choices = 2 if kind == "choice" else 1
    examples = kit.examples(config, EXAMPLES, choices=choices)
    length = 12 * choices
    lay_out = functools.partial(kit.lay_out, pad_id=config.pad_id)
    packed = lay_out([[examples[n] for n in row] for row in PACKING], slots=SLOTS, length=length * SLOTS)
    unpacked = lay_out([[e] for e in examples], slots=1, length=length)
    alone = [lay_out([[e]], slots=1, length=length) for e in examples]
    return (
        examples,
        kit.for_head(packed, kind),
        kit.for_head(unpacked, kind),
        [kit.for_head(b, kind) for b in alone],
    )


def per_example(kind, examples, batch, predicted):
    """Predictions as one list entry per example, in the order of the examples."""
    out = []
    for row in range(batch["tokens"].shape[0]):
        real = int(batch["weight"][row].sum())
        masked = 0
        for slot in range(real):
            example = examples[len(out)]
            first = batch["first"][row, slot * len(example.segments)]
            tokens = slice(first, first + len(example.segments[0]))
            if kind == "tagging":
                out.append({"tags": predicted["tags"][row, tokens]})
            elif kind == "span":
                out.append({k: predicted[k][row, tokens] for k in ("start_logits", "end_logits")})
            elif kind == "mlm":
                out.append({"loss": predicted["loss"][row, masked : masked + len(example.masked)]})
                masked += len(example.masked)
            else:
                out.append({k: v[row, slot] for k, v in predicted.items()})
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_layout_changes_nothing(kit, setup, kind):
    config, model, params = setup
    plain = kind.removeprefix("cls_")
    examples, packed, unpacked, alone = layouts(kit, config, plain)
    run = evaluate(model, kind)
    (packed_sums, packed_found), (unpacked_sums, unpacked_found) = run(params, packed), run(params, unpacked)
    alone_runs = [run(params, batch) for batch in alone]
    alone_sums = jax.tree.map(lambda *xs: sum(xs), *[sums for sums, _ in alone_runs])
    sums = (packed_sums, unpacked_sums, alone_sums)
    for one in sums[1:]:
        np.testing.assert_allclose(one.loss, sums[0].loss, rtol=1e-5)
        assert one.weight == sums[0].weight
    assert sums[0].weight == {
        "tagging": sum((e.tags >= 0).sum() for e in examples),
        "mlm": sum(len(e.masked) for e in examples),
    }.get(plain, EXAMPLES)
    assert (sums[0].loss == 0) == (kind == "embedding")

    expected = per_example(plain, examples, packed, packed_found)
    assert len(expected) == EXAMPLES
    others = [per_example(plain, examples, unpacked, unpacked_found)]
    triples = zip(examples, alone, alone_runs, strict=True)
    others.append([per_example(plain, [e], batch, found)[0] for e, batch, (_, found) in triples])
    for other in others:
        for found, want in zip(other, expected, strict=True):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-5), found, want)
    flat = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(e)]) for e in expected]
    assert all(f.shape != flat[0].shape or not np.allclose(f, flat[0]) for f in flat[1:])  # examples do differ


def test_layout_changes_no_gradient(kit, setup):
    """Nor does a row without any example, which is finite throughout."""
    config, model, params = setup
    _, packed, unpacked, _ = layouts(kit, config, "span")
    fill = {"tokens": config.pad_id, "tags": -1}
    longer = {k: np.concatenate([v, np.full_like(v[:1], fill.get(k, 0))]) for k, v in packed.items()}
    loss, expected = gradient(model, "span")(params, unpacked)
    found_loss, found = gradient(model, "span")(params, longer)
    np.testing.assert_allclose(found_loss, loss, rtol=1e-5)
    assert max(np.abs(x).max() for x in jax.tree.leaves(expected)) > 0.1
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-3), found, expected)
