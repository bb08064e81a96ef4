from __future__ import annotations

import itertools
import shutil
import unicodedata

import numpy as np
import pytest
import tokenizers

from xtreme_stilts.data.tokenizer import Part, load_tokenizer
from xtreme_stilts.errors import UserError

SENTENCES = [
    "Hello world!",
    "Bonjour le monde, ça va bien ?",
    "你好，世界。今天天气很好",
    "สวัสดีชาวโลก วันนี้อากาศดี",
    "नमस्ते दुनिया! आज मौसम अच्छा है",
    "مرحبا بالعالم، الطقس جميل اليوم",
    "",
    "  twice   spaced\tand\u00a0odd  ",
    "ﬁne ½ ＡＢＣ 🦤 ᚠᚢ",
]


def ids_of(slices, i: int) -> list[int]:
    return slices.values[slices.starts[i] : slices.starts[i] + slices.lengths[i]].tolist()


def literal(tokenizer, text: str) -> list[int]:
    return ids_of(tokenizer.encode([text]), 0)


def test_tiny_ids_and_layout(tiny):
    vocabulary = tiny.hf.get_vocab()
    assert literal(tiny, "the dog") == [vocabulary[p] for p in ("the", "d", "##o", "##g")]
    assert (tiny.cls_id, tiny.pad_id, tiny.sep_id, tiny.unk_id) == (0, 1, 2, 3)
    assert tiny.vocab_size == tiny.mask_id + 1 == len(vocabulary)
    a, b = Part(None, 0, 0), Part(None, 1, 0)
    cls, sep = Part(0, None, 0), Part(2, None, 0)
    assert tiny.single == (cls, a, sep)
    assert tiny.pair == (cls, a, sep, sep, b, sep)
    assert not tiny.uses_token_types


def test_fingerprint_tells_vocabularies_apart(tiny, unigram):
    again = load_tokenizer(tiny.name)
    assert again.fingerprint == tiny.fingerprint
    assert unigram.fingerprint != tiny.fingerprint


@pytest.mark.parametrize("text", ["ab</s>", "</s>", "a <mask> b", "<unk>", "＜ｓ＞", " </s> ", "<s><pad></s>"])
def test_spelled_special_tokens_are_text(unigram, text):
    naive = unigram.hf.backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert set(naive) & {0, 1, 2, 3, unigram.mask_id}, "the danger must be there for the test to mean anything"
    ids = literal(unigram, text)
    pieces = "".join(unigram.hf.convert_ids_to_tokens(ids)).replace("▁", "")
    assert not set(ids) & set(unigram.special_ids)
    assert pieces == unicodedata.normalize("NFKC", text).replace(" ", "")


def test_special_tokens_never_come_out_even_without_a_pre_tokenizer(tmp_path, tiny):
    """A vocabulary that is looked up with spaces and all could spell even the renamed tokens."""
    shutil.copytree(tiny.name, tmp_path / "bare")
    backend = tokenizers.Tokenizer.from_file(str(tmp_path / "bare" / "tokenizer.json"))
    backend.model = tokenizers.models.WordLevel(tiny.hf.get_vocab(), unk_token="<unk>")
    backend.pre_tokenizer = None
    backend.save(str(tmp_path / "bare" / "tokenizer.json"))
    bare = load_tokenizer(tmp_path / "bare")
    assert literal(bare, " </s> ") == [bare.unk_id]


@pytest.mark.parametrize("which", ["xlmr", "mbert"])
def test_ids_equal_the_reference(which, request):
    tokenizer = request.getfixturevalue(which)
    got = tokenizer.encode(SENTENCES)
    for i, text in enumerate(SENTENCES):
        assert ids_of(got, i) == tokenizer.hf(text, add_special_tokens=False)["input_ids"]


def test_published_example(xlmr):
    """fairseq's XLM-R page: `Hello world!` is 0 35378 8999 38 2."""
    assert [xlmr.cls_id, *literal(xlmr, "Hello world!"), xlmr.sep_id] == [0, 35378, 8999, 38, 2]
    assert (xlmr.pad_id, xlmr.unk_id, xlmr.mask_id, xlmr.vocab_size) == (1, 3, 250001, 250002)
    assert [part.token for part in xlmr.pair] == [0, None, 2, 2, None, 2]


@pytest.mark.parametrize(("which", "text"), [("xlmr", "a </s> b<s> <mask>"), ("mbert", "a [SEP] b[CLS] [MASK]")])
def test_real_vocabularies_take_special_tokens_for_text(which, text, request):
    tokenizer = request.getfixturevalue(which)
    assert not set(literal(tokenizer, text)) & set(tokenizer.special_ids)


def test_bert_layout(mbert):
    assert [part.token for part in mbert.pair] == [101, None, 102, None, 102]
    assert [part.token_type for part in mbert.pair] == [0, 0, 0, 1, 1]
    assert mbert.uses_token_types


def test_lone_metaspace_covers_no_character(unigram):
    located = unigram.encode_located(["ba", "a", "", "▁"])
    assert ids_of(located.slices, 0) == [unigram.hf.get_vocab()[p] for p in ("▁", "b", "a")]
    assert located.char_start[:3].tolist() == [0, 0, 1]
    assert located.char_end[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("which", ["xlmr", "mbert"])
def test_offsets_tile_every_word(which, request):
    tokenizer = request.getfixturevalue(which)
    words = [w for s in SENTENCES for w in s.split() if unicodedata.is_normalized("NFKC", w)]
    located = tokenizer.encode_located(words)
    slices = located.slices
    for word, start, length in zip(words, slices.starts, slices.lengths, strict=True):
        spans = list(
            zip(
                located.char_start[start : start + length],
                located.char_end[start : start + length],
                strict=True,
            )
        )
        assert spans[0][0] == 0
        assert spans[-1][1] == len(word)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans)), (word, spans)


def test_repeated_texts_share_their_tokens(tiny):
    got = tiny.encode(["the dog", "a", "the dog"])
    assert ids_of(got, 0) == ids_of(got, 2)
    assert len(got.values) == 5
    assert len(tiny.encode([]).lengths) == 0


def test_bad_tokenizers_are_told(tmp_path, unigram):
    with pytest.raises(UserError, match="does not exist"):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(UserError, match="could not be loaded"):
        load_tokenizer(tmp_path)
    with pytest.raises(UserError, match="could not be loaded"):
        load_tokenizer("nobody/no-such-tokenizer")
    shutil.copytree(unigram.name, tmp_path / "broken")
    (tmp_path / "broken" / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="could not be loaded"):
        load_tokenizer(tmp_path / "broken")


def test_text_that_is_not_unicode_is_told(tiny):
    with pytest.raises(UserError, match="surrogate"):
        tiny.encode(["fine", "not \ud800 fine"])


def test_long_words_do_not_break(tiny, unigram):
    assert tiny.encode(["d" * 900, "d" * 10_000]).lengths.tolist() == [900, 1]
    assert unigram.encode(["ab" * 5_000]).lengths[0] > 0
    assert np.all(unigram.encode_located(["ab" * 5_000]).char_end <= 10_000)


def test_the_packaged_tokenizer_has_the_layout_of_xlmr():
    mini = load_tokenizer("mini")
    assert [part.token for part in mini.pair] == [0, None, 2, 2, None, 2]
    assert (mini.cls_id, mini.pad_id, mini.sep_id, mini.unk_id) == (0, 1, 2, 3)
    assert mini.mask_id == mini.vocab_size - 1
    assert not set(literal(mini, "</s> <mask> <s>")) & {0, 1, 2, mini.mask_id}
