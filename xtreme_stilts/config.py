"""The typed config of a study, and every check that can be made before anything is loaded.

A config file is plain Python with one function, `get_config(arg=None)`, that starts from `default()` and
changes fields. On the command line any field can be changed again: `--config.recipes.target.steps=200`.
`parse` turns the ml_collections tree into the frozen dataclasses below and reports all problems at once.

Terms: a *recipe* is how one phase trains; there is one for each kind of phase, and `by_task` changes single
fields of it for one mixture. A *row* of the paper's table is one entry of `intermediates`: a name and the
chain of mixtures trained one after another before the target.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import NamedTuple

import ml_collections

from xtreme_stilts.errors import Problems, UserError, did_you_mean
from xtreme_stilts.tasks.files import FileTask
from xtreme_stilts.tasks.mixing import MixtureConfig, mixing_problems

SHORTEST = 8  # tokens of a row, the least that an example with its special tokens can have
TRAINED_KINDS = ("mlm", "intermediate", "target")  # retrieval is evaluated only, so it has no recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one phase trains. Defaults are jiant's X-STILTs settings (guide `xstilts.md`) where it has them."""

    steps: int = 0  # optimizer steps; 0 = follow `epochs`
    epochs: float = 0.0  # passes over the training set; used when steps = 0
    learning_rate: float = 1e-5  # peak, after the warm-up
    warmup: float = 0.1  # share of the steps in which the rate rises linearly; then it falls linearly to 0
    weight_decay: float = 0.01  # on matrices and tables, not on biases and the encoder's layer norms
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = 1.0  # of the whole gradient, once per optimizer step
    rows: int = 16  # rows of a micro-batch, over all devices; 0 = as many as fit, which needs tokens_per_step
    length: int = 256  # tokens of a row
    accumulate: int = 1  # micro-batches in one optimizer step
    tokens_per_step: int = 0  # capacity of an optimizer step: rows x length x accumulate, which follows; 0 = as set
    pack: bool = True  # several examples in a row; False = one
    max_length: int = 0  # longest example in tokens; 0 = the family's own, at most `length`
    mask_rate: float = 0.15  # MLM: share of the tokens to predict
    eval_every: int = 0  # steps between validations on the training task's English validation set; 0 = at the end
    eval_rows: int = 500  # first rows of the validation set that count (jiant: eval_subset_num)
    patience: int = 30  # validations without improvement before stopping
    checkpoint_every: int = 0  # steps between checkpoints for resuming; 0 = at each validation, else every 1,000
    log_every: int = 20  # steps between lines in metrics.jsonl
    embeddings: str = "active"  # active: train the rows of the word table that the data use; dense: all; frozen: none
    moment: str = "float32"  # type of Adam's first moment: float32 | bfloat16
    restarts: int = 0  # so often a phase whose loss stays at guessing is trained again from another seed (learning.py)
    shuffle_labels: bool = False  # control experiment: labels dealt at random (what is learned without a signal)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which encoder, and how it computes."""

    preset: str = "base"  # a size of models/presets.py; ignored where `weights` has a config.json
    weights: str = ""  # folder with config.json and safetensors in HF format; "" = random start
    dtype: str = "float32"  # compute type; parameters are always float32
    attention: str = "auto"  # auto | xla | cudnn | splash: kernel where no attention weights are dropped
    remat: str = "none"  # none | dots | full: what the backward pass recomputes to save memory
    scan_layers: bool = True  # one compiled layer, looped; False compiles longer and runs 6-11 % faster on CPU
    dropout: float = -1.0  # hidden and attention dropout; -1 = the encoder's own
    head_pooling: str = "jiant"  # jiant: heads read the pooler; cls: heads read <s> itself (XTREME's scripts)
    width: int = 0  # replaces the preset's hidden size; 0 = the preset's own; as do the next three
    layers: int = 0
    heads: int = 0
    mlp: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Devices along each mesh axis. The product is the number of devices; one axis may be -1 (the rest)."""

    data: int = -1  # copies of the model that see different rows
    fsdp: int = 1  # rows differ and parameters are sharded too
    tensor: int = 1  # heads and MLP columns are split


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Zero-shot evaluation of the targets and of sentence retrieval."""

    rows: int = 16  # rows of an evaluation batch, over all devices; 0 = what suits the device
    length: int = 512  # tokens of a row; one compiled function serves all languages
    pack: bool = True
    max_examples: int = 0  # first examples of each language that count; 0 = all (anything else is no published score)
    # Retrieval only, to the end. One pass gives every hidden state (0 = embeddings); one layer and pooling is reported.
    layer: int = -1  # the one reported; -1 = 14/24 of the depth
    pooling: str = "mean"  # the one reported: mean | cls
    layer_choice: str = "fixed"  # fixed: report these two; dev: what mines best on validation (Tatoeba has none: fixed)
    layers: tuple[int, ...] = ()  # also scored, both poolings; () = all of them, large mining corpora the reported only
    duplicates: str = "jiant"  # mining, repeated texts: jiant = all pairs of their ids; xtreme = none


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A whole study: one encoder, rows of intermediate training, columns of targets, seeds."""

    name: str = "study"
    model: ModelConfig = ModelConfig()
    tokenizer: str = ""  # folder or hub name; "" = the folder of `model.weights`; "mini" = the miniature's
    data_dir: str = ""  # prepared TFDS data sets; "" = TFDS's own default
    text_dir: str = ""  # folder of <lang>.txt[.xz] and parallel/<lang>.tsv[.xz] for the text_file tasks
    manual_dir: str = ""  # folder with release files that TFDS cannot fetch, such as BUCC 2018's and CCGbank's
    cache_dir: str = ""  # tokenised data; "" = <workdir>/cache
    compilation_cache: str = ""  # compiled functions, kept; "" = $JAX_COMPILATION_CACHE_DIR, else <workdir>/compiled
    wandb: str = ""  # project of Weights & Biases that each phase is told to as a run; "" = none
    profile_steps: int = 0  # optimizer steps of each phase to profile, for xprof: phases/<phase>/profile
    download: bool = False  # let TFDS fetch data sets that are not prepared
    import_modules: tuple[str, ...] = ()  # user modules that declare tasks, imported first
    tasks: Mapping[str, FileTask] = dataclasses.field(default_factory=dict)  # name -> files that are made a task
    mixtures: Mapping[str, MixtureConfig] = dataclasses.field(
        default_factory=dict
    )  # name -> tasks trained together: a tuple of them, or a `MixtureConfig`
    seeds: tuple[int, ...] = (0,)
    pretrain: tuple[str, ...] = ()  # MLM mixtures every row starts from, trained once for all seeds
    intermediates: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: {"none": ()})
    targets: tuple[str, ...] = ()
    retrieval: tuple[str, ...] = ()
    languages: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )  # family -> only these; others: all
    recipes: Mapping[str, Recipe] = dataclasses.field(
        default_factory=lambda: {kind: Recipe() for kind in TRAINED_KINDS}
    )
    by_task: Mapping[str, Mapping[str, typing.Any]] = dataclasses.field(default_factory=dict)
    evaluation: EvaluationConfig = EvaluationConfig()
    mesh: MeshConfig = MeshConfig()

    def recipe(self, kind: str, *, mixture: str) -> Recipe:
        """The recipe of a phase: its kind's, changed by what `by_task` says of the mixture or its family."""
        changes = {**self.by_task.get(mixture.partition(".")[0], {}), **self.by_task.get(mixture, {})}
        return dataclasses.replace(self.recipes[kind], **changes)


