"""The table of all kinds of task that have a head."""

from __future__ import annotations

from dist_stilts.errors import UserError
from dist_stilts.families.choice import MultipleChoice
from dist_stilts.families.family import Family
from dist_stilts.families.mlm import MaskedLanguageModelling
from dist_stilts.families.multilabel import MultiLabel
from dist_stilts.families.regression import Regression
from dist_stilts.families.sequence import SequenceClassification
from dist_stilts.families.span import QuestionAnswering
from dist_stilts.families.token import TokenClassification
from dist_stilts.tasks.spec import TaskSpec

KINDS: dict[str, Family] = {}


def register(kind: Family) -> None:
    """Make a kind known under its name: tasks whose ``family`` it is are trained, predicted and scored by it."""
    KINDS[kind.name] = kind


def family_of(spec: TaskSpec) -> Family:
    """The kind of a task.

    Raises:
        UserError: a task that has no head: of retrieval, or of a kind that nobody registered.
    """
    if spec.family not in KINDS:
        raise UserError(f"{spec.name}: tasks of kind '{spec.family}' have no head", fix=f"Known: {', '.join(KINDS)}")
    return KINDS[spec.family]


for _kind in (
    MaskedLanguageModelling(),
    SequenceClassification(),
    Regression(),
    MultiLabel(),
    MultipleChoice(),
    TokenClassification(),
    QuestionAnswering(),
):
    register(_kind)
