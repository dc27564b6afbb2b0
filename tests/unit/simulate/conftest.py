"""The simulated world, its concepts and its languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.simulate import Language, languages
from dist_stilts.simulate.frames import ConceptWorld


@pytest.fixture(scope="session")
def root(world: Path) -> Path:
    """The data root of a world of seed 0 at 1/20 of its size."""
    return world


@pytest.fixture(scope="session")
def concepts() -> ConceptWorld:
    return ConceptWorld(0)


@pytest.fixture(scope="session")
def tongues() -> dict[str, Language]:
    return {language.code: language for language in languages(seed=0)}
