"""Heads: from hidden states to a loss and to predictions. Few heads serve all tasks.

Terms. A row has S example slots; slot s owns the segments s*C + 1 ... s*C + C (C = 1 but for multiple
choice). `first` holds the row index of every segment's first token, `weight` is 1 for a real example and 0
for an empty slot.

Losses are sums with their weights, never means, in float32: whoever adds them up over micro-batches and
devices divides once. A label below 0 (an unlabelled example or token) counts for nothing; one above the last
class gives a NaN loss.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.models import encoder as encoders
from xtreme_stilts.models.attention import MASKED
from xtreme_stilts.models.encoder import Dense, Encoder, EncoderConfig, EncoderOutput

KINDS = ("classification", "regression", "choice", "tagging", "span", "mlm", "embedding")

Batch = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Head:
    """What decides a head's parameters and arithmetic. Hashable.

    Attributes:
        kind: one of `KINDS`.
        num_labels: classes of "classification" and "tagging".
        num_choices: C of "choice".
        pooling: of classification, regression and choice: "jiant" puts the encoder's pooler before the head's
            own dense layer, as the X-STILTs code does; "cls" takes the first token's state as it is, as the
            XTREME reference does.
        layers: hidden states that "embedding" returns, 0 = embeddings; empty = all.

    Raises:
        UserError: a field is outside its range.
    """

    kind: str
    num_labels: int = 1
    num_choices: int = 1
    pooling: Literal["jiant", "cls"] = "jiant"
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        for field, valid in (("kind", KINDS), ("pooling", ("jiant", "cls"))):
            value = getattr(self, field)
            if value not in valid:
                raise UserError(f"head field {field!r} is {value!r}: {did_you_mean(value, valid)}")
        for field in ("num_labels", "num_choices"):
            if getattr(self, field) < 1:
                raise UserError(f"head field {field!r} is {getattr(self, field)}: it must be at least 1")
        if self.num_choices > 1 and self.kind != "choice":
            raise UserError(f"head field 'num_choices' is {self.num_choices}: only a head of kind 'choice' has choices")


class LossSums(NamedTuple):
    """Two float32 scalars: the sum of weighted losses, and the sum of their weights."""

    loss: jax.Array
    weight: jax.Array


def _sums(losses: jax.Array, weight: jax.Array) -> LossSums:
    return LossSums(jnp.sum(losses * weight), jnp.sum(weight))


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """float32[..., classes], int32[...] -> float32[...]; a label below 0 is read as class 0 (weigh it 0)."""
    gold = jnp.take_along_axis(logits, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - gold


class _Base(nnx.Module):
    """What all heads share. They are passed the `Encoder` to borrow from it: the pooler, the word table."""

    def __init__(self, head: Head, config: EncoderConfig):
        self.head, self.config = head, config

    def states(self) -> tuple[int, ...]:
        """The hidden states that this head wants pooled."""
        return ()

    def _dropout(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        return encoders.dropout(x, self.config.hidden_dropout, key)


class _Sentence(_Base):
    """Scores from the first token of each segment: dropout, dense, tanh, dropout, dense."""

    def __init__(self, head: Head, config: EncoderConfig, *, rngs: nnx.Rngs):
        super().__init__(head, config)
        outputs = head.num_labels if head.kind == "classification" else 1
        width = config.hidden_size
        self.dense = Dense({"embed": width}, {"mlp": width}, config=config, rngs=rngs)
        self.out = Dense({"mlp": width}, {"label": outputs}, config=config, rngs=rngs)

    def _scores(self, encoder: Encoder, encoded: EncoderOutput, batch: Batch, key) -> jax.Array:
        """float32[batch, segments, outputs]."""
        first_key, second_key = encoders.split_key(key, 2)
        x = encoders.first_tokens(encoded.hidden, batch["first"])
        x = encoder.pool(x) if self.head.pooling == "jiant" else x
        x = jnp.tanh(self.dense(self._dropout(x, first_key)))
        return self.out(self._dropout(x, second_key).astype(jnp.float32))


class Classification(_Sentence):
    """Softmax over the labels of an example."""

    def _logits(self, encoder, encoded, batch, key=None) -> jax.Array:
        return self._scores(encoder, encoded, batch, key)  # [batch, slots, labels]

    def loss(self, encoder, encoded, batch, key) -> LossSums:
        losses = _cross_entropy(self._logits(encoder, encoded, batch, key), batch["label"])
        return _sums(losses, batch["weight"] * (batch["label"] >= 0))

    def predict(self, encoder, encoded, batch) -> dict[str, jax.Array]:
        return {"logits": self._logits(encoder, encoded, batch)}


class Choice(Classification):
    """Softmax over the choices of an example, each scored in its own segment."""

    def _logits(self, encoder, encoded, batch, key=None) -> jax.Array:
        scores = self._scores(encoder, encoded, batch, key)  # [batch, slots * choices, 1]
        return scores.reshape(scores.shape[0], -1, self.head.num_choices)


class Regression(_Sentence):
    """Squared error of one number per example."""

    def loss(self, encoder, encoded, batch, key) -> LossSums:
        value = self._scores(encoder, encoded, batch, key)[..., 0]
        return _sums(jnp.square(value - batch["label"]), batch["weight"])

    def predict(self, encoder, encoded, batch) -> dict[str, jax.Array]:
        return {"value": self._scores(encoder, encoded, batch, None)[..., 0]}


class Tagging(_Base):
    """Softmax over the tags of every token that has one; the weight is the number of labelled tokens."""

    def __init__(self, head: Head, config: EncoderConfig, *, rngs: nnx.Rngs):
        super().__init__(head, config)
        self.out = Dense({"embed": config.hidden_size}, {"label": head.num_labels}, config=config, rngs=rngs)

    def _logits(self, encoded: EncoderOutput, key) -> jax.Array:
        return self.out(self._dropout(encoded.hidden, key).astype(jnp.float32))  # [batch, length, labels]

    def loss(self, encoder, encoded, batch, key) -> LossSums:
        losses = _cross_entropy(self._logits(encoded, key), batch["tags"])
        return _sums(losses, (batch["tags"] >= 0).astype(jnp.float32))

    def predict(self, encoder, encoded, batch) -> dict[str, jax.Array]:
        return {"tags": jnp.argmax(self._logits(encoded, None), axis=-1).astype(jnp.int32)}


class Span(_Base):
    """Start and end of an answer: two softmaxes over the tokens of the example's own segment. No dropout."""

    def __init__(self, head: Head, config: EncoderConfig, *, rngs: nnx.Rngs):
        super().__init__(head, config)
        self.out = Dense({"embed": config.hidden_size}, {"label": 2}, config=config, rngs=rngs)

    def loss(self, encoder, encoded, batch, key) -> LossSums:
        logits = self.predict(encoder, encoded, batch)
        masks = encoders.segment_masks(batch["segment_ids"], batch["weight"].shape[1])

        def losses(end: str) -> jax.Array:  # [batch, slots, length] -> [batch, slots]
            own = jnp.where(masks, logits[f"{end}_logits"][:, None, :], MASKED)
            return _cross_entropy(own, batch[end])

        labelled = (batch["start"] >= 0) & (batch["end"] >= 0)
        return _sums((losses("start") + losses("end")) / 2, batch["weight"] * labelled)

    def predict(self, encoder, encoded, batch) -> dict[str, jax.Array]:
        logits = self.out(encoded.hidden.astype(jnp.float32))  # [batch, length, 2]
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}


