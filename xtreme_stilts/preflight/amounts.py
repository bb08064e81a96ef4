"""How many tokens a phase trains on and how many an evaluation reads, from the best source at hand.

In this order:

- `caches`: the tokenised cache.
- `sample`: the number of rows of a prepared data set times what its first SAMPLE examples give when they are tokenised.
- `published`: the published number of rows of a split that is not here (`tasks/sizes.py`) times what a sample of
  another split of the task gives, else of the family's first language that can be read.
- `recipe`: for training with a number of steps, the rows times their length, all full.
- `--tokens`: what is said there.
- `bound`: the published number of rows, each as long as an example may be: an upper bound, and a loose one. (Long
  contexts of question answering make several rows of some examples; the bound has one for each.)

Where none of them is there, the amount is unknown.

*Tokens* are real ones, padding not counted; *rows* are rows of batches, which are packed as a run packs them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import pathlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jax.sharding import Mesh

from xtreme_stilts import tasks
from xtreme_stilts.config import Recipe
from xtreme_stilts.data import cache as cache_lib
from xtreme_stilts.data.cache import Cache
from xtreme_stilts.data.features import Limits
from xtreme_stilts.data.loader import Shape, packing
from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.zero_shot import evaluation_shape, evaluation_split, languages_of
from xtreme_stilts.graph import Phase
from xtreme_stilts.phase import Setting, training_shape
from xtreme_stilts.quiet import native_stderr
from xtreme_stilts.tasks import sizes

SAMPLE = 256  # examples tokenised where there is no cache


class Amount(NamedTuple):
    """Rows of batches and the tokens in them."""

    rows: float
    tokens: float
    source: str  # "" (nothing) | caches | sample | published | recipe | --tokens | bound | unknown

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return self.source != "unknown"


UNKNOWN = Amount(0, 0, "unknown")
_WORST_LAST = ("", "caches", "sample", "published", "recipe", "--tokens", "bound", "unknown")


def _worst(sources: Iterable[str]) -> str:
    return max(sources, key=_WORST_LAST.index, default="")


def total(amounts: Iterable[Amount]) -> Amount:
    """Their sum; unknown as soon as one of them is."""
    amounts = list(amounts)
    worst = _worst(each.source for each in amounts)
    if worst == "unknown":
        return UNKNOWN
    return Amount(sum(each.rows for each in amounts), sum(each.tokens for each in amounts), worst)


class Group(NamedTuple):
    """Tasks of a phase that share batches, as `phase.py` groups them."""

    tasks: tuple[str, ...]
    shape: Shape


def settled(recipe: Recipe, *, mesh: Mesh) -> Recipe:
    """The recipe with micro-batches, where it has only the tokens of a step.

    A run takes as many rows as fit its device (`phase.py`). Here it is one for each shard of a batch: what needs more
    memory than that cannot be run, and a step costs the same whatever its parts.
    """
    if not recipe.tokens_per_step:
        return recipe
    rows = recipe.rows or mesh.shape["data"] * mesh.shape["fsdp"]
    return dataclasses.replace(recipe, rows=rows, accumulate=recipe.tokens_per_step // recipe.length // rows)


def groups(phase: Phase, *, rows: int) -> list[Group]:
    """All MLM tasks together, every other task by itself."""
    together = tuple(name for name in phase.task_names if tasks.task(name).family.kind == "mlm")
    members = [(name,) for name in phase.task_names if name not in together] + ([together] if together else [])
    return [Group(each, training_shape(phase.recipe, family=tasks.task(each[0]).family, rows=rows)) for each in members]


@dataclasses.dataclass(frozen=True)
class _Split:
    """A task's split: how many rows of tokens it has, and what is known of their lengths."""

    lengths: Cache | int  # a cache of some or all of them, or of others that are like them; else of the longest, tokens
    rows: float
    source: str

    @property
    def mean_length(self) -> float:
        """Tokens a row, all choices together."""
        return self.lengths.mean_length if self.measured else self.lengths

    @property
    def measured(self) -> bool:
        """Whether any text was tokenised."""
        return isinstance(self.lengths, Cache)

    def of(self, examples: int, *, source: str) -> _Split:
        """A split of so many examples like those of this one's cache."""
        return _Split(self.lengths, examples * len(self.lengths) / self.lengths.num_examples, source)

    def filled(self, shape: Shape) -> Filled:
        """One row of a batch."""
        return _filled(self.lengths, shape)


class Filled(NamedTuple):
    """What one row of a batch holds."""

    tokens: float
    examples: float


