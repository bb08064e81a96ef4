"""200 short phases in one process: memory, open files and threads must not grow with their number."""

from __future__ import annotations

import functools
import pathlib
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.faults.bench import DONE, Bench, Failed, Run, Verdict

WARM = 40  # phases after which all functions are compiled and all caches open
MORE_MEMORY = 0.05  # growth of the resident memory from then on to the end that is too much
MORE_HANDLES = 3  # the same of open files and of threads


class Sample(NamedTuple):
    """The process at one moment."""

    phases: int  # trained so far
    mib: float  # resident memory
    files: int
    threads: int


def _sample(run: Run) -> Sample | None:
    """None where it has ended."""
    proc = pathlib.Path(f"/proc/{run.process.pid}")
    try:
        fields = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return Sample(
            phases=sum(1 for _ in run.workdir.glob("phases/*/done.json")),
            mib=int(fields["VmRSS"].split()[0]) / 1024,
            files=sum(1 for _ in (proc / "fd").iterdir()),
            threads=int(fields["Threads"]),
        )
    except (OSError, KeyError):
        return None


def _sampled(run: Run) -> list[Sample]:
    """A sample for each phase, until the program ends."""
    samples: list[Sample] = []
    while run.process.poll() is None:
        found = _sample(run)
        if found is not None and (not samples or found.phases > samples[-1].phases):
            samples.append(found)
        time.sleep(0.5)
    return samples


def _of(samples: Sequence[Sample]) -> Sample:
    """What a process holds all the time: the median of its memory, the least of what else is open for moments only."""
    phases, mib, files, threads = zip(*samples, strict=True)
    return Sample(max(phases), statistics.median(mib), min(files), min(threads))


def _soaked(bench: Bench, workdir: pathlib.Path) -> str:
    run = bench.start(workdir)
    samples = _sampled(run)
    if (status := run.wait()) != DONE:
        raise Failed(f"ended with {status}: {run.log[-600:]}")
    last = samples[-1].phases
    print("phases  MiB resident  open files  threads")
    for first in range(0, last, 20):
        group = [sample for sample in samples if first < sample.phases <= first + 20]
        if group:
            found = _of(group)
            print(f"{found.phases:6}  {found.mib:12.0f}  {found.files:10}  {found.threads:7}")
    early = _of([sample for sample in samples if WARM < sample.phases <= WARM + 40])
    late = _of([sample for sample in samples if last - 40 < sample.phases])
    said = (
        f"{last} phases: {early.mib:.0f} -> {late.mib:.0f} MiB, {early.files} -> {late.files} files, "
        f"{early.threads} -> {late.threads} threads"
    )
    grown = late.mib > early.mib * (1 + MORE_MEMORY)
    if grown or late.files > early.files + MORE_HANDLES or late.threads > early.threads + MORE_HANDLES:
        raise Failed(f"it grows: {said}")
    return said


def soak(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """200 phases of four steps in one process."""
    yield bench.case("soak", functools.partial(_soaked, bench))
