"""Runs a study: lays out the graph of phases, runs what is missing in order, and keeps results.csv up to date.

The study directory:

    config.json      the resolved config
    results.csv      one row per score; all tables and plots come from it
    phases/          one folder per phase, named by its fingerprint (see phase.py)
    cache/           tokenised data (unless config.cache_dir says elsewhere)
    compiled/        compiled functions, shared by all phases and by later runs
    report/          index.html
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import time
from collections.abc import Callable

import jax
import rich.console
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import processes, stopping, tasks
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.data.tokenizer import Tokenizer, load_tokenizer
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.evaluation.zero_shot import LanguageScores, evaluate, evaluation_shape, languages_of
from xtreme_stilts.files import write_json
from xtreme_stilts.graph import Cell, Phase, Plan, Root, plan
from xtreme_stilts.models import EncoderConfig, hf, preset
from xtreme_stilts.phase import Setting, heads_of, train, training_shape
from xtreme_stilts.report import html, table
from xtreme_stilts.report import results as results_lib
from xtreme_stilts.tasks.files import register_file_tasks
from xtreme_stilts.training.checkpoints import quiet_orbax
from xtreme_stilts.training.sharding import check_rows, make_mesh


def run(study: StudyConfig, *, workdir: epath.PathLike, dry_run: bool = False) -> None:
    """Runs what is missing of a study and prints the table.

    Args:
        study: the checked config.
        workdir: the study directory, local or gs://.
        dry_run: print the phases and stop.

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
    say = rich.console.Console(highlight=False, soft_wrap=True).print if processes.is_first() else _unheard
    _print_plan(layout, setting=setting, say=say)
    if dry_run:
        return
    _open_workdir(setting, layout)
    stopping.watch()
    for number, phase in enumerate(layout.phases, 1):
        _run_phase(phase, f"[{number}/{len(layout.phases)}]", layout=layout, setting=setting, say=say)
    _report(setting, say=say)
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
    for name, parts in study.mixtures.items():
        members = [task for part in parts for task in tasks.mixture(part).tasks]
        mixture = tasks.Mixture(
            name=name,
            tasks=tuple(members),
            temperature=study.mixing_temperature,
            budget=study.budgets.get(name, 0),
        )
        tasks.register_mixture(mixture)
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
    if not recipe.steps and not recipe.epochs:
        raise UserError(
            f"phase {phase.mixture!r}: config.recipes.{phase.kind} has neither steps nor epochs; set one of them"
        )
    for name in phase.task_names:
        found = tasks.task(name)
        tasks.source_split(name, "train")
        training_shape(recipe, family=found.family, rows=rows)
        setting.example_length(found.family, asked=recipe.max_length, row=recipe.length)


# --------------------------------------------------------------------------------------------------
# Running


def _unheard(*_args) -> None:
    """What all processes but the first say."""


def _open_workdir(setting: Setting, layout: Plan) -> None:
    if processes.is_first():
        _write_workdir(setting, layout)
    processes.barrier("the study directory is open")
    if not (setting.workdir / "config.json").exists():
        raise UserError(
            f"--workdir {setting.workdir} is not the same folder for all processes: process {jax.process_index()} does "
            "not see what process 0 wrote there; name a shared folder or a gs:// one"
        )
    # One compilation serves all phases, languages and seeds of the study, and its next run.
    jax.config.update("jax_compilation_cache_dir", setting.study.compilation_cache or str(setting.workdir / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _write_workdir(setting: Setting, layout: Plan) -> None:
    setting.workdir.mkdir(parents=True, exist_ok=True)
    results = setting.workdir / "results.csv"
    if results.exists():
        # Scores of phases the config no longer asks for must not mix with the others; the phases themselves stay.
        wanted = {phase.fingerprint for phase in layout.phases}
        results_lib.write(results, [row for row in results_lib.scores(results) if row.fingerprint in wanted])
    write_json(setting.workdir / "config.json", config_lib.to_dict(setting.study))


def _run_phase(phase: Phase, number: str, *, layout: Plan, setting: Setting, say: Callable) -> None:
    """Trains a phase unless it is done, evaluates what is asked of it, and adds its rows to results.csv."""
    title = f"{number} {phase.kind} {phase.path} (seed {phase.seed})"
    steps = 0
    if phase.recipe is not None:
        record = setting.folder(phase) / "done.json"
        if processes.decided(record.exists):
            say(f"{title}: reused")
        else:
            train(phase, setting=setting, title=title)
        steps = processes.decided(lambda: json.loads(record.read_text())["best_step"])
    scores: dict[str, list[LanguageScores]] = {}
    for name in layout.families_after(phase):
        done: list[str] = []

        def note(language: str, done: list[str] = done) -> None:
            done.append(language)
            if stopping.requested():
                raise Stopped(f"the evaluation after {language}")

        began = time.monotonic()
        scores[name] = evaluate(phase, tasks.family(name), setting=setting, note=note)
        if done:
            say(f"{number} evaluated {name} in {len(done)} languages, {time.monotonic() - began:.1f} s")
    cells = [cell for cell in layout.cells if cell.phase == phase]
    if cells and processes.is_first():
        rows = [row for cell in cells for row in _rows(cell, scores[cell.family], steps=steps, setting=setting)]
        results_lib.add(setting.workdir / "results.csv", rows)


def _rows(cell: Cell, scores: list[LanguageScores], *, steps: int, setting: Setting) -> list[results_lib.Result]:
    """The rows of results.csv that one cell of the table gives."""
    model = setting.study.model
    name = pathlib.PurePath(model.weights).name if model.weights else model.preset
    return [
        results_lib.Result(
            model=name,
            intermediate=cell.row,
            target=cell.family,
            language=found.language,
            split=found.split,
            metric=metric,
            value=value,
            examples=found.examples,
            seed=cell.seed,
            layer=found.layer,
            pooling=found.pooling,
            steps=steps,
            fingerprint=cell.phase.fingerprint,
        )
        for found in scores
        for metric, value in {**found.scores, "chance": found.chance}.items()
        if value is not None
    ]


def _report(setting: Setting, *, say: Callable) -> None:
    if not processes.is_first():
        return
    frame = results_lib.read(setting.workdir / "results.csv")
    chance = frame[frame.metric == "chance"].groupby("target").value.mean().to_dict()
    table.print_table(frame, chance=chance)
    html.write_report(setting.workdir, chance=chance)


def _print_plan(layout: Plan, *, setting: Setting, say: Callable) -> None:
    """One line a phase: what it starts from, how long it trains, what is evaluated after it, whether it is done."""
    say(
        f"study {setting.study.name!r}: {len(layout.phases)} phases for {len(layout.cells)} cells of the table, "
        f"{jax.device_count()} {jax.devices()[0].device_kind} device(s), {setting.workdir}"
    )
    for number, phase in enumerate(layout.phases, 1):
        recipe = phase.recipe
        amount = (
            "no training"
            if recipe is None
            else f"{recipe.steps} steps"
            if recipe.steps
            else f"{recipe.epochs:g} epochs"
        )
        families = layout.families_after(phase)
        then = f", then evaluates {' '.join(families)}" if families else ""
        state = "done" if recipe is not None and setting.is_done(phase) else "to run" if recipe else "evaluation"
        say(f"  [{number}/{len(layout.phases)}] {state}: {phase.kind} {phase.path} (seed {phase.seed}), {amount}{then}")
