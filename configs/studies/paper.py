"""Which intermediate task helps zero-shot transfer? The whole grid of X-STILTs: starting points by XTREME's targets.

    python -m xtreme_stilts.main --config=configs/studies/paper.py:mini                    # ten rows, three seeds
    python -m xtreme_stilts.main --config=configs/studies/paper.py:real --dry_run \
        --config.model.weights=DIR --config.data_dir=DIR --config.manual_dir=DIR
    python -m xtreme_stilts.report runs/paper_mini

`mini`: the miniature benchmark, no download, two CPU cores. Rows: none; six of the nine intermediate tasks; all six at
once (`multi`); MNLI with masked language modelling beside it; SQuAD in seven languages instead of English.

`real`: XLM-R Large. Rows: none; ANLI+, MNLI, QQP, SQuAD 2.0 and 1.1, HellaSwag, CCG, CosmosQA, CommonsenseQA; all of
them at once; each of the nine with masked language modelling beside it (`<task>_mlm`); MNLI and SQuAD 1.1 machine
translated, as many examples as in English, spread over the languages. Options, after commas:

- `seeds=N`: default 3.
- `ccg=no`: without the rows that need CCGbank, which has a licence fee; `multi` is then of the other eight.
- `mlm=files`: language modelling on the corpora in `--config.text_dir`; default `wikiann`, the sentences of WikiAnn's
  training and validation sets in 40 languages, without their labels.

Recipe: `recipes.jiant_xstilts`. The paper's own figures for the intermediate stage are in no public file.

Cost of `real`, by --dry_run with what data were at hand (CCG's training and BUCC's evaluation were not): 581 phases
instead of the 1,161 that the cells would take one by one; 25.8 h on v5e:2x4 (206 chip-hours) or 15.6 h on one H200, at
40 % of their peaks. `mini`: 258 phases instead of 783; 24 minutes on two CPU cores.
"""

from xtreme_stilts import config as config_lib
from xtreme_stilts import recipes, tasks

NINE = ("anli_plus", "mnli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa", "commonsenseqa")
SIX = ("mnli", "squad_v2", "squad_v1", "hellaswag", "cosmosqa", "commonsenseqa")  # of which there are miniatures
TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa")
RETRIEVAL = ("bucc2018", "tatoeba")
# Examples of the English training sets: MNLI's and SQuAD's releases.
MNLI_EXAMPLES, SQUAD_EXAMPLES = 392_702, 87_599
MLM_RATE = 0.2  # share of the steps; ours


def get_config(arg: str | None = None):
    """`arg`: `mini` or `real`, and options; see above."""
    asked = recipes.arguments(
        arg, mini={"seeds": 3}, real={"seeds": 3, "ccg": ("yes", "no"), "mlm": ("wikiann", "files")}
    )
    config = config_lib.default()
    config.seeds = tuple(range(asked.seeds))
    if asked.form == "mini":
        _mini(config)
    else:
        _real(config, ccg=asked.ccg, mlm=asked.mlm)
    return config


def _mini(config) -> None:
    config.name = "paper_mini"
    recipes.miniature(config)
    for kind in ("intermediate", "target"):
        config.recipes[kind].steps = 100  # a third fewer than the quickstart: the grid has 30 rows, seeds counted
    config.mixtures = {
        "mini_six": tuple(f"mini_{name}" for name in SIX),
        "mini_mnli_mlm": {"tasks": ("mini_mnli",), "mlm": ("mini_mlm",), "mlm_rate": MLM_RATE},
        "mini_squad_v1_translated": tasks.family("mini_squad_translated").tasks,
    }
    config.by_task.mini_six = {"rows": 4, "length": 256}  # as the choice tasks among them
    config.intermediates = {
        "none": (),
        **{name: (f"mini_{name}",) for name in SIX},
        "multi": ("mini_six",),
        "mnli_mlm": ("mini_mnli_mlm",),
        "squad_v1_translated": ("mini_squad_v1_translated",),
    }
    config.targets = tuple(f"mini_{name}" for name in TARGETS)
    config.retrieval = tuple(f"mini_{name}" for name in RETRIEVAL)


def _real(config, *, ccg: str, mlm: str) -> None:
    config.name = "paper"
    config.model.preset = "large"
    config.model.dtype, config.model.remat = "bfloat16", "dots"
    recipes.jiant_xstilts(config)

    intermediate = tuple(name for name in NINE if name != "ccg" or ccg == "yes")
    beside = ("text_files",) if mlm == "files" else tasks.family("text_of.panx").tasks
    config.mixtures = {
        **{f"{name}_mlm": {"tasks": (name,), "mlm": beside, "mlm_rate": MLM_RATE} for name in intermediate},
        # A budget gives every language other examples, and all languages together as many as English has.
        "mnli_translated": {"tasks": tasks.family("xnli_translated").tasks, "budget": MNLI_EXAMPLES},
        "squad_v1_translated": {
            "tasks": ("squad_v1.en", *tasks.family("squad_translated").tasks),
            "budget": SQUAD_EXAMPLES,
        },
    }
    for name in config.mixtures:  # trained as the task they vary
        config.by_task[name] = config.by_task[name.rpartition("_")[0]].to_dict()
    config.intermediates = {
        "none": (),
        **{name: (name,) for name in intermediate},
        "multi": ("stilts" if ccg == "yes" else "stilts_open",),
        **{name: (name,) for name in config.mixtures},
    }
    config.targets, config.retrieval = TARGETS, RETRIEVAL
