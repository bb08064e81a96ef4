"""Overlap of training text with evaluation text: which examples of an evaluation set were seen in training.

Terms and assumptions:

- A *source* is one split of one task. Its examples (text schema of `xtreme_stilts.tasks`) are made of *parts*:
  question and context, context and choices, first and second text, or one sentence.
- The *units* of a text are its words: NFKC, case folded, letters, marks and digits only. Languages that are
  written without spaces have no words to count, so there every character is a unit; a Han or kana character
  counts as half a word, a Thai, Lao, Khmer or Burmese one as a quarter (words there are about two and four
  characters long).
- What is compared is each distinct *text* of a part, if it is at least `SHORT` words long. A shorter one proves
  nothing by itself ("No, he did not."), so examples that have nothing longer are compared with all their inputs
  together, in whatever order; and if even these are shorter than `SHORT` words, the example is left out and
  counted as *short*.
- *exact*: a training text has the same units. *near*: it is not exact but shares a *gram* with training text, a
  run of 13 words: the rule of GPT-3 (Brown et al. 2020, appendix C), with 26 Han or kana and 52 Thai characters in
  place of words by the weights above (GPT-4's report, appendix C, uses 50 characters). Inputs taken together
  have no grams of their own.
- *covered*: the share of the words of all the texts of a part that lie in shared grams or exact texts. Templates
  and quotations share a gram or two; copies that were edited are covered almost wholly.
- An example is *affected* if one of its texts is exact or near. Every row of a training split counts, whatever
  number of steps or share of it is really trained on.

Texts and grams are known by 64-bit hashes only. The evaluation side is indexed in memory, about 50 bytes a word;
the training side is streamed. Two different texts or grams are taken for the same with a chance of about one in a
million for 10 M grams against 2 M.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xtreme_stilts.errors import UserError

GRAM = 13  # words of a gram (GPT-3, appendix C)
SHORT = 5  # words a text must have to be compared by itself
TOGETHER = "together"  # the part that stands for all inputs of an example without longer texts
NAMED = 5  # ids of affected examples that are kept

_CHUNK = 2_000  # training examples that are looked up at once


class Source(NamedTuple):
    """One split of one task, `squad_v1.en` `train`."""

    task: str
    split: str

    def __str__(self) -> str:
        return f"{self.task}:{self.split}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartOverlap:
    """Overlap in one part of the examples."""

    part: str  # such as "question"; see `parts`
    texts: int  # distinct ones that were compared
    exact: int
    near: int
    covered: float  # percent of the words of `texts`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overlap:
    """What of an evaluation set one training set holds."""

    train: Source
    evaluation: Source
    examples: int
    affected: int  # examples with an exact or near text
    short: int  # examples too short to tell
    ids: tuple[str, ...]  # of affected examples, those covered most first; at most `NAMED`
    parts: tuple[PartOverlap, ...]


class Unavailable(NamedTuple):
    """A source that could not be read, and the sentence that says why."""

    source: Source
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All pairs that could be compared, evaluation sets inside training sets, and what could not be read."""

    overlaps: tuple[Overlap, ...]
    unavailable: tuple[Unavailable, ...]

    @property
    def found(self) -> tuple[Overlap, ...]:
        """The pairs that overlap."""
        return tuple(overlap for overlap in self.overlaps if overlap.affected)


class Part(NamedTuple):
    """A text of an example and what it is there."""

    name: str
    text: str


class Example(NamedTuple):
    """An example as it is compared."""

    id: str
    parts: tuple[Part, ...]


_ALONE, _PAIR = {1: ("text",), 2: ("first text", "second text")}, {2: ("question", "context")}
_NAMES = {"classification": _ALONE, "regression": _ALONE, "mlm": _ALONE, "embedding": _ALONE, "span": _PAIR}


