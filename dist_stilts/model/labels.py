"""A model's names of its outputs against a task's labels: matched by name, whatever their order and case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dist_stilts.errors import UserError, nearest

Given = Mapping[str, str]
"""What the user says: a model's name of an output to the task's label; to "" if the output is to be left out."""
_NAMELESS = re.compile(r"(LABEL_)?\d+")


@dataclass(frozen=True)
class Match:
    """How a model's outputs become a task's.

    Attributes:
        names: of the outputs that come out: the task's labels in id order, then what only the model knows.
        order: for each of them, the model's own outputs whose probabilities it is the sum of.
        missing: labels of the task that the model never predicts.
    """

    names: tuple[str, ...]
    order: tuple[tuple[int, ...], ...]
    missing: tuple[str, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether the outputs are as they should be."""
        return self.order == tuple((number,) for number in range(len(self.order)))


def match(wanted: Sequence[str], theirs: Sequence[str], given: Given, *, partly: bool, where: str) -> Match:
    """Match outputs by name, but for those that ``given`` maps.

    Args:
        wanted: the task's labels in id order; theirs: the model's names in id order.
        partly: whether either side may have labels that the other lacks, as sets of entity types do; theirs are then
            predicted, and never rightly.
        where: the task, for messages.

    Raises:
        UserError: a name that is not there, labels that cannot be matched, with what to pass.
    """
    _check(given, wanted, theirs)
    found = _by_name(wanted, theirs)
    meaning = [given.get(name, found.get(name)) for name in theirs]
    order = [tuple(number for number, ours in enumerate(meaning) if ours == label) for label in wanted]
    missing = tuple(label for label, own in zip(wanted, order, strict=True) if not own)
    extra = [number for number, ours in enumerate(meaning) if ours is None]
    if (missing and (not partly or len(missing) == len(wanted))) or (extra and not partly):
        raise UserError(
            f"the model's labels ({', '.join(theirs)}) are not those of {where} ({', '.join(wanted)})",
            fix=_advice(wanted, [theirs[number] for number in extra], missing),
        )
    names = (*wanted, *(theirs[number] for number in extra))
    return Match(names, (*order, *((number,) for number in extra)), missing)


def parse_given(text: str, theirs: Sequence[str]) -> dict[str, str]:
    """Read ``--labels``: ``LABEL_0=entailment,LABEL_1=neutral``, or all labels in the order of the model's ids.

    Raises:
        UserError: neither.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()] if text else []
    pairs = [part.partition("=") for part in parts]
    if all(equals for _, equals, _ in pairs):
        return {name.strip(): label.strip() for name, _, label in pairs}
    if any(equals for _, equals, _ in pairs) or len(parts) != len(theirs):
        raise UserError(
            f"'{text}' does not say what the model's {len(theirs)} outputs are ({', '.join(theirs)})",
            fix=f"Pass --labels {','.join(f'{name}=…' for name in theirs)}",
        )
    return dict(zip(theirs, parts, strict=True))


def _check(given: Given, wanted: Sequence[str], theirs: Sequence[str]) -> None:
    for name, label in given.items():
        if name not in theirs:
            raise UserError(f"--labels: the model has no label '{name}'", fix=nearest(name, theirs))
        if label and label not in wanted:
            raise UserError(f"--labels: the task has no label '{label}'", fix=nearest(label, wanted))


def _by_name(wanted: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """A model's names to the labels that are spelt alike: exactly, or else but for case and punctuation."""
    exact = {name: name for name in theirs if name in wanted}
    if len(exact) == len(theirs):
        return exact
    ours = {_plain(label): label for label in wanted}
    if "" in ours or len(ours) < len(wanted) or len({*map(_plain, theirs)}) < len(theirs):
        return exact  # names that differ in case or punctuation alone
    return {name: ours[_plain(name)] for name in theirs if _plain(name) in ours}


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _advice(wanted: Sequence[str], extra: Sequence[str], missing: Sequence[str]) -> str:
    if extra and all(_NAMELESS.fullmatch(name) for name in extra):
        return f"They have no names. Look into the model's card and pass --labels {_example(extra, wanted)}"
    if extra:
        return f"Say what they are: --labels {_example(extra, missing or wanted)} (NAME= leaves one out)"
    return f"The model never predicts {', '.join(missing)}: score a task that has its labels"


def _example(names: Sequence[str], labels: Sequence[str]) -> str:
    return ",".join(f"{name}={labels[number % len(labels)]}" for number, name in enumerate(names))
