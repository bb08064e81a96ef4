"""`python -m xtreme_stilts.tasks`: what it lists, what it shows of a task, and how it answers wrong names."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import __main__ as verb
from xtreme_stilts.tasks import sizes


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    before = tasks.settings()
    yield
    tasks.configure(data_dir=before.data_dir, download=before.download, text_dir=before.text_dir)


@pytest.fixture
def said(capsys):
    """`said(*arguments)`: what the command prints, once it is done."""

    def run(*arguments):
        status = verb.main(list(map(str, arguments)))
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    return run


def prepare(folder, name, **splits):
    """Writes what a prepared data set says of its size."""
    folder = folder / name
    folder.mkdir(parents=True)
    info = {"splits": [{"name": split, "shardLengths": list(map(str, lengths))} for split, lengths in splits.items()]}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def test_sizes_come_from_the_prepared_data_sets(tmp_path):
    prepare(tmp_path, "wikiann/de/1.0.0", train=[700, 303], validation=[210])
    prepare(tmp_path, "tydi_qa/goldp/3.0.0", **{"train": [50], "validation-fi": [7]})
    tasks.configure(data_dir=str(tmp_path))
    assert sizes.rows("panx.de", "train") == 1003
    assert sizes.rows("panx.en", "train") is None
    assert sizes.rows("panx.de", "test") is None  # the data set is here, this split is not
    assert sizes.rows("tydiqa.fi", "test") == 7
    # 5 % of 210 is 10.5, which TFDS and Python round to the even 10; the other part is the rest of it.
    assert sizes.rows("text_of.panx.de", "validation") == 10
    assert sizes.rows("text_of.panx.de", "train") == 1003 + 200
    with pytest.raises(UserError, match="did you mean 'train'"):
        sizes.rows("panx.de", "trian")


def test_sizes_of_the_miniature_are_those_of_its_rows():
    for name in ("mini_panx.tr", "mini_bucc2018.de", "mini_tydiqa.en"):
        task = tasks.task(name)
        for split in task.splits:
            read = list(task.family.source.read(task.language, tasks.source_split(name, split)))
            assert sizes.rows(name, split) == len(read) > 0, (name, split)


def test_sizes_agree_with_what_tensorflow_reads(shared_data):
    tasks.configure(data_dir=str(shared_data / "tfds"))
    from xtreme_stilts.tasks import seqio_tasks

    for name, split in (("udpos.ta", "test"), ("xquad.zh", "test"), ("text_of.udpos.en", "validation")):
        found = seqio_tasks.PreparedTfds(tasks.task(name)).num_input_examples(split)
        assert sizes.rows(name, split) == found > 0


def test_the_list_has_everything_and_loads_no_tensorflow(tmp_path):
    code = (
        "import sys; from xtreme_stilts.tasks import __main__ as verb;"
        f"status = verb.main(['--data_dir={tmp_path}']);"
        "sys.exit(status or bool({'tensorflow', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    words = set(done.stdout.split())
    assert words >= {family.name for family in tasks.families()}
    assert words >= {*tasks.suites(), *(mixture.name for mixture in tasks.mixtures())}
    assert words >= set(tasks.family("panx").languages)


def test_a_line_of_the_list(tmp_path, said):
    for language in ("en", "de"):
        prepare(tmp_path, f"wikiann/{language}/1.0.0", train=[20_000], validation=[300], test=[10])
    lines = said(f"--data_dir={tmp_path}").splitlines()
    (panx,) = [line.split() for line in lines if line.startswith("panx ")]
    assert panx == ["panx", "tagging", "(7)", "chunk_f1", "40", "itself", "(en)", "40,000+", "600+", "20+"]
    (xquad,) = [line.split() for line in lines if line.startswith("xquad ")]
    assert xquad == ["xquad", "span", "squad_v1", "11", "squad_v1.en", "-"]
    assert max(map(len, lines)) <= 100


def test_json_and_csv_say_the_same(tmp_path, said):
    prepare(tmp_path, "xquad/zh/3.0.0", test=[600, 590])
    said(f"--data_dir={tmp_path}", f"--json={tmp_path}/out.json", f"--csv={tmp_path}/out.csv")
    found = json.loads((tmp_path / "out.json").read_text())
    (xquad,) = [family for family in found["families"] if family["family"] == "xquad"]
    assert xquad["rows"] == {"test": {"zh": 1190}}
    assert (xquad["kind"], xquad["trained_on"], xquad["labels"]) == ("span", "squad_v1.en", 0)
    assert set(xquad["suites"]) >= {"xtreme"}
    assert found["suites"]["glue"][0] == "cola"
    assert found["mixtures"]["anli_plus"][0] == "mnli.en"
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["family"] == "xquad"]
    assert [line["language"] for line in lines] == list(tasks.family("xquad").languages)
    assert {line["language"]: line["rows"] for line in lines}["zh"] == "1190"
    assert {line["rows"] for line in lines} == {"1190", ""}


def test_a_family_a_suite_and_a_mixture(said):
    family = said("mini_panx")
    assert "B-LOC B-ORG B-PER I-LOC I-ORG I-PER O" in family and "mini_panx.tr" in family
    assert "mini_panx.en validation" in family  # what it is selected on
    (suite,) = [line for line in said("mini_stilts").splitlines() if line.split()[:1] == ["mini_mnli"]]
    assert suite.split()[-2:] == ["6,000", "300"]
    mixture = [line.split() for line in said("mini_xtreme_train").splitlines()]
    shares = {line[0]: float(line[3]) for line in mixture if line and line[0].startswith("mini_") and "%" in line}
    total = sum(sizes.rows(name, "train") for name in tasks.mixture("mini_xtreme_train").tasks)
    assert shares["mini_mnli.en"] == pytest.approx(100 * 6000 / total, abs=0.06)
    assert sum(shares.values()) == pytest.approx(100, abs=0.4)
    both = said("stilts")  # one name for two things
    assert "suite stilts" in both and "mixture stilts" in both


def test_tags_stand_beside_their_words(said):
    printed = said("mini_udpos.tr", "--examples=1", "--split=validation")
    (example,) = _first("mini_udpos.tr", "validation", 1)
    table = printed[printed.index("tokens (mini)") :].splitlines()
    shown = [line.split()[:2] for line in table if len(line.split()) > 3]
    assert shown[1:] == [list(pair) for pair in zip(example["inputs"], example["targets"], strict=True)]
    assert "row of the data set" in printed and "upos" in printed and "text schema" in printed


def test_the_answer_is_marked_and_shifted_offsets_would_show(said):
    printed = said("mini_xquad.zh", "--examples=2", "--max_length=64")
    assert printed.count("example ") == 2
    for example in _first("mini_xquad.zh", "test", 2):
        assert f"⟦{example['targets'][0]}⟧" in printed


def test_choices_are_shown_apart(said):
    printed = said("mini_hellaswag.en", "--examples=1", "--split=validation")
    (example,) = _first("mini_hellaswag.en", "validation", 1)
    right = example["targets"][0]
    assert [f"choice {number}" in printed for number in range(5)] == [True] * 4 + [False]
    assert f"choice {right} (right)" in printed and f"label: {right}" in printed and printed.count("(right)") == 1


def test_labels_are_decoded(said):
    (example,) = _first("mini_xnli.sw", "test", 1)
    assert f"= {example['targets'][0]}" in said("mini_xnli.sw", "--examples=1")
    assert "mini_tatoeba.de_en" in said("mini_tatoeba.de_en", "--examples=1")
    assert "text schema" not in said("mini_xnli.sw", "--examples=0")


def test_real_rows(shared_data, said):
    data = f"--data_dir={shared_data}/tfds"
    printed = said("xquad.zh", data, "--examples=1")
    assert "⟦自身免疫疾病⟧" in printed and "test 1,190" in printed and "answers.answer_start" in printed
    # HellaSwag's test set is not scored and its training set is not here.
    assert "hellaswag.en validation, example 1" in said("hellaswag.en", data, "--examples=1")


def _first(name, split, count):
    from xtreme_stilts.tasks import seqio_tasks

    return list(itertools.islice(seqio_tasks.examples(name, split), count))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["xnly"], "no family, task, mixture or suite 'xnly'; did you mean 'xnli'?"),
        (["extreme"], "did you mean 'xtreme'?"),
        (["anli_pluss"], "did you mean 'anli_plus'?"),
        (["xnly.sw"], "no task family 'xnly'; did you mean 'xnli'?"),
        (["xnli.xx"], "has no language 'xx'"),
        (["mini_xnli.sw", "--split=tset"], "did you mean 'test'?"),
        (["mini_xnli.sw", "--examples=-1"], "examples is -1; it must be 0 or more"),
        (["mini_xnli.sw", "--tokenizer=no/such/folder"], "no/such/folder"),
        (["xnli.sw", "--data_dir=no_such_folder"], "needs the TensorFlow data set xnli:1.1.0"),
    ],
)
def test_bad_input_is_a_sentence(arguments, sentence, capsys):
    assert verb.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and sentence in error
