"""Text to ids, in batches, through the Rust backend of a Hugging Face fast tokenizer.

Terms: a *template* says how sequences become one row (`<s> A </s></s> B </s>`, `[CLS] A [SEP] B [SEP]`); it
is read off the tokenizer's own post-processor. *Slices* are token sequences kept as one flat array with a
start and a length each.

Text is data: a literal `</s>` or `[SEP]` in a sentence is encoded as ordinary text, never as the special
token. SentencePiece does the same; the fast tokenizers alone do not, since a Unigram vocabulary lists its
control symbols among the pieces.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xtreme_stilts.errors import UserError

MINI = pathlib.Path(__file__).resolve().parent.parent / "mini" / "tokenizer"
METASPACE = "▁"  # SentencePiece's visible space, which begins every word


class Part(NamedTuple):
    """One place of a template: either a special token or a whole sequence."""

    token: int | None  # id of the special token; None for a sequence
    sequence: int | None  # 0 = A, 1 = B; None for a special token
    token_type: int  # BERT's segment type, 0 or 1; 0 throughout for XLM-R


class Slices(NamedTuple):
    """N token sequences: sequence i is `values[starts[i] : starts[i] + lengths[i]]`."""

    values: np.ndarray  # int32[total]
    starts: np.ndarray  # int64[N]
    lengths: np.ndarray  # int64[N]

    def take(self, index: np.ndarray) -> Slices:
        """The sequences of these numbers, in this order; the values are shared."""
        return Slices(self.values, self.starts[index], self.lengths[index])


class Located(NamedTuple):
    """Token sequences with the code points of its text that each token covers, `[char_start, char_end)`."""

    slices: Slices
    char_start: np.ndarray  # int32[total], parallel to slices.values
    char_end: np.ndarray  # int32[total]; equal to char_start for a token without a character (a lone "▁")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tokenizer:
    """A vocabulary, its special ids and its templates.

    `encode` adds no special tokens. A text may be empty (no token); ids of special tokens other than unknown
        never come out.
    """

    name: str
    cls_id: int
    sep_id: int
    pad_id: int
    mask_id: int | None
    unk_id: int
    vocab_size: int  # largest id + 1, thus the rows an embedding table needs
    special_ids: tuple[int, ...]
    single: tuple[Part, ...]
    pair: tuple[Part, ...]
    fingerprint: str  # sha256 of the serialised tokenizer
    hf: Any = dataclasses.field(repr=False)  # the transformers tokenizer, for decoding and saving
    backend: Any = dataclasses.field(repr=False)  # tokenizers.Tokenizer that takes special strings for text

    @property
    def uses_token_types(self) -> bool:
        """Whether a pair's second text has a type of its own (BERT)."""
        return any(part.token_type for part in self.pair)

    def encode(self, texts: Sequence[str]) -> Slices:
        """Ids of each text; a text that occurs several times is encoded once and shared.

        Raises:
            UserError: a text holds a lone surrogate, which has no UTF-8 form.
        """
        unique, index = _unique(texts)
        return self._slices(_run(self.backend.encode_batch_fast, unique)).take(index)

    def encode_located(self, texts: Sequence[str]) -> Located:
        """As `encode`, with the code points each token covers.

        A "▁" that stands alone before the characters of its word covers nothing, so that ranges do not
            overlap.
        """
        unique, index = _unique(texts)
        encodings = _run(self.backend.encode_batch, unique)
        slices = self._slices(encodings)
        flat = itertools.chain.from_iterable(itertools.chain.from_iterable(e.offsets for e in encodings))
        spans = np.fromiter(flat, np.int32, 2 * len(slices.values)).reshape(-1, 2)
        start, end = spans[:, 0].copy(), spans[:, 1].copy()
        metaspace = self.backend.token_to_id(METASPACE)
        if metaspace is not None:
            # A prefix was put before the first character, so backend and next token both name that character.
            lone = np.flatnonzero((slices.values[:-1] == metaspace) & (start[:-1] == start[1:]))
            last = slices.starts + slices.lengths - 1  # the next token must belong to the same text
            lone = lone[~np.isin(lone, last)]
            end[lone] = start[lone]
        return Located(slices.take(index), start, end)

    def _slices(self, encodings: Sequence[Any]) -> Slices:
        lengths = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        ids = itertools.chain.from_iterable(e.ids for e in encodings)
        values = np.fromiter(ids, np.int32, int(lengths.sum()))
        special = np.isin(values, [i for i in self.special_ids if i != self.unk_id])
        values[special] = self.unk_id  # unreachable for the usual pre-tokenizers; a guarantee for the others
        return Slices(values, np.cumsum(lengths) - lengths, lengths)


