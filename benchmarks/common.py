"""What all benchmarks share: sides in processes of their own, interleaved samples, medians and ratios, the report.

Terms. A *side* is one program of a comparison, in a child process that stays alive, so that sides share neither
threads nor allocators. A *sample* is what one call of a side measured: `seconds` and whatever it counted. Samples of
all sides are taken in turn, A B C then C B A and so on, so that a drift of the machine meets all of them alike; a
ratio is a ratio of medians. Seconds are wall-clock; memory is in MiB.

Assumes Linux. Needs numpy and the standard library alone; sides import what they measure.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from xtreme_stilts.errors import UserError

Sample = Mapping[str, Any]

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "transformers", "tokenizers", "grain", "faiss-cpu")


# --- sides --------------------------------------------------------------------------------------------------


def environment(*, device: str = "cpu", **more: str) -> dict[str, str]:
    """Environment variables of a side, the same for all: huge pages, no network, one platform.

    XLA takes fresh memory every step and torch's allocator gives it back, so both gain from huge pages; torch asks
    for them only where THP_MEM_ALLOC_ENABLE says so.
    """
    threads = str(len(os.sched_getaffinity(0)))
    return {
        **os.environ,
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "THP_MEM_ALLOC_ENABLE": "1",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "JAX_PLATFORMS": {"cpu": "cpu", "gpu": "cuda"}[device],
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # two sides share one accelerator
        "HF_HUB_OFFLINE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **more,
    }


class SideFailed(RuntimeError):
    """A side raised, or ended; the message is its own."""


class Side:
    """One side: an object made in a child process, whose methods are called from here.

    Args:
        factory: `module:class`; the class takes `settings` as keywords, and its methods return JSON-able dicts.
        settings: JSON-able.
        environ: from `environment`.
    """

    def __init__(self, factory: str, *, settings: Mapping[str, Any], environ: Mapping[str, str]):
        self._name = factory
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.side", factory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environ),
            text=True,
        )
        self._write(settings)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, method: str, **arguments: Any) -> None:
        """Starts a call; `receive` waits for it."""
        self._write({"method": method, "arguments": arguments})

    def receive(self) -> Sample:
        """The result of the call under way, with `peak_mib`, the most memory the process held during it.

        Raises:
            SideFailed: the method raised, or the process ended.
        """
        line = self._process.stdout.readline()
        if not line:
            raise SideFailed(f"{self._name} ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SideFailed(f"{self._name}: {answer['error']}")
        return answer

    def call(self, method: str, **arguments: Any) -> Sample:
        """`send` and `receive`."""
        self.send(method, **arguments)
        return self.receive()

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _write(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # `receive` tells that the process has ended
            print(json.dumps(message), file=self._process.stdin, flush=True)


def call_all(sides: Mapping[str, Side], method: str, **arguments: Any) -> dict[str, Sample]:
    """Calls one method of several sides at the same time."""
    for side in sides.values():
        side.send(method, **arguments)
    return {name: side.receive() for name, side in sides.items()}


def installed(package: str) -> bool:
    """Whether a package can be imported; a side whose package is missing is left out with a note."""
    return importlib.util.find_spec(package) is not None


# --- samples ------------------------------------------------------------------------------------------------


def timed(work: Callable[[], Any], *, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Runs `work` once: {"seconds": ...}."""
    began = clock()
    work()
    return {"seconds": clock() - began}


