"""A run that is told to stop saves, says so with its status, and goes on to the same end."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from xtreme_stilts import config as config_lib
from xtreme_stilts import phase, stopping, study
from xtreme_stilts.errors import Stopped
from xtreme_stilts.evaluation import zero_shot

ROOT = pathlib.Path(__file__).resolve().parents[1]

CONFIG = """
from xtreme_stilts import config as config_lib


def get_config(arg=None):
    config = config_lib.default()
    config.name, config.tokenizer, config.cache_dir = "stop", "mini", {cache!r}
    config.model.preset, config.model.width, config.model.layers = "mini", 32, 2
    config.model.heads, config.model.mlp, config.model.dropout = 2, 64, 0.0
    recipe = config.recipes.target
    recipe.steps, recipe.rows, recipe.length, recipe.log_every, recipe.learning_rate = 400, 4, 64, 1, 1e-3
    config.evaluation.rows, config.evaluation.length, config.evaluation.max_examples = 8, 64, 20
    config.targets, config.languages = ("mini_panx",), {{"mini_panx": ("en", "tr")}}
    return config
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stop")
    (folder / "config.py").write_text(CONFIG.format(cache=str(folder / "cache")))
    return folder / "config.py"


def start(config, workdir):
    command = [sys.executable, "-m", "xtreme_stilts.main", f"--config={config}", f"--workdir={workdir}"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for_steps(process, workdir, number):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        lines = [line for path in workdir.glob("phases/*/metrics.jsonl") for line in path.read_text().splitlines()]
        if len(lines) >= number:
            return
        time.sleep(0.05)
    raise AssertionError("no steps were made")


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    process = start(config, folder)
    assert process.wait(timeout=300) == 0, process.communicate()[1]
    return folder


def test_a_stopped_run_goes_on_to_the_same_end(config, whole, tmp_path):
    cut = start(config, tmp_path / "cut")
    wait_for_steps(cut, tmp_path / "cut", 20)
    cut.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, error = cut.communicate(timeout=60)
    assert cut.returncode == 75, error
    assert time.monotonic() - began < 30
    assert "SIGTERM: saving, then stopping" in error
    assert "stopped: [1/1] target mini_panx.en (seed 0) after step" in error
    assert "Traceback" not in error
    resumed = start(config, tmp_path / "cut")
    assert resumed.wait(timeout=300) == 0, resumed.communicate()[1]

    assert (whole / "results.csv").read_bytes() == (tmp_path / "cut" / "results.csv").read_bytes()
    lines = [json.loads(line) for line in next((tmp_path / "cut").glob("phases/*/metrics.jsonl")).open()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 401))


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(config, tmp_path):
    process = start(config, tmp_path / "cut")
    wait_for_steps(process, tmp_path / "cut", 5)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (75, 130)  # 75 where the first was answered before the second came


# --------------------------------------------------------------------------------------------------
# Wherever a run is when it is told. In this process: how its status is made is tested above.


class _Telling:
    """A function that sends this process SIGTERM when it is called for the n-th time."""

    def __init__(self, function, *, call):
        self.function, self.left = function, call

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.function(*args, **kwargs)


def small(cache):
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.cache_dir = "stop", "mini", str(cache)
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 1, 2, 32
    tree.model.dropout = 0.0
    recipe = tree.recipes.target
    recipe.steps, recipe.rows, recipe.length, recipe.eval_every, recipe.eval_rows = 12, 4, 64, 5, 60
    recipe.learning_rate, recipe.checkpoint_every = 1e-2, 100
    tree.evaluation.rows, tree.evaluation.length, tree.evaluation.max_examples = 4, 64, 60
    tree.targets, tree.languages = ("mini_panx",), {"mini_panx": ("en", "tr", "zh")}
    return config_lib.parse(tree)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, quick_compile):
    folder = tmp_path_factory.mktemp("undisturbed")
    study.run(small(folder / "cache"), workdir=folder / "study")
    return folder


def written(workdir):
    """What a study leaves behind that has no times in it."""
    files = {path.name: path.read_bytes() for path in workdir.glob("phases/*/evaluations/*/*")}
    (metrics,) = workdir.glob("phases/*/metrics.jsonl")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    validated = [(line["step"], line["validation/selection"]) for line in lines if "validation/selection" in line]
    return files | {"results.csv": (workdir / "results.csv").read_bytes(), "validations": validated}


@pytest.mark.parametrize(
    ("module", "name", "call", "said"),
    [
        (phase, "_validation_scores", 2, "target mini_panx.en (seed 0) in the validation after step 10 of 12"),
        (phase, "_validation_scores", 3, "target mini_panx.en (seed 0) in the validation after step 12 of 12"),
        (zero_shot, "predict", 2, "while task 'mini_panx.tr', split 'test' was read"),
        (phase.cache_lib, "encode", 1, "while task 'mini_panx.en', split 'train' was tokenised"),
    ],
)
def test_a_run_answers_wherever_it_is(undisturbed, tmp_path, monkeypatch, module, name, call, said):
    building = name == "encode"
    monkeypatch.setattr(phase.cache_lib, "CHUNK", 50)
    phase._open_cache.cache_clear()
    monkeypatch.setattr(module, name, _Telling(getattr(module, name), call=call))
    asked = small(tmp_path / "cache" if building else undisturbed / "cache")
    with pytest.raises(Stopped) as stopped:
        study.run(asked, workdir=tmp_path / "study")
    assert str(stopped.value).endswith(said)
    if building:
        assert list((tmp_path / "cache").iterdir()) == []  # no half cache, no rubbish
    study.run(asked, workdir=tmp_path / "study")
    stopping.watch()  # nobody has told the tests that follow
    assert written(tmp_path / "study") == written(undisturbed / "study")
