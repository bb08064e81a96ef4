"""Published encoder sizes by name, and a miniature one.

Sources: config.json of FacebookAI/xlm-roberta-base and -large, facebook/xlm-roberta-xl and -xxl, and
google-bert/bert-base-multilingual-cased on the Hugging Face hub. `mini` is this project's own: small enough
to train on a laptop in minutes; give it the vocabulary size of the tokenizer it is used with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.models.encoder import EncoderConfig

_BASE = EncoderConfig(vocab_size=250002, hidden_size=768, num_layers=12, num_heads=12, intermediate_size=3072)
_XL = EncoderConfig(
    model_type="xlm-roberta-xl",
    norm="pre",
    vocab_size=250880,
    hidden_size=2560,
    num_layers=36,
    num_heads=32,
    intermediate_size=10240,
)

PRESETS: Mapping[str, EncoderConfig] = MappingProxyType(
    {
        "mini": dataclasses.replace(
            _BASE,
            vocab_size=4096,
            hidden_size=128,
            num_layers=2,
            num_heads=4,
            intermediate_size=128,
            max_positions=512,
            initializer_range=0.05,  # 0.02 suits rows eight times as wide
        ),
        "base": _BASE,
        "large": dataclasses.replace(_BASE, hidden_size=1024, num_layers=24, num_heads=16, intermediate_size=4096),
        "xl": _XL,
        "xxl": dataclasses.replace(_XL, hidden_size=4096, num_layers=48, intermediate_size=16384),
        "mbert": dataclasses.replace(
            _BASE,
            model_type="bert",
            vocab_size=119547,
            pad_id=0,
            position_offset=0,
            type_vocab_size=2,
            norm_eps=1e-12,
        ),
    }
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "xlm-roberta-base": "base",
        "xlm-roberta-large": "large",
        "FacebookAI/xlm-roberta-base": "base",
        "FacebookAI/xlm-roberta-large": "large",
        "facebook/xlm-roberta-xl": "xl",
        "facebook/xlm-roberta-xxl": "xxl",
        "bert-base-multilingual-cased": "mbert",
        "google-bert/bert-base-multilingual-cased": "mbert",
    }
)


def preset(name: str, **overrides: Any) -> EncoderConfig:
    """The configuration of a published encoder, fields replaced by `overrides`.

    Args:
        name: one of `PRESETS`, or a hub name of `ALIASES`.
        **overrides: fields of `EncoderConfig`.

    Raises:
        UserError: an unknown name or field, or a value out of range.
    """
    found = PRESETS.get(ALIASES.get(name, name))
    if found is None:
        raise UserError(f"no encoder preset {name!r}: {did_you_mean(name, [*PRESETS, *ALIASES])}")
    fields = [field.name for field in dataclasses.fields(EncoderConfig)]
    for field in overrides:
        if field not in fields:
            raise UserError(f"preset {name!r}: an encoder has no field {field!r}: {did_you_mean(field, fields)}")
    return dataclasses.replace(found, **overrides)
