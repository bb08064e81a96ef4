"""Results table, the paper's table made from it, and the report page. Imports neither JAX nor TensorFlow."""

from xtreme_stilts.report.html import write_report
from xtreme_stilts.report.results import COLUMNS, Result, add, read, to_frame, write
from xtreme_stilts.report.table import Table, language_table, paper_table, print_table, to_markdown

__all__ = [
    "COLUMNS",
    "Result",
    "Table",
    "add",
    "language_table",
    "paper_table",
    "print_table",
    "read",
    "to_frame",
    "to_markdown",
    "write",
    "write_report",
]
