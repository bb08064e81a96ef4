"""X-STILTs on XTREME: XLM-R, three intermediate starting points, all nine targets.

    python -m xtreme_stilts.main --config=configs/xtreme.py --config.model.weights=DIR --config.data_dir=DIR
    python -m xtreme_stilts.main --config=configs/xtreme.py:large ...      # batch and mesh for XLM-R Large

`model.weights` is a folder in Hugging Face format; its tokenizer is used. Learning rate, epochs, batch sizes and
selection follow jiant's X-STILTs guide: AdamW, rate 1e-5, 10 % warm-up, about 32 examples a step (16 for
question answering), validation every 1,000 steps on the first 500 English rows, 30 validations of patience. With
packing, a step holds about as many examples as it has tokens for: 32 examples of about 40 tokens are five rows
of 256. Cost: not yet measured on an accelerator.
"""

from xtreme_stilts import config as config_lib


def get_config(arg: str | None = None):
    """`arg`: `large` recomputes matrix products in the backward pass, for XLM-R Large on small accelerators."""
    config = config_lib.default()
    config.name = "xtreme"
    config.model.dtype = "bfloat16"
    config.model.remat = "dots" if arg == "large" else "none"

    config.intermediates = {"none": (), "mnli": ("mnli",), "squad": ("squad_v1",), "hellaswag": ("hellaswag",)}
    config.targets = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa")
    config.retrieval = ("bucc2018", "tatoeba")

    for kind in ("intermediate", "target"):
        recipe = config.recipes[kind]
        recipe.rows, recipe.length, recipe.epochs = 8, 256, 2.0
        recipe.eval_every = 1000
    config.by_task = {
        "pawsx": {"epochs": 5.0},
        "udpos": {"epochs": 10.0},
        "panx": {"epochs": 10.0},
        "squad_v1": {"rows": 8, "length": 384, "accumulate": 1},
        "tydiqa": {"rows": 8, "length": 384, "accumulate": 1},
        "hellaswag": {"rows": 8, "length": 1024, "max_length": 256, "epochs": 7.0},
    }
    config.evaluation.rows, config.evaluation.length = 32, 512
    return config
