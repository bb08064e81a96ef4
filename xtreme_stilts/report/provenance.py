"""What a study's folder says of how its scores came about: phases and their cost, data versions, config.

Read from `phases/*/phase.json` (what was asked for), `phases/*/run_card.json` and `done.json` (see `phases.py`), and
`config.json`. What is missing or damaged adds nothing; a cost that lacks phases says so.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from xtreme_stilts.files import read_object
from xtreme_stilts.nested import flat
from xtreme_stilts.report import table
from xtreme_stilts.report.phases import Phase, Phases, phases_of
from xtreme_stilts.report.sheets import Listing
from xtreme_stilts.report.studies import Study

_PACKAGES = ("xtreme_stilts", "numpy", "pandas", "scipy", "matplotlib")
_KINDS = ("mlm", "intermediate", "target")  # of phases that train


def cost(study: Study, *, name: str) -> Listing | None:
    """What training took by kind of phase and mixture, over all rows and seeds; None where no phase has trained."""
    phases = phases_of(study)
    trained = [phase for phase in phases if not math.isnan(phase.seconds)]
    if not trained:
        return None
    by_kind: dict[str, dict[str, list[Phase]]] = {}
    for phase in trained:
        by_kind.setdefault(phases.kind(phase), {}).setdefault(phase.mixture, []).append(phase)
    groups: dict[str, list[Phase]] = {}
    for kind in sorted(by_kind, key=lambda kind: (kind not in _KINDS, _KINDS.index(kind) if kind in _KINDS else kind)):
        mixtures = by_kind[kind]
        if len(mixtures) > 1:
            groups[f"{kind}, all"] = [phase for part in mixtures.values() for phase in part]
        groups |= {f"{kind}: {mixture}": mixtures[mixture] for mixture in sorted(mixtures)}
    groups["all"] = trained
    # A column that no phase knows is left out: energy is measured by none today.
    columns = {title: tell for title, tell in _COST.items() if any(map(tell, groups.values()))}
    return Listing(
        name=name,
        title=f"Training – {study.name}",
        columns=("trained on", *columns),
        rows=tuple((heading, *(tell(part) for tell in columns.values())) for heading, part in groups.items()),
        notes=tuple(_cost_notes(phases, trained)),
    )


def _cost_notes(phases: Phases, trained: Sequence[Phase]) -> Iterator[str]:
    yield "Training only; phases that other rows share are counted once, as they are trained once."
    if carded := [phase for phase in trained if not math.isnan(phase.chip_hours)]:
        devices = " or ".join(sorted({each for phase in carded for each in phase.devices}))
        yield (
            "Hours are wall time from a phase's beginning to its end, with preparing its data, compiling, validating "
            f"and what was done twice; chip-hours are that times the devices{devices and f' ({devices})'}."
        )
    if uncarded := len(trained) - len(carded):
        yield f"Without a run card, so with hours of training alone and no chip-hours: {_phases(uncarded)}."
    if unfinished := sum(not phase.finished for phase in trained):
        yield f"Not finished, counted as far as they are: {_phases(unfinished)}."
    if damaged := sum(math.isnan(phase.seconds) and (phase.folder / "done.json").exists() for phase in phases):
        yield f"Left out: {_phases(damaged)} whose done.json cannot be read."


def unlearned(study: Study) -> str:
    """A sentence that names the phases behind the scores whose training loss stayed at guessing; "" where none did."""
    phases = phases_of(study)
    scored = set(phases.uses["fingerprint"])
    used = {each for phase in phases if phase.fingerprint in scored for each in (phase, *phases.chain(phase))}
    seeds: dict[str, list[str]] = {}
    for phase in phases:
        if phase in used and phase.unlearned:
            path = " > ".join(each.mixture for each in reversed([phase, *phases.chain(phase)]))
            seeds.setdefault(path, []).append(phase.folder.name.rpartition("-seed")[2].partition("-")[0])
    if not seeds:
        return ""
    named = "; ".join(f"{path} (seed {', '.join(found)})" for path, found in sorted(seeds.items()))
    return (
        f"Did not learn, as their training loss stayed at that of an answer that looks at nothing: {named}. "
        "What is scored after them says nothing about transfer."
    )


def _phases(number: int) -> str:
    return f"{number:,} phase" + ("" if number == 1 else "s")


def _sum(phases: Sequence[Phase], field: str) -> float:
    """Of those that know it; NaN where none does."""
    known = [value for phase in phases if not math.isnan(value := getattr(phase, field))]
    return sum(known) if known else math.nan


def _speed(phases: Sequence[Phase]) -> float:
    """Tokens a second, of the phases that know both."""
    known = [phase for phase in phases if phase.seconds > 0 and not math.isnan(phase.tokens)]
    return _sum(known, "tokens") / _sum(known, "seconds") if known else math.nan


def _written(value: float, form: Callable[[float], str] = "{:,.0f}".format) -> str:
    return "" if math.isnan(value) else form(value)


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"


# Title of a column -> what it says of some phases; "" where none of them knows.
_COST: Mapping[str, Callable[[Sequence[Phase]], str]] = {
    "phases": lambda phases: f"{len(phases):,}",
    "steps": lambda phases: _written(_sum(phases, "steps")),
    "tokens": lambda phases: _written(_sum(phases, "tokens")),
    "hours": lambda phases: _written(_sum(phases, "seconds") / 3600, _hours),
    "tokens/s": lambda phases: _written(_speed(phases)),
    "chip-hours": lambda phases: _written(_sum(phases, "chip_hours"), _hours),
    "kWh": lambda phases: _written(_sum(phases, "energy_kwh"), _hours),
}


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
    written = {
        field: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for field, value in flat(study.config).items()
    }
    return _pairs(written, name=name, title="Configuration")


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
