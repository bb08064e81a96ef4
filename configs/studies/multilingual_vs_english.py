"""Is intermediate training worth more in many languages than in English alone, the number of examples being equal?

    python -m xtreme_stilts.main --config=configs/studies/multilingual_vs_english.py:mini
    python -m xtreme_stilts.main --config=configs/studies/multilingual_vs_english.py:mini,suite=glue
    python -m xtreme_stilts.main --config=configs/studies/multilingual_vs_english.py:real,budget=40000 --dry_run \
        --config.model.weights=DIR --config.data_dir=DIR

Rows come in pairs: N examples in English; the same N, spread evenly over English and its machine translations, each
in one of the languages. So both rows have seen the same facts and labels, in as many steps. Targets are trained in
English.

`real`: XLM-R Large; natural language inference (MNLI and XTREME's translations, 15 languages) and question answering
(SQuAD 1.1 and XTREME's, 11 languages). `mini`: question answering in the seven languages of the miniature, the only
translated training data it has.

Options, after commas:

- `suite=xtreme` (default) or `suite=glue`: targets in many languages, or English ones, where the translations should
  be of no use. The miniature has no GLUE; there, `glue` is its sentence pairs in English only.
- `budget=N`: examples in all; default 80,000, and 1,400 of the miniature.
- `seeds=N`: default 3.

Cost: `--dry_run` tells, for the chips that `--topology` names.
"""

from xtreme_stilts import config as config_lib
from xtreme_stilts import recipes, tasks


def get_config(arg: str | None = None):
    """`arg`: `mini` or `real`, and options; see above."""
    suites = ("xtreme", "glue")
    asked = recipes.arguments(
        arg,
        mini={"seeds": 3, "suite": suites, "budget": 1_400},
        real={"seeds": 3, "suite": suites, "budget": 80_000},
    )
    config = config_lib.default()
    config.seeds = tuple(range(asked.seeds))
    (_mini if asked.form == "mini" else _real)(config, suite=asked.suite, budget=asked.budget)
    return config


def _mini(config, *, suite: str, budget: int) -> None:
    config.name = f"multilingual_vs_english_{suite}_mini"
    recipes.miniature(config)
    question_answering = tasks.family("mini_squad_translated").tasks
    config.mixtures = {
        "mini_squad_english": {"tasks": ("mini_squad_translated.en",), "budget": budget},
        "mini_squad_languages": {"tasks": question_answering, "budget": budget},
    }
    config.intermediates = {
        "none": (),
        "squad_english": ("mini_squad_english",),
        "squad_languages": ("mini_squad_languages",),
    }
    if suite == "xtreme":
        config.targets = ("mini_xnli", "mini_pawsx", "mini_udpos", "mini_panx", "mini_xquad", "mini_tydiqa")
        config.retrieval = ("mini_bucc2018", "mini_tatoeba")
    else:
        config.targets = ("mini_xnli", "mini_pawsx")
        config.languages = dict.fromkeys(config.targets, ("en",))


def _real(config, *, suite: str, budget: int) -> None:
    config.name = f"multilingual_vs_english_{suite}"
    config.model.preset = "large"
    config.model.dtype, config.model.remat = "bfloat16", "dots"
    recipes.jiant_xstilts(config)
    inference = tasks.family("xnli_translated").tasks
    answering = ("squad_v1.en", *tasks.family("squad_translated").tasks)
    config.mixtures = {
        "mnli_english": {"tasks": ("xnli_translated.en",), "budget": budget},
        "mnli_languages": {"tasks": inference, "budget": budget},
        "squad_v1_english": {"tasks": ("squad_v1.en",), "budget": budget},
        "squad_v1_languages": {"tasks": answering, "budget": budget},
    }
    for name in config.mixtures:  # trained as the task they vary
        config.by_task[name] = config.by_task[name.rpartition("_")[0]].to_dict()
    config.intermediates = {"none": (), **{name: (name,) for name in config.mixtures}}
    families = [family.name for family in tasks.suite(suite)]
    config.targets = tuple(name for name in families if tasks.family(name).train)
    config.retrieval = tuple(name for name in families if not tasks.family(name).train)
    if suite == "glue":
        config.recipes.target.epochs = 3.0  # jiant/proj/simple/runscript.py: num_train_epochs
        config.by_task.mnli.epochs = 3.0
