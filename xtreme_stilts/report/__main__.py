"""Reports on one study, or on several side by side: prints the tables, writes the page, tables and figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from xtreme_stilts import flags
from xtreme_stilts.report import outputs, published, statistics, table
from xtreme_stilts.report.judged import Options
from xtreme_stilts.report.markdown import to_markdown
from xtreme_stilts.report.sheets import paper_sheet
from xtreme_stilts.report.studies import Study, open_study


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 where the studies cannot be reported on."""
    return flags.answered(_run, argv)


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    options = Options(
        split=arguments.split,
        model=arguments.model,
        correction=arguments.correction,
        test=arguments.test,
        published=published.published() if arguments.published == "true" else None,
    )
    path = outputs.write_all(arguments.studies, out=arguments.out, options=options)
    for directory in arguments.studies:
        _PRINT[arguments.format](open_study(directory), options)
    print(f"report: {path}", file=sys.stderr)
    return 0


def _parser() -> flags.Parser:
    parser = flags.Parser(prog="python -m xtreme_stilts.report", description=__doc__)
    parser.add_argument("studies", metavar="DIR", nargs="+", help="study directory, holds results.csv")
    parser.add_argument("--out", metavar="DIR", help="folder to write to; by default report/ in the first study")
    parser.add_argument("--correction", default="holm", help=f"for many tests: {', '.join(statistics.CORRECTIONS)}")
    parser.add_argument("--test", default="bootstrap", help=f"of differences: {', '.join(statistics.TESTS)}")
    parser.add_argument("--model", metavar="NAME", help="only this one; by default all")
    parser.add_argument("--split", help="show this split; by default the one that most rows have")
    parser.add_argument(
        "--published", choices=("true", "false"), default="false", help="set published scores beside the studies' own"
    )
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="of the printed tables")
    return parser


def _print_text(study: Study, options: Options) -> None:
    frame = study.frame if options.model is None else study.frame[study.frame["model"] == options.model]
    table.print_table(frame, split=options.split, chance=study.chance)


def _print_markdown(study: Study, options: Options) -> None:
    for model in study.models if options.model is None else [options.model]:
        shown = table.paper_table(study.frame, model=model, split=options.split, chance=study.chance)
        sheet = paper_sheet(shown, name="main", title=model, explained="", resamples=100)
        print(f"## {model}\n\n{to_markdown(sheet)}\n")


_PRINT = {"text": _print_text, "markdown": _print_markdown}

if __name__ == "__main__":
    sys.exit(main())
