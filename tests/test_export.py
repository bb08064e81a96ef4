"""Exported phases in transformers: the same logits for every kind of head and every architecture; refusals."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
from etils import epath
from safetensors.numpy import load_file

from xtreme_stilts import config as config_lib
from xtreme_stilts import export as export_lib
from xtreme_stilts import run_card, study
from xtreme_stilts.data.tokenizer import load_tokenizer
from xtreme_stilts.export import export
from xtreme_stilts.models import EncoderConfig, Head, Model, hf, preset
from xtreme_stilts.report import results
from xtreme_stilts.run_card import RunCard
from xtreme_stilts.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("quick_compile")  # every program here runs once

SIZES = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 32, "max_positions": 48}
HEADS = {
    "classification": Head("classification", num_labels=3, pooling="cls"),
    "regression": Head("regression", pooling="cls"),
    "choice": Head("choice", num_choices=2, pooling="cls"),
    "tagging": Head("tagging", num_labels=5, pooling="cls"),
    "span": Head("span", pooling="cls"),
    "mlm": Head("mlm", pooling="cls"),
}
AUTO = {
    "classification": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "choice": "AutoModelForMultipleChoice",
    "tagging": "AutoModelForTokenClassification",
    "span": "AutoModelForQuestionAnswering",
    "mlm": "AutoModelForMaskedLM",
}
TEXTS = ["The dog saw a cat.", "", "Der Hund"]


# --------------------------------------------------------------------------------------------------
# A phase's folder


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("mini")


def parameters(model, seed=0):
    """None has its regular initial value, so that a tensor in the wrong place shows."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        centre = 1.0 if path[-1].key == "scale" else 0.0
        return (centre + 0.1 * rng.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, model.abstract_params())


def make_phase(folder, model, tokenizer, **fields):
    """A finished phase with random parameters, written by what writes real ones."""
    params = parameters(model)
    names = {name: tuple(f"L{n}" for n in range(head.num_labels)) for name, head in model.heads.items()}
    card = RunCard(
        path="mini_mnli.en",
        fingerprint="f" * 64,
        encoder=dataclasses.asdict(model.config),
        heads={name: {**dataclasses.asdict(head), "label_names": names[name]} for name, head in model.heads.items()},
        tokenizer={"name": tokenizer.name, "fingerprint": tokenizer.fingerprint},
        **fields,
    )
    with run_card.recording(folder, card=card), Checkpoints(folder / "best") as best:
        best.save(3, trees={"encoder": params["encoder"], "heads": params["heads"]}, record={})
    (folder / "phase.json").write_text("{}")
    (folder / "done.json").write_text("{}")
    return params


def small(name, tokenizer):
    return preset(name, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id, **SIZES)