# --------------------------------------------------------------------------------------------------
# dataclasses <-> ml_collections


def default() -> ml_collections.ConfigDict:
    """The config with every field at its default, to be changed by a config file.

    It is left unlocked: `parse` reports every unknown field at once, with the nearest name.
    """
    return ml_collections.ConfigDict(_to_dict(StudyConfig()), type_safe=False)


def _to_dict(value):
    if dataclasses.is_dataclass(value):
        return {f.name: _to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _to_dict(item) for key, item in value.items()}
    return value


def to_dict(study: StudyConfig) -> dict:
    """The resolved config as plain dicts, lists and scalars, for JSON."""
    return _to_dict(study)


def parse(config: Mapping) -> StudyConfig:
    """A checked `StudyConfig` from an ml_collections tree or a plain dict.

    Raises:
        UserError: one sentence for each problem, all of them at once.
    """
    found = read(config)
    found.problems.tell()
    return found.study


class Read(NamedTuple):
    """A config as far as it makes sense.

    Attributes:
        study: the config; groups with a problem are as `default` has them.
        problems: one sentence for each, beginning with the field's path.
    """

    study: StudyConfig
    problems: Problems


def read(config: Mapping) -> Read:
    """Like `parse`, but gives back what is right, too, so that it can be checked further."""
    if isinstance(config, ml_collections.ConfigDict):
        config = config.to_dict()
    problems = Problems()
    if not isinstance(config, Mapping):
        problems.append(f"config is {config!r}; get_config must return config.default() with fields changed")
        return Read(StudyConfig(), problems)
    study = _read(StudyConfig, config, "config", problems)
    ranges: list[str] = []
    _check_ranges(study, ranges)
    # What is wrong with a default that stands for what could not be read is nobody's mistake.
    unreadable = {_group(problem) for problem in problems if _UNKNOWN not in problem}
    problems += [problem for problem in ranges if _group(problem) not in unreadable]
    return Read(_without(study, set(map(_group, problems))), problems)


