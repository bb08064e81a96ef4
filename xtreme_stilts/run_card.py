"""What a training phase was: `run_card.json` in its folder, written when training begins and completed when it ends.

Terms. A *session* is one stretch of training: a phase that was cut off and resumed has several. *Chip-hours* are the
devices held times the hours, from the beginning of `phase.train` to its end, so preparing the data, compiling,
validating and steps that a cut-off run did twice are all in them; they add up over sessions. A session that was
killed ends with its last line in metrics.jsonl. Energy is not measured.

The card is a record: nothing is decided by it, and it is no part of a phase's fingerprint. Process 0 writes it. A card
of another version reads, too: unknown fields are left out, missing ones are empty.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from etils import epath

from xtreme_stilts import processes
from xtreme_stilts.data.cache import Cache
from xtreme_stilts.errors import UserError
from xtreme_stilts.files import write_json
from xtreme_stilts.training.logs import last_values

FILE = "run_card.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "transformers", "numpy", "xtreme_stilts")
_EMPTY: Mapping[str, Any] = types.MappingProxyType({})


def _mapping() -> Any:
    return dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """The tokenised rows of one task and split."""

    task: str = ""
    split: str = ""
    use: str = ""  # train | validation
    version: str = ""  # of the data set
    rows: int = 0
    tokens: int = 0
    sha256: str = ""  # of all columns and texts; see `Cache.fingerprint`

    @classmethod
    def of(cls, cache: Cache, *, use: str) -> Data:
        """What a cache holds."""
        return cls(
            task=cache.meta["task"],
            split=cache.meta["split"],
            use=use,
            version=cache.meta["data_version"],
            rows=len(cache),
            tokens=cache.num_tokens,
            sha256=cache.fingerprint,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """One stretch of training, and where it ran. Times are ISO 8601 in UTC."""

    started: str = ""
    ended: str = ""  # "" = it is running, or was killed and not resumed
    seconds: float = 0.0  # wall time
    from_step: int = 0
    to_step: int = 0  # steps of a killed session after its last checkpoint are done again by the next
    devices: int = 0  # of all processes
    device_kind: str = ""
    device_memory: int | None = None  # bytes of one; None where the runtime does not say
    processes: int = 0
    host_cpus: int = 0  # of process 0's machine
    host_memory: int | None = None  # bytes
    platform: str = ""
    packages: Mapping[str, str] = _mapping()  # name -> version, Python's too
    revision: str = ""  # of the git working tree the package was run from; "" = none
    modified: bool | None = None  # whether the package had changes there that are not committed; None = no tree
    command: tuple[str, ...] = ()

    @property
    def chip_hours(self) -> float:
        """Devices x hours."""
        return self.devices * self.seconds / 3600


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunCard:
    """Everything a phase's run is described by; see the module for terms.

    Attributes:
        study: name of the study.
        kind, path, seed, fingerprint: of the phase; `path` is the chain of mixtures it ends.
        phase: what the fingerprint covers, as in phase.json.
        config: the whole resolved config.
        recipe: the phase's own, with the rows of a micro-batch settled.
        steps: optimizer steps planned.
        encoder: fields of its `EncoderConfig`.
        heads: name -> fields of its `Head`, and `label_names`.
        tokenizer: `name` and `fingerprint`.
        weights: identity of the weight files all began with; "" = a random start.
        data: what it trains on and is validated on.
        sessions: in order.
        tokens: real tokens seen up to the last step, without steps that were done again.
        fit: how it ended (`Fit`); empty = it has not.
        energy_kwh: None, not measured.
    """

    study: str = ""
    kind: str = ""
    path: str = ""
    seed: int = 0
    fingerprint: str = ""
    phase: Mapping[str, Any] = _mapping()
    config: Mapping[str, Any] = _mapping()
    recipe: Mapping[str, Any] = _mapping()
    steps: int = 0
    encoder: Mapping[str, Any] = _mapping()
    heads: Mapping[str, Mapping[str, Any]] = _mapping()
    tokenizer: Mapping[str, str] = _mapping()
    weights: str = ""
    data: tuple[Data, ...] = ()
    sessions: tuple[Session, ...] = ()
    tokens: int = 0
    fit: Mapping[str, Any] = _mapping()
    energy_kwh: float | None = None

    @property
    def started(self) -> str:
        """Of the first session; "" without one."""
        return self.sessions[0].started if self.sessions else ""

    @property
    def ended(self) -> str:
        """Of the last session; "" without one, or while it runs."""
        return self.sessions[-1].ended if self.sessions else ""

    @property
    def seconds(self) -> float:
        """Wall time of all sessions."""
        return sum(session.seconds for session in self.sessions)

    @property
    def chip_hours(self) -> float:
        """Of all sessions."""
        return sum(session.chip_hours for session in self.sessions)

    def to_json(self) -> dict[str, Any]:
        """The file's contents: the fields, and for readers the totals over sessions."""
        totals = {name: getattr(self, name) for name in ("started", "ended", "seconds", "chip_hours")}
        return {**dataclasses.asdict(self), **totals}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> RunCard:
        """The inverse of `to_json`; of a card of another version what is known here."""
        parts = {"data": Data, "sessions": Session}
        lists = {name: tuple(from_known(part, each) for each in found.get(name) or ()) for name, part in parts.items()}
        return from_known(cls, {**found, **lists})


