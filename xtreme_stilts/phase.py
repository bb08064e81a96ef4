"""One phase: start point -> fit -> record. (`evaluation/zero_shot.py` evaluates what it leaves behind.)

A phase's folder holds all it leaves behind:

    phase.json       what was asked for (the contents of the fingerprint, readable)
    run_card.json    how, where and how long it was trained (see run_card.py)
    latest/          orbax, to go on from; gone once the phase is done
    best/            orbax, the parameters handed over and evaluated
    metrics.jsonl    one line per interval and validation; tensorboard/ has the same
    attempts.json    attempts that did not learn (see attempts.py); their lines are in metrics-attempt0.jsonl, ...
    done.json        how training ended (`Fit`, and which attempt it was); its presence means it did
    evaluations/<family>/<language>.jsonl   predictions, one example a line
    evaluations/<family>/scores.json        their scores, by language
    evaluations/<family>/thresholds.json    mining: what was fitted on the validation sets
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh

from xtreme_stilts import attempts, processes, run_card, stopping, tasks
from xtreme_stilts import config as config_lib
from xtreme_stilts.attempts import Attempt
from xtreme_stilts.config import Recipe, StudyConfig
from xtreme_stilts.data import cache as cache_lib
from xtreme_stilts.data.cache import Cache, Joined
from xtreme_stilts.data.features import Limits
from xtreme_stilts.data.loader import Shape, blank, packing, training_batches
from xtreme_stilts.data.shares import share_of
from xtreme_stilts.data.tokenizer import Tokenizer
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.evaluation.predict import mlm_loss, predict
from xtreme_stilts.evaluation.score import rows_of_examples, score
from xtreme_stilts.files import read_object, write_json
from xtreme_stilts.graph import Phase
from xtreme_stilts.models import EncoderConfig, Head, Model, hf, preset
from xtreme_stilts.run_card import RunCard
from xtreme_stilts.training import learning, logs, memory
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.checkpoints import Checkpoints
from xtreme_stilts.training.loop import Fit, TaskStream, Trainer
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import local_rows, param_shardings, placed
from xtreme_stilts.training.vocabulary import ActiveVocabulary, Renumbered, decayed

Tree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What all phases of a study share."""

    study: StudyConfig
    workdir: epath.Path
    cache_dir: pathlib.Path
    tokenizer: Tokenizer
    encoder: EncoderConfig
    mesh: Mesh

    @property
    def model_name(self) -> str:
        """What results call the encoder: its weights' folder, else the preset and the sizes that are not its own
        (`mini-width64-mlp64`), so that encoders of several sizes have names of their own."""
        asked = self.study.model
        if asked.weights:
            return pathlib.PurePath(asked.weights).name
        own = preset(asked.preset)
        sizes = {"width": "hidden_size", "layers": "num_layers", "heads": "num_heads", "mlp": "intermediate_size"}
        values = {name: getattr(self.encoder, field) for name, field in sizes.items()}
        changed = [f"{name}{value}" for name, value in values.items() if value != getattr(own, sizes[name])]
        return "-".join([asked.preset, *changed])

    def folder(self, phase: Phase) -> epath.Path:
        """Where a phase lives."""
        return self.workdir / "phases" / phase.folder

    def is_done(self, phase: Phase) -> bool:
        """Whether its training (if it has any) ended."""
        return phase.recipe is None or bool(read_object(self.folder(phase) / "done.json"))

    def example_length(self, family: tasks.Family, *, asked: int, row: int) -> int:
        """Tokens an example may have: as asked, else the family's own, within a row and the position table."""
        if asked > self.encoder.max_positions:
            raise UserError(
                f"max_length is {asked}; the encoder's position table holds {self.encoder.max_positions} tokens"
            )
        own = row if family.kind == "mlm" else family.max_length
        return min(asked or own, row // family.num_choices, self.encoder.max_positions)

    def cache(self, task: str, split: str, *, max_length: int, share: tasks.Share | None = None) -> Cache:
        """The tokenised rows of a task's split (train, validation, test), or of a share of it, made now if they are
        not there."""
        version = tasks.source_version(task)  # a task may be defined anew within one process
        return _open_cache(self.tokenizer, self.cache_dir, task, split, max_length, share, version)


@functools.lru_cache(maxsize=256)
def _open_cache(
    tokenizer: Tokenizer,
    cache_dir: pathlib.Path,
    task: str,
    split: str,
    max_length: int,
    share: tasks.Share | None,
    version: str,
) -> Cache:
    name = tasks.task(task).name
    family = tasks.task(task).family
    tasks.source_split(task, split)  # raises where the data set has no such split
    read = functools.partial(_read_unless_stopped, name, split)
    if share is not None:
        version += f", share {share.first}+{share.count}"
        read = functools.partial(share_of, read, where=f"task {name!r}, {split}", **share._asdict())
    cache = cache_lib.build(
        name,
        split,
        kind=family.kind,
        tokenizer=tokenizer,
        cache_dir=cache_dir,
        labels=family.labels,
        num_choices=family.num_choices,
        limits=Limits(max_length=max_length),
        data_version=version,
        examples=_lazily(read),
    )
    _check_same_rows(cache)
    return cache


def _read_unless_stopped(task: str, split: str) -> Iterator:
    """The examples of a task.

    Raises:
        Stopped: the run was told to stop; what was tokenised of them is lost.
    """
    for example in cache_lib.read_seqio(task, split):
        if stopping.requested():
            raise Stopped(f"while task {task!r}, split {split!r} was tokenised")
        yield example


def _lazily(read: Callable[[], Iterable]) -> Iterator:
    """Nothing is read before the first item is asked for: a cache that is there needs no data."""
    yield from read()


def _check_same_rows(cache: Cache) -> None:
    """Every process must train and evaluate on the same rows, wherever its copy of the data lies.

    Raises:
        UserError: on all processes alike, where they do not.
    """
    found = {
        "data version": cache.meta["data_version"],
        "number of tokenised rows": len(cache),
        "sha256 of the tokenised rows": cache.fingerprint,
        "tokenisation key": cache.meta["key"],
    }
    where = f"of task {cache.meta['task']!r}, split {cache.meta['split']!r}"
    processes.check_agreement(
        "",
        {f"the {name} {where}": value for name, value in found.items()},
        advice="give all of them the same data, and remove the tokenised copy (config.cache_dir) that is wrong",
    )


# --------------------------------------------------------------------------------------------------
# Training


def train(phase: Phase, *, setting: Setting, title: str) -> Fit:
    """Trains a phase, or goes on training it, and records how it ended."""
    folder = setting.folder(phase)
    if processes.is_first():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "phase.json", phase.describe())
    processes.barrier(f"{phase.folder} begins")
    while True:
        attempt = attempts.begin(folder, seed=phase.seed)
        card = about(phase, setting=setting)
        with (
            _tracked(phase, card=card, attempt=attempt, setting=setting),
            run_card.recording(folder, card=card) as record,
        ):
            fit = _fit(phase, attempt=attempt, setting=setting, title=title, record=record)
            ended = {**_to_json(fit), **attempt.describe()}
            record.update(fit=ended)
        again = bool(fit.unlearned) and attempt.number < phase.recipe.restarts
        if fit.unlearned and processes.is_first():
            _tell_unlearned(phase, fit, title=title, again=again)
        if not again:
            break
        attempts.end(folder, attempt, record=_to_json(fit))
    if processes.is_first():
        write_json(folder / "done.json", ended)
        (folder / "latest").rmtree(missing_ok=True)
    processes.barrier(f"{phase.folder} is done")
    return fit


