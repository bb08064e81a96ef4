"""Every word of XTREME's 33 part-of-speech test sets gets exactly one prediction, that of its own first subword.

Words and sentences are counted in the raw records, apart from the tasks. The documented rule removes a word that is
nothing but white space or zero-width non-joiners, or has no tag ("_", a fused form whose parts follow), and a
sentence without words. Words removed by language: none, in all 33; XTREME's rule only rewrites words there (Persian
non-joiners, Vietnamese blanks, no-break spaces in numbers).
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from xtreme_stilts import tasks
from xtreme_stilts.data.features import Example, Limits
from xtreme_stilts.evaluation.score import score

UDPOS = tasks.family("udpos")
REMOVED: dict[str, int] = {}  # language -> words; absent = none
MAX_LENGTHS = (128, 256)  # XTREME's and jiant's


@pytest.fixture
def raw(shared_data):
    """`raw(language)`: the sentences of the test set as its records have them: lists of (word, tag name)."""
    tfds = pytest.importorskip("tensorflow_datasets")

    def sentences(language: str) -> list[list[tuple[str, str]]]:
        builder = tfds.builder(f"xtreme_pos/xtreme_pos_{language}:1.0.0", data_dir=shared_data / "tfds")
        names = builder.info.features["upos"].feature.names
        rows = builder.as_dataset(split="test").as_numpy_iterator()
        return [[(t.decode(), names[u]) for t, u in zip(r["tokens"], r["upos"], strict=True)] for r in rows]

    return sentences


def kept(sentence: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The words that the documented rule keeps, rewritten as it says."""
    words = [("".join(re.split("[ \t\r\n\v\f\u00a0\u200c]", word)), tag) for word, tag in sentence]
    return [(word, tag) for word, tag in words if word and tag != "_"]


def subwords(examples: list[Example], tokenizer) -> dict[str, list[int]]:
    """Ids of every word, tokenised alone by the tokenizer itself."""
    words = sorted({word for example in examples for word in example.inputs})
    encodings = tokenizer.hf.backend_tokenizer.encode_batch(words, add_special_tokens=False)
    return {word: encoding.ids for word, encoding in zip(words, encodings, strict=True)}


def tags_at_first_subwords(cache, examples: list[Example], ids: dict[str, list[int]]) -> list[np.ndarray]:
    """The gold tag at the first subword of each word and a wrong one at any other token, by walking along the rows
    of each sentence; asserts that these rows spell the sentence."""
    number = {label: i for i, label in enumerate(UDPOS.labels)}
    outputs, row = [], 0
    for place, example in enumerate(examples):
        words = list(zip(example.inputs, example.targets, strict=True))
        while words:
            assert cache.columns["example"][row] == place
            tokens = cache.row(row)["tokens"].tolist()
            tags = np.full(len(tokens), (number[words[0][1]] + 1) % len(number))
            at = 1  # after <s>
            while at < len(tokens) - 1:  # before </s>
                word, tag = words.pop(0)
                assert tokens[at : at + len(ids[word])] == ids[word]
                tags[at] = number[tag]
                tags[at + 1 : at + len(ids[word])] = (number[tag] + 1) % len(number)
                at += len(ids[word])
            outputs.append(tags)
            row += 1
    assert row == len(cache)
    return outputs


@pytest.mark.parametrize("language", UDPOS.languages)
def test_every_word_gets_the_tag_of_its_first_subword(language, real, raw, cached, xlmr):
    sentences = raw(language)
    examples = real(f"udpos.{language}", "test")
    expected = [sentence for sentence in map(kept, sentences) if sentence]
    assert [list(zip(e.inputs, e.targets, strict=True)) for e in examples] == expected
    words = sum(map(len, sentences)) - REMOVED.get(language, 0)
    assert (len(examples), sum(len(e.inputs) for e in examples)) == (len(sentences), words)

    ids = subwords(examples, xlmr)
    for max_length in MAX_LENGTHS:
        # A word of no subwords, or of more than a piece may have, is the unknown token.
        used = {word: found if 0 < len(found) <= max_length - 3 else [xlmr.unk_id] for word, found in ids.items()}
        cache = cached(UDPOS, examples, tokenizer=xlmr, limits=Limits(max_length=max_length))
        assert cache.longest <= max_length
        assert np.count_nonzero(cache.columns["word"] >= 0) == words
        outputs = tags_at_first_subwords(cache, examples, used)
        scored = score(UDPOS, {"tags": outputs}, cache=cache, language=language)
        assert scored.predictions == [[tag for _, tag in sentence] for sentence in expected]
        assert scored.scores == dict.fromkeys(("f1", "precision", "recall", "accuracy"), 100.0)
