"""Files as tasks: what they become, and every way in which a row or a field is refused, or counted."""

import json
import logging
import math
import os
import pathlib
import shutil

import pytest

from xtreme_stilts import config as config_lib
from xtreme_stilts import tasks
from xtreme_stilts.data import cache as cache_lib
from xtreme_stilts.data.features import Limits
from xtreme_stilts.data.tokenizer import load_tokenizer
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import registry
from xtreme_stilts.tasks.files import FileTask, register_file_tasks


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Relative paths are relative to an empty folder; families registered here are forgotten."""
    for name in ("_families", "_mixtures"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, *rows: dict) -> str:
    """Rows as JSON lines."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def write_text(path: str, content: str | bytes) -> str:
    pathlib.Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pair(label="yes", premise="It rains.", **more) -> dict:
    return {"premise": premise, "hypothesis": "It is wet.", "label": label} | more


NLI = {"kind": "classification", "inputs": ("premise", "hypothesis"), "labels": ("no", "maybe", "yes")}
PATTERNS = {split: f"{split}.{{language}}.jsonl" for split in ("train", "validation", "test")}


def nli_files() -> None:
    """Three splits in English, test rows in German, too."""
    for split in PATTERNS:
        write(f"{split}.en.jsonl", pair("yes"), pair("no"), pair("maybe"))
    write("test.de.jsonl", pair("no", "Es schneit.", id="a"), pair("yes", id="b"))


def read(name: str, split: str) -> list[dict]:
    from xtreme_stilts.tasks import seqio_tasks

    return list(seqio_tasks.examples(name, split))


# --------------------------------------------------------------------------------------------------
# What files become


def test_files_become_seqio_tasks_in_every_language():
    import seqio

    nli_files()
    family = tasks.add_task("my_nli", files=PATTERNS, **NLI)
    assert family.languages == ("de", "en")
    assert (family.train, family.validation, family.head_name) == ("my_nli.en", "my_nli.en", "my_nli")
    assert (family.metric, family.labels) == ("accuracy", ("no", "maybe", "yes"))
    assert family.lacks["train"] == ("de",)
    assert tasks.task("my_nli.de").splits == ("test",)
    assert tasks.mixture("my_nli").tasks == ("my_nli.en",)

    expected = {"inputs": ["It rains.", "It is wet."], "starts": []}
    assert read("my_nli.en", "train") == [
        {"id": number, "targets": [label], **expected} for number, label in (("1", "yes"), ("2", "no"), ("3", "maybe"))
    ]
    assert [example["id"] for example in read("my_nli.de", "test")] == ["a", "b"]
    assert read("my_nli.de", "test")[0]["inputs"] == ["Es schneit.", "It is wet."]
    task = seqio.get_mixture_or_task("my_nli.en")
    assert set(task.splits) == {"train", "validation", "test"}
    assert task.num_input_examples("train") == 3


def test_a_language_or_a_split_that_there_is_not():
    nli_files()
    tasks.add_task("my_nli", files=PATTERNS, **NLI)
    with pytest.raises(UserError, match="family 'my_nli' has no language 'fr'; valid: de, en"):
        tasks.task("my_nli.fr")
    with pytest.raises(UserError, match="has no split 'train'"):
        tasks.source_split("my_nli.de", "train")


def test_without_a_validation_file_nothing_is_validated():
    nli_files()
    files = {"train": {"en": "train.en.jsonl"}, "test": {"en": "test.en.jsonl", "de": "test.de.jsonl"}}
    family = tasks.add_task("my_nli", files=files, **NLI)
    assert (family.train, family.validation) == ("my_nli.en", None)


def test_the_training_language_is_one_with_a_training_file():
    nli_files()
    write("train.de.jsonl", pair("yes"), pair("no"))
    files = {"train": {"de": "train.de.jsonl"}, "test": "test.{language}.jsonl"}
    assert tasks.add_task("my_nli", files=files, **NLI).train == "my_nli.de"


