"""The whole of X-STILTs in miniature: no download, no accelerator, a few minutes on two CPU cores.

    python -m xtreme_stilts.main --config=configs/quickstart.py
    python -m xtreme_stilts.main --config=configs/quickstart.py:seeds=2     # mean and spread over two seeds

A small encoder learns seven languages (en de es ru sw tr zh) from scratch by masked and translation language
modelling, which stands in for a published checkpoint; then English intermediate tasks {none, mnli, squad,
both}, then each target in English, evaluated in all seven languages, and sentence retrieval without training.
"""

from xtreme_stilts import config as config_lib


def get_config(arg: str | None = None):
    """`arg`: `seeds=N` runs N seeds."""
    config = config_lib.default()
    config.name = "quickstart"
    config.seeds = tuple(range(int((arg or "seeds=1").removeprefix("seeds="))))

    config.tokenizer = "mini"
    config.model.preset = "mini"
    config.model.dropout = 0.0  # every example is seen a few times at most: nothing to overfit

    config.pretrain = ("mini_tlm",)
    config.mixtures = {"mini_both": ("mini_mnli", "mini_squad_v1")}
    config.intermediates = {
        "none": (),
        "mnli": ("mini_mnli",),
        "squad": ("mini_squad_v1",),
        "both": ("mini_both",),
    }
    config.targets = ("mini_xnli", "mini_pawsx", "mini_udpos", "mini_panx", "mini_xquad")
    config.retrieval = ("mini_bucc2018", "mini_tatoeba")

    # Not a published encoder's recipe: with 2 M tokens, high rates and many masks align the languages best.
    mlm = config.recipes.mlm
    mlm.steps, mlm.rows, mlm.length, mlm.learning_rate = 1600, 16, 64, 5e-3
    mlm.mask_rate, mlm.beta2, mlm.log_every = 0.45, 0.98, 100
    for kind in ("intermediate", "target"):
        recipe = config.recipes[kind]
        recipe.steps, recipe.rows, recipe.length, recipe.learning_rate = 150, 8, 128, 1e-3
    config.by_task = {
        "mini_both": {"steps": 200},
        "mini_pawsx": {"steps": 80},
        "mini_udpos": {"steps": 50},
        "mini_panx": {"steps": 50},
    }
    config.evaluation.length = 128
    config.evaluation.max_examples = 200
    return config