def from_known(cls: type, found: Mapping[str, Any]) -> Any:
    """A dataclass from those of its fields that are there; lists become tuples where it has tuples."""
    hints = typing.get_type_hints(cls)
    values = {name: found[name] for name in hints if name in found}
    as_tuple = {name for name in values if typing.get_origin(hints[name]) is tuple}
    return cls(**{name: tuple(value) if name in as_tuple else value for name, value in values.items()})


def read(folder: epath.PathLike) -> RunCard:
    """The card of a phase's folder.

    Raises:
        UserError: there is none, or it is no JSON object.
    """
    file = epath.Path(folder) / FILE
    if not file.exists():
        raise UserError(f"{file}: no such file; a phase has one unless a version before run cards trained it")
    try:
        found = json.loads(file.read_text())
        if not isinstance(found, dict):
            raise TypeError("no JSON object")
        return RunCard.from_json(found)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: not a run card ({error})") from error


# --------------------------------------------------------------------------------------------------
# While a phase trains


class Recorder:
    """Keeps a phase's card up to date while it trains; on process 0 there is a file behind it."""

    def __init__(self, folder: epath.Path, card: RunCard):
        self._file, self.card = folder / FILE, card

    def update(self, **fields: Any) -> None:
        """Replaces fields of the card."""
        self.card = dataclasses.replace(self.card, **fields)
        if processes.is_first():
            write_json(self._file, self.card.to_json())

    def end_session(self, **fields: Any) -> None:
        """Replaces fields of the last session."""
        *before, last = self.card.sessions
        self.update(sessions=(*before, dataclasses.replace(last, **fields)))


@contextlib.contextmanager
def recording(folder: epath.PathLike, *, card: RunCard) -> Iterator[Recorder]:
    """Records one session of training a phase, however it ends.

    Args:
        folder: the phase's; its metrics.jsonl and latest/ tell which steps were done.
        card: what is known before; the sessions of a card that is there are kept.
    """
    folder = epath.Path(folder)
    recorder = Recorder(folder, card)
    began, first = time.monotonic(), _saved_step(folder)
    started = _session(from_step=first)
    recorder.update(sessions=(*_earlier(folder), started))
    try:
        yield recorder
    finally:
        found = last_values(folder)
        seconds, step = round(time.monotonic() - began, 3), max(first, found.get("step", 0))
        recorder.end_session(ended=_utc(time.time()), seconds=seconds, to_step=step)
        recorder.update(tokens=found.get("tokens", 0))


def _earlier(folder: epath.Path) -> tuple[Session, ...]:
    """The sessions before this one; one that was killed ends with what it wrote last."""
    try:
        sessions = read(folder).sessions
    except UserError:  # none, or a damaged one, which must not stop the training
        return ()
    if not sessions or sessions[-1].ended:
        return sessions
    killed, found = sessions[-1], last_values(folder)
    started = datetime.datetime.fromisoformat(killed.started).timestamp()
    ended = max(started, found.get("time", 0.0))
    step = max(killed.from_step, found.get("step", 0))
    closed = dataclasses.replace(killed, ended=_utc(ended), seconds=round(ended - started, 3), to_step=step)
    return (*sessions[:-1], closed)


def _saved_step(folder: epath.Path) -> int:
    """The newest checkpoint to go on from; 0 = none."""
    latest = folder / "latest"
    steps = [int(path.name) for path in latest.iterdir() if path.name.isdigit()] if latest.exists() else []
    return max(steps, default=0)


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def _session(*, from_step: int) -> Session:
    """A session that begins now, here."""
    device = jax.local_devices()[0]
    return Session(
        started=_utc(time.time()),
        from_step=from_step,
        to_step=from_step,
        devices=jax.device_count(),
        device_kind=device.device_kind,
        device_memory=(device.memory_stats() or {}).get("bytes_limit"),
        processes=jax.process_count(),
        host_cpus=os.cpu_count() or 0,
        host_memory=_host_memory(),
        platform=platform.platform(),
        packages=_packages(),
        command=tuple(sys.orig_argv),
        **_working_tree(),
    )


def _host_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not on this system
        return None


def _packages() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@functools.cache
def _working_tree() -> Mapping[str, Any]:
    """The git revision this package is run from, if it is under version control itself; never fails."""
    try:
        _git("ls-files", "--error-unmatch", "__init__.py")  # an installed package can lie within somebody else's tree
        return {"revision": _git("rev-parse", "HEAD"), "modified": bool(_git("status", "--porcelain", "."))}
    except (OSError, subprocess.SubprocessError):
        return _EMPTY


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=pathlib.Path(__file__).parent,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # only look
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()
