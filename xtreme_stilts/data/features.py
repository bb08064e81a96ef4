"""Text examples to tokenised rows, a batch of examples at a time, for every kind of head.

Terms. An *example* is a line of a task (id, inputs, targets, starts). A *row* is what the encoder sees of it:
token ids with special tokens, cut to `max_length`. Most examples give one row; a long tagged sentence gives
several *pieces*, a long context several *windows*, a retrieval pair two *sides*. Offsets into text count code
points. The rules and where they come from:

- pairs: one token at a time leaves the longer side, the first on a tie, at its end; at its start for multiple
  choice, whose answer comes last (jiant, tasks/utils.py, truncate_sequences);
- tagging: words are tokenised alone, the first subword carries the label; a word of no or too many subwords
  is unknown; a sentence is split where its subwords would exceed `max_length` - 3, XTREME's bound, so that
  pieces equal the reference's (XTREME, utils_preprocess.py);
- span: a question keeps `max_query` tokens; context words are tokenised alone; a window starts every
  `doc_stride` tokens and never leaves a gap; a token counts only in the window that shows most around it
  (SQuAD script of BERT, XTREME, jiant). Gold positions are the fewest tokens that cover the first answer's
  characters. XTREME narrows a span of whole words where it finds the answer's own tokens in it; offsets give
  the same span there, and also where pieces do not line up ("(Paris)", Chinese).
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xtreme_stilts.data.tokenizer import Part, Slices, Tokenizer
from xtreme_stilts.errors import UserError, did_you_mean

CODE_VERSION = 1  # part of every cache key: raise it when rows change for the same text (tests hold their digest)

WORD = re.compile("[^ \t\r\n\u202f]+")  # context words of span tasks


@dataclasses.dataclass(frozen=True)
class Example:
    """One line of a task, as text; see the task schema."""

    id: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()

    @classmethod
    def of(cls, row: Example | Mapping[str, Any]) -> Example:
        """From a mapping of the four features, with bytes or str, lists or arrays.

        Raises:
            UserError: bytes that are not UTF-8, or a feature is missing.
        """
        if isinstance(row, Example):
            return row
        missing = {"id", "inputs", "targets", "starts"} - set(row)
        if missing:
            found = f"a task's row lacks {sorted(missing)} and has {sorted(row)}"
            raise UserError(f"{found}; valid: id, inputs, targets, starts.")
        name = _text(row["id"], where="a task's id")
        return cls(
            id=name,
            inputs=tuple(_text(text, where=f"example {name!r}") for text in row["inputs"]),
            targets=tuple(_text(text, where=f"example {name!r}") for text in row["targets"]),
            starts=tuple(int(start) for start in row["starts"]),
        )

    def to_json(self) -> str:
        """One line without a newline character."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


