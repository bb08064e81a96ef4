"""The paper's table: every number against one worked out by hand."""

from __future__ import annotations

import io
import math

import pytest
import rich.console

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import table as tables
from xtreme_stilts.report.results import Result, to_frame


def result(intermediate: str, target: str, language: str, value: float, **changes) -> Result:
    fields = {"model": "mini", "split": "test", "metric": "accuracy", "examples": 10, "seed": 1} | changes
    return Result(intermediate=intermediate, target=target, language=language, value=value, **fields)


def both(intermediate: str, target: str, language: str, exact_match: float, f1: float, **changes):
    return [
        result(intermediate, target, language, exact_match, metric="exact_match", **changes),
        result(intermediate, target, language, f1, metric="f1", **changes),
    ]


def study() -> list[Result]:
    """Two rows, three targets, one seed."""
    return [
        result("none", "xnli", "en", 80.0),
        result("none", "xnli", "de", 70.0),
        result("none", "xnli", "sw", 60.0),
        result("mnli", "xnli", "en", 84.0),
        result("mnli", "xnli", "de", 75.0),
        result("mnli", "xnli", "sw", 66.0),
        *both("none", "xquad", "en", 60.0, 70.0),
        *both("none", "xquad", "de", 50.0, 64.0),
        *both("mnli", "xquad", "en", 58.0, 68.0),
        *both("mnli", "xquad", "de", 44.0, 60.0),
        result("none", "udpos", "en", 90.0, metric="f1"),
        result("none", "udpos", "en", 99.0, metric="token_accuracy"),
        result("mnli", "udpos", "en", 91.5, metric="f1"),
        result("mnli", "udpos", "en", 98.0, metric="token_accuracy"),
    ]


def printed(frame, **arguments) -> str:
    text = io.StringIO()
    tables.print_table(frame, rich.console.Console(file=text, width=200), **arguments)
    return text.getvalue()


def test_means_deltas_and_average():
    table = tables.paper_table(to_frame(study()))
    assert table.mean.index.tolist() == ["none", "mnli"]
    assert table.mean.columns.tolist() == ["xnli", "udpos", "xquad", "average"]
    # xnli: (80 + 70 + 60) / 3; xquad: EM (60 + 50) / 2 and F1 (70 + 64) / 2, then their mean; udpos: F1 only.
    assert table.mean.loc["none"].tolist() == pytest.approx([70, 90, 61, (70 + 90 + 61) / 3])
    assert table.mean.loc["mnli"].tolist() == pytest.approx([75, 91.5, 57.5, (75 + 91.5 + 57.5) / 3])
    assert table.delta.loc["mnli"].tolist() == pytest.approx([5, 1.5, -3.5, 1])
    assert table.delta.loc["none"].isna().all()
    assert table.std.isna().all(axis=None)
    assert table.average_over == ("xnli", "udpos", "xquad")
    assert not table.partial.any(axis=None)


def test_zero_shot_leaves_english_out_and_a_target_with_english_only_is_missing():
    table = tables.paper_table(to_frame(study()), exclude=("en",))
    assert table.mean.loc["none", "xnli"] == 65.0
    assert table.mean.loc["mnli", "xquad"] == 52.0
    assert table.mean["udpos"].isna().all()
    assert table.average_over == ("xnli", "xquad")
    assert table.mean.loc["none", "average"] == pytest.approx((65 + 57) / 2)
    assert "Average: over XNLI, XQuAD only" in " ".join(tables.legend(table))


def test_several_seeds_give_mean_and_sample_deviation():
    rows = []
    for seed, (none, mnli) in enumerate([(50.0, 60.0), (52.0, 61.0), (57.0, 65.0)], start=1):
        for intermediate, value in (("none", none), ("mnli", mnli)):
            # The languages differ by 10, which must not enter the spread over seeds.
            rows += [
                result(intermediate, "xnli", code, value + off, seed=seed) for code, off in (("en", 5), ("de", -5))
            ]
            rows += [result(intermediate, "pawsx", "en", 2 * value, seed=seed)]
    table = tables.paper_table(to_frame(rows))
    assert table.mean.loc["none", "xnli"] == pytest.approx(53)
    assert table.std.loc["none", "xnli"] == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert table.mean.loc["mnli", "xnli"] == pytest.approx(62)
    assert table.std.loc["mnli", "xnli"] == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert table.delta.loc["mnli", "xnli"] == pytest.approx(9)
    # Average of the two targets: 1.5 times the value, seed by seed.
    assert table.mean.loc["none", "average"] == pytest.approx(1.5 * 53)
    assert table.std.loc["none", "average"] == pytest.approx(1.5 * math.sqrt(13))
    assert (table.seeds == 3).all(axis=None)
    assert "sample standard deviation over 3 seeds" in " ".join(tables.legend(table))


