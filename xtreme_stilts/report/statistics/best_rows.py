"""The best row of each target, chosen honestly or by an oracle. Terms as in the package."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from etils import epath

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.report import results, table
from xtreme_stilts.report.statistics.study import RESULTS, of_model

HONEST, ORACLE = "honest", "oracle"
RULES = (HONEST, ORACLE)
_CHOICE = ("target", "intermediate", "rule", "criterion", "score", "difference", "note")


def choose(criteria: pd.DataFrame, *, candidates: Sequence[str]) -> pd.Series:
    """The row with the highest criterion, mean over seeds, of each target; of equals the first of the candidates.

    A candidate that lacks a seed or language another one has is not chosen, since its mean is over other things.

    Args:
        criteria: columns intermediate, target, value; one row per seed (and language), NaN where there is none.
        candidates: rows to choose from.

    Returns:
        target -> name of the row; targets without any criterion are left out.
    """
    asked = criteria[criteria["intermediate"].isin(candidates)].dropna(subset="value")
    means = asked.groupby(["target", "intermediate"])["value"].agg(["mean", "count"])
    full = means[means["count"] == means.groupby("target")["count"].transform("max")]["mean"]
    by_target = full.unstack("intermediate").reindex(columns=list(candidates))
    return by_target.idxmax(axis=1)


def best_intermediates(
    study_dir: str | os.PathLike,
    *,
    rule: str = HONEST,
    candidates: Sequence[str] | None = None,
    model: str | None = None,
) -> pd.DataFrame:
    """The paper's row "best intermediate per target", by an honest rule or by an oracle.

    - `honest`: chosen by the value that selected the checkpoint, the target's primary metric on English validation
      data (done.json of the target's phase). A mining family has no such phase: it is chosen by the reported layer's
      F1 on its own validation set, which its threshold is fitted on anyway. Where there is neither (Tatoeba), there
      is no honest choice and no score.
    - `oracle`: chosen by the very scores that are reported. An upper bound, no result: whoever prints it says so.

    Args:
        study_dir: holds results.csv and phases/.
        rule: a name of `RULES`.
        candidates: rows to choose from; by default all but the one without intermediate task.
        model: which model; may be left out where there is only one.

    Returns:
        One line per target, and `table.AVERAGE` over those with a choice: target, intermediate (empty = no choice),
        rule, criterion (percent), score (percent, mean over languages and seeds), difference to the row "none"
        (points) and a note.

    Raises:
        UserError: an unknown name, a damaged file, or no scores.
    """
    if rule not in RULES:
        raise UserError(f"rule is {rule!r}; {did_you_mean(rule, RULES)}")
    study_dir = epath.Path(study_dir)
    frame = of_model(results.read(study_dir / RESULTS), model)
    rows = table.order_intermediates(frame["intermediate"])
    candidates = [row for row in rows if row != table.BASELINE] if candidates is None else list(candidates)
    for name in candidates:
        if name not in rows:
            raise UserError(f"candidates: the study has no row {name!r}; {did_you_mean(name, rows)}")
    shown = table.paper_table(frame)
    criteria = _oracle_criteria(shown) if rule == ORACLE else _honest_criteria(frame, study_dir)
    chosen = choose(criteria, candidates=candidates)
    means = criteria.groupby(["target", "intermediate"])["value"].mean()
    lines = []
    for target in shown.mean.columns.drop(table.AVERAGE):
        name = chosen.get(target, "")
        line = {"target": target, "intermediate": name, "rule": rule, "criterion": means.get((target, name), np.nan)}
        if name:
            line |= {"score": shown.mean.at[name, target], "difference": shown.delta.at[name, target]}
        partial = bool(name) and shown.partial.at[name, target]
        lines.append(line | {"note": "no validation score" if not name else "some languages only" if partial else ""})
    found = pd.DataFrame(lines, columns=list(_CHOICE))
    return pd.concat([found, _average_choice(found, rule)], ignore_index=True)


def _average_choice(found: pd.DataFrame, rule: str) -> pd.DataFrame:
    whole = found[found["note"] == ""]
    left_out = ", ".join(found.loc[found["note"] != "", "target"])
    line = {"target": table.AVERAGE, "intermediate": "", "rule": rule, "note": left_out and f"without {left_out}"}
    line |= {name: whole[name].mean() for name in ("score", "difference")}
    return pd.DataFrame([line], columns=list(_CHOICE))


def _oracle_criteria(shown: table.Table) -> pd.DataFrame:
    scores = shown.mean.mask(shown.partial).drop(columns=table.AVERAGE).rename_axis(columns="target")
    return scores.stack().rename("value").rename_axis(["intermediate", "target"]).reset_index()


def _honest_criteria(frame: pd.DataFrame, study_dir: epath.Path) -> pd.DataFrame:
    """Columns intermediate, target, value: nothing in it was measured on a test set."""
    folders = {path.name[-12:]: path for path in (study_dir / "phases").glob("*-*")}
    phases = frame[["intermediate", "target", "seed", "fingerprint"]].drop_duplicates()
    values = [_selection_value(folders.get(fingerprint[:12])) for fingerprint in phases["fingerprint"]]
    return pd.concat([phases.assign(value=values).dropna(subset="value"), _mining_criteria(frame)], ignore_index=True)


def _selection_value(folder: epath.Path | None) -> float:
    """`best_value` of a phase; NaN for a phase that trained nothing, or without validation."""
    path = folder / "done.json" if folder else None
    if path is None or not path.exists():
        return np.nan
    try:
        return float(json.loads(path.read_text())["best_value"])
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}: no number `best_value` found; it says how training ended") from None


def _mining_criteria(frame: pd.DataFrame) -> pd.DataFrame:
    """Validation scores of retrieval families at the layer and pooling that are reported, by language and seed."""
    place = ["intermediate", "target", "language", "seed", "layer", "pooling", "fingerprint"]
    reported = frame[frame["layer"].notna() & ~frame["metric"].str.endswith(results.BY_LAYER)]
    every = frame[(frame["split"] == "validation") & (frame["metric"] == f"f1{results.BY_LAYER}")]
    return every.merge(reported[place].drop_duplicates(), on=place)[["intermediate", "target", "seed", "value"]]
