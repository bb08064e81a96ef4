"""What several processes compare before they train, with the messages of the others made up.

`multi_process/` has real ones.
"""

from __future__ import annotations

import json
import re

import jax
import numpy as np
import pytest

from xtreme_stilts import phase, processes
from xtreme_stilts.data.cache import build
from xtreme_stilts.data.features import Example
from xtreme_stilts.data.tokenizer import load_tokenizer
from xtreme_stilts.errors import UserError


@pytest.fixture
def others(monkeypatch):
    """Sets what the other processes send, as functions of what this one does."""

    def answer(*changes):
        def gather(message):
            return [message, *(json.dumps(change(json.loads(message))).encode() for change in changes)]

        monkeypatch.setattr(jax, "process_count", lambda: 1 + len(changes))
        monkeypatch.setattr(processes, "_gather", gather)

    return answer


def test_agreement_is_silent(others):
    others(lambda value: value, lambda value: value)
    processes.check_agreement("config", {"a": {"b": 1}, "c": {}})


def test_the_field_the_process_and_both_values_are_named(others):
    others(lambda value: value, lambda value: {**value, "a": {"b": 2}})
    with pytest.raises(
        UserError, match=r"config\.a\.b is 1 on process 0 and 2 on process 2; start all of them with the same command"
    ):
        processes.check_agreement("config", {"a": {"b": 1}})


def test_a_field_that_one_lacks(others):
    others(lambda value: {"b": 2})
    with pytest.raises(UserError, match=r"config\.a is 1 on process 0 and None on process 1; ask somebody"):
        processes.check_agreement("config", {"a": 1, "b": 2}, advice="ask somebody")


@pytest.fixture
def make(tmp_path):
    def make(name, labels):
        examples = [Example(str(number), (f"text {number}",), (label,)) for number, label in enumerate(labels)]
        return build(
            "pairs.en",
            "train",
            kind="classification",
            labels=("no", "yes"),
            tokenizer=load_tokenizer("mini"),
            cache_dir=tmp_path / name,
            data_version="1.0",
            examples=examples,
        )

    return make


def test_rows_that_differ_between_processes(others, make):
    """The same key, as two hosts get it from files of one name, but other contents."""
    mine, theirs = make("mine", ["no", "yes"]), make("theirs", ["yes", "no"])
    assert mine.meta["key"] == theirs.meta["key"]
    assert np.array_equal(mine.columns["tokens"], theirs.columns["tokens"])

    def of_theirs(value):
        return {name: theirs.fingerprint if found == mine.fingerprint else found for name, found in value.items()}

    others(lambda value: value)
    phase._check_same_rows(mine)
    others(of_theirs)
    sentence = (
        f"the sha256 of the tokenised rows of task 'pairs.en', split 'train' is '{mine.fingerprint}' on process 0 and "
        f"'{theirs.fingerprint}' on process 1; give all of them the same data"
    )
    with pytest.raises(UserError, match=re.escape(sentence)):
        phase._check_same_rows(mine)


def test_the_most_telling_difference_comes_first(others, make):
    others(lambda value: dict.fromkeys(value, "other"))
    with pytest.raises(UserError, match=r"the data version of task 'pairs.en', split 'train' is '1.0' on process 0"):
        phase._check_same_rows(make("mine", ["no", "yes"]))
