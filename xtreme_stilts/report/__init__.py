"""Results table, the paper's table made from it, statistics and the report. Imports neither JAX nor TensorFlow."""

from xtreme_stilts.report.html import write_report
from xtreme_stilts.report.judged import Options
from xtreme_stilts.report.markdown import to_markdown
from xtreme_stilts.report.outputs import write_all
from xtreme_stilts.report.results import COLUMNS, Result, add, read, to_frame, write
from xtreme_stilts.report.studies import Study, open_study
from xtreme_stilts.report.table import Table, joint_table, language_table, paper_table, print_table

__all__ = [
    "COLUMNS",
    "Options",
    "Result",
    "Study",
    "Table",
    "add",
    "joint_table",
    "language_table",
    "open_study",
    "paper_table",
    "print_table",
    "read",
    "to_frame",
    "to_markdown",
    "write",
    "write_all",
    "write_report",
]
