"""Does English commonsense training carry over to reasoning in other languages?

    python -m xtreme_stilts.main --config=configs/studies/reasoning.py:mini
    python -m xtreme_stilts.main --config=configs/studies/reasoning.py:real --dry_run \
        --config.model.weights=DIR --config.data_dir=DIR --config.manual_dir=DIR

Rows: none; Social IQa, CommonsenseQA, HellaSwag; all three at once. Targets of `real`, with XLM-R Large: XCOPA (trained
on English COPA, 11 languages, no English) and XStoryCloze (11 languages). `mini`: the miniatures of the same tasks and
of XCOPA, in six languages; there is none of XStoryCloze.

Option: `seeds=N`, default 3; written after a comma, `real,seeds=5`.

Recipe: `recipes.xtreme_reference`, which has Social IQa and COPA from XTREME's script for XCOPA; the other tasks are
trained like Social IQa, XStoryCloze's 288 stories like COPA, ten times each.

Cost: `--dry_run` tells, for the chips that `--topology` names.
"""

from xtreme_stilts import recipes

INTERMEDIATE = ("siqa", "commonsenseqa", "hellaswag")


def get_config(arg: str | None = None):
    """`arg`: `mini` or `real`, and options; see above."""
    return recipes.of_form(arg, mini=_mini, real=_real)


def _mini(config) -> None:
    config.name = "reasoning_mini"
    recipes.miniature(config)
    config.mixtures = {"mini_commonsense": tuple(f"mini_{name}" for name in INTERMEDIATE)}
    config.by_task.mini_commonsense = config.by_task.mini_siqa.to_dict()
    config.intermediates = {
        "none": (),
        **{name: (f"mini_{name}",) for name in INTERMEDIATE},
        "multi": ("mini_commonsense",),
    }
    config.targets = ("mini_xcopa",)


def _real(config) -> None:
    config.name = "reasoning"
    config.model.preset = "large"
    config.model.dtype, config.model.remat = "bfloat16", "dots"
    recipes.xtreme_reference(config)
    config.model.head_pooling = "jiant"  # third_party/run_xcopa.py: AutoModelForMultipleChoice, which reads the pooler
    config.mixtures = {"commonsense": INTERMEDIATE}
    siqa, copa = config.by_task.siqa.to_dict(), config.by_task.copa.to_dict()
    # A row holds four or five choices of 128 tokens at most, as three are held by Social IQa's.
    longer = {"length": 640}
    for name in ("commonsenseqa", "hellaswag", "commonsense"):
        config.by_task[name] = siqa | longer
    config.by_task.xstorycloze = copa | {"epochs": 10.0, "length": 256, "max_length": 128}
    config.intermediates = {"none": (), **{name: (name,) for name in INTERMEDIATE}, "multi": ("commonsense",)}
    config.targets = ("xcopa", "xstorycloze")
