"""Compiles what a study runs on one topology, and works out what it costs.

Hours are an estimate: operations of `flops` at an assumed share (MFU) of the chips' peak, and for each optimizer step
the time to move what AdamW reads and writes through a chip's memory. Not counted: communication between chips,
compiling, reading data, validation while training, early stopping.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
from jax.sharding import Mesh

from xtreme_stilts import tasks
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.graph import Phase
from xtreme_stilts.preflight import flops
from xtreme_stilts.preflight.advice import Advice, Fields, advise
from xtreme_stilts.preflight.amounts import Amount, Amounts, Samples, total
from xtreme_stilts.preflight.apart import compile_apart
from xtreme_stilts.preflight.chips import GIB, Topology
from xtreme_stilts.preflight.programs import Compiled, Program, parameters
from xtreme_stilts.preflight.work import (
    EVALUATION_FIELDS,
    Work,
    compiled_training,
    evaluation_program,
    example_length,
    mesh_on,
    recipe_fields,
    training_programs,
)
from xtreme_stilts.training.sharding import param_shardings, placed

# Bytes AdamW moves for each float32 parameter: reads gradient, parameter and both moments, writes the last three.
ADAMW_BYTES = 28
AT_ONCE = 4  # compilations


class Cost(NamedTuple):
    """Of some work on all chips; hours are of the clock."""

    flops: float
    compute_hours: float
    optimizer_hours: float

    @property
    def hours(self) -> float:
        """Both, one after the other."""
        return self.compute_hours + self.optimizer_hours


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgramReport:
    """A program, what the compiler said of it, and what would fit if it does not."""

    program: Program
    compiled: Compiled
    advice: Advice | None
    parameters: int
    used_by: tuple[str, ...]  # paths of phases


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseReport:
    """A phase; amounts and costs of training and of the evaluations after it."""

    phase: Phase
    programs: tuple[Program, ...]
    trained: Amount
    training: Cost
    evaluated: Amount
    evaluation: Cost


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """A study on a topology.

    Attributes:
        mfu: assumed.
        exact: whether memory is the compiler's word for these chips; else temporaries are those of the same program
            compiled for the CPU.
    """

    study: StudyConfig
    topology: Topology
    mfu: float
    exact: bool
    programs: tuple[ProgramReport, ...]
    phases: tuple[PhaseReport, ...]

    @property
    def fits(self) -> bool:
        """Whether every program does."""
        return all(each.compiled.fits for each in self.programs)

    @property
    def cost(self) -> Cost:
        """Of all phases; those of unknown amount count as nothing."""
        costs = [cost for each in self.phases for cost in (each.training, each.evaluation)]
        return Cost(*(sum(part) for part in zip(*costs, strict=True)))


class Progress(Protocol):
    """Who is told how far it is."""

    def now(self, text: str) -> None:
        """What is being done; may take minutes."""

    def done(self, text: str) -> None:
        """What is done."""


class Needed(NamedTuple):
    """A program of the study."""

    fields: Fields
    used_by: list[str]


def check(work: Work, *, topology: Topology, devices: list, mfu: float, tokens: int, progress: Progress) -> Report:
    """Compiles each distinct program of a study once.

    Args:
        mfu: share of the peak that is assumed to be reached.
        tokens: of each training phase whose data are not here; 0 = unknown.
        progress: told of each compilation.
    """
    study = work.setting.study
    phases = estimate(work, topology=topology, mfu=mfu, tokens=tokens, now=progress.now)
    needed: dict[Program, Needed] = {}
    for found in phases:
        for program in found.programs:
            fields = recipe_fields(study, found.phase) if program.trains else EVALUATION_FIELDS
            needed.setdefault(program, Needed(fields, [])).used_by.append(found.phase.path)
    return Report(
        study=study,
        topology=topology,
        mfu=mfu,
        exact=topology.chip.platform != "gpu",
        programs=_compile_all(needed, work=work, topology=topology, devices=devices, progress=progress),
        phases=phases,
    )


def estimate(
    work: Work,
    *,
    topology: Topology,
    mfu: float,
    tokens: int,
    samples: Samples | None = None,
    now: Callable[[str], None] = lambda text: None,
) -> tuple[PhaseReport, ...]:
    """Amounts and costs of all phases; nothing is compiled.

    Args:
        mfu, tokens: see `check`.
        samples: see `Amounts`.
        now: told what is being looked at.
    """
    amounts = Amounts(work.setting, has_tokenizer=work.has_tokenizer, tokens=tokens, samples=samples)
    found = []
    for phase in work.plan.phases:
        now(f"{topology}: how many tokens {phase.path} has")
        found.append(_phase(phase, work=work, amounts=amounts, topology=topology, mfu=mfu))
    return tuple(found)


def _compile_all(
    needed: dict[Program, Needed], *, work: Work, topology: Topology, devices: list, progress: Progress
) -> tuple[ProgramReport, ...]:
    def compile_on(program: Program, mesh: Mesh) -> Compiled:
        named = f"{topology} {program}, remat {program.model.config.remat}, fsdp {mesh.shape['fsdp']}"
        progress.now(f"{named}: compiling")
        compiled = compile_apart(program, mesh=mesh, topology=topology)
        needs = f"{compiled.memory.total / GIB:.2f} GiB, {'fits' if compiled.fits else 'does not fit'}"
        progress.done(f"{named}: {compiled.failure or needs}, {compiled.seconds:.0f} s")
        return compiled

    def report(program: Program) -> ProgramReport:
        need, compiled = needed[program], compile_on(program, work.setting.mesh)
        advice = None
        if not compiled.fits:
            advice = advise(
                program,
                fields=need.fields,
                mesh=work.setting.study.mesh,
                make_mesh=mesh_on(devices),
                compile_on=compile_on,
                limit=topology.chip.memory,
            )
        return ProgramReport(
            program=program,
            compiled=compiled,
            advice=advice,
            parameters=parameters(program.model),
            used_by=tuple(dict.fromkeys(need.used_by)),
        )

    # A compilation keeps one core busy and takes some GiB; the threads only wait for their children.
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, AT_ONCE)) as workers:
        return tuple(workers.map(report, needed))


def _phase(phase: Phase, *, work: Work, amounts: Amounts, topology: Topology, mfu: float) -> PhaseReport:
    setting = work.setting
    training = training_programs(phase, setting=setting)
    trained = amounts.trained(phase) if training else {}
    costs = [
        _training_cost(program, trained[group], mesh=setting.mesh, topology=topology, mfu=mfu)
        for group, program in training.items()
    ]
    programs, evaluated = list(compiled_training(training.values(), phase)), []
    for name in work.plan.families_after(phase):
        family = tasks.family(name)
        program = evaluation_program(phase, family, setting=setting)
        amount = amounts.evaluated(family, max_length=example_length(phase, family, setting=setting))
        programs.append(program)
        evaluated.append((amount, _evaluation_cost(program, amount, topology=topology, mfu=mfu)))
    return PhaseReport(
        phase=phase,
        programs=tuple(dict.fromkeys(programs)),
        trained=total(trained.values()),
        training=_sum(costs),
        evaluated=total(amount for amount, _ in evaluated),
        evaluation=_sum([cost for _, cost in evaluated]),
    )


def _sum(costs: list[Cost]) -> Cost:
    return Cost(*(sum(part) for part in zip(*costs, strict=True))) if costs else Cost(0.0, 0.0, 0.0)


def _training_cost(program: Program, amount: Amount, *, mesh: Mesh, topology: Topology, mfu: float) -> Cost:
    head = program.model.heads[program.head]
    a_row = flops.training(program.model.config, head, shape=program.shape)
    steps = amount.rows / (program.shape.rows * program.accumulate)
    moved = steps * ADAMW_BYTES * trained_parameters(program, mesh=mesh)
    cost = _compute(a_row, program, amount, topology=topology, mfu=mfu)
    return cost._replace(optimizer_hours=moved / topology.chip.bandwidth / 3600)


def _evaluation_cost(program: Program, amount: Amount, *, topology: Topology, mfu: float) -> Cost:
    a_row = flops.forward(program.model.config, program.model.heads[program.head], shape=program.shape)
    return _compute(a_row, program, amount, topology=topology, mfu=mfu)


def _compute(a_row: int, program: Program, amount: Amount, *, topology: Topology, mfu: float) -> Cost:
    """Operations for the real tokens, as if they filled whole rows: what padding costs is the MFU's business."""
    operations = a_row * amount.tokens / program.shape.length
    return Cost(operations, operations / (topology.chip.peak * mfu * topology.size) / 3600, 0.0)


