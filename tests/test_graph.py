import dataclasses

import pytest

from xtreme_stilts import config, tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.graph import Root, plan

ROOT = Root(encoder={"width": 4}, weights="", tokenizer="t", head_pooling="jiant", seed=0)


def study(**fields):
    tree = config.default()
    for recipe in tree.recipes.values():
        recipe.steps = 5
    for name, value in fields.items():
        tree[name] = value
    return config.parse(tree)


def test_squad_is_trained_once_for_xquad_and_mlqa():
    layout = plan(study(targets=("xquad", "mlqa")), root=ROOT)
    (phase,) = layout.phases
    assert phase.mixture == "squad_v1.en"
    assert layout.families_after(phase) == ["xquad", "mlqa"]
    assert len(layout.cells) == 2


def test_rows_share_the_beginnings_of_their_chains():
    rows = {"none": (), "mnli": ("mnli",), "mnli_squad": ("mnli", "squad_v1")}
    layout = plan(study(intermediates=rows, targets=("panx",), retrieval=("tatoeba",)), root=ROOT)
    # mnli; squad after it; panx after each of the three starts; tatoeba after each of them.
    assert len(layout.phases) == 2 + 3 + 3
    assert len(layout.cells) == 6
    paths = [phase.path for phase in layout.phases]
    assert "mnli.en > squad_v1.en > panx.en" in paths
    for number, phase in enumerate(layout.phases):
        assert phase.parent is None or phase.parent in layout.phases[:number]


def test_an_intermediate_phase_that_trains_as_a_target_does_is_one_phase():
    layout = plan(study(intermediates={"none": (), "squad": ("squad_v1",)}, targets=("xquad",)), root=ROOT)
    assert [phase.path for phase in layout.phases] == ["squad_v1.en", "squad_v1.en > squad_v1.en"]


def test_seeds_share_pretraining_only():
    layout = plan(
        study(
            pretrain=("mini_tlm",),
            targets=("mini_panx",),
            retrieval=("mini_tatoeba",),
            seeds=(3, 4),
            intermediates={"none": (), "mnli": ("mini_mnli",)},
        ),
        root=ROOT,
    )
    names = [(phase.mixture, phase.seed) for phase in layout.phases]
    assert names.count(("mini_tlm", 3)) == 1
    assert ("mini_tlm", 4) not in names
    assert names.count(("mini_mnli.en", 3)) == names.count(("mini_mnli.en", 4)) == 1
    # Without an intermediate task retrieval is the same for all seeds; after one it is not.
    assert names.count(("mini_tatoeba", 3)) == 2
    assert names.count(("mini_tatoeba", 4)) == 1
    assert len(layout.cells) == 2 * 2 * 2


def test_the_fingerprint_follows_what_matters():
    def fingerprint(**fields):
        return plan(study(targets=("panx",), **fields), root=ROOT).phases[-1].fingerprint

    base = fingerprint()
    assert base == fingerprint()
    assert base != fingerprint(seeds=(1,))
    assert base != fingerprint(by_task={"panx": {"learning_rate": 1.0}})
    assert base != fingerprint(intermediates={"a": ("mnli",)})
    assert base == fingerprint(by_task={"panx": {"log_every": 1}})
    # A mixture is known by its rates, too, not by its name alone.
    names = []
    for temperature in (1.0, 2.0):
        two = tasks.Mixture(name="two", tasks=("mnli.en", "qqp.en"), sampling="temperature", temperature=temperature)
        tasks.register_mixture(two)
        names.append(fingerprint(intermediates={"a": ("two",)}))
    assert names[0] != names[1]
    other = dataclasses.replace(ROOT, tokenizer="u")
    assert base != plan(study(targets=("panx",)), root=other).phases[-1].fingerprint


def test_unknown_names_are_reported_together():
    with pytest.raises(UserError) as caught:
        plan(
            study(
                targets=("xnly", "tatoeba"),
                retrieval=("panx",),
                pretrain=("mnli",),
                languages={"pnx": ("de",)},
                intermediates={"a": ("sqad_v1", "tatoeba.de")},
            ),
            root=ROOT,
        )
    text = str(caught.value)
    assert "config.targets: no task family 'xnly'; did you mean 'xnli'?" in text
    assert "config.targets: 'tatoeba' has no training task" in text
    assert "config.retrieval: 'panx' is a tagging family" in text
    assert "config.pretrain: 'mnli' is no MLM mixture" in text
    assert "'sqad_v1'; did you mean 'squad_v1'" in text
    assert "'tatoeba.de' is a retrieval task" in text
    assert "config.languages: no task family 'pnx'" in text


def test_every_family_can_be_planned():
    trained = [family.name for family in tasks.families() if family.train and family.kind not in ("mlm", "embedding")]
    retrieval = [family.name for family in tasks.families() if family.kind == "embedding"]
    layout = plan(study(targets=tuple(trained), retrieval=tuple(retrieval)), root=ROOT)
    assert {cell.family for cell in layout.cells} >= {
        "xnli",
        "pawsx",
        "udpos",
        "panx",
        "xquad",
        "mlqa",
        "tydiqa",
        "tatoeba",
    }


def test_a_mixture_of_the_users_own_in_seqio_works_by_name():
    seqio = pytest.importorskip("seqio")
    import xtreme_stilts.tasks.seqio_tasks  # noqa: F401  (registers ours)

    seqio.MixtureRegistry.add("users_own", [("mini_mnli.en", 1.0), ("mini_squad_v1.en", 3.0)])
    try:
        found = tasks.mixture("users_own")
        assert found.tasks == ("mini_mnli.en", "mini_squad_v1.en")
        assert [found.rate(task, rows=rows) for task, rows in zip(found.tasks, (10, 99), strict=True)] == [1.0, 3.0]
        layout = plan(study(intermediates={"own": ("users_own",)}, targets=("mini_panx",)), root=ROOT)
        assert [phase.path for phase in layout.phases] == ["users_own", "users_own > mini_panx.en"]
    finally:
        seqio.MixtureRegistry.remove("users_own")