def _to_json(fit: Fit) -> dict[str, Any]:
    return {**dataclasses.asdict(fit), "unlearned": {task: each._asdict() for task, each in fit.unlearned.items()}}


def _tell_unlearned(phase: Phase, fit: Fit, *, title: str, again: bool) -> None:
    """One line on standard error for each task whose loss stayed at guessing; see `training/learning.py`."""
    then = (
        "it is trained again from another seed"
        if again
        else f"a lower learning rate, more steps or another seed may help (config.recipes.{phase.kind}.restarts)"
    )
    for task, loss in fit.unlearned.items():
        what = f"{task!r}" if len(phase.task_names) > 1 else "its task"
        print(
            f"{title} did not learn {what}: loss {loss.end:.3f} at the end, {loss.beginning:.3f} at the beginning, "
            f"{loss.guess:.3f} for an answer that looks at nothing; {then}",
            file=sys.stderr,
            flush=True,
        )


def about(phase: Phase, *, setting: Setting) -> RunCard:
    """What is known of a phase before it is trained."""
    heads = heads_of(phase, setting=setting)
    labels = {heads.of_task[task]: tuple(tasks.task(task).family.labels) for task in phase.task_names}
    return RunCard(
        study=setting.study.name,
        kind=phase.kind,
        path=phase.path,
        seed=phase.seed,
        fingerprint=phase.fingerprint,
        phase=phase.describe(),
        config=config_lib.to_dict(setting.study),
        recipe=dataclasses.asdict(phase.recipe),
        encoder=dataclasses.asdict(setting.encoder),
        heads={name: {**dataclasses.asdict(head), "label_names": labels[name]} for name, head in heads.by_name.items()},
        tokenizer={"name": setting.tokenizer.name, "fingerprint": setting.tokenizer.fingerprint},
        weights=phase.root.weights,
    )


