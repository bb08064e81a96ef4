"""What the builders share: finding or fetching the files of a release, and checking rows.

Terms: a *release* is what the authors of a data set published; a *role* is what a file is for within one split
("text", "labels", "gold"). TFDS's *manual_dir* is the folder for files got by hand, `<data_dir>/downloads/manual`
unless said otherwise.

Checksums (sha256 and size) of release files are in `checksums.tsv` beside this module, by address, or by
`address#path` for a file inside an archive. TFDS refuses a download that differs from its line. A file put there
by hand may differ on purpose, so that is only warned of, as is a file without a line.

Rows are written in TFDS's usual order, by a hash of their number: ordered data sets cannot be read with shuffled files.
"""

from __future__ import annotations

import abc
import inspect
import logging
import pathlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import tensorflow_datasets as tfds

from xtreme_stilts import datasets
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks import formats, sources


class File(NamedTuple):
    """A file, or folder, of a release.

    Attributes:
        names: what it may be called below the manual folder. The n-th names of all files of a split go together, so
            that files of two layouts are never mixed.
        url: its address, or that of the archive it is in; "" = it cannot be downloaded.
        member: its path in the archive; "" = `url` is the file itself.
    """

    names: tuple[str, ...]
    url: str = ""
    member: str = ""


class Row(NamedTuple):
    """A row of a data set."""

    place: Any  # where it was read from; only its text is used, in messages
    values: Mapping[str, Any]  # feature -> value


class ReleaseBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A data set made from the files of its official release.

    A subclass gives `features()`, `files()` and `rows()`; its docstring, which names source and licence, becomes
    the description of the prepared data set.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Initial release."}
    HOMEPAGE: ClassVar[str] = ""
    LICENSE: ClassVar[str] = ""
    # The feature that tells the rows of a split apart; "" = the release numbers none.
    ID: ClassVar[str] = "id"

    fetches = True  # whether files that are not in the manual folder are downloaded

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # TFDS gives access to manual_dir only where this is set; it does not make the folder obligatory.
        cls.MANUAL_DOWNLOAD_INSTRUCTIONS = datasets.where_to_get(cls.name)

    @abc.abstractmethod
    def features(self) -> dict[str, Any]:
        """Name -> type, under the official names."""

    @abc.abstractmethod
    def files(self) -> dict[str, dict[str, File]]:
        """Split -> role -> file."""

    @abc.abstractmethod
    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterable[Row]:
        """The rows of a split, from its files by role.

        Raises:
            UserError: a file is not in its format.
        """

    @property
    def title(self) -> str:
        """`data set[/config]`, for messages."""
        return f"{self.name}/{self.builder_config.name}" if self.builder_config else self.name

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=inspect.getdoc(type(self)),
            features=tfds.features.FeaturesDict(self.features()),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        found = {split: self._find(dl_manager, files) for split, files in self.files().items()}
        files = {path: self.files()[split][role] for split, paths in found.items() for role, path in paths.items()}
        self._compare_checksums({path: file for path, file in files.items() if path.is_file()})
        return {split: self._generate_examples(split, paths) for split, paths in found.items()}

    def _generate_examples(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[tuple[int, Mapping]]:
        seen: dict[Any, Any] = {}
        for number, (place, values) in enumerate(self.rows(split, paths)):
            if self.ID:
                name = values[self.ID]
                if name in seen:
                    raise UserError(f"{place} has the {self.ID} {name!r}, which {seen[name]} has already")
                seen[name] = place
            yield number, values

    def _find(self, dl_manager: tfds.download.DownloadManager, files: Mapping[str, File]) -> dict[str, pathlib.Path]:
        """The files of a split by role, from the manual folder if all of them are there, else downloaded."""
        # Its public property raises where the folder is empty or absent.
        manual = pathlib.Path(dl_manager._manual_dir)
        folders = (manual / self.name, manual)
        layouts = [
            {role: folder / file.names[n] for role, file in files.items()}
            for folder in folders
            for n in range(len(next(iter(files.values())).names))
        ]
        nearest = max(layouts, key=lambda layout: sum(path.exists() for path in layout.values()))
        if all(path.exists() for path in nearest.values()):
            found = nearest
        else:
            found = {
                role: self._fetch(dl_manager, file, folders=folders, wanted=nearest[role])
                for role, file in sorted(files.items(), key=lambda item: nearest[item[0]].exists())
            }
        return found

    def _fetch(
        self,
        dl_manager: tfds.download.DownloadManager,
        file: File,
        *,
        folders: Iterable[pathlib.Path],
        wanted: pathlib.Path,
    ) -> pathlib.Path:
        """A file from its archive in one of `folders`, or downloaded; `wanted` is where it could be put by hand."""
        advice = f"{datasets.where_to_get(self.name)}, this file at {wanted}"
        if not file.url:
            raise UserError(f"{self.title} needs {wanted.name}, which cannot be downloaded: {advice}")
        archives = [folder / file.url.rpartition("/")[2] for folder in folders] if file.member else []
        archive = next((path for path in archives if path.is_file()), None)
        if not archive and not self.fetches:
            raise UserError(f"{self.title} needs {wanted.name}: {advice}, or set download to True")
        source = archive or file.url
        try:
            if archive:
                path = pathlib.Path(dl_manager.extract(archive))
            elif file.member:
                path = pathlib.Path(dl_manager.download_and_extract(file.url))
            else:
                path = pathlib.Path(dl_manager.download(file.url))
        except Exception as error:  # whatever the network, the archive or a wrong checksum raises
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
            raise UserError(f"{self.title} needs {wanted.name}, but {source} failed ({reason}): {advice}") from error
        if file.member and not (path / file.member).exists():
            raise UserError(f"{self.title} needs {file.member}, which is not in {source}: {advice}")
        return path / file.member if file.member else path

    def _compare_checksums(self, found: Mapping[pathlib.Path, File]) -> None:
        """Warns of files that are not those of the release, or not known to be."""
        unknown = []
        for path, file in found.items():
            known = (self.url_infos or {}).get(f"{file.url}#{file.member}" if file.member else file.url)
            if known is None:
                unknown.append(str(path))
            elif tfds.core.download.checksums.compute_url_info(path) != known:
                logging.warning("%s: %s differs from the file of the release, %s", self.title, path, file.url)
        if unknown:
            logging.warning(
                "%s: no checksum is known, so they are read as they are: %s", self.title, ", ".join(unknown)
            )


def tagged() -> dict[str, Any]:
    """The features of sentences with a tag for each word."""
    strings = tfds.features.Sequence(tfds.features.Text())
    return {"id": tfds.features.Text(), "tokens": strings, "tags": strings}


def configs(names: Iterable[str]) -> list[tfds.core.BuilderConfig]:
    """Configs that differ in nothing but their names; the first is the default."""
    return [tfds.core.BuilderConfig(name=name) for name in names]


class Labelled(NamedTuple):
    """A row with its line of a file of labels."""

    row: Any
    label: str
    place: formats.Place  # of the label


def labelled(rows: Iterable[Any], *, texts: pathlib.Path, labels: pathlib.Path) -> list[Labelled]:
    """Rows, each with the line of its number in a file of labels.

    Args:
        texts: the file `rows` are read from, for the message.
        labels: a file with one label a line.

    Raises:
        UserError: there are not as many labels as rows.
    """
    rows, found = list(rows), list(sources.lines(labels))
    if len(rows) != len(found):
        raise UserError(
            f"{labels} has {len(found)} lines; it must have one for each of the {len(rows)} rows of {texts}"
        )
    places = (formats.Place(str(labels), number) for number in range(1, len(found) + 1))
    return [Labelled(*parts) for parts in zip(rows, found, places, strict=True)]


def text(record: formats.Record, name: str) -> str:
    """A field that must be a string.

    Raises:
        UserError: it is missing or of another type.
    """
    value = formats.member(record.fields, name, str(record.place))
    if not isinstance(value, str):
        raise UserError(f"{record.place} has {name} {value!r}; it must be a string")
    return value


def one_of(value: Any, valid: Iterable[Any], *, name: str, place: Any) -> Any:
    """`value`, if it is among `valid`.

    Args:
        name: what it is the value of, for the message.
        place: where it was read, for the message.

    Raises:
        UserError: it is not.
    """
    valid = list(valid)
    # By type too: 1, 1.0 and True are the same to `in`.
    if not any(type(value) is type(other) and value == other for other in valid):
        raise UserError(f"{place} has {name} {value!r}; {did_you_mean(value, valid)}")
    return value
