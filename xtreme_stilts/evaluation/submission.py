"""Folders of predictions in XTREME's submission layout: read, checked, scored; and written from a study.

Layout, of predictions and of labels alike: a folder per task with one file per language, `test-<language>.<ending>`.

| tasks | ending | content |
|---|---|---|
| xnli, pawsx | tsv | one label per line |
| udpos, panx | tsv | one tag per line, a blank line between sentences |
| xquad, mlqa, tydiqa | json | predictions {question id: text}; labels in SQuAD's layout |
| bucc2018 | tsv | `source id<TAB>English id` per line, any number of lines in any order |
| tatoeba | tsv | per English sentence, in sorted order, the row (from 0) of its translation in the other file |
| xcopa (XTREME-R) | jsonl | an object per line, of which `label`, 0 or 1, counts |

Files are UTF-8. White space around a line does not count.

Source: `evaluate.py` of google-research/xtreme (commit 838c13b), its README and its mock submission; the order of
Tatoeba is that of its `utils_preprocess.py`. What `evaluate.py` cannot score, or scores although it is not what the
layout says (an unknown label, sentences of other lengths), is an *error* here and nothing is scored; what it lets pass
(a question without an answer counts 0; any number of BUCC's pairs) is a *warning*. It demands every language of a
task; here a language that neither folder has is a warning, and the task is left out of groups and overall.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.evaluation import metrics, xtreme_score
from xtreme_stilts.evaluation.xtreme_score import Suite, XtremeScore
from xtreme_stilts.files import write_text
from xtreme_stilts.tasks import formats, registry, retrieval, sources

ERROR, WARNING = "error", "warning"
SHOWN = 10  # problems of one severity told of one file; the rest is counted


class Problem(NamedTuple):
    """Something wrong with a submission."""

    severity: str  # ERROR: nothing is scored; WARNING: scored all the same
    sentence: str  # names file and, where there is one, line


class Examples(NamedTuple):
    """Of one task in one language, as its metric takes them (for BUCC two sets of pairs, else aligned)."""

    predictions: list
    targets: list


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submission:
    """What was read.

    Attributes:
        suite: what it was read as.
        examples: {task: {language: examples}}; only those without errors.
        problems: in the order of tasks, languages and lines.
    """

    suite: Suite
    examples: Mapping[str, Mapping[str, Examples]]
    problems: tuple[Problem, ...]

    def score(self) -> XtremeScore:
        """All scores and averages, in percent.

        Raises:
            UserError: there are errors (one sentence each, a line per sentence), or nothing to score.
        """
        errors = [problem.sentence for problem in self.problems if problem.severity == ERROR]
        if errors:
            raise UserError("\n".join(errors))
        if not self.examples:
            raise UserError(f"no task can be scored; predictions and labels need a folder {_or(self.suite.languages)}")
        scores = {task: _scores(task, by_language) for task, by_language in self.examples.items()}
        return xtreme_score.aggregate(scores, suite=self.suite)


def validate(
    predictions_dir: str | os.PathLike, *, labels_dir: str | os.PathLike, suite: str = "xtreme"
) -> tuple[Problem, ...]:
    """Everything that is wrong with a submission, all at once; empty if nothing is.

    Args:
        predictions_dir, labels_dir: folders in the layout above.
        suite: a name in `xtreme_score.SUITES`.

    Raises:
        UserError: there is no such suite.
    """
    return read(predictions_dir, labels_dir=labels_dir, suite=suite).problems


def score(predictions_dir: str | os.PathLike, *, labels_dir: str | os.PathLike, suite: str = "xtreme") -> XtremeScore:
    """Scores a submission; arguments as `validate`.

    Raises:
        UserError: any error that `validate` finds, or nothing to score.
    """
    return read(predictions_dir, labels_dir=labels_dir, suite=suite).score()


def read(predictions_dir: str | os.PathLike, *, labels_dir: str | os.PathLike, suite: str = "xtreme") -> Submission:
    """Reads predictions and labels; arguments and errors as `validate`."""
    chosen = xtreme_score.suite(suite)
    folders = _Folders(pathlib.Path(predictions_dir), pathlib.Path(labels_dir))
    problems = [Problem(ERROR, f"{folder}: no such folder") for folder in folders if not folder.is_dir()]
    examples: dict[str, dict[str, Examples]] = {}
    if not problems:
        problems += _stray_folders(folders.predictions, chosen)
        for task in chosen.languages:
            found, more = _read_task(folders.of(task), task, chosen)
            problems += more
            if found:
                examples[task] = found
    return Submission(suite=chosen, examples=examples, problems=tuple(problems))


def _scores(task: str, by_language: Mapping[str, Examples]) -> dict[str, dict[str, float]]:
    """{metric: {language: percent}}"""
    metric = metrics.metric(_FORMATS[task].metric)
    scores: dict[str, dict[str, float]] = {}
    for language, (predictions, targets) in by_language.items():
        for name, value in metric(predictions, targets, language=language).items():
            scores.setdefault(name, {})[language] = value
    return scores


# --------------------------------------------------------------------------------------------------
# Folders


class _Folders(NamedTuple):
    predictions: pathlib.Path
    labels: pathlib.Path

    def of(self, name: str) -> _Folders:
        """The folder or file of that name in both."""
        return _Folders(self.predictions / name, self.labels / name)


class _Read(NamedTuple):
    examples: dict[str, Examples]
    problems: list[Problem]


def _names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _stray_folders(predictions: pathlib.Path, suite: Suite) -> Iterator[Problem]:
    for name in _names(predictions):
        if name in suite.unsupported:
            yield Problem(WARNING, f"{predictions / name}: {name} belongs to {suite.name} but cannot be scored here")
        elif name not in suite.languages:
            near = did_you_mean(name, suite.languages)
            yield Problem(WARNING, f"{predictions / name}: not a task of {suite.name}, ignored; {near}")


def _read_task(folders: _Folders, task: str, suite: Suite) -> _Read:
    for folder, so in zip(folders, ("the task is not submitted", "the task is not scored"), strict=True):
        if not folder.is_dir():
            return _Read({}, [Problem(WARNING, f"{folder}: no such folder; {so}")])
    files = {language: f"test-{language}.{_FORMATS[task].suffix}" for language in suite.languages[task]}
    problems = [
        Problem(
            WARNING,
            f"{folders.predictions / name}: not a file of {task}, ignored; {did_you_mean(name, files.values())}",
        )
        for name in _names(folders.predictions)
        if name not in files.values()
    ]
    absent = [language for language, name in files.items() if not any(path.exists() for path in folders.of(name))]
    if absent:
        problems.append(_absent(folders, absent, task, suite))
    examples = {}
    for language, name in files.items():
        if language not in absent:
            predicted, gold = map(_File, folders.of(name))
            examples[language] = _read_language(predicted, gold, _FORMATS[task])
            problems += gold.problems() + predicted.problems()
    return _Read({language: found for language, found in examples.items() if found is not None}, problems)


def _absent(folders: _Folders, languages: Sequence[str], task: str, suite: Suite) -> Problem:
    names = ", ".join(languages)
    what = f"{folders.predictions}: neither it nor the labels have {len(languages)} of {task}'s languages ({names})"
    return Problem(WARNING, f"{what}; groups and the overall score of {suite.name} leave the task out")


def _read_language(predicted: _File, gold: _File, layout: _Format) -> Examples | None:
    """None where there is an error."""
    targets = layout.read_gold(gold)
    predictions = layout.read(predicted)
    if not (gold.failed or targets):
        gold.error("holds no examples; a score needs at least one")
    if gold.failed or predicted.failed:
        return None
    examples = layout.align(predictions, targets, predicted)
    return None if predicted.failed else examples


# --------------------------------------------------------------------------------------------------
# Files


class _File:
    """A file that is being read. What is wrong with it is collected, to be told all at once."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._found: dict[str, list[str]] = {ERROR: [], WARNING: []}

    def error(self, what: str, *, line: int = 0) -> None:
        """Adds an error; lines count from 1, 0 = the file as a whole."""
        self._found[ERROR].append(f"{self.path} line {line}: {what}" if line else f"{self.path}: {what}")

    def warning(self, what: str, *, line: int = 0) -> None:
        """Adds a warning."""
        self._found[WARNING].append(f"{self.path} line {line}: {what}" if line else f"{self.path}: {what}")

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return bool(self._found[ERROR])

    def problems(self) -> list[Problem]:
        """What was found, errors first."""
        problems = []
        for severity, sentences in self._found.items():
            problems += [Problem(severity, sentence) for sentence in sentences[:SHOWN]]
            if len(sentences) > SHOWN:
                problems.append(Problem(severity, f"{self.path}: {len(sentences) - SHOWN} more {severity}s like these"))
        return problems

    def lines(self) -> list[str]:
        """Its lines; none, with an error, if it cannot be read."""
        if not self.path.is_file():
            self.error("no such file")
            return []
        try:
            return list(sources.lines(self.path))
        except UserError as error:  # names the file
            self._found[ERROR].append(str(error))
            return []


