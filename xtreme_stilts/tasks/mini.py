"""The miniature benchmark as task families: the real ones' definitions over rows of `xtreme_stilts.mini`.

`mini_xnli` is `xnli` in every respect but its source, its languages and its training task, `mini_mnli.en`;
both can be used side by side. The miniature has the published data sets' features, so the same conversions
read it. Intermediate tasks are English, targets have all seven languages, and only English ones have a
training split; `mini_squad_translated` has one in every language.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Mapping

from xtreme_stilts.tasks import intermediate, reasoning, spans, text, translated, xtreme
from xtreme_stilts.tasks.languages import codes
from xtreme_stilts.tasks.registry import ENGLISH_SIDE, Family, Mixture
from xtreme_stilts.tasks.sources import Rows

LANGUAGES = codes("en de es ru sw tr zh")
OTHERS = LANGUAGES[1:]

PREFIX = "mini_"


def mini_family(
    base: Family,
    data_set: str,
    *,
    languages: tuple[str, ...] = ("en",),
    name: str = "",
    splits: Mapping[str, str] | None = None,
    seed: int = 0,
    **fields,
) -> Family:
    """The miniature of a family.

    Args:
        base: the real one.
        data_set: what `xtreme_stilts.mini.rows` calls it; `{language}` and, without `_en`, `{own}` are
            replaced.
        languages: those it has.
        name: without the prefix; default: the real one's.
        splits: where the miniature's are not named as the real ones.
        seed: of the rows; another one gives others, and no split of it overlaps with another split's.
        **fields: of the family, where they differ from what follows.
    """
    splits = dict(splits or base.splits)
    trained = [task and f"{PREFIX}{task}" for task in (base.train, base.validation)]
    untrained = tuple(code for code in languages if code != "en") if base.kind != "mlm" else ()
    followed = {
        "name": PREFIX + (name or base.name),
        "languages": languages,
        "splits": splits,
        "train": trained[0] or "-",
        "validation": trained[1] or "",
        "lacks": {"train": untrained} if "train" in splits else {},
        "source": Rows(
            read=functools.partial(_read, data_set, seed), version=functools.partial(_version, data_set, seed)
        ),
    }
    return dataclasses.replace(base, **followed | fields)


def _read(data_set: str, seed: int, language: str, split: str) -> list[dict]:
    return list(_rows(data_set.format(language=language, own=language.removesuffix(ENGLISH_SIDE)), seed, split))


@functools.lru_cache(maxsize=8)
def _rows(data_set: str, seed: int, split: str) -> tuple[dict, ...]:
    from xtreme_stilts import mini

    return tuple(mini.rows(data_set, split=split, seed=seed))


def _version(data_set: str, seed: int, language: str) -> str:
    named = f"mini/{data_set.format(language=language, own=language)}"
    return f"{named}:{_code_version()}" if seed == 0 else f"{named}, seed {seed}:{_code_version()}"


@functools.lru_cache(maxsize=1)
def _code_version() -> str:
    """Sha256 of the generator: its rows follow from its code alone."""
    from xtreme_stilts import mini

    files = sorted(pathlib.Path(mini.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


_TRAIN, _VALIDATION = {"train": "train"}, {"validation": "validation"}
_WITHOUT_TEST = _TRAIN | _VALIDATION

TARGETS = (
    mini_family(xtreme.XNLI, "xnli", languages=LANGUAGES),
    mini_family(xtreme.PAWSX, "paws_x_wiki/{language}", languages=LANGUAGES),
    mini_family(xtreme.UDPOS, "xtreme_pos/{language}", languages=LANGUAGES),
    mini_family(xtreme.PANX, "wikiann/{language}", languages=LANGUAGES),
    mini_family(xtreme.XQUAD, "xquad/{language}", languages=LANGUAGES),
    mini_family(xtreme.MLQA, "mlqa/{language}", languages=codes("en de es zh")),  # MLQA's metric has rules for these
    # As the real one, it is scored on its validation rows.
    mini_family(xtreme.TYDIQA, "tydiqa/{language}", languages=LANGUAGES, splits=_WITHOUT_TEST | {"test": "validation"}),
    mini_family(xtreme.BUCC2018, "bucc2018/{language}", languages=OTHERS, splits={"validation": "dev", "test": "test"}),
    mini_family(xtreme.TATOEBA, "tatoeba/{own}", languages=OTHERS),
)

INTERMEDIATE = (
    mini_family(intermediate.MNLI, "multi_nli"),
    mini_family(intermediate.SQUAD_V1, "squad/v1.1"),
    mini_family(intermediate.SQUAD_V2, "squad/v2.0"),
    mini_family(intermediate.HELLASWAG, "hellaswag", splits=_WITHOUT_TEST),
    mini_family(intermediate.COSMOSQA, "cosmos_qa", splits=_WITHOUT_TEST),
    mini_family(intermediate.COMMONSENSEQA, "commonsense_qa", splits=_WITHOUT_TEST),
    mini_family(intermediate.SIQA, "siqa", splits=_WITHOUT_TEST),
)


def _under_one_id(row, language):
    """SQuAD's layout, the id without its language: translations of a question share theirs, as in the real data."""
    import tensorflow as tf

    return spans.squad(row, language) | {"id": tf.strings.split(row["id"], "-")[-1]}


(_COPA,) = (family for family in intermediate.SUPERGLUE if family.name == "copa")

# Training data in every language: drawn anew (another seed), not TyDiQA's own.
TRANSLATED = (
    mini_family(
        translated.SQUAD_TRANSLATED,
        "tydiqa/{language}",
        languages=LANGUAGES,
        splits=_WITHOUT_TEST,
        seed=1,
        train=f"{PREFIX}{translated.SQUAD_TRANSLATED.name}.en",
        lacks={},
        convert=_under_one_id,
    ),
)
REASONING = (
    mini_family(_COPA, "xcopa/en", splits=_WITHOUT_TEST),
    mini_family(reasoning.XCOPA, "xcopa/{language}", languages=OTHERS),
)

TEXT = mini_family(text.file_family(text.TEXT, codes=LANGUAGES), "text/{language}", languages=LANGUAGES, name="text")
MIXED = mini_family(text.file_family(text.TEXT, codes=LANGUAGES), "mixed/{language}", languages=LANGUAGES, name="mixed")
PARALLEL = mini_family(
    text.file_family(text.PARALLEL, codes=OTHERS), "parallel/{language}", languages=OTHERS, name="parallel"
)

FAMILIES = (*TARGETS, *INTERMEDIATE, *TRANSLATED, *REASONING, TEXT, MIXED, PARALLEL)

MIXTURES = (
    Mixture(name="mini_stilts", tasks=tuple(family.train for family in INTERMEDIATE)),
    Mixture(name="mini_xtreme_train", tasks=tuple(PREFIX + task for task in xtreme.TRAIN.tasks)),
    Mixture(name="mini_mlm", tasks=TEXT.tasks, sampling="temperature", temperature=text.SMOOTHING),
    # Half of it is code-mixed: in so little text, languages meet in the encoder only where they meet in a sentence.
    Mixture(
        name="mini_tlm",
        tasks=(*TEXT.tasks, *MIXED.tasks, *PARALLEL.tasks),
        weights=dict.fromkeys(MIXED.tasks, 3.0),
        sampling="temperature",
        temperature=text.SMOOTHING,
    ),
)
