"""W&B beside metrics.jsonl: what it is told, and that nothing it does harms the training."""

from __future__ import annotations

import json
import logging
import sys
import types

import pytest
import tensorflow as tf
from etils import epath
from tensorboardX.proto import event_pb2

from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.training import logs


class FakeRun:
    """What `wandb.init` returns, as far as it is used: values of earlier steps are dropped, as the real one does."""

    def __init__(self, step=0):
        self.step, self.logged, self.exit_code = step, [], None

    def log(self, values, *, step):
        assert step >= self.step, "the real one warns and drops these"
        self.step = step
        self.logged.append((step, values))

    def finish(self, *, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def wandb(monkeypatch):
    """A module that records; `fails` names the call that raises."""
    module = types.ModuleType("wandb")
    module.asked, module.run, module.fails = [], FakeRun(), ""

    def init(**asked):
        module.asked.append(asked)
        if module.fails == "init":
            raise ConnectionError("no route to host\nand more")
        return module.run

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def write_two(folder):
    log = logs.MetricsLog(folder)
    log.write(2, loss=1.5, task="mnli")
    log.write(4, loss=1.25, task="mnli")
    log.close()
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def events(folder):
    """(step, name, value) of every number in the event files, in the order of their names, and each START."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir(), key=lambda path: path.stat().st_mtime_ns):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = event_pb2.Event.FromString(record)
            found += [(event.step, each.tag, each.simple_value) for each in event.summary.value]
            if event.session_log.status == event_pb2.SessionLog.START:
                found.append((event.step, "start", None))
    return found


def test_tensorboard_has_all_numbers_and_is_told_where_a_run_went_on(tmp_path):
    folder = epath.Path(tmp_path)
    write_two(folder)
    assert events(tmp_path) == [(1, "start", None), (2, "loss", 1.5), (4, "loss", 1.25)]


def test_lines_of_steps_that_are_done_again_are_removed(tmp_path):
    folder = epath.Path(tmp_path)
    write_two(folder)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "lo')  # cut off
    log = logs.MetricsLog(folder, from_step=2)
    log.write(4, loss=1.0)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 1.5), (4, 1.0)]
    assert [name.name for name in tmp_path.iterdir() if name.name.startswith(".")] == []


def test_a_disk_that_is_full_is_an_error_of_the_one_who_writes(tmp_path):
    log = logs.MetricsLog(epath.Path(tmp_path))
    log._board._file._py_recordio_writer._writer = open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(OSError, match="No space left"):
        log.write(1, loss=1.0)


def test_a_run_is_told_all_numbers(wandb, tmp_path):
    folder = epath.Path(tmp_path)
    with logs.tracking("xlt", folder=folder, id="abc", group="study", name="mnli"):
        write_two(folder)
    (asked,) = wandb.asked
    assert asked == {
        "project": "xlt",
        "id": "abc",
        "group": "study",
        "name": "mnli",
        "resume": "allow",
        "dir": str(tmp_path),
    }
    assert wandb.run.logged == [(2, {"loss": 1.5}), (4, {"loss": 1.25})]
    assert wandb.run.exit_code == 0
    write_two(folder)  # after it, nobody is told
    assert len(wandb.run.logged) == 2


def test_steps_that_are_done_again_are_not_told_twice(wandb, tmp_path):
    wandb.run = FakeRun(step=3)
    with logs.tracking("xlt", folder=epath.Path(tmp_path)):
        write_two(epath.Path(tmp_path))
    assert wandb.run.logged == [(4, {"loss": 1.25})]


@pytest.mark.parametrize(("error", "exit_code"), [(Stopped("after step 3"), 0), (UserError("too large"), 1)])
def test_the_run_ends_as_the_phase_does(wandb, tmp_path, error, exit_code):
    with pytest.raises(type(error)), logs.tracking("xlt", folder=epath.Path(tmp_path)):
        raise error
    assert wandb.run.exit_code == exit_code


@pytest.mark.parametrize("fails", ["init", "log", "finish"])
def test_a_service_that_is_down_is_warned_of_once(wandb, tmp_path, caplog, monkeypatch, fails):
    def broken(*_args, **_kwargs):
        raise ConnectionError("no route to host\nand more")

    wandb.fails = fails
    if fails != "init":
        monkeypatch.setattr(wandb.run, fails, broken)
    monkeypatch.setattr(logging.getLogger("xtreme_stilts"), "propagate", True)
    with caplog.at_level(logging.WARNING), logs.tracking("xlt", folder=epath.Path(tmp_path)):
        assert write_two(epath.Path(tmp_path)) == [1.5, 1.25]
    warnings = [record.getMessage() for record in caplog.records if "W&B" in record.getMessage()]
    assert len(warnings) == 1
    assert "(ConnectionError: no route to host)" in warnings[0]


def test_a_missing_package_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with (
        pytest.raises(UserError, match=r"config.wandb is 'xlt'.*pip install 'xtreme_stilts\[tracking\]'"),
        logs.tracking("xlt", folder=epath.Path(tmp_path)),
    ):
        pass


def test_nothing_is_imported_where_no_project_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with logs.tracking("", folder=epath.Path(tmp_path)):
        assert write_two(epath.Path(tmp_path)) == [1.5, 1.25]


def test_last_values_are_each_ones_last(tmp_path):
    folder = epath.Path(tmp_path)
    assert logs.last_values(folder) == {}
    lines = [{"step": 2, "time": 1.0, "tokens": 7}, {"step": 4, "time": 2.0, "validation/f1": 3.0}]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 6, "ti'
    (tmp_path / "metrics.jsonl").write_text(text)
    assert logs.last_values(folder) == {"step": 4, "time": 2.0, "tokens": 7, "validation/f1": 3.0}
