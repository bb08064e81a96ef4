"""A whole study: every row against the baseline, by target and language. Terms as in the package."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.report import results, table
from xtreme_stilts.report.outcomes import Outcomes, mining_counts, mining_outcomes, outcomes
from xtreme_stilts.report.statistics.corrections import CORRECTIONS, MARKS
from xtreme_stilts.report.statistics.paired import TESTS, Comparison, Pair, exchanged, mean_of, pair_of, resampled
from xtreme_stilts.report.statistics.spread import RESAMPLES

RESULTS = "results.csv"
UNAVAILABLE = "unavailable: "  # begins `test` where a difference could not be tested; the reason follows
COLUMNS = (
    *("target", "language", "row", "difference", "low", "high", "p", "p_corrected", "mark", "test"),
    *("seeds", "examples"),
)


class _Untested(Exception):
    """Why a target cannot be tested; what is missing is nobody's mistake."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Study:
    """What is asked, and where the predictions lie."""

    folders: Mapping[str, epath.Path]  # first 12 characters of a phase's fingerprint -> its folder
    baseline: str
    test: str
    resamples: int
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scored:
    """All models of one target in one language."""

    outcomes: Outcomes
    models: Mapping[tuple[str, int], int]  # (row, seed) -> number of the model; seeds without a phase share one


