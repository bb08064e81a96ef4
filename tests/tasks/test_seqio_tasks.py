"""The tasks as seqio sees them, on real rows where there are any."""

import json
import shutil
import time

import pytest

seqio = pytest.importorskip("seqio")

import tensorflow as tf  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402

from xtreme_stilts import tasks  # noqa: E402
from xtreme_stilts.errors import UserError  # noqa: E402
from xtreme_stilts.tasks import registry, seqio_tasks, sources, xtreme  # noqa: E402

# Tasks that have real rows, and a split of each that has some.
REAL = [
    ("xnli.sw", "test"), ("xnli.zh", "validation"), ("snli.en", "validation"), ("anli_r3.en", "validation"),
    ("qqp.en", "validation"), ("mrpc.en", "train"), ("cola.en", "test"), ("sst2.en", "validation"),
    ("stsb.en", "train"), ("rte.en", "validation"), ("boolq.en", "validation"), ("wic.en", "train"),
    ("pawsx.ko", "test"), ("udpos.ta", "test"), ("udpos.vi", "validation"), ("udpos.yo", "test"),
    ("udpos_ud.fr", "validation"), ("panx.ru", "test"), ("squad_v1.en", "train"),
    ("squad_v2.en", "validation"), ("xquad.th", "test"), ("mlqa.hi", "validation"), ("tydiqa.en", "train"),
    ("tydiqa.te", "test"), ("hellaswag.en", "validation"), ("cosmosqa.en", "validation"),
    ("tatoeba.jv", "test"), ("tatoeba.jv_en", "test"),
    ("text_of.udpos.ja", "train"), ("text_of.squad_v1.en", "validation"),
    ("text_of.panx.de", "train"), ("text_file.yo", "train"), ("parallel_file.ka", "validation"),
]  # fmt: skip


@pytest.fixture
def configured():
    """Whatever a test configures is forgotten afterwards."""
    yield tasks.configure
    tasks.configure()
    seqio.set_tfds_data_dir_override(None)


@pytest.fixture
def real(shared_data, configured):
    """The real rows, in place."""
    configured(
        data_dir=str(shared_data / "tfds"),
        text_dir=str(shared_data / "text"),
    )
    return shared_data


def test_registering_again_changes_nothing():
    seqio_tasks.register()
    before = {name: seqio.TaskRegistry.get(name) for name in seqio.TaskRegistry.names()}
    seqio_tasks.register()
    assert {name: seqio.TaskRegistry.get(name) for name in seqio.TaskRegistry.names()} == before


def test_every_task_and_mixture_is_in_seqios_registries():
    for family in tasks.families():
        for name in family.tasks:
            assert isinstance(seqio.get_mixture_or_task(name), seqio.Task)
    for mixture in tasks.mixtures():
        found = seqio.get_mixture_or_task(mixture.name)
        assert isinstance(found, seqio.Mixture)
        assert {task.name for task in found.tasks} == set(mixture.tasks)
    assert "tatoeba.fi_en" in seqio.TaskRegistry.names()


def test_splits_carry_our_names():
    assert set(seqio.get_mixture_or_task("udpos.de").splits) == {"train", "validation", "test"}
    assert set(seqio.get_mixture_or_task("udpos.kk").splits) == {"train", "test"}


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(("name", "split"), REAL, ids=lambda value: value)
def test_real_rows_become_examples(name, split, check_examples):
    check_examples(name, split)


@pytest.fixture(scope="module")
def own_data(tmp_path_factory):
    return tmp_path_factory.mktemp("own_data")


# Tasks over builders of our own, the folder of `raw/` with their release files, and their rows as its README says.
OWN = [
    ("siqa.en", "train", "", 33410), ("siqa.en", "validation", "", 1954),
    ("commonsenseqa_v1.en", "train", "commonsense_qa/v1.0", 7610),
    ("commonsenseqa_v1.en", "validation", "commonsense_qa/v1.0", 950),
    ("xcopa.ht", "validation", "", 100), ("xcopa.zh", "test", "", 500),
    ("sib200.en", "train", "", 701), ("sib200.sw", "test", "", 204), ("sib200.nqo_Nkoo", "validation", "", 99),
    ("bucc2018.zh", "validation", "bucc2018_from_sib200", 188), ("bucc2018.zh_en", "test", "bucc2018_from_sib200", 439),
]  # fmt: skip


