"""What to change where a program does not fit, found by compiling the changed program.

Tried in this order, cheapest for the result first: fewer rows with as many more micro-batches (the same optimizer
step), recomputing all but matrix products, recomputing everything, sharding the parameters over all chips (`fsdp`),
then these together. A step on several tasks (heads `mixed`) has as many draws of them as micro-batches, so there fewer
rows come last. What cannot help because the arguments alone are too large is not compiled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jax.sharding import Mesh

from xtreme_stilts.config import MeshConfig
from xtreme_stilts.models import Model
from xtreme_stilts.preflight.programs import Compiled, Program, argument_bytes


class Fields(NamedTuple):
    """The config fields that decide a program's rows; `accumulate` is empty for evaluation."""

    rows: str
    accumulate: str = ""


class Change(NamedTuple):
    """A program changed, and the flags that change it."""

    flags: tuple[str, ...]
    program: Program
    mesh: MeshConfig


class Advice(NamedTuple):
    """The first change that fits."""

    flags: tuple[str, ...]
    compiled: Compiled


def advise(
    program: Program,
    *,
    fields: Fields,
    mesh: MeshConfig,
    make_mesh: Callable[[MeshConfig], Mesh],
    compile_on: Callable[[Program, Mesh], Compiled],
    limit: int,
) -> Advice | None:
    """The first change after which a program fits; None if none of them does.

    Args:
        program: does not fit.
        mesh: the config's.
        make_mesh: lays out the chips.
        compile_on: compiles.
        limit: bytes on one chip.
    """
    for change in _changes(Change((), program, mesh), fields=fields, make_mesh=make_mesh):
        placed = make_mesh(change.mesh)
        if argument_bytes(change.program, mesh=placed) > limit:
            continue
        compiled = compile_on(change.program, placed)
        if compiled.fits:
            return Advice(change.flags, compiled)
    return None


def _changes(start: Change, *, fields: Fields, make_mesh: Callable[[MeshConfig], Mesh]) -> Iterator[Change]:
    shards = make_mesh(start.mesh).shape
    fewest = shards["data"] * shards["fsdp"]
    halves = list(_fewer_rows(start, fields=fields, fewest=fewest))
    rematerialised = [_remat(start, policy) for policy in ("dots", "full")] if start.program.trains else []
    sharded = _fsdp(start)
    yield from () if start.program.others else halves
    yield from rematerialised
    yield sharded
    for policy in ("dots", "full") if start.program.trains else ():
        yield _remat(sharded, policy)
    for each in _fewer_rows(sharded, fields=fields, fewest=fewest):
        yield _remat(each, "full") if start.program.trains else each


def _fewer_rows(change: Change, *, fields: Fields, fewest: int) -> Iterator[Change]:
    """Half the rows and twice the micro-batches, again and again, while the mesh divides them."""
    program = change.program
    while program.shape.rows % (2 * fewest) == 0:
        program = program.with_half_the_rows()
        flags = [f"--config.{fields.rows}={program.shape.rows}"]
        if program.trains:
            flags.append(f"--config.{fields.accumulate}={program.accumulate}")
        yield change._replace(flags=(*change.flags, *flags), program=program)


def _remat(change: Change, policy: str) -> Change:
    model = change.program.model
    config = dataclasses.replace(model.config, remat=policy)
    program = dataclasses.replace(change.program, model=Model(config, model.heads))
    return change._replace(flags=(*change.flags, f"--config.model.remat={policy}"), program=program)


def _fsdp(change: Change) -> Change:
    flags = (*change.flags, "--config.mesh.data=1", "--config.mesh.fsdp=-1")
    return change._replace(flags=flags, mesh=dataclasses.replace(change.mesh, data=1, fsdp=-1))
