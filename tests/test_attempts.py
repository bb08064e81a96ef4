"""Phases that did not learn are trained again from other seeds, if asked for, and always told of."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from etils import epath

from xtreme_stilts import attempts, stopping, study
from xtreme_stilts import config as config_lib
from xtreme_stilts.errors import Stopped
from xtreme_stilts.report import provenance
from xtreme_stilts.report.studies import open_study
from xtreme_stilts.status import read_status

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_seeds_follow_from_the_phase_and_the_attempt():
    assert attempts.seed_of(7, attempt=0) == 7
    seeds = [attempts.seed_of(seed, attempt=number) for seed in range(20) for number in range(1, 6)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds[:2] == [attempts.seed_of(0, attempt=1), attempts.seed_of(0, attempt=2)]


@pytest.fixture
def folder(tmp_path):
    """A phase's folder as its first attempt leaves it."""
    for name in ("latest/3", "best/3", "evaluations"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "metrics.jsonl").write_text('{"step": 3}\n')
    return epath.Path(tmp_path)


def test_the_next_attempt_begins_in_an_empty_folder(folder):
    first = attempts.begin(folder, seed=5)
    assert first == (0, 5, ())
    assert first.describe() == {}
    assert (folder / "latest" / "3").exists()  # it goes on where it was
    attempts.end(folder, first, record={"steps": 3})
    second = attempts.begin(folder, seed=5)
    assert (second.number, second.seed) == (1, attempts.seed_of(5, attempt=1))
    assert second.describe()["failed"] == [{"seed": 5, "steps": 3}]
    assert not (folder / "latest").exists() and not (folder / "best").exists()
    assert (folder / "metrics-attempt0.jsonl").read_text() == '{"step": 3}\n'
    assert not (folder / "metrics.jsonl").exists()
    (folder / "latest" / "9").mkdir(parents=True)
    assert attempts.begin(folder, seed=5) == second
    assert (folder / "latest" / "9").exists()
    attempts.end(folder, second, record={"steps": 4})
    assert attempts.begin(folder, seed=5).failed == ({"seed": 5, "steps": 3}, {"seed": second.seed, "steps": 4})


