"""Result records for tests, from the fields that matter to them."""

from __future__ import annotations

from typing import Any

from dist_stilts.results.lines import from_line
from dist_stilts.results.record import ResultRecord


def record(language: str = "de", value: float | None = 60.0, **fields: Any) -> ResultRecord:
    """A score; ``fields`` by the names that they have in a line of ``results.jsonl``."""
    line = {"task": "xnli", "split": "test", "metric": "accuracy", "language": language, "value": value, "count": 100}
    return from_line(line | fields)


def layer_record(language: str, layer: int | None, value: float | None, **fields: Any) -> ResultRecord:
    """A score of Tatoeba with the embeddings of one layer."""
    base = {"task": "tatoeba", "count": 400, "layer": layer, "pooling": "mean", "model_id": "m"}
    return record(language, value, **base | fields)