def parts(inputs: Sequence[str], *, kind: str) -> list[Part]:
    """The texts of an example and what they are.

    Args:
        inputs: of the text schema.
        kind: of the task's head. The words of a tagged sentence are one text.
    """
    if kind == "tagging":
        return [Part("sentence", " ".join(inputs))]
    if kind == "choice":
        return [Part("choice" if number else "context", text) for number, text in enumerate(inputs)]
    names = _NAMES[kind].get(len(inputs)) or [f"text {number}" for number in range(1, len(inputs) + 1)]
    return [Part(name, text) for name, text in zip(names, inputs, strict=True)]


# --------------------------------------------------------------------------------------------------
# Units

# Weights are whole quarters of a word, so that sums are exact.
_WORD = 4
_CHARACTER = {
    **dict.fromkeys(("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA"), 2),
    **dict.fromkeys(("THAI", "LAO", "KHMER", "MYANMAR"), 1),
}
_weights: dict[str, int] = {}  # of the single characters that are units; filled as they are met


class _Spacing(dict):
    """For str.translate: what is no letter, mark or digit becomes a space, a character that is a unit gets spaces
    around it."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kept = unicodedata.category(char)[0] in "LMN"
        weight = _CHARACTER.get(unicodedata.name(char, "").partition(" ")[0].partition("-")[0]) if kept else None
        if weight:
            _weights[char] = weight
        self[code] = f" {char} " if weight else char if kept else " "
        return self[code]


_SPACING = _Spacing()


@functools.lru_cache(maxsize=2 * _CHUNK)  # the questions of a paragraph follow each other
def units(text: str) -> tuple[str, ...]:
    """The words of a text, or its characters where words are not told apart; see the module's terms."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)  # folding may take letters apart again
    return tuple(text.translate(_SPACING).split())


def words(found: Sequence[str]) -> float:
    """How many words some units are worth."""
    return sum(_weights.get(unit, _WORD) for unit in found) / _WORD


class _Text(NamedTuple):
    """A text to compare."""

    part: str
    units: Sequence[str]  # none for inputs taken together
    key: int  # the same for texts with the same units
    words: float


def _texts(inputs: Sequence[Part]) -> list[_Text]:
    """The texts of an example that are compared; none if it is too short."""
    found = [(part.name, units(part.text)) for part in inputs]
    long = [
        _Text(name, each, hash(" ".join(each)), size) for name, each in found if each and (size := words(each)) >= SHORT
    ]
    if long or len(found) < 2:
        return long
    joined = sorted(" ".join(each) for _, each in found)
    size = words([unit for _, each in found for unit in each])
    return [_Text(TOGETHER, (), hash("\n".join(joined)), size)] if size >= SHORT else []


# --------------------------------------------------------------------------------------------------
# Grams

_BASE = 0x9E3779B97F4A7C15  # any odd number
_INVERSE = pow(_BASE, -1, 1 << 64)


class _Grams(NamedTuple):
    """The grams of texts laid end to end. A gram covers units [first[i], end[i])."""

    hashes: np.ndarray  # uint64[grams]
    first: np.ndarray  # int64[grams]
    end: np.ndarray  # int64[grams]
    starts: np.ndarray  # int64[texts + 1], where each text's units begin
    weights: np.ndarray  # int64[units], quarters of a word


def _grams(texts: Sequence[Sequence[str]]) -> _Grams:
    """Every shortest run of units that is worth `GRAM` words, within a text.

    The hash of a run is the polynomial of its units' hashes modulo 2 ** 64, read off one running sum: a run that
    begins at i is the difference of two sums divided by base ** i.
    """
    starts = np.cumsum([0, *map(len, texts)])
    total = int(starts[-1])
    flat = list(itertools.chain.from_iterable(texts))
    hashes = np.fromiter(map(hash, flat), np.int64, total).view(np.uint64)
    weights = np.fromiter(map(_weights.get, flat, itertools.repeat(_WORD)), np.int64, total)
    if not total:
        return _Grams(hashes, starts[:0], starts[:0], starts, weights)
    sums = np.append(np.uint64(0), np.cumsum(hashes * _powers(_BASE, total), dtype=np.uint64))
    reached = np.append(0, np.cumsum(weights))
    end = np.searchsorted(reached, reached[:-1] + GRAM * _WORD)
    first = np.flatnonzero(end <= np.repeat(starts[1:], np.diff(starts)))
    end = end[first]
    return _Grams((sums[end] - sums[first]) * _powers(_INVERSE, total)[first], first, end, starts, weights)


