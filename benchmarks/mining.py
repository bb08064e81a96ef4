"""Exact nearest neighbours and margin mining: ours against faiss's IndexFlatIP.

    python -m benchmarks.mining --json mining.json
    python -m benchmarks.mining --sentences 50000 --repeats 1

Vectors are random, of length 1, the target's each near one of the source. Both sides search all pairs in float32;
`mine` is both directions, the ratio margin of four neighbours, and greedy one-to-one links, as evaluation/mining.py
defines them. The neighbours and links of both sides are compared.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import common

NEIGHBOURS = 4
DIRECTIONS = {"nearest": 1, "mine": 2}  # searches of a workload
NOISE = 0.5  # length of what is added to a source vector of length 1 to make its target vector


def vectors(*, sentences: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and target, float32[sentences, width] of length 1: target row i is near source row i."""
    random = np.random.default_rng(0)
    source = random.standard_normal((sentences, width), np.float32)
    source /= np.linalg.norm(source, axis=1, keepdims=True)
    target = source + NOISE / width**0.5 * random.standard_normal((sentences, width), np.float32)
    return source, target / np.linalg.norm(target, axis=1, keepdims=True)


class _Search:
    """What both sides share: the vectors, the clock, the results' file."""

    def __init__(self, *, sentences: int, width: int, folder: str):
        self.source, self.target = vectors(sentences=sentences, width=width)
        self._folder = pathlib.Path(folder)

    def nearest(self) -> dict[str, float]:
        """Every source sentence's nearest targets; `index` and `score` go to the file `nearest.npz`."""
        began = time.perf_counter()
        index, score = self.search(self.source, self.target)
        seconds = time.perf_counter() - began
        np.savez(self._folder / "nearest.npz", index=index, score=score)
        return {"seconds": seconds}

    def mine(self) -> dict[str, float]:
        """One-to-one links; `source` and `target` go to the file `links.npz`."""
        began = time.perf_counter()
        source, target = self.links()
        seconds = time.perf_counter() - began
        np.savez(self._folder / "links.npz", source=source, target=target)
        return {"seconds": seconds}

    def search(self, queries: np.ndarray, database: np.ndarray):
        raise NotImplementedError

    def links(self):
        raise NotImplementedError


class Ours(_Search):
    """`xtreme_stilts.evaluation`."""

    def search(self, queries, database):
        from xtreme_stilts.evaluation.retrieval import nearest

        return nearest(queries, database, k=NEIGHBOURS)

    def links(self):
        from xtreme_stilts.evaluation.mining import margin_links

        found = margin_links(self.source, self.target, neighbours=NEIGHBOURS)
        return found.source, found.target


class Faiss(_Search):
    """IndexFlatIP, and the margin in numpy."""

    def search(self, queries, database):
        import faiss

        index = faiss.IndexFlatIP(database.shape[1])
        index.add(database)
        score, found = index.search(queries, NEIGHBOURS)
        return found, score

    def links(self):
        (forward, forward_score), (backward, backward_score) = (
            self.search(self.source, self.target),
            self.search(self.target, self.source),
        )
        source_mean, target_mean = forward_score.mean(1), backward_score.mean(1)
        source_margin = forward_score / ((source_mean[:, None] + target_mean[forward]) / 2)
        target_margin = backward_score / ((target_mean[:, None] + source_mean[backward]) / 2)
        everyone = np.arange(len(self.source))
        best, back = source_margin.argmax(1), target_margin.argmax(1)
        pairs = np.concatenate(
            [
                np.stack([everyone, forward[everyone, best]], 1),
                np.stack([backward[everyone, back], everyone], 1),
            ]
        )
        scores = np.concatenate([source_margin[everyone, best], target_margin[everyone, back]])
        seen: tuple[set[int], set[int]] = (set(), set())
        kept = []
        for source, target in pairs[np.argsort(-scores, kind="stable")].tolist():
            if source not in seen[0] and target not in seen[1]:
                kept.append((source, target))
                seen[0].add(source)
                seen[1].add(target)
        return tuple(np.array(kept).T)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = common.arguments(__doc__, repeats=3)
    parser.add_argument("--sentences", type=int, default=20_000, help="on either side (default: %(default)s)")
    parser.add_argument("--width", type=int, default=1024)
    given = common.parsed(parser, argv)
    if given.quick:
        given.sentences, given.width, given.repeats = 500, 32, 2
    facts, notes = common.machine(), []
    sides = {"ours": "benchmarks.mining:Ours", "faiss": "benchmarks.mining:Faiss"}
    if not common.installed("faiss"):
        del sides["faiss"]
        notes.append("faiss is not installed (pip install faiss-cpu): our side alone")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        actions, folders = {}, {}
        for name, factory in sides.items():
            folders[name] = pathlib.Path(folder) / name
            folders[name].mkdir()
            settings = {"sentences": given.sentences, "width": given.width, "folder": str(folders[name])}
            side = common.Side(factory, settings=settings, environ=common.environment())
            stack.enter_context(side)
            for work in DIRECTIONS:
                actions[f"{name}_{work}"] = functools.partial(side.call, work)
                print(f"  first call of {name}_{work}: {side.call(work)['seconds']:.2f} s", flush=True)
        samples = common.interleave(actions, repeats=given.repeats, say=functools.partial(print, flush=True))
        agreement = compared(folders["ours"], folders["faiss"]) if "faiss" in sides else {}
    summaries = _summaries(samples, flops=2.0 * given.sentences**2 * given.width)
    common.show(summaries, title="search", columns=("seconds", "gflops_per_s", "peak_mib"))
    return common.report(
        "mining",
        given=given,
        machine=facts,
        sides=summaries,
        ratios=_ratios(summaries) if "faiss" in sides else {},
        notes=notes,
        agreement=agreement,
    )


def _summaries(samples: Mapping[str, Sequence[common.Sample]], *, flops: float) -> dict[str, dict[str, Any]]:
    """Every workload's numbers; `flops` are those of one direction."""
    summaries = {}
    for name, taken in samples.items():
        found = common.summary(taken)
        rate = DIRECTIONS[name.partition("_")[2]] * flops / found["seconds"]
        summaries[name] = {**found, "gflops_per_s": rate / 1e9}
    return summaries


def _ratios(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    ratios = {}
    for work in DIRECTIONS:
        ours, theirs = summaries[f"ours_{work}"], summaries[f"faiss_{work}"]
        ratios[f"{work}_time_vs_faiss"] = ours["seconds"] / theirs["seconds"]
        ratios[f"{work}_peak_memory_vs_faiss"] = ours["peak_mib"] / theirs["peak_mib"]
    return ratios


def compared(ours: pathlib.Path, theirs: pathlib.Path) -> dict[str, float]:
    """How far two sides' results agree: shares of 1, and the largest difference of a score."""
    with np.load(ours / "nearest.npz") as a, np.load(theirs / "nearest.npz") as b:
        found = {
            "same_neighbours": float((a["index"] == b["index"]).mean()),
            "largest_score_difference": float(np.abs(a["score"] - b["score"]).max()),
        }
    with np.load(ours / "links.npz") as a, np.load(theirs / "links.npz") as b:
        one, other = ({(int(x), int(y)) for x, y in zip(c["source"], c["target"], strict=True)} for c in (a, b))
    found["same_links"] = len(one & other) / max(1, len(one | other))
    print("agreement with faiss: " + ", ".join(f"{name} {value:.6g}" for name, value in found.items()))
    return found


if __name__ == "__main__":
    with common.reported_errors():
        main()
