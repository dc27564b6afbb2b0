"""One small world, written once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.simulate import Language, languages, write_world
from dist_stilts.simulate.frames import ConceptWorld

SCALE = 0.05


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root of a world of seed 0 at 1/20 of its size."""
    return write_world(tmp_path_factory.mktemp("simulated") / "world", seed=0, scale=SCALE)


@pytest.fixture(scope="session")
def concepts() -> ConceptWorld:
    return ConceptWorld(0)


@pytest.fixture(scope="session")
def tongues() -> dict[str, Language]:
    return {language.code: language for language in languages(seed=0)}
