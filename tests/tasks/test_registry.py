"""The registry: names, defaults and the sentences a wrong name is answered with."""

import subprocess
import sys

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.metrics import METRICS
from xtreme_stilts.evaluation.xtreme_score import GROUPS, TASK_LANGUAGES
from xtreme_stilts.tasks import languages, registry, xtreme


@pytest.fixture
def clean_registry(monkeypatch):
    for name in ("_families", "_mixtures", "_suites"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


def test_importing_the_registry_loads_no_tensorflow():
    code = (
        "import sys, xtreme_stilts.tasks as t; t.suite('xtreme');"
        "assert not {'tensorflow', 'seqio', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_xtreme_has_its_nine_families_with_their_languages_and_groups():
    families = tasks.suite("xtreme")
    assert {family.name: sorted(family.languages) for family in families} == {
        name: sorted(codes) for name, codes in TASK_LANGUAGES.items()
    }
    assert sum(len(family.languages) for family in families) == 15 + 7 + 33 + 40 + 11 + 7 + 9 + 4 + 36
    for group, members in GROUPS.items():
        assert {family.name for family in families if family.group == group} == set(members)


def test_every_family_can_be_scored_and_its_languages_are_known():
    known = {*languages.LANGUAGES, *languages.FLORES, *xtreme.MLQA_PAIRS}
    for family in tasks.families():
        assert family.kind == "mlm" or family.metric in METRICS, family.name
        assert set(family.languages) <= known, family.name


@pytest.mark.parametrize(
    ("name", "train", "validation", "head"),
    [
        ("xnli", "mnli.en", "mnli.en", "nli"),
        ("pawsx", "pawsx.en", "pawsx.en", "pawsx"),
        ("xquad", "squad_v1.en", "squad_v1.en", "squad_v1"),
        ("mlqa", "squad_v1.en", "squad_v1.en", "squad_v1"),
        ("tydiqa", "tydiqa.en", "tydiqa.en", "tydiqa"),
        ("tatoeba", None, None, "tatoeba"),
        ("bucc2018", None, None, "bucc2018"),
        ("anli_r2", "anli_r2.en", "anli_r2.en", "nli"),
        ("text_file", None, None, "text_file"),
    ],
)
def test_training_validation_and_head(name, train, validation, head):
    family = tasks.family(name)
    assert (family.train, family.validation, family.head_name) == (train, validation, head)


def test_a_head_is_shared_only_by_families_with_the_same_outputs():
    shapes = {}
    for family in tasks.families():
        shape = (family.kind, family.labels, family.num_choices)  # LabelsOf are equal if they are the same object
        assert shapes.setdefault(family.head_name, shape) == shape


def test_training_tasks_exist_and_can_train():
    for family in tasks.families():
        if family.train:
            assert "train" in tasks.task(family.train).splits
            assert "validation" in tasks.task(family.validation).splits


def test_unpublished_labels_are_never_scored():
    for name in ("mrpc", "boolq", "hellaswag", "commonsenseqa"):
        assert tasks.family(name).scored_split("en") == "validation"
    assert tasks.family("xnli").scored_split("sw") == "test"
    assert tasks.family("siqa").scored_split("en") == "validation"


def test_splits_of_the_two_sides_of_a_retrieval_task():
    assert tasks.source_split("bucc2018.de", "test") == "test"
    assert tasks.source_split("bucc2018.de_en", "validation") == "validation_en"
    assert tasks.source_split("mlqa_cross.ar_en", "test") == "test"


def test_nli_labels_are_in_jiants_order():
    for name in ("xnli", "mnli", "snli", "anli_r1"):
        assert tasks.family(name).labels == ("contradiction", "entailment", "neutral")


def test_a_task_is_a_family_and_a_language():
    family, language = tasks.task("xnli.sw")
    assert (family, language) == (tasks.family("xnli"), "sw")
    assert tasks.task("text_of.udpos.fi").family.name == "text_of.udpos"
    assert tasks.task("bucc.de").name == "bucc2018.de"


def test_the_english_side_of_a_retrieval_task():
    assert tasks.english_side("tatoeba.fi") == "tatoeba.fi_en" == tasks.english_side("tatoeba.fi_en")
    assert tasks.task("tatoeba.fi_en").language == "fi_en"
    with pytest.raises(UserError, match="only retrieval tasks"):
        tasks.english_side("xnli.fr")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("xnly.sw", "no task family 'xnly'; did you mean 'xnli'?"),
        ("xnli.fi", "family 'xnli' has no language 'fi'; valid: ar, bg, de"),
        ("xnli.de_en", "family 'xnli' has no language 'de_en'"),
        ("xnli", "'xnli' is a family; a task also names a language"),
    ],
)
def test_a_wrong_task_name_is_answered_with_the_right_one(name, sentence):
    with pytest.raises(UserError) as caught:
        tasks.task(name)
    assert sentence in str(caught.value)