def test_targets_stand_in_xtremes_order_and_none_comes_first():
    names = [
        "zzz",
        "tatoeba",
        "aaa",
        "bucc2018",
        "mini_xnli",
        "tydiqa",
        "mlqa",
        "xquad",
        "panx",
        "udpos",
        "pawsx",
        "xnli",
    ]
    rows = [result(row, name, "en", 1.0, metric="f1") for name in names for row in ("zeta", "none", "alpha")]
    rows += [result(row, name, "en", 1.0) for name in names for row in ("zeta", "none", "alpha")]
    rows += [result(row, name, "en", 1.0, metric="exact_match") for name in names for row in ("zeta", "none", "alpha")]
    table = tables.paper_table(to_frame(rows))
    assert table.mean.columns.tolist() == [
        *("xnli", "mini_xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba"),
        *("aaa", "zzz", "average"),
    ]
    assert table.mean.index.tolist() == ["none", "alpha", "zeta"]


def test_a_miniature_is_judged_and_grouped_like_its_model():
    assert tables.primary_metrics("mini_xquad", []) == ("exact_match", "f1")
    assert tables.group("mini_tatoeba") == "retrieval" and tables.title("mini_xnli") == "mini XNLI"


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["f1", "exact_match", "accuracy"], ("exact_match", "f1")),
        (["f1", "token_accuracy"], ("f1",)),
        (["accuracy", "loss"], ("accuracy",)),
        (["accuracy", "f1", "mean"], ("mean",)),
        (["exact_match", "f1", "best_f1", "best_exact_match"], ("best_exact_match", "best_f1")),
        (["z", "bleu"], ("bleu",)),
    ],
)
def test_targets_of_ones_own_are_judged_by_what_they_have(present, expected):
    assert tables.primary_metrics("my_task", present) == expected


def test_a_missing_cell_is_a_dash_never_a_zero():
    rows = [row for row in study() if (row.intermediate, row.target) != ("mnli", "udpos")]
    table = tables.paper_table(to_frame(rows))
    assert math.isnan(table.mean.loc["mnli", "udpos"]) and math.isnan(table.delta.loc["mnli", "udpos"])
    assert tables.cell_text(table, "mnli", "udpos").score == "–"
    assert table.average_over == ("xnli", "xquad")
    assert table.mean.loc["mnli", "average"] == pytest.approx((75 + 57.5) / 2)
    line = next(line for line in printed(to_frame(rows)).splitlines() if line.startswith("mnli"))
    assert line.split() == ["mnli", "75.0", "+5.0", "–", "57.5", "-3.5", "66.2", "+0.8"]


def test_a_mean_over_some_languages_only_is_marked_and_compared_with_nothing():
    rows = [row for row in study() if (row.intermediate, row.target, row.language) != ("mnli", "xnli", "sw")]
    table = tables.paper_table(to_frame(rows))
    assert table.partial.loc["mnli", "xnli"] and not table.partial.loc["none", "xnli"]
    assert table.mean.loc["mnli", "xnli"] == pytest.approx((84 + 75) / 2)
    assert math.isnan(table.delta.loc["mnli", "xnli"])
    assert table.average_over == ("udpos", "xquad")
    assert tables.cell_text(table, "mnli", "xnli") == ("79.5", "*", "", "", False)
    assert table.best("xnli") == 70.0  # the higher mean is partial
    assert "some of the target's languages only" in " ".join(tables.legend(table))


def test_a_seed_that_is_not_finished_is_left_out_where_another_is():
    rows = [*study(), result("mnli", "xnli", "en", 10.0, seed=2)]
    table = tables.paper_table(to_frame(rows))
    assert table.mean.loc["mnli", "xnli"] == 75.0 and table.seeds.loc["mnli", "xnli"] == 1
    assert not table.partial.loc["mnli", "xnli"]


