"""Pretrained weights and tokenizers."""

import functools
import json
import pathlib
import struct
from collections.abc import Callable
from typing import Any

from tests.errors.harness import Case, Content

TITLE = "Weights and tokenizers"
COMMAND = "main --config=tiny.py --config.model.weights=encoder"


@functools.cache
def _config():
    from xtreme_stilts.data.tokenizer import load_tokenizer
    from xtreme_stilts.models import preset

    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 32}
    tokenizer = load_tokenizer("mini")
    return preset("mini", vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id, **sizes)


def config_json(**changes: Any) -> Callable[[pathlib.Path], None]:
    """Writes a config.json that goes with the miniature's tokenizer, but for these fields."""

    def write(path: pathlib.Path) -> None:
        path.write_text(json.dumps({**_config().to_hf(), **changes}))

    return write


def tensors(change: Callable[[dict], None]) -> Callable[[pathlib.Path], None]:
    """Writes model.safetensors with all tensors that config.json promises, changed."""

    def write(path: pathlib.Path) -> None:
        import numpy as np
        from safetensors.numpy import save_file

        from xtreme_stilts.models.hf import encoder_table

        made = {entry.name: np.zeros(entry.shape, np.float32) for entry in encoder_table(_config())}
        change(made)
        save_file(made, path)

    return write


