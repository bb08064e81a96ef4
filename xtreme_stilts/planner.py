"""What a study would do, before it does anything: its graph of phases, and what they cost on chips one may not have.

    python -m xtreme_stilts.main --config=configs/studies/paper.py:real --dry_run
    python -m xtreme_stilts.main --config=FILE --dry_run --topology=v5e:2x4 --topology=h200:1 --mfu=0.4

Terms. A phase is *done* when its folder says so, *to run* otherwise; *shared* by as many cells of the table as are
read off it or off what starts from it. The *critical path* is the chain of phases that takes longest: with any number
of workers (claims.py) a study takes at least so long. *Without sharing* is what training every cell's whole chain for
itself would take. Hours are those of `preflight`, which says how they are estimated; nothing is compiled here.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import rich.console
import rich.table
from etils import epath

from xtreme_stilts import study as study_lib
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.errors import UserError
from xtreme_stilts.graph import Phase, Plan
from xtreme_stilts.preflight import chips
from xtreme_stilts.preflight.amounts import total
from xtreme_stilts.preflight.check import PhaseReport, estimate
from xtreme_stilts.preflight.chips import Topology
from xtreme_stilts.preflight.report import assumptions
from xtreme_stilts.preflight.work import Work, lay_out

TOPOLOGIES = ("v5e:2x4", "h200:1")  # what hours are told for where nothing is asked
WIDTH = 132


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """A study's phases on one topology, by fingerprint."""

    topology: Topology
    mfu: float
    phases: Mapping[str, PhaseReport]

    def hours(self, phases: Iterable[Phase]) -> float:
        """Of training and evaluating these; those of unknown amount count as nothing."""
        found = (self.phases[phase.fingerprint] for phase in phases)
        return sum(each.training.hours + each.evaluation.hours for each in found)


def show(
    study: StudyConfig, *, workdir: epath.PathLike, topologies: Sequence[str] = (), mfu: float = 0.4, tokens: int = 0
) -> None:
    """Prints the plan of a study. Nothing is written or trained, and no weights are read.

    Args:
        study: the checked config.
        workdir: the study directory; what is done there is told.
        topologies: chips to tell hours for, such as `v5e:2x4`; none = TOPOLOGIES, or this machine for a miniature.
        mfu: share of the chips' peak that is assumed.
        tokens: of each training phase whose data are not here; 0 = unknown.

    Raises:
        UserError: what `study.run` would refuse, or a topology that the config's mesh cannot be laid out on.
    """
    asked = [chips.parse(text) for text in topologies or _usual(study)]
    stand_ins = [dataclasses.replace(each, chip=dataclasses.replace(each.chip, platform="cpu")) for each in asked]
    chips.prepare(stand_ins)  # a plan needs so many devices, not these
    study_lib.register(study)
    cache_dir = pathlib.Path(study.cache_dir or pathlib.Path(workdir) / "cache")
    work, costs, problems, samples = None, [], [], {}
    for topology, stand_in in zip(asked, stand_ins, strict=True):
        try:
            devices = chips.devices(stand_in)
            work = lay_out(study, devices=devices, workdir=epath.Path(workdir), cache_dir=cache_dir)
        except UserError as error:
            problems.append(f"{topology}: {error}")
            continue
        found = estimate(work, topology=topology, mfu=mfu, tokens=tokens, samples=samples)
        costs.append(Costs(topology=topology, mfu=mfu, phases={each.phase.fingerprint: each for each in found}))
    if work is None or (topologies and problems):
        raise UserError("\n".join(problems))
    console = rich.console.Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH)
    _print(work, costs, problems=problems, console=console)


def _usual(study: StudyConfig) -> Sequence[str]:
    return ("cpu:1",) if study.model.preset == "mini" and not study.model.weights else TOPOLOGIES


# --------------------------------------------------------------------------------------------------
# The graph


