from __future__ import annotations

from typing import Any

import pytest

from dist_stilts.report.mining import summary_lines


@pytest.fixture
def summary() -> dict[str, Any]:
    """Two files from which two pairs were mined."""
    side = {"lines": 2000, "blank": 0, "repeated": 0, "sentences": 2000, "cut": 0}
    return {
        "source": {"file": "de.txt", **side},
        "target": {"file": "en.txt", **side, "blank": 3, "repeated": 1, "sentences": 1996, "cut": 2},
        "layer": 7,
        "pooling": "mean",
        "source_mean_cosine": 0.81234,
        "target_mean_cosine": 0.75,
        "hubness": 11.4,
        "margin": "ratio",
        "margins": {"undefined": 0.0, "q0": 0.9, "q50": 1.0, "q100": 1.25},
        "candidate_pairs": 1500,
        "threshold": 1.05,
        "threshold_from": "given",
        "threshold_tuned": False,
        "gold": None,
        "pairs": 2,
        "degenerate": None,
        "out": "pairs.tsv",
        "embeddings": "pairs.embeddings",
        "seconds": {"encoding": 75.0, "searching": 0.2},
    }


def test_a_summary_has_a_line_per_topic(summary: dict[str, Any]) -> None:
    assert summary_lines(summary) == [
        "de.txt: 2,000 lines, 2,000 sentences searched",
        "en.txt: 2,000 lines, 3 without text, 1 repeated, 2 cut to the longest that is read, 1,996 sentences searched",
        "embeddings, layer 7, mean pooling: mean cosine of sources 0.812, of targets 0.75, hubness 11.4",
        "1,500 candidates, ratio margin by quantile: 0% 0.9000, 50% 1.0000, 100% 1.2500",
        "threshold: 1.05 (given)",
        "time: encoding 1 min 15 s, searching 0.2 s",
        "2 pairs in pairs.tsv; embeddings kept in pairs.embeddings",
    ]


def test_scores_on_gold_warnings_and_nothing_mined_have_their_lines(summary: dict[str, Any]) -> None:
    gold = summary | {"gold": 1200, "f1": 0.5, "precision": 2 / 3, "recall": 0.4}
    assert "1,200 gold pairs: f1 50.00, precision 66.67, recall 40.00" in summary_lines(gold)
    assert "optimistic" in summary_lines(gold | {"threshold_tuned": True})[5]
    assert summary_lines(summary | {"degenerate": "collapsed encoder"})[0] == "warning: collapsed encoder"
    lines = summary_lines(summary | {"threshold": None, "candidate_pairs": 0, "margins": {"undefined": 0.0}})
    assert lines[3:5] == ["0 candidates, ratio margin by quantile: none", "threshold: none (given)"]
