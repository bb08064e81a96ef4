"""Whole studies on the miniature benchmark, with few steps: what is written, what is reused, what is refused."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from etils import epath
from safetensors.numpy import load_file, save_file

from xtreme_stilts import config as config_lib
from xtreme_stilts import planner, study
from xtreme_stilts.data.tokenizer import load_tokenizer
from xtreme_stilts.errors import UserError
from xtreme_stilts.graph import plan
from xtreme_stilts.models import Head, Model, hf, preset
from xtreme_stilts.phase import read_best, starting_params

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def tiny(cache_dir):
    """A config that runs in seconds."""
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.cache_dir = "tiny", "mini", cache_dir
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 2, 2, 32
    tree.model.dropout = 0.0  # its random numbers take most of the time to compile
    for recipe in tree.recipes.values():
        recipe.steps, recipe.rows, recipe.length, recipe.log_every, recipe.eval_rows = 4, 4, 128, 2, 20
    tree.evaluation.length, tree.evaluation.rows, tree.evaluation.max_examples = 128, 8, 24
    return tree


def run(tree, workdir):
    study.run(config_lib.parse(tree), workdir=workdir)


def test_a_study_and_its_second_run(tiny, tmp_path, capsys, page):
    tiny.pretrain = ("mini_tlm",)
    tiny.mixtures = {"mini_pair": ("mini_mnli", "mini_squad_v1")}
    tiny.intermediates = {"none": (), "pair": ("mini_pair",)}
    tiny.targets, tiny.retrieval = ("mini_xnli", "mini_xquad", "mini_panx"), ("mini_tatoeba", "mini_bucc2018")
    tiny.recipes.mlm.eval_every = 2
    run(tiny, tmp_path)

    frame = pd.read_csv(tmp_path / "results.csv")
    assert list(frame.columns) == [
        "model",
        "intermediate",
        "target",
        "language",
        "split",
        "metric",
        "value",
        "examples",
        "seed",
        "layer",
        "pooling",
        "steps",
        "fingerprint",
    ]
    seven = {"en", "de", "es", "ru", "sw", "tr", "zh"}
    for row in ("none", "pair"):
        for target in ("mini_xnli", "mini_xquad", "mini_panx"):
            assert set(frame[(frame.intermediate == row) & (frame.target == target)].language) == seven
        for target in ("mini_tatoeba", "mini_bucc2018"):
            found = frame[(frame.intermediate == row) & (frame.target == target)]
            assert set(found.language) == seven - {"en"}
            assert set(found.layer) == {0, 1, 2}
            assert set(found[found.metric == "chance"].layer) == {1}  # the reported one: 14/24 of two layers
    assert frame.value.between(0, 100).all()
    assert set(frame[(frame.target == "mini_xnli") & (frame.metric == "chance")].value.round(6)) == {33.333333}
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000

    # A prediction for every example that was scored, readable without this package.
    folder = sorted((tmp_path / "phases").glob("*/evaluations/mini_xnli"))[0]
    lines = [json.loads(line) for line in (folder / "sw.jsonl").read_text().splitlines()]
    assert len(lines) == 24
    assert {line["prediction"] for line in lines} <= {"contradiction", "entailment", "neutral"}

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("phases/*/best/**/*") if path.is_file()}
    scores = (tmp_path / "results.csv").read_bytes()
    cut = scores[: len(scores) // 2].rpartition(b",")[0]  # within a line
    (tmp_path / "results.csv").write_bytes(cut)
    capsys.readouterr()
    run(tiny, tmp_path)
    printed = capsys.readouterr().out
    lines = cut.count(b"\n")
    assert f"results.csv line {lines + 1}: the file is cut short" in printed
    assert f"the {lines - 1:,} whole ones before it are kept" in printed
    assert (tmp_path / "results.csv.damaged").read_bytes() == cut
    assert printed.count(": reused") == len({path.parts[len(tmp_path.parts) + 1] for path in before})
    assert "evaluated" not in printed
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("phases/*/best/**/*") if path.is_file()} == before
    assert (tmp_path / "results.csv").read_bytes() == scores

    described = next(tmp_path.glob("phases/mini_panx*/phase.json"))
    other = json.loads(described.read_text())
    other["recipe"]["steps"] = 5
    described.write_text(json.dumps(other))
    with pytest.raises(UserError, match=r"mini_panx.* with other settings \(recipe.steps is 5 there and 4 here, says"):
        run(tiny, tmp_path)


def test_a_changed_field_runs_only_what_it_changes(tiny, tmp_path, capsys):
    tiny.targets = ("mini_panx", "mini_pawsx")
    tiny.languages = {"mini_panx": ("en", "tr"), "mini_pawsx": ("en",)}
    run(tiny, tmp_path)
    tiny.by_task = {"mini_pawsx": {"learning_rate": 1e-4}}
    tiny.languages.mini_panx = ("en", "tr", "zh")
    capsys.readouterr()
    run(tiny, tmp_path)
    printed = capsys.readouterr().out
    assert printed.count(": reused") == 1
    assert "evaluated mini_panx in 1 languages" in printed
    frame = pd.read_csv(tmp_path / "results.csv")
    assert frame[frame.target == "mini_pawsx"].fingerprint.nunique() == 1  # the old scores are gone from the table
    assert set(frame[frame.target == "mini_panx"].language) == {"en", "tr", "zh"}


def test_packed_and_unpacked_evaluation_agree(tiny, tmp_path):
    tiny.targets = ("mini_udpos", "mini_xquad")
    run(tiny, tmp_path)
    packed = pd.read_csv(tmp_path / "results.csv")
    for path in tmp_path.glob("phases/*/evaluations/*/scores.json"):
        path.unlink()
    tiny.evaluation.pack = False
    run(tiny, tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "results.csv"), packed)


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ({}, "mini-width16-heads2-mlp32"),
        ({"width": 64, "layers": 3, "mlp": 0}, "mini-width64-layers3-heads2"),
        ({"width": 128, "heads": 4, "mlp": 128}, "mini"),  # the preset's own
        ({"width": 0, "heads": 0, "mlp": 0}, "mini"),
    ],
)
def test_encoders_of_other_sizes_have_names_of_their_own(tiny, tmp_path, sizes, name):
    tiny.model.update(sizes)
    tiny.targets = ("mini_panx",)
    assert study.prepare(config_lib.parse(tiny), workdir=epath.Path(tmp_path)).model_name == name


def test_dry_run_writes_nothing(tiny, tmp_path, capsys):
    tiny.targets = ("mini_panx",)
    planner.show(config_lib.parse(tiny), workdir=tmp_path / "study")
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if line.startswith("target mini_panx.en"))
    assert "0 of 1" in line and line.rstrip().endswith("mini_panx")
    assert not (tmp_path / "study").exists()


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint in Hugging Face format with the miniature's vocabulary, and its parameters."""
    config = preset(
        "mini",
        vocab_size=load_tokenizer("mini").vocab_size,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        intermediate_size=32,
    )
    head = Head("mlm")
    params = Model(config, {"mlm": head}).init(jax.random.key(3))
    folder = tmp_path / "weights"
    hf.save_encoder(folder, config=config, encoder=params["encoder"], head=head, head_params=params["heads"]["mlm"])
    return folder, params


