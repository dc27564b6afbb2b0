from __future__ import annotations

import pytest

from dist_stilts.parallel.bandwidth import figure, measure


def test_bus_bandwidth_is_what_the_slowest_link_carries_and_one_process_sends_nothing() -> None:
    two, eight = figure(10**9, 0.5, ranks=2), figure(10**9, 0.5, ranks=8)
    assert two.algorithm_gb_s == eight.algorithm_gb_s == 2.0
    assert two.bus_gb_s == pytest.approx(2.0)
    assert eight.bus_gb_s == pytest.approx(3.5)
    figures = measure(sizes=(1024, 4096))
    assert [row.bytes for row in figures] == [1024, 4096]
    assert [row.bus_gb_s for row in figures] == [0.0, 0.0]
    assert all(row.seconds > 0 for row in figures)
