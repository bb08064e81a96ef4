"""Lexicon and grammar: every concept in every language, and sentences as a speaker would write them."""

import numpy as np
import pytest

from xtreme_stilts.mini import LANGUAGES, lexicon
from xtreme_stilts.mini.events import Both, Event, Indefinite, Organisation, Person, Sampler, Thing, bucket
from xtreme_stilts.mini.grammar import join, render, render_mixed


def _events(count, name="train", seed=0):
    sampler = Sampler(np.random.default_rng(seed), name)
    return [sampler.negated(sampler.fronted(sampler.event())) for _ in range(count)]


def test_every_concept_has_forms_in_all_languages():
    for concept, forms in lexicon.concepts():
        assert set(forms) == set(LANGUAGES), concept
        assert all(cells and all(cells) for cells in forms.values()), concept


def test_tables_refer_to_what_exists():
    kinds = {noun.kind for noun in lexicon.NOUNS.values()}
    for noun in lexicon.NOUNS.values():
        assert noun.parent is None or noun.parent in lexicon.NOUNS
    for verb in lexicon.VERBS.values():
        assert set(verb.objects) <= kinds | {"name"}, verb.concept
        assert verb.opposite is None or verb.opposite in lexicon.VERBS
    for adjective in lexicon.ADJECTIVES.values():
        assert set(adjective.kinds) <= kinds | {"adult"}, adjective.concept


def test_every_countable_noun_has_the_forms_its_grammar_reads():
    number = {"en": {2}, "de": {3, 4}, "es": {3}, "ru": {4}, "sw": {3}, "tr": {1}, "zh": {2}}
    for noun in lexicon.NOUNS.values():
        for language, cells in noun.forms.items():
            assert noun.mass or len(cells) in number[language], (noun.concept, language)


@pytest.mark.parametrize(
    ("event", "sentences"),
    [
        (
            Event(Person("Anna"), "buy", Thing("car", "red"), place="Madrid", time="Monday"),
            [
                "Anna bought a red car in Madrid on Monday.",
                "Anna kaufte am Montag in Madrid ein rotes Auto.",
                "Anna compró un coche rojo en Madrid el lunes.",
                "Анна купила красную машину в Мадриде в понедельник.",
                "Anna alinunua gari jekundu mjini Madrid Jumatatu.",
                "Anna pazartesi günü Madrid'de kırmızı bir araba aldı.",
                "安娜星期一在马德里买了一辆红色的汽车。",
            ],
        ),
        (
            Event(
                Thing("boy", "happy", 3), "see", Thing("dog", "white"), time="yesterday", negated=True, fronted="time"
            ),
            [
                "Yesterday, 3 happy boys did not see a white dog.",
                "Gestern sahen 3 fröhliche Jungen keinen weißen Hund.",
                "Ayer, 3 chicos felices no vieron un perro blanco.",
                "Вчера 3 весёлых мальчика не увидели белую собаку.",
                "Jana, wavulana wenye furaha 3 hawakumwona mbwa mweupe.",
                "Dün 3 mutlu oğlan beyaz bir köpek görmedi.",
                "昨天，3个高兴的男孩没有看见一只白色的狗。",
            ],
        ),
        (
            Event(Both(Person("Sara"), Person("Omar")), "visit", Thing("boy"), place="hospital"),
            [
                "Sara and Omar visited a boy in the hospital.",
                "Sara und Omar besuchten im Krankenhaus einen Jungen.",
                "Sara y Omar visitaron a un chico en el hospital.",
                "Сара и Омар навестили мальчика в больнице.",
                "Sara na Omar walimtembelea mvulana hospitalini.",
                "Sara ve Omar hastanede bir oğlan ziyaret etti.",
                "萨拉和奥马尔在医院里拜访了一个男孩。",
            ],
        ),
        (
            Event(Thing("book", "small"), predicate="worn", negated=True),
            [
                "The small book is not old.",
                "Das kleine Buch ist nicht alt.",
                "El libro pequeño no es viejo.",
                "Маленькая книга не старая.",
                "Kitabu kidogo si kikuukuu.",
                "Küçük kitap eski değil.",
                "小的书不旧。",
            ],
        ),
        (
            Event(Person("Nina"), "see", Person("Ivan", None)),
            ["Nina saw Ivan.", "Nina sah Ivan.", "Nina vio a Ivan.", "Нина увидела Ивана.", "Nina alimwona Ivan.",
             "Nina Ivan'ı gördü.", "尼娜看见了伊万。"],
        ),
        (
            Event(Thing("animal"), "sleep"),
            ["The animal slept.", "Das Tier schlief.", "El animal durmió.", "Животное спало.", "Mnyama alilala.",
             "Hayvan uyudu.", "动物睡觉了。"],
        ),
        (
            Event(Organisation("Lumexa"), "sell", Thing("bicycle", "new", 5)),
            ["Lumexa sold 5 new bicycles.", "Lumexa verkaufte 5 neue Fahrräder.", "Lumexa vendió 5 bicicletas nuevas.",
             "Лумекса продала 5 новых велосипедов.", "Lumexa iliuza baiskeli mpya 5.", "Lumexa 5 yeni bisiklet sattı.",
             "卢美克卖了5辆新的自行车。"],
        ),
        (
            Event(Indefinite("someone"), "find", Indefinite("something")),
            ["Someone found something.", "Jemand fand etwas.", "Alguien encontró algo.", "Кто-то нашёл что-то.",
             "Mtu alipata kitu.", "Biri bir şey buldu.", "有人找到了东西。"],
        ),
    ],
)  # fmt: skip
def test_sentences(event, sentences):
    assert [render(event, language).text for language in LANGUAGES] == sentences


