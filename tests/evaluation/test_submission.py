"""Submission folders: scores against hand-made cases and counts made here, every bad input, and a study's folder."""

import hashlib
import json
import math
import random
import re
import shutil
import subprocess
import sys

import pytest

from xtreme_stilts import score as command
from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation import metrics, submission
from xtreme_stilts.evaluation.submission import ERROR, WARNING
from xtreme_stilts.evaluation.xtreme_score import MINI, XTREME, XTREME_R
from xtreme_stilts.report import results

NLI = ["contradiction", "entailment", "neutral"]
UPOS = [
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT",
    "SCONJ", "SYM", "VERB", "X",
]  # fmt: skip
WORDS = [f"w{i}" for i in range(20)]
QA = ("xquad", "mlqa", "tydiqa")
ENDINGS = dict.fromkeys(QA, "json") | {"xcopa": "jsonl"}


def put(folder, task, language, text):
    path = folder / task / f"test-{language}.{ENDINGS.get(task, 'tsv')}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def squad(questions):
    """{id: answers} in SQuAD's layout, one article for each."""
    articles = [
        {
            "title": "t",
            "paragraphs": [
                {"context": "c", "qas": [{"id": id_, "question": "?", "answers": [{"text": a} for a in texts]}]}
            ],
        }
        for id_, texts in questions.items()
    ]
    return json.dumps({"version": "1.1", "data": articles})


def lines(values):
    return "".join(f"{value}\n" for value in values)


def tags(sentences):
    return "\n".join(lines(sentence) for sentence in sentences)


def draw(task, rng, *, size):
    """A random answer sheet of one task in one language: what a file holds, before it is written."""
    if task in ("xnli", "pawsx", "xcopa"):
        return [rng.choice({"xnli": NLI, "pawsx": ["0", "1"], "xcopa": [0, 1]}[task]) for _ in range(size)]
    if task in ("udpos", "panx"):
        labels = UPOS if task == "udpos" else ["B-LOC", "I-LOC", "B-PER", "I-PER", "B-ORG", "I-ORG", "O"]
        return [[rng.choice(labels) for _ in range(1 + i % 5)] for i in range(size)]
    if task in QA:
        return {f"q{i}": rng.choice(WORDS) for i in range(size)}
    order = rng.sample(range(size), size)
    return [(f"xx-{i:09}", f"en-{j:09}") for i, j in enumerate(order)] if task == "bucc2018" else order


def content(task, sheet, *, gold):
    if task in ("udpos", "panx"):
        return tags(sheet)
    if task in QA:
        return squad({id_: [text, "never"] for id_, text in sheet.items()}) if gold else json.dumps(sheet)
    if task == "bucc2018":
        return lines("\t".join(pair) for pair in sheet)
    return lines(json.dumps({"idx": 7, "label": label}) for label in sheet) if task == "xcopa" else lines(sheet)


def put_all(folder, suite, *, seed, size, gold):
    """Random sheets of all tasks in all languages; returns them."""
    rng = random.Random(seed)
    sheets = {}
    for task, languages in suite.languages.items():
        for language in languages:
            sheets[task, language] = sheet = draw(task, rng, size=size)
            put(folder, task, language, content(task, sheet, gold=gold))
    return sheets


def sentences(problems, severity):
    return [problem.sentence for problem in problems if problem.severity == severity]


# --------------------------------------------------------------------------------------------------
# Scores


@pytest.mark.parametrize("suite", [XTREME, XTREME_R], ids=lambda suite: suite.name)
def test_gold_against_gold_is_100_for_every_task_and_language(tmp_path, suite):
    put_all(tmp_path / "labels", suite, seed=0, size=3, gold=True)
    put_all(tmp_path / "predictions", suite, seed=0, size=3, gold=False)
    folders = {"labels_dir": tmp_path / "labels", "suite": suite.name}
    assert submission.validate(tmp_path / "predictions", **folders) == ()
    found = submission.score(tmp_path / "predictions", **folders)
    assert list(found.tasks) == list(suite.languages)
    for task, average in found.tasks.items():
        assert average.value == 100.0
        assert all(list(values) == list(suite.languages[task]) for values in average.scores.values())
        assert {value for values in average.scores.values() for value in values.values()} == {100.0}
    assert found.overall == (100.0 if suite is XTREME else None)


