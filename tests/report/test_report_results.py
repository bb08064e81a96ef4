"""The results file: reading back what was written, one row per key, and the sentences for bad files."""

from __future__ import annotations

import dataclasses
import os
import random

import numpy as np
import pandas as pd
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import results
from xtreme_stilts.report.results import COLUMNS, Result

BASE = Result(
    model="mini",
    intermediate="none",
    target="xnli",
    language="en",
    split="test",
    metric="accuracy",
    value=50.0,
    examples=10,
    seed=1,
    steps=100,
    fingerprint="ab12",
)
HEADER = ",".join(COLUMNS)
ROW = "mini,none,xnli,en,test,accuracy,50.0,10,1,,,100,ab12"


def make(**changes) -> Result:
    return dataclasses.replace(BASE, **changes)


def test_columns_are_those_of_the_contract_in_order():
    assert HEADER == (
        "model,intermediate,target,language,split,metric,value,examples,seed,layer,pooling,steps,fingerprint"
    )


def test_reads_back_every_bit_and_the_types(tmp_path):
    values = [100 / 3, 0.1 + 0.2, 1e-12, 100.0, float(np.float32(78.9))]
    languages = ["ar", "de", "en", "sw", "zh"]
    given = [make(language=code, value=value) for code, value in zip(languages, values, strict=True)]
    given.append(make(target="tatoeba", language="de", layer=14, pooling="mean"))
    results.write(tmp_path / "r.csv", given)
    frame = results.read(tmp_path / "r.csv")
    pd.testing.assert_frame_equal(frame, results.to_frame(sorted(given, key=lambda result: result.key)))
    assert dict(zip(frame["language"], frame["value"], strict=True))["ar"] == 100 / 3
    assert list(frame[frame["target"] == "xnli"]["value"]) == values
    assert frame["layer"].isna().sum() == 5 and frame["layer"].dropna().tolist() == [14]
    assert [str(frame[name].dtype) for name in ("value", "examples", "seed", "layer", "steps")] == [
        "float64",
        "int64",
        "int64",
        "Int64",
        "int64",
    ]


def test_names_with_commas_quotes_and_newlines_survive(tmp_path):
    given = make(model='a, "b"\nc', intermediate="<script>", pooling="ü")
    results.write(tmp_path / "r.csv", [given])
    row = results.read(tmp_path / "r.csv").iloc[0]
    assert (row["model"], row["intermediate"], row["pooling"]) == ('a, "b"\nc', "<script>", "ü")


def test_any_order_gives_the_same_bytes_sorted_with_seeds_as_numbers(tmp_path):
    given = [make(language=code, seed=seed) for code in ("sw", "ar", "en") for seed in (10, 9, 1)]
    results.write(tmp_path / "a.csv", given)
    random.Random(0).shuffle(given)
    results.write(tmp_path / "b.csv", given)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    frame = results.read(tmp_path / "a.csv")
    assert frame["language"].tolist() == ["ar"] * 3 + ["en"] * 3 + ["sw"] * 3
    assert frame["seed"].tolist() == [1, 9, 10] * 3


def test_one_row_per_key_the_last_given_wins(tmp_path):
    results.write(tmp_path / "r.csv", [make(value=1.0), make(value=2.0, examples=3, steps=4)])
    frame = results.read(tmp_path / "r.csv")
    assert frame[["value", "examples", "steps"]].to_numpy().tolist() == [[2.0, 3.0, 4.0]]


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x"},
        {"intermediate": "x"},
        {"target": "x"},
        {"language": "x"},
        {"split": "x"},
        {"metric": "x"},
        {"seed": 2},
        {"layer": 0},
        {"pooling": "x"},
        {"fingerprint": "x"},
    ],
)
def test_everything_but_value_examples_and_steps_is_the_key(tmp_path, change):
    results.write(tmp_path / "r.csv", [BASE, make(**change)])
    assert len(results.read(tmp_path / "r.csv")) == 2


def test_add_keeps_what_is_there_and_replaces_equal_keys(tmp_path):
    path = tmp_path / "study" / "r.csv"
    results.add(path, [make(value=1.0), make(language="de", value=2.0)])
    results.add(path, [make(value=3.0), make(language="fr", value=4.0)])
    frame = results.read(path)
    assert dict(zip(frame["language"], frame["value"], strict=True)) == {"de": 2.0, "en": 3.0, "fr": 4.0}


def test_an_evaluation_is_replaced_as_a_whole(tmp_path):
    """The layer reported is another one now: the old one's scores must not stay beside it."""
    path = tmp_path / "r.csv"
    old = [make(layer=3, pooling="mean", metric=metric) for metric in ("f1", "f1_by_layer", "precision")]
    kept = [make(language="de", layer=3, pooling="mean"), make(fingerprint="other"), make(intermediate="mnli")]
    results.add(path, [*old, *kept])
    new = [make(layer=7, pooling="cls", metric="f1", value=9.0)]
    results.add(path, new)
    assert sorted(results.scores(path), key=lambda r: r.key) == sorted([*kept, *new], key=lambda r: r.key)


def test_add_to_a_damaged_file_leaves_it_as_it_is(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(f"{HEADER}\n{ROW[:20]}")
    with pytest.raises(UserError, match="line 2"):
        results.add(path, [BASE])
    assert path.read_text() == f"{HEADER}\n{ROW[:20]}"


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "r.csv"
    results.write(path, [BASE])
    before = path.read_bytes()

    def fail(source, target):
        assert os.path.getsize(source) > len(before)  # all of the new text was there before the rename
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        results.write(path, [BASE, make(language="de")])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["r.csv"]


def test_numpy_scalars_become_plain_numbers(tmp_path):
    given = make(value=np.float64(12.5), examples=np.int64(7), layer=np.int32(3), seed=np.int64(2))
    results.write(tmp_path / "r.csv", [given])
    assert (tmp_path / "r.csv").read_text().splitlines()[1].endswith("accuracy,12.5,7,2,3,,100,ab12")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"value": float("nan")}, "value is nan; a score must be a finite number"),
        ({"value": float("inf")}, "value is inf"),
        ({"language": ""}, "language is empty"),
        ({"examples": -1}, "examples is -1; it must not be negative"),
        ({"layer": -1}, "layer is -1"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
    ],
)
def test_impossible_results_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make(**changes)


