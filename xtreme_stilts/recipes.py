"""Published training recipes by name, the miniature's own, and the argument that the config files of studies take.

    recipes.jiant_xstilts(config)      # what the code that the X-STILTs paper points to trains with
    recipes.xtreme_reference(config)   # the scripts of XTREME's baselines
    recipes.miniature(config)          # the miniature benchmark: minutes on a CPU

Each fills in the recipes of a config; what the config file sets afterwards holds. Sources, named at each figure:
*jiant* is nyu-mll/jiant, its folder `jiant/scripts/benchmarks/xtreme` where no other is given; *XTREME* is
google-research/xtreme, its folder `scripts`. A figure that none of their files has is called ours.

From examples to rows. The sources count examples a step, a packed step holds tokens. A step of E examples becomes as
many rows as E times the mean length fills (`TOKENS`), to the nearest multiple of `multiple` and at least that, so that
one recipe runs on up to so many devices. Where texts are short, steps are larger than published: eight rows of 256
tokens hold some 49 examples of MNLI, 89 of UDPOS and 146 of PAN-X where 32 are asked for. `multiple=1` keeps to the
published sizes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_collections

from xtreme_stilts import config as config_lib
from xtreme_stilts.errors import UserError, did_you_mean

TRAINED = ("intermediate", "target")  # the kinds of phase that the named recipes are for
_NOTHING: Mapping[str, Any] = types.MappingProxyType({})


class _Training(NamedTuple):
    """How one task is trained, in the sources' terms."""

    examples: int  # of an optimizer step
    epochs: float
    length: int = 256  # tokens of a packed row
    fields: Mapping[str, Any] = _NOTHING  # of the recipe, where they differ from the other tasks'


# Mean tokens of a training example with XLM-R's tokenizer, specials included: of a choice task all choices together, of
# question answering one window of 384. Counted on every n-th row of the training set or, where only that was at hand,
# of the validation set (PAWS-X, QQP, SQuAD 2.0, HellaSwag, CosmosQA; for MNLI XNLI's). CommonsenseQA: by the choices of
# its first release; COPA: by Italian XCOPA; CCG: by UDPOS. Any other task counts as MNLI does.
TOKENS: Mapping[str, int] = types.MappingProxyType(
    {
        "mnli": 42,
        "pawsx": 63,
        "udpos": 23,
        "panx": 14,
        "squad_v1": 198,
        "squad_v2": 210,
        "tydiqa": 167,
        "qqp": 33,
        "hellaswag": 351,
        "cosmosqa": 474,
        "commonsenseqa": 116,
        "siqa": 104,
        "copa": 61,
        "ccg": 23,
    }
)


def rows_of(task: str, *, examples: int, length: int, multiple: int) -> int:
    """Rows of `length` tokens that hold so many examples of a task on average: the nearest positive multiple."""
    rows = examples * TOKENS.get(task, TOKENS["mnli"]) / length
    return multiple * max(1, round(rows / multiple))


def _apply(
    config: ml_collections.ConfigDict, *, common: Mapping[str, Any], tasks: Mapping[str, _Training], multiple: int
) -> None:
    """Tasks without an entry of their own are trained like MNLI."""

    def fields(task: str) -> dict[str, Any]:
        found = tasks[task]
        rows = rows_of(task, examples=found.examples, length=found.length, multiple=multiple)
        return {"epochs": float(found.epochs), "rows": rows, "length": found.length, **found.fields}

    for kind in TRAINED:
        config.recipes[kind].update({**common, **fields("mnli")})
    config.by_task.update({task: fields(task) for task in tasks})


# --------------------------------------------------------------------------------------------------
# jiant

