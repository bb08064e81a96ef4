"""The command line; see `__init__.py`."""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tests import faults
from tests.faults import damage, in_a_row, moments, soak, starts, storage
from tests.faults.bench import Bench, Failed, Verdict

MANY = 10**6  # times: all there are


class Scenario(NamedTuple):
    """Something that can be done to a study."""

    run: Callable[..., Iterator[Verdict]]
    study: str  # of study.py
    times: int  # unless told otherwise
    about: str


def _of(run: Callable, study: str, times: int, about: Callable | None = None) -> Scenario:
    return Scenario(run, study, times, ((about or run).__doc__ or "").splitlines()[0])


SCENARIOS = {
    **{name: _of(moments.repeatedly(name), "deep", 5, each) for name, each in moments.RANDOM.items()},
    "barriers": _of(moments.barriers, "deep", MANY),
    "attempts": _of(moments.attempts, "again", MANY),
    "overtaken": _of(moments.overtaken, "deep", MANY),
    "every_change": _of(moments.every_change, "deep", MANY),
    "damage": _of(damage.latest, "short", MANY),
    "damage_unsealed": _of(damage.unsealed, "short", MANY),
    "damage_best_so_far": _of(damage.best_so_far, "short", MANY),
    "damage_best": _of(damage.best, "short", MANY),
    "damage_parent": _of(damage.parent, "deep", MANY),
    "damage_cache": _of(damage.cache, "short", MANY),
    "damage_records": _of(damage.records, "short", MANY),
    "damage_training_records": _of(damage.records_of_training, "short", MANY),
    "disk_full": _of(storage.disk_full, "short", MANY),
    "read_only": _of(storage.read_only, "short", MANY),
    "in_a_row": _of(in_a_row.in_a_row, "short", 1),
    "two_starts": _of(starts.two_starts, "short", 20),
    "soak": _of(soak.soak, "soak", 1),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=faults.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="the scenarios")
    what.add_argument("--run", metavar="NAME", choices=SCENARIOS, help="one scenario")
    what.add_argument("--random", metavar="N", type=int, help="N faults at random moments")
    parser.add_argument("--times", metavar="N", type=int, help="cases of the scenario; where it has more, N drawn")
    parser.add_argument("--seed", type=int, default=0, help="of what is random; 0 by default")
    parser.add_argument("--study", help="another one of study.py")
    parser.add_argument("--folder", type=pathlib.Path, help="kept; its whole run, if there, is compared with again")
    arguments = parser.parse_args(argv)
    if arguments.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:26}{scenario.about}")
        return 0
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        folder = (arguments.folder or pathlib.Path(temporary)).absolute()
        return _report(_verdicts(arguments, folder=folder))


def _verdicts(arguments: argparse.Namespace, *, folder: pathlib.Path) -> Iterable[Verdict]:
    if arguments.random is not None:
        bench = Bench(folder, study=arguments.study or "deep")
        return moments.at_random(bench, times=arguments.random, seed=arguments.seed)
    scenario = SCENARIOS[arguments.run]
    times = scenario.times if arguments.times is None else arguments.times
    return scenario.run(Bench(folder, study=arguments.study or scenario.study), times=times, seed=arguments.seed)


def _report(verdicts: Iterable[Verdict]) -> int:
    good = cases = 0
    try:
        for verdict in verdicts:
            cases, good = cases + 1, good + (not verdict.problem)
            print(f"{'NOT ' if verdict.problem else ''}identical  {verdict.case}: {verdict.problem or verdict.said}")
            sys.stdout.flush()
    except Failed as failure:  # no case: what all of them are compared with
        print(f"the whole run failed: {failure}")
        cases += 1
    print(f"identical {good}/{cases}")
    return int(good < cases)


if __name__ == "__main__":
    sys.exit(main())
