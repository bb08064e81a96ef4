"""What a sentence says, apart from any language: events, and how to draw them at random.

Terms:

- **event**: one statement: who did what (to whom), where and when, or what something is like.
- **slot**: a part of an event: subject, verb, object, place, time, predicate. `place` and `time` may be absent.
- **bucket**: every event belongs, by a hash of what it says, to "train", "validation" or "test"; each split draws
  only from its own bucket, so a test sentence is never a training sentence, however many are drawn.

Subjects are definite ("the dog", "3 dogs", "Anna"), objects indefinite ("a dog", "3 dogs", "Anna").
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import Literal

import numpy as np

from xtreme_stilts.mini import lexicon

Bucket = Literal["train", "validation", "test"]

# Of 16 hash values, those that are not listed are "train".
_HELD_OUT = {"validation": (0, 1), "test": (2, 3, 4)}


@dataclasses.dataclass(frozen=True)
class Person:
    """A first name, with a surname or without."""

    first: str
    last: str | None = None


@dataclasses.dataclass(frozen=True)
class Organisation:
    name: str


@dataclasses.dataclass(frozen=True)
class Both:
    """Two persons at once: "Anna and Peter"."""

    one: Person
    other: Person


@dataclasses.dataclass(frozen=True)
class Thing:
    """A noun with at most one adjective and a number (None: one). A mass noun has neither."""

    noun: str
    adjective: str | None = None
    number: int | None = None


@dataclasses.dataclass(frozen=True)
class Indefinite:
    """`concept` is "someone" or "something"."""

    concept: str


NounPhrase = Person | Organisation | Both | Thing | Indefinite


@dataclasses.dataclass(frozen=True)
class Event:
    """A statement. Either `verb` or `predicate` (an adjective: "the car is old") is given.

    `place` is a concept of `lexicon.PLACES` or a city. `fronted` ("time", "place" or None) only moves that slot to the
    front of the sentence; it does not change what is said.
    """

    subject: NounPhrase
    verb: str | None = None
    object: NounPhrase | None = None
    place: str | None = None
    time: str | None = None
    predicate: str | None = None
    negated: bool = False
    fronted: str | None = None

    def but(self, **changes) -> Event:
        """A copy with some slots changed."""
        return dataclasses.replace(self, **changes)


def bucket(event: Event) -> Bucket:
    """The only split whose data sets may draw this event; negation and word order do not matter."""
    value = zlib.crc32(repr(event.but(negated=False, fronted=None)).encode()) % 16
    return next((name for name, values in _HELD_OUT.items() if value in values), "train")


def kind(phrase: NounPhrase) -> str:
    """The kind of a noun phrase: "name" for persons named, "org", "pronoun", else its noun's."""
    match phrase:
        case Person() | Both():
            return "name"
        case Organisation():
            return "org"
        case Indefinite():
            return "pronoun"
    return lexicon.NOUNS[phrase.noun].kind


def describes(adjective: str, noun: str) -> bool:
    """Whether the adjective can be said of the noun ("adult": a person that is no child)."""
    entry = lexicon.NOUNS[noun]
    kinds = {entry.kind}
    if entry.kind == "person" and not lexicon.is_a(noun, "child"):
        kinds.add("adult")
    return not entry.mass and bool(kinds & set(lexicon.ADJECTIVES[adjective].kinds))


def nouns(*kinds: str) -> list[str]:
    """Concepts of the nouns of these kinds, hypernyms left out (they come in as answers to what they stand above)."""
    parents = {noun.parent for noun in lexicon.NOUNS.values()}
    return [
        n.concept
        for n in lexicon.NOUNS.values()
        if n.kind in kinds and (n.concept not in parents or n.concept == "child")
    ]


def names(*kinds: str) -> list[str]:
    return [name.concept for name in lexicon.NAMES.values() if name.kind in kinds]


def places() -> list[str]:
    return [*lexicon.PLACES, *names("city")]


