from __future__ import annotations

import math

import pytest

from dist_stilts.analysis.estimate import Estimate
from dist_stilts.report.numbers import p_equals, p_value, points, rounded_size, short_size, signed
from dist_stilts.study.numbers import show


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(3.21, 2.04, 4.5), "+3.2 [+2.0, +4.5]"),
        (Estimate(-3.21, -4.0, 0.01), "−3.2 [−4.0, 0.0]"),
        (Estimate(3.21), "+3.2 (no interval)"),
        (Estimate(3.21, note="one seed: no interval"), "+3.2 (one seed: no interval)"),
        (Estimate(0.0, 0.0, 1.0, "a note"), "0.0 [0.0, +1.0] (a note)"),
        (Estimate(None, note="not monotone"), "not monotone"),
        (Estimate(None), "not known"),
        (Estimate(1.5, -2.0, math.inf), "+1.5 [−2.0, not reached]"),
        (Estimate(None, 0.5, math.inf, "beyond", censored=True), "beyond [+0.5, not reached]"),
    ],
)
def test_a_number_is_shown_with_its_interval_or_with_why_there_is_none(estimate: Estimate, text: str) -> None:
    assert show(estimate, points) == text


def test_zero_has_no_sign_nan_is_a_dash_small_p_values_are_bounded_and_sizes_are_short() -> None:
    assert [signed(value, 1) for value in (0.04, -0.04, -0.06, math.nan)] == ["0.0", "0.0", "−0.1", "-"]
    assert [p_value(p) for p in (0.0004, 0.0012, 1.0, math.nan)] == ["< 0.001", "0.001", "1.000", "-"]
    assert [p_equals(p) for p in (0.0004, 0.0012)] == ["< 0.001", "= 0.001"]
    assert rounded_size(1234.5) == "1,230"
    sizes = (0, 30, 300, 999, 1000, 3000, 392_702, 999_600, 1_200_000, 1.2e9)
    short = ["0", "30", "300", "999", "1k", "3k", "393k", "1M", "1.2M", "1.2G"]
    assert [short_size(n) for n in sizes] == short
