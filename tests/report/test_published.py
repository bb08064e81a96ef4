"""The published scores: every figure has a source and says what it is of."""

from __future__ import annotations

import csv
import pathlib

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.report import published as module
from xtreme_stilts.report import results, table
from xtreme_stilts.report.published import DIFFERENCE, published


def test_every_figure_has_a_source_and_names_what_it_is_of():
    frame = published()
    text = frame.drop(columns=["value", "layer", "pooling"])
    assert len(frame) and (text != "").all(axis=None) and frame["value"].notna().all()
    assert not frame.duplicated(["model", "intermediate", "target", "language", "split", "metric"]).any()
    assert set(frame.columns) - {"source"} <= set(results.COLUMNS)


def test_targets_are_the_registrys_and_judged_by_their_own_metrics():
    frame = published()
    one = frame[frame["target"] != table.AVERAGE]
    for target, metrics in one.groupby("target")["metric"]:
        assert tasks.family(target).name == target  # no alias
        assert set(metrics) <= set(table.TARGETS[target].metrics)
    assert one["value"].between(0, 100).all()
    assert set(frame.loc[frame["target"] == table.AVERAGE, "metric"]) == {DIFFERENCE}
    retrieval = frame["target"].isin([name for name, of in table.TARGETS.items() if of.group == "retrieval"])
    assert frame["layer"].notna().equals(retrieval) and (frame["pooling"] != "").equals(retrieval)


def test_the_file_is_read_as_it_stands():
    path = pathlib.Path(module.__file__).with_name("published.csv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    frame = published()
    assert frame["value"].map(str).tolist() == [row["value"] for row in rows]
    assert frame["source"].tolist() == [row["source"] for row in rows]


def test_one_target_at_a_time():
    found = published("tydiqa")
    assert set(found["target"]) == {"tydiqa"} and found.index.tolist() == list(range(len(found)))
    assert len(found) == (published()["target"] == "tydiqa").sum()
    with pytest.raises(UserError, match="did you mean 'tydiqa'"):
        published("tydiq")
