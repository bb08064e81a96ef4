"""Every head's loss and predictions against torch: transformers' head if there is one, else written out."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from xtreme_stilts.models import Head, Model, hf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("quick_compile")

CLASSES = {"xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRobertaXL", "bert": "Bert"}
TOLERANCE = {"rtol": 1e-5, "atol": 2e-5}
ROWS, LENGTH = 3, 9


def reference(config, suffix, **extra):
    torch_config = getattr(transformers, CLASSES[config.model_type] + "Config")(**config.to_hf(), **extra)
    torch.manual_seed(0)
    model = getattr(transformers, CLASSES[config.model_type] + suffix)(torch_config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def load(model, folder, head):
    model.save_pretrained(folder)
    loaded = hf.load_encoder(folder, head=head, pooler="fresh", key=jax.random.key(0))
    return Model(loaded.config, {"h": head}), {"encoder": loaded.encoder, "heads": {"h": loaded.head}}


def full_rows(config, seed=0):
    """Rows without padding, one example each."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, config.vocab_size, (ROWS, LENGTH)).astype(np.int32)
    return {
        "tokens": tokens,
        "segment_ids": np.ones_like(tokens),
        "positions": np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape),
        "first": np.zeros((ROWS, 1), np.int32),
        "weight": np.ones((ROWS, 1), np.float32),
    }


def evaluate(model, params, batch):
    """Loss sums and predictions of head "h", in one compilation."""
    both = jax.jit(lambda p, b: (model.loss(p, b, head="h"), model.predict(p, b, head="h")))
    return both(params, batch)


def check(model, params, batch, expected_loss, expected):
    """Compares the mean loss, and the predictions by name; returns what was found."""
    sums, found = evaluate(model, params, batch)
    np.testing.assert_allclose(sums.loss / sums.weight, expected_loss.item(), rtol=1e-5)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].reshape(value.shape), value.detach().numpy(), **TOLERANCE)
    return sums, found


@pytest.mark.parametrize("model_type", ["xlm-roberta", "xlm-roberta-xl", "bert"])
def test_mlm_head(kit, tmp_path, model_type):
    config = kit.config(model_type)
    model = reference(config, "ForMaskedLM")
    ours, params = load(model, tmp_path, Head("mlm"))
    batch = full_rows(config)
    rng = np.random.default_rng(1)
    index = np.stack([rng.permutation(LENGTH)[:4] for _ in range(ROWS)]).astype(np.int32)
    label = rng.integers(0, config.vocab_size, index.shape).astype(np.int32)
    weight = np.ones(index.shape, np.float32)
    weight[1, 2:] = 0
    batch |= {"masked_index": index, "masked_label": label, "masked_weight": weight}
    targets = np.full((ROWS, LENGTH), -100)
    for row, column in zip(*np.nonzero(weight), strict=True):
        targets[row, index[row, column]] = label[row, column]
    out = model(input_ids=torch.tensor(batch["tokens"]).long(), labels=torch.tensor(targets).long())
    _, found = check(ours, params, batch, out.loss, {})
    losses = -torch.log_softmax(out.logits, -1).detach().numpy()
    expected = losses[np.arange(ROWS)[:, None], index, label] * weight
    np.testing.assert_allclose(found["loss"], expected, **TOLERANCE)


def test_span_head(kit, tmp_path):
    config = kit.config()
    model = reference(config, "ForQuestionAnswering")
    ours, params = load(model, tmp_path, Head("span"))
    batch = full_rows(config) | {"start": np.array([[0], [3], [8]]), "end": np.array([[0], [5], [8]])}
    targets = {f"{k}_positions": torch.tensor(batch[k][:, 0]) for k in ("start", "end")}
    out = model(input_ids=torch.tensor(batch["tokens"]).long(), **targets)
    check(ours, params, batch, out.loss, {"start_logits": out.start_logits, "end_logits": out.end_logits})


@pytest.mark.parametrize("model_type", ["xlm-roberta", "bert"])
def test_tagging_head(kit, tmp_path, model_type):
    config = kit.config(model_type)
    model = reference(config, "ForTokenClassification", num_labels=5)
    ours, params = load(model, tmp_path, Head("tagging", num_labels=5))
    tags = np.random.default_rng(2).integers(-1, 5, (ROWS, LENGTH)).astype(np.int32)
    batch = full_rows(config) | {"tags": tags}
    targets = torch.tensor(np.where(tags < 0, -100, tags)).long()
    out = model(input_ids=torch.tensor(batch["tokens"]).long(), labels=targets)
    sums, _ = check(ours, params, batch, out.loss, {"tags": out.logits.argmax(-1)})
    assert sums.weight == (tags >= 0).sum()


def test_classification_head_on_the_first_token(kit, tmp_path):
    config = kit.config()
    model = reference(config, "ForSequenceClassification", num_labels=3)
    ours, params = load(model, tmp_path, Head("classification", num_labels=3, pooling="cls"))
    batch = full_rows(config) | {"label": np.array([[0], [2], [1]])}
    out = model(input_ids=torch.tensor(batch["tokens"]).long(), labels=torch.tensor([0, 2, 1]))
    check(ours, params, batch, out.loss, {"logits": out.logits})