def test_the_miniature_has_a_suite_of_its_own(tmp_path):
    for folder, gold in (("labels", True), ("predictions", False)):
        put(tmp_path / folder, "pawsx", "sw", content("pawsx", ["0", "1"], gold=gold))
    found = submission.score(tmp_path / "predictions", labels_dir=tmp_path / "labels", suite="mini")
    assert found.tasks["pawsx"].value == 100.0
    assert "sw" in MINI.languages["pawsx"] and "sw" not in XTREME.languages["pawsx"]


def entities(sentence):
    """{(type, first word, last word)} of a sentence in BIO, where I- after another type begins one, too."""
    found, start = set(), None
    for i, tag in enumerate([*sentence, "O"]):
        if start is not None and (tag[0] in "BO" or tag[2:] != sentence[start][2:]):
            found.add((sentence[start][2:], start, i - 1))
            start = None
        if tag[0] != "O" and start is None:
            start = i
    return found


def expected(task, predicted, gold):
    """A task's one value in one language, counted here from its definition."""
    if task == "panx":
        pairs = [
            {(i, *entity) for i, sentence in enumerate(sheet) for entity in entities(sentence)}
            for sheet in (predicted, gold)
        ]
    elif task == "bucc2018":
        pairs = [set(predicted), set(gold)]
    else:
        same = [predicted[k] == gold[k] for k in (gold if isinstance(gold, dict) else range(len(gold)))]
        return 100 * sum(same) / len(same)  # one-word answers: exact match is F1
    return 100 * 2 * len(pairs[0] & pairs[1]) / (len(pairs[0]) + len(pairs[1]))


def test_random_predictions_score_what_is_counted_here_and_about_chance(tmp_path):
    size = 60
    gold = put_all(tmp_path / "labels", XTREME, seed=1, size=size, gold=True)
    predicted = put_all(tmp_path / "predictions", XTREME, seed=2, size=size, gold=False)
    found = submission.score(tmp_path / "predictions", labels_dir=tmp_path / "labels")
    values = {}
    for task, languages in XTREME.languages.items():
        if task == "udpos":  # its chunks are another test's; here, that the file means what the metric is given
            direct = [metrics.metric("chunk_f1")(predicted[task, x], gold[task, x])["f1"] for x in languages]
        else:
            direct = [expected(task, predicted[task, x], gold[task, x]) for x in languages]
        values[task] = sum(direct) / len(direct)
        assert found.tasks[task].value == pytest.approx(values[task])
    assert found.overall == pytest.approx(sum(values.values()) / 9)
    assert found.groups["qa"] == pytest.approx((values["xquad"] + values["mlqa"] + values["tydiqa"]) / 3)
    chance = {"xnli": 1 / 3, "pawsx": 1 / 2, "xquad": 1 / len(WORDS), "tatoeba": 1 / size}
    for task, level in chance.items():
        deviation = math.sqrt(level * (1 - level) / (size * len(XTREME.languages[task])))
        assert abs(values[task] / 100 - level) < 4 * deviation
    assert found.tasks["panx"].averages["accuracy"] == pytest.approx(100 / 7, abs=2)
    assert found.tasks["udpos"].averages["accuracy"] == pytest.approx(100 / 17, abs=2)


@pytest.fixture
def folders(tmp_path):
    """Predictions and labels of one language of seven tasks; what they score is worked out in MIXED."""
    labels, predictions = tmp_path / "labels", tmp_path / "predictions"
    put(labels, "xnli", "sw", lines(["neutral", "entailment", "neutral", "contradiction"]))
    put(predictions, "xnli", "sw", lines(["neutral", "neutral", "neutral", "contradiction"]))
    put(labels, "panx", "en", tags([["B-PER", "I-PER", "O"], ["O", "B-LOC"], ["B-ORG"]]))
    put(predictions, "panx", "en", tags([["B-PER", "I-PER", "O"], ["B-LOC", "B-LOC"], ["B-LOC"]]))
    put(labels, "udpos", "en", tags([["NOUN", "VERB"], ["PUNCT"]]))
    put(predictions, "udpos", "en", tags([["NOUN", "X"], ["PUNCT"]]))
    put(labels, "tydiqa", "en", squad({"a": ["the blue cat"], "b": ["dog", "big dog"]}))
    put(predictions, "tydiqa", "en", json.dumps({"a": "A cat!", "b": "big dog"}))
    put(labels, "mlqa", "de", squad({"a": ["Haus"]}))
    put(predictions, "mlqa", "de", json.dumps({"a": "das Haus"}))
    put(labels, "bucc2018", "de", lines(f"de-{i}\ten-{i}" for i in range(4)))
    put(predictions, "bucc2018", "de", lines(["de-0\ten-0", "de-2\ten-2", "de-1\ten-3"]))
    put(labels, "tatoeba", "fi", lines([2, 0, 3, 1]))
    put(predictions, "tatoeba", "fi", lines([2, 1, 3, 3]))
    return {"predictions_dir": predictions, "labels_dir": labels}


