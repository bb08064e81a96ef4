"""One score of a table, with all that is known of it, and how it is written.

Terms as in `table` and `statistics`. A number that is not known is NaN, and is not written.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

MISSING = "–"
PARTIAL = "*"  # marks a mean over some of a target's languages only


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A score and its difference to the baseline."""

    score: float = math.nan  # percent, mean over seeds
    std: float = math.nan  # points, sample standard deviation over seeds
    low: float = math.nan  # percent, 95 % bootstrap interval of the mean over seeds
    high: float = math.nan
    seeds: int = 0
    partial: bool = False  # of some languages only
    best: bool = False  # the highest full score of its column, to one decimal
    delta: float = math.nan  # points above the baseline
    delta_low: float = math.nan  # points, 95 % interval of the difference
    delta_high: float = math.nan
    p: float = math.nan
    p_corrected: float = math.nan
    mark: str = ""  # of significance
    examples: int = 0  # behind p
    effect: float = math.nan  # size of the difference beside its noise (`sheets.effect_of` says by which measure)
    name: str = ""  # what else is to be told: the intermediate chosen, the layer of a published score


class CellText(NamedTuple):
    """A cell in words: all that printed tables show."""

    score: str  # "73.4", "–" where missing
    mark: str  # "*" where partial, or ""
    spread: str  # "±0.3" or ""
    delta: str  # "+1.2" or ""; with the mark of significance, "+1.2†"
    best: bool


def text(cell: Cell) -> CellText:
    """A cell to one decimal."""
    if math.isnan(cell.score) and math.isnan(cell.delta):
        return CellText(MISSING, mark="", spread="", delta="", best=False)
    return CellText(
        score=MISSING if math.isnan(cell.score) else f"{cell.score:.1f}",
        mark=PARTIAL if cell.partial else "",
        spread="" if math.isnan(cell.std) else f"±{cell.std:.1f}",
        delta="" if math.isnan(cell.delta) else signed(cell.delta) + cell.mark,
        best=cell.best,
    )


def details(cell: Cell) -> str:
    """What a cell is too small for, as one line: intervals, p values, counts; empty where there is nothing more."""
    parts = [cell.name]
    if not math.isnan(cell.low):
        parts.append(f"mean over seeds {cell.low:.1f} to {cell.high:.1f}")
    if not math.isnan(cell.delta_low):
        parts.append(f"difference {signed(cell.delta_low)} to {signed(cell.delta_high)}")
    if not math.isnan(cell.p):
        parts.append(f"p {p_text(cell.p)}, corrected {p_text(cell.p_corrected)}")
        parts.append(f"{cell.examples:,} examples")
    if not math.isnan(cell.effect):
        parts.append(f"effect {cell.effect:+.2f}")
    if cell.seeds > 1:
        parts.append(f"{cell.seeds} seeds")
    return "; ".join(filter(None, parts)).replace("-", "−")


def p_text(p: float) -> str:
    """A p value to three decimals."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def signed(delta: float) -> str:
    """A delta to one decimal with its sign; 0.0 where it rounds to nothing."""
    rounded = round(delta, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"