def load_tokenizer(name_or_dir: str | os.PathLike[str]) -> Tokenizer:
    """Loads a tokenizer: "mini" (packaged), a local folder, or a name on the Hugging Face hub.

    Remote code is never run. Only fast tokenizers are accepted: they alone give character offsets.

    Raises:
        UserError: nothing there or unreachable, not a fast tokenizer, or a needed special token is missing.
    """
    name = os.fspath(name_or_dir)
    place = str(MINI) if name == "mini" else name
    hf = _load_hf(name, place=place)
    ids = {kind: getattr(hf, f"{kind}_token_id") for kind in ("cls", "sep", "pad", "mask", "unk")}
    missing = [kind for kind in ("cls", "sep", "pad", "unk") if ids[kind] is None]
    if missing:
        raise UserError(f"tokenizer {name!r} has no {', '.join(missing)} token; valid: one with cls, sep, pad and unk.")
    serialised = hf.backend_tokenizer.to_str()
    specials = sorted({*hf.all_special_ids, *(i for i in ids.values() if i is not None)})
    typed = "token_type_ids" in hf.model_input_names
    single = _template(hf.backend_tokenizer.encode("a"), typed=typed)
    if single[0].token != ids["cls"]:
        raise UserError(
            f"tokenizer {name!r} does not begin a row with its cls token, which heads read; "
            "valid: an encoder's tokenizer."
        )
    return Tokenizer(
        name=name,
        **{f"{kind}_id": value for kind, value in ids.items()},
        vocab_size=max(hf.get_vocab().values()) + 1,
        special_ids=tuple(specials),
        single=single,
        pair=_template(hf.backend_tokenizer.encode("a", "b"), typed=typed),
        fingerprint=hashlib.sha256(serialised.encode()).hexdigest(),
        hf=hf,
        backend=_literal_backend(serialised, special_tokens=hf.convert_ids_to_tokens(specials)),
    )


def _load_hf(name: str, *, place: str) -> Any:
    valid = "valid: 'mini', a folder with tokenizer.json, or a hub name"
    local = os.path.isdir(place)
    like_a_path = place.startswith((os.sep, ".", "~")) or place.count("/") > 1  # a hub name has one slash at most
    if like_a_path and not local:
        raise UserError(f"tokenizer folder {name!r} does not exist; {valid}.")
    import transformers  # seconds to import, so only where a tokenizer is really loaded

    try:
        hf = transformers.AutoTokenizer.from_pretrained(
            place, use_fast=True, trust_remote_code=False, local_files_only=local
        )
    except Exception as error:  # of many types; the Rust parser raises a bare Exception
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"tokenizer {name!r} could not be loaded ({reason}); {valid} within reach or downloaded."
        ) from error
    if not getattr(hf, "is_fast", False):
        raise UserError(f"tokenizer {name!r} is a {type(hf).__name__}, not a fast one; {valid}.")
    hf.backend_tokenizer.no_truncation()
    hf.backend_tokenizer.no_padding()
    return hf


def _template(encoding: Any, *, typed: bool) -> tuple[Part, ...]:
    """The template an encoded probe shows: its special tokens, and one part for a run of sequence tokens."""
    parts = []
    columns = zip(encoding.ids, encoding.sequence_ids, encoding.type_ids, strict=True)
    for token, sequence, token_type in columns:
        part = Part(token if sequence is None else None, sequence, token_type if typed else 0)
        if sequence is None or not parts or parts[-1] != part:
            parts.append(part)
    return tuple(parts)


def _literal_backend(serialised: str, *, special_tokens: Sequence[str]) -> Any:
    """The same tokenizer, but with special tokens that no text can spell.

    Their strings get spaces around them, in the vocabulary and in the list of added tokens: pre-tokenizers
    split on or replace spaces, so no piece with one is ever looked up. Ids and scores stay, hence every other
    segmentation too.
    """
    import tokenizers

    state = json.loads(serialised)
    renamed = {token: f" {token} " for token in special_tokens}
    model = state["model"]
    if isinstance(model["vocab"], list):  # Unigram: [piece, score] in the order of ids
        model["vocab"] = [[renamed.get(piece, piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {renamed.get(piece, piece): number for piece, number in model["vocab"].items()}
    if model.get("unk_token"):
        model["unk_token"] = renamed.get(model["unk_token"], model["unk_token"])
    for token in state["added_tokens"]:
        token["content"] = renamed.get(token["content"], token["content"])
    state["post_processor"] = None  # it names the special tokens; templates are ours
    backend = tokenizers.Tokenizer.from_str(json.dumps(state))
    backend.encode_special_tokens = True
    return backend


def _unique(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    number: dict[str, int] = {}
    index = np.fromiter((number.setdefault(text, len(number)) for text in texts), np.int64, len(texts))
    return list(number), index


def _run(encode: Any, texts: list[str]) -> list[Any]:
    try:
        return encode(texts, add_special_tokens=False)
    except (UnicodeEncodeError, TypeError) as error:
        broken = next((text for text in texts if not isinstance(text, str) or not _is_unicode(text)), None)
        raise UserError(
            f"text {broken!r} cannot be encoded; valid: Unicode text (a lone surrogate has no UTF-8 form)."
        ) from error


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
