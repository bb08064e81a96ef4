"""A model small enough to compile in a second, and streams of made-up batches."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from xtreme_stilts.config import MeshConfig
from xtreme_stilts.models import EncoderConfig, Head, Model
from xtreme_stilts.training.sharding import make_mesh

ROWS, LENGTH, SLOTS, VOCAB = 4, 24, 3, 50


@pytest.fixture(scope="session")
def model() -> Model:
    config = EncoderConfig(
        vocab_size=VOCAB, hidden_size=16, num_layers=2, num_heads=2, intermediate_size=32, max_positions=32
    )
    return Model(config, {"head": Head("classification", num_labels=3)})


@pytest.fixture(scope="session")
def mesh():
    return make_mesh(MeshConfig(), devices=jax.devices()[:1])


def make_batch(seed: int) -> dict[str, np.ndarray]:
    """Packed rows; an example's label is what its second token says, so that there is something to learn."""
    random = np.random.default_rng(seed)
    batch = {name: np.zeros((ROWS, LENGTH), np.int32) for name in ("segment_ids", "positions")}
    batch["tokens"] = np.ones((ROWS, LENGTH), np.int32)
    batch |= {name: np.zeros((ROWS, SLOTS), np.int32) for name in ("first", "label")}
    batch |= {"row": np.full((ROWS, SLOTS), -1, np.int32), "weight": np.zeros((ROWS, SLOTS), np.float32)}
    for row in range(ROWS):
        begin = 0
        for slot in range(random.integers(1, SLOTS + 1)):
            size, label = random.integers(4, 9), random.integers(0, 3)
            tokens = random.integers(10, VOCAB, size)
            tokens[:2] = 0, 4 + label
            batch["tokens"][row, begin : begin + size] = tokens
            batch["segment_ids"][row, begin : begin + size] = slot + 1
            batch["positions"][row, begin : begin + size] = np.arange(size)
            batch["first"][row, slot], batch["label"][row, slot] = begin, label
            batch["weight"][row, slot], batch["row"][row, slot] = 1, seed * 100 + row * SLOTS + slot
            begin += size
    return batch


class Stream:
    """Batches 0, 1, 2, ...; its state is the number of the next one."""

    def __init__(self, broken_at: int | None = None):
        self.next, self.broken_at, self.closed = 0, broken_at, False

    def __next__(self):
        if self.next == self.broken_at:
            raise KeyboardInterrupt
        self.next += 1
        return make_batch(self.next - 1)

    def get_state(self):
        return {"next": self.next}

    def set_state(self, state):
        self.next = state["next"]

    def close(self):
        self.closed = True
