"""CCGbank 1.1 (Hockenmaier and Steedman 2005), LDC2005T13: supertags, from its machine-readable AUTO files.

`AUTO/<section>/wsj_<section><file>.auto` holds a line `ID=wsj_0001.1 ...` and a line with the derivation for each
sentence; a leaf of a derivation is `(<L category modified-POS original-POS word predicate-argument-category>)`, its
parts separated by spaces. The category is the supertag. Words are kept as they are, brackets thus written -LRB-, -RRB-,
-LCB- and -RCB- as in the Penn Treebank.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, tagged
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import formats, sources

# The usual split of the Penn Treebank's sections (Hockenmaier and Steedman 2007).
SECTIONS = {"train": range(2, 22), "validation": range(0, 1), "test": range(23, 24)}
_LEAF = re.compile(r"\(<L (?P<category>\S+) \S+ \S+ (?P<word>\S+) \S+>\)")


class Ccgbank(ReleaseBuilder):
    """CCGbank 1.1: `tokens` with their CCG categories, `tags`. Train is sections 02-21, validation 00, test 23.

    Source: https://catalog.ldc.upenn.edu/LDC2005T13. Licence: LDC user agreement; not downloadable.
    """

    name = "ccgbank"
    HOMEPAGE = "https://catalog.ldc.upenn.edu/LDC2005T13"
    LICENSE = "LDC user agreement"

    def features(self) -> dict[str, Any]:
        return tagged()

    def files(self) -> dict[str, dict[str, File]]:
        above = ("AUTO", "data/AUTO", "ccgbank_1_1/data/AUTO")
        return {
            split: {f"{n:02d}": File(names=tuple(f"{folder}/{n:02d}" for folder in above)) for n in sections}
            for split, sections in SECTIONS.items()
        }

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        for folder in paths.values():
            files = sorted(folder.glob("*.auto"))
            if not files:
                raise UserError(f"{folder} has no files *.auto; it must hold those of one section of CCGbank")
            for path in files:
                yield from derivations(path)


def derivations(path: pathlib.Path) -> Iterator[Row]:
    """The sentences of an AUTO file.

    Raises:
        UserError: a line is neither a name nor a derivation, or they do not take turns.
    """
    name = ""
    place = formats.Place(str(path), 1)
    for number, line in enumerate(sources.lines(path), 1):
        place = formats.Place(str(path), number)
        if line.startswith("ID=") and not name:
            name = line.removeprefix("ID=").partition(" ")[0]
        elif line.strip():
            leaves = list(_LEAF.finditer(line))
            if not name or not leaves or len(leaves) != line.count("(<L "):
                raise UserError(
                    f"{place} begins {line[:40]!r}; lines must be, in turn, ID=... and a derivation with leaves "
                    "(<L category POS POS word category>)"
                )
            tokens, tags = [leaf["word"] for leaf in leaves], [leaf["category"] for leaf in leaves]
            yield Row(place, {"id": name, "tokens": tokens, "tags": tags})
            name = ""
    if name:
        raise UserError(f"{place} names the sentence {name!r}, whose derivation is missing")