def chain(phase: Phase) -> list[Phase]:
    """A phase's ancestors and itself, the first first."""
    return [*chain(phase.parent), phase] if phase.parent else [phase]


def without_sharing(layout: Plan) -> list[Phase]:
    """The phases to run if every cell of the table had its whole chain for itself; each as often as it would run."""
    return [phase for cell in layout.cells for phase in chain(cell.phase)]


def critical_path(layout: Plan, *, hours: Callable[[Phase], float]) -> list[Phase]:
    """The chain of phases that takes longest."""
    return max(map(chain, layout.phases), key=lambda phases: sum(map(hours, phases)))


# --------------------------------------------------------------------------------------------------
# Printing


def _print(work: Work, costs: list[Costs], *, problems: list[str], console: rich.console.Console) -> None:
    layout, setting = work.plan, work.setting
    say = lambda text: console.print(text, markup=False, soft_wrap=True)  # noqa: E731
    naive = without_sharing(layout)
    say(
        f"study {setting.study.name!r}: {len(layout.phases)} phases for {len(layout.cells)} cells of the table "
        f"({len(naive)} without sharing), {setting.workdir}"
    )
    console.print(_table(work, costs))
    for each in costs:
        say(_totals(each, work=work, naive=naive))
    for each in costs:
        for line in assumptions(each.phases.values(), study=setting.study, topology=each.topology, mfu=each.mfu):
            say(line)
    for problem in problems:
        say(problem)


def _table(work: Work, costs: list[Costs]) -> rich.table.Table:
    """A line for phases that differ in nothing but their seed."""
    table = rich.table.Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("phase", overflow="fold")
    for heading in ("seeds", "done", "shared by", "train Mtok", "from", *(f"h {each.topology}" for each in costs)):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("then evaluates", overflow="fold")
    shared = collections.Counter(phase.fingerprint for phase in without_sharing(work.plan))
    same: dict[tuple[str, str], list[Phase]] = collections.defaultdict(list)
    for phase in work.plan.phases:
        same[phase.kind, phase.path].append(phase)
    for (kind, path), phases in same.items():
        first = costs[0].phases[phases[0].fingerprint]
        table.add_row(
            f"{kind} {path}",
            " ".join(str(phase.seed) for phase in phases),
            _done(phases, work=work),
            str(shared[phases[0].fingerprint]),
            *_trained(first),
            *(f"{each.hours(phases[:1]):.3g}" for each in costs),
            " ".join(work.plan.families_after(phases[0])),
        )
    return table


def _done(phases: list[Phase], *, work: Work) -> str:
    count = sum(phase.recipe is not None and work.setting.is_done(phase) for phase in phases)
    return "" if phases[0].recipe is None else f"{count} of {len(phases)}"


def _trained(found: PhaseReport) -> tuple[str, str]:
    if found.phase.recipe is None:
        return "", ""
    return (f"{found.trained.tokens / 1e6:,.2f}" if found.trained.known else "?"), found.trained.source


def _totals(costs: Costs, *, work: Work, naive: list[Phase]) -> str:
    layout, chips_used = work.plan, costs.topology.size
    left = [phase for phase in layout.phases if phase.recipe is None or not work.setting.is_done(phase)]
    longest = critical_path(layout, hours=lambda phase: costs.hours([phase]))
    hours, reports = costs.hours(layout.phases), costs.phases.values()
    tokens = total(each.trained for each in reports if each.phase.recipe is not None and each.trained.known).tokens
    unknown = sum(not amount.known for each in reports for amount in (each.trained, each.evaluated))
    lacks = f"; {unknown} amounts are unknown, not counted" if unknown else ""
    return (
        f"{costs.topology}: {hours:.3g} h, {hours * chips_used:.3g} chip-hours, {tokens / 1e6:,.0f} M tokens; "
        f"still to run {costs.hours(left):.3g} h; critical path {costs.hours(longest):.3g} h ({longest[-1].path}); "
        f"without sharing {costs.hours(naive):.3g} h{lacks}"
    )