def test_a_file_with_no_scores_yet_has_no_rows(tmp_path):
    results.write(tmp_path / "r.csv", [])
    frame = results.read(tmp_path / "r.csv")
    assert list(frame.columns) == list(COLUMNS) and frame.empty


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the file is empty"),
        (HEADER[:30], "line 1: the file is cut short"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('en', 'de')}", "line 3: the file is cut short"),
        (f"{HEADER}\n{ROW}\n{ROW[:30]}\n", "line 3: 6 cells found, 13 expected"),
        (f"{HEADER}\n{ROW},\n", "line 2: 14 cells found, 13 expected"),
        (HEADER.replace("metric", "metrc") + "\n", "line 1: 'metrc' is not a column.*did you mean 'metric'?"),
        (HEADER.removesuffix(",fingerprint") + "\n", "line 1: column 'fingerprint' is missing"),
        (HEADER + ",seed\n", "line 1: column 'seed' appears twice"),
        (f"{HEADER}\n{ROW.replace('50.0', 'fifty')}\n", "line 2: value is 'fifty'; it must be a number"),
        (f"{HEADER}\n{ROW.replace('50.0', 'nan')}\n", "line 2: value is nan"),
        (
            f"{HEADER}\n{ROW.replace(',10,', ',10.5,')}\n",
            "line 2: examples is '10.5'; it must be a whole number",
        ),
        (f"{HEADER}\n{ROW.replace('xnli', '')}\n", "line 2: target is empty"),
        (f"{HEADER}\n{ROW}\n{ROW}\n", "line 3: the same score as in line 2"),
        (f'{HEADER}\n{ROW}\n"{"x" * 200_000}\n', "line 3: not a row of a CSV file"),
    ],
)
def test_bad_files_get_a_sentence_with_file_and_line(tmp_path, text, sentence):
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence) as raised:
        results.read(path)
    assert str(raised.value).startswith(str(path))


LANGUAGES = ("ar", "de", "sw", "zh")


def of_languages(*codes: str) -> bytes:
    return f"{HEADER}\n{''.join(ROW.replace(',en,', f',{code},') + chr(10) for code in codes)}".encode()


@pytest.mark.parametrize("lost", range(1, 160, 7))
def test_a_file_cut_anywhere_is_repaired_to_its_whole_lines(tmp_path, lost):
    whole = of_languages(*LANGUAGES)
    cut = whole[:-lost]
    path = tmp_path / "r.csv"
    path.write_bytes(cut)
    kept = max(cut.count(b"\n") - 1, 0)
    found = results.repair(path)
    assert path.read_bytes() == of_languages(*LANGUAGES[:kept])
    if cut.endswith(b"\n"):  # cut between two lines: nobody can tell
        assert found is None
    else:
        assert f"{path} line {kept + 2}: the file is cut short" in str(found) and found.kept == kept
        assert f"the {kept} whole ones before it are kept, the file as it was is {path}.damaged" in str(found)
        assert found.damaged.read_bytes() == cut


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (b"", ()),
        (HEADER[:30].encode(), ()),
        (HEADER.encode(), ()),
        (of_languages("ar", "de") + b"mini,none\n" + of_languages("sw").splitlines()[1] + b"\n", ("ar", "de")),
        (of_languages("ar") + b"\0" * 512, ("ar",)),
        (of_languages("ar") + ROW.replace("mini", "münze").encode()[:2], ("ar",)),  # within a character
        (of_languages("ar") + b'"' + of_languages("de"), ("ar",)),
    ],
)
def test_whatever_the_damage_what_is_before_it_stays(tmp_path, damage, kept):
    path = tmp_path / "r.csv"
    path.write_bytes(damage)
    found = results.repair(path)
    assert path.read_bytes() == of_languages(*kept) and found.kept == len(kept)
    assert found.damaged.read_bytes() == damage
    assert results.repair(path) is None


def test_what_is_not_damaged_is_not_repaired(tmp_path):
    path = tmp_path / "r.csv"
    assert results.repair(path) is None and os.listdir(tmp_path) == []
    path.write_text(f"{HEADER},sha\n{ROW},1\n")
    with pytest.raises(UserError, match="'sha' is not a column"):  # another version's
        results.repair(path)
    assert os.listdir(tmp_path) == ["r.csv"]


def test_missing_files_folders_and_other_encodings_get_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"r\.csv: no such file"):
        results.read(tmp_path / "r.csv")
    with pytest.raises(UserError, match="a folder was found"):
        results.read(tmp_path)
    (tmp_path / "r.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="byte 0 is not UTF-8"):
        results.read(tmp_path / "r.csv")


def test_columns_in_another_order_and_a_byte_order_mark_are_read(tmp_path):
    results.write(tmp_path / "a.csv", [BASE])
    turned = pd.read_csv(tmp_path / "a.csv")[list(reversed(COLUMNS))]
    turned.to_csv(tmp_path / "b.csv", index=False, encoding="utf-8-sig")
    pd.testing.assert_frame_equal(results.read(tmp_path / "b.csv"), results.read(tmp_path / "a.csv"))