MIXED = {
    ("xnli", "accuracy", "sw"): 75,
    ("panx", "precision", "en"): 50,  # 2 of 4
    ("panx", "recall", "en"): 200 / 3,  # 2 of 3
    ("panx", "f1", "en"): 400 / 7,
    ("panx", "accuracy", "en"): 400 / 6,
    ("udpos", "f1", "en"): 400 / 6,
    ("tydiqa", "exact_match", "en"): 50,
    ("tydiqa", "f1", "en"): 100 * (2 / 3 + 1) / 2,  # "cat" against "blue cat"
    ("mlqa", "exact_match", "de"): 100,  # "das" is an article
    ("bucc2018", "precision", "de"): 200 / 3,
    ("bucc2018", "recall", "de"): 50,
    ("bucc2018", "f1", "de"): 400 / 7,
    ("tatoeba", "accuracy", "fi"): 50,
}


def test_a_mixed_case_by_hand(folders):
    read = submission.read(**folders)
    found = read.score()
    for (task, metric, language), value in MIXED.items():
        assert found.tasks[task].scores[metric][language] == pytest.approx(value), (task, metric)
    assert found.tasks["tydiqa"].value == pytest.approx((50 + 100 * 5 / 6) / 2)
    assert found.overall is None and found.groups == {}
    assert set(found.absent) == set(XTREME.languages)
    assert sentences(read.problems, ERROR) == []


# --------------------------------------------------------------------------------------------------
# Bad input