def _tracked(phase: Phase, *, card: RunCard, attempt: Attempt, setting: Setting) -> AbstractContextManager:
    """One W&B run for an attempt, on process 0, where the config names a project; resuming the phase continues it."""
    project = setting.study.wandb
    if project:
        processes.decided(lambda: bool(logs.load_wandb(project)))  # missing: all processes stop, not one
    return logs.tracking(
        project if processes.is_first() else "",
        folder=setting.folder(phase),
        name=f"{phase.path} (seed {phase.seed})",
        group=setting.study.name,
        id=phase.fingerprint[:16] + (f"-{attempt.number}" if attempt.number else ""),
        config={"phase": card.phase, "recipe": card.recipe, "study": card.config},
    )


def _fit(phase: Phase, *, attempt: Attempt, setting: Setting, title: str, record: run_card.Recorder) -> Fit:
    """One attempt; only what is random differs between them, so the seed is given beside the phase."""
    heads = heads_of(phase, setting=setting)
    model = Model(setting.encoder, heads.by_name)
    groups = _groups(phase, setting=setting, heads=heads)
    trained = _trained(phase, seed=attempt.seed, setting=setting, model=model, groups=groups)
    recipe = _sized(phase, groups=groups, model=trained.model, setting=setting)
    mixture = tasks.mixture(phase.mixture)
    passed = [group.cache for group in groups if not group.beside]
    steps = _steps(recipe, passed, cap=mixture.cap, mlm_rate=mixture.mlm_rate)
    record.update(
        recipe=dataclasses.asdict(recipe), steps=steps, data=_data(phase, groups=groups, recipe=recipe, setting=setting)
    )
    trainer = Trainer(
        trained.model,
        folder=setting.folder(phase),
        recipe=recipe,
        steps=steps,
        seed=attempt.seed,
        mesh=setting.mesh,
        title=title,
        profile_steps=setting.study.profile_steps,
    )
    return trainer.fit(
        trained.start,
        streams=[
            trained.renumber(_stream(group, number, seed=attempt.seed, recipe=recipe, setting=setting))
            for number, group in enumerate(groups)
        ],
        heads=mixture.heads,
        validate=_validator(phase, recipe=recipe, setting=setting, model=model, heads=heads),
        whole=functools.partial(trained.whole, schedule=Schedule.of(recipe, steps=steps)),
        too_large=functools.partial(
            _TOO_LARGE[mixture.heads], groups=groups, model=trained.model, recipe=recipe, setting=setting
        ),
    )


