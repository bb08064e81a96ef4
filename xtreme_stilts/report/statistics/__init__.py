"""What a study's differences are worth: seeds, paired tests, corrections, power, and the choice of a row.

Terms and assumptions, on top of those of `results` and `table`:

- **row**: an intermediate task of the study; **baseline**: the row it is compared with. Both are judged by the
  target's primary metric, in percent, on the same examples and the same seeds.
- **outcomes**: what a score is computed from, as numbers for each example (`outcomes.py`).
- **two sources of chance**. *Examples*: the test set is a sample. It is drawn anew (bootstrap, with replacement) and
  the metric computed anew, for both rows on the same draws. *Seeds*: another seed gives another model. Three to five
  seeds are too few to be drawn anew (the draws would show too little spread), so their part is the standard error of
  the mean of the seeds' differences, and the t distribution answers for how little is known of it. With one seed that
  part is unknown, and a test speaks of the trained models at hand only.
- Seeds are paired: the difference is taken within each. In a study's table the spread over seeds is taken to be alike
  in all rows of a target, and is estimated from all of them.
- The two parts are added, which counts the noise that seeds and examples have in common twice, and combined as Behrens
  and Fisher do: both err on the careful side.
- Languages with equally many examples share their draws, so that translations of one test set (XNLI, XQuAD) are not
  taken for independent evidence in a mean over languages.

Limits: a test says nothing of other data, encoders or recipes. With few examples that differ, or two seeds, little
can be shown.
"""

from __future__ import annotations

from xtreme_stilts.report.statistics.best_rows import HONEST, ORACLE, RULES, best_intermediates, choose
from xtreme_stilts.report.statistics.corrections import CORRECTIONS, MARKS, benjamini_hochberg, holm
from xtreme_stilts.report.statistics.paired import TESTS, Comparison, paired_bootstrap, paired_randomisation
from xtreme_stilts.report.statistics.planning import detectable_difference, power, seeds_needed
from xtreme_stilts.report.statistics.spread import LEVEL, RESAMPLES, Spread, cohens_d, cohens_h, over_seeds
from xtreme_stilts.report.statistics.study import COLUMNS, UNAVAILABLE, corrected, significance

__all__ = [
    "COLUMNS",
    "CORRECTIONS",
    "HONEST",
    "LEVEL",
    "MARKS",
    "ORACLE",
    "RESAMPLES",
    "RULES",
    "TESTS",
    "UNAVAILABLE",
    "Comparison",
    "Spread",
    "benjamini_hochberg",
    "best_intermediates",
    "choose",
    "cohens_d",
    "cohens_h",
    "corrected",
    "detectable_difference",
    "holm",
    "over_seeds",
    "paired_bootstrap",
    "paired_randomisation",
    "power",
    "seeds_needed",
    "significance",
]
