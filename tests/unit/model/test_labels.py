"""A model's names of its outputs against a task's labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.families.kinds import KINDS
from dist_stilts.model.labels import Match, match, parse_given
from dist_stilts.model.saved_heads import SavedHead, matched
from dist_stilts.tasks.registry import get_task

NLI = ("contradiction", "entailment", "neutral")
NAMELESS = ("LABEL_0", "LABEL_1", "LABEL_2")
TAGS = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")


def nli(theirs: tuple[str, ...], labels: str = "") -> Match:
    return match(NLI, theirs, parse_given(labels, theirs), partly=False, where="xnli")


def tags(*theirs: str) -> Match:
    return match(TAGS, theirs, {}, partly=True, where="panx")


@given(st.permutations(NLI), st.sampled_from([str.upper, str.title, str.lower, "-{}_".format]))
def test_names_are_matched_in_any_order_and_spelling(order: list[str], spelt: object) -> None:
    found = nli(tuple(spelt(name) for name in order))  # type: ignore[operator]
    assert found.names == NLI
    assert [order[own] for (own,) in found.order] == list(NLI)
    assert found.taken == tuple(order)
    assert found.condition == ("" if tuple(order) == NLI else ",".join(order))


@pytest.mark.parametrize(
    ("theirs", "labels", "order"),
    [
        (NAMELESS, "LABEL_2=entailment, LABEL_0=contradiction,LABEL_1=neutral", ((0,), (2,), (1,))),
        (NAMELESS, "contradiction,neutral,entailment", ((0,), (2,), (1,))),
        (("entailment", "neutral", "contradiction", "other"), "other=", ((2,), (0,), (1,))),
        (("entailment", "neutral", "contradiction", "none"), "none=neutral", ((2,), (0,), (1, 3))),
        (("entailment", "contradiction", "neutral"), "entailment=neutral,neutral=entailment", ((1,), (2,), (0,))),
    ],
)
def test_what_the_user_says_of_outputs_counts(
    theirs: tuple[str, ...], labels: str, order: tuple[tuple[int, ...], ...]
) -> None:
    assert nli(theirs, labels).order == order


@pytest.mark.parametrize(
    ("theirs", "labels", "message"),
    [
        (NAMELESS, "", r"They have no names: .* --labels LABEL_0=…,LABEL_1=…,LABEL_2=… "),
        (("0", "1", "2"), "", r"They have no names: .* --labels 0=…,1=…,2=… "),
        (("entailment", "not_entailment"), "", "never predicts contradiction, neutral: score a task"),
        (
            ("contradiction", "entails", "neutral"),
            "",
            r"Say what they are: --labels entails=… .NAME= leaves",
        ),
        (("contradiction", "entailment", "neutral", "x"), "", "Say what they are: --labels x=…"),
        (NAMELESS, "LABEL_0=entailment,LABEL_1=neutral,LABEL_2=", "never predicts contradiction"),
        (NAMELESS, "LABEL_3=entailment", r"the model has no label 'LABEL_3'. did you mean"),
        (NAMELESS, "LABEL_0=entailed", r"the task has no label 'entailed'. did you mean 'entailment'"),
        (NAMELESS, "entailment,neutral", "does not say what the model's 3 outputs are .* Pass --labels LABEL_0=…"),
        (NAMELESS, "entailment,LABEL_1=neutral,contradiction", "does not say what the model's 3 outputs are"),
        (NAMELESS, "LABEL_0=entailment,LABEL_0=neutral", "has 'LABEL_0' twice"),
    ],
)
def test_labels_that_cannot_be_matched_are_refused_with_what_to_pass(
    theirs: tuple[str, ...], labels: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        nli(theirs, labels)


def test_names_that_differ_in_case_alone_are_matched_exactly() -> None:
    assert match(("a", "A"), ("A", "a"), {}, partly=False, where="own").order == ((1,), (0,))
    with pytest.raises(UserError, match="not those of own"):
        match(("a", "A"), ("a", "b"), {}, partly=False, where="own")


def test_yes_or_no_outputs_are_never_summed() -> None:
    spec = replace(get_task("xnli"), family="multilabel", labels=("a", "b"))
    saved = SavedHead(Path("model"), "m", KINDS["multilabel"], ("x", "y", "z"))
    alone = matched(spec, saved, {"x": "a", "y": "b", "z": ""})
    assert alone is not None
    assert alone.order == ((0,), (1,))
    with pytest.raises(UserError, match="several outputs of a model of several labels are one label"):
        matched(spec, saved, {"x": "a", "y": "b", "z": "b"})


def test_of_tag_sets_either_side_may_have_more() -> None:
    found = tags("O", "B-PER", "I-PER", "B-DATE", "I-DATE", "b-loc")
    assert found.names == (*TAGS, "B-DATE", "I-DATE")
    assert found.order == ((5,), (), (1,), (), (), (2,), (0,), (3,), (4,))
    assert (found.missing, found.extra) == (("B-ORG", "I-LOC", "I-ORG"), ("B-DATE", "I-DATE"))
    assert found.condition == "O,B-PER,I-PER,B-DATE,I-DATE,B-LOC"
    with pytest.raises(UserError, match="They have no names"):
        tags("LABEL_0", "LABEL_1")
    assert tags(*TAGS, "B-DATE").condition, "what only the model knows is a condition too"
    assert not tags(*TAGS).condition


@pytest.mark.parametrize(
    ("theirs", "taken"),
    [
        (("O", "S-PER", "B-PER", "I-PER", "E-PER"), ("O", "B-PER", "B-PER", "I-PER", "I-PER")),
        (("O", "U-LOC", "B-LOC", "I-LOC", "L-LOC"), ("O", "B-LOC", "B-LOC", "I-LOC", "I-LOC")),
        (("O", "PER", "loc", "MISC"), ("O", "I-PER", "I-LOC", "MISC")),
    ],
)
def test_tags_of_other_schemes_are_read_as_iob2(theirs: tuple[str, ...], taken: tuple[str, ...]) -> None:
    found = tags(*theirs)
    assert found.taken == taken
    changed = [f"{name}={label}" for name, label in zip(theirs, taken, strict=True) if name.upper() != label]
    assert list(found.converted) == changed