BAD = [
    # What the official script cannot score, or scores as something else.
    ("xnli/test-sw.tsv", "neutral\nneutral\nneutral\n", ERROR, r"test-sw.tsv: holds 3 lines; the labels have 4$"),
    ("xnli/test-sw.tsv", "neutral\nnetral\nneutral\nneutral\n", ERROR, r"line 2: 'netral' is .* mean 'neutral'\?$"),
    ("xnli/test-sw.tsv", "neutral\n\nneutral\nneutral\n", ERROR, r"line 2: blank"),
    ("xnli/test-sw.tsv", "neutral\nneutral\nneutral\nneutral\n\n", ERROR, r"line 5: blank"),
    ("xnli/test-sw.tsv", b"neutral\nneutr\xe4l\nneutral\nneutral\n", ERROR, r"test-sw.tsv line 2 is not UTF-8"),
    ("xnli/test-sw.tsv", None, ERROR, r"test-sw.tsv: no such file$"),
    ("xnli/test-sw.tsv", "", ERROR, r"holds 0 lines; the labels have 4"),
    ("panx/test-en.tsv", "B-PER\nI-PER\n\nO\nO\n\nO\n", ERROR, r"line 1: sentence 1 has 2 tags; the labels have 3$"),
    ("panx/test-en.tsv", "B-PER\nI-PER\nO\n\nO\n\nO\n", ERROR, r"line 5: sentence 2 has 1 tag; the labels have 2$"),
    (
        "panx/test-en.tsv",
        "B-PER\nI-PER\nO\nO\nO\n\nO\n",
        ERROR,
        r"holds 2 sentences; the labels have 3; they first differ at sentence 1 \(line 1\): 5 tags, labels 3$",
    ),
    ("panx/test-en.tsv", "B-PER\nI-PER\nO\n\nO\nO\n", ERROR, r"holds 2 sentences; the labels have 3$"),
    ("panx/test-en.tsv", "\nB-PER\nI-PER\nO\n\nO\nO\n\nO\n", ERROR, r"line 1: blank without a sentence"),
    ("panx/test-en.tsv", "B-PER\nI-PER\nO\n\n\nO\nO\n\nO\n", ERROR, r"line 5: blank without a sentence"),
    ("panx/test-en.tsv", "B-PER\nI-PERS\nO\n\nO\nO\n\nO\n", ERROR, r"line 2: 'I-PERS' is .* mean 'I-PER'\?$"),
    ("panx/test-en.tsv", "Ann\tB-PER\nI-PER\nO\n\nO\nO\n\nO\n", ERROR, r"line 1: 'Ann\\tB-PER' is not a label"),
    ("tydiqa/test-en.json", '{"a": "x",\n "b" "y"}', ERROR, r"test-en.json line 2: not JSON: .* at column 6$"),
    ("tydiqa/test-en.json", '["x"]', ERROR, r"holds a list; it must be an object"),
    (
        "tydiqa/test-en.json",
        '{"a": "x",\n"b": ["y"]}',
        ERROR,
        r"line 2: answers that are not text: 1, as \['y'\] to 'b'",
    ),
    ("bucc2018/test-de.tsv", "de-0\ten-0\nde-1 en-1\n", ERROR, r"line 2: 'de-1 en-1' is not two ids"),
    ("bucc2018/test-de.tsv", "de-0\ten-0\n\nde-1\ten-1\n", ERROR, r"line 2: '' is not two ids"),
    (
        "bucc2018/test-de.tsv",
        "de-0\ten-0\nen-1\tde-1\n",
        ERROR,
        r"line 2: pairs with the English id first: 1, as 'en-1 de-1'",
    ),
    ("bucc2018/test-de.tsv", "en-1\tde-77\n", ERROR, r"line 1: pairs with the English id first: 1, as 'en-1 de-77'"),
    ("bucc2018/test-de.tsv", "en-77\tde-1\n", ERROR, r"line 1: pairs with the English id first: 1, as 'en-77 de-1'"),
    ("tatoeba/test-fi.tsv", "2\n1\n3\n-1\n", ERROR, r"line 4: '-1' is not a row"),
    ("tatoeba/test-fi.tsv", "2\n1.0\n3\n3\n", ERROR, r"line 2: '1.0' is not a row"),
    # What it lets pass.
    ("tatoeba/test-fi.tsv", "2\n4\n3\n3\n", WARNING, r"line 2: row 4 counts as wrong; rows are 0 to 3$"),
    ("tydiqa/test-en.json", '{"a": "cat"}', WARNING, r"questions without an answer: 1 of 2, as 'b'; they count 0$"),
    (
        "tydiqa/test-en.json",
        '{"a": "x", "b": "y",\n"bb": "z"}',
        WARNING,
        r"line 2: answers .*: 1 of 3, as 'bb', .* mean 'b'\?$",
    ),
    (
        "tydiqa/test-en.json",
        '{"a": "x",\n"b": "y",\n"a": "z"}',
        WARNING,
        r"line 3: questions answered twice: 1, as 'a'",
    ),
    ("bucc2018/test-de.tsv", "de-0\ten-0\nde-0\ten-0\n", WARNING, r"line 2: the pair of line 1 again"),
    ("bucc2018/test-de.tsv", "", WARNING, r"holds no pairs; the score is 0"),
    (
        "xnli/test-cn.tsv",
        "neutral\n",
        WARNING,
        r"test-cn.tsv: not a file of xnli, ignored; did you mean 'test-\w+.tsv'",
    ),
    ("xnly/test-sw.tsv", "neutral\n", WARNING, r"xnly: not a task of xtreme, ignored; did you mean 'xnli'\?$"),
]


@pytest.mark.parametrize(("file", "text", "severity", "sentence"), BAD)
def test_bad_predictions_get_a_sentence(folders, file, text, severity, sentence):
    path = folders["predictions_dir"] / file
    before = submission.validate(**folders)
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    new = [problem for problem in submission.validate(**folders) if problem not in before]
    assert [problem.severity for problem in new] == [severity], new
    assert re.search(sentence, new[0].sentence), new[0].sentence
    assert str(path.parent) in new[0].sentence
    if severity == ERROR:
        with pytest.raises(UserError, match=re.escape(new[0].sentence)):
            submission.score(**folders)
    else:
        submission.score(**folders)