def _data(phase: Phase, *, groups: list[_Group], recipe: Recipe, setting: Setting) -> tuple[run_card.Data, ...]:
    """The rows that a phase reads."""
    trained = [part.cache for group in groups for part in group.cache.parts]
    checked = [_validation_cache(task, recipe=recipe, setting=setting) for task in phase.task_names]
    uses = {"train": trained, "validation": [cache for cache in checked if cache is not None]}
    found = [run_card.Data.of(cache, use=use) for use, caches in uses.items() for cache in caches]
    return tuple(dict.fromkeys(found))  # tasks can share a validation set


def starting_params(phase: Phase, *, setting: Setting, model: Model, seed: int | None = None) -> Tree:
    """The parameters a phase begins with.

    The order of starting points, first that applies: own latest checkpoint (the trainer looks for it) ->
    the parent's best encoder -> the pretrained weights -> scratch. Only the encoder, its pooler included, is
    handed over; heads and the optimizer are fresh (but see the MLM head of pretrained weights below), drawn from
    the seed, by default the phase's.
    """
    key = jax.random.fold_in(jax.random.key(phase.seed if seed is None else seed), 1)
    heads = steps_lib.init_heads(model, setting.mesh)(key)
    from_weights = phase.parent is None and setting.study.model.weights
    for name, head in model.heads.items():
        if from_weights and head.kind == "mlm":  # masked language modelling goes on, so its head does, too
            heads[name] = _load(setting, seed=phase.root.seed, head=head).head
    return {
        "encoder": encoder_params(phase.parent, root_seed=phase.root.seed, setting=setting),
        "heads": jax.device_put(heads, param_shardings(model, setting.mesh)["heads"]),
    }


def _load(setting: Setting, *, seed: int, head: Head | None = None) -> hf.Loaded:
    # The published XLM-R has no pooler; a fresh one is what `transformers` would give it, too.
    return hf.load_encoder(
        setting.study.model.weights, config=setting.encoder, head=head, pooler="fresh", key=jax.random.key(seed)
    )


def encoder_params(phase: Phase | None, *, root_seed: int, setting: Setting) -> Tree:
    """The encoder a phase leaves behind; None = the root."""
    model = Model(setting.encoder, {})
    if phase is not None:
        return read_best(phase, setting=setting, model=model, items=("encoder",))["encoder"]
    if setting.study.model.weights:
        loaded = _load(setting, seed=root_seed).encoder
        return jax.device_put(loaded, param_shardings(model, setting.mesh)["encoder"])
    return steps_lib.init_encoder(model, setting.mesh)(jax.random.key(root_seed))


def read_best(phase: Phase, *, setting: Setting, model: Model, items: tuple[str, ...]) -> dict[str, Tree]:
    """Items (`encoder`, `heads`) of a finished phase's best checkpoint, placed on the mesh.

    Raises:
        Lost: it is damaged.
    """
    shapes, shardings = model.abstract_params(), param_shardings(model, setting.mesh)
    abstract = {item: placed(shapes[item], shardings[item]) for item in items}
    with Checkpoints(setting.folder(phase) / "best") as best:
        if damage := best.damage_of_newest():
            raise Lost(phase, damage)
        return best.restore(best.steps()[0], abstract=abstract)


class Lost(Exception):
    """A finished phase's parameters are damaged: it has to be trained again, to the same ones."""

    def __init__(self, phase: Phase, damage: str):
        super().__init__(f"phase {phase.path} (seed {phase.seed}): {damage}")
        self.phase = phase


