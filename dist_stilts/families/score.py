"""How predictions are read off logits, and what scoring one task in one language gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dist_stilts.errors import UserError
from dist_stilts.layout import OUTCOMES


@dataclass(frozen=True)
class Decoding:
    """How predictions are read off logits.

    Attributes:
        n_best: answers kept per window and question; longest: most tokens of an answer.
    """

    n_best: int = 20
    longest: int = 30


@dataclass(frozen=True)
class Score:
    """Scores of one task, split and language.

    Attributes:
        values: metric name to score, of 1 at best or in its unit, the last to be recorded last; None where gold is
            withheld.
        predictions: lines of the prediction file, in XTREME's layout.
        count: rows, words or gold pairs that the scores are about.
        degenerate: why the model has collapsed, if it has.
        beside: other files to write beside the predictions: suffix to content.
        health: retrieval only: what is known of the embeddings themselves.
        threshold: mining only: the margin from which pairs are kept.
        units: of values that are no share of 1.
        unseen: gold labels that no training row has; they are scored, as wrong.
    """

    values: dict[str, float | None]
    predictions: list[str]
    count: int
    degenerate: str | None
    beside: dict[str, str] = field(default_factory=dict)
    health: dict[str, float] = field(default_factory=dict)
    threshold: float | None = None
    units: dict[str, str] = field(default_factory=dict)
    unseen: int = 0

    @property
    def recorded(self) -> dict[str, float | None]:
        """The values as they are recorded: in percent, or in their unit."""
        return {
            name: value if value is None or name in self.units else 100 * value for name, value in self.values.items()
        }


def outcomes(per_row: Iterable[float]) -> dict[str, str]:
    """The file of what each test row adds to the main score, 0 to 1: what a bootstrap over test rows draws from."""
    return {OUTCOMES: "\n".join(f"{value:.4g}" for value in per_row) + "\n"}


def check_gold(task: str, gold: int, predictions: int) -> None:
    """UserError if some predictions have gold and some have none."""
    if gold not in (0, predictions):
        raise UserError(
            f"{task}: {predictions} predictions but {gold} gold labels",
            fix="Score a split with gold labels, or with none",
        )
