"""Encoders and heads against stored torch results (see tests/golden/make_models.py); needs no torch."""

from __future__ import annotations

import json
import pathlib

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from xtreme_stilts.models import Head, Model, hf

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
HEADS = {
    "classification": Head("classification", num_labels=3),
    "tagging": Head("tagging", num_labels=4),
    "span": Head("span"),
    "mlm": Head("mlm"),
    "embedding": Head("embedding"),
}
pytestmark = pytest.mark.usefixtures("quick_compile")


def read(file: pathlib.Path) -> tuple[dict, dict[str, dict]]:
    """The config.json of a golden file, and its tensors by group."""
    with safe_open(file, framework="numpy") as opened:
        config = json.loads(opened.metadata()["config"])
    groups: dict[str, dict] = {"weights": {}, "heads": {}, "batch": {}, "expected": {}}
    for name, tensor in load_file(file).items():
        group, _, rest = name.partition(".")
        groups[group][rest] = tensor
    return config, groups


def nested(flat: dict) -> dict:
    tree: dict = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


@pytest.mark.parametrize("model_type", ["xlm-roberta", "xlm-roberta-xl", "bert"])
def test_golden_results(tmp_path, model_type):
    config, groups = read(GOLDEN / f"models_{model_type}.safetensors")
    (tmp_path / hf.CONFIG).write_text(json.dumps(config))
    save_file(groups["weights"], tmp_path / hf.SINGLE)
    loaded = hf.load_encoder(tmp_path, head=HEADS["mlm"])
    model = Model(loaded.config, HEADS)
    heads = nested(groups["heads"]) | {"mlm": loaded.head, "embedding": {}}
    params = {"encoder": loaded.encoder, "heads": heads}
    batch, expected = groups["batch"], groups["expected"]

    @jax.jit
    def everything(params, batch):
        encoded = model.encode(params, batch)
        losses = {name: model.loss(params, batch, head=name).loss for name in HEADS}
        return encoded.hidden, losses, {name: model.predict(params, batch, head=name) for name in HEADS}

    hidden, losses, predictions = everything(params, batch)
    real = batch["segment_ids"] > 0
    close = {"atol": 1e-5, "rtol": 1e-5}
    np.testing.assert_allclose(np.asarray(hidden)[real], expected["hidden"][real], **close)
    pooler = loaded.encoder["pooler"]
    np.testing.assert_allclose(np.tanh(hidden[:, 0] @ pooler["kernel"] + pooler["bias"]), expected["pooler"], **close)
    for kind in ("cls", "mean"):
        np.testing.assert_allclose(predictions["embedding"][kind], expected[kind], **close)
    for name in ("classification", "tagging", "span", "mlm"):
        np.testing.assert_allclose(losses[name], expected[f"{name}.loss"], **close)
    np.testing.assert_allclose(predictions["mlm"]["loss"], expected["mlm.losses"], **close)
    np.testing.assert_allclose(predictions["classification"]["logits"], expected["classification.logits"], **close)
    np.testing.assert_array_equal(predictions["tagging"]["tags"][real], expected["tagging.tags"][real])
    for end in ("start_logits", "end_logits"):
        np.testing.assert_allclose(predictions["span"][end][real], expected[f"span.{end}"][real], **close)