def give_up(phase: Phase, *, setting: Setting) -> str:
    """Makes a finished phase whose parameters are damaged one that is not trained; scores and predictions stay.

    Returns:
        What was wrong with it; "" where nothing is, because another worker has trained it again.
    """
    folder = setting.folder(phase)
    with Checkpoints(folder / "best") as best:
        damage = best.damage_of_newest()
        if damage:
            for step in best.steps():
                damage += best.set_aside(step)
            processes.decided(lambda: (folder / "done.json").unlink(missing_ok=True))
    return damage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heads:
    """A phase's heads, and which one each task trains."""

    by_name: dict[str, Head]
    of_task: dict[str, str]


def head_of(family: tasks.Family, *, setting: Setting) -> Head:
    """The head a family needs."""
    return Head(
        kind=family.kind,
        num_labels=max(1, family.num_labels),
        num_choices=family.num_choices,
        pooling=setting.study.model.head_pooling,
    )


def heads_of(phase: Phase, *, setting: Setting) -> Heads:
    """Tasks with the same `head_name` share a head, all MLM tasks do. A phase's only head is called `head`.

    With one name for all, phases whose heads have the same shape share one compiled step.
    """
    families = {task: tasks.task(task).family for task in phase.task_names}
    names = {task: "mlm" if family.kind == "mlm" else family.head_name for task, family in families.items()}
    if len(set(names.values())) == 1:
        names = dict.fromkeys(names, "head")
    by_name: dict[str, Head] = {}
    for task, family in families.items():
        head = head_of(family, setting=setting)
        if by_name.setdefault(names[task], head) != head:
            raise UserError(
                f"tasks of mixture {phase.mixture!r} share the head {names[task]!r}, but {task!r} needs {head} "
                f"and another {by_name[names[task]]}; give one of the families a head_name of its own"
            )
    return Heads(by_name=by_name, of_task=names)


class _Group(NamedTuple):
    """Tasks of a mixture that share batches: all language-model tasks, or one other."""

    name: str
    head: str
    rate: float | Callable[[float], float]  # share of the optimizer steps, before normalising, or that at a progress
    loss_weight: float
    beside: bool  # language modelling beside the mixture's tasks
    family: tasks.Family
    cache: Cache | Joined


def _groups(phase: Phase, *, setting: Setting, heads: Heads) -> list[_Group]:
    """MLM tasks are mixed within a batch, as XLM-R's languages are; all others have batches of their own."""
    recipe, mixture = phase.recipe, tasks.mixture(phase.mixture)
    caches = {
        task: _training_cache(task, recipe=recipe, setting=setting, seed=phase.seed, share=mixture.share(task))
        for task in phase.task_names
    }
    rates_at = functools.partial(mixture.sampling_rates, {task: len(cache) for task, cache in caches.items()})
    rates = rates_at()
    together = [task for task, cache in caches.items() if cache.kind == "mlm"]
    groups = [[task] for task in caches if task not in together] + ([together] if together else [])
    return [
        _Group(
            name=group[0] if len(group) == 1 else "mlm",
            head=heads.of_task[group[0]],
            rate=functools.partial(_rate_at, group, rates_at)
            if mixture.sampling == "scheduled"
            else sum(rates[task] for task in group),
            loss_weight=mixture.loss_weights.get(group[0], 1.0),
            beside=group[0] in mixture.mlm,
            family=tasks.task(group[0]).family,
            cache=caches[group[0]]
            if len(group) == 1
            else Joined([caches[task] for task in group], rates=[rates[task] for task in group]),
        )
        for group in groups
    ]


def _rate_at(group: list[str], rates_at: Callable[..., dict[str, float]], progress: float) -> float:
    rates = rates_at(progress=progress)
    return sum(rates[task] for task in group)