def header(described: dict[str, Any] | str, *, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file by its parts: the header's length in 8 bytes, the header, the data."""
    text = (described if isinstance(described, str) else json.dumps(described)).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _tensor(first: int, last: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [first, last]}


def _weights(given: str, *says: str, varies: str = "", **files: Content) -> Case:
    """A folder `encoder` with a good config.json unless another is given; `__` in a name stands for a dot."""
    made = {"config.json": config_json(), **{name.replace("__", "."): content for name, content in files.items()}}
    placed = {f"encoder/{name}": content for name, content in made.items()}
    return Case(given=given, command=COMMAND, files=placed, says=says, varies=varies)


def _damaged(given: str, content: bytes) -> Case:
    return _weights(
        given,
        "config.model.weights",
        "encoder/model.safetensors",
        "not a readable safetensors file",
        varies=r"\(.*\)",
        model__safetensors=content,
    )


def _tokenizer(given: str, *says: str, varies: str = "", **files: Content) -> Case:
    """A folder `tok`."""
    placed = {f"tok/{name.replace('__', '.')}": content for name, content in files.items()}
    command = "main --config=tiny.py --config.tokenizer=./tok"
    return Case(given=given, command=command, files=placed, says=says, varies=varies)


_UNREADABLE = r"(?<=loaded )\(.*\)(?=;)"
_WORDS = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"},
}
_RUN = "import pathlib\n\npathlib.Path('it-ran').touch()\n\n\nclass Mine:\n    pass\n"
CASES = [
    Case(given="a folder of weights that is not there", command=COMMAND, says=("config.model.weights", "encoder")),
    _weights("weights without config.json", "encoder/config.json", "cannot be read", config__json=lambda path: None),
    _weights("a config.json that is no JSON", "encoder/config.json, line 1", "not JSON", config__json="vocab"),
    _weights("a config.json without fields", "encoder/config.json", "a list", "model_type", config__json="[]"),
    _weights(
        "another architecture",
        "encoder/config.json",
        "'gpt2'",
        "xlm-roberta",
        config__json=config_json(model_type="gpt2"),
    ),
    _weights("text for a size", "'vocab_size' is 'many'", "whole number", config__json=config_json(vocab_size="many")),
    _weights("another activation", "'hidden_act' is 'relu'", "'gelu'", config__json=config_json(hidden_act="relu")),
    _weights("no weights beside config.json", "encoder", "neither model.safetensors nor model.safetensors.index.json"),
    _weights(
        "weights in a pickle, which can run code",
        "pytorch_model.bin is a pickle",
        "never opened",
        "save_pretrained",
        pytorch_model__bin=b"\x80\x02}q\x00.",
    ),
    _damaged("an empty safetensors file", b""),
    _damaged("a safetensors header of 200 MB", header({}, length=200_000_000)),
    _damaged("a safetensors header longer than the file", header({"a": _tensor(0, 8)}, data=b"\0" * 8, length=5000)),
    _damaged("a safetensors header that is no JSON", header("{nothing")),
    _damaged("tensors that overlap", header({"a": _tensor(0, 8), "b": _tensor(4, 12)}, data=b"\0" * 12)),
    _damaged("a tensor before the data", header({"a": _tensor(-8, 0)}, data=b"\0" * 8)),
    _damaged("a tensor that leads out of the file", header({"a": _tensor(0, 8)}, data=b"\0" * 4)),
    _damaged(
        "a tensor of another size than its shape",
        header({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}, data=b"\0" * 8),
    ),
    _weights(
        "a tensor missing",
        "it lacks encoder.layer.0.output.dense.bias",
        model__safetensors=tensors(lambda made: made.pop("encoder.layer.0.output.dense.bias")),
    ),
    _weights(
        "a tensor too many",
        "unknown encoder.layer.1.output.dense.bias",
        model__safetensors=tensors(
            lambda made: made.update({"encoder.layer.1.output.dense.bias": made["pooler.dense.bias"]})
        ),
    ),
    _weights(
        "a tensor of another shape",
        "pooler.dense.bias is [5] instead of [16]",
        model__safetensors=tensors(lambda made: made.update({"pooler.dense.bias": made["pooler.dense.bias"][:5]})),
    ),
    _weights("an index that is no index", "index.json", "'weight_map'", **{"model__safetensors__index__json": "{}"}),
    _weights(
        "an index with a file that is not there",
        "'model-1.safetensors'",
        "not in the folder",
        **{"model__safetensors__index__json": json.dumps({"weight_map": {"a": "model-1.safetensors"}})},
    ),
    _weights(
        "an index that leads out of its folder",
        "'../../secret.safetensors'",
        "must lie beside it",
        **{"model__safetensors__index__json": json.dumps({"weight_map": {"a": "../../secret.safetensors"}})},
    ),
    _weights(
        "a tokenizer with more entries than the encoder has",
        "config.tokenizer",
        "the encoder's table holds 99",
        config__json=config_json(vocab_size=99),
    ),
    _weights(
        "a tokenizer that pads with another id",
        "config.tokenizer",
        "pads with id",
        config__json=config_json(pad_token_id=3, max_position_embeddings=516),
    ),
    Case(
        given="a tokenizer's folder that is not there",
        command="main --config=tiny.py --config.tokenizer=./tok",
        says=("config.tokenizer", "'./tok'", "tokenizer.json"),
    ),
    Case(
        given="a tokenizer that is neither here nor within reach",
        command="main --config=tiny.py --config.tokenizer=xlmr-bse",
        says=("config.tokenizer", "'xlmr-bse'", "hub name"),
        varies=_UNREADABLE,
    ),
    _tokenizer(
        "a folder without a tokenizer", "config.tokenizer", "tokenizer.json", varies=_UNREADABLE, README__md="nothing"
    ),
    _tokenizer(
        "a tokenizer.json that is no JSON",
        "config.tokenizer",
        "'./tok'",
        varies=_UNREADABLE,
        tokenizer__json="{",
        tokenizer_config__json='{"tokenizer_class": "PreTrainedTokenizerFast"}',
    ),
    _tokenizer(
        "a tokenizer that brings a program (`auto_map`), which is never run",
        "config.tokenizer",
        "'./tok'",
        varies=_UNREADABLE,
        tokenizer_config__json='{"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", "mine.Mine"]}}',
        mine__py=_RUN,
    ),
    _tokenizer(
        "a tokenizer without special tokens",
        "config.tokenizer",
        "cls, sep, pad",
        tokenizer__json=json.dumps(_WORDS),
        tokenizer_config__json='{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}',
    ),
]