def _group(problem: str) -> str:
    """The group of fields that a problem begins with; of a field of the config itself the field."""
    path = problem.partition(" ")[0].partition("[")[0]
    parts = path.split(".")
    return path if len(parts) <= 2 else ".".join(parts[:3] if parts[1] in _NAMED else parts[:2])


_UNKNOWN = "is not a field"
_NAMED = ("recipes", "by_task", "mixtures", "tasks")  # groups by a name of the user's or a kind


def _without(study: StudyConfig, broken: set[str]) -> StudyConfig:
    """A study that differs from another in that groups with a problem are at their defaults, or not there."""
    fresh = StudyConfig()
    fields = {}
    for name in (field.name for field in dataclasses.fields(StudyConfig)):
        value = getattr(study, name)
        if f"config.{name}" in broken:
            fields[name] = getattr(fresh, name)
        elif name == "recipes":
            kinds = {kind: value.get(kind, Recipe()) for kind in TRAINED_KINDS}
            usual = {kind: f"config.recipes.{kind}" in broken for kind in kinds}
            fields[name] = {kind: Recipe(steps=1) if usual[kind] else recipe for kind, recipe in kinds.items()}
        elif name in _NAMED:
            fields[name] = {key: each for key, each in value.items() if f"config.{name}.{key}" not in broken}
    return dataclasses.replace(study, **fields)


def field_problem(path: str) -> str:
    """What is wrong with the path of a field, such as `modle.preset`: a sentence; "" = nothing."""
    hint, where = StudyConfig, "config"
    for name in path.split("."):
        if dataclasses.is_dataclass(hint):
            hints = typing.get_type_hints(hint)
            if name not in hints:
                return f"{where}.{name} {_UNKNOWN}; {did_you_mean(name, hints)}"
            hint = hints[name]
        elif typing.get_origin(hint) is Mapping:
            hint = typing.get_args(hint)[1]
        else:
            return f"{where} is a field without fields of its own; there is no {where}.{name}"
        where = f"{where}.{name}"
    return ""


def kind_of(path: str) -> str:
    """What the value of a field must be, in words; "" where that depends on more than the field's type."""
    hint = StudyConfig
    for name in path.split("."):
        named = typing.get_type_hints(hint) if dataclasses.is_dataclass(hint) else {}
        hint = named.get(name) or (typing.get_args(hint) or (None,))[-1]
    if dataclasses.is_dataclass(hint):
        return f"a group of fields, such as config.{path}.{dataclasses.fields(hint)[0].name}"
    return _KINDS.get(hint, "")


_KINDS = {int: "a whole number", float: "a finite number", bool: "True or False", str: "text"}


def _read(cls, given: Mapping, path: str, problems: list[str]):
    """Builds dataclass `cls` from `given`, noting unknown fields and wrong types under their dotted path.

    What cannot be read is at its default.
    """
    hints = typing.get_type_hints(cls)
    for name in given:
        if name not in hints:
            problems.append(f"{path}.{name} {_UNKNOWN}; {did_you_mean(name, hints)}")
    values = {}
    for name, hint in hints.items():
        if name in given:
            before = len(problems)
            value = _read_value(hint, given[name], f"{path}.{name}", problems)
            if len(problems) == before or dataclasses.is_dataclass(hint) or typing.get_origin(hint) is Mapping:
                values[name] = value
    return cls(**values)


def _read_value(hint, value, path: str, problems: list[str]):
    if hint is FileTask and isinstance(value, Mapping):
        return _read_file_task(value, path, problems)
    if hint is MixtureConfig:
        value = _fields_of_mixture(value)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            problems.append(f"{path} is {value!r}; it must be a group of fields")
            return hint()
        return _read(hint, value, path, problems)
    if path == "config.by_task":
        return _read_by_task(value, path, problems)
    origin = typing.get_origin(hint)
    if origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            problems.append(f"{path} is {value!r}; it must be a dict")
            return {}
        item = typing.get_args(hint)[1]
        return {key: _read_value(item, each, f"{path}.{key}", problems) for key, each in value.items()}
    if origin is tuple:
        return _read_tuple(typing.get_args(hint)[0], value, path, problems)
    return _read_scalar(hint, value, path, problems)


