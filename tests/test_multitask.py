"""Phases on several tasks: language modelling beside them, several in a step, budgets, selection, a cut and after."""

from __future__ import annotations

import dataclasses
import json
import types

import jax
import numpy as np
import pytest
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import phase as phase_lib
from xtreme_stilts import stopping, study, tasks
from xtreme_stilts.config import MixtureConfig, Recipe
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.graph import plan
from xtreme_stilts.models import Model


@pytest.fixture
def tiny(cache_dir):
    """A config of one mixture, "both", that trains in seconds."""
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.cache_dir = "tiny", "mini", cache_dir
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 1, 2, 32
    tree.model.dropout = 0.0  # its random numbers take most of the time to compile
    recipe = Recipe(steps=6, rows=4, length=64, accumulate=2, log_every=1, eval_every=3, eval_rows=12)
    tree.recipes.intermediate = tree.recipes.mlm = dataclasses.asdict(recipe)
    tree.evaluation.length, tree.evaluation.rows, tree.evaluation.max_examples = 128, 8, 24
    tree.intermediates = {"both": ("both",)}
    tree.retrieval, tree.languages = ("mini_tatoeba",), {"mini_tatoeba": ("de",)}
    return tree


def prepared(tree, workdir):
    """The setting and the first phase."""
    parsed = config_lib.parse(tree)
    setting = study.prepare(parsed, workdir=epath.Path(workdir))
    layout = plan(parsed, root=study.root_of(setting))
    study.check_fit(layout, setting=setting)
    return setting, layout.phases[0]


def logged(setting, phase):
    return [json.loads(line) for line in (setting.folder(phase) / "metrics.jsonl").read_text().splitlines()]


def heard(name="heard"):
    """The miniature's text in one language, as a family that has a validation set."""
    text = tasks.family("mini_text")
    fields = {"name": name, "head_name": name, "languages": ("en",), "train": "-", "validation": f"{name}.en"}
    return tasks.register_family(dataclasses.replace(text, **fields))


MIXED = {
    "tasks": ("mini_mnli", "mini_squad_v1"),
    "mlm": ("heard.en", "mini_text.de"),
    "mlm_rate": 0.5,
    "heads": "mixed",
    "loss_weights": {"mini_mnli": 2.0},
}


def test_a_study_with_language_modelling_beside_tasks_and_mixed_heads(tiny, tmp_path):
    heard()
    tiny.mixtures = {"both": MIXED}
    study.run(config_lib.parse(tiny), workdir=tmp_path)
    setting, phase = prepared(tiny, tmp_path)
    lines = logged(setting, phase)
    names = {"mini_mnli.en", "mini_squad_v1.en", "mlm"}
    trained = [line for line in lines if "loss" in line]
    assert len(trained) == 6
    for line in trained:
        assert set(line["task"].split("+")) <= names
        assert {f"loss/{name}" for name in line["task"].split("+")} == {
            name for name in line if name.startswith("loss/")
        }
    assert {name for line in trained for name in line["task"].split("+")} == names

    # Language modelling has a loss on its validation set, and no say in the choice of the best parameters.
    checks = [line for line in lines if "validation/selection" in line]
    assert [line["step"] for line in checks] == [3, 6]
    for line in checks:
        assert line["validation/heard.en/loss"] > 1
        squad = (line["validation/mini_squad_v1.en/f1"] + line["validation/mini_squad_v1.en/exact_match"]) / 2
        both = (line["validation/mini_mnli.en/accuracy"] + squad) / 2
        assert line["validation/selection"] == pytest.approx(both)
    # It has the share of the steps that is asked for, its languages by the smoothed number of their rows.
    heads = phase_lib.heads_of(phase, setting=setting)
    groups = phase_lib._groups(phase, setting=setting, heads=heads)
    rates = {group.name: group.rate for group in groups}
    assert rates["mlm"] == pytest.approx(rates["mini_mnli.en"] + rates["mini_squad_v1.en"])
    assert [group.loss_weight for group in groups] == [2.0, 1.0, 1.0]
    (text,) = (group.cache for group in groups if group.beside)
    english, german = text.parts
    assert english.rate / german.rate == pytest.approx((len(english.cache) / len(german.cache)) ** 0.3)


