"""The named recipes against the figures of their sources, and the argument of config files."""

from __future__ import annotations

import importlib.util
import itertools
import pathlib

import numpy as np
import pytest

from xtreme_stilts import config as config_lib
from xtreme_stilts import recipes
from xtreme_stilts.errors import UserError
from xtreme_stilts.training.optimizer import Schedule

ROOT = pathlib.Path(__file__).resolve().parents[1]


def named(apply, **options) -> config_lib.StudyConfig:
    tree = config_lib.default()
    apply(tree, **options)
    return config_lib.parse(tree)


# --------------------------------------------------------------------------------------------------
# From examples to rows


@pytest.mark.parametrize(
    ("task", "examples", "length", "multiple", "rows"),
    [
        ("mnli", 32, 256, 1, 5),  # 32 x 42 = 1,344 tokens, 5.25 rows
        ("mnli", 32, 256, 8, 8),
        ("mnli", 32, 128, 8, 8),  # 10.5 rows
        ("mnli", 64, 256, 1, 10),  # 10.5 rows, to the even number
        ("squad_v1", 32, 384, 8, 16),  # 6,336 tokens, 16.5 rows
        ("panx", 32, 256, 8, 8),  # 1.75 rows
        ("a task of one's own", 32, 256, 1, 5),
    ],
)
def test_rows_hold_the_examples(task, examples, length, multiple, rows):
    assert recipes.rows_of(task, examples=examples, length=length, multiple=multiple) == rows


@pytest.mark.parametrize("apply", [recipes.jiant_xstilts, recipes.xtreme_reference])
def test_steps_are_as_large_as_published_to_the_next_eight_rows(apply):
    exact, rounded = named(apply, multiple=1), named(apply)
    for task, changes in exact.by_task.items():
        rows, published = rounded.by_task[task]["rows"], changes["rows"]
        assert rows % 8 == 0
        assert abs(rows - published) <= 4.5 or (rows == 8 and published < 8), task


@pytest.mark.parametrize(("task", "split"), [("udpos.en", "train"), ("tydiqa.en", "train")])
def test_the_mean_lengths_are_those_of_the_data(shared_data, task, split):
    from xtreme_stilts import tasks
    from xtreme_stilts.data.cache import read_seqio
    from xtreme_stilts.data.features import Limits, Recipe, encode
    from xtreme_stilts.data.tokenizer import load_tokenizer

    tasks.configure(data_dir=str(shared_data / "tfds"))
    family = tasks.task(task).family
    encoded = encode(
        list(itertools.islice(read_seqio(task, split), 1000)),
        recipe=Recipe(kind=family.kind, labels=tuple(family.labels), limits=Limits(max_length=family.max_length)),
        tokenizer=load_tokenizer(shared_data / "tokenizer" / "xlmr"),
    )
    trained = (family.train or task).partition(".")[0]
    assert encoded.lengths.sum(1).mean() == pytest.approx(recipes.TOKENS[trained], rel=0.1)


# --------------------------------------------------------------------------------------------------
# jiant


def test_jiants_figures():
    study = named(recipes.jiant_xstilts)
    for kind in recipes.TRAINED:
        recipe = study.recipes[kind]
        assert (recipe.learning_rate, recipe.warmup, recipe.eval_every) == (1e-5, 0.1, 1000)
        assert (recipe.eval_rows, recipe.patience, recipe.weight_decay, recipe.clip_norm) == (500, 30, 0.01, 1.0)
    # subscripts/d_write_configs.sh; XNLI's training set is MNLI, XQuAD's and MLQA's SQuAD v1.1.
    epochs = {"mnli": 2, "pawsx": 5, "udpos": 10, "panx": 10, "squad_v1": 2, "tydiqa": 2}
    found = {task: study.recipe("target", mixture=f"{task}.en").epochs for task in epochs}
    assert found == epochs
    lengths = {task: study.recipe("target", mixture=f"{task}.en").length for task in ("squad_v1", "tydiqa", "mnli")}
    assert lengths == {"squad_v1": 384, "tydiqa": 384, "mnli": 256}


def test_a_task_is_trained_alike_as_intermediate_and_as_target():
    for apply in (recipes.jiant_xstilts, recipes.xtreme_reference, recipes.miniature):
        study = named(apply)
        for task in (*study.by_task, "cola"):
            first, second = (study.recipe(kind, mixture=task) for kind in recipes.TRAINED)
            assert first == second


def test_what_is_set_afterwards_holds():
    tree = config_lib.default()
    recipes.jiant_xstilts(tree)
    tree.recipes.target.learning_rate, tree.by_task.mnli.epochs = 3e-5, 1.0
    recipe = config_lib.parse(tree).recipe("target", mixture="mnli.en")
    assert (recipe.learning_rate, recipe.epochs) == (3e-5, 1.0)


