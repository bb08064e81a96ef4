"""Hypotheses follow, or do not, for the right reason."""

import collections
import itertools

import numpy as np
import pytest

from xtreme_stilts.mini import inference, lexicon
from xtreme_stilts.mini.events import Both, Event, Indefinite, Person, Sampler, Thing
from xtreme_stilts.mini.grammar import render

PREMISE = Event(Person("Anna"), "buy", Thing("dog", "white"), place="Madrid", time="Monday")


def _sampler(seed=0):
    return Sampler(np.random.default_rng(seed), "train")


def test_generalisations_say_less():
    said = {render(event, "en").text for event in inference.generalisations(PREMISE)}
    assert said == {
        "Anna bought a white dog on Monday.",
        "Anna bought a white dog in Madrid.",
        "Someone bought a white dog in Madrid on Monday.",
        "Anna bought a dog in Madrid on Monday.",
        "Anna bought a white animal in Madrid on Monday.",
    }
    both = Event(Both(Person("Sara"), Person("Omar")), "sing")
    assert {render(e, "en").text for e in inference.generalisations(both)} == {"Sara sang.", "Omar sang."}


def test_contradictions_change_one_slot_for_what_excludes_it():
    for seed in range(40):
        for other in inference.contradictions(_sampler(seed), PREMISE):
            changed = [
                slot
                for slot in ("subject", "verb", "object", "place", "time")
                if getattr(other, slot) != getattr(PREMISE, slot)
            ]
            assert len(changed) == 1
            if changed == ["verb"]:
                assert other.verb == "sell"
            if changed == ["place"]:
                assert other.place in {n.concept for n in lexicon.NAMES.values() if n.kind == "city"}
            if changed == ["object"]:
                assert other.object.adjective in {"white", "black"}
                assert not lexicon.is_a("dog", other.object.noun) or other.object.noun == "dog"


def test_specialisations_add_what_was_open():
    bare = Event(Thing("man"), "buy", Thing("car"))
    for event in inference.specialisations(_sampler(), bare):
        assert bare in inference.generalisations(event)
    assert inference.specialisations(_sampler(), Event(Person("Anna"), "sing", place="Oslo", time="2015")) == []


def test_opposites():
    assert inference.opposite(Event(Thing("car"), predicate="new")).predicate == "worn"
    assert inference.opposite(Event(Thing("dog"), "sleep")) is None  # dogs do not "work" in this lexicon
    assert inference.opposite(Event(Person("Anna"), "sleep")).verb == "work"


@pytest.mark.parametrize("label", [inference.ENTAILMENT, inference.NEUTRAL, inference.CONTRADICTION])
def test_pairs_hold_what_their_label_says(label):
    """Judged by another way: the hypothesis is, or is not, reached by generalising the premise step by step."""
    sampler = _sampler(3)
    for _ in range(200):
        first, second, given = inference.nli_pair(sampler, label)
        assert given == label
        if first.negated or second.negated:
            continue
        plain = [event.but(fronted=None) for event in (first, second)]
        assert (label == inference.ENTAILMENT) == (plain[1] in _all_weaker(plain[0])), plain
        if label == inference.NEUTRAL:  # the hypothesis goes on telling, or tells of something else
            assert plain[0] in _all_weaker(plain[1]) or plain[0].predicate


def _all_weaker(event):
    found, new = {event}, {event}
    while new:
        new = set(itertools.chain.from_iterable(inference.generalisations(e) for e in new)) - found
        found |= new
    return found


def test_negation_alone_does_not_give_the_label_away():
    sampler = _sampler(5)
    negated = collections.Counter(
        label for label in range(3) for _ in range(300) if inference.nli_pair(sampler, label).second.negated
    )
    assert min(negated.values()) > 25
    assert max(negated.values()) < 150


def test_paraphrases_and_their_impostors():
    sampler = _sampler(7)
    for i in range(200):
        first, second, label = inference.paraphrase_pair(sampler, i % 2)
        assert label == i % 2
        assert first.fronted != second.fronted
        same = first.but(fronted=None) == second.but(fronted=None)
        if isinstance(first.subject, Both) and label == inference.PARAPHRASE:
            assert {first.subject.one, first.subject.other} == {second.subject.one, second.subject.other}
        else:
            assert same == (label == inference.PARAPHRASE)


def test_swaps_keep_the_words():
    event = Event(Person("Anna"), "see", Person("Omar"))
    (swapped,) = inference.swaps(event)
    assert sorted(render(swapped, "en").text.strip(".").split()) == sorted(render(event, "en").text.strip(".").split())
    assert inference.swaps(Event(Person("Anna"), "see", Indefinite("something"))) == []


def test_consequences_follow():
    sampler = _sampler(9)
    for _ in range(60):
        pair = inference.consequence_pair(sampler)
        assert pair.second.subject == pair.first.subject
        wrong = inference.unlikely_consequences(sampler, pair, 3)
        assert len({event.verb for event in wrong} | {pair.second.verb}) == 4
