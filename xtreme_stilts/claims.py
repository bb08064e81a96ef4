"""Several programs at work on one study directory: who does what, settled through files alone.

A *claim* is a file `<name>-<number>.json` in a folder; whoever has the highest number of a name holds what the name
stands for: a phase, or the right to rewrite results.csv. Making such a file is the one thing that must be atomic:
a hard link on a local or network file system, a precondition ("no such object yet") on gs://. A claim's file says
who its holder is and is rewritten every BEAT seconds.

What is given up stays as a file that says so, and whoever comes next, like whoever replaces a dead holder, makes the
file with the next number, which only one can: numbers never fall, so that nobody who looked too early can take what
another has meanwhile. A holder counts as dead

- on the same machine, when there is no process with its number and start time: at once after a kill -9;
- elsewhere, when its file has not changed for EXPIRY seconds by the watcher's own clock, so that clocks need not agree.

A holder that was only asleep (a suspended machine, a network file system away for a minute) finds the higher number
when it next rewrites its own, and ends the program at once: what it holds is another's now.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from etils import epath

from xtreme_stilts.errors import EXIT_STATUS, StorageError, UserError
from xtreme_stilts.files import write_text

BEAT = 10.0  # seconds between two signs of life
EXPIRY = 60.0  # seconds without one after which a holder on another machine counts as dead


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a claim, as its file says.

    Attributes:
        host: its machine's name.
        machine: what a process number means something on: this boot of this machine, this container.
        pid: its process.
        started: when that process started, in the kernel's ticks; a number alone may be given to another process.
        key: differs between any two claims.
        since: when it was taken, UTC, for people.
        beat: signs of life so far.
        released: whether it has been given up.
    """

    host: str
    machine: str
    pid: int
    started: int
    key: str
    since: str
    beat: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_known_dead(self) -> bool:
        """Whether it was a process of this machine that is no more."""
        return self.machine == _machine() and _started(self.pid) != self.started


def _machine() -> str:
    with contextlib.suppress(OSError):
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return f"{socket.gethostname()} {uuid.getnode()}"


def _started(pid: int) -> int:
    """A process's start time; -1 where there is none, 0 where the system does not tell."""
    try:
        # The name in brackets may hold blanks; after it come the state and, as the 20th field, the start time.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if fields[0] in "ZX" else int(fields[19])  # dead, though its parent has not asked yet
    except FileNotFoundError:
        if pathlib.Path("/proc/self/stat").exists():
            return -1
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return -1
    except PermissionError:
        pass
    return 0


def utc_now() -> str:
    """The time, for people."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _me() -> Holder:
    return Holder(
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_started(os.getpid()),
        key=uuid.uuid4().hex,
        since=utc_now(),
    )


class Claim:
    """Something held, until the `with` block is left. See `Claims.take`."""

    def __init__(self, folder: epath.Path, name: str, number: int, holder: Holder, *, lost: Callable[[str], None]):
        self._folder, self._name, self._number, self._holder, self._lost = folder, name, number, holder, lost
        self._done = threading.Event()
        self._beats = threading.Thread(target=self._beat, name=f"claim {name}", daemon=True)
        self._beats.start()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_exc) -> None:
        """Gives it up: nobody holds it then."""
        self._done.set()
        self._beats.join()
        for number in _numbers(self._folder, self._name):
            if number < self._number:
                _path(self._folder, self._name, number).unlink(missing_ok=True)
        self._write(released=True)

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            try:
                numbers = _numbers(self._folder, self._name)
                if max(numbers, default=0) != self._number:
                    new = _read(self._folder, self._name, max(numbers, default=0))
                    self._lost(
                        f"{self._folder / self._name}: taken over by {new or 'somebody else'}, because this process "
                        f"gave no sign of life for {EXPIRY:.0f} s; it ends here"
                    )
                    return
                self._write(beat=self._holder.beat + 1)
            except OSError as error:  # a network file system may come back before the claim expires
                print(f"{self._folder}: no sign of life could be written ({error})", file=sys.stderr, flush=True)

    def _write(self, **changes) -> None:
        self._holder = dataclasses.replace(self._holder, **changes)
        write_text(_path(self._folder, self._name, self._number), _text(self._holder))


def _leave(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    os._exit(EXIT_STATUS)


class Claims:
    """This program's view of claims: it remembers when it saw each one change.

    Args:
        say: told when a dead holder is replaced.
        lost: called with a sentence when a claim was taken away; ends the program.
    """

    def __init__(self, *, say: Callable[[str], None] = print, lost: Callable[[str], None] = _leave):
        self._say, self._lost = say, lost
        self._seen: dict[str, tuple[Holder, float]] = {}  # path -> its holder, and since when it has been unchanged

    def take(self, folder: epath.PathLike, name: str = "claim") -> Claim | None:
        """Holds what `name` stands for in this folder, or gives None: somebody alive has it.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder = epath.Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            top = max(_numbers(folder, name), default=0)
            if self.holder(folder, name) is not None:
                return None
            gone = _read(folder, name, top) if top else None
            me = _me()
            if not _create(_path(folder, name, top + 1), _text(me)):
                return None
            # Files below the highest are cleared away, so the number may have been free for that reason.
            if max(_numbers(folder, name), default=0) != top + 1:
                _path(folder, name, top + 1).unlink(missing_ok=True)
                return None
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
        if gone is not None and not gone.released:
            self._say(f"{folder / name}: {gone} has ended without a word; taken over")
        return Claim(folder, name, top + 1, me, lost=self._lost)

    def wait(self, folder: epath.PathLike, name: str, *, every: float = 0.05) -> Claim:
        """Holds it as soon as it is free; for what is held for moments only."""
        while (claim := self.take(folder, name)) is None:
            time.sleep(every)
            every = min(2 * every, 1.0)
        return claim

    def holder(self, folder: epath.PathLike, name: str = "claim") -> Holder | None:
        """Who holds it now; None = nobody alive."""
        folder = epath.Path(folder)
        top = max(_numbers(folder, name), default=0)
        found = _read(folder, name, top) if top else None
        if found is None or found.released or found.is_known_dead():
            return None
        where, now = str(_path(folder, name, top)), time.monotonic()
        before, since = self._seen.get(where, (None, now))
        if before != found:
            since = now
        self._seen[where] = found, since
        return found if found.machine == _machine() or now - since < EXPIRY else None