def test_a_task_may_be_evaluated_with_another_ones_head():
    write("test.de.jsonl", pair("neutral"), pair("entailment"))
    fields = NLI | {"labels": ()}
    family = tasks.add_task("my_xnli", files={"test": {"de": "test.de.jsonl"}}, train="mnli.en", **fields)
    assert (family.train, family.validation) == ("mnli.en", "mnli.en")
    assert (family.labels, family.head_name) == (tasks.family("mnli").labels, tasks.family("mnli").head_name)
    with pytest.raises(UserError, match=r"labels is .* but those of train, 'rte.en', are"):
        tasks.add_task("my_xnli", files={"test": {"de": "test.de.jsonl"}}, train="rte.en", **NLI)
    with pytest.raises(UserError, match=r"train is 'panx.en', a tagging task; kind is 'classification'"):
        tasks.add_task("my_xnli", files={"test": {"de": "test.de.jsonl"}}, train="panx.en", **NLI)


def test_labels_are_inferred_from_the_training_files_and_said(caplog):
    write("train.en.jsonl", {"text": "b", "label": 2}, {"text": "a", "label": 0}, {"text": "c", "label": True})
    write("test.en.jsonl", {"text": "b", "label": 0})
    files = {"train": {"en": "train.en.jsonl"}, "test": {"en": "test.en.jsonl"}}
    with caplog.at_level(logging.INFO):
        family = tasks.add_task("my_reviews", kind="classification", files=files)
    assert family.labels == ("0", "2", "true")
    assert "task 'my_reviews': labels are those of the training files: 0, 2, true" in caplog.text


def both(path: str) -> dict:
    """One file as training and test set."""
    return {"train": {"en": path}, "test": {"en": path}}


def test_regression():
    path = write_text("sts.tsv", "a\tb\tscore\nx y\tz\t3.80\nu\tv\t-1e2\nu\tv\t4\n")
    family = tasks.add_task("my_sts", kind="regression", files=both(path), inputs=("a", "b"), target="score")
    assert family.metric == "pearson_spearman"
    assert [[float(target) for target in e["targets"]] for e in read("my_sts.en", "test")] == [[3.8], [-100.0], [4.0]]


def test_choices_in_a_list_by_number():
    path = write("c.jsonl", {"context": "c", "choices": ["x", "y"], "label": 1})
    family = tasks.add_task("my_choice", kind="choice", files=both(path))
    assert family.num_choices == 2
    assert read("my_choice.en", "test") == [{"id": "1", "inputs": ["c", "x", "y"], "targets": ["1"], "starts": []}]


def test_choices_in_columns_by_letter():
    path = write_text("c.csv", 'q,o1,o2,o3,key\n"a, b",x,y,z,C\n')
    fields = {"inputs": ("q", "o1", "o2", "o3"), "target": "key", "labels": ("A", "B", "C")}
    family = tasks.add_task("my_choice", kind="choice", files=both(path), **fields)
    assert (family.num_choices, family.labels) == (3, ())
    (example,) = read("my_choice.en", "test")
    assert (example["inputs"], example["targets"]) == (["a, b", "x", "y", "z"], ["2"])


def test_quotes_in_tab_separated_files():
    path = write_text("q.tsv", 'text\tlabel\n"a ""b"""\tyes\n"a\tno\n')
    tasks.add_task("plain", kind="classification", files=both(path))
    assert [e["inputs"] for e in read("plain.en", "test")] == [['"a ""b"""'], ['"a']]
    write_text("q.tsv", 'text\tlabel\n"a ""b"""\tyes\n"a\tx"\tno\n')
    tasks.add_task("quoted", kind="classification", files=both(path), format="quoted_tsv")
    assert [e["inputs"] for e in read("quoted.en", "test")] == [['a "b"'], ["a\tx"]]


