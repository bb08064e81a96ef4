"""X-STILTs on XTREME: XLM-R, three intermediate starting points, all nine targets.

    python -m xtreme_stilts.main --config=configs/xtreme.py --config.model.weights=DIR --config.data_dir=DIR
    python -m xtreme_stilts.main --config=configs/xtreme.py:large ...      # batch and mesh for XLM-R Large

`model.weights` is a folder in Hugging Face format; its tokenizer is used. Learning rate, epochs, batch sizes and
selection follow jiant's scripts for XTREME (`xtreme_stilts/recipes.py` has each figure with its source): AdamW, rate
1e-5, 10 % warm-up, about 32 examples a step (16 for question answering), validation every 1,000 steps on the first 500
English rows, 30 validations of patience. Cost: not yet measured on an accelerator.
"""

from xtreme_stilts import config as config_lib
from xtreme_stilts import recipes
from xtreme_stilts.errors import UserError, did_you_mean


def get_config(arg: str | None = None):
    """`arg`: `large` recomputes matrix products in the backward pass, for XLM-R Large on small accelerators."""
    if arg not in (None, "large"):
        raise UserError(f"config argument {arg!r}; {did_you_mean(arg, ['large'])}")
    config = config_lib.default()
    config.name = "xtreme"
    config.model.dtype = "bfloat16"
    config.model.remat = "dots" if arg == "large" else "none"

    config.intermediates = {"none": (), "mnli": ("mnli",), "squad": ("squad_v1",), "hellaswag": ("hellaswag",)}
    config.targets = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa")
    config.retrieval = ("bucc2018", "tatoeba")
    recipes.jiant_xstilts(config)
    return config
