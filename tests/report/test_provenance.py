"""What a study's folder says of its cost: hand-made phases, summed by hand."""

from __future__ import annotations

import json
import math
import pathlib

import pytest
from etils import epath

from xtreme_stilts.report import provenance
from xtreme_stilts.report.results import Result, to_frame
from xtreme_stilts.report.studies import Study

SHA = {name: f"{number:x}" * 12 for number, name in enumerate(("text", "mnli0", "mnli1", "xnli", "panx"), 1)}


def phase(folder: pathlib.Path, sha: str, mixture: str, *, card: dict | None = None, done: dict | None = None) -> None:
    path = folder / "phases" / f"{mixture}-seed0-{SHA[sha]}"
    path.mkdir(parents=True)
    (path / "phase.json").write_text(json.dumps({"mixture": mixture}))
    for name, content in (("run_card.json", card), ("done.json", done)):
        if content is not None:
            (path / name).write_text(json.dumps(content))


def card(kind: str, *, tokens: int, seconds: float, devices: int, steps: int = 0, **more) -> dict:
    session = {"devices": devices, "device_kind": "TPU", "seconds": seconds, "to_step": steps}
    hours = devices * seconds / 3600
    return {"kind": kind, "tokens": tokens, "seconds": seconds, "chip_hours": hours, "sessions": [session], **more}


def study(folder: pathlib.Path, **config) -> Study:
    scored = {"model": "m", "intermediate": "none", "target": "xnli", "language": "de", "split": "test", "value": 1.0}
    frame = to_frame([Result(**scored, metric="accuracy", examples=1, seed=0, fingerprint=SHA["xnli"] + "0" * 52)])
    return Study(directory=epath.Path(folder), name="s", frame=frame, chance={}, config=config)


def told(listing) -> dict[str, dict[str, str]]:
    return {row[0]: dict(zip(listing.columns[1:], row[1:], strict=True)) for row in listing.rows}


def test_cost_is_the_sum_of_the_run_cards_by_kind_and_mixture(tmp_path):
    phase(tmp_path, "text", "text", card=card("mlm", tokens=9_000, seconds=3600, devices=8), done={"steps": 50})
    for sha, steps in (("mnli0", 10), ("mnli1", 30)):
        phase(
            tmp_path,
            sha,
            "mnli" if sha == "mnli0" else "squad",
            card=card("intermediate", tokens=1_000 * steps, seconds=1800, devices=8),
            done={"steps": steps, "tokens": 1_000 * steps, "seconds": 5.0},
        )
    phase(tmp_path, "xnli", "xnli", card=card("target", tokens=500, seconds=100, devices=1, steps=7))  # cut off
    listing = provenance.cost(study(tmp_path), name="cost")
    found = told(listing)
    columns = ("phases", "steps", "tokens", "hours", "tokens/s", "chip-hours")
    assert listing.columns == ("trained on", *columns)  # nobody knows the energy
    expected = {
        "mlm: text": ("1", "50", "9,000", "1", "2", "8"),  # 9,000 tokens in 3,600 seconds
        "intermediate, all": ("2", "40", "40,000", "1", "11", "8"),
        "intermediate: mnli": ("1", "10", "10,000", "0.5", "6", "4"),
        "intermediate: squad": ("1", "30", "30,000", "0.5", "17", "4"),
        "target: xnli": ("1", "7", "500", "0.028", "5", "0.028"),
        "all": ("4", "97", "49,500", "2", "7", "16.0"),  # in 7,300 seconds
    }
    assert list(found) == list(expected)
    assert {heading: tuple(row.values()) for heading, row in found.items()} == expected
    notes = " ".join(listing.notes)
    assert "(1 x TPU or 8 x TPU)" in notes and "Not finished, counted as far as they are: 1 phase." in notes
    assert "Without a run card" not in notes and "Left out" not in notes


def test_what_is_not_recorded_is_told_and_energy_only_where_it_is_known(tmp_path):
    phase(tmp_path, "text", "text", done={"steps": 2, "tokens": 720, "seconds": 360})
    phase(
        tmp_path,
        "xnli",
        "xnli",
        card=card("target", tokens=360, seconds=360, devices=1, energy_kwh=0.25),
        done={"steps": 1},
    )
    phase(tmp_path, "mnli0", "mnli", done={"steps": 1, "tokens": 1, "seconds": 0})
    phase(tmp_path, "panx", "panx")  # of a retrieval family, or one that has not begun
    (tmp_path / "phases" / f"squad-seed0-{SHA['mnli1']}").mkdir()
    (tmp_path / "phases" / f"squad-seed0-{SHA['mnli1']}" / "done.json").write_text('{"steps"')
    listing = provenance.cost(study(tmp_path, pretrain=["text"]), name="cost")
    found = told(listing)
    assert list(found) == ["mlm: text", "intermediate: mnli", "target: xnli", "all"]
    assert found["mlm: text"]["chip-hours"] == "" and found["mlm: text"]["tokens/s"] == "2"
    assert found["intermediate: mnli"]["tokens/s"] == ""  # no time
    assert found["all"] == {
        "phases": "3", "steps": "4", "tokens": "1,081", "hours": "0.2",
        "tokens/s": "2", "chip-hours": "0.1", "kWh": "0.25",
    }  # fmt: skip
    assert listing.notes[-2:] == (
        "Without a run card, so with hours of training alone and no chip-hours: 2 phases.",
        "Left out: 1 phase whose done.json cannot be read.",
    )


def test_without_phases_there_is_no_cost(tmp_path):
    assert provenance.cost(study(tmp_path), name="cost") is None


def test_the_columns_of_a_card_are_those_it_is_written_with(tmp_path):
    """The report cannot import the module of run cards, which needs JAX."""
    from xtreme_stilts import run_card
    from xtreme_stilts.report.phases import phases_of

    session = run_card.Session(seconds=7200, devices=4, device_kind="TPU", to_step=5)
    written = run_card.RunCard(kind="target", tokens=99, sessions=(session,), energy_kwh=1.5).to_json()
    phase(tmp_path, "xnli", "xnli", card=written)
    (found,) = phases_of(study(tmp_path))
    assert (found.kind, found.steps, found.tokens, found.seconds) == ("target", 5, 99, 7200)
    assert (found.chip_hours, found.energy_kwh, found.devices) == (8, 1.5, ("4 x TPU",))
    assert not found.finished


@pytest.mark.parametrize("value", [True, "12", None, [1]])
def test_what_is_no_number_counts_for_nothing(tmp_path, value):
    phase(tmp_path, "xnli", "xnli", card=card("target", tokens=1, seconds=1, devices=1) | {"chip_hours": value})
    from xtreme_stilts.report.phases import phases_of

    (found,) = phases_of(study(tmp_path))
    assert math.isnan(found.chip_hours)
