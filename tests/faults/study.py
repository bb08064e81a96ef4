"""The studies that faults are injected into, as small as they can be while every stage of a real one takes place.

    python -m xtreme_stilts.main --config=tests/faults/study.py:deep --workdir=DIR

deep: language modelling, then tasks of two kinds with language modelling beside them, then a target, and retrieval
      with mining; dropout, validations that choose a checkpoint, a compact word table, micro-batches of several tasks.
short: one target and retrieval, for faults that many starts are needed for.
again: the target does not learn and is trained again from another seed.
soak: 200 phases of a few steps, for what grows with their number: memory, open files, threads.
"""

from xtreme_stilts import config as config_lib


def get_config(arg: str | None = None):
    """`arg`: deep | short | again | soak."""
    config = config_lib.default()
    config.name, config.tokenizer = f"faults-{arg or 'deep'}", "mini"
    config.model.preset, config.model.width, config.model.layers = "mini", 16, 1
    config.model.heads, config.model.mlp, config.model.dropout = 2, 32, 0.1
    config.evaluation.rows, config.evaluation.length, config.evaluation.max_examples = 8, 128, 24
    for recipe in config.recipes.values():
        recipe.rows, recipe.length, recipe.learning_rate, recipe.log_every, recipe.eval_rows = 4, 64, 1e-3, 5, 16
    _STUDIES[arg or "deep"](config)
    return config


def _deep(config):
    for kind, steps in {"mlm": 60, "intermediate": 80, "target": 60}.items():
        recipe = config.recipes[kind]
        recipe.steps, recipe.checkpoint_every, recipe.eval_every = steps, 10, 20
    config.recipes.intermediate.accumulate = 2
    config.pretrain = ("mini_mlm",)
    config.mixtures = {
        "both": {
            "tasks": ("mini_mnli", "mini_squad_v1"),
            "mlm": ("mini_text.en", "mini_text.tr"),
            "mlm_rate": 0.3,
            "heads": "mixed",
        }
    }
    config.intermediates = {"both": ("both",)}
    config.targets, config.retrieval = ("mini_panx",), ("mini_bucc2018",)
    config.languages = {"mini_panx": ("en", "tr"), "mini_bucc2018": ("de",)}


def _short(config):
    recipe = config.recipes.target
    recipe.steps, recipe.checkpoint_every, recipe.eval_every = 60, 10, 20
    config.targets, config.retrieval = ("mini_panx",), ("mini_tatoeba",)
    config.languages = {"mini_panx": ("en", "tr"), "mini_tatoeba": ("de",)}


def _again(config):
    _short(config)
    config.recipes.target.learning_rate, config.recipes.target.restarts = 1e-9, 1


def _soak(config):
    config.seeds = tuple(range(50))
    for recipe in config.recipes.values():
        recipe.steps, recipe.checkpoint_every = 4, 2
    config.intermediates = {"mnli": ("mini_mnli",)}
    config.targets = ("mini_panx", "mini_xnli", "mini_udpos")
    config.languages = dict.fromkeys(config.targets, ("en",))


_STUDIES = {"deep": _deep, "short": _short, "again": _again, "soak": _soak}