class _Document(NamedTuple):
    """A parsed JSON file."""

    value: Any
    repeated: list[str]  # keys that an object has twice; the last counts
    text: str

    def line(self, key: str) -> int:
        """Where a key or string is mentioned last, for messages; 0 if it is written with escapes."""
        place = self.text.rfind(json.dumps(key, ensure_ascii=False))
        return self.text.count("\n", 0, place) + 1 if place >= 0 else 0


def _document(file: _File) -> _Document | None:
    """None, with an error, if it cannot be read."""
    text = "\n".join(file.lines())
    if file.failed:
        return None
    repeated: dict[str, None] = {}

    def unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                repeated[key] = None
            found[key] = value
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        file.error(f"not JSON: {error.msg} at column {error.colno}", line=error.lineno)
        return None
    # `evaluate.py` unpacks "data" of labels and predictions alike.
    return _Document(value["data"] if isinstance(value, dict) and "data" in value else value, list(repeated), text)


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _or(names: Sequence[str] | Mapping[str, Any]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


# --------------------------------------------------------------------------------------------------
# Layouts. `read` and `read_gold` give what a file holds and tell it what is wrong; `align` puts the two together;
# `text` writes lines of a study's predictions (zero_shot.py), `column` "prediction" or "target" of each.


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Format:
    """One example a line."""

    metric: str
    labels: tuple[str, ...] = ()
    suffix: ClassVar[str] = "tsv"

    def read(self, file: _File) -> list[str]:
        labels = []
        for number, line in enumerate(map(str.strip, file.lines()), 1):
            if line:
                labels.append(self.label(line, file, number))
            else:
                file.error("blank; every line must hold one label", line=number)
        return labels

    def read_gold(self, file: _File) -> Any:
        return self.read(file)

    def label(self, line: str, file: _File, number: int) -> str:
        if line not in self.labels:
            file.error(f"{line!r} is not a label; {did_you_mean(line, self.labels)}", line=number)
        return line

    def align(self, predicted: Any, gold: Any, file: _File) -> Examples:
        if len(predicted) != len(gold):
            file.error(f"holds {len(predicted)} lines; the labels have {len(gold)}")
        return Examples(predicted, gold)

    def text(self, lines: Sequence[Mapping[str, Any]], column: str) -> str:
        return "".join(f"{line[column]}\n" for line in lines)


class _Rows(_Format):
    """Tatoeba: a row number a line."""

    def label(self, line: str, file: _File, number: int) -> str:
        if not (line.isascii() and line.isdecimal()):
            file.error(f"{line!r} is not a row; it must be a whole number, counted from 0", line=number)
        return line

    def align(self, predicted: list[str], gold: list[str], file: _File) -> Examples:
        last = max(len(gold) - 1, *map(int, gold))
        for number, row in enumerate(predicted, 1):
            if int(row) > last:
                file.warning(f"row {row} counts as wrong; rows are 0 to {last}", line=number)
        return super().align(predicted, gold, file)


class _Choices(_Format):
    """XCOPA: a JSON object a line."""

    suffix = "jsonl"

    def label(self, line: str, file: _File, number: int) -> str:
        try:
            label = json.loads(line)["label"]
        except (ValueError, TypeError, KeyError):
            file.error(f'{line!r} is not an object with a label; it must be like {{"label": 0}}', line=number)
            return ""
        if type(label) is not int or str(label) not in self.labels:
            file.error(f"label is {label!r}; it must be the number {_or(self.labels)}", line=number)
        return str(label)

    def text(self, lines: Sequence[Mapping[str, Any]], column: str) -> str:
        return "".join(json.dumps({"label": int(line[column])}) + "\n" for line in lines)


class _Sentence(NamedTuple):
    line: int  # of its first tag
    tags: list[str]


class _Tags(_Format):
    """A tag a line, a blank line between sentences."""

    def read(self, file: _File) -> list[_Sentence]:
        sentences: list[_Sentence] = []
        ended = True
        for number, line in enumerate(map(str.strip, file.lines()), 1):
            if not line and ended:
                file.error("blank without a sentence before it; one blank line ends a sentence", line=number)
            elif line:
                if ended:
                    sentences.append(_Sentence(number, []))
                sentences[-1].tags.append(self.label(line, file, number))
            ended = not line
        return sentences

    def align(self, predicted: list[_Sentence], gold: list[_Sentence], file: _File) -> Examples:
        both = list(enumerate(zip(predicted, gold, strict=False), 1))
        differ = [(i, p, g) for i, (p, g) in both if len(p.tags) != len(g.tags)]
        if len(predicted) != len(gold):
            i, p, g = differ[0] if differ else (0, None, None)
            first = (
                f"; they first differ at sentence {i} (line {p.line}): {_tags(p)}, labels {len(g.tags)}" if i else ""
            )
            file.error(f"holds {len(predicted)} sentences; the labels have {len(gold)}{first}")
        else:
            for i, p, g in differ:
                file.error(f"sentence {i} has {_tags(p)}; the labels have {len(g.tags)}", line=p.line)
        return Examples([sentence.tags for sentence in predicted], [sentence.tags for sentence in gold])

    def text(self, lines: Sequence[Mapping[str, Any]], column: str) -> str:
        for line in lines:
            if not (line[column] and all(line[column])):
                raise UserError(f"sentence {line['id']!r} has the {column} {line[column]}; every word needs a tag")
        return "\n".join("".join(f"{tag}\n" for tag in line[column]) for line in lines)


def _tags(sentence: _Sentence) -> str:
    return f"{len(sentence.tags)} tag{'s' if len(sentence.tags) > 1 else ''}"


class _Pairs(_Format):
    """BUCC: two ids a line."""

    def read(self, file: _File) -> list[retrieval.Pair]:
        seen: dict[retrieval.Pair, int] = {}
        for number, line in enumerate(file.lines(), 1):
            ids = [name.strip() for name in line.split("\t")]
            if len(ids) != 2 or not all(ids):
                file.error(f"{line!r} is not two ids with a tab between them", line=number)
                continue
            pair = retrieval.Pair(*ids)
            if pair in seen:
                file.warning(f"the pair of line {seen[pair]} again; it counts once", line=number)
            seen.setdefault(pair, number)
        return list(seen)

    def align(self, predicted: list[retrieval.Pair], gold: list[retrieval.Pair], file: _File) -> Examples:
        own, english = ({pair[side] for pair in gold} for side in (0, 1))
        swapped = [pair for pair in predicted if pair.source in english - own or pair.target in own - english]
        if swapped:
            what = f"pairs with the English id first: {len(swapped)}, as {' '.join(swapped[0])!r}"
            file.error(f"{what}; it must come second", line=_line_of_pair(file.path, swapped[0]))
        if not predicted:
            file.warning("holds no pairs; the score is 0")
        return Examples(predicted, gold)

    def text(self, lines: Sequence[Mapping[str, Any]], column: str) -> str:
        wanted = {"prediction": "mined", "target": "gold"}[column]
        return "".join(f"{line['source']}\t{line['target']}\n" for line in lines if line[wanted])


def _line_of_pair(path: pathlib.Path, pair: retrieval.Pair) -> int:
    lines = ([name.strip() for name in line.split("\t")] for line in sources.lines(path))
    return next(number for number, ids in enumerate(lines, 1) if ids == list(pair))


class _Answers(_Format):
    """Question answering: JSON."""

    suffix = "json"

    def read(self, file: _File) -> _Document | None:
        document = _document(file)
        if document is None:
            return None
        if not isinstance(document.value, dict):
            file.error(f"holds a {type(document.value).__name__}; it must be an object {{question id: text}}")
            return None
        if document.repeated:
            what = f"questions answered twice: {len(document.repeated)}, as {document.repeated[0]!r}"
            file.warning(f"{what}; the last answer counts", line=document.line(document.repeated[0]))
        bad = [name for name, text in document.value.items() if not isinstance(text, str)]
        if bad:
            what = f"answers that are not text: {len(bad)}, as {document.value[bad[0]]!r} to {bad[0]!r}"
            file.error(f"{what}; each must be one text", line=document.line(bad[0]))
        return document

    def read_gold(self, file: _File) -> dict[str, list[str]]:
        document = _document(file)
        if document is None:
            return {}
        questions: list[_Question] = []
        try:
            questions.extend(_questions(document.value))
        except (KeyError, TypeError) as error:
            lacks = f" lacks {error} after {len(questions)} questions" if isinstance(error, KeyError) else ""
            layout = "{data: [{paragraphs: [{qas: [{id, answers: [{text}]}]}]}]}"
            file.error(f"not in SQuAD's layout {layout}{lacks or f': {error}'}")
        counts = collections.Counter(question.id for question in questions)
        for what, names in (
            ("that are there twice", [name for name, count in counts.items() if count > 1]),
            ("without an answer, which each needs", [question.id for question in questions if not question.answers]),
        ):
            if names:
                file.error(f"questions {what}: {len(names)}, as {names[0]!r}", line=document.line(names[0]))
        return {question.id: question.answers for question in questions}

    def align(self, predicted: _Document, gold: dict[str, list[str]], file: _File) -> Examples:
        answers = predicted.value
        unknown = [name for name in answers if name not in gold]
        if unknown:
            what = f"answers to unknown questions: {len(unknown)} of {len(answers)}, as {unknown[0]!r}, ignored"
            file.warning(f"{what}{_near(unknown[0], list(gold))}", line=predicted.line(unknown[0]))
        missing = [name for name in gold if name not in answers]
        if missing:
            what = f"questions without an answer: {len(missing)} of {len(gold)}, as {missing[0]!r}"
            file.warning(f"{what}; they count 0")
        return Examples([answers.get(name) for name in gold], list(gold.values()))

    def text(self, lines: Sequence[Mapping[str, Any]], column: str) -> str:
        if column == "prediction":
            value: Any = {line["id"]: line["prediction"] for line in lines}
            if len(value) < len(lines):
                raise UserError(f"{len(lines) - len(value)} question ids are there twice; each can have one answer")
        else:
            qas = [{"id": line["id"], "answers": [{"text": text} for text in line["target"]]} for line in lines]
            value = {"version": "1.1", "data": [{"title": "", "paragraphs": [{"qas": qas}]}]}
        return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


class _Question(NamedTuple):
    id: str
    answers: list[str]


def _questions(articles: Any) -> Iterator[_Question]:
    """The questions of the `data` of a SQuAD file; KeyError or TypeError where it is something else."""
    if not isinstance(articles, list):
        raise TypeError(f"data must be a list, found a {type(articles).__name__}")
    for article in articles:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                question = _Question(asked["id"], [answer["text"] for answer in asked["answers"]])
                if not all(isinstance(text, str) for text in (question.id, *question.answers)):
                    raise TypeError(f"id and text must be text, found {question.id!r}, {question.answers}")
                yield question


def _formats() -> dict[str, _Format]:
    of_kind = {"classification": _Format, "tagging": _Tags, "span": _Answers}
    of_metric = {"mining_f1": _Pairs, "retrieval_accuracy": _Rows}
    made = {"xcopa": _Choices(metric="accuracy", labels=("0", "1"))}
    for task in xtreme_score.XTREME.languages:
        family = registry.family(task)
        layout = of_metric.get(family.metric) or of_kind[family.kind]
        # XTREME's own taggers have a class "O", which no part of speech is.
        extra = ("O",) if layout is _Tags and "O" not in family.labels else ()
        made[task] = layout(metric=family.metric, labels=family.labels + extra)
    return made


_FORMATS = _formats()


# --------------------------------------------------------------------------------------------------
# From a study


class Written(NamedTuple):
    """What was written."""

    folder: pathlib.Path
    languages: dict[str, tuple[str, ...]]  # task -> those with a file
    notes: tuple[str, ...]  # sentences: what was left out, and why


def write(
    study_dir: str | os.PathLike, *, row: str, seed: int, out_dir: str | os.PathLike, suite: str = "xtreme"
) -> Written:
    """Writes a study's predictions as a submission folder.

    Lines have the order of the study's data. For the leaderboard that must be the order of the official files, which
    data sets prepared by TFDS need not have; folders of `write` and `write_labels` always fit each other. Tatoeba has
    XTREME's order, English sentences sorted, if they are still in the study's cache.

    Args:
        study_dir: a study directory (study.py), on this machine.
        row: of the study's table, the column `intermediate` of results.csv.
        seed: one of the row's.
        out_dir: the folder to write; what is there already would be mixed with it, so it must be new or empty.
        suite: a name in `xtreme_score.SUITES`; `mini` takes the families of the miniature (`mini_xnli` -> `xnli`).

    Raises:
        UserError: the study has no such row or seed, no task of the suite, several models, a language that the suite
            lacks; a file is missing or damaged; or `out_dir` is not empty.
    """
    return _write("prediction", study_dir, row=row, seed=seed, out_dir=out_dir, suite=suite)


def write_labels(
    study_dir: str | os.PathLike, *, row: str, seed: int, out_dir: str | os.PathLike, suite: str = "xtreme"
) -> Written:
    """Writes the labels that fit what `write` writes; arguments and errors as there."""
    return _write("target", study_dir, row=row, seed=seed, out_dir=out_dir, suite=suite)


class _Evaluation(NamedTuple):
    """One language of one task of a study."""

    task: str
    family: str
    language: str
    examples: int
    path: pathlib.Path  # predictions, as zero_shot.py writes them


def _write(
    column: str,
    study_dir: str | os.PathLike,
    *,
    row: str,
    seed: int,
    out_dir: str | os.PathLike,
    suite: str,
) -> Written:
    study, folder = pathlib.Path(study_dir), pathlib.Path(out_dir)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; a submission is written to a new folder")
    languages: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for each in _evaluations(study, row=row, seed=seed, suite=xtreme_score.suite(suite)):
        layout = _FORMATS[each.task]
        lines = _predictions(each, layout)
        if isinstance(layout, _Rows):
            lines = _in_order_of_english(lines, each, study, notes)
        try:
            text = layout.text(lines, column)
        except UserError as error:
            raise UserError(f"{each.path}: {error}") from None
        write_text(folder / each.task / f"test-{each.language}.{layout.suffix}", text)
        languages[each.task] = (*languages.get(each.task, ()), each.language)
    return Written(folder, languages, tuple(notes))


def _evaluations(study: pathlib.Path, *, row: str, seed: int, suite: Suite) -> list[_Evaluation]:
    """What one row and seed of a study has of a suite's tasks."""
    path = study / "results.csv"
    scores = _scores_of(path, row=row, seed=seed)
    found: dict[_Evaluation, None] = {}  # keeps order, drops the other metrics
    for task, languages in suite.languages.items():
        for score in (score for score in scores if score.target == suite.prefix + task):
            if score.language not in languages:
                near = did_you_mean(score.language, languages)
                raise UserError(f"{path}: {suite.name} has no {score.language!r} in {task}; {near}")
            folder = _phase_folder(study, score.fingerprint) / "evaluations" / score.target
            line = _Evaluation(task, score.target, score.language, score.examples, folder / f"{score.language}.jsonl")
            found[line] = None
    for (task, language), count in collections.Counter((each.task, each.language) for each in found).items():
        if count > 1:
            raise UserError(f"{path}: row {row!r}, seed {seed} has {count} phases for {task} {language}; one is needed")
    if not found:
        targets = ", ".join(sorted({score.target for score in scores}))
        suites = ", ".join(xtreme_score.SUITES)
        raise UserError(f"{path}: row {row!r} has no task of {suite.name}, but {targets}; suites: {suites}")
    return list(found)


def _scores_of(path: pathlib.Path, *, row: str, seed: int) -> list:
    """The lines of results.csv of one row and seed."""
    from xtreme_stilts.report import results  # pandas, which scoring does not need

    scores = list(results.scores(path))
    rows = sorted({score.intermediate for score in scores})
    if row not in rows:
        raise UserError(f"{path}: there is no row {row!r}; {did_you_mean(row, rows)}")
    seeds = sorted({score.seed for score in scores if score.intermediate == row})
    if seed not in seeds:
        raise UserError(f"{path}: row {row!r} has no seed {seed}; it has {_or([str(each) for each in seeds])}")
    scores = [score for score in scores if (score.intermediate, score.seed) == (row, seed)]
    models = sorted({score.model for score in scores})
    if len(models) > 1:
        raise UserError(f"{path}: row {row!r}, seed {seed} has scores of {', '.join(models)}; one model can be written")
    return scores


def _predictions(each: _Evaluation, layout: _Format) -> list[Mapping[str, Any]]:
    """The lines that zero_shot.py wrote, all fields there."""
    needed = ("source", "target", "mined", "gold") if isinstance(layout, _Pairs) else ("id", "prediction", "target")
    records = list(formats.jsonl(each.path))
    for record in records:
        for name in needed:
            formats.member(record.fields, name, str(record.place))
    return [record.fields for record in records]


def _phase_folder(study: pathlib.Path, fingerprint: str) -> pathlib.Path:
    folders = sorted((study / "phases").glob(f"*-{fingerprint[:12]}"))  # as graph.Phase.folder
    if len(folders) != 1:
        raise UserError(
            f"{study / 'phases'}: found {len(folders)} folders that end in {fingerprint[:12]}; results.csv needs one"
        )
    return folders[0]


def _in_order_of_english(
    lines: Sequence[Mapping[str, Any]], each: _Evaluation, study: pathlib.Path, notes: list[str]
) -> list[Mapping[str, Any]]:
    """Tatoeba's queries sorted by their text, equal ones by row. Ids are rows of the official files."""
    for number, line in enumerate(lines, 1):
        for name in ("id", "prediction", "target"):
            if not str(line[name]).isdecimal():
                raise UserError(f"{each.path} line {number}: {name} is {line[name]!r}; it must be a row number")
    for examples in _cached(study, f"{each.family}.{each.language}{registry.ENGLISH_SIDE}"):
        texts = {example["id"]: example["inputs"][0] for example in examples}
        if all(line["id"] in texts for line in lines):
            return sorted(lines, key=lambda line: (texts[line["id"]], int(line["id"])))
    notes.append(
        f"{each.task} {each.language}: the English sentences are not in the study's cache; "
        "lines keep the study's order, which is not XTREME's"
    )
    return list(lines)


def _cached(study: pathlib.Path, task: str) -> Iterable[list[Mapping[str, Any]]]:
    """The evaluated examples of a retrieval task (text schema), from each of its caches."""
    path = study / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); the study's next run writes it anew") from error
    limit = config.get("evaluation", {}).get("max_examples") or None
    for file in sorted(pathlib.Path(config.get("cache_dir") or study / "cache").glob(f"{task}-test-*/examples.jsonl")):
        yield [record.fields for record in formats.jsonl(file)][:limit]
