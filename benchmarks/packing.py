"""How full packed rows are, and whether the input pipeline keeps ahead of the training step.

    python -m benchmarks.packing --data DIR --json packing.json

Fill is real tokens over capacity, of data/loader.py's packing on XNLI, SQuAD and UDPOS, at the shapes of
configs/xtreme.py and others, next to padding to the longest row of a batch of 32 and to a fixed width. The pipeline
(shuffle, pack, assemble, prefetch) is then run as fast as it goes, in turn with training steps of XLM-R that do not
wait for it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import common, models
from benchmarks import rows as rows_lib
from xtreme_stilts.models import preset

LENGTHS = {"xnli": (128, 256, 512), "squad": (384, 512, 1024), "udpos": (128, 256, 512)}
ROWS = 8  # of a batch, as in configs/xtreme.py
PADDED = 32  # examples of a padded batch


class RowCache:
    """Rows in memory, with those attributes of `data.cache.Cache` that the loader reads."""

    kind, num_choices, labels = "classification", 1, ()

    def __init__(self, rows: rows_lib.Rows, *, name: str):
        from xtreme_stilts.data.cache import Part, Vocabulary

        self.sizes, self.offsets = rows.sizes, rows.offsets
        self.num_tokens, self.longest = len(rows.tokens), int(rows.sizes.max())
        self.columns = {
            "tokens": rows.tokens,
            "lengths": rows.sizes.astype(np.int32)[:, None],
            "label": (np.arange(len(rows.sizes)) % rows_lib.LABELS).astype(np.int32),
        }
        self.meta = {"task": name, "split": "train", "counts": {}}
        self.vocabulary = Vocabulary(
            fingerprint="",
            vocab_size=int(rows.tokens.max()) + 1,
            pad_id=1,
            mask_id=None,
            unmaskable_ids=(),
            uses_token_types=False,
        )
        self.parts = (Part(self, 0, 1.0),)

    def __len__(self) -> int:
        return len(self.sizes)


class Pipeline:
    """The loader over one set's rows.

    Args:
        rows: file of `rows.save`.
        name: of the set.
        length: tokens of a batch row for `step`.
    """

    def __init__(self, *, rows: str, name: str, length: int):
        from xtreme_stilts.data import loader

        self._loader, self._cache = loader, RowCache(rows_lib.load(rows), name=name)
        self._shape = loader.Shape.packed(ROWS, length=length)
        self._batches = None

    def fill(self, length: int) -> dict[str, float]:
        """{"fill", "examples_per_row"} of packed rows of this length, over some epochs at most."""
        shape = self._loader.Shape.packed(ROWS, length=length)
        found = self._loader.packing(self._cache, shape=shape, rows=4 * self._loader.WINDOW)
        return found._asdict()

    def step(self, batches: int) -> dict[str, float]:
        """Takes so many batches from the stream, which is never further ahead than it prefetches."""
        if self._batches is None:
            self._batches = self._loader.training_batches(self._cache, shape=self._shape, seed=0)
        began, tokens = time.perf_counter(), 0
        for _ in range(batches):
            tokens += int(np.count_nonzero(next(self._batches)["segment_ids"]))
        return {"seconds": time.perf_counter() - began, "tokens": tokens, "batches": batches}


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = common.arguments(__doc__, repeats=4)
    common.add_data(parser)
    parser.add_argument("--preset", choices=("mini", "base", "large"), default="base", help="of the training step")
    given = common.parsed(parser, argv)
    if given.quick:
        given.data, given.preset, given.repeats = "", "mini", 2
    facts, fills, sides, ratios = common.machine(), {}, {}, {}
    notes = [] if given.data else ["lengths are drawn from histograms of the sets"]
    for name in ("xnli",) if given.quick else rows_lib.SETS:
        found = _measured(name, given=given)
        fills[name], sides[f"{name}_pipeline"], sides[f"{name}_step"] = found["fills"], found["pipeline"], found["step"]
        ratios[f"pipeline_tokens_per_s_vs_step_{name}"] = (
            found["pipeline"]["tokens_per_s"] / found["step"]["tokens_per_s"]
        )
        ratios[f"fill_{name}_vs_max_padding"] = found["fills"]["packed"] / found["fills"]["max_padding"]
    _show(fills, sides)
    return common.report("packing", given=given, machine=facts, sides=sides, ratios=ratios, notes=notes, fills=fills)


def _measured(name: str, *, given: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    """Fills, and pipeline and step in turn, for one set."""
    found = rows_lib.SETS[name]
    encoder = models.encoder(given.preset, quick=given.quick)
    vocab_size = preset(**encoder).vocab_size
    print(f"{found.task}:", flush=True)
    rows = rows_lib.rows_of(name, data=given.data, count=8192, vocab_size=vocab_size)
    length, environ = found.packed_length, common.environment()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = str(pathlib.Path(folder) / "rows.npz")
        rows_lib.save(rows, pathlib.Path(path))
        settings = {"rows": path, "name": name, "length": length}
        pipeline = stack.enter_context(common.Side("benchmarks.packing:Pipeline", settings=settings, environ=environ))
        settings = _step_settings(given, rows=path, name=name, encoder=encoder)
        step = stack.enter_context(common.Side("benchmarks.jax_side:JaxSide", settings=settings, environ=environ))
        fills = _fills(rows, name=name, pipeline=pipeline)
        actions = {
            "pipeline": functools.partial(pipeline.call, "step", batches=20 if given.quick else 400),
            "step": functools.partial(step.call, "step", workload="packed"),
        }
        for take in actions.values():
            take()
        samples = common.interleave(actions, repeats=given.repeats, say=functools.partial(print, flush=True))
    return {
        "fills": fills,
        "pipeline": common.summary(samples["pipeline"], counts=("tokens", "batches")),
        "step": common.summary(samples["step"], counts=("tokens",)),
    }


def _step_settings(given: argparse.Namespace, *, rows: str, name: str, encoder: Mapping[str, Any]) -> dict[str, Any]:
    """A training step on one micro-batch of about a thousand tokens."""
    length = rows_lib.SETS[name].packed_length
    plan = {
        "layout": "packed",
        "steps": given.repeats + 1,
        "micro_batches": 1,
        "micro_rows": 1 if given.quick else max(1, 1024 // length),
    }
    return {
        "encoder": dict(encoder),
        "training": True,
        "embeddings": "active",
        "active": rows_lib.SETS[name].active,
        "rows": rows,
        "plans": {"packed": {**plan, "length": length}},
    }


def _fills(rows: rows_lib.Rows, *, name: str, pipeline: common.Side) -> dict[str, float]:
    """Fill by way of making batches; "packed" is the one at the configs' length."""
    found, fills = rows_lib.SETS[name], {}
    for length in LENGTHS[name]:
        fills[f"packed_{length}"] = pipeline.call("fill", length=length)["fill"]
    fills["packed"] = fills[f"packed_{found.packed_length}"]
    plan = {"steps": 64, "micro_batches": 1, "examples": PADDED}
    for words, width in (("dynamic_padding", 0), ("max_padding", found.width)):
        batches = rows_lib.padded(rows, width=width, **plan)
        fills[words] = sum(batch.tokens for batch in batches) / sum(batch.computed for batch in batches)
    return fills


def _show(fills: Mapping[str, Mapping[str, float]], sides: Mapping[str, Mapping[str, Any]]) -> None:
    print()
    lines = [[name, way, 100 * value] for name, found in fills.items() for way, value in found.items()]
    print(common.table(("set", "rows", "fill, %"), lines))
    common.show(sides, title="side", columns=("seconds", "tokens_per_s", "batches_per_s"))


if __name__ == "__main__":
    with common.reported_errors():
        main()
