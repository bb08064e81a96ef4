"""From a config to what there is to compile: the study's plan on a topology's devices, with its weights or without.

A folder of weights needs no more than its config.json and tokenizer here. Without one, `config.model.preset` gives the
encoder; without a tokenizer either, its word table is the published one and no text can be measured.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from etils import epath
from jax.sharding import Mesh

from xtreme_stilts import study as study_lib
from xtreme_stilts import tasks
from xtreme_stilts.config import MeshConfig, StudyConfig
from xtreme_stilts.data.tokenizer import Part, Tokenizer, load_tokenizer
from xtreme_stilts.evaluation.zero_shot import evaluation_shape, wanted_pooled
from xtreme_stilts.graph import Phase, Plan, plan
from xtreme_stilts.models import Head, Model, preset
from xtreme_stilts.phase import Setting, heads_of
from xtreme_stilts.preflight.advice import Fields
from xtreme_stilts.preflight.amounts import Group, groups, settled
from xtreme_stilts.preflight.programs import Program
from xtreme_stilts.training.optimizer import AdamW
from xtreme_stilts.training.sharding import make_mesh


class Work(NamedTuple):
    """A study laid out on devices."""

    setting: Setting
    plan: Plan
    has_tokenizer: bool


def lay_out(study: StudyConfig, *, devices: list, workdir: epath.Path, cache_dir: pathlib.Path) -> Work:
    """The plan of a study whose tasks are registered, checked against the devices.

    Raises:
        UserError: what `study.run` would refuse: a mesh or rows that do not go with the devices, lengths that do not
            go with rows, an unknown name.
    """
    asked = study.tokenizer or study.model.weights or ("mini" if study.model.preset == "mini" else "")
    tokenizer = load_tokenizer(asked) if asked else _stand_in(study)
    setting = Setting(
        study=study,
        workdir=workdir,
        cache_dir=cache_dir,
        tokenizer=tokenizer,
        encoder=study_lib.encoder_of(study, tokenizer),
        mesh=make_mesh(study.mesh, devices=devices),
    )
    layout = plan(study, root=study_lib.root_of(_without_absent_weights(setting)))
    study_lib.check_fit(layout, setting=setting)
    return Work(setting, layout, bool(asked))


def _without_absent_weights(setting: Setting) -> Setting:
    """Which weights they are changes names of phases, nothing else: a plan can be made where they are not."""
    model = setting.study.model
    if not model.weights or any(pathlib.Path(model.weights).glob("*.safetensors")):
        return setting
    unread = dataclasses.replace(setting.study, model=dataclasses.replace(model, weights=""))
    return dataclasses.replace(setting, study=unread)


def _stand_in(study: StudyConfig) -> Tokenizer:
    """A tokenizer with the preset's vocabulary that cannot tokenise."""
    published = preset(study.model.preset)
    return Tokenizer(
        name=f"of {study.model.preset}",
        cls_id=0,
        sep_id=2,
        pad_id=published.pad_id,
        mask_id=published.vocab_size - 1,
        unk_id=3,
        vocab_size=published.vocab_size,
        special_ids=(),
        single=(Part(None, 0, 0),),
        pair=(Part(None, 0, 0), Part(None, 1, int(published.type_vocab_size > 1))),
        fingerprint="",
        hf=None,
        backend=None,
    )


# --------------------------------------------------------------------------------------------------
# Programs


def training_programs(phase: Phase, *, setting: Setting) -> dict[Group, Program]:
    """The training step of each group of a phase's tasks, as if it were alone in it; none for retrieval. (What is
    compiled where steps mix tasks: `compiled_training`.)"""
    if phase.recipe is None:
        return {}
    heads, recipe = heads_of(phase, setting=setting), settled(phase.recipe, mesh=setting.mesh)
    return {
        group: Program(
            model=Model(setting.encoder, heads.by_name),
            head=heads.of_task[group.tasks[0]],
            shape=group.shape,
            optimizer=AdamW.of(recipe),
            accumulate=recipe.accumulate,
            token_types=setting.tokenizer.uses_token_types,
        )
        for group in groups(phase, rows=recipe.rows)
    }


def compiled_training(programs: Iterable[Program], phase: Phase) -> tuple[Program, ...]:
    """The training steps that a phase compiles, of those of its groups: one for each, or (heads `mixed`) one of all."""
    programs = tuple(programs)
    if phase.recipe is None or tasks.mixture(phase.mixture).heads == "one":
        return programs
    first, *others = programs
    return (dataclasses.replace(first, others=tuple((each.head, each.shape) for each in others)),)


def evaluation_program(phase: Phase, family: tasks.Family, *, setting: Setting) -> Program:
    """The step that evaluates a family after a phase. For retrieval the one that returns all hidden states the config
    asks for; large mining corpora use one that returns a single state."""
    if family.kind == "embedding":
        layers = tuple(sorted({each.layer for each in wanted_pooled(setting)}))
        model, head = Model(setting.encoder, {"head": Head(kind="embedding", layers=layers)}), "head"
    else:
        heads = heads_of(phase, setting=setting)
        model = Model(setting.encoder, heads.by_name)
        head = heads.of_task.get(family.train) or next(iter(model.heads))
    return Program(
        model=model,
        head=head,
        shape=evaluation_shape(family, setting=setting),
        token_types=setting.tokenizer.uses_token_types,
    )


def example_length(phase: Phase, family: tasks.Family, *, setting: Setting) -> int:
    """Tokens an example of a family may have when it is evaluated after a phase."""
    row = evaluation_shape(family, setting=setting).length
    if phase.recipe is None:
        return setting.example_length(family, asked=0, row=row)
    return setting.example_length(family, asked=phase.recipe.max_length, row=min(phase.recipe.length, row))


# --------------------------------------------------------------------------------------------------
# Names of fields


def recipe_fields(study: StudyConfig, phase: Phase) -> Fields:
    """Where the config says how many rows a phase's micro-batch has, and how many micro-batches a step."""

    def field(name: str) -> str:
        for key in (phase.mixture, phase.mixture.partition(".")[0]):
            if name in study.by_task.get(key, {}):
                return f"by_task.{key}.{name}"
        return f"recipes.{phase.kind}.{name}"

    return Fields(rows=field("rows"), accumulate=field("accumulate"))


EVALUATION_FIELDS = Fields(rows="evaluation.rows")


def mesh_on(devices: list):
    """A function from the config's mesh to the mesh of these devices."""

    def make(config: MeshConfig) -> Mesh:
        return make_mesh(config, devices=devices)

    return make
