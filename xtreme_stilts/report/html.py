"""The report of a study: one page that needs nothing but itself, so it can be mailed, printed or kept.

It reads `results.csv` and, where they are, `config.json` and `phases/*/metrics.jsonl` of the study directory,
and writes `report/index.html` there. No scripts, nothing fetched. Every text that comes from data passes
through `element`, which escapes it; only `Html` is taken as markup.
"""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from etils import epath

from xtreme_stilts.errors import UserError
from xtreme_stilts.files import write_text
from xtreme_stilts.report import plots, results
from xtreme_stilts.report import table as tables
from xtreme_stilts.report.style import CSS

RESULTS = "results.csv"
_LEAST_LIMIT = 2.0  # points at full colour, at least: differences of a few tenths must not look like findings
_MANY = 20  # columns; wider tables are set smaller on paper
# A curve is drawn for numbers whose names start so; learning rates and speeds are left to other tools.
_CURVE_METRICS = ("loss", "validation", "eval", "dev")


class Html(str):
    """Markup that is known to be safe; any other string is text and gets escaped."""


def element(tag: str, *children: Any, **attributes: Any) -> Html:
    """An HTML element. Children that are not `Html` are escaped; attributes that are None are left out.

    Attribute names are written with `_` for `-` and a trailing `_` where Python has the word (`class_`).
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def join(children: Iterable[Any]) -> Html:
    """Several children as one; those that are not `Html` are escaped."""
    return Html("".join(child if isinstance(child, Html) else html.escape(str(child)) for child in children))


def write_report(
    study_dir: str | os.PathLike, *, split: str | None = None, chance: Mapping[str, float] | None = None
) -> epath.Path:
    """Writes `report/index.html` into a study directory and returns its path.

    Args:
        study_dir: holds results.csv.
        split: the split to show; by default what `table.choose_variant` picks for each target.
        chance: percent a target's primary metric reaches by guessing, by target.

    Raises:
        UserError: results.csv is missing, damaged or holds no scores (yet), or config.json is damaged.
    """
    study_dir = epath.Path(study_dir)
    page = render(study_dir, results.read(study_dir / RESULTS), split=split, chance=chance)
    path = study_dir / "report" / "index.html"
    write_text(path, page)
    return path


def render(
    study_dir: epath.Path,
    frame: pd.DataFrame,
    *,
    split: str | None = None,
    chance: Mapping[str, float] | None = None,
) -> Html:
    """The page as text. Arguments and errors as for `write_report`; `frame` is the results table."""
    config = _read_config(study_dir / "config.json")
    name = str(config.get("name") or study_dir.resolve().name)
    models = sorted(frame["model"].unique())
    if not models:
        raise UserError(f"{study_dir / RESULTS} holds no scores yet; run the study (or a part of it) first")
    style = plots.styles(tables.order_intermediates(frame["intermediate"]), plain=[tables.BASELINE])
    body: list[Html] = []
    contents: list[tuple[str, str]] = []

    def section(heading: str, *children: Any) -> None:
        contents.append((f"s{len(contents)}", heading))
        body.append(element("section", element("h2", heading, id=contents[-1][0]), *children))

    for model in models:
        of = f" – {model}" if len(models) > 1 else ""
        main = tables.paper_table(frame, model=model, split=split, chance=chance)
        zero_shot = tables.paper_table(frame, model=model, exclude=(tables.SOURCE,), split=split, chance=chance)
        section("Results" + of, *_results(main, zero_shot))
        for target in [column for column in main.mean.columns if column != tables.AVERAGE]:
            section(tables.title(target) + of, *_target(frame, target, main, zero_shot, split=split))
        if layers := list(_layers(frame, model, style)):
            section("Retrieval by layer" + of, *layers)
    if curves := list(_learning_curves(study_dir, frame, style)):
        section("Learning curves", *curves)
    section("Run", _facts(frame, config))

    links = element("nav", *(element("a", text, href=f"#{anchor}") for anchor, text in contents), aria_label="Contents")
    footer = element(
        "footer", f"Made from {RESULTS} ({_count(len(frame), 'score')}) by python -m xtreme_stilts.report."
    )
    head = join(
        [
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", f"{name} – results"),
            Html(f"<style>{CSS}</style>"),
        ]
    )
    title = element("header", element("h1", name), element("p", _subtitle(frame), class_="soft"))
    content = join([title, links, element("main", *body), footer])
    return Html(f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{content}</body></html>\n')


def _subtitle(frame: pd.DataFrame) -> str:
    seeds = sorted(frame["seed"].unique())
    return " · ".join(
        [
            "Intermediate-task training, evaluated across languages",
            ", ".join(sorted(frame["model"].unique())),
            _count(len(set(frame["intermediate"]) - {tables.BASELINE}), "intermediate task"),
            _count(frame["target"].nunique(), "target"),
            _count(frame["language"].nunique(), "language"),
            f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds",
        ]
    )


def _results(main: tables.Table, zero_shot: tables.Table) -> Iterator[Html]:
    if finding := _finding(main):
        yield element("p", finding, class_="lead")
    average = main.delta[tables.AVERAGE].dropna()
    if len(average) > 1:
        bars = [
            plots.Bar(label=row, value=value, spread=main.std.at[row, tables.AVERAGE], text=_points(value))
            for row, value in average.sort_values(ascending=False, kind="stable").items()
        ]
        every = len(main.average_over) == len(main.mean.columns) - 1
        over = "all targets" if every else "the targets every row has"
        drawn = plots.delta_bars(
            bars,
            x_label=f"points above {tables.BASELINE!r}, average over {over}",
            description=f"{main.model}: average difference to no intermediate task, per intermediate task",
        )
        yield element("figure", Html(drawn))
    english = "mean over each target's languages, English included"
    yield _main_table(main, caption="All languages", explained=english)
    yield _ramp(
        "delta",
        f"cell colour: difference to {tables.BASELINE!r}, full at the column's largest "
        f"(at least {_LEAST_LIMIT:.0f} points)",
    )
    yield _notes(tables.legend(main))
    yield _main_table(zero_shot, caption="Zero-shot", explained="the same without English, the language trained in")
    extra = [line for line in tables.legend(zero_shot) if line not in tables.legend(main)]
    yield _notes(extra)


def _finding(main: tables.Table) -> str:
    """The table in a sentence."""
    average = main.delta[tables.AVERAGE].dropna()
    if average.empty:
        return ""
    best, gain = average.idxmax(), average.max()
    targets = main.delta[list(main.average_over)].loc[best]
    helped = int((targets.round(1) > 0).sum())
    points = f"{best}, {_points(gain)} points"
    if round(gain, 1) <= 0:
        return f"On average no intermediate task improves on training without one (best: {points})."
    better = f"better on {helped} of {_count(len(targets), 'target')}"
    return f"Best on average: {points} over training without an intermediate task, {better}."


def _main_table(table: tables.Table, *, caption: str, explained: str) -> Html:
    columns = list(table.mean.columns)
    groups = [("" if name == tables.AVERAGE else tables.group(name)) for name in columns]
    starts = [i for i, name in enumerate(groups) if i == 0 or name != groups[i - 1]]
    group_row = []
    for at, end in zip(starts, [*starts[1:], len(groups)], strict=True):
        tag, scope = ("th", "colgroup") if groups[at] else ("td", None)
        group_row.append(element(tag, _capital(groups[at]), colspan=end - at, scope=scope, class_="start"))
    border = {columns[at] for at in starts}
    headings = [
        element(
            "th",
            name if name == tables.AVERAGE else tables.title(name),
            scope="col",
            class_="start" if name in border else None,
        )
        for name in columns
    ]
    limits = {name: _limit(table.delta[name]) for name in columns}
    rows = [
        _row(row, [_cell(table, row, name, limits[name], start=name in border) for name in columns])
        for row in table.mean.index
    ]
    if table.chance:
        levels = [
            element("td", tables.chance_text(table, name), class_="start" if name in border else None)
            for name in columns
        ]
        rows.append(_row("chance", levels, class_="chance"))
    head = element(
        "thead",
        element("tr", element("td", ""), *group_row, class_="groups"),
        element("tr", element("th", "intermediate", scope="col"), *headings),
    )
    words = element("caption", element("span", caption, element("span", f" – {explained}", class_="soft")))
    return _scroll(element("table", words, head, element("tbody", *rows)), label=caption)


def _cell(table: tables.Table, row: str, column: str, limit: float, *, start: bool) -> Html:
    text = tables.cell_text(table, row, column)
    classes, share = ["start"] if start else [], None
    if text.score == tables.MISSING:
        return element("td", text.score, class_=" ".join([*classes, "missing"]))
    children = [element("span", text.score + text.mark, class_="score")]
    if text.spread:
        children += [" ", element("span", text.spread, class_="spread")]
    if text.delta:
        delta = table.delta.at[row, column]
        direction = {"+": "up", "-": "down"}.get(text.delta[0], "even")
        classes += ["gain"] if direction == "up" else ["loss"] if direction == "down" else []
        share = f"--t:{min(abs(delta) / limit, 1):.2f}" if direction != "even" else None
        children.append(element("span", text.delta.replace("-", "−"), class_=f"delta {direction}"))
    if text.best:
        classes.append("best")
    return element("td", *children, class_=" ".join(classes) or None, style=share)


def _target(
    frame: pd.DataFrame, target: str, main: tables.Table, zero_shot: tables.Table, *, split: str | None
) -> Iterator[Html]:
    primary = tables.language_table(frame, target, model=main.model, split=split)
    rows = frame[(frame["model"] == main.model) & (frame["target"] == target)]
    metrics = tables.primary_metrics(target, rows["metric"])
    variant = tables.choose_variant(rows[rows["metric"].isin(metrics)], split=split)
    judged = metrics[0] if len(metrics) == 1 else "mean of " + " and ".join(metrics)
    means = pd.DataFrame({"mean": main.mean[target], "zero-shot": zero_shot.mean[target]})
    partial = pd.DataFrame({"mean": main.partial[target], "zero-shot": zero_shot.partial[target]})
    deltas = pd.DataFrame({"mean": main.delta[target], "zero-shot": zero_shot.delta[target]})
    languages = [name for name in primary.mean.columns if name != tables.AVERAGE]
    judged = _capital(judged.replace("_", " "))
    described = f"{judged}, percent; {variant}; {_count(len(languages), 'language')}."
    yield element("p", described, class_="soft")
    yield _value_map(pd.concat([means, primary.mean[languages]], axis=1), partial, caption="Score")
    if deltas.notna().to_numpy().any() or primary.delta[languages].notna().to_numpy().any():
        both = pd.concat([deltas, primary.delta[languages]], axis=1).drop(index=tables.BASELINE)
        yield _delta_map(both, caption=f"Difference to {tables.BASELINE!r}")
    details = [
        _plain_table(tables.language_table(frame, target, model=main.model, metric=metric, split=split), metric)
        for metric in sorted(name for name in rows["metric"].unique() if not name.endswith(results.BY_LAYER))
        if metrics != (metric,) or (primary.seeds > 1).to_numpy().any()
    ]
    if details:
        yield element("details", element("summary", "Every metric by language"), *details)


def _value_map(values: pd.DataFrame, partial: pd.DataFrame, *, caption: str) -> Html:
    """`partial` (bool) has the same rows and the columns that are means over languages."""
    low, high = _range(values.to_numpy())
    rows = []
    for row in values.index:
        cells = []
        for column, value in values.loc[row].items():
            share = (value - low) / (high - low) if high > low else 0.5
            mark = "*" if column in partial and partial.at[row, column] else ""
            cells.append(
                _missing()
                if math.isnan(value)
                else element("td", f"{value:.1f}{mark}", class_="value", style=f"--t:{share:.2f}")
            )
        rows.append(_row(row, cells))
    ramp = f"{low:.1f} to {high:.1f}"
    if partial.to_numpy().any():
        ramp += "; *: mean over some of the languages only"
    return join([_heat(values.columns, rows, caption=caption, class_="heat means"), _ramp("value", ramp)])


def _delta_map(deltas: pd.DataFrame, *, caption: str) -> Html:
    limit = _limit(deltas.to_numpy())
    rows = []
    for row in deltas.index:
        cells = []
        for value in deltas.loc[row]:
            text = "" if math.isnan(value) else tables.signed(value)
            kind = {"+": "gain", "-": "loss"}.get(text[:1])
            share = f"--t:{min(abs(value) / limit, 1):.2f}" if kind else None
            cells.append(element("td", text.replace("-", "−"), class_=kind, style=share) if text else _missing())
        rows.append(_row(row, cells))
    limits = f"−{limit:.1f} to +{limit:.1f} points"
    return join([_heat(deltas.columns, rows, caption=caption, class_="heat means"), _ramp("delta", limits)])


def _heat(columns: Iterable[str], rows: Sequence[Html], *, caption: str, class_: str = "heat") -> Html:
    columns = list(columns)
    class_ += " many" if len(columns) > _MANY else ""
    headings = [element("th", name, scope="col") for name in columns]
    head = element("thead", element("tr", element("td", ""), *headings))
    words = element("caption", element("span", caption))
    return _scroll(element("table", words, head, element("tbody", *rows), class_=class_), label=caption)


def _plain_table(table: tables.Table, metric: str) -> Html:
    rows = []
    for row in table.mean.index:
        cells = []
        for column in table.mean.columns:
            text = tables.cell_text(table, row, column)
            spread = [" ", element("span", text.spread, class_="spread")] if text.spread else []
            cells.append(
                element(
                    "td",
                    element("span", text.score + text.mark, class_="score"),
                    *spread,
                    class_="best" if text.best else None,
                )
            )
        rows.append(_row(row, cells))
    return _heat(table.mean.columns, rows, caption=_capital(metric.replace("_", " ")))


def _layers(frame: pd.DataFrame, model: str, style: Mapping[str, plots.Style]) -> Iterator[Html]:
    charts, drawn = [], []
    for target in tables.order_targets(frame.loc[frame["model"] == model, "target"]):
        scores = tables.layer_scores(frame, target, model=model)
        for pooling, rows in scores.groupby("pooling"):
            if rows["layer"].nunique() < 2:
                continue
            curves = [
                plots.Curve(label=name, x=part["layer"].to_numpy(np.float64), y=part["value"].to_numpy(np.float64))
                for name, part in rows.groupby("intermediate")
            ]
            heading = f"{tables.title(target)}, {pooling}"
            words = f"{model}: {heading} by layer"
            axis = "layer (0 = embeddings)"
            charts.append(Html(plots.line_chart(heading, curves, style=style, x_label=axis, description=words)))
            drawn += [curve.label for curve in curves]
    if charts:
        explained = "Percent, mean over languages and seeds. The tables above show one layer only."
        yield element("p", explained, class_="soft")
        yield _key(style, [label for label in style if label in drawn])
        yield element("figure", *charts, class_="charts")


def _learning_curves(study_dir: epath.Path, frame: pd.DataFrame, style: Mapping[str, plots.Style]) -> Iterator[Html]:
    """One chart per target and number, lines coloured by intermediate; one per phase without scores."""
    by_chart: dict[tuple[str, str], list[plots.Curve]] = {}
    unreadable = []
    drawn = dict(style)
    for path in sorted(study_dir.glob("phases/*/metrics.jsonl")):
        log = plots.read_log(path)
        if log.unreadable:
            lines = _count(log.unreadable, "unreadable line")
            unreadable.append(f"{path.parent.name}: {lines} of metrics.jsonl left out.")
        chart, label = _phase_label(path.parent.name, frame)
        drawn.setdefault(label, plots.Style(plots.INK, "-"))
        for name, curve in log.series.items():
            if name.startswith(_CURVE_METRICS):
                curves = by_chart.setdefault((chart, name), [])
                curves.append(plots.Curve(label=label, x=curve.x, y=curve.y))
    if not by_chart:
        return
    targets = tables.order_targets(frame["target"])

    def place(key: tuple[str, str]):
        chart, name = key
        return (targets.index(chart) if chart in targets else len(targets)), chart, name != "loss", name

    charts = []
    for chart, name in sorted(by_chart, key=place):
        heading, words = f"{tables.title(chart)}: {name.replace('_', ' ')}", f"{name} of {chart} by step"
        drawing = plots.line_chart(heading, by_chart[chart, name], style=drawn, x_label="step", description=words)
        charts.append(Html(drawing))
    labels = {curve.label for curves in by_chart.values() for curve in curves}
    yield _key(style, [label for label in style if label in labels])
    yield element("figure", *charts, class_="charts")
    yield _notes(unreadable)


def _phase_label(name: str, frame: pd.DataFrame) -> tuple[str, str]:
    """Chart and line of a phase's directory: target and intermediate; its own name where it has no scores.

    Directories are named by fingerprint, whole or (after a dash) shortened.
    """
    short = name.rpartition("-")[2]
    if len(short) >= 8:
        rows = frame[frame["fingerprint"].str.startswith(short)]
        if len(rows):
            first = rows.iloc[0]
            return first["target"], first["intermediate"]
    return name, name


def _facts(frame: pd.DataFrame, config: Mapping[str, Any]) -> Html:
    listed = {
        "models": sorted(frame["model"].unique()),
        "intermediates": tables.order_intermediates(frame["intermediate"]),
        "targets": tables.order_targets(frame["target"]),
        "languages": tables.order_languages(frame["language"]),
        "seeds": sorted(frame["seed"].unique()),
        "splits": sorted(frame["split"].unique()),
    }
    facts = {name: ", ".join(map(str, values)) for name, values in listed.items()}
    facts["phases scored"] = str(len(set(frame["fingerprint"]) - {""}))
    facts["steps"] = _steps(frame["steps"])
    parts = [_facts_table(facts)]
    if config:
        flat = dict(_flatten(config))
        parts.append(
            element(
                "details",
                element("summary", f"Configuration ({_count(len(flat), 'field')})"),
                _facts_table(flat),
            )
        )
    return join(parts)


def _steps(steps: pd.Series) -> str:
    trained = steps[steps > 0]
    if trained.empty:
        return "none"
    low, high = trained.min(), trained.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,} a phase"


def _facts_table(facts: Mapping[str, Any]) -> Html:
    rows = [_row(name, [element("td", value)]) for name, value in facts.items()]
    return element("table", element("tbody", *rows), class_="facts")


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_config(path: epath.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} line {error.lineno}: not JSON ({error.msg})") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected an object of config fields, found {type(config).__name__}")
    return config


def _row(heading: str, cells: Iterable[Html], *, class_: str | None = None) -> Html:
    return element("tr", element("th", heading, scope="row", title=heading), *cells, class_=class_)


def _missing() -> Html:
    return element("td", tables.MISSING, class_="missing")


def _scroll(content: Html, *, label: str) -> Html:
    # A region that scrolls must be reachable by keyboard.
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def _ramp(kind: str, text: str) -> Html:
    return element("p", element("span", element("span", "", class_=f"ramp {kind}"), text), class_="key soft")


def _key(style: Mapping[str, plots.Style], labels: Iterable[str]) -> Html:
    dashes = {"--": "6 3", ":": "2 2", "-.": "6 2 2 2"}
    entries = []
    for label in dict.fromkeys(labels):
        line = element(
            "line",
            x1=0,
            y1=5,
            x2=26,
            y2=5,
            stroke=style[label].colour,
            stroke_width=2.5,
            stroke_dasharray=dashes.get(style[label].dash),
        )
        entries.append(element("span", element("svg", line, width=26, height=10, aria_hidden="true"), label))
    return element("p", *entries, class_="key")


def _notes(lines: Sequence[str]) -> Html:
    return element("ul", *(element("li", line) for line in lines), class_="notes") if lines else Html("")


def _limit(deltas: Any) -> float:
    """Points at which a delta has full colour."""
    return max(_LEAST_LIMIT, max(map(abs, _range(deltas))))


def _range(values: Any) -> tuple[float, float]:
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _points(value: float) -> str:
    return tables.signed(value).replace("-", "−")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
