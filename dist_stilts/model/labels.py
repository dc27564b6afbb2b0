"""A model's names of its outputs against a task's labels: matched by name, whatever their order and case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dist_stilts.errors import UserError, nearest

Given = Mapping[str, str]
"""What the user says: a model's name of an output to the task's label; to "" if the output is to be left out."""
IOB2 = {"S": "B", "U": "B", "E": "I", "L": "I"}
"""Prefixes of tags in IOBES and BILOU, and what they are in IOB2. (IOB1 has IOB2's names, and F1 reads both.)"""
_NAMELESS = re.compile(r"(LABEL_)?\d+")


@dataclass(frozen=True)
class Match:
    """How a model's outputs become a task's.

    Attributes:
        names: of the outputs that come out: the task's labels in id order, then what only the model knows.
        order: for each of them, the model's own outputs whose probabilities it is the sum of.
        taken: what each of the model's own outputs was taken for, in its order; "" where it is left out.
        missing: labels of the task that the model never predicts; extra: those that only the model knows.
        converted: tags of another scheme and what they were taken for, such as ``S-PER=B-PER``.
        is_told: whether the model's own names say all this, and the user had nothing to add.
    """

    names: tuple[str, ...]
    order: tuple[tuple[int, ...], ...]
    taken: tuple[str, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    is_told: bool = True

    @property
    def is_identity(self) -> bool:
        """Whether the outputs are as they should be."""
        return self.order == tuple((number,) for number in range(len(self.taken)))

    @property
    def condition(self) -> str:
        """What a score by these outputs says of them; nothing where they are the task's labels in its order."""
        return "" if self.is_identity and not self.extra else ",".join(self.taken)


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
    unknown = tuple(theirs[number] for number in extra)
    if (missing and (not partly or len(missing) == len(wanted))) or (extra and not partly):
        raise UserError(
            f"the model's labels ({', '.join(theirs)}) are not those of {where} ({', '.join(wanted)})",
            fix=_advice(wanted, unknown, missing),
        )
    taken = tuple(theirs[number] if ours is None else ours for number, ours in enumerate(meaning))
    converted = tuple(
        f"{name}={found[name]}"
        for name in theirs
        if name in found and name not in given and _plain(name) != _plain(found[name])
    )
    outputs = (*order, *((number,) for number in extra))
    return Match((*wanted, *unknown), outputs, taken, missing, unknown, converted, not given)


def parse_given(text: str, theirs: Sequence[str]) -> dict[str, str]:
    """Read ``--labels``: ``LABEL_0=entailment,LABEL_1=neutral``, or all labels in the order of the model's ids.

    Raises:
        UserError: neither.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()] if text else []
    pairs = [part.partition("=") for part in parts]
    if twice := [
        name for name, count in Counter(name.strip() for name, equals, _ in pairs if equals).items() if count > 1
    ]:
        raise UserError(f"--labels has '{twice[0]}' twice", fix="Say of each output once what it is")
    if all(equals for _, equals, _ in pairs):
        return {name.strip(): label.strip() for name, _, label in pairs}
    if any(equals for _, equals, _ in pairs) or len(parts) != len(theirs):
        raise UserError(
            f"'{text}' does not say what the model's {len(theirs)} outputs are ({', '.join(theirs)})",
            fix=f"Pass --labels {','.join(f'{name}=…' for name in theirs)}",
        )
    return dict(zip(theirs, parts, strict=True))


def are_nameless(names: Sequence[str]) -> bool:
    """Whether a model's names of its outputs, if it has any, are but their numbers."""
    return all(_NAMELESS.fullmatch(name) for name in names)


def _check(given: Given, wanted: Sequence[str], theirs: Sequence[str]) -> None:
    for name, label in given.items():
        if name not in theirs:
            raise UserError(f"--labels: the model has no label '{name}'", fix=nearest(name, theirs))
        if label and label not in wanted:
            raise UserError(f"--labels: the task has no label '{label}'", fix=nearest(label, wanted))


def _by_name(wanted: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """A model's names to the labels that are spelt alike: exactly, or else but for case, punctuation and the scheme of
    tags."""
    exact = {name: name for name in theirs if name in wanted}
    if len(exact) == len(theirs):
        return exact
    ours = {_plain(label): label for label in wanted}
    if "" in ours or len(ours) < len(wanted) or len({*map(_plain, theirs)}) < len(theirs):
        return exact  # names that differ in case or punctuation alone
    alike = {name: next((ours[form] for form in map(_plain, _forms(name)) if form in ours), None) for name in theirs}
    return {name: label for name, label in alike.items() if label is not None}


def _forms(name: str) -> tuple[str, ...]:
    """A name, and what it is in the scheme IOB2 if it is a tag of IOBES or BILOU, or of a scheme without prefixes."""
    prefix, dash, kind = name.partition("-")
    return (name, f"{IOB2[prefix]}-{kind}") if dash and prefix in IOB2 else (name, f"I-{name}")


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _advice(wanted: Sequence[str], extra: Sequence[str], missing: Sequence[str]) -> str:
    if extra and are_nameless(extra):
        # No example to copy: whichever it were, it would be wrong for most models.
        places = ",".join(f"{name}=…" for name in extra)
        return f"They have no names: see the model's card, and pass --labels {places} with the task's for the dots"
    if len(extra) < len(missing):
        return f"The model never predicts {', '.join(missing)}: score a task that has its labels"
    return f"Say what they are: --labels {','.join(f'{name}=…' for name in extra)} (NAME= leaves one out)"
