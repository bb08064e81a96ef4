"""The paper's table: one row per intermediate task, one column per target, deltas to the row without one.

Terms, on top of those of `results`:

- **primary metric**: what a target is judged by: accuracy for classification and Tatoeba, F1 for tagging and
  BUCC, the mean of exact match and F1 for question answering (XTREME's evaluate.py).
- **cell**: the primary metric, averaged over the target's languages (English included, as XTREME does) for
  each seed, then over seeds. The spread is the sample standard deviation over seeds.
- **zero-shot**: the same without English, the language trained on (`exclude=("en",)`).
- **partial cell**: a study that is not finished may have scored only some of a target's languages. Such a
  mean compares with nothing: it is marked, has no delta and enters no average.
- **variant**: split, layer and pooling. A column shows one variant only; see `choose_variant`. A study that chooses
  the layer on validation data reports one for each row: then a column shows these.

A score that does not exist is NaN in the tables and a dash in print, never 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import rich.console
import rich.table
import rich.text

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.report import cells as cells_lib
from xtreme_stilts.report.cells import MISSING, Cell, CellText
from xtreme_stilts.report.cells import signed as signed
from xtreme_stilts.report.results import BY_LAYER, COLUMNS

BASELINE = "none"  # the row without intermediate training
SOURCE = "en"  # the language targets are trained in
AVERAGE = "average"  # name of the last column


class Target(NamedTuple):
    """How a target is judged and named."""

    title: str
    group: str
    metrics: tuple[str, ...]  # averaged: the primary metric


# In the order of XTREME's tables. A miniature (mini_xnli) is judged like, and stands beside, its model.
TARGETS: Mapping[str, Target] = {
    "xnli": Target("XNLI", "classification", ("accuracy",)),
    "pawsx": Target("PAWS-X", "classification", ("accuracy",)),
    "udpos": Target("POS", "tagging", ("f1",)),
    "panx": Target("NER", "tagging", ("f1",)),
    "xquad": Target("XQuAD", "question answering", ("exact_match", "f1")),
    "mlqa": Target("MLQA", "question answering", ("exact_match", "f1")),
    "tydiqa": Target("TyDiQA", "question answering", ("exact_match", "f1")),
    "bucc2018": Target("BUCC", "retrieval", ("f1",)),
    "tatoeba": Target("Tatoeba", "retrieval", ("accuracy",)),
}
_MINI = "mini_"
_ORDER = tuple(TARGETS)
# Tried in this order for targets that are not XTREME's.
_PRIMARY = (("mean",), ("best_exact_match", "best_f1"), ("exact_match", "f1"), ("f1",), ("accuracy",))
OWN = "each row's own layer and pooling"
_PLACE = ["model", "intermediate", "target", "language", "metric", "seed"]  # what a table has one score for
_EVALUATION = ["intermediate", "language", "split", "seed", "layer", "pooling", "fingerprint"]  # of one target
_LAYER = 14  # the paper's choice for retrieval with XLM-R Large


class Variant(NamedTuple):
    """Which of several evaluations of one target a column shows."""

    split: str
    layer: int | None = None
    pooling: str = ""  # or OWN

    def __str__(self) -> str:
        parts = [self.split, "" if self.layer is None else f"layer {self.layer}", self.pooling]
        return ", ".join(filter(None, parts))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """Primary scores, one variant per target.

    `frame` has the columns model, intermediate, target, language, seed, value (percent), one row per score.
    """

    frame: pd.DataFrame
    variants: Mapping[tuple[str, str], Variant]  # by (model, target)
    notes: tuple[str, ...]  # what the numbers leave out, in sentences


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table of one model.

    Every frame has the intermediates as its index, "none" first, and the same columns: the targets (or, from
    `language_table`, languages) and last `AVERAGE`.
    """

    model: str
    mean: pd.DataFrame  # float64, percent, NaN = no score
    std: pd.DataFrame  # float64, points; NaN where fewer than two seeds
    delta: pd.DataFrame  # float64, points above the row "none"; NaN there and where either side is missing
    seeds: pd.DataFrame  # int64, seeds in the mean
    partial: pd.DataFrame  # bool, the mean is over some of the languages only
    average_over: tuple[str, ...]  # columns in the average: those with a full score in every row
    chance: Mapping[str, float]  # percent, by column; may lack columns
    notes: tuple[str, ...]
    cells: pd.DataFrame  # what it is made of: intermediate, column, seed, value, full (bool); one row per seed
    baselines: Mapping[str, str]  # row -> row it is compared with; rows without one are left out

    def by_seed(self, column: str) -> pd.DataFrame:
        """Full scores of one column, float64[rows, seeds], NaN where there is none; index and columns are named."""
        full = self.cells[self.cells["full"]]
        rows, seeds = self.mean.index, sorted(full["seed"].unique())
        if column != AVERAGE:
            of_column = full[full["column"] == column].pivot(index="intermediate", columns="seed", values="value")
            return of_column.reindex(index=rows, columns=seeds).astype("float64")
        return _averages(full, self.average_over).unstack("seed").reindex(index=rows, columns=seeds).astype("float64")

    def best(self, column: str) -> float:
        """The highest full score of a column, percent; NaN where there is none."""
        return self.mean[column].mask(self.partial[column]).max()


