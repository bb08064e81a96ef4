"""One fault after the other in one study: a kill, a damaged checkpoint, a full disk, a damaged record."""

from __future__ import annotations

import contextlib
import functools
import pathlib
from collections.abc import Iterator

from tests.faults.bench import DONE, KILLED, STORAGE, Bench, Failed, Verdict, one_sentence
from tests.faults.child import BALLAST
from tests.faults.damage import DAMAGES
from tests.faults.storage import SIZE, WORDS, Place, mounted, why_not

_KILL = "mkdir phases/mini_panx*/latest/50*"
_FILL = "write phases/mini_panx*/evaluations/*/.tr.jsonl*"


@contextlib.contextmanager
def _place(workdir: pathlib.Path) -> Iterator[Place]:
    """A small disk for the study where there can be one, else just its folder."""
    if why_not():
        workdir.mkdir(parents=True)
        yield Place((), workdir)
    else:
        with mounted(workdir, f'mount -t tmpfs -o size={SIZE} none "$0"') as place:
            yield place


def _damage(study: pathlib.Path, pattern: str, damage: str) -> None:
    path = max((path for path in study.glob(pattern) if path.is_file()), key=lambda path: path.stat().st_size)
    DAMAGES[damage](path)


def _row(bench: Bench, workdir: pathlib.Path) -> str:
    with _place(workdir) as place:
        killed = bench.start(workdir, faults=[f"--kill={_KILL}"], within=place.within)
        if (status := killed.wait()) != KILLED:
            raise Failed(f"ended with {status}, and the change {_KILL!r} was none of it: {killed.log[-400:]}")
        _damage(place.seen, "phases/mini_panx*/latest/40/**/*", "zeros in")
        said = f"{status}, zeros in latest/40"
        if place.within:
            filled = bench.start(workdir, faults=[f"--fill={_FILL}"], within=place.within)
            if (status := filled.wait()) != STORAGE:
                raise Failed(f"ended with {status} on the full disk, not with {STORAGE}: {filled.log[-400:]}")
            one_sentence(filled, words=WORDS)
            (place.seen / BALLAST).unlink()
            said += f", {status} on a full disk"
        _damage(place.seen, "results.csv", "half of")
        bench.finish(workdir, within=place.within)
        bench.compare(place.seen)
    return f"{said}, half of results.csv, {DONE}"


def in_a_row(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """A kill, a damaged checkpoint, a full disk and a damaged record, one after the other in one study."""
    _ = bench.whole
    yield bench.case("in a row", functools.partial(_row, bench))
