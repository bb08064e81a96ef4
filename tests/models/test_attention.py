"""The attention kernels against each other, and which one is taken when."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xtreme_stilts.models.attention import attend, choose

BATCH, LENGTH, HEADS, SIZE = 2, 256, 2, 64


@pytest.fixture(scope="module")
def arrays():
    random = np.random.default_rng(0)
    draw = lambda: jnp.asarray(random.normal(size=(BATCH, LENGTH, HEADS, SIZE)), jnp.float32)  # noqa: E731
    segments = np.zeros((BATCH, LENGTH), np.int32)
    segments[0, :100], segments[0, 100:130], segments[1, :240] = 1, 2, 1  # the rest is padding
    return draw(), draw(), draw(), jnp.asarray(segments)


def by_hand(query, key, value, segment_ids):
    """One query after the other, in float64."""
    query, key, value, segment_ids = (np.asarray(x, np.float64) for x in (query, key, value, segment_ids))
    out = np.zeros_like(query)
    for b, t, n in np.ndindex(BATCH, LENGTH, HEADS):
        seen = segment_ids[b] == segment_ids[b, t]
        scores = key[b, seen, n] @ query[b, t, n] / np.sqrt(SIZE)
        weights = np.exp(scores - scores.max())
        out[b, t, n] = weights @ value[b, seen, n] / weights.sum()
    return out


@pytest.mark.parametrize("kernel", ["xla", "splash"])
def test_a_kernel_computes_attention_inside_segments(arrays, kernel):
    *qkv, segments = arrays
    found = attend(*qkv, segment_ids=segments, kernel=kernel, interpret=True)
    np.testing.assert_allclose(found, by_hand(*qkv, segments), atol=3e-6)


def test_splash_has_xlas_gradients(arrays):
    *qkv, segments = arrays

    def loss(qkv, kernel):
        return jnp.sum(jnp.sin(attend(*qkv, segment_ids=segments, kernel=kernel, interpret=True)))

    expected, found = (jax.grad(loss)(tuple(qkv), kernel) for kernel in ("xla", "splash"))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize(
    ("changes", "kernel"),
    [
        ({}, "xla"),
        ({"platform": "gpu"}, "cudnn"),
        ({"platform": "gpu", "dtype": jnp.float32}, "xla"),
        ({"platform": "gpu", "size": 160}, "xla"),
        ({"platform": "gpu", "drops": True}, "xla"),
        ({"platform": "tpu"}, "splash"),
        ({"platform": "tpu", "length": 128}, "xla"),
        ({"platform": "tpu", "length": 320}, "xla"),
        ({"platform": "tpu", "asked": "xla"}, "xla"),
        ({"platform": "cpu", "asked": "splash"}, "splash"),
        ({"platform": "tpu", "asked": "splash", "drops": True}, "xla"),
    ],
)
def test_the_kernel_that_is_chosen(changes, kernel):
    usual = {"asked": "auto", "platform": "cpu", "dtype": jnp.bfloat16, "length": 512, "size": 64, "drops": False}
    assert choose(**usual | changes) == kernel
