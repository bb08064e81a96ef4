"""Readers of file formats: what a record is, and the file and line of everything that is not one."""

import csv
import gzip
import json

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import formats


@pytest.fixture
def written(tmp_path):
    """`written(text)` is the path of a file with this content."""

    def write(content: str | bytes, name: str = "file"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_json_lines_keep_their_numbers_over_blank_lines(written):
    path = written('{"a": 1}\r\n\n{"a": "\\u00e9\u2028x"}\n')
    records = list(formats.jsonl(path))
    assert [record.fields for record in records] == [{"a": 1}, {"a": "é\u2028x"}]
    assert [record.place.line for record in records] == [1, 3]
    assert str(records[1].place) == f"{path} line 3"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"a": 1}\n{"a": \n', r"file line 2 is not JSON \(Expecting value"),
        ("[1, 2]\n", r"file line 1 holds a list; every line must hold one JSON object"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', r"file line 2 is not UTF-8 text \(byte 0xe9 at column 8"),
    ],
)
def test_a_line_that_is_no_json_object_is_named(written, content, sentence):
    with pytest.raises(UserError, match=sentence):
        list(formats.jsonl(written(content)))


def test_tab_separated_fields_keep_their_quotes(written):
    path = written('text\tlabel\n"so", he said\tgood\n\n5" x 7"\tbad\n')
    records = list(formats.table(path))
    assert [record.fields["text"] for record in records] == ['"so", he said', '5" x 7"']
    assert [record.place.line for record in records] == [2, 4]


def test_a_table_without_a_header_is_given_names(written):
    path = written("gut\tgood\n")
    assert [record.fields for record in formats.table(path, names=("text", "label"))] == [
        {"text": "gut", "label": "good"}
    ]


def test_comma_separated_fields_may_hold_line_ends(written):
    rows = [["text", "label"], ['two\nlines, and a "quote"', "good"], ["one", "bad"]]
    path = written("")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    records = list(formats.table(path, delimiter=",", quoting=csv.QUOTE_MINIMAL))
    assert [list(record.fields.values()) for record in records] == rows[1:]
    assert [record.place.line for record in records] == [2, 4]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "file is empty; its first line must name the columns"),
        ("text,label\na,b\nc\n", "file line 3 has 1 fields; it must have 2: text, label"),
        ("text,label\na,b,c\n", "file line 2 has 3 fields"),
        ("text,text\na,b\n", "file line 1 names the column 'text' twice"),
        ('text,label\na,b\nc,"d\ne,f\n', "file line 3 cannot be read as a table: unexpected end of data"),
    ],
)
def test_a_row_that_does_not_fit_its_table_is_named(written, content, sentence):
    with pytest.raises(UserError, match=sentence):
        list(formats.table(written(content), delimiter=",", quoting=csv.QUOTE_MINIMAL))


CONLL = "-DOCSTART- -X- O\n\nParis NNP B-LOC\nsleeps VBZ O\n\n\nRome NNP B-LOC\n"


def test_conll_sentences(written):
    found = list(formats.conll(written(CONLL)))
    assert [(s.words, s.tags, s.place.line) for s in found] == [
        (("Paris", "sleeps"), ("B-LOC", "O"), 3),
        (("Rome",), ("B-LOC",), 7),
    ]
    assert [s.tags for s in formats.conll(written(CONLL), tag=1)] == [("NNP", "VBZ"), ("NNP",)]


def test_blanks_inside_words_separate_no_columns(written):
    found = list(formats.conll(written("10\u00a0000\tNUM\nNew York\tPROPN\n\n3\u3000m NUM\n")))
    assert [(s.words, s.tags) for s in found] == [
        (("10\u00a0000", "New York"), ("NUM", "PROPN")),
        (("3\u3000m",), ("NUM",)),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("Paris B-LOC\nsleeps\n", r"file line 2 is 'sleeps'; a line must hold at least 2 columns"),
        ("Paris\t\n", r"file line 1 is 'Paris\\t'; a line must hold"),
        ("a NN O\nb NN\n", r"file line 2 is 'b NN', 2 columns; the lines before it have 3"),
    ],
)
def test_a_line_without_word_or_tag_is_named(written, content, sentence):
    with pytest.raises(UserError, match=sentence):
        list(formats.conll(written(content)))


def squad(**changes) -> dict:
    asked = {"id": "q1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 3}]} | changes
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "So Ann ran.", "qas": [asked]}]}]}


def test_squad_questions(written):
    path = written(gzip.compress(json.dumps(squad()).encode()), "squad.json.gz")
    (found,) = formats.squad(path)
    assert (found.id, found.question, found.context) == ("q1", "Who?", "So Ann ran.")
    assert (found.answers, found.starts) == (("Ann",), (3,))
    assert found.at == "data[0].paragraphs[0].qas[0]"
    for none in ([], None):
        (found,) = formats.squad(written(json.dumps(squad(answers=none))))
        assert found.answers == found.starts == ()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "file lacks 'data'; it is a list"),
        ({"dta": []}, "file lacks 'data'; it has dta; did you mean 'dta'"),
        ({"data": {}}, "file: data is a dict; it must be a list"),
        ({"data": [{"paragraph": []}]}, r"file data\[0\] lacks 'paragraphs'; it has paragraph; did you mean"),
        (squad(question=None), r"file, question 'q1': question is None; it must be text"),
        (squad(answers=[{"text": "Ann"}]), "question 'q1', answers lacks 'answer_start'; it has text"),
        (squad(answers=[{"text": "Ann", "answer_start": "3"}]), "answer_start is '3'; it must be a whole number"),
        (squad(answers={"text": ["Ann"]}), "question 'q1': answers is a dict; it must be a list"),
    ],
)
def test_a_squad_file_that_lacks_something_is_named(written, document, sentence):
    with pytest.raises(UserError, match=sentence):
        list(formats.squad(written(json.dumps(document))))


def test_a_squad_file_that_is_no_json_is_named(written):
    with pytest.raises(UserError, match="file is not JSON"):
        list(formats.squad(written('{"data": [')))


def test_real_files_are_read(shared_data):
    raw = shared_data / "raw"
    path = raw / "tydiqa_goldp_train" / "korean_tydiqa_train.json"
    questions = list(formats.squad(path))
    assert questions
    for question in questions:
        for answer, start in zip(question.answers, question.starts, strict=True):
            assert question.context[start : start + len(answer)] == answer
    path = raw / "commonsense_qa" / "v1.0" / "dev_rand_split.jsonl"
    assert len(list(formats.jsonl(path))) == path.read_bytes().count(b"\n")