def trained_parameters(program: Program, *, mesh: Mesh) -> int:
    """Number of the parameters that are trained on one chip of the mesh; the word table counts as a whole."""
    shapes = placed(program.model.abstract_params(), param_shardings(program.model, mesh))
    trained = program.optimizer.split(shapes).trained
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in jax.tree.leaves(trained))


def to_json(report: Report) -> dict[str, Any]:
    """The whole report as plain values: bytes, operations, hours."""
    chip = report.topology.chip
    return {
        "study": report.study.name,
        "topology": str(report.topology),
        "chips": report.topology.size,
        "chip": {"peak_flops": chip.peak, "memory": chip.memory, "bandwidth": chip.bandwidth, "source": chip.source},
        "mfu": report.mfu,
        "memory_is_exact": report.exact,
        "fits": report.fits,
        "programs": [_program_json(each) for each in report.programs],
        "phases": [_phase_json(each, report) for each in report.phases],
        "total": _cost_json(report.cost, report),
    }


def _program_json(each: ProgramReport) -> dict[str, Any]:
    program, compiled = each.program, each.compiled
    return {
        "program": str(program),
        "trains": program.trains,
        "head": dataclasses.asdict(program.model.heads[program.head]),
        "shape": dataclasses.asdict(program.shape),
        "accumulate": program.accumulate,
        "parameters": each.parameters,
        "memory": {**compiled.memory._asdict(), "total": compiled.memory.total},
        "fits": compiled.fits,
        "failure": compiled.failure,
        "involuntary_rematerializations": list(compiled.rematerialized),
        "seconds": round(compiled.seconds, 2),
        "advice": {"flags": list(each.advice.flags), "memory": each.advice.compiled.memory.total}
        if each.advice
        else None,
        "used_by": list(each.used_by),
    }


def _phase_json(each: PhaseReport, report: Report) -> dict[str, Any]:
    return {
        "kind": each.phase.kind,
        "path": each.phase.path,
        "seed": each.phase.seed,
        "programs": [str(program) for program in each.programs],
        "training": {**each.trained._asdict(), **_cost_json(each.training, report)},
        "evaluation": {**each.evaluated._asdict(), **_cost_json(each.evaluation, report)},
    }


def _cost_json(cost: Cost, report: Report) -> dict[str, float]:
    return {**cost._asdict(), "hours": cost.hours, "chip_hours": cost.hours * report.topology.size}
