"""The whole of X-STILTs in miniature: no download, no accelerator, a few minutes on two CPU cores.

    python -m xtreme_stilts.main --config=configs/quickstart.py
    python -m xtreme_stilts.main --config=configs/quickstart.py:seeds=2     # mean and spread over two seeds

A small encoder learns seven languages (en de es ru sw tr zh) from scratch by masked and translation language
modelling, which stands in for a published checkpoint; then English intermediate tasks {none, mnli, squad,
both}, then each target in English, evaluated in all seven languages, and sentence retrieval without training.
"""

from xtreme_stilts import config as config_lib
from xtreme_stilts import recipes
from xtreme_stilts.errors import UserError


def get_config(arg: str | None = None):
    """`arg`: `seeds=N` runs N seeds."""
    seeds = (arg or "seeds=1").removeprefix("seeds=")
    if not seeds.isdecimal():
        raise UserError(f"config argument {arg!r}: it must be seeds=N, such as seeds=2")
    config = config_lib.default()
    config.name = "quickstart"
    config.seeds = tuple(range(int(seeds)))

    recipes.miniature(config)
    config.mixtures = {"mini_both": ("mini_mnli", "mini_squad_v1")}
    config.intermediates = {
        "none": (),
        "mnli": ("mini_mnli",),
        "squad": ("mini_squad_v1",),
        "both": ("mini_both",),
    }
    config.targets = ("mini_xnli", "mini_udpos", "mini_panx", "mini_xquad")
    config.retrieval = ("mini_bucc2018", "mini_tatoeba")

    config.by_task.mini_both = {"steps": 200}
    config.recipes.mlm.log_every = 100
    return config
