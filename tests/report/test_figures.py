"""The report's figures: what is drawn equals what the results say, and nothing is drawn that is not there."""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from etils import epath

from xtreme_stilts.report import figures as figures_lib
from xtreme_stilts.report.fertility import Fertility
from xtreme_stilts.report.figures import figures, gains, languages, retrieval
from xtreme_stilts.report.figures.gains import Part
from xtreme_stilts.report.phases import phases_of
from xtreme_stilts.report.results import Result, to_frame
from xtreme_stilts.report.studies import Study

EVIL = "<b>&$x_1$"


def result(intermediate: str, target: str, language: str, value: float, **changes) -> Result:
    fields = {"model": "mini", "split": "test", "metric": "accuracy", "examples": 10, "seed": 1} | changes
    return Result(intermediate=intermediate, target=target, language=language, value=value, **fields)


def study(rows: list[Result], folder: pathlib.Path, *, name: str = "a study", **config) -> Study:
    return Study(directory=epath.Path(folder), name=name, frame=to_frame(rows), chance={}, config=config)


def part(rows: list[Result], folder: pathlib.Path, **config) -> Part:
    made = study(rows, folder, **config)
    return Part(study=made, model=made.models[0], label="", baseline="none")


def by_name(found) -> dict:
    return {figure.name: figure for figure in found}


def two_targets() -> list[Result]:
    """xnli and pawsx; mnli gains 4, 6 and 1, 3 points over two seeds; swahili lacks a score after squad."""
    rows = []
    for seed, more in ((1, 0.0), (2, 1.0)):
        for target, code, base, mnli, squad in (
            ("xnli", "en", 80.0, 84.0, 79.0),
            ("xnli", "de", 70.0, 76.0, 69.5),
            ("xnli", "sw", 60.0, 61.0, None),
            ("pawsx", "en", 90.0, 91.0, 90.0),
            ("pawsx", "de", 80.0, 83.0, 78.0),
        ):
            rows.append(result("none", target, code, base, seed=seed))
            rows.append(result("mnli", target, code, mnli + more, seed=seed))
            if squad is not None:
                rows.append(result("squad", target, code, squad, seed=seed))
    return rows


# --------------------------------------------------------------------------------------------------
# Gains


def cells(figure) -> tuple[list[str], list[str], np.ndarray, list[str]]:
    """Rows, columns, values and texts of a heat map."""
    axes = figure.drawn.axes[0]
    (mesh,) = axes.collections
    rows, columns = (
        [label.get_text() for label in ticks] for ticks in (axes.get_yticklabels(), axes.get_xticklabels())
    )
    return rows, columns, np.ma.filled(mesh.get_array(), np.nan), [text.get_text() for text in axes.texts]


def test_heat_maps_hold_the_difference_of_means_over_seeds(tmp_path):
    found = by_name(gains.heat_maps(part(two_targets(), tmp_path)))
    assert list(found) == ["gain-mean", "gain-xnli", "gain-pawsx"]
    rows, columns, values, texts = cells(found["gain-xnli"])
    assert rows == ["en", "de", "sw"] and columns == ["mnli", "squad"]
    # mnli scores one point more with the second seed: half a point in the mean.
    np.testing.assert_allclose(values, [[4.5, -1.0], [6.5, -0.5], [1.5, math.nan]])
    assert texts == ["+4.5", "−1.0", "+6.5", "−0.5", "+1.5", "–"]
    assert "3 languages" in found["gain-xnli"].caption and "2 seeds" in found["gain-xnli"].caption
    assert "1 cell" in found["gain-xnli"].caption


def test_many_rows_are_told_by_colour_alone(tmp_path):
    names = [f"task{number:02}" for number in range(14)]
    rows = [result("none", "xnli", "de", 50.0), *(result(name, "xnli", "de", 50.0 + n) for n, name in enumerate(names))]
    (figure,) = gains.heat_maps(part(rows, tmp_path))
    heat, bar = figure.drawn.axes
    assert heat.collections[0].get_array().tolist() == [list(range(14))] and not heat.texts
    assert bar.get_xlabel() == "points"


