"""AdamW as X-STILTs uses it: clipped once per optimizer step, decayed by name, warmed up and let down linearly.

The learning rate is an input of the jitted step and no part of the optimizer, so that phases of different
length and rate share one compilation.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

if TYPE_CHECKING:  # the steps run without ml_collections
    from xtreme_stilts.config import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW:
    """Settings that are compiled into the step. jiant's values; decay as in its `get_train_setup`."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    moment: str = "float32"  # type of the first moment; bfloat16 halves it
    embeddings: str = "active"  # frozen: the encoder's embeddings are not trained; see `Recipe`

    @classmethod
    def of(cls, recipe: Recipe) -> AdamW:
        """The optimizer a recipe asks for."""
        return cls(**{field.name: getattr(recipe, field.name) for field in dataclasses.fields(cls)})

    def transformation(self) -> optax.GradientTransformation:
        """Gradient -> step of unit learning rate (subtract it, times the rate)."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip_norm),
            optax.scale_by_adam(b1=self.beta1, b2=self.beta2, eps=self.epsilon, mu_dtype=jnp.dtype(self.moment)),
            optax.add_decayed_weights(self.weight_decay, mask=decay_mask),
        )

    def split(self, params) -> Split:
        """The part of a tree of parameters (or of anything in its shape) that is trained, and the rest."""
        if self.embeddings != "frozen":
            return Split(params, {})
        encoder = dict(params["encoder"])
        fixed = {"embeddings": encoder.pop("embeddings")}
        return Split({**params, "encoder": encoder}, fixed)


class Split(NamedTuple):
    """A tree of parameters in two parts."""

    trained: Any  # the tree without what is fixed
    fixed: dict[str, Any]  # name of a part of the encoder -> its parameters

    def whole(self):
        """The tree again."""
        return {**self.trained, "encoder": {**self.trained["encoder"], **self.fixed}}


def decay_mask(params):
    """True where weight decay applies: everything but biases and the encoder's layer norms.

    The norm inside the MLM head does decay: jiant's rule goes by the parameter name `LayerNorm`, which that
    norm does not bear.
    """

    def decays(path, _leaf):
        names = [str(getattr(entry, "key", entry)) for entry in path]
        in_encoder_norm = names[0] == "encoder" and names[-1] == "scale"
        return names[-1] != "bias" and not names[-1].endswith("_bias") and not in_encoder_norm

    return jax.tree_util.tree_map_with_path(decays, params)


class Schedule(NamedTuple):
    """Linear warm-up to `peak` and linear decay to 0, as scalars the jitted step takes in (float32 each)."""

    peak: jax.Array | float
    warmup_steps: jax.Array | float
    total_steps: jax.Array | float

    @classmethod
    def of(cls, recipe: Recipe, *, steps: int) -> Schedule:
        """The schedule of a phase of `steps` optimizer steps; warm-up is int(share * steps), as in jiant."""
        return cls(jnp.float32(recipe.learning_rate), jnp.float32(int(recipe.warmup * steps)), jnp.float32(steps))

    def __call__(self, step: jax.Array) -> jax.Array:
        """Learning rate of optimizer step `step` (0-based), float32[]: `get_linear_schedule_with_warmup` of HF."""
        step = step.astype(jnp.float32)
        rising = step / jnp.maximum(1.0, self.warmup_steps)
        falling = (self.total_steps - step) / jnp.maximum(1.0, self.total_steps - self.warmup_steps)
        return self.peak * jnp.maximum(0.0, jnp.where(step < self.warmup_steps, rising, falling))
