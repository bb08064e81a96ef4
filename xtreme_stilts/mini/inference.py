"""What follows from an event: hypotheses for natural language inference, paraphrases, consequences.

A hypothesis is judged as annotators of the published data sets do: both sentences are about the same event. So "Anna
bought a car in Oslo" contradicts "Anna bought a car in Lima", and does not decide "Anna bought a red car".

Terms:

- **generalise**: say less, or the same of a hypernym; what results is entailed.
- **specialise**: add a detail the premise does not give; what results is neutral.
- **contradict**: put in place of something what cannot hold together with it, or deny it.

A denied premise turns the first two round: "did not buy a car" entails "did not buy a red car".
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from xtreme_stilts.mini import lexicon
from xtreme_stilts.mini.events import (
    Both,
    Event,
    Indefinite,
    NounPhrase,
    Organisation,
    Person,
    Sampler,
    Thing,
    describes,
    kind,
    names,
    nouns,
    opposite_adjective,
    places,
)

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2
DIFFERENT, PARAPHRASE = 0, 1

_SOMEONE, _SOMETHING = Indefinite("someone"), Indefinite("something")


class EventPair(NamedTuple):
    """Two events and how they are related: one of the labels above."""

    first: Event
    second: Event
    label: int


# -- Natural language inference ----------------------------------------------------------------------------------


def nli_pair(sampler: Sampler, label: int) -> EventPair:
    """A premise and a hypothesis related as `label` says."""
    while True:
        first = sampler.property() if sampler.chance(0.12) else sampler.action(place=0.5, time=0.4)
        if first.verb and sampler.chance(0.08):
            first, second = _denied_pair(sampler, first, label)
        else:
            second = _hypothesis(sampler, first, label)
        if second is not None:
            return EventPair(sampler.fronted(first, 0.15), sampler.fronted(second, 0.15), label)


def _hypothesis(sampler: Sampler, premise: Event, label: int) -> Event | None:
    """A hypothesis to an affirmed premise; None if this premise admits none of the kind drawn."""
    if label == ENTAILMENT:
        if sampler.chance(0.25) and (other := opposite(premise)):
            return _perhaps_less(sampler, other.but(negated=True))
        options = generalisations(premise)
        if not options:
            return None
        return _perhaps_less(sampler, sampler.pick(options))
    if label == NEUTRAL:
        options = specialisations(sampler, premise)
        if not options:
            return None
        return sampler.negated(sampler.pick(options), 0.2)
    # Say less first, then contradict what is left, so that hypotheses of all labels are alike in length.
    premise = _perhaps_less(sampler, premise)
    if sampler.chance(0.25):
        return premise.but(negated=True)
    options = contradictions(sampler, premise)
    return sampler.pick(options) if options else None


def _denied_pair(sampler: Sampler, event: Event, label: int) -> tuple[Event, Event | None]:
    """A denied premise with a hypothesis: the affirmed one's rules the other way round."""
    options = {
        ENTAILMENT: lambda: specialisations(sampler, event),
        NEUTRAL: lambda: generalisations(event),
        CONTRADICTION: lambda: [event],
    }[label]()
    if not options:
        return event, None
    return event.but(negated=True), sampler.pick(options).but(negated=label != CONTRADICTION)


def _perhaps_less(sampler: Sampler, event: Event) -> Event:
    """The event, or (one in three) the event without its place or time."""
    options = [event.but(**{slot: None}) for slot in ("place", "time") if getattr(event, slot)]
    return sampler.pick(options) if options and sampler.chance(0.33) else event


def generalisations(event: Event) -> list[Event]:
    """Every event that says a little less: a detail left out, a hypernym, one of two persons."""
    less = [event.but(**{slot: None}) for slot in ("place", "time") if getattr(event, slot)]
    for slot in ("subject", "object"):
        less += [event.but(**{slot: phrase}) for phrase in _wider(getattr(event, slot), slot)]
    return less


def _wider(phrase: NounPhrase | None, slot: str) -> list[NounPhrase]:
    """Noun phrases that hold of whatever `phrase` holds of."""
    match phrase:
        case Person(last=str()):
            return [Person(phrase.first), _SOMEONE] if slot == "subject" else [Person(phrase.first), Thing("person")]
        case Person():
            return [_SOMEONE if slot == "subject" else Thing("person")]
        case Both():
            return [phrase.one, phrase.other]
        case Thing():
            wider = [dataclasses.replace(phrase, adjective=None)] if phrase.adjective else []
            parent = lexicon.NOUNS[phrase.noun].parent
            if parent and (phrase.adjective is None or describes(phrase.adjective, parent)):
                wider.append(dataclasses.replace(phrase, noun=parent))
            if slot == "object" and kind(phrase) not in ("person", "animal"):
                wider.append(_SOMETHING)
            if slot == "subject" and kind(phrase) == "person":
                wider.append(_SOMEONE)
            return wider
    return []


