"""What a recipe's retrieval settings say of how its model embeds a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models_made import export_model

from dist_stilts.evaluate.retrieval import RetrievalConfig
from dist_stilts.experiment.cards import sentence_reading
from dist_stilts.experiment.run_config import Recipe


@pytest.mark.parametrize(
    ("layer", "read"),
    [("last", None), ("1", 1), ("2", None), ("0,1", 1), ("1, 0", 1), ("1,2", None), ("all", None), ("14", None)],
)
def test_of_several_layers_the_last_that_is_scored_is_read(
    layer: str, read: int | None, tiny_encoder: Any, tokenizer: Any, tmp_path: Path
) -> None:
    assert tiny_encoder.config.num_hidden_layers == 2
    export_model(tmp_path / "model", tiny_encoder, tokenizer)
    recipe = Recipe()
    recipe.evaluation.retrieval = RetrievalConfig(layer=layer)
    assert sentence_reading(recipe, tmp_path / "model").layer == read