def test_tagging_from_both_formats():
    conll = write_text("ner.conll", "Ann NNP B-PER\nran VBD O\n\nGo VB O\n")
    lines = write("ner.jsonl", {"words": ["Ann", "ran"], "tags": ["B-PER", "O"]}, {"words": ["Go"], "tags": ["O"]})
    found = {}
    for name, path in (("conll_ner", conll), ("jsonl_ner", lines)):
        family = tasks.add_task(name, kind="tagging", files=both(path))
        assert (family.labels, family.metric) == (("B-PER", "O"), "chunk_f1")
        found[name] = [(e["inputs"], e["targets"]) for e in read(f"{name}.en", "test")]
    assert found["conll_ner"] == found["jsonl_ner"] == [(["Ann", "ran"], ["B-PER", "O"]), (["Go"], ["O"])]
    pos = tasks.add_task("my_pos", kind="tagging", files=both(conll), target="1", metric="token_accuracy")
    assert pos.labels == ("NNP", "VB", "VBD")


def squad(path: str, *questions: dict, context: str = "Ça va, Ann.") -> str:
    document = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}]}
    return write_text(path, json.dumps(document))


def asked(name: str = "q1", text: str = "Ann", start: int = 7, question: str = "Who?") -> dict:
    return {"id": name, "question": question, "answers": [{"text": text, "answer_start": start}] if text else []}


def test_answers_start_at_code_points():
    path = squad("qa.json", asked(), asked("q2", "va", 3))
    assert tasks.add_task("my_qa", kind="span", files=both(path)).metric == "squad_v1"
    assert [(e["targets"], e["starts"]) for e in read("my_qa.en", "test")] == [(["Ann"], [7]), (["va"], [3])]


def test_questions_without_an_answer_need_squad_v2():
    path = squad("qa.json", asked(text=""), asked("q2", text=""))
    with pytest.raises(UserError, match=r"question 'q1' .* has no answer; .* set metric to 'squad_v2'"):
        tasks.add_task("my_qa", kind="span", files=both(path))
    tasks.add_task("my_qa", kind="span", files=both(path), metric="squad_v2")
    assert [(e["targets"], e["starts"]) for e in read("my_qa.en", "test")] == [([], []), ([], [])]


def test_text_and_translation_pairs_for_mlm():
    write_text("t.en.txt", "one\n\ntwo\n")
    write_text("t.de.txt", "eins\n")
    family = tasks.add_task("my_text", kind="mlm", files={"train": "t.{language}.txt"})
    assert (family.train, family.languages) == (None, ("de", "en"))
    assert [e["inputs"] for e in read("my_text.en", "train")] == [["one"], [""], ["two"]]
    path = write_text("p.tsv", "one\teins\n")
    fields = {"columns": ("english", "other"), "inputs": ("english", "other")}
    tasks.add_task("my_pairs", kind="mlm", files={"train": {"de": path}}, **fields)
    assert [e["inputs"] for e in read("my_pairs.de", "train")] == [["one", "eins"]]


def test_retrieval_has_two_sides():
    write_text("tat.de.tsv", "id\town\tenglish\nx7\teins\tone\nx8\tzwei\ttwo\n")
    family = tasks.add_task("my_tatoeba", kind="embedding", files={"test": "tat.{language}.tsv"})
    assert (family.train, family.metric) == (None, "retrieval_accuracy")
    assert [(e["id"], e["inputs"], e["targets"]) for e in read("my_tatoeba.de", "test")] == [
        ("x7", ["eins"], ["x7"]),
        ("x8", ["zwei"], ["x8"]),
    ]
    english = tasks.english_side("my_tatoeba.de")
    assert [(e["id"], e["inputs"], e["targets"]) for e in read(english, "test")] == [
        ("x7", ["one"], []),
        ("x8", ["two"], []),
    ]


# --------------------------------------------------------------------------------------------------
# Versions


def version(name: str = "my_nli.en") -> str:
    return tasks.source_version(name)