def _powers(base: int, count: int) -> np.ndarray:
    """uint64[count], base ** i modulo 2 ** 64."""
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


# --------------------------------------------------------------------------------------------------
# The evaluation side


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """The texts of an evaluation set, each distinct one of a part once. Numbers point into the index."""

    source: Source
    ids: list[str]
    of_example: list[list[int]]  # numbers of each example's texts
    part: list[str]  # of each text
    words: np.ndarray  # float64[texts]
    keys: np.ndarray  # hashes, then numbers in the index: [texts]
    grams: _Grams  # hashes, then numbers in the index


def _read_evaluation(source: Source, examples: Iterable[Example]) -> _Evaluation:
    number: dict[tuple[str, int], int] = {}
    found: list[_Text] = []
    ids, of_example = [], []
    for example in examples:
        mine = []
        for text in _texts(example.parts):
            if (text.part, text.key) not in number:
                number[text.part, text.key] = len(found)
                found.append(text)
            mine.append(number[text.part, text.key])
        ids.append(example.id)
        of_example.append(mine)
    return _Evaluation(
        source=source,
        ids=ids,
        of_example=of_example,
        part=[text.part for text in found],
        words=np.array([text.words for text in found], np.float64),
        keys=np.array([text.key for text in found], np.int64).view(np.uint64),
        grams=_grams([text.units for text in found]),
    )


class _Hits:
    """Sorted hashes of the evaluation side, and which of them the training side has shown so far."""

    def __init__(self, hashes: Iterable[np.ndarray]):
        self.known = np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]))
        self.clear()

    def clear(self) -> None:
        self.seen = np.zeros(len(self.known), bool)

    def numbers(self, hashes: np.ndarray) -> np.ndarray:
        """Where hashes that are known stand."""
        return np.searchsorted(self.known, hashes)

    def note(self, hashes: np.ndarray) -> None:
        """Marks those of the hashes that are known."""
        hashes = np.sort(hashes)  # neighbours in memory are looked up one after another
        place = np.searchsorted(self.known, hashes)
        inside = place < len(self.known)
        place, hashes = place[inside], hashes[inside]
        self.seen[place[self.known[place] == hashes]] = True


@dataclasses.dataclass(frozen=True)
class _Index:
    """All evaluation sets, with numbers in place of hashes."""

    evaluations: list[_Evaluation]
    keys: _Hits
    grams: _Hits

    @classmethod
    def of(cls, evaluations: list[_Evaluation]) -> _Index:
        keys = _Hits(each.keys for each in evaluations)
        grams = _Hits(each.grams.hashes for each in evaluations)
        numbered = [
            dataclasses.replace(
                each,
                keys=keys.numbers(each.keys),
                grams=each.grams._replace(hashes=grams.numbers(each.grams.hashes)),
            )
            for each in evaluations
        ]
        return cls(numbered, keys, grams)

    def look_up(self, examples: Iterable[Example]) -> int:
        """Marks all that a training set shares with any evaluation set; returns the number of its examples."""
        self.keys.clear()
        self.grams.clear()
        count = 0
        examples = iter(examples)
        while chunk := list(itertools.islice(examples, _CHUNK)):
            texts = {text.key: text for example in chunk for text in _texts(example.parts)}
            self.keys.note(np.fromiter(texts, np.int64, len(texts)).view(np.uint64))
            self.grams.note(_grams([text.units for text in texts.values()]).hashes)
            count += len(chunk)
        return count

    def overlap(self, evaluation: _Evaluation, *, train: Source) -> Overlap:
        """What was marked of one evaluation set."""
        exact = self.keys.seen[evaluation.keys]
        share = np.where(exact, 1.0, self._covered(evaluation))
        of_example = np.array([max((share[number] for number in mine), default=0.0) for mine in evaluation.of_example])
        order = np.argsort(-of_example, kind="stable")
        affected = int(np.count_nonzero(of_example))
        return Overlap(
            train=train,
            evaluation=evaluation.source,
            examples=len(evaluation.ids),
            affected=affected,
            short=sum(not mine for mine in evaluation.of_example),
            ids=tuple(evaluation.ids[row] for row in order[: min(affected, NAMED)]),
            parts=tuple(
                _part_overlap(
                    name, np.array([part == name for part in evaluation.part]), exact, share, evaluation.words
                )
                for name in dict.fromkeys(evaluation.part)
            ),
        )

    def _covered(self, evaluation: _Evaluation) -> np.ndarray:
        """float64[texts], the share of each text's words that lie in shared grams."""
        grams = evaluation.grams
        shared = self.grams.seen[grams.hashes]
        if not shared.any():
            return np.zeros(len(evaluation.keys))
        depth = np.zeros(len(grams.weights) + 1, np.int64)  # shared grams over each unit, as differences
        np.add.at(depth, grams.first[shared], 1)
        np.add.at(depth, grams.end[shared], -1)
        inside = np.append(0, np.cumsum(grams.weights * (np.cumsum(depth[:-1]) > 0)))
        return (inside[grams.starts[1:]] - inside[grams.starts[:-1]]) / (_WORD * evaluation.words)


