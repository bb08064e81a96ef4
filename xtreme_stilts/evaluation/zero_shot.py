"""A family in all its languages, after one phase: predictions and scores on disk.

Targets are read by the phase's own head. Retrieval families have no head: the sentences of both sides are embedded
by the encoder and matched by cosine (Tatoeba) or mined by margin (BUCC 2018, threshold fitted on its validation
set, never on the test set).

Retrieval, which hidden states. One pass of the encoder over a side gives all of them, pooled both ways; every
(layer, pooling) is scored, and one is *reported*:

- `layer_choice = "fixed"`: config.evaluation.layer and .pooling, by default hidden state 14 of 24 and the mean.
- `layer_choice = "dev"`: for a family with a validation set (BUCC 2018) the one with the best mining F1 there, mean
  over the languages evaluated; chosen anew after each phase, once for all languages. Of equals the one nearest to
  the fixed one. Tatoeba has only a test set and reports the fixed one.

The reported one's scores have the metric's own name (`accuracy`, `f1`); beside them, every (layer, pooling) scored
has `accuracy_by_layer` and so on, the reported one too. So no average over a metric mixes layers.

Memory. Vectors go to a scratch file in the cache's folder, 4 * width bytes for each sentence and (layer, pooling),
and one (layer, pooling) of the two sides is in memory at a time, in up to three copies. Where the scratch files of
the two sides would be larger than SCRATCH_BYTES (21,000 sentences in all for XLM-R Large) only the reported (layer,
pooling) is scored, unless config.evaluation.layers names what is wanted; "dev" scores all of them on validation.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from xtreme_stilts import processes, tasks
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.data.cache import Cache
from xtreme_stilts.data.features import Example
from xtreme_stilts.data.loader import Shape
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import metrics, mining, retrieval
from xtreme_stilts.evaluation.chance import chance
from xtreme_stilts.evaluation.predict import embed, predict
from xtreme_stilts.evaluation.retrieval import POOLINGS, Pooled
from xtreme_stilts.evaluation.score import rows_of_examples, score
from xtreme_stilts.files import read_object, write_json, write_text
from xtreme_stilts.graph import Phase, fingerprint
from xtreme_stilts.models import Head, Model
from xtreme_stilts.phase import Setting, encoder_params, heads_of, read_best
from xtreme_stilts.report.results import BY_LAYER
from xtreme_stilts.tasks.retrieval import Pair, gold_pairs
from xtreme_stilts.training import memory
from xtreme_stilts.training.sharding import check_rows

# Raised when a change of the code changes predictions or scores of the same parameters.
EVALUATION_VERSION = 2

SCRATCH_BYTES = 2**32


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageScores:
    """Scores of a family in one language on one split, after one phase; retrieval: of one (layer, pooling)."""

    language: str
    split: str
    scores: Mapping[str, float]  # percent
    examples: int
    chance: float | None = None  # percent of the primary metric that guessing reaches; with the reported scores only
    layer: int | None = None  # retrieval: hidden state
    pooling: str = ""  # retrieval


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Evaluated:
    scores: list[LanguageScores]
    lines: list[dict[str, Any]]  # predictions, one example each


def languages_of(family: tasks.Family, *, study: StudyConfig) -> list[str]:
    """The family's languages that are evaluated: those config.languages names for it, else all.

    Raises:
        UserError: a language that the family lacks.
    """
    chosen = study.languages.get(family.name, family.languages)
    for language in chosen:
        if language not in family.languages:
            raise UserError(
                f"config.languages.{family.name}: the family has no language {language!r}; "
                f"{did_you_mean(language, family.languages)}"
            )
    return [language for language in family.languages if language in chosen]


def evaluate(
    phase: Phase, family: tasks.Family, *, setting: Setting, note: Callable[[str], None]
) -> list[LanguageScores]:
    """Scores of a family after a phase; languages that were evaluated before are read back.

    Args:
        phase: finished.
        note: told each language as it is done.
    """
    folder = _folder(phase, family, setting=setting)
    record = folder / "scores.json"
    known = _read_json(record)
    run = (_Sentences if family.kind == "embedding" else _Targets)(phase, family, setting=setting)
    asked = run.asked()
    keys = {language: _key(family, language, asked) for language in languages_of(family, study=setting.study)}
    there = processes.decided(
        lambda: [language for language in keys if _is_whole(folder / f"{language}.jsonl", known.get(language, {}))]
    )
    for language, key in keys.items():
        if language in there and known[language]["key"] == key:
            continue
        done = run(language)
        lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in done.lines)
        scores = [dataclasses.asdict(scores) for scores in done.scores]
        known[language] = {"key": key, "predictions_crc32": zlib.crc32(lines.encode()), "scores": scores}
        if processes.is_first():
            write_text(folder / f"{language}.jsonl", lines)
            write_json(record, known)
        note(language)
    return [LanguageScores(**scores) for language in keys for scores in known[language]["scores"]]


def _folder(phase: Phase, family: tasks.Family, *, setting: Setting) -> epath.Path:
    return setting.folder(phase) / "evaluations" / family.name


def _is_whole(predictions: epath.Path, known: Mapping[str, Any]) -> bool:
    """Whether a file of predictions is the one that was written with these scores."""
    try:
        return zlib.crc32(predictions.read_bytes()) == known.get("predictions_crc32")
    except OSError:
        return False


def _read_json(path: epath.Path) -> dict[str, Any]:
    """A record of what is done, as process 0 finds it; {} where there is none, or a damaged one."""
    return processes.decided(lambda: read_object(path))


def _key(family: tasks.Family, language: str, asked: Mapping[str, Any]) -> str:
    """Decides whether an evaluation on disk is the one asked for. Batch shapes change nothing."""
    return fingerprint([EVALUATION_VERSION, tasks.source_version(f"{family.name}.{language}"), asked])


def evaluation_split(family: tasks.Family, language: str) -> str:
    """The split that is scored: test, or validation where the data have no test set (with labels)."""
    return family.scored_split(language)


class _Targets:
    """Evaluates a classification, regression, choice, tagging or span family with the head the phase trained."""

    def __init__(self, phase: Phase, family: tasks.Family, *, setting: Setting):
        self.phase, self.family, self.setting = phase, family, setting
        self.shape = evaluation_shape(family, setting=setting)
        self.max_length = setting.example_length(
            family, asked=phase.recipe.max_length, row=min(phase.recipe.length, self.shape.length)
        )

    def asked(self) -> dict[str, Any]:
        """What the scores depend on beside the phase and the data."""
        return {"max_examples": self.setting.study.evaluation.max_examples}

    @functools.cached_property
    def model(self) -> Model:
        return Model(self.setting.encoder, heads_of(self.phase, setting=self.setting).by_name)

    @functools.cached_property
    def params(self) -> Any:
        return read_best(self.phase, setting=self.setting, model=self.model, items=("encoder", "heads"))

    @functools.cached_property
    def head(self) -> str:
        trained = heads_of(self.phase, setting=self.setting).of_task.get(self.family.train)
        return trained or next(iter(self.model.heads))

    def __call__(self, language: str) -> _Evaluated:
        family, setting = self.family, self.setting
        split = evaluation_split(family, language)
        cache = setting.cache(f"{family.name}.{language}", split, max_length=self.max_length)
        rows = rows_of_examples(cache, examples=setting.study.evaluation.max_examples)
        outputs = predict(
            self.model, self.params, cache=cache, head=self.head, shape=self.shape, mesh=setting.mesh, rows=rows
        )
        scored = score(family, outputs, cache=cache, language=language, rows=rows)
        lines = [
            {"id": example.id, "prediction": prediction, "target": target}
            for example, prediction, target in zip(scored.examples, scored.predictions, scored.targets, strict=True)
        ]
        return _Evaluated(
            lines=lines,
            scores=[
                LanguageScores(
                    language=language,
                    split=split,
                    scores=scored.scores,
                    examples=len(lines),
                    chance=chance(family, scored.examples, language=language),
                )
            ],
        )


def evaluation_shape(family: tasks.Family, *, setting: Setting) -> Shape:
    """The one batch shape of a family's evaluation, in every language, on one process.

    Raises:
        UserError: rows that the mesh does not divide; hidden states that the encoder lacks.
    """
    asked = setting.study.evaluation
    fixed_pooled(setting)
    rows = asked.rows or memory.evaluation_rows(asked.length, mesh=setting.mesh)
    check_rows(rows, mesh=setting.mesh, field="config.evaluation.rows")
    if asked.pack:
        return Shape.packed(rows, length=asked.length, choices=family.num_choices)
    return Shape.unpacked(rows, length=asked.length)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Side:
    """The sentences of one side of a retrieval pair; the language's own side names their English counterparts."""

    examples: list[Example]
    pooled: tuple[Pooled, ...]
    vectors: np.memmap  # float32[pooled, sentences, width]

    @property
    def ids(self) -> list[str]:
        return [example.id for example in self.examples]

    def embeddings(self, pooled: Pooled) -> np.ndarray:
        """float32[sentences, width], read into memory."""
        return np.array(self.vectors[self.pooled.index(pooled)])

    def corpus(self, pooled: Pooled) -> mining.Corpus:
        texts = [example.inputs[0] for example in self.examples]
        return mining.Corpus(ids=self.ids, texts=texts, embeddings=self.embeddings(pooled))


