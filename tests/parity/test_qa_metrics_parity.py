"""Answer scores against plain character-by-character implementations of the published definitions.

Written from the definitions, without regular expressions: lower case; delete punctuation (SQuAD: ASCII's; MLQA: also
Unicode's); put a blank for each article; split (MLQA Chinese: a Han character is a token by itself). A word, for the
articles, is a maximal run of letters, digits and underscores; a combining mark ends it. Arabic's article is deleted
inside words, too.
"""

from __future__ import annotations

import random
import string
import unicodedata

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.evaluation.qa_metrics import mlqa, mlqa_tokens, squad_tokens, squad_v1, squad_v2
from xtreme_stilts.evaluation.spans import Prediction, Span

LANGUAGES = tasks.family("mlqa").languages
ARTICLES = {
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "vi": "của là cái chiếc những",
    "de": "ein eine einen einem eines einer der die das den dem des",
    "ar": "",
    "hi": "",
    "zh": "",
}
WORDS = {
    "en": "Cat END theatre another Athens 1,5 x_y U.S.A. naïve",
    "es": "niño Ella losa Año unos-pocos ¿qué? Córdoba",
    "vi": "nhà Lào xe là-là cáich Phi\u0301a những",
    "de": "Straße STRASSE derart dem-nach Größe ẞ Einer",
    "ar": "الكتاب بالبيت كتاب لا الى وال ١٩٤٥ هَمْزَة،",
    "hi": "भारत राजधानी। हिन्दी १२३ की-के अंतर्राष्ट्रीय",
    "zh": "北京 大学2008年 《红楼梦》 a北b 㐀 龥龦 ２００８ ，。",
}
PIECES = [
    *" \t\n\u00a0\u3000\u200b\u2028", *string.punctuation, *"“”„«»¿¡—–…·。、，؟،।॥՝·'‘’", *"€$+<=>^`|~°№",
    *"İıßſǅﬁ½²Å", "e\u0301", "\u0301", "\U0001f600", "\U00020000", "",
]  # fmt: skip


def random_text(rng: random.Random, language: str) -> str:
    """Some words, articles and oddities, with and without blanks between them; sometimes nothing."""
    sources = [ARTICLES[language].split() or ["ال"], WORDS[language].split(), ARTICLES["en"].split(), PIECES]
    pieces = [rng.choice(rng.choice(sources)) for _ in range(rng.choice([0, 1, 2, 3, 5, 8]))]
    return "".join(rng.choice([str, str.upper, str.title])(p) + rng.choice(["", " ", " "]) for p in pieces)


def plain_tokens(text: str, *, articles: list[str], punctuation) -> list[str]:
    text = "".join(c for c in text.lower() if not punctuation(c))
    words, run = [], ""
    for c in text + " ":
        if c.isalnum() or c == "_":
            run += c
            continue
        words += [" " if run in articles else run, c]
        run = ""
    return "".join(words).split()


def plain_squad(text: str) -> list[str]:
    return plain_tokens(text, articles=["a", "an", "the"], punctuation=lambda c: c in string.punctuation)


def is_punctuation(c: str) -> bool:
    return c in string.punctuation or unicodedata.category(c).startswith("P")


def plain_mlqa(text: str, language: str) -> list[str]:
    if language == "ar":
        text = "".join(c for c in text.lower() if not is_punctuation(c)).replace("ال", " ")
    tokens = plain_tokens(text, articles=ARTICLES[language].split(), punctuation=is_punctuation)
    if language != "zh":
        return tokens
    apart = []
    for token in tokens:
        rest = ""
        for c in token:
            if 0x4E00 <= ord(c) <= 0x9FA5:
                apart += [rest, c]
                rest = ""
            else:
                rest += c
        apart.append(rest)
    return [token for token in apart if token]


def plain_f1(predicted: list[str], gold: list[str]) -> float:
    """Harmonic mean of precision and recall over tokens, each gold token matched once."""
    left, same = list(gold), 0
    for token in predicted:
        if token in left:
            left.remove(token)
            same += 1
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def plain_scores(predictions, targets, tokens) -> dict[str, float]:
    exact = f1 = 0.0
    for prediction, answers in zip(predictions, targets, strict=True):
        if prediction is None:
            continue
        exact += max(tokens(prediction) == tokens(answer) for answer in answers)
        f1 += max(plain_f1(tokens(prediction), tokens(answer)) for answer in answers)
    return {"exact_match": 100 * exact / len(targets), "f1": 100 * f1 / len(targets)}


