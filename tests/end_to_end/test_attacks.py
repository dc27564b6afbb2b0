"""Nothing breaks it: every attack of :mod:`attacks` ends as its user may expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from attacks import Attack, Place, all_attacks, faults

ATTACKS = all_attacks()


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
