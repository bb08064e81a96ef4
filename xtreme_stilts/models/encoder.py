"""A multilingual transformer encoder (XLM-R, XLM-R XL/XXL, mBERT): configuration, parameters, forward pass.

Terms. A *row* holds B x L tokens; `segment_ids` number the texts packed into it 1, 2, ... with 0 for padding,
and attention never leaves a segment. Hidden state 0 is the output of the embeddings, hidden state n that of
layer n.

Modules are flax nnx, but only as a way to write down parameters and the mathematics over them: outside, they
are a plain nested dict of float32 `jax.Array`s, and a module has no other state. Dropout takes an explicit
key; no key, no dropout. The parameters of all layers are stacked on a leading dimension. Every parameter
knows the logical name of each of its dimensions (vocab, position, type, embed, heads, kv, mlp, layers,
label); `constrain` names those of activations (batch, or rows where the width is split as well; length, embed,
vocab). Which mesh axis a name means is decided elsewhere.

Matrix products run in `EncoderConfig.dtype`; layer norms, softmax and logits in float32. Where the hardware
multiplies float32 in fewer bits (TPU, TF32 on GPU), `jax.default_matmul_precision("highest")` gives exact
float32.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.models.attention import KERNELS, attend, choose

# What Hugging Face's configuration classes assume where config.json is silent, by model type.
_ROBERTA = {"pad_token_id": 1, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "norm": "post"}
_MODEL_TYPES: Mapping[str, Mapping[str, Any]] = {
    "xlm-roberta": _ROBERTA,
    "roberta": _ROBERTA,
    "xlm-roberta-xl": _ROBERTA | {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "norm": "pre"},
    "bert": _ROBERTA | {"pad_token_id": 0},
}
_CHOICES = {
    "model_type": tuple(_MODEL_TYPES),
    "norm": ("post", "pre"),
    "dtype": ("float32", "bfloat16"),
    "remat": ("none", "dots", "full"),
    "attention": KERNELS,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Everything that decides an encoder's parameters and arithmetic. Hashable.

    Raises:
        UserError: a field is outside its range, or hidden_size is not a multiple of num_heads.
    """

    model_type: str = "xlm-roberta"  # Hugging Face's name of the architecture; decides the names in files
    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 512  # longest usable segment, in tokens; the table has position_offset more rows
    position_offset: int = 2  # table row of position 0: pad id + 1 in RoBERTa's family, 0 in BERT
    type_vocab_size: int = 1
    norm_eps: float = 1e-5
    norm: Literal["post", "pre"] = "post"  # pre (XL, XXL): before each sublayer and after the last one
    pad_id: int = 1
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02  # standard deviation of fresh weights
    dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products; parameters are always float32
    remat: Literal["none", "dots", "full"] = "none"  # recomputed backward: nothing, all but dense maps, all
    scan_layers: bool = True  # False unrolls the loop: slower to compile, up to a tenth faster on CPU
    attention: Literal["auto", "xla", "cudnn", "splash"] = "auto"  # kernel where no weights are dropped
    vocab_multiple: int = 1  # the word table's rows are rounded up to it, so that a mesh axis divides them

    def __post_init__(self) -> None:
        for field, valid in _CHOICES.items():
            value = getattr(self, field)
            if value not in valid:
                raise UserError(f"encoder field {field!r} is {value!r}: {did_you_mean(value, valid)}")
        sizes = ("vocab_size", "hidden_size", "num_layers", "num_heads", "intermediate_size", "max_positions")
        for field in (*sizes, "type_vocab_size", "vocab_multiple"):
            if getattr(self, field) < 1:
                raise UserError(f"encoder field {field!r} is {getattr(self, field)}: it must be at least 1")
        for field in ("hidden_dropout", "attention_dropout"):
            if not 0.0 <= getattr(self, field) < 1.0:
                raise UserError(f"encoder field {field!r} is {getattr(self, field)}: it must be in [0, 1)")
        if self.hidden_size % self.num_heads:
            sizes = f"{self.num_heads}: it must divide hidden_size {self.hidden_size}"
            raise UserError(f"encoder field 'num_heads' is {sizes}")

    @property
    def vocab_rows(self) -> int:
        """Rows of the word table: vocab_size rounded up to vocab_multiple."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple

    @property
    def position_rows(self) -> int:
        """Rows of the position table."""
        return self.max_positions + self.position_offset

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> EncoderConfig:
        """The configuration that a Hugging Face config.json describes. `dataclasses.replace` sets the rest.

        Args:
            config: the parsed config.json of an XLM-R, RoBERTa, XLM-R XL/XXL or BERT encoder.

        Raises:
            UserError: a key is missing, or has a value that this encoder does not implement.
        """
        model_type = config.get("model_type")
        if model_type not in _MODEL_TYPES:
            raise UserError(
                f"config.json field 'model_type' is {model_type!r}: {did_you_mean(model_type, _MODEL_TYPES)}"
            )
        supported = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
        for field, valid in supported.items():
            if config.get(field, valid) not in (valid, None):
                raise UserError(f"config.json field {field!r} is {config[field]!r}: only {valid!r} is supported")
        defaults = _MODEL_TYPES[model_type] | {
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": 0.02,
        }
        get = {**defaults, **{k: v for k, v in config.items() if v is not None}}
        missing = sorted(set(_HF_FIELDS.values()) - set(get))
        if missing:
            raise UserError(f"config.json lacks the field {missing[0]!r}, without which a {model_type} has no shape")
        for ours, theirs in _HF_FIELDS.items():
            whole = cls.__annotations__.get(ours, "int") == "int"
            if isinstance(get[theirs], bool) or not isinstance(get[theirs], int if whole else (int, float)):
                kind = "a whole number" if whole else "a number"
                raise UserError(f"config.json field {theirs!r} is {get[theirs]!r}: it must be {kind}")
        offset = 0 if model_type == "bert" else get["pad_token_id"] + 1
        return cls(
            model_type=model_type,
            norm=defaults["norm"],
            position_offset=offset,
            max_positions=get["max_position_embeddings"] - offset,
            **{ours: get[theirs] for ours, theirs in _HF_FIELDS.items() if ours != "position_rows"},
        )

    def to_hf(self) -> dict[str, Any]:
        """The config.json of this encoder: the inverse of `from_hf`, up to the fields that no file holds."""
        shared = {theirs: getattr(self, ours) for ours, theirs in _HF_FIELDS.items()}
        special = {} if self.model_type == "bert" else {"bos_token_id": 0, "eos_token_id": 2}
        fixed = {"hidden_act": "gelu", "position_embedding_type": "absolute", "tie_word_embeddings": True}
        return {"model_type": self.model_type, **shared, **special, **fixed}


_HF_FIELDS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "position_rows": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "norm_eps": "layer_norm_eps",
    "pad_id": "pad_token_id",
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "initializer_range": "initializer_range",
}


# --- sharding hook ------------------------------------------------------------------------------------------


class Placement(NamedTuple):
    """Where a traced computation will run, and how it places its arrays there."""

    apply: Callable[[jax.Array, tuple[str | None, ...]], jax.Array]  # (array, logical axes) -> array
    mesh: jax.sharding.Mesh


_placement: ContextVar[Placement | None] = ContextVar("placement", default=None)


@contextlib.contextmanager
def placement(apply: Callable, *, mesh: jax.sharding.Mesh) -> Iterator[None]:
    """While tracing in this context, `apply(array, logical axes)` places what the compiler would misplace.

    Needed wherever parameters are split: without the constraint on the tables, XLA (jax 0.10.2, CPU, a mesh
    of 2 x 2 x 2) returned a right loss with wrong gradients of the embeddings. Enter it inside the function
    given to `jax.jit`, whose cache does not know what was active around it.
    """
    token = _placement.set(Placement(apply, mesh))
    try:
        yield
    finally:
        _placement.reset(token)


def constrain(x: jax.Array, axes: tuple[str | None, ...]) -> jax.Array:
    """`x`, constrained by logical axis names inside `placement`; None = a dimension not split."""
    here = _placement.get()
    return x if here is None else here.apply(x, axes)


# --- building blocks ----------------------------------------------------------------------------------------


def split_key(key: jax.Array | None, number: int) -> list[jax.Array | None]:
    """`number` keys from one, or that many Nones from None (no dropout)."""
    return [None] * number if key is None else list(jax.random.split(key, number))


@jax.named_scope("dropout")
def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zeroes elements with probability `rate`, scales the others by what keeps the mean. No key, no change.

    Every element is decided by 16 random bits, so the probability is `rate` rounded to a multiple of 2 ** -16: random
    bits are dear (a tenth of a training step on CPU with 32 of them), and `jax.random` draws 32 at least.
    """
    if key is None or rate == 0.0:
        return x
    levels = 2**16
    dropped = min(round(rate * levels), levels - 1)
    *outer, width = x.shape
    pairs = jax.random.bits(key, (*outer, -(-width // 2)), jnp.uint32)
    bits = jax.lax.bitcast_convert_type(pairs, jnp.uint16).reshape(*outer, -1)[..., :width]
    return jnp.where(bits >= dropped, x * (levels / (levels - dropped)), jnp.zeros_like(x))


@jax.named_scope("gelu")
@functools.partial(jax.checkpoint, prevent_cse=False)  # the backward pass keeps its input alone
def gelu(x: jax.Array) -> jax.Array:
    """The exact (erf) Gaussian error linear unit, as in BERT and RoBERTa, computed in float32.

    XLA's erfc, which `jax.nn.gelu` takes for the sake of its far left tail, costs 3 % of a prediction more on CPU.
    """
    wide = x.astype(jnp.float32)
    return (0.5 * wide * (1.0 + jax.lax.erf(wide * 0.5**0.5))).astype(x.dtype)


def _parameter(init: jax.nn.initializers.Initializer, dims: Mapping[str, int], rngs: nnx.Rngs) -> nnx.Param:
    """A float32 parameter; `dims` maps the logical name of each dimension to its size."""
    return nnx.Param(init(rngs.params(), tuple(dims.values()), jnp.float32), axes=tuple(dims))


class Dense(nnx.Module):
    """An affine map from the trailing `inputs` dimensions to `outputs`, in the dtype of its input.

    Args:
        inputs, outputs: logical name -> size of each dimension.
        stack: leading dimensions of the parameters, removed before use (by the loop over layers).
    """

    def __init__(
        self,
        inputs,
        outputs,
        *,
        config: EncoderConfig,
        rngs: nnx.Rngs,
        stack: Mapping[str, int] | None = None,
    ):
        stack = stack or {}
        normal = jax.nn.initializers.normal(config.initializer_range)
        self.kernel = _parameter(normal, {**stack, **inputs, **outputs}, rngs)
        self.bias = _parameter(jax.nn.initializers.zeros, {**stack, **outputs}, rngs)
        self.contracted = len(inputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = self.kernel[...].astype(x.dtype), self.bias[...].astype(x.dtype)
        return jnp.tensordot(x, kernel, axes=self.contracted) + bias


class LayerNorm(nnx.Module):
    """Layer normalisation over the last dimension: computed in float32, returned in its input's dtype."""

    def __init__(
        self,
        name: str,
        size: int,
        *,
        config: EncoderConfig,
        rngs: nnx.Rngs,
        stack: Mapping[str, int] | None = None,
    ):
        dims = {**(stack or {}), name: size}
        self.scale = _parameter(jax.nn.initializers.ones, dims, rngs)
        self.bias = _parameter(jax.nn.initializers.zeros, dims, rngs)
        self.eps = config.norm_eps

    @jax.named_scope("norm")
    def __call__(self, x: jax.Array) -> jax.Array:
        centred = x.astype(jnp.float32) - jnp.mean(x, axis=-1, keepdims=True, dtype=jnp.float32)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        y = centred * jax.lax.rsqrt(variance + self.eps) * self.scale[...] + self.bias[...]
        return y.astype(x.dtype)


class Attention(nnx.Module):
    """Multi-head self-attention inside segments, dropout on its weights."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs, stack: Mapping[str, int]):
        embed = {"embed": config.hidden_size}
        heads = {"heads": config.num_heads, "kv": config.hidden_size // config.num_heads}
        dense = functools.partial(Dense, config=config, rngs=rngs, stack=stack)
        self.query, self.key, self.value = dense(embed, heads), dense(embed, heads), dense(embed, heads)
        self.output = dense(heads, embed)
        self.dropout, self.asked = config.attention_dropout, config.attention

    def __call__(self, x: jax.Array, segment_ids: jax.Array, dropout_key: jax.Array | None) -> jax.Array:
        # [batch, length, width] -> [batch, length, heads, kv]
        query, key, value = self.query(x), self.key(x), self.value(x)
        here = _placement.get()
        kernel = choose(
            asked=self.asked,
            platform=here.mesh.devices.flat[0].platform if here else jax.default_backend(),
            dtype=x.dtype,
            length=x.shape[1],
            size=query.shape[-1],
            drops=dropout_key is not None and self.dropout > 0,
        )
        mixed = attend(
            query,
            key,
            value,
            segment_ids=segment_ids,
            kernel=kernel,
            drop=lambda weights: dropout(weights, self.dropout, dropout_key),
            mesh=here.mesh if here else None,
        )
        return self.output(mixed)


class FeedForward(nnx.Module):
    """Two dense maps with a GELU between them."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs, stack: Mapping[str, int]):
        embed, mlp = {"embed": config.hidden_size}, {"mlp": config.intermediate_size}
        self.up = Dense(embed, mlp, config=config, rngs=rngs, stack=stack)
        self.down = Dense(mlp, embed, config=config, rngs=rngs, stack=stack)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.down(gelu(self.up(x)))


class Layer(nnx.Module):
    """One transformer layer, its norms after (BERT, XLM-R) or before (XLM-R XL, XXL) the sublayers.

    Dropout is on both sublayers in either case, as in the original training code; Hugging Face's XL leaves it
    out after the feed-forward block.
    """

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs, stack: Mapping[str, int]):
        norm = functools.partial(LayerNorm, "embed", config.hidden_size, config=config, rngs=rngs, stack=stack)
        self.attention = Attention(config, rngs=rngs, stack=stack)
        self.attention_norm = norm()
        self.mlp = FeedForward(config, rngs=rngs, stack=stack)
        self.mlp_norm = norm()
        self.config = config

    def __call__(self, x: jax.Array, segment_ids: jax.Array, dropout_key: jax.Array | None) -> jax.Array:
        weights_key, attention_key, mlp_key = split_key(dropout_key, 3)
        x = self._residual(x, self.attention_norm, lambda y: self.attention(y, segment_ids, weights_key), attention_key)
        x = self._residual(x, self.mlp_norm, self.mlp, mlp_key)
        return constrain(x, ("batch", "length", None))

    def _residual(self, x, norm, sublayer, dropout_key):
        if self.config.norm == "pre":
            return x + dropout(sublayer(norm(x)), self.config.hidden_dropout, dropout_key)
        return norm(x + dropout(sublayer(x), self.config.hidden_dropout, dropout_key))


class Table(nnx.Module):
    """An embedding table. An id outside it gives NaN, so that a wrong vocabulary cannot pass unseen."""

    def __init__(self, name: str, rows: int, *, config: EncoderConfig, rngs: nnx.Rngs):
        normal = jax.nn.initializers.normal(config.initializer_range)
        self.table = _parameter(normal, {name: rows, "embed": config.hidden_size}, rngs)
        self.name = name

    @jax.named_scope("table")
    def __call__(self, ids: jax.Array) -> jax.Array:
        # Where the width is split, each device looks up its columns for the rows of all that share a copy of the table:
        # tokens and the states found move between devices, not the table, which is larger by far. See placement, too.
        table = constrain(self.table[...], (self.name, "embed"))
        ids = constrain(ids, ("rows", "length"))
        return constrain(jnp.take(table, ids, axis=0, mode="fill", fill_value=jnp.nan), ("rows", "length", "embed"))


class Embeddings(nnx.Module):
    """Word + position + token-type embeddings, summed in float32; normalised (not in XL, XXL); dropout."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        self.word = Table("vocab", config.vocab_rows, config=config, rngs=rngs)
        self.position = Table("position", config.position_rows, config=config, rngs=rngs)
        self.type = Table("type", config.type_vocab_size, config=config, rngs=rngs)
        post = config.norm == "post"
        self.norm = LayerNorm("embed", config.hidden_size, config=config, rngs=rngs) if post else None
        self.config = config

    def __call__(self, tokens, positions, token_types, dropout_key) -> jax.Array:
        config = self.config
        x = self.word(tokens) + self.position(positions + config.position_offset) + self.type(token_types)
        x = constrain(x, ("batch", "length", None))
        x = x if self.norm is None else self.norm(x)
        return dropout(x.astype(config.dtype), config.hidden_dropout, dropout_key)


# --- the encoder --------------------------------------------------------------------------------------------


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EncoderOutput:
    """What an encoder returns.

    Attributes:
        hidden: [batch, length, width] in the compute dtype: the last hidden state (of the last layer that was
            run). Finite but meaningless at padding.
        cls: float32[batch, segments, states, width] or None: first token of each segment, for each hidden
            state asked for.
        mean: the same, the mean over all tokens of the segment, the special ones included.
    """

    hidden: jax.Array
    cls: jax.Array | None = None
    mean: jax.Array | None = None


def first_tokens(hidden: jax.Array, first: jax.Array) -> jax.Array:
    """[batch, length, width], int32[batch, n] -> [batch, n, width]: the states at the given row indices."""
    return constrain(jnp.take_along_axis(hidden, first[:, :, None], axis=1), ("batch", None, None))


def segment_masks(segment_ids: jax.Array, segments: int) -> jax.Array:
    """int32[batch, length] -> bool[batch, segments, length]: which tokens belong to segment 1, 2, ..."""
    return segment_ids[:, None, :] == jnp.arange(1, segments + 1)[None, :, None]


class Encoder(nnx.Module):
    """Embeddings, layers, and the pooler (dense and tanh on a first token), a part of what is handed over."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs):
        width = config.hidden_size
        self.embeddings = Embeddings(config, rngs=rngs)
        self.layers = Layer(config, rngs=rngs, stack={"layers": config.num_layers})
        self.norm = LayerNorm("embed", width, config=config, rngs=rngs) if config.norm == "pre" else None
        self.pooler = Dense({"embed": width}, {"mlp": width}, config=config, rngs=rngs)
        self.config = config

    def __call__(
        self,
        tokens: jax.Array,
        *,
        segment_ids: jax.Array,
        positions: jax.Array,
        token_types: jax.Array | None = None,
        first: jax.Array | None = None,
        states: tuple[int, ...] = (),
        dropout_key: jax.Array | None = None,
    ) -> EncoderOutput:
        """Encodes rows of packed segments.

        Args:
            tokens, segment_ids, positions: int32[batch, length]; positions count from 0 in each segment.
            token_types: int32[batch, length], None = all 0.
            first: int32[batch, segments], row index of each segment's first token; needed with `states`.
            states: numbers of the hidden states to pool, 0 = embeddings; layers above the highest don't run.
            dropout_key: None = no dropout.
        """
        embed_key, layers_key = split_key(dropout_key, 2)
        token_types = jnp.zeros_like(tokens) if token_types is None else token_types
        last = max(states, default=self.config.num_layers)
        pool = functools.partial(_pool, segment_ids=segment_ids, first=first) if states else lambda x: None

        embedded = self.embeddings(tokens, positions, token_types, embed_key)
        hidden, pooled = self._run_layers(embedded, segment_ids, layers_key, last=last, pool=pool)
        if self.norm is not None and last == self.config.num_layers:
            hidden = self.norm(hidden)
        if not states:
            return EncoderOutput(hidden)
        every = [pool(embedded), *pooled]  # of hidden states 0 ... last
        every[-1] = pool(hidden)  # now with the final norm, as hidden_states[-1] has it
        cls, mean = (jnp.stack([every[n][kind] for n in states], axis=2) for kind in ("cls", "mean"))
        return EncoderOutput(hidden, cls=cls, mean=mean)

    def pool(self, first: jax.Array) -> jax.Array:
        """[batch, n, width] -> [batch, n, width]: BERT's pooler on the states of first tokens.

        The result is kept whole on each device: left to itself, XLA splits it by `mlp` while the next matrix
        wants it by `embed`, and on meshes with both axes returned wrong gradients (seen with jax 0.10.2).
        """
        return constrain(jnp.tanh(self.pooler(first)), ("batch", None, None))

    def _run_layers(self, x, segment_ids, dropout_key, *, last: int, pool):
        """Layers 1 ... `last`; returns the hidden state and a list of `pool` of each layer's output."""
        if last == 0:
            return x, []
        graphdef, stacked = nnx.split(self.layers)
        stacked = nnx.to_pure_dict(stacked)
        if last < self.config.num_layers:
            stacked = jax.tree.map(lambda w: w[:last], stacked)

        def body(x, layer):
            params, number = layer
            key = None if dropout_key is None else jax.random.fold_in(dropout_key, number)
            x = nnx.merge(graphdef, params)(x, segment_ids, key)
            return x, pool(x)

        scan = self.config.scan_layers
        if self.config.remat != "none":
            dots = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
            policy = dots if self.config.remat == "dots" else jax.checkpoint_policies.nothing_saveable
            body = jax.checkpoint(body, policy=policy, prevent_cse=not scan)
        if scan:
            x, pooled = jax.lax.scan(body, x, (stacked, jnp.arange(last)))
            return x, _unstack(pooled, last)
        pooled = []
        for number, params in enumerate(_unstack(stacked, last)):
            x, summary = body(x, (params, number))
            pooled.append(summary)
        return x, pooled


def _pool(x: jax.Array, *, segment_ids: jax.Array, first: jax.Array) -> dict[str, jax.Array]:
    """[batch, length, width] -> float32[batch, segments, width], twice: first tokens, and segment means."""
    masks = segment_masks(segment_ids, first.shape[1]).astype(jnp.float32)
    x = x.astype(jnp.float32)
    sums = jnp.einsum("bsl,blh->bsh", masks, x, precision=jax.lax.Precision.HIGHEST)
    return {"cls": first_tokens(x, first), "mean": sums / jnp.maximum(masks.sum(-1, keepdims=True), 1.0)}


def _unstack(tree, number: int) -> list:
    """A tree of arrays -> the trees of their slices on axis 0. A split's gradient is one concatenation."""
    leaves, structure = jax.tree.flatten(tree)
    slices = zip(*(jax.lax.split(leaf, [1] * number) for leaf in leaves), strict=True)
    return [structure.unflatten([leaf[0] for leaf in each]) for each in slices]
