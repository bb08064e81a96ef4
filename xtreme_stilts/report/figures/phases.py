"""The training phases a study's folder holds: what each is, where it began, what it took, and which rows used it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
from etils import epath

from xtreme_stilts.files import read_object

PRETRAINING, INTERMEDIATE, TARGET = KINDS = ("pretraining", "intermediate", "target")
_SHORT = 12  # digits of a fingerprint that a folder's name has; older ones have all


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Phase:
    """One folder of `phases/`. Numbers that are not recorded are NaN."""

    folder: epath.Path
    fingerprint: str  # its first digits
    mixture: str  # what it trained on; its folder's name where that is not recorded
    parent: str  # first digits of the fingerprint it began from; "" where that is not recorded
    tokens: float = math.nan
    seconds: float = math.nan  # wall time of training
    chip_hours: float = math.nan


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

    def unscored(self) -> list[Phase]:
        """Phases that only hand their encoder on."""
        scored = set(self.uses["fingerprint"])
        return [phase for phase in self if phase.fingerprint not in scored]


def _read(folder: epath.Path) -> Phase:
    described, done, card = (read_object(folder / name) for name in ("phase.json", "done.json", "run_card.json"))
    short = folder.name.rpartition("-")[2][:_SHORT]
    return Phase(
        folder=folder,
        fingerprint=short if re.fullmatch("[0-9a-f]{8,}", short) else folder.name,
        mixture=str(described.get("mixture", folder.name)),
        parent=str(described.get("parent", ""))[:_SHORT],
        tokens=_number(done.get("tokens", card.get("tokens"))),
        seconds=_number(card.get("seconds", done.get("seconds"))),
        chip_hours=_number(card.get("chip_hours")),
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
