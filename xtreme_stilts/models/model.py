"""An encoder with named heads, as functions over a plain nested dict of parameters.

The parameters are `{"encoder": {...}, "heads": {name: {...}}}`, float32. A head without parameters has an
empty dict. See `xtreme_stilts.models.heads` for the batch that each head reads.
"""

from __future__ import annotations

import functools
import types
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.models import heads as head_modules
from xtreme_stilts.models.encoder import Encoder, EncoderConfig, EncoderOutput, split_key
from xtreme_stilts.models.heads import Batch, Head, LossSums

Params = dict[str, Any]


class _Skeleton(NamedTuple):
    """A module without its parameters."""

    graphdef: nnx.GraphDef
    shapes: Params
    axes: Params


def _build(config: EncoderConfig, head: Head | None, rngs: nnx.Rngs) -> nnx.Module:
    return Encoder(config, rngs=rngs) if head is None else head_modules.build(head, config, rngs=rngs)


@functools.cache
def _skeleton(config: EncoderConfig, head: Head | None) -> _Skeleton:
    """Of a head, or of the encoder where `head` is None."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: _build(config, head, nnx.Rngs(0))))
    axes = jax.tree.map(lambda p: p.axes, state, is_leaf=lambda p: isinstance(p, nnx.Variable))
    return _Skeleton(graphdef, nnx.to_pure_dict(state), nnx.to_pure_dict(axes))


class Model:
    """An encoder and the heads on top of it. Hashable and equal by configuration: a key for jitted functions.

    Args:
        config: the encoder's.
        heads: name -> `Head`. Names are free; a task's name as a rule.

    Raises:
        UserError: a head does not fit the encoder.
    """

    def __init__(self, config: EncoderConfig, heads: Mapping[str, Head]):
        self.config = config
        self.heads: Mapping[str, Head] = types.MappingProxyType(dict(sorted(heads.items())))
        self._identity = (config, tuple(self.heads.items()))
        for head in self.heads.values():
            _skeleton(config, head)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"Model({self.config}, {dict(self.heads)})"

    def init(self, key: jax.Array) -> Params:
        """Fresh float32 parameters; each part's depend on the key and its name, not on the other parts."""

        def fresh(name: str, head: Head | None) -> Params:
            part_key = jax.random.fold_in(key, zlib.crc32(name.encode()))
            module = _build(self.config, head, nnx.Rngs(params=part_key))
            return nnx.to_pure_dict(nnx.state(module, nnx.Param))

        heads = {name: fresh(f"heads/{name}", head) for name, head in self.heads.items()}
        return {"encoder": fresh("encoder", None), "heads": heads}

    def abstract_params(self) -> Params:
        """The tree of `init` with `jax.ShapeDtypeStruct`s as leaves."""
        return self._skeletons(lambda skeleton: skeleton.shapes)

    def logical_axes(self) -> Params:
        """The tree of `init` with tuples of logical axis names as leaves, one name per dimension."""
        return self._skeletons(lambda skeleton: skeleton.axes)

    def encode(
        self,
        params: Params,
        batch: Batch,
        *,
        states: tuple[int, ...] = (),
        dropout_key: jax.Array | None = None,
    ) -> EncoderOutput:
        """Runs the encoder alone; see `Encoder.__call__` for `states`."""
        return self._encode(self._module(params["encoder"], None), batch, states, dropout_key)

    def loss(self, params: Params, batch: Batch, *, head: str, dropout_key: jax.Array | None = None) -> LossSums:
        """The summed loss of a batch under one head, and the sum of its weights.

        Args:
            params: as from `init`.
            batch: see `xtreme_stilts.models.heads`.
            head: name of the head.
            dropout_key: None = no dropout (evaluation).

        Raises:
            UserError: there is no such head.
        """
        encoder_key, head_key = split_key(dropout_key, 2)
        encoder, module = self._modules(params, head)
        encoded = self._encode(encoder, batch, module.states(), encoder_key)
        return module.loss(encoder, encoded, batch, head_key)

    def predict(self, params: Params, batch: Batch, *, head: str) -> dict[str, jax.Array]:
        """Predictions of one head for a batch: B rows, S slots, L tokens, C choices, M masked, width H.

        Returns: by the kind of head,
            classification {"logits": f32[B, S, labels]}
            regression {"value": f32[B, S]}
            choice {"logits": f32[B, S, C]}
            tagging {"tags": i32[B, L]}
            span {"start_logits", "end_logits": f32[B, L]}
            mlm {"loss": f32[B, M]}, 0 where empty
            embedding {"cls", "mean": f32[B, S, states, H]}

        Raises:
            UserError: there is no such head.
        """
        encoder, module = self._modules(params, head)
        encoded = self._encode(encoder, batch, module.states(), None)
        return module.predict(encoder, encoded, batch)

    def _skeletons(self, leaf) -> Params:
        heads = {name: leaf(_skeleton(self.config, head)) for name, head in self.heads.items()}
        tree = {"encoder": leaf(_skeleton(self.config, None)), "heads": heads}
        return jax.tree.map(lambda x: x, tree)  # dicts of the caller's own

    def _module(self, params: Params, head: Head | None) -> nnx.Module:
        return nnx.merge(_skeleton(self.config, head).graphdef, params)

    def _modules(self, params: Params, name: str) -> tuple[Encoder, Any]:
        if name not in self.heads:
            raise UserError(f"the model has no head {name!r}: {did_you_mean(name, self.heads)}")
        head = self._module(params["heads"].get(name, {}), self.heads[name])
        return self._module(params["encoder"], None), head

    @staticmethod
    def _encode(encoder: Encoder, batch: Batch, states, dropout_key) -> EncoderOutput:
        return encoder(
            batch["tokens"],
            segment_ids=batch["segment_ids"],
            positions=batch["positions"],
            token_types=batch.get("token_types"),
            first=batch.get("first"),
            states=states,
            dropout_key=dropout_key,
        )
