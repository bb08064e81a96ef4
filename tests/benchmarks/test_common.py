"""The arithmetic of the benchmarks: medians, ratios, the order of samples, batches, FLOPs."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from benchmarks import common, operations, rows, side_by_side
from benchmarks.models import batch_flops, flops
from xtreme_stilts.errors import UserError


class Clock:
    """A clock that only work moves on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float):
        self.now += seconds


def quiet(_line: str) -> None:
    pass


def test_samples_are_taken_in_turn_and_back():
    order = []
    actions = {name: lambda name=name: order.append(name) or {"seconds": 1.0} for name in "ABC"}
    samples = common.interleave(actions, repeats=3, say=quiet)
    assert order == list("ABCCBAABC")
    assert {name: len(taken) for name, taken in samples.items()} == {"A": 3, "B": 3, "C": 3}


def test_ratio_is_of_medians_whatever_the_outliers():
    clock = Clock()
    ours, theirs = itertools.cycle([2.0, 1.0, 100.0]), itertools.cycle([3.0, 4.0, 50.0])
    actions = {
        "ours": lambda: {**common.timed(lambda: clock.work(next(ours)), clock=clock), "tokens": 10},
        "theirs": lambda: {**common.timed(lambda: clock.work(next(theirs)), clock=clock), "tokens": 20},
    }
    samples = common.interleave(actions, repeats=3, say=quiet)
    assert common.median(samples["ours"]) == 2.0  # of 2, 1, 100
    assert common.median(samples["theirs"]) == 4.0  # of 3, 4, 50
    assert common.median_rate(samples["theirs"], "tokens") == 20 / 4
    found = common.summary(samples["ours"], counts=("tokens",))
    assert found == {"seconds": 2.0, "seconds_min": 1.0, "seconds_max": 100.0, "samples": 3, "tokens_per_s": 5.0}


def test_ratios_of_the_report():
    def taken(seconds, tokens, peak):
        return [{"seconds": s, "tokens": tokens, "peak_mib": peak} for s in seconds]

    samples = {
        "ours_active_packed": taken([1, 2, 9], 100, 300),  # 50 tokens/s
        "ours_active_same": taken([3, 3, 3], 10, 300),
        "ours_dense_packed": taken([4, 4, 4], 100, 600),
        "ours_dense_same": taken([5, 5, 5], 10, 600),
        "hf_dynamic": taken([4, 5, 6], 100, 400),  # 20 tokens/s
        "hf_max": taken([10, 10, 11], 100, 500),  # 10 tokens/s
        "hf_same": taken([4, 4, 4], 10, 400),
        "hf_dynamic_bf16": taken([1, 1, 1], 100, 400),  # 100 tokens/s
    }
    assert side_by_side.ratios_of(samples, embeddings=("active", "dense")) == pytest.approx(
        {
            "real_tokens_per_s_vs_hf_max_padding": 5.0,
            "real_tokens_per_s_vs_hf_dynamic_padding": 2.5,
            "real_tokens_per_s_vs_hf_dynamic_padding_bf16": 0.5,
            "step_time_same_batch_vs_hf": 0.75,
            "step_time_same_batch_dense_vs_hf": 1.25,
            "peak_memory_vs_hf_dynamic_padding": 0.75,
            "active_vs_dense_step_time": 0.5,
            "active_vs_dense_peak_memory": 0.5,
        }
    )


def test_flops_of_base():
    # XLM-R base at 128 tokens: 174.6 MFLOP a token forward, by hand: 12 * (8 * 768^2 + 4 * 768 * 3072 + 4 * 768 * 128)
    forward = flops(layers=12, hidden=768, mlp=3072, tokens=128, squares=128**2, training=False)
    assert forward / 128 == 12 * (4_718_592 + 9_437_184 + 393_216)
    assert flops(layers=12, hidden=768, mlp=3072, tokens=128, squares=128**2, training=True) == 3 * forward


@pytest.fixture(scope="module")
def some_rows():
    return rows.drawn("udpos", count=300, vocab_size=1000)


