from __future__ import annotations

import pytest

from dist_stilts.report.correlation import correlate

DISTANCES = {"aa": 0.1, "bb": 0.4, "cc": 0.8}


def test_correlation_leaves_english_out_and_says_how_many_languages() -> None:
    gain = {"en": -50.0, "aa": 30.0, "bb": 20.0, "cc": 10.0, "unknown": 99.0}
    found = correlate(gain, {"en": 0.0, **DISTANCES})
    assert (found.rho, found.n) == (pytest.approx(-1), 3)
    assert str(found) == "Spearman rho = -1.00, p < 0.001, n = 3 languages"


@pytest.mark.parametrize("gain", [{"aa": 1.0, "bb": 2.0}, dict.fromkeys(DISTANCES, 1.0)])
def test_no_correlation_is_claimed_where_there_can_be_none(gain: dict[str, float]) -> None:
    assert str(correlate(gain, DISTANCES)) == f"no rank correlation: n = {len(gain)} languages"
