"""Encoders, heads, and Hugging Face weights in and out. Free of TensorFlow."""

from xtreme_stilts.models.encoder import Encoder, EncoderConfig, EncoderOutput, placement
from xtreme_stilts.models.heads import KINDS, Head, LossSums
from xtreme_stilts.models.model import Model
from xtreme_stilts.models.presets import PRESETS, preset

__all__ = [
    "KINDS",
    "PRESETS",
    "Encoder",
    "EncoderConfig",
    "EncoderOutput",
    "Head",
    "LossSums",
    "Model",
    "placement",
    "preset",
]
