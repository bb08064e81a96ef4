"""What a running phase tells: metrics.jsonl, TensorBoard, and a progress line with ETA and real tokens per second.

Within `tracking` it tells Weights & Biases, too: metrics.jsonl stays the record, and a service that does not answer
never stops or slows a training beyond its own time-out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import rich.console
import rich.progress
from etils import epath

from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.files import write_text

logger = logging.getLogger(__name__)

PLAIN_LINE_SECONDS = 15.0  # without a terminal, one line at most this often


class Tracker:
    """One run of Weights & Biases. Whatever goes wrong there is warned of once, and from then on it is left alone.

    Args:
        wandb: the module.
        **asked: arguments of `wandb.init`.
    """

    def __init__(self, wandb: ModuleType, **asked: Any):
        self._gone = False
        self._run = self._attempt(lambda: wandb.init(resume="allow", **asked))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds values; of a step that the run has already, as after a cut, nothing, since they are the same."""
        if self._run is not None:
            self._attempt(lambda: self._run.log(dict(values), step=step) if step >= self._run.step else None)

    def finish(self, *, exit_code: int) -> None:
        """Sends what is left; 0 = it ended well."""
        if self._run is not None:
            self._attempt(lambda: self._run.finish(exit_code=exit_code))

    def _attempt(self, call: Callable[[], Any]) -> Any:
        if self._gone:
            return None
        try:
            return call()
        except Exception as error:  # of the service, its client or the network: of many types
            self._gone = True
            said = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
            logger.warning("W&B does not answer (%s); training goes on without it, metrics.jsonl has all", reason)
            return None


_tracker: ContextVar[Tracker | None] = ContextVar("tracker", default=None)


def load_wandb(project: str) -> ModuleType:
    """The wandb module.

    Raises:
        UserError: it is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise UserError(
            f"config.wandb is {project!r}, but wandb cannot be imported ({error}); "
            "run `pip install 'xtreme_stilts[tracking]'`, or leave the field empty"
        ) from error
    return wandb


@contextlib.contextmanager
def tracking(project: str, *, folder: epath.Path, **asked: Any) -> Iterator[None]:
    """While this is open, every `MetricsLog` also tells a W&B run, which is ended with it.

    Args:
        project: of W&B; "" = nothing is tracked.
        folder: where wandb keeps its files, if it is local.
        **asked: further arguments of `wandb.init`; a run of the same `id` is gone on with.

    Raises:
        UserError: wandb is not installed.
    """
    if not project:
        yield
        return
    place = {} if "://" in str(folder) else {"dir": str(folder)}
    tracker = Tracker(load_wandb(project), project=project, **place, **asked)
    token = _tracker.set(tracker)
    exit_code = 1
    try:
        yield
        exit_code = 0
    except Stopped:
        exit_code = 0  # all is saved, and the next run goes on
        raise
    finally:
        _tracker.reset(token)
        tracker.finish(exit_code=exit_code)


class MetricsLog:
    """Appends to `metrics.jsonl` (objects with `step` and `time`, seconds since the epoch) and TensorBoard.

    Args:
        folder: the phase's folder.
        from_step: lines of later steps, left by a run that was cut off, are removed first.
    """

    def __init__(self, folder: epath.Path, *, from_step: int = 0):
        self._path = folder / "metrics.jsonl"
        before = [line for line in _whole_lines(self._path) if json.loads(line)["step"] <= from_step]
        write_text(self._path, "".join(f"{line}\n" for line in before))
        # TensorBoard's writer needs a local folder; on remote file systems metrics.jsonl is the record.
        local = "://" not in str(folder)
        self._board = _Board(folder / "tensorboard", from_step=from_step) if local else None
        self._tracker = _tracker.get()

    def write(self, step: int, **values: float | str) -> None:
        """Adds one line; numbers also go to TensorBoard, and to W&B within `tracking`.

        Raises:
            OSError: the disk is full or fails.
        """
        line = json.dumps({"step": step, "time": round(time.time(), 3), **values})
        with self._path.open("a") as file:
            file.write(line + "\n")
        numbers = {name: value for name, value in values.items() if isinstance(value, (int, float))}
        if self._board:
            self._board.write(step, numbers)
        if self._tracker:
            self._tracker.log(step, numbers)

    def close(self) -> None:
        """Closes TensorBoard's file."""
        if self._board:
            self._board.close()


class _Board:
    """One event file of TensorBoard, written by whoever calls.

    tensorboardX's `SummaryWriter` writes from a thread of its own; when that ends, because the disk is full or the
    clock was set by years, its queue fills up and the training waits for it forever. So only its format is used.

    Args:
        folder: of the event files.
        from_step: what other files in the folder say of later steps is not shown.
    """

    def __init__(self, folder: epath.Path, *, from_step: int):
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        self._scalar, self._protos = summary.scalar, event_pb2
        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"), filename_suffix=f".{os.getpid()}")
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._file.write_event(event_pb2.Event(wall_time=time.time(), step=from_step + 1, session_log=start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            event = self._protos.Event(wall_time=time.time(), step=step, summary=self._scalar(name, value))
            self._file.write_event(event)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Unheard:
    """The log and the progress line of all processes but the first."""

    def write(self, step: int, **values: float | str) -> None:
        """Nothing."""

    def update(self, done: int, *, note: str) -> None:
        """Nothing."""

    def close(self, *, note: str = "") -> None:
        """Nothing."""


def last_values(folder: epath.Path) -> dict[str, float | str]:
    """The last value of everything in a phase's metrics.jsonl, `step` and `time` included; {} where there is none."""
    return {name: value for line in _whole_lines(folder / "metrics.jsonl") for name, value in json.loads(line).items()}


def _whole_lines(path: epath.Path) -> list[str]:
    """Lines of a JSONL file; a last line that was cut off is left out."""
    if not path.exists():
        return []
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


class Progress:
    """A rich bar on a terminal; elsewhere plain lines, at most one every 15 s and one at the end.

    Args:
        title: what is running.
        total: steps in all.
        start: steps done before.
    """

    def __init__(self, title: str, *, total: int, start: int = 0):
        self.title, self.total, self.done = title, total, start
        self._first, self._began, self._last_line = start, time.monotonic(), time.monotonic()
        self._console = rich.console.Console(file=sys.stderr)
        self._bar = None
        if self._console.is_terminal:
            columns = (
                "[progress.description]{task.description}",
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeRemainingColumn(),
                "{task.fields[note]}",
            )
            self._bar = rich.progress.Progress(*columns, console=self._console)
            self._bar.start()
            self._task = self._bar.add_task(title, total=total, completed=start, note="")

    def update(self, done: int, *, note: str) -> None:
        """Moves to `done` steps; `note` is shown beside them."""
        self.done = done
        if self._bar:
            self._bar.update(self._task, completed=done, note=note)
        elif done < self.total and time.monotonic() - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line = time.monotonic()
            self._line(note)

    def close(self, *, note: str) -> None:
        """Ends the bar, or writes the last plain line."""
        if self._bar:
            self._bar.update(self._task, completed=self.done, note=note)
            self._bar.stop()
        else:
            self._line(note)

    def _line(self, note: str) -> None:
        passed = time.monotonic() - self._began
        advanced = self.done - self._first
        remaining = (self.total - self.done) * passed / advanced if advanced else float("nan")
        eta = f", {remaining:.0f} s left" if self.done < self.total and advanced else f", {passed:.0f} s"
        print(f"{self.title}: {self.done}/{self.total}{eta}, {note}", file=sys.stderr, flush=True)
