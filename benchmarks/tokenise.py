"""Text to training rows: ours against a Hugging Face fast tokenizer called as `datasets.map` calls it.

    python -m benchmarks.tokenise --data DIR --json tokenise.json

`pairs` are XNLI's, cut to 128 tokens; `windows` those of SQuAD, of 384 tokens with a stride of 128, which to ours is
the distance of two windows' starts (as in the SQuAD script of BERT) and to Hugging Face's tokenizer their overlap: some
long paragraphs get another number of windows, and the report tells how many there are. Hugging Face's side gets 1,000
examples a call, as `map(batched=True)` gives it, and pads as its example scripts do; `windows_answers` also finds each
window's gold span, which ours always does. Ours encodes a text that several examples of a chunk share (a premise, a
paragraph) once. Neither side reads or writes files here.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import common

HF_BATCH = 1000  # of datasets.map
CHUNK = 2048  # examples ours encodes at once, as data/cache.py
PAIR_LENGTH, WINDOW_LENGTH, STRIDE = 128, 384, 128
LABELS = ("contradiction", "entailment", "neutral")
MINI_SIZE = 4000


class Texts:
    """Writes the text to be tokenised, one example a line. A process of its own, since TensorFlow reads it."""

    def write(self, data: str, folder: str, limit: int) -> dict[str, int]:
        """`pairs.jsonl` and `windows.jsonl`, of at most `limit` examples each; the miniature's without `data`."""
        found = {}
        for workload, examples in (self._real(data) if data else self._mini(limit)).items():
            lines = [example.to_json() for example in examples[:limit]]
            (pathlib.Path(folder) / f"{workload}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
            found[workload] = len(lines)
        return found

    def _real(self, data: str):
        from benchmarks.rows import examples_of

        return {"pairs": examples_of("xnli", data=data), "windows": examples_of("squad", data=data)}

    def _mini(self, limit: int):
        from xtreme_stilts.data.features import Example
        from xtreme_stilts.mini import datasets

        pairs = datasets.rows("multi_nli", split="train", size=min(limit, MINI_SIZE))
        questions = datasets.rows("squad/v1.1", split="train", size=min(limit, MINI_SIZE))
        return {
            "pairs": [
                Example(str(n), (row["premise"], row["hypothesis"]), (LABELS[row["label"]],))
                for n, row in enumerate(pairs)
            ],
            "windows": [
                Example(
                    row["id"],
                    (row["question"], row["context"]),
                    tuple(row["answers"]["text"]),
                    tuple(row["answers"]["answer_start"]),
                )
                for row in questions
            ],
        }


def _read(folder: str, workload: str) -> list[Any]:
    from xtreme_stilts.data.features import Example

    lines = (pathlib.Path(folder) / f"{workload}.jsonl").read_text("utf-8").splitlines()
    return [Example.of(json.loads(line)) for line in lines]


class Ours:
    """`xtreme_stilts.data.features.encode`."""

    def __init__(self, *, tokenizer: str, folder: str):
        from xtreme_stilts.data.features import Limits, Recipe
        from xtreme_stilts.data.tokenizer import load_tokenizer

        self._tokenizer = load_tokenizer(tokenizer)
        self._recipes = {
            "pairs": Recipe(kind="classification", labels=LABELS, limits=Limits(max_length=PAIR_LENGTH)),
            "windows": Recipe(kind="span", limits=Limits(max_length=WINDOW_LENGTH, doc_stride=STRIDE)),
        }
        self._examples = {workload: _read(folder, workload) for workload in self._recipes}

    def step(self, workload: str) -> dict[str, Any]:
        """All examples of a workload."""
        from xtreme_stilts.data.features import encode

        examples, rows, tokens = self._examples[workload], 0, 0
        began = time.perf_counter()
        for first in range(0, len(examples), CHUNK):
            found = encode(examples[first : first + CHUNK], recipe=self._recipes[workload], tokenizer=self._tokenizer)
            rows, tokens = rows + len(found.lengths), tokens + len(found.tokens)
        return {"seconds": time.perf_counter() - began, "examples": len(examples), "rows": rows, "tokens": tokens}


class HuggingFace:
    """`AutoTokenizer` in batches, with the arguments of the library's example scripts."""

    def __init__(self, *, tokenizer: str, folder: str):
        import transformers

        from xtreme_stilts.data.tokenizer import MINI

        self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(MINI) if tokenizer == "mini" else tokenizer)
        self._examples = {workload: _read(folder, workload) for workload in ("pairs", "windows")}
        self._examples["windows_answers"] = self._examples["windows"]
        self._encode = {"pairs": self._pairs, "windows": self._windows, "windows_answers": self._windows_answers}

    def step(self, workload: str) -> dict[str, Any]:
        """All examples of a workload."""
        examples, rows, tokens = self._examples[workload], 0, 0
        encode = self._encode[workload]
        began = time.perf_counter()
        for first in range(0, len(examples), HF_BATCH):
            found = encode(examples[first : first + HF_BATCH])
            rows += len(found["input_ids"])
            tokens += sum(map(sum, found["attention_mask"]))
        return {"seconds": time.perf_counter() - began, "examples": len(examples), "rows": rows, "tokens": tokens}

    def _pairs(self, examples):
        one, other = zip(*(example.inputs for example in examples), strict=True)
        return self._tokenizer(list(one), list(other), padding="max_length", max_length=PAIR_LENGTH, truncation=True)

    def _windows(self, examples):
        questions, contexts = zip(*(example.inputs for example in examples), strict=True)
        return self._tokenizer(
            list(questions),
            list(contexts),
            truncation="only_second",
            max_length=WINDOW_LENGTH,
            stride=STRIDE,  # tokens that two windows share; to ours it is the distance of their starts
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length",
        )

    def _windows_answers(self, examples):
        found = self._windows(examples)
        found["start"], found["end"] = [], []
        for window, number in enumerate(found["overflow_to_sample_mapping"]):
            start, end = self._span(found, window, examples[number])
            found["start"].append(start)
            found["end"].append(end)
        return found

    @staticmethod
    def _span(found, window: int, example) -> tuple[int, int]:
        """First and last token of the answer, 0 where the window lacks it."""
        if not example.targets:
            return 0, 0
        begin, stop = example.starts[0], example.starts[0] + len(example.targets[0])
        offsets, sequences = found["offset_mapping"][window], found.sequence_ids(window)
        context = [i for i, sequence in enumerate(sequences) if sequence == 1]
        if not context or offsets[context[0]][0] > begin or offsets[context[-1]][1] < stop:
            return 0, 0
        start = max(i for i in context if offsets[i][0] <= begin)
        end = min(i for i in context if offsets[i][1] >= stop)
        return start, end


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the benchmark and returns its report."""
    parser = common.arguments(__doc__, repeats=5)
    common.add_data(parser)
    parser.add_argument("--limit", type=int, default=5000, help="examples of a workload at most (default: %(default)s)")
    given = common.parsed(parser, argv)
    if given.quick:
        given.data, given.limit, given.repeats = "", 100, 2
    facts, environ = common.machine(), common.environment(TOKENIZERS_PARALLELISM="true")
    tokenizer = str(pathlib.Path(given.data) / "tokenizer" / "xlmr") if given.data else "mini"
    notes = [] if given.data else ["made-up sentences and the miniature tokenizer: short texts, few words"]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        with common.Side("benchmarks.tokenise:Texts", settings={}, environ=environ) as texts:
            counts = texts.call("write", data=given.data, folder=folder, limit=given.limit)
        print(f"{counts['pairs']} pairs, {counts['windows']} questions", flush=True)
        settings = {"tokenizer": tokenizer, "folder": folder}
        sides = {"ours": ("Ours", ("pairs", "windows")), "hf": ("HuggingFace", ("pairs", "windows", "windows_answers"))}
        actions = {}
        for name, (factory, workloads) in sides.items():
            side = common.Side(f"benchmarks.tokenise:{factory}", settings=settings, environ=environ)
            stack.enter_context(side)
            for workload in workloads:
                actions[f"{name}_{workload}"] = functools.partial(side.call, "step", workload=workload)
                actions[f"{name}_{workload}"]()
        samples = common.interleave(actions, repeats=given.repeats, say=functools.partial(print, flush=True))
    summaries = {}
    for name, taken in samples.items():
        found = common.summary(taken, counts=("examples", "tokens"))
        summaries[name] = {**found, "rows": taken[0]["rows"], "tokens": taken[0]["tokens"]}
    common.show(summaries, title="text", columns=("seconds", "examples_per_s", "tokens_per_s", "rows", "peak_mib"))
    rate = {name: one["examples_per_s"] for name, one in summaries.items()}
    ratios = {
        "examples_per_s_pairs_vs_hf": rate["ours_pairs"] / rate["hf_pairs"],
        "examples_per_s_windows_vs_hf": rate["ours_windows"] / rate["hf_windows"],
        "examples_per_s_windows_vs_hf_with_answers": rate["ours_windows"] / rate["hf_windows_answers"],
    }
    return common.report("tokenise", given=given, machine=facts, sides=summaries, ratios=ratios, notes=notes)


if __name__ == "__main__":
    with common.reported_errors():
        main()
