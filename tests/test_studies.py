"""The config files of the five studies: each is read, checked and planned; numbers of phases are counted by hand."""

from __future__ import annotations

import importlib.util
import pathlib

import jax
import pandas as pd
import pytest
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import study as study_lib
from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.graph import Root, plan
from xtreme_stilts.preflight.work import lay_out

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "configs" / "studies"
ROOT = Root(encoder={"width": 4}, weights="", tokenizer="t", head_pooling="jiant", seed=0)


def tree(name, arg=None):
    spec = importlib.util.spec_from_file_location(f"study_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def planned(name, arg):
    study = config_lib.parse(tree(name, arg))
    study_lib.register(study)
    return plan(study, root=ROOT)


def alone(layout) -> int:
    """Phases if every cell were run by itself."""
    return sum(cell.phase.path.count(">") + 1 for cell in layout.cells)


def test_there_is_a_test_for_every_file():
    assert {path.stem for path in FOLDER.glob("*.py")} == {name for name, *_ in COUNTS}


# A row of n targets (those trained on one set counted once), r retrieval families and i intermediate phases takes
# i + n + r phases for each seed. MNLI and SQuAD 1.1 as intermediate tasks are the phases of the row without one that
# XNLI and XQuAD are read from. That row's retrieval is the same for all seeds, and so is pretraining.
COUNTS = [
    # Ten rows, nine intermediate phases, six sets to train on for seven targets: 9 + 10 x (6 + 2) - 2 = 87 a seed.
    ("paper", "mini", 1 + 3 * 87 - 2 * 2, 3 * 9 * (2 + 9 * 3)),
    ("paper", "mini,seeds=1", 1 + 87, 9 * (2 + 9 * 3)),
    # 1 + 9 + 1 + 9 + 2 = 22 rows: 21 + 22 x 8 - 2 = 195.
    ("paper", "real,seeds=1", 195, 9 * (1 + 21 * 2)),
    ("paper", "real", 3 * 195 - 2 * 2, 3 * 9 * (1 + 21 * 2)),
    # 20 rows: 19 + 20 x 8 - 2 = 177.
    ("paper", "real,ccg=no,seeds=1", 177, 9 * (1 + 19 * 2)),
    # Three rows, six targets: 2 + 3 x (6 + 2) = 26.
    ("multilingual_vs_english", "mini", 1 + 3 * 26 - 2 * 2, 3 * 8 * (2 + 2 * 3)),
    ("multilingual_vs_english", "mini,suite=glue", 1 + 3 * (2 + 3 * 2), 3 * 2 * (2 + 2 * 3)),
    # Five rows; XTREME has six sets for its seven targets: 4 + 5 x (6 + 2) = 44. GLUE has eight and no retrieval.
    ("multilingual_vs_english", "real", 3 * 44 - 2 * 2, 3 * 9 * (1 + 4 * 2)),
    ("multilingual_vs_english", "real,suite=glue", 3 * (4 + 5 * 8), 3 * 8 * (1 + 4 * 2)),
    # Four rows, four targets, one retrieval family: 3 + 4 x 5 - 2 = 21.
    ("model_scale", "mini", 1 + 3 * 21 - 2, 3 * 5 * (2 + 3 * 3)),
    ("model_scale", "real,model=xxl", 3 * 21 - 2, 3 * 5 * (1 + 3 * 2)),
    ("cross_domain", "mini", 1 + 3 * (2 + 3 * 2), 3 * 2 * (2 + 2 * 3)),
    ("cross_domain", "real", 3 * (3 + 4 * 3), 3 * 3 * (1 + 3 * 2)),
    ("reasoning", "mini", 1 + 3 * (4 + 5), 3 * (2 + 4 * 3)),
    ("reasoning", "real", 3 * (4 + 5 * 2), 3 * 2 * (1 + 4 * 2)),
]


@pytest.mark.parametrize(("name", "arg", "phases", "without_sharing"), COUNTS)
def test_phases_are_shared_where_they_can_be(name, arg, phases, without_sharing):
    layout = planned(name, arg)
    assert len(layout.phases) == phases
    assert alone(layout) == without_sharing


def test_the_miniature_of_the_paper_has_ten_starting_points_and_all_targets():
    study = config_lib.parse(tree("paper", "mini"))
    assert len(study.intermediates) == 10
    assert {*study.targets, *study.retrieval} == {family.name for family in tasks.suite("mini")}
    assert study.seeds == (0, 1, 2)


def test_the_papers_grid_has_all_nine_tasks_and_all_targets():
    study = config_lib.parse(tree("paper", "real"))
    nine = {"anli_plus", "mnli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa", "commonsenseqa"}
    assert set(study.intermediates) == (
        {"none", "multi", "mnli_translated", "squad_v1_translated"} | nine | {f"{name}_mlm" for name in nine}
    )
    assert {*study.targets, *study.retrieval} == {family.name for family in tasks.suite("xtreme")}


@pytest.mark.parametrize(
    ("name", "arg"),
    [
        # All but CCGbank, whose labels are known only to those who have it.
        ("paper", "real,ccg=no,seeds=1"),
        ("multilingual_vs_english", "real,suite=glue"),
        *[("model_scale", f"real,model={model}") for model in ("mbert", "base", "xl", "xxl")],
        ("cross_domain", "real"),
        ("reasoning", "real"),
        *[(name, "mini") for name in ("paper", "multilingual_vs_english", "cross_domain", "reasoning")],
        ("model_scale", "mini,model=narrow"),
    ],
)
def test_lengths_rows_and_heads_fit_without_any_data(name, arg, tmp_path):
    study = config_lib.parse(tree(name, arg))
    study_lib.register(study)
    work = lay_out(study, devices=jax.devices()[:1], workdir=epath.Path(tmp_path), cache_dir=tmp_path)
    assert work.plan.phases


def test_both_rows_of_a_pair_have_the_same_number_of_examples():
    for form in ("mini,budget=700", "real,budget=700"):
        study = config_lib.parse(tree("multilingual_vs_english", form))
        study_lib.register(study)
        for name in study.mixtures:
            mixture = tasks.mixture(name)
            assert sum(mixture.share(task).count for task in mixture.tasks) == 700
            assert (len(mixture.tasks) > 1) == name.endswith("_languages")


def test_translated_miniatures_share_their_ids():
    from xtreme_stilts.tasks import seqio_tasks

    ids = {
        language: [example["id"] for example in seqio_tasks.examples(f"mini_squad_translated.{language}", "train")]
        for language in ("en", "zh")
    }
    assert ids["en"] == ids["zh"]
    assert len(set(ids["en"])) == len(ids["en"]) == 2000


def test_translated_miniatures_are_other_rows_than_the_targets():
    from xtreme_stilts.tasks import seqio_tasks

    def rows(task):
        return {tuple(example["inputs"]) for example in seqio_tasks.examples(task, "train")}

    assert len(rows("mini_squad_translated.en") & rows("mini_tydiqa.en")) < 100


@pytest.mark.parametrize(
    ("name", "arg", "said"),
    [
        ("paper", "rela", "did you mean 'real'?"),
        ("model_scale", "real,model=xlarge", "model is 'xlarge'"),
        ("cross_domain", "mini,suite=glue", "mini has no option 'suite'"),
    ],
)
def test_a_bad_argument_is_a_sentence(name, arg, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        tree(name, arg)


@pytest.mark.slow
def test_the_smallest_study_goes_the_whole_way(tmp_path):
    small = tree("cross_domain", "mini,seeds=1")
    small.pretrain = ("mini_text.en",)  # a twentieth of the text to tokenise
    small.intermediates = {"none": (), "mnli": ("mini_mnli",)}
    small.model.width, small.model.layers, small.model.heads, small.model.mlp = 16, 1, 2, 16
    for recipe in (*small.recipes.values(), *small.by_task.values()):
        recipe.steps = 2
    for recipe in small.recipes.values():
        recipe.eval_rows = 2
    small.evaluation.max_examples = 2
    small.languages = {"mini_panx": ("tr",), "mini_pawsx": ("en",)}
    study_lib.run(config_lib.parse(small), workdir=tmp_path)
    frame = pd.read_csv(tmp_path / "results.csv")
    assert set(frame.intermediate) == {"none", "mnli"}
    assert set(frame.target) == {"mini_panx", "mini_pawsx"}
    assert set(frame.examples) == {2}