def specialisations(sampler: Sampler, event: Event) -> list[Event]:
    """Events that add one detail (drawn at random) the given one leaves open."""
    more = []
    if event.verb and not event.place:
        more.append(event.but(place=sampler.pick(places())))
    if event.verb and not event.time:
        more.append(event.but(time=sampler.pick(list(lexicon.TIMES))))
    for slot in ("subject", "object"):
        phrase = getattr(event, slot)
        if isinstance(phrase, Thing) and phrase.adjective is None:
            taken = lexicon.ADJECTIVES[event.predicate].group if event.predicate else None
            adjective = sampler.adjective(phrase.noun)
            if adjective and lexicon.ADJECTIVES[adjective].group != taken:
                more.append(event.but(**{slot: dataclasses.replace(phrase, adjective=adjective)}))
    if event.predicate:
        noun, group = event.subject.noun, lexicon.ADJECTIVES[event.predicate].group
        given = {group} | ({lexicon.ADJECTIVES[event.subject.adjective].group} if event.subject.adjective else set())
        open_ones = [
            a
            for a in lexicon.ADJECTIVES
            if describes(a, noun) and lexicon.ADJECTIVES[a].group not in given and opposite_adjective(a)
        ]
        more += [event.but(predicate=sampler.pick(open_ones))] if open_ones else []
    return more


def contradictions(sampler: Sampler, event: Event) -> list[Event]:
    """Events with one slot filled by what excludes the given filler (drawn at random)."""
    others = [
        event.but(**{slot: phrase})
        for slot in ("subject", "object")
        if (phrase := _excluding(sampler, getattr(event, slot), event))
    ]
    if event.place:
        others.append(
            event.but(
                place=_other(sampler, _alternatives(event.place, names("city"), list(lexicon.PLACES)), event.place)
            )
        )
    if event.time:
        years = [t for t in lexicon.TIMES if t.isdigit()]
        days = ["Monday", "Friday"]
        relative, parts = ["yesterday", "today"], ["morning", "evening"]
        others.append(
            event.but(time=_other(sampler, _alternatives(event.time, years, days, relative, parts), event.time))
        )
    if other := opposite(event):
        others.append(other)
    return others


def opposite(event: Event) -> Event | None:
    """The event with the opposite verb or predicate ("bought": "sold"), None where there is none."""
    if event.predicate:
        return event.but(predicate=opposite_adjective(event.predicate))
    verb = lexicon.VERBS[event.verb]
    if verb.opposite is None:
        return None
    subjects = lexicon.VERBS[verb.opposite].subjects
    fits = kind(event.subject) in subjects or (kind(event.subject) in ("name", "pronoun") and "person" in subjects)
    objects = lexicon.VERBS[verb.opposite].objects
    fits &= event.object is None or isinstance(event.object, Indefinite) or kind(event.object) in objects
    return event.but(verb=verb.opposite) if fits else None


def _excluding(sampler: Sampler, phrase: NounPhrase | None, event: Event) -> NounPhrase | None:
    """A noun phrase of which not the same event can be told: another person, animal, fruit, colour, number."""
    match phrase:
        case Person():
            taken = {p.first for p in (event.subject, event.object) if isinstance(p, Person)}
            return Person(sampler.pick([n for n in names("man", "woman") if n not in taken]))
        case Organisation():
            return Organisation(_other(sampler, names("org"), phrase.name))
        case Thing():
            options = []
            siblings = [n for n in nouns(kind(phrase)) if _exclusive(n, phrase.noun)]
            siblings = [n for n in siblings if phrase.adjective is None or describes(phrase.adjective, n)]
            options += [dataclasses.replace(phrase, noun=sampler.pick(siblings))] if siblings else []
            if phrase.number:
                options.append(
                    dataclasses.replace(phrase, number=_other(sampler, list(lexicon.NUMBERS), phrase.number))
                )
            if phrase.adjective and not event.predicate:
                group = lexicon.ADJECTIVES[phrase.adjective].group
                rivals = [
                    a for a in lexicon.ADJECTIVES if a != phrase.adjective and lexicon.ADJECTIVES[a].group == group
                ]
                rivals = [a for a in rivals if describes(a, phrase.noun)]
                options += [dataclasses.replace(phrase, adjective=sampler.pick(rivals))] if rivals else []
            return sampler.pick(options) if options else None
    return None