TWICE = json.dumps({"data": 2 * json.loads(squad({"a": ["x"]}))["data"]})


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("xnli/test-sw.tsv", None, "no such file"),
        ("xnli/test-sw.tsv", "", "holds no examples"),
        ("xnli/test-sw.tsv", "neutral\nentail\nneutral\nneutral\n", "line 2: 'entail' is not a label"),
        ("bucc2018/test-de.tsv", "", "holds no examples"),
        ("tydiqa/test-en.json", '{"a": ["x"]}', "not in SQuAD's layout"),
        ("tydiqa/test-en.json", '{"data": [{"paragraphs": [{"qas": [{"id": "a"}]}]}]}', "lacks 'answers'"),
        ("tydiqa/test-en.json", squad({"a": [], "b": ["x"]}), "questions without an answer, .*: 1, as 'a'"),
        ("tydiqa/test-en.json", squad({1: ["x"]}).replace('"1"', "1"), "id and text must be text, found 1"),
        ("tydiqa/test-en.json", squad({"a": "x"}).replace('"1.1"', '1').replace('"data"', '"dat"'), "must be a list"),
        ("tydiqa/test-en.json", TWICE, "questions that are there twice: 1, as 'a'"),
    ],
)  # fmt: skip
def test_bad_labels_get_a_sentence(folders, file, text, sentence):
    path = folders["labels_dir"] / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        submission.score(**folders)
    assert str(path) in str(caught.value)


def test_everything_is_told_at_once_and_repetition_is_counted(folders):
    put(folders["predictions_dir"], "xnli", "sw", lines(["maybe"] * 25))
    put(folders["predictions_dir"], "tatoeba", "fi", lines("abcd"))
    errors = sentences(submission.validate(**folders), ERROR)
    assert len(errors) == submission.SHOWN + 1 + 4
    assert any(sentence.endswith("15 more errors like these") for sentence in errors)
    with pytest.raises(UserError) as caught:
        submission.score(**folders)
    assert str(caught.value).splitlines() == errors


def test_a_task_that_is_not_there_is_named_and_not_scored(folders):
    shutil.rmtree(folders["predictions_dir"] / "xnli")
    shutil.rmtree(folders["labels_dir"] / "mlqa")
    read = submission.read(**folders)
    warnings = sentences(read.problems, WARNING)
    assert f"{folders['predictions_dir'] / 'xnli'}: no such folder; the task is not submitted" in warnings
    assert f"{folders['labels_dir'] / 'mlqa'}: no such folder; the task is not scored" in warnings
    assert read.score().tasks.keys() == {"panx", "udpos", "tydiqa", "bucc2018", "tatoeba"}


def test_languages_that_neither_folder_has_are_named(folders):
    warnings = sentences(submission.validate(**folders), WARNING)
    assert any("3 of bucc2018's languages (fr, ru, zh)" in sentence for sentence in warnings)


