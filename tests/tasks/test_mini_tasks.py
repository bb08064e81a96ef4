"""The miniature families: the real definitions over generated rows."""

import pytest

pytest.importorskip("seqio")

from xtreme_stilts import mini, tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import mini as mini_tasks
from xtreme_stilts.tasks import seqio_tasks


def test_the_languages_are_the_miniatures():
    assert sorted(mini_tasks.LANGUAGES) == sorted(mini.LANGUAGES)
    assert {f.name for f in tasks.suite("mini")} == {f"mini_{f.name}" for f in tasks.suite("xtreme")}
    for family in tasks.suite("mini"):
        expected = set(mini.LANGUAGES) - ({"en"} if family.kind == "embedding" else set())
        if family.metric == "mlqa":  # which has rules for seven languages, four of them ours
            expected &= set(tasks.family("mlqa").languages)
        assert set(family.languages) == expected


def test_the_real_families_definitions_are_kept():
    for family in tasks.suite("mini"):
        real = tasks.family(family.name.removeprefix("mini_"))
        for field in ("kind", "labels", "metric", "group", "head_name", "max_length", "convert", "keep"):
            assert getattr(family, field) == getattr(real, field), (family.name, field)
        assert family.train == (f"mini_{real.train}" if real.train else None)


def test_training_is_in_english_only():
    assert tasks.task("mini_pawsx.en").splits == ("train", "validation", "test")
    with pytest.raises(UserError, match="has no split 'train'"):
        tasks.source_split("mini_pawsx.de", "train")


@pytest.mark.parametrize("family", mini_tasks.FAMILIES, ids=lambda family: family.name)
def test_every_miniature_family_gives_examples(family, check_examples):
    language = family.languages[-1]
    split = "test" if "test" in family.splits else "validation"
    check_examples(f"{family.name}.{language}", split)


def test_languages_are_parallel_and_read_by_the_same_conversion():
    english, german = (next(seqio_tasks.examples(f"mini_xnli.{code}", "validation")) for code in ("en", "de"))
    assert english["targets"] == german["targets"]
    assert english["inputs"] != german["inputs"]


def test_both_sides_of_the_miniature_mining_task():
    own = {example["id"]: example for example in seqio_tasks.examples("mini_bucc2018.sw", "validation")}
    english = {example["id"] for example in seqio_tasks.examples("mini_bucc2018.sw_en", "validation")}
    gold = [target for example in own.values() for target in example["targets"]]
    assert gold
    assert set(gold) < english
    assert len(gold) < len(own)


def test_the_version_names_the_data_set_and_the_generator():
    name, version = tasks.source_version("mini_xquad.zh").split(":")
    assert name == "mini/xquad/zh"
    assert len(version) == 16
    assert tasks.source_version("mini_xquad.de") == f"mini/xquad/de:{version}"
