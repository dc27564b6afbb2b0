from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.run_config import PhaseConfig, Recipe, StudyConfig, TrainTask


@pytest.fixture
def recipe_of(tmp_path: Path) -> Callable[..., Recipe]:
    """A recipe with this study: pretraining, an intermediate task, two targets; not a file is there."""
    return partial(_recipe, tmp_path)


def _recipe(out: Path, **study: Any) -> Recipe:
    return Recipe(
        name="s",
        out=str(out),
        phases={
            "pretrain": PhaseConfig(role="pretrain", start=["random"], tasks={"mlm": TrainTask()}),
            "mnli": PhaseConfig(
                role="intermediate", start=["pretrain"], tasks={"mnli": TrainTask()}, evaluate={"tatoeba": EvalTask()}
            ),
            "xnli": PhaseConfig(
                start=["pretrain", "mnli"], tasks={"xnli": TrainTask()}, sizes=[200], evaluate={"xnli": EvalTask()}
            ),
        },
        study=StudyConfig(**study),
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return _recipe(tmp_path, sizes=[0, 100, "...", 1000, "full"], seeds=[0, 1], subset_seeds=[0, 5])