def test_a_copy_is_no_other_file_but_another_content_is():
    nli_files()
    tasks.add_task("my_nli", files=PATTERNS, **NLI)
    first = version()
    for path in list(pathlib.Path().glob("*.jsonl")):
        os.utime(path, (1, 1))
        pathlib.Path("copy").mkdir(exist_ok=True)
        shutil.copy(path, pathlib.Path("copy") / path)
    assert version() == first
    tasks.add_task("my_nli", files={split: f"copy/{path}" for split, path in PATTERNS.items()}, **NLI)
    assert version() == first
    write("copy/train.en.jsonl", pair("yes"), pair("no"), pair("yes!"[:3]))
    assert version() != first


def test_what_decides_rows_is_part_of_the_version():
    nli_files()
    versions = set()
    for changes in ({}, {"labels": ("yes", "no", "maybe")}, {"inputs": ("hypothesis",)}, {"max_length": 64}):
        tasks.add_task("my_nli", files=PATTERNS, **NLI | changes)
        versions.add(version())
    assert len(versions) == 4


# --------------------------------------------------------------------------------------------------
# Refused: rows


def refused(sentence: str, name: str = "mine", **fields) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        tasks.add_task(name, **fields)
    assert len(str(caught.value).splitlines()) == 1
    assert name not in {family.name for family in tasks.families()}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (pair("mayb"), r"bad.jsonl line 2: label is 'mayb', which is not one of the labels; did you mean 'maybe'\?"),
        (pair(0.5), r"bad.jsonl line 2: label is 0.5; it must be text or a whole number"),
        (pair(" "), r"bad.jsonl line 2: label is blank"),
        (pair(None), r"bad.jsonl line 2 has no label; every row of a training file needs one"),
        (pair(premise=" \u3000"), r"bad.jsonl line 2: premise is blank"),
        (pair(premise=3), r"bad.jsonl line 2: premise is 3; it must be text"),
        (pair(premise="a\ud800"), r"bad.jsonl line 2: premise holds half of a surrogate pair"),
        ({"premis": "a", "hypothesis": "b", "label": "no"}, r"line 2 lacks 'premise'; it has .* did you mean 'premis'"),
        (pair(id="7"), r"line 2 has the id '7', which bad.jsonl line 1 has; ids must differ within a file"),
        ({**pair(), "id": ""}, r"bad.jsonl line 2: id is blank; every row needs an id of its own"),
    ],
)
def test_a_row_that_does_not_fit_is_named(row, sentence):
    files = {"train": {"en": write("bad.jsonl", pair(id="7"), {"id": "8", **row})}, "test": {"en": "good.jsonl"}}
    write("good.jsonl", pair())
    refused(f"task 'mine': files.train: .*{sentence}", files=files, **NLI)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("bad.jsonl", '{"text": "a", "label": "no"}\n{"text": ', "bad.jsonl line 2 is not JSON"),
        ("bad.jsonl", b'{"text": "\xff"}\n', "bad.jsonl line 1 is not UTF-8 text"),
        ("bad.tsv", "text\tlabel\na\tno\nb\n", "bad.tsv line 3 has 1 fields; it must have 2: text, label"),
        ("bad.csv", 'text,label\na,no\n"b,no\n', "bad.csv line 3 cannot be read as a table"),
        ("bad.tsv", "txt\tlabel\na\tno\n", "bad.tsv line 2 lacks 'text'; it has txt, label; did you mean 'txt'"),
        ("bad.tsv", "text\tlabel\n", "bad.tsv holds no rows"),
        ("bad.tsv", "text\tlabel\na\t\n", "bad.tsv has no label in any row; without labels there is nothing to score"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(name, content, sentence):
    files = {"train": {"en": write("good.jsonl", {"text": "a", "label": "no"})}}
    files["test"] = {"en": write_text(name, content)}
    refused(f"files.test: {sentence}", kind="classification", labels=("no", "yes"), files=files)


@pytest.mark.parametrize("value", [math.nan, math.inf, "1,5", "three", True, [1]])
def test_a_number_that_is_not_finite_is_named(value):
    path = write("r.jsonl", {"text": "a", "label": 1.5}, {"text": "a", "label": value})
    with pytest.raises(UserError, match=r"r.jsonl line 2: label is .*; it must be a finite number"):
        tasks.add_task("mine", kind="regression", files=both(path))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"choices": ["x", "y", "z"]}, "c.jsonl line 2 has 3 choices; every row must have 2"),
        ({"choices": "xy"}, "c.jsonl line 2: choices is 'xy'; it must be a list of texts"),
        ({"choices": ["x", ""]}, r"c.jsonl line 2: choices\[1\] is blank"),
        ({"label": 2}, r"c.jsonl line 2: label is '2', which is not one of the labels; valid: 0, 1"),
        ({"label": "x"}, r"c.jsonl line 2: label is 'x', which is not one of the labels; valid: 0, 1"),
    ],
)
def test_choices_that_do_not_fit_are_named(row, sentence):
    good = {"context": "c", "choices": ["x", "y"], "label": 1}
    path = write("c.jsonl", good, good | row)
    with pytest.raises(UserError, match=sentence):
        tasks.add_task("mine", kind="choice", files=both(path))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"words": ["a", "b"], "tags": ["O"]}, "n.jsonl line 2 has 2 words and 1 tags; every word needs a tag"),
        ({"words": [], "tags": []}, r"n.jsonl line 2: words is \[\]; it must be a list of texts"),
        ({"words": ["a", " "], "tags": ["O", "O"]}, r"n.jsonl line 2: words\[1\] is blank"),
        ({"words": ["a", "b"], "tags": ["O", "B-PRE"]}, r"line 2, word 2 \('b'\): tag is 'B-PRE', .*mean 'B-PER'"),
        ({"words": "ab", "tags": ["O"]}, r"line 2: words is 'ab'; it must be a list of texts"),
    ],
)
def test_tags_that_do_not_fit_are_named(row, sentence):
    path = write("n.jsonl", {"words": ["Ann"], "tags": ["B-PER"]}, row)
    with pytest.raises(UserError, match=sentence):
        tasks.add_task("mine", kind="tagging", files=both(path), labels=("O", "B-PER"))


