"""Attention inside segments, by the kernel that suits the hardware.

Terms: T queries and keys of N heads of size D; `segment_ids` number the texts of a row, and a token sees the tokens
of its own segment only, padding (segment 0) included, so that every query has a key. All kernels compute the same
function: scores scaled by D ** -0.5, softmax in float32.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

KERNELS = ("auto", "xla", "cudnn", "splash")

# The logit of what takes no part in a softmax. Finite, so that a softmax over nothing else gives no NaN, in
# its gradient neither; exp of it is exactly 0.
MASKED = -1e30

_BLOCK = 128  # splash attention works on blocks of 128 queries and keys
_LONG = 256  # below, attention is some percent of a layer's work and no kernel repays its overhead


def choose(*, asked: str, platform: str, dtype: Any, length: int, size: int, drops: bool) -> str:
    """The kernel for one shape: `xla`, `cudnn` or `splash`.

    Args:
        asked: one of KERNELS; what is asked for by name is taken, except while attention weights are dropped.
        platform: of the devices, as JAX calls it: cpu, gpu (cuda, rocm), tpu.
        dtype: of queries and keys.
        length: T. size: D.
        drops: whether weights are dropped in this pass.
    """
    if drops:
        return "xla"  # no public kernel drops attention weights, and XLM-R's recipe does while training
    if asked != "auto":
        return asked
    if platform in ("gpu", "cuda") and dtype == jnp.bfloat16 and size % 8 == 0 and size <= 128 and length % 2 == 0:
        return "cudnn"  # flash attention: 16-bit types only, head size a multiple of 8 up to 128, even lengths
    if platform == "tpu" and length % _BLOCK == 0 and length >= _LONG:
        return "splash"  # Pallas flash attention that takes segment ids; never forms the T x T scores
    return "xla"


@jax.named_scope("attention")
def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    segment_ids: jax.Array,
    kernel: str,
    drop=lambda weights: weights,
    mesh=None,
    interpret: bool = False,
) -> jax.Array:
    """[batch, T, N, D] -> [batch, T, N, D], in the type of `value`.

    Args:
        segment_ids: int32[batch, T].
        kernel: from `choose`.
        drop: applied to the weights [batch, N, T, T]; xla only.
        mesh: the devices the batch (data, fsdp) and the heads (tensor) are spread over; splash only.
        interpret: run splash's kernel in Python, for tests without a TPU.
    """
    if kernel == "splash":
        return _splash(query, key, value, segment_ids, mesh=mesh, interpret=interpret)
    mask = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]  # [batch, 1, T, T]
    if kernel == "cudnn":
        return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="cudnn")
    query = query * query.shape[-1] ** -0.5
    scores = jnp.einsum("bqnd,bknd->bnqk", query, key, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, MASKED), axis=-1).astype(value.dtype)
    return jnp.einsum("bnqk,bknd->bqnd", drop(weights), value)


def _splash(query, key, value, segment_ids, *, mesh, interpret: bool) -> jax.Array:
    run = functools.partial(_splash_here, interpret=interpret)
    if mesh is not None and mesh.size > 1:
        # A Pallas kernel cannot be partitioned by the compiler: each device runs it on its rows and heads.
        tensor = query.shape[2] % mesh.shape["tensor"] == 0
        rows, heads = ("data", "fsdp"), "tensor" if tensor else None
        split = jax.sharding.PartitionSpec(rows, None, heads, None)
        run = jax.shard_map(
            run,
            mesh=mesh,
            in_specs=(split, split, split, jax.sharding.PartitionSpec(rows, None)),
            out_specs=split,
            check_vma=False,
        )
    return run(query, key, value, segment_ids)


def _splash_here(query, key, value, segment_ids, *, interpret: bool) -> jax.Array:
    """On one device."""
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    length, heads = query.shape[1], query.shape[2]
    every = masks.MultiHeadMask([masks.FullMask((length, length))] * heads)
    kernel = kernels.make_splash_mha(mask=every, head_shards=1, q_seq_shards=1, interpret=interpret)
    turned = (jnp.swapaxes(x, 1, 2) for x in (query * query.shape[-1] ** -0.5, key, value))  # [batch, N, T, D]
    of_row = jax.vmap(lambda q, k, v, ids: kernel(q, k, v, segment_ids=kernels.SegmentIds(ids, ids)))
    return jnp.swapaxes(of_row(*turned, segment_ids), 1, 2).astype(value.dtype)