def test_the_mean_map_is_over_what_every_row_has(tmp_path):
    rows, _, values, _ = cells(by_name(gains.heat_maps(part(two_targets(), tmp_path)))["gain-mean"])
    assert rows == ["en (2)", "de (2)"]  # swahili has no score after squad
    np.testing.assert_allclose(values, [[(4.5 + 1.5) / 2, -0.5], [(6.5 + 3.5) / 2, -1.25]])


def test_without_the_baseline_there_are_no_gains(tmp_path):
    rows = [each for each in two_targets() if each.intermediate != "none"]
    assert list(gains.heat_maps(part(rows, tmp_path))) == []
    assert figures([study(rows, tmp_path)], baseline="none") == []
    other = figures([study(rows, tmp_path)], baseline="squad")
    assert cells(by_name(other)["gain-pawsx"])[2].tolist() == [[1.5], [5.5]]


def sized(folder: pathlib.Path, model: str, gain: float, encoder: dict) -> Study:
    rows = [result("none", "xnli", "de", 50.0, model=model), result("mnli", "xnli", "de", 50.0 + gain, model=model)]
    phase = folder / "phases" / "xnli.en-seed1-0123456789ab"
    phase.mkdir(parents=True)
    (phase / "run_card.json").write_text(json.dumps({"encoder": encoder}))
    return study(rows, folder, name=model)


def test_gain_against_the_encoders_size(tmp_path):
    import dataclasses

    import jax

    from xtreme_stilts.models import PRESETS, Model

    sizes = {}
    studies = []
    for name, gain in (("base", 1.0), ("xl", 2.5)):
        studies.append(sized(tmp_path / name, name, gain, dataclasses.asdict(PRESETS[name])))
        leaves = jax.tree.leaves(Model(PRESETS[name], {}).abstract_params())
        sizes[name] = sum(math.prod(leaf.shape) for leaf in leaves)
    figure = by_name(figures(studies))["gain-by-size"]
    (line, _) = figure.drawn.axes[0].lines
    assert line.get_xdata().tolist() == [sizes["base"], sizes["xl"]]
    assert line.get_ydata().tolist() == pytest.approx([1.0, 2.5])
    assert "base (278 M)" in figure.caption and "xl (3.5 B)" in figure.caption
    assert "gain-by-size" not in by_name(figures(studies[:1]))
    (tmp_path / "xl" / "phases" / "xnli.en-seed1-0123456789ab" / "run_card.json").write_text("{")
    assert "gain-by-size" not in by_name(figures(studies))  # one size is no axis


def test_gains_of_what_is_not_scored_alike_are_not_set_against_size(tmp_path):
    small = {"vocab_size": 100, "vocab_multiple": 1, "max_positions": 10, "position_offset": 2, "type_vocab_size": 1}
    small |= {"hidden_size": 10, "intermediate_size": 20, "num_layers": 1}
    one, two = (
        sized(tmp_path / name, name, 2.0, small | {"num_layers": layers}) for name, layers in (("one", 1), ("two", 2))
    )
    panx = [result(row, "panx", "de", value, metric="f1") for row, value in (("none", 10.0), ("mnli", 15.0))]

    def with_panx(of: Study, split: str) -> Study:
        rows = to_frame([Result(**{**vars(each), "model": of.models[0], "split": split}) for each in panx])
        return Study(
            directory=of.directory, name=of.name, frame=pd.concat([of.frame, rows]), chance={}, config=of.config
        )

    alike = by_name(figures([with_panx(each, "test") for each in (one, two)]))["gain-by-size"]
    assert alike.drawn.axes[0].lines[0].get_ydata().tolist() == [3.5, 3.5]
    # Words, positions and types 1,130, a norm 20, the pooler 110; a layer 4 * 110 + 2 * 200 + 30 + 2 * 20.
    assert "one (2.17 k)" in alike.caption and "two (3.08 k)" in alike.caption and "left out" not in alike.caption
    unlike = by_name(figures([with_panx(one, "test"), with_panx(two, "validation")]))["gain-by-size"]
    assert unlike.drawn.axes[0].lines[0].get_ydata().tolist() == [2.0, 2.0]
    assert "Not scored alike, left out: NER." in unlike.caption
    low, high = unlike.drawn.axes[0].get_ylim()
    assert high - low >= 2.0  # a hundredth of a point must not fill the figure


# --------------------------------------------------------------------------------------------------
# Languages


