"""Runs a study: lays out the graph of phases, runs what is missing in order, and keeps results.csv up to date."""

from __future__ import annotations

import contextlib
import dataclasses
import graphlib
import importlib
import pathlib
import re
import time
import traceback
from collections.abc import Callable, Iterable, Mapping

import jax
import rich.console
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import processes, stopping, tasks
from xtreme_stilts.claims import Claims
from xtreme_stilts.config import MixtureConfig, StudyConfig
from xtreme_stilts.data.tokenizer import Tokenizer, load_tokenizer
from xtreme_stilts.directory import open_directory
from xtreme_stilts.errors import Problems, UserError, naming
from xtreme_stilts.evaluation.zero_shot import evaluation_shape, languages_of
from xtreme_stilts.graph import Phase, Plan, Root, known_names, plan
from xtreme_stilts.models import EncoderConfig, hf, preset
from xtreme_stilts.phase import Setting, heads_of, training_shape
from xtreme_stilts.report import html, table
from xtreme_stilts.report import results as results_lib
from xtreme_stilts.report.studies import chance_of
from xtreme_stilts.tasks.files import register_file_tasks
from xtreme_stilts.training.checkpoints import quiet_orbax
from xtreme_stilts.training.sharding import check_rows, make_mesh
from xtreme_stilts.worker import work


def run(study: StudyConfig, *, workdir: epath.PathLike) -> None:
    """Runs what is missing of a study and prints the table.

    Args:
        study: the checked config.
        workdir: the study directory, local or gs://.

    Raises:
        UserError: bad input; everything finished so far stays and is reused.
    """
    quiet_orbax()
    processes.check_agreement("config", config_lib.to_dict(study))
    processes.check_agreement("--workdir", {"": str(workdir)})
    began = time.monotonic()
    setting = prepare(study, workdir=epath.Path(workdir))
    root = root_of(setting)
    layout = plan(study, root=root)
    _check_same_inputs(layout, root=root)
    check_fit(layout, setting=setting)
    for phase in layout.phases:
        for name in phase.task_names:
            tuple(tasks.task(name).family.labels)  # raises where they depend on data that are not here
    say = rich.console.Console(highlight=False, soft_wrap=True).print if processes.is_first() else _unheard
    _say_plan(layout, setting=setting, say=say)
    claims = Claims(say=say)
    open_directory(layout, setting=setting, claims=claims, say=say)
    stopping.watch()
    failures = work(layout, setting=setting, claims=claims, say=say)
    _report(setting, claims=claims, say=say)
    if failures:
        raise UserError("\n".join(failures))
    say(f"done in {time.monotonic() - began:.0f} s: {setting.workdir}/results.csv, {setting.workdir}/report/index.html")


# --------------------------------------------------------------------------------------------------
# Before anything is trained


def register(study: StudyConfig) -> None:
    """Makes the study's own tasks and mixtures known, and says where data are.

    Raises:
        UserError: a module that cannot be imported, a file task or a mixture that makes no sense; all of them at once.
    """
    problems = Problems()
    for name in study.import_modules:
        with problems.gathered("config.import_modules: "):
            _import(name)
    with problems.gathered():
        register_file_tasks(study.tasks, where="config.tasks")
    for name in _members_first(study.mixtures, problems):
        with problems.gathered(f"config.mixtures.{name}: "):
            tasks.register_mixture(tasks.mixture_of(name, study.mixtures[name]))
    with problems.gathered("config."):
        tasks.configure(
            data_dir=study.data_dir, download=study.download, text_dir=study.text_dir, manual_dir=study.manual_dir
        )
    problems.tell()


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except UserError:
        raise
    except Exception as error:  # a module is a program; whatever it raises
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if isinstance(error, ImportError) else f", {at.filename} line {at.lineno}: {type(error).__name__}"
        raise UserError(f"{name!r} cannot be imported{where}: {error}") from error


