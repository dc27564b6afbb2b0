from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.scoring.duplicates import RULES, original_rows, unique_texts
from dist_stilts.scoring.mining import Candidates, best_first

# Few distinct texts, so that most stand more than once.
files = st.lists(st.text("ab \u3000", max_size=2), max_size=12)


@given(files)
def test_texts_are_numbered_by_their_first_rows(texts: list[str]) -> None:
    found = unique_texts(texts)
    distinct = list(dict.fromkeys(text.strip() for text in texts))
    assert [distinct.index(text.strip()) for text in texts] == found.of_row.tolist()
    assert [[t.strip() for t in texts].index(text) for text in distinct] == found.first.tolist()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("drop", [(1, 1, 3.0)]),
        ("all_ids", [(0, 0, 3.0), (1, 1, 3.0), (2, 0, 3.0), (3, 2, 1.0), (3, 3, 1.0)]),
        ("first", [(0, 0, 3.0), (1, 1, 3.0), (3, 2, 1.0)]),
    ],
)
def test_a_repeated_text_stands_for_what_the_rule_says(rule: str, expected: list[tuple[int, int, float]]) -> None:
    source, target = unique_texts(["twice", "once", "twice", "one"]), unique_texts(["uno", "due", "tre", "tre"])
    pairs = Candidates(np.arange(3), np.arange(3), np.array([3.0, 3.0, 1.0]))
    assert list(zip(*original_rows(pairs, source, target, rule), strict=True)) == expected


def by_text(rule: str, pairs: Candidates, source: list[str], target: list[str]) -> list[tuple[int, int, float]]:
    """The rules as the field's code states them, text by text."""
    found = []
    for s, t, score in zip(*pairs, strict=True):
        sides = ((source, s), (target, t))
        rows_of = [[row for row, text in enumerate(file) if text == list(dict.fromkeys(file))[n]] for file, n in sides]
        if rule == "first":
            rows_of = [rows[:1] for rows in rows_of]
        if rule == "drop" and any(len(rows) > 1 for rows in rows_of):
            continue
        found += [(a, b, score) for a in rows_of[0] for b in rows_of[1]]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))


rows = st.lists(st.sampled_from("abcd"), min_size=1, max_size=7)


@given(st.sampled_from(list(RULES)), rows, rows, st.data())
def test_rules_equal_their_definitions(rule: str, source: list[str], target: list[str], data: st.DataObject) -> None:
    every = [(s, t) for s in range(len(set(source))) for t in range(len(set(target)))]
    chosen = data.draw(st.lists(st.sampled_from(every), unique=True))
    scores = data.draw(st.lists(st.integers(0, 3), min_size=len(chosen), max_size=len(chosen)))
    numbers = np.array(chosen, int).reshape(-1, 2)
    pairs = best_first(Candidates(numbers[:, 0], numbers[:, 1], np.array(scores, float)))
    found = original_rows(pairs, unique_texts(source), unique_texts(target), rule)
    assert list(zip(*found, strict=True)) == by_text(rule, pairs, source, target)


def test_an_unknown_rule_is_told_the_nearest() -> None:
    none = unique_texts([])
    with pytest.raises(UserError, match=r"unknown rule for duplicates 'dorp'.*'drop'"):
        original_rows(Candidates(np.zeros(0, int), np.zeros(0, int), np.zeros(0)), none, none, "dorp")
