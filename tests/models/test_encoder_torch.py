"""The encoder against transformers' torch models, with weights that went through their files."""

from __future__ import annotations

import shutil

import jax
import numpy as np
import pytest

from xtreme_stilts.models import Model, hf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5
CLASSES = {"xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRobertaXL", "bert": "Bert"}


def torch_model(config, suffix: str = "Model"):
    """A torch model of this configuration in which no parameter has its initial, too regular value."""
    name = CLASSES[config.model_type]
    torch_config = getattr(transformers, f"{name}Config")(**config.to_hf())
    torch.manual_seed(0)
    model = getattr(transformers, name + suffix)(torch_config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def batches(config, *, lengths, width, padding: str):
    """The same random texts for torch (padded on one side) and for us; and where the real tokens are."""
    rng = np.random.default_rng(1)
    shape = (len(lengths), width)
    real = np.zeros(shape, bool)
    for row, length in enumerate(lengths):
        real[row, slice(0, length) if padding == "right" else slice(width - length, width)] = True
    tokens = np.where(real, rng.integers(2, config.vocab_size, shape), config.pad_id).astype(np.int32)
    positions = ((np.cumsum(real, axis=1) - 1) * real).astype(np.int32)
    theirs = {"input_ids": tokens, "attention_mask": real.astype(np.int64)}
    ours = {"tokens": tokens, "segment_ids": real.astype(np.int32), "positions": positions}
    ours["first"] = real.argmax(axis=1)[:, None].astype(np.int32)
    if config.type_vocab_size > 1:
        ours["token_types"] = theirs["token_type_ids"] = (real & (positions > 3)).astype(np.int32)
    if config.model_type == "bert":  # RoBERTa's find their positions themselves
        theirs["position_ids"] = positions
    return {k: torch.tensor(v).long() for k, v in theirs.items()}, ours, real


def check(config, folder, *, lengths, width, padding="right"):
    reference = torch_model(config)
    reference.save_pretrained(folder)
    theirs, ours, real = batches(config, lengths=lengths, width=width, padding=padding)
    with torch.no_grad():
        expected = reference(**theirs, output_hidden_states=True)
    states = [state.numpy() for state in expected.hidden_states]
    pooled = expected.pooler_output.numpy()
    del reference, expected
    loaded = hf.load_encoder(folder)
    assert loaded.config == config
    model = Model(config, {})
    numbers = tuple(range(config.num_layers + 1))
    encode = jax.jit(lambda params, batch: model.encode(params, batch, states=numbers))
    found = encode({"encoder": loaded.encoder}, ours)

    np.testing.assert_allclose(np.asarray(found.hidden)[real], states[-1][real], atol=TOLERANCE, rtol=0)
    first = ours["first"][:, 0]
    for n in numbers:  # hidden states are numbered as there, 0 = embeddings, the last with any final norm
        cls = states[n][np.arange(len(first)), first]
        mean = (states[n] * real[..., None]).sum(1) / real.sum(1)[:, None]
        np.testing.assert_allclose(found.cls[:, 0, n], cls, atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(found.mean[:, 0, n], mean, atol=TOLERANCE, rtol=0)
    if padding == "right":  # torch's pooler takes column 0
        pooler = loaded.encoder["pooler"]
        ours_pooled = np.tanh(states[-1][:, 0] @ pooler["kernel"] + pooler["bias"])
        np.testing.assert_allclose(ours_pooled, pooled, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("model_type", ["xlm-roberta", "xlm-roberta-xl", "bert"])
def test_tiny_encoder_equals_torch(kit, tmp_path, model_type, padding):
    check(kit.config(model_type), tmp_path, lengths=[40, 17, 5], width=40, padding=padding)


def test_base_encoder_equals_torch(tmp_path):
    from xtreme_stilts.models import preset

    try:
        check(preset("base"), tmp_path, lengths=[24, 9], width=24)
    finally:
        shutil.rmtree(tmp_path)  # a gigabyte