def _path(folder: epath.Path, name: str, number: int) -> epath.Path:
    return folder / f"{name}-{number}.json"


def _numbers(folder: epath.Path, name: str) -> list[int]:
    """Numbers of the claims there are of this name."""
    pattern = re.compile(rf"{re.escape(name)}-(\d+)\.json")
    try:
        return [int(match[1]) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    except FileNotFoundError:
        return []


def _read(folder: epath.Path, name: str, number: int) -> Holder | None:
    """The holder a claim's file names; None where it is gone."""
    try:
        return Holder(**json.loads(_path(folder, name, number).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        # Of another version, or cut off with the machine: somebody unknown, who is given the time to stir.
        return Holder(host="an unknown machine", machine="", pid=0, started=0, key="", since="")


def _text(holder: Holder) -> str:
    return json.dumps(dataclasses.asdict(holder)) + "\n"


def _create(path: epath.Path, text: str) -> bool:
    """Makes a file with its whole content, or says that there is one already."""
    if "://" in str(path):
        return _create_object(path, text)
    own = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        own.write_text(text)
        os.link(own, path)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
    finally:
        own.unlink(missing_ok=True)
    try:  # no hard links here: the name is made first and filled then
        with open(path, "x") as file:
            file.write(text)
        return True
    except FileExistsError:
        return False


def _create_object(path: epath.Path, text: str) -> bool:
    """Object stores: fsspec's mode "create" asks for a new object, as gcsfs and s3fs tell their services."""
    import fsspec

    try:
        files, name = fsspec.core.url_to_fs(str(path))
    except ImportError as error:
        raise UserError(f"{path.parent}: a remote study directory needs another package: {error}") from error
    try:
        files.pipe_file(name, text.encode(), mode="create")
        return True
    except FileExistsError:
        return False


class Newest(NamedTuple):
    """A claim as a report sees it, which looks once and does not wait."""

    holder: Holder
    age: float  # seconds since its last sign of life, by the file's time


def newest(folder: epath.Path, name: str = "claim") -> Newest | None:
    """The claim with the highest number, held, given up or left behind; None = there never was one."""
    top = max(_numbers(folder, name), default=0)
    found = _read(folder, name, top) if top else None
    if found is None:
        return None
    try:
        return Newest(found, max(0.0, time.time() - _path(folder, name, top).stat().mtime))
    except OSError:
        return Newest(found, 0.0)


def holders(folders: Iterable[epath.Path]) -> Iterator[Holder]:
    """Of the claims on these folders, who has them and is not known to be dead."""
    for folder in folders:
        found = newest(folder)
        if found is not None and not found.holder.released and not found.holder.is_known_dead():
            yield found.holder
