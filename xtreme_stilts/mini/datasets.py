"""Rows of the miniature data sets, with the feature names and types of the published ones.

`rows("xnli", split="test")` gives what iterating over the prepared TensorFlow Datasets build of the same name gives,
with `str` for text. Where that has no build, the rows are those of the official files. A name is a family, or
`family/language`; `dataset_names()` lists them.

Terms:

- **split**: named as in the published data set ("validation_matched", "dev"); each belongs to one bucket (`events.py`),
  so nothing said in a validation or test split is said in a training split.
- **seed**: another seed, other rows; the same arguments always give the same rows.
- Languages share their events: row i of `xquad/de` and of `xquad/sw` say the same, as in the published data. Only the
  corpora (`text`, `mixed`, `parallel`) are drawn for each language by itself.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.mini import inference, lexicon
from xtreme_stilts.mini.events import Bucket, Event, Organisation, Person, Sampler, Thing, kind, names, nouns
from xtreme_stilts.mini.grammar import Sentence, capitalised, join, render, render_mixed
from xtreme_stilts.mini.lexicon import LANGUAGES

NLI_LABELS = ("entailment", "neutral", "contradiction")
UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X", "_",
)  # fmt: skip
NER_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
_XNLI_LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")


@dataclasses.dataclass(frozen=True)
class _Dataset:
    """`make(sampler, language, size)` gives the rows; `splits`: name -> (bucket, default number of rows).

    `aligned`: row i says the same in all languages.
    """

    make: Callable[[Sampler, str, int], list[dict]]
    splits: Mapping[str, tuple[Bucket, int]]
    languages: tuple[str, ...] = ()  # empty: the name takes no language
    aligned: bool = True


def dataset_names() -> list[str]:
    """Every name `rows` accepts."""
    return [f"{name}/{lg}" if lg else name for name, d in _DATASETS.items() for lg in d.languages or ("",)]


def splits(name: str) -> dict[str, int]:
    """The splits of a data set and how many rows each has unless told otherwise.

    Raises:
        UserError: no data set of that name.
    """
    return {split: size for split, (_, size) in _find(name)[0].splits.items()}


def rows(name: str, *, split: str, seed: int = 0, size: int | None = None) -> list[dict]:
    """The rows of one split.

    Args:
        name: one of `dataset_names()`.
        split: one of `splits(name)`.
        seed: random seed; splits never overlap, whatever their seeds.
        size: number of rows; None for the default.

    Returns:
        One dict a row, features as in the published data set.

    Raises:
        UserError: no such data set or split.
    """
    dataset, family, language = _find(name)
    if split not in dataset.splits:
        raise UserError(f"mini data set {name!r} has no split {split!r}; {did_you_mean(split, dataset.splits)}")
    bucket, default = dataset.splits[split]
    stream = f"{family if dataset.aligned else name}:{split}"
    rng = np.random.default_rng([seed, zlib.crc32(stream.encode())])
    return dataset.make(Sampler(rng, bucket), language, default if size is None else size)


class _Found(NamedTuple):
    dataset: _Dataset
    family: str
    language: str


def _find(name: str) -> _Found:
    if name in _DATASETS and not _DATASETS[name].languages:
        return _Found(_DATASETS[name], name, "en")
    family, _, language = name.rpartition("/")
    if family in _DATASETS and language in _DATASETS[family].languages:
        return _Found(_DATASETS[family], family, language)
    raise UserError(f"no mini data set {name!r}; {did_you_mean(name, dataset_names())}")


# -- Sentence pairs ----------------------------------------------------------------------------------------------


def _multi_nli(sampler: Sampler, language: str, index: int) -> dict:
    pair = inference.nli_pair(sampler, index % 3)
    return {
        "premise": render(pair.first, language).text,
        "hypothesis": render(pair.second, language).text,
        "label": pair.label,
    }


def _xnli(sampler: Sampler, language: str, index: int) -> dict:
    """As the published rows; languages the miniature does not have are empty premises, and no hypotheses."""
    pair = inference.nli_pair(sampler, index % 3)
    return {
        "premise": {lg: render(pair.first, lg).text if lg in LANGUAGES else "" for lg in _XNLI_LANGUAGES},
        "hypothesis": {
            "language": sorted(LANGUAGES),
            "translation": [render(pair.second, lg).text for lg in sorted(LANGUAGES)],
        },
        "label": pair.label,
    }


def _paws_x(sampler: Sampler, language: str, index: int) -> dict:
    pair = inference.paraphrase_pair(sampler, index % 2)
    return {
        "sentence1": render(pair.first, language).text,
        "sentence2": render(pair.second, language).text,
        "label": pair.label,
    }


# -- Tagging -----------------------------------------------------------------------------------------------------


def _sentence_event(sampler: Sampler) -> Event:
    """Any sentence worth tagging."""
    if sampler.chance(0.08):
        return inference.consequence_pair(sampler).first
    event = sampler.fronted(sampler.negated(sampler.event()))
    if sampler.chance(0.08):
        wider = inference.generalisations(event)
        event = sampler.pick(wider).but(fronted=None) if wider else event
    return event


def _universal_pos(sampler: Sampler, language: str, index: int) -> dict:
    sentence = _statement_or_question(sampler, language)
    return {
        "tokens": [word.text for word in sentence.words],
        "upos": [UPOS.index(word.upos) for word in sentence.words],
    }


def _statement_or_question(sampler: Sampler, language: str) -> Sentence:
    event = _sentence_event(sampler)
    slots = askable(event)
    if slots and not event.negated and sampler.chance(0.15):
        return render(event.but(fronted=None), language, asked=sampler.pick(slots))
    return render(event, language)


def _wikiann(sampler: Sampler, language: str, index: int) -> dict:
    while True:
        event = sampler.action(place=0.7, time=0.3, subject=lambda: _entity(sampler), verb=_entity_verb(sampler))
        if kind(event.subject) != "org" or "org" in lexicon.VERBS[event.verb].subjects:
            break
    sentence = render(sampler.fronted(event), language)
    tokens = [word.text for word in sentence.words]
    tags, spans = [], []
    for i, word in enumerate(sentence.words):
        inside = bool(word.entity) and i > 0 and sentence.words[i - 1].entity == word.entity
        tags.append(NER_TAGS.index(f"{'I' if inside else 'B'}-{word.entity}") if word.entity else 0)
        if inside:
            spans[-1] += f" {word.text}"
        elif word.entity:
            spans.append(f"{word.entity}: {word.text}")
    return {"tokens": tokens, "tags": tags, "langs": [language] * len(tokens), "spans": spans}


def _entity(sampler: Sampler):
    draw = sampler.rng.random()
    if draw < 0.3:
        return Organisation(sampler.pick(names("org")))
    if draw < 0.85:
        return sampler.person(surname=0.5)
    return Thing(sampler.pick(nouns("person")))


def _entity_verb(sampler: Sampler) -> str:
    return sampler.pick(["buy", "sell", "see", "visit", "sing", "work", "find", "write"])


def _ccg(sampler: Sampler, language: str, index: int) -> dict:
    sentence = render(_sentence_event(sampler), language)
    return {"tokens": [w.text for w in sentence.words], "supertags": [w.category for w in sentence.words]}


# -- Question answering ------------------------------------------------------------------------------------------


def askable(event: Event) -> list[str]:
    """The slots of an affirmed action that a question can ask for."""
    if not event.verb or lexicon.VERBS[event.verb].state or event.negated:
        return []
    slots = []
    if kind(event.subject) in ("name", "person", "org"):
        slots.append("subject")
    if isinstance(event.object, Thing):
        if kind(event.object) != "person":
            slots.append("object")
        if event.object.number:
            slots.append("number")
    return slots + [slot for slot in ("place", "time") if getattr(event, slot)]


class _Question(NamedTuple):
    """The events of the context, which of them the question is about, what it says of it, and the slot it asks for."""

    context: list[Event]
    about: int
    said: Event
    asked: str


def _question(sampler: Sampler, *, sentences: int | None = None) -> _Question:
    """A context of two or three events, alike in form and different in what fills their slots, and a question."""
    count = sentences or int(sampler.rng.integers(2, 4))
    while True:
        context = [sampler.action(place=0.8, time=0.6, subject=lambda: _asked_person(sampler)) for _ in range(count)]
        if _all_different(context):
            break
    about = int(sampler.rng.integers(count))
    event = context[about]
    asked = sampler.pick(askable(event))
    said = event
    for slot in ("place", "time"):
        if slot != asked and sampler.chance(0.6):
            said = said.but(**{slot: None})
    return _Question([sampler.fronted(e, 0.2) for e in context], about, said, asked)


def _asked_person(sampler: Sampler):
    return sampler.person(surname=0.15) if sampler.chance(0.75) else Thing(sampler.pick(nouns("person")))


def _all_different(events: list[Event]) -> bool:
    """Whether no two events share a filler, so that a question has one answer only."""

    def key(phrase):
        return phrase.first if isinstance(phrase, Person) else getattr(phrase, "noun", phrase)

    fillers = [
        (slot, key(value))
        for e in events
        for slot, value in (
            ("subject", e.subject),
            ("verb", e.verb),
            ("name", e.object),
            ("place", e.place),
            ("time", e.time),
        )
        if value is not None
    ]
    people = [("name", f.first) for e in events for f in (e.subject, e.object) if isinstance(f, Person)]
    return len(fillers) == len(set(fillers)) and len(people) == len(set(people))


def _answer_span(question: _Question, language: str) -> tuple[Sentence, int, int]:
    """The context and the character offsets of the answer in it."""
    sentences = [render(event, language) for event in question.context]
    context = join(sentences)
    offset = context.text.find(sentences[question.about].text)
    if question.asked == "number":
        own = sentences[question.about]
        at = next(i for i, w in enumerate(own.words) if w.slot == "object" and w.upos == "NUM")
        start, end = own.spans[at]
    else:
        start, end = sentences[question.about].slot_span(question.asked)
    return context, offset + start, offset + end


def _qa_row(question: _Question, language: str, identifier: str) -> dict:
    context, start, end = _answer_span(question, language)
    return {
        "id": identifier,
        "title": render(question.context[0], language).words[0].text,
        "context": context.text,
        "question": render(question.said.but(fronted=None), language, asked=question.asked).text,
        "answers": {"text": [context.text[start:end]], "answer_start": [start]},
    }


def _squad(sampler: Sampler, language: str, index: int) -> dict:
    return _qa_row(_question(sampler), language, f"mini-{index:06d}")


def _squad_v2(sampler: Sampler, language: str, index: int) -> dict:
    """Every third question asks about somebody the context does not mention, or for what it does not tell."""
    row = _qa_row(_question(sampler), language, f"mini-{index:06d}")
    impossible = index % 3 == 2
    if impossible:
        row["question"] = _unanswerable(sampler, row, language)
        row["answers"] = {"text": [], "answer_start": []}
    return {**row, "plausible_answers": {"text": [], "answer_start": []}, "is_impossible": impossible}


def _unanswerable(sampler: Sampler, row: dict, language: str) -> str:
    """A question about another event, of a person or a verb that the context does not have."""
    while True:
        event = sampler.action(place=0.8, time=0.6, subject=lambda: sampler.person(surname=0))
        asked = sampler.pick(askable(event))
        known = render(Event(event.subject, event.verb, event.object), language).words[0].text
        if known not in row["context"]:
            return render(event, language, asked=asked).text


def _tydiqa(sampler: Sampler, language: str, index: int) -> dict:
    return _qa_row(_question(sampler), language, f"{_ENGLISH_NAMES[language]}-{index:06d}")


_ENGLISH_NAMES = {
    "en": "english", "de": "german", "es": "spanish", "ru": "russian",
    "sw": "swahili", "tr": "turkish", "zh": "chinese",
}  # fmt: skip


# -- Multiple choice ---------------------------------------------------------------------------------------------


class _Choices(NamedTuple):
    cause: Event
    effects: list[Event]
    gold: int


def _choices(sampler: Sampler, count: int, index: int) -> _Choices:
    """A cause and `count` effects in random order, one of which follows."""
    pair = inference.consequence_pair(sampler)
    effects = inference.unlikely_consequences(sampler, pair, count - 1)
    gold = index % count
    effects.insert(gold, pair.second)
    return _Choices(pair.first, effects, gold)


def _without_subject(event: Event, language: str) -> str:
    sentence = render(event, language)
    start = sentence.slot_span("subject")[1]
    return sentence.text[start:].strip()


def _hellaswag(sampler: Sampler, language: str, index: int) -> dict:
    choices = _choices(sampler, 4, index)
    subject = render(choices.effects[0], language)
    start, end = subject.slot_span("subject")
    return {
        "activity_label": choices.cause.verb.capitalize(),
        "context": f"{render(choices.cause, language).text} {subject.text[start:end]}",
        "endings": [_without_subject(event, language) for event in choices.effects],
        "label": choices.gold,
        "source_id": f"mini~{index:06d}",
        "split_type": "indomain",
    }


def _xcopa(sampler: Sampler, language: str, index: int) -> dict:
    choices = _choices(sampler, 2, index)
    return {
        "premise": render(choices.cause, language).text,
        "choice1": render(choices.effects[0], language).text,
        "choice2": render(choices.effects[1], language).text,
        "question": "effect",
        "label": choices.gold,
        "idx": index,
        "changed": False,
    }


def _cosmos_qa(sampler: Sampler, language: str, index: int) -> dict:
    choices = _choices(sampler, 4, index)
    return {
        "id": f"mini-{index:06d}",
        "context": render(choices.cause, language).text,
        "question": "What happened next?",
        **{f"answer{i}": render(event, language).text for i, event in enumerate(choices.effects)},
        "label": choices.gold,
    }


def _siqa(sampler: Sampler, language: str, index: int) -> dict:
    choices = _choices(sampler, 3, index)
    return {
        "context": render(choices.cause, language).text,
        "question": "What happened next?",
        **{
            f"answer{letter}": render(event, language).text
            for letter, event in zip("ABC", choices.effects, strict=True)
        },
        "label": str(choices.gold + 1),
    }


# What the lexicon knows: questions, and the concepts to ask about.
_COMMON_SENSE = {
    "What can a person {}?": ("eat", "drink", "read", "open"),
    "Who or what is a kind of {}?": ("animal", "fruit", "child"),
    "What is the opposite of {}?": ("big", "small", "new", "young", "clean", "dirty", "happy", "sad"),
}


def _commonsense_qa(sampler: Sampler, language: str, index: int) -> dict:
    stem = sampler.pick(list(_COMMON_SENSE))
    concept = sampler.pick(_COMMON_SENSE[stem])
    if concept in lexicon.VERBS:
        right = nouns(*lexicon.VERBS[concept].objects)
        candidates = nouns("food", "meal", "drink", "text", "closure", "vehicle", "animal")
    elif concept in lexicon.NOUNS:
        right = [noun for noun in lexicon.NOUNS if noun != concept and lexicon.is_a(noun, concept)]
        candidates = nouns("food", "animal", "text", "vehicle", "thing")
    else:
        right = [lexicon.ADJECTIVES[inference.opposite_adjective(concept)].forms["en"][0]]
        candidates = sorted({adjective.forms["en"][0] for adjective in lexicon.ADJECTIVES.values()})
    wrong = [c for c in candidates if c != concept and c not in right]
    gold = index % 5
    texts = [wrong[i] for i in sampler.rng.permutation(len(wrong))[:4]]
    texts.insert(gold, sampler.pick(right))
    return {
        "id": f"mini-{index:06d}",
        "question": stem.format(concept),
        "question_concept": concept,
        "choices": {"label": list("ABCDE"), "text": texts},
        "answerKey": "ABCDE"[gold],
    }


# -- Retrieval, mining, text -------------------------------------------------------------------------------------


_ENGLISH_SIDE = "_en"  # `bucc2018/de_en`: the English sentences of the pair de-en


def _distinct_events(sampler: Sampler, count: int) -> list[Event]:
    """Events no two of which say the same."""
    found: dict[Event, Event] = {}
    while len(found) < count:
        event = sampler.event(place=0.6, time=0.6)
        found.setdefault(event, sampler.fronted(event))
    return list(found.values())


def _tatoeba(sampler: Sampler, language: str, size: int) -> list[dict]:
    """As published, a sentence ends in a newline."""
    return [
        {
            "source_language": language,
            "source_sentence": render(event, language).text + "\n",
            "target_language": "en",
            "target_sentence": render(event, "en").text + "\n",
        }
        for event in _distinct_events(sampler, size)
    ]


def _bucc(sampler: Sampler, language: str, size: int) -> list[dict]:
    """`size` sentences of one side, 40 % of which have a counterpart on the other; the rest are distractors.

    The release has three files; here a row holds a sentence and, on the language's own side, its counterparts' ids.
    """
    own = language.removesuffix(_ENGLISH_SIDE)
    shared = int(0.4 * size)
    events = _distinct_events(sampler, 2 * size - shared)
    sides = {own: events[:size], "en": [*events[:shared], *events[size:]]}
    number = {lg: {int(e): i + 1 for i, e in enumerate(sampler.rng.permutation(size))} for lg in sides}
    side = "en" if language.endswith(_ENGLISH_SIDE) else own
    made = [
        {
            "id": f"{side}-{number[side][i]:09d}",
            "text": render(event, side).text,
            "counterparts": [f"en-{number['en'][i]:09d}"] if i < shared and side == own else [],
        }
        for i, event in enumerate(sides[side])
    ]
    return sorted(made, key=lambda row: row["id"])


def write_bucc(folder: str | os.PathLike, language: str, *, split: str, seed: int = 0, size: int | None = None) -> None:
    """Writes one split in the layout of the BUCC 2018 release: `de-en.dev.de`, `de-en.dev.en`, `de-en.dev.gold`.

    Args:
        folder: existing folder to write into.
        language: the language beside English.
        split, seed, size: as for `rows`.
    """
    own = rows(f"bucc2018/{language}", split=split, seed=seed, size=size)
    english = rows(f"bucc2018/{language}{_ENGLISH_SIDE}", split=split, seed=seed, size=size)
    lines = {
        language: [f"{row['id']}\t{row['text']}" for row in own],
        "en": [f"{row['id']}\t{row['text']}" for row in english],
        "gold": [f"{row['id']}\t{target}" for row in own for target in row["counterparts"]],
    }
    for ending, content in lines.items():
        path = pathlib.Path(folder) / f"{language}-en.{split}.{ending}"
        path.write_text("".join(line + "\n" for line in content), encoding="utf-8")


def _text(sampler: Sampler, language: str, index: int) -> dict:
    return {"text": _document(sampler, language)[0]}


def _document(sampler: Sampler, *languages: str) -> tuple[str, ...]:
    """A short text, the same in each of the languages.

    Like real text it repeats itself: a statement is restated, a question answered, a cause followed by its effect.
    """
    draw = sampler.rng.random()
    if draw < 0.25:
        question = _question(sampler, sentences=1 + int(sampler.rng.integers(2)))
        return tuple(_question_and_answer(question, language) for language in languages)
    if draw < 0.5:
        first = sampler.action(place=0.6, time=0.5)
        events = [sampler.fronted(first), sampler.fronted(sampler.pick(inference.generalisations(first) or [first]))]
    elif draw < 0.6:
        pair = inference.consequence_pair(sampler)
        events = [pair.first, pair.second]
    else:
        events = [_sentence_event(sampler)]
    return tuple(join([render(event, language) for event in events]).text for language in languages)


def _question_and_answer(question: _Question, language: str) -> str:
    """A context, a question about it, and the answer as a sentence of its own."""
    row = _qa_row(question, language, "")
    gap, stop = ("", "。") if language == "zh" else (" ", ".")
    return gap.join([row["context"], row["question"], capitalised(row["answers"]["text"][0], language) + stop])


def _parallel(sampler: Sampler, language: str, index: int) -> dict:
    """A translation pair: a phrase as in a glossary, a short sentence, or a document."""
    draw = sampler.rng.random()
    if draw < 0.35:
        english, other = _glossary_entry(sampler, "en", language)
    elif draw < 0.75:
        event = _short_event(sampler)
        english, other = render(event, "en").text, render(event, language).text
    else:
        english, other = _document(sampler, "en", language)
    return {"english": english, "other": other}


def _short_event(sampler: Sampler) -> Event:
    event = sampler.property() if sampler.chance(0.15) else sampler.action(place=0.35, time=0.35)
    return sampler.fronted(sampler.negated(event, 0.1), 0.15)


def _glossary_entry(sampler: Sampler, *languages: str) -> tuple[str, ...]:
    """One phrase in each of the languages: who, what, where or when."""
    event = sampler.action(place=0.5, time=0.5)
    slot = sampler.pick([slot for slot in ("subject", "object", "place", "time") if getattr(event, slot)])
    sentences = [render(event, language) for language in languages]
    return tuple(s.text[slice(*s.slot_span(slot))] for s in sentences)


_MIXED = 0.6  # share of the phrases of a code-mixed sentence that are borrowed


def _mixed(sampler: Sampler, language: str, index: int) -> dict:
    """Code-mixed text, as multilingual speakers write it: phrases of any language in a sentence of this one.

    Most texts say the same twice, in two mixtures. Every phrase then stands among words of all languages and beside its
    translation, which aligns the languages with far less text than parallel sentences alone.
    """
    draw = sampler.rng.random()
    if draw < 0.1:
        question = _question(sampler, sentences=1 + int(sampler.rng.integers(2)))
        asked = _qa_row(question, sampler.pick(LANGUAGES), "")
        parts = [_mix(sampler, event, language) for event in question.context]
        return {"text": " ".join([*parts, asked["question"], asked["answers"]["text"][0]])}
    first = _short_event(sampler)
    if draw < 0.25 and not first.negated:
        second = sampler.pick(inference.generalisations(first) or [first])
    else:
        second = sampler.fronted(first.but(fronted=None), 0.2)
    return {"text": f"{_mix(sampler, first, language)} {_mix(sampler, second, sampler.pick(LANGUAGES))}"}


def _mix(sampler: Sampler, event: Event, language: str) -> str:
    slots = ("subject", "verb", "object", "place", "time")
    borrowed = {slot: sampler.pick(LANGUAGES) for slot in slots if sampler.chance(_MIXED)}
    return render_mixed(event, language, borrowed).text


# -- The list ----------------------------------------------------------------------------------------------------


def _each(make: Callable[[Sampler, str, int], dict]) -> Callable[[Sampler, str, int], list[dict]]:
    """From a maker of one row to a maker of all."""
    return lambda sampler, language, size: [make(sampler, language, i) for i in range(size)]


def _splits(**sizes: int) -> dict[str, tuple[Bucket, int]]:
    """Splits by their published names; the name says the bucket."""
    buckets = {"train": "train", "test": "test"}
    return {split: (buckets.get(split, "validation"), size) for split, size in sizes.items()}


_OTHERS = tuple(lg for lg in LANGUAGES if lg != "en")
_TRAINED = _splits(train=4000, validation=300, test=300)

_DATASETS: dict[str, _Dataset] = {
    "multi_nli": _Dataset(_each(_multi_nli), _splits(train=6000, validation_matched=300, validation_mismatched=300)),
    "xnli": _Dataset(_each(_xnli), _splits(validation=300, test=600)),
    "paws_x_wiki": _Dataset(_each(_paws_x), _TRAINED, LANGUAGES),
    "xtreme_pos": _Dataset(_each(_universal_pos), _splits(train=2000, dev=200, test=200), LANGUAGES),
    "wikiann": _Dataset(_each(_wikiann), _splits(train=2000, validation=200, test=200), LANGUAGES),
    "squad/v1.1": _Dataset(_each(_squad), _splits(train=4000, validation=300)),
    "squad/v2.0": _Dataset(_each(_squad_v2), _splits(train=4000, validation=300)),
    "xquad": _Dataset(_each(_squad), _splits(test=200), LANGUAGES),
    "mlqa": _Dataset(_each(_squad), _splits(validation=100, test=200), LANGUAGES),
    "tydiqa": _Dataset(_each(_tydiqa), _splits(train=2000, validation=200), LANGUAGES),
    "hellaswag": _Dataset(_each(_hellaswag), _splits(train=2000, validation=200)),
    "cosmos_qa": _Dataset(_each(_cosmos_qa), _splits(train=2000, validation=200)),
    "siqa": _Dataset(_each(_siqa), _splits(train=2000, validation=200)),
    "commonsense_qa": _Dataset(_each(_commonsense_qa), _splits(train=2000, validation=200)),
    "xcopa": _Dataset(_each(_xcopa), _splits(train=2000, validation=200, test=200), LANGUAGES),
    "ccg": _Dataset(_each(_ccg), _splits(train=2000, validation=200, test=200)),
    "tatoeba": _Dataset(_tatoeba, {"train": ("test", 300)}, _OTHERS),
    "bucc2018": _Dataset(_bucc, _splits(dev=200, test=400), (*_OTHERS, *(lg + _ENGLISH_SIDE for lg in _OTHERS))),
    "text": _Dataset(_each(_text), _splits(train=4000, validation=200), LANGUAGES, aligned=False),
    "mixed": _Dataset(_each(_mixed), _splits(train=4000, validation=200), LANGUAGES, aligned=False),
    "parallel": _Dataset(_each(_parallel), _splits(train=4000, validation=200), _OTHERS, aligned=False),
}
