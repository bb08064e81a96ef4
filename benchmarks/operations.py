"""Where our step spends its time, by kind of operation, from a profile of it.

    python -m benchmarks.operations --data DIR --json operations.json
    python -m benchmarks.operations --inference

XLA names each operation of a compiled step after the part of the program it comes from; the profiler says how long each
ran. CPU threads that work side by side count one after the other, so the kinds add up to more than the step where two
cores are busy with two operations; matrix products use all cores at once. Not a comparison with another program: it
says why the ratios of train_step and inference are what they are.
"""

from __future__ import annotations

import collections
import pathlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from benchmarks import common, side_by_side
from benchmarks import rows as rows_lib
from benchmarks.jax_side import JaxSide

# Kind -> what names an operation of it, the first that matches. Names are paths through the program, such as
# `jit(step)/transpose(jvp(norm))/mul`, with the scopes that the model names.
KINDS = {
    "matrix products": r"dot_general",
    "dropout": r"\bdropout\b",
    "attention's softmax and masks": r"\battention\b",
    "GELU": r"\bgelu\b",
    "norms": r"\bnorm\b",
    "word table": r"\btable\b",
    "optimizer": r"\boptimizer\b",
    "layers taken apart and put together": r"(split|squeeze|concatenate)$",
}
OTHER = "biases, residuals, copies"


class Profiled(JaxSide):
    """Our side, and the time of a step's operations."""

    def operations(self, workload: str) -> dict[str, float]:
        """Kind -> seconds of one step of a workload that ran before; `seconds` are the step's own."""
        names = self._names(workload)
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                step = self.step(workload)
            (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
            found: collections.Counter[str] = collections.Counter()
            for operation, seconds in _events(jax.profiler.ProfileData.from_file(str(path))):
                found[kind_of(names.get(operation, ""))] += seconds
        return {"seconds": step["seconds"], **{kind: found[kind] for kind in (*KINDS, OTHER)}}

    def _names(self, workload: str) -> dict[str, str]:
        """Operation of the compiled step -> the part of the program it comes from."""
        text = self.compiled(workload).as_text()
        return {
            each[1]: each[2] for each in re.finditer(r'^\s*(?:ROOT )?%?([\w.-]+) = .*op_name="([^"]*)"', text, re.M)
        }


def kind_of(name: str) -> str:
    """The kind of an operation with this name."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), OTHER)


def _events(profile: Any) -> Iterator[tuple[str, float]]:
    """Operations of compiled functions, and how long they ran."""
    for plane in profile.planes:
        for line in plane.lines:
            for event in line.events:
                stats = dict(event.stats)
                if "hlo_op" in stats:
                    yield stats["hlo_op"], event.duration_ns * 1e-9


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = side_by_side.arguments(__doc__, repeats=3)
    parser.add_argument("--inference", action="store_true", help="predictions instead of training steps")
    given = side_by_side.parsed(parser, argv)
    facts, encoder = common.machine(), side_by_side.encoder_of(given)
    with tempfile.TemporaryDirectory() as folder:
        rows, plans = side_by_side.prepare(given, encoder=encoder, folder=folder)
        settings = {
            "encoder": encoder,
            "training": not given.inference,
            "embeddings": "dense" if given.inference else "active",
            "active": rows_lib.SETS[given.lengths].active,
            "rows": rows,
            "plans": {"packed": plans["ours"]["packed"]},
        }
        environ = common.environment(device=given.device)
        with common.Side("benchmarks.operations:Profiled", settings=settings, environ=environ) as side:
            side.call("step", workload="packed")  # compiles
            steps = [side.call("step", workload="packed") for _ in range(given.repeats)]
            profiles = [side.call("operations", workload="packed") for _ in range(given.repeats)]
    seconds = {kind: common.median(profiles, kind) for kind in (*KINDS, OTHER)}
    _show(seconds, step=common.median(steps))
    return common.report(
        "operations",
        given=given,
        machine=facts,
        sides={"packed": common.summary(steps, counts=("tokens", "flops"))},
        ratios={},
        seconds=seconds,
        profiled_step_seconds=common.median(profiles),
    )


def _show(seconds: Mapping[str, float], *, step: float) -> None:
    whole = sum(seconds.values())
    rows = [[kind, each, 100 * each / whole] for kind, each in seconds.items()]
    print()
    print(common.table(("operations", "s", "% of their time"), [*rows, ["a step, by the clock", step, None]]))


if __name__ == "__main__":
    with common.reported_errors():
        main()
