"""W&B beside metrics.jsonl: what it is told, and that nothing it does harms the training."""

from __future__ import annotations

import json
import logging
import sys
import types

import pytest
from etils import epath

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