def _text(value: bytes | str, *, where: str) -> str:
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: found bytes that are not valid UTF-8 ({error.reason} at byte {error.start})."
        ) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Lengths in tokens. `doc_stride` and `max_query` matter for span tasks only.

    Raises:
        UserError: a value out of range.
    """

    max_length: int = 128  # of one row (one choice), special tokens included
    doc_stride: int = 128  # context tokens between the starts of two windows
    max_query: int = 64  # question tokens kept

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise UserError(f"max_length is {self.max_length}; a row needs at least 8 tokens.")
        if self.doc_stride < 1 or self.max_query < 1:
            raise UserError(
                f"doc_stride is {self.doc_stride} and max_query is {self.max_query}; both must be at least 1."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides how text becomes rows, besides the tokenizer.

    Raises:
        UserError: an unknown kind, no labels where the kind needs them, or an unknown rule for misplaced
            answers.
    """

    kind: str  # a head's kind
    labels: tuple[str, ...] = ()  # classification, tagging: names in the order of their indices
    num_choices: int = 1  # choice: choices of every example
    limits: Limits = Limits()
    misplaced: str = "keep"  # span, an answer that is not where it claims: "skip" its example or "keep" it

    def __post_init__(self) -> None:
        if self.kind not in ENCODERS:
            raise UserError(f"kind {self.kind!r} is not known; {did_you_mean(self.kind, ENCODERS)}")
        if self.kind in ("classification", "tagging") and not self.labels:
            raise UserError(f"kind {self.kind!r} needs the list of its labels, and it is empty.")
        if self.kind == "choice" and self.num_choices < 2:
            raise UserError(f"num_choices is {self.num_choices}; kind 'choice' needs at least 2.")
        if self.misplaced not in ("skip", "keep"):
            raise UserError(f"misplaced is {self.misplaced!r}; valid: 'skip', 'keep'.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """N rows. Columns of `per_token` are parallel to `tokens`, those of `per_row` have one value a row."""

    tokens: np.ndarray  # int32[total], row after row; C segments of a row one after another
    lengths: np.ndarray  # int32[N, C]
    example: np.ndarray  # int32[N], number of the row's example within the batch
    per_token: Mapping[str, np.ndarray]
    per_row: Mapping[str, np.ndarray]
    counts: Mapping[str, int]  # what was cut, skipped or split


def encode(examples: Sequence[Example], *, recipe: Recipe, tokenizer: Tokenizer, where: str = "this task") -> Rows:
    """Tokenises a batch of examples.

    Args:
        examples: a few thousand at most, since all their tokens are in memory at once.
        where: what to call the data in an error, e.g. "task 'xnli.en', split 'train'".

    Raises:
        UserError: an example that does not fit the recipe; names its id, what was found and what is valid.
    """
    return ENCODERS[recipe.kind](examples, recipe, tokenizer, where)


# Layout: sequences into templates. On flat arrays, since a Python loop over tokens is many times slower.


class Layout(NamedTuple):
    """Rows laid out by a template."""

    tokens: np.ndarray  # int32[total]
    sizes: np.ndarray  # int64[N]
    token_types: np.ndarray  # int8[total]
    places: tuple[np.ndarray, ...]  # for each sequence, where in `tokens` its tokens went, in order


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers of [starts[i], starts[i] + lengths[i]), for each i in turn: int64[sum(lengths)]."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


def lay_out(template: Sequence[Part], sequences: Sequence[Slices]) -> Layout:
    """Rows of one template. `sequences[k]` holds sequence k of each of the N rows."""
    count = len(sequences[0].lengths)
    widths = [
        np.ones(count, np.int64) if part.sequence is None else sequences[part.sequence].lengths for part in template
    ]
    sizes = np.sum(widths, axis=0, dtype=np.int64)
    tokens = np.empty(sizes.sum(), np.int32)
    token_types = np.zeros(len(tokens), np.int8)
    places: dict[int, np.ndarray] = {}
    begin = np.cumsum(sizes) - sizes
    for part, width in zip(template, widths, strict=True):
        place = ranges(begin, width)
        if part.sequence is None:
            tokens[place] = part.token
        else:
            source = sequences[part.sequence]
            tokens[place] = source.values[ranges(source.starts, source.lengths)]
            places[part.sequence] = place
        token_types[place] = part.token_type
        begin = begin + width
    return Layout(tokens, sizes, token_types, tuple(places[k] for k in range(len(sequences))))


def specials(template: Sequence[Part]) -> int:
    """Number of special tokens a template adds."""
    return sum(part.sequence is None for part in template)


def fit(sequences: Sequence[Slices], *, budget: int, cut: str) -> list[Slices]:
    """Cuts one or two sequences a row so that together they have at most `budget` tokens.

    Equal to removing one token at a time from the longer one, the first on a tie: the shorter survives whole
    if it fills no more than half of the budget, else both are cut to half of it, an odd token going to the
    second.

    Args:
        cut: "end" removes the last tokens of a sequence, "start" the first.
    """
    if len(sequences) == 1:
        kept = [np.minimum(sequences[0].lengths, budget)]
    else:
        first, second = (s.lengths for s in sequences)
        short = np.minimum(first, second)
        keep_first = np.where(first > second, budget - short, short)
        keep_first = np.where(2 * short > budget, budget // 2, keep_first)
        fits = first + second <= budget
        kept = [np.where(fits, first, keep_first), np.where(fits, second, budget - keep_first)]
    return [
        Slices(s.values, s.starts + (s.lengths - k if cut == "start" else 0), k)
        for s, k in zip(sequences, kept, strict=True)
    ]


def _types(layout: Layout, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    return {"token_types": layout.token_types} if tokenizer.uses_token_types else {}


def _encode_texts(
    texts: Sequence[Sequence[str]], *, tokenizer: Tokenizer, limits: Limits, cut: str
) -> tuple[Layout, int]:
    """Rows of single texts or of pairs (all alike), and how many of them were cut."""
    template = tokenizer.pair if len(texts[0]) == 2 else tokenizer.single
    flat = tokenizer.encode([text for row in texts for text in row])
    width = len(texts[0])
    sequences = [flat.take(np.arange(k, len(flat.lengths), width)) for k in range(width)]
    kept = fit(sequences, budget=limits.max_length - specials(template), cut=cut)
    before, after = (sum(s.lengths for s in group) for group in (sequences, kept))
    return lay_out(template, kept), int(np.count_nonzero(before > after))


# One function a kind.


def _check_inputs(examples: Sequence[Example], *, counts: Sequence[int], where: str, meaning: str) -> None:
    for example in examples:
        if len(example.inputs) not in counts:
            raise UserError(
                f"{where}, example {example.id!r}: found {len(example.inputs)} input texts; valid: {meaning}."
            )


def _index(label: str, valid: Mapping[str, int], *, where: str, example: Example) -> int:
    try:
        return valid[label]
    except KeyError:
        raise UserError(
            f"{where}, example {example.id!r}: label {label!r} is not one of the task's {len(valid)} labels; "
            f"{did_you_mean(label, valid)}"
        ) from None


def _number(text: str, *, where: str, example: Example) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}, example {example.id!r}: target {text!r} is not a finite number.")
    return value


def _gold(example: Example, *, where: str) -> str | None:
    """The one target of an example, None if it is unlabelled."""
    if len(example.targets) > 1:
        raise UserError(f"{where}, example {example.id!r}: found {len(example.targets)} targets; valid: one, or none.")
    return example.targets[0] if example.targets else None


def _sentences(
    examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str
) -> tuple[Layout, dict[str, int]]:
    """Layout of examples of one text or two, and counts; examples of a task are all alike."""
    _check_inputs(examples, counts=(1, 2), where=where, meaning="one text or a pair")
    width = len(examples[0].inputs)
    _check_inputs(examples, counts=(width,), where=where, meaning=f"{width}, as in the examples before it")
    layout, cut = _encode_texts([e.inputs for e in examples], tokenizer=tokenizer, limits=recipe.limits, cut="end")
    unlabelled = sum(not e.targets for e in examples)
    return layout, {"truncated": cut, "unlabelled": unlabelled}


def _one_row_each(
    layout: Layout, tokenizer: Tokenizer, *, per_row: Mapping[str, np.ndarray], counts: Mapping[str, int]
) -> Rows:
    return Rows(
        tokens=layout.tokens,
        lengths=layout.sizes.astype(np.int32)[:, None],
        example=np.arange(len(layout.sizes), dtype=np.int32),
        per_token=_types(layout, tokenizer),
        per_row=per_row,
        counts=counts,
    )


def _classification(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """Column `label` int32: index of the label, -1 if unlabelled."""
    layout, counts = _sentences(examples, recipe, tokenizer, where)
    valid = {label: number for number, label in enumerate(recipe.labels)}
    gold = ((e, _gold(e, where=where)) for e in examples)
    label = np.array([-1 if g is None else _index(g, valid, where=where, example=e) for e, g in gold], np.int32)
    return _one_row_each(layout, tokenizer, per_row={"label": label}, counts=counts)


def _regression(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """Column `label` float32: the value, nan if unlabelled."""
    layout, counts = _sentences(examples, recipe, tokenizer, where)
    gold = ((e, _gold(e, where=where)) for e in examples)
    label = np.array([np.nan if g is None else _number(g, where=where, example=e) for e, g in gold], np.float32)
    return _one_row_each(layout, tokenizer, per_row={"label": label}, counts=counts)


def _choice(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """Column `label` int32: number of the right choice, -1 if unlabelled. Inputs are context, choices."""
    choices = recipe.num_choices
    _check_inputs(examples, counts=(choices + 1,), where=where, meaning=f"a context and {choices} choices")
    texts = [(e.inputs[0], choice) for e in examples for choice in e.inputs[1:]]
    layout, cut = _encode_texts(texts, tokenizer=tokenizer, limits=recipe.limits, cut="start")
    valid = {str(number): number for number in range(choices)}
    gold = [(e, _gold(e, where=where)) for e in examples]
    label = np.array([-1 if g is None else _index(g, valid, where=where, example=e) for e, g in gold], np.int32)
    return Rows(
        tokens=layout.tokens,
        lengths=layout.sizes.reshape(-1, choices).astype(np.int32),
        example=np.arange(len(examples), dtype=np.int32),
        per_token=_types(layout, tokenizer),
        per_row={"label": label},
        counts={"truncated": cut, "unlabelled": int(np.count_nonzero(label < 0))},
    )


def _mlm(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """No columns of its own: masks are drawn while training. A blank line or side of a pair gives no row."""
    _check_inputs(examples, counts=(1, 2), where=where, meaning="one text or a translation pair")
    kept = np.array([i for i, e in enumerate(examples) if all(map(str.strip, e.inputs))], np.int32)
    blank = {"blank": len(examples) - len(kept)}
    if not len(kept):
        return _no_rows(tokenizer, counts=blank)
    layout, counts = _sentences([examples[i] for i in kept], recipe, tokenizer, where)
    rows = _one_row_each(layout, tokenizer, per_row={}, counts={"truncated": counts["truncated"], **blank})
    return dataclasses.replace(rows, example=kept)


def _embedding(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """Column `side` int32: 0 for the first text of an example, 1 for the second; each is a row of its own."""
    _check_inputs(examples, counts=(1, 2), where=where, meaning="one text or a retrieval pair")
    texts = [(text,) for e in examples for text in e.inputs]
    layout, cut = _encode_texts(texts, tokenizer=tokenizer, limits=recipe.limits, cut="end")
    side = np.array([k for e in examples for k in range(len(e.inputs))], np.int32)
    rows = _one_row_each(layout, tokenizer, per_row={"side": side}, counts={"truncated": cut})
    return dataclasses.replace(
        rows, example=np.repeat(np.arange(len(examples), dtype=np.int32), [len(e.inputs) for e in examples])
    )


def _no_rows(tokenizer: Tokenizer, *, counts: Mapping[str, int]) -> Rows:
    layout = lay_out(tokenizer.single, [tokenizer.encode([])])
    return _one_row_each(layout, tokenizer, per_row={}, counts=counts)


def _tagging(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """Columns per token: `tags` int32, the label of the word that begins here, and `word` int32, that word's
    number in the sentence; -1 elsewhere. An unlabelled sentence has `tags` -1 throughout.
    """
    valid = {label: number for number, label in enumerate(recipe.labels)}
    for e in examples:
        if not e.inputs or (e.targets and len(e.targets) != len(e.inputs)):
            found = f"{len(e.inputs)} words and {len(e.targets)} tags"
            raise UserError(f"{where}, example {e.id!r}: found {found}; valid: a tag for every word, words >= 1.")
    gold = [_index(t, valid, where=where, example=e) for e in examples for t in e.targets]
    words = [word for e in examples for word in e.inputs]
    per_sentence = np.array([len(e.inputs) for e in examples])
    tag = np.full(len(words), -1, np.int32)
    tag[np.repeat([bool(e.targets) for e in examples], per_sentence)] = gold
    number = np.arange(len(words)) - np.repeat(np.cumsum(per_sentence) - per_sentence, per_sentence)

    bound = recipe.limits.max_length - max(3, specials(tokenizer.single))
    subwords, unknown = _words(words, tokenizer, bound)
    piece = _pieces(subwords.lengths, per_sentence, bound)  # number of the first word of each piece
    stream = subwords.values[ranges(subwords.starts, subwords.lengths)]
    first = np.cumsum(subwords.lengths) - subwords.lengths  # each word's first subword in the stream
    ends = np.append(first[piece[1:]], len(stream))
    layout = lay_out(tokenizer.single, [Slices(stream, first[piece], ends - first[piece])])
    columns = {"tags": tag, "word": number.astype(np.int32)}
    per_token = {name: np.full(len(layout.tokens), -1, np.int32) for name in columns}
    for name, column in columns.items():
        per_token[name][layout.places[0][first]] = column
    sentence = np.repeat(np.arange(len(examples), dtype=np.int32), per_sentence)[piece]
    return Rows(
        tokens=layout.tokens,
        lengths=layout.sizes.astype(np.int32)[:, None],
        example=sentence,
        per_token={**_types(layout, tokenizer), **per_token},
        per_row={},
        counts={
            "split": int(len(piece) - len(examples)),
            "unknown_words": unknown,
            "unlabelled": sum(not e.targets for e in examples),
        },
    )


def _words(words: Sequence[str], tokenizer: Tokenizer, bound: int) -> tuple[Slices, int]:
    """Subwords of words tokenised alone; a word of none, or of more than `bound`, is the unknown token."""
    found = tokenizer.encode(words)
    bad = (found.lengths == 0) | (found.lengths > bound)
    values = np.append(found.values, np.int32(tokenizer.unk_id))
    starts = np.where(bad, len(values) - 1, found.starts)
    return Slices(values, starts, np.where(bad, 1, found.lengths)), int(np.count_nonzero(bad))


def _pieces(subwords: np.ndarray, per_sentence: np.ndarray, bound: int) -> np.ndarray:
    """First word of each piece, of all sentences: a piece takes words while their subwords fit `bound`."""
    starts = np.cumsum(per_sentence) - per_sentence
    totals = np.add.reduceat(subwords, starts)
    pieces = []
    for start, count, total in zip(starts.tolist(), per_sentence.tolist(), totals.tolist(), strict=True):
        pieces.append(start)
        if total <= bound:
            continue
        used = 0
        for word in range(start, start + count):
            if used + subwords[word] > bound:
                pieces.append(word)
                used = 0
            used += int(subwords[word])
    return np.array(pieces, np.int64)


class _Contexts(NamedTuple):
    """Contexts of span examples, tokenised word by word."""

    slices: Slices  # of the context of each example
    char_start: np.ndarray  # int32[total], parallel to slices.values; offsets into the context
    char_end: np.ndarray


def _contexts(texts: Sequence[str], tokenizer: Tokenizer) -> _Contexts:
    unique = list(dict.fromkeys(texts))  # the questions of a paragraph share it
    found = [[(match.group(), match.start()) for match in WORD.finditer(text)] for text in unique]
    located = tokenizer.encode_located([word for words in found for word, _ in words])
    subwords = located.slices
    index = ranges(subwords.starts, subwords.lengths)
    shift = np.repeat(np.array([start for words in found for _, start in words], np.int32), subwords.lengths)
    sentence = np.repeat(np.arange(len(unique)), [len(words) for words in found])
    lengths = np.bincount(sentence, subwords.lengths, len(unique)).astype(np.int64)
    stream = Slices(subwords.values[index], np.cumsum(lengths) - lengths, lengths)
    number = {text: i for i, text in enumerate(unique)}
    return _Contexts(
        stream.take(np.array([number[text] for text in texts], np.int64)),
        located.char_start[index] + shift,
        located.char_end[index] + shift,
    )


class _Answer(NamedTuple):
    """First answer of an example as tokens of its context, inclusive; -1 if there is none or misplaced."""

    first: int
    last: int
    misplaced: bool


def _answer(example: Example, char_start: np.ndarray, char_end: np.ndarray, *, where: str) -> _Answer:
    if not example.targets:
        return _Answer(-1, -1, False)
    if len(example.starts) != len(example.targets):
        found = f"{len(example.targets)} answers and {len(example.starts)} starts"
        raise UserError(f"{where}, example {example.id!r}: found {found}; valid: one start for every answer.")
    text, context, start = example.targets[0], example.inputs[1], example.starts[0]
    end = start + len(text)
    covered = np.flatnonzero((char_end > start) & (char_start < end))
    if not 0 <= start < end <= len(context) or not len(covered) or not _holds(context, start, end, text):
        return _Answer(-1, -1, True)
    return _Answer(int(covered[0]), int(covered[-1]), False)


def _holds(context: str, start: int, end: int, answer: str) -> bool:
    """Whether the words that [start, end) touches contain the answer, white space aside."""
    words = " ".join(m.group() for m in WORD.finditer(context) if m.start() < end and m.end() > start)
    return " ".join(answer.split()) in " ".join(words.split())


def _windows(total: int, *, width: int, stride: int) -> list[int]:
    """Starts of the windows of a context of `total` tokens; the last is the first to reach its end."""
    step = min(stride, width)  # a longer step would skip tokens
    return list(range(0, max(total - width, 0) + step, step))


def max_context(starts: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """For each window, which of its tokens show more context there than in any other window of the example.

    A token's context in a window is min(tokens to its left, tokens to its right) + 0.01 * window length; the
    earlier window wins a tie (BERT's run_squad.py, _check_is_max_context).

    Args:
        starts: int[W], first token of each window.
        lengths: int[W].
    """
    if len(starts) == 1:
        return [np.ones(lengths[0], bool)]
    token = np.arange(starts[-1] + lengths[-1])
    left, right = token - starts[:, None], (starts + lengths - 1)[:, None] - token  # [window, token]
    score = np.minimum(left, right) + 0.01 * lengths[:, None]
    best = np.where((left < 0) | (right < 0), -np.inf, score).argmax(0)
    return [best[s : s + n] == w for w, (s, n) in enumerate(zip(starts, lengths, strict=True))]


def _span(examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, where: str) -> Rows:
    """One row a window. Columns per token: `char_start`, `char_end` int32 (code points of the context, -1
    outside it), `max_context` bool. Per row: `start`, `end` int32, window-relative, 0 (the first token) if
    the window lacks the whole answer.
    """
    _check_inputs(examples, counts=(2,), where=where, meaning="a question and a context")
    limits, extra = recipe.limits, specials(tokenizer.pair)
    contexts = _contexts([e.inputs[1] for e in examples], tokenizer)
    questions = tokenizer.encode([e.inputs[0] for e in examples])
    counts = collections.Counter(misplaced=0, unanswerable=0, without_answer=0)
    counts["questions_cut"] = int(np.count_nonzero(questions.lengths > limits.max_query))
    questions = questions._replace(lengths=np.minimum(questions.lengths, limits.max_query))
    example, begin, length, start, end, best = [], [], [], [], [], []
    places = zip(
        contexts.slices.starts.tolist(),
        contexts.slices.lengths.tolist(),
        questions.lengths.tolist(),
        strict=True,
    )
    for number, (e, (at, total, asked)) in enumerate(zip(examples, places, strict=True)):
        answer = _answer(e, contexts.char_start[at : at + total], contexts.char_end[at : at + total], where=where)
        counts["misplaced"] += answer.misplaced
        counts["unanswerable"] += not e.targets
        if answer.misplaced and recipe.misplaced == "skip":
            continue
        width = limits.max_length - asked - extra
        if width < 1:
            found = f"its question takes {asked} of {limits.max_length} tokens (max_length)"
            raise UserError(
                f"{where}, example {e.id!r}: {found} and leaves none to the context; "
                f"set max_query below {limits.max_length - extra}."
            )
        starts = np.array(_windows(total, width=width, stride=limits.doc_stride))
        lengths = np.minimum(total - starts, width)
        whole = (answer.first >= starts) & (answer.last < starts + lengths) & (answer.first >= 0)
        shift = _context_offset(tokenizer.pair) + asked - starts
        counts["without_answer"] += int(np.count_nonzero(~whole))
        example.append(np.full(len(starts), number, np.int32))
        begin.append(at + starts)
        length.append(lengths)
        start.append(np.where(whole, answer.first + shift, 0))
        end.append(np.where(whole, answer.last + shift, 0))
        best.extend(max_context(starts, lengths))
    if not example:
        return _no_rows(tokenizer, counts=counts)
    example, begin, length = np.concatenate(example), np.concatenate(begin), np.concatenate(length)
    layout = lay_out(tokenizer.pair, [questions.take(example), Slices(contexts.slices.values, begin, length)])
    place, source = layout.places[1], ranges(begin, length)
    columns = {
        "char_start": np.full(len(layout.tokens), -1, np.int32),
        "char_end": np.full(len(layout.tokens), -1, np.int32),
    }
    columns["char_start"][place] = contexts.char_start[source]
    columns["char_end"][place] = contexts.char_end[source]
    columns["max_context"] = np.zeros(len(layout.tokens), bool)
    columns["max_context"][place] = np.concatenate(best)
    return Rows(
        tokens=layout.tokens,
        lengths=layout.sizes.astype(np.int32)[:, None],
        example=example,
        per_token={**_types(layout, tokenizer), **columns},
        per_row={
            "start": np.concatenate(start).astype(np.int32),
            "end": np.concatenate(end).astype(np.int32),
        },
        counts=counts,
    )


def _context_offset(template: Sequence[Part]) -> int:
    """Special tokens before the second sequence: 3 for XLM-R, 2 for BERT."""
    return sum(part.sequence is None for part in template[: [p.sequence for p in template].index(1)])


ENCODERS: dict[str, Callable[[Sequence[Example], Recipe, Tokenizer, str], Rows]] = {
    "classification": _classification,
    "regression": _regression,
    "choice": _choice,
    "tagging": _tagging,
    "span": _span,
    "mlm": _mlm,
    "embedding": _embedding,
}
