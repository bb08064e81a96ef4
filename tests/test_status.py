"""How far a study is, read from its files alone."""

from __future__ import annotations

import json

import pytest

from xtreme_stilts import claims, status
from xtreme_stilts.claims import Claims


@pytest.fixture
def study(tmp_path):
    """Five phases: two done, one running, one failed, one left."""
    names = ("a", "b", "c", "d", "e")
    phases = [
        {
            "folder": f"{name}-seed0",
            "kind": "target",
            "path": f"mnli > {name}" if name != "b" else "mnli > a",
            "seed": int(name == "b"),
            "parent": None,
            "steps": 100,
            "evaluates": ["panx"],
        }
        for name in names
    ]
    (tmp_path / "plan.json").write_text(json.dumps({"name": "five", "phases": phases}))
    for name, seconds in (("a", 10.0), ("b", 20.0)):
        folder = tmp_path / "phases" / f"{name}-seed0"
        (folder / "evaluations" / "panx").mkdir(parents=True)
        (folder / "done.json").write_text("{}")
        (folder / "evaluations" / "panx" / "scores.json").write_text("{}")
        (folder / "worked.json").write_text(json.dumps({"seconds": seconds}))
    (tmp_path / "phases" / "d-seed0").mkdir()
    (tmp_path / "phases" / "d-seed0" / "failed.json").write_text(json.dumps({"error": "the loss is nan [bold]"}))
    return tmp_path


def test_states_and_estimate(study):
    with Claims().take(study / "phases" / "c-seed0"):
        (study / "phases" / "c-seed0" / "metrics.jsonl").write_text('{"step": 40, "loss": 1}\n')
        found = status.read_status(study)
        states = [phase.state for phase in found.phases]
        assert states == [status.DONE, status.DONE, status.RUNNING, status.FAILED, status.LEFT]
        assert found.phases[2].note.startswith("step 40 of 100, process ")
        # Three phases to go, each 15 s on average, one worker.
        assert found.seconds_left == pytest.approx(45.0)
        assert not found.finished
    assert status.read_status(study).phases[2].state == status.LEFT


def test_marks_of_phases_that_did_not_learn(study, capsys):
    done = {"unlearned": {"panx.en": {"beginning": 1.1, "end": 1.1, "guess": 1.0}}}
    (study / "phases" / "a-seed0" / "done.json").write_text(json.dumps(done))
    (study / "phases" / "c-seed0").mkdir()
    (study / "phases" / "c-seed0" / "attempts.json").write_text('{"failed": [{}, {}], "cleared": true}')
    with Claims().take(study / "phases" / "c-seed0"):
        found = status.read_status(study)
    assert found.phases[0].state == status.DONE
    assert found.phases[0].note == "did not learn panx.en: its loss stayed at guessing"
    assert found.phases[1].note == ""
    assert found.phases[2].note.startswith("restart 2, starting, process ")
    status.main([str(study)])
    assert "did not learn panx.en" in capsys.readouterr().out


def test_a_worker_that_was_killed_does_not_count(study, monkeypatch):
    folder = study / "phases" / "c-seed0"
    folder.mkdir()
    holder = {**claims._me().__dict__, "pid": 2**22 + 1}
    (folder / "claim-1.json").write_text(json.dumps(holder))
    assert status.read_status(study).phases[2].state == status.LEFT


def test_printed(study, capsys):
    assert status.main([str(study)]) == 1
    printed = capsys.readouterr().out
    assert "five: 5 phases, 2 done, 1 failed, 2 left, about 0:00:45 left for one worker; none is at work" in printed
    assert "the loss is nan [bold]" in printed
    assert "target mnli > a" in printed and "0 1" in printed  # seeds of one line
    assert status.main([str(study), "--json"]) == 1
    assert [phase["state"] for phase in json.loads(capsys.readouterr().out)["phases"]].count("done") == 2


def test_no_study_directory(tmp_path, capsys):
    assert status.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is no study directory: there is no plan.json in it\n"
    (tmp_path / "plan.json").write_text("{")
    assert status.main([str(tmp_path)]) == 2
    assert "plan.json is damaged" in capsys.readouterr().err
