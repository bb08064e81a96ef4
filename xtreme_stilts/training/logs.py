"""What a running phase tells: metrics.jsonl, TensorBoard, and a progress line with ETA and real tokens per second."""

from __future__ import annotations

import json
import sys
import time

import rich.console
import rich.progress
from etils import epath

PLAIN_LINE_SECONDS = 15.0  # without a terminal, one line at most this often


class MetricsLog:
    """Appends to `metrics.jsonl` (objects with `step` and `time`, seconds since the epoch) and TensorBoard.

    Args:
        folder: the phase's folder.
        from_step: lines of later steps, left by a run that was cut off, are removed first.
    """

    def __init__(self, folder: epath.Path, *, from_step: int = 0):
        # TensorBoard's writer needs a local folder; on remote file systems metrics.jsonl is the record.
        from tensorboardX import SummaryWriter

        self._path = folder / "metrics.jsonl"
        self._lines = [line for line in _whole_lines(self._path) if json.loads(line)["step"] <= from_step]
        self._path.write_text("".join(f"{line}\n" for line in self._lines))
        local = "://" not in str(folder)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=from_step + 1) if local else None

    def write(self, step: int, **values: float | str) -> None:
        """Adds one line; numbers also go to TensorBoard."""
        line = json.dumps({"step": step, "time": round(time.time(), 3), **values})
        self._lines.append(line)
        with self._path.open("a") as file:
            file.write(line + "\n")
        if self._board:
            for name, value in values.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes TensorBoard."""
        if self._board:
            self._board.close()


class Unheard:
    """The log and the progress line of all processes but the first."""

    def write(self, step: int, **values: float | str) -> None:
        """Nothing."""

    def update(self, done: int, *, note: str) -> None:
        """Nothing."""

    def close(self, *, note: str = "") -> None:
        """Nothing."""


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