@pytest.fixture(scope="module", params=["base", "xl", "mbert"])
def phase(request, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "phases" / "phase"
    folder.mkdir(parents=True)
    model = Model(small(request.param, tokenizer), HEADS)
    return folder, model, make_phase(folder, model, tokenizer)


# --------------------------------------------------------------------------------------------------
# The same logits


def rows(config: EncoderConfig):
    """Random ids with padding: tokens, and 1 where there is one, int32[4, 12]."""
    rng = np.random.default_rng(1)
    lengths = np.array([12, 5, 9, 1])
    mask = (np.arange(12) < lengths[:, None]).astype(np.int32)
    tokens = rng.integers(5, config.vocab_size, mask.shape)
    return np.where(mask, tokens, config.pad_id).astype(np.int32), mask


def ours(model, params, head, tokens, mask):
    """Logits by name, of tokens [rows, length]; MLM: log probabilities of every token as itself."""
    predict = jax.jit(functools.partial(model.predict, head=head))
    batch = {
        "tokens": tokens,
        "segment_ids": mask,
        "positions": np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape) * mask,
        "first": np.zeros((len(tokens), 1), np.int32),
        "weight": np.ones((len(tokens), 1), np.float32),
    }
    kind = model.heads[head].kind
    if kind == "tagging":  # its predictions are tags alone
        out = params["heads"][head]["out"]
        return {"logits": jax.jit(model.encode)(params, batch).hidden @ out["kernel"] + out["bias"]}
    if kind == "mlm":
        places = np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape)
        batch |= {"masked_index": places, "masked_label": tokens, "masked_weight": mask.astype(np.float32)}
        return {"loss": predict(params, batch)["loss"]}
    if kind == "choice":  # the choices of an example are segments of one row

        def side_by_side(part):
            return part.reshape(len(tokens) // 2, -1)

        segments = mask.copy()
        segments[1::2] *= 2
        batch = {name: side_by_side(batch[name]) for name in ("tokens", "positions")}
        batch |= {"segment_ids": side_by_side(segments), "weight": np.ones((len(tokens) // 2, 1), np.float32)}
        batch["first"] = np.broadcast_to(np.array([0, tokens.shape[1]], np.int32), (len(tokens) // 2, 2))
    return predict(params, batch)


def theirs(folder, kind, tokens, mask):
    """The same of the class in transformers, loaded without a tensor missing or made up."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    loaded, report = getattr(transformers, AUTO[kind]).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["mismatched_keys"]
    assert all("pooler" in name for name in report["unexpected_keys"])
    assert json.loads((folder / "config.json").read_text())["architectures"] == [type(loaded).__name__]
    shape = (-1, 2, tokens.shape[1]) if kind == "choice" else tokens.shape
    asked = {"input_ids": tokens, "attention_mask": mask}
    with torch.no_grad():
        out = loaded.eval()(**{name: torch.tensor(value.reshape(shape)).long() for name, value in asked.items()})
    if kind == "span":
        return {"start_logits": out.start_logits.numpy(), "end_logits": out.end_logits.numpy()}
    if kind == "mlm":
        log_probabilities = torch.log_softmax(out.logits, -1).gather(-1, torch.tensor(tokens).long()[..., None])
        return {"loss": -log_probabilities[..., 0].numpy() * mask}
    return {"value" if kind == "regression" else "logits": out.logits.numpy()}


def assert_same(folder, model, params, *, head):
    """Logits agree to 1e-5 wherever there is a token."""
    kind = model.heads[head].kind
    tokens, mask = rows(model.config)
    found, expected = ours(model, params, head, tokens, mask), theirs(folder, kind, tokens, mask)
    for name, value in expected.items():
        mine = np.asarray(found[name]).reshape(value.shape)
        real = mask.astype(bool) if kind in ("tagging", "span", "mlm") else ...
        assert np.abs(value[real]).max() > 0.01  # there is something to compare
        np.testing.assert_allclose(mine[real], value[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", HEADS)
def test_logits_are_ours(phase, tmp_path, kind):
    folder, model, params = phase
    done = export(folder, tmp_path / "out", head=kind)
    assert done.apart == ""
    assert_same(tmp_path / "out", model, params, head=kind)


@pytest.mark.parametrize("kind", HEADS)
def test_what_is_exported_loads_here_again(phase, tmp_path, kind):
    folder, model, params = phase
    export(folder, tmp_path / "out", head=kind)
    loaded = hf.load_encoder(tmp_path / "out", head=model.heads[kind])
    assert loaded.config == model.config
    jax.tree.map(np.testing.assert_array_equal, loaded.head, params["heads"][kind])
    expected = dict(params["encoder"])
    if kind == "choice" or (kind in hf.SENTENCE_KINDS and model.config.model_type == "bert"):
        expected["pooler"] = params["heads"][kind]["dense"]  # the class has one pooler, and the head is on it
    jax.tree.map(np.testing.assert_array_equal, loaded.encoder, expected)


def test_the_encoder_with_its_pooler_and_a_head_apart(tokenizer, tmp_path):
    """A head on the pooler: transformers' pooler output and the two tensors beside it give our logits."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = Model(small("base", tokenizer), {"head": Head("classification", num_labels=3)})
    folder = tmp_path / "phase"
    folder.mkdir()
    params = make_phase(folder, model, tokenizer)
    done = export(folder, tmp_path / "out")
    assert done.architecture == "XLMRobertaModel"
    assert "pooling 'jiant' has no counterpart" in done.apart
    loaded, report = transformers.AutoModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    tokens, mask = rows(model.config)
    with torch.no_grad():
        pooled = loaded.eval()(torch.tensor(tokens).long(), attention_mask=torch.tensor(mask)).pooler_output.numpy()
    head = load_file(tmp_path / "out" / export_lib.HEAD)
    scores = np.tanh(pooled @ head["dense.weight"].T + head["dense.bias"]) @ head["out.weight"].T + head["out.bias"]
    logits = ours(model, params, "head", tokens, mask)["logits"][:, 0]
    np.testing.assert_allclose(logits, scores, atol=1e-5, rtol=0)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "has no counterpart" in readme and "pooler_output" in readme and "AutoModel.from_pretrained" in readme


def test_the_tokenizer_is_ours(phase, tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    folder, model, _ = phase
    export(folder, tmp_path / "out", head="span")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    slices = tokenizer.encode(TEXTS)
    for text, start, length in zip(TEXTS, slices.starts, slices.lengths, strict=True):
        ids = [tokenizer.cls_id, *slices.values[start : start + length].tolist(), tokenizer.sep_id]
        assert loaded(text)["input_ids"] == ids
    assert loaded.model_max_length == model.config.max_positions


def test_labels_are_in_the_config(phase, tmp_path):
    folder, _, _ = phase
    export(folder, tmp_path / "out", head="tagging")
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["id2label"] == {str(n): f"L{n}" for n in range(5)}
    assert written["label2id"] == {f"L{n}": n for n in range(5)}
    export(folder, tmp_path / "other", head="classification")
    assert json.loads((tmp_path / "other" / "config.json").read_text())["problem_type"] == "single_label_classification"


# --------------------------------------------------------------------------------------------------
# A real study


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The study directory and the folder of its only phase."""
    tree = config_lib.default()
    tree.name, tree.tokenizer, tree.model.head_pooling = "tiny", "mini", "cls"
    tree.model.preset, tree.model.width, tree.model.layers, tree.model.heads, tree.model.mlp = "mini", 16, 1, 2, 32
    recipe = tree.recipes.target
    recipe.steps, recipe.rows, recipe.length, recipe.eval_rows, recipe.learning_rate = 2, 4, 64, 4, 1e-3
    tree.evaluation.length, tree.evaluation.rows, tree.evaluation.max_examples = 64, 8, 8
    tree.targets, tree.languages = ("mini_panx",), {"mini_panx": ("en", "tr")}
    workdir = tmp_path_factory.mktemp("study")
    study.run(config_lib.parse(tree), workdir=workdir)
    (folder,) = (file.parent for file in workdir.glob("phases/*/phase.json"))
    return workdir, folder


def test_a_trained_phase_is_exported_from_its_best_checkpoint(trained, tmp_path):
    _, folder = trained
    card = run_card.read(folder)
    model = Model(
        run_card.from_known(EncoderConfig, card.encoder),
        {name: run_card.from_known(Head, fields) for name, fields in card.heads.items()},
    )
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), model.abstract_params()
    )
    with Checkpoints(folder / "best") as best:
        params = best.restore(card.fit["best_step"], abstract=abstract)
    assert export(folder, tmp_path / "out").head == "head"
    assert_same(tmp_path / "out", model, params, head="head")


def test_the_model_card_tells_scores_data_and_versions(trained, tmp_path):
    workdir, folder = trained
    export(folder, tmp_path / "panx")
    text = (tmp_path / "panx" / "README.md").read_text()
    front = text.split("---")[1]
    assert "library_name: transformers" in front
    assert "license:  #" in front
    assert "- en\n- tr" in front
    card = run_card.read(folder)
    rows = [row for row in results.scores(workdir / "results.csv") if row.metric == "f1"]
    values = {row.language: row.value for row in rows}
    assert f"| mini_panx | f1 | test | {sum(values.values()) / 2:.1f} | en {values['en']:.1f}, tr" in text
    assert "chance" not in text
    for said in ("`B-PER`", card.data[0].sha256[:16], "learning_rate: 0.001", f"jax {jax.__version__}", "chip-hours"):
        assert said in text
    assert 'AutoModelForTokenClassification.from_pretrained("panx")' in text


# --------------------------------------------------------------------------------------------------
# Refusals


def answer(capsys, *arguments):
    """Status and last line on stderr of the command."""
    status = export_lib.main([str(argument) for argument in arguments])
    return status, capsys.readouterr().err.strip()


def test_what_cannot_be_exported_is_a_sentence(phase, tokenizer, tmp_path, capsys):
    folder, _, _ = phase
    out = tmp_path / "out"
    full, workdir, evaluated, cut = (tmp_path / name for name in ("full", "study", "evaluated", "cut"))
    full.mkdir()
    (full / "kept").write_text("x")
    (evaluated / "evaluations").mkdir(parents=True)
    cut.mkdir()
    (cut / "phase.json").write_text("{}")
    (workdir / "phases" / "one").mkdir(parents=True)
    (workdir / "phases" / "one" / "phase.json").write_text("{}")
    cases = [
        ([tmp_path / "nowhere", out], "no such folder"),
        ([full, out], "it holds no phase.json"),
        ([workdir, out], "phases are in it: one"),
        ([evaluated, out], "export the phase whose encoder it evaluates"),
        ([cut, out], "its training has not ended"),
        ([folder, full, "--head=span"], "is not empty"),
        ([folder, full / "kept", "--head=span"], "is a file"),
        ([folder, out], f"6 heads; choose with --head: {', '.join(sorted(HEADS))}"),
        ([folder, out, "--head=spam"], "did you mean 'span'?"),
        ([folder, out, "--head=span", f"--tokenizer={tmp_path}/none"], "does not exist"),
    ]
    for arguments, sentence in cases:
        status, said = answer(capsys, *arguments)
        assert status == 2
        assert said.startswith("error: ") and sentence in said and "\n" not in said
        assert not out.exists()
    assert [path.name for path in full.iterdir()] == ["kept"]
    assert not list(tmp_path.glob(".*.tmp"))


def test_another_tokenizer_is_refused(phase, tmp_path, capsys):
    folder, _, _ = phase
    altered = tmp_path / "altered"
    shutil.copytree(pathlib.Path(export_lib.__file__).parent / "mini" / "tokenizer", altered)
    text = (altered / "tokenizer.json").read_text()
    found = json.loads(text)
    found["model"]["vocab"][-1][1] -= 1.0
    (altered / "tokenizer.json").write_text(json.dumps(found))
    status, said = answer(capsys, folder, tmp_path / "out", "--head=span", f"--tokenizer={altered}")
    assert status == 2
    assert "is not the one this phase was trained with, 'mini'" in said


def test_the_command_says_what_it_wrote(phase, tmp_path, capsys):
    folder, model, _ = phase
    (tmp_path / "out").mkdir()  # empty, so it may be there
    assert export_lib.main([str(folder), str(tmp_path / "out"), "--head=mlm"]) == 0
    name = {"xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRobertaXL", "bert": "Bert"}[model.config.model_type]
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: {name}ForMaskedLM\n"
    assert len({file.stat().st_mode for file in (tmp_path / "out").iterdir()}) == 1


def test_a_phase_in_another_folder_exports_the_same(phase, tmp_path):
    """Nothing outside of the phase's folder is needed."""
    folder, _, _ = phase
    shutil.copytree(folder, tmp_path / "moved")
    export(folder, tmp_path / "one", head="choice")
    export(epath.Path(tmp_path / "moved"), tmp_path / "two", head="choice")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all((one[name] == two[name]).all() for name in one)