def test_a_question_answering_score_needs_both_metrics():
    rows = [row for row in study() if (row.intermediate, row.target, row.metric) != ("mnli", "xquad", "f1")]
    table = tables.paper_table(to_frame(rows))
    assert math.isnan(table.mean.loc["mnli", "xquad"])
    assert any("XQuAD: 2 scores lack exact_match or f1" in note for note in table.notes)


def test_without_the_row_none_there_are_no_deltas_and_the_legend_says_so():
    table = tables.paper_table(to_frame([row for row in study() if row.intermediate == "mnli"]))
    assert table.delta.isna().all(axis=None)
    assert any("No deltas" in line for line in tables.legend(table))


def test_no_target_in_every_row_means_no_average():
    table = tables.paper_table(to_frame([result("none", "xnli", "en", 1.0), result("mnli", "pawsx", "en", 2.0)]))
    assert table.average_over == () and table.mean["average"].isna().all()
    assert any("No average" in line for line in tables.legend(table))


def test_one_split_is_shown_test_first_and_the_legend_names_it():
    rows = [*study(), *(result(name, "xnli", "en", 1.0, split="validation") for name in ("none", "mnli"))]
    table = tables.paper_table(to_frame(rows))
    assert table.mean.loc["none", "xnli"] == 70.0
    assert "Shown for XNLI, POS, XQuAD: test." in table.notes
    only = tables.paper_table(to_frame(rows), split="validation")
    assert only.mean.columns.tolist() == ["xnli", "average"] and only.mean.loc["none", "xnli"] == 1.0
    with pytest.raises(UserError, match="did you mean 'validation'"):
        tables.paper_table(to_frame(rows), split="validaton")


def test_the_split_that_more_rows_have_wins():
    rows = [result("none", "xnli", "en", 1.0, split="test")]
    rows += [result(name, "xnli", "en", 2.0, split="validation") for name in ("none", "mnli")]
    assert tables.paper_table(to_frame(rows)).delta.loc["mnli", "xnli"] == 0.0


def test_retrieval_shows_one_layer_near_14_and_never_the_best():
    rows = [
        result(name, "tatoeba", "de", value + gain, layer=layer, pooling=pooling)
        for name, gain in (("none", 0.0), ("mnli", 5.0))
        for layer, pooling, value in (
            (0, "mean", 10.0),
            (13, "mean", 30.0),
            (13, "cls", 70.0),
            (20, "mean", 90.0),
        )
    ]
    table = tables.paper_table(to_frame(rows))
    assert table.mean.loc["none", "tatoeba"] == 30.0 and table.delta.loc["mnli", "tatoeba"] == 5.0
    assert "Shown for Tatoeba: test, layer 13, mean." in table.notes
    layers = tables.layer_scores(to_frame(rows), "tatoeba")
    mean = layers[(layers["intermediate"] == "mnli") & (layers["pooling"] == "mean")]
    assert mean["layer"].tolist() == [0, 13, 20] and mean["value"].tolist() == [15.0, 35.0, 95.0]


def by_layer(intermediate: str, *, reported: int, values: dict[int, float], split: str = "test", metric: str = "f1"):
    """Rows as a study writes them: every layer, and one of them under the metric's own name."""
    where = {"pooling": "mean", "split": split}
    rows = [
        result(intermediate, "bucc2018", "de", value, layer=layer, metric=f"{metric}_by_layer", **where)
        for layer, value in values.items()
    ]
    return [*rows, result(intermediate, "bucc2018", "de", values[reported], layer=reported, metric=metric, **where)]


def test_the_reported_layer_is_shown_even_if_others_lie_nearer_to_14():
    rows = [
        *by_layer("none", reported=3, values={3: 30.0, 14: 90.0}),
        *by_layer("mnli", reported=3, values={3: 40.0, 14: 95.0}),
    ]
    frame = to_frame(rows)
    table = tables.paper_table(frame)
    assert table.mean["bucc2018"].tolist() == [30.0, 40.0] and table.average_over == ("bucc2018",)
    assert table.mean["average"].tolist() == [30.0, 40.0]
    assert "Shown for BUCC: test, layer 3, mean." in table.notes
    layers = tables.layer_scores(frame, "bucc2018")
    assert layers[layers["intermediate"] == "none"][["layer", "value"]].to_numpy().tolist() == [[3, 30.0], [14, 90.0]]


