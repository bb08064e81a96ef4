"""Answer selection against a literal loop over all candidates, and by hand."""

import numpy as np
import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.evaluation import spans as spans_module
from xtreme_stilts.evaluation.spans import SpanWindows, best_spans, exact_slice

TOKEN_COLUMNS = ("start_logits", "end_logits", "char_start", "char_end", "max_context")


def make_windows(rng, *, questions, levels=None, longest=40):
    """Random windows of random words; with `levels`, logits take so few values that ties abound."""
    contexts, example, columns = [], [], {name: [] for name in TOKEN_COLUMNS}
    for question in range(questions):
        words = [str(rng.choice(["ab", "c", "déf", "北"])) for _ in range(60)]
        contexts.append(" ".join(words))
        starts = np.cumsum([0] + [len(word) + 1 for word in words[:-1]])
        for _ in range(rng.integers(1, 4)):
            lead, inside = int(rng.integers(1, 6)), int(rng.integers(0, longest))
            first = int(rng.integers(0, 60 - inside))
            length = lead + inside + 1
            char_start, char_end = np.full(length, -1), np.full(length, -1)
            char_start[lead:-1] = starts[first : first + inside]
            char_end[lead:-1] = [starts[i] + len(words[i]) for i in range(first, first + inside)]
            logits = rng.integers(0, levels, (2, length)) if levels else rng.normal(size=(2, length))
            row = (*logits.astype(np.float32), char_start, char_end, rng.random(length) < 0.7)
            for name, value in zip(TOKEN_COLUMNS, row, strict=True):
                columns[name].append(value)
            example.append(question)
    return SpanWindows.from_rows(example=example, **columns), contexts


def literal_best(windows, contexts, question, *, n_best, max_tokens):
    """All (text, score) of one question, best first, by plain loops and Python's stable sort."""
    found, nulls = [], []
    for w in np.flatnonzero(windows.example == question):
        a, b = windows.offsets[w], windows.offsets[w + 1]
        start, end = windows.start_logits[a:b].tolist(), windows.end_logits[a:b].tolist()
        nulls.append(start[0] + end[0])
        by_start = sorted(range(b - a), key=lambda i: start[i], reverse=True)[:n_best]
        by_end = sorted(range(b - a), key=lambda i: end[i], reverse=True)[:n_best]
        for i in by_start:
            for j in by_end:
                if windows.char_start[a + i] < 0 or windows.char_start[a + j] < 0:
                    continue
                if not windows.max_context[a + i] or j < i or j - i + 1 > max_tokens:
                    continue
                text = contexts[question][windows.char_start[a + i] : windows.char_end[a + j]]
                found.append((text, start[i] + end[j]))
    found.sort(key=lambda candidate: candidate[1], reverse=True)
    unique = [(text, score) for i, (text, score) in enumerate(found) if text not in {t for t, _ in found[:i]}]
    return unique, min(nulls)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize(("n_best", "max_tokens", "keep"), [(20, 30, 20), (3, 2, 5), (2, 30, 1)])
def test_against_a_literal_loop(levels, n_best, max_tokens, keep, monkeypatch):
    monkeypatch.setattr(spans_module, "_BLOCK", 7)  # several blocks
    windows, contexts = make_windows(np.random.default_rng(0), questions=25, levels=levels)
    found = best_spans(windows, contexts, n_best=n_best, max_answer_tokens=max_tokens, keep=keep)
    assert len(found) == len(contexts)
    empty = 0
    for question, prediction in enumerate(found):
        expected, null = literal_best(windows, contexts, question, n_best=n_best, max_tokens=max_tokens)
        assert [(s.text, s.score) for s in prediction.spans] == expected[:keep]
        assert all(contexts[question][s.start : s.end] == s.text for s in prediction.spans)
        if expected:
            assert (prediction.text, prediction.score) == expected[0]
            assert prediction.null_odds == null - expected[0][1]
        else:
            empty += 1
            assert (prediction.text, prediction.score, prediction.null_odds) == ("empty", -np.inf, np.inf)
    assert empty < len(contexts)


def test_order_of_windows_of_different_questions_does_not_matter():
    windows, contexts = make_windows(np.random.default_rng(1), questions=10)
    order = np.argsort(np.random.default_rng(2).random(len(windows.example)), kind="stable")
    order = order[np.argsort(windows.example[order] % 3, kind="stable")]
    # keep the windows of each question in their order
    for question in range(10):
        places = np.flatnonzero(windows.example[order] == question)
        order[places] = np.sort(order[places])
    assert not np.array_equal(order, np.arange(len(order)))
    assert best_spans(windows.take(order), contexts) == best_spans(windows, contexts)


