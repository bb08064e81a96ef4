"""From events to sentences: a small grammar of each of the seven languages.

Terms:

- **word**: a token with its tags, as a treebank would split it (Chinese words are written without spaces between).
- **role**: what a noun phrase is in its sentence, "subject" or "object"; it decides articles and case.
- **asked**: the slot a question asks for; its words are replaced by a question phrase.

Each grammar knows agreement and word order of its language: articles and adjective endings in German and Spanish, case
and gender in Russian, noun classes in Swahili, vowel harmony in Turkish, classifiers in Chinese. The English grammar
also gives every word a category of combinatory categorial grammar (a supertag).
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xtreme_stilts.mini import lexicon
from xtreme_stilts.mini.events import Both, Event, Indefinite, NounPhrase, Organisation, Person, Thing


class Word(NamedTuple):
    """One token. `slot`: of the event, "" for none; `entity`: PER, ORG, LOC or ""; `category`: CCG, English only."""

    text: str
    upos: str
    slot: str = ""
    entity: str = ""
    category: str = ""


class Sentence(NamedTuple):
    """A sentence in one language. `text` is what is written; `spans[i]` are the offsets of `words[i]` in it."""

    language: str
    text: str
    words: tuple[Word, ...]
    spans: tuple[tuple[int, int], ...]

    def slot_span(self, slot: str) -> tuple[int, int]:
        """Character offsets of the (contiguous) words of a slot.

        Raises:
            ValueError: the slot is absent or its words do not stand together.
        """
        at = [i for i, word in enumerate(self.words) if word.slot == slot]
        if not at or at != list(range(at[0], at[-1] + 1)):
            raise ValueError(f"slot {slot!r} is not one run of words in {self.text!r}")
        return self.spans[at[0]][0], self.spans[at[-1]][1]


def render(event: Event, language: str, *, asked: str | None = None) -> Sentence:
    """The sentence, or the question for the slot `asked`, that expresses an event in a language.

    Args:
        event: what to say.
        language: one of `lexicon.LANGUAGES`.
        asked: None for a statement; "subject", "object", "place", "time" or "number" (how many objects).
    """
    grammar = _GRAMMARS[language]
    words = list(grammar.clause(event, asked))
    if asked is None:
        words.append(Word(grammar.full_stop, "PUNCT", category="."))
    else:
        words = [*grammar.question_start, *words, Word(grammar.question_mark, "PUNCT", category=".")]
    first = len(grammar.question_start) if asked else 0
    words[first] = words[first]._replace(text=capitalised(words[first].text, language))
    return _written(words, language)


def render_mixed(event: Event, language: str, borrowed: Mapping[str, str]) -> Sentence:
    """A code-mixed statement: the sentence of one language with phrases of others in place of its own.

    Args:
        event: what to say.
        language: whose word order and small words the sentence has.
        borrowed: slot ("subject", "verb", "object", "place", "time") -> language its phrase comes from. A slot that is
            absent, or whose words do not stand together in one of the two languages, is left as it is.
    """
    words = []
    for slot, own in _runs(render(event, language)).items():
        other = _runs(render(event, borrowed[slot])).get(slot) if slot in borrowed else None
        words.extend(other or own)
    return _written(words, language)


def _runs(sentence: Sentence) -> dict[str, list[Word]]:
    """The words of a sentence by slot, in order. Words of no slot, or of a scattered one, have keys of their own."""
    runs = [(slot, list(words)) for slot, words in itertools.groupby(sentence.words, key=lambda word: word.slot)]
    count = collections.Counter(slot for slot, _ in runs)
    return {slot if slot and count[slot] == 1 else f"{slot} {i}": words for i, (slot, words) in enumerate(runs)}


def join(sentences: Sequence[Sentence]) -> Sentence:
    """Several sentences of one language as one text (offsets moved along)."""
    language = sentences[0].language
    gap = "" if language == "zh" else " "
    text, words, spans = "", [], []
    for sentence in sentences:
        offset = len(text) + (len(gap) if text else 0)
        text = f"{text}{gap}{sentence.text}" if text else sentence.text
        words.extend(sentence.words)
        spans.extend((start + offset, end + offset) for start, end in sentence.spans)
    return Sentence(language, text, tuple(words), tuple(spans))


def capitalised(text: str, language: str) -> str:
    """The text with its first letter in upper case (Turkish: i becomes İ)."""
    first = "İ" if language == "tr" and text[0] == "i" else text[0].upper()
    return first + text[1:]


def _written(words: Sequence[Word], language: str) -> Sentence:
    text, spans = "", []
    for i, word in enumerate(words):
        text += " " if i and not _glued(words[i - 1].text, word.text) else ""
        spans.append((len(text), len(text) + len(word.text)))
        text += word.text
    return Sentence(language, text, tuple(words), tuple(spans))


def _glued(left: str, right: str) -> bool:
    """Whether no space stands between two words: before punctuation, and around Chinese ones but for Latin letters."""
    if right in _CLOSING or left == "¿":
        return True
    chinese = [any("\u4e00" <= c <= "\u9fff" or c in "，·。" for c in word) for word in (left, right)]
    return any(chinese) and all(c or word.isdigit() for c, word in zip(chinese, (left, right), strict=True))


_CLOSING = frozenset(".?,。？，")


def _words(notation: Sequence[str], default: str = "X") -> list[Word]:
    """Words of lexicon notation: each `word` or `word/TAG`."""
    split = (item.partition("/") for item in notation)
    return [Word(text, tag or default) for text, _, tag in split]


def _verb_words(form: str) -> list[Word]:
    return _words(form.split("_"), "VERB")


def _by_agreement(forms: Sequence[str], gender: str, plural: bool) -> str:
    """Of (singular, plural) or (masculine, feminine[, neuter], plural) the form that agrees."""
    if plural or len(forms) == 2:
        return forms[-1 if plural else 0]
    return forms[1 if gender == "f" else 0]


def _plural(phrase: NounPhrase) -> bool:
    return isinstance(phrase, Both) or (isinstance(phrase, Thing) and phrase.number is not None)


def _set(words: Sequence[Word], slot: str) -> list[Word]:
    """The words marked with their slot."""
    return [word._replace(slot=slot) for word in words]


class _Grammar:
    """What the languages share. A subclass gives noun phrases (`thing`), verbs, and the order of the parts."""

    language: str
    full_stop = "."
    question_mark = "?"
    question_start: tuple[Word, ...] = ()
    many = 2  # a number that takes the form "how many" takes
    comma = ","  # after a fronted place or time; "" where there is none

    def clause(self, event: Event, asked: str | None) -> list[Word]:
        """The words of a statement or question, end mark excepted."""
        parts = {slot: self.part(event, slot, asked) for slot in ("subject", "object", "place", "time")}
        if asked is None and event.fronted and self.comma:
            parts[event.fronted].append(Word(self.comma, "PUNCT", category=","))
        return self.arrange(event, parts, asked)

    def part(self, event: Event, slot: str, asked: str | None) -> list[Word]:
        """The words of one slot ([] if absent), or of the question phrase if it is asked for."""
        if slot == asked:
            return self.question(slot)
        filler = getattr(event, slot)
        if filler is None:
            return []
        if slot == "time":
            return _set(_words(lexicon.TIMES[filler].forms[self.language]), slot)
        if slot == "place":
            if filler in lexicon.PLACES:
                return _set(_words(lexicon.PLACES[filler].forms[self.language]), slot)
            return _set(self.in_city(lexicon.NAMES[filler]), slot)
        return _set(self.noun_phrase(filler, slot, event, asked), slot)

    def question(self, slot: str) -> list[Word]:
        return _words(lexicon.QUESTIONS[slot].forms[self.language])

    def noun_phrase(self, phrase: NounPhrase, role: str, event: Event, asked: str | None) -> list[Word]:
        match phrase:
            case Person():
                return self.person(phrase, role)
            case Both():
                return [*self.person(phrase.one, role), self.conjunction, *self.person(phrase.other, role)]
            case Organisation():
                return self.organisation(phrase)
            case Indefinite():
                return _words(lexicon.PRONOUNS[phrase.concept].forms[self.language])
        if asked == "number" and role == "object":
            return self.how_many(phrase)
        return self.thing(phrase, role, event.negated)

    def person(self, phrase: Person, role: str) -> list[Word]:
        first = Word(self.name(lexicon.NAMES[phrase.first], role), "PROPN", entity="PER")
        if phrase.last is None:
            return [first]
        return [first, Word(lexicon.NAMES[phrase.last].forms[self.language][0], "PROPN", entity="PER")]

    def organisation(self, phrase: Organisation) -> list[Word]:
        return [Word(lexicon.NAMES[phrase.name].forms[self.language][0], "PROPN", entity="ORG")]

    def name(self, entry: lexicon.ProperName, role: str) -> str:
        return entry.forms[self.language][0]

    def city(self, entry: lexicon.ProperName) -> Word:
        return Word(entry.forms[self.language][0], "PROPN", entity="LOC")

    def forms(self, table, concept: str) -> tuple[str, ...]:
        return table[concept].forms[self.language]

    # What each language defines.
    conjunction: Word

    def thing(self, phrase: Thing, role: str, negated: bool) -> list[Word]:
        raise NotImplementedError

    def how_many(self, phrase: Thing) -> list[Word]:
        """How many red cars: the question in place of the number, which comes first in most languages."""
        counted = Thing(phrase.noun, phrase.adjective, self.many)
        return [*self.question("number"), *self.thing(counted, "object", False)[1:]]

    def in_city(self, entry: lexicon.ProperName) -> list[Word]:
        preposition = {"es": "en", "zh": "在"}.get(self.language, "in")
        return [Word(preposition, "ADP"), self.city(entry)]

    def arrange(self, event: Event, parts: dict[str, list[Word]], asked: str | None) -> list[Word]:
        raise NotImplementedError


def _ordered(parts: dict[str, list[Word]], fronted: str | None, order: str) -> list[Word]:
    """The parts in an order given as words ("subject verb object"), the fronted one first."""
    slots = order.split()
    if fronted in slots:
        slots.remove(fronted)
        slots.insert(0, fronted)
    return [word for slot in slots for word in parts.get(slot, [])]


class _English(_Grammar):
    language = "en"
    conjunction = Word("and", "CCONJ", category="conj")
    ADVERB = r"(S\NP)\(S\NP)"

    def thing(self, phrase, role, negated):
        forms = self.forms(lexicon.NOUNS, phrase.noun)
        if lexicon.NOUNS[phrase.noun].mass:
            return [Word(forms[0], "NOUN", category="NP")]
        singular, plural = forms
        adjective = []
        if phrase.adjective:
            adjective = [Word(self.forms(lexicon.ADJECTIVES, phrase.adjective)[0], "ADJ", category="N/N")]
        if phrase.number:
            return [Word(str(phrase.number), "NUM", category="NP/N"), *adjective, Word(plural, "NOUN", category="N")]
        rest = [*adjective, Word(singular, "NOUN", category="N")]
        article = "the" if role == "subject" else "an" if rest[0].text[0] in "aeiou" else "a"
        return [Word(article, "DET", category="NP/N"), *rest]

    def noun_phrase(self, phrase, role, event, asked):
        words = super().noun_phrase(phrase, role, event, asked)
        if isinstance(phrase, Person) and phrase.last:
            return [words[0]._replace(category="N/N"), words[1]._replace(category="N")]
        return [word if word.category else word._replace(category="NP") for word in words]

    def part(self, event, slot, asked):
        words = super().part(event, slot, asked)
        if not words or slot not in ("place", "time") or slot == asked:
            return words
        modifier = "S/S" if event.fronted == slot else self.ADVERB
        if len(words) == 1:
            return [words[0]._replace(category=modifier)]
        preposition = words[0]._replace(category=f"({modifier})/NP")
        if len(words) == 2:
            return [preposition, words[1]._replace(category="NP")]
        return [preposition, words[1]._replace(category="NP/N"), words[2]._replace(category="N")]

    def verb(self, event: Event) -> list[Word]:
        negation = [Word("not", "PART", category=self.ADVERB)] if event.negated else []
        if event.predicate:
            adjective = Word(self.forms(lexicon.ADJECTIVES, event.predicate)[0], "ADJ", category=r"S[adj]\NP")
            return [Word("is", "AUX", category=r"(S[dcl]\NP)/(S[adj]\NP)"), *negation, adjective]
        entry = lexicon.VERBS[event.verb]
        if entry.state:
            was = Word("were" if _plural(event.subject) else "was", "AUX", category=r"(S[dcl]\NP)/(S[adj]\NP)")
            return [was, *negation, Word(entry.forms["en"][0], "ADJ", category=r"S[adj]\NP")]
        base, past = entry.forms["en"]
        frame = "{}/NP" if event.object else "{}"
        if negation:
            did = Word("did", "AUX", category=r"(S[dcl]\NP)/(S[b]\NP)")
            return [
                did,
                *negation,
                Word(base, "VERB", category=frame.format(r"(S[b]\NP)" if event.object else r"S[b]\NP")),
            ]
        return [Word(past, "VERB", category=frame.format(r"(S[dcl]\NP)" if event.object else r"S[dcl]\NP"))]

    def arrange(self, event, parts, asked):
        parts["verb"] = _set(self.verb(event), "verb")
        if asked in (None, "subject"):
            return _ordered(parts, event.fronted, "subject verb object place time")
        asked_slot = "object" if asked == "number" else asked
        parts["verb"] = [Word(lexicon.VERBS[event.verb].forms["en"][0], "VERB", "verb")]
        parts["did"] = [Word("did", "AUX")]
        rest = [slot for slot in ("subject", "verb", "object", "place", "time") if slot != asked_slot]
        return _ordered(parts, None, " ".join([asked_slot, "did", *rest]))


class _German(_Grammar):
    language = "de"
    comma = ""
    conjunction = Word("und", "CCONJ")
    DEFINITE = {"m": "der", "f": "die", "n": "das"}  # noqa: RUF012 (constant)
    INDEFINITE = {"m": ("einen", "en"), "f": ("eine", "e"), "n": ("ein", "es")}  # noqa: RUF012 article, adjective ending

    def thing(self, phrase, role, negated):
        entry = lexicon.NOUNS[phrase.noun]
        gender, singular, *others = entry.forms["de"]
        negative = {"m": "keinen", "f": "keine", "n": "kein"}[gender]
        if entry.mass:
            article = [Word(negative, "DET")] if negated and role == "object" else []
            return [*article, Word(singular, "NOUN")]
        if phrase.number:
            return [Word(str(phrase.number), "NUM"), *self.adjective(phrase, "e"), Word(others[0], "NOUN")]
        if role == "subject":
            return [Word(self.DEFINITE[gender], "DET"), *self.adjective(phrase, "e"), Word(singular, "NOUN")]
        article, ending = self.INDEFINITE[gender]
        accusative = others[1] if len(others) > 1 else singular
        article = negative if negated else article
        return [Word(article, "DET"), *self.adjective(phrase, ending), Word(accusative, "NOUN")]

    def adjective(self, phrase: Thing, ending: str) -> list[Word]:
        if not phrase.adjective:
            return []
        stem = self.forms(lexicon.ADJECTIVES, phrase.adjective)[-1]
        return [Word(stem + (ending[1:] if stem.endswith("e") else ending), "ADJ")]

    def arrange(self, event, parts, asked):
        negation = [Word("nicht", "PART")] if event.negated else []
        order = "subject verb after"
        if event.predicate:
            parts["verb"] = _set([Word("ist", "AUX")], "verb")
            parts["after"] = [*negation, Word(self.forms(lexicon.ADJECTIVES, event.predicate)[0], "ADJ", "verb")]
            return _ordered(parts, None, order)
        form = _by_agreement(self.forms(lexicon.VERBS, event.verb), "", _plural(event.subject) and asked != "subject")
        finite, *after = _verb_words(form)
        parts["verb"], parts["after"] = _set([finite], "verb"), _set(after, "verb")
        # Second place is the verb's. "nicht" stands before the place, or before a counted object; "kein" replaces it.
        named = isinstance(event.object, Person)
        counted = isinstance(event.object, Thing) and event.object.number is not None
        if event.object is None or named:
            parts["negation"] = negation
        elif counted:
            parts["object"] = [*negation, *parts["object"]]
        middle = "object time negation place" if named else "time negation place object"
        slots = f"subject verb {middle} after".split()
        first = {"number": "object", None: event.fronted}.get(asked, asked) or "subject"
        slots.remove(first)
        if first != "subject":  # the verb stays second, the subject follows it
            slots.remove("subject")
            slots.remove("verb")
            slots = ["verb", "subject", *slots]
        return _ordered(parts, None, " ".join([first, *slots]))


class _Spanish(_Grammar):
    language = "es"
    conjunction = Word("y", "CCONJ")
    question_start = (Word("¿", "PUNCT"),)

    def thing(self, phrase, role, negated):
        entry = lexicon.NOUNS[phrase.noun]
        if entry.mass:
            return [Word(entry.forms["es"][0], "NOUN")]
        gender, singular, plural = entry.forms["es"]
        adjective = []
        if phrase.adjective:
            forms = self.forms(lexicon.ADJECTIVES, phrase.adjective)
            adjective = [Word(forms[(gender == "f") + 2 * (phrase.number is not None)], "ADJ")]
        personal = [Word("a", "ADP")] if role == "object" and entry.kind == "person" else []
        if phrase.number:
            return [*personal, Word(str(phrase.number), "NUM"), Word(plural, "NOUN"), *adjective]
        articles = {"subject": ("el", "la"), "object": ("un", "una")}[role]
        return [*personal, Word(articles[gender == "f"], "DET"), Word(singular, "NOUN"), *adjective]

    def person(self, phrase, role):
        return [*([Word("a", "ADP")] if role == "object" else []), *super().person(phrase, role)]

    def how_many(self, phrase):
        gender = lexicon.NOUNS[phrase.noun].forms["es"][0]
        noun = [
            w for w in self.thing(Thing(phrase.noun, phrase.adjective, 2), "object", False) if w.upos in ("NOUN", "ADJ")
        ]
        personal = [Word("a", "ADP")] if lexicon.NOUNS[phrase.noun].kind == "person" else []
        return [*personal, Word("cuántas" if gender == "f" else "cuántos", "DET"), *noun]

    def gender(self, subject: NounPhrase) -> str:
        if isinstance(subject, Person):
            return "f" if lexicon.NAMES[subject.first].kind == "woman" else "m"
        return lexicon.NOUNS[subject.noun].forms["es"][0] if isinstance(subject, Thing) else "m"

    def arrange(self, event, parts, asked):
        negation = [Word("no", "ADV")] if event.negated else []
        gender = self.gender(event.subject)
        if event.predicate:
            *forms, copula = self.forms(lexicon.ADJECTIVES, event.predicate)
            parts["verb"] = _set([*negation, Word(copula, "AUX"), Word(forms[gender == "f"], "ADJ")], "verb")
        else:
            form = _by_agreement(
                self.forms(lexicon.VERBS, event.verb), gender, _plural(event.subject) and asked != "subject"
            )
            parts["verb"] = _set([*negation, *_verb_words(form)], "verb")
        if asked in (None, "subject"):
            return _ordered(parts, event.fronted, "subject verb object place time")
        slot = "object" if asked == "number" else asked
        rest = [s for s in ("verb", "subject", "object", "place", "time") if s != slot]
        return _ordered(parts, None, " ".join([slot, *rest]))


class _Russian(_Grammar):
    language = "ru"
    many = 5  # the genitive plural follows
    comma = ""
    conjunction = Word("и", "CCONJ")

    def adjective(self, concept: str, case: str) -> Word:
        """`case`: m, f, n (nominative), f-acc, genitive (of m; the accusative of the living), plural (genitive)."""
        stem, masculine, plural = self.forms(lexicon.ADJECTIVES, concept)
        ending = {"m": masculine, "f": "ая", "n": "ое", "f-acc": "ую", "genitive": "ого", "plural": plural}[case]
        return Word(stem + ending, "ADJ")

    def thing(self, phrase, role, negated):
        entry = lexicon.NOUNS[phrase.noun]
        if entry.mass:
            return [Word(entry.forms["ru"][0], "NOUN")]
        gender, nominative, genitive, genitive_plural = entry.forms["ru"]
        living = entry.kind in ("person", "animal")
        if phrase.number:
            # 2-4 take the genitive singular, 5 and more the plural; living objects the plural throughout.
            few = phrase.number < 5 and not (role == "object" and living)
            adjective = [self.adjective(phrase.adjective, "plural")] if phrase.adjective else []
            return [Word(str(phrase.number), "NUM"), *adjective, Word(genitive if few else genitive_plural, "NOUN")]
        noun, case = nominative, gender
        if role == "object":
            if nominative[-1] in "ая":
                noun = nominative[:-1] + {"а": "у", "я": "ю"}[nominative[-1]]
            elif gender == "m" and living:
                noun = genitive
            case = {"f": "f-acc", "m": "genitive" if living else "m", "n": "n"}[gender]
        adjective = [self.adjective(phrase.adjective, case)] if phrase.adjective else []
        return [*adjective, Word(noun, "NOUN")]

    def name(self, entry, role):
        return entry.forms["ru"][-1 if role == "object" and entry.kind != "surname" else 0]

    def in_city(self, entry):
        return [Word("в", "ADP"), Word(entry.forms["ru"][1], "PROPN", entity="LOC")]

    def gender(self, subject: NounPhrase) -> str:
        match subject:
            case Person():
                return "f" if lexicon.NAMES[subject.first].kind == "woman" else "m"
            case Organisation():
                return "f"  # as if "the company" stood before it
            case Thing():
                return lexicon.NOUNS[subject.noun].forms["ru"][0]
        return "m"

    def verb(self, event: Event, asked: str | None) -> list[Word]:
        negation = [Word("не", "PART")] if event.negated else []
        gender = self.gender(event.subject)
        if event.predicate:
            return [*negation, self.adjective(event.predicate, gender)]
        if asked == "subject":
            return [*negation, *_verb_words(self.forms(lexicon.VERBS, event.verb)[0])]
        masculine, feminine, plural = self.forms(lexicon.VERBS, event.verb)
        if gender == "n" and not _plural(event.subject):
            first, *rest = masculine.split("_")
            past = "нашло" if first == "нашёл" else first[:-2] + "лось" if first.endswith("лся") else first + "о"
            return [*negation, *_verb_words("_".join([past, *rest]))]
        return [*negation, *_verb_words(_by_agreement((masculine, feminine, plural), gender, _plural(event.subject)))]

    def arrange(self, event, parts, asked):
        parts["verb"] = _set(self.verb(event, asked), "verb")
        if asked in (None, "subject"):
            return _ordered(parts, event.fronted, "subject verb object place time")
        slot = "object" if asked == "number" else asked
        rest = [s for s in ("subject", "verb", "object", "place", "time") if s != slot]
        return _ordered(parts, None, " ".join([slot, *rest]))


class _Swahili(_Grammar):
    language = "sw"
    conjunction = Word("na", "CCONJ")
    # Agreement of adjectives: class -> prefix before a consonant, before a vowel; class of the plural; "of"; "having".
    BEFORE_CONSONANT = {1: "m", 2: "wa", 3: "m", 4: "mi", 5: "", 6: "ma", 7: "ki", 8: "vi", 9: "", 10: "", 11: "m"}  # noqa: RUF012
    BEFORE_VOWEL = {1: "mw", 2: "w", 3: "mw", 4: "my", 5: "j", 6: "m", 7: "ch", 8: "vy", 9: "ny", 10: "ny", 11: "mw"}  # noqa: RUF012
    PLURAL = {1: 2, 3: 4, 5: 6, 7: 8, 9: 10, 11: 10}  # noqa: RUF012
    OF = {1: "wa", 2: "wa", 3: "wa", 4: "ya", 5: "la", 6: "ya", 7: "cha", 8: "vya", 9: "ya", 10: "za", 11: "wa"}  # noqa: RUF012
    HAVING = {1: "mwenye", 2: "wenye"}  # noqa: RUF012

    def noun_class(self, phrase: Thing | Indefinite) -> int:
        if isinstance(phrase, Indefinite):
            return 1
        singular = int(lexicon.NOUNS[phrase.noun].forms["sw"][0])
        return self.PLURAL[singular] if phrase.number else singular

    def adjective(self, concept: str, noun_class: int) -> list[Word]:
        stem, *rest = self.forms(lexicon.ADJECTIVES, concept)
        if stem == "=":
            return [Word(rest[noun_class == 2], "ADJ")]
        if stem == "a":
            return [Word(self.OF[noun_class], "ADP"), Word(rest[0], "NOUN")]
        if stem == "enye":
            return [Word(self.HAVING[noun_class], "ADJ"), Word(rest[0], "NOUN")]
        if stem[0] in "aeiou":
            # Classes 2 and 6 contract their a: wa + ekundu -> wekundu, ma + ekundu -> mekundu.
            return [Word(self.BEFORE_VOWEL[noun_class] + stem, "ADJ")]
        if noun_class in (9, 10):
            return [Word({"dogo": "ndogo", "pya": "mpya"}.get(stem, stem), "ADJ")]
        if noun_class == 5 and stem == "pya":
            return [Word("jipya", "ADJ")]
        return [Word(self.BEFORE_CONSONANT[noun_class] + stem, "ADJ")]

    def thing(self, phrase, role, negated):
        entry = lexicon.NOUNS[phrase.noun]
        if entry.mass:
            return [Word(entry.forms["sw"][0], "NOUN")]
        _, singular, plural = entry.forms["sw"]
        adjective = self.adjective(phrase.adjective, self.noun_class(phrase)) if phrase.adjective else []
        number = [Word(str(phrase.number), "NUM")] if phrase.number else []
        return [Word(plural if phrase.number else singular, "NOUN"), *adjective, *number]

    def how_many(self, phrase):
        counted = Thing(phrase.noun, phrase.adjective, 2)
        noun_class = self.noun_class(counted)
        prefix = "" if noun_class == 10 else self.BEFORE_CONSONANT[noun_class]
        return [*self.thing(counted, "object", False)[:-1], Word(f"{prefix}ngapi", "DET")]

    def in_city(self, entry):
        return [Word("mjini", "NOUN"), self.city(entry)]

    def verb(self, event: Event, asked: str | None) -> list[Word]:
        if event.predicate:
            return [
                Word("si" if event.negated else "ni", "AUX"),
                *self.adjective(event.predicate, self.noun_class(event.subject)),
            ]
        (stem, *rest), *negated_stem = [_verb_words(form) for form in self.forms(lexicon.VERBS, event.verb)]
        plural = _plural(event.subject) and asked != "subject"
        company = isinstance(event.subject, Organisation) and asked != "subject"
        if event.negated:
            prefix = "haiku" if company else "hawaku" if plural else "haku"
            stem = negated_stem[0][0] if negated_stem else stem
        else:
            prefix = "ili" if company else "wali" if plural else "ali"
        # Living objects are marked in the verb.
        marker = ""
        living = isinstance(event.object, Person | Both) or (
            isinstance(event.object, Thing) and lexicon.NOUNS[event.object.noun].kind in ("person", "animal")
        )
        if living and asked != "object":
            marker = "wa" if _plural(event.object) else "mw" if stem.text[0] in "aeiou" else "m"
        return [stem._replace(text=prefix + marker + stem.text), *rest]

    def arrange(self, event, parts, asked):
        parts["verb"] = _set(self.verb(event, asked), "verb")
        order = "subject verb object place time" if asked != "place" else "subject verb object time place"
        return _ordered(parts, event.fronted if asked is None else None, order)


class _Turkish(_Grammar):
    language = "tr"
    comma = ""
    conjunction = Word("ve", "CCONJ")

    @staticmethod
    def suffixed(name: str, suffix: str) -> str:
        """A proper name with its accusative ("acc") or locative ("loc") ending, by vowel harmony.

        The last vowel decides: the accusative has four vowels, the locative two; after a voiceless consonant d is t.
        """
        vowel = next(letter for letter in reversed(name.lower()) if letter in "aıoueiöü")
        if suffix == "acc":
            ending = {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u", "ö": "ü", "ü": "ü"}[vowel]
            return f"{name}'{'y' if name[-1].lower() in 'aıoueiöü' else ''}{ending}"
        return f"{name}'{'t' if name[-1] in 'fstkçşhp' else 'd'}{'a' if vowel in 'aıou' else 'e'}"

    def name(self, entry, role):
        return self.suffixed(entry.concept, "acc") if role == "object" else entry.concept

    def thing(self, phrase, role, negated):
        noun = Word(self.forms(lexicon.NOUNS, phrase.noun)[0], "NOUN")
        if lexicon.NOUNS[phrase.noun].mass:
            return [noun]
        adjective = [Word(self.forms(lexicon.ADJECTIVES, phrase.adjective)[0], "ADJ")] if phrase.adjective else []
        if phrase.number:
            return [Word(str(phrase.number), "NUM"), *adjective, noun]
        return [*adjective, *([Word("bir", "DET")] if role == "object" else []), noun]

    def in_city(self, entry):
        return [Word(self.suffixed(entry.concept, "loc"), "PROPN", entity="LOC")]

    def arrange(self, event, parts, asked):
        if event.predicate:
            negation = [Word("değil", "AUX")] if event.negated else []
            verb = [Word(self.forms(lexicon.ADJECTIVES, event.predicate)[0], "ADJ"), *negation]
        else:
            verb = _verb_words(self.forms(lexicon.VERBS, event.verb)[event.negated])
        parts["verb"] = _set(verb, "verb")
        return _ordered(parts, event.fronted if asked is None else None, "subject time place object verb")


class _Chinese(_Grammar):
    language = "zh"
    full_stop = "。"
    comma = "，"
    question_mark = "？"
    conjunction = Word("和", "CCONJ")

    def thing(self, phrase, role, negated):
        entry = lexicon.NOUNS[phrase.noun]
        *classifier, noun = entry.forms["zh"]
        if entry.mass:
            return [Word(noun, "NOUN")]
        adjective = []
        if phrase.adjective:
            adjective = [Word(self.forms(lexicon.ADJECTIVES, phrase.adjective)[0], "ADJ"), Word("的", "PART")]
        if phrase.number or role == "object":
            number = Word(str(phrase.number) if phrase.number else "一", "NUM")
            return [number, Word(classifier[0], "NOUN"), *adjective, Word(noun, "NOUN")]
        return [*adjective, Word(noun, "NOUN")]

    def person(self, phrase, role):
        words = super().person(phrase, role)
        return words if len(words) == 1 else [words[0], Word("·", "PUNCT", entity="PER"), words[1]]

    def arrange(self, event, parts, asked):
        if event.predicate:
            degree = Word("不", "ADV") if event.negated else Word("很", "ADV")
            verb = [degree, Word(self.forms(lexicon.ADJECTIVES, event.predicate)[0], "ADJ")]
        else:
            stem = Word(self.forms(lexicon.VERBS, event.verb)[0], "VERB")
            verb = [Word("没有", "ADV"), stem] if event.negated else [stem, Word("了", "PART")]
        parts["verb"] = _set(verb, "verb")
        return _ordered(parts, event.fronted if asked is None else None, "subject time place verb object")


_GRAMMARS: dict[str, _Grammar] = {
    grammar.language: grammar
    for grammar in (_English(), _German(), _Spanish(), _Russian(), _Swahili(), _Turkish(), _Chinese())
}
