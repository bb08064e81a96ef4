"""Published scores to set a study's own beside, each with its source (`published.csv`).

Terms as in `results` and `table`, with these differences:

- **language** is `table.AVERAGE` throughout: the published figures are means over a target's languages. A target
  `table.AVERAGE` is the mean over all of XTREME's targets.
- **intermediate** is the name a study's row would have, and `best` where the best intermediate task was chosen for
  each target. "none" is the encoder fine-tuned on the target's English data; for retrieval, the encoder as published.
- **metric** `difference` is in points above the row "none"; all others are percent, as everywhere.
- **split** is the source's own word: `dev` may mean another set than our `validation`.
"""

from __future__ import annotations

import importlib.resources

import pandas as pd

from xtreme_stilts.errors import UserError, did_you_mean

DIFFERENCE = "difference"  # the metric in points; the others are in percent


def published(target: str | None = None) -> pd.DataFrame:
    """The published scores, or those of one target.

    Returns:
        Columns model, intermediate, target, language, split, metric, value (float64), layer (nullable Int64),
        pooling, source; `layer` and `pooling` are empty except for retrieval.

    Raises:
        UserError: nothing is published of that target.
    """
    with importlib.resources.files(__package__).joinpath("published.csv").open(encoding="utf-8") as file:
        types = {"value": "float64", "layer": "Int64"}
        frame = pd.read_csv(file, dtype="str", keep_default_na=False, na_values={"layer": ""}).astype(types)
    if target is None:
        return frame
    if target not in set(frame["target"]):
        raise UserError(f"no published scores of target {target!r}; {did_you_mean(target, set(frame['target']))}")
    return frame[frame["target"] == target].reset_index(drop=True)
