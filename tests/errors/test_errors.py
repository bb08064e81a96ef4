"""Every bad input is refused with sentences, and docs/errors.md has what they say."""

import re

import pytest

from tests.errors.table import CASES, FILE, REWRITE, answered, table


def _id(number: int) -> str:
    return re.sub(r"\W+", "-", CASES[number].given)[:60].strip("-")


@pytest.mark.parametrize("number", range(len(CASES)), ids=_id)
def test_bad_input_is_refused_with_a_sentence(number):
    case, found = CASES[number], answered(number)
    assert found.status == case.status, found.stderr
    assert "Traceback" not in found.stderr
    assert found.sentences[-1].startswith("error: ")
    assert len(found.errors) == case.lines, found.errors
    told = "\n".join(found.errors)
    assert [part for part in case.says if part not in told] == [], told
    assert not list(found.folder.glob("runs/*/phases/*/best"))
    assert not (found.folder / "it-ran").exists()  # a program that came with a tokenizer


def test_the_table_has_what_comes_back():
    assert FILE.is_file() and FILE.read_text(encoding="utf-8") == table(), f"write it anew: {REWRITE}"
