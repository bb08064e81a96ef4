"""Hugging Face checkpoints in and out: config.json and safetensors, through one explicit table of names.

Terms. A *tensor* is what a file holds, a *leaf* what our parameter tree holds. One leaf of the layer stack is
`num_layers` tensors; a linear map's tensor is [outputs, inputs], the transpose of our kernel. The table says
which tensor is which leaf; `_view` is the whole of the conversion, in either direction.

Nothing is matched by chance: a tensor that is missing, unknown or of another shape is an error that names
both sides. What may be left behind is listed here: position-id buffers, decoders tied to the word table, and
the heads of other tasks. Tensors are read one by one, into arrays allocated once. Pickles are never opened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.models.encoder import EncoderConfig
from xtreme_stilts.models.heads import Head
from xtreme_stilts.models.model import Model, Params

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")
_PRETRAINING_PREFIXES = ("lm_head.", "cls.")
_TASK_PREFIXES = ("classifier.", "qa_outputs.")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
SENTENCE_KINDS = ("classification", "regression", "choice")
_CLASS_NAMES = {
    "xlm-roberta": "XLMRoberta",
    "roberta": "Roberta",
    "xlm-roberta-xl": "XLMRobertaXL",
    "bert": "Bert",
}


class Entry(NamedTuple):
    """One line of the table of names."""

    name: str  # of the tensor, without the architecture's prefix
    shape: tuple[int, ...]  # of the tensor
    path: tuple[str, ...]  # of the leaf
    layer: int | None = None  # index into the leaf's leading dimension
    transposed: bool = False


def _dense(name: str, inputs: int, outputs: int, *path: str, layer: int | None = None) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", (outputs, inputs), (*path, "kernel"), layer, transposed=True)
    yield Entry(f"{name}.bias", (outputs,), (*path, "bias"), layer)


def _norm(name: str, size: int, *path: str, layer: int | None = None) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", (size,), (*path, "scale"), layer)
    yield Entry(f"{name}.bias", (size,), (*path, "bias"), layer)


def encoder_table(config: EncoderConfig) -> list[Entry]:
    """Every tensor of an encoder with its pooler, named as in XLMRobertaModel, -XLModel and BertModel."""
    width, wide = config.hidden_size, config.intermediate_size
    pre = config.norm == "pre"
    table = []
    rows = (config.vocab_size, config.position_rows, config.type_vocab_size)
    for kind, number in zip(("word", "position", "token_type"), rows, strict=True):
        path = ("embeddings", kind.removeprefix("token_"), "table")
        table.append(Entry(f"embeddings.{kind}_embeddings.weight", (number, width), path))
    if not pre:
        table += _norm("embeddings.LayerNorm", width, "embeddings", "norm")
    for layer in range(config.num_layers):
        base = f"encoder.layer.{layer}"
        for kind in ("query", "key", "value"):
            name = f"{base}.attention.self.{kind}"
            table += _dense(name, width, width, "layers", "attention", kind, layer=layer)
        name = f"{base}.attention.output.dense"
        table += _dense(name, width, width, "layers", "attention", "output", layer=layer)
        name = f"{base}.attention." + ("self_attn_layer_norm" if pre else "output.LayerNorm")
        table += _norm(name, width, "layers", "attention_norm", layer=layer)
        table += _dense(f"{base}.intermediate.dense", width, wide, "layers", "mlp", "up", layer=layer)
        table += _dense(f"{base}.output.dense", wide, width, "layers", "mlp", "down", layer=layer)
        name = f"{base}." + ("LayerNorm" if pre else "output.LayerNorm")
        table += _norm(name, width, "layers", "mlp_norm", layer=layer)
    if pre:
        table += _norm("encoder.LayerNorm", width, "norm")
    return table + list(_dense("pooler.dense", width, width, "pooler"))


def head_table(head: Head, config: EncoderConfig) -> list[Entry]:
    """Every tensor of a head that `transformers` has in the same form, named as in its class of `architecture`.

    A sentence head on the first token's state is dense, tanh, dense. XLM-R's sequence classification is the same. Its
    multiple choice, and both of BERT, are the pooler (dense, tanh) and one dense layer: there our first layer is the
    pooler, and the encoder's own, which our head does not read, has no place.

    Raises:
        UserError: it has none: a sentence head after the pooler, which is one layer more; embedding.
    """
    width, bert = config.hidden_size, config.model_type == "bert"
    if head.kind == "mlm":
        dense = "cls.predictions.transform.dense" if bert else "lm_head.dense"
        norm = "cls.predictions.transform.LayerNorm" if bert else "lm_head.layer_norm"
        bias = "cls.predictions.bias" if bert else "lm_head.bias"
        mapped = [*_dense(dense, width, width, "dense"), *_norm(norm, width, "norm")]
        return [*mapped, Entry(bias, (config.vocab_size,), ("bias",))]
    if head.kind == "tagging":
        return list(_dense("classifier", width, head.num_labels, "out"))
    if head.kind == "span":
        return list(_dense("qa_outputs", width, 2, "out"))
    if head.kind in SENTENCE_KINDS and head.pooling == "cls":
        on_pooler = bert or head.kind == "choice"
        inner, outer = ("pooler.dense", "classifier") if on_pooler else ("classifier.dense", "classifier.out_proj")
        return [*_dense(inner, width, width, "dense"), *_dense(outer, width, _outputs(head), "out")]
    raise UserError(
        f"a head of kind {head.kind!r} with pooling {head.pooling!r} has no counterpart in a Hugging Face"
        f" {config.model_type} model: valid are mlm, tagging and span, and {', '.join(SENTENCE_KINDS)} with pooling"
        " 'cls'"
    )


def own_head_table(head: Head, config: EncoderConfig) -> list[Entry]:
    """Every tensor of a sentence head under our own names: `dense` and, after a tanh, `out`.

    Raises:
        UserError: the head is of another kind.
    """
    if head.kind not in SENTENCE_KINDS:
        raise UserError(f"head.kind is {head.kind!r}: {did_you_mean(head.kind, SENTENCE_KINDS)}")
    width = config.hidden_size
    return [*_dense("dense", width, width, "dense"), *_dense("out", width, _outputs(head), "out")]


def _outputs(head: Head) -> int:
    """Numbers that a sentence head gives for one segment."""
    return head.num_labels if head.kind == "classification" else 1


def architecture(config: EncoderConfig, head: Head | None) -> str:
    """The class of `transformers` that a checkpoint with this head is for."""
    return _CLASS_NAMES[config.model_type] + ("Model" if head is None else _HEAD_CLASSES[head.kind])


_HEAD_CLASSES = {
    "mlm": "ForMaskedLM",
    "tagging": "ForTokenClassification",
    "span": "ForQuestionAnswering",
    "classification": "ForSequenceClassification",
    "regression": "ForSequenceClassification",
    "choice": "ForMultipleChoice",
}


def _view(leaf: np.ndarray, entry: Entry) -> np.ndarray:
    """The part of a leaf that is one tensor, in the tensor's orientation; a view, to read or to fill.

    Added rows of the word table are at the leaf's end, and so left out.
    """
    part = leaf if entry.layer is None else leaf[entry.layer]
    flat = part.reshape(-1)[: math.prod(entry.shape)]
    return flat.reshape(entry.shape[::-1]).T if entry.transposed else flat.reshape(entry.shape)


def _get(tree: Params, path: Sequence[str]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


# --- in -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A checkpoint in our terms. Arrays are on the host: `jax.device_put` them where they belong.

    Attributes:
        config: the encoder's.
        encoder: as `params["encoder"]` of `Model`, float32 numpy arrays.
        head: as `params["heads"][name]` of the head asked for, else None.
        dropped: names of the tensors left behind.
    """

    config: EncoderConfig
    encoder: Params
    head: Params | None
    dropped: tuple[str, ...]


