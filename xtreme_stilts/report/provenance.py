"""What a study's folder says of how its scores came about: phases and their cost, data versions, config.

Read from `phases/*/phase.json` (what was asked for) and `phases/*/done.json` (how training ended), `run_card.json`
where there is one, and `config.json`. What is missing or damaged adds nothing; a cost that lacks phases says so.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from xtreme_stilts.files import read_object
from xtreme_stilts.report import table
from xtreme_stilts.report.sheets import Listing
from xtreme_stilts.report.studies import Study

RUN_CARD = "run_card.json"
_PACKAGES = ("xtreme_stilts", "numpy", "pandas", "scipy", "matplotlib")


def cost(study: Study, *, name: str) -> Listing | None:
    """Steps, tokens and hours of training by mixture, over all rows and seeds; None where no phase has trained."""
    spent: dict[str, list[Mapping[str, Any]]] = {}
    damaged = 0
    for folder in study.directory.glob("phases/*"):
        done = read_object(folder / "done.json")
        damaged += not done and (folder / "done.json").exists()
        if done:
            mixture = read_object(folder / "phase.json").get("mixture") or folder.name.rpartition("-seed")[0]
            spent.setdefault(str(mixture), []).append(done)
    if not spent:
        return None
    every = [done for some in spent.values() for done in some]
    rows = [_cost_row(mixture, spent[mixture]) for mixture in sorted(spent)]
    notes = ["Training only; phases that other rows share are counted once, as they are trained once."]
    if damaged:
        notes.append(f"Left out: {damaged} phases whose done.json cannot be read.")
    card = read_object(study.directory / RUN_CARD)
    if isinstance(card.get("chip_hours"), int | float):
        notes.append(f"The run's own account: {card['chip_hours']:,.2f} chip hours.")
    return Listing(
        name=name,
        title=f"Training – {study.name}",
        columns=("trained on", "phases", "steps", "tokens", "hours"),
        rows=(*rows, _cost_row("all", every)),
        notes=tuple(notes),
    )


def _cost_row(heading: str, phases: list[Mapping[str, Any]]) -> tuple[str, ...]:
    steps, tokens, seconds = (sum(_number(done.get(key)) for done in phases) for key in ("steps", "tokens", "seconds"))
    return heading, f"{len(phases):,}", f"{steps:,.0f}", f"{tokens:,.0f}", _hours(seconds / 3600)


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def thresholds(study: Study, frame: pd.DataFrame, *, name: str) -> Listing | None:
    """Of mining families, by row, seed and language: the reported layer's threshold on the margin, as fitted on
    validation data, and its F1 there; None where there are none."""
    columns = ["intermediate", "target", "language", "seed", "layer", "pooling", "fingerprint"]
    reported = frame.loc[frame["layer"].notna() & (frame["metric"] == "f1"), columns].drop_duplicates()
    folders = {path.name[-12:]: path for path in study.directory.glob("phases/*-*")}
    rows = []
    for row in reported.itertuples(index=False):
        folder = folders.get(row.fingerprint[:12])
        found = read_object(folder / "evaluations" / row.target / "thresholds.json") if folder else {}
        for fitted in (found.get(row.language) or {}).get("thresholds", []):
            if (fitted["layer"], fitted["pooling"]) == (row.layer, row.pooling):
                place = (row.intermediate, table.title(row.target), row.language, str(row.seed))
                rows.append(
                    (*place, str(row.layer), row.pooling, f"{float(fitted['value']):.4f}", f"{float(fitted['f1']):.1f}")
                )
    if not rows:
        return None
    order = table.order_intermediates(row[0] for row in rows)
    rows.sort(key=lambda row: (order.index(row[0]), row[1:4]))
    return Listing(
        name=name,
        title="Mining thresholds",
        columns=("row", "target", "language", "seed", "layer", "pooling", "threshold of the margin", "validation F1"),
        rows=tuple(rows),
    )


def facts(study: Study, *, name: str) -> Listing:
    """What the study's scores are of."""
    frame = study.frame
    listed = {
        "models": study.models,
        "intermediates": table.order_intermediates(frame["intermediate"]),
        "targets": table.order_targets(frame["target"]),
        "languages": table.order_languages(frame["language"]),
        "seeds": sorted(frame["seed"].unique()),
        "splits": sorted(frame["split"].unique()),
    }
    found = {key: ", ".join(map(str, values)) for key, values in listed.items()}
    found["phases scored"] = str(len(set(frame["fingerprint"]) - {""}))
    found["steps"] = _steps(frame["steps"])
    return _pairs(found, name=name, title=f"Run – {study.name}")


def data_versions(study: Study, *, name: str) -> Listing | None:
    """Every task a phase was trained on and the version of its data; None where no phase says so."""
    found = {
        str(task): str(version)
        for path in study.directory.glob("phases/*/phase.json")
        for task, version in _tasks(read_object(path))
    }
    return _pairs(dict(sorted(found.items())), name=name, title="Data sets trained on") if found else None


def _tasks(phase: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for entry in phase.get("tasks") or ():
        if isinstance(entry, list) and len(entry) >= 2:
            yield entry[0], entry[1]


def configuration(study: Study, *, name: str) -> Listing:
    """config.json, one field a row."""
    return _pairs(dict(_flatten(study.config)), name=name, title="Configuration")


def versions(*, name: str) -> Listing:
    """What the report was made with."""
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return _pairs(found, name=name, title="Report made with")


def _pairs(found: Mapping[str, str], *, name: str, title: str) -> Listing:
    return Listing(name=name, title=title, columns=("", ""), rows=tuple(found.items()))


def _steps(steps: pd.Series) -> str:
    trained = steps[steps > 0]
    if trained.empty:
        return "none"
    low, high = trained.min(), trained.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,} a phase"


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
