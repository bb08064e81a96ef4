"""Margin mining against a literal implementation, thresholds against trying all, and BUCC-format runs."""

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.metrics import METRICS
from xtreme_stilts.evaluation.mining import Corpus, MinedPairs, Pair, fit_threshold, margin_links, mine_pairs


def literal_links(x, y, k):
    """[(source, target, margin)] by loops over all pairs in float64."""
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x.astype(np.float64), y.astype(np.float64)))
    cosine = x @ y.T
    near_y = [sorted(range(len(y)), key=lambda j, i=i: -cosine[i, j])[:k] for i in range(len(x))]
    near_x = [sorted(range(len(x)), key=lambda i, j=j: -cosine[i, j])[:k] for j in range(len(y))]
    x_mean = [sum(cosine[i, j] for j in near_y[i]) / len(near_y[i]) for i in range(len(x))]
    y_mean = [sum(cosine[i, j] for i in near_x[j]) / len(near_x[j]) for j in range(len(y))]

    def margin(i, j):
        return cosine[i, j] / ((x_mean[i] + y_mean[j]) / 2)

    candidates = []
    for i in range(len(x)):
        j = max(near_y[i], key=lambda j: margin(i, j))
        candidates.append((margin(i, j), i, j))
    for j in range(len(y)):
        i = max(near_x[j], key=lambda i: margin(i, j))
        candidates.append((margin(i, j), i, j))
    candidates.sort(key=lambda c: -c[0])
    links = []
    for score, i, j in candidates:
        if all(i != a and j != b for a, b, _ in links):
            links.append((i, j, score))
    return [link for link in links if link[2] > 0]


@pytest.mark.parametrize(("m", "n", "k"), [(60, 90, 4), (40, 40, 1), (3, 2, 4), (1, 1, 4)])
def test_links_against_loops(m, n, k):
    rng = np.random.default_rng(m)
    x = rng.normal(size=(m, 12))
    y = rng.normal(size=(n, 12))
    shared = min(m, n) // 2
    y[:shared] = x[:shared] + 0.8 * rng.normal(size=(shared, 12))
    links = margin_links(x, y, neighbours=k)
    expected = literal_links(x, y, k)
    assert list(zip(links.source.tolist(), links.target.tolist(), strict=True)) == [link[:2] for link in expected]
    np.testing.assert_allclose(links.score, [link[2] for link in expected], rtol=1e-4)
    assert (np.diff(links.score) <= 0).all()


