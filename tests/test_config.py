import ml_collections
import pytest

from xtreme_stilts import config
from xtreme_stilts.errors import UserError


def test_default_is_valid_and_survives_a_round_trip():
    parsed = config.parse(config.default())
    assert parsed == config.StudyConfig()
    assert config.parse(config.to_dict(parsed)) == parsed


def test_all_problems_are_reported_at_once():
    tree = config.default().to_dict()
    tree["model"]["dtpe"] = "x"
    tree["recipes"]["target"]["stepz"] = 3
    tree["seeds"] = 3
    tree["recipes"]["mlm"]["steps"] = 1.5
    with pytest.raises(UserError) as caught:
        config.parse(tree)
    lines = str(caught.value).splitlines()
    assert "config.model.dtpe is not a field; did you mean 'dtype'?" in lines
    assert "config.recipes.target.stepz is not a field; did you mean 'steps'?" in lines
    assert any(line.startswith("config.seeds is 3; it must be a tuple of int") for line in lines)
    assert any(line.startswith("config.recipes.mlm.steps is 1.5, a float") for line in lines)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("model.dtype", "bflot16", "config.model.dtype is 'bflot16'; did you mean 'bfloat16'"),
        ("model.dropout", 1.5, "config.model.dropout is 1.5"),
        ("seeds", (1, 1), "config.seeds is (1, 1)"),
        ("seeds", (), "config.seeds is ()"),
        ("intermediates", {}, "config.intermediates is empty"),
        ("recipes.target.rows", 0, "config.recipes.target.rows is 0; it must be at least 1"),
        ("recipes.target.learning_rate", -1.0, "config.recipes.target.learning_rate is -1.0"),
        ("recipes.target.warmup", 2.0, "config.recipes.target.warmup is 2.0"),
        ("recipes.target.restarts", -1, "config.recipes.target.restarts is -1; it must not be negative"),
        ("recipes.target.max_length", 999, "config.recipes.target.max_length is 999; a row holds only"),
        ("mesh.data", 0, "config.mesh is"),
        (
            "by_task",
            {"xnli": {"epoch": 1.0}},
            "config.by_task.xnli.epoch is not a field of a recipe; did you mean 'epochs'?",
        ),
        ("mixtures", {"both": {"tasks": ("a",), "temperature": 0.0}}, "config.mixtures.both.temperature is 0.0"),
    ],
)
def test_bad_values(field, value, sentence):
    tree = ml_collections.ConfigDict(config.default().to_dict(), type_safe=False)
    *groups, name = field.split(".")
    group = tree
    for each in groups:
        group = group[each]
    group[name] = value
    with pytest.raises(UserError) as caught:
        config.parse(tree)
    assert sentence in str(caught.value)


def test_recipe_of_a_mixture_has_its_changes():
    tree = config.default()
    tree.recipes.target.steps = 7
    tree.by_task = {"squad_v1": {"length": 384, "learning_rate": 3e-5}}
    parsed = config.parse(tree)
    changed = parsed.recipe("target", mixture="squad_v1.en")
    assert (changed.steps, changed.length, changed.learning_rate) == (7, 384, 3e-5)
    assert parsed.recipe("target", mixture="panx.en") == parsed.recipes["target"]


def test_a_whole_number_is_a_float_but_not_the_other_way_round():
    tree = config.default().to_dict()
    tree["recipes"]["target"]["learning_rate"] = 1
    assert config.parse(tree).recipes["target"].learning_rate == 1.0
    tree["seeds"] = (True,)
    with pytest.raises(UserError, match=r"config\.seeds"):
        config.parse(tree)


def test_the_size_of_a_step():
    tree = config.default()
    tree.recipes.target.rows = 0
    with pytest.raises(UserError, match=r"recipes.target.rows is 0; .* or 0 with config.recipes.target.tokens_per"):
        config.parse(tree)
    tree.recipes.target.tokens_per_step = 1000
    with pytest.raises(UserError, match=r"tokens_per_step is 1000; it must be a multiple .* = 1 x 256"):
        config.parse(tree)
    tree.recipes.target.tokens_per_step = 8192
    tree.by_task = {"xnli": {"length": 128}}
    config.parse(tree)
