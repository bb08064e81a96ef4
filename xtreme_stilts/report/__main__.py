"""`python -m xtreme_stilts.report DIR`: prints a study's table and writes DIR/report/index.html."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence

from xtreme_stilts import report
from xtreme_stilts.errors import UserError
from xtreme_stilts.report.html import RESULTS


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 where the study cannot be reported on."""
    parser = argparse.ArgumentParser(prog="python -m xtreme_stilts.report", description=__doc__)
    parser.add_argument("study", metavar="DIR", type=pathlib.Path, help=f"study directory, holds {RESULTS}")
    parser.add_argument("--split", help="show this split; by default the one that most rows have")
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="of the printed table")
    arguments = parser.parse_args(argv)
    try:
        path = report.write_report(arguments.study, split=arguments.split)  # first: its errors name the file
        frame = report.read(arguments.study / RESULTS)
        if arguments.format == "text":
            report.print_table(frame, split=arguments.split)
        else:
            for model in sorted(frame["model"].unique()):
                table = report.paper_table(frame, model=model, split=arguments.split)
                print(f"## {model}\n\n{report.to_markdown(table)}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"report: {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