def _part_overlap(name: str, mine: np.ndarray, exact: np.ndarray, share: np.ndarray, words: np.ndarray) -> PartOverlap:
    return PartOverlap(
        part=name,
        texts=int(mine.sum()),
        exact=int(np.count_nonzero(exact & mine)),
        near=int(np.count_nonzero((share > 0) & ~exact & mine)),
        covered=100 * float((share * words)[mine].sum() / words[mine].sum()),
    )


# --------------------------------------------------------------------------------------------------
# Both sides


def compare(
    train: Iterable[Source],
    evaluation: Iterable[Source],
    *,
    read: Callable[[Source], Iterable[Example]] | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Report:
    """Looks for every evaluation set in every training set.

    Args:
        train, evaluation: sources; repeated ones count once.
        read: gives the examples of a source and raises UserError where it has none; default: `read_examples`.
        note: told each source as its turn comes.
    """
    read = read or read_examples
    unavailable: list[Unavailable] = []

    def attempt(source: Source, use: Callable[[Iterable[Example]], Any]) -> Any:
        note(f"reading {source}")
        try:
            return use(read(source))
        except UserError as error:
            unavailable.append(Unavailable(source, str(error)))
            return None

    sets = [
        found
        for source in dict.fromkeys(evaluation)
        if (found := attempt(source, functools.partial(_read_evaluation, source))) is not None
    ]
    index = _Index.of(sets)
    overlaps = []
    for source in dict.fromkeys(train):
        if attempt(source, index.look_up) is not None:
            overlaps += [index.overlap(each, train=source) for each in index.evaluations]
    return Report(overlaps=tuple(overlaps), unavailable=tuple(dict.fromkeys(unavailable)))


def read_examples(source: Source) -> Iterator[Example]:
    """The examples of a task's split, from where `xtreme_stilts.tasks.configure` says data is.

    Raises:
        UserError: no such task or split, or the data are not there.
    """
    from xtreme_stilts import tasks
    from xtreme_stilts.tasks import seqio_tasks

    kind = tasks.task(source.task).family.kind
    for example in seqio_tasks.examples(source.task, source.split):
        yield Example(example["id"], tuple(parts(example["inputs"], kind=kind)))


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain dicts, lists and scalars."""
    return {
        "gram_words": GRAM,
        "short_words": SHORT,
        "overlaps": [_plain(dataclasses.asdict(overlap)) for overlap in report.overlaps],
        "unavailable": [{**_plain(each.source._asdict()), "reason": each.reason} for each in report.unavailable],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Source):
        return value._asdict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
