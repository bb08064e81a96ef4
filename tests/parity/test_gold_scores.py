"""Gold against gold is 100 for every family that is scored, and guessing is at the level that chance predicts.

Outputs are one-hot (at the gold, or at random) and go the way a model's go: cache, decoder, metric. Retrieval has no
head, so embeddings take their place: a pair shares a vector. Families of text (MLM) have a loss and no score.

Levels of guessing, of n independent trials with probability p each: 100 p, give or take four standard deviations,
400 sqrt(p (1 - p) / n). Seeds are fixed.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from xtreme_stilts import tasks
from xtreme_stilts.data.features import Example, Limits
from xtreme_stilts.data.tokenizer import Tokenizer, load_tokenizer
from xtreme_stilts.evaluation import metrics, mining, retrieval
from xtreme_stilts.evaluation.qa_metrics import squad_tokens
from xtreme_stilts.evaluation.score import score
from xtreme_stilts.evaluation.spans import exact_slice
from xtreme_stilts.tasks import Family

SCORED = [family.name for family in tasks.families() if family.kind not in ("embedding", "mlm")]
MINI = [name for name in SCORED if name.startswith("mini_")]
MINI_RETRIEVAL = [
    family.name for family in tasks.families() if family.kind == "embedding" and family.name.startswith("mini_")
]
WIDTH = 256  # of embeddings; random ones of this width are nearly orthogonal


@pytest.fixture(scope="module")
def mini() -> Tokenizer:
    return load_tokenizer("mini")


def whole_rows(family: Family) -> Limits:
    """Nothing is cut but long contexts."""
    return Limits(max_length=128 if family.kind == "span" else 512)


def assert_perfect(scores: dict[str, float]) -> None:
    values = {name: value for name, value in scores.items() if not name.endswith("_threshold")}
    assert values == dict.fromkeys(values, pytest.approx(100.0))


# Gold against gold


def made_up(family: Family) -> list[Example]:
    """Examples that use every label, number of a choice and shape of targets a family has."""
    pair = ("one text", "another text")
    if family.kind == "classification":
        return [Example(f"{label} {i}", pair, (label,)) for label in family.labels for i in range(2)]
    if family.kind == "regression":
        return [Example(str(value), pair, (str(value),)) for value in (0.0, 1.25, 2.5, 3.8, 5.0)]
    if family.kind == "choice":
        texts = tuple(f"choice {i}" for i in range(family.num_choices))
        return [Example(str(i), ("context", *texts), (str(i),)) for i in range(family.num_choices)]
    if family.kind == "tagging":
        orders = [family.labels, family.labels[::-1], np.random.default_rng(0).permutation(list(family.labels) * 9)]
        return [Example(str(i), tuple(f"w{k}" for k in range(len(o))), tuple(o)) for i, o in enumerate(orders)]
    context = " ".join(f"red {i} green," for i in range(200))  # several windows
    answers = [context.index(f"{i} ") for i in (0, 40, 111, 199)]
    answered = [
        Example(f"q{at}", ("which one?", context), (context[at : at + 9].strip(),) * 2, (at, at)) for at in answers
    ]
    return answered + [Example("none", ("which one?", context))] * (family.metric == "squad_v2")


@pytest.mark.parametrize("name", SCORED)
def test_made_up_gold_of_every_family(name, cached, mini, gold_outputs):
    family = tasks.family(name)
    if not isinstance(family.labels, tuple):  # known once the data are there
        links = {"train": family.train or "-", "validation": family.validation or ""}
        family = dataclasses.replace(family, labels=("N", "N/N", "S\\NP"), **links)
    examples = made_up(family)
    cache = cached(family, examples, tokenizer=mini, limits=whole_rows(family))
    scored = score(family, gold_outputs(family, cache), cache=cache, language=family.languages[0])
    assert len(scored.predictions) == len(examples)
    assert_perfect(scored.scores)
    assert metrics.primary_value(family.metric, scored.scores) == pytest.approx(100.0)


@pytest.mark.parametrize("name", MINI)
def test_gold_of_the_miniature(name, read, cached, mini, gold_outputs):
    family = tasks.family(name)
    for language in {family.languages[0], family.languages[-1]}:
        split = "test" if family.has("test", language) else "validation"
        examples = read(f"{name}.{language}", split)
        cache = cached(family, examples, tokenizer=mini, limits=whole_rows(family))
        scored = score(family, gold_outputs(family, cache), cache=cache, language=language)
        assert len(scored.predictions) == len(examples) > 0
        assert_perfect(scored.scores)


REAL = [
    ("xnli.sw", "test"), ("pawsx.ko", "test"), ("panx.de", "validation"), ("mrpc.en", "validation"),
    ("cola.en", "validation"), ("stsb.en", "train"), ("hellaswag.en", "validation"), ("boolq.en", "validation"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "split"), REAL)
def test_gold_of_real_rows(task, split, real, cached, mini, gold_outputs):
    family, language = tasks.task(task)
    examples = real(task, split, 500)
    cache = cached(family, examples, tokenizer=mini, limits=whole_rows(family))
    scored = score(family, gold_outputs(family, cache), cache=cache, language=language)
    assert scored.targets == [
        list(e.targets) if family.kind == "tagging" else type(t)(e.targets[0])
        for e, t in zip(examples, scored.targets, strict=True)
    ]
    assert_perfect(scored.scores)


def vectors(own: list[Example], english: list[Example], *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random embeddings of both sides, in which the sentences of a gold pair share one."""
    random = np.random.default_rng(seed)
    right = random.normal(size=(len(english), WIDTH))
    place = {example.id: i for i, example in enumerate(english)}
    left = random.normal(size=(len(own), WIDTH))
    for i, example in enumerate(own):
        for target in example.targets:
            left[i] = right[place[target]]
    return left, right


