"""Config -> a directed acyclic graph of phases. Nothing is loaded or run here.

    root -> pretrain (MLM) ... -> each row's chain of intermediates -> each target, each retrieval family

A phase is named by its fingerprint, which covers everything that decides its result, its parent's
fingerprint included. Two places of the graph that ask for the same training therefore share one phase: SQuAD
is trained once for XQuAD and MLQA, rows share the beginnings of their chains, and a study that was cut off,
or changed in one field, runs only what is missing.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from xtreme_stilts import tasks
from xtreme_stilts.config import Recipe, StudyConfig
from xtreme_stilts.errors import Problems, UserError, did_you_mean

# Part of every fingerprint: raised when a change of the code changes what a phase computes.
RESULT_VERSION = 3

# Fields of a recipe that change what is written on the way, not what is learned.
_WITHOUT_EFFECT = ("log_every", "checkpoint_every")

# Fields added later, with the value that trains as without them: then they are no part of it, and no phase is renamed.
_AS_BEFORE = {"restarts": 0}


def fingerprint(value) -> str:
    """sha256 of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Root:
    """What all phases start from: the encoder's shape and weights, and the tokenizer."""

    encoder: Mapping  # the EncoderConfig's fields
    weights: str  # identity of the weight files; "" = a random start
    tokenizer: str  # its fingerprint
    head_pooling: str
    seed: int  # of a random start

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over all of it."""
        return fingerprint(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """Train one mixture from one starting point, or (retrieval) only evaluate.

    Attributes:
        kind: mlm | intermediate | target | retrieval.
        mixture: the mixture or task trained on; for retrieval the family evaluated.
        versions: the mixture's tasks with the versions of their data.
        mixing: how the mixture weighs its tasks.
        root: where the chain of phases begins.
        parent: the phase whose encoder it starts from; None = the root.
        recipe: how it trains; None for retrieval.
        seed: of data order, dropout and fresh heads.
    """

    kind: str
    mixture: str
    versions: tuple[tuple[str, str], ...]
    mixing: tuple
    root: Root
    parent: Phase | None
    recipe: Recipe | None
    seed: int

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over everything that decides the phase's result."""
        return fingerprint(self.describe())

    def describe(self) -> dict:
        """What the fingerprint covers, readable. The kind is no part of it: SQuAD as an intermediate task and
        as the training set of XQuAD is one phase, if both are asked to train the same way."""
        recipe = dataclasses.asdict(self.recipe) if self.recipe else {}
        return {
            "version": RESULT_VERSION,
            "mixture": self.mixture,
            "tasks": self.versions,
            "mixing": self.mixing,
            "recipe": {
                name: value
                for name, value in recipe.items()
                if name not in _WITHOUT_EFFECT and not (name in _AS_BEFORE and value == _AS_BEFORE[name])
            },
            "seed": self.seed,
            "parent": (self.parent or self.root).fingerprint,
        }

    @property
    def task_names(self) -> tuple[str, ...]:
        """The mixture's tasks."""
        return tuple(name for name, _ in self.versions)

    @property
    def folder(self) -> str:
        """Its folder's name: readable, and unique by the fingerprint."""
        return f"{self.mixture}-seed{self.seed}-{self.fingerprint[:12]}"

    @property
    def path(self) -> str:
        """The chain of mixtures from the root to this phase, for people."""
        return f"{self.parent.path} > {self.mixture}" if self.parent else self.mixture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the paper's table for one seed: a family evaluated after a phase."""

    phase: Phase
    family: str
    row: str  # the row's name in config.intermediates
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The graph: distinct phases, parents first, and the cells that are read off them."""

    phases: tuple[Phase, ...]
    cells: tuple[Cell, ...]

    def families_after(self, phase: Phase) -> list[str]:
        """Families evaluated after a phase, each once."""
        return list(dict.fromkeys(cell.family for cell in self.cells_of(phase)))

    def cells_of(self, phase: Phase) -> list[Cell]:
        """The cells that are read off a phase."""
        return [cell for cell in self.cells if cell.phase.fingerprint == phase.fingerprint]


def plan(study: StudyConfig, *, root: Root) -> Plan:
    """Lays out the graph of a study.

    The root and the `pretrain` phases are one for all seeds, as a published encoder would be; from there on
    every seed goes its own way.

    Raises:
        UserError: all unknown mixtures, families and unfit targets at once.
    """
    check_names(study)
    made = _Phases(study, root)
    start = None
    for mixture in study.pretrain:
        start = made.phase("mlm", mixture, parent=start, seed=study.seeds[0])
    cells = []
    for seed in study.seeds:
        for row, chain in study.intermediates.items():
            last = start
            for mixture in chain:
                last = made.phase(_kind(mixture), mixture, parent=last, seed=seed)
            # Without an intermediate phase nothing differs between seeds until a target is trained.
            after_seed = seed if last is not start else study.seeds[0]
            for name in study.retrieval:
                family = tasks.family(name)
                cells.append(
                    Cell(
                        phase=made.retrieval(family, parent=last, seed=after_seed),
                        family=family.name,
                        row=row,
                        seed=seed,
                    )
                )
            for name in study.targets:
                family = tasks.family(name)
                phase = made.phase("target", family.train, parent=last, seed=seed)
                cells.append(Cell(phase=phase, family=family.name, row=row, seed=seed))
    return Plan(phases=tuple(made.by_fingerprint.values()), cells=tuple(cells))


class _Phases:
    """Makes phases, one object for one fingerprint."""

    def __init__(self, study: StudyConfig, root: Root):
        self.study, self.root = study, root
        self.by_fingerprint: dict[str, Phase] = {}

    def phase(self, kind: str, mixture: str, *, parent: Phase | None, seed: int) -> Phase:
        found = tasks.mixture(mixture)
        recipe = self.study.recipe(kind, mixture=found.name)
        return self._one(
            Phase(
                kind=kind,
                mixture=found.name,
                versions=_versions(found.tasks),
                mixing=found.mixing,
                root=self.root,
                parent=parent,
                recipe=recipe,
                seed=seed,
            )
        )

    def retrieval(self, family: tasks.Family, *, parent: Phase | None, seed: int) -> Phase:
        return self._one(
            Phase(
                kind="retrieval",
                mixture=family.name,
                versions=(),
                mixing=(),
                root=self.root,
                parent=parent,
                recipe=None,
                seed=seed,
            )
        )

    def _one(self, phase: Phase) -> Phase:
        return self.by_fingerprint.setdefault(phase.fingerprint, phase)


def _versions(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, tasks.source_version(name)) for name in names)


def _kind(mixture: str) -> str:
    """A phase that only learns the language model is an MLM phase, wherever in a chain it stands."""
    kinds = {tasks.task(name).family.kind for name in tasks.mixture(mixture).tasks}
    return "mlm" if kinds == {"mlm"} else "intermediate"


def check_names(study: StudyConfig) -> None:
    """Every mixture, family and language a config names exists and can be used as it asks.

    Raises:
        UserError: one sentence for each problem, all of them at once.
    """
    known_names(study).problems.tell()


class Known(NamedTuple):
    """A config's names that can be used.

    Attributes:
        study: the config without the others.
        problems: one sentence for each of the others.
    """

    study: StudyConfig
    problems: Problems


def known_names(study: StudyConfig) -> Known:
    """Looks up every mixture, family and language that a config names."""
    problems = Problems()
    rows = {
        row: tuple(name for name in chain if _is_trainable(name, f"config.intermediates.{row}", problems))
        for row, chain in study.intermediates.items()
    }
    known = {
        "pretrain": tuple(name for name in study.pretrain if _is_language_model(name, problems)),
        "intermediates": rows,
        "targets": tuple(name for name in study.targets if _is_target(name, problems)),
        "retrieval": tuple(name for name in study.retrieval if _is_retrieval(name, problems)),
        "languages": {key: codes for key, codes in study.languages.items() if _has_languages(key, codes, problems)},
        "by_task": {key: each for key, each in study.by_task.items() if _is_trained_as(key, problems)},
    }
    for field in ("targets", "retrieval"):
        names = getattr(study, field)
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        problems += [f"config.{field} names {name!r} twice; name it once" for name in twice]
    return Known(dataclasses.replace(study, **known), problems)


def _is_language_model(name: str, problems: Problems) -> bool:
    with problems.gathered("config.pretrain: "):
        if _kind(tasks.mixture(name).name) == "mlm":
            return True
        raise UserError(f"{name!r} is no MLM mixture; put it into config.intermediates")
    return False


def _is_trainable(name: str, field: str, problems: Problems) -> bool:
    with problems.gathered(f"{field}: "):
        if all(tasks.task(each).family.kind != "embedding" for each in tasks.mixture(name).tasks):
            return True
        raise UserError(f"{name!r} is a retrieval task, which is never trained on")
    return False


def _is_target(name: str, problems: Problems) -> bool:
    with problems.gathered("config.targets: "):
        if tasks.family(name).train is not None:
            return True
        raise UserError(f"{name!r} has no training task; retrieval families go into config.retrieval")
    return False


def _is_retrieval(name: str, problems: Problems) -> bool:
    with problems.gathered("config.retrieval: "):
        family = tasks.family(name)
        if family.kind == "embedding":
            return True
        raise UserError(f"{name!r} is a {family.kind} family; it goes into config.targets")
    return False


def _has_languages(name: str, languages: tuple[str, ...], problems: Problems) -> bool:
    before = len(problems)
    with problems.gathered("config.languages: "):
        family = tasks.family(name)
        if family.name != name:
            raise UserError(f"{name!r} is called {family.name!r} here; write config.languages.{family.name}")
        if not languages:
            raise UserError(f"{name!r} has none; leave it out for all of its languages")
        problems.extend(
            f"config.languages.{name}: the family has no language {language!r}; "
            f"{did_you_mean(language, family.languages)}"
            for language in languages
            if language not in family.languages
        )
    return len(problems) == before


def _is_trained_as(name: str, problems: Problems) -> bool:
    """Whether a phase can have this name, or its family: else what is said of it would never be used."""
    with problems.gathered("config.by_task: "):
        trained = tasks.mixture(name).name
        family = trained.partition(".")[0]
        if name in (trained, family):
            return True
        raise UserError(f"{name!r} is trained as {trained!r}; write config.by_task.{family}")
    return False
