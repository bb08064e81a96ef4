"""The embedded miniature benchmark: parallel sentences in seven languages, and every kind of task made of them.

A lexicon of some 110 concepts (`lexicon.py`) and a grammar of each language (`grammar.py`) turn events (`events.py`)
into sentences people can read; what follows from what is known (`inference.py`), so labels are right by construction.
`datasets.py` makes rows of them with the feature names and types of the published data sets.

It needs no download, takes a seed, and is meant for learning the program, for tests and for trying out ideas in
minutes. Scores on it mean nothing for the real benchmark.

Languages: en de es ru sw tr zh.
"""

from xtreme_stilts.mini.datasets import dataset_names, rows, splits, write_bucc
from xtreme_stilts.mini.lexicon import LANGUAGES

__all__ = ["LANGUAGES", "dataset_names", "rows", "splits", "write_bucc"]
