"""Nearest neighbours against numpy, with ties and sizes that fit no block, on one device and on eight."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.retrieval import default_layer, nearest, normalize, retrieve, tatoeba_accuracy


def brute_force(queries, database, k):
    """Indices and scores by sorting all scores, lowest index first among equals."""
    scores = queries.astype(np.float64) @ database.astype(np.float64).T
    index = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return index, np.take_along_axis(scores, index, axis=1)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 3, 4), (130, 257, 4), (300, 1000, 1)])
@pytest.mark.parametrize("blocks", [{}, {"query_block": 64, "block": 128}, {"block": 7, "query_block": 3}])
def test_against_numpy(sizes, blocks):
    rng = np.random.default_rng(0)
    queries, database = rng.normal(size=(sizes[0], 16)), rng.normal(size=(sizes[1], 16))
    found = nearest(queries.astype(np.float32), database.astype(np.float32), k=sizes[2], **blocks)
    index, scores = brute_force(queries, database, sizes[2])
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_allclose(found.score, scores, rtol=1e-5, atol=1e-5)
    assert found.index.dtype == np.int32
    assert found.score.dtype == np.float32


@pytest.mark.parametrize("memory_bytes", [1, 2**31])
@pytest.mark.parametrize("block", [5, 64, 4096])
def test_ties_go_to_the_lowest_index(block, memory_bytes):
    """Small whole numbers: scores are exact, most of them shared by many rows, also across blocks."""
    rng = np.random.default_rng(1)
    queries = rng.integers(-1, 2, (50, 4)).astype(np.float32)
    database = rng.integers(-1, 2, (333, 4)).astype(np.float32)
    found = nearest(queries, database, k=5, block=block, query_block=16, memory_bytes=memory_bytes)
    index, scores = brute_force(queries, database, 5)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.score, scores)


def test_repeated_rows_of_the_database_are_found_at_their_first_place():
    rng = np.random.default_rng(2)
    once = rng.normal(size=(150, 32))
    assert np.array_equal(retrieve(once, np.concatenate([once, once, once])), np.arange(150))


def test_all_negative_scores_do_not_lose_to_padding():
    found = nearest(-np.ones((2, 3), np.float32), np.ones((3, 3), np.float32), k=3)
    np.testing.assert_array_equal(found.index, [[0, 1, 2]] * 2)
    assert (found.score == -3).all()


def test_a_small_database_gives_fewer_neighbours():
    assert nearest(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32), k=4).index.shape == (2, 2)


def test_normalize():
    rows = normalize(np.asarray([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert rows.dtype == np.float32


def test_tatoeba_accuracy_is_by_cosine_and_in_percent():
    database = np.asarray([[1.0, 0.0], [0.0, 1.0], [30.0, 30.0]])
    queries = np.asarray([[5.0, 0.1], [1.0, 1.1], [0.1, 9.0]])  # nearest: 0, 2, 1
    np.testing.assert_array_equal(retrieve(queries, database), [0, 2, 1])
    assert tatoeba_accuracy(queries, database) == pytest.approx(100 / 3)
    assert tatoeba_accuracy(queries, database, gold=np.asarray([0, 2, 1])) == 100.0


def test_noisy_translations_against_numpy():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 24))
    y = x + 1.2 * rng.normal(size=x.shape)
    cosine = x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    expected = 100 * np.mean(cosine.argmax(axis=1) == np.arange(400))
    assert 20 < expected < 95
    assert tatoeba_accuracy(x, y) == pytest.approx(expected)


@pytest.mark.parametrize(("layers", "layer"), [(24, 14), (12, 7), (36, 21), (48, 28), (6, 4), (1, 1)])
def test_default_layer(layers, layer):
    assert default_layer(layers) == layer


@pytest.mark.parametrize(
    ("queries", "database", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "queries have width 3"),
        (np.ones((0, 3)), np.ones((2, 3)), "found 0 queries"),
        (np.ones(3), np.ones((2, 3)), "found shape"),
        (np.asarray([[1.0], [np.nan]]), np.ones((2, 1)), "sentence 1 has a value that is not finite"),
    ],
)
def test_bad_input(queries, database, message):
    with pytest.raises(UserError, match=message):
        retrieve(queries, database)


def test_eight_devices_give_the_bits_of_one(tmp_path):
    """Also on meshes with several axes, and with fewer queries than devices have room for."""
    program = pathlib.Path(__file__).with_name("retrieval_program.py")
    rng = np.random.default_rng(4)
    cases = {
        "normal": (rng.normal(size=(1000, 40)), rng.normal(size=(700, 40))),
        "few": (rng.normal(size=(3, 40)), rng.normal(size=(5, 40))),
        "ties": (rng.integers(-1, 2, (600, 5)), rng.integers(-1, 2, (900, 5))),
    }
    arrays = {}
    for name, (queries, database) in cases.items():
        arrays |= {f"{name}/queries": queries.astype(np.float32), f"{name}/database": database.astype(np.float32)}
    np.savez(tmp_path / "given.npz", **arrays)
    done = subprocess.run(
        [sys.executable, program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    for name in cases:
        queries, database = arrays[f"{name}/queries"], arrays[f"{name}/database"]
        here = nearest(queries, database, k=4, query_block=128, block=256)
        index, scores = brute_force(queries, database, 4)
        for mesh in ("one", "8,1,1", "2,2,2"):
            np.testing.assert_array_equal(found[f"{name}/{mesh}/index"], index)
            np.testing.assert_array_equal(found[f"{name}/{mesh}/score"], here.score)
            np.testing.assert_allclose(found[f"{name}/{mesh}/score"], scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(
        found["ties/8,1,1/score"], brute_force(*(arrays[f"ties/{n}"] for n in ("queries", "database")), 4)[1]
    )
    for mesh in ("one", "8,1,1"):  # the links of margin mining
        np.testing.assert_array_equal(found[f"links/{mesh}"], found["links/2,2,2"])
