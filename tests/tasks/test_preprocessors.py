"""Each conversion on rows small enough to do by hand."""

import pytest

tf = pytest.importorskip("tensorflow")

from xtreme_stilts import tasks  # noqa: E402
from xtreme_stilts.tasks import preprocessors, seqio_tasks, text  # noqa: E402


def convert(name, *rows):
    """Examples as plain Python, from rows of the task's data set."""
    data = seqio_tasks.rows_dataset(lambda: rows)
    examples = seqio_tasks.text_examples(data, task=tasks.task(name))
    return [plain(example) for example in examples.as_numpy_iterator()]


def plain(example):
    decoded = {key: [text.decode() for text in example[key]] for key in ("inputs", "targets")}
    return {"id": example["id"].decode(), **decoded, "starts": example["starts"].tolist()}


def inputs_and_targets(name, *rows):
    return [(example["inputs"], example["targets"]) for example in convert(name, *rows)]


def test_the_whole_text_schema_of_a_pair():
    row = {"premise": "A dog runs.", "hypothesis": "It moves.", "label": 0}
    assert convert("mnli.en", row, row | {"label": 2}) == [
        {"id": "0", "inputs": ["A dog runs.", "It moves."], "targets": ["entailment"], "starts": []},
        {"id": "1", "inputs": ["A dog runs.", "It moves."], "targets": ["contradiction"], "starts": []},
    ]


def test_rows_without_a_gold_label_are_dropped_from_nli_and_kept_unlabelled_elsewhere():
    rows = [{"premise": "a", "hypothesis": "b", "label": label} for label in (-1, 1)]
    assert [(example["id"], example["targets"]) for example in convert("snli.en", *rows)] == [("1", ["neutral"])]
    rows = [{"question1": "a", "question2": "b", "label": label, "idx": label + 10} for label in (-1, 1)]
    assert [(example["id"], example["targets"]) for example in convert("qqp.en", *rows)] == [
        ("9", []),
        ("11", ["1"]),
    ]


def test_anli_calls_its_premise_context():
    row = {"uid": "u7", "context": "c", "hypothesis": "h", "label": 2}
    assert convert("anli_r1.en", row) == [
        {"id": "u7", "inputs": ["c", "h"], "targets": ["contradiction"], "starts": []}
    ]


def test_string_labels_are_taken_as_they_are():
    rows = [{"premise": "a", "hypothesis": "b", "label": label} for label in ("neutral", "")]
    assert inputs_and_targets("mnli.en", *rows) == [(["a", "b"], ["neutral"])]


def test_xnli_takes_its_language_from_two_layouts():
    row = {
        "premise": {"en": "p-en", "sw": "p-sw", "de": ""},
        "hypothesis": {"language": ["zh", "sw", "en"], "translation": ["h-zh", "h-sw", "h-en"]},
        "label": 1,
    }
    assert inputs_and_targets("xnli.sw", row) == [(["p-sw", "h-sw"], ["neutral"])]
    assert inputs_and_targets("xnli.en", row) == [(["p-en", "h-en"], ["neutral"])]
    for missing in ("de", "zh", "fr"):  # no premise, no premise feature, neither
        assert convert(f"xnli.{missing}", row) == []


def test_single_texts_and_scores():
    rows = [{"sentence": "good", "label": 1, "idx": 4}, {"sentence": "bad", "label": -1, "idx": 5}]
    assert inputs_and_targets("sst2.en", *rows) == [(["good"], ["positive"]), (["bad"], [])]
    rows = [{"sentence1": "a", "sentence2": "b", "label": score} for score in (3.8, 5.0, 0.0, -1.0)]
    assert [targets for _, targets in inputs_and_targets("stsb.en", *rows)] == [["3.8"], ["5"], ["0"], []]


def test_word_in_context():
    row = {"word": "shed", "sentence1": "He shed tears.", "sentence2": "Dogs shed.", "label": 0}
    assert inputs_and_targets("wic.en", row) == [(["shed: He shed tears.", "Dogs shed."], ["False"])]


@pytest.mark.parametrize(
    ("context", "whole", "unfinished"),
    [
        ("A man kneels. He looks. the man", "A man kneels. He looks.", "the man "),
        ("How to cook. Boil the water.", "How to cook. Boil the water.", ""),
        ("Is it cold? yes he says, and", "Is it cold?", "yes he says, and "),
        ("a man without a stop", "a man without a stop", ""),
        ("Two lines.\nthe\nman ", "Two lines.", "the\nman "),
    ],
)
def test_hellaswag_moves_the_unfinished_sentence_to_the_choices(context, whole, unfinished):
    row = {"context": context, "endings": ["runs.", "sits.", "eats.", "sleeps."], "label": 2}
    expected = [whole, *(unfinished + ending for ending in row["endings"])]
    assert inputs_and_targets("hellaswag.en", row, row | {"label": -1}) == [(expected, ["2"]), (expected, [])]


def test_cosmos_qa_and_copa():
    row = {"id": "x", "context": "It rained.", "question": "Why?", "label": 3} | {
        f"answer{i}": f"a{i}" for i in range(4)
    }
    assert inputs_and_targets("cosmosqa.en", row) == [(["It rained. Why?", "a0", "a1", "a2", "a3"], ["3"])]
    row = {
        "premise": "It rained.",
        "choice1": "Wet.",
        "choice2": "Dry.",
        "question": "effect",
        "label": 0,
        "idx": 1,
    }
    contexts = ["It rained. What happened as a result?", "It rained. What was the cause of this?"]
    assert [inputs[0] for inputs, _ in inputs_and_targets("copa.en", row, row | {"question": "cause"})] == contexts
    assert inputs_and_targets("copa.en", row)[0] == ([contexts[0], "Wet.", "Dry."], ["0"])