def test_a_study_starts_from_pretrained_weights(tiny, tmp_path, checkpoint):
    folder, params = checkpoint
    tiny.model.weights = str(folder)
    tiny.retrieval, tiny.intermediates = ("mini_tatoeba",), {"none": (), "mlm": ("mini_text.en",)}
    tiny.languages = {"mini_tatoeba": ("de",)}
    run(tiny, tmp_path / "study")
    frame = pd.read_csv(tmp_path / "study" / "results.csv")
    assert set(frame.model) == {"weights"}
    assert set(frame.intermediate) == {"none", "mlm"}

    parsed = config_lib.parse(tiny)
    setting = study.prepare(parsed, workdir=epath.Path(tmp_path / "study"))
    layout = plan(parsed, root=study.root_of(setting))
    (mlm,) = [phase for phase in layout.phases if phase.kind == "mlm"]
    model = Model(setting.encoder, {"head": Head("mlm")})
    found = starting_params(mlm, setting=setting, model=model)
    jax.tree.map(np.testing.assert_array_equal, found["encoder"], params["encoder"])
    jax.tree.map(np.testing.assert_array_equal, found["heads"]["head"], params["heads"]["mlm"])
    trained = read_best(mlm, setting=setting, model=model, items=("heads",))["heads"]
    assert np.abs(trained["head"]["bias"] - params["heads"]["mlm"]["bias"]).max() > 0

    # Other weights are another root: nothing of the old study is mistaken for the new one's.
    other = jax.tree.map(lambda leaf: leaf + 1, params["encoder"])
    hf.save_encoder(folder, config=setting.encoder, encoder=other)
    assert study.root_of(setting).fingerprint != mlm.root.fingerprint


