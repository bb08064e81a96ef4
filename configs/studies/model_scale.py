"""Does the gain from intermediate training shrink as the encoder grows? One study for each size, one report of all.

    for model in narrow normal wide; do
        python -m xtreme_stilts.main --config=configs/studies/model_scale.py:mini,model=$model
    done
    python -m xtreme_stilts.report runs/model_scale_narrow runs/model_scale_normal runs/model_scale_wide

    for model in mbert base large xl xxl; do
        python -m xtreme_stilts.main --config=configs/studies/model_scale.py:real,model=$model \
            --config.model.weights=WEIGHTS/$model --config.data_dir=DIR
    done
    python -m xtreme_stilts.report runs/model_scale_{mbert,base,large,xl,xxl}

A study has one encoder; the report draws the gain over the row `none` against the number of parameters.

`real`: mBERT and XLM-R base to XXL, all with `recipes.jiant_xstilts`, so that size is what differs (no script says how
XL and XXL were trained). Micro-batches are what fits the devices. XL and XXL are sharded over all of them, recompute
their layers and keep Adam's first moment in bfloat16. `mini`: encoders of width 64, 128 and 256.

Options, after commas: `model=SIZE`, default `large` and `normal`; `seeds=N`, default 3.

Cost: `--dry_run` tells, for the chips that `--topology` names.
"""

from xtreme_stilts import config as config_lib
from xtreme_stilts import recipes

WIDTHS = {"normal": 128, "narrow": 64, "wide": 256}
REMAT = {"large": "dots", "mbert": "none", "base": "none", "xl": "full", "xxl": "full"}
SHARDED = ("xl", "xxl")  # 14 and 43 GB of parameters in float32, three times that with Adam's moments


def get_config(arg: str | None = None):
    """`arg`: `mini` or `real`, and options; see above."""
    asked = recipes.arguments(arg, mini={"seeds": 3, "model": tuple(WIDTHS)}, real={"seeds": 3, "model": tuple(REMAT)})
    config = config_lib.default()
    config.name = f"model_scale_{asked.model}"
    config.seeds = tuple(range(asked.seeds))
    if asked.form == "mini":
        _mini(config, width=WIDTHS[asked.model])
    else:
        _real(config, model=asked.model)
    return config


def _mini(config, *, width: int) -> None:
    recipes.miniature(config)
    config.model.width = config.model.mlp = width
    # What suits the usual width of 128; Adam's steps change a wider layer's outputs by more.
    for recipe in config.recipes.values():
        recipe.learning_rate *= 128 / width
    config.mixtures = {"mini_both": ("mini_mnli", "mini_squad_v1")}
    config.intermediates = {
        "none": (),
        "mnli": ("mini_mnli",),
        "squad_v1": ("mini_squad_v1",),
        "both": ("mini_both",),
    }
    config.targets = ("mini_xnli", "mini_panx", "mini_xquad", "mini_tydiqa")
    config.retrieval = ("mini_tatoeba",)


def _real(config, *, model: str) -> None:
    config.model.preset = model
    config.model.dtype, config.model.remat = "bfloat16", REMAT[model]
    recipes.jiant_xstilts(config)
    recipes.rows_that_fit(config)
    if model in SHARDED:
        config.mesh.data, config.mesh.fsdp = 1, -1
        for kind in recipes.TRAINED:
            config.recipes[kind].moment = "bfloat16"
    config.intermediates = {"none": (), "mnli": ("mnli",), "squad_v1": ("squad_v1",), "hellaswag": ("hellaswag",)}
    config.targets = ("xnli", "panx", "xquad", "tydiqa")
    config.retrieval = ("tatoeba",)