def test_links_are_one_to_one_and_ties_go_to_the_earlier_candidate():
    x = np.asarray([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    links = margin_links(x, x, neighbours=1)
    assert links.source.tolist() == [0, 2]  # 1 wants 0 as well, and is left without
    assert links.target.tolist() == [0, 2]


def test_a_zero_embedding_is_never_linked():
    links = margin_links(np.asarray([[0.0, 0.0], [1.0, 0.0]]), np.asarray([[1.0, 0.1], [0.0, 0.0]]))
    assert (links.source.tolist(), links.target.tolist()) == ([1], [0])
    assert np.isfinite(links.score).all()


def corpora():
    """Two German ids share a text; the English side has one repeated text of its own."""
    vectors = np.eye(4)
    german = Corpus(["de-1", "de-2", "de-3", "de-4"], ["a", "b", "a ", "c"], vectors[[0, 1, 0, 2]])
    english = Corpus(["en-1", "en-2", "en-3", "en-4"], ["A", "B", "C", "C"], vectors[[0, 1, 2, 2]])
    return german, english


def test_duplicates_are_expanded():
    mined = mine_pairs(*corpora(), duplicates="jiant")
    assert set(mined.pairs) == {
        ("de-1", "en-1"), ("de-3", "en-1"), ("de-2", "en-2"), ("de-4", "en-3"), ("de-4", "en-4"),
    }  # fmt: skip
    assert len(mined.pairs) == 5


def test_duplicates_are_dropped():
    assert mine_pairs(*corpora(), duplicates="xtreme").pairs == (Pair("de-2", "en-2"),)


def test_unknown_rule_for_duplicates():
    with pytest.raises(UserError, match="did you mean 'xtreme'"):
        mine_pairs(*corpora(), duplicates="extreme")


def mined_from(scores, correct):
    """Candidates with these scores; the right ones have equal numbers on both sides."""
    pairs = tuple(Pair(f"x{i}", f"y{i if good else -i - 1}") for i, good in enumerate(correct))
    return MinedPairs(pairs, np.asarray(scores, float))


def test_threshold_by_hand():
    gold = [("x0", "y0"), ("x2", "y2"), ("x9", "y9")]
    mined = mined_from([1.5, 1.3, 1.2, 1.0], [True, False, True, False])
    # kept 1: f1 2*1/(1+3); 2: 2/5; 3: 4/6; 4: 4/7
    threshold = fit_threshold(mined, gold)
    assert threshold.value == pytest.approx(1.1)
    assert threshold.f1 == pytest.approx(100 * 4 / 6)
    assert mined.at_least(threshold.value) == list(mined.pairs[:3])


def test_threshold_when_all_are_kept_is_the_last_score():
    mined = mined_from([1.5, 1.2], [True, True])
    assert fit_threshold(mined, [("x0", "y0"), ("x1", "y1")]) == (1.2, 100.0)


def test_threshold_without_any_right_pair_keeps_all():
    mined = mined_from([1.5, 1.2], [False, False])
    assert fit_threshold(mined, [("x0", "y0")]) == (0.0, 0.0)
    assert fit_threshold(MinedPairs((), np.zeros(0)), [("x0", "y0")]) == (0.0, 0.0)
    with pytest.raises(UserError, match="gold"):
        fit_threshold(mined, [])


def test_threshold_cannot_be_beaten():
    """Against every score as threshold, scored through at_least; many scores are equal."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = int(rng.integers(1, 30))
        scores = np.sort(rng.integers(0, 12, size) / 8 + 0.5)[::-1]
        mined = mined_from(scores, rng.random(size) < 0.5)
        gold = [(f"x{i}", f"y{i}") for i in range(size) if rng.random() < 0.8] or [("x0", "y0")]
        threshold = fit_threshold(mined, gold)
        f1 = [METRICS["mining_f1"](mined.at_least(t), gold)["f1"] for t in [threshold.value, *scores, 9.0]]
        assert f1[0] == pytest.approx(max(f1))
        assert f1[0] == pytest.approx(threshold.f1)


def read_bucc(folder, language, split):
    """(source ids and texts, target ids and texts, gold pairs)"""

    def lines(suffix):
        path = folder / f"{language}-en.{split}.{suffix}"
        return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]

    return [tuple(zip(*lines(side), strict=True)) for side in (language, "en")], [tuple(pair) for pair in lines("gold")]


def embed(sides, gold, rng, noise):
    """Corpora in which the two sentences of a gold pair have the same vector up to noise."""
    vectors = {i: rng.normal(size=32) for ids, _ in sides for i in ids}
    vectors |= {target: vectors[source] for source, target in gold}
    return [
        Corpus(ids, texts, np.stack([vectors[i] for i in ids]) + noise * rng.normal(size=(len(ids), 32)))
        for ids, texts in sides
    ]


@pytest.mark.parametrize("language", ["de", "fr", "ru", "zh"])
def test_perfect_embeddings_of_a_bucc_corpus(shared_data, language):
    folder = shared_data / "raw" / "bucc2018_from_sib200"
    rng = np.random.default_rng(0)
    sides, gold = read_bucc(folder, language, "dev")
    threshold = fit_threshold(mine_pairs(*embed(sides, gold, rng, 0)), gold)
    assert threshold.f1 == 100.0
    sides, gold = read_bucc(folder, language, "test")
    mined = mine_pairs(*embed(sides, gold, rng, 0))
    assert METRICS["mining_f1"](mined.at_least(threshold.value), gold, language=language)["f1"] == 100.0


def test_noisy_embeddings_of_a_bucc_corpus_against_loops(shared_data):
    rng = np.random.default_rng(1)
    sides, gold = read_bucc(shared_data / "raw" / "bucc2018_from_sib200", "de", "dev")
    source, target = embed(sides, gold, rng, 0.7)
    mined = mine_pairs(source, target)
    links = literal_links(source.embeddings, target.embeddings, 4)
    assert mined.pairs == tuple((source.ids[i], target.ids[j]) for i, j, _ in links)
    f1 = fit_threshold(mined, gold).f1
    every = [METRICS["mining_f1"]([mined.pairs[j] for j in range(i)], gold)["f1"] for i in range(len(links) + 1)]
    assert f1 == pytest.approx(max(every))
    assert 50 < f1 < 100
