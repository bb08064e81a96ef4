"""The report's tables in LaTeX, Markdown and CSV: text stays text, and every format has the same numbers."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess

import pytest

from xtreme_stilts.report import latex, markdown, outputs, sheets
from xtreme_stilts.report.cells import Cell
from xtreme_stilts.report.sheets import Line, Listing, Sheet

EVIL = r"""a|b*<i>_$x^2$ #1 %50 ~{y} \input{z} & [l](u) `c` --"q" Zürich 中文 ±†‡"""


def sheet(heading: str = "mnli") -> Sheet:
    best = Cell(score=75.0, delta=5.0, mark="†", best=True, std=0.25, low=74.0, high=76.0, seeds=3, p=0.01)
    lines = (
        Line("none", [Cell(score=70.0), Cell(score=60.0, partial=True)]),
        Line(heading, [best, Cell()]),
        Line("best per target", [Cell(score=75.0, delta=5.0, name=heading), Cell(delta=-1.0)], sheets.CHOICE),
        Line("chance", [Cell(score=33.3), Cell()], sheets.CHANCE),
    )
    return Sheet(
        name="x",
        title=f"All {heading}",
        columns=("XNLI", "average"),
        groups=("classification", ""),
        lines=lines,
        notes=(f"Of {heading}.",),
    )


def listing(text: str) -> Listing:
    return Listing(name="l", title=text, columns=("name", text), rows=((text, "1"), ("b", text)), notes=(text,))


def check_latex(text: str) -> list[list[str]]:
    """A strict reader of what the report may use of LaTeX; the cells of its rows."""
    assert text.isascii()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[0].startswith("\\begin{tabular}{l") and lines[-1] == "\\end{tabular}"
    columns = len(re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0]).group(1))
    rows = []
    for line in lines[1:-1]:
        if re.fullmatch(r"\\(top|mid|bottom)rule|(\\cmidrule\(lr\)\{\d+-\d+\})*", line):
            continue
        assert line.endswith(" \\\\")
        line = line[:-3]
        plain = re.sub(r"\\[A-Za-z]+|\\[`'^~=.\"{}$&#_%]", "", line)  # commands, accents, escaped characters
        assert not re.search(r"[#%_~\\]", plain)
        outside = re.sub(r"\$[^$]*\$", "", plain)
        assert "$" not in outside and "^" not in outside
        depth = 0
        for character in plain:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0
        found = re.split(r"(?<!\\)&", line)
        spanned = sum(int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", line))
        assert len(found) + spanned == columns
        rows.append([cell.strip() for cell in found])
    return rows


def test_latex_of_a_sheet():
    rows = check_latex(latex.to_latex(sheet()))
    assert rows == [
        ["", r"\multicolumn{1}{c}{classification}", r"\multicolumn{1}{c}{}"],
        ["intermediate", "XNLI", "average"],
        ["none", "70.0", "60.0{*}"],
        ["mnli", r"\textbf{75.0} $\pm$0.2 (+5.0$^{\dagger}$)", "--"],
        [r"\emph{best per target}", "75.0 (+5.0) mnli", "-- ($-$1.0)"],
        [r"\emph{chance}", "33.3", "--"],
    ]


@pytest.mark.parametrize("text", [EVIL, *EVIL.split(" "), "", "\\", "%\n%", "x\ny\tz\x00\u200b", "ğşžÿǻ"])
def test_text_from_data_never_becomes_latex(text):
    check_latex(latex.to_latex(sheet(text)))
    check_latex(latex.to_latex(listing(text)))
    comments = [line for line in latex.to_latex(listing(text)).splitlines() if line.startswith("%")]
    assert len(comments) == 3


def test_latex_escapes():
    assert latex.escape("50 % of $a_b$ & #1") == r"50 \% of \$a\_b\$ \& \#1"
    assert latex.escape("Zürich, ğ, 中") == r"Z\"{u}rich, \u{g}, \texttt{U+4E2D}"
    assert latex.escape("\\") == r"\textbackslash{}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_latex_compiles(tmp_path):
    body = latex.to_latex(sheet(EVIL)) + latex.to_latex(listing(EVIL))
    text = f"\\documentclass{{article}}\\usepackage[T1]{{fontenc}}\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}"
    (tmp_path / "a.tex").write_text(text + "\\end{document}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=100, check=False).returncode == 0


def test_markdown_of_a_sheet():
    assert markdown.to_markdown(sheet()).splitlines() == [
        "| intermediate | XNLI | average |",
        "| --- | ---: | ---: |",
        "| none | 70.0 | 60.0\\* |",
        "| mnli | **75.0** ±0.2 (+5.0†) | – |",
        "| *best per target* | 75.0 (+5.0) mnli | – (-1.0) |",
        "| *chance* | 33.3 | – |",
        "",
        "- Of mnli.",
    ]


def test_text_from_data_never_becomes_markdown():
    line = next(line for line in markdown.to_markdown(sheet(EVIL)).splitlines() if line.startswith("| a"))
    assert len(re.findall(r"(?<!\\)\|", line)) == 4
    assert not re.search(r"(?<!\\)[$`\[\]_#~]|<", line.replace("**75.0**", ""))
    assert markdown.escape("a\n# b\x00<c>") == "a \\# b &lt;c&gt;"
    assert len(markdown.to_markdown(listing("x\ny | z")).splitlines()) == 6


def test_csv_has_every_number_in_full():
    rows = list(csv.DictReader(io.StringIO(outputs.to_csv(sheet(EVIL)))))
    assert [(row["row"], row["column"], row["kind"]) for row in rows[:4]] == [
        ("none", "XNLI", "row"),
        ("none", "average", "row"),
        (EVIL, "XNLI", "row"),
        (EVIL, "average", "row"),
    ]
    assert rows[2]["score"] == "75.0" and rows[2]["std"] == "0.25" and rows[2]["mark"] == "†"
    assert rows[2]["p_corrected"] == "" and rows[3]["score"] == ""
    assert next(csv.reader(io.StringIO(outputs.to_csv(listing(EVIL))))) == ["name", EVIL]
