"""Folders of predictions that `score` reads."""

import json

from tests.errors.harness import Case

TITLE = "Submissions"
COMMAND = "score --predictions=p --labels=l"


def _one(given: str, task: str, predicted: str | bytes, gold: str | bytes, *says: str, lines: int = 1) -> Case:
    """One task in one language."""
    name = f"{task}/test-de.{'json' if task in ('xquad', 'mlqa', 'tydiqa') else 'tsv'}"
    if task == "tydiqa":
        name = name.replace("-de", "-fi")
    return Case(given=given, command=COMMAND, files={f"p/{name}": predicted, f"l/{name}": gold}, says=says, lines=lines)


SQUAD = json.dumps({"data": [{"paragraphs": [{"qas": [{"id": "q1", "answers": [{"text": "a"}]}]}]}]})
CASES = [
    Case(given="predictions without labels", command="score --predictions=p", says=("--labels",)),
    Case(given="a suite that there is none of", command=f"{COMMAND} --suite=xtrem", says=("'xtrem'", "'xtreme'")),
    Case(given="folders that are not there", command=COMMAND, says=("p: no such folder", "l: no such folder"), lines=2),
    Case(
        given="folders without a task",
        command=COMMAND,
        files={"p/note": "", "l/note": ""},
        says=("no task can be scored", "xnli"),
    ),
    _one("a misspelled label", "xnli", "neutral\nnetral\n", "neutral\nneutral\n", "line 2", "did you mean 'neutral'"),
    _one("a blank line", "xnli", "neutral\n\n", "neutral\nneutral\n", "line 2", "blank"),
    _one("a line too few", "xnli", "neutral\n", "neutral\nneutral\n", "holds 1 lines", "labels have 2"),
    _one("no predictions", "xnli", "", "neutral\n", "holds 0 lines", "labels have 1"),
    _one("no labels", "xnli", "neutral\n", "", "l/xnli/test-de.tsv", "at least one"),
    _one("a file that is not UTF-8", "xnli", b"neutral\n\xff\n", "neutral\nneutral\n", "p/xnli", "line 2", "not UTF-8"),
    _one("a tag that there is none of", "udpos", "NOUN\nNUON\n", "NOUN\nNOUN\n", "line 2", "did you mean 'NOUN'"),
    _one("a sentence with a tag too few", "panx", "O\n\nO\n", "O\nO\n\nO\n", "p/panx/test-de.tsv"),
    _one("answers that are no JSON", "xquad", "q1: a", SQUAD, "p/xquad/test-de.json line 1", "not JSON"),
    _one("an answer that is no text", "xquad", '{"q1": ["a"]}', SQUAD, "'q1'", "each must be one text"),
    _one("labels without answers", "xquad", '{"q1": "a"}', '{"data": []}', "l/xquad/test-de.json", "at least one"),
    _one("labels in another layout", "xquad", '{"q1": "a"}', '{"q1": ["a"]}', "l/xquad/test-de.json", "SQuAD's layout"),
    _one("one id where two belong", "bucc2018", "de-1\n", "de-1\ten-1\n", "line 1", "two ids with a tab"),
    _one("pairs the wrong way round", "bucc2018", "en-1\tde-1\n", "de-1\ten-1\n", "English id first"),
    Case(
        given="a prediction file missing",
        command=COMMAND,
        files={"p/xnli/note": "", "l/xnli/test-de.tsv": "neutral\n"},
        says=("p/xnli/test-de.tsv", "no such file"),
    ),
    _one("a row number that is none", "tatoeba", "first\n", "0\n", "line 1", "'first'"),
    Case(
        given="scores into a folder",
        command=f"{COMMAND} --json=configs",
        files={"p/xnli/test-de.tsv": "neutral\n", "l/xnli/test-de.tsv": "neutral\n"},
        says=("configs",),
    ),
]