def _stream(group: _Group, number: int, *, seed: int, recipe: Recipe, setting: Setting) -> TaskStream:
    """The batches of a group; `number` is its place in the mixture."""
    shape = training_shape(recipe, family=group.family, rows=recipe.rows)
    batches = training_batches(
        group.cache,
        shape=shape,
        seed=seed * 1000 + number,
        mask_rate=recipe.mask_rate,
        local=local_rows(recipe.rows, mesh=setting.mesh),
    )
    return TaskStream(
        name=group.name,
        head=group.head,
        rate=group.rate,
        batches=batches,
        loss_weight=group.loss_weight,
        like=blank(group.cache, shape=shape),
        guess=math.nan if recipe.shuffle_labels else learning.guess(group.cache),
        ids=functools.partial(_example_ids, group.cache),
    )


def _example_ids(cache: Cache | Joined, rows: np.ndarray) -> list[str]:
    """The ids of the examples that cached rows are of."""
    parts = cache.parts
    part_of = np.searchsorted([part.first_row for part in parts], rows, side="right") - 1
    return [
        parts[number].cache.example(parts[number].cache.columns["example"][row - parts[number].first_row]).id
        for number, row in zip(part_of, rows, strict=True)
    ]


class _Trained(NamedTuple):
    """What of the model is trained: all of it, or with a compact word table."""

    model: Model
    start: Callable[[], Tree]
    renumber: Callable[[TaskStream], TaskStream]
    whole: Callable[..., Tree]  # (params, steps done, schedule=)


def _trained(phase: Phase, *, seed: int, setting: Setting, model: Model, groups: list[_Group]) -> _Trained:
    """Active-vocabulary training where the recipe asks for it and no head is a language model's."""
    start = functools.partial(starting_params, phase, setting=setting, model=model, seed=seed)
    everything = _Trained(model, start, lambda stream: stream, lambda params, step, schedule: params)
    if phase.recipe.embeddings != "active" or any(head.kind == "mlm" for head in model.heads.values()):
        return everything
    vocabulary = ActiveVocabulary.of([group.cache for group in groups], vocab_rows=setting.encoder.vocab_rows)
    if 2 * vocabulary.rows > vocabulary.vocab_rows:
        return everything  # too little would be saved to pay for the second compilation
    begun = start()
    table = begun["encoder"]["embeddings"]["word"]["table"]
    held = [vocabulary.compact(begun)]  # given away once, so that the first parameters do not stay in memory
    del begun

    def whole(params: Tree, step: int, *, schedule: Schedule) -> Tree:
        held.clear()
        factor = decayed(schedule, steps=step, weight_decay=phase.recipe.weight_decay)
        return vocabulary.whole(params, start=table, factor=factor)

    return _Trained(
        Model(vocabulary.config(setting.encoder), model.heads),
        held.pop,
        lambda stream: dataclasses.replace(stream, batches=Renumbered(stream.batches, vocabulary)),
        whole,
    )


