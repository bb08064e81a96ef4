"""Every task over a TensorFlow data set goes the whole way: rows in the official features, text schema, tokenisation,
a training step, predictions, its metric."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
import pytest

pytest.importorskip("seqio")

from tests.tasks import made_up
from xtreme_stilts import config as config_lib
from xtreme_stilts import study, tasks
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.tasks.sources import Tfds

FAMILIES = [family for family in tasks.families() if isinstance(family.source, Tfds) and family.kind != "mlm"]
EVALUATED = [family for family in FAMILIES if {"validation", "test"} & set(family.splits)]
TRANSLATED = [family for family in FAMILIES if family not in EVALUATED]


def _languages(family: tasks.Family) -> tuple[str, ...]:
    """The first two, English among them where there is English."""
    first = ("en",) if "en" in family.languages else ()
    return (*first, *(code for code in family.languages if code != "en"))[:2]


@pytest.fixture(scope="module")
def results(quick_compile, tmp_path_factory) -> Iterator[pd.DataFrame]:
    """results.csv of one study with every family as a target, and one intermediate mixture of all translated data."""
    data_dir, workdir = tmp_path_factory.mktemp("tfds"), tmp_path_factory.mktemp("study")
    wanted: dict[str, set[str]] = {}
    for family in FAMILIES:
        for name, splits in made_up.sources_of(family, _languages(family)).items():
            wanted.setdefault(name, set()).update(splits)
    for name, splits in wanted.items():
        made_up.prepare(name, splits, data_dir=data_dir)

    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.data_dir = "every_task", "mini", str(data_dir)
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 1, 2, 32
    tree.model.dropout = 0.0  # its random numbers take most of the time to compile
    for recipe in tree.recipes.values():
        recipe.steps, recipe.rows, recipe.length, recipe.log_every = 1, 2, 512, 1
    tree.evaluation.length, tree.evaluation.rows = 512, 2
    translated = [f"{family.name}.{code}" for family in TRANSLATED for code in _languages(family)]
    tree.mixtures = {"translated": {"tasks": tuple(translated), "budget": 3 * len(translated)}}
    tree.intermediates = {"translated": ("translated",)}
    tree.targets = tuple(family.name for family in EVALUATED if family.train)
    tree.retrieval = tuple(family.name for family in EVALUATED if family.kind == "embedding")
    tree.languages = {family.name: _languages(family) for family in EVALUATED}
    study.run(config_lib.parse(tree), workdir=workdir)
    yield pd.read_csv(workdir / "results.csv")
    tasks.configure()


def test_nothing_is_left_out():
    """Those the paper and the benchmarks are made of."""
    names = {family.name for family in FAMILIES}
    assert names >= {family.name for suite in tasks.suites() if "mini" not in suite for family in tasks.suite(suite)}
    assert {"mnli", "anli_r1", "anli_r2", "anli_r3", "ccg", "commonsenseqa", "siqa", "copa", "xcopa"} <= names
    assert {family.name for family in TRANSLATED} == {"xnli_translated", "pawsx_translated", "squad_translated"}


@pytest.mark.parametrize("name", [family.name for family in EVALUATED])
def test_a_family_is_trained_and_scored(results, name):
    family = tasks.family(name)
    found = results[results.target == name]
    assert set(found.language) == set(_languages(family))
    assert found.value.map(math.isfinite).all()
    for _, scores in found.groupby("language"):
        assert set(metrics.primary(family.metric)) <= set(scores.metric)
        assert "chance" in set(scores.metric)
        if family.kind in ("classification", "choice", "tagging", "span", "regression"):
            assert set(scores.examples) <= {made_up.ROWS, made_up.ROWS * 9 // 10, made_up.ROWS // 10}
