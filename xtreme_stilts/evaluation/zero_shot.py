"""A family in all its languages, after one phase: predictions and scores on disk.

Targets are read by the phase's own head. Retrieval families have no head: sentences of both sides are embedded
by one hidden state of the encoder and matched by cosine (Tatoeba) or mined by margin (BUCC 2018, threshold
fitted on its validation set, never on the test set).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from xtreme_stilts import tasks
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.data.features import Example
from xtreme_stilts.data.loader import Shape
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import metrics, mining, retrieval
from xtreme_stilts.evaluation.chance import chance
from xtreme_stilts.evaluation.predict import predict
from xtreme_stilts.evaluation.score import rows_of_examples, score
from xtreme_stilts.files import write_json, write_text
from xtreme_stilts.graph import Phase, fingerprint
from xtreme_stilts.models import Head, Model
from xtreme_stilts.phase import Setting, encoder_params, heads_of, read_best
from xtreme_stilts.tasks.retrieval import Pair, gold_pairs
from xtreme_stilts.training.sharding import rows_per_process

# Raised when a change of the code changes predictions or scores of the same parameters.
EVALUATION_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageScores:
    """Scores of a family in one language, after one phase."""

    language: str
    split: str
    scores: Mapping[str, float]  # percent
    examples: int
    chance: float  # percent of the primary metric that guessing reaches on the same examples
    layer: int | None = None  # retrieval: hidden state
    pooling: str = ""  # retrieval


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Evaluated:
    scores: LanguageScores
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
    folder = setting.folder(phase) / "evaluations" / family.name
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "scores.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    keys = {language: _key(family, language, setting=setting) for language in languages_of(family, study=setting.study)}
    missing = [language for language, key in keys.items() if known.get(language, {}).get("key") != key]
    if missing:
        run = (_Sentences if family.kind == "embedding" else _Targets)(phase, family, setting=setting)
        for language in missing:
            done = run(language)
            write_text(
                folder / f"{language}.jsonl",
                "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in done.lines),
            )
            known[language] = {"key": keys[language], **dataclasses.asdict(done.scores)}
            write_json(record, known)
            note(language)
    return [
        LanguageScores(**{name: value for name, value in known[language].items() if name != "key"}) for language in keys
    ]


def _key(family: tasks.Family, language: str, *, setting: Setting) -> str:
    """Decides whether an evaluation on disk is the one asked for. Batch shapes change nothing."""
    asked = dataclasses.asdict(setting.study.evaluation)
    relevant = ("max_examples", "layer", "pooling") if family.kind == "embedding" else ("max_examples",)
    return fingerprint(
        [
            EVALUATION_VERSION,
            tasks.source_version(f"{family.name}.{language}"),
            {name: asked[name] for name in relevant},
        ]
    )


def evaluation_split(family: tasks.Family, language: str) -> str:
    """The split that is scored: test, or validation where the data have no test set (with labels)."""
    return "test" if family.has("test", language) else "validation"


class _Targets:
    """Evaluates a classification, regression, choice, tagging or span family with the head the phase trained."""

    def __init__(self, phase: Phase, family: tasks.Family, *, setting: Setting):
        self.family, self.setting = family, setting
        heads = heads_of(phase, setting=setting)
        trained = heads.of_task.get(family.train)
        self.head = trained or next(iter(heads.by_name))
        self.model = Model(setting.encoder, heads.by_name)
        self.params = read_best(phase, setting=setting, model=self.model, items=("encoder", "heads"))
        self.shape = evaluation_shape(family, setting=setting)
        self.max_length = setting.example_length(
            family, asked=phase.recipe.max_length, row=min(phase.recipe.length, self.shape.length)
        )

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
            scores=LanguageScores(
                language=language,
                split=split,
                scores=scored.scores,
                examples=len(lines),
                chance=chance(family, scored.examples, language=language),
            ),
        )


def evaluation_shape(family: tasks.Family, *, setting: Setting) -> Shape:
    """The one batch shape of a family's evaluation, in every language, on one process."""
    asked = setting.study.evaluation
    rows = rows_per_process(asked.rows, mesh=setting.mesh, field="config.evaluation.rows")
    if asked.pack:
        return Shape.packed(rows, length=asked.length, choices=family.num_choices)
    return Shape.unpacked(rows, length=asked.length)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Side:
    """The sentences of one side of a retrieval pair; the language's own side names their English counterparts."""

    examples: list[Example]
    embeddings: np.ndarray  # float32[sentences, width]

    @property
    def ids(self) -> list[str]:
        return [example.id for example in self.examples]

    def corpus(self) -> mining.Corpus:
        return mining.Corpus(
            ids=self.ids, texts=[example.inputs[0] for example in self.examples], embeddings=self.embeddings
        )