def test_folders_that_cannot_be_scored(tmp_path, folders):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        submission.score(tmp_path / "nowhere", labels_dir=folders["labels_dir"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no task can be scored"):
        submission.score(tmp_path / "empty", labels_dir=folders["labels_dir"])
    with pytest.raises(UserError, match="'xtrem'; did you mean 'xtreme'"):
        submission.validate(**folders, suite="xtrem")


def test_line_ends_of_windows_and_a_blank_last_line_of_tags_are_fine(folders):
    for name in ("xnli/test-sw.tsv", "panx/test-en.tsv"):
        path = folders["predictions_dir"] / name
        path.write_text(path.read_text().replace("\n", "\r\n") + ("\r\n" if "panx" in name else ""), newline="")
    found = submission.score(**folders)
    assert found.tasks["xnli"].scores["accuracy"]["sw"] == MIXED["xnli", "accuracy", "sw"]
    assert found.tasks["panx"].scores["f1"]["en"] == pytest.approx(MIXED["panx", "f1", "en"])


def test_the_class_that_official_taggers_have_besides_parts_of_speech_is_accepted(folders):
    put(folders["predictions_dir"], "udpos", "en", tags([["NOUN", "O"], ["PUNCT"]]))
    assert submission.score(**folders).tasks["udpos"].scores["accuracy"]["en"] == pytest.approx(200 / 3)


def test_xtreme_r_reads_xcopa_and_says_what_it_cannot_score(tmp_path):
    put(tmp_path / "labels", "xcopa", "qu", lines(f'{{"premise": "p", "label": {i}}}' for i in (0, 1, 1, 0)))
    path = put(tmp_path / "predictions", "xcopa", "qu", lines(f'{{"label": {i}}}' for i in (0, 1, 0, 0)))
    (tmp_path / "predictions" / "mewslix").mkdir()
    folders = {"labels_dir": tmp_path / "labels", "suite": "xtreme_r"}
    read = submission.read(tmp_path / "predictions", **folders)
    assert read.score().tasks["xcopa"].scores["accuracy"] == {"qu": 75.0}
    assert any("mewslix belongs to xtreme_r but cannot be scored here" in each.sentence for each in read.problems)
    path.write_text('{"label": 0}\n1\n{"label": "1"}\n{"label": 2}\n')
    errors = sentences(submission.validate(tmp_path / "predictions", **folders), ERROR)
    assert ["line 2: '1' is not an object with a label" in errors[0], "number 0 or 1" in errors[1]] == [True, True]
    assert "line 4: label is 2" in errors[2] and len(errors) == 3


# --------------------------------------------------------------------------------------------------
# From a study


def jsonl(rows):
    return lines(json.dumps(row, ensure_ascii=False) for row in rows)


class Study:
    """A study directory as far as `write` looks: results.csv, predictions, caches of retrieval tasks."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = []

    def add(self, target, language, predictions, *, row="none", seed=0, examples=0, model="mini", fingerprint=""):
        fingerprint = fingerprint or hashlib.sha256(f"{target}{row}{seed}".encode()).hexdigest()
        phase = self.folder / "phases" / f"{target}-seed{seed}-{fingerprint[:12]}" / "evaluations" / target
        phase.mkdir(parents=True, exist_ok=True)
        (phase / f"{language}.jsonl").write_text(jsonl(predictions))
        self.rows += [
            results.Result(model=model, intermediate=row, target=target, language=language, split="test", value=1.0,
                           metric=metric, examples=examples or len(predictions), seed=seed, fingerprint=fingerprint)
            for metric in ("f1", "chance")
        ]  # fmt: skip
        results.write(self.folder / "results.csv", self.rows)

    def cache(self, task, examples, *, key="0123456789abcdef"):
        folder = self.folder / "cache" / f"{task}-test-{key}"
        folder.mkdir(parents=True)
        (folder / "examples.jsonl").write_text(jsonl(examples))


@pytest.fixture
def study(tmp_path):
    made = Study(tmp_path / "study")

    def rows(*pairs):
        return [{"id": str(i), "prediction": p, "target": t} for i, (p, t) in enumerate(pairs)]

    made.add("xnli", "sw", rows(("neutral", "neutral"), ("neutral", "entailment")))
    made.add("panx", "en", rows((["B-PER", "O"], ["B-PER", "I-PER"]), (["O"], ["O"])))
    made.add("tydiqa", "fi", rows(("Åbo", ["Åbo", "Turku"]), ("x", ["y"])))
    made.add("tatoeba", "fi", rows(("2", "0"), ("1", "1"), ("2", "2")))
    made.cache("tatoeba.fi_en", [{"id": str(i), "inputs": [text]} for i, text in enumerate(["b", "c", "a"])])
    lines = [
        {"source": "de-1", "target": "en-7", "mined": True, "gold": True, "margin": 1.2, "threshold": 1.0},
        {"source": "de-2", "target": "en-5", "mined": True, "gold": False, "margin": 1.1, "threshold": 1.0},
        {"source": "de-1", "target": "en-8", "mined": False, "gold": True},
        {"source": "de-3", "target": "en-9", "mined": False, "gold": True},
    ]
    made.add("bucc2018", "de", lines, examples=3)
    made.add("anli", "en", rows(("a", "b")))
    made.add("xnli", "sw", rows(("entailment", "neutral"), ("entailment", "entailment")), row="mnli", seed=3)
    return made


def write_both(study, out, **asked):
    asked = {"row": "none", "seed": 0} | asked
    predictions = submission.write(study.folder, out_dir=out / "predictions", **asked)
    labels = submission.write_labels(study.folder, out_dir=out / "labels", **asked)
    return predictions, labels


def test_a_study_becomes_a_submission(tmp_path, study):
    predictions, labels = write_both(study, tmp_path)
    tasks = {"xnli": ("sw",), "panx": ("en",), "tydiqa": ("fi",), "bucc2018": ("de",), "tatoeba": ("fi",)}
    assert predictions.languages == labels.languages == tasks
    assert predictions.notes == labels.notes == ()
    texts = {
        path.relative_to(tmp_path).as_posix(): path.read_text()
        for side in (predictions, labels)
        for path in side.folder.glob("*/*")
    }
    assert texts["predictions/xnli/test-sw.tsv"] == "neutral\nneutral\n"
    assert texts["labels/xnli/test-sw.tsv"] == "neutral\nentailment\n"
    assert texts["predictions/panx/test-en.tsv"] == "B-PER\nO\n\nO\n"
    assert json.loads(texts["predictions/tydiqa/test-fi.json"]) == {"0": "Åbo", "1": "x"}
    # English sentences sorted are a (row 2), b (row 0), c (row 1).
    assert texts["labels/tatoeba/test-fi.tsv"] == "2\n0\n1\n"
    assert texts["predictions/tatoeba/test-fi.tsv"] == "2\n2\n1\n"
    assert texts["predictions/bucc2018/test-de.tsv"] == "de-1\ten-7\nde-2\ten-5\n"
    assert texts["labels/bucc2018/test-de.tsv"] == "de-1\ten-7\nde-1\ten-8\nde-3\ten-9\n"
    found = submission.score(predictions.folder, labels_dir=labels.folder)
    assert {task: round(average.value, 6) for task, average in found.tasks.items()} == {
        "xnli": 50, "panx": 0, "tydiqa": 50, "bucc2018": 40, "tatoeba": 66.666667,
    }  # fmt: skip


def test_another_row_and_seed(tmp_path, study):
    written, _ = write_both(study, tmp_path, row="mnli", seed=3)
    assert written.languages == {"xnli": ("sw",)}
    assert (written.folder / "xnli/test-sw.tsv").read_text() == "entailment\nentailment\n"


def test_without_its_cache_what_cannot_be_written_is_named(tmp_path, study):
    shutil.rmtree(study.folder / "cache")
    predictions, labels = write_both(study, tmp_path)
    assert any("tatoeba fi: the English sentences are not" in note for note in predictions.notes)
    assert (labels.folder / "tatoeba/test-fi.tsv").read_text() == "0\n1\n2\n"


def test_the_cache_may_be_elsewhere(tmp_path, study):
    (study.folder / "cache").rename(tmp_path / "elsewhere")
    (study.folder / "config.json").write_text(json.dumps({"cache_dir": str(tmp_path / "elsewhere")}))
    _, labels = write_both(study, tmp_path)
    assert (labels.folder / "tatoeba/test-fi.tsv").read_text() == "2\n0\n1\n"


def test_caches_of_other_data_are_passed_over(tmp_path, study):
    study.cache("tatoeba.fi_en", [{"id": "0", "inputs": ["z"]}, {"id": "1", "inputs": ["y"]}], key="0" * 16)
    _, labels = write_both(study, tmp_path)
    assert (labels.folder / "tatoeba/test-fi.tsv").read_text() == "2\n0\n1\n"


def test_families_of_the_miniature(tmp_path):
    made = Study(tmp_path / "study")
    made.add("mini_pawsx", "sw", [{"id": "0", "prediction": "0", "target": "1"}])
    written, _ = write_both(made, tmp_path, suite="mini")
    assert written.languages == {"pawsx": ("sw",)}
    with pytest.raises(UserError, match="no task of xtreme, but mini_pawsx; suites: xtreme, xtreme_r, mini"):
        write_both(made, tmp_path / "again")


def test_xcopa_of_a_study(tmp_path):
    made = Study(tmp_path / "study")
    made.add("xcopa", "qu", [{"id": "0", "prediction": "0", "target": "1"}])
    written, labels = write_both(made, tmp_path, suite="xtreme_r")
    found = submission.score(written.folder, labels_dir=labels.folder, suite="xtreme_r")
    assert found.tasks["xcopa"].scores["accuracy"] == {"qu": 0.0}
    assert json.loads((labels.folder / "xcopa/test-qu.jsonl").read_text()) == {"label": 1}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"row": "mnly"}, "there is no row 'mnly'; did you mean 'mnli'"),
        ({"seed": 5}, "row 'none' has no seed 5; it has 0"),
        ({"suite": "xtreme-r"}, "did you mean 'xtreme_r'"),
    ],
)
def test_a_row_that_the_study_lacks(tmp_path, study, asked, sentence):
    with pytest.raises(UserError, match=sentence):
        write_both(study, tmp_path, **asked)


def test_a_study_that_cannot_be_written(tmp_path, study):
    first, _ = write_both(study, tmp_path / "first")
    with pytest.raises(UserError, match="not empty"):
        submission.write(study.folder, row="none", seed=0, out_dir=first.folder)
    with pytest.raises(UserError, match=r"nowhere.results\.csv: no such file"):
        submission.write(tmp_path / "nowhere", row="none", seed=0, out_dir=tmp_path / "out")
    folder = next((study.folder / "phases").glob("xnli-seed0-*"))
    shutil.move(folder, study.folder / "moved")
    with pytest.raises(UserError, match="found 0 folders that end in"):
        write_both(study, tmp_path / "second")
    shutil.move(study.folder / "moved", folder)
    study.add("xnli", "fi", [{"id": "0", "prediction": "neutral", "target": "neutral"}])
    with pytest.raises(UserError, match="xtreme has no 'fi' in xnli"):
        write_both(study, tmp_path / "third")
    study.rows = [each for each in study.rows if each.language != "fi" or each.target != "xnli"]
    study.add("xnli", "sw", [], fingerprint="e" * 64)
    with pytest.raises(UserError, match="has 2 phases for xnli sw; one is needed"):
        write_both(study, tmp_path / "third")
    study.add("xnli", "sw", [], model="other", fingerprint="f" * 64)
    with pytest.raises(UserError, match="has scores of mini, other; one model"):
        write_both(study, tmp_path / "fourth")


@pytest.mark.parametrize(
    ("target", "line", "sentence"),
    [
        ("tatoeba", {"id": "0", "prediction": "x", "target": "0"}, "line 1: prediction is 'x'; it must be a row"),
        ("panx", {"id": "7", "prediction": ["O", ""], "target": ["O", "O"]}, "sentence '7' has the prediction"),
        ("tydiqa", {"id": "7", "prediction": "x", "target": ["x"]}, "1 question ids are there twice"),
        ("tydiqa", {"id": "7", "predicton": "x", "target": ["x"]}, "line 1 lacks 'prediction'.* mean 'predicton'"),
    ],
)
def test_predictions_that_have_no_place_in_a_submission(tmp_path, target, line, sentence):
    made = Study(tmp_path / "study")
    made.add(target, "fi", [line, line])
    with pytest.raises(UserError, match=rf"fi\.jsonl.*{sentence}"):
        write_both(made, tmp_path)


# --------------------------------------------------------------------------------------------------
# The command


def test_the_command_scores(tmp_path, folders):
    shutil.rmtree(folders["labels_dir"] / "mlqa")
    arguments = ["--predictions", folders["predictions_dir"], "--labels", folders["labels_dir"]]
    done = subprocess.run(
        [sys.executable, "-m", "xtreme_stilts.score", *arguments, "--json", tmp_path / "scores.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown == json.loads((tmp_path / "scores.json").read_text())
    assert shown["overall"] is None and shown["groups"] == {}
    assert shown["tasks"]["bucc2018"]["f1"]["de"] == pytest.approx(MIXED["bucc2018", "f1", "de"])
    assert shown["tasks"]["xnli"]["avg_metric"] == 75.0
    assert "no overall score: it also needs xnli (lacks ar, bg, " in done.stderr
    assert "warning: " in done.stderr and "error" not in done.stderr


def test_the_command_says_what_is_wrong(folders, capsys):
    arguments = ["--predictions", str(folders["predictions_dir"]), "--labels", str(folders["labels_dir"])]
    put(folders["predictions_dir"], "xnli", "sw", "neutral\nnetral\n")
    assert command.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: " in shown.err and "line 2: 'netral' is not a label; did you mean 'neutral'?" in shown.err
    assert command.main([*arguments, "--study", "x"]) == 2
    assert "give --predictions and --labels, or --study" in capsys.readouterr().err


def test_the_command_writes_what_it_scores(tmp_path, study, capsys):
    out = tmp_path / "out"
    assert command.main(["--study", str(study.folder), "--row", "none", "--write", str(out)]) == 0
    assert "predictions: xnli (1), panx (1)" in capsys.readouterr().out
    assert command.main(["--predictions", str(out / "predictions"), "--labels", str(out / "labels")]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["xnli"]["accuracy"] == {"sw": 50.0}
    assert command.main(["--study", str(study.folder), "--row", "none", "--write", str(out)]) == 2


def test_the_command_starts_without_tensorflow_and_jax():
    code = "import sys, xtreme_stilts.score; print({'tensorflow', 'jax', 'pandas', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
