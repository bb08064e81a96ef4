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


def test_a_second_ctrl_c_stops_at_once(config, tmp_path):
    process = start(config, tmp_path / "cut")
    wait_for_steps(process, tmp_path / "cut", 5)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (75, 130)  # 75 where the first was answered before the second came
