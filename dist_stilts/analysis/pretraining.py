"""How much text of a language XLM-R saw in pretraining: its corpus CC-100 (Conneau et al., ACL 2020, table 6).

The table lies beside this module; its header says where each number was read and which are left out.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from functools import cache
from importlib import resources

import pandas as pd


def pretraining(languages: Iterable[str]) -> pd.Series:
    """Return log10 of a language's GiB in XLM-R's pretraining corpus, by language.

    Gigabytes and not the paper's tokens, which end at white space and so come out a hundred times too few for Chinese
    and Japanese. They are not fair either: a letter takes two or three bytes in most scripts but Latin's. The table has
    one decimal, so below 0.3 GiB the logarithm is good to a tenth or two only.

    Returns:
        nan where the corpus has no such language (Yoruba, and every simulated one) or the table leaves it out.
    """
    sizes = _gib()
    return pd.Series(
        {language: math.log10(sizes[language]) if language in sizes else math.nan for language in languages},
        name="pretraining",
        dtype=float,
    )


@cache
def _gib() -> dict[str, float]:
    text = (resources.files("dist_stilts.analysis") / "pretraining.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {row["language"]: float(row["gib"]) for row in csv.DictReader(lines)}
