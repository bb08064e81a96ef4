"""No effect, no marks: studies whose rows are one system with other seeds, as prediction files, through the report."""

from __future__ import annotations

import hashlib
import json
import math
import pathlib

import numpy as np
import pandas as pd
import pytest

from xtreme_stilts.report import results, statistics, table
from xtreme_stilts.report.judged import Options, judge
from xtreme_stilts.report.results import Result
from xtreme_stilts.report.studies import open_study

TABLES, NAIVE, EXAMPLES = 200, 20, 60
ROWS, SEEDS, TARGETS, LANGUAGES = ("none", "a", "b"), (0, 1, 2), ("mini_xnli", "mini_pawsx"), ("en", "de")
LEVEL = max(level for level, _ in statistics.MARKS)


def write_study(folder: pathlib.Path, random: np.random.Generator) -> pathlib.Path:
    """Every model of every row is as good as any other but for its seed: strengths are drawn from one distribution.

    Examples differ in difficulty, and a seed's strength counts in both languages, as it does in real studies.
    """
    scored = []
    for target in TARGETS:
        difficulty = random.normal(0, 1.5, (len(LANGUAGES), EXAMPLES))
        for row in ROWS:
            for seed in SEEDS:
                strength = random.normal(1.0, 0.35)
                hits = random.random(difficulty.shape) < 1 / (1 + np.exp(difficulty - strength))
                scored += write_phase(folder, row, target, seed, hits)
    results.write(folder / "results.csv", scored)
    return folder


def write_phase(folder: pathlib.Path, row: str, target: str, seed: int, hits: np.ndarray) -> list[Result]:
    fingerprint = hashlib.sha256(f"{row} {target} {seed}".encode()).hexdigest()
    evaluations = folder / "phases" / f"{target}-seed{seed}-{fingerprint[:12]}" / "evaluations" / target
    evaluations.mkdir(parents=True, exist_ok=True)
    scored = []
    for language, pattern in zip(LANGUAGES, hits, strict=True):
        lines = [
            json.dumps({"id": str(number), "prediction": "yes" if hit else "no", "target": "yes"})
            for number, hit in enumerate(pattern)
        ]
        (evaluations / f"{language}.jsonl").write_text("\n".join(lines) + "\n")
        scored.append(
            Result(
                model="mini",
                intermediate=row,
                target=target,
                language=language,
                split="test",
                metric="accuracy",
                value=100 * float(pattern.mean()),
                examples=EXAMPLES,
                seed=seed,
                fingerprint=fingerprint,
            )
        )
    return scored


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> list[pd.DataFrame]:
    """What is found in each table."""
    random = np.random.default_rng(11)
    folder = tmp_path_factory.mktemp("null")  # the files of a study are overwritten by the next one's
    return [statistics.significance(write_study(folder, random), resamples=200) for _ in range(TABLES)]


def within_three_sigma(shares: list[float], level: float) -> bool:
    """Whether the mean of independent tables' shares is at most the level but for three of its standard errors."""
    error = math.sqrt(level * (1 - level) / len(shares))  # the largest there can be: comparisons that move together
    return float(np.mean(shares)) <= level + 3 * error


@pytest.mark.parametrize("averages", [True, False])
def test_tables_without_an_effect_rarely_have_any_mark(simulated, averages):
    shares = []
    for found in simulated:
        shown = found[(found["language"] == table.AVERAGE) == averages]
        expected = (len(ROWS) - 1) * len(TARGETS) * (1 if averages else len(LANGUAGES))
        assert len(shown) == expected and shown["p"].notna().all()
        shares.append(float((shown["mark"] != "").any()))
    assert within_three_sigma(shares, LEVEL)


@pytest.mark.parametrize("averages", [True, False])
def test_single_comparisons_without_an_effect_are_found_at_most_at_the_level(simulated, averages):
    parts = [found[(found["language"] == table.AVERAGE) == averages] for found in simulated]
    assert within_three_sigma([float((part["p"] < LEVEL).mean()) for part in parts], LEVEL)
    # Not because nothing could be found: p values below a half are not rare.
    assert np.mean([(part["p"] < 0.5).mean() for part in parts]) > 0.25


def test_the_simulation_catches_a_test_that_knows_nothing_of_seeds(tmp_path):
    random = np.random.default_rng(12)
    shares = []
    for _ in range(NAIVE):
        found = statistics.significance(write_study(tmp_path, random), test="randomisation", resamples=200)
        shares.append(float((found.loc[found["language"] == table.AVERAGE, "p"] < LEVEL).mean()))
    assert not within_three_sigma(shares, LEVEL)


def test_the_report_shows_these_marks(tmp_path):
    study = write_study(tmp_path, np.random.default_rng(13))
    (judged,) = judge([open_study(study)], Options(resamples=200), failures=(failures := []))
    pd.testing.assert_frame_equal(judged.found, statistics.significance(study, resamples=200))
    assert not failures
