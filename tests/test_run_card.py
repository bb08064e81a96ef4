"""The run card: what a real phase writes into it over a stop and a resume, and how sessions add up."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import subprocess
import sys
import types

import jax
import pytest
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import run_card, stopping, study
from xtreme_stilts.data.cache import Cache
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.run_card import RunCard, Session

ROOT = pathlib.Path(__file__).resolve().parents[1]


# --------------------------------------------------------------------------------------------------
# A real phase: told to stop after step 2, then run to its end


class Wandb(types.ModuleType):
    """Records what it is asked."""

    def __init__(self):
        super().__init__("wandb")
        self.asked, self.logged, self.ended = [], [], []

    def init(self, **asked):
        self.asked.append(asked)
        logged, ended = self.logged, self.ended

        class Run:
            step = 0

            def log(self, values, *, step):
                logged.append((step, values))

            def finish(self, *, exit_code):
                ended.append(exit_code)

        return Run()


def tiny(cache_dir):
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.cache_dir, tree.wandb = "tiny", "mini", str(cache_dir), "xlt"
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 1, 2, 32
    recipe = tree.recipes.target
    recipe.steps, recipe.rows, recipe.length, recipe.log_every, recipe.eval_rows = 4, 4, 64, 1, 20
    tree.evaluation.length, tree.evaluation.rows, tree.evaluation.max_examples = 64, 8, 8
    tree.targets, tree.languages = ("mini_panx",), {"mini_panx": ("en",)}
    return tree


@pytest.fixture(scope="module")
def resumed(quick_compile, tmp_path_factory):
    """The study directory, the card after the stop, the card at the end, and what wandb was asked."""
    workdir, cache = tmp_path_factory.mktemp("study"), tmp_path_factory.mktemp("cache")
    wandb, cards = Wandb(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "wandb", wandb)
        patch.setattr(stopping, "requested", lambda step=None: step == 2)
        with pytest.raises(Stopped):
            study.run(config_lib.parse(tiny(cache)), workdir=workdir)
        (folder,) = (path.parent for path in workdir.glob("phases/*/phase.json"))
        cards.append(run_card.read(folder))
        patch.setattr(stopping, "requested", lambda step=None: False)
        study.run(config_lib.parse(tiny(cache)), workdir=workdir)
        cards.append(run_card.read(folder))
    return types.SimpleNamespace(folder=folder, cache=cache, stopped=cards[0], card=cards[1], wandb=wandb)


def test_sessions_of_a_resumed_phase(resumed):
    (stopped,) = resumed.stopped.sessions
    assert (stopped.from_step, stopped.to_step) == (0, 2)
    assert stopped.ended and not resumed.stopped.fit
    first, second = resumed.card.sessions
    assert first == stopped
    assert (second.from_step, second.to_step) == (2, 4)
    assert first.ended < second.started < second.ended
    parsed = datetime.datetime.fromisoformat(second.started)
    assert parsed.utcoffset() == datetime.timedelta(0)
    # The clock and the stopwatch agree, and chip-hours are theirs.
    span = datetime.datetime.fromisoformat(second.ended) - parsed
    assert span.total_seconds() == pytest.approx(second.seconds, abs=0.1)
    assert resumed.card.chip_hours == pytest.approx(jax.device_count() * (first.seconds + second.seconds) / 3600)


def test_what_a_card_tells(resumed):
    card, folder = resumed.card, resumed.folder
    assert card.phase == json.loads((folder / "phase.json").read_text())
    assert folder.name.endswith(card.fingerprint[:12])
    done = json.loads((folder / "done.json").read_text())
    assert card.fit == done
    assert card.tokens == done["tokens"] > 0
    assert (card.study, card.kind, card.path, card.seed, card.steps) == ("tiny", "target", "mini_panx.en", 0, 4)
    assert card.config["name"] == "tiny"
    assert card.recipe["rows"] == 4
    assert card.weights == ""
    assert card.energy_kwh is None
    assert card.heads["head"]["kind"] == "tagging"
    assert card.heads["head"]["label_names"] == ["B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O"]
    caches = {(cache.meta["task"], cache.meta["split"]): cache for cache in map(Cache, sorted(resumed.cache.iterdir()))}
    for data in card.data:
        cache = caches[data.task, data.split]
        assert (data.rows, data.tokens, data.sha256) == (len(cache), cache.num_tokens, cache.fingerprint)
    assert [(data.split, data.use) for data in card.data] == [("train", "train"), ("validation", "validation")]


def test_where_it_ran(resumed):
    session = resumed.card.sessions[-1]
    assert (session.devices, session.processes) == (jax.device_count(), 1)
    assert session.device_kind == jax.devices()[0].device_kind
    assert session.host_cpus == os.cpu_count()
    assert session.host_memory > 2**28
    assert session.packages["jax"] == jax.__version__
    assert session.packages["python"] == sys.version.split()[0]
    assert {*run_card.PACKAGES} - {"xtreme_stilts"} <= session.packages.keys()
    assert list(session.command) == sys.orig_argv


def test_the_totals_are_in_the_file(resumed):
    found = json.loads((resumed.folder / run_card.FILE).read_text())
    assert found["chip_hours"] == pytest.approx(sum(s["devices"] * s["seconds"] for s in found["sessions"]) / 3600)
    assert (found["started"], found["ended"]) == (found["sessions"][0]["started"], found["sessions"][1]["ended"])


def test_tracking_goes_on_with_the_same_run_and_changes_no_phase(resumed):
    wandb = resumed.wandb
    first, second = wandb.asked
    assert first == second
    assert (first["project"], first["group"], first["resume"]) == ("xlt", "tiny", "allow")
    assert resumed.card.fingerprint.startswith(first["id"])
    assert json.loads(json.dumps(first["config"]["phase"])) == resumed.card.phase
    assert [step for step, values in wandb.logged if "loss" in values] == [1, 2, 3, 4]
    assert wandb.ended == [0, 0]
    tree = tiny(resumed.cache)
    tree.wandb = ""
    parsed = config_lib.parse(tree)
    setting = study.prepare(parsed, workdir=epath.Path(resumed.folder.parent.parent))
    (phase,) = study.plan(parsed, root=study.root_of(setting)).phases
    assert setting.is_done(phase)


# --------------------------------------------------------------------------------------------------
# Sessions


def lines(folder, *steps):
    """metrics.jsonl: a line for each (step, time, tokens)."""
    text = "".join(json.dumps({"step": step, "time": at, "tokens": n}) + "\n" for step, at, n in steps)
    (folder / "metrics.jsonl").write_text(text)


def write(folder, card):
    (folder / run_card.FILE).write_text(json.dumps(card.to_json()))


def test_a_killed_session_ends_with_its_last_line(tmp_path):
    # Begun at 12:00:00 UTC, last heard of 90 s later at step 30, on 8 devices: 8 * 90 / 3600 = 0.2 chip-hours.
    began = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    killed = Session(started=began.isoformat(), devices=8, from_step=10, to_step=10)
    write(tmp_path, RunCard(study="s", sessions=(killed,)))
    lines(tmp_path, (20, began.timestamp() + 40, 100), (30, began.timestamp() + 90, 200))
    (tmp_path / "latest" / "25").mkdir(parents=True)
    (tmp_path / "latest" / "20").mkdir()
    with run_card.recording(tmp_path, card=RunCard(study="s")):
        running = run_card.read(tmp_path)
        assert running.ended == ""
        lines(tmp_path, (20, began.timestamp() + 40, 100), (40, began.timestamp() + 99, 300))
    first, second = run_card.read(tmp_path).sessions
    assert (first.from_step, first.to_step, first.seconds) == (10, 30, 90.0)
    assert first.ended == "2024-05-01T12:01:30.000+00:00"
    assert first.chip_hours == pytest.approx(0.2)
    assert (second.from_step, second.to_step) == (25, 40)
    assert run_card.read(tmp_path).tokens == 300


def test_chip_hours_add_up():
    sessions = (Session(devices=4, seconds=1800), Session(devices=8, seconds=900))
    card = RunCard(sessions=sessions)
    assert card.chip_hours == 4.0  # 4 x 0.5 h + 8 x 0.25 h
    assert card.seconds == 2700


def test_an_error_ends_a_session_too(tmp_path):
    with pytest.raises(KeyError), run_card.recording(tmp_path, card=RunCard()):
        raise KeyError("x")
    (session,) = run_card.read(tmp_path).sessions
    assert session.ended
    assert (session.from_step, session.to_step) == (0, 0)


def test_a_damaged_card_does_not_stop_a_training(tmp_path):
    (tmp_path / run_card.FILE).write_text('{"sessions": [')
    with run_card.recording(tmp_path, card=RunCard(study="s")) as record:
        record.update(tokens=3)
    assert run_card.read(tmp_path).study == "s"


# --------------------------------------------------------------------------------------------------
# Reading


def test_json_round_trip(tmp_path):
    card = RunCard(
        study="s",
        seed=3,
        heads={"head": {"kind": "span"}},
        data=(run_card.Data(task="t", rows=2),),
        sessions=(Session(devices=2, seconds=1.5, command=("a", "b"), packages={"jax": "1"}),),
    )
    write(tmp_path, card)
    assert run_card.read(tmp_path) == card


def test_cards_of_other_versions_read(tmp_path):
    found = {"study": "old", "novelty": 1, "sessions": [{"seconds": 2.0, "watts": 7}], "data": [{"task": "t"}]}
    (tmp_path / run_card.FILE).write_text(json.dumps(found))
    card = run_card.read(tmp_path)
    assert card == RunCard(study="old", sessions=(Session(seconds=2.0),), data=(run_card.Data(task="t"),))
    assert dataclasses.replace(card, sessions=()).started == ""


@pytest.mark.parametrize("text", ["[]", "{", '{"sessions": [3]}'])
def test_a_damaged_card_is_a_sentence(tmp_path, text):
    (tmp_path / run_card.FILE).write_text(text)
    with pytest.raises(UserError, match=r"run_card.json: not a run card"):
        run_card.read(tmp_path)


def test_a_missing_card_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        run_card.read(tmp_path)


# --------------------------------------------------------------------------------------------------
# Version control


@pytest.fixture
def fresh():
    run_card._working_tree.cache_clear()
    yield
    run_card._working_tree.cache_clear()


def test_the_revision_is_gits(fresh):
    asked = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        expected = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no git working tree")
    assert run_card._working_tree()["revision"] == expected


def test_without_git_there_is_no_revision(fresh, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert dict(run_card._working_tree()) == {}