def test_weights_with_a_tensor_missing_are_refused(tiny, tmp_path, checkpoint):
    folder, _ = checkpoint
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if "attention.self.query.weight" in name)
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    tiny.model.weights, tiny.targets = str(folder), ("mini_panx",)
    with pytest.raises(UserError, match=re.escape(name.split("roberta.")[-1])):
        run(tiny, tmp_path / "study")


def test_a_tokenizer_too_large_for_the_encoder_is_refused(tiny, tmp_path, checkpoint, shared_data):
    tiny.model.weights, tiny.targets = str(checkpoint[0]), ("mini_panx",)
    tiny.tokenizer = str(shared_data / "tokenizer" / "xlmr")
    with pytest.raises(UserError, match=r"has 250002 entries, but the encoder's table holds \d+"):
        run(tiny, tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"targets": ("mini_xnly",)}, "did you mean 'mini_xnli'"),
        ({"languages": {"mini_panx": ("xx",)}}, "config.languages.mini_panx: the family has no language 'xx'"),
        ({"tokenizer": "no/such/folder"}, "no/such/folder"),
        ({"model.preset": "lage"}, "did you mean 'large'"),
        ({"model.heads": 3}, "num_heads"),
        ({"recipes.target.max_length": 600, "recipes.target.length": 600}, "position table holds 512 tokens"),
        ({"recipes.target.steps": 0}, "neither steps nor epochs"),
        ({"mesh.data": 3}, "the product must be the number of devices"),
        ({"import_modules": ("no_such_module",)}, "config.import_modules: 'no_such_module' cannot be imported"),
        ({"model.weights": "no/such/folder"}, "no/such/folder"),
        ({"targets": ("xnli",), "data_dir": "no/such/folder"}, "no/such/folder"),
    ],
)
def test_bad_input_is_one_sentence(tiny, tmp_path, changes, sentence):
    tiny.targets = ("mini_panx",)
    for field, value in changes.items():
        *groups, name = field.split(".")
        group = tiny
        for each in groups:
            group = group[each]
        group[name] = value
    with pytest.raises(UserError) as caught:
        run(tiny, tmp_path / "study")
    assert sentence in str(caught.value)
    assert not list((tmp_path / "study").glob("phases/*/best"))


def main(*arguments: str, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "xtreme_stilts.main", *arguments],
        cwd=cwd,
        text=True,
        timeout=300,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config.recipes.target.stepz=3"], "stepz"),
        (["--config.targets=('mini_xnly',)"], "did you mean 'mini_xnli'?"),
        (["--confg=x"], "confg"),
        (["word"], "unexpected argument 'word'"),
    ],
)
def test_the_command_line_answers_with_a_sentence_and_status_2(arguments, sentence, tmp_path):
    done = main(f"--config={ROOT}/configs/quickstart.py", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_missing_config_is_a_sentence(tmp_path):
    for argument in ("--config=nothing.py", "--workdir=x"):
        done = main(argument, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr


def test_models_and_training_do_not_import_tensorflow():
    code = (
        "import sys, xtreme_stilts.models, xtreme_stilts.training;"
        "assert not {'tensorflow', 'seqio', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.slow
def test_training_the_rows_in_use_changes_no_score(tiny, tmp_path, monkeypatch):
    """The phase's own way with a compact table: fifty steps, validation, hand-over, evaluation in another language."""
    monkeypatch.setattr("xtreme_stilts.training.vocabulary.SMALLEST", 64)
    tiny.intermediates, tiny.targets = {"mnli": ("mini_mnli",)}, ("mini_panx",)
    tiny.languages = {"mini_panx": ("en", "tr")}
    for kind in ("intermediate", "target"):
        recipe = tiny.recipes[kind]
        recipe.steps, recipe.eval_every, recipe.learning_rate, recipe.weight_decay = 20, 10, 1e-3, 0.1
    losses, tables = {}, {}
    for embeddings in ("dense", "active"):
        for recipe in tiny.recipes.values():
            recipe.embeddings = embeddings
        run(tiny, tmp_path / embeddings)
        lines = [
            json.loads(line)
            for path in sorted((tmp_path / embeddings).glob("phases/*/metrics.jsonl"))
            for line in path.read_text().splitlines()
        ]
        losses[embeddings] = [line["loss"] for line in lines if "loss" in line]
        frame = pd.read_csv(tmp_path / embeddings / "results.csv")
        tables[embeddings] = frame.drop(columns="fingerprint")
    assert len(losses["dense"]) == 20
    np.testing.assert_allclose(losses["dense"], losses["active"], atol=1e-5)
    pd.testing.assert_frame_equal(tables["dense"], tables["active"], atol=1e-3)
