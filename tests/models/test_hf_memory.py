"""Reading weights takes the memory of the arrays it returns and of one tensor, not of a second copy of the file."""

from __future__ import annotations

import tracemalloc

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from xtreme_stilts.models import EncoderConfig, Model, hf

CONFIG = EncoderConfig(
    vocab_size=4000, hidden_size=128, num_layers=12, num_heads=2, intermediate_size=512, max_positions=64
)


def traced(function) -> int:
    """Bytes of Python's and NumPy's memory at the highest."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shard_bytes", [10**9, 10**6])
def test_weights_are_read_tensor_by_tensor(tmp_path, shard_bytes):
    model = Model(CONFIG, {})
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), model.abstract_params()["encoder"])
    hf.save_encoder(tmp_path, config=CONFIG, encoder=params, max_shard_bytes=shard_bytes)
    total = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    files = list(tmp_path.glob("*.safetensors"))
    largest = max(tensor.nbytes for file in files for tensor in load_file(file).values())
    assert total > 4 * largest
    hf.load_encoder(tmp_path)  # what is imported and traced on the way is no part of it
    assert traced(lambda: [load_file(file) for file in files]) > 0.9 * total  # it would be seen
    assert total < traced(lambda: hf.load_encoder(tmp_path)) < total + 2 * largest
