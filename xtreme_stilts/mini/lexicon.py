# ruff: noqa: E501 (one concept a line, however long, is what makes the tables readable)
"""The hand-written lexicon: some 110 concepts, each with its forms in seven languages.

Terms:

- **concept**: a meaning, named by an English word ("dog"); the same concept in all languages makes sentences parallel.
- **form**: how a concept is written in one language; the grammar (`grammar.py`) picks it by case, number, gender, class.
- **kind**: which slots of a sentence a noun can fill (a person sings, fruit is eaten).
- **parent**: the hypernym; every dog is an animal. **opposite**: of two opposites at most one holds.

Each table has one concept a line and one column a language; a column's header comment says which forms it lists.
`word/TAG` gives a word with its Universal Dependencies tag, and `_` joins the words of one form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

LANGUAGES = ("en", "de", "es", "ru", "sw", "tr", "zh")

# concept | kind | parent | en: singular plural | de: gender singular plural [accusative] | es: gender singular plural
#   | ru: gender nominative genitive genitive-plural | sw: agreement class, singular plural | tr | zh: classifier noun
# Animals agree in Swahili like people (class 1), whatever class their own prefix shows.
_NOUNS = """
person    | person  |        | person persons | f Person Personen | f persona personas | m человек человека человек | 1 mtu watu | kişi | 个 人
child     | person  | person | child children | n Kind Kinder | m niño niños | m ребёнок ребёнка детей | 1 mtoto watoto | çocuk | 个 孩子
man       | person  | person | man men | m Mann Männer | m hombre hombres | m мужчина мужчины мужчин | 1 mwanamume wanaume | adam | 个 男人
woman     | person  | person | woman women | f Frau Frauen | f mujer mujeres | f женщина женщины женщин | 1 mwanamke wanawake | kadın | 个 女人
boy       | person  | child  | boy boys | m Junge Jungen Jungen | m chico chicos | m мальчик мальчика мальчиков | 1 mvulana wavulana | oğlan | 个 男孩
girl      | person  | child  | girl girls | n Mädchen Mädchen | f chica chicas | f девочка девочки девочек | 1 msichana wasichana | kız | 个 女孩
teacher   | person  | person | teacher teachers | m Lehrer Lehrer | m profesor profesores | m учитель учителя учителей | 1 mwalimu walimu | öğretmen | 个 老师
doctor    | person  | person | doctor doctors | m Arzt Ärzte | m médico médicos | m врач врача врачей | 1 daktari madaktari | doktor | 个 医生
animal    | animal  |        | animal animals | n Tier Tiere | m animal animales | n животное животного животных | 1 mnyama wanyama | hayvan | 只 动物
dog       | animal  | animal | dog dogs | m Hund Hunde | m perro perros | f собака собаки собак | 1 mbwa mbwa | köpek | 只 狗
cat       | animal  | animal | cat cats | f Katze Katzen | m gato gatos | f кошка кошки кошек | 1 paka paka | kedi | 只 猫
horse     | animal  | animal | horse horses | n Pferd Pferde | m caballo caballos | f лошадь лошади лошадей | 1 farasi farasi | at | 匹 马
bird      | animal  | animal | bird birds | m Vogel Vögel | m pájaro pájaros | f птица птицы птиц | 1 ndege ndege | kuş | 只 鸟
fruit     | food    |        | fruit fruits | f Frucht Früchte | f fruta frutas | m фрукт фрукта фруктов | 5 tunda matunda | meyve | 个 水果
apple     | food    | fruit  | apple apples | m Apfel Äpfel | f manzana manzanas | n яблоко яблока яблок | 5 tufaha matufaha | elma | 个 苹果
orange    | food    | fruit  | orange oranges | f Orange Orangen | f naranja naranjas | m апельсин апельсина апельсинов | 5 chungwa machungwa | portakal | 个 橙子
banana    | food    | fruit  | banana bananas | f Banane Bananen | m plátano plátanos | m банан банана бананов | 9 ndizi ndizi | muz | 根 香蕉
book      | text    |        | book books | n Buch Bücher | m libro libros | f книга книги книг | 7 kitabu vitabu | kitap | 本 书
letter    | text    |        | letter letters | m Brief Briefe | f carta cartas | n письмо письма писем | 9 barua barua | mektup | 封 信
newspaper | text    |        | newspaper newspapers | f Zeitung Zeitungen | m periódico periódicos | f газета газеты газет | 5 gazeti magazeti | gazete | 份 报纸
car       | vehicle |        | car cars | n Auto Autos | m coche coches | f машина машины машин | 5 gari magari | araba | 辆 汽车
bus       | vehicle |        | bus buses | m Bus Busse | m autobús autobuses | m автобус автобуса автобусов | 5 basi mabasi | otobüs | 辆 公交车
bicycle   | vehicle |        | bicycle bicycles | n Fahrrad Fahrräder | f bicicleta bicicletas | m велосипед велосипеда велосипедов | 9 baiskeli baiskeli | bisiklet | 辆 自行车
chair     | thing   |        | chair chairs | m Stuhl Stühle | f silla sillas | m стул стула стульев | 7 kiti viti | sandalye | 把 椅子
table     | thing   |        | table tables | m Tisch Tische | f mesa mesas | m стол стола столов | 9 meza meza | masa | 张 桌子
phone     | thing   |        | phone phones | n Telefon Telefone | m teléfono teléfonos | m телефон телефона телефонов | 9 simu simu | telefon | 部 电话
hat       | thing   |        | hat hats | m Hut Hüte | m sombrero sombreros | f шляпа шляпы шляп | 9 kofia kofia | şapka | 顶 帽子
key       | thing   |        | key keys | m Schlüssel Schlüssel | f llave llaves | m ключ ключа ключей | 11 ufunguo funguo | anahtar | 把 钥匙
ball      | thing   |        | ball balls | m Ball Bälle | f pelota pelotas | m мяч мяча мячей | 3 mpira mipira | top | 个 球
door      | closure |        | door doors | f Tür Türen | f puerta puertas | f дверь двери дверей | 3 mlango milango | kapı | 扇 门
window    | closure |        | window windows | n Fenster Fenster | f ventana ventanas | n окно окна окон | 5 dirisha madirisha | pencere | 扇 窗户
"""

# Mass nouns: neither article nor number. concept | kind | en | de: gender noun | es | ru: accusative | sw | tr | zh
_MASS = """
water  | drink | water  | n Wasser | agua  | воду   | maji   | su     | 水
milk   | drink | milk   | f Milch  | leche | молоко | maziwa | süt    | 牛奶
tea    | drink | tea    | m Tee    | té    | чай    | chai   | çay    | 茶
bread  | meal  | bread  | n Brot   | pan   | хлеб   | mkate  | ekmek  | 面包
"""

# concept | group: of one group at most one holds | kinds described | en | de: predicative [stem] | es: masculine feminine plural-m plural-f, copula
#   | ru: stem, ending of the nominative and of the genitive plural | sw: stem (=: invariable, a: "of" + noun, enye: "having" + noun) | tr | zh
_ADJECTIVES = """
red       | colour   | vehicle thing closure         | red | rot | rojo roja rojos rojas es | красн ый ых | ekundu | kırmızı | 红色
white     | colour   | vehicle thing closure animal  | white | weiß | blanco blanca blancos blancas es | бел ый ых | eupe | beyaz | 白色
black     | colour   | vehicle thing closure animal         | black | schwarz | negro negra negros negras es | чёрн ый ых | eusi | siyah | 黑色
big       | size     | animal food vehicle thing closure text | big | groß | grande grande grandes grandes es | больш ой их | kubwa | büyük | 大
small     | size     | animal food vehicle thing closure text | small | klein | pequeño pequeña pequeños pequeñas es | маленьк ий их | dogo | küçük | 小
new       | age      | vehicle thing closure text           | new | neu | nuevo nueva nuevos nuevas es | нов ый ых | pya | yeni | 新
worn      | age      | vehicle thing closure text           | old | alt | viejo vieja viejos viejas es | стар ый ых | kuukuu | eski | 旧
young     | years    | adult                                | young | jung | joven joven jóvenes jóvenes es | молод ой ых | = kijana vijana | genç | 年轻
old       | years    | adult                                | old | alt | viejo vieja viejos viejas es | стар ый ых | = mzee wazee | yaşlı | 年老
clean     | state    | vehicle thing closure                | clean | sauber | limpio limpia limpios limpias está | чист ый ых | = safi safi | temiz | 干净
dirty     | state    | vehicle thing closure                | dirty | schmutzig | sucio sucia sucios sucias está | грязн ый ых | chafu | kirli | 脏
happy     | mood     | person                               | happy | fröhlich | feliz feliz felices felices está | весёл ый ых | enye furaha | mutlu | 高兴
sad       | mood     | person                               | sad | traurig | triste triste tristes tristes está | грустн ый ых | enye huzuni | üzgün | 难过
"""

# concept | who does it | to what kinds ("-": intransitive; "state": a state) | opposite | en: base past | de: singular plural
#   | es: singular plural | ru: masculine feminine plural | sw: stem [stem when negated] | tr: affirmed negated | zh
_VERBS = """
buy     | person org | animal food text vehicle thing meal | sell | buy bought | kaufte kauften | compró compraron | купил купила купили | nunua | aldı almadı | 买
sell    | person org | animal food text vehicle thing meal | buy  | sell sold | verkaufte verkauften | vendió vendieron | продал продала продали | uza | sattı satmadı | 卖
see     | person animal | name person animal vehicle      |      | see saw | sah sahen | vio vieron | увидел увидела увидели | ona | gördü görmedi | 看见
visit   | person     | name person                                |      | visit visited | besuchte besuchten | visitó visitaron | навестил навестила навестили | tembelea | ziyaret/NOUN_etti/VERB ziyaret/NOUN_etmedi/VERB | 拜访
find    | person     | thing text closure animal           | lose | find found | fand fanden | encontró encontraron | нашёл нашла нашли | pata | buldu bulmadı | 找到
lose    | person     | thing text animal                          | find | lose lost | verlor verloren | perdió perdieron | потерял потеряла потеряли | poteza | kaybetti kaybetmedi | 丢
eat     | person     | food meal                                  |      | eat ate | aß aßen | comió comieron | съел съела съели | kula la | yedi yemedi | 吃
drink   | person     | drink                                      |      | drink drank | trank tranken | bebió bebieron | выпил выпила выпили | kunywa nywa | içti içmedi | 喝
read    | person     | text                                       |      | read read | las lasen | leyó leyeron | прочитал прочитала прочитали | soma | okudu okumadı | 读
write   | person     | text                                       |      | write wrote | schrieb schrieben | escribió escribieron | написал написала написали | andika | yazdı yazmadı | 写
open    | person     | closure                                    | close | open opened | öffnete öffneten | abrió abrieron | открыл открыла открыли | fungua | açtı açmadı | 打开
close   | person     | closure                                    | open | close closed | schloss schlossen | cerró cerraron | закрыл закрыла закрыли | funga | kapattı kapatmadı | 关上
wash    | person     | vehicle closure                            |      | wash washed | wusch wuschen | lavó lavaron | помыл помыла помыли | osha | yıkadı yıkamadı | 洗
sleep   | person animal | -                                       | work | sleep slept | schlief schliefen | durmió durmieron | спал спала спали | lala | uyudu uyumadı | 睡觉
work    | person     | -                                          | sleep | work worked | arbeitete arbeiteten | trabajó trabajaron | работал работала работали | fanya/VERB_kazi/NOUN | çalıştı çalışmadı | 工作
sing    | person     | -                                          |      | sing sang | sang sangen | cantó cantaron | пел пела пели | imba | şarkı/NOUN_söyledi/VERB şarkı/NOUN_söylemedi/VERB | 唱歌
cry     | person     | -                                          | smile | cry cried | weinte weinten | lloró lloraron | плакал плакала плакали | lia | ağladı ağlamadı | 哭
smile   | person     | -                                          | cry  | smile smiled | lächelte lächelten | sonrió sonrieron | улыбнулся улыбнулась улыбнулись | tabasamu | gülümsedi gülümsemedi | 微笑
hungry  | person     | state                                      |      | hungry | war/AUX_hungrig/ADJ waren/AUX_hungrig/ADJ | tenía/VERB_hambre/NOUN tenían/VERB_hambre/NOUN | проголодался проголодалась проголодались | kuwa/VERB_na/ADP_njaa/NOUN | acıktı acıkmadı | 饿
thirsty | person     | state                                      |      | thirsty | war/AUX_durstig/ADJ waren/AUX_durstig/ADJ | tenía/VERB_sed/NOUN tenían/VERB_sed/NOUN | захотел/VERB_пить/VERB захотела/VERB_пить/VERB захотели/VERB_пить/VERB | kuwa/VERB_na/ADP_kiu/NOUN | susadı susamadı | 渴
tired   | person     | state                                      |      | tired | war/AUX_müde/ADJ waren/AUX_müde/ADJ | estaba/AUX_cansado/ADJ estaba/AUX_cansada/ADJ estaban/AUX_cansados/ADJ | устал устала устали | choka | yoruldu yorulmadı | 累
sick    | person     | state                                      |      | sick | war/AUX_krank/ADJ waren/AUX_krank/ADJ | estaba/AUX_enfermo/ADJ estaba/AUX_enferma/ADJ estaban/AUX_enfermos/ADJ | заболел заболела заболели | ugua | hastalandı hastalanmadı | 病
"""

# Where: whole phrases. concept | en | de | es | ru | sw | tr | zh
_PLACES = """
garden   | in/ADP the/DET garden/NOUN | im/ADP Garten/NOUN | en/ADP el/DET jardín/NOUN | в/ADP саду/NOUN | bustanini/NOUN | bahçede/NOUN | 在/ADP 花园/NOUN 里/ADP
house    | in/ADP the/DET house/NOUN | im/ADP Haus/NOUN | en/ADP la/DET casa/NOUN | в/ADP доме/NOUN | nyumbani/NOUN | evde/NOUN | 在/ADP 房子/NOUN 里/ADP
school   | in/ADP the/DET school/NOUN | in/ADP der/DET Schule/NOUN | en/ADP la/DET escuela/NOUN | в/ADP школе/NOUN | shuleni/NOUN | okulda/NOUN | 在/ADP 学校/NOUN 里/ADP
market   | in/ADP the/DET market/NOUN | auf/ADP dem/DET Markt/NOUN | en/ADP el/DET mercado/NOUN | на/ADP рынке/NOUN | sokoni/NOUN | çarşıda/NOUN | 在/ADP 市场/NOUN 里/ADP
hospital | in/ADP the/DET hospital/NOUN | im/ADP Krankenhaus/NOUN | en/ADP el/DET hospital/NOUN | в/ADP больнице/NOUN | hospitalini/NOUN | hastanede/NOUN | 在/ADP 医院/NOUN 里/ADP
hotel    | in/ADP the/DET hotel/NOUN | im/ADP Hotel/NOUN | en/ADP el/DET hotel/NOUN | в/ADP отеле/NOUN | hotelini/NOUN | otelde/NOUN | 在/ADP 酒店/NOUN 里/ADP
"""

# When: whole phrases, same columns.
_TIMES = """
yesterday | yesterday/ADV | gestern/ADV | ayer/ADV | вчера/ADV | jana/ADV | dün/ADV | 昨天/NOUN
today     | today/ADV | heute/ADV | hoy/ADV | сегодня/ADV | leo/ADV | bugün/ADV | 今天/NOUN
Monday    | on/ADP Monday/PROPN | am/ADP Montag/NOUN | el/DET lunes/NOUN | в/ADP понедельник/NOUN | Jumatatu/PROPN | pazartesi/NOUN günü/NOUN | 星期一/NOUN
Friday    | on/ADP Friday/PROPN | am/ADP Freitag/NOUN | el/DET viernes/NOUN | в/ADP пятницу/NOUN | Ijumaa/PROPN | cuma/NOUN günü/NOUN | 星期五/NOUN
morning   | in/ADP the/DET morning/NOUN | am/ADP Morgen/NOUN | por/ADP la/DET mañana/NOUN | утром/ADV | asubuhi/NOUN | sabahleyin/ADV | 早上/NOUN
evening   | in/ADP the/DET evening/NOUN | am/ADP Abend/NOUN | por/ADP la/DET tarde/NOUN | вечером/ADV | jioni/NOUN | akşam/NOUN | 晚上/NOUN
2015      | in/ADP 2015/NUM | im/ADP Jahr/NOUN 2015/NUM | en/ADP 2015/NUM | в/ADP 2015/ADJ году/NOUN | mwaka/NOUN 2015/NUM | 2015/NUM yılında/NOUN | 2015/NUM 年/NOUN
2018      | in/ADP 2018/NUM | im/ADP Jahr/NOUN 2018/NUM | en/ADP 2018/NUM | в/ADP 2018/ADJ году/NOUN | mwaka/NOUN 2018/NUM | 2018/NUM yılında/NOUN | 2018/NUM 年/NOUN
2021      | in/ADP 2021/NUM | im/ADP Jahr/NOUN 2021/NUM | en/ADP 2021/NUM | в/ADP 2021/ADJ году/NOUN | mwaka/NOUN 2021/NUM | 2021/NUM yılında/NOUN | 2021/NUM 年/NOUN
"""

# Proper names: written alike in every Latin-script language. name | what it names | ru [second form] | zh
# The second Russian form is the accusative of a first name and the locative of a city.
_NAMES = """
Anna    | woman   | Анна Анну | 安娜
Maria   | woman   | Мария Марию | 玛丽亚
Sara    | woman   | Сара Сару | 萨拉
Nina    | woman   | Нина Нину | 尼娜
Peter   | man     | Питер Питера | 彼得
Omar    | man     | Омар Омара | 奥马尔
David   | man     | Давид Давида | 大卫
Ivan    | man     | Иван Ивана | 伊万
Keller  | surname | Келлер | 凯勒
Silva   | surname | Сильва | 席尔瓦
Demir   | surname | Демир | 德米尔
Zentora | org     | Зентора | 泽托拉
Lumexa  | org     | Лумекса | 卢美克
Kavenda | org     | Кавенда | 卡文达
Madrid  | city    | Мадрид Мадриде | 马德里
Ankara  | city    | Анкара Анкаре | 安卡拉
Nairobi | city    | Найроби Найроби | 内罗毕
Lima    | city    | Лима Лиме | 利马
Oslo    | city    | Осло Осло | 奥斯陆
Boston  | city    | Бостон Бостоне | 波士顿
"""

# "Someone" and "something", the most general subject and object. concept | en | de | es | ru | sw | tr | zh
_PRONOUNS = """
someone   | someone/PRON | jemand/PRON | alguien/PRON | кто-то/PRON | mtu/NOUN | biri/PRON | 有人/PRON
something | something/PRON | etwas/PRON | algo/PRON | что-то/PRON | kitu/NOUN | bir/DET şey/NOUN | 东西/NOUN
"""

# Question phrases, one for each slot that can be asked for; "number" goes before the noun in en de es ru tr zh, after it in sw.
_QUESTIONS = """
subject | who/PRON | wer/PRON | quién/PRON | кто/PRON | nani/PRON | kim/PRON | 谁/PRON
object  | what/PRON | was/PRON | qué/PRON | что/PRON | nini/PRON | ne/PRON | 什么/PRON
place   | where/ADV | wo/ADV | dónde/ADV | где/ADV | wapi/ADV | nerede/ADV | 在/ADP 哪里/PRON
time    | when/ADV | wann/ADV | cuándo/ADV | когда/ADV | lini/ADV | ne/ADV zaman/NOUN | 什么/DET 时候/NOUN
number  | how/ADV many/ADJ | wie/ADV viele/ADJ | cuántos/DET | сколько/NUM | ngapi/DET | kaç/DET | 几/NUM
"""

NUMBERS = (2, 3, 4, 5, 7)


@dataclasses.dataclass(frozen=True)
class Noun:
    """A countable noun, or a mass noun (`mass`). `forms[language]`: the columns of the table above, split at spaces."""

    concept: str
    kind: str
    parent: str | None
    forms: Mapping[str, tuple[str, ...]]
    mass: bool = False


@dataclasses.dataclass(frozen=True)
class Adjective:
    """`group`: of one group at most one adjective holds of a thing; `kinds`: the kinds of nouns it describes."""

    concept: str
    group: str
    kinds: tuple[str, ...]
    forms: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Verb:
    """`subjects`, `objects`: the kinds it takes (no objects: intransitive); `state`: "was hungry", never negated."""

    concept: str
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    state: bool
    opposite: str | None
    forms: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class ProperName:
    """`kind`: man, woman, surname, org or city. `forms["ru"]`: nominative and (first names, cities) the oblique form."""

    concept: str
    kind: str
    forms: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Phrase:
    """A fixed phrase: `forms[language]` is its words, each `word/TAG`."""

    concept: str
    forms: Mapping[str, tuple[str, ...]]


def _table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


def _forms(cells: list[str]) -> dict[str, tuple[str, ...]]:
    if len(cells) != len(LANGUAGES):
        raise ValueError(f"lexicon line with {len(cells)} languages, not {len(LANGUAGES)}: {' | '.join(cells)}")
    return {language: tuple(cell.split()) for language, cell in zip(LANGUAGES, cells, strict=True)}


def _named(entries) -> dict:
    return {entry.concept: entry for entry in entries}


NOUNS: dict[str, Noun] = _named(
    [Noun(c, kind, parent or None, _forms(cells)) for c, kind, parent, *cells in _table(_NOUNS)]
    + [Noun(c, kind, None, _forms(cells), mass=True) for c, kind, *cells in _table(_MASS)]
)
ADJECTIVES: dict[str, Adjective] = _named(
    Adjective(c, group, tuple(kinds.split()), _forms(cells)) for c, group, kinds, *cells in _table(_ADJECTIVES)
)
VERBS: dict[str, Verb] = _named(
    Verb(
        c,
        tuple(who.split()),
        () if what in ("-", "state") else tuple(what.split()),
        what == "state",
        opposite or None,
        _forms(cells),
    )
    for c, who, what, opposite, *cells in _table(_VERBS)
)
NAMES: dict[str, ProperName] = _named(
    ProperName(c, kind, {**dict.fromkeys(LANGUAGES, (c,)), "ru": tuple(ru.split()), "zh": (zh,)})
    for c, kind, ru, zh in _table(_NAMES)
)
PLACES: dict[str, Phrase] = _named(Phrase(c, _forms(cells)) for c, *cells in _table(_PLACES))
TIMES: dict[str, Phrase] = _named(Phrase(c, _forms(cells)) for c, *cells in _table(_TIMES))
PRONOUNS: dict[str, Phrase] = _named(Phrase(c, _forms(cells)) for c, *cells in _table(_PRONOUNS))
QUESTIONS: dict[str, Phrase] = _named(Phrase(c, _forms(cells)) for c, *cells in _table(_QUESTIONS))


def concepts() -> list[tuple[str, Mapping[str, tuple[str, ...]]]]:
    """Every concept with its forms by language."""
    tables = (NOUNS, ADJECTIVES, VERBS, NAMES, PLACES, TIMES, PRONOUNS, QUESTIONS)
    return [(entry.concept, entry.forms) for table in tables for entry in table.values()]


def is_a(concept: str, ancestor: str) -> bool:
    """Whether a noun's concept equals `ancestor` or lies below it."""
    while concept != ancestor:
        parent = NOUNS[concept].parent
        if parent is None:
            return False
        concept = parent
    return True
