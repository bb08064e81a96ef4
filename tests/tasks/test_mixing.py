"""Rates of a mixture against the samplers' formulas, shares of budgets, and the sentences for fields that cannot be."""

from __future__ import annotations

import pytest

from xtreme_stilts import config, study, tasks
from xtreme_stilts.config import MixtureConfig
from xtreme_stilts.errors import UserError

ROWS = {"mnli.en": 900, "qqp.en": 90, "squad_v1.en": 10}
NAMES = tuple(ROWS)


def shares(mixture, rows=ROWS, progress=0.0):
    rates = mixture.sampling_rates(rows, progress=progress)
    return {name: rate / sum(rates.values()) for name, rate in rates.items()}


def made(**fields):
    return tasks.mixture_of("made", MixtureConfig(tasks=("mnli", "qqp", "squad_v1"), **fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (0.9, 0.09, 0.01)),
        ({"cap": 90}, (90 / 190, 90 / 190, 10 / 190)),
        ({"sampling": "uniform"}, (1 / 3, 1 / 3, 1 / 3)),
        # 900^(1/2) = 30, 90^(1/2) = 9.48683, 10^(1/2) = 3.16228; their sum is 42.64911
        ({"sampling": "temperature", "temperature": 2.0}, (0.703414, 0.222439, 0.074146)),
        ({"sampling": "temperature", "temperature": 2.0, "cap": 40}, (0.4, 0.4, 0.2)),
        ({"sampling": "specified", "rates": {"mnli": 1, "qqp": 1, "squad_v1": 6}}, (0.125, 0.125, 0.75)),
    ],
)
def test_shares_by_the_samplers_formulas(fields, expected):
    assert list(shares(made(**fields)).values()) == pytest.approx(expected, abs=1e-6)
    assert tuple(shares(made(**fields))) == NAMES


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, (1.0, 0.0, 0.0)), (0.25, (0.5, 0.25, 0.25)), (0.5, (0.0, 0.5, 0.5)), (0.75, (0.0, 0.5, 0.5))],
)
def test_a_schedule_is_straight_between_its_corners_and_flat_outside(progress, expected):
    schedule = {"mnli": ((0.0, 4.0), (0.5, 0.0)), "qqp": ((0.0, 0.0), (0.5, 2.0)), "squad_v1": ((0.0, 0.0), (0.5, 2.0))}
    found = shares(made(sampling="scheduled", schedule=schedule), progress=progress)
    assert list(found.values()) == pytest.approx(expected)


@pytest.mark.parametrize("sampling", [{}, {"sampling": "uniform"}, {"sampling": "temperature", "temperature": 5.0}])
def test_language_modelling_beside_the_tasks_has_its_share_smoothed_over_languages(sampling):
    mixture = made(mlm=("mini_text.de", "mini_text.sw"), mlm_rate=0.2, mlm_smoothing=0.5, **sampling)
    found = shares(mixture, ROWS | {"mini_text.de": 1600, "mini_text.sw": 100})
    assert found["mini_text.de"] == pytest.approx(0.2 * 40 / 50)
    assert found["mini_text.sw"] == pytest.approx(0.2 * 10 / 50)
    alone = shares(made(**sampling))
    assert {name: found[name] for name in NAMES} == pytest.approx({name: 0.8 * alone[name] for name in NAMES})


def test_a_weight_multiplies_a_rate():
    mixture = tasks.Mixture(name="two", tasks=("mnli.en", "qqp.en"), weights={"qqp.en": 3.0})
    assert mixture.sampling_rates(ROWS) == {"mnli.en": 900.0, "qqp.en": 270.0}


def test_budgets_per_language_are_disjoint_parts_in_the_order_of_the_tasks():
    languages = ("en", "de", "sw", "zh")
    names = tuple(f"xnli_translated.{code}" for code in languages if code != "zh")
    budgets = {names[0]: 50, names[1]: 30}
    mixture = tasks.mixture_of("nli", MixtureConfig(tasks=names, budgets=budgets))
    assert [mixture.share(name) for name in names] == [tasks.Share(0, 50), tasks.Share(50, 30), None]
    even = tasks.mixture_of("nli", MixtureConfig(tasks=names, budgets=dict.fromkeys(names, 7)))
    total = tasks.mixture_of("nli", MixtureConfig(tasks=names, budget=21))
    assert [even.share(name) for name in names] == [total.share(name) for name in names]