def _exclusive(one: str, other: str) -> bool:
    """Whether nothing is both: man and woman, boy and girl, any two animals, fruits or things; not man and teacher."""
    if one == other:
        return False
    if lexicon.NOUNS[one].kind != "person":
        return not lexicon.is_a(one, other) and not lexicon.is_a(other, one)
    return {one, other} in ({"man", "woman"}, {"boy", "girl"}, {"child", "man"}, {"child", "woman"})


def _alternatives(value: str, *groups: list[str]) -> list[str]:
    """The group a value belongs to: two cities exclude each other, a city and a garden do not."""
    return next(group for group in groups if value in group)


def _other(sampler: Sampler, options: list, value):
    return sampler.pick([option for option in options if option != value])


# -- Paraphrases -------------------------------------------------------------------------------------------------


def paraphrase_pair(sampler: Sampler, label: int) -> EventPair:
    """Two events that say the same in another order, or (label 0) nearly the same words that say something else."""
    while True:
        first = _swappable(sampler) if sampler.chance(0.6) else sampler.action(place=0.6, time=0.6)
        orders = [slot for slot in (None, "place", "time") if slot is None or getattr(first, slot)]
        if len(orders) == 1:
            continue
        order = sampler.pick(orders)
        first = first.but(fronted=order)
        second = first.but(fronted=_other(sampler, orders, order))
        if isinstance(second.subject, Both):
            second = second.but(subject=Both(second.subject.other, second.subject.one))
        if label == DIFFERENT:
            options = swaps(second) or contradictions(sampler, second)
            if not options:
                continue
            second = sampler.pick(options)
        return EventPair(first, second, label)


def _swappable(sampler: Sampler) -> Event:
    """An event whose words can be exchanged to say something else."""
    while True:
        event = sampler.action(place=0.6, time=0.6, verb=sampler.pick(["see", "visit"]))
        if swaps(event):
            return event


def swaps(event: Event) -> list[Event]:
    """The events that the same words can tell when two of them change places."""
    subject, target = event.subject, event.object
    match subject, target:
        case Person(), Person():
            return [event.but(subject=target, object=subject)]
        case Thing(), Thing() if kind(subject) == kind(target) and subject.noun != target.noun:
            swapped = [event.but(subject=target, object=subject)]
            if subject.adjective != target.adjective:
                one = dataclasses.replace(subject, adjective=target.adjective)
                other = dataclasses.replace(target, adjective=subject.adjective)
                if all(p.adjective is None or describes(p.adjective, p.noun) for p in (one, other)):
                    swapped.append(event.but(subject=one, object=other))
            return swapped
    return []


# -- Consequences ------------------------------------------------------------------------------------------------

# What happens, and what somebody then does: verb -> (verb, kinds of its object).
_CONSEQUENCES = {
    "hungry": ("eat", ("food", "meal")),
    "thirsty": ("drink", ("drink",)),
    "tired": ("sleep", ()),
    "sick": ("visit", ("doctor",)),
    "lose": ("cry", ()),
    "find": ("smile", ()),
}


def consequence_pair(sampler: Sampler) -> EventPair:
    """A cause and its effect, done by the same person (label 0, without meaning)."""

    def somebody() -> NounPhrase:
        return sampler.person(surname=0) if sampler.chance(0.7) else Thing(sampler.pick(nouns("person")))

    while True:
        verb = sampler.pick(list(_CONSEQUENCES))
        cause = sampler.action(verb=verb, subject=somebody, place=0, time=0.3)
        effect = consequence(sampler, cause, verb)
        if not (effect.verb == "visit" and cause.subject == Thing("doctor")):
            return EventPair(cause, effect, 0)


def consequence(sampler: Sampler, cause: Event, verb: str) -> Event:
    """What the subject of `cause` would do after `verb` ("hungry": eats)."""
    effect, kinds = _CONSEQUENCES[verb]
    target = None
    if kinds:
        target = Thing("doctor") if kinds == ("doctor",) else sampler.thing(sampler.pick(nouns(*kinds)))
    return Event(cause.subject, effect, target, place=sampler.pick(places()) if sampler.chance(0.4) else None)


def unlikely_consequences(sampler: Sampler, pair: EventPair, count: int) -> list[Event]:
    """`count` different things the same subject could do that do not follow from the cause."""
    verbs = [verb for verb in _CONSEQUENCES if _CONSEQUENCES[verb][0] != pair.second.verb]
    order = sampler.rng.permutation(len(verbs))[:count]
    return [consequence(sampler, pair.first, verbs[i]) for i in order]
