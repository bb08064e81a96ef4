"""Rows: features as in the published data sets, right answers, balanced labels, disjoint splits."""

import collections
import json

import numpy as np
import pytest

from xtreme_stilts import mini
from xtreme_stilts.errors import UserError
from xtreme_stilts.mini.datasets import NER_TAGS, UPOS

LANGUAGES = mini.LANGUAGES


@pytest.mark.parametrize("name", mini.dataset_names())
def test_every_split_has_rows_of_one_shape_and_repeats_itself(name):
    for split in mini.splits(name):
        rows = mini.rows(name, split=split, size=10)
        assert len(rows) == 10
        assert len({tuple(sorted(row)) for row in rows}) == 1
        assert rows == mini.rows(name, split=split, size=10)
    assert rows != mini.rows(name, split=split, size=10, seed=1)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'xquad/sw'"):
        mini.rows("xquad/swa", split="test")
    with pytest.raises(UserError, match="did you mean 'test'"):
        mini.rows("xquad/sw", split="tests")


PREPARED = {
    "xnli": ("xnli", "test"),
    "paws_x_wiki/en": ("paws_x_wiki/en", "test"),
    "xtreme_pos/en": ("xtreme_pos/xtreme_pos_en", "test"),
    "wikiann/de": ("wikiann/de", "test"),
    "squad/v1.1": ("squad/v1.1", "train"),
    "squad/v2.0": ("squad/v2.0", "validation"),
    "xquad/de": ("xquad/de", "test"),
    "mlqa/de": ("mlqa/de", "validation"),
    "tydiqa/ru": ("tydi_qa/goldp", "train"),
    "hellaswag": ("hellaswag", "validation"),
    "cosmos_qa": ("cosmos_qa", "validation"),
    "tatoeba/de": ("tatoeba/tatoeba_de", "train"),
}


@pytest.mark.parametrize("name", PREPARED)
def test_features_are_those_of_the_prepared_data(shared_data, name):
    """Encoding a row by the real data set's features raises for a missing, surplus or ill-typed one."""
    tfds = pytest.importorskip("tensorflow_datasets")
    real, split = PREPARED[name]
    features = tfds.builder(real, data_dir=str(shared_data / "tfds")).info.features
    for row in mini.rows(name, split=split, size=6):
        assert set(row) == set(features)
        if name == "xnli":  # tfds takes this feature as a dict and gives it back as two lists
            row["hypothesis"] = dict(zip(row["hypothesis"]["language"], row["hypothesis"]["translation"], strict=True))
        decoded = features.deserialize_example_np(features.serialize_example(row))
        assert set(decoded) == set(row)
    if name in ("xtreme_pos/en", "wikiann/de"):
        tag, names = {"xtreme_pos/en": ("upos", UPOS), "wikiann/de": ("tags", NER_TAGS)}[name]
        assert tuple(features[tag].feature.names) == names
    if name == "xnli":
        assert features["label"].names == ["entailment", "neutral", "contradiction"]


def test_features_are_those_of_the_official_files(shared_data):
    def first(path):
        return json.loads((shared_data / "raw" / path).read_text(encoding="utf-8").splitlines()[0])

    assert set(mini.rows("xcopa/tr", split="test", size=1)[0]) == set(first("xcopa/tr/test.tr.jsonl"))
    assert set(mini.rows("siqa", split="train", size=1)[0]) - {"label"} == set(first("siqa/dev.jsonl"))


@pytest.mark.parametrize("name", ["squad/v1.1", "squad/v2.0", *(f"xquad/{lg}" for lg in LANGUAGES)])
def test_answers_stand_where_they_are_said_to(name):
    split = next(iter(mini.splits(name)))
    for row in mini.rows(name, split=split, size=60):
        assert (
            len(row["answers"]["text"]) == len(row["answers"]["answer_start"]) == (not row.get("is_impossible", False))
        )
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text
            # whole words, except in Chinese, which has no spaces
            if not name.endswith("zh"):
                assert (" " + row["context"])[start] in " "
                assert row["context"][start + len(text)] in " .,"
            assert text not in row["question"]


def test_questions_have_the_same_answer_in_every_language():
    by_language = [mini.rows(f"xquad/{lg}", split="test", size=60) for lg in LANGUAGES]
    answers_of_row = [
        {answer for row in rows for answer in row["answers"]["text"]} for rows in zip(*by_language, strict=True)
    ]
    numeric = [answers for answers in answers_of_row if any(a.isdigit() for a in answers)]
    assert numeric
    assert all(len(answers) == 1 for answers in numeric)


