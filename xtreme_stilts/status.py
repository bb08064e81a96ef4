"""How far a study is: what is done, running, failed (and why) and left, and when it will be finished.

    python -m xtreme_stilts.status DIR               one look
    python -m xtreme_stilts.status DIR --watch=10    again every ten seconds, until all is done

It only reads, and may be asked from any machine that sees the study directory. The time that is left is estimated
from what finished phases took: of the same mixture, else of the same kind, else of all; divided by the workers alive.

Exit status: 0; 1 where a phase failed; 2 bad input (one sentence).
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import rich.console
import rich.live
import rich.table
import rich.text
from etils import epath

from xtreme_stilts import flags
from xtreme_stilts.claims import EXPIRY, newest
from xtreme_stilts.errors import UserError
from xtreme_stilts.files import read_object

PLAN = "plan.json"  # in the study directory; directory.py writes it
_PLANNED = {"folder", "kind", "path", "seed", "steps", "evaluates"}  # what is said of a phase in it
DONE, RUNNING, FAILED, LEFT = STATES = ("done", "running", "failed", "left")
_COLOURS = {DONE: "green", RUNNING: "cyan", FAILED: "red", LEFT: ""}


class PhaseState(NamedTuple):
    """One phase of the plan.

    Attributes:
        kind, path, seed: as in the plan.
        state: one of STATES.
        note: running: who, the step and the last sign of life; failed: why; done: whether it did not learn.
        seconds: that it took; nan where it is not done.
    """

    kind: str
    path: str
    seed: int
    state: str
    note: str
    seconds: float


class Status(NamedTuple):
    """A study at one moment."""

    name: str
    phases: tuple[PhaseState, ...]

    def count(self, state: str) -> int:
        """Phases in a state."""
        return sum(phase.state == state for phase in self.phases)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.count(DONE) == len(self.phases)

    @property
    def seconds_left(self) -> float:
        """Estimate for the workers there are; as for one where there is none; nan before any phase is done."""
        took = collections.defaultdict(list)
        for phase in self.phases:
            if phase.state == DONE and phase.seconds == phase.seconds:
                for key in _keys(phase):
                    took[key].append(phase.seconds)
        if not took:
            return float("nan")
        todo = [phase for phase in self.phases if phase.state != DONE]
        means = [statistics.mean(next(took[key] for key in _keys(phase) if took[key])) for phase in todo]
        return sum(means) / max(1, self.count(RUNNING))


def _keys(phase: PhaseState) -> tuple:
    """What phases that take about as long have in common, the most telling first."""
    return (phase.kind, phase.path.rpartition(" > ")[2]), phase.kind, None


def read_plan(workdir: epath.PathLike) -> dict[str, Any]:
    """What `plan.json` says; {} where there is none.

    Raises:
        UserError: it cannot be read.
    """
    path = epath.Path(workdir) / PLAN
    try:
        plan = json.loads(path.read_text())
        if not {"name", "phases"} <= set(plan) or not all(set(phase) >= _PLANNED for phase in plan["phases"]):
            raise ValueError("not what a run writes")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it, the next run writes it again") from error
    return plan


def read_status(workdir: epath.PathLike) -> Status:
    """Looks at a study directory.

    Raises:
        UserError: it is no study directory.
    """
    workdir = epath.Path(workdir)
    plan = read_plan(workdir)
    if not plan:
        raise UserError(f"{workdir} is no study directory: there is no {PLAN} in it")
    return Status(plan["name"], tuple(_phase(each, workdir / "phases" / each["folder"]) for each in plan["phases"]))


def _phase(planned: Mapping[str, Any], folder: epath.Path) -> PhaseState:
    where = {name: planned[name] for name in ("kind", "path", "seed")}
    evaluated = all((folder / "evaluations" / name / "scores.json").exists() for name in planned["evaluates"])
    trained = planned["kind"] == "retrieval" or (folder / "done.json").exists()
    unlearned = read_object(folder / "done.json").get("unlearned")
    worked = read_object(folder / "worked.json")
    claim = newest(folder)
    if claim is not None and not claim.holder.released and not claim.holder.is_known_dead():
        return PhaseState(**where, state=RUNNING, note=_running(claim, folder, planned), seconds=float("nan"))
    if failed := read_object(folder / "failed.json"):
        return PhaseState(**where, state=FAILED, note=failed.get("error", ""), seconds=float("nan"))
    left_behind = claim is not None and not claim.holder.released
    if trained and evaluated and (worked or not left_behind):
        note = f"did not learn {', '.join(unlearned)}: its loss stayed at guessing" if unlearned else ""
        return PhaseState(**where, state=DONE, note=note, seconds=worked.get("seconds", float("nan")))
    begun = "begun" if (folder / "latest").exists() or (trained and planned["kind"] != "retrieval") else ""
    return PhaseState(**where, state=LEFT, note=begun, seconds=float("nan"))


def _running(claim, folder: epath.Path, planned: Mapping[str, Any]) -> str:
    step = _last_step(folder / "metrics.jsonl")
    steps = planned["steps"] or read_object(folder / "run_card.json").get("steps")
    of = f" of {steps}" if steps else ""
    doing = "evaluating" if (folder / "done.json").exists() else f"step {step}{of}" if step else "starting"
    if failed := read_object(folder / "attempts.json").get("failed"):
        doing = f"restart {len(failed)}, {doing}"
    silent = f", no sign of life for {claim.age:.0f} s" if claim.age > EXPIRY else ""
    return f"{doing}, {claim.holder} since {claim.holder.since}{silent}"


def _last_step(path: epath.Path) -> int:
    try:
        return json.loads(path.read_text().splitlines()[-1])["step"]
    except (OSError, ValueError, IndexError, KeyError):
        return 0


# --------------------------------------------------------------------------------------------------
# Printing


def to_text(status: Status) -> rich.console.Group:
    """Counts above; a line for each phase that runs or failed, and for each group of those done or left."""
    counts = ", ".join(f"{status.count(state)} {state}" for state in STATES if status.count(state))
    heading = rich.text.Text(f"{status.name}: {len(status.phases)} phases, {counts}{_eta(status)}")
    table = rich.table.Table(box=None, pad_edge=False)
    for title in ("phase", "seed", "state", ""):
        table.add_column(title, overflow="fold")
    same: dict[tuple, list[PhaseState]] = collections.defaultdict(list)
    for phase in status.phases:
        alone = phase.state in (RUNNING, FAILED)
        same[phase.kind, phase.path, phase.state, phase.note, phase.seed if alone else None].append(phase)
    for (kind, path, state, note, _), phases in same.items():
        seeds = " ".join(str(phase.seed) for phase in phases)
        text = (rich.text.Text(f"{kind} {path}"), seeds, rich.text.Text(state, _COLOURS[state]), rich.text.Text(note))
        table.add_row(*text)
    return rich.console.Group(heading, table)


def _eta(status: Status) -> str:
    left = status.seconds_left
    if status.finished or left != left:
        return ""
    workers = status.count(RUNNING)
    at_work = f"with {workers} at work" if workers else "for one worker; none is at work"
    return f", about {datetime.timedelta(seconds=round(left))} left {at_work}"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    return flags.answered(_run, argv)


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if not 0 <= arguments.watch < math.inf:
        raise UserError(f"--watch is {arguments.watch:g}; it must be a number of seconds, 0 or more")
    status = read_status(arguments.directory)
    if arguments.json:
        print(json.dumps({"name": status.name, "phases": [phase._asdict() for phase in status.phases]}, indent=1))
    else:
        status = _show(status, arguments)
    return 1 if status.count(FAILED) else 0


def _parser() -> flags.Parser:
    parser = flags.Parser(
        prog="python -m xtreme_stilts.status",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", help="study directory, local or gs://")
    parser.add_argument("--watch", metavar="SECONDS", type=float, default=0.0, help="look again every so often")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _show(status: Status, arguments: argparse.Namespace) -> Status:
    console = rich.console.Console(highlight=False, width=None if sys.stdout.isatty() else 132)
    if not arguments.watch:
        console.print(to_text(status))
        return status
    try:
        with rich.live.Live(to_text(status), console=console, auto_refresh=False) as live:
            while not status.finished:
                time.sleep(arguments.watch)
                status = read_status(arguments.directory)
                live.update(to_text(status), refresh=True)
    except KeyboardInterrupt:
        pass
    return status


if __name__ == "__main__":
    sys.exit(main())
