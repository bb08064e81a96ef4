from __future__ import annotations

import collections
import dataclasses
import itertools
import json

import numpy as np
import pytest

from xtreme_stilts.data.cache import Cache, Joined, build
from xtreme_stilts.data.features import Example, Limits
from xtreme_stilts.data.loader import (
    Evaluation,
    Shape,
    fill,
    masked_bound,
    packing,
    training_batches,
)
from xtreme_stilts.errors import UserError

KINDS = ("classification", "regression", "choice", "tagging", "span", "mlm", "embedding")


def make_examples(kind: str, count: int, *, seed: int = 0) -> list[Example]:
    random = np.random.default_rng(seed)

    def text(longest: int = 4) -> str:
        return " ".join("x" * random.integers(1, 6) for _ in range(random.integers(0, longest) + 1))

    def one(i: int) -> Example:
        if kind == "classification":
            return Example(str(i), (text(), text()), (str(i % 3),))
        if kind == "regression":
            return Example(str(i), (text(), text()), (str(i - 5.5),))
        if kind == "choice":
            return Example(str(i), (text(2), text(2), text(2), text(2)), (str(i % 3),))
        if kind == "tagging":
            words = text(12).split()
            return Example(str(i), tuple(words), tuple(str(len(w) % 3) for w in words))
        if kind == "span":
            context = text(20)
            answer = context.split()[-1]
            return Example(str(i), (text(2), context), (answer,), (len(context) - len(answer),))
        return Example(str(i), (text(8),))

    return [one(i) for i in range(count)]


@pytest.fixture(scope="module")
def caches(tmp_path_factory, tiny) -> dict[str, Cache]:
    folder = tmp_path_factory.mktemp("caches")
    limits = Limits(max_length=32, doc_stride=8, max_query=8)

    def make(kind: str, count: int) -> Cache:
        return build(
            f"{kind}{count}",
            "train",
            kind=kind,
            labels="012",
            num_choices=3 if kind == "choice" else 1,
            tokenizer=tiny,
            limits=limits,
            cache_dir=folder,
            examples=make_examples(kind, count),
        )

    return {kind: make(kind, 61) for kind in KINDS} | {"single": make("classification", 1)}


def packed(cache: Cache, *, rows: int = 4, length: int = 96) -> Shape:
    return Shape.packed(rows, length=length, choices=cache.num_choices, mask_rate=0.15 * (cache.kind == "mlm"))


def unpacked(cache: Cache, *, rows: int = 4, length: int = 96) -> Shape:
    return Shape.unpacked(rows, length=length, mask_rate=0.15 * (cache.kind == "mlm"))


def check_batch(cache: Cache, batch: dict, shape: Shape) -> list[int]:
    """Takes a batch apart, slot by slot, and compares it with the cache. Returns the rows it shows."""
    choices, seen = cache.num_choices, []
    int_shapes = {"tokens": shape.length, "segment_ids": shape.length, "positions": shape.length}
    int_shapes |= {"first": shape.slots * choices, "row": shape.slots}
    for name, width in int_shapes.items():
        assert batch[name].shape == (shape.rows, width), name
        assert batch[name].dtype == np.int32, name
    assert batch["weight"].dtype == np.float32
    for b in range(shape.rows):
        used = 0
        for s in range(shape.slots):
            i = int(batch["row"][b, s])
            assert batch["weight"][b, s] == (i >= 0)
            firsts = batch["first"][b, s * choices : (s + 1) * choices].tolist()
            if i < 0:
                assert firsts == [0] * choices
                continue
            seen.append(i)
            row = cache.row(i)
            begin = used
            for c, length in enumerate(row["lengths"].tolist()):
                part = slice(used, used + length)
                assert firsts[c] == used
                assert set(batch["segment_ids"][b, part].tolist()) == {s * choices + c + 1}
                assert batch["positions"][b, part].tolist() == list(range(length))
                used += length
            part = slice(begin, used)
            if cache.kind == "mlm":
                index = batch["masked_index"][b][batch["masked_weight"][b] > 0]
                restored = batch["tokens"][b].copy()
                restored[index] = batch["masked_label"][b][batch["masked_weight"][b] > 0]
                assert restored[part].tolist() == row["tokens"].tolist()
            else:
                assert batch["tokens"][b, part].tolist() == row["tokens"].tolist()
            if "label" in row:
                assert batch["label"][b, s] == row["label"]
                assert batch["label"].dtype == row["label"].dtype
            if cache.kind == "span":
                assert batch["start"][b, s] == begin + row["start"]
                assert batch["end"][b, s] == begin + row["end"]
            if cache.kind == "tagging":
                assert batch["tags"][b, part].tolist() == row["tags"].tolist()
        empty = {
            "segment_ids": 0,
            "positions": 0,
            "tokens": cache.vocabulary.pad_id,
            "tags": -1,
            "token_types": 0,
        }
        for name, value in empty.items():
            if name in batch:
                assert set(batch[name][b, used:].tolist()) <= {value}, name
    return seen


