"""What the parity tests share: the real tokenizer, real rows through the registered tasks, and outputs a perfect
model would give."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from xtreme_stilts import tasks
from xtreme_stilts.data.cache import Cache, build
from xtreme_stilts.data.features import Example, Limits
from xtreme_stilts.data.tokenizer import Tokenizer, load_tokenizer
from xtreme_stilts.evaluation.predict import Outputs
from xtreme_stilts.tasks import Family


@pytest.fixture(scope="session")
def xlmr(shared_data) -> Tokenizer:
    return load_tokenizer(shared_data / "tokenizer" / "xlmr")


@pytest.fixture
def read():
    """`read(task, split)`: all examples of a task; `read(task, split, 10)`: the first ten."""
    seqio_tasks = pytest.importorskip("xtreme_stilts.tasks.seqio_tasks")

    def examples(name: str, split: str, count: int | None = None) -> list[Example]:
        return list(map(Example.of, itertools.islice(seqio_tasks.examples(name, split), count)))

    return examples


@pytest.fixture
def real(shared_data, read) -> Iterator:
    """`read`, with the real rows in place."""
    import seqio

    tasks.configure(data_dir=str(shared_data / "tfds"))
    yield read
    tasks.configure()
    seqio.set_tfds_data_dir_override(None)


@pytest.fixture
def cached(tmp_path):
    """`cached(family, examples, tokenizer=, limits=)`: the cache of some examples, which `score` reads."""

    def of(family: Family, examples: list[Example], *, tokenizer: Tokenizer, limits: Limits = Limits()) -> Cache:
        return build(
            family.name,
            "test",
            kind=family.kind,
            tokenizer=tokenizer,
            cache_dir=tmp_path / str(limits.max_length),
            labels=family.labels,
            num_choices=family.num_choices,
            limits=limits,
            examples=examples,
        )

    return of


@pytest.fixture(scope="session")
def gold_outputs():
    """`gold_outputs(family, cache)`: one-hot outputs at the gold label, word tag or answer tokens of every row."""
    return lambda family, cache: _GOLD[family.kind](family, cache, list(cache.examples()))


def _one_hot_labels(family: Family, cache: Cache, examples: list[Example]) -> Outputs:
    classes = np.eye(len(family.labels), dtype=np.float32)
    return {"logits": [classes[family.labels.index(e.targets[0])] for e in examples]}


def _one_hot_choices(family: Family, cache: Cache, examples: list[Example]) -> Outputs:
    return {"logits": [np.eye(family.num_choices, dtype=np.float32)[int(e.targets[0])] for e in examples]}


def _values(family: Family, cache: Cache, examples: list[Example]) -> Outputs:
    return {"value": [np.float64(e.targets[0]) for e in examples]}


def _tags(family: Family, cache: Cache, examples: list[Example]) -> Outputs:
    """The gold tag where a word begins, a random one at every other token."""
    random = np.random.default_rng(0)
    number = {label: i for i, label in enumerate(family.labels)}
    rows = []
    for row in range(len(cache)):
        word = cache.row(row)["word"]
        tags = random.integers(len(number), size=len(word))
        gold = examples[cache.columns["example"][row]].targets
        tags[word >= 0] = [number[gold[i]] for i in word[word >= 0]]
        rows.append(tags)
    return {"tags": rows}


def _one_hot_spans(family: Family, cache: Cache, examples: list[Example]) -> Outputs:
    """1 at the start and end of the answer; at <s> where the question has none; 0 throughout windows without it."""
    outputs: Outputs = {"start_logits": [], "end_logits": []}
    for row, size in enumerate(cache.sizes):
        answered = cache.columns["end"][row] > 0
        unanswerable = not examples[cache.columns["example"][row]].targets
        for column in ("start", "end"):
            logits = np.zeros(size, np.float32)
            logits[cache.columns[column][row]] = float(answered or unanswerable)
            outputs[f"{column}_logits"].append(logits)
    return outputs


_GOLD = {
    "classification": _one_hot_labels,
    "regression": _values,
    "choice": _one_hot_choices,
    "tagging": _tags,
    "span": _one_hot_spans,
}
