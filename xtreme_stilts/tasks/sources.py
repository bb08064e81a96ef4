"""Where rows come from, before any of them is read. No TensorFlow here.

Terms: a *row* is what a data set holds (a dict of features under the data set's own names); a *source* says
where the rows of a family are, for each of its languages. `Tfds` names a prepared TensorFlow data set; `Rows`
is a function. `configure` holds the few settings that say where on this machine things are; sources look at
them only when read.
"""

from __future__ import annotations

import dataclasses
import gzip
import lzma
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where data is. Empty = not given."""

    data_dir: str = ""  # prepared TFDS data sets; "" = TFDS's own default (~/tensorflow_datasets)
    download: bool = False  # let TFDS fetch what is not prepared
    text_dir: str = ""  # <lang>.txt[.xz|.gz], and <lang>.tsv[.xz|.gz] in it or in its folder parallel/
    manual_dir: str = ""  # release files of data sets that have builders of our own (xtreme_stilts/datasets)


@dataclasses.dataclass
class _Current:
    settings: Settings = Settings()


_current = _Current()


def settings() -> Settings:
    """The settings in force."""
    return _current.settings


def use(new: Settings) -> None:
    """Puts settings in force. Call `xtreme_stilts.tasks.configure` instead, which checks them and finds the
    text files."""
    _current.settings = new


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tfds:
    """A TensorFlow data set, one config per language or one for all.

    Attributes:
        name: `data set:version` or `data set/config:version`; `{config}` stands for the language's config.
        configs: language -> config, where it is not the language's code.
        swapped: language -> language whose config may hold its rows by mistake; decided by script when read.
    """

    name: str
    configs: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    swapped: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def describe(self, language: str) -> str:
        """The full TFDS name of one language, `data set[/config]:version`."""
        return self.name.format(config=self.configs.get(language, language))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows made or read by a function.

    Attributes:
        read: `read(language, split)` gives the rows; called again for each pass. Rows of one split share
            their features; a value is a string, a number, a list of either, or a dict of those.
        version: `version(language)`, text that changes when the rows do; part of cache keys.
    """

    read: Callable[[str, str], Iterable[Row]]
    version: Callable[[str], str]

    def describe(self, language: str) -> str:
        """Text that changes when the rows of `language` do."""
        return self.version(language)


# --------------------------------------------------------------------------------------------------
# Files


def lines(path: str | os.PathLike) -> Iterator[str]:
    """The lines of a UTF-8 text file, `.xz` and `.gz` unpacked, without their line ends.

    A line ends at a line feed; a carriage return before it is dropped too, and so is a byte order mark at the start.

    Raises:
        UserError: there is no such file, it cannot be unpacked, or a line is not UTF-8.
    """
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(pathlib.Path(path).suffix, open)
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x} at column {error.start + 1}"
        raise UserError(f"{path} line {number} is not UTF-8 text ({byte}: {error.reason})") from None
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise UserError(f"{path} cannot be read after line {number}: {error}") from None


def columns(path: str | os.PathLike, *, count: int) -> Iterator[tuple[str, ...]]:
    """The fields of each line of a tab-separated file without quoting.

    Raises:
        UserError: a line has another number of fields, with file and line number.
    """
    for number, line in enumerate(lines(path), 1):
        fields = tuple(line.split("\t"))
        if len(fields) != count:
            raise UserError(f"{path} line {number} has {len(fields)} tab-separated fields; it must have {count}")
        yield fields


def find(folder: str, stem: str, suffix: str) -> pathlib.Path | None:
    """The file `stem + suffix` in `folder`, packed or not; None where there is none."""
    for packing in ("", ".xz", ".gz"):
        path = pathlib.Path(folder) / f"{stem}{suffix}{packing}"
        if path.is_file():
            return path
    return None


def file_languages(folder: str, suffix: str) -> tuple[str, ...]:
    """The stems of the files `<stem><suffix>[.xz|.gz]` in `folder`, sorted."""
    found = set()
    for packing in ("", ".xz", ".gz"):
        ending = suffix + packing
        found |= {path.name.removesuffix(ending) for path in pathlib.Path(folder).glob(f"*{ending}")}
    return tuple(sorted(name for name in found if name.isidentifier()))


def folder(field: str, *, needed_by: str) -> str:
    """The folder a setting names.

    Raises:
        UserError: the setting is empty or names no folder.
    """
    value = getattr(settings(), field)
    if not value:
        raise UserError(f"{needed_by} reads files: set {field} to the folder that holds them")
    if not pathlib.Path(value).is_dir():
        parent = pathlib.Path(value).parent
        near = did_you_mean(pathlib.Path(value).name, [p.name for p in parent.iterdir()]) if parent.is_dir() else ""
        raise UserError(f"{field} is {value!r}, which is no folder; {near}".rstrip("; "))
    return value


def file_version(path: pathlib.Path | None) -> str:
    """Name, size and time of change of a file: enough to notice that it was replaced."""
    if path is None:
        return "absent"
    status = path.stat()
    return f"{path.name}:{status.st_size}:{status.st_mtime_ns}"