def test_a_conll_line_without_a_tag_is_named():
    path = write_text("n.conll", "Ann B-PER\n\nsat O\nran\n")
    with pytest.raises(UserError, match=r"n.conll line 4 is 'ran'; a line must hold at least 2 columns"):
        tasks.add_task("mine", kind="tagging", files=both(path))


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (
            asked("q2", start=8),
            r"question 'q2' .*: the answer 'Ann' is not at answer_start 8, .* has 'nn.'; it stands at 7",
        ),
        (asked("q2", start=-4), "is not at answer_start -4, where the context has ''"),
        (asked("q2", "Eve", 7), "the answer 'Eve' is not at answer_start 7, .* has 'Ann'; it stands nowhere"),
        (asked("q2", question=" "), "question 'q2' .*: question is blank"),
        (asked("q1"), r"qas\[1\]\) has the id 'q1', which .*qas\[0\]\) has; ids must differ"),
    ],
)
def test_answers_that_do_not_fit_are_named(question, sentence):
    path = squad("qa.json", asked(), question)
    with pytest.raises(UserError, match=sentence):
        tasks.add_task("mine", kind="span", files=both(path))


def test_a_row_that_went_bad_after_registering_is_a_sentence_too():
    files = both(write("t.jsonl", *({"text": "a", "label": "yes"} for _ in range(1500))))
    tasks.add_task("mine", kind="classification", files=files, labels=("yes", "no"))
    lines = pathlib.Path("t.jsonl").read_text().splitlines(keepends=True)
    write_text("t.jsonl", "".join([*lines[:1200], '{"text": "", "label": "no"}\n', *lines[1200:]]))
    with pytest.raises(UserError, match=r"^t.jsonl line 1201: text is blank"):
        read("mine.en", "test")


