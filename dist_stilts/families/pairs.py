"""What the kinds of one text or a pair of texts per row share: how they become one sequence."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dist_stilts.families.encoding import Encoding, FeatureRow, feature_row, seconds
from dist_stilts.families.family import Family, Say
from dist_stilts.tasks.spec import MultiLabelRow, PairRow, RegressionRow, Row

Pair = PairRow | RegressionRow | MultiLabelRow


class TextPairs(Family):
    """A kind whose head reads one vector per text or pair; pairs that do not fit lose tokens, the longer text first."""

    auto_class = "AutoModelForSequenceClassification"
    reads = "rows"
    pipeline_tag = "text-classification"

    @abstractmethod
    def gold(self, row: Any, number_of: dict[str, int]) -> dict[str, Any]:
        """The columns of a feature row that hold the gold of ``row``; ``number_of``: each label's number."""

    def encode(self, rows: Sequence[Any], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        number_of = {label: number for number, label in enumerate(how.labels)}
        first, second = [row.text_a for row in rows], [row.text_b for row in rows]
        # A task of single texts has no second ones.
        texts = ((first, second) if any(second) else (first,)) if how.inputs == "full" else (second,)
        whole = tokenizer(*texts, truncation=False)
        begins = seconds(whole)
        long = [number for number, ids in enumerate(whole["input_ids"]) if len(ids) > how.max_length]
        fitted = {}
        if long:
            parts = [[side[number] for number in long] for side in texts]
            cut = tokenizer(*parts, truncation="longest_first", max_length=how.max_length)
            fitted = dict(zip(long, zip(cut["input_ids"], seconds(cut), strict=True), strict=True))
        for number, (row, ids) in enumerate(zip(rows, whole["input_ids"], strict=True)):
            kept, begin = fitted.get(number, (ids, begins[number]))
            lost = len(ids) - len(kept)
            yield feature_row(row, number, [kept], second=[begin], truncated=lost, **self.gold(row, number_of))

    def texts(self, row: Pair) -> tuple[str, ...]:
        return row.text_a, row.text_b

    def translated(self, row: Pair, say: Say, counts: Counter[str]) -> Row | None:
        return replace(row, text_a=say(row.text_a), text_b=say(row.text_b))