class Sampler:
    """Draws events of one bucket from a random generator.

    Args:
        rng: source of all randomness.
        bucket: "train", "validation" or "test".
    """

    def __init__(self, rng: np.random.Generator, bucket: Bucket) -> None:
        self.rng = rng
        self.bucket = bucket

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, options):
        """One of a sequence."""
        return options[int(self.rng.integers(len(options)))]

    def person(self, *, surname: float = 0.1) -> Person:
        last = self.pick(names("surname")) if self.chance(surname) else None
        return Person(self.pick(names("man", "woman")), last)

    def adjective(self, noun: str) -> str | None:
        """An adjective that can describe the noun, or None if none can."""
        fitting = [a for a in lexicon.ADJECTIVES if describes(a, noun)]
        return self.pick(fitting) if fitting else None

    def thing(self, noun: str, *, adjective: float = 0.4, number: float = 0.2) -> Thing:
        if lexicon.NOUNS[noun].mass:
            return Thing(noun)
        return Thing(
            noun,
            self.adjective(noun) if self.chance(adjective) else None,
            self.pick(lexicon.NUMBERS) if self.chance(number) else None,
        )

    def subject(self, kinds, *, surname: float = 0.1) -> NounPhrase:
        """A subject for a verb that takes `kinds`: mostly named persons."""
        if "org" in kinds and self.chance(0.1):
            return Organisation(self.pick(names("org")))
        animal = "animal" in kinds and self.chance(0.4)
        if not animal and self.chance(0.6):
            first = self.person(surname=surname)
            if self.chance(0.12):
                others = [n for n in names("man", "woman") if n != first.first]
                return Both(Person(first.first), Person(self.pick(others)))
            return first
        return self.thing(self.pick(nouns("animal" if animal else "person")))

    def object(self, kinds) -> NounPhrase:
        if "name" in kinds and self.chance(0.5):
            return self.person(surname=0)
        return self.thing(self.pick(nouns(*(k for k in kinds if k != "name"))))

    def action(
        self,
        *,
        place: float = 0.5,
        time: float = 0.5,
        verb: str | None = None,
        subject: Callable[[], NounPhrase] | None = None,
    ) -> Event:
        """An event with a verb.

        Args:
            place, time: how often these slots are filled.
            verb: its verb; None for any.
            subject: draws its subject; None for any that the verb can have.
        """
        while True:
            entry = lexicon.VERBS[verb or self.pick([v.concept for v in lexicon.VERBS.values() if not v.state])]
            doer = subject() if subject else self.subject(entry.subjects)
            target = self.object(entry.objects) if entry.objects else None
            if _names_in(doer) & _names_in(target):
                continue
            event = Event(
                doer,
                entry.concept,
                target,
                place=self.pick(places()) if self.chance(place) else None,
                time=self.pick(list(lexicon.TIMES)) if self.chance(time) else None,
            )
            if bucket(event) == self.bucket:
                return event

    def property(self) -> Event:
        """An event with a predicate adjective: "the red car is old"."""
        while True:
            noun = self.pick(nouns("animal", "person", "vehicle", "thing", "closure", "text"))
            options = [a for a in lexicon.ADJECTIVES if describes(a, noun) and opposite_adjective(a)]
            if not options:
                continue
            predicate = self.pick(options)
            group = lexicon.ADJECTIVES[predicate].group
            attributes = [a for a in lexicon.ADJECTIVES if describes(a, noun) and lexicon.ADJECTIVES[a].group != group]
            event = Event(
                Thing(noun, self.pick(attributes) if attributes and self.chance(0.6) else None), predicate=predicate
            )
            if bucket(event) == self.bucket:
                return event

    def event(self, *, place: float = 0.5, time: float = 0.5) -> Event:
        """Any event: an action (nine of ten) or a property."""
        return self.property() if self.chance(0.1) else self.action(place=place, time=time)

    def fronted(self, event: Event, probability: float = 0.25) -> Event:
        """The same event, sometimes with its time or place first."""
        slots = [slot for slot in ("time", "place") if getattr(event, slot)]
        return event.but(fronted=self.pick(slots)) if slots and self.chance(probability) else event

    def negated(self, event: Event, probability: float = 0.15) -> Event:
        """The same event, sometimes denied."""
        return event.but(negated=True) if self.chance(probability) else event


def opposite_adjective(adjective: str) -> str | None:
    """The opposite of one of a pair ("old" of "young"); None for colours, which have no single opposite."""
    group = lexicon.ADJECTIVES[adjective].group
    others = [a.concept for a in lexicon.ADJECTIVES.values() if a.group == group and a.concept != adjective]
    return others[0] if len(others) == 1 else None


def _names_in(phrase: NounPhrase | None) -> set[str]:
    match phrase:
        case Person():
            return {phrase.first}
        case Both():
            return {phrase.one.first, phrase.other.first}
    return set()