def _members_first(mixtures: Mapping[str, MixtureConfig], problems: Problems) -> list[str]:
    """The names of mixtures, each after those of its members that are among them."""
    members = {
        name: [each for each in (*given.tasks, *given.mlm) if each in mixtures] for name, given in mixtures.items()
    }
    try:
        return list(graphlib.TopologicalSorter(members).static_order())
    except graphlib.CycleError as error:
        problems.append(f"config.mixtures go round in a circle: {' > '.join(error.args[1])}; name tasks in one of them")
        return []


def prepare(study: StudyConfig, *, workdir: epath.Path) -> Setting:
    """Loads what all phases share: the study's tasks, the tokenizer, the encoder's shape, the mesh.

    Raises:
        UserError: one of them is not there or does not go with the others, or a name does not exist; then what else
            is wrong is told with it.
    """
    problems = Problems()
    setting = _prepare(study, workdir=workdir, problems=problems)
    problems.tell()
    return setting


def problems_of(study: StudyConfig, *, known: Iterable[str]) -> Problems:
    """Everything that a study would be refused for before it trains here, after what is known to be wrong with it.

    Args:
        study: the config without what is known to be wrong, see `config.read`.
        known: sentences on that.
    """
    problems = Problems(known)
    _prepare(study, workdir=epath.Path("."), problems=problems)
    return problems


def name_problems(study: StudyConfig, *, known: Iterable[str]) -> Problems:
    """As `problems_of`, but only what does not depend on where the study runs: tasks, mixtures and names."""
    problems = Problems(known)
    _named(study, problems)
    return problems


def _named(study: StudyConfig, problems: Problems) -> StudyConfig:
    """The study without names that are unknown or cannot be used as it asks, which are added to `problems`."""
    with problems.gathered():
        register(study)
    names = known_names(study)
    problems += [problem for problem in names.problems if not _follows(problem, problems, study=study)]
    if not (study.pretrain or any(study.intermediates.values()) or study.targets or study.retrieval):
        problems.append("config.targets and config.retrieval are empty; a study must train or evaluate something")
    return names.study


def _prepare(study: StudyConfig, *, workdir: epath.Path, problems: Problems) -> Setting | None:
    """What phases share; None where something is missing. Adds to `problems`, and looks for more if there are any."""
    named = _named(study, problems)
    for field in ("cache_dir", "compilation_cache"):
        with problems.gathered():
            _check_folder(getattr(study, field), field=f"config.{field}")
    parts = {}
    with problems.gathered():
        parts["tokenizer"] = _tokenizer_of(study)
        parts["encoder"] = encoder_of(study, parts["tokenizer"])
    with problems.gathered("config.model.weights: "):
        if study.model.weights and "encoder" in parts:
            hf.check_encoder(study.model.weights, config=parts["encoder"])
    with problems.gathered():
        parts["mesh"] = make_mesh(study.mesh)
    if len(parts) < 3:
        return None
    cache_dir = pathlib.Path(study.cache_dir) if study.cache_dir else _default_cache_dir(workdir)
    setting = Setting(study=study, workdir=workdir, cache_dir=cache_dir, **parts)
    if problems:
        with problems.gathered():
            unread = dataclasses.replace(named.model, weights="")  # a plan that is not run needs no identity
            usable = dataclasses.replace(setting, study=dataclasses.replace(named, model=unread))
            check_fit(plan(named, root=root_of(usable)), setting=usable)
    return setting


def _follows(problem: str, problems: Problems, *, study: StudyConfig) -> bool:
    """Whether a name is unknown only because what would have made it known is among the problems."""
    made_wrong = re.findall(r"^config\.(?:tasks|mixtures)\.(\w+)", "\n".join(problems), re.MULTILINE)
    unmade = {*study.tasks, *study.mixtures, *made_wrong}
    unread = any(each.startswith("config.import_modules") for each in problems)
    return " no " in problem and (unread or any(repr(name) in problem for name in unmade))