def title(target: str) -> str:
    """How a target is called in print: `xnli` -> XNLI, `mini_xnli` -> mini XNLI, others by their own name."""
    known = TARGETS.get(target.removeprefix(_MINI))
    return target if known is None else ("mini " if target.startswith(_MINI) else "") + known.title


def group(target: str) -> str:
    """XTREME's group of a target; "other" for targets that are not XTREME's."""
    known = TARGETS.get(target.removeprefix(_MINI))
    return "other" if known is None else known.group


def order_targets(targets: Iterable[str]) -> list[str]:
    """XTREME's order, others last by name."""

    def place(target: str):
        known = target.removeprefix(_MINI)
        return (_ORDER.index(known) if known in TARGETS else len(_ORDER), target.startswith(_MINI), target)

    return sorted(set(targets), key=place)


def order_intermediates(names: Iterable[str]) -> list[str]:
    """ "none" first, then by name."""
    return sorted(set(names), key=lambda name: (name != BASELINE, name))


def order_languages(names: Iterable[str]) -> list[str]:
    """English first, then by code."""
    return sorted(set(names), key=lambda name: (name != SOURCE, name))


def primary_metrics(target: str, present: Iterable[str]) -> tuple[str, ...]:
    """The metrics whose mean is the primary metric; `present` decides for targets that are not XTREME's."""
    known = TARGETS.get(target.removeprefix(_MINI))
    if known is not None:
        return known.metrics
    present = sorted(set(present))
    return next((metrics for metrics in _PRIMARY if set(metrics) <= set(present)), tuple(present[:1]))


def choose_variant(rows: pd.DataFrame, *, split: str | None = None) -> Variant | None:
    """The variant of one model's scores of one target that a table shows.

    A study reports one layer and pooling under a metric's own name, and that is shown, even where rows of the
    table differ in it (`OWN`). A file may hold several (other programs'): then the variant that most rows of the
    table have, so that rows compare; among equals the test split before others, then the layer nearest to 14,
    then mean pooling (the paper's retrieval setting). Never the best score: that would be choosing on the test
    set.

    Args:
        rows: results of one (model, target), of its primary metric.
        split: only variants of this split.

    Returns:
        None where there is no score on `split`.
    """
    counts: dict[Variant, set[str]] = {}
    for name, layer, pooling, intermediate in zip(
        rows["split"], rows["layer"], rows["pooling"], rows["intermediate"], strict=True
    ):
        variant = Variant(name, None if pd.isna(layer) else int(layer), "" if pd.isna(pooling) else pooling)
        if split in (None, name):
            counts.setdefault(variant, set()).add(intermediate)

    def rank(variant: Variant):
        away = 0 if variant.layer is None else abs(variant.layer - _LAYER)
        not_usual = (variant.split != "test", variant.split, away, variant.pooling != "mean")
        return -len(counts[variant]), *not_usual, variant.pooling, variant.layer or 0

    if not counts:
        return None
    chosen = min(counts, key=rank)
    alike = [variant for variant in counts if variant.split == chosen.split]
    if len(alike) > 1 and not rows[rows["split"] == chosen.split].duplicated(_PLACE).any():
        return Variant(chosen.split, pooling=OWN)
    return chosen


