"""What there is, as plain records and as tables: families, suites and mixtures with their sizes. No TensorFlow.

A record of a family is a dict of plain values, the same for people and machines; `rows` in it goes by split and
language and lacks what is not on this machine.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import rich.table
import rich.text
from rich.console import Console
from rich.padding import Padding

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.quiet import native_stderr
from xtreme_stilts.tasks.registry import SPLITS
from xtreme_stilts.tasks.sizes import rows

COLUMNS = ("family", "kind", "metric", "labels", "trained_on", "suites", "language", "split", "rows")  # of the CSV
_MANY = 60  # languages; those of larger families are shown by `family_text` only


def labels_of(family: tasks.Family) -> tuple[str, ...] | None:
    """The label strings; None where the data decide and are not here."""
    if isinstance(family.labels, tuple):
        return family.labels
    if all(rows(name, split) is None for name in family.tasks for split in tasks.task(name).splits):
        return None  # said without loading TensorFlow
    try:
        with native_stderr():
            return tuple(family.labels)
    except UserError:
        return None


def family_record(family: tasks.Family) -> dict[str, Any]:
    """A family as plain values. `labels` is their number, for multiple choice that of the choices; None = unknown."""
    labels = labels_of(family)
    sizes = {
        split: {
            language: count
            for language in family.languages
            if family.has(split, language) and (count := rows(family.task_name(language), split)) is not None
        }
        for split in family.splits
    }
    return {
        "family": family.name,
        "kind": family.kind,
        "metric": family.metric,
        "labels": family.num_choices if family.kind == "choice" else None if labels is None else len(labels),
        "languages": list(family.languages),
        "splits": list(family.splits),
        "trained_on": family.train,
        "suites": [name for name in tasks.suites() if family in tasks.suite(name)],
        "rows": sizes,
    }


def catalogue() -> dict[str, Any]:
    """Everything registered: `families` (records), `suites` and `mixtures` (name -> members)."""
    return {
        "families": [family_record(family) for family in tasks.families()],
        "suites": {name: [family.name for family in tasks.suite(name)] for name in tasks.suites()},
        "mixtures": {mixture.name: list(mixture.tasks) for mixture in tasks.mixtures()},
    }


def to_csv(records: Iterable[Mapping[str, Any]]) -> str:
    """One line for each family, language and split it has; `rows` is empty where the data are not here."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        family = tasks.family(record["family"])
        same = [record[name] for name in COLUMNS[:5]] + [" ".join(record["suites"])]
        for language in record["languages"]:
            for split in record["splits"]:
                if family.has(split, language):
                    writer.writerow([*same, language, split, record["rows"][split].get(language)])
    return text.getvalue()


# --------------------------------------------------------------------------------------------------
# Tables


def print_catalogue(found: Mapping[str, Any], *, console: Console) -> None:
    """The families, each under the first suite that has it, the languages, the suites and the mixtures."""
    groups: dict[str, list[Mapping[str, Any]]] = {name: [] for name in (*found["suites"], "in no suite")}
    for record in found["families"]:
        groups[record["suites"][0] if record["suites"] else "in no suite"].append(record)
    for name, records in groups.items():
        if records:
            console.print(f"[bold]{name}[/bold]")
            console.print(Padding(_families_table(records), (0, 0, 1, 0)))
    console.print(
        "Rows are summed over languages; + means that some languages are not prepared here, - that none is."
        " In brackets: labels, or choices.\n"
    )
    by_languages: dict[str, list[str]] = {}
    for record in found["families"]:
        codes = record["languages"]
        name = record["family"]
        many = f"{len(codes)}, listed by `python -m xtreme_stilts.tasks {name}`"
        by_languages.setdefault(" ".join(codes) if len(codes) <= _MANY else many, []).append(name)
    print_members("languages", {" ".join(names): codes for codes, names in by_languages.items()}, console=console)
    print_members("suites", {name: " ".join(members) for name, members in found["suites"].items()}, console=console)
    print_members("mixtures", {name: " ".join(each) for name, each in found["mixtures"].items()}, console=console)


def _families_table(records: Iterable[Mapping[str, Any]]) -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("family", "head", "metric"):
        table.add_column(heading, overflow="fold")
    table.add_column("langs", justify="right")
    table.add_column("trained on", overflow="fold")
    for split in SPLITS:
        table.add_column(split, justify="right", no_wrap=True)
    for record in records:
        number = f" ({record['labels']})" if record["labels"] else " (?)" if record["labels"] is None else ""
        own = f"{record['family']}."
        trained = record["trained_on"] or "-"
        table.add_row(
            record["family"],
            record["kind"] + number,
            record["metric"],
            str(len(record["languages"])),
            f"itself ({trained.removeprefix(own)})" if trained.startswith(own) else trained,
            *(total(record, split) for split in SPLITS),
        )
    return table