def test_splits_a_language_lacks():
    assert tasks.source_split("udpos.en", "validation") == "dev"
    assert tasks.source_split("tydiqa.fi", "test") == "validation-fi"
    assert tasks.source_split("tatoeba.fi_en", "test") == "train"
    assert tasks.task("udpos.yo").splits == ("test",)
    for name, split in (("udpos.kk", "validation"), ("tydiqa.fi", "train"), ("xquad.de", "train")):
        with pytest.raises(UserError, match=f"has no split '{split}' .it has "):
            tasks.source_split(name, split)
    with pytest.raises(UserError, match="did you mean 'validation'"):
        tasks.source_split("udpos.en", "validatoin")


def test_a_task_or_a_trainable_family_is_a_mixture_of_one():
    assert tasks.mixture("mnli.en").tasks == ("mnli.en",)
    assert tasks.mixture("xquad").tasks == ("squad_v1.en",)
    assert tasks.mixture("text_of.udpos.de").tasks == ("text_of.udpos.de",)
    assert len(tasks.mixture("anli_plus").tasks) == 5
    with pytest.raises(UserError, match="did you mean 'anli_plus'"):
        tasks.mixture("anli_pluss")
    with pytest.raises(UserError, match="no language 'xx'"):
        tasks.mixture("xnli.xx")


def test_unknown_suites_and_families():
    with pytest.raises(UserError, match="did you mean 'xtreme'"):
        tasks.suite("extreme")
    with pytest.raises(UserError, match="did you mean 'tydiqa'"):
        tasks.family("tydqa")


@pytest.mark.usefixtures("clean_registry")
def test_users_declare_their_own_tasks():
    tasks.declare("my_reviews", kind="classification", metric="accuracy", labels=("bad", "good"), language="de")
    family, language = tasks.task("my_reviews")
    assert (family.tasks, language, family.train) == (("my_reviews.de",), "de", "my_reviews")
    assert tasks.task("my_reviews.de").name == "my_reviews"
    assert tasks.mixture("my_reviews").tasks == ("my_reviews",)
    assert tasks.source_version("my_reviews") == "seqio:my_reviews"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "clasification"}, "did you mean 'classification'"),
        ({"kind": "tagging", "labels": ("X", "X")}, "two or more, all different"),
        ({"kind": "choice"}, "num_choices 1; it must be 2 or more"),
        ({"kind": "span", "num_choices": 2}, "num_choices 2; it must be 2 or more for a choice family"),
        ({"kind": "span", "languages": ()}, "at least one language"),
    ],
)
def test_a_family_that_makes_no_sense_is_refused(fields, sentence):
    with pytest.raises(UserError, match=sentence):
        registry.Family(name="mine", metric="accuracy", **fields)


@pytest.mark.usefixtures("clean_registry")
def test_mixtures_and_families_do_not_share_names():
    with pytest.raises(UserError, match="a family has that name"):
        tasks.register_mixture(tasks.Mixture(name="xnli", tasks=("mnli.en",)))
    with pytest.raises(UserError, match="has no tasks"):
        tasks.register_mixture(tasks.Mixture(name="nothing", tasks=()))
    with pytest.raises(UserError, match="no task family 'mnly'"):
        tasks.register_mixture(tasks.Mixture(name="wrong", tasks=("mnly.en",)))


def test_the_command_lists_families_and_explains_a_wrong_task():
    command = [sys.executable, "-m", "xtreme_stilts.tasks"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(family.name in listed for family in tasks.suite("xtreme"))
    wrong = subprocess.run([*command, "xnly.sw"], capture_output=True, text=True, timeout=60)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: no task family 'xnly'; did you mean 'xnli'?\n"


def test_labels_that_data_decide_are_read_once_for_each_place_of_data(tmp_path):
    read = []

    def labels():
        read.append(tasks.settings().manual_dir)
        return ["N", "S"]

    of_data = registry.LabelsOf(labels, expected=2)
    try:
        for folder in ("one", "other"):
            tasks.configure(manual_dir=str(tmp_path / folder))
            assert list(of_data) == ["N", "S"] and len(of_data) == 2
    finally:
        tasks.configure()
    assert read == [str(tmp_path / "one"), str(tmp_path / "other")]
