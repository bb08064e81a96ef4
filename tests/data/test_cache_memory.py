"""A cache larger than what may be held: opening and verifying it and reading batches take memory of a few rows."""

from __future__ import annotations

import hashlib
import itertools
import json
import tracemalloc

import numpy as np
import pytest

from xtreme_stilts.data.cache import Cache, Joined, build
from xtreme_stilts.data.features import Example
from xtreme_stilts.data.loader import Evaluation, Shape, training_batches
from xtreme_stilts.training import learning

ROWS, LENGTH = 16_384, 1024  # 64 MiB of tokens and as many of tags
BOUND = 8 * 2**20


@pytest.fixture(scope="module")
def large(tiny, tmp_path_factory):
    """A folder as `build` makes it, its columns made up: every row is full, every token has a tag."""
    examples = [Example("a", ("the", "dog"), ("X", "Y"))]
    folder = tmp_path_factory.mktemp("large")
    small = build("t", "train", kind="tagging", labels=("X", "Y"), tokenizer=tiny, cache_dir=folder, examples=examples)
    lengths = {
        "offsets": ROWS + 1,
        **dict.fromkeys(small.per_row, ROWS),
        **dict.fromkeys(small.per_token, ROWS * LENGTH),
    }
    for name, length in lengths.items():
        like = np.load(small.path / f"{name}.npy")
        column = np.lib.format.open_memmap(
            small.path / f"{name}.npy", mode="w+", dtype=like.dtype, shape=(length, *like.shape[1:])
        )
        if name == "tags":
            column[::2] = 1
        if name in ("offsets", "lengths", "example"):
            column.T[...] = {"offsets": LENGTH * np.arange(length), "lengths": LENGTH, "example": 0}[name]
        del column
    meta = json.loads((small.path / "meta.json").read_text())
    for name in meta["files"]:
        with open(small.path / name, "rb") as file:
            meta["files"][name] = hashlib.file_digest(file, "sha256").hexdigest()
    (small.path / "meta.json").write_text(json.dumps(meta))
    return small.path


@pytest.fixture
def traced():
    """Bytes of Python's and NumPy's memory at the highest, while a test runs."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_reading_it_whole_would_be_seen(large, traced):
    assert len(np.load(large / "tokens.npy")) == ROWS * LENGTH
    assert traced() > 4 * BOUND


def test_opening_and_reading_batches(large, traced):
    cache = Cache(large)
    assert (len(cache), cache.longest) == (ROWS, LENGTH)
    shape = Shape.packed(4, length=LENGTH)
    for source in (cache, Joined([cache, cache], rates=[1.0, 2.0])):
        batches = training_batches(source, shape=shape, seed=0)
        for batch in itertools.islice(batches, 5):
            assert (batch["weight"].sum(1) == 1).all()
        batches.close()
    assert sum(batch["weight"].sum() for batch in Evaluation(cache, shape=shape, rows=20)) == 20
    assert traced() < BOUND


def test_what_a_guess_costs_is_read_in_parts(large, traced):
    cache = Cache(large)
    assert learning.guess(cache) == pytest.approx(np.log(2))
    assert traced() < 3 * BOUND