@pytest.mark.parametrize(
    ("asked", "questions"),
    [
        ("subject", ["Who bought 3 red cars in Oslo?", "Wer kaufte in Oslo 3 rote Autos?",
                     "¿Quién compró 3 coches rojos en Oslo?",
                     "Кто купил 3 красных машины в Осло?", "Nani alinunua magari mekundu 3 mjini Oslo?",
                     "Kim Oslo'da 3 kırmızı araba aldı?", "谁在奥斯陆买了3辆红色的汽车？"]),
        ("object", ["What did Sara buy in Oslo?", "Was kaufte Sara in Oslo?", "¿Qué compró Sara en Oslo?",
                    "Что Сара купила в Осло?", "Sara alinunua nini mjini Oslo?", "Sara Oslo'da ne aldı?",
                    "萨拉在奥斯陆买了什么？"]),
        ("place", ["Where did Sara buy 3 red cars?", "Wo kaufte Sara 3 rote Autos?",
                   "¿Dónde compró Sara 3 coches rojos?", "Где Сара купила 3 красных машины?",
                   "Sara alinunua magari mekundu 3 wapi?",
                   "Sara nerede 3 kırmızı araba aldı?", "萨拉在哪里买了3辆红色的汽车？"]),
        ("time", ["When did Sara buy 3 red cars in Oslo?", "Wann kaufte Sara in Oslo 3 rote Autos?",
                  "¿Cuándo compró Sara 3 coches rojos en Oslo?", "Когда Сара купила 3 красных машины в Осло?",
                  "Sara alinunua magari mekundu 3 mjini Oslo lini?", "Sara ne zaman Oslo'da 3 kırmızı araba aldı?",
                  "萨拉什么时候在奥斯陆买了3辆红色的汽车？"]),
        ("number", ["How many red cars did Sara buy in Oslo?", "Wie viele rote Autos kaufte Sara in Oslo?",
                    "¿Cuántos coches rojos compró Sara en Oslo?", "Сколько красных машин Сара купила в Осло?",
                    "Sara alinunua magari mekundu mangapi mjini Oslo?", "Sara Oslo'da kaç kırmızı araba aldı?",
                    "萨拉在奥斯陆买了几辆红色的汽车？"]),
    ],
)  # fmt: skip
def test_questions(asked, questions):
    event = Event(Person("Sara"), "buy", Thing("car", "red", 3), place="Oslo" if asked != "place" else None)
    assert [render(event, language, asked=asked).text for language in LANGUAGES] == questions


def test_words_are_the_text_and_carry_tags():
    tags = set()
    for event in _events(150):
        for language in LANGUAGES:
            sentence = render(event, language)
            assert [sentence.text[a:b] for a, b in sentence.spans] == [word.text for word in sentence.words]
            assert all(" " not in word.text and word.upos != "X" for word in sentence.words), sentence
            assert sentence.text[0] == sentence.text[0].upper()
            assert (" " in sentence.text) == (language != "zh" and len(sentence.words) > 2)
            tags |= {word.upos for word in sentence.words}
    expected = "ADJ ADP ADV AUX CCONJ DET NOUN NUM PART PROPN PUNCT VERB"  # PRON only in questions and "someone"
    assert tags == set(expected.split())


def test_every_english_word_has_a_supertag():
    for event in _events(300):
        sentence = render(event, "en")
        assert all(word.category for word in sentence.words), sentence


def test_entities_are_marked_in_every_language():
    event = Event(Person("Anna", "Keller"), "see", Person("Peter"), place="Ankara")
    for language in LANGUAGES:
        kinds = [word.entity for word in render(event, language).words if word.entity]
        assert sorted(set(kinds)) == ["LOC", "PER"]
        assert kinds.count("PER") == (4 if language == "zh" else 3)  # Chinese puts a dot between names


def test_mixed_sentences_borrow_whole_phrases():
    event = Event(Person("Anna"), "buy", Thing("car", "red"), place="Madrid")
    mixed = render_mixed(event, "en", {"object": "es", "place": "zh"})
    assert mixed.text == "Anna bought un coche rojo 在马德里."
    assert render_mixed(event, "tr", {}).text == render(event, "tr").text


def test_joined_offsets_point_into_the_joined_text():
    for language in LANGUAGES:
        joined = join([render(event, language) for event in _events(3)])
        assert [joined.text[a:b] for a, b in joined.spans] == [word.text for word in joined.words]


def test_buckets_are_disjoint_and_ignore_order_and_negation():
    said = {
        name: {repr(e.but(negated=False, fronted=None)) for e in _events(300, name)}
        for name in ("train", "validation", "test")
    }
    assert not said["train"] & said["test"]
    assert not said["train"] & said["validation"]
    assert not said["validation"] & said["test"]
    event = _events(1)[0]
    assert bucket(event) == bucket(event.but(negated=not event.negated))