_JIANT = {
    "learning_rate": 1e-5,  # jiant/scripts/postproc/xtreme/subscripts/e_run_models.sh: --learning_rate
    "warmup": 0.1,  # xtreme_runconfig_writer.py: warmup_steps_proportion
    "weight_decay": 0.01,  # jiant/shared/model_setup.py
    "clip_norm": 1.0,  # jiant/proj/simple/runscript.py: max_grad_norm
    "eval_every": 1000,  # e_run_models.sh: --eval_every_steps
    "eval_rows": 500,  # xtreme_runconfig_writer.py: eval_subset_num
    "patience": 30,  # e_run_models.sh: --no_improvements_for_n_evals
}
_JIANT_TASKS = {
    # subscripts/d_write_configs.sh: --epochs; --train_batch_size times --gradient_accumulation_steps. XNLI is trained
    # on MNLI, XQuAD and MLQA on SQuAD v1.1, which are intermediate tasks, too. Lengths: c_tokenize_and_cache.sh.
    "mnli": _Training(32, 2),
    "pawsx": _Training(32, 5),
    "udpos": _Training(32, 10),
    "panx": _Training(32, 10),
    "squad_v1": _Training(16, 2, length=384),
    "tydiqa": _Training(16, 2, length=384),
    # Intermediate tasks: guides/projects/xstilts.md trains with jiant/proj/simple/runscript.py, by default 32 examples
    # and 3 epochs; what the paper's runs had is in no file. Ours: what is like a task above is trained like it, and
    # small sets get more passes. A row holds all choices of an example, 256 tokens each at most.
    "anli_plus": _Training(32, 2),
    "qqp": _Training(32, 3),
    "squad_v2": _Training(16, 2, length=384),
    "ccg": _Training(32, 10),
    "hellaswag": _Training(32, 7, length=1024, fields={"max_length": 256}),
    "cosmosqa": _Training(32, 7, length=1024, fields={"max_length": 256}),
    "commonsenseqa": _Training(32, 7, length=512),
    "siqa": _Training(32, 7, length=512),
    # All at once. Most examples are as short as MNLI's, so rows are as short as SQuAD and four choices allow.
    "stilts": _Training(32, 2, length=512),
    "stilts_open": _Training(32, 2, length=512),
}


def jiant_xstilts(config: ml_collections.ConfigDict, *, multiple: int = 8) -> None:
    """X-STILTs as jiant has it, for intermediate tasks and targets; heads read the pooler.

    Args:
        config: of `config.default()`, changed in place: the recipes of TRAINED, `by_task`, `evaluation`'s shape.
        multiple: of the rows of a micro-batch, see above.
    """
    _apply(config, common=_JIANT, tasks=_JIANT_TASKS, multiple=multiple)
    config.model.head_pooling = "jiant"
    config.evaluation.rows, config.evaluation.length = 32, 512  # ours; changes no score


# --------------------------------------------------------------------------------------------------
# XTREME

_NEVER = 10**6  # validations of patience: the scripts train to the end
_WHOLE = 10**6  # validation rows that count: all
_XTREME = {
    "warmup": 0.0,  # third_party/run_classify.py: --warmup_steps; run_tag.py has the same
    "weight_decay": 0.0,  # third_party/run_classify.py: --weight_decay
    "clip_norm": 1.0,  # third_party/run_classify.py: --max_grad_norm
    "eval_rows": _WHOLE,
    "patience": _NEVER,
}
_RATE = {"large": 3e-5}  # train_xnli.sh and train_xcopa.sh; other encoders:
_OTHER_RATE = 2e-5


def _warmed_up(rate: float, *, examples: int, epochs: int) -> dict[str, float]:
    """train_qa.sh warms up over 500 steps of 32 examples; a recipe has a share of the steps. A phase that is over
    before the warm-up ends where the rate is by then, and never falls."""
    steps = epochs * examples / 32
    return {"learning_rate": rate * min(1.0, steps / 500), "warmup": min(1.0, 500 / steps)}


def _xtreme_tasks(size: str) -> dict[str, _Training]:
    rate = _RATE.get(size, _OTHER_RATE)
    short = {"max_length": 128}
    qa = {"weight_decay": 1e-4, "eval_every": 0}  # train_qa.sh: --weight_decay; no selection, the last is kept
    choice = {"learning_rate": rate, "eval_every": 0, **short}
    return {
        # train_*.sh: EPOCH, LR, BATCH_SIZE times GRAD_ACC, MAXL; selection every --save_steps.
        "mnli": _Training(32, 5, fields={"learning_rate": rate, "eval_every": 100, **short}),
        "pawsx": _Training(32, 5, fields={"learning_rate": 2e-5, "eval_every": 200, **short}),
        "udpos": _Training(32, 10, length=128, fields={"learning_rate": 2e-5, "eval_every": 500}),
        "panx": _Training(32, 10, length=128, fields={"learning_rate": 2e-5, "eval_every": 1000}),
        # Windows of the training sets: 87,599 and 3,696 examples, 1.032 and 1.057 windows each.
        "squad_v1": _Training(32, 3, length=384, fields=qa | _warmed_up(3e-5, examples=90_400, epochs=3)),
        "tydiqa": _Training(32, 3, length=384, fields=qa | _warmed_up(3e-5, examples=3_900, epochs=3)),
        "siqa": _Training(32, 5, length=384, fields=choice),
        "copa": _Training(32, 5, length=128, fields={**choice, "max_length": 64}),  # 64 hold all of them
    }


