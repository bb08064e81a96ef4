"""What spreading the same global batch costs: 1 to 8 virtual devices in a process, and 2 processes on loopback.

    python -m benchmarks.scaling --json scaling.json

All devices share this machine's cores, so nothing can get faster: a ratio above 1 is the overhead of partitioning,
copies of the parameters and collectives, next to one device doing the same work. It says nothing of speed-up on real
accelerators.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import socket
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import common
from benchmarks import rows as rows_lib
from benchmarks.models import QUICK
from xtreme_stilts.errors import UserError

# Small enough for eight copies of parameters and moments, large enough that a step takes a good part of a second.
ENCODER = {"name": "base", "hidden_size": 512, "intermediate_size": 2048, "num_layers": 4, "num_heads": 8}
PROCESSES = 2


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = common.arguments(__doc__, repeats=15)
    parser.add_argument("--rows", type=int, default=8, help="rows of 256 tokens in the global batch; a multiple of 8")
    given = common.parsed(parser, argv)
    counts = (1, 2) if given.quick else (1, 2, 4, 8)
    given.repeats = 2 if given.quick else given.repeats
    if given.rows < 1 or given.rows % max(counts):
        raise UserError(
            f"--rows is {given.rows}; it must be a multiple of {max(counts)}, to be spread over the devices"
        )
    facts, encoder = common.machine(), ENCODER | {"vocab_size": 8192} | (QUICK if given.quick else {})
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = pathlib.Path(folder) / "rows.npz"
        rows_lib.save(rows_lib.drawn("xnli", count=2048, vocab_size=encoder["vocab_size"]), path)
        settings = _settings(given, encoder=encoder, rows=str(path))
        groups = {f"{count}_devices": [{"devices": count}] for count in counts}
        port = _free_port()
        groups[f"{PROCESSES}_processes"] = [
            {"join": {"coordinator": f"127.0.0.1:{port}", "count": PROCESSES, "index": index}}
            for index in range(PROCESSES)
        ]
        started = {name: _start(members, settings=settings, stack=stack) for name, members in groups.items()}
        print(f"compiling for {', '.join(started)}", flush=True)
        common.call_all(started, "step", workload="step")
        actions = {name: functools.partial(group.call, "step", workload="step") for name, group in started.items()}
        samples = common.interleave(actions, repeats=given.repeats, say=functools.partial(print, flush=True))
    summaries = {name: common.summary(taken, counts=("tokens",)) for name, taken in samples.items()}
    common.show(summaries, title="devices", columns=("seconds", "tokens_per_s", "peak_mib"))
    one = summaries["1_devices"]["seconds"]
    ratios = {
        f"step_time_{name}_vs_1": found["seconds"] / one for name, found in summaries.items() if name != "1_devices"
    }
    notes = ["all devices share the same cores: this is overhead, not speed-up"]
    return common.report(
        "scaling", given=given, machine=facts, sides=summaries, ratios=ratios, notes=notes, encoder=encoder
    )


def _settings(given, *, encoder: Mapping[str, Any], rows: str) -> dict[str, Any]:
    plan = {"steps": given.repeats + 1, "micro_batches": 1}
    if given.quick:
        plan |= {"layout": "padded", "examples": given.rows, "width": rows_lib.SETS["xnli"].width}
    else:
        plan |= {"layout": "packed", "micro_rows": given.rows, "length": rows_lib.SETS["xnli"].packed_length}
    return {
        "encoder": dict(encoder),
        "training": True,
        "embeddings": "dense",
        "active": 0,
        "rows": rows,
        "plans": {"step": plan},
    }


class _Group:
    """One program of one or more processes, called like a `common.Side`."""

    def __init__(self, sides: Sequence[common.Side]):
        self._sides = sides

    def send(self, method: str, **arguments: Any) -> None:
        for side in self._sides:
            side.send(method, **arguments)

    def receive(self) -> common.Sample:
        """The slowest process's seconds, and the memory of all."""
        samples = [side.receive() for side in self._sides]
        return {
            **samples[0],
            "seconds": max(sample["seconds"] for sample in samples),
            "peak_mib": sum(sample["peak_mib"] for sample in samples),
        }

    def call(self, method: str, **arguments: Any) -> common.Sample:
        self.send(method, **arguments)
        return self.receive()


def _start(members: Sequence[Mapping[str, Any]], *, settings: Mapping[str, Any], stack: contextlib.ExitStack) -> _Group:
    """A group with a process for each member."""
    sides = []
    for member in members:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={member.get('devices', 1)}"
        own = {**settings, "join": member.get("join")}
        side = common.Side("benchmarks.jax_side:JaxSide", settings=own, environ=common.environment(XLA_FLAGS=flags))
        sides.append(stack.enter_context(side))
    return _Group(sides)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    with common.reported_errors():
        main()