def test_rank_correlation_is_scipys_and_p_that_of_all_orders():
    x, y = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 1.0, 3.0, 5.0, 4.0])
    found = languages.rank_correlation(x, y)
    every = [scipy.stats.spearmanr(order, y).statistic for order in itertools.permutations(x)]
    assert found.rho == pytest.approx(scipy.stats.spearmanr(x, y).statistic) and found.n == 5
    upper = np.mean(np.array(every) >= found.rho - 1e-9)
    lower = np.mean(np.array(every) <= found.rho + 1e-9)
    assert found.p == pytest.approx(2 * min(upper, lower))


def test_rank_correlation_of_many_is_near_the_approximation():
    random = np.random.default_rng(0)
    x = random.normal(size=60)
    y = 0.3 * x + random.normal(size=60)
    found, usual = languages.rank_correlation(x, y), scipy.stats.spearmanr(x, y)
    assert found.rho == usual.statistic and found.p == pytest.approx(usual.pvalue, abs=0.03)  # three standard errors


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], "ρ = +1.00, n = 4: too few to test"),
        ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], "n = 5: no correlation"),
        ([1], [1], "n = 1: no correlation"),
        (range(9), range(0, -9, -1), "ρ = −1.00, n = 9, p < 0.001"),
    ],
)
def test_a_correlation_in_words(x, y, said):
    assert str(languages.rank_correlation(np.array(list(x), float), np.array(list(y), float))) == said


GAINS = {"de": 1.0, "es": 2.0, "ru": 4.0, "sw": 7.0, "tr": 6.0, "zh": 3.0, "nl": 2.5, "ace_Arab": 5.0}


def many_languages(targets=("xnli",), model: str = "XLM-R Base") -> list[Result]:
    rows = []
    for target in targets:
        for code, gain in {"en": 30.0, **GAINS}.items():
            rows.append(result("none", target, code, 50.0, model=model))
            rows.append(result("mnli", target, code, 50.0 + gain, model=model))
    return rows


def measured(_part: Part) -> dict[str, Fertility]:
    values = {"en": 10, "de": 12, "es": 13, "ru": 16, "sw": 20, "tr": 19, "zh": 7}
    return {code: Fertility(subwords=n, units=10, per_character=code == "zh") for code, n in values.items()}


def test_gains_against_numbers_of_the_languages(tmp_path):
    found = by_name(languages.by_fact(part(many_languages(), tmp_path), measured=measured))
    assert set(found) == {
        "gain-by-family",
        "gain-by-script",
        "gain-against-pretraining-text",
        "gain-against-subword-fertility",
    }
    figure = found["gain-against-subword-fertility"]
    dots = figure.drawn.axes[0].lines[0].get_xydata().tolist()
    assert sorted(dots) == [[1.2, 1.0], [1.3, 2.0], [1.6, 4.0], [1.9, 6.0], [2.0, 7.0]]  # no English, no Chinese
    assert "ρ = +1.00, n = 5" in figure.caption and "zh 0.70" in figure.caption
    assert "Subword fertility not known: ace_Arab, nl." in figure.caption
    assert sorted(text.get_text() for text in figure.drawn.axes[0].texts) == ["de", "es", "ru", "sw", "tr"]


def test_pretraining_text_is_drawn_only_for_encoders_made_from_it(tmp_path):
    figure = by_name(languages.by_fact(part(many_languages(), tmp_path), measured=lambda _: {}))
    sizes = figure["gain-against-pretraining-text"].drawn.axes[0].lines[0].get_xdata()
    assert sorted(sizes) == [1.6, 20.9, 29.3, 53.3, 63.5, 66.6, 278.0]  # XLM-R paper, table 6: sw tr nl es zh de ru
    started_at_random = part(many_languages(), tmp_path, model={"weights": ""})
    assert "gain-against-pretraining-text" not in by_name(languages.by_fact(started_at_random, measured=lambda _: {}))


def test_correlations_of_every_target(tmp_path):
    rows = many_languages(("xnli", "udpos"))
    rows = [
        r if r.target == "xnli" else result(r.intermediate, "udpos", r.language, r.value, metric="f1", model=r.model)
        for r in rows
    ]
    figure = by_name(languages.by_fact(part(rows, tmp_path), measured=measured))["gain-against-subword-fertility"]
    bars = figure.drawn.axes[1]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["XNLI, n = 5", "POS, n = 5"]
    assert [patch.get_width() for patch in bars.patches] == pytest.approx([1.0, 1.0])
    assert "3 tests, not corrected" in figure.caption