def read_config(folder: str | os.PathLike) -> EncoderConfig:
    """The encoder that a checkpoint folder's config.json describes.

    Raises:
        UserError: there is none, it is no JSON, or it describes what this encoder does not implement.
    """
    file = pathlib.Path(folder) / CONFIG
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); a checkpoint folder has one") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}: not JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: byte {error.start} is not UTF-8 text") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} holds a {type(found).__name__}; it must be an object with 'model_type' and sizes")
    try:
        return EncoderConfig.from_hf(found)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def fingerprint(folder: str | os.PathLike) -> str:
    """Identity of a checkpoint: sha256 over config.json and each safetensors file's name, size, header and samples.

    64 blocks of 64 KiB spread over a file stand for its contents, so that tens of gigabytes take no minutes.

    Raises:
        UserError: there is no config.json, or no safetensors.
    """
    folder = pathlib.Path(folder)
    read_config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(_no_weights(folder))
    digest = hashlib.sha256((folder / CONFIG).read_bytes())
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with open(path, "rb") as file:
            for place in sorted({size * block // 64 for block in range(64)}):
                file.seek(place)
                digest.update(file.read(1 << 16))
    return digest.hexdigest()


def load_encoder(
    folder: str | os.PathLike,
    *,
    config: EncoderConfig | None = None,
    head: Head | None = None,
    pooler: Literal["required", "fresh"] = "required",
    key: jax.Array | None = None,
) -> Loaded:
    """Reads a Hugging Face checkpoint: `config.json` and `model.safetensors`, whole or in shards.

    Args:
        folder: the checkpoint. Tensor names may have the architecture's prefix (`roberta.`, `bert.`) or not.
        config: None = config.json's; else must agree with it in all that decides the function computed. To
            change dtype, dropout, ...: `dataclasses.replace(read_config(folder), ...)`.
        head: also read this head.
        pooler: what to do where there is none (as in the published XLM-R): an error, or fresh parameters.
        key: of the fresh pooler; needed with "fresh".

    Raises:
        UserError: a file is missing or damaged, or the tensors are not exactly those expected.
    """
    folder = pathlib.Path(folder)
    config = _checked_config(folder, config)
    model = Model(config, {} if head is None else {"head": head})

    with contextlib.ExitStack() as stack:
        match = _match(folder, stack, config=config, head=head, pooler=pooler)
        tensors, found = match.tensors, match.found
        if match.fresh_pooler and key is None:
            raise UserError(f"{folder}: it has no pooler, and a fresh one needs a random key")

        def read(entry: Entry) -> np.ndarray:
            return tensors[found[entry.name]].read()

        abstract = model.abstract_params()
        encoder = _fill(abstract["encoder"], match.encoder, read)
        head_params = None if head is None else _fill(abstract["heads"]["head"], match.head, read)
        if head is not None and head.kind == "mlm":
            _require_tied(folder, found, tensors, encoder["embeddings"]["word"]["table"])
    if match.fresh_pooler:
        kernel = abstract["encoder"]["pooler"]["kernel"].shape
        normal = jax.nn.initializers.normal(config.initializer_range)(key, kernel, jnp.float32)
        encoder["pooler"]["kernel"][...] = normal
    return Loaded(config, encoder, head_params, tuple(sorted(found[name] for name in match.dropped)))


def check_encoder(folder: str | os.PathLike, *, config: EncoderConfig) -> None:
    """Whether `load_encoder` would take a checkpoint, told from the headers of its files alone; a pooler may be absent.

    Raises:
        UserError: as `load_encoder`.
    """
    folder = pathlib.Path(folder)
    with contextlib.ExitStack() as stack:
        _match(folder, stack, config=_checked_config(folder, config), head=None, pooler="fresh")


class _Match(NamedTuple):
    """Which tensors of a checkpoint are which entries of the tables."""

    tensors: dict[str, _Tensor]  # by their names in the files
    found: dict[str, str]  # name as in the tables -> in the files
    encoder: list[Entry]
    head: list[Entry]
    dropped: set[str]  # names as in the tables
    fresh_pooler: bool


def _match(
    folder: pathlib.Path, stack: contextlib.ExitStack, *, config: EncoderConfig, head: Head | None, pooler: str
) -> _Match:
    """Opens a checkpoint and finds a tensor of the right shape for every entry."""
    table = encoder_table(config)
    head_entries = [] if head is None else head_table(head, config)
    tensors = _open(folder, stack)
    prefix = _prefix(config)
    prefix = prefix if any(name.startswith(prefix) for name in tensors) else ""
    found = _canonical_names(tensors, prefix, where=folder)
    fresh_pooler = pooler == "fresh" and not any(name.startswith("pooler.") for name in found)
    if fresh_pooler:
        table = [entry for entry in table if entry.path[0] != "pooler"]
    dropped = _droppable(found, {entry.name for entry in head_entries})
    shapes = {name: tensors[found[name]].shape for name in found if name not in dropped}
    _require_equal({entry.name: entry.shape for entry in (*table, *head_entries)}, shapes, where=folder)
    return _Match(tensors, found, table, head_entries, dropped, fresh_pooler)


def _prefix(config: EncoderConfig) -> str:
    """What a model with a head puts before the names of its encoder's tensors."""
    return "bert." if config.model_type == "bert" else "roberta."


def _checked_config(folder: pathlib.Path, config: EncoderConfig | None) -> EncoderConfig:
    written = read_config(folder)
    if config is None:
        return written
    free = {"hidden_dropout", "attention_dropout", "initializer_range", "dtype", "remat", "attention"}
    free |= {"scan_layers", "vocab_multiple"}
    for field in dataclasses.fields(EncoderConfig):
        ours, theirs = getattr(config, field.name), getattr(written, field.name)
        if field.name not in free and ours != theirs:
            raise UserError(f"{folder / CONFIG}: {field.name} is {theirs!r}, the configuration says {ours!r}")
    return config


class _Tensor(NamedTuple):
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def _open(folder: pathlib.Path, stack: contextlib.ExitStack) -> dict[str, _Tensor]:
    """The tensors of a checkpoint by the names in its files; they can be read until `stack` is closed."""
    index = folder / INDEX
    if (folder / SINGLE).is_file():
        files, promised = [SINGLE], None
    elif index.is_file():
        try:
            promised = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            files = sorted(set(promised.values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{index}: no JSON object with a 'weight_map' from tensors to files") from error
        if outside := [file for file in files if pathlib.PurePath(str(file)).name != file]:
            raise UserError(
                f"{index}: it names {outside[0]!r}; the files must lie beside it, such as 'model-1.safetensors'"
            )
    else:
        raise UserError(_no_weights(folder))
    tensors: dict[str, _Tensor] = {}
    for file in files:
        try:
            opened = stack.enter_context(safe_open(folder / file, framework="numpy"))
        except FileNotFoundError as error:
            raise UserError(f"{index}: it names {file!r}, which is not in the folder") from error
        except (OSError, SafetensorError) as error:
            # A header longer than 100 MB or the file, offsets that overlap, are negative or lead out of the file, ...
            raise UserError(f"{folder / file}: not a readable safetensors file ({error}); get it again") from error
        for name in opened.keys():  # noqa: SIM118 (not a dict)
            if name in tensors:
                raise UserError(
                    f"{folder / file}: the tensor {name} is in another of the files, too; each must be in one"
                )
            shape = tuple(opened.get_slice(name).get_shape())
            tensors[name] = _Tensor(shape, lambda opened=opened, name=name: opened.get_tensor(name))
    differing = set() if promised is None else set(promised) ^ set(tensors)
    if differing:
        raise UserError(f"{index}: the files beside it do not hold what it says: {_some(sorted(differing))}")
    return tensors


def _no_weights(folder: pathlib.Path) -> str:
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    if not pickles:
        return f"{folder}: it holds neither {SINGLE} nor {INDEX}"
    convert = f"M.from_pretrained('{folder}').save_pretrained('{folder}')"
    return (
        f"{folder}: {pickles[0]} is a pickle, which can run code and is never opened; convert it once, where"
        f' torch is: python -c "from transformers import AutoModelForMaskedLM as M; {convert}"'
    )


def _canonical_names(names: Iterable[str], prefix: str, *, where: object) -> dict[str, str]:
    """Name as in the table -> name in the file: no prefix, and not BERT's first names of norm parameters."""
    found: dict[str, str] = {}
    for name in names:
        plain = name.removeprefix(prefix)
        plain = plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        if plain in found:
            raise UserError(f"{where}: the tensors {found[plain]} and {name} are both called {plain}")
        found[plain] = name
    return found


def _droppable(found: Mapping[str, str], wanted: set[str]) -> set[str]:
    """Names that may stay behind: buffers, and parts of heads that were not asked for."""
    # Heads of fine-tuned models share names ("classifier."): of the kind asked for, everything must match.
    asked = tuple(p for p in _TASK_PREFIXES if any(name.startswith(p) for name in wanted))
    heads = {name for name in found if name.startswith((*_PRETRAINING_PREFIXES, *_TASK_PREFIXES))}
    return {name for name in heads - wanted if not name.startswith(asked)} | (set(found) & set(_BUFFERS))


def _require_tied(folder, found, tensors: Mapping[str, _Tensor], table: np.ndarray) -> None:
    """Our decoder is the word table: a checkpoint with another one cannot be represented."""
    for name in ("lm_head.decoder.weight", "cls.predictions.decoder.weight"):
        if name in found:
            decoder = tensors[found[name]].read()
            if not np.array_equal(decoder, table[: decoder.shape[0]]):
                only = "only a decoder tied to them is supported"
                raise UserError(f"{folder}: {found[name]} differs from the word embeddings, and {only}")


def _require_equal(expected: Mapping[str, tuple], found: Mapping[str, tuple], *, where: object) -> None:
    """Raises one sentence about all differences between two sets of named shapes."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    wrong = [
        f"{name} is {list(found[name])} instead of {list(expected[name])}"
        for name in expected
        if name in found and tuple(found[name]) != tuple(expected[name])
    ]
    parts = [("it lacks ", missing), ("it has the unknown ", unknown), ("", wrong)]
    clauses = [f"{clause}{_some(names)}" for clause, names in parts if names]
    if missing == ["pooler.dense.bias", "pooler.dense.weight"]:
        clauses.append("a fresh pooler is made only when asked for (pooler='fresh')")
    if clauses:
        counts = f"{len(expected)} tensors expected, {len(found)} found"
        raise UserError(f"{where}: the weights do not fit the model ({counts}): {'; '.join(clauses)}")


def _some(names: Sequence[str], most: int = 6) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _fill(shapes: Params, table: Sequence[Entry], read: Callable[[Entry], np.ndarray]) -> Params:
    """Float32 arrays of the given shapes, filled tensor by tensor."""
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    for entry in table:
        tensor = read(entry)
        if not jnp.issubdtype(tensor.dtype, jnp.floating):
            raise UserError(f"tensor {entry.name} holds {tensor.dtype}: floating point numbers are expected")
        _view(_get(params, entry.path), entry)[...] = tensor
    return params


# --- out ----------------------------------------------------------------------------------------------------


def save_encoder(
    folder: str | os.PathLike,
    *,
    config: EncoderConfig,
    encoder: Params,
    head: Head | None = None,
    head_params: Params | None = None,
    labels: Sequence[str] = (),
    max_shard_bytes: int = 5 * 10**9,
) -> None:
    """Writes a checkpoint that `transformers` loads: `AutoModel`, and the class of the head if there is one.

    Args:
        folder: made if absent; config.json and the weights in it are replaced.
        config: the encoder's.
        encoder: `params["encoder"]`; every array addressable from this process.
        head, head_params: a head to write along, and its parameters.
        labels: names of the head's labels, for config.json.
        max_shard_bytes: above it, the weights are split over files with an index; bounds the memory needed.

    Raises:
        UserError: the parameters are not exactly the configuration's, or `transformers` has no such head.
    """
    folder = pathlib.Path(folder)
    table, head_entries = encoder_table(config), [] if head is None else head_table(head, config)
    model = Model(config, {} if head is None else {"head": head})
    _require_tree(model.abstract_params()["encoder"], encoder, where="encoder parameters")
    if head is not None:
        _require_tree(model.abstract_params()["heads"]["head"], head_params, where="head parameters")
    replaced = {entry.name for entry in head_entries}  # the pooler, by a head that begins with one
    of_encoder = {entry.name for entry in table}
    prefix = "" if head is None else _prefix(config)
    trees = [(entry, encoder) for entry in table if entry.name not in replaced]
    trees += [(entry, head_params) for entry in head_entries]
    entries = [(prefix + entry.name if entry.name in of_encoder else entry.name, entry, tree) for entry, tree in trees]
    description = _config_json(config, head, labels)

    folder.mkdir(parents=True, exist_ok=True)
    shards = _shards(entries, max_shard_bytes)
    weight_map, total = {}, 0
    for number, shard in enumerate(shards, start=1):
        single = len(shards) == 1
        file = SINGLE if single else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors = {name: _tensor(tree, entry) for name, entry, tree in shard}
        total += sum(tensor.nbytes for tensor in tensors.values())
        weight_map |= dict.fromkeys(tensors, file)
        _save(folder / file, tensors)
    if len(shards) > 1:
        _write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
        (folder / SINGLE).unlink(missing_ok=True)  # it would be preferred to the index
    else:
        (folder / INDEX).unlink(missing_ok=True)
    _write_json(folder / CONFIG, description)


def save_head(file: str | os.PathLike, *, config: EncoderConfig, head: Head, head_params: Params) -> None:
    """Writes a sentence head that `transformers` lacks, alone, so that nothing is lost.

    The tensors are `dense.weight` [width, width], `dense.bias`, `out.weight` [outputs, width], `out.bias`, float32: the
    scores are out(tanh(dense(x))), x the pooler's output or, with pooling "cls", the first token's last state.

    Raises:
        UserError: the parameters are not exactly the head's, or it is no sentence head.
    """
    entries = own_head_table(head, config)
    _require_tree(
        Model(config, {"head": head}).abstract_params()["heads"]["head"], head_params, where="head parameters"
    )
    _save(pathlib.Path(file), {entry.name: _tensor(head_params, entry) for entry in entries})


def _tensor(tree: Params, entry: Entry) -> np.ndarray:
    """What a file holds of a parameter tree."""
    return np.ascontiguousarray(_view(np.asarray(_get(tree, entry.path), np.float32), entry))


def _save(file: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
    temporary = file.with_name(f"{file.name}.tmp")
    save_file(tensors, temporary, metadata={"format": "pt"})
    os.replace(temporary, file)


def _config_json(config: EncoderConfig, head: Head | None, labels: Sequence[str]) -> dict[str, Any]:
    written = {**config.to_hf(), "architectures": [architecture(config, head)], "dtype": "float32"}
    if head is not None and head.kind in ("classification", "tagging"):
        names = list(labels) or [f"LABEL_{n}" for n in range(head.num_labels)]
        if len(names) != head.num_labels:
            raise UserError(f"the head has {head.num_labels} labels, but {len(names)} names of labels were given")
        written["id2label"] = {str(n): name for n, name in enumerate(names)}
        written["label2id"] = {name: n for n, name in enumerate(names)}
    if head is not None and head.kind == "classification":
        written["problem_type"] = "single_label_classification"
    if head is not None and head.kind == "regression":
        written |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "problem_type": "regression"}
    return written


def _shards(entries: Sequence[tuple], most: int) -> list[list[tuple]]:
    """`entries` in runs of at most `most` bytes of float32, or of one tensor."""
    shards, size = [[]], 0
    for item in entries:
        size += 4 * math.prod(item[1].shape)
        if size > most and shards[-1]:
            shards.append([])
            size = 4 * math.prod(item[1].shape)
        shards[-1].append(item)
    return shards


def _require_tree(abstract: Params, params: Params | None, *, where: str) -> None:
    def shapes(tree):
        leaves = jax.tree_util.tree_leaves_with_path({} if tree is None else tree)
        return {"/".join(str(key.key) for key in path): tuple(leaf.shape) for path, leaf in leaves}

    _require_equal(shapes(abstract), shapes(params), where=where)


def _write_json(file: pathlib.Path, content: Mapping[str, Any]) -> None:
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, file)
