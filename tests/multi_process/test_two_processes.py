"""Two real processes on this machine, four devices each, against one process with eight; and what happens when they
disagree, or one of them dies."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(__file__).with_name("program.py")

CONFIG = """
from xtreme_stilts import config as config_lib


def get_config(arg=None):
    config = config_lib.default()
    config.name, config.tokenizer, config.cache_dir = "two", "mini", {cache!r}
    config.model.preset, config.model.width, config.model.layers = "mini", 32, 2
    config.model.dropout = 0.0
    config.model.heads, config.model.mlp = 4, 64
    config.mesh.data, config.mesh.fsdp, config.mesh.tensor = 2, 2, 2
    for recipe in config.recipes.values():
        recipe.steps, recipe.rows, recipe.length, recipe.log_every = {steps}, 8, 64, 1
        recipe.eval_every, recipe.eval_rows, recipe.learning_rate = 25, 20, 1e-3
    config.evaluation.rows, config.evaluation.length, config.evaluation.max_examples = 8, 64, 30
    config.mixtures = {{"mini_pair": ("mini_mnli", "mini_panx")}}
    config.intermediates = {{"pair": ("mini_pair",)}}
    config.targets, config.retrieval = ("mini_xnli",), ("mini_tatoeba",)
    config.languages = {{"mini_xnli": ("en", "sw"), "mini_tatoeba": ("de",)}}
    return config
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def start(folder, *, cache, number, count, port, flags=(), steps=50):
    """A process of a run of `count`; eight devices in all."""
    folder.mkdir(exist_ok=True, parents=True)
    config = folder / "config.py"
    config.write_text(CONFIG.format(cache=cache, steps=steps))
    several = [f"--coordinator=127.0.0.1:{port}", f"--processes={count}", f"--process={number}"] if count > 1 else []
    command = [sys.executable, str(PROGRAM), str(config), str(8 // count), f"--workdir={folder / 'study'}"]
    with open(folder / f"out{number}", "w") as out, open(folder / f"err{number}", "w") as err:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([*command, *several, *flags], stdout=out, stderr=err, env=environment)


def start_two(folder, *, cache, flags=((), ()), **options):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    return [start(folder, cache=cache, number=n, count=2, port=port, flags=flags[n], **options) for n in (0, 1)]


def said(folder, number):
    return (folder / f"err{number}").read_text()


def printed(folder, number):
    lines = (folder / f"out{number}").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("[Gloo]"))


def losses(folder):
    found = {}
    for path in folder.glob("study/phases/*/metrics.jsonl"):
        lines = map(json.loads, path.read_text().splitlines())
        found[path.parent.name] = {line["step"]: (line["loss"], line["tokens"]) for line in lines if "loss" in line}
    return found


def test_two_processes_equal_one(tmp_path, cache):
    one = start(tmp_path / "one", cache=cache, number=0, count=1, port=0)
    assert one.wait(timeout=300) == 0, said(tmp_path / "one", 0)
    two = start_two(tmp_path / "two", cache=cache)
    for number, process in enumerate(two):
        assert process.wait(timeout=300) == 0, said(tmp_path / "two", number)

    alone, together = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert alone.keys() == together.keys() and len(alone) == 2
    for phase, lines in alone.items():
        assert set(lines) == set(together[phase]) == set(range(1, 51))
        for step, (loss, tokens) in lines.items():
            assert together[phase][step] == (pytest.approx(loss, abs=1e-5), tokens), (phase, step)

    tables = [pd.read_csv(tmp_path / name / "study" / "results.csv") for name in ("one", "two")]
    key = ["target", "language", "metric", "layer", "pooling", "examples", "split"]
    left, right = (table.sort_values(key).reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(left[[*key, "fingerprint"]], right[[*key, "fingerprint"]])
    assert left.value.to_numpy() == pytest.approx(right.value.to_numpy(), abs=1e-3)
    # One process speaks and writes; the other is silent (gloo is not ours).
    assert "evaluated" in printed(tmp_path / "two", 0)
    assert printed(tmp_path / "two", 1).strip() == ""

    for number, process in enumerate(start_two(tmp_path / "two", cache=cache)):
        assert process.wait(timeout=300) == 0, said(tmp_path / "two", number)
    assert printed(tmp_path / "two", 0).count("reused") == 2
    assert "evaluated" not in printed(tmp_path / "two", 0)


def test_processes_that_disagree_say_where(tmp_path, cache):
    flags = ((), ("--config.recipes.target.learning_rate=0.5",))
    for number, process in enumerate(start_two(tmp_path, cache=cache, flags=flags)):
        assert process.wait(timeout=120) == 2
        sentence = "config.recipes.target.learning_rate is 0.001 on process 0 and 0.5 on process 1"
        assert sentence in said(tmp_path, number), said(tmp_path, number)


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_when_one_is_killed_the_other_stops_with_a_sentence(tmp_path, cache, victim):
    processes = start_two(tmp_path, cache=cache, steps=100_000)
    deadline = time.monotonic() + 200
    while not any(len(lines) > 3 for lines in losses(tmp_path).values()):
        assert all(process.poll() is None for process in processes), said(tmp_path, 0) + said(tmp_path, 1)
        assert time.monotonic() < deadline
        time.sleep(0.5)
    processes[victim].send_signal(signal.SIGKILL)
    began, other = time.monotonic(), 1 - victim
    status = processes[other].wait(timeout=120)
    assert time.monotonic() - began < 60
    # Whoever notices first: the program, from a broken connection, or JAX's own watch, from missing heartbeats.
    if status == -signal.SIGABRT:
        assert "This most likely indicates that another task died" in said(tmp_path, other)
    else:
        assert status == 1, said(tmp_path, other)[-2000:]
        assert "error: another process of this run stopped" in said(tmp_path, other)
