"""The miniature's tokenizer: how it is trained, and the copy that is shipped in the folder `tokenizer/`.

A Unigram model over the miniature's text in the dress of XLM-R's: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, `<mask>`
last, words begin with "▁", pairs are `<s> A </s></s> B </s>`. Three simplifications keep its vocabulary small enough
to learn in a minute: text is lower-cased, punctuation and numbers stand alone, and digits, punctuation and Chinese
characters never carry the "▁", so that a word has the same piece wherever it stands.

`python -m xtreme_stilts.mini.tokenizer FOLDER` trains it anew and writes it.
"""

from __future__ import annotations

import collections
import json
import math
import pathlib
import string
import sys
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from xtreme_stilts.mini import datasets, lexicon

FOLDER = pathlib.Path(__file__).resolve().parent / "tokenizer"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
METASPACE = "▁"
PUNCTUATION = ".,?!¿·'。，？"  # the hyphen of кто-то is no punctuation: the word stays whole
_CHINESE = r"\u4e00-\u9fff"


def train(*, least: int = 5) -> Tokenizer:
    """A tokenizer trained on the miniature's text.

    The unigram probabilities are the words' relative frequencies; a word seen less than `least` times has no piece of
    its own and falls apart into shorter pieces, in the end into characters.

    Args:
        least: how often a word must be seen to become a piece.
    """
    pieces = _untrained()
    counts = collections.Counter(piece for word in _words() for piece in _pieces(pieces, word))
    characters = {METASPACE, *string.ascii_lowercase, *string.digits, *"".join(counts)}
    total = counts.total()
    scores = {piece: math.log(count / total) for piece, count in counts.items() if count >= least}
    unlikely = min(scores.values()) - 1  # a character by itself costs more than any word
    scores |= {c: unlikely for c in characters if c not in scores}
    vocabulary = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    specials = [(token, 0.0) for token in SPECIALS]
    tokenizer = _untrained(models.Unigram([*specials, *vocabulary, (MASK, 0.0)], unk_id=SPECIALS.index("<unk>")))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    tokenizer.add_special_tokens([AddedToken(MASK, special=True, normalized=False, lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return tokenizer


def _pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text normalised and cut where no piece reaches across."""
    return [p for p, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


def _untrained(model: models.Model | None = None) -> Tokenizer:
    tokenizer = Tokenizer(model or models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace("İ", "i"),  # its lower case would be an i with a second dot
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Prepend(" "),
            normalizers.Replace(Regex(r" +(?=[0-9" + _CHINESE + _escaped(PUNCTUATION) + r"])"), ""),
            normalizers.Replace(Regex(r" +$"), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"[0-9]+|[{_escaped(PUNCTUATION)}]"), "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="never"),
        ]
    )
    return tokenizer


def _escaped(characters: str) -> str:
    return "".join("\\" + c if c in "\\]^-.?" else c for c in characters)


def _words() -> Iterator[str]:
    """The words of the miniature's text, one by one, so that no piece spans two Chinese words; and each form of the
    lexicon, since a rare one may not be drawn."""
    for language in lexicon.LANGUAGES:
        for name, size in ((f"xtreme_pos/{language}", 6000), (f"wikiann/{language}", 1000)):
            for row in datasets.rows(name, split="train", size=size):
                yield from row["tokens"]
                if row["tokens"][0] == "¿":  # written together with the word after it, which then has no "▁"
                    yield "".join(row["tokens"][:2])
    for _, forms in lexicon.concepts():
        for cells in forms.values():
            yield from (word.partition("/")[0] for cell in cells for word in cell.split("_"))


def save(tokenizer: Tokenizer, folder: str | pathlib.Path) -> None:
    """Writes `tokenizer.json` and what `transformers.AutoTokenizer` needs beside it into an existing folder."""
    folder = pathlib.Path(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "model_input_names": ["input_ids", "attention_mask"],
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": MASK,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER)
    target.mkdir(parents=True, exist_ok=True)
    trained = train()
    save(trained, target)
    print(f"{trained.get_vocab_size()} entries written to {target}")
