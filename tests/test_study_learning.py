"""What a study learns: zero-shot transfer above guessing from true labels, none from shuffled ones; real rows."""

from __future__ import annotations

import pandas as pd
import pytest

from xtreme_stilts import config as config_lib
from xtreme_stilts import study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def accuracy(folder, *, shuffled: bool) -> pd.Series:
    """XNLI accuracy by language after a short MLM phase, which both runs share."""
    tree = config_lib.default()
    tree.tokenizer, tree.model.preset, tree.model.dropout = "mini", "mini", 0.0
    tree.cache_dir = str(folder / "cache")
    tree.pretrain, tree.targets = ("mini_tlm",), ("mini_xnli",)
    mlm, target = tree.recipes.mlm, tree.recipes.target
    mlm.steps, mlm.rows, mlm.length, mlm.learning_rate, mlm.mask_rate, mlm.beta2 = 700, 16, 64, 5e-3, 0.45, 0.98
    target.steps, target.rows, target.length, target.learning_rate = 200, 8, 128, 1e-3
    target.shuffle_labels = shuffled
    tree.evaluation.length = 128
    study.run(config_lib.parse(tree), workdir=folder)
    frame = pd.read_csv(folder / "results.csv")
    return frame[(frame.target == "mini_xnli") & (frame.metric == "accuracy")].set_index("language").value


@pytest.mark.slow
def test_shuffled_labels_bring_xnli_back_to_chance(folder):
    true, shuffled = accuracy(folder, shuffled=False), accuracy(folder, shuffled=True)
    others = [language for language in true.index if language != "en"]
    # 600 examples a language, so 3,600 in the zero-shot mean: two standard errors of guessing are 1.6 points.
    assert true["en"] > 55
    assert true[others].mean() > 37
    assert abs(shuffled["en"] - 100 / 3) < 6
    assert abs(shuffled[others].mean() - 100 / 3) < 3


@pytest.mark.slow
def test_real_rows_go_the_whole_way(shared_data, tmp_path):
    tree = config_lib.default()
    tree.data_dir, tree.tokenizer = str(shared_data / "tfds"), str(shared_data / "tokenizer" / "xlmr")
    tree.model.preset, tree.model.width, tree.model.heads, tree.model.mlp = "mini", 8, 2, 16
    tree.targets, tree.retrieval = ("udpos", "tydiqa", "panx"), ("tatoeba",)
    tree.languages = {"udpos": ("en", "th"), "tydiqa": ("ko",), "panx": ("de",), "tatoeba": ("ka",)}
    for recipe in tree.recipes.values():
        recipe.steps, recipe.rows, recipe.length, recipe.eval_rows = 2, 4, 384, 20
    tree.evaluation.rows, tree.evaluation.length, tree.evaluation.max_examples = 4, 384, 30
    study.run(config_lib.parse(tree), workdir=tmp_path)
    frame = pd.read_csv(tmp_path / "results.csv")
    scored = frame[frame.metric != "chance"].groupby(["target", "language"]).examples.first()
    assert scored.to_dict() == {
        ("udpos", "en"): 30,
        ("udpos", "th"): 30,
        ("tydiqa", "ko"): 30,
        ("panx", "de"): 30,
        ("tatoeba", "ka"): 30,
    }
