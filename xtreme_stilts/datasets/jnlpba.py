"""JNLPBA (Kim et al. 2004), the biomedical named entities of the BioNLP/NLPBA 2004 shared task.

Made from GENIA 3.02: one word a line, `word<TAB>tag`, IOB2 tags, blank lines between sentences; a line
`###MEDLINE:<number>` begins an abstract.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, one_of, tagged
from xtreme_stilts.tasks import formats

TAGS = ("O", *(f"{part}-{kind}" for kind in ("DNA", "RNA", "cell_line", "cell_type", "protein") for part in "BI"))
_URL = "http://www.nactem.ac.uk/GENIA/current/Shared-tasks/JNLPBA"


def _file(name: str, archive: str) -> File:
    folder = pathlib.PurePosixPath(archive).name.partition(".")[0]
    return File(names=(name, f"{folder}/{name}"), url=f"{_URL}/{archive}", member=name)


class Jnlpba(ReleaseBuilder):
    """JNLPBA: words with IOB2 `tags` of 5 kinds of entities; `id` is the number of the sentence, from 0.

    Source: http://www.nactem.ac.uk/GENIA/current/Shared-tasks/JNLPBA. Licence: CC BY 3.0 (GENIA).
    """

    name = "jnlpba"
    HOMEPAGE = "http://www.geniaproject.org/shared-tasks/bionlp-jnlpba-shared-task-2004"
    LICENSE = "CC BY 3.0"

    def features(self) -> dict[str, Any]:
        return tagged()

    def files(self) -> dict[str, dict[str, File]]:
        return {
            "train": {"rows": _file("Genia4ERtask1.iob2", "Train/Genia4ERtraining.tar.gz")},
            "test": {"rows": _file("Genia4EReval1.iob2", "Evaluation/Genia4ERtest.tar.gz")},
        }

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        sentences = formats.conll(paths["rows"], separator="\t", comment="###MEDLINE:")
        for number, (place, words, tags) in enumerate(sentences):
            for word, tag in zip(words, tags, strict=True):
                one_of(tag, TAGS, name=f"(or a line after it, for {word!r}) the tag", place=place)
            yield Row(place, {"id": str(number), "tokens": words, "tags": tags})