def _sized(phase: Phase, *, groups: list[_Group], model: Model, setting: Setting) -> Recipe:
    """The recipe with the rows of a micro-batch and their number settled.

    Raises:
        UserError: not even the smallest micro-batch fits.
    """
    recipe = phase.recipe
    if not recipe.tokens_per_step:
        return recipe
    rows_per_step = recipe.tokens_per_step // recipe.length
    rows = recipe.rows
    if not rows:
        fitting = functools.partial(_rows_that_fit, recipe=recipe, model=model, setting=setting)
        rows = processes.decided(lambda: min(fitting(group) for group in groups))
        if not rows:
            raise UserError(
                f"phase {phase.mixture!r}: not even the smallest micro-batch of {recipe.length} tokens a row fits into "
                f"a device's memory; {_SMALLER}"
            )
    return dataclasses.replace(recipe, rows=rows, accumulate=rows_per_step // rows)


_SMALLER = "recompute more (config.model.remat), spread the model (config.mesh.fsdp) or take shorter rows"


def _needed(group: _Group, rows: int, *, recipe: Recipe, model: Model, setting: Setting) -> memory.Needs | None:
    step = {"optimizer": AdamW.of(recipe), "mesh": setting.mesh, "batch": _blank(group, rows, recipe=recipe)}
    return memory.needs(lambda: memory.lower(model, head=group.head, **step))


def _blank(group: _Group, rows: int, *, recipe: Recipe) -> dict[str, np.ndarray]:
    return blank(group.cache, shape=training_shape(recipe, family=group.family, rows=rows))


def _rows_that_fit(group: _Group, *, recipe: Recipe, model: Model, setting: Setting, rows_per_step: int = 0) -> int:
    return memory.rows_that_fit(
        rows_per_step or recipe.tokens_per_step // recipe.length,
        length=recipe.length,
        mesh=setting.mesh,
        needed=lambda rows: _needed(group, rows, recipe=recipe, model=model, setting=setting),
    )


def _too_large(*, groups: list[_Group], model: Model, recipe: Recipe, setting: Setting) -> str:
    """A sentence about a step that did not fit into memory, with the numbers that would."""
    in_all = recipe.rows * recipe.accumulate
    fits = min(
        _rows_that_fit(group, recipe=recipe, model=model, setting=setting, rows_per_step=in_all) for group in groups
    )
    found = _needed(groups[0], recipe.rows, recipe=recipe, model=model, setting=setting)
    advice = (
        f"rows={fits} with accumulate={in_all // fits} is the same step and fits"
        if 0 < fits < recipe.rows
        else f"fewer rows do not help: {_SMALLER}"
    )
    return f"{_asked(recipe, found, setting=setting)}; {advice}"


def _too_large_mixed(*, groups: list[_Group], model: Model, recipe: Recipe, setting: Setting) -> str:
    """The same where a step mixes tasks: with other rows it would mix more of them, so none are proposed."""
    batches = [_blank(group, recipe.rows, recipe=recipe) for group in groups]
    step = {"optimizer": AdamW.of(recipe), "mesh": setting.mesh, "accumulate": recipe.accumulate}
    heads = [group.head for group in groups]
    found = memory.needs(lambda: memory.lower_mixed(model, heads=heads, batches=batches, **step))
    return f"{_asked(recipe, found, setting=setting)}; {_SMALLER}"


def _asked(recipe: Recipe, found: memory.Needs | None, *, setting: Setting) -> str:
    have = memory.limit(setting.mesh)
    needs = f", needs {found.total / 2**30:.1f} GiB" if found else ""
    device = f" of {have / 2**30:.1f} GiB" if have else ""
    asked = f"a micro-batch of {recipe.rows} rows of {recipe.length} tokens"
    return f"{asked}{needs} and does not fit a device{device}"


_TOO_LARGE = {"one": _too_large, "mixed": _too_large_mixed}  # `MixtureConfig.heads`


def _training_cache(
    task: str, *, recipe: Recipe, setting: Setting, seed: int, share: tasks.Share | None = None
) -> Cache:
    family = tasks.task(task).family
    length = setting.example_length(family, asked=recipe.max_length, row=recipe.length)
    cache = setting.cache(task, "train", max_length=length, share=share)
    return _with_shuffled_labels(cache, seed=seed) if recipe.shuffle_labels else cache


def training_shape(recipe: Recipe, *, family: tasks.Family, rows: int) -> Shape:
    """The static shape of a phase's batches for one family, on one process."""
    mask_rate = recipe.mask_rate if family.kind == "mlm" else 0.0
    if recipe.pack:
        return Shape.packed(rows, length=recipe.length, choices=family.num_choices, mask_rate=mask_rate)
    return Shape.unpacked(rows, length=recipe.length, mask_rate=mask_rate)


def _with_shuffled_labels(cache: Cache, *, seed: int) -> Cache:
    """The control experiment: every example keeps its text and gets another one's label."""
    if "label" not in cache.columns:
        raise UserError(
            f"shuffle_labels needs a task with one label an example; {cache.meta['task']!r} is a {cache.kind} task"
        )
    shuffled = Cache(cache.path)
    shuffled.columns["label"] = np.random.default_rng(seed).permutation(cache.columns["label"])
    return shuffled


def _steps(recipe: Recipe, caches: list[Cache | Joined], *, cap: int = 0, mlm_rate: float = 0.0) -> int:
    """Optimizer steps: as configured, or what the epochs need with as many examples as a packed row holds.

    Args:
        recipe: says which.
        caches: the tasks', without language modelling beside them.
        cap: so many rows of each task count at most, as in jiant's configurator; 0 = all.
        mlm_rate: share of the steps that language modelling beside the tasks takes from them.
    """
    if recipe.steps:
        return recipe.steps
    rows = 0.0
    for cache in caches:
        per_row = 1.0
        if recipe.pack:
            shape = Shape.packed(1, length=recipe.length, choices=cache.num_choices, mask_rate=recipe.mask_rate)
            per_row = packing(cache, shape=shape, rows=min(512, len(cache))).examples_per_row
        counted = sum(min(len(part.cache), cap or len(part.cache)) for part in cache.parts)
        rows += recipe.epochs * counted / per_row
    return math.ceil(rows / (recipe.rows * recipe.accumulate) / (1 - mlm_rate))


def _validation_cache(task: str, *, recipe: Recipe, setting: Setting) -> Cache | None:
    """The validation set that a task's training is stopped by; None = it has none."""
    name = tasks.task(task).family.validation
    if name is None:
        return None
    length = setting.example_length(tasks.task(name).family, asked=recipe.max_length, row=recipe.length)
    return setting.cache(name, "validation", max_length=length)


def _validator(
    phase: Phase, *, recipe: Recipe, setting: Setting, model: Model, heads: Heads
) -> Callable[[Tree], dict[str, float]] | None:
    """params -> scores on the first rows of the mixture's English validation sets; None where there are none.

    `selection`, the value to maximise, is the mean over tasks of each one's primary metric, in percent. Language
    modelling is no part of it where there is anything else, beside the tasks or among them: its losses are reported
    only. A phase of language modelling alone is judged by minus their mean.
    """
    checks = []
    for task in phase.task_names:
        cache = _validation_cache(task, recipe=recipe, setting=setting)
        if cache is None:
            continue
        source = tasks.task(tasks.task(task).family.validation)
        shape = training_shape(recipe, family=source.family, rows=recipe.rows)
        first = rows_of_examples(cache, examples=recipe.eval_rows)
        checks.append(
            (
                task,
                source,
                {"cache": cache, "head": heads.of_task[task], "shape": shape, "mesh": setting.mesh, "rows": first},
            )
        )
    if not checks:
        return None

    def validate(params: Tree) -> dict[str, float]:
        values, percents, losses = {}, [], []
        found: dict[tuple[str, str], dict[str, float]] = {}  # languages of one family share a validation set
        for task, source, asked in checks:
            key = (source.name, asked["head"])
            if key not in found:
                found[key] = _validation_scores(model, params, source=source, asked=asked)
            values |= {f"{task}/{name}": value for name, value in found[key].items()}
            if source.family.kind == "mlm":
                losses.append(-found[key]["loss"])
            else:
                percents.append(metrics.primary_value(source.family.metric, found[key]))
        selected = percents or losses
        return {**values, "selection": sum(selected) / len(selected)}

    return validate


def _validation_scores(model: Model, params: Tree, *, source: tasks.Task, asked: dict[str, Any]) -> dict[str, float]:
    """Metric -> value on the first rows of a validation set; a language model's `loss`."""
    if source.family.kind == "mlm":
        return {"loss": mlm_loss(model, params, **asked)}
    outputs = predict(model, params, **asked)
    return score(source.family, outputs, cache=asked["cache"], language=source.language, rows=asked["rows"]).scores