def retrieval_score(own: list[Example], english: list[Example], left: np.ndarray, right: np.ndarray) -> float:
    place = {example.targets[0]: i for i, example in enumerate(own)}
    gold = [place[example.id] for example in english]
    found = retrieval.retrieve(right, left).tolist()
    return metrics.metric("retrieval_accuracy")(found, gold)["accuracy"]


def mined(own: list[Example], english: list[Example], left: np.ndarray, right: np.ndarray) -> mining.MinedPairs:
    sides = ((own, left), (english, right))
    return mining.mine_pairs(*(mining.Corpus([e.id for e in s], [e.inputs[0] for e in s], v) for s, v in sides))


def pairs(own: list[Example]) -> list[tuple[str, str]]:
    return [(example.id, target) for example in own for target in example.targets]


def mining_score(sides: dict[str, tuple[list[Example], list[Example]]], *, embed) -> float:
    """Test F1 at the threshold that is best on the validation split."""
    candidates = {split: mined(*side, *embed(*side, seed=i)) for i, (split, side) in enumerate(sides.items())}
    threshold = mining.fit_threshold(candidates["validation"], pairs(sides["validation"][0]))
    found = candidates["test"].at_least(threshold.value)
    return metrics.metric("mining_f1")(found, pairs(sides["test"][0]))["f1"]


def random_vectors(own: list[Example], english: list[Example], *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(len(own), WIDTH)), random.normal(size=(len(english), WIDTH))


@pytest.mark.parametrize("name", MINI_RETRIEVAL)
def test_gold_pairs_of_the_miniature(name, read):
    family = tasks.family(name)
    own = f"{name}.{family.languages[-1]}"
    sides = {split: (read(own, split), read(tasks.english_side(own), split)) for split in family.splits}
    if family.metric == "mining_f1":
        assert mining_score(sides, embed=vectors) == 100.0
    else:
        assert retrieval_score(*sides["test"], *vectors(*sides["test"], seed=0)) == 100.0


def test_gold_pairs_of_tatoeba(real):
    sides = real("tatoeba.te", "test"), real("tatoeba.te_en", "test")
    assert len(sides[0]) == len(sides[1]) == 234
    assert retrieval_score(*sides, *vectors(*sides, seed=0)) == 100.0


@pytest.fixture(scope="module")
def bucc(shared_data) -> dict[str, tuple[list[Example], list[Example]]]:
    """Both sides and splits of sentences in the layout of BUCC 2018."""
    folder = shared_data / "raw" / "bucc2018_from_sib200"

    def lines(name: str) -> list[list[str]]:
        return [line.split("\t") for line in (folder / name).read_text("utf-8").splitlines()]

    sides = {}
    for split, part in (("validation", "dev"), ("test", "test")):
        gold = dict(lines(f"zh-en.{part}.gold"))
        own = [Example(i, (text,), (gold[i],) if i in gold else ()) for i, text in lines(f"zh-en.{part}.zh")]
        sides[split] = (own, [Example(i, (text,)) for i, text in lines(f"zh-en.{part}.en")])
    return sides


def test_gold_pairs_in_the_layout_of_bucc(bucc):
    assert mining_score(bucc, embed=vectors) == 100.0


# Guessing