def test_commonsense_qa_and_social_iqa():
    row = {
        "id": "q",
        "question": "Where?",
        "choices": {"label": list("ABCDE"), "text": ["here", "there", "away", "up", "down"]},
        "answerKey": "C",
    }
    expected = ["Where?", "here", "there", "away", "up", "down"]
    assert inputs_and_targets("mini_commonsenseqa.en", row, row | {"answerKey": ""}) == [
        (expected, ["2"]),
        (expected, []),
    ]
    row = {"context": "It rained.", "question": "Next?", "label": "3"} | {f"answer{x}": x for x in "ABC"}
    expected = ["It rained. Next?", "A", "B", "C"]
    assert inputs_and_targets("mini_siqa.en", row, row | {"label": ""}) == [(expected, ["2"]), (expected, [])]


def test_tagging_cleans_words_and_drops_those_without_letters_or_tag():
    names = dict(zip(tasks.family("udpos").labels, range(17), strict=True))
    row = {
        "tokens": ["máy bay", "می\u200cرود", "\u00a0", "fused", "."],
        "upos": [names["NOUN"], names["VERB"], names["X"], 17, names["PUNCT"]],
    }
    assert inputs_and_targets("udpos.vi", row, {"tokens": [" "], "upos": [0]}) == [
        (["máybay", "میرود", "."], ["NOUN", "VERB", "PUNCT"])
    ]


def test_entities():
    row = {"tokens": ["Learn", "to", "Fly", "''"], "tags": [3, 4, 4, 0], "langs": ["en"] * 4}
    assert inputs_and_targets("panx.en", row) == [(["Learn", "to", "Fly", "''"], ["B-ORG", "I-ORG", "I-ORG", "O"])]


def _question(name, answers=(("Köln", 3),)):
    texts, starts = [text for text, _ in answers], [start for _, start in answers]
    return {"id": name, "question": "Wo?", "context": "In Köln.", "title": "t",
            "answers": {"text": texts, "answer_start": starts}}  # fmt: skip


def test_spans_with_several_answers_and_none():
    rows = [_question("a"), _question("b", [("Köln", 3), ("In Köln", 0)]), _question("c", [])]
    assert convert("xquad.de", *rows) == [
        {"id": "a", "inputs": ["Wo?", "In Köln."], "targets": ["Köln"], "starts": [3]},
        {"id": "b", "inputs": ["Wo?", "In Köln."], "targets": ["Köln", "In Köln"], "starts": [3, 0]},
        {"id": "c", "inputs": ["Wo?", "In Köln."], "targets": [], "starts": []},
    ]


def test_tydiqa_keeps_its_language_only():
    rows = [_question(name) for name in ("english-8-1", "finnish-8-1", "english--3-0", "swahili-english-1")]
    assert [example["id"] for example in convert("tydiqa.en", *rows)] == ["english-8-1", "english--3-0"]
    assert [example["id"] for example in convert("tydiqa.fi", *rows)] == ["finnish-8-1"]


def test_tatoeba_sides():
    row = {
        "source_language": "fi",
        "source_sentence": "Hei!\n",
        "target_language": "en",
        "target_sentence": "Hi!\n",
    }
    assert inputs_and_targets("tatoeba.fi", row, row) == [(["Hei!"], ["0"]), (["Hei!"], ["1"])]
    assert convert("tatoeba.fi_en", row) == [{"id": "0", "inputs": ["Hi!"], "targets": [], "starts": []}]


def test_bucc_sides():
    row = {"id": "de-1", "text": "eins", "counterparts": ["en-4"]}
    assert inputs_and_targets("bucc2018.de", row, row | {"counterparts": []}) == [
        (["eins"], ["en-4"]),
        (["eins"], []),
    ]
    assert inputs_and_targets("bucc2018.de_en", row | {"counterparts": []}) == [(["eins"], [])]


def test_text_of_other_tasks_appears_once_and_unlabelled():
    rows = [{"tokens": list(words), "upos": [0, 0]} for words in ("ab", "cd", "ab")]
    assert convert("text_of.udpos.zh", *rows) == [
        {"id": "0", "inputs": ["ab"], "targets": [], "starts": []},
        {"id": "1", "inputs": ["cd"], "targets": [], "starts": []},
    ]
    assert [example["inputs"] for example in convert("text_of.udpos.en", *rows)] == [["a b"], ["c d"]]
    contexts = convert("text_of.tydiqa.en", _question("english-1"), _question("korean-1"), _question("english-2"))
    assert [example["inputs"] for example in contexts] == [["In Köln."]]


def test_parallel_text_is_two_inputs():
    row = {"id": "3", "english": "one", "other": "yksi"}
    assert convert("parallel_file.fi", row) == [{"id": "3", "inputs": ["one", "yksi"], "targets": [], "starts": []}]
    assert text.pair({key: tf.constant(value) for key, value in row.items()}, "fi")["targets"].dtype == tf.string


def test_a_label_outside_the_label_set_is_no_label_of_its_neighbour():
    with pytest.raises(tf.errors.InvalidArgumentError):
        preprocessors.label_target(tf.constant(3), ("a", "b", "c"))