def _check_folder(name: str, *, field: str) -> None:
    """Raises UserError if a folder that is given on this machine can neither be there nor be made."""
    there = next((path for path in (pathlib.Path(name), *pathlib.Path(name).parents) if path.exists()), None)
    if name and "://" not in name and there is not None and not there.is_dir():
        raise UserError(f"{field} is {name!r}, but {str(there)!r} is a file; name a folder")


def _tokenizer_of(study: StudyConfig) -> Tokenizer:
    with naming("config.tokenizer: " if study.tokenizer else "config.model.weights: "):
        return load_tokenizer(study.tokenizer or study.model.weights or "mini")


def _default_cache_dir(workdir: epath.Path) -> pathlib.Path:
    """Beside the phases; caches are memory-mapped, so a remote study keeps them on this machine instead."""
    if "://" in str(workdir):
        return pathlib.Path("~/.cache/xtreme_stilts").expanduser()
    return pathlib.Path(workdir) / "cache"


def encoder_of(study: StudyConfig, tokenizer: Tokenizer) -> EncoderConfig:
    """The encoder's shape: of the weights, else of the preset with the tokenizer's vocabulary."""
    asked = study.model
    compute = {
        "dtype": asked.dtype,
        "remat": asked.remat,
        "scan_layers": asked.scan_layers,
        "attention": asked.attention,
    }
    if asked.dropout >= 0:
        compute |= {"hidden_dropout": asked.dropout, "attention_dropout": asked.dropout}
    if asked.weights:
        with naming("config.model.weights: "):
            encoder = dataclasses.replace(hf.read_config(asked.weights), **compute)
    else:
        sizes = {
            "hidden_size": asked.width,
            "num_layers": asked.layers,
            "num_heads": asked.heads,
            "intermediate_size": asked.mlp,
        }
        sizes = {name: size for name, size in sizes.items() if size}
        with naming("config.model: "):
            encoder = preset(asked.preset, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id, **sizes, **compute)
    problems = Problems()
    if tokenizer.vocab_size > encoder.vocab_size:
        problems.append(
            f"config.tokenizer: {tokenizer.name!r} has {tokenizer.vocab_size} entries, but the encoder's table holds "
            f"{encoder.vocab_size}; use the tokenizer that belongs to the encoder"
        )
    if tokenizer.pad_id != encoder.pad_id:
        problems.append(
            f"config.tokenizer: {tokenizer.name!r} pads with id {tokenizer.pad_id}, but the encoder with "
            f"{encoder.pad_id}; use the tokenizer that belongs to the encoder"
        )
    problems.tell()
    return encoder


def root_of(setting: Setting) -> Root:
    """What all phases of a study start from."""
    study = setting.study
    # How the encoder computes is part of the result; where it computes (mesh) is not.
    return Root(
        encoder=dataclasses.asdict(setting.encoder),
        tokenizer=setting.tokenizer.fingerprint,
        seed=study.seeds[0],
        weights=_weights_of(study),
        head_pooling=study.model.head_pooling,
    )


def _check_same_inputs(layout: Plan, *, root: Root) -> None:
    """What the config names must be the same on all processes, not only be called the same.

    Raises:
        UserError: on all processes alike, where it is not.
    """
    versions = {task: version for phase in layout.phases for task, version in phase.versions}
    processes.check_agreement(
        "",
        {
            "the fingerprint of the weights (config.model.weights)": root.weights,
            "the fingerprint of the tokenizer (config.tokenizer)": root.tokenizer,
            "encoder": root.encoder,
            **{f"the data version of task {task!r}": version for task, version in versions.items()},
        },
        advice="give all of them the same files",
    )


def _weights_of(study: StudyConfig) -> str:
    if not study.model.weights:
        return ""
    with naming("config.model.weights: "):
        return hf.fingerprint(study.model.weights)