def test_a_phase_cut_off_ends_as_the_whole_one(tiny, tmp_path, monkeypatch):
    heard()
    tiny.mixtures = {"both": MIXED | {"sampling": "scheduled", "schedule": {
        "mini_mnli": ((0.0, 1.0), (1.0, 0.0)), "mini_squad_v1": ((0.0, 0.0), (1.0, 1.0)),
    }}}  # fmt: skip
    found = {}
    for name, cut in (("whole", None), ("cut", 3)):
        setting, phase = prepared(tiny, tmp_path / name)
        if cut:
            with monkeypatch.context() as patch:
                patch.setattr(stopping, "requested", lambda step=None: step == 3)
                with pytest.raises(Stopped):
                    phase_lib.train(phase, setting=setting, title="")
        phase_lib.train(phase, setting=setting, title="")
        model = Model(setting.encoder, phase_lib.heads_of(phase, setting=setting).by_name)
        found[name] = phase_lib.read_best(phase, setting=setting, model=model, items=("encoder", "heads"))
        found[name, "log"] = {line["step"]: line.get("task") for line in logged(setting, phase) if "loss" in line}
    jax.tree.map(np.testing.assert_array_equal, found["whole"], found["cut"])
    assert found["whole", "log"] == found["cut", "log"]


def test_a_mixture_alone_is_validated_by_its_loss(tiny, tmp_path):
    heard()
    tiny.mixtures = {"both": ("heard.en",)}
    setting, phase = prepared(tiny, tmp_path)
    heads = phase_lib.heads_of(phase, setting=setting)
    model = Model(setting.encoder, heads.by_name)
    validate = phase_lib._validator(phase, recipe=phase.recipe, setting=setting, model=model, heads=heads)
    values = validate(model.init(jax.random.key(0)))
    assert values["selection"] == -values["heard.en/loss"] < -1


def test_anli_plus_is_one_head_and_one_task_a_step():
    setting = types.SimpleNamespace(study=config_lib.StudyConfig())
    mixture = tasks.mixture("anli_plus")
    phase = types.SimpleNamespace(task_names=mixture.tasks, mixture=mixture.name)
    heads = phase_lib.heads_of(phase, setting=setting)
    assert list(heads.by_name) == ["head"]
    assert heads.by_name["head"].num_labels == 3
    assert heads.of_task == dict.fromkeys(mixture.tasks, "head")
    assert (mixture.sampling, mixture.heads, mixture.loss_weights) == ("proportional", "one", {})


def test_budgets_cut_the_data_of_each_language(tiny, tmp_path):
    budgets = {"mini_text.de": 30, "mini_text.sw": 10}
    group = MixtureConfig(tasks=("mini_text.en", "mini_text.de", "mini_text.sw"), budgets=budgets)
    tiny.mixtures = {"both": group}
    setting, phase = prepared(tiny, tmp_path)
    (group,) = phase_lib._groups(phase, setting=setting, heads=phase_lib.heads_of(phase, setting=setting))
    counts = [part.cache.num_examples for part in group.cache.parts]
    assert counts[1:] == [30, 10]
    assert counts[0] > 100
    assert [part.rate for part in group.cache.parts] == [len(part.cache) for part in group.cache.parts]


def test_epochs_count_capped_rows_and_leave_the_steps_of_language_modelling_out():
    def cache(*sizes):
        parts = [types.SimpleNamespace(cache=range(size)) for size in sizes]
        return types.SimpleNamespace(parts=parts, num_choices=1)

    recipe = Recipe(epochs=2.0, rows=4, accumulate=5, pack=False)
    caches = [cache(1000), cache(90)]
    assert phase_lib._steps(recipe, caches) == 109  # 2 * 1090 / 20
    assert phase_lib._steps(recipe, caches, cap=100) == 19  # 2 * 190 / 20
    assert phase_lib._steps(recipe, caches, cap=100, mlm_rate=0.5) == 38
    assert phase_lib._steps(recipe, [cache(1000, 90)], cap=100) == 19


def test_mixed_heads_need_more_than_one_micro_batch(tiny, tmp_path):
    tiny.mixtures = {"both": {"tasks": ("mini_mnli", "mini_squad_v1"), "heads": "mixed"}}
    said = "'both': heads is 'mixed', but config.recipes.intermediate"
    for fields, sentence in (
        ({"accumulate": 1}, " makes one micro-batch of a step; set accumulate"),
        ({"tokens_per_step": 256}, " makes one micro-batch of a step"),  # 4 rows of 64 tokens
        ({"rows": 0, "tokens_per_step": 512}, ".rows is 0; a step mixes as many tasks as it has micro-batches"),
    ):
        tiny.by_task = {"both": fields}
        with pytest.raises(UserError) as caught:
            prepared(tiny, tmp_path)
        assert said + sentence in str(caught.value)
    tiny.by_task = {"both": {"accumulate": 1, "tokens_per_step": 512}}
    prepared(tiny, tmp_path)
