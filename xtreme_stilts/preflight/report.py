"""The tables that are printed."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable

import rich.console
import rich.table

from xtreme_stilts.config import StudyConfig
from xtreme_stilts.preflight.amounts import Amount
from xtreme_stilts.preflight.check import Cost, PhaseReport, ProgramReport, Report
from xtreme_stilts.preflight.chips import GIB, Topology

WIDTH = 132  # of the tables where nobody looks on

_SOURCES = {
    "caches": "tokenised caches",
    "sample": "rows of the data set times the lengths of a sample",
    "published": "published number of examples times the lengths of a sample of what is here of the data set",
    "recipe": "the recipe's capacity, rows * length * steps",
    "--tokens": "as --tokens says",
    "bound": "upper bound, published number of examples times the longest one allowed",
    "unknown": "the data are not here (give --tokens, or a folder of data or caches)",
}


def print_report(report: Report, *, console: rich.console.Console) -> None:
    """Programs, what to change, phases, total, and what all of it assumes."""
    say = functools.partial(console.print, markup=False, soft_wrap=True)
    topology, chip = report.topology, report.topology.chip
    mesh = ", ".join(f"{name}={getattr(report.study.mesh, name)}" for name in ("data", "fsdp", "tensor"))
    say(f"\n{report.study.name!r} on {topology}: {topology.size} chip(s) of {chip.memory / GIB:.2f} GiB, mesh {mesh}")
    console.print(_programs(report))
    for each in report.programs:
        for line in _problems(each):
            say(f"  {line}")
    console.print(_phases(report))
    cost = report.cost
    unknown = sum(not amount.known for each in report.phases for amount in (each.trained, each.evaluated))
    lacks = f"; {unknown} amounts are unknown and not in it" if unknown else ""
    say(
        f"total: {cost.flops / 1e18:.4g} EFLOP, {cost.hours:.3g} h, {cost.hours * topology.size:.3g} chip-hours"
        f" ({cost.compute_hours:.3g} h of products, {cost.optimizer_hours:.3g} h of AdamW){lacks}"
    )
    told = assumptions(report.phases, study=report.study, topology=topology, mfu=report.mfu)
    for line in [*told, *_about_memory(report)]:
        say(line)


def _table(title: str) -> rich.table.Table:
    return rich.table.Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")


def _programs(report: Report) -> rich.table.Table:
    table = _table("memory of a chip, GiB")
    table.add_column("program", overflow="fold")
    for heading in ("params M", "arguments", "temporaries", "total", "fits", "moved whole", "compiled s", "phases"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in report.programs:
        memory = each.compiled.memory
        table.add_row(
            str(each.program),
            f"{each.parameters / 1e6:.1f}",
            f"{memory.arguments / GIB:.2f}",
            f"{memory.temporaries / GIB:.2f}",
            f"{memory.total / GIB:.2f}",
            "yes" if each.compiled.fits else "crash" if each.compiled.failure else "NO",
            str(len(each.compiled.rematerialized)),
            f"{each.compiled.seconds:.0f}",
            str(len(each.used_by)),
        )
    return table


def _problems(each: ProgramReport) -> list[str]:
    lines, why = [], each.compiled.failure or "does not fit"
    if not each.compiled.fits and each.advice is None:
        lines.append(f"{each.program}: {why}, and nothing that was tried helps: take other chips, or more of them")
    elif each.advice is not None:
        total = each.advice.compiled.memory.total / GIB
        lines.append(f"{each.program}: {why}; it fits ({total:.2f} GiB) with {' '.join(each.advice.flags)}")
    lines += [f"{each.program} moves whole arrays: {said}" for said in each.compiled.rematerialized]
    return lines


def _phases(report: Report) -> rich.table.Table:
    table = _table("phases")
    table.add_column("phase", overflow="fold")
    for heading in ("seeds", "train Mtok", "from", "PFLOP", "h", "chip-h", "evaluate Mtok", "from", "h"):
        table.add_column(heading, justify="right", no_wrap=True)
    same: dict[tuple[str, str], list[PhaseReport]] = collections.defaultdict(list)
    for each in report.phases:
        same[each.phase.kind, each.phase.path].append(each)
    for (kind, path), each in same.items():
        table.add_row(f"{kind} {path}", str(len(each)), *_amounts(each[0], chips=report.topology.size))
    return table


def _amounts(each: PhaseReport, *, chips: int) -> tuple[str, ...]:
    """Of one seed."""
    training = ("",) * 5 if each.phase.recipe is None else _trained(each.trained, each.training, chips=chips)
    evaluation = (_millions(each.evaluated), each.evaluated.source, _hours(each.evaluated, each.evaluation))
    return (*training, *(evaluation if len(each.programs) > bool(each.phase.recipe) else ("",) * 3))


def _trained(amount: Amount, cost: Cost, *, chips: int) -> tuple[str, ...]:
    petaflop = f"{cost.flops / 1e15:,.4g}" if amount.known else "?"
    chip_hours = f"{cost.hours * chips:.3g}" if amount.known else "?"
    return (_millions(amount), amount.source, petaflop, _hours(amount, cost), chip_hours)


def _millions(amount: Amount) -> str:
    return f"{amount.tokens / 1e6:,.2f}" if amount.known else "?"


def _hours(amount: Amount, cost: Cost) -> str:
    return f"{cost.hours:.3g}" if amount.known else "?"


def assumptions(phases: Iterable[PhaseReport], *, study: StudyConfig, topology: Topology, mfu: float) -> list[str]:
    """What hours rest on, a sentence a line."""
    chip = topology.chip
    lines = [
        f"assumed: {mfu:g} of the peak of {chip.peak / 1e12:.4g} TFLOP/s in bfloat16 (MFU), "
        f"{chip.bandwidth / 1e9:.4g} GB/s ({chip.source}); no time between chips, for data, validation or compiling"
    ]
    sources = {amount.source for each in phases for amount in (each.trained, each.evaluated)}
    lines += [f"from {name}: {_SOURCES[name]}" for name in _SOURCES if name in sources]
    if study.model.dtype == "float32" and chip.platform != "cpu":
        lines.append("config.model.dtype is float32, which is far slower than the peak; set it to bfloat16")
    return lines


def _about_memory(report: Report) -> list[str]:
    lines = []
    if any(each.phase.recipe and each.phase.recipe.embeddings == "active" for each in report.phases):
        lines.append("memory is an upper bound: phases without a language model train only the words their data use")
    if not report.exact:
        lines.append("memory is an estimate: arguments are exact, temporaries those of the program for this CPU")
    return lines
