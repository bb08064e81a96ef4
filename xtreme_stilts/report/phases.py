"""The training phases a study's folder holds: what each is, where it began, what it took, and which rows used it.

What a phase took is read from its run card, which holds unfinished ones and sessions that were cut off, too
(`run_card.py`, whose module cannot be imported without JAX); without one, from done.json, which knows the training
alone. Numbers that are not recorded are NaN.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
from etils import epath

from xtreme_stilts.files import read_object
from xtreme_stilts.report.studies import Study

PRETRAINING, INTERMEDIATE, TARGET = KINDS = ("pretraining", "intermediate", "target")
_SHORT = 12  # digits of a fingerprint that a folder's name has; older ones have all


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Phase:
    """One folder of `phases/`."""

    folder: epath.Path
    fingerprint: str  # its first digits
    mixture: str  # what it trained on; its folder's name where that is not recorded
    parent: str  # first digits of the fingerprint it began from; "" where that is not recorded
    kind: str = ""  # as its run card has it: mlm | intermediate | target; "" where there is none
    finished: bool = False
    steps: float = math.nan
    tokens: float = math.nan  # real ones, padding not counted; steps that were done twice count once
    seconds: float = math.nan  # wall time: run card: of all sessions, from their beginning; without: of training
    chip_hours: float = math.nan
    energy_kwh: float = math.nan
    unlearned: tuple[str, ...] = ()  # tasks whose loss stayed at guessing (training/learning.py)
    devices: tuple[str, ...] = ()  # what its sessions ran on, such as "8 x TPU v5 lite"


class Phases:
    """The phases of one study and how its results use them.

    Args:
        directory: of the study.
        frame: its results.
        pretraining: mixtures of config.pretrain.
    """

    def __init__(self, directory: epath.Path, frame: pd.DataFrame, *, pretraining: tuple[str, ...] = ()):
        folders = sorted(path for path in (directory / "phases").glob("*") if path.is_dir())
        self.by_fingerprint = {phase.fingerprint: phase for phase in map(_read, folders)}
        self._pretraining = frozenset(pretraining)
        places = frame.loc[frame["fingerprint"] != "", ["fingerprint", "model", "intermediate", "target", "seed"]]
        self.uses = places.assign(fingerprint=places["fingerprint"].str[:_SHORT]).drop_duplicates()

    def __iter__(self) -> Iterator[Phase]:
        return iter(self.by_fingerprint.values())

    def of(self, *, model: str, target: str) -> Iterator[tuple[str, Phase]]:
        """Row and phase behind a target's scores, in the order of the results; rows may share a phase."""
        for use in self.uses[(self.uses["model"] == model) & (self.uses["target"] == target)].itertuples():
            if use.fingerprint in self.by_fingerprint:
                yield use.intermediate, self.by_fingerprint[use.fingerprint]

    def chain(self, phase: Phase) -> list[Phase]:
        """The phases it began from, nearest first."""
        found: list[Phase] = []
        while (phase := self.by_fingerprint.get(phase.parent)) is not None and phase not in found:
            found.append(phase)
        return found

    def is_pretraining(self, phase: Phase) -> bool:
        """Whether it is of those that all rows begin from."""
        return phase.mixture in self._pretraining

    def kind(self, phase: Phase) -> str:
        """Its recorded kind; without a run card what its place in the study makes of it."""
        if phase.kind:
            return phase.kind
        if self.is_pretraining(phase):
            return "mlm"
        return TARGET if phase.fingerprint in set(self.uses["fingerprint"]) else INTERMEDIATE

    def unscored(self) -> list[Phase]:
        """Phases that only hand their encoder on."""
        scored = set(self.uses["fingerprint"])
        return [phase for phase in self if phase.fingerprint not in scored]


def phases_of(study: Study) -> Phases:
    """The phases in a study's folder."""
    pretraining = study.config.get("pretrain")
    named = tuple(map(str, pretraining)) if isinstance(pretraining, (list, tuple)) else ()
    return Phases(study.directory, study.frame, pretraining=named)


def _read(folder: epath.Path) -> Phase:
    described, done, card = (read_object(folder / name) for name in ("phase.json", "done.json", "run_card.json"))
    short = folder.name.rpartition("-")[2][:_SHORT]
    sessions = [each for each in card.get("sessions") or () if isinstance(each, dict)]
    last = sessions[-1] if sessions else {}
    return Phase(
        folder=folder,
        fingerprint=short if re.fullmatch("[0-9a-f]{8,}", short) else folder.name,
        mixture=str(described.get("mixture", folder.name.rpartition("-seed")[0] or folder.name)),
        parent=str(described.get("parent", ""))[:_SHORT],
        kind=str(card.get("kind", "")),
        finished=bool(done),
        steps=_number(done.get("steps", last.get("to_step"))),
        tokens=_number(done.get("tokens", card.get("tokens"))),
        seconds=_number(card.get("seconds", done.get("seconds"))),
        chip_hours=_number(card.get("chip_hours")),
        energy_kwh=_number(card.get("energy_kwh")),
        unlearned=tuple(done.get("unlearned") or ()),
        devices=tuple(f"{each['devices']} x {each['device_kind']}" for each in sessions if "device_kind" in each),
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
