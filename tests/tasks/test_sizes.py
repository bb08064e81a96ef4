"""Published sizes of data sets: the table, how splits are looked up in it, and real data sets that say the same."""

from __future__ import annotations

import csv
import importlib.resources

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import registry, sizes
from xtreme_stilts.tasks.sources import Rows

# Data sets whose copies among the real data lack rows or have others, as their README says.
INCOMPLETE = {"snli", "anli_r3", "qqp", "pawsx"}


@pytest.fixture
def restored():
    before = tasks.settings()
    yield
    tasks.configure(data_dir=before.data_dir, download=before.download, text_dir=before.text_dir)


def table():
    with (
        importlib.resources.files("xtreme_stilts.tasks").joinpath("published_sizes.csv").open(encoding="utf-8") as file
    ):
        return list(csv.reader(file))


def own_splits(family):
    """What the data set of a family calls its splits, in any language."""
    spelled = [name.partition("[")[0] for split in family.splits.values() for name in split.split("+")]
    return {
        name.format(language=language, side=side)
        for name in spelled
        for language in family.languages
        for side in ("", "_en")
    }


def test_every_line_is_a_count_of_a_known_split_with_a_source():
    header, *lines = table()
    assert header == ["name", "split", "examples", "source"]
    assert len({(name, split) for name, split, _, _ in lines}) == len(lines) > 200
    for name, split, examples, source in lines:
        assert int(examples) > 0 and examples == str(int(examples)), (name, split)
        assert source.startswith(("github.com/", "huggingface.co/")), (name, split)
        families = {family.name: family for family in tasks.families()}
        family = families.get(name) or tasks.task(name).family
        assert split in own_splits(family), (name, split)


def test_a_split_is_found_under_the_data_sets_own_name():
    assert sizes.published("mnli.en", "validation").rows == 9_815  # validation_matched
    assert sizes.published("mnli.en", "mismatched").rows == 9_832
    assert sizes.published("tydiqa.fi", "test").rows == 782  # validation-fi
    assert sizes.published("tatoeba.jv_en", "test") == sizes.published("tatoeba.jv", "test")  # two sides of 205 pairs
    assert sizes.published("tatoeba.jv", "test").rows == 205
    assert sizes.published("squad_translated.el", "train").rows == 79_946


def test_a_language_has_its_own_size_where_languages_differ_and_else_the_familys():
    assert sizes.published("pawsx.ko", "test").rows == 1_999
    assert sizes.published("pawsx.de", "test").rows == 2_000
    assert {sizes.published(name, "test").rows for name in tasks.family("xnli").tasks} == {5_010}
    assert "docs/catalog/xnli.md" in sizes.published("xnli.sw", "test").source


def test_parts_of_a_split_are_counted():
    assert sizes.published("xstorycloze.es", "train").rows == 288  # 80 % of 360
    assert sizes.published("xstorycloze.es", "validation").rows == 72
    assert sizes.published("jnlpba.en", "train").rows == 16_691  # 90 % of 18,546 is 16,691.4
    assert sizes.published("jnlpba.en", "validation").rows == 1_855


def test_what_nobody_published_is_none():
    assert sizes.published("ccg.en", "train") is None
    assert sizes.published("mini_xnli.en", "test") is None
    with pytest.raises(UserError, match="did you mean 'train'"):
        sizes.published("mnli.en", "trian")


def test_a_users_own_rows_under_a_published_name_have_no_published_size(monkeypatch):
    assert sizes.published("cola.en", "train").rows == 8_551
    rows = Rows(read=lambda language, split: iter(()), version=lambda language: "1")
    own = tasks.Family(name="cola", kind="classification", metric="matthews", labels=("no", "yes"), source=rows)
    monkeypatch.setitem(registry._families, "cola", own)
    assert sizes.published("cola.en", "train") is None


def test_the_papers_grid_has_sizes_without_any_data():
    trained = {*tasks.mixture("stilts_open").tasks, "pawsx.en", "panx.en", "copa.en", "siqa.en"}
    trained |= {family.train for name in ("glue", "superglue") for family in tasks.suite(name)}
    assert [name for name in sorted(trained) if sizes.published(name, "train") is None] == []
    for family in map(tasks.family, ("xnli", "pawsx", "panx", "xquad", "mlqa", "tydiqa", "tatoeba", "xcopa")):
        for language in family.languages:
            assert sizes.published(f"{family.name}.{language}", "test") is not None, (family.name, language)


def test_prepared_data_sets_have_the_published_sizes(shared_data, restored):
    tasks.configure(data_dir=str(shared_data / "tfds"))
    compared = 0
    for family in tasks.families():
        if family.name in INCOMPLETE:
            continue
        for name in family.tasks:
            for split in tasks.task(name).splits:
                here, published = sizes.rows(name, split), sizes.published(name, split)
                if here is not None and published is not None:
                    assert here == published.rows, (name, split)
                    compared += 1
    assert compared > 100