class _Sides(NamedTuple):
    own: _Side
    english: _Side

    def mined(self) -> mining.MinedPairs:
        return mining.mine_pairs(self.own.corpus(), self.english.corpus())

    def gold(self) -> list[Pair]:
        return gold_pairs(dataclasses.asdict(example) for example in self.own.examples)


class _Sentences:
    """Evaluates a retrieval family with the encoder the phase's parent left behind."""

    def __init__(self, phase: Phase, family: tasks.Family, *, setting: Setting):
        self.family, self.setting = family, setting
        asked = setting.study.evaluation
        self.layer = retrieval.default_layer(setting.encoder.num_layers) if asked.layer < 0 else asked.layer
        self.pooling = asked.pooling
        self.model = Model(setting.encoder, {"head": Head(kind="embedding", layers=(self.layer,))})
        self.params = {
            "encoder": encoder_params(phase.parent, root_seed=phase.root.seed, setting=setting),
            "heads": {"head": {}},
        }
        self.shape = evaluation_shape(family, setting=setting)
        self.max_length = setting.example_length(family, asked=0, row=self.shape.length)

    def __call__(self, language: str) -> _Evaluated:
        run = self._mine if self.family.metric == "mining_f1" else self._retrieve
        return run(language)

    def _retrieve(self, language: str) -> _Evaluated:
        """Tatoeba: English queries, the language's own sentences as the database (the direction XTREME scores)."""
        sides = self._sides(language, "test")
        names = sides.own.ids
        place = {pair.target: names.index(pair.source) for pair in sides.gold()}
        gold = [place[name] for name in sides.english.ids]
        found = retrieval.retrieve(sides.english.embeddings, sides.own.embeddings).tolist()
        lines = [
            {"id": id_, "prediction": names[i], "target": names[j]}
            for id_, i, j in zip(sides.english.ids, found, gold, strict=True)
        ]
        return self._evaluated(language, sides, lines=lines, scores=metrics.metric(self.family.metric)(found, gold))

    def _mine(self, language: str) -> _Evaluated:
        """BUCC 2018: pairs above the margin that was best on the validation set."""
        validation = self._sides(language, "validation")
        threshold = mining.fit_threshold(validation.mined(), validation.gold())
        sides = self._sides(language, "test")
        mined = sides.mined()
        pairs = mined.at_least(threshold.value)
        lines = [
            {"source": pair.source, "target": pair.target, "margin": float(margin), "threshold": threshold.value}
            for pair, margin in zip(pairs, mined.scores[: len(pairs)], strict=True)
        ]
        return self._evaluated(
            language, sides, lines=lines, scores=metrics.metric(self.family.metric)(pairs, sides.gold())
        )

    def _sides(self, language: str, split: str) -> _Sides:
        own = f"{self.family.name}.{language}"
        return _Sides(own=self._side(own, split), english=self._side(tasks.english_side(own), split))

    def _side(self, task: str, split: str) -> _Side:
        cache = self.setting.cache(task, split, max_length=self.max_length)
        limit = self.setting.study.evaluation.max_examples
        rows = rows_of_examples(cache, examples=limit)
        outputs = predict(
            self.model, self.params, cache=cache, head="head", shape=self.shape, mesh=self.setting.mesh, rows=rows
        )
        vectors = np.stack(outputs[self.pooling])[:, 0]  # [sentences, states, width] -> [sentences, width]
        return _Side(examples=list(itertools.islice(cache.examples(), len(vectors))), embeddings=vectors)

    def _evaluated(self, language: str, sides: _Sides, *, lines, scores: Mapping[str, float]) -> _Evaluated:
        found = LanguageScores(
            language=language,
            split="test",
            scores=scores,
            examples=len(sides.gold()),
            layer=self.layer,
            pooling=self.pooling,
            chance=chance(self.family, sides.own.examples, language=language),
        )
        return _Evaluated(scores=found, lines=lines)
