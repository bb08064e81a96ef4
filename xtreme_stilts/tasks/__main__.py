"""Lists the task families, suites and mixtures, or shows one of them; for a task, its first examples.

    python -m xtreme_stilts.tasks [--csv=OUT] [--json=OUT]
    python -m xtreme_stilts.tasks xnli.sw --split=test --examples=3 --data_dir=DIR --tokenizer=DIR
    python -m xtreme_stilts.tasks squad_v1 xtreme_train glue

Exit status: 0 done, 2 bad input (one sentence on standard error).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from xtreme_stilts import flags, tasks
from xtreme_stilts.errors import UserError, did_you_mean
from xtreme_stilts.files import write_json, write_text
from xtreme_stilts.tasks import catalogue, show


def describe(name: str, *, asked: show.Asked, console: Console) -> None:
    """Prints whatever has this name: suite, mixture, family or task; a suite and a mixture may share one.

    Raises:
        UserError: nothing has it, or the data of a task are not there.
    """
    found = False
    if name in tasks.suites():
        members = [catalogue.family_record(family) for family in tasks.suite(name)]
        catalogue.print_suite(name, members, console=console)
        found = True
    for mixture in tasks.mixtures():
        if mixture.name == name:
            catalogue.print_mixture(mixture, console=console)
            found = True
    if (family := _family(name)) is not None:
        catalogue.print_family(family, console=console)
        found = True
    if found:
        return
    if "." not in name:
        names = [*tasks.suites(), *(each.name for each in (*tasks.mixtures(), *tasks.families()))]
        raise UserError(f"no family, task, mixture or suite {name!r}; {did_you_mean(name, names)}")
    show.print_task(tasks.task(name), asked=asked, console=console)


def _family(name: str) -> tasks.Family | None:
    """The family of this name or alias; None if there is none."""
    try:
        return tasks.family(name)
    except UserError:
        return None


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = flags.Parser(prog="python -m xtreme_stilts.tasks", description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="task, family, mixture or suite; default: list all")
    parser.add_argument("--split", default="", help="whose examples are shown; default: the scored one, if it is here")
    parser.add_argument("--examples", type=int, default=2, help="how many examples of a task to show")
    parser.add_argument("--tokenizer", default="mini", help="'mini', a folder or a hub name")
    parser.add_argument("--max_length", type=int, default=0, help="tokens of an example; default: the family's own")
    parser.add_argument("--data_dir", default="", help="prepared TFDS data sets; default: TFDS's own")
    parser.add_argument("--text_dir", default="", help="folder of the text_file and parallel_file tasks")
    parser.add_argument("--manual_dir", default="", help="folder of release files that the package's builders read")
    parser.add_argument("--csv", metavar="OUT", help="write one line for each family, language and split to a file")
    parser.add_argument("--json", metavar="OUT", help="write families, suites and mixtures to a file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 for bad input."""
    return flags.answered(_run, argv)


def _run(argv: Sequence[str] | None) -> int:
    console = Console(highlight=False, emoji=False)
    given = _arguments(argv)
    tasks.configure(data_dir=given.data_dir, text_dir=given.text_dir, manual_dir=given.manual_dir)
    asked = show.Asked(
        split=given.split, examples=given.examples, tokenizer=given.tokenizer, max_length=given.max_length
    )
    for name in given.names:
        describe(name, asked=asked, console=console)
    if not given.names or given.csv or given.json:
        found = catalogue.catalogue()
        if given.csv:
            write_text(given.csv, catalogue.to_csv(found["families"]))
        if given.json:
            write_json(given.json, found)
        if not (given.names or given.csv or given.json):
            catalogue.print_catalogue(found, console=console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
