"""Two real processes on this machine, four devices each, against one process with eight; and what happens when they
disagree, or one of them dies."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
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


def start(folder, *, cache, number, count, port, flags=(), steps=50, hosts=ROOT):
    """A process of a run of `count`; eight devices in all. `hosts` may have {} for the number of the process."""
    folder.mkdir(exist_ok=True, parents=True)
    config = folder / "config.py"
    config.write_text(CONFIG.format(cache=cache, steps=steps))
    several = [f"--coordinator=127.0.0.1:{port}", f"--processes={count}", f"--process={number}"] if count > 1 else []
    command = [sys.executable, str(PROGRAM), str(config), str(8 // count), f"--workdir={folder / 'study'}"]
    with open(folder / f"out{number}", "w") as out, open(folder / f"err{number}", "w") as err:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [*command, *several, *flags], stdout=out, stderr=err, env=environment, cwd=str(hosts).format(number)
        )


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
    second = printed(tmp_path / "two", 1)  # gloo's threads write through each other's lines, so not all of them go
    assert not [word for word in ("study", "phase", "mini_", "evaluated", "reused", "average") if word in second]

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


def relabel(cache):
    """Gives the examples of a tokenised set other labels, as another release of the data would have."""
    labels = np.load(cache / "label.npy")
    np.save(cache / "label.npy", labels[::-1])
    meta = json.loads((cache / "meta.json").read_text())
    meta["files"]["label.npy"] = hashlib.sha256((cache / "label.npy").read_bytes()).hexdigest()
    (cache / "meta.json").write_text(json.dumps(meta))


@pytest.mark.slow
def test_processes_whose_data_differ_say_where(tmp_path, cache):
    if not list(pathlib.Path(cache).glob("mini_mnli.en-train-*")):
        assert start(tmp_path / "one", cache=cache, number=0, count=1, port=0, steps=1).wait(timeout=300) == 0
    for number in (0, 1):
        shutil.copytree(cache, tmp_path / f"host{number}" / "cache")
    relabel(next((tmp_path / "host1" / "cache").glob("mini_mnli.en-train-*")))
    for number, process in enumerate(start_two(tmp_path, cache="cache", hosts=tmp_path / "host{}")):
        assert process.wait(timeout=120) == 2, said(tmp_path, number)
        sentence = "the sha256 of the tokenised rows of task 'mini_mnli.en', split 'train' is '"
        assert sentence in said(tmp_path, number), said(tmp_path, number)
        assert "on process 1; give all of them the same data" in said(tmp_path, number)


def wait_for_losses(folder, processes, *, number):
    """Until a phase has made more than so many steps."""
    deadline = time.monotonic() + 200
    while not any(len(lines) > number for lines in losses(folder).values()):
        assert all(process.poll() is None for process in processes), said(folder, 0) + said(folder, 1)
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_run_that_lost_a_process_goes_on_exactly(tmp_path, cache):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for number, process in enumerate(start_two(whole, cache=cache, steps=150)):
        assert process.wait(timeout=400) == 0, said(whole, number)
    processes = start_two(cut, cache=cache, steps=150)
    wait_for_losses(cut, processes, number=60)  # validated and saved at 25 and 50
    processes[1].send_signal(signal.SIGKILL)
    assert processes[0].wait(timeout=120) != 0
    for number, process in enumerate(start_two(cut, cache=cache, steps=150)):
        assert process.wait(timeout=400) == 0, said(cut, number)
    assert losses(cut) == losses(whole)
    assert (cut / "study" / "results.csv").read_bytes() == (whole / "study" / "results.csv").read_bytes()


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_when_one_is_killed_the_other_stops_with_a_sentence(tmp_path, cache, victim):
    processes = start_two(tmp_path, cache=cache, steps=100_000)
    wait_for_losses(tmp_path, processes, number=3)
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


@pytest.mark.slow
def test_ctrl_c_in_one_stops_all_at_one_step(tmp_path, cache):
    processes = start_two(tmp_path, cache=cache, steps=100_000)
    wait_for_losses(tmp_path, processes, number=3)
    processes[1].send_signal(signal.SIGINT)
    for number, process in enumerate(processes):
        assert process.wait(timeout=120) == 75, said(tmp_path, number)[-2000:]
    steps = [re.search(r"after step (\d+) of 100000", said(tmp_path, number)).group(1) for number in (0, 1)]
    assert steps[0] == steps[1]
