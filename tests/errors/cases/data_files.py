"""Files that a config makes a task of."""

import json
from typing import Any

from tests.errors.harness import Case, Content, config_file

TITLE = "Data files"


def jsonl(*rows: Any) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


YES, NO = {"text": "a b", "label": "yes"}, {"text": "c", "label": "no"}
ROWS = jsonl(YES, NO)
FILES = {"train": "train.{language}.jsonl", "test": "test.{language}.jsonl"}


def _task(given: str, *says: str, rows: dict[str, Content] | None = None, lines: int = 1, **fields: Any) -> Case:
    """A classification task of train.en.jsonl and test.en.jsonl unless said otherwise."""
    task = {"kind": "classification", "files": FILES, **fields}
    change = f"made.tasks, made.targets = {{'mine': {task!r}}}, ('mine',)"
    made = {"my.py": config_file(change), "train.en.jsonl": ROWS, "test.en.jsonl": ROWS, **(rows or {})}
    return Case(given=given, command="main --config=my.py", files=made, says=says, lines=lines)


def _table(given: str, text: str, *says: str, suffix: str = "tsv", **fields: Any) -> Case:
    """A test file in another format."""
    files = {**FILES, "test": f"test.{{language}}.{suffix}"}
    return _task(given, *says, rows={f"test.en.{suffix}": text}, files=files, **fields)


def _test(given: str, row: Any, *says: str, **fields: Any) -> Case:
    """A bad third line of the test file."""
    text = row if isinstance(row, str) else jsonl(row)
    return _task(given, *says, rows={"test.en.jsonl": ROWS + text}, **fields)


def _squad(given: str, answers: Any, *says: str, context: Any = "The cat sat.") -> Case:
    """One question."""
    asked = {"id": "q7", "question": "Who?", "answers": answers}
    train = {"data": [{"paragraphs": [{"context": "A b.", "qas": [_asked("A", 0)]}]}]}
    test = {"data": [{"paragraphs": [{"context": context, "qas": [asked]}]}]}
    rows = {"train.en.json": json.dumps(train), "test.en.json": json.dumps(test)}
    files = {"train": "train.{language}.json", "test": "test.{language}.json"}
    return _task(given, *says, kind="span", rows=rows, files=files)


def _asked(text: str, start: int) -> dict[str, Any]:
    return {"id": "q1", "question": "What?", "answers": [{"text": text, "answer_start": start}]}


def _tagged(given: str, text: str, *says: str) -> Case:
    """A CoNLL test file."""
    rows = {"train.en.conll": "The O\nSun B-X\n\n", "test.en.conll": text}
    files = {"train": "train.{language}.conll", "test": "test.{language}.conll"}
    return _task(given, *says, kind="tagging", rows=rows, files=files)


