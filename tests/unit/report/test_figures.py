from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.report.figures import spread


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.floats(0.1, 20))
def test_labels_are_spread_in_order_inside_the_axes(values: list[float], gap: float) -> None:
    placed = spread(sorted(values), 0, 100, gap)
    assert all(-1e-9 <= place <= 100 for place in placed)
    wanted = min(gap, 100 / len(values))
    assert all(b - a >= wanted - 1e-9 for a, b in pairwise(placed))
