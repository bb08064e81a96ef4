"""Scenarios that damage what a killed study left on the disk, one file at a time, before it is started again."""

from __future__ import annotations

import functools
import pathlib
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping

from tests.faults.bench import DONE, KILLED, Bench, Failed, Verdict, one_sentence


def _half(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def _zeroed(path: pathlib.Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES: Mapping[str, Callable[[pathlib.Path], None]] = {
    "half of": _half,
    "nothing in": _empty,
    "zeros in": _zeroed,
    "without": pathlib.Path.unlink,
}


def _prepared(bench: Bench, name: str, *, change: str, **fields) -> pathlib.Path:
    """A study that was killed just before a change; made once."""
    workdir = bench.folder / "prepared" / name
    if not workdir.exists():
        _ = bench.whole  # what is cached does not change from here on
        making = workdir.with_name(f"{name}.part")
        shutil.rmtree(making, ignore_errors=True)
        run = bench.start(making, faults=[f"--kill={change}"], **fields)
        if (status := run.wait()) != KILLED:
            raise Failed(f"ended with {status}, and the change {change!r} was none of it: {run.log[-400:]}")
        making.rename(workdir)
    return workdir


def _damaged(
    bench: Bench, prepared: pathlib.Path, name: str, damage: str, workdir: pathlib.Path, *, empty: bool = False
) -> str:
    """Damages one file of a copy and starts the program: the numbers of the whole run, at once.

    A refusal is no loss where it names the file to be removed, and where all goes on without it.
    """
    shutil.copytree(prepared, workdir, symlinks=True)
    DAMAGES[damage](workdir / name)
    run = bench.start(workdir, empty=empty)
    status = run.wait()
    if status == 2:
        one_sentence(run, words=[pathlib.Path(name).name])
        (workdir / name).unlink(missing_ok=True)
        run = bench.start(workdir, empty=empty)
        if (again := run.wait()) != DONE:
            raise Failed(f"ended with {again} after the file was removed as asked: {run.log[-400:]}")
        bench.compare(workdir, without=_logged(name))
        return "refused with a sentence, removed, went on"
    if status != DONE:
        raise Failed(f"ended with {status}: {run.log[-400:]}")
    bench.compare(workdir, without=_logged(name))
    told = [line for line in run.log.splitlines() if any(word in line for word in _TOLD)]
    return f"told: {told[0]}" if told else "went on without a word"


def _logged(name: str) -> str:
    """What of the outcome nothing but the damaged file had: the log of a training, which tells and decides nothing."""
    return "/validations" if name.endswith("metrics.jsonl") else ""


_TOLD = ("damaged", "cannot be read", "has lost", "bytes of its file", "trained again", "is made again", "cut short")


def _each(
    bench: Bench, prepared: pathlib.Path, names: Iterable[str], *, times: int, seed: int, empty: bool = False
) -> Iterator[Verdict]:
    """Every file with every damage; of more than `times` so many, drawn by the seed."""
    cases = [(name, damage) for name in names for damage in DAMAGES]
    print(f"{len(cases) // len(DAMAGES)} files x {len(DAMAGES)} damages", flush=True)
    if len(cases) > times:
        cases = random.Random(seed).sample(cases, times)
    for name, damage in cases:
        body = functools.partial(_damaged, bench, prepared, name, damage, empty=empty)
        yield bench.case(f"{damage} {name}", body)


def _files(workdir: pathlib.Path, pattern: str) -> list[str]:
    found = sorted(path for path in workdir.glob(pattern) if path.is_file())
    if not found:
        raise Failed(f"{workdir} has no file {pattern}")
    return [str(path.relative_to(workdir)) for path in found]


def latest(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each file of the newest checkpoint of a training that was killed."""
    prepared = _prepared(bench, "training", change="mkdir phases/mini_panx*/latest/50*")
    yield from _each(bench, prepared, _files(prepared, "phases/*/latest/40/**/*"), times=times, seed=seed)


def unsealed(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """The same where the kill came before the checkpoint was sealed."""
    prepared = _prepared(bench, "unsealed", change="rename phases/mini_panx*/latest/40.seal.json")
    yield from _each(bench, prepared, _files(prepared, "phases/*/latest/40/**/*"), times=times, seed=seed)


def best_so_far(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each file of the best checkpoint of a training that was killed."""
    prepared = _prepared(bench, "training", change="mkdir phases/mini_panx*/latest/50*")
    yield from _each(bench, prepared, _files(prepared, "phases/*/best/**/*"), times=times, seed=seed)


def best(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each file of the best checkpoint of a trained phase whose evaluation was killed."""
    prepared = _prepared(bench, "evaluating", change="rename phases/mini_panx*/evaluations/*/tr.jsonl")
    yield from _each(bench, prepared, _files(prepared, "phases/mini_panx*/best/**/*"), times=times, seed=seed)


def parent(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each file of the best checkpoint that the phase to come starts from."""
    prepared = _prepared(bench, "handed", change="mkdir phases/both*/latest/10*")
    yield from _each(bench, prepared, _files(prepared, "phases/mini_mlm*/best/**/*"), times=times, seed=seed)


def cache(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each file of the tokenised data, and of the compiled functions."""
    prepared = _prepared(bench, "cached", change="mkdir phases/mini_panx*/latest/50*", empty=True)
    names = _files(prepared, "cache/*/*") + _files(prepared, "compiled/*")
    yield from _each(bench, prepared, names, times=times, seed=seed, empty=True)


def records(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each small file of a study that was killed before its last rows were in results.csv."""
    prepared = _prepared(bench, "recorded", change="rename results.csv@2")
    names = _files(prepared, "*.*") + _files(prepared, "phases/*/*.*") + _files(prepared, "phases/*/evaluations/*/*")
    yield from _each(bench, prepared, names, times=times, seed=seed)


def records_of_training(bench: Bench, *, times: int, seed: int) -> Iterator[Verdict]:
    """Each small file of a phase whose training was killed."""
    prepared = _prepared(bench, "training", change="mkdir phases/mini_panx*/latest/50*")
    names = _files(prepared, "phases/mini_panx*/*.*") + _files(prepared, "phases/mini_panx*/*/*.json")
    yield from _each(bench, prepared, names, times=times, seed=seed)
