"""Nothing breaks it: every attack of :mod:`attacks` ends as its user may expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from attacks import COMMANDS, Attack, Place, all_attacks, faults, verbs

ATTACKS = all_attacks()
LEFT_ALONE = {("preflight",), ("recipes", "list"), ("study", "work")}
"""Verbs without options that say what is done, or that are started by others."""


def test_every_verb_is_attacked() -> None:
    assert {verb for verb, _ in verbs()} == set(COMMANDS) | LEFT_ALONE


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_is_met(
    attack: Attack,
    finished: Path,
    cli: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(tmp_path / "place")
    place.folder.mkdir()
    place.make(finished)
    attack.spoil(place)
    before = place.elsewhere()
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("HOME", str(place.out))
    done = cli(*attack.command(place), seconds=60)
    assert faults(attack, done, before, place) == [], f"{attack.command(place)}\n{done.stdout}{done.stderr}"
