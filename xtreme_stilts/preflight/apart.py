"""Compiles a program in a process of its own.

The TPU compiler is a large C++ program; when it crashes, it takes its process along. So each program is compiled by
a child, `python -m xtreme_stilts.preflight.apart`, which reads a description as JSON from standard input and writes
what the compiler said as JSON to standard output. Several can be at work at the same time.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from typing import Any

from jax.sharding import Mesh

from xtreme_stilts.config import MeshConfig
from xtreme_stilts.data.loader import Shape
from xtreme_stilts.models import EncoderConfig, Head, Model
from xtreme_stilts.preflight import chips
from xtreme_stilts.preflight.chips import Topology
from xtreme_stilts.preflight.programs import Compiled, Memory, Program, compile_program
from xtreme_stilts.training.optimizer import AdamW
from xtreme_stilts.training.sharding import make_mesh

_LAST_LINES = 400  # characters of the compiler's last words that are shown


def compile_apart(program: Program, *, mesh: Mesh, topology: Topology) -> Compiled:
    """As `compile_program`, on a mesh over the topology's devices. A compiler that crashed is told in `failure`."""
    asked = {"program": _described(program), "mesh": dict(mesh.shape), "topology": str(topology)}
    child = subprocess.run(
        [sys.executable, "-m", "xtreme_stilts.preflight.apart"], input=json.dumps(asked), capture_output=True, text=True
    )
    if child.returncode == 0:
        found = json.loads(child.stdout.splitlines()[-1])
        rematerialized = tuple(found.pop("rematerialized"))
        return Compiled(**found | {"memory": Memory(**found["memory"]), "rematerialized": rematerialized})
    how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
    said = " ".join(child.stderr[-_LAST_LINES:].split()) if child.returncode > 0 else ""
    failure = f"the compiler crashed ({how}{': ' if said else ''}{said})"
    return Compiled(memory=Memory(0, 0, 0, 0), fits=False, rematerialized=(), seconds=0.0, failure=failure)


def _described(program: Program) -> dict[str, Any]:
    """A program as plain values."""
    model = {
        "config": dataclasses.asdict(program.model.config),
        "heads": {name: dataclasses.asdict(head) for name, head in program.model.heads.items()},
    }
    fields = {field.name: getattr(program, field.name) for field in dataclasses.fields(program)}
    optimizer = dataclasses.asdict(program.optimizer) if program.optimizer else None
    others = [(head, dataclasses.asdict(shape)) for head, shape in program.others]
    shape = dataclasses.asdict(program.shape)
    return fields | {"model": model, "shape": shape, "optimizer": optimizer, "others": others}


def _program(described: dict[str, Any]) -> Program:
    """The inverse of `_described`."""
    config, heads = described["model"]["config"], described["model"]["heads"]
    made = {name: Head(**fields | {"layers": tuple(fields["layers"])}) for name, fields in heads.items()}
    optimizer = AdamW(**described["optimizer"]) if described["optimizer"] else None
    return Program(
        **described
        | {
            "model": Model(EncoderConfig(**config), made),
            "shape": Shape(**described["shape"]),
            "optimizer": optimizer,
            "others": tuple((head, Shape(**shape)) for head, shape in described["others"]),
        }
    )


def main() -> None:
    """The child."""
    asked = json.loads(sys.stdin.read())
    topology = chips.parse(asked["topology"])
    chips.prepare([topology])
    mesh = make_mesh(MeshConfig(**asked["mesh"]), devices=chips.devices(topology))
    found = compile_program(_program(asked["program"]), mesh=mesh, limit=topology.chip.memory)
    print(json.dumps({**dataclasses.asdict(found), "memory": found.memory._asdict()}))


if __name__ == "__main__":
    main()
