"""Floating-point operations of a model, by formula.

`compiled.cost_analysis()` counts the body of a loop once, so it says next to nothing of scanned layers. Counted here
are matrix products, one multiplication and one addition as two operations. Norms, softmax, dropout and the optimizer
are left out, and so is what rematerialisation repeats: an MFU is a share of the peak spent on *these* operations.

A row of L tokens through N layers of width H and MLP width F, forward:

    2 * N * L * (4 H**2 + 2 H F)    query, key, value, output; up, down
    4 * N * L**2 * H                scores and weighted values, every token with every token of its row

(attention multiplies whole rows, packed or not), and its head, where S is the number of segments a row has room for:

    classification, regression, choice   2 * S * (H**2 + H * outputs), and 2 * S * H**2 for the pooler ("jiant")
    tagging, span                        2 * L * H * outputs
    mlm                                  2 * M * (H**2 + H * V), M masked tokens a row, V rows of the word table
    embedding                            2 * S * L * H for each hidden state that is pooled

A training step takes three times the forward pass: each product has two more in its backward pass. For the layers
that is 6 * parameters * tokens (Kaplan et al. 2020, Scaling Laws for Neural Language Models, section 2.1) and
attention's 12 * N * L * H a token (Chowdhery et al. 2022, PaLM, appendix B).
"""

from __future__ import annotations

from xtreme_stilts.data.loader import Shape
from xtreme_stilts.models import EncoderConfig, Head


def forward(encoder: EncoderConfig, head: Head, *, shape: Shape) -> int:
    """Operations of the forward pass of one row of a batch of this shape."""
    layers = max(head.layers, default=encoder.num_layers) if head.kind == "embedding" else encoder.num_layers
    width, length = encoder.hidden_size, shape.length
    dense = 2 * length * (4 * width**2 + 2 * width * encoder.intermediate_size)
    attention = 4 * length**2 * width
    return layers * (dense + attention) + _head(encoder, head, shape=shape)


def training(encoder: EncoderConfig, head: Head, *, shape: Shape) -> int:
    """Operations of the forward and the backward pass of one row."""
    return 3 * forward(encoder, head, shape=shape)


def _head(encoder: EncoderConfig, head: Head, *, shape: Shape) -> int:
    width, segments = encoder.hidden_size, shape.slots * head.num_choices
    if head.kind in ("classification", "regression", "choice"):
        outputs = head.num_labels if head.kind == "classification" else 1
        pooler = width**2 if head.pooling == "jiant" else 0
        return 2 * segments * (pooler + width**2 + width * outputs)
    if head.kind in ("tagging", "span"):
        return 2 * shape.length * width * (head.num_labels if head.kind == "tagging" else 2)
    if head.kind == "mlm":
        return 2 * shape.masked * (width**2 + width * encoder.vocab_rows)
    states = len(head.layers) or encoder.num_layers + 1
    return 2 * segments * shape.length * width * states
