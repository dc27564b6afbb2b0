"""The vendored sizes of XLM-R's pretraining corpus are the paper's, and a language that it lacks is unknown."""

from __future__ import annotations

import csv
import math
from importlib import resources

import pytest

from dist_stilts.analysis.pretraining import pretraining
from dist_stilts.tasks.languages import XTREME_LANGUAGES

MBART = {
    "en": 300.8, "ru": 278.0, "vi": 137.3, "ja": 69.3, "de": 66.6, "ro": 61.4, "fr": 56.8, "fi": 54.3, "ko": 54.2,
    "es": 53.3, "it": 30.2, "nl": 29.3, "ar": 28.0, "tr": 20.9, "hi": 20.2, "cs": 16.3, "lt": 13.7, "lv": 8.8,
    "kk": 6.4, "et": 6.1, "ne": 3.8, "si": 3.6, "gu": 1.9,
}  # fmt: skip
"""Table 1 of the mBART paper (arXiv:2001.08210), which was trained on part of the same corpus."""
PRINTED_TOTAL = 2394
"""GiB to which the printed table adds up, by the account of the copy's keeper (mayhewsw.github.io, 20 Dec 2020)."""
LEFT_OUT = 12.1 + 3 * 0.5 + 2 * 0.3
"""Swedish as it was printed, and five romanised languages."""


def test_sizes_are_those_another_paper_prints_of_the_same_corpus_and_add_up_to_it() -> None:
    assert (10 ** pretraining(MBART)).to_dict() == pytest.approx(MBART)
    lines = (resources.files("dist_stilts.analysis") / "pretraining.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert sum(float(row["gib"]) for row in rows) == pytest.approx(PRINTED_TOTAL - LEFT_OUT, abs=0.5)
    assert len({row["language"] for row in rows}) == len(rows)


def test_only_yoruba_of_xtreme_was_not_in_the_corpus() -> None:
    sizes = pretraining(XTREME_LANGUAGES)
    assert list(sizes.index) == list(XTREME_LANGUAGES)
    assert [code for code in sizes.index if math.isnan(sizes[code])] == ["yo"]
    assert sizes["zh"] == pytest.approx(math.log10(46.9 + 16.6))