def primary_scores(frame: pd.DataFrame, *, split: str | None = None) -> Scores:
    """One primary score per (model, intermediate, target, language, seed), from a results table.

    Args:
        frame: as `results.read` gives it.
        split: the split to show; by default `choose_variant`'s for each target.

    Raises:
        UserError: there are no scores, none on `split`, or two runs' scores in one place.
    """
    _check(frame, split=split)
    parts, variants, notes = [], {}, []
    for (model, target), rows in frame.groupby(["model", "target"]):
        metrics = primary_metrics(target, rows["metric"])
        found = rows[rows["metric"].isin(metrics)]
        variant = choose_variant(found, split=split)
        if variant is None:
            lacking = f"{'/'.join(metrics)} scores" + (f" on split {split!r}" if split else "")
            notes.append(f"{title(target)} has no {lacking} and is left out.")
            continue
        variants[model, target] = variant
        found = _of_variant(found, variant)
        _check_one_run(found)
        part, lacking = _mean_of_metrics(found, metrics)
        if lacking:
            notes.append(f"{title(target)}: {lacking} scores lack {' or '.join(metrics)} and are left out.")
        parts.append(part)
    columns = ["model", "intermediate", "target", "language", "seed", "value"]
    scores = pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)
    return Scores(frame=scores.reset_index(drop=True), variants=variants, notes=tuple(notes))


def only_model(frame: pd.DataFrame, model: str | None = None) -> str:
    """The model to tabulate: the one asked for, or the only one there.

    Raises:
        UserError: it is not there, or there are several and none was asked for.
    """
    names = sorted(frame["model"].unique())
    if model is None and len(names) == 1:
        return names[0]
    if model is None:
        raise UserError(f"the results hold {len(names)} models; name one of {', '.join(names)}")
    if model not in names:
        raise UserError(f"there are no results of model {model!r}; {did_you_mean(model, names)}")
    return model


def paper_table(
    frame: pd.DataFrame,
    *,
    model: str | None = None,
    exclude: Sequence[str] = (),
    split: str | None = None,
    chance: Mapping[str, float] | None = None,
) -> Table:
    """Intermediates x targets, each cell the mean over the target's languages.

    Args:
        frame: a results table, as `results.read` gives it.
        model: which model; may be left out where there is only one.
        exclude: languages left out of the means; ("en",) gives the zero-shot table.
        split: the split to show; by default `choose_variant`'s for each target.
        chance: percent a target's primary metric reaches by guessing.

    Raises:
        UserError: there are no such scores.
    """
    scores = primary_scores(frame, split=split)
    model = only_model(frame, model)
    of_model = scores.frame[scores.frame["model"] == model]
    kept = of_model[~of_model["language"].isin(exclude)]
    expected = kept.groupby("target")["language"].nunique()
    by_seed = kept.groupby(["intermediate", "target", "seed"])["value"].agg(["mean", "count"]).reset_index()
    by_seed["full"] = by_seed["count"] == by_seed["target"].map(expected)
    cells = by_seed.rename(columns={"target": "column", "mean": "value"})
    rows = order_intermediates(frame.loc[frame["model"] == model, "intermediate"])
    columns = order_targets(of_model["target"])
    shown = {target: variant for (name, target), variant in scores.variants.items() if name == model}
    return _table(
        cells,
        model=model,
        rows=rows,
        columns=columns,
        chance=chance or {},
        notes=(*scores.notes, *_variant_notes(shown)),
    )


def joint_table(tables: Mapping[str, Table], *, without: Sequence[str] = ()) -> Table:
    """Several models' (or studies') tables as one: rows "label: intermediate", each compared with its own "none".

    Args:
        tables: by label.
        without: columns left out, whose scores are not comparable.
    """
    cells, rows, columns, baselines = [], [], set(), {}
    for label, each in tables.items():
        named = {row: f"{label}: {row}" for row in each.mean.index}
        cells.append(each.cells.assign(intermediate=each.cells["intermediate"].map(named)))
        rows += named.values()
        columns |= set(each.mean.columns) - {AVERAGE, *without}
        baselines |= {named[row]: named[baseline] for row, baseline in each.baselines.items()}
    every = pd.concat(cells, ignore_index=True)
    return _table(
        every[every["column"].isin(columns)],
        model="",
        rows=rows,
        columns=order_targets(columns),
        chance={name: level for each in tables.values() for name, level in each.chance.items()},
        notes=(),
        baselines=baselines,
    )