def test_the_config_of_xtreme_trains_as_it_says():
    spec = importlib.util.spec_from_file_location("xtreme_config", ROOT / "configs" / "xtreme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    study = config_lib.parse(module.get_config("large"))
    expected = {  # rows, length, epochs
        "mnli": (8, 256, 2.0),
        "pawsx": (8, 256, 5.0),
        "udpos": (8, 256, 10.0),
        "panx": (8, 256, 10.0),
        "squad_v1": (8, 384, 2.0),
        "tydiqa": (8, 384, 2.0),
    }
    for task, (rows, length, epochs) in expected.items():
        recipe = study.recipe("target", mixture=f"{task}.en")
        assert (recipe.rows, recipe.length, recipe.epochs, recipe.steps) == (rows, length, epochs, 0), task
    hellaswag = study.recipe("intermediate", mixture="hellaswag.en")
    assert (hellaswag.length, hellaswag.max_length, hellaswag.epochs) == (1024, 256, 7.0)


# --------------------------------------------------------------------------------------------------
# XTREME


@pytest.mark.parametrize(("size", "rate"), [("large", 3e-5), ("base", 2e-5), ("mbert", 2e-5)])
def test_xtremes_figures(size, rate):
    study = named(recipes.xtreme_reference, size=size)
    recipe = {task: study.recipe("target", mixture=f"{task}.en") for task in ("mnli", "pawsx", "udpos", "squad_v1")}
    assert {task: found.epochs for task, found in recipe.items()} == {"mnli": 5, "pawsx": 5, "udpos": 10, "squad_v1": 3}
    assert recipe["mnli"].learning_rate == rate
    assert recipe["pawsx"].learning_rate == recipe["udpos"].learning_rate == 2e-5
    assert recipe["squad_v1"].learning_rate == 3e-5
    assert [recipe[task].weight_decay for task in recipe] == [0.0, 0.0, 0.0, 1e-4]
    assert recipe["mnli"].max_length == 128 and recipe["squad_v1"].length == 384
    assert study.model.head_pooling == "cls"


@pytest.mark.parametrize(("task", "windows"), [("squad_v1", 90_400), ("tydiqa", 3_900)])
def test_xtremes_warm_up_is_the_one_of_500_steps(task, windows):
    recipe = named(recipes.xtreme_reference).recipe("target", mixture=f"{task}.en")
    steps = 3 * windows // 32
    ours = Schedule.of(recipe, steps=steps)
    for step in np.linspace(0, steps - 1, 7).astype(int):
        # Hugging Face's get_linear_schedule_with_warmup(500, steps).
        share = step / 500 if step < 500 else (steps - step) / (steps - 500)
        assert float(ours(np.int32(step))) == pytest.approx(3e-5 * share, rel=0.01, abs=1e-9)


# --------------------------------------------------------------------------------------------------
# Ours


def test_rows_that_fit_keep_the_size_of_a_step():
    before, tree = named(recipes.jiant_xstilts), config_lib.default()
    recipes.jiant_xstilts(tree)
    recipes.rows_that_fit(tree)
    after = config_lib.parse(tree)
    for task in (*before.by_task, "cola"):
        was, now = (study.recipe("intermediate", mixture=task) for study in (before, after))
        assert now.rows == 0 and now.tokens_per_step == was.rows * was.length, task


# --------------------------------------------------------------------------------------------------
# Arguments


def read(arg):
    options = {"seeds": 3, "suite": ("xtreme", "glue")}
    return vars(recipes.arguments(arg, mini=options, real={"seeds": 5, "model": ("large", "base")}))


@pytest.mark.parametrize(
    ("arg", "found"),
    [
        (None, {"form": "mini", "seeds": 3, "suite": "xtreme"}),
        ("", {"form": "mini", "seeds": 3, "suite": "xtreme"}),
        ("mini", {"form": "mini", "seeds": 3, "suite": "xtreme"}),
        ("seeds=1", {"form": "mini", "seeds": 1, "suite": "xtreme"}),
        ("mini,suite=glue,seeds=2", {"form": "mini", "seeds": 2, "suite": "glue"}),
        ("real,model=base", {"form": "real", "seeds": 5, "model": "base"}),
    ],
)
def test_arguments(arg, found):
    assert read(arg) == found


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        ("reel", "there is no form 'reel'; did you mean 'real'?"),
        ("mini,seed=1", "mini has no option 'seed'; did you mean 'seeds'?"),
        ("real,suite=glue", "real has no option 'suite'"),
        ("mini,suite=xtrem", "suite is 'xtrem'; did you mean 'xtreme'?"),
        ("mini,seeds=two", "seeds is 'two'; it must be a whole number, such as 3"),
        ("mini,seeds=-1", "seeds is '-1'; it must be a whole number"),
        ("mini,seeds", "seeds is ''; it must be a whole number"),
        ("mini,", "mini has no option ''; "),
    ],
)
def test_a_bad_argument_is_one_sentence(arg, said):
    with pytest.raises(UserError) as caught:
        read(arg)
    assert str(caught.value).startswith(f"config argument {arg!r}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