@functools.lru_cache(maxsize=1024)
def _filled(lengths: Cache | int, shape: Shape) -> Filled:
    if isinstance(lengths, int):
        examples = max(1, min(shape.slots, shape.length // lengths))
        return Filled(examples * lengths, examples)
    if shape.slots == 1:
        return Filled(lengths.mean_length, 1.0)
    measured = packing(lengths, shape=shape, rows=min(512, len(lengths)))  # as many as `phase.train` looks at
    return Filled(measured.fill * shape.length, measured.examples_per_row)


Samples = dict[tuple[str, str, int], _Split | None]  # by task, split and tokens of the longest example


class Amounts:
    """Amounts of a study.

    Args:
        setting: of the study; its cache folder is only read.
        has_tokenizer: whether its tokenizer is a real one; without one nothing can be tokenised.
        tokens: of each training phase whose amount is unknown otherwise, or only bounded; 0 = none.
        samples: what was found out before with the same tokenizer and data, and is now; it does not depend on devices.
    """

    def __init__(self, setting: Setting, *, has_tokenizer: bool, tokens: int = 0, samples: Samples | None = None):
        self.setting, self.has_tokenizer, self.tokens = setting, has_tokenizer, tokens
        self._samples = {} if samples is None else samples

    def _here(self, name: str, split: str, max_length: int) -> _Split | None:
        key = (name, split, max_length)
        if key not in self._samples:
            self._samples[key] = self._find_here(*key)
        return self._samples[key]

    def trained(self, phase: Phase) -> dict[Group, Amount]:
        """Of each group of a phase's tasks."""
        recipe = settled(phase.recipe, mesh=self.setting.mesh)
        found = groups(phase, rows=recipe.rows)
        splits = {group: self._training_splits(phase, group) for group in found}
        known = {group: each for group, each in splits.items() if None not in each}
        if recipe.steps:
            return self._by_steps(phase, recipe, found, known)
        mixture = tasks.mixture(phase.mixture)
        passed = [group for group in found if group.tasks[0] not in mixture.mlm]
        bounds = [each for group in passed for each in known.get(group, []) if not each.measured]
        if all(group in known for group in passed) and not (self.tokens and bounds):
            amounts = {group: _by_epochs(recipe.epochs, group.shape, known[group], cap=mixture.cap) for group in passed}
            beside = sum(each.rows for each in amounts.values()) * mixture.mlm_rate / (1 - mixture.mlm_rate)
            return amounts | {
                group: _full(beside, group, known.get(group, [])) for group in found if group not in passed
            }
        share = self.tokens / len(found)
        amounts = {group: Amount(share / group.shape.length, share, "--tokens") for group in found}
        return amounts if self.tokens else dict.fromkeys(found, UNKNOWN)

    def _by_steps(self, phase: Phase, recipe: Recipe, found: list[Group], known: dict) -> dict[Group, Amount]:
        """Optimizer steps times what a step holds; rows are taken for full where nothing is known of the lengths."""
        mixture = tasks.mixture(phase.mixture)
        counts = {
            name: max(1, round(each.rows))
            for group, splits in known.items()
            for name, each in zip(group.tasks, splits, strict=True)
        }
        # Of rates that change on the way those half-way, which are the mean where they change on a straight line.
        rates = mixture.sampling_rates(counts, progress=0.5) if len(known) == len(found) else {}
        amounts = {}
        for group in found:
            share = sum(rates[name] for name in group.tasks) / sum(rates.values()) if rates else 1 / len(found)
            amounts[group] = _full(share * recipe.steps * recipe.rows * recipe.accumulate, group, known.get(group, []))
        return amounts

    def _training_splits(self, phase: Phase, group: Group) -> list[_Split | None]:
        recipe, mixture = phase.recipe, tasks.mixture(phase.mixture)
        found = []
        for name in group.tasks:
            family = tasks.task(name).family
            length = self.setting.example_length(family, asked=recipe.max_length, row=recipe.length)
            split = self._split(name, "train", length)
            share = mixture.share(name)
            if split is not None and share is not None:
                source = _worst((split.source, "sample"))
                split = dataclasses.replace(split, rows=min(split.rows, share.count), source=source)
            found.append(split)
        return found

    def evaluated(self, family: tasks.Family, *, max_length: int) -> Amount:
        """Of one family in all languages that the study evaluates. Lengths of a language without a cache are those
        of the family's first language that can be read; where its data are not here, see the head of this module.

        Args:
            max_length: of an example, in tokens.
        """
        setting = self.setting
        shape = evaluation_shape(family, setting=setting)
        names, splits = [], []
        for language in languages_of(family, study=setting.study):
            task = f"{family.name}.{language}"
            split = evaluation_split(family, language)
            sides = [task, tasks.english_side(task)] if family.kind == "embedding" else [task]
            names += [(side, split) for side in sides]
        some = next((found for name, split in names if (found := self._here(name, split, max_length))), None)
        for name, split in names:
            found = self._counted(name, split, like=some, max_length=max_length)
            if found is None:
                return UNKNOWN
            splits.append(found)
        return total(_evaluation(each, shape) for each in splits)

    def _counted(self, name: str, split: str, *, like: _Split | None, max_length: int) -> _Split | None:
        cached = self._cached(name, split, max_length)
        if cached is not None:
            found = _Split(cached, len(cached), "caches")
        elif like is not None and (count := sizes.rows(name, split)) is not None:
            found = like.of(count, source="sample")
        else:
            found = self._published(name, split, max_length)
        limit = self.setting.study.evaluation.max_examples
        return dataclasses.replace(found, rows=min(found.rows, limit)) if found and limit else found

    # -- one split

    def _split(self, name: str, split: str, max_length: int) -> _Split | None:
        return self._here(name, split, max_length) or self._published(name, split, max_length)

    def _published(self, name: str, split: str, max_length: int) -> _Split | None:
        size = sizes.published(name, split)
        if size is None:
            return None
        like = next(filter(None, (self._here(*each, max_length) for each in _nearest(name, split))), None)
        if like is None:
            return _Split(max_length * tasks.task(name).family.num_choices, size.rows, "bound")
        return like.of(size.rows, source="published")

    def _find_here(self, name: str, split: str, max_length: int) -> _Split | None:
        cached = self._cached(name, split, max_length)
        if cached is not None:
            return _Split(cached, len(cached), "caches")
        if not self.has_tokenizer:
            return None
        count = sizes.rows(name, split)
        if not count:
            return None
        with tempfile.TemporaryDirectory() as folder, native_stderr():  # TensorFlow minds a stream that is cut off
            examples = itertools.islice(cache_lib.read_seqio(tasks.task(name).name, split), SAMPLE)
            try:
                sample = self._build(name, split, max_length=max_length, folder=pathlib.Path(folder), examples=examples)
            except UserError:  # what cannot be read here is not known
                return None
            return _Split(sample, len(sample), "sample").of(count, source="sample")

    def _cached(self, name: str, split: str, max_length: int) -> Cache | None:
        if not self.setting.cache_dir.is_dir():
            return None
        try:
            return self._build(
                name, split, max_length=max_length, folder=self.setting.cache_dir, examples=_none_of_them()
            )
        except (_NotCached, UserError):  # labels that only the data tell cannot be known either
            return None

    def _build(self, name: str, split: str, *, max_length: int, folder: pathlib.Path, examples: Iterable) -> Cache:
        family = tasks.task(name).family
        return cache_lib.build(
            tasks.task(name).name,
            split,
            kind=family.kind,
            tokenizer=self.setting.tokenizer,
            cache_dir=folder,
            labels=family.labels,
            num_choices=family.num_choices,
            limits=Limits(max_length=max_length),
            data_version=tasks.source_version(name),
            examples=examples,
        )


def _nearest(name: str, split: str) -> Iterator[tuple[str, str]]:
    """Where lengths like those of a task's split are looked for: its other splits, the family's languages, families
    that learn from the same data (MNLI's validation set is XNLI's English one)."""
    own = tasks.task(name).family
    kin = [each.tasks[0] for each in tasks.families() if each is not own and _are_kin(each, own)]
    for task in (name, *own.tasks, *kin):
        here = tasks.task(task).splits
        yield from ((task, each) for each in dict.fromkeys((split, "validation", "test", "train")) if each in here)


def _are_kin(one: tasks.Family, other: tasks.Family) -> bool:
    return one.head_name == other.head_name and one.kind == other.kind and one.num_choices == other.num_choices


class _NotCached(Exception):
    """A cache would have to be made."""


def _none_of_them() -> Iterator:
    """Examples that must not be asked for: only a cache that is there is opened."""
    raise _NotCached
    yield


def _full(rows: float, group: Group, splits: list[_Split]) -> Amount:
    """So many rows of a group, as full as its tasks fill them; to the brim where that is not known."""
    if splits and all(each.measured for each in splits):
        filled = [each.filled(group.shape).tokens for each in splits]
        return Amount(rows, rows * sum(filled) / len(filled), _worst(each.source for each in splits))
    return Amount(rows, rows * group.shape.length, "recipe")


def _by_epochs(epochs: float, shape: Shape, splits: list[_Split], *, cap: int) -> Amount:
    amounts = []
    for split in splits:
        split = dataclasses.replace(split, rows=min(split.rows, cap or split.rows))
        tokens = epochs * split.rows * split.mean_length
        amounts.append(Amount(epochs * split.rows / split.filled(shape).examples, tokens, split.source))
    return total(amounts)


def _evaluation(split: _Split, shape: Shape) -> Amount:
    tokens = split.rows * split.mean_length
    return Amount(math.ceil(tokens / split.filled(shape).tokens), tokens, split.source)