def test_members_may_be_mixtures_and_keys_stand_for_all_of_their_tasks():
    mixture = tasks.mixture_of(
        "all",
        MixtureConfig(
            tasks=("anli+", "mnli", "squad_v1"),
            sampling="specified",
            rates={"anli_plus": 1.0, "mnli": 4.0, "squad_v1": 2.0},
            mlm=("mini_mlm",),
            mlm_rate=0.5,
            loss_weights={"mini_mlm": 0.5},
        ),
    )
    nli = tasks.mixture("anli_plus").tasks
    text = tasks.mixture("mini_mlm").tasks
    assert mixture.tasks == (*nli, "squad_v1.en", *text)
    assert mixture.main_tasks == (*nli, "squad_v1.en")
    assert mixture.rates == dict.fromkeys(nli, 1.0) | {"mnli.en": 4.0, "squad_v1.en": 2.0}
    assert mixture.loss_weights == dict.fromkeys(text, 0.5)
    tasks.register_mixture(mixture)
    with pytest.raises(UserError, match=r"has the member 'all', which has mlm beside its tasks"):
        tasks.mixture_of("more", MixtureConfig(tasks=("all", "qqp")))


def test_anli_plus_and_stilts():
    anli_plus = tasks.mixture("anli+")
    assert anli_plus.tasks == ("mnli.en", "snli.en", "anli_r1.en", "anli_r2.en", "anli_r3.en")
    families = [tasks.task(name).family for name in anli_plus.tasks]
    assert {family.head_name for family in families} == {"nli"}
    assert {family.labels for family in families} == {("contradiction", "entailment", "neutral")}
    sizes = {"mnli.en": 392_702, "snli.en": 549_367, "anli_r1.en": 16_946, "anli_r2.en": 45_460, "anli_r3.en": 100_459}
    total = sum(sizes.values())
    assert shares(anli_plus, sizes) == pytest.approx({name: size / total for name, size in sizes.items()})
    nine = set(tasks.mixture("stilts").tasks)
    assert nine == {*anli_plus.tasks} | {
        f"{name}.en" for name in ("qqp", "squad_v1", "squad_v2", "hellaswag", "ccg", "cosmosqa", "commonsenseqa")
    }
    mini = tasks.mixture("mini_stilts")
    assert {"mini_mnli.en", "mini_squad_v2.en", "mini_hellaswag.en"} < set(mini.tasks)
    assert mini.sampling == tasks.mixture("stilts").sampling == "proportional"


