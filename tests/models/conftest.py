"""Tiny encoders, random examples, and two ways to lay examples out in rows."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from xtreme_stilts.models import EncoderConfig, Head, Model

KIND_HEADS = {
    "classification": Head("classification", num_labels=3),
    "cls_classification": Head("classification", num_labels=3, pooling="cls"),
    "regression": Head("regression"),
    "choice": Head("choice", num_choices=2),
    "tagging": Head("tagging", num_labels=5),
    "span": Head("span"),
    "mlm": Head("mlm"),
    "embedding": Head("embedding"),
}


def make_config(model_type: str = "xlm-roberta", **overrides) -> EncoderConfig:
    special = {
        "xlm-roberta": {},
        "xlm-roberta-xl": {"norm": "pre"},
        "bert": {"pad_id": 0, "position_offset": 0, "type_vocab_size": 2, "norm_eps": 1e-12},
    }[model_type]
    tiny = {
        "vocab_size": 99,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "intermediate_size": 48,
        "max_positions": 40,
        "initializer_range": 0.2,  # large, so that attention is not uniform and mistakes show
    }
    return EncoderConfig(model_type=model_type, **tiny | special | overrides)


def random_params(model: Model, seed: int = 0) -> dict:
    """Parameters of which none has its regular initial value (and no compilation to draw them)."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        scale = 0.2 if len(leaf.shape) > 1 else 0.1
        centre = 1.0 if path[-1].key == "scale" else 0.0
        return (centre + scale * rng.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, model.abstract_params())


@dataclasses.dataclass
class Example:
    """One example: its segments' tokens, and targets relative to the first token of each segment."""

    segments: list[np.ndarray]
    label: int
    value: float
    tags: np.ndarray
    start: int
    end: int
    masked: list[tuple[int, int]]  # position, original token


def make_examples(config: EncoderConfig, number: int, *, choices: int = 1, seed: int = 0) -> list[Example]:
    """Examples of 5 to 11 tokens a segment; targets belong to the first segment."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(number):
        lengths = rng.integers(5, 12, choices)
        segments = [rng.integers(3, config.vocab_size, n).astype(np.int32) for n in lengths]
        length = len(segments[0])
        start, end = sorted(rng.integers(0, length, 2))
        tags = np.where(rng.random(length) < 0.5, rng.integers(0, 5, length), -1).astype(np.int32)
        tags[1] = 2  # at least one
        masked = [(int(p), int(rng.integers(0, config.vocab_size))) for p in rng.permutation(length)[:2]]
        label, value = int(rng.integers(0, max(choices, 3) if choices == 1 else choices)), float(rng.normal())
        examples.append(Example(segments, label, value, tags, int(start), int(end), masked))
    return examples


def lay_out(rows: list[list[Example]], *, slots: int, length: int, pad_id: int, masked: int = 8) -> dict:
    """A batch with every head's targets: `rows` lists the examples of each row, one after another."""
    choices = len(rows[0][0].segments)
    ints = {name: np.zeros((len(rows), length), np.int32) for name in ("segment_ids", "positions")}
    ints["tokens"] = np.full((len(rows), length), pad_id, np.int32)
    ints["tags"] = np.full((len(rows), length), -1, np.int32)
    ints["first"] = np.zeros((len(rows), slots * choices), np.int32)
    ints |= {name: np.zeros((len(rows), slots), np.int32) for name in ("label", "start", "end")}
    ints |= {name: np.zeros((len(rows), masked), np.int32) for name in ("masked_index", "masked_label")}
    floats = {
        "value": np.zeros((len(rows), slots), np.float32),
        "weight": np.zeros((len(rows), slots), np.float32),
    }
    floats["masked_weight"] = np.zeros((len(rows), masked), np.float32)
    batch = ints | floats
    for r, row in enumerate(rows):
        at, segment, filled = 0, 0, 0
        for s, example in enumerate(row):
            batch["start"][r, s], batch["end"][r, s] = at + example.start, at + example.end
            batch["label"][r, s], batch["value"][r, s] = example.label, example.value
            batch["weight"][r, s] = 1
            batch["tags"][r, at : at + len(example.tags)] = example.tags
            for position, token in example.masked:
                batch["masked_index"][r, filled] = at + position
                batch["masked_label"][r, filled], batch["masked_weight"][r, filled] = token, 1
                filled += 1
            for tokens in example.segments:
                batch["first"][r, segment] = at
                segment += 1
                span = slice(at, at + len(tokens))
                batch["tokens"][r, span] = tokens
                batch["segment_ids"][r, span] = segment
                batch["positions"][r, span] = np.arange(len(tokens))
                at += len(tokens)
    return batch


def for_head(batch: dict, kind: str) -> dict:
    """`batch` with the labels that a head of this kind reads."""
    value = batch["value"]
    return {k: v for k, v in batch.items() if k != "value"} | ({"label": value} if kind == "regression" else {})


@pytest.fixture(scope="session")
def kit():
    """The functions above, as attributes."""

    class Kit:
        heads = KIND_HEADS
        config = staticmethod(make_config)
        params = staticmethod(random_params)
        examples = staticmethod(make_examples)
        lay_out = staticmethod(lay_out)
        for_head = staticmethod(for_head)

    return Kit