@pytest.mark.parametrize("language", LANGUAGES)
def test_tags_belong_to_words(language):
    for row in mini.rows(f"xtreme_pos/{language}", split="test", size=80):
        assert len(row["tokens"]) == len(row["upos"])
        assert UPOS[row["upos"][-1]] == "PUNCT"
    kinds = set()
    for row in mini.rows(f"wikiann/{language}", split="test", size=80):
        assert len(row["tokens"]) == len(row["tags"]) == len(row["langs"])
        named = []
        for token, tag in zip(row["tokens"], (NER_TAGS[t] for t in row["tags"]), strict=True):
            if tag.startswith("B-"):
                named.append(f"{tag[2:]}: {token}")
            elif tag.startswith("I-"):
                assert named[-1].startswith(tag[2:])
                named[-1] += f" {token}"
        assert named == row["spans"]
        kinds |= {name[:3] for name in named}
    assert kinds == {"PER", "ORG", "LOC"}


def test_supertags_fit_together():
    tags = set()
    for row in mini.rows("ccg", split="train", size=300):
        assert len(row["tokens"]) == len(row["supertags"])
        tags |= set(row["supertags"])
    assert {r"(S[dcl]\NP)/NP", "NP/N", "N/N", r"((S\NP)\(S\NP))/NP", r"S[dcl]\NP", "."} <= tags


@pytest.mark.parametrize(
    ("name", "split", "feature", "labels"),
    [
        ("multi_nli", "train", "label", 3),
        ("xnli", "test", "label", 3),
        ("paws_x_wiki/en", "train", "label", 2),
        ("hellaswag", "train", "label", 4),
        ("cosmos_qa", "train", "label", 4),
        ("siqa", "train", "label", 3),
        ("commonsense_qa", "train", "answerKey", 5),
        ("xcopa/sw", "test", "label", 2),
    ],
)
def test_labels_are_balanced(name, split, feature, labels):
    count = collections.Counter(row[feature] for row in mini.rows(name, split=split, size=60))
    assert len(count) == labels
    assert set(count.values()) == {60 // labels}


def test_length_does_not_give_the_nli_label_away():
    """The best threshold on the difference in words decides less than two thirds of neutral against entailment."""
    rows = mini.rows("multi_nli", split="train", size=900)
    gap = np.array([len(row["hypothesis"].split()) - len(row["premise"].split()) for row in rows])
    label = np.array([row["label"] for row in rows])
    contradiction = label == 2
    best = max(max(((gap > t) == contradiction).mean(), ((gap <= t) == contradiction).mean()) for t in range(-6, 7))
    assert best < 0.75  # "never a contradiction" is right for 0.667


def test_a_multiple_choice_row_has_one_true_continuation():
    for row in mini.rows("commonsense_qa", split="train", size=60):
        assert len(set(row["choices"]["text"])) == 5
    for row in mini.rows("hellaswag", split="train", size=40):
        assert len(set(row["endings"])) == 4
        assert not row["context"].endswith(".")


@pytest.mark.parametrize(("name", "train", "held_out"), [
    ("xtreme_pos/en", "train", "test"),
    ("squad/v1.1", "train", "validation"),
    ("paws_x_wiki/en", "train", "test"),
])  # fmt: skip
def test_training_rows_do_not_come_back_in_other_splits(name, train, held_out):
    def texts(split, size):
        return {str({k: v for k, v in row.items() if k != "id"}) for row in mini.rows(name, split=split, size=size)}

    assert not texts(train, 600) & texts(held_out, 100)


def test_no_evaluation_sentence_is_in_the_text_to_pretrain_on():
    test = {row["target_sentence"].strip() for row in mini.rows("tatoeba/de", split="train", size=200)}
    text = {row["text"] for row in mini.rows("text/en", split="train", size=800)}
    text |= {row["english"] for row in mini.rows("parallel/de", split="train", size=800)}
    long = {sentence for sentence in test if len(sentence.split()) > 6}
    assert long
    assert not long & text


def test_retrieval_sentences_are_distinct_and_end_in_a_newline():
    rows = mini.rows("tatoeba/zh", split="train", size=150)
    assert len({row["target_sentence"] for row in rows}) == 150
    assert all(row["source_sentence"].endswith("\n") and row["target_sentence"].endswith("\n") for row in rows)


def test_xnli_rows_name_all_languages_of_the_real_one():
    row = mini.rows("xnli", split="test", size=1)[0]
    assert len(row["premise"]) == 15
    assert {lg for lg, text in row["premise"].items() if text} == set(row["hypothesis"]["language"]) == set(LANGUAGES)


def test_mining_has_distractors_on_both_sides(tmp_path):
    own, english = (mini.rows(f"bucc2018/{name}", split="dev", size=50) for name in ("de", "de_en"))
    gold = [(row["id"], target) for row in own for target in row["counterparts"]]
    assert len(gold) == 20
    assert {target for _, target in gold} <= {row["id"] for row in english}
    pairs = mini.rows("bucc2018/ru", split="dev", size=50)
    assert [row["counterparts"] for row in pairs] == [row["counterparts"] for row in own]  # the same events
    mini.write_bucc(tmp_path, "de", split="dev", size=50)
    written = (tmp_path / "de-en.dev.de").read_text(encoding="utf-8").splitlines()
    assert written == [f"{row['id']}\t{row['text']}" for row in own]
    assert len((tmp_path / "de-en.dev.gold").read_text(encoding="utf-8").splitlines()) == 20
