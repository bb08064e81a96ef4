"""A study directory as a run leaves it."""

from __future__ import annotations

import hashlib
import json
import pathlib

import numpy as np

from xtreme_stilts.evaluation import metrics
from xtreme_stilts.report import results
from xtreme_stilts.report.results import Result

LABELS = ["entailment", "neutral"]


class Study:
    """Writes a study directory as a run leaves it."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.rows, self.random = folder, [], np.random.default_rng(0)

    def phase(self, row: str, target: str, seed: int, *, best_value: float | None = None) -> str:
        """Its fingerprint."""
        fingerprint = hashlib.sha256(f"{row} {target} {seed}".encode()).hexdigest()
        folder = self.folder / "phases" / f"{target}-seed{seed}-{fingerprint[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        if best_value is not None:
            (folder / "done.json").write_text(json.dumps({"steps": 5, "best_step": 5, "best_value": best_value}))
        return fingerprint

    def result(self, row: str, target: str, language: str, values: dict[str, float], seed: int, **changes) -> None:
        fields = {"model": "mini", "split": "test", "examples": 10, "seed": seed} | changes
        self.rows += [
            Result(intermediate=row, target=target, language=language, metric=name, value=value, **fields)
            for name, value in values.items()
        ]

    def scored(self, row: str, target: str, language: str, lines: list[dict], metric: str, seed: int = 0) -> None:
        fingerprint = self.phase(row, target, seed)
        predictions, targets = ([line[name] for line in lines] for name in ("prediction", "target"))
        values = metrics.metric(metric)(predictions, targets, language=language)
        self.result(row, target, language, values, seed, examples=len(lines), fingerprint=fingerprint)
        self.write(target, language, fingerprint, lines)

    def write(self, target: str, language: str, fingerprint: str, lines: list[dict]) -> pathlib.Path:
        (folder,) = (self.folder / "phases").glob(f"*-{fingerprint[:12]}")
        path = folder / "evaluations" / target / f"{language}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return path

    def nli(self, row: str, *, language: str, accuracy: float, seed: int = 0, examples: int = 400) -> None:
        hits = self.random.random(examples) < accuracy
        lines = [
            {"id": str(i), "prediction": LABELS[0] if hit else LABELS[1], "target": LABELS[0]}
            for i, hit in enumerate(hits)
        ]
        self.scored(row, "mini_xnli", language, lines, "accuracy", seed)

    def done(self) -> pathlib.Path:
        results.write(self.folder / "results.csv", self.rows)
        return self.folder


MINED = {
    "none": [("s1", "t1", True, True), ("s2", "t9", True, False), ("s2", "t2", False, True), ("s3", "t3", False, True)],
    "better": [("s1", "t1", True, True), ("s2", "t2", True, True), ("s3", "t3", True, True)],
}


def mined(made: Study, *, with_gold: bool) -> None:
    for row, pairs in MINED.items():
        f1 = 100 * 2 * 1 / (2 + 3) if row == "none" else 100.0
        fingerprint = made.phase(row, "mini_bucc2018", 0)
        place = {"fingerprint": fingerprint, "layer": 1, "pooling": "mean"}
        made.result(row, "mini_bucc2018", "de", {"f1": f1}, 0, **place)
        made.result(row, "mini_bucc2018", "de", {"f1_by_layer": f1}, 0, **place)
        own = {"f1_by_layer": 10.0 if row == "none" else 30.0}
        made.result(row, "mini_bucc2018", "de", own, 0, split="validation", **place)
        made.result(row, "mini_bucc2018", "de", {"f1": own["f1_by_layer"]}, 0, split="validation", **place)
        other = place | {"layer": 0}
        made.result(row, "mini_bucc2018", "de", {"f1_by_layer": 99.0}, 0, split="validation", **other)
        lines = [
            {"source": source, "target": target} | ({"mined": found, "gold": gold} if with_gold else {})
            for source, target, found, gold in pairs
            if found or with_gold
        ]
        made.write("mini_bucc2018", "de", fingerprint, lines)
