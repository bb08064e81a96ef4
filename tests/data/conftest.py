"""Small tokenizers whose every id is known, and the real ones where there is shared data."""

from __future__ import annotations

import json
import string

import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

from xtreme_stilts.data.tokenizer import Tokenizer, load_tokenizer

SPECIAL = {
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


def _save(folder, backend) -> str:
    backend.add_special_tokens(list(SPECIAL.values()))
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    backend.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids"], **SPECIAL}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Tokenizer:
    """XLM-R's layout, a WordPiece vocabulary of single letters and "the": "the dog" is the d ##o ##g."""
    letters = string.ascii_letters + string.digits
    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "the",
        *string.punctuation,
        *letters,
        *(f"##{c}" for c in letters),
        "<mask>",
    ]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    model = models.WordPiece(vocabulary, unk_token="<unk>", max_input_chars_per_word=1_000)
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return load_tokenizer(_save(tmp_path_factory.mktemp("tiny"), backend))


@pytest.fixture(scope="session")
def unigram(tmp_path_factory) -> Tokenizer:
    """A SentencePiece-like vocabulary that lists its control symbols among the pieces, as XLM-R's does."""
    scores = {
        "<s>": 0.0,
        "<pad>": 0.0,
        "</s>": 0.0,
        "<unk>": 0.0,
        "▁": -3.0,
        "</": -4.0,
        "▁ab": -2.0,
        "<mask>": 0.0,
    }
    pieces = [*scores.items(), *((c, -5.0) for c in "abcdsunkmp<>/")]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=3))
    backend.normalizer = normalizers.NFKC()
    split, prefix = pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, prefix])
    return load_tokenizer(_save(tmp_path_factory.mktemp("unigram"), backend))


@pytest.fixture(scope="session")
def xlmr(shared_data) -> Tokenizer:
    return load_tokenizer(shared_data / "tokenizer" / "xlmr")


@pytest.fixture(scope="session")
def mbert(shared_data) -> Tokenizer:
    return load_tokenizer(shared_data / "tokenizer" / "mbert")
