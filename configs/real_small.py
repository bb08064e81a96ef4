"""Real data, a small encoder from scratch: the whole way of a study within an hour on two CPU cores.

    python -m xtreme_stilts.main --config=configs/real_small.py \
        --config.data_dir=DIR --config.tokenizer=DIR_OF_XLMR_TOKENIZER

`data_dir` holds prepared TFDS data sets: squad/v1.1, tydi_qa/goldp, xquad, wikiann, xtreme_pos, tatoeba. The
encoder has seen nothing but an MLM phase on the text of these tasks' training sets, so the scores show that
the system runs on real data, not what XLM-R would reach: expect English well above guessing, other languages
little above it. `configs/xtreme.py` is the real thing.
"""

from xtreme_stilts import config as config_lib


def get_config(arg: str | None = None):
    """`arg` is not used."""
    config = config_lib.default()
    config.name = "real_small"
    config.data_dir = "../shared/data/tfds"
    config.tokenizer = "../shared/data/tokenizer/xlmr"

    config.model.preset = "mini"
    config.model.dropout = 0.0  # one short pass: nothing to overfit

    config.pretrain = ("real_small_text",)
    config.intermediates = {"none": (), "squad": ("squad_v1",)}
    config.targets = ("udpos", "panx", "xquad", "tydiqa")
    config.retrieval = ("tatoeba",)
    config.languages = {"panx": ("de", "en", "es", "nl", "ru")}

    # XLM-R's vocabulary is what costs: 250,002 logits a masked token, 32 M rows of Adam a step.
    mlm = config.recipes.mlm
    mlm.steps, mlm.rows, mlm.length, mlm.learning_rate = 400, 4, 128, 1e-3
    for kind in ("intermediate", "target"):
        recipe = config.recipes[kind]
        recipe.steps, recipe.rows, recipe.length, recipe.learning_rate = 150, 32, 128, 1e-3
        recipe.eval_every, recipe.patience = 50, 3
    for family in ("squad_v1", "tydiqa"):
        config.by_task[family] = {"steps": 200, "rows": 16, "length": 384, "eval_every": 100}
    config.evaluation.length = 384
    return config