def language_table(
    frame: pd.DataFrame,
    target: str,
    *,
    model: str | None = None,
    metric: str | None = None,
    split: str | None = None,
) -> Table:
    """Intermediates x languages of one target.

    Args:
        frame: a results table, as `results.read` gives it.
        target: the family.
        model: which model; may be left out where there is only one.
        metric: one metric by name; by default the target's primary metric.
        split: the split to show; by default `choose_variant`'s.

    Raises:
        UserError: there are no such scores.
    """
    model = only_model(frame, model)
    rows = frame[(frame["model"] == model) & (frame["target"] == target)]
    if rows.empty:
        names = frame.loc[frame["model"] == model, "target"].unique()
        raise UserError(f"there are no results of target {target!r}; {did_you_mean(target, names)}")
    if metric is None:
        scores = primary_scores(rows, split=split).frame
    else:
        names = rows["metric"].unique()
        # The variant is that of the primary metric, so that all tables of a target speak of one evaluation.
        variant = choose_variant(rows[rows["metric"].isin(primary_metrics(target, names))], split=split)
        scores = rows[rows["metric"] == metric]
        if scores.empty:
            raise UserError(f"{target} has no {metric!r} scores; {did_you_mean(metric, names)}")
        scores = scores if variant is None else _of_variant(scores, variant)
        if variant is not None and variant.pooling == OWN:
            reported = _of_variant(rows[rows["metric"].isin(primary_metrics(target, names))], variant)
            scores = scores.merge(reported[_EVALUATION].drop_duplicates())
        _check_one_run(scores)
    cells = scores.rename(columns={"language": "column"})[["intermediate", "column", "seed", "value"]]
    intermediates = order_intermediates(frame.loc[frame["model"] == model, "intermediate"])
    return _table(
        cells.assign(full=True),
        model=model,
        rows=intermediates,
        columns=order_languages(cells["column"]),
        chance={},
        notes=(),
    )


def layer_scores(frame: pd.DataFrame, target: str, *, model: str | None = None) -> pd.DataFrame:
    """A retrieval target's score by layer, to see where in the encoder languages meet.

    Returns:
        Columns intermediate, pooling, layer (int64), value: percent, mean over languages and seeds, on the
        split `choose_variant` shows. Layers that lack a language are left out. No rows for other targets.
    """
    model = only_model(frame, model)
    rows = frame[(frame["model"] == model) & (frame["target"] == target) & frame["layer"].notna()]
    metrics = primary_metrics(target, rows["metric"])
    reported = rows[rows["metric"].isin(metrics)]
    variant = choose_variant(reported)
    if variant is None:
        return pd.DataFrame(columns=["intermediate", "pooling", "layer", "value"])
    every = rows[rows["metric"].isin([f"{metric}{BY_LAYER}" for metric in metrics])]
    rows = reported if every.empty else every
    rows = rows[rows["split"] == variant.split]
    means = rows.groupby(["intermediate", "pooling", "layer"]).agg(
        value=("value", "mean"), languages=("language", "nunique")
    )
    means = means[means["languages"] == rows["language"].nunique()].drop(columns="languages").reset_index()
    return means.astype({"layer": "int64"})


def print_table(
    frame: pd.DataFrame,
    console: rich.console.Console | None = None,
    *,
    split: str | None = None,
    chance: Mapping[str, float] | None = None,
) -> None:
    """Prints, for every model, the paper's table and its zero-shot version.

    In a terminal deltas are green and red, and a table wider than the terminal goes on below. Piped, the text
    is plain and every row one line.

    Args:
        frame: a results table, as `results.read` gives it.
        console: where to; the standard output by default.
        split: the split to show; by default `choose_variant`'s for each target.
        chance: percent a target's primary metric reaches by guessing.

    Raises:
        UserError: there are no such scores.
    """
    _check(frame, split=split)
    if console is None:
        console = rich.console.Console()
        if not console.is_terminal:
            console = rich.console.Console(width=10_000)
    notes: dict[str, None] = {}
    for model in sorted(frame["model"].unique()):
        everywhere, elsewhere = "mean over all languages", f"zero-shot: the same without {SOURCE}"
        for name, exclude in ((everywhere, ()), (elsewhere, (SOURCE,))):
            table = paper_table(frame, model=model, exclude=exclude, split=split, chance=chance)
            for part in _rich_tables(table, width=console.width):
                _print(console, rich.text.Text(f"{model}, {name}", style="bold"))
                _print(console, part)
                _print(console, rich.text.Text())
            for note in legend(table):
                if note not in notes:
                    _print(console, rich.text.Text(note, style="dim"))
            _print(console, rich.text.Text())
            notes.update(dict.fromkeys(legend(table)))


def cell(table: Table, row: str, column: str) -> Cell:
    """One cell of a table, as far as the table itself knows it."""
    mean = table.mean.at[row, column]
    partial = bool(table.partial.at[row, column])
    return Cell(
        score=float(mean),
        std=float(table.std.at[row, column]),
        seeds=int(table.seeds.at[row, column]),
        partial=partial,
        best=not partial and len(table.mean) > 1 and round(mean, 1) == round(table.best(column), 1),
        delta=float(table.delta.at[row, column]),
    )


