"""How long XLA takes to trace and compile the steps, cold and from the persistent cache.

    python -m benchmarks.compile_time --json compile.json

Train and prediction steps of XLM-R base and large, layers scanned and unrolled, each in a process of its own that
compiles for shapes alone, without parameters. Not a comparison with another program: torch's eager mode compiles
nothing (train_step reports the first calls of all sides).
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import common
from benchmarks.models import QUICK

ROWS, LENGTH = 4, 256  # about a thousand tokens: a micro-batch on CPU


class Compile:
    """Compiles one model's steps for abstract arguments.

    Args:
        encoder: preset's name, and fields of `EncoderConfig` to replace.
        cache: folder of the persistent cache.
    """

    def __init__(self, *, encoder: dict[str, Any], cache: str):
        import jax
        import numpy as np

        from benchmarks.jax_side import HEAD
        from benchmarks.rows import LABELS
        from xtreme_stilts.models import Head, Model, preset
        from xtreme_stilts.training.sharding import MESH_AXES

        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        self._mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1, 1), MESH_AXES)
        head = Head("classification", num_labels=LABELS, pooling="cls")
        self._model, self._head = Model(preset(**encoder), {HEAD: head}), HEAD

    def train(self) -> dict[str, float]:
        """The optimizer step on one micro-batch."""
        import jax
        import jax.numpy as jnp

        from xtreme_stilts.training import steps
        from xtreme_stilts.training.optimizer import AdamW, Schedule

        state = steps.abstract_state(self._model, optimizer=AdamW(), mesh=self._mesh)
        scalar = jax.ShapeDtypeStruct((), jnp.float32)
        seed = jax.ShapeDtypeStruct((), jnp.uint32)
        step = steps.train_step(self._model, self._head, AdamW(), self._mesh)
        return _stages(step, state, self._batch(leading=(1,)), Schedule(scalar, scalar, scalar), seed)

    def predict(self) -> dict[str, float]:
        """The prediction step."""
        from xtreme_stilts.training import steps
        from xtreme_stilts.training.sharding import param_shardings, placed

        params = placed(self._model.abstract_params(), param_shardings(self._model, self._mesh))
        return _stages(steps.predict_step(self._model, self._head, self._mesh), params, self._batch(leading=()))

    def _batch(self, *, leading: tuple[int, ...]) -> dict[str, Any]:
        import jax
        import jax.numpy as jnp

        from benchmarks.rows import TOKENS_PER_SLOT

        tokens = jax.ShapeDtypeStruct((*leading, ROWS, LENGTH), jnp.int32)
        slots = jax.ShapeDtypeStruct((*leading, ROWS, LENGTH // TOKENS_PER_SLOT), jnp.int32)
        weight = jax.ShapeDtypeStruct(slots.shape, jnp.float32)
        per_token = dict.fromkeys(("tokens", "segment_ids", "positions"), tokens)
        return {**per_token, **dict.fromkeys(("first", "label", "row"), slots), "weight": weight}


def _stages(step, *arguments) -> dict[str, float]:
    """Seconds to trace and lower, to compile, and both."""
    began = time.perf_counter()
    lowered = step.lower(*arguments)
    traced = time.perf_counter()
    lowered.compile()
    ended = time.perf_counter()
    return {"trace": traced - began, "compile": ended - traced, "seconds": ended - began}


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = common.arguments(__doc__, repeats=2)
    given = common.parsed(parser, argv)
    presets, given.repeats = (("mini",), 1) if given.quick else (("base", "large"), given.repeats)
    kinds = ("scan",) if given.quick else ("scan", "unrolled")
    facts, samples = common.machine(), {}
    for preset, layers in itertools.product(presets, kinds):
        encoder = {"name": preset, "scan_layers": layers == "scan", **(QUICK if given.quick else {})}
        for _ in range(given.repeats):
            with tempfile.TemporaryDirectory() as cache:
                for state in ("cold", "cached"):
                    for step, taken in _measured(encoder, cache=cache).items():
                        samples.setdefault(f"{preset}_{layers}_{step}_{state}", []).append(taken)
                        print(f"  {preset} {layers} {step} {state}: {taken['seconds']:.1f} s", flush=True)
    summaries = {
        name: {**common.summary(taken), **{part: common.median(taken, part) for part in ("trace", "compile")}}
        for name, taken in samples.items()
    }
    common.show(summaries, title="step", columns=("trace", "compile", "seconds", "peak_mib"))
    seconds = {name: one["seconds"] for name, one in summaries.items()}
    ratios = {}
    for preset in presets:
        cold = seconds[f"{preset}_scan_train_cold"]
        ratios[f"cached_vs_cold_{preset}_scan_train"] = seconds[f"{preset}_scan_train_cached"] / cold
        if not given.quick:
            ratios[f"scan_vs_unrolled_{preset}_train"] = cold / seconds[f"{preset}_unrolled_train_cold"]
    return common.report("compile_time", given=given, machine=facts, sides=summaries, ratios=ratios)


def _measured(encoder: dict[str, Any], *, cache: str) -> dict[str, common.Sample]:
    """Both steps in a fresh process."""
    settings = {"encoder": encoder, "cache": cache}
    with common.Side("benchmarks.compile_time:Compile", settings=settings, environ=common.environment()) as side:
        return {step: side.call(step) for step in ("train", "predict")}


if __name__ == "__main__":
    with common.reported_errors():
        main()