def take(stream, count: int) -> list[dict]:
    return list(itertools.islice(stream, count))


def assert_equal_batches(left: list[dict], right: list[dict]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# Contents


@pytest.mark.parametrize("make_shape", [packed, unpacked])
@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_shows_every_row_once(caches, kind, make_shape):
    cache = caches[kind]
    shape = make_shape(cache)
    evaluation = Evaluation(cache, shape=shape)
    batches = list(evaluation)
    assert len(batches) == len(evaluation)
    seen = [i for batch in batches for i in check_batch(cache, batch, shape)]
    assert sorted(seen) == list(range(len(cache)))
    if make_shape is unpacked:
        assert seen == list(range(len(cache)))
    assert_equal_batches(batches, list(evaluation))  # again, and the same


@pytest.mark.parametrize("kind", KINDS)
def test_packed_training_shows_all_rows_intact_and_equally_often(caches, kind):
    cache = caches[kind]
    shape = packed(cache)
    with_close = training_batches(cache, shape=shape, seed=3)
    seen = collections.Counter()
    while sum(seen.values()) < 10 * len(cache):
        seen.update(check_batch(cache, next(with_close), shape))
    with_close.close()
    counts = [seen[i] for i in range(len(cache))]
    assert max(counts) - min(counts) <= 3  # an epoch may begin in the rows where another ends


@pytest.mark.parametrize("kind", ["classification", "mlm"])
def test_unpacked_training_goes_through_an_epoch_before_the_next(caches, kind):
    cache = caches[kind]
    shape = unpacked(cache, rows=1)
    stream = training_batches(cache, shape=shape, seed=3)
    epochs = [[check_batch(cache, b, shape)[0] for b in take(stream, len(cache))] for _ in range(3)]
    stream.close()
    for epoch in epochs:
        assert sorted(epoch) == list(range(len(cache)))
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != list(range(len(cache)))


def test_seeds_decide_the_order(caches):
    def order(seed):
        stream = training_batches(caches["classification"], shape=packed(caches["classification"]), seed=seed)
        batches = take(stream, 4)
        stream.close()
        return np.stack([b["row"] for b in batches]).tolist()

    assert order(1) == order(1) != order(2)


def test_packing_fills_rows(caches):
    cache = caches["tagging"]
    shape = packed(cache)
    assert shape.slots == 12
    measured = packing(cache, shape=shape)
    batches = list(Evaluation(cache, shape=shape))[:-1]
    assert measured.fill > 0.85
    assert measured.fill == pytest.approx(np.mean([fill(b) for b in batches]), abs=0.1)
    assert measured.examples_per_row == pytest.approx(measured.fill * 96 / cache.mean_length, rel=0.1)
    alone = packing(cache, shape=unpacked(cache))
    assert alone.examples_per_row == 1
    assert alone.fill == pytest.approx(cache.mean_length / 96, rel=0.2)


def test_one_example_makes_a_stream(caches):
    cache = caches["single"]
    for shape in (packed(cache), unpacked(cache)):
        stream = training_batches(cache, shape=shape, seed=0)
        assert set(check_batch(cache, next(stream), shape)) == {0}
        stream.close()
        (only,) = Evaluation(cache, shape=shape)
        assert check_batch(cache, only, shape) == [0]


def test_token_types_are_packed_with_their_tokens(mbert, tmp_path):
    cache = build(
        "pairs",
        "train",
        kind="classification",
        labels="012",
        tokenizer=mbert,
        cache_dir=tmp_path,
        examples=make_examples("classification", 20),
    )
    for shape in (packed(cache, length=128), unpacked(cache, length=128)):
        for batch in Evaluation(cache, shape=shape):
            check_batch(cache, batch, shape)
            for b, s in zip(*np.nonzero(batch["weight"]), strict=True):
                row = cache.row(batch["row"][b, s])
                part = batch["first"][b, s] + np.arange(len(row["tokens"]))
                assert batch["token_types"][b, part].tolist() == row["token_types"].tolist()
            assert batch["token_types"].dtype == np.int32
            assert batch["token_types"].any()


# Masking


@pytest.fixture(scope="module")
def prose(tmp_path_factory, tiny) -> Cache:
    """300 lines of 400 tokens."""
    examples = [Example(str(i), (" ".join("abcdefgh"[(i + k) % 8] for k in range(398)),)) for i in range(300)]
    folder = tmp_path_factory.mktemp("prose")
    limits = Limits(max_length=512)
    return build("lines", "train", kind="mlm", tokenizer=tiny, limits=limits, cache_dir=folder, examples=examples)


def test_masking_statistics(prose):
    shape = Shape.unpacked(300, length=400, mask_rate=0.15)
    (batch,) = Evaluation(prose, shape=shape, seed=5)
    real = batch["masked_weight"] > 0
    original = np.stack([prose.row(i)["tokens"] for i in batch["row"][:, 0]])
    now = np.take_along_axis(batch["tokens"], batch["masked_index"], 1)[real]
    label = batch["masked_label"][real]
    count, n = 300 * 398, real.sum()
    assert n / count == pytest.approx(0.15, abs=4 * np.sqrt(0.15 * 0.85 / count))
    mask, kept = now == prose.vocabulary.mask_id, now == label
    # A random id is by chance the mask or the original, once in the vocabulary each.
    chance = 0.1 / prose.vocabulary.vocab_size
    assert mask.mean() == pytest.approx(0.8 + chance, abs=4 * np.sqrt(0.16 / n))
    assert kept.mean() == pytest.approx(0.1 + chance, abs=4 * np.sqrt(0.09 / n))
    others = now[~mask & ~kept]
    assert len(set(others.tolist())) > 0.9 * prose.vocabulary.vocab_size  # of the whole vocabulary
    np.testing.assert_array_equal(np.take_along_axis(original, batch["masked_index"], 1)[real], label)
    special = np.isin(label, [0, 1, 2, prose.vocabulary.mask_id])
    assert not special.any()
    changed = np.zeros_like(original, bool)
    changed[np.nonzero(real)[0], batch["masked_index"][real]] = True
    np.testing.assert_array_equal(batch["tokens"][~changed], original[~changed])  # nothing else is touched
    assert len({(b, i) for b, i in zip(np.nonzero(real)[0], batch["masked_index"][real], strict=True)}) == n


def masks(batches, cache) -> dict[int, list[tuple[int, int, int]]]:
    """Row -> (position in the row, label, token shown) of its masks."""
    found = collections.defaultdict(list)
    for batch in batches:
        for b, m in zip(*np.nonzero(batch["masked_weight"]), strict=True):
            at = batch["masked_index"][b, m]
            slot = batch["segment_ids"][b, at] - 1
            row = int(batch["row"][b, slot])
            found[row].append(
                (
                    int(batch["positions"][b, at]),
                    int(batch["masked_label"][b, m]),
                    int(batch["tokens"][b, at]),
                )
            )
    return found


def test_masks_do_not_depend_on_packing(caches):
    cache = caches["mlm"]
    one, other = (masks(Evaluation(cache, shape=s, seed=1), cache) for s in (packed(cache), unpacked(cache)))
    assert one == other
    assert sum(map(len, one.values())) > 50
    assert one != masks(Evaluation(cache, shape=packed(cache), seed=2), cache)


def test_masks_are_drawn_anew_every_epoch(caches):
    cache = caches["mlm"]
    stream = training_batches(cache, shape=unpacked(cache, rows=1), seed=1)
    first, second = (masks(take(stream, len(cache)), cache) for _ in range(2))
    stream.close()
    same = sum(first[i] == second[i] for i in range(len(cache)) if first[i] and second[i])
    assert same < 5


def test_masks_beyond_the_room_are_not_made(caches):
    cache = caches["mlm"]
    shape = Shape(rows=8, length=96, slots=12, masked=3)
    for batch in Evaluation(cache, shape=shape):
        check_batch(cache, batch, shape)
        assert batch["masked_weight"].sum(1).max() == 3
        shown = np.zeros_like(batch["tokens"], bool)
        for b, m in zip(*np.nonzero(batch["masked_weight"]), strict=True):
            shown[b, batch["masked_index"][b, m]] = True
        assert not (batch["tokens"][~shown] == cache.vocabulary.mask_id).any()


def test_masked_bound_is_enough_for_all_but_a_few_rows():
    random = np.random.default_rng(0)
    for length in (16, 128, 512):
        bound = masked_bound(length, mask_rate=0.15)
        assert (random.binomial(length, 0.15, 100_000) > bound).mean() < 0.004
        assert bound <= min(length, 0.15 * length + 3 * length**0.5)


# Resume, processes


@pytest.mark.parametrize("make_shape", [packed, unpacked])
@pytest.mark.parametrize("kind", ["choice", "mlm"])
def test_a_restored_stream_goes_on_identically(caches, kind, make_shape):
    cache = caches[kind]
    arguments = {"shape": make_shape(cache), "seed": 7}
    stream = training_batches(cache, **arguments)
    states, batches = [], []
    for _ in range(30):  # several epochs and rounds of packing
        states.append(json.dumps(stream.get_state()))
        batches.append(next(stream))
    for step in (0, 1, 7, 20):
        fresh = training_batches(cache, **arguments)
        fresh.set_state(json.loads(states[step]))
        assert_equal_batches(take(fresh, 8), batches[step : step + 8])
        fresh.close()
    stream.set_state(json.loads(states[3]))  # back on the same stream
    assert_equal_batches(take(stream, 2), batches[3:5])
    stream.close()


@pytest.mark.parametrize("make_shape", [packed, unpacked])
def test_a_process_assembles_its_rows_of_the_same_batches(caches, make_shape):
    cache = caches["mlm"]
    shape = dataclasses.replace(make_shape(cache), rows=4)
    whole = training_batches(cache, shape=shape, seed=3)
    parts = [training_batches(cache, shape=shape, seed=3, local=rows) for rows in ([0, 3], [1, 2])]
    for batch in take(whole, 20):
        first, second = (next(part) for part in parts)
        for name, value in batch.items():
            np.testing.assert_array_equal(value[[0, 3]], first[name])
            np.testing.assert_array_equal(value[[1, 2]], second[name])
    for stream in (whole, *parts):
        stream.close()


@pytest.mark.parametrize("make_shape", [packed, unpacked])
def test_processes_share_an_evaluation(caches, make_shape):
    cache = caches["tagging"]
    shape = dataclasses.replace(make_shape(cache), rows=4)
    parts = [Evaluation(cache, shape=shape, local=rows) for rows in ([0, 1], [2, 3])]
    assert len({len(part) for part in parts}) == 1
    half = dataclasses.replace(shape, rows=2)
    seen = [i for part in parts for batch in part for i in check_batch(cache, batch, half)]
    assert sorted(seen) == list(range(len(cache)))


# Several caches as one


@pytest.fixture(scope="module")
def joined(tmp_path_factory, tiny) -> Joined:
    folder = tmp_path_factory.mktemp("joined")
    arguments = {"kind": "classification", "labels": "012", "tokenizer": tiny, "cache_dir": folder}
    sizes = (20, 7, 33)
    caches = [build(f"t{n}", "train", examples=make_examples("classification", n, seed=n), **arguments) for n in sizes]
    return Joined(caches, rates=[1, 1, 2])


@pytest.mark.parametrize("make_shape", [packed, unpacked])
def test_joined_caches_mix_by_rate_and_stay_intact(joined, make_shape):
    shape = make_shape(joined)
    stream = training_batches(joined, shape=shape, seed=1)
    seen = collections.Counter()
    while sum(seen.values()) < 2_000:
        for i in (int(i) for i in next(stream)["row"].ravel() if i >= 0):
            seen[i] += 1
    first, second, third = range(20), range(20, 27), range(27, 60)
    for rows, share in ((first, 0.25), (second, 0.25), (third, 0.5)):
        counts = [seen[i] for i in rows]
        assert sum(counts) / sum(seen.values()) == pytest.approx(share, abs=0.03)
        assert max(counts) - min(counts) <= 4  # within a task every row as often as the others
    state, ahead = json.loads(json.dumps(stream.get_state())), take(stream, 3)
    stream.close()
    fresh = training_batches(joined, shape=shape, seed=1)
    fresh.set_state(state)
    assert_equal_batches(take(fresh, 3), ahead)
    for batch in ahead:
        for b, s in zip(*np.nonzero(batch["weight"]), strict=True):
            number = int(batch["row"][b, s])
            part = max((p for p in joined.parts if p.first_row <= number), key=lambda p: p.first_row)
            row = part.cache.row(number - part.first_row)
            at = batch["first"][b, s] + np.arange(len(row["tokens"]))
            assert batch["tokens"][b, at].tolist() == row["tokens"].tolist()
            assert batch["label"][b, s] == row["label"]
    fresh.close()


def test_caches_that_differ_are_not_joined(caches):
    with pytest.raises(UserError, match="cannot share a batch"):
        Joined([caches["classification"], caches["tagging"]], rates=[1, 1])


# Errors


def test_rows_that_do_not_fit_are_told(caches):
    cache = caches["choice"]
    for use in (lambda s: training_batches(cache, shape=s, seed=0), lambda s: Evaluation(cache, shape=s)):
        with pytest.raises(UserError, match=f"longest row has {cache.longest} tokens .3 choices together"):
            use(Shape.packed(2, length=cache.longest - 1, choices=3))
        use(Shape.packed(2, length=cache.longest, choices=3))


def test_unlabelled_examples_are_for_evaluation_only(tmp_path, tiny):
    for kind, dtype in (("classification", np.int32), ("regression", np.float32)):
        examples = [Example("0", ("a", "b"), ("1",)), Example("1", ("a", "b"))]
        cache = build("t", "train", kind=kind, labels="01", tokenizer=tiny, cache_dir=tmp_path, examples=examples)
        with pytest.raises(UserError, match="1 examples have no label"):
            training_batches(cache, shape=packed(cache), seed=0)
        (batch,) = Evaluation(cache, shape=Shape.unpacked(2, length=16))
        np.testing.assert_array_equal(batch["label"], np.array([[1], [0]], dtype))
        assert batch["weight"].tolist() == [[1], [1]]


def test_bad_shapes_are_told(caches, tiny):
    with pytest.raises(UserError, match="at least 1"):
        Shape(rows=0, length=8)
    with pytest.raises(UserError, match="masked = 0"):
        Evaluation(caches["mlm"], shape=Shape.unpacked(2, length=96))
    with pytest.raises(UserError, match=r"mask_rate is 1\.5"):
        Evaluation(caches["mlm"], shape=Shape(rows=2, length=96, masked=9), mask_rate=1.5)


def test_default_slots():
    assert Shape.packed(2, length=512).slots == 64
    assert Shape.packed(2, length=512, choices=4).slots == 16
    assert Shape.packed(2, length=16, choices=4).slots == 1
    assert Shape.unpacked(2, length=512).slots == 1
    assert Shape.packed(2, length=512).masked == 0
