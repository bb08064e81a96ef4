"""BUCC 2018 (Zweigenbaum et al. 2018), https://comparable.limsi.fr/bucc2018/: mining translations of sentences.

For each language a *sample* and a *training* set, each with the sentences of both sides, `id<TAB>sentence`, and the
gold pairs, `id<TAB>English id`. As in XTREME (Hu et al. 2020), the sample set is the split `validation` ("dev" in its
files) and the training set is `test`; the release's own unlabelled test set is not used. Most sentences have no
counterpart. TFDS's `bucc` has nothing but the gold pairs and so cannot be mined.
"""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import formats, sources

LANGUAGES = ("de", "fr", "ru", "zh")
_ENGLISH_SIDE = "_en"


class _Part(NamedTuple):
    """What a split is called elsewhere."""

    release: str
    xtreme: str


_PARTS = {"validation": _Part("sample", "dev"), "test": _Part("training", "test")}


class Bucc2018(ReleaseBuilder):
    """BUCC 2018: sentences with the ids of their English `counterparts`, [] where there is none.

    Splits `validation` and `test` hold the language's own sentences, `validation_en` and `test_en` the English ones.

    Source: https://comparable.limsi.fr/bucc2018/ (sample-gold and training-gold). Licence: none stated; the
    sentences are from Wikipedia (CC BY-SA) and News Commentary.
    """

    name = "bucc2018"
    HOMEPAGE = "https://comparable.limsi.fr/bucc2018/"
    BUILDER_CONFIGS = configs(LANGUAGES)

    def features(self) -> dict[str, Any]:
        return {
            "id": tfds.features.Text(),
            "text": tfds.features.Text(),
            "counterparts": tfds.features.Sequence(tfds.features.Text()),
        }

    def files(self) -> dict[str, dict[str, File]]:
        return {split + side: self._files(part) for split, part in _PARTS.items() for side in ("", _ENGLISH_SIDE)}

    def _files(self, part: _Part) -> dict[str, File]:
        pair = f"{self.builder_config.name}-en"
        url = f"{self.HOMEPAGE}bucc2018-{pair}.{part.release}-gold.tar.bz2"
        # The release's names first: where its unlabelled test set lies beside them, it must not be taken for XTREME's.
        stems = [
            f"{folder}{pair}.{called}"
            for called in part
            for folder in ("", f"{pair}/", f"bucc2018/{pair}/", "bucc2018/")
        ]
        return {
            role: File(
                names=tuple(f"{stem}.{ending}" for stem in stems),
                url=url,
                member=f"bucc2018/{pair}/{pair}.{part.release}.{ending}",
            )
            for role, ending in (("own", self.builder_config.name), ("english", "en"), ("gold", "gold"))
        }

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        counterparts = _counterparts(paths)
        role = "english" if split.endswith(_ENGLISH_SIDE) else "own"
        for number, (name, sentence) in enumerate(sources.columns(paths[role], count=2), 1):
            values = {"id": name, "text": sentence, "counterparts": counterparts[role].get(name, [])}
            yield Row(formats.Place(str(paths[role]), number), values)


def _counterparts(paths: Mapping[str, pathlib.Path]) -> dict[str, dict[str, list[str]]]:
    """Role -> id -> ids of English counterparts; English sentences have none listed.

    Pairs are a set, as in the shared task's scoring: one that is listed twice counts once.
    """
    ids = {role: {name for name, _ in sources.columns(paths[role], count=2)} for role in ("own", "english")}
    found: dict[str, dict[str, None]] = collections.defaultdict(dict)
    for number, pair in enumerate(sources.columns(paths["gold"], count=2), 1):
        for name, role in zip(pair, ("own", "english"), strict=True):
            if name not in ids[role]:
                place = formats.Place(str(paths["gold"]), number)
                raise UserError(f"{place} names {name!r}, which is not in {paths[role].name}")
        found[pair[0]][pair[1]] = None
    return {"own": {name: list(others) for name, others in found.items()}, "english": {}}
