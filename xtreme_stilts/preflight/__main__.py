"""Says what a study needs before an accelerator is paid for: does it fit, which chips, how many hours.

    python -m xtreme_stilts.preflight --config=configs/xtreme.py:large --config.model.preset=large --topology=v5e:2x4
    python -m xtreme_stilts.preflight --config=FILE[:ARG] [--config.x=y ...] --topology=v5p:2x2x1 --topology=h200:1
        [--mfu=0.4] [--tokens=N] [--workdir=DIR] [--json=OUT]

For a TPU slice, the study's own training and evaluation steps are compiled for it, on this machine and without a TPU;
the compiler says what memory they take. For GPUs (`h200:1`, `h100:8`, `a100:8`) temporaries are estimated from the
same program compiled for the CPU. Nothing is trained and no weights are read: `config.model.weights` may be empty,
`config.model.preset` then says which encoder.

Exit status: 0 everything fits; 1 something does not (the report says what would); 2 bad input (one sentence).
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence

import rich.console
from absl import flags, logging

from xtreme_stilts import flags as flags_lib
from xtreme_stilts.config import StudyConfig
from xtreme_stilts.errors import UserError
from xtreme_stilts.files import write_json
from xtreme_stilts.preflight import chips


def main(argv: Sequence[str]) -> int:
    """Returns the exit status.

    Args:
        argv: the command line, the program's name first.
    """
    return flags_lib.answered(_answer, argv)


def _answer(argv: Sequence[str]) -> int:
    values = _flags(argv)
    if values.help:
        print(f"{__doc__}\n{values.get_help()}")
        return 0
    reports = _run(_study(values), values)
    return 0 if all(report.fits for report in reports) else 1


def _flags(argv: Sequence[str]) -> flags.FlagValues:
    """This command's flags, parsed; they are no other command's."""
    values = flags.FlagValues()
    flags_lib.define_config(values, argv=argv)
    flags.DEFINE_multi_string(
        "topology", [], "CHIP:SHAPE, such as v5e:2x4 or h200:1; may be repeated.", flag_values=values
    )
    flags.DEFINE_float("mfu", 0.4, "Share of the chips' peak that is assumed.", 0, 1, flag_values=values)
    flags.DEFINE_integer("tokens", 0, "Tokens of each phase whose data are not here.", 0, flag_values=values)
    flags.DEFINE_string("workdir", "", "Study directory with caches; default ./runs/<config name>.", flag_values=values)
    flags.DEFINE_string("json", "", "Write the whole report to this file.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Say this and stop.", flag_values=values)
    flags_lib.no_more(flags_lib.parse(values, argv))
    return values


def _study(values: flags.FlagValues) -> StudyConfig:
    if values.config is None:
        raise UserError("no config was given; try --config=configs/xtreme.py")
    if not values.topology:
        raise UserError("no chips were given; try --topology=v5e:2x4")
    if not values.mfu:
        raise UserError("--mfu is 0; it must be a share of the peak, above 0 and at most 1")
    return flags_lib.study_of(values.config)


def _run(study: StudyConfig, values: flags.FlagValues) -> list:
    topologies = [chips.parse(text) for text in values.topology]
    chips.prepare(topologies)
    from etils import epath

    from xtreme_stilts import study as study_lib
    from xtreme_stilts.preflight.check import check, to_json
    from xtreme_stilts.preflight.report import WIDTH, print_report
    from xtreme_stilts.preflight.work import lay_out

    logging.set_verbosity(logging.WARNING)  # TFDS notes every file it opens
    study_lib.register(study)
    workdir = values.workdir or str(pathlib.Path("runs") / study.name)
    cache_dir = pathlib.Path(study.cache_dir or pathlib.Path(workdir) / "cache")
    width = None if sys.stdout.isatty() else WIDTH
    console = rich.console.Console(highlight=False, emoji=False, width=width)
    errors = rich.console.Console(stderr=True, highlight=False, emoji=False)
    reports = []
    for topology in topologies:
        found = chips.devices(topology)
        work = lay_out(study, devices=found, workdir=epath.Path(workdir), cache_dir=cache_dir)
        with errors.status("") as status:
            progress = _Progress(errors, status)
            asked = {"topology": topology, "mfu": values.mfu, "tokens": values.tokens}
            report = check(work, devices=found, progress=progress, **asked)
        print_report(report, console=console)
        reports.append(report)
    if values.json:
        write_json(values.json, [to_json(report) for report in reports])
    return reports


class _Progress:
    """A changing line where people look on, and a line for what is done."""

    def __init__(self, console: rich.console.Console, status):
        self.console, self.status = console, status

    def now(self, text: str) -> None:
        self.status.update(text)

    def done(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    sys.exit(main(sys.argv))