def check_fit(layout: Plan, *, setting: Setting) -> None:
    """Lengths against rows and positions, rows against the mesh, heads against tasks: before hours are spent.

    Raises:
        UserError: one sentence for each problem, all of them at once.
    """
    problems = Problems()
    for phase in layout.phases:
        if phase.recipe is not None:
            _check_trained(phase, setting=setting, problems=problems)
        for name in layout.families_after(phase):
            with problems.gathered():
                languages_of(tasks.family(name), study=setting.study)
            with problems.gathered():
                evaluation_shape(tasks.family(name), setting=setting)
    problems.tell()


def _check_trained(phase: Phase, *, setting: Setting, problems: Problems) -> None:
    recipe = phase.recipe
    if found := config_lib.recipe_problems(recipe, path=f"recipe of phase {phase.mixture!r}"):
        problems += found
        return
    where = f"phase {phase.mixture!r} (config.recipes.{phase.kind})"
    rows = recipe.rows or recipe.tokens_per_step // recipe.length
    with problems.gathered():
        check_rows(rows, mesh=setting.mesh, field=f"rows of {where}")
    with problems.gathered(f"{where}: "):
        heads_of(phase, setting=setting)
    with problems.gathered():
        if tasks.mixture(phase.mixture).heads == "mixed":
            _check_mixed(phase)
    if not recipe.steps and not recipe.epochs:
        problems.append(f"{where} has neither steps nor epochs; set one of them")
    for name in phase.task_names:
        with problems.gathered(f"{where}: "):
            _check_task(name, recipe=recipe, rows=rows, setting=setting)


def _check_task(name: str, *, recipe: config_lib.Recipe, rows: int, setting: Setting) -> None:
    family = tasks.task(name).family
    tasks.source_split(name, "train")
    training_shape(recipe, family=family, rows=rows)
    length = setting.example_length(family, asked=recipe.max_length, row=recipe.length)
    if length < config_lib.SHORTEST:
        raise UserError(
            f"length is {recipe.length}, which leaves {length} tokens for each of the {family.num_choices} choices of "
            f"{name!r}; each needs at least {config_lib.SHORTEST}"
        )
    if family.kind == "mlm" and setting.tokenizer.mask_id is None:
        raise UserError(
            f"{name!r} is language modelling, which needs a mask token; {setting.tokenizer.name!r} has none"
        )


def _check_mixed(phase: Phase) -> None:
    """Which tasks a step mixes depends on its micro-batches, so their number must not depend on the device."""
    recipe, where = phase.recipe, f"phase {phase.mixture!r}: heads is 'mixed', but config.recipes.{phase.kind}"
    if not recipe.rows:
        raise UserError(f"{where}.rows is 0; a step mixes as many tasks as it has micro-batches, so set their rows")
    rows_per_step = recipe.tokens_per_step // recipe.length
    micro_batches = rows_per_step // recipe.rows if rows_per_step else recipe.accumulate
    if micro_batches < 2:
        raise UserError(
            f"{where} makes one micro-batch of a step; set accumulate, or tokens_per_step, for at least two"
        )


# --------------------------------------------------------------------------------------------------
# Running


def _unheard(*_args) -> None:
    """What all processes but the first say."""


def _report(setting: Setting, *, claims: Claims, say: Callable) -> None:
    if not processes.is_first() or not (setting.workdir / "results.csv").exists():
        return
    frame = results_lib.read(setting.workdir / "results.csv")
    table.print_table(frame, chance=chance_of(frame))
    with claims.take(setting.workdir, "report") or contextlib.nullcontext() as held:
        if held is None:
            say("another worker writes the report")
        else:
            html.try_report(setting.workdir)


def _say_plan(layout: Plan, *, setting: Setting, say: Callable) -> None:
    done = sum(phase.recipe is not None and setting.is_done(phase) for phase in layout.phases)
    say(
        f"study {setting.study.name!r}: {len(layout.phases)} phases for {len(layout.cells)} cells of the table, {done} "
        f"of them trained before, {jax.device_count()} {jax.devices()[0].device_kind} device(s), {setting.workdir}"
    )