CASES = [
    _task("a kind of task that there is none of", "config.tasks.mine.kind", "did you mean 'tagging'", kind="taging"),
    _task("a misspelled field of a task", "config.tasks.mine.lables", "did you mean 'labels'", lables=("no", "yes")),
    _task("one label only", "config.tasks.mine.labels", "two or more", labels=("yes",)),
    _task("a metric of another kind", "config.tasks.mine.metric", "accuracy", metric="squad_v1"),
    _task("examples of three tokens", "config.tasks.mine.max_length is 3", "at least 8", max_length=3),
    _task(
        "files without a training set", "config.tasks.mine.files", "'train'", files={"test": "test.{language}.jsonl"}
    ),
    _task(
        "a path with another name in braces",
        "config.tasks.mine.files.test",
        "{lang}",
        "{language}",
        files={**FILES, "test": "test.{lang}.jsonl"},
    ),
    _task(
        "a misspelled file name",
        "config.tasks.mine.files.test",
        "tst.en.jsonl",
        "did you mean 'test.en.jsonl'",
        files={**FILES, "test": {"en": "tst.en.jsonl"}},
    ),
    _task(
        "a suffix that tells no format",
        "config.tasks.mine.files.test",
        "test.en.dat",
        "jsonl",
        files={**FILES, "test": "test.en.dat"},
        rows={"test.en.dat": ROWS},
    ),
    Case(
        given="a task with a built-in family's name",
        command="main --config=my.py",
        files={
            "my.py": config_file(f"made.tasks = {{'xnli': {{'kind': 'classification', 'files': {FILES!r}}}}}"),
            "train.en.jsonl": ROWS,
            "test.en.jsonl": ROWS,
        },
        says=("config.tasks.xnli", "another family", "choose another"),
    ),
    _test("a label that the training files lack", {"text": "d", "label": "mayb"}, "line 3", "'mayb'", "valid: no, yes"),
    _test("a row without its text", {"txt": "d", "label": "yes"}, "line 3", "'text'", "did you mean 'txt'"),
    _test("a blank text", {"text": " ", "label": "yes"}, "line 3", "text is blank"),
    _test("a number for a text", {"text": 7, "label": "yes"}, "line 3", "text is 7", "must be text"),
    _test("a line that is no JSON", "{'text': 1}\n", "line 3", "not JSON"),
    _test("a line that is no object", [1, 2], "line 3", "a list", "one JSON object"),
    _task(
        "the same id twice",
        "line 2",
        "'x'",
        "ids must differ",
        rows={"test.en.jsonl": jsonl({"id": "x", **YES}, {"id": "x", **NO})},
    ),
    _task("an empty file", "test.en.jsonl", "no rows", rows={"test.en.jsonl": ""}),
    _task(
        "a training row without a label", "line 2", "lacks 'label'", rows={"train.en.jsonl": jsonl(YES, {"text": "c"})}
    ),
    _task("a file that is not UTF-8", "line 2", "not UTF-8", rows={"test.en.jsonl": ROWS.encode()[:33] + b"\xff\n"}),
    _task(
        "a packed file that is not packed",
        "test.en.jsonl.gz",
        "cannot be read",
        files={**FILES, "test": "test.{language}.jsonl.gz"},
        rows={"test.en.jsonl.gz": ROWS},
    ),
    _table("a table whose second row has a cell too few", "text\tlabel\na b\n", "line 2", "1 fields", "text, label"),
    _table("a table with one name for two columns", "text\ttext\na\tb\n", "line 1", "'text' twice"),
    _table(
        "a table without the label's column", "text\tlabels\na\tyes\n", "line 2", "'label'", "did you mean 'labels'"
    ),
    _table("a quote that is never closed", 'text,label\n"a,yes\n', "line 2", "table", suffix="csv"),
    _task(
        "a target that is no number",
        "line 2",
        "'high'",
        "finite number",
        kind="regression",
        rows={
            "train.en.jsonl": jsonl({"text": "a", "label": 0.5}),
            "test.en.jsonl": jsonl({"text": "a", "label": 1}, {"text": "b", "label": "high"}),
        },
    ),
    _task(
        "a row with a choice too few",
        "line 2",
        "2 choices",
        "3",
        kind="choice",
        rows={
            "train.en.jsonl": jsonl({"context": "a", "choices": ["b", "c", "d"], "label": 0}),
            "test.en.jsonl": jsonl(
                {"context": "a", "choices": ["b", "c", "d"], "label": 0}, {"context": "a", "choices": ["b", "c"]}
            ),
        },
    ),
    _tagged("a word without a tag", "The O\nSun\n", "line 2", "'Sun'", "2 columns"),
    _tagged("an unknown tag", "The O\nSun B-Y\n", "line 1", "'Sun'", "'B-Y'", "did you mean 'B-X'"),
    _squad(
        "an answer that does not stand where it says",
        [{"text": "cat", "answer_start": 5}],
        "'q7'",
        "answer_start 5",
        "it stands at 4",
    ),
    _squad("an answer that stands nowhere", [{"text": "dog", "answer_start": 4}], "'q7'", "nowhere in the context"),
    _squad("a question without an answer", [], "'q7'", "squad_v2"),
    _squad("a context that is no text", [{"text": "a", "answer_start": 0}], "context is 3", "text", context=3),
]
