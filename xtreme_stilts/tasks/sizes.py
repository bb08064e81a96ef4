"""Rows of each split, without TensorFlow and without reading the rows where that can be helped.

`rows` says what is on this machine: prepared TFDS data sets say it in their `dataset_info.json`; the miniature has a
table. `published` says what a data set has where it was published, from `published_sizes.csv` (name, split, examples,
source): `name` is a family, or a task where languages differ, `split` what the data set itself calls it, and `source`
the page or file that says so. Only counts with such a source are in it.

Counted are the rows a data set has, before those that are another language's or have no label are left out. (TFDS has
filed two languages of xtreme_pos under each other's names; the sizes here go by the name.)
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import json
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

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


class PublishedSize(NamedTuple):
    """What is published of a split."""

    rows: int
    source: str  # page or file that says so


def published(name: str, split: str) -> PublishedSize | None:
    """Rows of a task's split as published, whether or not the data are here; None where no source is known.

    Parts of a split are counted as `rows` counts them. A user's own files under a built-in name have no published size.

    Args:
        name: a task.
        split: `train`, `validation`, `test`, or another the task has.

    Raises:
        UserError: no such task or split.
    """
    source_split = registry.source_split(name, split)
    family, language = registry.task(name)
    if not isinstance(family.source, sources.Tfds):
        return None
    known, origin = _published(), family.name.removeprefix("text_of.")  # text without labels, of the same rows
    splits = known.get(origin, {}) | known.get(f"{origin}.{family.own_language(language)}", {})
    counts = {each: size.rows for each, size in splits.items()}
    parts = source_split.split("+")
    found = [_part(counts, part) for part in parts]
    if None in found:
        return None
    said = dict.fromkeys(splits[_SLICE.fullmatch(part)["split"]].source for part in parts)
    return PublishedSize(sum(found), ", ".join(said))


@functools.cache
def _published() -> Mapping[str, Mapping[str, PublishedSize]]:
    """Family or task -> the data set's split -> its size."""
    table: dict[str, dict[str, PublishedSize]] = {}
    with importlib.resources.files(__package__).joinpath("published_sizes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["name"], {})[row["split"]] = PublishedSize(int(row["examples"]), row["source"])
    return table


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
