"""Examples to feature rows, one function per task family; see :mod:`dist_stilts.data.features` for the columns.

Nothing is lost silently: pairs and choices that do not fit lose tokens, which are counted; tagged sentences, lines of
text and the contexts of questions (see :mod:`dist_stilts.data.windows`) become several rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dist_stilts.data.rows import FeatureRow, feature_row, join_pair
from dist_stilts.data.windows import QaLengths, windows
from dist_stilts.tasks.spec import IGNORED, UNSEEN, WITHHELD, ChoiceRow, Family, PairRow, TaggedRow, TextRow


def tokenise(
    family: Family,
    labels: Sequence[str],
    rows: Sequence[Any],
    tokenizer: Any,
    max_length: int,
    inputs: str = "full",
    qa: QaLengths | None = None,
) -> Iterator[FeatureRow]:
    """Turn examples of one task into feature rows, in order.

    Args:
        labels: the task's classes or tags, in id order.
        tokenizer: a fast Hugging Face tokenizer.
        max_length: most tokens per segment, special tokens included.
        inputs: ``full``, or ``hypothesis`` to hide the first text of pairs (the hypothesis-only control of
            Poliak et al. 2018).
        qa: lengths of questions and windows, which take the place of ``max_length`` in question answering.
    """
    if family == "span":
        yield from windows(rows, tokenizer, qa or QaLengths())
        return
    families: dict[str, Callable[..., Iterator[FeatureRow]]] = {
        "mlm": _lines,
        "sequence": _pairs,
        "choice": _choices,
        "token": _tagged,
    }
    yield from families[family](labels, rows, tokenizer, max_length, inputs)


def sentences(texts: Sequence[str], tokenizer: Any, max_length: int) -> Iterator[FeatureRow]:
    """Turn texts into one row each, for embedding; what does not fit is cut off and counted."""
    for number, ids in enumerate(tokenizer(list(texts), truncation=False)["input_ids"]):
        cut = ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]
        row = TextRow(str(number), str(number), "")
        yield feature_row(row, number, [cut], [], truncated=len(ids) - len(cut))


def _lines(
    labels: Sequence[str], rows: Sequence[TextRow], tokenizer: Any, max_length: int, inputs: str
) -> Iterator[FeatureRow]:
    room = max_length - tokenizer.num_special_tokens_to_add(pair=False)
    encoded = tokenizer([row.text for row in rows], add_special_tokens=False)["input_ids"]
    for number, (row, ids) in enumerate(zip(rows, encoded, strict=True)):
        for start in range(0, max(1, len(ids)), room):
            segment, _ = _join_single(tokenizer, ids[start : start + room], [])
            yield feature_row(row, number, [segment], [])


def _pairs(
    labels: Sequence[str], rows: Sequence[PairRow], tokenizer: Any, max_length: int, inputs: str
) -> Iterator[FeatureRow]:
    number_of = {label: number for number, label in enumerate(labels)}
    first, second = [row.text_a for row in rows], [row.text_b for row in rows]
    # A task of single texts has no second ones.
    texts = ((first, second) if any(second) else (first,)) if inputs == "full" else (second,)
    whole = tokenizer(*texts, truncation=False)["input_ids"]
    long = [number for number, ids in enumerate(whole) if len(ids) > max_length]
    parts = [[side[number] for number in long] for side in texts]
    fitted = dict(zip(long, _fitted(tokenizer, parts, max_length), strict=True))
    for number, (row, ids) in enumerate(zip(rows, whole, strict=True)):
        cut = fitted.get(number, ids)
        label = [] if row.label is None else [number_of.get(row.label, UNSEEN)]
        yield feature_row(row, number, [cut], label, truncated=len(ids) - len(cut))


def _fitted(tokenizer: Any, texts: list[list[str]], max_length: int) -> list[list[int]]:
    ids: list[list[int]] = []
    if texts[0]:
        ids = tokenizer(*texts, truncation="longest_first", max_length=max_length)["input_ids"]
    return ids


def _choices(
    labels: Sequence[str], rows: Sequence[ChoiceRow], tokenizer: Any, max_length: int, inputs: str
) -> Iterator[FeatureRow]:
    for number, row in enumerate(rows):
        # The end of a prompt carries the question: what does not fit is dropped from its start.
        room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
        prompt = tokenizer(row.prompt, add_special_tokens=False)["input_ids"]
        segments, lost = [], 0
        for choice in tokenizer(list(row.choices), add_special_tokens=False)["input_ids"]:
            answer = choice[: room - 1]
            kept = prompt[max(0, len(prompt) + len(answer) - room) :]
            lost += len(prompt) + len(choice) - len(kept) - len(answer)
            segments.append(join_pair(tokenizer, kept, answer))
        yield feature_row(row, number, segments, [] if row.label is None else [row.label], truncated=lost)


def _tagged(
    labels: Sequence[str], rows: Sequence[TaggedRow], tokenizer: Any, max_length: int, inputs: str
) -> Iterator[FeatureRow]:
    # Word by word: the word ids that fast XLM-R tokenizers report for whole sentences go wrong on diacritics.
    vocabulary = sorted({word for row in rows for word in row.words})
    encoded = tokenizer(vocabulary, add_special_tokens=False)["input_ids"]
    pieces = {word: ids or [tokenizer.unk_token_id] for word, ids in zip(vocabulary, encoded, strict=True)}
    number_of = {tag: number for number, tag in enumerate(labels)}
    room = max_length - tokenizer.num_special_tokens_to_add(pair=False)
    first_word = 0
    for number, row in enumerate(rows):
        for words, tags in _stretches(row, pieces, room):
            ids = [piece for word in words for piece in pieces[word][:room]]
            targets = [
                target
                for word, tag in zip(words, tags, strict=True)
                for target in [WITHHELD if tag is None else number_of.get(tag, UNSEEN)]
                + [IGNORED] * (len(pieces[word][:room]) - 1)
            ]
            lost = sum(max(0, len(pieces[word]) - room) for word in words)
            segment, targets = _join_single(tokenizer, ids, targets)
            yield feature_row(row, number, [segment], targets, truncated=lost, first_word=first_word)
            first_word += len(words)


def _stretches(row: TaggedRow, pieces: dict[str, list[int]], room: int) -> Iterator[tuple[list[str], list[str | None]]]:
    """Cut a sentence between words into stretches that fit; most sentences are one stretch."""
    words: list[str] = []
    tags: list[str | None] = []
    used = 0
    for word, tag in zip(row.words, row.tags or [None] * len(row.words), strict=True):
        cost = min(room, len(pieces[word]))
        if words and used + cost > room:
            yield words, tags
            words, tags, used = [], [], 0
        words.append(word)
        tags.append(tag)
        used += cost
    yield words, tags


def _join_single(tokenizer: Any, ids: list[int], targets: list[int]) -> tuple[list[int], list[int]]:
    """``<s> ids </s>``, and targets that ignore what was added."""
    return ([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id], [IGNORED, *targets, IGNORED])