def total(record: Mapping[str, Any], split: str) -> str:
    """Rows of a split over all languages, for people."""
    if split not in record["splits"]:
        return ""
    family = tasks.family(record["family"])
    found = record["rows"][split]
    partial = any(family.has(split, language) and language not in found for language in family.languages)
    return f"{sum(found.values()):,}{'+' if partial else ''}" if found else "-"


def print_members(title: str, members: Mapping[str, str], *, console: Console) -> None:
    """Names with what belongs to each, wrapped under itself."""
    console.print(f"[bold]{title}[/bold]")
    table = rich.table.Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(ratio=1, overflow="fold", max_width=36)
    table.add_column(ratio=3, overflow="fold")
    for name, text in members.items():
        table.add_row(rich.text.Text(name), rich.text.Text(text, style="dim"))
    console.print(Padding(table, (0, 0, 1, 2)))


def print_suite(name: str, records: Sequence[Mapping[str, Any]], *, console: Console) -> None:
    """The families of a suite."""
    console.print(f"[bold]suite {name}[/bold]")
    console.print(Padding(_families_table(records), (0, 0, 1, 2)))


def print_family(family: tasks.Family, *, console: Console) -> None:
    """What a family is, and its rows by language and split."""
    record = family_record(family)
    labels = labels_of(family)
    said = {
        "head": family.kind + (f" with {family.num_choices} choices" if family.kind == "choice" else ""),
        "labels": "decided by the data, which are not here" if labels is None else " ".join(labels) or "none",
        "metric": family.metric,
        "longest": f"{family.max_length} tokens",
        "trained on": family.train or "nothing",
        "selected on": f"{family.validation} validation" if family.validation else "nothing",
        "suites": " ".join(record["suites"]) or "none",
    }
    print_members(f"family {family.name}", said, console=console)
    splits = [split for split in family.splits if any(family.has(split, each) for each in family.languages)]
    table = rich.table.Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("task")
    for split in splits:
        table.add_column(split, justify="right")
    for language in family.languages:
        sizes = [record["rows"][split].get(language) for split in splits]
        shown = [
            f"{size:,}" if size is not None else "-" if family.has(split, language) else ""
            for size, split in zip(sizes, splits, strict=True)
        ]
        table.add_row(family.task_name(language), *shown)
    if len(family.languages) > 1:
        table.add_section()
        table.add_row("all", *(total(record, split) for split in splits))
    console.print(Padding(table, (0, 0, 1, 2)))


def print_mixture(mixture: tasks.Mixture, *, console: Console) -> None:
    """A mixture's tasks with their sizes and shares of the training stream."""
    console.print(f"[bold]mixture {mixture.name}[/bold]")
    sizes = {name: _train_rows(name) for name in mixture.tasks}
    complete = all(sizes.values())
    rates = mixture.sampling_rates(sizes, progress=0.5) if complete else {}
    table = rich.table.Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("task", "head"):
        table.add_column(heading)
    for heading in ("rows of train", "share of stream"):
        table.add_column(heading, justify="right")
    for name, size in sizes.items():
        share = f"{100 * rates[name] / sum(rates.values()):.1f} %" if complete else "-"
        table.add_row(name, tasks.task(name).family.kind, f"{size:,}" if size else "-", share)
    console.print(Padding(table, (0, 0, 1, 2)))
    console.print(f"  {_sampling(mixture)}\n")


def _sampling(mixture: tasks.Mixture) -> str:
    """How a mixture's tasks are sampled, in words."""
    cap = f", rows capped at {mixture.cap:,}" if mixture.cap else ""
    rate = {
        "uniform": "1",
        "specified": "as specified",
        "scheduled": "as scheduled, here half-way",
    }.get(mixture.sampling, f"weight x rows ^ (1 / {mixture.temperature:g}){cap}")
    beside = f"; {100 * mixture.mlm_rate:g} % of the steps are language modelling" if mixture.mlm else ""
    return f"rate of a task: {rate}{beside}"


def _train_rows(name: str) -> int | None:
    return rows(name, "train") if "train" in tasks.task(name).splits else None