def test_regression_head_on_the_first_token(kit, tmp_path):
    config = kit.config()
    model = reference(config, "ForSequenceClassification", num_labels=1, problem_type="regression")
    ours, params = load(model, tmp_path, Head("regression", pooling="cls"))
    labels = np.array([0.5, -1.0, 2.0], np.float32)
    batch = full_rows(config) | {"label": labels[:, None]}
    out = model(input_ids=torch.tensor(batch["tokens"]).long(), labels=torch.tensor(labels))
    check(ours, params, batch, out.loss, {"value": out.logits})


class JiantHead(torch.nn.Module):
    """The pooler's output, then dense, tanh, dense, as X-STILTs' code has it (dropout left out)."""

    def __init__(self, params):
        super().__init__()
        self.params = jax.tree.map(lambda x: torch.tensor(np.asarray(x)), params)

    def forward(self, pooled):
        dense, out = self.params["dense"], self.params["out"]
        hidden = torch.tanh(pooled @ dense["kernel"] + dense["bias"])
        return hidden @ out["kernel"] + out["bias"]


def with_pooler(kit, tmp_path, head):
    config = kit.config()
    encoder = reference(config, "Model")
    encoder.save_pretrained(tmp_path)
    ours = Model(config, {"h": head})
    params = kit.params(ours, seed=3) | {"encoder": hf.load_encoder(tmp_path).encoder}
    return config, encoder, ours, params, JiantHead(params["heads"]["h"])


def test_classification_head_on_the_pooler(kit, tmp_path):
    config, encoder, ours, params, head = with_pooler(kit, tmp_path, Head("classification", num_labels=3))
    batch = full_rows(config) | {"label": np.array([[0], [2], [1]])}
    logits = head(encoder(torch.tensor(batch["tokens"]).long()).pooler_output)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2, 1]))
    check(ours, params, batch, loss, {"logits": logits})


def test_regression_head_on_the_pooler(kit, tmp_path):
    config, encoder, ours, params, head = with_pooler(kit, tmp_path, Head("regression"))
    labels = np.array([0.5, -1.0, 2.0], np.float32)
    batch = full_rows(config) | {"label": labels[:, None]}
    value = head(encoder(torch.tensor(batch["tokens"]).long()).pooler_output)[:, 0]
    check(ours, params, batch, torch.nn.functional.mse_loss(value, torch.tensor(labels)), {"value": value})


def test_choice_head(kit, tmp_path):
    config, encoder, ours, params, head = with_pooler(kit, tmp_path, Head("choice", num_choices=2))
    examples = kit.examples(config, ROWS, choices=2)
    batch = kit.lay_out([[e] for e in examples], slots=1, length=24, pad_id=config.pad_id)
    scores = torch.stack(
        [
            torch.cat([head(encoder(torch.tensor(s[None]).long()).pooler_output)[:, 0] for s in e.segments])
            for e in examples
        ]
    )
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor([e.label for e in examples]))
    check(ours, params, kit.for_head(batch, "choice"), loss, {"logits": scores})


def test_gradients_equal_torch(kit, tmp_path):
    """Of the encoder too, through a scanned stack."""
    config = kit.config()
    model = reference(config, "ForSequenceClassification", num_labels=3)
    ours, params = load(model, tmp_path, Head("classification", num_labels=3, pooling="cls"))
    batch = full_rows(config) | {"label": np.array([[0], [2], [1]])}
    model(input_ids=torch.tensor(batch["tokens"]).long(), labels=torch.tensor([0, 2, 1])).loss.backward()

    def mean_loss(params):
        sums = ours.loss(params, batch, head="h")
        return sums.loss / sums.weight

    found = jax.jit(jax.grad(mean_loss))(params)
    layers, width = found["encoder"]["layers"], config.hidden_size
    pairs = {
        "roberta.embeddings.word_embeddings.weight": found["encoder"]["embeddings"]["word"]["table"],
        "roberta.encoder.layer.1.intermediate.dense.weight": layers["mlp"]["up"]["kernel"][1].T,
        "roberta.encoder.layer.0.attention.self.key.weight": (
            layers["attention"]["key"]["kernel"][0].reshape(width, width).T
        ),
        "roberta.encoder.layer.0.attention.output.dense.weight": (
            layers["attention"]["output"]["kernel"][0].reshape(width, width).T
        ),
        "classifier.out_proj.bias": found["heads"]["h"]["out"]["bias"],
    }
    gradients = dict(model.named_parameters())
    for name, value in pairs.items():
        expected = gradients[name].grad.numpy()
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(value, expected, atol=1e-5, rtol=1e-4)


def test_an_unlabelled_example_counts_for_nothing(kit):
    config = kit.config()
    model = Model(config, {"h": Head("classification", num_labels=3)})
    params = kit.params(model)
    labelled = full_rows(config) | {"label": np.array([[0], [-1], [1]])}
    sums, found = evaluate(model, params, labelled)
    scores = jax.nn.log_softmax(found["logits"][:, 0])
    assert sums.weight == 2
    np.testing.assert_allclose(sums.loss, -(scores[0, 0] + scores[2, 1]), rtol=1e-5)
