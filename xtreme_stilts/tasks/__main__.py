"""Lists the task families, or shows one task and its first examples.

    python -m xtreme_stilts.tasks
    python -m xtreme_stilts.tasks xnli.sw --split=test --examples=3 --data_dir=DIR

Exit status: 0 done, 2 bad input (one sentence on standard error).
"""

from __future__ import annotations

import itertools
import os
import sys

from absl import app, flags, logging
from rich.console import Console
from rich.table import Table

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError

_SPLIT = flags.DEFINE_string("split", "test", "Split whose examples are shown.")
_EXAMPLES = flags.DEFINE_integer("examples", 2, "How many examples of the task to show.", lower_bound=0)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Prepared TFDS data sets; empty: TFDS's own default.")
_TEXT_DIR = flags.DEFINE_string("text_dir", "", "Folder of the text_file and parallel_file tasks.")
_BUCC_DIR = flags.DEFINE_string("bucc_dir", "", "Folder of the BUCC 2018 release's files.")


def families_table() -> Table:
    """One row a family."""
    table = Table("family", "kind", "trained on", "languages", box=None)
    for family in tasks.families():
        table.add_row(family.name, family.kind, family.train or "", " ".join(family.languages))
    return table


def show(name: str, *, split: str, examples: int, console: Console) -> None:
    """Prints what a task is and its first examples."""
    task = tasks.task(name)
    console.print(f"{task.name}: {task.family.kind}, splits {', '.join(task.splits)}", highlight=False)
    console.print(f"from {tasks.source_version(name)}", highlight=False)
    if task.family.labels:
        console.print(f"labels {' '.join(task.family.labels)}", highlight=False)
    tasks.source_split(name, split)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from xtreme_stilts.quiet import native_stderr

    with native_stderr():
        from xtreme_stilts.tasks import seqio_tasks
    logging.set_verbosity(logging.WARNING)  # TFDS notes every file it opens
    for example in itertools.islice(seqio_tasks.examples(name, split), examples):
        console.print_json(data=example, ensure_ascii=False)


def main(argv: list[str]) -> None:
    """Raises SystemExit with status 2 on bad input."""
    console = Console()
    try:
        tasks.configure(data_dir=_DATA_DIR.value, text_dir=_TEXT_DIR.value, bucc_dir=_BUCC_DIR.value)
        if not argv[1:]:
            console.print(families_table())
        for name in argv[1:]:
            show(name, split=_SPLIT.value, examples=_EXAMPLES.value, console=console)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    app.run(main)
