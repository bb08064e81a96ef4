"""One optimizer step of XLM-R: ours, packed, against Hugging Face's PyTorch model, padded.

    python -m benchmarks.train_step --data DIR --json train.json
    python -m benchmarks.train_step --lengths squad --embeddings both
    python -m benchmarks.train_step --device gpu --tokens-per-step 65536

Both train with dropout 0.1, AdamW and clipping. See `side_by_side` for what the workloads are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import common, side_by_side

EMBEDDINGS = {"active": ("active",), "dense": ("dense",), "both": ("active", "dense")}


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = side_by_side.arguments(__doc__, repeats=4)
    parser.add_argument(
        "--embeddings",
        choices=sorted(EMBEDDINGS),
        help="ours: a word table of the ids in use, of all, or one after the other (default: both; active for large)",
    )
    given = side_by_side.parsed(parser, argv)
    given.embeddings = given.embeddings or ("active" if given.preset == "large" else "both")
    return side_by_side.compare(given, name="train_step", training=True, embeddings=EMBEDDINGS[given.embeddings])


if __name__ == "__main__":
    with common.reported_errors():
        main()
