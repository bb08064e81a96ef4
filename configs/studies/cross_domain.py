"""Does English intermediate training help outside the domains of XTREME: abstracts, tweets, topics of news?

    python -m xtreme_stilts.main --config=configs/studies/cross_domain.py:mini
    python -m xtreme_stilts.main --config=configs/studies/cross_domain.py:real --dry_run \
        --config.model.weights=DIR --config.data_dir=DIR --config.manual_dir=DIR

`real`: XLM-R Large, targets trained in English and evaluated in every language they have: entities of biomedical
abstracts (JNLPBA, English only), sentiment of tweets (UMSAB, 8 languages), topics (SIB-200, 205 varieties).

`mini`: the miniature has one domain. Its closest form of the question is whether intermediate tasks about sentence
pairs and questions help with entities (`mini_panx`, for JNLPBA) and paraphrases (`mini_pawsx`, for the two that
classify); it shows the grid, not an answer.

Option: `seeds=N`, default 3; written after a comma, `real,seeds=5`.

Recipe: `recipes.jiant_xstilts`; epochs of the three targets are ours, by their size.

Cost: `--dry_run` tells, for the chips that `--topology` names.
"""

from xtreme_stilts import recipes


def get_config(arg: str | None = None):
    """`arg`: `mini` or `real`, and options; see above."""
    return recipes.of_form(arg, mini=_mini, real=_real)


def _mini(config) -> None:
    config.name = "cross_domain_mini"
    recipes.miniature(config)
    config.intermediates = {"none": (), "mnli": ("mini_mnli",), "squad_v1": ("mini_squad_v1",)}
    config.targets = ("mini_panx", "mini_pawsx")


def _real(config) -> None:
    config.name = "cross_domain"
    config.model.preset = "large"
    config.model.dtype, config.model.remat = "bfloat16", "dots"
    recipes.jiant_xstilts(config)
    # English training sets of 701, 1,839 and 16,700 examples: a validation every epoch or two.
    config.by_task.update(
        {
            "sib200": {"epochs": 20.0, "eval_every": 20},
            "tweet_sentiment": {"epochs": 10.0, "eval_every": 50},
            "jnlpba": {"epochs": 10.0, "eval_every": 500},
        }
    )
    config.intermediates = {"none": (), "mnli": ("mnli",), "squad_v1": ("squad_v1",), "hellaswag": ("hellaswag",)}
    config.targets = ("jnlpba", "tweet_sentiment", "sib200")
