"""Regenerates models_<type>.safetensors: tiny encoders, heads, a batch, and what torch computes from them.

Run with torch and transformers installed: `python tests/golden/make_models.py`. Each file holds the weights
under the names of a Hugging Face checkpoint (`weights.`), the heads under ours (`heads.`), the batch
(`batch.`) and the results (`expected.`); config.json is in the metadata. All float32 on the CPU; no dropout.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

CLASSES = {"xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRobertaXL", "bert": "Bert"}
SIZES = {
    "vocab_size": 24,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "initializer_range": 0.3,
}
WIDTH, LENGTHS = 9, (9, 6)
LABELS, TAGS = 3, 4


def build(model_type: str):
    """A torch encoder with pooler and its masked-LM head around the same encoder."""
    bert = model_type == "bert"
    special = {"pad_token_id": 0 if bert else 1, "type_vocab_size": 2 if bert else 1}
    special |= {"max_position_embeddings": 12 if bert else 14, "layer_norm_eps": 1e-12 if bert else 1e-5}
    config = getattr(transformers, CLASSES[model_type] + "Config")(**SIZES, **special)
    torch.manual_seed(7)
    encoder = getattr(transformers, CLASSES[model_type] + "Model")(config).eval()
    mlm = getattr(transformers, CLASSES[model_type] + "ForMaskedLM")(config).eval()
    setattr(mlm, mlm.base_model_prefix, encoder)
    mlm.tie_weights()
    with torch.no_grad():
        for parameter in mlm.parameters():
            parameter.copy_(parameter + 0.1 * torch.randn_like(parameter))
    return config, encoder, mlm


def make_batch(config, rng) -> dict[str, np.ndarray]:
    """Two rows of one segment each, the second padded, with targets for every head."""
    shape = (len(LENGTHS), WIDTH)
    segment_ids = (np.arange(WIDTH) < np.array(LENGTHS)[:, None]).astype(np.int32)
    tokens = np.where(segment_ids, rng.integers(2, config.vocab_size, shape), config.pad_token_id)
    tags = np.where(segment_ids * (rng.random(shape) < 0.6), rng.integers(0, TAGS, shape), -1)
    batch = {
        "tokens": tokens,
        "segment_ids": segment_ids,
        "positions": np.arange(WIDTH) * segment_ids,
        "first": np.zeros((2, 1)),
        "label": np.array([[2], [0]]),
        "tags": tags,
        "start": np.array([[3], [0]]),
        "end": np.array([[5], [0]]),
        "masked_index": np.array([[1, 4], [5, 0]]),
        "masked_label": rng.integers(0, config.vocab_size, (2, 2)),
    }
    if config.type_vocab_size > 1:
        batch["token_types"] = (np.arange(WIDTH) > 3) * segment_ids
    floats = {"weight": np.ones((2, 1)), "masked_weight": np.array([[1, 1], [1, 0]])}
    floats = {name: value.astype(np.float32) for name, value in floats.items()}
    return {name: value.astype(np.int32) for name, value in batch.items()} | floats


def make_heads(config, rng) -> dict[str, np.ndarray]:
    """Weights of the heads, named as in our parameter tree."""
    width = config.hidden_size
    shapes = {
        "classification.dense": (width, width),
        "classification.out": (width, LABELS),
        "tagging.out": (width, TAGS),
        "span.out": (width, 2),
    }
    heads = {f"{name}.kernel": rng.normal(0, 0.4, shape) for name, shape in shapes.items()}
    heads |= {f"{name}.bias": rng.normal(0, 0.4, shape[1]) for name, shape in shapes.items()}
    return {name: value.astype(np.float32) for name, value in heads.items()}


@torch.no_grad()
def compute(encoder, mlm, batch, heads) -> dict[str, np.ndarray]:
    """Hidden states, and each head's summed loss and predictions."""
    of = {name: torch.tensor(value) for name, value in batch.items()}
    head = {name: torch.tensor(value) for name, value in heads.items()}
    inputs = {"input_ids": of["tokens"].long(), "attention_mask": of["segment_ids"].long()}
    if "token_types" in of:
        inputs["token_type_ids"] = of["token_types"].long()
    out = encoder(**inputs, output_hidden_states=True)
    hidden, real = out.last_hidden_state, of["segment_ids"].float()[..., None]
    states = torch.stack(out.hidden_states, dim=1)  # [batch, states, length, width]
    mean = (states * real[:, None]).sum(2) / real.sum(1)[:, None]

    def linear(x, name):
        return x @ head[f"{name}.kernel"] + head[f"{name}.bias"]

    nll = torch.nn.functional.cross_entropy
    logits = linear(torch.tanh(linear(out.pooler_output, "classification.dense")), "classification.out")
    tag_logits = linear(hidden, "tagging.out")
    ends = linear(hidden, "span.out")
    own = ends.masked_fill(real == 0, float("-inf"))
    span_loss = sum(nll(own[..., n], of[k][:, 0].long(), reduction="sum") for n, k in enumerate(("start", "end")))
    words = torch.log_softmax(mlm(**inputs).logits, dim=-1)
    rows = torch.arange(2)[:, None]
    mlm_loss = -words[rows, of["masked_index"].long(), of["masked_label"].long()] * of["masked_weight"]
    results = {
        "hidden": hidden * real,
        "pooler": out.pooler_output,
        "cls": states[:, None, :, 0],
        "mean": mean[:, None],
        "classification.loss": nll(logits, of["label"][:, 0].long(), reduction="sum"),
        "classification.logits": logits[:, None],
        "tagging.loss": nll(tag_logits.transpose(1, 2), of["tags"].long(), reduction="sum", ignore_index=-1),
        "tagging.tags": tag_logits.argmax(-1).int(),
        "span.loss": span_loss / 2,
        "span.start_logits": ends[..., 0],
        "span.end_logits": ends[..., 1],
        "mlm.loss": mlm_loss.sum(),
        "mlm.losses": mlm_loss,
    }
    return {name: value.numpy() for name, value in results.items()}


def main() -> None:
    for model_type in CLASSES:
        config, encoder, mlm = build(model_type)
        rng = np.random.default_rng(11)
        batch, heads = make_batch(config, rng), make_heads(config, rng)
        state = mlm.state_dict()
        groups = {
            "weights": {name: value.numpy() for name, value in state.items() if ".decoder." not in name},
            "heads": heads,
            "batch": batch,
            "expected": compute(encoder, mlm, batch, heads),
        }
        flat = {f"{group}.{name}": v.copy() for group, tensors in groups.items() for name, v in tensors.items()}
        file = pathlib.Path(__file__).parent / f"models_{model_type}.safetensors"
        save_file(flat, file, metadata={"config": json.dumps(config.to_dict())})
        print(f"{file.name}: {len(flat)} tensors, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