class _Sides(NamedTuple):
    own: _Side
    english: _Side

    def gold(self) -> list[Pair]:
        return gold_pairs(dataclasses.asdict(example) for example in self.own.examples)


class _Fitted(NamedTuple):
    """What one language's validation set gave."""

    thresholds: Mapping[Pooled, mining.Threshold]
    examples: int  # gold pairs


class _Sentences:
    """Evaluates a retrieval family with the encoder the phase's parent left behind."""

    def __init__(self, phase: Phase, family: tasks.Family, *, setting: Setting):
        self.phase, self.family, self.setting = phase, family, setting
        self.mines = family.metric == "mining_f1"
        self.shape = evaluation_shape(family, setting=setting)
        self.max_length = setting.example_length(family, asked=0, row=self.shape.length)
        self.fixed = fixed_pooled(setting)
        self.wanted = wanted_pooled(setting)
        self.record = _folder(phase, family, setting=setting) / "thresholds.json"
        self.known = _read_json(self.record)

    def asked(self) -> dict[str, Any]:
        """What the scores depend on beside the phase and the data."""
        asked = self.setting.study.evaluation
        common = {"max_examples": asked.max_examples, "layers": asked.layers, "reported": self.reported}
        return common | ({"choice": asked.layer_choice, "duplicates": asked.duplicates} if self.mines else {})

    def __call__(self, language: str) -> _Evaluated:
        return (self._mine if self.mines else self._retrieve)(language)

    @functools.cached_property
    def reported(self) -> Pooled:
        """The (layer, pooling) whose scores stand for the family."""
        study = self.setting.study
        if study.evaluation.layer_choice == "fixed" or not self.mines:
            return self.fixed
        fitted = [self._fitted(language) for language in languages_of(self.family, study=study)]

        def rank(pooled: Pooled):
            f1 = sum(each.thresholds[pooled].f1 for each in fitted) / len(fitted)
            return f1, -abs(pooled.layer - self.fixed.layer), pooled.pooling == self.fixed.pooling, -pooled.layer

        return max(self.wanted, key=rank)

    @functools.cached_property
    def params(self) -> Any:
        encoder = encoder_params(self.phase.parent, root_seed=self.phase.root.seed, setting=self.setting)
        return {"encoder": encoder, "heads": {"head": {}}}

    def _retrieve(self, language: str) -> _Evaluated:
        """Tatoeba: English queries, the language's own sentences as the database (the direction XTREME scores);
        `accuracy_reverse` is the other direction."""
        sides = self._sides(language, "test", pooled=self._affordable(language, "test"))
        own, english = ({name: row for row, name in enumerate(side.ids)} for side in sides)
        gold = {english[pair.target]: own[pair.source] for pair in sides.gold()}
        forward_gold = [gold[row] for row in range(len(english))]
        reverse_gold = [english[pair.target] for pair in sides.gold()]
        scores, lines = {}, []
        for pooled in sides.own.pooled:
            queries, database = sides.english.embeddings(pooled), sides.own.embeddings(pooled)
            forward = retrieval.retrieve(queries, database, mesh=self.setting.mesh).tolist()
            reverse = retrieval.retrieve(database, queries, mesh=self.setting.mesh).tolist()
            backwards = metrics.metric(self.family.metric)(reverse, reverse_gold)
            scores[pooled] = metrics.metric(self.family.metric)(forward, forward_gold) | {
                f"{name}_reverse": value for name, value in backwards.items()
            }
            if pooled == self.reported:
                names = sides.own.ids
                lines = [
                    {"id": id_, "prediction": names[i], "target": names[j]}
                    for id_, i, j in zip(english, forward, forward_gold, strict=True)
                ]
        return _Evaluated(lines=lines, scores=self._test_scores(language, sides, scores))

    def _mine(self, language: str) -> _Evaluated:
        """BUCC 2018: pairs above the margin that was best on the validation set."""
        fitted = self._fitted(language)
        pooled = [each for each in self._affordable(language, "test") if each in fitted.thresholds]
        sides = self._sides(language, "test", pooled=pooled)
        gold, scores, lines = sides.gold(), {}, []
        for each in pooled:
            threshold = fitted.thresholds[each].value
            mined = self._mined(sides, each)
            pairs = mined.at_least(threshold)
            scores[each] = metrics.metric(self.family.metric)(pairs, gold)
            if each == self.reported:
                lines = _pair_lines(pairs, mined.scores, gold=gold, threshold=threshold)
        validation = {each: {"f1": threshold.f1} for each, threshold in fitted.thresholds.items()}
        on_validation = self._scores(validation, language=language, split="validation", examples=fitted.examples)
        return _Evaluated(lines=lines, scores=[*self._test_scores(language, sides, scores), *on_validation])

    def _mined(self, sides: _Sides, pooled: Pooled) -> mining.MinedPairs:
        source, target = sides.own.corpus(pooled), sides.english.corpus(pooled)
        duplicates = self.setting.study.evaluation.duplicates
        return mining.mine_pairs(source, target, duplicates=duplicates, mesh=self.setting.mesh)

    def _fitted(self, language: str) -> _Fitted:
        """The thresholds that mine a language's validation set best, by (layer, pooling); kept on disk."""
        asked = self.setting.study.evaluation
        pooled = self.wanted if asked.layer_choice == "dev" else self._affordable(language, "validation")
        wanted = {"max_examples": asked.max_examples, "duplicates": asked.duplicates, "pooled": pooled}
        key = _key(self.family, language, wanted)
        if self.known.get(language, {}).get("key") != key:
            sides = self._sides(language, "validation", pooled=pooled)
            gold = sides.gold()
            thresholds = [
                {**each._asdict(), **mining.fit_threshold(self._mined(sides, each), gold)._asdict()} for each in pooled
            ]
            self.known[language] = {"key": key, "examples": len(gold), "thresholds": thresholds}
            if processes.is_first():
                write_json(self.record, self.known)
        found = self.known[language]
        return _Fitted(
            examples=found["examples"],
            thresholds={
                Pooled(each["layer"], each["pooling"]): mining.Threshold(each["value"], each["f1"])
                for each in found["thresholds"]
            },
        )

    def _caches(self, language: str, split: str) -> list[Cache]:
        """The language's own side, and the English one."""
        own = f"{self.family.name}.{language}"
        return [self.setting.cache(task, split, max_length=self.max_length) for task in (own, tasks.english_side(own))]

    def _affordable(self, language: str, split: str) -> tuple[Pooled, ...]:
        """What is scored on a split, by the rule at the top of this module."""
        asked = self.setting.study.evaluation
        sentences = sum(
            rows_of_examples(cache, examples=asked.max_examples) or len(cache)
            for cache in self._caches(language, split)
        )
        needed = 4 * self.setting.encoder.hidden_size * sentences * len(self.wanted)
        return self.wanted if asked.layers or needed <= SCRATCH_BYTES else (self.reported,)

    def _sides(self, language: str, split: str, *, pooled: Sequence[Pooled]) -> _Sides:
        return _Sides(*(self._side(cache, tuple(pooled)) for cache in self._caches(language, split)))

    def _side(self, cache: Cache, pooled: tuple[Pooled, ...]) -> _Side:
        layers = tuple(sorted({each.layer for each in pooled}))
        rows = rows_of_examples(cache, examples=self.setting.study.evaluation.max_examples)
        vectors = embed(
            Model(self.setting.encoder, {"head": Head(kind="embedding", layers=layers)}),
            self.params,
            cache=cache,
            head="head",
            shape=self.shape,
            mesh=self.setting.mesh,
            pooled=pooled,
            scratch=self.setting.cache_dir,
            rows=rows,
        )
        examples = list(itertools.islice(cache.examples(), vectors.shape[1]))
        return _Side(examples=examples, pooled=pooled, vectors=vectors)

    def _test_scores(
        self, language: str, sides: _Sides, scores: Mapping[Pooled, Mapping[str, float]]
    ) -> list[LanguageScores]:
        level = chance(self.family, sides.own.examples, language=language)
        examples = len(sides.gold())
        return self._scores(scores, level=level, language=language, split="test", examples=examples)

    def _scores(
        self, scores: Mapping[Pooled, Mapping[str, float]], *, level: float | None = None, **shared
    ) -> list[LanguageScores]:
        """One entry for each (layer, pooling), its scores named as results.csv is to have them."""
        entries = []
        for pooled, found in scores.items():
            named = {f"{name}{BY_LAYER}": value for name, value in found.items()}
            reported = {"scores": {**found, **named}, "chance": level} if pooled == self.reported else {"scores": named}
            entries.append(LanguageScores(**reported, **shared, layer=pooled.layer, pooling=pooled.pooling))
        return entries


