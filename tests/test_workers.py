"""Several programs on one study directory: the same scores as one gives, with one of them killed, too."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from xtreme_stilts.claims import _started
from xtreme_stilts.status import DONE, read_status

ROOT = pathlib.Path(__file__).resolve().parents[1]

CONFIG = """
from xtreme_stilts import config as config_lib


def get_config(arg=None):
    config = config_lib.default()
    config.name, config.tokenizer, config.cache_dir = "together", "mini", {cache!r}
    config.model.preset, config.model.width, config.model.layers = "mini", 32, 2
    config.model.heads, config.model.mlp, config.model.dropout = 2, 64, 0.0
    for recipe in config.recipes.values():
        recipe.steps, recipe.rows, recipe.length, recipe.log_every, recipe.checkpoint_every = 60, 4, 64, 10, 10
    config.evaluation.rows, config.evaluation.length, config.evaluation.max_examples = 8, 64, 20
    config.intermediates = {{"none": (), "mnli": ("mini_mnli",)}}
    config.targets, config.retrieval = ("mini_panx", "mini_xnli"), ("mini_tatoeba",)
    config.languages = {{name: ("en", "tr") for name in ("mini_panx", "mini_xnli")}}
    config.languages["mini_tatoeba"] = ("de", "tr")
    config.seeds = (0, 1)
    return config
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    (folder / "config.py").write_text(CONFIG.format(cache=str(folder / "cache")))
    return folder / "config.py"


def start(config, workdir, log):
    command = [sys.executable, "-m", "xtreme_stilts.main", f"--config={config}", f"--workdir={workdir}"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.STDOUT, stdout=open(log, "w"), text=True)


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    process = start(config, folder, folder.with_suffix(".log"))
    assert process.wait(timeout=400) == 0, folder.with_suffix(".log").read_text()
    return folder


def wait_for_claim(process, workdir, *, claims):
    """Until a process trains something, after so many claims were made by anyone."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        held = [json.loads(path.read_text()) for path in workdir.glob("phases/*/claim-*.json")]
        mine = [each for each in held if each["pid"] == process.pid and not each["released"]]
        if mine and len(held) >= claims:
            return
        time.sleep(0.02)
    raise AssertionError("nothing was claimed")


def test_three_workers_one_of_them_killed_equal_one(config, alone, tmp_path):
    workdir, logs = tmp_path / "study", [tmp_path / f"{number}.log" for number in range(3)]
    workers = [start(config, workdir, log) for log in logs]
    wait_for_claim(workers[1], workdir, claims=4)
    workers[1].send_signal(signal.SIGKILL)
    statuses = [worker.wait(timeout=500) for worker in workers]
    texts = [log.read_text() for log in logs]
    assert statuses == [0, -signal.SIGKILL, 0], "\n".join(texts)

    assert (workdir / "results.csv").read_bytes() == (alone / "results.csv").read_bytes()
    # Every phase was trained to its end once; the killed worker's last one may have been at its end, too.
    ends = collections.Counter(
        match[1] for text in texts for match in re.finditer(r"^\[(\d+)/11\] .*: 60/60, ", text, re.MULTILINE)
    )
    assert len(ends) == 8 and ends.total() <= 9
    assert any("has ended without a word; taken over" in text for text in (texts[0], texts[2]))
    status = read_status(workdir)
    assert status.finished and status.count(DONE) == 11


def test_another_plan_in_the_same_directory_is_refused_while_others_work(config, alone, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(config.read_text().replace("config.seeds = (0, 1)", "config.seeds = (0,)"))
    phase = next(alone.glob("phases/*/claim-*.json"))
    released = phase.read_text()
    holder = json.loads(released) | {"pid": os.getpid(), "started": _started(os.getpid()), "released": False}
    phase.write_text(json.dumps(holder))
    before = (alone / "results.csv").read_bytes()
    process = start(other, alone, tmp_path / "other.log")
    assert process.wait(timeout=200) == 2
    phase.write_text(released)
    said = (tmp_path / "other.log").read_text().splitlines()[-1]
    assert re.search(
        r"process \d+ on .* is at work on another plan \(config.seeds is \[0, 1\] there and \[0\] here\)", said
    )
    assert (alone / "results.csv").read_bytes() == before


def test_a_directory_of_another_version_is_refused(config, alone, tmp_path):
    plan = alone / "plan.json"
    text = plan.read_text()
    plan.write_text(json.dumps(json.loads(text) | {"results_version": 1, "package": "0.0.1"}))
    process = start(config, alone, tmp_path / "old.log")
    assert process.wait(timeout=200) == 2
    plan.write_text(text)
    said = (tmp_path / "old.log").read_text().splitlines()[-1]
    assert said.startswith("error:") and "results version 1 (xtreme_stilts 0.0.1)" in said and "new --workdir" in said