def test_a_run_that_is_killed_while_clearing_clears_again(folder, monkeypatch):
    attempts.end(folder, attempts.begin(folder, seed=0), record={})
    kind = type(folder)
    real = kind.rmtree

    def killed(path, *args, **kwargs):
        if path.name == "best":
            raise KeyboardInterrupt
        real(path, *args, **kwargs)

    monkeypatch.setattr(kind, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        attempts.begin(folder, seed=0)
    assert (folder / "best" / "3").exists()
    monkeypatch.undo()
    assert attempts.begin(folder, seed=0).number == 1
    assert not (folder / "best").exists()


# --------------------------------------------------------------------------------------------------
# Through whole studies


def config(cache_dir, *, rate, restarts=0, steps=60):
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.cache_dir = "again", "mini", cache_dir
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 2, 2, 32
    tree.model.dropout = 0.0
    recipe = tree.recipes.target
    recipe.steps, recipe.rows, recipe.length, recipe.log_every = steps, 4, 64, 10
    recipe.learning_rate, recipe.checkpoint_every, recipe.restarts, recipe.eval_rows = rate, 25, restarts, 20
    tree.evaluation.rows, tree.evaluation.length, tree.evaluation.max_examples = 8, 64, 10
    tree.targets, tree.languages = ("mini_panx",), {"mini_panx": ("en",)}
    return config_lib.parse(tree)


def records(workdir):
    """done.json and run_card.json of the only phase."""
    (done,) = workdir.glob("phases/*/done.json")
    return json.loads(done.read_text()), json.loads((done.parent / "run_card.json").read_text())


HOPELESS = {"rate": 30.0}  # nothing survives such steps


def test_what_did_not_learn_is_told_everywhere(cache_dir, tmp_path, capsys):
    study.run(config(cache_dir, **HOPELESS), workdir=tmp_path)
    said = capsys.readouterr().err
    assert said.count("did not learn its task: loss ") == 1
    assert "another seed may help (config.recipes.target.restarts)" in said
    done, card = records(tmp_path)
    assert set(done["unlearned"]) == {"mini_panx.en"}
    loss = done["unlearned"]["mini_panx.en"]
    assert loss["end"] > 0.98 * loss["guess"] > 0.5
    assert card["fit"] == done
    assert "attempt" not in done
    assert [phase.note for phase in read_status(tmp_path).phases] == [
        "did not learn mini_panx.en: its loss stayed at guessing"
    ]
    warning = provenance.unlearned(open_study(tmp_path))
    assert warning.startswith("Did not learn") and "mini_panx.en (seed 0)" in warning


def test_what_learns_is_left_alone(cache_dir, tmp_path, capsys):
    """And restarts that are not needed change no number."""
    for name, restarts in (("none", 0), ("two", 2)):
        study.run(config(cache_dir, rate=1e-2, restarts=restarts), workdir=tmp_path / name)
    assert "did not learn" not in capsys.readouterr().err
    (none, _), (two, _) = records(tmp_path / "none"), records(tmp_path / "two")
    assert none["unlearned"] == two["unlearned"] == {}
    assert {**none, "seconds": 0} == {**two, "seconds": 0}
    assert [phase.note for phase in read_status(tmp_path / "none").phases] == [""]
    assert provenance.unlearned(open_study(tmp_path / "none")) == ""


def best_params(workdir):
    from xtreme_stilts.graph import plan
    from xtreme_stilts.models import Model
    from xtreme_stilts.phase import heads_of, read_best

    parsed = config_lib.parse(json.loads((workdir / "config.json").read_text()))
    setting = study.prepare(parsed, workdir=epath.Path(workdir))
    (phase,) = plan(parsed, root=study.root_of(setting)).phases
    model = Model(setting.encoder, heads_of(phase, setting=setting).by_name)
    return jax.device_get(read_best(phase, setting=setting, model=model, items=("encoder", "heads")))


def test_killed_in_a_restart_it_goes_on_there(cache_dir, tmp_path, capsys, monkeypatch):
    asked = config(cache_dir, **HOPELESS, restarts=2)
    study.run(asked, workdir=tmp_path / "whole")
    said = capsys.readouterr().err
    assert said.count("it is trained again from another seed") == 2
    assert said.count("another seed may help") == 1
    done, card = records(tmp_path / "whole")
    assert done["attempt"] == 2
    assert done["seed"] == attempts.seed_of(0, attempt=2)
    assert [each["seed"] for each in done["failed"]] == [0, attempts.seed_of(0, attempt=1)]
    assert done["failed"][0]["unlearned"] != done["failed"][1]["unlearned"] != done["unlearned"]
    assert len(card["sessions"]) == 3

    calls = []

    def requested(step=None):
        calls.append(step)
        return step == 40 and calls.count(40) == 2  # of the second attempt

    monkeypatch.setattr(stopping, "requested", requested)
    with pytest.raises(Stopped, match="after step 40 of 60"):
        study.run(asked, workdir=tmp_path / "cut")
    (running,) = (tmp_path / "cut").glob("phases/*/attempts.json")
    assert len(json.loads(running.read_text())["failed"]) == 1
    study.run(asked, workdir=tmp_path / "cut")
    assert calls.count(41) == 3  # of all three attempts, each once

    again, _ = records(tmp_path / "cut")
    without = ("seconds", "failed")
    assert {k: v for k, v in again.items() if k not in without} == {k: v for k, v in done.items() if k not in without}
    for mine, theirs in zip(again["failed"], done["failed"], strict=True):
        assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}
    jax.tree.map(np.testing.assert_array_equal, best_params(tmp_path / "whole"), best_params(tmp_path / "cut"))
    assert (tmp_path / "cut" / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()


def test_asking_for_restarts_is_another_phase():
    """What is reused must have been trained as the config asks; without restarts names of phases stay as they were."""
    from xtreme_stilts.config import Recipe
    from xtreme_stilts.graph import Phase, Root

    root = Root(encoder={}, weights="", tokenizer="", head_pooling="jiant", seed=0)

    def phase(**fields):
        return Phase(
            kind="target",
            mixture="m",
            versions=(),
            mixing=(),
            root=root,
            parent=None,
            recipe=Recipe(**fields),
            seed=0,
        )

    assert "restarts" not in phase().describe()["recipe"]
    assert phase().fingerprint == phase(restarts=0).fingerprint
    assert len({phase(restarts=number).fingerprint for number in range(3)}) == 3
