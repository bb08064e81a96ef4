"""Which encoder is timed, and FLOPs by formula, since XLA's own count takes a looped layer once."""

from __future__ import annotations

from typing import Any

import numpy as np

XLMR_VOCABULARY = 250002  # the miniature encoder is timed with real ids, too

# Fields of `EncoderConfig` under --quick; without dropout, whose random bits take half of a small step's compile time.
QUICK = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_layers": 1,
    "num_heads": 4,
    "vocab_size": 2048,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
}


def encoder(preset: str, *, quick: bool, **fields: Any) -> dict[str, Any]:
    """Arguments of `xtreme_stilts.models.preset`: a name, and fields that replace its own."""
    small = QUICK if quick else {}
    vocabulary = {"vocab_size": XLMR_VOCABULARY} if preset == "mini" else {}
    return {"name": preset, **vocabulary, **small, **fields}


def flops(*, layers: int, hidden: int, mlp: int, tokens: int, squares: int, training: bool) -> float:
    """Floating-point operations of an encoder's matrix products, a multiply and an add being two.

    A token takes 8 h^2 (query, key, value, output) + 4 h f (MLP) in a layer, and 4 h for each token it looks at; the
    backward pass takes twice the forward pass. Tables, norms and heads are left out: less than a percent.

    Args:
        layers, hidden, mlp: of the encoder.
        tokens: in all.
        squares: sum over sequences of length squared.
    """
    forward = layers * (tokens * (8 * hidden**2 + 4 * hidden * mlp) + 4 * hidden * squares)
    return float(forward) * (3 if training else 1)


def batch_flops(batch, *, layers: int, hidden: int, mlp: int, training: bool) -> dict[str, float]:
    """{"flops": of all that is computed, "useful_flops": of the real tokens alone} for a `rows.Batch`."""
    shape = {"layers": layers, "hidden": hidden, "mlp": mlp, "training": training}
    length = batch.arrays["tokens"].shape[-1]
    useful = np.square(batch.sizes.astype(np.int64)).sum()
    return {
        "flops": flops(tokens=batch.computed, squares=batch.computed * length, **shape),
        "useful_flops": flops(tokens=batch.tokens, squares=int(useful), **shape),
    }
