"""The plan that --dry_run prints: what is shared, what takes longest, what it costs."""

from __future__ import annotations

import pytest

from xtreme_stilts import config as config_lib
from xtreme_stilts import planner
from xtreme_stilts.errors import UserError
from xtreme_stilts.graph import Root, plan


@pytest.fixture
def tree():
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.model.preset = "grid", "mini", "mini"
    for recipe in tree.recipes.values():
        recipe.steps, recipe.rows, recipe.length = 10, 4, 64
    tree.pretrain = ("mini_tlm",)
    tree.intermediates = {"none": (), "mnli": ("mini_mnli",)}
    tree.targets, tree.retrieval, tree.seeds = ("mini_xquad", "mini_panx"), ("mini_tatoeba",), (0, 1)
    tree.evaluation.rows, tree.evaluation.length = 8, 128
    return tree


@pytest.fixture
def layout(tree):
    root = Root(encoder={}, weights="", tokenizer="", head_pooling="jiant", seed=0)
    return plan(config_lib.parse(tree), root=root)


def test_sharing(layout):
    # pretrain 1; mnli 2 seeds; targets 2 x 2 rows x 2 seeds; retrieval: none once for both seeds, mnli twice.
    assert len(layout.phases) == 1 + 2 + 8 + 3
    assert len(layout.cells) == 12
    # A cell of row none: pretrain and itself; of row mnli: mnli, too.
    assert len(planner.without_sharing(layout)) == 6 * 2 + 6 * 3


def test_critical_path(layout):
    hours = {"mini_tlm": 5.0, "mini_mnli.en": 1.0, "mini_squad_v1.en": 2.0, "mini_panx.en": 2.5, "mini_tatoeba": 0.5}
    path = planner.critical_path(layout, hours=lambda phase: hours[phase.mixture])
    assert [phase.mixture for phase in path] == ["mini_tlm", "mini_mnli.en", "mini_panx.en"]


def test_the_plan_is_printed_with_costs_of_any_chips(tree, tmp_path, capsys):
    tree.languages = {"mini_xquad": ("en",), "mini_panx": ("en",), "mini_tatoeba": ("de",)}
    tree.pretrain = ()  # texts in seven languages take long to sample
    planner.show(config_lib.parse(tree), workdir=tmp_path / "study", topologies=("v5e:1x1", "h200:1"))
    printed = capsys.readouterr().out
    assert "study 'grid': 13 phases for 12 cells of the table (18 without sharing)" in printed
    line = next(line for line in printed.splitlines() if line.startswith("target mini_panx.en"))
    assert "0 1" in line and "0 of 2" in line and line.rstrip().endswith("mini_panx")
    for chip in ("v5e:1x1", "h200:1"):
        totals = next(line for line in printed.splitlines() if line.startswith(f"{chip}: "))
        hours, longest, naive = (float(totals.partition(word)[2].split()[0]) for word in (": ", "path ", "sharing "))
        assert 0 < longest < hours < naive
    assert not (tmp_path / "study").exists()


def test_a_mesh_that_does_not_go_with_the_chips_is_a_sentence(tree, tmp_path):
    tree.mesh.fsdp, tree.mesh.data = 3, 1
    with pytest.raises(UserError, match=r"^h200:1: config\.mesh"):
        planner.show(config_lib.parse(tree), workdir=tmp_path, topologies=("h200:1",))
    with pytest.raises(UserError, match="no chip 'v5'; did you mean 'v5"):
        planner.show(config_lib.parse(tree), workdir=tmp_path, topologies=("v5:2x4",))
