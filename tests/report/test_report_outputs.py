"""The whole report in files: studies side by side, and parts that fail."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import html, outputs, results, sections, statistics
from xtreme_stilts.report.__main__ import main
from xtreme_stilts.report.judged import Options
from xtreme_stilts.report.results import Result

EVIL = "<script>alert('1')</script>|$x_1$"


def write_study(
    folder: pathlib.Path, *, name: str, seeds: int = 3, gain: float = 0.3, split: str = "test", model: str = "mini"
) -> pathlib.Path:
    """Rows none, good (better by `gain`) and same; two targets in two languages; predictions on disk."""
    random = np.random.default_rng(3)
    rows = []
    for target in ("mini_xnli", "mini_pawsx"):
        for row, better in (("none", 0.0), ("good", gain), ("same", 0.0)):
            for seed in range(seeds):
                sha = hashlib.sha256(f"{name} {row} {target} {seed}".encode()).hexdigest()
                phase = folder / "phases" / f"{target}.en-seed{seed}-{sha[:12]}"
                (phase / "evaluations" / target).mkdir(parents=True)
                done = {"steps": 5, "best_step": 5, "best_value": 50 + 100 * better, "tokens": 1000, "seconds": 36.0}
                (phase / "done.json").write_text(json.dumps(done))
                asked = {"mixture": f"{target}.en", "tasks": [[f"{target}.en", "v1"]]}
                (phase / "phase.json").write_text(json.dumps(asked))
                for language in ("en", "de"):
                    hits = random.random(200) < 0.5 + better
                    lines = [
                        json.dumps({"id": str(i), "prediction": "x" if hit else "y", "target": "x"})
                        for i, hit in enumerate(hits)
                    ]
                    (phase / "evaluations" / target / f"{language}.jsonl").write_text("\n".join(lines) + "\n")
                    scored = {
                        "model": model, "intermediate": row, "target": target, "language": language, "split": split,
                        "examples": 200, "seed": seed, "fingerprint": sha, "steps": 5,
                    }  # fmt: skip
                    rows.append(Result(metric="accuracy", value=100 * float(hits.mean()), **scored))
                    rows.append(Result(metric="chance", value=50.0, **scored))
    results.write(folder / "results.csv", rows)
    (folder / "config.json").write_text(json.dumps({"name": name}))
    return folder


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(sections, "_pictures", lambda studies, failures: {})


def tables(text: str) -> dict[str, str]:
    """Markup of each table by the beginning of its caption."""
    found = re.findall(r"<table.*?</table>", text, flags=re.DOTALL)
    return {re.search(r"<caption><span>([^<]*)", part).group(1): part for part in found if "<caption>" in part}


def test_one_study_in_every_format(tmp_path, no_figures, capsys):
    folder = write_study(tmp_path / "a", name="one")
    path = outputs.write_all([folder], options=Options(resamples=200))
    assert path == folder / "report" / "index.html" and capsys.readouterr().err == ""
    text = path.read_text()
    main_table = tables(text)["All languages"]
    # 80 against 50 percent of 400 examples and three seeds is a difference; nothing against nothing is none.
    by_row = dict(re.findall(r'<tr[^>]*><th scope="row" title="([^"]*)">.*?</th>(.*?)</tr>', main_table))
    assert by_row["good"].count("‡") + by_row["good"].count("†") == 2
    assert not re.search("[†‡]", by_row["same"] + by_row["none"])
    assert list(by_row)[3:] == [*sections.sheets.CHOICES.values(), "chance"]
    honest = by_row["best per target (English validation)"]
    assert honest.count('<span class="name">good</span>') == 2
    assert "3 seeds), correction" not in text and "3 seeds); correction over 4 comparisons: Holm" in text
    assert re.search("[†‡]", tables(text)["Difference to &#x27;none&#x27;"])
    assert "cannot be seen" in text and "Left out" not in text
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    assert headings == ["Results", "mini XNLI", "mini PAWS-X", "Cost", "Statistics", "Run"]
    cost = tables(text)["Training – one"]
    assert "<td>9</td><td>45</td><td>9,000</td><td>0.09</td>" in cost and "<td>18</td>" in cost
    files = {str(found.relative_to(path.parent)) for found in pathlib.Path(path.parent).rglob("*.*")}
    assert {"index.html", "report.md", "tables/mini-main.tex", "tables/mini-main.csv"} <= files
    written = (path.parent / "report.md").read_text()
    assert "| good |" in written and "## mini XNLI" in written and "‡" in written
    with (path.parent / "tables" / "mini-main.csv").open() as file:
        assert sum(line.startswith("good,row,") for line in file) == 3


def test_the_quick_page_of_a_run_has_the_same_table(tmp_path, no_figures):
    folder = write_study(tmp_path / "a", name="one")
    quick = tables(html.write_report(folder).read_text())["All languages"]
    assert not (folder / "report" / "tables").exists()
    whole = tables(outputs.write_all([folder]).read_text())["All languages"]
    plain = [re.sub(r' title="[^"]*"', "", text) for text in (quick, whole)]
    assert plain[0] == plain[1]


def test_one_seed_shows_no_marks_and_says_what_is_needed(tmp_path, no_figures):
    folder = write_study(tmp_path / "a", name="one", seeds=1)
    text = outputs.write_all([folder], options=Options(resamples=100)).read_text()
    assert not re.search("[†‡]", text.replace("†: p", "").replace("‡: p", ""))
    assert "the bootstrap test needs at least 2 seeds and there is 1 (randomisation, of the trained models" in text
    main = tables(text)["All languages"]
    assert main and "mini XNLI, mini PAWS-X, average: no interval and no test over seeds" in text
    assert "that takes at least 2 seeds that all rows have, and there is 1." in text
    assert "(the bootstrap over seeds needs at least 2 seeds, and there is 1)" in text
    marked = outputs.write_all([folder], options=Options(resamples=300, test="randomisation")).read_text()
    assert re.search(r"<span class=\"delta up\">\+\d+\.\d[†‡]</span>", marked) and "test needs at least" not in marked


def test_studies_side_by_side(tmp_path, no_figures, capsys):
    one = write_study(tmp_path / "a", name="one")
    two = write_study(tmp_path / "b", name="two", gain=0.05)
    path = outputs.write_all([one, two], out=tmp_path / "out", options=Options(resamples=100))
    assert path == tmp_path / "out" / "index.html" and not (one / "report").exists()
    text = path.read_text()
    joint = tables(text)["All models"]
    headings = re.findall(r'<th scope="row" title="([^"]*)"', joint)
    assert headings == [f"{study}: {row}" for study in ("one", "two") for row in ("none", "good", "same")] + ["chance"]
    assert re.search(r'title="one: good".*?[†‡]</span>', joint)
    for heading in ("All models side by side", "Results – one", "Results – two", "mini XNLI – two"):
        assert f">{heading}</h2>" in text
    assert (tmp_path / "out" / "tables" / "joint.csv").exists()
    assert (tmp_path / "out" / "tables" / "two-main.tex").exists() and capsys.readouterr().err == ""


def test_studies_that_disagree_are_not_averaged(tmp_path, no_figures, capsys):
    one = write_study(tmp_path / "a", name="one")
    two = write_study(tmp_path / "b", name="two")
    rows = [
        Result(**{**vars(row), "examples": 100 if row.target == "mini_pawsx" else 200})
        for row in results.scores(two / "results.csv")
    ]
    results.write(two / "results.csv", rows)
    path = outputs.write_all([one, two], options=Options(resamples=50))
    sentence = (
        "mini PAWS-X is left out of the joint table: in one its scores are of 200 examples in 'en', in two of 100"
    )
    assert sentence in capsys.readouterr().err
    joint = tables(path.read_text())["All models"]
    assert "mini XNLI" in joint and "mini PAWS-X" not in joint
    three = write_study(tmp_path / "c", name="three", split="validation")
    with pytest.raises(UserError, match=r"of split 'validation'.*report on each study alone"):
        outputs.write_all([one, three])


def test_a_part_that_fails_is_named_and_the_rest_is_there(tmp_path, monkeypatch, capsys):
    folder = write_study(tmp_path / "a", name="one")
    next(folder.glob("phases/*/evaluations/mini_xnli/de.jsonl")).write_text("{\n")

    def broken(studies, failures):
        raise RuntimeError(EVIL)

    monkeypatch.setattr(sections, "_pictures", broken)
    text = html.write_report(folder).read_text()
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if re.match(r"report: mini, significance: .*de.jsonl line 1: not a prediction", line)]
    assert f"report: Figures: RuntimeError: {EVIL}" in told
    assert "Left out" in text and "de.jsonl line 1" in text and "<script" not in text
    assert "good" in tables(text)["All languages"]


def test_a_run_does_not_fail_for_want_of_a_page(tmp_path, capsys, page):
    html.try_report(tmp_path)
    told = capsys.readouterr().err
    assert told.startswith("report: no page was written: ") and "no such file" in told and str(tmp_path) in told


def test_names_from_data_are_escaped_everywhere_and_make_no_paths(tmp_path, no_figures):
    folder = write_study(tmp_path / "a", name=EVIL, seeds=1, model="../../evil/<m>")
    out = tmp_path / "out"
    text = outputs.write_all([folder], out=out, options=Options(resamples=20)).read_text()
    assert "<script" not in text and "<m>" not in text and EVIL not in (out / "report.md").read_text()
    names = [path.name for path in (out / "tables").iterdir()]
    assert names and all(re.fullmatch(r"[A-Za-z0-9._+-]+", name) for name in names)
    assert not list(tmp_path.rglob("evil"))
    for path in (out / "tables").glob("*.tex"):
        assert path.read_text().isascii() and "<m>" not in path.read_text()


def test_file_names_are_given_once():
    names = sections._Names()
    assert [names("A b", "c"), names("a_b", "c"), names("a b", "c"), names("..", "é")] == [
        "A_b-c", "a_b-c-2", "a_b-c-3", "x-x",
    ]  # fmt: skip


def test_the_command_takes_its_options(tmp_path, no_figures, capsys):
    folder = write_study(tmp_path / "a", name="one", seeds=2)
    out = tmp_path / "out"
    command = [str(folder), "--out", str(out), "--correction", "bh", "--test", "randomisation", "--published", "true"]
    assert main([*command, "--model", "mini"]) == 0
    shown = capsys.readouterr()
    assert shown.err == f"report: {out / 'index.html'}\n" and "mini, mean over all languages" in shown.out
    text = (out / "index.html").read_text()
    assert "Benjamini and Hochberg" in text and "paired randomisation" in text and "Published" not in text
    for wrong, sentence in (
        (["--correction", "hlm"], "correction is 'hlm'; did you mean 'holm'"),
        (["--model", "mni"], "did you mean 'mini'"),
        (["--split", "tst"], "did you mean 'test'"),
        ([str(tmp_path / "none")], "no such folder"),
    ):
        assert main([str(folder), *wrong]) == 2
        assert sentence in capsys.readouterr().err


def test_the_statistics_shown_are_those_of_the_library(tmp_path, no_figures):
    folder = write_study(tmp_path / "a", name="one")
    found = statistics.significance(folder, resamples=200).set_index(["target", "language", "row"])
    outputs.write_all([folder], options=Options(resamples=200))
    rows = (folder / "report" / "tables" / "mini-main.csv").read_text().splitlines()
    fields = rows[0].split(",")
    line = dict(zip(fields, next(row for row in rows if row.startswith("good,row,mini XNLI")).split(","), strict=True))
    expected = found.loc["mini_xnli", "average", "good"]
    for name, column in (("delta", "difference"), ("delta_low", "low"), ("p", "p"), ("p_corrected", "p_corrected")):
        assert float(line[name]) == pytest.approx(expected[column])
