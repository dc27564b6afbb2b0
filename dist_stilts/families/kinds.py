"""The table of all kinds of task that have a head."""

from __future__ import annotations

from dist_stilts.families.choice import MultipleChoice
from dist_stilts.families.family import Family
from dist_stilts.families.mlm import MaskedLanguageModelling
from dist_stilts.families.multilabel import MultiLabel
from dist_stilts.families.regression import Regression
from dist_stilts.families.sequence import SequenceClassification
from dist_stilts.families.span import QuestionAnswering
from dist_stilts.families.token import TokenClassification

KINDS: dict[str, Family] = {
    kind.name: kind
    for kind in (
        MaskedLanguageModelling(),
        SequenceClassification(),
        Regression(),
        MultiLabel(),
        MultipleChoice(),
        TokenClassification(),
        QuestionAnswering(),
    )
}
