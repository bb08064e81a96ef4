"""Text for masked language modelling (MLM) and, as translation pairs, for TLM.

- `text_file.<language>`, `parallel_file.<language>`: the user's own corpora in `text_dir`.
  `<language>.txt[.xz|.gz]` holds one paragraph, sentence or verse a line, `<language>.tsv[.xz|.gz]` (there or
  in its folder `parallel/`) `English<TAB>other`. Every hundredth line is `validation`, the rest `train`;
  blank lines are left out.
- `text_of.<family>.<language>`: the text of other tasks without their labels, each text once. It comes from
  training and validation splits only and never from data that a task is evaluated on, so scores stay honest.
  The first twentieth of the validation split is kept as `validation`, the rest goes into `train`.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping

from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import languages, sources
from xtreme_stilts.tasks.registry import Family, Mixture, family, register_family, register_mixture

TEXT, PARALLEL = "text_file", "parallel_file"
SMOOTHING = 1 / 0.3  # temperature over languages; exponent 0.3 as in XLM-R (Conneau et al. 2020)
HELD_OUT = 100  # every so-manieth line of a file is for validation


# --------------------------------------------------------------------------------------------------
# Conversions


def _no_targets(inputs):
    import tensorflow as tf

    return {"inputs": inputs, "targets": tf.zeros([0], tf.string)}


def single(row, language, *, text: str = "text"):
    """One text, feature `text` string[]."""
    return _no_targets(row[text][None])


def pair(row, language, *, first: str = "english", second: str = "other"):
    """A translation pair, features `first` and `second` string[]; read as one sequence (TLM)."""
    import tensorflow as tf

    return _no_targets(tf.stack([row[first], row[second]]))


def words(row, language, *, words: str = "tokens"):
    """Running text from `words` string[n], joined as the language writes them."""
    import tensorflow as tf

    return _no_targets(tf.strings.reduce_join(row[words], separator=languages.word_separator(language))[None])


# --------------------------------------------------------------------------------------------------
# Text of other tasks


def of_family(name: str, convert: Callable, *, splits: Mapping[str, str], **changes) -> Family:
    """The family `text_of.<name>`: the rows of family `name`, as text without labels."""
    base = family(name)
    fields = {"languages": base.languages, "lacks": base.lacks} | changes
    return Family(
        name=f"text_of.{name}",
        kind="mlm",
        metric="perplexity",
        splits=splits,
        source=base.source,
        convert=convert,
        keep=base.keep,
        distinct=True,
        **fields,
    )


_WIKIANN = {"train": "train+validation[5%:]", "validation": "validation[:5%]"}
_UD = {"train": "train+dev[5%:]", "validation": "dev[:5%]"}


def text_of_families() -> tuple[Family, ...]:
    """`text_of` for the tasks whose training data is running text."""
    context = functools.partial(single, text="context")
    return (
        of_family("udpos", words, splits=_UD),
        of_family("panx", words, splits=_WIKIANN),
        of_family("squad_v1", context, splits={"train": "train", "validation": "validation[:5%]"}),
        # English only: XTREME trains on English and evaluates on the dev sets.
        of_family("tydiqa", context, splits={"train": "train"}, languages=("en",)),
    )


# A small multilingual corpus out of data sets that are quick to get: Universal Dependencies (the languages
# with training or dev sentences in one treebank each), five languages of WikiAnn, and the English paragraphs
# of two question answering sets.
REAL_SMALL_TEXT = Mixture(
    name="real_small_text",
    sampling="temperature",
    temperature=2.0,
    tasks=(
        *(
            f"text_of.udpos.{code}"
            for code in languages.codes(
                "af bg de el en es et eu fa fr he hu id it ja kk ko mr nl pt ru ta te tr ur vi zh"
            )
        ),
        *(f"text_of.panx.{code}" for code in languages.codes("de en es nl ru")),
        "text_of.squad_v1.en",
        "text_of.tydiqa.en",
    ),
)


# --------------------------------------------------------------------------------------------------
# Files


def _files(suffix: str) -> tuple[str, str]:
    """The folder that holds the files with this suffix, and the suffix."""
    root = sources.folder("text_dir", needed_by="text_file" if suffix == ".txt" else "parallel_file")
    inner = pathlib.Path(root) / "parallel"
    return (str(inner), suffix) if suffix == ".tsv" and inner.is_dir() else (root, suffix)


def _path(language: str, suffix: str) -> pathlib.Path:
    folder, _ = _files(suffix)
    path = sources.find(folder, language, suffix)
    if path is None:
        raise UserError(f"{folder} has no file {language}{suffix}, nor one packed as .xz or .gz")
    return path


def _in_split(number: int, split: str) -> bool:
    return (number % HELD_OUT == 0) == (split == "validation")


def text_rows(language: str, split: str) -> Iterator[dict[str, str]]:
    """`id` (line number) and `text` of the lines of `<language>.txt` that belong to a split."""
    for number, line in enumerate(sources.lines(_path(language, ".txt")), 1):
        if _in_split(number, split) and line.strip():
            yield {"id": str(number), "text": line.strip()}


def parallel_rows(language: str, split: str) -> Iterator[dict[str, str]]:
    """`id` (line number), `english` and `other` of the lines of `<language>.tsv` that belong to a split."""
    for number, (english, other) in enumerate(sources.columns(_path(language, ".tsv"), count=2), 1):
        if _in_split(number, split) and english.strip() and other.strip():
            yield {"id": str(number), "english": english.strip(), "other": other.strip()}


def _version(suffix: str, language: str) -> str:
    return sources.file_version(_path(language, suffix))


def file_family(name: str, *, codes: tuple[str, ...]) -> Family:
    """`text_file` or `parallel_file` over some languages."""
    read, convert, suffix = {TEXT: (text_rows, single, ".txt"), PARALLEL: (parallel_rows, pair, ".tsv")}[name]
    return Family(
        name=name,
        kind="mlm",
        metric="perplexity",
        languages=codes,
        convert=convert,
        splits={"train": "train", "validation": "validation"},
        source=sources.Rows(read=read, version=functools.partial(_version, suffix)),
    )


def register_files() -> None:
    """Registers the file families: over the languages found in `text_dir`, or over all known ones while it is
    not set.

    The mixtures `text_files` and `parallel_files` take all their languages, smoothed (`SMOOTHING`).

    Raises:
        UserError: `text_dir` is no folder or holds no corpora.
    """
    known = tuple(languages.LANGUAGES)
    found = {TEXT: known, PARALLEL: tuple(code for code in known if code != "en")}
    if sources.settings().text_dir:
        found = {
            TEXT: sources.file_languages(*_files(".txt")),
            PARALLEL: sources.file_languages(*_files(".tsv")),
        }
        if not any(found.values()):
            raise UserError(f"text_dir {sources.settings().text_dir!r} holds no <language>.txt or .tsv, packed or not")
    for name, codes in found.items():
        if codes:
            tasks = register_family(file_family(name, codes=codes)).tasks
            register_mixture(Mixture(name=f"{name}s", tasks=tasks, sampling="temperature", temperature=SMOOTHING))