def random_questions(language: str, *, seed: int, count: int) -> tuple[list[str | None], list[list[str]]]:
    """Predictions and accepted answers; a good part are variants of each other, so that scores are not all 0."""
    rng = random.Random(f"{language}{seed}")
    predictions, targets = [], []
    for _ in range(count):
        answers = [random_text(rng, language) for _ in range(rng.randint(1, 4))]
        article = rng.choice(ARTICLES[language].split() or ["ال"])
        near = [rng.choice(answers), f"{article} {answers[0]}", answers[0].upper() + ".", f"“{answers[-1]}” xyz"]
        near += [random_text(rng, language), None]
        predictions.append(rng.choice(near))
        targets.append(answers)
    return predictions, targets


@pytest.mark.parametrize("language", LANGUAGES)
def test_tokens_of_random_texts(language):
    rng = random.Random(language)
    some, different = 0, 0
    for _ in range(3000):
        text = random_text(rng, language)
        assert squad_tokens(text) == plain_squad(text), ascii(text)
        assert mlqa_tokens(text, language) == plain_mlqa(text, language), ascii(text)
        some += bool(plain_mlqa(text, language))
        different += plain_squad(text) != plain_mlqa(text, language)
    assert some > 1500 and different > 300  # the texts try the rules


@pytest.mark.parametrize("language", LANGUAGES)
def test_scores_of_random_questions(language):
    for seed in range(5):
        predictions, targets = random_questions(language, seed=seed, count=300)
        expected = plain_scores(predictions, targets, plain_squad)
        assert squad_v1(predictions, targets) == pytest.approx(expected)
        assert all(10 < value < 90 for value in expected.values())
        expected = plain_scores(predictions, targets, lambda text: plain_mlqa(text, language))
        assert mlqa(predictions, targets, language=language) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("language", "prediction", "answers", "exact", "f1"),
    [
        # the en article is deleted, "Año" is not one; 2 of 3 and 2 of 2 tokens
        ("en", "the Año 1900 war", ["año war"], 0, 2 * (2 / 3) / (5 / 3)),
        ("es", "El gato y la «luna»", ["gato y luna"], 1, 1),
        ("de", "„Die Brücke“ am Fluss", ["brücke", "der Fluss"], 0, 2 * (1 / 3) / (4 / 3)),
        ("ar", "في البيت", ["بيت"], 0, 2 * (1 / 2) / (3 / 2)),
        ("hi", "नई दिल्ली।", ["नई दिल्ली", "दिल्ली"], 1, 1),
        ("vi", "Của những người", ["người"], 1, 1),
        ("zh", "公元2008年", ["2008年", "公元"], 0, 2 * (2 / 4) / (2 / 4 + 1)),
    ],
)
def test_mlqa_by_hand(language, prediction, answers, exact, f1):
    assert mlqa([prediction], [answers], language=language) == pytest.approx(
        {"exact_match": 100 * exact, "f1": 100 * f1}
    )


# SQuAD 2.0


def plain_v2(text: str, answers: list[str]) -> tuple[float, float]:
    """Exact match and F1 of one question; answers of articles and punctuation alone do not count; without any, no
    answer is right. Where either side has no token, F1 is whether both have none."""
    golds = [plain_squad(answer) for answer in answers if plain_squad(answer)] or [[]]
    tokens = plain_squad(text)
    f1 = [plain_f1(tokens, gold) if tokens and gold else float(tokens == gold) for gold in golds]
    return float(tokens in golds), max(f1)


def random_v2(seed: int, *, odds: list[float]) -> tuple[list[Prediction], list[list[str]]]:
    """Questions with a best text each and null odds; two in five have no answer, or only one that does not count."""
    rng = random.Random(seed)
    predictions, targets = [], []
    for null_odds in odds:
        text = random_text(rng, "en").strip() or "red"
        answers = [text] if rng.random() < 0.5 else [random_text(rng, "en"), random_text(rng, "en")]
        targets.append(rng.choice([[], ["the", "."]]) if rng.random() < 0.4 else answers)
        span = Span(text, 1.0, 0, len(text))
        predictions.append(Prediction("" if null_odds > 0 else text, 1.0, null_odds, (span,)))
    return predictions, targets