# --------------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sampling": "propotional"}, "sampling is 'propotional'; did you mean 'proportional'?"),
        ({"heads": "mix"}, "heads is 'mix'; did you mean 'mixed'?"),
        ({"rates": {"a": 1.0}}, "rates is given, but sampling is 'proportional'; it counts only with"),
        ({"schedule": {"a": ((0, 1),)}}, "it counts only with sampling 'scheduled'"),
        ({"temperature": 2.0}, "temperature is given, but sampling is 'proportional'"),
        ({"cap": 5, "sampling": "uniform"}, "it counts only with sampling 'proportional' or 'temperature'"),
        ({"temperature": -1.0, "sampling": "temperature"}, "temperature is -1.0; it must be positive"),
        ({"cap": -1}, "cap is -1; it must not be negative"),
        ({"budget": -1}, "budget is -1; it must not be negative"),
        ({"rates": {"a": 0.0}, "sampling": "specified"}, "rates.a is 0.0; it must be positive"),
        ({"loss_weights": {"a": float("inf")}}, "loss_weights.a is inf; it must be a finite number"),
        ({"budgets": {"a": 0}}, "budgets.a is 0; it must be positive"),
        ({"budget": 5, "budgets": {"a": 1}}, "budget is given, and budgets, too"),
        ({"sampling": "scheduled", "schedule": {"a": ((0, 1), (0, 2))}}, "it must be pairs of a progress"),
        ({"sampling": "scheduled", "schedule": {"a": ((0, 1), (1.5, 2))}}, "schedule.a is ((0.0, 1.0), (1.5, 2.0))"),
        ({"sampling": "scheduled", "schedule": {"a": ((0, -1),)}}, "a rate that is not negative"),
        ({"sampling": "scheduled", "schedule": {"a": ((0, 1, 2),)}}, "schedule.a is ((0.0, 1.0, 2.0),)"),
        (
            {"sampling": "scheduled", "schedule": {"a": ((0, 1), (0.5, 0)), "b": ((0.5, 0), (1, 1))}},
            "schedule gives every task the rate 0 at progress 0.5",
        ),
        ({"mlm": ("m",)}, "mlm_rate is 0.0; with mlm it must lie between 0 and 1"),
        ({"mlm": ("m",), "mlm_rate": 1.0}, "mlm_rate is 1.0; with mlm"),
        ({"mlm_rate": 0.5}, "mlm_rate is 0.5, but mlm is empty"),
        ({"mlm": ("m",), "mlm_rate": 0.5, "mlm_smoothing": 2.0}, "mlm_smoothing is 2.0"),
        ({"sampeling": "uniform"}, "sampeling is not a field; did you mean 'sampling'?"),
        ({"mlm_rate": "half"}, "mlm_rate is 'half', a str; it must be a finite number"),
    ],
)
def test_a_config_that_makes_no_sense_is_one_sentence(fields, sentence):
    tree = config.default().to_dict()
    tree["mixtures"] = {"both": {"tasks": ("a", "b"), **fields}}
    with pytest.raises(UserError) as caught:
        config.parse(tree)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("config.mixtures.both.")
    assert sentence in line


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tasks": ("mnly",)}, "did you mean 'mnli'?"),
        ({"tasks": ()}, "mixture 'both' has no tasks"),
        ({"loss_weights": {"mnly": 1.0}}, "loss_weights names 'mnly', which is none of its tasks; did you mean 'mnli'"),
        ({"budgets": {"qqp": 10}}, "budgets names 'qqp', which is none of its tasks"),
        ({"sampling": "specified", "rates": {"mnli": 1.0}}, "sampling is 'specified', and rates lacks squad_v1.en"),
        ({"sampling": "scheduled", "schedule": {"mnli": ((0, 1),)}}, "and schedule lacks squad_v1.en"),
        ({"budget": 1}, "has a budget of 1 examples for 2 tasks"),
        ({"mlm": ("qqp",), "mlm_rate": 0.5}, "mlm names 'qqp.en', a classification task; it must be an mlm task"),
        (
            {"tasks": ("mnli", "mini_text.de"), "mlm": ("mini_text.en",), "mlm_rate": 0.5},
            "has mlm beside its tasks, but 'mini_text.de' stands among them",
        ),
        ({"tasks": ("mini_text.en",), "mlm": ("mini_text.en",), "mlm_rate": 0.5}, "but no other task"),
        (
            {"mlm": ("mini_mlm",), "mlm_rate": 0.5, "loss_weights": {"mini_text.en": 2.0}},
            "loss_weights of mlm tasks differ",
        ),
        ({"budgets": {"mini_mlm": 10}, "mlm": ("mini_mlm",), "mlm_rate": 0.5}, "budgets names 'mini_text.en'"),
        (
            {
                "tasks": ("mini_text.en", "mini_text.de"),
                "sampling": "scheduled",
                "schedule": {"mini_text.en": ((0, 1),), "mini_text.de": ((0, 1),)},
            },
            "share batches, so a schedule cannot tell them apart",
        ),
    ],
)
def test_names_that_make_no_sense_are_one_sentence(fields, sentence):
    tree = config.default().to_dict()
    tree["mixtures"] = {"both": {"tasks": ("mnli", "squad_v1"), **fields}}
    with pytest.raises(UserError) as caught:
        study.register(config.parse(tree))
    assert sentence in str(caught.value)