def test_groups_of_languages(tmp_path):
    found = by_name(languages.by_fact(part(many_languages(), tmp_path), measured=lambda _: {}))
    axes = found["gain-by-script"].drawn.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "arabic (ace_Arab)",
        "cyrillic (ru)",
        "latin (5)",
        "cjk (zh)",
    ]
    bars, dots = axes.lines[0:-1:2], axes.lines[1:-1:2]
    assert [line.get_xdata()[0] for line in bars] == [5.0, 4.0, (1 + 2 + 2.5 + 7 + 6) / 5, 3.0]
    assert [sorted(line.get_xdata()) for line in dots] == [[5.0], [4.0], [1.0, 2.0, 2.5, 6.0, 7.0], [3.0]]
    labels = found["gain-by-family"].drawn.axes[0].get_yticklabels()
    assert labels[-2].get_text() == "IE: Romance (es)" and labels[-1].get_text() == "IE: Germanic (de nl)"
    assert "Family not known: ace_Arab." in found["gain-by-family"].caption


# --------------------------------------------------------------------------------------------------
# Training

SHA = {name: f"{number:x}" * 64 for number, name in enumerate(("root", "mlm", "squad", "n1", "s1", "n2", "s2"), 1)}


def trained(folder: pathlib.Path) -> Study:
    """Rows none and squad of two targets over one pretraining phase; squad is also what xquad trains on."""
    rows, described = [], {}
    for target, code in (("xnli", "1"), ("xquad", "2")):
        metrics = ("accuracy",) if target == "xnli" else ("exact_match", "f1")
        for row, name in (("none", f"n{code}"), ("squad", f"s{code}")):
            fingerprint = SHA["squad"] if name == "n2" else SHA[name]
            rows += [result(row, target, "de", 50.0, metric=each, fingerprint=fingerprint) for each in metrics]
    described = {  # mixture, parent, tokens, seconds, chip-hours
        "mlm": ("text", "root", 8e6, 3600, 4.0),
        "squad": ("squad", "mlm", 3e6, 720, 0.8),
        "n1": ("mnli", "mlm", 1e6, 360, 0.4),
        "s1": ("mnli", "squad", 1e6, 360, 0.4),
        "s2": ("squad", "squad", 2e6, 360, 0.4),
    }
    for name, (mixture, parent, tokens, seconds, hours) in described.items():
        phase = folder / "phases" / f"{mixture}-seed1-{SHA[name][:12]}"
        phase.mkdir(parents=True)
        (phase / "phase.json").write_text(json.dumps({"mixture": mixture, "parent": SHA[parent]}))
        (phase / "done.json").write_text(json.dumps({"tokens": tokens, "seconds": seconds, "steps": 9}))
        (phase / "run_card.json").write_text(json.dumps({"chip_hours": hours, "tokens": tokens}))
        lines = [{"step": step, "loss": 3.0 / step, "validation/selection": 10.0 * step, "lr": 1} for step in (1, 2, 3)]
        (phase / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"st')
    return study(rows, folder, pretrain=["text"])


def test_learning_curves_by_target_and_of_the_phases_before(tmp_path):
    found = by_name(figures([trained(tmp_path)]))
    figure = found["curves-xnli"]
    loss, selection = figure.drawn.axes
    assert len(loss.lines) == 2
    assert loss.lines[0].get_xydata().tolist() == [[1, 3.0], [2, 1.5], [3, 1.0]]
    assert selection.lines[1].get_ydata().tolist() == [10.0, 20.0, 30.0]
    assert [text.get_text() for text in figure.drawn.legends[0].get_texts()] == ["none", "squad"]
    assert "2 unreadable lines" in figure.caption
    (earlier,) = found["curves-intermediate-phases"].drawn.axes[0].lines  # squad is scored: it is xquad's
    assert "1 phase" in found["curves-intermediate-phases"].caption and len(earlier.get_xdata()) == 3


def test_cost_counts_shared_phases_in_every_row_and_once_in_the_total(tmp_path):
    figure = by_name(figures([trained(tmp_path)]))["cost"]
    tokens, hours = figure.drawn.axes
    labels = [text.get_text() for text in tokens.get_yticklabels()]
    assert labels == ["none", "squad", "before all rows"]
    widths = np.array([patch.get_width() for patch in tokens.patches]).reshape(3, 3)  # kinds x rows
    # none: MNLI and SQuAD as targets; squad: SQuAD before, MNLI and SQuAD after it; pretraining by itself.
    np.testing.assert_allclose(widths, [[0, 0, 8], [0, 3, 0], [1 + 3, 1 + 2, 0]])
    np.testing.assert_allclose([patch.get_width() for patch in hours.patches][:3], [0, 0, 4.0])
    assert hours.get_xlabel() == "chip-hours"
    assert "15 million tokens and 6 chip-hours" in figure.caption


def test_models_of_one_study_keep_to_themselves(tmp_path):
    made = trained(tmp_path)
    other = to_frame([result("none", "xnli", "de", 40.0, model="other", fingerprint=SHA["s2"])])
    frame = pd.concat([made.frame, other], ignore_index=True)
    both = Study(directory=made.directory, name="x", frame=frame, chance={}, config=made.config)
    found = by_name(figures([both]))
    assert len(found["curves-xnli-mini"].drawn.axes[0].lines) == 2
    assert len(found["curves-xnli-other"].drawn.axes[0].lines) == 1
    assert [text.get_text() for text in found["cost-other"].drawn.axes[0].get_yticklabels()] == [
        "none",
        "before all rows",
    ]


def test_cost_without_run_cards_is_wall_time_and_says_so(tmp_path):
    made = trained(tmp_path)
    for path in tmp_path.glob("phases/*/run_card.json"):
        path.unlink()
    next(tmp_path.glob(f"phases/*{SHA['n1'][:12]}/done.json")).unlink()
    figure = by_name(figures([made]))["cost"]
    assert figure.drawn.axes[1].get_xlabel() == "hours of training"
    assert "number of chips is not recorded" in figure.caption and "1 phase did not record it" in figure.caption


# --------------------------------------------------------------------------------------------------
# Retrieval


def test_layers_of_both_poolings(tmp_path):
    rows = [
        result("none", "tatoeba", code, 10.0 * layer + base, layer=layer, pooling=pooling, metric=metric)
        for code, base in (("de", 1.0), ("sw", 3.0))
        for layer in (0, 1, 2)
        for pooling in ("mean", "cls")
        for metric in (["accuracy_by_layer", "accuracy"] if (layer, pooling) == (1, "mean") else ["accuracy_by_layer"])
    ]
    (figure,) = retrieval.by_layer(part(rows, tmp_path))
    mean, first = figure.drawn.axes
    assert "mean" in mean.get_xlabel() and "cls" in first.get_xlabel()
    assert mean.lines[0].get_xydata().tolist() == [[0, 2.0], [1, 12.0], [2, 22.0]]
    assert "2 languages" in figure.caption


def mined_lines(margins=(0.9, 0.8, 0.8, 0.7, 0.6), gold=(1, 1, 0, 0, 1), missed=1) -> list[dict]:
    lines = [
        {"source": f"s{n}", "target": f"t{n}", "mined": True, "gold": bool(right), "margin": margin, "threshold": 0.5}
        for n, (margin, right) in enumerate(zip(margins, gold, strict=True))
    ]
    return lines + [{"source": f"m{n}", "target": "x", "mined": False, "gold": True} for n in range(missed)]


def test_precision_and_recall_are_those_of_every_threshold():
    lines = mined_lines()
    found = retrieval.trade(lines[::-1])  # in any order
    expected = []
    for threshold in (0.9, 0.8, 0.7, 0.6):
        kept = [line["gold"] for line in lines if line["mined"] and line["margin"] >= threshold]
        expected.append((100 * sum(kept) / len(kept), 100 * sum(kept) / 4))
    np.testing.assert_allclose(np.transpose(found), expected)


def test_without_margins_there_is_the_scored_point_only():
    lines = [{name: value for name, value in line.items() if name != "margin"} for line in mined_lines()]
    assert [float(side[0]) for side in retrieval.trade(lines)] == pytest.approx([60.0, 75.0])
    assert len(retrieval.trade(lines).recall) == 1
    assert retrieval.trade(mined_lines(gold=(0,) * 5, missed=0)) is None
    assert retrieval.trade([line for line in lines if not line["mined"]]) is None


def test_mining_draws_a_panel_per_language_and_leaves_out_what_cannot_be_read(tmp_path):
    rows = []
    for row, fingerprint in (("none", "a" * 64), ("mnli", "b" * 64)):
        folder = tmp_path / "phases" / f"bucc2018-seed1-{fingerprint[:12]}" / "evaluations" / "bucc2018"
        folder.mkdir(parents=True)
        for code in ("de", "fr"):
            rows.append(result(row, "bucc2018", code, 66.7, metric="f1", fingerprint=fingerprint))
            (folder / f"{code}.jsonl").write_text("\n".join(map(json.dumps, mined_lines())) + '\n{"min')
    (figure,) = retrieval.mining(part(rows, tmp_path), phases_of(study(rows, tmp_path)))
    german, french = figure.drawn.axes
    assert (german.get_title("left"), french.get_title("left")) == ("de", "fr")
    line, dot = german.lines[:2]
    assert line.get_xdata().tolist() == [25.0, 50.0, 50.0, 75.0] and dot.get_xydata().tolist() == [[75.0, 60.0]]
    assert "4 unreadable lines" in figure.caption


# --------------------------------------------------------------------------------------------------
# Files


def test_a_figure_as_svg_png_and_pdf(tmp_path):
    rows = [
        result(row, "xnli", code, value + gain)
        for row, gain in (("none", 0.0), (EVIL, 2.0), ("_hidden", 1.0))
        for code, value in (("en", 70.0), ("de", 60.0))
    ]
    made = study(rows, tmp_path)
    figure = by_name(figures([made]))["gain-xnli"]
    svg = figure.svg()
    parsed = ElementTree.fromstring(svg)
    texts = [element.text for element in parsed.iter("{http://www.w3.org/2000/svg}text")]
    assert EVIL in texts and "_hidden" in texts and EVIL not in svg
    assert parsed.get("role") == "img" and parsed.get("aria-label") == figure.title
    assert "currentColor" in svg and "#010203" not in svg and "<script" not in svg
    first = [path.read_bytes() for path in figure.save(tmp_path / "a")]
    again = by_name(figures([made]))["gain-xnli"].save(tmp_path / "b")
    assert [path.name for path in again] == ["gain-xnli.png", "gain-xnli.pdf"]
    assert [path.read_bytes() for path in again] == first
    assert first[0].startswith(b"\x89PNG") and first[1].startswith(b"%PDF")
    assert figure.svg() == svg  # saving left no trace


def test_legends_keep_every_name(tmp_path):
    made = trained(tmp_path)
    frame = made.frame.replace({"intermediate": {"squad": f"_{EVIL}"}})
    (figure,) = (
        each
        for each in figures([Study(directory=made.directory, name="x", frame=frame, chance={}, config={})])
        if each.name == "curves-xnli"
    )
    assert [text.get_text() for text in figure.drawn.legends[0].get_texts()] == ["none", f"_{EVIL}"]
    ElementTree.fromstring(figure.svg())


def test_results_alone_are_enough_and_names_differ(tmp_path):
    alone = figures([study([result("none", "xnli", "de", 50.0)], tmp_path / "alone")])
    assert alone == []
    several = [study(two_targets(), tmp_path / name, name="Same name!") for name in ("x", "y")]
    several.append(study(two_targets(), tmp_path / "z", name="same-name"))
    found = figures(several)
    assert len({figure.name for figure in found}) == len({figure.title for figure in found}) == len(found) > 0
    assert {figure.section for figure in found} <= set(figures_lib.SECTIONS)
    for figure in found:
        assert figure.caption.endswith(".") and figure.title


def test_a_study_of_the_miniature(tmp_path):
    """Folders of other programs, empty ones and files in places of folders change nothing."""
    made = trained(tmp_path)
    (tmp_path / "phases" / "notes.txt").write_text("x")
    (tmp_path / "phases" / "empty-seed1-000000000000").mkdir()
    (tmp_path / "cache").mkdir()
    assert [figure.name for figure in figures([made])] == [figure.name for figure in figures([trained(tmp_path / "b")])]
