"""What a report says, in order, before anybody asks for HTML, Markdown, LaTeX or CSV.

A **report** is a list of sections, a section a list of blocks: sheets, listings, figures, sentences. A part that
cannot be made is left out, and a sentence in `Report.failures` says which and why.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import cells, plots, provenance, sheets, table
from xtreme_stilts.report.judged import Judged, Options, attempt, disagreements, judge
from xtreme_stilts.report.results import BY_LAYER
from xtreme_stilts.report.sheets import Listing, Sheet
from xtreme_stilts.report.studies import Study


class Sentence(NamedTuple):
    """A paragraph; `lead` where it is a finding."""

    text: str
    lead: bool = False


class Notes(NamedTuple):
    """A list of sentences."""

    lines: tuple[str, ...]


class Maps(NamedTuple):
    """A sheet that is shown as a map of its scores and one of its differences."""

    sheet: Sheet


class Plain(NamedTuple):
    """A sheet without differences and colours."""

    sheet: Sheet


class Drawing(NamedTuple):
    """A figure of the page alone: inline SVG, made by `plots`."""

    svg: str


class Picture(NamedTuple):
    """A figure that is also written to files."""

    figure: Any  # figures.Figure
    svg: str


class Folded(NamedTuple):
    """Blocks that a page shows when asked to."""

    summary: str
    blocks: Sequence[Any]


class Section(NamedTuple):
    """A part of the report with its heading."""

    heading: str
    blocks: Sequence[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All that is written."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    failures: tuple[str, ...]  # parts that could not be made, in sentences
    source: str  # what it is made from, in words

    def blocks(self) -> Iterator[Any]:
        """Every block, folded ones included."""
        for section in self.sections:
            yield from _unfolded(section.blocks)

    def tell_failures(self) -> None:
        """Says on standard error what could not be made."""
        for failure in self.failures:
            print(f"report: {failure}", file=sys.stderr)


def _unfolded(blocks: Iterable[Any]) -> Iterator[Any]:
    for block in blocks:
        if isinstance(block, Folded):
            yield from _unfolded(block.blocks)
        else:
            yield block


def sheet_of(block: Any) -> Sheet | Listing | None:
    """The table in a block, whichever way it is shown; None where there is none."""
    block = block.sheet if isinstance(block, Maps | Plain) else block
    return block if isinstance(block, Sheet | Listing) else None


def build(studies: Sequence[Study], options: Options) -> Report:
    """Computes a report.

    Args:
        studies: at least one; with several, the first one's directory is where the report goes by default.
        options: how.

    Raises:
        UserError: no such model, split, test or correction; scores that cannot be tabulated.
    """
    failures: list[str] = []
    judged = judge(studies, options, failures=failures)
    names = _Names()
    parts: list[Section] = []
    if len(judged) > 1:
        parts.append(_joint(judged, options, names, failures))
    parts += [Section(_of("Results", each, judged), _results(each, options, names)) for each in judged]
    for each in judged:
        for target in _targets(each):
            made = attempt(
                f"{each.label}, {table.title(target)} by language",
                lambda each=each, target=target: list(_target(each, target, options, names)),
                otherwise=[],
                failures=failures,
            )
            parts.append(Section(_of(table.title(target), each, judged), made))
    parts += _drawn(studies, judged, names, failures)
    parts.append(Section("Statistics", _statistics(judged, options, names)))
    parts.append(Section("Run", _run(studies, names, failures)))
    return Report(
        title=" and ".join(dict.fromkeys(study.name for study in studies)),
        subtitle=_subtitle(judged),
        sections=tuple(part for part in parts if part.blocks),
        failures=tuple(failures),
        source=f"results.csv ({_count(sum(len(study.frame) for study in studies), 'score')})",
    )


class _Names:
    """Names of files, each given once: letters, digits and . _ - + of what is asked for."""

    def __init__(self):
        self._given: set[str] = set()

    def __call__(self, *parts: str) -> str:
        name = "-".join(re.sub(r"[^A-Za-z0-9._+]+", "_", part).strip("._") or "x" for part in parts if part)
        number, unique = 1, name
        while unique.lower() in self._given:  # some file systems do not tell A from a
            number += 1
            unique = f"{name}-{number}"
        self._given.add(unique.lower())
        return unique


def _of(heading: str, each: Judged, judged: Sequence[Judged]) -> str:
    return f"{heading} – {each.label}" if len(judged) > 1 else heading


def _targets(judged: Judged) -> list[str]:
    return [column for column in judged.everywhere.mean.columns if column != table.AVERAGE]


def _subtitle(judged: Sequence[Judged]) -> str:
    frame = pd.concat([each.frame for each in judged])
    seeds = sorted(frame["seed"].unique())
    return " · ".join(
        [
            "Intermediate-task training, evaluated across languages",
            ", ".join(each.label for each in judged),
            _count(len(set(frame["intermediate"]) - {table.BASELINE}), "intermediate task"),
            _count(frame["target"].nunique(), "target"),
            _count(frame["language"].nunique(), "language"),
            f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds",
        ]
    )


# --------------------------------------------------------------------------------------------------
# The paper's table


def _joint(judged: Sequence[Judged], options: Options, names: _Names, failures: list[str]) -> Section:
    """All models and studies in one table. What is not comparable is told on standard error too."""
    left_out = disagreements(judged, split=options.split)
    failures += left_out.values()
    tables = {each.label: each.everywhere for each in judged}
    shown = table.joint_table(tables, without=list(left_out))
    if len(shown.mean.columns) == 1:
        raise UserError(" ".join([*left_out.values(), "No target is left: report on each study alone."]))
    found = [
        each.average_lines().assign(row=f"{each.label}: " + each.average_lines()["row"].astype(str)) for each in judged
    ]
    sheet = sheets.paper_sheet(
        shown,
        name=names("joint"),
        title="All models",
        explained="each compared with its own row without intermediate training",
        found=_by_place(pd.concat(found)),
        published=options.published,
        notes=(*left_out.values(), "Marks: as in each model's own table below."),
        resamples=options.resamples,
    )
    return Section("All models side by side", [sheet])


def _by_place(found: pd.DataFrame, column: str = "target") -> pd.DataFrame:
    """Significance by (row, column of the sheet)."""
    return found.set_index(["row", column])


def _results(judged: Judged, options: Options, names: _Names) -> Iterable[Any]:
    blocks: list[Any] = []
    if finding := _finding(judged.everywhere):
        blocks.append(Sentence(finding, lead=True))
    if warning := provenance.unlearned(judged.study):
        blocks.append(Sentence(warning))
    blocks += _bars(judged.everywhere)
    lines = judged.average_lines()
    tested = sheets.notes_of_tests(
        lines, together=lines, test=options.test, correction=options.correction, resamples=options.resamples
    )
    if lines["p"].notna().any():
        tested.append("The average over targets is not tested.")
    main = sheets.paper_sheet(
        judged.everywhere,
        name=names(judged.label, "main"),
        title="All languages",
        explained="mean over each target's languages, English included",
        found=_by_place(lines),
        choices=judged.choices,
        published=options.published,
        notes=(*tested, *([sheets.power_note(judged.plans)] if judged.plans else []), *_choice_notes(judged)),
        resamples=options.resamples,
    )
    zero_shot = sheets.paper_sheet(
        judged.zero_shot,
        name=names(judged.label, "zero_shot"),
        title="Zero-shot",
        explained="the same without English, the language trained in; not tested",
        resamples=options.resamples,
    )
    zero_shot = dataclasses.replace(zero_shot, notes=tuple(note for note in zero_shot.notes if note not in main.notes))
    blocks += [main, zero_shot]
    if listing := sheets.interval_listing(main, name=names(judged.label, "intervals")):
        listing = dataclasses.replace(listing, notes=_interval_notes(main, options))
        blocks.append(Folded("Intervals and effect sizes", [listing]))
    return blocks


def _interval_notes(main: sheets.Sheet, options: Options) -> tuple[str, ...]:
    fewest = min(cell.seeds for line in main.lines if line.kind == sheets.ROW for cell in line.cells if cell.seeds)
    none = (
        f" Some scores have none (the bootstrap over seeds needs at least {sheets.SEEDS_NEEDED} seeds, and there is 1)."
        if fewest < sheets.SEEDS_NEEDED
        else ""
    )
    return (
        f"In brackets: 95 % intervals; of a score, by bootstrap over seeds (BCa, {options.resamples:,} resamples; "
        f"below about eight seeds it is too narrow); of a difference, over examples and seeds.{none}",
        "Effect size: Cohen's h for accuracy (0.2 small, 0.5 medium, 0.8 large); else Cohen's d, the mean of the "
        "seeds' paired differences by their standard deviation.",
    )


def _choice_notes(judged: Judged) -> list[str]:
    if not judged.choices:
        return []
    lines = [
        "Best per target: the intermediate task is chosen for each target among the rows but "
        f"{table.BASELINE!r}: by English validation data; or, as an upper bound and no zero-shot result, by an oracle, "
        "that is by the very scores in all languages that are shown."
    ]
    for rule, chosen in judged.choices.items():
        (note,) = chosen.loc[chosen["target"] == table.AVERAGE, "note"]
        if note:
            left_out = ", ".join(map(table.title, note.removeprefix("without ").split(", ")))
            lines.append(f"Average of {sheets.CHOICES[rule]}: without {left_out}, which has no full choice.")
    return lines


def _finding(main: table.Table) -> str:
    """The table in a sentence."""
    average = main.delta[table.AVERAGE].dropna()
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


def _bars(main: table.Table) -> Iterator[Drawing]:
    average = main.delta[table.AVERAGE].dropna()
    if len(average) < 2:
        return
    bars = [
        plots.Bar(label=row, value=value, spread=main.std.at[row, table.AVERAGE], text=_points(value))
        for row, value in average.sort_values(ascending=False, kind="stable").items()
    ]
    every = len(main.average_over) == len(main.mean.columns) - 1
    over = "all targets" if every else "the targets every row has"
    yield Drawing(
        plots.delta_bars(
            bars,
            x_label=f"points above {table.BASELINE!r}, average over {over}",
            description=f"{main.model}: average difference to no intermediate task, per intermediate task",
        )
    )


# --------------------------------------------------------------------------------------------------
# Targets by language


def _target(judged: Judged, target: str, options: Options, names: _Names) -> Iterator[Any]:
    shared = {"model": judged.model, "split": options.split}
    primary = table.language_table(judged.frame, target, **shared)
    rows = judged.frame[judged.frame["target"] == target]
    metrics = table.primary_metrics(target, rows["metric"])
    variant = table.choose_variant(rows[rows["metric"].isin(metrics)], split=options.split)
    judged_by = metrics[0] if len(metrics) == 1 else "mean of " + " and ".join(metrics)
    languages = [name for name in primary.mean.columns if name != table.AVERAGE]
    judged_by = _capital(judged_by.replace("_", " "))
    yield Sentence(f"{judged_by}, percent; {variant}; {_count(len(languages), 'language')}.")
    lines = judged.found[judged.found["target"] == target]
    tested = sheets.notes_of_tests(
        lines[lines["language"] != table.AVERAGE],
        together=judged.language_lines(),
        test=options.test,
        correction=options.correction,
        resamples=options.resamples,
    )
    sheet = sheets.language_sheet(
        primary,
        target=target,
        means={"mean": judged.everywhere, "zero-shot": judged.zero_shot},
        name=names(judged.label, target),
        title=table.title(target),
        explained="by language",
        found=_by_place(lines, "language"),
        notes=(*tested, "A mark of the mean is that of the paper's table.") if lines["p"].notna().any() else tested,
        resamples=min(options.resamples, _QUICK),
    )
    yield Maps(sheet)
    details: list[Any] = []
    if listing := sheets.interval_listing(sheet, name=names(judged.label, target, "intervals")):
        details.append(listing)
    for metric in sorted(name for name in rows["metric"].unique() if not name.endswith(BY_LAYER)):
        if metrics != (metric,) or (primary.seeds > 1).to_numpy().any():
            shown = table.language_table(judged.frame, target, metric=metric, **shared)
            details.append(Plain(_metric_sheet(shown, metric, name=names(judged.label, target, metric))))
    if details:
        yield Folded("Intervals, effect sizes and every metric by language", details)


_QUICK = 1000  # resamples of an interval over seeds by language: there are hundreds, and three seeds give few values


def _metric_sheet(shown: table.Table, metric: str, *, name: str) -> Sheet:
    columns = list(shown.mean.columns)
    return Sheet(
        name=name,
        title=_capital(metric.replace("_", " ")),
        columns=tuple(columns),
        groups=("",) * len(columns),
        lines=tuple(
            sheets.Line(row, [table.cell(shown, row, column) for column in columns]) for row in shown.mean.index
        ),
    )


# --------------------------------------------------------------------------------------------------
# Figures, mining and retrieval, cost

RETRIEVAL, COST = "Mining and retrieval", "Cost"


def _drawn(studies: Sequence[Study], judged: Sequence[Judged], names: _Names, failures: list[str]) -> Iterator[Section]:
    """Figures by the sections they name; those of retrieval and of cost stand beside their tables."""
    pictures = attempt("Figures", lambda: _pictures(studies, failures), otherwise={}, failures=failures)
    beside = {RETRIEVAL: [], COST: []}
    for heading, drawn in pictures.items():
        own = next((name for name in beside if _words(name) & _words(heading)), None)
        if own is None:
            yield Section(heading, drawn)
        else:
            beside[own] += drawn
    for each in judged:
        listing = attempt(
            f"{each.label}, mining thresholds",
            lambda each=each: provenance.thresholds(each.study, each.frame, name=names(each.label, "thresholds")),
            otherwise=None,
            failures=failures,
        )
        if listing is not None:
            title = f"{listing.title} – {each.label}" if len(judged) > 1 else listing.title
            beside[RETRIEVAL].append(Folded(title, [listing]))
    for study in studies:
        listing = attempt(
            f"{study.name}, cost",
            lambda study=study: provenance.cost(study, name=names(study.name, "cost")),
            otherwise=None,
            failures=failures,
        )
        beside[COST] += [] if listing is None else [listing]
    for heading, blocks in beside.items():
        yield Section(heading, blocks)


def _words(heading: str) -> set[str]:
    return set(re.findall(r"\w+", heading.lower())) - {"and"}


def _pictures(studies: Sequence[Study], failures: list[str]) -> dict[str, list[Picture]]:
    from xtreme_stilts.report.figures import figures  # a fault in there must cost the figures only

    by_section: dict[str, list[Picture]] = {}
    for figure in figures(studies, baseline=table.BASELINE):
        svg = attempt(f"Figure {figure.name}", figure.svg, otherwise="", failures=failures)
        if svg:
            by_section.setdefault(_capital(figure.section), []).append(Picture(figure, svg))
    return by_section


# --------------------------------------------------------------------------------------------------
# Statistics' notes, the run


def _statistics(judged: Sequence[Judged], options: Options, names: _Names) -> Iterable[Any]:
    blocks: list[Any] = []
    for each in judged:
        listing = sheets.power_listing(each.plans, name=names(each.label, "power"))
        if listing is not None:
            blocks.append(dataclasses.replace(listing, title=_of(listing.title, each, judged)))
    if any(len(each.found) for each in judged):
        blocks.append(Notes(_method(options)))
    return blocks


def _method(options: Options) -> tuple[str, ...]:
    return (
        f"Test: {sheets.TESTS[options.test]}; a difference is taken within each seed and on the same examples.",
        f"Correction: {sheets.CORRECTIONS[options.correction]}. The averages of the paper's table are corrected "
        "together, the languages of all targets together.",
        "Languages with equally many examples share their draws, so that translations of one test set are not taken "
        "for independent evidence.",
        "A mark says that a difference is unlikely to be chance, not that it is large; no mark does not say that there "
        "is none. No test speaks of other data, encoders or recipes.",
    )


def _run(studies: Sequence[Study], names: _Names, failures: list[str]) -> Iterable[Any]:
    blocks: list[Any] = []
    for study in studies:
        made = attempt(
            f"{study.name}, facts", lambda study=study: list(_facts(study, names)), otherwise=[], failures=failures
        )
        blocks += made
    blocks.append(provenance.versions(name=names("versions")))
    return blocks


def _facts(study: Study, names: _Names) -> Iterator[Any]:
    yield provenance.facts(study, name=names(study.name, "facts"))
    if (data := provenance.data_versions(study, name=names(study.name, "data"))) is not None:
        yield Folded(f"Data sets ({len(data.rows)})", [data])
    if study.config:
        listing = provenance.configuration(study, name=names(study.name, "config"))
        yield Folded(f"Configuration ({_count(len(listing.rows), 'field')})", [listing])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _points(value: float) -> str:
    return cells.signed(value).replace("-", "−")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
