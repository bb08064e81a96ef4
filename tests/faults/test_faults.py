"""A few of the faults of `python -m tests.faults`; and that what looks for a difference finds one."""

from __future__ import annotations

import argparse
import json

import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest

from tests.faults import __main__ as command
from tests.faults import in_a_row, moments
from tests.faults.bench import Bench, Verdict
from tests.faults.child import Faults, When
from tests.faults.outcome import differences, outcome


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("faults"), study="short")


def all_identical(verdicts):
    verdicts = list(verdicts)
    assert verdicts and not [verdict for verdict in verdicts if verdict.problem]


def test_a_kill_before_a_change_drawn_at_random(bench):
    all_identical(moments.every_change(bench, times=1, seed=1))


def test_a_kill_a_damaged_checkpoint_a_full_disk_and_a_damaged_record(bench):
    all_identical(in_a_row.in_a_row(bench, times=1, seed=0))


@pytest.mark.slow
@pytest.mark.parametrize("name", command.SCENARIOS)
def test_every_scenario(name, tmp_path_factory):
    scenario = command.SCENARIOS[name]
    folder = tmp_path_factory.getbasetemp() / "every"
    all_identical(scenario.run(Bench(folder, study=scenario.study), times=min(scenario.times, 6), seed=4))


# --------------------------------------------------------------------------------------------------
# The harness itself


def finished(folder, *, value=1.0, best_step=20):
    """A study directory with one trained and evaluated phase."""
    phase = folder / "phases" / "task-seed0-0123"
    (phase / "evaluations" / "family").mkdir(parents=True)
    (phase / "evaluations" / "family" / "en.jsonl").write_text('{"prediction": 1}\n')
    (phase / "done.json").write_text(json.dumps({"steps": 20, "best_step": best_step, "seconds": value}))
    (phase / "metrics.jsonl").write_text('{"step": 20, "time": 3.0, "validation/selection": 50.0}\n')
    (folder / "results.csv").write_text("model\n")
    with ocp.PyTreeCheckpointer() as writer:
        writer.save((phase / "best" / "20" / "encoder").absolute(), {"table": {"kernel": jnp.full((2, 3), value)}})
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("study") / "whole")


def test_equal_parameters_are_equal_whatever_their_files(study, tmp_path):
    again = finished(tmp_path / "again")
    assert not differences(outcome(again), whole=outcome(study))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("results.csv", "model,\n", "results.csv differs"),
        ("phases/task-seed0-0123/evaluations/family/en.jsonl", "", "en.jsonl differs"),
        ("phases/task-seed0-0123/evaluations/family/tr.jsonl", "", "tr.jsonl is one too many"),
        ("phases/task-seed0-0123/done.json", '{"steps": 20, "best_step": 10}', "done.json differs"),
        (
            "phases/task-seed0-0123/metrics.jsonl",
            '{"step": 20, "time": 4.0, "validation/selection": 50.1}\n',
            "validations differs",
        ),
    ],
)
def test_a_difference_is_found(study, tmp_path, name, text, found):
    other = finished(tmp_path / "other")
    (other / name).write_text(text)
    (difference,) = differences(outcome(other), whole=outcome(study))
    assert difference.endswith(found)


def test_another_last_bit_of_a_parameter_is_found(study, tmp_path):
    other = finished(tmp_path / "other", value=1.0 + 2**-23)
    (difference,) = differences(outcome(other), whole=outcome(study))
    assert "best/20/encoder" in difference and "kernel" in difference and difference.endswith("differs")


def test_a_change_is_counted_by_its_pattern():
    when = When("rename phases/*/best/20@2")
    changes = ("rename phases/a/best/20", "rename phases/a/latest/20", "rename phases/b/best/20")
    assert [when.comes(change) for change in changes] == [False, False, True]
    assert not when.comes("rename phases/b/best/20")


def test_changes_below_the_study_directory_are_seen(tmp_path):
    trace = tmp_path / "trace"
    options = argparse.Namespace(workdir=tmp_path / "study", kill="", fill="", slow=0.0, linger=0.0, trace=str(trace))
    faults = Faults(options)
    inside = str(tmp_path / "study" / "results.csv")
    faults("open", (inside, "r", 0))
    faults("open", (inside, "w", 1))
    faults("os.rename", (str(tmp_path / "study" / ".tmp"), inside, -1, -1))
    faults("os.rename", (inside, str(tmp_path / "elsewhere"), -1, -1))
    faults("os.remove", ("commit_success.txt", 7))
    faults("import", ("json", None, None, None, None))
    assert trace.read_text().splitlines() == [
        "write results.csv",
        "rename results.csv",
        "remove .../commit_success.txt",
    ]


def test_the_command_counts_what_is_identical(capsys):
    assert command._report([Verdict("a"), Verdict("b", problem="differs")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "identical 1/2"
    assert command._report([Verdict("a")]) == 0


def test_every_scenario_is_listed(capsys):
    assert command.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(command.SCENARIOS)