# --------------------------------------------------------------------------------------------------
# Refused: fields


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "clasification"}, "kind is 'clasification'; did you mean 'classification'?"),
        ({"lables": ("a", "b")}, "lables is not a field of a task of files; did you mean 'labels'?"),
        ({"labels": "yes"}, "labels is 'yes'; it must be a tuple of texts, such as ('yes',)"),
        ({"labels": ("a", "a")}, "labels is ('a', 'a'); there must be two or more, all different"),
        ({"metric": "acuracy"}, "metric is 'acuracy'; for kind 'classification' did you mean 'accuracy'?"),
        ({"metric": "squad_v1"}, "metric is 'squad_v1'; for kind 'classification' valid: accuracy, accuracy_f1"),
        ({"format": "squad"}, "format is 'squad'; for kind 'classification' valid: csv, jsonl, quoted_tsv, tsv"),
        ({"inputs": ("a", "b", "c")}, "inputs is ('a', 'b', 'c'); kind 'classification' reads 1 to 2 columns"),
        ({"max_length": "64"}, "max_length is '64'; it must be a whole number"),
        ({"max_length": 4}, "max_length is 4; an example needs at least 8 tokens"),
        ({"num_choices": 3}, "num_choices is 3; kind 'classification' has none"),
        ({"languages": ("en", "zh-TW")}, "languages has 'zh-TW'; a code is letters, digits and _"),
        ({"files": {}}, "files is empty; it must name a file for a split"),
        ({"files": "a.jsonl"}, "files is 'a.jsonl'; it must be a dict such as"),
        ({"files": {"tset": "a.jsonl"}}, "files.tset is no split; did you mean 'test'?"),
        ({"files": {"test": "a.{lang}.jsonl"}}, "files.test has '{lang}' in 'a.{lang}.jsonl'; only {language} is"),
        ({"files": {"train": "a.jsonl"}}, "kind 'classification' needs a 'test' or a 'validation' file"),
        ({"files": {"test": "a.jsonl"}}, "files has no 'train' file; add it, or set train to the task whose head"),
        (
            {"files": {"train": "a.txt", "test": "a.jsonl"}},
            "files.train: the suffix of 'a.txt' stands for 'text'; kind",
        ),
        ({"files": {"train": "a.dat.gz", "test": "a.tsv"}}, "files.train: the suffix of 'a.dat.gz' tells no format"),
        ({"kind": "choice", "num_choices": 2}, "num_choices is 2, but labels has 3: one for each choice"),
        ({"kind": "tagging", "inputs": ("word",), "format": "conll"}, "inputs has 'word'; columns of a CoNLL file go"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(changes, sentence):
    with pytest.raises(UserError) as caught:
        FileTask.of({**NLI, "files": PATTERNS, **changes})
    assert any(sentence in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("files", "languages", "sentence"),
    [
        (PATTERNS, ("en", "fr"), r"files.test: there is no file 'test.fr.jsonl' \(looked for from .*\); did you mean"),
        ({**PATTERNS, "train": "data/x.jsonl"}, ("en",), r"there is no file 'data/x.jsonl', and no folder 'data'"),
        ({**PATTERNS, "train": "x.{language}.jsonl"}, (), "there is none of the files x.de.jsonl, x.en.jsonl"),
        (
            {**PATTERNS, "train": "train.en.jsonl"},
            (),
            "files.train is 'train.en.jsonl' for 2 languages; put {language}",
        ),
        ({**PATTERNS, "test": {"en": "test.en.jsonl"}}, ("de", "en"), "files.test: no file is given for 'de'"),
        (
            {**PATTERNS, "train": {"eng": "train.en.jsonl"}},
            ("de", "en"),
            "files.train names 'eng', no language .* 'en'",
        ),
        (
            {"train": "a.jsonl", "test": "a.jsonl"},
            (),
            r"languages is empty, and no file tells one: .*: a.jsonl, a.jsonl",
        ),
    ],
)
def test_a_file_that_is_not_there_is_named(files, languages, sentence):
    nli_files()
    refused(sentence, files=files, languages=languages, **NLI)


def test_metrics_that_know_other_labels_or_languages():
    nli_files()
    refused("metric is 'accuracy_f1', whose labels are 1, equivalent", files=PATTERNS, metric="accuracy_f1", **NLI)
    path = squad("qa.json", asked())
    files = {"train": {"en": path}, "test": {"en": path, "fr": path}}
    refused("metric is 'mlqa': .* no rules for 'fr'", kind="span", metric="mlqa", files=files)


def test_languages_found_on_disk_must_be_codes():
    nli_files()
    files = {split: {"en": "test.en.jsonl", "zh-TW": "test.de.jsonl"} for split in ("train", "test")}
    refused("languages has 'zh-TW'; a code is", files=files, **NLI)


def test_names_that_cannot_be_taken():
    nli_files()
    with pytest.raises(UserError, match="name is 'xnli', which another family has"):
        tasks.add_task("xnli", files=PATTERNS, **NLI)
    with pytest.raises(UserError, match="name is 'My-NLI'; it must be lower-case letters"):
        tasks.add_task("My-NLI", files=PATTERNS, **NLI)


# --------------------------------------------------------------------------------------------------
# The config


def test_config_and_add_task_take_the_same_fields():
    nli_files()
    tree = config_lib.default()
    tree.tasks = {"my_nli": {**NLI, "files": PATTERNS, "labels": ["no", "maybe", "yes"]}}
    parsed = config_lib.parse(tree)
    assert config_lib.parse(config_lib.to_dict(parsed)) == parsed
    register_file_tasks(parsed.tasks, where="config.tasks")
    by_config = (tasks.family("my_nli").labels, version())
    tasks.add_task("my_nli", files=PATTERNS, **NLI)
    assert by_config == (tasks.family("my_nli").labels, version())


def test_all_problems_of_a_config_are_reported_at_once():
    tree = config_lib.default()
    tree.tasks = {
        "one": {"kind": "clasification", "files": PATTERNS, "lable": "x"},
        "two": {**NLI, "files": {"tset": "x"}},
        "three": 3,
    }
    tree.nmae = "x"
    with pytest.raises(UserError) as caught:
        config_lib.parse(tree)
    lines = str(caught.value).splitlines()
    assert "config.nmae is not a field; did you mean 'name'?" in lines
    assert "config.tasks.one.lable is not a field of a task of files; did you mean 'labels'?" in lines
    assert "config.tasks.two.files.tset is no split; did you mean 'test'?" in lines
    assert "config.tasks.three is 3; it must be a group of fields" in lines


def test_all_missing_files_of_a_config_are_reported_at_once():
    nli_files()
    write("bad.jsonl", pair("nein"))
    given = {
        "one": FileTask.of({**NLI, "files": {"train": {"en": "x.jsonl"}, "test": {"en": "y.jsonl"}}}),
        "two": FileTask.of({**NLI, "files": {**PATTERNS, "test": {"en": "bad.jsonl"}}}),
    }
    with pytest.raises(UserError) as caught:
        register_file_tasks(given, where="config.tasks")
    lines = [line.split(";")[0].split(" (")[0] for line in str(caught.value).splitlines()]
    assert lines == [
        "config.tasks.one.files.train: there is no file 'x.jsonl'",
        "config.tasks.one.files.test: there is no file 'y.jsonl'",
        "config.tasks.two.files.test: bad.jsonl line 1: label is 'nein', which is not one of the labels",
    ]


# --------------------------------------------------------------------------------------------------
# Counted: what is cut, split or unknown


def build(name: str, split: str, folder: pathlib.Path, **limits) -> cache_lib.Cache:
    family = tasks.task(name).family
    return cache_lib.build(
        name,
        split,
        kind=family.kind,
        tokenizer=load_tokenizer("mini"),
        cache_dir=folder / "cache",
        labels=family.labels,
        limits=Limits(**limits),
    )


def test_a_very_long_word_is_cut_and_told(folder, caplog):
    path = write("t.jsonl", {"text": "x" * 10_000, "label": "a"}, {"text": "short", "label": "b"})
    tasks.add_task("mine", kind="classification", files=both(path))
    cache = build("mine.en", "train", folder, max_length=32)
    assert (cache.meta["counts"]["truncated"], cache.longest) == (1, 32)
    assert "task 'mine.en', split 'train', 2 examples: 1 texts cut to length" in caplog.text
    caplog.clear()
    build("mine.en", "train", folder, max_length=32)
    assert not caplog.text  # told once, when the cache is made


def test_a_very_long_tagged_word_is_unknown_and_told(folder, caplog):
    path = write("t.jsonl", {"words": ["x" * 10_000, "ran"], "tags": ["B-PER", "O"]}, {"words": ["a"], "tags": ["O"]})
    tasks.add_task("mine", kind="tagging", files=both(path))
    cache = build("mine.en", "test", folder, max_length=32)
    assert cache.meta["counts"]["unknown_words"] == 1
    assert len(cache.example(0).inputs[0]) == 10_000  # the text itself stays whole
    assert "2 examples: 1 words unknown to the tokenizer" in caplog.text


def test_a_question_too_long_is_cut_and_told(folder, caplog):
    path = squad("qa.json", asked(question="who " * 200))
    tasks.add_task("mine", kind="span", files=both(path))
    cache = build("mine.en", "test", folder, max_length=128, max_query=16)
    assert cache.meta["counts"]["questions_cut"] == 1
    assert "1 examples: 1 questions cut to length" in caplog.text


def test_unlabelled_and_blank_rows_are_told(folder, caplog):
    write("train.jsonl", {"text": "a", "label": "x"}, {"text": "b", "label": "y"})
    write("test.jsonl", {"text": "a", "label": "x"}, {"text": "b", "label": None}, {"text": "c", "label": ""})
    files = {"train": {"en": "train.jsonl"}, "test": {"en": "test.jsonl"}}
    tasks.add_task("mine", kind="classification", files=files)
    build("mine.en", "test", folder)
    assert "task 'mine.en', split 'test', 3 examples: 2 without a label" in caplog.text
    write_text("t.en.txt", "one\n\ntwo\n")
    tasks.add_task("my_text", kind="mlm", files={"train": "t.{language}.txt"})
    assert len(build("my_text.en", "train", folder)) == 2
    assert "task 'my_text.en', split 'train', 3 examples: 1 blank and left out" in caplog.text


def test_nothing_is_told_where_nothing_is_lost(folder, caplog):
    nli_files()
    tasks.add_task("my_nli", files=PATTERNS, **NLI)
    build("my_nli.en", "train", folder)
    assert "my_nli" not in caplog.text


# --------------------------------------------------------------------------------------------------
# Real files


def test_real_files_of_three_kinds(shared_data):
    raw = shared_data / "raw"
    topics = tasks.add_task(
        "my_topics",
        kind="classification",
        files={split: f"{raw}/sib200/{{language}}/{split}.tsv" for split in ("train", "test")},
        languages=("eng_Latn", "deu_Latn"),
        target="category",
        id="index_id",
        format="quoted_tsv",
    )
    assert len(topics.labels) == 7
    assert topics.train == "my_topics.eng_Latn"
    tasks.add_task(
        "my_copa",
        kind="choice",
        files={"test": f"{raw}/xcopa/{{language}}/test.{{language}}.jsonl"},
        inputs=("premise", "choice1", "choice2"),
        id="idx",
        train="copa.en",
    )
    assert len(tasks.family("my_copa").languages) == 11
    korean = f"{raw}/tydiqa_goldp_train/korean_tydiqa_train.json"
    tasks.add_task("my_tydi", kind="span", files={"test": {"ko": korean}}, train="squad_v1.en")
    (document,) = [json.loads(pathlib.Path(korean).read_text("utf-8"))]
    count = sum(len(p["qas"]) for article in document["data"] for p in article["paragraphs"])
    assert len(read("my_tydi.ko", "test")) == count