def test_members_may_come_in_any_order_but_not_in_a_circle():
    tree = config.default().to_dict()
    tree["mixtures"] = {"whole": ("part", "qqp"), "part": ("mnli", "squad_v1")}
    study.register(config.parse(tree))
    assert tasks.mixture("whole").tasks == ("mnli.en", "squad_v1.en", "qqp.en")
    for mixtures in (
        {"whole": ("part", "qqp"), "part": ("mnli", "whole")},
        {"own": ("mnli", "own")},
        {"whole": {"tasks": ("mnli",), "mlm": ("part",), "mlm_rate": 0.5}, "part": ("whole",)},
    ):
        tree["mixtures"] = mixtures
        with pytest.raises(
            UserError, match=r"config\.mixtures go round in a circle: \w+ > \w+.*; name tasks"
        ) as caught:
            study.register(config.parse(tree))
        assert len(str(caught.value).splitlines()) == 1


def test_a_config_may_be_a_tuple_a_group_or_a_mixture_config_with_dotted_keys():
    group = MixtureConfig(tasks=("mnli", "squad_v1"), sampling="specified", rates={"mnli.en": 1, "squad_v1.en": 3})
    tree = config.default()
    tree.mixtures = {"short": ("mnli", "squad_v1"), "group": {"tasks": ("mnli",), "cap": 5}, "own": group}
    parsed = config.parse(tree)
    assert parsed.mixtures["short"] == MixtureConfig(tasks=("mnli", "squad_v1"))
    assert parsed.mixtures["group"] == MixtureConfig(tasks=("mnli",), cap=5)
    assert parsed.mixtures["own"] == group
    assert isinstance(parsed.mixtures["own"].rates["mnli.en"], float)
    assert config.parse(config.to_dict(parsed)) == parsed


# --------------------------------------------------------------------------------------------------
# Fingerprints


def test_every_field_that_changes_the_training_changes_what_fingerprints_cover():
    names = ("mnli", "squad_v1")
    changes = [
        {},
        {"cap": 5},
        {"sampling": "uniform"},
        {"sampling": "temperature", "temperature": 2.0},
        {"sampling": "specified", "rates": {"mnli": 1.0, "squad_v1": 1.0}},
        {"sampling": "specified", "rates": {"mnli": 1.0, "squad_v1": 2.0}},
        {"sampling": "scheduled", "schedule": {"mnli": ((0, 1),), "squad_v1": ((0, 1),)}},
        {"sampling": "scheduled", "schedule": {"mnli": ((0, 1),), "squad_v1": ((0, 1), (1, 2))}},
        {"loss_weights": {"mnli": 2.0}},
        {"budget": 10},
        {"budgets": {"mnli": 10}},
        {"mlm": ("mini_text.en",), "mlm_rate": 0.5},
        {"mlm": ("mini_text.en",), "mlm_rate": 0.4},
        {"mlm": ("mini_text.en",), "mlm_rate": 0.5, "mlm_smoothing": 0.7},
        {"heads": "mixed"},
    ]
    found = [repr(tasks.mixture_of("both", MixtureConfig(tasks=names, **each)).mixing) for each in changes]
    assert len(set(found)) == len(changes)


def test_what_a_fingerprint_covers_of_old_mixtures_stays():
    """Phases trained before a field was added keep their names."""
    assert tasks.mixture("mnli").mixing == (1.0, None, [], 0)
    assert tasks.mixture("stilts").mixing == (1.0, None, [], 0)
    weights = tasks.mixture("mini_tlm").weights
    assert tasks.mixture("mini_tlm").mixing == (1 / 0.3, None, sorted(weights.items()), 0)
    budget = tasks.mixture_of("both", MixtureConfig(tasks=("mnli", "qqp"), budget=10))
    assert budget.mixing == (1.0, None, [], 10)