def tolerance(p: float, n: int) -> float:
    return 400 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize(
    ("task", "split", "level", "rows"),
    [
        ("xnli.en", "test", 1 / 3, 5010),
        ("pawsx.zh", "test", 1 / 2, 2000),
        ("hellaswag.en", "validation", 1 / 4, 1500),
    ],
)
def test_random_labels(task, split, level, rows, real, cached, mini):
    """Whatever the gold labels, one of k labels at random is right with probability 1 / k."""
    family, language = tasks.task(task)
    cache = cached(family, real(task, split, rows), tokenizer=mini, limits=Limits(max_length=32))
    logits = np.random.default_rng(0).normal(size=(rows, round(1 / level)))
    accuracy = score(family, {"logits": list(logits)}, cache=cache, language=language).scores["accuracy"]
    assert accuracy == pytest.approx(100 * level, abs=tolerance(level, rows))


def test_random_tags(real, cached, mini):
    """One of 17 tags at random for each word."""
    family = tasks.family("udpos")
    cache = cached(family, real("udpos.en", "test"), tokenizer=mini)
    random = np.random.default_rng(0)
    outputs = {"tags": [random.integers(17, size=size) for size in cache.sizes]}
    scored = score(family, outputs, cache=cache, language="en")
    words = sum(map(len, scored.targets))
    assert words > 20_000
    assert scored.scores["accuracy"] == pytest.approx(100 / 17, abs=tolerance(1 / 17, words))
    assert scored.scores["f1"] < 2 * 100 / 17  # a chunk takes both of its ends


@pytest.mark.parametrize("task", ["stsb.en", "cola.en"])
def test_random_values_do_not_correlate(task, real, cached, mini):
    """The correlation of n independent pairs has mean 0 and standard deviation 1 / sqrt(n)."""
    family, language = tasks.task(task)
    cache = cached(family, real(task, "train", 2000), tokenizer=mini, limits=Limits(max_length=32))
    random = np.random.default_rng(0)
    outputs = {"value": list(random.normal(size=2000)), "logits": list(random.normal(size=(2000, 2)))}
    scores = score(family, outputs, cache=cache, language=language).scores
    for name in {"pearson", "spearman", "matthews"} & set(scores):
        assert abs(scores[name]) < 400 / math.sqrt(2000)
    assert {"pearson", "spearman", "matthews"} & set(scores)


def test_random_answers(read, cached, mini):
    """One token of the context at random. Its chance is the share of tokens that are an exact match by themselves."""
    family = tasks.family("mini_xquad")
    examples = read("mini_xquad.en", "test")
    cache = cached(family, examples, tokenizer=mini, limits=Limits(max_length=128))
    random = np.random.default_rng(0)
    assert len(cache) == len(examples)  # one window each
    outputs, chances = {"start_logits": [], "end_logits": []}, []
    for row, example in enumerate(examples):
        columns = cache.row(row)
        places = np.flatnonzero(columns["char_end"] > columns["char_start"])
        texts = [exact_slice(example.inputs[1], columns["char_start"][i], columns["char_end"][i]) for i in places]
        golds = [squad_tokens(answer) for answer in example.targets]
        chances.append(np.mean([squad_tokens(text) in golds for text in texts]))
        logits = np.zeros(cache.sizes[row], np.float32)
        logits[random.choice(places)] = 1.0
        outputs["start_logits"].append(logits)
        outputs["end_logits"].append(logits)
    exact = score(family, outputs, cache=cache, language="en").scores["exact_match"]
    deviation = 100 * math.sqrt(sum(p * (1 - p) for p in chances)) / len(chances)
    assert np.mean(chances) > 0
    assert exact == pytest.approx(100 * np.mean(chances), abs=4 * deviation)


def test_random_neighbours():
    """The nearest of 200 sentences by random embeddings is the right one in one of 200 cases."""
    own = [Example(str(i), ("x",), (str(i),)) for i in range(200)]
    scores = [retrieval_score(own, own, *random_vectors(own, own, seed=seed)) for seed in range(20)]
    assert np.mean(scores) == pytest.approx(0.5, abs=tolerance(1 / 200, 20 * 200))


def test_random_mining(bucc):
    """A random link of 439 x 439 sentences is one of 175 gold pairs in 0.09 % of cases, and there are no more than
    439 links: 0.4 right ones are expected. More than 5 (a chance of 1 in 250,000) would be 1.6 % F1."""
    own, english = bucc["test"]
    assert (len(own), len(english), len(pairs(own))) == (439, 439, 175)
    assert mining_score(bucc, embed=random_vectors) <= 100 * 2 * 5 / (1 + 175)  # with as little as one link kept
    everything = mined(own, english, *random_vectors(own, english, seed=3)).pairs
    assert len(everything) > 200
    assert metrics.metric("mining_f1")(everything, pairs(own))["f1"] <= 100 * 2 * 5 / (len(everything) + 175)
