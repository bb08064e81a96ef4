"""Predictions of XLM-R: ours, packed, against Hugging Face's PyTorch model, padded.

    python -m benchmarks.inference --data DIR --json inference.json
    python -m benchmarks.inference --lengths squad

No dropout; torch in `inference_mode`; both with the whole word table, since other languages use other rows. See
`side_by_side` for what the workloads are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import common, side_by_side


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    given = side_by_side.parsed(side_by_side.arguments(__doc__, repeats=7), argv)
    return side_by_side.compare(given, name="inference", training=False, embeddings=("dense",))


if __name__ == "__main__":
    with common.reported_errors():
        main()