class MaskedLM(_Base):
    """Dense, GELU, layer norm, then the word table as decoder, plus a bias; only at the masked positions."""

    def __init__(self, head: Head, config: EncoderConfig, *, rngs: nnx.Rngs):
        super().__init__(head, config)
        width = config.hidden_size
        self.dense = Dense({"embed": width}, {"mlp": width}, config=config, rngs=rngs)
        self.norm = encoders.LayerNorm("embed", width, config=config, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(config.vocab_rows, jnp.float32), axes=("vocab",))

    def _losses(self, encoder: Encoder, encoded: EncoderOutput, batch: Batch) -> jax.Array:
        x = encoders.first_tokens(encoded.hidden, batch["masked_index"])  # [batch, masked, width]
        x = self.norm(encoders.gelu(self.dense(x)))
        table = encoders.constrain(encoder.embeddings.word.table[...], ("vocab", None)).astype(x.dtype)
        logits = jnp.einsum("bmh,vh->bmv", x, table, preferred_element_type=jnp.float32) + self.bias[...]
        logits = encoders.constrain(logits, ("batch", None, "vocab"))
        rows, words = self.config.vocab_rows, self.config.vocab_size
        if rows > words:  # rows that only make the table divisible are no words
            logits = jnp.where(jnp.arange(rows) < words, logits, MASKED)
        return _cross_entropy(logits, batch["masked_label"])

    def loss(self, encoder, encoded, batch, key) -> LossSums:
        return _sums(self._losses(encoder, encoded, batch), batch["masked_weight"])

    def predict(self, encoder, encoded, batch) -> dict[str, jax.Array]:
        return {"loss": self._losses(encoder, encoded, batch) * batch["masked_weight"]}


class Embedding(_Base):
    """No parameters, loss 0: the pooled hidden states themselves."""

    def __init__(self, head: Head, config: EncoderConfig, *, rngs: nnx.Rngs):
        super().__init__(head, config)

    def states(self) -> tuple[int, ...]:
        return self.head.layers or tuple(range(self.config.num_layers + 1))

    def loss(self, encoder, encoded, batch, key) -> LossSums:
        return _sums(jnp.zeros_like(batch["weight"]), batch["weight"])

    def predict(self, encoder, encoded, batch) -> dict[str, jax.Array]:
        return {"cls": encoded.cls, "mean": encoded.mean}


_MODULES = dict(zip(KINDS, (Classification, Regression, Choice, Tagging, Span, MaskedLM, Embedding), strict=True))


def build(head: Head, config: EncoderConfig, *, rngs: nnx.Rngs) -> _Base:
    """The module of a head, with fresh parameters.

    Raises:
        UserError: the head asks for a hidden state that the encoder does not have.
    """
    for layer in head.layers:
        if not 0 <= layer <= config.num_layers:
            states = f"the encoder has 0 (embeddings) to {config.num_layers}"
            raise UserError(f"head field 'layers' names hidden state {layer}: {states}")
    return _MODULES[head.kind](head, config, rngs=rngs)
