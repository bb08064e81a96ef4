"""The report page: what stands in it, that nothing from data becomes markup, and that it stands alone."""

from __future__ import annotations

import html.parser
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import html as page
from xtreme_stilts.report import plots, results
from xtreme_stilts.report.__main__ import main
from xtreme_stilts.report.results import Result

EVIL = "<script>alert('1')</script>"
SHA = "0123456789abcdef" * 4


def result(intermediate: str, target: str, language: str, value: float, **changes) -> Result:
    fields = {"model": "mini", "split": "test", "metric": "accuracy", "examples": 10, "seed": 1} | changes
    return Result(intermediate=intermediate, target=target, language=language, value=value, **fields)


def study(folder: pathlib.Path, *, name: str = "mnli") -> pathlib.Path:
    """A study of two rows, two targets (one of them retrieval in two layers) and two seeds, with logs."""
    rows = []
    for seed in (1, 2):
        for intermediate, gain in (("none", 0.0), (name, 4.0)):
            fields = {"seed": seed, "fingerprint": SHA if intermediate == "none" else "f" * 64}
            rows += [
                result(intermediate, "xnli", code, value + gain + seed, **fields)
                for code, value in (("en", 70.0), ("de", 60.0))
            ]
            rows += [
                result(intermediate, "tatoeba", "de", 30.0 - gain + layer, layer=layer, pooling="mean", seed=seed)
                for layer in (0, 14)
            ]
    results.write(folder / "results.csv", rows)
    phase = folder / "phases" / f"xnli-{SHA[:12]}"
    phase.mkdir(parents=True)
    lines = [json.dumps({"step": step, "loss": 2 / step, "time": step}) for step in range(1, 9)]
    (phase / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 9, "lo']))
    return folder


class Reader(html.parser.HTMLParser):
    """Checks that tags nest, and collects them and the text of each table."""

    VOID = ("meta", "path", "use", "line", "rect", "br")

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.captions: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "meta":
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.captions.append("")
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        if "caption" in self.open:
            self.captions[-1] += data

    def table(self, caption: str) -> list[list[str]]:
        """The first table whose caption begins so."""
        number = next(i for i, found in enumerate(self.captions) if found.startswith(caption))
        return self.tables[number]


def read(path: pathlib.Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.open
    return reader


def test_the_main_table_stands_in_the_page(tmp_path):
    path = page.write_report(study(tmp_path))
    assert path == tmp_path / "report" / "index.html"
    main_table, zero_shot = (read(path).table(caption) for caption in ("All languages", "Zero-shot"))
    # none: xnli (70 + 60) / 2 + 1.5; seeds differ by 1, so the deviation is sqrt(.5). Tatoeba: layer 14.
    assert main_table == [
        ["", "Classification", "Retrieval", ""],
        ["intermediate", "XNLI", "Tatoeba", "average"],
        ["none", "66.5 ±0.7", "44.0 ±0.0", "55.2 ±0.4"],
        ["mnli", "70.5 ±0.7+4.0", "40.0 ±0.0−4.0", "55.2 ±0.40.0"],
    ]
    assert zero_shot[3][:2] == ["mnli", "65.5 ±0.7+4.0"]


def test_every_target_has_a_map_of_values_and_of_deltas(tmp_path):
    reader = read(page.write_report(study(tmp_path)))
    assert reader.table("Score") == [
        ["", "mean", "zero-shot", "en", "de"],
        ["none", "66.5", "61.5", "71.5", "61.5"],
        ["mnli", "70.5", "65.5", "75.5", "65.5"],
    ]
    assert reader.table("Difference to") == [["", "mean", "zero-shot", "en", "de"], ["mnli", *["+4.0"] * 4]]


def test_colour_follows_value_and_delta(tmp_path):
    text = page.write_report(study(tmp_path)).read_text()
    # Values from 61.5 to 75.5: the lowest has no colour, the highest all of it.
    for share, value in ((0, "61.5"), (1, "75.5"), ((70.5 - 61.5) / 14, "70.5")):
        assert re.search(f'<td class="value" style="--t:{share:.2f}"[^>]*>{value}</td>', text)
    assert re.search(r'<td class="gain" style="--t:1.00"[^>]*>\+4.0</td>', text)
    assert re.search(r'<td class="loss" style="--t:1.00"[^>]*>−4.0</td>', text)


def test_small_deltas_do_not_get_full_colour(tmp_path):
    rows = [result(name, "xnli", "en", value) for name, value in (("none", 50.0), ("mnli", 50.5))]
    results.write(tmp_path / "results.csv", rows)
    assert re.search(r'<td class="gain" style="--t:0.25"[^>]*>\+0.5</td>', page.write_report(tmp_path).read_text())


def test_text_from_data_never_becomes_markup(tmp_path):
    study(tmp_path, name=EVIL)
    (tmp_path / "config.json").write_text(json.dumps({"name": EVIL, f"k{EVIL}": [EVIL, {"a": 1}], 'q"': {"x": EVIL}}))
    other = tmp_path / "phases" / "<b>&$x^2$"
    other.mkdir()
    (other / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0, "loss<i>": 2.0}\n')
    path = page.write_report(tmp_path)
    reader = read(path)
    assert not {"script", "b", "i"} & set(reader.tags)
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;" in path.read_text()
    assert EVIL in [row[0] for row in reader.table("All languages")]


def test_attributes_are_escaped_too():
    assert page.element("td", "<", title='"><script>', class_=None, data_x=1) == (
        '<td title="&quot;&gt;&lt;script&gt;" data-x="1">&lt;</td>'
    )
    assert page.element("p", page.Html("<b></b>"), "<b>") == "<p><b></b>&lt;b&gt;</p>"


def test_the_page_stands_alone_and_is_the_same_every_time(tmp_path):
    study(tmp_path)
    log = next(tmp_path.glob("phases/*/metrics.jsonl")).read_text()
    (tmp_path / "phases" / "twin").mkdir()  # a chart of the same shape, whose ids must differ all the same
    (tmp_path / "phases" / "twin" / "metrics.jsonl").write_text(log)
    path = page.write_report(tmp_path)
    text, reader = path.read_text(), read(path)
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    addresses = set(re.findall(r"https?://[^\"' )]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.findall(r"@import|url\((?!#)", text)
    assert len(reader.ids) == len(set(reader.ids))
    assert page.write_report(tmp_path).read_text() == text


def test_without_logs_config_and_layers_those_parts_are_not_there(tmp_path):
    results.write(tmp_path / "results.csv", [result("none", "xnli", "en", 50.0)])
    text = page.write_report(tmp_path).read_text()
    for part in (
        "Learning curves",
        "Retrieval by layer",
        "Configuration",
        "Difference to",
        "Best on average",
    ):
        assert part not in text
    assert tmp_path.name in text


def test_missing_and_partial_cells(tmp_path):
    rows = [result("none", "xnli", code, 50.0) for code in ("en", "de")]
    rows += [result("mnli", "xnli", "en", 60.0), result("none", "pawsx", "en", 0.0)]
    results.write(tmp_path / "results.csv", rows)
    reader = read(page.write_report(tmp_path))
    assert reader.table("All languages")[2:] == [["none", "50.0", "0.0", "–"], ["mnli", "60.0*", "–", "–"]]
    assert reader.table("Score")[2] == ["mnli", "60.0*", "–", "60.0", "–"]


def test_several_models_get_sections_of_their_own(tmp_path):
    rows = [result("none", "xnli", "en", 50.0, model=model) for model in ("base", "large")]
    results.write(tmp_path / "results.csv", rows)
    text = page.write_report(tmp_path).read_text()
    assert "Results – base" in text and "XNLI – large" in text


def test_bad_studies_get_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"results\.csv: no such file"):
        page.write_report(tmp_path)
    results.write(tmp_path / "results.csv", [])
    with pytest.raises(UserError, match=r"results\.csv holds no scores yet; run the study"):
        page.write_report(tmp_path)
    assert not (tmp_path / "report").exists()
    results.write(tmp_path / "results.csv", [result("none", "xnli", "en", 50.0)])
    (tmp_path / "config.json").write_text('{"a": 1,\n "b": }')
    with pytest.raises(UserError, match=r"config\.json line 2: not JSON"):
        page.write_report(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="expected an object of config fields, found list"):
        page.write_report(tmp_path)


def test_logs_keep_the_last_of_a_step_and_leave_out_what_is_no_number(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 2, "loss": 1.0, "note": "x", "done": true}\n\n{"step": 1, "loss": 3.0}\n'
        '{"step": 2, "loss": 0.5}\n{"step": 3, "loss": NaN}\n[1]\n{"loss": 1}\n{"step": 4, "lo'
    )
    log = plots.read_log(path)
    assert list(log.series) == ["loss"] and log.unreadable == 3
    assert log.series["loss"].x.tolist() == [1, 2] and log.series["loss"].y.tolist() == [3.0, 0.5]


def test_long_curves_are_drawn_as_means():
    curve = plots.Curve(label="a", x=np.arange(600.0), y=np.arange(600.0) % 2)
    thin = plots.thinned(curve)
    assert thin.x.tolist() == [4.5 + 10 * i for i in range(60)] and set(thin.y) == {0.5}
    short = plots.Curve(label="a", x=np.arange(120.0), y=np.arange(120.0))
    assert plots.thinned(short) is short


def test_styles_tell_many_labels_apart():
    labels = [f"task{i}" for i in range(20)]
    styles = plots.styles(["none", *labels], plain=["none"])
    assert styles["none"].colour == "currentColor"
    assert len(set(styles.values())) == 21


def test_the_command_prints_the_table_and_writes_the_page(tmp_path, capsys):
    study(tmp_path)
    assert main([str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "mini, mean over all languages" in shown.out and "index.html" in shown.err
    assert (tmp_path / "report" / "index.html").exists()
    assert main([str(tmp_path), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## mini\n\n| intermediate | XNLI | Tatoeba | average |")
    assert main([str(tmp_path), "--split", "tst"]) == 2
    assert "did you mean 'test'" in capsys.readouterr().err


def test_as_a_module_a_study_without_scores_is_one_sentence_and_status_2(tmp_path):
    results.write(tmp_path / "results.csv", [])
    command = [sys.executable, "-m", "xtreme_stilts.report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stdout == ""
    sentence = f"{tmp_path / 'results.csv'} holds no scores yet; run the study (or a part of it) first"
    assert done.stderr == f"error: {sentence}\n"


def test_neither_jax_nor_tensorflow_is_imported():
    code = "import sys, xtreme_stilts.report; print({'jax', 'tensorflow', 'seqio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"
