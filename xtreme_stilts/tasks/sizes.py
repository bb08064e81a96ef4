"""Rows of each split, without TensorFlow and without reading the rows where that can be helped.

Prepared TFDS data sets say it in their `dataset_info.json`; the miniature has a table. Counted are the rows a data
set has, before those that are another language's or have no label are left out. (TFDS has filed two languages of
xtreme_pos under each other's names; the sizes here go by the name.)
"""

from __future__ import annotations

import functools
import json
import os
import re

from etils import epath

from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import registry, sources

_SLICE = re.compile(r"(?P<split>[^\[]+)(?:\[(?P<first>\d*)(?P<first_unit>%?):(?P<end>\d*)(?P<end_unit>%?)\])?")


def rows(name: str, split: str) -> int | None:
    """Rows of a task's split; None where the data are not here.

    Args:
        name: a task.
        split: `train`, `validation`, `test`, or another the task has.

    Raises:
        UserError: no such task or split.
    """
    source_split = registry.source_split(name, split)
    found = registry.task(name)
    if isinstance(found.family.source, sources.Tfds):
        splits = _prepared(data_dir(), registry.source_version(name))
        counts = [count for part in source_split.split("+") if (count := _part(splits, part)) is not None]
        return sum(counts) if counts else None
    try:
        return _of_rows(name, source_split)
    except UserError:  # a folder that was not given, a file that is not there
        return None


def data_dir() -> str:
    """Where prepared data sets are: the setting, else TFDS's default."""
    return sources.settings().data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")


@functools.lru_cache(maxsize=4096)
def _prepared(root: str, name: str) -> dict[str, int]:
    """Rows by split of a prepared data set `name[/config]:version`; empty if it is not there."""
    path = epath.Path(root).expanduser() / name.replace(":", "/") / "dataset_info.json"
    try:
        splits = json.loads(path.read_text()).get("splits", [])
        return {each["name"]: sum(map(int, each.get("shardLengths", []))) for each in splits}
    except (OSError, ValueError, KeyError):
        return {}


def _part(splits: dict[str, int], part: str) -> int | None:
    """Rows of `split` or `split[a:b]`; percentages are rounded to the nearest row, as TFDS does."""
    asked = _SLICE.fullmatch(part)
    if asked is None or asked["split"] not in splits:
        return None
    total = splits[asked["split"]]
    first, end = (
        _boundary(asked[side], asked[f"{side}_unit"], total=total, default=default)
        for side, default in (("first", 0), ("end", total))
    )
    return max(0, min(end, total) - first)


def _boundary(number: str | None, unit: str, *, total: int, default: int) -> int:
    if not number:
        return default
    return round(int(number) * total / 100) if unit else int(number)


def _of_rows(name: str, source_split: str) -> int | None:
    if registry.task(name).family.source is None:  # a user's own seqio task
        return None
    version = registry.source_version(name)
    if version.startswith("mini/"):  # making all its rows takes half a minute
        from xtreme_stilts import mini

        return mini.splits(version.removeprefix("mini/").partition(":")[0]).get(source_split)
    return _count(name, source_split, version)


@functools.lru_cache(maxsize=4096)
def _count(name: str, source_split: str, version: str) -> int:
    family, language = registry.task(name)
    return sum(1 for _ in family.source.read(language, source_split))
