"""Runs a study: lays out the graph of phases, runs what is missing in order, and keeps results.csv up to date."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pathlib
import time
from collections.abc import Callable

import jax
import rich.console
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import processes, stopping, tasks
from xtreme_stilts.claims import Claims
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.data.tokenizer import Tokenizer, load_tokenizer
from xtreme_stilts.directory import open_directory
from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.zero_shot import evaluation_shape, languages_of
from xtreme_stilts.graph import Phase, Plan, Root, plan
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
    layout = plan(study, root=root_of(setting))
    check_fit(layout, setting=setting)
    for phase in layout.phases:
        for name in phase.task_names:
            tuple(tasks.task(name).family.labels)  # raises where they depend on data that are not here
    say = rich.console.Console(highlight=False, soft_wrap=True).print if processes.is_first() else _unheard
    _say_plan(layout, setting=setting, say=say)
    claims = Claims(say=say)
    open_directory(layout, setting=setting, claims=claims)
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
        UserError: a module that cannot be imported, a file task or a mixture that makes no sense.
    """
    for name in study.import_modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UserError(f"config.import_modules: {name!r} cannot be imported: {error}") from error
    register_file_tasks(study.tasks, where="config.tasks")
    for name, given in study.mixtures.items():
        tasks.register_mixture(tasks.mixture_of(name, given))
    tasks.configure(
        data_dir=study.data_dir, download=study.download, text_dir=study.text_dir, manual_dir=study.manual_dir
    )


def prepare(study: StudyConfig, *, workdir: epath.Path) -> Setting:
    """Loads what all phases share: the study's tasks, the tokenizer, the encoder's shape, the mesh."""
    register(study)
    tokenizer = load_tokenizer(study.tokenizer or study.model.weights or "mini")
    encoder = encoder_of(study, tokenizer)
    mesh = make_mesh(study.mesh)
    cache_dir = pathlib.Path(study.cache_dir) if study.cache_dir else _default_cache_dir(workdir)
    return Setting(study=study, workdir=workdir, cache_dir=cache_dir, tokenizer=tokenizer, encoder=encoder, mesh=mesh)


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
        encoder = dataclasses.replace(hf.read_config(asked.weights), **compute)
    else:
        sizes = {
            "hidden_size": asked.width,
            "num_layers": asked.layers,
            "num_heads": asked.heads,
            "intermediate_size": asked.mlp,
        }
        sizes = {name: size for name, size in sizes.items() if size}
        encoder = preset(asked.preset, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id, **sizes, **compute)
    if tokenizer.vocab_size > encoder.vocab_size:
        raise UserError(
            f"config.tokenizer: {tokenizer.name!r} has {tokenizer.vocab_size} entries, but the encoder's table holds "
            f"{encoder.vocab_size}; use the tokenizer that belongs to the encoder"
        )
    if tokenizer.pad_id != encoder.pad_id:
        raise UserError(
            f"config.tokenizer: {tokenizer.name!r} pads with id {tokenizer.pad_id}, but the encoder with "
            f"{encoder.pad_id}; use the tokenizer that belongs to the encoder"
        )
    return encoder


def root_of(setting: Setting) -> Root:
    """What all phases of a study start from."""
    study = setting.study
    # How the encoder computes is part of the result; where it computes (mesh) is not.
    return Root(
        encoder=dataclasses.asdict(setting.encoder),
        tokenizer=setting.tokenizer.fingerprint,
        seed=study.seeds[0],
        weights=hf.fingerprint(study.model.weights) if study.model.weights else "",
        head_pooling=study.model.head_pooling,
    )


def check_fit(layout: Plan, *, setting: Setting) -> None:
    """Lengths against rows and positions, rows against the mesh, heads against tasks: before hours are spent.

    Raises:
        UserError: one sentence for each problem, all of them at once.
    """
    problems: dict[str, None] = {}  # keeps order, drops repeats
    for phase in layout.phases:
        try:
            if phase.recipe is not None:
                _check_trained(phase, setting=setting)
            for name in layout.families_after(phase):
                evaluation_shape(tasks.family(name), setting=setting)
                languages_of(tasks.family(name), study=setting.study)
        except UserError as error:
            problems[str(error)] = None
    if problems:
        raise UserError("\n".join(problems))


def _check_trained(phase: Phase, *, setting: Setting) -> None:
    recipe = phase.recipe
    if found := config_lib.recipe_problems(recipe, path=f"recipe of phase {phase.mixture!r}"):
        raise UserError("\n".join(found))
    rows = check_rows(
        recipe.rows or recipe.tokens_per_step // recipe.length,
        mesh=setting.mesh,
        field=f"rows of phase {phase.mixture!r} (config.recipes.{phase.kind})",
    )
    heads_of(phase, setting=setting)
    if tasks.mixture(phase.mixture).heads == "mixed":
        _check_mixed(phase)
    if not recipe.steps and not recipe.epochs:
        raise UserError(
            f"phase {phase.mixture!r}: config.recipes.{phase.kind} has neither steps nor epochs; set one of them"
        )
    for name in phase.task_names:
        found = tasks.task(name)
        tasks.source_split(name, "train")
        training_shape(recipe, family=found.family, rows=rows)
        setting.example_length(found.family, asked=recipe.max_length, row=recipe.length)


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