def cell_text(table: Table, row: str, column: str) -> CellText:
    """One cell of a table as text, to one decimal."""
    return cells_lib.text(cell(table, row, column))


def chance_text(table: Table, column: str) -> str:
    """The chance level of a column, a dash where it is not known."""
    return f"{table.chance[column]:.1f}" if column in table.chance else MISSING


def legend(table: Table) -> list[str]:
    """Sentences that say how to read a table: what is averaged, what marks mean, what is left out."""
    lines = []
    names = [name for name in table.mean.columns if name != AVERAGE]
    if not table.average_over:
        lines.append("No average: no column has a full score in every row.")
    elif len(table.average_over) < len(names):
        over = ", ".join(heading(name) for name in table.average_over)
        lines.append(f"Average: over {over} only, the columns with a full score in every row.")
    else:
        lines.append("Average: over all columns.")
    if not table.baselines and BASELINE not in table.mean.index:
        lines.append(f"No deltas: there is no row {BASELINE!r} (no intermediate task).")
    elif len(table.mean) > 1:
        lines.append(f"Signed numbers: difference to the row {BASELINE!r} (no intermediate task), in points.")
    several = table.seeds[names].where(table.seeds[names] > 1).stack().dropna()
    if len(several):
        low, high = int(several.min()), int(several.max())
        seeds = str(low) if low == high else f"{low} to {high}"
        lines.append(f"±: sample standard deviation over {seeds} seeds.")
    if table.partial.to_numpy().any():
        lines.append("*: mean over some of the target's languages only; no delta, not in the average.")
    return [*lines, *table.notes]


def _table(
    cells: pd.DataFrame,
    *,
    model: str,
    rows: list[str],
    columns: list[str],
    chance: Mapping[str, float],
    notes: tuple[str, ...],
    baselines: Mapping[str, str] | None = None,
) -> Table:
    """`cells`: intermediate, column, seed, value, full (bool: over all languages), one row per seed; `baselines` as in
    `Table`, by default every other row's is "none"."""
    if baselines is None:
        baselines = {row: BASELINE for row in rows if row != BASELINE and BASELINE in rows}

    def spread(statistic: pd.Series) -> pd.DataFrame:
        return statistic.unstack("column").reindex(index=rows, columns=columns)

    where = ["intermediate", "column"]
    full = cells[cells["full"]]
    over_seeds = full.groupby(where)["value"]
    mean = spread(over_seeds.mean()).astype("float64")
    std = spread(over_seeds.std(ddof=1)).astype("float64")
    seeds = spread(over_seeds.count()).fillna(0).astype("int64")
    in_part = spread(cells[~cells["full"]].groupby(where)["value"].mean()).astype("float64")
    partial = mean.isna() & in_part.notna()

    average_over = tuple(column for column in columns if mean[column].notna().all())
    averages = _averages(full, average_over).groupby("intermediate")
    mean[AVERAGE] = mean[list(average_over)].mean(axis=1)
    std[AVERAGE] = averages.std(ddof=1).reindex(rows).astype("float64")
    seeds[AVERAGE] = averages.count().reindex(rows).fillna(0).astype("int64")
    partial[AVERAGE] = False

    delta = mean - mean.reindex([baselines.get(row) for row in rows]).to_numpy()
    chance = {column: float(chance[column]) for column in columns if column in chance}
    if average_over and set(average_over) <= set(chance):
        chance[AVERAGE] = float(np.mean([chance[column] for column in average_over]))
    return Table(
        model=model,
        mean=mean.fillna(in_part.reindex(columns=mean.columns)),
        std=std,
        delta=delta,
        seeds=seeds,
        partial=partial,
        average_over=average_over,
        chance=chance,
        notes=notes,
        cells=cells,
        baselines=baselines,
    )