def _read_tuple(item, value, path: str, problems: list[str]) -> tuple:
    if isinstance(value, (str, bytes)) or not isinstance(value, (tuple, list)):
        problems.append(f"{path} is {value!r}; it must be a tuple of {item.__name__}, such as ({value!r},)")
        return ()
    return tuple(_read_value(item, each, f"{path}[{i}]", problems) for i, each in enumerate(value))


def _read_scalar(hint, value, path: str, problems: list[str]):
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    good = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    if not good:
        kind = type(value).__name__
        article = "an" if kind[0] in "aeiou" else "a"
        problems.append(f"{path} is {value!r}, {article} {kind}; it must be {_KINDS[hint]}")
    elif hint is float and not math.isfinite(value):
        problems.append(f"{path} is {value!r}; it must be {_KINDS[float]}")
    return value


def _fields_of_mixture(value):
    """Tasks alone stand for a mixture of them; a `MixtureConfig` itself can have keys with dots, a ConfigDict none."""
    if isinstance(value, MixtureConfig):
        return _to_dict(value)
    return {"tasks": value} if isinstance(value, (tuple, list)) else value


def _read_file_task(value: Mapping, path: str, problems: list[str]) -> FileTask:
    try:
        return FileTask.of(value)
    except UserError as error:  # one line a problem, each beginning with the field
        problems.extend(f"{path}.{line}" for line in str(error).splitlines())
        return FileTask()


def _read_by_task(value, path: str, problems: list[str]) -> Mapping:
    hints = typing.get_type_hints(Recipe)
    if not isinstance(value, Mapping):
        problems.append(f"{path} is {value!r}; it must be a dict of a task's name -> fields of its recipe")
        return {}
    result = {}
    for task, changes in value.items():
        if not isinstance(changes, Mapping):
            problems.append(f"{path}.{task} is {changes!r}; it must be a dict of fields of a recipe")
            continue
        unknown = [name for name in changes if name not in hints]
        problems += [f"{path}.{task}.{name} {_UNKNOWN} of a recipe; {did_you_mean(name, hints)}" for name in unknown]
        before = len(problems)
        read = {
            name: _read_scalar(hints[name], each, f"{path}.{task}.{name}", problems)
            for name, each in changes.items()
            if name in hints
        }
        result[task] = read if len(problems) == before else {}
    return types.MappingProxyType(result)


# --------------------------------------------------------------------------------------------------
# Ranges and choices that need nothing but the config itself. What needs the task registry, the tokenizer or
# the encoder's shape is checked by study.py and phase.py, also before anything is trained.

_CHOICES = {
    "config.model.dtype": ("float32", "bfloat16"),
    "config.model.attention": ("auto", "xla", "cudnn", "splash"),
    "config.model.remat": ("none", "dots", "full"),
    "config.model.head_pooling": ("jiant", "cls"),
    "config.evaluation.pooling": ("mean", "cls"),
    "config.evaluation.layer_choice": ("fixed", "dev"),
    "config.evaluation.duplicates": ("jiant", "xtreme"),
}


def _check_ranges(study: StudyConfig, problems: list[str]) -> None:
    for path, valid in _CHOICES.items():
        value = _at(study, path)
        if value not in valid:
            problems.append(f"{path} is {value!r}; {did_you_mean(value, valid)}")
    if study.model.dropout != -1 and not 0 <= study.model.dropout < 1:
        problems.append(f"config.model.dropout is {study.model.dropout}; it must be -1 or in [0, 1)")
    if not study.seeds or len(set(study.seeds)) < len(study.seeds) or min(study.seeds) < 0:
        problems.append(f"config.seeds is {study.seeds}; it must hold at least one seed, all >= 0 and different")
    for name, mixing in study.mixtures.items():
        problems += mixing_problems(mixing, where=f"config.mixtures.{name}.")
    if not study.intermediates:
        problems.append("config.intermediates is empty; it must hold at least one row, such as {'none': ()}")
    for kind in study.recipes:
        if kind not in TRAINED_KINDS:
            problems.append(f"config.recipes.{kind} is no kind of phase; {did_you_mean(kind, TRAINED_KINDS)}")
    for kind in TRAINED_KINDS:
        if kind not in study.recipes:
            problems.append(f"config.recipes.{kind} is missing")
            continue
        problems += recipe_problems(study.recipes[kind], path=f"config.recipes.{kind}")
    for task, changes in study.by_task.items():
        # Whose recipe it changes is known when the phases are; here it must make sense for one of them.
        found = [
            recipe_problems(dataclasses.replace(recipe, **changes), path=f"config.by_task.{task}")
            for recipe in study.recipes.values()
        ]
        problems += min(found, key=len, default=[])
    _check_evaluation(study.evaluation, problems)
    if study.profile_steps < 0:
        problems.append(f"config.profile_steps is {study.profile_steps}; it must not be negative")
    axes = dataclasses.asdict(study.mesh)
    if any(size != -1 and size < 1 for size in axes.values()) or list(axes.values()).count(-1) > 1:
        problems.append(f"config.mesh is {axes}; sizes must be >= 1 and at most one may be -1")


