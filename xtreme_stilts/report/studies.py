"""Study directories as the report reads them, and what several of them must agree on to stand side by side.

Terms as in `results` and `table`. A **study** is a directory with `results.csv` and, usually, `config.json` and
`phases/`. Its **chance** is what its evaluations recorded as `chance`: percent that guessing reaches.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
from etils import epath

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import results

RESULTS = "results.csv"
CONFIG = "config.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """One study directory, read once."""

    directory: epath.Path
    name: str  # config.json's `name`, else the directory's
    frame: pd.DataFrame  # results.csv as `results.read` types it; at least one score
    chance: Mapping[str, float]  # target -> percent of its primary metric that guessing reaches; may lack targets
    config: Mapping[str, Any]  # config.json; empty where there is none

    @property
    def models(self) -> list[str]:
        """Names of the encoders, sorted."""
        return sorted(self.frame["model"].unique())


def open_study(directory: str | os.PathLike, *, chance: Mapping[str, float] | None = None) -> Study:
    """Reads a study directory.

    Args:
        directory: local or gs://; holds results.csv.
        chance: percent by target; by default the mean of what results.csv has under the metric `chance`.

    Raises:
        UserError: no such directory; results.csv is missing, damaged (the message names the line and what is whole),
            written by another version, or holds no scores (yet); config.json is damaged.
    """
    directory = epath.Path(directory)
    if not directory.is_dir():
        raise UserError(f"{directory}: no such folder; name a study's --workdir")
    config = _read_config(directory / CONFIG)
    frame = results.read(directory / RESULTS)
    if frame.empty:
        raise UserError(f"{directory / RESULTS} holds no scores yet; run the study (or a part of it) first")
    if chance is None:
        chance = chance_of(frame)
    name = str(config.get("name") or os.path.basename(os.path.abspath(directory)))
    return Study(directory=directory, name=name, frame=frame, chance=chance, config=config)


def chance_of(frame: pd.DataFrame) -> dict[str, float]:
    """Percent by target that guessing reaches: the mean of what the results have under the metric `chance`."""
    return frame[frame["metric"] == "chance"].groupby("target")["value"].mean().to_dict()


def _read_config(path: epath.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path} line {error.lineno}: not JSON ({error.msg})") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected an object of config fields, found {type(config).__name__}")
    return config