def xtreme_reference(config: ml_collections.ConfigDict, *, size: str = "large", multiple: int = 8) -> None:
    """XTREME's baselines as its scripts train them, for targets and, trained the same way, intermediate tasks.

    Heads read `<s>` itself, and repeated sentences of BUCC 2018 count once.

    Args:
        config: of `config.default()`, changed in place: the recipes of TRAINED, `by_task`, `evaluation`'s shape.
        size: of the encoder, a name of `models/presets.py`; XLM-R Large has a rate of its own.
        multiple: of the rows of a micro-batch, see above.
    """
    _apply(config, common=_XTREME, tasks=_xtreme_tasks(size), multiple=multiple)
    config.model.head_pooling = "cls"
    config.evaluation.duplicates = "xtreme"
    config.evaluation.rows, config.evaluation.length = 32, 512  # ours; changes no score


# --------------------------------------------------------------------------------------------------
# Ours


def rows_that_fit(config: ml_collections.ConfigDict) -> None:
    """Leaves the size of micro-batches to the device: steps hold as many tokens as before, in as few parts as fit."""
    recipes = [config.recipes[kind] for kind in TRAINED]
    for recipe in (*recipes, *(changes for changes in config.by_task.values() if "rows" in changes)):
        recipe.tokens_per_step = recipe.rows * recipe.get("length", recipes[-1].length)
        recipe.rows = 0


def miniature(config: ml_collections.ConfigDict) -> None:
    """The miniature benchmark: a small encoder that learns seven languages from scratch, then short phases."""
    config.tokenizer = "mini"
    config.model.preset = "mini"
    config.model.dropout = 0.0  # every example is seen a few times at most: nothing to overfit
    config.pretrain = ("mini_tlm",)
    # Not a published encoder's recipe: with 2 M tokens, high rates and many masks align the languages best.
    config.recipes.mlm.update(
        {"steps": 1600, "rows": 16, "length": 64, "learning_rate": 5e-3, "mask_rate": 0.45, "beta2": 0.98}
    )
    for kind in TRAINED:
        config.recipes[kind].update({"steps": 150, "rows": 8, "length": 128, "learning_rate": 1e-3})
    choice = {"rows": 4, "length": 256}  # a row holds all choices of an example
    config.by_task = {
        "mini_pawsx": {"steps": 80},
        "mini_tydiqa": {"steps": 80},
        "mini_udpos": {"steps": 50},
        "mini_panx": {"steps": 50},
        **{f"mini_{name}": dict(choice) for name in ("hellaswag", "cosmosqa", "commonsenseqa", "siqa", "copa")},
    }
    config.evaluation.length = 128
    config.evaluation.max_examples = 200


# --------------------------------------------------------------------------------------------------
# The argument of a config file

Options = Mapping[str, int | tuple[str, ...]]
Change = Callable[[ml_collections.ConfigDict], None]


def arguments(arg: str | None, *, mini: Options, real: Options) -> types.SimpleNamespace:
    """Reads what follows the colon in `--config=FILE:ARG`: a form, `mini` or `real`, and options, `real,seeds=5`.

    Args:
        arg: such a text; without a form (or None) it is `mini`.
        mini, real: the options of each form. A whole number is the default of a whole number, a tuple holds the words
            to choose from, the default first.

    Returns:
        A namespace with `form` and every option of that form.

    Raises:
        UserError: another form or option, or a value that the option cannot have.
    """
    forms = {"mini": mini, "real": real}
    form, *rest = arg.split(",") if arg else ["mini"]
    if "=" in form:
        form, rest = "mini", [form, *rest]
    if form not in forms:
        raise UserError(f"config argument {arg!r}: there is no form {form!r}; {did_you_mean(form, forms)}")
    options = forms[form]
    found = {name: default[0] if isinstance(default, tuple) else default for name, default in options.items()}
    for each in rest:
        name, _, text = each.partition("=")
        if name not in options:
            raise UserError(f"config argument {arg!r}: {form} has no option {name!r}; {did_you_mean(name, options)}")
        found[name] = _value(text, options[name], where=f"config argument {arg!r}: {name}")
    return types.SimpleNamespace(form=form, **found)


def of_form(arg: str | None, *, mini: Change, real: Change, seeds: int = 3) -> ml_collections.ConfigDict:
    """The config of a study whose forms have no option but `seeds`.

    Args:
        arg: see `arguments`.
        mini, real: fill in the config of each form.
        seeds: how many, by default.
    """
    asked = arguments(arg, mini={"seeds": seeds}, real={"seeds": seeds})
    config = config_lib.default()
    config.seeds = tuple(range(asked.seeds))
    (mini if asked.form == "mini" else real)(config)
    return config


def _value(text: str, default: int | tuple[str, ...], *, where: str) -> int | str:
    if isinstance(default, tuple):
        if text not in default:
            raise UserError(f"{where} is {text!r}; {did_you_mean(text, default)}")
        return text
    if not text.isdecimal():
        raise UserError(f"{where} is {text!r}; it must be a whole number, such as {default}")
    return int(text)