def _averages(full: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Mean over columns of each (intermediate, seed) that has a full score in all of them; index of these names."""
    place = ["intermediate", "seed"]
    of_seed = full[full["column"].isin(columns)].pivot(index=place, columns="column", values="value")
    return of_seed.dropna().mean(axis=1)


def _check(frame: pd.DataFrame, *, split: str | None) -> None:
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise UserError(f"the results table lacks the column {missing[0]!r}; expected {', '.join(COLUMNS)}")
    if frame.empty:
        raise UserError("there are no scores yet; run the study (or a part of it) first")
    splits = frame["split"].unique()
    if split is not None and split not in splits:
        raise UserError(f"there are no scores on split {split!r}; {did_you_mean(split, splits)}")


def _of_variant(rows: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    if variant.pooling == OWN:
        return rows[rows["split"] == variant.split]
    layer = rows["layer"].isna() if variant.layer is None else rows["layer"].fillna(-1) == variant.layer
    return rows[(rows["split"] == variant.split) & layer & (rows["pooling"].fillna("") == variant.pooling)]


def _check_one_run(rows: pd.DataFrame) -> None:
    """Two phases' scores in one place (say, before and after a change of the config) have no mean."""
    twice = rows[rows.duplicated(_PLACE, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        same = twice[(twice[_PLACE] == first[_PLACE]).all(axis=1)]
        runs = " and ".join(sorted(same["fingerprint"].astype(str))[:2])
        raise UserError(
            f"the results hold several {first['metric']} scores of {first['target']}.{first['language']} "
            f"after {first['intermediate']!r} with seed {first['seed']} (runs {runs}); "
            "keep one run of each, or give them different model names"
        )


def _mean_of_metrics(rows: pd.DataFrame, metrics: tuple[str, ...]) -> tuple[pd.DataFrame, int]:
    """The mean where every metric is there, and for how many scores one is not."""
    place = ["model", "intermediate", "target", "language", "seed"]
    scores = rows.groupby(place)["value"].agg(["mean", "count"]).reset_index()
    full = scores["count"] == len(metrics)
    return scores[full].rename(columns={"mean": "value"}), int((~full).sum())


def _variant_notes(variants: Mapping[str, Variant]) -> list[str]:
    by_variant: dict[Variant, list[str]] = {}
    for target in order_targets(variants):
        by_variant.setdefault(variants[target], []).append(title(target))
    return [f"Shown for {', '.join(names)}: {variant}." for variant, names in by_variant.items()]


def heading(column: str) -> str:
    """What stands above a column of targets."""
    return column if column == AVERAGE else title(column)


def _rich_tables(table: Table, *, width: int) -> list[rich.table.Table]:
    """The table in as many parts, one below the other, as the width asks for."""
    columns = {name: _rich_column(table, name) for name in table.mean.columns}
    rows = [*table.mean.index, *(["chance"] if table.chance else [])]
    parts: list[list[str]] = [[]]
    first = used = max(map(len, [*rows, "intermediate"])) + 2
    for name, cells in columns.items():
        wide = max(len(heading(name)), *(cell.cell_len for cell in cells)) + 2
        if parts[-1] and used + wide > width:
            parts.append([])
            used = first
        parts[-1].append(name)
        used += wide
    return [_rich_part(rows, {name: columns[name] for name in part}) for part in parts]


def _rich_part(rows: list[str], columns: Mapping[str, list[rich.text.Text]]) -> rich.table.Table:
    part = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    part.add_column("intermediate", overflow="fold")
    for name in columns:
        part.add_column(rich.text.Text(heading(name)), no_wrap=True)
    for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True):
        part.add_row(rich.text.Text(row), *cells)
    return part


def _rich_column(table: Table, column: str) -> list[rich.text.Text]:
    """A column's cells, their parts padded so that scores, spreads and deltas stand below one another."""
    cells = [cell_text(table, row, column) for row in table.mean.index]
    texts = [rich.text.Text() for _ in cells]
    for part, gap in (("score", ""), ("mark", ""), ("spread", " "), ("delta", " ")):
        width = max(len(getattr(cell, part)) for cell in cells)
        for cell, text in zip(cells, texts, strict=True):
            colour = {"+": "green", "-": "red"}.get(cell.delta[:1], "dim")
            style = {"score": "bold" if cell.best else "", "spread": "dim", "delta": colour}.get(part, "")
            if width:
                text.append(gap).append(getattr(cell, part).rjust(width), style)
    if table.chance:
        width = max(len(cell.score) for cell in cells)
        texts.append(rich.text.Text(chance_text(table, column).rjust(width), "dim"))
    return texts


def _print(console: rich.console.Console, what) -> None:
    """Prints without wrapping; in plain ASCII where the stream knows no more."""
    if console.options.ascii_only:
        with console.capture() as captured:
            console.print(what, soft_wrap=True)
        plain = captured.get().translate({ord(MISSING): "-", ord("±"): "+-"})
        what = rich.text.Text.from_ansi(plain.removesuffix("\n"))
    console.print(what, soft_wrap=True)
