"""Margin mining against a literal implementation, thresholds against trying all, and BUCC-format runs."""

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.metrics import METRICS
from xtreme_stilts.evaluation.mining import Corpus, MinedPairs, Pair, fit_threshold, margin_links, mine_pairs
from xtreme_stilts.tasks import sources


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


LANGUAGES = ("de", "fr", "ru", "zh")


def literal_mining(source, target, *, duplicates):
    """[(pair, margin)] from the definition: one row for each text, links by loops, then pairs of all its ids."""

    def merged(corpus):
        ids = {}
        for number, text in enumerate(corpus.texts):
            ids.setdefault(text.strip(), []).append(number)
        rows = list(ids.values())
        return rows, corpus.embeddings[[row[0] for row in rows]]

    (sources_, x), (targets, y) = merged(source), merged(target)
    found = []
    for i, j, score in literal_links(x, y, 4):
        pairs = [(source.ids[a], target.ids[b]) for a in sources_[i] for b in targets[j]]
        if duplicates == "jiant" or len(pairs) == 1:
            found += [(pair, score) for pair in pairs]
    return found


def f1_of(pairs, gold):
    right = len(set(pairs) & set(gold))
    return 200 * right / (len(set(pairs)) + len(set(gold)))


def literal_threshold(found, gold):
    """(threshold, F1): tries a cut below every margin, from the highest; the first of the best wins."""
    best = (0.0, 0.0)
    margins = sorted({score for _, score in found}, reverse=True)
    for margin, below in zip(margins, [*margins[1:], None], strict=True):
        f1 = f1_of([pair for pair, score in found if score >= margin], gold)
        if f1 > best[1]:
            best = (margin if below is None else (margin + below) / 2, f1)
    return best


def read_bucc(shared_data, language, split):
    """([(ids, texts) of the language's side, of the English side], gold pairs)"""

    def columns(suffix):
        path = shared_data / "raw" / "bucc2018_from_sib200" / f"{language}-en.{split}.{suffix}"
        return list(sources.columns(path, count=2))

    return [tuple(zip(*columns(side), strict=True)) for side in (language, "en")], columns("gold")


def corpora_of(sides, gold, draw, *, noise=0.0, rng=None):
    """Corpora in which the two sentences of a gold pair have the same vector, up to noise; others have their own."""
    vectors = {name: draw() for ids, _ in sides for name in ids}
    vectors |= {target: vectors[source] for source, target in gold}
    corpora = []
    for ids, texts in sides:
        embeddings = np.stack([vectors[name] for name in ids])
        if noise:
            embeddings = embeddings + noise * rng.normal(size=embeddings.shape)
        corpora.append(Corpus(ids, texts, embeddings))
    return corpora


def unit_vectors(rng, *, width):
    """Draws random unit vectors."""

    def draw():
        vector = rng.normal(size=width)
        return vector / np.linalg.norm(vector)

    return draw


@pytest.mark.parametrize("language", LANGUAGES)
def test_perfect_embeddings_of_a_bucc_corpus(shared_data, language):
    rng = np.random.default_rng(0)
    sides, gold = read_bucc(shared_data, language, "dev")
    threshold = fit_threshold(mine_pairs(*corpora_of(sides, gold, unit_vectors(rng, width=256))), gold)
    assert threshold.f1 == 100.0
    sides, gold = read_bucc(shared_data, language, "test")
    mined = mine_pairs(*corpora_of(sides, gold, unit_vectors(rng, width=256)))
    assert len(mined.pairs) > len(gold)  # the threshold has something to cut
    assert METRICS["mining_f1"](mined.at_least(threshold.value), gold, language=language)["f1"] == 100.0


@pytest.mark.parametrize("language", LANGUAGES)
def test_noisy_embeddings_of_a_bucc_corpus_against_loops(shared_data, language):
    """The threshold of dev, and on test the same pairs by that threshold."""
    rng = np.random.default_rng(1)
    sides, gold = read_bucc(shared_data, language, "dev")
    corpora = corpora_of(sides, gold, unit_vectors(rng, width=32), noise=0.14, rng=rng)
    expected = literal_mining(*corpora, duplicates="jiant")
    mined = mine_pairs(*corpora)
    assert list(mined.pairs) == [pair for pair, _ in expected]
    threshold, (value, f1) = fit_threshold(mined, gold), literal_threshold(expected, gold)
    assert threshold.value == pytest.approx(value, rel=1e-6)
    assert threshold.f1 == pytest.approx(f1)
    assert 50 < f1 < 100

    sides, gold = read_bucc(shared_data, language, "test")
    sides, gold = [(ids[:250], texts[:250]) for ids, texts in sides], gold[:60]  # loops are slow
    corpora = corpora_of(sides, gold, unit_vectors(rng, width=32), noise=0.14, rng=rng)
    kept = [pair for pair, score in literal_mining(*corpora, duplicates="jiant") if score >= value]
    assert mine_pairs(*corpora).at_least(threshold.value) == kept
    assert METRICS["mining_f1"](kept, gold)["f1"] == pytest.approx(f1_of(kept, gold))


@pytest.mark.parametrize("duplicates", ["jiant", "xtreme"])
@pytest.mark.parametrize("seed", [0, 1])
def test_tied_vectors_and_repeated_texts_against_loops(duplicates, seed):
    """Vectors of four entries of +-1/2: every cosine and every mean is exact, and most are shared by many."""
    rng = np.random.default_rng(seed)

    def draw():
        vector = np.zeros(8)
        vector[rng.choice(8, 4, replace=False)] = rng.choice([-0.5, 0.5], 4)
        return vector

    sides = []
    for side, count in (("de", 90), ("en", 110)):
        texts = [f"{side} text {rng.integers(count) if rng.random() < 0.3 else number}" for number in range(count)]
        texts = [text + " " * int(rng.integers(2)) for text in texts]
        sides.append(([f"{side}-{number}" for number in range(count)], texts))
    gold = [(f"de-{number}", f"en-{number}") for number in range(40)]
    corpora = corpora_of(sides, gold, draw)
    expected = literal_mining(*corpora, duplicates=duplicates)
    mined = mine_pairs(*corpora, duplicates=duplicates)
    assert list(zip(mined.pairs, mined.scores.tolist(), strict=True)) == expected
    assert len(set(mined.scores)) < len(mined.scores) / 2
    assert fit_threshold(mined, gold) == pytest.approx(literal_threshold(expected, gold))
    kept = mined.at_least(fit_threshold(mined, gold).value)
    assert METRICS["mining_f1"](kept, gold)["f1"] == pytest.approx(literal_threshold(expected, gold)[1])
