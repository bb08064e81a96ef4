"""Answer normalisation and scores by hand, per language."""

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation.qa_metrics import mlqa, mlqa_tokens, squad_tokens, squad_v1, squad_v2


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The  Cat, sat on A mat.", ["cat", "sat", "on", "mat"]),
        ("an-an theatre", ["anan", "theatre"]),  # punctuation goes first, and joins
        ("U.S.A.'s", ["usas"]),
        ("“quoted” – text", ["“quoted”", "–", "text"]),  # only ASCII punctuation goes
        ("ÉCOLE\u00a0normale\t1", ["école", "normale", "1"]),
        ("the a", []),
        ("भारत।", ["भारत।"]),
    ],
)
def test_squad_tokens(text, tokens):
    assert squad_tokens(text) == tokens


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("en", "The “end” — of An era!", ["end", "of", "era"]),
        ("es", "¿El Niño? ¡Los unos y las otras!", ["niño", "y", "otras"]),
        ("es", "the casa", ["the", "casa"]),  # English articles stay
        ("de", "Die „Straße“ des Königs; eines Tages", ["straße", "königs", "tages"]),
        ("de", "derart dem Eindruck", ["derart", "eindruck"]),  # whole words only
        ("vi", "Của những cái nhà là chiếc xe", ["nhà", "xe"]),
        ("ar", "الكتاب في البيت", ["كتاب", "في", "بيت"]),
        ("ar", "بالبيت، نعم؟", ["ب", "بيت", "نعم"]),  # as released: inside words too
        ("hi", "भारत की राजधानी।", ["भारत", "की", "राजधानी"]),
        ("zh", "《北京》，2008年 Olympic games。", ["北", "京", "2008", "年", "olympic", "games"]),
        ("zh", "ab北cd", ["ab", "北", "cd"]),
    ],
)
def test_mlqa_tokens(language, text, tokens):
    assert mlqa_tokens(text, language) == tokens


def test_squad_f1_by_hand_takes_the_best_answer():
    predictions = ["the big red dog", "Cats", "blue"]
    targets = [["red dog", "a big cat"], ["cats!"], ["green", "red"]]
    # big red dog against red dog: 2 common, f1 2*2/(3+2); second exact; third nothing
    scores = squad_v1(predictions, targets)
    assert scores["exact_match"] == pytest.approx(100 / 3)
    assert scores["f1"] == pytest.approx(100 * (4 / 5 + 1 + 0) / 3)


def test_f1_counts_repeated_words():
    assert squad_v1(["new york new york"], [["new york"]])["f1"] == pytest.approx(100 * 4 / 6)
    assert squad_v1(["x x"], [["x x y"]])["f1"] == pytest.approx(100 * 4 / 5)


def test_nothing_left_after_normalising_is_exact_but_has_no_f1():
    """The SQuAD 1.1 script: an empty overlap is F1 0 even between two empty texts."""
    assert squad_v1(["the"], [["a"]]) == {"exact_match": 100.0, "f1": 0.0}


def test_an_unanswered_question_scores_zero():
    assert squad_v1([None, "x"], [["the"], ["x"]]) == {"exact_match": 50.0, "f1": 50.0}
    assert mlqa([None], [["x"]], language="en") == {"exact_match": 0.0, "f1": 0.0}
    assert squad_v2([None], [[]])["exact_match"] == 0.0


@pytest.mark.parametrize(
    ("language", "prediction", "answer", "exact", "f1"),
    [
        ("zh", "北京大学", "北京", 0, 2 * 2 / 6),
        ("zh", "北京。", "北京", 1, 1),
        ("ar", "الكتاب", "كتاب", 1, 1),
        ("de", "der Hund", "ein Hund", 1, 1),
        ("es", "el gato negro", "gato", 0, 2 / 3),
        ("vi", "cái nhà", "nhà", 1, 1),
        ("hi", "राजधानी।", "राजधानी", 1, 1),
        ("en", "the end", "end", 1, 1),
    ],
)
def test_mlqa_by_hand(language, prediction, answer, exact, f1):
    scores = mlqa([prediction], [[answer]], language=language)
    assert scores == {"exact_match": 100.0 * exact, "f1": pytest.approx(100.0 * f1)}


def test_squad_v1_and_mlqa_differ_where_the_rules_do():
    assert squad_v1(["北京大学"], [["北京"]])["f1"] == 0
    assert squad_v1(["der Hund"], [["ein Hund"]])["exact_match"] == 0


@pytest.mark.parametrize("language", ["ko", None, "EN"])
def test_a_language_mlqa_does_not_have(language):
    with pytest.raises(UserError, match="MLQA has no rules for"):
        mlqa(["x"], [["x"]], language=language)


@pytest.mark.parametrize("score", [squad_v1, lambda p, t: mlqa(p, t, language="en")])
def test_a_question_without_answers_is_an_error_except_in_v2(score):
    with pytest.raises(UserError, match="question 1 has no accepted answer"):
        score(["x", ""], [["x"], []])


def test_squad_v2_by_hand():
    predictions = ["", "red dog", "", "cat"]
    targets = [[], ["the dog"], ["x"], []]
    scores = squad_v2(predictions, targets)
    assert scores["exact_match"] == 25.0
    assert scores["f1"] == pytest.approx(100 * (1 + 2 / 3 + 0 + 0) / 4)
    assert (scores["best_exact_match"], scores["best_f1"]) == (scores["exact_match"], scores["f1"])


def test_squad_v2_counts_an_answer_of_articles_only_as_unanswerable():
    assert squad_v2(["", "the"], [["a"], ["."]])["f1"] == 100.0
