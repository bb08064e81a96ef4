"""What stands in the report's tables and below them, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xtreme_stilts.report import cells, published, sheets, statistics, table
from xtreme_stilts.report.cells import Cell
from xtreme_stilts.report.results import Result, to_frame


def result(intermediate: str, target: str, value: float, seed: int = 1, **changes) -> Result:
    fields = {"model": "mini", "split": "test", "metric": "accuracy", "examples": 10, "language": "en"} | changes
    return Result(intermediate=intermediate, target=target, value=value, seed=seed, **fields)


def shown(values: dict[str, list[float]], target: str = "xnli", **changes) -> table.Table:
    """One target; by row, seed by seed."""
    rows = [
        result(row, target, value, seed, **changes)
        for row, scores in values.items()
        for seed, value in enumerate(scores)
    ]
    return table.paper_table(to_frame(rows), chance={target: 33.0})


def sheet(of: table.Table, **changes) -> sheets.Sheet:
    return sheets.paper_sheet(of, **({"name": "x", "title": "X", "explained": "", "resamples": 200} | changes))


def of_test(row: str, target: str, **changes) -> pd.DataFrame:
    line = {"low": 1.0, "high": 3.0, "p": 0.004, "p_corrected": 0.02, "mark": "†", "examples": 500}
    return pd.DataFrame([{"row": row, "target": target} | line | changes]).set_index(["row", "target"])


def test_cells_hold_scores_intervals_effects_and_significance():
    made = sheet(shown({"none": [50.0, 52.0, 54.0], "mnli": [53.0, 54.0, 57.0]}), found=of_test("mnli", "xnli"))
    assert made.columns == ("XNLI", "average") and made.groups == ("classification", "")
    assert [line.heading for line in made.lines] == ["none", "mnli", "chance"]
    none, mnli = (line.cells[0] for line in made.lines[:2])
    assert none.score == 52 and none.std == 2 and none.seeds == 3 and 50 <= none.low < 52 < none.high <= 54
    assert math.isnan(none.delta) and math.isnan(none.effect) and none.mark == ""
    assert mnli.delta == pytest.approx(8 / 3) and mnli.mark == "†" and mnli.best and not none.best
    assert (mnli.delta_low, mnli.delta_high, mnli.p_corrected, mnli.examples) == (1, 3, 0.02, 500)
    # Cohen's h of accuracies 52 and 54 2/3 percent.
    expected = 2 * math.asin(math.sqrt(0.54666666)) - 2 * math.asin(math.sqrt(0.52))
    assert mnli.effect == pytest.approx(expected, rel=1e-5)
    # The average has Cohen's d: differences 3, 2, 3; and no line of significance.
    average = made.lines[1].cells[1]
    assert average.effect == pytest.approx((8 / 3) / np.std([3, 2, 3], ddof=1)) and math.isnan(average.p)
    assert cells.text(mnli).delta == "+2.7†" and cells.text(none).spread == "±2.0"
    assert made.lines[2].cells[0].score == 33 and made.lines[2].kind == sheets.CHANCE


def test_other_scores_have_the_effect_size_of_seeds():
    made = sheet(shown({"none": [50.0, 52.0], "mnli": [51.0, 55.0]}, target="panx", metric="f1"))
    assert made.lines[1].cells[0].effect == pytest.approx(2 / math.sqrt(2))  # differences 1 and 3
    alone = sheet(shown({"none": [50.0], "mnli": [51.0]}, target="panx", metric="f1"))
    assert math.isnan(alone.lines[1].cells[0].effect)


def test_details_tell_what_a_cell_has_no_room_for():
    cell = Cell(
        score=54.0, delta=2.0, low=53.0, high=55.0, delta_low=-1.0, delta_high=5.0, p=0.0004, p_corrected=0.5,
        examples=1500, effect=-0.25, seeds=3,
    )  # fmt: skip
    assert cells.details(cell) == (
        "mean over seeds 53.0 to 55.0; difference −1.0 to +5.0; p < 0.001, corrected 0.500; 1,500 examples; "
        "effect −0.25; 3 seeds"
    )
    assert cells.details(Cell(score=1.0, seeds=1)) == ""


def test_the_best_rows_name_their_choice():
    of = shown({"none": [50.0], "a": [60.0], "b": [55.0]})
    chosen = pd.DataFrame(
        [("xnli", "b", 55.0, 5.0, ""), ("average", "", 55.0, 5.0, "")],
        columns=["target", "intermediate", "score", "difference", "note"],
    )
    made = sheet(
        of, choices={statistics.HONEST: chosen, statistics.ORACLE: chosen.assign(score=np.nan, difference=np.nan)}
    )
    (line,) = (line for line in made.lines if line.kind == sheets.CHOICE)  # no oracle score, no line
    assert line.heading == "best per target (English validation)"
    assert [(cell.score, cell.delta, cell.name) for cell in line.cells] == [(55, 5, "b"), (55, 5, "")]
    assert "not zero-shot" in sheets.CHOICES[statistics.ORACLE]


def test_published_rows_are_of_the_same_targets_and_name_their_source():
    made = sheet(shown({"none": [50.0]}), published=published.published())
    lines = {line.heading: line for line in made.lines if line.kind == sheets.PUBLISHED}
    frame = published.published("xnli")
    assert set(lines) == {f"{row.model}, {row.intermediate} ({row.split})" for row in frame.itertuples()}
    for row in frame.itertuples():
        cell, average = lines[f"{row.model}, {row.intermediate} ({row.split})"].cells
        assert cell.score == row.value and math.isnan(average.score) and math.isnan(average.delta)
        assert any(row.source in note for note in made.notes)
    # The miniature's targets are others; so is the mean over all of XTREME.
    mini = sheet(shown({"none": [50.0]}, target="mini_xnli"), published=published.published())
    assert not [line for line in mini.lines if line.kind == sheets.PUBLISHED]
    assert not any("Published" in note for note in mini.notes)


def test_published_question_answering_is_the_mean_of_both_metrics():
    rows = [result("none", "xquad", value, metric=metric) for metric, value in (("exact_match", 40.0), ("f1", 50.0))]
    made = sheet(table.paper_table(to_frame(rows)), published=published.published())
    found = published.published("xquad")
    both = found[(found["model"] == "X-STILTs")].set_index("metric")["value"]
    lines = {line.heading: line.cells[0].score for line in made.lines if line.kind == sheets.PUBLISHED}
    assert lines["X-STILTs, best (test)"] == pytest.approx((both["exact_match"] + both["f1"]) / 2)
    assert not any(heading.startswith("mBERT") for heading in lines)  # only F1 is published


def test_the_plan_is_that_of_the_paired_t_test():
    of = shown({"none": [50.0, 52.0, 54.0], "mnli": [53.0, 54.0, 57.0]})
    (xnli, average) = sheets.planned(of)
    std = float(np.std([3, 2, 3], ddof=1))  # of two rows: the deviation of their paired differences
    assert xnli == (
        "XNLI",
        3,
        pytest.approx(std),
        pytest.approx(statistics.detectable_difference(3, std=std)),
        xnli.needed,
    )
    needed = int(xnli.needed)
    assert xnli.needed == needed
    assert statistics.power(1.0, std=std, seeds=needed) >= 0.8 > statistics.power(1.0, std=std, seeds=needed - 1)
    assert average.column == "average" and average.std == pytest.approx(std)
    note = sheets.power_note([xnli, average])
    assert f"differences below {xnli.detectable:.1f} points" in note and f"to see 1 point takes {needed} seeds" in note


def test_plans_without_spread_or_seeds():
    (one, _) = sheets.planned(shown({"none": [50.0], "mnli": [51.0]}))
    assert one.seeds == 1 and math.isnan(one.std)
    assert sheets.power_note([one]) == (
        "XNLI: no interval and no test over seeds, and no telling which differences could be seen: that takes at least "
        "2 seeds that all rows have, and there is 1."
    )
    (same, _) = sheets.planned(shown({"none": [50.0, 51.0], "mnli": [52.0, 53.0]}))
    assert (same.std, same.detectable, same.needed) == (0, 0, 2)
    assert sheets.planned(shown({"none": [50.0, 51.0]})) == []
    (wide, _) = sheets.planned(shown({"none": [0.0, 99.0], "mnli": [99.0, 0.0]}))
    assert wide.needed == math.inf  # deviations of 140 points
    assert sheets.power_listing([one], name="x") is None
    (row,) = sheets.power_listing([one, wide], name="x").rows
    assert row[:2] == ("XNLI", "2") and row[-1] == "> 10,000"
    both = sheets.power_note([one._replace(column="NER"), same, one._replace(column="POS", seeds=0)])
    assert both.startswith("With this spread") and "differences below 0.0 points (XNLI) cannot be seen" in both
    assert "POS: no interval" in both and "and there are none. NER: no interval" in both
    assert both.endswith("and there is 1.")


def test_intervals_are_listed_cell_by_cell():
    made = sheet(shown({"none": [50.0, 52.0, 54.0], "mnli": [53.0, 54.0, 57.0]}), found=of_test("mnli", "xnli"))
    listing = sheets.interval_listing(made, name="i")
    places = [row[:2] for row in listing.rows]
    assert places == [("none", "XNLI"), ("none", "average"), ("mnli", "XNLI"), ("mnli", "average")]
    assert listing.rows[2][3] == "+2.7† [+1.0, +3.0]" and listing.rows[2][5:] == ("0.004", "0.020", "3")
    assert sheets.interval_listing(sheet(shown({"none": [50.0]})), name="i") is None


def found(*tests: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "test": tests,
            "p": [math.nan if test.startswith(statistics.UNAVAILABLE) else 0.5 for test in tests],
            "seeds": [3] * len(tests),
        }
    )


def test_notes_name_test_seeds_correction_and_what_is_not_tested():
    lines = found("bootstrap", "bootstrap", f"{statistics.UNAVAILABLE}predictions are not on disk")
    first, second = sheets.notes_of_tests(lines, together=lines, test="bootstrap", correction="holm", resamples=1000)
    assert "†: p < 0.05, ‡: p < 0.01" in first and "paired bootstrap" in first and "3 seeds" in first
    assert "1,000 resamples" in first and "2 comparisons" in first and "Holm" in first
    assert second == "No mark for 1 of 3 differences: predictions are not on disk."
    (only,) = sheets.notes_of_tests(lines[2:], together=lines, test="bootstrap", correction="holm", resamples=1000)
    assert only.startswith("No mark for 1 of 1")
