"""Starting the program on a study, interfering with it, and comparing what it leaves behind with the whole run's."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.faults.outcome import Outcome, differences, outcome

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = "tests/faults/study.py"

DONE, KILLED, STOPPED, STORAGE = 0, -signal.SIGKILL, 75, 74  # statuses
SECONDS = 900  # a start that takes longer hangs

# Compiling is most of what so small a study does. XLA's own optimisations change the numbers, in all runs alike.
_ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "HF_HUB_OFFLINE": "1"}


class Verdict(NamedTuple):
    """How one case ended."""

    case: str
    said: str = ""  # what happened in it
    problem: str = ""  # "" = all is as in the whole run


class Failed(Exception):
    """A case did not go as it should; the message says how."""


class Run:
    """One start of the program.

    Args:
        workdir: the study directory, as the program sees it.
        study: of `study.py`.
        log: what it says goes there.
        faults: arguments of `child.py`; none = the program as users start it.
        shared: a folder with a cache and compiled functions; None = the study directory's own.
        within: a command that the program is started by.
        flags: more of them.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        *,
        study: str,
        log: pathlib.Path,
        faults: Sequence[str] = (),
        shared: pathlib.Path | None = None,
        within: Sequence[str] = (),
        flags: Sequence[str] = (),
    ):
        program = ["tests.faults.child", f"--workdir={workdir}", *faults, "--"] if faults else ["xtreme_stilts.main"]
        places = (
            [f"--config.cache_dir={shared}/cache", f"--config.compilation_cache={shared}/compiled"] if shared else []
        )
        command = [*within, sys.executable, "-m", *program, f"--config={CONFIG}:{study}", f"--workdir={workdir}"]
        self.workdir, self._log = workdir, log
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **_ENVIRONMENT}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # a case without what is cached compiles by itself
        with open(log, "w") as file:
            self.process = subprocess.Popen(
                [*command, *places, *flags], cwd=ROOT, env=environment, stdout=file, stderr=file
            )

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace")

    def wait(self, *, seconds: float = SECONDS) -> int:
        """Its exit status.

        Raises:
            Failed: it takes longer.
        """
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"still running after {seconds:.0f} s: {_tail(self.log)}") from None

    def interrupt(self, number: int, *, after: float) -> int:
        """Sends a signal once the program has used so many processor seconds, unless it ends before; its status."""
        while self.process.poll() is None and self._processor_seconds() < after:
            time.sleep(0.02)
        if self.process.returncode is None:
            self.process.send_signal(number)
        return self.wait()

    def _processor_seconds(self) -> float:
        """User and system time: unlike that of the clock, it says how far a run is on a busy machine, too."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A study, its whole run, and a folder for the cases.

    Args:
        folder: everything is below it; a whole run that is there already is used again.
        study: of `study.py`.
    """

    def __init__(self, folder: pathlib.Path, *, study: str):
        self.folder, self.study = folder / study, study
        self.shared = self.folder / "shared"
        self._trace = self.folder / "changes.txt"
        self._runs = 0

    @functools.cached_property
    def whole(self) -> Outcome:
        """The outcome of the whole run, which began with empty caches."""
        record = self.folder / "whole.json"
        if not record.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self.finish(self.folder / "whole", faults=[f"--trace={self._trace}"])
            record.write_text(json.dumps(outcome(self.folder / "whole"), indent=1))
        return json.loads(record.read_text())

    @property
    def changes(self) -> list[str]:
        """The changes of the whole run, in order."""
        _ = self.whole
        return self._trace.read_text().splitlines()

    @functools.cached_property
    def seconds(self) -> float:
        """Processor seconds of a whole run with what is cached by then, started as users do.

        Raises:
            Failed: its outcome is not that of the first.
        """
        record = self.folder / "seconds.json"
        whole = self.whole
        if not record.exists():
            before = _processor_seconds_of_children()
            self.finish(self.folder / "timed")
            took = _processor_seconds_of_children() - before
            if found := differences(outcome(self.folder / "timed"), whole=whole):
                raise Failed(f"two runs without a fault differ: {', '.join(found[:4])}")
            record.write_text(json.dumps(took))
        return json.loads(record.read_text())

    def start(self, workdir: pathlib.Path, *, faults: Sequence[str] = (), empty: bool = False, **fields) -> Run:
        """Starts the program on the study; `empty`: without what is cached."""
        self._runs += 1
        shared = None if empty else self.shared
        log = self.folder / "logs" / f"{workdir.name}-{self._runs}.log"
        return Run(workdir, study=self.study, log=log, faults=faults, shared=shared, **fields)

    def finish(self, workdir: pathlib.Path, *, starts: int = 1, faults: Sequence[str] = (), **fields) -> list[Run]:
        """Starts the program until it ends with 0; the runs that it took.

        Args:
            starts: at most so many; it is started again only after the status of a failing disk.

        Raises:
            Failed: it does not, within so many starts.
        """
        runs = []
        for _ in range(starts):
            runs.append(self.start(workdir, faults=faults, **fields))
            status = runs[-1].wait()
            if status == DONE:
                return runs
            if status != STORAGE:
                break
        statuses = ", ".join(str(run.process.returncode) for run in runs)
        raise Failed(f"the same command again ended with {statuses}: {_tail(runs[-1].log)}")

    def compare(self, workdir: pathlib.Path, *, without: str = "") -> None:
        """Raises Failed where a finished study is not what the whole run left.

        Args:
            workdir: the study's.
            without: a part of the names of what may differ; "" = nothing may.
        """
        try:
            found = differences(outcome(workdir), whole=self.whole)
        except (OSError, ValueError) as error:
            raise Failed(f"what it left behind cannot be read: {error}") from error
        found = [each for each in found if not without or without not in each]
        if found:
            raise Failed(f"{len(found)} of {len(self.whole)} differ: {', '.join(found[:4])}")

    def case(self, name: str, body: Callable[[pathlib.Path], str]) -> Verdict:
        """Runs a case in an empty study directory, which is removed if all is well.

        Args:
            name: of the case.
            body: what is done; it compares what it has to, raises Failed, and says in a few words how it went.
        """
        workdir = self.folder / "cases" / re.sub(r"[^\w.-]+", "_", name)
        shutil.rmtree(workdir, ignore_errors=True)
        try:
            said = body(workdir)
        except Failed as failure:
            return Verdict(name, problem=f"{failure} (left in {workdir})")
        shutil.rmtree(workdir, ignore_errors=True)
        return Verdict(name, said=said)


def newest_change(workdir: pathlib.Path) -> str:
    """The file or folder below a study directory that was changed last: where a killed run was."""
    paths = [path for path in workdir.rglob("*") if "compiled" not in path.parts]
    return str(max(paths, key=_changed).relative_to(workdir)) if paths else "nothing yet"


def _changed(path: pathlib.Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def one_sentence(run: Run, *, words: Sequence[str]) -> None:
    """The last thing that the program says is a sentence for people; libraries may have said more before it.

    Raises:
        Failed: its last line begins otherwise, or has none of the words.
    """
    lines = run.log.strip().splitlines()
    if not lines or not lines[-1].startswith("error: ") or not any(word in lines[-1] for word in words):
        raise Failed(f"ended with {run.process.returncode}, and its last line does not say why: {_tail(run.log)}")


def _processor_seconds_of_children() -> float:
    """Of those that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tail(log: str) -> str:
    lines = log.strip().splitlines()
    return " | ".join(lines[-3:])[-600:] or "(it said nothing)"
