"""`python -m xtreme_stilts.score`: scores a folder in XTREME's submission layout, or writes one from a study.

    python -m xtreme_stilts.score --predictions DIR --labels DIR [--suite xtreme] [--json FILE]
    python -m xtreme_stilts.score --study DIR --row none --seed 0 --write DIR [--suite xtreme]

The first prints scores as JSON, in percent: "overall", "groups" and "tasks"; see `evaluation/xtreme_score.py`. The
second writes DIR/predictions and DIR/labels; see `evaluation/submission.py`, which has the layout, too. What is wrong
is said on stderr, one sentence a line. Exit status: 0, or 2 where nothing could be scored or written.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from xtreme_stilts import flags
from xtreme_stilts.evaluation import submission
from xtreme_stilts.evaluation.xtreme_score import SUITES, XtremeScore
from xtreme_stilts.files import write_json

SCORING, WRITING = {"predictions", "labels"}, {"study", "row", "write"}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 on bad input."""
    return flags.answered(_run, argv)


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    given = {name for name, value in vars(arguments).items() if value is not None} - {"suite", "seed", "json"}
    if given not in (SCORING, WRITING):
        parser.error("give --predictions and --labels, or --study, --row and --write")
    (_score if given == SCORING else _write)(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = flags.Parser(
        prog="python -m xtreme_stilts.score",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", choices=SUITES, default="xtreme", help="tasks and languages; default: %(default)s")
    score = parser.add_argument_group("to score")
    score.add_argument("--predictions", metavar="DIR", type=pathlib.Path, help="folder with a folder per task")
    score.add_argument("--labels", metavar="DIR", type=pathlib.Path, help="the same with the labels")
    score.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write the scores to this file, too")
    write = parser.add_argument_group("to write")
    write.add_argument("--study", metavar="DIR", type=pathlib.Path, help="study directory, holds results.csv")
    write.add_argument("--row", help="of the study's table: none, mnli, ...")
    write.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    write.add_argument("--write", metavar="DIR", type=pathlib.Path, help="where to write predictions/ and labels/")
    return parser


def _score(arguments: argparse.Namespace) -> None:
    read = submission.read(arguments.predictions, labels_dir=arguments.labels, suite=arguments.suite)
    for problem in read.problems:
        if problem.severity == submission.WARNING:
            _say(f"warning: {problem.sentence}")
    found = read.score()
    if arguments.json:
        write_json(arguments.json, found.as_dict())
    print(json.dumps(found.as_dict(), indent=1))
    if found.absent:
        _say(f"no overall score: {_absent(found)}")


def _absent(found: XtremeScore) -> str:
    """Which tasks are missing, as a sentence."""
    lacks = {task: average.missing for task, average in found.tasks.items()}
    names = [f"{task} (lacks {', '.join(lacks[task])})" if task in lacks else task for task in found.absent]
    return f"it also needs {', '.join(names)}"


def _write(arguments: argparse.Namespace) -> None:
    asked = {"row": arguments.row, "seed": arguments.seed, "suite": arguments.suite}
    folder = arguments.write
    predictions = submission.write(arguments.study, out_dir=folder / "predictions", **asked)
    labels = submission.write_labels(arguments.study, out_dir=folder / "labels", **asked)
    for note in dict.fromkeys(predictions.notes + labels.notes):
        _say(f"note: {note}")
    for written in (predictions, labels):
        print(f"{written.folder}: " + ", ".join(f"{task} ({len(codes)})" for task, codes in written.languages.items()))


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