def test_rows_may_each_report_a_layer_of_their_own():
    frame = to_frame(
        [
            *by_layer("none", reported=3, values={3: 30.0, 14: 90.0}),
            *by_layer("mnli", reported=14, values={3: 40.0, 14: 95.0}),
            *by_layer("none", reported=3, values={3: 1.0, 14: 2.0}, split="validation"),
            *by_layer("mnli", reported=14, values={3: 3.0, 14: 4.0}, split="validation"),
        ]
    )
    table = tables.paper_table(frame)
    assert table.mean["bucc2018"].tolist() == [30.0, 95.0] and table.delta.loc["mnli", "bucc2018"] == 65.0
    assert "Shown for BUCC: test, each row's own layer and pooling." in table.notes
    assert tables.paper_table(frame, split="validation").mean["bucc2018"].tolist() == [1.0, 4.0]
    assert tables.language_table(frame, "bucc2018").mean["de"].tolist() == [30.0, 95.0]
    every = tables.language_table(frame, "bucc2018", metric="f1_by_layer")  # of the layers that the table shows
    assert every.mean["de"].tolist() == [30.0, 95.0]
    assert len(tables.layer_scores(frame, "bucc2018")) == 4


def test_the_other_direction_of_tatoeba_enters_no_average():
    rows = [
        result("none", "tatoeba", "de", value, metric=metric, layer=14, pooling="mean")
        for metric, value in (("accuracy", 50.0), ("accuracy_reverse", 90.0), ("accuracy_by_layer", 50.0))
    ]
    table = tables.paper_table(to_frame(rows))
    assert table.mean.loc["none"].tolist() == [50.0, 50.0]


def test_two_runs_in_one_place_are_refused():
    rows = [*study(), result("mnli", "xnli", "de", 12.0, fingerprint="other")]
    with pytest.raises(UserError, match=r"several accuracy scores of xnli\.de after 'mnli' with seed 1"):
        tables.paper_table(to_frame(rows))


def test_several_models_stand_apart():
    rows = [*study(), *(result("none", "xnli", code, 10.0, model="other") for code in ("en", "de"))]
    frame = to_frame(rows)
    with pytest.raises(UserError, match="2 models; name one of mini, other"):
        tables.paper_table(frame)
    with pytest.raises(UserError, match="did you mean 'other'"):
        tables.paper_table(frame, model="othr")
    # Two languages are all the other model was scored in, so its mean is a full one.
    other = tables.paper_table(frame, model="other")
    assert other.mean.loc["none", "xnli"] == 10.0 and not other.partial.any(axis=None)
    assert other.mean.columns.tolist() == ["xnli", "average"]
    assert tables.paper_table(frame, model="mini").mean.loc["none", "xnli"] == 70.0
    text = printed(frame)
    assert "mini, mean over all languages" in text and "other, mean over all languages" in text


def test_languages_of_one_target():
    table = tables.language_table(to_frame(study()), "xquad")
    assert table.mean.columns.tolist() == ["en", "de", "average"]
    assert table.mean.loc["none"].tolist() == [65.0, 57.0, 61.0]
    assert table.delta.loc["mnli"].tolist() == pytest.approx([-2, -5, -3.5])
    exact = tables.language_table(to_frame(study()), "xquad", metric="exact_match")
    assert exact.mean.loc["none"].tolist() == [60.0, 50.0, 55.0]
    with pytest.raises(UserError, match="did you mean 'exact_match'"):
        tables.language_table(to_frame(study()), "xquad", metric="exact_mtch")
    with pytest.raises(UserError, match="did you mean 'xquad'"):
        tables.language_table(to_frame(study()), "xquat")


def test_chance_levels_get_a_row_and_their_average_only_when_all_are_known():
    frame = to_frame(study())
    some = tables.paper_table(frame, chance={"xnli": 100 / 3, "unknown": 5.0})
    assert some.chance == {"xnli": 100 / 3}
    every = tables.paper_table(frame, chance={"xnli": 30.0, "udpos": 6.0, "xquad": 0.0})
    assert every.chance["average"] == pytest.approx(12)
    assert next(line for line in printed(frame, chance={"xnli": 100 / 3}).splitlines() if "chance" in line).split() == [
        "chance",
        "33.3",
        "–",
        "–",
        "–",
    ]


