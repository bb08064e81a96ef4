"""Many tests at once: p values corrected, and the marks that a table shows of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from xtreme_stilts.errors import UserError

MARKS = ((0.01, "‡"), (0.05, "†"))  # by corrected p, strictest first; "*" is the table's mark of partial means


def holm(p: Sequence[float]) -> np.ndarray:
    """p values corrected so that the chance of *any* false finding among them is bounded (Holm 1979).

    The k-th smallest of m is multiplied by m - k + 1; no corrected value is below that of a smaller p, or above 1.
    NaN stays NaN and does not count.
    """
    return _of_finite(p, _holm)


def benjamini_hochberg(p: Sequence[float]) -> np.ndarray:
    """p values corrected so that the expected *share* of false findings is bounded (Benjamini and Hochberg 1995).

    Rows and languages are positively dependent, which the method allows. NaN stays NaN and does not count.
    """
    return _of_finite(p, functools.partial(stats.false_discovery_control, method="bh"))


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def _of_finite(p: Sequence[float], correct: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    corrected = np.array(p, np.float64)
    there = np.isfinite(corrected)
    if ((corrected[there] < 0) | (corrected[there] > 1)).any():
        raise UserError("p: found a value outside 0 to 1")
    if there.any():
        corrected[there] = correct(corrected[there])
    return corrected


CORRECTIONS: Mapping[str, Callable[[Sequence[float]], np.ndarray]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": lambda p: np.array(p, np.float64),
}