def interleave(
    actions: Mapping[str, Callable[[], Sample]], *, repeats: int, say: Callable[[str], None] = print
) -> dict[str, list[Sample]]:
    """Samples of every action, in turn and back: A B C, C B A, A B C, ...

    Args:
        actions: name -> takes one sample.
        repeats: samples of each.
        say: is told of each round.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in actions}
    for number in range(repeats):
        for name in list(actions)[:: 1 if number % 2 == 0 else -1]:
            samples[name].append(actions[name]())
        shown = ", ".join(f"{name} {taken[-1]['seconds']:.3g} s" for name, taken in samples.items())
        say(f"  round {number + 1} of {repeats}: {shown}")
    return samples


def median(samples: Sequence[Sample], key: str = "seconds") -> float:
    """Median of one quantity over samples."""
    return statistics.median(sample[key] for sample in samples)


def median_rate(samples: Sequence[Sample], key: str) -> float:
    """Median over samples of a count per second."""
    return statistics.median(sample[key] / sample["seconds"] for sample in samples)


def summary(samples: Sequence[Sample], *, counts: Sequence[str] = ()) -> dict[str, Any]:
    """Median, least and most seconds, peak memory, and rates of what was counted, for the report."""
    found: dict[str, Any] = {
        "seconds": median(samples),
        "seconds_min": min(sample["seconds"] for sample in samples),
        "seconds_max": max(sample["seconds"] for sample in samples),
        "samples": len(samples),
    }
    if all("peak_mib" in sample for sample in samples):
        found["peak_mib"] = max(sample["peak_mib"] for sample in samples)
    for key in counts:
        found[f"{key}_per_s"] = median_rate(samples, key)
    return found


# --- machine ------------------------------------------------------------------------------------------------


def reset_peak_memory() -> None:
    """Makes the kernel forget this process's largest resident size so far (where it lets us)."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib() -> float:
    """Largest resident size of this process since `reset_peak_memory`."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, load, and versions of what is compared."""
    info = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "processor": next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "?"),
        "threads": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


# --- command line and report --------------------------------------------------------------------------------


def arguments(description: str, *, repeats: int) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take; `description` is a module's docstring, of which a line is shown."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="tiny shapes, seconds: shows that it works, measures nothing"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report there as JSON")
    parser.add_argument("--repeats", type=int, default=repeats, help="samples of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="cores that every side may use (default: all)")
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """The argument of benchmarks that can read real rows."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("XTREME_STILTS_DATA", ""),
        help="folder with tfds/ and tokenizer/xlmr (default: $XTREME_STILTS_DATA, else made-up rows)",
    )


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, checked; keeps this process and its sides to `--threads` cores.

    Raises:
        UserError: a number out of range, or no folder `--data`.
    """
    given = parser.parse_args(argv)
    if given.repeats < 1:
        raise UserError(f"--repeats is {given.repeats}; it must be at least 1")
    cores = sorted(os.sched_getaffinity(0))
    if not 0 <= given.threads <= len(cores):
        raise UserError(f"--threads is {given.threads}; it must be 1 to {len(cores)}, or 0 for all")
    if given.threads:
        os.sched_setaffinity(0, cores[: given.threads])
    data = getattr(given, "data", "")
    if data and not (pathlib.Path(data) / "tfds").is_dir():
        raise UserError(f"--data is {data!r}; it must be a folder with tfds/ and tokenizer/xlmr in it")
    return given


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Text columns: the first to the left, numbers to the right with three or four digits that count."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        aligned = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def show(summaries: Mapping[str, Mapping[str, Any]], *, title: str, columns: Sequence[str]) -> None:
    """Prints a table with a line for each side, `title` over their names."""
    print()
    print(table((title, *columns), [[name, *(one.get(key) for key in columns)] for name, one in summaries.items()]))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def report(
    name: str,
    *,
    given: argparse.Namespace,
    machine: Mapping[str, Any],
    sides: Mapping[str, Mapping[str, Any]],
    ratios: Mapping[str, float],
    notes: Sequence[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """Prints ratios and notes, writes `--json`, and returns what was written."""
    result = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "settings": {key: value for key, value in vars(given).items() if key != "json"},
        "machine": dict(machine),
        "sides": {key: dict(value) for key, value in sides.items()},
        "ratios": dict(ratios),
        "notes": list(notes),
        **more,
    }
    if ratios:
        print()
        print(table(("ratio", "value"), list(ratios.items())))
    for note in notes:
        print(f"note: {note}")
    if given.json:
        path = pathlib.Path(given.json)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


@contextlib.contextmanager
def reported_errors() -> Iterator[None]:
    """Ends the program with one sentence: status 2 where the user erred, 1 where a side failed."""
    try:
        yield
    except (UserError, SideFailed) as error:
        print(error, file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)