def test_scores_by_seed():
    rows = [
        result(row, target, "en", value + seed, seed=seed)
        for seed in (1, 2)
        for row, target, value in (("none", "xnli", 50.0), ("mnli", "xnli", 60.0), ("none", "pawsx", 30.0))
    ]
    rows += [result("mnli", "pawsx", "en", 41.0, seed=2)]
    table = tables.paper_table(to_frame(rows))
    assert table.by_seed("xnli").to_numpy().tolist() == [[51, 52], [61, 62]]
    assert table.by_seed("pawsx").loc["none"].tolist() == [31, 32]
    assert math.isnan(table.by_seed("pawsx").at["mnli", 1]) and table.by_seed("pawsx").at["mnli", 2] == 41
    # An average needs both targets, so "mnli" has that of the second seed only.
    assert table.by_seed("average").loc["none"].tolist() == [41, 42]
    assert math.isnan(table.by_seed("average").at["mnli", 1]) and table.by_seed("average").at["mnli", 2] == 51.5


def test_a_joint_table_compares_each_model_with_its_own_baseline():
    other = [result("none", "xnli", code, 20.0, model="big") for code in ("en", "de", "sw")]
    other += [result("mnli", "xnli", code, 23.0, model="big") for code in ("en", "de", "sw")]
    frame = to_frame([*study(), *other])
    parts = {name: tables.paper_table(frame, model=name) for name in ("mini", "big")}
    joint = tables.joint_table(parts)
    assert joint.mean.index.tolist() == ["mini: none", "mini: mnli", "big: none", "big: mnli"]
    assert joint.mean["xnli"].tolist() == [70, 75, 20, 23]
    assert joint.delta.loc[["mini: mnli", "big: mnli"], "xnli"].tolist() == [5, 3]
    assert joint.delta.loc[["mini: none", "big: none"]].isna().all(axis=None)
    assert joint.average_over == ("xnli",)  # the only target of both
    assert joint.mean["average"].tolist() == [70, 75, 20, 23]
    assert tables.joint_table(parts, without=["xnli"]).mean.columns.tolist() == ["udpos", "xquad", "average"]


def test_a_delta_that_rounds_to_nothing_has_no_sign():
    assert [tables.signed(value) for value in (0.04, -0.04, 0.06, -0.06)] == ["0.0", "0.0", "+0.1", "-0.1"]


def test_piped_output_is_plain_and_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    tables.print_table(to_frame(study()))
    text = capsys.readouterr().out
    assert "\x1b" not in text
    row = next(line for line in text.splitlines() if line.startswith("mnli"))
    assert " ".join(row.split()) == "mnli 75.0 +5.0 91.5 +1.5 57.5 -3.5 74.7 +1.0"


def test_a_terminal_gets_green_gains_and_red_losses():
    text = io.StringIO()
    console = rich.console.Console(file=text, force_terminal=True, color_system="standard", width=200)
    tables.print_table(to_frame(study()), console)
    assert "\x1b[32m+5.0" in text.getvalue() and "\x1b[31m-3.5" in text.getvalue()


def test_a_narrow_terminal_gets_every_column_below_one_another():
    text = io.StringIO()
    tables.print_table(to_frame(study()), rich.console.Console(file=text, width=40))
    lines = text.getvalue().split("zero-shot")[0].splitlines()
    headings = [line.split() for line in lines if line.startswith("intermediate")]
    assert headings == [["intermediate", "XNLI", "POS"], ["intermediate", "XQuAD", "average"]]
    assert [line.split() for line in lines if line.startswith("mnli")] == [
        ["mnli", "75.0", "+5.0", "91.5", "+1.5"],
        ["mnli", "57.5", "-3.5", "74.7", "+1.0"],
    ]


def test_names_are_not_taken_for_markup_and_ascii_streams_get_ascii():
    rows = [row for row in study() if (row.intermediate, row.target) != ("mnli", "udpos")]
    rows += [result("[red]x[/red]", "xnli", "en", 1.0)]
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    tables.print_table(to_frame(rows), rich.console.Console(file=stream, width=200))
    stream.flush()
    lines = [line.split() for line in raw.getvalue().decode("ascii").splitlines()]
    assert ["[red]x[/red]", "1.0*", "-", "-", "-"] in lines


@pytest.mark.parametrize("function", [tables.paper_table, tables.print_table])
def test_no_scores_yet_is_a_sentence(function):
    with pytest.raises(UserError, match="there are no scores yet"):
        function(to_frame([]))
