"""The order in which tasks stand wherever several do, and names with numbers in them."""

from __future__ import annotations

import re

from dist_stilts.tasks.registry import INTERMEDIATE

XTREME = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba")
"""Targets in the order of XTREME's table."""


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts texts with numbers in them by these: seed 2 before seed 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def target_place(task: str) -> int:
    """Place among targets: XTREME's, then any others."""
    return XTREME.index(task) if task in XTREME else len(XTREME)


def intermediate_place(task: str) -> int:
    """Place among intermediate tasks: those of Phang et al. 2020, then any others."""
    return INTERMEDIATE.index(task) if task in INTERMEDIATE else len(INTERMEDIATE)