@pytest.mark.parametrize(("name", "split", "folder", "rows"), OWN, ids=lambda value: str(value))
def test_release_files_are_prepared_when_first_needed(
    name, split, folder, rows, own_data, shared_data, configured, check_examples
):
    configured(data_dir=str(own_data), manual_dir=str(shared_data / "raw" / folder))
    check_examples(name, split)
    assert sum(1 for _ in seqio_tasks.dataset(name, split)) == rows


def test_a_data_set_without_its_files_says_what_is_needed(configured, tmp_path):
    configured(data_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"set manual_dir to a folder with its files .*CCGbank") as caught:
        next(seqio_tasks.examples("ccg.en", "train"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="CCGbank"):
        len(tasks.family("ccg").labels)


@pytest.mark.parametrize(
    ("name", "split", "counted"),
    [
        ("xnli.ur", "validation", "xnli:1.1.0"),
        ("udpos.ta", "test", "xtreme_pos/xtreme_pos_ta:1.0.0"),
        ("tydiqa.en", "train", "tydi_qa/goldp:3.0.0"),
        ("mlqa.zh", "validation", "mlqa/zh:1.0.0"),
        ("tatoeba.te_en", "test", "tatoeba/tatoeba_te:1.0.0"),
    ],
)
def test_no_real_row_is_lost(real, name, split, counted):
    counts = json.loads((real / "counts.json").read_text())[counted]
    expected = counts[tasks.source_split(name, split)]
    assert sum(1 for _ in seqio_tasks.dataset(name, split)) == expected
    assert seqio.get_mixture_or_task(name).num_input_examples(split) == expected


def test_class_numbers_are_read_as_the_builders_name_them(real):
    """The label lists are typed in; the prepared data sets say what each number means."""
    nli = {"e": "entailment", "n": "neutral", "c": "contradiction"}
    for name, feature, ours in (
        ("xnli:1.1.0", "label", xtreme.NLI_CLASSES),
        ("snli:1.1.0", "label", xtreme.NLI_CLASSES),
        ("anli/r1:0.1.0", "label", xtreme.NLI_CLASSES),
        *((f"glue/{each}:2.0.0", "label", tasks.family(each).labels) for each in ("rte", "cola", "sst2")),
        *((f"super_glue/{each}:1.0.2", "label", tasks.family(each).labels) for each in ("boolq", "wic")),
        ("glue/mrpc:2.0.0", "label", tasks.family("mrpc").labels),
        ("wikiann/en:1.0.0", "tags", xtreme.ENTITY_CLASSES),
        ("xtreme_pos/xtreme_pos_en:1.0.0", "upos", (*xtreme.UPOS_CLASSES[:-1], "_")),
    ):  # fmt: skip
        found = tfds.builder(name, data_dir=str(real / "tfds")).info.features[feature]
        names = getattr(found, "feature", found).names
        assert tuple(nli.get(each, each) for each in names) == ours, name


def test_fused_forms_leave_the_treebanks_words(real):
    """Universal Dependencies lists fused forms beside their parts; TFDS's XTREME set has the parts only."""
    words = [
        [example["inputs"] for example in seqio_tasks.examples(name, "test")] for name in ("udpos.ta", "udpos_ud.ta")
    ]
    assert sorted(words[0]) == sorted(words[1])


def test_retrieval_sides_are_aligned(real):
    own, english = (list(seqio_tasks.examples(name, "test")) for name in ("tatoeba.te", "tatoeba.te_en"))
    assert [example["targets"] for example in own] == [[example["id"]] for example in english]
    assert not any(text != text.strip() for example in own + english for text in example["inputs"])


@pytest.mark.parametrize("swapped", [False, True])
def test_tamil_and_tagalog_are_told_apart(real, tmp_path, configured, swapped):
    """TFDS's own build files each under the other's code."""
    root = real / "tfds" / "xtreme_pos"
    for code, other in (("ta", "tl"), ("tl", "ta")):
        target = tmp_path / "xtreme_pos" / f"xtreme_pos_{other if swapped else code}"
        shutil.copytree(root / f"xtreme_pos_{code}", target)
    configured(data_dir=str(tmp_path))
    tamil, tagalog = (seqio_tasks.examples(f"udpos.{code}", "test") for code in ("ta", "tl"))
    assert any("\u0b80" <= char <= "\u0bff" for char in "".join(next(tamil)["inputs"]))
    assert "".join(next(tagalog)["inputs"]).isascii()
    assert seqio.get_mixture_or_task("udpos.ta").num_input_examples("train") == 400


def test_a_data_set_that_is_not_prepared_is_named_and_nothing_is_fetched(tmp_path, configured):
    configured(data_dir=str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(UserError) as caught:
        seqio_tasks.dataset("mnli.en", "train")
    assert time.monotonic() - begin < 5
    assert "multi_nli:1.1.0, which is not in" in str(caught.value)
    assert f"tfds.builder('multi_nli', data_dir='{tmp_path}').download_and_prepare()" in str(caught.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="needs the TensorFlow data set xquad/de:"):
        seqio.get_mixture_or_task("xquad.de").num_input_examples("test")


@pytest.mark.usefixtures("real")
def test_rows_that_are_not_there_are_named():
    with pytest.raises(UserError, match=r"has no 'train' rows here: paws_x_wiki/zh.* it has test, validation"):
        seqio_tasks.dataset("pawsx.zh", "train")
    with pytest.raises(UserError, match="holds nothing for 'de' in 'test'"):
        seqio_tasks.dataset("xnli.de", "test")
    with pytest.raises(UserError, match="has no split 'train'"):
        seqio_tasks.dataset("xquad.zh", "train")


@pytest.mark.usefixtures("real")
def test_seqios_own_override_of_the_data_folder_counts(shared_data, configured):
    configured()
    seqio.set_tfds_data_dir_override(str(shared_data / "tfds"))
    assert seqio_tasks.data_dir() == str(shared_data / "tfds")
    assert next(seqio_tasks.examples("rte.en", "train"))


@pytest.mark.usefixtures("real")
def test_rates_of_mixtures():
    mixture = seqio.get_mixture_or_task("real_small_text")
    rates = {task.name: mixture.get_rate(task) for task in mixture.tasks}
    assert len(rates) == 34
    # Every training row and those of the 46 dev rows that are not held out (all but 2); the square root.
    assert rates["text_of.udpos.mr"] == pytest.approx((373 + 44) ** 0.5)
    assert rates["text_of.squad_v1.en"] == pytest.approx(87599**0.5)


@pytest.fixture
def own_registry(monkeypatch):
    """Registries whose additions are forgotten."""
    for name in ("_families", "_mixtures"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    names = set(seqio.TaskRegistry.names())
    yield
    monkeypatch.undo()
    for name in set(seqio.TaskRegistry.names()) - names:
        seqio.TaskRegistry.remove(name)
    seqio_tasks.register()


def _toy(name, **sizes):
    def read(language, split):
        return ({"premise": f"{name} {i}", "hypothesis": "h", "label": i % 3} for i in range(sizes[name]))

    return read


def _toy_text(**sizes):
    def read(language, split):
        return ({"text": f"line {i}"} for i in range(sizes[language]))

    source = sources.Rows(read=read, version=lambda language: "1")
    convert = tasks.family("text_file").convert
    return registry.Family(
        name="text", kind="mlm", metric="perplexity", languages=tuple(sizes), source=source, convert=convert
    )


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    ("fields", "rates"),
    [
        ({}, (1000.0, 10.0)),
        ({"cap": 100}, (100.0, 10.0)),
        ({"sampling": "uniform"}, (1.0, 1.0)),
        ({"sampling": "temperature", "temperature": 2.0}, (1000**0.5, 10**0.5)),
        ({"sampling": "temperature", "temperature": 2.0, "cap": 100}, (10.0, 10**0.5)),
        ({"sampling": "specified", "rates": {"big.en": 0.25, "small.en": 1.0}}, (0.25, 1.0)),
        ({"sampling": "scheduled", "schedule": {"big.en": ((0, 4.0), (1, 0.0)), "small.en": ((0, 1.0),)}}, (2.0, 1.0)),
        ({"mlm": ("text.en", "text.de"), "mlm_rate": 0.5}, (1000.0, 10.0, 1010 / 3, 1010 * 2 / 3)),
    ],
)
def test_rates_are_ours(fields, rates):
    for name in ("big", "small"):
        source = sources.Rows(read=_toy(name, big=1000, small=10), version=lambda language: "1")
        tasks.register_family(
            registry.Family(
                name=name,
                kind="classification",
                metric="accuracy",
                labels=xtreme.NLI_LABELS,
                source=source,
                convert=tasks.family("mnli").convert,
            )
        )
    # As many German lines as make their smoothed number twice the English one.
    tasks.register_family(_toy_text(en=1000, de=round(1000 * 2 ** (1 / 0.3))))
    beside = fields.get("mlm", ())
    ours = tasks.Mixture(name="toys", tasks=("big.en", "small.en", *beside), **fields)
    tasks.register_mixture(ours)
    seqio_tasks.register()
    mixture = seqio.get_mixture_or_task("toys")
    found = {task.name: mixture.get_rate(task) for task in mixture.tasks}
    assert [found[name] for name in ours.tasks] == pytest.approx(rates, rel=1e-4)
    rows = {task.name: task.num_input_examples("train") for task in mixture.tasks}
    assert found == pytest.approx(ours.sampling_rates(rows, progress=0.5))
    first = next(iter(mixture.get_dataset(split="train", shuffle=False).as_numpy_iterator()))
    assert set(first) == {"id", "inputs", "targets", "starts"}


@pytest.mark.usefixtures("own_registry")
def test_tasks_of_different_heads_share_a_mixture():
    tasks.register_mixture(tasks.Mixture(name="heads", tasks=("mini_xnli.de", "mini_xquad.de", "mini_udpos.de")))
    seqio_tasks.register()
    dataset = seqio.get_mixture_or_task("heads").get_dataset(split="test", shuffle=False, num_epochs=1)
    lengths = {len(example["inputs"]) for example in dataset.take(50).as_numpy_iterator()}
    assert 2 in lengths
    assert max(lengths) > 2


def _register_own(name, features):
    source = seqio.FunctionDataSource(
        lambda split, shuffle_files, seed=None: tf.data.Dataset.from_tensors(
            {"id": "1", "inputs": ["gut"], "targets": ["good"], "starts": tf.zeros([0], tf.int32), "extra": 3}
        ),
        splits=["train", "validation"],
    )
    seqio.TaskRegistry.add(name, source=source, output_features=features)


@pytest.mark.usefixtures("own_registry")
def test_users_own_seqio_tasks_work_by_name():
    tasks.declare("my_reviews", kind="classification", metric="accuracy", labels=("bad", "good"), language="de")
    with pytest.raises(UserError, match="import the module that registers it"):
        seqio_tasks.dataset("my_reviews", "train")
    _register_own("my_reviews", seqio_tasks.OUTPUT_FEATURES)
    expected = {"id": "1", "inputs": ["gut"], "targets": ["good"], "starts": []}
    assert list(seqio_tasks.examples("my_reviews", "train")) == [expected]
    with pytest.raises(UserError, match="has no split 'test'; it has train, validation"):
        seqio_tasks.dataset("my_reviews", "test")
    tasks.register_mixture(tasks.Mixture(name="mine", tasks=("my_reviews",)))
    seqio_tasks.register()
    assert [task.name for task in seqio.get_mixture_or_task("mine").tasks] == ["my_reviews"]


@pytest.mark.usefixtures("own_registry")
def test_a_declared_task_with_other_features_is_refused():
    features = {key: seqio.Feature(seqio.PassThroughVocabulary(1), rank=1) for key in ("id", "inputs", "targets")}
    _register_own("odd", features)
    tasks.declare("odd", kind="classification", metric="accuracy", labels=("bad", "good"))
    with pytest.raises(UserError, match=r"feature 'id' must be string of rank 0 .* found int32 of rank 1"):
        seqio_tasks.dataset("odd", "train")


@pytest.mark.usefixtures("own_registry")
def test_a_name_seqio_already_has_is_not_taken():
    _register_own("taken.en", seqio_tasks.OUTPUT_FEATURES)
    taken = registry.Family(name="taken", kind="span", metric="squad_v1", source=sources.Tfds(name="squad/v1.1:3.0.0"))
    tasks.register_family(taken)
    with pytest.raises(UserError, match=r"already has a task 'taken\.en' from elsewhere"):
        seqio_tasks.register()


def test_text_files_follow_the_configuration(tmp_path, configured):
    (tmp_path / "fi.txt").write_text("yksi\nkaksi\n")
    configured(text_dir=str(tmp_path))
    assert [example["inputs"] for example in seqio_tasks.examples("text_file.fi", "train")] == [
        ["yksi"],
        ["kaksi"],
    ]
    assert "text_file.sv" not in seqio.TaskRegistry.names()
    assert [task.name for task in seqio.get_mixture_or_task("text_files").tasks] == ["text_file.fi"]
    with pytest.raises(UserError, match="has no 'validation' rows"):
        seqio_tasks.dataset("text_file.fi", "validation")