def significance(
    study_dir: str | os.PathLike,
    *,
    baseline: str = table.BASELINE,
    correction: str = "holm",
    test: str = "bootstrap",
    model: str | None = None,
    metric_of: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Every row against the baseline, by target and language, from the predictions on disk.

    Compared are the seeds that both rows have. Beside the languages there is `table.AVERAGE`, the difference of the
    paper's table, for rows that have every language. The p values of averages are corrected together, those of
    languages together: they are two tables.

    Args:
        study_dir: holds results.csv, and phases/ with the predictions.
        baseline: the row compared with.
        correction: a name of `CORRECTIONS`: holm, bh, none.
        test: a name of `TESTS`: bootstrap (`paired_bootstrap`) or randomisation (`paired_randomisation`, which is of
            the models at hand; the interval stays the bootstrap's).
        model: which model; may be left out where there is only one.
        metric_of: target -> name of its metric, for targets that the registry does not know.
        resamples: draws of the examples.
        seed: of the draws; the same seed gives the same table.

    Returns:
        Columns `COLUMNS`: difference, low and high in points (row minus baseline), p, p_corrected, `mark` by `MARKS`
        or "", `test`, numbers of seeds and examples (of an average: in all languages). Where a difference cannot be
        tested, `test` says why, the numbers are NaN and the counts 0.

    Raises:
        UserError: an unknown name, results.csv or predictions that are damaged, rows evaluated on different examples,
            or predictions that do not give the score in results.csv.
    """
    for name, value, valid in (("correction", correction, CORRECTIONS), ("test", test, TESTS)):
        if value not in valid:
            raise UserError(f"{name} is {value!r}; {did_you_mean(value, valid)}")
    study_dir = epath.Path(study_dir)
    frame = of_model(results.read(study_dir / RESULTS), model)
    rows = table.order_intermediates(frame["intermediate"])
    if baseline not in rows:
        raise UserError(f"baseline: the study has no row {baseline!r}; {did_you_mean(baseline, rows)}")
    study = _Study(
        folders={path.name[-12:]: path for path in (study_dir / "phases").glob("*-*")},
        baseline=baseline,
        test=test,
        resamples=resamples,
        seed=seed,
    )
    lines = [
        line
        for target in table.order_targets(frame["target"])
        for line in _target_lines(_reported(frame, target), target, study=study, metric_of=metric_of or {})
    ]
    return corrected(pd.DataFrame(lines, columns=[name for name in COLUMNS if name != "p_corrected"]), correction)


def of_model(frame: pd.DataFrame, model: str | None) -> pd.DataFrame:
    if frame.empty:
        raise UserError("there are no scores yet; run the study (or a part of it) first")
    frame = frame[frame["model"] == table.only_model(frame, model)]
    table.primary_scores(frame)  # refuses two runs' scores in one place
    return frame


def _reported(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """A target's results on the split that tables show: predictions on disk are of that one. (Mining families record
    the scores of their validation sets under the same names.)"""
    rows = frame[frame["target"] == target]
    variant = table.choose_variant(rows[rows["metric"].isin(table.primary_metrics(target, rows["metric"]))])
    return rows if variant is None else rows[rows["split"] == variant.split]


def corrected(found: pd.DataFrame, correction: str) -> pd.DataFrame:
    """A table of `significance` with `p_corrected` and `mark` made (anew) from its p values; NaN counts for nothing."""
    found = found.copy()
    average = found["language"] == table.AVERAGE
    for part in (average, ~average):
        found.loc[part, "p_corrected"] = CORRECTIONS[correction](found.loc[part, "p"])
    found["mark"] = [next((mark for level, mark in MARKS if p < level), "") for p in found["p_corrected"]]
    return found[list(COLUMNS)]


def _target_lines(
    rows: pd.DataFrame, target: str, *, study: _Study, metric_of: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """All lines of one target's part of the table."""
    compared = [row for row in table.order_intermediates(rows["intermediate"]) if row != study.baseline]
    languages = table.order_languages(rows["language"])
    scored: dict[str, _Scored] = {}
    untested: dict[str, str] = {}  # language -> why
    for language in languages:
        try:
            scored[language] = _scored(
                rows[rows["language"] == language], target=target, metric_of=metric_of, study=study
            )
        except _Untested as reason:
            untested[language] = str(reason)
    drawn = resampled([each.outcomes for each in scored.values()], resamples=study.resamples, seed=study.seed)
    pairs = {
        language: _language_pairs(scored[language], draws, compared, study=study)
        for language, draws in zip(scored, drawn, strict=True)
    }
    for row in compared:
        found = {language: pairs[language][row] for language in pairs if row in pairs[language]}
        for language in languages:
            reason = untested.get(language, "no seed in common")
            tested = TESTS[study.test](found[language]) if language in found else reason
            yield _line(target, language, row, tested)
        yield _line(target, table.AVERAGE, row, _average(found, languages, test=study.test))


def _average(found: Mapping[str, Pair], languages: Sequence[str], *, test: str) -> Comparison | str:
    """Of one row, by language; or why there is none."""
    if len(found) < len(languages):
        return "not all languages are tested"
    if len({pair.seeds for pair in found.values()}) > 1:
        return "languages have different seeds"
    return TESTS[test](mean_of(list(found.values())))


def _line(target: str, language: str, row: str, found: Comparison | str) -> dict[str, Any]:
    line: dict[str, Any] = {"target": target, "language": language, "row": row}
    if isinstance(found, str):
        return line | {"test": UNAVAILABLE + found, "seeds": 0, "examples": 0}
    return line | {name: value for name, value in found._asdict().items() if name in COLUMNS}


def _language_pairs(scored: _Scored, drawn: np.ndarray, compared: Sequence[str], *, study: _Study) -> dict[str, Pair]:
    """By row, where it has a seed in common with the baseline; `drawn`: float64[resamples, models]."""
    pairs = {}
    for row in compared:
        seeds = sorted(seed for name, seed in scored.models if name == row and (study.baseline, seed) in scored.models)
        if not seeds:
            continue
        rows = {
            name: [scored.models[name, seed] for seed in seeds]
            for name in (row, study.baseline, *compared)
            if all((name, seed) in scored.models for seed in seeds)
        }
        pair = dataclasses.replace(pair_of(scored.outcomes, drawn, rows), seeds=tuple(seeds))
        if study.test == "randomisation":
            swapped = exchanged(
                scored.outcomes,
                first=rows[row],
                second=rows[study.baseline],
                resamples=study.resamples,
                seed=study.seed,
            )
            pair = dataclasses.replace(pair, swapped=swapped)
        pairs[row] = pair
    return pairs


def _metric_name(target: str, metric_of: Mapping[str, str]) -> str:
    if target in metric_of:
        return metric_of[target]
    try:
        return tasks.family(target).metric
    except UserError:
        raise _Untested("the registry does not know this target's metric") from None


def _scored(rows: pd.DataFrame, *, target: str, metric_of: Mapping[str, str], study: _Study) -> _Scored:
    """The outcomes of all rows and seeds in one language, which all results in `rows` are of."""
    language = rows["language"].iloc[0]
    metric = _metric_name(target, metric_of)
    names = [name.removeprefix("best_") for name in metrics.primary(metric)]  # as `outcomes` scores
    recorded = rows[rows["metric"].isin(names)]
    if recorded.empty:
        raise _Untested(f"there are no {'/'.join(names)} scores")
    phases = recorded["fingerprint"].unique().tolist()
    paths = [_predictions_path(each, target=target, language=language, study=study) for each in phases]
    found = _read_mined(paths) if metric == "mining_f1" else _read_aligned(paths, metric=metric, language=language)
    scores, models = found.scores(), {}
    for (row, seed, phase), values in recorded.groupby(["intermediate", "seed", "fingerprint"])["value"]:
        models[row, int(seed)] = number = phases.index(phase)
        if abs(values.mean() - scores[number]) > 1e-6:
            raise UserError(
                f"{paths[number]}: these predictions give {scores[number]:.4f}, {RESULTS} has {values.mean():.4f} "
                f"({'/'.join(names)}); remove the folder they are in and run the study again"
            )
    return _Scored(outcomes=found, models=models)


def _predictions_path(fingerprint: str, *, target: str, language: str, study: _Study) -> epath.Path:
    folder = study.folders.get(fingerprint[:12])
    path = folder / "evaluations" / target / f"{language}.jsonl" if folder else None
    if path is None or not path.exists():
        raise _Untested("predictions are not on disk")
    return path


def _read_aligned(paths: Sequence[epath.Path], *, metric: str, language: str) -> Outcomes:
    first, *others = files = [_read_lines(path, ("id", "prediction", "target")) for path in paths]
    for path, lines in zip(paths[1:], others, strict=True):
        if [(line["id"], line["target"]) for line in lines] != [(line["id"], line["target"]) for line in first]:
            raise UserError(f"{path}: other examples than in {paths[0]}; rows compare on the same examples only")
    predictions = [[line["prediction"] for line in lines] for lines in files]
    return outcomes(metric, predictions, [line["target"] for line in first], language=language)


def _read_mined(paths: Sequence[epath.Path]) -> Outcomes:
    """From files that say of each mined pair whether it is `gold`, and list the gold pairs that were missed
    (`mined` false)."""
    counts = []
    for path in paths:
        lines = _read_lines(path, ("source", "target"))
        if not all("gold" in line and "mined" in line for line in lines) or not lines:
            raise _Untested("the predictions do not say which pairs are gold")
        mined, gold = ({(each["source"], each["target"]) for each in lines if each[name]} for name in ("mined", "gold"))
        counts.append(mining_counts(mined, gold))
    return mining_outcomes(counts)


def _read_lines(path: epath.Path, fields: Sequence[str]) -> list[dict[str, Any]]:
    texts = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:  # all at once is four times as fast as one by one; one by one tells which is damaged
        lines = json.loads(f"[{','.join(texts)}]")
    except ValueError:
        lines = []
    wanted = set(fields)
    if len(lines) == len(texts) and all(isinstance(line, dict) and wanted <= line.keys() for line in lines):
        return lines
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not set(fields) <= set(line):
            raise UserError(f"{path} line {number}: not a prediction; expected an object with {', '.join(fields)}")
        lines.append(line)
    return lines