def _check_evaluation(evaluation: EvaluationConfig, problems: list[str]) -> None:
    _positive(evaluation, "config.evaluation", ("length",), problems)
    for name in ("rows", "max_examples"):
        if getattr(evaluation, name) < 0:
            problems.append(f"config.evaluation.{name} is {getattr(evaluation, name)}; it must not be negative")
    if evaluation.layer < -1:
        problems.append(f"config.evaluation.layer is {evaluation.layer}; it must be a hidden state, >= 0, or -1")
    layers = evaluation.layers
    if len(set(layers)) < len(layers) or min(layers, default=0) < 0:
        problems.append(f"config.evaluation.layers is {layers}; it must hold hidden states, all >= 0 and different")


def _at(study: StudyConfig, path: str):
    value = study
    for name in path.split(".")[1:]:
        value = getattr(value, name)
    return value


def _positive(group, path: str, names: tuple[str, ...], problems: list[str]) -> None:
    for name in names:
        value = getattr(group, name)
        if value < 1:
            problems.append(f"{path}.{name} is {value}; it must be at least 1")


def _check_step_size(recipe: Recipe, path: str, problems: list[str]) -> None:
    if recipe.rows < 0 or (recipe.rows == 0 and not recipe.tokens_per_step):
        problems.append(f"{path}.rows is {recipe.rows}; it must be at least 1, or 0 with {path}.tokens_per_step")
    if recipe.tokens_per_step < 0 or recipe.tokens_per_step % max(1, recipe.rows * recipe.length or recipe.length):
        problems.append(
            f"{path}.tokens_per_step is {recipe.tokens_per_step}; it must be a multiple of a micro-batch, "
            f"rows x length = {recipe.rows or 1} x {recipe.length}"
        )


_NOT_NEGATIVE = (
    "steps",
    "epochs",
    "learning_rate",
    "weight_decay",
    "eval_every",
    "max_length",
    "checkpoint_every",
    "restarts",
)
_RECIPE_CHOICES = {"embeddings": ("active", "dense", "frozen"), "moment": ("float32", "bfloat16")}


def recipe_problems(recipe: Recipe, *, path: str) -> list[str]:
    """One sentence for each field of a recipe that is out of range; `path` is what it is called in them."""
    problems: list[str] = []
    for name, valid in _RECIPE_CHOICES.items():
        if getattr(recipe, name) not in valid:
            problems.append(f"{path}.{name} is {getattr(recipe, name)!r}; {did_you_mean(getattr(recipe, name), valid)}")
    _check_step_size(recipe, path, problems)
    _positive(recipe, path, ("length", "accumulate", "patience", "log_every", "eval_rows"), problems)
    for name in _NOT_NEGATIVE:
        if getattr(recipe, name) < 0:
            problems.append(f"{path}.{name} is {getattr(recipe, name)}; it must not be negative")
    for name in ("warmup", "beta1", "beta2", "mask_rate"):
        if not 0 <= getattr(recipe, name) <= 1:
            problems.append(f"{path}.{name} is {getattr(recipe, name)}; it must lie between 0 and 1")
    for name in ("length", "max_length"):
        if 0 < getattr(recipe, name) < SHORTEST:
            problems.append(f"{path}.{name} is {getattr(recipe, name)}; it must be at least {SHORTEST}")
    if recipe.max_length > recipe.length:
        problems.append(
            f"{path}.max_length is {recipe.max_length}; a row holds only {path}.length = {recipe.length} tokens"
        )
    return problems
