from __future__ import annotations

import pytest

from dist_stilts.errors import UserError
from dist_stilts.verbs.mining import layer_number, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("256M", 256 << 20), ("1.5GiB", 3 << 29), ("2 gb", 2 << 30), ("1000", 1000), ("3k", 3072), ("1T", 1 << 40)],
)
def test_memory_is_written_as_people_write_it(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1M", "1X", "M"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no amount of memory"):
        size(text)


def test_a_layer_is_the_last_or_a_number() -> None:
    assert (layer_number("last"), layer_number("0"), layer_number("14")) == (None, 0, 14)
    for text in ("first", "-1", "1.5"):
        with pytest.raises(UserError, match="is no layer"):
            layer_number(text)