def test_drawn_lengths_follow_the_histogram():
    drawn = rows.drawn("udpos", count=20_000, vocab_size=250002)
    histogram = np.array(rows.SETS["udpos"].histogram)
    found = np.bincount(drawn.sizes // rows.BIN, minlength=len(histogram)) / 20_000
    assert np.abs(found - histogram / histogram.sum()).max() < 0.015
    assert drawn.sizes.max() <= rows.SETS["udpos"].width
    assert len(np.unique(drawn.tokens)) <= rows.SETS["udpos"].active


def segments(batch: rows.Batch):
    """The token sequences of a batch, read back from its arrays."""
    arrays = {name: array.reshape(-1, array.shape[-1]) for name, array in batch.arrays.items()}
    for line, slot in zip(*np.nonzero(arrays["weight"]), strict=True):
        here = arrays["segment_ids"][line] == slot + 1
        assert np.argmax(here) == arrays["first"][line, slot]
        assert arrays["positions"][line][here].tolist() == list(range(here.sum()))
        yield tuple(arrays["tokens"][line][here].tolist())


@pytest.mark.parametrize("layout", ["packed", "dynamic", "fixed"])
def test_batches_hold_whole_rows(some_rows, layout):
    shape = {"steps": 3, "micro_batches": 2}
    batches = {
        "packed": lambda: rows.packed(some_rows, micro_rows=2, length=256, **shape),
        "dynamic": lambda: rows.padded(some_rows, examples=8, width=0, **shape),
        "fixed": lambda: rows.padded(some_rows, examples=8, width=128, **shape),
    }[layout]()
    known = {tuple(some_rows.tokens[a:b].tolist()) for a, b in itertools.pairwise(some_rows.offsets.tolist())}
    for batch in batches:
        found = list(segments(batch))
        assert set(found) <= known
        assert len(found) == len(batch.sizes) and sum(map(len, found)) == batch.tokens
        assert np.count_nonzero(batch.arrays["segment_ids"]) == batch.tokens
        assert (batch.arrays["tokens"][batch.arrays["segment_ids"] == 0] == 1).all()
        if layout == "dynamic":
            assert batch.arrays["tokens"].shape[-1] == batch.sizes.max()


def test_packing_loses_no_row(some_rows):
    bins = rows._best_fit(some_rows.sizes, bins=10_000, length=128, seed=0)
    assert all(sum(some_rows.sizes[row] for row in held) <= 128 for held in bins)
    counts = np.bincount([row for held in bins for row in held])
    assert len(counts) == len(some_rows.sizes) and counts.max() - counts.min() <= 1


def test_useful_flops_leave_padding_out(some_rows):
    batch = rows.padded(some_rows, steps=1, micro_batches=1, examples=4, width=128)[0]
    found = batch_flops(batch, layers=1, hidden=8, mlp=16, training=False)
    assert found["flops"] == 4 * 128 * (8 * 64 + 4 * 8 * 16) + 4 * 8 * 4 * 128**2
    assert found["useful_flops"] == sum(n * (8 * 64 + 4 * 8 * 16) + 4 * 8 * n**2 for n in batch.sizes.tolist())


def test_plan_of_a_cpu_step():
    given = side_by_side.parsed(side_by_side.arguments("x", repeats=4), ["--data", ""])
    plan = side_by_side.plans(given, mean=41.9)
    packed = plan["ours"]["packed"]
    assert (packed["micro_batches"], packed["micro_rows"], packed["length"]) == (1, 11, 128)  # 32 * 41.9 / 0.97 / 128
    assert plan["ours"]["same"]["examples"] == plan["hf"]["same"]["examples"] == 8  # 8 * 128 = 1,024 tokens
    assert [plan["hf"][name]["examples"] for name in ("dynamic", "max")] == [32, 32]
    assert [plan["hf"][name]["autocast"] for name in ("dynamic", "dynamic_bf16")] == [False, True]


def test_plan_of_an_accelerator_step():
    argv = ["--data", "", "--device", "gpu", "--tokens-per-step", "65536"]
    given = side_by_side.parsed(side_by_side.arguments("x", repeats=4), argv)
    plan = side_by_side.plans(given, mean=41.9)
    packed, same = plan["ours"]["packed"], plan["ours"]["same"]
    assert given.preset == "large"
    assert packed["micro_batches"] * packed["micro_rows"] * packed["length"] == 65536
    assert same["examples"] * 128 == plan["hf"]["max"]["examples"] * 128 == 65536
    assert same["micro_batches"] == 4
    assert all(workload["autocast"] for workload in plan["hf"].values())


def test_table_aligns():
    text = common.table(("side", "s", "n"), [["ours", 0.12345, 12345.6], ["theirs", None, 7]]).splitlines()
    assert text[2].split() == ["ours", "0.123", "12,346"] and text[3].split() == ["theirs", "-", "7"]
    assert len({len(line) for line in (text[0], *text[2:])}) == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--repeats", "0"], "--repeats is 0"),
        (["--threads", "1000"], "--threads is 1000"),
        (["--data", "/nowhere"], "--data is '/nowhere'"),
        (["--data", "", "--device", "gpu", "--tokens-per-step", "64"], "128 tokens a step"),
    ],
)
def test_bad_arguments(argv, said):
    with pytest.raises(UserError, match=said):
        side_by_side.parsed(side_by_side.arguments("x", repeats=4), argv)


def test_side_answers_and_tells_of_errors(tmp_path):
    settings = {"sentences": 20, "width": 4, "folder": str(tmp_path)}
    with common.Side("benchmarks.mining:Ours", settings=settings, environ=common.environment()) as side:
        answer = side.call("nearest")
        assert answer["seconds"] > 0 and answer["peak_mib"] > 10
        with pytest.raises(common.SideFailed, match="no_such_method"):
            side.call("no_such_method")
        assert side.call("nearest")["seconds"] > 0  # it lives on
    with np.load(tmp_path / "nearest.npz") as found:
        assert found["index"].shape == (20, 4)


def test_report_is_written(tmp_path, capsys):
    parser = common.arguments("x", repeats=1)
    given = common.parsed(parser, ["--json", str(tmp_path / "new" / "out.json")])
    result = common.report("x", given=given, machine={}, sides={"a": {"seconds": 1.0}}, ratios={"r": 2.0}, notes=["n"])
    assert json.loads((tmp_path / "new" / "out.json").read_text()) == result
    assert "note: n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("jit(step)/transpose(jvp(attention))/bqnd,bknd->bnqk/dot_general", "matrix products"),
        ("jit(step)/jvp(attention)/dropout/while/body/closed_call/add", "dropout"),
        ("jit(step)/jvp(attention)/reduce_max", "attention's softmax and masks"),
        ("jit(step)/jvp(norm)/rsqrt", "norms"),
        ("jit(step)/optimizer/mul", "optimizer"),
        ("jit(step)/jvp()/squeeze", "layers taken apart and put together"),
        ("", operations.OTHER),
    ],
)
def test_an_operation_has_the_kind_of_the_part_it_comes_from(name, kind):
    assert operations.kind_of(name) == kind
