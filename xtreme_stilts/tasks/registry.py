"""What tasks there are: families, their tasks, suites and mixtures, by name. No TensorFlow here.

Terms and assumptions:

- A *family* is one data set in all its languages; a *task* is one of its languages, `<family>.<language>`
  (`xnli.sw`). A family's `kind` is the head its tasks need.
- Splits have three names everywhere, `train`, `validation` and `test`, whatever the data set calls them.
- A *retrieval* family (kind `embedding`) has two tasks for each language: `tatoeba.fi`, the Finnish
  sentences, and `tatoeba.fi_en`, the English ones they are searched in. See `retrieval.py`.
- A *target* family names the task it is trained on (`xnli` -> `mnli.en`); the head belongs to that task, so
  families trained on the same task share `head_name`.
- Everything built in is registered by `import xtreme_stilts.tasks`; nothing depends on some other import.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.tasks.mixing import MixtureConfig, mapping, mixing_problems
from xtreme_stilts.tasks.sources import Rows, Settings, Tfds, settings

KINDS = ("classification", "regression", "choice", "tagging", "span", "mlm", "embedding")
SPLITS = ("train", "validation", "test")
ENGLISH_SIDE = "_en"  # ends the language part of a retrieval family's English tasks

_SAME_SPLITS = {name: name for name in SPLITS}


class LabelsOf(Sequence):
    """Labels that are known only once the data has been looked at, such as CCGbank's supertags.

    A sequence of strings like any other; the first use of its contents calls `read`, as does the first one after
    `tasks.configure` has named other data.
    """

    def __init__(self, read: Callable[[], Iterable[str]], *, expected: int):
        """`read()` gives the labels, in the order of the head's outputs; it raises UserError if the data are not
        there. `expected` is about how many there are, for plans that are made without the data."""
        self._read, self.expected = read, expected
        self._labels: dict[Settings, tuple[str, ...]] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, read now if they have not been."""
        where = settings()
        if where not in self._labels:
            self._labels[where] = tuple(self._read())
        return self._labels[where]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):
        return self.labels[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __repr__(self) -> str:
        return f"LabelsOf({self._labels.get(settings(), 'the data')})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One data set in all its languages.

    Attributes:
        name: lower case; names the column in tables.
        kind: the head, one of `KINDS`.
        metric: the selection metric; see `evaluation/metrics.py`.
        languages: codes, in the order of tables.
        labels: label or tag strings, in the order of the head's outputs; `LabelsOf` where the data decide.
        num_choices: choices of a `choice` family, else 1.
        max_length: longest example in tokens, specials included.
        group: `classification`, `tagging`, `qa` or `retrieval` for XTREME's families, else empty.
        train: task trained on when the family is a target; `-` = none. Default: its own English task, if it
            has a training split.
        validation: task whose validation split stops training early. Default: the training task.
        head_name: head of the family's tasks. Default: that of the training task's family.
        splits: `train`, `validation`, `test` -> the source's split; only those the family has. `{language}`
            is replaced, and `{side}` by "_en" for the English side of a retrieval task, else by nothing; `a+b`
            joins two, or what there is of them.
        unlabelled: splits whose labels are not public (GLUE's test sets); they are never scored.
        lacks: split -> languages that do not have it.
        source: where the rows are; None = the tasks are users' own seqio tasks (`declare`).
        convert: in-graph, `convert(row, language)` -> `inputs`, `targets` and where needed `starts` of the
            text schema.
        keep: in-graph, `keep(row, language)` -> bool: rows that belong to the language and can be used. None
            = all.
        distinct: drop rows whose first input was seen before (text taken from other tasks).
        seqio_names: language -> name of the seqio task, where it is not `<family>.<language>`.
    """

    name: str
    kind: str
    metric: str
    languages: tuple[str, ...] = ("en",)
    labels: tuple[str, ...] | LabelsOf = ()
    num_choices: int = 1
    max_length: int = 256
    group: str = ""
    train: str = ""
    validation: str = ""
    head_name: str = ""
    splits: Mapping[str, str] = mapping(_SAME_SPLITS)
    unlabelled: tuple[str, ...] = ()
    lacks: Mapping[str, tuple[str, ...]] = mapping({})
    source: Tfds | Rows | None = None
    convert: Callable | None = None
    keep: Callable | None = None
    distinct: bool = False
    seqio_names: Mapping[str, str] = mapping({})

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UserError(f"family {self.name!r} has kind {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        if not self.name or not self.languages:
            raise UserError(f"family {self.name!r} must have a name and at least one language, has {self.languages}")
        known = isinstance(self.labels, tuple)
        distinct = not known or len(set(self.labels)) == len(self.labels) >= 2
        if self.kind in ("classification", "tagging") and not distinct:
            raise UserError(
                f"family {self.name!r} ({self.kind}) has labels {self.labels}; there must be two or more, all different"
            )
        if (self.kind == "choice") != (self.num_choices > 1):
            raise UserError(
                f"family {self.name!r} ({self.kind}) has num_choices {self.num_choices}; "
                "it must be 2 or more for a choice family and 1 for any other"
            )
        self._fill_in()

    def _fill_in(self):
        trained = "train" in self.splits and self.kind not in ("embedding", "mlm")
        language = "en" if "en" in self.languages else self.languages[0]
        own = f"{self.name}.{language}" if trained else ""
        train = "" if self.train == "-" else self.train or own
        object.__setattr__(self, "train", train or None)
        object.__setattr__(self, "validation", self.validation or self._own_validation(train, language))
        object.__setattr__(self, "head_name", self.head_name or train.rpartition(".")[0] or self.name)

    def _own_validation(self, train: str, language: str) -> str | None:
        """The training task, unless it is the family's own and has no validation split."""
        own = train in (self.name, f"{self.name}.{language}")  # a declared task goes by the family's name
        return None if not train or (own and not self.has("validation", language)) else train

    @property
    def num_labels(self) -> int:
        """How many labels there are; about so many where only data that are not here would tell."""
        try:
            return len(self.labels)
        except UserError:
            return self.labels.expected

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the family's tasks, one for each language (retrieval: the language's own side)."""
        return tuple(f"{self.name}.{language}" for language in self.languages)

    def task_name(self, language: str) -> str:
        """Name of the seqio task of one language."""
        return self.seqio_names.get(language, f"{self.name}.{language}")

    def has(self, split: str, language: str) -> bool:
        """Whether the data set has this split in this language."""
        return split in self.splits and self.own_language(language) not in self.lacks.get(split, ())

    def own_language(self, language: str) -> str:
        """The language a task's data are filed under: of `fi` and `fi_en`, the two sides of a retrieval task, `fi`."""
        return language.removesuffix(ENGLISH_SIDE) if self.kind == "embedding" else language

    def scored_split(self, language: str) -> str:
        """The split that scores are told of: `test`, or `validation` where the test set has no public labels."""
        return "test" if self.has("test", language) and "test" not in self.unlabelled else "validation"


class Task(NamedTuple):
    """One language of a family. For the English side of a retrieval task `language` ends in `_en`."""

    family: Family
    language: str

    @property
    def name(self) -> str:
        """Name of the seqio task."""
        return self.family.task_name(self.language)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits it has, as far as can be told without looking at the data."""
        return tuple(split for split in self.family.splits if self.family.has(split, self.language))


class Share(NamedTuple):
    """The part of a budget of examples that falls to one task: those ranked [first, first + count) in a fixed random
    order of their ids. Tasks that are translations of each other have the same ids, so their parts do not overlap,
    and together they are the examples that a single one of them would give for the whole budget."""

    first: int
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture(MixtureConfig):
    """Tasks trained together, by a name of their own. `mixture_of` makes one from what a config says.

    Attributes:
        name: shares its name space with families.
        tasks: everything that is trained, by task names alone, language modelling beside the tasks included.
        weights: factors of the rates; others: 1.
        others: see `MixtureConfig`; keys are task names.

    With a `budget`, only so many examples are used, spread evenly over the tasks, or with `budgets` so many of each
    (see `share`): what multilingual and English-only training data are compared with at equal size.
    """

    name: str
    weights: Mapping[str, float] = mapping({})

    @property
    def main_tasks(self) -> tuple[str, ...]:
        """The tasks without the language modelling beside them."""
        return tuple(task for task in self.tasks if task not in self.mlm)

    def share(self, task: str) -> Share | None:
        """What of its training set a task contributes; None = all."""
        counts = dict(self.budgets)
        if self.budget:
            each, more = divmod(self.budget, len(self.main_tasks))
            counts = {name: each + (number < more) for number, name in enumerate(self.main_tasks)}
        if task not in counts:
            return None
        before = self.main_tasks[: self.main_tasks.index(task)]
        return Share(first=sum(counts.get(name, 0) for name in before), count=counts[task])

    def rate(self, task: str, *, rows: int, progress: float = 0.0) -> float:
        """See `MixtureConfig`; times the task's weight."""
        return self.weights.get(task, 1.0) * super().rate(task, rows=rows, progress=progress)

    def sampling_rates(self, rows: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        """The rates of all tasks, before normalising, those of the language modelling beside them included.

        Args:
            rows: of each one's training set.
            progress: 0 to 1.
        """
        rates = {task: self.rate(task, rows=rows[task], progress=progress) for task in self.main_tasks}
        smoothed = {task: float(rows[task]) ** self.mlm_smoothing for task in self.mlm}
        if smoothed:
            share = self.mlm_rate / (1 - self.mlm_rate) * sum(rates.values())
            rates |= {task: share * each / sum(smoothed.values()) for task, each in smoothed.items()}
        return rates

    @property
    def mixing(self) -> tuple:
        """What decides the training stream beside the tasks and their data, for fingerprints.

        Fields at their defaults are left out from the fifth entry on, so that a new field leaves old fingerprints
        as they are; `temperature` tells that sampling from the proportional one.
        """
        left_out = {"name", "tasks", "weights", "temperature", "cap", "budget"}
        left_out |= set() if self.mlm else {"mlm_smoothing"}
        left_out |= {"sampling"} if self.sampling in ("proportional", "temperature") else set()
        rest = [(each.name, getattr(self, each.name)) for each in dataclasses.fields(self) if each.name not in left_out]
        rest = [(name, sorted(value.items()) if isinstance(value, Mapping) else value) for name, value in rest]
        first = (self.temperature, self.cap or None, sorted(self.weights.items()), self.budget)
        return (*first, *(each for each in rest if each not in _UNMIXED))


# Fields of a mixture that say nothing, as `mixing` writes them.
_UNMIXED = [(name, []) for name in ("rates", "schedule", "loss_weights", "budgets")] + [
    ("mlm", ()), ("mlm_rate", 0.0), ("heads", "one"),
]  # fmt: skip


_families: dict[str, Family] = {}
_mixtures: dict[str, Mixture] = {}
_suites: dict[str, tuple[str, ...]] = {}


# --------------------------------------------------------------------------------------------------
# Registering


def register_family(family: Family) -> Family:
    """Adds a family, or replaces the one of the same name. Its seqio tasks appear at the next
    `seqio_tasks.register()`."""
    if family.name in _mixtures:
        raise UserError(f"family {family.name!r} cannot be registered: a mixture has that name")
    _families[family.name] = family
    return family


def register_mixture(mixture: Mixture) -> Mixture:
    """Adds a mixture, or replaces the one of the same name.

    Raises:
        UserError: it has no tasks, or names one that does not exist; a family has its name; or its fields make no
            sense together (one sentence for each problem).
    """
    if mixture.name in _families:
        raise UserError(f"mixture {mixture.name!r} cannot be registered: a family has that name")
    if not mixture.tasks:
        raise UserError(f"mixture {mixture.name!r} has no tasks; it must name at least one")
    if problems := [*mixing_problems(mixture, where=f"mixture {mixture.name!r}: "), *_mixture_problems(mixture)]:
        raise UserError("\n".join(problems))
    _mixtures[mixture.name] = mixture
    return mixture


def _mixture_problems(mixture: Mixture) -> list[str]:
    """What of a mixture does not go with its tasks."""
    where, main = f"mixture {mixture.name!r}", mixture.main_tasks
    kinds = {name: task(name).family.kind for name in (*mixture.tasks, *mixture.mlm)}
    problems = []
    if 0 < mixture.budget < len(main):
        problems.append(
            f"{where} has a budget of {mixture.budget} examples for {len(main)} tasks; "
            "there must be at least one for each"
        )
    keyed = {"rates": main, "schedule": main, "budgets": main, "loss_weights": mixture.tasks, "mlm": mixture.tasks}
    for field, valid in keyed.items():
        problems += [
            f"{where}: {field} names {name!r}, which is none of its tasks; {did_you_mean(name, valid)}"
            for name in getattr(mixture, field)
            if name not in valid
        ]
    for sampling, field in (("specified", "rates"), ("scheduled", "schedule")):
        missing = [name for name in main if name not in getattr(mixture, field)]
        if mixture.sampling == sampling and missing:
            problems.append(f"{where}: sampling is {sampling!r}, and {field} lacks {', '.join(missing)}")
    problems += [
        f"{where}: mlm names {name!r}, a {kinds[name]} task; it must be an mlm task"
        for name in mixture.mlm
        if kinds[name] != "mlm"
    ]
    return problems + _batch_problems(mixture, {name for name in mixture.tasks if kinds[name] == "mlm"})


def _batch_problems(mixture: Mixture, mlm: set[str]) -> list[str]:
    """What cannot be, since all language modelling tasks share batches, whose parts do not change."""
    where, among = f"mixture {mixture.name!r}", sorted(mlm & set(mixture.main_tasks))
    problems = []
    if mixture.mlm and among:
        problems.append(f"{where} has mlm beside its tasks, but {among[0]!r} stands among them; name it in mlm only")
    if mixture.mlm and not mixture.main_tasks:
        problems.append(f"{where} has mlm beside its tasks, but no other task; name the mlm tasks as its tasks")
    if mixture.sampling == "scheduled" and len(among) > 1:
        problems.append(f"{where}: {', '.join(among)} share batches, so a schedule cannot tell them apart; use mlm")
    if len({mixture.loss_weights.get(name, 1.0) for name in mlm}) > 1:
        problems.append(f"{where}: loss_weights of mlm tasks differ; they share batches, so they must be equal")
    return problems


def mixture_of(name: str, given: MixtureConfig) -> Mixture:
    """The mixture that a config describes, not registered yet: its members' tasks, and values for each of them.

    Raises:
        UserError: it names what does not exist, or as a member a mixture that has language modelling beside it.
    """
    mlm = _members(name, given.mlm)
    known = tuple(dict.fromkeys((*_members(name, given.tasks), *mlm)))
    fields = {each.name: getattr(given, each.name) for each in dataclasses.fields(MixtureConfig)}
    for field, values in fields.items():
        if isinstance(values, Mapping):
            fields[field] = {}
            for key, value in values.items():
                if not (named := _named(key, among=known)):
                    near = did_you_mean(key, {*given.tasks, *given.mlm, *known})
                    raise UserError(f"mixture {name!r}: {field} names {key!r}, which is none of its tasks; {near}")
                fields[field] |= dict.fromkeys(named, value)
    return Mixture(name=name, **(fields | {"tasks": known, "mlm": mlm}))


def _members(name: str, parts: Iterable[str]) -> tuple[str, ...]:
    """The tasks of a mixture's members, each once."""
    found = [mixture(part) for part in parts]
    for member in found:
        if member.mlm:
            raise UserError(
                f"mixture {name!r} has the member {member.name!r}, which has mlm beside its tasks; "
                "name its tasks, and the mlm of the whole"
            )
    return tuple(dict.fromkeys(task for member in found for task in member.tasks))


def _named(key: str, *, among: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks that a key stands for; none, unless all of them are among those of a mixture."""
    try:
        found = mixture(key).tasks
    except UserError:
        return ()
    return found if set(found) <= set(among) else ()


def register_suite(name: str, families: Iterable[str]) -> None:
    """Names a list of families."""
    _suites[name] = tuple(family(each).name for each in families)


def declare(
    name: str,
    *,
    kind: str,
    metric: str,
    language: str = "en",
    labels: tuple[str, ...] = (),
    num_choices: int = 1,
    **fields,
) -> Family:
    """Makes a seqio task of the user's own known by its name, as a family with one language.

    The task must be in `seqio.TaskRegistry` when it is read and yield the text schema (see
    `tasks/__init__.py`).

    Args:
        name: name of the seqio task, and of the family.
        kind, metric, labels, num_choices: see `Family`; so is anything in `fields`.
        language: its language.
    """
    fields.setdefault("train", name if "train" in fields.get("splits", _SAME_SPLITS) else "-")
    fields.setdefault("head_name", name)
    return register_family(
        Family(
            name=name,
            kind=kind,
            metric=metric,
            languages=(language,),
            labels=labels,
            num_choices=num_choices,
            seqio_names={language: name},
            **fields,
        )
    )


# --------------------------------------------------------------------------------------------------
# Looking up

ALIASES = {
    "bucc": "bucc2018",
    "pos": "udpos",
    "ner": "panx",
    "wikiann": "panx",
    "paws_x": "pawsx",
    "squad": "squad_v1",
    "tydi_qa": "tydiqa",
    "cosmos_qa": "cosmosqa",
    "commonsense_qa": "commonsenseqa",
    "anli+": "anli_plus",
}


def _canonical(name: str) -> str:
    return ALIASES.get(name, f"mini_{ALIASES[name[5:]]}" if name[:5] == "mini_" and name[5:] in ALIASES else name)


def families() -> tuple[Family, ...]:
    """All families, in the order they were registered."""
    return tuple(_families.values())


def mixtures() -> tuple[Mixture, ...]:
    """All mixtures, in the order they were registered."""
    return tuple(_mixtures.values())


def suites() -> tuple[str, ...]:
    """Names of the suites."""
    return tuple(_suites)


def family(name: str) -> Family:
    """The family of this name or alias.

    Raises:
        UserError: there is none.
    """
    found = _families.get(name) or _families.get(_canonical(name))
    if found is None:
        raise UserError(f"no task family {name!r}; {did_you_mean(name, _families)}")
    return found


def task(name: str) -> Task:
    """The task `<family>.<language>`, or one that was declared under just this name.

    Raises:
        UserError: unknown family, no language given, or a language the family lacks.
    """
    if name in _families and _families[name].seqio_names:
        return Task(_families[name], _families[name].languages[0])
    prefix, dot, language = name.rpartition(".")
    if not dot:
        known = family(name)
        raise UserError(f"{name!r} is a family; a task also names a language, one of: {', '.join(known.tasks)}")
    known = family(prefix)
    own = language.removesuffix(ENGLISH_SIDE) if known.kind == "embedding" else language
    if own not in known.languages:
        raise UserError(
            f"family {known.name!r} has no language {language!r}; {did_you_mean(language, known.languages)}"
        )
    return Task(known, language)


def english_side(name: str) -> str:
    """The task with the English sentences that a retrieval task's own are matched with (`tatoeba.fi` ->
    `tatoeba.fi_en`).

    Raises:
        UserError: not a retrieval task.
    """
    found = task(name)
    if found.family.kind != "embedding":
        raise UserError(f"{name!r} is a {found.family.kind} task; only retrieval tasks have an English side")
    return found.name.removesuffix(ENGLISH_SIDE) + ENGLISH_SIDE


def mixture(name: str) -> Mixture:
    """The mixture of this name; a single task, or a family with a training task, counts as a mixture of one.

    Raises:
        UserError: there is none.
    """
    found = _mixtures.get(name) or _mixtures.get(_canonical(name))
    if found is not None:
        return found
    if _canonical(name) in _families and (known := family(name)).train:
        return Mixture(name=known.train, tasks=(known.train,))
    if (own := _users_mixture(name)) is not None:
        return own
    prefix = name.rpartition(".")[0]
    if prefix and _canonical(prefix) in _families:
        return Mixture(name=task(name).name, tasks=(task(name).name,))
    names = [*_mixtures, *_families, *(each for known in families() for each in known.tasks)]
    raise UserError(f"no mixture or task {name!r}; {did_you_mean(name, names)}")


def _users_mixture(name: str) -> Mixture | None:
    """A mixture that a user's module added to seqio's own registry, with the rates it has there."""
    seqio = sys.modules.get("seqio")
    if seqio is None or name not in seqio.MixtureRegistry.names():
        return None
    found = seqio.MixtureRegistry.get(name)
    rates = {each.name: float(found.get_rate(each)) for each in found.tasks}
    for each in rates:
        task(each)  # raises where nobody has said which head it needs
    return Mixture(name=name, tasks=tuple(rates), sampling="specified", rates=rates)


def suite(name: str) -> tuple[Family, ...]:
    """The families of a suite.

    Raises:
        UserError: there is none of this name.
    """
    if name not in _suites:
        raise UserError(f"no suite {name!r}; {did_you_mean(name, _suites)}")
    return tuple(_families[each] for each in _suites[name])


def source_split(name: str, split: str) -> str:
    """What the data set of a task calls a split.

    Raises:
        UserError: the task has no such split.
    """
    found = task(name)
    if not found.family.has(split, found.language):
        near = did_you_mean(split, found.splits)
        raise UserError(f"task {name!r} has no split {split!r} (it has {', '.join(found.splits)}); {near}")
    own = found.family.own_language(found.language)
    return found.family.splits[split].format(language=own, side=found.language.removeprefix(own))


def source_version(name: str) -> str:
    """Text that changes when the rows of a task do: part of cache keys and fingerprints."""
    found = task(name)
    if found.family.source is None:
        return f"seqio:{found.name}"
    return found.family.source.describe(found.family.own_language(found.language))