def scripts_scan(texts: list[str], odds: list[float], targets: list[list[str]], *, column: int) -> float:
    """The best threshold as SQuAD 2.0's script finds it: from all answered "" on, let in one question after another
    in order of their odds. The script counts an unanswerable question as lost once its (non-empty) text is in."""
    has_answer = [any(map(plain_squad, answers)) for answers in targets]
    total = best = sum(not has for has in has_answer)
    for i in sorted(range(len(texts)), key=odds.__getitem__):
        total += plain_v2(texts[i], targets[i])[column] if has_answer[i] else -1
        best = max(best, total)
    return 100 * best / len(texts)


def score_at(threshold: float, *, odds: float, text: str, answers: list[str]) -> tuple[float, float]:
    """Exact match and F1 of one question at a threshold, where an unanswerable one must not be given any text."""
    unanswerable = not any(map(plain_squad, answers))
    if odds > threshold or unanswerable:
        right = float(odds > threshold and unanswerable)
        return right, right
    return plain_v2(text, answers)


def test_squad_v2_of_random_questions():
    for seed in range(30):
        rng = random.Random(seed)
        predictions, targets = random_v2(seed, odds=[rng.gauss(0, 2) for _ in range(100)])
        given = [plain_v2(p.text, answers) for p, answers in zip(predictions, targets, strict=True)]
        exact, f1 = (sum(column) for column in zip(*given, strict=True))
        scores = squad_v2(predictions, targets)
        assert (scores["exact_match"], scores["f1"]) == pytest.approx((exact, f1))
        plain = squad_v2([p.text for p in predictions], targets)
        assert (plain["exact_match"], plain["f1"]) == pytest.approx((exact, f1))


@pytest.mark.parametrize("ties", [False, True])
def test_best_scores_of_squad_v2(ties):
    """Against the script's scan, where no odds are equal, and against every threshold, where some are."""
    for seed in range(40):
        rng = random.Random(seed)
        odds = [float(rng.choice([-2, -1, 0, 1, 2])) if ties else rng.gauss(0, 2) for _ in range(60)]
        predictions, targets = random_v2(seed, odds=odds)
        texts = [p.best_text for p in predictions]
        scores = squad_v2(predictions, targets)
        for column, name in enumerate(("exact_match", "f1")):
            at = {
                threshold: sum(
                    score_at(threshold, odds=o, text=text, answers=answers)[column]
                    for o, text, answers in zip(odds, texts, targets, strict=True)
                )
                for threshold in [-100.0, *odds]
            }
            best = scores[f"best_{name}"]
            assert best == pytest.approx(100 * max(at.values()) / len(odds))
            chosen = max([-100.0, *(o for o in odds if o <= scores[f"best_{name}_threshold"])])
            assert at[chosen] == pytest.approx(max(at.values()))
            if not ties:
                assert best == pytest.approx(scripts_scan(texts, odds, targets, column=column))


def test_best_scores_by_hand():
    """Odds -1, 1, 3: answering the first two gives two right (one of them half), all three or none gives less."""
    questions = [("red", -1.0, ["red"]), ("green dog", 1.0, ["green"]), ("blue", 3.0, [])]
    predictions = [
        Prediction("" if odds > 0 else text, 0.0, odds, (Span(text, 0.0, 0, 1),)) for text, odds, _ in questions
    ]
    scores = squad_v2(predictions, [answers for *_, answers in questions])
    assert scores["exact_match"] == pytest.approx(100 * 2 / 3)  # red, and "" for the third
    assert scores["best_exact_match"] == pytest.approx(100 * 2 / 3)
    assert scores["f1"] == pytest.approx(100 * 2 / 3)
    assert scores["best_f1"] == pytest.approx(100 * (1 + 2 / 3 + 1) / 3)
    assert 1.0 <= scores["best_f1_threshold"] < 3.0