def _pair_lines(pairs: Sequence[Pair], margins: np.ndarray, *, gold: Sequence[Pair], threshold: float) -> list[dict]:
    """A line for each mined pair, best first, then one for each gold pair that was not mined."""
    wanted, found = {tuple(pair) for pair in gold}, {tuple(pair) for pair in pairs}
    lines = [
        {
            **pair._asdict(),
            "mined": True,
            "gold": tuple(pair) in wanted,
            "margin": float(margin),
            "threshold": threshold,
        }
        for pair, margin in zip(pairs, margins, strict=False)  # margins go on with what the threshold left out
    ]
    missed = [{**pair._asdict(), "mined": False, "gold": True} for pair in gold if tuple(pair) not in found]
    return lines + missed


def fixed_pooled(setting: Setting) -> Pooled:
    """The (layer, pooling) that config.evaluation names to be reported.

    Raises:
        UserError: the encoder has no such hidden state.
    """
    asked = setting.study.evaluation
    depth = setting.encoder.num_layers
    for field, layers in (("layer", (asked.layer,)), ("layers", asked.layers)):
        for layer in layers:
            if layer > depth:
                raise UserError(
                    f"config.evaluation.{field} names hidden state {layer}; the encoder has 0 (embeddings) to {depth}"
                )
    return Pooled(retrieval.default_layer(depth) if asked.layer < 0 else asked.layer, asked.pooling)


def wanted_pooled(setting: Setting) -> tuple[Pooled, ...]:
    """All that config.evaluation asks to be scored, by layer; what is reported is always among it."""
    layers = setting.study.evaluation.layers or range(setting.encoder.num_layers + 1)
    found = {Pooled(layer, pooling) for layer in layers for pooling in POOLINGS}
    return tuple(sorted(found | {fixed_pooled(setting)}))