def one_window(start, end, *, context="one two three", max_context=None):
    """<s> q </s></s> one two three </s>, logits for <s> and the three context words, the rest far below."""
    low = [-50.0] * 3
    columns = {
        "start_logits": np.asarray([start[0], *low, *start[1:], -50.0], np.float32),
        "end_logits": np.asarray([end[0], *low, *end[1:], -50.0], np.float32),
        "char_start": np.asarray([-1, -1, -1, -1, 0, 4, 8, -1]),
        "char_end": np.asarray([-1, -1, -1, -1, 3, 7, 13, -1]),
        "max_context": np.asarray([False] * 4 + (max_context or [True] * 3) + [False]),
    }
    return SpanWindows.from_rows(example=[0], **{name: [value] for name, value in columns.items()}), [context]


def test_by_hand():
    [prediction] = best_spans(*one_window([9, 1, 5, 2], [9, 0, 3, 4]))
    assert (prediction.text, prediction.score, prediction.null_odds) == ("two three", 9.0, 9.0)
    assert prediction.spans[0][2:] == (4, 13)


def test_the_end_may_not_precede_the_start_and_length_is_limited():
    backwards = one_window([0, 0, 0, 9], [0, 9, 0, 1])
    assert best_spans(*backwards, text_rule=lambda context, a, b: f"{a}-{b}")[0].text == "8-13"
    assert best_spans(*one_window([0, 9, 0, 1], [0, 0, 0, 9]), max_answer_tokens=2)[0].text == "three"
    assert best_spans(*one_window([0, 9, 0, 1], [0, 0, 0, 9]), max_answer_tokens=3)[0].text == "one two three"


def test_only_the_start_must_be_the_max_context_occurrence():
    windows = one_window([0, 9, 5, 1], [0, 0, 1, 9], max_context=[False, True, False])
    assert best_spans(*windows)[0].text == "two three"


def test_null_threshold():
    windows = one_window([3, 1, 5, 2], [3, 0, 3, 4])  # null 6, best 9: odds -3
    assert best_spans(*windows, null_threshold=0.0)[0].text == "two three"
    assert best_spans(*windows, null_threshold=-3.0)[0].text == "two three"  # not above the threshold
    prediction = best_spans(*windows, null_threshold=-3.5)[0]
    assert (prediction.text, prediction.best_text, prediction.null_odds) == ("", "two three", -3.0)


def test_null_score_is_the_lowest_of_all_windows():
    first, contexts = one_window([7, 1, 5, 2], [7, 0, 3, 4])
    second, _ = one_window([1, 0, 0, 0], [2, 0, 0, 0])
    both = SpanWindows.from_rows(
        example=[0, 0], **{name: [getattr(first, name), getattr(second, name)] for name in TOKEN_COLUMNS}
    )
    assert best_spans(both, contexts)[0].null_odds == 3.0 - 9.0


def test_no_candidate():
    windows = one_window([0, 0, 0, 0], [0, 0, 0, 0], max_context=[False] * 3)
    assert best_spans(*windows)[0].text == "empty"
    prediction = best_spans(*windows, null_threshold=0.0)[0]
    assert (prediction.text, prediction.best_text, prediction.null_odds) == ("", "", np.inf)


def test_text_rule_decides_the_text_and_what_counts_as_the_same():
    windows = one_window([0, 3, 2, 1], [0, 3, 2, 1])
    upper = best_spans(*windows, text_rule=lambda context, a, b: context[a:b].upper())[0]
    assert upper.text == "ONE"
    same = best_spans(*windows, text_rule=lambda context, a, b: "x" if a == 0 else "")[0]
    assert [span.text for span in same.spans] == ["x"]


def test_exact_slice_keeps_the_original_characters():
    assert exact_slice("In  Ünter–den\u00a0 Linden。", 2, 9) == "Ünter"
    assert exact_slice("北京大学成立于1898年", 7, 12) == "1898年"


def test_bad_input():
    windows, contexts = one_window([np.nan, 0, 0, 0], [0, 0, 0, 0])
    with pytest.raises(UserError, match="question 0 has one that is not finite"):
        best_spans(windows, contexts)
    windows, contexts = one_window([0, 0, 0, 0], [0, 0, 0, 0])
    with pytest.raises(UserError, match="question 1 has no window"):
        best_spans(windows, contexts * 2)
